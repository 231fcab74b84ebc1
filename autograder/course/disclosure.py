"""What a published file would disclose: solutions, mark schemes, hidden tests, known mistakes, the course's secret.

Hidden texts are recognised by their content, wherever they stand: code line by line, prose by eight words in a row,
both without regard to spaces and line breaks. What the notebooks themselves show is not hidden.
"""

from __future__ import annotations

import ast
import json
import re
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from autograder.course.course import SECRET_FILE, Course, refused
from autograder.course.hand_in import hand_in_code
from autograder.course.master import Cell, Master, parted
from autograder.course.mistakes import Mistake, mistakes
from autograder.course.source_notebook import setup_source
from autograder.course.stripping import CODE_STUB, TEXT_STUB
from autograder.course.tables import Masters

_CODE_LENGTH = 12
"""characters; a shorter line of code (`return x`, `else:`) may occur anywhere"""
_TELLING_LENGTH = 30
"""characters; a line of code as long as this is hidden even from the notebooks' own prose"""
_KEY = 3
"""words and signs by which a line of code is looked up"""
_WINDOW = 8
"""words in a row that do not come about by chance"""
_SENTENCE = 5
"""words of the shortest sentence of an answer that is hidden as a whole"""
_QUOTATION = 12
"""words of the shortest sentence of an answer that no notebook has a reason to show"""
_SECRET_LENGTH = 16
"""characters of the shortest secret that is looked for"""

_HEAD = 8192
"""characters at the start of a file that show whether it is text"""
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
_READ = {".py", ".md", ".txt", ".json", ".toml", ".yml", ".csv"}
"""the files beside masters that are read for what they hide"""

_SIGNS = re.compile(r"\w+|[^\w\s]")
_WORDS = re.compile(r"\w+")
_JSON_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
_SENTENCE_END = re.compile(r"[.!?:;](?=\s)|\n\s*(?=[\n*|-])")
_COMMENT = re.compile(r"(?:^|\s{2})\s*#.*")
_TEST = re.compile(r"^def (test_\w+)", re.MULTILINE)

Located = tuple[str, int]
"""a piece of a file and the line that it begins in"""


@dataclass(frozen=True)
class Disclosure:
    """A place in a published file that gives something away."""

    path: Path
    line: int
    what: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.what}"


@dataclass(frozen=True)
class _Line:
    """A hidden line of code."""

    signs: tuple[str, ...]
    text: str
    origin: str
    telling: bool = False
    """whether it gives something away even where a notebook's own prose shows it"""


@dataclass
class Hidden:
    """Everything in a course that students must not see."""

    secret: str = ""
    lines: dict[tuple[str, ...], list[_Line]] = field(default_factory=dict)
    """lines of code by their first words and signs"""
    words: dict[tuple[str, ...], str] = field(default_factory=dict)
    """runs of words, and where each is from"""

    def add_code(self, text: str, origin: str) -> None:
        """Hide every line of a piece of code that is long enough to be told from others. Comments are prose."""
        for line in text.split("\n"):
            code = _COMMENT.sub("", line).strip()
            self.add_line(code, origin, telling=len(code) >= _TELLING_LENGTH)

    def add_line(self, line: str, origin: str, *, telling: bool = False) -> None:
        """Hide a line as a whole, unless it is too short, or a rule of a table."""
        signs = tuple(_SIGNS.findall(line))
        if len(line) >= _CODE_LENGTH and len(signs) >= _KEY and _WORDS.search(line):
            self.lines.setdefault(signs[:_KEY], []).append(_Line(signs, line, origin, telling))

    def add_prose(self, text: str, origin: str) -> None:
        """Hide every eight words in a row, or all of a shorter text."""
        words = _words(text)
        for at in range(max(len(words) - _WINDOW, 0) + 1):
            self._add_run(words[at : at + _WINDOW], origin)

    def add_answer(self, text: str, origin: str) -> None:
        """Hide a text that a person wrote as an answer: also its short sentences, and its lines as they are."""
        for line in text.split("\n"):
            self.add_line(line.strip(), origin)
        self.add_prose(text, origin)
        for sentence in _SENTENCE_END.split(text):
            words = _words(sentence)
            if len(words) < _WINDOW:
                self._add_run(words, origin)

    def _add_run(self, words: tuple[str, ...], origin: str) -> None:
        if len(words) >= _SENTENCE:
            self.words.setdefault(words, origin)

    def excuse(self, code: str, prose: str) -> None:
        """Take out what notebooks show. A long line of code in their prose is no excuse: it is an answer."""
        shown = {line for _, line in self._code_in([(code, 1)])}
        shown |= {line for _, line in self._code_in([(prose, 1)]) if not line.telling}
        for key, lines in self.lines.items():
            self.lines[key] = [line for line in lines if line not in shown]
        for _, words in list(self._prose_in([(code, 1), (prose, 1)])):
            self.words.pop(words, None)

    def disclosed_by(self, path: Path, data: bytes) -> list[Disclosure]:
        """The places in a file that give something away; `path` is what the file is called in them."""
        text = data.decode("utf-16" if data.startswith(_UTF_16) else "utf-8", errors="replace")
        said: dict[tuple[int, str], str] = {}
        for line, number in _lines(text):
            if self.secret and self.secret in line.casefold():
                said[number, ""] = "the course's secret"
        binary = "\0" in text[:_HEAD]
        pieces = list(() if binary else _strings(text) if path.suffix.casefold() == ".ipynb" else _lines(text))
        for number, found in self._code_in(pieces):
            said.setdefault((number, found.text), f"{found.origin}: {found.text}")
        told = {number for number, _ in said}
        for number, words in self._prose_in(pieces):
            if number not in told:
                said.setdefault((number, self.words[words]), f"{self.words[words]}: … {' '.join(words)} …")
        return [Disclosure(path, number, what) for (number, _), what in sorted(said.items())]

    def _code_in(self, pieces: Iterable[Located]) -> Iterator[tuple[int, _Line]]:
        """The hidden lines of code in a text, and the lines of the file in which they begin."""
        signs, numbers = _parts(_SIGNS, pieces)
        for at in range(len(signs) - _KEY + 1):
            for line in self.lines.get(tuple(signs[at : at + _KEY]), ()):
                if tuple(signs[at : at + len(line.signs)]) == line.signs:
                    yield numbers[at], line

    def _prose_in(self, pieces: Iterable[Located]) -> Iterator[tuple[int, tuple[str, ...]]]:
        """The hidden runs of words in a text, and the lines of the file in which they begin."""
        words, numbers = _parts(_WORDS, pieces)
        words = [word.casefold() for word in words]
        for at in range(len(words)):
            for length in range(_SENTENCE, _WINDOW + 1):
                run = tuple(words[at : at + length])
                if run in self.words:
                    yield numbers[at], run


