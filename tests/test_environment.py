"""The three lists of dependencies say the same."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent
CONDA_NAMES = {"torch": "pytorch", "playwright": "playwright-python"}


def declared() -> dict[str, str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    requirements = project["dependencies"] + project["optional-dependencies"]["dev"]
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
