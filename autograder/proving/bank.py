"""The bank: a notebook's solutions that are known to be right or wrong, and those that are made by machine."""

from __future__ import annotations

import collections
import fnmatch
import re
from collections.abc import Collection, Iterator
from pathlib import Path

from autograder.course import master
from autograder.course.course import CourseError, Homework
from autograder.course.mistakes import Mistake, mistakes, variants_left_out
from autograder.course.parameters import rendered, wrong_lines
from autograder.course.personal_release import personal_released
from autograder.examination.suite import Suite
from autograder.proving.solutions import Solution
from autograder.proving.variants import variants

_SHORTEST_FRAGMENT = 6
"""characters of the shortest code fragment that a hint must not show"""


def known_answers(
    homework: Homework,
    suite: Suite,
    trained: int | None = None,
    only: Collection[str] | None = None,
    followed: int | None = None,
) -> Iterator[Solution]:
    """The master, the untouched release, all known mistakes and alternatives; other arguments as for `audit`."""
    book = suite.master
    everything = tuple(cell.grade_id for cell in book.grade_cells() if cell.autograded)
    code = {cell.id: cell.source for cell in book.code()}

    yield Solution("master", book.notebook, code, ())
    handed_out = {cell.id: cell.source for cell in personal_released(homework, book.notebook).cells}
    stubs = {cell.id: handed_out.get(cell.id, "") for cell in book.code()}
    yield Solution("untouched", book.notebook, stubs, everything)
    runs = collections.Counter[str]()  # training runs with mistakes, by grade cell
    far = collections.Counter[str]()  # mistakes that are followed, by solution cell
    for mistake in mistakes(homework, book.notebook):
        if only is not None and mistake.id not in only:
            continue
        cell = book.cell(mistake.cell)
        named = [name for name in mistake.fails if name in suite.trained and (trained is None or runs[name] < trained)]
        runs.update(named)
        also = [f"its hint shows the answer: {shown}"] if (shown := _shown(mistake)) else []
        edited = {**code, cell.id: mistake.edit(cell.source)}
        far[mistake.cell] += 1
        follow = followed is None or far[mistake.cell] <= followed
        yield Solution("mistake", mistake.id, edited, mistake.fails, also, training=named, followed=follow)
    for number, path in enumerate(sorted(homework.alternatives(book.notebook))):
        training = None if trained is None or number < trained else ()
        different = {**code, **alternative(path, book)}
        yield Solution("alternative", path.stem, different, (), training=training)


def variants_by_machine(homework: Homework, suite: Suite) -> Iterator[Solution]:
    """The master's variants, but for those that the notebook's text excludes."""
    code = {cell.id: cell.source for cell in suite.master.code()}
    left_out = [entry.name for entry in variants_left_out(homework, suite.master.notebook)]
    for name, changed in variants(suite.master):
        if not any(fnmatch.fnmatchcase(name, pattern) for pattern in left_out):
            yield Solution("variant", name, {**code, **changed}, (), training=())


def alternative(path: Path, book: master.Master) -> dict[str, str]:
    """The solution cells that an alternative writes differently, by id."""
    import jupytext

    standard, text = dict(book.standard), path.read_text(encoding="utf-8")
    if wrong := [master.Finding(path, number + 1, said) for number, said in wrong_lines(text, standard)]:
        raise master.AuthorError(wrong)
    cells = jupytext.reads(rendered(text, standard, dict(book.numbers)), fmt=master.PERCENT).cells
    found = {cell.metadata.get("nbgrader", {}).get("grade_id", ""): cell.source for cell in cells}
    found.pop("", None)
    for grade_id in found:
        if not book.cell(grade_id).solution:
            raise CourseError(f"{path}: {grade_id!r} is not a solution cell of {book.path}: write the grade_id of one")
    if not found:
        raise CourseError(
            f"{path}: no cell has the grade_id of a solution cell of {book.path}: give it to each solution"
        )
    return found


def _shown(mistake: Mistake) -> str:
    """The line of the correct code that a hint shows and the mistake does not contain; '' if there is none."""
    hint = re.sub(r"\s", "", mistake.hint)
    for line in mistake.replace.splitlines():
        fragment = re.sub(r"\s", "", line)
        right_only = fragment not in re.sub(r"\s", "", mistake.instead)
        if len(fragment) >= _SHORTEST_FRAGMENT and fragment in hint and right_only:
            return line.strip()
    return ""
