# %% [markdown] nbgrader={"grade_id": "header", "locked": true}
r"""
# A transformer that writes and sees

You build all parts of a transformer and use them twice: to write tales, and to read digits.

|exercise|you write|points|difficulty|minutes|
|---|---|---|---|---|
|1|`attention`|2 + 2|★★☆|25|
|2|`online_attention`|4|★★☆|25|
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
|15|`RMSNorm`, `SwiGLU`, `grouped_attention`|optional|★★☆|(40)|
||**in all** (49½ by machine, ½ by hand)|**50**||**345**|

**You need** this homework's theory and Homework 2.

**How to work.** Replace each `raise NotImplementedError` with your code. PyTorch's own attention and transformer
modules (`scaled_dot_product_attention`, `nn.MultiheadAttention`, `nn.Transformer…`) are not allowed. Everything else in
PyTorch is. Do not change arguments in place. The grader skips cells that train for long or only draw,
and trains your models itself."""

# %% nbgrader={"grade_id": "helpers", "locked": true}
import itertools
import math
import random
import re

import matplotlib.pyplot as plt
import torch
from torch import nn
from torch.nn import functional

device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
torch.set_num_threads(1)  # for models as small as ours, one thread is as fast as many
CHARACTERS = "\n .abcdefghijklmnopqrstuvwxyz"
ANIMALS = ["ape", "bear", "crow", "dog", "eel", "fox", "goat", "hen"]
PLACES = ["river", "hill", "gate", "mill", "barn", "lake"]
VERBS = ["sang", "slept", "danced", "laughed", "ate", "waited"]


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


def place_digits(digits):
    """Digits (B, 1, 8, 8), from 0 to 1, as 14×14 pixels at random places of a canvas: (B, 1, 20, 20), from -1 to 1."""
    large = functional.pad(functional.interpolate(digits, size=14, mode="bilinear"), (6,) * 4)
    windows = large.unfold(2, 20, 1).unfold(3, 20, 1)  # every possible canvas: (B, 1, 7, 7, 20, 20)
    top, left = torch.randint(7, (2, len(digits)))
    return 2 * windows[torch.arange(len(digits)), :, top, left] - 1


# %% nbgrader={"grade_id": "common", "locked": true}
# @title Helpers for checks and figures. Run this cell; you need not read it.
from common import BLUE, RED, compare, numbers, show_figure

# %% [markdown] nbgrader={"grade_id": "attention-text", "locked": true}
r"""
## 1 · Attention

Tokens are **rows**. `Q` holds $n$ queries, `(…, n, d)`; `K` holds $m$ keys, `(…, m, d)`; `V` holds their values,
`(…, m, t)`. The dots are any number of leading axes (batch, heads), the same in all three (Vaswani et al., 2017).

$$A=\mathrm{softargmax}_\beta(QK^\top),\quad
A_{ij}=\frac{\exp(\beta\,q_i^\top k_j)}{\sum_{l=1}^{m}\exp(\beta\,q_i^\top k_l)},\quad H=AV.$$

The default is $\beta=1/\sqrt{d}$.

A **mask** is a boolean tensor in which **`True` means "may look"**. It broadcasts to `(…, n, m)`. The mask always
allows each query at least one key. A forbidden key gets weight exactly 0, however high its score. The allowed weights
add up to 1.

**Exercise 1 · `attention`** · 4 points (2 without a mask, 2 with one) · ★★☆ · 25 minutes

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


# %% nbgrader={"grade_id": "attention", "grade": true, "points": 2, "locked": true}
Q, K, V = numbers((2, 3, 5, 8), (2, 3, 7, 8), (2, 3, 7, 4), seed=1)
H, A = attention(Q, K, V)
compare("the rows of A add up to 1", A.sum(-1), torch.ones(2, 3, 5))
for beta in None, 2.0, 0.0:  # with β = 0, every query gets the plain mean of the values
    right = functional.scaled_dot_product_attention(Q, K, V, scale=beta)
    compare(f"H for β = {beta}", attention(Q, K, V, beta=beta)[0], right)
compare("H without leading axes", attention(Q[0, 0], K[0, 0], V[0, 0])[0], H[0, 0])

# %% nbgrader={"grade_id": "attention-mask", "grade": true, "points": 2, "locked": true}
Q, K, V = numbers((2, 3, 5, 8), (2, 3, 7, 8), (2, 3, 7, 4), seed=1)
mask = torch.rand(5, 7, generator=torch.Generator().manual_seed(2)) < 0.5
mask[:, 0] = True  # every query may look at key 0
forbidden = attention(Q, K, V, mask=mask)[1][..., ~mask]
compare("weights where the mask forbids to look", forbidden, torch.zeros_like(forbidden))
for size in (5, 7), (2, 1, 5, 7), (1, 1, 1, 7):
    part = mask[: size[-2]].expand(size)
    right = functional.scaled_dot_product_attention(Q, K, V, attn_mask=part)
    compare(f"H under a mask of shape {size}", attention(Q, K, V, mask=part)[0], right)

# %% [markdown] nbgrader={"grade_id": "online-text", "locked": true}
r"""
## 2 · Attention in blocks

