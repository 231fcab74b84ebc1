# %% [markdown] nbgrader={"grade_id": "header", "locked": true}
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
is right."""

# %% nbgrader={"grade_id": "helpers", "locked": true}
# @title Imports, and helpers for checks and figures. Run this cell; you need not read it.
import math

import matplotlib.pyplot as plt
import torch
from torch.nn import functional

from common import BLUE, GREEN, RED, compare, numbers, show_figure


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


# %% [markdown] nbgrader={"grade_id": "attention-text", "locked": true}
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

# %% [markdown] nbgrader={"grade_id": "temperature", "grade": true, "solution": true, "points": 1}
r"""
### BEGIN SOLUTION
*Limits.* As $\beta \to 0$ all exponents go to 0, so every key gets $1/m$, whatever its score. As
$\beta \to \infty$, divide numerator and denominator by the largest exponential: all smaller ones go to 0. The key with
the largest score gets 1 and the rest 0 (argmax, one-hot). If several keys share the largest score, they share the
weight equally.

*Variance.* $k^\top q = \sum_{c=1}^d k_c q_c$. Every term has mean 0 and variance
$\mathbb{E}[k_c^2]\,\mathbb{E}[q_c^2] = 1$, and the terms are independent. So the variance is $d$ and the standard
deviation $\sqrt d$. With $\beta = 1/\sqrt d$ the product $\beta\, k^\top q$ has variance 1 for every $d$. With
$\beta = 1$ and large $d$ the scores lie far apart and one weight is nearly 1. The derivatives of softargmax,
$A_{ji}(1 - A_{ji})$ and $-A_{ji} A_{li}$, are then nearly 0: gradients through the weights vanish.

**Mark scheme (1 point; a half-right step earns nothing)**

1. ¼ for $\beta \to 0$: equal weights.
2. ¼ for $\beta \to \infty$: one-hot, and equal shares if several scores are the largest.
3. ¼ for the variance $d$ with a reason, and hence $\beta = 1/\sqrt d$.
4. ¼ for saturation, or vanishing gradients, with $\beta = 1$ and large $d$.
### END SOLUTION
"""


# %% nbgrader={"grade_id": "attention-code", "solution": true}
def attention(Q, K, V, beta=None):
    """Attention of the columns of Q to keys K with values V; beta=None stands for the convenient β.

    Returns a tuple of H and A.
    """
    ### BEGIN SOLUTION
    if beta is None:
        beta = 1 / math.sqrt(len(Q))
    A = torch.softmax(beta * K.T @ Q, dim=0)  # (m, n): each column adds up to 1
    return V @ A, A
    ### END SOLUTION


def attention_shapes(d, t, n, m):
    """A dictionary from "A" and "H" to pairs of int: rows, columns."""
    ### BEGIN SOLUTION
    return {"A": (m, n), "H": (t, n)}
    ### END SOLUTION


def beta_for_share(gap, m, share):
    """The β that gives a key whose score leads by gap > 0 the weight share (between 1/m and 1); m ≥ 2 keys."""
    ### BEGIN SOLUTION
    # share = 1 / (1 + (m − 1) exp(−β gap)), solved for β
    return math.log((m - 1) * share / (1 - share)) / gap
    ### END SOLUTION


# %% nbgrader={"grade_id": "attention", "grade": true, "points": 2, "locked": true}
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

# %% [markdown] nbgrader={"grade_id": "queries-text", "locked": true}
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

# %% [markdown] nbgrader={"grade_id": "queries-derivation", "grade": true, "solution": true, "points": 2}
r"""
### BEGIN SOLUTION
1. $a_j = 1 / \bigl(1 + \sum_{l \ne j} \exp(-\beta\, q^\top (k_j - k_l))\bigr)$ is near 1 exactly when every
   $\beta\, q^\top (k_j - k_l)$ is large. So there must be a direction $u$ with $u^\top k_j > u^\top k_l$ for all
   $l \ne j$; then $q = c\,u$ with a large $c$ works. In other words, $k_j$ is a corner of the convex hull of the keys,
   and no other key equals it. Among the three keys $-1, 0, 1$ on a line the middle one fails: whenever it beats one
   neighbour, the other neighbour beats it.
2. Take $u = k_j$, because $k_j^\top k_j = 1 > k_j^\top k_l$ for $k_l \neq k_j$. With
   $\gamma = \max_{l \ne j} k_j^\top k_l < 1$ the weight is at least $1 / (1 + (m-1)\, e^{-\beta c (1 - \gamma)})$. This
   is 0.999 for

   $$c = \lVert q \rVert = \frac{\ln\bigl(999\,(m - 1)\bigr)}{\beta\,(1 - \gamma)} .$$

3. All scores must be equal: $q = 0$; or $q$ orthogonal to all differences of keys; or all keys equal. In the limit
   $\beta \to 0$ the scores no longer count.
4. $h = \frac1m \sum_j v_j$ has entries of variance $\frac{1}{m^2}\, m = \frac1m$. The longer the sequence, the smaller
   the output: the layers above no longer see single values, and the scale of $h$ depends on $m$.

**Mark scheme (2 points)**

1. ½ for condition and example: some direction in which $k_j$ alone leads, or a corner of the convex hull. Either alone
   earns ¼.
2. ½ for $q$ along $k_j$ with a length that contains $1/\beta$, $\ln(m - 1)$ or $\ln m$, and $1/(1 - \gamma)$. The
   direction alone, or a length without one of the three, earns ¼.
