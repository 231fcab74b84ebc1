"""The scheduler's address, and what it takes to send hidden tests there: TLS, unless it is this machine itself."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from pathlib import Path

from autograder.course.course import CourseError

PORT = 8786
"""Dask's usual one"""
_ADDRESS = re.compile(r"(?:(?P<scheme>[a-z]+)://)?(?P<host>\[[0-9a-fA-F:.%]+\]|[^\s:/\[\]]+)(?::(?P<port>\d+))?/?")


@dataclass(frozen=True)
class Certificates:
    """Files in PEM format. Without them, those of Dask's own configuration are used."""

    ca: Path | None = None
    """what the scheduler's certificate is checked against"""
    cert: Path | None = None
    key: Path | None = None
    """of `cert`, if that file does not hold it"""

    def check(self) -> None:
        """Raise CourseError unless they are there, and complete."""
        for option, path in (("--tls-ca", self.ca), ("--tls-cert", self.cert), ("--tls-key", self.key)):
            if path is not None and not path.is_file():
                raise CourseError(f"{option} {path}: there is no such file: check the name")
        if (self.ca is None) != (self.cert is None) or (self.key and not self.cert):
            raise CourseError(
                "--tls-ca, --tls-cert: these belong together, and --tls-key to the latter: give all of them"
            )


def checked(address: str) -> str:
    """The address as distributed writes it. Raises CourseError unless it is tls:// or of this machine alone."""
    found = _ADDRESS.fullmatch(address.strip())
    if found is None:
        raise CourseError(f"--scheduler {address}: this is not an address: write tls://HOST:PORT")
    scheme, host, port = found["scheme"] or "tcp", found["host"], found["port"] or PORT
    if scheme not in ("tcp", "tls"):
        raise CourseError(
            f"--scheduler {address}: only tls:// (and tcp:// on this machine) can be used: write tls://HOST:PORT"
        )
    if scheme == "tcp" and not is_loopback(host):
        raise CourseError(
            f"--scheduler {address}: hidden tests and the course's secret travel to the workers, so only TLS will do: "
            f"give scheduler and workers certificates, and write tls://{host}:{port} (docs/scale.md)"
        )
    return f"{scheme}://{host}:{port}"


def is_loopback(host: str) -> bool:
    """Whether a host's name or number stands for this machine alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]").partition("%")[0]).is_loopback
    except ValueError:
        return False


def host_of(address: str) -> str:
    """The host in an address as distributed writes it."""
    return address.partition("://")[2].rpartition(":")[0]