FlashAttention (Dao et al., 2022) never stores the $n\times m$ weights. It reads keys and values in blocks. For each
query it keeps the largest $\beta q^\top k_j$ so far, $\mu$, and two sums, $s=\sum_j e^{\beta q^\top k_j-\mu}$ and
$h=\sum_j e^{\beta q^\top k_j-\mu}v_j$ (online softmax, Milakov & Gimelshein, 2018). At the end, $H=h/s$.

**Exercise 2 · `online_attention`** · 4 points · ★★☆ · 25 minutes

*Write `online_attention`. It returns $H$ alone, equal to that of `attention`.* You can read `blocks` only once. What
you keep must not grow with the number of blocks. Values of $\beta q^\top k$ from −10,000 to 10,000 must give right
answers, in any order.

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


# %% nbgrader={"grade_id": "online", "grade": true, "points": 4, "locked": true}
Q, K, V = numbers((2, 5, 8), (2, 12, 8), (2, 12, 4), seed=3)
right = functional.scaled_dot_product_attention(Q, K, V)
for sizes in [12], [4, 4, 4], [1, 9, 2]:
    pairs = zip(K.split(sizes, 1), V.split(sizes, 1), strict=True)
    compare(f"H from blocks of {sizes} keys", online_attention(Q, pairs), right)
K = torch.tensor([[-9000.0], [9000.0], [-8000.0], [8999.0]])  # the scores of a query of 1
H = online_attention(torch.ones(1, 1), zip(K.split(1), V[0, :4].split(1), strict=True), beta=1.0)
compare("H for scores of thousands", H[0], 0.73106 * V[0, 1] + 0.26894 * V[0, 3], tolerance=1e-2)
H = online_attention(Q[..., :4], zip(V.split(4, 1), V.split(4, 1), strict=True), beta=0.0)
compare("H for β = 0", H, V.mean(1, keepdim=True).expand(2, 5, 4))

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
for name in "weight", "bias":  # the same for both
    parts = [getattr(layer, name).data for layer in (ours.W_Q, ours.W_K, ours.W_V)]
    getattr(library, f"in_proj_{name}").data = torch.cat(parts)
    getattr(library.out_proj, name).data = getattr(ours.W_O, name).data
queries, keys, values = numbers((2, 5, 12), (2, 7, 12), (2, 7, 12), seed=4)
for look, mask in ("everywhere", None), ("under a mask", torch.ones(5, 7).tril(1).bool()):
    H, A = ours(queries, keys, values, mask=mask)
    forbidden = None if mask is None else ~mask  # in the library, True means "must not look"
    right = library(queries, keys, values, attn_mask=forbidden, average_attn_weights=False)
    compare(f"A of three heads that look {look}", A, right[1])
    compare(f"H of three heads that look {look}", H, right[0])

# %% [markdown] nbgrader={"grade_id": "encoding-text", "locked": true}
r"""
## 4 · Places and masks

Attention does not know the order of its tokens: shuffled tokens get shuffled answers. Vaswani et al. add to each
token a vector that encodes its place $p=0,1,\dots$ For $i=0,\dots,\frac{e}{2}-1$,

$$P_{p,2i}=\sin\bigl(p/10000^{2i/e}\bigr),\qquad P_{p,2i+1}=\cos\bigl(p/10000^{2i/e}\bigr).$$

Each pair of features is the hand of a clock.

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
compare("places 0 and 1", P[:2], torch.tensor([[0.0, 1, 0, 1, 0, 1], [0.84147, 0.5403, 0.0464, 0.99892, 0.00215, 1]]))
assert P.shape == (50, 6) and P.dtype == torch.float32, f"P is {P.dtype} with the shape {tuple(P.shape)}"

# %% nbgrader={"grade_id": "causal", "grade": true, "points": 1, "locked": true}
mask = causal_mask(4)
assert isinstance(mask, torch.Tensor) and mask.dtype == torch.bool, "causal_mask should return a boolean tensor"
compare("tokens 1 and 3 may look at", mask[[1, 3]], torch.tensor([[True, True, False, False], [True] * 4]))

# %% [markdown] nbgrader={"grade_id": "rotary-text", "locked": true}
r"""
## 5 · Rotary embedding

