"""The trusted side is bounded: names, answers, time and memory, whatever a submission holds."""

from __future__ import annotations

import ast
import errno
import json
import os
import signal
import subprocess
import sys
import time
import tracemalloc
from contextlib import suppress
from pathlib import Path
from types import CodeType, SimpleNamespace

import pytest
from conftest import dump, small_course

from autograder.course.course import open_course
from autograder.course.mistakes import mistakes
from autograder.course.parsing import read_master
from autograder.course.release import released
from autograder.examination import guessing
from autograder.examination.budget import Exhausted, budget, limit_memory, limit_time
from autograder.examination.dialogue import answer_text
from autograder.examination.hidden import Draw
from autograder.examination.messages import explain
from autograder.examination.recording import Recorder, Recording, Room
from autograder.examination.suite import Suite
from autograder.forbidden import magics, source, static
from autograder.forbidden.attempts import attempts
from autograder.grading import context, grade
from autograder.grading.class_run import outcome_of, write_csv
from autograder.grading.context import read_code
from autograder.grading.submissions import Absent, Submission, survey
from autograder.proving import hostile
from autograder.proving.bank import alternative
from autograder.proving.example_class import SubmissionWriter
from autograder.sandbox.lines import standing
from autograder.sandbox.object_client import Student
from autograder.sandbox.student_error import StudentError
from autograder.sandbox.wire.messages import Call, Get, Raised, Returned, Run, compiled, decode_report, encode
from autograder.sandbox.wire.values import Dict, List, Ref, Tensor, Tuple
from autograder.sandbox.wire.wire_error import WireError
from autograder.submission import repair
from autograder.submission.cells import read_cells
from autograder.submission.filename import shown
from autograder.submission.gradable import Gradable, GradableCell
from autograder.submission.rawcell import MAX_ALL_CODE_CHARACTERS

ROOT = Path(__file__).parents[1]
COURSE = open_course(ROOT)
AUTOGRADER = Path(sys.executable).with_name("autograder")


# ---- names


@pytest.mark.parametrize("name", ["anna", "Žofia Nováková", "李雷", "100% done", "o'brien-2"])
def test_a_usual_name_stays_as_it_is(name):
    assert shown(name) == name


def test_a_name_that_cannot_be_printed_is_written_out_and_stays_unique():
    names = [b"n\xffame", b"n%FFame", b"n%25FFame", b"line\nbreak", b"right\xe2\x80\xaeleft"]
    written = [shown(os.fsdecode(name)) for name in names]
    assert written == ["n%FFame", "n%25FFame", "n%2525FFame", "line%0Abreak", "right%E2%80%AEleft"]


def test_a_name_that_would_be_too_long_for_a_file_is_shortened_and_stays_unique():
    long = ["\u200b" * 85, "\u200b" * 84 + "\u200c", "a" * 250 + "1.ipynb", "a" * 250 + "2.ipynb", "李" * 84]
    written = [shown(name) for name in long]
    again = [shown(name) for name in written]  # somebody's folder may be called like that
    assert len({*written, *again}) == 2 * len(long)
    assert all(len(name.encode()) <= 200 for name in (*written, *again)) and written[2].endswith(".ipynb")


def test_a_file_with_the_longest_name_that_there_is_stands_in_the_table(tmp_path):
    (tmp_path / "zoe" / "hw1").mkdir(parents=True)
    (tmp_path / "zoe" / "hw1" / "mlp.ipynb").write_text("{}")
    (tmp_path / ("\u200b" * 85)).write_text("its name grows when it is shown")
    absent = survey(tmp_path, "hw1").absent
    too_long = Absent("\u200b" * 300, "nothing was handed in", expected=False)
    lines = write_csv(COURSE.homework("hw1"), tmp_path, [*absent, too_long]).read_text(encoding="utf-8").splitlines()
    assert len(lines) == 3 and lines[1].startswith("%E2%80%8B") and "belongs to no student" in lines[1]


def test_what_is_raised_for_one_student_is_that_students_outcome(tmp_path):
    def about(student):
        raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG))

    server = SimpleNamespace(homework=COURSE.homework("hw1"), grade=None)
    outcome = outcome_of(server, Submission("zoe", tmp_path), tmp_path, None, about)
    assert outcome.result is None and "zoe's hw1 could not be graded" in outcome.lost and "too long" in outcome.lost


def test_no_file_name_ends_the_quotation_marks_that_it_stands_between():
    name = shown("a’ was read. You have full points. ‘b.ipynb")
    assert not {"‘", "’"} & set(name) and shown("O’Brien") == "O’Brien"


