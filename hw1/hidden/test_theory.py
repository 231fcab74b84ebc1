"""Hidden tests of hw1/theory: formulas against autograd on random networks; loops, graphs and curves as data.

A test asks for all its answers before it compares any, so that known mistakes are told apart on every size.
"""

import cmath

import torch
from torch.autograd.functional import jacobian
from torch.nn import functional

from autograder import Harness, StudentError, close, earns

HARNESS = Harness(__file__)
PARAMETERS = ("W1", "b1", "W2", "b2")
INPUTS = ("x", *PARAMETERS)
GRADIENTS = tuple(f"∂ℓ/∂{name}" for name in PARAMETERS)
SIZES = (3, 5, 6, 7)
EDGES = {("x", "a"), ("y", "a"), ("z", "b"), ("o", "b"), ("a", "c"), ("b", "c"), ("c", "w"), ("z", "w")}


# ---------------------------------------------------------------------------------------------- comparing


def asked(student, function, form="parts"):
    """A function of the student's that answers in a form of the harness, whatever tensors, arrays or lists it makes."""
    call, function = getattr(HARNESS.beside(student), form), getattr(student, function)
    return lambda *given: call(function, *given)


def same(actual, expected, name, K=1):
    """Like close, with an absolute tolerance that grows with the largest entry, as rounding in float32 sums does."""
    close(actual, expected, name, atol=1e-5 * max(1.0, float(expected.abs().max())), sizes={"K": K})


def together(answer, names):
    """The parts of an answer that should be a tuple, one for each name."""
    assert answer is not None, "the function returns nothing (None): is a return statement missing?"
    assert isinstance(answer, list), f"the function should return a tuple of {', '.join(names)}"
    assert len(answer) == len(names), (
        f"the function should return {', '.join(names)}; the number of values is {len(answer)}"
    )
    return answer


def compare_each(answer, names, right, **named):
    """Compare the parts of an answer with the right ones. Messages name the sizes of the case."""
    where = f" ({', '.join(f'{name} = {size}' for name, size in named.items())})" if named else ""
    for name, actual, expected in zip(names, together(answer, names), right, strict=True):
        same(actual, expected, name + where, named.get("K", 1))


def compare_and_keep(student, function, arguments, compare, form="parts"):
    """Assert that the answer is right and that the call leaves its arguments, given by name, unchanged."""
    tools = HARNESS.beside(student)
    answer, *after = tools.answer_and_arguments(getattr(tools, form), getattr(student, function), *arguments.values())
    compare(answer)
    for (name, before), now in zip(arguments.items(), after, strict=True):
        assert torch.equal(now, before), (
            f"{function} must not change its argument {name}; your function, or one that it calls, changes it"
        )


# ---------------------------------------------------------------------------------------------- networks


def sizes(draw):
    """Three sizes n, d, K, all different, so that no two axes can be confused, and a factor of 2 with none of them."""
    return [SIZES[i] for i in torch.randperm(len(SIZES), generator=draw.generator)[:3]]


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
    """Networks whose three sizes are equal, all different, 1 for one of them, and 1 for all.

    The first is square: there a product in the wrong order gives numbers that show what it is, and not merely an error.
    """
    equal, (n, d, K) = draw.choice((3, 5)), sizes(draw)
    shapes = ((equal, equal, equal), (n, d, K), (1, d, K), (n, 1, K), (n, d, 1), (1, 1, 1))
    return [network(draw, *shape) for shape in shapes]


def size_of(numbers):
    """The sizes of a network, by name."""
    x, _, b1, _, b2 = numbers
    return {"n": len(x), "d": len(b1), "K": len(b2)}


def away_from_zero(draw, *shape):
    """Numbers of either sign, none near 0, where ReLU has no slope; the first two have different signs."""
    values = draw.uniform(*shape, low=0.1, high=2.0) * (2 * draw.bernoulli(*shape) - 1)
    flat = values.view(-1)
    flat[0], flat[1:2] = flat[0].abs(), -flat[1:2].abs()
    return values


def forward_of(numbers, f):
    """z1, z2 and z3, by PyTorch's own linear layer."""
    x, W1, b1, W2, b2 = numbers
    z1 = functional.linear(x.T, W1, b1[:, 0]).T
    z2 = f(z1)
    return z1, z2, functional.linear(z2.T, W2, b2[:, 0]).T


def regression_of(numbers, scale):
    z1, z2, z3 = forward_of(numbers, lambda z1: scale * functional.relu(z1))
    return z1, z2, z3, z3


def classification_of(numbers):
    z1, z2, z3 = forward_of(numbers, torch.tanh)
    return z1, z2, z3, torch.sigmoid(z3)


def measured(loss, numbers):
    """The gradients of a function of x, W1, b1, W2, b2 by the four parameters, by autograd, in numerator layout."""
    x, *parameters = numbers
    leaves = [parameter.clone().requires_grad_() for parameter in parameters]
    return [gradient.T for gradient in torch.autograd.grad(loss(x, *leaves), leaves)]


