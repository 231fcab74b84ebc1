"""Reports: a result as a JSON file, as the student's feedback page, and as a line of the class table."""

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

from autograder.results.picture import MOST_BYTES, png_size
from autograder.results.plain_text import cleaned, points_text
from autograder.results.result import CellResult, NotebookResult, Output, Result

_TEXT = 4000
"""characters shown of one text"""
_RAW = 200_000
"""characters of one text that are looked at; cleaning more would only cost time"""
_BLOCKS = 300
"""outputs shown of one notebook"""


_TIERS = {
    "A": "Your code ran sealed off: with a file system and processes of its own, without a network, "
    "its memory limited by the kernel.",
    "B": "Your code ran sealed off: with a file system and processes of its own, without a network, "
    "its memory watched by the grader.",
    "C": "Your code ran behind kernel rules that kept it from the network and from all files but its own, "
    "its memory watched by the grader.",
    "none": "Your code ran without a sandbox, as your instructor asked for.",
}


def html(result: Result) -> str:
    """The student's feedback page: one file that needs nothing else, and in which nothing of the student's runs."""
    books, pictures = result.notebooks, _Pictures()
    tiers = dict.fromkeys([result.tier, *(book.tier for book in books)])
    page = _templates().get_template("feedback.html")
    return page.render(
        result=result,
        waiting=sum(cell.points for book in books for cell in book.cells if cell.earned is None),
        looks=tuple(_looks(result)),
        books=[(book, tuple(_shown(book, pictures)), max(0, len(book.outputs) - _BLOCKS)) for book in books],
        tiers=[(tier, _TIERS.get(tier, "")) for tier in tiers],
        graded=_date(result.graded_at),
    )


def warm() -> None:
    """Compile the templates, so that forks of this process find them ready."""
    for name in _templates().list_templates():
        _templates().get_template(name)


@dataclass(frozen=True)
class _Look:
    """One thing for the student to look at first."""

    anchor: str
    title: str
    text: str
    lost: float = 0.0
    points: float = 0.0


@dataclass(frozen=True)
class _Block:
    """One output as the page shows it: a picture, or a text with the number of characters left out."""

    kind: str
    text: str = ""
    left_out: int = 0
    uri: str = ""
    size: tuple[int, int] = (0, 0)
    number: int = 0


@dataclass(frozen=True)
class _Showing:
    """What one cell showed."""

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
    """The bytes that are left for pictures on this page."""

    left: int = 2 * MOST_BYTES

    def block(self, png: bytes, number: int) -> _Block:
        """A figure, or a sentence in place of what is no sane picture."""
        size = png_size(png)
        if size is None:
            return _Block("dropped", "A picture that could not be shown: it is not a sound PNG of a sensible size.")
        if len(png) > self.left:
            return _Block("dropped", "A picture is left out here: together your pictures are too big for this page.")
        self.left -= len(png)
        # marked as safe because base64 has no signs that could end an attribute, and cleaning it would take long
        uri = Markup("data:image/png;base64," + base64.b64encode(png).decode())
        return _Block("figure", uri=uri, size=size, number=number)


def _looks(result: Result) -> Iterator[_Look]:
    """Incidents, then the cells that cost most points, each with its hint or the first thing that was wrong."""
    cells: list[tuple[float, str, CellResult]] = []
    for n, book in enumerate(result.notebooks, 1):
        yield from (_Look(f"n{n}", book.title, incident.note) for incident in book.incidents[:2])
        if any(incident.kind in ("missing", "unreadable") for incident in book.incidents):
            continue  # one reason for all its cells, and it is already given
        for c, cell in enumerate(book.cells, 1):
            if cell.earned is not None and cell.earned < cell.points:
                cells.append((cell.points - cell.earned, f"n{n}-c{c}", cell))
    hinted: set[str] = set()
    for lost, anchor, cell in sorted(cells, key=lambda entry: -entry[0])[:4]:
        failed = next((test for test in cell.tests if not test.passed), None)
        text = cell.note or (failed.message or failed.says if failed else "")
        hints = {diagnosis.hint for diagnosis in cell.diagnoses}
        if len(hints) == 1 and not hints <= hinted:  # one mistake often costs several cells
            hinted |= hints
            text = min(hints)
        yield _Look(anchor, cell.title, text, lost, cell.points)


def _shown(book: NotebookResult, pictures: _Pictures) -> Iterator[_Showing]:
    """The notebook's outputs in order, cell by cell; what was printed in pieces is put together."""
    for cell, outputs in groupby(book.outputs[:_BLOCKS], key=lambda output: output.cell):
        blocks: list[_Block] = []
        figures = 0
        for (kind, _), pieces in groupby(enumerate(outputs), key=_piece):
            together = [output for _, output in pieces]
            if kind == "image/png":
                figures += 1
                blocks.append(pictures.block(together[0].png, figures))
            else:
                blocks.append(_text(kind, "".join(output.text for output in together)))
        yield _Showing(cell, tuple(block for block in blocks if block.text or block.uri))


def _piece(numbered: tuple[int, Output]) -> tuple[str, int]:
    """Streams arrive in pieces that belong together; all other outputs stand alone."""
    number, output = numbered
    return output.kind, -1 if output.kind in ("stdout", "stderr") else number


def _text(kind: str, text: str) -> _Block:
    raw = text[:_RAW]
    if "\r" in raw:  # a progress bar writes over itself: its last state is what a terminal would show
        raw = "\n".join(line.rstrip("\r").rpartition("\r")[2] for line in raw.split("\n"))
    clean = cleaned(raw).rstrip()
    return _Block(kind, clean[:_TEXT], max(0, len(clean) - _TEXT) + len(text) - len(text[:_RAW]))


@functools.cache
def _templates() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("autograder.results"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=cleaned,  # whatever the page says has gone through it
        auto_reload=False,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "points": points_text,
        "short": _short,
        "prose": _prose,
        "state": _state,
        "percent": _percent,
    }
    return environment


def _short(text: str, most: int) -> str:
    text = " ".join(cleaned(text[:_TEXT]).split())
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _prose(text: str) -> Markup:
    """Escaped text in which `names` are set as code."""
    clean = cleaned(text[:_RAW])
    shown = clean if len(clean) <= _TEXT else f"{clean[:_TEXT]} … (shortened)"
    return Markup(re.sub(r"`([^`\n]+)`", r"<code>\1</code>", str(escape(shown))))


def _state(cell: CellResult) -> tuple[str, str, str]:
    """How a cell did: a CSS class, a sign and words."""
    if cell.earned is None:
        return "waits", "…", "waits for marking"
    if cell.earned >= cell.points:
        return "full", "✓", "full"
    return ("partly", "◐", "partly") if cell.earned > 0 else ("nothing", "✗", "none")


def _percent(part: float, whole: float) -> str:
    """A share in percent, never outside 0 to 100."""
    return points_text(min(100.0, max(0.0, 100 * part / whole))) if whole else "0"


def _date(moment: str) -> str:
    try:
        date = datetime.datetime.fromisoformat(moment).astimezone(datetime.UTC)
    except ValueError:
        return moment
    return f"{date.day} {date:%B %Y, %H:%M} UTC"
