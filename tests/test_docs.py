"""README and guides are true: their tables say what the course says, their links lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from autograder.course.course import open_course
from autograder.course.parsing import read_master
from autograder.course.source_notebook import badge_link

ROOT = Path(__file__).parents[1]
COURSE = open_course(ROOT)
README = (ROOT / "README.md").read_text(encoding="utf-8")
STUDENT = (ROOT / "docs" / "student.md").read_text(encoding="utf-8")
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("name", COURSE.homeworks)
def test_the_readme_lists_every_notebook_as_it_is(name: str) -> None:
    homework = COURSE.homework(name)
    for spec in homework.notebooks:
        book = read_master(homework, spec.name)
        machine = sum(cell.points for cell in book.grade_cells() if cell.autograded)
        row = f"| [`{name}/{spec.name}`]({name}/{spec.name}.py) | {spec.title} | {book.points:g} | {machine:g} "
        assert f"{row}| {spec.minutes} | {badge_link(COURSE, name, spec.name)} |" in README


@pytest.mark.parametrize("name", COURSE.homeworks)
def test_the_readme_shows_a_figure_of_every_homework(name: str) -> None:
    [alt] = re.findall(rf"!\[([^]]*)\]\(docs/figures/{name}\.png\)", README)
    assert len(alt) > 40  # for those who cannot see it


def test_students_are_told_the_limits() -> None:
    limits = [COURSE.homework(name).limits for name in COURSE.homeworks]
    rows = {
        "one cell": [f"{one.cell_seconds:g} s" for one in limits],
        "a whole notebook with its tests": [f"{one.total_seconds:g} s" for one in limits],
        "memory": [f"{one.memory_mb / 1024:g} GB" for one in limits],
        "output": [f"{one.output_mb} MB" for one in limits],
    }
    for what, values in rows.items():
        assert f"| {what} | {' | '.join(values)} |" in STUDENT


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for link in re.findall(r"\]\(([^)#]+)[^)]*\)", text):
        assert link.startswith("https://") or (page.parent / link).exists(), link
