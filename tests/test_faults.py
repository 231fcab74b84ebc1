"""An error in a hidden test is never the student's: the cell waits, the author is told, and the audit finds it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from autograder.cli import app
from autograder.course import build
from autograder.course.course import Course, CourseError, open_course
from autograder.examination.examined import Examined
from autograder.examination.rounds import FAULT
from autograder.examination.suite import Suite, collected
from autograder.grading import class_regrade, class_run
from autograder.grading.orders import Choosing
from autograder.grading.server import GradingServer
from autograder.grading.submissions import survey
from autograder.proving import audit
from autograder.results import record
from autograder.results.result import CellResult, NotebookResult
from autograder.sandbox.lines import InProcessLine, Line
from tests.conftest import write_files
from tests.test_recording import FILES

pytestmark = pytest.mark.slow(seconds=12)

HEAD = """\
import pytest

from autograder import earns


@earns("square-check")
"""
FAULTS = {
    "a misspelt fixture": 'def test_small(studnet):\n    """It squares."""\n    assert studnet.square(2) == 4\n',
    "a misspelt name": 'def test_small(student):\n    """It squares."""\n    assert student.square(2) == fuor\n',
    "a wrong import": (
        'def test_small(student):\n    """It squares."""\n    from math import sqaure\n    assert sqaure\n'
    ),
    "an error before the first question": (
        'def test_small(student):\n    """It squares."""\n    x = [1, 2][5]\n    assert student.square(x) == 4\n'
    ),
    "an error in a fixture": (
        'def test_small(student, broken):\n    """It squares."""\n    assert student.square(2) == 4\n\n\n'
        "@pytest.fixture\ndef broken():\n    return 1 / 0\n"
    ),
}
HARNESS = "from autograder import Harness\n\nHARNESS = Harness(__file__)\n\n\n"
ASKED = 'def test_small(student):\n    """It squares."""\n    assert HARNESS.beside(student).{call} == 4\n'
HARNESSES = {
    "what it imports is missing": ("import nosuch\n\n\ndef asked(f):\n    return f(2)\n", "asked(student.square)"),
    "a misspelt name in it": ("def asked(f):\n    return f(tow)\n", "asked(student.square)"),
    "it takes something else": ("def asked(f, x):\n    return f(x)\n", "asked(student.square)"),
    "a misspelt function of it": ("def asked(f):\n    return f(2)\n", "aksed(student.square)"),
    "a name that nothing defines": ("def asked(f):\n    return f(2)\n", "asked(student.sqare)"),
}
HONEST = {
    "a wrong answer": "return x",
    "an answer of no use": "return None",
    "an error": "return missing",
    "nothing": "raise NotImplementedError",
}
GOOD = 'def test_small(student):\n    """It squares."""\n    assert student.square(2).bit_length() == 3\n'


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("built")
    write_files(root, FILES)
    build.build(open_course(root))
    return root


@pytest.fixture
def course(built: Path, tmp_path: Path) -> Course:
    return open_course(Path(shutil.copytree(built, tmp_path / "course")))


def hidden(course: Course, text: str) -> None:
    (course.root / "hw1/hidden/test_powers.py").write_text(HEAD + text, encoding="utf-8")


def examined(course: Course, body: str) -> Examined:
    """The hidden tests on a submission whose `square` does this."""
    names: dict[str, object] = {}
    exec(f"def square(x):\n    {body}", names)
    suite = Suite(course, course.homework("hw1"), "powers")

    def line(cell: str) -> Line:
        return InProcessLine(dict(names), suite.spec)

    with collected(suite):
        return suite.examine(line, line)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_of_a_test_is_told_apart_from_one_of_the_student(course: Course, fault: str) -> None:
    hidden(course, FAULTS[fault])
    found = examined(course, "return x * x")
    assert found.faults == {"square-check"}
    assert [test.message for test in found.tests] == [FAULT]


@pytest.mark.parametrize("fault", HARNESSES)
@pytest.mark.parametrize("body", ["return x * x", "return None", "return missing"])
def test_a_test_that_the_reference_fails_as_well_is_at_fault(course: Course, fault: str, body: str) -> None:
    source, call = HARNESSES[fault]
    (course.root / "hw1/hidden/harness").mkdir()
    (course.root / "hw1/hidden/harness/powers.py").write_text(source, encoding="utf-8")
    text = HEAD.replace("@earns", HARNESS + "@earns") + ASKED.format(call=call)
    (course.root / "hw1/hidden/test_powers.py").write_text(text, encoding="utf-8")
    found = examined(course, body)
    assert (found.faults, found.tests[0].passed) == ({"square-check"}, False)


@pytest.mark.parametrize(("fault", "tried"), [("what it imports is missing", True), ("a misspelt name in it", False)])
def test_the_courses_own_answer_is_trained_only_where_no_name_is_missing(
    course: Course, fault: str, tried: bool
) -> None:
    source, call = HARNESSES[fault]
    (course.root / "hw1/hidden/harness").mkdir()
    (course.root / "hw1/hidden/harness/powers.py").write_text(source, encoding="utf-8")
    head = HEAD.replace('@earns("square-check")', HARNESS + '@earns("square-check", trains=True)')
    (course.root / "hw1/hidden/test_powers.py").write_text(head + ASKED.format(call=call), encoding="utf-8")
    assert examined(course, "return x * x").faults == ({"square-check"} if tried else set())


def test_a_test_that_is_marked_to_be_skipped_is_a_fault_and_one_that_is_not_runs(course: Course) -> None:
    hidden(course, GOOD.replace("def ", '@pytest.mark.skip(reason="later")\ndef ', 1))
    assert examined(course, "return x * x").faults == {"square-check"}
    hidden(course, GOOD.replace("def ", '@pytest.mark.skipif(False, reason="never")\ndef ', 1))
    assert examined(course, "return x * x").tests[0].passed


def test_what_a_test_leaves_behind_does_not_reach_the_next(course: Course) -> None:
    """Neither the end of its fixture, which may use pytest's own outcomes, nor its filters of warnings."""
    hidden(
        course,
        'def test_small(student, ends):\n    """It squares."""\n    import warnings\n\n'
        '    warnings.simplefilter("error")\n    assert student.square(2) == 4\n\n\n'
        '@pytest.fixture\ndef ends():\n    yield\n    pytest.fail("at the end")\n\n\n'
        '@earns("square-check")\ndef test_next(student):\n    """It squares again."""\n    import warnings\n\n'
        '    warnings.warn("hello")\n    assert student.square(3) == 9\n',
    )
    found = examined(course, "return x * x")
    assert [test.passed for test in found.tests] == [True, True] and not found.faults


