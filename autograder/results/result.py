"""The result of grading one homework: the content of a results file. `SCHEMA` is its version."""

from __future__ import annotations

from typing import Literal

import msgspec

SCHEMA = 1
"""increases when a field changes its meaning or is removed, but not when an optional field is added"""
NUMBERS = "numbers"
"""the kind of the repair that tells of a notebook with numbers that the student was not given"""
_UNREAD = ("missing", "unreadable")
"""the kinds of the incident of a notebook that was not run at all"""
_UNWRITTEN = "not written yet"
"""stands in the message of each test of an exercise that still raises NotImplementedError, or defines nothing"""


class TestResult(msgspec.Struct, frozen=True, kw_only=True):
    """One hidden test and its outcome. Every text in it may be shown to the student."""

    __test__ = False  # tells pytest that this is not a test class

    name: str
    """name of the test function"""
    cell: str
    """grade_id of the cell that the test earns points for"""
    weight: float
    """its share among the tests of its cell"""
    says: str
    """one-line description of the test, from its docstring"""
    passed: bool
    """whether it passed"""
    message: str = ""
    """explains to the student what went wrong; empty when the test passed"""
    forbidden: bool = False
    """whether the student's code used a tool that is forbidden in this notebook"""
    seconds: float = 0.0
    """time that the test took"""


class Diagnosis(msgspec.Struct, frozen=True, kw_only=True):
    """A known mistake that gives exactly the same answers as the student's code."""

    mistake: str
    """id of the mistake in hwN/mistakes/"""
    title: str
    """description for the instructor"""
    hint: str
    """hint for the student"""


class Mark(msgspec.Struct, frozen=True, kw_only=True):
    """What a person decided on a grade cell."""

    points: float | None = None
    """points that replace those of the hidden tests; None (null) when only a comment or extra credit was given"""
    extra: float = 0.0
    """extra credit, on top"""
    comment: str = ""
    """for the student"""
    tests: float | None = None
    """points that the hidden tests had given; None (null) for a written answer"""
    outdated: bool = False
    """whether the answer has changed since, or may have, so that a person has to look at it again"""


class CellResult(msgspec.Struct, frozen=True, kw_only=True):
    """One grade cell, with its points and the points earned."""

    grade_id: str
    """id of the grade cell"""
    title: str
    """what the exercise is called"""
    points: float
    """points that the cell is worth"""
    bonus: bool = False
    """whether these come on top: `max_score` does not contain them"""
    earned: float | None
    """points earned, marks by hand included; None (null) until a person has marked the cell"""
    tests: tuple[TestResult, ...] = ()
    """the hidden tests that earn its points"""
    note: str = ""
    """why the cell earned nothing, whatever its tests found; for example, because of a forbidden tool"""
    diagnoses: tuple[Diagnosis, ...] = ()
    """known mistakes that explain all answers of a cell that lost points; several when they give the same answers"""
    follows: tuple[str, ...] = ()
    """grade cells above that lost points too and whose code this exercise uses: the cause may be there"""
    causes: tuple[str, ...] = ()
    """errors in cells of the notebook because of which its tests failed, a sentence each"""
    answer: str = ""
    """digest of what the student wrote for it: whether a mark by hand is for the same text"""
    mark: Mark | None = None
    """what a person decided, in nbgrader's gradebook"""

    @property
    def maximum(self) -> float:
        """What the cell adds to the most points of its notebook."""
        return 0.0 if self.bonus else self.points

    @property
    def lost(self) -> float:
        """Points that the student could have had; a bonus that was not earned is not lost."""
        return 0.0 if self.bonus or self.earned is None else max(0.0, self.points - self.earned)

    @property
    def unwritten(self) -> bool:
        """Whether the code that its tests ask for is not there."""
        return bool(self.tests) and all(not test.passed and _UNWRITTEN in test.message for test in self.tests)


class Repair(msgspec.Struct, frozen=True, kw_only=True):
    """Something that was done to the submitted file before it was graded."""

    kind: str
    """one word for programs: restored, earlier, demoted, renamed, put-back, matched, converted, ignored …"""
    cell: str
    """id of the cell, or '' for the file as a whole"""
    note: str
    """a sentence for the student"""


class Incident(msgspec.Struct, frozen=True, kw_only=True):
    """Something that ended or disturbed the run: a timeout, a crash, too much memory or output …"""

    kind: Literal[
        "unreadable", "missing", "timeout", "crash", "exit", "memory", "disk", "output", "protocol", "names",
        "attempt", "unchecked", "internal",
    ]  # fmt: skip
    """what happened"""
    cell: str
    """id of the cell that was running, or ''"""
    note: str
    """a sentence for the student"""


