"""What continuous integration reads of a class run: JUnit's XML and a Markdown table."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest
from typer.testing import CliRunner

from autograder.cli import app
from autograder.exporting import junit
from autograder.results.result import CellResult, Diagnosis, NotebookResult, Result, TestResult

SPENT = {"cpu_seconds": 1.0, "wall_seconds": 1.5, "tier": "none"}


def one_test(passed: bool, message: str = "") -> TestResult:
    return TestResult(
        name="test_relu", cell="relu", weight=1.0, says="Negative numbers become 0.", passed=passed, message=message,
        seconds=0.25,
    )  # fmt: skip


def result_of(student: str, *cells: CellResult) -> Result:
    score = sum(cell.earned or 0.0 for cell in cells)
    most = sum(cell.maximum for cell in cells)
    book = NotebookResult(
        notebook="mlp", title="MLP", file="mlp.ipynb", score=score, max_score=most, cells=cells, seed=1,
        peak_memory_mb=1.0, **SPENT,
    )  # fmt: skip
    return Result(
        schema=1, course="c", homework="hw1", title="H", student=student, score=score, max_score=most,
        notebooks=(book,), versions={}, graded_at="2026-01-01T10:00:00+00:00", **SPENT,
    )  # fmt: skip


def cell(earned: float | None, *tests: TestResult, **more: object) -> CellResult:
    return CellResult(grade_id="relu", title="Exercise 1 · ReLU", points=2.0, earned=earned, tests=tests, **more)  # type: ignore[arg-type]


RIGHT = result_of("ada", cell(2.0, one_test(True)))
HINTED = Diagnosis(mistake="abs", title="takes the absolute value", hint="Look at negative numbers.")
WRONG = result_of("ben", cell(0.5, one_test(False, "x = -1 gives 1"), diagnoses=(HINTED,)), cell(None))


def read(results: list[Result], missing: dict[str, str]) -> ElementTree.Element:
    return ElementTree.fromstring(junit.xml("hw1", results, missing))


def test_each_exercise_is_a_case_of_its_students_suite() -> None:
    root = read([RIGHT, WRONG], {"cy": "the file is damaged"})
    assert [suite.get("name") for suite in root] == ["ada", "ben", "cy"]
    assert {count: root.get(count) for count in ("tests", "failures", "errors", "skipped")} == {
        "tests": "4", "failures": "1", "errors": "1", "skipped": "1",
    }  # fmt: skip
    [case] = root[0]
    assert case.get("classname") == "hw1.mlp" and case.get("time") == "0.250" and not len(case)


def test_a_failure_says_what_the_page_says() -> None:
    [failure] = read([WRONG], {}).iter("failure")
    assert failure.get("message") == "0.5 of 2 points"
    assert failure.text is not None
    assert [line for line in failure.text.splitlines() if line] == [
        "Negative numbers become 0.", "x = -1 gives 1", "Hint: Look at negative numbers.",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "name", ["a\x00b", "a\nb", "<script>", "a|b", "\udcff", "]]>", "`x`", "é\u2028ü", "[a](b)", "&lt;"]
)
def test_names_and_messages_break_neither_form(name: str) -> None:
    hostile = result_of(name, cell(0.0, one_test(False, name)))
    root = read([hostile], {name: name})
    assert len(root) == 2 and root[0].get("tests") == "1"
    table = junit.markdown("hw1", [hostile], {name: name}).splitlines()[4:]
    assert len(table) == 2
    for line in table:
        unescaped = line.replace("\\\\", "").replace("\\|", "")
        assert unescaped.count("|") == 5 and "<" not in line


def test_a_bonus_that_was_not_earned_is_no_failure() -> None:
    root = read([result_of("ada", cell(0.0, one_test(False), bonus=True))], {})
    assert root.get("failures") == "0"


def test_the_table_has_points_and_who_is_missing() -> None:
    lines = junit.markdown("hw1", [WRONG], {"cy": "damaged"}).splitlines()
    assert lines[4:] == [
        "| ben | 0.5 | 4 | mistake abs; 1 answer waits for a mark |",
        "| cy | – | – | not graded: damaged |",
    ]


def test_a_report_that_cannot_be_written_is_said_before_anybody_is_graded(tmp_path: Path) -> None:
    (tmp_path / "course.toml").write_text('id = "c"\ntitle = "C"\nhomeworks = ["hw1"]\n')
    call = ["grade", "hw1", "--course", str(tmp_path), "--junit", str(tmp_path / "none" / "report.xml")]
    said = CliRunner().invoke(app, call)
    assert said.exit_code == 2 and "none" in said.output and "there is no such folder" in said.output
