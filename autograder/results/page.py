"""The student's feedback page: a result as one HTML file."""

from __future__ import annotations

import base64
import datetime
import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

import jinja2
from markupsafe import Markup, escape

from autograder.results import comment, templating
from autograder.results.picture import MOST_BYTES, jpeg_size, png_size
from autograder.results.plain_text import cleaned, points_text
from autograder.results.result import NUMBERS, CellResult, NotebookResult, Output, Result
from autograder.results.waiting import Waiting, waiting_in

_TEXT = 4000
"""number of characters of one text that are shown"""
_RAW = 200_000
"""number of characters of one text that are cleaned; cleaning more would only cost time"""
_BLOCKS = 300
"""number of outputs of one notebook that are shown"""


_TIERS = {
    "A": "Your code ran in a sandbox with its own file system and processes, without a network. "
    "Its memory was limited by the kernel.",
    "B": "Your code ran in a sandbox with its own file system and processes, without a network. "
    "The autograder monitored its memory.",
    "C": "Your code ran under kernel rules that blocked the network and all files except its own. "
    "The autograder monitored its memory.",
    "none": "Your code ran without a sandbox. Your instructor allowed this.",
}


def html(result: Result, name: str = "") -> str:
    """The student's feedback page. It loads no other file, and nothing that the student wrote can run in it.

    `name` is the student's, if it is known.
    """
    books, pictures = result.notebooks, _Pictures()
    tiers = dict.fromkeys([result.tier, *(book.tier for book in books)])
    waits = waiting_in([result])
    by_person = waits == Waiting(waits.mark)
    page = _templates().get_template("feedback.html")
    return page.render(
        result=result,
        name=name,
        waiting=sum(cell.points for cell in result.waiting),
        by_person=by_person,
        rest=f" {'A person will mark' if by_person else 'Your instructor has to look at'} the rest.",
        passed=all(test.passed for book in books for cell in book.cells for test in cell.tests),
        marked=any(cell.mark for book in books for cell in book.cells),
        looks=tuple(_looks(result)),
        books=[(book, tuple(_shown(book, pictures)), max(0, len(book.outputs) - _BLOCKS)) for book in books],
        tiers=[(tier, _TIERS.get(tier, "")) for tier in tiers],
        graded=_date(result.graded_at),
    )


def below(cell: CellResult, told: dict[str, str]) -> str:
    """What the page says below one exercise, for a page that is not ours.

    `told` are the mistakes whose hints the page has given already, each with its grade cell: this call adds to them.
    """
    return _templates().get_template("cell.html").render(cell=cell, told=told)


def remarks(book: NotebookResult) -> str:
    """What the page says of a notebook as a whole, for a page that is not ours: incidents and repairs."""
    incidents = (_templates().get_template("incident.html").render(incident=one) for one in book.incidents)
    repairs = _templates().get_template("repairs.html").render(book=book) if book.repairs else ""
    return "\n".join((*incidents, *filter(None, [repairs])))


def text(words: str) -> str:
    """Plain words as HTML."""
    return str(_prose(words))


def warm() -> None:
    """Compile the templates, so that forks of this process need not compile them."""
    for name in _templates().list_templates():
        _templates().get_template(name)


@dataclass(frozen=True)
class _Look:
    """One item of the section “What to look at first”."""

    anchor: str
    title: str
    text: str
    lost: float = 0.0
    points: float = 0.0


@dataclass(frozen=True)
class _Block:
    """One output on the page: a picture with its text alternative, or a text with how many characters are left out."""

    kind: str
    text: str = ""
    left_out: int = 0
    uri: str = ""
    size: tuple[int, int] = (0, 0)
    number: int = 0


@dataclass(frozen=True)
class _Showing:
    """All outputs of one cell."""

    cell: str
    blocks: tuple[_Block, ...]

    @property
    def figures(self) -> int:
        return sum(block.kind == "figure" for block in self.blocks)

    @property
    def error(self) -> str:
        """The first line of the first error, or ''."""
        return next((block.text.partition("\n")[0] for block in self.blocks if block.kind == "error"), "")


@dataclass
class _Pictures:
    """The picture budget of a page: how many more bytes of pictures it may contain."""

    left: int = 2 * MOST_BYTES

    def block(self, output: Output, number: int) -> _Block:
        """A figure, or a sentence in its place when the picture cannot be shown."""
        kind, png = output.kind, output.png
        size = png_size(png) if kind == "image/png" else jpeg_size(png)
        if size is None:
            return _Block("dropped", "A picture is left out here: it is not valid, or it is too large.")
        if len(png) > self.left:
            return _Block("dropped", "A picture is left out here: your pictures together are too big for this page.")
        self.left -= len(png)
        # Marked as safe: base64 has no characters that could end an attribute, and cleaning it would take too long.
        uri = Markup(f"data:{kind};base64," + base64.b64encode(png).decode())
        return _Block("figure", templating.short(output.alt, _TEXT), uri=uri, size=size, number=number)