class Output(msgspec.Struct, frozen=True, kw_only=True):
    """One output of one executed cell. Both texts come unchanged from the student's code: escape them before use."""

    cell: str
    """id of the cell"""
    kind: Literal["stdout", "stderr", "text", "error", "image/png", "image/jpeg"]
    """what it is; `text` is a value that was displayed; a JPEG is a picture in a written answer"""
    text: str = ""
    """the text; of a picture, its text form"""
    png: bytes = b""
    """the picture; empty for other kinds"""
    alt: str = ""
    """of a picture, what it says in words, as the student's code gave it with the picture: at most 500 characters; ''
    if it gave none"""


class NotebookResult(msgspec.Struct, frozen=True, kw_only=True):
    """One notebook of the homework."""

    notebook: str
    """name of the notebook: mlp"""
    title: str
    """its title"""
    file: str
    """name of the submitted file; '' when nothing was submitted"""
    score: float
    """points earned; cells that nobody has marked yet count 0"""
    max_score: float
    """points that can be earned, without a bonus"""
    cells: tuple[CellResult, ...]
    """every grade cell, in the notebook's order"""
    repairs: tuple[Repair, ...] = ()
    """what was done to the file before it was graded"""
    incidents: tuple[Incident, ...] = ()
    """what ended or disturbed the run"""
    outputs: tuple[Output, ...] = ()
    """what the cells showed, in order"""
    tier: str
    """confinement tier that the student's code ran in: A, B, C or none"""
    seed: int
    """the random seed that the notebook and every test started from"""
    cpu_seconds: float
    """CPU time of the student's processes"""
    wall_seconds: float
    """time that this notebook took"""
    peak_memory_mb: float
    """the most memory that the student's processes used together"""

    @property
    def unread(self) -> bool:
        """Whether it was not run at all: it is missing, or cannot be read."""
        return any(incident.kind in _UNREAD for incident in self.incidents)


class Late(msgspec.Struct, frozen=True, kw_only=True):
    """When a homework was handed in, measured by its due date, and what that costs."""

    due: str
    """when it was due for this student, extension included: ISO 8601, in the course's time zone"""
    submitted: str = ""
    """when it was handed in, likewise; '' if nobody knows, which counts as on time"""
    days: int = 0
    """started days after the due date, beyond the minutes of grace"""
    free_days: int = 0
    """how many of these are free"""
    per_cent: float = 0.0
    """what is taken off the points of each notebook"""
    penalty: float = 0.0
    """points taken off: the sum over the notebooks"""
    says: str = ""
    """all of this in a sentence for the student"""


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """One student's graded homework: `<out>/<student>/<homework>.json`."""

    schema: int
    """version of this format"""
    course: str
    """id of the course, from course.toml"""
    homework: str
    """name of the homework: hw1"""
    title: str
    """title of the homework"""
    student: str
    """name of the student's folder"""
    score: float
    """points that count: the sum over the notebooks, less what lateness costs, rounded as the course has it"""
    max_score: float
    """points that can be earned, without a bonus"""
    notebooks: tuple[NotebookResult, ...]
    """in the homework's order"""
    tier: str
    """confinement tier that the code ran in: A, B, C or none"""
    versions: dict[str, str]
    """package and version, of everything that a score may depend on"""
    graded_at: str
    """ISO 8601, UTC"""
    cpu_seconds: float
    """CPU time of grading this submission, including the student's code"""
    wall_seconds: float
    """time that grading took"""
    transcript: str = ""
    """digest of what was asked and answered, in the transcript beside this file; empty when nothing was kept"""
    key: str = ""
    """digest of everything that the result was made from: while it is the same, nobody is graded again"""
    late: Late | None = None
    """when it was handed in; None (null) if the homework has no due date"""
    rounding: float = 0.0
    """the score is rounded to a multiple of this; 0: to four digits"""

    @property
    def earned(self) -> float:
        """The points of all notebooks together, before anything is taken off or rounded."""
        return round(sum(book.score for book in self.notebooks), 4)

    @property
    def found(self) -> bool:
        """Whether any notebook was found among the submitted files, and could be read."""
        return not all(book.unread for book in self.notebooks)

    @property
    def waiting(self) -> tuple[CellResult, ...]:
        """The cells that nobody has marked yet."""
        return tuple(cell for book in self.notebooks for cell in book.cells if cell.earned is None)

    @property
    def findings(self) -> tuple[str, ...]:
        """One short phrase for each incident, known mistake and repair, for tables."""
        found: list[str] = [
            f"{incident.kind} {book.notebook}" if incident.kind in _UNREAD else incident.kind
            for book in self.notebooks
            for incident in book.incidents
        ]
        cells = [cell for book in self.notebooks for cell in book.cells]
        found += [f"mistake {diagnosis.mistake}" for cell in cells for diagnosis in cell.diagnoses]
        found += [f"look again {cell.grade_id}" for cell in cells if cell.mark and cell.mark.outdated]
        found += [f"{repair.kind} {repair.cell}".strip() for book in self.notebooks for repair in book.repairs]
        return tuple(dict.fromkeys(found))
