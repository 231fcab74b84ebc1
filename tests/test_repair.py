"""Any submitted file becomes a gradable notebook, or a sentence that says why not."""

from __future__ import annotations

import copy
import json
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest

from autograder.course.course import CourseError, Homework, Limits
from autograder.course.release import Released, released
from autograder.submission import Gradable, Unreadable, read, repair
from autograder.submission.added import added_code
from autograder.submission.cells import read_cells

Notebook = dict[str, Any]

LINEAR = "class Linear:\n    def forward(self, x):\n        raise NotImplementedError"
SOLVED = "class Linear:\n    def forward(self, x):\n        return x @ self.weight.T + self.bias"
FORWARD_CHECK = "layer = Linear(2, 3)\nassert layer.forward(x).shape == (5, 3), 'one row for every example'"
ACTIVATIONS = "class ReLU:\n    raise NotImplementedError\n\nclass Sigmoid:\n    raise NotImplementedError"
SOLVED_ACTIVATIONS = "class ReLU:\n    zero = 0\n\n\nclass Sigmoid:\n    one = 1"
RELU_CHECK = "assert ReLU().forward(torch.tensor(-1.0)) == 0, 'ReLU is flat on the left'"


def cell(name: str, kind: str, source: str, tags: tuple[str, ...] = (), **nbgrader: Any) -> Notebook:
    metadata: Notebook = {}
    if nbgrader:
        flags = {"grade": False, "solution": False, "locked": False, "task": False, "schema_version": 3}
        # The cell type in here makes nbgrader's own notes look like a cell.
        metadata["nbgrader"] = {"cell_type": kind, "checksum": "0" * 32, "grade_id": name, **flags, **nbgrader}
    if tags:
        metadata["tags"] = list(tags)
    made: Notebook = {"cell_type": kind, "id": name, "metadata": metadata, "source": source.splitlines(keepends=True)}
    return made | {"execution_count": None, "outputs": []} if kind == "code" else made


