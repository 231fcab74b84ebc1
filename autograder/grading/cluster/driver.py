"""The driver of a class run on a cluster: packs submissions, hands them to a crew, and writes what comes back."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path

import msgspec

from autograder import atomic_file
from autograder.course.bundle import Bundle, bundle
from autograder.course.course import Course, CourseError, Homework
from autograder.examination.secret import course_secret
from autograder.grading.class_run import Outcome
from autograder.grading.cluster.dispatch import Crew, Dispatch, Landed, Prepared
from autograder.grading.cluster.messages import Graded, Order
from autograder.grading.orders import About
from autograder.grading.origin import Origin
from autograder.grading.submissions import Submission
from autograder.results import record
from autograder.submission.parcel import packed

Connect = Callable[[Bundle], AbstractContextManager[Crew]]
_WRITERS = 8
"""threads that write results: each mostly waits until the disk has them"""


class ClusterRun:
    """Grades on a cluster, in place of a grading server. It keeps the course as it was when the run began."""

    def __init__(
        self,
        course: Course,
        homework: Homework,
        connect: Connect,
        tell: Callable[[str], None] = lambda text: None,
        staffed: Callable[[int, int], None] = lambda workers, slots: None,
    ) -> None:
        """`connect` gives the crew for a bundle; `tell` is told what happens to workers, and what changes.

        `staffed` is told how many workers there are, and how many submissions they can grade at a time.
        """
        self._course, self._homework, self._connect, self._tell = course, homework, connect, tell
        self._staffed = staffed
        self._origin, self._bundle = self._read()
        self._digest = self._bundle.digest.encode()

    def _read(self) -> tuple[Origin, Bundle]:
        """The bundle, and the origin of results that are made from it. Raises CourseError if the course is changing."""
        for _ in range(3):
            origin = Origin(self._course, self._homework)
            found = bundle(self._course, self._homework, course_secret(self._course))
            if Origin(self._course, self._homework) == origin:
                return origin, found
            time.sleep(0.5)
        raise CourseError(f"{self._course.root}: the course's files keep changing: grade when they are complete")

    def grade_all(
        self, todo: Sequence[Submission], out: Path, marked: Path | None, about: Callable[[str], About]
    ) -> Iterator[Sequence[Outcome]]:
        """Grade `todo`, and write below `out` and `marked` (if given). Yields outcomes that come together."""

        def prepare(submission: Submission) -> Prepared:
            # first: what is handed in on the way is graded the next time
            key = self._origin.key_of(submission.student, submission.folder)
            parcel = packed(submission.folder, self._homework.name, self._course.homeworks)
            order = Order(submission.student, key, about(submission.student), parcel, marked is not None)
            data = msgspec.msgpack.encode(order)
            name = hashlib.blake2b(self._digest + data, digest_size=16).hexdigest()
            return Prepared(data, f"grade-{self._homework.name}-{name}")

        def outcome(landed: Landed) -> Outcome:
            return self._outcome(landed, out, marked)

        with self._connect(self._bundle) as crew, ThreadPoolExecutor(_WRITERS, thread_name_prefix="write") as pool:
            for landed in Dispatch(crew, todo, prepare, self._tell, self._staffed):
                yield tuple(pool.map(outcome, landed))
        self._compare()

    def _outcome(self, landed: Landed, out: Path, marked: Path | None) -> Outcome:
        submission, graded = landed.submission, landed.graded
        if graded is None:
            return Outcome(submission, None, landed.why)
        try:
            result = record.decoder.decode(graded.record)
        except msgspec.DecodeError as error:
            return Outcome(submission, None, f"{submission.student}: what a worker sent is no result ({error})")
        if (result.student, result.homework) != (submission.student, self._homework.name):
            return Outcome(submission, None, f"{submission.student}: a worker sent another one's result")
        try:
            self._write(submission.student, graded, out, marked)
        except (OSError, ValueError) as error:
            return Outcome(submission, None, f"{submission.student}: the result could not be written ({error})")
        return Outcome(submission, result)

    def _write(self, student: str, graded: Graded, out: Path, marked: Path | None) -> None:
        """Write the files of one result, the results file last."""
        if marked is not None:
            folder = marked / student / self._homework.name
            folder.mkdir(parents=True, exist_ok=True)
            for spec in self._homework.notebooks:
                if spec.name in graded.notebooks:
                    atomic_file.replace(folder / f"{spec.name}.ipynb", graded.notebooks[spec.name])
        record.store(out, student, self._homework.name, graded.record, graded.page, graded.transcript)

    def _compare(self) -> None:
        """Say so if the course has been edited since the run began."""
        now = bundle(self._course, self._homework, course_secret(self._course))
        if now.digest != self._bundle.digest:
            self._tell(
                f"{self._course.root}: files of {self._homework.name} have changed during the run. Everybody was "
                f"graded with the files as they were when it began; `autograder grade {self._homework.name}` grades "
                "again whom the change affects"
            )
