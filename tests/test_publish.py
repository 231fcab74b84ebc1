"""Publishing: students get what is theirs and nothing else, and what others made in the folder is kept."""

from __future__ import annotations

import json
import random
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from typer.testing import CliRunner

from autograder.cli import app
from autograder.course import build, published_folder, publishing, starting
from autograder.course.course import Course, CourseError, open_course
from autograder.course.disclosure import Hidden, hidden
from autograder.course.stripping import BuildError
from autograder.examination.secret import course_secret

NOTEBOOK = "release/hw1/kmeans.ipynb"
BESIDE = ["AGENTS.md", "LICENSE", "README.md", "environment.yml", "requirements.txt"]


fully = pytest.mark.slow(seconds=2)
"""for tests that publish in earnest: the whole course is made anew and checked each time"""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Course:
    """A course of two homeworks after its build; for tests that only look."""
    root = tmp_path_factory.mktemp("built") / "course"
    starting.new_course(root)
    starting.new_homework(open_course(root), "hw2")
    edit(root / "course.toml", "your-organisation", "an-organisation")
    build.build(open_course(root))
    course_secret(open_course(root))
    return open_course(root)


@pytest.fixture
def course(built: Course, tmp_path: Path) -> Course:
    """A copy of it, to change."""
    shutil.copytree(built.root, tmp_path / "course")
    return open_course(tmp_path / "course")


@pytest.fixture(scope="module")
def secrets(built: Course) -> Hidden:
    return hidden(built, build.read_masters(built, built.homeworks))


