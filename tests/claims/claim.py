"""What the claims about the notebooks' figures start from: the names of a solved notebook."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from autograder.course.course import open_course
from autograder.course.parsing import read_master
from autograder.proving.solutions import names_after

COURSE = Path(__file__).resolve().parents[2]


def solved(notebook: str, until: str) -> dict[str, Any]:
    """The names that exist once the master `notebook` ("hw1/mlp") has run up to the cell `until`, that one included.

    Demo cells are left out, and figures are closed. The random numbers are those of a student who runs it.
    """
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt
    import torch

    torch.set_num_threads(1)
    homework, _, name = notebook.partition("/")
    names = names_after(read_master(open_course(COURSE).homework(homework), name), until)
    plt.close("all")
    return names