def release() -> Notebook:
    """A small notebook with a cell of every sort."""
    return {
        "cells": [
            cell("header", "markdown", "# Backpropagation\n\nBuild it by hand.", locked=True),
            cell("setup", "code", "import torch\n\ntorch.manual_seed(0)", locked=True),
            cell(
                "mlp-002", "markdown", "## Linear layer\n\nEvery output is a weighted sum of all inputs, plus a bias."
            ),
            cell("linear", "code", LINEAR, solution=True),
            cell("linear-forward", "code", FORWARD_CHECK, grade=True, locked=True, points=3),
            cell("mlp-005", "code", "x = torch.randn(5, 2)\nprint(x.shape, 'rows and columns')"),
            cell("activations", "code", ACTIVATIONS, solution=True),
            cell("relu", "code", RELU_CHECK, grade=True, locked=True, points=2),
            cell("why", "markdown", "*Your answer here.*", solution=True, grade=True, points=4),
            cell("figure", "code", "for epoch in range(1000):\n    train(epoch)", tags=("demo",)),
        ],
        "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }


@pytest.fixture
def book() -> Notebook:
    """A submission: the release with both solutions and the written answer filled in."""
    handed_in = release()
    write(handed_in, "linear", SOLVED)
    write(handed_in, "activations", SOLVED_ACTIVATIONS)
    write(handed_in, "why", "Because the chain rule is applied from the output backwards.")
    return handed_in


@pytest.fixture
def given(tmp_path: Path) -> Released:
    return handed_out(tmp_path, json.dumps(release()))


def handed_out(root: Path, text: str) -> Released:
    """What the grader knows of a release, once `text` is its file."""
    homework = Homework("hw1", root, "Backpropagation", (), Limits())
    homework.release("mlp").parent.mkdir(parents=True, exist_ok=True)
    homework.release("mlp").write_text(text)
    return released(homework, "mlp")


def at(book: Notebook, name: str) -> Notebook:
    return next(found for found in book["cells"] if found.get("id") == name)


def write(book: Notebook, name: str, source: str) -> None:
    at(book, name)["source"] = source.splitlines(keepends=True)


def remove(book: Notebook, name: str) -> Notebook:
    found = at(book, name)
    book["cells"].remove(found)
    return found


def insert(book: Notebook, after: str, *new: Notebook) -> None:
    place = book["cells"].index(at(book, after)) + 1
    book["cells"][place:place] = new


def own(source: str, kind: str = "code", name: str = "a1b2") -> Notebook:
    return cell(name, kind, source)


def mend(handed_in: Notebook | str | bytes, given: Released, filename: str = "mlp.ipynb") -> Gradable:
    if isinstance(handed_in, dict):
        handed_in = json.dumps(handed_in, indent=1)
    return repair(handed_in.encode() if isinstance(handed_in, str) else handed_in, filename, given)


def source(mended: Gradable, name: str) -> str:
    return next(found.source for found in mended.cells if found.id == name)


def kinds(mended: Gradable) -> list[tuple[str, str]]:
    return [(found.kind, found.cell) for found in mended.repairs]


def ids(mended: Gradable) -> list[str]:
    return [found.id for found in mended.cells]


def assert_gradable(mended: Gradable, given: Released) -> None:
    assert [found.released for found in mended.cells if found.released] == list(given.cells)
    assert len(set(ids(mended))) == len(mended.cells)
    nbformat.validate(mended.notebook())


# ---- what needs no repair ----


def as_jupyter(book: Notebook) -> None:
    for count, found in enumerate(book["cells"]):
        if found["cell_type"] == "code":
            found["execution_count"] = count
            found["outputs"] = [{"output_type": "stream", "name": "stdout", "text": ["nan\n"]}]
    book["cells"].append(own("", name="f00d"))


def as_jupyterlab(book: Notebook) -> None:
    as_jupyter(book)
    for found in book["cells"]:
        found["metadata"] |= {"trusted": True, "jp-MarkdownHeadingCollapsed": True, "execution": {"a": "b"}}
        found["source"] = "".join(found["source"])


def as_vs_code(book: Notebook) -> None:
    book["nbformat_minor"] = 2
    for found in book["cells"]:
        del found["id"]
        found["metadata"]["vscode"] = {"languageId": "python"}


def as_colab(book: Notebook) -> None:
    book["nbformat_minor"] = 0
    book["metadata"]["colab"] = {"provenance": [], "toc_visible": True}
    for count, found in enumerate(book["cells"]):
        del found["id"]
        found["metadata"] |= {"id": f"Qx{count}_kZ", "outputId": "8c1f", "colab": {"base_uri": "https://localhost/"}}


def as_untouched(book: Notebook) -> None:
    book |= release()


@pytest.mark.parametrize("editor", [as_untouched, as_jupyter, as_jupyterlab, as_vs_code, as_colab])
def test_a_notebook_from_a_usual_editor_needs_no_repair(
    editor: Callable[[Notebook], None], book: Notebook, given: Released
) -> None:
    editor(book)
    assert mend(book, given).repairs == ()


def test_a_sound_submission_keeps_every_word_of_the_student(book: Notebook, given: Released) -> None:
    mended = mend(book, given)
    assert [found.source for found in mended.cells] == ["".join(found["source"]) for found in book["cells"]]


def test_blanks_at_line_ends_of_a_locked_cell_are_no_edit(book: Notebook, given: Released) -> None:
    write(book, "linear-forward", FORWARD_CHECK.replace("\n", "  \r\n") + "\n\n")
    assert mend(book, given).repairs == ()


def test_cells_of_the_students_own_stay_below_the_cell_that_they_followed(book: Notebook, given: Released) -> None:
    insert(book, "linear", own("half = 0.5"), own("# a note", kind="raw", name="c3d4"))
    mended = mend(book, given)
    assert ids(mended)[3:7] == ["linear", "own-1", "own-2", "linear-forward"]


def test_magics_in_a_cell_are_left_as_they_are(book: Notebook, given: Released) -> None:
    magics = "%matplotlib inline\n!pip install einops\n" + SOLVED
    write(book, "linear", magics)
    assert source(mend(book, given), "linear") == magics


def test_only_the_release_says_which_cells_are_demos(book: Notebook, given: Released) -> None:
    at(book, "linear")["metadata"]["tags"] = ["demo"]
    at(book, "figure")["metadata"].pop("tags")
    assert [found.id for found in mend(book, given).cells if found.kind == "code" and found.skip] == ["figure"]


def test_pictures_in_a_written_answer_are_kept_for_the_marker(book: Notebook, given: Released) -> None:
    at(book, "why")["attachments"] = {"photo.png": {"image/png": "iVBORw0K"}, "x": {"text/html": "<script>"}}
    kept = mend(book, given).notebook()["cells"][8]["attachments"]
    assert kept == {"photo.png": {"image/png": "iVBORw0K"}, "x": {}}


# ---- cells that were edited, copied, moved, lost ----


def test_an_edited_check_gets_its_text_back(book: Notebook, given: Released) -> None:
    write(book, "linear-forward", "assert True")
    mended = mend(book, given)
    assert source(mended, "linear-forward") == FORWARD_CHECK
    assert [note.note for note in mended.repairs] == [
        "Cell ‘linear-forward’ had been edited; the original checks were restored. Your changes to it were not used."
    ]


def test_a_function_written_into_a_check_still_runs_before_it(book: Notebook, given: Released) -> None:
    write(book, "linear-forward", "def helper():\n    return 1\n\n" + FORWARD_CHECK)
    mended = mend(book, given)
    assert ids(mended)[3:6] == ["linear", "own-1", "linear-forward"]
    assert "def helper" in source(mended, "own-1")


def test_a_deleted_check_is_put_back(book: Notebook, given: Released) -> None:
    remove(book, "linear-forward")
    mended = mend(book, given)
    assert source(mended, "linear-forward") == FORWARD_CHECK
    assert kinds(mended) == [("put-back", "linear-forward")]


def test_a_deleted_solution_is_put_back_empty(book: Notebook, given: Released) -> None:
    remove(book, "linear")
    mended = mend(book, given)
    assert source(mended, "linear") == LINEAR
    assert kinds(mended) == [("put-back", "linear")]


def test_a_second_copy_of_a_check_is_left_out(book: Notebook, given: Released) -> None:
    insert(book, "relu", copy.deepcopy(at(book, "linear-forward")))
    mended = mend(book, given)
    assert_gradable(mended, given)
    assert kinds(mended) == [("ignored", "linear-forward")]


def test_code_of_the_students_own_under_the_label_of_a_check_still_runs(book: Notebook, given: Released) -> None:
    stolen = copy.deepcopy(at(book, "linear-forward"))
    stolen["source"] = ["scale = 3\n", "print('an experiment of mine')"]
    insert(book, "linear-forward", stolen)
    mended = mend(book, given)
    assert source(mended, "own-1").startswith("scale = 3")


@pytest.mark.parametrize("unsolved_first", [True, False])
def test_of_a_solved_and_an_unsolved_copy_the_solved_one_counts(
    unsolved_first: bool, book: Notebook, given: Released
) -> None:
    second = copy.deepcopy(at(book, "linear"))
    insert(book, "linear", second)
    (at(book, "linear") if unsolved_first else second)["source"] = [LINEAR]
    mended = mend(book, given)
    assert source(mended, "linear") == SOLVED
    assert all(LINEAR not in found.source for found in mended.cells)


def test_an_unlabelled_copy_of_the_unsolved_cell_does_not_undo_the_solution(book: Notebook, given: Released) -> None:
    insert(book, "linear", own(LINEAR))
    mended = mend(book, given)
    assert "own-1" not in ids(mended)
    assert kinds(mended) == [("ignored", "linear")]


def test_of_two_solved_copies_the_last_counts_and_the_other_still_runs(book: Notebook, given: Released) -> None:
    second = copy.deepcopy(at(book, "linear"))
    second["source"] = [SOLVED.replace("x @", "1 * x @")]
    insert(book, "relu", second)
    mended = mend(book, given)
    assert ids(mended)[3:5] == ["own-1", "linear"]
    assert "1 * x @" in source(mended, "linear")
    assert kinds(mended) == [("demoted", "linear")]


def test_a_solution_split_in_two_keeps_both_parts_in_their_order(book: Notebook, given: Released) -> None:
    first, second = SOLVED_ACTIVATIONS.split("\n\n\n")
    write(book, "activations", first)
    rest = copy.deepcopy(at(book, "activations"))
    rest |= {"id": "b2c3", "source": [second]}
    insert(book, "activations", rest)
    mended = mend(book, given)
    parts = [found.source for found in mended.cells if "class ReLU" in found.source or "class Sigmoid" in found.source]
    assert parts == [first, second]


def test_two_solutions_joined_in_one_cell_are_not_undone_by_an_empty_one(book: Notebook, given: Released) -> None:
    write(book, "linear", SOLVED + "\n\n\n" + SOLVED_ACTIVATIONS)
    remove(book, "activations")
    mended = mend(book, given)
    assert "NotImplementedError" not in "".join(found.source for found in mended.cells)
    assert kinds(mended) == [("matched", "activations")]


def test_solutions_joined_in_the_later_cell_run_before_the_first_check(book: Notebook, given: Released) -> None:
    joined = SOLVED + "\n\n\n" + SOLVED_ACTIVATIONS
    write(book, "activations", joined)
    remove(book, "linear")
    assert source(mend(book, given), "linear") == joined


def test_a_solution_joined_with_a_demo_is_run(book: Notebook, given: Released) -> None:
    write(book, "figure", SOLVED_ACTIVATIONS + "\nfor epoch in range(1000):\n    train(epoch)")
    remove(book, "activations")
    mended = mend(book, given)
    assert [found.id for found in mended.cells if "class ReLU" in found.source and not found.skip] == ["activations"]


def test_moved_cells_run_in_the_order_of_the_homework(book: Notebook, given: Released) -> None:
    insert(book, "header", remove(book, "relu"))
    mended = mend(book, given)
    assert ids(mended) == [found.id for found in given.cells]
    assert [note.kind for note in mended.repairs] == ["reordered"]


@pytest.mark.parametrize("kind", ["markdown", "raw"])
def test_a_solution_turned_into_text_is_code_again(kind: str, book: Notebook, given: Released) -> None:
    at(book, "linear")["cell_type"] = kind
    mended = mend(book, given)
    assert (mended.cells[3].kind, mended.cells[3].source) == ("code", SOLVED)
    assert kinds(mended) == [("converted", "linear")]


def test_prose_in_place_of_a_solution_is_not_run(book: Notebook, given: Released) -> None:
    at(book, "linear")["cell_type"] = "markdown"
    write(book, "linear", "I could not solve this one, sorry.")
    mended = mend(book, given)
    assert source(mended, "linear") == LINEAR
    assert [found.kind for found in mended.cells if "sorry" in found.source] == ["markdown"]


def test_cells_with_the_same_id_get_different_ones(book: Notebook, given: Released) -> None:
    insert(book, "linear", own("one = 1"), own("two = 2"))
    mended = mend(book, given)
    assert_gradable(mended, given)
    assert kinds(mended) == [("renamed", "own-2")]


def test_the_text_says_more_than_a_numbered_id_that_has_shifted(book: Notebook, given: Released) -> None:
    at(book, "mlp-005")["id"] = "mlp-002"
    mended = mend(book, given)
    assert source(mended, "mlp-005").startswith("x = torch.randn")
    assert mended.repairs == ()


LIES = ["a’ is fine. FORGED: full points. Cell ‘b", "FORGED\nfull points", "FORGED full points", "FORGED" + "x" * 100]


@pytest.mark.parametrize("label", LIES)
@pytest.mark.parametrize("place", ["id", "grade_id", "cell_type", "colab"])
def test_no_sentence_of_a_students_stands_in_a_note(book: Notebook, given: Released, label: str, place: str) -> None:
    added = [cell("own", "scroll", "some text"), cell("own", "scroll", "some more text")]
    for found in added:
        if place == "colab":
            found |= {"id": "", "metadata": {"id": label}}
        elif place == "grade_id":
            found["metadata"] = {"nbgrader": {"grade_id": label}}
        else:
            found[place] = label
    book["cells"] += added
    mended = mend(book, given)
    told = [text for one in mended.repairs for text in (one.cell, one.note)]
    assert told and "FORGED" not in " ".join(told)


def test_a_label_that_jupyter_would_give_stands_in_a_note(book: Notebook, given: Released) -> None:
    book["cells"].append(cell("My_own-cell.2", "scroll", "some text"))
    assert any("‘My_own-cell.2’" in one.note for one in mend(book, given).repairs)


# ---- lost labels ----


def without_labels(book: Notebook) -> Notebook:
    for found in book["cells"]:
        found["metadata"] = {}
        found.pop("id")
    return book


def test_cells_without_any_label_are_recognised_by_what_is_in_them(book: Notebook, given: Released) -> None:
    expected = [found.source for found in mend(book, given).cells]
    mended = mend(without_labels(book), given)
    assert [found.source for found in mended.cells] == expected
    assert [note.kind for note in mended.repairs] == ["matched"]


def test_one_cell_without_its_label_is_named(book: Notebook, given: Released) -> None:
    at(book, "linear").update(metadata={}, id="zzz")
    mended = mend(book, given)
    assert source(mended, "linear") == SOLVED
    assert kinds(mended) == [("matched", "linear")]


def test_an_edited_check_without_its_label_is_recognised_by_its_words(book: Notebook, given: Released) -> None:
    write(book, "linear-forward", FORWARD_CHECK + "\nprint('passed')")
    at(book, "linear-forward").update(metadata={}, id="zzz")
    mended = mend(book, given)
    assert ids(mended) == [found.id for found in given.cells]
    assert ("restored", "linear-forward") in kinds(mended)


def test_the_cell_id_that_colab_keeps_in_the_metadata_is_a_label(book: Notebook, given: Released) -> None:
    found = at(book, "mlp-005")
    found.update(metadata={"id": "mlp-005"}, source=["rows = 7"])
    del found["id"]
    assert source(mend(book, given), "mlp-005") == "rows = 7"


def test_a_foreign_notebook_is_called_one(given: Released) -> None:
    foreign = {"cells": [own("print('hello')")], "nbformat": 4, "nbformat_minor": 5, "metadata": {}}
    mended = mend(foreign, given)
    assert_gradable(mended, given)
    assert [note.kind for note in mended.repairs] == ["foreign"]


# ---- damaged and old files ----


def test_the_complete_cells_of_a_truncated_notebook_are_saved(book: Notebook, given: Released) -> None:
    text = json.dumps(book, indent=1)
    mended = mend(text[: text.index('"id": "activations"') + 30], given)
    assert source(mended, "linear") == SOLVED
    assert kinds(mended) == [("salvaged", ""), ("put-back", "activations"), ("put-back", "why")]


def test_fifty_megabytes_of_output_are_dropped(book: Notebook, given: Released) -> None:
    text = "0.123456789 " * 100_000 + "\n"
    at(book, "figure")["outputs"] = [{"output_type": "stream", "name": "stdout", "text": [text] * 42}]
    mended = mend(book, given)
    assert source(mended, "linear") == SOLVED
    assert [note.kind for note in mended.repairs] == ["ignored"]


def test_a_cell_of_an_old_notebook_is_found_without_its_bracket(book: Notebook, given: Released) -> None:
    for cell in book["cells"]:
        if cell["cell_type"] == "code":
            cell["input"] = cell.pop("source")
    number = next(n for n, cell in enumerate(book["cells"]) if "class Linear" in "".join(cell.get("input", "")))
    before = "".join(book["cells"][number]["input"])
    old = {"worksheets": [{"cells": book["cells"]}], "metadata": {}, "nbformat": 2, "nbformat_minor": 0}
    text = json.dumps(old)
    at = text.index(json.dumps(book["cells"][number]))
    mended = repair((text[:at] + "~" + text[at + 1 :]).encode(), "mlp.ipynb", given)
    assert any(cell.source.strip() == before.strip() for cell in mended.cells)


@pytest.mark.parametrize("version", [2, 3])
def test_an_old_notebook_is_converted(version: int, book: Notebook, given: Released) -> None:
    for found in book["cells"]:
        del found["id"]
        if found["cell_type"] == "code":
            found["input"] = found.pop("source")
    old = {"worksheets": [{"cells": book["cells"]}], "metadata": {}, "nbformat": version, "nbformat_minor": 0}
    mended = mend(old, given)
    assert source(mended, "linear") == SOLVED
    assert [note.note for note in mended.repairs] == [
        f"The notebook was saved in an old format (version {version}) and was converted."
    ]


def test_a_heading_cell_of_the_old_format_becomes_markdown(given: Released) -> None:
    cells = [{"cell_type": "heading", "level": 2, "source": "Mine"}]
    mended = mend({"worksheets": [{"cells": cells}], "nbformat": 3}, given)
    assert source(mended, "own-1") == "## Mine"


def test_a_notebook_of_a_future_format_is_read(book: Notebook, given: Released) -> None:
    book |= {"nbformat": 5, "nbformat_minor": 0}
    mended = mend(book, given)
    assert source(mended, "linear") == SOLVED
    assert [note.kind for note in mended.repairs] == ["converted"]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "latin-1"])
