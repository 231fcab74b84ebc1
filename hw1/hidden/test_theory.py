"""Hidden tests of hw1/theory: every formula, written as a function, against autograd on networks that are drawn."""

import cmath

import torch
from torch.autograd.functional import jacobian
from torch.nn import functional

from autograder import close, earns

PARAMETERS = ("W1", "b1", "W2", "b2")
STEPS = ["backward", "forward", "loss", "step", "zero_grad"]
EDGES = {("x", "a"), ("y", "a"), ("z", "b"), ("o", "b"), ("a", "c"), ("b", "c"), ("c", "w"), ("z", "w")}


def same(actual, expected, name):
    """As close, with an absolute tolerance that follows the largest entry: float32 sums round relative to it."""
    close(actual, expected, name, atol=1e-5 * max(1.0, float(expected.abs().max())))


def together(answer, names):
    """The parts of an answer that should be a tuple, one for each name."""
    assert isinstance(answer, tuple | list), f"the function should return a tuple of {', '.join(names)}"
    assert len(answer) == len(names), f"{len(answer)} values come back; it should be {', '.join(names)}"
    return answer


def number(actual, name):
    """A scalar, also when it comes as a tensor that holds a single entry."""
    if isinstance(actual, torch.Tensor) or type(actual).__module__ == "numpy":
        tensor = torch.as_tensor(actual)
        assert tensor.numel() == 1, f"{name} should be one number; its shape is {tuple(tensor.shape)}"
        return tensor.reshape(()).float()
    return actual


def sizes(draw):
    """Three sizes n, d, K, all different and above 1, so that no two axes can be confused."""
    return (torch.randperm(5, generator=draw.generator)[:3] + 2).tolist()


def network(draw, n, d, K):
    """x, W1, b1, W2, b2 of a network; vectors are columns. Of two or more hidden units one is on and one is off."""
    x, W1, b1, W2, b2 = (draw.normal(*shape) for shape in ((n, 1), (d, n), (d, 1), (K, d), (K, 1)))
    z1 = W1 @ x + b1
    b1[0] += z1[0].abs() + 0.5 - z1[0]
    b1[1:2] -= z1[1:2].abs() + 0.5 + z1[1:2]
    return [x, W1, b1, W2, b2]


def labels(draw, K):
    """A column of zeros and ones; of two or more the first is 1 and the second is 0."""
    y = draw.bernoulli(K, 1)
    if K > 1:
        y[0], y[1] = 1.0, 0.0
    return y


def networks(draw):
    """Two networks: one whose three sizes differ, and one of a single input, hidden unit and output."""
    yield network(draw, *sizes(draw))
    yield network(draw, 1, 1, 1)


def away_from_zero(draw, *shape):
    """Numbers of either sign, none near 0, where ReLU has no slope; the first two have different signs."""
    values = draw.uniform(*shape, low=0.1, high=2.0) * (2 * draw.bernoulli(*shape) - 1)
    values.view(-1)[0], values.view(-1)[1] = values.view(-1)[0].abs(), -values.view(-1)[1].abs()
    return values


def measured(loss, numbers):
    """The gradients of a function of x, W1, b1, W2, b2 by the four parameters, by autograd, in numerator layout."""
    x, *parameters = numbers
    leaves = [parameter.clone().requires_grad_() for parameter in parameters]
    return [gradient.T for gradient in torch.autograd.grad(loss(x, *leaves), leaves)]


def compare_gradients(answer, expected):
    names = [f"∂ℓ/∂{name}" for name in PARAMETERS]
    for name, actual, right in zip(names, together(answer, names), expected, strict=True):
        same(actual, right, name)


def compare_forward(answer, expected):
    names = ("z1", "z2", "z3", "y_hat")
    for name, actual, right in zip(names, together(answer, names), expected, strict=True):
        same(actual, right, name)


