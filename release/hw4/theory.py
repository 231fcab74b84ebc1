# %% [markdown] nbgrader={"grade": false, "grade_id": "header", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
# Attention, by construction

**What you will build.** Queries, keys and projections, chosen by hand so that attention does exactly what you want:
keep one value, average several, permute, shift, convolve, compute exclusive or, look up what came next last time. You
also bound how far noise can move its output, and count what a transformer costs.

|part|points by machine|by hand|minutes|
|---|---|---|---|
|1 Attention|2 + 2 + 3|1 + 2 + 3|70|
|2 Heads and self-attention|3 + 1 + 2 + 2 + 1|5|95|
|3 The transformer|2 + 2 + 2 + 3½|5|90|
|4 Pictures|2 + 2 + ½|4|50|
|**in all: 50 points**|**30**|**20**|**305**|

**You need** softargmax, matrix products, and convolutions (Homework 2).

**How to work.** *By hand* asks for a written answer, in plain words or in LaTeX between dollar signs; a person marks
it. *By machine*, and everywhere else: write code in place of `raise NotImplementedError`. The cell below it checks an
example. The grader uses other sizes and numbers, and looks only at what your matrices do: every construction that works
is right.
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
# letters_with_left, library_attention, numbers, ORANGE, RED, relative_error, ring, run_head, show_figure,
# with_places. Give your own helpers other names.

# %% nbgrader={"grade": false, "grade_id": "helpers", "locked": true, "schema_version": 3, "solution": false, "task": false}
# @title Imports, and helpers for checks and figures. Run this cell; you need not read it.
import math

import matplotlib.pyplot as plt
import torch
from torch.nn import functional

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


def library_attention(Q, K, V, beta=None, allowed=None):
    """H from PyTorch's own attention, which works on rows; the checks compare with it.

    allowed (m, n) is False where a query must not see a key; beta=None stands for 1/√d.
    """
    mask = None if allowed is None else allowed.T
    return functional.scaled_dot_product_attention(Q.T, K.T, V.T, attn_mask=mask, scale=beta).T


def run_head(X, head, allowed=None):
    """Self-attention of one head (W_Q, W_K, W_V) on the columns of X, with β = 1/√d."""
    W_Q, W_K, W_V = (torch.as_tensor(matrix).float() for matrix in head)
    return library_attention(W_Q @ X, W_K @ X, W_V @ X, allowed=allowed)


def head_map(X, head, allowed=None):
    """The weights A (m, n) of that head."""
    Q, K = (torch.as_tensor(matrix).float() @ X for matrix in head[:2])
    return library_attention(Q, K, torch.eye(X.shape[1]), allowed=allowed)  # one-hot values return the weights


def ring(n):
    """n places on a circle, as columns (2, n), for exercise 2.4."""
    angles = 2 * math.pi / n * torch.arange(n)
    return torch.stack([angles.cos(), angles.sin()])


def with_places(C):
    """C (e, n) with one-hot places below it, for exercise 2.3."""
    return torch.cat([C, torch.eye(C.shape[1])])


def letters_with_left(text):
    """X (2e, n) of a text, and its alphabet of e letters, for exercise 3.1."""
    alphabet = sorted(set(text))
    C = functional.one_hot(torch.tensor([alphabet.index(letter) for letter in text])).T.float()
    return torch.cat([C, functional.pad(C, (1, 0))[:, :-1]]), alphabet


def distances_moved(q, K, V, beta, noises, j=None):
    """How far h moves for each column of `noises`, added to key j or, without j, to the query; for exercise 1.3."""
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


# %% [markdown] nbgrader={"grade": false, "grade_id": "attention-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
## Notation

**Columns.** $n$ queries, $m$ keys and $m$ values are the columns of

$$Q\in\mathbb{R}^{d\times n},\qquad K\in\mathbb{R}^{d\times m},\qquad V\in\mathbb{R}^{t\times m}.$$

Column $i$ of $Q$ is $q_i$. Formulas count from 1, Python from 0. The notebook *transformer* builds the same attention
in code, for batches of rows, and trains it; its equations are these, transposed.

**Attention** (Bahdanau et al. 2015; in this form Vaswani et al. 2017). The *score* of key $j$ for query $i$ is
$k_j^\top q_i$. Softargmax over the keys (libraries: softmax) turns scores into weights, with inverse temperature
$\beta>0$:

$$A=\text{softargmax}_\beta(K^\top Q),\qquad
A_{ji}=\frac{\exp(\beta\,k_j^\top q_i)}{\sum_{l=1}^{m}\exp(\beta\,k_l^\top q_i)},\qquad
h_i=\sum_{j=1}^{m}A_{ji}\,v_j.$$

So the entries of $A$ are positive, and each column adds up to 1. The output $h_i$ is column $i$ of $H$. With a single
query we write $q$, $a$ and $h$.

**Sizes.** $\lVert x\rVert$ is the Euclidean length. $D_K$ is the largest distance between two keys, $D_V$ between two
values.

**Rules.** Your answers must not use automatic differentiation or PyTorch's own attention; cells that you add may. Other
functions of PyTorch and NumPy are allowed, and so are numerical gradients. Your functions must not change their
arguments. They may return tensors, NumPy arrays or lists of rows.

## 1 · Attention

**Exercise 1.1 · a soft lookup** · 1 point by hand, 2 by machine · ★☆☆, 15 minutes

By hand:

1. What does a column of $A$ tend to as $\beta\to0$? And as $\beta\to\infty$, if one score is largest, or if several
   are?
2. Suppose that all entries of $q$ and $k$ are independent, with mean 0 and variance 1. What is the variance of $k^\top
   q$? Which *convenient* β gives $\beta\,k^\top q$ the variance 1? What goes wrong with $\beta=1$ when $d$ is large?

By machine:

- `attention` returns $H$ and $A$. `beta=None` stands for your convenient β; 0 is a β like any other.
- `attention_shapes` returns a dictionary: (rows, columns) of `"A"` and `"H"`.
- `beta_for_share`: one key's score exceeds those of the $m-1$ others, which are all equal, by `gap`. Return the
  β that gives this key the weight `share`.

<details><summary>Hint</summary>

$k^\top q$ is a sum of $d$ independent terms. Subtracting the same number from all scores changes no weight.

