"""A Sphinx extension: formulas as MathML, which browsers show without scripts and without fonts from elsewhere."""

from __future__ import annotations

import re
from typing import Any
from xml.etree import ElementTree

from sphinx.util import docutils

from autograder.results.formulas import mathml


def markup(latex: str, display: bool) -> str:
    """A formula as the text of an element `math`. Raises ValueError for one that cannot be read."""
    made = ElementTree.tostring(mathml(latex, display), encoding="unicode")
    return re.sub(r"&amp;(#x\w+;)", r"&\1", made)  # the converter's texts hold such entities


def _inline(translator: Any, node: Any) -> None:
    translator.body.append(markup(node.astext(), display=False))
    raise docutils.nodes.SkipNode  # type: ignore[attr-defined]


def _block(translator: Any, node: Any) -> None:
    made = markup(node.astext(), display=True)
    translator.body.append(f'<div class="formula" tabindex="0" role="group" aria-label="Formula">{made}</div>')
    raise docutils.nodes.SkipNode  # type: ignore[attr-defined]


def setup(app: Any) -> dict[str, bool]:
    app.add_html_math_renderer("mathml", (_inline, None), (_block, None))
    app.config.html_math_renderer = "mathml"
    return {"parallel_read_safe": True, "parallel_write_safe": True}
