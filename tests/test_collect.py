"""Collecting: every platform's names are read, the newest attempt counts, and nothing is lost or written over.

The archives are made here, as the sources that `collecting/platforms.py` names say that they look.
"""

from __future__ import annotations

import io
import json
import os
import random
import shutil
import stat
import subprocess
import zipfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import get_args

import pytest
from nbgrader.utils import parse_utc
from typer.testing import CliRunner

from autograder.cli import app
from autograder.cli.collecting import ListPlace, Place
from autograder.collecting import source
from autograder.collecting.collect import Collection, collect
from autograder.collecting.commit_time import read as commit_time
from autograder.collecting.platforms import Platform
from autograder.course.class_list import Form
from autograder.course.course import Course, CourseError, open_course
from autograder.course.roster import open_roster
from autograder.grading.submissions import survey

pytestmark = pytest.mark.slow(seconds=20)
ROOT = Path(__file__).parents[1]
RELEASED = {
    name: (ROOT / "release" / path).read_bytes()
    for name, path in {"mlp": "hw1/mlp.ipynb", "sgd": "hw1/sgd.ipynb", "cnn": "hw2/cnn.ipynb"}.items()
}


def book(name: str = "mlp", change: str = "pass") -> bytes:
    """A notebook with something of a student's in it."""
    return RELEASED[name].replace(b"raise NotImplementedError", change.encode(), 2)


@pytest.fixture
def course(tmp_path: Path) -> Course:
    """A course with the real homeworks and nobody's submissions."""
    root = tmp_path / "course"
    root.mkdir()
    shutil.copy(ROOT / "course.toml", root)
    for name in ("hw1", "hw2", "hw3", "hw4", "release"):
        (root / name).symlink_to(ROOT / name)
    return open_course(root)


def enrolled(course: Course, text: str) -> None:
    (course.root / "roster.csv").write_text(text, encoding="utf-8")


def zipped(path: Path, files: Mapping[str, bytes], when: tuple[int, ...] = (2026, 11, 27, 10, 11, 12)) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name, when), data)
    return path


def put(root: Path, files: Mapping[str, bytes]) -> Path:
    for name, data in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return root


def collected(course: Course, *paths: Path, **options) -> Collection:
    return collect(course, course.homework("hw1"), paths, roster=open_roster(course.root), **options)


def there(course: Course, room: str = "submitted") -> dict[str, bytes]:
    """Every file that was collected, timestamps aside."""
    root = course.root / room
    files = (path for path in root.rglob("*") if path.is_file() and path.name != "timestamp.txt")
    return {str(path.relative_to(root)): path.read_bytes() for path in files}


def stamp(course: Course, student: str) -> datetime:
    """The time as nbgrader reads it."""
    return parse_utc((course.root / "submitted" / student / "hw1" / "timestamp.txt").read_text().strip())


def state(found: Collection) -> dict[str, str]:
    return {one.student: one.state for one in found.collected} | {one.who: one.kind for one in found.troubles}


JANE = "id,name,email,login,canvas_id,moodle_participant,gradescope_id,github,group\n" + "\n".join([
    'jane,"Doe, Jane",jane@uni.edu,jdoe,12345,55,9001,jane-d,Team A',
    'bo,"Núñez, Bo",bo@uni.edu,bnu,12346,56,9002,bo,Team A',
    'ed,"Ro, Ed",ed@uni.edu,ero,12347,57,9003,,Team B',
]) + "\n"  # fmt: skip
ELEVEN = datetime(2026, 11, 27, 10, 11, 12)


def metadata(*entries: str) -> bytes:
    return b"---\n" + "".join(entries).encode()


def entry(folder: str, *people: tuple[str, str, str], time: str = "2026-11-27 10:11:12.123456789 Z") -> str:
    lines = [f"  - :name: {name}\n    :sid: '{sid}'\n    :email: {email}\n" for name, sid, email in people]
    return (
        f"{folder}:\n  :submitters:\n{''.join(lines)}  :created_at: {time}\n  :score: 1.0\n"
        "  :results: !ruby/hash:ActiveSupport::HashWithIndifferentAccess\n    tests: []\n"
    )


# Platforms


PLATFORMS = {
    "canvas": {
        "doejane_12345_678910_mlp-1.ipynb": book(),
        "doejane_12345_678911_sgd.ipynb": book("sgd"),
        "núñezbo_LATE_12346_678912_mlp.ipynb": book("mlp", "pass  # bo"),
    },
    "moodle": {
        "Jane Doe_55_assignsubmission_file_/mlp.ipynb": book(),
        "Jane Doe_55_assignsubmission_file_/sgd.ipynb": book("sgd"),
        "Bo Núñez_56_assignsubmission_file/mlp.ipynb": book("mlp", "pass  # bo"),
    },
    "moodle, flat": {
        "Jane Doe_55_assignsubmission_file_mlp.ipynb": book(),
        "Jane Doe_55_assignsubmission_file_sgd.ipynb": book("sgd"),
        "Bo Núñez_56_assignsubmission_file_mlp.ipynb": book("mlp", "pass  # bo"),
    },
    "gradescope": {
        "assignment_1_export/submission_metadata.yml": metadata(
            entry("submission_1", ("Jane Doe", "9001", "jane@uni.edu")),
            entry("submission_2", ("B. Nunez", "9002", "bo@home.org")),
        ),
        "assignment_1_export/submission_1/mlp.ipynb": book(),
        "assignment_1_export/submission_1/sgd.ipynb": book("sgd"),
        "assignment_1_export/submission_2/mlp.ipynb": book("mlp", "pass  # bo"),
    },
    "blackboard": {
        "Homework_1_jdoe_attempt_2026-11-27-10-11-12.txt": b"Name: Jane Doe (jdoe)",
        "Homework_1_jdoe_attempt_2026-11-27-10-11-12_mlp.ipynb": book(),
        "Homework_1_jdoe_attempt_2026-11-27-10-11-12_sgd.ipynb": book("sgd"),
        "Homework_1_bnu_attempt_2026-11-27-10-11-12_mlp.ipynb": book("mlp", "pass  # bo"),
    },
    "ilias": {
        "Abgaben/Doe_Jane_jdoe_257/mlp.ipynb": book(),
        "Abgaben/Doe_Jane_jdoe_257/sgd.ipynb": book("sgd"),
        "Abgaben/Nunez_Bo_bnu_258/mlp.ipynb": book("mlp", "pass  # bo"),
    },
    "nbgrader": {
        "submitted/jane/hw1/mlp.ipynb": book(),
        "submitted/jane/hw1/sgd.ipynb": book("sgd"),
        "submitted/jane/hw1/timestamp.txt": b"2026-11-27 10:11:12.000000 UTC",
        "submitted/jane/hw2/cnn.ipynb": book("cnn"),
        "submitted/bo/hw1/mlp.ipynb": book("mlp", "pass  # bo"),
    },
    "folder": {
        "class/jane@uni.edu/HW1/mlp.ipynb": book(),
        "class/jane@uni.edu/HW1/sgd.ipynb": book("sgd"),
        "class/Nunez, Bo/mlp.ipynb": book("mlp", "pass  # bo"),
    },
}
EXPECTED = {
    "jane/hw1/mlp.ipynb": book(),
    "jane/hw1/sgd.ipynb": book("sgd"),
    "bo/hw1/mlp.ipynb": book("mlp", "pass  # bo"),
}


