"""Every notebook as its students run it: top to bottom, with no more installed than they were told to install."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

import matplotlib
import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbformat import NotebookNode
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from autograder.course.course import open_course
from autograder.proving.example_class import Notebook, SubmissionWriter

COURSE = open_course(Path(__file__).parents[1])
pytestmark = pytest.mark.slow(seconds=40)

INSTALLED = ("torch", "torchvision", "numpy", "matplotlib", "scikit-learn", "ipykernel")
"""all that a student needs; of Jupyter the kernel, for that is what runs the notebook"""

NOTEBOOKS = [(name, spec.name) for name in COURSE.homeworks for spec in COURSE.homework(name).notebooks]
SECONDS = {"transformer": 100, "cnn": 35, "seq_classification": 25, "ocr": 22, "rnn": 20, "sgd": 14}
"""what a notebook takes from top to bottom, about; the long ones begin first"""
every_notebook = pytest.mark.parametrize(
    ("homework", "notebook"),
    [pytest.param(*pair, marks=pytest.mark.slow(seconds=SECONDS.get(pair[1], 15))) for pair in NOTEBOOKS],
)

Run = Callable[[Notebook], "Ran"]


def needed(names: tuple[str, ...]) -> dict[str, Distribution]:
    """The installed distributions of these names, and of everything that they require, by canonical name."""
    found: dict[str, Distribution] = {}
    wanted = [(name, "") for name in names]
    seen = set()
    while wanted:
        name, extra = wanted.pop()
        if (name, extra) in seen:
            continue
        seen.add((name, extra))
        try:
            found[name] = distribution(name)
        except PackageNotFoundError:
            continue  # optional, or for another platform
        for line in found[name].requires or ():
            requirement = Requirement(line)
            if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
                wanted += [(canonicalize_name(requirement.name), extra) for extra in ("", *requirement.extras)]
    return found


@pytest.fixture(scope="module")
def students_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of a virtual environment that holds the students' packages, linked from our own, and no others."""
    folder = tmp_path_factory.mktemp("student") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    (site,) = folder.glob("lib/python*/site-packages")
    for package in needed(INSTALLED).values():
        for top in {file.parts[0] for file in package.files or ()} - {"..", "__pycache__"}:
            link = site / top
            if not link.exists():
                link.symlink_to(Path(str(package.locate_file(top))))
    return folder / "bin" / "python"


