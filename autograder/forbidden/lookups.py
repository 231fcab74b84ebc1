"""Lookups: names that are looked up by a path or a text. One search for attempts asks them. Nothing is executed."""

from __future__ import annotations

import ast
import functools
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from autograder.course.course import Tool
from autograder.forbidden import listed, outside, signs, tool_use
from autograder.forbidden.source import path_of
from autograder.forbidden.texts import Texts, text_of

LONGEST = 80
"""most characters of a path that are told"""


@dataclass(frozen=True)
class Lookups:
    """What the names of one notebook lead to."""

    tools: frozenset[Tool]
    origins: Mapping[str, str]
    """the dotted paths behind names"""
    texts: Texts
    """the notebook's constants"""
    names: Collection[str]
    """the listed names"""
    modules: Collection[str]
    """the listed modules"""
    own_modules: Collection[str]
    """files beside the notebook"""
    made: Collection[str]
    """names that stand for texts which are put together"""
    objects: Collection[str]
    """names that stand for objects of the student's own classes"""

    @functools.cached_property
    def _deepest(self) -> int:
        return max(name.count(".") + 1 for name in self.modules)

    def is_closed(self, text: str) -> bool:
        return text not in listed.FILES and listed.TEXTS.search(text) is not None

    def is_own(self, node: ast.expr) -> bool:
        """Whether a name stands for an object of the student's own class."""
        return isinstance(node, ast.Name) and node.id in self.objects

    def on_path(self, path: str) -> Iterator[str]:
        private = self.tools and path.startswith("torch.") and any(map(signs.is_private, path.split(".")))
        if path not in listed.USED and (self.is_listed(path) or private):
            yield path[:LONGEST]

    def by_text(self, way: str, of: ast.expr, key: ast.expr) -> Iterator[str]:
        """A name that is looked up by a text: one that is listed, or any in a module that holds such names."""
        path = path_of(of, self.origins)
        known = self.texts.values(key) if self.tools else None
        texts = sorted(known) if known else [text_of(key)]
        for text in texts:
            if text in self.names or self.is_closed(text) or self.is_listed(f"{path}.{text}"):
                yield text
                return
            if self.tools and path.partition(".")[0] == "torch" and signs.is_private(text):
                yield f"{path}.{text}"
                return
            made = known and path and not isinstance(key, ast.Constant)
            if made and any(tool_use.is_tool(f"{path}.{text}", tool) for tool in self.tools):
                yield f"{path}.{text}"
                return
        if self.texts.is_listed(key):
            if self.is_own(of):
                return
            yield f"{way} with a name from {listed.LISTING}()"
        elif path.startswith(listed.CLOSED if way in listed.READING else (*listed.CLOSED, "torch")) or (
            way in ("vars", "__dict__") and path and not texts[0]
        ):
            yield f"{way} of {path}"
        elif not known and not path.startswith(listed.PICTURES) and self.is_made(key, path):
            yield f"{way} with a name that is put together"

    def is_made(self, key: ast.expr, path: str) -> bool:
        """Whether a name is made of pieces: no answer looks up by such a name what is not known, or what `path` has.

        One whose beginning is known is none, if nothing that is listed begins so: f"float{bits}".
        """
        if outside.is_put_together(key) or (isinstance(key, ast.Name) and key.id in self.made):
            return True
        if not self.tools or not path or not isinstance(key, ast.BinOp | ast.JoinedStr | ast.Subscript):
            return False
        first = key.values[0] if isinstance(key, ast.JoinedStr) and key.values else getattr(key, "left", None)
        start = text_of(first) if first is not None else ""
        if len(start) < 3 or not start.isalpha():
            return True
        parts = (part for module in self.modules for part in module.split("."))
        return any(name.startswith(start) for name in (*self.names, *listed.DOORS, *parts))

    def is_listed(self, path: str) -> bool:
        """Whether a listed module is in a path, wherever it begins: `torch.sys.modules` is `sys.modules`."""
        parts = path.split(".")
        spans = ((start, start + size) for start in range(len(parts)) for size in range(1, self._deepest + 1))
        found = (".".join(parts[start:end]) for start, end in spans)
        if parts[0] in self.own_modules:  # it may have a function `inspect`
            return any(one in self.modules and (one in listed.MODULES or "." in one) for one in found)
        return any(one in self.modules for one in found)
