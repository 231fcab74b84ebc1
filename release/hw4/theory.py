# %% [markdown] nbgrader={"grade": false, "grade_id": "header", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
# Attention, by construction

Attention is usually met as something that training has found. Here you meet it as something that *you* have built. You
will choose queries, keys and projection matrices so that attention does exactly as it is told: keep one value, mix a
few, permute, shift, convolve, and at last look up what came next the last time. Who can set the weights of a machine
by hand knows what it can learn.

**What you will build.** Attention with its temperature, and two proofs of how much a nudge can move it. Heads that are
the taps of a convolution. A layer that remembers, made of three matrices and one idea. A feed-forward layer that
computes what no attention can. And, on the way, what all of this costs.

| part | you answer | points by machine | by hand | minutes |
| --- | --- | --- | --- | --- |
| 1 Attention | temperature, two queries, three nudges | 2 + 2 + 3 | 1 + 2 + 3 | 70 |
| 2 Many heads | heads, and heads as a kernel | 2 | 1 | 20 |
| 3 Self-attention | projections, places, four constructions, live | 2 + 1 + 2 + 2 + 1 | 1 + 1 + 1 | 65 |
| 4 The transformer | roads, lookup, costs, columns, norms | 2 + 2 + 2 + 2 + 2 | 5 | 90 |
| 5 Pictures | patches, the class token, words | 2 + 2 | 4 | 45 |
| **in all** | **50 points** | **31** | **19** | **290** |

**You need** softargmax, matrix products, and convolutions as in homework 2. Everything runs in a few seconds on a CPU.

**How to work.** Think on paper. Cells that say *Your answer here* take a written answer (LaTeX between dollar signs, or
plain words) and are marked by a person, one small step at a time. Cells with `raise NotImplementedError` take a
construction or a result as a tiny function. The cell below it checks an example; the grader asks again with other sizes
and other numbers, and looks only at what your matrices *do*: every construction that works is right.
"""

# %% [markdown] nbgrader={"grade": false, "grade_id": "colab", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
[![Open this notebook in Google Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/your-organisation/deep-learning/blob/main/release/hw4/theory.ipynb)
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

# The cells below use these names themselves: BLUE, compare, distances_moved, draw_map, GREEN, head_map,
# letters_with_left, library_attention, numbers, ORANGE, RED, relative_error, ring, run_head, widened,
# with_places. Give your own helpers other names.

# %% nbgrader={"grade": false, "grade_id": "helpers", "locked": true, "schema_version": 3, "solution": false, "task": false}
import math

import matplotlib.pyplot as plt
import torch
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


def library_attention(Q, K, V, beta=None, allowed=None):
    """H by PyTorch's own attention, which wants rows: the measuring device of the checks.

    allowed (m, n) is False where a query must not see a key; beta is 1/√d where none is given.
    """
    mask = None if allowed is None else allowed.T
    return functional.scaled_dot_product_attention(Q.T, K.T, V.T, attn_mask=mask, scale=beta).T


def run_head(X, head, allowed=None):
    """Self-attention of one head (W_Q, W_K, W_V) on the columns of X, with β = 1/√d."""
    W_Q, W_K, W_V = (torch.as_tensor(matrix).float() for matrix in head)
    return library_attention(W_Q @ X, W_K @ X, W_V @ X, allowed=allowed)


def head_map(X, head, allowed=None):
    """The weights A (m, n) of that head: what it makes of values that are one-hot."""
    return run_head(torch.cat([X, torch.eye(X.shape[1])]), widened(head, X.shape[1]), allowed)


def widened(head, n):
    """The head for columns with n more entries, which it takes as its values and does not look at otherwise."""
    W_Q, W_K, _ = (torch.as_tensor(matrix).float() for matrix in head)
    blind = torch.zeros(len(W_Q), n)
    W_V = torch.cat([torch.zeros(n, W_Q.shape[1]), torch.eye(n)], dim=1)
    return torch.cat([W_Q, blind], dim=1), torch.cat([W_K, blind], dim=1), W_V


def ring(n):
    """n places on a circle, as columns (2, n), for exercise 3.4."""
    angles = 2 * math.pi / n * torch.arange(n)
    return torch.stack([angles.cos(), angles.sin()])


def with_places(C):
    """C (e, n) with one-hot places below, for exercise 3.3."""
    return torch.cat([C, torch.eye(C.shape[1])])


def letters_with_left(text):
    """X (2e, n) of a text over its own alphabet, which is returned as well, for exercise 4.2."""
    alphabet = sorted(set(text))
    C = functional.one_hot(torch.tensor([alphabet.index(letter) for letter in text])).T.float()
    return torch.cat([C, functional.pad(C, (1, 0))[:, :-1]]), alphabet


def distances_moved(q, K, V, beta, noises, j=None):
    """How far h moves for each column of `noises` on key j, or on the query without j, for exercise 1.3."""
    before, far = library_attention(q, K, V, beta), []
    for noise in noises.T:
        nudged = K.clone()
        if j is not None:
            nudged[:, j] += noise
        after = library_attention(q if j is not None else q + noise[:, None], nudged, V, beta)
        far.append(float((after - before).norm()))
    return far


def draw_map(ax, A, title, keys="key", queries="query"):
    """Weights (m, n) as a grid of blue squares: keys count rows, queries count columns."""
    ax.imshow(A, cmap="Blues", vmin=0, vmax=1)
    ax.set_title(title, fontsize=10)
    ax.set(xlabel=queries, ylabel=keys, xticks=[], yticks=[])


# %% [markdown] nbgrader={"grade": false, "grade_id": "rules", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
## How we write

**Columns.** $n$ queries, $m$ keys and their $m$ values are the columns of three matrices,

$$Q \in \mathbb{R}^{d \times n}, \qquad K \in \mathbb{R}^{d \times m}, \qquad V \in \mathbb{R}^{t \times m} .$$

Column $i$ of $Q$ is $q_i$, and so on. On paper we count from 1, Python counts from 0. (The other notebook of this
homework stacks them as *rows*, with a batch in front, `(B, n, d)`, as libraries do: its equations are these ones
transposed.)

**Attention.** The *score* of key $j$ for query $i$ is $k_j^\top q_i$. Over the keys, softargmax turns scores into
weights:

$$A = \text{softargmax}_\beta(K^\top Q), \qquad
A_{ji} = \frac{\exp(\beta\, k_j^\top q_i)}{\sum_{l=1}^{m} \exp(\beta\, k_l^\top q_i)}, \qquad H = V A .$$

So column $i$ of $A$ is positive and adds up to 1, and column $i$ of $H$ is a mean of all values with these weights.
(Libraries call it softmax; $\beta > 0$ is an inverse temperature.) With a single query we write $q$, $a$ and $h$.

**Sizes.** $\lVert x \rVert$ is the Euclidean length of a column. The *diameter* of some columns is the largest distance
between two of them: $D_K$ for the keys, $D_V$ for the values.

**Rules.** In the cells that you write, you must not use automatic differentiation or PyTorch's own attention. The
checks and the grader measure with them. `torch.softmax` is welcome, and so are `torch.cdist` and the like. Your
functions must not change what they are given. What they return may be tensors, NumPy arrays or lists of rows.
"""

# %% [markdown] nbgrader={"grade": false, "grade_id": "attention-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
## 1 · Attention

**Exercise 1.1 · a soft lookup** · 1 point by hand, 2 by machine · ★☆☆ · 15 minutes

*A dictionary that never says “no such key”: everybody answers, and those who fit speak louder.*

By hand: what becomes of a column of $A$ as $\beta \to 0$, and as $\beta \to \infty$ (with one largest score, or with
several)? If all entries of $q$ and $k$ are independent, with mean 0 and variance 1, what is the variance of
$k^\top q$? Which β is therefore convenient, and what would go wrong without it when $d$ is large?

By machine: attention as defined above, where `beta=None` stands for your convenient choice. And β by order: one key's
score is higher by `gap` than those of the $m - 1$ others, which are all equal. For which β does it get the weight
`share`?

<details><summary>Hint</summary>

$k^\top q$ is a sum of $d$ terms that do not know of each other. For the second function write down the share as a
function of β; you may subtract the same number from all scores first.

