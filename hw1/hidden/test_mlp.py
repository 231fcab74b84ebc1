"""Hidden tests of hw1/mlp: each layer, both losses, the network and its steps, on sizes and numbers that are drawn."""

import pytest
import torch
from torch.nn import functional

from autograder import Harness, StudentError, close, earns

HARNESS = Harness(__file__)
FUNCTIONS = {"relu": torch.relu, "sigmoid": torch.sigmoid, "identity": lambda z: z}


def batch(draw):
    """A batch size, an input width and an output width that are all different, so that no two axes can be confused."""
    B = draw.size(2, 5)
    return B, B + draw.size(1, 3), B + draw.size(4, 6)


def sizes(draw):
    """Input, hidden and output width of a network, all different."""
    n = draw.size(2, 4)
    return n, n + draw.size(4, 6), n + draw.size(1, 3)


def numbers(draw, n, hidden, out):
    """Values for the four parameters of a network."""
    shapes = {"W1": (hidden, n), "b1": (hidden,), "W2": (out, hidden), "b2": (out,)}
    return {name: draw.normal(*shape) for name, shape in shapes.items()}


def predict(values, functions, x):
    """ŷ of the network, by torch alone."""
    f, g = (FUNCTIONS[name] for name in functions)
    z2 = f(functional.linear(x, values["W1"], values["b1"]))
    return g(functional.linear(z2, values["W2"], values["b2"]))


def gradients(values, functions, x, dJdy_hat):
    """What autograd says that the network's gradients are, under the names of `grads`."""
    leaves = {name: value.clone().requires_grad_() for name, value in values.items()}
    predict(leaves, functions, x).backward(dJdy_hat)
    return {f"dJd{name}": leaf.grad for name, leaf in leaves.items()}


def left_alone(tools, work, result, expected, **tensors):
    """Calls `work` with the named tensors; asserts that its result is right and that no tensor was written to.

    The result is looked at because code that does nothing leaves everything alone, and earns nothing.
    """
    value, *after = tools.result_and_inputs(work, *tensors.values())
    close(value, expected, result)
    for (name, tensor), now in zip(tensors.items(), after, strict=True):
        assert isinstance(now, torch.Tensor) and torch.equal(tensor, now), (
            f"{name} was changed in place: it belongs to the caller"
        )


# ---------------------------------------------------------------------------------------------- numerical gradient


@earns("numerical-gradient", weight=2)
def test_two_sided_difference(student, draw):
    """The estimate is a central difference, with the step that was asked for."""
    x, a = draw.normal(draw.size(3, 5), dtype=torch.float64), draw.normal(1, dtype=torch.float64)
    found = student.numerical_gradient(HARNESS.beside(student).cubic(a.item()), x, eps=1e-2)
    # the central difference of x³ is 3x² + ε²: exact but for rounding (1e-16 / ε); one-sided it would be off by 3xε
    close(found, a * (3 * x**2 + 1e-4), "numerical_gradient", rtol=1e-8, atol=1e-10)


@earns("numerical-gradient", weight=2)
def test_gradient_of_a_matrix(student, draw):
    """The gradient has the shape of x, also where all entries of x meet in one number."""
    m, n = draw.size(2, 3), draw.size(4, 5)
    x, A = draw.normal(m, n, dtype=torch.float64), draw.normal(n, m, dtype=torch.float64)
    found = student.numerical_gradient(HARNESS.beside(student).sine(A), x)
    # at ε = 1e-6 rounding leaves about 1e-16 · |f| / ε = 1e-9
    close(found, (x @ A).cos() @ A.T, "numerical_gradient", rtol=1e-6, atol=1e-7)


@earns("numerical-gradient")
def test_measuring_leaves_the_point_alone(student, draw):
    """x is the same after the measurement as before."""
    x = draw.normal(2, 3, dtype=torch.float64)
    work = student.run("lambda x: numerical_gradient(lambda x: (x**2).sum(), x)")
    left_alone(HARNESS.beside(student), work, "gradient", 2 * x, x=x)


# ---------------------------------------------------------------------------------------------- linear layer


