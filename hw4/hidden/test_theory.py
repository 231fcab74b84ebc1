"""Hidden tests of hw4/theory: what a student's matrices do, and formulas against autograd, counting and PyTorch."""

import inspect
import math
from functools import partial

import numpy as np
import torch
from torch.autograd.functional import jacobian
from torch.nn import functional

from autograder import Harness, StudentError, close, earns, shape_told

HARNESS = Harness(__file__)


def kind(thing):
    """What a student returned, in words."""
    return "nothing (None)" if thing is None else f"of type {type(thing).__name__}"


def tensor(thing, name, what):
    """What a student returned as a tensor of float64: a tensor, an array, a number or nested lists."""
    try:
        return torch.as_tensor(thing, dtype=torch.double).detach()
    except (TypeError, ValueError, RuntimeError):
        raise AssertionError(f"{name} should be {what}, but it is {kind(thing)}") from None


def matrix(thing, name, *shape):
    """What a student returned as a matrix of float64; sizes that are None are theirs to choose."""
    found = tensor(thing, name, "a matrix" if len(shape) == 2 else "an array")
    fits = len(found.shape) == len(shape) and all(
        want is None or have == want for have, want in zip(found.shape, shape, strict=True)
    )
    wanted = " × ".join("any" if want is None else str(want) for want in shape)
    told = shape_told(found.shape, [want for want in shape if want is not None])
    assert fits, f"{name}: the shape is {told}; it should be {wanted}"
    assert found.isfinite().all(), f"{name} has entries that are infinite or not a number"
    return found


def number(thing, name):
    """What a student returned as a single number."""
    found = tensor(thing, name, "a number")
    assert found.numel() == 1, f"{name} should be a single number; its shape is {shape_told(found.shape, ())}"
    assert not found.isnan(), f"{name} is not a number (nan)"
    return found.item()


def whole(thing, name):
    """What a student returned as a whole number; 4.0 is one, too."""
    found = number(thing, name)
    assert found.is_integer(), f"{name} should be a whole number"
    return int(found)


def tuple_of(thing, count, name):
    """A tuple or list of so many things; an array counts by its rows."""
    if isinstance(thing, torch.Tensor | np.ndarray) and thing.ndim:
        thing = list(thing)
    assert isinstance(thing, tuple | list), f"{name} should be a tuple of {count}, but it is {kind(thing)}"
    assert len(thing) == count, f"{name} should be a tuple of {count}, but it has length {len(thing)}"
    return tuple(thing)


def dictionary(thing, names, function):
    """A dictionary with all these names."""
    assert isinstance(thing, dict), f"{function} should return a dictionary, but what it returns is {kind(thing)}"
    missing = [name for name in names if name not in thing]
    assert not missing, f"{function}: there is no entry for {missing[0]!r}"
    return thing


def asked(student, reference, name, function=None, exact=False):
    """A function of the student's. A call asserts that it leaves its arguments as they were."""
    call = HARNESS.beside(student).watched(getattr(student, name) if function is None else function, exact)
    names = list(inspect.signature(getattr(reference, name)).parameters)

    def ask(*given):
        result, changed = call(*given)
        assert not changed, f"{name} changes its argument {names[changed[0]]}; it should leave it as it is"
        return result

    return ask


def follow_through(check, student, reference, name, earlier, part, lends):
    """Check a function, and if that fails once more with a right `earlier` one, from an exercise before.

    part(tools): the right one, in the student's process
    lends: the name of what this takes of the harness; no other right part is sent
    """
    try:
        check(asked(student, reference, name))
    except (AssertionError, StudentError):
        tools = HARNESS.lending(student, lends)
        check(asked(student, reference, name, tools.lent(getattr(student, name), earlier, part(tools))))


def softargmax(scores, beta=1.0):
    return functional.softmax(beta * scores, dim=0)


def attend(Q, K, V, beta=None, allowed=None):
    """H in float64: by definition, with β = 1/√d where none is given."""
    scores = K.double().T @ Q.double() * (1 / math.sqrt(len(Q)) if beta is None else beta)
    if allowed is not None:
        scores = scores.masked_fill(~allowed, -math.inf)
    return V.double() @ softargmax(scores)


def run_head(X, head, name, out, allowed=None):
    """Self-attention of a student's head, W_Q, W_K and W_V, on the columns of X; out is the size of a value."""
    W_Q, W_K, W_V = tuple_of(head, 3, name)
    W_Q = matrix(W_Q, f"{name}: W_Q", None, len(X))
    W_K = matrix(W_K, f"{name}: W_K", len(W_Q), len(X))
    X = X.double()
    return attend(W_Q @ X, W_K @ X, matrix(W_V, f"{name}: W_V", out, len(X)) @ X, allowed=allowed)


def within(actual, expected, far, sentence, slips=()):
    """Assert that two matrices agree up to `far` in every entry.

    slips: pairs of words and of what would be returned; the words are said where just this was returned
    """
    error = float((actual - expected).abs().max()) if actual.numel() else 0.0
    if not error <= far:  # also where it is nan
        for words, other in slips:
            assert float((actual - other).abs().max()) > far, f"{sentence}: {words}"
        raise AssertionError(f"{sentence}: off by {'a little' if error < 10 * far else 'a lot'}")


def sizes(draw, count):
    """Sizes from 2 on, all different, so that no two axes can be confused."""
    return (torch.randperm(count + 2, generator=draw.generator)[:count] + 2).tolist()


def shapes_are(answer, right, function, case):
    """Assert that rows and columns of all matrices are right, by name."""
    answer = dictionary(answer, right, function)
    for name, shape in right.items():
        found = tuple(whole(size, f"a size of {name}") for size in tuple_of(answer[name], 2, f"the shape of {name}"))
        assert found == shape, f"{case}: you say {name} is {found[0]} × {found[1]}, which is not right"


def multiplications(*products):
    """Of matrix products, each given by the sizes r, c, w of (r × c)(c × w)."""
    return sum(math.prod(product) for product in products)


# ---------------------------------------------------------------------------------------------- attention


def check_weights(A, right, name):
    """The weights A (m, n) are right; if they are not, say which of their sums should be 1."""
    found = matrix(A, name, *right.shape)
    if not torch.allclose(found.sum(0), torch.ones(right.shape[1]).double(), atol=1e-3):
        rows = torch.allclose(found.sum(1), torch.ones(len(right)).double(), atol=1e-3)
        raise AssertionError(f"{name}: each column should add up to 1; " + ("your rows do" if rows else "yours do not"))
    close(found, right, name, atol=1e-5)


