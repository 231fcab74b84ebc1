"""A session runs a notebook in order, survives what its cells do, and gives each test a fork of its own."""

import shutil
import time
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest
import torch

from autograder.confine import jail
from autograder.course.course import Limits, open_course
from autograder.examination.harness import Harness
from autograder.examination.suite import Suite
from autograder.sandbox import zygote_client
from autograder.sandbox.lines import InProcessLine
from autograder.sandbox.object_client import Student
from autograder.sandbox.patience import Waiting
from autograder.sandbox.session import Session
from autograder.sandbox.spawning import Load
from autograder.sandbox.student_error import Allowance, StudentError
from autograder.sandbox.wire.messages import MOST_ALT, Shown, decode_report, encode
from autograder.sandbox.wire.wire_error import WireError
from autograder.sandbox.zygote_client import SandboxLost, Zygote

COURSE = Path(__file__).parent.parent
LIMITS = Limits(
    cell_seconds=60, total_seconds=300, call_seconds=60, memory_mb=500, processes=48, disk_mb=16, output_mb=1
)
IMPATIENT = msgspec.structs.replace(LIMITS, cell_seconds=2, total_seconds=60, call_seconds=2.5)
"""where a test waits for a time limit; everywhere else, no busy machine may reach one"""

pytestmark = pytest.mark.slow(seconds=40, waits=True)
FUNCTION = "def f(x):\n    return x + 1"


@dataclass(frozen=True)
class Cell:
    id: str
    source: str
    skip: bool = False
    tested: bool = False
    own: bool = False


@pytest.fixture(scope="module", params=["A", "C"])
def zygote(request):
    if jail.probe().tier.value != "A" and request.param == "A":
        pytest.skip("this machine does not reach tier A")
    zygote = Zygote(COURSE, request.param)
    assert zygote.tier == request.param
    yield zygote
    zygote.close()


def session(zygote, *sources, shut=(), limits=LIMITS):
    return Session(zygote, limits, [Cell(f"c{number}", source) for number, source in enumerate(sources)], shut)


def asked(live, question):
    line = live.fork()
    try:
        return question(Student(line))
    finally:
        line.close()


@pytest.mark.parametrize("seconds", [0, 0.5])
def test_a_zygote_that_dies_at_once_is_said_to_have_not_started(monkeypatch, seconds):
    monkeypatch.setattr(zygote_client, "_MAIN", "raise SystemExit(1)")
    dead = Zygote(COURSE, libraries=lambda: time.sleep(seconds) or ())
    with pytest.raises(RuntimeError, match="could not be started"):
        _ = dead.ready
    dead.close()


def test_a_zygote_that_is_killed_while_it_starts_may_be_started_again(monkeypatch):
    monkeypatch.setattr(zygote_client, "_MAIN", "import os\nos.kill(os.getpid(), 9)")
    dead = Zygote(COURSE, libraries=lambda: ())
    with pytest.raises(SandboxLost, match="killed by signal 9 while it started"):
        _ = dead.ready
    dead.close()


FILES = """
from pathlib import Path

Path("kept.txt").write_text("before")
Path("own").mkdir()
Path("link").symlink_to("kept.txt")

def note():
    Path("new.txt").write_text("x")
    Path("deep/er").mkdir(parents=True)
    Path("kept.txt").write_text("after.")
    Path("own").rmdir()
    Path("own").write_text("no folder any more")
    Path("link").unlink()
    return look()

def look():
    here = [name for name in ("deep", "kept.txt", "link", "new.txt", "own") if Path(name).exists()]
    return here, Path("kept.txt").read_text(), Path("own").is_dir()
"""


def test_what_one_test_writes_is_gone_before_the_next(zygote):
    before = ["kept.txt", "link", "own"], "before", True
    after = ["deep", "kept.txt", "new.txt", "own"], "after.", False
    with session(zygote, FILES) as live:
        live.run()
        for _ in range(2):
            assert asked(live, lambda student: student.note()) == after
            assert asked(live, lambda student: student.look()) == before
        for question in "note", "look":  # in one fork, which tests share
            line = live.turn("", 1)
            assert getattr(Student(line), question)() == (after if question == "note" else before)
            line.close()


