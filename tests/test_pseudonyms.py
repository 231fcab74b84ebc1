"""Pseudonyms: a course is collected, graded, marked and regraded without a name anywhere but in roster.csv."""

from __future__ import annotations

import csv
import io
import json
import shutil
import sqlite3
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest
from typer.testing import CliRunner

from autograder.cli import app
from autograder.collecting.collect import collect
from autograder.course import pseudonym
from autograder.course.course import Course, CourseError, open_course
from autograder.course.roster import Roster, open_roster, read_roster
from autograder.grading.standing import Standing
from autograder.grading.teams import survey_of
from autograder.results import record, transcript
from autograder.results.gradebook import opened
from tests.conftest import small_course
from tests.test_collect import book
from tests.test_export import result

ROOT = Path(__file__).parents[1]
ROSTER = """\
id,name,email,section,extra_days,group,login,canvas_id
wobble1,"Wobblethorpe, Zoë",zoe.wobblethorpe@uni.edu,,,,zwob,71000001
quibble2,Jean-Luc Quibblewick,jq@uni.edu,,2,,jquib,71000002
snork3,"Snorkelby, Ana María",snork@uni.edu,,,,asnork,71000003
fizz4,Bo Fizzlebeam,bo@fizzlebeam.org,,,Team Gnarl,bfizz,71000004
grump5,Li Grumpelstein,li@grump.edu,,,Team Gnarl,lgrump,71000005
hoot6,Max Hootenanny,max@hoot.edu,,,,mhoot,71000006
"""
TELLING = (
    "wobble", "zoë", "zoe", "quibble", "jean-luc", "jeanluc", "jq@", "jquib", "snork", "maría", "fizz", "grump", "hoot",
    "zwob", "7100000",
)  # fmt: skip
"""what a byte of which stands for somebody of this class, in small letters"""


def run(course: Course, *arguments: object, code: int = 0) -> str:
    done = CliRunner().invoke(app, [*map(str, arguments), "--course", str(course.root)])
    assert done.exit_code == code, done.output
    return done.output


def people(course: Course) -> Roster:
    found = open_roster(course.root)
    assert found is not None
    return found


def names(course: Course) -> dict[str, str]:
    """The pseudonym of each student."""
    return {student.id: student.pseudonym for student in people(course).students}


def packed(files: Mapping[str, bytes]) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.comment = b"made by Zoe Wobblethorpe"
        for name, data in files.items():
            archive.writestr(name, data)
    return held.getvalue()


def colab() -> bytes:
    """A notebook that ran in Colab, which notes who ran it."""
    made = json.loads(book())
    made["metadata"] |= {"authors": [{"name": "Zoë Wobblethorpe"}], "colab": {"name": "Zoe Wobblethorpe mlp.ipynb"}}
    made["cells"][1]["metadata"]["executionInfo"] = {"user": {"displayName": "Zoë Wobblethorpe", "userId": "0"}}
    return json.dumps(made).encode()


TITLE = "Homework 1: Ana María Snorkelby"
TEXT = f"<html><title>{TITLE}</title><h1>{TITLE}</h1>My answer</html>".encode()
HANDED_IN = {
    "wobblethorpezoë_71000001_901_Zoe-Wobblethorpe_final.ipynb": colab(),
    "wobblethorpezoë_71000001_902_helpers.py": b"x = 1",
    "wobblethorpezoë_71000001_903_wobblethorpe.csv": b"1,2",
    "quibblewickjeanluc_LATE_71000002_904_Quibblewick.zip": packed(
        {
            "JeanLuc Quibblewick/mlp.ipynb": book(),
            "JeanLuc Quibblewick/jquib.png": b"x",
            "JeanLuc Quibblewick/inner.zip": packed({"quibble2.txt": b"x"}),
        }
    ),
    "snorkelbyanamaría_71000003_text.html": TEXT,
    "teamgnarl_71000005_906_mlp.ipynb": book("mlp", "pass  # old"),
    "teamgnarl_71000005_907_mlp-1.ipynb": book("mlp", "pass  # new"),
}
EXPECTED = {
    "wobble1": {"mlp.ipynb", "helpers.py", "file.csv"},
    "quibble2": {"archive.zip"},
    "snork3": {"text.html"},
    "fizz4": {"mlp.ipynb"},
    "grump5": {"mlp.ipynb"},
}


