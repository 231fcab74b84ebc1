"""Scores and pages for learning platforms: nothing else in their files changes, and nobody is left out in silence."""

import csv
import io
import random
import zipfile
from pathlib import Path

import pytest
from typer.testing import CliRunner

from autograder.cli import app
from autograder.course.course import CourseError, open_course
from autograder.course.roster import read_roster
from autograder.exporting import scores
from autograder.exporting.fields import read_fields
from autograder.results import record
from autograder.results.result import SCHEMA, CellResult, NotebookResult, Result

COURSE = open_course(Path(__file__).parents[1])
HOMEWORK = COURSE.homework("hw1")
ROSTER = (
    "id,name,email,login,canvas_id,moodle_participant\n"
    "jane,Jane Doe,jane@uni.edu,jd1,11,501\n"
    'max,"Müller, Max",max@uni.edu,mm2,12,502\n'
    "zoe,Zoë Ünlü,zoe@uni.edu,zu3,13,503\n"
)
CANVAS = (
    "Student,ID,SIS User ID,SIS Login ID,Section,Homework 1 (4711),Homework 2 (4712),Final Score\r\n"
    "    Points Possible,,,,,100,50,(read only)\r\n"
    '"Doe, Jane",11,S1,jd1,"A, B",,7,"say ""hi"""\r\n'
    '"Müller, Max",12,S2,mm2,A,5.0,,\r\n'
    '"Strange, Eve",19,S9,es9,A,1,,\r\n'
    '"Student, Test",99,,,A,,,\r\n'
)
MOODLE = (
    "Identifier;Full name;Email address;Status;Grade;Maximum Grade;Feedback comments\n"
    'Participant 501;Jane Doe;jane@uni.edu;Submitted;;"100,00";"two\nlines"\n'
    'Participant 502;Max Müller;max@uni.edu;Submitted;"12,50";"100,00";\n'
)


def result(student, score, waiting=False, most=100.0):
    cells = [CellResult(grade_id="a", title="A", points=most, earned=score)]
    if waiting:
        cells.append(CellResult(grade_id="b", title="B", points=1, earned=None))
    book = NotebookResult(
        notebook="mlp", title="MLP", file="mlp.ipynb", score=score, max_score=most, cells=tuple(cells),
        tier="A", seed=0, cpu_seconds=0, wall_seconds=0, peak_memory_mb=0,
    )  # fmt: skip
    return Result(
        schema=SCHEMA, course="c", homework="hw1", title="T", student=student, score=score, max_score=most,
        notebooks=(book,), tier="A", versions={}, graded_at="2026-01-01T00:00:00+00:00", cpu_seconds=0, wall_seconds=0,
    )  # fmt: skip


RESULTS = {"jane": result("jane", 34.25), "max": result("max", 50.0)}


@pytest.fixture
def roster(tmp_path):
    (tmp_path / "roster.csv").write_text(ROSTER)
    return read_roster(tmp_path / "roster.csv")


@pytest.fixture
def fill(tmp_path, roster):
    def filled(text, platform="canvas", results=RESULTS, encoding="utf-8", people=roster, **options):
        path = tmp_path / "gradebook.csv"
        path.write_bytes(text if isinstance(text, bytes) else text.encode(encoding))
        return scores.fill(path, platform, HOMEWORK, COURSE.homeworks, results, people, **options)

    return filled


def test_canvas_gradebook_is_filled_and_nothing_else_changes(fill):
    found = fill(CANVAS)
    wanted = CANVAS.replace('"A, B",,7', '"A, B",34.25,7').replace("A,5.0,,", "A,50,,")
    assert found.data == wanted.encode()
    assert (found.filled, found.changed) == (2, (("max", "5.0", "50"),))
    assert (found.missing, found.unknown, found.notes) == (("Strange, Eve",), (), ())


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16"])
def test_the_encoding_stays(fill, encoding):
    found = fill(CANVAS, encoding=encoding)
    wanted = CANVAS.replace('"A, B",,7', '"A, B",34.25,7').replace("A,5.0,,", "A,50,,")
    assert found.data == wanted.encode(encoding)


def test_moodles_worksheet_has_decimal_commas_and_keeps_them(fill):
    found = fill(MOODLE, "moodle")
    assert found.data.decode() == MOODLE.replace("Submitted;;", "Submitted;34,25;").replace('"12,50"', '"50"')