@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize("form", ["zip", "folder"])
def test_submissions_of_every_platform_reach_their_students(course, tmp_path, platform, form):
    enrolled(course, JANE)
    if form == "zip":
        given = zipped(tmp_path / "given.zip", PLATFORMS[platform])
    else:
        given = put(tmp_path / "given", PLATFORMS[platform])
    found = collected(course, given)
    assert [one.platform for one in found.divisions] == [platform.partition(",")[0]]
    assert there(course) == EXPECTED
    assert {one.student: one.notebooks for one in found.collected} == {"bo": ("mlp",), "jane": ("mlp", "sgd")}
    assert found.findings == 0 and found.without == ("ed",)


@pytest.mark.parametrize("platform", ["gradescope", "nbgrader"])
def test_the_time_is_kept_as_nbgrader_reads_it(course, tmp_path, platform):
    enrolled(course, JANE)
    collected(course, zipped(tmp_path / "given.zip", PLATFORMS[platform]))
    assert stamp(course, "jane") == ELEVEN


@pytest.mark.parametrize("platform", ["blackboard", "ilias"])
def test_a_time_without_a_zone_is_that_of_this_machine(course, tmp_path, platform):
    enrolled(course, JANE)
    collected(course, zipped(tmp_path / "given.zip", PLATFORMS[platform]))
    assert stamp(course, "jane") == ELEVEN.astimezone(UTC).replace(tzinfo=None)


@pytest.mark.parametrize("platform", ["canvas", "moodle", "folder"])
def test_no_time_is_made_up_where_the_platform_tells_none(course, tmp_path, platform):
    enrolled(course, JANE)
    collected(course, zipped(tmp_path / "given.zip", PLATFORMS[platform]))
    assert not list((course.root / "submitted").rglob("timestamp.txt"))


def test_what_canvas_calls_late_is_said(course, tmp_path):
    found = collected(course, zipped(tmp_path / "given.zip", PLATFORMS["canvas"]))
    assert {one.student: one.late for one in found.collected} == {"doejane_12345": False, "núñezbo_12346": True}


@pytest.mark.parametrize(
    ("platform", "students"),
    [
        ("canvas", {"doejane_12345", "núñezbo_12346"}),
        ("moodle", {"Jane Doe", "Bo Núñez"}),
        ("gradescope", {"Jane Doe", "B. Nunez"}),
        ("blackboard", {"jdoe", "bnu"}),
        ("ilias", {"jdoe", "bnu"}),
        ("nbgrader", {"jane", "bo"}),
    ],
)
def test_without_a_roster_students_are_called_as_the_platform_does(course, tmp_path, platform, students):
    collected(course, zipped(tmp_path / "given.zip", PLATFORMS[platform]))
    assert {path.name for path in (course.root / "submitted").iterdir()} == students


def test_what_was_collected_is_what_a_class_run_finds(course, tmp_path):
    collected(course, zipped(tmp_path / "given.zip", PLATFORMS["canvas"]))
    found = survey(course.root / "submitted", "hw1", course.homeworks)
    assert [one.student for one in found.todo] == ["doejane_12345", "núñezbo_12346"] and found.absent == ()


def repository(folder: Path, files: Mapping[str, bytes], time: str) -> Path:
    put(folder, files)
    own = {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull, "GIT_COMMITTER_DATE": time, "HOME": str(folder)}
    who = ("-c", "user.name=s", "-c", "user.email=s@x")
    for arguments in (("init", "-q"), ("add", "."), (*who, "commit", "-qm", "done"), ("gc", "-q")):
        subprocess.run(("git", *arguments), cwd=folder, env=os.environ | own, check=True)
    return folder


@pytest.mark.parametrize("roster", ["", JANE])
def test_clones_of_github_classroom_have_the_time_of_their_last_commit(course, tmp_path, roster):
    if roster:
        enrolled(course, roster)
    for name in ("jane-d", "bo"):
        repository(tmp_path / "clones" / f"hw1-{name}", {"hw1/mlp.ipynb": book()}, "2026-11-27T11:11:12+0100")
    found = collected(course, tmp_path / "clones")
    jane = "jane" if roster else "jane-d"
    assert found.divisions[0].platform == "github" and found.findings == 0
    assert set(there(course)) == {f"{jane}/hw1/mlp.ipynb", "bo/hw1/mlp.ipynb"}
    assert stamp(course, jane) == ELEVEN


def test_nothing_of_a_students_repository_is_run(course, tmp_path):
    clone = repository(tmp_path / "clones" / "hw1-bo", {"mlp.ipynb": book()}, "2026-11-27T11:11:12+0100")
    mark = tmp_path / "was-run"
    (clone / ".git" / "config").write_text(
        f"[core]\n\tfsmonitor = touch {mark}\n\tpager = touch {mark}\n\thooksPath = {clone}\n"
        f"[gpg]\n\tprogram = touch {mark}\n[log]\n\tshowSignature = true\n[alias]\n\tcat-file = !touch {mark}\n"
    )
    assert commit_time(clone) == datetime(2026, 11, 27, 10, 11, 12, tzinfo=UTC) and not mark.exists()


