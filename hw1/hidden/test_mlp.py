"""Hidden tests of hw1/mlp: each layer, both losses, the network, its steps and Value, on drawn sizes and numbers."""

import functools

import pytest
import torch
from torch.nn import functional

from autograder import Harness, StudentError, close, earns, shape_of, shape_told

HARNESS = Harness(__file__)
FUNCTIONS = {"relu": torch.relu, "sigmoid": torch.sigmoid, "identity": lambda z: z}
PAIRS = {  # of f and g: a ReLU that raises an error costs only what needs it
    "without relu": [(f, g) for f in ("sigmoid", "identity") for g in ("sigmoid", "identity")],
    "relu first": [("relu", g) for g in FUNCTIONS],
    "relu last": [(f, "relu") for f in ("sigmoid", "identity")],
}
ODD = (3, 5)  # batch sizes. A missing factor 2 is a mistake of its own, so neither they nor their roots are 2
VALUES = {  # expressions of a, b and c, from 0.5 to 2
    "sum": ["a + b", "a - b", "-a"],
    "product": ["a * b", "a / b"],
    "power": ["a**3", "a**-2", "a**0.5", "a**1"],
    "exp": ["a.exp()", "(a * b).exp()"],
    "log": ["a.log()", "(a * b).log()"],
    "relu": ["a.relu()", "(a - 5).relu()", "(a / 8).relu()", "(a / -8).relu()"],
}
RIGHT = {"Linear": "RightLinear", "ReLU": "RightReLU", "Sigmoid": "RightSigmoid"}  # right parts of the harness
FINAL = {"ForbiddenTool", "TimeoutError", "Crash"}  # errors that right layers do not prevent


class RightLayers:
    """The student's notebook, with networks that are built from right layers."""

    def __init__(self, student):
        self.run, self._student = student.run, student
        self._lent = HARNESS.lending(student, *RIGHT.values())

    @property
    def MLP(self):
        layers = {name: getattr(self._lent, right) for name, right in RIGHT.items()}
        return self._lent.of_right_layers(self._student.MLP, layers)

    @property
    def Linear(self):
        return self._lent.RightLinear


def network_test(test):
    """Let a test pass if it passes with the student's own layers or with right ones.

    So a slip in a layer does not cost points twice. The student's own layers come first, because a network may use
    more of them than ours offer.
    """

    @functools.wraps(test)
    def either(student, **others):
        try:
            test(student, **others)
        except (AssertionError, StudentError) as first:
            if getattr(first, "type", "") in FINAL:
                raise
            try:
                test(RightLayers(student), **others)
            except StudentError:
                raise first from None

    return either


def batch(draw):
    """A batch size, an input width and an output width, all different: swapped axes then show."""
    B = draw.choice(ODD)
    return B, B + draw.size(1, 3), B + draw.size(4, 6)


def sizes(draw):
    """The input, hidden and output widths of a network, all different."""
    n = draw.size(2, 4)
    return n, n + draw.size(4, 6), n + draw.size(1, 3)


def numbers(draw, n, hidden, out):
    """Drawn values for the four parameters of a network."""
    shapes = {"W1": (hidden, n), "b1": (hidden,), "W2": (out, hidden), "b2": (out,)}
    return {name: draw.normal(*shape) for name, shape in shapes.items()}


def predict(values, functions, x):
    """ŷ of the network, by torch alone."""
    f, g = (FUNCTIONS[name] for name in functions)
    z2 = f(functional.linear(x, values["W1"], values["b1"]))
    return g(functional.linear(z2, values["W2"], values["b2"]))


def gradients(values, functions, x, dJdy_hat):
    """The network's gradients according to autograd, under the names of `grads`."""
    leaves = {name: value.clone().requires_grad_() for name, value in values.items()}
    predict(leaves, functions, x).backward(dJdy_hat)
    return {f"dJd{name}": leaf.grad for name, leaf in leaves.items()}


def has_keys(found, names, what):
    """Assert that a dictionary has these keys and no others. The student's own are not told: they can be any text."""
    holds = f"{what} should hold {', '.join(names)}"
    missing = [name for name in names if name not in found]
    assert not missing, f"{holds}; {' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing"
    assert len(found) == len(names), f"{holds}, and nothing else"


def both(result, name):
    """Assert that a loss returned a tuple of two, and return it."""
    assert result is not None, f"{name} returned None: is a return statement missing?"
    two = isinstance(result, tuple | list) and len(result) == 2
    assert two, f"{name} should return a tuple of two: J and dJdy_hat"
    return result


def loss_value(J, right, name, B, K):
    """Assert that a loss is right. If it is off by a factor that is B, K or B·K, say so."""
    if isinstance(J, float | torch.Tensor) and torch.as_tensor(J).numel() == 1:
        for size, factor in (("B", B), ("K", K), ("B·K", B * K)):
            off = factor > 1 and abs(float(J) - factor * right.item()) < 1e-3 * abs(factor * right.item())
            assert not off, f"{name} is {factor} times what it should be, and {size} is {factor}"
    close(J, right, name)


def left_alone(tools, work, result, expected, **tensors):
    """Assert that `work` returns the right result for the named tensors and changes none of them.

    The result is checked because code that does nothing changes nothing, and must earn nothing.
    """
    value, *after = tools.result_and_inputs(work, *tensors.values())
    if isinstance(expected, tuple):
        value, expected = both(value, result.removeprefix("J of "))[0], expected[0]
    close(value, expected, result)
    for (name, tensor), now in zip(tensors.items(), after, strict=True):
        assert isinstance(now, torch.Tensor) and torch.equal(tensor, now), (
            f"{name} was changed in place; it must stay as it is"
        )