</details>
"""

# %% [markdown] nbgrader={"grade": true, "grade_id": "temperature", "locked": false, "points": 1, "schema_version": 3, "solution": true, "task": false}
r"""
*Your answer here: double-click this line and write.*
"""


# %% nbgrader={"grade": false, "grade_id": "attention-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def attention(Q, K, V, beta=None):
    """Attention of the columns of Q (d, n) to keys K (d, m) with values V (t, m); beta=None is the convenient choice.

    Returns a tuple of H (t, n) and the weights A (m, n).
    """
    raise NotImplementedError


def beta_for_share(gap, m, share):
    """The β that gives the weight `share` (between 1/m and 1) to a key whose score leads by gap > 0; m ≥ 2 keys."""
    raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "attention", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
def _check_attention():
    def check_attention():
        # Three queries of one number each: β times the scores of the two keys is 0 and log 3, 0 and 0, 0 and −log 3
        Q, K = torch.tensor([[2.0, 0.0, -2.0]]), torch.tensor([[0.0, math.log(3)]])
        V = torch.tensor([[4.0, 8.0], [0.0, 4.0], [1.0, 1.0], [8.0, 0.0]])
        H, A = attention(Q, K, V, beta=0.5)
        compare("A by hand", A, [[1 / 4, 1 / 2, 3 / 4], [3 / 4, 1 / 2, 1 / 4]])
        compare("H by hand", H, [[7.0, 6.0, 5.0], [3.0, 2.0, 1.0], [1.0, 1.0, 1.0], [2.0, 4.0, 6.0]])
        Q, K, V = numbers((5, 3), (5, 4), (2, 4), seed=0)
        before = [part.clone() for part in (Q, K, V)]
        H, A = attention(Q, K, V)
        assert all(map(torch.equal, (Q, K, V), before)), "attention has changed Q, K or V"
        compare("A, your own β", A, library_attention(Q, K, torch.eye(4)))
        compare("H, your own β", H, library_attention(Q, K, V))
        for gap, m, share in ((2.0, 5, 0.9), (0.5, 3, 0.4)):
            scores = torch.full((1, m), 7.0)
            scores[0, 1] += gap
            beta = float(beta_for_share(gap, m, share))
            compare(f"share {share}", library_attention(torch.ones(1, 1), scores, torch.eye(m), beta)[1, 0], share)


    check_attention()


_check_attention()

# %% [markdown] nbgrader={"grade": false, "grade_id": "queries-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
**Exercise 1.2 · one, or some** · 2 points by hand, 2 by machine · ★★☆ · 20 minutes

*You are the query. Which one must you be to hear a single voice, and which to hear a choir?*

By hand, **preserving** (1 point): when is there a $q$ that brings the weight of key $k_j$ as near to 1 as you like?
Give a condition on $k_j$ and the other keys, and an example of three keys of which one can never be preserved. If all
keys have length 1 and differ, which direction for $q$ is good, and which length is enough for a weight of 0.999?
**Diffusing** (1 point): name two ways to the plain mean of all values that leave $V$ alone. Let the $m$ values be
independent, with mean 0 and variance 1 in every entry: what is the variance of an entry of $h$, and what does this
mean for the network?

By machine: two queries, for whichever β > 0 the grader will use.

<details><summary>Hint</summary>

Only differences of scores matter, and a query can be as long as you like. For the choir: which scores should the chosen
keys have, which the others? With keys that are orthonormal you can order any scores at all, one by one.

</details>
"""

# %% [markdown] nbgrader={"grade": true, "grade_id": "queries-derivation", "locked": false, "points": 2, "schema_version": 3, "solution": true, "task": false}
r"""
*Your answer here: double-click this line and write.*
"""


# %% nbgrader={"grade": false, "grade_id": "queries-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def preserving_query(K, j, beta):
    """A query (d, 1) that gives key j (counted from 0) a weight of at least 0.999.

    K (d, m): keys of length 1, all different, m ≥ 2; beta > 0
    """
    raise NotImplementedError


def diffusing_query(K, chosen, beta):
    """A query (d, 1) that spreads the weight evenly over some keys: each within 0.001 of 1/len(chosen).

    K (d, m): orthonormal columns; chosen: a list of different column numbers, not empty; beta > 0
    """
    raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "queries", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
def _check_queries():
    def check_queries():
        keys = functional.normalize(numbers((3, 6), seed=1)[0], dim=0)
        bundle = functional.normalize(torch.cat([torch.ones(1, 7), 0.3 * torch.eye(7)[1:]]), dim=0)  # six, all near key 0
        corners = torch.tensor([[1.0, 1, 1, 1], [1, -1, 1, -1], [1, 1, -1, -1], [1, -1, -1, 1]]) / 2  # orthonormal
        for beta in (0.25, 2.0):
            cases = [(keys, j, "six random keys") for j in range(6)] + [
                (bundle, 0, "six keys near the one to be preserved")
            ]
            for K, j, which in cases:
                q = torch.as_tensor(preserving_query(K, j, beta)).float()
                assert q.shape == (len(K), 1), f"q should be a column {(len(K), 1)}, yours is {tuple(q.shape)}"
                weight = float(library_attention(q, K, torch.eye(K.shape[1]), beta)[j])
                assert weight > 0.99899, f"{which}, β = {beta}: the key to be preserved has the weight {weight:.4f}"
            print(f"ok  β = {beta}: one key is preserved")
            for K, chosen, right in ((corners, [3, 0, 2], [1 / 3, 0, 1 / 3, 1 / 3]), (corners[:, :3], [1], [0, 1, 0])):
                before = list(chosen)
                q = torch.as_tensor(diffusing_query(K, chosen, beta)).float()
                assert chosen == before, "diffusing_query has changed the list of chosen keys"
                assert q.shape == (4, 1), f"q should be a column (4, 1), yours is {tuple(q.shape)}"
                weights = library_attention(q, K, torch.eye(len(right)), beta)[:, 0]
                compare(f"β = {beta}, chosen {chosen}", weights, right, 1e-3)


    check_queries()


_check_queries()


# %% nbgrader={"grade": false, "grade_id": "queries-figure", "locked": true, "schema_version": 3, "solution": false, "task": false} tags=["demo"]
def _figure():
    def draw_queries():
        _, (left, middle, right) = plt.subplots(1, 3, figsize=(12, 3.2))
        scores = torch.tensor([[2.0], [1.5], [0.5], [0.0], [-1.0]])
        betas = torch.logspace(-2, 1.5, 60)
        curves = torch.cat(
            [library_attention(torch.ones(1, 1), scores.T, torch.eye(5), beta) for beta in betas.tolist()], 1
        )
        looks = zip(scores[:, 0].tolist(), (BLUE, ORANGE, GREEN, RED, "black"), ("-", "--", "-.", ":", "-"), strict=True)
        for curve, (score, colour, style) in zip(curves, looks, strict=True):
            left.semilogx(betas, curve, style, color=colour, label=f"score {score}")
        left.set(xlabel="β", ylabel="weight", title="Five keys, from mean to argmax")
        left.legend(fontsize=8)
        K = functional.normalize(numbers((8, 6), seed=2)[0], dim=0)
        queries = torch.cat([torch.as_tensor(preserving_query(K, j, 1.0)).float() for j in range(6)], dim=1)
        draw_map(middle, library_attention(queries, K, torch.eye(6), 1.0), "Six queries that preserve")
        K, parties = torch.eye(6), ([0], [0, 1], [0, 1, 2], [3, 5], [1, 2, 3, 4], [0, 1, 2, 3, 4, 5])
        queries = torch.cat([torch.as_tensor(diffusing_query(K, party, 1.0)).float() for party in parties], dim=1)
        draw_map(right, library_attention(queries, K, torch.eye(6), 1.0), "Six queries that diffuse")
        plt.show()


    draw_queries()


_figure()

# %% [markdown] nbgrader={"grade": false, "grade_id": "nudges-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
*In the figure: on the left the weights of five keys against β. On the far left all meet at 1/5; to the right the key
with the largest score takes everything. In the middle a diagonal, one dark square in each column: each query hears
one key. On the right each column shares its blue among the chosen keys, the paler the more they are.*

**Exercise 1.3 · three nudges** · 3 points by hand, 3 by machine · ★★★ · 35 minutes

*Keys come from data, and data tremble. By how much can the answer move, at the very most?*

Somebody nudges *one* column, by noise ε of length $\lVert \varepsilon \rVert \le r$. How far does $h$ move?

- **A key**, $k_j \to k_j + \varepsilon$. By hand: which columns of $H$ move? How does $h$ change with
  $s_j = \beta\, k_j^\top q$, the score times β, and why can the move never exceed a bound made of β, $r$,
  $\lVert q \rVert$ and $D_V$? By machine: a bound, for whichever key is hit.
- **A query**, $q \to q + \varepsilon$. By hand: which columns of $H$ move? Express $\frac{\partial h}{\partial q}$,
  and bound the move by β, $r$, $D_K$ and $D_V$. By machine: a bound.
- **A long key**, $k_j \to \alpha k_j$ with $\alpha > 1$. By hand: the new weight from the old one, three cases
  according to the sign of $s_j$, and what one very long key does to many queries. By machine: the new weight and the
  new $h$.

A bound has to hold for *every* noise, small or large, and for all keys and values: some may be equal, some may lie on a
line. And it has to be good: for two keys with equal scores and small $r$ some noise must move $h$ by 95 % of the bound,
whatever the values are.

