# %% [markdown] nbgrader={"grade_id": "header", "locked": true}
r"""
# A transformer that writes and sees

You build all parts of a transformer and use them twice: in a language model that writes tales, and in a vision
transformer that reads digits.

|exercise|you write|points|difficulty|minutes|
|---|---|---|---|---|
|1|`attention`|3 + 2|★★☆|25|
|2|`online_attention`|3|★★☆|25|
|3|`MultiHeadAttention`|5|★★★|35|
|4|`sinusoidal_encoding`, `causal_mask`|2 + 1|★☆☆|20|
|5|`rotate`|3|★★☆|20|
|6|`TransformerBlock`|3 + 2|★★☆|35|
|7|`train`|2|★☆☆|15|
|8|`random_windows`, `CharModel` and what it learns|3 + 2|★★☆|30|
|9|`next_probabilities`, `generate`|3|★★☆|20|
|10|`cached_attention`, `step`|5|★★★|40|
|11|`PatchEmbedding`|2|★★☆|20|
|12|`VisionTransformer` and what it learns|3 + 3|★★★|35|
|13|`attention_rollout`|2|★★☆|15|
|14|a prediction, and what came of it|½ + ½|★☆☆|10|
||**in all** (49½ by machine, ½ by hand)|**50**||**345**|

**You need** the theory notebook of this homework and Homework 2.

**How to work.** Replace each `raise NotImplementedError` by your code. PyTorch's own attention and transformer modules
(`scaled_dot_product_attention`, `nn.MultiheadAttention`, `nn.Transformer…`) are not allowed. Everything else in PyTorch
is. Your code must not change its arguments in place. The grader skips cells that train for long or only draw, and
trains your models itself."""

# %% nbgrader={"grade_id": "helpers", "locked": true}
import itertools
import math
import random
import re
import time

import matplotlib.pyplot as plt
import torch
from torch import nn
from torch.nn import functional

from common import BLUE, GREEN, ORANGE, compare, numbers

device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
torch.set_num_threads(1)  # for models as small as ours, one thread is as fast as many
CHARACTERS = "\n .abcdefghijklmnopqrstuvwxyz"
ANIMALS = ["ape", "bear", "crow", "dog", "eel", "fox", "goat", "hen"]
PLACES = ["river", "hill", "gate", "mill", "barn", "lake"]
VERBS = ["sang", "slept", "danced", "laughed", "ate", "waited"]


def announced(sample, steps, name):
    """A `sample` that also prints how far a training run has come."""
    calls = itertools.count(1)

    def announcing():
        call = next(calls)
        if call % 25 == 0 or call == steps:
            print(f"\r{name}: step {call} of {steps}", end="\n" if call == steps else "")
        return sample()

    return announcing


def tales(count, seed):
    """A text of `count` random tales, one per line."""
    dice, lines = random.Random(seed), []
    for _ in range(count):
        (a, b), place, (one, two) = dice.sample(ANIMALS, 2), dice.choice(PLACES), dice.choices(VERBS, k=2)
        lines.append(f"the {a} met the {b} at the {place}. the {b} {one} and the {a} {two}.\n")
    return "".join(lines)


def encoded(text):
    """The characters of a text as whole numbers, (n,)."""
    return torch.tensor([CHARACTERS.index(character) for character in text])


def place_digits(digits, side=14, canvas=20):
    """Digits (B, 1, 8, 8), from 0 to 1, each at a random place of a canvas: (B, 1, 20, 20), from -1 to 1."""
    room = canvas - side
    large = functional.interpolate(digits, size=(side, side), mode="bilinear")
    padded = functional.pad(large, (room,) * 4)  # every possible canvas is a window of this
    windows = padded.unfold(2, canvas, 1).unfold(3, canvas, 1)  # (B, 1, room + 1, room + 1, canvas, canvas)
    top, left = torch.randint(room + 1, (2, len(digits)))
    return 2 * windows[torch.arange(len(digits)), :, top, left] - 1


# %% [markdown] nbgrader={"grade_id": "attention-text", "locked": true}
r"""
## 1 · Attention

Tokens are **rows**. `Q` holds $n$ queries, `(…, n, d)`; `K` holds $m$ keys, `(…, m, d)`; `V` holds their values,
`(…, m, t)`. The dots are any number of leading axes (batch, heads), the same in all three (Vaswani et al., 2017).

$$A=\mathrm{softargmax}_\beta(QK^\top),\quad
A_{ij}=\frac{\exp(\beta\,q_i^\top k_j)}{\sum_{l=1}^{m}\exp(\beta\,q_i^\top k_l)},\quad H=AV.$$

Row $i$ of $A$ says how query $i$ spreads its attention over the keys. The default is $\beta=1/\sqrt{d}$.

A **mask** is a boolean tensor in which **`True` means "may look"**. It broadcasts to `(…, n, m)`, and every query may
look at one key or more. A forbidden key gets weight exactly 0, however high its score. The allowed weights add up to
1.

**Exercise 1 · `attention`** · 3 points, 2 for the mask · ★★☆ · 25 minutes

*Write `attention`. It returns the tuple `(H, A)`.* Scores of many thousands must not overflow. Gradients must reach
`Q`, `K` and `V`.

<details><summary>Hint</summary>

`transpose(-2, -1)` exchanges the last two axes. Over which axis do weights add up to 1? Which score gives a weight of
exactly 0?

</details>
"""


# %% nbgrader={"grade_id": "attention-code", "solution": true}
def attention(Q, K, V, beta=None, mask=None):
    """For every query, the mean of the values, weighted by attention.

    Q:    queries (…, n, d)
    K, V: keys (…, m, d) and their values (…, m, t)
    beta: the inverse temperature; None stands for 1/√d
    mask: None, or a boolean tensor that can be broadcast to (…, n, m), True where a query may look at a key

    Returns a tuple of H (…, n, t) and the weights A (…, n, m).
    """
    ### BEGIN SOLUTION
    if beta is None:
        beta = 1 / math.sqrt(Q.shape[-1])
    scores = beta * (Q @ K.transpose(-2, -1))  # (…, n, m)
    if mask is not None:
        scores = scores.masked_fill(~mask, -math.inf)
    A = scores.softmax(dim=-1)
    return A @ V, A
    ### END SOLUTION


# %% nbgrader={"grade_id": "attention", "grade": true, "points": 3, "locked": true}
Q, K, V = numbers((2, 3, 5, 8), (2, 3, 7, 8), (2, 3, 7, 4), seed=1)
H, A = attention(Q, K, V)
assert A.shape == (2, 3, 5, 7), f"A has shape {tuple(A.shape)}: 5 queries look at 7 keys, in each of 2 × 3 problems"
compare("the rows of A add up to 1", A.sum(-1), torch.ones(2, 3, 5))
compare("H for β = 1/√d", H, functional.scaled_dot_product_attention(Q, K, V))
compare("H for β = 2", attention(Q, K, V, beta=2.0)[0], functional.scaled_dot_product_attention(Q, K, V, scale=2.0))
compare("H for β = 0, the plain mean", attention(Q, K, V, beta=0)[0], V.mean(-2, keepdim=True).expand(2, 3, 5, 4))
compare("H without leading axes", attention(Q[0, 0], K[0, 0], V[0, 0])[0], H[0, 0])

# %% nbgrader={"grade_id": "attention-mask", "grade": true, "points": 2, "locked": true}
Q, K, V = numbers((2, 3, 5, 8), (2, 3, 7, 8), (2, 3, 7, 4), seed=1)
mask = torch.rand(5, 7, generator=torch.Generator().manual_seed(2)) < 0.5
mask[:, 0] = True  # every query may look at key 0
H, A = attention(Q, K, V, mask=mask)
assert not A[..., ~mask].any(), "some weights are positive where the mask forbids to look"
compare("masked rows add up to 1 as well", A.sum(-1), torch.ones(2, 3, 5))
for size in (5, 7), (2, 1, 5, 7), (1, 1, 1, 7):
    part = mask[: size[-2]].expand(size)
    right = functional.scaled_dot_product_attention(Q, K, V, attn_mask=part)
    compare(f"H under a mask of shape {size}", attention(Q, K, V, mask=part)[0], right)