# ---------------------------------------------------------------------------------------------- numerical gradient


@earns("numerical-gradient", weight=2)
def test_two_sided_difference(student, draw):
    """The estimate is a central difference with the step `eps`."""
    tools = HARNESS.beside(student)
    for shape, eps in ((draw.size(3, 5),), 1e-2), ((2, draw.size(3, 4)), draw.size(2, 9) / 20):
        x, a = draw.normal(*shape, dtype=torch.float64), draw.normal(1, dtype=torch.float64)
        found = student.numerical_gradient(tools.cubic(a.item()), x, eps=eps)
        # the central difference of x³ is 3x² + ε²: exact but for rounding (1e-16 / ε); one-sided it would be off by 3xε
        close(found, a * (3 * x**2 + eps**2), f"numerical_gradient with eps={eps}", rtol=1e-8, atol=1e-10)


@earns("numerical-gradient")
def test_the_step_of_the_signature(student, draw):
    """Without `eps`, the step is 1e-6 to both sides."""
    found = HARNESS.beside(student).widths(student.numerical_gradient, draw.normal(2, 3, dtype=torch.float64))
    assert found, "numerical_gradient never called f"
    down, up = found
    for way, step in ("downwards", -down), ("upwards", up):
        other = "another" if step <= 0 else "smaller" if step < 1e-6 else "larger"
        assert 0.9e-6 < step < 1.1e-6, f"without eps the step {way} should be 1e-6; yours is {other}"


@earns("numerical-gradient")
def test_gradient_for_any_shape(student, draw):
    """The gradient has the shape of x, for vectors, matrices and tensors with three axes or more."""
    tools, n = HARNESS.beside(student), draw.size(2, 4)
    for shape in (1,), (1, n), (n, 1), (2, 3, n), (2, 1, 2, n):
        x = draw.normal(*shape, dtype=torch.float64)
        found = student.numerical_gradient(tools.cubic(2.0), x)
        close(found, 6 * x**2, f"numerical_gradient for x of shape {tuple(shape)}", rtol=1e-6, atol=1e-7)


@earns("numerical-gradient", weight=2)
def test_gradient_of_a_matrix(student, draw):
    """The gradient of a function that mixes the entries of a matrix is right."""
    m, n = draw.size(2, 3), draw.size(4, 5)
    x, A = draw.normal(m, n, dtype=torch.float64), draw.normal(n, m, dtype=torch.float64)
    found = student.numerical_gradient(HARNESS.beside(student).sine(A), x)
    # at ε = 1e-6 rounding leaves about 1e-16 · |f| / ε = 1e-9
    close(found, (x @ A).cos() @ A.T, "numerical_gradient", rtol=1e-6, atol=1e-7)


@earns("numerical-gradient")
def test_measuring_leaves_the_point_alone(student, draw):
    """x is the same after the call as before."""
    x = draw.normal(2, 3, dtype=torch.float64)
    work = student.run("lambda x: numerical_gradient(lambda x: (x**2).sum(), x)")
    left_alone(HARNESS.beside(student), work, "gradient", 2 * x, x=x)


# ---------------------------------------------------------------------------------------------- prediction


@earns("step-prediction")
def test_step_prediction(student):
    """step_prediction is one of the letters A, B and C; any of them is right."""
    letter = student.step_prediction
    assert isinstance(letter, str), "step_prediction should be a text: one letter in quotes"
    assert letter in ("A", "B", "C"), 'step_prediction should be "A", "B" or "C", and nothing else'


# ---------------------------------------------------------------------------------------------- linear layer


ONES = (1, 4, 3), (3, 1, 4), (4, 3, 1), (1, 1, 3), (3, 1, 1), (1, 3, 1), (1, 1, 1)  # B, n, m


def given_linear(student, draw, n, m):
    """The student's Linear(n, m) with a drawn weight and bias, and these two."""
    layer, W, b = student.Linear(n, m), draw.normal(m, n), draw.normal(m)
    layer.weight, layer.bias = W, b
    return layer, W, b


@earns("linear-forward", weight=2)
def test_linear_forward(student, draw):
    """Every row of the output is W x + b of the same row of the input."""
    B, n, m = batch(draw)
    layer, W, b = given_linear(student, draw, n, m)
    x = draw.normal(B, n)
    close(layer.forward(x), functional.linear(x, W, b), "y")


@earns("linear-forward")
def test_linear_forward_of_a_square(student, draw):
    """The output is right where batch, input and output have the same size."""
    n = draw.size(3, 6)
    layer, W, b = given_linear(student, draw, n, n)
    x = draw.normal(n, n)
    close(layer.forward(x), functional.linear(x, W, b), "y")


@earns("linear-forward")
def test_linear_forward_of_ones(student, draw):
    """The output is right, and of shape (B, out), where the batch, the input or the output is 1."""
    drawn = [(draw.normal(m, n), draw.normal(m), draw.normal(B, n)) for B, n, m in ONES]
    outputs = HARNESS.beside(student).outputs(student.Linear, drawn)
    for (B, n, m), (W, b, x), y in zip(ONES, drawn, outputs, strict=True):
        close(y, functional.linear(x, W, b), f"y of Linear({n}, {m}) for a batch of {B}")