<details><summary>Hint 1: a key</summary>

In $\frac{\partial h}{\partial s_j}$ you meet $v_j - h$. Write $h$ as $a_j v_j$ plus $1 - a_j$ times the mean of the
others. How large is $a (1 - a)$ at most, wherever $a$ may be on its way?

</details>

<details><summary>Hint 2: a query</summary>

$\frac{\partial h}{\partial q}$ is a covariance, of values with keys, if $a$ is read as probabilities. A covariance is
at most the product of two standard deviations. How large is the standard deviation of numbers from an interval of
length $L$?

</details>
"""

# %% [markdown] nbgrader={"grade": true, "grade_id": "nudges-derivation", "locked": false, "points": 3, "schema_version": 3, "solution": true, "task": false}
r"""
*Your answer here: double-click this line and write.*
"""


# %% nbgrader={"grade": false, "grade_id": "nudges-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def key_noise_bound(q, K, V, beta, r):
    """How far h moves at most when noise of length up to r hits any one key; a number.

    q (d, 1), K (d, m), V (t, m), m ≥ 2
    """
    raise NotImplementedError


def query_noise_bound(q, K, V, beta, r):
    """How far h moves at most when noise of length up to r hits the query; shapes as above."""
    raise NotImplementedError


def scale_key(h, v, a, s, alpha):
    """What becomes of weight and output when key j is replaced by alpha times itself.

    h (t, 1): the old output; v (t, 1): the key's value; a: its old weight, 0 < a < 1; s: β k_jᵀ q before

    Returns a tuple of the new weight and the new output (t, 1).
    """
    raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "nudges", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def _check_nudges():
    def check_nudges():
        q, K, V, noises = numbers((3, 1), (3, 5), (2, 5), (3, 40), seed=3)
        K[:, 4], V[:, 4] = K[:, 0], V[:, 0]
        noises = functional.normalize(noises, dim=0)
        for r in (0.1, 1.0, 5.0):
            worst = {"a key": max(max(distances_moved(q, K, V, 0.6, r * noises, j)) for j in range(5))}
            worst["the query"] = max(distances_moved(q, K, V, 0.6, r * noises))
            for (where, far), bound in zip(worst.items(), (key_noise_bound, query_noise_bound), strict=True):
                yours = float(bound(q, K, V, 0.6, r))
                assert yours >= far, f"noise of length {r} on {where} has moved h by {far:.3g}, your bound is {yours:.3g}"
        print("ok  the bounds hold for these 200 noises of each length on keys and these 40 on the query")
        # Two keys of equal score, and then a third one between them that is hardly heard
        q, K, V = (
            torch.tensor([[0.0], [20.0]]),
            torch.tensor([[1.0, -1.0], [3.0, 3.0]]),
            torch.tensor([[5.0, 7.0], [2.0, 1.0]]),
        )
        between = torch.tensor([[0.5], [2.5]]), torch.tensor([[6.0], [1.5]])
        for case, good in (("two keys of equal score", 0.95), ("three keys in a row", 0)):
            far = max(distances_moved(q, K, V, 1.5, torch.tensor([[0.0], [0.001]]), 0))
            reached = far / float(key_noise_bound(q, K, V, 1.5, 0.001))
            assert good < reached < 1.01, f"{case}: noise on a key reaches {reached:.0%} of your bound"
            far = max(distances_moved(q, K, V, 1.5, torch.tensor([[0.01], [0.0]])))
            reached = far / float(query_noise_bound(q, K, V, 1.5, 0.01))
            assert good < reached < 1.01, f"{case}: noise on the query reaches {reached:.0%} of your bound"
            print(f"ok  for {case} they hold" + (", and are reached" if good else ""))
            K, V = (torch.cat([P[:, :1], middle, P[:, 1:]], 1) for P, middle in zip((K, V), between, strict=True))
        q, K, V = numbers((3, 1), (3, 4), (2, 4), seed=4)
        h, a = library_attention(q, K, V, 1.5), library_attention(q, K, torch.eye(4), 1.5)
        for j in range(4):
            longer, before = K.clone(), h.clone()
            longer[:, j] *= 2.5
            s = 1.5 * float(q[:, 0] @ K[:, j])
            weight, output = scale_key(h, V[:, j : j + 1], float(a[j]), s, 2.5)
            assert torch.equal(h, before), "scale_key has changed h"
            right = library_attention(q, longer, torch.eye(4), 1.5)[j, 0]
            compare(f"weight, s = {s:.2f}", float(weight), right, 1e-3)
            compare(f"h, s = {s:.2f}", output, library_attention(q, longer, V, 1.5), 1e-3)


    check_nudges()


_check_nudges()


# %% nbgrader={"grade": false, "grade_id": "nudges-figure", "locked": true, "schema_version": 3, "solution": false, "task": false} tags=["demo"]
def _figure():
    def draw_nudges():
        q, K, V, noises = numbers((3, 1), (3, 6), (2, 6), (3, 150), seed=5)
        lengths = torch.logspace(-2, 1.3, 150)
        noises = lengths * functional.normalize(noises, dim=0)
        _, axes = plt.subplots(1, 2, figsize=(10, 3.2), sharey=True)
        for ax, bound, keys, title in (
            (axes[0], key_noise_bound, range(6), "Noise on a key"),
            (axes[1], query_noise_bound, [None], "Noise on the query"),
        ):
            far = [max(many) for many in zip(*(distances_moved(q, K, V, 1.0, noises, j) for j in keys), strict=True)]
            ax.loglog(lengths, far, ".", color=BLUE, label="moves of h")
            ax.loglog(lengths, [bound(q, K, V, 1.0, r) for r in lengths.tolist()], color=RED, label="your bound")
            ax.axhline(float(torch.cdist(V.T, V.T).max()), color="black", linestyle=":", label="diameter of the values")
            ax.set(xlabel="length of the noise", title=title)
            ax.legend(fontsize=8)
        axes[0].set_ylabel("distance")
        plt.show()


    draw_nudges()


_figure()

# %% [markdown] nbgrader={"grade": false, "grade_id": "heads-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
*In the figure: 150 random noises, their length to the right and the move of h upward, both logarithmic; on the left for
the key that moves h most. All dots stay below the slanted line, your bound. Far right they flatten: h cannot leave the
convex hull of the values (dotted line), and there the bound has become generous.*

## 2 · Many heads

**Exercise 2.1 · heads, and heads as taps** · 1 point by hand, 2 by machine · ★★☆ · 20 minutes

*One softargmax has one opinion per query. Ask several.*

Head $r$ of $h$ heads has projections $W_Q^r, W_K^r, W_V^r$ of its own. All heads look at the same $Q$, $K$, $V$; their
outputs are stacked on top of each other, head 1 uppermost, and mixed by one matrix:

$$H = W_O \begin{bmatrix} H^1 \\ \vdots \\ H^h \end{bmatrix}, \qquad
H^r = W_V^r V\; \text{softargmax}_{\beta}\bigl((W_K^r K)^\top\, W_Q^r Q\bigr) .$$

By hand: what corresponds to a head, to the stacking and to $W_O$ in a network of convolutions? Name one thing that a
filter has fixed and a head decides anew for each input.

By machine: these heads, β being the convenient choice for the columns that each head compares. Then freeze them: query
$i$ of head $r$ puts all its weight on position $i + \delta_r$, and $W_O$ is cut into $[\,W_O^1 \cdots W_O^h\,]$. The
network has become a cross-correlation. Write down its kernel, in the layout of `conv1d` with a padding of $(k-1)/2$.

<details><summary>Hint</summary>

$W_O$ times a stack is a sum. In which column of a kernel of width 3 stands the tap that reads position $i - 1$? Two
heads may look at the same place.

</details>
"""

# %% [markdown] nbgrader={"grade": true, "grade_id": "heads-analogy", "locked": false, "points": 1, "schema_version": 3, "solution": true, "task": false}
r"""
*Your answer here: double-click this line and write.*
"""


# %% nbgrader={"grade": false, "grade_id": "heads-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def multi_head(Q, K, V, heads, W_O):
    """Attention with several heads, each a tuple (W_Q, W_K, W_V); W_O (f, sum of the heads' value sizes).

    Returns H (f, n).
    """
    raise NotImplementedError


def kernel_of_heads(offsets, W_V, W_O, k):
    """The kernel (f, e, k) of heads that look at fixed places; k is odd.

    offsets: head r looks at position i + offsets[r], from −(k−1)/2 to (k−1)/2
    W_V: a list of matrices (t, e); W_O: a list of matrices (f, t)
    """
    raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "heads", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
