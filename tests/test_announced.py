"""What a notebook announces is what its cells and homework.toml say: any other number is an author's error."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest

from autograder.course.announced import check_announced
from autograder.course.announcement import exercises_of
from autograder.course.course import NotebookSpec, open_course
from autograder.course.master import Cell, Finding, Master
from autograder.course.parsing import read_master

COURSE = open_course(Path(__file__).parents[1])
NOTEBOOKS = [(name, spec.name) for name in COURSE.homeworks for spec in COURSE.homework(name).notebooks]
NUMBER = re.compile(r"(?<![\d.])(\d+)(?![\d.])|(?<!\d)[½]")
SPEC = NotebookSpec(name="powers", title="Powers", minutes=25)

HEADER = """\
# Powers

| exercise | you write | points | minutes |
| --- | --- | --- | --- |
| 1 | `square` | 2 | 10 |
| 2 | `cube`, and why | 1½ + 1 (by hand) | 15 |
| | **in all** | **4½**: 3½ by machine, 1 by hand | **25** |
"""
FIRST = "**Exercise 1 · `square`** · 2 points · ★☆☆ · 10 minutes\n\n*Write `square`.*"
SECOND = "**Exercise 2 · `cube`** · 1½ points by machine, 1 by hand · ★★☆ · 15 minutes\n\n*Write it.*"


def master(header: str = HEADER, *texts: str) -> Master:
    """A master of two exercises."""
    first, second = texts or (FIRST, SECOND)
    cells = [
        ("markdown", header, {}),
        ("markdown", first, {}),
        ("code", "square(2)", {"grade": True, "points": 2.0}),
        ("markdown", second, {}),
        ("code", "cube(2)", {"grade": True, "points": 1.5}),
        ("markdown", "Because.", {"grade": True, "solution": True, "points": 1.0}),
    ]
    made, line = [], 3
    for number, (kind, source, marks) in enumerate(cells):
        made.append(Cell(id=f"c{number}", grade_id=f"c{number}", kind=kind, source=source, line=line, **marks))  # type: ignore[arg-type]
        line += source.count("\n") + 4
    return Master(Path("powers.py"), "hw1", "powers", tuple(made))


def found(book: Master, spec: NotebookSpec = SPEC) -> list[Finding]:
    return list(check_announced(book, spec))


@cache
def real(homework: str, notebook: str) -> tuple[Master, NotebookSpec]:
    room = COURSE.homework(homework)
    return read_master(room, notebook), room.notebook(notebook)


def with_line(book: Master, cell: Cell, number: int, line: str) -> Master:
    lines = cell.source.split("\n")
    lines[number] = line
    changed = msgspec.structs.replace(cell, source="\n".join(lines))
    return msgspec.structs.replace(book, cells=tuple(changed if one is cell else one for one in book.cells))


def announcing(book: Master) -> Iterator[tuple[Cell, int, str, int]]:
    """Each number that announces points or minutes: its cell, the line in it, the line's text and the place there."""
    table = [(at, line) for at, line in enumerate(book.cells[0].source.split("\n")) if line.startswith("|")]
    columns = [name.strip() for name in table[0][1].strip("|").split("|")]
    for at, line in table[2:]:
        starts = [mark.start() for mark in re.finditer(r"\|", line)]
        for name, start, end in zip(columns, starts, starts[1:], strict=False):
            if re.search("points|minutes|by hand|by machine", name):
                text = re.sub(r":.*", lambda aside: " " * len(aside[0]), line[start:end])
                yield from ((book.cells[0], at, line, start + one.start()) for one in NUMBER.finditer(text))
    for cell in book.cells:
        for at, line in enumerate(cell.source.split("\n")):
            if cell.kind == "markdown" and (begun := re.match(r"\*\*Exercise [^*]*\*\*", line)):
                for one in re.finditer(r"(\d+)(?= (?:points?|minutes)\b)", line[begun.end() :]):
                    yield cell, at, line, begun.end() + one.start()


