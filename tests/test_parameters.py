"""Personal parameters: every student has numbers of their own, and is graded by them."""

import hashlib
import html
import json
import re
import shutil
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest
from nbgrader.utils import compute_checksum
from typer.testing import CliRunner

from autograder.cli import app
from autograder.course import build, personal
from autograder.course.bundle import bundle
from autograder.course.class_build import build_for
from autograder.course.course import CourseError, open_course
from autograder.course.master import AuthorError
from autograder.course.parameters import rendered
from autograder.course.parsing import read_master
from autograder.course.personal_release import personal_released
from autograder.course.roster import read_roster
from autograder.examination.suite import Suite, collected
from autograder.grading import class_regrade, explanation
from autograder.grading.fitting import Fit, Fitting
from autograder.grading.orders import Choosing
from autograder.grading.origin import Origin
from autograder.grading.server import GradingServer, Lost
from autograder.insight import borrowed
from autograder.insight.borrowed import of_class as borrowed_of
from autograder.insight.own_work import Reader
from autograder.nbgrading import readable
from autograder.proving.personal_audit import personal_audit
from autograder.submission.others_text import texts
from tests.conftest import write_files

pytestmark = pytest.mark.slow(seconds=60)

MASTER = '''\
# %% [markdown] nbgrader={"grade_id": "text", "locked": true}
r"""
# Scales

<!-- parameter: scale -->
**Exercise 1 · 5 times as much** · 3 points

<!-- parameter: scale -->
Write $f(x) = 5 x$. There is 1 way, and it takes 2.5 minutes.
"""

# %% nbgrader={"grade_id": "helpers", "locked": true}
# parameter: scale; 50 = 10 * scale
SCALE, MOST = 5, 50

# %% nbgrader={"grade_id": "scaled-code", "solution": true}
# parameter: scale
def scaled(x):  # 5 times x
    """f(x)"""
    ### BEGIN SOLUTION
    # parameter: scale
    return 5 * x
    ### END SOLUTION

# %% nbgrader={"grade_id": "scaled", "grade": true, "points": 2, "locked": true}
# parameter: 10.0 = 2 * scale
assert scaled(2.0) == 10.0, "f(2) should be something else"

# %% [markdown] nbgrader={"grade_id": "why", "grade": true, "solution": true, "points": 1}
r"""
### BEGIN SOLUTION
<!-- parameter: scale -->
Because of the 5.
### END SOLUTION
"""
'''
TESTS = '''\
from autograder import earns


@earns("scaled")
def test_scaled(student, draw, parameters):
    """It scales."""
    x = draw.size(21, 99)  # smaller whole numbers are hit by chance, so no mistake is told by them
    assert student.scaled(x) == parameters.scale * x, "f(x) is wrong"
'''
MISTAKES = """\
[[mistake]]
id = "lost"
# parameter: scale
title = "the 5 is lost"
cell = "scaled-code"
# parameter: scale
replace = "5 * x"
with = "1 * x"
fails = ["scaled"]
hint = "Your f(x) is too small."
"""
ALTERNATIVE = """\
# %% nbgrader={"grade_id": "scaled-code"}
def scaled(x):
    # parameter: scale
    return x * 5
"""
HOMEWORK = """\
title = "Scales"

[limits]
cell_seconds = 60
total_seconds = 300
call_seconds = 60

[[notebooks]]
name = "scales"
title = "Scales"
minutes = 5

[[parameters]]
notebook = "scales"
name = "scale"
standard = 5
values = [3, 4, 5, 6]
"""
COURSE = 'id = "c"\ntitle = "C"\nhomeworks = ["hw1"]\nrepository = "org/course"\nfloor = "none"\n'
ROSTER = "id,name,group\n" + "".join(f"s{number},S {number},\n" for number in range(24))


@pytest.fixture
def root(tmp_path):
    """A course of one exercise with a parameter, built, and a roster."""
    folder = tmp_path / "course"
    write_files(
        folder,
        {
            "course.toml": COURSE,
            "hw1/homework.toml": HOMEWORK,
            "hw1/scales.py": MASTER,
            "hw1/hidden/test_scales.py": TESTS,
            "hw1/mistakes/scales.toml": MISTAKES,
            "hw1/alternatives/scales-turned.py": ALTERNATIVE,
            ".course-secret": "a secret",
            "roster.csv": ROSTER,
        },
    )
    build.build(open_course(folder))
    return folder


