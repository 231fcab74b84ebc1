"""The private root of a confined process: read-only libraries, one small writable area, and no other files."""

from __future__ import annotations

import contextlib
import os
import site
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from autograder.confine import kernel

WORK = "/work"
_INODES_PER_MB = 64
_DEVICES = ("null", "zero", "full", "random", "urandom")
_CONFIGURATION = ("/etc/ld.so.cache", "/etc/localtime", "/etc/fonts")
_SYSTEM = ("/usr", "/lib", "/lib32", "/lib64", "/libx32", "/bin", "/sbin")


Named = tuple[str, str]
"""a path inside the private root, and the path outside that it shows, with all links resolved"""


@dataclass(frozen=True)
class View:
    """The parts of the machine that a confined process may read: found once and used by every job."""

    folders: tuple[Named, ...]
    """read-only folders, by the names that Python and the loader use; none lies inside another"""
    links: tuple[Named, ...]
    """system folders that are symbolic links on this machine, such as /lib → usr/lib, with their targets"""
    files: tuple[Named, ...]
    """the files of /etc that the loader, the clock and the fonts need"""
    devices: tuple[Named, ...]

    def shows(self, path: Path) -> bool:
        """Whether `path` can be read inside; True, for example, for every file in the virtual environment."""
        return any(path.resolve().is_relative_to(real) for _, real in self.folders)


def look() -> View:
    """Find the view for this interpreter: system libraries, Python's own folder and the virtual environment."""
    links = tuple((path, str(Path(path).readlink())) for path in _SYSTEM if Path(path).is_symlink())
    system = [path for path in _SYSTEM if Path(path).is_dir() and not Path(path).is_symlink()]
    python = [sys.prefix, sys.exec_prefix, sys.base_prefix, sys.base_exec_prefix]
    if site.ENABLE_USER_SITE:
        python.append(site.getusersitepackages())
    # sys.path has these names; libraries find each other by the resolved names
    python += [os.path.realpath(path) for path in python]
    folders = _outermost([*system, *python], seen=[path for path, _ in links])
    devices = [f"/dev/{name}" for name in _DEVICES]
    return View(_named(folders), links, _named(_CONFIGURATION), _named(devices))


def _outermost(paths: Iterable[str], seen: Iterable[str]) -> list[str]:
    kept: list[str] = []
    for path in sorted(set(paths), key=lambda p: len(Path(p).parts)):
        if path != "/" and not any(Path(path).is_relative_to(outer) for outer in [*seen, *kept]):
            kept.append(path)
    return kept


def _named(paths: Iterable[str]) -> tuple[Named, ...]:
    return tuple((path, os.path.realpath(path)) for path in paths if os.access(path, os.R_OK))


def enter(view: View, disk_mb: int, owner: int) -> str:
    """Make the view the root of this process. Returns the writable work folder, which belongs to `owner`.

    The process needs its own mount namespace and the right to mount in it. Afterwards it cannot reach the machine's
    other files.
    """
    kernel.mount("none", "/", flags=kernel.MS_REC | kernel.MS_PRIVATE)
    # A temporary root holds the machine's root (old) and the new one, so that mounting hides no folder of the machine.
    kernel.mount("tmpfs", "/tmp", "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, "mode=0755,size=1m")
    for name in ("old", "new"):
        Path(f"/tmp/{name}").mkdir()
    kernel.pivot_root("/tmp", "/tmp/old")
    os.chdir("/")
    kernel.mount("tmpfs", "/new", "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, "mode=0755,size=4m,nr_inodes=1024")
    _writable("/new", disk_mb, owner)
    for path, target in view.links:
        Path(f"/new{path}").symlink_to(target)
    for name, real in (*view.folders, *view.files):
        _bind(name, real, kernel.MOUNT_ATTR_RDONLY | kernel.MOUNT_ATTR_NOSUID | kernel.MOUNT_ATTR_NODEV)
    for name, real in view.devices:
        _bind(name, real, kernel.MOUNT_ATTR_NOSUID)
    _mount_proc("/new/proc")
    os.chdir("/new")
    kernel.pivot_root(".", ".")  # the old root is now mounted on top of the new one: unmount it
    kernel.unmount(".")
    os.chdir("/")
    kernel.harden_mount("/", kernel.MOUNT_ATTR_RDONLY, recursive=False)
    os.chdir(WORK)
    return WORK


def _writable(root: str, disk_mb: int, owner: int) -> None:
    """Mount one tmpfs behind the work folder, /tmp and /dev/shm: its size limits all three together."""
    pool = Path(root, ".pool")
    pool.mkdir()
    options = f"mode=0755,size={disk_mb}m,nr_inodes={disk_mb * _INODES_PER_MB + 256}"
    kernel.mount("tmpfs", str(pool), "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC, options)
    for path in (WORK, "/tmp", "/dev/shm"):
        place, target = pool / Path(path).name, Path(root + path)
        place.mkdir(0o700)
        os.chown(place, owner, owner)
        target.mkdir(parents=True, exist_ok=True)
        kernel.mount(str(place), str(target), flags=kernel.MS_BIND)
    kernel.unmount(str(pool))
    pool.rmdir()


def _bind(name: str, real: str, attributes: int) -> None:
    source, target = Path(f"/old{real}"), Path(f"/new{name}")
    if source.is_dir():
        target.mkdir(parents=True, exist_ok=True)
    else:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.touch(0o444)
    kernel.mount(str(source), str(target), flags=kernel.MS_BIND | kernel.MS_REC)
    kernel.harden_mount(str(target), attributes, recursive=True)


def _mount_proc(target: str) -> None:
    """Mount a /proc for this pid namespace. Some containers forbid this; torch works without /proc, too."""
    Path(target).mkdir()
    flags = kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC
    for options in ("subset=pid", ""):  # shows only processes, nothing else about the machine (Linux 5.8)
        with contextlib.suppress(OSError):
            kernel.mount("proc", target, "proc", flags, options)
            return
