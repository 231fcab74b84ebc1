"""The errors of the wire."""

from __future__ import annotations


class WireError(Exception):
    """The base class of the errors of the wire. It is raised itself for invalid data."""


class Late(WireError):
    """The deadline of a message passed."""


class Closed(WireError):
    """The other end of the wire is closed."""