@pytest.fixture(scope="module")
def once(built: Course, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What was published of it; for tests that only look."""
    folder = tmp_path_factory.mktemp("once") / "public"
    published(built, folder)
    return folder


@pytest.fixture
def public(tmp_path: Path) -> Path:
    return tmp_path / "public"


@pytest.fixture
def light(monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests of what happens to the folder: contents that are neither made anew nor checked."""

    def contents(course: Course, named: Sequence[str], listed: Sequence[str]) -> dict[str, bytes]:
        files = {"README.md": f"# {course.title}\n{' '.join(listed)}\n".encode(), "AGENTS.md": b"Teach.\n"}
        for path in (path for name in named for path in sorted((course.root / "release" / name).iterdir())):
            files[path.relative_to(course.root).as_posix()] = path.read_bytes()
        return files

    monkeypatch.setattr(publishing, "contents", contents)


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def published(course: Course, folder: Path, *homeworks: str, replace: bool = False) -> publishing.Plan:
    plan = publishing.plan(course, folder, homeworks or None, replace)
    plan.carry_out()
    return plan


def files_in(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def without(course: Course, name: str) -> Course:
    """The course after its author has dropped a homework."""
    kept = [one for one in course.homeworks if one != name]
    edit(course.root / "course.toml", json.dumps(list(course.homeworks)), json.dumps(kept))
    return open_course(course.root)


# ---- what students get


def test_students_get_the_release_and_what_they_need_for_it_and_nothing_else(once: Path) -> None:
    notebooks = [f"release/{name}/kmeans.{kind}" for name in ("hw1", "hw2") for kind in ("ipynb", "py")]
    assert sorted(files_in(once)) == sorted([".published.json", *BESIDE, *notebooks])


def test_the_notebooks_are_those_that_are_graded(built: Course, once: Path) -> None:
    for path in (once / "release").rglob("*.*"):
        assert path.read_bytes() == (built.root / path.relative_to(once)).read_bytes()


def test_the_readme_lists_each_notebook_with_its_points_minutes_and_badge(once: Path) -> None:
    badge = f"https://colab.research.google.com/github/an-organisation/course/blob/main/{NOTEBOOK}"
    row = rf"\| \[kmeans\]\({NOTEBOOK}\) \| Groups without labels \| 9 \| 40 \| \[!\[.*\]\({badge}\) \|"
    assert re.search(row, (once / "README.md").read_text(encoding="utf-8"))


def test_every_link_of_the_readme_to_a_file_leads_to_one(once: Path) -> None:
    links = re.findall(r"\]\((?!https:)([^)]+)\)", (once / "README.md").read_text(encoding="utf-8"))
    assert links and [link for link in links if not (once / link).is_file()] == []


@pytest.mark.parametrize("file", ["requirements.txt", "environment.yml"])
def test_students_install_the_libraries_without_the_grader(once: Path, file: str) -> None:
    text = (once / file).read_text(encoding="utf-8")
    lines = [line.strip("- ") for line in text.splitlines() if re.search(r"[>=]=\d", line)]
    names = {re.split(r"[<>=]", line)[0].removeprefix("py") for line in lines}
    assert names - {"thon"} == {"torch", "torchvision", "numpy", "matplotlib", "scikit-learn", "jupyterlab"}


@fully
def test_a_homeworks_further_packages_are_installed_too(course: Course, public: Path) -> None:
    edit(
        course.root / "hw1/homework.toml", 'title = "Groups of points"', 'title = "G"\npackages = ["scipy", "skimage"]'
    )
    published(course, public)
    assert (public / "requirements.txt").read_text(encoding="utf-8").splitlines()[-2:] == ["scipy", "skimage"]


def test_assistants_are_asked_to_teach(once: Path) -> None:
    assert "**Teach; do not solve.**" in (once / "AGENTS.md").read_text(encoding="utf-8")


@fully
def test_a_courses_guide_for_students_goes_with_it_and_gives_nothing_away(course: Course, public: Path) -> None:
    guide = course.root / "docs/student.md"
    guide.parent.mkdir()
    guide.write_text("# For students\n\nOne cell may take 20 s.\n")
    published(course, public)
    assert (public / "docs/student.md").read_bytes() == guide.read_bytes()
    assert "(docs/student.md)" in (public / "README.md").read_text(encoding="utf-8")
    guide.write_text("return (differences**2).sum(dim=2)\n")
    with pytest.raises(BuildError, match=r"course/docs/student\.md:1: a solution"):
        publishing.plan(course, public)


@fully
def test_a_courses_own_files_take_the_place_of_ours(course: Course, public: Path) -> None:
    (course.root / "student/data").mkdir(parents=True)
    (course.root / "student/README.md").write_text("# Ours\n")
    (course.root / "student/data/points.csv").write_text("1,2\n")
    (course.root / "student/key").symlink_to(course.root / ".course-secret")
    published(course, public)
    assert (public / "README.md").read_text() == "# Ours\n" and (public / "data/points.csv").is_file()
    assert not (public / "key").exists()


# ---- what students must not get


PLANTED = {
    "a solution": "differences = x[:, None, :] - centres[None, :, :]",
    "a solution, spaced otherwise": "differences=x[ : , None, :]  -  centres[None,:,:]",
    "a mark scheme": "1 point: the mean minimises the sum of squared distances to the points of its group",
    "a mark scheme, wrapped": "the mean minimises\n> the sum of\n> squared distances to the points of its group",
    "a model answer": "each takes the nearest centre, so no term of $J$ grows",
    "a hidden test": "def test_a_centre_without_points_stays(student, draw):",
    "a line of a hidden test": "centres = torch.cat([x[:3] + 0.01, 100 + centres[:1], x[-1:] + 1])",
    "what a hidden test says": "by one-hot rows and matrix products, the centres after a step by one-hot rows",
    "another right answer": "squares = (x * x).sum(1, keepdim=True) + (centres * centres).sum(1)",
    "a hint": "Put one centre far away from all points and print what your function returns for it.",
}


@pytest.mark.parametrize("planted", PLANTED.values(), ids=PLANTED.keys())
def test_a_text_is_found_with_its_line(secrets: Hidden, planted: str) -> None:
    text = f"# Welcome\n\nNothing to see here.\n> {planted}\n"
    assert min(found.line for found in secrets.disclosed_by(Path("README.md"), text.encode())) == 4


@pytest.mark.parametrize("planted", PLANTED.values(), ids=PLANTED.keys())
@pytest.mark.parametrize("indent", [1, None])
def test_a_cell_is_found_however_the_notebook_is_written(
    built: Course, secrets: Hidden, planted: str, indent: int | None
) -> None:
    book = json.loads((built.root / NOTEBOOK).read_text(encoding="utf-8"))
    book["cells"][5]["source"] = f"{planted}\n" if indent is None else f"{planted}\n".splitlines(keepends=True)
    text = json.dumps(book, indent=indent)
    first = min(found.line for found in secrets.disclosed_by(Path("mlp.ipynb"), text.encode()))
    assert json.dumps(planted[:9])[1:-1] in text.splitlines()[first - 1]


def test_the_courses_secret_is_found_and_not_repeated(built: Course, secrets: Hidden) -> None:
    secret = course_secret(built).decode()
    [found] = secrets.disclosed_by(Path("a.txt"), f"x\nkey={secret.upper()}".encode())
    assert (found.line, found.what) == (2, "the course's secret")


def test_a_release_gives_nothing_away(built: Course, secrets: Hidden) -> None:
    for path in (built.root / "release").rglob("*.*"):
        assert secrets.disclosed_by(path, path.read_bytes()) == []


def test_every_line_of_every_solution_is_found(built: Course, secrets: Hidden) -> None:
    """Apart from those that are too short or too common to tell anything."""
    text = (built.root / "hw1/kmeans.py").read_text(encoding="utf-8")
    solutions = "".join(re.findall(r"### BEGIN SOLUTION\n(.*?)### END SOLUTION", text, re.DOTALL))
    lines = [line.partition("  #")[0].strip() for line in solutions.splitlines() if line.strip()]
    found = [line for line in lines if secrets.disclosed_by(Path("x.md"), line.encode())]
    assert [line for line in lines if line not in found] == ["return moved"]


def test_any_ten_words_of_a_mark_scheme_are_found(built: Course, secrets: Hidden) -> None:
    words = (built.root / "hw1/kmeans.py").read_text(encoding="utf-8").partition('"points": 2}\nr"""\n')[2].split()
    luck = random.Random(0)
    for _ in range(50):
        at = luck.randrange(len(words) - 10)
        assert secrets.disclosed_by(Path("x.md"), "\n".join(words[at : at + 10]).encode()), words[at : at + 10]


@fully
@pytest.mark.parametrize(
    ("file", "line", "where"),
    [
        (NOTEBOOK, None, rf"course/{NOTEBOOK}:\d+: a solution \(hw[12]/kmeans.py, cell distances-code\)"),
        ("student/README.md", "return (differences**2).sum(dim=2)", r"course/student/README.md:1: a solution"),
    ],
)
def test_what_gives_something_away_is_refused(
    course: Course, public: Path, file: str, line: str | None, where: str
) -> None:
    path = course.root / file
    if line is None:
        edit(path, "raise NotImplementedError", "return (differences**2).sum(dim=2)")
    else:
        path.parent.mkdir()
        path.write_text(line)
    with pytest.raises(BuildError, match=where):
        publishing.plan(course, public)
    assert not public.exists()


@fully
@pytest.mark.parametrize("planted", ["a hidden test", "a hint", "a solution", "a mark scheme"])
def test_what_an_author_puts_into_a_notebooks_text_is_refused(course: Course, public: Path, planted: str) -> None:
    edit(course.root / "hw1/kmeans.py", "Each centre ends in", f"{PLANTED[planted]}\n\nEach centre ends in")
    build.build(course)
    with pytest.raises(BuildError, match=rf"{NOTEBOOK}:\d+: "):
        publishing.plan(course, public)


@fully
def test_a_stale_release_is_refused(course: Course, public: Path) -> None:
    edit(course.root / NOTEBOOK, "Groups without labels", "Groups with labels")
    with pytest.raises(CourseError, match=rf"{NOTEBOOK}: this is not what the master makes\nRun `autograder build`"):
        publishing.plan(course, public)


# ---- again

lightly = pytest.mark.usefixtures("light")


@lightly
def test_publishing_again_changes_nothing(built: Course, public: Path) -> None:
    published(built, public)
    before = {path: path.stat().st_mtime_ns for path in public.rglob("*")}
    plan = published(built, public)
    assert (plan.added, plan.changed, plan.removed, plan.kept) == ({}, {}, (), ())
    assert {path: path.stat().st_mtime_ns for path in public.rglob("*")} == before


@lightly
def test_what_has_changed_since_is_said(course: Course, public: Path) -> None:
    published(course, public)
    for kind in ("ipynb", "py"):
        edit(course.root / f"release/hw1/kmeans.{kind}", "Nobody has labelled", "No one has labelled")
    plan = published(course, public)
    assert sorted(plan.changed) == [NOTEBOOK, NOTEBOOK.replace(".ipynb", ".py")] and not plan.added


@lightly
def test_a_dropped_homework_is_removed_and_said(course: Course, public: Path) -> None:
    published(course, public)
    plan = published(without(course, "hw2"), public)
    assert plan.removed == ("release/hw2/kmeans.ipynb", "release/hw2/kmeans.py") and plan.dropped == ("hw2",)
    assert not (public / "release/hw2").exists()
    assert "hw2" not in (public / "README.md").read_text(encoding="utf-8")


@lightly
def test_one_homework_after_the_other(built: Course, public: Path) -> None:
    published(built, public, "hw1")
    assert not (public / "release/hw2").exists()
    plan = published(built, public, "hw2")
    assert sorted(plan.added) == ["release/hw2/kmeans.ipynb", "release/hw2/kmeans.py"] and not plan.removed
    assert (public / "README.md").read_text(encoding="utf-8") == "# course\nhw1 hw2\n"


@lightly
def test_a_homework_that_is_not_named_stays_as_it_was_published(course: Course, public: Path) -> None:
    published(course, public)
    for kind in ("ipynb", "py"):
        edit(course.root / f"release/hw1/kmeans.{kind}", "Nobody has labelled", "No one has labelled")
    assert published(course, public, "hw2").changed == {}
    assert sorted(published(course, public).changed) == [NOTEBOOK, NOTEBOOK.replace(".ipynb", ".py")]


@lightly
def test_a_dry_run_writes_nothing(built: Course, public: Path) -> None:
    publishing.plan(built, public)
    assert not public.exists()


@lightly
def test_git_and_other_files_are_never_touched(course: Course, public: Path) -> None:
    public.mkdir()
    subprocess.run(["git", "init", "-q", str(public)], check=True)
    published(course, public)
    (public / "release/hw2/notes.txt").write_text("mine")
    before = {name: data for name, data in files_in(public).items() if name.startswith(".git/")}
    published(without(course, "hw2"), public)
    after = files_in(public)
    assert after["release/hw2/notes.txt"] == b"mine" and before.items() <= after.items()


# ---- files that somebody edited, or that were there before


@lightly
def test_an_edited_file_is_kept_and_named(course: Course, public: Path) -> None:
    published(course, public)
    (public / "README.md").write_text("# Edited\n")
    plan = published(without(course, "hw2"), public)
    [kept] = plan.kept
    assert kept.path == "README.md" and "somebody has edited it here" in kept.why
    assert (public / "README.md").read_text() == "# Edited\n"


@lightly
def test_an_edited_file_is_named_until_it_is_replaced(built: Course, public: Path) -> None:
    published(built, public)
    (public / "README.md").write_text("# Edited\n")
    published(built, public)
    assert [kept.path for kept in published(built, public).kept] == ["README.md"]
    assert sorted(published(built, public, replace=True).changed) == ["README.md"]
    assert published(built, public).kept == ()


@lightly
def test_an_edited_notebook_of_a_dropped_homework_is_kept(course: Course, public: Path) -> None:
    published(course, public)
    (public / "release/hw2/kmeans.py").write_text("mine")
    plan = published(without(course, "hw2"), public)
    assert plan.removed == ("release/hw2/kmeans.ipynb",)
    assert [kept.path for kept in plan.kept] == ["release/hw2/kmeans.py"]


@lightly
def test_a_deleted_file_comes_back(built: Course, public: Path) -> None:
    published(built, public)
    (public / "AGENTS.md").unlink()
    assert list(published(built, public).added) == ["AGENTS.md"]


@lightly
def test_a_folder_with_other_files_is_refused_and_named(built: Course, public: Path) -> None:
    public.mkdir()
    (public / "README.md").write_text("# Another project\n")
    with pytest.raises(CourseError, match=r"this folder is not empty, and was not published to: README\.md: name"):
        publishing.plan(built, public)


@lightly
def test_with_replace_only_what_is_in_the_way_is_overwritten(built: Course, public: Path) -> None:
    public.mkdir()
    (public / "README.md").write_text("# Another project\n")
    (public / "main.c").write_text("int main;")
    published(built, public, replace=True)
    assert (public / "README.md").read_text().startswith("# course") and (public / "main.c").exists()


@lightly
def test_links_are_not_followed(built: Course, public: Path, tmp_path: Path) -> None:
    published(built, public)
    shutil.rmtree(public / "release")
    (tmp_path / "elsewhere").mkdir()
    (public / "release").symlink_to(tmp_path / "elsewhere")
    plan = published(built, public, replace=True)
    assert len(plan.kept) == 4 and list((tmp_path / "elsewhere").iterdir()) == []


@lightly
@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("", "this is in the course"),
        ("public", "this is in the course"),
        ("..", "the course is in it"),
        ("course.toml", "this is in the course"),
    ],
)
def test_the_course_is_never_published_into(built: Course, place: str, words: str) -> None:
    with pytest.raises(CourseError, match=words):
        publishing.plan(built, built.root / place, replace=True)