@earns("attention", weight=2)
def test_attention(student, reference, draw):
    """H and A are right for all sizes and β, and for the convenient β."""
    function = asked(student, reference, "attention")
    for beta in (draw.size(1, 9) / 10, draw.size(11, 30) / 10, None, 0.0):
        apart = torch.tensor([3, 5, 6, 7])[torch.randperm(4, generator=draw.generator)].tolist()
        for d, n, m, t in (apart, sizes(draw, 4), (1, 1, 3, 2), (3, 2, 1, 1)):
            Q, K, V = draw.normal(d, n), draw.normal(d, m), draw.normal(t, m)
            answer = function(Q, K, V) if beta is None else function(Q, K, V, beta)
            H, A = tuple_of(answer, 2, "what attention returns")
            case = f"n = {n}, m = {m}, d = {d}, " + ("β left out" if beta is None else f"β = {beta}")
            check_weights(A, attend(Q, K, torch.eye(m), beta), f"A ({case})")
            named = {"d": d, "n": n, "m": m}
            close(matrix(H, f"H ({case})", t, n), attend(Q, K, V, beta), f"H ({case})", atol=1e-5, sizes=named)


@earns("attention")
def test_attention_shapes(student, reference, draw):
    """Rows and columns of A and H are right."""
    function = asked(student, reference, "attention_shapes")
    for _ in range(2):
        d, t, n, m = sizes(draw, 4)
        shapes_are(
            function(d, t, n, m), {"A": (m, n), "H": (t, n)}, "attention_shapes", f"d = {d}, t = {t}, n = {n}, m = {m}"
        )


@earns("attention")
def test_beta_for_share(student, reference, draw):
    """With your β the leading key gets the share that was asked for."""
    function = asked(student, reference, "beta_for_share")
    cases = []
    for m, gap in (2, 0.5), (draw.size(3, 9), draw.size(2, 40) / 10), (100, 3.0):
        cases.append((gap, m, 1 / m + (1 - 1 / m) * draw.size(5, 95) / 100))
    cases += [(0.05, 4, 0.99), (0.08, 7, 0.995)]  # which take a large β
    for (gap, m, share), answer in [(case, function(*case)) for case in cases]:
        beta, scores = number(answer, "β"), torch.zeros(m, 1, dtype=torch.double)
        scores[0] = gap
        found = float(softargmax(scores, beta)[0])
        case = f"m = {m}, gap {gap}, share {share:.3f}"
        assert abs(found - share) < 1e-3, f"{case}: with your β the share is {'larger' if found > share else 'smaller'}"


def keys_of_length_one(draw, d, m, near):
    """Random keys (d, m) of which the first and the last are `near` each other, and no two are nearer."""
    while True:
        K = functional.normalize(draw.normal(d, m), dim=0)
        across = draw.normal(d)
        across = functional.normalize(across - K[:, 0] * (K[:, 0] @ across), dim=0)
        K[:, -1] = functional.normalize(K[:, 0] + near * across, dim=0)
        cosines = K.T @ K - 2 * torch.eye(m)
        cosines[0, -1] = cosines[-1, 0] = -1
        if cosines.max() < 0.9:
            return K


def keys_around(draw, m, j):
    """Keys (m, m) of length 1 that are all near key j, and all at the same angle."""
    others = [i for i in range(m) if i != j]
    K = torch.zeros(m, m)
    K[0] = 1.0
    K[list(range(1, m)), others] = 0.3
    return functional.normalize(K[torch.randperm(m, generator=draw.generator)], dim=0)


def check_columns(student, reference, name, cases):
    """Each query is a column as long as a key, and the call leaves alone what it is given."""
    function = asked(student, reference, name, exact=True)
    for K, which, beta in cases:
        matrix(function(K, which, beta), "q", len(K), 1)


@earns("queries")
def test_preserving_query(student, reference, draw):
    """The query gives key j a weight of at least 0.999, for large and small β and for near and far keys."""
    cases, names = [], []
    for beta in (0.05, 1.0, draw.size(2, 9) / 2):
        m, middle = draw.size(10, 14), draw.size(3, 6)
        for K, j, which in (
            (keys_of_length_one(draw, draw.size(4, 8), 6, 0.3), 0, "random keys"),
            (keys_of_length_one(draw, draw.size(4, 8), 5, 0.07), 4, "keys of which two are very near each other"),
            (keys_of_length_one(draw, draw.size(4, 8), 5, 0.07).roll(2, 1), 1, "keys of which two are very near"),
            (keys_around(draw, m, middle), middle, "keys that are all equally near it"),
            (torch.tensor([[1.0, -1.0]]), 1, "keys with d = 1"),
            (torch.eye(60), draw.size(0, 59), "keys at right angles"),
        ):
            cases.append((K, j, beta))
            names.append(f"β = {beta}, {K.shape[1]} {which}")
    weights = HARNESS.lending(student, "preserved").preserved(student.preserving_query, cases)
    if weights is None:
        check_columns(student, reference, "preserving_query", cases)
    assert not isinstance(weights, str), f"the weight of key j is below 0.999; {weights}"
    weights = [number(weight, "a weight") for weight in tuple_of(weights, len(cases), "the weights")]
    for weight, (_, j, _), case in zip(weights, cases, names, strict=True):
        assert 0.99899 <= weight <= 1.0001, f"{case}: the weight of key {j} is not between 0.999 and 1"


def orthonormal(draw, m):
    """Keys (d, m) that are orthonormal without any rounding: columns of a Hadamard matrix, signs and order drawn."""
    H = torch.ones(1, 1)
    while len(H) < m:
        H = torch.cat([torch.cat([H, H], dim=1), torch.cat([H, -H], dim=1)])
        H = torch.cat([torch.cat([H, H], dim=1), torch.cat([H, -H], dim=1)])  # 4, 16: their roots are whole
    d = len(H)
    signs = 2 * draw.bernoulli(d, 1) - 1
    return signs * H[:, torch.randperm(d, generator=draw.generator)[:m]] / math.isqrt(d)


