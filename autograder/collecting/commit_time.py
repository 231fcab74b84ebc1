"""When the last commit of a student's git repository was made."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from datetime import datetime, timedelta, timezone
from pathlib import Path

from autograder.submission.file import Unreadable
from autograder.submission.file import read as read_file

_SECONDS = 10
_NAME = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_REF = re.compile(r"ref: (refs/[\w./-]{1,200})")


def read(repository: Path) -> datetime | None:
    """The time of the commit that is checked out; None if it cannot be told.

    Git runs nothing of the student's: it has a repository of its own, with a configuration of its own and without
    hooks, and takes only the objects from the student's (GIT_OBJECT_DIRECTORY, gitrepository-layout(5)).
    """
    inside = repository / ".git"
    commit = _checked_out(inside)
    objects = inside / "objects"
    if commit is None or not objects.is_dir() or objects.is_symlink():
        return None
    with tempfile.TemporaryDirectory(prefix="commit-") as folder:
        environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": folder,
            "GIT_DIR": str(Path(folder) / "own.git"),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_TERMINAL_PROMPT": "0",
        }
        sort = ("--object-format=sha256",) if len(commit) == 64 else ()
        try:
            _git(("init", "--quiet", "--bare", "--template=", *sort), environment)
            text = _git(("cat-file", "commit", commit), environment | {"GIT_OBJECT_DIRECTORY": str(objects.absolute())})
        except (OSError, subprocess.SubprocessError):
            return None
    told = re.search(rb"^committer [^\n]*> (\d{1,12}) ([+-])(\d\d)(\d\d)$", text.partition(b"\n\n")[0], re.MULTILINE)
    if told is None:
        return None
    zone = timedelta(hours=int(told[3]), minutes=int(told[4])) * (1 if told[2] == b"+" else -1)
    try:
        return datetime.fromtimestamp(int(told[1]), timezone(zone))
    except (ValueError, OverflowError, OSError):
        return None


def _git(arguments: tuple[str, ...], environment: dict[str, str]) -> bytes:
    done = subprocess.run(("git", *arguments), env=environment, capture_output=True, timeout=_SECONDS, check=True)
    return done.stdout


def _checked_out(inside: Path) -> str | None:
    """The name of the commit that HEAD stands for."""
    head = _line(inside / "HEAD")
    if _NAME.fullmatch(head):
        return head
    ref = _REF.fullmatch(head)
    if ref is None or ".." in ref[1]:
        return None
    loose = _line(inside / ref[1])
    if _NAME.fullmatch(loose):
        return loose
    packed = re.search(rf"^([0-9a-f]{{40,64}}) {re.escape(ref[1])}$", _text(inside / "packed-refs"), re.MULTILINE)
    return packed[1] if packed else None


def _line(path: Path) -> str:
    return _text(path).strip()


def _text(path: Path) -> str:
    try:
        return read_file(path, 2**20).decode("utf-8", errors="replace")
    except Unreadable:
        return ""
