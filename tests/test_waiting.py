"""An answer without points says what it waits for: a person, a repaired hidden test, or the grader."""

from __future__ import annotations

import msgspec
import pytest

from autograder.exporting import junit
from autograder.insight import class_figures, class_page, class_table
from autograder.results import page
from autograder.results.result import NUMBERS, SCHEMA, CellResult, Incident, NotebookResult, Result
from autograder.results.waiting import reason, waiting_in
from autograder.submission.rawcell import file_note

OURS = "A test has an error of its own."
FAULT = Incident(kind="internal", cell="loss", note=OURS)
STOPPED = Incident(kind="internal", cell="", note="The grader could not grade this notebook.")
LOST = Incident(kind="internal", cell="loss", note="The sandbox failed.")


def waits(*incidents: Incident, note: str = "", file: str = "mlp.ipynb") -> Result:
    """A result with one answer without points."""
    cell = CellResult(grade_id="loss", title="Loss", points=2, earned=None, note=note)
    book = NotebookResult(
        notebook="mlp", title="MLP", file=file, score=0, max_score=2, cells=(cell,), incidents=incidents, tier="A",
        seed=0, cpu_seconds=0, wall_seconds=0, peak_memory_mb=0,
    )  # fmt: skip
    return Result(
        schema=SCHEMA, course="c", homework="hw1", title="T", student="ada", score=0, max_score=2, notebooks=(book,),
        tier="A", versions={}, graded_at="2026-01-01T00:00:00+00:00", cpu_seconds=0, wall_seconds=0,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("result", "says", "way_out"),
    [
        (waits(), "1 answer waits for a mark", "`autograder marks hw1`"),
        (waits(FAULT, note=OURS), "1 answer waits for a repaired hidden test", "`autograder regrade hw1`"),
        (waits(LOST), "1 answer waits for a mark", "formgrader"),
        (waits(STOPPED, file=""), "1 answer waits for a notebook that the grader", "`autograder grade hw1`"),
    ],
)
def test_an_answer_says_what_it_waits_for_and_what_to_do(result: Result, says: str, way_out: str) -> None:
    [line] = waiting_in([result]).lines("hw1")
    assert line.startswith(says) and way_out in line


def test_a_reason_names_each_kind_once() -> None:
    assert reason(waits()) == "answers are not marked yet"
    assert "repaired hidden test" in reason(waits(FAULT, note=OURS)) and "marked" not in reason(waits(FAULT, note=OURS))


def test_the_report_for_continuous_integration_tells_them_apart() -> None:
    table = junit.markdown("hw1", [waits(FAULT, note=OURS)], {})
    assert "1 answer waits for a repaired hidden test" in table
    assert b"waits for a repaired hidden test, 2 points" in junit.xml("hw1", [waits(FAULT, note=OURS)], {})


def test_the_class_page_tells_them_apart() -> None:
    results = [waits(), waits(FAULT, note=OURS), waits(STOPPED, file="")]
    named = [msgspec.structs.replace(one, student=f"student-{number}") for number, one in enumerate(results)]
    told = class_page.html(class_figures.report(class_table.of_results(named, "hw1"), {}))
    for what in ("a mark", "a repaired hidden test", "a notebook that the grader could not grade"):
        assert f"mlp/loss waits for {what}: 1 student " in told


def test_a_page_names_a_marker_only_where_a_person_marks() -> None:
    assert "A person will mark these answers" in page.html(waits())
    told = page.html(waits(FAULT, note=OURS))
    assert "A person will mark" not in told and "Your instructor has to look at these answers first" in told
    assert "Your instructor has to look at it. Until then" in told


def test_numbers_of_somebody_else_are_what_to_look_at_first() -> None:
    result = waits()
    [book] = result.notebooks
    note = file_note(NUMBERS, "Your notebook has numbers that you were not given (K = 7).")
    book = msgspec.structs.replace(book, repairs=(note,))
    told = page.html(msgspec.structs.replace(result, notebooks=(book,)))
    first = told[told.index('id="first"') :]
    assert first.index("numbers that you were not given") < first.index("</section>")
