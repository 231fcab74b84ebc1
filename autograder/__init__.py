"""The autograder of a deep learning course: builds releases, grades submissions, reports.

This is what authors use, and all that is public. Hidden tests import `earns`, `close`, `shape_of`, `shape_told`,
`ten_times`, `Harness`, `untrained`, `unlearned`, `transplanted` and `StudentError`; the hidden region of a source
notebook calls `hidden_tests`. Programs that read results use `results.result` and `results.record.read`. Everything
else may change without notice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from autograder.examination.closeness import close, shape_of, shape_told
    from autograder.examination.harness import Harness
    from autograder.examination.hidden import StudentError, earns, ten_times
    from autograder.examination.transplant import transplanted, unlearned, untrained

__all__ = [
    "Harness",
    "StudentError",
    "__version__",
    "close",
    "earns",
    "hidden_tests",
    "shape_of",
    "shape_told",
    "ten_times",
    "transplanted",
    "unlearned",
    "untrained",
]


def __getattr__(name: str) -> Any:
    """The public names, loaded when they are asked for: a student's process imports this package without them."""
    if name == "__version__":
        from importlib.metadata import version

        return version("autograder")
    if name in __all__:
        from autograder.examination import closeness, harness, hidden, transplant

        modules = {"Harness": harness, **dict.fromkeys(("close", "shape_of", "shape_told"), closeness)}
        modules |= dict.fromkeys(("transplanted", "unlearned", "untrained"), transplant)
        return getattr(modules.get(name, hidden), name)
    raise AttributeError(f"module 'autograder' has no attribute {name!r}")


def hidden_tests(notebook: str, grade_id: str) -> None:
    """Show, as this cell's first result, the points that the notebook in this kernel earns for one grade cell.

    nbgrader's own autograde takes the first result for partial credit, whatever the visible checks below it do.
    `notebook` is 'hw1/mlp'; the hidden tests are those of the course that the working folder lies in.
    """
    from autograder.examination.kernel import score_in_kernel

    score_in_kernel(notebook, grade_id)
