# %% [markdown] nbgrader={"grade": false, "grade_id": "header", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
# Convolution, recurrence and what goes wrong

Two ideas stand behind this homework, and both are *sharing*. A convolution uses the same few weights at every place; a
recurrent network uses the same few weights at every time. On this sheet you find out what sharing does to gradients:
they add up, over places or over times, and over long times they do strange things.

**What you will build.** The two Jacobians of a 1-D convolution, as honest matrices that you can look at. A gated
recurrent network, unrolled, with its gradient through time; and weights for which that gradient fades, survives, or
explodes, by your own design. A recurrent network with attention. At the end, a training run with kinks in its loss
curve, and you as the detective.

| part | you answer | points by machine | by hand | minutes |
| --- | --- | --- | --- | --- |
| 1 Convolution | sizes, formula, two Jacobians, a gradient | 1 + 2 + 2 + 2 + 2 + 2 | 1 + 1 + 1 + 1 | 75 |
| 2 A gated network | graph, dimensions, Jacobians, time, extremes | 2 + 1 + 2 + 3 + 2 | 2 + 2 + 1 | 75 |
| 3 Attention in time | dimension, k steps, all steps, Jacobian, backward | 1 + 2 + 2 + 3 + 2 | 1 + 1 + 2 + 1 | 70 |
| 4 A loss curve with kinks | cause, spikes, cures, first value | 1 + 1 + 1 + 1 | 1 | 20 |
| **in all** | **50 points** | **35** | **15** | **240** |

**You need** homework 1: the chain rule in numerator layout. Everything runs in a few seconds on a CPU.

**How to work.** Think on paper. Cells that say *Your answer here* take a written derivation (LaTeX between dollar
signs, or plain words) and are marked by a person, one small step at a time. Cells with
`raise NotImplementedError` take the result as a tiny function. The cell below it checks an example; the grader asks
again with other sizes and other numbers.
"""

# %% [markdown] nbgrader={"grade": false, "grade_id": "colab", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
[![Open this notebook in Google Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/your-organisation/deep-learning/blob/main/release/hw2/theory.ipynb)
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

# The cells below use these names themselves: BLUE, compare, draw_graph, GREEN, measured_jacobian, numbers,
# ORANGE, RED, relative_error, gated_rnn, gated_step, size_of_the_past, lstm_run, train_lstm. Give your own
# helpers other names.

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


def measured_jacobian(f, v):
    """∂f/∂v by autograd, in numerator layout: (entries of f(v), entries of v), both flattened as reshape(-1) does."""
    return torch.autograd.functional.jacobian(f, v).reshape(-1, v.numel())


def draw_graph(ax, edges, places, title, square=()):
    """Arrows between named places; the nodes whose names begin with a letter in `square` get a box, others a circle."""
    for start, end in edges:
        bow = -0.35 if places[end][0] - places[start][0] > 3 else 0.1  # far arrows fly over what is between
        bend = {"arrowstyle": "->", "shrinkA": 13, "shrinkB": 13, "connectionstyle": f"arc3,rad={bow}"}
        ax.annotate("", places[end], places[start], arrowprops=bend)
    for node, place in places.items():
        boxed = node[0] in square
        look = {"boxstyle": "square" if boxed else "circle", "facecolor": "#FBEBC8" if boxed else "#D6E8F5"}
        ax.text(*place, node, ha="center", va="center", fontsize=9, bbox=look)
    across, up = zip(*places.values(), strict=True)
    ax.set(xlim=(min(across) - 0.6, max(across) + 0.6), ylim=(min(up) - 0.6, max(up) + 0.9), title=title)
    ax.axis("off")


# %% [markdown] nbgrader={"grade": false, "grade_id": "rules", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
## How we write

**Columns.** Vectors are columns, on paper and in code: a vector of $m$ numbers has shape `(m, 1)`. A sequence of $N$
vectors $x[1], \dots, x[N] \in \mathbb{R}^C$ is a matrix with one *column* for each step, shape `(C, N)`, and its entry
$x_c[n]$ is component $c$ at step $n$. We count from 1 on paper; Python counts from 0. (Batches of examples, elsewhere
in this course, are stacked as rows: `(B, C)`, or `(B, C, N)` for sequences. Here one example is enough.)

**Numerator layout.** The derivative of a column of $m$ numbers by a column of $n$ numbers is an $m \times n$ matrix.
The gradient of the scalar $\ell$ by a column is a row, and the chain rule reads from left to right. For a matrix
$W \in \mathbb{R}^{m \times n}$ the gradient $\frac{\partial \ell}{\partial W}$ is $n \times m$, with
$\frac{\partial \ell}{\partial W_{ij}}$ in row $j$, column $i$.

**Flattening.** Vectors and matrices are all that we ever need. Where a derivative *by* a matrix or a filter would have
three indices or more, we first lay its entries in one column, the last index running fastest, exactly as `reshape(-1,
1)` does: a filter $W \in \mathbb{R}^{1 \times C \times k}$ becomes the column $(W_{111}, W_{112}, \dots, W_{11k},
W_{121}, \dots, W_{1Ck})^\top$, and a sequence $x$ becomes $(x_1[1], x_1[2], \dots, x_1[N], x_2[1], \dots,
x_C[N])^\top$.

**Rules.** In the cells that you write, leave automatic differentiation and PyTorch's own convolutions alone; the checks
and the grader use them as their measuring devices. Your functions must not change what they are given: no tensor, list
or dictionary.
"""

# %% [markdown] nbgrader={"grade": false, "grade_id": "first-shape-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
## 1 · Convolution

**Exercise 1.1 · warm up** · 1 point · ★☆☆ · 3 minutes

*How many places are there for a small rectangle on a larger one?*

An image of height 17 and width 11 meets a kernel of height 3 and width 5, with stride 2 in both directions, no padding
and no dilation. Which height and width has the result?

<details><summary>Hint</summary>

Put the kernel into the upper left corner. How many pixels below it are still free, and how many strides fit into them?
Do not forget the place where you began.

</details>
"""

# %% nbgrader={"grade": false, "grade_id": "first-shape-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
# first_shape = (…, …)
raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "first-shape", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
def _check_first_shape():
    assert len(first_shape) == 2, "first_shape is a pair: height, width"
    assert all(0 < size < 17 and size == int(size) for size in first_shape), "two whole numbers, smaller than the image"
    print("ok  a pair of sizes; whether they are right, the grader will tell")


_check_first_shape()

# %% [markdown] nbgrader={"grade": false, "grade_id": "output-shape-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
**Exercise 1.2 · in general** · 2 points · ★★☆ · 10 minutes

*The formula that you will look up a hundred times, unless you have derived it once.*

An image of $C$ channels, height $H$ and width $W$; $F$ filters, each of $C$ channels, height $H_K$ and width $W_K$.
Padding $P$ adds so many zeros on *every* side. Stride $S$ is the distance from one place to the next. Dilation $D$ is
the distance between two neighbouring taps of the kernel in the image: $D = 1$ is an ordinary kernel, and $D = 2$
leaves out every other pixel. $P$, $S$, $D$ hold in both directions. Sizes do not always divide well: a kernel never
leans out of the padded image.

<details><summary>Hint</summary>

First the extent of a dilated kernel: how far is its last tap from its first, and how many pixels does it span? Then go
on as in 1.1. Which of the arguments do not matter at all?

</details>
"""


# %% nbgrader={"grade": false, "grade_id": "conv-output-shape-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def conv_output_shape(C, H, W, HK, WK, P, S, D, F):
    """The shape of what a convolution layer makes of one image: a tuple of channels, height, width (all int)."""
    raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "conv-output-shape", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
