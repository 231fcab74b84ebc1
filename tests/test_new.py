"""A new course is a course: it builds, its audits find nothing, it grades; and one more homework joins it."""

from __future__ import annotations

import fnmatch
import json
import shutil
import tomllib
from importlib.resources import files
from pathlib import Path

import pytest
from typer.testing import CliRunner

from autograder.cli import app
from autograder.course import build, shared_code, starting
from autograder.course.course import Course, CourseError, open_course
from autograder.proving import audit, hostile, mutation
from autograder.proving.example_class import SubmissionWriter

ROOT = Path(__file__).parents[1]
TEMPLATES = ROOT / "autograder" / "course" / "templates"
HOMEWORK = {
    "homework.toml",
    "kmeans.py",
    "hidden/test_kmeans.py",
    "hidden/harness/kmeans.py",
    "mistakes/kmeans.toml",
    "alternatives/kmeans-matrices.py",
}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Course:
    """A new course after its build."""
    root = tmp_path_factory.mktemp("new") / "machine-learning"
    starting.new_course(root)
    build.build(open_course(root))
    return open_course(root)


@pytest.fixture
def course(tmp_path: Path) -> Course:
    """A new course, to change."""
    starting.new_course(tmp_path / "course")
    return open_course(tmp_path / "course")


def run(*arguments: object) -> tuple[int, str]:
    said = CliRunner().invoke(app, [str(argument) for argument in arguments])
    return said.exit_code, said.output