def given_linear(student, draw, n, m):
    """The student's Linear(n, m) with drawn numbers in it, and these numbers."""
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
    """The bias belongs to the outputs, also where batch, input and output are equally large."""
    n = draw.size(3, 6)
    layer, W, b = given_linear(student, draw, n, n)
    x = draw.normal(n, n)
    close(layer.forward(x), functional.linear(x, W, b), "y")


@earns("linear-backward", weight=2)
def test_linear_input_gradient(student, draw):
    """The gradient of the input agrees with autograd."""
    B, n, m = batch(draw)
    layer, W, _ = given_linear(student, draw, n, m)
    layer.forward(draw.normal(B, n))
    dy = draw.normal(B, m)
    close(layer.backward(dy), dy @ W, "dx")


@earns("linear-backward", weight=2)
def test_linear_weight_gradient(student, draw):
    """The gradient of the weights agrees with autograd."""
    B, n, m = batch(draw)
    layer, _, _ = given_linear(student, draw, n, m)
    x, dy = draw.normal(B, n), draw.normal(B, m)
    layer.forward(x)
    layer.backward(dy)
    close(layer.weight_grad, torch.einsum("bm,bn->mn", dy, x), "weight_grad")


@earns("linear-backward", weight=2)
def test_linear_bias_gradient(student, draw):
    """The gradient of the bias agrees with autograd."""
    B, n, m = batch(draw)
    layer, _, _ = given_linear(student, draw, n, m)
    dy = draw.normal(B, m)
    layer.forward(draw.normal(B, n))
    layer.backward(dy)
    close(layer.bias_grad, torch.einsum("bm->m", dy), "bias_grad")


@earns("linear-backward", weight=2)
def test_linear_gradients_accumulate(student, draw):
    """Two rounds of forward and backward add up, each with its own input, be it a single example."""
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
    """Neither x nor dy is written to."""
    tools, x, W, dy = HARNESS.beside(student), draw.normal(3, 4), draw.normal(2, 4), draw.normal(3, 2)
    left_alone(tools, tools.linear_backward(student.Linear, W), "dx", dy @ W, x=x, dy=dy)


# ---------------------------------------------------------------------------------------------- activations


@earns("relu", weight=2)
def test_relu_forward(student, draw):
    """ReLU keeps what is positive, and gives 0 for the rest."""
    x = draw.normal(draw.size(1, 4), draw.size(5, 8))
    close(student.ReLU().forward(x), torch.relu(x), "y")


@earns("relu", weight=3)
def test_relu_backward(student, draw):
    """The gradient passes where the last input was positive, whatever its own sign, and nowhere else."""
    B, n = draw.size(2, 4), draw.size(5, 8)
    relu, x, dy = student.ReLU(), draw.normal(B, n), draw.normal(B, n)
    relu.forward(draw.normal(B, n))
    relu.forward(x)
    close(relu.backward(dy), torch.where(x > 0, dy, 0.0), "dx")


@earns("relu", weight=2)
def test_relu_leaves_its_inputs_alone(student, draw):
    """Neither x nor dy is written to."""
    tools, x, dy = HARNESS.beside(student), draw.normal(3, 5), draw.normal(3, 5)
    left_alone(tools, tools.activation(student.ReLU), "y", torch.relu(x), x=x, dy=dy)


@earns("sigmoid", weight=2)
def test_sigmoid_forward(student, draw):
    """The sigmoid agrees with torch's."""
    x = draw.normal(draw.size(1, 4), draw.size(5, 8)) * 3
    close(student.Sigmoid().forward(x), torch.sigmoid(x), "y")


@earns("sigmoid", weight=3)
def test_sigmoid_backward(student, draw):
    """The gradient of the sigmoid agrees with autograd, for the last forward pass."""
    B, n = draw.size(2, 4), draw.size(5, 8)
    sigmoid, x, dy = student.Sigmoid(), draw.normal(B, n).requires_grad_(), draw.normal(B, n)
    torch.sigmoid(x).backward(dy)
    sigmoid.forward(draw.normal(B, n))
    sigmoid.forward(x.detach())
    close(sigmoid.backward(dy), x.grad, "dx")


