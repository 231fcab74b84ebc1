"""Why answers have no points yet: they wait for a person's mark, or for something that has to be repaired first."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from autograder.results.result import CellResult, NotebookResult, Result

Kind = Literal["mark", "test", "notebook"]
WAITS_FOR: dict[Kind, str] = {
    "mark": "a mark",
    "test": "a repaired hidden test",
    "notebook": "a notebook that the grader could not grade",
}


@dataclass(frozen=True)
class Waiting:
    """How many answers wait, by what they wait for."""

    mark: int = 0
    """a person marks them in formgrader"""
    test: int = 0
    """a hidden test of theirs has an error of its own"""
    notebook: int = 0
    """the grader could not grade their notebook"""

    @property
    def all(self) -> int:
        return self.mark + self.test + self.notebook

    @property
    def phrases(self) -> Sequence[str]:
        """‘2 answers wait for a mark’, for each kind."""
        return list(self._phrases.values())

    def lines(self, homework: str) -> Sequence[str]:
        """What waits and what to do, a line for each kind."""
        ways_out: dict[Kind, str] = {
            "mark": f"mark them in formgrader, then run `autograder marks {homework}`",
            "test": f"correct the test, then run `autograder regrade {homework}`",
            "notebook": f"run `autograder grade {homework}`, which tries again; if that fails, too, mark them in "
            "formgrader",
        }
        return [f"{phrase}: {ways_out[what]}" for what, phrase in self._phrases.items()]

    def repairs(self, homework: str) -> Sequence[str]:
        """The same, without those that wait for a mark."""
        return Waiting(0, self.test, self.notebook).lines(homework)

    @property
    def _phrases(self) -> Mapping[Kind, str]:
        counts: dict[Kind, int] = {"mark": self.mark, "test": self.test, "notebook": self.notebook}
        return {
            what: f"{number} answer{' waits' if number == 1 else 's wait'} for {WAITS_FOR[what]}"
            for what, number in counts.items()
            if number
        }


def waiting_in(results: Iterable[Result]) -> Waiting:
    """How many answers in these results wait, and for what."""
    kinds = [
        kind(book, cell)
        for result in results
        for book in result.notebooks
        for cell in book.cells
        if cell.earned is None
    ]
    return Waiting(kinds.count("mark"), kinds.count("test"), kinds.count("notebook"))


def kind(book: NotebookResult, cell: CellResult) -> Kind:
    """What an answer without points waits for."""
    ours = [one for one in book.incidents if one.kind == "internal"]
    if any(one.cell == cell.grade_id and one.note == cell.note for one in ours):
        return "test"
    return "notebook" if not book.file and any(not one.cell for one in ours) else "mark"


def reason(result: Result) -> str:
    """Why a result is not complete, in a few words with the way out; '' if it is."""
    found = waiting_in([result])
    parts = ["answers are not marked yet"] if found.mark else []
    if found.test:
        way_out = f"correct it, then run `autograder regrade {result.homework}`"
        parts.append(f"answers wait for a repaired hidden test: {way_out}")
    if found.notebook:
        parts.append(f"the grader could not grade a notebook: `autograder grade {result.homework}` tries again")
    return "; ".join(parts)
