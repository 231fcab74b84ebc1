# %% [markdown] nbgrader={"grade": false, "grade_id": "header", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
# A transformer that reads and sees

A convolution looks at its neighbours. A recurrent network looks at its memory. A transformer looks *wherever it
likes*: every token asks a question, every token holds up a label, and who asks decides whose answer to take. Nothing
in this says what a token is. Today the same few lines turn words round, letter by letter, and then read digits
from a picture that was cut into pieces.

**What you will build.** Attention, many heads of it, encodings and a mask, the block that large language models are
stacked from, and a vision transformer. You train two models in less time than it takes to make tea, and each time you
look inside: where do they look?

| exercise | you write | points | difficulty | minutes |
| --- | --- | --- | --- | --- |
| 1 | `attention` | 4 + 3 | ★★☆ | 35 |
| 2 | `MultiHeadAttention` | 6 | ★★★ | 40 |
| 3 | `sinusoidal_encoding`, `causal_mask` | 3 + 2 | ★☆☆ | 25 |
| 4 | `TransformerBlock` | 4 + 3 | ★★☆ | 40 |
| 5 | `train`, and what it learns to reverse | 2 + 5 | ★★☆ | 30 |
| 6 | `PatchEmbedding` | 4 | ★★☆ | 20 |
| 7 | `VisionTransformer`, and what it reads | 5 + 6 | ★★★ | 35 |
| 8 | `attention_rollout` | 3 | ★★☆ | 15 |
| | **in all** | **50** | | **240** |

**You need** the theory notebook of this homework, `nn.Module`, and a training loop (Homework 2). Everything runs on a
CPU; a GPU is used where there is one. The longest cell takes a minute.

**How to work.** Replace each `raise NotImplementedError` by your code. **PyTorch's own attention and transformer
modules are shut** while your code is graded: `scaled_dot_product_attention`, `nn.MultiheadAttention`,
`nn.Transformer…`. Linear layers, `nn.LayerNorm`, softmax and all the rest are welcome. Cells that train for long or
only draw are skipped then; the grader trains your models itself, for a fixed number of steps.
"""

# %% [markdown] nbgrader={"grade": false, "grade_id": "colab", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
[![Open this notebook in Google Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/your-organisation/deep-learning/blob/main/release/hw4/transformer.ipynb)
"""

# %% nbgrader={"grade": false, "grade_id": "setup", "locked": true, "schema_version": 3, "solution": false, "task": false}
# Set-up, the same for everybody: run this cell first.
import random

import numpy as np
import torch

if torch.__version__ < (2, 9):
    print(f"This notebook needs PyTorch 2.9 or newer, and this is {torch.__version__}: please upgrade it.")

random.seed(0)
np.random.seed(0)
torch.manual_seed(0)
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

# The cells below use these names themselves: announced, BLUE, compare, device, draw_map, GREEN, numbers,
# ORANGE, RED, relative_error, SequenceModel, attention_maps, random_words, models, right_at, place, digits_8,
# digits_y, unseen, accuracy_of, vit_losses, sampler, vit, numbers_of_digits, scores. Give your own helpers
# other names.

# %% nbgrader={"grade": false, "grade_id": "helpers", "locked": true, "schema_version": 3, "solution": false, "task": false}
import math

import matplotlib.pyplot as plt
import torch
from torch import nn
from torch.nn import functional

BLUE, ORANGE, GREEN, RED = "#0072B2", "#E69F00", "#009E73", "#D55E00"  # safe for colour-blind readers


def relative_error(a, b):
    """The largest difference of two tensors, relative to their own size: 0 means equal, 1 means unrelated."""
    a, b = torch.as_tensor(a).detach().cpu().double(), torch.as_tensor(b).detach().cpu().double()
    return float((a - b).abs().max() / (a.abs().max() + b.abs().max()).clamp(min=1e-12))


def compare(name, yours, right, tolerance=1e-4):
    """Assert that `yours` equals `right`; when it does not, say in which way it differs."""
    assert yours is not None, f"{name} is None: is a return statement missing?"
    whole = not torch.as_tensor(right).is_floating_point()  # of labels and counts, factors mean nothing
    if not isinstance(yours, torch.Tensor):  # an array, a list or a number
        yours = torch.as_tensor(yours, dtype=torch.double)
    yours, right = yours.detach().cpu().double(), torch.as_tensor(right).detach().cpu().double()
    shape = f"{name}: the shape is {tuple(yours.shape)}, it should be {tuple(right.shape)}"
    assert yours.shape == right.shape, shape
    error = relative_error(yours, right)
    if not error < tolerance:
        factor = float((yours * right).sum() / (yours * yours).sum().clamp(min=1e-12))
        reason = "right shape, wrong values"
        if not torch.isfinite(yours).all():
            reason = "some values are infinite or not a number"
        elif whole:
            reason = f"{int((yours != right).sum())} of {right.numel()} values differ"
        elif relative_error(-yours, right) < tolerance:
            reason = "right size, wrong sign"
        elif yours.ndim == 2 and yours.shape == yours.T.shape and relative_error(yours.T, right) < tolerance:
            reason = "it is transposed"
        elif yours.numel() > 1 and abs(factor - 1) > 0.001 and relative_error(factor * yours, right) < tolerance:
            reason = f"right up to a factor: multiplied by {factor:.4g} it would be correct"
        raise AssertionError(f"{name}: {reason} (relative error {error:.1e})")
    print(f"ok  {name:24} relative error {error:.0e}")


def numbers(*shapes, seed):
    """A tensor of standard normal numbers for each shape."""
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, generator=generator) for shape in shapes]


device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
torch.set_num_threads(1)  # for models as small as ours, one thread is as fast as many


def draw_map(ax, A, title, keys="key", queries="query"):
    """Weights (n, m) as a grid of blue squares: queries count rows, keys count columns."""
    ax.imshow(A.detach().cpu(), cmap="Blues", vmin=0)
    ax.set_title(title, fontsize=10)
    ax.set(xlabel=keys, ylabel=queries)


def announced(sample, steps, name):
    """`sample`, which now also shows how far a training run of so many steps has come."""
    calls = 0

    def announcing():
        nonlocal calls
        calls += 1
        if calls % 25 == 0 or calls == steps:
            print(f"\r{name}: step {calls} of {steps}", end="\n" if calls == steps else "")
        return sample()

    return announcing


# %% [markdown] nbgrader={"grade": false, "grade_id": "attention-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
## 1 · Attention

On paper we wrote tokens as columns. Libraries stack them as **rows**, and put a batch in front: $n$ queries are a
tensor `Q` of shape `(…, n, d)`, and $m$ keys with their values are `K` `(…, m, d)` and `V` `(…, m, t)`. The dots are
any number of leading axes, batch and heads in our case; each of their entries is a problem of its own. Row $i$ of the
weights $A$ tells how query $i$ spreads its attention over the keys:

$$A = \mathrm{softargmax}_\beta(Q K^\top), \qquad
A_{ij} = \frac{\exp(\beta\, q_i^\top k_j)}{\sum_{l=1}^{m} \exp(\beta\, q_i^\top k_l)}, \qquad H = A V .$$

With $\beta = 1/\sqrt{d}$ the scores of random queries and keys have variance 1, whatever $d$ is.

A **mask** says who may look where. Ours is boolean, **`True` means "may look"**, and it is broadcast to the shape of
$A$, `(…, n, m)`. What is forbidden gets weight 0, however well it fits, and what is allowed still adds up to 1. (Every
query may look at one key at least.)

**Exercise 1 · `attention`** · 4 points, 3 for the mask · ★★☆ · 35 minutes

*Two matrix products, one softmax, and a decision about where the mask goes.* Models will learn through your function:
use operations on tensors that gradients can pass. No function or module here may change its arguments in place.

<details><summary>Hint</summary>

