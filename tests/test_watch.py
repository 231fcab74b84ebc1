"""What arrives in submitted/ is graded at once, when it is complete, by a grading server that stays warm."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from autograder.course import build
from autograder.course.course import Course, open_course
from autograder.grading import class_run
from autograder.grading.class_run import Outcome
from autograder.grading.server import GradingServer
from autograder.grading.submissions import Submission
from autograder.grading.watch import Watch
from autograder.results import record
from tests.conftest import write_files
from tests.test_recording import FILES

pytestmark = [
    pytest.mark.slow(seconds=15),
    pytest.mark.filterwarnings("ignore:Object of type <Submitted:sqlalchemy.exc.SAWarning"),
]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("built")
    write_files(root, FILES)
    build.build(open_course(root))
    return root


@pytest.fixture
def course(built: Path, tmp_path: Path) -> Course:
    return open_course(Path(shutil.copytree(built, tmp_path / "course")))


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def watching(course: Course, told: list[str]) -> Iterator[Watch]:
    places = course.root / "submitted", course.root / "results"
    with Watch(course, "hw1", *places, workers=2, unconfined=True, tell=told.append) as watch:
        yield watch


def hand_in(course: Course, student: str, answer: str) -> Path:
    folder = course.root / "submitted" / student / "hw1"
    folder.mkdir(parents=True, exist_ok=True)
    text = (course.root / "release/hw1/powers.ipynb").read_text(encoding="utf-8")
    path = folder / "powers.ipynb"
    path.write_text(text.replace("raise NotImplementedError", f"return {answer}"), encoding="utf-8")
    return path


def names(watching: Watch) -> list[str]:
    """Who is graded at this look and those after it, until nothing is being graded any more."""
    outcomes = watching.look()
    while watching.busy:
        watching.rest()
        outcomes += watching.look()
    return [one.submission.student for one in outcomes if not one.stood]


def score(course: Course, student: str) -> float:
    return record.read(course.root / "results" / student / "hw1.json").score


def test_what_arrives_is_graded_once_by_one_server(course: Course, watching: Watch) -> None:
    assert watching.look() == ()
    hand_in(course, "ada", "x * x")
    assert names(watching) == []
    assert names(watching) == ["ada"]
    desk = watching._desk
    assert names(watching) == []
    hand_in(course, "ben", "x")
    hand_in(course, "cleo", "x * x")
    assert names(watching) == []
    assert sorted(names(watching)) == ["ben", "cleo"]
    assert watching._desk is desk
    assert [score(course, name) for name in ("ada", "ben", "cleo")] == [3, 0, 3]
    assert (course.root / "results" / "ben" / "hw1.html").is_file()
    assert "cleo" in (course.root / "results" / "hw1.csv").read_text(encoding="utf-8")


def test_what_is_still_being_written_waits(course: Course, watching: Watch) -> None:
    path = hand_in(course, "ada", "x * x")
    whole = path.read_bytes()
    for part in (100, len(whole) // 2, len(whole)):
        path.write_bytes(whole[:part])
        os.utime(path, ns=(part, part))
        assert names(watching) == []
    assert names(watching) == ["ada"]


def test_one_that_takes_long_holds_nobody_up(course: Course, watching: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    let_go, graded = threading.Event(), class_run.outcome_of

    def outcome_of(server: GradingServer, one: Submission, *more: Any) -> Outcome:
        assert one.student != "slow" or let_go.wait(60)
        return graded(server, one, *more)

    monkeypatch.setattr(class_run, "outcome_of", outcome_of)
    hand_in(course, "slow", "x * x")
    watching.look()
    assert watching.look() == () and watching.busy
    hand_in(course, "ada", "x * x")
    watching.look()
    seen: list[str] = []
    while "ada" not in seen:
        watching.rest()
        seen += [one.submission.student for one in watching.look()]
    table = (course.root / "results" / "hw1.csv").read_text(encoding="utf-8")
    assert "ada" in table and "slow" not in table and (course.root / "results" / "ada" / "hw1.html").is_file()
    let_go.set()
    assert (names(watching), score(course, "slow")) == (["slow"], 3)


def test_a_rest_ends_when_an_outcome_is_there(course: Course, watching: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("autograder.grading.watch._SHORTEST", 600.0)
    monkeypatch.setattr("autograder.grading.watch._LONGEST", 600.0)
    hand_in(course, "ada", "x * x")
    watching.look()
    assert watching.look() == () and watching.busy
    watching.rest()
    assert [one.submission.student for one in watching.look()] == ["ada"]


def test_what_is_still_graded_when_the_course_changes_is_graded_anew(
    course: Course, watching: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[GradingServer] = []
    graded = class_run.outcome_of

    def outcome_of(server: GradingServer, one: Submission, *more: Any) -> Outcome:
        begun.append(server)
        if len(begun) == 1:
            server._process.wait()  # until it is ended
        return graded(server, one, *more)

    monkeypatch.setattr(class_run, "outcome_of", outcome_of)
    hand_in(course, "ada", "x * x")
    watching.look()
    assert watching.look() == () and watching.busy
    path = course.root / "hw1/hidden/test_powers.py"
    path.write_text(path.read_text(encoding="utf-8") + "\n# a remark\n", encoding="utf-8")
    assert names(watching) == ["ada"] and score(course, "ada") == 3
    assert len(begun) == 2 and begun[0] is not begun[1] and begun[0]._process.poll() is not None


def test_a_new_attempt_is_graded_again(course: Course, watching: Watch) -> None:
    hand_in(course, "ada", "x")
    watching.look()
    assert names(watching) == ["ada"]
    hand_in(course, "ada", "x ** 2")
    watching.look()
    assert (names(watching), score(course, "ada")) == (["ada"], 3)


def test_hidden_tests_that_change_are_loaded_anew(course: Course, watching: Watch) -> None:
    hand_in(course, "ada", "x * x")
    assert (names(watching), names(watching)) == ([], ["ada"])
    path = course.root / "hw1/hidden/test_powers.py"
    text = path.read_text(encoding="utf-8")
    path.write_text("def broken(:\n", encoding="utf-8")
    hand_in(course, "ben", "x * x")
    watching.look()
    assert names(watching) == []
    path.write_text(text, encoding="utf-8")
    assert (names(watching), score(course, "ben")) == (["ben"], 3)


def test_an_error_of_the_course_is_told_once(course: Course, watching: Watch, told: list[str]) -> None:
    (course.root / "hw1/powers.py").write_text("# %% nonsense=\n", encoding="utf-8")
    hand_in(course, "ada", "x * x")
    for _ in range(4):
        watching.look()
    assert len(told) == 1 and "powers.py" in told[0]


def test_an_outcome_that_cannot_be_taken_keeps_nobody_busy(
    course: Course, watching: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    hand_in(course, "ada", "x * x")
    watching.look()
    watching.look()
    assert watching._desk is not None
    while not watching._desk.done():
        watching.rest()
    slept: list[float] = []
    monkeypatch.setattr("autograder.grading.watch.time.sleep", slept.append)
    watching.rest()
    assert len(slept) == 1 and slept[0] > 0
