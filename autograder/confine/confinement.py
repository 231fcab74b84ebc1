"""How a machine can confine student code: the tier, its layers, and the result of trying each layer."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from pathlib import Path

from autograder.confine.cgroup import Parents
from autograder.confine.privateroot import View


class Tier(enum.Enum):
    """How strongly student code is confined, from A (strongest) to none; docs/instructor.md describes the tiers."""

    A = "A"
    B = "B"
    C = "C"
    NONE = "none"

    def at_least(self, other: Tier) -> bool:
        order = list(Tier)
        return order.index(self) <= order.index(other)


@dataclass(frozen=True)
class Finding:
    """The result of trying one layer."""

    layer: str
    works: bool
    detail: str
    """what was tried and what happened"""
    remedy: str
    """what to install or change; '' when it works"""


@dataclass(frozen=True)
class Confinement:
    """How this machine confines student code: found once, and passed to the supervisor of every job as plain data."""

    tier: Tier
    findings: tuple[Finding, ...]
    view: View
    filters: tuple[bytes, ...] = ()
    landlock_abi: int = 0
    groups: Parents | None = None
    user_ids: range | None = None
    """as root: unused user ids, one for each job; None for an ordinary user, whose jobs keep the user's own id"""
    read_search: bool = False
    """as root without a private root: keep CAP_DAC_READ_SEARCH, to read below folders that are closed to other users"""

    @property
    def private(self) -> bool:
        """Whether jobs have their own namespaces and their own root folder."""
        return self.tier in (Tier.A, Tier.B)

    def exposes(self, path: Path) -> bool:
        """Whether student code could read `path`; True, for example, for a file in the virtual environment."""
        return self.tier is Tier.NONE or self.view.shows(path)
