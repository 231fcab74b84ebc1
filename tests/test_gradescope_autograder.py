"""The archive for Gradescope: what is in it, and that it grades like `autograder grade`, run as Gradescope runs it."""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any, Literal

import msgspec
import pytest
from typer.testing import CliRunner

from autograder.cli import app, gradescope
from autograder.course.course import Course, open_course
from autograder.exporting import gradescope_autograder
from autograder.exporting.gradescope_results import results_json, submitters
from autograder.grading.server import GradingServer
from autograder.proving.example_class import SubmissionWriter
from autograder.results import record
from autograder.results.result import CellResult, Incident, NotebookResult, Repair, Result
from tests.conftest import MARKED_BY_HAND, dump, small_course
from tests.conftest import cell as cell_of

ROOT = Path(__file__).parents[1]
NAME = "hw1.gradescope-autograder.zip"
METADATA = {
    "id": 123456,
    "created_at": "2018-07-01T14:22:32.365935-07:00",
    "assignment": {"group_submission": True, "total_points": "20.0"},
    "users": [{"email": "jane@uni.edu", "id": 1, "name": "Jane Doe"}, {"email": "max@uni.edu", "id": 2, "name": "Max"}],
    "previous_submissions": [{"submission_time": "2017-04-06T14:24:48.087023-07:00", "score": 0.0, "results": {}}],
}

Visibility = Literal["hidden", "after_due_date", "after_published", "visible"]
Format = Literal["text", "html", "simple_format", "md", "ansi"]


class Case(msgspec.Struct, forbid_unknown_fields=True):
    """A test case as Gradescope's specification has it."""

    score: float | None = None
    max_score: float | None = None
    status: Literal["passed", "failed"] | None = None
    name: str = ""
    name_format: Format = "text"
    number: str = ""
    output: str = ""
    output_format: Format = "text"
    tags: tuple[str, ...] = ()
    visibility: Visibility = "visible"
    extra_data: dict[str, Any] = {}


class Results(msgspec.Struct, forbid_unknown_fields=True):
    """results.json as Gradescope's specification has it."""

    tests: tuple[Case, ...]
    score: float | None = None
    execution_time: float | None = None
    output: str = ""
    output_format: Format = "simple_format"
    test_output_format: Format = "text"
    test_name_format: Format = "text"
    visibility: Visibility = "visible"
    stdout_visibility: Visibility = "hidden"
    extra_data: dict[str, Any] = {}
    leaderboard: tuple[dict[str, Any], ...] = ()


def export(course: Course, *arguments: object) -> Any:
    call = ["export", "hw1", "--to", "gradescope-autograder", "--course", str(course.root), *map(str, arguments)]
    return CliRunner().invoke(app, call)


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory) -> Course:
    """A small course in the middle of a term."""
    root = tmp_path_factory.mktemp("gradescope") / "course"
    course = small_course(root)
    for name in (
        "roster.csv",
        "gradebook.db",
        "submitted/jane/hw1/mlp.ipynb",
        "results/jane/hw1.json",
        "tests/test.py",
    ):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("id\njane\n")
    return course


@pytest.fixture(scope="module")
def archive(course: Course, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("archive") / NAME
    done = export(course, "--out-file", path)
    assert done.exit_code == 0, done.output
    return path


def unpacked(archive: Path, root: Path) -> Path:
    """What Gradescope makes of the archive when it builds the image: the layout of /autograder, here at `root`."""
    source = root / "source"
    with zipfile.ZipFile(archive) as opened:
        for info in opened.infolist():
            (source / opened.extract(info, source)).chmod(info.external_attr >> 16)
    shutil.copy2(source / "run_autograder", root)
    (root / "submission").mkdir()
    (root / "results").mkdir()
    return root


def run(root: Path, files: dict[str, bytes], metadata: bytes | None) -> subprocess.CompletedProcess[str]:
    """What Gradescope's harness does with a submission, in a container of its own."""
    for folder in ("submission", "results"):
        shutil.rmtree(root / folder)
        (root / folder).mkdir()
    for name, data in files.items():
        (root / "submission" / name).write_bytes(data)
    (root / "submission_metadata.json").unlink(missing_ok=True)
    if metadata is not None:
        (root / "submission_metadata.json").write_bytes(metadata)
    environment = {"PATH": os.environ["PATH"], "AUTOGRADER_ROOT": str(root), "AUTOGRADER_PYTHON": sys.executable}
    command = [str(root / "run_autograder")]
    return subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)


