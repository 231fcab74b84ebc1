# %% [markdown] nbgrader={"grade": false, "grade_id": "header", "locked": true, "schema_version": 3, "solution": false, "task": false}
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
and trains your models itself.
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

# The cells below use these names themselves: ANIMALS, CHARACTERS, device, encoded, place_digits, PLACES,
# tales, VERBS, BLUE, compare, GREEN, numbers, ORANGE, RED, relative_error, show_figure, writer, small_vit,
# taught. Give your own helpers other names.

# %% nbgrader={"grade": false, "grade_id": "helpers", "locked": true, "schema_version": 3, "solution": false, "task": false}
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


# %% nbgrader={"grade": false, "grade_id": "common", "locked": true, "schema_version": 3, "solution": false, "task": false}
# @title Helpers for checks and figures. Run this cell; you need not read it.

BLUE, ORANGE, GREEN, RED = "#0072B2", "#C08000", "#009E73", "#B22222"  # for colour-blind readers, too; 3 : 1 on white


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


def show_figure(says):
    """Show the current figure. `says` tells readers who cannot see it what the data say: a sentence with numbers."""
    if "get_ipython" not in globals():  # a script: a window has no place for the text
        plt.show()
        return
    from html import escape

    from IPython.core.pylabtools import print_figure
    from IPython.display import display

    png = print_figure(plt.gcf(), base64=True)
    plt.close()
    image = f'<img alt="{escape(says)}" src="data:image/png;base64,{png}">'  # JupyterLab gives a PNG alone no text
    display({"image/png": png, "text/html": image}, metadata={"image/png": {"alt": says}}, raw=True)


# %% [markdown] nbgrader={"grade": false, "grade_id": "attention-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
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


# %% nbgrader={"grade": false, "grade_id": "attention-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def attention(Q, K, V, beta=None, mask=None):
    """For every query, the mean of the values, weighted by attention.

    Q:    queries (…, n, d)
    K, V: keys (…, m, d) and their values (…, m, t)
    beta: the inverse temperature; None stands for 1/√d
    mask: None, or a boolean tensor that can be broadcast to (…, n, m), True where a query may look at a key

    Returns a tuple of H (…, n, t) and the weights A (…, n, m).
    """
    raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "attention", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
def _check_attention():
    Q, K, V = numbers((2, 3, 5, 8), (2, 3, 7, 8), (2, 3, 7, 4), seed=1)
    H, A = attention(Q, K, V)
    compare("the rows of A add up to 1", A.sum(-1), torch.ones(2, 3, 5))
    for beta in None, 2.0, 0.0:  # with β = 0, every query gets the plain mean of the values
        right = functional.scaled_dot_product_attention(Q, K, V, scale=beta)
        compare(f"H for β = {beta}", attention(Q, K, V, beta=beta)[0], right)
    compare("H without leading axes", attention(Q[0, 0], K[0, 0], V[0, 0])[0], H[0, 0])


_check_attention()


# %% nbgrader={"grade": true, "grade_id": "attention-mask", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
def _check_attention_mask():
    Q, K, V = numbers((2, 3, 5, 8), (2, 3, 7, 8), (2, 3, 7, 4), seed=1)
    mask = torch.rand(5, 7, generator=torch.Generator().manual_seed(2)) < 0.5
    mask[:, 0] = True  # every query may look at key 0
    forbidden = attention(Q, K, V, mask=mask)[1][..., ~mask]
    compare("weights where the mask forbids to look", forbidden, torch.zeros_like(forbidden))
    for size in (5, 7), (2, 1, 5, 7), (1, 1, 1, 7):
        part = mask[: size[-2]].expand(size)
        right = functional.scaled_dot_product_attention(Q, K, V, attn_mask=part)
        compare(f"H under a mask of shape {size}", attention(Q, K, V, mask=part)[0], right)


_check_attention_mask()

# %% [markdown] nbgrader={"grade": false, "grade_id": "online-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
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


# %% nbgrader={"grade": false, "grade_id": "online-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def online_attention(Q, blocks, beta=None):
    """Attention to keys and values that arrive in blocks.

    Q:      queries (…, n, d)
    blocks: an iterable of pairs (K, V), keys (…, b, d) and values (…, b, t); b ≥ 1 may differ between blocks
    beta:   the inverse temperature; None stands for 1/√d

    Returns H (…, n, t).
    """
    raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "online", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def _check_online():
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