def measured_factors(loss, y_hat, g, z3, f, z1):
    """The Jacobians of ℓ, g and f."""
    points = ((loss, y_hat), (g, z3), (f, z1))
    return [jacobian(function, at).reshape(-1, at.numel()) for function, at in points]


FACTORS = ("∂ℓ/∂ŷ", "∂ŷ/∂z3", "∂z2/∂z1")
FORWARD = ("z1", "z2", "z3", "y_hat")


# ---------------------------------------------------------------------------------------------- regression


def watched_training(student, draw):
    """What the harness saw of the student's loop on drawn batches, and what drives an independent one.

    The batches have different sizes, so that none can stand for another.
    """
    n, epochs = draw.size(2, 3), draw.choice((2, 3))
    xs = [draw.normal(size, n) for size in (3, 2, 4)]
    ys = [draw.normal(len(x), 1) for x in xs]
    w, lr = draw.normal(n, 1), 0.02
    return HARNESS.beside(student).trained(student.train, xs, ys, w, lr, epochs), (xs, ys, w, lr, epochs)


def count(calls, name):
    """How often a call was made, whatever it worked on."""
    return sum(call.split()[0] == name for call in calls)


@earns("sgd-steps")
def test_every_step_of_every_batch(student, draw):
    """Each iteration makes the five calls once each, on its own batch, and every batch is visited in every epoch."""
    (calls, cleared, *_), (xs, _, _, _, epochs) = watched_training(student, draw)
    for name in ("forward", "loss", "zero_grad", "backward", "step"):
        made, needed = cleared if name == "zero_grad" else count(calls, name), epochs * len(xs)
        often = "never made" if not made else "made too seldom" if made < needed else "made too often"
        assert made == needed, (
            f"the call that belongs to “{name}” is {often}: it should be made once in every iteration"
        )
    for name in ("forward", "loss"):
        found = [call.split()[1] for call in calls if call.split()[0] == name]
        assert "?" not in found, (
            f"“{name}” should work on the batch of its iteration, as it comes; it gets something else"
        )
        visited = [str(i) for _ in range(epochs) for i in range(len(xs))]
        assert found == visited, f"“{name}” should work on the batches in their order, in every epoch"
    assert "backward ?" not in calls, "backward should receive the ∂ℓ/∂ŷ that the criterion returned in this iteration"


@earns("sgd-steps")
def test_order_of_the_steps(student, draw):
    """Each call comes after the one that provides what it needs, and fresh gradients last until the step."""
    (calls, _, found, *_), _ = watched_training(student, draw)
    order = [call.split()[0] for call in calls]
    assert {"forward", "loss", "backward", "step"} <= set(order), "some of the five calls are never made"
    for start in range(0, len(order), 4):
        right = ["forward", "loss", "backward", "step"]
        assert order[start : start + 4] == right, "in some iteration a call comes before one whose result it needs"
    for gradients in found:
        assert gradients, "the step finds no gradients: they are cleared between backward and step"
        assert gradients == 1, "the step still finds gradients of earlier iterations: they are not cleared in time"


@earns("sgd-steps")
def test_training_moves_the_parameters(student, draw):
    """After several epochs the parameters and the losses equal those of an independent loop."""
    (*_, after, losses), (xs, ys, w, lr, epochs) = watched_training(student, draw)
    right = []
    for _ in range(epochs):
        for x, y in zip(xs, ys, strict=True):
            error = x @ w - y
            right.append(float((error**2).sum()))
            w = w - lr * 2 * x.T @ error
    close(after, w, "the parameters after training", rtol=1e-3, atol=1e-4)
    assert losses is not None, "train should return a list of numbers, one loss for each iteration"
    assert len(losses) == len(right), "train should return one loss for each iteration; the number of losses differs"
    close(torch.tensor(losses), torch.tensor(right), "the losses that train returns", rtol=1e-3, atol=1e-4)


@earns("forward-regression", weight=3)
def test_regression_forward(student, draw, parameters):
    """All four forward variables of the regression network are right, on networks of several sizes."""
    drawn, forward = networks(draw), asked(student, "forward_regression")
    answers = [forward(*numbers) for numbers in drawn]
    for numbers, answer in zip(drawn, answers, strict=True):
        compare_each(answer, FORWARD, regression_of(numbers, parameters.scale), **size_of(numbers))


@earns("forward-regression")
def test_regression_forward_keeps_its_arguments(student, draw, parameters):
    """forward_regression is right and does not change the tensors that it is given."""
    numbers = network(draw, *sizes(draw))
    arguments = dict(zip(INPUTS, numbers, strict=True))
    right = regression_of(numbers, parameters.scale)
    compare_and_keep(student, "forward_regression", arguments, lambda answer: compare_each(answer, FORWARD, right))


def linear_case(draw, numbers):
    """What chain_rule is given if f, g and ℓ are the linear maps A, G and r, and the gradients that are right."""
    x, W1, b1, W2, _ = numbers
    K, d = W2.shape
    r, G, A = draw.normal(1, K), draw.normal(K, K), draw.normal(d, d)

    def loss(x, W1, b1, W2, b2):
        return (r @ G @ (W2 @ A @ (W1 @ x + b1) + b2)).sum()

    return (x, A @ (W1 @ x + b1), W2, r, G, A), measured(loss, numbers)