@earns("linear-backward")
def test_linear_backward_of_ones(student, draw):
    """All gradients are right, and have the right shapes, where the batch, the input or the output is 1."""
    drawn = [(draw.normal(m, n), draw.normal(m), draw.normal(B, n), draw.normal(B, m)) for B, n, m in ONES]
    found = HARNESS.beside(student).passes(student.Linear, drawn)
    for (B, n, m), (W, _, x, dy), (dx, weight_grad, bias_grad) in zip(ONES, drawn, found, strict=True):
        name = f"Linear({n}, {m}) for a batch of {B}"
        close(dx, dy @ W, f"dx of {name}")
        close(weight_grad, dy.T @ x, f"weight_grad of {name}")
        close(bias_grad, dy.sum(0), f"bias_grad of {name}")


@earns("linear-backward", weight=2)
def test_linear_input_gradient(student, draw):
    """The gradient of the input agrees with autograd."""
    B, n, m = batch(draw)
    layer, W, _ = given_linear(student, draw, n, m)
    layer.forward(draw.normal(B, n))
    dy = draw.normal(B, m)
    close(layer.backward(dy), dy @ W, "dx", sizes={"B": B})


@earns("linear-backward", weight=2)
def test_linear_weight_gradient(student, draw):
    """The gradient of the weights agrees with autograd, for the x of the last forward."""
    B, n, m = batch(draw)
    layer, _, _ = given_linear(student, draw, n, m)
    x, dy = draw.normal(B, n), draw.normal(B, m)
    layer.forward(draw.normal(B, n))
    layer.forward(x)
    layer.backward(dy)
    close(layer.weight_grad, torch.einsum("bm,bn->mn", dy, x), "weight_grad", sizes={"B": B})


@earns("linear-backward", weight=2)
def test_linear_bias_gradient(student, draw):
    """The gradient of the bias agrees with autograd."""
    B, n, m = batch(draw)
    layer, _, _ = given_linear(student, draw, n, m)
    dy = draw.normal(B, m)
    layer.forward(draw.normal(B, n))
    layer.backward(dy)
    close(layer.bias_grad, torch.einsum("bm->m", dy), "bias_grad", sizes={"B": B})


@earns("linear-backward", weight=2)
def test_linear_gradients_accumulate(student, draw):
    """The gradients of two rounds of forward and backward add up; the second batch is a single example."""
    n, m = draw.size(2, 4), draw.size(5, 7)
    layer, _, _ = given_linear(student, draw, n, m)
    weight_grad, bias_grad = torch.zeros(m, n), torch.zeros(m)
    for B in (3, 1):
        x, dy = draw.normal(B, n), draw.normal(B, m)
        layer.forward(x)
        layer.backward(dy)
        weight_grad, bias_grad = weight_grad + dy.T @ x, bias_grad + dy.sum(0)
    close(layer.weight_grad, weight_grad, "weight_grad after two rounds")
    close(layer.bias_grad, bias_grad, "bias_grad after two rounds")


@earns("linear-backward")
def test_linear_leaves_its_inputs_alone(student, draw):
    """forward and backward change neither x nor dy, nor weight and bias."""
    tools, W, b = HARNESS.beside(student), draw.normal(2, 4), draw.normal(2)
    x, dy = draw.normal(3, 4), draw.normal(3, 2)
    left_alone(tools, tools.linear_backward(student.Linear), "dx", dy @ W, weight=W, bias=b, x=x, dy=dy)


@earns("linear-backward", weight=2)
def test_linear_layers_keep_apart(student, draw):
    """Two layers that are used in turn each keep their own input and their own gradients."""
    sizes = [batch(draw), (draw.size(1, 2), draw.size(2, 4), draw.size(5, 7))]
    (one, W, _), (other, _, _) = (given_linear(student, draw, n, m) for _, n, m in sizes)
    (x, dy), (z, dz) = ((draw.normal(B, n), draw.normal(B, m)) for B, n, m in sizes)
    one.forward(x)
    other.forward(z)
    other.backward(dz)
    close(one.backward(dy), dy @ W, "dx of a layer, after another layer was used")
    close(one.weight_grad, dy.T @ x, "weight_grad of a layer, after another layer was used")
    close(one.bias_grad, dy.sum(0), "bias_grad of a layer, after another layer was used")


# ---------------------------------------------------------------------------------------------- activations


def in_turn(one, other, x, z):
    """dx of an activation, where another one of its kind is used between its forward(x) and its backward."""
    one.forward(x)
    other.forward(z)
    other.backward(torch.ones_like(z))
    return one.backward(torch.ones_like(x))


@earns("relu", weight=2)
def test_relu_forward(student, draw):
    """ReLU returns positive entries unchanged, and 0 for the others."""
    relu = student.ReLU()
    for shape in (draw.size(2, 4), draw.size(5, 8)), (1, draw.size(3, 6)), (draw.size(3, 6), 1), (1, 1):
        x = draw.normal(*shape) * 3
        close(relu.forward(x), torch.relu(x), f"y of ReLU for x of shape {tuple(shape)}")


@earns("relu", weight=3)
def test_relu_backward(student, draw):
    """dx is dy where the last input was positive, whatever the sign of dy, and 0 elsewhere."""
    B, n = draw.size(2, 4), draw.size(5, 8)
    relu, x, dy = student.ReLU(), draw.normal(B, n), draw.normal(B, n)
    relu.forward(draw.normal(B, n))
    relu.forward(x)
    close(relu.backward(dy), torch.where(x > 0, dy, 0.0), "dx")
    x[:, 0] = 0  # there any slope from 0 to 1 is right
    relu.forward(x)
    dx = relu.backward(dy)
    close(dx[:, 1:], torch.where(x > 0, dy, 0.0)[:, 1:], "dx for an x with zeros, where x is not 0")
    slopes = dx[:, 0] / dy[:, 0]
    assert ((slopes >= -1e-6) & (slopes <= 1 + 1e-6)).all(), "where x is exactly 0, the slope should be from 0 to 1"


