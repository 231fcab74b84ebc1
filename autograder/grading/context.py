"""The grading context: everything that grading a homework needs, loaded once."""

from __future__ import annotations

from contextlib import ExitStack

from autograder.course.course import Course, Homework
from autograder.course.release import released
from autograder.examination.suite import Suite, collected
from autograder.sandbox.lines import InProcessLine
from autograder.sandbox.zygote_client import Zygote
from autograder.submission import read, repair


class GradingContext:
    """The releases, hidden tests, references and zygote of one homework. Entering it collects the tests."""

    def __init__(self, course: Course, homework: Homework, zygote: Zygote) -> None:
        self.course, self.homework, self.zygote = course, homework, zygote
        self.suites = {spec.name: Suite(course, homework, spec.name) for spec in homework.notebooks}
        self.released = {spec.name: released(homework, spec.name) for spec in homework.notebooks}
        self._stack = ExitStack()

    def __enter__(self) -> GradingContext:
        self._stack.enter_context(collected(*self.suites.values()))
        return self

    def __exit__(self, *why: object) -> None:
        self._stack.close()

    def warm(self) -> None:
        """Use every release and every reference once, so that forks find everything loaded."""
        for name, suite in self.suites.items():
            path = self.homework.release(name)
            repair(read(path), path.name, self.released[name])
            suite.diagnoser.warm()
            names = vars(suite.reference)
            suite.run(lambda names=names, spec=suite.spec: InProcessLine(dict(names), spec), training=())  # type: ignore[misc]
