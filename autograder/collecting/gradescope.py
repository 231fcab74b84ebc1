"""The list of submissions in what Gradescope exports: submission_metadata.yml.

Its keys are the names of folders (or of files). An entry has `:submitters:` with `:name:`, `:sid:` and `:email:`, and
`:created_at:`, a time with its zone. Ruby writes it, hence the colons and perhaps tags of its own types. Gradescope
does not describe the file; this is what public programs that read it (`:submitters`, `:history` on GitHub) rely on.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from autograder.collecting.source import SourceFile
from autograder.course.course import CourseError
from autograder.submission.file import Unreadable

METADATA = "submission_metadata.yml"
_COLUMNS = {"email": "email", "sid": "gradescope_id", "name": "name"}
"""what a submitter has, and where it stands in the roster"""


@dataclass(frozen=True)
class Submitter:
    """One of the students who handed in a folder together."""

    called: str
    keys: tuple[tuple[str, str], ...]
    """column of the roster, or ‘name’, and the text there"""


@dataclass(frozen=True)
class Entry:
    """Who handed in one folder, and when."""

    submitters: tuple[Submitter, ...]
    time: datetime | None


def entries(source: Path, about: SourceFile) -> dict[str, Entry]:
    """The entry of each folder. Raises CourseError if the file cannot be read."""
    import yaml

    told, line = None, ""
    try:
        # every text stays a text, and no tag makes an object
        told = yaml.load(about.read(), getattr(yaml, "CBaseLoader", yaml.BaseLoader))
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
    except (Unreadable, yaml.YAMLError, RecursionError, ValueError):
        pass
    if not isinstance(told, dict):
        raise CourseError(f"{source}: {about.path}{line}: this is no list of Gradescope's submissions: export it again")
    return {str(folder): _entry(str(folder), entry) for folder, entry in told.items() if isinstance(entry, dict)}


def _entry(folder: str, entry: dict[str, Any]) -> Entry:
    submitters = entry.get(":submitters")
    people = [_submitter(one) for one in submitters if isinstance(one, dict)] if isinstance(submitters, list) else []
    return Entry(tuple(one for one in people if one.keys) or (Submitter(folder, ()),), _time(entry.get(":created_at")))


def _submitter(told: dict[str, Any]) -> Submitter:
    texts = {name: text for name in _COLUMNS if isinstance(text := told.get(f":{name}"), str) and text.strip()}
    called = texts.get("name") or texts.get("email") or texts.get("sid", "")
    return Submitter(called, tuple((_COLUMNS[name], text) for name, text in texts.items()))


def _time(text: object) -> datetime | None:
    """‘2026-11-27 10:11:12.123456789 Z’ as a time."""
    told = re.fullmatch(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:\.\d+)? *(Z|UTC|[+-]\d\d:?\d\d)", str(text).strip())
    if told is None:
        return None
    zone = "+00:00" if told[3] in ("Z", "UTC") else told[3]
    try:
        return datetime.fromisoformat(f"{told[1]}T{told[2]}{zone}")
    except ValueError:
        return None
