"""Forbidden tools: every way to them is shut while tests run, and honest code is never accused."""

import _thread
import contextlib
import copy
import dataclasses
import enum
import functools
import subprocess
import sys
import threading
from collections import namedtuple
from pathlib import Path

import numpy
import pytest
import torch
from torch.nn import functional

from autograder.examination.harness import Harness
from autograder.forbidden import ForbiddenTool, runtime, static
from autograder.sandbox.inside.object_server import ObjectServer, functions_before
from autograder.sandbox.wire.messages import Run, compiled

# made before the doors were shut, as a student's earlier cell would
GRAD, BACKWARD, JACREV, JACFWD, VJP = (
    torch.autograd.grad,
    torch.Tensor.backward,
    torch.func.jacrev,
    torch.func.jacfwd,
    torch.func.vjp,
)
READY, SDPA = torch.nn.MultiheadAttention(4, 2, batch_first=True), functional.scaled_dot_product_attention
SEQUENCE = torch.randn(2, 3, 4)
LINEAR, MSE, LAYER = functional.linear, functional.mse_loss, torch.nn.Linear(3, 2)
X = torch.randn(3, requires_grad=True)
GIVEN = [("given", "import torch\nimport torch.nn.functional as F\nfrom torch import nn")]


FRESH = """
import copy, sys, torch
from autograder.forbidden import runtime
assert "torch._dynamo" not in sys.modules
runtime.prepare([{tool!r}])
with runtime.blocked([{tool!r}]):
    copied = copy.deepcopy(torch.ones(2))
    copied.grad = torch.ones(2)
    for kind in torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW, torch.optim.RMSprop, torch.optim.Adagrad:
        kind([copied], lr=0.1).step()
"""