@pytest.mark.parametrize("damage", ["HEAD", "objects", "packed-refs"])
def test_a_damaged_repository_has_no_time(tmp_path, damage):
    clone = repository(tmp_path / "hw1-bo", {"mlp.ipynb": book()}, "2026-11-27T11:11:12+0100")
    path = clone / ".git" / damage
    shutil.rmtree(path) if path.is_dir() else path.write_text("ref: refs/../../../etc/passwd")
    assert commit_time(clone) is None


# Who it is


def test_a_groups_submission_reaches_every_submitter(course, tmp_path):
    enrolled(course, JANE)
    about = metadata(entry("submission_1", ("Jane Doe", "9001", "jane@uni.edu"), ("Bo", "9002", "bo@uni.edu")))
    collected(course, zipped(tmp_path / "g.zip", {"submission_metadata.yml": about, "submission_1/mlp.ipynb": book()}))
    assert set(there(course)) == {"jane/hw1/mlp.ipynb", "bo/hw1/mlp.ipynb"}


def test_what_a_group_of_the_roster_hands_in_reaches_its_members(course, tmp_path):
    enrolled(course, JANE)
    collected(course, zipped(tmp_path / "m.zip", {"Team A_7_assignsubmission_file/mlp.ipynb": book()}))
    assert set(there(course)) == {"jane/hw1/mlp.ipynb", "bo/hw1/mlp.ipynb"}


def test_who_is_unknown_is_named_and_keeps_nobody_waiting(course, tmp_path):
    enrolled(course, JANE)
    files = {"doejane_12345_1_mlp.ipynb": book(), "lovelaceada_77777_2_mlp.ipynb": book()}
    found = collected(course, zipped(tmp_path / "c.zip", files))
    assert state(found) == {"jane": "new", "lovelaceada_77777": "unknown"}
    assert "canvas_id 77777" in found.troubles[0].why and set(there(course)) == {"jane/hw1/mlp.ipynb"}


def test_a_name_that_two_students_have_is_ambiguous(course, tmp_path):
    enrolled(course, "id,name\na,Jane Doe\nb,Jane Doe\n")
    found = collected(course, zipped(tmp_path / "m.zip", {"Jane Doe_5_assignsubmission_file/mlp.ipynb": book()}))
    assert state(found) == {"Jane Doe": "ambiguous"} and there(course) == {}
    assert "a, b" in found.troubles[0].why and "moodle_participant 5" in found.troubles[0].why


def test_two_of_one_name_are_told_apart_by_their_ids(course, tmp_path):
    enrolled(course, "id,name,canvas_id\na,Jane Doe,1\nb,Jane Doe,2\n")
    files = {"doejane_1_5_mlp.ipynb": book(), "doejane_2_6_mlp.ipynb": book("mlp", "pass  # b")}
    collected(course, zipped(tmp_path / "c.zip", files))
    assert there(course) == {"a/hw1/mlp.ipynb": book(), "b/hw1/mlp.ipynb": book("mlp", "pass  # b")}


def test_two_people_who_would_be_one_student_are_not_put_together(course, tmp_path):
    enrolled(course, "id,name\na,Jane Doe\n")
    files = {"Jane Doe_5_assignsubmission_file/mlp.ipynb": book(), "Jane Doe_6_assignsubmission_file/mlp.ipynb": book()}
    found = collected(course, zipped(tmp_path / "m.zip", files))
    assert state(found) == {"a": "twice"} and there(course) == {}


# Who it is without a roster


def gradescope(path: Path, *people: tuple[str, str, str]) -> Path:
    """An export in which each has handed in a notebook of their own."""
    about = metadata(*(entry(f"submission_{sid or email}", (name, sid, email)) for name, sid, email in people))
    books = {f"submission_{sid or email}/mlp.ipynb": book(change=f"pass  # {email}") for _, sid, email in people}
    return zipped(path, {"submission_metadata.yml": about} | books)


JANES = (("Jane Doe", "1", "jane@uni.edu"), ("Jane Doe", "2", "jd@uni.edu"))
BO = ("Bo Li", "3", "bo@uni.edu")


@pytest.mark.parametrize(
    ("people", "folders"),
    [
        ((*JANES, BO), ["Bo Li", "Jane Doe_jane", "Jane Doe_jd"]),
        ((JANES[0], ("Jane Doe", "2", "jane@home.org")), ["Jane Doe_1", "Jane Doe_2"]),
        ((JANES[0], ("Jane Doe", "2", "")), ["Jane Doe_1", "Jane Doe_2"]),
        ((("Jo", "", "jo@a.edu"), ("Jo", "", "jo@b.edu")), ["Jo_jo@a.edu", "Jo_jo@b.edu"]),
        ((*JANES, ("Jane Doe_jd", "4", "other@uni.edu")), ["Jane Doe_1", "Jane Doe_2", "Jane Doe_jd"]),
    ],
)  # fmt: skip
def test_without_a_roster_two_of_one_name_are_two_students(course, tmp_path, people, folders):
    given = gradescope(tmp_path / "g.zip", *people)
    found = collected(course, given)
    assert found.findings == 0 and sorted(state(found)) == folders
    assert len(set(there(course).values())) == len(people) and there(course, "collected") == {}
    again = collected(course, given, replacing=True)
    assert state(again) == dict.fromkeys(folders, "same")


def test_without_a_roster_two_of_one_name_are_told_apart_by_moodles_numbers(course, tmp_path):
    name = "Jane Doe_{}_assignsubmission_file/mlp.ipynb"
    files = {name.format(5): book(), name.format(6): book(change="pass  # 6")}
    collected(course, zipped(tmp_path / "m.zip", files))
    assert there(course) == {f"Jane Doe_{number}/hw1/mlp.ipynb": files[name.format(number)] for number in (5, 6)}


