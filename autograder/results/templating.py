"""Templates of pages that people open from a disk: everything is escaped and cleaned, and nothing is loaded."""

from __future__ import annotations

import jinja2

from autograder.results.plain_text import cleaned, counted

_LOOKED_AT = 20
"""characters that are looked at for each one that is shown, as text may be long and mostly blank"""


def environment(*packages: str) -> jinja2.Environment:
    """The environment for the templates/ folders of these packages, the first one first.

    Its filters are `short` and `counted`.
    """
    found = jinja2.Environment(
        loader=jinja2.ChoiceLoader([jinja2.PackageLoader(package) for package in packages]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=cleaned,  # every value on the page goes through it
        auto_reload=False,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters |= {"short": short, "counted": counted}
    return found


def short(text: str, most: int = 120) -> str:
    """The text in one line of at most so many characters."""
    text = " ".join(cleaned(text[: _LOOKED_AT * most]).split())
    return text if len(text) <= most else f"{text[: most - 1]}…"
