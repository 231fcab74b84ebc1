"""Hidden tests of hw4/theory: what a student's matrices do, and formulas against autograd, brute force and PyTorch."""

import math
from functools import partial

import torch
from torch.autograd.functional import jacobian
from torch.nn import functional

from autograder import close, earns


def matrix(thing, name, *shape):
    """What a student returned as a matrix of float64; sizes that are None are theirs to choose."""
    try:
        found = torch.as_tensor(thing).detach().double()
    except (TypeError, ValueError, RuntimeError):
        raise AssertionError(f"{name} should be a matrix, but it is a {type(thing).__name__}") from None
    fits = len(found.shape) == len(shape) and all(
        want is None or have == want for have, want in zip(found.shape, shape, strict=True)
    )
    wanted = " × ".join("any" if want is None else str(want) for want in shape)
    assert fits, f"{name} has shape {tuple(found.shape)}; it should have {wanted}"
    assert found.isfinite().all(), f"{name} has entries that are infinite or not a number"
    return found


def number(thing, name):
    """What a student returned as a single number."""
    try:
        found = torch.as_tensor(thing).detach().double()
    except (TypeError, ValueError, RuntimeError):
        raise AssertionError(f"{name} should be a number, but it is a {type(thing).__name__}") from None
    assert found.numel() == 1, f"{name} should be a single number"
    return float(found)


def whole(thing, name):
    """What a student returned as a whole number; 4.0 is one, too."""
    found = number(thing, name)
    assert found.is_integer(), f"{name} should be a whole number"
    return int(found)


def tuple_of(thing, count, name):
    """A tuple or list of so many things."""
    found = isinstance(thing, tuple | list) and len(thing) == count
    assert found, f"{name} should be a tuple of {count}"
    return tuple(thing)


def dictionary(thing, names, function):
    """A dictionary with all these names."""
    assert isinstance(thing, dict), f"{function} should return a dictionary"
    missing = [name for name in names if name not in thing]
    assert not missing, f"{function}: there is no entry for {missing[0]!r}"
    return thing


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


def within(actual, expected, far, sentence):
    """Assert that two matrices agree up to `far` in every entry."""
    error = float((actual - expected).abs().max())
    assert error <= far, f"{sentence}: off by up to {error:.2g}"


def sizes(draw, count):
    """Sizes from 2 on, all different, so that no two axes can be confused."""
    return (torch.randperm(count + 2, generator=draw.generator)[:count] + 2).tolist()


def multiplications(*products):
    """Of matrix products, each given by the sizes r, c, w of (r × c)(c × w)."""
    return sum(math.prod(product) for product in products)


# ---------------------------------------------------------------------------------------------- attention


@earns("attention")
def test_attention(student, draw):
    """H and A are right for any sizes and β, and for the convenient β."""
    function = student.attention
    for beta in (draw.size(1, 30) / 10, None):
        d, n, m, t = sizes(draw, 4)
        Q, K, V = draw.normal(d, n), draw.normal(d, m), draw.normal(t, m)
        H, A = tuple_of(function(Q, K, V) if beta is None else function(Q, K, V, beta), 2, "what attention returns")
        case = "with β left out" if beta is None else f"with β = {beta}"
        close(A, attend(Q, K, torch.eye(m), beta).float(), f"A {case}")
        close(H, attend(Q, K, V, beta).float(), f"H {case}", atol=1e-5)


@earns("attention")
def test_beta_for_share(student, draw):
    """With the β that is returned the leading key gets the share that was ordered."""
    function = student.beta_for_share
    for m in (2, draw.size(3, 9), 100):
        gap, share = draw.size(2, 40) / 10, 1 / m + (1 - 1 / m) * draw.size(5, 95) / 100
        beta = number(function(gap, m, share), "β")
        scores = torch.zeros(m, 1, dtype=torch.double)
        scores[0] = gap
        found = float(softargmax(scores, beta)[0])
        assert abs(found - share) < 1e-3, f"m = {m}, gap {gap}: with your β = {beta:.4g} the share is {found:.3f}"