def _looks(result: Result) -> Iterator[_Look]:
    """Incidents, then the cells that lost most points, each with its hint or its first failed test.

    What was written comes before what is not written yet, about which there is nothing to learn.
    """
    cells: list[tuple[float, str, CellResult]] = []
    for n, book in enumerate(result.notebooks, 1):
        strange = (repair.note for repair in book.repairs if repair.kind == NUMBERS)
        notes = (*strange, *(incident.note for incident in book.incidents[:2]))
        yield from (_Look(f"n{n}", book.title, note) for note in notes)
        if book.unread:
            continue  # the incident already explains why all cells of this notebook lost points
        for c, cell in enumerate(book.cells, 1):
            if cell.lost:
                cells.append((cell.lost, f"n{n}-c{c}", cell))
    hinted: set[str] = set()
    for lost, anchor, cell in sorted(cells, key=lambda entry: (entry[2].unwritten, -entry[0]))[:4]:
        failed = next((test for test in cell.tests if not test.passed), None)
        text = cell.note or (failed.message or failed.says if failed else "")
        if cell.mark is not None and cell.mark.points is not None:  # a person decided, whatever tests and hints say
            said = comment.as_text(cell.mark.comment) if cell.mark.comment else ""
            yield _Look(anchor, cell.title, said, lost, cell.points)
            continue
        hints = {diagnosis.hint for diagnosis in cell.diagnoses}
        if len(hints) == 1 and not hints <= hinted:  # one mistake often costs points in several cells
            hinted |= hints
            text = min(hints)
        yield _Look(anchor, cell.title, text, lost, cell.points)


def _shown(book: NotebookResult, pictures: _Pictures) -> Iterator[_Showing]:
    """The notebook's outputs in order, grouped by cell. Text that was printed in pieces is joined."""
    for cell, outputs in groupby(book.outputs[:_BLOCKS], key=lambda output: output.cell):
        blocks: list[_Block] = []
        figures = 0
        for (kind, _), pieces in groupby(enumerate(outputs), key=_piece):
            together = [output for _, output in pieces]
            if kind in ("image/png", "image/jpeg"):
                figures += 1
                blocks.append(pictures.block(together[0], figures))
            else:
                blocks.append(_text(kind, "".join(output.text for output in together)))
        yield _Showing(cell, tuple(block for block in blocks if block.text or block.uri))


def _piece(numbered: tuple[int, Output]) -> tuple[str, int]:
    """The key by which outputs are joined: the pieces of a stream share a key, and all other outputs have their own."""
    number, output = numbered
    return output.kind, -1 if output.kind in ("stdout", "stderr") else number


def _text(kind: str, text: str) -> _Block:
    raw = text[:_RAW]
    if "\r" in raw:  # a progress bar overwrites its line; keep its last state, as a terminal does
        raw = "\n".join(line.rstrip("\r").rpartition("\r")[2] for line in raw.split("\n"))
    clean = cleaned(raw).rstrip()
    return _Block(kind, clean[:_TEXT], max(0, len(clean) - _TEXT) + len(text) - len(text[:_RAW]))


@functools.cache
def _templates() -> jinja2.Environment:
    environment = templating.environment("autograder.results")
    environment.filters |= {
        "points": points_text,
        "prose": _prose,
        "comment": comment.as_html,
        "state": state,
        "percent": _percent,
    }
    return environment


def _prose(text: str) -> Markup:
    """Escaped text in which `names` between backquotes are formatted as code."""
    clean = cleaned(text[:_RAW])
    shown = clean if len(clean) <= _TEXT else f"{clean[:_TEXT]} … (shortened)"
    return Markup(re.sub(r"`([^`\n]+)`", r"<code>\1</code>", str(escape(shown))))


def state(cell: CellResult) -> tuple[str, str, str]:
    """The state of a cell: a CSS class, a sign and words."""
    if cell.earned is None:
        return "waits", "…", "not marked yet"
    if not cell.points:
        passed = sum(test.passed for test in cell.tests)
        if passed and passed == len(cell.tests):
            return "full", "✓", "all passed"
        return ("partly", "◐", "partly") if passed else ("waits", "–", "not done")
    if cell.bonus and not cell.earned:
        return "waits", "–", "no bonus"
    extra = cell.mark.extra if cell.mark else 0.0
    more = f" + {points_text(extra)} extra" if extra else ""
    earned = round(cell.earned - extra, 6)
    if earned >= cell.points:
        return "full", "✓", f"full{more}"
    return ("partly", "◐", f"partly{more}") if earned > 0 else ("nothing", "✗", f"none{more}")


def _percent(part: float, whole: float) -> str:
    """A share in percent, limited to 0 to 100."""
    return points_text(min(100.0, max(0.0, 100 * part / whole))) if whole else "0"


def _date(moment: str) -> str:
    try:
        date = datetime.datetime.fromisoformat(moment).astimezone(datetime.UTC)
    except ValueError:
        return moment
    return f"{date.day} {date:%B %Y, %H:%M} UTC"