def _check_conv_output_shape():
    for C, H, W, HK, WK, P, S, D, F in ((3, 10, 7, 2, 4, 0, 1, 1, 8), (1, 9, 12, 3, 2, 1, 2, 2, 4)):
        made = functional.conv2d(torch.zeros(C, H, W), torch.zeros(F, C, HK, WK), stride=S, padding=P, dilation=D)
        yours = conv_output_shape(C, H, W, HK, WK, P, S, D, F)
        assert yours is not None, "conv_output_shape returns nothing: is a return statement missing?"
        assert tuple(yours) == tuple(made.shape), f"you say {tuple(yours)}, the layer made {tuple(made.shape)}"
    print("ok  both shapes agree with the layer's")


_check_conv_output_shape()

# %% [markdown] nbgrader={"grade": false, "grade_id": "windows-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
### One dimension

From here on: a sequence $x[1], \dots, x[11]$ with $x[n] \in \mathbb{R}^7$, and a layer with *one* filter
$W \in \mathbb{R}^{1 \times 7 \times 3}$ of width $k = 3$, stride 2, no padding, no bias. At each stop the filter lies
over three neighbouring steps, multiplies entry by entry all 21 numbers under it with its own 21, and adds up.

*In the figure below: the sequence as a grid of 7 rows (components) and 11 columns (steps). The first two stops of the
filter are outlined, one solid and one dashed; they share the column of step 3.*
"""


# %% nbgrader={"grade": false, "grade_id": "windows-figure", "locked": true, "schema_version": 3, "solution": false, "task": false} tags=["demo"]
def _figure():
    figure, ax = plt.subplots(figsize=(6, 3.2))
    (values,) = numbers((7, 11), seed=0)
    ax.imshow(values, cmap="Greys", vmin=-4, vmax=6)
    for stop, (colour, style) in enumerate(((BLUE, "-"), (RED, "--"))):
        outline = plt.Rectangle((2 * stop - 0.45, -0.45), 2.9, 6.9, fill=False, edgecolor=colour, linestyle=style, lw=3)
        ax.add_patch(outline)
        ax.text(2 * stop + 1, 7.1, f"f[{stop + 1}]", color=colour, ha="center", va="center", fontsize=12)
    ax.set(xticks=range(11), xticklabels=range(1, 12), yticks=range(7), yticklabels=range(1, 8), ylim=(7.6, -0.6))
    ax.set(xlabel="step n", ylabel="component c", title="The first two stops")
    plt.show()


_figure()

# %% [markdown] nbgrader={"grade": false, "grade_id": "convolution-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
**Exercise 1.3 · shape and formula** · 1 point by hand, 2 by machine · ★★☆ · 15 minutes

*What libraries call a convolution is none, strictly speaking.*

Libraries lay the filter down as it stands; the name for this is **cross-correlation**, and we write it $f_W(x)$. A
**convolution** in the sense of mathematics visits the same windows but reads the filter backwards in time: its last
column $W_{1 \cdot 3}$ meets the window's *first* step, and so on.

By hand: the shape of $f_W(x)$; its entry $r$ as a double sum over $W_{1ck}$ and $x$; the same for the convolution, and
the sign in an index that tells the two apart. Does it matter for a filter that is learnt? By machine: both as
functions, for any sizes and any stride.

<details><summary>Hint</summary>

At which step does window $r$ begin? Try $r = 1$ and $r = 2$ in the figure. Then which step does column $k$ of the
filter meet, in the one reading and in the other?

</details>
"""

# %% [markdown] nbgrader={"grade": true, "grade_id": "convolution-formula", "locked": false, "points": 1, "schema_version": 3, "solution": true, "task": false}
r"""
*Your answer here: double-click this line and write.*
"""


# %% nbgrader={"grade": false, "grade_id": "convolution-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def cross_correlation(x, W, stride=2):
    """f_W(x) for a sequence x (C, N) and one filter W (1, C, k); no padding.

    Returns a column (R, 1), with one entry for each place where the filter fits.
    """
    raise NotImplementedError


def convolution(x, W, stride=2):
    """The same windows with the filter read backwards in time; shapes as above."""
    raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "convolution", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
def _check_convolution():
    # One component, so that you can follow with a pencil; then the layer of this section
    x, W = torch.tensor([[1.0, 2.0, 4.0, 8.0, 16.0]]), torch.tensor([[[1.0, 0.0, -1.0]]])
    compare("cross-correlation", cross_correlation(x, W), [[1.0 - 4.0], [4.0 - 16.0]])
    compare("convolution", convolution(x, W), [[4.0 - 1.0], [16.0 - 4.0]])
    compare("stride 1", cross_correlation(x, W, stride=1), [[-3.0], [-6.0], [-12.0]])
    compare("convolution, stride 1", convolution(x, W, stride=1), [[3.0], [6.0], [12.0]])
    x, W = numbers((7, 11), (1, 7, 3), seed=1)
    compare("7 components", cross_correlation(x, W), functional.conv1d(x, W, stride=2).T)


_check_convolution()

# %% [markdown] nbgrader={"grade": false, "grade_id": "jacobian-weights-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
**Exercise 1.4 · by the filter** · 1 point by hand, 2 by machine · ★★☆ · 15 minutes

*The output is linear in the filter. So its Jacobian is a matrix made of data alone.*

By hand: the dimensions of $\frac{\partial f}{\partial W}$ for our layer, with $W$ flattened as agreed, and the entry in
row $r$ and in the column that belongs to $W_{1ck}$; say which column that is. By machine: the matrix for any sizes.

<details><summary>Hint</summary>

Read your formula for $f_W(x)[r]$ as a sum over 21 terms. What multiplies the one with $W_{1ck}$? How many entries come
before $W_{1ck}$ when the last index runs fastest?

</details>
"""

# %% [markdown] nbgrader={"grade": true, "grade_id": "jacobian-weights-derivation", "locked": false, "points": 1, "schema_version": 3, "solution": true, "task": false}
r"""
*Your answer here: double-click this line and write.*
"""


# %% nbgrader={"grade": false, "grade_id": "jacobian-weights-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def jacobian_by_weights(x, k, stride=2):
    """∂f/∂W for a sequence x (C, N) and one filter of width k.

    Returns a matrix (R, C·k); its columns are ordered like W.reshape(-1).
    """
    raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "jacobian-weights", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
def _check_jacobian_weights():
    x, W = numbers((7, 11), (1, 7, 3), seed=2)
    compare("∂f/∂W", jacobian_by_weights(x, 3), measured_jacobian(lambda W: functional.conv1d(x, W, stride=2), W))
    x, W = numbers((2, 9), (1, 2, 4), seed=3)
    measured = measured_jacobian(lambda W: functional.conv1d(x, W, stride=3), W)
    compare("∂f/∂W, stride 3", jacobian_by_weights(x, 4, 3), measured)


_check_jacobian_weights()

# %% [markdown] nbgrader={"grade": false, "grade_id": "jacobian-input-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
**Exercise 1.5 · by the input** · 1 point by hand, 2 by machine · ★★☆ · 15 minutes

*A convolution layer is a linear layer whose weight matrix is nearly empty, and whose few numbers repeat.*

By hand: the dimensions of $\frac{\partial f}{\partial x}$ for our layer, with $x$ flattened as agreed, and the entry in
row $r$ and in the column that belongs to $x_c[n]$. For which $n$ is it zero? By machine: the matrix for any sizes.

<details><summary>Hint</summary>

Which column $k$ of the filter lies over step $n$ while the filter is at its stop $r$? There may be none.

</details>
"""

# %% [markdown] nbgrader={"grade": true, "grade_id": "jacobian-input-derivation", "locked": false, "points": 1, "schema_version": 3, "solution": true, "task": false}
r"""
*Your answer here: double-click this line and write.*
"""


# %% nbgrader={"grade": false, "grade_id": "jacobian-input-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def jacobian_by_input(W, N, stride=2):
    """∂f/∂x for one filter W (1, C, k) on a sequence of N steps.

    Returns a matrix (R, C·N); its columns are ordered like x.reshape(-1).
    """
    raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "jacobian-input", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
