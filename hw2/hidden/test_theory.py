"""Hidden tests of hw2/theory: every formula, written as a function, against autograd on sizes that are drawn."""

import inspect
import itertools
import math

import numpy as np
import torch
from torch.autograd.functional import jacobian
from torch.nn import functional

from autograder import Harness, StudentError, close, earns

HARNESS = Harness(__file__)

CONVOLUTIONS = ("conv_output_shape", "cross_correlation", "convolution", "jacobian_by_weights", "jacobian_by_input")


class Asked:
    """A function of the student's, and what it should answer.

    Where it fails with the student's own earlier functions, it is lent right ones. So an error loses points in its own
    exercise, and not in later ones that carry it on correctly.
    """

    def __init__(self, student, reference, name, lent=()):
        self._name, self._lent, self._student = name, list(lent), student
        self._function, self._tools = getattr(student, name), HARNESS.beside(student)
        self._parameters = list(inspect.signature(getattr(reference, name)).parameters)
        self._cases = []

    def expect(self, right, what, *arguments, sizes=None):
        """Expect `right`, up to rounding, for these arguments."""
        self.judge(lambda answer: same(answer, right, what, sizes), *arguments)

    def judge(self, judge, *arguments):
        """Expect that `judge` finds nothing wrong with the answer to these arguments."""
        self._cases.append((judge, list(arguments)))

    def check(self):
        """Ask for all answers, so that a diagnosis sees them all, and then judge them."""
        answers = [self._ask(arguments) for _, arguments in self._cases]
        for (judge, arguments), answer in zip(self._cases, answers, strict=True):
            try:
                self._check(judge, answer)
            except (AssertionError, StudentError) as failure:
                if not self._lent:
                    raise
                try:
                    self._check(judge, self._ask(arguments, lends=True))
                except StudentError:  # perhaps the student's own earlier functions do more than the notebook asks
                    raise failure from None

    def _ask(self, arguments, lends=False):
        try:
            if not lends:
                return self._tools.ask(self._function, arguments, {})
            lending = HARNESS.lending(self._student, *(f"right_{name}" for name in self._lent))
            parts = {name: getattr(lending, f"right_{name}") for name in self._lent}
            return lending.ask(self._function, arguments, parts)
        except StudentError as error:
            return error

    def _check(self, judge, reply):
        if isinstance(reply, StudentError):
            raise reply
        answer, changed, called = reply
        assert not called, f"{self._name} calls PyTorch's {', '.join(called)}; write the convolution yourself"
        judge(answer)
        names = ", ".join(self._parameters[position] for position in changed)
        assert not changed, f"{self._name} changes {names} in place; what it is given should stay as it is"


def same(actual, expected, name, sizes=None):
    """As close, with an absolute tolerance that follows the largest entry: float32 sums round relative to it."""
    close(actual, expected, name, atol=1e-5 * max(1.0, float(expected.abs().max())), sizes=sizes)


def plain(value):
    """A tensor or an array of one entry becomes that number; everything else stays."""
    single = isinstance(value, torch.Tensor | np.ndarray) and math.prod(value.shape) == 1
    return torch.as_tensor(value).item() if single else value


def whole_numbers(parts, count, name):
    """Assert that this is a tuple of so many whole numbers."""
    fine = isinstance(parts, tuple) and all(isinstance(part, int) for part in parts)
    assert fine, f"{name} should be a tuple of {count} whole numbers"
    assert len(parts) == count, f"{name} should be a tuple of {count} whole numbers, but it has {len(parts)}"
    return parts


def number(value, name):
    """One number as a float, whether it came as a number, an array or a tensor."""
    value = plain(value)
    assert isinstance(value, int | float), f"{name} should be a single number"
    return float(value)


def distinct(draw, count):
    """Sizes from 2 on, all different, so that no two axes can be confused."""
    return (torch.randperm(count + 2, generator=draw.generator)[:count] + 2).tolist()


