"""Recorded submissions when points or cells change: nothing is re-totalled in silence, and no mark is lost."""

from __future__ import annotations

import shutil
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from nbgrader.api import Gradebook
from typer.testing import CliRunner

from autograder import nbgrading
from autograder.cli import app
from autograder.course import build
from autograder.course.course import Course, CourseError, open_course
from autograder.grading import class_regrade
from autograder.grading.orders import Choosing
from autograder.results import gradebook, record, recording, registration
from autograder.results.recording import Recording
from autograder.results.registration import Recorded
from autograder.results.result import CellResult, NotebookResult, Result
from tests.conftest import write_files

pytestmark = [
    pytest.mark.slow(seconds=55),
    pytest.mark.filterwarnings("ignore:Object of type <Submitted:sqlalchemy.exc.SAWarning"),
]

FILES = {
    "course.toml": 'id = "small"\ntitle = "Small"\nhomeworks = ["hw1"]\nrepository = "org/course"\nfloor = "none"\n',
    "hw1/homework.toml": 'title = "Powers"\n\n[[notebooks]]\nname = "powers"\ntitle = "Powers"\nminutes = 5\n',
    "hw1/powers.py": """\
# %% [markdown]
# # Powers

# %% nbgrader={"grade_id": "square", "solution": true}
def square(x):
    ### BEGIN SOLUTION
    return x * x
    ### END SOLUTION

# %% nbgrader={"grade_id": "square-check", "grade": true, "points": 3, "locked": true}
assert square(-2) == 4, "the square of -2 is 4"

# %% [markdown] nbgrader={"grade_id": "why", "grade": true, "solution": true, "points": 4}
# A square grows because its sides grow.
""",
    "hw1/hidden/test_powers.py": '''\
from autograder import earns


@earns("square-check")
def test_small(student):
    """Small numbers are squared."""
    assert student.square(2) == 4
''',
}
MORE = """
# %% nbgrader={"grade_id": "cube", "solution": true}
def cube(x):
    ### BEGIN SOLUTION
    return x * x * x
    ### END SOLUTION

# %% nbgrader={"grade_id": "cube-check", "grade": true, "points": 2, "locked": true}
assert cube(2) == 8, "the cube of 2 is 8"
"""
MORE_TESTS = '''

@earns("cube-check")
def test_cube(student):
    """Numbers are cubed."""
    assert student.cube(2) == 8
'''


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A course after its first build."""
    root = tmp_path_factory.mktemp("built")
    write_files(root, FILES)
    build.build(open_course(root))
    with gradebook.Recorder(open_course(root), open_course(root).homework("hw1")):
        return root


@pytest.fixture
def course(built: Path, tmp_path: Path) -> Course:
    """A copy of it in which Ada, with all points and a mark by hand, and Ben, with none, are recorded."""
    course = open_course(Path(shutil.copytree(built, tmp_path / "course")))
    (course.root / "results").mkdir()
    given(course, "ada", {"square-check": 3})
    given(course, "ben", {"square-check": 0})
    with recorded(course) as book:
        assert [book.record(read(course, student)) for student in ("ada", "ben")] == [True, True]
    with opened(course) as marked:
        grade = marked.find_grade("why", "powers", "hw1", "ada")
        grade.manual_score, grade.extra_credit, grade.needs_manual_grade = 2.5, 0.5, False
        marked.find_comment("why", "powers", "hw1", "ada").manual_comment = "Say which sides."
        marked.db.commit()
    return course


def given(course: Course, student: str, earned: dict[str, float], answer: str = "a") -> Result:
    """A results file of a student: these points, of those that the release's cells have."""
    points = registration._released(course.homework("hw1"), "powers")
    cells = tuple(
        CellResult(grade_id=name, title=name, points=worth, earned=earned.get(name), tests=(), answer=answer)
        for name, worth in points.items()
        if worth is not None
    )
    score, most = sum(earned.values()), sum(cell.points for cell in cells)
    spent = {"cpu_seconds": 0.0, "wall_seconds": 0.0}
    book = NotebookResult(
        notebook="powers",
        title="Powers",
        file="powers.ipynb",
        score=score,
        max_score=most,
        cells=cells,
        tier="none",
        seed=1,
        peak_memory_mb=0.0,
        **spent,
    )
    result = Result(
        schema=record.SCHEMA,
        course="small",
        homework="hw1",
        title="Powers",
        student=student,
        score=score,
        max_score=most,
        notebooks=(book,),
        tier="none",
        versions={},
        graded_at="2026-01-01T00:00:00+00:00",
        **spent,
    )
    record.write(result, course.root / "results")
    return result