def _check_jacobian_input():
    x, W = numbers((7, 11), (1, 7, 3), seed=4)
    compare("∂f/∂x", jacobian_by_input(W, 11), measured_jacobian(lambda x: functional.conv1d(x, W, stride=2), x))
    x, W = numbers((2, 9), (1, 2, 4), seed=5)
    measured = measured_jacobian(lambda x: functional.conv1d(x, W, stride=3), x)
    compare("∂f/∂x, stride 3", jacobian_by_input(W, 9, 3), measured)


_check_jacobian_input()


# %% nbgrader={"grade": false, "grade_id": "jacobians-figure", "locked": true, "schema_version": 3, "solution": false, "task": false} tags=["demo"]
def _figure():
    x, W = numbers((7, 11), (1, 7, 3), seed=6)
    figure, axes = plt.subplots(2, 1, figsize=(10, 2.9))
    for ax, matrix, width, title in (
        (axes[0], jacobian_by_weights(x, 3), 3, "Your ∂f/∂W: a window in each row"),
        (axes[1], jacobian_by_input(W, 11), 11, "Your ∂f/∂x: the filter in each row, shifted"),
    ):
        ax.imshow(matrix, cmap="PuOr", vmin=-3, vmax=3, aspect="auto")
        ax.vlines([width * c - 0.5 for c in range(1, 7)], -0.5, 4.5, color="black", linewidth=0.8)
        ax.set(title=title, xticks=[], yticks=[0, 4], yticklabels=["r = 1", "r = 5"])
    figure.tight_layout()
    plt.show()


_figure()

# %% [markdown] nbgrader={"grade": false, "grade_id": "gradient-weights-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
*In the figure: two matrices of five rows, orange negative, purple positive, white zero, cut into seven blocks. The
upper one is full of data. In each block of the lower one three numbers step down to the right like stairs, and all
else is white.*

**Exercise 1.6 · from the loss to the filter** · 1 point by hand, 2 by machine · ★★☆ · 15 minutes

*What the backward pass of a convolution does is a convolution, too, more or less.*

Somebody hands you $\frac{\partial \ell}{\partial f} \in \mathbb{R}^{1 \times 5}$. By hand: the dimensions of
$\frac{\partial \ell}{\partial W}$ ($W$ flattened), and the entry that belongs to $W_{1ck}$ as a sum. In what respect
does this sum resemble the forward pass, and in what does it differ? By machine: the row for any sizes.

<details><summary>Hint</summary>

The chain rule gives the row at once. For the resemblance, write its entry as a sum over $r$, next to the formula of
$f_W(x)[r]$: in both something slides over $x$. What slides, how long are its steps, and how far apart are its taps?

</details>
"""

# %% [markdown] nbgrader={"grade": true, "grade_id": "gradient-weights-derivation", "locked": false, "points": 1, "schema_version": 3, "solution": true, "task": false}
r"""
*Your answer here: double-click this line and write.*
"""


# %% nbgrader={"grade": false, "grade_id": "gradient-weights-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def gradient_by_weights(x, dl_df, k, stride=2):
    """∂ℓ/∂W for a sequence x (C, N), the upstream gradient dl_df (1, R) and one filter of width k.

    Returns a row (1, C·k); its entries are ordered like W.reshape(-1).
    """
    raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "gradient-weights", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
def _check_gradient_weights():
    # The loss here is linear in f, so that dl_df is its gradient wherever f may be
    x, W, dl_df = numbers((7, 11), (1, 7, 3), (1, 5), seed=7)
    measured = measured_jacobian(lambda W: (dl_df * functional.conv1d(x, W, stride=2)).sum(), W)
    compare("∂ℓ/∂W", gradient_by_weights(x, dl_df, 3), measured)
    x, W, dl_df = numbers((2, 9), (1, 2, 4), (1, 2), seed=8)
    measured = measured_jacobian(lambda W: (dl_df * functional.conv1d(x, W, stride=3)).sum(), W)
    compare("∂ℓ/∂W, stride 3", gradient_by_weights(x, dl_df, 4, 3), measured)


_check_gradient_weights()

# %% [markdown] nbgrader={"grade": false, "grade_id": "unrolled-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
Stairs of equal numbers in the Jacobian, and sums over windows in the gradient: that is what sharing in *space* looks
like. Now share in *time*.

## 2 · A gated recurrent network

$$c[t] = \sigma\bigl(W_c\, x[t] + W_h\, h[t-1]\bigr), \qquad
h[t] = c[t] \odot h[t-1] + (1 - c[t]) \odot \overline{W}_x\, x[t], \qquad h[0] = 0 .$$

$x[t] \in \mathbb{R}^n$ comes in and $h[t] \in \mathbb{R}^m$ is the state. The gate $c[t]$ decides, entry by entry, how
much of the old state stays and how much of the new candidate $\overline{W}_x x[t]$ comes in. (σ works entry by entry.)

**Exercise 2.1 · unrolled** · 2 points · ★☆☆ · 10 minutes

*Draw the network through time, by listing its arrows.*

The nodes are called `"x1"`, `"c1"`, `"h0"`, `"h1"`, … The function returns the arrows `("u", "v")` of the first $T$
steps; an arrow says that $v$ is computed *directly* from $u$. Weights are not drawn: they are the same at every step.
The check draws your arrows for three steps.

<details><summary>Hint</summary>

Write both equations for $t = 1$, and count the variables on their right-hand sides. Each of them sends an arrow.

</details>
"""


# %% nbgrader={"grade": false, "grade_id": "unrolled-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def unrolled_edges(T):
    """The arrows of the gated network unrolled for T steps: a list of pairs of names such as ("x1", "c1")."""
    raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "unrolled", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
def _check_unrolled():
    places = {"h0": (0, 2)}
    for t in (1, 2, 3):
        places |= {f"x{t}": (2 * t, 0), f"c{t}": (2 * t - 0.8, 1), f"h{t}": (2 * t, 2)}
    edges = [tuple(edge) for edge in unrolled_edges(3)]
    assert all(len(edge) == 2 for edge in edges), 'each arrow is a pair of names such as ("x1", "c1")'
    assert {node for edge in edges for node in edge} == set(places), "for T = 3 the nodes are x1…x3, c1…c3 and h0…h3"
    figure, ax = plt.subplots(figsize=(7, 3))
    draw_graph(ax, edges, places, "Your network, unrolled for three steps", square="x")
    plt.show()


_check_unrolled()

# %% [markdown] nbgrader={"grade": false, "grade_id": "dimensions-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
*In the figure: the states h0 to h3 in a row at the top, the gates c1 to c3 below, the inputs x1 to x3 in boxes at the
bottom, and your arrows.* Follow with a finger: how many roads lead from h0 to h1, and how many from x1 to h3?

**Exercise 2.2 · dimensions** · 1 point · ★☆☆ · 3 minutes

*Before you differentiate, know what fits where.*

<details><summary>Hint</summary>

$\odot$ multiplies two columns of the same length. Which length must $c[t]$ have, then?