def test_a_notebook_in_another_encoding_is_converted(encoding: str, book: Notebook, given: Released) -> None:
    write(book, "why", "Weil die Kettenregel rückwärts läuft.")
    mended = mend(json.dumps(book, ensure_ascii=False).encode(encoding), given)
    assert source(mended, "why") == "Weil die Kettenregel rückwärts läuft."
    assert [note.kind for note in mended.repairs] == ["converted"]


def test_nan_in_an_output_loses_nothing(book: Notebook, given: Released) -> None:
    at(book, "mlp-005")["outputs"] = [{"data": {"application/json": [float("nan"), float("inf")]}}]
    mended = mend(book, given)
    assert source(mended, "linear") == SOLVED
    assert mended.repairs == ()


@pytest.mark.parametrize("key", ["srce", "ource", "soue", "sourc"])
def test_a_source_whose_name_has_lost_bytes_is_read(book: Notebook, given: Released, key: str) -> None:
    mended = mend(json.dumps(book).replace('"source"', f'"{key}"'), given)
    assert source(mended, "linear") == SOLVED
    assert ("converted", "linear") in kinds(mended)


def test_a_source_that_is_there_twice_counts_as_it_is_last(book: Notebook, given: Released) -> None:
    text = json.dumps(book).replace('"id": "linear",', '"id": "linear", "source": "old",', 1)
    mended = mend(text, given)
    assert source(mended, "linear") == SOLVED
    assert kinds(mended) == [("converted", "linear")]


