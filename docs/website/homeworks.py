"""The homeworks as pages: released notebooks with the figures that right answers draw."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from autograder.course.course import Course, Homework, NotebookSpec
from autograder.course.master import ADDED_CELLS

from .executed import Figure, figures

if TYPE_CHECKING:
    from nbformat import NotebookNode

_BADGE = ADDED_CELLS[0]
_ALT = "A figure that the cell above draws with right answers; it has no description yet."
_INTRODUCTION = "Each page is a notebook as students get it, with the figures that right answers draw."


def write(course: Course, folder: Path, cache: Path, execute: bool) -> None:
    """Write a page for each notebook below `folder`, its pictures and downloads, and a page that lists them all."""
    for name in course.homeworks:
        homework = course.homework(name)
        (folder / name).mkdir(parents=True)
        for spec in homework.notebooks:
            shown = figures(course, name, spec.name, cache, execute)
            text = _page(course, homework, spec, shown, folder / name)
            (folder / name / f"{spec.name}.md").write_text(text, encoding="utf-8")
        names = [spec.name for spec in homework.notebooks]
        rows = [f"| [{spec.title}]({spec.name}.md) | {spec.minutes} |" for spec in homework.notebooks]
        table = ["| notebook | minutes |", "| --- | --- |", *rows]
        text = "\n".join([f"# {homework.title}", "", _INTRODUCTION, "", *table, "", *_contents(names)])
        (folder / name / "index.md").write_text(text, encoding="utf-8")
    lines = ["# The homeworks", "", _INTRODUCTION, ""]
    lines += [f"- [{course.homework(name).title}]({name}/index.md)" for name in course.homeworks]
    lines += ["", *_contents([f"{name}/index" for name in course.homeworks])]
    (folder / "index.md").write_text("\n".join(lines), encoding="utf-8")


def _contents(pages: list[str]) -> list[str]:
    return ["```{toctree}", ":hidden:", "", *pages, "```", ""]


def _page(course: Course, homework: Homework, spec: NotebookSpec, shown: dict[str, list[Figure]], folder: Path) -> str:
    import nbformat

    released = homework.release(spec.name)
    for kind in (".ipynb", ".py"):
        shutil.copy(released.with_suffix(kind), folder)
    book = nbformat.read(released, as_version=4)  # type: ignore[no-untyped-call]
    parts, guess = [], False
    for cell in book.cells:
        if cell.id == _BADGE:
            parts.append(_launch(course, homework.name, spec.name))
            continue
        parts.append(_cell(cell))
        guess = guess or "prediction" in cell.get("metadata", {}).get("nbgrader", {}).get("grade_id", "")
        if pictures := shown.get(cell.id):
            parts.append(_pictures(pictures, f"{spec.name}-{cell.id}", folder, guess))
            guess = False
    return "\n\n".join(parts) + "\n"


def _cell(cell: NotebookNode) -> str:
    if cell.cell_type == "markdown":
        return str(cell.source.strip())
    longest = max((len(ticks) for ticks in re.findall(r"`{3,}", cell.source)), default=2)
    fence = "`" * (longest + 1)
    return f"{fence}python\n{cell.source.rstrip()}\n{fence}"


def _pictures(pictures: list[Figure], name: str, folder: Path, guess: bool) -> str:
    """The figures of a cell; folded where the reader is asked for a prediction first."""
    lines = []
    for number, (data, alt) in enumerate(pictures, start=1):
        file = folder / f"{name}-{number}.png"
        file.write_bytes(data)
        lines.append(f"```{{image}} {file.name}\n:alt: {' '.join((alt or _ALT).split())}\n:class: output\n```")
    text = "\n\n".join(lines)
    if not guess:
        return text
    summary = "<summary>Your prediction first. Then look at the figure.</summary>"
    return f"<details>{summary}\n\n{text}\n\n</details>"


def _launch(course: Course, homework: str, notebook: str) -> str:
    """Where the notebook can be opened: in services only if the course says in which repository it lies."""
    buttons = [
        f"{{download}}`Notebook for Jupyter <{notebook}.ipynb>`",
        f"{{download}}`The same as a script <{notebook}.py>`",
    ]
    if course.has_repository:
        below = f"release/{homework}/{notebook}.ipynb"
        colab = f"https://colab.research.google.com/github/{course.repository}/blob/{course.branch}/{below}"
        branch, path = (quote(part, safe="") for part in (course.branch, below))
        binder = f"https://mybinder.org/v2/gh/{course.repository}/{branch}?labpath={path}"
        buttons = [f"[Open in Colab]({colab})", f"[Open in Jupyter, on Binder]({binder})", *buttons]
    return ":::{container} launch\n" + " ".join(buttons) + "\n:::"