# %% nbgrader={"grade_id": "curve-figure", "locked": true} tags=["demo"]
x_j = torch.tensor([-2.6, -1.9, -1.2, -0.3, 0.4, 1.1, 2.1, 2.7])
y_j = torch.sin(1.5 * x_j) + torch.tensor([0.1, -0.2, 0.15, 0.1, -0.15, 0.2, 0.05, -0.1])
x = torch.linspace(-3.2, 3.2, 300)
Q, K = torch.stack([x, torch.ones(300)], dim=1), torch.stack([x_j, -(x_j**2) / 2], dim=1)
figure, ax = plt.subplots(figsize=(7, 2.7))
for beta, color, line in (0.3, GREEN, ":"), (5, BLUE, "-"), (200, ORANGE, "--"):
    ax.plot(x, attention(Q, K, y_j[:, None], beta=beta)[0], line, color=color, label=f"β = {beta}")
ax.plot(x_j, y_j, "ko", label="keys and values")
ax.set(xlabel="x, the query", ylabel="H")
ax.legend(fontsize=8, loc="upper left", bbox_to_anchor=(1, 1))
plt.show()

# %% [markdown] nbgrader={"grade_id": "online-text", "locked": true}
r"""
*In the figure: eight points, and attention's answer at every $x$, with scores that fall with the squared distance.* A
large β (dashed) copies the nearest value. A small one (dotted) averages over many keys.

## 2 · Attention in blocks

FlashAttention (Dao et al., 2022) never stores the $n\times m$ weights. It reads keys and values in blocks. For each
query it keeps the largest score so far, $\mu$, and two sums, $s=\sum_j e^{\beta q^\top k_j-\mu}$ and $h=\sum_j e^{\beta
q^\top k_j-\mu}v_j$ (online softmax, Milakov & Gimelshein, 2018). At the end, $H=h/s$.

**Exercise 2 · `online_attention`** · 3 points · ★★☆ · 25 minutes

*Write `online_attention`. It returns $H$ alone, equal to that of `attention`.* You can read `blocks` only once. What
you keep must not grow with the number of blocks. Scores from −10,000 to 10,000 must give the right answer, in any
order.

<details><summary>Hint</summary>

A new block may raise $\mu$ to $\mu'$. By which factor do $s$ and $h$ change when $\mu'$ takes the place of $\mu$?

</details>
"""


# %% nbgrader={"grade_id": "online-code", "solution": true}
def online_attention(Q, blocks, beta=None):
    """Attention to keys and values that arrive in blocks.

    Q:      queries (…, n, d)
    blocks: an iterable of pairs (K, V), keys (…, b, d) and values (…, b, t); b ≥ 1 may differ between blocks
    beta:   the inverse temperature; None stands for 1/√d

    Returns H (…, n, t).
    """
    ### BEGIN SOLUTION
    beta = 1 / math.sqrt(Q.shape[-1]) if beta is None else beta
    top, total, H = torch.full_like(Q[..., :1], -math.inf), 0.0, 0.0
    for K, V in blocks:
        scores = beta * (Q @ K.transpose(-2, -1))  # (…, n, b)
        higher = torch.maximum(top, scores.amax(-1, keepdim=True))  # (…, n, 1)
        old, new = (top - higher).exp(), (scores - higher).exp()
        total = old * total + new.sum(-1, keepdim=True)
        H = old * H + new @ V
        top = higher
    return H / total
    ### END SOLUTION


# %% nbgrader={"grade_id": "online", "grade": true, "points": 3, "locked": true}
Q, K, V = numbers((2, 5, 8), (2, 12, 8), (2, 12, 4), seed=3)
right = functional.scaled_dot_product_attention(Q, K, V)
for sizes in [12], [4, 4, 4], [1, 9, 2]:
    pairs = zip(K.split(sizes, 1), V.split(sizes, 1), strict=True)
    compare(f"H from blocks of {sizes} keys", online_attention(Q, pairs), right)
Q, K = torch.ones(1, 1), torch.tensor([[-9000.0], [9000.0], [-8000.0], [8999.0]])
pairs = [(K[j : j + 1], V[0, j : j + 1]) for j in range(4)]
right = functional.scaled_dot_product_attention(Q[None], K[None], V[:1, :4], scale=1.0)[0]
compare("H for scores of thousands", online_attention(Q, pairs, beta=1.0), right, tolerance=1e-2)

# %% [markdown] nbgrader={"grade_id": "heads-text", "locked": true}
r"""
## 3 · Many heads

With $e$ features (`embed_dim`) and $h$ heads, each head has
$d=e/h$ features:

1. project: three linear layers $e\to e$ give queries, keys and values, `(B, n, e)`;
2. split: features $0\dots d-1$ belong to head 0, the next $d$ to head 1, and so on, `(B, h, n, d)`;
3. attend in all heads at once, with $\beta=1/\sqrt{d}$;
4. put the heads' answers side by side in the same order, `(B, n, e)`, and apply a fourth layer $e\to e$.

**Exercise 3 · `MultiHeadAttention`** · 5 points · ★★★ · 35 minutes

*Write `forward`. It returns the tuple `(H, A)`.* The layers are given; keep their names.

<details><summary>Hint</summary>

A reshape cuts an axis in two, or joins two axes that stand side by side. It cannot exchange axes.

</details>
"""


# %% nbgrader={"grade_id": "heads-code", "solution": true}
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
        """Attention of queries (B, n, embed_dim) to keys and values (B, m, embed_dim), all before their projections.

        mask: None, or boolean and broadcast to (B, num_heads, n, m), True where a query may look

        Returns a tuple of H (B, n, embed_dim) and the weights A (B, num_heads, n, m).
        """

        ### BEGIN SOLUTION
        def split(x):
            return x.unflatten(-1, (self.num_heads, -1)).transpose(1, 2)  # (B, h, n, d)

        Q, K, V = split(self.W_Q(queries)), split(self.W_K(keys)), split(self.W_V(values))
        H, A = attention(Q, K, V, mask=mask)  # (B, h, n, d), (B, h, n, m)
        H = H.transpose(1, 2).flatten(2)  # (B, n, e)
        return self.W_O(H), A
        ### END SOLUTION


# %% nbgrader={"grade_id": "heads", "grade": true, "points": 5, "locked": true}
torch.manual_seed(3)
library, ours = nn.MultiheadAttention(12, 3, batch_first=True), MultiHeadAttention(12, 3)
with torch.no_grad():  # the same weights for both
    for name in "weight", "bias":
        parts = [getattr(layer, name) for layer in (ours.W_Q, ours.W_K, ours.W_V)]
        getattr(library, f"in_proj_{name}").copy_(torch.cat(parts))
        getattr(library.out_proj, name).copy_(getattr(ours.W_O, name))
queries, keys, values = numbers((2, 5, 12), (2, 7, 12), (2, 7, 12), seed=4)
mask = torch.ones(5, 7).tril(1).bool()
for name, may_look in ("everywhere", None), ("under a mask", mask):
    H, A = ours(queries, keys, values, mask=may_look)
    forbidden = None if may_look is None else ~may_look  # in the library, True means "must not look"
    right = library(queries, keys, values, attn_mask=forbidden, average_attn_weights=False)
    compare(f"A of three heads that look {name}", A, right[1])
    compare(f"H of three heads that look {name}", H, right[0])

