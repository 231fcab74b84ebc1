"""Write the tables of docs/results.md from the Structs that a results file is made of: `make docs`."""

from __future__ import annotations

import ast
import inspect
import types
import typing
from pathlib import Path

import msgspec

from autograder.results import result

PAGE = Path(__file__).with_name("results.md")
BEGIN, END = "<!-- tables: made by `make docs` from autograder/results/result.py -->", "<!-- end of tables -->"
STRUCTS = (
    *(result.Result, result.NotebookResult, result.CellResult, result.Mark, result.TestResult, result.Diagnosis),
    *(result.Repair, result.Incident, result.Output, result.Late),
)
WORDS = {str: "string", bool: "boolean", int: "integer", float: "number", bytes: "string, base64", dict: "object"}


def page() -> str:
    """The text of docs/results.md with its tables made anew."""
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return "\n\n".join([before + BEGIN, *map(_table, STRUCTS), END + after])


def _table(struct: type[msgspec.Struct]) -> str:
    """A struct as a heading, its description, and a row for each field."""
    said = meanings(struct)
    hints = typing.get_type_hints(struct)
    rows = [f"| `{name}` | {words(hints[name])} | {said[name]} |" for name in struct.__struct_fields__]
    head = [f"### {struct.__name__}", "", about(struct), "", "| field | type | meaning |", "| --- | --- | --- |"]
    return "\n".join([*head, *rows])


def about(struct: type[msgspec.Struct]) -> str:
    """What the struct's docstring says."""
    return inspect.getdoc(struct) or ""


def meanings(struct: type[msgspec.Struct]) -> dict[str, str]:
    """What the string below each field says."""
    [tree] = ast.parse(inspect.getsource(struct)).body
    assert isinstance(tree, ast.ClassDef)
    found = {}
    for field, below in zip(tree.body, tree.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant):
            found[ast.unparse(field.target)] = " ".join(str(below.value.value).split())
    return found


def words(kind: object) -> str:
    """A type in the words of JSON."""
    origin, parts = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Annotated:
        return words(parts[0])
    if origin is tuple:
        return f"list of {words(parts[0])}"
    if origin is typing.Literal:
        return " or ".join(f"`{value}`" for value in parts)
    if origin in (typing.Union, types.UnionType):
        return " or ".join("null" if part is type(None) else words(part) for part in parts)
    plain = origin or kind
    return WORDS.get(plain) or getattr(plain, "__name__", str(plain))  # type: ignore[call-overload]


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