_check_online()

# %% [markdown] nbgrader={"grade": false, "grade_id": "heads-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
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
        """Attention of queries (B, n, embed_dim) to keys and values (B, m, embed_dim), all before their projections.

        mask: None, or boolean and broadcast to (B, num_heads, n, m), True where a query may look

        Returns a tuple of H (B, n, embed_dim) and the weights A (B, num_heads, n, m).
        """

        raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "heads", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
def _check_heads():
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


_check_heads()

# %% [markdown] nbgrader={"grade": false, "grade_id": "encoding-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
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


# %% nbgrader={"grade": false, "grade_id": "encoding-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def sinusoidal_encoding(length, dim):
    """The encodings P of places 0 to length - 1: a float32 tensor (length, dim). dim is even."""
    raise NotImplementedError


def causal_mask(n):
    """A boolean tensor (n, n): entry (i, j) is True where token i may look at token j, which is when j ≤ i."""
    raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "encoding", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
def _check_encoding():
    P = sinusoidal_encoding(50, 6)
    compare("places 0 and 1", P[:2], torch.tensor([[0.0, 1, 0, 1, 0, 1], [0.84147, 0.5403, 0.0464, 0.99892, 0.00215, 1]]))
    assert P.shape == (50, 6) and P.dtype == torch.float32, f"P is {P.dtype} with the shape {tuple(P.shape)}"


_check_encoding()


# %% nbgrader={"grade": true, "grade_id": "causal", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
def _check_causal():
    mask = causal_mask(4)
    assert isinstance(mask, torch.Tensor) and mask.dtype == torch.bool, "causal_mask should return a boolean tensor"
    compare("tokens 1 and 3 may look at", mask[[1, 3]], torch.tensor([[True, True, False, False], [True] * 4]))


_check_causal()

# %% [markdown] nbgrader={"grade": false, "grade_id": "rotary-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
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


# %% nbgrader={"grade": false, "grade_id": "rotary-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def rotate(x, places):
    """Tokens x (…, n, d), d even, with each pair of features turned according to the token's place.

    places: whole numbers (n,), one for each token

    Returns a tensor (…, n, d).
    """
    raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "rotary", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def _check_rotary():
    x, y = numbers((2, 3, 5, 8), (1, 8), seed=5)
    turned = rotate(x, torch.tensor([0, 7, 2, 30, 1]))
    compare("the norm of every token stays", turned.norm(dim=-1), x.norm(dim=-1))
    turned = rotate(torch.tensor([[1.0, 0, 0, 1], [1, 0, 0, 1]]), torch.tensor([0, 1]))
    compare("places 0 and 1", turned, torch.tensor([[1, 0, 0, 1], [0.54030, 0.84147, -0.01000, 0.99995]]))
    fits = [(rotate(y, torch.tensor([p])) * rotate(x[0, 0, :1], torch.tensor([p + 4]))).sum() for p in (0, 3, 50)]
    compare("scores 4 places apart", torch.stack(fits), fits[0].expand(3))


_check_rotary()

# %% [markdown] nbgrader={"grade": false, "grade_id": "block-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
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


# %% nbgrader={"grade": true, "grade_id": "block", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def _check_block():
    torch.manual_seed(5)
    block, (x, shift) = TransformerBlock(12, 3, 20, dropout=0.0), numbers((2, 6, 12), (2, 6, 1), seed=5)
    assert block(x) is not None, "the block returns None: is a return statement missing?"
    parameters = sum(parameter.numel() for parameter in block.parameters())
    assert parameters == 624 + 512 + 48, f"{parameters} parameters: 624 for MHA, 512 for the MLP, 24 for each norm"
    # the norms remove what all features of a token have in common; the direct path carries it on
    compare("a shift of all features goes through", block(x + 3 * shift) - 3 * shift, block(x), tolerance=1e-3)
    compare("tokens in another order get the same", block(x.flip(1)), block(x).flip(1))


_check_block()


# %% nbgrader={"grade": true, "grade_id": "block-modes", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
def _check_block_modes():
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


_check_block_modes()

# %% [markdown] nbgrader={"grade": false, "grade_id": "train-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
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