# %% [markdown] nbgrader={"grade_id": "encoding-text", "locked": true}
r"""
## 4 · Places and masks

Attention does not know the order of its tokens: shuffled tokens get shuffled answers. Vaswani et al. add to each
token a vector that encodes its place $p=0,1,\dots$ For $i=0,\dots,\frac{e}{2}-1$,

$$P_{p,2i}=\sin\bigl(p/10000^{2i/e}\bigr),\qquad P_{p,2i+1}=\cos\bigl(p/10000^{2i/e}\bigr).$$

Each pair of features is the hand of a clock. With $e=48$ the slowest hand turns once in about 42,800 places.

**Exercise 4 · `sinusoidal_encoding`, `causal_mask`** · 2 + 1 points · ★☆☆ · 20 minutes

*Write both functions.*

<details><summary>Hint</summary>

Multiply a column of places by a row of speeds.

</details>
"""


# %% nbgrader={"grade_id": "encoding-code", "solution": true}
def sinusoidal_encoding(length, dim):
    """The encodings P of places 0 to length - 1: a float32 tensor (length, dim). dim is even."""
    ### BEGIN SOLUTION
    places = torch.arange(length)[:, None]  # (length, 1)
    speeds = 10000 ** (-torch.arange(0, dim, 2) / dim)  # (dim / 2,)
    P = torch.zeros(length, dim)
    P[:, 0::2] = torch.sin(places * speeds)
    P[:, 1::2] = torch.cos(places * speeds)
    return P
    ### END SOLUTION


def causal_mask(n):
    """A boolean tensor (n, n): entry (i, j) is True where token i may look at token j, which is when j ≤ i."""
    ### BEGIN SOLUTION
    return torch.ones(n, n, dtype=torch.bool).tril()
    ### END SOLUTION


# %% nbgrader={"grade_id": "encoding", "grade": true, "points": 2, "locked": true}
P = sinusoidal_encoding(50, 6)
compare("place 0", P[0], torch.tensor([0.0, 1, 0, 1, 0, 1]))
compare("place 1", P[1], torch.tensor([0.84147, 0.54030, 0.04640, 0.99892, 0.00215, 1.00000]))
assert P.dtype == torch.float32, f"P is {P.dtype}, it should be float32"

# %% nbgrader={"grade_id": "causal", "grade": true, "points": 1, "locked": true}
mask = causal_mask(4)
assert mask is not None, "causal_mask returns None: is a return statement missing?"
assert mask.dtype == torch.bool and mask.shape == (4, 4), f"it should be boolean (4, 4), not {mask.dtype} {mask.shape}"
assert mask.diagonal().all(), "every token may look at itself"
assert mask.tolist()[1] == [True, True, False, False], f"row 1 is {mask.tolist()[1]}: token 1 may look at 0 and 1"

# %% [markdown] nbgrader={"grade_id": "rotary-text", "locked": true}
r"""
## 5 · Rotary embedding

Rotary embedding (Su et al., 2021) turns queries and keys by angles that grow with their place $p$. Each pair of
features $(x_{2i},x_{2i+1})$ is rotated counter-clockwise by $\theta=p/10000^{2i/d}$:

$$(x_{2i},\,x_{2i+1})\to(x_{2i}\cos\theta-x_{2i+1}\sin\theta,\;x_{2i}\sin\theta+x_{2i+1}\cos\theta).$$

**Exercise 5 · `rotate`** · 3 points · ★★☆ · 20 minutes

*Write `rotate(x, places)`. It returns a new tensor with the shape of `x`.* Places are whole numbers, one for each
token, in any order; they may be negative. Gradients must reach `x`.

<details><summary>Hint</summary>

`stack` and `flatten` let two tensors take turns along an axis.

</details>
"""


# %% nbgrader={"grade_id": "rotary-code", "solution": true}
def rotate(x, places):
    """Tokens x (…, n, d), d even, with each pair of features turned according to the token's place.

    places: whole numbers (n,), one for each token

    Returns a tensor (…, n, d).
    """
    ### BEGIN SOLUTION
    d = x.shape[-1]
    angles = places[:, None] * 10000 ** (-torch.arange(0, d, 2, device=x.device) / d)  # (n, d / 2)
    a, b = x[..., 0::2], x[..., 1::2]
    turned = a * angles.cos() - b * angles.sin(), a * angles.sin() + b * angles.cos()
    return torch.stack(turned, dim=-1).flatten(-2)
    ### END SOLUTION


# %% nbgrader={"grade_id": "rotary", "grade": true, "points": 3, "locked": true}
x, y = numbers((2, 3, 5, 8), (1, 8), seed=5)
places = torch.tensor([0, 7, 2, 30, 1])
turned = rotate(x, places)
compare("the norm of every token stays", turned.norm(dim=-1), x.norm(dim=-1))
compare("place 0 turns nothing", turned[..., 0, :], x[..., 0, :])
once = rotate(torch.tensor([[1.0, 0, 0, 1]]), torch.tensor([1]))
compare("place 1", once, torch.tensor([[0.54030, 0.84147, -0.01000, 0.99995]]))
fits = [(rotate(y, torch.tensor([p])) * rotate(x[0, 0, :1], torch.tensor([p + 4]))).sum() for p in (0, 3, 50)]
compare("scores 4 places apart", torch.stack(fits), fits[0].expand(3))

# %% nbgrader={"grade_id": "encoding-figure", "locked": true} tags=["demo"]
P, places = sinusoidal_encoding(60, 48), torch.arange(60)
token = numbers((1, 48), seed=13)[0]
figure, axes = plt.subplots(1, 3, figsize=(11, 2.9))
figure.colorbar(axes[0].imshow(P.T, cmap="PuOr", aspect="auto"), ax=axes[0])
axes[0].set(xlabel="place", ylabel="feature", title="sinusoidal encodings")
turned = rotate(token.expand(60, 48), places)
for ax, vectors, title in (axes[1], P, "inner products of encodings"), (axes[2], turned, "scores of one rotated token"):
    for place, color, line in (10, BLUE, "-"), (30, ORANGE, "--"), (50, GREEN, ":"):
        ax.plot(vectors @ vectors[place], line, color=color, label=f"place {place}")
    ax.set(xlabel="place", title=title)
axes[1].set(ylim=(8, 30))
axes[1].legend(fontsize=8, loc="upper center", ncols=3, columnspacing=1, handlelength=1.5)
figure.tight_layout()
plt.show()

# %% [markdown] nbgrader={"grade_id": "block-text", "locked": true}
r"""
*In the figure: encodings of 60 places; inner products of three of them with all; scores of one token, rotated to 60
places.* The three curves of a plot are one curve, shifted: only the distance of two places counts.

## 6 · The block

A block adds two corrections to its tokens (residual connections, He et al., 2016):

$$x\leftarrow x+D\bigl(\mathrm{MHA}(N_1(x))\bigr),\qquad x\leftarrow x+D\bigl(\mathrm{MLP}(N_2(x))\bigr).$$

- $\mathrm{MHA}$ is self-attention: queries, keys and values are the same normalised tokens.
- $\mathrm{MLP}$ treats each token alone: linear to `mlp_dim`, GELU (Hendrycks & Gimpel, 2016), linear back to $e$.
- $N_1$ and $N_2$ are two LayerNorms (Ba et al., 2016) with their own parameters.
- $D$ is dropout (Srivastava et al., 2014), on both corrections and nowhere else in the block.

This order is **pre-norm** (Xiong et al., 2020): the direct path from input to output has only sums.

**Exercise 6 · `TransformerBlock`** · 3 points for the structure, 2 for dropout, mask and gradients · ★★☆ · 35 minutes

*Write `__init__` and `forward`, with your `MultiHeadAttention`.* When testing exercises 3, 6, 8, 10 and 12, the
grader replaces your earlier parts by its own, so an error counts once. Training runs use your code alone.

<details><summary>Hint</summary>

What does `MultiHeadAttention` return besides the correction? Can one module with parameters do two different jobs?

</details>
"""