def test_outputs_come_in_order_and_errors_do_not_stop_the_notebook(zygote):
    picture = "import matplotlib.pyplot as plt\nprint('before')\nplt.plot([1, 2])\nplt.show()\nprint('after')"
    with session(zygote, "print(1)\n2", "1 / 0", picture, "get_ipython().run_cell = None", "f'{3}'") as live:
        live.run()
        shown = [(output.cell, output.kind, output.text) for output in live.outputs]
    assert shown[:2] == [("c0", "stdout", "1\n"), ("c0", "text", "2")]
    assert shown[2][:2] == ("c1", "error") and "ZeroDivisionError" in shown[2][2] and "line 1" in shown[2][2]
    assert [kind for cell, kind, _ in shown if cell == "c2"] == ["stdout", "image/png", "stdout"]


def test_magics_as_older_notebooks_call_them_run_no_code(zygote):
    sources = 'get_ipython().magic("matplotlib inline")\nx = 1', 'get_ipython().magic("%time x = 2")\ny = x'
    with session(zygote, *sources) as live:
        live.run()
        assert not any(output.kind == "error" for output in live.outputs)
        assert asked(live, lambda student: (student.x, student.y)) == (1, 1)


def test_a_module_that_the_cell_writes_is_not_missing(zygote):
    source = "from pathlib import Path\nPath('mine.py').write_text('half = 0.5')\nimport mine\nx = mine.half"
    with session(zygote, source, "import nowhere.at_all as n, math\nx += math.floor(1.5)", "n.thing") as live:
        live.run()
        assert asked(live, lambda student: student.x) == 1.5
        errors = [(output.cell, output.text) for output in live.outputs if output.kind == "error"]
    assert [cell for cell, _ in errors] == ["c1", "c2"]
    assert all("ModuleNotFoundError: No module named 'nowhere'" in text for _, text in errors)


def test_a_syntax_of_its_own_ends_with_the_cell(zygote):
    with session(zygote, "from __future__ import annotations, barry_as_FLUFL", "1 <> 2", "def f(x: y): ...") as live:
        live.run()
    [output] = live.outputs
    assert (output.cell, output.kind) == ("c1", "error") and output.text.startswith("SyntaxError")


SHOW_FIGURE = (COURSE / "common.py").read_text() + "plt.plot([2, 1])\nshow_figure('it falls from 2 to 1')"
GIVEN_ALT = """
import numpy as np
from IPython.display import Image, display
png = b"\\x89PNG, perhaps"

class Word(str):
    def __getitem__(self, place): return self

for alt in {alts}:
    display({{"image/png": png}}, metadata={{"image/png": {{"alt": alt}}}}, raw=True)
"""


def alts_of(zygote, *sources):
    with session(zygote, *sources) as live:
        live.run()
    assert live.incidents == []
    return [(output.kind, output.alt) for output in live.outputs]


def test_a_figure_comes_once_with_its_text_alternative(zygote):
    named = "from IPython.display import Image\nImage(data=b'\\x89PNG, perhaps', format='png', alt='all are equal')"
    plain = "import matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.show()"
    said = alts_of(zygote, SHOW_FIGURE, named, plain)
    assert said == [("image/png", "it falls from 2 to 1"), ("image/png", "all are equal"), ("image/png", "")]


def test_a_text_alternative_is_cut_and_what_is_no_text_is_none(zygote):
    alts = "['x' * 2**20, '\\ud800', np.str_('two'), b'bytes', {'alt': 'x'}, 7, None, ['x'], Word('y')]"
    said = [alt for _, alt in alts_of(zygote, GIVEN_ALT.format(alts=alts))]
    assert said == ["x" * MOST_ALT, "?", "two", "", "", "", "", "", "y"]


