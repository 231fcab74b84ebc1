"""Publishing: a folder or git repository gets what students get and nothing else, once all of it was checked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from autograder.course.build import notebooks, read_masters
from autograder.course.course import Course, CourseError
from autograder.course.disclosure import Hidden, hidden
from autograder.course.handout import GUIDE, LICENCE, OWN, handout
from autograder.course.published_folder import MANIFEST, Plan, compare, opened
from autograder.course.stripping import BuildError

_MOST_DISCLOSURES = 20
"""of one file, so many are told"""


def plan(course: Course, folder: Path, homeworks: Sequence[str] | None = None, replace: bool = False) -> Plan:
    """Find out what publishing these homeworks, by default all, changes in `folder`. Writes nothing.

    Files that others made or edited are kept, unless `replace`; then those that are in the way are overwritten.

    Raises
    ------
    CourseError
        If the folder must not be published to, or the release is not that of the masters.
    BuildError
        If a file would give away what students must not see. The message names file and line of each place.
    """
    for name in homeworks or ():
        course.homework(name)
    folder = folder.resolve()
    before = opened(course, folder, replace)
    named = tuple(name for name in course.homeworks if homeworks is None or name in homeworks)
    listed = tuple(name for name in course.homeworks if name in named or name in before.homeworks)
    wanted = contents(course, named, listed)
    others = [name for name in listed if name not in named]
    return compare(course, folder, before, wanted, listed, others, replace)


def contents(course: Course, named: Sequence[str], listed: Sequence[str]) -> dict[str, bytes]:
    """Every file to publish, by its path: the notebooks of `named`, and a README about `listed`. All are checked."""
    masters = read_masters(course, course.homeworks)
    found: dict[str, bytes] = {}
    stale: list[str] = []
    for path, text in notebooks(course, {name: masters[name] for name in named}).items():
        if path.parts[0] == "release":
            try:
                found[path.as_posix()] = (course.root / path).read_bytes()
            except OSError:
                stale.append(f"{course.root / path}: this file is missing")
            else:
                if found[path.as_posix()] != text.encode():
                    stale.append(f"{course.root / path}: this is not what the master makes")
    beside = handout(course, {name: masters[name] for name in listed})
    beside.pop(MANIFEST, None)
    places = {name: course.root / name for name in (*found, LICENCE, GUIDE)} | _places(course.root, beside)
    said = list(_disclosed(beside | found, places, hidden(course, masters)))
    way_out = ["Run `autograder build`, so that students get what is graded."] if stale else []
    if said:
        raise BuildError("\n".join([*said, *stale, "Nothing was published: students would see this.", *way_out]))
    if stale:
        raise CourseError("\n".join([*stale, *way_out]))
    return beside | found


def _places(root: Path, beside: Iterable[str]) -> dict[str, Path]:
    """Where the course has the files that it hands out as they are."""
    return {name: root / OWN / name for name in beside if (root / OWN / name).is_file()}


def _disclosed(files: Mapping[str, bytes], places: Mapping[str, Path], secrets: Hidden) -> Iterator[str]:
    """What the files give away. `places` are the files in the course that they are made from."""
    for name, data in files.items():
        path = places.get(name, Path(name))
        found = secrets.disclosed_by(path, data)
        yield from map(str, found[:_MOST_DISCLOSURES])
        if len(found) > _MOST_DISCLOSURES:
            yield f"{path}: and {len(found) - _MOST_DISCLOSURES} more"