def read(course: Course, student: str) -> Result:
    return record.read(course.root / "results" / student / "hw1.json")


def recorded(course: Course, how: Recorded = Recorded.REFUSE, tell: Callable[[str], None] = print) -> Recording:
    return Recording(course, course.homework("hw1"), course.root / "results", None, how, tell)


def opened(course: Course) -> Any:
    return Gradebook(f"sqlite:///{course.root / 'gradebook.db'}", "small")


def scores(course: Course) -> dict[str, tuple[float, float]]:
    with opened(course) as book:
        return dict(registration.totals(book, course.homework("hw1")))


def content(course: Course) -> list[str]:
    """Everything in the gradebook."""
    with closing(sqlite3.connect(course.root / "gradebook.db")) as there:
        return sorted(there.iterdump())


def change(course: Course, before: str, after: str, tests: tuple[str, str] = ("", "")) -> None:
    for name, (old, new) in {"powers.py": (before, after), "hidden/test_powers.py": tests}.items():
        path = course.root / "hw1" / name
        path.write_text(path.read_text().replace(old, new) if old else path.read_text() + new)
    build.build(course)


def worth_six(course: Course) -> None:
    change(course, '"points": 3', '"points": 6')


def more(course: Course) -> None:
    change(course, "", MORE, ("", MORE_TESTS))


def test_other_points_are_refused_with_a_table_and_nothing_changes(course: Course) -> None:
    before = content(course)
    worth_six(course)
    with pytest.raises(CourseError) as refused, recorded(course):
        pass
    assert "powers/square-check  3       6" in str(refused.value)
    assert "since 2 submissions were recorded" in str(refused.value)
    assert all(f"--recorded {way}" in str(refused.value) for way in ("points", "update", "keep"))
    assert content(course) == before


def test_other_cells_are_refused_with_a_table(course: Course) -> None:
    more(course)
    with pytest.raises(CourseError) as refused, recorded(course):
        pass
    assert "powers/cube-check  not there  2" in str(refused.value)
    assert "powers/cube        not there  no points" in str(refused.value)
    assert "--recorded update" in str(refused.value) and "--recorded points" not in str(refused.value)


def test_update_takes_other_points_over_and_says_who_changes(course: Course) -> None:
    said: list[str] = []
    worth_six(course)
    with recorded(course, Recorded.UPDATE, said.append) as book:
        for student, points in (("ada", 6.0), ("ben", 0.0)):
            book.record(given(course, student, {"square-check": points}))
        book.bring()
    assert scores(course) == {"ada": (9.0, 10.0), "ben": (0.0, 10.0)}
    assert "ada      6 of 7  9 of 10\nben      0 of 7  0 of 10" in said[-1]


def test_update_keeps_marks_extra_credit_and_comments_when_cells_come_and_go(course: Course) -> None:
    more(course)
    with recorded(course, Recorded.UPDATE) as book:
        book.record(given(course, "ada", {"square-check": 3, "cube-check": 2}))
    with opened(course) as there:
        grade = there.find_grade("why", "powers", "hw1", "ada")
        assert (grade.manual_score, grade.extra_credit, grade.needs_manual_grade) == (2.5, 0.5, False)
        assert there.find_comment("why", "powers", "hw1", "ada").manual_comment == "Say which sides."
        assert there.find_grade("cube-check", "powers", "hw1", "ada").auto_score == 2
        assert there.find_grade("cube-check", "powers", "hw1", "ben").auto_score is None
        assert there.find_comment("cube", "powers", "hw1", "ben").comment is None
    change(course, MORE, "", (MORE_TESTS, ""))
    with recorded(course, Recorded.UPDATE):
        pass
    assert scores(course) == {"ada": (6.0, 7.0), "ben": (0.0, 7.0)}
    with opened(course) as there:
        assert there.find_grade("why", "powers", "hw1", "ada").manual_score == 2.5


