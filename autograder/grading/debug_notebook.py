"""The debugging notebook: a student's cells, and each failed test's questions with their values, ready to be run."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from typing import Any

import nbformat

from autograder.examination.dialogue import Dialogue, answer_text, is_name
from autograder.examination.personal_suite import personal_suites
from autograder.examination.suite import Suite
from autograder.grading.explanation import CellExplained, Examined, looks, recording
from autograder.results.transcript import Unusable
from autograder.sandbox.wire import messages
from autograder.sandbox.wire.messages import Question, Returned
from autograder.sandbox.wire.values import Array, Bytes, Dict, Large, List, Ref, Tensor, Tuple, from_wire

_SHORT = 400
"""most entries of a tensor that is written as numbers; larger ones are written as bytes"""
WARNING = """\
# {student}: {homework}, to be debugged

**This notebook runs the student's code unconfined, with your rights.** Read the cells before you run them, or run it
in a container. It holds what hidden tests asked: do not hand it to students.
"""
HELPERS = """\
import ast, base64
import numpy as np
import torch

def _bytes(text, dtype, shape):
    return torch.frombuffer(bytearray(base64.b64decode(text)), dtype=dtype).reshape(shape)

def _run(code, names):
    "Run harness code of the course; its last expression's value."
    tree = ast.parse(code)
    last = ast.Expression(tree.body.pop().value) if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "<harness>", "exec"), names)
    return eval(compile(last, "<harness>", "eval"), names) if last else None
"""


def written(kept: Examined, cells: Sequence[CellExplained], suites: dict[str, Suite]) -> str:
    """The notebook as JSON: for each notebook that has one of these exercises its cells, then the tests' questions."""
    suites = personal_suites(suites, kept.homework)
    made = [_text(WARNING.format(student=_name(kept.result.student), homework=kept.homework.name)), _code(HELPERS)]
    for name in dict.fromkeys(one.notebook for one in cells):
        noted, work = kept.transcript.notebook(name), kept.transcript.body.work.get(name)
        if noted is None or work is None:
            continue
        made.append(_text(f"## The student's {name}, as it was graded"))
        if work.files:
            made.append(_text(f"Beside it lay {', '.join(map(_name, work.files))}: put them here first."))
        skipped = {cell.id for cell in suites[name].master.cells if cell.demo}
        own = [_code(cell.source) for cell in work.cells if cell.kind == "code" and cell.id not in skipped]
        for cell in own:
            cell["metadata"]["tags"] = [
                "raises-exception"
            ]  # an error, for example of a check, does not stop the others
        made += own
        for one in (one for one in cells if one.notebook == name):
            for test in one.tests:
                made.append(_text(f"## {one.cell.grade_id}: {test.result.name}\n\n{test.result.says}"))
                try:
                    found = recording(test.result.name, noted, kept.transcript.body.blobs, suites[name])
                except Unusable as why:
                    made.append(_text(str(why)))
                    continue
                asked = [*found.exchanges, *((question, None) for question, _, _ in found.unanswered[:1])]
                rights = suites[name].diagnoser.answers(None, [question for question, _ in asked])
                made += _questions(asked, rights)
    book = nbformat.v4.new_notebook(
        cells=made, metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}}
    )  # type: ignore[no-untyped-call]
    for number, cell in enumerate(book.cells):
        cell["id"] = f"debug-{number}"
    return str(nbformat.writes(book)) + "\n"  # type: ignore[no-untyped-call]


def _questions(asked: Sequence[tuple[Question, Any]], rights: Sequence[Any]) -> Iterator[Any]:
    dialogue = _Code()
    for (question, answer), right in zip(asked, rights, strict=True):
        lines = dialogue.lines(question, answer)
        if looks(question, answer) and looks(question, right):
            continue
        if answer is not None:
            lines.append(f"# it answered {_comment(answer_text(answer))}")
        lines.append(f"# right is    {_comment(answer_text(right))}")
        if isinstance(right, Returned) and _plain(right.value) and not isinstance(right.value, bool | None):
            lines.append(f"right = {dialogue.literal(right.value)}")
        yield _code("\n".join(lines))


