"""The reference, made from the code: commands, the settings of a course, and what hidden tests import."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

import autograder
from autograder.course import course as course_files
from autograder.course.late_rules import HomeworkLateRules, LateRules
from autograder.course.parameters import Parameter

from .. import tables


def write(folder: Path) -> None:
    """Write the pages of the reference into `folder`."""
    (folder / "commands").mkdir(parents=True)
    names = []
    groups: dict[str, list[str]] = {}
    for group, command, path in _commands():
        name = "-".join(path)
        names.append(f"commands/{name}")
        (folder / "commands" / f"{name}.md").write_text(_command_page(command, path), encoding="utf-8")
        row = f"| [`autograder {' '.join(path)}`](commands/{name}.md) | {_first_line(command.help)} |"
        groups.setdefault(group, []).append(row)
    index = ["# Command line", "", "Every command answers `--help` with what its page says here.", ""]
    for group, rows in groups.items():
        index += [f"## {group}", "", "| command | what it does |", "| --- | --- |", *rows, ""]
    index += ["```{toctree}", ":hidden:", "", *names, "```", ""]
    (folder / "commands.md").write_text("\n".join(index), encoding="utf-8")
    (folder / "settings.md").write_text(_settings_page(), encoding="utf-8")
    (folder / "hidden-tests.md").write_text(_api_page(), encoding="utf-8")


# ---- commands


def _commands() -> Iterator[tuple[str, Any, tuple[str, ...]]]:
    """Each command: its group, itself, and the words that call it."""
    import typer

    from autograder.cli import GROUPS, app

    found = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    for group in GROUPS:
        for name, command in found.items():
            if command.rich_help_panel != group:
                continue
            if below := getattr(command, "commands", None):
                yield from ((group, one, (name, inner)) for inner, one in below.items())
            else:
                yield group, command, (name,)


def _command_page(command: Any, path: tuple[str, ...]) -> str:
    context = command.make_context(" ".join(("autograder", *path)), [], resilient_parsing=True)
    usage = f"autograder {' '.join(path)} {' '.join(command.collect_usage_pieces(context))}"
    lines = [f"# autograder {' '.join(path)}", "", _prose(command.help), "", "```text", usage, "```", ""]
    for kind, title in (("argument", "Arguments"), ("option", "Options")):
        rows = [_row(one, context) for one in command.params if one.param_type_name == kind and not one.hidden]
        if rows:
            lines += [f"## {title}", "", f"| {kind} | what | default |", "| --- | --- | --- |", *rows, ""]
    return "\n".join(lines)


def _row(one: Any, context: Any) -> str:
    if one.param_type_name == "argument":
        name, default = f"`{one.name.upper()}`", ""
    else:
        value = "" if one.is_flag else f" {one.metavar or one.name.upper()}"
        name = ", ".join(f"`{option}{value}`" for option in (*one.opts, *one.secondary_opts))
        shown = one.default is not None and not one.is_flag and one.show_default and not callable(one.default)
        default = f"`{one.default}`" if shown and one.default not in ("", (), []) else ""
    if one.required:
        default = "needed"
    return f"| {name} | {_cell(one.help)} | {default} |"


def _first_line(text: str | None) -> str:
    return _cell(re.split(r"\n\s*\n", inspect.cleandoc(text or ""))[0])


def _cell(text: str | None) -> str:
    """Text for a cell of a table: what looks like a placeholder or a mark of Markdown is shown as it is."""
    return " ".join(_prose(text).split()).replace("|", "\\|")


def _prose(text: str | None) -> str:
    """A docstring or a help text as Markdown; <student> and the like are no HTML."""
    parts = re.split(r"(``?[^`]+``?)", inspect.cleandoc(text or ""))
    return "".join(
        f"`{part.strip('`')}`" if number % 2 else re.sub(r"([<>*_\[\]$])", r"\\\1", part)
        for number, part in enumerate(parts)
    )


# ---- settings

_FILES = (
    (
        "course.toml",
        "What stands beside the homeworks, once a course.",
        ((course_files._CourseFile, ""), (LateRules, "[late]")),
    ),
    (
        "homework.toml",
        "What stands in the folder of each homework.",
        (
            (course_files._HomeworkFile, ""),
            (course_files.NotebookSpec, "[[notebooks]]"),
            (course_files.Limits, "[limits]"),
            (HomeworkLateRules, "[late]"),
            (Parameter, "[[parameters]]"),
        ),
    ),
)
_SAID_ELSEWHERE: dict[type[msgspec.Struct], tuple[type[msgspec.Struct], ...]] = {
    course_files._CourseFile: (course_files.Homework, course_files.Course),
    course_files._HomeworkFile: (course_files.Homework,),
    HomeworkLateRules: (LateRules,),
}
"""where the meaning of a field stands that has none of its own"""
_PLAIN = {
    "id": "the course's short name, in results and in file names",
    "title": "what people read",
    "homeworks": "the folders of the homeworks, in order",
    "repository": "where students open the notebooks, as `owner/name` at GitHub: badges lead there",
    "branch": "the branch of that repository",
    "floor": "grading refuses to run below this tier of confinement",
    "name": "the name of the file, without its ending",
    "minutes": "how long it takes, as it says itself",
    "notebook": "the notebook in whose text it stands",
    "notebooks": "see below",
    "limits": "see below",
    "late": "see below",
    "parameters": "see below",
}
"""fields whose meaning stands nowhere in the code"""


def _settings_page() -> str:
    lines = [
        "# Settings of a course",
        "",
        "Both files are TOML. A field that is not listed here is refused, with the file's name.",
        "",
    ]
    for file, about, structs in _FILES:
        lines += [f"## {file}", "", about, ""]
        for struct, heading in structs:
            if heading:
                lines += [f"### `{heading}` in {file}", "", tables.about(struct), ""]
            lines += [*_fields(struct), ""]
    return "\n".join(lines)


def _fields(struct: type[msgspec.Struct]) -> Iterator[str]:
    yield "| field | type | meaning | default |"
    yield "| --- | --- | --- | --- |"
    own, said = tables.meanings(struct), dict[str, str]()
    for one in _SAID_ELSEWHERE.get(struct, ()):
        said |= {name: text for name, text in tables.meanings(one).items() if not text.startswith("see ")}
    for field in msgspec.structs.fields(struct):
        default = "needed" if field.required else _value(field.default)
        meaning = _cell(own.get(field.name) or _PLAIN.get(field.name) or said[field.name])
        yield f"| `{field.name}` | {_words(field.type)} | {meaning} | {default} |"


def _words(kind: object) -> str:
    """A type in the words of TOML, where every value is something and a Struct is a table."""
    text = tables.words(kind).removesuffix(" or null").removesuffix(" or UnsetType")
    return re.sub(r"\b[A-Z]\w*(Rules|Spec|Limits|Parameter)\b|\bLimits\b|\bParameter\b", "table", text).replace(
        "datetime", "date and time"
    )


def _value(value: object) -> str:
    if value in (None, (), msgspec.NODEFAULT, msgspec.UNSET) or isinstance(value, msgspec.Struct):
        return ""
    return f"`{value}`" if not isinstance(value, str) else f'`"{value}"`'


# ---- what hidden tests import


def _api_page() -> str:
    lines = ["# What hidden tests import", "", _prose(inspect.getdoc(autograder)), ""]
    for name in sorted(autograder.__all__, key=str.casefold):
        one = getattr(autograder, name)
        if name == "__version__":
            continue
        lines += [f"## autograder.{name}", "", *_object(name, one), ""]
    from autograder.examination.hidden import Draw

    lines += ["## The fixture draw", "", *_object("", Draw), ""]
    return "\n".join(lines)


def _object(name: str, one: Any) -> Iterator[str]:
    if name:
        yield f"```python\n{name}{_signature(one)}\n```\n"
    yield _prose(inspect.getdoc(one))
    if inspect.isclass(one):
        for key, value in vars(one).items():
            plain = getattr(value, "func", value)
            if key.startswith("_") or not callable(plain) or not inspect.getdoc(plain):
                continue
            yield f"\n`{key}{_signature(plain)}`\n: {_prose(inspect.getdoc(plain))}"


def _signature(one: Any) -> str:
    """What a call looks like, with the types as they are written in the code."""
    text = re.sub(r"(: |-> )'([^']*)'", r"\1\2", str(inspect.signature(one)))
    text = re.sub(r"\(self(, )?", "(", text, count=1).removesuffix(" -> None")
    return text.replace("(", "(\n    ", 1).replace(", ", ",\n    ").replace(")", ",\n)", 1) if len(text) > 110 else text