def test_a_gradebook_after_an_update_has_no_part_without_a_whole(course: Course) -> None:
    more(course)
    with recorded(course, Recorded.UPDATE):
        pass
    change(course, MORE, "", (MORE_TESTS, ""))
    with recorded(course, Recorded.UPDATE):
        pass
    with closing(sqlite3.connect(course.root / "gradebook.db")) as there:
        assert there.execute("PRAGMA foreign_key_check").fetchall() == []
        assert there.execute("SELECT count(*) FROM grade WHERE cell_id IS NULL OR notebook_id IS NULL").fetchone() == (
            0,
        )
        assert there.execute("SELECT count(*) FROM grade").fetchone() == (4,)
        assert there.execute("SELECT count(*) FROM comment").fetchone() == (4,)


def test_a_notebook_comes_and_goes_with_an_update(course: Course) -> None:
    hw1 = course.root / "hw1"
    before = (hw1 / "homework.toml").read_text()
    block = '\n[[notebooks]]\nname = "cubes"\ntitle = "Cubes"\nminutes = 5\n'
    (hw1 / "homework.toml").write_text(before + block)
    (hw1 / "cubes.py").write_text("# %% [markdown]\n# # Cubes\n" + MORE)
    (hw1 / "hidden/test_cubes.py").write_text("from autograder import earns\n" + MORE_TESTS)
    build.build(open_course(course.root))
    with recorded(open_course(course.root), Recorded.UPDATE):
        pass
    assert scores(course) == {"ada": (6.0, 9.0), "ben": (0.0, 9.0)}
    (hw1 / "homework.toml").write_text(before)
    with pytest.raises(CourseError, match="cubes/cube-check  2          gone"), recorded(open_course(course.root)):
        pass
    with recorded(open_course(course.root), Recorded.UPDATE):
        pass
    assert scores(course) == {"ada": (6.0, 7.0), "ben": (0.0, 7.0)}


def test_update_keeps_a_copy_of_the_gradebook_as_it_was(course: Course) -> None:
    before = content(course)
    worth_six(course)
    with recorded(course, Recorded.UPDATE):
        pass
    [copy] = course.root.glob("gradebook.db.before-*")
    with closing(sqlite3.connect(copy)) as there:
        assert sorted(there.iterdump()) == before


def test_updating_twice_changes_nothing_more(course: Course) -> None:
    worth_six(course)
    for _ in range(2):
        with recorded(course, Recorded.UPDATE):
            pass
    assert len(list(course.root.glob("gradebook.db.before-*"))) == 1


def test_an_update_that_fails_on_the_way_changes_nothing(course: Course, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*arguments: object) -> None:
        raise CourseError("source/ and release/ differ")

    before = content(course)
    more(course)
    monkeypatch.setattr(registration, "check", broken)
    with pytest.raises(CourseError, match="differ"), recorded(course, Recorded.UPDATE):
        pass
    assert content(course) == before


def test_points_alone_are_taken_over_but_no_other_cells(course: Course) -> None:
    worth_six(course)
    with recorded(course, Recorded.POINTS):
        pass
    assert scores(course)["ada"] == (6.0, 10.0)
    more(course)
    with pytest.raises(CourseError, match="powers/cube-check"), recorded(course, Recorded.POINTS):
        pass


def test_keep_leaves_the_gradebook_as_it_is_and_still_brings_its_marks(course: Course) -> None:
    before = content(course)
    worth_six(course)
    with recorded(course, Recorded.KEEP) as book:
        assert book.record(given(course, "ada", {"square-check": 6}))
        book.bring()
    assert content(course) == before
    assert read(course, "ada").score == 9


def test_what_was_kept_out_is_recorded_later_and_a_changed_answer_waits(course: Course) -> None:
    worth_six(course)
    with recorded(course, Recorded.KEEP) as book:
        book.record(given(course, "ada", {"square-check": 6}, answer="b"))
    homework, out = course.homework("hw1"), course.root / "results"
    assert recording.record_again(course, homework, out, None, Recorded.UPDATE)[1] == ""
    with opened(course) as there:
        assert there.find_grade("why", "powers", "hw1", "ada").needs_manual_grade
        assert there.find_grade("square-check", "powers", "hw1", "ada").auto_score == 6
    after = content(course)
    assert recording.record_again(course, homework, out) == (0, "")
    assert content(course) == after


