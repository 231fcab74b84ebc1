"""A file that is replaced in one step: nobody finds half of it, and an error leaves the old one."""

from __future__ import annotations

import ast
import os
from pathlib import Path

import pytest

from autograder import atomic_file

PACKAGE = Path(atomic_file.__file__).parent


def test_a_file_is_made_and_replaced(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    for data in (b"first", b"second, and longer"):
        atomic_file.replace(path, data)
        assert path.read_bytes() == data
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(("owner", "step"), [(os, "fsync"), (Path, "replace")])
def test_an_error_leaves_the_old_file_and_nothing_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, owner: object, step: str
) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes(b"old")

    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(owner, step, full)
    with pytest.raises(OSError, match="No space left"):
        atomic_file.replace(path, b"new")
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]


def test_a_name_of_the_greatest_length_can_be_replaced(tmp_path: Path) -> None:
    path = tmp_path / ("n" * 255)
    atomic_file.replace(path, b"x")
    assert path.read_bytes() == b"x"


WRITERS = {
    *("confine/attacks_files.py", "confine/attacks_kernel.py", "confine/attacks_limits.py"),
    *("confine/canary.py", "confine/cgroup.py", "confine/confined_child.py", "confine/probing.py"),
    *("collecting/desk.py", "course/starting.py"),  # into a new folder, which is then renamed as a whole
    "course/stripping.py",  # into a temporary folder, for nbgrader
    *("course/bundle.py", "submission/parcel.py"),  # into a private folder of a worker, which removes it
    "proving/example_class.py",  # the submissions of a demo
    "sandbox/inside/student_process.py",  # the student's own files, into the confined work folder
}
"""files that write, and to nothing that anybody keeps"""


def test_whatever_is_kept_is_written_in_one_step() -> None:
    """So this is the one place that writes to the course's folder; a module that writes by itself is found here."""
    writing = {"write_text", "write_bytes"}
    found = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in writing:
                found.add(str(path.relative_to(PACKAGE)))
    assert found - WRITERS == set()