@lightly
def test_another_courses_folder_is_refused(course: Course, built: Course, public: Path) -> None:
    published(built, public)
    edit(course.root / "course.toml", 'id = "course"', 'id = "other"')
    with pytest.raises(CourseError, match="the course 'course' is published here"):
        publishing.plan(open_course(course.root), public)


@lightly
@pytest.mark.parametrize("text", ["{ not JSON", "[]", '{"format": 1}', "\x00"])
def test_a_broken_manifest_is_named(built: Course, public: Path, text: str) -> None:
    published(built, public)
    (public / published_folder.MANIFEST).write_text(text)
    with pytest.raises(CourseError, match=r"\.published\.json: this cannot be read .*: restore it from git"):
        publishing.plan(built, public)


@lightly
def test_a_manifest_cannot_lead_out_of_the_folder(built: Course, public: Path, tmp_path: Path) -> None:
    published(built, public)
    (tmp_path / "mine").write_bytes(b"x")
    path = public / published_folder.MANIFEST
    manifest = msgspec.json.decode(path.read_bytes())
    manifest["files"]["../mine"] = ["2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"]  # SHA-256 of x
    path.write_bytes(msgspec.json.encode(manifest))
    with pytest.raises(CourseError, match=r"'\.\./mine' is not in this folder"):
        publishing.plan(built, public)


