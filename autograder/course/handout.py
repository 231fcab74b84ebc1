"""The handout: what students get beside the notebooks. README, what to install, the licence, a word to assistants.

Our own files are templates. What lies in the course's folder student/ is handed out too, and takes the place of ours.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib.metadata import metadata, packages_distributions, requires
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autograder.course.course import Course, Homework, refused
from autograder.course.master import Master
from autograder.course.source_notebook import badge_link
from autograder.course.tables import Masters, called

if TYPE_CHECKING:
    import jinja2

OWN = "student"
"""the folder of the course whose files are handed out as they are"""
LICENCE = "LICENSE"
GUIDE = "docs/student.md"
"""the guide for students, if the course has one"""

_LEFT_OUT = {".git", ".DS_Store", "__pycache__", ".ipynb_checkpoints"}
_LIBRARIES = ("torch", "torchvision", "numpy", "matplotlib", "scikit-learn", "jupyterlab")
_CONDA_NAMES = {"torch": "pytorch"}


def handout(course: Course, masters: Masters) -> dict[str, bytes]:
    """The files beside the notebooks of these homeworks, by their paths in the published folder."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("autograder.course", f"templates/{OWN}"),
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # Markdown, text and YAML
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    own = _own_files(course.root)
    homeworks = [course.homework(name) for name in masters]
    values = {
        "course": course,
        "homeworks": [_described(course, homework, masters[homework.name]) for homework in homeworks],
        "environment": re.sub(r"[^a-z0-9-]+", "-", course.id.casefold()).strip("-") or "course",
        "licence": LICENCE in own,
        "guide": GUIDE if GUIDE in own else "",
        **_requirements(homeworks),
    }
    return {name: _text(environment, name, values) for name in environment.list_templates()} | own


def _text(environment: jinja2.Environment, name: str, values: dict[str, Any]) -> bytes:
    return environment.get_template(name).render(values).encode()


def _described(course: Course, homework: Homework, books: Sequence[Master]) -> dict[str, Any]:
    """What the README says of a homework."""
    minutes = sum(spec.minutes for spec in homework.notebooks)
    hours = round(minutes / 60)
    number = called(homework.name)
    return {
        "heading": f"{number}: {homework.title}" if homework.title != number else number,
        "points": f"{sum(book.points for book in books):g}",
        "hours": f"{minutes} minutes" if minutes < 100 else f"{hours} hours",
        "notebooks": [
            {
                "name": spec.name,
                "path": f"release/{homework.name}/{spec.name}.ipynb",
                "title": spec.title,
                "points": f"{book.points:g}",
                "minutes": spec.minutes,
                "badge": badge_link(course, homework.name, spec.name) if course.has_repository else "",
            }
            for spec, book in zip(homework.notebooks, books, strict=True)
        ],
    }


def _requirements(homeworks: Sequence[Homework]) -> dict[str, Any]:
    """What has to be installed for the notebooks: the course's libraries, as our own package asks for them, no more."""
    ours = {_name(line): line for line in requires("autograder") or () if "extra ==" not in line}
    lines = [ours[name] for name in _LIBRARIES]
    distributions = packages_distributions()
    for module in dict.fromkeys(module for homework in homeworks for module in homework.packages):
        lines.append(distributions.get(module, [module])[0])
    named = [(_name(line), line) for line in lines]
    return {
        "requirements": lines,
        "conda": [_CONDA_NAMES.get(name, name) + line[len(name) :] for name, line in named],
        "python": metadata("autograder")["Requires-Python"],
    }


def _name(requirement: str) -> str:
    return re.split(r"[^\w-]", requirement, maxsplit=1)[0]


def _own_files(root: Path) -> dict[str, bytes]:
    """The course's licence, its guide and the files in its folder student/; links and editors' copies are left out."""
    found: dict[str, bytes] = {}
    folder = root / OWN
    paths = [(name, root / name) for name in (LICENCE, GUIDE)]
    for path in sorted(folder.rglob("*")):
        below = path.relative_to(folder)
        left_out = path.name.endswith("~") or _LEFT_OUT & set(below.parts)
        if not left_out and not any(part.is_symlink() for part in (path, *path.parents) if folder in part.parents):
            paths.append((below.as_posix(), path))
    for name, path in paths:
        if path.is_file():
            try:
                found[name] = path.read_bytes()
            except OSError as error:
                raise refused(path, "this file cannot be read", error) from None
    return found
