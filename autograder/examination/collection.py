"""The hidden tests of a homework, collected once by one pytest session that stays open while notebooks are examined."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from _pytest.config import _prepareconfig

from autograder.course.course import CourseError
from autograder.examination.plugin import Examination, ExaminationPlugin

_ARGUMENTS = (
    *("--assert=plain", "--import-mode=importlib", "--capture=no", "-c", os.devnull),
    # what is not needed costs time at each submission: garbage passes of the last two, 0.6 s
    *(f"-pno:{plugin}" for plugin in ("terminal", "cacheprovider", "faulthandler", "logging", "doctest", "junitxml")),
    *(f"-pno:{plugin}" for plugin in ("pastebin", "nose", "stepwise", "unraisableexception", "threadexception")),
)


class HiddenTests:
    """Tests of several files in one folder, ready to run, in this process and in its forks.

    Collecting costs more than most of the tests themselves, so it is done once. pytest's own command collects, runs and
    ends in one call; here the same steps are taken one by one, and what runs in between is not pytest's business.
    """

    def __init__(self, files: Sequence[Path]) -> None:
        """Collect them. Raises CourseError when a file is no module of tests."""
        self._plugin = ExaminationPlugin()
        folder = files[0].parent
        # without these pytest would look through every folder above
        where = (f"--rootdir={folder}", f"--confcutdir={folder}", *map(str, files))
        with _quietly() as said:
            self._config = _prepareconfig([*_ARGUMENTS, *where], [self._plugin])
            try:
                self._config._do_configure()
                self._session = pytest.Session.from_config(self._config)
                self._config.hook.pytest_sessionstart(session=self._session)
                self._config.hook.pytest_collection(session=self._session)
            except BaseException as error:
                self._config._ensure_unconfigure()
                if isinstance(error, pytest.UsageError):
                    raise CourseError(f"{folder}: pytest cannot run these tests: {error}") from None
                raise
        if self._plugin.broken:
            self.close()
            raise CourseError(f"{folder}: {self._plugin.broken}\n{said.getvalue()}".rstrip())

    def run(self, file: Path, examination: Examination, wanted: Callable[[pytest.Item], bool]) -> None:
        """Run the tests of one file that are wanted; what they found is then in `examination`."""
        with _quietly():
            self._plugin.run(examination, [item for item in self._session.items if item.path == file and wanted(item)])

    def close(self) -> None:
        with _quietly():
            self._config.hook.pytest_sessionfinish(session=self._session, exitstatus=pytest.ExitCode.OK)
            self._config._ensure_unconfigure()
        for name in {item.module.__name__ for item in self._session.items if isinstance(item, pytest.Function)}:
            sys.modules.pop(name, None)  # a notebook of another homework may have its name

    def __enter__(self) -> HiddenTests:
        return self

    def __exit__(self, *why: object) -> None:
        self.close()


@contextlib.contextmanager
def _quietly() -> Iterator[io.StringIO]:
    """What hidden tests and pytest print is for nobody."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        yield said