@lightly
@pytest.mark.parametrize("after", range(1, 5))
def test_a_call_that_was_cut_short_is_made_good_by_a_later_one(
    course: Course, public: Path, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    """Wherever it stopped, and even if the course has changed once more since."""
    published(course, public)
    plan = publishing.plan(without(course, "hw2"), public)
    edit(course.root / "course.toml", 'title = "course"', 'title = "First"')
    plan = publishing.plan(open_course(course.root), public)
    replace = published_folder.atomic_file.replace
    left = iter(range(after - 1))

    def failing(path: Path, data: bytes) -> None:
        if next(left, None) is None:
            raise OSError(28, "No space left on device")
        replace(path, data)

    monkeypatch.setattr(published_folder.atomic_file, "replace", failing)
    try:
        plan.carry_out()
    except CourseError as error:
        assert "No space left on device" in str(error)
    monkeypatch.setattr(published_folder.atomic_file, "replace", replace)
    edit(course.root / "course.toml", 'title = "First"', 'title = "Second"')
    assert published(open_course(course.root), public).kept == ()
    assert (public / "README.md").read_text().startswith("# Second") and not (public / "release/hw2").exists()


# ---- the command


def run(course: Course, *arguments: object) -> tuple[int, str]:
    said = CliRunner().invoke(app, [*map(str, arguments), "--course", str(course.root)])
    return said.exit_code, said.output


@fully
def test_the_command_says_what_it_did(course: Course, public: Path) -> None:
    code, said = run(course, "publish", public)
    assert code == 0 and f"added {NOTEBOOK}\n" in said
    assert said.endswith(f"{public}: 9 added, 0 changed, 0 removed, 0 unchanged\n")
    code, said = run(without(course, "hw2"), "publish", public, "--dry-run")
    assert code == 0 and "would be removed release/hw2/kmeans.py\nhw2 is not in course.toml any more" in said
    assert (public / "release/hw2").is_dir()


@fully
def test_the_command_ends_with_1_when_it_kept_something(course: Course, public: Path) -> None:
    run(course, "publish", public)
    (public / "README.md").write_text("# Edited\n")
    code, said = run(course, "publish", public)
    assert code == 1 and "kept README.md: somebody has edited it here" in said


@fully
@pytest.mark.parametrize(
    ("arguments", "words", "code"),
    [(("hw9",), "no homework 'hw9': choose one of hw1, hw2", 2), (("--replace", "hw1", "hw1"), "2 changed", 0)],
)
def test_homeworks_are_named(course: Course, public: Path, arguments: tuple[str, ...], words: str, code: int) -> None:
    public.mkdir()
    for name in ("README.md", "AGENTS.md"):
        (public / name).write_text("x")
    assert (result := run(course, "publish", public, *arguments))[0] == code and words in result[1]


@fully
@pytest.mark.parametrize("command", ["build", "publish"])
def test_badges_that_lead_nowhere_are_a_note(course: Course, public: Path, command: str) -> None:
    edit(course.root / "course.toml", "an-organisation", "your-organisation")
    build.build(open_course(course.root))
    code, said = run(course, command, *([public] if command == "publish" else []))
    assert code == 0 and "course.toml: Colab badges lead nowhere yet: set" in said


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://github.com/an-organisation/course.git", "an-organisation/course"),
        ("https://user@github.com/an-organisation/course", "an-organisation/course"),
        ("git@github.com:an-organisation/course.git", "an-organisation/course"),
        ("ssh://git@github.com/an-organisation/a.b/", "an-organisation/a.b"),
        ("https://gitlab.com/an-organisation/course.git", ""),
        ("/home/me/github.com.git", ""),
    ],
)
def test_a_clone_knows_its_repository(public: Path, url: str, name: str) -> None:
    subprocess.run(["git", "init", "-q", str(public)], check=True)
    subprocess.run(["git", "-C", str(public), "remote", "add", "upstream", "https://github.com/o/other"], check=True)
    subprocess.run(["git", "-C", str(public), "remote", "add", "origin", url], check=True)
    assert published_folder.github_name(public) == name