# %% nbgrader={"grade_id": "block-code", "solution": true}
class TransformerBlock(nn.Module):
    """Two corrections, by self-attention and by an MLP, each of normalised tokens (pre-norm).

    dropout is the probability with which an entry of a correction is dropped, in training mode.
    """

    def __init__(self, embed_dim, num_heads, mlp_dim, dropout):
        super().__init__()
        ### BEGIN SOLUTION
        self.norm_1 = nn.LayerNorm(embed_dim)
        self.heads = MultiHeadAttention(embed_dim, num_heads)
        self.norm_2 = nn.LayerNorm(embed_dim)
        self.mlp = nn.Sequential(nn.Linear(embed_dim, mlp_dim), nn.GELU(), nn.Linear(mlp_dim, embed_dim))
        self.dropout = nn.Dropout(dropout)
        ### END SOLUTION

    def forward(self, x, mask=None):
        """Takes tokens x (B, n, embed_dim) and a mask as MultiHeadAttention does; returns (B, n, embed_dim)."""
        ### BEGIN SOLUTION
        y = self.norm_1(x)
        x = x + self.dropout(self.heads(y, y, y, mask=mask)[0])
        return x + self.dropout(self.mlp(self.norm_2(x)))
        ### END SOLUTION


# %% nbgrader={"grade_id": "block", "grade": true, "points": 3, "locked": true}
torch.manual_seed(5)
block, (x, shift) = TransformerBlock(12, 3, 20, dropout=0.0), numbers((2, 6, 12), (2, 6, 1), seed=5)
y = block(x)
assert y is not None, "the block returns None: is a return statement missing?"
assert y.shape == x.shape, f"the shape is {tuple(getattr(y, 'shape', ()))}, it should be {tuple(x.shape)}"
parameters = sum(parameter.numel() for parameter in block.parameters())
assert parameters == 624 + 512 + 48, f"{parameters} parameters: 624 for MHA, 512 for the MLP, 24 for each norm"
# the norms remove what all features of a token have in common; the direct path carries it on
compare("a shift of all features goes through", block(x + 3 * shift) - 3 * shift, y, tolerance=1e-3)
compare("tokens in another order get the same", block(x.flip(1)).flip(1), y)

# %% nbgrader={"grade_id": "block-modes", "grade": true, "points": 2, "locked": true}
torch.manual_seed(6)
block, [x] = TransformerBlock(12, 3, 20, dropout=0.5), numbers((2, 6, 12), seed=5)
assert not torch.allclose(block(x), block(x)), "in training mode dropout should draw anew in each pass"
same = torch.cat([block(x) == x for _ in range(10)]).float().mean()  # both corrections dropped: 0.5 · 0.5
assert 0.15 < same < 0.35, f"dropout = 0.5 should leave a quarter of the entries as they are, not {same:.0%}"
block.eval()
compare("no dropout in evaluation mode", block(x), block(x))
later = torch.cat([x[:, :4], -x[:, 4:]], dim=1)  # tokens 4 and 5 change
compare("under a causal mask the past stays", block(later, causal_mask(6))[:, :4], block(x, causal_mask(6))[:, :4])
block(x).square().sum().backward()
idle = [name for name, parameter in block.named_parameters() if parameter.grad is None]
assert not idle, f"{idle} get no gradient: are they used in forward?"

# %% [markdown] nbgrader={"grade_id": "train-text", "locked": true}
r"""
## 7 · One loop for words and images

A function `sample()` draws a fresh batch for each step. Your loop must work for logits `(B, K)` with labels `(B,)`, and
for logits `(B, n, K)` with labels `(B, n)`.

**Exercise 7 · `train`** · 2 points · ★☆☆ · 15 minutes

*Write `train`. It returns a list with the loss of each step, as floats.* Use training mode. In each step, call
`sample()` and the model once. Optimiser, schedule and default rate are your choice. AdamW (Loshchilov & Hutter, 2019)
with `OneCycleLR` (Smith & Topin, 2018) and a largest rate near 0.005 works for both models.

<details><summary>Hint</summary>

`functional.cross_entropy` takes one row of logits for each label. Which axes can be joined?

</details>
"""


# %% nbgrader={"grade_id": "train-code", "solution": true}
def train(model, sample, steps, lr=0.005):
    """Train a model in training mode, on a fresh batch in each step.

    model:  maps inputs to logits (B, …, K); it is on `device`, and its parameters are updated
    sample: a function without arguments; each call returns a batch (inputs (B, …), labels (B, …)), on the CPU
    steps:  the number of batches, one for each step of an optimiser
    lr:     the (largest) learning rate; choose the default, and add settings of your own if you like

    Returns a list with the mean cross-entropy of each step, plain numbers.
    """
    ### BEGIN SOLUTION
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, lr, total_steps=steps, pct_start=0.1)
    losses = []
    model.train()
    for _ in range(steps):
        inputs, labels = sample()
        logits = model(inputs.to(device))  # (B, …, K)
        loss = functional.cross_entropy(logits.flatten(0, -2), labels.to(device).flatten())
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
    return losses
    ### END SOLUTION


# %% nbgrader={"grade_id": "train", "grade": true, "points": 2, "locked": true}
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
    assert all(isinstance(loss, float) for loss in losses), "the losses should be plain numbers"
    assert sum(losses[-10:]) < sum(losses[:10]), "the loss does not fall"
    print(f"ok  labels {axes}: the loss falls from {losses[0]:.2f} to {losses[-1]:.2f}")

# %% [markdown] nbgrader={"grade_id": "language-text", "locked": true}
r"""
## 8 · A causal language model

`tales` above writes a small language of our own. The second sentence names the animals in the opposite order:

`the fox met the hen at the mill. the hen slept and the fox sang.`

At every place the model predicts the *next* character, so the labels are the text itself, one place later. Under the
**causal mask** a place sees itself and what came before. So $n$ characters give $n$ predictions in one pass.

The model embeds the symbols, adds the encodings of places $0,1,\dots$, applies all blocks in order under the mask, then
the last norm and the head.

**Exercise 8 · `random_windows`, `CharModel`** · 3 points, 2 for what is learned · ★★☆ · 30 minutes

*Write `random_windows` and `CharModel.forward`.* Every window that fits into the text must be equally likely, in each
call. The model must accept every length from 1 to `context`.

The grader trains `CharModel(29, 72)` with your `train`, for 300 steps on 24 windows of 72 characters. The cross-entropy
on new tales earns 1 point below **0.8** and 2 points below **0.4**.

<details><summary>Hint</summary>

Each window needs one more character for its last label. Which part of `self.P` and of `self.mask` do $n$ symbols need?

</details>
"""


# %% nbgrader={"grade_id": "language-code", "solution": true}
def random_windows(text, size, length):
    """Random windows of a text: inputs (size, length), and labels (size, length), the same windows one place later.

    text: whole numbers (N,), N > length
    """
    ### BEGIN SOLUTION
    starts = torch.randint(len(text) - length, (size, 1))
    windows = text[starts + torch.arange(length + 1)]  # (size, length + 1)
    return windows[:, :-1], windows[:, 1:]
    ### END SOLUTION


class CharModel(nn.Module):
    """Takes symbols (B, n), n ≤ context; returns logits (B, n, num_symbols) of the symbol that comes after each."""

    def __init__(self, num_symbols, context, embed_dim=64, num_heads=4, num_layers=2):
        super().__init__()
        self.context = context
        self.embedding = nn.Embedding(num_symbols, embed_dim)
        block = embed_dim, num_heads, 2 * embed_dim, 0.0
        self.blocks = nn.ModuleList(TransformerBlock(*block) for _ in range(num_layers))
        self.norm = nn.LayerNorm(embed_dim)
        self.head = nn.Linear(embed_dim, num_symbols)
        self.register_buffer("P", sinusoidal_encoding(context, embed_dim))
        self.register_buffer("mask", causal_mask(context))

    def forward(self, symbols):
        ### BEGIN SOLUTION
        n = symbols.shape[1]
        x = self.embedding(symbols) + self.P[:n]  # (B, n, e)
        for block in self.blocks:
            x = block(x, self.mask[:n, :n])
        return self.head(self.norm(x))  # (B, n, num_symbols)
        ### END SOLUTION