@earns("sigmoid", weight=2)
def test_sigmoid_far_out(student, draw):
    """Far from 0 the sigmoid is 0 or 1 and its slope is 0: finite, never a NaN."""
    x = torch.cat([draw.uniform(1, 3, low=100, high=900), draw.uniform(1, 3, low=-900, high=-100)])
    sigmoid = student.Sigmoid()
    close(sigmoid.forward(x), torch.tensor([[1.0] * 3, [0.0] * 3]), "y")
    close(sigmoid.backward(draw.normal(2, 3)), torch.zeros(2, 3), "dx")


@earns("sigmoid")
def test_sigmoid_leaves_its_inputs_alone(student, draw):
    """Neither x nor dy is written to."""
    tools, x, dy = HARNESS.beside(student), draw.normal(3, 5), draw.normal(3, 5)
    left_alone(tools, tools.activation(student.Sigmoid), "y", torch.sigmoid(x), x=x, dy=dy)


# ---------------------------------------------------------------------------------------------- losses


@earns("mse-loss", weight=2)
def test_mse_value(student, draw):
    """The squared error is averaged over all B·K entries."""
    B, K = draw.size(2, 5), draw.size(6, 8)
    y, y_hat = draw.normal(B, K), draw.normal(B, K)
    J, _ = student.mse_loss(y, y_hat)
    close(J, functional.mse_loss(y_hat, y), "J")


@earns("mse-loss", weight=3)
def test_mse_gradient(student, draw):
    """The gradient of the squared error agrees with autograd."""
    B, K = draw.size(2, 5), draw.size(6, 8)
    y, y_hat = draw.normal(B, K), draw.normal(B, K).requires_grad_()
    functional.mse_loss(y_hat, y).backward()
    _, dJdy_hat = student.mse_loss(y, y_hat.detach())
    close(dJdy_hat, y_hat.grad, "dJdy_hat")


@earns("mse-loss")
def test_mse_leaves_its_inputs_alone(student, draw):
    """Neither labels nor predictions are written to."""
    tools, y, y_hat = HARNESS.beside(student), draw.normal(2, 3), draw.normal(2, 3)
    left_alone(tools, tools.value(student.mse_loss), "J", functional.mse_loss(y_hat, y), y=y, y_hat=y_hat)


@earns("bce-loss", weight=2)
def test_bce_value(student, draw):
    """The cross-entropy is averaged over all B·K entries."""
    B, K = draw.size(2, 5), draw.size(6, 8)
    y, y_hat = draw.bernoulli(B, K), draw.uniform(B, K, low=0.05, high=0.95)
    J, _ = student.bce_loss(y, y_hat)
    close(J, functional.binary_cross_entropy(y_hat, y), "J")


@earns("bce-loss", weight=3)
def test_bce_gradient(student, draw):
    """The gradient of the cross-entropy agrees with autograd."""
    B, K = draw.size(2, 5), draw.size(6, 8)
    y, y_hat = draw.bernoulli(B, K), draw.uniform(B, K, low=0.05, high=0.95).requires_grad_()
    functional.binary_cross_entropy(y_hat, y).backward()
    _, dJdy_hat = student.bce_loss(y, y_hat.detach())
    close(dJdy_hat, y_hat.grad, "dJdy_hat")


@earns("bce-loss", weight=2)
def test_bce_of_certain_predictions(student, draw):
    """Where ŷ is exactly 0 or 1 the loss is that of PyTorch: 0 when right, 100 when wrong."""
    B, K = draw.size(3, 5), draw.size(6, 8)
    y, y_hat = draw.bernoulli(B, K), draw.bernoulli(B, K)
    y_hat[0, 0], y_hat[0, 1] = y[0, 0], 1 - y[0, 1]  # at least one is right and one is wrong
    J, _ = student.bce_loss(y, y_hat)
    close(J, functional.binary_cross_entropy(y_hat, y), "J")


@earns("bce-loss", weight=2)
def test_bce_gradient_of_certain_predictions(student, draw):
    """Where ŷ is exactly 0 or 1 the gradient is finite: 0 when right, and of the right sign when wrong."""
    B, K = draw.size(3, 5), draw.size(6, 8)
    y, y_hat = draw.bernoulli(B, K), draw.bernoulli(B, K)
    y_hat[0, 0], y_hat[0, 1] = y[0, 0], 1 - y[0, 1]
    _, dJdy_hat = student.bce_loss(y, y_hat)
    assert isinstance(dJdy_hat, torch.Tensor), "dJdy_hat should be a tensor"
    assert dJdy_hat.isfinite().all(), "dJdy_hat is infinite or not a number where ŷ is 0 or 1"
    # how large the gradient is there depends on rounding of the denominator: only its sign is compared
    close(dJdy_hat.sign(), y_hat - y, "the sign of dJdy_hat")