def layers(draw):
    """Sequences, filters and strides: those of the notebook with its own stride; drawn; smallest; with a single window.

    The stride comes as a tuple of arguments, which is empty for the default.
    """
    for C, k, stride, windows, left in (
        (7, 3, (), 5, 0),
        (draw.size(2, 4), draw.size(2, 5), (draw.size(3, 4),), draw.size(3, 6), draw.size(0, 2)),
        (draw.size(2, 4), draw.size(3, 5), (1,), draw.size(3, 6), 0),
        (1, 1, (3,), 2, 1),
        (draw.size(2, 4), 1, (), 3, 0),
        (3, 4, (2,), 1, 1),
    ):
        S = stride[0] if stride else 2
        N = k + S * (windows - 1) + left  # steps at the end that no window reaches
        yield draw.normal(C, N), draw.normal(1, C, k), S, stride


# ---------------------------------------------------------------------------------------------- convolution


@earns("conv-output-shape")
def test_first_shape(student, parameters):
    """first_shape is the height and width that a convolution layer makes."""
    image = torch.zeros(1, parameters.image_height, parameters.image_width)
    kernel = torch.zeros(1, 1, parameters.kernel_height, parameters.kernel_width)
    made = functional.conv2d(image, kernel, stride=2)
    answer = HARNESS.beside(student).sizes(student.run("lambda: first_shape"))
    answer = whole_numbers(answer, 2, "first_shape")
    assert answer == tuple(made.shape[1:]), "first_shape: height or width is not that of such a layer's output"


@earns("conv-output-shape", weight=2)
def test_output_shape(student, draw):
    """The shape agrees with a convolution layer's, for many sizes, paddings, strides and dilations."""
    function, tools, cases = student.conv_output_shape, HARNESS.beside(student), []
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
        case = f"a kernel of {HK}×{WK} on an image of {H}×{W}, with P = {P}, S = {S}, D = {D}"
        cases.append((tools.sizes(function, C, H, W, HK, WK, P, S, D, F), tuple(made.shape), case))
    for answer, right, case in cases:
        answer = whole_numbers(answer, 3, f"the shape for {case}")
        assert answer[0] == right[0], "the first number should be the number of output channels; yours is not"
        assert answer == right, f"the height or the width is not right for {case}"


@earns("convolution")
def test_cross_correlation(student, reference, draw):
    """f_W(x) agrees with PyTorch's layer, for any sizes and strides, and is a column."""
    asked = Asked(student, reference, "cross_correlation", CONVOLUTIONS[:1])
    for x, W, S, stride in layers(draw):
        asked.expect(functional.conv1d(x, W, stride=S).T, f"f_W(x) with stride {S}", x, W, *stride)
    asked.check()


