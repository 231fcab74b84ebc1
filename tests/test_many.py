"""A grading server for many submissions: it has used each reference once before the first of them."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
WARMED = """
import sys, types
from pathlib import Path
from autograder.warming import begin
begin()
from autograder.course.course import open_course
from autograder.grading.context import GradingContext
course = open_course(Path(sys.argv[1]))
with GradingContext(course, course.homework(sys.argv[2]), types.SimpleNamespace(tier="none")) as context:
    print(context.warm())
"""


@pytest.mark.slow(seconds=8)
@pytest.mark.parametrize("homework", ["hw1", "hw2", "hw3", "hw4"])
def test_each_reference_passes_in_the_server_in_the_order_of_the_notebooks(homework):
    """What one notebook's tests leave behind in the process must not make another's fail: forks inherit it."""
    run = subprocess.run(
        [sys.executable, "-c", WARMED, str(ROOT), homework], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.splitlines()[-1] == "[]"