@pytest.fixture(scope="module")
def environment(students_python: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What a student's process finds in its environment: a home with neither settings nor earlier downloads."""
    return {
        "HOME": str(tmp_path_factory.mktemp("home")),
        "PATH": os.defpath,
        "PYTHONPATH": "",
        "MPLCONFIGDIR": matplotlib.get_cachedir(),  # making its list of fonts anew takes seconds
        "OMP_NUM_THREADS": "1",  # more of them wait for each other where the machine is busy
        **dict.fromkeys(("http_proxy", "https_proxy"), "http://127.0.0.1:9"),  # where nobody answers: no downloads
    }


class WarmKernel:
    """A process of the students' Python that runs one notebook after another, each in a fork of its own."""

    def __init__(self, python: Path, environment: dict[str, str], complaints: Path) -> None:
        self.complaints = complaints
        """a file of what it complains of itself, while it loads the libraries"""
        self._process = subprocess.Popen(
            [python, Path(__file__).with_name("warm_kernel.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=complaints.open("w"),
            env=environment,
            text=True,
        )

    def run(self, notebook: Path) -> Ran:
        assert self._process.stdin is not None and self._process.stdout is not None
        print(notebook, file=self._process.stdin, flush=True)
        answer = json.loads(self._process.stdout.readline())
        return Ran([(cell, text) for cell, text in answer["complaints"]], answer["ran"])

    def close(self) -> None:
        self._process.communicate()


@dataclass(frozen=True)
class Ran:
    """What became of a notebook."""

    complaints: list[tuple[str, str]]
    """every error's name and every text on stderr, with the cell that it stands under"""
    cells: list[str]
    """the code cells that were run"""


@pytest.fixture(scope="module")
def warm(students_python: Path, environment: dict[str, str]) -> Iterator[WarmKernel]:
    kernel = WarmKernel(students_python, environment, Path(environment["HOME"]) / "stderr")
    yield kernel
    kernel.close()


@pytest.fixture
def run(warm: WarmKernel, tmp_path: Path) -> Run:
    """Runs a notebook up to its first error, with what a student has."""

    def run(handed_out: Notebook) -> Ran:
        path = tmp_path / "notebook.ipynb"
        path.write_text(json.dumps(handed_out), encoding="utf-8")
        return warm.run(path)

    return run


def in_a_fresh_kernel(book: Notebook, python: Path, environment: dict[str, str], folder: Path) -> NotebookNode:
    """The notebook with its outputs, run as Jupyter does it."""
    spec = {
        "argv": [str(python), "-m", "ipykernel_launcher", "-f", "{connection_file}"],
        "display_name": "A student's Python",
        "language": "python",
        "env": environment,
    }
    kernel = folder / "kernels" / "student"
    kernel.mkdir(parents=True)
    (kernel / "kernel.json").write_text(json.dumps(spec))
    node = nbformat.reads(json.dumps(book), as_version=4)
    there = {"metadata": {"path": str(folder)}}
    client = NotebookClient(node, kernel_name="student", timeout=300, startup_timeout=120, resources=there)
    with contextlib.suppress(CellExecutionError):  # it stands in the outputs
        client.execute()
    return node


def complaints(book: NotebookNode) -> list[tuple[str, str]]:
    """Every error and every print to stderr, with the cell that it stands under."""
    outputs = [(cell.id, output) for cell in book.cells for output in cell.get("outputs", ())]
    errors = [(cell, output.ename) for cell, output in outputs if output.output_type == "error"]
    return errors + [(cell, output.text) for cell, output in outputs if output.get("name") == "stderr"]


def test_a_students_python_has_nothing_of_ours(students_python: Path) -> None:
    """Else the other tests would say nothing."""
    look = "import importlib.util as u, sys; print([n for n in sys.argv[1:] if u.find_spec(n)])"
    names = ["torch", "sklearn", "autograder", "nbgrader", "msgspec", "pytest", "jupytext"]
    done = subprocess.run([students_python, "-c", look, *names], capture_output=True, text=True, env={}, cwd="/")
    assert done.stdout.strip() == "['torch', 'sklearn']", done.stderr


def test_a_solved_notebook_runs_in_a_fresh_kernel_as_well(
    students_python: Path, environment: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All others are run in forks of a warm process, to save the start of 21 kernels."""
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    writer = SubmissionWriter(COURSE.homework("hw1"), "mlp")
    book = in_a_fresh_kernel(writer.solved(), students_python, environment, tmp_path)
    assert complaints(book) == []
    assert all(cell.execution_count for cell in book.cells if cell.cell_type == "code" and cell.source)


def test_the_libraries_of_all_notebooks_load_without_complaint(warm: WarmKernel, run: Run) -> None:
    assert run({"cells": [_code("import sys")]}).complaints == []  # once it answers, it has loaded them
    assert warm.complaints.read_text() == ""


def test_the_warm_kernel_tells_of_errors_and_of_what_is_written_to_stderr(run: Run) -> None:
    """Else the next tests would say nothing."""
    cells = ("import os, sys", "print('well', file=sys.stderr)", "_ = os.write(2, b'from C')", "1 / 0", "os")
    ran = run({"cells": [_code(source) | {"id": f"c{number}"} for number, source in enumerate(cells)]})
    assert ran == Ran([("c1", "well\n"), ("c2", "from C"), ("c3", "ZeroDivisionError")], ["c0", "c1", "c2", "c3"])


def _code(source: str) -> Notebook:
    return {"cell_type": "code", "id": "only", "source": source}


@every_notebook
def test_a_solved_notebook_runs_to_its_end_without_complaint(homework: str, notebook: str, run: Run) -> None:
    book = SubmissionWriter(COURSE.homework(homework), notebook).solved()
    again = "for check in [name for name in globals() if name.startswith('_check_')]:\n    globals()[check]()"
    book["cells"].append(_code(again) | {"id": "checks-again"})  # as the last cell does, which shows no error
    ran = run(book)
    assert ran.complaints == []
    assert ran.cells == [cell["id"] for cell in book["cells"] if cell["cell_type"] == "code" and cell["source"]]


@pytest.mark.parametrize(("homework", "notebook"), NOTEBOOKS)
def test_a_release_stops_at_its_first_todo_and_at_nothing_else(homework: str, notebook: str, run: Run) -> None:
    writer = SubmissionWriter(COURSE.homework(homework), notebook)
    code = [cell for cell in writer.master.cells if cell.kind == "code"]
    todo = next(index for index, cell in enumerate(code) if cell.solution)
    check = next(index for index, cell in enumerate(code) if index > todo and cell.grade)
    [(stopped, why)] = run(writer.untouched()).complaints
    assert why == "NotImplementedError"
    # a TODO in a function raises when the cells below call it: in the check at the latest
    assert stopped in [cell.id for cell in code[todo : check + 1]]