@earns("relu", weight=2)
def test_relu_leaves_its_inputs_alone(student, draw):
    """forward and backward change neither x nor dy."""
    tools, x, dy = HARNESS.beside(student), draw.normal(3, 5), draw.normal(3, 5)
    left_alone(tools, tools.activation(student.ReLU), "y", torch.relu(x), x=x, dy=dy)


@earns("relu", weight=2)
def test_relus_keep_apart(student, draw):
    """Two ReLUs that are used in turn each keep their own input."""
    x = draw.normal(draw.size(2, 4), draw.size(5, 8))
    for z in -x, draw.normal(1, 3):
        found = in_turn(student.ReLU(), student.ReLU(), x, z)
        close(found, (x > 0).float(), "dx of a ReLU, after another ReLU was used")


@earns("sigmoid", weight=2)
def test_sigmoid_forward(student, draw):
    """The sigmoid agrees with PyTorch's."""
    sigmoid = student.Sigmoid()
    for shape in (draw.size(2, 4), draw.size(5, 8)), (1, draw.size(3, 6)), (draw.size(3, 6), 1), (1, 1):
        x = draw.normal(*shape) * 3
        close(sigmoid.forward(x), torch.sigmoid(x), f"y of Sigmoid for x of shape {tuple(shape)}")


@earns("sigmoid", weight=3)
def test_sigmoid_backward(student, draw):
    """dx agrees with autograd, for the last forward pass."""
    B, n = draw.size(2, 4), draw.size(5, 8)
    sigmoid, x, dy = student.Sigmoid(), draw.normal(B, n).requires_grad_(), draw.normal(B, n)
    torch.sigmoid(x).backward(dy)
    sigmoid.forward(draw.normal(B, n))
    sigmoid.forward(x.detach())
    close(sigmoid.backward(dy), x.grad, "dx")


@earns("sigmoid", weight=2)
def test_sigmoid_far_out(student, draw):
    """Far from 0, the sigmoid is 0 or 1 and its slope is 0, never infinite or NaN."""
    sigmoid, answers = student.Sigmoid(), []
    for low, high in (17, 90), (100, 900), (1e5, 1e30):
        x = torch.cat([draw.uniform(1, 3, low=low, high=high), draw.uniform(1, 3, low=-high, high=-low)])
        where = f"for x from {low:g} to {high:g} and minus that"
        answers.append((where, sigmoid.forward(x), sigmoid.backward(draw.normal(2, 3))))
    for where, y, dx in answers:
        close(y, torch.tensor([[1.0] * 3, [0.0] * 3]), f"y {where}")
        close(dx, torch.zeros(2, 3), f"dx {where}")


@earns("sigmoid")
def test_sigmoid_leaves_its_inputs_alone(student, draw):
    """forward and backward change neither x nor dy."""
    tools, x, dy = HARNESS.beside(student), draw.normal(3, 5), draw.normal(3, 5)
    left_alone(tools, tools.activation(student.Sigmoid), "y", torch.sigmoid(x), x=x, dy=dy)


@earns("sigmoid", weight=2)
def test_sigmoids_keep_apart(student, draw):
    """Two sigmoids that are used in turn each keep their own forward pass."""
    x = draw.normal(draw.size(2, 4), draw.size(5, 8))
    y = torch.sigmoid(x)
    for z in x + 2, draw.normal(1, 3):
        found = in_turn(student.Sigmoid(), student.Sigmoid(), x, z)
        close(found, y * (1 - y), "dx of a sigmoid, after another sigmoid was used")


# ---------------------------------------------------------------------------------------------- losses


@earns("mse-loss", weight=2)
def test_mse_value(student, draw):
    """J is the squared error, averaged over all B·K entries."""
    for B, K in (draw.choice(ODD), draw.size(6, 7)), (1, 3), (3, 1), (1, 1):
        y, y_hat = draw.normal(B, K), draw.normal(B, K)
        J, _ = both(student.mse_loss(y, y_hat), "mse_loss")
        loss_value(J, functional.mse_loss(y_hat, y), f"J for y of shape {(B, K)}", B, K)


@earns("mse-loss", weight=3)
def test_mse_gradient(student, draw):
    """dJdy_hat of the squared error agrees with autograd."""
    for B, K in (draw.choice(ODD), draw.size(6, 7)), (1, 3), (3, 1), (1, 1):
        y, y_hat = draw.normal(B, K), draw.normal(B, K).requires_grad_()
        functional.mse_loss(y_hat, y).backward()
        _, dJdy_hat = both(student.mse_loss(y, y_hat.detach()), "mse_loss")
        close(dJdy_hat, y_hat.grad, f"dJdy_hat for y of shape {(B, K)}", sizes={"B": B, "K": K})


@earns("mse-loss")
def test_mse_leaves_its_inputs_alone(student, draw):
    """The labels and the predictions are not changed."""
    tools, y, y_hat = HARNESS.beside(student), draw.normal(2, 3), draw.normal(2, 3)
    left_alone(tools, student.mse_loss, "J of mse_loss", (functional.mse_loss(y_hat, y),), y=y, y_hat=y_hat)


@earns("bce-loss", weight=2)
def test_bce_value(student, draw):
    """J is the cross-entropy, averaged over all B·K entries."""
    for B, K in (draw.choice(ODD), draw.size(6, 7)), (1, 3), (3, 1), (1, 1):
        y, y_hat = draw.bernoulli(B, K), draw.uniform(B, K, low=0.05, high=0.95)
        J, _ = both(student.bce_loss(y, y_hat), "bce_loss")
        loss_value(J, functional.binary_cross_entropy(y_hat, y), f"J for y of shape {(B, K)}", B, K)


