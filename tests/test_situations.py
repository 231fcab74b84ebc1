"""What students really do to a notebook, graded as a class is: the points that were earned, and true sentences."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Hall, cell, dump, lost_points

from autograder.course.course import CourseError, Homework, Limits, NotebookSpec
from autograder.examination.budget import budget
from autograder.grading.libraries import check_packages
from autograder.proving.example_class import Notebook
from autograder.results.picture import jpeg_size
from autograder.results.result import NotebookResult
from autograder.submission.folder import contents
from autograder.submission.pictures import Album
from tests.test_fuzz import Damaged

pytestmark = pytest.mark.slow(seconds=20, waits=True)


def notes(result: NotebookResult) -> list[str]:
    return [note.note for note in (*result.incidents, *result.repairs)]


def source_of(hall: Hall, grade_id: str) -> str:
    return next("".join(one["source"]) for one in hall.desk.solved()["cells"] if one["id"] == grade_id)


def without(book: Notebook, *ids: str) -> Notebook:
    book["cells"] = [one for one in book["cells"] if one["id"] not in ids]
    return book


def test_a_module_beside_the_notebook_can_be_imported(hall: Hall) -> None:
    book = hall.rewritten("linear", lambda source: "from layers.dense import Linear")
    dense = "import math\nimport torch\n" + source_of(hall, "linear")

    def hand_in(folder: Path) -> None:
        (folder / "mlp.ipynb").write_bytes(dump(book))
        (folder / "layers").mkdir()
        (folder / "layers" / "dense.py").write_text(dense)
        (folder / "numbers.csv").write_text("1,2\n")
        (folder / "big.bin").write_bytes(b"0" * (3 * 2**20))

    result = hall.grade("own-module", hand_in)
    assert lost_points(result) == {}
    assert "These files beside the notebook were there when it ran: ‘layers/dense.py’, ‘numbers.csv’." in notes(result)
    assert any("‘big.bin’" in note and "too large" in note for note in notes(result))


@pytest.mark.parametrize(("name", "found"), [("dense.py", True), ("dense.txt", False)])
def test_a_file_that_the_notebook_runs_is_python(hall: Hall, name: str, found: bool) -> None:
    book = hall.rewritten("linear", lambda source: f"%run {name}")
    dense = "import math\nimport torch\n" + source_of(hall, "linear")
    result = hall.grade(f"runs-{name[6:]}", {"mlp.ipynb": dump(book), name: dense.encode()})
    assert (lost_points(result) == {}) is found
    told = any("runs Python files (.py) alone" in output.text for output in result.outputs)
    assert told is not found


def test_a_forbidden_tool_in_a_module_of_ones_own_is_found(hall: Hall) -> None:
    book = hall.rewritten("mse", lambda source: "import tools\nmse_loss = tools.mse_loss")
    tools = (
        "import torch\ndef mse_loss(y_hat, y):\n    return torch.nn.functional.mse_loss(y_hat, y).item(), y_hat - y\n"
    )
    result = hall.grade("own-tools", {"mlp.ipynb": dump(book), "tools.py": tools.encode()})
    assert "tools.py" in cell(result, "mse-loss").note
    assert "torch.nn.functional.mse_loss" in cell(result, "mse-loss").note


@pytest.mark.parametrize(
    "lines",
    [
        "import seaborn\n",
        "import torch, seaborn as sns, math\nassert math.pi and torch.pi\n",
        "from google.colab import drive, files\n",
        "import seaborn.objects as so, numpy as np\nassert np.pi\n",
        "try:\n    import seaborn\nexcept ImportError:\n    seaborn = None\nassert seaborn is None\n",
    ],
)
def test_an_import_that_is_not_used_costs_nothing(hall: Hall, lines: str) -> None:
    book = hall.rewritten("linear", lambda source: lines + source)
    assert lost_points(hall.grade(f"unused-{len(lines)}", book)) == {}


def test_a_missing_package_is_named_at_the_exercises_that_it_costs(hall: Hall) -> None:
    used = "import seaborn\nclass Linear(seaborn.Linear):"
    book = hall.rewritten("linear", lambda source: source.replace("class Linear:", used))
    result = hall.grade("seaborn", book)
    causes = cell(result, "linear-forward").causes
    assert len(causes) == 1
    assert "with ModuleNotFoundError" in causes[0]
    assert "The grader has no package seaborn" in causes[0]
    assert cell(result, "mse-loss").causes == ()


def test_a_missing_package_that_is_used_later_is_named_there(hall: Hall) -> None:
    book = hall.desk.with_cell("import seaborn as plots\nhalf = 0.5", at=3)
    book = hall.rewritten("mse", lambda source: source.replace("return", "plots.half()\n    return", 1), book)
    failed = [test.message for test in cell(hall.grade("half", book), "mse-loss").tests if not test.passed]
    assert failed and all("No module named 'seaborn'" in message for message in failed)


def test_an_error_in_a_cell_is_told_where_its_name_is_missing(hall: Hall) -> None:
    book = hall.desk.with_cell("import math\nhalf = math.half", at=3)
    book = hall.rewritten("mse", lambda source: source.replace("return", "half\n    return", 1), book)
    [cause] = cell(hall.grade("half-missing", book), "mse-loss").causes
    assert "has no attribute 'half'" in cause


def test_who_asks_for_a_gpu_learns_that_there_is_none(hall: Hall) -> None:
    book = hall.rewritten("linear", lambda source: source.replace("self.x = x", "self.x = x.cuda()"))
    failed = [test.message for test in cell(hall.grade("cuda", book), "linear-forward").tests if not test.passed]
    assert failed
    assert any("The grader has no GPU" in message and "x.to(device)" in message for message in failed), failed


@pytest.mark.parametrize(
    "added",
    [
        "import collections as helpers_of_mine\n{}",
        "{}\nhelpers_of_mine = [1, 2]",
        "{}\ndef helpers_of_mine():\n    return 1",
    ],
)
def test_what_was_added_to_a_given_cell_is_kept(added: str, hall: Hall) -> None:
    book = hall.desk.solved()
    setup = next(one for one in book["cells"] if "".join(one["source"]).startswith("# Set-up"))
    setup["source"] = added.replace("{}", "".join(setup["source"]))
    uses = "helpers_of_mine\n        self.x = x"
    book = hall.rewritten("linear", lambda source: source.replace("self.x = x", uses), book)
    result = hall.grade(f"added-{zlib.crc32(added.encode())}", book)
    assert lost_points(result) == {}
    [note] = [note for note in notes(result) if "‘setup’" in note]
    assert "What you added runs before it" in note


def test_a_solution_that_was_merged_with_its_check_is_graded(hall: Hall) -> None:
    check = source_of(hall, "mse-loss")
    book = without(hall.rewritten("mse", lambda source: f"{source}\n\n{check}"), "mse-loss")
    assert lost_points(hall.grade("merged", book)) == {}


@pytest.mark.parametrize("kind", ["raw", "markdown"])
def test_an_old_attempt_that_is_kept_as_text_is_not_graded(kind: str, hall: Hall) -> None:
    book = hall.desk.solved()
    place = next(at for at, one in enumerate(book["cells"]) if one["id"] == "linear")
    old = json.loads(json.dumps(book["cells"][place])) | {"cell_type": kind, "id": "old"}
    old["source"] = "class Linear:\n    pass"
    book["cells"].insert(place + 1, old)
    assert lost_points(hall.grade(f"old-{kind}", book)) == {}


def test_a_script_without_marks_and_with_a_broken_line_keeps_its_points(hall: Hall) -> None:
    lines = ["import math", "import torch", "The loss is $\\ell(\\theta) = \\frac{1}{2}$ and so on", "half = foo("]
    script = "\n\n".join([*lines, source_of(hall, "linear"), source_of(hall, "linear-forward"), source_of(hall, "mse")])
    result = hall.grade("broken-line", {"mlp.py": script.encode()})
    earned = {one.grade_id: one.earned for one in result.cells}
    assert (earned["linear-forward"], earned["linear-backward"], earned["mse-loss"]) == (2, 5, 3)


@pytest.mark.parametrize(
    "last",
    [
        "import torch\ntorch.set_default_dtype(torch.float64)",
        "import torch\ntorch.set_default_device('meta')",
        "import torch\ntorch.set_grad_enabled(False)",
        "import warnings\nwarnings.simplefilter('error')",
        "import numpy\nnumpy.seterr(all='raise')",
        "dict = {}\nlist = [3]\nfloat = 3\nsum = 2\nlen = str",
        "import os\nos.environ.clear()\nos.chdir('/')",
        "import torch\ntorch.set_default_device('cuda')",
        "import signal\nsignal.alarm(1)",
        "Linear = nn.Linear",
        "class Linear(nn.Module):\n    def forward(self, x):\n        return x",
    ],
)
def test_what_the_last_cell_leaves_behind_costs_nothing(last: str, hall: Hall) -> None:
    assert lost_points(hall.grade(f"last-{zlib.crc32(last.encode())}", hall.desk.with_cell(last))) == {}


MAGICS = ["!pip install seaborn", "%pip install seaborn", "!nvidia-smi", "files = !ls", "%cd .", "%matplotlib widget"]


@pytest.mark.parametrize("magic", MAGICS)
def test_a_command_that_the_grader_does_not_run_stops_no_cell(magic: str, hall: Hall) -> None:
    book = hall.rewritten("linear", lambda source: f"{magic}\n{source}")
    assert lost_points(hall.grade(f"magic-{zlib.crc32(magic.encode())}", book)) == {}


def test_a_module_that_a_cell_writes_can_be_imported(hall: Hall) -> None:
    book = hall.desk.with_cell("%%writefile dense.py\nimport math\nimport torch\n" + source_of(hall, "linear"), at=3)
    book = hall.rewritten("linear", lambda source: "from dense import Linear", book)
    assert lost_points(hall.grade("written", book)) == {}


def test_a_module_somewhere_else_in_the_students_folder_can_be_imported(hall: Hall) -> None:
    book = hall.rewritten("linear", lambda source: "import sys\nsys.path.append('../src')\nfrom dense import Linear")

    def hand_in(folder: Path) -> None:
        (folder / "work").mkdir()
        (folder / "src").mkdir()
        (folder / "work" / "mlp.ipynb").write_bytes(dump(book))
        (folder / "src" / "dense.py").write_text("import math\nimport torch\n" + source_of(hall, "linear"))

    assert lost_points(hall.grade("elsewhere", hand_in)) == {}


@pytest.mark.parametrize("place", [0, 3, None])
def test_a_solution_beside_its_blank_cell_is_graded(place: int | None, hall: Hall) -> None:
    book, blank = hall.desk.solved(), hall.desk.untouched()
    solution = source_of(hall, "linear")
    stub = next(one for one in blank["cells"] if one["id"] == "linear")
    book["cells"] = [stub if one["id"] == "linear" else one for one in book["cells"]]
    own = {"cell_type": "code", "id": "mine", "metadata": {}, "outputs": [], "execution_count": None}
    own["source"] = "import math\nimport torch\n" + solution
    book["cells"].insert(len(book["cells"]) if place is None else place, own)
    result = hall.grade(f"beside-blank-{place}", book)
    assert lost_points(result) == {}
    assert not any("Use different names" in note for note in notes(result))


def test_an_unused_import_of_a_forbidden_module_costs_nothing(hall: Hall) -> None:
    book = hall.rewritten("linear", lambda source: f"import torch.nn as nn\nimport torch.nn.functional as F\n{source}")
    assert lost_points(hall.grade("unused", book)) == {}


def as_conflict(book: Notebook, at: Callable[[str], bool]) -> bytes:
    """The notebook as a file in which one line is in conflict with itself."""
    lines = json.dumps(book, indent=1).split("\n")
    place = next(number for number, line in enumerate(lines) if at(line))
    lines[place : place + 1] = ["<<<<<<< HEAD", lines[place], "=======", lines[place], ">>>>>>> theirs"]
    return "\n".join(lines).encode()


@pytest.mark.parametrize("text", ['"cell_type": "code"', '"outputs"', "class Linear", '"grade_id": "bce"'])
def test_the_marks_of_a_conflict_lose_nothing(text: str, hall: Hall) -> None:
    book = hall.desk.solved()
    for one in book["cells"]:
        one["source"] = "".join(one["source"]).splitlines(keepends=True)
    result = hall.grade(
        f"conflict-{zlib.crc32(text.encode())}", {"mlp.ipynb": as_conflict(book, lambda line: text in line)}
    )
    assert lost_points(result) == {}
    assert any("unresolved Git merge; both versions were read" in note for note in notes(result))


DAMAGED = 60


def answers(data: bytes) -> dict[str, str]:
    """The text of each answer in a file that can be read; nobody can tell a damaged one from a wrong one."""
    try:
        cells = json.loads(data)["cells"]
        marked = [cell for cell in cells if cell["metadata"].get("nbgrader", {}).get("solution")]
        return {cell["id"]: "".join(cell["source"]) for cell in marked}
    except (ValueError, LookupError, TypeError, AttributeError):
        return {}


def test_a_class_of_damaged_notebooks_is_graded(hall: Hall) -> None:
    solved = hall.desk.solved()
    for one in solved["cells"]:
        one["source"] = "".join(one["source"]).splitlines(keepends=True)
    files = [Damaged("hw1/mlp", number, solved) for number in range(DAMAGED)]
    for number, file in enumerate(files):
        hall.begin(f"damaged-{number}", {"mlp.ipynb": file.data})
    full, whole = 0, answers(dump(solved))
    for number, file in enumerate(files):
        result = hall.result(f"damaged-{number}")
        kinds = {incident.kind for incident in result.incidents}
        assert not kinds & {"internal", "crash", "protocol"}, file
        assert result.file or kinds & {"missing", "unreadable"}, file
        assert len(result.cells) == len(hall.grade("whole", hall.desk.solved()).cells), file
        assert result.repairs or result.incidents or result.score == 34 or answers(file.data) != whole, file
        full += result.score == 34
    assert full > DAMAGED / 2


# ---- pictures ----

PNG = b"\x89PNG\r\n\x1a\n picture"


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("My drawing: ![the graph](graph.png)", "My drawing: ![the graph](attachment:0-graph.png)"),
        ("![](./img/my%20graph.jpg)", "![](attachment:0-my-graph.jpg)"),
        ('<img src="graph.png" width=300>', '<img src="attachment:0-graph.png" width=300>'),
        ("![](https://example.org/graph.png)", "![](https://example.org/graph.png)"),
        ("![](other.png)", "![](other.png)"),
        ("![](data.csv)", "![](data.csv)"),
        ("![](<img/my graph.jpg>)", "![](<attachment:0-my-graph.jpg>)"),
        ('![a](graph.png "drawn by hand")', '![a](attachment:0-graph.png "drawn by hand")'),
        ("<img alt='' src = 'graph.png'>", "<img alt='' src = 'attachment:0-graph.png'>"),
        ("![one](graph.png) ![again](graph.png )", "![one](attachment:0-graph.png) ![again](attachment:0-graph.png )"),
    ],
)
def test_a_picture_beside_the_notebook_is_attached_to_its_text(source: str, shown: str) -> None:
    files = {"graph.png": PNG, "img/my graph.jpg": PNG, "data.csv": b"1"}
    text, attached = Album(files).attach(source, {})
    assert text == shown
    pictures = [base64.b64decode(str(data)) for kinds in attached.values() for data in kinds.values()]
    assert pictures == ([PNG] if "attachment" in shown else [])


def test_pictures_are_attached_as_far_as_there_is_room() -> None:
    files = {"a.png": b"\x89PNG" + b"a" * 60, "b.png": b"\x89PNG" + b"b" * 60}
    album = Album(files, room=100)
    text, attached = album.attach("![](a.png) ![](a.png) ![](b.png)", {})
    assert (
        text == "![](attachment:0-a.png) ![](attachment:0-a.png) ![](b.png)" and len(attached) == 1 and album.left_out
    )


@pytest.mark.parametrize(
    "piece", ["![x](a ", "![x](a" + " " * 50, "![", "<img ", "<img src", "![](\n", "![a](<", "src= "]
)
def test_a_text_full_of_beginnings_of_pictures_is_read_in_one_pass(piece: str) -> None:
    with budget(30):  # some hours if each beginning were followed to the end of the text
        shown = Album({"a.png": b"\x89PNG"}).attach(piece * 200_000, {})
    assert shown == (piece * 200_000, {})


def test_a_notebook_among_thousands_of_pictures_is_found(tmp_path: Path) -> None:
    folder = tmp_path / "ann"
    folder.mkdir()
    for number in range(2100):
        (folder / f"img_{number:04}.png").touch()
    (folder / "sgd.ipynb").write_text("{}")
    found = contents(folder, "hw1")
    assert any(file.name.endswith("sgd.ipynb") for file in found.files)


# ---- packages ----


def test_a_promised_package_that_is_not_installed_is_the_authors_error(tmp_path: Path) -> None:
    spec = NotebookSpec(name="mlp", title="", minutes=1)
    homework = Homework("hw1", tmp_path, "", (spec,), Limits(), ("json", "no_such_package"))
    with pytest.raises(CourseError, match="no_such_package"):
        check_packages(homework)


def test_pictures_in_a_text_are_on_the_feedback_page(hall: Hall) -> None:
    png = base64.b64decode(
        "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
    )
    jpeg = b"\xff\xd8\xff\xe0\x00\x04ab\xff\xc0\x00\x0b\x08\x00\x10\x00\x20\x01\x01\x11\x00" + b"\0" * 30
    book = hall.desk.solved()
    book["cells"].append(
        {"cell_type": "markdown", "id": "mine", "metadata": {}, "source": "![](a.png) ![](img/photo.jpg)"}
    )

    def hand_in(folder: Path) -> None:
        (folder / "mlp.ipynb").write_bytes(dump(book))
        (folder / "img").mkdir()
        (folder / "a.png").write_bytes(png)
        (folder / "img" / "photo.jpg").write_bytes(jpeg)

    result = hall.grade("pictures", hand_in)
    shown = [(output.kind, output.png) for output in result.outputs if output.kind.startswith("image/")][-2:]
    assert shown == [("image/png", png), ("image/jpeg", jpeg)]
    assert jpeg_size(jpeg) == (32, 16)
    assert jpeg_size(b"\xff\xd8\xff\xe0" + b"\xff" * 20) is None
