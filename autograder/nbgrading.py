"""nbgrader's autograde command by this course's grading; nbgrader_config.py puts these parts in their places.

nbgrader reads a submission twice: first it cleans the submitted notebook into autograded/, then it executes and marks
that copy. Here the exporter repairs what is read the first time, and `Examine` takes the place of the execution.
"""

from __future__ import annotations

import base64
import io
import json
import weakref
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any, ClassVar

import bleach  # type: ignore[import-untyped]
from nbconvert.exporters import NotebookExporter
from nbconvert.filters.ansi import strip_ansi
from nbformat import NotebookNode
from nbgrader.api import Gradebook
from nbgrader.converters.base import NbGraderException
from nbgrader.preprocessors import NbGraderPreprocessor
from traitlets import Bool

from autograder import build, gradebook
from autograder.course import CourseError, Homework, open_course
from autograder.examiner import Examiner
from autograder.repair import Missing, Unreadable, find, read, released, repair
from autograder.report import png_size
from autograder.result import CellResult, NotebookResult, Output, Result

NOTES_ID = "grading-notes"
"""id of the cell that tells what had to be mended and what disturbed the run"""

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
        self._examiner: Examiner | None = None
        self._refused: CourseError | None = None
        self._last: Result | None = None
        try:
            self._homework = self._open()
        except CourseError as error:
            self.log.error("%s", error)
            raise NbGraderException(str(error)) from None

    def from_filename(self, filename: str, resources: dict[str, Any] | None = None, **kwargs: Any) -> Any:
        """The notebook as nbgrader wants it, whatever state it was handed in."""
        about = (resources or {}).get("nbgrader", {})
        if not about or Path(filename).parent != self._folder(about["student"]):
            return super().from_filename(filename, resources, **kwargs)
        text = json.dumps(readable(self._homework, about["notebook"], self._folder(about["student"])))
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

    def _warm(self) -> Examiner:
        if self._refused is not None:
            raise self._refused
        if self._examiner is None:
            if SubmissionExporter._close_examiner is not None:
                SubmissionExporter._close_examiner()
            try:
                self._examiner = Examiner(self._homework, self._floor)
            except CourseError as error:
                self._refused = error
                raise
            SubmissionExporter._close_examiner = weakref.finalize(self, self._examiner.close)
        return self._examiner


class Examine(NbGraderPreprocessor):  # type: ignore[misc]
    """Grades the submission in the sandbox, and writes its points and outputs where nbgrader looks for them."""

    def preprocess(self, notebook: Any, resources: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        about = resources["nbgrader"]
        result = self.parent.result(about["student"])
        [found] = [book for book in result.notebooks if book.notebook == about["notebook"]]
        show(found, notebook)
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
        return repair(read(file), file.name, released(path, homework.name, notebook)).notebook()
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


def show(found: NotebookResult, notebook: Any) -> None:
    """Write points, outputs and notes into the notebook that nbgrader marks.

    nbgrader scores a grade cell by the first of its outputs that it understands, and takes much for full marks: so
    such a cell has one output, the number. A cell that a person marks keeps what the student's code shows.

    Raises
    ------
    LookupError
        When a grade cell has no score: better no result than nbgrader's guess.
    """
    results = {cell.grade_id: cell for cell in found.cells}
    for cell in notebook.cells:
        if cell.cell_type != "code":
            continue
        own = [output for output in found.outputs if output.cell == cell.id]
        nbgrader = cell.metadata.get("nbgrader", {})
        cell.execution_count = None
        if nbgrader.get("grade") and not nbgrader.get("solution"):
            cell.outputs = [_points(results[nbgrader["grade_id"]], own)]
        else:
            cell.outputs = [shown for output in own if (shown := _shown(output))]
    notes = [*(incident.note for incident in found.incidents), *(repair.note for repair in found.repairs)]
    if notes:
        text = _list("What the grader noticed", notes)
        notebook.cells.insert(0, _node(cell_type="markdown", id=NOTES_ID, metadata={}, source=text))


def _points(cell: CellResult, outputs: Sequence[Output]) -> NotebookNode:
    """The points as the one output of a grade cell; people see below the number what was tested and printed."""
    if cell.earned is None:
        raise LookupError(f"{cell.grade_id}: hidden tests mark this cell, but it has no score")
    lines = [f"{'✓' if test.passed else '✗'} {test.says} {test.message}" for test in cell.tests]
    html = _list(f"{cell.earned:g} of {cell.points:g} points", [cell.note, *lines] if cell.note else lines)
    if printed := "".join(output.text for output in outputs):
        html += f"\n<pre>{escape(_plain(printed))}</pre>"
    data = {"text/plain": repr(float(cell.earned)), "text/html": html}
    return _node(output_type="execute_result", execution_count=None, metadata={}, data=data)


def _shown(output: Output) -> NotebookNode | None:
    match output.kind:
        case "stdout" | "stderr":
            return _node(output_type="stream", name=output.kind, text=output.text)
        case "error":
            name, _, message = output.text.partition("\n")[0].partition(": ")
            return _node(output_type="error", ename=name, evalue=message, traceback=output.text.split("\n"))
        case "text":
            return _node(output_type="display_data", metadata={}, data={"text/plain": output.text})
        case "image/png" if png_size(output.png):
            picture = base64.b64encode(output.png).decode()
            return _node(output_type="display_data", metadata={}, data={"image/png": picture})
    return None


def _node(**parts: Any) -> NotebookNode:
    return NotebookNode(parts)  # type: ignore[no-untyped-call]


def _list(title: str, lines: Sequence[str]) -> str:
    """A list in HTML whose items are text and nothing else: no markup, no markdown, no formulas."""
    items = "\n".join(f"<li>{escape(' '.join(_plain(line).split()))}</li>" for line in lines)
    return f'<div class="tex2jax_ignore mathjax_ignore"><b>{escape(title)}</b>\n<ul>\n{items}\n</ul></div>'


def _plain(text: str) -> str:
    return str(strip_ansi(text))  # type: ignore[no-untyped-call]
