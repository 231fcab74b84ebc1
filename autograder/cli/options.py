"""What all commands share: the course they are for, and how they fail.

Exit code 0: done; 1: findings; 2: usage; 130: stopped by Ctrl-C.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Annotated, NoReturn, ParamSpec

import typer

from autograder.course.course import Course, CourseError, find_course, open_course, refused
from autograder.results.registration import Recorded
from autograder.warming import spare

_P = ParamSpec("_P")
HomeworkArgument = Annotated[str, typer.Argument(help="The homework's name, such as hw1.")]
SubmittedOption = Annotated[
    Path | None, typer.Option(help="The folder of submissions, <student>/<homework>/; by default submitted/.")
]
OutOption = Annotated[Path | None, typer.Option(help="Results and feedback pages; by default results/.")]
CourseOption = Annotated[
    Path | None,
    typer.Option("--course", help="The course's folder; by default this folder or the nearest above that is one."),
]
RecordedOption = Annotated[
    Recorded,
    typer.Option(
        help="When cells or points have changed since submissions were recorded: refuse; let the gradebook take over "
        "other points; update it to other points and cells; or keep it as it is, in any case."
    ),
]
FINDINGS, USAGE, INTERRUPTED = 1, 2, 130


def fail(error: object, code: int = USAGE) -> NoReturn:
    """Print what is wrong, and exit."""
    typer.echo(str(error), err=True)
    raise typer.Exit(code)


def answering(command: Callable[_P, None]) -> Callable[_P, None]:
    """The command, which ends with one message where a person can help, and never with a traceback."""

    @wraps(command)
    def answered(*arguments: _P.args, **options: _P.kwargs) -> None:
        spare()  # most commands read notebooks
        try:
            command(*arguments, **options)
        except CourseError as error:
            fail(error)
        except KeyboardInterrupt:
            name = command.__name__.rstrip("_")
            fail(f"autograder {name}: stopped by Ctrl-C: run it again to do the rest", INTERRUPTED)
        except OSError as error:
            if error.errno == errno.EPIPE:  # who reads the output has seen enough
                raise
            fail(refused(error.filename or f"autograder {command.__name__}", "this cannot be used", error))

    return answered


def opened_course(folder: Path | None) -> Course:
    """The course in `folder`, or the one that the working folder lies in."""
    return open_course(folder) if folder is not None else find_course(Path.cwd())