</details>
"""

# %% [markdown] nbgrader={"grade": true, "grade_id": "temperature", "locked": false, "points": 1, "schema_version": 3, "solution": true, "task": false}
r"""
*Your answer here: double-click this line and write.*
"""


# %% nbgrader={"grade": false, "grade_id": "attention-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def attention(Q, K, V, beta=None):
    """Attention of the columns of Q to keys K with values V; beta=None stands for the convenient β.

    Returns a tuple of H and A.
    """
    raise NotImplementedError


def attention_shapes(d, t, n, m):
    """A dictionary from "A" and "H" to pairs of int: rows, columns."""
    raise NotImplementedError


def beta_for_share(gap, m, share):
    """The β that gives a key whose score leads by gap > 0 the weight share (between 1/m and 1); m ≥ 2 keys."""
    raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "attention", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
def _check_attention():
    def check_attention():
        Q, K, V = numbers((5, 3), (5, 4), (2, 4), seed=0)  # d = 5, n = 3, m = 4, t = 2
        before = [part.clone() for part in (Q, K, V)]
        for beta, name in ((None, "your own β"), (0.3, "β = 0.3"), (2.0, "β = 2"), (0.0, "β = 0")):
            H, A = attention(Q, K, V) if beta is None else attention(Q, K, V, beta)
            assert all(map(torch.equal, (Q, K, V), before)), "attention has changed Q, K or V"
            compare(f"A, {name}", A, library_attention(Q, K, torch.eye(4), beta))
            compare(f"H, {name}", H, library_attention(Q, K, V, beta))
        for name, matrix in (("A", A), ("H", H)):
            yours = tuple(attention_shapes(5, 2, 3, 4)[name])
            assert yours == tuple(torch.as_tensor(matrix).shape), f"{name} above has another shape than {yours}"
        for gap, m, share in ((2.0, 5, 0.9), (0.5, 3, 0.4)):
            scores = torch.full((1, m), 7.0)
            scores[0, 1] += gap
            beta = float(beta_for_share(gap, m, share))
            compare(
                f"share {share} of {m} keys", library_attention(torch.ones(1, 1), scores, torch.eye(m), beta)[1, 0], share
            )


    check_attention()


_check_attention()

# %% [markdown] nbgrader={"grade": false, "grade_id": "queries-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
**Exercise 1.2 · one key, or several** · 2 points by hand, 2 by machine · ★★☆, 20 minutes

By hand, **preserving** a value:

1. Under which condition on $k_j$ and the other keys can some $q$ bring the weight of $k_j$ as close to 1 as you like?
   Give three keys, one of which does not meet it.
2. All keys have length 1, and no two are equal. Give a direction and a length of $q$ that give key $j$ a weight of at
   least 0.999.

By hand, **diffusing** values:

3. Name two ways to make $h$ the plain mean of all values without changing $V$.
4. Suppose that the $m$ values are independent, with mean 0 and variance 1 in every entry. What is the variance of an
   entry of their mean? What does that imply for the layers above?

By machine: `preserving_query` and `diffusing_query`, for any β > 0.

<details><summary>Hint</summary>

Only differences of scores matter. With orthonormal keys you can choose each score separately.

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
    """A query (d, 1) that shares the weight equally among some keys: each within 0.001 of 1/len(chosen).

    K (d, m): orthonormal columns; chosen: a list of different column numbers, not empty; beta > 0
    """
    raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "queries", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
def _check_queries():
    def check_queries():
        bundle = torch.cat([torch.ones(1, 7), 0.3 * torch.eye(7)[1:]])
        corners = torch.tensor([[1.0, 1, 1, 1], [1, -1, 1, -1], [1, 1, -1, -1], [1, -1, -1, 1]]) / 2  # orthonormal
        for beta in (0.02, 3.0):
            for name, K in (
                ("random keys", numbers((3, 6), seed=1)[0]),
                ("keys around key 0", bundle),
                ("two near keys, one far away", torch.tensor([[1.0, 1, 0.1], [0, 0.2, -1]])),
            ):
                K = functional.normalize(K, dim=0)
                for j in range(1 if K is bundle else K.shape[1]):
                    q = torch.as_tensor(preserving_query(K, j, beta)).float()
                    assert q.shape == (len(K), 1), f"q should be a column {(len(K), 1)}, yours is {tuple(q.shape)}"
                    weight = float(library_attention(q, K, torch.eye(K.shape[1]), beta)[j])
                    assert weight > 0.99899, f"{name}, β = {beta}: your query gives key {j} only the weight {weight:.4f}"
            print(f"ok  β = {beta}: one key is preserved")
            for K, chosen in ((corners, [3, 0, 2]), (corners[:, :3], [1]), (torch.eye(12), list(range(11)))):
                before, right = list(chosen), torch.zeros(K.shape[1])
                right[chosen] = 1 / len(chosen)
                q = torch.as_tensor(diffusing_query(K, chosen, beta)).float()
                assert chosen == before, "diffusing_query has changed the list of chosen keys"
                assert q.shape == (len(K), 1), f"q should be a column {(len(K), 1)}, yours is {tuple(q.shape)}"
                weights = library_attention(q, K, torch.eye(len(right)), beta)[:, 0]
                compare(f"β = {beta}, {len(chosen)} of {len(right)} keys", weights, right, 1e-3)


    check_queries()


_check_queries()

# %% [markdown] nbgrader={"grade": false, "grade_id": "nudges-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
**Exercise 1.3 · three nudges** · 3 points by hand, 3 by machine · ★★★, 35 minutes

Add noise ε of length $\lVert\varepsilon\rVert\le r$ to *one* column, or make one key longer. How far does $h$ move?

- **A key**, $k_j\to k_j+\varepsilon$. By hand: which columns of $H$ move? Differentiate $h$ with respect to
  $s_j=\beta\,k_j^\top q$. Derive a bound on the move from β, $r$, $\lVert q\rVert$ and $D_V$. By machine:
  `key_noise_bound`, valid for any key.
- **A query**, $q\to q+\varepsilon$. By hand: which columns of $H$ move? Give $\frac{\partial h}{\partial q}$.
  Derive a bound on the move from β, $r$, $D_K$ and $D_V$. By machine: `query_noise_bound`.
- **A longer key**, $k_j\to\alpha k_j$ with $\alpha>1$. By hand: derive the new weight from the old one. What happens if
  $s_j>0$, $s_j=0$, $s_j<0$? What does one very long key do to many queries? By machine: `scale_key`.

A bound must hold for *every* noise, however large $r$ is, and for all keys and values, equal ones included. It must
also be tight: for two keys with equal scores and small $r$, some noise must move $h$ by at least 95 % of the bound.

<details><summary>Hint</summary>

Key: the derivative contains $v_j-h$. Write $h$ as $a_jv_j$ plus $1-a_j$ times the mean of the others. How large can
$a(1-a)$ become? Query: read $a$ as probabilities; then the derivative is a covariance. How large can the standard
deviation of numbers from an interval of length $L$ be?

</details>
"""

# %% [markdown] nbgrader={"grade": true, "grade_id": "nudges-derivation", "locked": false, "points": 3, "schema_version": 3, "solution": true, "task": false}
r"""
*Your answer here: double-click this line and write.*
"""


# %% nbgrader={"grade": false, "grade_id": "nudges-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def key_noise_bound(q, K, V, beta, r):
    """A bound on how far h moves when noise of length up to r hits any one key; a number.

    q (d, 1), K (d, m), V (t, m), m ≥ 2
    """
    raise NotImplementedError


def query_noise_bound(q, K, V, beta, r):
    """A bound on how far h moves when noise of length up to r hits the query; shapes as above."""
    raise NotImplementedError


