"""README and guides are true: their tables say what the course says, their links lead somewhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import autograder
from autograder.course.course import open_course
from autograder.course.parsing import read_master
from autograder.course.source_notebook import badge_link

ROOT = Path(__file__).parents[1]
COURSE = open_course(ROOT)
README = (ROOT / "README.md").read_text(encoding="utf-8")
STUDENT = (ROOT / "docs" / "student.md").read_text(encoding="utf-8")
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]


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
        "all cells of a notebook": [f"{one.total_seconds:g} s" for one in limits],
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


def test_the_tables_of_the_results_file_are_those_of_the_code() -> None:
    made = subprocess.run(
        [sys.executable, "-c", "import tables, sys; sys.stdout.write(tables.page())"],
        env={**os.environ, "PYTHONPATH": str(ROOT / "docs")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert made.stdout == (ROOT / "docs" / "results.md").read_text(encoding="utf-8"), "run `make docs`"


def test_modules_and_functions_that_the_architecture_names_exist() -> None:
    """Such names drift when code moves."""
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    package = ROOT / "autograder"
    modules = {path.stem for path in package.rglob("*.py")}
    everything = "\n".join(path.read_text(encoding="utf-8") for path in package.rglob("*.py"))
    places = re.findall(r"[`(]([a-z_]+(?:/[a-z_]+)+)/?[`)]", text)
    assert places and [p for p in places if not (package / p).is_dir() and not (package / f"{p}.py").is_file()] == []
    _, _, walk = text.partition("## One submission's way")
    named = [name for name in re.findall(r"`(\w+)\.(\w+)`", walk) if name[1] != "toml"]
    assert len(named) > 20
    for owner, name in named:
        assert owner in modules or f"class {owner}" in everything or name in autograder.__all__, f"{owner}.{name}"
        assert f"def {name}(" in everything, f"{owner}.{name}"
