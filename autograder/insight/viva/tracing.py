"""Traces: what a student's functions did while the visible checks ran in the sandbox, as bounded and typed data."""

from __future__ import annotations

import ast
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

from autograder.constants import cell_filename, cell_of
from autograder.insight.viva.seen import Seen, read
from autograder.sandbox.lines import Line
from autograder.sandbox.object_client import Student
from autograder.sandbox.student_error import Allowance, StudentError

MOST_CALLS, MOST_EVENTS, MOST_WORK = 3, 200, 6_000
"""of one check: calls of each function that are recorded, lines of one call, and calls and lines before it is left"""
_SECONDS = 2.0
"""for one check, or for one edit with its checks: only what the bounds above do not count is stopped by the clock"""

_INSIDE = Path(__file__).with_name("inside")
"""what runs in the student's process, which has PyTorch and NumPy; it is not imported here"""
_MALFORMED = (ValueError, TypeError, KeyError, IndexError, AttributeError)
"""what comes from reading an answer that is no record"""

Key: TypeAlias = tuple[str, str, int, int]
"""a call: its check, the cell, the line at which the function begins, and which call of it in this check"""
Lines = Callable[[int], Line]
"""a line to the finished notebook, for a random seed"""


@dataclass(frozen=True)
class Step:
    """A moment of a call, before a line is run; `line` is 0 for the moment of the return."""

    line: int
    names: Mapping[str, Seen]
    """the local names, and the attributes of `self`, as `self.x`"""


@dataclass(frozen=True)
class TracedCall:
    """One call of a function of the student's that caught no exception."""

    check: str
    """grade_id of the visible check that made it"""
    place: int
    """the line of the check"""
    cell: str
    first: int
    """the line of the cell at which the function begins"""
    number: int
    """which call of the function in this check, from 1"""
    given: Mapping[str, Seen]
    steps: tuple[Step, ...]
    returned: Seen | None
    """None where the call did not end in sight, and where it raised an exception: its steps are the first ones"""
    raised: bool = False
    sums: tuple[float, ...] = ()
    """numbers that differ where what is returned differs much; () if there are none"""
    digest: str = ""
    """differs where what is returned differs in a number, in its type or in whether it asks for a gradient"""
    draws: bool = False
    """whether random numbers were drawn in it, or a seed was set"""
    undrawn: int = 0
    """the number of its first steps before which nothing was drawn; not more than some are looked at"""
    fixed: bool = True
    """whether it begins without a set whose order may be another one in the next process"""
    before: Mapping[str, int] = field(default_factory=dict)
    """a digest of each thing that the function can reach when the call begins; empty where they are too large"""
    within: bool = False
    """whether the function was called once more before this call had ended"""
    work: int = 0
    """how many functions were called and lines run in the check"""

    @property
    def key(self) -> Key:
        return self.check, self.cell, self.first, self.number


@dataclass(frozen=True)
class End:
    """How a visible check ended."""

    check: str
    how: str
    """passed, failed, or enough: it was left after much work"""
    line: int
    error: str
    work: int
    """how many functions were called and lines run in it"""


@dataclass(frozen=True)
class Edit:
    """An edited copy of a cell."""

    cell: str
    source: str


def traces(
    lines: Lines,
    checks: Sequence[tuple[str, str]],
    functions: Collection[tuple[str, int]],
    seed: int,
    edit: Edit | None = None,
    wanted: Iterable[Key] = (),
    enough: int = 0,
) -> list[TracedCall]:
    """The calls that checks (grade_id and source) make of functions (cell and first line). Checks that hang are left.

    So are checks that fail without an edit: they passed in grading, so the code does something else when it is watched.
    A check is left as soon as all calls that are `wanted` of it have ended once more; only these are returned. Unless
    `enough` is 0, no check is run after one call of each function has returned or has run so many lines.
    """
    last = [[check, cell_filename(cell), first, number] for check, cell, first, number in wanted]
    watched = [[cell_filename(cell), first] for cell, first in functions]
    try:
        with closing(lines(seed)) as line:
            said, seen = _ask(line, edit, checks, watched, last, enough)
            checked = {one.check: one for one in _ends(said)}
            work = {check: one.work for check, one in checked.items() if edit or one.how != "failed"}
            return [replace(call, work=work[call.check]) for call in _calls(seen) if call.check in work]
    except (StudentError, *_MALFORMED):
        apart = checks if len(checks) > 1 else ()
        return [call for check in apart for call in traces(lines, [check], functions, seed, edit, wanted, enough)]