# %% nbgrader={"grade": false, "grade_id": "train-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def train(model, sample, steps, lr=0.005):
    """Train a model in training mode, on a fresh batch in each step.

    model:  maps inputs to logits (B, …, K); it is on `device`, and its parameters are updated
    sample: a function without arguments; each call returns a batch (inputs (B, …), labels (B, …)), on the CPU
    steps:  the number of batches, one for each step of an optimiser
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
        assert all(isinstance(loss, float) for loss in losses), "the losses should be plain numbers"
        print(f"labels {axes}: the loss falls from {losses[0]:.2f} to {losses[-1]:.2f}")
        assert sum(losses[-10:]) < sum(losses[:10]), "the loss does not fall"


_check_train()

# %% [markdown] nbgrader={"grade": false, "grade_id": "language-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
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


# %% nbgrader={"grade": false, "grade_id": "language-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def random_windows(text, size, length):
    """Random windows of a text: inputs (size, length), and labels (size, length), the same windows one place later.

    text: whole numbers (N,), N > length
    """
    raise NotImplementedError


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
        raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "language", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def _check_language():
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


_check_language()


# %% nbgrader={"grade": true, "grade_id": "language-learns", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
def _check_language_learns():
    torch.manual_seed(9)
    text = encoded("abcd" * 50)  # four characters in turn
    losses = train(CharModel(29, 16, 32, 2, 1).to(device), lambda: random_windows(text, 16, 16), steps=60)
    assert losses[-1] < 0.5, f"in 60 steps the loss falls to {losses[-1]:.2f}; it should be below 0.5"


_check_language_learns()

# %% [markdown] nbgrader={"grade": false, "grade_id": "sampling-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
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


# %% nbgrader={"grade": false, "grade_id": "sampling-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def next_probabilities(logits, temperature=1.0, top_k=None):
    """Probabilities (…, K) for logits (…, K).

    temperature: a number ≥ 0; with 0, the largest logit gets probability 1
    top_k:       None, or how many symbols may be drawn, from 1 to K; of logits equal to the k-th, any or all may stay
    """
    raise NotImplementedError


def generate(model, symbols, count, temperature=1.0, top_k=None):
    """Symbols (B, n), n ≥ 1, continued by `count` symbols that are drawn one after another: (B, n + count).

    model: maps symbols (B, n), n ≤ model.context, to logits (B, n, K)
    """
    raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "sampling", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def _check_sampling():
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


_check_sampling()


# %% nbgrader={"grade": false, "grade_id": "language-demo", "locked": true, "schema_version": 3, "solution": false, "task": false} tags=["demo"]
def _figure():
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
    return writer


writer = _figure()

# %% [markdown] nbgrader={"grade": false, "grade_id": "cache-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
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


# %% nbgrader={"grade": false, "grade_id": "cache-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def cached_attention(layer, x, cache=None):
    """Causal self-attention of new tokens, which also see the tokens before them.

    layer: a MultiHeadAttention
    x:     the new tokens (B, k, embed_dim)
    cache: None at the start, or a tuple of the keys and values of all n earlier tokens, each (B, num_heads, n, d)

    Returns a tuple of H (B, k, embed_dim) and the new cache, a tuple of keys and values (B, num_heads, n + k, d).
    """
    raise NotImplementedError


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
    raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "cache", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
def _check_cache():
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


_check_cache()


# %% nbgrader={"grade": false, "grade_id": "cache-figure", "locked": true, "schema_version": 3, "solution": false, "task": false} tags=["demo"]
def _figure():
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


_figure()

# %% [markdown] nbgrader={"grade": false, "grade_id": "patches-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
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


# %% nbgrader={"grade": false, "grade_id": "patches-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
class PatchEmbedding(nn.Module):
    """Takes images (B, in_channels, image_size, image_size); returns tokens (B, n, embed_dim), one for each patch.

    patch_size divides image_size; the patches come row by row; one linear map, with a bias, serves all of them.
    """

    def __init__(self, image_size, patch_size, in_channels, embed_dim):
        super().__init__()
        raise NotImplementedError

    def forward(self, images):
        raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "patches", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
def _check_patches():
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


_check_patches()

# %% [markdown] nbgrader={"grade": false, "grade_id": "vit-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
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


# %% nbgrader={"grade": false, "grade_id": "vit-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
class VisionTransformer(nn.Module):
    """Takes images (B, in_channels, image_size, image_size); returns logits (B, num_classes)."""

    def __init__(
        self, image_size, patch_size, in_channels, embed_dim, num_heads, mlp_dim, num_layers, num_classes, dropout=0.1
    ):
        super().__init__()
        raise NotImplementedError

    def forward(self, images):
        raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "vit", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def _check_vit():
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


_check_vit()


# %% nbgrader={"grade": true, "grade_id": "vit-learns", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def _check_vit_learns():
    torch.manual_seed(11)
    pictures, labels = torch.randn(24, 1, 20, 20), torch.arange(24) % 4  # random pictures, arbitrary labels
    tiny = VisionTransformer(20, 4, 1, 32, 4, 64, 2, 4, dropout=0.0).to(device)
    losses = train(tiny, lambda: (pictures, labels), steps=60)
    with torch.no_grad():
        accuracy = (tiny.eval()(pictures.to(device)).argmax(1).cpu() == labels).float().mean()
    assert accuracy > 0.9, f"after 60 steps {accuracy:.0%} of 24 pictures are known; it should be nearly all"


_check_vit_learns()

# %% [markdown] nbgrader={"grade": false, "grade_id": "rollout-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
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


# %% nbgrader={"grade": false, "grade_id": "rollout-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def attention_rollout(maps):
    """How much of each input token arrives at each output token.

    maps: a list with the weights A (B, heads, n, n) of every layer, the first layer first

    Returns R (B, n, n).
    """
    raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "rollout", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
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
    return small_vit, taught


small_vit, taught = _figure()

# %% [markdown] nbgrader={"grade": false, "grade_id": "amount-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
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

# %% nbgrader={"grade": false, "grade_id": "amount-prediction-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
# amount_prediction = "…"  # "A", "B" or "C"
raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "amount-prediction", "locked": true, "points": 0.5, "schema_version": 3, "solution": false, "task": false}
def _check_amount_prediction():
    assert amount_prediction in ("A", "B", "C"), 'amount_prediction should be one of the letters "A", "B" and "C"'


_check_amount_prediction()


# %% nbgrader={"grade": false, "grade_id": "amount-figure", "locked": true, "schema_version": 3, "solution": false, "task": false} tags=["demo"]
def _figure():
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


_figure()

# %% [markdown] nbgrader={"grade": true, "grade_id": "amount-why", "locked": false, "points": 0.5, "schema_version": 3, "solution": true, "task": false}
r"""
*In the figure: the share of unseen digits that are read by the CNN (squares) and the ViT (circles), with the pixels in
place (solid) and shuffled (dashed).*