@earns("bce-loss", weight=3)
def test_bce_gradient(student, draw):
    """dJdy_hat of the cross-entropy agrees with autograd."""
    for B, K in (draw.choice(ODD), draw.size(6, 7)), (1, 3), (3, 1), (1, 1):
        y, y_hat = draw.bernoulli(B, K), draw.uniform(B, K, low=0.05, high=0.95).requires_grad_()
        functional.binary_cross_entropy(y_hat, y).backward()
        _, dJdy_hat = both(student.bce_loss(y, y_hat.detach()), "bce_loss")
        close(dJdy_hat, y_hat.grad, f"dJdy_hat for y of shape {(B, K)}", sizes={"B": B, "K": K})


@earns("bce-loss")
def test_bce_of_nearly_certain_predictions(student, draw):
    """Close to 0 and 1, the limits are those of the text: logarithms at -100, the denominator at 1e-12."""
    B, K = draw.choice(ODD), draw.size(6, 7)
    y, z = draw.bernoulli(B, K), draw.uniform(B, K, low=4, high=7) * (2 * draw.bernoulli(B, K) - 1)
    y_hat = torch.sigmoid(z)
    # so close to 0 that its logarithm is -46 to -76, and the denominator is below 1e-12
    y[0, :2], y_hat[0, :2] = 1, 10 ** -draw.uniform(2, low=20, high=33)
    y[1, 0], y_hat[1, 0] = 1, 1e-44  # its logarithm is -101
    J, dJdy_hat = both(student.bce_loss(y, y_hat), "bce_loss")
    close(J, functional.binary_cross_entropy(y_hat, y), "J of predictions close to 0 and 1", rtol=1e-3)
    expected = (y_hat - y) / (y_hat * (1 - y_hat)).clamp(min=1e-12) / (B * K)
    close(dJdy_hat, expected, "dJdy_hat of predictions close to 0 and 1", rtol=2e-3, sizes={"B": B, "K": K})


@earns("bce-loss", weight=2)
def test_bce_of_certain_predictions(student, draw):
    """Where ŷ is exactly 0 or 1, an entry's loss is 0 if it is right and 100 if it is wrong."""
    B, K = draw.choice(ODD), draw.size(6, 7)
    y, y_hat = draw.bernoulli(B, K), draw.bernoulli(B, K)
    y_hat[0, 0], y_hat[0, 1] = y[0, 0], 1 - y[0, 1]  # at least one is right and one is wrong
    J, _ = both(student.bce_loss(y, y_hat), "bce_loss")
    close(
        J, functional.binary_cross_entropy(y_hat, y), "J of predictions that are exactly 0 or 1", sizes={"B": B, "K": K}
    )


@earns("bce-loss", weight=2)
def test_bce_gradient_of_certain_predictions(student, draw):
    """Where ŷ is exactly 0 or 1, the gradient is 0 if it is right, and its denominator 1e-12 if it is wrong."""
    B, K = draw.choice(ODD), draw.size(6, 7)
    y, y_hat = draw.bernoulli(B, K), draw.bernoulli(B, K)
    y_hat[0, 0], y_hat[0, 1] = y[0, 0], 1 - y[0, 1]
    answers = [student.bce_loss(y, given) for given in (y_hat, y.clone())]
    (_, dJdy_hat), (_, of_labels) = (both(answer, "bce_loss") for answer in answers)
    expected = (y_hat - y) / 1e-12 / (B * K)
    close(dJdy_hat, expected, "dJdy_hat where ŷ is exactly 0 or 1", rtol=1e-3, sizes={"B": B, "K": K})
    close(of_labels, torch.zeros(B, K), "dJdy_hat where every ŷ is exactly right")


@earns("bce-loss")
def test_bce_leaves_its_inputs_alone(student, draw):
    """The labels and the predictions are not changed."""
    tools, y, y_hat = HARNESS.beside(student), draw.bernoulli(2, 3), draw.uniform(2, 3)
    expected = functional.binary_cross_entropy(y_hat, y)
    left_alone(tools, student.bce_loss, "J of bce_loss", (expected,), y=y, y_hat=y_hat)


# ---------------------------------------------------------------------------------------------- the network


@earns("mlp-build", weight=2)
@network_test
def test_network_shapes(student, draw):
    """A new network has parameters and gradients of the right names and shapes, zero gradients and an empty cache."""
    n, hidden, out = sizes(draw)
    tools = HARNESS.beside(student)
    parameters, grads, cache = tools.built(student.MLP, (n, hidden, out), ("relu", "identity"))
    shapes = {"W1": (hidden, n), "b1": (hidden,), "W2": (out, hidden), "b2": (out,)}
    has_keys(parameters, shapes, "parameters")
    has_keys(grads, [f"dJd{name}" for name in shapes], "grads")
    for name, shape in shapes.items():
        found = parameters[name]
        assert found is not None, f"parameters[{name!r}] should be a tensor"
        found = shape_of(found, f"parameters[{name!r}]")
        assert found == shape, f"the shape of {name} is {shape_told(found, shape)}; it should be {shape}"
        close(grads[f"dJd{name}"], torch.zeros(shape), f"dJd{name} before the first backward")
    assert not cache, "the cache should be empty before the first forward"