def test_an_unsettled_merge_keeps_what_both_sides_wrote(book: Notebook, given: Released) -> None:
    text = json.dumps(book, indent=1)
    line = next(line for line in text.split("\n") if "self.weight.T" in line)
    mended = mend(text.replace(line, f"<<<<<<< HEAD\n{line}\n=======\n{line}\n>>>>>>> theirs"), given)
    assert "self.weight.T" in source(mended, "linear")
    assert ("salvaged", "") in kinds(mended)


@pytest.mark.parametrize("wrong", [None, 7, {"a": 1}, [1, None], [["x = 1"]]])
def test_a_source_that_is_no_text_is_told(wrong: Any, book: Notebook, given: Released) -> None:
    at(book, "linear")["source"] = wrong
    mended = mend(book, given)
    assert_gradable(mended, given)
    assert ("converted", "linear") in kinds(mended)


def test_what_is_not_a_cell_is_left_out(book: Notebook, given: Released) -> None:
    book["cells"][1:1] = [None, "text", 3, ["a"]]
    mended = mend(book, given)
    assert ids(mended) == [found.id for found in given.cells]
    assert [note.kind for note in mended.repairs] == ["ignored"] * 4


def test_a_cell_of_an_unknown_type_is_taken_for_text(book: Notebook, given: Released) -> None:
    insert(book, "linear", own("print(1)") | {"cell_type": "sql"})
    mended = mend(book, given)
    assert next(found.skip for found in mended.cells if found.id == "own-1")
    assert kinds(mended) == [("converted", "a1b2")]