</details>
"""


# %% nbgrader={"grade": false, "grade_id": "dimensions-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def gated_dimensions(n, m):
    """Rows and columns for x[t] (n, 1) and h[t] (m, 1): a dictionary from "W_c", "W_h", "W_x", "c" to pairs of int."""
    raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "dimensions", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
def _check_dimensions():
    answer = gated_dimensions(2, 3)
    assert set(answer) >= {"W_c", "W_h", "W_x", "c"}, "the keys are W_c, W_h, W_x and c"
    shapes = [answer[name] for name in ("W_c", "W_x", "W_h", "c")]
    assert all(len(shape) == 2 for shape in shapes), "each shape is a pair: rows, columns"
    fitting = [int(columns) for _, columns in shapes] == [2, 2, 3, 1]
    assert fitting, "a matrix has as many columns as what it multiplies has entries, and c is a column"
    assert len({int(rows) for rows, _ in shapes}) == 1, "the terms of the equations differ in length"
    print("ok  everything fits together")


_check_dimensions()


# %% nbgrader={"grade": false, "grade_id": "gated-network", "locked": true, "schema_version": 3, "solution": false, "task": false}
def gated_step(x, h, W_c, W_h, W_x):
    """c[t] (m, 1) and h[t] (m, 1), from x[t] (n, 1) and h[t−1] (m, 1); W_x is the matrix with a bar."""
    c = torch.sigmoid(W_c @ x + W_h @ h)
    return c, c * h + (1 - c) * (W_x @ x)


def gated_rnn(x, W_c, W_h, W_x, h0=None):
    """The network on a sequence x (n, K), one column for each step: the lists c[1]…c[K] and h[0]…h[K]."""
    cs, hs = [], [torch.zeros(len(W_h), 1, dtype=x.dtype) if h0 is None else h0]
    for t in range(x.shape[1]):
        c, h = gated_step(x[:, t : t + 1], hs[-1], W_c, W_h, W_x)
        cs.append(c)
        hs.append(h)
    return cs, hs


# %% [markdown] nbgrader={"grade": false, "grade_id": "gated-jacobians-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
The cell above is the network itself, as a function of one step and of a whole sequence. You may call both.

**Exercise 2.3 · one step back** · 2 points by hand, 2 by machine · ★★☆ · 20 minutes

*The two Jacobians on which everything else in this part rests.*

By hand: derive $\frac{\partial c[t]}{\partial h[t-1]}$ and then $\frac{\partial h[t]}{\partial h[t-1]}$, for $x[t]$
that does not change. Write products of matrices; $\text{diag}(v)$ is the matrix with the entries of $v$ on its
diagonal. By machine: the same two.

<details><summary>Hint</summary>

$h[t-1]$ appears twice in the second equation, once in plain sight and once inside of $c[t]$. The rule for products,
entry by entry: $\frac{\partial (u \odot v)}{\partial h} = \text{diag}(v) \frac{\partial u}{\partial h} +
\text{diag}(u) \frac{\partial v}{\partial h}$.

</details>
"""

# %% [markdown] nbgrader={"grade": true, "grade_id": "gated-jacobians-derivation", "locked": false, "points": 2, "schema_version": 3, "solution": true, "task": false}
r"""
*Your answer here: double-click this line and write.*
"""


# %% nbgrader={"grade": false, "grade_id": "gated-jacobians-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def gated_jacobians(x, h, W_c, W_h, W_x):
    """The Jacobians of one step, for x[t] (n, 1) and h[t−1] (m, 1); W_c (m, n), W_h (m, m), W_x (m, n).

    Returns a tuple of ∂c[t]/∂h[t−1] (m, m), ∂h[t]/∂h[t−1] (m, m).
    """
    raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "gated-jacobians", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
def _check_gated_jacobians():
    x, h, W_c, W_h, W_x = numbers((2, 1), (3, 1), (3, 2), (3, 3), (3, 2), seed=8)
    dc_dh, dh_dh = gated_jacobians(x, h, W_c, W_h, W_x)
    compare("∂c[t]/∂h[t−1]", dc_dh, measured_jacobian(lambda h: gated_step(x, h, W_c, W_h, W_x)[0], h))
    compare("∂h[t]/∂h[t−1]", dh_dh, measured_jacobian(lambda h: gated_step(x, h, W_c, W_h, W_x)[1], h))


_check_gated_jacobians()

# %% [markdown] nbgrader={"grade": false, "grade_id": "gated-gradient-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
**Exercise 2.4 · through time** · 2 points by hand, 3 by machine · ★★★ · 25 minutes

*One matrix, used K times: its gradient is a sum over all the times.*

The network runs on $x[1], \dots, x[K]$. A loss looks at all states, $\ell = \ell(h[1], \dots, h[K])$, and somebody
hands you what it says about each of them *directly*, when the others are held fixed: rows $r[t] \in \mathbb{R}^{1
\times m}$. (If only the last state counts, all but $r[K]$ are zero.)

By hand: derive $\frac{\partial \ell}{\partial \overline{W}_x}$ from $r[t]$, $x[t]$, $c[t]$ and the Jacobians
$J[t] = \frac{\partial h[t]}{\partial h[t-1]}$. Define whatever you find useful on the way, and state dimensions. Then
name two things that the forward and the backward pass through time share, and one in which they differ. By machine:
the gradient, laid out as agreed for matrices.

<details><summary>Hint 1</summary>

Let $\delta[t]$ be the gradient of ℓ by $h[t]$, *all* roads counted. What is $\delta[K]$? How do you get $\delta[t]$
once you know $\delta[t+1]$?

</details>

<details><summary>Hint 2</summary>

At each single time, $\overline{W}_x$ is the weight of a linear layer with input $x[t]$. You know its gradient from
homework 1: a column times a row. Which row is it here, after the gate?

</details>
"""

# %% [markdown] nbgrader={"grade": true, "grade_id": "gated-gradient-derivation", "locked": false, "points": 2, "schema_version": 3, "solution": true, "task": false}
r"""
*Your answer here: double-click this line and write.*
"""


# %% nbgrader={"grade": false, "grade_id": "gated-gradient-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def gated_gradient(x, W_c, W_h, W_x, r):
    """∂ℓ/∂W_x (the one with a bar) over the steps 1…K.

    x (n, K): column t is x[t]; W_c (m, n), W_h (m, m), W_x (m, n); r (K, m): row t is r[t]; h[0] = 0

    Returns a matrix (n, m).
    """
    raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "gated-gradient", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def _check_gated_gradient():
    def seen_by_the_loss(W_x, x, W_c, W_h, r):
        """A loss that is linear in the states: the sum of r[t] h[t]."""
        _, hs = gated_rnn(x, W_c, W_h, W_x)
        return (r * torch.stack(hs[1:])[:, :, 0]).sum()


    for K in (1, 2, 6):
        x, W_c, W_h, W_x, r = numbers((2, K), (3, 2), (3, 3), (3, 2), (K, 3), seed=9)
        leaf = W_x.clone().requires_grad_()
        (measured,) = torch.autograd.grad(seen_by_the_loss(leaf, x, W_c, W_h, r), leaf)
        compare(f"∂ℓ/∂W_x, K = {K}", gated_gradient(x, W_c, W_h, W_x, r), measured.T)


_check_gated_gradient()

# %% [markdown] nbgrader={"grade": false, "grade_id": "extremes-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
**Exercise 2.5 · fade, carry, explode** · 1 point by hand, 2 by machine · ★★★ · 15 minutes

*How much of what happens at the end can still be felt at the beginning?*

By the chain rule $\frac{\partial h[K]}{\partial h[0]} = J[K]\, J[K-1] \cdots J[1]$: a product of $K$ matrices. By
hand: can it vanish in this network? Can it explode? Under which conditions, in terms of $c[t]$, $W_h$ and $h[t-1] -
\overline{W}_x x[t]$; and when does it do neither? By machine: three networks with inputs, for every $K$ from 1 to 12,
whose size $s = \lVert \frac{\partial h[K]}{\partial h[0]} \rVert$ (largest singular value, at $h[0] = 0$) behaves as
you order it:

- `fading(K)`: $s \le 0.9^K$;
- `carrying(K)`: $0.9 \le s \le 1.1$;
- `exploding(K)`: $s \ge 2^K$.

You choose everything: $n$, $m$, the weights, the inputs.

<details><summary>Hint</summary>

$m = 1$ makes $J[t]$ a number, with two terms. Two of the networks are a matter of the gate alone. For the third take
$n = 2$, and let one component of $x[t]$ speak to the gate and the other be the candidate. Then you can steer both,
step by step: where is $c (1 - c)$ largest, and how must the candidate move so that $h[t-1] - \overline{W}_x x[t]$
stays large?

</details>
"""