def scale_key(h, v, a, s, alpha):
    """The new weight and the new output when key j is multiplied by alpha.

    h (t, 1): the old output; v (t, 1): the value of key j; a: its old weight, 0 < a < 1; s: its old β k_jᵀ q

    Returns a tuple of the new weight, a number, and the new output (t, 1).
    """
    raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "nudges", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def _check_nudges():
    def check_nudges():
        q, K, V, noises = numbers((3, 1), (3, 5), (2, 5), (3, 40), seed=7)
        noises = functional.normalize(noises, dim=0)
        for longer, r in ((1, 0.1), (1, 5.0), (20, 40.0)):  # with keys 20 times as long one key has all the weight
            keys = longer * K
            worst = {"a key": max(max(distances_moved(q, keys, V, 0.6, r * noises, j)) for j in range(5))}
            worst["the query"] = max(distances_moved(q, keys, V, 0.6, r * noises))
            for (where, far), bound in zip(worst.items(), (key_noise_bound, query_noise_bound), strict=True):
                yours = float(bound(q, keys, V, 0.6, r))
                assert yours >= 0.999 * far, (
                    f"noise of length {r} on {where} has moved h by {far:.3g}, your bound is {yours:.3g}"
                )
        # Two keys of equal score; then a third column between them, with hardly any weight, comes first or second
        q, K, V = torch.tensor([[0.0], [20]]), torch.tensor([[1.0, -1], [3, 3]]), torch.tensor([[5.0, 7], [2, 1]])
        between = torch.tensor([[0.5, 6.0], [2.5, 1.5]])
        for third in (None, 0, 1):
            order = {None: [0, 1], 0: [2, 0, 1], 1: [0, 2, 1]}[third]
            keys, values = (torch.cat([P, between[:, c : c + 1]], 1)[:, order] for c, P in enumerate((K, V)))
            for where, bound, noise, j in (
                ("a key", key_noise_bound, [[0.0], [0.001]], order.index(0)),
                ("the query", query_noise_bound, [[0.01], [0.0]], None),
            ):
                far, r = max(distances_moved(q, keys, values, 1.5, torch.tensor(noise), j)), max(max(noise))
                reached = far / float(bound(q, keys, values, 1.5, r))
                case = f"{len(order)} keys in a row: noise on {where} moves h by {reached:.0%} of your bound"
                assert reached < 1.01 and (reached > 0.95 or third is not None), case
        print("ok  the bounds hold, and are reached where two scores are equal")
        q, K, V = numbers((3, 1), (3, 4), (2, 4), seed=4)
        h, a = library_attention(q, K, V, 1.5), library_attention(q, K, torch.eye(4), 1.5)
        for j in range(4):
            longer, before, s = K.clone(), h.clone(), 1.5 * float(q[:, 0] @ K[:, j])
            longer[:, j] *= 2.5
            weight, output = scale_key(h, V[:, j : j + 1], float(a[j]), s, 2.5)
            assert torch.equal(h, before), "scale_key has changed h"
            compare(f"weight, s = {s:.2f}", float(weight), library_attention(q, longer, torch.eye(4), 1.5)[j, 0], 1e-3)
            compare(f"h, s = {s:.2f}", output, library_attention(q, longer, V, 1.5), 1e-3)


    check_nudges()


_check_nudges()


# %% nbgrader={"grade": false, "grade_id": "nudges-figure", "locked": true, "schema_version": 3, "solution": false, "task": false} tags=["demo"]
def _figure():
    def draw_nudges():
        _, (left, *axes) = plt.subplots(1, 3, figsize=(12, 3.2))
        scores, betas = [2.0, 1.5, 0.5, 0.0, -1.0], torch.logspace(-2, 1.5, 60)
        curves = torch.cat(
            [library_attention(torch.ones(1, 1), torch.tensor([scores]), torch.eye(5), b) for b in betas.tolist()], 1
        )
        looks = zip(scores, (BLUE, "gray", GREEN, RED, "black"), ("-", "--", "-.", ":", "-"), strict=True)
        for curve, (score, colour, style) in zip(curves, looks, strict=True):
            left.semilogx(betas, curve, style, color=colour, label=f"score {score}")
        left.set(xlabel="β", ylabel="weight", title="Five keys, from mean to argmax")
        mean, most = f"{curves[:, 0].min():.2f} to {curves[:, 0].max():.2f}", f"{curves[0, -1]:.2f}"
        said = [f"The five weights are {mean} at β = {betas[0]:.2g}; the largest score has {most} at β = {betas[-1]:.2g}."]
        q, K, V, noises = numbers((3, 1), (3, 6), (2, 6), (3, 150), seed=5)
        lengths = torch.logspace(-2, 1.3, 150)
        noises = lengths * functional.normalize(noises, dim=0)
        for ax, bound, keys, title in (
            (axes[0], key_noise_bound, range(6), "Noise on a key"),
            (axes[1], query_noise_bound, [None], "Noise on the query"),
        ):
            far = [max(many) for many in zip(*(distances_moved(q, K, V, 1.0, noises, j) for j in keys), strict=True)]
            ax.loglog(lengths, far, ".", color=BLUE, label="moves of h")
            bounds = [float(bound(q, K, V, 1.0, r)) for r in lengths.tolist()]
            ax.loglog(lengths, bounds, color=RED, label="your bound")
            diameter = float(torch.cdist(V.T, V.T).max())
            ax.axhline(diameter, color="black", linestyle=":", label="diameter of the values")
            ax.set(xlabel="length of the noise", ylabel="distance", title=title, ylim=(1e-4, 1e5))
            nearest = (torch.tensor(far) / torch.tensor(bounds)).max()
            said.append(f"{title} moves h by up to {max(far):.2g}, and up to {nearest:.0%} of your bound.")
        for ax in (left, *axes):
            ax.legend(fontsize=8, loc="upper left")
        plt.tight_layout()
        show_figure(f"{' '.join(said)} The values' diameter is {diameter:.2g}.")


    draw_nudges()


_figure()

# %% [markdown] nbgrader={"grade": false, "grade_id": "heads-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
*In the figure, left: the weights of five keys are all 1/5 at small β; at large β the largest score has weight 1. Middle
and right: how far $h$ moves under 150 random noises, against their length; in the middle for the key that moves $h$
most. All dots lie below the line of your bound. For long noise they level off below the dotted diameter: $h$ stays in
the convex hull of the values.*

## 2 · Heads and self-attention

**Exercise 2.1 · heads** · 3 points · ★★☆, 25 minutes

*Many heads* (Vaswani et al. 2017). Head $r$ of $h$ heads has its own projections $W_Q^r,W_K^r,W_V^r$. It attends with
$W_Q^rQ$, $W_K^rK$ and $W_V^rV$, at the β that is convenient for these columns. The outputs are stacked, head 1 on
top, and multiplied by a matrix $W_O$.

*Self-attention.* Queries, keys and values all come from the columns of $C\in\mathbb{R}^{e\times n}$: words, sounds
or patches.

- `multi_head`: the output of several heads.
- `kernel_of_heads`: suppose that the heads are frozen: query $i$ of head $r$ puts all its weight on position
  $i+\delta_r$. Cut $W_O$ into $[\,W_O^1\cdots W_O^h\,]$. Return the kernel of the cross-correlation that the heads now
  compute, for `conv1d` with padding $(k-1)/2$.
- `self_attention`: one head on $C$, without $W_O$.
- `self_attention_shapes`: rows and columns of every matrix when $h$ heads attend to $C$. Queries and keys have $d$
  entries, values have $t$; the output has as many rows as $C$.

<details><summary>Hint</summary>

$W_O$ times a stack is a sum over heads. In a kernel of width 3, which tap reads position $i-1$?

