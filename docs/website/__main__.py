"""Build the site: `make docs`, which calls `python -m docs.website`; docs/_build/html holds it.

--no-execute shows only those figures of homeworks that were kept by an earlier build. --to FOLDER builds elsewhere.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from . import pages

HERE = Path(__file__).resolve().parent


def main() -> int:
    from sphinx.cmd.build import build_main

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--no-execute", action="store_true", help="run no master")
    parser.add_argument("--to", type=Path, default=HERE.parent / "_build", metavar="FOLDER")
    asked = parser.parse_args()
    pages.assemble(asked.to / "pages", HERE.parent / "_build" / "executed", not asked.no_execute)
    options = ["-b", "html", "-c", HERE, "-W", "-n", "--keep-going", "-q", "-E", "-d", asked.to / "trees"]
    return build_main([str(option) for option in (*options, asked.to / "pages", asked.to / "html")])


if __name__ == "__main__":
    raise SystemExit(main())