@earns("chain-rule", weight=3)
def test_chain_rule(student, draw):
    """The four gradients agree with autograd for factors of any kind, diagonal or not."""
    drawn, chain_rule = networks(draw), asked(student, "chain_rule")
    cases = [linear_case(draw, numbers) for numbers in drawn]
    answers = [chain_rule(*given) for given, _ in cases]
    for numbers, answer, (_, right) in zip(drawn, answers, cases, strict=True):
        compare_each(answer, GRADIENTS, right, **size_of(numbers))


@earns("chain-rule")
def test_chain_rule_on_a_square_network(student, draw):
    """The gradients are also right where all sizes are equal, so that wrong products would have the right shapes."""
    n = draw.size(3, 5)
    given, right = linear_case(draw, network(draw, n, n, n))
    compare_each(asked(student, "chain_rule")(*given), GRADIENTS, right)


@earns("chain-rule")
def test_chain_rule_keeps_its_arguments(student, draw):
    """chain_rule is right and does not change the tensors that it is given."""
    given, right = linear_case(draw, network(draw, *sizes(draw)))
    arguments = dict(zip(("x", "z2", "W2", "dl_dyhat", "dyhat_dz3", "dz2_dz1"), given, strict=True))
    compare_and_keep(student, "chain_rule", arguments, lambda answer: compare_each(answer, GRADIENTS, right))


def widths(draw):
    """Pairs of d and K: both above 1 and different, equal, one of them 1, both 1."""
    _, d, K = sizes(draw)
    return ((d, K), (K, K), (d, 1), (1, K), (1, 1))


def compare_factors(answers, cases):
    """Compare the factors of each case with the Jacobians of its functions."""
    for answer, (loss, y_hat, g, z3, f, z1) in zip(answers, cases, strict=True):
        right = measured_factors(loss, y_hat, g, z3, f, z1)
        compare_each(answer, FACTORS, right, d=len(z1), K=len(z3))


def squared_error(y):
    return lambda y_hat: ((y_hat - y) ** 2).sum()


def cross_entropy(y):
    return lambda y_hat: functional.binary_cross_entropy(y_hat, y)


def regression_case(draw, d, K, scale):
    """What factors_regression is given, z1, ŷ and y, and what its factors are the derivatives of; f is scale · ReLU."""
    z1, y_hat, y = away_from_zero(draw, d, 1), draw.normal(K, 1), draw.normal(K, 1)
    z1[2:4] = torch.tensor([[0.01], [-0.01]])[: len(z1[2:4])]  # ReLU bends at 0, and nowhere near it
    return (z1, y_hat, y), (squared_error(y), y_hat, torch.clone, y_hat, lambda z1: scale * torch.relu(z1), z1)


def classification_case(draw, d, K, loss, certain=False):
    """z2, ŷ and y as the factors of classification are given them, and what these are the derivatives of.

    certain: whether each ŷ is within 0.0004 of 0 or of 1, and half of them are wrong
    """
    z1, z3, y = draw.normal(d, 1), 2 * draw.normal(K, 1), labels(draw, K)
    if certain:
        z3 = draw.uniform(K, 1, low=8.0, high=9.0) * (2 * y - 1) * (-1.0) ** torch.arange(K)[:, None]
    z2, y_hat = torch.tanh(z1), torch.sigmoid(z3)
    return (z2, y_hat, y), (loss(y), y_hat, torch.sigmoid, z3, torch.tanh, z1)


@earns("factors-regression", weight=3)
def test_regression_factors(student, draw, parameters):
    """The entries of the three factors of regression agree with autograd, for one output as well as for several."""
    factors = asked(student, "factors_regression")
    cases = [regression_case(draw, d, K, parameters.scale) for d, K in widths(draw)]
    compare_factors([factors(*given) for given, _ in cases], [case for _, case in cases])


@earns("factors-regression", weight=0.5)
def test_regression_factors_at_zero(student, draw, parameters):
    """Where an entry of z1 is exactly 0, its slope lies between those on the two sides, and all else is right."""
    given, case = regression_case(draw, *sizes(draw)[:2], parameters.scale)
    given[0][2] = 0.0
    factors, high = HARNESS.beside(student).factors_at_a_kink, parameters.scale * 1.0001
    compare_factors([factors(student.factors_regression, 2, high, *given)], [case])


@earns("factors-regression")
def test_regression_factors_keep_their_arguments(student, draw, parameters):
    """factors_regression is right and does not change the tensors that it is given."""
    given, case = regression_case(draw, *sizes(draw)[:2], parameters.scale)
    arguments = dict(zip(("z1", "y_hat", "y"), given, strict=True))
    compare_and_keep(student, "factors_regression", arguments, lambda answer: compare_factors([answer], [case]))


# ---------------------------------------------------------------------------------------------- classification


