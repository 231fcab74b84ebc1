"""Hidden tests of hw4/transformer: attention, heads, places, blocks, the loop, patches, the ViT, two training runs."""

import math

import pytest
import torch
from sklearn.datasets import load_digits
from torch.nn import functional

from autograder import Harness, StudentError, close, earns, ten_times

HARNESS = Harness(__file__)


def tensor(value, name, shape):
    """`value`, once it is asserted to be a finite tensor of this shape."""
    assert isinstance(value, torch.Tensor), f"{name} should be a tensor, not a {type(value).__name__}"
    found = tuple(value.shape)
    assert found == tuple(shape), f"{name} has shape {found}; it should have {tuple(shape)}"
    assert value.isfinite().all(), f"{name} has values that are infinite or not a number"
    return value.detach()


def pair(value, name):
    """`value`, once it is asserted to be a pair."""
    assert isinstance(value, tuple | list) and len(value) == 2, f"{name} should return a tuple (H, A)"
    return value


def alike(one, other, tolerance=1e-4):
    """Whether two tensors are equal up to rounding: float32 has seven digits, and no sum here has a thousand terms."""
    return one.shape == other.shape and torch.allclose(one, other, rtol=tolerance, atol=tolerance)


# ---------------------------------------------------------------------------------------------- attention


def by_loops(Q, K, V, beta):
    """Attention of single queries and keys, (n, d), (m, d), (m, t), one number at a time."""
    H, A = torch.zeros(len(Q), V.shape[1]), torch.zeros(len(Q), len(K))
    for i, q in enumerate(Q.tolist()):
        scores = [beta * sum(a * b for a, b in zip(q, k, strict=True)) for k in K.tolist()]
        exponentials = [math.exp(score - max(scores)) for score in scores]
        for j, exponential in enumerate(exponentials):
            A[i, j] = exponential / sum(exponentials)
            H[i] += A[i, j] * V[j]
    return H, A


def problem(draw, *axes):
    """Random Q, K, V with these leading axes; n, m, d and t are all different."""
    d, t = draw.size(5, 6), draw.size(7, 9)
    n, m = draw.size(2, 3), 4
    return draw.normal(*axes, n, d), draw.normal(*axes, m, d), draw.normal(*axes, m, t)


@earns("attention", weight=2)
def test_attention_by_loops(student, draw):
    """For single queries, keys and values, H and A are what loops give, with β = 1/√d or another one."""
    for beta in None, draw.size(2, 20) / 10, 0.0:
        Q, K, V = problem(draw)
        H, A = pair(student.attention(Q, K, V, **({} if beta is None else {"beta": beta})), "attention")
        right_H, right_A = by_loops(Q, K, V, Q.shape[1] ** -0.5 if beta is None else beta)
        which = "the default β" if beta is None else f"β = {beta}"
        close(A, right_A, f"A for {which}", atol=1e-5)
        close(H, right_H, f"H for {which}", atol=1e-5)


@earns("attention")
def test_attention_of_many(student, draw):
    """With any leading axes each problem gets the answer that it would get alone, from PyTorch's own attention too."""
    for axes in (draw.size(2, 3),), (draw.size(2, 3), draw.size(2, 3)), (2, 1, draw.size(2, 3)):
        Q, K, V = problem(draw, *axes)
        H, A = pair(student.attention(Q, K, V), "attention")
        tensor(A, "A", (*axes, Q.shape[-2], K.shape[-2]))
        close(A.sum(-1), torch.ones(*axes, Q.shape[-2]), "the sum of a row of A")
        close(H, functional.scaled_dot_product_attention(Q, K, V), f"H for leading axes {axes}", atol=1e-5)


@earns("attention")
def test_attention_to_large_scores(student, draw):
    """Scores of several hundreds are no trouble: nothing overflows."""
    Q, K, V = problem(draw)
    K[0] = 400 * Q[0] / Q[0].square().sum()  # a score of 400 for the first query, whose exponential is infinite
    H, A = pair(student.attention(Q, K, V, beta=1.0), "attention")
    right_H, right_A = by_loops(Q, K, V, 1.0)
    close(A, right_A, "A for large scores", atol=1e-4)
    close(H, right_H, "H for large scores", atol=1e-4)


def allowed(draw, *shape):
    """A random mask in which every query may look at some keys, not at all of them."""
    mask = draw.bernoulli(*shape).bool()
    mask[..., 0], mask[..., -1] = True, False
    return mask


