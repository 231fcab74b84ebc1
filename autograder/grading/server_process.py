"""The grading server's process: loads hidden tests and references once, and forks for each submission.

It is trusted. It communicates with a student's process only through `sandbox`.
"""

from __future__ import annotations

import errno
import os
import signal
import socket
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from autograder import child_process
from autograder.course.course import CourseError, TierName, open_course
from autograder.grading.libraries import check_packages, libraries_of
from autograder.grading.orders import (
    MOST_BYTES,
    Failed,
    Graded,
    GradeOrder,
    Place,
    Refused,
    Regraded,
    RegradeOrder,
    Started,
    patience,
)
from autograder.sandbox.wire.channel import Channel
from autograder.sandbox.wire.messages import encode
from autograder.sandbox.wire.values import sound
from autograder.sandbox.wire.wire_error import WireError
from autograder.sandbox.zygote_client import SandboxLost, Zygote
from autograder.warming import begin, settle

_NO_WRITING = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM}

if TYPE_CHECKING:  # imports pytest, torch and more: `main` does that while the zygote loads its own libraries
    from autograder.grading.context import GradingContext
    from autograder.results.result import Result


def main(fd: int, parent: int, root: Path, name: str, floor: TierName, force: TierName | None, many: bool) -> None:
    """Serve orders from file descriptor `fd` until it closes or the process `parent` ends."""
    child_process.end_with_parent(parent)
    with suppress(OSError):
        os.setsid()
    begin()
    channel = Channel(socket.socket(fileno=fd), MOST_BYTES)
    # the zygote loads its libraries while this process loads its own
    zygote = Zygote(root, force, lambda: libraries_of(root, name))
    try:
        from autograder.grading.context import GradingContext

        course = open_course(root)
        homework = course.homework(name)
        check_packages(homework)
        with GradingContext(course, homework, zygote) as context:
            _serve(channel, context, floor, many)
    except Exception as error:
        killed = isinstance(error, SandboxLost)
        if not isinstance(error, CourseError) and not killed:
            traceback.print_exc()
        with suppress(WireError):  # the client may have ended
            channel.send(encode(Refused(str(error) or type(error).__name__, killed)))
    zygote.close()


def _serve(channel: Channel, context: GradingContext, floor: TierName, many: bool) -> None:
    """Load everything, report that, and fork for every order. Raises CourseError if the confinement is too weak."""
    from autograder.grading import grade  # noqa: F401 (here, because the fork for each order would import it again)
    from autograder.results import page

    for test in context.warm() if many else ():
        why = "fails with the course's own answers, so it may refuse right ones: run `autograder audit`"
        print(f"warning: {test}: this hidden test {why}", file=sys.stderr, flush=True)
    page.warm()
    settle()
    context.check_confinement(floor)  # waits until the zygote is ready
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    parent = os.getpid()
    with suppress(WireError):  # the client may have ended; then no orders come either
        channel.send(encode(Started()))
    while True:
        try:
            message, fds = channel.receive()
        except WireError:
            return
        context.zygote.revive()
        order = msgspec.msgpack.decode(message, type=GradeOrder | RegradeOrder)
        _prepare(context, order)
        if os.fork() == 0:
            try:
                child_process.end_with_parent(parent)
                _answer(Channel(socket.socket(fileno=fds[0]), MOST_BYTES), context, order)
            finally:
                os._exit(0)
        for number in fds:
            os.close(number)


def _prepare(context: GradingContext, order: GradeOrder | RegradeOrder) -> None:
    """Before the fork: what students with the same parameters share is made once."""
    students = [order.student] if isinstance(order, GradeOrder) else [student for student, _, _ in order.students]
    for student in students:
        with suppress(Exception):  # whatever it is, the fork meets it again and tells it
            context.of(student)


def _answer(channel: Channel, context: GradingContext, order: GradeOrder | RegradeOrder) -> None:
    """In a fork: carry out an order and send what came out, or the reason why nothing did."""
    from autograder.examination.budget import limit_memory, limit_time

    def announce(notebook: str, test: str) -> None:
        channel.send(encode(Place(notebook, test)))

    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    try:
        limit_memory()
        match order:
            case GradeOrder():
                limit_time()
                channel.send(encode(Graded(_graded(context, order, announce))))
            case RegradeOrder():
                for regraded in _regraded(context, order, announce):
                    channel.send(encode(regraded))
    except SandboxLost as lost:
        channel.send(encode(Failed(str(lost), ours=True)))
    except CourseError as error:
        channel.send(encode(Failed(sound(str(error)), ours=False)))
    except BaseException as error:
        if said := _unwritten(error, order):
            channel.send(encode(Failed(said, ours=True, final=True)))
            return
        traceback.print_exc()
        why = f"{type(error).__name__}: {sound(str(error)[:500])}"
        channel.send(encode(Failed(why, ours=isinstance(error, OSError))))


def _unwritten(error: BaseException, order: GradeOrder | RegradeOrder) -> str:
    """What to do if a result could not be written because there is no room for it, or it is not allowed; else ''."""
    if not isinstance(error, OSError) or error.errno not in _NO_WRITING or not isinstance(error.filename, str):
        return ""
    places = [os.fsdecode(place) for place in (order.out, order.marked) if place]
    if not any(Path(error.filename).is_relative_to(place) for place in places):
        return ""
    why = f"{error.filename} cannot be written ({error.strerror})"
    return f"{sound(why)}: make room or allow it, and run the same command again"


def _graded(context: GradingContext, order: GradeOrder, announce: Callable[[str, str], None]) -> Result:
    from autograder.grading.grade import grade
    from autograder.results import record

    signal.alarm(int(patience(context.homework)))  # ends this process when the client no longer waits
    graded = grade(context, order, announce)
    if order.out:
        record.write(graded.result, Path(os.fsdecode(order.out)), graded.transcript, order.about.name)
    return graded.result


def _regraded(context: GradingContext, order: RegradeOrder, announce: Callable[[str, str], None]) -> Iterator[Regraded]:
    from autograder.examination.budget import limit_time
    from autograder.grading import regrade

    for student, folder, about in order.students:
        limit_time()
        signal.alarm(int(patience(context.homework)))
        place = regrade.Place(
            student,
            Path(os.fsdecode(order.out)),
            Path(os.fsdecode(folder)) if folder else None,
            Path(os.fsdecode(order.marked)) / student / context.homework.name if order.marked else None,
            about,
        )
        yield regrade.regrade(context, place, order.choosing, announce)
        context.forget()


if __name__ == "__main__":
    _, _fd, _parent, _root, _name, _floor, _force, _count = sys.argv
    main(int(_fd), int(_parent), Path(_root), _name, _floor, _force or None, _count == "many")  # type: ignore[arg-type]
    sys.stderr.flush()
    os._exit(0)  # a normal exit of so large a process takes half a second