def below(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


# ---- a course


def test_a_new_course_has_one_homework_and_keeps_its_secret_out_of_git(course: Course) -> None:
    beside = {"course.toml", "README.md", "LICENSE", ".gitignore", "nbgrader_config.py", "common.py"}
    assert below(course.root) == beside | {f"hw1/{name}" for name in HOMEWORK}
    ignored = (course.root / ".gitignore").read_text(encoding="utf-8")
    assert all(
        f"/{name}\n" in ignored
        for name in (".course-secret", "roster.csv", "collected/", "Grades*.csv", "submissions*.zip", "pages/")
    )


@pytest.mark.parametrize(
    ("folder", "name", "title"),
    [("ML 2", "ml-2", "ML 2"), ("übung_3", "bung-3", "übung 3"), ('a"b', "a-b", 'a"b'), ("--", "course", "My course")],
)
def test_a_course_is_called_as_its_folder(tmp_path: Path, folder: str, name: str, title: str) -> None:
    starting.new_course(tmp_path / folder)
    opened = open_course(tmp_path / folder)
    assert (opened.id, opened.title, opened.has_repository) == (name, title, False)
    assert (tmp_path / folder / "README.md").read_text(encoding="utf-8").startswith(f"# {title}\n")


def test_it_builds_and_is_not_stale(built: Course) -> None:
    assert build.stale(built) == ()


def test_the_build_fills_its_readme(built: Course) -> None:
    row = (
        "| [`hw1/kmeans`](hw1/kmeans.py) | Groups without labels | 9 | 7 | 40 | [![Open this notebook in Google Colab]"
    )
    assert row in (built.root / "README.md").read_text(encoding="utf-8")


@pytest.mark.slow(seconds=6)
def test_its_audit_finds_nothing(built: Course) -> None:
    rows = audit.audit(built, built.homework("hw1"))
    assert {row.name: row.wrong for row in rows if row.wrong} == {}
    assert {row.kind for row in rows} == {"master", "untouched", "mistake", "alternative"}


@pytest.mark.slow(seconds=20)
def test_nor_do_the_audits_by_machine(built: Course) -> None:
    homework = built.homework("hw1")
    assert [row for row in audit.audit(built, homework, by_machine=True) if row.wrong] == []
    assert [mutation.report(found) for found in mutation.mutation(built, homework) if found.findings] == []
    assert list(hostile.hostile(built, homework)) == []


@pytest.mark.slow(seconds=8)
def test_it_grades_and_explains(built: Course) -> None:
    desk = SubmissionWriter(built.homework("hw1"), "kmeans")
    for student, book in {"ada": desk.solved(), "ben": desk.solved("root"), "eve": desk.untouched()}.items():
        folder = built.root / "submitted" / student / "hw1"
        folder.mkdir(parents=True)
        (folder / "kmeans.ipynb").write_text(json.dumps(book), encoding="utf-8")
    code, said = run("grade", "hw1", "--course", built.root, "--workers", 2, "--json", "--allow-unconfined")
    lines = {line["student"]: line for line in map(json.loads, said.splitlines())}
    assert code == 0 and {student: line["score"] for student, line in lines.items()} == {"ada": 7, "ben": 4, "eve": 0}
    assert "mistake root" in lines["ben"]["found"]


# ---- a homework


def test_a_homework_joins_a_course_which_stays_as_it_was_otherwise(course: Course) -> None:
    before = (course.root / "course.toml").read_text(encoding="utf-8")
    starting.new_homework(course, "hw5")
    assert below(course.root / "hw5") == HOMEWORK
    assert (course.root / "course.toml").read_text(encoding="utf-8") == before.replace('["hw1"]', '["hw1", "hw5"]')
    build.build(open_course(course.root))
    assert build.stale(open_course(course.root)) == ()


@pytest.mark.parametrize(
    "common", [(ROOT / "common.py").read_text(encoding="utf-8"), "", "def compare(a, b):\n    pass\n"]
)
def test_a_homework_joins_a_course_whatever_its_shared_code_offers(course: Course, common: str) -> None:
    path = course.root / "common.py"
    path.unlink()
    if common:
        path.write_text(common, encoding="utf-8")
    starting.new_homework(course, "hw5")
    shutil.rmtree(course.root / "hw1")  # it takes show_figure
    settings = course.root / "course.toml"
    settings.write_text(settings.read_text(encoding="utf-8").replace('["hw1", "hw5"]', '["hw5"]'), encoding="utf-8")
    build.build(open_course(course.root))
    text = (course.root / "hw5" / "kmeans.py").read_text(encoding="utf-8")
    assert ("show_figure(" in text, "plt.show()" in text) == (("show_figure" in common), ("show_figure" not in common))


def test_a_new_course_shows_figures_as_this_one_does() -> None:
    one, other = (shared_code.expanded("from common import show_figure", root) for root in (ROOT, TEMPLATES / "course"))
    assert one == other


@pytest.mark.parametrize(
    ("listed", "after"),
    [
        ("[ 'hw1' ]", "[ 'hw1', \"hw2\" ]"),
        ('[\n  "hw1",  # the first\n]', '[\n  "hw1", "hw2",  # the first\n]'),
        ('["hw1",]', '["hw1", "hw2",]'),
        ('["hw1"]\r', '["hw1", "hw2"]\r'),
    ],
)
def test_course_toml_keeps_its_form(course: Course, listed: str, after: str) -> None:
    path = course.root / "course.toml"
    before = path.read_text(encoding="utf-8").replace('["hw1"]', listed)
    path.write_bytes(before.encode())
    starting.new_homework(open_course(course.root), "hw2")
    assert path.read_bytes().decode() == before.replace(listed, after)
    assert open_course(course.root).homeworks == ("hw1", "hw2")


@pytest.mark.parametrize("line", ['"homeworks" = ["hw1"]', '  homeworks = ["hw1"]', 'homeworks = ["hw1" # "a"\n]'])
def test_a_course_toml_that_cannot_be_changed_safely_is_left_as_it_is(course: Course, line: str) -> None:
    path = course.root / "course.toml"
    text = path.read_text(encoding="utf-8").replace('homeworks = ["hw1"]', line)
    path.write_text(text, encoding="utf-8")
    with pytest.raises(CourseError, match=r'write there homeworks = \["hw1", "hw2"\], then run this again'):
        starting.new_homework(open_course(course.root), "hw2")
    assert path.read_text(encoding="utf-8") == text and not (course.root / "hw2").exists()


def test_a_homework_that_is_listed_already_is_made(course: Course) -> None:
    path = course.root / "course.toml"
    path.write_text(path.read_text(encoding="utf-8").replace('["hw1"]', '["hw1", "hw2"]'), encoding="utf-8")
    starting.new_homework(open_course(course.root), "hw2")
    assert below(course.root / "hw2") == HOMEWORK and open_course(course.root).homeworks == ("hw1", "hw2")


@pytest.mark.parametrize("name", ["hw1", "source", "results", "5x", "a/b", "..", "", "hw 2", "-x", "course.toml"])
def test_a_name_that_is_taken_or_none_is_refused(course: Course, name: str) -> None:
    before = below(course.root)
    with pytest.raises(CourseError):
        starting.new_homework(course, name)
    assert below(course.root) == before


# ---- the command


def test_within_a_course_a_plain_name_is_a_homework(course: Course, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(course.root / "hw1")
    code, said = run("new", "hw2")
    assert code == 0 and "Next: edit hw2/, then `autograder build hw2` and `autograder audit hw2`." in said
    assert (course.root / "hw2" / "kmeans.py").is_file()


def test_outside_a_name_is_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    code, said = run("new", "physics")
    assert code == 0 and "Next: cd physics; " in said and (tmp_path / "physics" / "course.toml").is_file()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("hw5", "hw5: there is no course here to add it to"),
        ("full", "full: this is not an empty folder (mine.txt)"),
        ("full/mine.txt", "mine.txt: this is not an empty folder, but a file"),
        ("course/inner", "course/inner: this is in the course"),
    ],
)
def test_a_wrong_call_writes_nothing(
    course: Course, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, words: str
) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    before = below(tmp_path)
    monkeypatch.chdir(tmp_path)
    code, said = run("new", name)
    assert code == 2 and words in said and below(tmp_path) == before


