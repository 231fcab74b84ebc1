"""Questions about a student's own code: every key is found once more, by running the code plainly, in another way."""

import ast
import collections
import contextlib
import csv
import dataclasses
import functools
import gc
import html
import io
import json
import random
import re
import shutil
import stat
import traceback
import zipfile
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from autograder.cli import app
from autograder.constants import SEED, cell_filename
from autograder.course.course import open_course
from autograder.course.release import released
from autograder.grading import class_run
from autograder.grading.libraries import libraries_of
from autograder.grading.submissions import survey
from autograder.insight.viva import (
    drafting,
    edits,
    exercises,
    near,
    patterns,
    quiz,
    round,
    sheet,
    sieve,
    steadiness,
    tracing,
)
from autograder.insight.viva.asking import Asked
from autograder.insight.viva.functions import functions
from autograder.insight.viva.inside import witness
from autograder.insight.viva.questions import About, Question
from autograder.insight.viva.seen import Seen
from autograder.proving import example_class
from autograder.proving.bank import known_answers
from autograder.proving.solutions import prepared
from autograder.sandbox.seeding import seed
from autograder.sandbox.session import Session
from autograder.sandbox.zygote_client import Zygote
from tests.conftest import small_course

COURSE = open_course(Path(__file__).parents[1])
HOSTILE = "'\"><script>alert(1)</script>]]>{{ 7*7 }}\x1b[31m"

KEYS = {"hw2": 100, "hw4": 60}
"""what it takes to find the keys of a homework, about; the long ones begin first"""

pytestmark = pytest.mark.slow(seconds=20)


@dataclass(frozen=True)
class Cell:
    """A cell to run in a session."""

    id: str
    source: str
    skip: bool = False
    tested: bool = False
    own: bool = False


class Diary:
    """Hears from instrumented code what happens in each call."""

    def __init__(self, wanted):
        """`wanted` are the calls to be kept: check, cell, line of the function, and which of its calls."""
        self.wanted, self.check = wanted, ""
        self.counts = collections.Counter()
        self.calls = {}

    def begin(self, cell, first):
        key = self.check, cell, first
        self.counts[key] += 1
        if (*key, self.counts[key]) not in self.wanted:
            return None  # a training run has thousands of calls
        call = {"order": [], "after": {}, "rounds": collections.defaultdict(list), "open": {}}
        call |= {"returned": None, "raised": False}
        self.calls[(*key, self.counts[key])] = call
        return call

    def before(self, call, line):
        if call is not None:
            call["order"].append(line)

    def after(self, call, line, names):
        if call is not None:
            call["after"].setdefault(line, kept(names))

    def loop(self, call, line):
        if call is not None:
            call["open"][line] = call["open"].get(line, 0) + 1

    def round(self, call, line, names):
        if call is not None:
            call["rounds"][line, call["open"][line]].append(kept(names))

    def begun(self, call, line, names):
        if call is not None and call["rounds"][line, call["open"][line]]:
            call["order"].append(line)
        self.round(call, line, names)

    def left(self, call, line, names):
        if call is not None:
            call["order"].append(line)
            self.round(call, line, names)

    def raised(self, call):
        if call is not None:
            call["raised"] = True

    def returned(self, call, value):
        if call is not None:
            call["returned"] = copied(value)
        return value


def copied(value):
    if isinstance(value, torch.Tensor):
        return value.detach().clone()
    if isinstance(value, np.ndarray):
        return value.copy()
    return type(value)(map(copied, value)) if type(value) in (list, tuple) else value


def kept(names):
    found = {name: copied(value) for name, value in names.items() if name != "_call"}
    own = dict(getattr(names.get("self"), "__dict__", {}))
    if isinstance(names.get("self"), torch.nn.Module):
        own |= {name: value for kind in ("_parameters", "_buffers") for name, value in own.get(kind, {}).items()}
    return found | {f"self.{name}": copied(value) for name, value in own.items()}


class Instrumented(ast.NodeTransformer):
    """Calls the diary before and after each statement of each function."""

    def __init__(self, cell):
        self.cell = cell

    def visit_FunctionDef(self, node):
        first = min([node.lineno, *(one.lineno for one in node.decorator_list)])
        document = node.body[:1] if ast.get_docstring(node) is not None else []
        body = self.block(node.body[len(document) :])
        (guarded,) = code("try:\n pass\nexcept BaseException:\n _diary.raised(_call)\n raise")
        guarded.body = body
        node.body = [*document, *code(f"_call = _diary.begin({self.cell!r}, {first})"), guarded]
        return node

    def block(self, body):
        found = []
        for one in body:
            line = one.lineno
            found += code(f"_diary.before(_call, {line})")
            if isinstance(one, ast.For | ast.While):
                begun = code(f"_diary.begun(_call, {line}, locals())")
                one.body = [*begun, *self.block(one.body)]
                one.orelse = self.block(one.orelse)
                left = code(f"_diary.left(_call, {line}, locals())")
                found += [*code(f"_diary.loop(_call, {line})"), one, *left]
                continue
            if isinstance(one, ast.Return):
                value = ast.unparse(one.value) if one.value else "None"
                one.value = code(f"_diary.returned(_call, {value})")[0].value
            elif isinstance(one, ast.FunctionDef):
                self.visit_FunctionDef(one)
            elif not isinstance(one, ast.ClassDef):
                for name in ("body", "orelse", "finalbody"):
                    if getattr(one, name, None):
                        setattr(one, name, self.block(getattr(one, name)))
            found.append(one)
            if not isinstance(one, ast.Return | ast.Raise | ast.Break | ast.Continue):
                found += code(f"_diary.after(_call, {line}, locals())")
        return found


def code(text):
    return ast.parse(text).body


def executed(source, filename, names):
    """Run code; the line of it at which it fails, or 0."""
    quiet = io.StringIO()
    try:
        with contextlib.redirect_stdout(quiet), contextlib.redirect_stderr(quiet):
            exec(compile(source, filename, "exec", dont_inherit=True), names)
    except Exception as error:
        trace, line = error.__traceback__, -1
        while trace is not None:
            line = trace.tb_lineno if trace.tb_frame.f_code.co_filename == filename else line
            trace = trace.tb_next
        return line
    return 0


class Plainly:
    """A solution, run in this process with instrumented cells."""

    def __init__(self, master, sources, wanted):
        self.master, self.sources, self.wanted = master, sources, wanted
        self.diary, self.asked = Diary(wanted), set()
        self.names = {"__name__": "notebook", "_diary": self.diary}
        seed(SEED)
        for cell in master.code():
            source = sources.get(cell.id, cell.source)
            if not cell.autograded:
                tree = ast.parse(source)
                if cell.solution:
                    tree = ast.fix_missing_locations(Instrumented(cell.id).visit(tree))
                executed(tree, cell_filename(cell.id), self.names)

    def call(self, question, function):
        """What happened in the call that a question is about."""
        about = question.about
        if about.check not in self.asked:
            self.asked.add(about.check)
            self.diary.check = about.check
            for name in self.together(about.check):
                self.diary.check = name
                self.asked.add(name)
                executed(self.master.cell(name).source, f"<check {name}>", self.names)
        return self.diary.calls[about.check, question.cell, function.first, about.number]

    def together(self, check):
        """The checks of the same exercise, in order."""
        cells = self.master.examined(check)
        return [
            one.grade_id for one in self.master.cells if one.autograded and self.master.examined(one.grade_id) == cells
        ]

    def failure(self, question):
        """Where the check fails first if a line of the student's cell does nothing."""
        edited, check = with_line(self.sources, question, "pass"), question.about.check
        names = {"__name__": "notebook"}
        seed(SEED)
        for cell in self.master.code():
            if not cell.autograded:
                executed(edited.get(cell.id, cell.source), cell_filename(cell.id), names)
        source = self.master.cell(check).source
        for one in ast.parse(source).body:
            try:
                exec(compile(ast.Module([one], []), "<the check>", "exec"), names)
            except BaseException as error:
                frames = traceback.extract_tb(error.__traceback__)
                line = [frame.lineno for frame in frames if frame.filename == "<the check>"][-1]
                return next(
                    (text for lines, text in edits.places_of(source).items() if lines[0] <= line <= lines[1]), ""
                )
        return "nowhere: it passes"

    def passes(self, question, text):
        """Whether the checks pass if a line of the student's cell is replaced."""
        edited = with_line(self.sources, question, text)
        cells = [one for one in self.master.code() if not one.autograded]
        checks = [
            one.grade_id
            for one in self.master.cells
            if one.autograded and question.cell in {each.id for each in self.master.examined(one.grade_id)}
        ]
        names = {"__name__": "notebook"}
        seed(SEED)
        for cell in cells:
            executed(edited.get(cell.id, cell.source), cell_filename(cell.id), names)
        return not any(executed(self.master.cell(check).source, f"<check {check}>", names) for check in checks)