# %% nbgrader={"grade_id": "language", "grade": true, "points": 3, "locked": true}
torch.manual_seed(8)
inputs, labels = random_windows(torch.arange(100, 120), 500, 4)
assert inputs.shape == labels.shape == (500, 4), f"shapes {tuple(inputs.shape)} and {tuple(labels.shape)}"
assert (inputs[:, 1:] == inputs[:, :-1] + 1).all(), "the inputs are not a piece of the text"
assert (labels == inputs + 1).all(), "a label should be the character after its input"
assert inputs.min() == 100 and labels.max() == 119, "500 windows should reach both ends of a text of 20 characters"
model, symbols = CharModel(7, 9, 8, 2, 2).eval(), torch.randint(7, (3, 9))
logits = model(symbols)
assert logits is not None and logits.shape == (3, 9, 7), "the logits should have shape (3, 9, 7)"
compare("a beginning alone", model(symbols[:, :5]), logits[:, :5])
same = model(symbols[:1, :1].expand(1, 9))[0]
assert not torch.allclose(same[0], same[8], atol=1e-4), "a symbol gets the same logits at all places"

# %% nbgrader={"grade_id": "language-learns", "grade": true, "points": 2, "locked": true}
# A text that repeats four characters, for 60 steps.
torch.manual_seed(9)
text = encoded("abcd" * 50)
small = CharModel(29, 16, 32, 2, 1).to(device)
losses = train(small, lambda: random_windows(text, 16, 16), steps=60)
print(f"the loss falls from {losses[0]:.2f} to {losses[-1]:.2f}")
assert losses[-1] < 0.5, "four characters in turn should be learned in 60 steps"

# %% [markdown] nbgrader={"grade_id": "sampling-text", "locked": true}
r"""
## 9 · Writing

To write, draw the next symbol, append it, and ask again. A **temperature** $T$ divides the logits first,
$p=\mathrm{softargmax}(\text{logits}/T)$. For $T=0$ the largest logit gets probability 1. **Top-$k$** sampling (Fan et
al., 2018) gives probability 0 to all symbols except the $k$ with the largest logits; theirs add up to 1.

**Exercise 9 · `next_probabilities`, `generate`** · 3 points · ★★☆ · 20 minutes

*Write both functions.* In `generate`, draw each row of a batch independently, and give the model at most the last
`model.context` symbols.

<details><summary>Hint</summary>

`torch.multinomial` draws a number for each row. Which of the $n$ predictions concerns the next symbol?

</details>
"""


# %% nbgrader={"grade_id": "sampling-code", "solution": true}
def next_probabilities(logits, temperature=1.0, top_k=None):
    """Probabilities (…, K) for logits (…, K).

    temperature: a number ≥ 0; with 0, the largest logit gets probability 1
    top_k:       None, or how many symbols may be drawn, from 1 to K
    """
    ### BEGIN SOLUTION
    if temperature == 0:
        return functional.one_hot(logits.argmax(-1), logits.shape[-1]).to(logits.dtype)
    if top_k is not None:
        smallest = logits.topk(top_k).values[..., -1:]
        logits = logits.masked_fill(logits < smallest, -math.inf)
    return (logits / temperature).softmax(-1)
    ### END SOLUTION


def generate(model, symbols, count, temperature=1.0, top_k=None):
    """Symbols (B, n), n ≥ 1, continued by `count` symbols that are drawn one after another: (B, n + count).

    model: maps symbols (B, n), n ≤ model.context, to logits (B, n, K)
    """
    ### BEGIN SOLUTION
    for _ in range(count):
        with torch.no_grad():
            logits = model(symbols[:, -model.context :])[:, -1]  # (B, K)
        drawn = torch.multinomial(next_probabilities(logits, temperature, top_k), 1)
        symbols = torch.cat([symbols, drawn], dim=1)
    return symbols
    ### END SOLUTION


# %% nbgrader={"grade_id": "sampling", "grade": true, "points": 3, "locked": true}
logits = torch.tensor([[2.0, 0.0, 1.0, -1.0]])
compare("T = 2", next_probabilities(logits, temperature=2.0), (logits / 2).softmax(-1))
compare("T = 0", next_probabilities(logits, temperature=0), torch.tensor([[1.0, 0, 0, 0]]))
compare("top 2", next_probabilities(logits, top_k=2), torch.tensor([[0.73106, 0, 0.26894, 0]]))
torch.manual_seed(10)
model = CharModel(7, 6, 8, 2, 1).eval()
start = torch.randint(7, (3, 2))
written = generate(model, start, 10, temperature=0)
assert written is not None and written.shape == (3, 12), "2 symbols continued by 10 should have shape (3, 12)"
compare("the start stays", written[:, :2], start)
compare("T = 0 takes the most likely symbol", written[:, 11], model(written[:, 5:11])[:, -1].argmax(-1))

# %% nbgrader={"grade_id": "language-demo", "locked": true, "gives": ["writer"]} tags=["demo"]
torch.manual_seed(0)
writer, text = CharModel(29, 72).to(device), encoded(tales(400, seed=0))
losses = train(writer, announced(lambda: random_windows(text, 24, 72), 300, "tales"), steps=300)
names = ["|".join(words) for words in (ANIMALS, PLACES, VERBS)]
form = re.compile("the ({0}) met the ({0}) at the ({1})\\. the ({0}) ({2}) and the ({0}) ({2})\\.".format(*names))
figure, ax = plt.subplots(figsize=(6, 2.7))
for top_k, look, color in (None, "o-", BLUE), (3, "s--", ORANGE):
    shares = []
    for T in 0.25, 0.5, 1.0, 1.5, 2.0:
        start = encoded("\n").expand(100, 1).to(device)
        lines = ["".join(CHARACTERS[k] for k in row).split("\n")[1] for row in generate(writer, start, 71, T, top_k)]
        found = [form.fullmatch(line) for line in lines]
        right = sum(tale[4] == tale[2] and tale[6] == tale[1] for tale in found if tale)
        shares.append(100 - found.count(None))
        print(f"T = {T}, top_k = {top_k}: {shares[-1]} right in form, {right} in their animals; {lines[0]}")
    ax.plot([0.25, 0.5, 1.0, 1.5, 2.0], shares, look, color=color, label=f"top_k = {top_k}")
ax.set(xlabel="temperature", ylabel="right in form", ylim=(-5, 105))
ax.legend(fontsize=8)
plt.show()

# %% [markdown] nbgrader={"grade_id": "cache-text", "locked": true}
r"""
*In the figure: how many of 100 written lines have the form of a tale.* At $T=0.25$ nearly all have it, at $T=1.5$
almost none. Form is all that was learned: hardly any second sentence names both animals correctly (guessing: 2 of 100).

## 10 · A cache for keys and values

For each new symbol, `generate` sends the whole text through the model. The causal mask makes this unnecessary: later
tokens cannot change earlier ones, so you can keep their keys and values (Shazeer, 2019).

**Exercise 10 · `cached_attention`, `step`** · 5 points · ★★★ · 40 minutes

*Write `cached_attention` and `step`.* New tokens come after those in the cache. A new token sees the cache, itself, and
the new tokens before it. Apply the layers of `layer` to the new tokens only. The logits of successive calls of `step`
must equal those of `model` for the whole text. `block_step` is given: it runs a block whose attention is your
`cached_attention`.

<details><summary>Hint</summary>

For $n$ tokens in the cache and $k$ new ones, which rows of `causal_mask(n + k)` belong to the new tokens?

</details>
"""


