"""The roster: what is read, what is refused and where, who is found by what, and what a platform's list changes."""

from __future__ import annotations

import random
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from autograder.cli import app
from autograder.course.class_list import read_list, update
from autograder.course.course import CourseError
from autograder.course.roster import Roster, new_roster, read_roster
from autograder.results import gradebook, page, table
from tests.conftest import small_course
from tests.test_report import book, cell, graded

ROOT = Path(__file__).parents[1]
CANVAS = """\
Student,ID,SIS User ID,SIS Login ID,Section,Homework 1 (55)
,,,,,Manual Posting
    Points Possible,,,,,40.00
"Doe, Jane",12345,9001,jdoe@uni.edu,Monday,
"Núñez, Iñaki",12346,9002,inunez,Tuesday and Monday,12
"Student, Test",99999,,b94f7c,Monday,
"""
MOODLE = """\
"First name","Last name","ID number",Institution,Department,"Email address","Course total"
Jane,Doe,9001,,,jane.doe@uni.edu,12.00
Bo,Li,9003,,,bo@uni.edu,-
"""
WORKSHEET = """\
Identifier,"Full name","ID number","Email address",Status,Grade,"Maximum Grade","Last modified (submission)"
"Participant 88001","Jane Doe",9001,jane.doe@uni.edu,"Submitted for grading - ",,40.00,-
"""
GRADESCOPE = """\
First Name,Last Name,SID,Email,Role,Sections
Jane,Doe,9001,jane.doe@uni.edu,Student,A
Tea,Cher,,tea@uni.edu,Instructor,
"""
GITHUB = '"identifier","github_username","github_id","name"\n"jdoe","Jane-D","1001",""\n"9002","","",""\n'


def roster(tmp_path: Path, text: str | bytes) -> Roster:
    path = tmp_path / "roster.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_roster(path)


def listed(tmp_path: Path, text: str):
    path = tmp_path / "list.csv"
    path.write_text(text, encoding="utf-8")
    return read_list(path)


def imported(before: Roster, tmp_path: Path, *texts: str) -> Roster:
    for text in texts:
        before = update(before, listed(tmp_path, text)).roster
    return before


def ids(students) -> list[str]:
    return [student.id for student in students]


PEOPLE = 'id,name,email\njdoe,"Doé, Jäne",jane@uni.edu\nbo,Bo Li,bo@uni.edu\n'


@pytest.mark.parametrize(
    "data",
    [
        PEOPLE.encode(),
        PEOPLE.encode("utf-8-sig"),
        PEOPLE.encode("utf-16"),
        PEOPLE.encode("cp1252"),
        PEOPLE.replace("\n", "\r\n").encode(),
        PEOPLE.replace(",", ";").replace('"Doé; Jäne"', '"Doé, Jäne"').encode(),
        PEOPLE.replace(",", "\t").replace('"Doé\t Jäne"', '"Doé, Jäne"').encode("utf-16"),
        b"sep=;\n" + PEOPLE.replace(",", ";").replace('"Doé; Jäne"', '"Doé, Jäne"').encode(),
        b"\n\n" + PEOPLE.replace("id,name", " ID , Name ").encode(),
    ],
    ids=["utf-8", "bom", "utf-16", "windows", "crlf", "semicolons", "tabs", "sep", "blanks"],
)
def test_a_roster_is_read_in_every_usual_encoding(tmp_path, data):
    read = roster(tmp_path, data)
    assert [(one.id, one.name, one.last_name, one.email) for one in read.students] == [
        ("jdoe", "Jäne Doé", "Doé", "jane@uni.edu"),
        ("bo", "Bo Li", "Li", "bo@uni.edu"),
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("id,name\n,Jane\n", "line 2: the id is empty"),
        ("id,name\njane,\nJane,\n", "line 3: the id 'jane' stands in line 2 as well"),
        ("id,canvas_id\na,5\nb,5\n", "line 3: the canvas_id '5' stands in line 2 as well"),
        ("id,extra_days\na,two\n", "line 2: extra_days is 'two'"),
        ("id,extra_days\na,nan\n", "line 2: extra_days is 'nan'"),
        ("id,extra_days\na,-1\n", "line 2: extra_days is '-1'"),
        ("id,name\n../a,\n", "line 2: the id '../a' cannot be the name of a folder"),
        ("id,name\n.a,\n", "line 2: the id '.a' cannot"),
        ("id,name\na,Jane,x\n", "line 2: 3 fields, but the first line names 2"),
        ("id,,name\na,x,Jane\n", "line 1: column 2 has no name"),
        ("id,name,name\na,b,c\n", "line 1: several columns are called 'name'"),
        ("name,email\nJane,j@x\n", "there is no column ‘id’"),
        ("", "this file is empty"),
        ('id,name\n"a\nb",c\nd,\n,e\n', "line 5: the id is empty"),
        (b"PK\x03\x04 a workbook", "name a CSV file"),
        (b"id\n\x81\x8d\n", "neither UTF-8 nor Windows-1252"),
    ],
)
def test_an_error_names_the_file_and_the_line(tmp_path, text, words):
    with pytest.raises(CourseError) as error:
        roster(tmp_path, text)
    assert words in str(error.value) and "roster.csv" in str(error.value)