</details>
"""


# %% nbgrader={"grade": false, "grade_id": "heads-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def multi_head(Q, K, V, heads, W_O):
    """Attention with several heads, each a tuple (W_Q, W_K, W_V) of its own sizes; W_O (f, rows of the stack).

    Returns H (f, n).
    """
    raise NotImplementedError


def kernel_of_heads(offsets, W_V, W_O, k):
    """The kernel (f, e, k) of heads that look at fixed places; k is odd.

    offsets: head r looks at position i + offsets[r], from −(k−1)/2 to (k−1)/2
    W_V: a list of matrices (t, e); W_O: a list of matrices (f, t)
    """
    raise NotImplementedError


def self_attention(C, W_Q, W_K, W_V, beta=None):
    """One head of self-attention on the columns of C; beta=None is the convenient β. Returns a tuple of H and A."""
    raise NotImplementedError


def self_attention_shapes(e, d, t, h, n):
    """A dictionary to pairs of int: rows, columns.

    Of each head "W_Q", "W_K", "W_V", "Q", "K", "V" and "A"; of all heads together "stack", "W_O" and "H".
    """
    raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "heads", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def _check_heads():
    def check_heads():
        Q, K, V, W_O = numbers((6, 3), (5, 4), (7, 4), (5, 6), seed=6)
        compare("attention, exercise 1.1", attention(Q, Q, Q)[0], library_attention(Q, Q, Q))
        heads = [numbers((d, 6), (d, 5), (t, 7), seed=d) for d, t in ((3, 4), (1, 2))]  # two heads of different sizes
        parts = [library_attention(W_Q @ Q, W_K @ K, W_V @ V) for W_Q, W_K, W_V in heads]
        compare("two heads", multi_head(Q, K, V, heads, W_O), W_O @ torch.cat(parts))
        C, *W = numbers((2, 9), (3, 2), (3, 2), (3, 2), (4, 3), (4, 3), (4, 3), seed=10)
        offsets, W_V, W_O = [1, -2, 1], W[:3], W[3:]
        kernel = torch.as_tensor(kernel_of_heads(offsets, W_V, W_O, 5)).float()
        assert kernel.shape == (4, 2, 5), f"the shape {tuple(kernel.shape)} of your kernel is not that of the docstring"
        right = sum(W_O[r] @ W_V[r] @ functional.pad(C, (2, 2))[:, 2 + offsets[r] : 11 + offsets[r]] for r in range(3))
        compare("three heads as a kernel", functional.conv1d(C, kernel, padding=2), right)
        C, W_Q, W_K, W_V, W_O = numbers((4, 6), (3, 4), (3, 4), (2, 4), (4, 10), seed=10)
        for beta, name in ((None, "β left out"), (0.3, "β = 0.3"), (0.0, "β = 0")):
            H, A = map(torch.as_tensor, self_attention(C, W_Q, W_K, W_V, beta))
            compare(f"H of C, {name}", H, library_attention(W_Q @ C, W_K @ C, W_V @ C, beta))
            compare(f"A of C, {name}", A, library_attention(W_Q @ C, W_K @ C, torch.eye(6), beta))
        made = {"W_Q": W_Q, "W_K": W_K, "W_V": W_V, "Q": W_Q @ C, "K": W_K @ C, "V": W_V @ C, "A": A}
        made |= {"stack": torch.cat([H] * 5), "W_O": W_O, "H": C}  # five heads; the output is as large as C
        for name, matrix in made.items():
            yours = tuple(self_attention_shapes(4, 3, 2, 5, 6)[name])
            assert yours == tuple(matrix.shape), f"e = 4, d = 3, t = 2, h = 5, n = 6: {name} is not {yours[0]} × {yours[1]}"


    check_heads()


_check_heads()

# %% [markdown] nbgrader={"grade": false, "grade_id": "places-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
**Exercise 2.2 · places** · 1 point · ★★☆, 10 minutes

If you permute the columns of $C$, the columns of $H$ are permuted in the same way, and nothing else changes. So where
order matters, every column needs a code for its place.

`position_codes` returns codes $p_1,\dots,p_n\in\mathbb{R}^e$, and `step_matrix` one matrix $R$ with
$R\,p_i=p_{i+1}$ for every $i$. Entries must lie from −1 to 1, and any two codes at least 0.05 apart (Euclidean), for
every even $e\ge2$ and every $n\le40$.

<details><summary>Hint</summary>

Which linear maps can you apply again and again without growth or decay? Think of the hands of a clock.

</details>
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
            assert P.shape == (e, n), f"{n} codes of {e} entries: the shape {tuple(P.shape)} is not (e, n)"
            compare(f"R p, n = {n}, e = {e}", R @ P[:, :-1], P[:, 1:])
            assert P.abs().max() <= 1.001, f"n = {n}, e = {e}: an entry of a code exceeds 1"
            apart = float((torch.cdist(P.T, P.T) + 9 * torch.eye(n)).min())
            assert apart >= 0.05, f"n = {n}, e = {e}: two codes are only {apart:.3f} apart"


    check_places()


_check_places()

# %% [markdown] nbgrader={"grade": false, "grade_id": "machines-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
**Exercise 2.3 · identity, permutation, shift** · 2 points · ★★☆, 10 minutes

The simplest codes: place $i$ has a 1 in entry $i$. Put them below the content, whose entries lie from −1 to 1:

$$X=\begin{bmatrix}C\\I_n\end{bmatrix}\in\mathbb{R}^{(e+n)\times n}.$$

Write three heads $W_Q,W_K,W_V$ with any $d$. Self-attention on $X$ at $\beta=1/\sqrt d$ must return, up to 0.01,
for every content and every $n\le100$:

- `identity_projections`: $C$ itself;
- `permutation_projections`: the columns of $C$ in a given order;
- `shift_projections`: each column's left neighbour. The first column may be anything.

**Exercise 2.4 · a convolution** · 2 points · ★★★, 15 minutes

Now the places lie on a circle, so the last is next to the first, and have two entries:

$$X=\begin{bmatrix}C\\P\end{bmatrix}\in\mathbb{R}^{(e+2)\times n},\qquad
p_i=\begin{bmatrix}\cos(2\pi i/n)\\\sin(2\pi i/n)\end{bmatrix}.$$

`convolution_heads` returns heads whose outputs *add up* to the circular cross-correlation of $C$ with a kernel
$W\in\mathbb{R}^{f\times e\times k}$, $k$ odd: column $i$ is $\sum_{\delta}W_\delta\,c_{i+\delta}$ over
$\delta=-\frac{k-1}{2},\dots,\frac{k-1}{2}$, and places wrap around. Again
$\beta=1/\sqrt d$. The sum must be right up to 1 % of its largest entry, for every $n\le200$. (For pictures:
Cordonnier et al. 2020.)

<details><summary>Hint</summary>

Give query $i$ and key $j$ the same code if $i$ should look at $j$, and recall from 1.2 how long a query must be. How
much smaller is the cosine at the next place on the circle?

</details>
"""


# %% nbgrader={"grade": false, "grade_id": "machines-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def permutation_projections(order, e):
    """W_Q, W_K, W_V with which column i of H is column order[i] of C; order is a list of n numbers, counted from 0.

    Returns a tuple of matrices (d, e + n), (d, e + n), (e, e + n).
    """
    raise NotImplementedError


def identity_projections(e, n):
    """The same, with H = C."""
    raise NotImplementedError


def shift_projections(e, n):
    """The same, with column i − 1 of C in column i of H, for i from 1 to n − 1 counted from 0."""
    raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "machines", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
def _check_machines():
    def check_machines():
        short, long = torch.tensor([[1.0, -1, 0.5, 0, 0.25], [-1, -1, 1, 1, 0]]), numbers((3, 100), seed=11)[0].tanh()
        for C, order in ((short, [2, 0, 4, 1, 3]), (long, [*range(45, 100), *range(45)])):
            (e, n), X = C.shape, with_places(C)
            compare(f"identity, n = {n}", run_head(X, identity_projections(e, n)), C, 5e-3)
            compare(f"permutation, n = {n}", run_head(X, permutation_projections(order, e)), C[:, order], 5e-3)
            compare(f"shift, n = {n}", run_head(X, shift_projections(e, n))[:, 1:], C[:, :-1], 5e-3)


    check_machines()


_check_machines()


# %% nbgrader={"grade": false, "grade_id": "convolution-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def convolution_heads(W, n):
    """Heads for a kernel W (f, e, k) on n ≥ k places, n ≥ 2.

    Returns a list of tuples W_Q (d, e + 2), W_K (d, e + 2), W_V (f, e + 2).
    """
    raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "convolution", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
def _check_convolution():
    def check_convolution():
        for n, k in ((4, 3), (9, 3), (12, 5), (40, 1), (200, 3)):
            C, W = numbers((3, n), (2, 3, k), seed=n)
            side = (k - 1) // 2
            right = functional.conv1d(torch.cat([C[:, n - side :], C, C[:, :side]], dim=1), W)  # on a circle
            yours = sum(run_head(torch.cat([C, ring(n)]), head) for head in convolution_heads(W, n))
            compare(f"kernel {k}, {n} places", yours, right, 5e-3)


    check_convolution()