# %% nbgrader={"grade_id": "cache-code", "solution": true}
def cached_attention(layer, x, cache=None):
    """Causal self-attention of new tokens, which also see the tokens before them.

    layer: a MultiHeadAttention
    x:     the new tokens (B, k, embed_dim)
    cache: None at the start, or a tuple of the keys and values of all n earlier tokens, each (B, num_heads, n, d)

    Returns a tuple of H (B, k, embed_dim) and the new cache, a tuple of keys and values (B, num_heads, n + k, d).
    """
    ### BEGIN SOLUTION
    layers = layer.W_Q, layer.W_K, layer.W_V
    Q, K, V = (part(x).unflatten(-1, (layer.num_heads, -1)).transpose(1, 2) for part in layers)  # (B, h, k, d)
    if cache is not None:
        K, V = torch.cat([cache[0], K], dim=2), torch.cat([cache[1], V], dim=2)  # (B, h, n + k, d)
    mask = causal_mask(K.shape[2])[-x.shape[1] :].to(x.device)  # (k, n + k)
    H, _ = attention(Q, K, V, mask=mask)
    return layer.W_O(H.transpose(1, 2).flatten(2)), (K, V)
    ### END SOLUTION


def block_step(block, x, cache):
    """A TransformerBlock's output for new tokens x, and its new cache. (Given.)"""
    layer, kept = next(part for part in block.modules() if isinstance(part, MultiHeadAttention)), []

    def answer(queries, *others, **named):
        H, new = cached_attention(layer, queries, cache)
        kept.append(new)
        return H, None

    layer.forward = answer
    try:
        return block(x), kept[-1]
    finally:
        del layer.forward


def step(model, symbols, caches):
    """Logits (B, k, num_symbols) of a CharModel for new symbols (B, k), and the list of the new caches.

    caches: a list with the cache of each block, the first block first; [None, None, …] at the start
    """
    ### BEGIN SOLUTION
    done, new = 0 if caches[0] is None else caches[0][0].shape[2], []
    x = model.embedding(symbols) + model.P[done : done + symbols.shape[1]]
    for block, cache in zip(model.blocks, caches, strict=True):
        x, kept = block_step(block, x, cache)
        new.append(kept)
    return model.head(model.norm(x)), new
    ### END SOLUTION


# %% nbgrader={"grade_id": "cache", "grade": true, "points": 5, "locked": true}
torch.manual_seed(11)
layer, [x] = MultiHeadAttention(8, 2), numbers((3, 6, 8), seed=14)
right, _ = layer(x, x, x, mask=causal_mask(6))
for sizes in [6], [1] * 6, [3, 1, 2]:
    found, cache = [], None
    for part in x.split(sizes, 1):
        H, cache = cached_attention(layer, part, cache)
        found.append(H)
    compare(f"H for {sizes} new tokens", torch.cat(found, 1), right)
model, symbols, caches = CharModel(7, 9, 8, 2, 3).eval(), torch.randint(7, (2, 9)), [None] * 3
first, caches = step(model, symbols[:, :5], caches)
second, caches = step(model, symbols[:, 5:6], caches)
third, caches = step(model, symbols[:, 6:], caches)
compare("logits of three steps", torch.cat([first, second, third], 1), model(symbols))

# %% nbgrader={"grade_id": "speed-figure", "locked": true} tags=["demo"]
torch.manual_seed(0)
model, seconds = CharModel(29, 512).to(device).eval(), {"without a cache": [], "with a cache": []}
counts = 32, 64, 128, 256, 512
for count in counts:
    start = torch.zeros(1, 1, dtype=torch.long, device=device)
    began = time.perf_counter()
    generate(model, start, count)
    seconds["without a cache"].append(time.perf_counter() - began)
    began, symbol, caches = time.perf_counter(), start, [None, None]
    with torch.no_grad():
        for _ in range(count):
            logits, caches = step(model, symbol, caches)
            symbol = torch.multinomial(next_probabilities(logits[:, -1]), 1)
    seconds["with a cache"].append(time.perf_counter() - began)
figure, ax = plt.subplots(figsize=(6, 2.7))
for (name, values), look, color in zip(seconds.items(), ("o-", "s--"), (BLUE, ORANGE), strict=True):
    ax.plot(counts, values, look, color=color, label=name)
ax.set(xlabel="symbols written", ylabel="seconds", xticks=counts[2:])
ax.legend(fontsize=8)
plt.show()
slow, fast = (values[-1] for values in seconds.values())
print(f"with the cache, {counts[-1]} symbols are written {slow / fast:.1f} times as fast")

# %% [markdown] nbgrader={"grade_id": "patches-text", "locked": true}
r"""
*In the figure: the time to write with and without a cache.* On our CPU, four times as many symbols take about 4 times
as long with the cache, and 13 to 21 times as long without.

## 11 · An image is a row of patches

The vision transformer (Dosovitskiy et al., 2021) cuts an image into squares of $p\times p$ pixels and reads them row by
row. One linear layer, with a bias, maps each patch to $e$ features:

$$(B,C,H,W)\to(B,n,Cp^2)\to(B,n,e),\qquad n=(H/p)\cdot(W/p).$$

Our images are scikit-learn's digits, 14×14 pixels, each time at one of 49 places on a canvas of 20×20.

**Exercise 11 · `PatchEmbedding`** · 2 points · ★★☆ · 20 minutes

*Write `__init__` and `forward`.* The patches must come row by row. The order of pixels within a patch is yours to
choose. Convolutions are allowed.

<details><summary>Hint</summary>

Cut both image axes in two. Which of the six axes should stand side by side before you flatten?

</details>
"""


# %% nbgrader={"grade_id": "data", "locked": true, "gives": ["digits_8", "digits_y", "unseen"]} tags=["demo"]
from sklearn.datasets import load_digits

torch.manual_seed(0)
digits = load_digits()
order = torch.randperm(len(digits.target))
digits_8 = torch.tensor(digits.images, dtype=torch.float32)[order, None] / 16  # (1797, 1, 8, 8)
digits_y = torch.tensor(digits.target)[order]  # (1797,)
unseen = torch.arange(1400, 1797)  # never trained on
figure, axes = plt.subplots(1, 8, figsize=(10, 1.5))
for ax, canvas, label in zip(axes, place_digits(digits_8[:8]), digits_y, strict=False):
    ax.imshow(canvas[0], cmap="gray")
    ax.set(xticks=[k - 0.5 for k in range(4, 20, 4)], yticks=[k - 0.5 for k in range(4, 20, 4)])
    ax.set(xticklabels=[], yticklabels=[], title=f"label {label}")
    ax.grid(color=ORANGE, linewidth=0.6)
plt.show()


# %% nbgrader={"grade_id": "patches-code", "solution": true}
class PatchEmbedding(nn.Module):
    """Takes images (B, in_channels, image_size, image_size); returns tokens (B, n, embed_dim), one for each patch.

    patch_size divides image_size; the patches come row by row; one linear map, with a bias, serves all of them.
    """

    def __init__(self, image_size, patch_size, in_channels, embed_dim):
        super().__init__()
        ### BEGIN SOLUTION
        self.side, self.patch_size = image_size // patch_size, patch_size
        self.projection = nn.Linear(in_channels * patch_size**2, embed_dim)
        ### END SOLUTION

    def forward(self, images):
        ### BEGIN SOLUTION
        x = images.unflatten(3, (self.side, self.patch_size)).unflatten(2, (self.side, self.patch_size))
        x = x.permute(0, 2, 4, 1, 3, 5)  # from (B, C, rows, p, columns, p) to (B, rows, columns, C, p, p)
        return self.projection(x.flatten(3).flatten(1, 2))  # (B, n, e)
        ### END SOLUTION