def test_without_a_roster_attempts_of_one_person_have_one_folder(course, tmp_path):
    times = {"submission_1": "2026-11-25 10:00:00 Z", "submission_2": "2026-11-26 10:00:00 Z"}
    about = metadata(
        *(entry(folder, JANES[0], time=time) for folder, time in times.items()), entry("submission_3", JANES[1])
    )
    books = {f"submission_{number}/mlp.ipynb": book(change=f"pass  # {number}") for number in (1, 2, 3)}
    found = collected(course, zipped(tmp_path / "g.zip", {"submission_metadata.yml": about} | books))
    assert {one.student: one.aside for one in found.collected} == {"Jane Doe_jane": 1, "Jane Doe_jd": 0}
    assert there(course)["Jane Doe_jane/hw1/mlp.ipynb"] == books["submission_2/mlp.ipynb"]


def test_without_a_roster_who_had_a_namesake_keeps_the_folder_when_alone(course, tmp_path):
    collected(course, gradescope(tmp_path / "both.zip", *JANES))
    found = collected(course, gradescope(tmp_path / "one.zip", JANES[1]))
    assert state(found) == {"Jane Doe_jd": "same"}


def test_without_a_roster_a_folder_of_one_of_two_is_given_to_neither(course, tmp_path):
    collected(course, gradescope(tmp_path / "one.zip", JANES[0]))
    before = there(course)
    both = gradescope(tmp_path / "both.zip", *JANES)
    found = collected(course, both, replacing=True)
    assert state(found) == dict.fromkeys(["Jane Doe_jane", "Jane Doe_jd"], "kept") and found.findings == 2
    assert "call it Jane Doe_jane or Jane Doe_jd" in found.collected[0].notes[0] and there(course) == before
    (course.root / "submitted" / "Jane Doe").rename(course.root / "submitted" / "Jane Doe_jane")
    assert state(collected(course, both)) == {"Jane Doe_jane": "same", "Jane Doe_jd": "new"}


def test_without_a_roster_who_cannot_be_told_apart_is_named(course, tmp_path):
    moodle = zipped(tmp_path / "m.zip", {"Jane Doe_5_assignsubmission_file/mlp.ipynb": book()})
    found = collected(course, moodle, gradescope(tmp_path / "g.zip", JANES[0], BO))
    assert state(found) == {"Bo Li": "new", "Jane Doe": "ambiguous"} and found.findings == 1
    assert "Jane Doe (moodle_participant 5) and Jane Doe (email jane@uni.edu" in found.troubles[0].why


# Which platform it is


@pytest.mark.parametrize(
    "other", ["{}_attempt_2026-11-27-10-11-12_mlp.ipynb", "{}_1_assignsubmission_file_mlp.ipynb", "{}_7_8_mlp.ipynb"]
)
def test_a_students_files_that_are_called_as_on_another_platform_stay_that_students(course, tmp_path, other):
    enrolled(course, JANE.replace("ed,", "eve,"))
    files = {"doejane_12345_1_mlp.ipynb": book(), "núñezbo_12346_2_mlp.ipynb": book(change="pass  # bo")}
    more = {
        f"roed_12347_{at}_{other.format(who)}": book(change="pass") for at, who in enumerate(("jdoe", "bnu", "ero"), 3)
    }
    found = collected(course, zipped(tmp_path / "c.zip", files | more))
    assert found.divisions[0].platform == "canvas" and set(state(found)) == {"jane", "bo", "eve"}
    assert there(course)["jane/hw1/mlp.ipynb"] == book() and len(there(course)) == 5


def test_an_archive_that_fits_two_platforms_is_from_the_first(course, tmp_path):
    found = collected(course, zipped(tmp_path / "x.zip", {"a_1_2_jdoe_attempt_2026-11-27-10-11-12_mlp.ipynb": book()}))
    assert found.divisions[0].platform == "blackboard"


@pytest.mark.parametrize("late", ["", "_LATE"])
@pytest.mark.parametrize("group", ["Team 1", "2", "Lab 1-12"])
def test_a_name_on_canvas_may_end_in_a_digit(course, tmp_path, group, late):
    enrolled(course, JANE.replace("Team A", group))
    name = "".join(sign for sign in group.lower() if sign.isalnum())
    files = {
        f"{name}{late}_12345_100_mlp.ipynb": book(),
        f"{name}{late}_12345_200_mlp-1.ipynb": book(change="pass  # 2"),
        f"{name}{late}_12345_text.html": b"<p>",
    }
    found = collected(course, zipped(tmp_path / "c.zip", files))
    assert {one.student: one.late for one in found.collected} == dict.fromkeys(["bo", "jane"], bool(late))
    newest = {"mlp.ipynb": book(change="pass  # 2"), "text.html": b"<p>"}
    assert there(course) == {f"{who}/hw1/{path}": data for who in ("jane", "bo") for path, data in newest.items()}
    (course.root / "roster.csv").unlink()
    collected(course, tmp_path / "c.zip", submitted=tmp_path / "unnamed")
    assert [path.name for path in (tmp_path / "unnamed").iterdir()] == [f"{name}_12345"]


@pytest.mark.parametrize("late", ["", "LATE_"])
def test_on_canvas_who_is_anonymous_has_no_name(course, tmp_path, late):
    found = collected(course, zipped(tmp_path / "c.zip", {f"{late}anon_a1b2c_7_mlp.ipynb": book()}))
    assert {one.student: one.late for one in found.collected} == {"anon_a1b2c": bool(late)}
    assert set(there(course)) == {"anon_a1b2c/hw1/mlp.ipynb"}


@pytest.mark.parametrize(
    "name",
    [
        "hw1.html", "hw1-shared.html", "hw1.similar.html", "hw1.similar-001.html", "hw2.csv", "hw1.regraded.json",
        "hw1.canvas.zip", "homeworks.html", "homeworks-shared.html",
    ],
)  # fmt: skip
def test_a_folder_that_is_called_like_a_file_of_the_class_is_not_graded(course, name):
    put(course.root / "submitted", {f"{name}/hw1/mlp.ipynb": book(), "hw1.jane/mlp.ipynb": book()})
    found = survey(course.root / "submitted", "hw1", course.homeworks)
    assert [one.student for one in found.todo] == ["hw1.jane"] and f"{name}: rename the folder" in found.absent[0].why


# Attempts