_check_convolution()


# %% nbgrader={"grade": false, "grade_id": "machines-figure", "locked": true, "schema_version": 3, "solution": false, "task": false} tags=["demo"]
def _figure():
    def draw_machines():
        n, order = 8, [5, 2, 7, 0, 4, 1, 6, 3]
        on_ring, with_codes = torch.cat([torch.zeros(1, n), ring(n)]), with_places(torch.zeros(1, n))
        maps = {
            "identity": head_map(with_codes, identity_projections(1, n)),
            "permutation": head_map(with_codes, permutation_projections(order, 1)),
            "shift": head_map(with_codes, shift_projections(1, n)),
        }
        heads = convolution_heads(torch.ones(1, 1, 3), n)
        maps |= {f"kernel, head {number}": head_map(on_ring, head) for number, head in enumerate(heads, 1)}
        W_Q, W_K, W_V = (torch.as_tensor(matrix).float() for matrix in heads[0])
        largest = (on_ring.T @ W_K.T @ W_Q @ on_ring).abs().max() / math.sqrt(len(W_Q))
        maps["head 1, short queries"] = head_map(on_ring, (2 / largest * W_Q, W_K, W_V))
        _, axes = plt.subplots(1, len(maps), figsize=(12, 2.3))
        said = []
        for ax, (title, A) in zip(axes, maps.items(), strict=True):
            draw_map(ax, A, title)
            ax.title.set_fontsize(8)
            ax.label_outer()
            said.append(f"{title}: {' '.join(map(str, A.argmax(0).tolist()))}, {A.max(0).values.min():.2g}")
        show_figure(f"The strongest key of queries 0 to 7, and the least of their weights: {'; '.join(said)}.")


    draw_machines()


_figure()

# %% [markdown] nbgrader={"grade": false, "grade_id": "live-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
*In the figure: seven maps, eight keys down and eight queries across. The identity is the diagonal, the permutation has
one dark square in each row and column, and the shift is the diagonal moved one step up. The three heads of the kernel
are, in any order, the diagonal one step up, in place, and one step down. With short queries head 1 is blurred.*

**Exercise 2.5 · live** · 1 point · ★★☆, 10 minutes

A stack of $L$ self-attention layers transcribes live speech. Position $i$ may see positions $i-b$ to $i+a$, with `back`
$=b$ and `ahead` $=a$. `live_mask` returns this mask. `live_reach` returns how many frames of the *input*, back and
ahead, an output depends on after $L$ layers. The reach ahead is the delay.

<details><summary>Hint</summary>

Follow one path through two layers, as far as it can go.

</details>

**Exercise 2.6 · four answers** · 5 points by hand, below the check of 2.5 · ★★☆, 25 minutes

1. **Heads** (1½). Write attention with $h$ heads as a formula, from $Q$, $K$, $V$ to $H$. In a network of convolutions,
   what corresponds to a head, to the stack, and to $W_O$? What does a filter fix that a head chooses anew for each
   input?
2. **Places** (1½). Why does self-attention not see the order of its columns? Where does an *absolute* code enter the
   equations, and where does a *relative* one (Shaw et al. 2018)? Name a task that suits absolute places and one that
   suits relative places, each with a reason.
3. **Convolution** (1). In 2.4, what is the score of key $j$ for query $i$, and how must the length of the queries grow
   with $n$? These heads are a convolution. What can heads do in general that no convolution can?
4. **Live** (1). In live transcription, what may each frame see, and how can training still be parallel? What need not
   be recomputed when the next frame arrives?
"""


# %% nbgrader={"grade": false, "grade_id": "live-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def live_mask(n, back, ahead):
    """A matrix (n, n) of bool, keys × queries: True where the query may see the key."""
    raise NotImplementedError


def live_reach(layers, back, ahead):
    """How many frames back and how many ahead the output of a stack of layers depends on; a pair of int."""
    raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "live", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
def _check_live():
    def check_live():
        right = [[1, 1, 1, 0, 0], [1, 1, 1, 1, 0], [0, 1, 1, 1, 1], [0, 0, 1, 1, 1], [0, 0, 0, 1, 1]]
        compare("back 2, ahead 1", live_mask(5, 2, 1), right)
        mask = torch.as_tensor(live_mask(20, 3, 2))
        assert mask.dtype == torch.bool, f"the entries of the mask should be bool, yours are {mask.dtype}"
        for layers in (1, 2, 3):
            frames = (mask.double().matrix_power(layers)[:, 10] > 0).nonzero()[:, 0] - 10  # that reach output 10
            yours = tuple(live_reach(layers, 3, 2))
            case = f"back 3, ahead 2: {layers} layers with your mask do not reach {yours}"
            assert yours == (-int(frames[0]), int(frames[-1])), case
        print("ok  the reach of one, two and three layers")


    check_live()


_check_live()

# %% [markdown] nbgrader={"grade": true, "grade_id": "self-attention-words", "locked": false, "points": 5, "schema_version": 3, "solution": true, "task": false}
r"""
*Your answer here: double-click this line and write.*
"""

# %% [markdown] nbgrader={"grade": false, "grade_id": "lookup-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
## 3 · The transformer

**Exercise 3.1 · what came next last time?** · 2 points · ★★★, 15 minutes

After *abracadabr* you would bet on *a*, because the earlier *r* was followed by an *a*. Trained transformers contain
heads that predict in this way (*induction heads*, Olsson et al. 2022). It takes two heads. The first is your shift: it
brings to each column the letter to its left. So the second one reads

$$X=\begin{bmatrix}C\\B\end{bmatrix}\in\mathbb{R}^{2e\times n},\qquad
c_i\text{ one-hot: the letter at place }i,\qquad b_i=c_{i-1},\quad b_1=0.$$

`lookup_projections` returns the second head. It is *causal*: place $i$ sees only places $j\le i$. If the letter at $i$
has occurred earlier, column $i$ of $H$ must be the mean of the letters that followed it then, up to 0.01. Other columns
may be anything. Texts have up to 300 letters, at most 60 of them different.

<details><summary>Hint</summary>

Complete the sentence: "I am an *r*, and I look for a place that …". The first half is the query, the second the key.

</details>
"""


# %% nbgrader={"grade": false, "grade_id": "lookup-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def lookup_projections(e):
    """A tuple W_Q, W_K (d, 2e), W_V (e, 2e) of a head that looks up what came next; e counts the different letters."""
    raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "lookup", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
def _check_lookup():
    def check_lookup():
        texts = {"abracadabr": {"a": 1}, "to be or not to b": {"e": 1}, "xaxbxaxax": {"a": 3 / 4, "b": 1 / 4}}
        texts["the quick brown fox jumps over the lazy dog, as you f"] = {"o": 1}
        for text, expected in texts.items():
            (X, alphabet), n = letters_with_left(text), len(text)
            causal = torch.ones(n, n).triu().bool()  # keys × queries: key j ≤ query i
            H = run_head(X, lookup_projections(len(alphabet)), causal)
            compare(text[-17:], H[:, -1], torch.tensor([expected.get(letter, 0.0) for letter in alphabet]), 5e-3)


    check_lookup()


_check_lookup()


