"""Files as other editors and converters write them: the answers are in their cells, and nothing of a student is lost.

Each format is built from a release here. What a comment calls its source is public; no text of it was taken over.
"""

from __future__ import annotations

import ast
import builtins
import json
import re
import textwrap
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import jupytext
import nbformat
import pytest
from nbconvert import PythonExporter

from autograder.course.course import open_course
from autograder.course.release import Released, released
from autograder.proving.example_class import SubmissionWriter
from autograder.submission import Gradable, choose, repair
from autograder.submission.markless import parts
from autograder.submission.rawcell import MAX_CELLS

pytestmark = pytest.mark.slow(seconds=10, waits=False)
Notebook = dict[str, Any]
File = tuple[str, bytes]
"""name and content"""

HOMEWORK = open_course(Path(__file__).parents[1]).homework("hw1")
ANSWER = r"""Every column of $W_1$ belongs to one feature. So the sizes follow:

- z1 and z2 are $(d, 1)$,
- z3 is $(K, 1)$.

$$z_1 = W_1 x + \underline{b}_1$$"""
TRIED = "tried = [0.5, 0.25]\nprint(sum(tried))"
NOTE = "A thought of mine: the bias is added to every row."


@dataclass(frozen=True)
class Work:
    """What a student did in a notebook: exercises solved, an answer written, and cells added below one of them."""

    notebook: str
    solved: tuple[str, ...]
    written: str
    below: str

    @property
    def given(self) -> Released:
        return released(HOMEWORK, self.notebook)

    def book(self) -> Notebook:
        """The notebook as Jupyter saves it."""
        book: Notebook = json.loads(self._text())
        return book

    @cache  # noqa: B019  (there are two)
    def _text(self) -> str:
        desk = SubmissionWriter(HOMEWORK, self.notebook)
        book = desk.solved(without=tuple(cell.id for cell in desk.master.cells if cell.id not in self.solved))
        for cell in book["cells"]:
            if cell["id"] == self.written:
                cell["source"] = ANSWER
            cell["source"] = "".join(cell["source"]).splitlines(keepends=True)
        place = next(at for at, cell in enumerate(book["cells"]) if cell["id"] == self.below) + 1
        book["cells"][place:place] = [code_cell(TRIED), text_cell(NOTE)]
        return json.dumps(book)

    def solutions(self) -> dict[str, str]:
        return {cell["id"]: "".join(cell["source"]) for cell in self.book()["cells"] if cell["id"] in self.solved}


WORKS = {
    "mlp": Work("mlp", ("linear", "activations"), "", "linear"),
    "theory": Work("theory", ("sgd-steps-code", "forward-regression-code"), "layers-table", "forward-regression-code"),
}


def code_cell(source: str, **metadata: Any) -> Notebook:
    cell: Notebook = {"cell_type": "code", "execution_count": 7, "id": uuid.uuid5(uuid.NAMESPACE_OID, source).hex[:8]}
    return cell | {"metadata": metadata, "outputs": [], "source": source.splitlines(keepends=True)}


def text_cell(source: str, **metadata: Any) -> Notebook:
    cell: Notebook = {"cell_type": "markdown", "id": uuid.uuid5(uuid.NAMESPACE_OID, source).hex[:8]}
    return cell | {"metadata": metadata, "source": source.splitlines(keepends=True)}


def is_code(cell: Notebook) -> bool:
    return bool(cell["cell_type"] == "code")


def text_of(cell: Notebook) -> str:
    return "".join(cell["source"])


def as_json(book: Notebook, **layout: Any) -> bytes:
    return json.dumps(book, ensure_ascii=False, **layout).encode()


def as_node(book: Notebook) -> Any:
    """The notebook as nbformat reads it."""
    return nbformat.reads(json.dumps(book), as_version=4)


def commented(text: str) -> str:
    return "\n".join(("# " + line).rstrip() for line in text.split("\n"))


# ---- notebooks that are edited in the browser ----


# Colab: the id in the metadata, outputId and base_uri beside it; github.com/AnswerDotAI/nbdev/issues/363
def colab(book: Notebook, name: str) -> File:
    book |= {"nbformat_minor": 0, "metadata": book["metadata"] | {"colab": {"provenance": [], "toc_visible": True}}}
    for at, cell in enumerate(book["cells"]):
        del cell["id"]
        cell["metadata"] |= {"id": f"Qx{at:02}_kZ1b2C"}
        if is_code(cell):
            cell["metadata"] |= {"outputId": str(uuid.UUID(int=at)), "colab": {"base_uri": "https://localhost:8080/"}}
    return f"{name}.ipynb", as_json(book, indent=2)


