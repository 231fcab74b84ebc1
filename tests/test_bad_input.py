"""Submissions that came to harm, or do harm by accident: what was earned survives, and a sentence says why."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest
from conftest import Files, Hall, dump, lost_points, wanted

from autograder.grading import class_run
from autograder.grading.server import GradingServer
from autograder.grading.submissions import survey
from autograder.proving.example_class import Notebook, SubmissionWriter
from autograder.results.result import NotebookResult

pytestmark = pytest.mark.slow(seconds=140, waits=True)

Case = tuple[Callable[[SubmissionWriter], Notebook | Files | Callable[[Path], None]], str, dict[str, float]]
"""What is handed in, the incident or repair that is reported ('' for none), the grade cells that lose points."""

ALL = {
    "numerical-gradient": 0.0, "linear-forward": 0.0, "linear-backward": 0.0, "relu": 0.0, "sigmoid": 0.0,
    "mse-loss": 0.0, "bce-loss": 0.0, "mlp-build": 0.0, "mlp-forward": 0.0, "mlp-backward": 0.0, "mlp-memory": 0.0,
    "train-step": 0.0, "step-prediction": 0.0,
}  # fmt: skip
AFTER_RELU = {"relu": 0.0, "mlp-forward": 0.0, "mlp-backward": 1.3333, "mlp-memory": 1.0}
"""where ReLU ends the process, no right part can be lent to the exercises that use it"""
WAITS: dict[str, float] = {"every": 0.0}
"""all points wait for a person"""
FAR = "numpy.lib.stride_tricks.as_strided(numpy.zeros(1), (2**20,), (2**40,)).sum()"
"""reads where there is no memory"""


# ---- files


def _edited(change: Callable[[Notebook], Any]) -> Callable[[SubmissionWriter], Notebook]:
    def make(desk: SubmissionWriter) -> Notebook:
        book = desk.solved()
        change(book)
        return book

    return make


def _grade_cells(book: Notebook) -> list[Any]:
    return [cell for cell in book["cells"] if cell["metadata"].get("nbgrader", {}).get("grade")]


def _solution(book: Notebook, grade_id: str) -> Any:
    return next(cell for cell in book["cells"] if cell["id"] == grade_id)


def _printed_much(book: Notebook) -> None:
    code = next(cell for cell in book["cells"] if cell["cell_type"] == "code")
    code["outputs"] = [{"output_type": "stream", "name": "stdout", "text": "x" * (50 * 2**20)}]


def _lost_metadata(book: Notebook) -> None:
    book["metadata"] = {}
    for cell in book["cells"]:
        cell["metadata"] = {}
        del cell["id"]


def _same_ids(book: Notebook) -> None:
    for cell in book["cells"]:
        cell["id"] = "same"


def _old_format(desk: SubmissionWriter) -> Files:
    book = nbformat.reads(dump(desk.solved()).decode(), as_version=3)
    return {"mlp.ipynb": nbformat.writes(book, version=3).encode()}


def _cut_off_in(grade_id: str) -> Callable[[SubmissionWriter], Files]:
    """The file ends in the middle of the cell with this id."""

    def make(desk: SubmissionWriter) -> Files:
        data = dump(desk.solved())
        return {"mlp.ipynb": data[: data.index(f'"id": "{grade_id}"'.encode())]}

    return make


def _elsewhere(folder: Path) -> None:
    (folder.parent / "elsewhere.ipynb").write_bytes(b"{}")
    (folder / "mlp.ipynb").symlink_to(folder.parent / "elsewhere.ipynb")


FILES: dict[str, Case] = {
    "not-a-notebook": (lambda desk: {"mlp.ipynb": b"Dear teacher, here it is."}, "unreadable", ALL),
    "empty": (lambda desk: {"mlp.ipynb": b""}, "unreadable", ALL),
    "json-but-no-notebook": (lambda desk: {"mlp.ipynb": b"[1, 2, {}]"}, "missing", ALL),
    "deep-json": (lambda desk: {"mlp.ipynb": b"[" * 200_000}, "unreadable", ALL),
    "binary": (lambda desk: {"mlp.ipynb": b"PK\x03\x04" + bytes(range(256)) * 100}, "unreadable", ALL),
    "nothing": (lambda desk: {}, "missing", ALL),
    "folder": (lambda desk: lambda folder: (folder / "mlp.ipynb").mkdir(), "missing", ALL),
    "symlink": (lambda desk: _elsewhere, "missing", ALL),
    "link-to-a-secret": (lambda desk: lambda f: (f / "mlp.ipynb").symlink_to("/etc/shadow"), "missing", ALL),
    "fifo": (lambda desk: lambda folder: os.mkfifo(folder / "mlp.ipynb"), "missing", ALL),
    "cut-off": (
        _cut_off_in("mlp"),
        "salvaged",
        {"mlp-build": 0.0, "mlp-forward": 0.0, "mlp-backward": 0.0, "mlp-memory": 0.0, "train-step": 0.0},
    ),
    "printed-50-MB": (_edited(_printed_much), "", {}),
    "nbformat-3": (_old_format, "converted", {}),
    "no-metadata": (_edited(_lost_metadata), "matched", {}),
    "cells-twice": (_edited(lambda book: book["cells"].extend(copy.deepcopy(book["cells"]))), "ignored", {}),
    "ids-twice": (_edited(_same_ids), "", {}),
    "checks-deleted": (
        _edited(lambda book: [book["cells"].remove(cell) for cell in _grade_cells(book)]),
        "put-back",
        {},
    ),
    "checks-edited": (
        _edited(lambda book: [cell.update(source="assert True") for cell in _grade_cells(book)]),
        "restored",
        {},
    ),
    "wrong-name": (lambda desk: {"Kopie von MLP (2).ipynb": dump(desk.solved())}, "renamed", {}),
    "script": (lambda desk: {"mlp.py": desk.script().encode()}, "", {}),
    "3000-cells": (
        _edited(lambda book: book["cells"].extend(_own(f"x{number} = {number}") for number in range(3000))),
        "ignored",
        {},
    ),
}


# ---- code


def _own(code: str) -> Notebook:
    return {"cell_type": "code", "metadata": {}, "execution_count": None, "outputs": [], "source": code}


def _also(code: str, at: int | None = None) -> Callable[[SubmissionWriter], Notebook]:
    """The solved notebook with one more cell: the last, or at this place."""
    return lambda desk: desk.with_cell(code, at=at)


def _relu(forward: str) -> Callable[[SubmissionWriter], Notebook]:
    """The solved notebook, but with this as body of ReLU.forward."""

    def change(book: Notebook) -> None:
        cell = _solution(book, "activations")
        source = "".join(cell["source"])
        cell["source"] = f"class ReLU:\n    def forward(self, x):\n        {forward}\n\n    def backward(self, dy):\n"
        cell["source"] += "        return dy\n\n\n" + source[source.index("class Sigmoid") :]

    return _edited(change)


CODE: dict[str, Case] = {
    "syntax-error": (
        _edited(lambda book: _solution(book, "bce").update(source="def bce_loss(y, y_hat:\n")),
        "",
        {"bce-loss": 0.0},
    ),
    "input": (_also("name = input('Your name? ')", 3), "", {}),
    "endless-loop": (_also("while True:\n    pass", 3), "timeout", {}),
    "endless-loop-that-will-not-be-stopped": (
        _also("while True:\n    try:\n        while True: pass\n    except BaseException: pass"),
        "timeout",
        {},
    ),
    "sleeps-for-ever": (_also("import time\nwhile True: time.sleep(1000)"), "timeout", {}),
    "stops-itself": (_also("import os, signal\nos.kill(0, signal.SIGSTOP)"), "", {}),
    "endless-output": (_also("while True: print('x' * 1000)"), "output", {}),
    "output-below-python": (
        _also("import os\nfor _ in range(5000):\n    os.write(1, b'x' * 10000), os.write(2, b'y')"),
        "",
        {},
    ),
    "many-small-outputs": (_also("for number in range(25_000): display(None)"), "", {}),
    "os-exit": (_also("import os\nos._exit(0)", 3), "exit", {}),
    "sys-exit": (_also("import sys\nsys.exit(3)", 3), "", {}),
    "quit": (_also("quit()\nexit()", 3), "", {}),
    "segfault": (_also(f"import numpy\n{FAR}", 3), "crash", {}),
    "abort": (_also("import os\nos.abort()"), "crash", {}),
    "kills-everything": (_also("import os\nos.kill(-1, 9)"), "", {}),
    "fork-bomb": (_also("import os\nwhile True: os.fork()"), "attempt", WAITS),
    "process-bomb": (_also("import subprocess\nwhile True: subprocess.Popen(['sleep', '99'])"), "", {}),
    "thread-bomb": (
        _also("import threading, time\nfor _ in range(5000): threading.Thread(target=time.sleep, args=(99,)).start()"),
        "attempt",
        WAITS,
    ),
    "memory-hog": (_also("hog = []\nwhile True: hog.append(bytearray(2**26))"), "memory", {}),
    "huge-file": (
        _also("with open('big', 'wb') as file:\n    for _ in range(2**11): file.write(bytes(2**20))"),
        "",
        {},
    ),
    "daemon": (
        _also("import os, time\nif os.fork() == 0:\n    os.closerange(0, 99)\n    while True: time.sleep(1)"),
        "attempt",
        WAITS,
    ),
    "closes-every-descriptor": (_also("import os\nos.closerange(0, 4096)", 3), "", {}),
    "writes-to-every-descriptor": (
        _also(
            "import os\nfor _ in range(20):\n    for fd in range(256):\n        try: os.write(fd, b'garbage' * 99)\n"
            "        except OSError: pass",
            3,
        ),
        "",
        {},
    ),
    "twelve-cells-that-exit": (
        _edited(lambda book: book["cells"].extend(_own("import os\nos._exit(1)") for _ in range(12))),
        "crash",
        {},
    ),
    "exits-when-called": (_relu("import os; os._exit(0)"), "exit", AFTER_RELU),
    "crashes-when-called": (_relu(f"import numpy; {FAR}"), "crash", AFTER_RELU),
    "loops-when-called": (_relu("while True: pass"), "timeout", AFTER_RELU),
    "takes-all-memory-when-called": (
        _relu("a = []\n        while True: a.append(bytearray(2**26))"),
        "memory",
        AFTER_RELU,
    ),
    "kills-its-parent-when-called": (
        _relu("import os\n        for number in range(1, 65): os.kill(1, number) if number != 2 else 0"),
        "",
        {"relu": 0.0},
    ),
    "forks-for-ever-when-called": (
        _relu("import os, time\n        for _ in range(99):\n            if os.fork() == 0: time.sleep(99)"),
        "attempt",
        WAITS,
    ),
}

CASES = {**FILES, **CODE}


Results = Callable[[str], NotebookResult]


@pytest.fixture(scope="module")
def result(hall: Hall, impatient_hall: Hall, request: pytest.FixtureRequest) -> Results:
    """Gives the result of a case; all that are wanted are handed in at once."""

    def at(name: str) -> Hall:
        return impatient_hall if CASES[name][1] in ("timeout", "output") else hall

    for name in wanted(request, "case"):
        at(name).begin(name, CASES[name][0](hall.desk))
    return lambda name: at(name).result(name)


@pytest.mark.parametrize("case", CASES)
def test_the_points_that_were_earned_survive(result: Results, case: str) -> None:
    found, lost = result(case), CASES[case][2]
    if lost is WAITS:  # nobody needs threads or forks: a person looks at it
        assert {cell.earned for cell in found.cells if cell.points and cell.earned != 0} == {None}
    else:
        assert lost_points(found) == lost


@pytest.mark.parametrize("case", [case for case in CASES if CASES[case][1]])
def test_what_was_found_is_reported_as_what_it_is(result: Results, case: str) -> None:
    found = result(case)
    kinds = [incident.kind for incident in found.incidents] + [repair.kind for repair in found.repairs]
    assert CASES[case][1] in kinds


@pytest.mark.parametrize("case", CASES)
def test_what_is_said_is_a_sentence_and_no_traceback(result: Results, case: str) -> None:
    found = result(case)
    said = [thing.note for thing in (*found.incidents, *found.repairs)]
    assert [text for text in said if not text.rstrip().endswith((".", "?")) or "\n" in text] == []
    said += [test.message for cell in found.cells for test in cell.tests]
    assert [text for text in said if "Traceback" in text or ".py" in text.replace(".ipynb", "")] == []


@pytest.mark.parametrize("case", [case for case in CODE if CODE[case][1]])
def test_the_sentence_names_the_cell(result: Results, case: str) -> None:
    named = [f"‘{incident.cell}’" in incident.note for incident in result(case).incidents if incident.cell]
    assert named and all(named)


def test_half_a_letter_may_be_printed(hall: Hall) -> None:
    assert hall.grade("half-a-letter", hall.desk.with_cell("print('\\ud800')", at=3)).incidents == ()


def test_a_long_chain_of_attributes_can_be_read(hall: Hall) -> None:
    chain = "\n\ndef unused(x):\n    return x" + ".data" * 2500
    assert hall.grade("chain", hall.rewritten("mse", lambda source: source + chain)).max_score == 35


class _Warm(GradingServer):
    """An examiner that is warm already, and that others go on using."""

    def __init__(self, examiner: GradingServer) -> None:
        vars(self).update(vars(examiner))

    def wait(self) -> None: ...

    def close(self) -> None: ...


def test_a_class_with_a_poison_submission_is_graded_to_its_end(
    hall: Hall, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(class_run, "GradingServer", lambda *arguments, **more: _Warm(hall.examiner))
    books = {
        "anna": dump(hall.desk.solved()),
        "bomb": dump(hall.desk.with_cell("import os\nos.abort()")),
        "cut": b'{"cells": [',
        "dora": dump(hall.desk.untouched()),
    }
    for student, data in books.items():
        folder = tmp_path / "submitted" / student / "hw1"
        folder.mkdir(parents=True)
        (folder / "mlp.ipynb").write_bytes(data)
    todo = survey(tmp_path / "submitted", "hw1").todo
    outcomes = class_run.run(hall.course, hall.homework, todo, tmp_path / "results", workers=2)
    scores = {outcome.submission.student: outcome.result and outcome.result.score for outcome in outcomes}
    assert scores == {"anna": 34, "bomb": 34, "cut": 0, "dora": 0}