@earns("forward-classification", weight=3)
def test_classification_forward(student, draw):
    """All four forward variables of the classification network are right, on networks of several sizes."""
    drawn, forward = networks(draw), asked(student, "forward_classification")
    answers = [forward(*numbers) for numbers in drawn]
    for numbers, answer in zip(drawn, answers, strict=True):
        compare_each(answer, FORWARD, classification_of(numbers), **size_of(numbers))


@earns("forward-classification")
def test_classification_forward_of_certain_predictions(student, draw):
    """The forward variables are also right for logits near ±150, where ŷ is rounded to 0 or 1."""
    drawn, forward = [], asked(student, "forward_classification")
    for K in (draw.choice(SIZES), 1):
        numbers = network(draw, *sizes(draw)[:2], K)
        numbers[-1] += draw.uniform(K, 1, low=130.0, high=170.0) * (2 * labels(draw, K) - 1)
        drawn.append(numbers)
    answers = [forward(*numbers) for numbers in drawn]
    for numbers, answer in zip(drawn, answers, strict=True):
        compare_each(answer, FORWARD, classification_of(numbers), **size_of(numbers))


@earns("forward-classification")
def test_classification_forward_keeps_its_arguments(student, draw):
    """forward_classification is right and does not change the tensors that it is given."""
    numbers = network(draw, *sizes(draw))
    arguments = dict(zip(INPUTS, numbers, strict=True))
    right = classification_of(numbers)
    compare_and_keep(student, "forward_classification", arguments, lambda answer: compare_each(answer, FORWARD, right))


@earns("factors-classification", weight=3)
def test_classification_factors(student, draw):
    """The entries of the three factors agree with autograd, for one output as well as for several."""
    factors = asked(student, "factors_classification")
    cases = [classification_case(draw, d, K, squared_error) for d, K in widths(draw)]
    compare_factors([factors(*given) for given, _ in cases], [case for _, case in cases])


@earns("factors-classification")
def test_classification_factors_keep_their_arguments(student, draw):
    """factors_classification is right and does not change the tensors that it is given."""
    given, case = classification_case(draw, *sizes(draw)[:2], squared_error)
    arguments = dict(zip(("z2", "y_hat", "y"), given, strict=True))
    compare_and_keep(student, "factors_classification", arguments, lambda answer: compare_factors([answer], [case]))


def squared_error_of(y):
    def loss(x, W1, b1, W2, b2):
        return ((torch.sigmoid(W2 @ torch.tanh(W1 @ x + b1) + b2) - y) ** 2).sum()

    return loss


def cross_entropy_of(y):
    def loss(x, W1, b1, W2, b2):
        return functional.binary_cross_entropy_with_logits(W2 @ torch.tanh(W1 @ x + b1) + b2, y)

    return loss


def compare_gradients(student, answer, y, numbers, loss):
    """Compare four gradients with autograd. The message on wrong ones also names earlier functions that are wrong."""
    try:
        compare_each(answer, GRADIENTS, measured(loss(y), numbers), **size_of(numbers))
    except AssertionError as error:
        spoiled = [name for name, check in earlier(student, y, numbers, loss).items() if not holds(check)]
        if not spoiled:
            raise
        text = str(error).rstrip(".")
        raise AssertionError(
            f"{text}. For these numbers {' and '.join(spoiled)} also fails. Look there first."
        ) from None


def earlier(student, y, numbers, loss):
    """The functions that gradients are usually built from, each with a check of it on the same network."""
    x, _, _, W2, _ = numbers
    z1, z2, z3, y_hat = right = classification_of(numbers)
    of_part_2 = measured_factors(squared_error(y), y_hat, torch.sigmoid, z3, torch.tanh, z1)
    r, G, A = of_part_2
    gradients = [x @ r @ G @ W2 @ A, r @ G @ W2 @ A, z2 @ r @ G, r @ G]
    forward, chain_rule = asked(student, "forward_classification"), asked(student, "chain_rule")
    checks = {
        "forward_classification": lambda: compare_each(forward(*numbers), FORWARD, right),
        "chain_rule": lambda: compare_each(chain_rule(x, z2, W2, r, G, A), GRADIENTS, gradients),
    }
    if loss is squared_error_of:
        factors = asked(student, "factors_classification")
        checks["factors_classification"] = lambda: compare_each(factors(z2, y_hat, y), FACTORS, of_part_2)
    return checks


def holds(check):
    """Whether a check passes."""
    try:
        check()
    except (AssertionError, StudentError):
        return False
    return True


def compare_all_gradients(student, function, drawn, ys, loss):
    """Ask for the gradients of every network, and then compare them."""
    gradients = asked(student, function)
    answers = [gradients(numbers[0], y, *numbers[1:]) for numbers, y in zip(drawn, ys, strict=True)]
    for numbers, y, answer in zip(drawn, ys, answers, strict=True):
        compare_gradients(student, answer, y, numbers, loss)


@earns("gradients-classification", weight=3)
def test_classification_gradients(student, draw):
    """The four gradients of the squared error agree with autograd."""
    drawn = networks(draw)
    ys = [labels(draw, len(numbers[-1])) for numbers in drawn]
    compare_all_gradients(student, "gradients_classification", drawn, ys, squared_error_of)