@pytest.mark.parametrize(("homework", "notebook"), NOTEBOOKS)
def test_another_number_is_found_wherever_it_stands(homework: str, notebook: str) -> None:
    book, spec = real(homework, notebook)
    assert found(book, spec) == []
    missed, tried = [], 0
    for cell, at, line, place in announcing(book):
        tried += 1
        other = re.sub(r"^(\d+|½)", lambda one: "¼" if one[0] == "½" else str(int(one[0]) + 7), line[place:])
        if not found(with_line(book, cell, at, line[:place] + other), spec):
            missed.append((line, place))
    assert tried > 8 and missed == []


@pytest.mark.parametrize(
    ("texts", "line", "words"),
    [
        ((SECOND.replace("1½", "3").replace("1 by", "0 by"), FIRST), 14, "Exercise 2: the text says 3 points, its ce"),
        ((SECOND, FIRST), 24, "Exercise 1 comes after Exercise 2: number the exercises anew"),
        ((FIRST, SECOND.replace("Exercise 2", "Exercise 1")), 24, "Exercise 1 occurs twice"),
        ((FIRST, SECOND.replace("Exercise 2", "Exercise 4")), 24, "comes after Exercise 1, and one is left out"),
        ((FIRST.replace("Exercise 1", "Exercise 0.2"), SECOND), 14, "comes after the start, and one is left out"),
        ((FIRST, SECOND.replace("1½ points by machine, 1", "1 point by machine, 1½")), 24, "text says 1.5 points by h"),
        ((FIRST.replace("10 min", "12 min"), SECOND), 7, "row 1: the table says 10 minutes, the lines of the exer"),
        (
            (FIRST, SECOND.replace("1½ points by machine, 1 by hand", "1 + 1½ points")),
            24,
            "text says 1 + 1.5 points, its cells have 1.5 + 1",
        ),
    ],
)
def test_an_exercise_is_named_with_its_line(texts: tuple[str, str], line: int, words: str) -> None:
    said = [one for one in found(master(HEADER, *texts)) if words in one.text]
    assert line in [one.line for one in said]


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ("# Powers", "# Roots", 3, "the notebook is called 'Roots', and homework.toml says 'Powers'"),
        ("| 2 | 10 |", "| 3 | 10 |", 7, "row 1: the table says 3 points, the cells say 2"),
        ("**25**", "**30**", 9, "in all: the table says 30 minutes, homework.toml says 25"),
        ("**4½**", "**4**", 9, "in all: the table says 4 points, the cells say 4.5"),
        ("3½ by machine", "2½ by machine", 9, "in all: the table says 2.5 points by machine, the cells say 3.5"),
        ("machine, 1 by hand", "machine, 2 by hand", 9, "in all: the table says 2 points by hand, the cells say 1"),
        ("**4½**: 3½ by machine, 1 by", "**4½** (4 by machine, 1 by", 9, "in all: the table says 4 points by machine"),
        ("| 2 | `cube`", "| 1 | `cube`", 8, "row 1 stands below row 1: sort the rows"),
        ("| 15 |", "| 5 |", 9, "the rows add up to 15 minutes, the last one says 25"),
        ("1½ + 1 (by", "1 + 1½ (by", 8, "row 2: the table says 1 + 1.5 points, the cells say 1.5 + 1 (c4 1.5, c5 1)"),
    ],
)
def test_a_line_of_the_table_is_named(old: str, new: str, line: int, words: str) -> None:
    assert old in HEADER
    assert (line, True) in [(one.line, words in one.text) for one in found(master(HEADER.replace(old, new)))]


def test_what_agrees_is_no_error() -> None:
    assert found(master()) == []


@pytest.mark.parametrize("header", ["# Anything", "# Table\n\n| a | b |\n| --- | --- |\n| 1 | 2 |", ""])
def test_a_notebook_needs_no_table(header: str) -> None:
    assert found(master(header)) == []


@pytest.mark.parametrize(
    "text",
    [
        "2 points (1 each)", "2 points for $n = 3, 4$ and 98 % of them", "1 + 1 points", "1 point forward, 1 backward",
        "2 points by machine", "1½ points, ½ for the mask", "1 point for `f(1, 2)`; 1 for the rest",
    ],
)  # fmt: skip
def test_authors_word_points_as_they_like(text: str) -> None:
    assert found(master(HEADER, FIRST.replace("2 points", text), SECOND)) == []


