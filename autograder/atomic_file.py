"""A file that is replaced in one step: a reader finds the old text or the new one, also after a power cut."""

from __future__ import annotations

import os
import secrets
from pathlib import Path


def replace(path: Path, data: bytes) -> None:
    """Write `data` to `path`. On any error the file stays as it was, and nothing else is left beside it.

    The data are on the disk before the name is: a temporary file in the same folder, fsync, rename.

    Raises
    ------
    OSError
        When the folder cannot be written to, or the disk is full.
    """
    # "." first: hidden from whoever lists the folder; the name is short, for the file's own may be as long as allowed
    fresh = path.with_name(f".{path.name[:40]}.{secrets.token_hex(4)}")
    try:
        with fresh.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)