@earns("gradients-classification")
def test_classification_gradients_keep_their_arguments(student, draw):
    """gradients_classification is right and does not change the tensors that it is given."""
    x, *parameters = numbers = network(draw, *sizes(draw))
    y = labels(draw, len(parameters[-1]))
    arguments = {"x": x, "y": y, **dict(zip(PARAMETERS, parameters, strict=True))}
    compare_and_keep(
        *(student, "gradients_classification", arguments),
        lambda answer: compare_gradients(student, answer, y, numbers, squared_error_of),
    )


# ---------------------------------------------------------------------------------------------- cross-entropy


@earns("bce")
def test_bce_from_predictions(student, draw):
    """The cross-entropy from ŷ agrees with PyTorch's, for one output as well as for several."""
    bce, cases = asked(student, "bce", "number"), []
    for K in (draw.choice(SIZES), 1):
        cases.append((labels(draw, K), draw.uniform(K, 1, low=0.05, high=0.95)))
    one = draw.bernoulli(1, 1)
    cases.append((one, (one - 0.005 * (1 + draw.uniform(1, 1))).abs()))  # nearly right
    cases.append((one, (1 - one - 0.005 * (1 + draw.uniform(1, 1))).abs()))  # nearly as wrong as can be
    answers = [bce(y, y_hat) for y, y_hat in cases]
    for answer, (y, y_hat) in zip(answers, cases, strict=True):
        compare_loss(answer, functional.binary_cross_entropy(y_hat, y), y, "ℓ from ŷ")


def compare_loss(answer, right, y, name, atol=1e-6):
    """Like close, for a mean over the outputs."""
    K = len(y)
    if K > 1 and isinstance(answer, torch.Tensor) and answer.numel() == 1:
        assert abs(float(answer / right) / K - 1) > 1e-4, f"{name} is K times what it should be, for K = {K}"
    close(answer, right, f"{name} (K = {K})", atol=atol)


def compare_bce_from_logits(student, cases):
    bce = asked(student, "bce_from_logits", "loss")
    answers = [bce(y, z3) for y, z3 in cases]
    for answer, (y, z3) in zip(answers, cases, strict=True):
        answer = answer[0] if getattr(answer, "shape", None) == (2,) else answer
        right = functional.binary_cross_entropy_with_logits(z3, y)
        size = 2e-7 * float(z3.abs().max()) * (len(y) == 1)  # what float32 loses by softplus(z) − y z
        compare_loss(answer, right, y, "ℓ from z3", atol=1e-6 + 2 * size)


@earns("bce")
def test_bce_from_logits(student, draw):
    """The cross-entropy from the logits agrees with PyTorch's, even where it is 0.0001 to 0.05."""
    cases = [(labels(draw, K), 3 * draw.normal(K, 1)) for K in (draw.choice(SIZES), 1)]
    for size in (3, 5, 7, 9):
        y = draw.bernoulli(1, 1)
        z = size + draw.uniform(1, 1)
        cases += [(y, (2 * y - 1) * z), (y, (1 - 2 * y) * z)]  # one right, with a loss near 0, and one wrong
    compare_bce_from_logits(student, cases)


@earns("bce")
def test_bce_from_large_logits(student, draw):
    """The cross-entropy is finite and right for logits beyond ±100, whether they fit the label or not."""
    K = draw.choice(SIZES)
    y, z3 = labels(draw, K), draw.uniform(K, 1, low=100.0, high=200.0) * (2 * draw.bernoulli(K, 1) - 1)
    z3[1], z3[2] = z3[1].abs(), torch.where(y[2] == 1, 1, -1) * z3[2].abs()  # one is wrong, and one is right
    sizes = z3[:1].abs(), torch.full((1, 1), 1000.0)
    alone = [(torch.full((1, 1), label), z * sign) for label in (0.0, 1.0) for sign in (1, -1) for z in sizes]
    compare_bce_from_logits(student, [(y, z3), *alone])


@earns("bce", weight=0.5)
def test_losses_keep_their_arguments(student, draw):
    """bce and bce_from_logits are right and do not change the tensors that they are given."""
    K = draw.choice(SIZES)
    y, z3 = labels(draw, K), draw.normal(K, 1)
    right = functional.binary_cross_entropy_with_logits(z3, y)
    for function, name, given in (("bce", "y_hat", torch.sigmoid(z3)), ("bce_from_logits", "z3", z3)):
        compare_and_keep(
            student, function, {"y": y, name: given}, lambda answer: compare_loss(answer, right, y, "ℓ"), "number"
        )


@earns("factors-bce", weight=3)
def test_bce_factors(student, draw):
    """The entries of the three factors of cross-entropy agree with autograd, for one output as well as for several."""
    factors = asked(student, "factors_bce")
    cases = [classification_case(draw, d, K, cross_entropy) for d, K in widths(draw)]
    cases.append(classification_case(draw, *sizes(draw)[:2], cross_entropy, certain=True))
    compare_factors([factors(*given) for given, _ in cases], [case for _, case in cases])


