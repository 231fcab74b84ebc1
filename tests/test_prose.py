"""What students read is short, in plain words, and measured where it tells of a figure."""

from __future__ import annotations

import ast
import json
import re
import shutil
from pathlib import Path

import pytest

from autograder.course.course import open_course
from autograder.course.master import AuthorError
from autograder.course.mistakes import mistakes
from autograder.course.parsing import read_master

COURSE = open_course(Path(__file__).parents[1])
NOTEBOOKS = [(name, spec.name) for name in COURSE.homeworks for spec in COURSE.homework(name).notebooks]
WORDS, WORDS_OF_THEORY, CELLS = 2600, 3600, 60
CLAIMS = Path(__file__).parent / "claims"
STILTED = re.compile(r"\b(whoever|whosoever|shall|by head|somebody)\b", re.IGNORECASE)
"""words of another language's English; an honest use is reworded easily"""

every_notebook = pytest.mark.parametrize(("homework", "notebook"), NOTEBOOKS)


def given(homework: str, notebook: str) -> list[dict]:
    """The cells of a release, without those that the build adds at its borders and the helpers of all notebooks."""
    book = json.loads(COURSE.homework(homework).release(notebook).read_text(encoding="utf-8"))
    return [cell for cell in book["cells"] if cell["metadata"].get("nbgrader", {}).get("grade_id") not in ADDED]


ADDED = ("colab", "common", "hand-in")


@every_notebook
def test_a_notebook_is_short(homework, notebook):
    cells = given(homework, notebook)
    texts = [
        cell["source"]
        for cell in cells
        if cell["cell_type"] == "markdown" and not cell["metadata"].get("nbgrader", {}).get("solution")
    ]
    words = sum(len("".join(text).split()) for text in texts)
    assert words <= (WORDS_OF_THEORY if notebook == "theory" else WORDS)
    assert len(cells) <= CELLS


@every_notebook
def test_what_is_read_is_plain_english(homework, notebook):
    room = COURSE.homework(homework)
    texts = {cell.id: cell.source for cell in read_master(room, notebook).cells}
    texts |= {mistake.id: f"{mistake.title} {mistake.hint}" for mistake in mistakes(room, notebook)}
    texts["hidden tests"] = room.hidden(notebook).read_text(encoding="utf-8")
    assert {name: found.group() for name, text in texts.items() if (found := STILTED.search(text))} == {}


@every_notebook
def test_each_figure_is_told_in_words_to_those_who_cannot_see_it(homework, notebook, tmp_path):
    """Reading a master fails otherwise: so does this one, as soon as a figure is only shown."""
    read_master(COURSE.homework(homework), notebook)
    for name in ("course.toml", "common.py", homework):
        (shutil.copytree if (COURSE.root / name).is_dir() else shutil.copy)(COURSE.root / name, tmp_path / name)
    path = tmp_path / homework / f"{notebook}.py"
    text = path.read_text(encoding="utf-8") + "\n# %%\nplt.plot([1, 2])\nplt.show()\n"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(AuthorError) as caught:
        read_master(open_course(tmp_path).homework(homework), notebook)
    [found] = [one for one in caught.value.findings if one.path == path]
    assert found.line == text.count("\n") and "show_figure(" in found.text


@pytest.mark.parametrize("path", sorted(CLAIMS.glob("claims_*.py")), ids=lambda path: path.stem)
def test_each_claim_about_a_figure_says_what_it_claims(path):
    homework, _, notebook = path.stem.removeprefix("claims_").partition("_")
    assert (homework, notebook) in NOTEBOOKS
    functions = [node for node in ast.parse(path.read_text(encoding="utf-8")).body if isinstance(node, ast.FunctionDef)]
    claims = [node for node in functions if node.name.startswith("test_")]
    assert claims
    assert [node.name for node in claims if not ast.get_docstring(node)] == []