# %% [markdown] nbgrader={"grade": true, "grade_id": "extremes-discussion", "locked": false, "points": 1, "schema_version": 3, "solution": true, "task": false}
r"""
*Your answer here: double-click this line and write.*
"""


# %% nbgrader={"grade": false, "grade_id": "extremes-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def fading(K):
    """Inputs x (n, K) and weights W_c (m, n), W_h (m, m), W_x (m, n), as a tuple, with s ≤ 0.9^K."""
    raise NotImplementedError


def carrying(K):
    """The same with 0.9 ≤ s ≤ 1.1."""
    raise NotImplementedError


def exploding(K):
    """The same with s ≥ 2^K."""
    raise NotImplementedError


# %% nbgrader={"grade": false, "grade_id": "extremes-tools", "locked": true, "schema_version": 3, "solution": false, "task": false}
def size_of_the_past(x, W_c, W_h, W_x):
    """s, the largest singular value of ∂h[K]/∂h[0] at h[0] = 0."""
    x, W_c, W_h, W_x = (torch.as_tensor(part).double() for part in (x, W_c, W_h, W_x))
    start = torch.zeros(len(W_h), 1, dtype=torch.double)
    jacobian = measured_jacobian(lambda h0: gated_rnn(x, W_c, W_h, W_x, h0)[1][-1], start)
    return float(torch.linalg.matrix_norm(jacobian, 2))


# %% nbgrader={"grade": true, "grade_id": "extremes", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
def _check_extremes():
    for K in (1, 5):
        for name, network in (("fading", fading), ("carrying", carrying), ("exploding", exploding)):
            assert torch.as_tensor(network(K)[0]).shape[1] == K, f"{name}({K}) should return K inputs, as columns of x"
        fade, carry, explode = (size_of_the_past(*network(K)) for network in (fading, carrying, exploding))
        assert fade <= 0.9**K * 1.001, f"fading({K}) has s = {fade:.3g}, more than 0.9^K"
        assert 0.9 <= carry <= 1.1, f"carrying({K}) has s = {carry:.3g}"
        assert explode >= 2**K * 0.999, f"exploding({K}) has s = {explode:.3g}, less than 2^K"
        print(f"ok  K = {K}: s = {fade:.3g}, {carry:.3g} and {explode:.4g}")


_check_extremes()


# %% nbgrader={"grade": false, "grade_id": "extremes-figure", "locked": true, "schema_version": 3, "solution": false, "task": false} tags=["demo"]
def _figure():
    figure, ax = plt.subplots(figsize=(5, 3))
    networks = {"fading": (fading, BLUE, "v"), "carrying": (carrying, GREEN, "s"), "exploding": (exploding, RED, "^")}
    for name, (network, colour, marker) in networks.items():
        sizes = [size_of_the_past(*network(K)) for K in range(1, 13)]
        ax.semilogy(range(1, 13), sizes, color=colour, marker=marker, label=name)
    ax.set(xlabel="number of steps K", ylabel="s", title="What is left of h[0] after K steps")
    ax.legend()
    plt.show()


_figure()

# %% [markdown] nbgrader={"grade": false, "grade_id": "attention-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
*In the figure: s against the number of steps, on a logarithmic axis. Triangles down (fading) sink along a straight
line, squares (carrying) stay at 1, triangles up (exploding) climb along a straight line.* A straight line here is an
exponential, and this is why gradients through time are rarely lukewarm.

## 3 · Attention in time

A gated network has to push everything it wants to keep through the last state. Why not look back? **AttentionRNN(2)**
asks three questions at each step, one to the input and one to each of the two states before:

$$\begin{aligned}
q_0 &= Q_0\, x[t], & q_1 &= Q_1\, h[t-1], & q_2 &= Q_2\, h[t-2], \\
k_0 &= K_0\, x[t], & k_1 &= K_1\, h[t-1], & k_2 &= K_2\, h[t-2], \\
v_0 &= V_0\, x[t], & v_1 &= V_1\, h[t-1], & v_2 &= V_2\, h[t-2],
\end{aligned}$$

$$w_i = q_i^\top k_i, \qquad a = \text{softargmax}(w), \qquad h[t] = \sum_i a_i\, v_i .$$

$x[t] \in \mathbb{R}^n$, $h[t] \in \mathbb{R}^m$, queries and keys have $d$ entries, and $h[t] = 0$ for $t \le 0$.

*In the figure below: four steps of it. Each state in the upper row receives a straight arrow from its input in the
lower row, and arrows from the one or two states before it.*
"""


# %% nbgrader={"grade": false, "grade_id": "attention-figure", "locked": true, "schema_version": 3, "solution": false, "task": false} tags=["demo"]
def _figure():
    figure, ax = plt.subplots(figsize=(7, 2.6))
    places = {f"x{t}": (2 * t, 0) for t in (1, 2, 3, 4)} | {f"h{t}": (2 * t, 1.5) for t in (1, 2, 3, 4)}
    edges = [(f"x{t}", f"h{t}") for t in (1, 2, 3, 4)]
    edges += [(f"h{t - i}", f"h{t}") for t in (2, 3, 4) for i in (1, 2) if t > i]
    draw_graph(ax, edges, places, "AttentionRNN(2), unrolled", square="x")
    plt.show()


_figure()

# %% [markdown] nbgrader={"grade": false, "grade_id": "attention-dimension-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
**Exercise 3.1 · dimensions** · 1 point · ★☆☆ · 3 minutes

*Who is asked, and how many numbers does the answer hold?*

Rows and columns of $a$, $Q_0$, $Q_1$, $V_0$ and $V_1$ in AttentionRNN(2).

<details><summary>Hint</summary>

One weight for each that is asked. And which length must $v_i$ have, so that the sum can be a state?

</details>
"""


# %% nbgrader={"grade": false, "grade_id": "attention-dimension-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def attention_dimensions(n, m, d):
    """Rows and columns in AttentionRNN(2): a dictionary from "a", "Q0", "Q1", "V0", "V1" to pairs of int."""
    raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "attention-dimension", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
def _check_attention_dimension():
    answer, names = attention_dimensions(2, 3, 5), ("a", "Q0", "Q1", "V0", "V1")
    assert set(answer) >= set(names), "the keys are a, Q0, Q1, V0 and V1"
    assert all(len(answer[name]) == 2 for name in names), "each shape is a pair: rows, columns"
    print("ok  five pairs; whether they are right, the grader will tell")


_check_attention_dimension()

# %% [markdown] nbgrader={"grade": false, "grade_id": "attention-k-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
**Exercise 3.2 · AttentionRNN(k)** · 1 point by hand, 2 by machine · ★★☆ · 12 minutes

*From two states to any fixed number of them.*

By hand: write the equations of AttentionRNN(k) in general, with the range of every index, and the dimension of $a$. By
machine: one step of it.

<details><summary>Hint</summary>

Give the input the index 0, and let index $i$ mean “i steps ago”. `torch.softmax(w, dim=0)` is softargmax for a column.