def test_the_newest_attempt_counts_and_older_ones_are_kept_aside(course, tmp_path):
    enrolled(course, JANE)
    name = "hw1_jdoe_attempt_2026-11-{}-10-00-00_mlp.ipynb"
    files = {name.format(day): book("mlp", f"pass  # {day}") for day in (25, 27, 26)}
    found = collected(course, zipped(tmp_path / "b.zip", files))
    assert there(course) == {"jane/hw1/mlp.ipynb": book("mlp", "pass  # 27")}
    assert sorted(there(course, "collected").values()) == [book("mlp", f"pass  # {day}") for day in (25, 26)]
    assert [one.aside for one in found.collected] == [2]


def test_of_attempts_that_canvas_counted_the_last_file_is_graded(course, tmp_path):
    enrolled(course, JANE)
    files = {
        "doejane_12345_100_mlp.ipynb": book(),
        "doejane_12345_101_helpers.py": b"x = 1",
        "doejane_12345_300_mlp-2.ipynb": book("mlp", "pass  # 2"),
        "doejane_12345_200_mlp-1.ipynb": book("mlp", "pass  # 1"),
        "doejane_12345_301_helpers-1.py": b"x = 2",
        "doejane_12345_302_data-1.csv": b"1",
        "doejane_12345_303_data-2.csv": b"2",
    }
    collected(course, zipped(tmp_path / "c.zip", files))
    assert there(course) == {
        "jane/hw1/mlp.ipynb": book("mlp", "pass  # 2"),
        "jane/hw1/helpers.py": b"x = 2",
        "jane/hw1/data-1.csv": b"1",
        "jane/hw1/data-2.csv": b"2",
    }
    aside = sorted(there(course, "collected").values())
    assert aside == sorted([book(), book("mlp", "pass  # 1"), b"x = 1"])


def test_of_files_of_one_name_the_last_that_canvas_numbered_is_graded(course, tmp_path):
    enrolled(course, JANE)
    files = {"doejane_12345_30_mlp.ipynb": book("mlp", "pass  # 2"), "doejane_12345_4_mlp.ipynb": book()}
    collected(course, zipped(tmp_path / "c.zip", files))
    assert there(course) == {"jane/hw1/mlp.ipynb": book("mlp", "pass  # 2")}
    assert list(there(course, "collected").values()) == [book()]


def test_two_files_that_would_have_one_name_are_named(course, tmp_path):
    enrolled(course, JANE)
    kinds = ("file", "onlinetext")
    files = {f"Jane Doe_55_assignsubmission_{kind}/onlinetext.html": kind.encode() for kind in kinds}
    found = collected(course, zipped(tmp_path / "m.zip", files))
    assert any("onlinetext.html was left out: another file has its name" in note for note in found.collected[0].notes)


@pytest.mark.parametrize("folder", ["hw2", "lab 2", "HW1"])
def test_a_folder_is_taken_whatever_a_student_calls_it(course, tmp_path, folder):
    enrolled(course, JANE)
    found = collected(
        course, zipped(tmp_path / "m.zip", {f"Jane Doe_55_assignsubmission_file/{folder}/mlp.ipynb": book()})
    )
    assert found.collected[0].notebooks == ("mlp",) and len(there(course)) == 1


def test_a_newer_attempt_without_a_file_does_not_hide_the_one_before(course, tmp_path):
    enrolled(course, JANE)
    files = {
        "hw1_jdoe_attempt_2026-11-25-10-00-00_mlp.ipynb": book(),
        "hw1_jdoe_attempt_2026-11-26-10-00-00.txt": b"Name: Jane Doe (jdoe)",
    }
    found = collected(course, zipped(tmp_path / "b.zip", files))
    assert "the newest attempt has no file" in found.collected[0].notes[0] and "jane/hw1/mlp.ipynb" in there(course)


@pytest.mark.parametrize("platform", PLATFORMS)
def test_collecting_the_same_again_changes_nothing(course, tmp_path, platform):
    enrolled(course, JANE)
    given = zipped(tmp_path / "given.zip", PLATFORMS[platform])
    collected(course, given)
    before = {path: path.stat().st_mtime_ns for path in course.root.glob("[sc]*/**/*")}
    found = collected(course, given, replacing=True)
    assert {one.state for one in found.collected} == {"same"} and found.findings == 0
    assert {path: path.stat().st_mtime_ns for path in course.root.glob("[sc]*/**/*")} == before


def test_another_submission_stays_unless_it_is_replaced_and_then_it_is_kept_aside(course, tmp_path):
    enrolled(course, JANE)
    first = zipped(tmp_path / "1.zip", {"doejane_12345_1_mlp.ipynb": book()})
    second = zipped(tmp_path / "2.zip", {"doejane_12345_2_mlp-1.ipynb": book("mlp", "pass  # 2")})
    collected(course, first)
    found = collected(course, second)
    assert state(found) == {"jane": "kept"} and there(course) == {"jane/hw1/mlp.ipynb": book()}
    assert state(collected(course, second, replacing=True)) == {"jane": "replaced"}
    assert there(course) == {"jane/hw1/mlp.ipynb": book("mlp", "pass  # 2")}
    assert list(there(course, "collected").values()) == [book()]


def test_a_submission_that_lacks_a_notebook_of_the_one_that_it_replaces_is_to_be_looked_at(course, tmp_path):
    both = {"jane/hw1/mlp.ipynb": book(), "jane/hw1/sgd.ipynb": book("sgd")}
    collected(course, put(tmp_path / "one", both))
    fresh = put(tmp_path / "two", {"jane/hw1/mlp.ipynb": book(change="pass  # better")})
    [dry] = collected(course, fresh, replacing=True, dry=True).collected
    found = collected(course, fresh, replacing=True)
    [one] = found.collected
    assert (one.state, one.notes, found.findings) == ("replaced", dry.notes, 1)
    [note] = one.notes
    assert note.startswith("it lacks hw1/sgd, which the submission that it replaces has") and "mlp" not in note
    assert collected(course, fresh, replacing=True).findings == 0
    assert collected(course, put(tmp_path / "three", both), replacing=True).findings == 0