def test_all_errors_of_a_file_are_told_at_once(tmp_path):
    with pytest.raises(CourseError) as error:
        roster(tmp_path, "id,extra_days\n,5\na,x\na,\n")
    assert str(error.value).count("roster.csv, line") == 3


def test_extra_days_may_have_a_decimal_comma(tmp_path):
    assert [one.extra_days for one in roster(tmp_path, "id;extra_days\na;1,5\nb;\n").students] == [1.5, 0]


FIND = """\
id,name,email,canvas_id,github,group
jdoe,"Müller, Jörg",Joerg@Uni.edu,12,Jo-M,Team A
li,Li Bo Wang,li@uni.edu,13 14,,team a
"""


@pytest.mark.parametrize(
    ("value", "found"),
    [("JDOE", ["jdoe"]), ("joerg@uni.edu", ["jdoe"]), ("14", ["li"]), ("jo-m", ["jdoe"]), ("99", []), ("", [])],
)
def test_a_student_is_found_by_any_id(tmp_path, value, found):
    assert ids(roster(tmp_path, FIND).having(value)) == found


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("Jörg Müller", ["jdoe"]),
        ("Müller, Jörg", ["jdoe"]),
        ("mullerjorg", ["jdoe"]),
        ("Mueller_Joerg", ["jdoe"]),
        ("JO\u0308RG MU\u0308LLER", ["jdoe"]),
        ("liwangbo", []),
        ("wanglibo", ["li"]),
        ("Li Bo Wang", ["li"]),
        ("Jörg", []),
    ],
)
def test_a_student_is_found_by_the_name_however_it_is_written(tmp_path, name, found):
    assert ids(roster(tmp_path, FIND).named(name)) == found


def test_a_group_has_its_members(tmp_path):
    assert ids(roster(tmp_path, FIND).in_group("Team_A")) == ["jdoe", "li"]


def test_a_groups_numbers_are_told_apart(tmp_path):
    people = roster(tmp_path, "id,group\na,Lab 1-12\nb,Lab 11-2\nc,lab 1_12\nd,Lab 3-4\ne,+\n")
    assert ids(people.in_group("lab-1.12")) == ["a", "c"]
    assert ids(people.in_group("Lab 11-2")) == ["b"]
    assert ids(people.in_group("lab34")) == ["d"], "a platform may drop the sign between them"
    assert ids(people.in_group("lab112")) == [], "this may be either"
    assert ids(people.in_group("+")) == ["e"]


def test_a_new_roster_is_made_of_canvas_gradebook(tmp_path):
    made = imported(new_roster(tmp_path / "roster.csv"), tmp_path, CANVAS)
    made.write()
    assert (tmp_path / "roster.csv").read_text(encoding="utf-8") == (
        "id,name,email,section,extra_days,group,login,sis_id,canvas_id\n"
        'jdoe,"Doe, Jane",,Monday,,,jdoe@uni.edu,9001,12345\n'
        'inunez,"Núñez, Iñaki",,Tuesday and Monday,,,inunez,9002,12346\n'
    )


def test_canvas_gradebook_may_have_the_first_name_in_a_column_of_its_own(tmp_path):
    parted = CANVAS.replace("Student,ID", "LastName,FirstName,ID")
    parted = parted.replace(",,,,,Manual", ",,,,,,Manual").replace("Points Possible,", "Points Possible,,")
    for last, first in (("Doe", "Jane"), ("Núñez", "Iñaki"), ("Student", "Test")):
        parted = parted.replace(f'"{last}, {first}"', f"{last},{first}")
    assert listed(tmp_path, parted).form == "canvas"
    assert listed(tmp_path, parted).entries == listed(tmp_path, CANVAS).entries


