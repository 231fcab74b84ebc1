"""Repairs a submission: puts its cells into the places of the released ones, and tells the student what was done."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath

import msgspec

from autograder.course.names import functions, names
from autograder.course.release import Released, ReleasedCell
from autograder.results.result import Repair
from autograder.submission.added import added_code, added_text
from autograder.submission.cells import read_cells
from autograder.submission.gradable import Gradable, GradableCell
from autograder.submission.markless import parts
from autograder.submission.match import ALIKE, likeness, match, same
from autograder.submission.parted import parted
from autograder.submission.rawcell import MAX_CELLS, RawCell, RawNotebook, file_note

_MAX_REPAIRS = 60
_JOINED = "# The code for this cell was found in another cell."


def repair(data: bytes, filename: str, released: Released) -> Gradable:
    """The gradable notebook made from the bytes of a submitted file.

    Released cells are put in released order, so that each check runs after the code that it checks. Each of the
    student's own cells stays below the cell that it followed. Locked cells get the released text.

    Raises
    ------
    Unreadable
        When the file contains nothing that can be graded.
    """
    return repaired(read_cells(data, filename), PurePath(filename).name, released)


def repaired(raw: RawNotebook, name: str, released: Released, notes: Sequence[Repair] = ()) -> Gradable:
    """As `repair`, for a file of this name that has been read; `notes` tell how it was found."""
    cells = parts(raw.cells[0].source, released) if raw.plain else parted(raw.cells, released)
    repairs = [*notes, *raw.repairs]
    if not raw.plain and len(cells) > len(raw.cells):
        note = "Texts of the homework that stood in one cell with other text were parted from it again."
        repairs.append(file_note("parted", note))

    matched = match(cells, released)
    slots = [_slot(cell, places, cells) for cell, places in zip(released.cells, matched.copies, strict=True)]
    labels = {cell.grade_id for cell in released.cells if cell.grade_id}
    unlabelled = bool(labels) and not any(cell.grade_id in labels for cell in cells)
    foreign = not any(slot.answer is not None for slot in slots if slot.cell.kind == "code" or slot.cell.solution)
    if foreign:
        note = f"‘{name}’ contains nothing from this homework. Is it another notebook? Check the file you submitted."
        repairs.append(file_note("foreign", note))
    elif unlabelled and not raw.plain:
        note = "The cells had lost their labels (some editors remove them); they were recognised by their content."
        repairs.append(file_note("matched", note))
    _find_joined(slots, cells)
    earlier = [slot for slot in slots if slot.earlier]
    # What an earlier release had in another place, or not at all, was neither moved nor deleted by the student.
    repairs += [_told_earlier(earlier)] if earlier else _moved(slots)
    for slot in slots:
        if slot.answer in matched.guessed and slot.cell.grade_id and not unlabelled:
            slot.say("matched", f"Cell {slot.cell} had lost its label; it was recognised by its content.")
        if slot.answer is None and not slot.joined and not foreign:
            # When many cells are missing, only those that the student had to fill in are reported one by one.
            _say_missing(slot, brief=unlabelled or raw.torn or bool(earlier))
        repairs += slot.repairs
    ordered, renamed = _in_order(slots, cells, released)
    repairs += renamed
    if len(repairs) > _MAX_REPAIRS:
        rest = len(repairs) - _MAX_REPAIRS
        repairs[_MAX_REPAIRS:] = [file_note("more", f"{rest} more repairs were made; there are too many to list.")]
    return Gradable(ordered, tuple(repairs))


class _Slot(msgspec.Struct, eq=False):
    """The place of one released cell in the gradable notebook, while the cell's source is being chosen."""

    cell: ReleasedCell
    source: str
    copies: int
    """number of submitted cells that match the released cell"""
    answer: int | None = None
    """index of the submitted cell that fills this place"""
    dropped: tuple[int, ...] = ()
    """indices of the copies that are left out"""
    kept: str = ""
    """what the student added to a given cell; it becomes a cell of the student's own beside the restored one"""
    joined: bool = False
    """whether its code was found in another cell"""
    earlier: bool = False
    """whether the submitted cell is as an earlier release had it"""
    repairs: list[Repair] = []

    def say(self, kind: str, note: str) -> None:
        self.repairs.append(Repair(kind=kind, cell=self.cell.id, note=note))