def built(root, roster=ROSTER, secret=b"a secret"):
    """Build for this roster; the text of every student's file, by its path."""
    (root / "roster.csv").write_text(roster)
    out = root / "variants"
    shutil.rmtree(out, ignore_errors=True)
    build_for(open_course(root), None, read_roster(root / "roster.csv"), secret, out)
    return {str(path.relative_to(out)): path.read_text() for path in sorted(out.rglob("*")) if path.is_file()}


def written(root, text):
    """The path of the roster, with this text in it."""
    (root / "roster.csv").write_text(text)
    return root / "roster.csv"


def scales(root):
    """Who has which number."""
    homework = open_course(root).homework("hw1")
    rows = personal.given(homework).rows
    return {name: homework.personal(values).value("scale") for name, values in rows.values()}


def edited(root, path, old, new):
    text = (root / path).read_text()
    assert text.count(old) == 1
    (root / path).write_text(text.replace(old, new))


# ---- texts


@pytest.mark.parametrize(
    ("mark", "line", "value", "expected"),
    [
        ("scale", "5x + W5, 5 * x + 5.0 - 2.5 and 15, with 5.", 7, "5x + W5, 7 * x + 7.0 - 2.5 and 15, with 7."),
        ("50 = 10 * scale", "50 and 5", 3, "30 and 5"),
        ("3 = (7 + 2 * 2 - scale) // 2", "x 3", 2, "x 4"),
        ("scale", "a slope of 5", 0.25, "a slope of 0.25"),
        ("2.50 = scale / 2", "2.50", 3, "1.50"),
        ("scale", "∂z holds −5", 4, "∂z holds −4"),
    ],
)
def test_a_mark_says_which_numbers_of_the_next_line_depend_on_a_parameter(mark, line, value, expected):
    text = f"5\n  # parameter: {mark}\n{line}\n5"
    assert rendered(text, {"scale": 5}, {"scale": value}) == f"5\n{expected}\n5"
    assert rendered(text, {"scale": 5}, {"scale": 5}) == f"5\n{line}\n5"


@pytest.mark.parametrize(
    ("old", "new", "line", "said"),
    [
        ("# parameter: 10.0 = 2 * scale", "# parameter: 10.0 = 2 * size", 26, "declares no parameter size"),
        ("# parameter: 10.0 = 2 * scale", "# parameter: 10.0 = 3 * scale", 26, "which is 15.0"),
        ("# parameter: 10.0 = 2 * scale", "# parameter: 11.0 = 2 * scale", 26, "no number 11.0"),
        ("# parameter: 10.0 = 2 * scale", "# parameter: 10.0 = 2 * (scale", 26, "is no formula"),
        ("# parameter: 10.0 = 2 * scale", "# parameter: 10.0 = scale.real", 26, "is no formula"),
        ("# parameter: 10.0 = 2 * scale", "# parameters: scale", 26, "looks like the mark"),
        ("<!-- parameter: scale -->\nBecause", "<!-- parameter: scale -->\n\nBecause", 32, "no number 5"),
    ],
)
def test_a_wrong_mark_is_reported_with_file_and_line(root, old, new, line, said):
    edited(root, "hw1/scales.py", old, new)
    before = (root / "release/hw1/scales.py").read_text()
    with pytest.raises(AuthorError) as caught:
        build.build(open_course(root))
    [finding] = caught.value.findings
    assert (finding.path, finding.line) == (root / "hw1/scales.py", line)
    assert said in finding.text
    assert (root / "release/hw1/scales.py").read_text() == before


def test_a_parameter_that_stands_nowhere_is_reported_where_it_is_declared(root):
    more = '\n[[parameters]]\nnotebook = "scales"\nname = "depth"\nstandard = 1\nvalues = [2]\n'
    (root / "hw1/homework.toml").write_text(HOMEWORK + more)
    with pytest.raises(AuthorError, match=r"homework.toml:21: the parameter 'depth' stands nowhere in scales.py"):
        build.build(open_course(root))