def test_lists_of_several_platforms_meet_in_one_line(tmp_path):
    made = imported(new_roster(tmp_path / "roster.csv"), tmp_path, CANVAS, GRADESCOPE, MOODLE, WORKSHEET, GITHUB)
    jane = made.get("jdoe")
    wanted = ("canvas_id", "gradescope_id", "moodle_id", "moodle_participant", "github", "email")
    assert [jane.fields[column] for column in wanted] == [
        "12345",
        "9001",
        "9001",
        "88001",
        "Jane-D",
        "jane.doe@uni.edu",
    ]
    assert ids(made.students) == ["jdoe", "inunez", "9003"]


def test_the_same_list_again_changes_nothing(tmp_path):
    made = imported(new_roster(tmp_path / "roster.csv"), tmp_path, CANVAS, MOODLE, GITHUB)
    for text in (CANVAS, MOODLE, GITHUB):
        again = update(made, listed(tmp_path, text))
        assert (again.new, again.changed, again.unclear) == ((), (), ())


def test_new_changed_and_gone_students_are_told(tmp_path):
    before = imported(new_roster(tmp_path / "roster.csv"), tmp_path, CANVAS)
    after = update(
        before,
        listed(
            tmp_path, CANVAS.replace("Monday,\n", "Friday,\n").replace('"Núñez, Iñaki",12346,9002,inunez', "Ed,7,1,ed")
        ),
    )
    assert ids(after.new) == ["ed"] and ids(after.gone) == ["inunez"]
    assert [(one.id, *rest) for one, *rest in after.changed] == [("jdoe", "section", "Monday", "Friday")]
    assert ids(after.roster.students) == ["jdoe", "inunez", "ed"]


def test_what_an_instructor_wrote_stays(tmp_path):
    before = roster(tmp_path, 'id,name,Remark,extra_days,group,canvas_id\nj,"Doe, Jane","likes, commas",3,A,12345\n')
    imported(before, tmp_path, CANVAS).write()
    lines = (tmp_path / "roster.csv").read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith("id,name,Remark,extra_days,group,canvas_id")
    assert lines[1].startswith('j,"Doe, Jane","likes, commas",3,A,12345')


def test_a_file_stays_as_excel_wrote_it(tmp_path):
    imported(roster(tmp_path, "id;name;canvas_id\nj;Jäne;12345\n".encode("utf-8-sig")), tmp_path, CANVAS).write()
    data = (tmp_path / "roster.csv").read_bytes()
    assert data.startswith(b"\xef\xbb\xbfid;name;canvas_id;")


def test_a_line_that_may_be_two_students_is_named_and_not_taken_over(tmp_path):
    before = roster(tmp_path, 'id,name\na,Jane Doe\nb,"Doe, Jane"\n')
    after = update(before, listed(tmp_path, 'Student,ID,Section\n"Doe, Jane",5,x\n'))
    assert "a or b" in after.unclear[0] and after.roster.students == before.students and after.gone == ()


def test_a_line_that_is_not_taken_over_is_named_with_its_number_and_the_address(tmp_path):
    before = roster(tmp_path, 'id,name\na,Jane Doe\nb,"Doe, Jane"\n')
    [why] = update(before, listed(tmp_path, "First name,Last name,Email address\nBo,Li,b@x\nJane,Doe,j@x\n")).unclear
    assert why.startswith("line 3, Doe, Jane (j@x): this may be a or b")


def test_an_id_of_another_student_is_not_taken_over(tmp_path):
    before = roster(tmp_path, "id,email,canvas_id\na,a@x,1\nb,b@x,2\n")
    after = update(before, listed(tmp_path, "id,email\na,b@x\n"))
    assert "b has the email 'b@x' already" in after.unclear[0] and after.changed == ()


def test_two_of_the_same_name_with_ids_of_their_own_are_two_students(tmp_path):
    made = imported(
        new_roster(tmp_path / "roster.csv"),
        tmp_path,
        'Student,ID,SIS Login ID\n"Doe, Jane",1,jd1\n',
        'Student,ID,SIS Login ID\n"Doe, Jane",2,jd2\n',
    )
    assert ids(made.students) == ["jd1", "jd2"]


def test_a_field_like_a_formula_is_guarded_and_read_back(tmp_path):
    made = imported(new_roster(tmp_path / "roster.csv"), tmp_path, "id,name\na,=1+1\n")
    made.write()
    assert "'=1+1" in (tmp_path / "roster.csv").read_text()
    assert read_roster(tmp_path / "roster.csv").get("a").fields["name"] == "=1+1"