def test_metadata_of_any_kind_are_no_text_alternative(zygote):
    source = """
from IPython.display import display
png = {"image/png": b"png"}
for metadata in (None, "alt", ["image/png"], {"image/png": "alt"}, {"image/png": None}, {"alt": "x"}, {1: 2}):
    get_ipython().display_pub.publish(png, metadata)
"""
    assert alts_of(zygote, source) == [("image/png", "")] * 7


def test_a_text_alternative_that_the_sandbox_did_not_cut_breaks_the_wire():
    def sent(letters):
        return decode_report(encode(Shown(b"", "image/png", alt="x" * letters)))

    assert sent(MOST_ALT).alt == "x" * MOST_ALT
    with pytest.raises(WireError):
        sent(MOST_ALT + 1)


def test_a_demo_cell_is_skipped(zygote):
    with Session(zygote, LIMITS, [Cell("a", FUNCTION), Cell("b", "1 / 0", skip=True)]) as live:
        live.run()
        assert live.outputs == [] and asked(live, lambda student: student.f(1)) == 2


@pytest.mark.parametrize(
    ("harm", "kind"),
    [
        ("import os\nos._exit(0)", "exit"),
        ("import ctypes\nctypes.string_at(0)", "crash"),
        ("while True: pass", "timeout"),
        ("while True:\n    try:\n        while True: pass\n    except BaseException: pass", "timeout"),
        ("hog = []\nwhile True: hog.append(bytearray(2**27))", "memory"),
        ("for i in range(200_000): print('x' * 50)", "output"),
    ],
)
def test_a_cell_that_does_harm_is_told_of_and_the_others_count(zygote, harm, kind):
    limits = IMPATIENT if kind == "timeout" else LIMITS
    with session(zygote, FUNCTION, harm, "def g(x):\n    return 2 * x", limits=limits) as live:
        live.run()
        assert asked(live, lambda student: (student.f(1), student.g(4))) == (2, 8)
    assert [(incident.kind, incident.cell) for incident in live.incidents] == [(kind, "c1")]
    assert "‘c1’" in live.incidents[0].note


@pytest.mark.parametrize(
    "harm",
    [
        "import os\nos.closerange(0, 4096)\nfor fd in range(4096):\n    try: os.close(fd)\n    except OSError: pass",
        "import os\nfor fd in range(3, 200):\n    try: os.write(fd, b'nonsense')\n    except OSError: pass",
        "import os\nfor pid in range(99):\n    if os.fork() == 0: break",
        "import sys\nsys.exit(1)",
        "input('name?')",
    ],
)
def test_a_notebook_cannot_cut_its_own_line(zygote, harm):
    with session(zygote, FUNCTION, harm, "print('still here')") as live:
        live.run()
        assert asked(live, lambda student: student.f(1)) == 2
    assert [output.text for output in live.outputs if output.cell == "c2"] == ["still here\n"]


def test_every_test_has_a_fork_of_the_finished_notebook(zygote):
    with session(zygote, "count = 0\ndef next_number():\n    global count\n    count += 1\n    return count") as live:
        live.run()
        assert asked(live, lambda student: [student.next_number(), student.next_number()]) == [1, 2]
        assert asked(live, lambda student: student.next_number()) == 1


def test_tests_that_take_turns_find_the_notebook_as_it_was(zygote):
    with session(zygote, FUNCTION, "import random\ndef g():\n    return random.random()") as live:
        live.run()
        first = Student(live.turn())
        drawn = first.g()
        first.run("f = None; left = 1")
        second = Student(live.turn())
        assert second.f(1) == 2 and second.g() == drawn
        with pytest.raises(StudentError, match="left"):
            _ = second.left


