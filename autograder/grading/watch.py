"""Grading on arrival: what comes into submitted/ is graded at once, by a grading server that stays warm."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path

from autograder.course import lag
from autograder.course.course import Course, CourseError, Homework, TierName, open_course
from autograder.course.roster import open_roster
from autograder.grading import class_run, teams
from autograder.grading.class_run import Outcome
from autograder.grading.orders import About
from autograder.grading.origin import Origin
from autograder.grading.server import GradingServer
from autograder.grading.submissions import Submission

_SHORTEST, _LONGEST, _TIMES = 0.1, 2.0, 5
"""seconds between two looks: so many times as long as the last one took, for a large class is not looked at all the
time"""
_TOGETHER = 1.0
"""seconds in which outcomes come into the table together while all workers are busy: each table takes time from them"""
_Signature = tuple[tuple[str, int, int], ...]


class _Server(GradingServer):
    """A grading server that can be ended while others wait for it: nobody starts it again."""

    _ended = False

    def _start(self) -> None:
        if self._ended:
            raise CourseError("the grading server was ended")
        super()._start()

    def end(self) -> None:
        with self._lock:
            self._ended = True
            self.close()


class _Desk:
    """A grading server with its workers. It begins what it is given, and has the outcomes when it is asked again."""

    def __init__(self, homework: Homework, origin: Origin, floor: TierName, workers: int) -> None:
        self.origin = origin
        self._server = _Server(homework, floor)
        self._server.wait()
        self._workers = workers
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="watch")
        self._begun: dict[str, tuple[Submission, Future[Outcome]]] = {}

    def grade_all(
        self, todo: Sequence[Submission], out: Path, marked: Path | None, about: Callable[[str], About]
    ) -> Iterator[Sequence[Outcome]]:
        """Begin those that are not begun yet, and give the outcomes of those that are done."""
        done = [one.student for one in todo if one.student in self._begun and self._begun[one.student][1].done()]
        for one in todo:
            if one.student not in self._begun:
                future = self._pool.submit(class_run.outcome_of, self._server, one, out, marked, about)
                self._begun[one.student] = one, future
        yield tuple(self._begun.pop(student)[1].result() for student in done)

    @property
    def busy(self) -> Set[str]:
        """The students whose submissions wait here, are graded, or have an outcome that nobody has taken yet."""
        return self._begun.keys()

    def done(self) -> list[Submission]:
        """Those whose outcome is there."""
        return [one for one, future in self._begun.values() if future.done()]

    def wait(self, seconds: float) -> None:
        """Wait until there is a new outcome, but not longer than these seconds.

        While all workers are busy, nobody who comes is graded at once: then outcomes are awaited that come together.
        """
        futures = [future for _, future in self._begun.values() if not future.done()]
        if len(futures) >= self._workers:
            wait(futures, max(seconds, _TOGETHER))
        elif futures:
            wait(futures, seconds, FIRST_COMPLETED)
        else:  # where there are outcomes all the same, the course has an error, and they cannot be taken yet
            time.sleep(seconds)

    def close(self) -> None:
        """End everything, whatever is still being graded."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._server.end()
        self._pool.shutdown()


class Watch:
    """Watches a folder of submissions. `look` grades what has come and is complete; it is to be called again and again.

    Between two looks, `rest` waits. It is a context manager, which closes the grading server.
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
        self._desk: _Desk | None = None
        self._before: dict[str, _Signature] = {}
        self._taken: dict[str, _Signature] = {}
        """of each submission that was given to the desk last"""
        self._done: dict[str, _Signature] = {}
        self._said = ""
        self._took = 0.0
        """seconds that the last look took which found nothing to do"""

    def __enter__(self) -> Watch:
        return self

    def __exit__(self, *why: object) -> None:
        self.close()

    def close(self) -> None:
        """End the grading server. What is still being graded is graded anew when it is looked at again."""
        if self._desk is not None:
            self._desk.close()
            self._desk = None

    @property
    def busy(self) -> bool:
        """Whether something is being graded, whose outcome a later look gives."""
        return self._desk is not None and bool(self._desk.busy)

    def rest(self) -> None:
        """Wait until it is time for the next look: not for long, and only until an outcome is there."""
        seconds = min(_LONGEST, max(_SHORTEST, _TIMES * self._took))
        if self._desk is not None:
            self._desk.wait(seconds)
        else:
            time.sleep(seconds)

    def look(self) -> tuple[Outcome, ...]:
        """Begin to grade what is new or has changed, if its files are the same as at the last look; what is done now.

        One submission that takes long holds nobody else up. Where the course's files have an error, everything waits
        until they have changed.
        """
        began = time.monotonic()
        outcomes = self._look()
        self._took = 0.0 if outcomes else time.monotonic() - began
        return outcomes

    def _look(self) -> tuple[Outcome, ...]:
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
        if not ready and not self.busy:
            return ()
        try:
            outcomes = self._grade(course, ready, now)
        except CourseError as error:
            if str(error) != self._said:
                self._said = str(error)
                self._tell(self._said)
            return ()
        self._said = ""
        return outcomes

    def _grade(self, course: Course, ready: Sequence[Submission], now: Mapping[str, _Signature]) -> tuple[Outcome, ...]:
        homework = course.homework(self._name)
        origin = Origin(course, homework)
        if self._desk is None or origin != self._desk.origin:
            self.close()
            for line in lag.checked(homework):
                self._tell(line)
            self._desk = _Desk(homework, origin, "none" if self._unconfined else course.floor, self._workers)
        new = [one for one in ready if one.student not in self._desk.busy]
        self._taken |= {one.student: now[one.student] for one in new}
        found = self._run(course, homework, new, self._desk)
        return found + self._run(course, homework, self._desk.done(), self._desk, again=True)

    def _run(
        self, course: Course, homework: Homework, todo: Sequence[Submission], desk: _Desk, again: bool = False
    ) -> tuple[Outcome, ...]:
        if not todo:
            return ()
        places = self._out, self._workers, self._unconfined, self._seen
        outcomes = class_run.run(course, homework, todo, *places, again=again, elsewhere=desk)
        self._done |= {one.submission.student: self._taken[one.submission.student] for one in outcomes}
        return outcomes


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