def with_line(sources, question, text):
    """The cells with another statement in the line that a question is about."""
    lines = sources[question.cell].split("\n")
    old = lines[question.about.line - 1]
    lines[question.about.line - 1] = old[: len(old) - len(old.lstrip())] + text
    return sources | {question.cell: "\n".join(lines)}


def ended(before, after, answers):
    """How a call ends after an edit, in words; those about shapes are offered where all that is returned has one."""
    if after["raised"]:
        return "it raises an exception"
    one, other = before["returned"], after["returned"]
    if other is None:
        return "it returns None"
    if alike(one, other):
        return "it returns the same as before"
    if "it returns something else, and not None" in answers:
        return "it returns something else, and not None"
    assert all(isinstance(leaf, torch.Tensor | np.ndarray) for leaf in leaves(one))
    same = list(map(np.shape, leaves(one))) == list(map(np.shape, leaves(other)))
    return "it returns other numbers, in the same shape" if same else "it returns something of another shape"


def leaves(value):
    return [leaf for item in value for leaf in leaves(item)] if type(value) in (list, tuple) else [value]


def same(text, value):
    """Whether an answer says what a value is."""
    said = eval(
        text,
        {"tensor": lambda x: np.array(x), "array": lambda x: np.array(x), "nan": float("nan"), "inf": float("inf")},
    )
    return alike(said, value)


def alike(said, value):
    if isinstance(value, list | tuple):
        return type(said) is type(value) and len(said) == len(value) and all(map(alike, said, value))
    if isinstance(value, torch.Tensor):
        value = value.numpy()
    if isinstance(value, str) or value is None or isinstance(said, str):
        return said == value
    return np.shape(said) == np.shape(value) and bool(np.allclose(said, value, rtol=1e-4, atol=1e-9))


def right(question, plainly):
    """Whether the key of a question is right, found by running the code in another way."""
    function = next(
        one
        for one in functions(plainly.sources[question.cell])
        if (one.name, one.first) == (question.function, question.first)
    )
    about = question.about
    if question.kind == "removed":
        edited = Plainly(plainly.master, with_line(plainly.sources, question, "pass"), plainly.wanted)
        calls = plainly.call(question, function), edited.call(question, function)
        return question.right == ended(*calls, question.answers)
    if question.kind == "fails":
        return question.right == plainly.failure(question)
    if question.kind == "edit":
        return [plainly.passes(question, text) for text in question.answers] == [
            text == question.right for text in question.answers
        ]
    call = plainly.call(question, function)
    if question.kind == "shape":
        value = call["after"][about.line][about.name] if about.name else call["returned"]
        value = value[about.round - 1] if about.round else value
        return eval(question.right) == tuple(value.shape)
    if question.kind == "length":
        return question.right == str(len(call["returned"]))
    if question.kind == "result":
        return same(question.right, call["returned"])
    if question.kind == "value":
        return same(question.right, call["after"][about.line][about.name])
    if question.kind == "round":
        value = call["rounds"][about.line, 1][about.round][about.name]
        return eval(question.right) == tuple(value.shape) if "shape" in question.text else same(question.right, value)
    order = call["order"]
    if question.kind == "runs":
        return question.right == str(order.count(about.line))
    return question.right == f"line {order[order.index(about.line) + 1]}"


def asked_about(zygote, homework, suite, solution):
    """The questions about a solution that passes everything."""
    master = suite.master
    handed_out = {one.id: one.source for one in released(homework, master.notebook).cells}
    sources = {"setup": handed_out["setup"]}  # the build adds it
    sources |= {one.id: solution.cells.get(one.id, one.source) for one in master.code()}
    checks = {one.id for one in master.code() if one.autograded}
    cells = [Cell(cell, source) for cell, source in sources.items() if cell not in checks]
    todo = exercises.solved(master, handed_out, sources, {one.grade_id for one in master.grade_cells()}, {})
    with Session(zygote, homework.limits, cells) as session:
        session.run()
        return drafting.questions(todo, lambda seed: session.turn("", seed), random.Random(solution.name), sieve.ENOUGH)


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.slow(seconds=KEYS.get(name, 40))) for name in COURSE.homeworks],
)
def test_every_key_about_a_right_answer_is_right(name):
    """For the master of each notebook, and for one of the other right answers."""
    homework, wrong = COURSE.homework(name), []
    with closing(Zygote(COURSE.root, None, lambda: libraries_of(COURSE.root, name))) as zygote:
        for suite in prepared(COURSE, homework, None):
            answers = [one for one in known_answers(homework, suite) if one.kind in ("master", "alternative")]
            masters, others = ([one for one in answers if (one.kind == "master") is kind] for kind in (True, False))
            for solution in [*masters, *random.Random(suite.master.notebook).sample(others, 1)]:
                found = asked_about(zygote, homework, suite, solution)
                assert len(found) == sieve.ENOUGH, solution.name
                wanted = {(one.about.check, one.cell, one.first, one.about.number) for one in found}
                plainly = Plainly(suite.master, solution.cells, wanted)
                wrong += [(solution.name, question) for question in found if not right(question, plainly)]
                del plainly
                gc.collect()  # functions and their names hold each other, and with them whatever they have trained
    assert wrong == []


def example(**changes):
    fields = {
        "kind": "shape", "cell": "mse", "function": "f", "first": 1, "last": 2, "text": "Which shape has `x`?",
        "right": "(2, 3)", "wrong": ("(3, 2)", "(2,)", "(3,)", "()"), "about": About("c", 1, 1, 2, "x"), "at": 2,
    }  # fmt: skip
    return Question(**(fields | changes))


@pytest.mark.parametrize(
    ("one", "other"),
    [("0.5", "1/2"), ("2", "2.0"), ("(3,)", "( 3, )"), ("tensor([1.0])", "tensor([1])"), ("-0.0", "0")],
)
def test_answers_that_mean_the_same_are_not_told_apart(one, other):
    assert sieve.distinct(one, [other]) == []


def test_an_answer_that_a_text_gives_away_or_that_has_too_few_others_is_left_out():
    one = example()
    assert sieve.sieved([one], "", "") == [one]
    assert sieve.sieved([one], "theshapeis(2,3)", "") == []
    assert sieve.sieved([example(wrong=("(3, 2)", "(2,3)", "(2, 3)"))], "", "") == []


def test_a_shape_that_the_students_own_comment_says_is_not_asked_for():
    one = example()
    assert sieve.sieved([one], "", "", "x=f(y)#(2,3)") == [] and sieve.sieved([one], "", "", "x=f(y)#(3,2)") == [one]


@pytest.mark.parametrize(
    ("source", "steady"),
    [
        ("def f(x):\n    return x + 1", True),
        ("def f(x):\n    global n\n    n += 1\n    return n", False),
        ("def f(x):\n    return int(time.time()) + x", False),
        ("def f(x):\n    return 2 * x if sys.gettrace() else x", False),
        ("def f(x):\n    flow = {id(x): 1.0}\n    flow[id(x)] += 1\n    return flow.get(id(x), 0)", True),
        ("def f(x, seen):\n    if id(x) not in seen:\n        seen.add(id(x))\n    return len(seen)", True),
        ("def f(x):\n    return id(x) % 7", False),
        ("def f(xs):\n    return sorted(xs, key=id)", False),
        ("def f(xs):\n    return [id(x) for x in xs]", False),
        ("def f(x):\n    me = id\n    return {me(x): 1}", False),
    ],
)
def test_what_a_function_does_once_only_is_not_asked_about(source, steady):
    [one] = functions(source)
    exercise = exercises.Exercise({"c": source}, (), "")
    assert one.is_steady == steady == bool(exercise.functions("c"))


FORWARD = """class Relu:
    def forward(self, x):
        for _ in range(rounds()):
            x = abs(x)
        return x
"""


def holds(*others, solved=FORWARD, given=(), files=None):
    """Whether a method is asked about, beside these cells of the student's."""
    around = steadiness.Steadiness([solved, *others], given, files or {})
    [function] = exercises.Exercise({"c": solved}, (), "", around=around).functions("c") or [None]
    return function is not None