def test_whatever_is_written_is_read_back(tmp_path):
    draw = random.Random(7)
    signs = "aé,;\"'\t=-+@ \nß"
    for _ in range(200):
        people = [
            {"id": f"s{number}", "name": "".join(draw.choices(signs, k=draw.randrange(8))), "note": draw.choice(signs)}
            for number in range(3)
        ]
        made = new_roster(tmp_path / "roster.csv")
        path = tmp_path / "list.csv"
        path.write_bytes(made.sheet.text(("id", "name", "note"), [tuple(one.values()) for one in people]))
        made = update(made, read_list(path, "csv")).roster
        made.write()
        assert [dict(one.fields) | {} for one in read_roster(made.path).students] == [
            {column: one.fields.get(column, "") for column in made.columns} for one in made.students
        ]


def test_a_list_of_no_platform_is_refused(tmp_path):
    with pytest.raises(CourseError, match=r"list\.csv, line 1: this is no list of"):
        listed(tmp_path, "colour,size\nred,4\n")


def test_a_wrong_from_is_refused(tmp_path):
    (tmp_path / "list.csv").write_text(CANVAS, encoding="utf-8")
    with pytest.raises(CourseError, match="a list of moodle has the columns"):
        read_list(tmp_path / "list.csv", "moodle")


@pytest.fixture
def course(tmp_path):
    (tmp_path / "course.toml").write_text((ROOT / "course.toml").read_text())
    return tmp_path


def run(course, *arguments):
    return CliRunner().invoke(app, ["roster", "import", *map(str, arguments), "--course", str(course)])


def test_the_command_says_who_is_new_and_writes_the_roster(course):
    (course / "grades.csv").write_text(CANVAS, encoding="utf-8")
    said = run(course, course / "grades.csv")
    assert said.exit_code == 0 and "new: jdoe, Jane Doe" in said.output and "2 new, 0 changes" in said.output
    assert ids(read_roster(course / "roster.csv").students) == ["jdoe", "inunez"]


def test_a_dry_run_writes_no_roster(course):
    (course / "grades.csv").write_text(CANVAS, encoding="utf-8")
    said = run(course, course / "grades.csv", "--dry-run")
    assert "would have 2 students" in said.output and not (course / "roster.csv").exists()


@pytest.mark.parametrize("file", ["nowhere.csv", "."])
def test_a_list_that_cannot_be_read_is_a_wrong_call(course, file):
    said = run(course, course / file)
    assert said.exit_code == 2 and "cannot be read" in said.output


# Names in tables, on pages and in the gradebook


def test_the_class_table_has_names_and_sections(tmp_path):
    people = roster(tmp_path, 'id,name,section\nada,"Lovelace, Ada",Monday\n')
    text = table.csv_text([graded(book(cell())), graded(book(cell()), student="eve")], {"joe": "nothing"}, people)
    lines = [line.split(",")[:4] for line in text.splitlines()]
    assert lines == [
        ["student", "name", "section", "score"],
        ["ada", "Ada Lovelace", "Monday", "3"],
        ["eve", "", "", "3"],
        ["joe", "", "", ""],
    ]
    assert len({line.count(",") for line in text.splitlines()}) == 1


def test_the_class_table_says_who_is_not_in_the_roster(tmp_path):
    results = [graded(book(cell())), graded(book(cell()), student="eve")]
    lines = table.csv_text(results, None, roster(tmp_path, "id,name\nada,Ada\n")).splitlines()
    assert ["not in roster.csv" in line for line in lines] == [False, False, True]
    assert "not in" not in table.csv_text(results)


def test_a_name_like_a_formula_is_guarded_in_the_class_table(tmp_path):
    people = roster(tmp_path, "id,name\nada,=1+1\n")
    assert "'=1+1" in table.csv_text([graded(book(cell()))], None, people)


def test_the_page_has_the_name_and_the_id():
    text = page.html(graded(book(cell())), "Ada <b>Lovelace")
    assert "Feedback for <strong>Ada &lt;b&gt;Lovelace</strong>" in text and '<span class="soft">(ada)</span>' in text
    assert "feedback for Ada &lt;b&gt;Lovelace</title>" in text


def test_the_page_without_a_name_is_as_before():
    assert "Feedback for <strong>ada</strong></p>" in page.html(graded(book(cell())))


