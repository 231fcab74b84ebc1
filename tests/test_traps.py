"""A forbidden tool that is used past all that refuses it ends the process, and the grader is told."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest
from test_sandbox import LIMITS, Cell
from typer import Exit

from autograder.cli.machine import doctor
from autograder.constants import BEYOND
from autograder.forbidden import traps
from autograder.sandbox.object_client import Student
from autograder.sandbox.sentences import how_a_fork_ended
from autograder.sandbox.session import Session
from autograder.sandbox.student_error import StudentError
from autograder.sandbox.wire.messages import ForkEnded, Ran, decode_report, encode
from autograder.sandbox.wire.wire_error import WireError
from autograder.sandbox.zygote_client import Zygote

pytestmark = [
    pytest.mark.slow(seconds=10, waits=True),
    pytest.mark.skipif(platform.machine() not in ("x86_64", "aarch64"), reason="there are no traps on this processor"),
]

IMPORTS = "import torch, torch.autograd.forward_ad\n"
GRAPH = "x = torch.tensor([1.0, 2.0], requires_grad=True)\ny = (x * x).sum()\n"
DUAL = (
    "enter, exit = torch._C._enter_dual_level, torch._C._exit_dual_level\nmake = torch._VF._make_dual\n"
    "switch = torch._C._set_fwd_grad_enabled\n"
)
QKV = "torch.ones(1, 2, 3, 4), torch.ones(1, 2, 3, 4), torch.ones(1, 2, 3, 4)"
PAST = (
    "function, dispatch = torch._C.DisableTorchFunction, torch._C._DisableTorchDispatch\n"
    "def f(*asked):\n    with function(), dispatch():\n        return "
)


@pytest.fixture(scope="module")
def zygote() -> Iterator[Zygote]:
    zygote = Zygote(Path(__file__).parent.parent)
    yield zygote
    zygote.close()


def asked(zygote: Zygote, source: str, shut: str) -> tuple[object, set[Ran]]:
    """What `f` answers to 1.0 in a hidden test: a value, or the error. And what the grader is told besides."""
    with Session(zygote, LIMITS, [Cell("c", IMPORTS + source)], (shut,)) as live:
        live.run()
        assert [shown.text for shown in live.outputs if shown.kind == "error"] == []
        line = live.fork()
        try:
            answer: object = Student(line).f(1.0)
        except StudentError as error:
            answer = str(error)
        finally:
            line.close()
        return answer, set(live.ran)


@pytest.mark.parametrize(
    ("shut", "source"),
    [
        ("autograd", f"{GRAPH}run = torch.autograd.Variable._execution_engine.run_backward\n"
         "def f(dy):\n    return run((y,), (torch.tensor(dy),), True, False, (x,), True)"),
        ("autograd", f"{GRAPH}run = type(torch.autograd.Variable._execution_engine)().run_backward\n"
         "def f(dy):\n    return run((y,), (torch.tensor(dy),), True, False, (x,), True)"),
        ("autograd", f"{GRAPH}import ctypes, mmap\nmmap.PROT_EXEC = mmap.PAGESIZE = 0\nctypes.memmove = print\n"
         "node = y.grad_fn\ndef f(dy):\n    return node(torch.tensor(dy))"),
        ("autograd", f"{GRAPH}node = y.grad_fn\ndef f(dy):\n    return node(torch.tensor(dy))"),
        ("autograd", f"{GRAPH}node = y.grad_fn.next_functions[0][0]\ndef f(dy):\n    return node(torch.ones(2))"),
        ("autograd", "f = lambda x: torch.ops.aten.sigmoid_backward(torch.tensor(x), torch.tensor(x))"),
        ("autograd", "f = lambda x: torch.ops.aten.threshold_backward(torch.tensor(x), torch.tensor(x), 0)"),
        ("autograd", "f = lambda x: torch.ops.aten.tanh_backward(torch.tensor(x), torch.tensor(x))"),
        ("autograd", "f = lambda x: torch.ops.aten.hardtanh_backward(*2 * [torch.ones(2)], 0, 1)"),
        ("autograd", "f = lambda x: torch.ops.aten.leaky_relu_backward(*2 * [torch.ones(2)], 0, False)"),
        ("autograd", "f = lambda x: torch.ops.aten.softplus_backward(*2 * [torch.ones(2)], 1, 20)"),
        ("autograd", "f = lambda x: torch.ops.aten.glu_jvp(*2 * [torch.ones(2)], torch.ones(4), 0)"),
        ("autograd", "f = lambda x: torch.ops.aten._softmax_backward_data(*2 * [torch.ones(2)], 0, torch.float32)"),
        ("nn", f"{PAST}torch.nn.functional.linear(*2 * [torch.ones(2, 2)])"),
        ("nn", f"{PAST}torch.nn.Linear(2, 2)(torch.ones(2, 2))"),
        ("nn", f"{PAST}torch.nn.functional.mse_loss(*2 * [torch.ones(2, 2)])"),
        ("nn", f"{PAST}torch.nn.functional.binary_cross_entropy(*2 * [torch.ones(2, 2)])"),
        ("nn", f"{PAST}torch.nn.BCEWithLogitsLoss()(*2 * [torch.ones(2, 2)])"),
        ("autograd", f"{DUAL}def f(x):\n    switch(True)\n    return make(*2 * [torch.tensor(x)], level=enter())"),
        ("autograd", "f = torch.jit.trace(lambda x: 2 * x, torch.ones(2))\n"
         "g, f = f, lambda x: g(torch.ones(2))"),
        ("attention", f"{PAST}torch.nn.functional.scaled_dot_product_attention({QKV})"),
        ("attention", f"{PAST}torch.ops.aten.scaled_dot_product_attention.default({QKV})"),
        ("attention", f"{PAST}torch.ops.aten._scaled_dot_product_attention_math.default({QKV})"),
        ("attention", f"{PAST}torch.ops.aten._scaled_dot_product_flash_attention_for_cpu.default({QKV})"),
        ("attention", "layer = torch.nn.MultiheadAttention(4, 2, batch_first=True).eval()\n"
         f"{PAST}layer(*[torch.ones(2, 3, 4)] * 3, need_weights=False)"),
        ("attention", f"layer = torch.nn.TransformerEncoderLayer(4, 2, 8, batch_first=True).eval()\n"
         f"{PAST}layer(torch.ones(2, 3, 4))"),
    ],
)  # fmt: skip
def test_a_tool_that_is_used_past_what_refuses_it_ends_the_process_and_is_seen(
    zygote: Zygote, shut: str, source: str
) -> None:
    answer, heard = asked(zygote, source, shut)
    assert answer == "Crash: your code used a tool that this notebook forbids"
    assert Ran("use", BEYOND.encode()) in heard


def test_a_trap_that_cells_prevent_ends_the_process_and_is_seen(zygote: Zygote) -> None:
    prevents = (
        f"{IMPORTS}import resource\nnow, hard = resource.getrlimit(resource.RLIMIT_DATA)\n"
        "resource.setrlimit(resource.RLIMIT_DATA, (1 << 20, hard))\ndef f(x):\n    return x"
    )
    with Session(zygote, LIMITS, [Cell("c", prevents)], ("autograd",)) as live:
        live.run()
        with pytest.raises(StudentError), closing(live.fork()) as line:
            Student(line).f(1.0)
        assert Ran("use", BEYOND.encode()) in live.ran


def test_a_process_that_begins_after_the_cells_has_the_traps(zygote: Zygote) -> None:
    """Garbage is collected once more before the tests, and a student's code can run then."""
    source = (
        "import gc, os\nreading, writing = os.pipe()\ndef begin(phase, info):\n    gc.callbacks.clear()\n"
        "    if not os.fork():\n        try:\n            x = torch.ones(2, requires_grad=True)\n"
        "            (2 * x).sum().backward()\n            os._exit(0)\n        finally:\n            os._exit(1)\n"
        "    _, status = os.wait()\n    os.write(writing, str(os.waitstatus_to_exitcode(status)).encode())\n"
        "gc.collect()\ngc.callbacks.append(begin)\ngc.disable()\ndef f(x):\n    return os.read(reading, 9).decode()"
    )
    assert asked(zygote, source, "autograd")[0] in ("87", "1")