@pytest.mark.parametrize(
    "other",
    [
        "def rounds():\n    return 2",
        "from math import floor\n\nrounds = lambda: floor(2.5)",
        "import time\n\ndef slow():\n    return time.time()\n\ndef rounds():\n    return 2",
        "counts = [2]\ncounts.append(3)\n\ndef rounds():\n    return counts[0]",
        "def rounds():\n    found = []\n    found.append(2)\n    return found[0]",
    ],
)
def test_a_function_whose_helpers_do_the_same_whoever_watches_is_asked_about(other):
    assert holds(other)
    assert holds(given=[other])
    assert holds("from help import *", files={"help.py": other.encode()})
    assert holds("from help import rounds as many", solved=FORWARD.replace("rounds", "many"),
                 files={"help.py": other.encode()})  # fmt: skip


@pytest.mark.parametrize(
    "other",
    [
        "from sys import *\n\ndef rounds():\n    return 7 if gettrace() else 2",
        "import sys as s\n\ndef rounds():\n    return 7 if s.gettrace() else 2",
        "def rounds():\n    import sys\n    return len(sys.argv)",
        "from time import perf_counter as now\n\ndef rounds():\n    return 2 + int(now()) % 2",
        "import time\n\ndef inner():\n    return time.time()\n\ndef rounds():\n    return int(inner()) % 3",
        "import dataclasses\n\ndef rounds():\n    return len(dataclasses.sys.argv)",
        "import torch, sys\nlook = getattr(sys, 'get' + 'trace')\nrounds = lambda: 7 if look() else 2",
        "box = [0]\n\ndef rounds():\n    box[0] += 1\n    return box[0]",
        "calls = []\n\ndef noted():\n    calls.append(1)\n\ndef rounds():\n    return len(calls)",
        "n = 0\n\ndef rounds():\n    global n\n    n += 1\n    return n",
        "def rounds(calls=[]):\n    calls.append(1)\n    return len(calls)",
        "import itertools\nnumbers = itertools.count()\n\ndef rounds():\n    return next(numbers)",
        "def helper():\n    return 2\n\nglobals()['rounds'] = helper",
        "exec('def rounds(): return 2')",
        "import mystery\n\ndef rounds():\n    return mystery.two()",
        "def other():\n    return 2",
        "def rounds():\n    return 2\n\nimport os\n\nclass Number(float):\n    def __abs__(self):\n"
        "        return os.getpid()",
        "import os\n\nif os.getpid() % 2:\n    rounds = lambda: 7\nelse:\n    rounds = lambda: 2",
    ],
)  # fmt: skip
def test_a_function_that_reaches_what_depends_on_the_moment_is_not_asked_about(other):
    assert not holds(other)


def test_what_the_courses_own_cells_take_by_a_computed_name_hides_nothing():
    given = (
        "layer = torch.nn.Linear(2, 2)\nfor name in 'weight', 'bias':\n    getattr(layer, name).data = torch.zeros(2)"
    )
    own = "import torch\n\ndef f(x):\n    x.data = torch.ones(2)\n    return x.data"
    function = functions(own)[-1]
    assert steadiness.Steadiness([own], [given], {}).holds(function)
    assert not steadiness.Steadiness([own, given], [], {}).holds(function)


def test_a_method_that_somebody_put_into_a_library_is_reached():
    solved = "import torch\n\ndef f(x):\n    return torch.relu(x)"
    assert holds("def relu_like(x):\n    return x", solved=solved)
    assert not holds("import torch, time\n\ntorch.relu = lambda x: x * time.time()", solved=solved)


def test_a_file_that_cannot_be_read_hides_what_a_function_does():
    steady = "def rounds():\n    return 2"
    assert holds(steady, files={"data.csv": b"1,2"}) and not holds(steady, files={"help.so": b"\x7fELF"})


@pytest.mark.parametrize("how", ["passed", "failed"])
def test_a_check_that_fails_only_when_it_is_watched_gives_no_key(monkeypatch, how):
    value = ["value", [], [3]]
    call = {"check": "check", "place": 1, "file": cell_filename("mse"), "first": 1, "number": 1, "given": {}}
    call |= {"events": [[2, {}, []], [0, {}, []]], "returned": value, "how": "whole", "sums": [3.0], "digest": "3"}
    call |= {"draws": False, "undrawn": 0, "within": False, "before": {}, "fixed": True}
    monkeypatch.setattr(tracing, "_ask", lambda *_: [[["check", how, 4, "AssertionError", 9]], [call]])
    ask = functools.partial(tracing.traces, lambda _: io.StringIO(), [("check", "f()")], [("mse", 1)], 1)
    assert len(ask()) == (how == "passed")
    assert len(ask(tracing.Edit("mse", "pass"))) == 1, "after an edit a check may fail"


def asked_of(source, lines, given, returned=0, draws=False):
    """The questions about one call whose lines were run in this order."""
    steps = tuple(tracing.Step(line, given) for line in (*lines, 0))
    call = tracing.TracedCall("check", 1, "c", 1, 1, given, steps, Seen("value", (), (returned,)), draws=draws)
    return {(one.kind, one.about.line): one for one in patterns.asked(call, functions(source)[0], "f()")}


def test_no_good_question_is_about_more_rounds_than_one_counts_or_about_what_the_sheet_does_not_tell():
    loop = "def f(self, x):\n    for one in x:\n        y = one\n    return y"
    few, many = ({("runs", 3): poor} for poor in (False, True))
    for rounds, expected in ((3, few), (30, many)):
        for given, hidden in ((Seen("list", (rounds,), None), False), (Seen("object", (), ("a bag",)), True)):
            found = asked_of(loop, [*(2, 3) * rounds, 2, 4], {"x": given})
            runs = {key: one.poor for key, one in found.items() if key[0] == "runs"}
            assert runs == (many if hidden else expected)
    assert asked_of(loop.replace("y = one", "y = g(self)"), [*(2, 3) * 3, 2, 4], {})["runs", 3].poor
    assert ("runs", 3) not in asked_of(loop.replace("y = one", "y = f(one)"), [*(2, 3) * 3, 2, 4], {})
    branch = "def f(x, bag):\n    if x in bag:\n        return 0\n    y = 1\n    z = 2\n    return y"
    for kind, poor in ((Seen("object", (), ("set",)), True), (Seen("list", (0,), ()), False)):
        found = asked_of(branch, [2, 4, 5, 6], {"x": Seen("value", (), (1,)), "bag": kind})
        assert found["next", 2].poor == poor


def test_a_number_that_four_digits_do_not_give_is_told_roughly():
    assert Seen("value", (), (0.5,)).told() == "0.5"
    assert Seen("value", (), (0.123456789,)).told() == "about 0.1235"
    assert Seen("list", (2,), (Seen("value", (), (1,)), Seen("value", (), (-0.00123456,)))).told() == (
        "list of 1, about -0.001235"
    )


def test_a_round_of_a_loop_within_a_loop_is_told_from_those_of_its_later_runs():
    nested = "def f(x):\n    for a in x:\n        for b in x:\n            c = a * b\n    return c"
    texts = []
    for source, lines in (
        (nested, (2, 3, 4, 3, 4, 3, 2)),
        (nested.replace("for a", "if a").replace("in x", "< x", 1), (3, 4) * 2),
    ):
        values = [{"x": 2, "a": 1, "c": at} for at in range(len(lines) + 1)]
        numbers = [{name: Seen("value", (), (number,)) for name, number in each.items()} for each in values]
        steps = tuple(tracing.Step(line, held) for line, held in zip((*lines, 0), numbers, strict=True))
        call = tracing.TracedCall("check", 1, "c", 1, 1, numbers[0], steps, Seen("value", (), (0,)))
        found = patterns.asked(call, functions(source)[0], "f()")
        texts.append([one.text for one in found if one.kind == "round" and one.about.line == 3])
    assert all("line 3’s loop, run for the first time, has finished" in text for text in texts[0]) and texts[0]
    assert all("line 3’s loop has finished" in text for text in texts[1]) and texts[1]


def begins(cell, source):
    """What is recorded of a cell: its file name with the line at which each function begins."""
    return [[cell, one.first] for one in functions(source)]


def watched(source, check, check_source, wanted=(), most=300, how="passed"):
    """The calls that a check makes of functions in a cell, as they are recorded, without a sandbox."""
    names, cell = {"__name__": "__main__"}, cell_filename("own")
    exec(compile(source, cell, "exec"), names)
    wanted = [[check, cell, first, number] for first, number in wanted]
    own = begins(cell, source)
    ends, calls, _ = witness.watch(lambda: names, [], [[check, check_source]], own, [3, most, 6000], wanted)
    assert ends[0][1] == how
    return tracing._calls(calls)