3. ½ for two ways to equal scores. One way earns ¼.
4. ½ for the variance $1/m$ and one consequence. One of the two earns ¼.
### END SOLUTION
"""


# %% nbgrader={"grade_id": "queries-code", "solution": true}
def preserving_query(K, j, beta):
    """A query (d, 1) that gives key j (counted from 0) a weight of at least 0.999.

    K (d, m): keys of length 1, all different, m ≥ 2; beta > 0
    """
    ### BEGIN SOLUTION
    cosines = K.T @ K[:, j]  # (m,)
    others = torch.cat([cosines[:j], cosines[j + 1 :]])
    gap = 1 - others.max()
    return math.log(2000 * K.shape[1]) / (beta * gap) * K[:, j : j + 1]
    ### END SOLUTION


def diffusing_query(K, chosen, beta):
    """A query (d, 1) that shares the weight equally among some keys: each within 0.001 of 1/len(chosen).

    K (d, m): orthonormal columns; chosen: a list of different column numbers, not empty; beta > 0
    """
    ### BEGIN SOLUTION
    return 20 / beta * K[:, chosen].sum(1, keepdim=True)  # scores 20/β for the chosen ones, 0 for the others
    ### END SOLUTION


# %% nbgrader={"grade_id": "queries", "grade": true, "points": 2, "locked": true}
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

# %% [markdown] nbgrader={"grade_id": "nudges-text", "locked": true}
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

# %% [markdown] nbgrader={"grade_id": "nudges-derivation", "grade": true, "solution": true, "points": 3}
r"""
### BEGIN SOLUTION
*A key.* Every query looks at every key, so all columns of $H$ move. For one query only $s_j$ changes, by $\delta =
\beta\, \varepsilon^\top q$, $\lvert \delta \rvert \le \beta\, r \lVert q \rVert$. From $\frac{\partial a_j}{\partial
s_j} = a_j (1 - a_j)$ and $\frac{\partial a_l}{\partial s_j} = -a_j a_l$:

$$\frac{\partial h}{\partial s_j} = a_j (v_j - h) = a_j (1 - a_j) \bigl(v_j - \bar v\bigr), \qquad
\bar v = \sum_{l \ne j} \frac{a_l}{1 - a_j}\, v_l .$$

$\bar v$ is a mean of values, so $\lVert v_j - \bar v \rVert \le D_V$; and $a_j (1 - a_j) \le \frac14$ for every $a_j$.
So all the way from $s_j$ to $s_j + \delta$ the slope is at most $D_V / 4$, and

$$\lVert h' - h \rVert \le \tfrac14\, \beta\, r\, \lVert q \rVert\, D_V .$$

Two keys with $a = \frac12$ reach the bound as $r \to 0$, with ε along $q$. Small noise on a key with a weight near 0 or
1 hardly moves $h$.

*A query.* Only its own column moves. With $s = \beta K^\top q$ and
$\frac{\partial a}{\partial s} = \text{diag}(a) - a a^\top$,

$$\frac{\partial h}{\partial q} = \beta\, V \bigl(\text{diag}(a) - a a^\top\bigr) K^\top
= \beta \sum_j a_j\, (v_j - h)(k_j - \bar k)^\top, \qquad \bar k = \sum_j a_j k_j,$$

β times the covariance of values and keys under the probabilities $a$. For any $u$ with $\lVert u \rVert = 1$,

$$\Bigl\lvert u^\top \frac{\partial h}{\partial q}\, \varepsilon \Bigr\rvert
= \beta\, \bigl\lvert \text{cov}(u^\top v, \varepsilon^\top k) \bigr\rvert
\le \beta\, \text{std}(u^\top v)\, \text{std}(\varepsilon^\top k) \le \beta\, \frac{D_V}{2}\, \frac{r D_K}{2},$$

because numbers in an interval of length $L$ have a standard deviation of at most $L/2$. This holds all the way, so
$\lVert h' - h \rVert \le \frac14\, \beta\, r\, D_K D_V$. (With $x = \beta\, r \lVert q \rVert$ or $x = \beta\, r D_K$,
both bounds also hold in the sharper form $D_V \tanh(x/4)$.)

*A longer key.* $s_j = \beta\, k_j^\top q$ becomes $\alpha s_j$, the others stay:

$$a_j' = \frac{a_j\, e^{(\alpha - 1) s_j}}{1 - a_j + a_j\, e^{(\alpha - 1) s_j}}, \qquad
h' = a_j' v_j + (1 - a_j')\, \frac{h - a_j v_j}{1 - a_j} .$$

$s_j > 0$: the weight grows, to 1 as $\alpha \to \infty$, and $h \to v_j$. $s_j < 0$: it shrinks to 0, and
$h \to \bar v$. $s_j = 0$: nothing changes. A very long key takes nearly all the weight of every query on its side of
the hyperplane $q^\top k_j = 0$, however well other keys fit. Queries on the other side ignore it. Length overrules
direction, which is one reason to normalise.

**Mark scheme (3 points; a half-right step of ¼ earns nothing)**

1. ¼, key: all columns of $H$ move.
2. ¼, key: $\frac{\partial h}{\partial s_j}$, or the exact new $a_j$.
3. ½, key: the bound, with the reason that $a(1-a) \le \frac14$ for all weights on the way. The bound without that
   reason earns ¼.
4. ¼, query: only its own column moves.
5. ¼, query: $\frac{\partial h}{\partial q}$ with $\text{diag}(a) - a a^\top$, or as a covariance.
6. ½, query: the bound with $D_K D_V$ and a reason for the factor ¼. The bound without that reason earns ¼.
7. ½, longer key: $a_j'$ with $(\alpha - 1) s_j$ in the exponent. A formula that is not normalised earns ¼.
8. ¼, longer key: the three cases.
9. ¼, longer key: one long key takes over all queries on its side.
### END SOLUTION
"""


# %% nbgrader={"grade_id": "nudges-code", "solution": true}
def key_noise_bound(q, K, V, beta, r):
    """A bound on how far h moves when noise of length up to r hits any one key; a number.

    q (d, 1), K (d, m), V (t, m), m ≥ 2
    """
    ### BEGIN SOLUTION
    return float(beta * r * q.norm() * torch.cdist(V.T, V.T).max() / 4)
    ### END SOLUTION


def query_noise_bound(q, K, V, beta, r):
    """A bound on how far h moves when noise of length up to r hits the query; shapes as above."""
    ### BEGIN SOLUTION
    return float(beta * r * torch.cdist(K.T, K.T).max() * torch.cdist(V.T, V.T).max() / 4)
    ### END SOLUTION


def scale_key(h, v, a, s, alpha):
    """The new weight and the new output when key j is multiplied by alpha.

    h (t, 1): the old output; v (t, 1): the value of key j; a: its old weight, 0 < a < 1; s: its old β k_jᵀ q

    Returns a tuple of the new weight, a number, and the new output (t, 1).
    """
    ### BEGIN SOLUTION
    grown = a * math.exp((alpha - 1) * s)
    weight = grown / (1 - a + grown)
    others = (h - a * v) / (1 - a)  # their mean stays as it was
    return weight, weight * v + (1 - weight) * others
    ### END SOLUTION


# %% nbgrader={"grade_id": "nudges", "grade": true, "points": 3, "locked": true}
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


# %% nbgrader={"grade_id": "nudges-figure", "locked": true} tags=["demo"]
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

# %% [markdown] nbgrader={"grade_id": "heads-text", "locked": true}
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


# %% nbgrader={"grade_id": "heads-code", "solution": true}
def multi_head(Q, K, V, heads, W_O):
    """Attention with several heads, each a tuple (W_Q, W_K, W_V) of its own sizes; W_O (f, rows of the stack).

    Returns H (f, n).
    """
    ### BEGIN SOLUTION
    outputs = [attention(W_Q @ Q, W_K @ K, W_V @ V)[0] for W_Q, W_K, W_V in heads]
    return W_O @ torch.cat(outputs)
    ### END SOLUTION


def kernel_of_heads(offsets, W_V, W_O, k):
    """The kernel (f, e, k) of heads that look at fixed places; k is odd.

    offsets: head r looks at position i + offsets[r], from −(k−1)/2 to (k−1)/2
    W_V: a list of matrices (t, e); W_O: a list of matrices (f, t)
    """
    ### BEGIN SOLUTION
    kernel = torch.zeros(len(W_O[0]), W_V[0].shape[1], k)
    for offset, into, out_of in zip(offsets, W_V, W_O, strict=True):
        kernel[:, :, offset + (k - 1) // 2] += out_of @ into
    return kernel
    ### END SOLUTION


def self_attention(C, W_Q, W_K, W_V, beta=None):
    """One head of self-attention on the columns of C; beta=None is the convenient β. Returns a tuple of H and A."""
    ### BEGIN SOLUTION
    return attention(W_Q @ C, W_K @ C, W_V @ C, beta)
    ### END SOLUTION


def self_attention_shapes(e, d, t, h, n):
    """A dictionary to pairs of int: rows, columns.

    Of each head "W_Q", "W_K", "W_V", "Q", "K", "V" and "A"; of all heads together "stack", "W_O" and "H".
    """
    ### BEGIN SOLUTION
    projections = {"W_Q": (d, e), "W_K": (d, e), "W_V": (t, e)}
    together = {"stack": (h * t, n), "W_O": (e, h * t), "H": (e, n)}
    return projections | {"Q": (d, n), "K": (d, n), "V": (t, n), "A": (n, n)} | together
    ### END SOLUTION


# %% nbgrader={"grade_id": "heads", "grade": true, "points": 3, "locked": true}
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

# %% [markdown] nbgrader={"grade_id": "places-text", "locked": true}
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


# %% nbgrader={"grade_id": "places-code", "solution": true}
def position_codes(n, e):
    """The codes of n places as columns of a matrix (e, n); e is even, n at most 40."""
    ### BEGIN SOLUTION
    code = torch.cat([torch.ones(e // 2, 1), torch.zeros(e // 2, 1)])  # all hands begin at (1, 0)
    codes = []
    for _ in range(n):
        codes.append(code)
        code = step_matrix(e) @ code
    return torch.cat(codes, dim=1)
    ### END SOLUTION


def step_matrix(e):
    """The matrix R (e, e) that leads from each code to the next."""
    ### BEGIN SOLUTION
    angles = 2 * math.pi / 40 * torch.arange(1, e // 2 + 1)  # e/2 hands; the first goes round once in 40 steps
    cos, sin = angles.cos().diag(), angles.sin().diag()
    return torch.cat([torch.cat([cos, -sin], dim=1), torch.cat([sin, cos], dim=1)])
    ### END SOLUTION


# %% nbgrader={"grade_id": "places", "grade": true, "points": 1, "locked": true}
def check_places():
    for n, e in ((3, 2), (40, 2), (40, 8)):
        P, R = torch.as_tensor(position_codes(n, e)).float(), torch.as_tensor(step_matrix(e)).float()
        assert P.shape == (e, n), f"{n} codes of {e} entries: the shape {tuple(P.shape)} is not (e, n)"
        compare(f"R p, n = {n}, e = {e}", R @ P[:, :-1], P[:, 1:])
        assert P.abs().max() <= 1.001, f"n = {n}, e = {e}: an entry of a code exceeds 1"
        apart = float((torch.cdist(P.T, P.T) + 9 * torch.eye(n)).min())
        assert apart >= 0.05, f"n = {n}, e = {e}: two codes are only {apart:.3f} apart"


check_places()

# %% [markdown] nbgrader={"grade_id": "machines-text", "locked": true}
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


# %% nbgrader={"grade_id": "machines-code", "solution": true}
def permutation_projections(order, e):
    """W_Q, W_K, W_V with which column i of H is column order[i] of C; order is a list of n numbers, counted from 0.

    Returns a tuple of matrices (d, e + n), (d, e + n), (e, e + n).
    """
    ### BEGIN SOLUTION
    n = len(order)
    W_Q, W_K = torch.zeros(n, e + n), torch.zeros(n, e + n)
    W_K[:, e:] = torch.eye(n)  # key j is the code of place j
    W_Q[:, e:] = 20 * math.sqrt(n) * torch.eye(n)[:, order]  # query i is the code of place order[i], and long
    return W_Q, W_K, torch.eye(e, e + n)
    ### END SOLUTION


def identity_projections(e, n):
    """The same, with H = C."""
    ### BEGIN SOLUTION
    return permutation_projections(list(range(n)), e)
    ### END SOLUTION


def shift_projections(e, n):
    """The same, with column i − 1 of C in column i of H, for i from 1 to n − 1 counted from 0."""
    ### BEGIN SOLUTION
    return permutation_projections([0, *range(n - 1)], e)  # not a permutation, but it works
    ### END SOLUTION


# %% nbgrader={"grade_id": "machines", "grade": true, "points": 2, "locked": true}
def check_machines():
    short, long = torch.tensor([[1.0, -1, 0.5, 0, 0.25], [-1, -1, 1, 1, 0]]), numbers((3, 100), seed=11)[0].tanh()
    for C, order in ((short, [2, 0, 4, 1, 3]), (long, [*range(45, 100), *range(45)])):
        (e, n), X = C.shape, with_places(C)
        compare(f"identity, n = {n}", run_head(X, identity_projections(e, n)), C, 5e-3)
        compare(f"permutation, n = {n}", run_head(X, permutation_projections(order, e)), C[:, order], 5e-3)
        compare(f"shift, n = {n}", run_head(X, shift_projections(e, n))[:, 1:], C[:, :-1], 5e-3)


check_machines()


# %% nbgrader={"grade_id": "convolution-code", "solution": true}
def convolution_heads(W, n):
    """Heads for a kernel W (f, e, k) on n ≥ k places, n ≥ 2.

    Returns a list of tuples W_Q (d, e + 2), W_K (d, e + 2), W_V (f, e + 2).
    """
    ### BEGIN SOLUTION
    f, e, k = W.shape
    gap = 1 - math.cos(2 * math.pi / n)
    heads = []
    for tap in range(k):
        angle = 2 * math.pi / n * (tap - (k - 1) // 2)
        turn = torch.tensor([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
        W_Q = torch.cat([torch.zeros(2, e), 20 * math.sqrt(2) / gap * turn], dim=1)
        W_K = torch.cat([torch.zeros(2, e), torch.eye(2)], dim=1)
        heads.append((W_Q, W_K, torch.cat([W[:, :, tap], torch.zeros(f, 2)], dim=1)))
    return heads
    ### END SOLUTION


# %% nbgrader={"grade_id": "convolution", "grade": true, "points": 2, "locked": true}
def check_convolution():
    for n, k in ((4, 3), (9, 3), (12, 5), (40, 1), (200, 3)):
        C, W = numbers((3, n), (2, 3, k), seed=n)
        side = (k - 1) // 2
        right = functional.conv1d(torch.cat([C[:, n - side :], C, C[:, :side]], dim=1), W)  # on a circle
        yours = sum(run_head(torch.cat([C, ring(n)]), head) for head in convolution_heads(W, n))
        compare(f"kernel {k}, {n} places", yours, right, 5e-3)


check_convolution()


# %% nbgrader={"grade_id": "machines-figure", "locked": true} tags=["demo"]
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

# %% [markdown] nbgrader={"grade_id": "live-text", "locked": true}
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


# %% nbgrader={"grade_id": "live-code", "solution": true}
def live_mask(n, back, ahead):
    """A matrix (n, n) of bool, keys × queries: True where the query may see the key."""
    ### BEGIN SOLUTION
    key, query = torch.arange(n)[:, None], torch.arange(n)[None, :]
    return (key >= query - back) & (key <= query + ahead)
    ### END SOLUTION


def live_reach(layers, back, ahead):
    """How many frames back and how many ahead the output of a stack of layers depends on; a pair of int."""
    ### BEGIN SOLUTION
    return layers * back, layers * ahead
    ### END SOLUTION


# %% nbgrader={"grade_id": "live", "grade": true, "points": 1, "locked": true}
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

# %% [markdown] nbgrader={"grade_id": "self-attention-words", "grade": true, "solution": true, "points": 5}
r"""
### BEGIN SOLUTION
1. *Heads.*

   $$H = W_O \begin{bmatrix} H^1 \\ \vdots \\ H^h \end{bmatrix}, \qquad
   H^r = W_V^r V\; \text{softargmax}_{\beta_r}\bigl((W_K^r K)^\top\, W_Q^r Q\bigr) .$$

   A head is like a filter, or a small group of output channels: all read the same input in parallel, and each looks for
   something of its own. Stacking the heads is like stacking feature maps as channels. $W_O$ acts on every position
   alone and mixes what the heads have found, as a $1 \times 1$ convolution does. A filter fixes its offsets and weights
   for all inputs and positions. A head computes from the input, for each query, where to look.
2. *Places.* With a permutation matrix $\Pi$ the projections of $C \Pi$ are $Q\Pi, K\Pi, V\Pi$, and the scores are
   $\Pi^\top K^\top Q\, \Pi$. Softargmax acts on each column and commutes with both permutations, so $H' = V \Pi\,
   \Pi^\top A\, \Pi = H\, \Pi$. An *absolute* code $p_i$ is added to column $i$ of $C$, or put below it, before the
   projections. A *relative* code changes the scores: $k_j^\top q_i + b_{j-i}$, or queries and keys that are rotated by
   an angle proportional to their place (Su et al. 2021). Absolute places suit inputs of a fixed size whose places mean
   something by themselves: patches of a picture, fields of a form, the first word of a sentence. Relative places suit
   inputs in which only distances count and whose length varies: long texts, speech, music. What is learned at one place
   then holds at all places, even beyond the lengths seen in training.
3. *Convolution.* In the head of offset δ, $W_K$ reads the place of a column, and $W_Q$ reads it, rotates it by δ steps
   and multiplies it by λ. With $\omega = 2\pi / n$ the score of key $j$ for query $i$ is $p_j^\top\, \lambda R_\delta\,
   p_i = \lambda \cos\bigl(\omega\,(i + \delta - j)\bigr)$. It is largest, λ, for $j = i + \delta$. The next places are
   behind by $\lambda\,(1 - \cos \omega) \approx 2 \pi^2 \lambda / n^2$. So λ must grow like $n^2$ to keep this lead. A
   convolution cannot let the content decide. If the queries read the content as well, where a head looks, and how
   widely, depends on the input. (A kernel as wide as the sequence is no answer: a convolution can have one.)
4. *Live.* Mask: the scores of keys beyond $i + a$ are set to $-\infty$ before softargmax, so their weights are
   exactly 0. In training the whole utterance is known, and one parallel pass trains all positions under live
   conditions. In live use, keys and values of old frames do not change: they are kept in a cache, and a new frame needs
   only one new query, key and value per layer. Keys older than $i - b$ are dropped, which bounds memory and time per
   frame. Places are encoded relative to the current frame. The look-ahead adds up to a delay of $L a$ frames.

**Mark scheme (5 points)**

1. ½, heads: a formula with projections for each head, the stack and $W_O$. Without $W_O$ it earns ¼.
2. ½, heads: filters or channels; stacking channels; $W_O$ as a $1 \times 1$ convolution. Two of the three earn ¼.
3. ½, heads: a filter fixes offsets and weights, a head computes them from the input. Half-right earns nothing.
4. ½, places: a reason for the equivariance, with $\Pi$ or from sums over a set. Half-right earns nothing.
5. ½, places: absolute at the input, relative at the scores. One of the two earns ¼.
6. ½, places: a task with its reason for each kind. One of the two earns ¼.
7. ½, convolution: the score with the cosine, and λ growing like $n^2$. One of the two earns ¼.
8. ½, convolution: content can decide where to look. "A wide kernel" earns nothing.
9. ½, live: the mask before softargmax, or weights of exactly 0 for what lies ahead. Half-right earns nothing.
10. ½, live: a cache of keys and values. A limited past, relative places or the delay $L a$ instead of it earns ¼.
### END SOLUTION
"""

# %% [markdown] nbgrader={"grade_id": "lookup-text", "locked": true}
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


# %% nbgrader={"grade_id": "lookup-code", "solution": true}
def lookup_projections(e):
    """A tuple W_Q, W_K (d, 2e), W_V (e, 2e) of a head that looks up what came next; e counts the different letters."""
    ### BEGIN SOLUTION
    zero, one = torch.zeros(e, e), torch.eye(e)
    W_Q = 20 * math.sqrt(e) * torch.cat([one, zero], dim=1)  # I am this letter …
    W_K = torch.cat([zero, one], dim=1)  # … and look for a place that has it on its left,
    W_V = torch.cat([one, zero], dim=1)  # to know which letter is there
    return W_Q, W_K, W_V
    ### END SOLUTION


# %% nbgrader={"grade_id": "lookup", "grade": true, "points": 2, "locked": true}
def check_lookup():
    texts = {"abracadabr": {"a": 1}, "to be or not to b": {"e": 1}, "xaxbxaxax": {"a": 3 / 4, "b": 1 / 4}}
    texts["the quick brown fox jumps over the lazy dog, as you f"] = {"o": 1}
    for text, expected in texts.items():
        (X, alphabet), n = letters_with_left(text), len(text)
        causal = torch.ones(n, n).triu().bool()  # keys × queries: key j ≤ query i
        H = run_head(X, lookup_projections(len(alphabet)), causal)
        compare(text[-17:], H[:, -1], torch.tensor([expected.get(letter, 0.0) for letter in alphabet]), 5e-3)


check_lookup()


# %% nbgrader={"grade_id": "lookup-figure", "locked": true} tags=["demo"]
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

# %% [markdown] nbgrader={"grade_id": "columns-text", "locked": true}
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


# %% nbgrader={"grade_id": "columns-code", "solution": true}
def xor_network():
    """W1 (w, 2), b1 (w, 1), W2 (1, w), b2 (1, 1) of a feed-forward network that computes exclusive or; a tuple."""
    ### BEGIN SOLUTION
    W1, b1 = torch.ones(2, 2), torch.tensor([[0.0], [-1.0]])  # s and s − 1, for the sum s of the bits
    W2, b2 = torch.tensor([[1.0, -2.0]]), torch.zeros(1, 1)  # up with slope 1, and from s = 1 down again
    return W1, b1, W2, b2
    ### END SOLUTION


def xor_head():
    """W_Q (d, 4), W_K (d, 4), W_V (1, 4) of a head that computes exclusive or; a tuple."""
    ### BEGIN SOLUTION
    W_Q = torch.tensor([[1.0, -1, 0, 0], [0, 0, 1, 0]])  # the bits ask with (x₁ − x₂, 1)
    W_K = 40 * torch.tensor([[1, -1, 0, 0], [0, 0, 0, 0.5]])  # scores: 40 (x₁ − x₂)², and 20 for the constant token
    return W_Q, W_K, torch.tensor([[0.0, 0, 1, 0]])
    ### END SOLUTION


# %% nbgrader={"grade_id": "columns", "grade": true, "points": 2, "locked": true}
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


# %% nbgrader={"grade_id": "norm-code", "solution": true}
def layer_norm(X, eps=1e-5):
    """Layer norm of each column of X (e, n); the same shape."""
    ### BEGIN SOLUTION
    centred = X - X.mean(0)
    return centred / (centred.square().mean(0) + eps).sqrt()
    ### END SOLUTION


def layer_norm_jacobian(x, eps=1e-5):
    """∂x̂/∂x for one column x (e, 1); a matrix (e, e)."""
    ### BEGIN SOLUTION
    e = len(x)
    centred = x - x.mean()
    sigma = (centred.square().mean() + eps).sqrt()
    x_hat = centred / sigma
    return (torch.eye(e) - 1 / e - x_hat @ x_hat.T / e) / sigma
    ### END SOLUTION


# %% nbgrader={"grade_id": "norm", "grade": true, "points": 2, "locked": true}
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

# %% [markdown] nbgrader={"grade_id": "roads-text", "locked": true}
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


# %% nbgrader={"grade_id": "roads-code", "solution": true}
def compare_layers(n, e, k):
    """A dictionary from the three names to tuples (multiplications, steps, path) of int; n ≥ 2."""
    ### BEGIN SOLUTION
    reach = (k - 1) // 2
    return {
        "recurrent": (2 * n * e**2, n, n),
        "convolution": (n * k * e**2, 1, math.ceil((n - 1) / reach)),
        "attention": (3 * n * e**2 + 2 * n**2 * e, 1, 1),
    }
    ### END SOLUTION


def multi_head_counts(e, h, d, n):
    """Parameters and multiplications of multi-head self-attention; a pair of int."""
    ### BEGIN SOLUTION
    parameters = 3 * h * (d * e + d) + e * h * d + e
    projections = 3 * h * d * e * n + e * h * d * n  # in, and out by W_O
    maps = 2 * h * d * n * n  # the scores, and the means of values
    return parameters, projections + maps
    ### END SOLUTION


def block_counts(e, h, w, n):
    """Parameters and multiplications of one block on n columns; a pair of int. h divides e."""
    ### BEGIN SOLUTION
    parameters, multiplications = multi_head_counts(e, h, e // h, n)
    feed_forward = 2 * e * w
    return parameters + feed_forward + w + e + 4 * e, multiplications + feed_forward * n
    ### END SOLUTION


# %% nbgrader={"grade_id": "roads", "grade": true, "points": 3.5, "locked": true}
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

# %% [markdown] nbgrader={"grade_id": "transformer-text", "locked": true}
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

# %% [markdown] nbgrader={"grade_id": "transformer-words", "grade": true, "solution": true, "points": 5}
r"""
### BEGIN SOLUTION
1. *Recurrent seq2seq.* In training all positions are computed at the same time, 1 step in place of $n$. Any two
   positions are one layer apart in place of up to $n$ steps, so gradients have short paths. Nor must a whole sentence
   fit into one last state. The cost: scores for all pairs, $2 n^2 e$ multiplications and $n^2$ weights in memory.
2. *Self-attention.* Each column receives a weighted mean of projected columns. The content of both query and key
   decides the weights: a column gathers from anywhere what it asks for, as in 3.1. Encoder: every position sees every
   position. Decoder over its own past: a mask, so that position $i$ sees $j \le i$ only. Decoder over the encoder
   (cross-attention): queries from the decoder, keys and values from the encoder, no causal mask.
3. *Several heads.* One head has one column of weights per query, so what it collects from two places arrives as one
   mixture. Two heads deliver both separately, by different criteria, in different rows; the three taps of 2.4 are three
   heads. The counts contain $h$ and $d$ only through the product $h d$, so with $h d = e$ all heads together
   have the parameters and multiplications of one head with $d = e$.
4. *Feed-forward.* The same network acts on each column by itself, with no exchange between positions: a convolution of
   width 1, twice, with ReLU between. It adds a nonlinear function of a column's own content. An isolated column attends
   to itself with weight 1, so attention returns $W_V x$, which is linear. With $A$ held fixed, attention is linear in
   all columns, too, and its outputs stay in the convex hull of the values. It is not always linear: $A$ depends on the
   content, through products of two linear functions, and with a constant token one head computes exclusive or. (Most
   parameters of a block are in the feed-forward network: $8e^2$ of $12 e^2$ for $w = 4e$.)
5. *Stability.* Residual connections (He et al. 2016) around attention and around the feed-forward network, $x + F(x)$:
   their Jacobian is $I + \frac{\partial F}{\partial x}$, so gradients have a path back to the input that no weight
   multiplies. Layer norm before attention and before the feed-forward network (pre-norm, Xiong et al. 2020; originally
   after each sum): every column gets mean 0 and variance 1, whatever its scale, so scores keep their size. Its Jacobian
   is proportional to $1/\sigma$: it damps gradients where entries are widely spread, and amplifies them where they are
   nearly equal. A constant added to all entries changes nothing. (Also right: warm-up of the learning rate,
   $\beta = 1/\sqrt d$, dropout, gradient clipping, small initial weights.)

**Mark scheme (5 points)**

1. ½, recurrent: two advantages (parallel; short paths; no bottleneck). One earns ¼.
2. ½, recurrent: the cost grows with $n^2$. "More memory" without $n^2$ earns ¼.
3. ½, self-attention: a weighted mean of all columns, weights from the content. One of the two earns ¼.
4. ½, self-attention: encoder, masked decoder and cross-attention distinguished. Two of the three earn ¼.
5. ½, heads: separate results that one column of weights cannot hold. Half-right earns nothing.
6. ½, heads: only $h d$ counts, so $d = e/h$ keeps the cost. Half-right earns nothing.
7. ½, feed-forward: the same network on every column, a convolution of width 1. One of the two earns ¼.
8. ½, feed-forward: a nonlinear function of a column's own content (¼); attention is linear for an isolated column and
   for fixed $A$, but not always (¼). "No attention computes exclusive or" earns nothing.
9. ½, stability: two techniques, each with its place and its effect. One of them earns ¼.
10. ½, stability: layer norm divides gradients by the spread, so it damps them where entries are widely spread. "It
    damps long $x$" earns nothing: what matters is the spread.
### END SOLUTION
"""

# %% [markdown] nbgrader={"grade_id": "patches-text", "locked": true}
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


# %% nbgrader={"grade_id": "patches-code", "solution": true}
def patch_kernel(E, channels, p):
    """The kernel (e, channels, p, p) of the convolution that multiplies every flattened patch by E (e, channels·p²)."""
    ### BEGIN SOLUTION
    return E.reshape(len(E), channels, p, p)
    ### END SOLUTION


def receptive_field(layers):
    """Width in pixels of what one unit of the last layer sees; an int.

    layers: a list of pairs (kernel, stride), first layer first
    """
    ### BEGIN SOLUTION
    width, distance = 1, 1  # pixels seen, and pixels between neighbouring units
    for kernel, stride in layers:
        width += (kernel - 1) * distance
        distance *= stride
    return width
    ### END SOLUTION


def vit_parameters(image_size, p, channels, e, w, layers, classes):
    """Parameters of a ViT for square pictures, p divides image_size: a dictionary from the five names to int.

    The number of heads does not matter.
    """
    ### BEGIN SOLUTION
    patches = (image_size // p) ** 2
    return {
        "patches": e * channels * p**2 + e,
        "class token": e,
        "positions": (patches + 1) * e,
        "blocks": layers * block_counts(e, 1, w, 1)[0],  # the number of heads does not matter
        "head": 2 * e + classes * e + classes,
    }
    ### END SOLUTION


def vit_multiplications(image_size, p, channels, e, w, layers, classes):
    """Multiplications inside the matrix products of the same ViT for one picture; an int."""
    ### BEGIN SOLUTION
    patches = (image_size // p) ** 2
    embedding = patches * e * channels * p**2
    blocks = layers * block_counts(e, 1, w, patches + 1)[1]  # the class token is a column, too
    return embedding + blocks + classes * e
    ### END SOLUTION


# %% nbgrader={"grade_id": "patches", "grade": true, "points": 2, "locked": true}
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


# %% nbgrader={"grade_id": "token-code", "solution": true}
def pooling_projections(e):
    """A tuple W_Q, W_K (d, e + 1), W_V (e, e + 1): a head whose class token receives the mean of the patches."""
    ### BEGIN SOLUTION
    flag = torch.zeros(1, e + 1)
    flag[0, e] = 1
    return 30 * flag, -flag, torch.eye(e, e + 1)  # its score with itself is −30, with all others 0
    ### END SOLUTION


# data_regimes = {"…", …}
### BEGIN SOLUTION
data_regimes = {"A", "C", "D", "E"}
### END SOLUTION


# %% nbgrader={"grade_id": "token", "grade": true, "points": 2, "locked": true}
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

# %% [markdown] nbgrader={"grade_id": "prediction-text", "locked": true}
r"""
**Prediction** · ½ point by machine · 2 minutes

In ViT-B/16 ($e=768$, $w=4e$) a picture of 224 × 224 pixels becomes 197 columns. What share of a block's multiplications
do the scores $K^\top Q$ and the means $VA$ take together?

- **A** less than a tenth;
- **B** between a tenth and a half;
- **C** more than a half.

Any of the three earns the ½ point: what counts is that you commit before you look.
"""

# %% nbgrader={"grade_id": "share-prediction", "solution": true}
# share_prediction = "…"   # "A", "B" or "C"
### BEGIN SOLUTION
share_prediction = "A"
### END SOLUTION

# %% nbgrader={"grade_id": "prediction", "grade": true, "points": 0.5, "locked": true}
assert str(share_prediction).strip().upper() in ("A", "B", "C"), "share_prediction is one letter: A, B or C"
print("ok  a prediction; now look at the figure")


# %% nbgrader={"grade_id": "pictures-figure", "locked": true} tags=["demo"]
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

# %% [markdown] nbgrader={"grade_id": "pictures-text", "locked": true}
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

# %% [markdown] nbgrader={"grade_id": "pictures-words", "grade": true, "solution": true, "points": 4}
r"""
### BEGIN SOLUTION
1. *The figure.* At 224 pixels scores and means are only 4 % of a block; for large pictures they dominate. They grow
   with $n^2$, as $2 n^2 e$, while all other products grow with $n$, as $12 n e^2$. So the share is $n / (n + 6e)$,
   which is small as long as $n \ll 6e = 4608$ columns.
2. *Against CNNs.* A block sees the whole picture at once, where a convolution sees a small window. Its weights depend
   on the content, where a filter is the same for all pictures and places. The convolution is the patch embedding, with
   kernel and stride $p$, as in `patch_kernel`. (The feed-forward network is a $1 \times 1$ convolution, too.)
3. *Position embeddings.* Sinusoidal codes are a formula: nothing is stored, and every place number has a code, also
   beyond the longest training sequence. Learned ones are parameters, $(N + 1)\, e$ for $N$ patches, and exist only for
   the places seen in training. ViT can afford this because all pictures have the same size and few patches, 196 in
   place of sentences of any length. It needs no two-dimensional code because every patch has its own column, which can
   come to hold row and column: after training, embeddings of patches in the same row or column are similar (Dosovitskiy
   et al. 2021). For larger pictures the learned grid is interpolated like an image of $e$ channels, and fine-tuned;
   the class token's column stays. Without any, shuffled patches give the same output at the class token: a bag of
   patches.
4. *Class token.* It begins as one learned column, the same for every picture, plus its position embedding. In each
   block it attends to all columns, adds what it receives, and goes through the feed-forward network; patches can
   attend to it as well. After the last block its column is normalised and goes through the linear head. The patches'
   last columns are not used. (The mean of the patches in its place works about as well.)
5. *Data.* Locality and equivariance to shifts are built into a CNN; a ViT has to learn them, and with few pictures many
   other functions fit the data, too. Remedies: fine-tune a pretrained ViT; strong augmentation and regularisation, or
   distillation from a CNN, with which ImageNet's 1.3 million pictures are enough (Touvron et al. 2021); convolutions
   before the first block.

**Mark scheme (4 points)**

1. ½, figure: a few percent at 224 pixels, most of it at 3,072 (¼); the cause, $n^2$ against $n$ (¼). A wrong
   prediction costs nothing.
2. ½, CNNs: whole picture, or weights by content; and the patch embedding as the convolution. One of the two earns ¼.
3. ½, positions: a formula against stored parameters. Half-right earns nothing.
4. ½, positions: every place has a sinusoidal code; learned ones exist for the trained size only, so larger pictures
   need interpolation. One of the two earns ¼.
5. ½, positions: the number of patches is fixed and small, and every patch has a column of its own. One of the two earns
   ¼.
6. ½, positions: without them, shuffled patches are not noticed. Half-right earns nothing.
7. ½, class token: learned and the same for all pictures; attends in every block; only its column is read at the end.
   Two of the three earn ¼.
8. ½, data: what must be learned that a CNN has built in, and one remedy. One of the two earns ¼.
### END SOLUTION
"""

# %% [markdown] nbgrader={"grade_id": "closing", "locked": true}
r"""
You have wired attention by place and by content. The notebook *transformer* trains the same parts.

**Sources.** Ba, Kiros, Hinton 2016, *Layer normalization*. Bahdanau, Cho, Bengio 2015, *Neural machine translation by
jointly learning to align and translate*. Cordonnier, Loukas, Jaggi 2020, *On the relationship between self-attention
and convolutional layers*. Dosovitskiy et al. 2021, *An image is worth 16x16 words*. He et al. 2016, *Deep residual
learning for image recognition*. Olsson et al. 2022, *In-context learning and induction heads*. Shaw, Uszkoreit, Vaswani
2018, *Self-attention with relative position representations*. Su et al. 2021, *RoFormer*. Sutskever, Vinyals, Le 2014,
*Sequence to sequence learning with neural networks*. Touvron et al. 2021, *Training data-efficient image transformers &
distillation through attention*. Vaswani et al. 2017, *Attention is all you need*. Xiong et al. 2020, *On layer
normalization in the transformer architecture*."""