def test_a_wrong_mark_in_a_mistake_is_reported_with_file_and_line(root):
    edited(root, "hw1/mistakes/scales.toml", 'scale\ntitle = "the 5', 'scale\ntitle = "the 6')
    with pytest.raises(AuthorError, match=r"scales.toml:3: there is no number 5"):
        build.build(open_course(root))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("values = [3, 4, 5, 6]", "values = [3, 3]", "each once"),
        ("values = [3, 4, 5, 6]", "values = [-3]", "below 0"),
        ("values = [3, 4, 5, 6]", "values = [3, inf]", "up to 1e\\+15"),
        ("values = [3, 4, 5, 6]", "values = [nan]", "up to 1e\\+15"),
        ("standard = 5", "standard = 12345678901234567890", "up to 1e\\+15"),
        ('notebook = "scales"\nname', 'notebook = "other"\nname', "no notebook 'other'"),
        ('name = "scale"', 'name = "a-b"', "letters, digits"),
    ],
)
def test_a_wrong_declaration_is_reported(root, old, new, said):
    edited(root, "hw1/homework.toml", old, new)
    with pytest.raises(CourseError, match=said):
        open_course(root).homework("hw1")


# ---- releases


def test_the_standard_release_is_the_same_as_without_parameters(root):
    standard = (root / "release/hw1/scales.ipynb").read_text()
    (root / "hw1/homework.toml").write_text(HOMEWORK.partition("[[parameters]]")[0])
    for path in (root / "hw1/scales.py", root / "hw1/mistakes/scales.toml"):
        path.write_text(re.sub(r"(?m)^ *(# parameter:.*|<!-- parameter:.*)\n", "", path.read_text()))
    edited(root, "hw1/hidden/test_scales.py", "parameters.scale", "5")
    assert build.stale(open_course(root)) == ()
    assert "parameter" not in standard


def test_the_same_student_gets_the_same_bytes_whoever_else_is_there(root):
    first = built(root)
    assert built(root) == first
    alone = built(root, "id,name\nzoe,Z\ns3,S 3\nS99,X\n")
    assert {name: text for name, text in alone.items() if name.startswith("s3/")} == {
        name: text for name, text in first.items() if name.startswith("s3/")
    }
    digest = hashlib.sha256(repr(sorted(first.items())).encode()).hexdigest()
    assert hashlib.sha256(repr(sorted(built(root).items())).encode()).hexdigest() == digest


def test_another_secret_deals_other_numbers_and_all_values_occur(root):
    built(root)
    dealt = scales(root)
    built(root, secret=b"another")
    assert scales(root) != dealt
    assert set(dealt.values()) == {3, 4, 5, 6}


def test_a_students_release_has_the_students_numbers_everywhere_and_no_other_difference(root):
    files = built(root)
    standard = json.loads((root / "release/hw1/scales.ipynb").read_text())
    for student, scale in scales(root).items():
        book = json.loads(files[f"{student}/hw1/scales.ipynb"])
        texts = {cell["id"]: "".join(cell["source"]) for cell in book["cells"]}
        assert f"**Exercise 1 · {scale} times as much**" in texts["text"]
        assert f"Write $f(x) = {scale} x$. There is 1 way, and it takes 2.5 minutes." in texts["text"]
        assert f"SCALE, MOST = {scale}, {10 * scale}" in texts["helpers"]
        assert f"def scaled(x):  # {scale} times x" in texts["scaled-code"]
        assert f"assert scaled(2.0) == {2 * scale}.0" in texts["scaled"]
        assert "return" not in texts["scaled-code"] and "Because" not in texts["why"]
        assert ("colab.research" in texts["colab"]) == (scale == 5)
        assert (files[f"{student}/hw1/scales.ipynb"] == (root / "release/hw1/scales.ipynb").read_text()) == (scale == 5)
        assert [cell["metadata"].get("nbgrader", {}).get("points") for cell in book["cells"]] == [
            cell["metadata"].get("nbgrader", {}).get("points") for cell in standard["cells"]
        ]
        for cell in nbformat.reads(files[f"{student}/hw1/scales.ipynb"], as_version=4).cells:
            assert cell.metadata.get("nbgrader", {}).get("checksum") in (None, compute_checksum(cell))


