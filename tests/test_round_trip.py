"""Round trips: from a platform's archive through collecting and grading back to its gradebook, to the same students.

The archives and gradebooks are made here as the platforms name and write things (the sources stand in
`collecting/platforms.py`, `exporting/column.py`). A submission holds a number that its result has for a score, so that
a score at another student's place shows that somebody was taken for somebody else.
"""

from __future__ import annotations

import csv
import io
import random
import re
import shutil
import unicodedata
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.testing import CliRunner

from autograder.cli import app
from autograder.collecting.attribution import attribute
from autograder.collecting.division import divide
from autograder.collecting.platforms import Setting
from autograder.collecting.source import opened
from autograder.course.course import Course, open_course
from autograder.course.roster import read_roster
from autograder.results import record
from tests.test_collect import book
from tests.test_export import result

pytestmark = pytest.mark.slow(seconds=40)
ROOT = Path(__file__).parents[1]
FIRST = (
    "Zoë", "Ana María", "Jean-Luc", "D'Angelo", "Søren", "Łukasz", "Müge", "Ñaki", "Siân", "Bo", "李", "Максим", "Ægir",
    "Nguyễn", "Mary Ann", "Seán", "José", "Günther", "Al", "Noël",
)  # fmt: skip
LAST = (
    "O'Neill", "O’Brien", "García Márquez", "van der Berg", "Müller", "Smith-Jones", "Li", "Ødegård", "de la Cruz",
    "St. John", "Núñez", "Weiß", "MacDonald", "Đặng", "Иванов", "Ibn al-Haytham", "Ó Súilleabháin", "Jones", "Xu",
)  # fmt: skip
COUNT = 40


@dataclass(frozen=True)
class Member:
    """Somebody in the class, with all that platforms know."""

    number: int
    first: str
    last: str
    team: int
    comma: bool
    """whether the roster has ‘Last, First’"""

    id = property(lambda self: f"s{self.number:02}")
    login = property(lambda self: f"l_{self.number * 7}x")
    email = property(lambda self: f"{self.login}@uni.edu")
    canvas = property(lambda self: str(70000 + self.number * 13))
    sis = property(lambda self: str(9000000 + self.number))
    participant = property(lambda self: str(500 + self.number))
    github = property(lambda self: f"hub-{self.number}-{self.login[-2:]}")
    full = property(lambda self: f"{self.first} {self.last}")
    sortable = property(lambda self: f"{self.last}, {self.first}")
    group = property(lambda self: f"Team_{self.team} Ü")


def class_of(seed: int, twins: bool) -> list[Member]:
    """A class in which many share a first or a last name, and, if there may be twins, both."""
    draw = random.Random(seed)
    names = draw.sample([(first, last) for first in FIRST for last in LAST], COUNT)
    if twins:
        names[1] = names[0]
    return [
        Member(number, first, last, 1 + number // 3, draw.random() < 0.5) for number, (first, last) in enumerate(names)
    ]


def table(*rows: Sequence[str], end: str = "\r\n") -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator=end).writerows(rows)
    return text.getvalue()


def roster_of(members: Sequence[Member], ids: bool) -> str:
    columns = ["id", "name", "email", "login", "group"]
    more = ["canvas_id", "sis_id", "moodle_participant", "gradescope_id", "github"] if ids else []
    rows = [
        [one.id, one.sortable if one.comma else one.full, one.email, one.login, one.group]
        + ([one.canvas, one.sis, one.participant, one.sis, one.github] if ids else [])
        for one in members
    ]
    return table([*columns, *more], *rows)


def work(number: int) -> bytes:
    return book("mlp", f"pass  # number {number}.")


# What platforms hand out: a path and the member's number (or the team's) for each submission


def _canvas_name(name: str) -> str:
    """Ruby: downcase, then gsub(/[^[[:word:]]]/, '')."""
    return "".join(sign for sign in name.lower() if sign == "_" or unicodedata.category(sign)[0] in "LMN")


def _moodle_name(name: str) -> str:
    """clean_filename: signs that file systems or web pages dislike are taken out."""
    return re.sub(r"[\x00-\x1f&<>\"`|':\\/]", "", name.replace("_", " "))


def canvas(members: Sequence[Member]) -> dict[str, int]:
    late = {one.number: "_LATE" * (one.number % 5 == 0) for one in members}
    return {
        f"{_canvas_name(one.sortable)}{late[one.number]}_{one.canvas}_{88000 + at}_mlp{'-1' * (at % 3 == 0)}.ipynb": (
            one.number
        )
        for at, one in enumerate(members)
    }


def moodle(members: Sequence[Member], sign: str = "/") -> dict[str, int]:
    return {
        f"{_moodle_name(one.full)}_{one.participant}_assignsubmission_file{sign}mlp.ipynb": one.number
        for one in members
    }


