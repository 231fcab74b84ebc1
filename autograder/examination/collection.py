"""The hidden tests of a homework, collected once in a pytest session that stays open while notebooks are tested."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from _pytest.config import _prepareconfig
from _pytest.unittest import TestCaseFunction

from autograder.course.course import CourseError
from autograder.examination.plugin import Examination, ExaminationPlugin, earns_of

_ARGUMENTS = (
    *("--assert=plain", "--import-mode=importlib", "--capture=no", "-c", os.devnull),
    # unneeded plugins take time for each submission; the last two collect garbage, which takes 0.6 s
    *(f"-pno:{plugin}" for plugin in ("terminal", "cacheprovider", "faulthandler", "logging", "doctest", "junitxml")),
    *(f"-pno:{plugin}" for plugin in ("pastebin", "nose", "stepwise", "unraisableexception", "threadexception")),
)


class HiddenTests:
    """The collected tests of several files in one folder, ready to run in this process and in its forks.

    Collecting takes longer than most tests, so it is done once. pytest's own command collects, runs and ends in one
    call. This class takes these steps one by one, so that other code can run between them.
    """

    def __init__(self, files: Sequence[Path]) -> None:
        """Collect the tests. Raises CourseError if pytest cannot collect a file."""
        self._plugin = ExaminationPlugin()
        folder = files[0].parent
        # without these options, pytest would search all parent folders
        where = (f"--rootdir={folder}", f"--confcutdir={folder}", *map(str, files))
        with _captured() as printed, _without_the_callers_options():
            self._config = _prepareconfig([*_ARGUMENTS, *where], [self._plugin, self._plugin.shared()])
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
            raise CourseError(f"{folder}: {self._plugin.broken}\n{printed.getvalue()}".rstrip())
        for item in self._session.items:
            if isinstance(item, TestCaseFunction):  # it keeps its errors to itself
                self.close()
                raise CourseError(
                    f"{folder}: {item.nodeid}: write hidden tests as functions, not as a unittest.TestCase"
                )

    def run(self, file: Path, examination: Examination, wanted: Callable[[pytest.Item], bool]) -> None:
        """Run the tests of `file` for which `wanted` is true. The results go into `examination`."""
        with _captured():
            self._plugin.run(examination, [item for item in self.of(file) if wanted(item)])

    def of(self, file: Path) -> list[pytest.Function]:
        """The tests of one file, in its order."""
        return [item for item in self._session.items if item.path == file and isinstance(item, pytest.Function)]

    def training(self, file: Path) -> frozenset[str]:
        """The names of the tests of one file that take a training run."""
        return frozenset(item.name for item in self._session.items if item.path == file and earns_of(item).trains)

    def trained(self, file: Path) -> frozenset[str]:
        """The grade cells of these tests."""
        return frozenset(earns_of(item).cell for item in self._session.items if item.name in self.training(file))

    def rehearsed(self, file: Path) -> frozenset[str]:
        """The grade cells whose visible checks only do what a test does again."""
        items = (item for item in self._session.items if item.path == file)
        return frozenset(earns_of(item).cell for item in items if earns_of(item).rehearsed)

    def close(self) -> None:
        with _captured():
            self._config.hook.pytest_sessionfinish(session=self._session, exitstatus=pytest.ExitCode.OK)
            self._config._ensure_unconfigure()
        for name in {item.module.__name__ for item in self._session.items if isinstance(item, pytest.Function)}:
            sys.modules.pop(name, None)  # another homework may have a notebook of the same name

    def __enter__(self) -> HiddenTests:
        return self

    def __exit__(self, *why: object) -> None:
        self.close()


@contextlib.contextmanager
def _without_the_callers_options() -> Iterator[None]:
    """Options for all of the caller's pytest runs (`PYTEST_ADDOPTS`) are not meant for hidden tests."""
    options = os.environ.pop("PYTEST_ADDOPTS", None)
    try:
        yield
    finally:
        if options is not None:
            os.environ["PYTEST_ADDOPTS"] = options


@contextlib.contextmanager
def _captured() -> Iterator[io.StringIO]:
    """In this context, capture the output of hidden tests and pytest instead of printing it."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        yield printed