# Colab, all cells copied by hand into new ones, without labels; github.com/jupyter/nbgrader/issues/424
def colab_copied(book: Notebook, name: str) -> File:
    for cell in book["cells"]:
        cell["metadata"] = {}
    return colab(book, name)


# Colab's and Drive's "Save a copy": the name alone changes (as seen in use)
def drive_copy(book: Notebook, name: str) -> File:
    return f"Copy of {name}.ipynb", colab(book, name)[1]


# VS Code: metadata lost when a cell is run or pasted; github.com/microsoft/vscode-jupyter/issues/2325
def vs_code(book: Notebook, name: str) -> File:
    book |= {"nbformat_minor": 2}
    for cell in book["cells"]:
        del cell["id"]
        cell["metadata"] = {"vscode": {"languageId": "python" if is_code(cell) else "markdown"}}
    return f"{name}.ipynb", as_json(book, indent=1)


# JupyterLab with real-time collaboration: ids anew, text as one string; github.com/jupyter-server/jupyter_ydoc
def jupyterlab_together(book: Notebook, name: str) -> File:
    for at, cell in enumerate(book["cells"]):
        cell |= {"id": str(uuid.UUID(int=at)), "source": text_of(cell)}
        cell["metadata"] |= {"trusted": True}
    return f"{name}.ipynb", as_json(book)


# Kaggle: one line of JSON, no ids, _uuid and _cell_guid, a first cell of its own; notebooks in public repositories
def kaggle(book: Notebook, name: str) -> File:
    first = code_cell(
        "import numpy as np\nimport os\nfor folder, _, files in os.walk('/kaggle/input'):\n    print(files)"
    )
    cells = []
    for at, cell in enumerate([first, *book["cells"]]):
        metadata = {"_uuid": f"{at:040x}", "_cell_guid": str(uuid.UUID(int=at)), "trusted": True}
        kept = {"cell_type": cell["cell_type"], "source": text_of(cell), "metadata": metadata}
        cells.append(kept | ({"execution_count": None, "outputs": []} if is_code(cell) else {}))
    own = {"kaggle": {"accelerator": "none", "dataSources": [], "isGpuEnabled": False, "language": "python"}}
    book = {"metadata": book["metadata"] | own, "nbformat_minor": 4, "nbformat": 4, "cells": cells}
    return f"{name}.ipynb", as_json(book, separators=(",", ":"))


# Kaggle's older files: the metadata stands first in every cell; notebooks in public repositories
def old_kaggle(book: Notebook, name: str) -> File:
    book = json.loads(kaggle(book, name)[1])
    book["cells"] = [{"metadata": cell.pop("metadata"), **cell} for cell in book["cells"]]
    return f"{name}.ipynb", as_json(book, indent=2)


# Deepnote: cell_id and deepnote_cell_type, a note as a text-cell-p, SQL as Python; npmjs.com, @deepnote/blocks
def deepnote(book: Notebook, name: str) -> File:
    sql = "_dntk.execute_sql('SELECT * FROM runs', 'SQL_ALCHEMY_JSON_ENV_VAR')"
    place = next(at for at, cell in enumerate(book["cells"]) if text_of(cell) == TRIED)
    book["cells"].insert(place, code_cell(f"df_1 = {sql}\ndf_1"))
    for at, cell in enumerate(book["cells"]):
        del cell["id"]
        kind = "sql" if sql in text_of(cell) else "text-cell-p" if text_of(cell) == NOTE else cell["cell_type"]
        cell["metadata"] = {"cell_id": uuid.UUID(int=at).hex, "deepnote_cell_type": kind, "source_hash": f"{at:08x}"}
        cell["source"] = text_of(cell)
    book["metadata"] |= {"deepnote_notebook_id": uuid.UUID(int=1).hex, "deepnote_execution_queue": []}
    return f"{name}.ipynb", as_json(book, indent=2)


# Databricks as .ipynb: its notes on each cell, no ids; notebooks in public repositories
def databricks_notebook(book: Notebook, name: str) -> File:
    for at, cell in enumerate(book["cells"]):
        del cell["id"]
        own = {"cellMetadata": {}, "inputWidgets": {}, "nuid": str(uuid.UUID(int=at)), "showTitle": False, "title": ""}
        cell["metadata"] = {"application/vnd.databricks.v1+cell": own}
    return f"{name}.ipynb", as_json(book, indent=1)


# ---- marimo ----