@pytest.mark.parametrize("text", ["3 points", "2 + 1 points", "2½ points", "no points", "1 point, ½ for the mask"])
def test_however_they_word_it_another_sum_is_found(text: str) -> None:
    assert [one.line for one in found(master(HEADER, FIRST.replace("2 points", text), SECOND))][:1] == [14]


def moved(book: Master, cells: list[Cell]) -> Iterator[tuple[Master, Cell, Cell]]:
    """The notebook with a quarter of a point moved from each of these cells to the next: every sum stays as it was."""
    for above, below in pairwise(cells):
        other = {above.id: above.points - 0.25, below.id: below.points + 0.25}
        changed = (msgspec.structs.replace(one, points=other.get(one.id, one.points)) for one in book.cells)
        yield msgspec.structs.replace(book, cells=tuple(changed)), above, below


@pytest.mark.parametrize(("homework", "notebook"), NOTEBOOKS)
def test_points_that_move_between_cells_are_found_where_a_text_says_each(homework: str, notebook: str) -> None:
    book, spec = real(homework, notebook)
    missed = []
    for one in exercises_of(book):
        said = [one.parts, *one.shares.values()]
        alike = [[cell for cell in one.cells if cell.manual == manual and cell.points] for manual in (True, False)]
        for cells in alike:
            if len(cells) > 1 and [cell.points for cell in cells] in said:
                missed += [(above.id, below.id) for other, above, below in moved(book, cells) if not found(other, spec)]
    assert missed == []


@pytest.mark.parametrize(
    "text", ["2 + 5 points", "2 points forward, 5 points backward", "7 points", "2 + 3 + 2 points"]
)
def test_single_points_may_be_added_up_or_parted(text: str) -> None:
    assert found(split(text)) == []


@pytest.mark.parametrize(
    "text", ["5 + 2 points", "3 points forward, 4 points backward", "3 + 4 points", "1 + 2 + 4 points"]
)
def test_single_points_are_those_of_the_cells_in_order(text: str) -> None:
    [finding] = found(split(text))
    assert "its cells have 2 + 5 (c2 2, c3 5): change one of them" in finding.text


def test_points_of_a_prediction_and_its_explanation_are_not_those_of_the_other_one() -> None:
    book, spec = real("hw1", "mlp")
    other = {
        "**Prediction** · ½ point": "**Prediction** · 1 point",
        "**Explanation** · 1 point": "**Explanation** · ½ point",
    }
    cells = []
    for cell in book.cells:
        source = cell.source
        for old, new in other.items():
            source = source.replace(old, new)
        cells.append(msgspec.structs.replace(cell, source=source))
    [finding] = found(msgspec.structs.replace(book, cells=tuple(cells)), spec)
    assert (
        "Exercise 1: the text says 1 + 0.5 points in lines without an exercise number, their cells have" in finding.text
    )


def split(text: str) -> Master:
    """A master without a table, whose only exercise has a cell of 2 points and one of 5."""
    line = FIRST.replace("2 points", text)
    cells = [Cell(id="c1", kind="markdown", source=line, line=1)]
    cells += [
        Cell(id=f"c{n}", grade_id=f"c{n}", kind="code", source="", line=9, grade=True, points=points)
        for n, points in ((2, 2.0), (3, 5.0))
    ]
    return Master(Path("powers.py"), "hw1", "powers", tuple(cells))


def test_whatever_stands_there_is_read_without_an_error() -> None:
    luck = random.Random(0)
    signs = ["**Exercise 3", "points", "minutes", "by hand", "| 1.2 |", "\n\n", *"|*·½12.()`$\n- "]
    for _ in range(2000):
        texts = [HEADER, FIRST, SECOND]
        for _ in range(luck.randrange(1, 12)):
            which = luck.randrange(3)
            at = luck.randrange(len(texts[which]) + 1)
            end = at + luck.choice((0, 0, 1, 5))
            texts[which] = texts[which][:at] + luck.choice(signs) + texts[which][end:]
        assert all(finding.line > 0 for finding in found(master(*texts)))
