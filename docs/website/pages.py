"""Put the pages of the site together: guides as they lie in the repository, homeworks, and the reference.

Sphinx reads one folder, docs/_build/pages, in which every page is made anew. No fact is kept twice: a guide is the file
that stands in the repository, with its links turned to pages of the site.
"""

from __future__ import annotations

import posixpath
import re
import shutil
from pathlib import Path

from autograder.course.course import open_course

from . import homeworks, reference

ROOT = Path(__file__).resolve().parents[2]
GUIDES = {
    "docs/student.md": "student",
    "docs/instructor.md": "instructor",
    "docs/continuous-integration.md": "continuous-integration",
    "docs/scale.md": "scale",
    "docs/first-exercise.md": "first-exercise",
    "docs/authoring.md": "authoring",
    "docs/architecture.md": "architecture",
    "docs/results.md": "results",
    "CONTRIBUTING.md": "contributing",
    "SECURITY.md": "security",
    "CHANGELOG.md": "changelog",
}
"""which file of the repository is which page"""

_LINK = re.compile(r"(?<!!)\[(?P<text>(?:[^\[\]]|\[[^]]*\])*)\]\((?P<target>[^)\s]+)\)")
_MERMAID = re.compile(r"^```mermaid\n(.*?)^```\n", re.DOTALL | re.MULTILINE)


def assemble(pages: Path, cache: Path, execute: bool) -> None:
    """Make the folder `pages` anew. With `execute`, masters that changed since their figures were kept are run."""
    shutil.rmtree(pages, ignore_errors=True)
    pages.mkdir(parents=True)
    course = open_course(ROOT)
    for file, page in GUIDES.items():
        (pages / f"{page}.md").write_text(guide(file), encoding="utf-8")
    front = (ROOT / "docs" / "website" / "front.md").read_text(encoding="utf-8")
    (pages / "index.md").write_text(front.replace("{{lead}}", lead()).replace("{{points}}", points()), encoding="utf-8")
    shutil.copytree(ROOT / "docs" / "figures", pages / "figures")
    homeworks.write(course, pages / "homeworks", cache, execute)
    reference.write(pages / "reference")


def guide(file: str) -> str:
    """The text of a guide as a page: links lead to pages, what only GitHub draws becomes a table."""
    text = (ROOT / file).read_text(encoding="utf-8")
    parts = re.split(
        r"(^```.*?^```$)", _MERMAID.sub(lambda found: _edges(found[1]), text), flags=re.DOTALL | re.MULTILINE
    )
    return "".join(
        part if part.startswith("```") else _LINK.sub(lambda link: _link(link, file), part) for part in parts
    )


def lead() -> str:
    """What the README says first."""
    return _readme().split("\n\n")[1]


def points() -> str:
    """What the README says of the whole, point by point."""
    return "\n".join(re.findall(r"^- \*\*.*(?:\n  .*)*", _readme(), re.MULTILINE))


def _readme() -> str:
    return (ROOT / "README.md").read_text(encoding="utf-8")


def _link(link: re.Match[str], file: str) -> str:
    """A link to another guide leads to its page; one to a file that is no page is left as its text."""
    path, hash_mark, anchor = link["target"].partition("#")
    if re.match(r"[a-z]+:", path) or not path:
        return link[0]
    page = GUIDES.get(posixpath.normpath(posixpath.join(posixpath.dirname(file), path)))
    text = link["text"].removeprefix("docs/")
    return f"[{text}]({page}.md{hash_mark}{anchor})" if page else link["text"]


def _edges(diagram: str) -> str:
    """The arrows of a Mermaid flowchart as a table: only a script could draw them, and everybody can read a table."""
    names = {key: label.replace("<br/>", ": ") for key, label in re.findall(r'(\w+)\["([^"]+)"\]', diagram)}
    rows = []
    for line in diagram.splitlines():
        if found := re.fullmatch(r'\s*(\w+) (?:--|==) "?(.*?)"? (?:-->|==>) (\w+)', line):
            source, what, target = found.groups()
            rows.append(f"| {names[source].split(':')[0]} | {what} | {names[target].split(':')[0]} |")
    return "\n".join(["| from | what | to |", "| --- | --- | --- |", *rows, ""])