@pytest.mark.slow(seconds=4)
@pytest.mark.parametrize("tool", sorted(runtime.TOOLS))
def test_what_pytorch_loads_late_is_loaded_before_a_tool_is_blocked(tool):
    done = subprocess.run([sys.executable, "-c", FRESH.format(tool=tool)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def through_the_engine():
    y = (X * X).sum()
    torch.autograd.Variable._execution_engine.run_backward((y,), (torch.ones(()),), False, False, (), True, True)


class Index:
    """A number that PyTorch asks the student's code for, inside a function of its own."""

    def __init__(self, work):
        self.work = work

    def __index__(self):
        self.work()
        return 0


class Factor:
    """A number that NumPy multiplies for PyTorch, by the student's code."""

    def __mul__(self, other):
        return functional.relu(X)

    __rmul__ = __mul__


def tangents():
    """Numbers with tangents below Python, by functions that were looked up before."""
    level = ENTER()
    moved = torch._make_dual(X.detach(), torch.ones(3), level=level)
    tangent = torch._unpack_dual(moved * moved, level=level)[1]
    LEAVE(level=level)
    return tangent


ENTER, LEAVE = torch._C._enter_dual_level, torch._C._exit_dual_level
AUTOGRAD = {
    "tensor.backward": lambda: (X * X).sum().backward(),
    "alias of backward": lambda: BACKWARD((X * X).sum()),
    "autograd.grad": lambda: GRAD((X * X).sum(), X),
    "autograd.functional": lambda: torch.autograd.functional.jacobian(lambda z: z * z, X),
    "jacrev": lambda: JACREV(lambda z: z * z)(X),
    "jacfwd": lambda: JACFWD(lambda z: z * z)(X),
    "vjp": lambda: VJP(lambda z: z * z, X)[1](torch.ones(3)),
    "dual numbers": lambda: torch.autograd.forward_ad.make_dual(X, X),
    "a level of dual numbers": lambda: torch._C._enter_dual_level(),
    "their switch": lambda: torch._C._set_fwd_grad_enabled(True),
    "the engine itself": through_the_engine,
}
NN = {
    "a layer": lambda: torch.nn.Linear(3, 2)(X),
    "a layer made before": lambda: LAYER(X),
    "an activation": lambda: torch.nn.ReLU()(X),
    "functional": lambda: functional.relu(X),
    "alias of linear": lambda: LINEAR(torch.ones(2, 3), torch.ones(4, 3)),
    "alias of a loss": lambda: MSE(X, X),
    "a callback": lambda: torch.zeros(1).apply_(lambda _: float(functional.relu(X)[0])),
    "alias in a callback": lambda: torch.zeros(1).map_(torch.zeros(1), lambda a, b: float(MSE(X, X))),
    "a callback that maps": lambda: torch.zeros(1).apply_(lambda _: float(len(list(map(functional.relu, [X]))))),
    "an array of objects": lambda: torch.ones(1).__rdiv__(numpy.array([Factor()], dtype=object)),
}
ATTENTION = {
    "alias of the function": lambda: SDPA(SEQUENCE, SEQUENCE, SEQUENCE),
    "a module made before": lambda: READY(SEQUENCE, SEQUENCE, SEQUENCE),
    "its fast path": lambda: READY.eval()(SEQUENCE.detach(), SEQUENCE.detach(), SEQUENCE.detach()),
    "its formula": lambda: torch._scaled_dot_product_attention_math(SEQUENCE, SEQUENCE, SEQUENCE),
    "a callback that is a partial function": lambda: torch.zeros(1).apply_(
        functools.partial(next, map(SDPA, [SEQUENCE], [SEQUENCE], [SEQUENCE]))
    ),
    "a callback": lambda: torch.zeros(1).apply_(lambda _: float(SDPA(SEQUENCE, SEQUENCE, SEQUENCE).sum())),
    "an encoder layer": lambda: torch.nn.TransformerEncoderLayer(4, 2, batch_first=True).eval()(SEQUENCE),
}


@pytest.mark.parametrize("way", AUTOGRAD)
def test_autograd_is_shut_even_where_recording_is_turned_on_again(way):
    with pytest.raises(ForbiddenTool), runtime.blocked(["autograd"]), torch.enable_grad():
        AUTOGRAD[way]()


def test_a_graph_is_counted_whatever_function_records_it():
    recording, node = torch._C._set_grad_enabled, X * X
    with pytest.raises(ForbiddenTool), runtime.blocked(["autograd"]):
        recording(True)
        node + X  # keeps no tensor
    with runtime.blocked(["autograd"]):
        node + X


@pytest.mark.parametrize(
    ("tool", "use"),
    [
        ("nn", lambda: torch.ops.aten.relu(X)),
        ("nn", lambda: torch.ops.aten.mse_loss.default(X, X)),
        ("attention", lambda: torch.ops.aten.scaled_dot_product_attention(SEQUENCE, SEQUENCE, SEQUENCE)),
    ],
)
def test_the_parts_of_a_tool_are_shut_in_every_library(tool, use):
    with pytest.raises(ForbiddenTool), runtime.blocked([tool]):
        use()
    with runtime.blocked(["attention"]):
        torch.ops.aten.relu(X)


def test_tangents_are_not_carried_along():
    assert torch.equal(tangents(), 2 * X.detach())
    with runtime.blocked(["autograd"]), runtime.blocked(["autograd"]):
        assert tangents() is None
    assert torch.equal(tangents(), 2 * X.detach())


def test_honest_callbacks_and_sequences_work_while_tools_are_shut():
    with runtime.blocked(["nn", "attention"]):
        assert torch.tensor([-1.0, 2.0]).apply_(lambda value: max(value, 0.0)).tolist() == [0, 2]
        assert torch.arange(3)[Index(lambda: torch.ones(2) @ torch.ones(2))] == 0
        assert torch.stack([torch.ones(2), torch.zeros(2)], dim=1).shape == (2, 2)
    assert sys.getprofile() is None


@pytest.mark.parametrize("way", NN)
def test_nn_is_shut(way):
    with pytest.raises(ForbiddenTool), runtime.blocked(["nn"]):
        NN[way]()


def test_who_leaves_the_mode_that_shuts_nn_gets_no_answer_and_it_is_shut_again():
    with runtime.blocked(["nn"]):
        with pytest.raises(ForbiddenTool), runtime.blocked(["nn"]):
            torch.device("cpu").__exit__(None, None, None)
            functional.relu(X)
        with pytest.raises(ForbiddenTool):
            functional.relu(X)
        with runtime.blocked(["nn"]), torch.device("cpu"):
            torch.ones(2)
    assert not torch.overrides._get_current_function_mode_stack()


def test_nn_is_shut_in_the_index_of_a_tensor():
    with pytest.raises(IndexError), runtime.blocked(["nn"]):  # PyTorch says that of every error in there
        torch.zeros(1)[Index(lambda: LINEAR(torch.ones(2, 3), torch.ones(4, 3)))]


@pytest.mark.parametrize("recording", [torch.no_grad, torch.enable_grad])
@pytest.mark.parametrize("way", ATTENTION)
def test_attention_is_shut_and_the_rest_of_nn_is_not(way, recording):
    with runtime.blocked(["attention"]), recording():
        assert torch.nn.Sequential(LAYER, torch.nn.GELU())(X).shape == (2,)
        with pytest.raises(ForbiddenTool, match="attention"):
            ATTENTION[way]()


class Row:
    """What PyTorch takes for numbers: when it asks for them, C calls attention from C."""

    def __len__(self):
        return 1

    def __getitem__(self, at):
        ATTENDED.extend(map(functools.partial(functional.scaled_dot_product_attention, scale=1.0), [E], [E], [E]))
        raise IndexError


ATTENDED, E = [], torch.eye(3)[None]


def test_attention_is_shut_where_no_python_is_between():
    with pytest.raises(ForbiddenTool), runtime.blocked(["attention"]):
        torch.as_tensor([Row()])
    assert ATTENDED == []


def test_inference_mode_is_not_left_where_autograd_is_shut():
    with runtime.blocked(["autograd"]):
        with torch.inference_mode():
            assert torch.equal(X + X, 2 * X)
        with pytest.raises(ForbiddenTool), torch.inference_mode(False):
            pass
    with torch.inference_mode(False):
        pass


class Way(enum.IntEnum):
    FIRST = 1


Pair = namedtuple("Pair", "a b")
Kept = dataclasses.make_dataclass("Kept", ["x"])


PLAIN = {
    "deepcopy of a tensor": lambda: copy.deepcopy(X.detach()),
    "deepcopy of tensors": lambda: copy.deepcopy({"x": [X.detach()], "y": X.detach()}),
    "asdict": lambda: dataclasses.asdict(Kept(X.detach())),
    "numpy's number": lambda: numpy.int32(2) ** X.detach(),
    "power of an enum": lambda: X.detach().unsqueeze(0).sum(Way.FIRST),
    "split by an enum": lambda: X.detach().split(Way.FIRST),
    "named tuple": lambda: torch.einsum("i,j->ij", Pair(X.detach(), X.detach())),
    "unique": lambda: torch.unique(X.detach()[None], dim=numpy.int32(1)),
    "norm": lambda: torch.norm(X.detach()[None], dim=Way.FIRST),
}


@pytest.mark.parametrize("use", PLAIN)
@pytest.mark.parametrize("tool", ["nn", "attention", "autograd"])
def test_what_is_part_of_no_tool_stays_open(use, tool):
    with runtime.blocked([tool]):
        PLAIN[use]()


def test_plain_tensor_functions_stay_open():
    with runtime.blocked(["autograd", "nn"]):
        weight = torch.randn(3, 3, requires_grad=True)  # a leaf that requires a gradient does no harm
        y = torch.relu(X @ weight.T).sigmoid() + torch.exp(X).log().clamp(min=0) + torch.where(X > 0, X, 0 * X)
        assert torch.einsum("i,i->", y, y).item() >= 0
        assert torch.softmax(y, 0).sum().item() == pytest.approx(1)


def test_the_doors_open_again():
    with runtime.blocked(["autograd", "nn"]):
        pass
    loss = functional.mse_loss(LAYER(X.detach()), torch.zeros(2))
    loss.backward()
    assert LAYER.weight.grad is not None


LEFT = "x = torch.linspace(0, 1, 9).requires_grad_()\ntorch.sigmoid(x).sum().backward()\n"


@pytest.mark.parametrize(
    ("solution", "helper"),
    [
        ("def f(x):\n    return torch.autograd.grad(x.sum(), x)", ""),
        ("def f(x):\n    x.sum().backward()\n    return x.grad", ""),
        ("def f(x):\n    return F.relu(x)", "import torch.nn.functional as F"),
        ("class L(nn.Module):\n    pass", "from torch import nn"),
        ("def f(x):\n    return help_me(x)", "def help_me(x):\n    return torch.func.jacrev(torch.sin)(x)"),
        ("def f(x):\n    return again(x)", "g = torch.autograd.grad\ndef again(x):\n    return g(x.sum(), x)"),
        ("def f(x):\n    return torch.ops.aten.sigmoid_backward(x, x)", ""),
        ("def f(x):\n    from autograder import doors", ""),
        ("def f(x):\n    from torch.autograd import grad\n    return grad(x.sum(), x)", ""),
        ("def f(x):\n    import torch.nn as layers\n    return layers.ReLU()(x)", ""),
        ("from torch.nn.functional import *\ndef f(x):\n    return relu(x)", ""),
        ("def f(x):\n    t = torch\n    return t.nn.functional.relu(x)", ""),
        ("def f(x):\n    t, u = torch, 3\n    return t.nn.functional.relu(x)", ""),
        ("def f(x):\n    return getattr(torch, 'nn').functional.relu(x)", ""),
        ("%time\ndef f(x):\n    x.sum().backward(retain_graph=True)", ""),
        ("def f(x):\n    return table[x]", f"{LEFT}table = x.grad.clone()"),
        ("def f(x):\n    return table[x]", f"{LEFT}table = []\nfor one in x.grad:\n    table += [one]"),
        ("def f(x):\n    return table[x]", f"{LEFT}table = x.grad\nclass Value:\n    def backward(self): pass"),
    ],
)
def test_a_solution_that_reaches_a_tool_by_name_is_found(solution, helper):
    own = [("helper", helper), ("answer", solution)]
    assert "Cell ‘" in static.uses("answer", own, GIVEN, ["autograd", "nn"])


@pytest.mark.parametrize(
    "solution",
    [
        "class Net:\n    def backward(self, dy):\n        return self.layer.backward(dy)",
        "class Net:\n    def backward(self, dy):\n        return self.layer.backward(dy=dy)",
        'def f(x):\n    """No autograd, no torch.nn here, and no loss.backward()."""\n    return x  # torch.func',
        "nn = 3\ndef f(x):\n    return x * nn",
        "def f(x):\n    return torch.relu(x)",
        "def f(x):\n    slope = 2 * x\n    return slope.sum()",
        "def f(F, nn):\n    return F.sum() + nn",
        "import torch.nn as nn\nfrom torch.autograd import grad\ndef f(x):\n    return x",
        "def f(x):\n    import torch.nn.functional as F\n    return x",
        "table = [2 * slope for slope in range(3)]\ndef f(x):\n    return x * table[0]",
        "def f(x:\n    broken",
    ],
)
def test_an_honest_solution_is_not_accused(solution):
    play = "def slope(x):\n    return torch.autograd.grad(x.sum(), x)\nf(x).sum().backward()\nright = x.grad\nx = 3 * 2"
    own = [("play", play), ("answer", solution)]
    assert static.uses("answer", own, GIVEN, ["autograd", "nn"]) == ""


def test_what_a_comprehension_begins_with_is_no_variable_of_it():
    own = [("play", "slope = torch.autograd.grad(x.sum(), x)"), ("answer", "f = [2 * slope for slope in slope]")]
    assert "autograd" in static.uses("answer", own, GIVEN, ["autograd"])


def test_a_check_that_was_merged_with_the_answer_is_still_ours():
    given = [*GIVEN, ("check", "right = F.relu(x)\nassert (f(x) == right).all()")]
    own = [("answer", "def f(x):\n    return x\n\nright = F.relu( x )  # by hand\nassert (f(x) == right).all()")]
    assert static.uses("answer", own, given, ["nn"]) == ""


TRIED = """
def f(x):
    return x

y = torch.ones(2, requires_grad=True)
right = F.relu(y)
right.sum().backward()
compare(f(y), F.relu(y))
print(f(y) - F.relu(y))
assert (f(y) == F.relu(y)).all()
"""
PATCHED = ["f = F.relu", "def f(x):\n    return g(x)\ng = F.relu", "class f:\n    pass\nf.g = F.relu"]
PATCHED += ["def f(x):\n    pass\nsetattr(f, 'g', F.relu)", "f = None\nfor f in [F.relu]:\n    pass"]


def test_what_a_cell_only_tries_out_is_no_part_of_its_solution():
    given = [*GIVEN, ("tools", "def compare(a, b):\n    assert (a == b).all()")]
    assert static.uses("answer", [("answer", TRIED)], given, ["autograd", "nn"], {"f"}) == ""


@pytest.mark.parametrize("solution", PATCHED)
def test_what_changes_the_solution_is_a_part_of_it(solution):
    assert "relu" in static.uses("answer", [("answer", solution)], GIVEN, ["nn"], {"f"})


def test_a_cell_may_try_its_solution_in_a_loop():
    loop = "for seed in range(2):\n    a, b = f(torch.ones(2)), nn.ReLU()(torch.ones(2))\n    print(a, b)"
    own = [("answer", f"def f(x):\n    return x\n\n{loop}")]
    assert static.uses("answer", own, GIVEN, ["nn"], {"f"}) == ""
    sneaky = [("answer", "def f(x):\n    return x\n\nfor g in [F.relu]:\n    setattr(f, 'g', g)")]
    assert "relu" in static.uses("answer", sneaky, GIVEN, ["nn"], {"f"})


def test_of_a_module_only_what_is_used_counts():
    tools = "import torch.nn as nn\nwidth = 3\ndef reference(x):\n    return nn.ReLU()(x)"
    for use, found in (("width", False), ("reference(x)", True)):
        own = [("answer", f"import tools\ndef f(x):\n    return x * tools.{use}"), ("tools.py", tools)]
        assert bool(static.uses("answer", own, GIVEN, ["nn"], {"f"})) is found


def test_a_function_that_is_made_built_in_is_followed():
    hidden = "import builtins\ndef g(x):\n    return nn.functional.relu(x)\nbuiltins.slope = g"
    own = [("own", hidden), ("answer", "def f(x):\n    return slope(x)")]
    assert "relu" in static.uses("answer", own, GIVEN, ["nn"], {"f"})


def test_what_a_star_imports_is_known_by_its_name():
    star = ("own", "from torch.nn.functional import *\nfrom math import *")
    assert "relu" in static.uses("answer", [star, ("answer", "def f(x):\n    return relu(x)")], GIVEN, ["nn"], {"f"})
    for honest in ("def f(x):\n    return exp(x)", "def relu(x):\n    return x\ndef f(x):\n    return relu(x)"):
        assert static.uses("answer", [star, ("answer", honest)], GIVEN, ["nn"], {"f"}) == ""


def test_a_path_that_grows_with_every_line_stays_short():
    longer = "t = torch\n" + "t = t.a\n" * 3000 + "t = t.nn.functional"
    own = [("own", longer), ("answer", "def f(x):\n    return t.relu(x)")]
    assert static.uses("answer", own, GIVEN, ["nn"], {"f"}) == ""
    assert max(map(len, static.sources_of(own, GIVEN).values())) < 500


def test_a_module_of_a_librarys_name_is_read_only_where_the_library_is_missing():
    layer = "import torch.nn as nn\ndef reference(x):\n    return nn.ReLU()(x)"
    for name, found in (("math", False), ("numpy", False), ("winreg", True), ("tensorflow", True)):
        own = [("answer", f"import {name}\ndef f(x):\n    return {name}.reference(x)"), (f"{name}.py", layer)]
        assert bool(static.uses("answer", own, GIVEN, ["nn"], {"f"})) is found, name


def test_a_name_that_is_defined_again_after_its_tests_accuses_nobody():
    own = [("answer", "class L:\n    pass"), ("own-1", "L = nn.Linear"), ("own-2", "L.forward = F.relu\nL = L")]
    book = frozenset({("own-1", "L")})
    assert "relu" in static.uses("answer", own, GIVEN, ["nn"], {"L"}, book | {("own-2", "L")})
    assert static.uses("answer", own[:2], GIVEN, ["nn"], {"L"}, book) == ""


@pytest.mark.parametrize(
    "later",
    [
        "setattr(f, 'g', F.relu)",
        "for g in [F.relu]:\n    setattr(f, 'g', g)",
        "def install():\n    f.g = F.relu\ninstall()",
        "def install(where):\n    where.g = F.relu\ninstall(f)",
        "ways['g'] = F.relu",
        "ways.update(g=F.relu)",
        "def fill():\n    ways['g'] = F.relu\nfill()",
        "type.__setattr__(f, 'g', F.relu)",
        "vars(f)['g'] = F.relu",
        "(lambda: ways.setdefault('g', F.relu))()",
    ],
)
def test_what_another_cell_puts_into_a_solution_is_a_part_of_it(later):
    solution = "ways = {}\ndef f(x):\n    return ways['g'](x)"
    own = [("answer", solution), ("own-1", later)]
    assert "own-1" in static.uses("answer", own, GIVEN, ["nn"], {"f"})


@pytest.mark.parametrize(
    "tried",
    [
        "def try_it(x):\n    seen = {}\n    seen['right'] = F.relu(x)\n    return seen, f(x)\ntry_it(X)",
        "x.grad = None\nF.relu(f(x)).sum().backward()",
        "class Mine(nn.Module):\n    def __init__(self):\n        self.layer = nn.Linear(1, 1)",
        "errors = []\nerrors.append((f(X) - F.relu(X)).abs().max())",
        "torch.testing.assert_close(f(X), F.relu(X))",
    ],
)
def test_what_another_cell_tries_out_accuses_nobody(tried):
    own = [("answer", "def f(x):\n    return x"), ("own-1", tried)]
    assert static.uses("answer", own, GIVEN, ["autograd", "nn"], {"f"}) == ""


OWN = "class Value:\n    def backward({}):\n        self.left.backward()"


@pytest.mark.parametrize(("arguments", "accused"), [("self", False), ("self, seed=1.0", False), ("self, dy", True)])
def test_backward_of_a_class_of_ones_own_is_no_tensors(arguments, accused):
    own = [("answer", OWN.format(arguments))]
    assert bool(static.uses("answer", own, GIVEN, ["autograd"], {"Value"})) is accused


def test_a_solution_is_followed_into_the_cell_where_it_stands():
    own = [("answer", "# see below"), ("own-1", "def f(x):\n    return F.relu(x)")]
    assert "own-1" in static.uses("answer", own, GIVEN, ["nn"], {"f"})


@pytest.mark.parametrize("part", ["F.scaled_dot_product_attention", "nn.TransformerEncoder", "nn.MultiheadAttention"])
def test_ready_attention_is_found_by_name(part):
    own = [("answer", f"def f(x):\n    return {part}(x)")]
    assert part.partition(".")[2] in static.uses("answer", own, GIVEN, ["attention"])


def test_layers_and_softmax_are_no_ready_attention():
    own = [("answer", "class A(nn.Module):\n    def forward(self, x):\n        return F.softmax(nn.Linear(3, 3)(x))")]
    assert static.uses("answer", own, GIVEN, ["attention"]) == ""


def test_what_other_cells_do_is_not_this_cells_matter():
    own = [("play", "torch.autograd.grad"), ("answer", "def f(x):\n    return x")]
    assert static.uses("answer", own, GIVEN, ["autograd", "nn"]) == ""


RULER = ("ruler", "def measure(x):\n    return torch.autograd.grad(x.sum(), x)")


def test_given_cells_may_use_every_tool():
    own = [("answer", "def f(x):\n    return measure(x)")]  # when a test calls it, the tool is blocked
    assert static.uses("answer", own, [*GIVEN, RULER], ["autograd"]) == ""


@pytest.mark.parametrize(
    "table",
    [
        "TABLE = measure(GRID)\ndef f(x):\n    return TABLE[x]",
        "def table():\n    return measure(GRID)\nTABLE = table()\ndef f(x):\n    return TABLE[x]",
        "def table():\n    x = torch.zeros(9, requires_grad=True)\n    (x ** 2).backward(x)\n    return x.grad\n"
        "TABLE = table()\ndef f(x):\n    return TABLE[x]",
        "def table():\n    x = torch.zeros(9)\n    x.requires_grad_()\n    g(x)\n    return x.grad\n"
        "TABLE = [table()]\ndef f(x):\n    from __main__ import TABLE as known\n    return known[0][x]",
    ],
)
def test_what_a_tool_computed_before_it_was_blocked_is_no_answer(table):
    assert "in line" in static.uses("answer", [("answer", table)], [*GIVEN, RULER], ["autograd"], ["f"])


def test_a_measurement_beside_an_answer_accuses_nobody():
    own = "def f(x):\n    return x\ndef tried():\n    x = torch.ones(2, requires_grad=True)\n    f(x).backward(x)\n"
    own += "    return x.grad - measure(x)[0]\nprint(tried())"
    assert static.uses("answer", [("answer", own)], [*GIVEN, RULER], ["autograd"], ["f"]) == ""


def test_a_chain_of_thousands_of_attributes_is_read():
    own = [("answer", "def f(x):\n    return x" + ".data" * 2500)]
    assert static.uses("answer", own, GIVEN, ["autograd", "nn"]) == ""


THREAD_STARTS = {  # what starts threads below the threading module; the last one since Python 3.13
    "start_new_thread": lambda run: _thread.start_new_thread(run, ()),
    "start_new": lambda run: _thread.start_new(run, ()),
    "start_joinable_thread": lambda run: _thread.start_joinable_thread(run),
}
if sys.version_info < (3, 13):
    del THREAD_STARTS["start_joinable_thread"]


@pytest.mark.parametrize(
    "start", [lambda run: threading.Thread(target=run).start(), *THREAD_STARTS.values()], ids=["Thread", *THREAD_STARTS]
)
def test_a_thread_leads_around_no_door(start):
    def open_one():
        with runtime.blocked(["autograd"]):
            start(AUTOGRAD["autograd.grad"])

    with pytest.raises(ForbiddenTool):
        open_one()


def test_a_convolution_that_c_calls_from_c_is_noted():
    """hw2/theory leaves PyTorch's convolutions to its checks."""
    ask = Harness(Path(__file__).parents[1] / "hw2" / "hidden" / "test_theory.py").ours.ask

    def behind(x, w):
        class Asked(Row):
            def __getitem__(self, at):
                found.extend(map(torch.conv1d, [x], [w]))
                raise IndexError

        found = []
        with contextlib.suppress(ValueError):
            torch.as_tensor([Asked()])
        return found[0]

    numbers = [torch.ones(1, 2, 5), torch.ones(1, 2, 3)]
    assert ask(behind, numbers, {})[2] == ["convolution"]
    assert ask(lambda x, w: torch.conv1d(x, w), numbers, {})[2] == ["conv1d"]
    assert ask(lambda x, w: (x.unfold(2, 3, 1) * w[:, :, None]).sum((1, 3)), numbers, {})[2] == []


def test_a_method_that_a_tensor_was_given_runs_no_tool_unseen():
    """PyTorch calls it where its own mode is off: `len(x)` asks for `x.dim()`."""
    probe, kept = torch.zeros(2), []
    probe.dim = lambda: kept.append(functional.linear(torch.ones(2, 3), torch.ones(4, 3))) or 1
    probe.numel = lambda: kept.append(functional.relu(torch.ones(2))) or 2
    for ask in (len, repr, lambda x: torch.cat([x, x]), lambda x: x + 1):
        with pytest.raises(ForbiddenTool), runtime.blocked(["nn"]):
            ask(probe)
    assert kept == []


def test_what_else_a_tensor_was_given_does_no_harm():
    node = torch.ones(2)
    node._backward, node.parents, node.label = (lambda: None), [node], "x"
    with runtime.blocked(["nn", "attention"]):
        assert len(node) == 2 and (node + 1).sum() == 4 and torch.stack([node, node]).shape == (2, 2)


def test_functions_that_a_notebook_replaced_are_put_back_before_harness_code_measures():
    functions_before()
    code = compiled("__import__('torch').equal(__import__('torch').ones(2), __import__('torch').zeros(2))")
    equal, norm = torch.equal, numpy.linalg.norm
    try:
        torch.equal = lambda one, other: True
        assert ObjectServer({}).answer(Run(b"", code)).value is True, "what runs in the notebook keeps its functions"
        assert ObjectServer({}).answer(Run(b"", code, True)).value is False
        assert torch.equal is equal
    finally:
        torch.equal, numpy.linalg.norm = equal, norm


def test_a_count_of_lines_sees_through_a_result_that_was_kept_and_an_ended_trace():
    harness = Harness(Path(__file__).parents[1] / "hw3" / "hidden" / "test_ocr.py").ours
    kept = {}

    def loops(x):
        total = 0.0
        for row in x.tolist():
            for value in row:
                total += value
        return total

    def keeps(x):
        if (id(x), x.data_ptr()) not in kept:
            kept[id(x), x.data_ptr()] = x, loops(x)  # while x is there, no other tensor stands in its place
        return kept[id(x), x.data_ptr()][1]

    def hides(x):
        sys.settrace(None)
        return loops(x)

    def whole(x):
        return x.sum()

    small, larger = [torch.ones(2, 2)], [[torch.ones(9, 9)], [torch.ones(12, 3)]]

    def maps(x):
        return torch.stack(list(map(torch.neg, x.flatten().unbind())))

    assert harness.grows(whole, small, larger, None) == ["", ""]
    for function in (loops, keeps, hides):
        assert harness.grows(function, small, larger, None) == ["lines", "lines"], function.__name__
    assert harness.grows(maps, small, larger, None) == ["operations", "operations"]