**Explanation** · ½ point by hand. *In one or two sentences: what does the figure show, and what causes it, judging by
the control?* A wrong prediction costs nothing.

*Your answer here: double-click this line and write.*
"""

# %% [markdown] nbgrader={"grade": false, "grade_id": "modern-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
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


# %% nbgrader={"grade": false, "grade_id": "modern-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
class RMSNorm(nn.Module):
    """Normalises each token x (…, dim). Its only parameter is `gain` (dim,)."""

    def __init__(self, dim, eps=1e-6):
        super().__init__()
        raise NotImplementedError

    def forward(self, x):
        raise NotImplementedError


class SwiGLU(nn.Module):
    """Maps tokens (…, dim) to (…, dim). Its linear layers: `gate` and `up`, dim → hidden, and `down`, hidden → dim."""

    def __init__(self, dim, hidden):
        super().__init__()
        raise NotImplementedError

    def forward(self, x):
        raise NotImplementedError


def grouped_attention(Q, K, V, mask=None):
    """Attention of queries (B, h, n, d) to keys (B, g, m, d) and values (B, g, m, t), where g divides h.

    mask: None, or boolean (n, m), True where a query may look at a key

    Returns a tuple of H (B, h, n, t) and the weights A (B, h, n, m).
    """
    raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "modern", "locked": true, "points": 0, "schema_version": 3, "solution": false, "task": false}
def _check_modern():
    norm, mlp = RMSNorm(2, eps=0.5), SwiGLU(2, 3)
    compare("RMSNorm of (3, 4), with ε = 0.5", norm(torch.tensor([3.0, 4.0])), torch.tensor([0.83205, 1.1094]))
    for layer, weight in (mlp.gate, 1), (mlp.up, -1), (mlp.down, 1):
        nn.init.constant_(layer.weight, weight)
    compare("SwiGLU of (1, 1), with weights of 1 and -1", mlp(torch.ones(2)), torch.tensor([-10.56956, -10.56956]))


_check_modern()


# %% nbgrader={"grade": true, "grade_id": "grouped", "locked": true, "points": 0, "schema_version": 3, "solution": false, "task": false}
def _check_grouped():
    Q, K, V = numbers((2, 4, 5, 8), (2, 4, 5, 8), (2, 4, 5, 3), seed=16)
    compare("as many heads of keys as of queries", grouped_attention(Q, K, V)[0], attention(Q, K, V)[0])
    H, _ = grouped_attention(Q, K[:, :2], V[:, :2], causal_mask(5))
    for head, shared in enumerate((0, 0, 1, 1)):
        right, _ = attention(Q[:, head], K[:, shared], V[:, shared], mask=causal_mask(5))
        compare(f"H of head {head}, with head {shared} of keys", H[:, head], right)


_check_grouped()

# %% [markdown] nbgrader={"grade": false, "grade_id": "farewell", "locked": true, "schema_version": 3, "solution": false, "task": false}
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
distillation through attention*
"""