def test_grading_restores_the_cells_that_the_student_got(root):
    files = built(root)
    homework = open_course(root).homework("hw1")
    for student in ("s0", "s1", "s2", "s3"):
        own = homework.personal(personal.values_of(homework, student))
        book = json.loads(files[f"{student}/hw1/scales.ipynb"])
        found = personal_released(own, "scales").cells
        assert [(cell.source, cell.metadata) for cell in found] == [
            ("".join(cell["source"]), cell["metadata"]) for cell in book["cells"]
        ]


def test_a_release_that_is_not_the_masters_is_refused(root):
    built(root)
    homework = open_course(root).homework("hw1").personal((("scale", 3),))
    edited(root, "release/hw1/scales.ipynb", "SCALE, MOST = 5, 50", "SCALE, MOST = 5, 51")
    with pytest.raises(CourseError, match="another cell helpers: run `autograder build`"):
        personal_released(homework, "scales")


def test_a_team_has_the_same_numbers_and_its_name_leads_to_them(root):
    built(root, "id,name,group,pseudonym\n" + "".join(f"s{n},S,Red Owls,p{n}\n" for n in range(9)) + "x,X,,px\n")
    dealt = scales(root)
    assert len({dealt[f"s{n}"] for n in range(9)} | {dealt["Red Owls"], dealt["p3"]}) == 1
    assert dealt["px"] == dealt["x"]


@pytest.mark.parametrize(
    ("roster", "said"),
    [
        (None, "cannot be read"),
        ("name\nA\n", "no column ‘id’"),
        ("id,name\na/b,A\n", "folder"),
        ("id,name\n", "no students"),
    ],
)
def test_a_bad_roster_is_told_and_nothing_is_written(root, roster, said):
    path = root / "other.csv"
    if roster is not None:
        path.write_text(roster)
    ran = CliRunner().invoke(app, ["build", "hw1", "--course", str(root), "--variant-for", str(path)])
    assert ran.exit_code == 2 and said in ran.output
    assert not (root / "variants").exists() and not (root / "hw1.parameters.csv").exists()


def test_the_command_builds_both_and_says_whose_numbers_have_changed(root):
    command = ["build", "--course", str(root), "--variant-for", str(root / "roster.csv"), "--out", str(root / "out")]
    first = CliRunner().invoke(app, command)
    assert first.exit_code == 0 and "24 students, 4 different releases" in first.output
    assert (root / "out/s3/hw1/scales.ipynb").is_file() and (root / "hw1.parameters.csv").stat().st_mode & 0o77 == 0
    assert "0 files written" in CliRunner().invoke(app, command).output
    (root / ".course-secret").write_text("another secret")
    assert "hand their release out again" in CliRunner().invoke(app, command).output


def test_publishing_a_notebook_of_which_students_have_their_own_is_noted(root, tmp_path):
    before = CliRunner().invoke(app, ["publish", str(tmp_path / "public"), "--course", str(root)])
    built(root)
    after = CliRunner().invoke(app, ["publish", str(tmp_path / "public"), "--course", str(root)])
    assert before.exit_code == after.exit_code == 0, after.output
    told = "hw1/scales have the standard numbers here, but students have their own"
    assert told in after.output and told not in before.output


def test_a_roster_of_newcomers_leaves_what_the_others_were_given(root):
    built(root)
    before = scales(root)
    built(root, "id,name\nnew,N\nS3,S\n")
    after = scales(root)
    assert after.pop("S3") == before.pop("s3") and after.pop("new") in (3, 4, 5, 6) and after == before


def test_where_the_record_was_lost_those_whose_files_have_changed_are_named(root):
    built(root)
    dealt = scales(root)
    (root / "hw1.parameters.csv").write_text("student,size\n")
    edited(root, "hw1/homework.toml", "values = [3, 4, 5, 6]", "values = [7, 8]")
    students = read_roster(root / "roster.csv")
    [found] = build_for(open_course(root), None, students, b"a secret", root / "variants")
    assert sorted(found.others) == sorted(dealt)
    (root / "hw1.parameters.csv").write_text("student,size\n")
    [found] = build_for(open_course(root), None, students, b"a secret", root / "variants")
    assert found.others == () and set(scales(root).values()) == {7, 8}


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("s3,", "s3,x", "line 5: 'x[0-9]' is no number"),
        ("s3,", "s3,-", "line 5: '-[0-9]' is no number from 0 to 1e\\+15: correct it, or run `autograder build"),
        ("s3,", "S2,", "line 5: 'S2' stands there twice"),
        ("student,scale", "student,size", "line 1: the columns should be student, scale"),
    ],
)
def test_a_damaged_record_is_told_with_its_line(root, old, new, said):
    built(root, "\n".join(ROSTER.splitlines()[:6]))
    edited(root, "hw1.parameters.csv", old, new)
    with pytest.raises(CourseError, match=said):
        personal.values_of(open_course(root).homework("hw1"), "s1")


