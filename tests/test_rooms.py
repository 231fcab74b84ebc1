"""The rooms of the package: which imports are allowed, and that a forbidden one is found."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "autograder"


def contracts(folder: Path) -> subprocess.CompletedProcess[str]:
    """What import-linter says of the package in `folder`."""
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as c; c()", "--no-cache"]
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_no_import_points_up() -> None:
    said = contracts(ROOT)
    assert said.returncode == 0, said.stdout


@pytest.mark.parametrize(
    ("file", "line", "broken"),
    [
        ("course/build.py", "from autograder.results import page", "No import points up BROKEN"),
        ("results/page.py", "from autograder.grading.grade import grade", "No import points up BROKEN"),
        ("sandbox/inside/shell.py", "from autograder.sandbox import session", "nothing of our handle on it BROKEN"),
        ("sandbox/traces.py", "from autograder.results import result", "grading or proving BROKEN"),
        ("confine/jail.py", "    from autograder.examination import secret", "grading or proving BROKEN"),
        ("forbidden/runtime.py", "from autograder.results import result", "grading or proving BROKEN"),
    ],
)
def test_an_import_that_points_up_is_found(tmp_path: Path, file: str, line: str, broken: str) -> None:
    shutil.copytree(PACKAGE, tmp_path / "autograder", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    path = tmp_path / "autograder" / file
    text = path.read_text(encoding="utf-8")
    late = f"\n\ndef later() -> None:\n{line}\n" if line.startswith(" ") else f"\n{line}\n"
    path.write_text(text + late, encoding="utf-8")
    said = contracts(tmp_path)
    assert said.returncode == 1
    assert broken in " ".join(said.stdout.split())


def test_every_room_is_in_the_contract() -> None:
    """A new folder has to be given its place; `exhaustive` says so."""
    assert (ROOT / "pyproject.toml").read_text(encoding="utf-8").count("exhaustive = true") == 2


def loaded(code: str, *names: str) -> list[str]:
    """Which of these modules, and of those below them, are loaded after `code` has run in a fresh process."""
    look = (
        f"{code}\nimport sys\nprint([n for n in sys.modules if any((n + '.').startswith(m + '.') for m in {names!r})])"
    )
    done = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True, cwd="/")
    found = ast.literal_eval(done.stdout)
    assert isinstance(found, list)
    return found


def test_a_diagnosis_needs_no_shell() -> None:
    assert loaded("import autograder.examination.diagnosis", "IPython", "autograder.sandbox.inside.shell") == []


def test_the_zygote_has_never_loaded_what_students_must_not_find() -> None:
    secret = ("examination", "results", "grading", "proving", "submission", "course.master", "course.build")
    names = tuple(f"autograder.{name}" for name in secret)
    assert loaded("import autograder.sandbox.inside.zygote, autograder.sandbox.inside.student_process", *names) == []


def test_what_both_sides_need_is_light() -> None:
    heavy = ("torch", "numpy", "IPython", "msgspec", "pytest")
    assert loaded("import autograder.constants, autograder.atomic_file", *heavy) == []


def test_the_public_names_are_all_there() -> None:
    import autograder

    assert [name for name in autograder.__all__ if not hasattr(autograder, name)] == []
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = autograder.nothing


def test_modules_stay_short() -> None:
    long = {str(path.relative_to(PACKAGE)): len(path.read_text().splitlines()) for path in PACKAGE.rglob("*.py")}
    assert {path: lines for path, lines in long.items() if lines > 340} == {}
