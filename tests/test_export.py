"""Scores and pages for learning platforms: nothing else in their files changes, and nobody is left out in silence."""

import csv
import io
import random
import zipfile
from pathlib import Path

import pytest
from typer.testing import CliRunner

from autograder.cli import app
from autograder.collecting.attribution import attribute
from autograder.collecting.division import divide
from autograder.collecting.platforms import Setting
from autograder.collecting.source import opened
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
    assert found.filled == 2 and any("stands there 2 times" in note for note in found.notes)


def test_another_maximum_is_told(fill):
    assert any("worth 90 points" in note for note in fill(CANVAS.replace(",100,50", ",90,50")).notes)


@pytest.mark.parametrize(
    "old, new, why",
    [
        ("Homework 1 (4711)", "Essay (4711)", "no column is called like hw1"),
        ("Homework 2", "hw1 late", "several columns may be meant"),
        ("Homework 1 (4711)", "Homework 10 (4711)", "no column is called like hw1"),
        ("Homework 1 (4711)", "Backpropagations (4711)", "no column is called like hw1"),
        ("Homework 1 (4711)", "NoBackpropagation (4711)", "no column is called like hw1"),
        ("Student,ID,SIS User ID,SIS Login ID", "a,b,c,d", "a list of canvas has the columns"),
    ],
)
def test_a_file_with_other_columns_is_refused_with_a_way_out(fill, old, new, why):
    with pytest.raises(CourseError, match=why):
        fill(CANVAS.replace(old, new))


def test_a_column_that_the_platform_makes_itself_is_not_filled(fill):
    with pytest.raises(CourseError, match="choose another --column"):
        fill(CANVAS, column="final score")
    assert fill(CANVAS.replace("Final Score", "Homework 1 Final Score")).column == "Homework 1 (4711)"


SECOND_JANE = '"Doe, Jane",77,,jd7,B,,,\r\n'


def test_two_people_whom_only_a_name_tells_apart_get_nothing(fill, tmp_path):
    (tmp_path / "names.csv").write_text("id,name\njane,Jane Doe\nmax,Max Müller\n")
    found = fill(CANVAS + SECOND_JANE, people=read_roster(tmp_path / "names.csv"))
    assert found.data.decode() == (CANVAS + SECOND_JANE).replace("A,5.0,,", "A,50,,")
    assert any("are both jane: nothing is filled in" in note for note in found.notes)


def test_a_line_that_may_be_two_students_is_not_filled(fill, tmp_path):
    (tmp_path / "names.csv").write_text("id,name\njane,Jane Doe\njd,Jane Doe\nmax,Max Müller\n")
    found = fill(CANVAS, people=read_roster(tmp_path / "names.csv"))
    assert found.filled == 1 and any("may be jane or jd" in note for note in found.notes)


@pytest.mark.parametrize("stands, count", [("A, B,,7", 9), ('"A, B",7', 7)])
def test_a_line_with_more_or_fewer_fields_than_columns_is_not_filled(fill, stands, count):
    found = fill(CANVAS.replace('"A, B",,7', stands))
    assert b"34.25" not in found.data
    assert any(f"{count} fields for 8 columns" in note for note in found.notes)


def test_empty_columns_at_the_end_are_no_columns(fill):
    text = CANVAS.replace("Final Score\r\n", "Final Score,,\r\n")
    assert fill(text).filled == 2


def test_moodles_grade_export_has_the_score_beside_its_feedback(fill):
    text = (
        "First name,Last name,Email address,Assignment: Homework 1 (Real),Assignment: Homework 1 (Feedback)\n"
        "Jane,Doe,jane@uni.edu,-,\n"
    )
    found = fill(text, "moodle")
    assert found.data.decode() == text.replace("-", "34.25")
    assert found.changed == ()


def test_text_behind_a_quote_belongs_to_the_field(fill):
    assert b'"Doe, Jane" ,11,S1,jd1,"A, B",34.25,7' in fill(CANVAS.replace('Jane",', 'Jane" ,')).data


@pytest.mark.parametrize("text", ['"Open, Otto,5,,,A,,,\r\n', '"Open, Otto""'])
def test_a_quote_that_is_never_closed_is_refused_with_its_line(fill, text):
    with pytest.raises(CourseError, match="line 7: a quote is opened here"):
        fill(CANVAS + text)