</details>
"""

# %% [markdown] nbgrader={"grade": true, "grade_id": "attention-k-equations", "locked": false, "points": 1, "schema_version": 3, "solution": true, "task": false}
r"""
*Your answer here: double-click this line and write.*
"""


# %% nbgrader={"grade": false, "grade_id": "attention-step-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def attention_step(x, history, Q, K, V):
    """One step of AttentionRNN(k), for any k from 1 on.

    x = x[t] (n, 1); history = [h[t−1], …, h[t−k]], each (m, 1)
    Q = [Q0, …, Qk], K = [K0, …, Kk], V = [V0, …, Vk]: lists of k + 1 matrices

    Returns h[t] (m, 1).
    """
    raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "attention-step", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
def _check_attention_step():
    # States of one number, d = 2: w = (0, log 2, log 3), so a = (1, 2, 3) / 6, and the values are 6, 12 and 18
    one, both = torch.ones(1, 1), torch.ones(2, 1)
    h_new = attention_step(
        *(6 * one, [12 * one, 18 * one], [0 * both, both, both]),
        *([both, math.log(2) / 288 * both, math.log(3) / 648 * both], [one, one, one]),
    )
    compare("h[t]", h_new, [[(1 * 6 + 2 * 12 + 3 * 18) / 6]])
    # All sizes different, and keys of zeros: then everybody counts alike, and h[t] is the mean of the values
    x, h1, Q0, Q1, V0, V1 = numbers((2, 1), (3, 1), (4, 2), (4, 3), (3, 2), (3, 3), seed=9)
    h_new = attention_step(x, [h1], [Q0, Q1], [torch.zeros(4, 2), torch.zeros(4, 3)], [V0, V1])
    compare("the mean of values", h_new, (V0 @ x + V1 @ h1) / 2)


_check_attention_step()

# %% [markdown] nbgrader={"grade": false, "grade_id": "attention-all-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
**Exercise 3.3 · AttentionRNN(∞)** · 1 point by hand, 2 by machine · ★★☆ · 15 minutes

*Let it look back as far as there is anything to see, to $h[1]$.*

By hand: write the sum for $h[t]$. How many parameters does step $t$ need if every distance has its own matrices, and
why is this a problem, in more than one respect? How does *tying* cure it, and what is lost? By machine: the number of
parameters, and one step of the tied network, with $Q_i = Q$, $K_i = K$, $V_i = V$ for all $i \ge 1$ (the matrices for
the input stay its own).

<details><summary>Hint</summary>

What becomes of a sequence that is longer than all sequences of the training set? And what changes for the tied network
if two states of the past are exchanged?

</details>
"""

# %% [markdown] nbgrader={"grade": true, "grade_id": "attention-all-discussion", "locked": false, "points": 1, "schema_version": 3, "solution": true, "task": false}
r"""
*Your answer here: double-click this line and write.*
"""


# %% nbgrader={"grade": false, "grade_id": "attention-all-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def attention_parameters(n, m, d, k, tied=False):
    """How many numbers are in all the matrices of an AttentionRNN that looks at x[t] and k ≥ 1 states; an int."""
    raise NotImplementedError


def tied_attention_step(x, history, Q0, K0, V0, Q, K, V):
    """One step of the tied AttentionRNN(∞).

    x = x[t] (n, 1); history = [h[t−1], …, h[1]], each (m, 1), a list of any length, empty at the first step
    Q0, K0 (d, n), V0 (m, n) for the input; Q, K (d, m), V (m, m) for all states

    Returns h[t] (m, 1).
    """
    raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "attention-all", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
def _check_attention_all():
    assert attention_parameters(1, 1, 1, 2) == 9, "AttentionRNN(2) has nine matrices, here of one number each"
    assert attention_parameters(1, 1, 1, 2, tied=True) == 6, "tied, it has six matrices, here of one number each"
    assert attention_parameters(1, 2, 3, 2) == 40, "the number of parameters is not right for n = 1, m = 2, d = 3, k = 2"
    x, Q0, K0, V0, Q, K, V = numbers((2, 1), (4, 2), (4, 2), (3, 2), (4, 3), (4, 3), (3, 3), seed=10)
    past = numbers(*[(3, 1)] * 5, seed=11)
    compare("first step", tied_attention_step(x, [], Q0, K0, V0, Q, K, V), V0 @ x)  # nothing but the input to look at
    h_new = tied_attention_step(x, past, 0 * Q0, K0, V0, 0 * Q, K, V)  # queries of zeros: the mean of six values
    compare("sixth step, no queries", h_new, (V0 @ x + V @ sum(past)) / 6)
    one = torch.ones(1, 1)  # w = (0, log 2, 4 log 2), so a = (1, 2, 16) / 19
    h_new = tied_attention_step(3 * one, [one, 2 * one], 0 * one, one, 5 * one, one, math.log(2) * one, 7 * one)
    compare("third step", h_new, [[(1 * 15 + 2 * 7 + 16 * 14) / 19]])
    states = (torch.as_tensor(tied_attention_step(x, past[::way], Q0, K0, V0, Q, K, V)) for way in (1, -1))
    long_ago, reverse = states
    print("for the past in reverse h[t] changes by", float((long_ago - reverse).abs().max()))


_check_attention_all()


# %% nbgrader={"grade": false, "grade_id": "attention-growth-figure", "locked": true, "schema_version": 3, "solution": false, "task": false} tags=["demo"]
def _figure():
    figure, ax = plt.subplots(figsize=(5, 2.8))
    steps = range(2, 101)
    for tied, colour, style, label in ((False, RED, "--", "a matrix for each distance"), (True, BLUE, "-", "tied")):
        ax.semilogy(steps, [attention_parameters(32, 64, 16, t - 1, tied) for t in steps], style, color=colour, label=label)
    ax.set(xlabel="step t", ylabel="parameters in use", title="Your AttentionRNN(∞), with n = 32, m = 64, d = 16")
    ax.legend()
    plt.show()


_figure()

# %% [markdown] nbgrader={"grade": false, "grade_id": "attention-jacobian-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
*In the figure: parameters against the step, on a logarithmic axis. The dashed line climbs to more than half a million
at step 100; the solid one is level at about ten thousand.*

**Exercise 3.4 · one arrow** · 2 points by hand, 3 by machine · ★★★ · 25 minutes

*The same state is query, key and value, and through softargmax it even changes what the others weigh.*

By hand: derive $\frac{\partial h[t]}{\partial h[t-1]}$ in AttentionRNN(2) along the arrow from $h[t-1]$ to $h[t]$
alone: $x[t]$ and $h[t-2]$ are held fixed. Simplify until no sum is left. By machine: the same for the state $j$ steps
ago, in AttentionRNN(k).

<details><summary>Hint 1</summary>

Two roads: through $v_1$, with $a$ fixed, and through $w_1$, with the values fixed. On the second road $w_1$ is a
number, and its gradient by $h[t-1]$ is a row. A number such as $q_1^\top k_1$ with both factors depending on the state
has two terms.

</details>

<details><summary>Hint 2</summary>

How does softargmax react when $w_1$ alone grows: what is $\frac{\partial a_i}{\partial w_1}$, for $i = 1$ and for the
others? Put this into $\sum_i v_i \frac{\partial a_i}{\partial w_1}$, and look for $h[t]$ in it.

