"""What the commands say where a call is wrong: PLACE: WHAT IS WRONG: WAY OUT, exit code 2, and never a traceback."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner, Result

from autograder import atomic_file
from autograder.cli import GROUPS, app
from autograder.cli.options import answering
from autograder.course import starting
from autograder.course.course import CourseError, open_course, refused
from autograder.grading import server_process
from autograder.grading.class_run import outcome_of
from autograder.grading.orders import UNKNOWN, GradeOrder
from autograder.grading.server import Lost
from autograder.grading.submissions import Submission

VERBS = (
    "add|build|change|check|choose|copy|correct|export|fill|give|go|grade|install|leave|lower|make|name|put|rename|"
    "restore|run|say|set|unpack|use|write"
)
"""what a way out begins with"""
FORM = re.compile(rf"\S[^\n]*?: \S[^\n]*: (?:{VERBS}) \S")
"""a place, what is wrong, and a way out"""


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new course that is not built, without a roster, submissions and results."""
    root = tmp_path_factory.mktemp("messages") / "course"
    starting.new_course(root)
    return root


def said(folder: Path, monkeypatch: pytest.MonkeyPatch, arguments: Sequence[str]) -> Result:
    monkeypatch.chdir(folder)
    return CliRunner().invoke(app, list(arguments))


WRONG = [
    ("build hw9", "course.toml"), ("build --course nowhere", "nowhere/course.toml"),
    ("build --course course.toml", "course.toml/course.toml"), ("build --out there", "--out"),
    ("build --check --variant-for list.csv", "--check"), ("build --variant-for nowhere.csv", "nowhere.csv"),
    ("audit hw9", "course.toml"), ("audit hw1/nothing", "homework.toml"),
    ("publish .", "course"), ("publish course.toml", "course.toml"),
    ("new hw1", "hw1"), ("new .", "course"), ("demo --keep .", "."),
    ("collect hw9 .", "course.toml"), ("collect hw1 nowhere.zip", "kmeans.ipynb"), ("collect hw1 hw1", "hw1"),
    ("collect hw1 course.toml --json", "kmeans.ipynb"), ("collect hw1 . --pseudonyms", "roster.csv"),
    ("roster import nowhere.csv", "nowhere.csv"), ("roster import .", "."), ("roster import course.toml", "line 1"),
    ("roster pseudonyms", "roster.csv"),
    ("grade hw9 --json", "course.toml"), ("grade HW1", "course.toml"), ("grade hw1", "submitted"),
    ("grade hw1 --submitted course.toml", "course.toml"), ("grade hw1 --junit nowhere/x.xml", "nowhere"),
    ("grade hw1 --junit .", "."), ("grade hw1 --summary hw1", "hw1"), ("grade hw1 --scheduler here", "--scheduler"),
    ("grade hw1 --scheduler ftp://here:1", "--scheduler"), ("grade hw1 --tls-ca course.toml", "--tls-ca"),
    ("grade hw1 --scheduler tls://here:1 --tls-ca nowhere", "--tls-ca"),
    ("grade hw1 --recorded points --student ada", "--recorded"),
    ("watch hw9", "course.toml"), ("record hw9", "course.toml"), ("record hw1", "results"),
    ("marks hw9", "course.toml"), ("marks hw1 --json", "results"),
    ("export hw9", "course.toml"), ("export hw1", "results"), ("export hw1 --column x", "--column"),
    ("export hw1 --push here", "--push"), ("export hw1 --to gradescope-autograder --partial", "--to"),
    ("deliver hw9 --to there", "course.toml"), ("deliver hw1 --to there", "results"),
    ("explain hw9 ada", "course.toml"), ("explain hw1 ada", "results/ada/hw1.json"),
    ("regrade hw9 --json", "course.toml"), ("regrade hw1", "results"),
    ("clusters hw9", "course.toml"), ("clusters hw1 --notebook x", "homework.toml"), ("clusters hw1", "results"),
    ("report hw9 --json", "course.toml"), ("report hw1 --json", "results"),
    ("similar hw9 --json", "course.toml"), ("similar hw1", "kmeans.ipynb"),
    ("similar hw1 --notebook x", "homework.toml"),
    ("viva hw9", "course.toml"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "place"), WRONG, ids=[call for call, _ in WRONG])
def test_a_wrong_call_names_the_place_and_a_way_out(
    fresh: Path, monkeypatch: pytest.MonkeyPatch, call: str, place: str
) -> None:
    done = said(fresh, monkeypatch, call.split())
    assert done.exit_code == 2, (done.output, done.exception)
    assert isinstance(done.exception, SystemExit) and "Traceback" not in done.output
    assert FORM.match(done.stderr), done.stderr
    assert place in done.stderr.partition(": ")[0]
    assert done.stdout == ""


UNREADABLE = [
    "grade", "grade hw1 --workers none", "grade hw1 --recorded perhaps", "audit hw1 --draws 0", "collect hw1",
    "export hw1 --to paper", "deliver hw1", "explain hw1", "clusters hw1 --least 0", "report hw1 --least 1",
    "similar hw1 --threshold -1", "viva hw1 --format pdf", "doctor now", "demo --workers 0", "publish", "new",
    "regrade hw1 --typo", "record", "marks", "watch", "roster import", "build --typo",
]  # fmt: skip
"""calls that the command line itself refuses"""