def test_a_check_is_left_when_its_wanted_calls_have_ended():
    source = "def f(x):\n    return x\n\ndef g(x):\n    return f(x)"
    check = "g(1)\nf(2)\ng(3)\ng(4)"
    assert len(watched(source, "check", check)) == 6
    found = watched(source, "check", check, [(1, 2), (4, 1)], how="enough")
    assert [(one.first, one.number, one.returned.items[0]) for one in found] == [(4, 1, 1), (1, 2, 2)]
    assert watched(source, "check", check, [(1, 9)]) == [], "what never comes ends nothing"


def test_a_check_is_left_in_a_call_that_is_too_long():
    source = "def f(x):\n    for _ in range(x):\n        g(1)\n\ndef g(x):\n    return x"
    found = watched(source, "check", "f(2)\nf(100)\nf(2)", most=20, how="enough")
    assert [(one.number, one.returned is not None) for one in found if one.first == 1] == [(1, True), (2, False)]


def test_a_decorated_function_is_not_asked_what_it_returns():
    plain = "def f(x):\n    y = 3 * x\n    return y"
    given = {"x": Seen("value", (), (2,))}
    kinds = {kind for kind, _ in asked_of(plain, [2, 3], given, returned=6)}
    assert kinds == {"result"} and asked_of(f"@doubled\n{plain}", [3, 4], given, returned=6) == {}


@pytest.mark.parametrize("body", ["return x + random.random()", "random.seed(3)\n    return x", "return torch.rand(2)"])
def test_a_call_that_draws_random_numbers_is_known(body):
    source = f"import random\nimport torch\n\ndef f(x):\n    {body}\n\ndef g(x):\n    return x"
    drawing, other = watched(source, "check", "f(1)\ng(1)")
    assert drawing.draws and not other.draws
    kinds = {kind for kind, _ in asked_of(source, [5], {"x": Seen("value", (), (1,))}, returned=1, draws=True)}
    assert kinds.isdisjoint({"result", "round", "next"})


def test_what_hangs_on_the_order_of_a_set_is_not_asked_for():
    source = "def f(x):\n    y = list(set(x))\n    return y"
    given = {"x": Seen("value", (), ("gate",))}
    assert asked_of(source, [2, 3], given, returned=4) == {}
    assert asked_of(source.replace("set(x)", "sorted(x)"), [2, 3], given, returned=4)


def test_a_call_within_a_call_of_the_same_function_is_known():
    source = "def total(x):\n    return sum(value(one) for one in x)\n\ndef value(x):\n    return total(x) if x else 1"
    [alone] = [one for one in watched(source, "check", "total([[], []])") if one.first == 1]
    assert not alone.within
    deep = [one for one in watched(source, "check", "total([[[]]])") if one.first == 1]
    assert deep[0].within and not deep[-1].within


def test_lambdas_and_comprehensions_are_no_calls_of_the_function_in_their_line():
    source = "def double(x): return [2 * one for one in x]"
    numbers = [one.number for one in watched(source, "check", "double([1])\ndouble([2])")]
    assert numbers == [1, 2]


def test_a_line_that_python_comes_back_to_is_one_step():
    source = "def f(x):\n    s = 0\n    for one in x: s += one\n    return s"
    [call] = watched(source, "check", "f([1, 2, 3])")
    assert [step.line for step in call.steps] == [2, 3, 4, 0]


def test_code_that_an_edit_does_not_reach_is_not_taken_for_edited():
    names, cell = {}, cell_filename("own")
    exec(compile("class Layer:\n    def g(self):\n        return 1", cell, "exec"), names)
    exec("def build(): return Layer()\nlayer = build()", names)
    edited = [[cell, "class Layer:\n    def g(self):\n        return 2"]]
    for check, how in (("layer.g()", "enough"), ("Layer().g()", "passed")):
        for own in ([[cell, 2]], []):
            ends, *_ = witness.watch(lambda: names, edited, [["check", check]], own, [3, 300, 6000], [])
            assert ends[0][1] == how


def test_a_check_fails_in_one_line_alone():
    check = "def _check_f():\n    y = f(1)\n    def near(a):\n        assert a\n    near(y)\n"
    check += "    assert (\n        y == 2\n    )\n\n_check_f()"
    assert list(edits.places_of(check).values()) == ["line 2: y = f(1)", "line 5: near(y)", "line 6: assert ("]
    end = tracing.End("c", "failed", 7, "AssertionError", 9)
    assert edits.failure(check, end) == "line 6: assert ("
    assert edits.failure(check, dataclasses.replace(end, line=4)) == "", "line 5 has failed, too"
    assert edits.failure(check, dataclasses.replace(end, how="passed", line=0)) == "nowhere: it passes"
    assert edits.failure(check, dataclasses.replace(end, how="enough", line=0)) == ""


@pytest.mark.parametrize(
    "later",
    ["g = doubled(g)", "if fast:\n    g = doubled(g)", "from faster import g", "def g(x):\n    return 2 * old(x)"],
)
def test_a_function_whose_name_is_given_to_another_is_not_asked_about(later):
    cells = {"own": "def f(x):\n    return x\n\ndef g(x):\n    return x", "later": later}
    names = exercises.replaced(cells)
    assert [one.name for one in exercises.Exercise(cells, (), "", replaced=names).functions("own")] == ["f"]
    assert exercises.replaced({"own": cells["own"]}) == frozenset()


def test_a_method_that_is_replaced_from_outside_is_not_asked_about():
    cells = {
        "own": "class Line:\n    def forward(self, x):\n        return x",
        "later": "Line.forward = twice(Line.forward)",
    }
    assert exercises.Exercise(cells, (), "", replaced=exercises.replaced(cells)).functions("own") == ()


def test_a_helper_in_any_cell_that_uses_a_set_makes_what_uses_it_loose():
    cells = [
        "def words(x):\n    return list(set(x))",
        "def index(x):\n    return words(x)",
        "def other(x):\n    return x",
    ]
    assert exercises.loose(cells) == {"words", "index"}


@pytest.mark.parametrize(
    ("before", "found"),
    [
        ("names = list(set(text))", True),
        ("names = sorted(set(text))", False),
        ("names = {}\nfor one in set(text):\n    names[one] = len(names)", True),
        ("names = []\nfor one in frozenset(text):\n    names.append(one)", True),
        ("names = list(one.keys() & other.keys())", True),
        ("names = list(one.keys())", False),
        ("shared = one.keys()\nnames = list(shared - other.keys())", True),
    ],
)
def test_a_value_that_hangs_on_the_order_of_a_set_makes_what_uses_it_loose(before, found):
    assert ("f" in exercises.loose([before, "def f(x):\n    return names[x]"])) == found


@pytest.mark.parametrize(
    ("body", "ordered"),
    [
        ("both = a.keys() & b.keys()\n    return list(both)", False),
        ("return [k for k in a.keys() - b.keys()]", False),
        ("own = a.keys()\n    return list(own - b.keys())", False),
        ("own, other = a.items(), b.items()\n    return list(own ^ other)", False),
        ("return {k: p - 0.1 * b[k] for k, p in a.items()}", True),
        ("return (a > 0) & (b > 0)", True),
    ],
)
def test_the_order_of_a_set_made_of_views_is_no_order(body, ordered):
    assert functions(f"def f(a, b):\n    {body}")[0].is_ordered == ordered


@pytest.mark.parametrize(
    ("given", "fixed"),
    [("{'b', 'a'}", False), ("{3, 1}", True), ("[{'b': {'a', 'c'}}]", False), ("['b', 'a']", True)],
)
def test_a_set_of_words_that_a_call_gets_or_reads_has_no_order(given, fixed):
    source = f"WORDS = {given}\n\ndef f(x):\n    return list(x)\n\ndef g():\n    return list(WORDS)"
    found = watched(source, "check", f"f({given})\ng()")
    assert [one.fixed for one in found] == [fixed, fixed]
    [function, _] = functions(source)
    assert fixed or not list(patterns.asked(found[0], function, "f()"))


def test_a_set_in_an_attribute_has_no_order_and_gives_no_shape():
    source = "class Bag:\n    def __init__(self, words):\n        self.words = words\n\n"
    source += "def f(bag):\n    return list(bag.words)"
    for words, fixed in (("{'b', 'a'}", False), ("['b', 'a']", True)):
        [call] = [one for one in watched(source, "check", f"f(Bag({words}))") if one.first == 5]
        assert call.fixed == fixed
    shapes = "def f(words):\n    for w in {}:\n        x = torch.zeros(len(w), 3)\n    return x"
    for some, asked in (("set(words)", False), ("sorted(words)", True)):
        names = {"words": Seen("list", (0,), ()), "x": Seen("tensor", (4, 3), None)}
        steps = tuple(tracing.Step(line, names) for line in (2, 3, 2, 4, 0))
        call = tracing.TracedCall("check", 1, "c", 1, 1, names, steps, names["x"])
        kinds = {one.kind for one in patterns.asked(call, functions(shapes.format(some))[0], "f()")}
        assert ("shape" in kinds) == asked


