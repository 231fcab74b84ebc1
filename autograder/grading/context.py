"""The grading context: everything that grading a homework needs, loaded once."""

from __future__ import annotations

import copy
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress

from autograder.confine.confinement import Tier
from autograder.course.course import Course, CourseError, Homework
from autograder.course.parameters import Values
from autograder.course.personal import values_of
from autograder.course.personal_release import personal_released, with_numbers
from autograder.course.release import Released, released
from autograder.examination import budget
from autograder.examination.personal_suite import personal_suites
from autograder.examination.suite import Suite, collected
from autograder.forbidden import static
from autograder.forbidden.attempts import Attempt, attempts
from autograder.forbidden.run_texts import RunText
from autograder.grading.origin import Origin
from autograder.sandbox.zygote_client import Zygote
from autograder.submission import Gradable, read, repair
from autograder.submission.kinship import Kinship
from autograder.submission.rawcell import MAX_ALL_CODE_CHARACTERS, MAX_CODE_CHARACTERS
from autograder.submission.rebindings import Rebinding, notes, rebindings

EMPTY: Mapping[str, str] = {}


class GradingContext:
    """The releases, hidden tests, references and zygote of one homework. Entering it collects the tests."""

    def __init__(self, course: Course, homework: Homework, zygote: Zygote) -> None:
        self.course, self.homework, self.zygote = course, homework, zygote
        self.suites = {spec.name: Suite(course, homework, spec.name) for spec in homework.notebooks}
        self.released = {spec.name: personal_released(homework, spec.name) for spec in homework.notebooks}
        self._others = tuple(_other_releases(course, homework))
        self.kinship = Kinship([*self.released.values(), *self._others])
        self._personal: dict[Values, GradingContext] = {}
        self.versions = _versions()
        self.origin = Origin(course, homework)
        self._stack = ExitStack()

    def __enter__(self) -> GradingContext:
        self._stack.enter_context(collected(*self.suites.values()))
        for suite in self.suites.values():
            _ = suite.reference  # a master that raises an error stops the run here, and not in each student's fork
        return self

    def __exit__(self, *why: object) -> None:
        self._stack.close()

    def of(self, student: str) -> GradingContext:
        """The context in which this student is graded. For the same parameters, it is made once.

        Raises CourseError if nobody knows what the student was given.
        """
        values = values_of(self.homework, student)
        if values == self.homework.values:
            return self
        if values not in self._personal:
            self._personal[values] = self._with(self.homework.personal(values))
        return self._personal[values]

    def _with(self, homework: Homework) -> GradingContext:
        """The same context for the homework with other values. The tests stay collected."""
        other = copy.copy(self)
        other.homework = homework
        other.suites = personal_suites(self.suites, homework)
        other.released = {
            name: with_numbers(self.released[name], self.suites[name].master, suite.master)
            if suite is not self.suites[name]
            else self.released[name]
            for name, suite in other.suites.items()
        }
        other.kinship = Kinship([*other.released.values(), *self._others])
        for suite in other.suites.values():
            _warm(suite)
        return other

    def forget(self) -> None:
        """Forget what was found for one submission."""
        for context in (self, *self._personal.values()):
            for suite in context.suites.values():
                suite.diagnoser.forget()

    def check_confinement(self, floor: str) -> None:
        """Wait for the zygote. Raises CourseError if it confines submissions less than the tier `floor`."""
        zygote = self.zygote
        if not Tier(zygote.tier).at_least(Tier(floor)):
            raise CourseError(
                f"{self.course.root / 'course.toml'}: floor is {floor}, but this machine confines with tier "
                f"{zygote.tier}: run `autograder doctor`, which shows what to install or change; --allow-unconfined "
                "grades without confinement"
            )
        if zygote.ready.shows and floor != "none":
            raise CourseError(
                f"{self.course.root}: submissions could read this folder, because it is inside the folder of the "
                "virtual environment: create the environment in a folder of its own (.venv)"
            )

    def warm(self) -> list[str]:
        """Use every release and every reference once, so that forks find everything loaded.

        Returns the hidden tests that fail with the reference itself, as homework/notebook: test.
        """
        failed = []
        for name, suite in self.suites.items():
            path = self.homework.release(name)
            gradable = repair(read(path), path.name, self.released[name])
            _forbidden_uses(suite, gradable)
            list(notes(gradable.cells, rebindings(gradable.cells)))
            _warm(suite)
            failed += [f"{self.homework.name}/{name}: {test}" for test in sorted(suite.fails_itself(suite.quick))]
        return failed