@earns("bce-loss")
def test_bce_leaves_its_inputs_alone(student, draw):
    """Neither labels nor predictions are written to."""
    tools, y, y_hat = HARNESS.beside(student), draw.bernoulli(2, 3), draw.uniform(2, 3)
    expected = functional.binary_cross_entropy(y_hat, y)
    left_alone(tools, tools.value(student.bce_loss), "J", expected, y=y, y_hat=y_hat)


# ---------------------------------------------------------------------------------------------- the network


@earns("mlp-build", weight=2)
def test_network_shapes(student, draw):
    """Parameters and gradients have their names and shapes, the gradients are zero and the cache is empty."""
    n, hidden, out = sizes(draw)
    code = f"net = MLP({n}, {hidden}, 'relu', {hidden}, {out}, 'identity')\n"
    parameters, grads, cache = student.run(code + "[dict(net.parameters), dict(net.grads), dict(net.cache)]")
    shapes = {"W1": (hidden, n), "b1": (hidden,), "W2": (out, hidden), "b2": (out,)}
    assert set(parameters) == set(shapes), f"parameters should hold W1, b1, W2, b2; it holds {sorted(parameters)}"
    assert set(grads) == {f"dJd{name}" for name in shapes}, f"grads should hold dJdW1 …; it holds {sorted(grads)}"
    for name, shape in shapes.items():
        found = tuple(parameters[name].shape)
        assert found == shape, f"the shape of {name} is {found}, it should be {shape}"
        close(grads[f"dJd{name}"], torch.zeros(shape), f"dJd{name} before the first backward")
    assert not cache, "the cache should be empty before the first forward"


@earns("mlp-build")
def test_initial_weights_differ(student, draw):
    """The hidden units start from different weights, for equal ones would stay equal for ever."""
    n, hidden, out = sizes(draw)
    code = f"net = MLP({n}, {hidden}, 'relu', {hidden}, {out}, 'identity')\ndict(net.parameters)"
    W1, W2 = (student.run(code)[name] for name in ("W1", "W2"))
    assert len(W1.unique(dim=0)) == hidden, "some rows of W1 are equal: those hidden units will always learn the same"
    assert W2.isfinite().all() and W2.any(), "W2 starts at zero: no gradient reaches the first layer"


@earns("mlp-build", weight=2)
def test_unknown_function_is_refused(student, draw):
    """A function of any other name raises a ValueError, in either place."""
    unknown = draw.choice(["tanh", "softplus", "leaky_relu", "gelu"])
    student.MLP(2, 3, "relu", 3, 1, "sigmoid")  # whoever refuses every name has not understood
    for place, functions in ("f_function", (unknown, "relu")), ("g_function", ("relu", unknown)):
        try:
            student.MLP(2, 3, functions[0], 3, 1, functions[1])
        except StudentError as error:
            if error.type in ("ForbiddenTool", "NotImplementedError"):
                raise
            assert error.type == "ValueError", f"{place}={unknown!r} should raise a ValueError, not a {error.type}"
        else:
            raise AssertionError(f"{place}={unknown!r} should raise a ValueError: it was accepted")


@earns("mlp-build")
def test_networks_are_independent(student, draw):
    """Two networks do not share their parameters and gradients."""
    widths = sizes(draw)
    values, tools = numbers(draw, *widths), HARNESS.beside(student)
    parameters, grads = tools.beside_another(student.MLP, widths, ("sigmoid", "identity"), values)
    for name, value in values.items():
        close(parameters[name], value, f"{name} of the first network")
        close(grads[f"dJd{name}"], torch.zeros_like(value), f"dJd{name} of the first network")


