"""The record of one graded homework: what a results file holds, versioned by `SCHEMA`."""

from __future__ import annotations

from typing import Literal

import msgspec

SCHEMA = 1
"""Raised whenever a field changes its meaning or goes; new optional fields do not raise it."""


class TestResult(msgspec.Struct, frozen=True, kw_only=True):
    """One hidden test and what it found. Every text in it may be shown to the student."""

    __test__ = False  # for pytest: not a test class

    name: str
    cell: str
    """grade_id of the cell it earns points for"""
    weight: float
    says: str
    """the test's own one-line description, from its docstring"""
    passed: bool
    message: str = ""
    """what went wrong, in words for the student; empty when it passed"""
    forbidden: bool = False
    """the student's code met a tool that is shut in this notebook"""
    seconds: float = 0.0


class Diagnosis(msgspec.Struct, frozen=True, kw_only=True):
    """A known mistake that gives the very answers that the student's code gave."""

    mistake: str
    """its id in hwN/mistakes/"""
    title: str
    """what it is, for the instructor"""
    hint: str
    """what the student is told"""


class CellResult(msgspec.Struct, frozen=True, kw_only=True):
    """One grade cell: its points and what was earned."""

    grade_id: str
    title: str
    points: float
    earned: float | None
    """None while a person still has to mark it"""
    tests: tuple[TestResult, ...] = ()
    note: str = ""
    """why nothing was earned in spite of the tests (a forbidden tool, say)"""
    diagnoses: tuple[Diagnosis, ...] = ()
    """the known mistakes that explain every answer of a cell that lost points; several when they look the same"""


class Repair(msgspec.Struct, frozen=True, kw_only=True):
    """Something in the submitted file that had to be mended before it could be graded."""

    kind: str
    """restored, demoted, renamed, put-back, matched, converted, ignored …: one word, for machines"""
    cell: str
    """id of the cell, or '' for the file as a whole"""
    note: str
    """a sentence for the student"""


class Incident(msgspec.Struct, frozen=True, kw_only=True):
    """Something that ended or disturbed the run: a time limit, a crash, memory, output …"""

    kind: Literal[
        "unreadable", "missing", "timeout", "crash", "exit", "memory", "disk", "output", "protocol", "internal"
    ]
    cell: str
    """id of the cell that was running, or ''"""
    note: str
    """a sentence for the student"""


class Output(msgspec.Struct, frozen=True, kw_only=True):
    """One output of one executed cell, in order. Text is as the student's code wrote it: escape it before showing."""

    cell: str
    kind: Literal["stdout", "stderr", "text", "error", "image/png"]
    text: str = ""
    png: bytes = b""


class NotebookResult(msgspec.Struct, frozen=True, kw_only=True):
    """One notebook of the homework."""

    notebook: str
    title: str
    file: str
    """name of the submitted file; '' when nothing was handed in"""
    score: float
    max_score: float
    cells: tuple[CellResult, ...]
    repairs: tuple[Repair, ...] = ()
    incidents: tuple[Incident, ...] = ()
    outputs: tuple[Output, ...] = ()
    tier: str
    """confinement tier that the student's code ran in: A, B, C or none"""
    seed: int
    cpu_seconds: float
    """of the student's processes"""
    wall_seconds: float
    peak_memory_mb: float


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """One student's graded homework: `<out>/<student>/<homework>.json`."""

    schema: int
    course: str
    homework: str
    title: str
    student: str
    score: float
    max_score: float
    notebooks: tuple[NotebookResult, ...]
    tier: str
    versions: dict[str, str]
    graded_at: str
    """ISO 8601, UTC"""
    cpu_seconds: float
    """of grading this submission, the student's code included"""
    wall_seconds: float

    @property
    def findings(self) -> tuple[str, ...]:
        """One short phrase for each thing found, for tables: incidents, known mistakes, repairs."""
        found: list[str] = [incident.kind for book in self.notebooks for incident in book.incidents]
        cells = [cell for book in self.notebooks for cell in book.cells]
        found += [f"mistake {diagnosis.mistake}" for cell in cells for diagnosis in cell.diagnoses]
        found += [f"{repair.kind} {repair.cell}".strip() for book in self.notebooks for repair in book.repairs]
        return tuple(dict.fromkeys(found))