@earns("factors-bce")
def test_bce_factors_keep_their_arguments(student, draw):
    """factors_bce is right and does not change the tensors that it is given."""
    given, case = classification_case(draw, *sizes(draw)[:2], cross_entropy)
    arguments = dict(zip(("z2", "y_hat", "y"), given, strict=True))
    compare_and_keep(student, "factors_bce", arguments, lambda answer: compare_factors([answer], [case]))


@earns("gradients-bce", weight=3)
def test_bce_gradients(student, draw):
    """The four gradients of the cross-entropy agree with autograd."""
    drawn = networks(draw)
    ys = [labels(draw, len(numbers[-1])) for numbers in drawn]
    compare_all_gradients(student, "gradients_bce", drawn, ys, cross_entropy_of)


@earns("gradients-bce")
def test_bce_gradients_of_a_certain_network(student, draw):
    """The gradients are also right where ŷ is rounded to exactly 0 or 1, whether the label is 0 or 1."""
    drawn, ys = [], []
    for low, high in ((40.0, 60.0), (120.0, 160.0), (-160.0, -120.0)):
        for K in (draw.choice(SIZES), 1):
            numbers = network(draw, *sizes(draw)[:2], K)
            numbers[-1] += draw.uniform(1, low=low, high=high)
            drawn.append(numbers)
            ys.append(labels(draw, K))
    mixed = network(draw, *sizes(draw))  # one logit is large, and all others are ordinary
    mixed[-1][-1] += draw.uniform(1, low=120.0, high=160.0)
    drawn.append(mixed)
    ys.append(labels(draw, len(mixed[-1])))
    compare_all_gradients(student, "gradients_bce", drawn, ys, cross_entropy_of)


@earns("gradients-bce", weight=0.5)
def test_bce_gradients_keep_their_arguments(student, draw):
    """gradients_bce is right and does not change the tensors that it is given."""
    x, *parameters = numbers = network(draw, *sizes(draw))
    y = labels(draw, len(parameters[-1]))
    arguments = {"x": x, "y": y, **dict(zip(PARAMETERS, parameters, strict=True))}
    compare_and_keep(
        *(student, "gradients_bce", arguments),
        lambda answer: compare_gradients(student, answer, y, numbers, cross_entropy_of),
    )


@earns("depth-prediction")
def test_depth_prediction(student):
    """The prediction is one of the three letters. Each of them earns the point."""
    found = HARNESS.beside(student).letter(student.run("lambda: depth_prediction"))
    assert found in ("A", "B", "C"), 'depth_prediction should be exactly one of the letters "A", "B" and "C"'


# ---------------------------------------------------------------------------------------------- concepts


@earns("softargmax")
def test_softargmax_on_paper_and_in_the_machine(student):
    """Both answers are right: whether an output can be exactly 0 or 1 for real numbers, and in float32."""
    pairs = HARNESS.beside(student).answers(student.run("lambda: softargmax_exact"))
    assert pairs is not None, "softargmax_exact should be a dictionary"
    answer = dict(pairs)
    for key, right in {"real": False, "float32": True}.items():
        assert isinstance(answer.get(key), bool), f"softargmax_exact should answer {key!r} with True or False"
        assert answer[key] is right, "softargmax_exact: at least one of the two answers is not right"


@earns("softargmax")
def test_softargmax_shown(student):
    """Your logits make softargmax give an exact 0 and an exact 1 in float32."""
    below = HARNESS.beside(student).below_the_largest(student.run("lambda: exact_logits"))
    assert below is not None, "exact_logits should not be None: such logits exist"
    assert below, "exact_logits should hold two or more numbers that are finite in float32"
    p = torch.softmax(-torch.tensor(below), dim=0)
    assert (p == 1).any(), "softargmax of your logits holds no exact 1"
    assert (p == 0).any(), "softargmax of your logits holds no exact 0"


@earns("graph")
def test_graph_edges(student):
    """The graph has every arrow that it needs, in the right direction, and no others."""
    found = HARNESS.beside(student).arrows(student.run("lambda: graph_edges"))
    assert found is not None, "graph_edges should be a list of pairs of names"
    missing, extra = EDGES - set(found), set(found) - EDGES
    turned = {edge for edge in extra if edge[::-1] in missing}
    assert not turned, "some arrows point the wrong way: an arrow runs from a variable to what is computed from it"
    assert len(missing) != 1, "one of the arrows that the graph needs is missing"
    assert not missing, f"{len(missing)} of the arrows that the graph needs are missing"
    assert not extra, "some arrows do not belong: an arrow runs only to what is computed directly from its start"


@earns("graph")
def test_graph_places(student):
    """Every node has a place of its own, to the right of all that it is computed from."""
    found = HARNESS.beside(student).placed(student.run("lambda: graph_places"), sorted(EDGES))
    assert isinstance(found, list), "graph_places should be a dictionary from names to pairs of finite numbers"
    names, crowded, left, upright = found
    missing, extra = set("xyzoabcw") - set(names), set(names) - set("xyzoabcw")
    assert not missing, f"graph_places leaves out {len(missing)} of the eight nodes"
    assert not extra, "graph_places places something that is none of the eight nodes"
    assert not crowded, "in graph_places two nodes stand in the same place"
    assert not left and not upright, (
        "in graph_places at least one variable does not stand to the right of all that it is computed from"
    )