def compare_factors(answer, loss, y_hat, g, z3, f, z1):
    """Hold three factors against the Jacobians of ℓ, g and f."""
    names = ("∂ℓ/∂ŷ", "∂ŷ/∂z3", "∂z2/∂z1")
    points = ((loss, y_hat), (g, z3), (f, z1))
    for name, actual, (function, at) in zip(names, together(answer, names), points, strict=True):
        same(actual, jacobian(function, at).reshape(-1, at.numel()), name)


# ---------------------------------------------------------------------------------------------- regression


@earns("sgd-steps")
def test_steps_build_on_each_other(student):
    """Each step finds what it works on: a prediction, a loss, gradients, in this order."""
    steps = list(student.sgd_steps)
    assert sorted(steps) == STEPS, "sgd_steps should name each of the five steps once"
    order = [step for step in steps if step != "zero_grad"]
    assert order == ["forward", "loss", "backward", "step"], "some step comes before what it needs has been computed"


@earns("sgd-steps")
def test_fresh_gradients_reach_the_step(student):
    """Old gradients are forgotten in time, and fresh ones are not lost before they have been used."""
    steps = list(student.sgd_steps)
    assert sorted(steps) == STEPS, "sgd_steps should name each of the five steps once"
    kept = steps[steps.index("backward") : steps.index("step")]
    assert kept and "zero_grad" not in kept, "the step does not see this iteration's gradients"


@earns("forward-regression")
def test_regression_forward(student, draw):
    """All four forward variables of the regression network are right, on networks of several sizes."""
    forward = student.forward_regression
    for x, W1, b1, W2, b2 in networks(draw):
        z1 = functional.linear(x.T, W1, b1[:, 0]).T
        z2 = 5 * functional.relu(z1)
        z3 = functional.linear(z2.T, W2, b2[:, 0]).T
        compare_forward(forward(x, W1, b1, W2, b2), (z1, z2, z3, z3))


@earns("chain-rule", weight=2)
def test_chain_rule(student, draw):
    """The four gradients agree with autograd for factors of any kind, diagonal or not."""
    chain_rule = student.chain_rule
    for numbers in networks(draw):
        x, W1, b1, W2, _ = numbers
        K, d = W2.shape
        r, G, A = draw.normal(1, K), draw.normal(K, K), draw.normal(d, d)

        def loss(x, W1, b1, W2, b2, r=r, G=G, A=A):
            return (r @ G @ (W2 @ A @ (W1 @ x + b1) + b2)).sum()

        answer = chain_rule(x, A @ (W1 @ x + b1), W2, r, G, A)
        compare_gradients(answer, measured(loss, numbers))


@earns("chain-rule")
def test_chain_rule_on_a_square_network(student, draw):
    """Every transpose is in its place, also where all sizes are equal and wrong products would fit."""
    n = draw.size(3, 5)
    numbers = network(draw, n, n, n)
    x, W1, b1, W2, _ = numbers
    r, G, A = draw.normal(1, n), draw.normal(n, n), draw.normal(n, n)

    def loss(x, W1, b1, W2, b2):
        return (r @ G @ (W2 @ A @ (W1 @ x + b1) + b2)).sum()

    compare_gradients(student.chain_rule(x, A @ (W1 @ x + b1), W2, r, G, A), measured(loss, numbers))


@earns("factors-regression")
def test_regression_factors(student, draw):
    """The entries of the three factors of regression agree with autograd, for one output as well as for several."""
    factors = student.factors_regression
    _, d, several = sizes(draw)
    for K in (several, 1):
        z1, y_hat, y = away_from_zero(draw, d, 1), draw.normal(K, 1), draw.normal(K, 1)
        answer = factors(z1, y_hat, y)
        compare_factors(
            answer,
            *(lambda y_hat, y=y: ((y_hat - y) ** 2).sum(), y_hat),
            *(torch.clone, y_hat),
            *(lambda z1: 5 * torch.relu(z1), z1),
        )