def test_a_newest_attempt_that_lacks_a_notebook_of_an_earlier_one_is_to_be_looked_at(course, tmp_path):
    given = {
        "hw1_jane_attempt_2026-11-26-10-00-00_sgd.ipynb": book("sgd"),
        "hw1_jane_attempt_2026-11-27-10-00-00_mlp.ipynb": book(),
    }
    [one] = collected(course, zipped(tmp_path / "b.zip", given)).collected
    assert one.state == "new" and any("hw1/sgd, which an earlier attempt has" in note for note in one.notes)


def test_an_older_submission_never_replaces_a_newer_one(course, tmp_path):
    enrolled(course, JANE)
    name = "hw1_jdoe_attempt_2026-11-{}-10-00-00_mlp.ipynb"
    collected(course, zipped(tmp_path / "new.zip", {name.format(27): book("mlp", "pass  # new")}))
    old = zipped(tmp_path / "old.zip", {name.format(20): book()})
    assert state(collected(course, old, replacing=True)) == {"jane": "older"}
    assert there(course) == {"jane/hw1/mlp.ipynb": book("mlp", "pass  # new")}
    assert list(there(course, "collected").values()) == [book()]


def test_attempts_in_several_archives_are_put_in_order(course, tmp_path):
    enrolled(course, JANE)
    first = zipped(tmp_path / "1.zip", {"doejane_12345_9_mlp.ipynb": book()})
    second = zipped(tmp_path / "2.zip", {"doejane_12345_10_mlp-1.ipynb": book("mlp", "pass  # 2")})
    collected(course, second, first)
    assert there(course) == {"jane/hw1/mlp.ipynb": book("mlp", "pass  # 2")}


@pytest.mark.parametrize("platform", [None, "moodle"])
def test_downloads_that_are_kept_in_one_folder_are_all_collected(course, tmp_path, platform):
    enrolled(course, JANE)
    jane, bo = ({name: data for name, data in PLATFORMS["moodle"].items() if who in name} for who in ("Jane", "Bo"))
    put(tmp_path / "downloads", {"a.zip": b"", "b.zip": b""})
    zipped(tmp_path / "downloads" / "a.zip", jane)
    zipped(tmp_path / "downloads" / "b.zip", bo)
    found = collected(course, tmp_path / "downloads", platform=platform)
    assert there(course) == EXPECTED and found.findings == 0


@pytest.mark.parametrize("platform", ["canvas", "moodle", "gradescope", "blackboard"])
def test_the_same_archive_twice_is_one_submission(course, tmp_path, platform):
    enrolled(course, JANE)
    first, second = (zipped(tmp_path / name, PLATFORMS[platform]) for name in ("1.zip", "1 (1).zip"))
    found = collected(course, first, second)
    assert found.findings == 0 and {one.aside for one in found.collected} == {0} and there(course) == EXPECTED


def test_two_submissions_of_unknown_times_are_not_chosen_from(course, tmp_path):
    enrolled(course, JANE)
    first = zipped(tmp_path / "1.zip", {"Jane Doe_55_assignsubmission_file/mlp.ipynb": book()})
    second = zipped(tmp_path / "2.zip", {"Jane Doe_55_assignsubmission_file/mlp.ipynb": book("mlp", "pass  # 2")})
    found = collected(course, first, second)
    assert state(found) == {"jane": "twice"} and there(course) == {}
    assert "1.zip" in found.troubles[0].why and "2.zip" in found.troubles[0].why


def test_a_submission_that_cannot_be_written_keeps_nobody_waiting(course, tmp_path):
    enrolled(course, JANE)
    put(course.root / "submitted", {"bo": b"a file in place of a folder"})
    found = collected(course, zipped(tmp_path / "given.zip", PLATFORMS["canvas"]))
    assert state(found) == {"bo": "failed", "jane": "new"}


@pytest.mark.parametrize("place", ["jane/mlp.ipynb", "jane/HW1/mlp.ipynb", "jane.zip"])
def test_a_submission_in_another_form_is_not_given_a_twin(course, tmp_path, place):
    enrolled(course, JANE)
    put(course.root / "submitted", {place: book()})
    found = collected(course, zipped(tmp_path / "c.zip", {"doejane_12345_1_mlp.ipynb": book()}), replacing=True)
    assert state(found) == {"jane": "kept"} and set(there(course)) == {place}


def test_a_link_in_place_of_a_folder_is_not_written_through(course, tmp_path):
    enrolled(course, JANE)
    (tmp_path / "elsewhere").mkdir()
    (course.root / "submitted" / "jane").mkdir(parents=True)
    (course.root / "submitted" / "jane" / "hw1").symlink_to(tmp_path / "elsewhere")
    found = collected(course, zipped(tmp_path / "c.zip", {"doejane_12345_1_mlp.ipynb": book()}), replacing=True)
    assert state(found) == {"jane": "kept"} and list((tmp_path / "elsewhere").iterdir()) == []


def test_a_dry_run_says_the_same_and_writes_nothing(course, tmp_path):
    enrolled(course, JANE)
    given = zipped(tmp_path / "given.zip", PLATFORMS["canvas"])
    said = collected(course, given, dry=True)
    assert not (course.root / "submitted").exists() and not (course.root / "collected").exists()
    assert said.collected == collected(course, given).collected


# What is not a submission


def test_an_empty_submission_is_named(course, tmp_path):
    enrolled(course, JANE)
    found = collected(course, zipped(tmp_path / "b.zip", {"hw1_jdoe_attempt_2026-11-26-10-00-00.txt": b"Name: Jane"}))
    assert state(found) == {"jane": "empty"} and there(course) == {} and found.findings == 1


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("cnn.ipynb", book("cnn"), "no notebook of hw1"),
        ("text.html", b"<p>my answer</p>", "no notebook of hw1"),
        ("mlp.ipynb", b"", "‘mlp.ipynb’ is empty"),
        ("mlp.ipynb", book("cnn"), "contains the notebook cnn of hw2"),
    ],
)
def test_a_submission_without_a_notebook_of_the_homework_is_kept_and_named(course, tmp_path, name, data, words):
    enrolled(course, JANE)
    path = f"doejane_12345_{'' if name == 'text.html' else '1_'}{name}"
    found = collected(course, zipped(tmp_path / "c.zip", {path: data}))
    assert words in found.collected[0].notes[0] and there(course) == {f"jane/hw1/{name}": data}


