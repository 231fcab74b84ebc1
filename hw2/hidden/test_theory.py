"""Hidden tests of hw2/theory: every formula, written as a function, against autograd on sizes that are drawn."""

import math

import torch
from torch.autograd.functional import jacobian
from torch.nn import functional

from autograder import close, earns


def same(actual, expected, name):
    """As close, with an absolute tolerance that follows the largest entry: float32 sums round relative to it."""
    close(actual, expected, name, atol=1e-5 * max(1.0, float(expected.abs().max())))


def pair(shape):
    """A shape as a tuple of int, whether it came as a tuple, a list or a tensor."""
    shape = shape.tolist() if hasattr(shape, "tolist") else shape
    assert isinstance(shape, tuple | list), "a shape should be a tuple of whole numbers"
    assert all(float(size) == int(size) for size in shape), "a shape should consist of whole numbers"
    return tuple(int(size) for size in shape)


def sizes(draw, count):
    """Sizes from 2 on, all different, so that no two axes can be confused."""
    return (torch.randperm(count + 2, generator=draw.generator)[:count] + 2).tolist()


def layers(draw):
    """A sequence, a filter and a stride: as on the sheet, with other sizes, and with every size as small as can be."""
    for C, k, stride, places, left in (
        (7, 3, 2, 5, 0),
        (draw.size(2, 4), draw.size(2, 5), draw.size(1, 3), draw.size(2, 6), draw.size(0, 2)),
        (1, 1, 3, 1, 1),
    ):
        N = k + stride * (places - 1) + min(left, stride - 1)  # steps at the end that no window reaches
        yield draw.normal(C, N), draw.normal(1, C, k), stride


def column(f):
    """A list, a row or a vector of results stays what it is; only numpy's arrays become tensors."""
    return torch.as_tensor(f) if type(f).__module__ == "numpy" else f


# ---------------------------------------------------------------------------------------------- convolution


@earns("first-shape")
def test_first_shape(student):
    """Height and width are those that a convolution layer makes."""
    made = functional.conv2d(torch.zeros(1, 17, 11), torch.zeros(1, 1, 3, 5), stride=2)
    assert pair(student.first_shape) == tuple(made.shape[1:]), "height, width or both are not what such a layer makes"


@earns("conv-output-shape")
def test_output_shape(student, draw):
    """The shape agrees with a convolution layer's, for all kinds of sizes, padding, stride and dilation."""
    function = student.conv_output_shape
    for trial in range(12):
        HK, WK, P, S, D = draw.size(1, 4), draw.size(1, 4), draw.size(0, 3), draw.size(1, 4), draw.size(1, 3)
        free_down, free_across = draw.size(0, 9), draw.size(0, 9)  # steps that a kernel can take without padding
        if trial == 0:  # where every step is a place, no padding and no dilation goes unseen
            P, S, D = draw.size(1, 3), 1, draw.size(2, 3)
        if trial == 1:  # a last step that is too short for a place
            P, S, free_down, free_across = 0, 3, 3 * draw.size(1, 3) - 1, 3 * draw.size(1, 3) - 2
        H, W = D * (HK - 1) + 1 + free_down, D * (WK - 1) + 1 + free_across
        C, F = draw.size(1, 3), draw.size(4, 6)
        made = functional.conv2d(torch.zeros(C, H, W), torch.zeros(F, C, HK, WK), stride=S, padding=P, dilation=D)
        answer = pair(function(C, H, W, HK, WK, P, S, D, F))
        assert len(answer) == 3, "the shape should be a tuple of channels, height, width"
        assert answer[0] == made.shape[0], "the number of channels that come out is not right"
        case = f"P = {P}, S = {S}, D = {D}"
        assert answer == tuple(made.shape), f"height or width is not right for a kernel of {HK}×{WK}, {case}"


@earns("convolution")
def test_cross_correlation(student, draw):
    """f_W(x) agrees with PyTorch's layer, for any sizes and strides."""
    function = student.cross_correlation
    for x, W, stride in layers(draw):
        same(column(function(x, W, stride)), functional.conv1d(x, W, stride=stride).T, f"f_W(x) with stride {stride}")


