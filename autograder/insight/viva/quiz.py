"""Quizzes: the questions as files that Moodle (its XML), Canvas (QTI 1.2 in a zip) and Brightspace (its CSV) import."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from markupsafe import escape

from autograder.insight.viva import sheet
from autograder.insight.viva.asking import Asked
from autograder.insight.viva.questions import Question
from autograder.results.plain_text import cleaned, one_line
from autograder.results.table import Cell, written

_QTI = "http://www.imsglobal.org/xsd/ims_qtiasiv1p2"
_PACKAGE = "http://www.imsglobal.org/xsd/imsccv1p1/imscp_v1p1"
_COLUMNS = 5
"""of each row that Brightspace reads"""
_REFERENCES = {ord(sign): f"&#{ord(sign)};" for sign in "\n=+-@"}
"""for HTML in a table: so no line of a student's code begins a line or, to a spreadsheet, a formula"""
_LONG_AGO = (1980, 1, 1, 0, 0, 0)
"""the time of files in a zip, so that the same questions give the same bytes"""


def moodle(title: str, books: Sequence[Asked]) -> bytes:
    """Moodle XML: one category, one multichoice question for each question; the right answer has fraction 100."""
    root = Element("quiz")
    category = SubElement(root, "question", type="category")
    _text(SubElement(category, "category"), f"$course$/{one_line(title)}")
    for name, one, html in _each(books):
        question = SubElement(root, "question", type="multichoice")
        _text(SubElement(question, "name"), name)
        _text(SubElement(question, "questiontext", format="html"), html)
        for tag, value in (("defaultgrade", "1"), ("penalty", "0"), ("hidden", "0"), ("single", "true")):
            SubElement(question, tag).text = value
        for tag, value in (("shuffleanswers", "true"), ("answernumbering", "ABCD")):
            SubElement(question, tag).text = value
        for answer in one.answers:
            fraction = "100" if answer == one.right else "0"
            _text(SubElement(question, "answer", fraction=fraction, format="html"), _code(answer))
    return _xml(root)


def _text(parent: Element, text: str) -> None:
    SubElement(parent, "text").text = text


def qti(title: str, books: Sequence[Asked]) -> bytes:
    """A zip with QTI 1.2: a manifest, and an assessment in which each item is a multiple_choice_question."""
    ident = f"viva{hashlib.blake2b(title.encode(errors='replace'), digest_size=8).hexdigest()}"
    root = Element("questestinterop", xmlns=_QTI)
    assessment = SubElement(root, "assessment", ident=ident, title=one_line(title))
    section = SubElement(assessment, "section", ident="root_section")
    for number, (name, one, html) in enumerate(_each(books), 1):
        _item(section, f"{ident}-{number}", name, one, html)
    manifest = Element("manifest", identifier=f"{ident}-manifest", xmlns=_PACKAGE)
    metadata = SubElement(manifest, "metadata")
    SubElement(metadata, "schema").text = "IMS Content"
    SubElement(metadata, "schemaversion").text = "1.1.3"
    SubElement(manifest, "organizations")
    resource = SubElement(SubElement(manifest, "resources"), "resource", identifier=ident, type="imsqti_xmlv1p2")
    SubElement(resource, "file", href=f"{ident}/{ident}.xml")
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, tree in (("imsmanifest.xml", manifest), (f"{ident}/{ident}.xml", root)):
            archive.writestr(zipfile.ZipInfo(path, _LONG_AGO), _xml(tree))
    return packed.getvalue()


def _item(section: Element, ident: str, name: str, one: Question, html: str) -> None:
    item = SubElement(section, "item", ident=ident, title=name)
    fields = SubElement(SubElement(item, "itemmetadata"), "qtimetadata")
    idents = [f"answer{number}" for number in range(1, len(one.answers) + 1)]
    for label, entry in (
        ("question_type", "multiple_choice_question"),
        ("points_possible", "1"),
        ("original_answer_ids", ",".join(idents)),
        ("assessment_question_identifierref", f"{ident}-ref"),
    ):
        field = SubElement(fields, "qtimetadatafield")
        SubElement(field, "fieldlabel").text = label
        SubElement(field, "fieldentry").text = entry
    presentation = SubElement(item, "presentation")
    _material(presentation, html)
    response = SubElement(presentation, "response_lid", ident="response1", rcardinality="Single")
    choices = SubElement(response, "render_choice")
    for answer, text in zip(idents, one.answers, strict=True):
        _material(SubElement(choices, "response_label", ident=answer), _code(text))
    processing = SubElement(item, "resprocessing")
    outcomes = SubElement(processing, "outcomes")
    SubElement(outcomes, "decvar", maxvalue="100", minvalue="0", varname="SCORE", vartype="Decimal")
    condition = SubElement(processing, "respcondition", {"continue": "No"})
    equal = SubElement(SubElement(condition, "conditionvar"), "varequal", respident="response1")
    equal.text = idents[one.at]
    SubElement(condition, "setvar", action="Set", varname="SCORE").text = "100"


def _material(parent: Element, html: str) -> None:
    SubElement(SubElement(parent, "material"), "mattext", texttype="text/html").text = html


def brightspace(title: str, books: Sequence[Asked]) -> bytes:
    """Brightspace's CSV of questions, laid out as the sample file of its question library: five columns, UTF-8.

    A question is `NewQuestion,MC`, a row for each property, and `Option,PERCENT,ANSWER,HTML,FEEDBACK` for each answer.
    """
    rows: list[list[Cell]] = []
    for name, one, html in _each(books):
        rows += [["NewQuestion", "MC"], ["Title", f"{title}: {name}"]]
        rows += [["QuestionText", html.translate(_REFERENCES), "HTML"], ["Points", 1], ["Difficulty", 1]]
        answers = ((_code(answer).translate(_REFERENCES), answer == one.right) for answer in one.answers)
        rows += [["Option", 100 if right else 0, text, "HTML"] for text, right in answers]
        rows.append([])
    return written([*row, *[None] * (_COLUMNS - len(row))] for row in rows).encode("utf-8-sig")


FORMATS: Mapping[str, tuple[str, Callable[[str, Sequence[Asked]], bytes]]] = {
    "moodle": ("xml", moodle),
    "qti": ("zip", qti),
    "csv": ("csv", brightspace),
}
"""by name: how the file's name ends, and what makes it"""


def _each(books: Sequence[Asked]) -> Iterator[tuple[str, Question, str]]:
    """The name of each question, the question, and its text with the code as HTML."""
    for book in books:
        for number, one in enumerate(book.questions, 1):
            source = sheet.numbered(book.sources[one.cell], one.first, one.last)
            setting = "".join(f"<br>{_code(line)}" for line in one.setting)
            html = f"<p>{sheet.coded(cleaned(one.text))}{setting}</p><pre>{escape(source)}</pre>"
            yield f"{book.notebook} {number}", one, html


def _code(text: str) -> str:
    return f"<code>{escape(cleaned(text))}</code>"


def _xml(root: Element) -> bytes:
    ElementTree.indent(root)
    made: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return made
