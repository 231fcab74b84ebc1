"""Every notebook as its students run it: top to bottom, with no more installed than they were told to install."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Callable
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
INSTALLED = ("torch", "torchvision", "numpy", "matplotlib", "scikit-learn", "ipykernel")
"""all that a student needs; of Jupyter the kernel, for that is what runs the notebook"""

NOTEBOOKS = [(name, spec.name) for name in COURSE.homeworks for spec in COURSE.homework(name).notebooks]
every_notebook = pytest.mark.parametrize(("homework", "notebook"), NOTEBOOKS)

Run = Callable[[Notebook], NotebookNode]


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


@pytest.fixture
def run(students_python: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a notebook in a fresh kernel of the students' Python, up to its first error, and returns it with outputs."""
    spec = {
        "argv": [str(students_python), "-m", "ipykernel_launcher", "-f", "{connection_file}"],
        "display_name": "A student's Python",
        "language": "python",
        "env": {
            "HOME": str(tmp_path),  # neither settings nor earlier downloads are found here
            "PYTHONPATH": "",
            "MPLCONFIGDIR": matplotlib.get_cachedir(),  # making its list of fonts anew takes seconds
            "OMP_NUM_THREADS": "1",  # more of them wait for each other where the machine is busy
            **dict.fromkeys(("http_proxy", "https_proxy"), "http://127.0.0.1:9"),  # where nobody answers: no downloads
        },
    }
    kernel = tmp_path / "kernels" / "student"
    kernel.mkdir(parents=True)
    (kernel / "kernel.json").write_text(json.dumps(spec))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))

    def run(handed_out: Notebook) -> NotebookNode:
        book = nbformat.reads(json.dumps(handed_out), as_version=4)
        there = {"metadata": {"path": str(tmp_path)}}
        client = NotebookClient(book, kernel_name="student", timeout=300, startup_timeout=120, resources=there)
        with contextlib.suppress(CellExecutionError):  # it stands in the outputs
            client.execute()
        return book

    return run


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


@every_notebook
def test_a_solved_notebook_runs_to_its_end_without_complaint(homework: str, notebook: str, run: Run) -> None:
    desk = SubmissionWriter(COURSE.homework(homework), notebook)
    book = run(desk.solved())
    assert complaints(book) == []
    assert all(cell.execution_count for cell in book.cells if cell.cell_type == "code" and cell.source)


@every_notebook
def test_a_release_stops_at_its_first_todo_and_at_nothing_else(homework: str, notebook: str, run: Run) -> None:
    desk = SubmissionWriter(COURSE.homework(homework), notebook)
    book = run(desk.untouched())
    code = [cell for cell in desk.master.cells if cell.kind == "code"]
    todo = next(index for index, cell in enumerate(code) if cell.solution)
    check = next(index for index, cell in enumerate(code) if index > todo and cell.grade)
    [(stopped, why)] = complaints(book)
    assert why == "NotImplementedError"
    # a TODO in a function raises when the cells below call it: in the check at the latest
    assert stopped in [cell.id for cell in code[todo : check + 1]]