def archive_in(folder: Path, files: Mapping[str, bytes] = HANDED_IN) -> Path:
    with zipfile.ZipFile(folder / "submissions.zip", "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return folder / "submissions.zip"


@pytest.fixture
def course(tmp_path: Path) -> Course:
    """A course with the real homeworks, a roster with pseudonyms and nobody's submissions."""
    root = tmp_path / "course"
    root.mkdir()
    shutil.copy(ROOT / "course.toml", root)
    for name in ("hw1", "hw2", "hw3", "hw4", "release"):
        (root / name).symlink_to(ROOT / name)
    made = open_course(root)
    (root / "roster.csv").write_text(ROSTER, encoding="utf-8")
    run(made, "roster", "pseudonyms")
    return made


def told(course: Course) -> list[str]:
    """Where something tells who somebody is: names of files, and what is in them, in archives and in the gradebook."""
    found = []
    for path in course.root.rglob("*"):
        where = str(path.relative_to(course.root))
        found += [f"the name {where}: {sign}" for sign in TELLING if sign in where.casefold()]
        if path.is_file() and where != "roster.csv" and not where.startswith(("hw", "release", "source")):
            for inner, data in _unpacked(where, path.read_bytes()):
                found += [f"{inner}: {sign}" for sign in _signs(data)]
    return found


def _signs(data: bytes) -> list[str]:
    """The signs in a text; elsewhere the long ones, since packed bytes hold any three letters sooner or later."""
    try:
        text, least = data.decode("utf-8"), 0
    except UnicodeDecodeError:
        text, least = data.decode("utf-8", errors="replace"), 5
    return [sign for sign in TELLING if len(sign) >= least and sign in text.casefold()]


def _unpacked(where: str, data: bytes) -> Iterator[tuple[str, bytes]]:
    yield where, data
    yield f"{where}: its name", where.encode()
    if data.startswith(b"PK"):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for name in archive.namelist():
                yield from _unpacked(f"{where}/{name}", archive.read(name))
    elif where.endswith(".db"):
        with closing(sqlite3.connect(":memory:")) as book:
            book.deserialize(data)
            yield f"{where}: tables", "\n".join(book.iterdump()).encode()
    elif data.startswith(b"autograder transcript"):
        kept = transcript.parsed(data)
        for place, text in [*_within(kept.index), *_within(kept.body)]:
            yield f"{where}: {place}", text


def _within(value: object, place: str = "") -> Iterator[tuple[str, bytes]]:
    """Every text and all bytes in a value made of Structs, with where each stands."""
    if isinstance(value, str | bytes):
        yield place, value.encode() if isinstance(value, str) else value
    elif isinstance(value, msgspec.Struct):
        yield from _within(msgspec.structs.asdict(value), place)
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _within(key, f"{place}.{key}")
            yield from _within(inner, f"{place}.{key}")
    elif isinstance(value, tuple | list):
        for number, inner in enumerate(value):
            yield from _within(inner, f"{place}[{number}]")


# The roster


def test_everybody_gets_a_pseudonym_of_their_own_and_keeps_it(course):
    before = names(course)
    assert len(set(before.values())) == 6 and not set(before) & set(before.values())
    assert all(len(name) == 6 and not set(name) & set("01oil2z5s8b") for name in before.values())
    with (course.root / "roster.csv").open("a", encoding="utf-8") as file:
        file.write("new7,New Student,,,,,,,\n")
    assert "1 new pseudonyms for 7 students" in run(course, "roster", "pseudonyms")
    assert {id: name for id, name in names(course).items() if id != "new7"} == before


def test_a_pseudonym_is_never_somebodys_id(tmp_path, monkeypatch):
    made = iter("cc33c3" + "dd44d4" + "ff66f6")
    monkeypatch.setattr(pseudonym.secrets, "choice", lambda signs: next(made))
    (tmp_path / "roster.csv").write_text("id,pseudonym\ncc33c3,dd44d4\nb,\n")
    found = pseudonym.given(read_roster(tmp_path / "roster.csv"))
    assert [one.pseudonym for one in found.students] == ["dd44d4", "ff66f6"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("id,pseudonym\na,x\nb,X\n", "line 3: the pseudonym 'x' stands in line 2 as well"),
        ("id,pseudonym\na,B\nb,\n", "line 2: the pseudonym 'B' is the id in line 3"),
        ("id,pseudonym\na,x y\n", "line 2: the pseudonym 'x y' has a blank in it"),
        ("id,pseudonym\na,x/y\n", "line 2: the pseudonym 'x/y' cannot be the name of a folder"),
    ],
)
def test_a_pseudonym_that_cannot_be_one_is_an_error_of_the_roster(tmp_path, text, words):
    (tmp_path / "roster.csv").write_text(text)
    with pytest.raises(CourseError, match=words):
        read_roster(tmp_path / "roster.csv")


