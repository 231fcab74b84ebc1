"""What can go wrong on the wire."""

from __future__ import annotations


class WireError(Exception):
    """What came over the wire is not a message of ours, or nothing came in time."""


class Late(WireError):
    """The deadline of a message passed."""


class Closed(WireError):
    """The other end is gone."""
