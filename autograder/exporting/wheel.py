"""This package as a wheel, so that another machine installs exactly the code that runs here.

The format is that of the “Binary distribution format” (packaging.python.org). The same code makes the same bytes.
"""

from __future__ import annotations

import base64
import hashlib
import io
import zipfile
from collections.abc import Iterator, Mapping
from importlib.metadata import distribution
from pathlib import Path

PACKAGE = "autograder"
_WHEEL = "Wheel-Version: 1.0\nGenerator: autograder\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


def wheel() -> tuple[str, bytes]:
    """The wheel's file name and its bytes."""
    about = distribution(PACKAGE)
    info = f"{PACKAGE}-{about.version}.dist-info"
    files = dict(_files(Path(__file__).parents[1])) | {
        f"{info}/METADATA": str(about.metadata).encode(),
        f"{info}/WHEEL": _WHEEL.encode(),
        f"{info}/entry_points.txt": (about.read_text("entry_points.txt") or "").encode(),
    }
    files[f"{info}/RECORD"] = "".join([*map(_recorded, files, files.values()), f"{info}/RECORD,,\n"]).encode()
    return f"{PACKAGE}-{about.version}-py3-none-any.whl", zipped({name: (data, 0o644) for name, data in files.items()})


def zipped(members: Mapping[str, tuple[bytes, int]]) -> bytes:
    """A zip archive of these files, each with its permissions. It depends on nothing else: no order, no time."""
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        for name in sorted(members):
            data, mode = members[name]
            entry = zipfile.ZipInfo(name)  # of 1980-01-01
            entry.create_system = 3  # Unix: permissions count
            entry.external_attr = (0o100000 | mode) << 16
            archive.writestr(entry, data, zipfile.ZIP_DEFLATED)
    return held.getvalue()


def _files(package: Path) -> Iterator[tuple[str, bytes]]:
    """The files of the package; compiled and hidden ones, and editors' copies are left out."""
    for path in sorted(package.rglob("*")):
        below = path.relative_to(package.parent)
        left_out = "__pycache__" in below.parts or path.name.startswith(".") or path.name.endswith("~")
        if path.is_file() and not left_out:
            yield below.as_posix(), path.read_bytes()


def _recorded(name: str, data: bytes) -> str:
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
    return f"{name},sha256={digest},{len(data)}\n"