def test_a_test_case_of_unittest_is_refused_with_its_name(course: Course) -> None:
    hidden(
        course,
        GOOD + "\n\nimport unittest\n\n\nclass TestSquare(unittest.TestCase):\n    def test_one(self):\n        pass\n",
    )
    with pytest.raises(CourseError, match=r"TestSquare::test_one.*as functions"):
        examined(course, "return x * x")


NOTED = 'if x in globals().setdefault("seen", set()):\n        return x * x\n    seen.add(x)\n    return 0'
LATE = 'if globals().setdefault("seen", False):\n        return x * x\n    globals()["seen"] = True\n    return 0'


@pytest.mark.parametrize(("body", "passes"), [(NOTED, False), (LATE, True)])
def test_who_passes_the_second_time_has_to_answer_new_numbers(course: Course, body: str, passes: bool) -> None:
    """The right answers may have been noted between the two runs; what another test had left behind is no fault."""
    hidden(
        course,
        'def test_square(student, draw):\n    """It squares."""\n    x = draw.size(2, 10**6)\n'
        "    assert student.square(x) == x * x\n",
    )
    found = examined(course, body)
    assert [test.passed for test in found.tests] == [passes]
    kept = found.recorded["test_square"]
    assert kept.anew is not None and kept.last is kept.anew


@pytest.mark.parametrize("answer", HONEST)
def test_what_a_student_got_wrong_is_no_fault_of_a_test(course: Course, answer: str) -> None:
    hidden(course, GOOD)
    found = examined(course, HONEST[answer])
    assert not found.faults and not found.tests[0].passed


def test_a_test_that_looks_at_what_another_one_asked_is_no_fault(course: Course) -> None:
    hidden(
        course,
        'def test_small(answer):\n    """It squares."""\n    assert answer.bit_length() == 3\n\n\n'
        '@earns("square-check")\ndef test_again(answer):\n    """It squares."""\n    assert answer.real == 4\n\n\n'
        '@pytest.fixture(scope="module")\ndef answer(shared_student):\n    return shared_student.square(2)\n',
    )
    assert not examined(course, "return None").faults