def test_what_is_not_forbidden_works(zygote: Zygote) -> None:
    gradient = "def f(x):\n    x = torch.tensor(x, requires_grad=True)\n    (x * x).backward()\n    return x.grad"
    assert asked(zygote, gradient, "attention") == (2.0, set())
    attention = f"def f(x):\n    return torch.nn.functional.scaled_dot_product_attention({QKV}).sum()"
    assert asked(zygote, attention, "autograd") == (24.0, set())


def test_cells_differentiate_until_the_tests_begin(zygote: Zygote) -> None:
    tries = (
        f"{GRAPH}y.backward()\nassert torch.equal(x.grad, torch.tensor([2.0, 4.0]))\n"
        "assert torch.autograd.gradcheck(torch.sigmoid, torch.ones(2, dtype=torch.double, requires_grad=True))\n"
        "with torch.autograd.forward_ad.dual_level():\n    torch.autograd.forward_ad.make_dual(*2 * [torch.ones(2)])\n"
        "def f(x):\n    return 2 * x"
    )
    assert asked(zygote, tries, "autograd") == (2.0, set())


def test_the_table_of_modules_leads_to_nothing_of_the_graders(zygote: Zygote) -> None:
    looks = "import sys\ndef f(x):\n    return [name for name in sys.modules if name.startswith('autograder')]"
    assert asked(zygote, looks, "autograd")[0] == []


