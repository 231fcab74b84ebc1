"""A Sphinx extension: formulas as MathML, which browsers show without scripts and without fonts from elsewhere."""

from __future__ import annotations

import re
from typing import Any

from latex2mathml.converter import convert
from sphinx.util import docutils


def mathml(latex: str, display: bool) -> str:
    """A formula as MathML. Raises ValueError for a command that the converter does not know."""
    made = convert(
        re.sub(r"\\arg(?![a-zA-Z])", r"\\operatorname{arg}\\,", latex), display="block" if display else "inline"
    )
    if unknown := re.findall(r"<m[io]>(\\[a-zA-Z]+)", made):
        raise ValueError(f"{latex!r}: no MathML for {', '.join(unknown)}: write it otherwise, or see {__file__}")
    return made


def _inline(translator: Any, node: Any) -> None:
    translator.body.append(mathml(node.astext(), display=False))
    raise docutils.nodes.SkipNode  # type: ignore[attr-defined]


def _block(translator: Any, node: Any) -> None:
    made = mathml(node.astext(), display=True)
    translator.body.append(f'<div class="formula" tabindex="0" role="group" aria-label="Formula">{made}</div>')
    raise docutils.nodes.SkipNode  # type: ignore[attr-defined]


def setup(app: Any) -> dict[str, bool]:
    app.add_html_math_renderer("mathml", (_inline, None), (_block, None))
    app.config.html_math_renderer = "mathml"
    return {"parallel_read_safe": True, "parallel_write_safe": True}
