"""Stripping: nbgrader's generate_assignment turns a source notebook into its release."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autograder.course.course import CourseError

if TYPE_CHECKING:
    from nbformat import NotebookNode

TEXT_STUB = "*Your answer here: double-click this line and write.*"
CODE_STUB = "raise NotImplementedError"
TEMPLATES = Path(__file__).parents[1] / "formgrader"
"""a folder for JUPYTER_PATH: nbconvert takes the templates in it instead of its own"""


class BuildError(CourseError):
    """A release that must not be published. The message names each file and cell, and what students would see."""


def strip_config() -> Any:
    """nbgrader's settings for making a release, as a traitlets Config. nbgrader_config.py uses them too."""
    from traitlets.config import Config

    config = Config()
    config.ClearSolutions.code_stub = {"python": CODE_STUB}
    config.ClearSolutions.text_stub = TEXT_STUB
    for step in (config.ClearSolutions, config.ClearHiddenTests, config.ClearMarkScheme):
        step.enforce_metadata = True
    return config


def strip(homework: str, sources: Mapping[str, str]) -> dict[str, NotebookNode]:
    """Make the releases of one homework: run nbgrader's generate_assignment on its source notebooks."""
    from nbgrader.converters import GenerateAssignment
    from nbgrader.coursedir import CourseDirectory
    from nbgrader.utils import capture_log

    with tempfile.TemporaryDirectory(prefix="release-") as folder:
        root = Path(folder).resolve()
        (root / "source" / homework).mkdir(parents=True)
        for notebook, text in sources.items():
            (root / "source" / homework / f"{notebook}.ipynb").write_text(text, encoding="utf-8")
        config = strip_config()
        config.CourseDirectory.root = str(root)
        config.CourseDirectory.assignment_id = homework
        # Like `nbgrader generate_assignment --no-db`: only grading writes to the gradebook.
        config.GenerateAssignment.no_database = True
        config.SaveCells.enabled = False
        outcome = capture_log(GenerateAssignment(coursedir=CourseDirectory(config=config), config=config))
        if not outcome["success"]:
            why = outcome.get("log") or outcome["error"]
            raise BuildError(f"source/{homework}: nbgrader could not make the release: correct what it says:\n{why}")
        return {notebook: load(root / "release" / homework / f"{notebook}.ipynb") for notebook in sources}


def load(path: Path) -> NotebookNode:
    import nbformat

    notebook: NotebookNode = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    return notebook