def test_true_in_place_of_one_is_a_change():
    source = "def f(x):\n    found = 1\n    found = x > 0\n    return found"
    [call] = watched(source, "check", "f(2)")
    assert call.steps[-1].names["found"].literal() == "True"


def test_a_module_may_be_looked_at_before_it_is_made():
    source = "from torch import nn\n\nclass Net(nn.Module):\n    def __init__(self, n):\n        k = 2 * n\n"
    source += "        super().__init__()\n        self.layer = nn.Linear(n, k)"
    [call] = watched(source, "check", "Net(3)")
    assert next(step.names["k"].literal() for step in call.steps if "k" in step.names) == "6"


def test_a_line_that_raised_because_an_iterator_ended_has_not_run():
    source = "def f(x):\n    it = iter(x)\n    try:\n        y = next(it)\n"
    source += "    except StopIteration:\n        y = 0\n    return y"
    assert [one.given["x"].told() for one in watched(source, "check", "f([1])\nf([])")] == ["[1]"]
    loop = "def f(x):\n    for y in (one for one in x):\n        pass\n    return y"
    assert len(watched(loop, "check", "f([1, 2])")) == 1, "the end of a loop is no exception"


def test_what_differs_before_a_call_is_not_put_down_to_the_line_that_is_left_out():
    source = "import torch\nSTART = torch.rand(40)\n\ndef f(x):\n    y = x + 0\n    y = y * 1\n    return y"
    check = "f(torch.rand(40))"

    def ended_in(draw):
        names, cell = {"draw": draw}, cell_filename("own")
        torch.manual_seed(3)
        exec(compile(source, cell, "exec"), names)
        edited = [[cell, source.replace("y = y * 1", "pass")]]
        state = torch.get_rng_state()
        found = []
        for edit in ([], edited):
            torch.set_rng_state(state)
            run = [["check", draw + check]]
            _, calls, _ = witness.watch(lambda: names, edit, run, begins(cell, source), [3, 300, 6000], [])
            found += tracing._calls(calls)
        return edits.ending(*found)

    assert ended_in("") == "", "the edited cell has drawn numbers, and so the check draws others"
    assert ended_in("torch.manual_seed(1)\n") == "it returns the same as before"


def test_what_a_function_reaches_when_a_call_begins_is_compared():
    source = """
import torch
TABLE = torch.arange(30.)
class Layer:
    kept = []
    def scale(self, x):
        return x * FACTOR[0]
    def __call__(self, x):
        return helper(self.scale(x))
FACTOR = [2]
def helper(x):
    return x + TABLE[:3]
def f(layer, x):
    return layer(x)
def idle(x):
    return x
"""
    begin = "x = torch.ones(3)\n"
    before = {}
    for change in (
        "",
        "TABLE[20] = 0",
        "FACTOR[0] = 3",
        "Layer.kept.append(1)",
        "layer.own = 4",
        "x.grad = x + 1",
        "idle(2)",
    ):
        found = watched(source, "check", f"{begin}layer = Layer()\n{change}\nf(layer, x)")
        before[change] = next(one.before for one in found if one.first == 13)
    assert before[""] and before["idle(2)"] == before[""]
    assert all(before[change] != before[""] for change in list(before)[1:-1])
    large = "x = torch.ones(2_000_000)\nf(Layer(), x[:3])\nidle(x)"
    assert [bool(one.before) for one in watched(source, "check", large) if one.number == 1][-1:] == [False]


def test_what_a_network_of_networks_keeps_is_compared():
    source = """
from torch import nn
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
NET = Net()
def f(x):
    NET
    return x
"""
    before = [watched(source, "check", f"{begin}\nf(1)")[-1].before for begin in ("0", "NET.inner[0].bias.data += 1")]
    assert all(before) and before[0] != before[1]


KEEPERS = {
    "deque": ("collections.deque([1])", "KEPT.append(2)"),
    "slots": ("Slots()", "KEPT.x = 2"),
    "private slots": ("Slots()", "KEPT._Slots__own = 2"),
    "an attribute of a function": ("lambda: 1", "KEPT.calls = 2"),
    "partial": ("functools.partial(max, [1])", "KEPT.args[0].append(2)"),
    "bound method": ("Bound().look", "KEPT.__self__.x = 2"),
    "method of a list": ("[].append", "KEPT(2)"),
    "random.Random": ("random.Random(1)", "KEPT.random()"),
    "torch.Generator": ("torch.Generator()", "torch.rand(2, generator=KEPT)"),
    "numpy's generator": ("np.random.default_rng(1)", "KEPT.random()"),
    "numpy's older generator": ("np.random.RandomState(1)", "KEPT.rand()"),
    "bytearray": ("bytearray(2)", "KEPT[0] = 1"),
    "a dictionary of functions": ('{"a": made([])}', 'KEPT["a"]()'),
}


@pytest.mark.parametrize(("made", "change"), KEEPERS.values(), ids=KEEPERS)
def test_what_an_object_keeps_in_its_own_way_is_compared_too(made, change):
    source = f"""
import collections, functools, random, torch
import numpy as np
class Slots:
    __slots__ = ("x", "__own")
class Bound:
    def look(self):
        return self
def made(kept):
    return lambda: kept.append(1)
KEPT = {made}
def f(x):
    KEPT
    return x
"""
    before = [watched(source, "check", f"{begin}\nf(1)")[-1].before for begin in ("0", change)]
    assert all(before) and before[0] != before[1]


@pytest.mark.parametrize("made", ["iter([1, 2])", "(i for i in [1])", "itertools.count()", "functools.lru_cache(abs)"])
def test_where_it_is_not_to_be_seen_what_an_object_keeps_no_edit_is_asked_about(made):
    source = f"import functools, itertools\nKEPT = {made}\ndef f(x):\n    KEPT\n    return x"
    [call] = watched(source, "check", "f(1)")
    assert not call.before


def test_a_call_that_is_left_after_a_draw_is_known_to_draw():
    source = "import torch\n\ndef f(n):\n    for _ in range(n):\n        x = {}\n    return x"
    for body, draws in (("torch.rand(2)", True), ("torch.ones(2)", False)):
        [call] = watched(source.format(body), "check", "f(100)", most=20, how="enough")
        assert call.returned is None and call.draws == draws


@pytest.mark.parametrize(
    ("check", "changed"),
    [
        ("total(DATA)", False),
        ("DATA.sort()", True),
        ("net.eval()", True),
        ("net(torch.ones(2))", False),
        ("Log.seen.append(1)", True),
        ("LARGE[0] = 1", True),
        ("x = LARGE + 1", False),
        ("DATA = [1]", False),  # names are put back between questions
        ("Log().last", False),
        ("next(Log.number)", True),
        ("Log.last = property(len)", True),
        ("Log.__len__ = lambda self: 3", True),
        ("Log.__len__ = len", True),
        ("Log.zero = Log.zero", True),
        ("Log.note.count = 1", True),
        ("Log().note(1)", True),
        ("Log.Part.size = 2", True),
        ("Log.first = functools.cached_property(lambda self: 1)", True),
        ("_Hidden.size = 2", True),
        ("_hidden['size'] = 2", True),
        ("kinds[0] = _Hidden", True),
        ("pair[1] = pair[0]", True),
        ("act['f'] = lambda x: 2 * x", True),
        ("act['f'](1)", False),
        ("own.text = 'b'", True),
        ("LARGE.data.fill_(1.0)", True),
        ("LARGE.numpy()[0] = 5", True),
        ("LARGE.requires_grad_()", True),
        ("large(torch.ones(200)).sum().backward()", True),
        ("large(torch.ones(200))", False),
        ("lstm(torch.ones(3, 2))[0].sum().backward()", True),
        ("lstm(torch.ones(3, 2))", False),
    ],
)
def test_what_a_check_changes_in_place_is_seen(check, changed):
    source = "import functools, itertools, torch\nDATA = [3, 1]\nLARGE = torch.zeros(200, 200)\n"
    source += "net, lstm = torch.nn.Linear(2, 2), torch.nn.LSTM(2, 2)\ndef total(x):\n    return sum(x)\n"
    source += "class Log:\n    seen, number = [], itertools.count()\n"
    source += "    @property\n    def last(self):\n        return self.first\n"
    source += "    @functools.cached_property\n    def first(self):\n        return self.zero()\n"
    source += "    @classmethod\n    def zero(cls):\n        return 0\n"
    source += "    def note(self, x, all=[]):\n        all.append(x)\n    class Part:\n        size = 1\n"
    source += "class _Hidden:\n    size = 1\nclass Words(dict):\n    text = 'a'\n"
    source += "_hidden, kinds, pair, own = {'size': 1}, [Log], [[1], [1]], Words()\nown.text = 'a'\n"
    source += "act, large = {'f': lambda x: x}, torch.nn.Linear(200, 200)\n"
    names, cell = {"__name__": "__main__"}, cell_filename("own")
    exec(compile(source, cell, "exec"), names)
    own = begins(cell, source)
    assert witness.watch(lambda: names, [], [["check", check]], own, [3, 300, 6000], [])[2] == changed