@earns("mlp-build")
@network_test
def test_initial_weights(student, draw):
    """The parameters start as in Linear, and the hidden units with different weights."""
    widths = draw.size(2, 9), draw.size(300, 310), draw.size(311, 320)  # wide: then chance changes the means by little
    for name, start in HARNESS.beside(student).started(student.MLP, student.Linear, widths):
        assert start != "no tensor", f"{name} of a new network should be a tensor"
        assert start != "not finite", f"{name} of a new network holds numbers that are infinite or not a number"
        assert "equal rows" not in start, f"rows of {name} should differ: units that start equal stay equal"
        beside = start if start in ("larger", "smaller", "higher on average", "lower on average") else "other"
        assert start == "as large", f"{name} should start as in your Linear; its entries are {beside} than there"


@earns("mlp-build", weight=2)
@network_test
def test_unknown_function_is_refused(student):
    """Any other name of a function raises a ValueError, for f_function and for g_function."""
    student.MLP(2, 3, "identity", 3, 1, "sigmoid")  # a class that refuses every name is wrong too
    raised = {}
    # no name, a part of a name, names that contain one, and two names are unknown as well
    for unknown in "tanh", "softplus", "ReLU", "", "sig", "relu6", "leaky_relu", "relu, sigmoid":
        for place, functions in ("f_function", (unknown, "relu")), ("g_function", ("relu", unknown)):
            try:
                student.MLP(2, 3, functions[0], 3, 1, functions[1])
            except StudentError as error:
                if error.type in ("ForbiddenTool", "NotImplementedError"):
                    raise
                raised[f"{place}={unknown!r}"] = error.type
            else:
                raised[f"{place}={unknown!r}"] = "accepted"
    for argument, found in raised.items():
        assert found != "accepted", f"{argument} should raise a ValueError: it was accepted"
        assert found == "ValueError", f"{argument} should raise a ValueError, not a {found}"


@earns("mlp-build")
@network_test
def test_networks_are_independent(student, draw):
    """Two networks share neither parameters nor gradients."""
    widths = sizes(draw)
    values, tools = numbers(draw, *widths), HARNESS.beside(student)
    parameters, grads = tools.beside_another(student.MLP, widths, ("sigmoid", "identity"), values)
    for name, value in values.items():
        assert f"dJd{name}" in grads, f"grads['dJd{name}'] of a new network is missing"
        close(parameters[name], value, f"{name} of the first network")
        close(grads[f"dJd{name}"], torch.zeros_like(value), f"dJd{name} of the first network")


@earns("mlp-forward")
@network_test
def test_network_forward(student, draw):
    """The prediction is g(W2 f(W1 x + b1) + b2) with the current `parameters`, for every f and g."""
    widths = sizes(draw)
    values, x = numbers(draw, *widths), draw.normal(draw.size(1, 4), widths[0])
    pairs = [(f, g) for f in FUNCTIONS for g in FUNCTIONS]
    found = HARNESS.beside(student).predictions(student.MLP, widths, pairs, values, x)
    for functions, y_hat in zip(pairs, found, strict=True):
        close(y_hat, predict(values, functions, x), f"ŷ of {'/'.join(functions)}")


@earns("mlp-backward")
@pytest.mark.parametrize("pairs", PAIRS.values(), ids=PAIRS)
@network_test
def test_network_gradients(student, draw, pairs):
    """All four gradients agree with autograd, for these pairs of f and g, for the last batch and any dJdy_hat."""
    widths = sizes(draw)
    values, B = numbers(draw, *widths), draw.choice(ODD)
    x, dJdy_hat = draw.normal(B, widths[0]), draw.normal(B, widths[2])
    tools, another = HARNESS.beside(student), draw.normal(B + 1, widths[0])
    nets = [tools.network(student.MLP, widths, pair, values) for pair in pairs]
    found = [tools.gradients(net, [another, x], dJdy_hat) for net in nets]
    for (f, g), grads in zip(pairs, found, strict=True):
        right = gradients(values, (f, g), x, dJdy_hat)
        has_keys(grads, right, "grads")
        for name, expected in right.items():
            # float32 sums of about ten terms: rounding stays below 1e-5
            close(grads[name], expected, f"{name} of {f}/{g}", atol=1e-5, sizes={"B": B, "K": widths[2]})


@earns("mlp-backward")
@network_test
def test_network_of_ones(student, draw):
    """All gradients are right where the batch or a width of the network is 1."""
    tools, functions = HARNESS.beside(student), ("sigmoid", "identity")
    for B, *widths in (1, 3, 4, 2), (3, 1, 4, 2), (4, 3, 1, 2), (2, 3, 4, 1), (1, 1, 1, 1):
        values, x, dJdy_hat = numbers(draw, *widths), draw.normal(B, widths[0]), draw.normal(B, widths[2])
        grads = tools.gradients(tools.network(student.MLP, widths, functions, values), [x], dJdy_hat)
        for name, expected in gradients(values, functions, x, dJdy_hat).items():
            assert name in grads, f"grads[{name!r}] is missing after backward"
            about = f"{name} of a network {' → '.join(map(str, widths))} for a batch of {B}"
            close(grads[name], expected, about, atol=1e-5)


@earns("mlp-backward")
@network_test
def test_networks_in_turn(student, draw):
    """Two networks that are used in turn each compute the gradients of their own pass."""
    tools, functions, kinds = HARNESS.beside(student), ("relu", "sigmoid"), [sizes(draw), sizes(draw)]
    values = [numbers(draw, *widths) for widths in kinds]
    questions = [(draw.normal(B, n), draw.normal(B, out)) for B, (n, _, out) in zip((3, 2), kinds, strict=True)]
    nets = [tools.network(student.MLP, widths, functions, own) for widths, own in zip(kinds, values, strict=True)]
    found = tools.in_turn(nets, questions)
    for turn, grads, own, question in zip(("first", "second"), found, values, questions, strict=True):
        for name, expected in gradients(own, functions, *question).items():
            assert name in grads, f"grads[{name!r}] is missing after backward"
            close(grads[name], expected, f"{name} of the {turn} of two networks that are used in turn", atol=1e-5)