`transpose(-2, -1)` turns the last two axes only. Over which axis do weights add up to 1? For the mask: which score does
a key need for its weight to come out as exactly zero, while the *others* share what it would have had?

</details>
"""


# %% nbgrader={"grade": false, "grade_id": "attention-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def attention(Q, K, V, beta=None, mask=None):
    """Every query's mean of the values, weighted by how well their keys fit.

    Q:    queries (…, n, d)
    K, V: keys (…, m, d) and their values (…, m, t)
    beta: the inverse temperature; None stands for 1/√d
    mask: None, or a boolean tensor that can be broadcast to (…, n, m), True where a query may look at a key

    Returns a tuple of H (…, n, t) and the weights A (…, n, m).
    """
    raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "attention", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def _check_attention():
    Q, K, V = numbers((2, 3, 5, 8), (2, 3, 7, 8), (2, 3, 7, 4), seed=1)
    H, A = attention(Q, K, V)
    assert A.shape == (2, 3, 5, 7), f"A has shape {tuple(A.shape)}: 5 queries look at 7 keys, in each of 2 × 3 problems"
    compare("the rows of A add up to 1", A.sum(-1), torch.ones(2, 3, 5))
    compare("H for β = 1/√d", H, functional.scaled_dot_product_attention(Q, K, V))
    compare("H for β = 2", attention(Q, K, V, beta=2.0)[0], functional.scaled_dot_product_attention(Q, K, V, scale=2.0))
    compare("H for β = 0, the plain mean", attention(Q, K, V, beta=0)[0], V.mean(-2, keepdim=True).expand(2, 3, 5, 4))
    compare("H without leading axes", attention(Q[0, 0], K[0, 0], V[0, 0])[0], H[0, 0])


_check_attention()


# %% nbgrader={"grade": true, "grade_id": "attention-mask", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def _check_attention_mask():
    Q, K, V = numbers((2, 3, 5, 8), (2, 3, 7, 8), (2, 3, 7, 4), seed=1)
    mask = torch.rand(5, 7, generator=torch.Generator().manual_seed(2)) < 0.5
    mask[:, 0] = True  # everybody may look at key 0
    H, A = attention(Q, K, V, mask=mask)
    assert not A[..., ~mask].any(), "some weights are positive where the mask forbids to look"
    compare("masked rows add up to 1 as well", A.sum(-1), torch.ones(2, 3, 5))
    compare("H under a mask", H, functional.scaled_dot_product_attention(Q, K, V, attn_mask=mask))
    for size in (2, 1, 5, 7), (1, 1, 1, 7):
        part = mask[: size[-2]].expand(size)
        right = functional.scaled_dot_product_attention(Q, K, V, attn_mask=part)
        compare(f"H under a mask of shape {size}", attention(Q, K, V, mask=part)[0], right)
    best, others = K.clone(), torch.arange(7) != 1
    best[..., 1, :] = 10000 * Q.sum(-2)  # key 1 has scores of many thousands
    right = functional.scaled_dot_product_attention(Q, K[..., others, :], V[..., others, :])
    compare("H without the best key", attention(Q, best, V, mask=others)[0], right)


_check_attention_mask()

# %% [markdown] nbgrader={"grade": false, "grade_id": "curve-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
What is it good for? Take eight measured points $(x_j, y_j)$ as keys and values, every place on the axis as a query, and
let keys fit when they are near: with $q = (x, 1)$ and $k_j = (x_j, -x_j^2 / 2)$ the score is $-(x - x_j)^2 / 2$, plus
something that is the same for all keys and drops out. Then attention *draws a curve through points*.
"""


# %% nbgrader={"grade": false, "grade_id": "curve-figure", "locked": true, "schema_version": 3, "solution": false, "task": false} tags=["demo"]
def _figure():
    x_j = torch.tensor([-2.6, -1.9, -1.2, -0.3, 0.4, 1.1, 2.1, 2.7])
    y_j = torch.sin(1.5 * x_j) + torch.tensor([0.1, -0.2, 0.15, 0.1, -0.15, 0.2, 0.05, -0.1])
    x = torch.linspace(-3.2, 3.2, 300)
    Q, K = torch.stack([x, torch.ones(300)], dim=1), torch.stack([x_j, -(x_j**2) / 2], dim=1)
    figure, ax = plt.subplots(figsize=(7, 2.9))
    for beta, color, line in (0.3, GREEN, ":"), (5, BLUE, "-"), (200, ORANGE, "--"):
        H, _ = attention(Q, K, y_j[:, None], beta=beta)
        ax.plot(x, H, line, color=color, label=f"β = {beta}")
    ax.plot(x_j, y_j, "ko", label="keys and values")
    ax.set(xlabel="x, the query", ylabel="H", title="One question at every place")
    ax.legend(fontsize=8, loc="upper left", bbox_to_anchor=(1, 1))
    plt.show()


_figure()

# %% [markdown] nbgrader={"grade": false, "grade_id": "heads-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
*In the figure: the eight points, and attention's answer at every $x$ for three values of β.* Cool attention (large β,
dashed) copies the nearest value and makes stairs; hot attention (small β, dotted) hardly cares who was asked; in
between (solid) it interpolates. A transformer learns where to be on this scale.

## 2 · Many heads

One head has one way of looking. Several heads look at the same tokens in several ways at once, each in a small room of
its own. With $e$ features (`embed_dim`) and $h$ heads, each has $d = e / h$ features:

1. project: three linear layers $e \to e$ give queries, keys, values `(B, n, e)`;
2. split: features $0 \dots d - 1$ belong to head 0, the next $d$ to head 1, and so on, `(B, h, n, d)`;
3. attend, all heads at once, with $\beta = 1 / \sqrt{d}$, for it is $d$ features that are summed in a score;
4. put the heads' answers side by side, in the same order, `(B, n, e)`, and mix them by a fourth layer $e \to e$.

The layers are given, so that weights can be copied in and out: all of us use the same four names.

**Exercise 2 · `MultiHeadAttention`** · 6 points · ★★★ · 40 minutes

*Write `forward`.* You have `attention`, which takes any leading axes.

<details><summary>Hint</summary>

A reshape never moves a number in memory; it only counts differently. So it may cut an axis in two, or glue two axes
that *stand side by side in the right order*. It cannot exchange axes: what does? Write the shape beside every line,
there and back. When every shape is right and values still are not, feed a layer whose four matrices are identities.