def test_the_command_refuses_before_anything_is_graded(course: Course) -> None:
    worth_six(course)
    (course.root / "submitted/ada/hw1").mkdir(parents=True)
    shutil.copy(course.root / "release/hw1/powers.ipynb", course.root / "submitted/ada/hw1")
    before = read(course, "ada")
    said = CliRunner().invoke(app, ["grade", "hw1", "--course", str(course.root), "--workers", "1"])
    assert (said.exit_code, read(course, "ada")) == (2, before)
    assert "powers/square-check  3       6" in said.output


def test_a_class_is_graded_and_regraded_with_other_points(course: Course) -> None:
    """The commands themselves: hand in, update, regrade."""
    for student in ("ada", "ben"):
        folder = course.root / "submitted" / student / "hw1"
        folder.mkdir(parents=True)
        source = (course.root / "release/hw1/powers.ipynb").read_text()
        (folder / "powers.ipynb").write_text(source.replace("raise NotImplementedError", "return x * x"))

    def run(*words: str) -> Any:
        call = [*words, "--course", str(course.root), "--workers", "1", "--allow-unconfined"]
        return CliRunner().invoke(app, call)

    worth_six(course)
    said = run("grade", "hw1", "--recorded", "update")
    assert said.exit_code == 0, said.output
    assert "ben      0 of 7  6 of 10" in said.output
    assert scores(course) == {"ada": (9.0, 10.0), "ben": (6.0, 10.0)}
    master = course.root / "hw1/powers.py"
    master.write_text(master.read_text().replace('"points": 6', '"points": 2'))
    for command in ("regrade", "grade"):
        said = run(command, "hw1")
        assert "powers.py: changed since the last `autograder build`, and not in force until you run it" in said.stderr
        assert "square-check is worth 2 points, not 6" in said.stderr
    build.build(course)
    said = run("regrade", "hw1")
    assert "ben      6 of 10  2 of 6" in said.output
    assert scores(course) == {"ada": (5.0, 6.0), "ben": (2.0, 6.0)}
    assert read(course, "ada").score == 5


def test_update_is_for_the_whole_class(course: Course) -> None:
    call = ["grade", "hw1", "--course", str(course.root), "--student", "ada", "--recorded", "update"]
    said = CliRunner().invoke(app, call)
    assert said.exit_code == 2 and "without --student" in said.output


# ---- what is in the way


@pytest.mark.parametrize("together", [1, 8])
@pytest.mark.parametrize(
    ("pragma", "words"),
    [("PRAGMA query_only = 1", "readonly"), ("PRAGMA max_page_count = 1", "full")],
    ids=["read-only", "full disk"],
)
def test_a_gradebook_that_cannot_be_written_loses_no_result(
    course: Course,
    monkeypatch: pytest.MonkeyPatch,
    pragma: str,
    words: str,
    caplog: pytest.LogCaptureFixture,
    together: int,
) -> None:
    monkeypatch.setattr(recording, "PATIENCE", 0.1)
    students = [f"cy-{number}" for number in range(40)]
    with recorded(course) as book:
        assert book._book is not None
        with book._book._book.engine.connect() as connection:
            connection.exec_driver_sql(pragma)
        results = [given(course, one, {"square-check": 3}) for one in students]
        done = [book.record_all(results[at : at + together]) for at in range(0, len(results), together)]
        missing = [one for one, is_done in zip(students, chain.from_iterable(done), strict=True) if not is_done]
        assert missing and words in book.why
    assert [line for line in caplog.records if line.exc_info] == []
    again = recording.record_again(course, course.homework("hw1"), course.root / "results")
    assert again == (len(missing), "")
    assert [scores(course)[student] for student in students] == [(3.0, 7.0)] * 40