class _Code(Dialogue):
    """Writes questions as code that runs."""

    def lines(self, question: Question, answer: Any) -> list[str]:
        """The lines that ask this question and keep its answer as `answer`, and as a name if it is an object."""
        if isinstance(question, messages.Run):
            source = messages.source_of(question.code)
            names = "{}" if question.apart else "globals()"
            lines = [f"answer = _run({source!r}, {names})"]
            text = ""
        else:
            text = self.text(question)
            assigns = isinstance(question, messages.SetAttribute | messages.SetItem)
            lines = [f"{name} = {self.literal(value)}" for name, value in self.values.items()]
            lines.append(text if assigns else f"answer = {text}")
        name = self.heard(question, answer) if answer is not None else ""
        if name != text:
            lines += self._kept(name, "answer")
        if isinstance(answer, Returned) and isinstance(answer.value, Dict):
            for key, value in answer.value.pairs:
                if isinstance(value, Ref):
                    lines += self._kept(self._name(value.number), f"answer[{self.literal(key)}]")
        if isinstance(answer, Returned) and isinstance(answer.value, List | Tuple):
            for number, item in enumerate(answer.value.items):
                if isinstance(item, Ref):
                    lines += self._kept(self._name(item.number), f"answer[{number}]")
        return lines

    def _kept(self, name: str, value: str) -> list[str]:
        """The line that gives a name to an object; none where the name is an expression that finds it again."""
        return [f"{name} = {value}"] if is_name(name) else []

    def _short(self, value: Tensor | Array) -> bool:
        return len(value.data) <= 64

    def _written(self, value: Any) -> str:
        return self.literal(value)

    def literal(self, value: Any) -> str:
        """A value as an expression that gives it again."""
        match value:
            case Tensor() | Array():
                return _array(value) if isinstance(value, Array) else _tensor(value)
            case List(items=items):
                return f"[{', '.join(map(self.literal, items))}]"
            case Tuple(items=items):
                return f"({', '.join(map(self.literal, items))}{',' if len(items) == 1 else ''})"
            case Dict(pairs=pairs):
                return f"{{{', '.join(f'{self.literal(key)}: {self.literal(item)}' for key, item in pairs)}}}"
            case Large(digits=digits):
                return digits
            case Bytes(data=data):
                return repr(data)
            case float():
                return repr(value) if abs(value) < float("inf") else f"float('{value}')"
            case _:
                return repr(value)


def _tensor(value: Tensor | Array) -> str:
    shape, dtype = tuple(value.shape), f"torch.{value.dtype}"
    numbers = from_wire(Tensor(value.dtype, value.shape, value.data), lambda ref: ref).flatten()
    if numbers.numel() <= _SHORT and numbers.isfinite().all() and not numbers.is_complex():
        text = f"torch.tensor({numbers.tolist()}, dtype={dtype}).reshape({shape})"
    elif not value.data:
        text = f"torch.empty({shape}, dtype={dtype})"
    else:
        text = f"_bytes({base64.b64encode(value.data).decode()!r}, {dtype}, {shape})"
    return f"{text}.requires_grad_()" if isinstance(value, Tensor) and value.grad else text


def _array(value: Array) -> str:
    return f"{_tensor(value)}.numpy()"


def _plain(value: Any) -> bool:
    """Whether a value is all data, without objects."""
    match value:
        case Ref():
            return False
        case List(items=items) | Tuple(items=items):
            return all(map(_plain, items))
        case Dict(pairs=pairs):
            return all(_plain(key) and _plain(item) for key, item in pairs)
        case _:
            return True


def _comment(text: str) -> str:
    return " ".join(text.split())


def _code(source: str) -> Any:
    return nbformat.v4.new_code_cell(source)  # type: ignore[no-untyped-call]


def _name(path: str) -> str:
    """A name of a file or a student as Markdown that holds nothing but its letters."""
    return "".join(sign if sign.isalnum() or sign in "/ .-" else f"&#{ord(sign)};" for sign in path)


def _text(source: str) -> Any:
    return nbformat.v4.new_markdown_cell(source)  # type: ignore[no-untyped-call]