</details>
"""


# %% nbgrader={"grade": false, "grade_id": "heads-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
class MultiHeadAttention(nn.Module):
    """Attention of several heads, each with embed_dim / num_heads features of its own."""

    def __init__(self, embed_dim, num_heads):
        super().__init__()
        self.num_heads = num_heads
        self.W_Q = nn.Linear(embed_dim, embed_dim)
        self.W_K = nn.Linear(embed_dim, embed_dim)
        self.W_V = nn.Linear(embed_dim, embed_dim)
        self.W_O = nn.Linear(embed_dim, embed_dim)

    def forward(self, queries, keys, values, mask=None):
        """Queries (B, n, embed_dim) look at keys and values (B, m, embed_dim), before their projections.

        mask: None, or boolean and broadcast to (B, num_heads, n, m), True where a query may look

        Returns a tuple of H (B, n, embed_dim) and the weights A (B, num_heads, n, m).
        """

        raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "heads", "locked": true, "points": 6, "schema_version": 3, "solution": false, "task": false}
def _check_heads():
    torch.manual_seed(3)
    library, ours = nn.MultiheadAttention(12, 3, batch_first=True), MultiHeadAttention(12, 3)
    with torch.no_grad():  # the same weights for both
        library.in_proj_bias.normal_()
        library.in_proj_weight.copy_(torch.cat([ours.W_Q.weight, ours.W_K.weight, ours.W_V.weight]))
        library.in_proj_bias.copy_(torch.cat([ours.W_Q.bias, ours.W_K.bias, ours.W_V.bias]))
        library.out_proj.weight.copy_(ours.W_O.weight)
        library.out_proj.bias.copy_(ours.W_O.bias)
    queries, keys, values = numbers((2, 5, 12), (2, 7, 12), (2, 7, 12), seed=4)
    mask = torch.ones(5, 7).tril(1).bool()
    for name, may_look in ("everywhere", None), ("under a mask", mask):
        H, A = ours(queries, keys, values, mask=may_look)
        forbidden = None if may_look is None else ~may_look  # the library says it the other way round
        right = library(queries, keys, values, attn_mask=forbidden, average_attn_weights=False)
        compare(f"A of three heads that look {name}", A, right[1])
        compare(f"H of three heads that look {name}", H, right[0])


_check_heads()


# %% nbgrader={"grade": false, "grade_id": "heads-figure", "locked": true, "schema_version": 3, "solution": false, "task": false} tags=["demo"]
def _figure():
    word = "bananas"
    which = functional.one_hot(torch.tensor(["bans".index(letter) for letter in word]), 4)  # (7, 4)
    angles = torch.arange(7) * 0.5
    where = torch.stack([angles.cos(), angles.sin(), 0 * angles, 0 * angles], dim=1)  # (7, 4)
    layer = MultiHeadAttention(8, 2)
    with torch.no_grad():
        for part in layer.W_Q, layer.W_K:
            part.weight.copy_(4 * torch.eye(8))
            part.bias.zero_()
        tokens = torch.cat([which, where], dim=1)[None]  # (1, 7, 8)
        _, A = layer(tokens, tokens, tokens)
    figure, axes = plt.subplots(1, 2, figsize=(6.4, 3))
    for ax, weights, title in zip(axes, A[0], ("head 0: who is like me?", "head 1: who is near?"), strict=True):
        draw_map(ax, weights, title)
        ax.set(xticks=range(7), xticklabels=word, yticks=range(7), yticklabels=word)
    figure.tight_layout()
    plt.show()


_figure()

# %% [markdown] nbgrader={"grade": false, "grade_id": "encoding-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
*In the figure: the weights of two heads that were set by hand; each row is a letter that asks, darker is more.* Tokens
have four features that say *which* letter they are, and four that say *where* they stand. Head 0 got the former: every
`a` looks at all three `a`s. Head 1 got the latter: all look at themselves and their neighbours.

## 3 · Where, and how far

Head 1 could only know what is near because we had written the place into the token. Attention itself has no idea:
shuffle the tokens, and the answers come shuffled and otherwise unchanged. So places have to be *added* to the tokens,
as vectors that are easy to tell apart. Take clocks whose hands turn at different speeds. For place $p = 0, 1, \dots$
and $i = 0, \dots, \frac{e}{2} - 1$,

$$P_{p,\,2i} = \sin\bigl(p / 10000^{2i/e}\bigr), \qquad P_{p,\,2i+1} = \cos\bigl(p / 10000^{2i/e}\bigr) .$$

The first clock turns once in about 6 places, the last one in some ten thousand. A step of $k$ places turns every hand
by an angle that does not depend on $p$, hence "three to the left" is the same linear map everywhere.

The second thing that attention lacks is an arrow of time. A model that predicts what comes next must not look at it.
The **causal mask** lets token $i$ look at itself and at those before it.

**Exercise 3 · `sinusoidal_encoding`, `causal_mask`** · 3 + 2 points · ★☆☆ · 25 minutes

*A few lines, without a loop.* `True` still means "may look".

<details><summary>Hint</summary>

Make a column of places and a row of speeds, and multiply. Sine and cosine take turns along the last axis; slices with
a step of 2 can be assigned to. For the mask, compare two ranges.

</details>
"""


# %% nbgrader={"grade": false, "grade_id": "encoding-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def sinusoidal_encoding(length, dim):
    """The encodings P of places 0 to length - 1: a float32 tensor (length, dim); dim is even."""
    raise NotImplementedError


def causal_mask(n):
    """A boolean tensor (n, n): entry (i, j) is True where token i may look at token j, which is not later."""
    raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "encoding", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def _check_encoding():
    P = sinusoidal_encoding(50, 6)
    compare("place 0", P[0], torch.tensor([0.0, 1, 0, 1, 0, 1]))
    compare("place 1", P[1], torch.tensor([0.84147, 0.54030, 0.04640, 0.99892, 0.00215, 1.00000]))
    compare("each clock's hand has length 1", P[:, 0::2] ** 2 + P[:, 1::2] ** 2, torch.ones(50, 3))
    assert P.dtype == torch.float32, f"P is {P.dtype}, it should be float32"


_check_encoding()


# %% nbgrader={"grade": true, "grade_id": "causal", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
def _check_causal():
    mask = causal_mask(4)
    assert mask is not None, "causal_mask returns None: is a return statement missing?"
    assert mask.dtype == torch.bool and mask.shape == (4, 4), f"it should be boolean (4, 4), not {mask.dtype} {mask.shape}"
    assert mask.diagonal().all(), "every token may look at itself"
    assert mask.tolist()[1] == [True, True, False, False], f"row 1 is {mask.tolist()[1]}: token 1 may look at 0 and 1"
    print("ok  nobody looks into the future")


_check_causal()


# %% nbgrader={"grade": false, "grade_id": "encoding-figure", "locked": true, "schema_version": 3, "solution": false, "task": false} tags=["demo"]
def _figure():
    P = sinusoidal_encoding(60, 48)
    figure, (ax_p, ax_near, ax_mask) = plt.subplots(1, 3, figsize=(11, 3.1))
    picture = ax_p.imshow(P.T, cmap="PuOr", aspect="auto")
    ax_p.set(xlabel="place", ylabel="feature", title="encodings")
    figure.colorbar(picture, ax=ax_p)
    for place, color, line in (10, BLUE, "-"), (30, ORANGE, "--"), (50, GREEN, ":"):
        ax_near.plot(P @ P[place], line, color=color, label=f"place {place}")
    ax_near.set(xlabel="place", ylim=(8, 33), title="inner products of encodings")
    ax_near.legend(fontsize=8, loc="upper center", ncols=3, columnspacing=1, handlelength=1.5)
    draw_map(ax_mask, causal_mask(9).float(), "causal mask, dark: True")
    ax_mask.set(xticks=range(9), yticks=range(9))
    figure.tight_layout()
    plt.show()


_figure()

# %% [markdown] nbgrader={"grade": false, "grade_id": "block-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
*In the figure: encodings of 60 places, from fast clocks (top) to slow ones; the inner products of three of them with
all others; a causal mask.* All three curves are the same, moved: how well two places fit depends on their distance
only, and most on whether they are the same.

## 4 · The block

A transformer is a pile of equal blocks, and each does two things: *look around*, then *think about it*, every token
for itself. Both are corrections that are added to what came in,

$$x \leftarrow x + D\bigl(\mathrm{MHA}(N_1(x))\bigr), \qquad x \leftarrow x + D\bigl(\mathrm{MLP}(N_2(x))\bigr) ,$$

with $\mathrm{MLP}$ = linear, $e \to$ `mlp_dim`; GELU; linear, back to $e$. Here queries, keys and values all come from
the same normalised tokens: self-attention. $N_1$ and $N_2$ are two `nn.LayerNorm`s. They give every token mean 0
and variance 1 over its features, then scale and shift by parameters of their own. $D$ is dropout, which sleeps in
evaluation mode. It acts on both corrections, and nowhere else in the block.

This is **pre-norm**: the norms stand on the side roads. The main road from input to output has nothing on it but sums,
so that a gradient walks back through a hundred blocks unharmed. (The first transformers normalised on the main road,
after each sum, and needed great care in training.)

**Exercise 4 · `TransformerBlock`** · 4 points for the structure, 3 for dropout, mask and gradients · ★★☆ · 40 minutes