def ends(lines: Lines, checks: Sequence[tuple[str, str]], edit: Edit, seed: int) -> tuple[End, ...]:
    """How these checks end after an edit; the first that fails is the last. () if nobody can say."""
    with suppress(StudentError, *_MALFORMED), closing(lines(seed)) as line:
        return tuple(_ends(_ask(line, edit, checks, [], [])[0]))
    return ()


def _ask(
    line: Line,
    edit: Edit | None,
    checks: Sequence[tuple[str, str]],
    functions: Sequence[Sequence[object]],
    wanted: Sequence[Sequence[object]],
    enough: int = 0,
) -> Any:
    """What the checks did. A fork is used again only if it is known that they changed nothing of the notebook in it."""
    student, changed = Student(line), True
    edited = [[cell_filename(edit.cell), edit.source]] if edit else []
    shown, most = [list(one) for one in checks], [MOST_CALLS, MOST_EVENTS, MOST_WORK]
    recorded = [list(one) for one in functions], most, [list(one) for one in wanted]
    try:
        with student.within(Allowance(_SECONDS, "it takes too long")):
            watch = student.run(_witness(), apart=True)
            said = watch(student.run("lambda: globals()"), edited, shown, *recorded, enough)
        if not isinstance(said, list) or len(said) != 3:
            raise ValueError("not a record")
        changed = said[2] is not False
        return said[:2]
    finally:
        if changed:
            line.spend()


@cache
def _witness() -> str:
    """The witness as one text that ends with its function: nothing of ours can be imported where it runs."""
    files = (_INSIDE / f"{name}.py" for name in ("sight", "reach", "witness"))
    trees = [ast.parse(file.read_text(encoding="utf-8")) for file in files]
    parts = [node for tree in trees for node in tree.body if not _is_ours(node)]
    return f"from __future__ import annotations\n{ast.unparse(ast.Module(parts, []))}\nwatch"


def _is_ours(node: ast.stmt) -> bool:
    return isinstance(node, ast.ImportFrom) and (node.module or "").startswith(("autograder.", "__future__"))


def _ends(said: Any) -> list[End]:
    found = []
    for name, how, line, error, work in said:
        if how not in ("passed", "failed", "enough") or type(line) is not int or type(work) is not int:
            raise ValueError("not an end")
        found.append(End(str(name)[:100], how, line, str(error)[:60], work))
    return found


def _calls(said: Any) -> list[TracedCall]:
    """The calls in a record that caught nothing."""
    found = []
    for one in said[:400]:
        place, first, number, how, returned = (one[name] for name in ("place", "first", "number", "how", "returned"))
        if how not in ("whole", "left", "raised"):
            continue
        if not all(type(count) is int for count in (place, first, number)):
            raise ValueError("not a call")
        names = {str(name)[:80]: read(thing) for name, thing in one["given"].items()}
        start, steps = dict(names), list[Step]()
        for line, changed, gone in one["events"]:
            names = {name: thing for name, thing in names.items() if name not in gone}
            names |= {str(name)[:80]: read(thing) for name, thing in changed.items()}
            if type(line) is not int:
                raise ValueError("not a line")
            steps.append(Step(line, names))
        whole = how == "whole" and returned is not None
        result = read(returned) if whole else None
        found.append(
            TracedCall(
                check=str(one["check"]),
                place=place,
                cell=cell_of(one["file"]),
                first=first,
                number=number,
                given=start,
                steps=tuple(steps),
                returned=result,
                raised=how == "raised",
                sums=tuple(map(float, one["sums"] or ())),
                digest=str(one["digest"])[:2000],
                draws=bool(one["draws"]),
                undrawn=int(one["undrawn"]),
                fixed=bool(one["fixed"]),
                before={str(name)[:200]: int(value) for name, value in one["before"].items()},
                within=bool(one["within"]),
            )
        )
    return found