def _check_heads():
    def check_heads():
        Q, K, V, W_O = numbers((6, 3), (5, 4), (7, 4), (6, 6), seed=6)
        compare("attention, exercise 1.1", attention(Q, Q, Q)[0], library_attention(Q, Q, Q))
        heads = [numbers((2, 6), (2, 5), (2, 7), seed=seed) for seed in (7, 8, 9)]
        library = torch.nn.MultiheadAttention(6, 3, bias=False, kdim=5, vdim=7, batch_first=True)
        with torch.no_grad():
            for part, name in enumerate("qkv"):
                getattr(library, f"{name}_proj_weight").copy_(torch.cat([head[part] for head in heads]))
            library.out_proj.weight.copy_(W_O)
            right = library(Q.T[None], K.T[None], V.T[None])[0][0].T
        compare("three heads", multi_head(Q, K, V, heads, W_O), right)
        heads, (W_O,) = [numbers((d, 6), (d, 5), (t, 7), seed=d) for d, t in ((3, 4), (1, 2))], numbers((5, 6), seed=9)
        alone = (torch.as_tensor(multi_head(Q, K, V, [heads[r]], W_O[:, c])) for r, c in ((0, slice(4)), (1, slice(4, 6))))
        compare("two heads of two sizes", multi_head(Q, K, V, heads, W_O), sum(alone))
        C, *W = numbers((2, 9), (3, 2), (3, 2), (3, 2), (4, 3), (4, 3), (4, 3), seed=10)
        offsets, W_V, W_O = [1, -2, 1], W[:3], W[3:]
        kernel = torch.as_tensor(kernel_of_heads(offsets, W_V, W_O, 5)).float()
        looked_at = [functional.pad(C, (2, 2))[:, 2 + offset : 11 + offset] for offset in offsets]  # (2, 9) for each head
        right = sum(W_O[r] @ (W_V[r] @ looked_at[r]) for r in range(3))
        assert kernel.shape == (4, 2, 5), f"the kernel should have the shape (4, 2, 5), yours has {tuple(kernel.shape)}"
        compare("three heads as a kernel", functional.conv1d(C, kernel, padding=2), right)


    check_heads()


_check_heads()

# %% [markdown] nbgrader={"grade": false, "grade_id": "self-attention-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
## 3 · Self-attention

**Exercise 3.1 · one sequence asks itself** · 2 points · ★☆☆ · 8 minutes

*Queries, keys and values are three views of the same columns.*

The columns of $C \in \mathbb{R}^{e \times n}$ are $n$ words, sounds or patches. Queries and keys have $d$ entries,
values have $t$. Write self-attention as a function of $C$ and its three projections, and give rows and columns of all
eight matrices.

<details><summary>Hint</summary>

A projection stands to the left of $C$. Which of its two sizes has to be $e$?

</details>
"""


# %% nbgrader={"grade": false, "grade_id": "self-attention-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def self_attention(C, W_Q, W_K, W_V, beta=None):
    """Self-attention on the columns of C; beta=None is the convenient choice. Returns a tuple of H (t, n), A (n, n)."""
    raise NotImplementedError


def self_attention_shapes(e, d, t, n):
    """Rows and columns: a dictionary from "W_Q", "W_K", "W_V", "Q", "K", "V", "A", "H" to pairs of int."""
    raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "self-attention", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
def _check_self_attention():
    def check_self_attention():
        C, W_Q, W_K, W_V = numbers((4, 6), (3, 4), (3, 4), (2, 4), seed=10)
        compare("attention, exercise 1.1", attention(C, C, C)[0], library_attention(C, C, C))
        H, A = map(torch.as_tensor, self_attention(C, W_Q, W_K, W_V))
        compare("H", H, run_head(C, (W_Q, W_K, W_V)))
        compare("A", A, head_map(C, (W_Q, W_K, W_V)))
        compare("H, β = 0.3", self_attention(C, W_Q, W_K, W_V, 0.3)[0], library_attention(W_Q @ C, W_K @ C, W_V @ C, 0.3))
        order = torch.tensor([3, 0, 5, 1, 2, 4])
        compare("H of a shuffled C", self_attention(C[:, order], W_Q, W_K, W_V)[0], H[:, order])
        shapes = self_attention_shapes(4, 3, 2, 6)
        made = {"W_Q": W_Q, "W_K": W_K, "W_V": W_V, "Q": W_Q @ C, "K": W_K @ C, "V": W_V @ C, "A": A, "H": H}
        for name, matrix in made.items():
            yours, right = tuple(shapes[name]), tuple(matrix.shape)
            assert yours == right, f"{name}: you say {yours}, it is {right}"


    check_self_attention()


_check_self_attention()

# %% [markdown] nbgrader={"grade": false, "grade_id": "places-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
**Exercise 3.2 · where am I?** · 1 point by hand, 1 by machine · ★★☆ · 12 minutes

*The last line of the check has betrayed a secret: shuffle the words, and the output is shuffled, too. Nothing else.*

So places must be told. By hand: why does the order of the columns not matter to self-attention, beyond the order of
the output? Where does an *absolute* encoding enter the equations and where a *relative* one, and what is an advantage
of each?

By machine: absolute codes from which relative places are easy to read. Columns $p_1, \dots, p_n \in \mathbb{R}^e$ and
one matrix $R \in \mathbb{R}^{e \times e}$, the same for every place, so that $R\, p_i = p_{i+1}$; no entry exceeds 1
in size, and any two codes are at least 0.05 apart. For every even $e \ge 2$ and every $n \le 40$.

<details><summary>Hint</summary>

Which linear map can be applied for ever, without anything growing or dying out? Think of the hands of a clock;
$e = 2$ has one hand.

</details>
"""

# %% [markdown] nbgrader={"grade": true, "grade_id": "places-words", "locked": false, "points": 1, "schema_version": 3, "solution": true, "task": false}
r"""
*Your answer here: double-click this line and write.*
"""


# %% nbgrader={"grade": false, "grade_id": "places-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def position_codes(n, e):
    """The codes of n places as columns of a matrix (e, n); e is even, n at most 40."""
    raise NotImplementedError


def step_matrix(e):
    """The matrix R (e, e) that leads from each code to the next."""
    raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "places", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
def _check_places():
    def check_places():
        for n, e in ((3, 2), (40, 2), (40, 8)):
            P, R = torch.as_tensor(position_codes(n, e)).float(), torch.as_tensor(step_matrix(e)).float()
            assert P.shape == (e, n), f"{n} codes of {e} entries should be a matrix {(e, n)}, yours is {tuple(P.shape)}"
            compare(f"R p, n = {n}, e = {e}", R @ P[:, :-1], P[:, 1:])
            assert P.abs().max() <= 1.001, "an entry exceeds 1"
            apart = (torch.cdist(P.T, P.T) + 9 * torch.eye(n)).min()
            assert apart >= 0.05, f"two codes are only {float(apart):.3f} apart"


    check_places()


_check_places()

# %% [markdown] nbgrader={"grade": false, "grade_id": "machines-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
**Exercise 3.3 · identity, permutation, shift** · 2 points · ★★☆ · 15 minutes

*A head is a telephone exchange. Plug in the wires.*

The simplest codes of all: place $i$ has a 1 in entry $i$. Content above, places below, the columns are those of

$$X = \begin{bmatrix} C \\ I_n \end{bmatrix} \in \mathbb{R}^{(e + n) \times n}, \qquad \text{entries of } C
\text{ between } -1 \text{ and } 1 .$$

Find three heads. With your $W_Q, W_K$ (any $d$) and $W_V$ self-attention at $\beta = 1/\sqrt d$ has to return, up to
0.01: $C$ itself; its columns in any given order; in each column what stood one place to the left (the first column may
be anything). For *every* content and every length $n$; the grader goes up to 100.

<details><summary>Hint</summary>

What should queries and keys read: the content, or the place? Give query $i$ and key $j$ the same code whenever $i$
shall look at $j$. Then think of exercise 1.2: pointing in the right direction is not enough.