@earns("mlp-backward")
@network_test
def test_network_leaves_its_inputs_alone(student, draw):
    """forward and backward change neither x nor dJdy_hat."""
    widths, tools = sizes(draw), HARNESS.beside(student)
    for functions in ("identity", "identity"), ("relu", "sigmoid"):
        values, x, dJdy_hat = numbers(draw, *widths), draw.normal(3, widths[0]), draw.normal(3, widths[2])
        work = tools.network_pass(student.MLP, widths, functions, values)
        left_alone(tools, work, "ŷ", predict(values, functions, x), x=x, dJdy_hat=dJdy_hat)


# The next two compare the network with itself.


@earns("mlp-memory")
@network_test
def test_network_gradients_accumulate(student, draw):
    """The gradients of two batches add up."""
    widths, functions = sizes(draw), ("sigmoid", "identity")
    values, tools = numbers(draw, *widths), HARNESS.beside(student)
    batches = [(draw.normal(B, widths[0]), draw.normal(B, widths[2])) for B in (3, 2)]
    first, second, together = tools.accumulated(student.MLP, widths, functions, values, batches)
    [(x, dJdy_hat), _] = batches
    doubled, _ = tools.accumulated(student.MLP, widths, functions, values, [(x, 2 * dJdy_hat)])
    for name in (f"dJd{parameter}" for parameter in values):
        assert name in first and first[name].any(), f"{name} is missing or zero after backward"
        assert first[name].isfinite().all(), f"{name} is not finite"
        close(doubled[name], 2 * first[name], f"{name} when dJdy_hat is twice as large", atol=1e-5)
        close(together[name], first[name] + second[name], f"{name} after two batches", atol=1e-5)


@earns("mlp-memory")
@network_test
def test_clearing(student, draw):
    """clear_grad_and_cache sets every gradient to zero and empties the cache; the next gradients start from zero."""
    widths = sizes(draw)
    values, tools = numbers(draw, *widths), HARNESS.beside(student)
    x, dJdy_hat = draw.normal(3, widths[0]), draw.normal(3, widths[2])
    net = tools.network(student.MLP, widths, ("sigmoid", "identity"), values)
    filled, before, cleared, cache, after, parameters, doubled = tools.cleared(net, x, dJdy_hat)
    assert filled, "the cache is empty after forward"
    assert not cache, "the cache still holds something after clear_grad_and_cache"
    for name in (f"dJd{parameter}" for parameter in values):
        assert name in before and before[name].any(), f"{name} is missing or zero after backward"
        grad = before[name]
        assert name in cleared, f"{name} is missing after clearing; it should be zero"
        close(cleared[name], torch.zeros_like(grad), f"{name} after clearing")
        close(after[name], grad, f"{name} of the same batch after clearing", atol=1e-5)
    for name, value in values.items():
        close(parameters[name], value, f"{name} after clearing, which should not change it")
        assert not torch.equal(doubled[name], parameters[name]), (
            f"parameters[{name!r}] is another tensor after clearing, which should leave the parameters alone"
        )


@earns("mlp-memory")
@network_test
def test_cache_of_the_last_pass(student, draw):
    """The cache holds tensors of the last forward pass, and none of an earlier one."""
    widths, tools = sizes(draw), HARNESS.beside(student)
    values, first, last = numbers(draw, *widths), draw.normal(2, widths[0]), draw.normal(3, widths[0])
    one, another = (tools.network(student.MLP, widths, ("relu", "sigmoid"), values) for _ in range(2))
    fault = tools.faults_of_the_cache(one, another, first, last)
    assert fault != "no tensor after forward", "the cache holds no tensor after forward"
    assert fault != "not finite", "a tensor in the cache is not finite"
    assert fault != "the earlier input", "the cache still holds the input of an earlier forward pass"
    assert fault == "", "the cache does not depend on the input of the last forward pass"


@earns("mlp-memory")
@network_test
def test_caches_keep_apart(student, draw):
    """The cache of a network does not change when another network runs."""
    widths, tools = sizes(draw), HARNESS.beside(student)
    values, x, z = numbers(draw, *widths), draw.normal(2, widths[0]), draw.normal(3, widths[0])
    nets = [tools.network(student.MLP, widths, ("relu", "sigmoid"), values) for _ in range(3)]
    fault = tools.faults_of_shared_caches(nets, x, z)
    assert fault != "missing", "a tensor in the cache of a network is missing after another network ran"
    assert fault == "", "a tensor in the cache of a network changes when another network runs"


# ---------------------------------------------------------------------------------------------- descent


def expected_steps(values, x, y, rate, steps):
    """J before each step of descent on the toy loss, and the parameters after the last step."""
    expected = []
    for _ in range(steps):
        leaves = {name: value.clone().requires_grad_() for name, value in values.items()}
        J = ((predict(leaves, ("identity", "identity"), x) - 2 * y) ** 2).mean()
        J.backward()
        values = {name: (leaf - rate * leaf.grad).detach() for name, leaf in leaves.items()}
        expected.append(J.item())
    return expected, values