Rotary embedding (Su et al., 2021) turns queries and keys by angles that grow with their place $p$. Each pair of
features $(x_{2i},x_{2i+1})$ is rotated counter-clockwise by $\theta=p/10000^{2i/d}$:

$$(x_{2i},\,x_{2i+1})\to(x_{2i}\cos\theta-x_{2i+1}\sin\theta,\;x_{2i}\sin\theta+x_{2i+1}\cos\theta).$$

So for a given query and key, the score depends on their places only through the difference, sign included.

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
turned = rotate(x, torch.tensor([0, 7, 2, 30, 1]))
compare("the norm of every token stays", turned.norm(dim=-1), x.norm(dim=-1))
turned = rotate(torch.tensor([[1.0, 0, 0, 1], [1, 0, 0, 1]]), torch.tensor([0, 1]))
compare("places 0 and 1", turned, torch.tensor([[1, 0, 0, 1], [0.54030, 0.84147, -0.01000, 0.99995]]))
fits = [(rotate(y, torch.tensor([p])) * rotate(x[0, 0, :1], torch.tensor([p + 4]))).sum() for p in (0, 3, 50)]
compare("scores 4 places apart", torch.stack(fits), fits[0].expand(3))

# %% [markdown] nbgrader={"grade_id": "block-text", "locked": true}
r"""
## 6 · The block

A block adds two corrections to its tokens (residual connections, He et al., 2016):

$$x\leftarrow x+D\bigl(\mathrm{MHA}(N_1(x))\bigr),\qquad x\leftarrow x+D\bigl(\mathrm{MLP}(N_2(x))\bigr).$$

- $\mathrm{MHA}$ is self-attention: queries, keys and values are the same normalised tokens.
- $\mathrm{MLP}$ treats each token alone: linear to `mlp_dim`, GELU (Hendrycks & Gimpel, 2016), linear back to $e$.
- $N_1$ and $N_2$ are two LayerNorms (Ba et al., 2016) with their own parameters.
- $D$ is dropout (Srivastava et al., 2014), on both corrections and nowhere else in the block.

This order is **pre-norm** (Xiong et al., 2020): the direct path from input to output has only sums.

**Exercise 6 · `TransformerBlock`** · 5 points (3 for structure, 2 for dropout, mask and gradients) · ★★☆ · 35 minutes

*Write `__init__` and `forward`, with your `MultiHeadAttention`.* When testing exercises 3, 6, 8, 10, 12 and 15, the
grader replaces your earlier parts with its own, so an error counts once. Its classes lack your helper methods; helper
functions stay. Training runs use your code alone.

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
assert block(x) is not None, "the block returns None: is a return statement missing?"
parameters = sum(parameter.numel() for parameter in block.parameters())
assert parameters == 624 + 512 + 48, f"{parameters} parameters: 624 for MHA, 512 for the MLP, 24 for each norm"
# the norms remove what all features of a token have in common; the direct path carries it on
compare("a shift of all features goes through", block(x + 3 * shift) - 3 * shift, block(x), tolerance=1e-3)
compare("tokens in another order get the same", block(x.flip(1)), block(x).flip(1))

# %% nbgrader={"grade_id": "block-modes", "grade": true, "points": 2, "locked": true}
torch.manual_seed(6)
block, [x] = TransformerBlock(12, 3, 20, dropout=0.5), numbers((2, 6, 12), seed=5)
same = torch.cat([block(x) == x for _ in range(10)]).float().mean()  # both corrections dropped: 0.5 · 0.5
assert 0.15 < same < 0.35, f"dropout = 0.5 should leave a quarter of the entries as they are, not {same:.0%}"
block.eval()
compare("no dropout in evaluation mode", block(x), block(x))
changed = x * torch.tensor([1, 1, 1, 1, -1, -1])[:, None]  # tokens 4 and 5 change
compare("under a causal mask the past stays", block(changed, causal_mask(6))[:, :4], block(x, causal_mask(6))[:, :4])
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
with `OneCycleLR` (Smith & Topin, 2018) and a peak rate near 0.005 works for both models. `OneCycleLR` raises the rate
first. Without this warm-up, exercise 12's vision transformer read 84 to 87 % of new digits, not 91 %; five of ten
runs missed the 85 %.

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
    print(f"labels {axes}: the loss falls from {losses[0]:.2f} to {losses[-1]:.2f}")
    assert sum(losses[-10:]) < sum(losses[:10]), "the loss does not fall"

# %% [markdown] nbgrader={"grade_id": "language-text", "locked": true}
r"""
## 8 · A causal language model

`tales` above writes a small language of our own. The second sentence names the animals in the opposite order:

`the fox met the hen at the mill. the hen slept and the fox sang.`

