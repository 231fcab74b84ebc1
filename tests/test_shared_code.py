"""Shared code: what common.py defines takes the place of its import, with all that it needs and nothing else."""

from __future__ import annotations

import html
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from nbconvert import HTMLExporter
from nbformat import v4

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
    wanted = "'sise': write it there, or choose one of RED, BLUE, SIZE, size, report, Unused"
    with pytest.raises(SharedCodeError, match=wanted):
        expanded(CELL.format(names="sise"), root)


def test_a_missing_or_broken_file_is_named(root: Path) -> None:
    (root / shared_code.FILE).write_text("x = (")
    with pytest.raises(SharedCodeError, match=r"common\.py:1: this file is not valid Python"):
        expanded(CELL.format(names="RED"), root)
    (root / shared_code.FILE).unlink()
    with pytest.raises(SharedCodeError, match=r"common\.py: this file is missing: write"):
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


# The course's own common.py

SAYS = "It falls from 2 to 1, \"'<b>&</b>."


def own_code(**names: object) -> dict[str, Any]:
    """The names of this course's common.py, run beside these names, with a figure to show."""
    found: dict[str, Any] = dict(names)
    exec((Path(__file__).parents[1] / shared_code.FILE).read_text(encoding="utf-8"), found)
    found["plt"].figure().subplots().plot([2, 1])
    return found


@pytest.mark.parametrize("template", ["lab", "classic"])
def test_a_page_of_a_notebook_reads_its_figures_out(monkeypatch: pytest.MonkeyPatch, template: str) -> None:
    shown: list[dict[str, Any]] = []
    monkeypatch.setattr("IPython.display.display", lambda data, metadata, raw: shown.append(metadata | {"data": data}))
    own_code(get_ipython=None)["show_figure"](SAYS)
    [found] = shown
    assert found["image/png"] == {"alt": SAYS}
    output = v4.new_output("display_data", data=found["data"])
    book = v4.new_notebook(cells=[v4.new_code_cell(outputs=[output])])
    page, _ = HTMLExporter(template_name=template).from_notebook_node(book)
    assert f'<img alt="{SAYS}" src="data:image/png;base64,' in html.unescape(page)


def test_a_script_shows_its_figures_in_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[int] = []
    names = own_code()
    monkeypatch.setattr(names["plt"], "show", lambda: shown.append(names["plt"].gcf().number))
    names["show_figure"](SAYS)
    assert shown == [names["plt"].gcf().number]
    names["plt"].close("all")


# ---- the colours of the notebooks' figures

SIMULATIONS = {  # of full colour blindness: Machado, Oliveira & Fernandes 2009, in linear sRGB
    "nobody": np.eye(3),
    "protanopia": [[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]],
    "deuteranopia": [[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]],
    "tritanopia": [[1.256, -0.077, -0.179], [-0.078, 0.931, 0.148], [0.005, 0.691, 0.304]],
}
XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])


def _colours() -> dict[str, str]:
    found = own_code()
    return {name: found[name] for name in ("BLUE", "ORANGE", "GREEN", "RED")}


def _linear(colour: str) -> Any:
    parts = np.array([int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)])
    return np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)


def _lab(linear: Any) -> Any:
    """CIELAB, in which a distance of 10 is easily seen."""
    x, y, z = np.cbrt(XYZ @ linear.clip(0, 1) / XYZ.sum(axis=1))
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("eyes", SIMULATIONS)
def test_colours_of_figures_can_be_told_apart_by_everybody(eyes: str) -> None:
    colours = _colours() | {"black": "#000000"}
    seen = {name: _lab(np.array(SIMULATIONS[eyes]) @ _linear(colour)) for name, colour in colours.items()}
    alike = [(one, two) for one, two in combinations(seen, 2) if np.linalg.norm(seen[one] - seen[two]) < 15]
    assert not alike


def test_colours_of_figures_stand_out_from_the_paper() -> None:
    for colour in _colours().values():
        assert 1.05 / (XYZ[1] @ _linear(colour) + 0.05) >= 3
