"""Parts that make nbgrader's autograde command grade with this package. nbgrader_config.py plugs them in.

nbgrader reads a submission twice. First it cleans the submitted notebook and writes it to autograded/. Then it executes
and marks that copy. Here, the exporter repairs the notebook at the first reading, and `Examine` replaces the execution.
"""

from __future__ import annotations

import html
import io
import json
import re
import string
import sys
import weakref
from contextlib import closing
from pathlib import Path
from typing import Any, ClassVar

import bleach
from nbconvert.exporters import HTMLExporter, NotebookExporter
from nbgrader.api import Gradebook
from nbgrader.converters.base import NbGraderException
from nbgrader.plugins import BasePlugin
from nbgrader.preprocessors import NbGraderPreprocessor, SaveAutoGrades
from traitlets import Bool

from autograder.course import build
from autograder.course.course import CourseError, Homework, open_course
from autograder.course.late_rules import penalty
from autograder.course.parsing import read_master
from autograder.course.personal import values_of
from autograder.course.personal_release import personal_released
from autograder.grading.server import GradingServer
from autograder.grading.standing import Standing
from autograder.results import autograded, gradebook, late, registration
from autograder.results.formulas import Formulas
from autograder.results.result import Late, Result
from autograder.submission import choose, repaired

# the HTML tags that rendered markdown may contain
_TAGS = {
    *("a", "abbr", "b", "blockquote", "br", "code", "dd", "del", "details", "div", "dl", "dt", "em", "hr", "i", "img"),
    *("li", "ol", "p", "pre", "s", "span", "strong", "sub", "summary", "sup", "u", "ul"),
    *("table", "tbody", "td", "th", "thead", "tr"),
    *(f"h{level}" for level in range(1, 7)),
}


class SubmissionExporter(NotebookExporter):
    """Repairs a submitted notebook when it is read; reads other notebooks unchanged.

    It also keeps the grading server of one `nbgrader autograde` command.
    """

    parent: Any

    allow_unconfined = Bool(
        False, help="Grade even if nothing confines the student's code, like `autograder grade --allow-unconfined`."
    ).tag(config=True)

    # Formgrader runs for a long time and creates an exporter for every click. So at most one grading server is kept.
    _close_server: ClassVar[weakref.finalize[Any, Any] | None] = None

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)  # type: ignore[no-untyped-call]
        self._server: GradingServer | None = None
        self._refused: CourseError | None = None
        self._last: Result | None = None
        self._standing: Standing | None = None
        try:
            self.homework = self._open()
        except CourseError as error:
            self.log.error("%s", error)
            raise NbGraderException(str(error)) from None

    def from_filename(self, filename: str, resources: dict[str, Any] | None = None, **kwargs: Any) -> Any:
        """The notebook in the form that nbgrader needs. A submitted notebook is repaired first."""
        about = (resources or {}).get("nbgrader", {})
        if not about or Path(filename).parent != self._folder(about["student"]):
            return super().from_filename(filename, resources, **kwargs)
        homework = self.homework_of(about["student"])
        text = json.dumps(readable(homework, about["notebook"], self._folder(about["student"])))
        return self.from_file(io.StringIO(text), resources, **kwargs)

    def result(self, student: str) -> Result:
        """The result of the student's whole homework. It is kept, so that each notebook is graded only once.

        Raises
        ------
        CourseError
            When the grading server cannot start.
        Lost
            After an infrastructure failure. nbgrader then reports the student as failed and continues with the next.
        """
        if self._last is None or self._last.student != student:
            server = self._warm_server()
            try:
                self._last = server.grade(student, self._folder(student))
            except Exception:
                self._server = None  # the next student gets a new server
                raise
        return self._last

    def homework_of(self, student: str) -> Homework:
        """The homework as the student got it."""
        try:
            return self.homework.personal(values_of(self.homework, student))
        except CourseError as error:
            self.log.error("%s", error)
            raise NbGraderException(str(error)) from None

    def late(self, student: str) -> Late | None:
        """How late the student handed in the homework, as `autograder grade` has it."""
        try:
            if self._standing is None:
                submitted = Path(self.parent.coursedir.root) / self.parent.coursedir.submitted_directory
                self._standing = Standing(self._course, self.homework, submitted=submitted)
            return self._standing.late(student)
        except CourseError as error:
            self.log.error("%s", error)
            raise NbGraderException(str(error)) from None

    def settle_dates(self, student: str) -> None:
        """Give the gradebook the course's own dates: nbgrader asks for a penalty only if somebody is late by these."""
        if self.homework.due is None:
            return
        directory = self.parent.coursedir
        with Gradebook(directory.db_url, directory.course_id) as book:
            late.set_due(book, self.homework)
            submission = book.find_submission(self.homework.name, student)
            late.set_times(submission, self.homework, self.late(student))
            book.db.commit()

    def _open(self) -> Homework:
        directory = self.parent.coursedir
        self._course = course = open_course(Path(directory.root))
        homework = course.homework(directory.assignment_id)
        self._floor = "none" if self.allow_unconfined else course.floor
        with Gradebook(directory.db_url, directory.course_id) as book:
            fits = registration.is_registered(book, homework)
            recorded = registration.submissions_of(book, homework)
        if not fits and not recorded:  # as in a fresh clone, whose release was built elsewhere
            registration.register(course, homework, directory.db_url)
        elif not fits:
            raise CourseError(
                f"{directory.db_url}: the gradebook does not match the current release of {homework.name}: "
                f"run `nbgrader generate_assignment {homework.name} --force`"
            )
        return homework

    def _folder(self, student: str) -> Path:
        directory = self.parent.coursedir
        return Path(directory.format_path(directory.submitted_directory, student, directory.assignment_id))

    def _warm_server(self) -> GradingServer:
        if self._refused is not None:
            raise self._refused
        if self._server is None:
            if SubmissionExporter._close_server is not None:
                SubmissionExporter._close_server()
            server = GradingServer(self.homework, self._floor)
            try:
                server.wait()
            except CourseError as error:
                self._refused = error
                raise
            self._server = server
            SubmissionExporter._close_server = weakref.finalize(self, server.close)
        return self._server


