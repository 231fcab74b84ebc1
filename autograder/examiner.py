"""The examiner: the warm trusted process that holds hidden tests and references, and forks once for a submission.

`Examiner` is its handle. The messages between the two are trusted on both sides; only `sandbox` and `proxy` face a
student's process.
"""

from __future__ import annotations

import ast
import ctypes
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from autograder.course import CourseError, Homework, TierName, open_course
from autograder.result import Result
from autograder.warm import ENVIRONMENT, begin, settle
from autograder.wire import Channel, WireError, encode, pair

if TYPE_CHECKING:
    from autograder.grade import Bench

_PR_SET_PDEATHSIG = 1
_OWN_TIME = 60.0
"""seconds that grading may take beyond the student's own limits before it is given up as lost"""


class Lost(Exception):
    """The process that graded a submission was lost. That is ours to mend, never a zero."""


class _Grade(msgspec.Struct):
    """Grade what lies in a folder; the descriptor for the answer comes along."""

    student: str
    folder: str
    out: str
    """where to write the results file and the feedback page; '' for nowhere"""
    marked: str
    """where to write the autograded notebooks; '' for nowhere"""


class _Started(msgspec.Struct, tag="started"):
    """The examiner is warm."""


class _Refused(msgspec.Struct, tag="refused"):
    """The examiner cannot start: a mistake in the course's own files, or too little confinement."""

    why: str


class _Graded(msgspec.Struct, tag="graded"):
    result: Result


class _Failed(msgspec.Struct, tag="failed"):
    """There is no result, and that is not the student's doing."""

    why: str


class Examiner:
    """A running examiner for one homework of a course. Start one, grade many, from several threads if wanted."""

    def __init__(self, homework: Homework, floor: TierName, force: TierName | None = None) -> None:
        """It warms up by itself; enter it, or `wait`, before the first submission."""
        self.homework = homework
        self._arguments = (str(homework.root), homework.name, floor, force or "")
        self._lock = threading.Lock()
        self._start()

    def _start(self) -> None:
        ours, theirs = pair()
        environment = {**os.environ, **ENVIRONMENT, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "MPLBACKEND": "agg"}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "autograder.examiner", str(theirs.fileno()), *self._arguments],
            pass_fds=[theirs.fileno()],
            env=environment,
            stdin=subprocess.DEVNULL,
        )
        theirs.close()
        self._channel = Channel(ours)

    def wait(self) -> None:
        """Wait until it is warm. Raises CourseError when the homework's files are wrong or confinement is too weak."""
        try:
            message, _ = self._channel.receive()
        except WireError:
            raise CourseError(f"the examiner of {self.homework.name} did not start; its error is above") from None
        started = msgspec.msgpack.decode(message, type=_Started | _Refused)
        if isinstance(started, _Refused):
            self.close()
            raise CourseError(started.why)

    def grade(self, student: str, folder: Path, out: Path | None = None, marked: Path | None = None) -> Result:
        """The result of what lies in `folder`, written below `out`, autograded notebooks into `marked`. Raises Lost."""
        near, far = pair()
        order = msgspec.msgpack.encode(_Grade(student, str(folder), str(out or ""), str(marked or "")))
        answer = Channel(near)
        try:
            with self._lock:
                if self._process.poll() is not None:
                    self._channel.close()
                    self._start()
                    self.wait()
                self._channel.send(order, fds=(far.fileno(),))
            far.close()
            message, _ = answer.receive(time.monotonic() + _patience(self.homework))
        except (WireError, CourseError) as error:
            raise Lost(f"the process that graded {student}'s {self.homework.name} was lost ({error})") from None
        finally:
            far.close()
            answer.close()
        reply = msgspec.msgpack.decode(message, type=_Graded | _Failed)
        if isinstance(reply, _Failed):
            raise Lost(f"{student}'s {self.homework.name} could not be graded: {reply.why}")
        return reply.result

    def __enter__(self) -> Examiner:
        self.wait()
        return self

    def __exit__(self, *why: object) -> None:
        self.close()

    def close(self) -> None:
        self._channel.close()
        self._process.wait()


def _patience(homework: Homework) -> float:
    """Seconds after which grading a submission is given up."""
    return _OWN_TIME + homework.limits.total_seconds * len(homework.notebooks)


