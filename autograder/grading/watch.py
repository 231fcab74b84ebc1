"""Grading on arrival: what comes into submitted/ is graded at once, by a grading server that stays warm."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from autograder.course.course import Course, CourseError, open_course
from autograder.course.roster import open_roster
from autograder.grading import class_run, teams
from autograder.grading.class_run import Outcome
from autograder.grading.origin import Origin
from autograder.grading.server import GradingServer
from autograder.grading.submissions import Submission

_Signature = tuple[tuple[str, int, int], ...]


class Watch:
    """Watches a folder of submissions. `look` grades what has come and is complete; it is to be called again and again.

    It is a context manager, which closes the grading server.
    """

    def __init__(
        self,
        course: Course,
        homework: str,
        submitted: Path,
        out: Path,
        workers: int,
        unconfined: bool = False,
        seen: Callable[[Outcome], None] = lambda outcome: None,
        tell: Callable[[str], None] = lambda text: None,
    ) -> None:
        """`seen` gets each outcome; `tell` is told why nothing can be graded, once for each reason."""
        self._root, self._name, self._submitted, self._out = course.root, homework, submitted, out
        self._workers, self._unconfined, self._seen, self._tell = workers, unconfined, seen, tell
        self._server: GradingServer | None = None
        self._origin: Origin | None = None
        self._before: dict[str, _Signature] = {}
        self._done: dict[str, _Signature] = {}
        self._said = ""

    def __enter__(self) -> Watch:
        return self

    def __exit__(self, *why: object) -> None:
        self.close()

    def close(self) -> None:
        """End the grading server."""
        if self._server is not None:
            self._server.close()
            self._server = None

    def look(self) -> tuple[Outcome, ...]:
        """Grade the submissions that are new or have changed, if their files are the same as at the last look.

        Where the course's files have an error, everything waits until they have changed.
        """
        try:
            course = open_course(self._root)
            found = teams.survey_of(self._submitted, self._name, course.homeworks, open_roster(self._root))
        except CourseError:  # nothing is there yet, or a file is just being written
            return ()
        now = {one.student: tuple(sorted(_signature(one.folder))) for one in found.todo}
        ready = [
            one
            for one in found.todo
            if now[one.student] == self._before.get(one.student) and now[one.student] != self._done.get(one.student)
        ]
        self._before = now
        if not ready:
            return ()
        try:
            outcomes = self._grade(course, ready)
        except CourseError as error:
            if str(error) != self._said:
                self._said = str(error)
                self._tell(self._said)
            return ()
        self._said = ""
        self._done |= {one.submission.student: now[one.submission.student] for one in outcomes}
        return outcomes

    def _grade(self, course: Course, ready: list[Submission]) -> tuple[Outcome, ...]:
        homework = course.homework(self._name)
        origin = Origin(course, homework)
        if self._server is None or origin != self._origin:
            self.close()
            server = GradingServer(homework, "none" if self._unconfined else course.floor)
            server.wait()
            self._server, self._origin = server, origin
        return class_run.run(
            course,
            homework,
            ready,
            self._out,
            self._workers,
            self._unconfined,
            self._seen,
            server=self._server,
        )


def _signature(folder: Path) -> Iterator[tuple[str, int, int]]:
    """Path, size and time of each file in a student's folder, or of an archive in its place."""
    try:
        about = folder.stat()
        yield str(folder), about.st_size if folder.is_file() else 0, about.st_mtime_ns
        for at, _, names in os.walk(folder):
            for name in names:
                path = Path(at, name)
                about = path.lstat()
                yield str(path), about.st_size, about.st_mtime_ns
    except OSError:  # it is being moved
        return