def test_a_broken_course_toml_is_named(course: Course, monkeypatch: pytest.MonkeyPatch) -> None:
    (course.root / "course.toml").write_text("id =")
    monkeypatch.chdir(course.root)
    code, said = run("new", "hw2")
    assert code == 2 and "course.toml: " in said


def test_a_disk_that_is_full_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = Path.write_bytes

    def failing(path: Path, data: bytes) -> int:
        if path.name == "kmeans.py":
            raise OSError(28, "No space left on device")
        return write(path, data)

    monkeypatch.setattr(Path, "write_bytes", failing)
    with pytest.raises(CourseError, match="No space left on device"):
        starting.new_course(tmp_path / "course")
    assert list(tmp_path.iterdir()) == []


def test_a_fresh_clone_is_filled(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "HEAD").write_text("ref: refs/heads/main\n")
    starting.new_course(tmp_path)
    assert (tmp_path / "hw1" / "kmeans.py").is_file() and (tmp_path / ".git" / "HEAD").is_file()


# ---- the templates


def test_the_package_carries_every_template() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    [pattern] = settings["package-data"]["autograder.course"]
    carried = {path for path in (TEMPLATES.parent).glob(pattern) if path.is_file() and "__pycache__" not in path.parts}
    assert carried == {path for path in TEMPLATES.rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    hidden = [path for path in carried if any(fnmatch.fnmatch(part, ".*") for part in path.parts[-3:])]
    assert hidden == []  # such a file is left out of a wheel


def test_nbgraders_settings_are_those_of_this_course() -> None:
    ours = (ROOT / "nbgrader_config.py").read_bytes()
    assert (files("autograder.course") / "templates" / "course" / "nbgrader_config.py").read_bytes() == ours


def test_compiled_files_are_not_copied(tmp_path: Path) -> None:
    copy = tmp_path / "templates"
    shutil.copytree(TEMPLATES / "homework", copy)
    (copy / "hidden" / "__pycache__").mkdir(exist_ok=True)
    (copy / "hidden" / "__pycache__" / "test_kmeans.cpython-311.pyc").write_bytes(b"x")
    assert {path.as_posix() for path in starting._texts(copy)} == HOMEWORK