def test_a_lost_record_is_told_where_releases_for_single_students_are_there(root):
    built(root)
    (root / "hw1.parameters.csv").unlink()
    homework = open_course(root).homework("hw1")
    with pytest.raises(CourseError, match=r"hw1\.parameters\.csv: it is missing, but .*variants has releases of hw1"):
        personal.values_of(homework, "s1")
    shutil.rmtree(root / "variants")
    assert personal.values_of(homework, "s1") == ()


def test_the_record_is_written_again_as_it_was(root):
    built(root)
    before = (root / "hw1.parameters.csv").read_bytes()
    (root / "hw1.parameters.csv").unlink()
    [found] = build_for(open_course(root), None, read_roster(root / "roster.csv"), b"a secret", root / "variants")
    assert (root / "hw1.parameters.csv").read_bytes() == before and found.others == () == found.new


def test_who_is_new_and_who_left_is_said_together(root):
    built(root)
    text = ROSTER.replace("s3,", "s3.new,")
    [found] = build_for(open_course(root), None, read_roster(written(root, text)), b"a secret", root / "variants")
    assert (found.new, found.left) == (("s3.new",), ("s3",))
    (root / "roster.csv").write_text(text.replace("s4,", "S-4,"))
    command = ["build", "hw1", "--course", str(root), "--variant-for", str(root / "roster.csv")]
    said = CliRunner().invoke(app, command).output
    assert "new in hw1: S-4" in said and "s3, s4: not in" in said and "give the old id back" in said
    assert "new in" not in CliRunner().invoke(app, command).output


def test_where_everybody_has_the_standard_numbers_a_release_need_not_be_the_masters(root):
    course = open_course(root)
    homework = course.homework("hw1")
    assert len(texts(homework, "scales")) > 4
    edited(root, "release/hw1/scales.ipynb", "SCALE, MOST = 5, 50", "SCALE, MOST = 5, 51")
    assert texts(homework, "scales") == {} == Reader(course, homework, ["scales"])._known["scales"]


def test_a_pseudonym_is_no_new_student(root):
    built(root)
    text = ROSTER.replace("id,name,group", "id,name,group,pseudonym").replace("s3,S 3,", "s3,S 3,,p3")
    [found] = build_for(open_course(root), None, read_roster(written(root, text)), b"a secret", root / "variants")
    assert found.new == ()


def test_a_team_whose_name_has_no_letters_has_the_same_numbers(root):
    built(root, "id,name,group\n" + "".join(f"s{n},S,+\n" for n in range(9)))
    assert len(set(scales(root).values())) == 1


def handed_in(root, student, by):
    """The folder of a student who handed in the notebook of another, with an answer."""
    book = json.loads((root / f"variants/{by}/hw1/scales.ipynb").read_text())
    for cell in book["cells"]:
        if cell["id"] == "scaled-code":
            cell["source"] = "def scaled(x):\n    return x + x\n"
    folder = root / "submitted" / student / "hw1"
    folder.mkdir(parents=True)
    (folder / "scales.ipynb").write_text(json.dumps(book))
    return folder.parent