def test_a_check_that_changes_the_notebook_in_place_leaves_nothing_to_the_next_run():
    source = "DATA = [3, 1, 8, 2, 5]\n\ndef rank(x):\n    first = x[0]\n    x.sort()\n    return first"
    homework = COURSE.homework("hw1")
    with (
        closing(Zygote(COURSE.root, None, lambda: libraries_of(COURSE.root, "hw1"))) as zygote,
        Session(zygote, homework.limits, [Cell("own", source)]) as session,
    ):
        session.run()
        unchanging = lambda seed: session.turn("", seed), [("c", "rank(sorted(DATA))")], [("own", 3)], 1
        for _ in range(2):
            [call] = tracing.traces(lambda seed: session.turn("", seed), [("c", "rank(DATA)")], [("own", 3)], 1)
            assert call.returned == Seen("value", (), (3,))
        shared = [session._shared for _ in range(2) if tracing.traces(*unchanging)]
    assert shared[0] is shared[1] is not None, "a fork in which nothing has changed is used again"


def with_session(cells, use):
    """What `use` gives for a line to the finished notebook and for its session."""
    homework = COURSE.homework("hw1")
    with (
        closing(Zygote(COURSE.root, None, lambda: libraries_of(COURSE.root, "hw1"))) as zygote,
        Session(zygote, homework.limits, [Cell(name, source) for name, source in cells.items()]) as session,
    ):
        session.run()
        return use(lambda seed: session.turn("", seed), session)


@pytest.mark.parametrize(("changed", "reads"), [("factor = 10", "factor"), ("kept.append(1)", "len(kept)")])
def test_no_result_is_asked_for_that_hangs_on_an_earlier_check(changed, reads):
    own = f"def g(x):\n    y = x * 2\n    y = y + 3\n    return y * {reads}"
    checks = ("first", f"{changed}\nassert g(1)"), ("second", "v = g(5)\nassert v\nw = g(7)")
    exercise = exercises.Exercise({"own": own}, checks, "")

    def asked(line, _):
        return drafting.questions([exercise], line, random.Random(1), 30)

    found = with_session({"given": "factor, kept = 1, [0]", "own": own}, asked)
    assert {one.about.check for one in found if one.kind == "result"} == {"first"}


def test_an_edit_that_fails_leaves_nothing_to_the_next_run():
    own = (
        "def g(x):\n    y = x * 2\n    y += 1\n    return y + len(kept)\n\nkept.append(1)\nassert g(1) == 4\nkept.pop()"
    )
    edit = tracing.Edit("own", own.replace("y += 1", "pass"))

    def results(line, _):
        for _ in range(2):
            [call] = tracing.traces(line, [("check", "g(5)")], [("own", 1)], 1)
            yield call.returned.items[0]
            assert tracing.ends(line, [("check", "g(5)")], edit, 1) == ()

    assert with_session({"given": "kept = []", "own": own}, lambda *given: list(results(*given))) == [11, 11]


LOOP = "def f(x):\n    out = []\n    for one in {}:\n        out.append(torch.rand(1).item())\n{}    return out"


@pytest.mark.parametrize(
    ("source", "sure"),
    [
        ("def f(x):\n    y = torch.rand(3, 4)\n    return y", {"shape"}),
        ("def f(x):\n    y = torch.rand(3, 4)\n    y = y[y > 0.5]\n    return y", set()),
        ("def f(x):\n    keep = torch.rand(3, 4) > 0.5\n    y = x[keep]\n    z = y + 1\n    return z", set()),
        (
            "def f(x):\n    y = torch.rand(3, 4)\n    while y.sum() < 9:\n        y = torch.cat([y, y])\n    return y",
            set(),
        ),
        (LOOP.format("range(3)", ""), {"runs", "length"}),
        (LOOP.format("x[:2]", "    if max(out) < 0.1:\n        lr = 1\n"), {"runs", "length"}),
        (LOOP.format("range(3)", "        if out[-1] > 0.5:\n            break\n"), set()),
        (LOOP.format("range(3)", "    if out[-1] > 0.5:\n        out = out[1:]\n"), {"runs"}),
        (LOOP.format("range(torch.randint(9, ()).item())", ""), set()),
        (LOOP.format("y", "").replace("    out", "    y = x[torch.rand(9) > 0.1]\n    out", 1), set()),
    ],
)
def test_a_size_that_may_hang_on_a_drawn_number_is_not_asked_for(source, sure):
    [function] = functions(source)
    x, out = Seen("tensor", (3, 4), None), Seen("list", (3,), (Seen("value", (), (0.5,)),) * 3)
    loop = "for" in source
    names = {"x": x} | dict.fromkeys(("y", "z"), Seen("tensor", (5, 7), None))
    lines = [one.lineno for one in function.statements for _ in range(3 if one.lineno in (3, 4) and loop else 1)]
    steps = tuple(tracing.Step(line, names) for line in (*lines, 0))
    returned = out if loop else names["y"]
    call = tracing.TracedCall("check", 1, "c", 1, 1, {"x": x}, steps, returned, draws=True)
    assert {one.kind for one in patterns.asked(call, function, "f()")} == sure


@pytest.mark.parametrize(
    ("before", "drawn", "draws"),
    [
        ("", "torch.rand(3)", True),
        ("", "torch.manual_seed(5)", True),
        ("", "np.random.rand()", True),
        ("", "np.random.permutation(4)", True),
        ("np.random.randn()", "np.random.randn()", True),  # the second of two, which NumPy has drawn already
        ("np.random.randn()", "np.linalg.norm(np.ones(3))", False),
        ("np.random.set_bit_generator(np.random.PCG64(1))", "np.random.rand()", True),
        ("np.random.set_bit_generator(np.random.PCG64(1))", "np.ones(2)", False),
        ("", "random.random()", True),
        ("random.gauss(0, 1)", "random.gauss(0, 1)", True),
        ("", "random.seed(7)", True),
        ("", "np.random.seed(7)", True),
        ("random.seed(1)", "[random.getrandbits(32) for _ in range(624)]", True),  # back at the same position
        ("", "torch.ones(2) + 1", False),
    ],
)
def test_whatever_is_drawn_in_a_call_is_noticed(before, drawn, draws):
    cell = cell_filename("own")
    generator = np.random.mtrand.get_bit_generator()
    names = {"random": random, "np": np, "torch": torch, "__name__": "notebook"}
    exec(compile(f"def f():\n    y = {drawn}\n    z = 1\n    return y", cell, "exec"), names)
    try:
        _, [call], _ = witness.watch(lambda: names, [], [["check", f"{before}\nf()"]], [[cell, 1]], [3, 300, 6000], [])
    finally:
        np.random.set_bit_generator(generator)
        random.seed(SEED)
    assert (call["draws"], call["undrawn"]) == (draws, 1 if draws else 4)


def test_a_list_whose_items_are_not_told_is_not_known():
    source = "def f(x):\n    y = x[0] @ x[1]\n    return y"
    two = Seen("list", (2,), (Seen("tensor", (5, 4), None),) * 2)
    for given, poor in ((two, False), (Seen("list", (40,), None), True), (Seen("list", (9,), (two,) * 9), False)):
        held = {"x": given, "y": Seen("tensor", (5, 3), None)}
        steps = tuple(tracing.Step(line, held) for line in (2, 3, 0))
        call = tracing.TracedCall("check", 1, "c", 1, 1, {"x": given}, steps, held["y"])
        found = [one.poor for one in patterns.asked(call, functions(source)[0], "f()") if one.kind == "shape"]
        assert found == [poor] * 2
    assert Seen("list", (9,), (two,) * 9).told() == f"list of 9 items, the first: {two.told()}"
    source = "import torch\n\ndef f(x):\n    return x"
    [long] = watched(source, "check", "f([(torch.ones(4, 5), 1)] * 9)")
    assert long.given["x"].told() == "list of 9 items, the first: tuple of tensor of shape (4, 5), 1"
    assert not Seen("list", (0,), ()).is_only_counted and not Seen("list", (0,), ()).is_opaque