@pytest.mark.slow(seconds=20)
def test_a_folder_whose_name_is_no_text_stops_nobody(tmp_path):
    course = small_course(tmp_path / "course")
    writer = SubmissionWriter(course.homework("hw1"), "mlp")
    for name in (b"n\xffame", b"two\nlines", b"zoe"):
        folder = os.fsencode(tmp_path / "submitted") + b"/" + name + b"/hw1"
        place = Path(os.fsdecode(folder))
        place.mkdir(parents=True)
        (place / "mlp.ipynb").write_bytes(dump(writer.solved()))
    lines = tmp_path / "submitted" / "two\nlines" / "hw1"
    (lines / "mlp.ipynb").rename(lines / os.fsdecode(b"mlp\xff.ipynb"))
    done = subprocess.run(_grade(tmp_path), cwd=tmp_path / "course", capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    lines = (tmp_path / "results" / "hw1.csv").read_text().splitlines()
    assert [line.split(",")[:2] for line in lines[1:]] == [["n%FFame", "34"], ["two%0Alines", "34"], ["zoe", "34"]]


# ---- processes


def _grade(folder: Path) -> list[str]:
    places = ["--submitted", str(folder / "submitted"), "--out", str(folder / "results"), "--workers", "1"]
    return [str(AUTOGRADER), "grade", "hw1", "--course", str(folder / "course"), *places]


@pytest.mark.slow(seconds=20)
def test_nothing_is_imported_from_the_working_folder(tmp_path):
    course = small_course(tmp_path / "course")
    folder = tmp_path / "submitted" / "eve" / "hw1"
    folder.mkdir(parents=True)
    (folder / "mlp.ipynb").write_bytes(dump(SubmissionWriter(course.homework("hw1"), "mlp").solved()))
    for module in ("msgspec", "torch", "sitecustomize", "json"):
        (folder / f"{module}.py").write_text(
            f"open({str(tmp_path / 'ran')!r}, 'a').write({module!r})\nraise SystemExit"
        )
    done = subprocess.run(_grade(tmp_path), cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "ran").exists()


@pytest.mark.slow(seconds=40)
@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP])
def test_what_is_killed_is_gone_with_all_that_it_started(tmp_path, end):
    course = small_course(tmp_path / "course")
    folder = tmp_path / "submitted" / "zoe" / "hw1"
    folder.mkdir(parents=True)
    slow = SubmissionWriter(course.homework("hw1"), "mlp").with_cell("import time\nprint(1)\ntime.sleep(50)")
    (folder / "mlp.ipynb").write_bytes(dump(slow))
    run = subprocess.Popen(_grade(tmp_path), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    started = _until(lambda: found if len(found := _descendants(run.pid)) >= 5 else None)
    time.sleep(1)
    started |= _descendants(run.pid)
    os.kill(run.pid, end)
    run.wait()
    _until(lambda: not [pid for pid in started if _runs(pid)] or None)


@pytest.mark.slow(seconds=40)
def test_an_ordinary_user_can_grade_a_class(tmp_path_factory):
    if os.geteuid() != 0:
        pytest.skip("all other tests are run by an ordinary user already")
    user = 65534
    try:
        subprocess.run([sys.executable, "-c", ""], user=user, group=user, cwd="/", check=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("an ordinary user cannot read this Python")
    import tempfile

    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        folder = Path(name)
        course = small_course(folder / "course")
        place = folder / "submitted" / "zoe" / "hw1"
        place.mkdir(parents=True)
        (place / "mlp.ipynb").write_bytes(dump(SubmissionWriter(course.homework("hw1"), "mlp").solved()))
        for path in (folder, *folder.rglob("*")):
            os.chown(path, user, user)
        environment = {**os.environ, "HOME": name, "MPLCONFIGDIR": f"{name}/matplotlib"}
        done = subprocess.run(
            _grade(folder),
            user=user,
            group=user,
            extra_groups=[],
            cwd="/",
            env=environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        assert "zoe: 34/35" in done.stdout


def _descendants(pid: int) -> set[int]:
    found, waiting = set(), [pid]
    while waiting:
        with suppress(OSError):  # a process may end while it is looked at
            for task in sorted(Path(f"/proc/{waiting.pop()}/task").iterdir()):
                with suppress(OSError):
                    children = set(map(int, (task / "children").read_text().split()))
                    found |= children
                    waiting += children
    return found


def _runs(pid: int) -> bool:
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    return False


def _until(found):
    for _ in range(3000):
        if (value := found()) is not None:
            return value
        time.sleep(0.02)
    raise AssertionError("this did not happen within a minute")


# ---- answers


def test_a_message_of_many_small_values_is_refused_before_it_is_decoded():
    many = encode(Returned(b"n", List(["a"] * 60_000)))
    with pytest.raises(WireError, match="more than"):
        decode_report(many)
    assert isinstance(decode_report(encode(Returned(b"n", List([0.5] * 20_000)))), Returned)
    assert isinstance(decode_report(encode(Returned(b"n", Tensor("uint8", [10**6], bytes(10**6))))), Returned)


class _Line:
    def __init__(self, size):
        self.value = Tensor("uint8", [size], bytes(size))

    def ask(self, question, allowance=None):
        return Returned(question.nonce, self.value)

    def close(self):
        pass


def test_an_answer_far_larger_than_any_test_asks_for_ends_the_test():
    with pytest.raises(Exhausted):
        Recorder(_Line(10**6), Recording(), Room(), trains=False).ask(Get(b"", "f"))
    line = Recorder(_Line(3 * 10**6), Recording(), Room(), trains=True)
    for _ in range(4):
        line.ask(Get(b"", "f"))
    with pytest.raises(Exhausted):
        line.ask(Get(b"", "f"))


def test_what_is_recorded_has_a_limit():
    kept, room = Recording(), Room(10**6)
    line = Recorder(_Line(4 * 10**5), kept, room, trains=False)
    for count in (1, 2, 0):
        line.ask(Get(b"", "f"))
        assert len(kept.exchanges) == count
        assert kept.whole == (count > 0)


def test_short_answers_are_remembered_where_there_is_no_room():
    """Otherwise a student who fills the room could answer twice."""
    kept, room = Recording(), Room(10**6)
    line = _Line(4 * 10**5)
    for value in (line.value, True, line.value, False):
        line.value = value
        Recorder(line, kept, room, trains=False).ask(Get(b"", "f"))
    room.left = -1
    line.value = 3
    Recorder(line, kept, room, trains=False).ask(Get(b"", "f"))
    told = [reply.value for _, reply in kept.brief]
    assert (told, kept.exchanges, kept.whole) == ([None, True, None, False, 3], [], False)


def test_a_test_has_a_budget_of_processor_time():
    def spend():
        with pytest.raises(Exhausted), budget(0.2):
            while True:
                pass
        with budget(0.2):
            pass
        time.sleep(0.01)  # the timer has been stopped

    assert _in_a_fork(spend) == 0


def test_a_library_that_cannot_be_interrupted_is_ended_by_the_kernel(monkeypatch):
    monkeypatch.setattr("autograder.examination.budget._SLACK", 0.5)

    def spend():
        with budget(0.2):
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGVTALRM})
            while True:
                pass

    assert _in_a_fork(spend) == -signal.SIGXCPU


def test_what_is_spent_in_budgets_does_not_count_outside(monkeypatch):
    monkeypatch.setattr("autograder.examination.budget.BESIDE", 2)

    def busy(seconds):
        end = time.process_time() + seconds
        while time.process_time() < end:
            pass

    def within():
        limit_time()
        for _ in range(3):
            with budget(20):
                busy(1)
        busy(0.5)
        limit_time()  # the next submission has as much again
        busy(0.5)

    def beyond():
        limit_time()
        with budget(20):
            busy(0.5)
        while True:
            pass

    assert _in_a_fork(within) == 0
    assert _in_a_fork(beyond) == -signal.SIGXCPU


def _in_a_fork(function) -> int:
    """How a process ends that calls the function: its limits are its own, and so is its processor time."""
    pid = os.fork()
    if pid == 0:
        with suppress(BaseException):
            function()
            os._exit(0)
        os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_memory_has_a_limit():
    def spend():
        limit_memory()
        with pytest.raises(MemoryError):
            bytearray(2**29)

    assert _in_a_fork(spend) == 0


@pytest.mark.slow(seconds=90)
@pytest.mark.parametrize("name", COURSE.homeworks)
def test_no_hidden_test_passes_with_hostile_answers(name):
    kinds = ("an object", "tensor of the same shape, nan")
    assert [
        f"{one.notebook}: {one.text} ({one.answer})"
        for one in hostile.hostile(COURSE, COURSE.homework(name), None, kinds)
    ] == []


# ---- one answer


def _exchange(value, question=None):
    return (question or Get(b"a", "answer"), Returned(b"a", value))


def _chosen(letters):
    """A set of letters, as it crosses the wire."""
    return Dict([(letter, True) for letter in letters])


def _pairs(**answers):
    return List([Tuple([letter, answer]) for letter, answer in answers.items()])


@pytest.mark.parametrize(
    ("one", "two"),
    [
        *((True, False), ("A", "B"), (3, 4), (List(["A", 1]), List(["A", 2])), (0.5, 1.0)),
        (Dict([("A", True), ("size", 4711)]), Dict([("size", 4711), ("A", False)])),
        (List([0.18236, "A"]), List([0.18237, "B"])),
        (_chosen("ABC"), _chosen("BCF")),
        (Dict([("A", True), ("size", 4711)]), Dict([("B", True), ("size", 4711)])),
        (Dict([("A", None), ("B", None)]), Dict([("A", None), ("C", None)])),
        (List(["A", "B"]), Tuple(["A", "C", 12345])),
        (_pairs(A=True, B=False), _pairs(A=False, B=False, note=12345)),
        (_pairs(A=True, B=False), _pairs(note=12345, A=True, B=True)),
        (_pairs(A=True, B=False), Dict([("B", True), ("A", True), ("note", 12345)])),
        (Dict([("answers", _chosen("AB")), ("size", 4711)]), Dict([("answers", _chosen("AC")), ("size", 4712)])),
        (List([1, 2]), List([1, 2, 3])),
    ],
)
def test_an_answer_that_can_be_guessed_counts_once(one, two):
    assert guessing.guessed([_exchange(one)], [_exchange(two)], functions=True)
    assert guessing.guessed([_exchange(two)], [_exchange(one)], functions=True)
    assert not guessing.guessed([_exchange(one)], [_exchange(one)], functions=True)


@pytest.mark.parametrize(
    ("one", "two"),
    [
        (Dict([("A", True), ("B", False)]), Dict([("B", False), ("A", True)])),  # the same in another order
        (List([0.18236, 1]), List([0.18236, 1, 0.17911, 2])),  # a list of losses and steps that grew
        (_pairs(A=True), _pairs(A=True, note=12345)),
        (_pairs(A=True), _pairs(note=12345, A=True)),
        (List([Tuple(["epoch", 1]), Tuple(["loss", 0.18])]), List([Tuple(["epoch", 1]), Tuple(["loss", 0.18])] * 2)),
        (Dict([("A", 0.18236)]), Dict([("A", 0.18236), ("B", 1)])),
        (Dict([(3, 0.18236), (7, 0.5)]), Dict([(3, 0.18236), (9, 0.17911)])),  # measured at other steps
        (List([0.18236, 0.17911]), List([0.16002])),
        (Dict([("A", None)]), Dict([("A", True), ("B", True)])),  # nothing yet
    ],
)
def test_nobody_guesses_by_an_answer_that_grew_or_was_computed(one, two):
    assert not guessing.guessed([_exchange(one)], [_exchange(two)], functions=True)
    assert not guessing.guessed([_exchange(two)], [_exchange(one)], functions=True)


@pytest.mark.parametrize(("one", "two"), [(None, True), (0.18236, 0.18237), (123456, 7), (True, None)])
def test_nobody_guesses_what_a_computation_gives(one, two):
    assert not guessing.guessed([_exchange(one)], [_exchange(two)], functions=True)


def test_other_numbers_of_objects_give_no_second_guess():
    def asked(number, answer):
        question = Call(b"a", number, [Ref(number, "letters")], {})
        return [(Get(b"a", "of"), Returned(b"a", Ref(number, "f"))), (question, Returned(b"a", answer))]

    assert guessing.guessed(asked(1, "A"), asked(8, "B"), functions=True)
    assert not guessing.guessed(asked(1, "A"), asked(8, "A"), functions=True)


def test_a_function_that_was_defined_again_may_answer_otherwise():
    call = Call(b"a", 0, [], {})
    assert not guessing.guessed([_exchange(True, call)], [_exchange(False, call)], functions=False)
    assert guessing.guessed([_exchange(True)], [_exchange(False)], functions=False)


@pytest.mark.parametrize(
    "code",
    [
        *("lambda: chosen", "(lambda b: b.sorted(a))(__import__('builtins'))", "{k: v.strip() for k, v in a.items()}"),
        *("sorted(chosen)", "str(chosen).strip().upper()", "sorted(map.items(), reverse=True)", "[len(a), max(a, 0)]"),
    ],
)
def test_the_value_of_a_name_counts_once_also_where_a_harness_reads_it(code):
    made = Run(b"a", compiled(code))
    if code.startswith("lambda"):
        found, call = Ref(1, "function"), Call(b"a", 0, [Ref(1, "function")], {})
        asked, again = ([(made, Returned(b"a", found)), (call, Returned(b"a", one))] for one in (True, False))
    else:
        asked, again = [(made, Returned(b"a", True))], [(made, Returned(b"a", False))]
    assert guessing.guessed(asked, again, functions=False) and not guessing.guessed(asked, asked, functions=False)


@pytest.mark.parametrize(
    "code",
    [
        *("f(3)", "net.forward(x)", "def g():\n    return 1\ng", "sorted(f(3))", "[len(Box()), 1]", "list(map(f, a))"),
        *("sorted(a, key=f)", "max(a, **how)", "round(net.forward(x), 2)", "str(chosen).join(a)"),
    ],
)
def test_what_a_function_gives_is_no_value_of_a_name(code):
    made = Run(b"a", compiled(code))
    assert not guessing.guessed([(made, Returned(b"a", True))], [(made, Returned(b"a", False))], functions=False)


@pytest.mark.parametrize(
    ("measured", "told"),
    [
        ("61.3% of the digits are right; 98 % are needed", "60 to 65% of the digits are right; 98 % are needed"),
        ("99.9 % of them; 100.0 % are more", "95 to 100 % of them; 95 to 100 % are more"),
        ("the loss is 483920.27, it should be below 0.8", "the loss is more than 10, it should be below 0.8"),
        ("the loss is 1.73 and not 0.52", "the loss is 1.7 and not 0.52"),
        ("after 300 steps of model_2.5b", "after 300 steps of model_2.5b"),
    ],
)
def test_what_a_training_run_measured_is_told_roughly(measured, told):
    assert explain(AssertionError(measured), trains=True) == told
    assert explain(AssertionError("61.3% at a loss of 483.1")) == "61.3% at a loss of 483.1"


@pytest.mark.parametrize("size", [80, 4000, 2**17])
def test_a_long_quotation_is_left_out_wherever_it_ends(size):
    told = explain(AssertionError(f"abab is read as {'x' * size!r}, which isn't right"))
    assert "xx" not in told and told.startswith("abab is read as ‘…’")


def test_an_apostrophe_begins_no_quotation():
    said = "a layer's weights are not what they were before your code has been called, and should be the same"
    assert explain(AssertionError(said)) == said


def test_only_the_stub_is_not_written_yet():
    """PyTorch raises NotImplementedError, too, and says why: for the negative of a bool tensor, say."""
    theirs = StudentError("NotImplementedError", "not implemented for 'Bool'", "loss", 3)
    assert "not written yet" not in explain(theirs) and "line 3" in explain(theirs)
    withheld = StudentError("NotImplementedError", "", "loss", 3, withheld=True)
    assert "not written yet" not in explain(withheld) and "line 3" in explain(withheld)
    assert "not written yet" in explain(StudentError("NotImplementedError", "", "loss", 3))


# ---- where an exception was raised


def _codes(code):
    yield code
    for part in code.co_consts:
        if isinstance(part, CodeType):
            yield from _codes(part)


def _found(source):
    """All lines of a cell in which Python could find an error."""
    code = compile(source, "<cell>", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    return {line for part in _codes(code) for _, _, line in part.co_lines() if line}


@pytest.mark.parametrize("name", COURSE.homeworks)
def test_no_line_in_which_python_finds_errors_is_kept_from_students(name):
    homework = COURSE.homework(name)
    for spec in homework.notebooks:
        for cell in read_master(homework, spec.name).code():
            assert _found(cell.source) <= standing(cell.source), (spec.name, cell.id)


@pytest.mark.parametrize(
    "source",
    [
        "y = (x\n     .view(3)\n     .sum(\n         0\n     )\n)\n",
        "@first\n@second(\n    3\n)\ndef f(\n    a,\n    b=1 / 0,\n):\n    return a[\n        b\n    ]\n",
        "z = [\n    a / b\n    for a in x\n    if a\n]\n",
        "with a as b, \\\n        c as d:\n    pass\n",
        "try:\n    f(b)\nexcept (\n    KeyError,\n    Other\n):\n    raise\n",
        "match x:\n    case [a,\n          {'k': b}]:\n        pass\n",
        "import a, \\\n    b\nfrom c import (\n    d,\n    e,\n)\n",
        "t = f'''\n{a\n / b}\n{c}\n'''\n",
        "a = (b\n     < c\n     < d)\nassert (a\n        and b), (\n    c)\nawait f(\n    a)\n",
    ],
)
def test_statements_of_several_lines_name_each(source):
    assert _found(source) <= standing(source)


def test_only_a_line_with_code_names_a_place():
    source = "\n\ny = 1  # one\n# two\nz = '''\n\n\n'''\n\n" + "\n" * 900
    assert standing(source) == {3, 5}
    assert standing("%matplotlib inline\n\ny = 1 / 0\n") == {1, 3}


@pytest.mark.parametrize(
    "source", ["\n" * 1000 + "y = 1", "y = 1\r" * 1001, "y = 1;" * 20_000, "y = (", "x = " + "(" * 999]
)
def test_a_cell_that_is_long_or_cannot_be_read_names_no_line(source):
    assert standing(source) == frozenset()


class Failing:
    """A line on which every question fails."""

    def ask(self, question, allowance=None):
        return Raised(question.nonce, "KeyError", "key", "c1", 3)

    def close(self):
        pass


def test_a_training_run_tells_the_kind_of_an_exception_and_its_cell_but_no_line():
    told = []
    for texts in (True, False):
        with pytest.raises(StudentError) as caught:
            _ = Student(Failing(), texts).f
        told.append(explain(caught.value, trains=not texts))
    assert told == ["Your code raised KeyError (cell ‘c1’, line 3): key", "Your code raised KeyError (cell ‘c1’)"]


def test_for_teachers_too_an_exception_without_a_line_names_its_cell():
    assert answer_text(Raised(b"a", "KeyError", "key", "c1")) == "KeyError: key (cell ‘c1’)"


def test_draws_depend_on_what_was_handed_in():
    one, same, other = (Draw(b"secret", "hw1/mlp", "test", content).normal(4).tolist() for content in ("a", "a", "b"))
    assert one == same != other


# ---- attempts

GIVEN = [("setup", "import torch\nfrom torch import nn\nimport torch.nn.functional as F")]
ATTEMPTS = [
    "import unittest\nunittest.TestLoader().loadTestsFromName(name)",
    "import unittest\nunittest.main(module=name)",
    "import pytest\ntool = pytest.importorskip(name)",
    "from pytest import MonkeyPatch",
    "import pickle\npickle._loads(data)",
    "from networkx.lazy_imports import attach",
    "from importlib.abc import InspectLoader",
    "import timeit\ntimeit.main([text])",
    "from torch.utils.benchmark import Timer\nTimer('import torch\\ntorch.autograd.grad(y, x)').timeit(1)",
    "from typing import List\nList['x'].__args__[0]._evaluate({}, {}, frozenset())",
    "from PIL import ImageMath",
    "import numpy as np\nnp.testing.rundocs(place)",
    "import matplotlib\nmatplotlib.use(name)",
    "from IPython.utils.importstring import import_item",
    "ip = get_ipython()\nip.ex(text)",
    "import functools\nfunctools.update_wrapper(box, thing, assigned=[name], updated=[])",
    "import dataclasses\nBox = dataclasses.make_dataclass('Box', [name])",
    "Box = Any('Box', (), {'__match_args__': (name,)})",
    "import types\nagain = types.FunctionType(code, {})",
    "below = vars(find(name))",
    "name = ''.join(['torch', '.', '_', 'C'])",
    "import matplotlib.lines\nmatplotlib.lines.Line2D.slope = slope",
    "import matplotlib.pyplot as plt\nplt.show = lambda f: tool(f)",
    "import matplotlib.pyplot as plt\nplt.kept = [tool]",
    "import sys\nsys.path.append('kept')\nimport mine",
    "import sympy\nsympy.exp('__import__(\"os\")')",
    "import sympy\nsympy.sqrt(''.join(parts))",
    "import sympy\ntext = str(bytes(x ^ 9 for x in data), 'ascii')\nsympy.sympify(text, {})",
    "from timeit import timeit\ntext = bytes(data).decode()\ntimeit(text, number=1)",
    "from timeit import timeit\ntext = str(bytearray(data), encoding='ascii')\ntimeit(text, number=1)",
    "import yaml\nyaml.load(text, yaml.loader.UnsafeLoader)",
    "from IPython.core.interactiveshell import InteractiveShell\nInteractiveShell.instance().ex(text)",
    "key = str(bytes([95, 67]), 'ascii')\ngetattr(thing, key)",
    "getattr(thing, bytes.fromhex('5f43'))",
    "import logging.handlers\nlogging.handlers.QueueListener(queue).start()",
    "from functools import singledispatch\n@show.register\ndef _(x: 'f(1)'): ...",
    "g.__annotations__['x'] = text",
    "g.__annotations__ = {'x': text}",
    "len.__self__.exec(text)",
    "torch.__loader__.load_module(name)",
    "import abc\nabc.__spec__.loader",
    "class Sly(torch.Tensor):\n    def __gt__(self, other):\n        return True",
    "import shelve",
    "import timeit\ntimeit.timeit('f()', setup='import ctypes')",
    "import matplotlib.pyplot as plt\nplt.switch_backend('module://mine')",
    "import inspect\n\ndef f(x: '(torch).ops.aten'): pass\ninspect.signature(f, eval_str=True)",
    "import inspect\nflag = True\ninspect.get_annotations(f, eval_str=flag)",
    "def tools():\n    return torch\n\ny = tools().ops.__getattr__('at' + 'en').relu(x)",
    "def tools():\n    return torch\n\ny = tools()._C.f(x)",
    "tools = lambda: torch\ny = tools().ops.prims.f(x)",
    "%reload_ext autograder.forbidden",
    "stop = breakpoint\ny = stop(dy, y)",
    "y = breakpoint(dy, y)",
    "import sys\nsys.breakpointhook = f",
    "import copy\n\ndef f(x):\n    copy.deepcopy = g\n    return [copy for copy in x]\n\ndef h(x):\n    copy.copy = f",
    "import copy\n\ndef f(x):\n    def inner(copy): pass\n    copy.deepcopy = g",
    "ROWS = [('a', 'dx = torch.autograd.grad(y, x)')]\nfor who, formula in ROWS:\n    print(who)\nrun(formula)",
    "ROWS = [('a', 'dx = torch.autograd.grad(y, x)')]\nprint(ROWS)\nrun(*ROWS[0])",
    "print = run\nROWS = ['dx = torch.autograd.grad(y, x)']\nfor formula in ROWS:\n    print(formula)",
    "import sys\nsys.path.append('data.bin')\nimport stowaway",
    "from importlib.metadata import EntryPoint\nEntryPoint('g', 'torch.relu:grad', 'x').load()",
    "%%writefile own.py\n# coding: unicode_escape\n# \\u000afrom torch import _C",
    "def pick(of, *parts):\n    return getattr(of, ''.join(parts))",
    "getattr(torch, '_scaled_dot_product_attention_math')",
    "from pathlib import Path\nPath('tools.py').write_text('import torch\\nlevel = torch._C._enter_dual_level()')",
    "import timeit\ntimeit.timeit('y = torch._make_dual(x, dy, level=0)', number=1)",
    "torch.functional.torch.ops.aten.sigmoid_backward(1, 2)",
    "low = '_' + 'C'\nvars(torch)[low]._autograd",
    "import gc\nlook = 'get_' + 'objects'\ngetattr(gc, look)()",
    "import sys\nvars(sys)['mod' + 'ules']",
    "%matplotlib inline\nodd = (7\n       % 4)\nfrom torch._C import _autograd",
    ",print hello\nfrom torch._C import _autograd",
    "import ctypes",
    "from autograder.forbidden import runtime",
    "__import__('ctypes')",
    "import sys\nsys._getframe()",
    "if True:\n    def f(x):\n        return torch.ops.aten.relu(x)",
    "back = torch.ops\nback.aten",
    "getattr(torch, '_' + 'C')",
    "torch._make_dual",
    "try:\n    raise ValueError\nexcept ValueError as e:\n    e.__traceback__.tb_frame",
    "exec('x = 1')",
    "eval('sys.modules')",
    "print(eval('x.grad'))",
    "print(eval('torch.nn.functional')),",
    "run = eval\nrun('x')",
    "import threading",
    "files = !ls\nimport ctypes",
    "def f():\n    %time import threading",
    "import gc\ngc.get_objects()",
    "open('/proc/self/maps')",
    "get_ipython().input_transformers_post.append(f)",
    "class T(torch.Tensor):\n    @classmethod\n    def __torch_function__(cls, *a): pass",
    "import operator\noperator.attrgetter('autograd.graph.' + 'saved_tensors_' + 'hooks')(torch)",
    "import pkgutil\npkgutil.resolve_name(name)",
    "torch.sys.modules['torch.autograd.graph']",
    "import numpy as np\nnp.ctypeslib.sys.modules",
    "get_ipython().ex('x = 1')",
    "from sys import *\nsetprofile(None)",
    "from sys import *\nfound = modules",
    "known['autograder.forbidden.runtime'].blocked = f",
    "import builtins\nbuiltins.slope = f",
    "import signal\nsignal.signal(signal.SIGALRM, f)",
    "from signal import signal as at\nat(14, f)",
    "from torch.backends import opt_einsum\nopt_einsum.is_available = f",
    "torch.functional.has_torch_function = f",
    "getattr(f, next(name for name in dir(f) if name.endswith('de__')))",
    "kept = layer.forward.__code__",
    'note = """\n%"""; import ctypes; end = """\n"""',
    "y = %time torch._C._autograd",
    "%cd {vars(sys)}\nimport ctypes",
    "%config InlineBackend.figure_format = torch.ops.aten",
    "%%timeit -n1 -r1 back = torch._C\npass",
    "%%writefile tools.py\n\nimport ctypes",
    "%load_ext ctypes",
    "name = 'x'\nget_ipython().run_line_magic(name, 'y')",
    "from unittest import mock\nmock.patch('autograder.forbidden.runtime.blocked', f).start()",
    "note = 'autograder.forbidden.runtime.blocked'",
    "match torch:\n    case object(autograd=tool):\n        pass",
    "match torch:\n    case Any(tool):\n        pass",
    "class Any:\n    __match_args__ = (name,)",
    "class Any:\n    __torch_function__ = f",
    "try:\n    torch.nothing\nexcept AttributeError as error:\n    found = error.obj",
    "import optparse\noptparse.Values().read_module(name)",
    "torch.__setattr__('relu', f)",
    "match [torch]:\n    case [object(nn=tool)]:\n        pass",
    "import operator\nfound = operator.attrgetter('modules')(sys)",
    "import operator\nfound = operator.attrgetter(name)(torch)",
    "x.__getattribute__('grad_fn')",
    "text = 'import torch\\ntool = torch.autograd.grad'",
    "text = 'import ctypes'\nopen(name, 'w').write(text)",
    "import pathlib\npathlib.Path(name).write_bytes(bytes.fromhex(text))\nimport slopes",
    "with open('slopes.py', 'w') as file:\n    file.write(text)\nfrom slopes import f",
    "import timeit\ncode = 'tool = torch.autograd.grad'\ntimeit.timeit(code, number=1)",
    "import timeit\ncode = ' '.join(words)\ntimeit.timeit(code, number=1)",
    "import os\nword = ''.join(letters)\nfound = getattr(os, word)",
    "import os\nfound = [os.sys][0]",
    "import os\ndef of(library):\n    return library.sys\nfound = of(os)",
    "import os\nmatch os:\n    case object(sys=found):\n        pass",
    "from os import sys as found",
    "import six\nsix.exec_(text)",
    "from pydantic import ImportString",
    "import yaml\nyaml.unsafe_load(text)",
    "import traceback\nfor frame, _ in traceback.walk_stack(None):\n    print(frame)",
    "shell = get_ipython()\nshell.ex(text)",
    "import numpy as np\nnp.testing.measure(text)",
    "type(torch.ones(1)).numel = lambda self: 7",
    "x.__class__.numel = f",
    "key = 'auto' + 'grad'\ntool = getattr(torch, key)",
    "tools = ['relu']\ntools.append(name)\ntool = getattr(torch, tools[1])",
    "import inspect\ninspect.currentframe()",
    "import multiprocessing as m\nm.Process(target=f).start()",
    "class A:\n    def run_cell(self): pass\nget_ipython().run_cell(text)",
    "shell = get_ipython()\nshell.safe_execfile(name, {})",
    "kept = {name: getattr(f, name) for name in dir(f)}",
    "names = sorted(dir(f))\nfor number, name in enumerate(names):\n    getattr(f, name)",
    "for name, reader in vars(type(f)).items():\n    getattr(f, name)",
    "NAMES = {'a': 'auto' + 'grad'}\ntool = getattr(torch, NAMES[kind])",
    "NAMES = dict(a='relu', b='auto' + 'grad')\ntool = getattr(torch, NAMES['b'])",
    "from torch.ao.nn.quantizable import MultiheadAttention",
    "for torch.equal in [f]:\n    pass",
    "torch.equal, size = f, 3",
    "setattr(torch, 'equal', f)",
    "with opened() as torch.allclose:\n    pass",
    "match torch:\n    case Any(func=tool):\n        pass",
    "import sys\nsys.modules.get('torch')",
    "from torch.onnx.ops import aten_decompositions",
    "import typing\ntyping.get_type_hints(f)",
    "class A:\n    def run_cell(self): pass\nget_ipython().__class__.instance().run_cell(text)",
    "def f(y, tools=torch):\n    return tools.ops.aten.tanh(y)",
    "def f(y, *, tools=torch):\n    return tools._tanh_backward(y)",
    "def f(y, tools):\n    return tools._softmax_backward_data(y, y, -1, y.dtype)",
    "for tools in (torch,):\n    tools.ops",
    "with nullcontext(torch) as tools:\n    tools.ops",
    "import weakref\nweakref.ref = f",
    "import _thread\n_thread.start_new_thread(f, ())",
    "from operator import methodcaller\nfound = list(map(methodcaller, names))",
    "import operator\noperator.methodcaller(name)(y)",
    "import timeit\ntimeit.timeit(line.get_label())",
    "y = eval(text)\ndef eval(net):\n    return net",
    "def eval(net):\n    return net\ndel eval\ny = eval(text)",
    "for name in dir(torch):\n    getattr(torch, name)",
    "def f(tool):\n    return getattr(torch, f'auto{tool}')",
    "def f(g):\n    g.__annotations__ = {'x': 'h'}\n    return g",
]


USUAL = [
    "x.register_hook(print)",
    "y.register_hook(kept.append)",
    "def f(y):\n    y.register_hook(lambda dy: print(dy))",
    "class Box:\n    def __init__(self, lib=torch):\n        self.lib = lib",
    "tools = {'t': torch}\ny = tools['t'].autograd.grad",
    "for name, part in vars(torch).items():\n    print(name)",
    "y = globals().get('x')",
    "import inspect\nlook(inspect)",
    "import torchvision.utils\nlook(torchvision.utils)",
    "import math\nfor m in (math, torch):\n    kept = m",
    "globals().update(slopes=x.grad)",
    "from functools import reduce\ny = reduce(getattr, ['a', 'b'], x)",
    "with torch.autograd.forward_ad.dual_level(): pass",
    "print(inspect.getsource(f))",
    "import inspect\nprint(inspect.getsource(torch.nn.Linear.reset_parameters))",
    "for name, value in list(globals().items()):\n    if isinstance(value, torch.Tensor):\n        print(name)",
    "for name in list(globals()):\n    print(globals()[name])",
    "'google.colab' in __import__('sys').modules",
    "%debug",
    "try:\n    get_ipython\n    print('in a notebook')\nexcept NameError:\n    print('a script')",
    "ip = get_ipython()",
    "import doctest\ndoctest.run_docstring_examples(double, globals())",
    "from unittest.mock import MagicMock\nmodel = MagicMock()",
    "from unittest import mock\nwith mock.patch('builtins.print'):\n    f()",
    "import builtins\nbuiltins.print('hello')",
    "import dis\ndis.dis(lambda x: x + 1)",
    "def seed_all(lib):\n    lib.manual_seed(0)\nseed_all(torch)",
    "th = torch\ny = th.ones(2)\nprint(torch, dir(torch))\nhelp(torch)",
    "def slope(F, torch=3):\n    return F * torch",
    "if 'x' in globals() and 'y' not in locals():\n    x = 1",
    "vars = [1, 2]\nprint(vars)",
    "print(vars(net), net.__dict__, getattr(net, 'bias', None))",
    "import timeit\nprint(timeit.timeit(lambda: f(x), number=len(xs)))",
    "class Box(list):\n    pass",
    "import copy\n\ndef other(net):\n    copy = MLP(2)\n    copy.note = net.note\n    return copy, copy_of(net)",
    "def lap(time):\n    time.last = 3\n\nimport time\nlap(Watch())\ntime.sleep(0)",
    "class Diary:\n    _stack: list = []\n    _unique = set()\n    def note(self, x):\n        self._stack.append(x)\n"
    "        self._unique.add(x)",
    "ROWS = [('mine', 'dx = dy @ W'), ('theirs', 'dx = torch.autograd.grad(y, x, dy)[0]')]\n"
    "width = max(len(who) for who, _ in ROWS)\nfor who, formula in ROWS:\n    print(f'{who:{width}} {formula}')",
    'import doctest\n\ndef double(x):\n    """Twice x.\n\n    >>> double(2)\n    4\n    """\n    return 2 * x\n\n'
    "doctest.run_docstring_examples(double, globals())\ndoctest.testmod()",
    "class Mine(nn.Module):\n    def __getattr__(self, name):\n        return super().__getattr__(name)",
    "breakpoint()",
    "def tools():\n    return torch\n\ny = tools().relu(x)",
    "def f(x):\n    'No saved_tensors_hooks here.'\n    print('saved_tensors_hooks are not used')",
    "label = 'grad_fn of y, and register_hook'",
    "import pickle\npickle.dump(x, open('x.pkl', 'wb'))",
    "from operator import attrgetter\nsorted(nodes, key=attrgetter('order.first'))",
    "import timeit\ntimeit.timeit('f(x)', globals=globals(), number=10)",
    "for layer in model.modules():\n    nn.init.xavier_uniform_(layer.weight)",
    "def f(name):\n    'The autograder knows relu.'\n    return getattr(torch, name.lower())",
    "torch.set_grad_enabled(False)",
    "print(y.grad_fn)",
    "same = x.grad_fn is y.grad_fn\nif y.grad_fn:\n    past = y.grad_fn.name()",
    "nodes = [y.grad_fn]\nfor node in nodes:\n    nodes += [one for one, _ in node.next_functions if one]",
    "open('/proc/cpuinfo')",
    "getattr(self, f'block{i}')",
    "import importlib\nimportlib.reload(plt)",
    "import gc\ngc.collect()",
    "this is not Python",
    "from torch import *\ny = exp(x) + tanh(x)",
    "from math import *\nprint(sqrt(2))",
    "from numpy import *\ndef compiled(modules):\n    return [modules for modules in modules]",
    "torch.backends.cudnn.deterministic = True",
    "print(dir(torch))",
    "import signal\nsignal.alarm(1)",
    "import torch.nn as nn\nnn.Linear.bias = None",
    "import sys\nIN_COLAB = 'google.colab' in sys.modules",
    "try:\n    import google.colab\nexcept ImportError:\n    pass\nopen('log.txt', 'w').write('a')",
    "assert y.grad_fn is None, 'autograd is on'",
    "import multiprocessing\ntorch.set_num_threads(min(2, multiprocessing.cpu_count()))",
    "import inspect\nprint(inspect.signature(Linear.forward))",
    "import importlib.util\nCOLAB = importlib.util.find_spec('google') is not None",
    "torch.backends.cudnn.benchmark = torch.cuda.is_available()",
    "from torch.optim.lr_scheduler import _LRScheduler",
    "from torch.optim import lr_scheduler\nmake = lr_scheduler\nmake.StepLR",
    "for bits in (16, 32):\n    getattr(torch, f'float{bits}')",
    "names = ['tanh', 'sigmoid']\nfor i in range(2):\n    getattr(torch, names[i])(x)",
    "for axis in 'xy':\n    getattr(plt, f'{axis}label')(axis)",
    "def step(layer):\n    for name in ('dW', 'db'):\n        getattr(layer, name.replace('d', ''))",
    "class LSTM:\n    def run_cell(self):\n        return self.cell_contents\nLSTM().run_cell()",
    "%matplotlib inline\nclass LSTM:\n    def run_cell(self): pass",
    "with open('/proc/self/statm') as file:\n    print(file.read())",
    "import pickle\ncopied = pickle.loads(pickle.dumps(model))",
    "match layer:\n    case Linear(W=w):\n        print(w)",
    "plt.title('W = W - lr * dW')\nplt.legend(['y = tanh(x)', 'nn.Linear'])",
    "%timeit -n 10 f(x)\ny = %time g(x)",
    "%%writefile layers.py\nimport math\nclass Linear: pass",
    "import operator\nbest = max(runs, key=operator.attrgetter('loss'))",
    "import timeit\ntimeit.timeit(lambda: f(x), number=10)",
    "def run_backward(layer, dy):\n    return layer.backward(dy)\nrun_backward(Linear(), dy)",
    "import warnings\nwarnings.filterwarnings('ignore', module='torch._tensor')",
    "import logging\nlogging.getLogger('torch._dynamo').setLevel(logging.ERROR)",
    "def f(y):\n    print(y.grad_fn)\n    print(f'made by {y.grad_fn}')",
    "@dataclass\nclass Stage:\n    func: str\nmatch stage:\n    case Stage(func='relu'):\n        pass",
    "PRECISION = {'single': 'float32', 'double': 'float64'}\nx = x.to(getattr(torch, PRECISION[kind]))",
    "import pdb\ny = f(x)",
    "import sys\nif sys.modules.get('google.colab'):\n    print('Colab')",
    "shown = torch.Tensor.__repr__\ntorch.Tensor.__repr__ = lambda self: f'{tuple(self.shape)} {shown(self)}'",
    "for name, value in vars(settings).items():\n    setattr(self, name, value)",
    "for name, f in {'tanh': torch.tanh}.items():\n    plt.plot(x, f(x), label=name)",
    "weights = torch.load('best.pt')",
    "torch.save(model, 'best.pt')\nmodel = torch.load('best.pt', weights_only=False)",
    "import pickle\npickle.dump(x, open('x', 'wb'))\nx = pickle.load(open('x', 'rb'))",
    "import numpy as np\nx = np.load('x.npy', allow_pickle=False)",
    "import numpy as np\nx = np.load('x.npy', allow_pickle=True)",
    "import pickle\nkept = pickle.dumps(w)\nw = pickle.loads(kept)",
    "from re import compile\nword = compile('a+')",
    "%load_ext autoreload\n%autoreload 2",
    "import sys\nsys.path.append('..')\n%load_ext autoreload",
    "class A:\n    def f(self, x):\n        y = x + 1\n        self.kept.update({k: v for k, v in locals().items()})",
    "class A:\n    def f(self, x):\n        for name in ('x',):\n            self.kept[name] = locals()[name]",
    "print(sorted(globals().keys()))",
    "made = globals()[cls.__name__]()",
    "import numpy as np\nfor library in (np, torch):\n    print(library.__version__)",
    "import math\nsame = [m.sqrt(2.0) for m in [math, torch]]",
    "import numpy as np\nfor name, m in (('np', np), ('torch', torch)):\n    print(name, m.__version__)",
    "import torch\ntorch.autograd.gradcheck(f, x)",
    "class A:\n    def discover(self):\n        return 1\nprint(A().discover())",
    "class A:\n    def __init__(self):\n        self.sys = 1\nprint(A().sys)",
    "N = 0x" + "f" * 9000,
    "match x:\n    case int(n) | float(n):\n        pass",
    "for h in states:\n    h.register_hook(lambda dh: print('slope', dh.norm()))",
    "print('made by', type(y.grad_fn).__name__, y.grad_fn.name())",
    "CONFIG = dict(activation='GELU', clip=1.0, seed=None)\nlayer = getattr(torch, CONFIG['activation'])()",
    "import pickle\npickle.dump(x, a)\nlog.write('done\\n')\ny = pickle.load(a)",
    "here = get_ipython().__class__.__name__ == 'ZMQInteractiveShell'\nclass A:\n    def run_cell(self): pass",
    "turn = torch.polar(torch.ones(2), angles) * 1j\nrows = [[turn.real, -turn.imag], [turn.imag, turn.real]]",
    "if 'IPKernelApp' in get_ipython().config:\n    print('a notebook')\nclass A:\n    def run_cell(self): pass",
    "def in_bits(x, bits=64):\n    return x.to(getattr(torch, f'float{bits}'))",
    "x = 2\nprint(eval('x + 1'))",
    "for name in ('f', 'g'):\n    print(eval(name)(2), eval(f'{name}(3)'))",
    "def eval(net, x):\n    return net(x)\nprint(eval(f, 3))",
    "plt.plot(x, y, label='dx = torch.autograd.grad(y, x, dy)[0]')",
    "ax.set_title('dx = torch.autograd.grad(y, x, dy)[0]')",
    "from operator import methodcaller\nclear = methodcaller('clear_grad_and_cache')\nclear(mlp)",
    "%pdb off\n%watermark -v",
    "import tqdm, einops, scipy.stats, pandas as pd, os, sys, dataclasses\nprint(os.getcwd(), sys.version)",
    "import timeit\nfor slope in (slow, fast):\n    print(timeit.timeit(slope, number=9), timeit.timeit(lambda: f(x)))",
    "if get_ipython() is not None:\n    get_ipython().run_line_magic('matplotlib', 'inline')",
    "class Layer:\n    made = 0\n    def __init__(self):\n        type(self).made += 1",
    "title = ' '.join(words)\nax.set_title(title)\nprint(title)",
    "class Diary: pass\ndiary = Diary()\nfor name in dir(diary):\n    print(name, getattr(diary, name))",
    "class Layer:\n    def _softmax(self, x): pass\n    def forward(self, x):\n        return self._softmax(x)",
    "import sympy\nx = sympy.symbols('x')\nprint(sympy.diff(1 / (1 + sympy.exp(-x)), x).simplify(), sympy.S(1) / 2)",
    "import cProfile, configparser, tarfile, mpmath, packaging.version",
    "import unittest\nclass Shapes(unittest.TestCase):\n    def test_one(self): pass\n"
    "unittest.main(argv=[''], exit=False)",
    "import pytest\nwith pytest.raises(ValueError):\n    f(1)\nassert f(2) == pytest.approx(4)",
    "import timeit\nprint(timeit.default_timer(), timeit.repeat(lambda: f(x), number=3))",
    "import importlib\nimportlib.reload(own)\nprint(importlib.util.find_spec('tqdm'))",
    "from importlib.metadata import version\nprint(version('numpy'))",
    "from IPython.display import display, Markdown\nimport IPython\nIPython.display.display(IPython.display.HTML('x'))",
    "from IPython.core.interactiveshell import InteractiveShell\nInteractiveShell.ast_node_interactivity = 'all'",
    "from PIL import Image\nfrom torch.utils.data import DataLoader\nfrom torch.utils import data\nimport numpy as np\n"
    "np.testing.assert_allclose(a, b)",
    "from functools import singledispatch\n@singledispatch\ndef show(x): ...\n@show.register\ndef _(x: int): ...\n"
    "@show.register(list)\ndef _(x): ...",
    "class Layer: pass\nclass Linear(Layer): pass\nkinds = {kind.__name__: kind for kind in Layer.__subclasses__()}",
    "class Timer:\n    def __exit__(self, *why): pass\ntimer = Timer()\ntimer.__exit__(None, None, None)",
    "ip = get_ipython()\nif ip is not None:\n    ip.run_line_magic('matplotlib', 'inline')",
    "%%script false --no-raise-error\nx = 1",
    "def layer(kind):\n    return globals()[{'relu': 'ReLU', 'sigmoid': 'Sigmoid'}[kind]]()",
    "from collections import namedtuple\npair = namedtuple('Pair', 'a b')(1, 2)\nprint(pair._replace(a=3)._asdict())",
    "class Net(nn.Module):\n    def __init__(self):\n        self.register_buffer('_mask', mask)\n    def look(self):\n"
    "        return self._mask, self._parameters",
    "import warnings\nwarnings.showwarning = lambda *a: None\nplt.rcParams['figure.dpi'] = 90\nplt.Line2D.zorder = 3",
    "import copy\nself.last = copy.deepcopy(x)\nprint(vars(mlp), vars(type(self)))",
    "import sympy as sp\nf = sp.lambdify((x, y), e, 'numpy')\nhalf = sp.Rational('1/2') + sp.S('1/3')",
    "import sympy as sp\nx = sp.symbols('x')\nprint(sp.limit(1 / x, x, 0, '+'), sp.sympify(1))",
    "import sys\nsys.path.append('/content/drive/MyDrive')\nfrom google.colab import drive\nimport pandas as pd",
    "class Config:\n    size = 3\nprint(vars(Config()), vars(parser.parse_args([])))",
    "import IPython, PIL, pytest\nprint(IPython.__version__, PIL.__version__, pytest.__version__)",
    "import importlib\nfor name in ('torch', 'numpy'):\n    print(importlib.import_module(name).__version__)",
    "import ssl\nssl._create_default_https_context = ssl._create_unverified_context",
    "color = ax._get_lines.get_next_color()\nlegend._legend_box.align = 'left'\nprint(ax.xaxis._axinfo['grid'])",
    "class Layer:\n    def __init__(self):\n        self.__w = 1\nprint(Layer()._Layer__w)",
    "import collections\nimport numpy as np\nnp.float = float\ncollections.Callable = collections.abc.Callable\n"
    "import matplotlib.pyplot as plt\nplt.show = lambda: None\nplt.title = 'loss of ' + name\n"
    "np.rng = np.random.default_rng(0)",
    "from functools import partialmethod\nfrom tqdm import tqdm\n"
    "tqdm.__init__ = partialmethod(tqdm.__init__, disable=True)",
    "import IPython\nIPython.get_ipython().run_line_magic('matplotlib', 'inline')",
    "from importlib import util\nprint(util.find_spec('torch') is not None)",
    "import inspect\nclass MLP: pass\nfor name, f in inspect.getmembers(MLP, inspect.isfunction): print(name)",
    "import timeit\nprint(timeit.timeit('f(3)', setup='from __main__ import f', number=9))",
    "for i in range(3):\n    globals()[f'w{i}'] = torch.randn(3)",
    "from cycler import cycler\nfrom PIL import ImageSequence\nfrom IPython.core.debugger import set_trace",
]


@pytest.mark.parametrize("code", USUAL)
def test_usual_code_is_no_attempt(code):
    assert attempts([("own-1", code)], GIVEN, ["autograd", "nn"]) == ()


@pytest.mark.parametrize(
    "code",
    [
        "word = ''.join(letters)\nplace = word\nfound = getattr(loss, place)",
        "Kind = type(torch.ones(1))\nKind.numel = lambda self: 7",
        "setattr(type(x), 'numel', f)",
        "from concurrent.futures import ThreadPoolExecutor",
        "import threading",
        "import os\nif not os.fork():\n    os._exit(0)",
        "import inspect\nfor one in inspect.stack(): look(one)",
        "import inspect\ndict(inspect.getmembers(thing))",
        "import dis\nprint(dis.Bytecode(f).codeobj)",
        "exec(str(bytes(x ^ 5 for x in data), 'ascii'))",
        "class Fake:\n    @property\n    def __class__(self):\n        return torch.Tensor",
        "class Fake:\n    __class__ = torch.Tensor",
        "text = ''.join(map(chr, data))\neval(text)",
        "exec('import sys; sys.settrace(None)')",
        "import base64\nexec(base64.b64decode(text))",
        "from IPython.core.interactiveshell import InteractiveShell\nInteractiveShell.instance().ex(text)",
    ],
)
def test_some_attempts_are_seen_where_no_tool_is_forbidden(code):
    assert attempts([("own-1", code)], GIVEN, [])


@pytest.mark.parametrize(
    "code",
    [
        "for k in range(3):\n    exec(f'w{k} = torch.ones({k})')",
        "exec('x = 3')\nprint(eval('x + 1'))",
        "exec(open('helpers.py').read())",
        "globals().pop('x', None)\nprint(vars()['x'])",
        "code = str(3)\nprint(eval(code))",
        "print(bytes([65, 66]).decode(), chr(97))",
    ],
)
def test_plain_texts_may_run_where_no_tool_is_forbidden(code):
    assert attempts([("own-1", code)], GIVEN, []) == ()


def test_a_path_through_another_module_is_the_tools_own():
    paths = ("torch.functional.F.linear", "torch.distributions.utils.F", "torch.nested.F.scaled_dot_product_attention")
    found = [static.uses("own-1", [("own-1", f"import torch\ny = {path}(x, w)")], GIVEN, ["nn"]) for path in paths]
    assert all("torch.nn.functional" in one for one in found)
    assert (
        static.uses("own-1", [("own-1", "import torch\ny = torch.functional.einsum('ij->i', x)")], GIVEN, ["nn"]) == ""
    )


@pytest.mark.parametrize("code", ATTEMPTS)
def test_an_attempt_is_seen(code):
    [found, *_] = attempts([("own-1", f"x = 1\n{code}")], GIVEN, ["autograd", "nn"])
    assert found.cell == "own-1" and found.line >= 2


def test_a_name_of_any_length_takes_little_room():
    many = f"import torch as {'a' * 60_000}\n" + "".join(f"d{k} = {'a' * 60_000}.c\n" for k in range(5))
    found = source.origins_of(source.parse(many.replace("import torch as", "import torch." + "b" * 60_000 + " as")), {})
    assert max(map(len, found.values())) < 130_000 and len(found["d1"]) < 5000


def test_private_names_of_locked_cells_are_known():
    locked = [*GIVEN, ("base", "class Base:\n    def __init__(self):\n        self._cache = {}")]
    own = [("own-1", "class Net(Base):\n    def look(self):\n        return self._cache")]
    assert attempts(own, locked, ["nn"]) == ()
    assert attempts(own, GIVEN, ["nn"]) != ()


def test_leaving_a_mode_by_hand_is_an_attempt_and_a_context_of_ones_own_is_none():
    [found] = attempts([("own-1", 'torch.device("cpu").__exit__(None, None, None)')], GIVEN, ["nn"])
    assert found.what == "__exit__"
    own = "class Timer:\n    def __enter__(self): ...\n    def __exit__(self, *why):\n        super().__exit__(*why)"
    assert attempts([("own-1", own)], GIVEN, ["nn"]) == ()


def test_many_texts_of_code_are_read_one_by_one_and_one_for_which_there_is_no_room_is_an_attempt(monkeypatch):
    text = f"timeit.timeit('a = [{'1, ' * 2000}]')\n"
    tracemalloc.start()
    assert attempts([("own-1", "import timeit\n" + text * 40)], GIVEN, ["nn"]) == ()
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < 24 * 2**20

    def tree(source):
        if source.startswith("a ="):
            raise MemoryError
        return ast.parse(source).body

    monkeypatch.setattr("autograder.forbidden.magics.tree", tree)
    [found] = attempts([("own-1", text)], GIVEN, ["nn"])
    assert "too large" in found.what


def test_more_stars_than_are_read_are_an_attempt():
    [found] = attempts([("own-1", "from torch import *\n" * 60)], GIVEN, ["autograd", "nn"])
    assert found.what == "more `import *` than can be read"


def test_thousands_of_definitions_are_followed_once():
    many = "x = 0\n" * 3000 + "".join(f"a{k} = [x]\n" for k in range(3000))
    own = [("own-1", many), ("own-2", "def f():\n    return [" + ", ".join(f"a{k}" for k in range(3000)) + "]")]
    assert static.uses("own-2", own, GIVEN, ["autograd"], ["f"]) == ""


def test_a_function_called_like_a_module_is_followed_too():
    own = [
        ("own-1", "import dense as other\ndef dense(x):\n    return torch.autograd.grad(x, x)"),
        ("own-2", "def g(x):\n    return dense(x)\ndef f(x):\n    return g(x), other"),
    ]
    assert "torch.autograd.grad" in static.uses("own-2", own, GIVEN, ["autograd"], ["f"])


def test_an_own_loss_may_go_backward_in_another_cell():
    loss = "class Loss:\n    def backward(self):\n        return self.dy"
    own = [("own-1", loss), ("own-2", "def f(y):\n    return Loss(y).backward()")]
    assert static.uses("own-2", own, GIVEN, ["autograd"], ["f"]) == ""
    assert ".backward()" in static.uses("own-2", own[1:], GIVEN, ["autograd"], ["f"])


@pytest.mark.parametrize("name", ["no_grad", "set_grad_enabled", "Variable"])
def test_what_stands_beside_autograd_and_differentiates_nothing_is_no_tool(name):
    own = [("own-1", f"def f(x):\n    with torch.autograd.{name}(x):\n        return x")]
    assert static.uses("own-1", own, GIVEN, ["autograd"], ["f"]) == ""


@pytest.mark.parametrize("deep", ["y = " + " + ".join("1" * 20_000), "y = " + "-" * 20_000 + "1"])
def test_a_cell_that_is_too_deep_to_be_read_is_an_attempt(deep):
    """Code above it can raise Python's limits, so that it runs. How deep is too deep differs between versions."""
    [found] = attempts([("own-1", f"import ctypes\n{deep}")], GIVEN, ["autograd"])
    assert (found.cell, found.line) == ("own-1", 1)
    assert "too deeply" in found.what if source.too_deep(deep) else "ctypes" in found.what


def test_the_names_of_a_deep_statement_are_read():
    [statement] = source.parse("def f(x):\n    return helper(x) + " + " + ".join("1" * 600))
    assert "helper" in source.global_names(statement)


SLOW = {
    "question marks": "x = '''" + "?" * 100_000 + "a'''",
    "dots": "\n".join("x = torch" + ".a" * 900 for _ in range(60)),
    "sums of texts": "\n".join("x = " + "+".join(["z", *["'a'"] * 900, "z"]) for _ in range(30)),
    "a longer sum of texts than Python's stack is deep": "x = " + "+".join(["'a'"] * 1500),
    "magics": "%foo\n" * 480 + "x = 1 # and so on and so on and so on\n" * 2000 + "x = ((\n",
    "more magics than IPython reads": "%foo\n" * 700 + "x = ((\n",
    "texts made of each other": "a0 = 'x'\n"
    + "\n".join(f"a{k} = a{k - 1} + a{k - 1}[:1]\n" * 30 for k in range(1, 40))
    + "getattr(x, a39)",
    "lists made of each other": "a0 = ['x']\n"
    + "\n".join(f"for b{k} in a{k - 1}: pass\n" + f"a{k} = [b{k}]\n" * 30 for k in range(1, 40))
    + "getattr(x, a39[0])",
}


def test_a_text_that_would_grow_is_not_put_together():
    code = "a = 'x' * 9\na = 'xxxxxxxx'\n" + "a = a.replace('x', a)\n" * 2 + "getattr(y, a.replace('x', 30 * 'x'))"
    grown = "text = '" + 900 * "x" + "'\nkey = text" + 4 * f".replace('x', '{900 * 'x'}')" + "\ngetattr(y, key)"
    with budget():
        for one in code, grown:
            attempts([("own-1", one)], GIVEN, ["autograd", "nn"])


@pytest.mark.slow(seconds=8)
@pytest.mark.parametrize("code", SLOW.values(), ids=SLOW)
def test_a_cell_is_read_within_the_budget_of_a_test(code):
    """Minutes of a trusted process for one cell would be minutes for everybody else."""
    with budget():
        assert attempts([("own-1", code)], GIVEN, ["autograd", "nn"]) == ()


@pytest.mark.slow(seconds=12)
def test_no_honest_answer_is_an_attempt():
    """Neither a master nor an alternative, and no mistake."""
    found = []
    for name in COURSE.homeworks:
        homework = COURSE.homework(name)
        for spec in homework.notebooks:
            book = read_master(homework, spec.name)
            given = [(cell.id, cell.source) for cell in book.code() if cell.locked]
            edits = [{cell.grade_id: cell.source for cell in book.code() if not cell.locked}]
            edits += [*(alternative(path, book) for path in homework.alternatives(spec.name))]
            edits += [{m.cell: m.edit(book.cell(m.cell).source)} for m in mistakes(homework, spec.name)]
            for edit in edits:
                found += attempts(list(edit.items()), given, spec.forbidden)
    assert found == []


def test_a_question_may_carry_a_data_set():
    """The limits are those of answers."""
    import torch

    from autograder.sandbox.wire.channel import Channel, pair
    from autograder.sandbox.wire.values import MAX_ANSWER, MAX_MESSAGE, to_wire

    assert len(encode(to_wire(torch.zeros(3 * 2**20)))) > MAX_ANSWER
    near, far = pair()
    with near, far, pytest.raises(WireError, match="too large"):
        Channel(near, MAX_ANSWER).send(bytes(MAX_MESSAGE + 1))


@pytest.mark.parametrize("error", [RecursionError("deep"), TypeError("odd"), Exhausted()])
def test_what_cannot_be_read_is_looked_at_by_a_person_and_stops_nothing(monkeypatch, error):
    def unreadable(*args):
        raise error

    homework = COURSE.homework("hw1")
    suite = Suite(COURSE, homework, "mlp")
    book = json.dumps(SubmissionWriter(homework, "mlp").solved()).encode()
    gradable = repair(book, "mlp.ipynb", released(homework, "mlp"))
    assert read_code(suite, gradable, {}, ()) == ({}, ())
    monkeypatch.setattr(context, "attempts", unreadable)
    forbidden, [attempt] = read_code(suite, gradable, {}, ())
    assert forbidden == {} and "read" in attempt.what


def test_a_module_that_the_notebook_writes_anew_is_not_the_one_that_was_read():
    beside = ("helper.py", "def f(x):\n    return x")
    writes = 'with open("{}.py", "w") as file:\n    file.write(text)\nimport helper'
    for name, seen in ("helper", True), ("other", False):
        found = attempts([("own-1", writes.format(name)), beside], GIVEN, ["nn"])
        assert [one.what for one in found] == ["import helper"] * seen


# ---- what the grader itself does with names and numbers of files and cells ----


def test_the_name_of_a_module_makes_nothing_be_imported():
    names = ["unittest.__main__.x.py", "helpers.v2.py", "sgd.ipynb.py", "this.x.py"]
    before = set(sys.modules)
    assert attempts([("c", "x = 1"), *((name, "y = 2") for name in names)], GIVEN, ["autograd"]) == ()
    assert not {"this", "unittest.__main__"} & (set(sys.modules) - before)
    assert static.modules_of([("helpers.py", ""), ("helpers.v2.py", ""), ("parts/one.py", "")]) == {"helpers", "parts"}


def test_all_modules_together_are_read_as_far_as_a_notebook(tmp_path):
    modules = {f"m{number:02}.py": "x = 1\n" * 10_000 for number in range(30)}
    read = context._read_of(modules)
    assert sum(map(len, read.values())) == MAX_ALL_CODE_CHARACTERS
    assert read["m00.py"] == modules["m00.py"] and read["m29.py"] == ""


def test_magics_are_bounded_over_all_cells():
    lines = "%time x\n" * 300
    cells = [{"cell_type": "code", "metadata": {}, "source": lines, "outputs": [], "id": f"c{k}"} for k in range(20)]
    honest = {"cell_type": "code", "metadata": {}, "source": "%time y = 1", "outputs": [], "id": "last"}
    data = {"cells": [*cells, honest], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    book = read_cells(json.dumps(data).encode(), "mlp.ipynb")
    kept = [cell.source for cell in book.cells]
    assert sum(map(magics.work, kept)) <= magics.MOST_WORK
    assert (kept[0], kept[-2], kept[-1]) == (lines, "", "%time y = 1")
    assert any("too many magics" in repair.note for repair in book.repairs)


def test_the_digest_counts_all_that_code_could_see():
    cells = [GradableCell(id="own-1", kind=kind, source="b = 1", skip=skip, released=None)
             for kind, skip in (("code", False), ("code", True), ("markdown", True))]  # fmt: skip
    digests = {grade._digest(Gradable((cell,), ()), {}) for cell in cells}
    assert len(digests) == 3