@earns("train-step", weight=2)
def test_steps_of_descent(student, draw):
    """One step and three steps change the parameters by -η times the gradients, without gradients from before."""
    widths = sizes(draw)
    values, B, rate = numbers(draw, *widths), draw.choice(ODD), draw.size(2, 8) / 100
    x, y = draw.normal(B, widths[0]), draw.normal(B, widths[2])
    tools = HARNESS.beside(student)
    for steps, count in (1, "one step"), (3, "three steps"):
        _, moved, listed, *after = tools.descended(student.train_step, values, x, y, rate, steps)
        for name, value in expected_steps(values, x, y, rate, steps)[1].items():
            if torch.equal(moved[name], values[name]):
                new = isinstance(listed.get(name), torch.Tensor) and not torch.equal(listed[name], values[name])
                why = f"parameters[{name!r}] is a new tensor that the network does not compute with" if new else ""
                raise AssertionError(f"{name} of the network has not changed after {count}: {why}".removesuffix(": "))
            change = f"the change of {name} in {count}"
            # float32 differences of numbers near 1
            close(moved[name] - values[name], value - values[name], change, rtol=1e-3, atol=1e-5, sizes={"B": B})
        for name, tensor, now in zip(("x", "y"), (x, y), after, strict=True):
            assert torch.equal(tensor, now), f"{name} was changed in place; it must stay as it is"


@earns("train-step")
def test_loss_before_each_step(student, draw):
    """train_step returns the loss of the given function before the update."""
    widths = sizes(draw)
    values, B, rate = numbers(draw, *widths), draw.choice(ODD), draw.size(2, 8) / 100
    x, y = draw.normal(B, widths[0]), draw.normal(B, widths[2])
    losses, *_ = HARNESS.beside(student).descended(student.train_step, values, x, y, rate, 3)
    expected, _ = expected_steps(values, x, y, rate, 4)
    for number, (J, right) in enumerate(zip(losses, expected[:3], strict=True), 1):
        assert J is not None, "train_step returned None: is a return statement missing?"
        late = isinstance(J, torch.Tensor | float) and torch.as_tensor(J).numel() == 1
        late = late and abs(float(J) - expected[number]) < 1e-4 * abs(expected[number])
        assert not late, f"step {number} returned the loss after the update; it should be the loss before"
        close(J, right, f"J of step {number}", rtol=1e-3, sizes={"B": B, "K": widths[2]})


# ---------------------------------------------------------------------------------------------- Value


def judge_values(student, draw, *names):
    """Assert that data and gradients of these expressions agree with autograd, and that no data changes."""
    tools = HARNESS.beside(student)
    for name in names:
        numbers = draw.uniform(3, low=0.5, high=2).tolist()
        twins = [torch.tensor(number, dtype=torch.float64, requires_grad=True) for number in numbers]
        right = HARNESS.ours.expression(name, *twins)
        right.backward()
        data, grad, grads, inputs = tools.differentiated(student.Value, name, numbers)
        close(data, right, f"data of {name}")
        close(grad, 1.0, f"grad of the result of {name}")
        for letter, found, twin in zip("abc", grads, twins, strict=True):
            expected = torch.tensor(0.0) if twin.grad is None else twin.grad
            close(found, expected, f"grad of {letter} for {name}")
        for letter, found, number in zip("abc", inputs, numbers, strict=True):
            close(found, number, f"data of {letter} after backward for {name}")


@earns("value")
@pytest.mark.parametrize("names", VALUES.values(), ids=VALUES)
def test_value_operations(student, draw, names):
    """Data and gradients agree with autograd, for each operation on its own."""
    judge_values(student, draw, *names)


@earns("value")
def test_value_numbers(student, draw):
    """A plain number may stand on either side of an operation."""
    judge_values(student, draw, "a + 2", "2 + a", "a - 2", "2 - a", "a * 3", "3 * a", "a / 2", "2 / a")


@earns("value")
def test_value_used_twice(student, draw):
    """Where a value is used twice, both contributions count."""
    judge_values(student, draw, "a + a", "a * a", "(a * b) * (a + c)", "a * b + a.log() + a**2")


@earns("value")
def test_value_order(student, draw):
    """A value passes its gradient on only when all contributions to it have arrived, along paths of any length."""
    judge_values(student, draw, "d = a * b; d + (d * c).exp()", "d = a + b; (d.log() * c) ** 2 * d", "ten doublings")


@earns("value")
def test_value_results_add(student, draw):
    """Gradients of two results that share inputs add up."""
    numbers = draw.uniform(2, low=0.5, high=2)
    a, b = numbers.double()
    found = HARNESS.beside(student).of_two_results(student.Value, numbers.tolist())
    close(
        found,
        torch.stack([b + 1 / a, a + 1 / b]),
        "grad of a and b after backward of a * b and of log(a) + log(b)",
    )


@earns("value")
def test_value_between(student, draw):
    """Values between the inputs and the result get their gradients, too."""
    numbers = draw.uniform(3, low=0.5, high=2)
    a, b, c = numbers.double()
    found = HARNESS.beside(student).between(student.Value, numbers.tolist())
    close(found, torch.stack([2 * (a * b + c), 2 * (a * b + c)]), "grad of a * b and of a * b + c for (a * b + c) ** 2")


@earns("value")
def test_value_tape(student):
    """`parents` are the Values that a result was computed from, and `op` is a text that is not empty."""
    for name, complete, foreign, op in HARNESS.beside(student).tape(student.Value):
        assert complete, f"the parents of {name} should include every Value in it"
        assert not foreign, f"the parents of {name} should be the Values and numbers in it, and nothing else"
        assert isinstance(op, str) and op, f"op of {name} should be a text that is not empty"