@pytest.mark.parametrize("call", UNREADABLE)
def test_a_call_that_cannot_be_read_points_to_the_help(fresh: Path, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    done = said(fresh, monkeypatch, call.split())
    assert done.exit_code == 2 and isinstance(done.exception, SystemExit) and done.stdout == ""
    assert re.search(r"Try '\w+ \w[\w ]* --help' for help", done.stderr), done.stderr


def test_every_command_has_wrong_calls() -> None:
    names = {getattr(command, "__name__", "roster") for commands in GROUPS.values() for command in commands}
    tried = {call.split()[0] for call, _ in WRONG} | {call.split()[0] for call in UNREADABLE}
    assert names - tried == set()


@pytest.mark.parametrize(("typo", "meant"), [("graed", "grade"), ("bild", "build"), ("roster imprt", "import")])
def test_a_mistyped_command_is_met_with_the_nearest(
    fresh: Path, monkeypatch: pytest.MonkeyPatch, typo: str, meant: str
) -> None:
    done = said(fresh, monkeypatch, typo.split())
    assert done.exit_code == 2 and f"Did you mean '{meant}'" in done.stderr


def test_outside_a_course_every_command_says_where_to_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for call in (
        "build",
        "audit",
        "publish x",
        "grade hw1",
        "marks hw1",
        "roster pseudonyms",
        "export hw1",
        "viva hw1",
    ):
        done = said(tmp_path, monkeypatch, call.split())
        assert done.exit_code == 2 and FORM.match(done.stderr) and "--course" in done.stderr


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("id = 'a'\ntitle = \n", "course.toml:2: "),
        ("id = 'a'\nid = 'b'\n", "course.toml:2: "),
        ("id = 5\n", "course.toml: "),
        ("\x00\x01", "course.toml:1: "),
    ],
)
def test_a_damaged_course_toml_is_named_with_its_line(tmp_path: Path, text: str, place: str) -> None:
    (tmp_path / "course.toml").write_text(text)
    with pytest.raises(CourseError) as error:
        open_course(tmp_path)
    assert place in str(error.value) and FORM.match(str(error.value))


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES, errno.EISDIR, errno.ENOENT, errno.EIO])
def test_what_the_system_refuses_ends_as_a_message(capsys: pytest.CaptureFixture[str], number: int) -> None:
    import typer

    def command() -> None:
        raise OSError(number, os.strerror(number), "results/hw1.csv")

    with pytest.raises(typer.Exit) as stopped:
        answering(command)()
    told = capsys.readouterr()
    assert stopped.value.exit_code == 2 and told.out == ""
    assert told.err.startswith("results/hw1.csv: ") and FORM.match(told.err)


def test_ctrl_c_says_how_to_go_on_and_exits_with_130(capsys: pytest.CaptureFixture[str]) -> None:
    import typer

    def regrade() -> None:
        raise KeyboardInterrupt

    with pytest.raises(typer.Exit) as stopped:
        answering(regrade)()
    assert stopped.value.exit_code == 130 and FORM.match(capsys.readouterr().err)


def test_an_error_while_writing_names_the_file_and_not_the_temporary_one(tmp_path: Path) -> None:
    with pytest.raises(OSError) as error:
        atomic_file.replace(tmp_path / "nowhere" / "hw1.csv", b"")
    assert error.value.filename == str(tmp_path / "nowhere" / "hw1.csv")
    assert FORM.match(str(refused(error.value.filename, "this file cannot be written", error.value)))


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "/out/ada/hw1.json"), True),
        (OSError(errno.EROFS, "Read-only file system", "/marked/ada/hw1/mlp.ipynb"), True),
        (OSError(errno.ENOSPC, "No space left on device", "/tmp/elsewhere"), False),
        (OSError(errno.EIO, "Input/output error", "/out/ada/hw1.json"), False),
        (OSError(errno.ENOSPC, "No space left on device"), False),
        (ValueError("full"), False),
    ],
)
def test_a_result_without_room_is_one_sentence(error: Exception, said: bool) -> None:
    order = GradeOrder("ada", b"/submitted/ada", b"/out", b"/marked")
    told = server_process._unwritten(error, order)
    assert bool(told) is said
    assert not said or ("cannot be written" in told and "run the same command again" in told)


def test_where_the_next_try_would_end_in_the_same_way_there_is_none(tmp_path: Path) -> None:
    asked: list[str] = []

    class Server:
        homework = SimpleNamespace(name="hw1")

        def grade(self, student: str, *more: object) -> None:
            asked.append(student)
            raise Lost("no room", final=student == "ada")

    for student, times in (("ada", 1), ("ben", 4)):
        outcome = outcome_of(Server(), Submission(student, tmp_path), tmp_path, None, lambda _: UNKNOWN)  # type: ignore[arg-type]
        assert (outcome.lost, asked.count(student)) == ("no room", times)