*Assemble it, from your `MultiHeadAttention`.* While exercises 2, 4 and 7 are tested, the grader puts parts of its own
in the place of your earlier ones, so that an error counts once. What is learned in 5 and 7 needs all of yours.

<details><summary>Hint</summary>

Draw it first: one line from left to right, two plus signs on it, two loops that leave the line and come back. What
stands on the loops? What does `MultiHeadAttention` return besides what you want to add? And modules that carry
parameters cannot be used twice for different jobs.

</details>
"""


# %% nbgrader={"grade": false, "grade_id": "block-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
class TransformerBlock(nn.Module):
    """Two corrections, by self-attention and by an MLP, each of normalised tokens (pre-norm).

    dropout is the probability with which an entry of a correction is dropped, in training mode.
    """

    def __init__(self, embed_dim, num_heads, mlp_dim, dropout):
        super().__init__()
        raise NotImplementedError

    def forward(self, x, mask=None):
        """Takes tokens x (B, n, embed_dim) and a mask as MultiHeadAttention does; returns (B, n, embed_dim)."""
        raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "block", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def _check_block():
    torch.manual_seed(5)
    block, (x, shift) = TransformerBlock(12, 3, 20, dropout=0.0), numbers((2, 6, 12), (2, 6, 1), seed=5)
    y = block(x)
    assert y is not None, "the block returns None: is a return statement missing?"
    assert y.shape == x.shape, f"the shape is {tuple(getattr(y, 'shape', ()))}, it should be {tuple(x.shape)}"
    parameters = sum(parameter.numel() for parameter in block.parameters())
    assert parameters == 624 + 512 + 48, f"{parameters} parameters: 624 for MHA, 512 for the MLP, 24 for each norm"
    assert not torch.allclose(y, x), "the block does nothing"
    # norms that stand on the side roads don't notice when all features of a token rise alike; the main road carries it on
    compare("a shift goes through on the main road", block(x + 3 * shift) - 3 * shift, y, tolerance=1e-3)
    compare("tokens in another order get the same", block(x.flip(1)).flip(1), y)
    with torch.no_grad():  # attention says nothing, and each of 20 hidden units gets -1 and is added with weight 1
        for parameter in block.parameters():
            if parameter.numel() in (12 * 12, 12 * 20, 20):
                parameter.fill_({144: 0.0, 240: 1.0, 20: -1.0}[parameter.numel()])
        low = block(x)
        next(parameter for parameter in block.parameters() if parameter.numel() == 20).zero_()
        compare("a hidden unit is GELU", (low - block(x)).mean(), 20 * functional.gelu(torch.tensor(-1.0)), tolerance=0.1)


_check_block()


# %% nbgrader={"grade": true, "grade_id": "block-modes", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def _check_block_modes():
    torch.manual_seed(6)
    block, [x] = TransformerBlock(12, 3, 20, dropout=0.5), numbers((2, 6, 12), seed=5)
    assert not torch.allclose(block(x), block(x)), "in training mode dropout should throw its dice anew each time"
    block.eval()
    compare("in evaluation mode dropout sleeps", block(x), block(x))
    block.train()
    same = torch.cat([block(x) == x for _ in range(10)]).float().mean()  # both corrections dropped: 0.5 · 0.5
    assert 0.15 < same < 0.35, f"dropout = 0.5 should leave a quarter of the entries as they are, not {same:.0%}"
    block.eval()
    later = x.clone()
    later[:, 4:] *= -1  # tokens 4 and 5 change
    compare("under a causal mask the past stays", block(later, causal_mask(6))[:, :4], block(x, causal_mask(6))[:, :4])
    block(x).square().sum().backward()
    for name, parameter in block.named_parameters():
        assert parameter.grad is not None, f"{name} gets no gradient: is it used in forward?"
    print("ok  every parameter gets its gradient")


_check_block_modes()


# %% nbgrader={"grade": false, "grade_id": "road-figure", "locked": true, "schema_version": 3, "solution": false, "task": false} tags=["demo"]
def _figure():
    torch.manual_seed(0)
    blocks, depths = [TransformerBlock(32, 4, 64, dropout=0.0) for _ in range(16)], (0, 1, 2, 4, 16)
    figure, axes = plt.subplots(2, 5, figsize=(10, 2.8), layout="constrained")
    for row, road in zip(axes, ("with the road", "without it"), strict=True):
        (x,), states = numbers((1, 12, 32), seed=13), []
        with torch.no_grad():
            for block in blocks:
                states.append(x[0])
                x = block(x) if road == "with the road" else block(x) - x
        for ax, depth in zip(row, depths, strict=True):
            tokens = functional.layer_norm([*states, x[0]][depth], (32,))
            ax.imshow(tokens, cmap="PuOr_r", vmin=-3, vmax=3, aspect="auto")
            ax.set(title=f"{road}, after {depth}", xticks=[], yticks=[])
            ax.title.set_fontsize(9)
    figure.supxlabel("feature", fontsize=10)
    figure.supylabel("token", fontsize=10)
    plt.show()


_figure()

# %% [markdown] nbgrader={"grade": false, "grade_id": "reverse-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
*In the figure: twelve random tokens, one to a row and normalised, on their way through sixteen of your blocks,
untrained; below, of each block only what it adds is carried on.* Attention takes means, and means of means: without
the main road four blocks make all tokens the same, and nobody can ever tell them apart again. With it, each remains
itself.

## 5 · Turning words round

Time to learn something. The task: read 15 letters, write them backwards. `stressed diaper` becomes `repaid desserts`.
Our alphabet has 27 symbols, 26 letters and the blank, and a training example is any random row of them: no language
to lean on. What has to be learned is to look at *place* $14 - p$ and copy what stands there.

The model is given below, since you have written all of its parts: embed the letters, add places, some blocks, one more
norm (somebody has to normalise the main road at last), and a linear layer that gives each place 27 logits.

There are no epochs: each batch is drawn afresh, by a function `sample()`. For pictures we shall do the same, so write
one loop for both: for logits `(B, K)` with labels `(B,)`, and for logits `(B, n, K)` with labels `(B, n)`.

Transformers like **a warm-up**: in the first steps Adam's averages are young and the norms make all gradients large,
so let the rate rise over the first tenth of the run, and then let it fall to zero. `OneCycleLR` does both (for runs
of some twenty steps and more). It also helps to cut off gradients whose norm exceeds 1 (`clip_grad_norm_`).

**Exercise 5 · `train`** · 2 points for the loop, 5 for what is learned · ★★☆ · 30 minutes

*One loop for words and pictures.* The grader trains `SequenceModel(27, 15)` for 250 steps on batches of 64 with your
default rate, and asks for 2,000 other words: two of the five points if 80 % of the letters are right, all of them from
**98 %** on.

<details><summary>Hint</summary>

`functional.cross_entropy` wants one row of logits for each label: which axes may be glued together? In which mode
should a model with dropout learn? One rate near 0.005 serves both tasks. Numbers that you keep should not keep their
graphs.

</details>
"""


# %% nbgrader={"grade": false, "grade_id": "sequence-model", "locked": true, "schema_version": 3, "solution": false, "task": false}
class SequenceModel(nn.Module):
    """Takes symbols (B, length), whole numbers, and returns logits (B, length, num_symbols)."""

    def __init__(self, num_symbols, length, embed_dim=64, num_heads=1, num_layers=1, mask=None, places=True):
        super().__init__()
        self.embedding = nn.Embedding(num_symbols, embed_dim)
        block = embed_dim, num_heads, 2 * embed_dim, 0.0
        self.blocks = nn.ModuleList(TransformerBlock(*block) for _ in range(num_layers))
        self.norm = nn.LayerNorm(embed_dim)
        self.head = nn.Linear(embed_dim, num_symbols)
        self.register_buffer("P", sinusoidal_encoding(length, embed_dim) * places)
        self.register_buffer("mask", mask)

    def forward(self, symbols):
        x = self.embedding(symbols) + self.P  # (B, length, embed_dim)
        for block in self.blocks:
            x = block(x, self.mask)
        return self.head(self.norm(x))


