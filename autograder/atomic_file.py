"""Replaces a file in one step: a reader finds the old content or the new content, even after a power failure."""

from __future__ import annotations

import os
import secrets
from pathlib import Path


def replace(path: Path, data: bytes, mode: int | None = None) -> None:
    """Write `data` to `path`. On any error the file stays unchanged and no temporary file remains.

    With `mode`, such as 0o600, the file has these permissions from its first moment on.

    The data goes to a temporary file in the same folder. That file is flushed to the disk and then renamed to `path`.

    Raises
    ------
    OSError
        If the folder is not writable or the disk is full. Its `filename` is `path`.
    """
    # The leading "." hides the file from folder listings. The name is shortened, because `path.name` may already have
    # the maximum length.
    fresh = path.with_name(f".{path.name[:40]}.{secrets.token_hex(4)}")
    try:
        with open(fresh, "xb", opener=None if mode is None else lambda name, flags: os.open(name, flags, mode)) as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    except OSError as error:
        error.filename = str(path)  # the temporary file is nobody's concern
        raise
    finally:
        fresh.unlink(missing_ok=True)
