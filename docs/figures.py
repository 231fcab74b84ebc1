"""Draw the README's figures from the masters themselves: `make figures`.

Each is what a cell of a solved notebook shows; docs/figures/ keeps them.
"""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib

from autograder.course.course import Homework, open_course
from autograder.course.parsing import read_master
from autograder.proving.solutions import names_after

COURSE = Path(__file__).resolve().parents[1]
FIGURES = {
    "hw1": ("mlp", "spiral-figure"),
    "hw2": ("cnn", "contrast-figure"),
    "hw3": ("ocr", "training-figure"),
    "hw4": ("transformer", "rollout-figure"),
}
"""of each homework the notebook and the cell whose last figure is shown"""


def draw(homework: Homework, notebook: str, grade_id: str, target: Path) -> None:
    """Run the master's cells up to `grade_id` and keep the last figure that this one shows."""
    import matplotlib.pyplot as plt

    plt.show = lambda: None
    names_after(read_master(homework, notebook), grade_id, demos=True)
    plt.gcf().savefig(target, dpi=80, bbox_inches="tight", metadata={"Software": None})


def main() -> None:
    import torch

    matplotlib.use("agg")
    torch.set_num_threads(1)  # the same numbers on every machine with this version of torch
    course, folder = open_course(COURSE), COURSE / "docs" / "figures"
    folder.mkdir(exist_ok=True)
    for name in sys.argv[1:] or course.homeworks:
        notebook, grade_id = FIGURES[name]
        draw(course.homework(name), notebook, grade_id, folder / f"{name}.png")
        print(f"wrote docs/figures/{name}.png")


if __name__ == "__main__":
    main()