@earns("attention-mask", weight=2)
def test_masks(student, draw):
    """Under masks of every shape that fits, forbidden keys get no weight, and the others share all of it."""
    B, h = draw.size(2, 3), draw.size(2, 3)
    Q, K, V = problem(draw, B, h)
    n, m = Q.shape[-2], K.shape[-2]
    for shape in (n, m), (B, 1, 1, m), (1, h, n, m), (B, h, n, m):
        mask, beta = allowed(draw, *shape), draw.size(3, 15) / 10
        H, A = pair(student.attention(Q, K, V, beta=beta, mask=mask), "attention")
        A = tensor(A, "A", (B, h, n, m))
        forbidden = ~mask.expand(A.shape)
        assert not A[forbidden].any(), f"a mask of shape {shape}: there is weight where a query may not look"
        close(A.sum(-1), torch.ones(B, h, n), f"a mask of shape {shape}: the sum of a row of A")
        right = functional.scaled_dot_product_attention(Q, K, V, attn_mask=mask, scale=beta)
        close(H, right, f"H under a mask of shape {shape}", atol=1e-5)


@earns("attention-mask")
def test_what_is_forbidden_does_not_matter(student, draw):
    """Keys and values behind the mask can be anything, and a mask that allows everything changes nothing."""
    Q, K, V = problem(draw, 2)
    n, m = Q.shape[-2], K.shape[-2]
    hidden = draw.size(1, m - 1)
    mask = torch.ones(n, m, dtype=torch.bool)
    free, _ = pair(student.attention(Q, K, V), "attention")
    everything, _ = pair(student.attention(Q, K, V, mask=mask), "attention")
    close(everything, free, "H under a mask that is True everywhere")
    mask[:, hidden] = False
    before, _ = pair(student.attention(Q, K, V, mask=mask), "attention")
    K[:, hidden], V[:, hidden] = 20 * draw.normal(2, K.shape[-1]), 100.0
    after, _ = pair(student.attention(Q, K, V, mask=mask), "attention")
    close(after, before, "H after a forbidden key and its value have changed", atol=1e-5)
    rest = [j for j in range(m) if j != hidden]
    close(after, student.attention(Q, K[:, rest], V[:, rest])[0], "H without the forbidden key", atol=1e-5)


# ---------------------------------------------------------------------------------------------- heads


def two_layers(student, draw, heads, e):
    """The student's layer, and PyTorch's with the same weights."""
    weights, biases = 1.5 * draw.normal(4, e, e) / e**0.5, 0.5 * draw.normal(4, e)
    library = torch.nn.MultiheadAttention(e, heads, batch_first=True).eval()
    with torch.no_grad():
        library.in_proj_weight.copy_(weights[:3].flatten(0, 1))
        library.in_proj_bias.copy_(biases[:3].flatten())
        library.out_proj.weight.copy_(weights[3])
        library.out_proj.bias.copy_(biases[3])
    return HARNESS.beside(student).set_heads(student.MultiHeadAttention(e, heads), weights, biases), library


def asked(library, queries, keys, values, mask=None):
    """H and A by PyTorch's layer, under a mask that is True where one may look."""
    if mask is not None:
        h = library.num_heads
        mask = ~mask.expand(len(queries), h, queries.shape[1], keys.shape[1]).flatten(0, 1)
    with torch.no_grad():
        return library(queries, keys, values, attn_mask=mask, average_attn_weights=False)


@earns("heads", weight=3)
def test_answers_of_many_heads(student, draw):
    """H is that of PyTorch's own layer with the same weights, for any number of heads."""
    for h in 1, 2, draw.size(3, 4):
        e, B, n, m = h * draw.size(3, 5), draw.size(2, 3), draw.size(4, 6), draw.size(7, 9)
        ours, library = two_layers(student, draw, h, e)
        for queries, keys, values in ([draw.normal(B, n, e)] * 3, [draw.normal(B, k, e) for k in (n, m, m)]):
            H, _ = pair(ours(queries, keys, values), "MultiHeadAttention")
            right, _ = asked(library, queries, keys, values)
            close(H, right, f"H of {h} heads", rtol=1e-3, atol=1e-4)


@earns("heads", weight=2)
def test_weights_of_many_heads(student, draw):
    """Each head's weights A are those of PyTorch's own layer, with masks and without."""
    h = draw.size(2, 4)
    e, B, n, m = h * draw.size(3, 5), draw.size(2, 3), draw.size(4, 6), draw.size(7, 9)
    ours, library = two_layers(student, draw, h, e)
    queries, keys, values = (draw.normal(B, k, e) for k in (n, m, m))
    for mask in None, allowed(draw, n, m), allowed(draw, B, 1, 1, m):
        H, A = pair(ours(queries, keys, values, mask=mask), "MultiHeadAttention")
        right = asked(library, queries, keys, values, mask)
        which = "without a mask" if mask is None else f"under a mask of shape {tuple(mask.shape)}"
        close(A, right[1], f"A {which}", rtol=1e-3, atol=1e-5)
        close(H, right[0], f"H {which}", rtol=1e-3, atol=1e-4)


