# Objects that are called, closures and lambdas; results in float64; sizes as named tuples.
# ruff: noqa: F821, E731 (the other names are those of the notebook; a lambda may have a name)


# %% nbgrader={"grade_id": "conv-output-shape-code", "solution": true}
import functools
from typing import NamedTuple

### BEGIN SOLUTION
# parameter: kernel_height; kernel_width; image_height; image_width
first_shape = torch.tensor([17 - 3, 11 - 5]) // 2 + 1
### END SOLUTION


### BEGIN SOLUTION
class Axis(NamedTuple):
    size: int
    kernel: int

    def __call__(self, padding, stride, dilation):
        reach = dilation * (self.kernel - 1)
        return sum(1 for first in range(-padding, self.size + padding - reach, stride))


def conv_output_shape(C, H, W, HK, WK, P, S, D, F):
    return torch.Size([F, Axis(H, HK)(P, S, D), Axis(W, WK)(P, S, D)])


### END SOLUTION


# %% nbgrader={"grade_id": "convolution-code", "solution": true}
### BEGIN SOLUTION
class Slide:
    """A filter that slides over a sequence, in one direction or in the other."""

    def __init__(self, backwards):
        self.backwards = backwards

    def taps(self, W):
        return W.double().flip(2) if self.backwards else W.double()

    def __call__(self, x, W, stride=2):
        k, N = W.shape[2], x.shape[1]
        x, total = x.double(), 0
        for j in range(k):  # column j of the filter meets these steps, one for each window
            total = total + self.taps(W)[0, :, j] @ x[:, j : N - k + j + 1 : stride]
        return total.unsqueeze(1)


cross_correlation, convolution = Slide(False), Slide(backwards=True)
### END SOLUTION


# %% nbgrader={"grade_id": "jacobians-code", "solution": true}
### BEGIN SOLUTION
def windows(N, k, stride, matrix):
    """Which step (row of the result) is met by which tap: window r, tap j."""
    return matrix[:, torch.arange(0, N - k + 1, stride)[:, None] + torch.arange(k)]


jacobian_by_weights = lambda x, k, stride=2: torch.movedim(windows(x.shape[1], k, stride, x), 0, 1).flatten(1).double()
### END SOLUTION