# ---------------------------------------------------------------------------------------------- classification


@earns("forward-classification")
def test_classification_forward(student, draw):
    """All four forward variables of the classification network are right, on networks of several sizes."""
    forward = student.forward_classification
    for x, W1, b1, W2, b2 in networks(draw):
        z1 = functional.linear(x.T, W1, b1[:, 0]).T
        z2 = torch.tanh(z1)
        z3 = functional.linear(z2.T, W2, b2[:, 0]).T
        compare_forward(forward(x, W1, b1, W2, b2), (z1, z2, z3, torch.sigmoid(z3)))


@earns("factors-classification")
def test_classification_factors(student, draw):
    """The entries of the three factors agree with autograd, for one output as well as for several."""
    factors = student.factors_classification
    _, d, several = sizes(draw)
    for K in (several, 1):
        z1, z3, y = draw.normal(d, 1), draw.normal(K, 1), labels(draw, K)
        answer = factors(torch.tanh(z1), torch.sigmoid(z3), y)
        compare_factors(
            answer,
            *(lambda y_hat, y=y: ((y_hat - y) ** 2).sum(), torch.sigmoid(z3)),
            *(torch.sigmoid, z3),
            *(torch.tanh, z1),
        )


def squared_error_of(y):
    def loss(x, W1, b1, W2, b2):
        return ((torch.sigmoid(W2 @ torch.tanh(W1 @ x + b1) + b2) - y) ** 2).sum()

    return loss


def cross_entropy_of(y):
    def loss(x, W1, b1, W2, b2):
        return functional.binary_cross_entropy_with_logits(W2 @ torch.tanh(W1 @ x + b1) + b2, y)

    return loss


@earns("gradients-classification")
def test_classification_gradients(student, draw):
    """The four gradients of the squared error agree with autograd."""
    gradients = student.gradients_classification
    for numbers in networks(draw):
        x, *parameters = numbers
        y = labels(draw, len(parameters[-1]))
        compare_gradients(gradients(x, y, *parameters), measured(squared_error_of(y), numbers))


# ---------------------------------------------------------------------------------------------- cross-entropy


@earns("bce")
def test_bce_from_predictions(student, draw):
    """The cross-entropy from ŷ agrees with PyTorch's, for one output as well as for several."""
    bce = student.bce
    for K in (draw.size(3, 7), 1):
        y, y_hat = labels(draw, K), draw.uniform(K, 1, low=0.05, high=0.95)
        close(number(bce(y, y_hat), "ℓ"), functional.binary_cross_entropy(y_hat, y), "ℓ from ŷ")


@earns("bce")
def test_bce_from_logits(student, draw):
    """The cross-entropy from the logits agrees with PyTorch's."""
    K = draw.size(3, 7)
    y, z3 = labels(draw, K), 3 * draw.normal(K, 1)
    right = functional.binary_cross_entropy_with_logits(z3, y)
    close(number(student.bce_from_logits(y, z3), "ℓ"), right, "ℓ from z3")


@earns("bce")
def test_bce_from_large_logits(student, draw):
    """The cross-entropy from logits beyond ±100, right and wrong ones, is finite and right."""
    K = draw.size(3, 7)
    y, z3 = labels(draw, K), draw.uniform(K, 1, low=100.0, high=200.0) * (2 * draw.bernoulli(K, 1) - 1)
    z3[1], z3[2] = z3[1].abs(), torch.where(y[2] == 1, 1, -1) * z3[2].abs()  # one is wrong, and one is right
    right = functional.binary_cross_entropy_with_logits(z3, y)
    close(number(student.bce_from_logits(y, z3), "ℓ"), right, "ℓ from large z3")


