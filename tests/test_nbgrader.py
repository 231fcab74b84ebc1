"""nbgrader's own commands in a course folder: they grade as `autograder grade` does, whatever was handed in."""

from __future__ import annotations

import base64
import copy
import html
import json
import os
import shutil
import subprocess
import sys
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import nbformat
import pytest
from nbformat import v4
from nbgrader.api import Gradebook
from nbgrader.converters import Autograde
from nbgrader.converters.base import NbGraderException
from nbgrader.coursedir import CourseDirectory
from nbgrader.utils import determine_grade
from traitlets.config.loader import PyFileConfigLoader

from autograder import nbgrading
from autograder.course import build
from autograder.course.course import Course, CourseError, open_course
from autograder.course.master import Cell, Master
from autograder.grading import class_run
from autograder.grading.server import Lost
from autograder.grading.submissions import survey
from autograder.results import gradebook
from autograder.results.autograded import NOTES_ID, show
from autograder.results.result import CellResult, Incident, NotebookResult, Output, Result, TestResult
from tests.conftest import write_files

pytestmark = [
    pytest.mark.slow(seconds=105),
    # of nbgrader's own commands; ours keep them away
    pytest.mark.filterwarnings("ignore:Object of type <Submitted:sqlalchemy.exc.SAWarning"),
]

PLAIN = Master(path=Path("plain.py"), homework="hw1", notebook="plain", cells=())  # nothing marked by hand

CONFIG = Path(__file__).parents[1] / "nbgrader_config.py"

COURSE = """\
id = "small"
title = "Small"
homeworks = ["hw1"]
repository = "org/course"
floor = "none"
"""

HOMEWORK = """\
title = "Powers"

[[notebooks]]
name = "powers"
title = "Powers"
minutes = 5

[[notebooks]]
name = "words"
title = "Words"
minutes = 5
"""

POWERS = """\
# %% [markdown]
# # Powers

# %% nbgrader={"grade_id": "square", "solution": true}
def square(x):
    ### BEGIN SOLUTION
    return x * x
    ### END SOLUTION

# %% nbgrader={"grade_id": "square-check", "grade": true, "points": 3, "locked": true}
assert square(-2) == 4, "the square of -2 is 4"

# %% nbgrader={"grade_id": "cube", "solution": true}
def cube(x):
    ### BEGIN SOLUTION
    return x * x * x
    ### END SOLUTION

# %% nbgrader={"grade_id": "cube-check", "grade": true, "points": 2, "locked": true}
assert cube(2) == 8, "the cube of 2 is 8"
"""

POWERS_TESTS = '''\
from autograder import earns


@earns("square-check")
def test_small(student):
    """Small numbers are squared."""
    assert student.square(2) == 4


@earns("square-check", weight=2)
def test_negative(student):
    """Negative numbers are squared."""
    assert student.square(-3) == 9, "the square of a negative number is positive"


@earns("cube-check")
def test_cube(student):
    """Numbers are cubed."""
    assert student.cube(-3) == -27
'''

WORDS = """\
# %% [markdown] nbgrader={"grade_id": "why", "grade": true, "solution": true, "points": 4}
# A square grows because its sides grow.

# %% nbgrader={"grade_id": "double", "solution": true}
def double(x):
    ### BEGIN SOLUTION
    return x + x
    ### END SOLUTION

# %% nbgrader={"grade_id": "double-check", "grade": true, "points": 1, "locked": true}
assert double(2) == 4
"""

WORDS_TESTS = '''\
from autograder import earns


@earns("double-check")
def test_double(student):
    """Numbers are doubled."""
    assert student.double(5) == 10
'''

RIGHT = {"square": "def square(x):\n    return x * x", "cube": "def cube(x):\n    return x**3"}
PARTLY = RIGHT | {"square": "def square(x):\n    return x * abs(x)"}
SPOKEN = {"why": "Both sides grow.", "double": "def double(x):\n    return 2 * x"}
SCRIPT = "<script>alert('marking')</script>"
PICTURE = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4z8AAAAMBAQDJ/pLvAAAAAElFTkSuQmCC"
SAYS = 'It falls from 2 to 1. "><script>alert(2)</script>'
DRAWING = f"""\
from base64 import b64decode

from IPython.display import Image

Image(data=b64decode("{PICTURE}"), format="png", alt={SAYS!r})
"""

POINTS = {"square-check": 3, "cube-check": 2}