At every place the model predicts the *next* character, so the labels are the text itself, one place later. Under the
**causal mask** a place sees itself and what came before. So $n$ characters give $n$ predictions in one pass.

The model embeds the symbols, adds the encodings of places $0,1,\dots$, applies all blocks in order under the mask, then
the last norm and the head.

**Exercise 8 · `random_windows`, `CharModel`** · 5 points (3 for the code, 2 for what is learned) · ★★☆ · 30 minutes

*Write `random_windows` and `CharModel.forward`.* Every window that fits into the text together with its last label must
be equally likely, in each call. The model must accept every length from 1 to `context`.

The grader trains `CharModel(29, 72)` with your `train`, for 300 steps on 8 windows of 72 characters. The cross-entropy
on new tales earns 1 point below **0.8** and 2 points below **0.5**.

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
compare("inputs are pieces of the text", inputs, inputs[:, :1].expand(500, 1) + torch.arange(4))
compare("labels are the characters after them", labels, inputs + 1)
assert inputs.min() == 100 and labels.max() == 119, "500 windows should reach both ends of the text"
model, symbols = CharModel(7, 9, 8, 2, 2).eval(), torch.randint(7, (3, 9))
logits = model(symbols)
assert logits is not None and logits.shape == (3, 9, 7), "the logits should have shape (3, 9, 7)"
compare("a beginning alone", model(symbols[:, :5]), logits[:, :5])
same = model(symbols[:1, :1].expand(1, 9))[0]
assert not torch.allclose(same[0], same[8], atol=1e-4), "a symbol gets the same logits at all places"

# %% nbgrader={"grade_id": "language-learns", "grade": true, "points": 2, "locked": true}
torch.manual_seed(9)
text = encoded("abcd" * 50)  # four characters in turn
losses = train(CharModel(29, 16, 32, 2, 1).to(device), lambda: random_windows(text, 16, 16), steps=60)
assert losses[-1] < 0.5, f"in 60 steps the loss falls to {losses[-1]:.2f}; it should be below 0.5"

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
    top_k:       None, or how many symbols may be drawn, from 1 to K; of logits equal to the k-th, any or all may stay
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
compare("T = 2", next_probabilities(logits, temperature=2.0), torch.tensor([[0.45505, 0.16740, 0.27600, 0.10154]]))
compare("T = 0", next_probabilities(logits, temperature=0), torch.tensor([[1.0, 0, 0, 0]]))
compare("top 2", next_probabilities(logits, top_k=2), torch.tensor([[0.73106, 0, 0.26894, 0]]))
torch.manual_seed(10)
model, start = CharModel(7, 6, 8, 2, 1).eval(), torch.randint(7, (3, 2))
written = generate(model, start, 10, temperature=0)
assert written is not None and written.shape == (3, 12), "2 symbols continued by 10 should have shape (3, 12)"
compare("the start stays", written[:, :2], start)
compare("T = 0 takes the most likely symbol", written[:, 11], model(written[:, 5:11].clone())[:, -1].argmax(-1))

# %% nbgrader={"grade_id": "language-demo", "locked": true, "gives": ["writer"]} tags=["demo"]
torch.manual_seed(0)  # about ten seconds
writer, text = CharModel(29, 72).to(device), encoded(tales(400, seed=0))
train(writer, lambda: random_windows(text, 24, 72), steps=300)
words = ["|".join(words) for words in (ANIMALS, PLACES, VERBS)]
form = re.compile("the ({0}) met the ({0}) at the ({1})\\. the ({0}) ({2}) and the ({0}) ({2})\\.".format(*words))
print("temperature: of 100 lines, those in the form of a tale, and with the right animals, too; the first line")
for T in 0.25, 0.5, 1.0, 1.5:
    written = generate(writer, encoded("\n").expand(100, 1).to(device), 71, T)
    lines = ["".join(CHARACTERS[k] for k in row).split("\n")[1] for row in written]
    found = [tale for tale in map(form.fullmatch, lines) if tale]
    right = sum(tale[4] == tale[2] and tale[6] == tale[1] for tale in found)
    print(f"{T:4}: {len(found):3}, {right:2}; {lines[0]}")

