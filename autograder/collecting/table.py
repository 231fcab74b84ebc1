"""What a person has to look at after collecting, as a table."""

from __future__ import annotations

from collections.abc import Iterator

from autograder.collecting.collect import Collection
from autograder.collecting.desk import Collected
from autograder.results.plain_text import plain
from autograder.submission.filename import shown

_STRAYS = 10


def table(found: Collection) -> Iterator[str]:
    """The lines of a table: who or which file, what is the matter, and why."""
    rows = [(one.student, _state(one), note) for one in found.collected for note in one.notes or ("",) if one.finding]
    rows += [(trouble.who, trouble.kind, trouble.why) for trouble in found.troubles]
    for division in found.divisions:
        rows += [(path, "refused", f"it is {why}") for path, why in division.source.refused]
        rows += [(shown(path), "stray", "it belongs to no student") for path in division.strays[:_STRAYS]]
        if len(division.strays) > _STRAYS:
            rows.append(("…", "stray", f"and {len(division.strays) - _STRAYS} more files that belong to no student"))
        if not division.handed_in:
            why = "no submissions were recognised in it: is it what the platform gave you? --from says which one"
            rows.append((division.source.path.name, "empty", why))
    rows = [(_line(who), what, _line(why)) for who, what, why in rows]
    first, second = (max((len(row[at]) for row in rows), default=0) for at in (0, 1))
    for who, what, why in rows:
        yield f"{who:{min(first, 40)}}  {what:{second}}  {why}".rstrip()


def _line(text: str) -> str:
    """One line of text without signs that a terminal would act on: names come from students."""
    return plain(" ".join(text.split()))


def _state(one: Collected) -> str:
    return f"{one.state}, late" if one.late else one.state