def _assigned(source: str) -> list[str]:
    found = ast.parse(source).body
    names = [node.name for node in found if isinstance(node, ast.FunctionDef | ast.ClassDef)]
    for node in found:
        if isinstance(node, ast.Import | ast.ImportFrom):
            names += [(alias.asname or alias.name).partition(".")[0] for alias in node.names]
        elif isinstance(node, ast.Assign):
            names += [part.id for target in node.targets for part in ast.walk(target) if isinstance(part, ast.Name)]
    return list(dict.fromkeys(name for name in names if not name.startswith("_")))


def _used(source: str) -> set[str]:
    names = {node.id for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Name)}
    return names - set(dir(builtins))


# marimo: each cell the body of a function, text in mo.md; docs.marimo.io/guides/coming_from/jupytext
def marimo(book: Notebook, name: str) -> File:
    lines = ["import marimo", "", '__generated_with = "0.18.4"', "app = marimo.App()", ""]
    known: set[str] = set()
    for cell in book["cells"]:
        source = text_of(cell).strip("\n")
        if not is_code(cell):
            text = 'r"""\n' + source + '\n"""'
            lines += ["", "@app.cell(hide_code=True)", "def _(mo):"]
            lines += [textwrap.indent(f"mo.md({text})", "    "), "    return", ""]
            continue
        gives = _assigned(source)
        takes = sorted(_used(source) & known - set(gives))
        known |= set(gives)
        back = f"    return ({gives[0]},)" if len(gives) == 1 else f"    return {', '.join(gives)}".rstrip()
        lines += ["", "@app.cell", f"def _({', '.join(takes)}):", textwrap.indent(source, "    "), back, ""]
    lines += ["", "@app.cell", "def _():", "    import marimo as mo", "    return (mo,)", ""]
    lines += ["", 'if __name__ == "__main__":', "    app.run()", ""]
    return f"{name}.py", "\n".join(lines).encode()


# marimo: a class or function that needs no other cell stands by itself; docs.marimo.io/guides/reusing_functions
def marimo_with_setup(book: Notebook, name: str) -> File:
    text = marimo(book, name)[1].decode()
    alone = re.compile(r"@app\.cell\ndef _\([^)]*\):\n((?:    [^\n]*\n|\n)*?)    return \((\w+),\)\n")

    def freed(found: re.Match[str]) -> str:
        source = textwrap.dedent(found[1])
        body = ast.parse(source).body
        if len(body) != 1 or not isinstance(body[0], ast.FunctionDef | ast.ClassDef):
            return found[0]
        return f"@app.{'function' if isinstance(body[0], ast.FunctionDef) else 'class_definition'}\n{source}"

    setup = "with app.setup:\n    import torch\n    import torch.nn as nn\n    import marimo as mo\n\n\n"
    head, _, rest = alone.sub(freed, text).partition("@app.cell(hide_code=True)")
    return f"{name}.py", (head + setup + "@app.cell(hide_code=True)" + rest).encode()


