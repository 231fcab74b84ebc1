"""Formulas in LaTeX as MathML, which browsers show, and read out, without scripts and without a network."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import TYPE_CHECKING, Any

from bleach import html5lib_shim
from latex2mathml.converter import convert_to_element

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

_MOST = 2000
"""number of characters of a formula; a longer one is shown as it was typed"""
_FORMULA = re.compile(
    r"(?<!\\)\$\$(?P<block>.+?)\$\$"
    r"|(?<![\\$])\$(?P<inline>[^$]+)\$"
    rf"|(?P<environment>\\begin\{{(?P<name>[a-z]{{1,20}}\*?)\}}.{{0,{_MOST}}}?\\end\{{(?P=name)\}})",
    re.DOTALL,
)
_ATTRIBUTES = {
    *("accent", "accentunder", "alttext", "columnalign", "columnlines", "columnspacing", "depth", "display"),
    *("displaystyle", "fence", "form", "height", "linethickness", "lspace", "mathsize", "mathvariant", "maxsize"),
    *("minsize", "notation", "rowlines", "rowspacing", "rspace", "scriptlevel", "separator", "stretchy", "width"),
}
"""attributes that neither load nor run anything; `href` does"""
_WORDS = {"Characters", "SpaceCharacters", "Entity"}
_UNKNOWN = re.compile(r"\\[A-Za-z]+")

Token = dict[str, Any]


class Formulas(html5lib_shim.Filter):  # type: ignore[misc]
    """A filter for bleach: formulas between dollars, and LaTeX's environments, become MathML. Code stays code."""

    def __iter__(self) -> Iterator[Token]:
        code = 0
        for words, tokens in groupby(super().__iter__(), key=lambda token: token["type"] in _WORDS):
            if words and not code:
                yield from _shown(list(tokens))
                continue
            for token in tokens:
                if token.get("name") in ("code", "pre"):
                    code += {"StartTag": 1, "EndTag": -1}.get(token["type"], 0)
                yield token


def mathml(latex: str, display: bool) -> Element:
    """A formula as an element `math`. Raises ValueError for one that cannot be read."""
    if len(latex) > _MOST:
        raise ValueError(f"the formula has {len(latex)} characters; the most are {_MOST}")
    try:
        known = re.sub(r"\\arg(?![A-Za-z])", r"\\operatorname{arg}\\,", latex)
        element: Element = convert_to_element(known, display="block" if display else "inline")
    except Exception as error:  # it has many ways to stumble over what students type
        raise ValueError(f"{latex!r} cannot be read: {error}") from error
    if unknown := [
        name for part in element.iter() for name in _UNKNOWN.findall(part.text or "") if part.tag != "mtext"
    ]:
        raise ValueError(f"{latex!r} has commands that have no MathML: {', '.join(unknown)}")
    return element


def _shown(tokens: list[Token]) -> Iterator[Token]:
    """The tokens of a text, its formulas as MathML."""
    text = "".join(html.unescape(f"&{one['name']};") if one["type"] == "Entity" else one["data"] for one in tokens)
    if not _FORMULA.search(text):
        yield from tokens
        return
    end = 0
    for found in _FORMULA.finditer(text):
        yield {"type": "Characters", "data": text[end : found.start()]}
        yield from _formula(found["block"] or found["inline"] or found["environment"], not found["inline"])
        end = found.end()
    yield {"type": "Characters", "data": text[end:]}


def _formula(latex: str, display: bool) -> Iterable[Token]:
    try:
        element = mathml(latex, display)
    except ValueError:
        return [_tag("StartTag", "code"), {"type": "Characters", "data": latex}, _tag("EndTag", "code")]
    element.set("alttext", latex)
    return _tokens(element)


def _tokens(element: Element) -> Iterator[Token]:
    allowed = {(None, name): str(value) for name, value in element.attrib.items() if name in _ATTRIBUTES}
    yield _tag("StartTag", element.tag) | {"data": allowed}
    yield {"type": "Characters", "data": html.unescape(element.text or "")}
    for child in element:
        yield from _tokens(child)
    yield _tag("EndTag", element.tag)


def _tag(kind: str, name: str) -> Token:
    return {"type": kind, "name": name, "namespace": None, "data": {}}
