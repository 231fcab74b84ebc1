"""README and guides are true: their tables say what the course says, links lead somewhere, commands run."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import typer

import autograder
from autograder.cli import app
from autograder.course import build, starting
from autograder.course.course import open_course
from autograder.course.parsing import read_master
from autograder.course.source_notebook import badge_link
from autograder.proving.example_class import SubmissionWriter

ROOT = Path(__file__).parents[1]
COURSE = open_course(ROOT)
README = (ROOT / "README.md").read_text(encoding="utf-8")
STUDENT = (ROOT / "docs" / "student.md").read_text(encoding="utf-8")
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("name", COURSE.homeworks)
def test_the_readme_lists_every_notebook_as_it_is(name: str) -> None:
    homework = COURSE.homework(name)
    for spec in homework.notebooks:
        book = read_master(homework, spec.name)
        machine = sum(cell.points for cell in book.grade_cells() if cell.autograded)
        row = f"| [`{name}/{spec.name}`]({name}/{spec.name}.py) | {spec.title} | {book.points:g} | {machine:g} "
        assert f"{row}| {spec.minutes} | {badge_link(COURSE, name, spec.name)} |" in README


@pytest.mark.parametrize("name", COURSE.homeworks)
def test_the_readme_shows_a_figure_of_every_homework(name: str) -> None:
    [alt] = re.findall(rf"!\[([^]]*)\]\(docs/figures/{name}\.png\)", README)
    assert len(alt) > 40  # for those who cannot see it


def test_students_are_told_the_limits() -> None:
    limits = [COURSE.homework(name).limits for name in COURSE.homeworks]
    rows = {
        "one cell": [f"{one.cell_seconds:g} s" for one in limits],
        "all cells of a notebook": [f"{one.total_seconds:g} s" for one in limits],
        "memory": [f"{one.memory_mb / 1024:g} GB" for one in limits],
        "output": [f"{one.output_mb} MB" for one in limits],
    }
    for what, values in rows.items():
        assert f"| {what} | {' | '.join(values)} |" in STUDENT


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for link in re.findall(r"\]\(([^)#]+)[^)]*\)", text):
        assert link.startswith("https://") or (page.parent / link).exists(), link


def test_the_tables_of_the_results_file_are_those_of_the_code() -> None:
    made = subprocess.run(
        [sys.executable, "-c", "import tables, sys; sys.stdout.write(tables.page())"],
        env={**os.environ, "PYTHONPATH": str(ROOT / "docs")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert made.stdout == (ROOT / "docs" / "results.md").read_text(encoding="utf-8"), "run `make docs`"


def test_modules_and_functions_that_the_architecture_names_exist() -> None:
    """Such names drift when code moves."""
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    package = ROOT / "autograder"
    modules = {path.stem for path in package.rglob("*.py")}
    everything = "\n".join(path.read_text(encoding="utf-8") for path in package.rglob("*.py"))
    places = re.findall(r"[`(]([a-z_]+(?:/[a-z_]+)+)/?[`)]", text)
    assert places and [p for p in places if not (package / p).is_dir() and not (package / f"{p}.py").is_file()] == []
    _, _, walk = text.partition("## One submission's way")
    named = [name for name in re.findall(r"`(\w+)\.(\w+)`", walk) if name[1] != "toml"]
    assert len(named) > 20
    for owner, name in named:
        assert owner in modules or f"class {owner}" in everything or name in autograder.__all__, f"{owner}.{name}"
        assert f"def {name}(" in everything, f"{owner}.{name}"


# ---- commands in the guides

GUIDES = [page for page in PAGES if page.name != "CHANGELOG.md"]
NOT_RUN = {
    "jupyter lab": "a server, which ends when it is told to",
    "make ": "other tests are what it runs, or it installs an environment",
    "pip install": "needs a network",
    "openssl ": "the certificates of test_cluster.py are made alike",
    "autograder grade hw1 --scheduler": "needs a cluster: test_cluster.py has one",
    "autograder grade hw1 --student": "goes on from a class of its own",
    "autograder doctor": "says that this machine confines too little, where it does; test_confine.py runs it",
    "autograder audit": "takes minutes on a whole homework; the first exercise's is run",
    "autograder build hw1 --variant-for": "needs a homework with parameters: test_parameters.py has one",
    "autograder report --homeworks": "needs two homeworks: test_class_page.py has them",
}
"""how lines begin that are not run in the small course, and why"""
SECONDS = {
    "docs/instructor.md": 90,
    "README.md": 45,
    "docs/continuous-integration.md": 15,
    "CONTRIBUTING.md": 3,
    "docs/scale.md": 3,
}
"""what the blocks of a guide take, about; the long ones begin first"""
CALLED = re.compile(r"(?:\.venv/bin/)?autograder ((?!\.)[a-z][^\n`]*)")


def blocks(page: Path) -> list[str]:
    """The blocks of a guide that are for a shell, lines that go on joined."""
    text = page.read_text(encoding="utf-8").replace("\\\n", " ")
    parts = re.findall(r"^```(\w*)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    return [body for kind, body in parts if kind in ("sh", "bash") or (not kind and body.startswith("autograder "))]


def lines(block: str) -> list[str]:
    """The commands of a block, as they are typed where the environment is active."""
    bare = (re.sub(r"\s+#.*", "", line).replace(".venv/bin/", "").strip() for line in block.splitlines())
    return [line for line in bare if line]


@pytest.mark.parametrize("page", GUIDES, ids=lambda page: page.name)
def test_commands_and_options_that_a_guide_names_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8").replace("\\\n", " ")
    known = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    called = [found[1] for block in blocks(page) for line in lines(block) if (found := CALLED.match(line))]
    called += [found[1] for found in re.finditer(rf"`{CALLED.pattern}`", text)]
    for line in called:
        words = re.sub(r"[\[\]{}|…]", " ", line).split()
        command = known.get(words[0])
        assert command is not None, f"autograder {line}"
        if below := getattr(command, "commands", None):
            command = below.get(next((word for word in words[1:] if word in below), ""), command)
        options = {name for one in command.params for name in (*one.opts, *one.secondary_opts)} | {"--help"}
        assert {word.partition("=")[0].rstrip(",;.") for word in words if word.startswith("--")} <= options, line


@pytest.fixture(scope="module")
def term(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a new, built course whose class of two has handed in at Canvas."""
    root = tmp_path_factory.mktemp("term") / "course"
    starting.new_course(root)
    build.build(open_course(root))
    writer = SubmissionWriter(open_course(root).homework("hw1"), "kmeans")
    with zipfile.ZipFile(root / "submissions.zip", "w") as archive:
        for name, number, mistakes in (("doejane", 11, ()), ("smithanna", 12, ("root",))):
            archive.writestr(f"{name}_{number}_88{number}_kmeans.ipynb", json.dumps(writer.solved(*mistakes)))
    (root / "Grades.csv").write_text(
        "Student,ID,SIS User ID,SIS Login ID,Section,Groups of points (4711)\n"
        '    Points Possible,,,,,9.00\n"Doe, Jane",11,s11,jane,A,\n"Smith, Anna",12,s12,anna,A,\n',
        encoding="utf-8",
    )
    return root