</details>
"""


# %% nbgrader={"grade": false, "grade_id": "machines-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def permutation_projections(order, e):
    """W_Q, W_K, W_V with which column i of H is column order[i] of C; order is a list of n numbers, counted from 0.

    Returns a tuple of matrices (d, e + n), (d, e + n), (e, e + n).
    """
    raise NotImplementedError


def identity_projections(e, n):
    """The same with which H = C."""
    raise NotImplementedError


def shift_projections(e, n):
    """The same with which column i of H is column i − 1 of C, for i from 1 to n − 1 counted from 0."""
    raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "machines", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
def _check_machines():
    def check_machines():
        short, long = torch.tensor([[1.0, -1, 0.5, 0, 0.25], [-1, -1, 1, 1, 0]]), numbers((3, 60), seed=11)[0].tanh()
        for C, order in ((short, [2, 0, 4, 1, 3]), (long, [*range(45, 60), *range(45)])):
            (e, n), X = C.shape, with_places(C)
            compare(f"identity, n = {n}", run_head(X, identity_projections(e, n)), C, 5e-3)
            compare(f"permutation, n = {n}", run_head(X, permutation_projections(order, e)), C[:, order], 5e-3)
            compare(f"shift, n = {n}", run_head(X, shift_projections(e, n))[:, 1:], C[:, :-1], 5e-3)


    check_machines()


_check_machines()

# %% [markdown] nbgrader={"grade": false, "grade_id": "convolution-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
**Exercise 3.4 · a convolution** · 1 point by hand, 2 by machine · ★★★ · 20 minutes

*Whatever a convolution layer can do, self-attention could do as well, if it only wanted.*

Codes as long as the sequence are a luxury. Now two entries must be enough: the places are points on a circle, and the
last one is a neighbour of the first,

$$X = \begin{bmatrix} C \\ P \end{bmatrix} \in \mathbb{R}^{(e + 2) \times n}, \qquad
p_i = \begin{bmatrix} \cos(2 \pi i / n) \\ \sin(2 \pi i / n) \end{bmatrix} .$$

By machine: heads whose outputs *add up* to the circular cross-correlation of $C$ with a kernel
$W \in \mathbb{R}^{f \times e \times k}$, $k$ odd: column $i$ is $\sum_{\delta} W_\delta\, c_{i+\delta}$ over the
offsets $\delta = -\frac{k-1}{2}, \dots, \frac{k-1}{2}$, and places beyond the end go on at the beginning. Again
$\beta = 1/\sqrt d$, and up to 1 % of the largest entry; the
grader goes up to 200 places.

By hand: how many heads does a kernel of width $k$ need in your construction, and what does each of its three
projections do? Which score has key $j$ for query $i$, and how must the length of the queries grow with $n$ so that
the neighbour stays unheard? What can such heads do that a convolution never could?

<details><summary>Hint</summary>

A rotation by the angle of δ steps turns one place into another. Where is the cosine of a difference of angles
largest? And how much smaller is it one place further on?

</details>
"""

# %% [markdown] nbgrader={"grade": true, "grade_id": "convolution-words", "locked": false, "points": 1, "schema_version": 3, "solution": true, "task": false}
r"""
*Your answer here: double-click this line and write.*
"""


# %% nbgrader={"grade": false, "grade_id": "convolution-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def convolution_heads(W, n):
    """Heads for a kernel W (f, e, k) on n ≥ k places, n ≥ 2.

    Returns a list of tuples W_Q (d, e + 2), W_K (d, e + 2), W_V (f, e + 2).
    """
    raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "convolution", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
def _check_convolution():
    def check_convolution():
        for n, k in ((4, 3), (9, 3), (12, 5), (40, 1), (40, 3)):
            C, W = numbers((3, n), (2, 3, k), seed=n)
            side = (k - 1) // 2
            right = functional.conv1d(torch.cat([C[:, n - side :], C, C[:, :side]], dim=1), W)  # on a ring
            yours = sum(run_head(torch.cat([C, ring(n)]), head) for head in convolution_heads(W, n))
            compare(f"kernel {k}, {n} places", yours, right, 5e-3)


    check_convolution()


_check_convolution()


# %% nbgrader={"grade": false, "grade_id": "machines-figure", "locked": true, "schema_version": 3, "solution": false, "task": false} tags=["demo"]
def _figure():
    def draw_machines():
        n, order = 8, [5, 2, 7, 0, 4, 1, 6, 3]
        on_ring = torch.cat([torch.zeros(1, n), ring(n)])
        with_codes = with_places(torch.zeros(1, n))
        maps = {
            "identity": head_map(with_codes, identity_projections(1, n)),
            "permutation": head_map(with_codes, permutation_projections(order, 1)),
            "shift": head_map(with_codes, shift_projections(1, n)),
        }
        heads = convolution_heads(torch.ones(1, 1, 3), n)
        maps |= {f"kernel, head {number}": head_map(on_ring, head) for number, head in enumerate(heads, 1)}
        W_Q, W_K, W_V = (torch.as_tensor(matrix).float() for matrix in heads[0])
        largest = (on_ring.T @ W_K.T @ W_Q @ on_ring).abs().max() / math.sqrt(len(W_Q))
        maps["head 1, made softer"] = head_map(on_ring, (2 / largest * W_Q, W_K, W_V))
        _, axes = plt.subplots(1, len(maps), figsize=(12, 2.3))
        for ax, (title, A) in zip(axes, maps.items(), strict=True):
            draw_map(ax, A, title)
            ax.title.set_fontsize(8)
            ax.label_outer()
        plt.show()


    draw_machines()


_figure()

# %% [markdown] nbgrader={"grade": false, "grade_id": "live-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
*In the figure: seven maps of weights, keys downward, queries to the right, eight each. A diagonal; a scattered
permutation; a diagonal one step up, whose first column is free; then the heads of a convolution, diagonals shifted
up, not at all and down, going round at the edges; and the first of them again with shorter queries: the same band,
blurred.*

**Exercise 3.5 · live** · 1 point by hand, 1 by machine · ★★☆ · 10 minutes

*A subtitle that appears after the speech is over is of little use.*

A stack of $L$ self-attention layers recognises speech while somebody is speaking. Position $i$ may see the positions
from $i - b$ to $i + a$: `back` $= b$ keeps the memory small, `ahead` $= a$ allows a little patience.

By hand: which changes make self-attention fit for live use, in training and when it runs? Think of what each frame may
see, of how training stays parallel, and of what need not be computed again when the next frame arrives.

By machine: the mask, and how far the output at a place reaches back and ahead in the *input* after $L$ layers: the
reach ahead is the delay.

<details><summary>Hint</summary>

Keys count rows, queries count columns. For the second function follow one road through two layers, as far as it goes.

</details>
"""

# %% [markdown] nbgrader={"grade": true, "grade_id": "live-words", "locked": false, "points": 1, "schema_version": 3, "solution": true, "task": false}
r"""
*Your answer here: double-click this line and write.*
"""


# %% nbgrader={"grade": false, "grade_id": "live-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def live_mask(n, back, ahead):
    """Who may see whom: a bool matrix (n, n), keys × queries, True where the query may see the key."""
    raise NotImplementedError


def live_reach(layers, back, ahead):
    """How many frames back and how many ahead the output of a stack of layers depends on; a pair of int."""
    raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "live", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
def _check_live():
    def check_live():
        right = [[1, 1, 1, 0, 0], [1, 1, 1, 1, 0], [0, 1, 1, 1, 1], [0, 0, 1, 1, 1], [0, 0, 0, 1, 1]]
        mask = torch.as_tensor(live_mask(5, 2, 1))
        compare("back 2, ahead 1", mask, right)
        assert mask.dtype == torch.bool, f"the mask should be bool, yours is {mask.dtype}"
        C, W_Q, W_K, W_V = numbers((2, 7), (2, 2), (2, 2), (2, 2), seed=11)
        later = C.clone()
        later[:, 5:] += 1  # the future is rewritten from frame 5 on
        mask = torch.as_tensor(live_mask(7, 3, 1))
        before, after = (run_head(sequence, (W_Q, W_K, W_V), mask) for sequence in (C, later))
        changed = (before - after).abs().amax(0) > 1e-6
        assert changed.tolist() == [False] * 4 + [True] * 3, "with ahead = 1, frame 4 and nobody before it should notice"
        print("ok  frame 4 notices what changes in frame 5, frame 3 does not")
        mask = torch.as_tensor(live_mask(20, 3, 2)).double()
        for layers in (1, 2, 3):
            frames = (mask.matrix_power(layers)[:, 10] > 0).nonzero()[:, 0] - 10  # those that frame 10 has heard of
            right, yours = (-int(frames[0]), int(frames[-1])), tuple(live_reach(layers, 3, 2))
            assert yours == right, f"{layers} layers with your mask, back 3, ahead 2, reach {right}; you say {yours}"
        print("ok  the reach of one, two and three layers")


    check_live()


_check_live()

# %% [markdown] nbgrader={"grade": false, "grade_id": "roads-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
## 4 · The transformer

**Exercise 4.1 · three ways to read a sequence** · 2 points · ★★☆ · 10 minutes

*Before 2017 translators read like people, word by word. What was to be gained?*

$n$ columns of $e$ numbers come in, and $n$ columns of $e$ numbers go out of one layer:

- `"recurrent"`: $h[t] = \tanh(W h[t-1] + U x[t])$, $h[0] = 0$;
- `"convolution"`: width $k$ (odd, at least 3), zero padding at both ends so that the length stays;
- `"attention"`: one head of self-attention with $d = t = e$, no $W_O$.

For each of them three numbers:

1. the *multiplications* inside matrix products (nothing else counts; products with padding and with $h[0]$ do);
2. the *steps* that have to wait for each other in one layer, when any number of matrix products may run side by side:
   the recurrent layer takes one for each time, the other layers count as 1;
3. the *road*: how often the information in column 1 passes through the layer's formula, at the least, until it is in
   column $n$: recurrent steps on the way, or layers on top of each other.

<details><summary>Hint</summary>

A matrix product of sizes $(r \times c)(c \times w)$ takes $r c w$ multiplications. How far to the right does a word
travel in one layer of convolution? And what if it has to travel one place further than that?

</details>
"""


