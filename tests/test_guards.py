"""What leads to automatic differentiation is shut before the first cell: what cells keep of it works in no test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from test_sandbox import LIMITS, Cell

from autograder.forbidden import WHY
from autograder.sandbox.object_client import Student
from autograder.sandbox.session import Session
from autograder.sandbox.student_error import StudentError
from autograder.sandbox.zygote_client import Zygote

pytestmark = pytest.mark.slow(seconds=10, waits=True)

BEGIN = "import torch\nx = torch.ones(3, requires_grad=True)\ny = (2 * x).sigmoid().sum()\n"
RUN = "((y,), (torch.ones(()),), True, False, (x,), True)"


@pytest.fixture(scope="module")
def zygote() -> Iterator[Zygote]:
    zygote = Zygote(Path(__file__).parent.parent)
    yield zygote
    zygote.close()


def asked(zygote: Zygote, source: str, shut: tuple[str, ...] = ("autograd",)) -> tuple[str, Any]:
    """What a cell prints, and what its `f` answers to 1.0: a value, or the error."""
    with Session(zygote, LIMITS, [Cell("c", BEGIN + source)], shut) as live:
        live.run()
        line = live.fork()
        try:
            answer = Student(line).f(1.0)
        except StudentError as error:
            answer = str(error)
        finally:
            line.close()
    return "".join(shown.text for shown in live.outputs), answer


@pytest.mark.parametrize(
    "keeps",
    [
        "node = y.grad_fn\ndef f(dy):\n    return node(torch.tensor(dy))",
        "node = getattr(y, 'grad' + '_fn').next_functions[0][0]\ndef f(dy):\n    return node(torch.ones(3))",
        "import functools\nclass Box:\n    pass\nbox = Box()\n"
        "functools.update_wrapper(box, y, assigned=['grad_fn'], updated=[])\n"
        "def f(dy):\n    return box.grad_fn(torch.tensor(dy))",
        "kept = []\nclass Same(torch.autograd.Function):\n    def forward(ctx, x):\n        kept.append(ctx)\n"
        "        return 1 * x\n    def backward(ctx, dy):\n        return dy\nz = Same.apply(y)\n"
        "def f(dy):\n    return kept[0].next_functions[0][0](torch.tensor(dy))",
        f"run = torch.autograd.Variable._execution_engine.run_backward\ndef f(dy):\n    return run{RUN}[0]",
        f"made = type(torch.autograd.Variable._execution_engine)()\ndef f(dy):\n    return made.run_backward{RUN}[0]",
    ],
)
def test_what_a_cell_keeps_differentiates_nothing_in_a_test(zygote: Zygote, keeps: str) -> None:
    printed, answer = asked(zygote, keeps)
    assert printed == ""
    assert isinstance(answer, str) and ("callable" in answer or WHY["autograd"] in answer or "no attribute" in answer)


def test_cells_differentiate_and_see_graphs_as_everywhere(zygote: Zygote) -> None:
    tries = (
        "print(y, y.grad_fn.name(), [(node.name(), number) for node, number in y.grad_fn.next_functions])\n"
        "print(type(y.grad_fn).__name__, x.grad_fn, repr(y.grad_fn).partition(' at ')[0])\n"
        "y.backward()\nassert torch.allclose(x.grad, 2 * (2 * x).sigmoid() * (1 - (2 * x).sigmoid()))\n"
        "assert torch.autograd.gradcheck(torch.sigmoid, torch.ones(2, dtype=torch.double, requires_grad=True))\n"
        "assert torch.func.grad(lambda a: a**3)(torch.tensor(2.0)) == 12\n"
        "def f(x):\n    return 2 * x"
    )
    assert asked(zygote, tries) == asked(zygote, tries, ())
    printed, answer = asked(zygote, tries)
    assert "SumBackward0 [('SigmoidBackward0', 0)]" in printed and "SumBackward0 None <SumBackward0 object" in printed
    assert answer == 2.0


def test_no_program_of_torchscript_is_loaded(zygote: Zygote, tmp_path: Path) -> None:
    torch.jit.save(torch.jit.trace(torch.nn.Sigmoid(), torch.ones(2)), tmp_path / "sigmoid.pt")
    data = (tmp_path / "sigmoid.pt").read_bytes()
    loads = f"import io\ndef f(x):\n    return torch.jit.load(io.BytesIO({data!r}))(torch.tensor(x))"
    assert "TorchScript" in asked(zygote, loads)[1]
    assert asked(zygote, loads, ())[1] == torch.sigmoid(torch.tensor(1.0))


def test_the_table_of_modules_leads_to_nothing_of_the_graders(zygote: Zygote) -> None:
    looks = "import sys\ndef f(x):\n    return [name for name in sys.modules if name.startswith('autograder')]"
    assert asked(zygote, looks)[1] == []