# %% [markdown] nbgrader={"grade_id": "cache-text", "locked": true}
r"""
*Of 100 written lines*, 90 or more have the form of a tale at $T=0.25$, and at most 2 at $T=1.5$ (five seeds). Form is
all that was learned: at most 7 second sentences name both animals correctly.

## 10 · A cache for keys and values

For each new symbol, `generate` sends the text, at most its last `context` symbols, through the model. The causal mask
makes this unnecessary: later tokens cannot change earlier ones, so you can keep their keys and values (Shazeer,
2019).

**Exercise 10 · `cached_attention`, `step`** · 5 points · ★★★ · 40 minutes

*Write `cached_attention` and `step`.* New tokens come after those in the cache. A new token sees the cache, itself, and
the new tokens before it. Apply the layers of `layer` to the new tokens only. The logits of successive calls of `step`
must equal those of `model` for every text of at most `context` symbols; longer ones do not occur. `block_step` is
given: it runs a block whose attention is your `cached_attention`.

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
for sizes in [6], [1] * 6, [3, 1, 2]:
    found, cache = [], None
    for part in x.split(sizes, 1):
        H, cache = cached_attention(layer, part, cache)
        found.append(H)
    compare(f"H for {sizes} new tokens", torch.cat(found, 1), layer(x, x, x, mask=causal_mask(6))[0])
model, symbols, found, caches = CharModel(7, 9, 8, 2, 3).eval(), torch.randint(7, (2, 9)), [], [None] * 3
for part in symbols.split([5, 1, 3], 1):
    logits, caches = step(model, part, caches)
    found.append(logits)
compare("logits of three steps", torch.cat(found, 1), model(symbols))

# %% nbgrader={"grade_id": "cache-figure", "locked": true} tags=["demo"]
from functools import partial
from timeit import repeat

model, symbols, milliseconds = CharModel(29, 1024).eval(), torch.randint(29, (1, 1024)), ([], [])  # on the CPU
lengths = (64, 128, 256, 512, 1024)
with torch.no_grad():
    for n in lengths:
        _, caches = step(model, symbols[:, : n - 1], [None, None])
        ways = partial(model, symbols[:, :n]), partial(step, model, symbols[:, n - 1 : n], caches)
        for times, way in zip(milliseconds, ways, strict=True):
            times.append(1000 * min(repeat(way, number=1, repeat=10)))
for times, line, color, name in zip(milliseconds, ("s-", "o--"), (RED, BLUE), ("without", "with"), strict=True):
    plt.loglog(lengths, times, line, color=color, label=f"{name} a cache")
plt.gca().set(xlabel="symbols so far", ylabel="milliseconds for the next one")
plt.legend()
said = (f"{a:.1f} and {b:.1f} after {n}" for n, a, b in zip(lengths, *milliseconds, strict=True))
show_figure(f"Milliseconds for the next symbol, without a cache and with one: {'; '.join(said)} symbols.")

# %% [markdown] nbgrader={"grade_id": "patches-text", "locked": true}
r"""
*In the figure: the time for one more symbol, without a cache (solid) and with one (dashed).* After 64 symbols a cache
saves little. After 1,024 it makes the next symbol more than ten times as fast (five runs).

## 11 · An image is a row of patches

The vision transformer (Dosovitskiy et al., 2021) cuts an image into squares of $p\times p$ pixels and reads them row by
row. One linear layer, with a bias, maps each patch to $e$ features:

$$(B,C,H,W)\to(B,n,Cp^2)\to(B,n,e),\qquad n=(H/p)\cdot(W/p).$$

**Exercise 11 · `PatchEmbedding`** · 2 points · ★★☆ · 20 minutes

*Write `__init__` and `forward`.* The patches must come row by row. The order of pixels within a patch is yours to
choose. Convolutions are allowed.

<details><summary>Hint</summary>

Cut both image axes in two. Which of the six axes should then stand side by side?

</details>
"""


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
patch, dark, alike = torch.randn(2, 4, 4), embed(torch.zeros(1, 2, 12, 12)), []
assert dark is not None, "PatchEmbedding returns None: is a return statement missing?"
for k in range(9):
    image = torch.zeros(1, 2, 3, 4, 3, 4)
    image[0, :, k // 3, :, k % 3] = patch
    seen = embed(image.view(1, 2, 12, 12))[0]
    changed = ((seen - dark[0]).abs().amax(1) > 1e-6).nonzero().flatten().tolist()
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

**Exercise 12 · `VisionTransformer`** · 6 points (3 for the code, 3 for what is learned) · ★★★ · 35 minutes

*Write `__init__` and `forward`.* The images are scikit-learn's digits, 14×14 pixels, each time at one of 49 places on a
canvas of 20×20. The grader trains `VisionTransformer(20, 4, 1, 48, 4, 96, 2, 10, dropout=0.0)` with your `train`, for
600 steps on 64 canvases, and shows it new digits: 1½ points from 70 % right, 3 from **85 %**.

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
assert logits is not None and logits.shape == (3, 5), "the logits should have shape (3, 5)"
parts = "264 for patches, 8 for the class token, 80 for places, 1200 for 2 blocks, 16 for the norm, 45 for the head"
parameters = sum(parameter.numel() for parameter in tiny.parameters())
assert parameters == 264 + 8 + 80 + 1200 + 16 + 45, f"{parameters} parameters; there should be {parts}"
logits.square().sum().backward()
idle = [name for name, parameter in tiny.named_parameters() if parameter.grad is None]
assert not idle, f"{idle} get no gradient: are they used in forward?"
tiny.eval()
compare("an image without its batch", tiny(images[1:2]), tiny(images)[1:2])
assert not torch.allclose(tiny(images), tiny(images.roll(4, -1)), atol=1e-6), "moved patches get the same logits"

# %% nbgrader={"grade_id": "vit-learns", "grade": true, "points": 3, "locked": true}
torch.manual_seed(11)
pictures, labels = torch.randn(24, 1, 20, 20), torch.arange(24) % 4  # random pictures, arbitrary labels
tiny = VisionTransformer(20, 4, 1, 32, 4, 64, 2, 4, dropout=0.0).to(device)
losses = train(tiny, lambda: (pictures, labels), steps=60)
with torch.no_grad():
    accuracy = (tiny.eval()(pictures.to(device)).argmax(1).cpu() == labels).float().mean()
assert accuracy > 0.9, f"after 60 steps {accuracy:.0%} of 24 pictures are known; it should be nearly all"

# %% [markdown] nbgrader={"grade_id": "rollout-text", "locked": true}
r"""
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

