"""The tables of README.md and docs/ are filled by the build, and what stands around them stays."""

from __future__ import annotations

from pathlib import Path

import pytest

from autograder.course import build, starting
from autograder.course.course import Course, open_course
from autograder.course.master import AuthorError

BEGIN, END = "<!-- {}: made by `autograder build` -->", "<!-- end of {} -->"
LIMITS = """\
| limit | Homework 1 |
| --- | --- |
| one cell | 20 s |
| all cells of a notebook | 120 s |
| memory | 2 GB |
| output | 4 MB |
"""


@pytest.fixture
def course(tmp_path: Path) -> Course:
    starting.new_course(tmp_path / "course")
    return open_course(tmp_path / "course")


def page(course: Course, text: str, path: str = "README.md") -> Path:
    target = course.root / path
    target.parent.mkdir(exist_ok=True)
    target.write_bytes(text.encode())
    return target


def limits(inside: str = "") -> str:
    return f"# Before\n\n{BEGIN.format('limits')}\n{inside}\n{END.format('limits')}\n\nAfter\n"


@pytest.mark.parametrize("old", ["", "\n", "| an old | table |", "several\n\nlines"])
@pytest.mark.parametrize("path", ["README.md", "docs/student.md"])
def test_what_stands_between_the_comments_is_replaced(course: Course, old: str, path: str) -> None:
    target = page(course, limits(old), path)
    build.build(course)
    assert target.read_text(encoding="utf-8") == limits(f"\n{LIMITS}")


def test_a_filled_page_is_not_stale_and_another_number_makes_it_stale(course: Course) -> None:
    target = page(course, limits())
    build.build(course)
    assert build.build(course) == () and build.stale(course) == ()
    target.write_text(target.read_text(encoding="utf-8").replace("| 20 s", "| 30 s"), encoding="utf-8")
    [difference] = build.stale(course)
    assert difference.path == target and "-| one cell | 30 s |\n+| one cell | 20 s |" in difference.text


def test_points_and_minutes_are_those_of_the_cells_and_of_homework_toml(course: Course) -> None:
    target = page(course, f"{BEGIN.format('notebooks')}\n{END.format('notebooks')}")
    build.build(course)
    assert "| [`hw1/kmeans`](hw1/kmeans.py) | Groups without labels | 9 | 7 | 40 | [![" in target.read_text(
        encoding="utf-8"
    )


def test_a_page_may_have_several_tables(course: Course) -> None:
    both = "".join(f"{BEGIN.format(name)}\n{END.format(name)}\n" for name in ("limits", "notebooks", "limits"))
    target = page(course, both)
    build.build(course)
    text = target.read_text(encoding="utf-8")
    assert (text.count("| one cell |"), text.count("| [`hw1/kmeans`]")) == (2, 1)


def test_a_page_without_tables_is_left_alone(course: Course) -> None:
    target = page(course, "# Mine \r\n\n<!-- limits: made by hand -->\n")
    build.build(course)
    assert target.read_bytes() == b"# Mine \r\n\n<!-- limits: made by hand -->\n"


def test_the_build_of_one_homework_leaves_pages_alone(course: Course) -> None:
    target = page(course, limits())
    build.build(course, ["hw1"])
    assert target.read_text(encoding="utf-8") == limits()


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        (f"x\n{BEGIN.format('limits')}\n", 2, "this table does not end: write below it <!-- end of limits -->"),
        (f"{BEGIN.format('limits')}\n{END.format('notebooks')}\n", 1, "this table does not end"),
        (
            f"\n\n{BEGIN.format('limit')}\n{END.format('limit')}\n",
            3,
            "no table is called 'limit', but notebooks, limits",
        ),
    ],
)
def test_a_table_that_is_wrong_is_an_authors_error(course: Course, text: str, line: int, words: str) -> None:
    page(course, text)
    with pytest.raises(AuthorError) as caught:
        build.build(course)
    [found] = caught.value.findings
    assert (found.path, found.line) == (course.root / "README.md", line) and words in found.text
    assert not (course.root / "release").exists()