def test_files_that_belong_to_nobody_are_named(course, tmp_path):
    files = PLATFORMS["canvas"] | {"readme.txt": b"x"}
    found = collected(course, zipped(tmp_path / "c.zip", files))
    assert found.divisions[0].strays == ("readme.txt",) and found.findings == 1


def test_an_archive_without_submissions_is_a_finding(course, tmp_path):
    found = collected(course, zipped(tmp_path / "c.zip", {"mlp.ipynb": book()}))
    assert found.collected == () and found.findings


def test_a_students_archive_stays_as_it_was_handed_in_and_is_looked_into(course, tmp_path):
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as archive:
        archive.writestr("work/mlp.ipynb", book())
    files = {f"class/{name}.zip": inner.getvalue() for name in ("jane", "bo")}
    found = collected(course, zipped(tmp_path / "all.zip", files))
    assert there(course) == {f"{name}/hw1/{name}.zip": inner.getvalue() for name in ("jane", "bo")}
    assert {one.notebooks for one in found.collected} == {("mlp",)}


# Hostile and odd archives


@pytest.mark.parametrize(
    "name", ["../../evil.ipynb", "/etc/evil.ipynb", "C:\\evil.ipynb", "a/../../evil.ipynb", "\\\\host\\evil.ipynb"]
)
def test_a_name_that_leads_out_of_the_archive_is_refused(course, tmp_path, name):
    before = {path for path in tmp_path.rglob("*") if "course" in path.parts}
    found = collected(course, zipped(tmp_path / "c.zip", PLATFORMS["folder"] | {name: book()}))
    assert [why for _, why in found.divisions[0].source.refused] == ["a name that leads out of the archive"]
    more = {path for path in tmp_path.rglob("*") if "course" in path.parts} - before
    assert all(path.is_relative_to(course.root / "submitted") for path in more)
    assert not any("evil" in path.name for path in more)


def test_links_are_refused_in_archives_and_folders(course, tmp_path):
    given = tmp_path / "c.zip"
    with zipfile.ZipFile(given, "w") as archive:
        info = zipfile.ZipInfo("jane/secret.ipynb")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, "/etc/passwd")
        archive.writestr("jane/mlp.ipynb", book())
    put(tmp_path / "f", {"bo/mlp.ipynb": book()})
    (tmp_path / "f" / "bo" / "secret.ipynb").symlink_to("/etc/passwd")
    found = collected(course, given, tmp_path / "f", platform="folder")
    refused = [entry for one in found.divisions for entry in one.source.refused]
    assert refused == [
        ("jane/secret.ipynb", "a link to another file or folder"),
        ("bo/secret.ipynb", "a link to another file or folder"),
    ]
    assert set(there(course)) == {"jane/hw1/mlp.ipynb", "bo/hw1/mlp.ipynb"}


def test_a_file_that_is_too_big_is_left_out_and_keeps_nobody_waiting(course, tmp_path, monkeypatch):
    monkeypatch.setattr(source, "_MOST", 2**20)
    files = {"jane/mlp.ipynb": book(), "jane/bomb.csv": b"\0" * 2**22, "bo/bomb.csv": b"\0" * 2**22}
    found = collected(course, zipped(tmp_path / "c.zip", files))
    assert set(there(course)) == {"jane/hw1/mlp.ipynb"} and state(found) == {"jane": "new", "bo": "empty"}
    assert all("bomb.csv was left out" in one.notes[0] and "too big (4 MB)" in one.notes[0] for one in found.collected)


def test_the_size_that_an_archive_states_is_not_believed(course, tmp_path, monkeypatch):
    monkeypatch.setattr(source, "_MOST", 2**20)
    given = zipped(tmp_path / "c.zip", {"jane/mlp.ipynb": book(), "jane/bomb.csv": b"\0" * 2**22})
    data = given.read_bytes()
    given.write_bytes(data.replace((2**22).to_bytes(4, "little"), (100).to_bytes(4, "little")))
    found = collected(course, given)
    assert "bomb.csv was left out" in found.collected[0].notes[0] and set(there(course)) == {"jane/hw1/mlp.ipynb"}


def test_a_damaged_file_keeps_nobody_waiting(course, tmp_path):
    given = zipped(tmp_path / "c.zip", {"jane/mlp.ipynb": book(), "bo/mlp.ipynb": book()})
    data = bytearray(given.read_bytes())
    data[2000:2100] = bytes(100)
    given.write_bytes(data)
    found = collected(course, given)
    assert state(found) == {"bo": "new", "jane": "empty"} and "is damaged" in found.collected[1].notes[0]


@pytest.mark.parametrize("name", ["Jürgen", "Ярослав", "明"])
@pytest.mark.parametrize("told", [True, False])
def test_names_are_read_whether_or_not_an_archive_says_that_they_are_utf_8(course, tmp_path, name, told):
    path = f"{name} Li_5_assignsubmission_file/mlp.ipynb"
    given = zipped(tmp_path / "m.zip", {path: book()})
    if not told:
        data = given.read_bytes()
        for at in (data.index(b"PK\x03\x04") + 6, data.index(b"PK\x01\x02") + 8):
            data = data[:at] + bytes([data[at], data[at + 1] & ~8]) + data[at + 2 :]
        given.write_bytes(data)
    collected(course, given)
    assert set(there(course)) == {f"{name} Li/hw1/mlp.ipynb"}


def test_an_old_archive_has_names_of_code_page_437(course, tmp_path):
    given = zipped(tmp_path / "m.zip", {"J~rgen Li_5_assignsubmission_file/mlp.ipynb": book()})
    given.write_bytes(given.read_bytes().replace(b"J~rgen", b"J\x81rgen"))
    collected(course, given)
    assert set(there(course)) == {"Jürgen Li/hw1/mlp.ipynb"}


def test_macos_names_are_those_of_the_roster(course, tmp_path):
    enrolled(course, "id,name\nj,Jörg Li\n")
    collected(course, zipped(tmp_path / "m.zip", {"Jo\u0308rg Li_5_assignsubmission_file/mlp.ipynb": book()}))
    assert set(there(course)) == {"j/hw1/mlp.ipynb"}