@earns("factors-bce")
def test_bce_factors(student, draw):
    """The entries of the three factors of cross-entropy agree with autograd, for one output as well as for several."""
    factors = student.factors_bce
    _, d, several = sizes(draw)
    for K in (several, 1):
        z1, z3, y = draw.normal(d, 1), draw.normal(K, 1), labels(draw, K)
        answer = factors(torch.tanh(z1), torch.sigmoid(z3), y)
        compare_factors(
            answer,
            *(lambda y_hat, y=y: functional.binary_cross_entropy(y_hat, y), torch.sigmoid(z3)),
            *(torch.sigmoid, z3),
            *(torch.tanh, z1),
        )


@earns("gradients-bce", weight=3)
def test_bce_gradients(student, draw):
    """The four gradients of the cross-entropy agree with autograd."""
    gradients = student.gradients_bce
    for numbers in networks(draw):
        x, *parameters = numbers
        y = labels(draw, len(parameters[-1]))
        compare_gradients(gradients(x, y, *parameters), measured(cross_entropy_of(y), numbers))


@earns("gradients-bce")
def test_bce_gradients_of_a_certain_network(student, draw):
    """The gradients are right also where ŷ has been rounded to exactly 1, be the label 0 or 1."""
    n, d, K = sizes(draw)
    x, W1, b1, W2, b2 = network(draw, n, d, K)
    b2 += draw.uniform(1, low=40.0, high=60.0)
    y = labels(draw, K)
    answer = student.gradients_bce(x, y, W1, b1, W2, b2)
    compare_gradients(answer, measured(cross_entropy_of(y), [x, W1, b1, W2, b2]))


# ---------------------------------------------------------------------------------------------- ideas


@earns("softargmax")
def test_softargmax_on_paper_and_in_the_machine(student):
    """It is right for real numbers as well as for float32 whether an output can be exactly 0 or 1."""
    answer = student.softargmax_exact
    assert isinstance(answer, dict), "softargmax_exact should be a dictionary"
    for key, right in {"real": False, "float32": True}.items():
        assert key in answer, f"softargmax_exact has no answer for {key!r}"
        assert answer[key] is right, "softargmax_exact: at least one of the two answers is not right"


@earns("softargmax")
def test_softargmax_shown(student):
    """Your logits make softargmax give an exact 0 and an exact 1 in float32."""
    logits = student.exact_logits
    assert logits is not None, "such logits exist: look for the smallest positive float32"
    logits = torch.as_tensor(logits, dtype=torch.float32).flatten()
    assert len(logits) >= 2 and logits.isfinite().all(), "exact_logits should hold two or more finite numbers"
    p = torch.softmax(logits, dim=0)
    assert (p == 0).any() and (p == 1).any(), "softargmax of your logits holds no exact 0, or no exact 1"


@earns("graph", weight=2)
def test_graph_edges(student):
    """The graph has all the arrows that it needs, each in the right direction, and no others."""
    edges = {tuple(edge) for edge in student.graph_edges}
    missing, extra = EDGES - edges, edges - EDGES
    turned = {edge for edge in extra if edge[::-1] in missing}
    assert not turned, "some arrows point the wrong way: they run from what is known to what is computed"
    assert not missing, f"of the arrows that are needed {len(missing)} are missing"
    assert not extra, f"{len(extra)} arrows are too many: each runs to what is computed directly from its start"


@earns("graph")
def test_graph_gradient(student, draw):
    """The derivatives of w by the four inputs agree with autograd."""
    inputs = [float(value) for value in away_from_zero(draw, 4)]
    names = [f"∂w/∂{name}" for name in "xyzo"]
    right = jacobian(lambda x, y, z, o: (x + y) * (z * o) + z, tuple(map(torch.tensor, inputs)))
    answer = student.graph_gradient(*inputs)
    answer = list(answer) if isinstance(answer, torch.Tensor) else answer
    for name, actual, expected in zip(names, together(answer, names), right, strict=True):
        same(number(actual, name), expected, name)