def keys_of_length_one(draw, d, m):
    """Random keys (d, m) of which the first two are near each other, and no two are nearer."""
    while True:
        K = functional.normalize(draw.normal(d, m), dim=0)
        K[:, 1] = functional.normalize(K[:, 0] + 0.3 * functional.normalize(draw.normal(d), dim=0), dim=0)
        if (K.T @ K - 2 * torch.eye(m)).max() < 0.98:
            return K


@earns("queries")
def test_preserving_query(student, draw):
    """The query gives the key that is asked for a weight of at least 0.999, for all kinds of β."""
    function = student.preserving_query
    for beta in (0.05, 1.0, draw.size(2, 9) / 2):
        d, m = draw.size(4, 8), draw.size(3, 9)
        K = keys_of_length_one(draw, d, m)
        for j in (0, m - 1):
            q = matrix(function(K, j, beta), "q", d, 1)
            weight = float(attend(q, K, torch.eye(m), beta)[j])
            assert weight >= 0.999, f"β = {beta}, {m} keys: key {j} should be preserved and has the weight {weight:.4f}"


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
def test_diffusing_query(student, draw):
    """The query spreads the weight evenly over the keys that are chosen: one, some or all of them."""
    function = student.diffusing_query
    for beta, m in ((0.05, 12), (1.0, draw.size(3, 6)), (draw.size(2, 9) / 2, draw.size(7, 12))):
        K = orthonormal(draw, m)
        for count in (1, draw.size((m + 1) // 2, m - 1), m):  # the more are chosen the weaker is a mean of their keys
            chosen = torch.randperm(m, generator=draw.generator)[:count].tolist()
            q = matrix(function(K, chosen, beta), "q", len(K), 1)
            right = torch.zeros(m, 1)
            right[chosen] = 1 / count
            within(attend(q, K, torch.eye(m), beta), right, 1e-3, f"β = {beta}, {count} of {m} keys: the weights")


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
        bound, found = number(function(q, K, V, beta, r), name), bad_noise(q, K, V, beta, r)
        case = f"length {r:.3g} can move h by {found:.4g}, your bound is {bound:.4g}"
        assert bound >= 0.999 * found - 1e-9, f"{name}: {case}"
    for beta in (0.4, 2.5):
        d, t = sizes(draw, 2)
        q, first, across = draw.normal(d, 1), draw.normal(d, 1), draw.normal(d, 1)
        across -= q * (q * across).sum() / q.square().sum()  # the second key differs from the first across the query
        K, V = torch.cat([first, first + across], dim=1), 5 * draw.normal(t, 1) + draw.normal(t, 2)
        bound = number(function(q, K, V, beta, 0.01), name)
        reached = bad_noise(q, K, V, beta, 0.01) / max(bound, 1e-12)
        assert reached <= 1.001, f"{name}: for two keys with equal scores {reached:.0%} of your bound are reached"
        assert reached >= 0.95, f"{name}: for two keys with equal scores only {reached:.0%} of your bound are reached"


@earns("nudges")
def test_key_noise_bound(student, draw):
    """The bound for noise on a key holds for every noise, and is reached for two keys with equal scores."""
    check_noise_bound(student.key_noise_bound, "noise on a key", worst_key_noise, lambda q, K: q.norm(), draw)


@earns("nudges")
def test_query_noise_bound(student, draw):
    """The bound for noise on the query holds for every noise, and is reached for two keys with equal scores."""
    bad_noise = partial(bad_query_noise, draw=draw)
    check_noise_bound(
        student.query_noise_bound, "noise on the query", bad_noise, lambda q, K: torch.cdist(K.T, K.T).max(), draw
    )


@earns("nudges")
def test_scaled_key(student, draw):
    """New weight and new output agree with attention to the longer key, whatever the sign of its score."""
    function = student.scale_key
    for sign in (1, -1) * 3:
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
        within(matrix(h, "the new h", t, 1), attend(q, longer, V, beta), 1e-3, f"the new h {case}")


# ---------------------------------------------------------------------------------------------- heads


@earns("heads")
def test_multi_head(student, draw):
    """Heads of several sizes are computed, stacked and mixed, each with the convenient β of its own columns."""
    function = student.multi_head
    for count in (1, draw.size(2, 4)):
        n, m, f, of_q, of_k, of_v = sizes(draw, 6)
        Q, K, V = draw.normal(of_q, n), draw.normal(of_k, m), draw.normal(of_v, m)
        others = [d for d in range(1, 7) if d != of_q]  # for β is that of the projected columns
        each = [(draw.choice(others), draw.size(1, 4)) for _ in range(count)]
        heads = [(draw.normal(d, of_q), draw.normal(d, of_k), draw.normal(t, of_v)) for d, t in each]
        W_O = draw.normal(f, sum(t for _, t in each))
        stack = torch.cat([attend(W_Q @ Q, W_K @ K, W_V @ V) for W_Q, W_K, W_V in heads])
        close(function(Q, K, V, heads, W_O), (W_O.double() @ stack).float(), f"H of {count} heads", atol=1e-4)


@earns("heads")
def test_kernel_of_heads(student, draw):
    """As a convolution the kernel does what the heads do, also when two heads look at one place."""
    function = student.kernel_of_heads
    for k in (3, 1, 5):
        f, e, t, n = sizes(draw, 4)
        side = (k - 1) // 2
        offsets = [side, *(draw.size(-side, side) for _ in range(3))]
        offsets.append(offsets[1])
        W_V, W_O = [draw.normal(t, e) for _ in offsets], [draw.normal(f, t) for _ in offsets]
        kernel = matrix(function(offsets, W_V, W_O, k), "the kernel", f, e, k)
        C, right = draw.normal(e, n).double(), torch.zeros(f, n, dtype=torch.double)
        for offset, into, out_of in zip(offsets, W_V, W_O, strict=True):
            for i in range(n):
                if 0 <= i + offset < n:
                    right[:, i] += out_of.double() @ into.double() @ C[:, i + offset]
        within(functional.conv1d(C, kernel, padding=side), right, 1e-3, f"what the kernel of width {k} makes")


# ---------------------------------------------------------------------------------------------- self-attention


@earns("self-attention")
def test_self_attention(student, draw):
    """H and A of self-attention are right, with β given and left out."""
    function = student.self_attention
    for beta in (None, draw.size(1, 20) / 10):
        e, d, t, n = sizes(draw, 4)
        C, W_Q, W_K, W_V = draw.normal(e, n), draw.normal(d, e), draw.normal(d, e), draw.normal(t, e)
        given = () if beta is None else (beta,)
        H, A = tuple_of(function(C, W_Q, W_K, W_V, *given), 2, "what self_attention returns")
        close(A, attend(W_Q @ C, W_K @ C, torch.eye(n), beta).float(), "A", atol=1e-5)
        close(H, attend(W_Q @ C, W_K @ C, W_V @ C, beta).float(), "H", atol=1e-4)


@earns("self-attention")
def test_shapes(student, draw):
    """Rows and columns of all eight matrices are right."""
    e, d, t, n = sizes(draw, 4)
    right = {"W_Q": (d, e), "W_K": (d, e), "W_V": (t, e)}
    right |= {"Q": (d, n), "K": (d, n), "V": (t, n), "A": (n, n), "H": (t, n)}
    answer = dictionary(student.self_attention_shapes(e, d, t, n), right, "self_attention_shapes")
    for name, shape in right.items():
        found = tuple(whole(size, f"a size of {name}") for size in tuple_of(answer[name], 2, f"the shape of {name}"))
        assert found == shape, f"rows and columns of {name} are not right"


@earns("places")
def test_position_codes(student, draw):
    """One matrix leads from each code to the next; codes are small, and far enough from each other."""
    codes, step = student.position_codes, student.step_matrix
    for n, e in ((40, 2), (draw.size(5, 30), 2 * draw.size(2, 8))):
        P, R = matrix(codes(n, e), "the matrix of codes", e, n), matrix(step(e), "R", e, e)
        case = f"n = {n}, e = {e}"
        within(R @ P[:, :-1], P[:, 1:], 1e-3, f"{case}: R times a code is not the next code")
        assert P.abs().max() <= 1.001, f"{case}: an entry exceeds 1"
        apart = float((torch.cdist(P.T, P.T) + 9 * torch.eye(n)).min())
        assert apart >= 0.0499, f"{case}: two codes are only {apart:.3f} apart"


def with_places(draw, e, n):
    """Content between −1 and 1, and the same with one-hot places below."""
    C = draw.uniform(e, n, low=-1, high=1)
    return C, torch.cat([C, torch.eye(n)])


def some_sizes(draw):
    """Sizes e and n of a sequence: short and narrow, middling, long."""
    return (1, 2), (draw.size(2, 5), draw.size(5, 9)), (2, draw.size(25, 40))


@earns("machines")
def test_identity_and_shift(student, draw):
    """One head returns its input, another one the column to the left, for every content."""
    identity, shift = student.identity_projections, student.shift_projections
    for e, n in some_sizes(draw):
        C, X = with_places(draw, e, n)
        within(run_head(X, identity(e, n), "identity", e), C, 0.01, f"identity of {n} columns")
        H = run_head(X, shift(e, n), "shift", e)
        within(H[:, 1:], C[:, :-1], 0.01, f"shift of {n} columns")


@earns("machines")
def test_permutation(student, draw):
    """Column i of the output is column order[i] of the content, for any order."""
    function = student.permutation_projections
    for e, n in some_sizes(draw):
        C, X = with_places(draw, e, n)
        order = torch.randperm(n, generator=draw.generator).tolist()
        within(run_head(X, function(order, e), "permutation", e), C[:, order], 0.01, f"permutation of {n} columns")


def check_convolution(function, draw, e, f, k, n):
    angles = 2 * math.pi / n * torch.arange(n)
    C, W, side = draw.normal(e, n), draw.normal(f, e, k), (k - 1) // 2
    X = torch.cat([C, angles.cos()[None], angles.sin()[None]])
    heads = function(W, n)
    assert isinstance(heads, tuple | list) and heads, "convolution_heads should return a list of heads"
    made = sum(run_head(X, head, "a head", f) for head in heads)
    around = torch.cat([C[:, n - side :], C, C[:, :side]], dim=1)
    right = functional.conv1d(around, W).double()
    within(made / right.abs().max(), right / right.abs().max(), 0.01, f"kernel of width {k} on {n} places")


@earns("convolution")
def test_convolution_of_width_three(student, draw):
    """The heads add up to a circular cross-correlation with a kernel of width 3, for any number of places."""
    function = student.convolution_heads
    for n in (3, draw.size(4, 9), draw.size(20, 30)):
        e, f = sizes(draw, 2)
        check_convolution(function, draw, e, f, 3, n)


@earns("convolution")
def test_convolution_of_other_widths(student, draw):
    """The same for other odd widths, up to that of the whole ring."""
    function = student.convolution_heads
    for k, n in ((1, draw.size(4, 8)), (5, draw.size(6, 9)), (7, 7)):
        e, f = sizes(draw, 2)
        check_convolution(function, draw, e, f, k, n)


@earns("live")
def test_live(student, draw):
    """The mask lets every query see its own stretch of keys, and stacked layers reach as far as the masks lead."""
    mask, reach = student.live_mask, student.live_reach
    for layers, ahead in ((1, 0), (draw.size(2, 4), draw.size(1, 2))):
        back = draw.size(3, 5)
        n, middle = 2 * layers * back + 3, layers * back + 1
        allowed = torch.zeros(n, n)
        for key in range(n):
            for query in range(n):
                allowed[key, query] = -back <= key - query <= ahead
        within(matrix(mask(n, back, ahead), "the mask", n, n), allowed, 0, f"the mask for back {back}, ahead {ahead}")
        seen = torch.linalg.matrix_power(allowed.double(), layers)[:, middle].nonzero()
        right = (middle - int(seen.min()), int(seen.max()) - middle)
        answer = tuple_of(reach(layers, back, ahead), 2, "what live_reach returns")
        found = tuple(whole(frames, "a reach") for frames in answer)
        assert found == right, f"{layers} layers, back {back}, ahead {ahead}: the reach is not right"


# ---------------------------------------------------------------------------------------------- the transformer


def layers_compared(student, draw):
    """For several sizes (n, e, k) the student's three tuples, by name."""
    function = student.compare_layers
    odd, long = draw.choice([3, 7, 9]), draw.size(15, 30)
    for n, e, k in ((2, 3, 3), (2 * draw.size(4, 7), draw.size(2, 6), 5), (long, 4, odd)):
        names = ("recurrent", "convolution", "attention")
        answer = dictionary(function(n, e, k), names, "compare_layers")
        yield (n, e, k), {name: tuple_of(answer[name], 3, f"the entry for {name}") for name in names}


@earns("roads")
def test_multiplications_of_layers(student, draw):
    """All three layers have the right number of multiplications."""
    for (n, e, k), found in layers_compared(student, draw):
        right = {
            "recurrent": n * multiplications((e, e, 1), (e, e, 1)),
            "convolution": multiplications((e, k * e, n)),
            "attention": multiplications(*[(e, e, n)] * 3, (n, e, n), (e, n, n)),
        }
        for name, count in right.items():
            answer = whole(found[name][0], f"{name}: the number of multiplications")
            assert answer == count, f"{name}, n = {n}, e = {e}, k = {k}: multiplications are not right"


@earns("roads")
def test_steps_and_roads(student, draw):
    """All three layers have the right number of steps that wait for each other, and the right length of the road."""
    for (n, _, k), found in layers_compared(student, draw):
        wave, layers = torch.eye(1, n), 0
        while not wave[0, -1]:
            wave = (functional.conv1d(wave[None], torch.ones(1, 1, k), padding=(k - 1) // 2)[0] > 0).float()
            layers += 1
        for name, steps, road in (("recurrent", n, n), ("convolution", 1, layers), ("attention", 1, 1)):
            answers = whole(found[name][1], f"{name}: the number of steps"), whole(found[name][2], f"{name}: the road")
            assert answers[0] == steps, f"{name}, n = {n}, k = {k}: the number of steps is not right"
            assert answers[1] == road, f"{name}, n = {n}, k = {k}: the road is not right"


@earns("lookup")
def test_lookup(student, draw):
    """Where a letter was seen before, the head returns the mean of what followed it."""
    function = student.lookup_projections
    for e, n in ((2, 5), (draw.size(4, 7), 14), (3, draw.size(20, 30))):
        text = draw.integers(0, e - 1, n)
        text[-2:] = text[:2]  # so that there is something to look up
        C = functional.one_hot(text, e).T.float()
        X = torch.cat([C, functional.pad(C, (1, 0))[:, :-1]])
        H = run_head(X, function(e), "lookup", e, torch.ones(n, n).triu().bool())
        for i in range(n):
            followed = [C[:, j] for j in range(1, i + 1) if text[j - 1] == text[i]]
            if followed:
                right, times = torch.stack(followed).mean(0), len(followed)
                within(H[:, i], right, 0.01, f"{e} letters, a letter seen {times} times before: the output")


@earns("costs")
def test_parameters_of_heads(student, draw):
    """The number of parameters is that of all projections with their biases."""
    for h in (1, draw.size(2, 5)):
        e, d, n = sizes(draw, 3)
        parameters, _ = tuple_of(student.multi_head_counts(e, h, d, n), 2, "what multi_head_counts returns")
        right = 3 * h * (d * e + d) + (e * h * d + e)
        assert whole(parameters, "the number of parameters") == right, (
            f"e = {e}, h = {h}, d = {d}: the number of parameters is not right"
        )


@earns("costs")
def test_multiplications_of_heads(student, draw):
    """The number of multiplications is that of all matrix products."""
    for h in (1, draw.size(2, 5)):
        e, d, n = sizes(draw, 3)
        _, found = tuple_of(student.multi_head_counts(e, h, d, n), 2, "what multi_head_counts returns")
        right = h * multiplications(*[(d, e, n)] * 3, (n, d, n), (d, n, n)) + multiplications((e, h * d, n))
        assert whole(found, "the number of multiplications") == right, (
            f"e = {e}, h = {h}, d = {d}, n = {n}: the number of multiplications is not right"
        )


@earns("columns")
def test_exclusive_or(student, draw):
    """The feed-forward network computes exclusive or for every column of bits."""
    parts = tuple_of(student.xor_network(), 4, "what xor_network returns")
    W1 = matrix(parts[0], "W1", None, 2)
    b1, W2 = matrix(parts[1], "b1", len(W1), 1), matrix(parts[2], "W2", 1, len(W1))
    b2 = matrix(parts[3], "b2", 1, 1)
    bits = torch.cat([torch.tensor([[0, 0, 1, 1], [0, 1, 0, 1]]), draw.integers(0, 1, 2, 5)], dim=1).double()
    found = W2 @ torch.relu(W1 @ bits + b1) + b2
    for i in range(bits.shape[1]):
        pair = tuple(int(bit) for bit in bits[:, i])
        right = float(pair[0] != pair[1])
        assert abs(float(found[0, i]) - right) < 1e-2, f"for the bits {pair} the network says {float(found[0, i]):.3g}"


@earns("columns")
def test_counts_of_a_block(student, draw):
    """Parameters are those of PyTorch's block of these sizes, multiplications those of all its matrix products."""
    for h in (1, draw.size(2, 3)):
        e, w, n = h * draw.size(2, 4), draw.size(5, 17), draw.size(3, 9)
        parameters, found = tuple_of(student.block_counts(e, h, w, n), 2, "what block_counts returns")
        block = torch.nn.TransformerEncoderLayer(e, h, w, device="meta")
        right = sum(parameter.numel() for parameter in block.parameters())
        case = f"e = {e}, h = {h}, w = {w}, n = {n}"
        assert whole(parameters, "the number of parameters") == right, f"{case}: the number of parameters is not right"
        d = e // h
        heads = h * multiplications(*[(d, e, n)] * 3, (n, d, n), (d, n, n))
        right = heads + multiplications((e, e, n), (w, e, n), (e, w, n))
        assert whole(found, "the number of multiplications") == right, (
            f"{case}: the number of multiplications is not right"
        )


@earns("norm")
def test_layer_norm(student, draw):
    """Each column is normalised by itself, with ε under the root."""
    function = student.layer_norm
    for scale, eps in ((1.0, 1e-5), (0.01, 1e-3), (30.0, 1e-5)):
        e, n = sizes(draw, 2)
        X = scale * (draw.normal(e, n) + draw.normal(1, n))
        close(function(X, eps), functional.layer_norm(X.T, (e,), eps=eps).T, f"layer norm with ε = {eps}", atol=1e-4)


@earns("norm")
def test_jacobian_of_layer_norm(student, draw):
    """∂x̂/∂x agrees with autograd, for short and long columns and for large and small ε."""
    function = student.layer_norm_jacobian
    for scale, eps in ((1.0, 1e-5), (0.1, 1e-2), (20.0, 1e-5)):
        e = draw.size(3, 8)
        x = scale * (draw.normal(e, 1) + 1)
        double = x.double()
        right = jacobian(lambda x, e=e, eps=eps: functional.layer_norm(x.T, (e,), eps=eps).T, double).reshape(e, e)
        found = matrix(function(x, eps), "∂x̂/∂x", e, e)
        within(found / right.abs().max(), right / right.abs().max(), 2e-3, f"∂x̂/∂x at a column of size {scale}")


# ---------------------------------------------------------------------------------------------- pictures


@earns("patches")
def test_patch_kernel(student, draw):
    """A convolution with stride p and this kernel multiplies every flattened patch by E."""
    for channels, p in ((3, 2), (draw.size(1, 4), draw.size(3, 5))):
        e, down, across = sizes(draw, 3)
        picture, E = draw.normal(channels, down * p, across * p), draw.normal(e, channels * p * p)
        kernel = matrix(student.patch_kernel(E, channels, p), "the kernel", e, channels, p, p)
        made = functional.conv2d(picture.double(), kernel, stride=p)
        for y in range(down):
            for x in range(across):
                patch = picture[:, y * p : (y + 1) * p, x * p : (x + 1) * p].reshape(-1)
                within(made[:, y, x], (E @ patch).double(), 1e-3, f"{channels} channels, p = {p}: a patch's column")


@earns("patches")
def test_receptive_field(student, draw):
    """The receptive field is as wide as what a unit of the last layer can reach, layer by layer."""
    function = student.receptive_field
    for depth in (1, 2, draw.size(3, 6)):
        layers = [(draw.size(2, 5), draw.size(1, 3)) for _ in range(depth)]
        layers[0] = (draw.size(2, 5), draw.size(2, 3))  # a stride that counts, unless there is one layer only
        first = last = 0  # of the units that count, from the last layer down to the pixels
        for kernel, stride in reversed(layers):
            first, last = first * stride, last * stride + kernel - 1
        found = number(function(layers), "the receptive field")
        assert found == last - first + 1, f"for the layers {layers} the receptive field is not right"


@earns("patches")
def test_parameters_of_a_vit(student, draw):
    """Every part of a ViT has the right number of parameters."""
    p, channels, h, layers, classes = (draw.size(2, 4) for _ in range(5))
    e, w, across = h * draw.size(2, 4), draw.size(9, 20), draw.size(3, 6)
    block = torch.nn.TransformerEncoderLayer(e, h, w, device="meta")
    modules = {
        "patches": [torch.nn.Conv2d(channels, e, p, stride=p, device="meta")],
        "blocks": [block] * layers,
        "head": [torch.nn.LayerNorm(e, device="meta"), torch.nn.Linear(e, classes, device="meta")],
    }
    right = {name: sum(x.numel() for one in many for x in one.parameters()) for name, many in modules.items()}
    right |= {"class token": e, "positions": (across**2 + 1) * e}
    answer = student.vit_parameters(across * p, p, channels, e, w, layers, classes)
    answer = dictionary(answer, right, "vit_parameters")
    for name, count in right.items():
        assert whole(answer[name], f"the entry for {name!r}") == count, f"the parameters of {name!r} are not right"


@earns("patches")
def test_multiplications_of_a_vit(student, draw):
    """The number of multiplications is that of all matrix products, the patch embedding's and the head's included."""
    function = student.vit_multiplications
    for _ in range(2):
        p, channels, h, layers, classes = (draw.size(2, 4) for _ in range(5))
        d, w, across = draw.size(2, 4), draw.size(9, 20), draw.size(3, 6)
        e, n = h * d, across**2 + 1
        heads = h * multiplications(*[(d, e, n)] * 3, (n, d, n), (d, n, n))
        block = heads + multiplications((e, e, n), (w, e, n), (e, w, n))
        right = multiplications((e, channels * p * p, across**2), (classes, e, 1)) + layers * block
        found = whole(function(across * p, p, channels, e, w, layers, classes), "the number of multiplications")
        assert found == right, f"{across**2} patches, {layers} blocks: the number of multiplications is not right"


@earns("token")
def test_pooling(student, draw):
    """The class token receives the mean of the patches, and none of its own content."""
    function = student.pooling_projections
    for e, n in ((1, 1), (draw.size(2, 5), draw.size(2, 8)), (2, 200)):
        X = torch.cat([draw.uniform(e, n + 1, low=-1, high=1), torch.zeros(1, n + 1)])
        X[:, 0] = 1.0  # a loud class token
        H = run_head(X, function(e), "pooling", e)
        within(H[:, 0], X[:e, 1:].mean(1), 0.01, f"{n} patches: the output at the class token")


@earns("token")
def test_data_regimes(student):
    """All true statements are named, and none that is false."""
    found = {str(letter).strip().upper() for letter in student.run("sorted(data_regimes)")}
    right = {"A", "C", "D", "E"}
    assert not found - right, "data_regimes holds a statement that is false"
    assert found == right, f"data_regimes: what you name is true, and {len(right - found)} more can be found"