def test_files_of_any_kind_stay_byte_for_byte_where_nothing_is_filled_in(fill, tmp_path):
    draw = random.Random(7)
    texts = ["", "x", "a b", "ü", 'say "hi"', "a,b", "c;d", "two\nlines", "two\r\nlines", " left", "=1+1", "'t", "'"]
    for _ in range(300):
        separator, end = draw.choice(",;\t"), draw.choice(["\n", "\r\n"])
        out = io.StringIO()
        table = csv.writer(
            out, delimiter=separator, lineterminator=end, quoting=draw.choice([csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
        )
        rows = [["h1", "h2", "h3", "h4"], *([draw.choice(texts) for _ in range(4)] for _ in range(draw.randrange(5)))]
        table.writerows(rows)
        text = out.getvalue()
        if draw.random() < 0.5:
            text = text.removesuffix(end)
        data = text.encode(draw.choice(["utf-8", "utf-8-sig", "cp1252"]))
        path = tmp_path / "any.csv"
        path.write_bytes(data)
        fields = read_fields(path)
        assert fields.replaced({}) == data
        assert [[field.text for field in one] for one in fields.records] == [
            row for row in rows if any(field.strip() for field in row)
        ]
        if len(fields.records) == 1:
            continue
        at = draw.randrange(1, len(fields.records)), draw.randrange(4)
        path.write_bytes(fields.replaced({at: 'new, "text"; \n'}))
        after = read_fields(path)
        changed = [[field.text for field in one] for one in after.records]
        before = [[field.text for field in one] for one in fields.records]
        before[at[0]][at[1]] = 'new, "text"; \n'
        assert changed == before


def test_who_waits_for_a_mark_is_left_out_and_named(fill):
    results = {**RESULTS, "max": result("max", 50.0, waiting=True)}
    found = fill(CANVAS, results=results)
    assert (found.waiting, found.filled) == (("max",), 1)
    assert "A,5.0,," in found.data.decode()
    assert fill(CANVAS, results=results, partial=True).filled == 2


def test_who_is_not_in_the_file_is_named(fill):
    found = fill(CANVAS, results={**RESULTS, "zoe": result("zoe", 1.0)})
    assert found.unknown == ("zoe",) and not found.complete


def test_without_a_roster_the_platforms_login_is_the_folders_name(fill):
    assert fill(CANVAS, people=None, results={"jd1": result("jd1", 3.0)}).filled == 1


def test_a_student_who_stands_there_twice_is_filled_in_once(fill):
    line = '"Doe, Jane",11,S1,jd1,"A, B",,7,\r\n'
    found = fill(CANVAS + line)
    assert found.filled == 2 and any("both jane" in note for note in found.notes)


def test_another_maximum_is_told(fill):
    assert any("worth 90 points" in note for note in fill(CANVAS.replace(",100,50", ",90,50")).notes)


@pytest.mark.parametrize(
    "old, new, why",
    [
        ("Homework 1 (4711)", "Essay (4711)", "no column is called like hw1"),
        ("Final Score", "hw1 late", "several columns may be meant"),
        ("Student,ID,SIS User ID,SIS Login ID", "a,b,c,d", "a list of canvas has the columns"),
    ],
)
def test_a_file_with_other_columns_is_refused_with_a_way_out(fill, old, new, why):
    with pytest.raises(CourseError, match=why):
        fill(CANVAS.replace(old, new))


def test_the_column_can_be_named(fill):
    found = fill(CANVAS, column="homework 2  (4712)")
    assert '"A, B",,34.25,' in found.data.decode()


def test_a_workbook_is_refused(fill):
    with pytest.raises(CourseError, match="export it as CSV"):
        fill(b"PK\x03\x04")


def test_a_new_file_has_everybody_and_no_formulas(roster):
    results = {**RESULTS, "=cmd()": result("=cmd()", 2.0)}
    found = scores.made("csv", HOMEWORK, results, roster)
    rows = list(csv.reader(io.StringIO(found.data.decode("utf-8-sig"))))
    assert rows[1:] == [
        ["jane", "Jane Doe", "jane@uni.edu", "", "100", "34.25"],
        ["max", "Max Müller", "max@uni.edu", "", "100", "50"],
        ["'=cmd()", "", "", "", "100", "2"],
    ]
    assert (found.unknown, found.missing) == (("=cmd()",), ("zoe",))


@pytest.mark.parametrize("platform", ["canvas", "moodle"])
def test_what_is_made_for_a_platform_is_read_as_its_own(platform, roster, fill):
    made = scores.made(platform, HOMEWORK, RESULTS, roster)
    if platform == "canvas":
        assert fill(made.data, platform).data == made.data
    assert made.filled == 2 and b"34.25" in made.data


@pytest.fixture
def root(tmp_path):
    """The folder of a course with three results."""
    root = tmp_path / "course"
    (root / "hw1").mkdir(parents=True)
    for name in ("course.toml", "hw1/homework.toml"):
        (root / name).write_bytes((COURSE.root / name).read_bytes())
    (root / "roster.csv").write_text(ROSTER)
    for one in (*RESULTS.values(), result("zoe", 5.0)):
        record.write(one, root / "results")
    return root


def test_the_command_writes_a_copy_and_tells_who_is_missing(root, tmp_path):
    gradebook = tmp_path / "canvas.csv"
    gradebook.write_text(CANVAS, newline="")
    call = ["export", "hw1", "--to", "canvas", "--into", str(gradebook), "--course", str(root)]
    dry = CliRunner().invoke(app, [*call, "--dry-run"])
    assert "nothing was written" in dry.output and not (root / "results/hw1.canvas.csv").exists()
    done = CliRunner().invoke(app, call)
    assert done.exit_code == 1
    assert "zoe: has a result, but is not in the list of students" in done.output
    assert "Strange, Eve: no result" in done.output
    assert "34.25" in (root / "results/hw1.canvas.csv").read_text()
    assert gradebook.read_text() == CANVAS.replace("\r\n", "\n")
    assert CliRunner().invoke(app, ["export", "hw1", "--to", "canvas", "--into", str(tmp_path / "no.csv"),
                                    "--course", str(root)]).exit_code == 2  # fmt: skip


# ---- pages


def delivered(root, *options):
    return CliRunner().invoke(app, ["deliver", "hw1", *map(str, options), "--course", str(root)])


def test_a_folder_gets_pages_and_nothing_else(root, tmp_path):
    (root / "results/jane/hw1.transcript").write_text("secret")
    done = delivered(root, "--to", tmp_path / "pages")
    assert done.exit_code == 0, done.output
    files = sorted(path.relative_to(tmp_path / "pages").as_posix() for path in (tmp_path / "pages").rglob("*.*"))
    assert files == ["jane/hw1.html", "max/hw1.html", "zoe/hw1.html"]


def test_a_page_that_waits_for_a_mark_is_left_out_and_named(root, tmp_path):
    record.write(result("max", 50.0, waiting=True), root / "results")
    done = delivered(root, "--to", tmp_path / "pages")
    assert done.exit_code == 1 and "max: left out" in done.output
    assert not (tmp_path / "pages/max").exists()
    assert delivered(root, "--to", tmp_path / "pages", "--partial").exit_code == 0


def test_moodles_archive_has_the_numbers_of_the_worksheet(root, tmp_path):
    worksheet = tmp_path / "worksheet.csv"
    worksheet.write_text(MOODLE)
    done = delivered(root, "--to", "moodle-zip", "--into", worksheet)
    assert done.exit_code == 1 and "zoe: left out, not in the worksheet" in done.output
    with zipfile.ZipFile(root / "results/hw1.moodle.zip") as archive:
        pages = {name: archive.read(name) for name in archive.namelist()}
    assert pages == {
        "Jane Doe_501_assignsubmission_file/hw1.html": (root / "results/jane/hw1.html").read_bytes(),
        "Max Müller_502_assignsubmission_file/hw1.html": (root / "results/max/hw1.html").read_bytes(),
    }
    before = (root / "results/hw1.moodle.zip").read_bytes()
    delivered(root, "--to", "moodle-zip", "--into", worksheet)
    assert (root / "results/hw1.moodle.zip").read_bytes() == before


def test_names_cannot_leave_the_archives_folder_or_change_the_number(root, tmp_path):
    worksheet = tmp_path / "worksheet.csv"
    worksheet.write_text(MOODLE.replace(";Jane Doe;", ";../Ja_9_ne/Doe;"))
    delivered(root, "--to", "moodle-zip", "--into", worksheet)
    with zipfile.ZipFile(root / "results/hw1.moodle.zip") as archive:
        [name] = [name for name in archive.namelist() if "501" in name]
    assert name.count("/") == 1 and name.split("_")[1] == "501"


def test_another_list_than_the_worksheet_is_refused(root, tmp_path):
    (tmp_path / "canvas.csv").write_text(CANVAS)
    done = delivered(root, "--to", "moodle-zip", "--into", tmp_path / "canvas.csv")
    assert done.exit_code == 2 and "no grading worksheet" in done.output


def test_the_folder_of_results_is_no_place_for_delivery(root):
    assert delivered(root, "--to", root / "results").exit_code == 2