def test_right_parts_are_there_only_while_they_are_lent(zygote, tmp_path):
    right = "class RightPart:\n    value = 7\n\ndef _right_answer():\n    return 7\n"
    (tmp_path / "course.py").write_text(f"{right}\ndef answer():\n    return _right_answer()\n")
    parts = Harness(tmp_path / "course.py")
    with session(zygote, "KEPT = []\ndef keep(part):\n    KEPT.append(part)\n    return len(KEPT)") as live:
        live.run()
        line = live.turn()
        student = Student(line)
        assert parts.beside(student).answer() is None
        with pytest.raises(StudentError, match="value"):
            _ = parts.beside(student).RightPart.value
        lent = parts.lending(student, "RightPart", "_right_answer")
        assert lent.answer() is None
        assert lent._right_answer() == lent.RightPart.value == 7 and student.keep(lent.RightPart) == 1
        line.close()
        assert Student(live.turn()).keep(1) == 1  # in a process that has seen none of it


def test_a_turn_that_ends_its_fork_leaves_the_next_one_a_new_fork(zygote):
    with session(zygote, FUNCTION, "import os\ndef harm():\n    os._exit(3)") as live:
        live.run()
        with pytest.raises(StudentError, match=r"your code ended the Python process$"):
            Student(live.turn()).harm()
        assert Student(live.turn()).f(1) == 2
    assert live.incidents == []


@pytest.fixture
def suite(tmp_path):
    """Three tests of one function, which should give back what it gets; the third expects something else of it."""
    homework = tmp_path / "hw1"
    (homework / "hidden").mkdir(parents=True)
    (homework / "mistakes").mkdir()
    (tmp_path / "course.toml").write_text('id = "c"\ntitle = "C"\nhomeworks = ["hw1"]\nrepository = "o/c"\n')
    (homework / "homework.toml").write_text(
        'title = "H"\n[[notebooks]]\nname = "one"\ntitle = "One"\nminutes = 1\n', encoding="utf-8"
    )
    (homework / "one.py").write_text(
        '# %% nbgrader={"grade_id": "f", "solution": true}\n### BEGIN SOLUTION\ndef f(x):\n    return x\n'
        '### END SOLUTION\n\n# %% nbgrader={"grade_id": "check", "grade": true, "points": 3, "locked": true}\nf(1)\n'
    )
    (homework / "mistakes" / "one.toml").write_text(
        '[[mistake]]\nid = "negated"\ntitle = "negated"\ncell = "f"\nreplace = "return x"\nwith = "return -x"\n'
        'fails = ["check"]\nhint = "Which sign?"\n'
    )
    tests = "from autograder import earns\n"
    for number, right in enumerate((1, 1, 2)):
        tests += f'\n\n@earns("check")\ndef test_{number}(student):\n    assert student.f(1.25) == {1.25 * right}\n'
    (homework / "hidden" / "test_one.py").write_text(tests)
    course = open_course(tmp_path)
    return Suite(course, course.homework("hw1"), "one")


def examined(suite, zygote, source):
    """Which tests pass, which mistakes are named, and how many forks were asked for."""
    forks = []
    with session(zygote, source) as live:
        live.run()
        found = suite.examine(lambda cell: forks.append(1) or live.fork(cell), live.turn)
    named = [diagnosis.mistake for diagnosis in found.diagnoses.get("check", ())]
    return [test.passed for test in found.tests], named, len(forks)


def test_each_test_of_a_cell_sees_the_names_that_its_check_saw(zygote):
    """Also a name that is None, and that the cell of the test before did not have yet."""
    cells = [
        Cell("code", "def f(x):\n    return x, kept, extra\n\nextra = 1"),
        Cell("early", "kept = 2", tested=True),
        Cell("between", "extra, kept, late = None, 3, None"),
        Cell("late", "pass", tested=True),
        Cell("end", "def f(x):\n    return 'another'"),
    ]
    with Session(zygote, LIMITS, cells) as live:
        live.run()
        answers = [Student(live.turn(cell)).f(0) for cell in ("early", "late", "early", "late", "")]
        assert answers == [(0, 2, 1), (0, 3, None), (0, 2, 1), (0, 3, None), "another"]
        with pytest.raises(StudentError, match="late"):
            Student(live.turn("early")).late  # noqa: B018
        assert Student(live.turn("late")).late is None