def attention_maps(model, inputs):
    """The weights A (B, heads, n, m) of every MultiHeadAttention in a model, first block first."""
    maps, layers = [], [part for part in model.modules() if isinstance(part, MultiHeadAttention)]
    hooks = [part.register_forward_hook(lambda part, given, result: maps.append(result[1])) for part in layers]
    with torch.no_grad():
        model.eval()(inputs.to(device))
    for hook in hooks:
        hook.remove()
    return maps


def random_words(size, length=15, num_symbols=27):
    """Random words (size, length) and what they should become: the same, read backwards."""
    words = torch.randint(num_symbols, (size, length))
    return words, words.flip(1)


# %% nbgrader={"grade": false, "grade_id": "train-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def train(model, sample, steps, lr=0.005):
    """Train a model in training mode, on a fresh batch in each step.

    model:  maps inputs to logits (B, …, K); it is on `device`, and its parameters are updated
    sample: a function without arguments; each call returns a batch (inputs (B, …), labels (B, …)), on the CPU
    steps:  how many batches are drawn, each for one step of an optimiser
    lr:     the (largest) learning rate; choose the default, and add settings of your own if you like

    Returns a list with the mean cross-entropy of each step, plain numbers.
    """
    raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "train", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
def _check_train():
    torch.manual_seed(7)
    for axes in (20,), (5, 4):  # labels (20,), then labels (5, 4)
        table, drawn, modes = nn.Sequential(nn.Embedding(6, 3), nn.Dropout(0.1)).to(device).eval(), [], []
        table.register_forward_hook(lambda module, inputs, output, modes=modes: modes.append(module.training))

        def toy(axes=axes, drawn=drawn):
            drawn.append(torch.randint(6, axes))
            return drawn[-1], drawn[-1] % 3

        losses = train(table, toy, steps=60)
        assert len(drawn) == len(modes) == 60, f"60 steps draw {len(drawn)} batches and ask the model {len(modes)} times"
        assert all(modes), "the model should be in training mode"
        assert losses is not None and len(losses) == 60, "train should return a list with one loss for each of the 60 steps"
        assert all(isinstance(loss, float) for loss in losses), "plain numbers please: a tensor may keep its graph alive"
        assert sum(losses[-10:]) < sum(losses[:10]), "the loss does not fall"
        print(f"ok  labels {axes}: the loss falls from {losses[0]:.2f} to {losses[-1]:.2f}")
    before = table[0].weight.detach().clone()
    train(table, toy, steps=30, lr=1e-6)
    assert (table[0].weight - before).abs().max() < 0.001, "with lr = 0.000001 the parameters should hardly move"


_check_train()


# %% nbgrader={"grade": true, "grade_id": "reverse-learns", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
def _check_reverse_learns():
    # Words of five letters from an alphabet of eight.
    torch.manual_seed(8)
    small = SequenceModel(8, 5, embed_dim=32).to(device)
    train(small, lambda: random_words(32, 5, 8), steps=300)
    words, right = random_words(200, 5, 8)
    with torch.no_grad():
        accuracy = (small.eval()(words.to(device)).argmax(-1).cpu() == right).float().mean()
    print(f"after 300 steps {accuracy:.0%} of the letters are right")
    assert accuracy > 0.9, "short words should be learned: do the tokens know their places? Does the loss fall?"


_check_reverse_learns()

# %% [markdown] nbgrader={"grade": false, "grade_id": "reverse-demo-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
Now the long words, and two models that lack something. One has a **causal mask**: each place sees itself and what
came before. The other has **no encodings**. Before you run it: which letters can the first one get right, and what can
the second one know at all?
"""


# %% nbgrader={"grade": false, "grade_id": "reverse-demo", "locked": true, "schema_version": 3, "solution": false, "task": false} tags=["demo"]
def _figure():
    variants = {"all of it": {}, "causal mask": {"mask": causal_mask(15)}, "no encodings": {"places": False}}
    models, right_at = {}, {}
    for name, settings in variants.items():
        torch.manual_seed(0)
        models[name] = model = SequenceModel(27, 15, **settings).to(device)
        train(model, announced(lambda: random_words(64), 250, name), steps=250)
        words, right = random_words(1000)
        with torch.no_grad():
            guesses = model.eval()(words.to(device)).argmax(-1).cpu()  # (1000, 15)
        right_at[name] = (guesses == right).float().mean(0)  # (15,)
    return models, right_at


models, right_at = _figure()


# %% nbgrader={"grade": false, "grade_id": "reverse-figure", "locked": true, "schema_version": 3, "solution": false, "task": false} tags=["demo"]
def _figure():
    reverser = models["all of it"]
    alphabet, phrase = "abcdefghijklmnopqrstuvwxyz ", "stressed diaper"
    symbols = torch.tensor([[alphabet.index(letter) for letter in phrase]])
    with torch.no_grad():
        written = "".join(alphabet[k] for k in reverser(symbols.to(device))[0].argmax(-1))
    print(f"{phrase!r} becomes {written!r}")
    figure, (ax_map, ax_right) = plt.subplots(1, 2, figsize=(10.5, 3.9))
    draw_map(ax_map, attention_maps(reverser, symbols)[0][0, 0], "where each place looks", "the place it looks at")
    ax_map.set(xticks=range(15), xticklabels=phrase, yticks=range(15), yticklabels=written, ylabel="what it writes")
    for (name, shares), look in zip(right_at.items(), ("o-", "s--", "^:"), strict=True):
        ax_right.plot(shares, look, color={"o": BLUE, "s": ORANGE, "^": GREEN}[look[0]], label=name)
    ax_right.set(xlabel="place", ylabel="share of letters right", ylim=(-0.05, 1.05), title="1000 random words")
    ax_right.legend(fontsize=8)
    figure.tight_layout()
    plt.show()
    assert right_at["all of it"].mean() > 0.98, "not there yet: does the rate rise, and fall to zero?"


_figure()

# %% [markdown] nbgrader={"grade": false, "grade_id": "patches-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
*On the left: the weights of the only head for one phrase; rows are places that write, columns those they look at. On
the right: the share of letters that come out right, by place, for the whole model (circles), with a causal mask
(squares) and without encodings (triangles).* The map is an anti-diagonal: you can read off what it has learned. Under
the mask the second half of a word is still written correctly, because what it needs has already been seen; before the
middle there is only guessing. Without encodings each place knows *which* letters there are, and none of them knows
*where*.

## 6 · A picture is a row of patches

To a transformer an image can be just another sequence. Cut it into squares of `patch_size` × `patch_size` pixels, no
overlap, read them row by row like text, and project each by *one and the same* linear layer to $e$ features:

$$(B, C, H, W) \;\to\; (B, n, C p^2) \;\to\; (B, n, e), \qquad n = (H / p) \cdot (W / p) .$$

Nothing else in the model knows that it works on a picture. Our pictures: scikit-learn's handwritten digits, enlarged
to 14×14, on a canvas of 20×20. Each time one is asked for, it is put down anew, in one of 49 places.
"""


# %% nbgrader={"grade": false, "grade_id": "place", "locked": true, "schema_version": 3, "solution": false, "task": false}
def place(digits, side=14, canvas=20):
    """Digits (B, 1, 8, 8), from 0 to 1, each put down at a random place of a canvas: (B, 1, 20, 20), from -1 to 1."""
    large = functional.interpolate(digits, size=(side, side), mode="bilinear")
    room = canvas - side
    padded = functional.pad(large, (room,) * 4)  # every possible canvas is a window of this
    windows = padded.unfold(2, canvas, 1).unfold(3, canvas, 1)  # (B, 1, room + 1, room + 1, canvas, canvas)
    top, left = torch.randint(room + 1, (2, len(digits)))
    return 2 * windows[torch.arange(len(digits)), :, top, left] - 1


