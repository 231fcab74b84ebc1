"""An example class: submissions such as come in, made from a homework's masters: right, wrong, broken, hostile."""

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
    """One submission: the student's name tells what is in it."""

    name: str
    files: Mapping[str, bytes]


class SubmissionWriter:
    """Where submissions of one notebook are written: its release, filled in, with edits."""

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
        """The release with the master's solutions, these mistakes made and the solutions in `without` not written."""
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
        """`book`, by default the solved one, with a cell of the student's own: the last, or before the cell at `at`."""
        book = book if book is not None else self.solved()
        cell: Notebook = {"cell_type": "code", "id": "scratch", "metadata": {}, "execution_count": None, "outputs": []}
        book["cells"].insert(len(book["cells"]) if at is None else at, {**cell, "source": code})
        return book


def pupils(homework: Homework) -> tuple[ExampleSubmission, ...]:
    """A class of pupils whose submissions of this homework cover what a grader meets.

    Right and partly right ones hand in all notebooks. Broken and hostile ones hand in one, the first implementation.
    """
    desks = _desks(homework)
    made = _whole(desks)
    made.append(ExampleSubmission("perfect-scripts", {f"{desk.name}.py": desk.script().encode() for desk in desks}))
    for desk in desks:
        others = {other.file: _dump(other.solved()) for other in desks if other is not desk}
        for mistake in _spread(list(desk.mistakes), -(-6 // len(desks))):
            made.append(ExampleSubmission(f"{desk.name}-{mistake}", {**others, desk.file: _dump(desk.solved(mistake))}))
    desk = desks[min(1, len(desks) - 1)]  # theory comes first
    made += [ExampleSubmission(name, {desk.file: data}) for name, data in _broken(desk)]
    made += [
        ExampleSubmission(name, {desk.file: _dump(desk.with_cell(code, book()))})
        for name, code, book in _disturbing(desk)
    ]
    made.append(ExampleSubmission("wrong-name", {f"{homework.name}_{desk.name} (1).ipynb": _dump(desk.solved())}))
    made.append(ExampleSubmission("nothing-handed-in", {}))
    return tuple(made)


def sample(homework: Homework) -> tuple[ExampleSubmission, ...]:
    """A few pupils, of a homework whose training runs would make a whole example class a matter of half an hour.

    With one mistake, broken or hostile, they hand in a single notebook.
    """
    desks = _desks(homework)
    made = _whole(desks)
    for desk in desks:
        mistake = next(iter(desk.mistakes))
        made.append(ExampleSubmission(f"{desk.name}-{mistake}", {desk.file: _dump(desk.solved(mistake))}))
    desk = desks[0]
    broken = dict(_broken(desk))
    made += [
        ExampleSubmission(name, {desk.file: broken[name]}) for name in ("cut-off", "checks-edited", "syntax-error")
    ]
    for name, code, book in _disturbing(desk):
        if name in ("segfault", "hostile-equal-to-all"):
            made.append(ExampleSubmission(name, {desk.file: _dump(desk.with_cell(code, book()))}))
    return tuple(made)


def _desks(homework: Homework) -> list[SubmissionWriter]:
    return [SubmissionWriter(homework, spec.name) for spec in homework.notebooks]


def _whole(desks: list[SubmissionWriter]) -> list[ExampleSubmission]:
    """Pupils who hand in all notebooks: right, as they were, and half of each."""
    return [
        ExampleSubmission("perfect", {desk.file: _dump(desk.solved()) for desk in desks}),
        ExampleSubmission("untouched", {desk.file: _dump(desk.untouched()) for desk in desks}),
        ExampleSubmission("half-done", {desk.file: _dump(desk.solved(without=desk.later_half())) for desk in desks}),
    ]


def write(pupil: ExampleSubmission, folder: Path) -> None:
    """Write a pupil's files into its submission folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in pupil.files.items():
        (folder / name).write_bytes(data)


def _dump(book: Notebook) -> bytes:
    return json.dumps(book, ensure_ascii=False, indent=1).encode()


def _spread(names: list[str], count: int) -> list[str]:
    """`count` of `names`, evenly spread."""
    return [names[index * len(names) // count] for index in range(min(count, len(names)))]


def _broken(desk: SubmissionWriter) -> Iterator[tuple[str, bytes]]:
    """Solved notebooks whose files came to harm."""
    whole = _dump(desk.solved())
    yield "empty-file", b""
    yield "not-a-notebook", b"Dear teacher, my notebook is attached. Best, N."
    yield "cut-off", whole[: len(whole) * 2 // 3]
    book = desk.solved()
    for cell in book["cells"]:
        cell["metadata"] = {}
        cell.pop("id", None)
    yield "no-metadata", _dump(book)
    book = desk.solved()
    book["cells"] += copy.deepcopy(book["cells"])
    yield "cells-twice", _dump(book)
    book = desk.solved()
    book["cells"] = [c for c in book["cells"] if not _is_check(c)]
    yield "checks-deleted", _dump(book)
    book = desk.solved()
    next(c for c in book["cells"] if _is_check(c))["source"] = "assert True"
    yield "checks-edited", _dump(book)
    book = desk.solved()
    next(c for c in book["cells"] if c["metadata"].get("nbgrader", {}).get("solution"))["source"] += "\n)"
    yield "syntax-error", _dump(book)


def _is_check(cell: Notebook) -> bool:
    """Whether it is a grade cell that students may not edit; a written answer is theirs."""
    about = cell["metadata"].get("nbgrader", {})
    return bool(about.get("grade")) and not about.get("solution")


def _disturbing(desk: SubmissionWriter) -> Iterator[tuple[str, str, Callable[[], Notebook]]]:
    """Code in one more cell at the end: of a solved notebook where it is an accident, else of an untouched one."""
    yield "endless-loop", "while True:\n    pass", desk.solved
    yield "endless-output", "while True:\n    print('x' * 1000)", desk.solved
    yield "asks-for-input", "name = input('Your name? ')", desk.solved
    yield "ends-the-process", "import os\nos._exit(0)", desk.solved
    yield "segfault", "import ctypes\nctypes.string_at(0)", desk.solved
    yield "fork-bomb", "import os\nwhile True:\n    os.fork()", desk.solved
    yield "memory-hog", "hog = []\nwhile True:\n    hog.append(bytearray(2**28))", desk.solved
    yield "closes-descriptors", _CLOSES_DESCRIPTORS, desk.solved
    yield "hostile-equal-to-all", _EQUAL_TO_ALL, desk.untouched
    yield "hostile-shell-hook", _SHELL_HOOK, desk.untouched
    yield "hostile-looks-for-tests", _LOOKS_FOR_TESTS, desk.untouched


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