def test_a_notebook_with_the_numbers_of_another_student_is_named(root):
    built(root)
    dealt = scales(root)
    one = next(student for student in dealt if dealt[student] == 3)
    other = next(student for student in dealt if dealt[student] == 4)
    standard = next(student for student in dealt if dealt[student] == 5)
    folders = {student: handed_in(root, student, by) for student, by in ((one, one), (other, one), (standard, other))}
    course = open_course(root)
    reader = Reader(course, course.homework("hw1"), ["scales"])
    found = {student: reader.read(student, folder).others for student, folder in folders.items()}
    assert found[one] == ()
    assert found[other] == (
        f"{other}'s scales has released text with scale = 3, but hw1.parameters.csv does not say that {other} was "
        "given this.",
    )
    assert "with scale = 4, but" in found[standard][0]
    said = CliRunner().invoke(app, ["similar", "hw1", "--course", str(root)])
    assert found[other][0] in said.output and f"{one}'s" not in said.output
    page = (root / "results" / "hw1.similar.html").read_text(encoding="utf-8")
    assert html.escape(found[other][0]).replace("&#x27;", "&#39;") in page

    # the record and the folders are gone: everybody seems to have the standard numbers
    (root / "hw1.parameters.csv").unlink()
    shutil.rmtree(root / "variants")
    assert "with scale = 3, but" in Reader(course, course.homework("hw1"), ["scales"]).read(one, folders[one]).others[0]


# ---- grading


def solution(root, student, scale):
    """The student's own notebook with an answer for this scale."""
    book = json.loads((root / f"variants/{student}/hw1/scales.ipynb").read_text())
    for cell in book["cells"]:
        if cell["id"] == "scaled-code":
            cell["source"] = f"def scaled(x):\n    return {scale} * x\n"
        if cell["id"] == "helpers":
            cell["source"] = "SCALE = 0  # edited by the student"
    return book


@pytest.fixture
def graded(root):
    """A class in which s0 answers as the own release asks, s1 as a classmate's does, and s2 makes a known mistake."""
    built(root)
    dealt = scales(root)
    odd = [student for student in dealt if dealt[student] != 5]
    own, other, lost = odd[0], odd[1], odd[2]
    borrowed = next(value for value in dealt.values() if value not in (5, dealt[other]))
    for student, scale in ((own, dealt[own]), (other, borrowed), (lost, 1)):
        folder = root / "submitted" / student / "hw1"
        folder.mkdir(parents=True)
        (folder / "scales.ipynb").write_text(json.dumps(solution(root, student, scale)))
    stranger = root / "submitted/stranger/hw1"
    shutil.copytree(root / "submitted" / own / "hw1", stranger)
    homework = open_course(root).homework("hw1")
    results = {}
    with GradingServer(homework, "none") as server:
        for student in (own, other, lost):
            marked = root / "autograded" / student / "hw1"
            results[student] = server.grade(student, root / "submitted" / student, root / "results", marked)
        (root / "submitted" / odd[3] / "hw1").mkdir(parents=True)
        shutil.copy(root / "release/hw1/scales.ipynb", root / "submitted" / odd[3] / "hw1")
        strange = server.grade(odd[3], root / "submitted" / odd[3])
        notes = {one.kind: one.note for one in strange.notebooks[0].repairs}
        assert "numbers that you were not given (scale = 5)" in notes["numbers"] and "earlier" not in notes
        shutil.rmtree(root / "submitted" / odd[3])
        with pytest.raises(Lost, match="does not say which numbers stranger was given"):
            server.grade("stranger", stranger.parent)
    return root, results, (own, other, lost), borrowed