@earns("queries")
def test_diffusing_query(student, reference, draw):
    """The query shares the weight equally among the chosen keys: one, some or all of them."""
    cases = []
    for beta, m in ((0.001, 12), (1.0, draw.size(3, 6)), (draw.size(2, 9) / 2, draw.size(7, 12))):
        K = orthonormal(draw, m)
        counts = (1, draw.size((m + 1) // 2, m - 1), m)  # the more are chosen the weaker is a mean of their keys
        cases += [(K, torch.randperm(m, generator=draw.generator)[:count].tolist(), beta) for count in counts]
    many = draw.size(90, 120)  # the more keys there are the more must one of them lead by
    cases.append((orthonormal(draw, many), [draw.size(0, many - 1)], 1.0))
    found = HARNESS.lending(student, "diffused").diffused(student.diffusing_query, cases)
    if found is None:
        check_columns(student, reference, "diffusing_query", cases)
    assert not isinstance(found, str), f"the weights are not what they should be: {found}"
    for weights, (K, chosen, beta) in zip(tuple_of(found, len(cases), "the weights"), cases, strict=True):
        m = K.shape[1]
        right = torch.zeros(m)
        right[chosen] = 1 / len(chosen)
        case = f"β = {beta}, {len(chosen)} of {m} keys chosen: the weights are not what they should be"
        within(tensor(weights, "the weights", "a row").reshape(m), right.double(), 1.001e-3, case)


def worst_key_noise(q, K, V, beta, r):
    """The farthest that noise of length r on one key can move h: its score moves, the others keep their proportions."""
    q, V, worst = q.double(), V.double(), 0.0
    scores = beta * (K.double().T @ q)[:, 0]
    far = beta * r * float(q.norm())
    for j in range(len(scores)):
        rest = [i for i in range(len(scores)) if i != j]
        between = V[:, j] - V[:, rest] @ softargmax(scores[rest])
        lead = scores[j] - scores[rest].logsumexp(0)
        moves = torch.sigmoid(lead + torch.tensor([-far, far], dtype=torch.double)) - torch.sigmoid(lead)
        worst = max(worst, float(moves.abs().max() * between.norm()))
    return worst


def bad_query_noise(q, K, V, beta, r, draw):
    """How far noise of length r on the query moves h in the worst of many directions."""
    q, K, V = q.double(), K.double(), V.double()
    slope = jacobian(lambda q: attend(q, K, V, beta), q).reshape(len(V), len(q))
    pairs = (K[:, :, None] - K[:, None, :]).reshape(len(K), -1)
    ways = torch.cat([pairs, torch.linalg.svd(slope)[2].T, draw.normal(len(q), 50)], dim=1)
    ways = functional.normalize(torch.cat([ways, -ways], dim=1), dim=0)
    return float((attend(q + r * ways, K, V, beta) - attend(q, K, V, beta)).norm(dim=0).max())


def check_bound(function, name, bad_noise, case, q, K, V, beta, r):
    """The bound holds for these noises. Returns the share of it that they reach."""
    bound, found = number(function(q, K, V, beta, r), name), bad_noise(q, K, V, beta, r)
    far = f"{name}, {case}: noise of length {r:.3g} can move h farther than your bound"
    assert bound >= 0.999 * found - 1e-9, far
    return found / max(bound, 1e-12)


def check_noise_bound(function, name, bad_noise, lever, draw):
    """A bound holds for noise of all lengths, and is nearly reached for two keys with equal scores.

    lever(q, K): by how much noise of length 1 can shift the scores of these two keys against each other, before β
    """
    for r in (0.02, 0.5, 4.0, 30.0, None):
        d, m, t = sizes(draw, 3)
        q, K, V, beta = 2 * draw.normal(d, 1), draw.normal(d, m), draw.normal(t, m), draw.size(2, 20) / 10
        if r is None:  # one key has nearly all the weight, until the noise takes it away
            scores, leading = (K.T @ q)[:, 0].topk(2)
            q *= 12 / float(beta * (scores[0] - scores[1]))
            r = 30 / float(beta * lever(q, K[:, leading]))
        check_bound(function, name, bad_noise, "random keys and values", q, K, V, beta, r)
    for beta in (0.4, 2.5):
        d, t = sizes(draw, 2)
        q, first, across = draw.normal(d, 1), draw.normal(d, 1), draw.normal(d, 1)
        across -= q * (q * across).sum() / q.square().sum()  # the second key differs from the first across the query
        K, V = torch.cat([first, first + across], dim=1), 5 * draw.normal(t, 1) + draw.normal(t, 2)
        reached = check_bound(function, name, bad_noise, "two keys with equal scores", q, K, V, beta, 0.01)
        assert reached >= 0.95, f"{name}: for two keys with equal scores noise reaches less than 95 % of your bound"


def spread(draw, m, ends):
    """A line of m places from −1 to 1: two columns are the ends, all others lie between them."""
    places = draw.uniform(m, low=-0.7, high=0.7)
    places[list(ends)] = torch.tensor([-1.0, 1.0])
    return places


def check_special_keys(function, name, bad_noise, draw):
    """A bound holds where few or many keys and values make one line, or several of them are equal."""
    for m, ends in ((3, (0, 2)), (5, (1, 3)), (6, (4, 1))):
        d, t = sizes(draw, 2)
        q = functional.normalize(draw.normal(d, 1), dim=0)
        across = draw.normal(d, 1)
        across = functional.normalize(across - q * (q * across).sum(), dim=0)
        beta, half, places = draw.size(2, 20) / 10, draw.size(5, 20) / 10, spread(draw, m, ends)
        behind = torch.full((m,), 0.4)
        behind[list(ends)] = 0.0
        K = draw.normal(d, 1) + half * (across * places - q * behind)  # all but the ends have hardly any weight
        V = draw.normal(t, 1) + draw.normal(t, 1) * places
        q *= 75 / (beta * half)
        r = 1e-3 / beta / (2 * half if "query" in name else float(q.norm()))
        check_bound(function, name, bad_noise, "keys and values in a row", q, K, V, beta, r)
    d, t = sizes(draw, 2)
    q, along = draw.normal(d, 1), draw.normal(d, 1)
    along -= q * (q * along).sum() / q.square().sum()
    places = torch.tensor([-1.0] * 5 + [0.1] + [1.0] * 5)
    K, V = draw.normal(d, 1) + along * places, draw.normal(t, 1) + draw.normal(t, 1) * places
    check_bound(function, name, bad_noise, "keys and values that are equal in part", q, K, V, 0.7, 0.01)
    check_bound(function, name, bad_noise, "keys that are all equal", q, K[:, :1].repeat(1, 4), V[:, 3:7], 0.7, 0.5)
    check_bound(function, name, bad_noise, "values that are all equal", q, K[:, 3:7], V[:, :1].repeat(1, 4), 0.7, 0.5)


@earns("nudges")
def test_key_noise_bound(student, reference, draw):
    """The bound for noise on a key always holds, and is tight for two keys with equal scores."""
    function = asked(student, reference, "key_noise_bound")
    check_noise_bound(function, "noise on a key", worst_key_noise, lambda q, K: q.norm(), draw)
    check_special_keys(function, "noise on a key", worst_key_noise, draw)


@earns("nudges")
def test_query_noise_bound(student, reference, draw):
    """The bound for noise on the query always holds, and is tight for two keys with equal scores."""
    function, bad_noise = asked(student, reference, "query_noise_bound"), partial(bad_query_noise, draw=draw)
    check_noise_bound(function, "noise on the query", bad_noise, lambda q, K: torch.cdist(K.T, K.T).max(), draw)
    check_special_keys(function, "noise on the query", bad_noise, draw)


@earns("nudges")
def test_scaled_key(student, reference, draw):
    """The new weight and output are those of attention with the longer key, whatever the sign of its score."""
    function = asked(student, reference, "scale_key")
    for sign in (1, -1) * 3:
        a = 1.0
        while not 0.03 < a < 0.97:  # or the mean of the others would be lost in rounding
            d, m, t = sizes(draw, 3)
            q, K, V = draw.normal(d, 1), draw.normal(d, m), draw.normal(t, m)
            beta, alpha, j = draw.size(2, 9) / 10, draw.size(11, 40) / 10, draw.size(0, m - 1)
            q *= sign * torch.sign(K[:, j] @ q)
            longer = K.clone()
            longer[:, j] *= alpha
            a, s = float(attend(q, K, torch.eye(m), beta)[j]), beta * float(K[:, j] @ q[:, 0])
        answer = function(attend(q, K, V, beta).float(), V[:, j : j + 1], a, s, alpha)
        weight, h = tuple_of(answer, 2, "what scale_key returns")
        case = f"for a {'positive' if sign > 0 else 'negative'} score"
        right = float(attend(q, longer, torch.eye(m), beta)[j])
        assert abs(number(weight, "the new weight") - right) < 1e-4, f"the new weight is not right {case}"
        within(matrix(h, "the new h", t, 1), attend(q, longer, V, beta), 1e-3, f"the new h is not right {case}")


# ---------------------------------------------------------------------------------------------- heads


def check_heads(function, draw):
    for count in (1, draw.size(3, 4)):
        n, m, f, of_q, of_k, of_v = sizes(draw, 6)
        n = 1 if count == 1 else n
        Q, K, V = draw.normal(of_q, n), draw.normal(of_k, m), draw.normal(of_v, m)
        others = [d for d in range(1, 8) if d != of_q]  # for β is that of the projected columns
        order = torch.randperm(6, generator=draw.generator).tolist()
        each = [(others[i], t) for i, t in zip(order, sizes(draw, count), strict=False)]
        heads = [(draw.normal(d, of_q), draw.normal(d, of_k), draw.normal(t, of_v)) for d, t in each]
        W_O = draw.normal(f, sum(t for _, t in each))
        stack = torch.cat([attend(W_Q @ Q, W_K @ K, W_V @ V) for W_Q, W_K, W_V in heads])
        name = f"H of {count} {'head' if count == 1 else 'heads'}"
        close(matrix(function(Q, K, V, heads, W_O), name, f, n), W_O.double() @ stack, name, atol=1e-4)


def right_attention(student):
    """A right attention, as `follow_through` wants it."""
    return lambda tools: tools.attention_like(student.attention)


@earns("heads", weight=2)
def test_multi_head(student, reference, draw):
    """Heads of several sizes, each at the convenient β of its own columns, are stacked and multiplied by W_O."""
    check = partial(check_heads, draw=draw)
    follow_through(check, student, reference, "multi_head", "attention", right_attention(student), "attention_like")


@earns("heads", weight=2)
def test_kernel_of_heads(student, reference, draw):
    """A convolution with the kernel does what the heads do, also when two heads look at the same place."""
    function = asked(student, reference, "kernel_of_heads")
    for k, count in ((3, 4), (1, 2), (5, 4), (7, 1)):
        f, e, t, n = sizes(draw, 4)
        side = (k - 1) // 2
        offsets = [side, *(draw.size(-side, side) for _ in range(count - 1))]
        offsets += offsets[1:2]
        W_V, W_O = [draw.normal(t, e) for _ in offsets], [draw.normal(f, t) for _ in offsets]
        kernel = matrix(function(offsets, W_V, W_O, k), "the kernel", f, e, k)
        C, right = draw.normal(e, n).double(), torch.zeros(f, n, dtype=torch.double)
        for offset, into, out_of in zip(offsets, W_V, W_O, strict=True):
            for i in range(n):
                if 0 <= i + offset < n:
                    right[:, i] += out_of.double() @ into.double() @ C[:, i + offset]
        made = functional.conv1d(C, kernel, padding=side)
        within(made, right, 1e-3, f"a kernel of width {k} does not do what its {len(offsets)} heads do")


# ---------------------------------------------------------------------------------------------- self-attention


def check_self_attention(function, draw):
    for beta in (None, draw.size(1, 9) / 10, 2.0, 0.0):
        e, d, t, n = sizes(draw, 4)
        n = 1 if beta == 2.0 else n
        C, W_Q, W_K, W_V = draw.normal(e, n), draw.normal(d, e), draw.normal(d, e), draw.normal(t, e)
        given = () if beta is None else (beta,)
        H, A = tuple_of(function(C, W_Q, W_K, W_V, *given), 2, "what self_attention returns")
        case = "β left out" if beta is None else f"β = {beta}"
        check_weights(A, attend(W_Q @ C, W_K @ C, torch.eye(n), beta), f"A ({case})")
        close(matrix(H, f"H ({case})", t, n), attend(W_Q @ C, W_K @ C, W_V @ C, beta), f"H ({case})", atol=1e-4)


@earns("heads")
def test_self_attention(student, reference, draw):
    """H and A of self-attention are right, with β given and with β left out."""
    check = partial(check_self_attention, draw=draw)
    follow_through(check, student, reference, "self_attention", "attention", right_attention(student), "attention_like")


@earns("heads")
def test_shapes(student, reference, draw):
    """Rows and columns of all matrices of multi-head self-attention are right."""
    d, t, h, n = sizes(draw, 4)
    e = draw.choice([11, 13])  # no product of two sizes
    right = {"W_Q": (d, e), "W_K": (d, e), "W_V": (t, e)}
    right |= {"Q": (d, n), "K": (d, n), "V": (t, n), "A": (n, n)}
    right |= {"stack": (h * t, n), "W_O": (e, h * t), "H": (e, n)}
    function = asked(student, reference, "self_attention_shapes")
    shapes_are(function(e, d, t, h, n), right, "self_attention_shapes", f"e = {e}, d = {d}, t = {t}, h = {h}, n = {n}")


@earns("places")
def test_position_codes(student, reference, draw):
    """One matrix leads from each code to the next; no entry exceeds 1, and codes are at least 0.05 apart."""
    cases = [(40, 2), (draw.size(5, 30), 2 * draw.size(2, 8)), (40, 32), (1, 4), (draw.size(5, 30), 6)]
    found = HARNESS.beside(student).codes_seen(student.position_codes, student.step_matrix, cases)
    if found is None:
        codes, step = (asked(student, reference, name) for name in ("position_codes", "step_matrix"))
        for n, e in cases:
            matrix(codes(n, e), "the matrix of codes", e, n), matrix(step(e), "R", e, e)
    assert not any(isinstance(part, str) for part in found), "; ".join(map(str, found))
    for (P, R), (n, e) in zip(tuple_of(found, len(cases), "the codes"), cases, strict=True):
        P, R, case = matrix(P, "the matrix of codes", e, n), matrix(R, "R", e, e), f"n = {n}, e = {e}"
        within(R @ P[:, :-1], P[:, 1:], 1.01e-3, f"{case}: R times a code is not the next code")
        assert P.abs().max() <= 1.00101, f"{case}: an entry exceeds 1"
        apart = float((torch.cdist(P.T, P.T) + 9 * torch.eye(n)).min())
        assert apart >= 0.0498, f"{case}: two codes are less than 0.05 apart"


def with_places(draw, e, n):
    """Content between −1 and 1, the ends included, and the same with one-hot places below."""
    C = draw.uniform(e, n, low=-1, high=1)
    C[0] = 2 * draw.bernoulli(n) - 1
    return C, torch.cat([C, torch.eye(n)])


def leaning(draw):
    """The same where the scores of the content alone would always lead to the first column."""
    C = draw.uniform(draw.size(12, 20), draw.size(4, 7), low=0.3, high=0.7)
    C[:, 0] = 1
    return C, torch.cat([C, torch.eye(C.shape[1])])


def lonely(n):
    """The same where row i is 1 in column i and −1 elsewhere: what the others add to a weighted mean shows most."""
    C = 2 * torch.eye(n) - 1
    return C, torch.cat([C, torch.eye(n)])


def some_sizes(draw):
    """Sizes e and n of a sequence: short and narrow, middling, long."""
    return (1, 2), (draw.size(2, 5), draw.size(5, 9)), (2, draw.size(50, 70)), (1, 100)


def outputs(student, reference, name, cases, probes, what):
    """What the heads of a student's function make of each X.

    cases: given, X, the right outputs (nan where anything goes), a mask (keys × queries), the tolerance
    probes: given and X for a small size and for one that is four times as large
    """
    found = HARNESS.beside(student).at_work(getattr(student, name), cases, probes)
    if found is None:
        function = asked(student, reference, name)
        for given, X, right, _, _ in cases:
            answer = function(*given)
            for head in heads_of(answer, name) if what == "a head" else [answer]:
                run_head(X, head, what, len(right))  # says what does not fit
    assert not isinstance(found, str), f"{what}: the right columns lead, but {found}"
    found = tuple_of(found, len(cases), "the outputs")
    return [matrix(H, "the output", *right.shape) for H, (_, _, right, _, _) in zip(found, cases, strict=True)]


def heads_of(answer, name):
    """The heads in a list, a tuple or a tensor."""
    heads = list(answer) if isinstance(answer, torch.Tensor) else answer
    fits = isinstance(heads, tuple | list) and len(heads)
    assert fits, f"{name} should return a list of heads, but what it returns is {kind(heads)}"
    return heads


def free_column(C):
    """The same with a first column that may be anything."""
    return torch.cat([torch.full((len(C), 1), math.nan), C[:, 1:]], dim=1)


@earns("machines")
def test_identity_and_shift(student, reference, draw):
    """One head returns the content itself, another one the column to the left, for every content."""
    drawn = [with_places(draw, e, n) for e, n in (*some_sizes(draw), (draw.size(60, 80), 3))]
    drawn += [leaning(draw), lonely(draw.size(5, 9)), lonely(100)]
    probes = [((2, n), with_places(draw, 2, n)[1]) for n in (9, 36)]
    cases = [(C.shape, X, C, None, 0.01) for C, X in drawn]
    found = outputs(student, reference, "identity_projections", cases, probes, "identity")
    for H, (C, _) in zip(found, drawn, strict=True):
        case = f"identity of {C.shape[1]} columns: the output is not C"
        within(H, C, 0.01, case, [("its columns are in the opposite order", C.flip(1))])
    cases = [(C.shape, X, free_column(C.roll(1, 1)), None, 0.01) for C, X in drawn]
    found = outputs(student, reference, "shift_projections", cases, probes, "shift")
    for H, (C, _) in zip(found, drawn, strict=True):
        n = C.shape[1]
        case = f"shift of {n} columns: a column is not what stood to its left"
        right = n > 2 and bool(((H[:, 1:-1] - C[:, 2:]).abs() <= 0.01).all())
        assert not right, f"shift of {n} columns: each column is what stood to its right; it should be from its left"
        within(H[:, 1:], C[:, :-1], 0.01, case, [("each one is what stood at its own place", C[:, 1:])])


def inverse(order):
    return torch.tensor(order).argsort().tolist()


@earns("machines")
def test_permutation(student, reference, draw):
    """Column i of the output is column order[i] of the content, for any order."""
    cases = []
    drawn = [with_places(draw, e, n) for e, n in ((3, 1), *some_sizes(draw), (draw.size(60, 80), 3))]
    for C, X in [*drawn, lonely(draw.size(5, 9)), lonely(100)]:
        order = torch.randperm(C.shape[1], generator=draw.generator).tolist()
        cases.append(((order, len(C)), X, C[:, order], None, 0.01))
    probes = [((list(range(n)), 2), with_places(draw, 2, n)[1]) for n in (9, 36)]
    found = outputs(student, reference, "permutation_projections", cases, probes, "permutation")
    for H, ((order, e), X, right, _, _) in zip(found, cases, strict=True):
        case = f"permutation of {len(order)} columns: they are not in the order that was given"
        slip = "they are in the inverse order: the one that belongs to place i is at order[i]"
        within(H, right, 0.01, case, [(slip, X[:e, inverse(order)])])


def on_ring(C):
    """Columns with their places on a circle below."""
    angles = 2 * math.pi / C.shape[1] * torch.arange(C.shape[1])
    return torch.cat([C, angles.cos()[None], angles.sin()[None]])


def check_convolution(student, reference, draw, widths):
    """widths: pairs of the kernel's width and the number of places."""
    cases, slips = [], []
    for k, n in widths:
        e, f = sizes(draw, 2)
        W, side = draw.normal(f, e, k), (k - 1) // 2
        for C in (draw.normal(e, n), 40 * draw.normal(e, n)):
            around = torch.cat([C[:, n - side :], C, C[:, :side]], dim=1)
            right, flipped = (functional.conv1d(around, kernel).double() for kernel in (W, W.flip(2)))
            cases.append(((W, n), on_ring(C), right, None, 0.01 * float(right.abs().max())))
            slips.append(
                [
                    ("they do for the kernel read backwards", flipped),
                    (f"their sum is 1/{k} of it", right / k),
                    ("they do if the first tap lies on the place itself", right.roll(-side, 1)),
                    ("they do if the last tap lies on the place itself", right.roll(side, 1)),
                ]
            )
    probes = [((draw.normal(2, 2, 3), n), on_ring(draw.normal(2, n))) for n in (10, 40)]
    found = outputs(student, reference, "convolution_heads", cases, probes, "a head")
    for made, ((W, n), _, right, _, far), others in zip(found, cases, slips, strict=True):
        case = f"kernel of width {W.shape[2]} on {n} places: the heads do not add up to its cross-correlation"
        within(
            made / far / 100, right / far / 100, 0.010001, case, [(words, other / far / 100) for words, other in others]
        )


@earns("convolution")
def test_convolution_of_width_three(student, reference, draw):
    """The heads add up to a circular cross-correlation with a kernel of width 3, for any number of places."""
    check_convolution(student, reference, draw, [(3, n) for n in (3, draw.size(4, 9), draw.size(20, 30), 64, 200)])


@earns("convolution")
def test_convolution_of_other_widths(student, reference, draw):
    """The heads add up to a circular cross-correlation for other odd widths, up to that of the whole circle."""
    check_convolution(student, reference, draw, [(1, 2), (1, draw.size(4, 8)), (5, draw.size(6, 9)), (7, 7)])


def right_mask(n, back, ahead):
    allowed = torch.zeros(n, n)
    for key in range(n):
        for query in range(n):
            allowed[key, query] = -back <= key - query <= ahead
    return allowed


@earns("live")
def test_live_mask(student, reference, draw):
    """Every query may see the keys from `back` before it to `ahead` after it, and no others."""
    function = asked(student, reference, "live_mask")
    middling = (draw.size(7, 12), draw.size(2, 4), draw.size(1, 2))
    cases = (middling, (5, 3, 0), (6, 0, 2), (4, 0, 0), (3, 5, 7), (1, 2, 1))
    answers = [function(*case) for case in cases]
    for (n, back, ahead), found in zip(cases, answers, strict=True):
        mask, case = matrix(found, "the mask", n, n), f"n = {n}, back = {back}, ahead = {ahead}"
        assert torch.as_tensor(found).dtype == torch.bool, "the mask should hold True and False (bool)"
        wrong = (mask != right_mask(n, back, ahead).double()).nonzero().tolist()
        if wrong:
            (key, query), seen = wrong[0], "may" if mask[tuple(wrong[0])] else "may not"
            raise AssertionError(f"{case}: in your mask query {query} {seen} see key {key} (row {key}, column {query})")


@earns("live")
def test_live_reach(student, reference, draw):
    """The reach of stacked layers is that of their masks, one after another."""
    function = asked(student, reference, "live_reach")
    for layers, back, ahead in ((1, 4, 0), (draw.size(2, 4), draw.size(3, 5), draw.size(1, 2)), (3, 0, 2)):
        n, middle = layers * (back + ahead) + 3, layers * back + 1
        seen = torch.linalg.matrix_power(right_mask(n, back, ahead).double(), layers)[:, middle].nonzero()
        right = (middle - int(seen.min()), int(seen.max()) - middle)
        answer = tuple_of(function(layers, back, ahead), 2, "what live_reach returns")
        for name, found, frames in zip(("back", "ahead"), answer, right, strict=True):
            case = f"layers = {layers}, back = {back}, ahead = {ahead}"
            assert whole(found, f"the reach {name}") == frames, f"{case}: the reach {name} is not right"


# ---------------------------------------------------------------------------------------------- the transformer


def layers_compared(student, reference, draw):
    """For several sizes (n, e, k) the student's three tuples, by name."""
    function = asked(student, reference, "compare_layers")
    odd, long, reach = draw.choice([3, 7, 9]), draw.size(15, 30), draw.size(2, 4)
    edges = [(reach * draw.size(2, 4) + more, draw.size(2, 6), 2 * reach + 1) for more in (0, 1, 2)]
    for n, e, k in ((2, 3, 3), (2 * draw.size(4, 7), draw.size(2, 6), 5), (long, 4, odd), (5, 1, 11), *edges):
        names = ("recurrent", "convolution", "attention")
        answer = dictionary(function(n, e, k), names, "compare_layers")
        yield (n, e, k), {name: tuple_of(answer[name], 3, f"the entry for {name}") for name in names}


@earns("roads")
def test_multiplications_of_layers(student, reference, draw):
    """The multiplications of all three layers are right."""
    for (n, e, k), found in layers_compared(student, reference, draw):
        right = {
            "recurrent": n * multiplications((e, e, 1), (e, e, 1)),
            "convolution": multiplications((e, k * e, n)),
            "attention": multiplications(*[(e, e, n)] * 3, (n, e, n), (e, n, n)),
        }
        for name, count in right.items():
            answer = whole(found[name][0], f"{name}: the number of multiplications")
            case = f"{name}, n = {n}, e = {e}, k = {k}"
            assert answer == count, f"{case}: your count of multiplications, {answer}, is not right"


@earns("roads", weight=2)
def test_steps_and_paths(student, reference, draw):
    """The steps and the paths of all three layers are right."""
    for (n, _, k), found in layers_compared(student, reference, draw):
        wave, layers = torch.eye(1, n), 0
        while not wave[0, -1]:
            wave = (functional.conv1d(wave[None], torch.ones(1, 1, k), padding=(k - 1) // 2)[0] > 0).float()
            layers += 1
        for name, steps, path in (("recurrent", n, n), ("convolution", 1, layers), ("attention", 1, 1)):
            answers = whole(found[name][1], f"{name}: the number of steps"), whole(found[name][2], f"{name}: the path")
            case = f"{name}, n = {n}, k = {k}"
            assert answers[0] == steps, f"{case}: the number of steps, {answers[0]}, is not right"
            assert answers[1] == path, f"{case}: the length of the path, {answers[1]}, is not right"


@earns("lookup")
def test_lookup(student, reference, draw):
    """Where a letter was seen before, the head returns the mean of the letters that followed it."""
    texts = []
    for e, n in ((2, 5), (draw.size(4, 7), 14), (3, draw.size(20, 30)), (1, 4), (60, 300)):
        text = draw.integers(0, e - 1, n)
        text[-2:] = text[:2]  # so that there is something to look up
        texts.append((e, *letters(text, e)))
    cases = []
    for e, C, B in texts:
        n = C.shape[1]
        causal = torch.ones(n, n).triu().bool()
        followed = (B.T @ C) * causal  # (n, n): 1 where place j follows the letter that stands at i
        right = C @ followed / followed.sum(0)  # nan where there is none
        cases.append(((e,), torch.cat([C, B]), right, causal, 0.01))
    probes = [((e,), torch.cat(letters(draw.integers(0, e - 1, 30), e))) for e in (4, 16)]
    found = outputs(student, reference, "lookup_projections", cases, probes, "lookup")
    for H, (e, C, B), (_, _, right, causal, _) in zip(found, texts, cases, strict=True):
        times = ((B.T @ C) * causal).sum(0)
        for i in times.nonzero()[:, 0].tolist():
            seen = "once" if times[i] == 1 else f"{int(times[i])} times"
            case = f"alphabet of {e}, text of {C.shape[1]}, a letter that was there {seen} before"
            slips = [("it is the letter itself", C[:, i].double())]
            if i:
                slips.append(("it is the letter to its left", B[:, i].double()))
            within(H[:, i], right[:, i].double(), 0.010001, f"{case}: the output is not what followed it", slips)


def letters(text, e):
    """The letters of a text, one-hot, and those to their left."""
    C = functional.one_hot(text, e).T.float()
    return C, functional.pad(C, (1, 0))[:, :-1]


def count_is(found, right, what, case):
    """Assert that a whole number is right, and say what was counted for which sizes."""
    count = whole(found, f"the number of {what}")
    assert count == right, f"{case}: your number of {what}, {count}, is not right"


def attention_products(e, h, d, n):
    """Multiplications of h heads and their mixing on n columns."""
    return h * multiplications(*[(d, e, n)] * 3, (n, d, n), (d, n, n)) + multiplications((e, h * d, n))


@earns("roads")
def test_parameters_of_heads(student, reference, draw):
    """The parameters of multi-head attention are those of all projections and W_O, with their biases."""
    function = asked(student, reference, "multi_head_counts")
    for h in (1, draw.size(2, 5)):
        e, d, n = sizes(draw, 3)
        parameters, _ = tuple_of(function(e, h, d, n), 2, "what multi_head_counts returns")
        right = 3 * h * (d * e + d) + (e * h * d + e)
        count_is(parameters, right, "parameters", f"e = {e}, h = {h}, d = {d}, n = {n}")


@earns("roads")
def test_multiplications_of_heads(student, reference, draw):
    """The multiplications of multi-head attention are those of all its matrix products."""
    function = asked(student, reference, "multi_head_counts")
    for h in (1, draw.size(2, 5)):
        e, d, n = sizes(draw, 3)
        _, found = tuple_of(function(e, h, d, n), 2, "what multi_head_counts returns")
        count_is(found, attention_products(e, h, d, n), "multiplications", f"e = {e}, h = {h}, d = {d}, n = {n}")


def block_sizes(draw):
    """Sizes (h, d, w, n): one head, a few, and four of one entry on one column."""
    some = [(h, draw.size(2, 4), draw.size(5, 17), draw.size(3, 9)) for h in (1, draw.size(2, 3))]
    return [*some, (4, 1, 7, 1)]


def right_heads(student, reference, cases):
    """A right multi_head_counts for blocks of these sizes, as `follow_through` wants it."""

    def part(tools):
        wanted = [key for h, d, _, n in cases for key in ((h * d, h, d, n), (h * d, 1, h * d, n), (h * d, h, d, 1))]
        answers = [(key, reference.multi_head_counts(*key)) for key in wanted]
        return tools.listed(student.multi_head_counts, ["e", "h", "d", "n"], answers)

    return part


def block_parameters(e, h, w):
    """Parameters of PyTorch's block of these sizes."""
    block = torch.nn.TransformerEncoderLayer(e, h, w, device="meta")
    return sum(parameter.numel() for parameter in block.parameters())


def block_products(e, h, w, n):
    """Multiplications of a block of these sizes on n columns."""
    return attention_products(e, h, e // h, n) + multiplications((w, e, n), (e, w, n))


def check_block_parameters(function, cases):
    for h, d, w, n in cases:
        found, _ = tuple_of(function(h * d, h, w, n), 2, "what block_counts returns")
        count_is(found, block_parameters(h * d, h, w), "parameters", f"e = {h * d}, h = {h}, w = {w}, n = {n}")


def check_block_multiplications(function, cases):
    for h, d, w, n in cases:
        _, found = tuple_of(function(h * d, h, w, n), 2, "what block_counts returns")
        count_is(found, block_products(h * d, h, w, n), "multiplications", f"e = {h * d}, h = {h}, w = {w}, n = {n}")


@earns("roads")
def test_parameters_of_a_block(student, reference, draw):
    """The parameters of a block are those of PyTorch's block of these sizes."""
    cases = block_sizes(draw)
    check, part = partial(check_block_parameters, cases=cases), right_heads(student, reference, cases)
    follow_through(check, student, reference, "block_counts", "multi_head_counts", part, "listed")


@earns("roads")
def test_multiplications_of_a_block(student, reference, draw):
    """The multiplications of a block are those of all its matrix products."""
    cases = block_sizes(draw)
    check, part = partial(check_block_multiplications, cases=cases), right_heads(student, reference, cases)
    follow_through(check, student, reference, "block_counts", "multi_head_counts", part, "listed")


@earns("columns")
def test_exclusive_or_by_a_network(student, draw):
    """The feed-forward network returns exclusive or for every column of bits."""
    bits = torch.cat([torch.tensor([[0, 0, 1, 1], [0, 1, 0, 1]]), draw.integers(0, 1, 2, 5)], dim=1).double()
    found, parts = HARNESS.beside(student).on_bits(student.xor_network, bits)
    if found is None:
        W1, b1, W2, b2 = tuple_of(parts, 4, "what xor_network returns")
        w = len(matrix(W1, "W1", None, 2))
        matrix(b1, "b1", w, 1), matrix(W2, "W2", 1, w), matrix(b2, "b2", 1, 1)
    found = matrix(found, "the output of your network", 1, bits.shape[1])
    for i in range(bits.shape[1]):
        pair = tuple(int(bit) for bit in bits[:, i])
        right = float(pair[0] != pair[1])
        assert abs(float(found[0, i]) - right) < 1e-2, f"for the bits {pair} the network does not return {right:.0f}"


@earns("columns")
def test_exclusive_or_by_a_head(student, reference):
    """A single head with a constant token returns exclusive or for all four pairs of bits."""
    pairs, cases = [(0, 0), (0, 1), (1, 0), (1, 1)], []
    for x, y in pairs:
        X = torch.tensor([[x, 0.0], [y, 0.0], [1.0, 0.0], [0.0, 1.0]])
        cases.append(((), X, torch.tensor([[float(x != y), math.nan]]), None, 0.01))
    probes = [((), cases[2][1])] * 2
    found = outputs(student, reference, "xor_head", cases, probes, "your head")
    for (x, y), H in zip(pairs, found, strict=True):
        case = f"for the bits {x}, {y} your head does not return {int(x != y)} in column 1"
        assert abs(float(H[0, 0]) - (x != y)) < 0.01001, case


@earns("norm")
def test_layer_norm(student, reference, draw):
    """Each column is normalised by itself, with ε under the root."""
    function = asked(student, reference, "layer_norm")
    for scale, eps in ((1.0, 1e-5), (0.01, 1e-3), (30.0, 1e-5), (1.0, 0.5), (3e-3, None)):
        for e, n in (sizes(draw, 2), (draw.size(3, 6), 1)):
            X = scale * (draw.normal(e, n) + draw.normal(1, n))
            found = function(X) if eps is None else function(X, eps)
            right = functional.layer_norm(X.T.double(), (e,), eps=1e-5 if eps is None else eps).T
            case = f"layer norm of {n} {'column' if n == 1 else 'columns'}, " + (
                "ε left out" if eps is None else f"ε = {eps}"
            )
            close(matrix(found, case, e, n), right, case, atol=1e-4)


@earns("norm")
def test_jacobian_of_layer_norm(student, reference, draw):
    """∂x̂/∂x agrees with autograd, for entries of little and much spread and for large and small ε."""
    function = asked(student, reference, "layer_norm_jacobian")
    for scale, eps in ((1.0, 1e-5), (0.1, 1e-2), (20.0, 1e-5), (1.0, 0.5), (3e-3, None)):
        e = draw.size(3, 8)
        x = scale * (draw.normal(e, 1) + 1)
        used = 1e-5 if eps is None else eps
        slope = jacobian(lambda x, e=e, used=used: functional.layer_norm(x.T, (e,), eps=used).T, x.double())
        right = slope.reshape(e, e)
        found = matrix(function(x) if eps is None else function(x, eps), "∂x̂/∂x", e, e)
        case = "ε left out" if eps is None else f"ε = {eps}"
        case = f"∂x̂/∂x at a column of size {scale}, {case}: it does not agree with autograd"
        within(found / right.abs().max(), right / right.abs().max(), 2e-3, case)


# ---------------------------------------------------------------------------------------------- pictures


@earns("patches")
def test_patch_kernel(student, reference, draw):
    """A convolution with stride p and this kernel multiplies every flattened patch by E."""
    function = asked(student, reference, "patch_kernel")
    for channels, p in ((3, 2), (1, 3), (draw.size(2, 4), 5)):
        e, down, across = sizes(draw, 3)
        picture, E = draw.normal(channels, down * p, across * p), draw.normal(e, channels * p * p)
        kernel = matrix(function(E, channels, p), "the kernel", e, channels, p, p)
        made = functional.conv2d(picture.double(), kernel, stride=p)
        for y in range(down):
            for x in range(across):
                patch = picture[:, y * p : (y + 1) * p, x * p : (x + 1) * p].reshape(-1)
                case = f"{channels} {'channel' if channels == 1 else 'channels'}, p = {p}"
                within(
                    made[:, y, x], (E @ patch).double(), 1e-3, f"{case}: the patch ({y}, {x}) is not multiplied by E"
                )


@earns("patches")
def test_receptive_field(student, reference, draw):
    """The receptive field is the width of the pixels on which one unit of the last layer depends."""
    function = asked(student, reference, "receptive_field")
    stacks = []
    for depth in (1, 2, 3, 3, 4, draw.size(5, 6)):
        layers = [(kernel, draw.size(1, min(kernel, 3))) for kernel in draw.integers(2, 5, depth).tolist()]
        layers[0] = (draw.size(3, 5), draw.size(2, 3))  # a stride that counts, unless there is one layer only
        layers[-1] = (layers[-1][0], 2)  # and one that never does
        stacks.append(layers)
    stacks += [[(1, 2)], [(3, 1), (1, 2), (3, 1)], [(2, 3), (2, 1)]]  # strides beyond their kernels
    answers = [function(layers) for layers in stacks]
    for layers, answer in zip(stacks, answers, strict=True):
        first = last = 0  # of the units that count, from the last layer down to the pixels
        for kernel, stride in reversed(layers):
            first, last = first * stride, last * stride + kernel - 1
        found = whole(answer, "the receptive field")
        assert found == last - first + 1, f"for the layers {layers} the receptive field is not {found} pixels wide"


def vit_sizes(draw):
    """Sizes (e, p, channels, layers, classes, w, across) of two ViTs: all different, and a small one."""
    p, channels, layers, classes = sizes(draw, 4)
    large = 2 * draw.size(4, 7) + 1, p, channels, layers, classes, draw.size(15, 20), draw.size(3, 5)
    return [large, (draw.choice([3, 5]), 2, 1, 1, 3, draw.size(6, 8), 2)]


def right_block(student, reference, cases):
    """A right block_counts for ViTs of these sizes, as `follow_through` wants it."""

    def part(tools):
        wanted = [
            (e, h, w, n)
            for e, _, _, _, _, w, across in cases
            for h in range(1, e + 1)
            for n in (1, across**2, across**2 + 1)
            if e % h == 0
        ]
        answers = [(key, reference.block_counts(*key)) for key in wanted]
        return tools.listed(student.block_counts, ["e", "h", "w", "n"], answers)

    return part


def of_vit(function, size):
    """What a function says for a ViT of this size, and the size in words."""
    e, p, channels, layers, classes, w, across = size
    case = f"{across**2} patches, p = {p}, channels = {channels}, e = {e}, w = {w}, layers = {layers}"
    return function(across * p, p, channels, e, w, layers, classes), f"{case}, classes = {classes}"


def check_vit_parameters(function, cases):
    for size in cases:
        e, p, channels, layers, classes, w, across = size
        modules = {
            "patches": [torch.nn.Conv2d(channels, e, p, stride=p, device="meta")],
            "head": [torch.nn.LayerNorm(e, device="meta"), torch.nn.Linear(e, classes, device="meta")],
        }
        right = {name: sum(x.numel() for one in many for x in one.parameters()) for name, many in modules.items()}
        right |= {"class token": e, "positions": (across**2 + 1) * e, "blocks": layers * block_parameters(e, 1, w)}
        answer, case = of_vit(function, size)
        answer = dictionary(answer, right, "vit_parameters")
        for name, count in right.items():
            count_is(answer[name], count, f"parameters of {name!r}", case)


def check_vit_multiplications(function, cases):
    for size in cases:
        e, p, channels, layers, classes, w, across = size
        right = multiplications((e, channels * p * p, across**2), (classes, e, 1))
        found, case = of_vit(function, size)
        count_is(found, right + layers * block_products(e, 1, w, across**2 + 1), "multiplications", case)


@earns("patches")
def test_parameters_of_a_vit(student, reference, draw):
    """Every part of a ViT has the right number of parameters."""
    cases = vit_sizes(draw)
    check, part = partial(check_vit_parameters, cases=cases), right_block(student, reference, cases)
    follow_through(check, student, reference, "vit_parameters", "block_counts", part, "listed")


@earns("patches")
def test_multiplications_of_a_vit(student, reference, draw):
    """The multiplications of a ViT are those of all its matrix products, patch embedding and head included."""
    cases = vit_sizes(draw)
    check, part = partial(check_vit_multiplications, cases=cases), right_block(student, reference, cases)
    follow_through(check, student, reference, "vit_multiplications", "block_counts", part, "listed")


@earns("token")
def test_pooling(student, reference, draw):
    """The output at the class token is the mean of the patches, whatever its own content is."""
    cases, names = [], []
    for e, n in ((1, 1), (4, 1), (draw.size(2, 5), draw.size(2, 8)), (2, 200), (60, 1)):
        for loud in (1.0, -1.0):
            X = torch.cat([draw.uniform(e, n + 1, low=-1, high=1), torch.zeros(1, n + 1)])
            X[:e, 0] = loud * X[:e, 1:].mean(1).sign()
            X[-1, 0] = 1.0
            right = torch.full((e, n + 1), math.nan)
            right[:, 0] = X[:e, 1:].mean(1)
            cases.append(((e,), X, right, None, 0.01))
            names.append(f"{n} {'patch' if n == 1 else 'patches'}, e = {e}")
    probes = [((e,), torch.cat([draw.uniform(e, 6), torch.eye(1, 6)])) for e in (4, 16)]
    found = outputs(student, reference, "pooling_projections", cases, probes, "pooling")
    for H, ((e,), X, right, _, _), case in zip(found, cases, names, strict=True):
        slips = [("its own content is part of it", X[:e].mean(1)), ("it is its own content", X[:e, 0])]
        words = f"{case}: the output at the class token is not their mean"
        within(H[:, 0], right[:, 0].double(), 0.010001, words, slips)


@earns("prediction")
def test_prediction(student):
    """The prediction is one of the letters A, B and C; any of them earns the points."""
    found = student.run("str(share_prediction).strip().upper()")
    assert found in ("A", "B", "C"), "share_prediction is not one of the letters A, B and C"


@earns("token")
def test_data_regimes(student):
    """data_regimes holds all letters of true statements, and no others."""
    found = {str(letter).strip().upper() for letter in student.run("sorted(data_regimes)")}
    right = {"A", "C", "D", "E"}
    assert not found - right, "data_regimes holds a statement that is false"
    assert found == right, f"data_regimes: what you name is true, but {len(right - found)} true statements are missing"