EARNED = {
    "anna": POINTS | {"why": None, "double-check": 1},
    "ben": {"square-check": 1, "cube-check": 2, "why": None, "double-check": 1},
    "blank": {"square-check": 0, "cube-check": 0, "why": None, "double-check": 0},
    "folder": {"square-check": 0, "cube-check": 0, "why": None, "double-check": 1},
    "garbage": {"square-check": 0, "cube-check": 0, "why": None, "double-check": 1},
    "misnamed": POINTS | {"why": None, "double-check": 1},
    "twins": POINTS | {"why": None, "double-check": 1},
}


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Course:
    """A course after its first build, registered in its gradebook: to be copied."""
    root = tmp_path_factory.mktemp("fresh")
    files = {
        "course.toml": COURSE,
        "hw1/homework.toml": HOMEWORK,
        "hw1/powers.py": POWERS,
        "hw1/hidden/test_powers.py": POWERS_TESTS,
        "hw1/words.py": WORDS,
        "hw1/hidden/test_words.py": WORDS_TESTS,
    }
    write_files(root, files)
    shutil.copy(CONFIG, root)
    course = open_course(root)
    build.build(course)
    with gradebook.Recorder(course, course.homework("hw1")):
        return course


def copied(course: Course, root: Path, *without: str) -> Course:
    shutil.copytree(course.root, root, dirs_exist_ok=True, ignore=shutil.ignore_patterns(*without))
    return open_course(root)


def notebook(course: Course, name: str, answers: dict[str, str]) -> Any:
    """The released notebook with answers in their cells."""
    book = nbformat.read(course.homework("hw1").release(name), as_version=4)
    for cell in book.cells:
        cell.source = answers.get(cell.id, cell.source)
    return book


def hand_in(course: Course, student: str, **books: Any) -> Path:
    folder = course.root / "submitted" / student / "hw1"
    folder.mkdir(parents=True)
    for name, book in books.items():
        (folder / f"{name}.ipynb").write_text(book if isinstance(book, str) else json.dumps(book), encoding="utf-8")
    return folder