def run_in(folder: Path, commands: list[str]) -> None:
    """Run these lines one by one; a command may report findings (1), and must not fail otherwise."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    for line in commands:
        if line.startswith(tuple(NOT_RUN)):
            continue
        line = line.replace("linear-forward", "distances")  # an exercise of this course
        said = subprocess.run(
            ["bash", "-c", line], cwd=folder, env={**os.environ, "PATH": path}, capture_output=True, text=True
        )
        told = f"{line}\n{said.stdout}{said.stderr}"
        assert said.returncode in (0, 1) and "Traceback" not in told, told
        assert said.returncode == 0 or said.stdout or said.stderr, told


@pytest.mark.slow(seconds=60)
def test_the_first_exercise_is_made_as_its_guide_says(tmp_path: Path) -> None:
    script = "set -e\n" + "\n".join(blocks(ROOT / "docs" / "first-exercise.md"))
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    said = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, env={**os.environ, "PATH": path}, capture_output=True, text=True
    )
    assert said.returncode == 0, said.stdout + said.stderr
    published = (tmp_path / "try-out-students" / "release" / "hw1" / "kmeans.py").read_text(encoding="utf-8")
    assert "def inertia(" in published and "min(dim=1)" not in published


@pytest.mark.parametrize(
    "guide",
    [pytest.param(guide, marks=pytest.mark.slow(seconds=seconds)) for guide, seconds in SECONDS.items()],
)
def test_the_blocks_of_a_guide_run_one_after_the_other(term: Path, tmp_path: Path, guide: str) -> None:
    """In one course; where a block begins a class anew, in a fresh copy of it."""
    folder = shutil.copytree(term, tmp_path / "0" / "course")
    shutil.copy(folder / "submissions.zip", folder / "downloaded.zip")
    if guide == "docs/continuous-integration.md":
        (folder / "downloaded").mkdir()
        with zipfile.ZipFile(folder / "submissions.zip") as archive:
            archive.extractall(folder / "downloaded")
    if guide == "README.md":
        shutil.copy(folder / "Grades.csv", folder / "canvas.csv")
    for number, block in enumerate(blocks(ROOT / guide), start=1):
        if "--pseudonyms" in block:
            other = shutil.copytree(term, tmp_path / str(number) / "course")
            run_in(other, ["autograder roster import Grades.csv", *lines(block)])
        else:
            run_in(folder, lines(block))


def test_every_guide_with_commands_is_run_or_says_what_to_make(tmp_path: Path) -> None:
    run = {
        "README.md",
        "CONTRIBUTING.md",
        "instructor.md",
        "continuous-integration.md",
        "scale.md",
        "first-exercise.md",
    }
    assert {page.name for page in GUIDES if blocks(page)} <= run