# marimo export ipynb: four-letter ids, marimo's own metadata; docs.marimo.io/guides/exporting/jupyter_notebook
def marimo_export(book: Notebook, name: str) -> File:
    book["cells"].append(code_cell("import marimo as mo"))
    for at, cell in enumerate(book["cells"]):
        letters = "".join(chr(ord("a") + at // 26**power % 26) for power in range(4))
        cell |= {
            "id": letters.title(),
            "metadata": {} if is_code(cell) else {"marimo": {"config": {"hide_code": True}}},
        }
    book["metadata"] = {"marimo": {"marimo_version": "0.18.4"}}
    return f"{name}.ipynb", as_json(book, indent=1)


# ---- texts that jupytext, Quarto and nbconvert write ----


def by_jupytext(form: str, labels: bool) -> Callable[[Notebook, str], File]:
    """What jupytext itself writes, with the cells' metadata or without."""

    def written(book: Notebook, name: str) -> File:
        if not labels:
            book["metadata"]["jupytext"] = {"cell_metadata_filter": "-all", "notebook_metadata_filter": "-all"}
        text = jupytext.writes(as_node(book), form)
        return f"{name}.{form.partition(':')[0]}", text.encode()

    return written


# quarto convert: options in comments, text cells run together; github.com/quarto-dev/quarto-cli, convert/jupyter.ts
def quarto(book: Notebook, name: str) -> File:
    parts = ["---\ntitle: Homework\njupyter: python3\n---\n"]
    for cell in book["cells"]:
        if not is_code(cell):
            parts.append(text_of(cell) + "\n")
            continue
        options = [f"#| {key}: {json.dumps(value)}" for key, value in cell["metadata"].items() if key != "nbgrader"]
        tags = cell["metadata"].get("nbgrader")
        if tags:
            options.append("#| nbgrader: {" + ", ".join(f"{key}: {_yaml(value)}" for key, value in tags.items()) + "}")
        parts.append("\n".join(["```{python}", *options, text_of(cell), "```", ""]))
    return f"{name}.qmd", "\n".join(parts).encode()


def _yaml(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


# the same without options in the cells; quarto.org/docs/tools/jupyter-lab
def bare_quarto(book: Notebook, name: str) -> File:
    for cell in book["cells"]:
        cell["metadata"] = {}
    return quarto(book, name)


# jupyter nbconvert --to script, by nbconvert itself
def nbconvert_script(book: Notebook, name: str) -> File:
    text, _ = PythonExporter().from_notebook_node(as_node(book))
    return f"{name}.py", text.encode()


# Colab, File > Download > .py: no marks, text cells as strings (as seen in many repositories on GitHub)
def colab_script(escaped: bool) -> Callable[[Notebook, str], File]:
    def written(book: Notebook, name: str) -> File:
        head = (
            f"{name}.ipynb\n\nAutomatically generated by Colab.\n\nOriginal file is located at\n    https://colab/x\n\n"
        )
        parts = []
        for cell in book["cells"]:
            text = text_of(cell)
            if not is_code(cell):
                text = text.replace("\\", "\\\\") if escaped else text
                text = '"""' + head + text.replace('"""', '\\"""') + ("\n" if "\n" in text else "") + '"""'
                head = ""
            parts.append(text)
        return f"{name}.py", ("# -*- coding: utf-8 -*-\n" + "\n\n".join(parts) + "\n").encode()

    return written


# ---- scripts with cells ----


def percent(book: Notebook, code: str, text: str, body: Callable[[str], str]) -> bytes:
    parts = []
    for cell in book["cells"]:
        parts += [code, text_of(cell)] if is_code(cell) else [text, body(text_of(cell))]
    return "\n".join([*parts, ""]).encode()


# VS Code, "Export to Python script"; code.visualstudio.com/docs/python/jupyter-support-py
def vs_code_script(book: Notebook, name: str) -> File:
    return f"{name}.py", percent(book, "# %%", "# %% [markdown]", commented)


# PyCharm and DataSpell, a notebook as text: #%% and #%% md; scripts in public repositories
def pycharm(book: Notebook, name: str) -> File:
    return f"{name}.py", percent(book, "#%%", "#%% md", commented)


# the same with the text as it is, which PyCharm shows when a notebook is opened as text
def pycharm_bare(book: Notebook, name: str) -> File:
    return f"{name}.py", percent(book, "#%%", "#%% md", str)


# Spyder: a title behind the mark, text as comments or strings; github.com/spyder-ide/spyder/issues/14730
def spyder(book: Notebook, name: str) -> File:
    return f"{name}.py", percent(book, "# %% Cell", "# %% Text", commented)


def spyder_strings(book: Notebook, name: str) -> File:
    return f"{name}.py", percent(book, "#%%", "#%%", lambda text: f'r"""\n{text}\n"""')


# Spyder's old mark; github.com/spyder-ide/pyls-spyder/issues/9
def codecell(book: Notebook, name: str) -> File:
    return f"{name}.py", percent(book, "# <codecell>", "# <markdowncell>", commented)


# Hydrogen: # %%, and text behind a word; github.com/mwouts/jupytext/issues/59
def hydrogen(book: Notebook, name: str) -> File:
    return f"{name}.py", percent(book, "# %%", "# %% markdown", commented)


# Databricks, the export as source: commands between marks, text behind MAGIC; scripts in public repositories
def databricks(book: Notebook, name: str) -> File:
    parts = []
    for cell in book["cells"]:
        text = text_of(cell).strip("\n")
        magic = "\n".join(("# MAGIC " + line).rstrip() for line in ["%md", *text.split("\n")])
        parts.append(text if is_code(cell) else magic)
    return f"{name}.py", ("# Databricks notebook source\n" + "\n\n# COMMAND ----------\n\n".join(parts) + "\n").encode()


EDITORS: dict[str, Callable[[Notebook, str], File]] = {
    "colab": colab,
    "colab-copied": colab_copied,
    "drive-copy": drive_copy,
    "vs-code": vs_code,
    "jupyterlab-together": jupyterlab_together,
    "kaggle": kaggle,
    "old-kaggle": old_kaggle,
    "deepnote": deepnote,
    "databricks-notebook": databricks_notebook,
    "marimo": marimo,
    "marimo-with-setup": marimo_with_setup,
    "marimo-export": marimo_export,
    **{
        f"jupytext-{form.replace('py:', '').replace(':', '-')}{'' if labels else '-bare'}": by_jupytext(form, labels)
        for form in ("py:percent", "py:light", "py:hydrogen", "py:nomarker", "py:sphinx", "md", "md:myst", "Rmd")
        for labels in (True, False)
    },
    "quarto": quarto,
    "quarto-bare": bare_quarto,
    "nbconvert-script": nbconvert_script,
    "vs-code-script": vs_code_script,
    "pycharm": pycharm,
    "pycharm-bare": pycharm_bare,
    "spyder": spyder,
    "spyder-strings": spyder_strings,
    "codecell": codecell,
    "colab-script": colab_script(escaped=True),
    "colab-script-unescaped": colab_script(escaped=False),
    "hydrogen": hydrogen,
    "databricks": databricks,
}

UNREAD = {
    "this format has no borders between cells: code that belongs together may be parted, and text is code's comment": (
        "jupytext-nomarker-mlp jupytext-nomarker-bare-mlp jupytext-nomarker-bare-theory jupytext-sphinx-mlp "
        "jupytext-sphinx-theory jupytext-sphinx-bare-mlp jupytext-sphinx-bare-theory"
    ),
}
"""why an editor's files are not read yet: editors and notebooks"""


# ---- what has to hold ----


def plain(source: str) -> str:
    """The text without blank lines and blanks at line ends."""
    return "\n".join(line.rstrip() for line in source.split("\n") if line.strip())


def code(source: str) -> str:
    """The text without comment lines: a format without marks leaves text cells as comments above the code."""
    return "\n".join(line for line in plain(source).split("\n") if not line.startswith("#"))


def is_python(source: str) -> bool:
    try:
        ast.parse(source)
    except SyntaxError:
        return False
    return True


def missing(mended: Gradable, work: Work) -> list[str]:
    """What of a student's work is not where it belongs."""
    source = {cell.id: cell.source for cell in mended.cells}
    lost = [name for name, solution in work.solutions().items() if code(source[name]) != code(solution)]
    if work.written and plain(ANSWER) not in plain(source[work.written]):
        lost.append(work.written)
    run = [cell.source for cell in mended.cells if cell.kind == "code" and cell.released is None]
    if not any(plain(TRIED) in plain(source) for source in run):
        lost.append("the student's own code")
    if not all(is_python(source) for source in run):
        lost.append("the border between the student's code and text")
    if not any(plain(NOTE) in plain(cell.source) for cell in mended.cells):
        lost.append("the student's own note")
    if [cell.released for cell in mended.cells if cell.released] != list(work.given.cells):
        lost.append("the released cells, once each, in their order")
    return lost


def cases() -> list[Any]:
    why = {name: reason for reason, unread in UNREAD.items() for name in unread.split()}
    names = {f"{editor}-{work}": (editor, work) for editor in EDITORS for work in WORKS}
    assert names.keys() >= why.keys()
    marks = {name: pytest.mark.xfail(strict=True, reason=reason) for name, reason in why.items()}
    return [pytest.param(*pair, id=name, marks=marks.get(name, ())) for name, pair in names.items()]


@pytest.mark.parametrize(("editor", "notebook"), cases())
def test_what_an_editor_writes_holds_the_answers_in_their_cells(editor: str, notebook: str) -> None:
    work = WORKS[notebook]
    name, data = EDITORS[editor](work.book(), notebook)
    mended = repair(data, name, work.given)
    assert not missing(mended, work), [note.note for note in mended.repairs]


@pytest.mark.parametrize("name", ["Copy of {}.ipynb", "Kopie von „{}.ipynb“", "{}.ipynb (1).ipynb", "{}(1).ipynb"])
@pytest.mark.parametrize("notebook", WORKS)
def test_a_copy_that_google_drive_made_is_chosen(name: str, notebook: str, tmp_path: Path) -> None:
    work = WORKS[notebook]
    called = name.format(notebook)
    (tmp_path / called).write_bytes(colab(work.book(), notebook)[1])
    releases = {book: WORKS[book].given for book in WORKS}
    assert choose(tmp_path, releases).notebooks[notebook].entry.name == called


def test_however_many_texts_a_script_has_its_code_is_code() -> None:
    """Its parts are bounded in number: what no longer fits is left out of the texts, and code is never among them."""
    script = '"""a text"""\n' * (MAX_CELLS + 5) + "def mine():\n    return 1\n"
    found = parts(script, WORKS["mlp"].given)
    assert len(found) == MAX_CELLS and (found[-1].kind, "def mine" in found[-1].source) == ("code", True)