# %% nbgrader={"grade_id": "patches", "grade": true, "points": 2, "locked": true}
torch.manual_seed(9)
embed = PatchEmbedding(12, 4, 2, 10)
tokens = embed(torch.randn(3, 2, 12, 12))
assert tokens is not None, "PatchEmbedding returns None: is a return statement missing?"
assert tokens.shape == (3, 9, 10), f"the shape is {tuple(tokens.shape)}; 3 images of 3 × 3 patches make (3, 9, 10)"
patch, dark, alike = torch.randn(2, 4, 4), embed(torch.zeros(1, 2, 12, 12))[0], []
for k in range(9):
    image = torch.zeros(1, 2, 3, 4, 3, 4)
    image[0, :, k // 3, :, k % 3] = patch
    seen = embed(image.view(1, 2, 12, 12))[0]
    changed = ((seen - dark).abs().amax(1) > 1e-6).nonzero().flatten().tolist()
    assert changed == [k], f"the patch in row {k // 3}, column {k % 3} changes tokens {changed}"
    alike.append(seen[k])
compare("a patch is the same token wherever it stands", torch.stack(alike), alike[0].expand(9, 10))

# %% [markdown] nbgrader={"grade_id": "vit-text", "locked": true}
r"""
## 12 · A transformer that sees

- **A class token** (Devlin et al., 2019) comes first. It is a learned vector, the same for every image. The answer is
  read off this token alone.
- **Places** are learned: a parameter with $n+1$ rows, one for each token, is added. Initialise it: normal, standard
  deviation 0.02.
- **Blocks**: `num_layers`, without a mask.
- **A head**: a LayerNorm, then a linear layer from the class token to the logits.

Dropout acts inside the blocks. It may act once more, on the tokens after places are added, and nowhere else.

**Exercise 12 · `VisionTransformer`** · 3 points, 3 for what is learned · ★★★ · 35 minutes

*Write `__init__` and `forward`.* The grader trains `VisionTransformer(20, 4, 1, 48, 4, 96, 2, 10, dropout=0.0)` with
your `train`, for 1,000 steps on 64 canvases, and shows it new digits: 1½ points from 75 % right, 3 from **90 %**.

<details><summary>Hint</summary>

How does a module announce a tensor that it learns? `expand` lets a batch share one class token.

</details>
"""


# %% nbgrader={"grade_id": "vit-code", "solution": true}
class VisionTransformer(nn.Module):
    """Takes images (B, in_channels, image_size, image_size); returns logits (B, num_classes)."""

    def __init__(
        self, image_size, patch_size, in_channels, embed_dim, num_heads, mlp_dim, num_layers, num_classes, dropout=0.1
    ):
        super().__init__()
        ### BEGIN SOLUTION
        n = (image_size // patch_size) ** 2
        self.patches = PatchEmbedding(image_size, patch_size, in_channels, embed_dim)
        self.class_token = nn.Parameter(0.02 * torch.randn(1, 1, embed_dim))
        self.places = nn.Parameter(0.02 * torch.randn(1, n + 1, embed_dim))
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.ModuleList(TransformerBlock(embed_dim, num_heads, mlp_dim, dropout) for _ in range(num_layers))
        self.norm = nn.LayerNorm(embed_dim)
        self.head = nn.Linear(embed_dim, num_classes)
        ### END SOLUTION

    def forward(self, images):
        ### BEGIN SOLUTION
        x = self.patches(images)  # (B, n, e)
        first = self.class_token.expand(len(x), -1, -1)  # (B, 1, e)
        x = torch.cat([first, x], dim=1)  # (B, n + 1, e)
        x = self.dropout(x + self.places)
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x[:, 0]))  # (B, num_classes)
        ### END SOLUTION


# %% nbgrader={"grade_id": "vit", "grade": true, "points": 3, "locked": true}
torch.manual_seed(10)
tiny, images = VisionTransformer(12, 4, 2, 8, 2, 16, 2, 5), torch.randn(3, 2, 12, 12)
logits = tiny(images)
assert logits is not None, "VisionTransformer returns None: is a return statement missing?"
assert logits.shape == (3, 5), f"the shape is {tuple(logits.shape)}, it should be (3, 5)"
parts = {"patches": 264, "class token": 8, "places": 80, "2 blocks": 1200, "last norm": 16, "head": 45}
parameters = sum(parameter.numel() for parameter in tiny.parameters())
assert parameters == sum(parts.values()), f"{parameters} parameters; it should be {sum(parts.values())}, {parts}"
logits.square().sum().backward()
idle = [name for name, parameter in tiny.named_parameters() if parameter.grad is None]
assert not idle, f"{idle} get no gradient: are they used in forward?"
tiny.eval()
compare("an image without its batch", tiny(images[1:2]), tiny(images)[1:2])
swapped = torch.cat([images[..., 4:8], images[..., :4], images[..., 8:]], dim=-1)
assert not torch.allclose(tiny(images), tiny(swapped), atol=1e-6), "swapped patches get the same logits"

# %% nbgrader={"grade_id": "vit-learns", "grade": true, "points": 3, "locked": true}
# Twenty-four random pictures with arbitrary labels, for 60 steps.
torch.manual_seed(11)
pictures, labels = functional.avg_pool2d(torch.randn(24, 1, 22, 22), 3, stride=1) * 2, torch.arange(24) % 4
tiny = VisionTransformer(20, 4, 1, 32, 4, 64, 2, 4, dropout=0.0).to(device)
losses = train(tiny, lambda: (pictures, labels), steps=60)
with torch.no_grad():
    accuracy = (tiny.eval()(pictures.to(device)).argmax(1).cpu() == labels).float().mean()
print(f"after 60 steps {accuracy:.0%} of 24 pictures are known, the loss is {losses[-1]:.3f}")
assert accuracy > 0.9, "24 pictures should be learned by heart"


# %% nbgrader={"grade_id": "vit-demo", "locked": true, "gives": ["accuracy_of", "sampler", "vit"]} tags=["demo"]
def sampler(pool, size=64, order=None):
    """A function that draws batches of canvases of the digits in `pool`; `order` rearranges their pixels."""

    def sample():
        rows = pool[torch.randint(len(pool), (size,))]
        images = place_digits(digits_8[rows])
        return images if order is None else images.flatten(1)[:, order].view_as(images), digits_y[rows]

    return sample


def accuracy_of(model, order=None):
    """The share of unseen digits, each in three random places, that the model reads correctly."""
    torch.manual_seed(1)
    images, labels = sampler(unseen.repeat(3), 1200, order)()
    with torch.no_grad():
        return (model.eval()(images.to(device)).argmax(1).cpu() == labels).float().mean().item()


torch.manual_seed(0)  # about twenty seconds
vit = VisionTransformer(20, 4, 1, 48, 4, 96, 2, 10, dropout=0.0).to(device)
train(vit, announced(sampler(torch.arange(1400)), 1000, "vision transformer"), steps=1000)
print(f"{accuracy_of(vit):.1%} of the unseen digits are read correctly")
places = next(p for p in vit.parameters() if p.numel() == 26 * 48).detach().cpu().reshape(26, 48)[1:]
alike = functional.cosine_similarity(places[:, None], places[None], dim=-1).reshape(25, 5, 5)
figure, axes = plt.subplots(5, 5, figsize=(4.6, 3.8), layout="constrained")
for ax, similarity in zip(axes.ravel(), alike, strict=True):
    picture = ax.imshow(similarity, cmap="PuOr_r", vmin=-1, vmax=1)
    ax.axis("off")
figure.colorbar(picture, ax=axes)
plt.show()

# %% [markdown] nbgrader={"grade_id": "rollout-text", "locked": true}
r"""
*In the figure: for each of 5 × 5 places, the cosine of its learned vector with those of all places, from −1 (violet) to
1 (brown).* A place resembles its neighbours (0.5 on average) and not the places three steps away (−0.2).

## 13 · Where did it look?

**Attention rollout** (Abnar & Zuidema, 2020) follows attention through all layers. It averages a layer's heads to
$\bar A$, counts the block's direct path as half, and multiplies, the last layer on the left:

$$R=\tilde A_L\cdots\tilde A_2\tilde A_1,\qquad\tilde A_l=\tfrac12 I+\tfrac12\bar A_l.$$

Row 0 of $R$ says how much of each token arrives at the class token. This ignores values and MLPs.

**Exercise 13 · `attention_rollout`** · 2 points · ★★☆ · 15 minutes

*Write `attention_rollout(maps)`. It returns $R$.*

<details><summary>Hint</summary>

Every row of $R$ adds up to 1. On which side does the next layer join?

</details>
"""