def results_of(root: Path) -> Results:
    return msgspec.json.decode((root / "results" / "results.json").read_bytes(), type=Results)


# The archive


def test_it_holds_what_grading_this_homework_needs_and_nothing_else(archive: Path) -> None:
    names = set(zipfile.ZipFile(archive).namelist())
    [wheel] = [name for name in names if name.endswith(".whl")]
    others = {
        "hw2": ("cnn", "rnn", "seq_classification", "theory"),
        "hw3": ("ocr", "theory"),
        "hw4": ("theory", "transformer"),
    }
    assert names == {
        *("run_autograder", "setup.sh", "requirements.lock", wheel),
        *("course/course.toml", "course/common.py", "course/.course-secret", "course/hw1/homework.toml"),
        *("course/hw1/mlp.py", "course/hw1/mistakes/mlp.toml", "course/release/hw1/mlp.ipynb"),
        *(f"course/hw1/hidden/test_{name}.py" for name in ("mlp", "sgd", "theory")),
        *(f"course/hw1/hidden/harness/{name}.py" for name in ("mlp", "sgd", "theory")),
        *(f"course/{name}/homework.toml" for name in others),
        *(f"course/release/{name}/{book}.ipynb" for name, books in others.items() for book in books),
    }


@pytest.mark.slow(seconds=8)
def test_shared_code_comes_along_where_a_master_asks_for_it(course: Course) -> None:
    secret = b"0"
    asking = [
        name
        for name in course.homeworks
        if any("\nfrom common import" in path.read_text() for path in (course.root / name).glob("*.py"))
    ]
    assert asking
    for name in course.homeworks:
        members = gradescope_autograder.members(course, course.homework(name), secret)
        books = [course.homework(name).master(spec.name).read_text() for spec in course.homework(name).notebooks]
        assert ("course/common.py" in members) == any("\nfrom common import" in text for text in books)


def test_the_same_course_makes_the_same_bytes(course: Course, archive: Path, tmp_path: Path) -> None:
    for path in course.root.rglob("*"):
        os.utime(path)
    assert export(course, "--out-file", tmp_path / NAME).exit_code == 0
    assert (tmp_path / NAME).read_bytes() == archive.read_bytes()


def test_only_the_two_scripts_may_be_run_and_only_by_their_owner_read_the_rest(archive: Path) -> None:
    modes = {info.filename: stat.S_IMODE(info.external_attr >> 16) for info in zipfile.ZipFile(archive).infolist()}
    assert modes.pop("setup.sh") == modes.pop("run_autograder") == 0o755
    assert set(modes.values()) == {0o600}
    assert stat.S_IMODE(archive.stat().st_mode) == 0o600


@pytest.mark.parametrize("script", ["setup.sh", "run_autograder"])
def test_the_scripts_are_bash(archive: Path, script: str) -> None:
    text = zipfile.ZipFile(archive).read(script)
    assert text.startswith(b"#!/usr/bin/env bash\n")
    assert subprocess.run(["bash", "-n"], input=text, check=False).returncode == 0


def test_all_that_is_installed_is_pinned_as_in_the_lock_and_is_no_tool_of_development(archive: Path) -> None:
    opened = zipfile.ZipFile(archive)
    pins = dict(line.split("==") for line in opened.read("requirements.lock").decode().splitlines())
    locked = re.findall(r"^([\w.-]+)==([^\s;]+)", (ROOT / "requirements.lock").read_text(), re.MULTILINE)
    assert set(pins.items()) <= set(locked)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    names = {kind: {re.match(r"[\w-]+", line).group() for line in lines} for kind, lines in (  # type: ignore[union-attr]
        ("needed", project["dependencies"]), ("dev", project["optional-dependencies"]["dev"]),
    )}  # fmt: skip
    assert names["needed"] <= set(pins)
    assert not {"uv", "ruff", "mypy", "import-linter", "pytest-xdist", "playwright"} & set(pins)
    setup = opened.read("setup.sh").decode()
    [wheel] = [name for name in opened.namelist() if name.endswith(".whl")]
    installs = [line for line in setup.replace("\\\n", " ").splitlines() if "pip install" in line]
    assert len(installs) == 3
    assert f" uv=={dict(locked)['uv']}" in installs[0]
    assert "--no-deps" in installs[1] and installs[1].endswith('-r "$source/requirements.lock"')
    assert "--no-deps --no-index" in installs[2] and installs[2].endswith(f'"$source/{wheel}"')