def _slot(cell: ReleasedCell, copies: Sequence[int], cells: Sequence[RawCell]) -> _Slot:
    """The slot of a released cell, filled with the best of its copies."""
    slot = _Slot(cell, cell.source, len(copies))
    ours = cell.fixed or cell.demo
    if ours:
        useless = {at for at in copies if same(cells[at].source, cell.source)}
        useless |= {at for at in copies if at not in useless and likeness(cells[at].source, cell.source) >= ALIKE}
        best = max(copies, key=lambda at: (same(cells[at].source, cell.source), at in useless, -at), default=None)
    else:
        useless = {at for at in copies if same(cells[at].source, cell.source)}
        fitting = [at for at in copies if at in useless or _fits(cells[at], cell)]
        written = [at for at in fitting if at not in useless] or fitting
        best = max(written, key=lambda at: _worth(cells[at], cell, at), default=None)
    slot.answer = best
    slot.dropped = tuple(at for at in copies if at in useless and at != best)
    if slot.dropped:
        slot.say("ignored", f"Cell {cell} occurred more than once; a copy without your own work was left out.")
    if any(at != best and at not in useless for at in copies) and best is not None:
        slot.say(
            "demoted",
            f"Cell {cell} occurred more than once; one copy is graded as your answer, "
            "and the others still run as your own cells.",
        )
    if best is None:
        return slot

    answer = cells[best]
    if answer.kind != cell.kind and cell.grade_id:
        was, now = ("text", "code") if cell.kind == "code" else ("code", "text")
        slot.say("converted", f"Cell {cell} had been changed to {was}; it was changed back to {now}.")
    if not cell.fixed:
        slot.source = answer.source
    elif not same(answer.source, cell.source):
        _restore(slot, answer)
    return slot


def _worth(copy: RawCell, cell: ReleasedCell, at: int) -> tuple[bool, int, int]:
    """What makes a copy the answer: code that ran, then most of the expected names, then the last place.

    The definitions of the last copy replaced the earlier ones in the student's notebook.
    """
    return copy.kind == cell.kind, len(names(copy.source) & cell.names), at


def _restore(slot: _Slot, answer: RawCell) -> None:
    """Note what was changed in a given cell, and keep what was added to it."""
    cell = slot.cell
    if answer.untouched:
        slot.earlier = True
        if answer.kind == "code":  # the student may have built on what this release defines no more
            slot.kept = added_code(answer.source, cell.source).source
        return
    if answer.kind == "code":
        difference = added_code(answer.source, cell.source)
        beside = "runs before it, as a cell of your own"
    else:
        difference = added_text(answer.source, cell.source)
        beside = "stands below it, as a cell of your own"
    slot.kept = difference.source
    what = "checks were" if cell.grade else "text was"
    if answer.untouched is None:  # as in a script: the course itself may have changed it since
        note = f"Cell {cell} differed from the present release of the homework; the present {what} used."
        slot.say("restored", note + (f" What only yours has {beside}." if slot.kept else ""))
        return
    if not (slot.kept or difference.changed):
        slot.say("restored", f"Cell {cell} differed in comments or blank lines alone; the original text was restored.")
        return
    note = f"Cell {cell} had been edited; the original {what} restored."
    if slot.kept:
        note += f" What you added {beside}."
    if difference.changed:
        note += f" Your {'other ' if slot.kept else ''}changes to it were not used."
    slot.say("restored", note)


def _told_earlier(slots: Sequence[_Slot]) -> Repair:
    """What is said of all given cells that are as an earlier release had them."""
    which = ", ".join(str(slot.cell) for slot in slots[:5]) + (" …" if len(slots) > 5 else "")
    note = (
        f"Your notebook is from an earlier release of the homework. The course has changed {which} since; "
        "the present text was used. There is nothing for you to do."
    )
    if any(slot.kept for slot in slots):
        note += " What only the earlier release defines still runs, as a cell of your own."
    return file_note("earlier", note)


def _fits(answer: RawCell, cell: ReleasedCell) -> bool:
    """Whether a submitted cell can be the answer to a released cell. Text cannot be the answer to a code cell."""
    return answer.kind == cell.kind or cell.kind == "markdown" or bool(names(answer.source) & cell.names)


def _find_joined(slots: Sequence[_Slot], cells: Sequence[RawCell]) -> None:
    """Find the code of missing cells that a student has joined with another cell.

    The empty released cell must not be put back below the joined one: it would overwrite the student's definitions.
    """
    useless = {at for slot in slots for at in slot.dropped}
    useless |= {slot.answer for slot in slots if slot.answer is not None and _untouched(slot)}
    slot_of = {slot.answer: slot for slot in slots if slot.answer is not None}
    defined_by: dict[str, int] = {}
    for at, handed_in in enumerate(cells):
        if handed_in.kind == "code" and at not in useless:
            defined_by.update(dict.fromkeys(names(handed_in.source), at))
    for slot in slots:
        cell = slot.cell
        blank = slot.answer is not None and cell.solution and _untouched(slot)
        if (slot.answer is not None and not blank) or cell.fixed or not cell.names <= defined_by.keys():
            continue
        if not cell.names or (blank and not functions(cell.source)):
            continue
        slot.joined, slot.source = True, _JOINED
        if blank:
            slot.say("matched", f"Cell {cell} was left blank, but its definitions were found in another of your cells.")
            continue
        if cell.grade_id:
            slot.say("matched", f"Cell {cell} was missing, but its definitions were found in another of your cells.")
        # Joined code runs in the first of its places, so that no check runs before it. It is moved out of the place of
        # a demo, because demos do not run.
        places = {defined_by[name] for name in cell.names}
        host = slot_of.get(min(places))
        if not host or len(places) > 1 or host.cell.fixed:
            continue
        if host.cell.demo or slots.index(host) > slots.index(slot):
            slot.source, slot.answer = host.source, host.answer
            slot_of[min(places)] = slot
            host.source, host.answer, host.joined = _JOINED, None, True