@earns("convolution")
def test_convolution(student, reference, draw):
    """The convolution visits the same windows and reads the filter backwards in time."""
    asked = Asked(student, reference, "convolution", CONVOLUTIONS[:2])
    for x, W, S, stride in layers(draw):
        right = torch.zeros((x.shape[1] - W.shape[2]) // S + 1, 1)
        for r in range(len(right)):  # by its definition, with the minus in the index
            for k in range(W.shape[2]):
                right[r, 0] += W[0, :, k] @ x[:, S * r + W.shape[2] - 1 - k]
        asked.expect(right, f"the convolution with stride {S}", x, W, *stride)
    asked.check()


@earns("jacobian-weights")
def test_jacobian_by_weights(student, reference, draw):
    """∂f/∂W agrees with autograd, in numerator layout and in the agreed order of its columns."""
    asked = Asked(student, reference, "jacobian_by_weights", CONVOLUTIONS[:3])
    for x, W, S, stride in layers(draw):
        right = jacobian(lambda W, x=x, S=S: functional.conv1d(x, W, stride=S), W)
        asked.expect(right.reshape(-1, W.numel()), f"∂f/∂W with stride {S}", x, W.shape[2], *stride)
    asked.check()


@earns("jacobian-input")
def test_jacobian_by_input(student, reference, draw):
    """∂f/∂x agrees with autograd, in numerator layout and in the agreed order of its columns."""
    asked = Asked(student, reference, "jacobian_by_input", CONVOLUTIONS[:4])
    for x, W, S, stride in layers(draw):
        right = jacobian(lambda x, W=W, S=S: functional.conv1d(x, W, stride=S), x)
        asked.expect(right.reshape(-1, x.numel()), f"∂f/∂x with stride {S}", W, x.shape[1], *stride)
    asked.check()


@earns("gradient-weights")
def test_gradient_by_weights(student, reference, draw):
    """∂ℓ/∂W agrees with a cross-correlation of x and the upstream gradient that is dilated by the stride."""
    asked = Asked(student, reference, "gradient_by_weights", CONVOLUTIONS)
    for x, W, S, stride in layers(draw):
        C, k = W.shape[1:]
        R = (x.shape[1] - k) // S + 1
        dl_df = draw.normal(1, R)
        right = functional.conv1d(x[:, None], dl_df[None], dilation=S)[:, 0, :k]  # (C, k): each component alone
        leaf = W.clone().requires_grad_()
        functional.conv1d(x, leaf, stride=S).backward(dl_df)
        assert torch.allclose(right, leaf.grad[0], atol=1e-4)  # the two ways to measure agree
        right = right.reshape(1, C * k)
        asked.expect(right, f"∂ℓ/∂W with stride {S}", x, dl_df, k, *stride, sizes={"R": R, "C": C, "k": k})
    asked.check()


# ---------------------------------------------------------------------------------------------- a gated network


@earns("unrolled")
def test_unrolled_edges(student, draw):
    """The unrolled graph has all its arrows, each in the right direction, and no others, for any number of steps."""
    function, tools = student.unrolled_edges, HARNESS.beside(student)
    several = (draw.size(2, 4), 1, draw.size(10, 12))
    for T, answer in [(T, tools.members(function, T)) for T in several]:
        edges, right = arrows(answer), set()
        for t in range(1, T + 1):
            x, c, old, new = f"x{t}", f"c{t}", f"h{t - 1}", f"h{t}"
            right |= {(x, c), (old, c), (c, new), (old, new), (x, new)}
        known = {node for edge in right for node in edge}
        strange = [node for edge in edges for node in edge if node not in known]
        assert not strange, f"T = {T}: the arrows join other nodes, too; the nodes are h0, and x, c, h with 1…T"
        missing, extra = right - edges, edges - right
        turned = {edge for edge in extra if edge[::-1] in missing}
        assert not turned, f"T = {T}: some arrows point the wrong way; they should run from source to result"
        assert not missing, f"T = {T}: {counted(missing, 'arrow is', 'arrows are')} missing"
        assert not extra, f"T = {T}: {counted(extra, 'arrow is', 'arrows are')} too many"


@earns("unrolled")
def test_unrolled_places(student, draw):
    """The drawing obeys the four rules, for any number of steps: order in time, heights, distances, free arrows."""
    function, tools = student.unrolled_places, HARNESS.beside(student)
    for T, answer in [(T, tools.sizes(function, T)) for T in (3, 1, draw.size(5, 8))]:
        places = read_places(answer, T)
        steps = [[places[f"{letter}{t}"] for letter in ("xch" if t else "h")] for t in range(T + 1)]
        for t, (now, later) in enumerate(itertools.pairwise(steps)):
            ordered = max(across for across, _ in now) < min(across for across, _ in later)
            assert ordered, f"T = {T}: every node of step {t} should stand left of all nodes of step {t + 1}"
        heights = {letter: [places[f"{letter}{t}"][1] for t in range(letter != "h", T + 1)] for letter in "xch"}
        low, high = heights["x"], heights["h"]
        assert max(low) - min(low) < 1e-4, f"T = {T}: all inputs should stand at one height"
        assert max(high) - min(high) < 1e-4, f"T = {T}: all states should stand at one height"
        assert max(low) < min(high), f"T = {T}: the states should stand above the inputs"
        between = max(low) < min(heights["c"]) and max(heights["c"]) < min(high)
        assert between, f"T = {T}: every gate should stand above the inputs and below the states"
        nodes = sorted(places)
        near = [(u, v) for u in nodes for v in nodes if u < v and math.dist(places[u], places[v]) < 1 - 1e-4]
        assert not near, f"T = {T}: {near[0][0]} and {near[0][1]} are less than 1 apart"
        for t in range(1, T + 1):
            x, c, old, new = f"x{t}", f"c{t}", f"h{t - 1}", f"h{t}"
            for start, end in ((x, c), (old, c), (c, new), (old, new), (x, new)):
                met = [u for u in nodes if u not in (start, end) and off(places, u, start, end) < 0.2 - 1e-4]
                assert not met, f"T = {T}: the arrow from {start} to {end} comes too close to {met[0]}"


def read_places(answer, T):
    """The places of all 3 T + 1 nodes, as pairs of floats."""
    assert isinstance(answer, dict), "unrolled_places should return a dictionary from names to pairs (x, y)"
    nodes = {"h0"} | {f"{letter}{t}" for letter in "xch" for t in range(1, T + 1)}
    missing = sorted(nodes - set(answer))
    assert not missing, f"T = {T}: unrolled_places holds no place for {missing[0]}"
    assert nodes == set(answer), f"T = {T}: there are other places, too; the nodes are h0, and x, c, h with 1…T"
    for node, place in answer.items():
        pair = isinstance(place, tuple) and len(place) == 2
        fine = pair and all(isinstance(number, int | float) and math.isfinite(number) for number in place)
        assert fine, f"T = {T}: the place of {node} should be a pair of numbers, x and y"
    return {node: (float(across), float(up)) for node, (across, up) in answer.items()}


def off(places, node, start, end):
    """How far a node is from the straight line between two others."""
    (px, py), (ax, ay), (bx, by) = places[node], places[start], places[end]
    along = ((px - ax) * (bx - ax) + (py - ay) * (by - ay)) / ((bx - ax) ** 2 + (by - ay) ** 2)
    along = min(1.0, max(0.0, along))
    return math.dist((px, py), (ax + along * (bx - ax), ay + along * (by - ay)))


def arrows(edges):
    """A set of pairs of names from what a student's function returns."""
    name = 'unrolled_edges should return a list of pairs of names such as ("x1", "c1")'
    assert isinstance(edges, list), name
    pairs = all(isinstance(edge, tuple) and len(edge) == 2 and all(isinstance(n, str) for n in edge) for edge in edges)
    assert pairs, name
    return set(edges)


def counted(things, one, more):
    return f"{len(things)} {one if len(things) == 1 else more}"


def check_dimensions(answer, right, name):
    assert isinstance(answer, dict), f"{name} should return a dictionary"
    for key, shape in right.items():
        assert key in answer, f"there is no entry for {key!r}"
        found = whole_numbers(answer[key], 2, f"the entry for {key!r}")
        swapped = "; they are swapped" if found == shape[::-1] else ""
        assert found == shape, f"the rows and columns of {key} are not right{swapped}"


@earns("unrolled")
def test_gated_dimensions(student, draw):
    """All four dimensions are right, whether the state has more entries than the input or fewer."""
    function, tools = student.gated_dimensions, HARNESS.beside(student)
    small, large = sorted(distinct(draw, 2))
    cases = (small, large), (large, small)
    for (n, m), answer in [(case, tools.sizes(function, *case)) for case in cases]:
        right = {"W_c": (m, n), "W_h": (m, m), "W_x": (m, n), "c": (m, 1)}
        check_dimensions(answer, right, "gated_dimensions")


def gated_states(x, W_c, W_h, W_x, h0=None):
    """h[1], …, h[K] of the gated network as columns of a matrix (m, K)."""
    h, states = torch.zeros(len(W_h), 1, dtype=x.dtype) if h0 is None else h0, []
    for t in range(x.shape[1]):
        c = torch.sigmoid(W_c @ x[:, t : t + 1] + W_h @ h)
        h = c * h + (1 - c) * (W_x @ x[:, t : t + 1])
        states.append(h)
    return torch.cat(states, dim=1)


def check_gated_jacobian(student, reference, draw, position, name, function):
    asked = Asked(student, reference, "gated_jacobians")
    one, another, third = distinct(draw, 3)
    for n, m in ((one, another), (third, 1), (1, one)):
        x, h, W_c, W_h, W_x = (draw.normal(*shape) for shape in ((n, 1), (m, 1), (m, n), (m, m), (m, n)))
        right = jacobian(lambda h, given=(x, W_c, W_h, W_x): function(*given, h), h).reshape(m, m)

        def judge(answer, right=right):
            pair = isinstance(answer, tuple | list) and len(answer) == 2
            assert pair, "gated_jacobians should return a tuple of two matrices"
            same(answer[position], right, name)

        asked.judge(judge, x, h, W_c, W_h, W_x)
    asked.check()


@earns("gated-jacobians")
def test_jacobian_of_the_gate(student, reference, draw):
    """∂c[t]/∂h[t−1] agrees with autograd, for states of several sizes and of one number."""

    def gate(x, W_c, W_h, W_x, h):
        return torch.sigmoid(W_c @ x + W_h @ h)

    check_gated_jacobian(student, reference, draw, 0, "∂c[t]/∂h[t−1]", gate)


@earns("gated-jacobians")
def test_jacobian_of_the_state(student, reference, draw):
    """∂h[t]/∂h[t−1] agrees with autograd, for states of several sizes and of one number."""
    check_gated_jacobian(student, reference, draw, 1, "∂h[t]/∂h[t−1]", gated_states)


@earns("gated-gradient")
def test_gradient_of_one_step(student, reference, draw):
    """For a sequence of one step ∂ℓ/∂W_x agrees with autograd."""
    n, m = distinct(draw, 2)
    asked = Asked(student, reference, "gated_gradient", ["gated_jacobians"])
    expect_gated_gradient(asked, draw, n, m, 1)
    asked.check()


@earns("gated-gradient", weight=2)
def test_gradient_through_time(student, reference, draw):
    """For longer sequences ∂ℓ/∂W_x agrees with autograd, whichever states the loss looks at."""
    asked = Asked(student, reference, "gated_gradient", ["gated_jacobians"])
    n, m = distinct(draw, 2)
    expect_gated_gradient(asked, draw, n, m, draw.size(3, 6))
    expect_gated_gradient(asked, draw, n, 1, 2)
    expect_gated_gradient(asked, draw, m, m, 3, last_only=True)
    asked.check()


def expect_gated_gradient(asked, draw, n, m, K, last_only=False):
    x, W_c, W_h, W_x, r = (draw.normal(*shape) for shape in ((n, K), (m, n), (m, m), (m, n), (K, m)))
    if last_only:
        r[:-1] = 0
    leaf = W_x.clone().requires_grad_()
    (right,) = torch.autograd.grad((r.T * gated_states(x, W_c, W_h, leaf)).sum(), leaf)
    steps = "1 step" if K == 1 else f"{K} steps"
    case = "only the last state counts" if last_only else "every state counts"
    asked.expect(right.T, f"∂ℓ/∂W_x over {steps}, where {case}", x, W_c, W_h, W_x, r, sizes={"K": K, "n": n, "m": m})


def past_of(network, K, function):
    """The largest singular value of ∂h[K]/∂h[0] for what a student's function returns."""
    name = f"what {function} returns for K = {K}"
    assert isinstance(network, tuple | list) and len(network) == 4, f"{name} should be a tuple x, W_c, W_h, W_x"
    try:
        x, W_c, W_h, W_x = (torch.as_tensor(part, dtype=torch.double).detach() for part in network)
    except (TypeError, ValueError, RuntimeError):
        raise AssertionError(f"{name} should be four matrices of numbers") from None
    assert all(part.ndim == 2 for part in (x, W_c, W_h, W_x)), f"{name} should be four matrices"
    m, n = W_c.shape
    fitting = x.shape == (n, K) and W_h.shape == (m, m) and W_x.shape == (m, n) and min(m, n) > 0
    assert fitting, f"{name} does not fit together as x (n, K), W_c (m, n), W_h (m, m), W_x (m, n)"
    assert all(part.isfinite().all() for part in (x, W_c, W_h, W_x)), f"{name} has entries that are not finite"
    steps = torch.eye(m, dtype=torch.double)
    h = torch.zeros(m, 1, dtype=torch.double)
    for t in range(K):  # the product of the steps' Jacobians, each by autograd
        now = x[:, t : t + 1]
        steps = jacobian(lambda h, now=now: gated_states(now, W_c, W_h, W_x, h), h).reshape(m, m) @ steps
        h = gated_states(now, W_c, W_h, W_x, h)
    assert steps.isfinite().all(), f"{function}: ∂h[K]/∂h[0] overflows for K = {K}"
    return float(torch.linalg.matrix_norm(steps, 2))


@earns("extremes")
def test_fading_and_carrying(student):
    """For every K from 1 to 12, s is at most 0.9^K in fading and near 1 in carrying."""
    fading, carrying = student.fading, student.carrying
    for K, fades, carries in [(K, fading(K), carrying(K)) for K in range(1, 13)]:
        assert past_of(fades, K, "fading") <= 0.9**K * 1.001, f"fading: s is larger than 0.9^K for K = {K}"
        assert 0.9 <= past_of(carries, K, "carrying") <= 1.1, f"carrying: s is not near 1 for K = {K}"


@earns("extremes")
def test_exploding(student):
    """For every K from 1 to 12, s is at least 2^K in exploding."""
    exploding = student.exploding
    for K, explodes in [(K, exploding(K)) for K in range(1, 13)]:
        assert past_of(explodes, K, "exploding") >= 2.0**K * 0.999, f"exploding: s is less than 2^K for K = {K}"


# ---------------------------------------------------------------------------------------------- attention


def attention_network(draw, k, n, m, d):
    """x, history, Q, K, V of an AttentionRNN(k), with weights so small that a is not one-hot."""
    Q, K = ([draw.normal(d, n) / 2, *(draw.normal(d, m) / 2 for _ in range(k))] for _ in "QK")
    V = [draw.normal(m, n), *(draw.normal(m, m) for _ in range(k))]
    return draw.normal(n, 1), [draw.normal(m, 1) for _ in range(k)], Q, K, V


def attention_state(x, history, Q, K, V):
    """h[t] as the notebook defines it, with w as a quadratic form."""
    sources = [x, *history]
    w = torch.stack([(s.T @ Q[i].T @ K[i] @ s).reshape(()) for i, s in enumerate(sources)])
    return sum(a * V[i] @ sources[i] for i, a in enumerate(functional.softmax(w, dim=0)))


@earns("attention-step")
def test_attention_dimensions(student, draw):
    """All five dimensions of AttentionRNN(2) are right."""
    function, tools = student.attention_dimensions, HARNESS.beside(student)
    cases = [distinct(draw, 3) for _ in range(2)]
    for (n, m, d), answer in [(case, tools.sizes(function, *case)) for case in cases]:
        right = {"a": (3, 1), "Q0": (d, n), "Q1": (d, m), "V0": (m, n), "V1": (m, m)}
        check_dimensions(answer, right, "attention_dimensions")


@earns("attention-step", weight=2)
def test_attention_step(student, reference, draw):
    """One step of AttentionRNN(k) is right, for several k, and for vectors of a single number."""
    asked = Asked(student, reference, "attention_step")
    for k, sizes in (
        (2, distinct(draw, 3)),
        (1, distinct(draw, 3)),
        (draw.size(3, 6), distinct(draw, 3)),
        (2, [1] * 3),
    ):
        network = attention_network(draw, k, *sizes)
        asked.expect(attention_state(*network), f"h[t] with k = {k}", *network)
    asked.check()


@earns("attention-all")
def test_attention_parameters(student, draw):
    """attention_parameters counts the entries of all matrices, tied or not."""
    function, cases = student.attention_parameters, []
    for k in (1, draw.size(2, 9)):
        n, m, d = distinct(draw, 3)
        own, distance = 2 * d * n + m * n, 2 * d * m + m * m
        for tied, right in (((), own + k * distance), ((False,), own + k * distance), ((True,), own + distance)):
            case = f"n = {n}, m = {m}, d = {d}, k = {k}, {'tied' if True in tied else 'not tied'}"
            cases.append((function(n, m, d, k, *tied), right, case))
    for count, right, case in cases:
        count = number(count, "the number of parameters")
        assert count == right, f"the number of parameters is not right for {case}"


@earns("attention-all")
def test_tied_attention_step(student, reference, draw):
    """One step of the tied network is right for a past of any length, and does not depend on its order."""
    asked = Asked(student, reference, "tied_attention_step", ["attention_step"])
    for past in (draw.size(3, 7), 1, 0):
        x, history, Q, K, V = attention_network(draw, max(past, 1), *distinct(draw, 3))
        history, tied = history[:past], (Q[0], K[0], V[0], Q[1], K[1], V[1])
        full = [[first, *[second] * past] for first, second in (Q[:2], K[:2], V[:2])]
        right = attention_state(x, history, *full)
        after = counted(history, "state", "states")
        asked.expect(right, f"h[t] after {after}", x, history, *tied)
        asked.expect(right, f"h[t] after {after} in reverse", x, history[::-1], *tied)
    asked.check()


@earns("attention-jacobian")
def test_attention_jacobian_of_the_last_state(student, reference, draw):
    """∂h[t]/∂h[t−1] agrees with autograd, in AttentionRNN(2) and in AttentionRNN(1)."""
    asked = Asked(student, reference, "attention_jacobian", ["attention_step", "tied_attention_step"])
    for k, sizes in ((2, distinct(draw, 3)), (1, distinct(draw, 3)), (2, [2, 1, 3]), (1, [2, 3, 1])):
        network = attention_network(draw, k, *sizes)
        asked.expect(measured_arrow(*network, 1), f"∂h[t]/∂h[t−1] with k = {k}", *network, 1)
    asked.check()


@earns("attention-jacobian")
def test_attention_jacobian_of_older_states(student, reference, draw):
    """∂h[t]/∂h[t−j] in AttentionRNN(k) agrees with autograd for j > 1."""
    asked = Asked(student, reference, "attention_jacobian", ["attention_step", "tied_attention_step"])
    k = draw.size(4, 6)
    for j in (2, k):
        network = attention_network(draw, k, *distinct(draw, 3))
        asked.expect(measured_arrow(*network, j), f"∂h[t]/∂h[t−{j}] with k = {k}", *network, j)
    asked.check()


def measured_arrow(x, history, Q, K, V, j):
    """∂h[t]/∂h[t−j] by autograd, all the other states held fixed."""

    def new_state(h):
        return attention_state(x, [*history[: j - 1], h, *history[j:]], Q, K, V)

    m = len(history[0])
    return jacobian(new_state, history[j - 1].detach()).reshape(m, m)


@earns("attention-backward")
def test_attention_backward(student, reference, draw):
    """The gradients by all states agree with autograd, near the end of the sequence as well."""
    asked = Asked(student, reference, "attention_backward")
    for k, L in ((2, draw.size(5, 7)), (2, 1), (3, 2), (draw.size(3, 4), draw.size(5, 6))):
        m = draw.size(2, 6)
        r = draw.normal(L, m)
        arrows = {(t, t - i): draw.normal(m, m) for t in range(1, L + 1) for i in range(1, min(k, t - 1) + 1)}
        # states that depend on each other by these Jacobians, in float64 because large terms may cancel
        states = []
        for t in range(1, L + 1):
            state = torch.zeros(m, dtype=torch.double, requires_grad=True)
            states.append(state + sum(arrows[t, s].double() @ states[s - 1] for s in range(1, t) if (t, s) in arrows))
            states[-1].retain_grad()
        (r.double() * torch.stack(states)).sum().backward()
        right = torch.stack([h.grad for h in states])
        order = torch.randperm(len(arrows), generator=draw.generator).tolist()
        mixed = {arrow: arrows[arrow] for arrow in (list(arrows)[place] for place in order)}
        steps = "1 step" if L == 1 else f"{L} steps"
        asked.expect(right, f"the gradients of a run of {steps} with k = {k}", r, mixed)
    asked.check()


@earns("reach")
def test_reach_prediction(student):
    """The prediction is one of the three letters; any of them earns the point."""
    assert one_letter(student.reach_prediction, "ABC"), "reach_prediction should be one of the letters A, B and C"


# ---------------------------------------------------------------------------------------------- debugging


def one_letter(answer, letters):
    """The letter that was chosen, or an empty string."""
    letter = str(answer).strip().upper()
    return letter if len(letter) == 1 and letter in letters else ""


@earns("evidence")
def test_growth_through_time(student, reference, draw):
    """growth_through_time is the ratio of the two lengths, for several sizes of batch and state."""
    asked = Asked(student, reference, "growth_through_time")
    for B, m in ((draw.size(3, 6), draw.size(2, 4)), (1, draw.size(5, 7)), (draw.size(2, 4), 1)):
        early, late = draw.normal(B, 2 * m) * draw.uniform(1, low=2, high=9), draw.normal(B, m)
        right = torch.sqrt(torch.sum(early**2) / torch.sum(late**2))
        asked.judge(lambda answer, right=right: same(single(answer, "the growth"), right, "the growth"), early, late)
    asked.check()


@earns("evidence")
def test_step_times_curvature(student, reference, draw):
    """step_times_curvature agrees with known parabolas, for steps that end lower and for steps that end higher."""
    asked = Asked(student, reference, "step_times_curvature")
    for low, high in ((-1.5, -0.2), (0.2, 0.9), (1.1, 1.9), (2.2, 6.0)):
        product, before, rate, length = (
            float(draw.uniform(1, low=a, high=b)) for a, b in ((low, high), (1, 2), (0.3, 0.9), (1, 3))
        )
        after = before - rate * length**2 + product / 2 * rate * length**2  # a parabola of this curvature

        def judge(answer, right=product):
            same(single(answer, "step times curvature"), torch.tensor(right), "step times curvature")

        asked.judge(judge, before, after, rate, length)
    asked.check()


def single(answer, name):
    """One finite number as a tensor without axes, whether it came as a number, an array or a tensor."""
    found = number(answer, name)
    assert math.isfinite(found), f"{name} should be a finite number"
    return torch.tensor(found)


@earns("kinks")
def test_kink_cause(student):
    """kink_cause names the cause that both measurements point to."""
    letter = one_letter(student.kink_cause, "ABCDEF")
    assert letter, "kink_cause should be one of the letters A to F"
    assert letter == "E", "kink_cause: this cause does not fit the two measurements or the text"


@earns("kinks")
def test_spike_reason(student):
    """spike_reason explains why a spike can exceed the first loss."""
    letter = one_letter(student.spike_reason, "ABCD")
    assert letter, "spike_reason should be one of the letters A to D"
    assert letter == "B", "spike_reason: this would not explain a loss above the first one"


@earns("kinks")
def test_fixes(student):
    """fixes names every change of the training procedure that removes the cause, and nothing else."""
    found = HARNESS.beside(student).members(student.run("lambda: fixes"))
    assert isinstance(found, list), "fixes should be a set of letters"
    fixes = {str(letter).strip().upper() for letter in found}
    assert all(len(letter) == 1 and letter.isalpha() for letter in fixes), "fixes should be a set of single letters"
    assert fixes - {"A", "C", "E"} == set(), "fixes: some of it leaves the cause, or changes more than the training"
    assert fixes == {"A", "C", "E"}, f"fixes: what you name is right, and {3 - len(fixes)} more can be found"


@earns("kinks")
def test_initial_values(student):
    """initial_accuracy and initial_loss follow from the number of classes."""
    right = {"initial_accuracy": 1 / 4, "initial_loss": math.log(4)}
    values = {name: number(getattr(student, name), name) for name in right}
    wrong = [name for name in right if not math.isclose(values[name], right[name], rel_tol=1e-2)]
    assert not wrong, f"{' and '.join(wrong)} {'does' if len(wrong) == 1 else 'do'} not follow from the task"