# %% nbgrader={"grade": false, "grade_id": "data", "locked": true, "schema_version": 3, "solution": false, "task": false} tags=["demo"]
def _figure():
    from sklearn.datasets import load_digits

    torch.manual_seed(0)
    digits = load_digits()
    order = torch.randperm(len(digits.target))
    digits_8 = torch.tensor(digits.images, dtype=torch.float32)[order, None] / 16  # (1797, 1, 8, 8)
    digits_y = torch.tensor(digits.target)[order]  # (1797,)
    unseen = torch.arange(1400, 1797)  # never trained on
    canvases = place(digits_8[:8])
    figure, axes = plt.subplots(1, 8, figsize=(10, 1.5))
    for ax, canvas, label in zip(axes, canvases, digits_y, strict=False):
        ax.imshow(canvas[0], cmap="gray")
        ax.set(xticks=[k - 0.5 for k in range(4, 20, 4)], yticks=[k - 0.5 for k in range(4, 20, 4)])
        ax.set(xticklabels=[], yticklabels=[], title=f"label {label}")
        ax.tick_params(length=0)
        ax.grid(color=ORANGE, linewidth=0.6)
    plt.show()
    return digits_8, digits_y, unseen


digits_8, digits_y, unseen = _figure()

# %% [markdown] nbgrader={"grade": false, "grade_id": "patches-exercise", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
*In the figure: eight canvases and the cuts between their 5 × 5 patches of 4 × 4 pixels.* A digit is spread over about
ten patches, and the cuts go through it anywhere.

**Exercise 6 · `PatchEmbedding`** · 4 points · ★★☆ · 20 minutes

*Cut, flatten, project.* In which order the pixels *within* a patch are read is yours to choose; the patches come row by
row.

<details><summary>Hint</summary>

Cut both picture axes in two, (blocks, pixels within a block): six axes. Which of them should stand side by side before
you flatten? The warning about reshaping from exercise 2 holds here, too. Or is there a layer that you know well from
Homework 2, and which does it all if its stride is as large as its kernel? What would its output still need?

</details>
"""


# %% nbgrader={"grade": false, "grade_id": "patches-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
class PatchEmbedding(nn.Module):
    """Takes images (B, in_channels, image_size, image_size), returns tokens (B, n, embed_dim), one for each patch.

    patch_size divides image_size; the patches come row by row; one linear map, with a bias, serves all of them.
    """

    def __init__(self, image_size, patch_size, in_channels, embed_dim):
        super().__init__()
        raise NotImplementedError

    def forward(self, images):
        raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "patches", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def _check_patches():
    torch.manual_seed(9)
    embed = PatchEmbedding(12, 4, 2, 10)
    tokens = embed(torch.randn(3, 2, 12, 12))
    assert tokens is not None, "PatchEmbedding returns None: is a return statement missing?"
    assert tokens.shape == (3, 9, 10), f"the shape is {tuple(tokens.shape)}; 3 images of 3 × 3 patches make (3, 9, 10)"
    patch, dark = torch.randn(2, 4, 4), embed(torch.zeros(1, 2, 12, 12))[0]
    alike = []
    for row in range(3):
        for column in range(3):
            image = torch.zeros(1, 2, 12, 12)
            image[0, :, 4 * row : 4 * row + 4, 4 * column : 4 * column + 4] = patch
            changed = (embed(image)[0] - dark).abs().amax(1) > 1e-6
            seen = changed.nonzero().flatten().tolist()
            assert seen == [3 * row + column], f"the patch in row {row}, column {column} changes tokens {seen}"
            alike.append(embed(image)[0, 3 * row + column])
    compare("a patch is the same token wherever it stands", torch.stack(alike), alike[0].expand(9, 10))


_check_patches()

# %% [markdown] nbgrader={"grade": false, "grade_id": "vit-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
## 7 · A transformer that sees

From patches to an answer, four things are missing, and you know all but one of them.

- **The class token.** Somebody has to collect what the patches found. We put one more token in front of them, a
  vector that is *learned*, the same for every image. It starts with nothing to say, and asks; at the end the answer
  is read off it, and off it alone.
- **Places.** Learned ones this time: a parameter of $n + 1$ rows, one for each token, the class token included, is
  added. (Start small, normal with deviation 0.02.) So the model has to find out by itself which patches are
  neighbours.
- **Blocks**, `num_layers` of them, without a mask.
- **A head**: one last LayerNorm, then a linear layer from the class token's $e$ features to the logits.

Dropout works inside the blocks; if you like, once more on the tokens after the places were added. It must not act
anywhere else.

**Exercise 7 · `VisionTransformer`** · 5 points, 6 for what is learned · ★★★ · 35 minutes

*Assemble it.* The grader trains `VisionTransformer(20, 4, 1, 48, 4, 96, 2, 10, dropout=0.0)` by your `train` for 1,000
steps on batches of 64 canvases, with digits and places of its own, and shows it digits that were not among them: half
of the six points from 75 % on, all from **90 %** on. It counts steps, not seconds; only a run that takes more than
ten times as long as ours is stopped.

<details><summary>Hint</summary>

What is learned must be known to the optimiser: how does a module announce a tensor as its own? A batch has $B$ images,
and there is one class token; `expand` shares it without copying. Count parameters by hand for a tiny model before you
train a large one.

</details>
"""


# %% nbgrader={"grade": false, "grade_id": "vit-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
class VisionTransformer(nn.Module):
    """Takes images (B, in_channels, image_size, image_size), returns logits (B, num_classes)."""

    def __init__(
        self, image_size, patch_size, in_channels, embed_dim, num_heads, mlp_dim, num_layers, num_classes, dropout=0.1
    ):
        super().__init__()
        raise NotImplementedError

    def forward(self, images):
        raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "vit", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
def _check_vit():
    torch.manual_seed(10)
    tiny = VisionTransformer(12, 4, 2, 8, 2, 16, 2, 5)
    images = torch.randn(3, 2, 12, 12)
    logits = tiny(images)
    assert logits is not None, "VisionTransformer returns None: is a return statement missing?"
    assert logits.shape == (3, 5), f"the shape is {tuple(logits.shape)}, it should be (3, 5)"
    parts = {"patches": 264, "class token": 8, "places": 80, "2 blocks": 1200, "last norm": 16, "head": 45}
    parameters = sum(parameter.numel() for parameter in tiny.parameters())
    assert parameters == sum(parts.values()), f"{parameters} parameters; it should be {sum(parts.values())}, {parts}"
    logits.square().sum().backward()
    for name, parameter in tiny.named_parameters():
        assert parameter.grad is not None, f"{name} gets no gradient: is it used in forward?"
    tiny.eval()
    compare("the same image, the same answer", tiny(images), tiny(images))
    compare("whatever else is in the batch", tiny(images[1:2]), tiny(images)[1:2])
    swapped = torch.cat([images[..., 4:8], images[..., :4], images[..., 8:]], dim=-1)
    assert not torch.allclose(tiny(images), tiny(swapped), atol=1e-6), "swapped patches go unnoticed: where are the places?"


_check_vit()


# %% nbgrader={"grade": true, "grade_id": "vit-learns", "locked": true, "points": 6, "schema_version": 3, "solution": false, "task": false}
def _check_vit_learns():
    # Twenty-four random pictures with random labels, learned by heart.
    torch.manual_seed(11)
    pictures, labels = functional.avg_pool2d(torch.randn(24, 1, 22, 22), 3, stride=1) * 2, torch.arange(24) % 4
    tiny = VisionTransformer(20, 4, 1, 32, 4, 64, 2, 4, dropout=0.0).to(device)
    losses = train(tiny, lambda: (pictures, labels), steps=60)
    with torch.no_grad():
        accuracy = (tiny.eval()(pictures.to(device)).argmax(1).cpu() == labels).float().mean()
    print(f"after 60 steps {accuracy:.0%} of 24 pictures are known, the loss is {losses[-1]:.3f}")
    assert accuracy > 0.9, "24 pictures should be learned by heart"


