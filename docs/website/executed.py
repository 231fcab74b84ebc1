"""The figures of the masters: each is run once, and kept by the content of its cells."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from autograder import atomic_file
from autograder.course.course import Course
from autograder.course.parsing import read_master
from autograder.course.source_notebook import source_notebook

if TYPE_CHECKING:
    from nbformat import NotebookNode

_HIDDEN_REGION = re.compile(r"### BEGIN HIDDEN TESTS\n.*?### END HIDDEN TESTS\n", re.DOTALL)
_SECONDS = 900
"""for one cell: the longest trains for a minute on a quiet machine"""

Figure = tuple[bytes, str]
"""a PNG picture and its text alternative, which may be empty"""


def figures(course: Course, homework: str, notebook: str, cache: Path, execute: bool) -> dict[str, list[Figure]]:
    """The pictures that the cells of a solved notebook show, by the id of the cell.

    Nothing else of the run is kept: printed text may hold an answer. What is not in `cache` is made there if `execute`
    is set; else it is left out. Raises nbclient's CellExecutionError if the master itself fails.
    """
    book = source_notebook(course, read_master(course.homework(homework), notebook))
    for cell in book.cells:
        cell.source = _HIDDEN_REGION.sub("", cell.source)
    code = [(cell.id, cell.source) for cell in book.cells if cell.cell_type == "code"]
    made_with = [version(name) for name in ("torch", "matplotlib")]
    digest = hashlib.sha256(json.dumps([code, made_with]).encode()).hexdigest()
    kept = cache / f"{homework}-{notebook}-{digest[:16]}.json"
    if not kept.exists():
        if not execute:
            return {}
        print(f"running {homework}/{notebook} …", flush=True)
        cache.mkdir(parents=True, exist_ok=True)
        atomic_file.replace(kept, json.dumps(_run(book), indent=1).encode())
        for old in cache.glob(f"{homework}-{notebook}-*.json"):
            if old != kept:
                old.unlink()
    shown = json.loads(kept.read_text(encoding="utf-8"))
    return {cell: [(base64.b64decode(data), alt) for data, alt in pictures] for cell, pictures in shown.items()}


def _run(book: NotebookNode) -> dict[str, list[tuple[str, str]]]:
    """Run a notebook in a kernel of its own and an empty folder."""
    from nbclient import NotebookClient
    from traitlets.config import Config

    with tempfile.TemporaryDirectory() as folder:
        client = NotebookClient(
            book,
            timeout=_SECONDS,
            kernel_name="python3",
            resources={"metadata": {"path": folder}},
            config=Config({"KernelManager": {"transport": "ipc", "ip": f"{folder}/kernel"}}),
        )
        done = client.execute()
    shown = {}
    for cell in done.cells:
        pictures = [
            (output.data["image/png"], output.metadata.get("image/png", {}).get("alt", ""))
            for output in cell.get("outputs", ())
            if "image/png" in output.get("data", {})
        ]
        if pictures:
            shown[cell.id] = pictures
    return shown