def moodle_flat(members: Sequence[Member]) -> dict[str, int]:
    return moodle(members, "_")


def gradescope(members: Sequence[Member]) -> dict[str, int]:
    return {f"assignment_7_export/submission_{300 + one.number}/mlp.ipynb": one.number for one in members}


def _metadata(groups: Mapping[str, Sequence[Member]]) -> str:
    lines = ["---"]
    for folder, members in groups.items():
        lines += [f"{folder}:", "  :submitters:"]
        for one in members:
            name = one.full.replace("'", "''")
            lines += [f"  - :name: '{name}'", f"    :sid: '{one.sis}'", f"    :email: {one.email}"]
        lines += ["  :created_at: 2026-11-27 10:11:12.123456789 Z"]
    return "\n".join(lines) + "\n"


def github(members: Sequence[Member]) -> dict[str, int]:
    return {f"clones/hw1-{one.github}/hw1/mlp.ipynb": one.number for one in members}


def blackboard(members: Sequence[Member]) -> dict[str, int]:
    time = "attempt_2026-11-27-10-11-12"
    return {f"Homework 1_{one.login}_{time}_mlp.ipynb": one.number for one in members}


def ilias(members: Sequence[Member]) -> dict[str, int]:
    def plain(name: str) -> str:
        return re.sub(r"[^\w ,.-]|_", "", name, flags=re.ASCII) or "x"

    return {
        f"Abgaben/{plain(one.last)}_{plain(one.first)}_{one.login}_{257 + one.number}/mlp.ipynb": one.number
        for one in members
    }


def nbgrader(members: Sequence[Member]) -> dict[str, int]:
    return {f"submitted/{one.id}/hw1/mlp.ipynb": one.number for one in members}


def folder(members: Sequence[Member]) -> dict[str, int]:
    ways = (lambda one: one.id, lambda one: one.email, lambda one: one.login)
    return {f"class/{ways[one.number % 3](one)}/mlp.ipynb": one.number for one in members}


def folder_by_name(members: Sequence[Member]) -> dict[str, int]:
    return {f"class/{(one.full, one.sortable)[one.number % 2]}/mlp.ipynb": one.number for one in members}


PLATFORMS = {
    one.__name__: one
    for one in (canvas, moodle, moodle_flat, gradescope, github, blackboard, ilias, nbgrader, folder, folder_by_name)
}
BY_NAME = ("canvas", "moodle", "moodle_flat", "folder_by_name")
"""platforms whose archives tell a name where the roster has no id"""


# The gradebooks that platforms export, and what stands there at whom


def canvas_book(members: Sequence[Member]) -> str:
    header = ["Student", "ID", "SIS User ID", "SIS Login ID", "Section", "Homework 1 (4711)", "Final Score"]
    possible = ["    Points Possible", "", "", "", "", "100", "(read only)"]
    rows = [[one.sortable, one.canvas, one.sis, one.login, "A", "", ""] for one in members]
    return table(header, possible, *rows, ["Student, Test", "99999", "", "", "A", "", ""])


def moodle_book(members: Sequence[Member]) -> str:
    header = ["Identifier", "Full name", "Email address", "Status", "Group", "Grade", "Maximum Grade"]
    rows = [
        [f"Participant {one.participant}", one.full, one.email, "Submitted", one.group, "", "100.00"] for one in members
    ]
    return table(header, *rows, end="\n")


def gradescope_book(members: Sequence[Member]) -> str:
    header = ["First Name", "Last Name", "SID", "Email", "Homework 1", "Homework 1 - Max Points"]
    return table(header, *([one.first, one.last, one.sis, one.email, "", "100.0"] for one in members), end="\n")


def plain_book(members: Sequence[Member]) -> str:
    return table(["id", "name", "Homework 1"], *([one.id, one.full, ""] for one in members))


BOOKS = {
    "canvas": (canvas_book, "ID", "canvas", "Homework 1 (4711)"),
    "moodle": (moodle_book, "Email address", "email", "Grade"),
    "gradescope": (gradescope_book, "SID", "sis", "Homework 1"),
    "csv": (plain_book, "id", "id", "Homework 1"),
}
"""for each target: the gradebook, the column and the member's attribute that tell who it is, and the scores' column"""


@pytest.fixture
def course(tmp_path: Path) -> Course:
    """A course with the real homework and nobody's submissions."""
    root = tmp_path / "course"
    root.mkdir()
    shutil.copy(ROOT / "course.toml", root)
    for name in ("hw1", "hw2", "hw3", "hw4", "release"):
        (root / name).symlink_to(ROOT / name)
    return open_course(root)


def run(course: Course, *arguments: object) -> str:
    done = CliRunner().invoke(app, [*map(str, arguments), "--course", str(course.root)])
    assert done.exit_code == 0, done.output
    return done.output