</details>
"""

# %% [markdown] nbgrader={"grade": true, "grade_id": "attention-jacobian-derivation", "locked": false, "points": 2, "schema_version": 3, "solution": true, "task": false}
r"""
*Your answer here: double-click this line and write.*
"""


# %% nbgrader={"grade": false, "grade_id": "attention-jacobian-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def attention_jacobian(x, history, Q, K, V, j):
    """∂h[t]/∂h[t−j] in AttentionRNN(k), 1 ≤ j ≤ k, the other states and x[t] held fixed.

    x (n, 1); history = [h[t−1], …, h[t−k]], each (m, 1); Q, K, V: lists of k + 1 matrices, as in 3.2

    Returns a matrix (m, m).
    """
    raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "attention-jacobian", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def _check_attention_jacobian():
    def looking_back(x, history, Q, K, V):
        """h[t] again, for this check: with one product of many matrices in place of your sum."""
        sources = [x, *history]
        w = torch.stack([(s.T @ Q[i].T @ K[i] @ s).squeeze() for i, s in enumerate(sources)])
        return sum(weight * V[i] @ sources[i] for i, weight in enumerate(functional.softmax(w, dim=0)))


    x, old, older = numbers((2, 1), (3, 1), (3, 1), seed=12)
    Q, K = numbers((4, 2), (4, 3), (4, 3), seed=13), numbers((4, 2), (4, 3), (4, 3), seed=14)
    V = numbers((3, 2), (3, 3), (3, 3), seed=15)
    right = measured_jacobian(lambda h: looking_back(x, [h, older], Q, K, V), old)
    compare("∂h[t]/∂h[t−1]", attention_jacobian(x, [old, older], Q, K, V, 1), right)
    right = measured_jacobian(lambda h: looking_back(x, [old, h], Q, K, V), older)
    compare("∂h[t]/∂h[t−2]", attention_jacobian(x, [old, older], Q, K, V, 2), right)


_check_attention_jacobian()

# %% [markdown] nbgrader={"grade": false, "grade_id": "attention-backward-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
**Exercise 3.5 · all arrows** · 1 point by hand, 2 by machine · ★★☆ · 15 minutes

*A state that many look back at hears from all of them.*

AttentionRNN(k) has run for $L$ steps. As in 2.4 the rows $r[t] \in \mathbb{R}^{1 \times m}$ say what the loss sees of
each state directly, and the Jacobians $J[t, s] = \frac{\partial h[t]}{\partial h[s]}$ of 3.4, one for each arrow from
$h[s]$ to $h[t]$, are known. By hand: express $\frac{\partial \ell}{\partial h[T]}$ by $r[T]$ and by the gradients
*upstream*, $\frac{\partial \ell}{\partial h[t]}$ with $t > T$. Which $t$ appear, also near the end of the sequence?
Why does no product of two Jacobians appear? By machine: all gradients of a sequence.

<details><summary>Hint</summary>

Look at the unrolled figure of this part: which arrows *leave* $h[2]$? In which order must the gradients be computed?

</details>
"""

# %% [markdown] nbgrader={"grade": true, "grade_id": "attention-backward-derivation", "locked": false, "points": 1, "schema_version": 3, "solution": true, "task": false}
r"""
*Your answer here: double-click this line and write.*
"""


# %% nbgrader={"grade": false, "grade_id": "attention-backward-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def attention_backward(r, J):
    """∂ℓ/∂h[t] for all t from 1 to L.

    r (L, m): row t is r[t]; J: a dictionary from (t, s) to ∂h[t]/∂h[s] (m, m), with an entry for each arrow, in any
    order; t = 1, …, L counted from 1, so that r[t] is r[t - 1] in Python

    Returns a matrix (L, m) whose rows are ∂ℓ/∂h[1], …, ∂ℓ/∂h[L]; r stays as it is.
    """
    raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "attention-backward", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
def _check_attention_backward():
    # States of one number each, where every arrow doubles, triples, …: count the roads from h[1] to h[3] with a pencil
    r, J = torch.tensor([[0.0], [0.0], [1.0]]), {(3, 1): 10.0, (2, 1): 2.0, (3, 2): 3.0}
    yours = attention_backward(r, {arrow: torch.tensor([[slope]]) for arrow, slope in J.items()})
    compare("from h[3] alone", yours, [[10.0 + 2.0 * 3.0], [3.0], [1.0]])
    r = torch.tensor([[100.0], [0.0], [1.0]])
    yours = attention_backward(r, {arrow: torch.tensor([[slope]]) for arrow, slope in J.items()})
    compare("from h[1] as well", yours, [[116.0], [3.0], [1.0]])
    compare("r as it was", r, [[100.0], [0.0], [1.0]])
    r = torch.tensor([[0.0, 0.0], [10.0, 1.0]])  # two numbers each, and a row times a matrix
    compare(
        "two numbers each", attention_backward(r, {(2, 1): torch.tensor([[1.0, 2.0], [3.0, 4.0]])}), [[13, 24], [10, 1]]
    )


_check_attention_backward()

# %% [markdown] nbgrader={"grade": false, "grade_id": "debugging-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
## 4 · A loss curve with kinks

Enough paper. Below, an LSTM with 24 units reads sequences of 12 symbols. Among four meaningless letters stand two that
count, each of them X or Y, early and late; XX, XY, YX and YY are the four classes, all equally frequent. It is trained
by plain gradient descent on the cross-entropy, on fresh batches, with the learning rate 0.5. It does learn, but look
how.

*In the figure below: the loss of 500 steps. It begins at the dotted line, which marks its first value. On its way down,
during the first 200 steps, it jumps up time and again within one or two steps, often far above that line, and falls
back; after that it creeps to nearly 0.*
"""


# %% nbgrader={"grade": false, "grade_id": "debugging-run", "locked": true, "schema_version": 3, "solution": false, "task": false} tags=["demo"]
def _figure():
    torch.set_num_threads(1)  # several threads on so small a network get in each other's way
    generator = torch.Generator()


    def draw_batch(size=32, length=12):
        """Sequences (size, length, 6), one-hot, and their classes (size,)."""
        symbols = torch.randint(0, 4, (size, length), generator=generator)  # the meaningless ones
        marks = torch.randint(0, 2, (size, 2), generator=generator)  # X or Y, twice
        early = torch.randint(2, length // 3, (size,), generator=generator)
        late = torch.randint(length // 3, 2 * length // 3, (size,), generator=generator)
        symbols[torch.arange(size), early], symbols[torch.arange(size), late] = 4 + marks[:, 0], 4 + marks[:, 1]
        return functional.one_hot(symbols, 6).float(), 2 * marks[:, 0] + marks[:, 1]


    def train_lstm(rate=0.5, tame=lambda parameters: None, steps=500, units=24):
        """The loss at every step and the size of its gradient; `tame` may change the gradients before each step."""
        torch.manual_seed(0)
        generator.manual_seed(0)
        lstm, head = torch.nn.LSTM(6, units, batch_first=True), torch.nn.Linear(units, 4)
        lstm.bias_ih_l0.data[units : 2 * units] += 2  # the forget gates begin open, so that it learns at all
        parameters = [*lstm.parameters(), *head.parameters()]
        optimizer, losses, sizes = torch.optim.SGD(parameters, lr=rate), [], []
        for _ in range(steps):
            sequences, classes = draw_batch()
            outputs, _ = lstm(sequences)  # (B, T, units)
            loss = functional.cross_entropy(head(outputs[:, -1]), classes)
            optimizer.zero_grad()
            loss.backward()
            losses.append(loss.item())
            sizes.append(torch.cat([parameter.grad.flatten() for parameter in parameters]).norm().item())
            tame(parameters)
            optimizer.step()
        return losses, sizes


    lstm_run = train_lstm()
    losses, _ = lstm_run
    figure, ax = plt.subplots(figsize=(8, 3))
    ax.plot(losses, color=BLUE, linewidth=1)
    ax.axhline(losses[0], color="black", linestyle=":", label="first value")
    ax.set(xlabel="step", ylabel="loss", title="What is wrong here?", ylim=(0, None))
    ax.legend()
    plt.show()
    return lstm_run, train_lstm


lstm_run, train_lstm = _figure()

# %% [markdown] nbgrader={"grade": false, "grade_id": "kinks-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
**Exercise 4.1 · the kinks** · 1 point by hand, 1 by machine · ★★☆ · 8 minutes

*Many things make a loss curve rough. Only one of them makes this.*

- **A** Each batch holds other examples, and some batches are harder than others.
- **B** The network overfits, and forgets its training examples again.
- **C** The gradients vanish on their way back through time, and the parameters no longer move.
- **D** At some steps the gradient is several times as long as usual, and one step along it throws the parameters out of
  the valley in which they were.
- **E** The four classes are not equally frequent.
- **F** Numbers in `float32` overflow, and become infinite.

By machine: the letter of the cause. By hand: explain in two or three sentences where, in a recurrent network, such
steps come from, and why *one* of them is enough for a kink. The next exercises ask about what happens after it.

<details><summary>Hint</summary>

For each suspect, ask how the curve would look if he alone had done it. A suspect who can shake a curve by a tenth
cannot double it. The last figure of part 2 is a witness.

</details>
"""