# %% nbgrader={"grade_id": "rollout-figure", "locked": true, "gives": ["small_vit", "taught"]} tags=["demo"]
from sklearn.datasets import load_digits

data, mixed = load_digits(), torch.randperm(1797, generator=torch.Generator().manual_seed(0))
digits_x = torch.tensor(data.images, dtype=torch.float32)[mixed, None] / 16  # (1797, 1, 8, 8)
digits_y = torch.tensor(data.target)[mixed]


def canvases(rows, order=slice(None)):
    """Some digits, each at a random place of its canvas, and their labels; `order` rearranges the pixels."""
    images = place_digits(digits_x[rows])
    return images.flatten(1)[:, order].view_as(images), digits_y[rows]


def taught(name, model, count=1400, order=slice(None)):
    """Train a model on `count` digits; return the share that it reads of 397 others, each in three places."""
    train(model.to(device), lambda: canvases(torch.randint(count, (64,)), order), steps=600)
    images, labels = canvases(torch.arange(1400, 1797).repeat(3), order)
    with torch.no_grad():
        right = (model.eval()(images.to(device)).argmax(1).cpu() == labels).float().mean().item()
    print(f"{name}: {right:.1%} of the unseen digits are read")
    return right


def small_vit():
    return VisionTransformer(20, 4, 1, 48, 4, 96, 2, 10, dropout=0.0)


torch.manual_seed(0)  # about ten seconds
vit, maps = small_vit(), []
taught("vision transformer", vit)
for layer in [part for part in vit.modules() if isinstance(part, MultiHeadAttention)]:
    layer.register_forward_hook(lambda layer, given, result: maps.append(result[1]))
images, labels = canvases(torch.stack([1400 + (digits_y[1400:] == k).nonzero()[0, 0] for k in range(2, 10)]))
with torch.no_grad():
    guesses = vit(images.to(device)).argmax(1).tolist()
arrived = attention_rollout(maps)[:, 0, 1:].cpu().reshape(8, 5, 5)
figure, axes = plt.subplots(2, 8, figsize=(10, 2.9), subplot_kw={"xticks": [], "yticks": []})
for above, below, image, weights, label, guess in zip(*axes, images, arrived, labels, guesses, strict=True):
    above.imshow(image[0], cmap="gray")
    above.set_title(f"{label}, says {guess}", fontsize=9)
    below.imshow(image[0], cmap="gray")
    below.imshow(weights, alpha=0.75, extent=(-0.5, 19.5, 19.5, -0.5))
said = ", ".join(f"{label} as {guess}" for label, guess in zip(labels.tolist(), guesses, strict=True))
ink = functional.avg_pool2d((images[:, 0] + 1) / 2, 4)  # (8, 5, 5)
ratio = arrived[ink > 0.2].mean() / arrived[ink < 0.01].mean()
show_figure(f"The digits are read: {said}. A patch with ink sends {ratio:.1f} times as much as an empty one.")