@earns("mlp-forward")
def test_network_forward(student, draw):
    """The prediction is g(W2 f(W1 x + b1) + b2), with what stands in `parameters` at that moment, for any f and g."""
    widths = sizes(draw)
    values, x = numbers(draw, *widths), draw.normal(draw.size(1, 4), widths[0])
    pairs = [(f, g) for f in FUNCTIONS for g in FUNCTIONS]
    found = HARNESS.beside(student).predictions(student.MLP, widths, pairs, values, x)
    for functions, y_hat in zip(pairs, found, strict=True):
        close(y_hat, predict(values, functions, x), f"ŷ of {'/'.join(functions)}")


@earns("mlp-backward")
@pytest.mark.parametrize("functions", [("relu", "identity"), ("sigmoid", "sigmoid"), ("relu", "relu")], ids="/".join)
def test_network_gradients(student, draw, functions):
    """All four gradients of the last batch agree with autograd, for any gradient that comes from the loss."""
    widths = sizes(draw)
    values, B = numbers(draw, *widths), draw.size(2, 5)
    x, dJdy_hat = draw.normal(B, widths[0]), draw.normal(B, widths[2])
    tools, another = HARNESS.beside(student), draw.normal(B + 1, widths[0])
    net = tools.network(student.MLP, widths, functions, values)
    grads = tools.gradients(net, [another, x], dJdy_hat)
    for name, expected in gradients(values, functions, x, dJdy_hat).items():
        # float32 sums of some ten terms: their rounding stays below 1e-5
        close(grads[name], expected, name, atol=1e-5)


# The next two hold the network against itself, once and again: who made a slip in a layer does not pay for it here.


@earns("mlp-memory")
def test_network_gradients_accumulate(student, draw):
    """Gradients of two batches add up until they are cleared."""
    widths, functions = sizes(draw), ("sigmoid", "identity")
    values, tools = numbers(draw, *widths), HARNESS.beside(student)
    batches = [(draw.normal(B, widths[0]), draw.normal(B, widths[2])) for B in (3, 2)]
    first, second, together = tools.accumulated(student.MLP, widths, functions, values, batches)
    for name in (f"dJd{parameter}" for parameter in values):
        assert name in first and first[name].any(), f"{name} is missing or zero after backward"
        close(together[name], first[name] + second[name], f"{name} after two batches", atol=1e-5)


@earns("mlp-memory")
def test_clearing(student, draw):
    """clear_grad_and_cache sets every gradient to zero, empties the cache, and a fresh start gives fresh gradients."""
    widths = sizes(draw)
    values, tools = numbers(draw, *widths), HARNESS.beside(student)
    x, dJdy_hat = draw.normal(3, widths[0]), draw.normal(3, widths[2])
    net = tools.network(student.MLP, widths, ("sigmoid", "identity"), values)
    filled, before, cleared, cache, after, parameters = tools.cleared(net, x, dJdy_hat)
    assert filled, "the cache is empty after forward"
    assert not cache, "the cache still holds something after clear_grad_and_cache"
    for name in (f"dJd{parameter}" for parameter in values):
        assert name in before and before[name].any(), f"{name} is missing or zero after backward"
        grad = before[name]
        close(cleared[name], torch.zeros_like(grad), f"{name} after clearing")
        close(after[name], grad, f"{name} of the same batch after clearing", atol=1e-5)
    for name, value in values.items():
        close(parameters[name], value, f"{name}, which clearing should leave alone")


# ---------------------------------------------------------------------------------------------- descent


@earns("train-step")
def test_steps_of_descent(student, draw):
    """Three steps lead where the gradients of each step say, and return the loss before it."""
    widths = sizes(draw)
    values, B, rate = numbers(draw, *widths), draw.size(3, 5), draw.size(2, 8) / 100
    x, y = draw.normal(B, widths[0]), draw.normal(B, widths[2])
    losses, moved = HARNESS.beside(student).descended(student.train_step, values, x, y, rate)
    expected = []
    for _ in range(3):
        leaves = {name: value.clone().requires_grad_() for name, value in values.items()}
        J = ((predict(leaves, ("identity", "identity"), x) - 2 * y) ** 2).mean()
        J.backward()
        values = {name: (leaf - rate * leaf.grad).detach() for name, leaf in leaves.items()}
        expected.append(J.item())
    close(torch.tensor(losses), torch.tensor(expected), "the list of J before each step")
    for name, value in values.items():
        close(moved[name], value, f"{name} after three steps", atol=1e-5)