def jacobian_by_input(W, N, stride=2, *, verbose=False):
    ### BEGIN SOLUTION
    if verbose:
        print("rows:", (N - W.shape[2]) // stride + 1)
    picks = windows(N, W.shape[2], stride, torch.eye(N, dtype=W.dtype))  # (N, R, k)
    return torch.einsum("cj,nrj->rcn", W[0], picks).flatten(1)
    ### END SOLUTION


def gradient_by_weights(x, dl_df, k, stride=2, **options):
    ### BEGIN SOLUTION
    J = jacobian_by_weights(x, k, stride=stride)
    return torch.mm(dl_df.to(J.dtype), J, **options)
    ### END SOLUTION


# %% nbgrader={"grade_id": "unrolled-code", "solution": true}
def unrolled_edges(T):
    ### BEGIN SOLUTION
    at = lambda letter, t: f"{letter}{t}"
    sources = lambda t: {"c": [at("x", t), at("h", t - 1)], "h": [at("c", t), at("h", t - 1), at("x", t)]}
    steps = range(1, T + 1)
    return [(source, at(letter, t)) for t in steps for letter, found in sources(t).items() for source in found]
    ### END SOLUTION


def unrolled_places(T):
    ### BEGIN SOLUTION
    rise = {"x": (0.7, -4.0), "c": (0.0, -1.5), "h": (0.2, -0.5)}
    names = ["h0"] + [f"{letter}{t}" for letter in rise for t in range(1, T + 1)]
    return {name: torch.tensor([10.0 * int(name[1:]) + 3 * rise[name[0]][0], rise[name[0]][1]]) for name in names}
    ### END SOLUTION


def gated_dimensions(n, m):
    ### BEGIN SOLUTION
    x, h = torch.ones(n, 1), torch.ones(m, 1)
    weights = {"W_c": h @ x.T, "W_h": h @ h.T, "W_x": h @ x.T}
    return {name: tuple(matrix.shape) for name, matrix in weights.items()} | {"c": h.shape}
    ### END SOLUTION


# %% nbgrader={"grade_id": "gated-code", "solution": true}
### BEGIN SOLUTION
class Step:
    """One step of the gated network, in double precision."""

    def __init__(self, *given):
        self.x, self.h, self.W_c, self.W_h, self.W_x = (part.double() for part in given)
        self.c = torch.sigmoid(self.W_c @ self.x + self.W_h @ self.h)

    @functools.cached_property
    def gate(self):
        return torch.diag_embed((self.c * (1 - self.c)).T)[0] @ self.W_h

    @functools.cached_property
    def state(self):
        return torch.diag_embed(self.c.T)[0] + torch.diag_embed((self.h - self.W_x @ self.x).T)[0] @ self.gate


def gated_jacobians(x, h, W_c, W_h, W_x, only_state=False):
    step = Step(x, h, W_c, W_h, W_x)
    return step.state if only_state else [step.gate, step.state]


### END SOLUTION


def gated_gradient(x, W_c, W_h, W_x, r):
    ### BEGIN SOLUTION
    def contribution(t, coming):
        """What the times up to t add, when `coming` is the gradient that reaches h[t] from later ones."""
        if t == 0:
            return 0.0
        delta, now = r[t - 1 : t].double() + coming, x[:, t - 1 : t]
        earlier = contribution(t - 1, delta @ gated_jacobians(now, hs[t - 1], W_c, W_h, W_x, only_state=True))
        return earlier + now.double() @ (delta * (1 - cs[t - 1].double().T))

    cs, hs = gated_rnn(x, W_c, W_h, W_x)
    return contribution(len(r), 0.0)
    ### END SOLUTION


# %% nbgrader={"grade_id": "extremes-code", "solution": true}
### BEGIN SOLUTION
class Network:
    def __init__(self, gate, m):
        self.gate, self.m = gate, m

    def __call__(self, K):
        zeros = torch.zeros(self.m, self.m, dtype=torch.double)
        return torch.ones(3, K).double(), torch.full((self.m, 3), self.gate).double(), zeros, torch.ones(self.m, 3)


fading, carrying = Network(-4, m=2), Network(7, m=5)


def exploding(K):
    # two states that stay at 0 together; the gate is ½, and the candidates alternate, for the states to stay small
    signs = torch.tensor([2.0 * (-1) ** t for t in range(K)])
    h, speak = 0.0, []
    for candidate in signs.tolist():
        speak.append(-50.0 * h)
        h = (h + candidate) / 2
    x = torch.stack([torch.tensor(speak), signs])
    return x, torch.tensor([[1.0, 0.0]] * 2), 50.0 * torch.eye(2), torch.tensor([[0.0, 1.0]] * 2)


### END SOLUTION


# %% nbgrader={"grade_id": "attention-code", "solution": true}
def attention_dimensions(n, m, d):
    """Rows and columns in AttentionRNN(2): a dictionary from "a", "Q0", "Q1", "V0", "V1" to pairs of int."""
    ### BEGIN SOLUTION
    return {"a": (3, 1), "Q0": (d, n), "Q1": (d, m), "V0": (m, n), "V1": (m, m)}
    ### END SOLUTION


### BEGIN SOLUTION
class Looking:
    """What one step of attention looks at: the weights and the values, in double precision."""

    def __init__(self, sources, Q, K, V):
        sources, Q, K, V = ([part.double() for part in parts] for parts in (sources, Q, K, V))
        self.w = torch.stack([torch.dot((q @ s)[:, 0], (k @ s)[:, 0]) for q, k, s in zip(Q, K, sources, strict=False)])
        self.v = torch.hstack([v @ s for v, s in zip(V, sources, strict=False)])
        self.a = torch.exp(torch.log_softmax(self.w, dim=-1))


def attention_step(x, history, Q, K, V):
    looking = Looking((x, *history), Q, K, V)
    return looking.v.mv(looking.a).view(-1, 1)


### END SOLUTION


### BEGIN SOLUTION
def attention_parameters(n, m, d, k, tied=False):
    numbers_of = lambda length: torch.tensor([d, d, m]).sum() * length
    return numbers_of(n) + (k, 1)[bool(tied)] * numbers_of(m)


class Tied:
    def __call__(self, x, history, Q0, K0, V0, Q, K, V):
        own, far = (Q0, K0, V0), (Q, K, V)
        both = [[a] + [b for _ in history] for a, b in zip(own, far, strict=True)]
        looking = Looking([x, *history], *both)
        return (looking.a * looking.v).sum(1, keepdim=True)


tied_attention_step = Tied()
### END SOLUTION


# %% nbgrader={"grade_id": "attention-jacobian-code", "solution": true}
def attention_jacobian(x, history, Q, K, V, j):
    ### BEGIN SOLUTION
    looking, s = Looking([x, *history], Q, K, V), history[j - 1].double()
    A = Q[j].double().T @ K[j].double()
    unit = torch.eye(len(looking.a), dtype=torch.double)[j]
    by_weight = looking.v @ (looking.a[j] * (unit - looking.a))
    return looking.a[j] * V[j].double() + torch.outer(by_weight, ((A + A.T) @ s)[:, 0])
    ### END SOLUTION


def attention_backward(r, J):
    ### BEGIN SOLUTION
    # every road from a state on, arrow by arrow, until no road goes on
    L = len(r)
    roads = {
        (t, t): torch.eye(r.shape[1], dtype=torch.double) for t in range(1, L + 1)
    }  # (end, start): sum of products
    for end in range(1, L + 1):
        for start in range(end - 1, 0, -1):
            steps = [roads[end, t] @ J[t, start].double() for t in range(start + 1, end + 1) if (t, start) in J]
            roads[end, start] = sum(steps, torch.zeros_like(roads[1, 1]))
    return torch.stack([sum(r[t - 1].double() @ roads[t, s] for t in range(s, L + 1)) for s in range(1, L + 1)])
    ### END SOLUTION


# %% nbgrader={"grade_id": "kinks-code", "solution": true}
# kink_cause = "…"
### BEGIN SOLUTION
kink_cause = "E"
### END SOLUTION


# spike_reason = "…"
### BEGIN SOLUTION
spike_reason = "B"
### END SOLUTION


### BEGIN SOLUTION
fixes = frozenset("ACE")
### END SOLUTION


### BEGIN SOLUTION
initial_accuracy = torch.tensor(0.25)
initial_loss = torch.nn.functional.cross_entropy(torch.zeros(1, 4), torch.tensor([2]))
### END SOLUTION


# %% nbgrader={"grade_id": "evidence-code", "solution": true}
### BEGIN SOLUTION
class Ratio:
    def __call__(self, early, late):
        return torch.sqrt((early.double() ** 2).sum() / (late.double() ** 2).sum())


growth_through_time = Ratio()
step_times_curvature = lambda before, after, rate, length: 2 - 2 * (before - after) / (rate * length * length)
### END SOLUTION


# %% nbgrader={"grade_id": "reach-code", "solution": true}
### BEGIN SOLUTION
reach_prediction = "B"
### END SOLUTION
