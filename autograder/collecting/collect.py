"""Collects a homework: takes archives and folders apart, and puts each student's newest attempt into submitted/."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from autograder.collecting.attribution import Trouble, attribute
from autograder.collecting.desk import Collected, Desk
from autograder.collecting.disguise import Disguise
from autograder.collecting.division import PACKED, Division, HandedIn, divide
from autograder.collecting.platforms import Platform, Setting
from autograder.collecting.source import opened
from autograder.course.course import Course, CourseError, Homework
from autograder.course.release import Released, released
from autograder.course.roster import FILE, Roster
from autograder.submission.kinship import Kinship


@dataclass(frozen=True)
class Collection:
    """What became of everything that was handed in."""

    divisions: tuple[Division, ...]
    """one for each path"""
    collected: tuple[Collected, ...]
    troubles: tuple[Trouble, ...]
    without: tuple[str, ...]
    """students of the roster who have handed in nothing"""

    @property
    def findings(self) -> int:
        """How many things a person has to look at."""
        sources = sum(len(one.strays) + len(one.source.refused) + (not one.handed_in) for one in self.divisions)
        return sources + len(self.troubles) + sum(one.finding for one in self.collected)


def collect(
    course: Course,
    homework: Homework,
    paths: Sequence[Path],
    platform: Platform | None = None,
    roster: Roster | None = None,
    submitted: Path | None = None,
    replacing: bool = False,
    dry: bool = False,
    pseudonyms: bool = False,
    seen: Callable[[Collected], None] = lambda collected: None,
) -> Collection:
    """Put the newest attempt of each student into <submitted>/<student>/<homework>/, and older ones aside.

    Another submission that is there stays, unless `replacing`. Older attempts, and what is replaced, are kept in
    <course>/collected/<homework>/<student>/<time>/. A `dry` run writes nothing there. With `pseudonyms`, students are
    called by those of the roster, and nothing that is written says who they are. Raises CourseError if a path cannot be
    read at all, or a pseudonym is missing; what is wrong with one student's files is a finding.
    """
    if pseudonyms and roster is None:
        raise CourseError(f"{course.root / FILE}: there is no roster: make it with `autograder roster import`")
    if pseudonyms and roster is not None:
        roster.check_pseudonyms(roster.students)
    submitted, aside = submitted or course.root / "submitted", course.root / "collected"
    for path in paths:
        _refuse_own(path, course, (submitted, aside))
    releases = {spec.name: released(homework, spec.name) for spec in homework.notebooks}
    kinship = Kinship([*releases.values(), *_other_releases(course, homework)])
    desk = Desk(releases, kinship, submitted, aside / homework.name, replacing, dry)
    setting = Setting(homework.name, tuple(releases), course.homeworks, roster)
    archives = [archive for path in paths for archive in _given(path, setting, platform)]
    with ExitStack() as stack:
        divisions = tuple(divide(stack.enter_context(opened(path)), setting, platform) for path in archives)
        found = attribute(divisions, roster, desk.folders() if roster is None else ())
        done = []
        for id, attempts in found.students.items():
            student, other = _names(id, roster, pseudonyms)
            try:
                if desk.holds(other):
                    why = f"{other}/{homework.name} is there, the same student's: move it away, and collect again"
                    done.append(Collected(student, "kept", notes=(why,)))
                elif desk.may_hold(student, shared := found.shared.get(student, "")):
                    whose = " or ".join(one for one, name in found.shared.items() if name == shared)
                    why = f"the folder {shared} is there, of one with this name: call it {whose}, and collect again"
                    done.append(Collected(student, "kept", notes=(why,)))
                elif pseudonyms and roster is not None:
                    done.append(_disguised(desk, student, attempts, roster, kinship))
                else:
                    done.append(desk.take(student, attempts))
            except Exception as error:  # one student's files never keep the others from being collected
                done.append(
                    Collected(student, "failed", notes=(f"it could not be written: {error or type(error).__name__}",))
                )
            seen(done[-1])
    there = {*found.students, *(trouble.who for trouble in found.troubles)}
    absent = [student.id for student in roster.students if student.id not in there] if roster else []
    without = [_names(id, roster, pseudonyms)[0] for id in absent]
    return Collection(divisions, tuple(done), found.troubles, tuple(without))


def _names(id: str, roster: Roster | None, pseudonyms: bool) -> tuple[str, str]:
    """What a student is called here, and what in a homework that is collected the other way; '' if nothing."""
    student = roster.bearer(id) if roster else None
    pseudonym = student.pseudonym if student else ""
    return (pseudonym, id) if pseudonyms else (id, pseudonym)


def _disguised(desk: Desk, pseudonym: str, attempts: Sequence[HandedIn], roster: Roster, kinship: Kinship) -> Collected:
    """Take one student's attempts, without names."""
    student = roster.bearer(pseudonym)
    assert student is not None
    disguise = Disguise(student, roster, desk.homework, tuple(desk.releases), kinship)
    one = desk.take(pseudonym, [disguise.of(attempt) for attempt in attempts])
    return replace(one, notes=(*one.notes, *dict.fromkeys(disguise.notes)))


def _refuse_own(path: Path, course: Course, filled: Sequence[Path]) -> None:
    """Raise CourseError if a path is the course's own, and not what a platform gave."""
    here = path.resolve()
    if here in [folder.resolve() for folder in filled]:
        raise CourseError(f"{path}: this is where submissions are put: name what the platform gave you")
    own = [course.root / name for name in (*course.homeworks, "source", "release")]
    if course.root.is_relative_to(here) or here in [folder.resolve() for folder in own]:
        raise CourseError(f"{path}: this holds the course's own files: name what the platform gave you")


def _given(path: Path, setting: Setting, platform: Platform | None) -> list[Path]:
    """The path, or the archives in it when it is a folder with nothing but downloads in it."""
    inside = [one for one in sorted(path.iterdir()) if not one.name.startswith(".")] if path.is_dir() else []
    if not inside or not all(one.is_file() and one.suffix.casefold() == ".zip" for one in inside):
        return [path]
    if platform is None:
        for one in inside:
            try:
                with opened(one) as source:
                    packed = divide(source, setting).platform in PACKED
            except CourseError:
                packed = False
            if not packed:  # it is a student's
                return [path]
    return inside if platform is None or platform in PACKED else [path]


def _other_releases(course: Course, homework: Homework) -> Iterator[Released]:
    """The released notebooks of the course's other homeworks, as far as they are built."""
    for name in course.homeworks:
        with suppress(CourseError):
            other = course.homework(name)
            for spec in other.notebooks if name != homework.name else ():
                with suppress(CourseError):
                    yield released(other, spec.name)