def _warm(suite: Suite) -> None:
    """Find once what each fork would find for itself."""
    suite.diagnoser.warm()
    _ = suite.reference, suite.uses, suite.prints, suite.known


def _forbidden_uses(
    suite: Suite, gradable: Gradable, modules: Mapping[str, str] = EMPTY, rebound: Sequence[Rebinding] = ()
) -> dict[str, str]:
    """For each grade cell whose solution uses a forbidden tool, the reason why it earns nothing.

    `modules` are the student's own Python files: path and source. `rebound` are the names with two meanings.
    """
    own, given = _code(gradable, modules)
    later: dict[str, frozenset[tuple[str, str]]] = {}
    for one in rebound:
        for cell in one.between if _own(gradable, one.again) else ():
            later[cell] = later.get(cell, frozenset()) | {(one.again, one.name)}
    return static.trespasses(suite.master, own, given, suite.spec.forbidden, later)


def _own(gradable: Gradable, cell: str) -> bool:
    return any(one.id == cell and one.own for one in gradable.cells)


def _attempts_in(
    suite: Suite, gradable: Gradable, modules: Mapping[str, str] = EMPTY, ran: Sequence[RunText] = ()
) -> tuple[Attempt, ...]:
    """What the student's cells and `modules` contain, or run, that no honest answer needs."""
    own, given = _code(gradable, modules)
    tools = suite.spec.forbidden
    read = _read_of(modules)
    long = [path for path, source in modules.items() if tools and len(source) > len(read[path])]
    unread = (
        Attempt(path, 1, f"more than {len(read[path]):,} characters, the rest of which is not read") for path in long
    )
    return (*unread, *attempts(own, given, tools, ran))


def _read_of(modules: Mapping[str, str]) -> dict[str, str]:
    """What is read of each module: no more than of a cell, and of all together no more than of a notebook."""
    read, room = dict[str, str](), MAX_ALL_CODE_CHARACTERS
    for path, source in modules.items():
        read[path] = source[: min(MAX_CODE_CHARACTERS, room)]
        room -= len(read[path])
    return read


def read_code(
    suite: Suite,
    gradable: Gradable,
    modules: Mapping[str, str],
    rebound: Sequence[Rebinding],
    ran: Sequence[RunText] = (),
) -> tuple[dict[str, str], tuple[Attempt, ...]]:
    """The forbidden uses and the attempts in a submission, and in what `ran` that stands in no cell of it.

    What cannot be read in time is an attempt itself.
    """
    try:
        with budget.budget():
            return _forbidden_uses(suite, gradable, modules, rebound), _attempts_in(suite, gradable, modules, ran)
    except budget.Exhausted:
        why = "code that takes too long to read"
    except Exception as error:  # whatever a student writes, it must not stop the grader
        why = f"code that cannot be read ({type(error).__name__})"
    own, _ = _code(gradable, modules)
    return {}, tuple(Attempt(name, 1, why) for name, _ in own[:1])


def _code(gradable: Gradable, modules: Mapping[str, str]) -> tuple[static.Code, static.Code]:
    """The code cells and modules that are the student's, and the locked cells."""
    code = [(cell.id, cell.source, cell.released) for cell in gradable.cells if cell.kind == "code"]
    given = [(name, source) for name, source, released in code if released and released.locked]
    own = [(name, source) for name, source, released in code if not (released and released.locked)]
    return [*own, *_read_of(modules).items()], given


def _other_releases(course: Course, homework: Homework) -> Iterator[Released]:
    """The released notebooks of the course's other homeworks, as far as they are built."""
    for name in course.homeworks:
        if name != homework.name:
            other = course.homework(name)
            for spec in other.notebooks:
                with suppress(CourseError):
                    yield released(other, spec.name)


def _versions() -> dict[str, str]:
    """The versions of the software that a score may depend on."""
    import numpy
    import torch

    from autograder import __version__

    python = ".".join(map(str, sys.version_info[:3]))
    return {"autograder": __version__, "python": python, "torch": str(torch.__version__), "numpy": numpy.__version__}