_check_vit_learns()


# %% nbgrader={"grade": false, "grade_id": "vit-demo", "locked": true, "schema_version": 3, "solution": false, "task": false} tags=["demo"]
def sampler(pool, size=64):
    """A function that draws batches of canvases, with digits whose numbers are in `pool`."""

    def sample():
        rows = pool[torch.randint(len(pool), (size,))]
        return place(digits_8[rows]), digits_y[rows]

    return sample


def accuracy_of(model):
    """The share of unseen digits, each in three random places, that the model reads correctly."""
    torch.manual_seed(1)
    images, labels = place(digits_8[unseen].repeat(3, 1, 1, 1)), digits_y[unseen].repeat(3)
    with torch.no_grad():
        return (model.eval()(images.to(device)).argmax(1).cpu() == labels).float().mean().item()


torch.manual_seed(0)  # half a minute of patience: a thousand batches of canvases that nobody has seen before
vit = VisionTransformer(20, 4, 1, 48, 4, 96, 2, 10, dropout=0.0).to(device)
vit_losses = train(vit, announced(sampler(torch.arange(1400)), 1000, "vision transformer"), steps=1000)
print(f"{accuracy_of(vit):.1%} of digits are read that it has never seen")
assert accuracy_of(vit) > 0.9, "not there yet: does the rate rise, and fall to zero?"


# %% nbgrader={"grade": false, "grade_id": "places-figure", "locked": true, "schema_version": 3, "solution": false, "task": false} tags=["demo"]
def _figure():
    places = next(p for p in vit.parameters() if p.numel() == 26 * 48).detach().cpu().reshape(26, 48)[1:]
    alike = functional.cosine_similarity(places[:, None], places[None], dim=-1).reshape(5, 5, 5, 5)
    figure = plt.figure(figsize=(10, 3.8), layout="constrained")
    left, right = figure.subfigures(1, 2)
    ax = left.subplots()
    ax.plot(vit_losses, color=BLUE, alpha=0.3, linewidth=0.7)
    ax.plot(torch.tensor(vit_losses).unfold(0, 25, 25).mean(1).repeat_interleave(25), color=BLUE)
    ax.set(xlabel="step", ylabel="cross-entropy", title="loss, and its mean over 25 steps")
    for ax, similarity in zip(right.subplots(5, 5).ravel(), alike.reshape(25, 5, 5), strict=True):
        picture = ax.imshow(similarity, cmap="PuOr_r", vmin=-1, vmax=1)
        ax.axis("off")
    right.suptitle("who is like me? cosines of 25 places", fontsize=11)
    right.colorbar(picture, ax=right.axes)
    plt.show()


_figure()

# %% [markdown] nbgrader={"grade": false, "grade_id": "rollout-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
*On the left: the loss of every step. On the right: for each of the 5 × 5 places, how similar its learned vector is to
those of all places, from −1 (violet) over 0 (white) to 1 (brown).* Corners resemble corners, for these are mostly
dark; elsewhere a place resembles those beside it, and least of all those on the far side. A convolution is told who
stands beside whom. This model was not; it has found out.

## 8 · Where did it look?

A single map shows one look. The answer comes from looks at tokens that have themselves looked around before.
*Attention rollout* follows them all the way: average a layer's heads to one $\bar A$; let half of each token come along
the main road, and half of it by attention; then multiply, the last layer on the left, as with any composition of maps,

$$R = \tilde A_L \cdots \tilde A_2 \tilde A_1, \qquad \tilde A_l = \tfrac12 I + \tfrac12 \bar A_l .$$

Row 0 of $R$ says how much of each token has arrived at the class token. It is a rough account, since it ignores values
and MLPs, but often a telling one.

**Exercise 8 · `attention_rollout`** · 3 points · ★★☆ · 15 minutes

*A mean, a sum, and a product in the right order.*

<details><summary>Hint</summary>

Every row of $R$ adds up to 1; if yours doesn't, something was summed that should be averaged. Start from the first
layer: on which side does the next one join?

</details>
"""


# %% nbgrader={"grade": false, "grade_id": "rollout-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def attention_rollout(maps):
    """How much of each input token arrives at each output token.

    maps: a list with the weights A (B, heads, n, n) of every layer, the first layer first

    Returns R (B, n, n).
    """
    raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "rollout", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def _check_rollout():
    first = torch.tensor([[1.0, 0], [1, 0]]).expand(1, 2, 2, 2)  # both tokens look at token 0
    second = torch.tensor([[0.0, 1], [1, 0]]).expand(1, 2, 2, 2)  # then each looks at the other one
    compare("R of one layer", attention_rollout([first]), torch.tensor([[[1.0, 0], [0.5, 0.5]]]))
    compare("R of two layers", attention_rollout([first, second]), torch.tensor([[[0.75, 0.25], [0.75, 0.25]]]))
    maps = [weights.softmax(-1) for weights in numbers((2, 3, 5, 5), (2, 3, 5, 5), (2, 3, 5, 5), seed=12)]
    compare("the rows of R add up to 1", attention_rollout(maps).sum(-1), torch.ones(2, 5))


_check_rollout()


# %% nbgrader={"grade": false, "grade_id": "rollout-figure", "locked": true, "schema_version": 3, "solution": false, "task": false} tags=["demo"]
def _figure():
    torch.manual_seed(3)
    chosen = torch.stack([unseen[digits_y[unseen] == label][0] for label in range(2, 10)])
    canvases = place(digits_8[chosen])
    arrived = attention_rollout(attention_maps(vit, canvases))[:, 0, 1:].cpu().reshape(8, 5, 5)
    with torch.no_grad():
        guesses = vit(canvases.to(device)).argmax(1).tolist()
    figure, axes = plt.subplots(2, 8, figsize=(10, 2.9))
    for ax, below, canvas, weights, label, guess in zip(*axes, canvases, arrived, range(2, 10), guesses, strict=True):
        ax.imshow(canvas[0], cmap="gray")
        ax.set_title(f"{label}, says {guess}", fontsize=9)
        below.imshow(canvas[0], cmap="gray")
        below.imshow(weights, cmap="viridis", alpha=0.75, extent=(-0.5, 19.5, 19.5, -0.5))
        ax.axis("off")
        below.axis("off")
    figure.tight_layout()
    plt.show()


_figure()

# %% [markdown] nbgrader={"grade": false, "grade_id": "amount-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
*In the figure: eight unseen digits with their labels and what the model says; below, how much of each patch has
arrived at the class token, yellow most, violet least.* The bright patches follow the digit over the canvas, and the
empty corners stay dark: the model has found where to look, without ever being told what a digit is.

## How much does it have to see?

A convolutional network is told that neighbours belong together and that all places are alike. Ours has to learn both
from examples. What does that cost? We train a small CNN and your ViT, by your own loop, on fewer and fewer digits, and
show both the same unseen ones.
"""


# %% nbgrader={"grade": false, "grade_id": "amount", "locked": true, "schema_version": 3, "solution": false, "task": false} tags=["demo"]
def _figure():
    def small_cnn():
        """Three convolutions, a mean over all places, a linear layer."""
        layers = []
        for before, after in (1, 16), (16, 32), (32, 48):
            layers += [nn.Conv2d(before, after, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU()]
        return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(48, 10))


    numbers_of_digits = 60, 180, 500, 1400
    scores = {"CNN": [], "ViT": []}
    for count in numbers_of_digits:
        torch.manual_seed(0)
        for name, model in ("CNN", small_cnn()), ("ViT", VisionTransformer(20, 4, 1, 48, 4, 96, 2, 10, dropout=0.0)):
            train(model.to(device), announced(sampler(torch.arange(count)), 600, f"{name}, {count} digits"), steps=600)
            scores[name].append(accuracy_of(model))
    return numbers_of_digits, scores


