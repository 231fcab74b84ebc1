"""An example class: correct, wrong, broken and hostile submissions, made from a homework's masters."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autograder.course.course import Homework
from autograder.course.mistakes import mistakes
from autograder.course.parsing import read_master

Notebook = dict[str, Any]

_MARKER = re.compile(r"^\s*### (BEGIN|END) SOLUTION")


@dataclass(frozen=True)
class ExampleSubmission:
    """One submission. The student's name says what is in it."""

    name: str
    files: Mapping[str, bytes]


class SubmissionWriter:
    """Writes submissions of one notebook: fills in its release and edits it."""

    def __init__(self, homework: Homework, notebook: str) -> None:
        self.name = notebook
        self.file = f"{notebook}.ipynb"
        self.master = read_master(homework, notebook)
        self.mistakes = {mistake.id: mistake for mistake in mistakes(homework, notebook)}
        self._release: Notebook = json.loads(homework.release(notebook).read_text(encoding="utf-8"))
        self._script = homework.release(notebook).with_suffix(".py").read_text(encoding="utf-8")

    def untouched(self) -> Notebook:
        """The release as it was handed out."""
        return copy.deepcopy(self._release)

    def solved(self, *mistakes: str, without: tuple[str, ...] = ()) -> Notebook:
        """The release with the master's solutions, with these mistakes and without the solutions in `without`."""
        book = self.untouched()
        for cell in book["cells"]:
            own = next((own for own in self.master.cells if own.id == cell["id"]), None)
            if own is not None and own.solution and own.id not in without:
                source = own.source
                for name in mistakes:
                    if self.mistakes[name].cell == own.grade_id:
                        source = self.mistakes[name].edit(source)
                cell["source"] = "\n".join(line for line in source.split("\n") if not _MARKER.search(line))
        return book

    def later_half(self) -> tuple[str, ...]:
        """The ids of the later half of the solution cells."""
        solutions = [cell.id for cell in self.master.cells if cell.solution]
        return tuple(solutions[len(solutions) // 2 :])

    def script(self) -> str:
        """The solved notebook as the script that a student may hand in."""
        text = self._script
        for cell in self.solved()["cells"]:
            own = next(own for own in self._release["cells"] if own["id"] == cell["id"])
            if "".join(own["source"]) != "".join(cell["source"]):
                text = text.replace("".join(own["source"]), "".join(cell["source"]))
        return text

    def with_cell(self, code: str, book: Notebook | None = None, at: int | None = None) -> Notebook:
        """`book` (by default the solved notebook) with one more code cell: at the end, or at index `at`."""
        book = book if book is not None else self.solved()
        cell: Notebook = {"cell_type": "code", "id": "scratch", "metadata": {}, "execution_count": None, "outputs": []}
        book["cells"].insert(len(book["cells"]) if at is None else at, {**cell, "source": code})
        return book


def example_class(homework: Homework) -> tuple[ExampleSubmission, ...]:
    """The submissions of a whole class, which cover what a grader may receive.

    Correct and partly correct submissions contain all notebooks. Broken and hostile ones contain a single notebook, the
    first one after the theory.
    """
    writers = _writers(homework)
    submissions = _whole(writers)
    submissions.append(
        ExampleSubmission("perfect-scripts", {f"{writer.name}.py": writer.script().encode() for writer in writers})
    )
    for writer in writers:
        others = {other.file: _dump(other.solved()) for other in writers if other is not writer}
        for mistake in _spread(list(writer.mistakes), -(-6 // len(writers))):
            submissions.append(
                ExampleSubmission(f"{writer.name}-{mistake}", {**others, writer.file: _dump(writer.solved(mistake))})
            )
    writer = writers[min(1, len(writers) - 1)]  # theory comes first
    submissions += [ExampleSubmission(name, {writer.file: data}) for name, data in _broken(writer)]
    submissions += [
        ExampleSubmission(name, {writer.file: _dump(writer.with_cell(code, book()))})
        for name, code, book in _disturbing(writer)
    ]
    submissions.append(
        ExampleSubmission("wrong-name", {f"{homework.name}_{writer.name} (1).ipynb": _dump(writer.solved())})
    )
    submissions.append(ExampleSubmission("nothing-handed-in", {}))
    return tuple(submissions)


def sample(homework: Homework) -> tuple[ExampleSubmission, ...]:
    """Two submissions of the first notebook alone, which has no training runs: solved, and with a mistake."""
    writer = SubmissionWriter(homework, homework.notebooks[0].name)
    mistake = next(iter(writer.mistakes))
    return (
        ExampleSubmission(f"{writer.name}-perfect", {writer.file: _dump(writer.solved())}),
        ExampleSubmission(f"{writer.name}-{mistake}", {writer.file: _dump(writer.solved(mistake))}),
    )


def _writers(homework: Homework) -> list[SubmissionWriter]:
    return [SubmissionWriter(homework, spec.name) for spec in homework.notebooks]


def _whole(writers: list[SubmissionWriter]) -> list[ExampleSubmission]:
    """Submissions of all notebooks: solved, untouched, and half solved."""
    return [
        ExampleSubmission("perfect", {writer.file: _dump(writer.solved()) for writer in writers}),
        ExampleSubmission("untouched", {writer.file: _dump(writer.untouched()) for writer in writers}),
        ExampleSubmission(
            "half-done", {writer.file: _dump(writer.solved(without=writer.later_half())) for writer in writers}
        ),
    ]


def write(submission: ExampleSubmission, folder: Path) -> None:
    """Write the files of a submission into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in submission.files.items():
        (folder / name).write_bytes(data)


def _dump(book: Notebook) -> bytes:
    return json.dumps(book, ensure_ascii=False, indent=1).encode()


def _spread(names: list[str], count: int) -> list[str]:
    """`count` of `names`, evenly spaced."""
    return [names[index * len(names) // count] for index in range(min(count, len(names)))]


def _broken(writer: SubmissionWriter) -> Iterator[tuple[str, bytes]]:
    """Solved notebooks, damaged in different ways: a name and the file for each."""
    whole = _dump(writer.solved())
    yield "empty-file", b""
    yield "not-a-notebook", b"Dear teacher, my notebook is attached. Best, N."
    yield "cut-off", whole[: len(whole) * 2 // 3]
    book = writer.solved()
    for cell in book["cells"]:
        cell["metadata"] = {}
        cell.pop("id", None)
    yield "no-metadata", _dump(book)
    book = writer.solved()
    book["cells"] += copy.deepcopy(book["cells"])
    yield "cells-twice", _dump(book)
    book = writer.solved()
    book["cells"] = [c for c in book["cells"] if not _is_check(c)]
    yield "checks-deleted", _dump(book)
    book = writer.solved()
    next(c for c in book["cells"] if _is_check(c))["source"] = "assert True"
    yield "checks-edited", _dump(book)
    book = writer.solved()
    next(c for c in book["cells"] if c["metadata"].get("nbgrader", {}).get("solution"))["source"] += "\n)"
    yield "syntax-error", _dump(book)


def _is_check(cell: Notebook) -> bool:
    """Whether it is a grade cell that students must not edit. A written answer is a grade cell that they do edit."""
    about = cell["metadata"].get("nbgrader", {})
    return bool(about.get("grade")) and not about.get("solution")


def _disturbing(writer: SubmissionWriter) -> Iterator[tuple[str, str, Callable[[], Notebook]]]:
    """A name, the code of one more cell, and its notebook: solved for accidents, untouched for hostile code."""
    yield "endless-loop", "while True:\n    pass", writer.solved
    yield "endless-output", "while True:\n    print('x' * 1000)", writer.solved
    yield "asks-for-input", "name = input('Your name? ')", writer.solved
    yield "ends-the-process", "import os\nos._exit(0)", writer.solved
    yield "segfault", "import ctypes\nctypes.string_at(0)", writer.solved
    yield "fork-bomb", "import os\nwhile True:\n    os.fork()", writer.solved
    yield "memory-hog", "hog = []\nwhile True:\n    hog.append(bytearray(2**28))", writer.solved
    yield "closes-descriptors", _CLOSES_DESCRIPTORS, writer.solved
    yield "hostile-equal-to-all", _EQUAL_TO_ALL, writer.untouched
    yield "hostile-shell-hook", _SHELL_HOOK, writer.untouched
    yield "hostile-looks-for-tests", _LOOKS_FOR_TESTS, writer.untouched


_CLOSES_DESCRIPTORS = """
import os
for fd in range(1024):
    try:
        os.close(fd)
    except OSError:
        pass
"""

_EQUAL_TO_ALL = """
class Right:
    def __eq__(self, other): return True
    def __call__(self, *args, **kwargs): return self
    def __getattr__(self, name): return self
    def __float__(self): return 1.0
for name, thing in list(globals().items()):
    if isinstance(thing, type) or callable(thing):
        globals()[name] = Right()
"""

_SHELL_HOOK = """
from IPython import get_ipython
shell = get_ipython()
shell.input_transformers_post.append(lambda lines: [])
shell.events.register("pre_run_cell", lambda *a: shell.displayhook(5.0))
shell.run_cell = lambda *a, **k: None
"""

_LOOKS_FOR_TESTS = """
import gc, os, sys
for root in ("/", "/root", "/home", os.getcwd(), *sys.path):
    for folder, _, files in os.walk(root):
        if any(name.startswith("test_") for name in files) and "hidden" in folder:
            print("found", folder)
print([name for name in sys.modules if "hidden_test" in name or name.startswith("test_")])
print([thing for thing in gc.get_objects() if isinstance(thing, bytes) and b"BEGIN SOLUTION" in thing][:3])
"""