def given(place: Path, files: Mapping[str, int], more: Mapping[str, str]) -> Path:
    """The archive; of clones, the folder."""
    if any(path.startswith("clones/") for path in files):
        for path, number in files.items():
            target = place / path
            target.parent.mkdir(parents=True)
            target.write_bytes(work(number))
            (place / "clones" / path.split("/")[1] / ".git").mkdir()
        return place / "clones"
    with zipfile.ZipFile(place / "given.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for path, text in more.items():
            archive.writestr(path, text)
        for path, number in files.items():
            archive.writestr(path, work(number))
    return place / "given.zip"


def graded(course: Course) -> dict[str, int]:
    """Results for everything in submitted/: the number in each submission is its score."""
    found = {}
    for path in (course.root / "submitted").glob("*/hw1/mlp.ipynb"):
        student = path.parts[-3]
        found[student] = int(re.search(rb"# number (\d+)\.", path.read_bytes())[1])
        record.write(result(student, float(found[student])), course.root / "results")
    return found


def scores_in(course: Course, target: str, members: Sequence[Member]) -> dict[int, str]:
    """Export the scores, and read what stands at each member."""
    made, key, attribute_name, column = BOOKS[target]
    path = course.root.parent / "gradebook.csv"
    path.write_text(made(members), encoding="utf-8", newline="")
    run(course, "export", "hw1", "--to", target, "--into", path)
    written = course.root / "results" / f"hw1.{target}.csv"
    rows = list(csv.DictReader(io.StringIO(written.read_text(encoding="utf-8"), newline="")))
    there = {row[key]: row[column] for row in rows}
    return {one.number: there[getattr(one, attribute_name)] for one in members}


def attributed(course: Course, archive: Path) -> set[str]:
    """The students whom collecting finds in an archive of pages."""
    setting = Setting("hw1", ("mlp",), course.homeworks, read_roster(course.root / "roster.csv"))
    with opened(archive) as source:
        found = attribute([divide(source, setting)], setting.roster)
    assert not found.troubles
    return set(found.students)


@pytest.mark.parametrize(
    ("seed", "platform", "ids"),
    [
        *((seed, name, True) for seed, name in enumerate(PLATFORMS)),
        *((seed, name, False) for seed, name in enumerate(BY_NAME, 20)),
    ],
)
def test_scores_come_back_to_those_who_handed_in(course, tmp_path, seed, platform, ids):
    members = class_of(seed, twins=ids and platform != "folder_by_name")
    (course.root / "roster.csv").write_text(roster_of(members, ids), encoding="utf-8")
    here = members[:-2]  # two hand in nothing
    files = PLATFORMS[platform](here)
    folders = {path.split("/")[1]: [one] for path, one in zip(files, here, strict=True) if platform == "gradescope"}
    more = {"assignment_7_export/submission_metadata.yml": _metadata(folders)} if folders else {}
    run(course, "collect", "hw1", given(tmp_path, files, more))
    assert graded(course) == {one.id: one.number for one in here}
    target = platform.partition("_")[0]
    found = scores_in(course, target if target in BOOKS else "csv", members)
    assert found == {one.number: str(one.number) for one in here} | {one.number: "" for one in members[-2:]}


@pytest.mark.parametrize("seed", [30, 40])
def test_pages_for_moodle_come_back_to_their_students(course, tmp_path, seed):
    members = class_of(seed, twins=True)
    (course.root / "roster.csv").write_text(roster_of(members, True), encoding="utf-8")
    run(course, "collect", "hw1", given(tmp_path, moodle(members), {}))
    graded(course)
    worksheet = tmp_path / "worksheet.csv"
    worksheet.write_text(moodle_book(members), encoding="utf-8")
    run(course, "deliver", "hw1", "--to", "moodle-zip", "--into", worksheet)
    check_pages(course, course.root / "results/hw1.moodle.zip", {one.participant: one.id for one in members})


@pytest.mark.parametrize("seed", [50, 60])
def test_pages_for_canvas_come_back_to_their_students(course, tmp_path, seed):
    members = class_of(seed, twins=True)
    (course.root / "roster.csv").write_text(roster_of(members, True), encoding="utf-8")
    archive = given(tmp_path, canvas(members), {})
    run(course, "collect", "hw1", archive)
    graded(course)
    run(course, "deliver", "hw1", "--to", "canvas-zip", "--into", archive)
    check_pages(course, course.root / "results/hw1.canvas.zip", {one.canvas: one.id for one in members})


def test_the_page_of_a_group_whose_name_ends_in_a_digit_has_the_numbers_of_its_file(course, tmp_path):
    members = class_of(3, twins=False)
    text = roster_of(members, True).replace(members[0].group, "Team 1")
    (course.root / "roster.csv").write_text(text, encoding="utf-8")
    archive = given(tmp_path, {f"team1_{members[0].canvas}_99000_mlp.ipynb": 0}, {})
    run(course, "collect", "hw1", archive)
    graded(course)
    CliRunner().invoke(
        app, ["deliver", "hw1", "--to", "canvas-zip", "--into", str(archive), "--course", str(course.root)]
    )
    with zipfile.ZipFile(course.root / "results/hw1.canvas.zip") as packed:
        assert packed.namelist() == [f"team1_{members[0].canvas}_99000_hw1.html"]


def check_pages(course: Course, archive: Path, students: Mapping[str, str]) -> None:
    """Each page lies under its student's number, and collecting would give each to the same student."""
    with zipfile.ZipFile(archive) as packed:
        pages = {name: packed.read(name) for name in packed.namelist()}
    assert len(pages) == len(students)
    for name, page in pages.items():
        [number] = [part for part in name.split("_") if part in students]
        assert page == (course.root / "results" / students[number] / "hw1.html").read_bytes()
        alone = archive.with_name("alone.zip")
        with zipfile.ZipFile(alone, "w") as one:
            one.writestr(name, page)
        assert attributed(course, alone) == {students[number]}
    assert attributed(course, archive) == set(students.values())


# Groups


def teams_of(members: Sequence[Member]) -> dict[int, list[Member]]:
    teams: dict[int, list[Member]] = {}
    for one in members:
        teams.setdefault(one.team, []).append(one)
    return teams


def canvas_teams(members: Sequence[Member], draw: random.Random) -> dict[str, int]:
    """Under the group's name and the number of one of its members."""
    return {
        f"{_canvas_name(team[0].group)}_{draw.choice(team).canvas}_{99000 + at}_mlp.ipynb": at
        for at, team in teams_of(members).items()
    }


def moodle_teams(members: Sequence[Member], draw: random.Random) -> dict[str, int]:
    """Under the group's name and its number, which are participants' numbers, too."""
    return {
        f"{_moodle_name(team[0].group)}_{510 + at}_assignsubmission_file/mlp.ipynb": at
        for at, team in teams_of(members).items()
    }


def gradescope_teams(members: Sequence[Member], draw: random.Random) -> dict[str, int]:
    return {f"submission_{team}/mlp.ipynb": team for team in teams_of(members)}


@pytest.mark.parametrize("ids", [True, False])
@pytest.mark.parametrize("platform", [canvas_teams, moodle_teams, gradescope_teams])
def test_a_groups_score_comes_back_to_each_member(course, tmp_path, platform, ids):
    members = class_of(70 + ids, twins=ids)
    (course.root / "roster.csv").write_text(roster_of(members, ids), encoding="utf-8")
    teams = {f"submission_{team}": there for team, there in teams_of(members).items()}
    more = {"submission_metadata.yml": _metadata(teams)} if platform is gradescope_teams else {}
    run(course, "collect", "hw1", given(tmp_path, platform(members, random.Random(7)), more))
    assert graded(course) == {one.id: one.team for one in members}
    target = platform.__name__.partition("_")[0]
    assert scores_in(course, target, members) == {one.number: str(one.team) for one in members}


def collect(course: Course, archive: Path) -> str:
    return CliRunner().invoke(app, ["collect", "hw1", str(archive), "--course", str(course.root)]).output


def test_in_canvas_who_has_no_group_is_called_by_the_first_name_first(course, tmp_path):
    members = class_of(9, twins=False)
    (course.root / "roster.csv").write_text(roster_of(members, False), encoding="utf-8")
    run(course, "collect", "hw1", given(tmp_path, {f"{_canvas_name(members[0].full)}_1_2_mlp.ipynb": 0}, {}))
    assert graded(course) == {"s00": 0}


def test_a_group_of_canvas_to_which_the_member_does_not_belong_is_named_and_given_to_nobody(course, tmp_path):
    members = class_of(10, twins=False)
    (course.root / "roster.csv").write_text(roster_of(members, True), encoding="utf-8")
    other = next(one for one in members if one.team == 2)
    said = collect(course, given(tmp_path, {f"{_canvas_name(members[0].group)}_{other.canvas}_5_mlp.ipynb": 0}, {}))
    assert f"{other.id} is not in the group {members[0].group}" in said and graded(course) == {}


def test_a_group_that_is_called_like_a_student_hands_in_for_that_student(course, tmp_path):
    text = "id,name,canvas_id,group\njane,Jane Doe,1,Doe Jane\nbo,Bo Li,2,Doe Jane\n"
    (course.root / "roster.csv").write_text(text, encoding="utf-8")
    collect(course, given(tmp_path, {"doejane_1_5_mlp.ipynb": 3}, {}))
    assert graded(course) == {"jane": 3}