@earns("heads")
def test_all_four_layers_learn(student, draw):
    """The gradient reaches all four layers, and each example of a batch has its own answer."""
    tools, h = HARNESS.beside(student), draw.size(2, 3)
    e = 4 * h
    layer, x = tools.tuned(student.MultiHeadAttention(e, h), 1), draw.normal(3, 5, e)
    together, _ = pair(tools.answer(layer, x, x, x), "MultiHeadAttention")
    tensor(together, "H", x.shape)
    assert not alike(together[0], together[1]), "all examples of a batch get the same answer"
    alone, _ = tools.answer(layer, x[1:2], x[1:2], x[1:2])
    close(alone, together[1:2], "H of an example without its batch", rtol=1e-3, atol=1e-4)
    idle = tools.idle(layer, x, x, x)
    assert not idle, f"{', '.join(idle)} gets no gradient"


# ---------------------------------------------------------------------------------------------- places and masks


@earns("encoding", weight=2)
def test_encodings_of_places(student, draw):
    """Every entry is the sine or cosine of its place times its speed."""
    for dim in 2, 2 * draw.size(2, 5), 2 * draw.size(10, 20):
        length = draw.size(20, 60)
        P = student.sinusoidal_encoding(length, dim)
        right = torch.zeros(length, dim)
        for p in range(length):
            for k in range(dim):
                angle = p / 10000 ** (2 * (k // 2) / dim)
                right[p, k] = math.cos(angle) if k % 2 else math.sin(angle)
        # speeds in float32 are right to six digits, and 60 steps multiply the error
        close(P, right, f"sinusoidal_encoding({length}, {dim})", atol=1e-4)


@earns("encoding")
def test_what_encodings_are_for(student, reference, draw):
    """How well two places fit depends on their distance, and tokens that are shuffled don't get the same any more."""
    n, e = draw.size(8, 12), 2 * draw.size(4, 8)
    P = tensor(student.sinusoidal_encoding(n, e), "P", (n, e))
    fit = P @ P.T
    for distance in range(n):
        along = fit.diagonal(distance)
        close(along, along[:1].expand(len(along)), f"the inner products of places {distance} apart", atol=1e-3)
    assert (fit[0, 1:] < fit[0, 0] - 1e-3).all(), "two places have the same encoding"
    layer, x = reference.MultiHeadAttention(e, 1), draw.normal(1, n, e)
    with torch.no_grad():
        shuffled, straight = (layer(y, y, y)[0] for y in (x.flip(1) + P, x + P))
    assert not alike(shuffled.flip(1), straight, 1e-3), "attention does not notice in which order tokens come"


@earns("causal")
def test_causal_masks(student, draw):
    """Token i may look at token j when j is not later: boolean, for any n."""
    sizes = 1, 2, draw.size(5, 9), draw.size(10, 20)
    masks = [student.causal_mask(n) for n in sizes]
    for n, mask in zip(sizes, masks, strict=True):
        mask = tensor(mask, "the mask", (n, n))
        assert mask.dtype == torch.bool, f"the mask is {mask.dtype}, it should be boolean"
        for i in range(n):
            for j in range(n):
                may = "may look" if j <= i else "may not look"
                assert bool(mask[i, j]) == (j <= i), f"n = {n}: token {i} {may} at token {j}"


# ---------------------------------------------------------------------------------------------- the block


def any_block(student, draw, dropout=0.0):
    """A tuned block in evaluation mode, its embed_dim and its mlp_dim."""
    h = draw.size(2, 3)
    e, mlp = h * draw.size(3, 5), draw.size(16, 24)
    return HARNESS.beside(student).tuned(student.TransformerBlock(e, h, mlp, dropout), draw.size(1, 999)), e, mlp


@earns("block")
def test_parts_of_the_block(student, draw):
    """The shape stays; the parameters are those of four projections, two norms, and an MLP with mlp_dim units."""
    tools = HARNESS.beside(student)
    block, e, mlp = any_block(student, draw)
    x = draw.normal(draw.size(2, 3), draw.size(3, 6), e)
    y = tensor(tools.answer(block, x), "the output", x.shape)
    assert not alike(y, x, 1e-3), "the block changes nothing"
    parts = {"MHA": 4 * (e * e + e), "the MLP": 2 * e * mlp + mlp + e, "two norms": 4 * e}
    found, right = tools.count(block), sum(parts.values())
    assert found == right, f"embed_dim {e}, mlp_dim {mlp}: {found} parameters, it should be {right}, {parts}"


@earns("block", weight=2)
def test_main_road(student, draw):
    """What comes in goes through unchanged, and only corrections of normalised tokens are added to it."""
    tools = HARNESS.beside(student)
    block, e, _ = any_block(student, draw)
    x = draw.normal(2, 5, e)
    y = tensor(tools.answer(block, x), "the output", x.shape)
    assert not alike(y, x, 1e-3), "the block changes nothing"
    shift = 2 * draw.normal(2, 5, 1)
    moved = tools.answer(block, x + shift)
    # a LayerNorm takes each token's mean away: what it gives on is the same, and the sums carry the shift to the end
    close(moved - shift, y, "the output for shifted tokens, shifted back", rtol=1e-3, atol=1e-3)
    large = tools.answer(block, 1e4 * x) / 1e4
    close(large, x, "the output for very large tokens, where corrections are small", rtol=1e-2, atol=1e-2)
    close(tools.answer(tools.zeroed(block), x), x, "the output when all parameters are zero")


@earns("block")
def test_two_corrections(student, draw):
    """One correction comes from other tokens, whatever their order; the other one from the token alone, by an MLP."""
    tools = HARNESS.beside(student)
    block, e, _ = any_block(student, draw)
    x = draw.normal(2, 5, e)
    y = tensor(tools.answer(block, x), "the output", x.shape)
    order = torch.randperm(5, generator=draw.generator)
    close(tools.answer(block, x[:, order]), y[:, order], "the output for shuffled tokens", rtol=1e-3, atol=1e-4)
    other = x.clone()
    other[:, 0] = draw.normal(2, e)
    y_other = tools.answer(block, other)
    assert not alike(y_other[:, 1:], y[:, 1:], 1e-3), "tokens do not look at each other"
    found = tools.silenced(block, student.MultiHeadAttention)
    assert found == 1, f"the block should contain one MultiHeadAttention, it has {found}"
    y, y_other = tools.answer(block, x), tools.answer(block, other)
    close(y_other[:, 1:], y[:, 1:], "the output of other tokens when attention says nothing", rtol=1e-3, atol=1e-4)
    correction = y - x
    assert not alike(correction, correction[:, :1].expand_as(correction), 1e-3), "the MLP says the same to all tokens"
    # along the middle of two normalised tokens a map that is linear would be in the middle, too
    pure = tools.tuned(student.TransformerBlock(e, 1, 32, 0.0), 1)
    tools.silenced(pure, student.MultiHeadAttention)
    ends = functional.layer_norm(draw.normal(2, 4, e), (e,))
    opposite = torch.cat([ends, -ends, 0 * ends])
    up, down, middle = (tools.answer(pure, opposite) - opposite).chunk(3)
    assert not alike(up + down, 2 * middle, 1e-2), "the MLP is linear: what stands between its two layers?"


@earns("block-modes")
def test_dropout(student, draw):
    """Dropout works on the corrections, in training mode only, with the probability that is asked for."""
    tools = HARNESS.beside(student)
    block, e, _ = any_block(student, draw, dropout=0.5)
    x = draw.normal(2, 6, e)
    once, again = tools.answers(block, 2, False, x)
    close(again, tensor(once, "the output", x.shape), "the output of a second pass in evaluation mode")
    once, again = tools.answers(block, 2, True, x)
    assert not alike(once, again, 1e-3), "in training mode two passes give the same: nothing is dropped"
    without = tools.tuned(student.TransformerBlock(e, 1, 16, 0.0), 3)
    awake, asleep = tools.answer(without, x, training=True), tools.answer(without, x)
    close(awake, asleep, "the output in training mode with dropout=0.0")
    road = tools.answer(tools.zeroed(block), x, training=True)
    close(road, x, "what goes through in training mode when both corrections are zero")


@earns("block-modes")
def test_causality_of_the_block(student, draw):
    """Under a causal mask a token that changes is noticed by itself and by later ones, never by earlier ones."""
    tools, n = HARNESS.beside(student), draw.size(5, 7)
    block, e, _ = any_block(student, draw)
    x, mask = draw.normal(1, n, e), torch.ones(n, n).tril().bool()
    y = tensor(tools.answer(block, x, mask), "the output", x.shape)
    for token in 0, draw.size(1, n - 2), n - 1:
        other = x.clone()
        other[:, token] = draw.normal(e)
        changed = (tools.answer(block, other, mask) - y).abs().amax(-1)[0] > 1e-4
        assert not changed[:token].any(), f"token {token} has changed, and tokens before it have noticed"
        assert changed[token:].all(), f"token {token} has changed, and it or later ones have not noticed"


@earns("block-modes")
def test_gradients_of_the_block(student, draw):
    """The gradient reaches every parameter of the block."""
    tools = HARNESS.beside(student)
    block, e, _ = any_block(student, draw)
    x = draw.normal(2, 4, e)
    tensor(tools.answer(block, x), "the output", x.shape)
    idle = tools.idle(block, x)
    assert tools.count(block) > 0 and not idle, f"{', '.join(idle)} gets no gradient"


# ---------------------------------------------------------------------------------------------- the loop


def watched_run(student, draw, axes):
    """A training run of a Table, the labels of its rows, and the number of steps."""
    tools, K, steps = HARNESS.beside(student), draw.size(3, 5), draw.size(21, 29)
    labels, start = draw.integers(0, K - 1, 6), 2 * draw.normal(6, K)
    notes = tools.watched(student.train, tools.Table(start), labels, axes, steps, draw.size(1, 10**6))
    return notes, labels, steps


@earns("train")
def test_losses_of_the_loop(student, draw):
    """One fresh batch and one loss for each step: the mean cross-entropy, for labels (B,) and labels (B, n)."""
    for axes in (draw.size(5, 8),), (draw.size(4, 5), draw.size(6, 7)):
        (losses, drawn, _, rows, said, _, _, _), labels, steps = watched_run(student, draw, axes)
        assert drawn == len(said) == steps, f"{steps} steps drew {drawn} batches and asked the model {len(said)} times"
        assert isinstance(losses, list | tuple), "train should return a list of losses"
        assert len(losses) == steps, f"{len(losses)} losses come back from {steps} steps"
        assert all(isinstance(loss, float) for loss in losses), "the losses should be plain numbers"
        pairs = zip(said, rows, strict=True)
        right = [functional.cross_entropy(z.flatten(0, -2), labels[r].flatten()).item() for z, r in pairs]
        close(torch.tensor(losses), torch.tensor(right), f"the list of losses for labels {axes}", rtol=1e-3, atol=1e-4)


@earns("train")
def test_steps_of_the_loop(student, draw):
    """Each step follows the gradient of its own loss, and the model learns in training mode."""
    for axes in (draw.size(5, 8),), (draw.size(4, 5), draw.size(6, 7)):
        (_, _, modes, _, said, gradients, stale, moved), _, steps = watched_run(student, draw, axes)
        assert len(said) == gradients == steps, f"{steps} steps made {gradients} backward passes"
        assert all(modes), "the model was not in training mode"
        assert not stale, "a gradient has something left over from the step before"
        assert moved, "the parameters are what they were before"


@pytest.fixture(scope="module")
def once():
    """Room for what the training runs have shown, which several tests look at."""
    return {}


def remembered(once, name, find):
    """What `find()` returns or raises, found out only once."""
    if name not in once:
        try:
            once[name] = find()
        except (StudentError, AssertionError) as error:
            once[name] = error
    if isinstance(once[name], Exception):
        raise once[name]
    return once[name]


def short_words(student, draw):
    """Assert that words of five letters are reversed: whoever cannot do that need not run for long."""
    tools, words = HARNESS.beside(student), draw.integers(0, 7, 200, 5)
    model = student.SequenceModel(8, 5, embed_dim=32)
    model = tools.taught_words(student.train, model, 8, 5, 32, 300, draw.size(1, 10**6))
    scores = tensor(tools.logits(model, words), "the logits", (200, 5, 8))
    found = (scores.argmax(-1) == words.flip(1)).float().mean().item()
    assert found >= 0.5, f"after 300 steps on words of five letters from an alphabet of eight {found:.0%} are right"


def letters_right(once, student, reference, draw):
    """The share of letters of 2,000 hidden words that come out right after 250 steps."""

    def teach():
        tools, seed = HARNESS.beside(student), draw.size(1, 10**6)
        model = reference.SequenceModel(27, 15)
        allowance = ten_times(lambda: reference.train(model, lambda: reference.random_words(64), 20), 20 / 250)
        with student.within(allowance):
            model = tools.taught_words(student.train, student.SequenceModel(27, 15), 27, 15, 64, 250, seed)
        words = draw.integers(0, 26, 2000, 15)
        scores = tensor(tools.logits(model, words), "the logits", (2000, 15, 27))
        return (scores.argmax(-1) == words.flip(1)).float().mean().item()

    return remembered(once, "words", teach)


@earns("reverse-learns", weight=2, trains=True)
def test_many_letters_are_right(student, shared_student, once, reference, draw):
    """After 250 steps 80 % of the letters of hidden words are right."""
    short_words(student, draw)
    found = letters_right(once, shared_student, reference, draw)
    assert found >= 0.8, f"{found:.1%} of the letters are right, it should be 80 %"


@earns("reverse-learns", weight=3, trains=True)
def test_nearly_all_letters_are_right(student, shared_student, once, reference, draw):
    """After 250 steps 98 % of the letters of hidden words are right."""
    short_words(student, draw)
    found = letters_right(once, shared_student, reference, draw)
    assert found >= 0.98, f"{found:.1%} of the letters are right, it should be 98 %"


# ---------------------------------------------------------------------------------------------- patches


def cut(images, p):
    """The pixels (B, n, C, p, p) of the patches of images (B, C, s, s), row by row."""
    side = range(0, images.shape[-1], p)
    return torch.stack([images[..., r : r + p, c : c + p] for r in side for c in side], dim=1)


@earns("patches")
def test_tokens_of_patches(student, draw):
    """There is a token for each patch, from one linear map with a bias."""
    tools = HARNESS.beside(student)
    for p in 1, draw.size(2, 3), 4:
        side, C, e, B = draw.size(2, 4), draw.size(1, 3), draw.size(5, 9), draw.size(2, 3)
        embed = tools.tuned(student.PatchEmbedding(side * p, p, C, e), 1)
        tokens = tools.answer(embed, draw.normal(B, C, side * p, side * p))
        tokens = tensor(tokens, f"{side} × {side} patches: the result", (B, side**2, e))
        assert len(tokens.flatten(0, 1).unique(dim=0)) == B * side**2, "different patches become the same token"
        found, right = tools.count(embed), e * C * p * p + e
        assert found == right, f"{C} × {p} × {p} pixels to {e} features: {found} parameters, it should be {right}"


@earns("patches", weight=3)
def test_patches_reassemble(student, draw):
    """From tokens alone, every patch of an image can be put back where it was, pixel for pixel."""
    tools, side, p, C = HARNESS.beside(student), draw.size(3, 4), draw.size(2, 3), draw.size(1, 2)
    size, pixels = side * p, C * p * p
    e = 2 * pixels + draw.size(1, 5)  # more features than pixels: nothing has to be lost
    embed, images = tools.tuned(student.PatchEmbedding(size, p, C, e), 1), draw.normal(2, C, size, size)
    probes = torch.zeros(pixels, C, size, size)  # each has one bright pixel, in the first patch
    probes[..., :p, :p] = torch.eye(pixels).view(pixels, C, p, p)
    tokens = tensor(tools.answer(embed, images), "the result", (2, side**2, e))
    dark = tensor(tools.answer(embed, 0 * images[:1]), "the result", (1, side**2, e))
    told = tensor(tools.answer(embed, probes), "the result", (pixels, side**2, e)) - dark
    assert not (told[:, 1:].abs() > 1e-5).any(), "a pixel of the first patch is seen by tokens other than the first one"
    seen = torch.linalg.matrix_rank(told[:, 0], rtol=1e-4).item()
    assert seen == pixels, f"of the first patch's {pixels} pixels the first token can tell {seen} apart"
    right = cut(images, p).flatten(2)  # (2, n, pixels)
    back = (tokens - dark) @ torch.linalg.pinv(told[:, 0])
    columns = right.unflatten(1, (side, side)).transpose(1, 2).flatten(1, 2)
    assert not alike(back, columns, 1e-2), "the patches come column by column"
    # the inverse of a random matrix makes rounding errors larger by a factor of some tens
    close(back, right, "the pixels of the patches, read back from their tokens", rtol=1e-2, atol=1e-2)


# ---------------------------------------------------------------------------------------------- the vision transformer


def any_vit(student, draw, dropout=0.1, layers=2):
    """A tuned ViT in evaluation mode with 3 × 3 patches, images for it, and its embed_dim."""
    h, p, C, K = draw.size(2, 3), draw.size(2, 4), draw.size(1, 3), draw.size(3, 7)
    e = 6 * h
    model = student.VisionTransformer(3 * p, p, C, e, h, draw.size(14, 17), layers, K, dropout)
    return HARNESS.beside(student).tuned(model, draw.size(1, 999)), draw.normal(4, C, 3 * p, 3 * p), e, K


@earns("vit")
def test_size_of_the_vit(student, draw):
    """There are logits for each class, and as many parameters as all the parts together need."""
    tools = HARNESS.beside(student)
    for layers in 1, draw.size(2, 4):
        side, p, C, h, K = draw.size(2, 4), draw.size(2, 4), draw.size(1, 3), draw.size(1, 3), draw.size(2, 7)
        e, mlp = 4 * h, draw.size(5, 20)
        model = student.VisionTransformer(side * p, p, C, e, h, mlp, layers, K)
        tensor(tools.answer(model, draw.normal(3, C, side * p, side * p)), "the result", (3, K))
        block = 4 * (e * e + e) + 2 * e * mlp + mlp + e + 4 * e
        parts = {"patches": (C * p * p + 1) * e, "class token": e, "places": (side**2 + 1) * e}
        parts |= {"blocks": layers * block, "last norm": 2 * e, "head": (e + 1) * K}
        found, right = tools.count(model), sum(parts.values())
        assert found == right, f"{found} parameters, it should be {right}: {parts}"


@earns("vit")
def test_class_token(student, draw):
    """The answer is read off the class token, which is learned and the same for every image and at every time."""
    tools = HARNESS.beside(student)
    model, images, _, K = any_vit(student, draw)
    first, second = tools.answers(model, 2, False, images)
    first = tensor(first, "the result", (4, K))
    close(second, first, "the logits of the same images, asked again", atol=1e-5)
    assert not alike(first[:1].expand_as(first), first, 1e-3), "all images get the same logits"
    idle = tools.idle(model, images)
    assert not idle, f"{', '.join(idle)} gets no gradient"
    tools.silenced(model, student.MultiHeadAttention)
    silent = tools.answer(model, images)
    told = "tokens don't look at each other any more, but logits still depend on the image: what are they read off?"
    assert alike(silent[:1].expand_as(silent), silent, 1e-3), told


@earns("vit")
def test_places_of_the_vit(student, draw):
    """Shuffled patches get another answer, unless their learned places are shuffled along with them."""
    tools = HARNESS.beside(student)
    model, images, e, K = any_vit(student, draw)
    p = images.shape[-1] // 3
    before = tensor(tools.answer(model, images), "the result", (4, K))
    order = torch.cat([torch.randperm(8, generator=draw.generator) + 1, torch.tensor([0])])  # the first one moves
    patches = cut(images, p)[:, order].unflatten(1, (3, 3))  # (B, 3, 3, C, p, p)
    shuffled = patches.permute(0, 3, 1, 4, 2, 5).reshape(images.shape)
    assert not alike(tools.answer(model, shuffled), before, 1e-3), "shuffled patches get the same logits"
    places = tools.get_places(model, 10, e)
    assert places is not None, f"there is no parameter of places for 1 + 9 tokens of {e} features"
    tools.set_places(model, torch.cat([places[:1], places[1:][order]]))
    moved = tools.answer(model, shuffled)
    close(moved, before, "the logits when patches and places are shuffled alike", rtol=1e-2, atol=1e-3)


@earns("vit")
def test_norms_of_the_vit(student, draw):
    """A token whose features all rise alike changes nothing: norms stand before each correction and before the head."""
    tools = HARNESS.beside(student)
    model, images, e, K = any_vit(student, draw)
    before = tensor(tools.answer(model, images), "the result", (4, K))
    places = tools.get_places(model, 10, e)
    assert places is not None, f"there is no parameter of places for 1 + 9 tokens of {e} features"
    tools.set_places(model, places + 2 * draw.normal(10, 1))
    close(tools.answer(model, images), before, "the logits after all places have risen", rtol=1e-2, atol=1e-3)
    tools.set_places(model, places + 2 * draw.normal(10, e))
    assert not alike(tools.answer(model, images), before, 1e-3), "the places don't matter"


@earns("vit")
def test_modes_of_the_vit(student, draw):
    """In evaluation mode an image's answer is its own and always the same; in training mode dropout is at work."""
    tools = HARNESS.beside(student)
    model, images, _, K = any_vit(student, draw, dropout=0.5)
    together = tensor(tools.answer(model, images), "the result", (4, K))
    close(tools.answer(model, images[1:2]), together[1:2], "the logits without the batch", rtol=1e-3, atol=1e-4)
    once, again = tools.answers(model, 2, True, images)
    assert not alike(once, again, 1e-3), "in training mode two passes give the same: where is the dropout?"
    sober, images, *_ = any_vit(student, draw, dropout=0.0)
    awake, asleep = tools.answer(sober, images, training=True), tools.answer(sober, images)
    close(awake, asleep, "the logits in training mode with dropout=0.0", rtol=1e-3, atol=1e-4)


GRADED = (20, 4, 1, 48, 4, 96, 2, 10)


def pictures_by_heart(student, draw):
    """Assert that 24 pictures are learned by heart: whoever cannot do that need not run for long."""
    pictures, labels = 2 * functional.avg_pool2d(draw.normal(24, 1, 22, 22), 3, stride=1), torch.arange(24) % 4
    tools = HARNESS.beside(student)
    model = student.VisionTransformer(20, 4, 1, 32, 4, 64, 2, 4, dropout=0.0)
    model = tools.taught_pictures(student.train, model, pictures, labels, 12, 160, draw.size(1, 10**6))
    known = int((tensor(tools.logits(model, pictures), "the logits", (24, 4)).argmax(1) == labels).sum())
    # one batch alone, learned by heart, and guesses for the rest make 15
    assert known >= 20, f"after 160 steps on batches of 24 pictures your network knows {known} of them by heart"


def digits_right(once, student, reference, draw):
    """The share of hidden digits that are read, at places of their own, after 1,000 steps."""

    def teach():
        digits, tools = load_digits(), HARNESS.beside(student)
        order = torch.randperm(len(digits.target), generator=draw.generator)
        x = torch.tensor(digits.images, dtype=torch.float32)[order, None] / 16  # (1797, 1, 8, 8)
        y = torch.tensor(digits.target)[order]
        large = functional.interpolate(x[:1400], size=(14, 14), mode="bilinear")
        large = (255 * large).round().to(torch.uint8)
        model, batch = reference.VisionTransformer(*GRADED, dropout=0.0), (reference.place(x[:64]), y[:64])
        allowance = ten_times(lambda: reference.train(model, lambda: batch, 20), 20 / 1000)
        model, seed = student.VisionTransformer(*GRADED, dropout=0.0), draw.size(1, 10**6)
        with student.within(allowance):
            model = tools.taught_digits(student.train, model, large, y[:1400], 64, 1000, seed)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(draw.size(0, 2**31))
            canvases = reference.place(x[1400:].repeat(5, 1, 1, 1))
        canvases = (127.5 * (canvases + 1)).round().to(torch.uint8)
        scores = tensor(tools.logits(model, canvases), "the logits", (len(canvases), 10))
        return (scores.argmax(1) == y[1400:].repeat(5)).float().mean().item()

    return remembered(once, "digits", teach)


@earns("vit-learns", trains=True)
def test_many_digits_are_read(student, shared_student, once, reference, draw):
    """After 1,000 steps 75 % of hidden digits are read."""
    pictures_by_heart(student, draw)
    found = digits_right(once, shared_student, reference, draw)
    assert found >= 0.75, f"{found:.1%} of the hidden digits are read, it should be 75 %"


@earns("vit-learns", trains=True)
def test_most_digits_are_read(student, shared_student, once, reference, draw):
    """After 1,000 steps 90 % of hidden digits are read."""
    pictures_by_heart(student, draw)
    found = digits_right(once, shared_student, reference, draw)
    assert found >= 0.9, f"{found:.1%} of the hidden digits are read, it should be 90 %"


# ---------------------------------------------------------------------------------------------- the rollout


@earns("rollout", weight=2)
def test_rollout_of_layers(student, draw):
    """R is the product of the layers, the last one on the left, each half identity and half a mean of its heads."""
    for layers in 1, 2, draw.size(3, 4):
        B, h, n = draw.size(2, 3), draw.size(2, 4), draw.size(5, 7)
        maps = [(2 * draw.normal(B, h, n, n)).softmax(-1) for _ in range(layers)]
        right = torch.stack([torch.eye(n)] * B)
        for A in maps:
            right = torch.stack([(torch.eye(n) / 2 + A[b].mean(0) / 2) @ right[b] for b in range(B)])
        close(student.attention_rollout(maps), right, f"R of {layers} layers", atol=1e-5)


@earns("rollout")
def test_rollout_of_simple_maps(student, draw):
    """Where all look at themselves R is the identity; what one layer has told, the next one passes on."""
    n, h = draw.size(4, 6), draw.size(2, 3)
    selfish = [torch.eye(n).expand(2, h, n, n)] * 3
    close(student.attention_rollout(selfish), torch.eye(n).expand(2, n, n), "R of tokens that look at themselves")
    follow = torch.eye(n).roll(1, 0)  # token i looks at token i - 1 …
    sit = torch.eye(n)
    sit[0] = functional.one_hot(torch.tensor(n - 1), n)  # … or only token 0 looks away, at the last one
    maps = [A.expand(1, h, n, n).contiguous() for A in (follow, sit)]
    R = tensor(student.attention_rollout(maps), "R", (1, n, n))[0]
    close(R.sum(-1), torch.ones(n), "the sum of a row of R")
    right = (torch.eye(n) + sit) / 2 @ (torch.eye(n) + follow) / 2
    close(R, right, "R of one layer that passes on and one in which token 0 looks at the last token")