def test_everybody_is_graded_by_their_own_numbers(graded):
    root, results, (own, other, lost), borrowed = graded
    dealt = scales(root)
    cells = {student: result.notebooks[0].cells[0] for student, result in results.items()}
    assert [cells[student].earned for student in (own, other, lost)] == [2.0, 0.0, 0.0]
    assert [one.title for one in cells[lost].diagnoses] == [f"the {dealt[lost]} is lost"]
    assert cells[own].title == f"Exercise 1 · {dealt[own]} times as much (scaled)"
    book = json.loads((root / "autograded" / own / "hw1/scales.ipynb").read_text())
    [helpers] = [cell for cell in book["cells"] if cell["id"] == "helpers"]
    assert f"SCALE, MOST = {dealt[own]}, {10 * dealt[own]}" in "".join(helpers["source"])

    # the same answers with the same numbers stand; with other numbers they do not
    course = open_course(root)
    homework = course.homework("hw1")
    folder = root / "submitted" / own
    assert Origin(course, homework).standing(own, folder, root / "results", None, "none") is not None
    key = results[own].key
    assert key == Origin(course, homework).key_of(own, folder) != Origin(course, homework).key(folder)

    # regrading equals grading
    found = class_regrade.run(course, homework, root / "results", root / "submitted", 1, Choosing(dry=True), True)
    assert [(one.changes, one.again, one.lost) for one in found] == [((), "", "")] * 3

    # the explanation has the student's own reference
    suites = {"scales": Suite(course, homework, "scales")}
    with collected(*suites.values()):
        kept = explanation.opened(course, homework, root / "results", other)
        text = explanation.text(other, tuple(explanation.explained(kept, "", False, suites)))
        fitting = Fitting(suites)
        [fit] = fitting.fits(kept)
        assert fitting.fits(explanation.opened(course, homework, root / "results", lost)) == ()
    # whose numbers they are is told by `similar`
    [one] = borrowed_of(course, homework, root / "results")
    told = CliRunner().invoke(app, ["similar", "hw1", "--course", str(root)])
    assert told.exit_code == 0, told.output
    assert one.student == other and one.exercise == ("scales", "scaled") and set(one.classmates) < {own, lost, other}
    assert one.says in told.output
    page = (root / "results" / "hw1.similar.html").read_text(encoding="utf-8")
    assert html.escape(one.says).replace("&#x27;", "&#39;") in page

    asked = int(re.search(r"scaled\((\d+)\)", text)[1])
    assert f"the reference: {asked * dealt[other]}" in text
    assert (fit.cell, fit.values, set(fit.students)) == (
        "scaled",
        (("scale", borrowed),),
        {student for student, scale in dealt.items() if scale == borrowed},
    )

    # who marks by hand sees the student's own text, and other numbers make another key
    shown = readable(
        homework.personal(personal.values_of(homework, other)), "scales", root / "submitted" / other / "hw1"
    )
    assert f"Write $f(x) = {dealt[other]} x$" in json.dumps(shown, ensure_ascii=False)
    edited(root, "hw1.parameters.csv", f"{own},{dealt[own]}\n", f"{own},{borrowed}\n")
    changed = Origin(course, homework).key_of(own, folder) != key
    assert changed == (dealt[own] != borrowed)
    assert b"student,scale" in bundle(course, homework, b"s").files["hw1.parameters.csv"]


def test_a_classmate_is_found_however_the_folder_is_written(root, monkeypatch):
    """The record has another Unicode form, and other capital letters, than the folders."""
    for folder in ("ANNA", "Jose\u0301", "mia"):
        (root / "results" / folder).mkdir(parents=True)
        (root / "results" / folder / "hw1.json").write_text("{}")
    fit = Fit("scales", "scaled", (("scale", 3),), ("Anna", "Jos\u00e9", "kim"))
    monkeypatch.setattr(borrowed.explanation, "opened", lambda course, homework, out, student: student)
    fitting = SimpleNamespace(fits=lambda student: (fit,) if student == "mia" else ())
    course = open_course(root)
    [one] = borrowed._found(course, course.homework("hw1"), root / "results", fitting)
    assert (one.student, one.classmates) == ("mia", ("ANNA", "Jose\u0301"))


def test_the_audit_proves_every_value(root):
    course = open_course(root)
    found = personal_audit(course, course.homework("hw1"))
    assert [(one.values, one.solutions, one.mistakes, one.wrong) for one in found] == [
        (f"scale = {value}", 2, 1, ()) for value in (3, 4, 5, 6)
    ]
    edited(root, "hw1/alternatives/scales-turned.py", "    # parameter: scale\n", "")
    wrong = {one.values: one.wrong for one in personal_audit(course, course.homework("hw1"))}
    assert wrong["scale = 5"] == () and "alternative scales-turned" in wrong["scale = 3"][0]


def test_the_courses_own_parameters_are_graded_right():
    """A few values; `autograder audit --parameters 200` tries all."""
    course = open_course(Path(__file__).parents[1])
    for name in course.homeworks:
        for one in personal_audit(course, course.homework(name), most=3):
            assert one.wrong == (), f"{name}/{one.notebook}, {one.values}"


def test_a_master_of_other_numbers_is_read_as_one_that_was_written_with_them(root):
    homework = open_course(root).homework("hw1").personal((("scale", 3),))
    book = read_master(homework, "scales")
    assert book.cell("scaled-code").source.endswith("return 3 * x\n    ### END SOLUTION")
    assert "parameter" not in "".join(cell.source for cell in book.cells)