def compare_slope(slope, function, draw, name):
    """Hold a slope against autograd between −6 and 6, away from the kinks at 0, for a vector and for a matrix."""
    for shape in ((draw.size(5, 9),), (2, draw.size(3, 5))):
        x = 3 * away_from_zero(draw, *shape)
        x.view(-1)[:2] /= 3  # these two within ±2, where slopes differ most
        leaf = x.clone().requires_grad_()
        function(leaf).sum().backward()
        same(slope(x), leaf.grad, name)


@earns("slopes")
def test_slopes_of_relu_and_leaky_relu(student, draw):
    """The slopes of ReLU and LeakyReLU(0.01) agree with autograd."""
    compare_slope(student.relu_slope, functional.relu, draw, "the slope of ReLU")
    compare_slope(student.leaky_relu_slope, functional.leaky_relu, draw, "the slope of LeakyReLU")


@earns("slopes")
def test_slope_of_softplus(student, draw):
    """The slope of Softplus agrees with autograd."""
    compare_slope(student.softplus_slope, functional.softplus, draw, "the slope of Softplus")


@earns("slopes")
def test_slope_of_gelu(student, draw):
    """The slope of the exact GELU agrees with autograd."""
    compare_slope(student.gelu_slope, functional.gelu, draw, "the slope of GELU")


def compare_statements(answers, right):
    assert isinstance(answers, dict), "relu_statements should be a dictionary"
    wrong = sum(answers.get(letter) is not truth for letter, truth in right.items())
    assert not wrong, f"of the statements {', '.join(right)} you have {wrong} wrong"


@earns("relu-statements")
def test_statements_on_relu(student):
    """The statements on ReLU, A and B, and on LeakyReLU, C, are judged rightly."""
    compare_statements(student.relu_statements, {"A": True, "B": False, "C": True})


@earns("relu-statements")
def test_statements_on_smooth_relatives(student):
    """The statements on LeakyReLU, D, and on Softplus, E and F, are judged rightly."""
    compare_statements(student.relu_statements, {"D": False, "E": True, "F": False})


@earns("maps", weight=2)
def test_maps_of_the_plane(student, draw):
    """Rotation, reflection, scaling and shear move random points to where they belong."""
    theta, s_x, s_y, k = (float(value) for value in away_from_zero(draw, 4))
    point = complex(*draw.normal(2).tolist())
    turn = cmath.exp(1j * theta)
    # Complex numbers know the plane without matrices: a mirror line at angle θ is turned to the axis, and back.
    moved = {
        "rotation": (student.rotation(theta), turn * point),
        "reflection": (student.reflection(theta), turn * (point / turn).conjugate()),
        "scaling": (student.scaling(s_x, s_y), complex(s_x * point.real, s_y * point.imag)),
        "shear": (student.shear(k), complex(point.real + k * point.imag, point.imag)),
    }
    for name, (matrix, expected) in moved.items():
        matrix = torch.as_tensor(matrix)
        assert tuple(matrix.shape) == (2, 2), f"the shape of the {name} is {tuple(matrix.shape)}, it should be (2, 2)"
        there = matrix.double() @ torch.tensor([point.real, point.imag], dtype=torch.float64)
        right = torch.tensor([expected.real, expected.imag])
        close(there, right, f"where the {name} moves a point", rtol=1e-3, atol=1e-4)


@earns("maps")
def test_two_linear_layers_collapse(student, draw):
    """One linear layer does the work of two, on any input."""
    x, W1, b1, W2, b2 = network(draw, *sizes(draw))
    W, b = together(student.collapse(W1, b1, W2, b2), ("W", "b"))
    for name, part, shape in (("W", W, (len(W2), len(x))), ("b", b, (len(W2), 1))):
        assert tuple(part.shape) == shape, f"the shape of {name} is {tuple(part.shape)}, it should be {shape}"
    same(torch.as_tensor(W) @ x + torch.as_tensor(b), W2 @ (W1 @ x + b1) + b2, "W x + b")
