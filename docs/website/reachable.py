"""A Sphinx extension: what the theme leaves out for keyboards and screen readers."""

from __future__ import annotations

from typing import Any

_SCROLLS = (
    ("<pre>", '<pre tabindex="0">'),
    ('<div class="table-wrapper', '<div tabindex="0" role="group" aria-label="Table" class="table-wrapper'),
)
"""what may be wider than the window is scrolled by keyboard as well"""
_LEVEL = ('<p class="caption" role="heading">', '<p class="caption" role="heading" aria-level="2">')


def _change(app: Any, name: str, template: str, context: dict[str, Any], tree: Any) -> None:
    for key, changes in (("body", _SCROLLS), ("furo_navigation_tree", (_LEVEL,))):
        for plain, reachable in changes:
            if key in context:
                context[key] = context[key].replace(plain, reachable)


def setup(app: Any) -> dict[str, bool]:
    app.connect("html-page-context", _change, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
