"""Settings of Sphinx: `make docs` calls it with the pages that pages.py has put together."""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1]))

from autograder import __version__  # noqa: E402
from autograder.course.course import open_course  # noqa: E402

project = open_course(HERE.parents[1]).title
author = "the authors of the course"
version = release = __version__.partition("+")[0]
extensions = ["myst_parser", "docs.website.formulas", "docs.website.reachable"]
myst_enable_extensions = ["dollarmath", "amsmath", "colon_fence", "deflist"]
myst_heading_anchors = 4
myst_dmath_double_inline = True
exclude_patterns: list[str] = []
highlight_language = "none"
suppress_warnings = ["misc.highlighting_failure"]  # excerpts: a line of a notebook, a mark in Markdown within Python
nitpicky = True

html_theme = "furo"
html_title = project
html_static_path = [str(HERE / "static")]
html_css_files = ["site.css"]
html_copy_source = html_show_sourcelink = False
html_show_copyright = html_show_sphinx = False
html_last_updated_fmt = None
html_use_index = False  # it would be empty
smartquotes = False  # else the two hyphens of an option become a dash
html_theme_options = {
    "light_css_variables": {
        "color-brand-primary": "#00557f",
        "color-brand-content": "#00557f",
        "color-brand-visited": "#6a3a73",
        "color-foreground-muted": "#545454",
        "color-sidebar-caption-text": "#454545",
        "color-foreground-border": "#767676",
        "font-stack": "system-ui, sans-serif",
        "font-stack--monospace": "ui-monospace, 'DejaVu Sans Mono', monospace",
    },
    "dark_css_variables": {
        "color-brand-primary": "#79c3f0",
        "color-brand-content": "#79c3f0",
        "color-brand-visited": "#d9a8e0",
        "color-foreground-muted": "#b4b4b4",
        "color-sidebar-caption-text": "#c4c4c4",
        "color-foreground-border": "#8f8f8f",
    },
}