def test_an_unusual_type_of_numbers_is_told():
    found = watched(
        "def f(x, y):\n    return x", "check", "import torch\nf(torch.ones(4, 5, dtype=torch.int64), torch.ones(4, 5))"
    )
    assert found[0].given["x"].told() == "tensor of shape (4, 5) and dtype int64"
    assert found[0].given["y"].told() == "tensor of shape (4, 5)"


def test_a_number_that_a_comment_gives_is_not_asked_for_and_the_right_one_is_not_always_in_the_middle():
    value = example(kind="value", right="0.25", wrong=("1.25", "-0.75", "-0.25", "0.5"))
    assert sieve.sieved([value], "", "", "y=f(x)#=0.25") == [] and sieve.sieved([value], "", "", "y=f(x)")
    ranks = collections.Counter()
    for number in range(3, 100):
        wrong = [eval(one) for one in near.values(Seen("value", (), (number,)))][:4]
        ranks[sorted([*wrong, number]).index(number)] += 1
    assert len(ranks) == 3 and min(ranks.values()) > 15


@pytest.mark.parametrize(
    ("source", "poor"),
    [
        ("def f(x):\n    y = x @ LIMIT\n    return y", True),
        ("def f(x):\n    y = x @ self._weight\n    return y", True),
        ("def f(x):\n    y = helper(x)\n    return y", False),
    ],
)
def test_what_needs_a_value_that_is_not_told_is_poor(source, poor):
    held = {"x": Seen("tensor", (4, 3), None), "y": Seen("tensor", (3, 5), None)}
    steps = tuple(tracing.Step(line, held) for line in (2, 3, 0))
    call = tracing.TracedCall("check", 1, "c", 1, 1, {"x": held["x"]}, steps, Seen("tensor", (3, 5), None))
    found = [one for one in patterns.asked(call, functions(source)[0], "f(x)") if one.kind == "shape"]
    assert found and all(one.poor == poor for one in found)


def test_true_is_one_and_a_check_that_asserts_a_call_says_it():
    assert sieve.distinct("True", ["1", "False", "0", "None"]) == ["False", "None"]
    for line, told in (("assert fits(1)", True), ("assert not fits(1)", True), ("assert fits(1) == y", False)):
        assert sieve.says(f"first call in check ‘c’, line 2: {line}", "True") == told


def test_numbers_with_the_same_sums_are_not_taken_for_the_same():
    source = "def f(kind):\n    return np.eye(2) if kind == 0 else np.full((2, 2), 0.5)"
    one, other, again = watched("import numpy as np\n" + source, "check", "f(0)\nf(1)\nf(0)")
    assert one.sums == other.sums
    same = {"given": one.given, "before": one.before}
    assert edits.ending(one, dataclasses.replace(other, **same)) == ""
    assert edits.ending(one, dataclasses.replace(again, **same)) == "it returns the same as before"


@pytest.mark.parametrize(
    ("other", "held"),
    [
        ("class ReLU(Layer): pass", True),
        ("layer = Layer()", True),
        ("TABLE['layer'] = Layer", True),
        ("def f(made=Layer()): return made", True),
        ("def f(): return Layer()", False),
        ("class Net:\n    def __init__(self): self.layer = Layer()", False),
        ("unused = Layer()", False),
    ],
)
def test_what_an_edit_does_not_reach_is_known(other, held):
    cells = {"layer": "class Layer:\n    def g(self): return 1", "other": other}
    cells["check"] = "(ReLU, layer, TABLE, f, Net)"
    assert exercises.held_cells(cells) == ({"layer"} if held else frozenset())


def test_a_next_line_that_begins_within_a_statement_is_not_asked_for():
    source = "def f(w, x):\n    if w > 1:\n        x = 1\n    y = 2\n    return (\n        x\n        + y\n    )"
    given = {"w": Seen("value", (), (0,)), "x": Seen("value", (), (1,))}
    assert ("next", 2) in asked_of(source, [2, 4, 6], given)
    assert ("next", 2) not in asked_of(source.replace("    y = 2\n", ""), [2, 5], given)


def test_a_number_that_may_be_rounding_is_no_key():
    source = "def f(x):\n    y = x - 0.3\n    return y"
    given = {"x": Seen("value", (), (0.5,))}
    assert ("result", 0) in asked_of(source, [2, 3], given, returned=0.2)
    assert asked_of(source, [2, 3], given, returned=5.551e-17) == {}


@pytest.mark.parametrize(
    ("line", "answer", "said"),
    [
        ("assert outer(a, b).shape == (4, 3)", "(4, 3)", True),
        ("assert len(f([1, 2])) == 5", "5", True),
        ("assert np.allclose(twice(x), [2., 4.])", "array([2.0, 4.0])", True),
        ("assert f(-1) == -.5", "-0.5", True),
        ("assert outer(a, b).shape == (3, 4)", "(4, 3)", False),
        ("compare('y', f(x),", "(4, 3)", False),
    ],
)
def test_a_quoted_check_that_gives_the_answer_is_known(line, answer, said):
    assert sieve.says(f"first call in check ‘c’, line 1: {line}", answer) == said


@pytest.mark.parametrize("body", ["self._slope * x", "SLOPE * x", "helper(x)", "self.part(x)"])
def test_a_result_that_needs_more_than_is_shown_is_a_poor_question(body):
    source = "def f(self, x):\n    y = 2 * x\n    return {} + y"
    given = {"x": Seen("value", (), (2,))}
    assert asked_of(source.format(body), [2, 3], given, returned=6)["result", 0].poor
    assert not asked_of(source.format("math.sqrt(x)"), [2, 3], given, returned=6)["result", 0].poor


def test_wrong_tensors_of_floats_hold_floats_alone():
    wrong = list(near.values(Seen("tensor", (2,), (1.0, -2.0))))
    assert "tensor([1.0, 0.0])" in wrong and not any(" 0]" in text for text in wrong)


def test_a_line_that_only_prints_is_not_left_out():
    [function] = functions("def f(x):\n    print(x)\n    x += 1\n    x.clear()")
    assert [edits._removable(one, function) for one in function.simple] == [False, True, True]


BOOKS = (
    Asked("mlp", (example(), example(right="(9,)", text=f"What {HOSTILE}?", at=0)), {"mse": f"def f(x):\n {HOSTILE}"}),
)


def test_moodle_reads_back_each_question_and_its_key():
    root = ElementTree.fromstring(quiz.moodle("hw1 ada", BOOKS))
    found = root.findall("question[@type='multichoice']")
    assert root.tag == "quiz" and len(found) == 2
    for one, question in zip(BOOKS[0].questions, found, strict=True):
        assert [a.findtext("text") for a in question.findall("answer[@fraction='100']")] == [
            f"<code>{one.right}</code>"
        ]
        assert len(question.findall("answer")) == 5 and question.findtext("single") == "true"
        assert "<script" not in question.findtext("questiontext/text")


@pytest.mark.parametrize("title", ["hw1 \x00a\x1b[31m<b>&", "hw1 \udcff\ud800\u202e", "hw1 a\nb,c;=1"])
def test_every_format_takes_every_name(title):
    assert ElementTree.fromstring(quiz.moodle(title, BOOKS)).find("question/category/text").text.startswith("$course$/")
    with zipfile.ZipFile(io.BytesIO(quiz.qti(title, BOOKS))) as archive:
        assert [ElementTree.fromstring(archive.read(name)).tag[-4:] for name in archive.namelist()] == ["fest", "erop"]
    assert {len(row) for row in csv.reader(io.StringIO(quiz.brightspace(title, BOOKS).decode("utf-8-sig")))} == {5}


def test_canvas_reads_back_each_question_and_its_key():
    space = {
        "q": "http://www.imsglobal.org/xsd/ims_qtiasiv1p2",
        "p": "http://www.imsglobal.org/xsd/imsccv1p1/imscp_v1p1",
    }
    with zipfile.ZipFile(io.BytesIO(quiz.qti("hw1 ada", BOOKS))) as archive:
        manifest = ElementTree.fromstring(archive.read("imsmanifest.xml"))
        resource = manifest.find("p:resources/p:resource[@type='imsqti_xmlv1p2']", space)
        root = ElementTree.fromstring(archive.read(resource.find("p:file", space).get("href")))
    items = root.findall("q:assessment/q:section/q:item", space)
    for one, item in zip(BOOKS[0].questions, items, strict=True):
        key = item.findtext("q:resprocessing/q:respcondition/q:conditionvar/q:varequal", None, space)
        labels = item.findall(".//q:response_label", space)
        assert [a.findtext("q:material/q:mattext", None, space) for a in labels if a.get("ident") == key] == [
            f"<code>{one.right}</code>"
        ]
        assert len(labels) == 5