# %% nbgrader={"grade": false, "grade_id": "hand-in", "locked": true, "schema_version": 3, "solution": false, "task": false} tags=["demo"]
# @title Before you hand in: save the notebook, run it from top to bottom, then run this cell.
def _hand_in(file, exercises, answers, given, blank):
    """Print which exercises pass their checks now, which names are defined twice, and which file to hand in.

    file: the notebook's name; exercises: "number grade_id" of each; answers: the same for the written ones, each with
    the crc32 of what stands around the answer; given: the names that the notebook's own cells define, by the crc32 of
    the cell; blank: what stands where nobody wrote an answer
    """
    import contextlib
    import dis
    import json
    import warnings
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
            except Exception as error:
                said = f"fails its check: {(str(error) or type(error).__name__).splitlines()[0]}"
                if type(error) is NotImplementedError and not str(error):  # PyTorch raises it, too, and says why
                    said = "not written yet"
                if type(error) is NameError:
                    said = f"not written, or its cell was not run: there is no {error.name}"
            plt.close("all")
        print(f"  {label}: {said}")

    taken = {name for names in given.values() for name in names.split()}
    order: dict[str, list[bool]] = {}
    for text in globals().get("In", ()):
        yours = zlib.crc32("".join(text.split()).encode()) not in given
        with contextlib.suppress(SyntaxError), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            steps = list(dis.get_instructions(compile(text, "cell", "exec")))
            for name in sorted(taken & {one.argval for one in steps if one.opname in ("STORE_NAME", "STORE_GLOBAL")}):
                order.setdefault(name, []).append(yours)
    for name, runs in order.items():
        if runs[-1]:
            print(f"  You have redefined {name}, which the notebook's own cells use: give yours another name.")
        elif any(runs):
            print(f"  A cell of the notebook has replaced your {name} by its own: give yours another name.")

    if answers:
        try:
            cells = json.loads(Path(file).read_text(encoding="utf-8"))["cells"]
            saved = {cell["metadata"].get("nbgrader", {}).get("grade_id"): "".join(cell["source"]) for cell in cells}
            texts = {label: saved.get(label.split()[-1], "").replace(blank, "") for label in answers}
            kept = {label: zlib.crc32("".join(text.split()).encode()) for label, text in texts.items()}
            empty = [label for label, around in answers.items() if kept[label] in (0, around)]
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
        "2 online",
        "3 heads",
        "4 encoding",
        "4 causal",
        "5 rotary",
        "6 block",
        "6 block-modes",
        "7 train",
        "8 language",
        "8 language-learns",
        "9 sampling",
        "10 cache",
        "11 patches",
        "12 vit",
        "12 vit-learns",
        "13 rollout",
        "14 amount-prediction",
        "15 modern",
        "15 grouped",
    ],
    {
        "14 amount-why": 2989753746,
    },
    {
        2262258843: "ANIMALS CHARACTERS device encoded place_digits PLACES tales VERBS",
        1130525126: "BLUE compare GREEN numbers ORANGE RED relative_error show_figure",
        4086219037: "writer",
        617476292: "small_vit taught",
        2447553580: "",
    },
    "*Your answer here: double-click this line and write.*",
)
