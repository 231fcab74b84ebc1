"""The course's secret. It seeds `draw`, so that students cannot predict the random numbers of a hidden test."""

from __future__ import annotations

import contextlib
import os
import secrets

from autograder.course.course import SECRET_FILE, Course


def course_secret(course: Course) -> bytes:
    """The secret of a course. The first call creates the file, which only its owner can read."""
    path = course.root / SECRET_FILE
    try:
        return path.read_bytes()
    except FileNotFoundError:
        pass
    fresh = path.with_name(f"{SECRET_FILE}.{secrets.token_hex(4)}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_hex(32))
            file.flush()
            os.fsync(descriptor)
        with contextlib.suppress(FileExistsError):
            os.link(fresh, path)  # not a rename: if two processes make a secret, the first one is kept
    finally:
        fresh.unlink()
    return path.read_bytes()