class _Book:
    """A gradebook's students, and what was changed of them."""

    def __init__(self, *students: SimpleNamespace) -> None:
        self.students = students
        self.changes: dict[str, dict[str, str]] = {}

    def update_or_create_student(self, id: str, **fields: str) -> None:
        self.changes[id] = fields


def test_the_gradebooks_students_are_changed_only_where_they_differ(tmp_path):
    people = roster(tmp_path, 'id,name,email\nada,"Lovelace, Ada",ada@x\neve,Eve Li,\nnew,Jo,\n')
    there = _Book(
        SimpleNamespace(id="ada", first_name="Ada", last_name="Lovelace", email="ada@x"),
        SimpleNamespace(id="eve", first_name=None, last_name="Li", email="kept@x"),
    )
    gradebook.enrol(there, people)
    assert there.changes == {"eve": {"first_name": "Eve", "last_name": "Li"}, "new": {"last_name": "Jo"}}


@pytest.mark.slow(seconds=20)
def test_a_class_run_uses_the_roster(tmp_path):
    from nbgrader.api import Gradebook

    course = small_course(tmp_path / "course")
    (course.root / "roster.csv").write_text('id,name,email,section\nada,"Lovelace, Ada",ada@x,Monday\nbo,Bo Li,,\n')
    folder = course.root / "submitted" / "ada" / "hw1"
    folder.mkdir(parents=True)
    folder.joinpath("mlp.ipynb").write_bytes(course.homework("hw1").release("mlp").read_bytes())
    shutil.copytree(folder, course.root / "submitted" / "ghost" / "hw1")
    said = CliRunner().invoke(app, ["grade", "hw1", "--course", str(course.root), "--workers", "1"])
    assert said.exit_code == 0 and "not in roster.csv, but graded: ghost: add a line to roster.csv" in said.stdout
    assert "Feedback for <strong>Ada Lovelace</strong>" in (course.root / "results" / "ada" / "hw1.html").read_text()
    assert (course.root / "results" / "hw1.csv").read_text().splitlines()[1].startswith("ada,Ada Lovelace,Monday,")
    with Gradebook(f"sqlite:///{course.root / 'gradebook.db'}", course.id) as there:
        names = {one.id: (one.first_name, one.last_name, one.email) for one in there.students}
    names.pop("ghost")
    assert names == {"ada": ("Ada", "Lovelace", "ada@x"), "bo": ("Bo", "Li", None)}


@pytest.mark.slow(seconds=5)
def test_a_class_run_refuses_a_roster_with_errors_before_it_grades(tmp_path):
    course = small_course(tmp_path / "course")
    (course.root / "roster.csv").write_text("id,name\n,Ada\n")
    (course.root / "submitted" / "ada" / "hw1").mkdir(parents=True)
    (course.root / "submitted" / "ada" / "hw1" / "mlp.ipynb").write_text("{}")
    said = CliRunner().invoke(app, ["grade", "hw1", "--course", str(course.root)])
    assert said.exit_code == 2 and "roster.csv, line 2: the id is empty" in said.output


def test_the_worksheet_of_another_assignment_is_matched_by_names(tmp_path: Path) -> None:
    """Without addresses and numbers, as a course may set it: participants' numbers are each assignment's own."""
    before = imported(
        roster(tmp_path, "id,name\n"),
        tmp_path,
        "Identifier,Full name,Email address\nParticipant 101,Anna Müller,anna@x.org\nParticipant 102,Bo Li,bo@x.org\n",
    )
    again = listed(tmp_path, "Identifier,Full name\nParticipant 907,Bo Li\nParticipant 908,Anna Müller\n")
    found = update(before, again)
    assert (found.new, found.unclear, len(found.changed)) == ((), (), 2)
    told = {student.id: student.fields["moodle_participant"] for student in found.roster.students}
    assert told == {"anna": "101 908", "bo": "102 907"}


def test_who_is_no_student_is_counted_by_role_and_a_list_without_students_is_refused(tmp_path: Path) -> None:
    head = "First Name,Last Name,SID,Email,Role\n"
    found = listed(
        tmp_path, head + "A,B,1,a@x.org,Student\nC,D,2,c@x.org,TA\nE,F,3,e@x.org,TA\nG,H,4,g@x.org,Instructor\n"
    )
    assert len(found.entries) == 1 and found.others == {"TA": 2, "Instructor": 1}
    with pytest.raises(CourseError, match="nobody in it has the role ‘Student’, but ‘Étudiant’"):
        listed(tmp_path, head + "A,B,1,a@x.org,Étudiant\n")
