"""The versions that grading runs with here, for a machine that is to grade alike: no tools of development, no CUDA."""

from __future__ import annotations

import re
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, packages_distributions, requires, version

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

_CUDA = re.compile(r"cuda-|nvidia-|triton$")


def pinned(package: str, modules: Iterable[str] = ()) -> dict[str, str]:
    """The version of each distribution that `package` needs, directly or not, and of those of other `modules`.

    Raises PackageNotFoundError if one of them is not installed.
    """
    providers = packages_distributions()
    found: dict[str, str] = {}
    seen: set[tuple[str, str]] = set()
    todo = [(package, ""), *((providers.get(module, [module])[0], "") for module in modules)]
    while todo:
        name, extra = todo.pop()
        if (name, extra) in seen:
            continue
        seen.add((name, extra))
        found[canonicalize_name(name)] = version(name).partition("+")[0]  # torch 2.9.0+cpu
        for one in map(Requirement, requires(name) or ()):
            other = canonicalize_name(one.name)
            if not _CUDA.match(other) and (one.marker is None or one.marker.evaluate({"extra": extra})):
                todo += [(other, ""), *((other, wanted) for wanted in one.extras)]
    del found[package]
    return dict(sorted(found.items()))


def version_of(name: str) -> str:
    """The version of a distribution; '' if it is not installed."""
    try:
        return version(name)
    except PackageNotFoundError:
        return ""