def test_the_package_in_it_can_be_installed_and_is_this_one(archive: Path, tmp_path: Path) -> None:
    opened = zipfile.ZipFile(archive)
    [name] = [name for name in opened.namelist() if name.endswith(".whl")]
    opened.extract(name, tmp_path)
    call = ["-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--no-compile", "--target"]
    subprocess.run([sys.executable, *call, tmp_path / "there", tmp_path / name], check=True)
    here, there = ROOT / "autograder", tmp_path / "there" / "autograder"
    files = {path.relative_to(here) for path in here.rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    assert {path.relative_to(there) for path in there.rglob("*") if path.is_file()} == files
    assert all((there / path).read_bytes() == (here / path).read_bytes() for path in files)


def test_the_export_tells_the_points_of_both_kinds(course: Course, archive: Path) -> None:
    done = export(course, "--dry-run")
    assert done.exit_code == 0 and "nothing was written" in done.output
    assert not (course.root / "results" / NAME).exists()
    [tested] = re.findall(r"Autograder points: ([\d.]+)", done.output)
    [written] = re.findall(r"\(step-reason\), ([\d.]+) points", done.output)
    release = json.loads(course.homework("hw1").release("mlp").read_text())
    points = [cell["metadata"].get("nbgrader", {}).get("points", 0) for cell in release["cells"]]
    assert float(tested) + float(written) == sum(points)


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (
            lambda root: (root / "course.toml").write_text((root / "course.toml").read_text() + 'floor = "none"\n'),
            "floor",
        ),
        (lambda root: (root / "release/hw1/mlp.ipynb").write_text("{}"), "autograder build"),
        (lambda root: (root / "hw1/hidden/test_mlp.py").unlink(), "test_mlp.py:1: this file is missing"),
    ],
    ids=["unconfined", "stale", "without tests"],
)
def test_what_could_not_be_graded_there_is_refused_here(tmp_path: Path, edit: Any, words: str) -> None:
    course = small_course(tmp_path / "course")
    toml = tmp_path / "course" / "course.toml"
    toml.write_text(re.sub(r"^floor.*\n", "", toml.read_text(), flags=re.MULTILINE))
    edit(course.root)
    done = export(course, "--out-file", tmp_path / NAME)
    assert done.exit_code == 2 and words in done.output
    assert not (tmp_path / NAME).exists()


@pytest.mark.parametrize("option", [("--partial",), ("--column", "x"), ("--into", "x.csv")])
def test_options_for_scores_are_a_wrong_call(course: Course, option: tuple[str, ...]) -> None:
    assert export(course, *option).exit_code == 2


# results.json


def test_who_handed_in_is_everybody_of_a_group_and_no_file_is_needed(tmp_path: Path) -> None:
    path = tmp_path / "submission_metadata.json"
    assert submitters(path) == "somebody"
    for text, who in (
        (json.dumps(METADATA), "Jane Doe, Max"),
        ('{"users": [{"name": "", "email": "a@b.c"}, {}]}', "a@b.c"),
        *(("{", "somebody"), ('{"users": 3}', "somebody"), ("", "somebody"), ("[" * 10**5, "somebody")),
    ):
        path.write_text(text)
        assert submitters(path) == who


def made(course: Course, *cells: CellResult, **changes: Any) -> Results:
    """results.json for a result with these cells."""
    fields: dict[str, Any] = {
        "notebook": "mlp", "title": "A <network>", "file": "mlp.ipynb", "score": 0, "max_score": 0, "cells": cells,
        "tier": "A", "seed": 0, "cpu_seconds": 0, "wall_seconds": 0, "peak_memory_mb": 0,
    }  # fmt: skip
    result = Result(
        schema=1, course="c", homework="hw1", title="T", student="s", score=0, max_score=0, tier="A", versions={},
        notebooks=(NotebookResult(**(fields | changes)),), graded_at="", cpu_seconds=0, wall_seconds=2.5,
    )  # fmt: skip
    return msgspec.json.decode(results_json(result, course.homework("hw1")), type=Results)


