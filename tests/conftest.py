"""The examination hall: one examiner on a copy of the course with small limits, and a desk to write submissions at."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

from autograder.course.course import Course, Homework, open_course
from autograder.grading.server import GradingServer
from autograder.proving import demo
from autograder.proving.example_class import Notebook, SubmissionWriter
from autograder.results.result import CellResult, NotebookResult, Result

# jsonschema uses this to check addresses, if it is there; it takes 1.5 s to import, and notebooks hold no addresses
sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]

TIMES = {
    True: "cell_seconds = 60\ntotal_seconds = 300\ncall_seconds = 60",
    False: "cell_seconds = 3\ntotal_seconds = 40\ncall_seconds = 2",
}
"""patient or not: a limit that a test waits for should be short; no other may be reached on a busy machine"""
LIMITS = """\
[limits]
{times}
memory_mb = 700
processes = 48
disk_mb = 16
output_mb = 1

"""

Files = Mapping[str, bytes]


HALL = ("test_bad_input.py", "test_security.py", "test_rebindings.py")
"""files that share the fixtures that take longest to make"""
ALONE = (
    "test_the_audit_passes[",
    "test_a_solved_notebook_runs_to_its_end_without_complaint[",
    "test_the_blocks_of_a_guide_run_one_after_the_other[",
    "test_every_key_about_a_right_answer_is_right[",
)
"""tests that share nothing, and take long by themselves"""


def unit_of(nodeid: str) -> str:
    """What has to run on one processor: a file's tests share fixtures."""
    file, _, test = nodeid.partition("::")
    if test.startswith(ALONE):
        return nodeid
    return "hall" if file.endswith(HALL) else file


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Order the units so that no processor is ever idle.

    Those that mostly wait come first, while others have work to do; then those that take long. Behind each of these
    comes a file of quick tests: pytest-xdist hands out the next unit before this one has ended, and what is handed out
    waits for it.
    """
    first: dict[str, tuple[bool, float]] = {}
    for item in items:
        mark = item.get_closest_marker("slow")
        worth = (mark.kwargs.get("waits", False), mark.kwargs["seconds"]) if mark is not None else (False, 0.0)
        unit = unit_of(item.nodeid)
        first[unit] = max(first.get(unit, (False, 0.0)), worth)
    ordered = sorted(first, key=lambda unit: first[unit], reverse=True)
    waiting = [unit for unit in ordered if first[unit][0]]
    long = [unit for unit in ordered if not first[unit][0] and first[unit][1]]
    quick = [unit for unit in ordered if first[unit] == (False, 0.0)]
    pairs = [unit for pair in itertools.zip_longest(long, quick) for unit in pair if unit is not None]
    place = {unit: number for number, unit in enumerate([*waiting, *pairs])}
    items.sort(key=lambda item: place[unit_of(item.nodeid)])  # stable: a file's tests stay in their order


class ByUnit(LoadScopeScheduling):
    """pytest-xdist's scheduler, with our units in place of modules."""

    def _split_scope(self, nodeid: str) -> str:
        return unit_of(nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByUnit:
    return ByUnit(config, log)


def dump(book: Notebook) -> bytes:
    return json.dumps(book, ensure_ascii=False).encode()


def write_files(root: Path, files: Mapping[str, str]) -> None:
    """Write these files, by path below `root`: the text of a small course, say."""
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")


def small_course(root: Path, patient: bool = True) -> Course:
    """A copy of the course with hw1/mlp alone in it, and with small limits; those of time only when not `patient`."""
    demo.copy_course(open_course(Path(__file__).parents[1]), root)
    path = root / "hw1" / "homework.toml"
    title, *books = re.split(r"^(?=\[)", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    mlp = next(book for book in books if 'name = "mlp"' in book)
    path.write_text(title + LIMITS.format(times=TIMES[patient]) + mlp, encoding="utf-8")
    return open_course(root)


class Hall:
    """Takes submissions in and grades two at a time."""

    def __init__(self, course: Course, examiner: GradingServer) -> None:
        self.course, self.examiner = course, examiner
        self.homework: Homework = examiner.homework
        self.desk = SubmissionWriter(self.homework, "mlp")
        self.submitted = course.root.parent / "submitted"
        self._pool = ThreadPoolExecutor(2)
        self._begun: dict[str, Future[Result]] = {}

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)

    def folder(self, student: str) -> Path:
        folder = self.submitted / student / "hw1"
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def begin(self, student: str, handed_in: Notebook | Files | Callable[[Path], None]) -> None:
        """Hand in a notebook, files, or whatever a function puts into the folder; grading starts when there is room."""
        if student in self._begun:
            return
        folder = self.folder(student)
        if callable(handed_in):
            handed_in(folder)
        elif "cells" in handed_in:
            (folder / "mlp.ipynb").write_bytes(dump(dict(handed_in)))
        else:
            for name, data in handed_in.items():
                (folder / name).write_bytes(data)
        self._begun[student] = self._pool.submit(self.examiner.grade, student, folder)

    def result(self, student: str) -> NotebookResult:
        return self._begun[student].result().notebooks[0]

    def grade(self, student: str, handed_in: Notebook | Files | Callable[[Path], None]) -> NotebookResult:
        self.begin(student, handed_in)
        return self.result(student)

    # ---- books

    def rewritten(self, grade_id: str, edit: Callable[[str], str], book: Notebook | None = None) -> Notebook:
        """The solved notebook, or `book`, with the source of one of its cells edited."""
        book = book if book is not None else self.desk.solved()
        wanted = next(own.id for own in self.desk.master.cells if own.grade_id == grade_id)
        cell = next(cell for cell in book["cells"] if cell["id"] == wanted)
        cell["source"] = edit("".join(cell["source"]))
        return book

    # ---- what a submission must not reach

    def state(self) -> dict[str, str]:
        """A digest of every file of the course."""
        files = (path for path in self.course.root.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
        return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}

    def secrets(self) -> tuple[str, ...]:
        """Texts of which none may ever be seen by a student: a draw's seed, hidden tests, a solution."""
        secret = (self.course.root / ".course-secret").read_text(encoding="ascii").strip()
        return secret, "def test_linear_forward", "return dy * self.y * (1 - self.y)", str(self.course.root)


def cell(result: NotebookResult, grade_id: str) -> CellResult:
    return next(cell for cell in result.cells if cell.grade_id == grade_id)


def points(result: NotebookResult) -> dict[str, float | None]:
    return {cell.grade_id: cell.earned for cell in result.cells}


MARKED_BY_HAND = {"step-reason"}
"""grade cells of hw1/mlp that a person marks"""


def lost_points(result: NotebookResult) -> dict[str, float]:
    """Grade cells with tests that did not earn all, and what they earned."""
    tested = [cell for cell in result.cells if cell.grade_id not in MARKED_BY_HAND]
    return {cell.grade_id: cell.earned or 0.0 for cell in tested if cell.earned != cell.points}


def shown(result: NotebookResult) -> str:
    """All that a student is told or shown, pictures aside."""
    texts = [output.text for output in result.outputs] + [incident.note for incident in result.incidents]
    texts += [
        note for cell in result.cells for note in (cell.note, *cell.causes, *(test.message for test in cell.tests))
    ]
    return "\n".join(texts + [repair.note for repair in result.repairs])


def wanted(request: pytest.FixtureRequest, parameter: str) -> list[Any]:
    """The values of this parameter among the tests of the requesting module that are to be run."""
    items = (item for item in request.session.items if item.path == request.path)
    values = [item.callspec.params.get(parameter) for item in items if hasattr(item, "callspec")]
    return list(dict.fromkeys(value for value in values if value is not None))


@pytest.fixture(scope="session")
def hall(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hall]:
    """For submissions that run into limits of memory, output or processes, or into none."""
    with _hall(tmp_path_factory.mktemp("hall"), patient=True) as hall:
        yield hall


@pytest.fixture(scope="session")
def impatient_hall(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hall]:
    """For submissions that never end by themselves."""
    with _hall(tmp_path_factory.mktemp("impatient"), patient=False) as hall:
        yield hall


@contextlib.contextmanager
def _hall(folder: Path, patient: bool) -> Iterator[Hall]:
    course = small_course(folder / "course", patient)
    with GradingServer(course.homework("hw1"), course.floor) as server:
        hall = Hall(course, server)
        yield hall
        hall.close()
