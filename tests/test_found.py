"""What a student hands in is found, wherever it is and whatever it is called, and everything else is accounted for."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest

from autograder.course.course import CourseError, open_course
from autograder.course.release import released
from autograder.grading.submissions import survey
from autograder.proving.example_class import SubmissionWriter
from autograder.submission import Choice, choose, repaired
from autograder.submission.beside import Beside, beside
from autograder.submission.folder import contents, reads_as
from autograder.submission.kinship import Kinship

pytestmark = pytest.mark.slow(seconds=8, waits=False)
COURSE = open_course(Path(__file__).parents[1])
HW1 = COURSE.homework("hw1")
RELEASES = {spec.name: released(HW1, spec.name) for spec in HW1.notebooks}
ELSEWHERE = [
    released(COURSE.homework(name), spec.name)
    for name in COURSE.homeworks
    if name != "hw1"
    for spec in COURSE.homework(name).notebooks
]
KINSHIP = Kinship([*RELEASES.values(), *ELSEWHERE])
BOOKS = {name: HW1.release(name).read_text() for name in RELEASES}
SOLVED = {name: json.dumps(SubmissionWriter(HW1, name).solved()) for name in RELEASES}
HALF = {name: text.replace("raise NotImplementedError", "pass", 2) for name, text in BOOKS.items()}


def script(notebook: str) -> str:
    return HW1.release(notebook).with_suffix(".py").read_text()


def put(root: Path, files: dict[str, str | bytes]) -> Path:
    """Write files below a folder; each is a minute older than the one before."""
    root.mkdir(exist_ok=True)
    for number, (name, text) in enumerate(files.items()):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        os.utime(path, (2_000_000_000 - 600 * number,) * 2)
    return root


def test_what_pytorch_saved_lies_beside_the_notebook_as_it_is(tmp_path: Path) -> None:
    put(tmp_path, {"mlp.ipynb": SOLVED["mlp"], "weights.pt": zipped({"archive/data.pkl": "x"}, tmp_path)})
    choice = choose(tmp_path, RELEASES)
    assert list(beside(choice, choice.notebooks["mlp"]).files) == ["weights.pt"]


def zipped(files: dict[str, str | bytes], folder: Path) -> bytes:
    path = folder / "made.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    data = path.read_bytes()
    path.unlink()
    return data


def chosen(root: Path) -> Choice:
    return choose(root, RELEASES, KINSHIP)


def graded(root: Path) -> dict[str, str]:
    return {name: one.entry.path for name, one in chosen(root).notebooks.items()}


@pytest.mark.parametrize(
    "path",
    [
        "hw1/mlp.ipynb",
        "HW1/mlp.ipynb",
        "homework1/mlp.ipynb",
        "Homework 1/mlp.ipynb",
        "hw01_final/mlp.ipynb",
        "mlp.ipynb",
        "hw1/hw1/mlp.ipynb",
        "hw1/Jane Doe - hw1/work/mlp.ipynb",
        "hw1/Untitled.ipynb",
        "hw1/mlp (1).ipynb",
        "hw1/HW1_mlp_Jane.ipynb",
        "hw1/hw1_1.ipynb",
        "hw1/mlp.ipynb.txt",
        "hw1/mlp",
        "hw1/.ipynb_checkpoints/mlp-checkpoint.ipynb",
        "uploads/theory.ipynb",
    ],
)
def test_a_notebook_is_found_by_what_is_in_it(path: str, tmp_path: Path) -> None:
    root = put(tmp_path / "anna", {path: SOLVED["mlp"]})
    assert graded(root) == {"mlp": path}
    notes = chosen(root).notebooks["mlp"].notes
    assert bool(notes) == (path not in ("hw1/mlp.ipynb", "HW1/mlp.ipynb", "homework1/mlp.ipynb", "Homework 1/mlp.ipynb",
                                        "hw01_final/mlp.ipynb", "mlp.ipynb"))  # fmt: skip
    assert all(note.note.endswith((".", "anyway.")) for note in notes)


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"hw1/mlp.ipynb": BOOKS["mlp"], "hw1/Untitled.ipynb": SOLVED["mlp"]}, "hw1/Untitled.ipynb"),
        ({"hw1/mlp.ipynb": "", "hw1/mlp (1).ipynb": SOLVED["mlp"]}, "hw1/mlp (1).ipynb"),
        ({"hw1/mlp.ipynb": SOLVED["mlp"][:40_000], "hw1/mlp (1).ipynb": SOLVED["mlp"]}, "hw1/mlp (1).ipynb"),
        ({"hw1/mlp (1).ipynb": SOLVED["mlp"], "hw1/mlp.ipynb": SOLVED["mlp"]}, "hw1/mlp (1).ipynb"),
        ({"hw1/mlp.ipynb": SOLVED["mlp"], "hw1/mlp (1).ipynb": SOLVED["mlp"]}, "hw1/mlp.ipynb"),
        ({"hw1/mlp (1).ipynb": HALF["mlp"], "hw1/mlp.ipynb": SOLVED["mlp"]}, "hw1/mlp.ipynb"),
        ({"hw1/mlp.ipynb": HALF["mlp"], "hw1/mlp (1).ipynb": SOLVED["mlp"]}, "hw1/mlp (1).ipynb"),
        ({"hw1/mlp.ipynb": HALF["mlp"], "mlp.ipynb": SOLVED["mlp"]}, "mlp.ipynb"),
        ({"old/mlp.ipynb": SOLVED["mlp"], "hw1/mlp.ipynb": SOLVED["mlp"]}, "hw1/mlp.ipynb"),
        ({"hw1/backup/mlp.ipynb": SOLVED["mlp"], "hw1/mlp.ipynb": SOLVED["mlp"]}, "hw1/mlp.ipynb"),
        ({"hw1/mlp.ipynb": BOOKS["mlp"], "mlp.ipynb": SOLVED["mlp"]}, "mlp.ipynb"),
        ({"hw1/mlp.ipynb": BOOKS["mlp"], "hw1/mlp.py": script("mlp").replace("raise NotImplementedError", "return 1")},
         "hw1/mlp.py"),
        ({"hw1/mlp.ipynb": SOLVED["mlp"], "hw1/mlp.py": script("mlp")}, "hw1/mlp.ipynb"),
        ({"hw1/.ipynb_checkpoints/mlp-checkpoint.ipynb": SOLVED["mlp"], "hw1/mlp.ipynb": SOLVED["mlp"]},
         "hw1/mlp.ipynb"),
        ({"hw2/mlp.ipynb": SOLVED["mlp"], "hw1/mlp.ipynb": BOOKS["mlp"]}, "hw1/mlp.ipynb"),
    ],
)  # fmt: skip
def test_of_several_files_the_one_with_the_work_is_graded(files: dict[str, str], expected: str, tmp_path: Path) -> None:
    root = put(tmp_path / "anna", dict(files))
    assert graded(root)["mlp"] == expected


def test_the_page_says_which_file_was_graded_and_which_were_not(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {
        "hw1/mlp.ipynb": BOOKS["mlp"],
        "hw1/Copy of mlp.ipynb": SOLVED["mlp"],
        "hw1/mlp-old.ipynb": SOLVED["mlp"],
    }
    notes = [note.note for note in chosen(put(tmp_path / "anna", files)).notebooks["mlp"].notes]
    assert "‘hw1/Copy of mlp.ipynb’ was graded. ‘hw1/mlp.ipynb’ was not, because nothing in it was changed." in notes
    assert "‘hw1/Copy of mlp.ipynb’ was graded. ‘hw1/mlp-old.ipynb’ was not, because it is older." in notes


def test_all_notebooks_are_found_in_a_zip_archive(tmp_path: Path) -> None:
    data = zipped({f"work/{name}.ipynb": text for name, text in SOLVED.items()}, tmp_path)
    for place in ("hw1.zip", "hw1/all.zip", "homework1/all.zip", "upload.zip"):
        root = put(tmp_path / place.replace("/", "-"), {place: data})
        assert graded(root) == {name: f"{place}/work/{name}.ipynb" for name in RELEASES}


def test_a_zip_archive_in_a_zip_archive_is_looked_into(tmp_path: Path) -> None:
    inner = zipped({"work/mlp.ipynb": SOLVED["mlp"]}, tmp_path)
    outer = put(tmp_path / "anna", {"hw1.zip": zipped({"mine/inner.zip": inner}, tmp_path)})
    assert graded(outer) == {"mlp": "hw1.zip/mine/inner.zip/work/mlp.ipynb"}


def test_archives_in_archives_end_somewhere(tmp_path: Path) -> None:
    data = zipped({"mlp.ipynb": SOLVED["mlp"]}, tmp_path)
    for depth in range(9):
        data = zipped({f"level{depth}.zip": data}, tmp_path)
    found = contents(put(tmp_path / "anna", {"hw1.zip": data}), "hw1").files
    assert [file.name for file in found] == ["level5.zip"]
    assert "‘level5.zip’" in chosen(tmp_path / "anna").without["mlp"].note


def test_a_zip_archive_can_stand_in_place_of_a_student(tmp_path: Path) -> None:
    submitted = put(tmp_path / "submitted", {"anna.zip": zipped({"hw1/mlp.ipynb": SOLVED["mlp"]}, tmp_path)})
    [anna] = survey(submitted, "hw1", COURSE.homeworks).todo
    assert (anna.student, graded(anna.folder)) == ("anna", {"mlp": "anna.zip/hw1/mlp.ipynb"})


def test_a_bomb_in_a_zip_archive_is_not_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("mlp.ipynb", b"\0" * 200_000_000)
        for number in range(1990):
            archive.writestr(f"data/{number}.bin", b"0" * 1000)
    root = put(tmp_path / "anna", {"hw1/all.zip": path.read_bytes()})
    assert "too big" in chosen(root).without["mlp"].note


@pytest.mark.parametrize("data", [b"PK\x03\x04", b"PK\x03\x04" + b"\0" * 5000, b"PK\x03\x04 PK\x05\x06" + b"\xff" * 18])
def test_a_damaged_archive_is_named(data: bytes, tmp_path: Path) -> None:
    found = chosen(put(tmp_path / "anna", {"hw1/mlp.zip": data})).without["mlp"]
    assert "mlp.zip’ is a" in found.note


def test_paths_that_lead_out_of_an_archive_are_passed_over(tmp_path: Path) -> None:
    data = zipped({"../../mlp.ipynb": SOLVED["mlp"]}, tmp_path)
    assert contents(put(tmp_path / "anna", {"hw1.zip": data}), "hw1").files == []


def test_another_notebook_under_this_name_is_not_run_as_this_one(tmp_path: Path) -> None:
    found = chosen(put(tmp_path / "anna", {"hw1/mlp.ipynb": SOLVED["sgd"]}))
    assert found.notebooks["sgd"].entry.path == "hw1/mlp.ipynb"
    assert "contains the notebook sgd, not mlp" in found.without["mlp"].note


def test_two_notebooks_with_exchanged_names_are_both_graded(tmp_path: Path) -> None:
    root = put(tmp_path / "anna", {"hw1/mlp.ipynb": SOLVED["sgd"], "hw1/sgd.ipynb": SOLVED["mlp"]})
    assert graded(root) == {"mlp": "hw1/sgd.ipynb", "sgd": "hw1/mlp.ipynb"}


def test_a_notebook_of_another_homework_is_said_to_be_one(tmp_path: Path) -> None:
    cnn = COURSE.homework("hw2").release("cnn").read_text()
    found = chosen(put(tmp_path / "anna", {"hw1/mlp.ipynb": cnn}))
    assert not found.notebooks
    assert "contains the notebook cnn of hw2, not mlp" in found.without["mlp"].note


def test_a_notebook_of_another_course_is_not_run(tmp_path: Path) -> None:
    foreign = nbformat.writes(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("import torch\nx = 1")]))
    found = chosen(put(tmp_path / "anna", {"hw1/mlp.ipynb": foreign}))
    assert "contains nothing of the notebook mlp, so it was not run" in found.without["mlp"].note


def test_the_students_own_module_is_not_taken_for_the_notebook(tmp_path: Path) -> None:
    book = json.loads(BOOKS["mlp"])
    for cell in book["cells"]:
        if cell["metadata"].get("nbgrader", {}).get("grade_id") == "linear":
            cell["source"] = "from layers import Linear"
    files: dict[str, str | bytes] = {"hw1/layers.py": "class Linear:\n    pass\n", "hw1/mlp.ipynb": json.dumps(book)}
    found = chosen(put(tmp_path / "anna", files))
    assert found.notebooks["mlp"].entry.path == "hw1/mlp.ipynb"
    assert [entry.path for entry in found.beside] == ["hw1/layers.py"]


@pytest.mark.parametrize(
    ("name", "means"),
    [
        ("hw1", {"hw1"}),
        ("HW 01", {"hw1"}),
        ("homework-2", {"hw2"}),
        ("anna_Assignment1", {"hw1"}),
        ("hw1 and hw2", {"hw1", "hw2"}),
        ("hw12", set()),
        ("hw", set()),
        ("anna1", set()),
    ],
)
def test_the_name_of_a_folder_tells_the_homework(name: str, means: set[str]) -> None:
    assert reads_as(name, ["hw1", "hw2"]) == means


def cells_of(notebook: str, *numbers: slice) -> str:
    """A part of a solved notebook."""
    book = json.loads(SOLVED[notebook])
    book["cells"] = [cell for part in numbers for cell in book["cells"][part]]
    return json.dumps(book)


def test_a_notebook_in_two_parts_is_graded_as_one(tmp_path: Path) -> None:
    half = len(json.loads(SOLVED["mlp"])["cells"]) // 2
    files: dict[str, str | bytes] = {
        "hw1/part1.ipynb": cells_of("mlp", slice(0, half)),
        "hw1/part2.ipynb": cells_of("mlp", slice(half, None)),
    }
    found = chosen(put(tmp_path / "anna", files)).notebooks["mlp"]
    solved = {cell["id"]: "".join(cell["source"]) for cell in json.loads(SOLVED["mlp"])["cells"]}
    mended = repaired(found.raw, found.entry.name, RELEASES["mlp"], found.notes)
    assert all(cell.source == solved[cell.id] for cell in mended.cells if cell.released and cell.released.solution)
    assert any("what it leaves blank was taken from" in note.note for note in found.notes)
    assert not any("more than once" in note.note for note in mended.repairs)


def test_an_exercise_a_file_is_graded_as_one_notebook(tmp_path: Path) -> None:
    book = json.loads(SOLVED["mlp"])
    blank = {cell["id"]: cell for cell in json.loads(BOOKS["mlp"])["cells"]}
    solved = [cell.id for cell in RELEASES["mlp"].cells if cell.kind == "code" and cell.solution]
    files: dict[str, str | bytes] = {}
    for name in solved:
        others = {one: blank[one] for one in solved if one != name}
        cells = [others.get(cell["id"], cell) for cell in book["cells"]]
        files[f"hw1/exercise {name}.ipynb"] = json.dumps(book | {"cells": cells})
    found = chosen(put(tmp_path / "anna", files)).notebooks["mlp"]
    mended = repaired(found.raw, found.entry.name, RELEASES["mlp"], found.notes)
    assert not any("raise NotImplementedError" in cell.source for cell in mended.cells if cell.kind == "code")


@pytest.mark.parametrize("plain_first", [True, False])
def test_a_script_without_marks_and_a_notebook_go_together(plain_first: bool, tmp_path: Path) -> None:
    book = json.loads(SOLVED["mlp"])
    solutions = {cell["id"]: "".join(cell["source"]) for cell in book["cells"]}
    blank = {cell["id"]: cell for cell in json.loads(BOOKS["mlp"])["cells"]}
    solved = [cell.id for cell in RELEASES["mlp"].cells if cell.kind == "code" and cell.solution]
    in_script = solved[:-1] if plain_first else solved[-1:]
    book["cells"] = [blank[cell["id"]] if cell["id"] in in_script else cell for cell in book["cells"]]
    checks = "".join(cell.source for cell in RELEASES["mlp"].cells if cell.id == "setup")
    script = "\n\n".join([checks, *(solutions[name] for name in in_script)])
    files: dict[str, str | bytes] = {"hw1/mlp.py": script, "hw1/mlp_part2.ipynb": json.dumps(book)}
    found = chosen(put(tmp_path / "anna", files)).notebooks["mlp"]
    mended = repaired(found.raw, found.entry.name, RELEASES["mlp"], found.notes)
    code = [cell.source for cell in mended.cells if cell.kind == "code"]
    assert any('step_prediction = "C"' in source for source in code)  # where it stands does not matter
    stubs = [source for source in code if "raise NotImplementedError" in source]
    assert [source for source in stubs if "# step_prediction" not in source] == []


def test_a_notebook_is_seen_among_thousands_of_pictures_and_modules(tmp_path: Path) -> None:
    root = put(tmp_path / "anna", {"hw1/mlp.ipynb": SOLVED["mlp"]})
    (root / "hw1" / "data").mkdir()
    for number in range(2500):
        (root / "hw1" / "data" / f"{number}.png").touch()
    for number in range(70):
        (root / "hw1" / f"a{number}.py").write_text("x = 1\n")
    assert graded(root) == {"mlp": "hw1/mlp.ipynb"}


def test_an_import_is_an_answer_as_well(tmp_path: Path) -> None:
    book, older = json.loads(SOLVED["mlp"]), SOLVED["mlp"]
    for cell in book["cells"]:
        if cell["id"] == "mse":
            cell["source"] = "from losses import mse_loss"
    files: dict[str, str | bytes] = {"hw1/mlp.ipynb": json.dumps(book), "hw1/mlp_first_try.ipynb": older}
    assert graded(put(tmp_path / "anna", files)) == {"mlp": "hw1/mlp.ipynb"}


def test_an_archive_that_hides_how_much_it_lists_is_not_read(tmp_path: Path) -> None:
    data = zipped({"mlp.ipynb": SOLVED["mlp"]}, tmp_path)
    end = data.rindex(b"PK\x05\x06")
    large = data[:end] + b"PK\x06\x07" + bytes(16) + data[end:]
    assert "zip archive of more than" in chosen(put(tmp_path / "anna", {"hw1/all.zip": large})).without["mlp"].note


@pytest.mark.parametrize("books", [("theory", "sgd"), ("mlp", "sgd"), ("theory", "mlp", "sgd")])
def test_several_notebooks_in_one_file_are_all_graded(books: tuple[str, ...], tmp_path: Path) -> None:
    whole = json.loads(SOLVED[books[0]])
    for name in books[1:]:
        whole["cells"] += json.loads(SOLVED[name])["cells"]
    root = put(tmp_path / "anna", {"hw1/hw1.ipynb": json.dumps(whole)})
    assert graded(root) == dict.fromkeys(books, "hw1/hw1.ipynb")


def test_of_two_versions_of_the_same_age_the_later_number_is_graded(tmp_path: Path) -> None:
    root = put(tmp_path / "anna", {f"hw1/mlp_v{number}.ipynb": SOLVED["mlp"] for number in (10, 2, 9)})
    for path in (root / "hw1").iterdir():
        os.utime(path, (2_000_000_000,) * 2)
    assert graded(root) == {"mlp": "hw1/mlp_v10.ipynb"}


def test_a_note_of_the_students_is_no_answer_to_an_exercise(tmp_path: Path) -> None:
    older = json.loads(SOLVED["mlp"])
    older["cells"].append({"cell_type": "markdown", "id": "note", "metadata": {}, "source": "To do: check the signs."})
    root = put(tmp_path / "anna", {"hw1/mlp (1).ipynb": SOLVED["mlp"], "hw1/mlp.ipynb": json.dumps(older)})
    assert graded(root) == {"mlp": "hw1/mlp (1).ipynb"}


def test_an_empty_file_beside_the_graded_one_is_named_there_and_nowhere_else(tmp_path: Path) -> None:
    found = chosen(put(tmp_path / "anna", {"hw1/mlp.ipynb": "", "hw1/mlp (1).ipynb": SOLVED["mlp"]}))
    assert any("‘mlp.ipynb’ is empty" in note.note for note in found.notebooks["mlp"].notes)
    assert "empty" not in found.without["sgd"].note


def test_code_that_nobody_can_read_is_not_put_beside_the_notebook(tmp_path: Path) -> None:
    files = {"hw1/mlp.ipynb": SOLVED["mlp"], "hw1/own.py": "x = 1", "hw1/own.pyc": b"\x00", "hw1/fast.so": b"\x7fELF"}
    more = {"hw1/__pycache__/own.cpython-311.pyc": b"\x00", "hw1/long.py": b"# coding: punycode\nx = 1"}
    choice = chosen(put(tmp_path / "anna", files | more))
    found = beside(choice, choice.notebooks["mlp"])
    assert set(found.files) == {"own.py"}
    [note] = [note.note for note in found.notes if note.kind == "ignored"]
    assert "only source code can be graded: ‘fast.so’, ‘long.py’, ‘own.pyc’." in note


def test_a_module_is_read_as_python_decodes_it() -> None:
    data = {"own.py": b"# coding: unicode_escape\n# \\u000ax = 1", "odd.py": b"# coding: nothing\nx = '\xff'"}
    modules = Beside(data).modules
    assert modules["own.py"].endswith("\n# \nx = 1") and "x = " in modules["odd.py"]


# ---- the whole class ----


def test_every_student_is_graded_or_named(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {
        "anna/hw1/mlp.ipynb": SOLVED["mlp"],
        "berta/HW1/mlp.ipynb": SOLVED["mlp"],
        "carl/mlp.ipynb": SOLVED["mlp"],
        "dora/hw2/cnn.ipynb": "{}",
        "emil/hw1/timestamp.txt": "2026-01-01 10:00:00 UTC",
        "mlp_fritz.ipynb": SOLVED["mlp"],
        ".gitkeep": "",
    }
    found = survey(put(tmp_path / "submitted", files), "hw1", COURSE.homeworks)
    assert [one.student for one in found.todo] == ["anna", "berta", "carl"]
    assert {one.name: one.expected for one in found.absent} == {"dora": True, "emil": False, "mlp_fritz.ipynb": False}
    assert all("hw1" in one.why for one in found.absent)


def test_folders_in_the_wrong_order_are_named(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {"hw1/anna/mlp.ipynb": SOLVED["mlp"], "berta/hw1/mlp.ipynb": SOLVED["mlp"]}
    found = survey(put(tmp_path / "submitted", files), "hw1", COURSE.homeworks)
    assert [one.student for one in found.todo] == ["berta"]
    assert "put submissions into <student>/hw1/" in found.absent[0].why


def test_a_folder_that_is_called_like_the_table_is_named(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {"hw1.csv/hw1/mlp.ipynb": SOLVED["mlp"], "anna/hw1/mlp.ipynb": SOLVED["mlp"]}
    found = survey(put(tmp_path / "submitted", files), "hw1", COURSE.homeworks)
    assert [one.student for one in found.todo] == ["anna"]
    assert "in the way of the table" in found.absent[0].why


def test_a_student_may_be_called_like_the_homework(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {"anna-hw1/mlp.ipynb": SOLVED["mlp"], "anna-hw1/.ipynb_checkpoints/mlp.ipynb": ""}
    assert [one.student for one in survey(put(tmp_path / "submitted", files), "hw1", COURSE.homeworks).todo] == [
        "anna-hw1"
    ]


def test_a_student_who_is_not_there_is_an_error(tmp_path: Path) -> None:
    submitted = put(tmp_path / "submitted", {"anna/hw1/mlp.ipynb": SOLVED["mlp"]})
    with pytest.raises(CourseError, match="no such submission"):
        survey(submitted, "hw1", COURSE.homeworks, ["zoe"])


# ---- what is no file ----


def as_link(path: Path) -> None:
    path.symlink_to("/etc/passwd")


def as_pipe(path: Path) -> None:
    os.mkfifo(path)


@pytest.mark.parametrize(("make", "says"), [(as_link, "a link"), (as_pipe, "a pipe")])
def test_what_is_not_a_file_is_named(make: Callable[[Path], None], says: str, tmp_path: Path) -> None:
    root = put(tmp_path / "anna", {"hw1/theory.ipynb": SOLVED["theory"]})
    make(root / "hw1" / "mlp.ipynb")
    assert says in chosen(root).without["mlp"].note


def test_a_linked_homework_folder_is_not_followed(tmp_path: Path) -> None:
    put(tmp_path / "other", {"mlp.ipynb": SOLVED["mlp"]})
    (tmp_path / "anna").mkdir()
    (tmp_path / "anna" / "hw1").symlink_to(tmp_path / "other")
    found = chosen(tmp_path / "anna")
    assert not found.notebooks
    assert "a link" in found.without["mlp"].note


def test_a_folder_that_is_not_there_holds_nothing(tmp_path: Path) -> None:
    assert chosen(tmp_path / "zoe").without["mlp"].note == "Nothing was submitted for mlp."