# %% [markdown] nbgrader={"grade_id": "amount-text", "locked": true}
r"""
*In the figure: eight unseen digits, their labels and what the model says; below, how much of each patch arrives at the
class token, yellow most.* A patch with ink sends 6 to 11 times as much as an empty one (five seeds). Before training,
both send about the same.

## 14 · How many images does it need?

The kernels of a CNN see neighbouring pixels, and so do the patches of a ViT. Your loop trains a small CNN and your ViT
on 60 and 1,400 digits. A control destroys neighbourhoods: one fixed shuffle rearranges the pixels of all canvases.

**Exercise 14 · predict, then explain** · ½ point by machine, ½ by hand · ★☆☆ · 10 minutes

With the pixels in place,

- **A.** the ViT leads with 60 digits, and the CNN with 1,400.
- **B.** the CNN leads with 60 and with 1,400 digits, by more with 60.
- **C.** the CNN leads with 60 and with 1,400 digits, by more with 1,400.

*Set `amount_prediction` to one letter.* Any choice earns ½ point: commit before you look.
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
    sizes = (1, 16), (16, 32), (32, 48)
    layers = [(nn.Conv2d(a, b, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(b), nn.ReLU()) for a, b in sizes]
    return nn.Sequential(*itertools.chain(*layers), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(48, 10))


counts, shuffle = (60, 1400), torch.randperm(400, generator=torch.Generator().manual_seed(0))
said = []
for order, pixels, line in (slice(None), "", "-"), (shuffle, ", shuffled pixels", "--"):
    for kind, new, marker, color in ("CNN", small_cnn, "s", RED), ("ViT", small_vit, "o", BLUE):
        name, scores = kind + pixels, []
        for count in counts:
            torch.manual_seed(1)
            scores.append(taught(f"{name}, {count} digits", new(), count, order))
        plt.semilogx(counts, scores, marker + line, color=color, label=name)
        said.append(f"{name} {', '.join(f'{score:.1%}' for score in scores)}")
plt.gca().set(xlabel="digits in the training set", ylabel="unseen digits read", xticks=counts, xticklabels=counts)
plt.minorticks_off()
plt.legend()
show_figure(f"Unseen digits read after training on {', '.join(map(str, counts))} digits: {'; '.join(said)}.")

# %% [markdown] nbgrader={"grade_id": "amount-why", "grade": true, "solution": true, "points": 0.5}
r"""
*In the figure: the share of unseen digits that are read by the CNN (squares) and the ViT (circles), with the pixels in
place (solid) and shuffled (dashed).*

**Explanation** · ½ point by hand. *In one or two sentences: what does the figure show, and what causes it, judging by
the control?* A wrong prediction costs nothing.

### BEGIN SOLUTION
The CNN reads more unseen digits in both cases. Its lead is 9 to 20 points with 60 digits (ten seeds), and only 5 to 6
with 1,400 (five). With 60 digits, neighbourhoods cause part of it: on average the shuffle takes 4 points from the CNN
and gives the ViT 2, and the lead falls by 6. With 1,400 digits they are not the cause: the shuffle costs the
CNN 4 to 5 points and the ViT 4 to 6, and the lead stays at 5 to 8. What else causes it, the control does not show.

**Mark scheme (½ point)**

1. ¼: says what the student's own figure shows: the CNN reads more than the ViT, or its lead is larger with 60 digits.
   The models not compared: nothing.
2. ¼: a cause that follows from the control as the student's own figure shows it: neighbourhoods cause as much of the
   lead as the shuffle takes away, or something else the part that stays. "The CNN sees neighbourhoods" without the
   control: nothing.
### END SOLUTION
"""

# %% [markdown] nbgrader={"grade_id": "modern-text", "locked": true}
r"""
With augmentation and a teacher, ViTs need less data: Touvron et al. (2021) trained strong ones on ImageNet-1k alone.

## 15 · A modern block (optional)

Many of today's language models change three parts of the block.

**RMSNorm** (Zhang & Sennrich, 2019) replaces LayerNorm. It subtracts no mean and has no bias. Feature $i$ has a learned
gain $g_i$, which starts at 1:

$$\mathrm{RMSNorm}(x)_i=g_i\,x_i\Big/\sqrt{\tfrac1d\textstyle\sum_j x_j^2+\varepsilon}.$$

**SwiGLU** (Shazeer, 2020) replaces the MLP. Its three linear layers have no bias; $\odot$ multiplies entry by entry:

$$\mathrm{SwiGLU}(x)=W_{\mathrm{down}}\bigl(\mathrm{SiLU}(W_{\mathrm{gate}}\,x)\odot W_{\mathrm{up}}\,x\bigr),\qquad
\mathrm{SiLU}(z)=z/(1+e^{-z}).$$

**Grouped queries** (Ainslie et al., 2023) make the cache $h/g$ times smaller: $h$ heads of queries share $g$ heads of
keys and values. The first $h/g$ heads of queries use head 0 of keys and values, the next $h/g$ use head 1, and so on.
With $g=h$ nothing changes. With $g=1$ all queries share one head (Shazeer, 2019).

**Exercise 15 · `RMSNorm`, `SwiGLU`, `grouped_attention`** · optional, no points · ★★☆ · 40 minutes

*Write both modules and the function.* Keep the names of the parameter and the layers.