def test_an_exercise_that_waits_has_no_score_and_says_so(course: Course) -> None:
    found = made(
        course,
        CellResult(grade_id="a", title="A", points=3, earned=1.5),
        CellResult(grade_id="b", title="B", points=2, earned=None, note="Your instructor has to look."),
        CellResult(grade_id="step-reason", title="blank", points=1, earned=0.0),
        CellResult(grade_id="d", title="D", points=0, earned=0.0),
    )
    assert [(case.score, case.max_score, case.status) for case in found.tests] == [
        *((1.5, 3, "failed"), (None, None, None), (None, None, None), (None, None, None))
    ]
    assert found.score == 1.5 and found.execution_time == 2.5
    assert "Your instructor has to look." in found.tests[1].output
    assert "Your instructor has to look at it. Until then" in found.tests[1].output
    assert "A person will mark this answer. Until then" in found.tests[2].output


def test_what_students_wrote_is_escaped(course: Course) -> None:
    attack = "<script>alert(1)</script>\x1b[31m\ud800"
    found = made(
        course,
        CellResult(grade_id="a", title=attack, points=3, earned=0.0, note=attack, causes=(attack,)),
        incidents=(Incident(kind="crash", cell=attack, note=attack),),
        repairs=(Repair(kind="restored", cell=attack, note=attack),),
    )
    texts = [found.output, found.tests[0].output]
    assert all("&lt;script&gt;alert(1)&lt;/script&gt;" in text and "<script" not in text for text in texts)
    assert "A &lt;network&gt;" in found.output and "\x1b" not in "".join(texts)
    assert found.test_name_format == "text" and found.output_format == found.test_output_format == "html"


# As Gradescope runs it


