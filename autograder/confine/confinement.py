"""What a machine can do to confine student code: the tier, the layers it is made of, and what was found by trying."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from pathlib import Path

from autograder.confine.cgroup import Parents
from autograder.confine.privateroot import View


class Tier(enum.Enum):
    """How strongly student code is confined; see the developer guide for what each holds."""

    A = "A"
    B = "B"
    C = "C"
    NONE = "none"

    def at_least(self, other: Tier) -> bool:
        order = list(Tier)
        return order.index(self) <= order.index(other)


@dataclass(frozen=True)
class Finding:
    """One layer, tried."""

    layer: str
    works: bool
    detail: str
    """what was tried and what happened"""
    remedy: str
    """what to install or change; '' when it works"""


@dataclass(frozen=True)
class Confinement:
    """What this machine can do, found once: plain data that every job's supervisor gets."""

    tier: Tier
    findings: tuple[Finding, ...]
    view: View
    filters: tuple[bytes, ...] = ()
    landlock_abi: int = 0
    groups: Parents | None = None
    user_ids: range | None = None
    """as root: ids that nobody uses, one for each job; None for an ordinary user, who stays who he is"""
    read_search: bool = False
    """as root without a private root: keep the one capability to read below folders closed to others"""

    @property
    def private(self) -> bool:
        """Whether jobs have namespaces and a root of their own."""
        return self.tier in (Tier.A, Tier.B)

    def exposes(self, path: Path) -> bool:
        """Whether student code could read `path`: so for what lies in the virtual environment's own folder."""
        return self.tier is Tier.NONE or self.view.shows(path)