@pytest.mark.parametrize("sign", [";", "|"])
def test_excels_line_about_the_separator_stays_and_is_believed(fill, sign):
    found = fill(f"sep={sign}\r\n" + MOODLE.replace(";", sign), "moodle")
    assert found.data.decode() == f"sep={sign}\r\n" + fill(MOODLE, "moodle").data.decode().replace(";", sign)


@pytest.mark.parametrize(
    "stands, written", [("12,5", '"34,25"'), ("1,234.5", "34.25"), ("1,234", "34.25"), ("late, twice", "34.25")]
)
def test_only_a_number_tells_that_a_file_has_decimal_commas(fill, stands, written):
    found = fill(CANVAS.replace("A,5.0,,", f'A,"{stands}",,'))
    assert f'"A, B",{written},7' in found.data.decode()


def test_a_field_that_is_no_number_is_told_as_changed(fill):
    assert fill(CANVAS.replace("A,5.0,,", "A,EX,,")).changed == (("max", "EX", "50"),)


GERMAN = (
    "ID,Vollständiger Name,E-Mail-Adresse,Status,Bewertung,Bestwertung,Feedback als Kommentar\r\n"
    'Teilnehmer/in501,Jane Doe,jane@uni.edu,Abgegeben,,"80,00",\r\n'
    'Teilnehmer/in502,Max Müller,,Abgegeben,"50,00","80,00",\r\n'
)


def test_a_german_worksheet_is_filled_and_its_maximum_told(fill):
    found = fill(GERMAN, "moodle", encoding="utf-8-sig")
    wanted = GERMAN.replace('Abgegeben,,"80', 'Abgegeben,"34,25","80').replace('"50,00"', '"50"')
    assert found.data.decode("utf-8-sig") == wanted
    assert found.changed == () and found.notes == ("the platform's assignment is worth 80,00 points, the homework 100",)


GRADESCOPE = (
    "First Name,Last Name,SID,Email,Homework 1,Homework 1 - Max Points,Homework 1 - Submission Time,"
    "Homework 1 - Lateness (H:M:S)\n"
    "Jane,Doe,,jane@uni.edu,,100.0,2026-11-01,00:00:00\n"
    "Max,M.,,max@uni.edu,,90.0,,\n"
)


def test_gradescopes_form_is_filled_beside_its_other_columns(fill):
    found = fill(GRADESCOPE, "gradescope")
    assert found.data.decode() == GRADESCOPE.replace("jane@uni.edu,,", "jane@uni.edu,34.25,").replace(
        "max@uni.edu,,", "max@uni.edu,50,"
    )
    assert found.notes == ("the platform's assignment is worth 90.0 points, the homework 100",)


