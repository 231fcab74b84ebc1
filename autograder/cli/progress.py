"""The progress of a class run: a bar on a terminal, plain lines otherwise, JSON lines when asked."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from autograder.grading.class_run import Outcome
    from autograder.grading.submissions import Absent


class Progress:
    """A bar on a terminal, a line a submission otherwise, JSON lines when asked."""

    def __init__(self, total: int, json: bool) -> None:
        self._json = json
        self._bar = None
        if not json and sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
            from rich.progress import Progress as Bar

            columns = (TextColumn("grading"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
            self._bar = Bar(*columns, console=Console(stderr=True))
            self._task = self._bar.add_task("", total=total)

    def __enter__(self) -> Progress:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(self, *why: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def seen(self, outcome: Outcome) -> None:
        result = outcome.result
        if self._json:
            import json

            line: dict[str, object] = {"student": outcome.submission.student, "error": outcome.lost}
            if result is not None:
                line |= {"score": result.score, "max_score": result.max_score, "tier": result.tier}
                line |= {"wall_seconds": result.wall_seconds, "cpu_seconds": result.cpu_seconds}
                line |= {"found": list(result.findings), "stood": outcome.stood}
            typer.echo(json.dumps(line))
        elif self._bar is not None:
            self._bar.advance(self._task)
        elif outcome.stood:
            pass  # how many did is told at the end
        elif result is not None:
            found = f"  {', '.join(result.findings)}" if result.findings else ""
            off = result.late.penalty if result.late else 0
            late = f" ({off:g} taken off for lateness)" if off else ""
            typer.echo(f"{result.student}: {result.score:g}/{result.max_score:g}{late}{found}")
        else:
            typer.echo(f"{outcome.submission.student}: {outcome.lost}")

    def absent(self, absent: Sequence[Absent]) -> None:
        """Name what is in the folder of submissions and was not graded."""
        for one in absent:
            if self._json:
                import json

                typer.echo(json.dumps({"student": one.name, "error": one.why}))
            else:
                typer.echo(f"{one.name}: not graded: {one.why}")