def test_what_fails_in_its_turn_is_asked_alone(zygote, suite):
    """The second test fails for what the first one left in the student's process; the third by itself."""
    source = "calls = []\ndef f(x):\n    calls.append(x)\n    return x if len(calls) == 1 else None"
    assert examined(suite, zygote, source) == ([True, True, False], [], 2)


def test_what_a_known_mistake_explains_is_not_asked_again(zygote, suite):
    assert examined(suite, zygote, "def f(x):\n    return -x") == ([False, False, False], ["negated"], 0)


def test_a_known_mistake_that_comes_with_the_second_call_explains_nothing(zygote, suite):
    """It answers as the mistake does only after another test; the first test, which passes, tells them apart."""
    source = "calls = []\ndef f(x):\n    calls.append(x)\n    return x if len(calls) == 1 else -x"
    assert examined(suite, zygote, source) == ([True, True, False], [], 2)


def test_notebooks_of_one_name_have_tests_of_their_own(suite, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(tmp_path, other, ignore=shutil.ignore_patterns("other"))
    tests = 'from autograder import earns\n\n\n@earns("check")\ndef test_of_another(student):\n    pass\n'
    (other / "hw1" / "hidden" / "test_one.py").write_text(tests)
    course = open_course(other)
    suites = suite, Suite(course, course.homework("hw1"), "one"), suite
    found = [one.run(lambda: InProcessLine({"f": lambda x: x}, suite.spec)) for one in suites]
    own = ["test_0", "test_1", "test_2"]
    assert [[test.name for test in tests] for tests in found] == [own, ["test_of_another"], own]


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("x = (10\n%3)", 1),
        ("%time x = 2", 2),
        ("  x = 3", 3),
        (">>> x = 4", 4),
        ("import asyncio\nx = await asyncio.sleep(0, 5)", 5),
    ],
)
def test_a_cell_runs_as_in_jupyter(zygote, source, value):
    with session(zygote, source) as live:
        live.run()
        assert asked(live, lambda student: student.x) == value


LEFT_BEHIND = {
    "torch.set_default_dtype(torch.float64)": "str(torch.ones(2).dtype)",
    "torch.set_default_device('meta')": "str(torch.ones(2).device)",
    "torch.set_grad_enabled(False)": "torch.ones(2, requires_grad=True).mul(2).requires_grad",
    "torch.inference_mode().__enter__()": "torch.ones(2, requires_grad=True).mul(2).requires_grad",
    "torch.autocast('cpu').__enter__()": "str((torch.ones(2, 2) @ torch.ones(2, 2)).dtype)",
    "torch.set_printoptions(precision=1)": "str(torch.tensor(0.123456))",
    "import numpy; numpy.set_printoptions(precision=1)": "str(numpy.float64(1) * numpy.array([0.123456]))",
    "import numpy; numpy.seterr(all='raise')": "str(numpy.geterr()['divide'])",
    "import warnings; warnings.simplefilter('error')": "warnings.warn('old') is None",
    "import sys; sys.setrecursionlimit(60)": "sys.getrecursionlimit() > 500",
    "import signal; signal.signal(signal.SIGALRM, lambda *_: 1)": "signal.getsignal(signal.SIGALRM) is signal.SIG_DFL",
    "import os; os.makedirs('sub'); os.chdir('sub')": "os.path.basename(os.getcwd()) != 'sub'",
    "import os; os.environ['HOME'] = '/x'": "os.environ['HOME'] != '/x'",
    "import gc; gc.disable()": "gc.isenabled()",
}


