"""What has changed from one result of a submission to another, and why."""

from __future__ import annotations

from collections.abc import Iterator

from autograder.grading.orders import Change, Scores
from autograder.results import marks
from autograder.results.result import CellResult, Result


def changes_between(old: Result, new: Result) -> tuple[Change, ...]:
    """What has changed from one result of a submission to another, cell by cell."""
    return tuple(_changes(old, new))


def scores(old: Result, new: Result) -> Scores:
    """The score of a result, and that of the one in its place, which has no marks yet: those of the old one count."""
    return Scores(old.score, marks.applied(new, marks.given(old)).score)


def _changes(old: Result, new: Result) -> Iterator[Change]:
    then = {(book.notebook, cell.grade_id): cell for book in old.notebooks for cell in book.cells}
    for book in new.notebooks:
        for cell in book.cells:
            was = then.pop((book.notebook, cell.grade_id), None)
            before = was.earned if was is not None else None
            why = _why(was, cell) if was is not None else ("the cell is new",)
            if why:
                yield Change(new.student, book.notebook, cell.grade_id, before, cell.earned, why)
    for (notebook, grade_id), cell in then.items():
        yield Change(new.student, notebook, grade_id, cell.earned, None, ("the cell is gone",))


def _why(was: CellResult, now: CellResult) -> tuple[str, ...]:
    """Why a cell's result has changed, in short phrases; nothing if it has not."""
    before, after = ({test.name: test for test in cell.tests} for cell in (was, now))
    why = [f"{name} is new" for name in after if name not in before]
    why += [f"{name} is gone" for name in before if name not in after]
    for name in before.keys() & after.keys():
        if before[name].passed != after[name].passed:
            why.append(f"{name} {'passes' if after[name].passed else 'fails'} now")
    if was.points != now.points:
        why.append(f"worth {now.points:g} points, not {was.points:g}")
    if not why and was.earned != now.earned:
        why.append(now.note or was.note or "its tests have other weights")
    hints = [{one.mistake: one.hint for one in cell.diagnoses} for cell in (was, now)]
    if hints[0] != hints[1] and hints[0].keys() == hints[1].keys():
        why.append(f"another hint text: {', '.join(hints[1])}")
    elif hints[0] != hints[1]:
        why.append(f"hint: {', '.join(hints[1]) or 'none'}, not {', '.join(hints[0]) or 'none'}")
    return tuple(why)
