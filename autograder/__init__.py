"""The autograder of a deep learning course: builds releases, grades submissions, reports.

Hidden tests import `earns`, `close`, `ten_times` and `StudentError` from here; the hidden region of a source
notebook calls `hidden_tests`.
"""

from __future__ import annotations

from autograder.hidden import StudentError, close, earns, ten_times

__all__ = ["StudentError", "__version__", "close", "earns", "hidden_tests", "ten_times"]
__version__ = "0.1.0"


def hidden_tests(notebook: str, grade_id: str) -> None:
    """Show, as this cell's first result, the points that the notebook in this kernel earns for one grade cell.

    nbgrader's own autograde takes the first result for partial credit, whatever the visible checks below it do.
    `notebook` is 'hw1/mlp'; the hidden tests are those of the course that the working folder lies in.
    """
    from autograder.examine import score_in_kernel

    score_in_kernel(notebook, grade_id)