@pytest.mark.parametrize("cell", LEFT_BEHIND)
def test_what_a_cell_leaves_behind_is_put_back_before_the_tests(zygote, cell):
    modules = "import torch, gc, os, signal, sys, warnings, numpy\n"
    answers = []
    for left in ("", cell):
        with session(zygote, f"{modules}def f():\n    return {LEFT_BEHIND[cell]}", left) as live:
            live.run()
            answers.append(asked(live, lambda student: student.f()))
    assert answers[0] == answers[1]


def test_every_fork_draws_the_same_numbers(zygote):
    code = "import random, numpy, torch\ndef f():\n    return random.random(), numpy.random.rand(), torch.rand(2)"
    with session(zygote, code) as live:
        live.run()
        first, second = (asked(live, lambda student: student.f()) for _ in range(2))
    assert first[:2] == second[:2] and torch.equal(first[2], second[2])


@pytest.mark.parametrize(
    ("harm", "error"),
    [
        ("import os\n    os._exit(3)", "Crash"),
        ("while True: pass", "TimeoutError"),
        ("hog = []\n    while True: hog.append(bytearray(2**27))", "Crash"),
        ("return lambda: None", None),
        ("import sys\n    sys.exit(2)", "SystemExit"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt"),
    ],
)
def test_what_one_test_meets_leaves_the_next_alone(zygote, harm, error):
    limits = IMPATIENT if error == "TimeoutError" else LIMITS
    with session(zygote, f"def bad():\n    {harm}", FUNCTION, limits=limits) as live:
        live.run()
        if error:
            with pytest.raises(StudentError) as caught:
                asked(live, lambda student: student.bad())
            assert caught.value.type == error
        assert asked(live, lambda student: student.f(1)) == 2


def test_a_run_gets_its_allowance_and_its_own_word_when_it_takes_longer(zygote):
    def question(student):
        with student.within(Allowance(60, "far too long")):
            student.run("import time\ntime.sleep(3)")  # longer than any other call may take
        with student.within(Allowance(0.5, "this run was stopped")):
            student.f(1)

    with session(zygote, "def f(x):\n    while True:\n        pass", limits=IMPATIENT) as live:
        live.run()
        with pytest.raises(StudentError) as caught:
            asked(live, question)
    assert (caught.value.type, caught.value.message) == ("TimeoutError", "this run was stopped")


def test_an_exception_names_its_cell_and_line(zygote):
    with session(zygote, FUNCTION, "def g(x):\n    y = f(x)\n    return y / 0") as live:
        live.run()
        with pytest.raises(StudentError) as caught:
            asked(live, lambda student: student.g(1))
    assert (caught.value.type, caught.value.cell, caught.value.line) == ("ZeroDivisionError", "c1", 3)


@pytest.mark.parametrize(("cell", "line"), [("c0", 2), ("c1", 90), ("c1", 10**6), ("c9", 1)])
def test_an_exception_names_no_line_that_was_made_up(zygote, cell, line):
    code = f"code = compile('raise KeyError', '<cell {cell}>', 'exec')\n"
    code += f"def g():\n    exec(code.replace(co_firstlineno={line}))" + "\n" * 200
    with session(zygote, FUNCTION, code) as live:
        live.run()
        with pytest.raises(StudentError) as caught:
            asked(live, lambda student: student.g())
    told = {"c0": ("c0", 2), "c1": ("c1", 0), "c9": ("", 0)}[cell]  # a line with code can be taken, and no other
    assert (caught.value.type, caught.value.cell, caught.value.line) == ("KeyError", *told)


def test_objects_stay_behind_and_are_used_by_handle(zygote):
    code = "class Box:\n    def __init__(self): self.items = {}\n    def __setitem__(self, k, v): self.items[k] = v\n"
    with session(zygote, code + "    def __getitem__(self, k): return self.items[k]") as live:
        live.run()

        def use(student):
            box = student.Box()
            box["a"] = torch.ones(2)
            box.label = (1, "x")
            return box["a"], box.label, student.run("Box.__name__")

        value, label, name = asked(live, use)
    assert torch.equal(value, torch.ones(2)) and label == (1, "x") and name == "Box"


def test_forbidden_tools_are_shut_in_forks_alone(zygote):
    learn = "import torch\nx = torch.ones(2, requires_grad=True)\n(x * x).sum().backward()\nprint(x.grad)"
    cheat = "z.requires_grad_()\n    with torch.enable_grad(): (z * z).sum().backward()"
    code = f"def f(z):\n    {cheat}\n    return z.grad"
    with session(zygote, learn, code, shut=["autograd"]) as live:
        live.run()
        assert "tensor([2., 2.])" in live.outputs[0].text
        with pytest.raises(StudentError) as caught:
            asked(live, lambda student: student.f(torch.ones(2)))
    assert caught.value.type == "ForbiddenTool"


def test_what_a_tested_call_prints_is_not_shown(zygote):
    with session(zygote, "def f(x):\n    print('the hidden input is', x)\n    return x") as live:
        live.run()
        asked(live, lambda student: student.f(12345))
    assert live.outputs == []


EAGER = msgspec.structs.replace(LIMITS, cell_seconds=4, total_seconds=16, call_seconds=20)
SLOW = "import time\ntime.sleep(3)"


def test_the_students_experiments_use_up_only_their_own_time(zygote):
    cells = [Cell(f"own-{number}", SLOW, own=True) for number in range(5)]
    cells += [Cell("helper", "def g(x):\n    return x + 1", own=True), Cell("f", "def f(x):\n    return g(x)")]
    with Session(zygote, EAGER, cells) as live:
        live.run()
        assert asked(live, lambda student: student.f(1)) == 2
    stopped = [incident.note for incident in live.incidents]
    assert any("The cells that you added used up their 8 seconds" in note for note in stopped)


def test_many_short_experiments_do_not_use_up_the_time_either(zygote):
    cells = [Cell(f"own-{number}", "import time\ntime.sleep(0.9)", own=True) for number in range(20)]
    with Session(zygote, EAGER, [*cells, Cell("f", FUNCTION)]) as live:
        live.run()
        assert asked(live, lambda student: student.f(1)) == 2
    assert any("was not run" in incident.note for incident in live.incidents)


def test_slow_cells_leave_half_of_the_time_to_the_tests(zygote):
    limits = msgspec.structs.replace(EAGER, total_seconds=6)
    with Session(zygote, limits, [Cell("f", FUNCTION), Cell("slow", SLOW), Cell("more", SLOW)]) as live:
        live.run()
        assert asked(live, lambda student: student.f(1)) == 2


def test_waiting_for_a_busy_machine_is_not_counted():
    seconds = iter([0.5, 0.7, 5.0, 9.0])
    waiting = Waiting(2.0, lambda: next(seconds))
    assert [round(waiting.more(), 3) for _ in range(4)] == [0.5, 0.2, 1.3, 0.0]


def test_a_zygote_whose_client_gives_up_while_it_starts_says_nothing(capfd, monkeypatch):
    monkeypatch.setattr(Zygote, "_load", lambda zygote: None)  # it is never told what to load
    Zygote(COURSE, "none").close()
    unheard = Zygote(COURSE, "none")
    unheard._socket.send(msgspec.msgpack.encode(Load(())))
    unheard.close()  # it loads what it was told, and then nobody listens
    assert capfd.readouterr().err == ""


def test_the_latest_values_have_their_usual_names(zygote):
    with session(zygote, "3 * 7", "_ + 1", "print(_, __)\n_ = 5", "'shown'", "print(_)") as live:
        live.run()
        assert [shown.text for shown in live.outputs] == ["21", "22", "22 21\n", "'shown'", "5\n"]


def test_a_cell_for_another_program_is_left_out(zygote):
    with session(zygote, "%%bash\nls", "1") as live:
        live.run()
        assert [(shown.kind, shown.text) for shown in live.outputs] == [
            ("stderr", "The grader runs no other programs, so this was left out: %%bash\n"),
            ("text", "1"),
        ]