def test_half_a_letter_does_not_break_the_notebook(book: Notebook, given: Released) -> None:
    write(book, "linear", "name = '\ud83d'\n" + SOLVED)
    json.dumps(mend(book, given).notebook(), ensure_ascii=False).encode()


def test_too_many_cells_are_cut_off(book: Notebook, given: Released) -> None:
    book["cells"] += [own(f"number = {count}", name=f"n{count}") for count in range(3000)]
    mended = mend(book, given)
    assert len(mended.cells) == 2000
    assert kinds(mended) == [("ignored", "")]


def test_a_huge_cell_is_left_out(book: Notebook, given: Released) -> None:
    insert(book, "linear", own("data = '" + "0" * 2**21 + "'"))
    mended = mend(book, given)
    assert ids(mended) == [found.id for found in given.cells]
    assert kinds(mended) == [("ignored", "a1b2")]


def test_a_list_of_mends_stays_readable(book: Notebook, given: Released) -> None:
    book["cells"] += [7] * 500
    assert len(mend(book, given).repairs) < 100


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "is empty"),
        (b" \n\0\0", "is empty"),
        (b"\xef\xbb\xbf", "is empty"),
        (b"PK\x03\x04rest", "zip archive"),
        (b"%PDF-1.7", "PDF"),
        (b"\n<!DOCTYPE html><html>", "web page"),
        (b"\x89PNG\r\n", "picture"),
        (b"{\\rtf1 hello}", "text document"),
        (b"\x80\x04\x95\x00\x00", "neither a notebook nor a Python script"),
        (b"Dear all, I was ill last week.", "neither a notebook nor a Python script"),
        (b'{"answer": 42}', "no notebook cells"),
        (b'{"cells": []}', "no notebook cells"),
        (b'{"cells": 3}', "no notebook cells"),
        (b"[1, 2, 3]", "no notebook cells"),
        (b"[" * 100_000, "no notebook cells"),
        (b'{"cells": ' + b"[" * 100_000, "no notebook cells"),
        (b'{"cells": [' + b"[]," * 1_600_000, "too many brackets"),
        (b'{"cells": [{"cell_type": "code", "sour', "no complete cell"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_holds_nothing_to_grade_is_said_in_a_sentence(data: bytes, says: str, given: Released) -> None:
    with pytest.raises(Unreadable, match=says):
        mend(data, given)


def test_a_deeply_nested_source_does_not_end_the_grader(book: Notebook, given: Released) -> None:
    text = json.dumps(book).replace('"metadata": {}', '"metadata": ' + "[" * 50_000 + "]" * 50_000)
    assert source(mend(text, given), "linear") == SOLVED


def test_a_deeply_nested_expression_does_not_end_the_grader(given: Released) -> None:
    script = SOLVED + "\ny = " + "-" * 50_000 + "1\n"
    assert source(mend(script, given, "mlp.py"), "linear").strip() == SOLVED


# ---- scripts ----


def as_script(book: Notebook, mark: str = "# %%") -> str:
    lines = []
    for found in book["cells"]:
        nbgrader = found["metadata"].get("nbgrader")
        text = found["cell_type"] == "markdown"
        options = (" [markdown]" if text else "") + (f" nbgrader={json.dumps(nbgrader)}" if nbgrader else "")
        body = "".join(found["source"])
        lines += [mark + options, f'r"""\n{body}\n"""' if text else body, ""]
    return "\n".join(lines)


def test_a_script_with_its_marks_needs_no_repair(book: Notebook, given: Released) -> None:
    mended = mend(as_script(book), given, "mlp.py")
    assert [found.source for found in mended.cells] == [found.source for found in mend(book, given).cells]
    assert mended.repairs == ()


def test_markdown_written_as_comments_is_read(book: Notebook, given: Released) -> None:
    script = as_script(book).replace(
        'r"""\n# Backpropagation\n\nBuild it by hand.\n"""', "# # Backpropagation\n#\n# Build it by hand."
    )
    assert mend(script, given, "mlp.py").repairs == ()


@pytest.mark.parametrize("ends", ["\r\n", "\r"])
def test_other_line_ends_are_no_edit(ends: str, book: Notebook, given: Released) -> None:
    assert mend(as_script(book).replace("\n", ends), given, "mlp.py").repairs == ()


def test_a_magic_that_an_editor_has_commented_out_is_no_edit(book: Notebook, tmp_path: Path) -> None:
    changed = release()
    write(changed, "setup", "%matplotlib inline\nimport torch")
    write(book, "setup", "# %matplotlib inline\nimport torch")
    with_magic = handed_out(tmp_path, json.dumps(changed))
    assert mend(as_script(book), with_magic, "mlp.py").repairs == ()


def test_marks_without_labels_are_enough(book: Notebook, given: Released) -> None:
    without = copy.deepcopy(book)
    for found in without["cells"]:
        found["metadata"] = {}
    mended = mend(as_script(without), given, "mlp.py")
    assert [found.source for found in mended.cells] == [found.source for found in mend(book, given).cells]


def test_a_notebook_that_nbconvert_made_a_script_of_is_read(book: Notebook, given: Released) -> None:
    lines = ["#!/usr/bin/env python", "# coding: utf-8", ""]
    for found in book["cells"]:
        body = "".join(found["source"])
        text = found["cell_type"] == "markdown"
        lines += ["# " + body.replace("\n", "\n# "), ""] if text else ["# In[ ]:", "", "", body, ""]
    mended = mend("\n".join(lines), given, "mlp.py")
    assert (source(mended, "linear"), source(mended, "relu")) == (SOLVED, RELU_CHECK)
    assert "own-1" not in ids(mended)


def test_a_script_without_marks_is_taken_apart_by_its_names(given: Released) -> None:
    script = f"import torch\n\nhalf = 0.5\n\n{SOLVED}\n\n{FORWARD_CHECK}\n\n@torch.no_grad\n{SOLVED_ACTIVATIONS}\n"
    mended = mend(script, given, "mlp.py")
    assert source(mended, "linear") == SOLVED
    assert source(mended, "activations").startswith("@torch.no_grad\nclass ReLU")
    assert source(mended, "own-1").strip() == "half = 0.5"


def test_a_script_that_is_not_python_is_taken_apart_all_the_same(given: Released) -> None:
    script = f"{SOLVED}\n\n{SOLVED_ACTIVATIONS}\n\ndef broken(:\n    pass\n"
    mended = mend(script, given, "mlp.py")
    assert source(mended, "linear").strip() == SOLVED


def test_a_script_under_a_notebooks_name_is_read(book: Notebook, given: Released) -> None:
    mended = mend(as_script(book), given, "mlp.ipynb")
    assert source(mended, "linear") == SOLVED
    assert [note.kind for note in mended.repairs] == ["converted"]


def test_a_notebook_under_a_scripts_name_is_read(book: Notebook, given: Released) -> None:
    mended = mend(book, given, "mlp.py")
    assert source(mended, "linear") == SOLVED
    assert [note.kind for note in mended.repairs] == ["converted"]


# ---- the release ----


def test_a_missing_release_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(CourseError, match="autograder build"):
        released(Homework("hw1", tmp_path, "Backpropagation", (), Limits()), "mlp")


def test_a_broken_release_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(CourseError, match="autograder build"):
        handed_out(tmp_path, '{"cells": [{"source": 1}]}')


def test_a_released_cell_knows_its_heading_and_names(given: Released) -> None:
    found = next(found for found in given.cells if found.id == "activations")
    assert (found.title, found.names) == ("Linear layer", {"ReLU", "Sigmoid"})


# ---- the file on disk ----


def as_folder(path: Path) -> None:
    path.mkdir()


def as_link(path: Path) -> None:
    path.symlink_to("/etc/passwd")


def as_pipe(path: Path) -> None:
    os.mkfifo(path)


@pytest.mark.parametrize(("make", "says"), [(as_folder, "a folder"), (as_link, "a link"), (as_pipe, "a pipe")])
def test_what_is_not_a_file_is_not_read(make: Callable[[Path], None], says: str, tmp_path: Path) -> None:
    make(tmp_path / "mlp.ipynb")
    with pytest.raises(Unreadable, match=says):
        read(tmp_path / "mlp.ipynb")


def test_a_file_is_read_whole(tmp_path: Path) -> None:
    data = random.Random(1).randbytes(3_000_000)
    (tmp_path / "mlp.ipynb").write_bytes(data)
    assert read(tmp_path / "mlp.ipynb") == data


@pytest.mark.parametrize(("start", "size"), [(b"x", 1001), (b"\xef\xbb\xbf {", 4001), (b"{", 10**12)])
def test_a_file_that_is_too_big_is_not_read(start: bytes, size: int, tmp_path: Path) -> None:
    path = tmp_path / "mlp.ipynb"
    path.write_bytes(start)
    os.truncate(path, size)
    with pytest.raises(Unreadable, match="too big"):
        read(path, limit=1000)


def test_a_notebook_may_be_bigger_than_other_files(tmp_path: Path) -> None:
    path = tmp_path / "mlp.ipynb"
    path.write_bytes(b"{" + b" " * 3000)
    assert len(read(path, limit=1000)) == 3001


# ---- whatever else ----


def mutated_bytes(data: bytes, chance: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(chance.choice([1, 3, 30])):
        start = chance.randrange(len(changed) + 1)
        end = min(len(changed), start + chance.choice([1, 1, 2, 20, 2000]))
        piece = bytes(changed[start:end])
        choices = [
            b"",
            chance.randbytes(len(piece)),
            piece * 2,
            b'"',
            b"]",
            b"}",
            b"{",
            b"[",
            b"\\",
            b"\0",
            b"NaN",
            b"\xff",
        ]
        changed[start:end] = chance.choice(choices)
    return bytes(changed[: chance.choice([len(changed), chance.randrange(len(changed) + 1)])])


def mutated_book(book: Notebook, chance: random.Random) -> bytes:
    odd: list[Any] = [
        None,
        7,
        "",
        "x = 1",
        [],
        {},
        ["a", 1],
        {"id": "linear"},
        "code",
        float("nan"),
        "\ud800",
        "é" * 300,
    ]
    for _ in range(chance.choice([1, 5, 40])):
        cells = book["cells"]
        if not isinstance(cells, list) or not cells:
            break
        place = chance.randrange(len(cells))
        picked = cells[place]
        match chance.randrange(7):
            case 0:
                cells.insert(chance.randrange(len(cells) + 1), copy.deepcopy(picked))
            case 1:
                cells.pop(place)
            case 2:
                chance.shuffle(cells)
            case 3 if isinstance(picked, dict) and picked:
                picked[chance.choice(list(picked))] = copy.deepcopy(chance.choice(odd))
            case 4 if isinstance(picked, dict) and picked:
                picked.pop(chance.choice(list(picked)))
            case 5 if isinstance(picked, dict) and isinstance(picked.get("metadata"), dict):
                labels = {
                    "grade_id": chance.choice(["linear", "relu", "x", None, 3]),
                    "locked": chance.choice([True, "no"]),
                }
                picked["metadata"]["nbgrader"] = chance.choice([labels, None, []])
            case _ if chance.random() < 0.1:
                cells[place] = copy.deepcopy(chance.choice(odd))
    if chance.random() < 0.1:
        book[chance.choice(list(book))] = copy.deepcopy(chance.choice(odd))
    return json.dumps(book).encode()


@pytest.mark.parametrize("seed", range(300))
def test_any_damage_gives_a_gradable_notebook_or_a_sentence(seed: int, book: Notebook, given: Released) -> None:
    chance = random.Random(seed)
    script = seed % 4 == 3
    data = as_script(book).encode() if script else json.dumps(book, indent=chance.choice([None, 1])).encode()
    data = mutated_book(book, chance) if seed % 2 == 0 else mutated_bytes(data, chance)
    try:
        mended = repair(data, chance.choice(["mlp.ipynb", "mlp.py", "mlp (1).ipynb"]), given)
    except Unreadable as sentence:
        assert str(sentence).endswith(".")
    else:
        assert_gradable(mended, given)
        assert all(note.note.endswith(".") and note.kind for note in mended.repairs)


# ---- what was added to given text ----


@pytest.mark.parametrize(
    ("submitted", "kept", "changed"),
    [
        ("import math\nimport torch\n\nx = 1  # given\n", "import math", False),
        ("import torch\n\nx = 1  # given\ny = 2", "y = 2", False),
        ("import torch\n\nx = 5  # given\n", "", True),
        ("import torch\n\nx = 1  # given\nprint(x)\nassert x", "", True),
        ("import torch\n\nx = 1  # given\ntorch.manual_seed(1)", "import torch\ntorch.manual_seed(1)", False),
        ("import torch\n\nx = 1  # given\nhalf = x / 2", "x = 1  # given\nhalf = x / 2", False),
        ("import torch\n", "", True),
        ("import torch as t\n\nx = 1  # given\n", "import torch as t", True),
        ("import torch\n\n\nx = 1  # given\n# another comment", "", False),
    ],
)
def test_what_is_added_to_a_given_cell_is_told_from_what_is_changed(submitted: str, kept: str, changed: bool) -> None:
    given = "import torch\n\nx = 1  # given\n\n# A last word."
    added = added_code(submitted, given)
    assert (added.source, added.changed) == (kept, changed)


# ---- a submission made on an earlier release ----


def sign(book: Notebook) -> Notebook:
    """The same with the checksums that nbgrader gives a release."""
    from nbgrader.utils import compute_checksum

    for found in book["cells"]:
        if "nbgrader" in found["metadata"]:
            joined = nbformat.from_dict(found | {"source": "".join(found["source"])})  # type: ignore[no-untyped-call]
            found["metadata"]["nbgrader"]["checksum"] = compute_checksum(joined)
    return book


def on_earlier(**texts: str) -> Notebook:
    """A submission in which these given cells are as an earlier release had them."""
    handed_in = release()
    for name, text in texts.items():
        write(handed_in, name.replace("_", "-"), text)
    sign(handed_in)
    write(handed_in, "linear", SOLVED)
    return handed_in


NOTHING_TO_DO = (
    "Your notebook is from an earlier release of the homework. The course has changed {} since; "
    "the present text was used. There is nothing for you to do."
)


@pytest.mark.parametrize("editor", [as_jupyter, as_jupyterlab, as_vs_code, as_colab])
def test_what_the_course_changed_since_is_not_called_the_students_edit(
    editor: Callable[[Notebook], None], given: Released
) -> None:
    handed_in = on_earlier(
        header="# Backpropagation\n\nBuild it by paw.", linear_forward="assert Linear(2, 3).forward is not None"
    )
    editor(handed_in)
    mended = mend(handed_in, given)
    assert_gradable(mended, given)
    assert [note.note for note in mended.repairs] == [NOTHING_TO_DO.format("‘header’, ‘linear-forward’")]
    assert [found.source for found in mended.cells if found.own] == []
    assert source(mended, "header").endswith("by hand.") and source(mended, "linear-forward") == FORWARD_CHECK


def test_a_cell_whose_points_changed_since_is_as_the_earlier_release_had_it(given: Released) -> None:
    handed_in = release()
    write(handed_in, "header", "# Backpropagation\n\n99 points.")
    at(handed_in, "linear-forward")["metadata"]["nbgrader"]["points"] = 99
    write(sign(handed_in), "linear-forward", FORWARD_CHECK)
    assert [note.kind for note in mend(handed_in, given).repairs] == ["earlier"]


def test_cells_that_the_present_release_moved_or_added_are_not_said_to_be_moved_or_missing(given: Released) -> None:
    handed_in = on_earlier(header="# An older header")
    insert(handed_in, "header", remove(handed_in, "relu"))
    remove(handed_in, "setup")
    assert [note.kind for note in mend(handed_in, given).repairs] == ["earlier"]


def test_an_edit_in_a_notebook_of_an_earlier_release_is_still_an_edit(given: Released) -> None:
    handed_in = on_earlier(header="# An older header")
    write(handed_in, "linear-forward", "assert True")
    assert sorted(kinds(mend(handed_in, given))) == [("earlier", ""), ("restored", "linear-forward")]


def test_a_helper_that_only_the_earlier_release_defined_still_runs(given: Released) -> None:
    mended = mend(on_earlier(setup="import torch\n\ntorch.manual_seed(0)\n\n\ndef toy():\n    return 1"), given)
    assert [found.source for found in mended.cells if found.own] == ["def toy():\n    return 1"]
    assert mended.repairs[0].note.endswith("What only the earlier release defines still runs, as a cell of your own.")


def test_what_an_earlier_release_imported_within_its_own_function_is_no_cell_of_the_students(given: Released) -> None:
    """The last cell of a notebook is such a function, and no student wrote it."""
    earlier = "def report():\n    import symtable\n    return symtable.symtable\n\n\nreport()"
    present = "def report():\n    import dis\n    return dis.dis\n\n\nreport()"
    assert added_code(earlier, present).source == ""
    assert added_code(f"import symtable\n\n{earlier}", present).source.startswith("import symtable")


def test_a_forged_checksum_leaves_the_course_its_checks(given: Released) -> None:
    handed_in = on_earlier(linear_forward="assert True", relu="class ReLU:\n    pass")
    mended = mend(handed_in, given)
    assert (source(mended, "linear-forward"), source(mended, "relu")) == (FORWARD_CHECK, RELU_CHECK)
    plain = copy.deepcopy(handed_in)
    for name in ("linear-forward", "relu"):
        at(plain, name)["metadata"]["nbgrader"]["checksum"] = "0" * 32
    assert [found.source for found in mended.cells] == [found.source for found in mend(plain, given).cells]


def test_a_script_that_differs_from_the_release_is_not_called_edited(given: Released) -> None:
    script = f'# %% id="setup"\nimport torch\n\n# %% id="linear"\n{SOLVED}\n\n# %% id="linear-forward"\nassert Linear\n'
    said = [note.note for note in mend(script, given, "mlp.py").repairs]
    assert any(note.startswith("Cell ‘linear-forward’ differed from the present release") for note in said)
    assert not any("edited" in note for note in said)


def test_every_released_cell_fits_the_checksum_that_it_carries() -> None:
    found = [
        one.untouched
        for path in sorted((Path(__file__).parents[1] / "release").glob("*/*.ipynb"))
        for one in read_cells(path.read_bytes(), path.name).cells
        if one.grade_id
    ]
    assert len(found) > 100 and set(found) == {True}
