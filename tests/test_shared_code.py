"""Shared code: what common.py defines takes the place of its import, with all that it needs and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from autograder.course import shared_code
from autograder.course.course import open_course
from autograder.course.master import AuthorError
from autograder.course.parsing import read_master
from autograder.course.shared_code import SharedCodeError, expanded

COMMON = """\
\"\"\"Shared.\"\"\"

import math

RED, BLUE = "#f00", "#00f"  # colours
SIZE = 3


def size(x):
    return x / SIZE


def report(x):
    print(size(x))


class Unused:
    pass
"""
CELL = """\
import math

from common import {names}

x = 1
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / shared_code.FILE).write_text(COMMON)
    return tmp_path


def test_a_cell_that_asks_for_nothing_stays_as_it_is(root: Path) -> None:
    assert expanded("x = 1  # from common import x", root) == "x = 1  # from common import x"


def test_a_constant_comes_with_its_line(root: Path) -> None:
    assert expanded(CELL.format(names="RED"), root) == ('import math\n\nRED, BLUE = "#f00", "#00f"  # colours\nx = 1\n')


@pytest.mark.parametrize(
    "names",
    [
        "report",
        "(\n    report,\n)",
        "report  # it prints",
        "(\n    size,  # first\n    report,\n)",
        "size\nfrom common import report",
    ],
)
def test_a_function_comes_with_what_it_uses_in_the_order_of_the_file(root: Path, names: str) -> None:
    assert expanded(CELL.format(names=names), root) == (
        "import math\n\nSIZE = 3\n\n\ndef size(x):\n    return x / SIZE\n\n\n"
        "def report(x):\n    print(size(x))\n\n\nx = 1\n"
    )


def test_shared_names_keep_their_names(root: Path) -> None:
    with pytest.raises(SharedCodeError, match="without `as`"):
        expanded(CELL.format(names="size as length"), root)


def test_a_name_that_is_not_shared_is_told_with_those_that_are(root: Path) -> None:
    with pytest.raises(SharedCodeError, match="'sise'; it defines RED, BLUE, SIZE, size, report, Unused"):
        expanded(CELL.format(names="sise"), root)


def test_a_missing_or_broken_file_is_named(root: Path) -> None:
    (root / shared_code.FILE).write_text("x = (")
    with pytest.raises(SharedCodeError, match=r"common\.py:1: this file is not valid Python"):
        expanded(CELL.format(names="RED"), root)
    (root / shared_code.FILE).unlink()
    with pytest.raises(SharedCodeError, match=r"common\.py is missing"):
        expanded(CELL.format(names="RED"), root)


def test_an_author_is_told_where_shared_code_is_asked_for_in_a_wrong_way(root: Path) -> None:
    (root / "course.toml").write_text('id="c"\ntitle="C"\nhomeworks=["hw1"]\nrepository="o/r"\n')
    (root / "hw1" / "hidden").mkdir(parents=True)
    (root / "hw1" / "homework.toml").write_text('title="H"\n[[notebooks]]\nname="n"\ntitle="N"\nminutes=1\n')
    (root / "hw1" / "hidden" / "test_n.py").write_text(
        'from autograder import earns\n\n\n@earns("g")\ndef test(): ...\n'
    )
    grade = '# %% nbgrader={"grade_id": "g", "grade": true, "points": 1, "locked": true}\nassert True\n'
    (root / "hw1" / "n.py").write_text(f"# %%\nfrom common import RED, GREEN\n\n{grade}")
    with pytest.raises(AuthorError) as caught:
        read_master(open_course(root).homework("hw1"), "n")
    first, second = str(caught.value).splitlines()
    assert "n.py:2: cell n-001: " in first and "does not define 'GREEN'" in first
    assert "n.py:2: cell n-001: it takes shared code, so it has to be locked" in second