# %% nbgrader={"grade": false, "grade_id": "kinks-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
# kink_cause = "…"
raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "kinks", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
def _check_kinks():
    assert kink_cause in list("ABCDEF"), "kink_cause is one of the letters A to F"
    print("ok  one letter; whether it is right, the grader will tell")


_check_kinks()

# %% [markdown] nbgrader={"grade": true, "grade_id": "kinks-words", "locked": false, "points": 1, "schema_version": 3, "solution": true, "task": false}
r"""
*Your answer here: double-click this line and write.*
"""

# %% [markdown] nbgrader={"grade": false, "grade_id": "spikes-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
**Exercise 4.2 · worse than knowing nothing** · 1 point · ★★☆ · 3 minutes

*The network began without any knowledge. How can it be worse than that, after it has learnt something?*

Why do the early spikes go beyond the value with which the loss began?

- **A** The learning rate has grown since the beginning.
- **B** An untrained network bets on all classes alike. After some training it bets with confidence; thrown off its
  place, it bets with confidence on wrong classes, and for these $-\log p$ has no upper limit.
- **C** The first value is a lower limit of the cross-entropy as long as the accuracy is below one half.
- **D** At a spike every sequence of the batch is classified wrongly, and this costs exactly twice the first value.

<details><summary>Hint</summary>

What does one example cost when the network gives its right class the probability 1/4, and what when it gives 1/1000?

</details>
"""

# %% nbgrader={"grade": false, "grade_id": "spikes-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
# spike_reason = "…"
raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "spikes", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
def _check_spikes():
    assert spike_reason in list("ABCD"), "spike_reason is one of the letters A to D"
    print("ok  one letter; whether it is right, the grader will tell")


_check_spikes()

# %% [markdown] nbgrader={"grade": false, "grade_id": "fixes-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
**Exercise 4.3 · cures** · 1 point · ★★☆ · 3 minutes

*Keep the model, keep the data, keep the loss. Change how it is trained, and nothing else.*

Which of these remove the cause, by a change of the training procedure alone? Give the set of all that do.

- **A** If the gradient of all parameters together is longer than a limit, shrink it to that length.
- **B** Replace the LSTM by a GRU.
- **C** Compute how far the update would move the parameters; if it is farther than a fixed distance, move them by that
  distance only, in the same direction.
- **D** Plot the mean of the last hundred losses instead of each single one.
- **E** Limit every single entry of the gradient to a small interval around 0.
- **F** Try seeds until there is one without a spike.
- **G** Twice as many layers.

<details><summary>Hint</summary>

Ask two things of each: does it touch the training procedure alone, and does it keep a single step from being too long?

</details>
"""

# %% nbgrader={"grade": false, "grade_id": "fixes-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
# fixes = {"…", …}
raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "fixes", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
def _check_fixes():
    assert set(fixes) <= set("ABCDEFG") and fixes, "fixes is a set of letters from A to G"
    print("ok  a set of letters; whether they are right, the grader will tell")


_check_fixes()

# %% [markdown] nbgrader={"grade": false, "grade_id": "initial-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
**Exercise 4.4 · the first value** · 1 point · ★☆☆ · 3 minutes

*The cheapest bug finder of all: know what the loss should be before anything has been learnt.*

From the task alone, and not from the figure: which accuracy (between 0 and 1) and which loss do you expect of an
untrained network that gives all four classes the same probability?

<details><summary>Hint</summary>

The cross-entropy of one example is $-\log$ of the probability that its right class was given; log is the natural one.

</details>
"""

# %% nbgrader={"grade": false, "grade_id": "initial-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
# initial_accuracy = …
# initial_loss = …
raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "initial", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
def _check_initial():
    assert 0 <= initial_accuracy <= 1, "the accuracy is a number between 0 and 1"
    assert initial_loss > 0, "a cross-entropy is positive"
    print("ok  two numbers; compare the second with the dotted line of the figure")


_check_initial()


# %% nbgrader={"grade": false, "grade_id": "cures-figure", "locked": true, "schema_version": 3, "solution": false, "task": false} tags=["demo"]
def _figure():
    losses, sizes = lstm_run
    cures = {
        "as it was": (losses, BLUE, "-"),
        "length at most 0.5": (train_lstm(tame=lambda p: torch.nn.utils.clip_grad_norm_(p, 0.5))[0], GREEN, "-"),
        "entries at most 0.01": (train_lstm(tame=lambda p: torch.nn.utils.clip_grad_value_(p, 0.01))[0], ORANGE, "--"),
        "learning rate 0.05": (train_lstm(rate=0.05)[0], RED, ":"),
    }
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 3.2))
    left.semilogy(sizes, color=BLUE, linewidth=1)
    before = [step for step in range(499) if losses[step + 1] - losses[step] > 0.5]
    left.plot(before, [sizes[step] for step in before], "o", color=RED, fillstyle="none", label="before a jump")
    left.legend(fontsize=8)
    left.set(xlabel="step", ylabel="length of the gradient", title="As it was: the gradient")
    for label, (curve, colour, style) in cures.items():
        right.plot(curve, style, color=colour, linewidth=1, label=label)
    right.set(xlabel="step", ylabel="loss", title="Cured, and not cured", ylim=(0, None))
    right.legend(fontsize=8)
    plt.show()


_figure()

# %% [markdown] nbgrader={"grade": false, "grade_id": "closing", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
*In the figure: on the left the length of the gradient on a logarithmic axis; circles mark the steps just before a jump
of the loss, and they sit on peaks. On the right the loss again. With a limit for the length of the gradient (solid,
green) or for its entries (dashed) nothing jumps any more, and the loss comes down to nearly 0. A tenth of the
learning rate alone (dotted) only makes it slower: it walks to the same walls in smaller steps, and jumps there all the
same. Elsewhere a lower rate can be enough; try.*

**What you take along**

- Weights that are shared have gradients that are summed: over windows in space, over steps in time.
- A Jacobian can be looked at. That of a convolution is a staircase of equal numbers.
- A product of many Jacobians fades or explodes unless something holds it near the identity: a gate that is open, or an
  arrow that leads directly back.
- Know the first value of your loss, and watch the length of your gradient.

In the next notebooks the staircase becomes a network that sees, and the gate becomes a network that remembers.
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
        "1.1 first-shape",
        "1.2 conv-output-shape",
        "1.3 convolution",
        "1.4 jacobian-weights",
        "1.5 jacobian-input",
        "1.6 gradient-weights",
        "2.1 unrolled",
        "2.2 dimensions",
        "2.3 gated-jacobians",
        "2.4 gated-gradient",
        "2.5 extremes",
        "3.1 attention-dimension",
        "3.2 attention-step",
        "3.3 attention-all",
        "3.4 attention-jacobian",
        "3.5 attention-backward",
        "4.1 kinks",
        "4.2 spikes",
        "4.3 fixes",
        "4.4 initial",
    ],
    [
        "1.3 convolution-formula",
        "1.4 jacobian-weights-derivation",
        "1.5 jacobian-input-derivation",
        "1.6 gradient-weights-derivation",
        "2.3 gated-jacobians-derivation",
        "2.4 gated-gradient-derivation",
        "2.5 extremes-discussion",
        "3.2 attention-k-equations",
        "3.3 attention-all-discussion",
        "3.4 attention-jacobian-derivation",
        "3.5 attention-backward-derivation",
        "4.1 kinks-words",
    ],
    {
        87619888: "BLUE compare draw_graph GREEN measured_jacobian numbers ORANGE RED relative_error",
        3912114011: "gated_rnn gated_step",
        3723960787: "size_of_the_past",
        2335745527: "lstm_run train_lstm",
    },
    "*Your answer here: double-click this line and write.*",
)