def test_who_is_found_by_the_pseudonym_has_no_name(course):
    known, name = people(course), names(course)["quibble2"]
    found = known.get(name.upper())
    assert (found.id, found.name, found.email, found.extra_days) == (name, "", "", 2)
    assert known.bearer(name).name == "Jean-Luc Quibblewick" and known.get("quibble2").name == "Jean-Luc Quibblewick"


def test_a_list_of_a_platform_changes_no_pseudonym(course, tmp_path):
    before = names(course)
    (tmp_path / "list.csv").write_text("id,email,pseudonym\nhoot6,new@hoot.edu,hoot\n")
    run(course, "roster", "import", tmp_path / "list.csv")
    assert names(course) == before and people(course).get("hoot6").email == "new@hoot.edu"


# Collecting


def test_nothing_that_is_collected_tells_who_it_is(course, tmp_path):
    said = run(course, "collect", "hw1", archive_in(tmp_path), "--pseudonyms", code=1)
    assert told(course) == []
    folders = {
        id: {path.name for path in (course.root / "submitted" / name / "hw1").glob("*")}
        for id, name in names(course).items()
    }
    assert {id: files for id, files in folders.items() if files} == EXPECTED
    assert f"nothing from {names(course)['hoot6']}" in said
    assert "a file whose name tells whose it is was called file.csv" in said
    aside = sorted(path.parts[-3] for path in (course.root / "collected").rglob("mlp.ipynb"))
    assert aside == sorted(names(course)[id] for id in ("fizz4", "grump5"))


def test_a_students_work_stays_as_it_was(course, tmp_path):
    run(course, "collect", "hw1", archive_in(tmp_path), "--pseudonyms", code=1)
    there = {id: course.root / "submitted" / name / "hw1" for id, name in names(course).items()}
    assert (there["grump5"] / "mlp.ipynb").read_bytes() == book("mlp", "pass  # new")
    sources = [cell["source"] for cell in json.loads((there["wobble1"] / "mlp.ipynb").read_bytes())["cells"]]
    assert sources == [cell["source"] for cell in json.loads(book())["cells"]]
    with zipfile.ZipFile(there["quibble2"] / "archive.zip") as archive:
        assert archive.namelist() == ["folder-1/mlp.ipynb", "folder-1/file.png", "folder-1/inner.zip"]
        assert archive.read("folder-1/mlp.ipynb") == book()


def test_collecting_again_changes_nothing(course, tmp_path):
    given = archive_in(tmp_path)
    run(course, "collect", "hw1", given, "--pseudonyms", code=1)
    before = {path: path.stat().st_mtime_ns for path in course.root.glob("[sc]*/**/*")}
    found = collect(course, course.homework("hw1"), [given], roster=people(course), pseudonyms=True, replacing=True)
    assert {one.state for one in found.collected} == {"same"}
    assert {path: path.stat().st_mtime_ns for path in course.root.glob("[sc]*/**/*")} == before


def test_a_damaged_archive_stays_as_it_was_and_is_named(course, tmp_path):
    files = {"hootenannymax_71000006_9_max.zip": packed({"Max/mlp.ipynb": book()})[:-30]}
    said = run(course, "collect", "hw1", archive_in(tmp_path, files), "--pseudonyms", code=1)
    assert "stays as it was handed in, with the names that are in it" in said
    assert (course.root / "submitted" / names(course)["hoot6"] / "hw1" / "archive.zip").is_file()


@pytest.mark.parametrize("first", [True, False])
def test_one_homework_is_not_collected_in_both_ways(course, tmp_path, first):
    files = {"hootenannymax_71000006_9_mlp.ipynb": book()}
    given = archive_in(tmp_path, files)
    ways = (["--pseudonyms"], []) if first else ([], ["--pseudonyms"])
    run(course, "collect", "hw1", given, *ways[0])
    assert "the same student's: move it away" in run(course, "collect", "hw1", given, *ways[1], code=1)
    assert len(list((course.root / "submitted").iterdir())) == 1


def test_a_roster_without_pseudonyms_is_refused_before_anything_is_written(course, tmp_path):
    (course.root / "roster.csv").write_text(ROSTER, encoding="utf-8")
    said = run(course, "collect", "hw1", archive_in(tmp_path), "--pseudonyms", code=2)
    assert "run `autograder roster pseudonyms`" in said and not (course.root / "submitted").exists()
    (course.root / "roster.csv").unlink()
    assert "roster.csv" in run(course, "collect", "hw1", archive_in(tmp_path), "--pseudonyms", code=2)