@lightly
def test_badges_that_lead_to_another_repository_are_a_note(course: Course, public: Path) -> None:
    subprocess.run(["git", "init", "-q", str(public)], check=True)
    subprocess.run(["git", "-C", str(public), "remote", "add", "origin", "git@github.com:me/mine.git"], check=True)
    code, said = run(course, "publish", public)
    assert code == 0 and "lead to an-organisation/course, but this folder is a clone of me/mine" in said


def test_a_hidden_file_that_cannot_be_read_is_named(course: Course, monkeypatch: pytest.MonkeyPatch) -> None:
    read = Path.read_text

    def unreadable(path: Path, *arguments: Any, **options: Any) -> str:
        if path.name == ".course-secret":
            raise PermissionError(13, "Permission denied")
        return read(path, *arguments, **options)

    masters = build.read_masters(course, course.homeworks)
    monkeypatch.setattr(Path, "read_text", unreadable)
    with pytest.raises(CourseError, match=r"\.course-secret: .*cannot be read.* \(Permission denied\)"):
        hidden(course, masters)


def test_text_in_utf_16_is_read_and_a_picture_is_not_taken_for_text(secrets: Hidden) -> None:
    line = PLANTED["a line of a hidden test"]
    assert secrets.disclosed_by(Path("a.txt"), line.encode("utf-16"))
    assert not secrets.disclosed_by(Path("a.png"), b"\x89PNG\0" + line.encode())


@fully
def test_a_course_without_a_licence_is_a_note(course: Course, public: Path) -> None:
    (course.root / "LICENSE").unlink()
    code, said = run(course, "publish", public)
    assert code == 0 and "LICENSE: it is missing" in said and "LICENSE" not in (public / "README.md").read_text()