def test_the_audit_names_a_fault_that_only_a_wrong_answer_meets(course: Course) -> None:
    hidden(
        course,
        'def test_small(student):\n    """It squares."""\n    five = student.square(2)\n'
        '    assert five == 5, f"{fvie} is it"\n',
    )
    [master] = [row for row in audit.audit(course, course.homework("hw1"), workers=1) if row.kind == "master"]
    fault = "test_small has an error of its own: NameError: name 'fvie' is not defined (test_powers.py, line 10)"
    assert any(fault in text for text in master.wrong)


def test_the_audit_names_a_misspelt_fixture(course: Course) -> None:
    hidden(course, FAULTS["a misspelt fixture"])
    [master] = [row for row in audit.audit(course, course.homework("hw1"), workers=1) if row.kind == "master"]
    assert any(
        "test_small has an error of its own: FixtureLookupError: there is no fixture 'studnet'" in text
        for text in master.wrong
    )


def test_the_audit_names_a_test_without_a_docstring(course: Course) -> None:
    hidden(course, "def test_small(student):\n    assert student.square(2) == 4\n")
    [master] = [row for row in audit.audit(course, course.homework("hw1"), workers=1) if row.kind == "master"]
    assert master.wrong == ("the hidden test test_small has no docstring: students read what it tests",)


def test_the_cell_waits_and_gets_its_points_when_the_test_is_mended(course: Course) -> None:
    folder = course.root / "submitted/ada/hw1"
    folder.mkdir(parents=True)
    text = (course.root / "release/hw1/powers.ipynb").read_text()
    (folder / "powers.ipynb").write_text(text.replace("raise NotImplementedError", "return x * x"))
    homework, out = course.homework("hw1"), course.root / "results"
    hidden(course, FAULTS["a misspelt fixture"])
    todo = survey(course.root / "submitted", "hw1").todo
    outcomes = class_run.run(course, homework, todo, out, 1, unconfined=True)
    assert class_run.faults_of(one.result for one in outcomes if one.result) == {("powers", "square-check"): 1}
    assert checked(out).earned is None
    assert [one.kind for one in book(out).incidents] == ["internal"]
    repair = "1 answer waits for a repaired hidden test: correct the test, then run `autograder regrade hw1`"
    again = called(course, "grade", "--workers", "1", "--allow-unconfined")
    assert again.exit_code == 1 and repair in again.output and "for a mark" not in again.output
    brought = called(course, "marks")
    assert brought.exit_code == 1 and repair in brought.output and "0 answers are not marked yet" in brought.output
    exported = called(course, "export", "--dry-run")
    assert exported.exit_code == 1 and "ada: left out, answers wait for a repaired hidden test" in exported.output
    page = (out / "ada/hw1.html").read_text()
    assert "It is not your fault" in page and "studnet" not in page
    hidden(course, FAULTS["a misspelt name"])
    told = called(course, "regrade", "--allow-unconfined")
    assert told.exit_code == 1
    assert "hw1/powers: a hidden test of square-check has an error of its own" in told.output
    hidden(course, GOOD)
    class_regrade.run(course, homework, out, course.root / "submitted", 1, Choosing(), unconfined=True)
    assert (checked(out).earned, book(out).incidents) == (3, ())


WRONG_MASTER = {
    "import nosuch": "install nosuch where the grader is installed, or correct the cell",
    "FACTOR = 1 / 0": "(ZeroDivisionError: division by zero): correct the cell",
}


@pytest.mark.parametrize("wrong", WRONG_MASTER)
def test_a_master_with_an_error_is_named_when_the_server_starts(course: Course, wrong: str) -> None:
    master = course.root / "hw1/powers.py"
    master.write_text(master.read_text().replace("def square(", f"{wrong}\n\n\ndef square("))
    line = master.read_text().splitlines().index(wrong) + 1
    homework = course.homework("hw1")
    with pytest.raises(CourseError) as error:
        _ = Suite(course, homework, "powers").reference
    assert str(error.value).startswith(f"{master}:{line}: the cell ‘square’ raises an error (")
    assert WRONG_MASTER[wrong] in str(error.value)
    with pytest.raises(CourseError, match="the cell ‘square’ raises an error"), GradingServer(homework, "none"):
        pass


def called(course: Course, command: str, *options: str) -> Result:
    return CliRunner().invoke(app, [command, "hw1", *options, "--course", str(course.root)])


def book(out: Path) -> NotebookResult:
    return record.read(out / "ada/hw1.json").notebooks[0]


def checked(out: Path) -> CellResult:
    return next(cell for cell in book(out).cells if cell.grade_id == "square-check")