def test_what_systems_leave_behind_is_not_taken(course, tmp_path):
    noise = {"__MACOSX/jane/._mlp.ipynb": b"x", "jane/.DS_Store": b"x", "jane/Thumbs.db": b"x", "jane/.git/x": b"x"}
    given = zipped(tmp_path / "c.zip", {"jane/mlp.ipynb": book(), "bo/mlp.ipynb": book()} | noise)
    found = collected(course, given)
    assert set(there(course)) == {"jane/hw1/mlp.ipynb", "bo/hw1/mlp.ipynb"} and found.findings == 0


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"PK\x03\x04 not really", "this zip archive is damaged"),
        (b"Rar!\x1a\x07", "neither a folder nor a zip archive"),
        (None, "there is no such file or folder"),
    ],
)
def test_what_is_no_archive_is_a_wrong_call(course, tmp_path, data, words):
    if data is not None:
        (tmp_path / "c.zip").write_bytes(data)
    with pytest.raises(CourseError, match=words):
        collected(course, tmp_path / "c.zip")


def test_too_many_files_are_refused(course, tmp_path, monkeypatch):
    monkeypatch.setattr(source, "_FILES", 2)
    with pytest.raises(CourseError, match="more than 2 files"):
        collected(course, zipped(tmp_path / "c.zip", PLATFORMS["canvas"]))


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("submitted", "where submissions are put"),
        *((own, "this holds the course.s own files") for own in (".", "..", "hw1")),
    ],
)
def test_what_is_the_courses_own_is_not_collected(course, path, words):
    put(course.root / "submitted", {"jane/hw1/mlp.ipynb": book()})
    with pytest.raises(CourseError, match=words):
        collected(course, course.root / path)


@pytest.mark.parametrize("text", ["[", "- a", "a: &x [*x]\n*x : 1", ": : :", "\x00", "submission_1: 5"])
def test_a_damaged_list_of_gradescope_is_an_error_or_a_finding(course, tmp_path, text):
    given = zipped(tmp_path / "g.zip", {"submission_metadata.yml": text.encode(), "submission_1/mlp.ipynb": book()})
    try:
        assert collected(course, given, platform="gradescope").findings
    except CourseError as error:
        assert "submission_metadata.yml" in str(error) and "export it again" in str(error)


def test_whatever_the_names_are_every_file_is_collected_or_named(course, tmp_path):
    draw = random.Random(3)
    pieces = ["doe", "Jane Doe", "_", "12345", "-1", "LATE", "assignsubmission_file", "/", ".ipynb", "hw1", "attempt",
              "2026-11-27-10-11-12", "mlp", "..", "é", ".", "submission_1", " "]  # fmt: skip
    for number in range(40):
        names = {"".join(draw.choices(pieces, k=draw.randrange(1, 8))) for _ in range(6)}
        given = zipped(tmp_path / f"{number}.zip", {name: name.encode() for name in names})
        found = collected(course, given, submitted=tmp_path / f"out{number}")
        rooms = (tmp_path / f"out{number}", course.root / "collected")
        taken = {path.read_bytes().decode() for room in rooms for path in room.rglob("*") if path.is_file()}
        [division] = found.divisions
        with source.opened(given) as again:
            texts = {file.path: file.read().decode() for file in again.files}
        named = {*division.strays, *(name for name, _ in division.source.refused)}
        troubled = {trouble.who for trouble in found.troubles}
        for one in division.handed_in:
            if troubled & {person.name for person in one.people}:
                named |= {file.path for _, file in one.files}
        notes = " ".join(note for one in found.collected for note in one.notes)
        for path, text in texts.items():
            left_out = f"{path.rpartition('/')[2]} was left out" in notes
            assert text in taken or path in named or left_out, (path, names)


# The command


def run(course, *arguments):
    return CliRunner().invoke(app, [*map(str, arguments), "--course", str(course.root)])


def test_the_command_shows_a_table_of_what_to_look_at(course, tmp_path):
    enrolled(course, JANE)
    files = PLATFORMS["canvas"] | {"lovelaceada_77777_2_mlp.ipynb": book(), "readme.txt": b""}
    said = run(course, "collect", "hw1", zipped(tmp_path / "c.zip", files))
    assert said.exit_code == 1
    assert "c.zip: canvas, 3 submissions" in said.output and "lovelaceada_77777  unknown" in said.output
    assert "readme.txt" in said.output and "nothing from ed" in said.output
    assert "hw1: 2 new; 2 to look at" in said.output


def test_the_command_names_who_is_late_and_says_how_that_can_count(course, tmp_path):
    enrolled(course, JANE)
    said = run(course, "collect", "hw1", zipped(tmp_path / "c.zip", PLATFORMS["canvas"]))
    assert "1 late, as the platform says: bo" in said.output
    assert "write it into submitted/STUDENT/hw1/timestamp.txt" in said.output


def test_the_command_prints_a_json_line_a_student(course, tmp_path):
    enrolled(course, JANE)
    said = run(course, "collect", "hw1", zipped(tmp_path / "c.zip", PLATFORMS["gradescope"]), "--json")
    assert said.exit_code == 0
    lines = {line["student"]: line for line in map(json.loads, said.stdout.splitlines())}
    assert lines["jane"]["state"] == "new" and lines["jane"]["time"] == "2026-11-27T10:11:12+00:00"


def test_the_command_knows_every_platform():
    assert {place.value for place in Place} == {"auto", *get_args(Platform)}
    assert {place.value for place in ListPlace} == {"auto", *get_args(Form)}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("collect", "hw9", "."), "no homework 'hw9'"),
        (("collect", "hw1", "nowhere.zip"), "nowhere.zip: there is no such file"),
        (("collect", "hw1", ".", "--roster", "nowhere.csv"), "nowhere.csv: this file cannot be read"),
        (("collect", "hw1", ".", "--from", "email"), "email"),
    ],
)
def test_a_wrong_call_says_what_to_do_and_exits_with_2(course, arguments, words):
    said = run(course, *arguments)
    assert said.exit_code == 2 and words in said.output