# %% nbgrader={"grade_id": "rollout-code", "solution": true}
def attention_rollout(maps):
    """How much of each input token arrives at each output token.

    maps: a list with the weights A (B, heads, n, n) of every layer, the first layer first

    Returns R (B, n, n).
    """
    ### BEGIN SOLUTION
    R = torch.eye(maps[0].shape[-1], device=maps[0].device)
    for A in maps:
        mixed = (A.mean(1) + torch.eye(A.shape[-1], device=A.device)) / 2  # (B, n, n)
        R = mixed @ R
    return R
    ### END SOLUTION


# %% nbgrader={"grade_id": "rollout", "grade": true, "points": 2, "locked": true}
first = torch.tensor([[1.0, 0], [1, 0]]).expand(1, 2, 2, 2)  # both tokens look at token 0
second = torch.tensor([[0.0, 1], [1, 0]]).expand(1, 2, 2, 2)  # then each looks at the other one
compare("R of one layer", attention_rollout([first]), torch.tensor([[[1.0, 0], [0.5, 0.5]]]))
compare("R of two layers", attention_rollout([first, second]), torch.tensor([[[0.75, 0.25], [0.75, 0.25]]]))
maps = [weights.softmax(-1) for weights in numbers((2, 3, 5, 5), (2, 3, 5, 5), (2, 3, 5, 5), seed=12)]
compare("the rows of R add up to 1", attention_rollout(maps).sum(-1), torch.ones(2, 5))

# %% nbgrader={"grade_id": "rollout-figure", "locked": true} tags=["demo"]
torch.manual_seed(3)
chosen = torch.stack([unseen[digits_y[unseen] == label][0] for label in range(2, 10)])
canvases, maps = place_digits(digits_8[chosen]), []
layers = [part for part in vit.modules() if isinstance(part, MultiHeadAttention)]
hooks = [layer.register_forward_hook(lambda layer, given, result: maps.append(result[1])) for layer in layers]
with torch.no_grad():
    guesses = vit.eval()(canvases.to(device)).argmax(1).tolist()
for hook in hooks:
    hook.remove()
arrived = attention_rollout(maps)[:, 0, 1:].cpu().reshape(8, 5, 5)
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

# %% [markdown] nbgrader={"grade_id": "amount-text", "locked": true}
r"""
*In the figure: eight unseen digits, their labels and what the model says; below, how much of each patch arrives at the
class token, yellow most.* A patch with ink sends 6 to 16 times as much as an empty one. Before training, both send
about the same.

## 14 · How many images does it need?

The kernels of a CNN look at neighbouring pixels. Your loop trains a small CNN and your ViT on 60 to 1,400 digits. A
third run trains the CNN on canvases whose pixels are all exchanged in the same way, which destroys neighbourhoods.

**Prediction** · ½ point

- **A.** The ViT leads with 60 digits, and the CNN with 1,400.
- **B.** The CNN leads with 60 and with 1,400 digits, by more with 60.
- **C.** The CNN leads with 60 and with 1,400 digits, by more with 1,400.

*Set `amount_prediction` to one letter.* Any choice earns the ½ point: what counts is that you commit before you look.
"""


# %% nbgrader={"grade_id": "amount-prediction-code", "solution": true}
# amount_prediction = "…"  # "A", "B" or "C"
### BEGIN SOLUTION
amount_prediction = "B"
### END SOLUTION

# %% nbgrader={"grade_id": "amount-prediction", "grade": true, "points": 0.5, "locked": true}
assert amount_prediction in ("A", "B", "C"), 'amount_prediction should be one of the letters "A", "B" and "C"'


# %% nbgrader={"grade_id": "amount-figure", "locked": true} tags=["demo"]
def small_cnn():
    """Three convolutions, a mean over all places, a linear layer."""
    layers = []
    for before, after in (1, 16), (16, 32), (32, 48):
        layers += [nn.Conv2d(before, after, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(48, 10))


def small_vit():
    return VisionTransformer(20, 4, 1, 48, 4, 96, 2, 10, dropout=0.0)


counts, exchanged = (60, 180, 500, 1400), torch.randperm(400, generator=torch.Generator().manual_seed(0))
runs = ("CNN", small_cnn, None, "s--", ORANGE), ("ViT", small_vit, None, "o-", BLUE)
figure, ax = plt.subplots(figsize=(6, 3))
for name, kind, order, look, color in (*runs, ("CNN, pixels exchanged", small_cnn, exchanged, "^:", GREEN)):
    scores = []
    for count in counts:
        torch.manual_seed(0)
        model, sample = kind().to(device), sampler(torch.arange(count), order=order)
        train(model, announced(sample, 600, f"{name}, {count} digits"), steps=600)
        scores.append(accuracy_of(model, order))
    ax.semilogx(counts, scores, look, color=color, label=name)
    print(", ".join(f"{count} digits: {score:.1%}" for count, score in zip(counts, scores, strict=True)))
ax.minorticks_off()
ax.set(xticks=counts, xticklabels=counts, xlabel="digits in the training set", ylabel="unseen digits read")
ax.legend(fontsize=8, loc="lower right")
plt.show()

# %% [markdown] nbgrader={"grade_id": "amount-why", "grade": true, "solution": true, "points": 0.5}
r"""
*In the figure: the share of unseen digits that are read, for the CNN (squares), the ViT (circles), and the CNN on
exchanged pixels (triangles).*

**In one sentence or two** · ½ point: what does the figure show, and what causes it? A wrong prediction costs nothing.

### BEGIN SOLUTION
The CNN reads more unseen digits at every size of the training set. Its lead shrinks from 9 to 16 points with 60 digits
to 4 to 6 with 1,400. With 1,400 digits the cause is that its kernels see neighbourhoods: without them the lead is
gone. With 60 digits this is only part of the cause, because the CNN stays ahead without neighbourhoods.

**Mark scheme (½ point)**

½ for a cause that follows from the run with exchanged pixels: all or part of the CNN's lead comes from its use of
neighbourhoods. A description of the curves without a cause earns nothing.
### END SOLUTION
"""

# %% [markdown] nbgrader={"grade_id": "farewell", "locked": true}
r"""
Over five seeds the CNN leads by 9 to 16 points with 60 digits, and by 4 to 6 with 1,400. On average, exchanged pixels
cost it 4 to 5 points. With 1,400 digits this is its whole lead. Without neighbourhoods it still leads by 4 to 12 points
with 60 digits: there must be another cause. Touvron et al. (2021) trained strong ViTs on ImageNet-1k alone, with
augmentation and a teacher.

## Sources

Vaswani 2017, *Attention is all you need*; Milakov 2018, *Online normalizer calculation for softmax*; Dao 2022,
*FlashAttention: fast and memory-efficient exact attention with IO-awareness*; Su 2021, *RoFormer: enhanced transformer
with rotary position embedding*; He 2016, *Deep residual learning for image recognition*; Hendrycks 2016, *Gaussian
error linear units*; Ba 2016, *Layer normalization*; Srivastava 2014, *Dropout: a simple way to prevent neural networks
from overfitting*; Xiong 2020, *On layer normalization in the transformer architecture*; Loshchilov 2019, *Decoupled
weight decay regularization*; Smith 2018, *Super-convergence: very fast training of neural networks using large learning
rates*; Fan 2018, *Hierarchical neural story generation*; Shazeer 2019, *Fast transformer decoding: one write-head is
all you need*; Devlin 2019, *BERT: pre-training of deep bidirectional transformers for language understanding*;
Dosovitskiy 2021, *An image is worth 16x16 words: transformers for image recognition at scale*; Abnar 2020, *Quantifying
attention flow in transformers*; Touvron 2021, *Training data-efficient image transformers & distillation through
attention*"""
