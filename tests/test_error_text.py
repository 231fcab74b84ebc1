"""Texts of exceptions: those of Python and PyTorch are shown, and nothing in which a student's code could write."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from autograder.examination.messages import explain, quoting
from autograder.forbidden import WHY
from autograder.sandbox.error_text import cell_of, fixed_text_of, kind_of, text_of
from autograder.sandbox.student_error import StudentError


def double(a, *, b=1):
    return a * b


A, B = torch.randn(3, 4), torch.randn(5, 6)
LEAF = torch.ones(3, requires_grad=True)


def twice():
    y = (LEAF * LEAF).sum()
    y.backward()
    y.backward()


def in_place():
    LEAF.add_(1)


def unbound():
    total += 1  # noqa: F821, F841


HONEST = {
    "bool from 1": lambda: 1 - (A > 0),
    "bool from bool": lambda: (A > 0) - (A > 0),
    "minus bool": lambda: -(A > 0),
    "undefined": lambda: undefined_name,  # noqa: F821
    "unbound": unbound,
    "no attribute": lambda: A.foo,
    "no attribute of a module": lambda: torch.soft_max,
    "none": lambda: None.shape,
    "missing argument": lambda: double(),
    "too many arguments": lambda: double(1, 2, 3),
    "unexpected keyword": lambda: double(1, c=2),
    "not callable": lambda: 3(),
    "not subscriptable": lambda: 3[0],
    "not iterable": lambda: list(3),
    "operand types": lambda: 1 + "a",
    "operand none": lambda: None * 2,
    "matrix product": lambda: A @ B,
    "sizes": lambda: A + B,
    "broadcast": lambda: A.expand(7, 4),
    "view": lambda: A.view(5, 5),
    "view of a transpose": lambda: A.T.view(12),
    "reshape": lambda: A.reshape(5, 5),
    "dimension": lambda: A.sum(5),
    "index": lambda: A[7],
    "too many indices": lambda: A[0, 0, 0],
    "list index": lambda: [1][3],
    "pop": lambda: [].pop(),
    "stack": lambda: torch.stack([A, B]),
    "cat": lambda: torch.cat([A, B]),
    "einsum": lambda: torch.einsum("ij,jk->ik", A, B),
    "dtype": lambda: A @ torch.ones(4, dtype=torch.float64),
    "in place dtype": lambda: torch.ones(3, dtype=torch.int64).add_(0.5),
    "truth": lambda: bool(A > 0),
    "scalar": lambda: float(A),
    "numpy of a leaf": lambda: LEAF.numpy(),
    "backward": lambda: A.sum().backward(),
    "backward of a vector": lambda: (LEAF * 2).backward(),
    "backward twice": twice,
    "leaf in place": in_place,
    "unpack too many": lambda: (lambda: [x for x, y in [(1, 2, 3)]])(),
    "unpack too few": lambda: (lambda: [x for x, y, z in [(1, 2)]])(),
    "key": lambda: {}["W1"],
    "zero": lambda: 1 // 0,
    "int": lambda: int("abc"),
    "one hot": lambda: functional.one_hot(torch.tensor([1, 5]), 3),
    "one hot dtype": lambda: functional.one_hot(torch.tensor([1.0]), 3),
    "cross entropy": lambda: functional.cross_entropy(A, torch.tensor([1, 2])),
    "class index": lambda: functional.cross_entropy(A, torch.tensor([1, 2, 9])),
    "bce": lambda: functional.binary_cross_entropy(torch.ones(2), torch.ones(3)),
    "linear": lambda: nn.Linear(3, 2)(A),
    "conv": lambda: nn.Conv2d(3, 4, 3)(torch.ones(1, 2, 8, 8)),
    "layer norm": lambda: nn.LayerNorm(5)(A),
    "lstm": lambda: nn.GRU(3, 2)(torch.ones(2, 2, 5)),
    "embedding": lambda: nn.Embedding(3, 2)(torch.tensor([5])),
    "module call": lambda: nn.Module()(1),
    "state dict": lambda: torch.zeros(2).item(),
    "numpy shapes": lambda: np.ones((2, 3)) @ np.ones((2, 3)),
    "numpy broadcast": lambda: np.ones(2) + np.ones(3),
    "numpy axis": lambda: np.ones(2).sum(axis=3),
    "recursion": lambda: (lambda f: f(f))(lambda f: f(f)),
    "optimizer": lambda: torch.optim.SGD([]),
    "gather": lambda: A.gather(1, torch.tensor([[9]])),
    "masked": lambda: A.masked_fill(torch.ones(7, dtype=torch.bool), 0),
    "randperm": lambda: torch.randperm(-1),
    "not defined by the notebook": lambda: (_ for _ in ()).throw(NameError("your notebook does not define 'MLP'")),
}


@pytest.mark.parametrize("name", HONEST)
def test_a_text_of_python_or_pytorch_is_shown(name):
    with pytest.raises(Exception) as raised:
        HONEST[name]()
    error = raised.value
    assert text_of(type(error).__name__, str(error)) == str(error).strip().split("\n")[0]


X = torch.tensor([0.18263, -2.75])


@pytest.mark.parametrize(
    "text",
    [
        repr(X),
        str(X.tolist()),
        "x = 0.18263",
        "hidden input: STOLEN",
        "the size of tensor is 18263",
        "name 'x_18263' is not defined",
        "could not convert string to float: '0.18263'",
        "'" + "q" * 80 + "'",
        "value 0x3e3b",
        "def test_hidden(student, draw):",
        "ünïcode",
        "a" * 400,
    ],
)
def test_a_text_that_could_carry_a_hidden_input_is_not_shown(text):
    assert text_of("ValueError", text) == ""


def test_names_that_could_carry_a_number_are_not_shown():
    assert kind_of("ValueError") == "ValueError" and kind_of("E0182635") == "an exception"
    assert kind_of("_LinAlgError") == "_LinAlgError" and kind_of("KRbYEqHMPdGroMropCamytHwz") == "an exception"
    assert cell_of("mlp-tools") == "mlp-tools" and cell_of("own-12") == "own-12" and cell_of("0.18263") == ""


def test_a_forged_refusal_says_nothing_of_its_own():
    assert text_of("ForbiddenTool", "0.18263") == ""
    assert text_of("ForbiddenTool", WHY["nn"]) == WHY["nn"]


@pytest.mark.parametrize(
    "text", ["name 'abcdefghij' is not defined", "'loss' object has no attribute 'bhjc'", "mat1 and mat2", "'abc'"]
)
def test_of_a_training_run_no_words_are_told(text):
    """Its inputs are the same for all, and words can carry them to the next submission."""
    assert fixed_text_of("NameError", text) == ""
    assert fixed_text_of("ForbiddenTool", text) == "" and fixed_text_of("ForbiddenTool", WHY["nn"]) == WHY["nn"]
    assert fixed_text_of("RuntimeError", "No CUDA GPUs are available") == "there is no GPU"


def test_only_the_first_numbers_of_a_text_are_shown():
    sizes = ", ".join(str(1000 + number) for number in range(40))
    shown = text_of("RuntimeError", f"shape '[{sizes}]' is invalid for input of size 1")
    assert "1013" in shown and "1014" not in shown and shown.endswith("is invalid for input of size …")


@pytest.mark.parametrize("what", HONEST)
def test_a_text_of_python_or_pytorch_may_quote_the_names_of_the_code(what):
    try:
        HONEST[what]()
    except Exception as error:
        text = text_of(type(error).__name__, str(error))
        message = explain(StudentError(type(error).__name__, text, "own", 3))
    code = "undefined_name total A.foo soft_max double(a, c=2) W1 abc x.numpy class MLP"
    assert quoting(message, [code]) == message


@pytest.mark.parametrize(
    "text",
    [
        "name 'velaouug' is not defined",
        "name 'heaeea', 'velaouugxijpot' is not defined",
        'object has no attribute "qwxzy"',
        "'MLP' object has no attribute 'bqqy.wcx'",
        "qwxzy() missing required argument",
        "module torch.qwxzy has no attribute",
    ],
)
@pytest.mark.parametrize("cell", ["own", ""])
def test_a_made_up_name_is_not_quoted(text, cell):
    error = StudentError("TypeError", text_of("TypeError", text), cell, 3)
    told = quoting(explain(error), ["class MLP:\n    pass"])
    assert "TypeError" in told and not any(name in told for name in ("vela", "heae", "qwxz", "bqqy", "wcx"))


def test_no_text_quotes_many_names_and_a_tests_own_message_stays():
    text = "name " + ", ".join(f"'{name}'" for name in "abcabcabcabc") + " is not defined"
    error = StudentError("NameError", text_of("NameError", text), "own", 1)
    assert quoting(explain(error), ["a b c"]).count("'") == 12
    assert quoting("f changes 'qwxzy' in place", []) == "f changes 'qwxzy' in place"