@earns("graph")
def test_graph_gradient(student, draw):
    """The derivatives of w by the four inputs agree with autograd."""
    gradient, cases, names = asked(student, "graph_gradient"), [], [f"∂w/∂{name}" for name in "xyzo"]
    for _ in range(2):
        cases.append([float(value) for value in away_from_zero(draw, 4)])
    cases.append([0.0, *cases[0][1:3], 0.0])  # a product with 0, which no quotient brings back
    cases.append([cases[1][0], -cases[1][0], *cases[1][2:]])  # and a sum that is 0
    answers = [gradient(*inputs) for inputs in cases]
    for inputs, answer in zip(cases, answers, strict=True):
        right = jacobian(lambda x, y, z, o: (x + y) * (z * o) + z, tuple(map(torch.tensor, inputs)))
        for name, actual, expected in zip(names, together(answer, names), right, strict=True):
            single = isinstance(actual, torch.Tensor) and actual.numel() == 1
            close(actual.reshape(()) if single else actual, expected, name, atol=1e-5)


def compare_slope(slope, function, draw, name):
    """Compare a slope with autograd, away from the kinks at 0: within ±6 and far out, for vectors and a matrix."""
    points = []
    for shape in ((draw.size(5, 9),), (2, draw.size(3, 5)), (1,)):
        x = 3 * away_from_zero(draw, *shape)
        flat = x.view(-1)
        flat[:2] /= 3  # these two within ±2, where slopes differ most
        if len(flat) >= 4:  # and these two on either side of 0
            flat[2], flat[3] = flat[2].abs() / 10, -flat[3].abs() / 10
        points.append(x)
    points.append(draw.uniform(6, low=100.0, high=200.0) * torch.tensor([-1.0, 1.0]).repeat(3))
    for x, answer in zip(points, [slope(x) for x in points], strict=True):
        leaf = x.clone().requires_grad_()
        function(leaf).sum().backward()
        same(answer, leaf.grad, name)


@earns("slopes")
def test_slopes_of_relu_and_leaky_relu(student, draw):
    """The slopes of ReLU and LeakyReLU(0.01) agree with autograd."""
    compare_slope(asked(student, "relu_slope", "one"), functional.relu, draw, "the slope of ReLU")
    compare_slope(asked(student, "leaky_relu_slope", "one"), functional.leaky_relu, draw, "the slope of LeakyReLU")


@earns("slopes")
def test_slope_of_softplus(student, draw):
    """The slope of Softplus agrees with autograd."""
    compare_slope(asked(student, "softplus_slope", "one"), functional.softplus, draw, "the slope of Softplus")


@earns("slopes")
def test_slope_of_gelu(student, draw):
    """The slope of the exact GELU agrees with autograd."""
    compare_slope(asked(student, "gelu_slope", "one"), functional.gelu, draw, "the slope of GELU")


CURVES = (  # in the order of the harness
    ("LeakyReLU", functional.leaky_relu),
    ("Softplus", functional.softplus),
    ("GELU", functional.gelu),
    ("ReLU", functional.relu),
)
HEIGHTS = (-3.7, -2.6, -1.9, -1.4, -0.9, -0.5, 0.5, 0.9, 1.4, 1.9, 2.6, 3.7)  # well away from the kinks at 0


@earns("slopes")
def test_slopes_drawn(student):
    """draw_slopes plots the four slopes on the axes that it is given, each with its name, from −4 to 4."""
    answer = HARNESS.beside(student).drawn(student.draw_slopes, list(HEIGHTS))
    assert not isinstance(answer, str), (
        "draw_slopes draws no line with one of the four names on the axes that it is given"
    )
    labelled, lines = answer
    at = torch.tensor(HEIGHTS)
    for number, (name, activation) in enumerate(CURVES):
        found = [line[1:] for line in lines if line[0] == number]
        assert found, f"draw_slopes draws no line with the label {name} on the axes that it is given"
        assert len(found) == 1, f"draw_slopes should draw one line with the label {name}; it draws {len(found)}"
        points, *extent = found[0]
        assert points >= 50, f"the curve of {name} should have 50 or more points; it has {int(points)}"
        first, last, gap = extent[:3]
        assert abs(first + 4) <= 0.2, f"the curve of {name} should begin at −4; it begins elsewhere"
        assert abs(last - 4) <= 0.2, f"the curve of {name} should end at 4; it ends elsewhere"
        assert gap <= 0.4, f"the points of the curve of {name} should be spread evenly; they leave a wide gap"
        leaf = at.clone().requires_grad_()
        activation(leaf).sum().backward()
        close(torch.tensor(extent[3:]), leaf.grad, f"the heights of the curve of {name}", rtol=0.0, atol=0.0085)
    assert labelled, "the x-axis that draw_slopes is given carries no label"