def test_of_any_gradebook_only_the_scores_change(fill, tmp_path):
    draw = random.Random(3)
    texts = ["", "ü", "a,b", "two\r\nlines", 'say "hi"', "=1+1", " x "]
    for _ in range(100):
        count = draw.randrange(1, 8)
        (tmp_path / "some.csv").write_text("id,canvas_id\n" + "".join(f"s{at},{at}00\n" for at in range(count)))
        chosen = [0, *(at for at in range(1, count) if draw.random() < 0.8)]
        results = {f"s{at}": result(f"s{at}", 1 + draw.randrange(400) / 4) for at in chosen}
        header = ["Student", "ID", "Section", "HW 1 (4)", "Comment"]
        before = [[draw.choice(texts), f"{at}00", draw.choice(texts), draw.choice(["", "7", "EX"]), draw.choice(texts)]
                  for at in draw.sample(range(count + 2), count + 2)]  # fmt: skip
        given = {f"{student[1:]}00": f"{one.score:g}" for student, one in results.items()}
        after = [[name, id, section, given.get(id, score), text] for name, id, section, score, text in before]
        end, quoting = draw.choice(["\n", "\r\n"]), draw.choice([csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
        encoding = draw.choice(["utf-8", "utf-8-sig", "cp1252"])
        files = []
        for rows in (before, after):
            text = io.StringIO()
            csv.writer(text, lineterminator=end, quoting=quoting).writerows([header, *rows])
            files.append(text.getvalue().encode(encoding))
        found = fill(files[0], people=read_roster(tmp_path / "some.csv"), results=results)
        assert found.data == files[1]


def test_the_column_can_be_named(fill):
    found = fill(CANVAS, column="homework 2  (4712)")
    assert '"A, B",,34.25,' in found.data.decode()


def test_a_workbook_is_refused(fill):
    with pytest.raises(CourseError, match="export it as CSV"):
        fill(b"\xd0\xcf\x11\xe0")


@pytest.mark.parametrize("inside", ["xl/workbook.xml", "content.xml"])
def test_a_zip_archive_with_a_table_is_a_workbook_and_any_other_is_called_an_archive(fill, tmp_path, inside):
    with pytest.raises(CourseError, match="workbook of a spreadsheet program: export it as CSV"):
        fill(archive_of(tmp_path / "book.xlsx", inside).read_bytes())
    for data in (archive_of(tmp_path / "all.zip", "jane_11_900_mlp.ipynb").read_bytes(), b"PK\x03\x04torn"):
        with pytest.raises(CourseError, match="this is a zip archive"):
            fill(data)


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


@pytest.mark.parametrize("platform", ["canvas", "gradescope"])
def test_what_is_made_for_a_platform_is_read_as_its_own(platform, roster, fill):
    made = scores.made(platform, HOMEWORK, RESULTS, roster)
    again = fill(made.data, platform)
    assert again.data == made.data and again.filled == made.filled == 2


def test_moodles_import_finds_students_by_what_it_knows(roster):
    made = scores.made("moodle", HOMEWORK, RESULTS, roster)
    assert list(csv.reader(io.StringIO(made.data.decode("utf-8-sig")))) == [
        ["Email address", "ID number", "Username", HOMEWORK.title],
        ["jane@uni.edu", "", "jd1", "34.25"],
        ["max@uni.edu", "", "mm2", "50"],
    ]


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


def exported(root, *options):
    return CliRunner().invoke(app, ["export", "hw1", *map(str, options), "--course", str(root)])


def test_the_platforms_file_is_written_over_only_when_asked(root):
    gradebook = root / "results" / "hw1.canvas.csv"
    gradebook.write_bytes(CANVAS.encode())
    done = exported(root, "--to", "canvas", "--into", gradebook)
    assert done.exit_code == 2 and gradebook.read_bytes() == CANVAS.encode()
    exported(root, "--to", "canvas", "--into", gradebook, "--out-file", gradebook)
    assert b"34.25" in gradebook.read_bytes()


def test_a_column_without_a_file_is_a_wrong_call(root):
    assert exported(root, "--to", "canvas", "--column", "x").exit_code == 2


def test_a_result_that_cannot_be_read_is_named_and_nothing_is_written(root):
    (root / "results/max/hw1.json").write_text("{")
    done = exported(root, "--to", "csv")
    assert done.exit_code == 2 and "max/hw1.json" in done.output
    assert not (root / "results/hw1.csv.csv").exists()


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


def test_a_page_of_somebody_who_left_the_roster_is_named(root, tmp_path):
    before = (root / "roster.csv").read_text()
    (root / "roster.csv").write_text("".join(line for line in before.splitlines(True) if not line.startswith("zoe")))
    done = delivered(root, "--to", tmp_path / "pages")
    assert done.exit_code == 1 and "zoe: the page is there, but the student is not in roster.csv" in done.output
    assert done.output.count("roster") == 1 and (tmp_path / "pages/zoe/hw1.html").exists()
    (tmp_path / "worksheet.csv").write_text(MOODLE)
    done = delivered(root, "--to", "moodle-zip", "--into", tmp_path / "worksheet.csv")
    assert "zoe: left out, not in roster.csv" in done.output


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


@pytest.mark.parametrize("place", ["results", "submitted"])
def test_a_folder_with_other_work_is_no_place_for_delivery(root, place):
    assert delivered(root, "--to", root / place).exit_code == 2


def test_two_people_whom_only_a_name_tells_apart_get_no_page(root, tmp_path):
    (root / "roster.csv").write_text("id,name\njane,Jane Doe\nmax,Max Müller\nzoe,Zoë Ünlü\n")
    worksheet = tmp_path / "worksheet.csv"
    worksheet.write_text(MOODLE + "Participant 599;Jane Doe;other@uni.edu;Submitted;;;\n")
    done = delivered(root, "--to", "moodle-zip", "--into", worksheet)
    assert done.exit_code == 1 and "jane: left out, two people" in done.output
    with zipfile.ZipFile(root / "results/hw1.moodle.zip") as archive:
        assert archive.namelist() == ["Max Müller_502_assignsubmission_file/hw1.html"]


def test_a_german_worksheet_tells_the_numbers(root, tmp_path):
    (tmp_path / "worksheet.csv").write_text(GERMAN)
    delivered(root, "--to", "moodle-zip", "--into", tmp_path / "worksheet.csv")
    with zipfile.ZipFile(root / "results/hw1.moodle.zip") as archive:
        assert "Jane Doe_501_assignsubmission_file/hw1.html" in archive.namelist()


def test_a_page_that_is_missing_keeps_nobody_waiting(root, tmp_path):
    (root / "results/jane/hw1.html").unlink()
    done = delivered(root, "--to", tmp_path / "pages")
    assert done.exit_code == 1 and "jane: left out, there is no page" in done.output
    assert (tmp_path / "pages/max/hw1.html").exists()


def archive_of(path, *names):
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, f"{{}} {name}")
    return path


@pytest.fixture
def submissions(tmp_path):
    """What Canvas gives: Jane has two attempts, Zoë typed a text."""
    names = ("doejane_11_900_mlp.ipynb", "doejane_11_905_mlp-1.ipynb", "müllermax_LATE_12_901_mlp.ipynb")
    return archive_of(tmp_path / "submissions.zip", *names, "ünlüzoë_13_text.html")


def packed(root):
    with zipfile.ZipFile(root / "results/hw1.canvas.zip") as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_canvas_archive_has_the_numbers_of_the_newest_files(root, submissions):
    done = delivered(root, "--to", "canvas-zip", "--into", submissions)
    assert packed(root) == {
        "doejane_11_905_hw1.html": (root / "results/jane/hw1.html").read_bytes(),
        "müllermax_LATE_12_901_hw1.html": (root / "results/max/hw1.html").read_bytes(),
    }
    assert done.exit_code == 1 and "zoe: left out" in done.output


def test_what_is_packed_for_canvas_is_collected_as_the_same_students(root, submissions):
    delivered(root, "--to", "canvas-zip", "--into", submissions)
    setting = Setting("hw1", ("mlp",), COURSE.homeworks, read_roster(root / "roster.csv"))
    with opened(root / "results/hw1.canvas.zip") as source:
        found = attribute([divide(source, setting)], setting.roster)
    assert set(found.students) == {"jane", "max"} and not found.troubles


def test_without_a_roster_canvas_names_are_the_folders(root, submissions):
    (root / "roster.csv").unlink()
    record.write(result("doejane_11", 7.0), root / "results")
    delivered(root, "--to", "canvas-zip", "--into", submissions)
    assert list(packed(root)) == ["doejane_11_905_hw1.html"]


@pytest.mark.parametrize("ids, files", [(("", ""), []), (("", "12"), []), (("11", "12"), ["teama_11_900_hw1.html"])])
def test_nobody_gets_a_page_under_another_ones_number(root, tmp_path, ids, files):
    (root / "roster.csv").write_text(
        f"id,name,group,canvas_id\njane,Jane Doe,Team A 11,{ids[0]}\nmax,Max Müller,Team A 11,{ids[1]}\n"
    )
    done = delivered(root, "--to", "canvas-zip", "--into", archive_of(tmp_path / "team.zip", "teama_11_900_mlp.ipynb"))
    assert list(packed(root)) == files and "max: left out" in done.output


def test_two_of_one_name_in_canvas_archive_get_no_page(root, tmp_path):
    (root / "roster.csv").write_text("id,name\njane,Jane Doe\n")
    both = archive_of(tmp_path / "both.zip", "doejane_11_900_mlp.ipynb", "doejane_77_901_mlp.ipynb")
    done = delivered(root, "--to", "canvas-zip", "--into", both)
    assert packed(root) == {} and "jane: left out, two people" in done.output


def test_a_dry_run_delivers_nothing(root, submissions, tmp_path):
    for way in (("--to", tmp_path / "pages"), ("--to", "canvas-zip", "--into", submissions)):
        assert "nothing was written" in delivered(root, *way, "--dry-run").output
    assert not (tmp_path / "pages").exists() and not (root / "results/hw1.canvas.zip").exists()


@pytest.mark.parametrize("place", ["canvas-zip", "moodle-zip", "canvas", "gradescope-zip"])
def test_a_wrong_place_is_a_wrong_call_and_makes_no_folder(root, tmp_path, monkeypatch, place):
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.iterdir())
    assert delivered(root, "--to", place).exit_code == 2
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("text", [None, "no archive"])
def test_an_archive_of_another_kind_is_refused(root, tmp_path, text):
    other = archive_of(tmp_path / "other.zip", "notes.txt")
    if text:
        other.write_text(text)
    assert delivered(root, "--to", "canvas-zip", "--into", other).exit_code == 2