<details><summary>Hint</summary>

In which order do the copies of heads stand after `repeat`, and after `repeat_interleave`?

</details>
"""


# %% nbgrader={"grade_id": "modern-code", "solution": true}
class RMSNorm(nn.Module):
    """Normalises each token x (…, dim). Its only parameter is `gain` (dim,)."""

    def __init__(self, dim, eps=1e-6):
        super().__init__()
        ### BEGIN SOLUTION
        self.gain = nn.Parameter(torch.ones(dim))
        self.eps = eps
        ### END SOLUTION

    def forward(self, x):
        ### BEGIN SOLUTION
        return self.gain * x / (x.square().mean(-1, keepdim=True) + self.eps).sqrt()
        ### END SOLUTION


class SwiGLU(nn.Module):
    """Maps tokens (…, dim) to (…, dim). Its linear layers: `gate` and `up`, dim → hidden, and `down`, hidden → dim."""

    def __init__(self, dim, hidden):
        super().__init__()
        ### BEGIN SOLUTION
        self.gate = nn.Linear(dim, hidden, bias=False)
        self.up = nn.Linear(dim, hidden, bias=False)
        self.down = nn.Linear(hidden, dim, bias=False)
        ### END SOLUTION

    def forward(self, x):
        ### BEGIN SOLUTION
        return self.down(functional.silu(self.gate(x)) * self.up(x))
        ### END SOLUTION


def grouped_attention(Q, K, V, mask=None):
    """Attention of queries (B, h, n, d) to keys (B, g, m, d) and values (B, g, m, t), where g divides h.

    mask: None, or boolean (n, m), True where a query may look at a key

    Returns a tuple of H (B, h, n, t) and the weights A (B, h, n, m).
    """
    ### BEGIN SOLUTION
    group = Q.shape[1] // K.shape[1]  # the heads of queries that share a head of keys
    K, V = K.repeat_interleave(group, dim=1), V.repeat_interleave(group, dim=1)
    return attention(Q, K, V, mask=mask)
    ### END SOLUTION


# %% nbgrader={"grade_id": "modern", "grade": true, "points": 0, "locked": true}
norm, mlp = RMSNorm(2, eps=0.5), SwiGLU(2, 3)
compare("RMSNorm of (3, 4), with ε = 0.5", norm(torch.tensor([3.0, 4.0])), torch.tensor([0.83205, 1.1094]))
for layer, weight in (mlp.gate, 1), (mlp.up, -1), (mlp.down, 1):
    nn.init.constant_(layer.weight, weight)
compare("SwiGLU of (1, 1), with weights of 1 and -1", mlp(torch.ones(2)), torch.tensor([-10.56956, -10.56956]))

# %% nbgrader={"grade_id": "grouped", "grade": true, "points": 0, "locked": true}
Q, K, V = numbers((2, 4, 5, 8), (2, 4, 5, 8), (2, 4, 5, 3), seed=16)
compare("as many heads of keys as of queries", grouped_attention(Q, K, V)[0], attention(Q, K, V)[0])
H, _ = grouped_attention(Q, K[:, :2], V[:, :2], causal_mask(5))
for head, shared in enumerate((0, 0, 1, 1)):
    right, _ = attention(Q[:, head], K[:, shared], V[:, shared], mask=causal_mask(5))
    compare(f"H of head {head}, with head {shared} of keys", H[:, head], right)

# %% [markdown] nbgrader={"grade_id": "farewell", "locked": true}
r"""
## Sources

Vaswani et al. 2017, *Attention is all you need*; Milakov & Gimelshein 2018, *Online normalizer calculation for
softmax*; Dao et al. 2022, *FlashAttention*; Su et al. 2021, *RoFormer*; He et al. 2016, *Deep residual learning for
image recognition*; Hendrycks & Gimpel 2016, *Gaussian error linear units*; Ba et al. 2016, *Layer normalization*;
Srivastava et al. 2014, *Dropout*; Xiong et al. 2020, *On layer normalization in the transformer architecture*;
Loshchilov & Hutter 2019, *Decoupled weight decay regularization*; Smith & Topin 2018, *Super-convergence*; Fan et al.
2018, *Hierarchical neural story generation*; Shazeer 2019, *Fast transformer decoding*; Devlin et al. 2019, *BERT*;
Dosovitskiy et al. 2021, *An image is worth 16x16 words*; Abnar & Zuidema 2020, *Quantifying attention flow in
transformers*; Zhang & Sennrich 2019, *Root mean square layer normalization*; Shazeer 2020, *GLU variants improve
transformer*; Ainslie et al. 2023, *GQA*; Touvron et al. 2021, *Training data-efficient image transformers &
distillation through attention*"""