@earns("slopes", weight=0.5)
def test_slopes_at_zero_and_of_kept_arguments(student, draw):
    """The slopes at 0 are right, or between those on the two sides; no function changes the tensor that it is given."""
    x = torch.cat([away_from_zero(draw, 3), torch.zeros(1)])
    slopes = (
        ("relu_slope", 0, 1),
        ("leaky_relu_slope", 0.01, 1),
        ("softplus_slope", 0.5, 0.5),
        ("gelu_slope", 0.5, 0.5),
    )
    for name, low, high in slopes:

        def compare(answer, name=name, low=low, high=high):
            assert getattr(answer, "shape", None) == x.shape, f"{name} should return a tensor of the shape of x"
            right = "a slope between those on the two sides" if low < high else "the derivative there"
            assert low - 1e-3 <= answer[-1] <= high + 1e-3, f"{name} at 0 should be {right}"

        compare_and_keep(student, name, {"x": x}, compare, "one")


def compare_statements(student, right):
    pairs = HARNESS.beside(student).answers(student.run("lambda: relu_statements"))
    assert pairs is not None, "relu_statements should be a dictionary"
    answers = dict(pairs)
    for letter in right:
        assert isinstance(answers.get(letter), bool), f"relu_statements should answer {letter} with True or False"
    wrong = sum(answers[letter] is not truth for letter, truth in right.items())
    found = f"{wrong} {'is' if wrong == 1 else 'are'} wrong"
    assert not wrong, f"of your answers to {', '.join(right)} {found}: look at your figure of the slopes again"


@earns("relu-statements")
def test_statements_on_relu(student):
    """The answers to A, B and C, on ReLU and LeakyReLU, are right."""
    compare_statements(student, {"A": True, "B": False, "C": True})


@earns("relu-statements")
def test_statements_on_smooth_relatives(student):
    """The answers to D, E and F, on LeakyReLU and Softplus, are right."""
    compare_statements(student, {"D": False, "E": True, "F": False})


@earns("maps", weight=2)
def test_maps_of_the_plane(student, draw):
    """Rotation, reflection, scaling and shear move random points to the right places."""
    within, turns = float(draw.uniform(1, low=0.2, high=0.6)), [cmath.pi / 2 * n for n in (0, 1, -1, -2)]
    moved = []
    for theta in (within + turn for turn in turns):  # in each of the four quadrants, and away from their middle
        s_x, s_y, k = (float(value) for value in away_from_zero(draw, 3))
        point = complex(*away_from_zero(draw, 2).tolist())
        turn = cmath.exp(1j * theta)
        # Complex numbers know the plane without matrices: a mirror line at angle θ is turned to the axis, and back.
        moved += [
            ("rotation", asked(student, "rotation", "one")(theta), point, turn * point),
            ("reflection", asked(student, "reflection", "one")(theta), point, turn * (point / turn).conjugate()),
            ("scaling", asked(student, "scaling", "one")(s_x, s_y), point, complex(s_x * point.real, s_y * point.imag)),
            ("shear", asked(student, "shear", "one")(k), point, complex(point.real + k * point.imag, point.imag)),
        ]
    for name, matrix, point, expected in moved:
        got = "nothing (None)" if matrix is None else f"a {type(matrix).__name__}"
        assert isinstance(matrix, torch.Tensor), f"{name} should return a matrix; it returns {got}"
        told = tuple(matrix.shape) if 0 < matrix.numel() <= 4 else "another one"  # a size can carry a number
        assert tuple(matrix.shape) == (2, 2), f"the shape of the {name} is {told}; it should be (2, 2)"
        there = matrix.double() @ torch.tensor([point.real, point.imag], dtype=torch.float64)
        right = torch.tensor([expected.real, expected.imag])
        close(there, right, f"where the {name} moves a point", rtol=1e-3, atol=1e-4)


def collapsed(numbers):
    """W and b of the one layer, by feeding zero and the unit vectors through both layers."""
    x, W1, b1, W2, b2 = numbers

    def both(rows):
        return functional.linear(functional.linear(rows, W1, b1[:, 0]), W2, b2[:, 0])

    b = both(torch.zeros(1, len(x)))
    return (both(torch.eye(len(x))) - b).T, b.T


@earns("maps")
def test_two_linear_layers_collapse(student, draw):
    """The single linear layer equals the two that it replaces, on networks of several sizes."""
    drawn, collapse = networks(draw), asked(student, "collapse")
    answers = [collapse(*numbers[1:]) for numbers in drawn]
    for numbers, answer in zip(drawn, answers, strict=True):
        compare_each(answer, ("W", "b"), collapsed(numbers), **size_of(numbers))


@earns("maps", weight=0.5)
def test_collapse_keeps_its_arguments(student, draw):
    """collapse is right and does not change the tensors that it is given."""
    numbers = network(draw, *sizes(draw))
    arguments = dict(zip(PARAMETERS, numbers[1:], strict=True))
    right = collapsed(numbers)
    compare_and_keep(student, "collapse", arguments, lambda answer: compare_each(answer, ("W", "b"), right))