def _untouched(slot: _Slot) -> bool:
    """Whether the submitted cell in this place contains no work of the student."""
    return not slot.kept and (slot.cell.fixed or same(slot.source, slot.cell.source))


def _moved(slots: Sequence[_Slot]) -> list[Repair]:
    """A repair that lists the code cells found above a cell that they belong below, if there are any."""
    moved = []
    below = -1
    for slot in slots:
        if slot.cell.kind == "code" and slot.answer is not None and slot.copies == 1:
            if slot.answer < below:
                moved.append(slot.cell)
            below = max(below, slot.answer)
    if not moved:
        return []
    which = ", ".join(str(cell) for cell in moved[:5]) + (" …" if len(moved) > 5 else "")
    note = f"Cells had been moved ({which}); all cells were run in the order of the homework."
    return [Repair(kind="reordered", cell=moved[0].id, note=note)]


def _say_missing(slot: _Slot, brief: bool) -> None:
    cell = slot.cell
    if cell.solution:
        slot.say("put-back", f"Cell {cell} was missing; it was put back without an answer.")
    elif not brief and (cell.grade_id or (cell.kind == "code" and not cell.demo)):
        slot.say("put-back", f"Cell {cell} was missing and was put back.")


def _in_order(
    slots: Sequence[_Slot], cells: Sequence[RawCell], released: Released
) -> tuple[tuple[GradableCell, ...], list[Repair]]:
    """All cells of the gradable notebook, and a repair for each id that was renamed.

    The released cells are in released order. The student's own cells are below the cells that they followed.
    """
    slot_of = {slot.answer: at for at, slot in enumerate(slots) if slot.answer is not None}
    left_out = {at for slot in slots for at in slot.dropped}
    below: list[list[GradableCell]] = [[] for _ in range(len(slots) + 1)]
    taken = {cell.id for cell in released.cells}
    fresh = (name for name in map("own-{}".format, range(1, 2 * MAX_CELLS)) if name not in taken)
    copied = {label for cell in released.cells for label in (cell.id, cell.grade_id)}
    seen: set[str] = set()
    repairs: list[Repair] = []
    follows = 0
    for at, cell in enumerate(cells):
        slot = slot_of.get(at)
        source = cell.source if slot is None else slots[slot].kept
        if at not in left_out and (source.strip() or (slot is None and cell.attachments)):
            code = cell.kind == "code"
            if slot is not None and not code:
                follows = slot + 1  # what was added to a given text stands below it
            own = GradableCell(
                id=next(fresh),
                kind=cell.kind,
                source=source,
                skip=not code,
                released=None,
                attachments={} if code else cell.attachments,
            )
            below[follows].append(own)
            double = next((name for name in cell.ids[:1] if name in seen and name not in copied), None)
            if double:
                note = f"Two cells had the same id ‘{double}’; the second one was renamed to ‘{own.id}’."
                repairs.append(Repair(kind="renamed", cell=own.id, note=note))
        if slot is not None:
            # A copy far below its exercise, or a text that was moved, says nothing about the code after it.
            telling = slots[slot].copies == 1 and slots[slot].cell.kind == "code"
            follows = slot + 1 if telling else max(follows, slot + 1)
        seen.update(cell.ids[:1])

    ordered = below[0]
    for slot_at, filled in enumerate(slots):
        ordered.append(_filled(filled, cells))
        ordered += below[slot_at + 1]
    return tuple(ordered), repairs


def _filled(slot: _Slot, cells: Sequence[RawCell]) -> GradableCell:
    cell = slot.cell
    pictures = cells[slot.answer].attachments if slot.answer is not None and cell.kind == "markdown" else {}
    return GradableCell(
        id=cell.id,
        kind=cell.kind,
        source=slot.source,
        skip=cell.kind != "code" or cell.demo,
        released=cell,
        attachments={} if cell.fixed else pictures,
    )