def main(fd: int, root: Path, name: str, floor: TierName, force: TierName | None) -> None:
    """Serve orders that come on descriptor `fd` until it closes."""
    with suppress(OSError):
        os.setsid()
    begin()
    channel = Channel(socket.socket(fileno=fd))
    from autograder.sandbox import Zygote

    zygote = Zygote(root, force, lambda: _libraries(root, name))  # it warms up while this process does
    from autograder.master import AuthorError

    try:
        from autograder.grade import Bench

        course = open_course(root)
        bench = Bench(course, course.homework(name), zygote)
        bench.collected(lambda: _serve(channel, bench, floor))
    except Exception as error:
        if not isinstance(error, CourseError | AuthorError):
            import traceback

            traceback.print_exc()
        with suppress(WireError):  # nobody may be waiting any longer
            channel.send(encode(_Refused(str(error) or type(error).__name__)))
    zygote.close()


def _serve(channel: Channel, bench: Bench, floor: TierName) -> None:
    """Warm up, say so, and fork for every order. Raises CourseError when submissions are confined too weakly."""
    from autograder import report

    bench.warm()
    report.warm()
    settle()
    _check_confinement(bench, floor)  # waits for the zygote, which has its own to settle
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    parent = os.getpid()
    with suppress(WireError):  # nobody may be waiting any longer; then there are no orders either
        channel.send(encode(_Started()))
    while True:
        try:
            message, fds = channel.receive()
        except WireError:
            return
        bench.zygote.revive()
        if os.fork() == 0:
            try:
                ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
                if os.getppid() == parent:
                    _answer(Channel(socket.socket(fileno=fds[0])), bench, msgspec.msgpack.decode(message, type=_Grade))
            finally:
                os._exit(0)
        for number in fds:
            os.close(number)


def _check_confinement(bench: Bench, floor: TierName) -> None:
    from autograder.confine.jail import Tier

    zygote = bench.zygote
    if not Tier(zygote.tier).at_least(Tier(floor)):
        raise CourseError(
            f"this machine confines submissions by tier {zygote.tier}, below the course's floor {floor}: "
            "`autograder doctor` says what to install or change; --allow-unconfined grades all the same"
        )
    if zygote.ready.shows and floor != "none":
        raise CourseError(
            f"{bench.course.root}: submissions could read this folder, because the virtual environment lies around "
            "it: make the environment in a folder of its own (.venv)"
        )


def _answer(channel: Channel, bench: Bench, order: _Grade) -> None:
    """In a fork: grade what is asked for and send the result, or why there is none."""
    from autograder import report
    from autograder.grade import grade
    from autograder.sandbox import SandboxLost

    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.alarm(int(_patience(bench.homework)))  # nobody waits for the answer any longer: end
    try:
        marked = Path(order.marked) if order.marked else None
        result = grade(bench, order.student, Path(order.folder), marked)
        if order.out:
            report.write(result, Path(order.out))
        channel.send(encode(_Graded(result)))
    except SandboxLost as lost:
        channel.send(encode(_Failed(str(lost))))
    except BaseException as error:
        import traceback

        traceback.print_exc()
        channel.send(encode(_Failed(f"{type(error).__name__}: {str(error)[:500]}")))


def _libraries(root: Path, name: str) -> set[str]:
    """The modules that the released notebooks of homework `name` import when they run, as far as these can be seen."""
    from autograder.repair import released

    found: set[str] = set()
    with suppress(CourseError, SyntaxError):  # whatever is wrong is told when the bench is laid out
        homework = open_course(root).homework(name)
        for spec in homework.notebooks:
            for cell in released(homework.release(spec.name), name, spec.name).cells:
                if cell.kind == "code" and not cell.demo:
                    if "torch.optim" in cell.source:
                        found.add("torch._dynamo")  # which the first optimizer imports, for a second
                    for statement in ast.parse(cell.source).body:
                        if isinstance(statement, ast.Import):
                            found.update(alias.name for alias in statement.names)
                        elif isinstance(statement, ast.ImportFrom) and statement.module:
                            found.add(statement.module)
    return found


if __name__ == "__main__":
    _, _fd, _root, _name, _floor, _force = sys.argv
    main(int(_fd), Path(_root), _name, _floor, _force or None)  # type: ignore[arg-type]
    sys.stderr.flush()
    os._exit(0)  # taking so large a process apart in order takes half a second