@pytest.mark.parametrize(
    ("name", "data", "fresh"),
    [
        ("Max_Hootenanny.ipynb", book("sgd"), "sgd.ipynb"),
        ("mlpHoot6.ipynb.txt", book(), "mlp.ipynb.txt"),
        ("hootenanny", book(), "mlp"),
        ("sgd max.pdf", b"%PDF", "sgd.pdf"),
        ("max.ipynb", b"damaged", "file.ipynb"),
        ("maxpool.py", b"x = 1", "maxpool.py"),
        ("HOOTENANNY/work/mlp.ipynb", book(), "folder-1/work/mlp.ipynb"),
        ("plots-of-zoë-wobblethorpe.png", b"x", "file.png"),
    ],
)
def test_a_file_that_tells_whose_it_is_has_the_notebooks_own_name(course, tmp_path, name, data, fresh):
    archive_in(tmp_path, {f"hoot6/hw1/{name}": data, "grump5/hw1/mlp.ipynb": book(), "fizz4/hw1/mlp.ipynb": book()})
    done = CliRunner().invoke(
        app, ["collect", "hw1", str(tmp_path / "submissions.zip"), "--pseudonyms", "--course", str(course.root)]
    )
    folder = course.root / "submitted" / names(course)["hoot6"] / "hw1"
    assert [str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()] == [fresh], done.output
    assert (folder / fresh).read_bytes() == data


# Who is graded, and who is named


def surveyed(course: Course, homework: str) -> tuple[dict[str, str], set[str]]:
    found = survey_of(course.root / "submitted", homework, course.homeworks, people(course))
    return {one.student: one.folder.name for one in found.todo}, {one.name for one in found.absent}


def hand_in(course: Course, student: str, homework: str, name: str = "mlp") -> None:
    folder = course.root / "submitted" / student / homework
    folder.mkdir(parents=True)
    (folder / f"{name}.ipynb").write_bytes(book(name))


def test_teams_and_absent_students_are_called_by_pseudonyms(course):
    name = names(course)
    hand_in(course, name["grump5"], "hw1")
    graded, absent = surveyed(course, "hw1")
    assert graded == {name["grump5"]: name["grump5"], name["fizz4"]: name["grump5"]}
    assert absent == {name[id] for id in ("wobble1", "quibble2", "snork3", "hoot6")}


def test_a_course_may_have_homeworks_with_and_without_pseudonyms(course):
    name = names(course)
    hand_in(course, "grump5", "hw1")
    hand_in(course, "hoot6", "hw1")
    hand_in(course, name["grump5"], "hw2", "cnn")
    hand_in(course, name["wobble1"], "hw2", "cnn")
    others = ("quibble2", "snork3")
    assert surveyed(course, "hw1") == (
        {"grump5": "grump5", "fizz4": "grump5", "hoot6": "hoot6"}, {"wobble1", *others},
    )  # fmt: skip
    graded, absent = surveyed(course, "hw2")
    assert set(graded) == {name[id] for id in ("grump5", "fizz4", "wobble1")}
    assert absent == {name[id] for id in ("hoot6", *others)}


def test_free_days_that_a_homework_used_under_the_other_name_are_used(course):
    path = course.root / "course.toml"
    path.write_text(f"{path.read_text()}\n[late]\nper_day = 10\nfree_days = 3\n")
    found = open_course(course.root)
    name = names(course)["hoot6"]
    for student, homework, book_name, day in (("hoot6", "hw1", "mlp", 12), (name, "hw2", "cnn", 23)):
        hand_in(course, student, homework, book_name)
        stamp = course.root / "submitted" / student / homework / "timestamp.txt"
        stamp.write_text(f"2026-11-{day} 10:00:00 UTC\n")
    first = msgspec.structs.replace(found.homework("hw1"), due=datetime(2026, 11, 10, 12, tzinfo=UTC))
    second = msgspec.structs.replace(found.homework("hw2"), due=datetime(2026, 11, 20, 12, tzinfo=UTC))
    homeworks = {"hw1": first, "hw2": second}
    asked = SimpleNamespace(root=course.root, homeworks=("hw1", "hw2"), homework=homeworks.__getitem__)
    late = Standing(asked, second, people(course)).late(name)
    assert (late.days, late.free_days) == (3, 1)


def test_who_has_no_pseudonym_is_not_named_in_a_homework_with_pseudonyms(course):
    hand_in(course, names(course)["hoot6"], "hw1")
    with (course.root / "roster.csv").open("a", encoding="utf-8") as file:
        file.write("new7,New Student,,,,,,,\n")
    with pytest.raises(CourseError, match="no pseudonym for new7: run `autograder roster pseudonyms`"):
        surveyed(course, "hw1")