@pytest.fixture(scope="module")
def root(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return unpacked(archive, tmp_path_factory.mktemp("container") / "autograder")


@pytest.fixture(scope="module")
def desk(course: Course) -> SubmissionWriter:
    return SubmissionWriter(course.homework("hw1"), "mlp")


@pytest.fixture(scope="module")
def class_results(course: Course, desk: SubmissionWriter, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results of `autograder grade` for the same submissions."""
    submitted, out = tmp_path_factory.mktemp("submitted"), tmp_path_factory.mktemp("results")
    for student, files in submissions(desk).items():
        (submitted / student / "hw1").mkdir(parents=True)
        for name, data in files.items():
            (submitted / student / "hw1" / name).write_bytes(data)
    (submitted / "empty" / "hw1" / "notes.txt").write_text("nothing")  # `grade` leaves out an empty folder
    (course.root / "roster.csv").unlink()
    call = ["grade", "hw1", "--course", str(course.root), "--submitted", str(submitted), "--out", str(out)]
    CliRunner().invoke(app, call)
    return out


def submissions(desk: SubmissionWriter) -> dict[str, dict[str, bytes]]:
    return {
        "right": {"mlp.ipynb": dump(desk.solved())},
        "wrong": {"my work (2).ipynb": dump(desk.solved(next(iter(desk.mistakes)))), "notes.txt": b"x"},
        "empty": {},
    }


@pytest.mark.slow(seconds=40)
@pytest.mark.parametrize(
    ("student", "metadata"), [("right", json.dumps(METADATA).encode()), ("wrong", b"{"), ("empty", None)]
)
def test_scores_and_words_are_those_of_a_class_run(
    root: Path, desk: SubmissionWriter, class_results: Path, student: str, metadata: bytes | None
) -> None:
    done = run(root, submissions(desk)[student], metadata)
    assert done.returncode == 0, done.stdout + done.stderr
    found = results_of(root)
    [book] = record.read(class_results / student / "hw1.json").notebooks
    tested = [cell for cell in book.cells if cell.grade_id not in MARKED_BY_HAND and cell.points]
    cases = {case.name: case for case in found.tests}
    assert {f"mlp: {cell.title}" for cell in book.cells} == set(cases)
    for cell in tested:
        case = cases[f"mlp: {cell.title}"]
        assert (case.score, case.max_score) == (cell.earned, cell.points)
        assert case.status == ("passed" if cell.earned == cell.points else "failed")
    assert found.score == pytest.approx(sum(cell.earned or 0 for cell in tested))
    assert (found.score == sum(cell.points for cell in tested)) == (student == "right")
    assert cases[f"mlp: {cell_of(book, 'step-reason').title}"].score is None
    page = "".join((class_results / student / "hw1.html").read_text().split())
    by_machine = (case.output for name, case in cases.items() if "step-reason" not in name)
    assert [text for text in by_machine if "".join(text.split()) not in page] == []
    assert found.stdout_visibility == "hidden"
    assert ("Jane Doe, Max" if student == "right" else "somebody") in done.stdout


_READS = """
import os
got = [entry for entry in os.walk({root!r})]
for path in {paths!r}:
    for look in (lambda: open(path, "rb").read(1), lambda: os.listdir(path)):
        try:
            look()
        except OSError:
            continue
        got.append(path)
print("GOT", len(got), got[:3])
"""
_WRITES = """
for folder in {folders!r}:
    for write in (
        lambda: os.makedirs(folder),
        lambda: open(folder + "/results.json", "w").write('{{"score": 100}}'),
        lambda: open(folder + "/source/course/course.toml", "a").write("#"),
    ):
        try:
            write()
        except OSError:
            pass
"""


def printed(result: Result) -> list[str]:
    """What the cell that reads has printed."""
    return [output.text for output in result.notebooks[0].outputs if output.text.startswith("GOT")]


@pytest.mark.slow(seconds=25)
def test_a_submission_reads_neither_the_answers_nor_its_results_and_writes_no_results(
    root: Path, desk: SubmissionWriter
) -> None:
    source, results = root / "source", root / "results"
    paths = [str(path) for path in source.rglob("*")] + [str(results / "results.json"), str(root / "run_autograder")]
    reads = _READS.format(root=str(root), paths=paths)
    writes = _WRITES.format(folders=[str(root), str(results)])
    hostile = {"mlp.ipynb": dump(desk.with_cell(reads + writes, desk.untouched(), at=0))}
    before = {path: path.read_bytes() for path in source.rglob("*") if path.is_file()}
    assert run(root, hostile, json.dumps(METADATA).encode()).returncode == 0
    found = results_of(root)
    assert found.score == 0
    assert {path: path.read_bytes() for path in source.rglob("*") if path.is_file()} == before
    course = open_course(source / "course")
    homework = course.homework("hw1")
    with GradingServer(homework, course.floor) as server:
        assert printed(server.grade("spy", root / "submission")) == ["GOT 0 []\n"]
    (root / "submission" / "mlp.ipynb").write_bytes(dump(desk.with_cell(reads, desk.untouched(), at=0)))
    with GradingServer(homework, "none", "none") as server:  # without a sandbox, the same cell finds everything
        [found_without] = printed(server.grade("spy", root / "submission"))
    assert int(found_without.split()[1]) >= len(paths)
    secret = (source / "course" / ".course-secret").read_text()
    words = (results / "results.json").read_text()
    assert all(text not in words for text in (secret, "def test_", "BEGIN SOLUTION", str(root)))


@pytest.mark.slow(seconds=20)
def test_a_machine_that_confines_too_little_gives_no_score(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`course.toml` asks for A where there is C at best: no results.json, so that Gradescope reports a failure."""
    monkeypatch.setattr(gradescope, "GradingServer", lambda homework, floor, **more: GradingServer(homework, "A", "C"))
    (root / "results" / "results.json").write_text('{"score": 3}')
    assert gradescope.main("hw1", root) == 1
    assert list((root / "results").iterdir()) == []
    said = capsys.readouterr().out
    assert "floor is A, but this machine" in said and "was not graded" in said


@pytest.mark.parametrize("broken", ["submission", "course.toml"])
def test_a_broken_image_gives_no_score(archive: Path, tmp_path: Path, broken: str) -> None:
    root = unpacked(archive, tmp_path / "autograder")
    if broken == "submission":
        (root / "submission").rmdir()
    else:
        (root / "source" / "course" / "course.toml").write_text("[")
    assert gradescope.main("hw1", root) == 1
    assert list((root / "results").iterdir()) == []


def test_grading_that_is_lost_is_tried_again_and_then_gives_no_score(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root, calls = unpacked(archive, tmp_path / "autograder"), []

    class Losing:
        def __init__(self, homework: object, floor: str, submissions: int) -> None: ...

        def __enter__(self) -> Losing:
            return self

        def __exit__(self, *why: object) -> None: ...

        def grade(self, student: str, folder: Path) -> Result:
            calls.append(student)
            raise gradescope.Lost("the process was killed")

    monkeypatch.setattr(gradescope, "GradingServer", Losing)
    assert gradescope.main("hw1", root) == 1
    assert len(calls) == 2 and "the process was killed" in capsys.readouterr().out
    assert list((root / "results").iterdir()) == []