# %% nbgrader={"grade": false, "grade_id": "lookup-figure", "locked": true, "schema_version": 3, "solution": false, "task": false} tags=["demo"]
def _figure():
    def draw_lookup():
        text = "abracadabra"
        (X, alphabet), head = letters_with_left(text), lookup_projections(5)
        causal = torch.ones(11, 11).triu().bool()
        _, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6))
        A, H = head_map(X, head, causal), run_head(X, head, causal)
        draw_map(left, A, "Which letter looks at which", "key: letter seen", "query: letter now")
        draw_map(right, H, "What comes next", "letter", "letter now")
        for ax, table in ((left, A), (right, H)):
            ax.set_xticks(range(11), text)
            for row, column in (table > 0.05).nonzero().tolist():
                share = float(table[row, column])
                ink = "white" if share > 0.75 else "black"
                ax.text(column, row, f"{share:.2g}", size=6, ha="center", va="center", color=ink)
        left.set_yticks(range(11), text)
        right.set_yticks(range(5), alphabet)
        said = []
        for letter, seen, next_one in zip(text, A.T, H.T, strict=True):
            keys = "".join(text[key] for key in range(11) if seen[key] > 0.05)
            said.append(f"{letter} sees {keys}: {alphabet[next_one.argmax()]} {next_one.max():.2g}")
        show_figure(f"Each letter, the letters it looks at, and the likeliest next with its weight: {'; '.join(said)}.")


    draw_lookup()


_figure()

# %% [markdown] nbgrader={"grade": false, "grade_id": "columns-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
*In the figure: the text abracadabra along both axes of the left map. A letter that is new looks equally at all places
up to its own. The second a looks at the first b; the fifth a looks at both b's, at c and at d. Right, what the head
expects next: at the second a it is sure of b, at the second r of a.*

**Exercise 3.2 · exclusive or, twice** · 2 points · ★★☆, 15 minutes

For bits $x_1,x_2\in\{0,1\}$, the exclusive or is 1 if exactly one of them is 1, and 0 otherwise. Build it twice, up to
0.01:

- `xor_network`: the feed-forward network of a transformer block, $F(x)=W_2\,\text{ReLU}(W_1x+b_1)+b_2$, which
  acts on each column by itself. Here it has two inputs, one output and any width $w$.
- `xor_head`: one head with $\beta=1/\sqrt d$, any $d$, and no ReLU. It reads the column of the bits and a constant
  token; the last two rows of $X$ mark which is which. Column 1 of $H\in\mathbb{R}^{1\times2}$ must be the exclusive or;
  column 2 may be anything:

$$X=\begin{bmatrix}x_1&0\\x_2&0\\1&0\\0&1\end{bmatrix}.$$

<details><summary>Hint</summary>

Network: which function of the sum of the bits do you need? Head: a score is a product of two
linear functions of the bits. Which product is the same for (0, 0) and (1, 1)?

</details>

**Exercise 3.3 · layer norm and its Jacobian** · 2 points · ★★★, 15 minutes

Layer norm (Ba et al. 2016) acts on each column $x\in\mathbb{R}^e$ by itself; here without scale and shift:

$$\hat x=\frac{x-\mu\mathbf{1}}{\sigma},\qquad\mu=\frac1e\sum_{c=1}^ex_c,\qquad
\sigma=\sqrt{\frac1e\sum_{c=1}^e(x_c-\mu)^2+\epsilon}.$$

Write `layer_norm`, and `layer_norm_jacobian` as a formula for $\frac{\partial\hat x}{\partial x}$. Row $i$ belongs to
$\hat x_i$.

<details><summary>Hint</summary>

Which matrix turns $x$ into $x-\mu\mathbf{1}$? For $1/\sigma$, differentiate $\sigma^2$ first.

</details>
"""


# %% nbgrader={"grade": false, "grade_id": "columns-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def xor_network():
    """W1 (w, 2), b1 (w, 1), W2 (1, w), b2 (1, 1) of a feed-forward network that computes exclusive or; a tuple."""
    raise NotImplementedError


def xor_head():
    """W_Q (d, 4), W_K (d, 4), W_V (1, 4) of a head that computes exclusive or; a tuple."""
    raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "columns", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
def _check_columns():
    def check_columns():
        bits = torch.tensor([[0.0, 0, 1, 1], [0, 1, 0, 1]])
        W1, b1, W2, b2 = (torch.as_tensor(part).float() for part in xor_network())
        shapes, w = [tuple(part.shape) for part in (W1, b1, W2, b2)], len(W1)
        assert shapes == [(w, 2), (w, 1), (1, w), (1, 1)], f"your W1, b1, W2, b2 have the shapes {shapes}"
        found = (W2 @ torch.relu(W1 @ bits + b1) + b2)[0]
        heads = [run_head(torch.tensor([[x, 0], [y, 0], [1, 0], [0, 1]]), xor_head()) for x, y in bits.T.tolist()]
        for name, outputs in (("network", found), ("head", [H[0, 0] for H in heads])):
            for (x, y), output in zip(bits.T.tolist(), outputs, strict=True):
                assert abs(float(output) - (x != y)) < 0.01, (
                    f"for the bits {x:.0f}, {y:.0f} your {name} returns {output:.3f}"
                )
            print(f"ok  exclusive or by a {name}")


    check_columns()


_check_columns()


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
        X = 3 * numbers((5, 3), seed=12)[0] + 7
        before = X.clone()
        for eps in (1e-5, 0.5):
            compare(f"layer norm, ε = {eps}", layer_norm(X, eps), functional.layer_norm(before.T, (5,), eps=eps).T)
        assert torch.equal(X, before), "layer_norm has changed X"
        for spread, offset, eps in (
            (1.0, 0.0, 1e-5),
            (1.0, 30.0, 1e-5),
            (10.0, 0.0, 1e-5),
            (1e-3, 0.0, 1e-5),
            (1.0, 0.0, 0.5),
        ):
            x = spread * functional.normalize(before[:, 1:2] - before[:, 1:2].mean(), dim=0) * 5**0.5 + offset
            measured = torch.autograd.functional.jacobian(lambda x, eps=eps: functional.layer_norm(x.T, (5,), eps=eps).T, x)
            yours = torch.as_tensor(layer_norm_jacobian(x, eps)).float()
            compare(f"∂x̂/∂x, ε = {eps}", yours, measured.reshape(5, 5), 1e-3)
            size = float(torch.linalg.matrix_norm(yours, 2))
            print(f"    spread {spread}, length {float(x.norm()):.3g}: its largest singular value is {size:.3g}")


    check_norm()


_check_norm()

# %% [markdown] nbgrader={"grade": false, "grade_id": "roads-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
**Exercise 3.4 · what does it cost?** · 3½ points · ★★☆, 20 minutes

Count *multiplications* inside matrix products only: a product $(r\times c)(c\times w)$ takes $rcw$. Nothing
else counts.

`compare_layers`: $n$ columns of $e$ numbers go into one layer, and as many come out.

- `"recurrent"`: $h[t]=\tanh(Wh[t-1]+Ux[t])$, $h[0]=0$;
- `"convolution"`: width $k$ (odd, at least 3), zero padding that keeps the length;
- `"attention"`: one head of self-attention with $d=t=e$, without $W_O$.

For each, return a tuple:

1. the multiplications; products with padding and with $h[0]$ count;
2. the *steps*: how many columns must be computed one after another, which is 1 if no column waits for another;
3. the *path*: the smallest number of passes through the layer's formula that brings information from column 1 to column
   $n$. Count recurrent steps, from the one that reads column 1 to the one that reads column $n$, both included; for the
   other two, stacked layers.

`multi_head_counts`: parameters and multiplications of self-attention with $h$ heads on $n$ columns of $e$ numbers.
Queries, keys and values of a head have $d$ entries. All projections and $W_O$ have biases.

`block_counts`: the same for a block: $h$ heads with $d=e/h$; a feed-forward network from $e$ to $w$ to $e$ entries
with both biases; two layer norms, each with a scale and a shift for every entry.

<details><summary>Hint</summary>

How far does one layer of convolution carry information?

</details>
"""