def test_what_is_refused_with_a_sentence_is_still(zygote: Zygote) -> None:
    answer, heard = asked(zygote, "def f(x):\n    return torch.func.grad(torch.sin)(torch.tensor(x))", "autograd")
    assert "automatic differentiation is not allowed" in str(answer) and heard == set()


@pytest.mark.parametrize("tool", ["autograd", "attention", "nn"])
def test_pytorch_has_all_functions_that_are_named(tool: str) -> None:
    found = traps.addresses(tool)
    assert {*traps.FUNCTIONS[tool], traps.SCRIPTS} <= found.keys() and len(set(found.values())) == len(found)


def test_each_derivative_that_pytorch_exports_is_trapped() -> None:
    assert len([name for name in traps.addresses("autograd") if "backward" in name]) > 200


def test_what_computes_no_derivative_is_not_trapped(zygote: Zygote) -> None:
    forward = (
        "from torch.nn import functional as F\n"
        "def f(x):\n    image = torch.full((1, 1, 6, 6), x)\n"
        "    up = F.conv_transpose2d(image, torch.ones(1, 1, 2, 2), stride=2)\n"
        "    pooled, where = F.max_pool2d(up, 2, return_indices=True)\n"
        "    parts = F.unfold(F.max_unpool2d(pooled, where, 2), 3)\n"
        "    return float(F.elu(F.fold(parts, (12, 12), 3)).isfinite().all())"
    )
    assert asked(zygote, forward, "autograd") == (1.0, set())


@pytest.mark.parametrize("status", [-1, 2**16, 2**40])
def test_a_wait_status_is_one(status: int) -> None:
    with pytest.raises(WireError):
        decode_report(encode(ForkEnded(1, status)))


def test_each_wait_status_is_told() -> None:
    for status in range(2**16):
        assert how_a_fork_ended(status, LIMITS).startswith("your ")


def test_the_doctor_says_whether_traps_hold(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert traps.hold()
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    assert not traps.hold()
    with suppress(Exit):
        doctor()
    assert f"missing  traps: {traps.MISSING}" in capsys.readouterr().out
