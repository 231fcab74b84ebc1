"""Transcripts on disk, the line that answers from them, and what shows that a hidden test has changed."""

import ast
import os
import stat
from pathlib import Path

import msgspec
import pytest
import torch

from autograder.course.course import open_course
from autograder.examination.dialogue import Dialogue, answer_text, shown
from autograder.examination.fingerprint import TestFingerprints
from autograder.examination.recording import NotRecorded, Recorder, Recording, ReplayLine, Room
from autograder.examination.relation import SAME, relation
from autograder.examination.suite import Suite, collected
from autograder.examination.transcribing import Transcriber, recording_of
from autograder.results import transcript
from autograder.results.transcript import Index, NotebookRecord, Run, TestRecord, Unusable, Work, WorkCell
from autograder.sandbox.student_error import Allowance, StudentError
from autograder.sandbox.wire import messages
from autograder.sandbox.wire.messages import Call, Get, Raised, Returned, SetAttribute
from autograder.sandbox.wire.values import Dict, List, Ref, to_wire

COURSE = open_course(Path(__file__).parents[1])


def wire(value):
    return to_wire(value, lambda thing: Ref(7, type(thing).__name__))


def returned(value):
    return Returned(b"", wire(value))


def example():
    """A small transcript."""
    transcriber = Transcriber()
    recording = Recording([(Get(b"a", "x"), Returned(b"a", 1)), (Get(b"b", "x"), Returned(b"b", 1))])
    run = transcriber.run(recording)
    tests = (TestRecord(name="test_x", cell="c", passed=True, fingerprint=b"f", first=run),)
    book = NotebookRecord(notebook="mlp", content="00", execution=b"e", verdict=b"v", tests=tests)
    index = Index(
        schema=transcript.SCHEMA,
        course="dl",
        homework="hw1",
        student="ada",
        handed_in=b"h",
        draws=b"d",
        seed=1,
        versions={},
        graded_at="",
        body=b"",
        notebooks=(book,),
    )
    work = {"mlp": Work((WorkCell("c", "code", "x = 1"),), {"data.csv": b"1"})}
    return transcript.made(index, transcriber.blobs, work)


# ---- on disk


def test_a_transcript_is_read_as_it_was_written(tmp_path):
    path = tmp_path / "hw1.transcript"
    transcript.write(example(), path)
    found = transcript.read(path)
    assert found.index == example().index
    assert found.body == example().body
    assert found.body.work["mlp"].files == {"data.csv": b"1"}