# Back to people


def scores(course: Course, *options: object, code: int = 0) -> list[dict[str, str]]:
    run(course, "export", "hw1", *options, code=code)
    to = options[1]
    text = (course.root / "results" / f"hw1.{to}.csv").read_text(encoding="utf-8-sig")
    return list(csv.DictReader(io.StringIO(text)))


def results(course: Course) -> dict[str, str]:
    """A result for everybody, under the pseudonym: the last digit of the id is the score."""
    for id, name in names(course).items():
        record.write(result(name, float(id[-1])), course.root / "results")
    return names(course)


def test_export_leads_back_to_everybody(course, tmp_path):
    results(course)
    gradebook = tmp_path / "canvas.csv"
    gradebook.write_text(
        "Student,ID,SIS Login ID,Section,Homework 1 (1)\n"
        + "".join(
            f'"{one.last_name}, {one.first_name}",{one.ids("canvas_id")[0]},,,\n' for one in people(course).students
        )
    )
    filled = scores(course, "--to", "canvas", "--into", gradebook)
    assert {row["ID"][-1]: row["Homework 1 (1)"] for row in filled} == {sign: sign for sign in "123456"}
    made = scores(course, "--to", "csv")
    assert [(row["id"], row["score"]) for row in made] == [(row["id"], row["id"][-1]) for row in made] and len(
        made
    ) == 6
    assert {row["name"] for row in made} == {one.name for one in people(course).students}


def test_pages_are_delivered_to_people(course, tmp_path):
    name = results(course)
    run(course, "deliver", "hw1", "--to", tmp_path / "pages")
    for id in name:
        page = (tmp_path / "pages" / id / "hw1.html").read_bytes()
        assert page == (course.root / "results" / name[id] / "hw1.html").read_bytes()
    given = archive_in(tmp_path, {f"x_{one.ids('canvas_id')[0]}_9_mlp.ipynb": b"" for one in people(course).students})
    run(course, "deliver", "hw1", "--to", "canvas-zip", "--into", given)
    with zipfile.ZipFile(course.root / "results" / "hw1.canvas.zip") as archive:
        there = {file.split("_")[1][-1]: archive.read(file) for file in archive.namelist()}
    assert there == {id[-1]: (course.root / "results" / name[id] / "hw1.html").read_bytes() for id in name}


def test_two_results_of_one_student_are_refused(course):
    name = results(course)
    record.write(result("hoot6", 1.0), course.root / "results")
    said = run(course, "export", "hw1", "--to", "csv", code=2)
    assert f"hoot6 and {name['hoot6']} are one student" in said or f"{name['hoot6']} and hoot6 are one" in said


# The whole way


@pytest.mark.slow(seconds=60)
@pytest.mark.parametrize("key", [True, False])
def test_a_class_is_graded_without_a_name_on_disk(tmp_path, key):
    course = small_course(tmp_path / "course")
    (course.root / "roster.csv").write_text(ROSTER, encoding="utf-8")
    run(course, "roster", "pseudonyms")
    name = names(course)
    run(course, "collect", "hw1", archive_in(tmp_path), "--pseudonyms", code=1)
    roster = (course.root / "roster.csv").read_bytes()
    if not key:
        (course.root / "roster.csv").unlink()
    run(course, "grade", "hw1", "--workers", "2", code=1)  # the text is no notebook
    run(course, "record", "hw1")
    with closing(opened(course)) as there:
        there.find_submission("hw1", name["wobble1"]).notebooks[0].grades[0].manual_score = 0.5
        there.db.commit()
    assert "1 of 5 pages changed" in run(course, "marks", "hw1", code=1)  # another answer waits
    run(course, "regrade", "hw1")
    assert told(course) == []
    lines = csv.DictReader(io.StringIO((course.root / "results" / "hw1.csv").read_text()))
    assert {line["student"] for line in lines} >= {name[id] for id in EXPECTED}
    with closing(sqlite3.connect(course.root / "gradebook.db")) as there:
        enrolled = set(there.execute("select id, first_name, last_name, email from student"))
    graded = name.values() if key else [name[id] for id in EXPECTED]
    assert enrolled == {(one, None, None, None) for one in graded}
    (course.root / "roster.csv").write_bytes(roster)
    run(course, "export", "hw1", "--to", "csv", "--partial")
    with (course.root / "results" / "hw1.csv.csv").open(encoding="utf-8-sig") as file:
        assert {row["id"] for row in csv.DictReader(file)} == set(EXPECTED)