def nbgrader(course: Course, *arguments: str) -> str:
    """The log of an nbgrader command that must succeed."""
    command = [sys.executable, "-m", "nbgrader", *arguments]
    done = subprocess.run(command, cwd=course.root, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stderr


def scores(course: Course, course_id: str = "small") -> dict[str, dict[str, float | None]]:
    """What the gradebook holds for every student and cell."""
    with Gradebook(f"sqlite:///{course.root / 'gradebook.db'}", course_id) as book:
        return {
            submission.student.id: {
                grade.name: grade.auto_score for handed_in in submission.notebooks for grade in handed_in.grades
            }
            for submission in book.assignment_submissions("hw1")
        }


def autograded(course: Course, student: str, name: str = "powers") -> dict[str, Any]:
    """The cells of an autograded notebook by their ids."""
    path = course.root / "autograded" / student / "hw1" / f"{name}.ipynb"
    return {cell.id: cell for cell in nbformat.read(path, as_version=4).cells}


@pytest.fixture(scope="module")
def graded(fresh: Course, tmp_path_factory: pytest.TempPathFactory) -> Course:
    """A course in which an instructor has run nbgrader's commands, from the first on."""
    course = copied(fresh, tmp_path_factory.mktemp("course"), "gradebook.db")
    words = notebook(course, "words", SPOKEN)
    powers = notebook(course, "powers", RIGHT)
    twins = copy.deepcopy(powers)
    twins.cells += copy.deepcopy(powers.cells[-4:])
    del twins.cells[-1].metadata["nbgrader"]["schema_version"]
    partly = notebook(course, "powers", PARTLY)
    partly.cells += [
        v4.new_code_cell("import sys\nprint('seen')\nprint('also seen', file=sys.stderr)\n'shown'"),
        v4.new_markdown_cell(SCRIPT),
        v4.new_code_cell(DRAWING),
    ]
    hand_in(course, "anna", powers=powers, words=words)
    hand_in(course, "ben", powers=partly, words=words)
    hand_in(course, "blank", powers=notebook(course, "powers", {}), words=notebook(course, "words", {"why": "?"}))
    (hand_in(course, "folder", words=words) / "powers.ipynb").mkdir()
    hand_in(course, "garbage", powers="Dear diary", words=words)
    hand_in(course, "misnamed", words=words, **{"Powers (1)": powers})
    hand_in(course, "twins", powers=twins, words=words)
    nbgrader(course, "generate_assignment", "hw1", "--force")
    nbgrader(course, "autograde", "hw1", "--create")
    nbgrader(course, "generate_feedback", "hw1", "--student", "ben")
    return course


@pytest.fixture(scope="module")
def by_nbgrader(graded: Course) -> dict[str, dict[str, float | None]]:
    return scores(graded)


def test_generate_assignment_makes_the_release_of_the_build(graded: Course) -> None:
    assert build.stale(graded) == ()


@pytest.mark.parametrize("student", EARNED)
def test_autograde_gives_what_was_earned(by_nbgrader: dict[str, Any], student: str) -> None:
    assert by_nbgrader[student] == pytest.approx(EARNED[student])


def test_autograder_grade_agrees_with_autograde(graded: Course, by_nbgrader: dict[str, Any]) -> None:
    todo = survey(graded.root / "submitted", "hw1").todo
    class_run.run(graded, graded.homework("hw1"), todo, graded.root / "results", workers=2)
    assert scores(graded) == by_nbgrader


def test_what_is_unreadable_becomes_the_untouched_release_and_says_so(graded: Course) -> None:
    cells = autograded(graded, "garbage")
    assert "Dear diary" not in str(cells)
    assert cells["square"].source == notebook(graded, "powers", {}).cells[3].source
    assert "‘powers.ipynb’ is neither a notebook nor a Python script" in cells[NOTES_ID].source


def test_a_repaired_notebook_lists_what_was_mended(graded: Course) -> None:
    assert "more than once" in autograded(graded, "twins")[NOTES_ID].source


def test_the_output_of_a_student_stands_below_the_cell_that_made_it(graded: Course) -> None:
    [own] = [cell for cell in autograded(graded, "ben").values() if "print('seen')" in cell.source]
    assert [str(output.get("text") or output.data["text/plain"]).strip() for output in own.outputs] == [
        "seen",
        "also seen",
        "'shown'",
    ]


def test_feedback_shows_the_message_of_a_failed_test(graded: Course) -> None:
    page = (graded.root / "feedback/ben/hw1/powers.html").read_text()
    assert "the square of a negative number is positive" in page


def test_feedback_runs_no_script_of_a_student(graded: Course) -> None:
    page = (graded.root / "feedback/ben/hw1/powers.html").read_text()
    assert SCRIPT not in page
    assert "alert('marking')" in page


def test_feedback_says_what_a_figure_shows(graded: Course) -> None:
    [own] = [cell for cell in autograded(graded, "ben").values() if "import Image" in cell.source]
    assert own.outputs[0].metadata == {"image/png": {"alt": SAYS}}
    page = (graded.root / "feedback/ben/hw1/powers.html").read_text()
    assert f"<img alt='{SAYS}'" in html.unescape(page) and "<script>alert(2)" not in page


def test_stock_nbgrader_gives_the_same_scores(
    fresh: Course, tmp_path: Path, by_nbgrader: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    course = copied(fresh, tmp_path, CONFIG.name, "gradebook.db")
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=os.pathsep)
    hand_in(course, "ben", powers=notebook(course, "powers", PARTLY))
    nbgrader(course, "generate_assignment", "hw1", "--force")
    nbgrader(course, "autograde", "hw1", "--notebook", "powers")
    found, expected = scores(course, "")["ben"], by_nbgrader["ben"]
    assert {cell: found[cell] for cell in POINTS} == {cell: expected[cell] for cell in POINTS}


# ---- without a sandbox: what is done with a result ----


def settings(course: Course) -> Any:
    """The settings that nbgrader reads from the course's nbgrader_config.py, for one run of autograde."""
    config = PyFileConfigLoader(CONFIG.name, str(course.root)).load_config()
    config.CourseDirectory.assignment_id = "hw1"
    return config


def autograde(course: Course, **directory: str) -> None:
    config = settings(course)
    config.CourseDirectory.update(directory)
    Autograde(coursedir=CourseDirectory(config=config), config=config).start()


def result(course: Course, student: str) -> Result:
    """A result in which everything is right."""
    books = []
    for spec in course.homework("hw1").notebooks:
        released = nbformat.read(course.homework("hw1").release(spec.name), as_version=4).cells
        marked = [cell.metadata.nbgrader for cell in released if cell.metadata.get("nbgrader", {}).get("grade")]
        cells = [
            CellResult(grade_id=at.grade_id, title="", points=at.points, earned=None if at.solution else at.points)
            for at in marked
        ]
        books.append(book_result(*cells, notebook=spec.name))
    return Result(
        schema=1,
        course=course.id,
        homework="hw1",
        title="",
        student=student,
        score=6,
        max_score=10,
        notebooks=tuple(books),
        tier="A",
        versions={},
        graded_at="",
        cpu_seconds=0,
        wall_seconds=0,
    )


def book_result(*cells: CellResult, **changes: Any) -> NotebookResult:
    fields = {"notebook": "powers", "title": "", "file": "", "score": 0, "max_score": 0, "cells": cells, "tier": "A"}
    return NotebookResult(**fields | {"seed": 0, "cpu_seconds": 0, "wall_seconds": 0, "peak_memory_mb": 0} | changes)


@pytest.fixture
def course(fresh: Course, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Course:
    """A course that is registered in its gradebook, with two submissions."""
    monkeypatch.setenv("PATH", os.environ["PATH"])  # the settings change it
    course = copied(fresh, tmp_path)
    for student in ("anna", "ben"):
        hand_in(course, student, powers=notebook(course, "powers", RIGHT), words=notebook(course, "words", SPOKEN))
    return course


@pytest.fixture
def examiner(course: Course, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """In place of the examiner, one that finds everything right, and keeps what was asked of it."""
    log = SimpleNamespace(started=0, closed=0, graded=[], lost=())

    class Stub:
        def __init__(self, homework: Any, floor: str) -> None:
            log.started += 1

        def wait(self) -> None: ...

        def grade(self, student: str, folder: Path) -> Result:
            log.graded.append((student, folder))
            if student in log.lost:
                raise Lost("its process was lost")
            return result(course, student)

        def close(self) -> None:
            log.closed += 1

    monkeypatch.setattr(nbgrading, "GradingServer", Stub)
    return log


def test_a_homework_is_examined_once_for_all_its_notebooks(course: Course, examiner: SimpleNamespace) -> None:
    autograde(course)
    assert examiner.started == 1
    assert examiner.graded == [(name, course.root / "submitted" / name / "hw1") for name in ("anna", "ben")]


def test_examiners_do_not_pile_up_in_a_process_that_lives_on(course: Course, examiner: SimpleNamespace) -> None:
    for student in ("anna", "ben", "anna"):
        autograde(course, student_id=student)
    assert examiner.started - examiner.closed <= 1


def test_autograde_agrees_with_what_autograder_grade_recorded(course: Course, examiner: SimpleNamespace) -> None:
    with gradebook.Recorder(course, course.homework("hw1")) as recorder:
        for student in ("anna", "ben"):
            recorder.record(result(course, student))
    recorded = scores(course)
    autograde(course)
    assert scores(course) == recorded


def test_a_lost_grading_is_no_zero_and_the_others_go_on(course: Course, examiner: SimpleNamespace) -> None:
    examiner.lost = ("anna",)
    with pytest.raises(NbGraderException):
        autograde(course)
    assert set(scores(course)["anna"].values()) == {None}
    assert scores(course)["ben"]["cube-check"] == 2
    assert not (course.root / "autograded/anna/hw1").exists()


def test_a_homework_that_the_course_does_not_list_is_refused_by_name(course: Course, examiner: SimpleNamespace) -> None:
    folder = course.root / "submitted/anna/hw1"
    folder.rename(folder.with_name("hw9"))
    with pytest.raises(NbGraderException, match="no homework 'hw9'"):
        autograde(course, assignment_id="hw9")


def add_a_cell(course: Course) -> None:
    path = course.root / "hw1/powers.py"
    path.write_text(
        path.read_text() + '\n# %% nbgrader={"grade_id": "more", "grade": true, "points": 1, "locked": true}\n'
    )
    tests = course.root / "hw1/hidden/test_powers.py"
    tests.write_text(tests.read_text() + '\n\n@earns("more")\ndef test_more(student): ...\n')
    build.build(course)


def test_autograde_works_in_a_fresh_clone_without_a_gradebook(course: Course, examiner: SimpleNamespace) -> None:
    (course.root / "gradebook.db").unlink(missing_ok=True)
    autograde(course)
    assert scores(course)["anna"]["cube-check"] == 2


def test_autograde_refuses_a_gradebook_with_other_cells(course: Course, examiner: SimpleNamespace) -> None:
    autograde(course)
    add_a_cell(course)
    with pytest.raises(NbGraderException, match="run `nbgrader generate_assignment hw1 --force`"):
        autograde(course)


def test_changed_cells_are_registered_anew_while_nothing_is_recorded(course: Course) -> None:
    add_a_cell(course)
    with gradebook.Recorder(course, course.homework("hw1")) as recorder:
        recorder.record(result(course, "anna"))
    assert scores(course)["anna"]["more"] == 1


def test_changed_cells_are_refused_once_submissions_are_recorded(course: Course) -> None:
    with gradebook.Recorder(course, course.homework("hw1")) as recorder:
        recorder.record(result(course, "anna"))
    add_a_cell(course)
    with pytest.raises(CourseError, match="--recorded update"):
        gradebook.Recorder(course, course.homework("hw1")).__enter__()


def test_recording_stays_silent_about_the_order_of_nbgraders_objects(course: Course) -> None:
    with warnings.catch_warnings(record=True) as heard, gradebook.Recorder(course, course.homework("hw1")) as recorder:
        warnings.simplefilter("always")
        recorder.record(result(course, "anna"))
    assert [warning for warning in heard if "not in session" in str(warning.message)] == []


def test_a_mark_given_by_hand_survives_and_asks_for_a_second_look(course: Course) -> None:
    homework = course.homework("hw1")
    with gradebook.Recorder(course, homework) as recorder:
        recorder.record(result(course, "anna"))
    url = f"sqlite:///{course.root / 'gradebook.db'}"
    with Gradebook(url, "small") as book:
        book.find_grade("cube-check", "powers", "hw1", "anna").manual_score = 1.5
        book.db.commit()
    with gradebook.Recorder(course, homework) as recorder:
        recorder.record(result(course, "anna"))
    with Gradebook(url, "small") as book:
        grade = book.find_grade("cube-check", "powers", "hw1", "anna")
        assert (grade.score, grade.needs_manual_grade) == (1.5, True)


def test_the_settings_differ_from_nbgraders_own_by_the_examination_alone(course: Course) -> None:
    stock = [f"{step.__module__}.{step.__name__}" for step in Autograde().autograde_preprocessors]
    ours = settings(course).Autograde.autograde_preprocessors
    replaced = {"Execute": "Examine", "SaveAutoGrades": "SaveGrades"}  # SaveGrades is nbgrader's own, and a bonus
    names = [name.rpartition(".")[2] for name in stock]
    assert [name.rpartition(".")[2] for name in ours] == [replaced.get(name, name) for name in names]


GRADED = {"nbgrader": {"grade": True, "solution": False, "grade_id": "g", "points": 6, "schema_version": 3}}
TEST = TestResult(name="t", cell="g", weight=1, says="It <works>.", passed=False, message="Not </ul>\n\n$yet$.")


@pytest.mark.parametrize("earned", [0.0, 4.5, 1e-4, 6.0])
def test_nbgrader_takes_the_points_and_nothing_that_the_student_shows(earned: float) -> None:
    cell = v4.new_code_cell("", id="g", metadata=GRADED, outputs=[v4.new_output("stream", name="stderr", text="!")])
    outputs = [
        Output(cell="g", kind=kind, text=text)
        for kind, text in [("text", "6"), ("stderr", "oh"), ("error", "ValueError: no\n  line 1"), ("stdout", "-1")]
    ]
    found = book_result(CellResult(grade_id="g", title="", points=6, earned=earned), outputs=tuple(outputs))
    show(found, v4.new_notebook(cells=[cell]), PLAIN)
    assert determine_grade(cell) == (earned, 6)


def test_a_figure_of_a_check_is_shown_below_its_points() -> None:
    png = base64.b64decode(PICTURE)
    cell = v4.new_code_cell("", id="g", metadata=GRADED)
    picture = Output(cell="g", kind="image/png", text="<Figure size 640x480>", png=png)
    said = Output(cell="g", kind="stdout", text="passed")
    found = book_result(CellResult(grade_id="g", title="", points=6, earned=4.5), outputs=(said, picture))
    show(found, v4.new_notebook(cells=[cell]), PLAIN)
    [points, figure] = cell.outputs
    assert base64.b64decode(figure.data["image/png"]) == png and determine_grade(cell) == (4.5, 6)
    assert "passed" in points.data["text/html"] and "Figure" not in points.data["text/html"]


def test_a_grade_cell_without_a_result_is_an_error_and_not_full_marks() -> None:
    book = v4.new_notebook(cells=[v4.new_code_cell("", id="g", metadata=GRADED)])
    with pytest.raises(LookupError):
        show(book_result(), book, PLAIN)


def test_messages_stand_beside_the_points_as_text_alone() -> None:
    cell = v4.new_code_cell("", id="g", metadata=GRADED)
    show(
        book_result(CellResult(grade_id="g", title="", points=6, earned=0.0, tests=(TEST,))),
        v4.new_notebook(cells=[cell]),
        PLAIN,
    )
    assert "It &lt;works&gt;. Not &lt;/ul&gt; $yet$." in cell.outputs[0].data["text/html"]
    assert "tex2jax_ignore" in cell.outputs[0].data["text/html"]


def test_notes_of_the_grader_are_text_alone() -> None:
    book = v4.new_notebook()
    note = Incident(kind="missing", cell="", note="There is no ‘<img src=x onerror=alert(1)>\n\n# big’.")
    show(book_result(incidents=(note,)), book, PLAIN)
    assert "‘&lt;img src=x onerror=alert(1)&gt; # big’" in book.cells[0].source


def test_what_is_no_picture_is_not_shown_as_one() -> None:
    cell = v4.new_code_cell("", id="own-1")
    show(
        book_result(outputs=(Output(cell="own-1", kind="image/png", png=b"\x89PNG but not really"),)),
        v4.new_notebook(cells=[cell]),
        PLAIN,
    )
    assert cell.outputs == []


def test_an_autograded_notebook_with_every_kind_of_output_is_a_valid_one() -> None:
    book = v4.new_notebook(cells=[v4.new_code_cell("", id="g", metadata=GRADED), v4.new_code_cell("", id="own-1")])
    outputs = [Output(cell="own-1", kind=kind, text="a: b\nc") for kind in ("stdout", "stderr", "text", "error")]
    note = Incident(kind="timeout", cell="own-1", note="Too slow.")
    found = book_result(CellResult(grade_id="g", title="", points=6, earned=1.0, tests=(TEST,)), incidents=(note,))
    show(msgspec.structs.replace(found, outputs=tuple(outputs)), book, PLAIN)
    nbformat.validate(book)


@pytest.mark.parametrize(
    "html",
    [
        SCRIPT,
        '<img src="x" onerror="alert(1)">',
        '<a href="javascript:alert(1)">x</a>',
        '<a href="data:text/html,x">x</a>',
        '<iframe src="https://example.org"></iframe>',
        '<p style="position:fixed">x</p>',
        "$\\href{javascript:alert(1)}{x}$",
    ],
)
def test_nothing_that_a_browser_would_run_is_left_of_rendered_markdown(html: str) -> None:
    left = nbgrading.harmless(html)
    for danger in ("<script", "onerror=", 'href="javascript', 'href="data', "<iframe", "style=", "\\href"):
        assert danger not in left


@pytest.mark.parametrize(
    "html",
    [
        "<h2>A <em>title</em></h2>",
        '<img alt="a plot" src="data:image/png;base64,AAAA">',
        "<details><summary>Hint</summary>…</details>",
        '<a href="https://example.org">x</a>',
        "<p>$a_{ij} &lt; b$</p>",
    ],
)
def test_what_markdown_is_rendered_to_stays(html: str) -> None:
    assert nbgrading.harmless(html) == html


def test_the_marker_sees_the_scheme_below_a_written_answer_and_feedback_does_not() -> None:
    answer = v4.new_markdown_cell("my answer", id="why")
    book = v4.new_notebook(cells=[answer])
    written = "Why?\n### BEGIN SOLUTION\nBecause. **Mark scheme**: one point\n### END SOLUTION"
    cell = Cell(id="why", kind="markdown", source=written, line=1, grade_id="why", grade=True, solution=True, points=1)
    show(book_result(), book, Master(path=Path("m.py"), homework="hw1", notebook="m", cells=(cell,)))
    assert [cell.source.count("Because.") for cell in book.cells] == [0, 1]
    shown, _ = nbgrading.HideSchemes().preprocess(book, {})
    assert [cell.source for cell in shown.cells] == ["my answer"]
