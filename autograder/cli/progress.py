"""The progress of a class run: a bar on a terminal, plain lines otherwise, JSON lines when asked."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from autograder.grading.class_run import Outcome
    from autograder.grading.submissions import Absent

_PAUSE = 10.0
"""seconds between two lines for machines that tell how far a cluster is"""


class Progress:
    """A bar on a terminal, a line a submission otherwise, JSON lines when asked."""

    def __init__(self, total: int, json: bool) -> None:
        self._json, self._total, self._done = json, total, 0
        self._workers, self._began, self._said = 0, 0.0, 0.0
        self._bar = None
        if not json and sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
            from rich.progress import Progress as Bar

            columns = (
                TextColumn("grading"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[rate]}"),
                TimeRemainingColumn(),
                TextColumn("{task.fields[workers]}"),
            )
            self._bar = Bar(*columns, console=Console(stderr=True))
            self._task = self._bar.add_task("", total=total, rate="", workers="")

    def __enter__(self) -> Progress:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(self, *why: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def seen(self, outcome: Outcome) -> None:
        result = outcome.result
        self._done += 1
        if self._json:
            import json

            self._tell_rate()

            line: dict[str, object] = {"student": outcome.submission.student, "error": outcome.lost}
            if result is not None:
                line |= {"score": result.score, "max_score": result.max_score, "tier": result.tier}
                line |= {"wall_seconds": result.wall_seconds, "cpu_seconds": result.cpu_seconds}
                line |= {"found": list(result.findings), "stood": outcome.stood}
            typer.echo(json.dumps(line))
        elif self._bar is not None:
            self._bar.advance(self._task)
            if speed := self._bar.tasks[0].speed:
                self._bar.update(self._task, rate=f"{speed:.1f}/s" if speed >= 1 else f"{60 * speed:.1f}/min")
        elif outcome.stood:
            pass  # how many did is told at the end
        elif result is not None:
            found = f"  {', '.join(result.findings)}" if result.findings else ""
            off = result.late.penalty if result.late else 0
            late = f" ({off:g} taken off for lateness)" if off else ""
            typer.echo(f"{result.student}: {result.score:g}/{result.max_score:g}{late}{found}")
        else:
            typer.echo(f"{outcome.submission.student}: {outcome.lost}")

    def tell(self, text: str) -> None:
        """Say what happens beside the grading."""
        if self._json:
            import json

            typer.echo(json.dumps({"note": text}))
        elif self._bar is not None:
            self._bar.console.print(text, markup=False, highlight=False, soft_wrap=True)
        else:
            typer.echo(text, err=True)

    def workers(self, workers: int, slots: int) -> None:
        """Say how many workers of a cluster grade, and how many submissions at a time."""
        if self._json:
            import json

            self._workers = workers
            self._began = self._said = self._began or time.monotonic()
            typer.echo(json.dumps({"workers": workers, "at_a_time": slots}))
        elif self._bar is not None:
            self._bar.update(self._task, workers=f"{workers} workers")
        else:
            typer.echo(f"{workers} workers grade, {slots} submissions at a time", err=True)

    def _tell_rate(self) -> None:
        """For machines, now and then: how fast a cluster grades, and the seconds left."""
        import json

        now = time.monotonic()
        if self._workers and now > self._said + _PAUSE:
            self._said = now
            rate = self._done / (now - self._began)
            left = {"done": self._done, "of": self._total, "seconds_left": round((self._total - self._done) / rate)}
            typer.echo(json.dumps({**left, "per_second": round(rate, 3), "workers": self._workers}))

    def absent(self, absent: Sequence[Absent]) -> None:
        """Name what is in the folder of submissions and was not graded."""
        for one in absent:
            if self._json:
                import json

                typer.echo(json.dumps({"student": one.name, "error": one.why}))
            else:
                typer.echo(f"{one.name}: not graded: {one.why}")