# %% nbgrader={"grade": false, "grade_id": "roads-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def compare_layers(n, e, k):
    """A dictionary from the three names to tuples (multiplications, steps, road) of int; n ≥ 2."""
    raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "roads", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
def _check_roads():
    def check_roads():
        layers = compare_layers(4, 3, 5)
        assert tuple(layers["recurrent"]) == (72, 4, 4), "recurrent, n = 4, e = 3: 72 multiplications, 4 steps, a road of 4"
        assert tuple(layers["convolution"]) == (180, 1, 2), "n = 4, e = 3, k = 5: 180 multiplications, 1 step, a road of 2"
        assert tuple(layers["attention"]) == (204, 1, 1), "attention, n = 4, e = 3: 108 in projections, 48 scores, 48 means"
        for n, k in ((2, 3), (5, 3), (6, 5), (7, 5), (8, 7), (9, 7)):
            wave = torch.zeros(1, 1, n)
            wave[0, 0, 0] = 1
            for _ in range(int(compare_layers(n, 4, k)["convolution"][2])):
                assert wave[0, 0, -1] == 0, f"n = {n}, k = {k}: column {n} has heard of column 1 earlier than you say"
                wave = functional.conv1d(wave, torch.ones(1, 1, k), padding=(k - 1) // 2)
            assert wave[0, 0, -1] > 0, f"n = {n}, k = {k}: after so many layers column {n} has not heard of column 1 yet"
        print("ok  four columns, and the roads of six convolutions")


    check_roads()


_check_roads()

# %% [markdown] nbgrader={"grade": false, "grade_id": "lookup-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
**Exercise 4.2 · what came next, the last time?** · 2 points · ★★★ · 15 minutes

*A layer that learns from its own input, while it reads.*

In *abracadabr…* you would bet on *a*. Why? The last letter was an *r*; an *r* was there before, and an *a* came after
it. No statistics of English are needed, only this text. Trained transformers grow heads that do just this.

It takes two layers. The first is a shift, and you have built it: it tells each column what stood to its left. So let
the columns of the second layer be

$$X = \begin{bmatrix} C \\ B \end{bmatrix} \in \mathbb{R}^{2e \times n}, \qquad
c_i \text{ one-hot: the letter at place } i, \qquad b_i = c_{i-1}, \quad b_1 = 0 .$$

Find projections with which a *causal* head (place $i$ sees places $j \le i$) predicts: whenever the letter at $i$ stood
somewhere before, column $i$ of $H$ is the mean, up to 0.01, of the letters that followed it there. In other columns
anything goes. For every text over every alphabet; the grader goes up to 300 letters of 60 kinds.

<details><summary>Hint</summary>

Say in words whom place $i$ is looking for: “I am an *r*, and I seek somebody who …”. The first half of the sentence is
the query, the second half the key, and what you want from him is the value.

</details>
"""


# %% nbgrader={"grade": false, "grade_id": "lookup-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def lookup_projections(e):
    """W_Q, W_K (d, 2e) and W_V (e, 2e) of a head that looks up what came next; e is the number of different letters."""
    raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "lookup", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
def _check_lookup():
    def check_lookup():
        bets = {"abracadabr": {"a": 1}, "to be or not to b": {"e": 1}, "xaxbxaxax": {"a": 3 / 4, "b": 1 / 4}}
        bets["the quick brown fox jumps over the lazy dog, as you f"] = {"o": 1}
        for text, expected in bets.items():
            X, alphabet = letters_with_left(text)
            n = len(text)
            causal = torch.ones(n, n).triu().bool()  # keys × queries: key j ≤ query i
            H = run_head(X, lookup_projections(len(alphabet)), causal)
            right = torch.tensor([expected.get(letter, 0.0) for letter in alphabet])
            compare(text[-17:], H[:, -1], right, 5e-3)
            print(f"    {text[-17:]} … {alphabet[int(H[:, -1].argmax())]}")


    check_lookup()


_check_lookup()


# %% nbgrader={"grade": false, "grade_id": "lookup-figure", "locked": true, "schema_version": 3, "solution": false, "task": false} tags=["demo"]
def _figure():
    def draw_lookup():
        text = "abracadabra"
        X, alphabet = letters_with_left(text)
        causal = torch.ones(11, 11).triu().bool()
        _, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6))
        head = lookup_projections(5)
        draw_map(left, head_map(X, head, causal), "Who listens to whom", "key: letter seen", "query: letter now")
        draw_map(right, run_head(X, head, causal), "What comes next, it says", "letter", "letter now")
        for ax in (left, right):
            ax.set_xticks(range(11), text)
        left.set_yticks(range(11), text)
        right.set_yticks(range(5), alphabet)
        plt.show()


    draw_lookup()


_figure()

# %% [markdown] nbgrader={"grade": false, "grade_id": "costs-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
*In the figure: the text abracadabra along both axes of the left map. A letter that was not seen before looks around
evenly. The second a looks at the b that followed the first a; later ones share their look among b, c and d. On the
right what the head expects at each place: at the second a it is sure of b, at the second b of r, at the second r of a.*

**Exercise 4.3 · what do heads cost?** · 2 points · ★☆☆ · 10 minutes

*Eight opinions for the price of one: how?*

Self-attention with $h$ heads on $n$ columns of $e$ numbers; queries, keys and values of every head have $d$ entries.
The three projections of each head and $W_O$ have biases. Count the *parameters*, and the *multiplications* inside
matrix products (as in 4.1: no biases, no β, no softargmax). The check prints your counts.

<details><summary>Hint</summary>

Follow the sizes of one head from $C$ to $H^r$, multiply by $h$, and do not forget the mixing. What happens to your
count when $h$ doubles and $d$ halves?

</details>
"""


# %% nbgrader={"grade": false, "grade_id": "costs-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def multi_head_counts(e, h, d, n):
    """Parameters and multiplications of multi-head self-attention; a pair of int."""
    raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "costs", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
def _check_costs():
    def check_costs():
        yours = tuple(multi_head_counts(3, 2, 4, 5))
        assert yours[0] == 123, f"e = 3, h = 2, d = 4: 123 weights and biases, you count {yours[0]}"
        assert yours[1] == 880, f"e = 3, h = 2, d = 4, n = 5: 880 multiplications, you count {yours[1]}"
        library = torch.nn.MultiheadAttention(12, 3)
        made = sum(parameter.numel() for parameter in library.parameters())
        assert multi_head_counts(12, 3, 4, 5)[0] == made, f"PyTorch's layer with e = 12, h = 3, d = 4 has {made} parameters"
        for heads, d in ((1, 64), (8, 8), (8, 64)):
            costs = " ".join(f"{multi_head_counts(64, heads, d, n)[1]:>15,}" for n in (16, 256, 4096))
            print(f"h = {heads}, d = {d:2}, e = 64; multiplications for n = 16, 256, 4096: {costs}")


    check_costs()


_check_costs()

# %% [markdown] nbgrader={"grade": false, "grade_id": "columns-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
*In the table: eight heads of 8 cost what one head of 64 costs, eight heads of 64 far more. From 256 columns to 4096, 16
times as many, the cost grows more than a hundredfold: there the square of the length rules.*

**Exercise 4.4 · each column by itself** · 2 points · ★★☆ · 15 minutes

*Attention carries things around; it never computes anything new from them. Who does?*

After the attention of a block every column goes through the same small network on its own,
$F(x) = W_2\, \text{ReLU}(W_1 x + b_1) + b_2$, with $W_1 \in \mathbb{R}^{w \times e}$ and
$W_2 \in \mathbb{R}^{e \times w}$.

Build one for $e = 2$ (with one output instead of two, and a width of your choice) that computes *exclusive or* for
columns of zeros and ones: 1 if exactly one of the two entries is 1, else 0. Then count a whole block: attention with
$h$ heads of $d = e/h$ as in 4.3, the feed-forward network of width $w$ with biases, and two layer norms, each with a
scale and a shift for each of the $e$ entries.

<details><summary>Hint</summary>

The sum of the two bits is 0, 1 or 2. Which function of this sum is wanted, and out of which hinges can it be glued? As
for the count: norms, sums and ReLU contain no matrix product.

</details>
"""


# %% nbgrader={"grade": false, "grade_id": "columns-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def xor_network():
    """W1 (w, 2), b1 (w, 1), W2 (1, w), b2 (1, 1) of a feed-forward network that computes exclusive or; a tuple."""
    raise NotImplementedError


def block_counts(e, h, w, n):
    """Parameters and multiplications of one block on n columns; a pair of int. h divides e."""
    raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "columns", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
def _check_columns():
    def check_columns():
        bits = torch.tensor([[0.0, 0, 1, 1], [0, 1, 0, 1]])
        W1, b1, W2, b2 = (torch.as_tensor(part).float() for part in xor_network())
        shapes = [tuple(part.shape) for part in (W1, b1, W2, b2)]
        w = len(W1)
        assert shapes == [(w, 2), (w, 1), (1, w), (1, 1)], f"your W1, b1, W2, b2 have the shapes {shapes}"
        compare("exclusive or", W2 @ torch.relu(W1 @ bits + b1) + b2, [[0.0, 1, 1, 0]], 1e-3)
        assert tuple(multi_head_counts(6, 3, 2, 4)) == (168, 768), "first mend multi_head_counts, exercise 4.3"
        yours = block_counts(6, 3, 5, 4)[1]
        assert yours == 1008, f"e = 6, h = 3, w = 5, n = 4: a block takes 1008 multiplications, you count {yours}"
        library = torch.nn.TransformerEncoderLayer(12, 3, 20)
        made = sum(parameter.numel() for parameter in library.parameters())
        assert block_counts(12, 3, 20, 5)[0] == made, f"PyTorch's block with e = 12, h = 3, w = 20 has {made} parameters"
        print("ok  two blocks")


    check_columns()


_check_columns()

# %% [markdown] nbgrader={"grade": false, "grade_id": "norm-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
**Exercise 4.5 · layer norm and its Jacobian** · 2 points · ★★★ · 15 minutes

*The quiet layer that keeps the loud ones in check.*

Layer norm acts on each column $x \in \mathbb{R}^e$ alone (here without scale and shift):

$$\hat x = \frac{x - \mu \mathbf{1}}{\sigma}, \qquad \mu = \frac1e \sum_{c=1}^e x_c, \qquad
\sigma = \sqrt{\frac1e \sum_{c=1}^e (x_c - \mu)^2 + \epsilon} .$$

Write it, and derive $\frac{\partial \hat x}{\partial x}$ in numerator layout (row $i$ belongs to $\hat x_i$). Then
look at your formula: what happens to a gradient on its way back through the norm of a very long $x$?

<details><summary>Hint</summary>

$x - \mu \mathbf{1}$ is linear in $x$: by which matrix? For $1/\sigma$ differentiate $\sigma^2$ first; in its derivative
$\hat x$ turns up again.

</details>
"""


# %% nbgrader={"grade": false, "grade_id": "norm-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def layer_norm(X, eps=1e-5):
    """Layer norm of each column of X (e, n); the same shape."""
    raise NotImplementedError


def layer_norm_jacobian(x, eps=1e-5):
    """∂x̂/∂x for one column x (e, 1); a matrix (e, e)."""
    raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "norm", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
def _check_norm():
    def check_norm():
        (X,) = numbers((5, 3), seed=12)
        X = 3 * X + 7
        before = X.clone()
        for eps in (1e-5, 0.5):
            compare(f"layer norm, ε = {eps}", layer_norm(X, eps), functional.layer_norm(before.T, (5,), eps=eps).T)
        assert torch.equal(X, before), "layer_norm has changed X"
        for scale, eps in ((0.3, 1e-5), (3.0, 1e-5), (3e-4, 1e-5), (1.0, 0.5)):
            x = scale * (before[:, 1:2] - 7)
            measured = torch.autograd.functional.jacobian(lambda x, eps=eps: functional.layer_norm(x.T, (5,), eps=eps).T, x)
            yours = layer_norm_jacobian(x, eps)
            compare(f"∂x̂/∂x at length {float(x.norm()):.2g}", yours, measured.reshape(5, 5), 1e-3)
            print(f"    its largest singular value: {float(torch.linalg.matrix_norm(torch.as_tensor(yours), 2)):.3g}")


    check_norm()


_check_norm()

# %% [markdown] nbgrader={"grade": false, "grade_id": "transformer-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
**Exercise 4.6 · five answers** · 5 points by hand, 1 for each · ★★☆ · 25 minutes

*You have built the parts. Now say what they are for.* Two to four sentences each; lean on your own constructions.

1. **Recurrent seq2seq.** Two advantages of a transformer over an encoder and a decoder that are recurrent, and one
   price. Lean on the three numbers of 4.1.
2. **Self-attention.** What does it give to each column, and on what do its weights depend? How do the attention of an
   encoder, of a decoder over its own past, and of a decoder over the encoder differ?
3. **Several heads.** What can two heads do that one cannot? Why do they cost no more?
4. **Feed-forward.** Why is it called position-wise, which convolution is it, and why would a stack of attention
   layers be poor without it?
5. **Stability.** Name two techniques that keep deep transformers trainable, where they stand in a block, and what
   each does to signals or gradients.

<details><summary>Hint</summary>

4: with its weights $A$ held fixed, what kind of function of $V$ is $H = VA$? Which hull can it never leave? 5: look
at the singular values that your last check has printed, and remember part 2 of homework 2.

</details>
"""

# %% [markdown] nbgrader={"grade": true, "grade_id": "transformer-words", "locked": false, "points": 5, "schema_version": 3, "solution": true, "task": false}
r"""
*Your answer here: double-click this line and write.*
"""

# %% [markdown] nbgrader={"grade": false, "grade_id": "patches-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
## 5 · Pictures

A vision transformer (ViT) cuts a picture into patches of $p \times p$ pixels, calls each a word, and goes on as above.

**Exercise 5.1 · patches** · 2 points · ★★☆ · 20 minutes

*There is a convolution in every vision transformer, although hardly anybody calls it by its name.*

- A patch with its $C$ channels is laid in one column, as `reshape(-1)` of $(C, p, p)$ does it, and multiplied by
  $E \in \mathbb{R}^{e \times C p^2}$. Give the kernel with which `conv2d` with stride $p$ does the same to all
  patches.
- The *receptive field* of a CNN: how many pixels wide is the part of the input on which one unit of the last layer
  depends? `layers` lists kernel size and stride of each layer, first one first.
- The parameters of a ViT, part by part. `"patches"`: $E$ with a bias. `"class token"`: one learnt column, put in
  front of the patches. `"positions"`: a learnt column for each place, the class token's included. `"blocks"`: all of
  them, as in 4.4. `"head"`: a last layer norm (scale and shift), and a linear layer with a bias from $e$ to the
  classes.
- Its multiplications for one picture, those inside matrix products: the patch embedding, the blocks as in 4.4, and the
  linear layer at the end, which reads the class token's column alone.

<details><summary>Hint</summary>

In the receptive field each layer adds its kernel less one, measured in pixels of the *input*. How many of those lie
between two neighbouring units of the layer below?

</details>
"""


# %% nbgrader={"grade": false, "grade_id": "patches-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def patch_kernel(E, channels, p):
    """The kernel (e, channels, p, p) of the convolution that multiplies every flattened patch by E (e, channels·p²)."""
    raise NotImplementedError


def receptive_field(layers):
    """Width in pixels of what one unit of the last layer sees; layers: a list of pairs (kernel, stride); an int."""
    raise NotImplementedError


def vit_parameters(image_size, p, channels, e, w, layers, classes):
    """Parameters of a ViT for square pictures, p divides image_size: a dictionary from the five names to int."""
    raise NotImplementedError


def vit_multiplications(image_size, p, channels, e, w, layers, classes):
    """Multiplications inside the matrix products of the same ViT for one picture; an int."""
    raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "patches", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
def _check_patches():
    def check_patches():
        picture, E = numbers((2, 6, 9), (4, 18), seed=13)
        made = functional.conv2d(picture, torch.as_tensor(patch_kernel(E, 2, 3)).float(), stride=3)  # (4, 2, 3)
        compare("second patch", made[:, 0, 1], E @ picture[:, :3, 3:6].reshape(-1))
        compare("last patch", made[:, 1, 2], E @ picture[:, 3:, 6:].reshape(-1))
        for layers, right in (([(3, 1)], 3), ([(3, 2), (3, 1)], 7), ([(5, 2), (3, 3), (2, 1)], 15)):
            before = list(layers)
            yours = receptive_field(layers)
            assert layers == before, "receptive_field has changed the list of layers"
            assert yours == right, f"layers {layers}, first one first: one unit sees {right} pixels, you say {yours}"
        assert tuple(block_counts(6, 1, 5, 5)) == (263, 1320), "first mend block_counts, exercise 4.4"
        parts = {"patches": 294, "class token": 6, "positions": 30, "blocks": 526, "head": 61}
        for name, right in parts.items():  # pictures of 8 × 8 pixels
            yours = vit_parameters(8, 4, 3, 6, 5, 2, 7)[name]
            assert yours == right, f"the small ViT has {right} parameters under {name!r}, you count {yours}"
        yours = vit_multiplications(8, 4, 3, 6, 5, 2, 7)
        assert yours == 3834, f"the small ViT takes 3,834 multiplications a picture, you count {yours:,}"
        sizes = (224, 16, 3, 768, 3072, 12, 1000)  # of a well-known ViT, called B/16
        counts = vit_parameters(*sizes)
        whole = sum(counts.values())
        assert whole == 86_567_656, f"ViT-B/16 has 86,567,656 parameters, you count {whole:,}"
        products = vit_multiplications(*sizes)
        assert products == 17_563_828_224, (
            f"ViT-B/16 takes 17,563,828,224 multiplications a picture, you count {products:,}"
        )
        print("ok ", ", ".join(f"{name} {count:,}" for name, count in counts.items()))


    check_patches()


_check_patches()

# %% [markdown] nbgrader={"grade": false, "grade_id": "token-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
**Exercise 5.2 · the class token, and how much data?** · 2 points · ★★☆ · 10 minutes

*An empty chair at the table that listens to everybody, and then votes.*

The columns are the class token, marked by a 1 in the last row, and $n$ patches,

$$X = \begin{bmatrix} c & x_1 & \cdots & x_n \\ 1 & 0 & \cdots & 0 \end{bmatrix} \in \mathbb{R}^{(e+1) \times (n+1)} .$$

Find a head whose output *at the class token* is the plain mean of the patches, $\frac1n \sum_i x_i$ up to 0.01: what
CNNs call global average pooling. Its own content $c$ must leave no trace, whatever it is; entries of $X$ are between
−1 and 1, and $n$ is not known to you (it is at most 200; $e$ is at most 60).

Then give the set of all letters that are true:

- **A** Trained from nothing on a few thousand labelled pictures, a CNN usually beats a ViT of about the same size.
- **B** A ViT needs more data because it always has more parameters than a CNN.
- **C** A convolution assumes that neighbours belong together and that a pattern means the same everywhere; a ViT has
  to learn most of this from data.
- **D** With very large training sets a ViT catches up with CNNs or passes them.
- **E** A ViT that was pretrained on many pictures and then fine-tuned on few is usually better than the same ViT
  trained on the few alone.
- **F** Strong augmentation makes no difference to a ViT, for its position embeddings change with the picture.
- **G** Without position embeddings a ViT would need fewer pictures and lose nothing.

<details><summary>Hint</summary>

The class token should find all patches equally attractive, and itself not at all. Which row of $X$ tells them apart?

</details>
"""


# %% nbgrader={"grade": false, "grade_id": "token-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def pooling_projections(e):
    """W_Q, W_K (d, e + 1) and W_V (e, e + 1) of a head whose class token receives the mean of the patches."""
    raise NotImplementedError


# data_regimes = {"…", …}
raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "token", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
def _check_token():
    def check_token():
        X = torch.tensor([[1.0, 0.5, 0.25, -1.0, 0.75], [-1.0, 0.0, 1.0, 0.5, -0.5], [1.0, 0, 0, 0, 0]])
        compare("mean of 4 patches", run_head(X, pooling_projections(2))[:, 0], X[:2, 1:].mean(1), 5e-3)
        X = torch.tensor([[-1.0, 0.5], [1.0, 0.25], [1.0, -1.0], [1.0, 0.0]])
        compare("a single patch", run_head(X, pooling_projections(3))[:, 0], X[:3, 1], 2e-3)
        letters = {str(letter).strip().upper() for letter in data_regimes}
        assert letters and letters <= set("ABCDEFG"), "data_regimes is a set of letters from A to G"
        print("ok  a set of letters; whether they are right, the grader will tell")


    check_token()


_check_token()


# %% nbgrader={"grade": false, "grade_id": "pictures-figure", "locked": true, "schema_version": 3, "solution": false, "task": false} tags=["demo"]
def _figure():
    def draw_pictures():
        _, (left, right) = plt.subplots(1, 2, figsize=(10, 3))
        depths, halving = range(1, 13), [(3, 1), (3, 2)] * 6
        networks = {
            "CNN of 3×3": ([receptive_field([(3, 1)] * depth) for depth in depths], BLUE, "o"),
            "CNN, every second layer halves": ([receptive_field(halving[:depth]) for depth in depths], GREEN, "s"),
            "ViT": ([224] * 12, RED, "^"),
        }
        for label, (widths, colour, marker) in networks.items():
            left.plot(depths, [min(width, 224) for width in widths], color=colour, marker=marker, label=label)
        left.set(xlabel="layers", ylabel="pixels, of 224", title="How wide one unit sees")
        left.legend(fontsize=8)
        sides = [64, 128, 224, 384, 512]
        tokens = [(side // 16) ** 2 + 1 for side in sides]
        whole = [block_counts(768, 12, 3072, n)[1] / 1e9 for n in tokens]
        scores = [2 * n * n * 768 / 1e9 for n in tokens]
        right.plot(sides, whole, color=BLUE, marker="o", label="one block")
        right.plot(sides, scores, color=RED, marker="^", linestyle="--", label="of these: scores and means")
        right.set(xlabel="side of the picture in pixels", ylabel="billions", title="Multiplications, patches of 16")
        right.legend(fontsize=8)
        plt.show()


    draw_pictures()


_figure()

# %% [markdown] nbgrader={"grade": false, "grade_id": "pictures-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
*In the figure: on the left how many pixels one unit sees against the number of layers. A stack of 3×3 convolutions
(circles) creeps up by two pixels for each layer; with strides (squares) it takes twelve layers to see the whole
picture; a ViT (triangles) sees all of it from the first block on. On the right multiplications of one block against
the side of the picture: the dashed part, of attention itself, is small for small pictures and grows fastest.*

**Exercise 5.3 · four answers** · 4 points by hand, 1 for each · ★★☆ · 15 minutes

*Two to four sentences each.*

1. **Against CNNs.** In which two respects does a block of a ViT see differently from a layer of a CNN, and where in a
   ViT does a convolution hide?
2. **Position embeddings.** What would a ViT without them not notice? What do you have to do with learnt ones when the
   pictures become larger, and why do 2-D places hardly need special codes?
3. **The class token.** Follow it from the input to the classes: what is it at the start, what happens to it in each
   block, what becomes of the patches' columns after the last one?
4. **Data.** Why does a ViT need more pictures than a CNN, and what can you do if you have few?

<details><summary>Hint</summary>

2: count the parameters of the positions for two sizes of pictures. 3: what would change in the answer if the last block
computed its class column alone?

</details>
"""

# %% [markdown] nbgrader={"grade": true, "grade_id": "pictures-words", "locked": false, "points": 4, "schema_version": 3, "solution": true, "task": false}
r"""
*Your answer here: double-click this line and write.*
"""

# %% [markdown] nbgrader={"grade": false, "grade_id": "closing", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
**What you take along**

- Attention is a mean. Its output never leaves the convex hull of the values, and a nudge moves it by at most a quarter
  of β times the nudge times two sizes.
- Direction says who is meant, length says how firmly. A longer query, longer keys (all of them) and a larger β are one
  and the same knob.
- Who looks where can be wired by places (identity, permutation, convolution) or by content (lookup). Learnt heads do
  both.
- Attention moves, feed-forward computes, residuals keep the road open, norms keep it smooth.

In the other notebook these parts become a transformer that learns by itself. Look out for your diagonals in its
maps.
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
    "theory.ipynb",
    [
        "1.1 attention",
        "1.2 queries",
        "1.3 nudges",
        "2.1 heads",
        "3.1 self-attention",
        "3.2 places",
        "3.3 machines",
        "3.4 convolution",
        "3.5 live",
        "4.1 roads",
        "4.2 lookup",
        "4.3 costs",
        "4.4 columns",
        "4.5 norm",
        "5.1 patches",
        "5.2 token",
    ],
    [
        "1.1 temperature",
        "1.2 queries-derivation",
        "1.3 nudges-derivation",
        "2.1 heads-analogy",
        "3.2 places-words",
        "3.4 convolution-words",
        "3.5 live-words",
        "4.6 transformer-words",
        "5.3 pictures-words",
    ],
    {
        2409921808: "BLUE compare distances_moved draw_map GREEN head_map letters_with_left library_attention"
        " " "numbers ORANGE RED relative_error ring run_head widened with_places",
    },
    "*Your answer here: double-click this line and write.*",
)