numbers_of_digits, scores = _figure()


# %% nbgrader={"grade": false, "grade_id": "amount-figure", "locked": true, "schema_version": 3, "solution": false, "task": false} tags=["demo"]
def _figure():
    figure, ax = plt.subplots(figsize=(6, 3))
    for name, look, color in ("CNN", "s--", ORANGE), ("ViT", "o-", BLUE):
        ax.semilogx(numbers_of_digits, scores[name], look, color=color, label=name)
        for count, score in zip(numbers_of_digits, scores[name], strict=True):
            offset = (0, 6) if name == "CNN" else (0, -13)
            ax.annotate(f"{score:.0%}", (count, score), offset, textcoords="offset points", ha="center", fontsize=8)
    ax.minorticks_off()
    ax.set(xticks=numbers_of_digits, xticklabels=numbers_of_digits, ylim=(0.5, 1.05))
    ax.set(xlabel="digits in the training set", ylabel="unseen digits read", title="The price of not being told")
    ax.legend(fontsize=8, loc="lower right")
    plt.show()


_figure()

# %% [markdown] nbgrader={"grade": false, "grade_id": "optional-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
*In the figure: the accuracy on unseen digits against the number of training digits, on a logarithmic axis, after 600
steps each.* With few digits the CNN is far ahead, for it knew something before it saw the first one. With more digits
the gap shrinks to a few points. Give a ViT a hundred million photographs, and it closes.

## Optional: photographs

An invitation, for a GPU and a connection to the internet. Set `CONNECTED = True`: torchvision downloads CIFAR-10 (170
MB), and your own ViT, only larger, learns it from images that are cropped and mirrored at random, in some minutes.
Then torchvision's ViT, with 86 million parameters (330 MB) and ImageNet behind it, says what it sees in a few of
them.
"""

# %% tags=["demo"]
CONNECTED = False
if CONNECTED:
    import torchvision
    from torch.utils.data import DataLoader
    from torchvision import datasets, transforms

    augment = [transforms.RandomCrop(32, 4), transforms.RandomHorizontalFlip(), transforms.ToTensor()]
    photographs = datasets.CIFAR10("data", download=True, transform=transforms.Compose(augment))
    loader = iter(DataLoader(photographs, batch_size=128, shuffle=True))

    def photograph_batch():
        global loader
        try:
            return next(loader)
        except StopIteration:
            loader = iter(DataLoader(photographs, batch_size=128, shuffle=True))
            return next(loader)

    larger = VisionTransformer(32, 4, 3, 192, 6, 384, 6, 10).to(device)
    train(larger, announced(photograph_batch, 8000, "CIFAR-10"), steps=8000, lr=0.001)
    test_set = datasets.CIFAR10("data", train=False, transform=transforms.ToTensor())
    with torch.no_grad():
        hits = [(larger.eval()(x.to(device)).argmax(1).cpu() == y).sum() for x, y in DataLoader(test_set, 500)]
    print(f"{sum(hits) / len(test_set):.1%} of the test photographs are recognised")

    weights = torchvision.models.ViT_B_16_Weights.DEFAULT
    pretrained = torchvision.models.vit_b_16(weights=weights).to(device).eval()
    few = torch.stack([weights.transforms()(test_set[k][0]) for k in range(8)])
    with torch.no_grad():
        says = pretrained(few.to(device)).argmax(1).tolist()
    for k, guess in enumerate(says):
        print(f"{test_set.classes[test_set[k][1]]:12} it says: {weights.meta['categories'][guess]}")
else:
    print("Skipped: set CONNECTED = True if you are online.")

# %% [markdown] nbgrader={"grade": false, "grade_id": "farewell", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
## What you have seen

- Attention is a soft lookup: scores, a softargmax, a mean. All else in a transformer makes it deep and trainable.
- It does not know about order, neighbours or time. Encodings, patches and masks tell it as much as you like, and what
  you don't tell it has to be learned from data.
- One block reads words and pictures. Only the first layer and the last one know which.

**If you are still curious** (no points): train on words of 15 letters and draw the maps of four heads instead of one.
Ask for *sorted* words: does one block suffice? Or replace the learned places of your ViT by sinusoidal ones.
"""


# %% nbgrader={"grade": false, "grade_id": "hand-in", "locked": true, "schema_version": 3, "solution": false, "task": false} tags=["demo"]
# Before you hand in: save the notebook, run it from top to bottom, then run this cell.
def _hand_in(file, exercises, answers, given, blank):
    """Print which exercises pass their checks now, which names are defined twice, and which file to hand in.

    file: the notebook's name; exercises and answers: "number grade_id" of each exercise, and of each written answer;
    given: the names that the notebook's own cells define, by the crc32 of the cell; blank: an answer that nobody wrote
    """
    import contextlib
    import json
    import symtable
    import zlib
    from pathlib import Path

    import matplotlib.pyplot as plt

    try:
        from IPython.utils.capture import capture_output as quiet
    except ImportError:
        quiet = contextlib.nullcontext

    print("Your exercises, as they are in memory now:")
    for label in exercises:
        check = globals().get("_check_" + label.split()[-1].replace("-", "_"))
        with quiet():
            try:
                said = "its check was not run yet" if check is None else check() or "passes its check"
            except NotImplementedError:
                said = "not written yet"
            except Exception as error:
                said = f"fails its check: {(str(error) or type(error).__name__).splitlines()[0]}"
                if type(error) is NameError:
                    said = f"not written, or its cell was not run: there is no {error.name}"
            plt.close("all")
        print(f"  {label}: {said}")

    taken = {name for names in given.values() for name in names.split()}
    order: dict[str, list[bool]] = {}
    for text in globals().get("In", ()):
        yours = zlib.crc32("".join(text.split()).encode()) not in given
        with contextlib.suppress(SyntaxError):
            for symbol in symtable.symtable(text, "cell", "exec").get_symbols():
                if symbol.get_name() in taken and (symbol.is_assigned() or symbol.is_imported()):
                    order.setdefault(symbol.get_name(), []).append(yours)
    for name, runs in order.items():
        if runs[-1]:
            print(f"  You have redefined {name}, which the notebook's own cells use: give yours another name.")
        elif any(runs):
            print(f"  A cell of the notebook has replaced your {name} by its own: give yours another name.")

    if answers:
        try:
            cells = json.loads(Path(file).read_text(encoding="utf-8"))["cells"]
            saved = {cell["metadata"].get("nbgrader", {}).get("grade_id"): "".join(cell["source"]) for cell in cells}
            empty = [label for label in answers if saved.get(label.split()[-1], "").strip() in ("", blank)]
            print(f"Written answers in {file}, as it was saved last: {len(answers) - len(empty)} of {len(answers)}.")
            print("".join(f"  {label}: still empty\n" for label in empty), end="")
        except (OSError, ValueError, LookupError, TypeError, AttributeError):
            print("This cell cannot see your written answers. Look through them yourself:", ", ".join(answers))
    print(f"Hand in the file {file} (in Colab: File, Download, Download .ipynb).")


_hand_in(
    "transformer.ipynb",
    [
        "1 attention",
        "1 attention-mask",
        "2 heads",
        "3 encoding",
        "3 causal",
        "4 block",
        "4 block-modes",
        "5 train",
        "5 reverse-learns",
        "6 patches",
        "7 vit",
        "7 vit-learns",
        "8 rollout",
    ],
    [],
    {
        1001429151: "announced BLUE compare device draw_map GREEN numbers ORANGE RED relative_error",
        921474313: "SequenceModel attention_maps random_words",
        3711279882: "models right_at",
        3007277513: "place",
        763453227: "digits_8 digits_y unseen",
        1784425513: "accuracy_of vit_losses sampler vit",
        2359389578: "numbers_of_digits scores",
    },
    "*Your answer here: double-click this line and write.*",
)