class Examine(NbGraderPreprocessor):  # type: ignore[misc]
    """Grades the submission in the sandbox and writes points and outputs into the notebook, for nbgrader to read."""

    def preprocess(self, notebook: Any, resources: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        about = resources["nbgrader"]
        result = self.parent.result(about["student"])
        [found] = [book for book in result.notebooks if book.notebook == about["notebook"]]
        autograded.show(found, notebook, read_master(self.parent.homework_of(about["student"]), about["notebook"]))
        self.parent.settle_dates(about["student"])
        return notebook, resources


class SaveGrades(SaveAutoGrades):  # type: ignore[misc]
    """nbgrader's own, and bonus points: nbgrader itself takes no more than a cell's maximum, which is 0."""

    def preprocess(self, notebook: Any, resources: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        notebook, resources = super().preprocess(notebook, resources)
        about = resources["nbgrader"]
        [found] = [one for one in self.parent.result(about["student"]).notebooks if one.notebook == about["notebook"]]
        where = about["notebook"], about["assignment"], about["student"]
        with Gradebook(about["db_url"]) as book:
            for cell in found.cells:
                if cell.bonus and cell.earned is not None:
                    book.find_grade(cell.grade_id, *where).auto_score = cell.earned
            book.db.commit()
        return notebook, resources


class FeedbackExporter(HTMLExporter):
    """Writes nbgrader's feedback pages, which are read anywhere: nbgrader_config.py gives them formulas as MathML."""


class LatePenalty(BasePlugin):  # type: ignore[misc]
    """nbgrader's plugin for late penalties: what `[late]` in course.toml and homework.toml says.

    nbgrader asks it about each notebook of a late submission (nbgrader documentation, “Late submission plugin”).
    """

    def late_submission_penalty(self, student_id: str, score: float, total_seconds_late: float) -> float | None:
        """What is taken off a notebook's score; None if nothing is."""
        found: Late | None = self.parent.parent.late(student_id)
        return penalty(score, found.per_cent) or None if found is not None else None


class HideSchemes(NbGraderPreprocessor):  # type: ignore[misc]
    """Removes the mark schemes from nbgrader's feedback pages: only the person who marks may see them."""

    def preprocess(self, notebook: Any, resources: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        notebook.cells = [
            cell for cell in notebook.cells if autograded.SCHEME_TAG not in cell.get("metadata", {}).get("tags", [])
        ]
        return notebook, resources


def name_all(assignment: str, student: str, notebooks: list[str]) -> None:
    """Hook that nbgrader calls before it reads a submission: replaces wrong file names by those of the homework.

    nbgrader ignores a file whose name it does not know. The exporter finds the file that was meant.
    """
    names = [spec.name for spec in open_course(Path.cwd()).homework(assignment).notebooks]
    if any(Path(notebook).stem not in names for notebook in notebooks):
        folder = Path(notebooks[0]).parent
        notebooks[:] = [str(folder / f"{name}.ipynb") for name in names]


def build_first(assignment: str, student: str, notebooks: list[str]) -> None:
    """Hook that nbgrader calls before it makes a release: runs the build, which also writes the release as a script.

    nbgrader then totals recorded submissions anew, without a word: the cells by which they change are told here.
    """
    course = open_course(Path.cwd())
    build.build(course, [assignment])
    homework = course.homework(assignment)
    if not (course.root / "gradebook.db").is_file():
        return
    with closing(gradebook.opened(course)) as book:
        recorded = registration.submissions_of(book, homework)
        found = registration.changes(book, homework) if recorded else ()
    if found:
        print(
            f"The gradebook has {recorded} submissions of {assignment}, and these cells have changed since:\n\n"
            f"{registration.table(found)}\n\nnbgrader totals them anew. Then run `autograder grade {assignment}`, so "
            "that results and pages follow.",
            file=sys.stderr,
        )


def readable(homework: Homework, notebook: str, folder: Path) -> dict[str, Any]:
    """The repaired submission for a notebook, or the untouched release when nothing can be read."""
    releases = {spec.name: personal_released(homework, spec.name) for spec in homework.notebooks}
    chosen = choose(folder, releases).notebooks.get(notebook)
    if chosen is None:
        untouched: dict[str, Any] = json.loads(homework.release(notebook).read_text(encoding="utf-8"))
        for cell, own in zip(untouched["cells"], releases[notebook].cells, strict=True):
            cell |= {"source": own.source, "metadata": own.metadata}
        return untouched
    return repaired(chosen.raw, chosen.entry.name, releases[notebook]).notebook()


_ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});?")
_SPELLED = set(string.ascii_letters + string.digits + "\\{}$:()[]")
_COMMANDS = re.compile(
    r"\\(?:href|url|require|class|style|cssId|data|includegraphics|unicode|csname|def|let|newcommand|renewcommand"
    r"|newenvironment|DeclareMathOperator|mmlToken)(?![A-Za-z])"
)


def harmless(text: str) -> str:
    """nbconvert filter for rendered markdown: removes everything that a browser would execute or fetch.

    nbgrader's own pages do not filter it. A script in a formgrader page would have all rights of the person who marks.
    """
    spelled = _ENTITY.sub(_letter, text)  # a browser decodes entities before MathJax reads formulas
    clean: str = bleach.clean(spelled, _TAGS, _allowed, protocols=("http", "https", "mailto", "data"))
    return _COMMANDS.sub(r"\\text", clean)  # MathJax turns \href into a link, which could start a script


def readable_anywhere(text: str) -> str:
    """nbconvert filter for rendered markdown: harmless, and with formulas as MathML."""
    cleaner = bleach.Cleaner(_TAGS, _allowed, ("http", "https", "mailto", "data"), filters=[Formulas])
    return str(cleaner.clean(harmless(text)))


def _letter(entity: re.Match[str]) -> str:
    """A letter that was written as an entity; any other entity unchanged."""
    sign = html.unescape(entity[0])
    return sign if sign in _SPELLED else entity[0]


def _allowed(tag: str, name: str, value: str) -> bool:
    address = "".join(value.split()).casefold()
    match tag, name:
        case "img", "src":
            return address.startswith("data:image/")  # a picture from elsewhere would tell when and where it is read
        case "a", "href":
            return not address.startswith("data:")
        case _:
            return name in ("alt", "title", "width", "height") or (name == "class" and tag in ("div", "pre", "span"))
