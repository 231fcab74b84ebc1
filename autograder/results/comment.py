"""What a marker wrote about an answer, as HTML without anything that loads, runs or leads elsewhere.

Formgrader promises Markdown and MathJax. Our page has no script, so a formula is shown as code, its commands as signs.
"""

from __future__ import annotations

import functools
import re
from typing import Any

import bleach
from markupsafe import Markup

from autograder.results.plain_text import plain

_MOST = 4000
"""number of characters that are shown"""
_TAGS = {"p", "br", "em", "strong", "del", "code", "pre", "ul", "ol", "li", "blockquote"}


def as_html(comment: str) -> Markup:
    """The comment with its emphasis, code and lists; tags in it are shown as they stand there."""
    clean = plain(comment)
    shown = clean if len(clean) <= _MOST else f"{clean[:_MOST]} … (shortened)"
    return Markup(bleach.clean(_markdown().render(shown), tags=_TAGS, attributes={}, strip=True))


def as_text(comment: str) -> str:
    """The words of the comment, without marks of emphasis."""
    return as_html(comment).striptags()


@functools.cache
def _markdown() -> Any:
    """nbconvert's reader of Markdown, which leaves formulas alone. Importing it takes half a second."""
    from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath

    class Renderer(IPythonRenderer):
        def heading(self, text: str, level: int, **about: Any) -> str:
            return f"<p><strong>{text}</strong></p>\n"

        def link(self, text: str, url: str, title: str | None = None) -> str:
            address = self.escape_html(url)
            return text if text == address else f"{text} ({address})"

        def image(self, text: str, url: str, title: str | None = None) -> str:
            return str(self.link(text, url))

        def inline_math(self, body: str) -> str:
            return f"<code>{self.escape_html(_signs(body))}</code>"

        def block_math(self, body: str) -> str:
            return str(self.inline_math(body.strip()))

        def latex_environment(self, name: str, body: str) -> str:
            return str(self.inline_math(super().latex_environment(name, body)))

        def softbreak(self) -> str:
            return "<br>\n"

    return MarkdownWithMath(renderer=Renderer(escape=True))


def _signs(formula: str) -> str:
    """The formula with the commands that stand for one sign replaced by it."""
    from IPython.core.latex_symbols import latex_symbols

    return re.sub(r"\\[A-Za-z]+", lambda command: latex_symbols.get(command[0], command[0]), formula)