def test_only_its_owner_can_read_it(tmp_path):
    os.umask(0)
    path = tmp_path / "hw1.transcript"
    transcript.write(example(), path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_every_flipped_bit_is_found(tmp_path):
    path, data = tmp_path / "hw1.transcript", example().bytes()
    for place in range(0, len(data), 7):
        path.write_bytes(data[:place] + bytes([data[place] ^ 4]) + data[place + 1 :])
        with pytest.raises(Unusable):
            _ = transcript.read(path).body


def test_the_same_question_is_kept_once():
    assert len(example().body.blobs) == 2  # one question and one answer


@pytest.mark.parametrize(
    "damage, why",
    [
        (lambda data: b"", "not a transcript"),
        (lambda data: b"PK\3\4" + data, "not a transcript"),
        (lambda data: data.replace(b"transcript 1\n", b"transcript 9\n"), "another schema"),
        (lambda data: data[:30], "damaged|cut off"),
        (lambda data: data[: len(data) // 3], "damaged|cut off"),
        (lambda data: data[:-1], "damaged"),
        (lambda data: data[:-20] + b"0" * 20, "damaged"),
    ],
)
def test_a_damaged_file_is_said_to_be_so(tmp_path, damage, why):
    path = tmp_path / "hw1.transcript"
    path.write_bytes(damage(example().bytes()))
    with pytest.raises(Unusable, match=why):
        _ = transcript.read(path).body


def test_a_missing_file_is_said_to_be_so(tmp_path):
    with pytest.raises(Unusable, match="no transcript"):
        transcript.read(tmp_path / "hw1.transcript")


def test_a_body_that_unpacks_to_far_too_much_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(transcript, "_MOST", 10)
    with pytest.raises(Unusable, match="far too large"):
        _ = example().body


# ---- recording and replaying


class Line:
    """Answers with what it is given; an exception is raised."""

    def __init__(self, *answers):
        self._answers = list(answers)

    def ask(self, question, allowance=None):
        answer = self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return msgspec.structs.replace(answer, nonce=question.nonce)

    def close(self):
        pass


def recorded(*steps):
    """What a line recorded for these questions and answers, written down and read again."""
    kept = Recording()
    line = Recorder(Line(*(answer for _, answer in steps)), kept, Room(), trains=False)
    for question, answer in steps:
        if isinstance(answer, Exception):
            with pytest.raises(StudentError):
                line.ask(question)
        else:
            line.ask(question)
    transcriber = Transcriber()
    run = transcriber.run(kept)
    return recording_of(run, tuple(transcriber.blobs))


def call(number, *args, nonce=b"n"):
    return Call(nonce, number, [wire(one) for one in args], {})


def test_a_replay_answers_the_same_questions_whatever_their_nonce():
    line = ReplayLine(recorded((Get(b"one", "f"), returned(3)), (call(1, 2.5), returned([1, torch.ones(2)]))))
    assert line.ask(Get(b"two", "f")).value == 3
    assert line.ask(call(1, 2.5, nonce=b"other")).value == wire([1, torch.ones(2)])


@pytest.mark.parametrize("asked", [Get(b"n", "g"), call(1, 2.0), SetAttribute(b"n", 1, "f", 1)])
def test_a_replay_stops_at_a_new_question(asked):
    with pytest.raises(NotRecorded):
        ReplayLine(recorded((Get(b"n", "f"), returned(3)))).ask(asked)


def test_a_replay_stops_at_one_question_more():
    line = ReplayLine(recorded((Get(b"n", "f"), returned(3))))
    line.ask(Get(b"n", "f"))
    with pytest.raises(NotRecorded):
        line.ask(Get(b"n", "f"))


def test_a_replay_without_a_recording_stops_at_once():
    with pytest.raises(NotRecorded):
        ReplayLine(None).ask(Get(b"n", "f"))


def test_a_test_cannot_suppress_that_nothing_was_recorded():
    assert not issubclass(NotRecorded, Exception)


def test_questions_without_an_answer_have_none_in_the_replay():
    late, gone = StudentError("TimeoutError", "no answer"), StudentError("Crash", "no answer")
    line = ReplayLine(recorded((Get(b"n", "f"), returned(3)), (call(1), late), (call(2), gone)))
    line.ask(Get(b"n", "f"))
    for number, kind in ((1, "TimeoutError"), (2, "Crash")):
        with pytest.raises(StudentError) as raised:
            line.ask(call(number))
        assert raised.value.type == kind and raised.value.message == "no answer"


def test_a_timeout_stands_only_as_long_as_no_more_time_is_allowed():
    late, kept = StudentError("TimeoutError", "no answer"), Recording()
    with pytest.raises(StudentError):
        Recorder(Line(late), kept, Room(), trains=True).ask(call(1), Allowance(3.0, "no answer"))
    with pytest.raises(StudentError):
        ReplayLine(kept).ask(call(1), Allowance(2.0, "no answer"))
    with pytest.raises(NotRecorded):
        ReplayLine(kept).ask(call(1), Allowance(8.0, "no answer"))


def test_harness_code_is_kept_as_text_and_compiled_again():
    code = "def double(x):\n    return 2 * x\ndouble"
    asked = messages.Run(b"n", messages.compiled(code), True)
    kept = recorded((asked, returned(len)))
    assert messages.source_of(kept.exchanges[0][0].code) == code
    assert ReplayLine(kept).ask(asked).value.kind == "builtin_function_or_method"


def test_far_too_large_a_run_is_not_kept(monkeypatch):
    monkeypatch.setattr("autograder.examination.transcribing._MOST", 10)
    transcriber = Transcriber()
    assert transcriber.run(Recording([(Get(b"n", "f"), returned("x" * 100))])).whole
    assert transcriber.run(Recording([(Get(b"n", "f"), returned(1))])) == Run(whole=False)


# ---- fingerprints

TESTS = '''
"""Tests."""
import torch
from autograder import Harness, close, earns

HARNESS = Harness(__file__)
TOLERANCE = 1e-4
UNUSED = 1

def near(a, b):
    close(a, b, "y", rtol=TOLERANCE)

@earns("cell")
def test_one(student, reference):
    near(student.f(1), reference.f(1))

@earns("cell")
def test_two(student):
    assert HARNESS.beside(student).g() == 2

@earns("cell")
def test_three(student):
    assert student.h == "answer"
'''


@pytest.fixture
def book():
    return Suite(COURSE, COURSE.homework("hw1"), "mlp").master


def prints(tmp_path, book, source=TESTS, harness="def g(): return 1\n"):
    path = tmp_path / "hidden" / "test_mlp.py"
    (path.parent / "harness").mkdir(parents=True, exist_ok=True)
    (path.parent / "harness" / "mlp.py").write_text(harness)
    path.write_text(source)
    found = TestFingerprints(path, book)
    return {name: found.of(name, name) for name in ("test_one", "test_two", "test_three")}


def changed(before, after):
    return {name for name in before if before[name] != after[name]}


@pytest.mark.parametrize(
    "old, new, which",
    [
        ("1e-4", "1e-3", {"test_one"}),
        ('"y"', '"z"', {"test_one"}),
        ("== 2", "== 3", {"test_two"}),
        ('@earns("cell")\ndef test_two', '@earns("cell", weight=2)\ndef test_two', {"test_two"}),
        ("UNUSED = 1", "UNUSED = 2", set()),
        ("    assert HARNESS", "    # a comment\n\n    assert HARNESS", set()),
        ("import torch\n", "import torch\nimport math\n", set()),
        ("UNUSED = 1", "torch.manual_seed(1)", {"test_one", "test_two", "test_three"}),
        ("UNUSED = 1", "pytestmark = []", {"test_one", "test_two", "test_three"}),
        ("UNUSED = 1", "@pytest.fixture(name='x')\ndef y():\n    return 1", {"test_one", "test_two", "test_three"}),
        ("UNUSED = 1", "def setup_function():\n    pass", {"test_one", "test_two", "test_three"}),
    ],
)
def test_a_change_reaches_the_tests_that_use_it(tmp_path, book, old, new, which):
    before = prints(tmp_path, book)
    assert changed(before, prints(tmp_path, book, TESTS.replace(old, new, 1))) == which


def test_a_changed_harness_reaches_those_who_use_it(tmp_path, book):
    before = prints(tmp_path, book)
    assert "test_two" in changed(before, prints(tmp_path, book, harness="def g(): return 3\n"))


def found_in(tmp_path, book, source):
    path = tmp_path / "test_mlp.py"
    path.write_text(source)
    return TestFingerprints(path, book)


def test_tests_that_hand_something_on_share_the_name_that_holds_it(tmp_path, book):
    source = (
        "STATE = {}\nFIXED = {}\ndef test_a():\n    STATE['v'] = FIXED\ndef test_b():\n    assert STATE and not FIXED\n"
    )
    found = found_in(tmp_path, book, source)
    assert found.state("test_a") == found.state("test_b") == {"STATE"}


def test_a_test_that_looks_at_the_clock_is_known(tmp_path, book):
    found = found_in(tmp_path, book, "import time\ndef test_a():\n    time.time()\ndef test_b():\n    pass\n")
    assert (found.timed("test_a"), found.timed("test_b")) == (True, False)


def test_a_changed_conftest_reaches_all(tmp_path, book):
    before = prints(tmp_path, book)
    (tmp_path / "hidden" / "conftest.py").write_text("import pytest\n")
    assert changed(before, prints(tmp_path, book)) == before.keys()


def test_a_changed_reference_reaches_those_who_read_it(tmp_path, book):
    source = TESTS.replace("reference.f", "reference.Linear")
    before = prints(tmp_path, book, source)
    number = next(n for n, cell in enumerate(book.cells) if "class Linear" in cell.source)
    cell = msgspec.structs.replace(book.cells[number], source=book.cells[number].source + "\nmore = 1\n")
    other = msgspec.structs.replace(book, cells=(*book.cells[:number], cell, *book.cells[number + 1 :]))
    assert changed(before, prints(tmp_path, other, source)) == {"test_one"}


@pytest.mark.parametrize("homework, notebook", [("hw2", "cnn"), ("hw3", "ocr"), ("hw1", "mlp")])
def test_tests_that_share_a_training_run_run_together(homework, notebook):
    suite = Suite(COURSE, COURSE.homework(homework), notebook)
    with collected(suite):
        for cell in {one.cell for one in suite.prints.values()}:
            together = suite.together({cell})
            shared = {name for one in suite.prints.values() if one.cell in together for name in one.shares}
            others = [one for one in suite.prints.values() if one.cell not in together]
            assert cell in together and not any(shared & one.shares for one in others)


# ---- relations

A = torch.tensor([[1.0, -2.0, 3.0], [4.0, 0.5, -6.0], [0.25, 8.0, 9.0]])


@pytest.mark.parametrize(
    "mine, right, how",
    [
        (A.clone(), A, SAME),
        (-A, A, "−1 times"),
        (A / 2, A, "0.5 times"),
        (A * 7.3, A, "a factor above 1"),
        (A.T, A, "transposed"),
        (A[:2], A, "axes -1, right"),
        (A[:2].T, A[:2], "axes swapped"),
        (A.sum(0), A, "an axis missing"),
        (A[None], A, "axes of size 1 too many"),
        (A + 5, A, "a constant added"),
        (A.flip(1), A, "reversed along axis -1"),
        (A.roll(1, 0), A, "shifted along axis -2"),
        (A * torch.tensor([2.0, 3, 5]), A, "a factor of its own along axis -2"),
        (torch.zeros(3, 3), A, "zero"),
        (A * float("nan"), A, "nan"),
        (A.double(), A, "float64"),
        (3, 4, "0.75"),
        (None, A, "None in place of a tensor"),
        (True, 1.0, "True in place of a number"),
        ([1, 2], [1, 2, 3], "fewer items"),
        ([A, -A], [A, A], "items: the same, −1 times"),
        ("cat", "dog", "the text 'cat' in place of a text"),
    ],
)
def test_a_relation_names_the_way_in_which_an_answer_differs(mine, right, how):
    found = relation(returned(mine), returned(right))
    assert found == how or (how == "0.75" and "too low" in found)


def test_the_relation_of_an_error_does_not_tell_the_numbers():
    wrong = [Raised(b"", "ValueError", f"expected {n} rows, got {n + 1}") for n in (3, 5)]
    assert (
        relation(wrong[0], returned(1))
        == relation(wrong[1], returned(1))
        == "raises ValueError (expected … rows, got …)"
    )


def test_only_the_last_row_is_wrong():
    other = A.clone()
    other[-1] += torch.tensor([1.0, 0.2, 3.0])
    assert "wrong in the last along axis -2" in relation(returned(other), returned(A))


# ---- the dialogue


SLY = "Tensor>\n    the reference: the same\u2028 <x"


def test_what_a_student_calls_things_stays_within_its_line():
    error = Raised(b"", f"Index{SLY}", f"no{SLY}", "a", 3)
    for text in (shown(Ref(1, SLY)), shown(List([Ref(1, SLY)])), answer_text(error)):
        assert text.splitlines() == [text] and "the reference" in text
    dialogue = Dialogue()
    asked = Call(b"", 1, [], {})
    for kind in (SLY, "class", "Torch", "print", "9", "\n"):
        assert dialogue.heard(asked, Returned(b"", Ref(2, kind))).isidentifier()
        dialogue.heard(asked, Returned(b"", List([Ref(3, kind)])))
        name = dialogue.text(Call(b"", 3, [], {})).removesuffix("()")
        assert name.isidentifier() and name not in ("class", "torch", "print")


@pytest.mark.parametrize("name", ["x = 0; evil()", "class", "a\nb", "", "a.b", "__import__('os')"])
def test_a_name_that_is_no_name_is_a_text_in_a_question(name):
    dialogue, told = Dialogue(), []
    dialogue.heard(Call(b"", 1, [], {}), Returned(b"", Dict([(name, Ref(5, "X")), ("W1", Ref(6, "X"))])))
    called = Call(b"", 6, [], {name: 1, "f": 2})
    for question in (Get(b"", name), messages.Attribute(b"", 5, name), SetAttribute(b"", 5, name, 1), called):
        told.append(ast.unparse(ast.parse(dialogue.text(question), mode="eval")))
    assert told == [
        f"globals()[{name!r}]", f"getattr(object_5, {name!r})", f"setattr(object_5, {name!r}, 1)",
        f"W1(f=2, **{{{name!r}: 1}})",
    ]  # fmt: skip


def test_a_dialogue_reads_as_the_code_that_it_stands_for():
    dialogue = Dialogue()
    assert dialogue.text(Get(b"", "MLP")) == "MLP"
    dialogue.heard(Get(b"", "MLP"), Returned(b"", Ref(1, "type")))
    made = Call(b"", 1, [2, 3], {"f": "relu"})
    assert dialogue.text(made) == "MLP(2, 3, f='relu')"
    assert dialogue.heard(made, Returned(b"", Ref(2, "MLP"))) == "mlp"
    assert dialogue.text(SetAttribute(b"", 2, "W", wire(torch.zeros(4, 5)))) == "mlp.W = x"
    assert shown(dialogue.values["x"]).startswith("float32 (4, 5): 0, 0")
    again = Call(b"", 1, [], {})
    assert dialogue.heard(again, Returned(b"", Ref(3, "MLP"))) == "mlp2"
    assert dialogue.label(messages.Attribute(b"", 3, "W")) == "mlp.W"