# %% nbgrader={"grade": false, "grade_id": "roads-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def compare_layers(n, e, k):
    """A dictionary from the three names to tuples (multiplications, steps, path) of int; n ≥ 2."""
    raise NotImplementedError


def multi_head_counts(e, h, d, n):
    """Parameters and multiplications of multi-head self-attention; a pair of int."""
    raise NotImplementedError


def block_counts(e, h, w, n):
    """Parameters and multiplications of one block on n columns; a pair of int. h divides e."""
    raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "roads", "locked": true, "points": 3.5, "schema_version": 3, "solution": false, "task": false}
def _check_roads():
    def check_roads():
        right = {"recurrent": (72, 4, 4), "convolution": (180, 1, 2), "attention": (204, 1, 1)}
        for name, three in right.items():
            for what, count, yours in zip(
                ("multiplications", "steps", "path"), three, compare_layers(4, 3, 5)[name], strict=True
            ):
                assert yours == count, f"{name}, n = 4, e = 3, k = 5: {what}: {yours} is not right"
        for n, k in ((2, 3), (5, 3), (6, 5), (8, 7), (9, 7)):
            path, wave = int(compare_layers(n, 4, k)["convolution"][2]), torch.eye(1, n)[None]
            for layer in range(path + 1):
                assert (wave[0, 0, -1] > 0) == (layer == path), (
                    f"n = {n}, k = {k}: a path of {path} layers is not the shortest"
                )
                wave = functional.conv1d(wave, torch.ones(1, 1, k), padding=(k - 1) // 2)
        for name, made, yours in (
            ("attention", torch.nn.MultiheadAttention(12, 3), multi_head_counts(12, 3, 4, 5)),
            ("block", torch.nn.TransformerEncoderLayer(12, 3, 20), block_counts(12, 3, 20, 5)),
        ):
            count = sum(parameter.numel() for parameter in made.parameters())
            assert yours[0] == count, f"e = 12, h = 3, d = 4, w = 20: PyTorch's {name} does not have {yours[0]} parameters"
        assert multi_head_counts(3, 2, 4, 5)[0] == 123, "e = 3, h = 2, d = 4: your number of parameters is not right"
        assert multi_head_counts(3, 2, 4, 5)[1] == 880, "e = 3, h = 2, d = 4, n = 5: your multiplications are not right"
        assert block_counts(6, 3, 5, 4)[1] == 1008, "e = 6, h = 3, w = 5, n = 4: a block's multiplications are not right"
        for heads, d in ((1, 64), (8, 8), (8, 64)):
            costs = " ".join(f"{multi_head_counts(64, heads, d, n)[1]:>15,}" for n in (16, 256, 4096))
            print(f"h = {heads}, d = {d:2}, e = 64; multiplications for n = 16, 256, 4096: {costs}")


    check_roads()


_check_roads()

# %% [markdown] nbgrader={"grade": false, "grade_id": "transformer-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
**Exercise 3.5 · five answers** · 5 points by hand · ★★☆, 25 minutes

Two to four sentences each.

1. **Recurrent seq2seq** (Sutskever et al. 2014). Name two advantages of a transformer over a recurrent encoder and
   decoder, and one cost.
2. **Self-attention.** What does each column receive, and what decides the weights? How do the attention of an encoder,
   of a decoder over its own past, and of a decoder over the encoder differ?
3. **Several heads.** What can two heads do that one cannot? Why do $h$ heads of $d=e/h$ cost no more than one head of
   $e$?
4. **Feed-forward.** Why is it called position-wise, and which convolution is it? What does it add? Is attention linear
   on an isolated column? For fixed weights $A$? In general? What does your `xor_head` show?
5. **Stability.** Name two techniques that keep gradients in deep transformers from exploding or vanishing. For
   each, say where it acts and what it does. What does the layer norm of 3.3 do to a gradient where the entries of $x$
   are widely spread?

<details><summary>Hint</summary>

4: which part of $H=VA$ depends on the content, and how? 5: the check of 3.3 prints what you need.

</details>
"""

# %% [markdown] nbgrader={"grade": true, "grade_id": "transformer-words", "locked": false, "points": 5, "schema_version": 3, "solution": true, "task": false}
r"""
*Your answer here: double-click this line and write.*
"""

# %% [markdown] nbgrader={"grade": false, "grade_id": "patches-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
## 4 · Pictures

A vision transformer (ViT, Dosovitskiy et al. 2021) treats patches of $p\times p$ pixels as words.

**Exercise 4.1 · patches** · 2 points · ★★☆, 20 minutes

- `patch_kernel`: a patch with $C$ channels is flattened by `reshape(-1)` of $(C,p,p)$ and multiplied by $E$. Return
  the kernel with which `conv2d` at stride $p$ does this to all patches.
- `receptive_field`: the width in pixels of the input on which one unit of a CNN's last layer depends.
- `vit_parameters`: a dictionary. `"patches"`: $E$ and a bias. `"class token"`: one learned column before the
  patches. `"positions"`: a learned column for every place, the class token's included. `"blocks"`: all blocks, as in
  3.4. `"head"`: a last layer norm (scale and shift) and a linear layer with a bias from $e$ to the classes.
- `vit_multiplications`, counted as in 3.4: those of the patch embedding, the blocks, and the last linear layer, which
  reads only the class token's column.

**Exercise 4.2 · class token and data** · 2 points · ★★☆, 10 minutes

The columns are the class token, marked by a 1 in the last row, and $n$ patches:

$$X=\begin{bmatrix}c&x_1&\cdots&x_n\\1&0&\cdots&0\end{bmatrix}\in\mathbb{R}^{(e+1)\times(n+1)}.$$

`pooling_projections` returns a head whose output *at the class token* is the mean of the patches, up to 0.01, whatever
$c$ is. Entries of $X$ are from −1 to 1, $e\le60$, and the same head must work for every $n\le200$.

`data_regimes` is the set of all letters that are true:

- **A** Trained from scratch on a few thousand labelled pictures, a CNN usually beats a ViT of the same size.
- **B** A ViT needs more data because it always has more parameters than a CNN.
- **C** A convolution assumes that neighbours belong together and that places are alike. A ViT must learn most of this.
- **D** With very large training sets a ViT matches CNNs or beats them.
- **E** Pretrained on many pictures and fine-tuned on few, a ViT usually beats the same ViT trained on the few alone.
- **F** Augmentation is useless for a ViT, because its position embeddings change with the picture.
- **G** From one million labelled pictures alone, no ViT can learn to compete with CNNs.

<details><summary>Hint</summary>

4.1: a layer adds its kernel size minus one, counted in units of the layer below. How many pixels apart are those units?
4.2: which row of $X$ marks the class token?

</details>
"""


# %% nbgrader={"grade": false, "grade_id": "patches-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def patch_kernel(E, channels, p):
    """The kernel (e, channels, p, p) of the convolution that multiplies every flattened patch by E (e, channels·p²)."""
    raise NotImplementedError


def receptive_field(layers):
    """Width in pixels of what one unit of the last layer sees; an int.

    layers: a list of pairs (kernel, stride), first layer first
    """
    raise NotImplementedError


def vit_parameters(image_size, p, channels, e, w, layers, classes):
    """Parameters of a ViT for square pictures, p divides image_size: a dictionary from the five names to int.

    The number of heads does not matter.
    """
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
        for layers, width in (([(3, 1)], 3), ([(3, 2), (3, 1)], 7), ([(5, 2), (3, 3), (2, 1)], 15)):
            before = list(layers)
            yours = receptive_field(layers)
            assert layers == before, "receptive_field has changed the list of layers"
            assert yours == width, f"layers {layers}, first layer first: one unit does not see {yours} pixels"
        assert tuple(block_counts(6, 1, 5, 5)) == (263, 1320), "first correct block_counts, exercise 3.4"
        parts = {"patches": 294, "class token": 6, "positions": 60, "blocks": 526, "head": 61}
        for name, count in parts.items():
            yours = vit_parameters(12, 4, 3, 6, 5, 2, 7)[name]
            assert yours == count, (
                f"pictures of 12 × 12, p = 4, 3 channels, e = 6, w = 5, 2 blocks, 7 classes: {name}: not {yours}"
            )
        yours = vit_multiplications(12, 4, 3, 6, 5, 2, 7)
        assert yours == 9114, f"the same ViT does not take {yours:,} multiplications"
        sizes = (224, 16, 3, 768, 3072, 12, 1000)  # ViT-B/16
        counts = vit_parameters(*sizes)
        print("ok  ViT-B/16:", ", ".join(f"{name} {count:,}" for name, count in counts.items()))
        print(f"    {sum(counts.values()):,} parameters, {vit_multiplications(*sizes):,} multiplications")


    check_patches()


_check_patches()


# %% nbgrader={"grade": false, "grade_id": "token-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def pooling_projections(e):
    """A tuple W_Q, W_K (d, e + 1), W_V (e, e + 1): a head whose class token receives the mean of the patches."""
    raise NotImplementedError


# data_regimes = {"…", …}
raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "token", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
def _check_token():
    def check_token():
        X = torch.tensor([[1.0, 0.5, 0.25, -1.0, 0.75], [-1.0, 0.0, 1.0, 0.5, -0.5], [1.0, 0, 0, 0, 0]])
        compare("mean of 4 patches", run_head(X, pooling_projections(2))[:, 0], X[:2, 1:].mean(1), 5e-3)
        X = torch.cat([torch.ones(60, 1), torch.linspace(-1, 1, 60)[:, None]], 1)
        X = torch.cat([X, torch.tensor([[1.0, 0.0]])])
        compare("a single patch", run_head(X, pooling_projections(60))[:, 0], X[:60, 1], 5e-3)
        letters = {str(letter).strip().upper() for letter in data_regimes}
        assert letters and letters <= set("ABCDEFG"), "data_regimes is a set of letters from A to G"
        print("ok  a set of letters; the grader checks which of them are true")


    check_token()


_check_token()

# %% [markdown] nbgrader={"grade": false, "grade_id": "prediction-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
**Prediction** · ½ point by machine · 2 minutes

In ViT-B/16 ($e=768$, $w=4e$) a picture of 224 × 224 pixels becomes 197 columns. What share of a block's multiplications
do the scores $K^\top Q$ and the means $VA$ take together?

- **A** less than a tenth;
- **B** between a tenth and a half;
- **C** more than a half.

Any of the three earns the ½ point: what counts is that you commit before you look.
"""

# %% nbgrader={"grade": false, "grade_id": "share-prediction", "locked": false, "schema_version": 3, "solution": true, "task": false}
# share_prediction = "…"   # "A", "B" or "C"
raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "prediction", "locked": true, "points": 0.5, "schema_version": 3, "solution": false, "task": false}
def _check_prediction():
    assert str(share_prediction).strip().upper() in ("A", "B", "C"), "share_prediction is one letter: A, B or C"
    print("ok  a prediction; now look at the figure")


_check_prediction()


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
        sides = [64, 128, 224, 384, 768, 1536, 3072]
        tokens = [(side // 16) ** 2 + 1 for side in sides]
        shares = [100 * 2 * n * n * 768 / block_counts(768, 12, 3072, n)[1] for n in tokens]
        right.semilogx(sides, shares, color=BLUE, marker="o")
        right.axhline(50, color="black", linestyle=":")
        right.set(xlabel="side of the picture in pixels, patches of 16", ylabel="percent", ylim=(0, 100))
        right.set_title("Scores and means: share of a block")
        right.set_xticks(sides, sides)
        right.minorticks_off()
        seen = "; ".join(f"{label}: {widths[0]} and {min(widths[-1], 224)}" for label, (widths, *_) in networks.items())
        listed = ", ".join(f"{share:.2g} % at {side}" for share, side in zip(shares, sides, strict=True))
        show_figure(f"Pixels that one unit sees after 1 and 12 layers: {seen}. Scores and means take {listed} pixels.")


    draw_pictures()


_figure()

# %% [markdown] nbgrader={"grade": false, "grade_id": "pictures-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
*In the figure, left: a stack of 3×3 convolutions (circles) sees two pixels more with each layer. With a stride of 2 in
every second layer (squares) a unit sees the whole picture after twelve layers; in a ViT (triangles), after one. Right:
which share of a block's multiplications scores and means take.*

**Exercise 4.3 · five answers** · 4 points by hand · ★★☆, 18 minutes

1. **The figure** (½). In one or two sentences: what does the right panel show, and what causes it? A wrong prediction
   costs nothing.
2. **Against CNNs** (½). How do a ViT's block and a CNN's layer differ in what they see and what their weights depend
   on? Where does a ViT contain a convolution?
3. **Position embeddings** (2). The original transformer adds fixed sines and cosines of the place number; ViT learns a
   column for every place. What does each of them store, and for which lengths or picture sizes is it defined? Why can
   ViT afford to learn its codes, and why can it do without a two-dimensional code? What do you do when pictures become
   larger? Without any codes, what would go unnoticed?
4. **Class token** (½). Follow it from the input to the classes. What happens to the patches' columns in the end?
5. **Data** (½). Why does a ViT trained from scratch need more pictures than a CNN? Name a remedy.
"""

# %% [markdown] nbgrader={"grade": true, "grade_id": "pictures-words", "locked": false, "points": 4, "schema_version": 3, "solution": true, "task": false}
r"""
*Your answer here: double-click this line and write.*
"""

# %% [markdown] nbgrader={"grade": false, "grade_id": "closing", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
You have wired attention by place and by content. The notebook *transformer* trains the same parts.

**Sources.** Ba, Kiros, Hinton 2016, *Layer normalization*. Bahdanau, Cho, Bengio 2015, *Neural machine translation by
jointly learning to align and translate*. Cordonnier, Loukas, Jaggi 2020, *On the relationship between self-attention
and convolutional layers*. Dosovitskiy et al. 2021, *An image is worth 16x16 words*. He et al. 2016, *Deep residual
learning for image recognition*. Olsson et al. 2022, *In-context learning and induction heads*. Shaw, Uszkoreit, Vaswani
2018, *Self-attention with relative position representations*. Su et al. 2021, *RoFormer*. Sutskever, Vinyals, Le 2014,
*Sequence to sequence learning with neural networks*. Touvron et al. 2021, *Training data-efficient image transformers &
distillation through attention*. Vaswani et al. 2017, *Attention is all you need*. Xiong et al. 2020, *On layer
normalization in the transformer architecture*.
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
    "theory.ipynb",
    [
        "1.1 attention",
        "1.2 queries",
        "1.3 nudges",
        "2.1 heads",
        "2.2 places",
        "2.3 machines",
        "2.4 convolution",
        "2.5 live",
        "3.1 lookup",
        "3.2 columns",
        "3.3 norm",
        "3.4 roads",
        "4.1 patches",
        "4.2 token",
        "4.2 prediction",
    ],
    {
        "1.1 temperature": 0,
        "1.2 queries-derivation": 0,
        "1.3 nudges-derivation": 0,
        "2.6 self-attention-words": 0,
        "3.5 transformer-words": 0,
        "4.3 pictures-words": 0,
    },
    {
        3671199853: "BLUE compare distances_moved draw_map GREEN head_map letters_with_left library_attention"
        " " "numbers ORANGE RED relative_error ring run_head show_figure with_places",
        1773686521: "",
    },
    "*Your answer here: double-click this line and write.*",
)