def test_no_line_of_code_in_brightspaces_table_is_a_formula_where_semicolons_divide():
    source = "def f(x):\n=1+1\n    return x<=1;=2"
    table = quiz.brightspace("hw1 a;=1", (Asked("mlp", (example(first=1, last=3),), {"mse": source}),)).decode(
        "utf-8-sig"
    )
    assert not any(field.lstrip(' "').startswith(tuple("=+-@")) for field in re.split(r"[;\n\r]", table))
    [code] = [row[1] for row in csv.reader(io.StringIO(table)) if row[0] == "QuestionText"]
    assert "return x<=1;=2" in html.unescape(code)


def test_brightspace_reads_back_each_question_and_its_key():
    rows = list(csv.reader(io.StringIO(quiz.brightspace("hw1 ada", BOOKS).decode("utf-8-sig"))))
    assert rows.count(["NewQuestion", "MC", "", "", ""]) == 2 and {len(row) for row in rows} == {5}
    assert {row[0] for row in rows} == {"NewQuestion", "Title", "QuestionText", "Points", "Difficulty", "Option", ""}
    assert [row[2] for row in rows if row[:2] == ["Option", "100"]] == ["<code>(2, 3)</code>", "<code>(9,)</code>"]


def test_the_sheet_escapes_what_a_student_wrote_and_keeps_the_key_to_its_end():
    page = sheet.html(HOSTILE, "hw1", BOOKS)
    assert "<script" not in page and "\x1b" not in page
    questions, key = page.split("Key, for the instructor only")
    assert "<strong>C</strong>" in key and "<strong>A</strong>" in key and "<strong>" not in questions


@pytest.fixture(scope="module")
def graded(tmp_path_factory):
    """A class that was graded: right twice, one exercise wrong, nothing, a cell that is no Python, one that exits."""
    course = small_course(tmp_path_factory.mktemp("class") / "course")
    homework = course.homework("hw1")
    desk = example_class.SubmissionWriter(homework, "mlp")

    def with_mse(edit):
        book = desk.solved()
        cell = next(cell for cell in book["cells"] if cell["id"] == "mse")
        cell["source"] = edit("".join(cell["source"]))
        return book

    books = {
        "ada": desk.solved(),
        "bob": desk.solved(),
        "sign": desk.solved("mse-sign"),
        "blank": desk.untouched(),
        "broken": with_mse(lambda source: "def mse_loss(y, y_hat:\n  return 1"),
        "exits": with_mse(lambda source: source + "\nimport os; os._exit(3)"),
        "damaged": desk.solved(),
    }
    for student, book in books.items():
        folder = course.root / "submitted" / student / "hw1"
        folder.mkdir(parents=True)
        (folder / "mlp.ipynb").write_text(json.dumps(book))
    out = course.root / "results"
    class_run.run(course, homework, survey(course.root / "submitted", "hw1").todo, out, 2, unconfined=True)
    (out / "damaged" / "hw1.transcript").write_bytes(b"junk")
    return course


def held(course, form="html"):
    out, homework = course.root / "results", course.homework("hw1")
    return {
        one.student: one for one in round.held(course, homework, out, round.students_of(homework, out), form, "none")
    }


def test_nobody_stops_the_class(graded):
    found = held(graded)
    counts = {name: sum(len(book.questions) for book in one.books) for name, one in found.items()}
    assert counts == {"ada": 5, "bob": 5, "sign": 5, "blank": 0, "broken": 5, "exits": 5, "damaged": 0}
    assert "transcript" in found["damaged"].lost and found["blank"].notes == "mlp: no exercise with code is right"
    assert not any("mse" in q.cell for name in ("sign", "broken", "exits") for q in found[name].books[0].questions)
    assert stat.S_IMODE(found["ada"].path.stat().st_mode) == 0o600


def asked(course, *arguments):
    return CliRunner().invoke(app, ["viva", "hw1", *arguments, "--allow-unconfined", "--course", str(course.root)])


@pytest.mark.slow(seconds=3)
@pytest.mark.parametrize("form", ["html", "moodle", "qti", "csv"])
def test_it_says_of_each_file_where_the_key_is(graded, form):
    done = asked(graded, "ada", "--format", form)
    [wrote] = [line for line in done.output.splitlines() if line.startswith("wrote ")]
    assert done.exit_code == 0 and ("page" in wrote) == (form == "html") and "key" in wrote and "student" in wrote


def test_who_was_named_and_gets_no_sheet_is_told_why(graded):
    done = asked(graded, "blank")
    assert done.exit_code == 1
    assert "blank: nothing was written: mlp: no exercise with code is right" in done.output.splitlines()
    assert not (graded.root / "results" / "blank" / "hw1.viva.html").exists()


@pytest.mark.slow(seconds=3)
def test_in_a_class_who_gets_no_sheet_is_no_failure(graded, tmp_path):
    """Nor is who has none for another reason than a failure: of these two, one is right and one is blank."""
    out = graded.root / "results"
    for student in ("ada", "blank"):
        shutil.copytree(out / student, tmp_path / student)
    done = asked(graded, "--out", str(tmp_path))
    assert done.exit_code == 0 and "no exercise with code is right" in done.output


def test_the_same_file_gets_the_same_questions_and_another_student_others(graded):
    first, again = held(graded), held(graded)
    assert first["ada"].books == again["ada"].books
    assert first["ada"].books != first["bob"].books


def test_without_results_it_says_what_to_do(tmp_path):
    with pytest.raises(Exception, match="autograder grade hw1"):
        round.students_of(COURSE.homework("hw1"), tmp_path)


@pytest.mark.parametrize(
    ("before", "body", "steady"),
    [
        ("rng = np.random.default_rng(1)", "return rng.integers(0, x)", False),
        ("data = np.random.default_rng(1).integers(0, 9)", "return data + x", True),
        ("class Meter:\n    def tick(self):\n        self.seen += 1\n        return self.seen\n\nmeter = Meter()",
         "return x + meter.tick()", False),
        ("class Meter:\n    def look(self):\n        return self.seen\n\nmeter = Meter()",
         "return x + meter.look()", True),
        ("total = torch.zeros(1)\n\ndef count(x):\n    return total.add_(x)", "return count(x)", False),
        ("total = torch.zeros(1)\n\ndef count(x):\n    return total.mul(x)", "return count(x)", True),
        ("best = [3, 1]\n\ndef note(x):\n    best.sort()\n    return best", "return note(x)", False),
        ("class Log:\n    seen = []\n    def note(self, x):\n        type(self).seen.append(x)\n        return x",
         "return Log().note(x)", False),
        ("class Net:\n    def __init__(self, key):\n        self.f = getattr(torch, key)", "return x + 1", True),
        ("class Net:\n    def __init__(self, key):\n        self.f = getattr(torch, key)",
         "return Net('abs').f(x)", False),
        ("kinds = {}\n\nclass Net:\n    def __init__(self, key):\n        self.f = getattr(torch, key)\n\n"
         "made = [Net]", "return made[0]('abs').f(x)", False),
        ("class Net:\n    def __neg__(self):\n        return getattr(self.x, input)", "return -x", False),
        ("def still(net):\n    setattr(net, 'training', False)\n    return net", "return still(x)", True),
        ("def still(net, key):\n    setattr(net, key, False)\n    return net", "return x + 1", False),
        ("class Box:\n    seen = 0\n\nbox = Box()\n\ndef note(x):\n"
         "    setattr(box, 'seen', box.seen + x)\n    return box.seen",
         "return note(x)", False),
        ("class Log:\n    n = 0\n    @classmethod\n    def note(cls, x):\n        cls.n += x\n        return x",
         "return Log.note(x)", False),
    ],
)  # fmt: skip
def test_what_an_object_of_the_notebook_keeps_from_call_to_call_is_not_asked_about(before, body, steady):
    source = f"import numpy as np\nimport torch\n\ndef f(x):\n    {body}"
    around = steadiness.Steadiness([before, source], [], {})
    [function] = functions(source)
    assert around.holds(function) == steady


def test_where_a_check_with_a_loop_fails_first_is_a_poor_question():
    assert edits.has_loop("for k in range(2):\n    assert f(k)\nassert g(1)") and not edits.has_loop("assert f(1)")
