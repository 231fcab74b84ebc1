"""nbgrader's autograde command by this course's grading; nbgrader_config.py puts these parts in their places.

nbgrader reads a submission twice: first it cleans the submitted notebook into autograded/, then it executes and marks
that copy. Here the exporter repairs what is read the first time, and `Examine` takes the place of the execution.
"""

from __future__ import annotations

import io
import json
import weakref
from pathlib import Path
from typing import Any, ClassVar

import bleach  # type: ignore[import-untyped]
from nbconvert.exporters import NotebookExporter
from nbgrader.api import Gradebook
from nbgrader.converters.base import NbGraderException
from nbgrader.preprocessors import NbGraderPreprocessor
from traitlets import Bool

from autograder.course import build
from autograder.course.course import CourseError, Homework, open_course
from autograder.course.parsing import read_master
from autograder.course.release import released
from autograder.grading.server import GradingServer
from autograder.results import autograded, gradebook
from autograder.results.result import Result
from autograder.submission import Missing, Unreadable, find, read, repair

# what rendered markdown consists of
_TAGS = {
    *("a", "abbr", "b", "blockquote", "br", "code", "dd", "del", "details", "div", "dl", "dt", "em", "hr", "i", "img"),
    *("li", "ol", "p", "pre", "s", "span", "strong", "sub", "summary", "sup", "u", "ul"),
    *("table", "tbody", "td", "th", "thead", "tr"),
    *(f"h{level}" for level in range(1, 7)),
}


class SubmissionExporter(NotebookExporter):
    """Reads a submitted notebook repaired, any other as it is; keeps the examiner of one `nbgrader autograde`."""

    parent: Any

    allow_unconfined = Bool(
        False, help="Grade even where nothing confines the student's code, as `autograder grade --allow-unconfined`."
    ).tag(config=True)

    # Formgrader makes an exporter for every click, in a process that lives long: one examiner at a time is enough.
    _close_examiner: ClassVar[weakref.finalize[Any, Any] | None] = None

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)  # type: ignore[no-untyped-call]
        self._examiner: GradingServer | None = None
        self._refused: CourseError | None = None
        self._last: Result | None = None
        try:
            self.homework = self._open()
        except CourseError as error:
            self.log.error("%s", error)
            raise NbGraderException(str(error)) from None

    def from_filename(self, filename: str, resources: dict[str, Any] | None = None, **kwargs: Any) -> Any:
        """The notebook as nbgrader wants it, whatever state it was handed in."""
        about = (resources or {}).get("nbgrader", {})
        if not about or Path(filename).parent != self._folder(about["student"]):
            return super().from_filename(filename, resources, **kwargs)
        text = json.dumps(readable(self.homework, about["notebook"], self._folder(about["student"])))
        return self.from_file(io.StringIO(text), resources, **kwargs)

    def result(self, student: str) -> Result:
        """The student's graded homework: all its notebooks, so that each is looked at once.

        Raises
        ------
        CourseError
            When the examiner cannot start.
        Lost
            When this grading was lost; nbgrader then names the student as failed, and goes on with the next.
        """
        if self._last is None or self._last.student != student:
            examiner = self._warm()
            try:
                self._last = examiner.grade(student, self._folder(student))
            except Exception:
                self._examiner = None  # the next student's starts afresh
                raise
        return self._last

    def _open(self) -> Homework:
        directory = self.parent.coursedir
        course = open_course(Path(directory.root))
        homework = course.homework(directory.assignment_id)
        self._floor = "none" if self.allow_unconfined else course.floor
        with Gradebook(directory.db_url, directory.course_id) as book:
            if not gradebook.is_registered(book, homework):
                raise CourseError(
                    f"{directory.db_url}: {homework.name} is not registered as it is released now: "
                    f"run `nbgrader generate_assignment {homework.name} --force`"
                )
        return homework

    def _folder(self, student: str) -> Path:
        directory = self.parent.coursedir
        return Path(directory.format_path(directory.submitted_directory, student, directory.assignment_id))

    def _warm(self) -> GradingServer:
        if self._refused is not None:
            raise self._refused
        if self._examiner is None:
            if SubmissionExporter._close_examiner is not None:
                SubmissionExporter._close_examiner()
            examiner = GradingServer(self.homework, self._floor)
            try:
                examiner.wait()
            except CourseError as error:
                self._refused = error
                raise
            self._examiner = examiner
            SubmissionExporter._close_examiner = weakref.finalize(self, examiner.close)
        return self._examiner


class Examine(NbGraderPreprocessor):  # type: ignore[misc]
    """Grades the submission in the sandbox, and writes its points and outputs where nbgrader looks for them."""

    def preprocess(self, notebook: Any, resources: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        about = resources["nbgrader"]
        result = self.parent.result(about["student"])
        [found] = [book for book in result.notebooks if book.notebook == about["notebook"]]
        autograded.show(found, notebook, read_master(self.parent.homework, about["notebook"]))
        return notebook, resources


class HideSchemes(NbGraderPreprocessor):  # type: ignore[misc]
    """Leaves mark schemes out of nbgrader's feedback pages: they are for the person who marks."""

    def preprocess(self, notebook: Any, resources: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        notebook.cells = [
            cell for cell in notebook.cells if autograded.SCHEME_TAG not in cell.get("metadata", {}).get("tags", [])
        ]
        return notebook, resources


def name_all(assignment: str, student: str, notebooks: list[str]) -> None:
    """Hook of nbgrader, before it reads a submission: where a file has a wrong name, ask for those of the homework.

    nbgrader leaves out what it has no name for; the exporter finds what was meant.
    """
    names = [spec.name for spec in open_course(Path.cwd()).homework(assignment).notebooks]
    if any(Path(notebook).stem not in names for notebook in notebooks):
        folder = Path(notebooks[0]).parent
        notebooks[:] = [str(folder / f"{name}.ipynb") for name in names]


def build_first(assignment: str, student: str, notebooks: list[str]) -> None:
    """Hook of nbgrader, before it makes a release: the build's own, which has the release as a script as well."""
    build.build(open_course(Path.cwd()), [assignment])


def readable(homework: Homework, notebook: str, folder: Path) -> dict[str, Any]:
    """What was handed in for a notebook, repaired; the untouched release where nothing in it can be read."""
    path = homework.release(notebook)
    others = tuple(spec.name for spec in homework.notebooks if spec.name != notebook)
    try:
        file = find(folder, notebook, others)
        return repair(read(file), file.name, released(homework, notebook)).notebook()
    except (Missing, Unreadable):
        untouched: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return untouched


def harmless(html: str) -> str:
    """Filter of nbconvert for rendered markdown: nothing is left of it that a browser would run.

    nbgrader's pages lack this, and formgrader's have all the rights of the person who marks.
    """
    clean: str = bleach.clean(html, _TAGS, _allowed, protocols=("http", "https", "mailto", "data"))
    return clean.replace("\\href", "\\text")  # MathJax would make a link of it, to a script too


def _allowed(tag: str, name: str, value: str) -> bool:
    match tag, name:
        case "img", "src":
            return value.startswith(("data:image/", "https:", "http:"))
        case "a", "href":
            return not value.startswith("data:")
        case _:
            return name in ("alt", "title", "width", "height") or (name == "class" and tag in ("div", "pre", "span"))
