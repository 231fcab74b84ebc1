"""The three lists of dependencies say the same."""

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
CONDA_NAMES = {
    "torch": "pytorch", "playwright": "playwright-python", "jupyter-server-mathjax": "jupyter_server_mathjax",
    "dask": "dask-core",
}  # fmt: skip
EXTRAS = ("canvas", "cluster", "docs", "dev")


def declared() -> dict[str, str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    requirements = project["dependencies"] + [line for name in EXTRAS for line in extras[name]]
    requirements.remove(f"autograder[{','.join(EXTRAS[:-1])}]")  # raises ValueError where it is missing
    return {(m := re.match(r"([\w-]+)(.*)", line)).group(1): m.group(2) for line in requirements}


def test_environment_yml_mirrors_pyproject():
    lines = (ROOT / "environment.yml").read_text().splitlines()
    listed = [line.strip().removeprefix("- ") for line in lines if line.strip().startswith("- ")]
    entries = [re.sub(r"\s*#.*", "", line) for line in listed]
    mirrored = dict(re.match(r"([\w-]+)(.*)", entry).groups() for entry in entries if re.match(r"\w", entry))
    for extra in ("conda-forge", "python", "pip", "libseccomp"):
        mirrored.pop(extra)
    assert mirrored == {CONDA_NAMES.get(name, name): bounds for name, bounds in declared().items()}


def test_python_bounds_are_the_same():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert f"- python{project['requires-python']}\n" in (ROOT / "environment.yml").read_text()


def test_every_dependency_is_locked_to_one_version():
    locked = re.findall(r"^([\w-]+)==", (ROOT / "requirements.lock").read_text(), re.MULTILINE)
    assert set(declared()) <= set(locked)


FOLDERS = ("autograder", "tests", "docs")
OURS = {
    *FOLDERS,
    *(path.stem for folder in (".", "benchmarks", "tests", "tests/claims") for path in (ROOT / folder).glob("*.py")),
}


def imported(*rooms: str) -> set[str]:
    """The distributions that the Python files of these folders import, late imports included."""
    found = set()
    for path in (path for room in rooms for path in (ROOT / room).rglob("*.py") if "_build" not in path.parts):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module.partition(".")[0])
    known = packages_distributions()
    return {name for top in found - OURS - set(sys.stdlib_module_names) for name in known.get(top, [top])}


@pytest.mark.slow(seconds=4)
@pytest.mark.parametrize(
    ("rooms", "extra"),
    [(("autograder",), ("canvas", "cluster")), (("tests", "docs", "benchmarks"), EXTRAS)],
)
def test_what_is_imported_is_declared(rooms, extra):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = project["dependencies"] + [line for name in extra for line in project["optional-dependencies"][name]]
    names = {re.match(r"[\w-]+", line).group().lower() for line in lines}
    assert {name.lower() for name in imported(*rooms)} - names == set()


def test_python_bounds_are_those_of_the_workflow_and_the_makefile():
    [least, below] = re.findall(
        r"3\.(\d+)", tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    )
    versions = [f"3.{minor}" for minor in range(int(least), int(below))]
    workflow = (ROOT / ".github/workflows/tests.yml").read_text()
    assert re.findall(r"3\.\d+", re.search(r"python: \[(.*)\]", workflow).group(1)) == versions
    assert all(f"python{version}" in (ROOT / "Makefile").read_text() for version in versions)