@earns("convolution")
def test_convolution(student, draw):
    """The convolution visits the same windows and reads the filter backwards in time."""
    function = student.convolution
    for x, W, stride in layers(draw):
        right = torch.zeros((x.shape[1] - W.shape[2]) // stride + 1, 1)
        for r in range(len(right)):  # by its definition, with the minus in the index
            for k in range(W.shape[2]):
                right[r, 0] += W[0, :, k] @ x[:, stride * r + W.shape[2] - 1 - k]
        same(column(function(x, W, stride)), right, f"the convolution with stride {stride}")


@earns("jacobian-weights")
def test_jacobian_by_weights(student, draw):
    """∂f/∂W agrees with autograd, in numerator layout and in the agreed order of its columns."""
    function = student.jacobian_by_weights
    for x, W, stride in layers(draw):
        right = jacobian(lambda W, x=x, stride=stride: functional.conv1d(x, W, stride=stride), W)
        answer = function(x, W.shape[2], stride)
        same(answer, right.reshape(-1, W.numel()), f"∂f/∂W with stride {stride}")


@earns("jacobian-input")
def test_jacobian_by_input(student, draw):
    """∂f/∂x agrees with autograd, in numerator layout and in the agreed order of its columns."""
    function = student.jacobian_by_input
    for x, W, stride in layers(draw):
        right = jacobian(lambda x, W=W, stride=stride: functional.conv1d(x, W, stride=stride), x)
        answer = function(W, x.shape[1], stride)
        same(answer, right.reshape(-1, x.numel()), f"∂f/∂x with stride {stride}")


@earns("gradient-weights")
def test_gradient_by_weights(student, draw):
    """∂ℓ/∂W agrees with a cross-correlation of x and the upstream gradient that is dilated by the stride."""
    function = student.gradient_by_weights
    for x, W, stride in layers(draw):
        C, k = W.shape[1:]
        R = (x.shape[1] - k) // stride + 1
        dl_df = draw.normal(1, R)
        right = functional.conv1d(x[:, None], dl_df[None], dilation=stride)[:, 0, :k]  # (C, k): each component alone
        leaf = W.clone().requires_grad_()
        functional.conv1d(x, leaf, stride=stride).backward(dl_df)
        assert torch.allclose(right, leaf.grad[0], atol=1e-4)  # the two ways to measure agree
        same(function(x, dl_df, k, stride), leaf.grad.reshape(1, C * k), f"∂ℓ/∂W with stride {stride}")


# ---------------------------------------------------------------------------------------------- a gated network


@earns("unrolled")
def test_unrolled_edges(student, draw):
    """The unrolled graph has all its arrows, each in the right direction, and no others, for any number of steps."""
    function = student.unrolled_edges
    for T in (1, draw.size(2, 4), draw.size(5, 12)):
        edges = {tuple(edge) for edge in function(T)}
        right = set()
        for t in range(1, T + 1):
            x, c, old, new = f"x{t}", f"c{t}", f"h{t - 1}", f"h{t}"
            right |= {(x, c), (old, c), (c, new), (old, new), (x, new)}
        missing, extra = right - edges, edges - right
        turned = {edge for edge in extra if edge[::-1] in missing}
        assert not turned, f"T = {T}: some arrows point the wrong way: they run from what is known to what is computed"
        assert not missing, f"T = {T}: of the arrows that are needed {len(missing)} are missing"
        assert not extra, f"T = {T}: {len(extra)} arrows are too many"


@earns("dimensions")
def test_gated_dimensions(student, draw):
    """All four dimensions are right."""
    n, m = sizes(draw, 2)
    answer = student.gated_dimensions(n, m)
    assert isinstance(answer, dict), "gated_dimensions should return a dictionary"
    for name, right in {"W_c": (m, n), "W_h": (m, m), "W_x": (m, n), "c": (m, 1)}.items():
        assert name in answer, f"there is no entry for {name!r}"
        assert pair(answer[name]) == right, f"the dimensions of {name} are not right"


def gated_states(x, W_c, W_h, W_x, h0=None):
    """h[1], …, h[K] of the gated network as columns of a matrix (m, K)."""
    h, states = torch.zeros(len(W_h), 1, dtype=x.dtype) if h0 is None else h0, []
    for t in range(x.shape[1]):
        c = torch.sigmoid(W_c @ x[:, t : t + 1] + W_h @ h)
        h = c * h + (1 - c) * (W_x @ x[:, t : t + 1])
        states.append(h)
    return torch.cat(states, dim=1)


@earns("gated-jacobians")
def test_jacobian_of_the_gate(student, draw):
    """∂c[t]/∂h[t−1] agrees with autograd, for states of several sizes and of one number."""
    function = student.gated_jacobians
    n, several = sizes(draw, 2)
    for m in (several, 1):
        x, h, W_c, W_h, W_x = (draw.normal(*shape) for shape in ((n, 1), (m, 1), (m, n), (m, m), (m, n)))
        right = jacobian(lambda h, x=x, W_c=W_c, W_h=W_h: torch.sigmoid(W_c @ x + W_h @ h), h).reshape(m, m)
        answer = function(x, h, W_c, W_h, W_x)
        assert isinstance(answer, tuple | list) and len(answer) == 2, "gated_jacobians should return a tuple of two"
        same(answer[0], right, "∂c[t]/∂h[t−1]")


@earns("gated-jacobians")
def test_jacobian_of_the_state(student, draw):
    """∂h[t]/∂h[t−1] agrees with autograd, for states of several sizes and of one number."""
    function = student.gated_jacobians
    n, several = sizes(draw, 2)
    for m in (several, 1):
        x, h, W_c, W_h, W_x = (draw.normal(*shape) for shape in ((n, 1), (m, 1), (m, n), (m, m), (m, n)))
        weights = (x, W_c, W_h, W_x)
        right = jacobian(lambda h, weights=weights: gated_states(*weights, h), h).reshape(m, m)
        answer = function(x, h, W_c, W_h, W_x)
        assert isinstance(answer, tuple | list) and len(answer) == 2, "gated_jacobians should return a tuple of two"
        same(answer[1], right, "∂h[t]/∂h[t−1]")


@earns("gated-gradient")
def test_gradient_of_one_step(student, draw):
    """For a sequence of one step ∂ℓ/∂W_x agrees with autograd."""
    n, m = sizes(draw, 2)
    check_gated_gradient(student.gated_gradient, draw, n, m, 1)


@earns("gated-gradient", weight=2)
def test_gradient_through_time(student, draw):
    """For longer sequences ∂ℓ/∂W_x agrees with autograd, whichever states the loss looks at."""
    function = student.gated_gradient
    n, m = sizes(draw, 2)
    check_gated_gradient(function, draw, n, m, draw.size(3, 6))
    check_gated_gradient(function, draw, m, m, 3, last_only=True)


def check_gated_gradient(function, draw, n, m, K, last_only=False):
    x, W_c, W_h, W_x, r = (draw.normal(*shape) for shape in ((n, K), (m, n), (m, m), (m, n), (K, m)))
    if last_only:
        r[:-1] = 0
    leaf = W_x.clone().requires_grad_()
    (right,) = torch.autograd.grad((r.T * gated_states(x, W_c, W_h, leaf)).sum(), leaf)
    case = "only the last state counts" if last_only else "every state counts"
    same(function(x, W_c, W_h, W_x, r), right.T, f"∂ℓ/∂W_x over {K} steps, where {case},")


def past_of(network, K):
    """The largest singular value of ∂h[K]/∂h[0] for what a student's function returns."""
    name = f"what it returns for K = {K}"
    assert isinstance(network, tuple | list) and len(network) == 4, f"{name} should be x, W_c, W_h, W_x"
    x, W_c, W_h, W_x = (torch.as_tensor(part).double() for part in network)
    m, n = W_c.shape
    fitting = x.shape == (n, K) and W_h.shape == (m, m) and W_x.shape == (m, n)
    assert fitting, f"{name} does not fit together as x (n, K), W_c (m, n), W_h (m, m), W_x (m, n)"
    assert all(part.isfinite().all() for part in (x, W_c, W_h, W_x)), f"{name} has entries that are not finite"
    steps = torch.eye(m, dtype=torch.double)
    h = torch.zeros(m, 1, dtype=torch.double)
    for t in range(K):  # the product of the steps' Jacobians, each by autograd
        now = x[:, t : t + 1]
        steps = jacobian(lambda h, now=now: gated_states(now, W_c, W_h, W_x, h), h).reshape(m, m) @ steps
        h = gated_states(now, W_c, W_h, W_x, h)
    return float(torch.linalg.matrix_norm(steps, 2))


def numbers_of_steps(draw):
    return 1, draw.size(2, 6), 12


@earns("extremes")
def test_fading_and_carrying(student, draw):
    """Through the first network next to nothing of h[0] comes through, and through the second all of it."""
    fading, carrying = student.fading, student.carrying
    for K in numbers_of_steps(draw):
        assert past_of(fading(K), K) <= 0.9**K * 1.001, f"fading: s is too large for K = {K}"
        assert 0.9 <= past_of(carrying(K), K) <= 1.1, f"carrying: s is not near 1 for K = {K}"


@earns("extremes")
def test_exploding(student, draw):
    """In the third network s at least doubles with every step."""
    exploding = student.exploding
    for K in numbers_of_steps(draw):
        assert past_of(exploding(K), K) >= 2.0**K * 0.999, f"exploding: s is too small for K = {K}"


# ---------------------------------------------------------------------------------------------- attention


def attention_network(draw, k):
    """x, history, Q, K, V of an AttentionRNN(k) whose sizes all differ, with weights so small that a is not one-hot."""
    n, m, d = sizes(draw, 3)
    Q, K = ([draw.normal(d, n) / 2, *(draw.normal(d, m) / 2 for _ in range(k))] for _ in "QK")
    V = [draw.normal(m, n), *(draw.normal(m, m) for _ in range(k))]
    return draw.normal(n, 1), [draw.normal(m, 1) for _ in range(k)], Q, K, V


def attention_state(x, history, Q, K, V):
    """h[t] as the sheet defines it, with w as a quadratic form."""
    sources = [x, *history]
    w = torch.stack([(s.T @ Q[i].T @ K[i] @ s).reshape(()) for i, s in enumerate(sources)])
    return sum(a * V[i] @ sources[i] for i, a in enumerate(functional.softmax(w, dim=0)))


@earns("attention-dimension")
def test_attention_dimensions(student, draw):
    """All five dimensions of AttentionRNN(2) are right."""
    n, m, d = sizes(draw, 3)
    answer = student.attention_dimensions(n, m, d)
    assert isinstance(answer, dict), "attention_dimensions should return a dictionary"
    for name, right in {"a": (3, 1), "Q0": (d, n), "Q1": (d, m), "V0": (m, n), "V1": (m, m)}.items():
        assert name in answer, f"there is no entry for {name!r}"
        assert pair(answer[name]) == right, f"the dimensions of {name} are not right"


@earns("attention-step")
def test_attention_step(student, draw):
    """One step of AttentionRNN(k) is right, for several k."""
    function = student.attention_step
    for k in (2, 1, draw.size(3, 6)):
        network = attention_network(draw, k)
        same(function(*network), attention_state(*network), f"h[t] with k = {k}")


@earns("attention-all")
def test_attention_parameters(student, draw):
    """The number of parameters is that of all the matrices, tied or not."""
    function = student.attention_parameters
    for k in (1, draw.size(2, 9)):
        n, m, d = sizes(draw, 3)
        own, distance = 2 * d * n + m * n, 2 * d * m + m * m
        for tied, right in ((False, own + k * distance), (True, own + distance)):
            kind = "tied" if tied else "not tied"
            assert function(n, m, d, k, tied) == right, f"the number of parameters is not right for k = {k}, {kind}"


@earns("attention-all")
def test_tied_attention_step(student, draw):
    """One step of the tied network is right for a past of any length, and does not depend on its order."""
    function = student.tied_attention_step
    for past in (draw.size(3, 7), 1, 0):
        x, history, Q, K, V = attention_network(draw, max(past, 1))
        history, tied = history[:past], (Q[0], K[0], V[0], Q[1], K[1], V[1])
        full = [[first, *[second] * past] for first, second in (Q[:2], K[:2], V[:2])]
        right = attention_state(x, history, *full)
        same(function(x, history, *tied), right, f"h[t] after {past} states")
        same(function(x, history[::-1], *tied), right, f"h[t] after {past} states in reverse")


@earns("attention-jacobian")
def test_attention_jacobian_of_the_last_state(student, draw):
    """∂h[t]/∂h[t−1] in AttentionRNN(2) agrees with autograd, and so does AttentionRNN(1)'s."""
    function = student.attention_jacobian
    for k in (2, 1):
        check_attention_jacobian(function, draw, k, 1)


@earns("attention-jacobian")
def test_attention_jacobian_of_older_states(student, draw):
    """∂h[t]/∂h[t−j] in AttentionRNN(k) agrees with autograd for j > 1."""
    function = student.attention_jacobian
    k = draw.size(4, 6)
    for j in (2, k):
        check_attention_jacobian(function, draw, k, j)


def check_attention_jacobian(function, draw, k, j):
    network = attention_network(draw, k)
    same(function(*network, j), measured_arrow(*network, j), f"∂h[t]/∂h[t−{j}] with k = {k}")


def measured_arrow(x, history, Q, K, V, j):
    """∂h[t]/∂h[t−j] by autograd, all the other states held fixed."""

    def new_state(h):
        return attention_state(x, [*history[: j - 1], h, *history[j:]], Q, K, V)

    m = len(history[0])
    return jacobian(new_state, history[j - 1].detach()).reshape(m, m)


@earns("attention-backward")
def test_attention_backward(student, draw):
    """All gradients of an AttentionRNN's run agree with autograd, near the end of the sequence as well."""
    function = student.attention_backward
    for k, L in ((2, draw.size(5, 7)), (3, 2), (draw.size(3, 4), draw.size(5, 6))):
        _, _, Q, K, V = attention_network(draw, k)
        m, n = V[0].shape
        x, r = draw.normal(n, L), draw.normal(L, m)
        before, states, arrows = torch.zeros(m, 1), [], {}
        for t in range(1, L + 1):
            history = [states[t - i - 1] if t > i else before for i in range(1, k + 1)]
            now = x[:, t - 1 : t]
            for i in range(1, min(k, t - 1) + 1):
                arrows[t, t - i] = measured_arrow(now, history, Q, K, V, i)
            states.append(attention_state(now, history, Q, K, V).requires_grad_())
            states[-1].retain_grad()
        sum(row @ h for row, h in zip(r, states, strict=True)).sum().backward()
        right = torch.cat([h.grad for h in states], dim=1).T
        same(function(r, arrows), right, f"the gradients of a run of {L} steps with k = {k}")


# ---------------------------------------------------------------------------------------------- debugging


@earns("kinks")
def test_kink_cause(student):
    """The cause of the kinks is the right one."""
    assert str(student.kink_cause).strip().upper() == "D", "kink_cause: this suspect could not have drawn such a curve"


@earns("spikes")
def test_spike_reason(student):
    """The reason of the early spikes is the right one."""
    assert str(student.spike_reason).strip().upper() == "B", "spike_reason: this would not explain such a loss"


@earns("fixes")
def test_fixes(student):
    """All the cures are named, and none that does not cure or changes more than the training procedure."""
    fixes = {str(letter).strip().upper() for letter in student.run("sorted(fixes)")}
    assert fixes - {"A", "C", "E"} == set(), "fixes holds something that is no cure, or changes more than the training"
    assert fixes == {"A", "C", "E"}, f"fixes: what you name is right, and {3 - len(fixes)} more can be found"


@earns("initial")
def test_initial_values(student):
    """Accuracy and loss of a network that knows nothing follow from the number of classes."""
    for name, right in (("initial_accuracy", 1 / 4), ("initial_loss", math.log(4))):
        actual = getattr(student, name)
        value = float(torch.as_tensor(actual).double().reshape(()))
        assert math.isclose(value, right, rel_tol=2e-3), f"{name} is not what the task says"