def test_a_lock_that_lasts_is_waited_for_once_and_not_for_each_student(
    course: Course, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording, "PATIENCE", 0.5)
    homework, out = course.homework("hw1"), course.root / "results"
    with recorded(course) as book, closing(sqlite3.connect(course.root / "gradebook.db")) as other:
        other.execute("BEGIN IMMEDIATE")
        began = time.monotonic()
        done = [book.record(given(course, f"cy-{number}", {"square-check": 3})) for number in range(20)]
        assert done == [False] * 20
        assert time.monotonic() - began < 4
        assert "another program has it locked" in book.why
    call = ["record", "hw1", "--course", str(course.root)]
    said = CliRunner().invoke(app, [*call, "--student", "cy-3"])
    assert (said.exit_code, said.output.startswith("1 results recorded")) == (0, True)
    assert recording.record_again(course, homework, out) == (19, "")
    assert CliRunner().invoke(app, [*call, "--student", "nobody"]).exit_code == 2


def test_results_that_come_together_are_recorded_as_those_that_come_alone(course: Course) -> None:
    points = {"cy": 3.0, "di": 0.0, "eli": 1.5}
    alone = open_course(Path(shutil.copytree(course.root, course.root.with_name("alone"))))
    for one in (course, alone):
        results = [given(one, student, {"square-check": earned}) for student, earned in points.items()]
        with recorded(one) as book:
            if one is course:
                assert book.record_all(results) == [True] * 3
            else:
                assert [book.record(result) for result in results] == [True] * 3
            assert [book.marked(result).score for result in results] == list(points.values())
    assert scores(course) == scores(alone)
    assert named(course) == named(alone)


def test_one_who_is_recorded_already_keeps_nobody_else_from_it(course: Course) -> None:
    results = [given(course, student, {"square-check": 1}) for student in ("ada", "cy", "ben", "di")]
    with recorded(course) as book:
        assert book.record_all(results) == [True] * 4
        assert book.marked(results[0]).score == 1 + 3.0, "what a person gave stays"
    assert {student: score for student, (score, _) in scores(course).items()} == {
        "ada": 4.0, "ben": 1.0, "cy": 1.0, "di": 1.0,
    }  # fmt: skip


def named(course: Course) -> list[tuple[object, ...]]:
    """What the gradebook says of each grade cell and comment, without ids."""
    with opened(course) as book:
        grades = [
            (
                part.student.id,
                part.notebook.name,
                part.name,
                part.auto_score,
                part.manual_score,
                part.needs_manual_grade,
            )
            for student in book.students
            for sent in student.submissions
            for notebook in sent.notebooks
            for part in notebook.grades
        ]
        comments = [
            (part.student.id, part.notebook.name, part.name, part.comment)
            for student in book.students
            for sent in student.submissions
            for notebook in sent.notebooks
            for part in notebook.comments
        ]
    return sorted([*grades, *comments], key=repr)


def test_recording_goes_on_when_the_lock_ends(course: Course, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "PATIENCE", 0.1)
    with recorded(course) as book, closing(sqlite3.connect(course.root / "gradebook.db")) as other:
        other.execute("BEGIN IMMEDIATE")
        assert not book.record(given(course, "cy", {"square-check": 3}))
        other.rollback()
        assert book.record(given(course, "di", {"square-check": 3}))


def test_a_gradebook_that_is_removed_on_the_way_is_said_and_recorded_later(course: Course) -> None:
    with recorded(course) as book:
        (course.root / "gradebook.db").unlink()
        assert not book.record(given(course, "cy", {"square-check": 3}))
        assert "it was removed on the way" in book.why
    assert recording.record_again(course, course.homework("hw1"), course.root / "results") == (3, "")


def test_one_notebook_is_not_regraded_where_the_gradebook_would_change_beside_it(course: Course) -> None:
    worth_six(course)
    homework, out, submitted = course.homework("hw1"), course.root / "results", course.root / "submitted"
    before = (course.root / "gradebook.db").read_bytes()
    with pytest.raises(CourseError, match=r"(?s)powers/square-check +3 +6.*regrade everything"):
        class_regrade.run(course, homework, out, submitted, 1, Choosing(test="test_small"), unconfined=True)
    assert (course.root / "gradebook.db").read_bytes() == before


def test_nbgraders_own_release_says_which_cells_change_for_recorded_submissions(
    course: Course, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(course.root)
    nbgrading.build_first("hw1", "", [])
    assert capsys.readouterr().err == ""
    worth_six(course)
    nbgrading.build_first("hw1", "", [])
    said = capsys.readouterr().err
    assert "2 submissions of hw1" in said and "powers/square-check  3       6" in said