def hidden(course: Course, masters: Masters) -> Hidden:
    """What these masters and the files beside them hide. Raises CourseError for a file that cannot be read."""
    found = Hidden(_secret(course))
    shown_code, shown_prose = [setup_source(), hand_in_code(), CODE_STUB], [TEXT_STUB]
    for name, books in masters.items():
        for book in books:
            code, prose = _hide(found, book, name)
            shown_code += code
            shown_prose += prose
            for mistake in mistakes(course.homework(name), book.notebook):
                found.add_prose(mistake.hint, _hint(name, book, mistake))
        for room, what in (("hidden", "a hidden test"), ("alternatives", "another right answer")):
            for path in sorted((course.root / name / room).rglob("*")):
                if path.suffix in _READ and path.is_file():
                    text = _text(path)
                    origin = f"{what} ({path.relative_to(course.root)})"
                    found.add_code(text, origin)
                    found.add_prose(_prose_of(text) if path.suffix == ".py" else text, origin)
    found.excuse("\n".join(shown_code), "\n".join(shown_prose))
    for name, books in masters.items():  # no notebook has a reason to show these, so nothing excuses them
        homework = course.homework(name)
        for book in books:
            tests = homework.hidden(book.notebook)
            for test in _TEST.findall(_text(tests) if tests.exists() else ""):
                found.add_line(f"def {test}(", f"a hidden test ({tests.relative_to(course.root)})")
            for mistake in mistakes(homework, book.notebook):
                found.add_line(mistake.hint, _hint(name, book, mistake))
            for cell in (cell for cell in book.cells if cell.kind == "markdown"):
                for sentence in _SENTENCE_END.split("\n".join(parted(cell)[1])):
                    if len(_words(sentence)) >= _QUOTATION:
                        found.add_line(" ".join(sentence.split()), _origin(name, book, cell))
    return found


def _hide(found: Hidden, book: Master, homework: str) -> tuple[list[str], list[str]]:
    """Hide the solutions and mark schemes of a master; return the code and the prose that it shows."""
    code: list[str] = []
    prose: list[str] = []
    for cell in book.cells:
        seen, unseen = ("\n".join(lines) for lines in parted(cell))
        origin = _origin(homework, book, cell)
        if cell.kind == "code":
            found.add_code(unseen, origin)
            code += [line for line in seen.split("\n") if not line.lstrip().startswith("#")]
            prose += [line for line in seen.split("\n") if line.lstrip().startswith("#")]
            found.add_prose("\n".join(re.findall(r"# (.*)", unseen)), origin)
        else:
            prose.append(seen)
            found.add_answer(unseen, origin)
    return code, prose


def _origin(homework: str, book: Master, cell: Cell) -> str:
    what = "a solution" if cell.kind == "code" else "a model answer or mark scheme"
    return f"{what} ({homework}/{book.notebook}.py, cell {cell.id})"


def _hint(homework: str, book: Master, mistake: Mistake) -> str:
    return f"the hint of a known mistake ({homework}/mistakes/{book.notebook}.toml, {mistake.id})"


def _prose_of(code: str) -> str:
    """The comments and strings of a Python file."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(code)
    except (SyntaxError, ValueError):
        return code
    strings = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    return "\n\n".join([*strings, "\n".join(re.findall(r"# (?!%%)(.*)", code))])


def _secret(course: Course) -> str:
    """The course's secret; '' if there is none yet."""
    path = course.root / SECRET_FILE
    text = _text(path).strip().casefold() if path.exists() else ""
    return text if len(text) >= _SECRET_LENGTH else ""


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise refused(path, "this file cannot be read, so nobody knows what students would see", error) from None


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.casefold() for word in _WORDS.findall(text))


def _lines(text: str) -> Iterator[Located]:
    return ((line, number) for number, line in enumerate(text.split("\n"), 1))


def _strings(text: str) -> Iterator[Located]:
    """The strings in a JSON text, decoded. Of a string with several lines, each has the number of the string's line."""
    number, last = 1, 0
    for found in _JSON_STRING.finditer(text):
        number += text.count("\n", last, found.start())
        last = found.start()
        try:
            yield json.loads(found[0], strict=False), number
        except ValueError:
            yield found[0], number


def _parts(kind: re.Pattern[str], pieces: Iterable[Located]) -> tuple[Sequence[str], Sequence[int]]:
    """The words, or words and signs, of a text, and the line that each stands in."""
    parts: list[str] = []
    numbers: list[int] = []
    for text, number in pieces:
        for part in kind.findall(text):
            parts.append(part)
            numbers.append(number)
    return parts, numbers
