# %% [markdown] nbgrader={"grade": false, "grade_id": "header", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
# Convolution, recurrence and what goes wrong

A convolution uses the same few weights at every place. A recurrent network uses the same few weights at every time.
This notebook asks what such sharing does to gradients.

**What you will build.** The Jacobians of a 1-D convolution. A gated recurrent network whose gradient through time
fades, survives or explodes as you choose. A recurrent network with attention. Two measurements that show why the loss
of an LSTM jumps.

| part | you answer | points by machine | by hand | minutes |
|---|---|---|---|---|
| 1 Convolution | sizes, formula, three derivatives | 3+2+2+2+2 | 1+3 | 70 |
| 2 A gated network | graph, gradient through time, extremes | 3+2+3+2 | 4+1 | 80 |
| 3 Attention in time | equations, arrows, a prediction | 3+2+3+1+½ | 2+3+½ | 75 |
| 4 A loss that jumps | two measurements, four questions | ½+2 | 2½ | 40 |
| **in all** | **50 points** | **33** | **17** | **265** |

**You need** homework 1: the chain rule in numerator layout. Everything runs in about ten seconds on a CPU.

**How to work.** Start on paper. Replace *Your answer here* with a derivation or a few sentences; a person marks them
step by step. Replace `raise NotImplementedError` with the result as a small function, which may return tensors, NumPy
arrays, lists or numbers. The cell below checks an example; the grader uses other sizes and numbers.
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
# ORANGE, RED, relative_error, show_figure, gated_rnn, gated_step, size_of_the_past, lstm_run, train_lstm.
# Give your own helpers other names.

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


def measured_jacobian(f, v):
    """∂f/∂v by autograd, in numerator layout: (entries of f(v), entries of v), both flattened as reshape(-1) does."""
    return torch.autograd.functional.jacobian(f, v).reshape(-1, v.numel())


def draw_graph(ax, edges, places, title, far=math.inf):
    """Arrows between named places; inputs x get a box, others a circle. Arrows longer than `far` curve over others."""
    for start, end in edges:
        bow = -0.35 if places[end][0] - places[start][0] > far else 0
        bend = {"arrowstyle": "->", "shrinkA": 13, "shrinkB": 13, "connectionstyle": f"arc3,rad={bow}"}
        ax.annotate("", places[end], places[start], arrowprops=bend)
    for node, place in places.items():
        boxed = node[0] == "x"
        look = {"boxstyle": "square" if boxed else "circle", "facecolor": "#FBEBC8" if boxed else "#D6E8F5"}
        ax.text(*place, node, ha="center", va="center", fontsize=9, bbox=look)
    across, up = zip(*places.values(), strict=True)
    ax.set(xlim=(min(across) - 0.6, max(across) + 0.6), ylim=(min(up) - 0.6, max(up) + 0.9), title=title)
    ax.axis("off")


# %% [markdown] nbgrader={"grade": false, "grade_id": "conv-output-shape-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
## Notation

**Columns.** Vectors are columns, on paper and in code: a vector of $m$ numbers has shape `(m, 1)`. A sequence of $N$
vectors $x[n]\in\mathbb{R}^C$ has shape `(C, N)`, with one *column* for each step; $x_c[n]$ is component $c$ at step
$n$. We count from 1 on paper; Python counts from 0. (Elsewhere in this course, examples are rows, `(B, C)`.)

**Numerator layout.** The derivative of $m$ numbers with respect to $n$ numbers is an $m\times n$ matrix. The gradient
of a scalar $\ell$ is a row, and the chain rule reads from left to right. For $W\in\mathbb{R}^{m\times n}$ the gradient
$\frac{\partial\ell}{\partial W}$ is $n\times m$, with $\frac{\partial\ell}{\partial W_{ij}}$ in row $j$, column $i$.

**Flattening.** To differentiate with respect to a filter or a sequence, we put its entries in one column, the last
index running fastest, as `reshape(-1, 1)` does. A filter $W\in\mathbb{R}^{1\times C\times k}$ becomes
$(W_{111},\dots,W_{11k},W_{121},\dots,W_{1Ck})^\top$, and a sequence becomes
$(x_1[1],\dots,x_1[N],x_2[1],\dots,x_C[N])^\top$.

**Rules.** Your answers must not use automatic differentiation or PyTorch's convolutions. The checks use them, and cells
that you add may, too. Differences of values (numerical gradients) are allowed, but they are inexact, and they are no
derivation. Your functions must not change the tensors, lists and dictionaries they are given.

## 1 · Convolution

**Exercise 1.1 · sizes** · 3 points · ★★☆ · 12 minutes

1. A kernel of height 3 and width 5 slides over an image of height 17 and width 11, with stride 2 in both directions and
no padding or dilation. Set `first_shape` to the pair (height, width) of the result. (1 point)
2. Write `conv_output_shape(C, H, W, HK, WK, P, S, D, F)`. It returns the shape of a convolution layer's output for one
image: a tuple (channels, height, width) of whole numbers. (2 points)

The image has $C$ channels, height $H$ and width $W$; each of the $F$ filters has height $H_K$ and width $W_K$. Padding
adds $P$ zeros on *every* side. Stride $S$ is the distance from one place to the next. Dilation $D$ is the distance
between neighbouring taps of the kernel, so $D=1$ is an ordinary kernel. $P$, $S$ and $D$ are the same in both
directions. The kernel always stays inside the padded image, even where sizes do not divide evenly.

<details><summary>Hint</summary>

Put the kernel in the upper left corner. How many strides fit into the pixels below it? Count the starting place too.
How many pixels does a dilated kernel span?

</details>
"""

# %% nbgrader={"grade": false, "grade_id": "conv-output-shape-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
# first_shape = (…, …)
raise NotImplementedError


def conv_output_shape(C, H, W, HK, WK, P, S, D, F):
    """The shape of a convolution layer's output for one image: a tuple of channels, height, width (all int)."""
    raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "conv-output-shape", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def _check_conv_output_shape():
    assert len(first_shape) == 2, "first_shape should be a pair: height, width"
    assert all(0 < size < 17 and size == int(size) for size in first_shape), "first_shape: two whole numbers below 17"
    for C, H, W, HK, WK, P, S, D, F in ((3, 10, 7, 2, 4, 0, 1, 1, 8), (1, 9, 12, 3, 2, 1, 2, 2, 4)):
        made = functional.conv2d(torch.zeros(C, H, W), torch.zeros(F, C, HK, WK), stride=S, padding=P, dilation=D)
        yours = conv_output_shape(C, H, W, HK, WK, P, S, D, F)
        assert yours is not None, "conv_output_shape returns nothing: is a return statement missing?"
        assert tuple(yours) == tuple(made.shape), f"you say {tuple(yours)}, the layer made {tuple(made.shape)}"
    print("ok  both shapes agree with the layer's; the grader checks first_shape")


_check_conv_output_shape()

# %% [markdown] nbgrader={"grade": false, "grade_id": "convolution-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
### One dimension

From here on the input is a sequence $x[1],\dots,x[11]$ with $x[n]\in\mathbb{R}^7$. The layer has *one* filter
$W\in\mathbb{R}^{1\times7\times3}$ of width 3, with stride 2 and neither padding nor bias. At each stop it multiplies
the 21 numbers it covers by its own 21 weights, entry by entry, and adds up the products.

**Exercise 1.2 · shape and formula** · 1 point by hand, 2 by machine · ★★☆ · 15 minutes

Libraries use the filter as it stands. This is called **cross-correlation**, and we write it $f_W(x)$. A mathematical
**convolution** visits the same windows but reads the filter backwards: its last column $W_{1\cdot3}$ meets the *first*
step of the window, and so on.

*By hand:* give the shape of $f_W(x)$, and its entry $r$ as a double sum over $c$ and $k$. Give the same sum for the
convolution. Which sign in an index tells the two apart? Does the difference matter if the filter is learnt?

*By machine:* write `cross_correlation` and `convolution` for any sizes and any stride.

<details><summary>Hint</summary>

At which step does window $r$ begin? Which step does column $k$ of the filter meet, in each of the two readings?

</details>

*In the figure below: a grid of 7 rows (components) and 11 columns (steps). The first two stops of the filter are
outlined, one solid and one dashed. They share the column of step 3.*
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
    stops = ", ".join(f"f[{stop + 1}] covers steps {2 * stop + 1} to {2 * stop + 3}" for stop in range(2))
    show_figure(f"{len(values)} components of {len(values.T)} steps. {stops}, with all components.")


_figure()

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
    # One component, so that you can follow with a pencil; then two; then the layer of this section
    x, W = torch.tensor([[1.0, 2.0, 4.0, 8.0, 16.0]]), torch.tensor([[[1.0, 0.0, -1.0]]])
    compare("cross-correlation", cross_correlation(x, W), [[1.0 - 4.0], [4.0 - 16.0]])
    compare("convolution", convolution(x, W), [[4.0 - 1.0], [16.0 - 4.0]])
    compare("stride 1", cross_correlation(x, W, stride=1), [[-3.0], [-6.0], [-12.0]])
    compare("convolution, stride 1", convolution(x, W, stride=1), [[3.0], [6.0], [12.0]])
    x, W = torch.tensor([[1.0, 2.0, 4.0], [0.0, 1.0, 0.0]]), torch.tensor([[[1.0, 0.0, -1.0], [2.0, 3.0, 5.0]]])
    compare("convolution of 2 components", convolution(x, W), [[4.0 - 1.0 + 3.0]])
    x, W = numbers((7, 11), (1, 7, 3), seed=1)
    compare("7 components", cross_correlation(x, W), functional.conv1d(x, W, stride=2).T)


_check_convolution()

# %% [markdown] nbgrader={"grade": false, "grade_id": "jacobians-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
**Exercise 1.3 · three derivatives** · 3 points by hand, 6 by machine · ★★☆ · 43 minutes

*By hand* (1 point each), for our layer, with $W$ and $x$ flattened as agreed:

1. $\frac{\partial f}{\partial W}$: its dimensions, and the entry in row $r$ and in the column of $W_{1ck}$. Which
column is that?
2. $\frac{\partial f}{\partial x}$: its dimensions, and the entry in row $r$ and in the column of $x_c[n]$. For which
$n$ is it zero?
3. $\frac{\partial\ell}{\partial W}$ for a given $\frac{\partial\ell}{\partial f}$, a row of 5: its dimensions, and the
entry of $W_{1ck}$ as a sum. How does this sum resemble the forward pass, and how does it differ?

*By machine* (2 points each): the three matrices as `jacobian_by_weights`, `jacobian_by_input` and
`gradient_by_weights`, for any sizes and any stride.

<details><summary>Hint for 1 and 2</summary>

Read your formula for $f_W(x)[r]$ as a sum of 21 terms. What multiplies $W_{1ck}$? How many entries come before it?
Which column of the filter, if any, lies over step $n$ at stop $r$?

</details>

<details><summary>Hint for 3</summary>

Write the entry as a sum over $r$, next to the formula of $f_W(x)[r]$. In both, something slides over $x$. What slides,
how long are its steps, and how far apart are its taps?

</details>
"""

# %% [markdown] nbgrader={"grade": true, "grade_id": "jacobians-derivation", "locked": false, "points": 3, "schema_version": 3, "solution": true, "task": false}
r"""
*Your answer here: double-click this line and write.*
"""


# %% nbgrader={"grade": false, "grade_id": "jacobians-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def jacobian_by_weights(x, k, stride=2):
    """∂f/∂W for a sequence x (C, N) and one filter of width k.

    Returns a matrix (R, C·k); its columns are ordered like W.reshape(-1).
    """
    raise NotImplementedError


def jacobian_by_input(W, N, stride=2):
    """∂f/∂x for one filter W (1, C, k) on a sequence of N steps.

    Returns a matrix (R, C·N); its columns are ordered like x.reshape(-1).
    """
    raise NotImplementedError


def gradient_by_weights(x, dl_df, k, stride=2):
    """∂ℓ/∂W for a sequence x (C, N), the upstream gradient dl_df (1, R) and one filter of width k.

    Returns a row (1, C·k); its entries are ordered like W.reshape(-1).
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


# %% nbgrader={"grade": true, "grade_id": "jacobian-input", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
def _check_jacobian_input():
    x, W = numbers((7, 11), (1, 7, 3), seed=4)
    compare("∂f/∂x", jacobian_by_input(W, 11), measured_jacobian(lambda x: functional.conv1d(x, W, stride=2), x))
    x, W = numbers((2, 9), (1, 2, 4), seed=5)
    measured = measured_jacobian(lambda x: functional.conv1d(x, W, stride=3), x)
    compare("∂f/∂x, stride 3", jacobian_by_input(W, 9, 3), measured)


_check_jacobian_input()


# %% nbgrader={"grade": true, "grade_id": "gradient-weights", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
def _check_gradient_weights():
    # The loss here is linear in f, so dl_df is its gradient for every value of f
    x, W, dl_df = numbers((7, 11), (1, 7, 3), (1, 5), seed=7)
    measured = measured_jacobian(lambda W: (dl_df * functional.conv1d(x, W, stride=2)).sum(), W)
    compare("∂ℓ/∂W", gradient_by_weights(x, dl_df, 3), measured)
    x, W, dl_df = numbers((2, 9), (1, 2, 4), (1, 2), seed=8)
    measured = measured_jacobian(lambda W: (dl_df * functional.conv1d(x, W, stride=3)).sum(), W)
    compare("∂ℓ/∂W, stride 3", gradient_by_weights(x, dl_df, 4, 3), measured)


_check_gradient_weights()


# %% nbgrader={"grade": false, "grade_id": "jacobians-figure", "locked": true, "schema_version": 3, "solution": false, "task": false} tags=["demo"]
def _figure():
    x, W = numbers((7, 11), (1, 7, 3), seed=6)
    figure, axes = plt.subplots(2, 1, figsize=(10, 2.9))
    says = []
    for ax, matrix, width, title in (
        (axes[0], jacobian_by_weights(x, 3), 3, "Your ∂f/∂W: a window in each row"),
        (axes[1], jacobian_by_input(W, 11), 11, "Your ∂f/∂x: the filter in each row, shifted"),
    ):
        ax.imshow(matrix, cmap="PuOr", vmin=-3, vmax=3, aspect="auto")
        ax.vlines([width * c - 0.5 for c in range(1, 7)], -0.5, 4.5, color="black", linewidth=0.8)
        ax.set(title=title, xticks=[], yticks=[0, 4], yticklabels=["r = 1", "r = 5"])
        zero = torch.as_tensor(matrix) == 0
        starts = (~zero).int().argmax(1).add(1).tolist()
        says.append(f"{title.partition(':')[0]}: {zero.float().mean():.0%} zeros; the rows begin in columns {starts}.")
    figure.tight_layout()
    show_figure(" ".join(says))


_figure()

# %% [markdown] nbgrader={"grade": false, "grade_id": "unrolled-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
*In the figure: two matrices of five rows, cut into seven blocks; orange is negative, purple positive, white zero. The
upper one has data everywhere. In each block of the lower one, three numbers move two places to the right from row to
row, and the rest is white.* This is sharing in *space*. Next comes sharing in *time*.

## 2 · A gated recurrent network

$$c[t]=\sigma\bigl(W_c\,x[t]+W_h\,h[t-1]\bigr),\qquad
h[t]=c[t]\odot h[t-1]+(1-c[t])\odot\overline{W}_x\,x[t],\qquad h[0]=0.$$

$x[t]\in\mathbb{R}^n$ is the input and $h[t]\in\mathbb{R}^m$ the state. The gate $c[t]$ decides, entry by entry, how
much of the old state stays and how much of the new candidate $\overline{W}_xx[t]$ comes in.

**Exercise 2.1 · draw it** · 3 points (1 each) · ★★☆ · 20 minutes

Draw the network unrolled for $T$ steps, with the nodes `"h0"`, `"x1"`, `"c1"`, `"h1"`, `"x2"` and so on. The check
shows your drawing for three steps.

1. `unrolled_edges(T)` returns the arrows as a list of pairs `("u", "v")`: $v$ is computed *directly* from $u$. Do not
   draw weights.
2. `unrolled_places(T)` returns a dictionary from each node to its place `(x, y)`, with $x$ to the right and $y$
upwards. The drawing must obey four rules:
    - Time runs to the right: `x`, `c` and `h` of one step stand left of all nodes of the next, and `h0` left of step 1.
    - All inputs stand at the same height, all states (`h0` too) at the same greater height, and every gate between the
      two.
    - Any two nodes are at least 1 apart.
    - A straight arrow stays at least 0.2 away from the centre of every node that it does not join.
3. `gated_dimensions(n, m)` returns a dictionary from `"W_c"`, `"W_h"`, `"W_x"` (the one with a bar) and `"c"` to pairs
of whole numbers: rows and columns.

<details><summary>Hint</summary>

Each variable on a right-hand side sends an arrow. Which arrow would run through $c[t]$ if the three nodes of one step
stood in one column?

</details>
"""


# %% nbgrader={"grade": false, "grade_id": "unrolled-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def unrolled_edges(T):
    """The arrows of the gated network unrolled for T steps: a list of pairs of names such as ("x1", "c1")."""
    raise NotImplementedError


def unrolled_places(T):
    """Where the nodes stand: a dictionary from the 3 T + 1 names to pairs (x, y)."""
    raise NotImplementedError


def gated_dimensions(n, m):
    """Rows and columns for x[t] (n, 1) and h[t] (m, 1): a dictionary from "W_c", "W_h", "W_x", "c" to pairs of int."""
    raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "unrolled", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def _check_unrolled():
    edges = [tuple(edge) for edge in unrolled_edges(3)]
    assert all(len(edge) == 2 for edge in edges), 'each arrow should be a pair of names such as ("x1", "c1")'
    places = {node: tuple(map(float, place)) for node, place in unrolled_places(3).items()}
    assert all(len(place) == 2 for place in places.values()), "each place should be a pair of numbers: x, y"
    nodes = {"h0", *(f"{letter}{t}" for letter in "xch" for t in (1, 2, 3))}
    assert {node for edge in edges for node in edge} == nodes, "for T = 3 the arrows join x1…x3, c1…c3 and h0…h3"
    assert set(places) == nodes, "for T = 3 there should be a place for each of x1…x3, c1…c3 and h0…h3"
    figure, ax = plt.subplots(figsize=(7, 3))
    draw_graph(ax, edges, places, "Your network, unrolled for three steps")
    show_figure(f"Your arrows: {', '.join(f'{start} to {end}' for start, end in edges)}.")
    shapes = [gated_dimensions(2, 3)[name] for name in ("W_c", "W_x", "W_h", "c")]
    assert all(len(shape) == 2 for shape in shapes), "each shape should be a pair: rows, columns"
    fitting = [int(columns) for _, columns in shapes] == [2, 2, 3, 1]
    assert fitting, "a matrix has as many columns as the vector it multiplies has entries, and c is a column"
    assert len({int(rows) for rows, _ in shapes}) == 1, "the terms of the equations differ in length"
    print("ok  all nodes are there and the shapes fit; the grader checks the arrows and the four rules")


_check_unrolled()


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


def size_of_the_past(x, W_c, W_h, W_x):
    """s of exercise 2.3, the largest singular value of ∂h[K]/∂h[0] at h[0] = 0."""
    x, W_c, W_h, W_x = (torch.as_tensor(part, dtype=torch.double) for part in (x, W_c, W_h, W_x))
    start = torch.zeros(len(W_h), 1, dtype=torch.double)
    jacobian = measured_jacobian(lambda h0: gated_rnn(x, W_c, W_h, W_x, h0)[1][-1], start)
    return float(torch.linalg.matrix_norm(jacobian, 2))


# %% [markdown] nbgrader={"grade": false, "grade_id": "gated-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
The cell above defines the network: `gated_step` for one step and `gated_rnn` for a sequence. You may call both.

**Exercise 2.2 · one step back, then through time** · 4 points by hand, 5 by machine · ★★★ · 45 minutes

*By hand, one step (2 points):* derive $\frac{\partial c[t]}{\partial h[t-1]}$ and then $J[t]=\frac{\partial
h[t]}{\partial h[t-1]}$, with $x[t]$ held fixed, as products of matrices. $\text{diag}(v)$ has the entries of $v$ on its
diagonal.

*By hand, all steps (2 points):* a loss $\ell(h[1],\dots,h[K])$ looks at all states. You are given the rows $r[t]$: the
derivative of ℓ with respect to $h[t]$ with all other states held fixed. Derive
$\frac{\partial\ell}{\partial\overline{W}_x}$ from $r[t]$, $x[t]$, $c[t]$ and $J[t]$, with all dimensions. Then name two
things that the forward and the backward pass through time (Werbos 1990, *Backpropagation through time*) have in common,
and one difference.

*By machine:* `gated_jacobians` (2 points) and `gated_gradient` (3 points), with the gradient laid out as agreed for
matrices.

<details><summary>Hint for one step</summary>

$h[t-1]$ appears twice in the second equation: as itself, and inside $c[t]$. The product rule is $\frac{\partial(u\odot
v)}{\partial h}=\text{diag}(v)\frac{\partial u}{\partial h}+\text{diag}(u)\frac{\partial v}{\partial h}$.

</details>

<details><summary>Hint for all steps</summary>

Let $\delta[t]$ be the gradient of ℓ with respect to $h[t]$ along *all* paths. What is $\delta[K]$? How does $\delta[t]$
follow from $\delta[t+1]$? At each single time, $\overline{W}_x$ is the weight of a linear layer, whose gradient you
know from homework 1.

</details>
"""

# %% [markdown] nbgrader={"grade": true, "grade_id": "gated-derivation", "locked": false, "points": 4, "schema_version": 3, "solution": true, "task": false}
r"""
*Your answer here: double-click this line and write.*
"""


# %% nbgrader={"grade": false, "grade_id": "gated-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def gated_jacobians(x, h, W_c, W_h, W_x):
    """The Jacobians of one step, for x[t] (n, 1) and h[t−1] (m, 1); W_c (m, n), W_h (m, m), W_x (m, n).

    Returns a tuple of ∂c[t]/∂h[t−1] (m, m), ∂h[t]/∂h[t−1] (m, m).
    """
    raise NotImplementedError


def gated_gradient(x, W_c, W_h, W_x, r):
    """∂ℓ/∂W_x (the one with a bar) over the steps 1…K.

    x (n, K): column t is x[t]; W_c (m, n), W_h (m, m), W_x (m, n); r (K, m): row t is r[t]; h[0] = 0

    Returns a matrix (n, m).
    """
    raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "gated-jacobians", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
def _check_gated_jacobians():
    x, h, W_c, W_h, W_x = numbers((2, 1), (3, 1), (3, 2), (3, 3), (3, 2), seed=8)
    dc_dh, dh_dh = gated_jacobians(x, h, W_c, W_h, W_x)
    compare("∂c[t]/∂h[t−1]", dc_dh, measured_jacobian(lambda h: gated_step(x, h, W_c, W_h, W_x)[0], h))
    compare("∂h[t]/∂h[t−1]", dh_dh, measured_jacobian(lambda h: gated_step(x, h, W_c, W_h, W_x)[1], h))


_check_gated_jacobians()


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
**Exercise 2.3 · fade, carry, explode** · 1 point by hand, 2 by machine · ★★★ · 15 minutes

By the chain rule $\frac{\partial h[K]}{\partial h[0]}=J[K]\,J[K-1]\cdots J[1]$. Such products tend to vanish or to
explode (Bengio, Simard and Frasconi 1994, *Learning long-term dependencies with gradient descent is difficult*).

*By hand:* can the product vanish in this network? Can it explode? When does it do neither? For each, give a condition
in terms of $c[t]$, $W_h$ and $h[t-1]-\overline{W}_xx[t]$.

*By machine:* let $s$ be the largest singular value of $\frac{\partial h[K]}{\partial h[0]}$ at $h[0]=0$. Write three
functions that return a network and its inputs, `x, W_c, W_h, W_x`, for every $K$ from 1 to 12. You choose $n$, $m$ and
all numbers.

- `fading(K)`: $s\le0.9^K$;
- `carrying(K)`: $0.9\le s\le1.1$;
- `exploding(K)`: $s\ge2^K$.

<details><summary>Hint</summary>

Take $m=1$: $J[t]$ is a number with two terms. For fading and carrying the gate is enough. For exploding take $n=2$: one
component of $x[t]$ feeds the gate, and the other is the candidate. Where is $c(1-c)$ largest? How can you keep the
candidate away from $h[t-1]$?

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


# %% nbgrader={"grade": true, "grade_id": "extremes", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
def _check_extremes():
    networks = {"fading": (fading, BLUE, "v"), "carrying": (carrying, GREEN, "s"), "exploding": (exploding, RED, "^")}
    for K in (1, 5):
        for name, (network, *_) in networks.items():
            assert torch.as_tensor(network(K)[0]).shape[1] == K, f"{name}({K}) should return K inputs, as columns of x"
        fade, carry, explode = (size_of_the_past(*network(K)) for network, *_ in networks.values())
        assert fade <= 0.9**K * 1.001, f"fading({K}) has s = {fade:.3g}, more than 0.9^K"
        assert 0.9 <= carry <= 1.1, f"carrying({K}) has s = {carry:.3g}, not between 0.9 and 1.1"
        assert explode >= 2**K * 0.999, f"exploding({K}) has s = {explode:.3g}, less than 2^K"
        print(f"ok  K = {K}: s = {fade:.3g}, {carry:.3g} and {explode:.4g}")
    figure, ax = plt.subplots(figsize=(5, 3))
    says = []
    for name, (network, colour, marker) in networks.items():
        sizes = [size_of_the_past(*network(K)) for K in range(1, 13)]
        ax.semilogy(range(1, 13), sizes, color=colour, marker=marker, label=name)
        says.append(f"{name} {sizes[0]:.3g} and {sizes[-1]:.3g}")
    ax.set(xlabel="number of steps K", ylabel="s", title="What is left of h[0] after K steps")
    ax.legend()
    show_figure(f"s after 1 and 12 steps: {', '.join(says)}.")


_check_extremes()

# %% [markdown] nbgrader={"grade": false, "grade_id": "attention-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
*In the figure: s against the number of steps, on a logarithmic axis. Downward triangles (fading) sink, squares
(carrying) stay near 1, and upward triangles (exploding) climb.*

## 3 · Attention in time

A gated network must squeeze everything it keeps into one state. Attention looks back directly (Bahdanau, Cho and
Bengio 2015, *Neural machine translation by jointly learning to align and translate*; Vaswani et al. 2017, *Attention is
all you need*). **AttentionRNN(2)** looks at three sources in each step: the input and the two previous states.

$$\begin{aligned}
q_0&=Q_0\,x[t],&q_1&=Q_1\,h[t-1],&q_2&=Q_2\,h[t-2],\\
k_0&=K_0\,x[t],&k_1&=K_1\,h[t-1],&k_2&=K_2\,h[t-2],\\
v_0&=V_0\,x[t],&v_1&=V_1\,h[t-1],&v_2&=V_2\,h[t-2],
\end{aligned}$$

$$w_i=q_i^\top k_i,\qquad a=\text{softargmax}(w),\qquad h[t]=\sum_i a_i\,v_i.$$

$x[t]\in\mathbb{R}^n$, $h[t]\in\mathbb{R}^m$, queries and keys have $d$ entries, and $h[t]=0$ for $t\le0$.

**Exercise 3.1 · two states, k states, all states** · 2 points by hand, 5 by machine · ★★☆ · 30 minutes

1. *By machine (1 point):* `attention_dimensions(n, m, d)` returns the rows and columns of $a$, $Q_0$, $Q_1$, $V_0$ and
$V_1$ in AttentionRNN(2).
2. *By hand (1 point):* write the equations of AttentionRNN(k), with the range of every index and the dimension of $a$.
*By machine (2 points):* write one step of it, `attention_step`.
3. AttentionRNN(∞) looks back to $h[1]$. *By hand (1 point):* write the sum for $h[t]$. If every distance has its own
matrices, how many parameters does step $t$ need, and why is this a problem? *Tying* uses $Q_i=Q$, $K_i=K$, $V_i=V$ for
all $i\ge1$. How does it solve the problem, and what is lost? *By machine (2 points):* write `attention_parameters`, the
number of parameters, and `tied_attention_step`, one step of the tied network.

<details><summary>Hint</summary>

There is one weight for each source. `torch.softmax(w, dim=0)` is softargmax for a column. What can
separate matrices do that shared ones cannot?

</details>

*In the figure below: four steps. Each state in the upper row receives an arrow from its input in the lower row, and
arrows from the one or two states before it.*
"""


# %% nbgrader={"grade": false, "grade_id": "attention-figure", "locked": true, "schema_version": 3, "solution": false, "task": false} tags=["demo"]
def _figure():
    figure, ax = plt.subplots(figsize=(7, 2.6))
    places = {f"x{t}": (2 * t, 0) for t in (1, 2, 3, 4)} | {f"h{t}": (2 * t, 1.5) for t in (1, 2, 3, 4)}
    edges = [(f"x{t}", f"h{t}") for t in (1, 2, 3, 4)]
    edges += [(f"h{t - i}", f"h{t}") for t in (2, 3, 4) for i in (1, 2) if t > i]
    draw_graph(ax, edges, places, "AttentionRNN(2), unrolled", far=3)
    show_figure(f"Arrows: {', '.join(f'{start} to {end}' for start, end in edges)}.")


_figure()

# %% [markdown] nbgrader={"grade": true, "grade_id": "attention-equations", "locked": false, "points": 2, "schema_version": 3, "solution": true, "task": false}
r"""
*Your answer here: double-click this line and write.*
"""


# %% nbgrader={"grade": false, "grade_id": "attention-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def attention_dimensions(n, m, d):
    """Rows and columns in AttentionRNN(2): a dictionary from "a", "Q0", "Q1", "V0", "V1" to pairs of int."""
    raise NotImplementedError


def attention_step(x, history, Q, K, V):
    """One step of AttentionRNN(k), for any k from 1 on.

    x = x[t] (n, 1); history = [h[t−1], …, h[t−k]], each (m, 1)
    Q = [Q0, …, Qk], K = [K0, …, Kk], V = [V0, …, Vk]: lists of k + 1 matrices

    Returns h[t] (m, 1).
    """
    raise NotImplementedError


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


# %% nbgrader={"grade": true, "grade_id": "attention-step", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def _check_attention_step():
    answer, names = attention_dimensions(2, 3, 5), ("a", "Q0", "Q1", "V0", "V1")
    assert set(answer) >= set(names), "the keys should be a, Q0, Q1, V0 and V1"
    assert all(len(answer[name]) == 2 for name in names), "each shape should be a pair: rows, columns"
    # States of one number, d = 2: w = (0, log 2, log 3), so a = (1, 2, 3) / 6, and the values are 6, 12 and 18
    one, both = torch.ones(1, 1), torch.ones(2, 1)
    h_new = attention_step(
        *(6 * one, [12 * one, 18 * one], [0 * both, both, both]),
        *([both, math.log(2) / 288 * both, math.log(3) / 648 * both], [one, one, one]),
    )
    compare("h[t]", h_new, [[(1 * 6 + 2 * 12 + 3 * 18) / 6]])
    # All sizes different, and keys of zeros: then all weights are equal, and h[t] is the mean of the values
    x, h1, Q0, Q1, V0, V1 = numbers((2, 1), (3, 1), (4, 2), (4, 3), (3, 2), (3, 3), seed=9)
    h_new = attention_step(x, [h1], [Q0, Q1], [torch.zeros(4, 2), torch.zeros(4, 3)], [V0, V1])
    compare("the mean of values", h_new, (V0 @ x + V1 @ h1) / 2)


_check_attention_step()


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
    print("with the past in reverse order h[t] changes by", float((long_ago - reverse).abs().max()))
    counts = [attention_parameters(32, 64, 16, 99, tied) for tied in (False, True)]
    print(f"parameters at step 100, with n = 32, m = 64, d = 16: {counts[0]}, and tied: {counts[1]}")


_check_attention_all()

# %% [markdown] nbgrader={"grade": false, "grade_id": "attention-jacobian-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
**Exercise 3.2 · one arrow, then all arrows** · 3 points by hand, 4 by machine · ★★★ · 40 minutes

*By hand, one arrow (2 points):* derive $\frac{\partial h[t]}{\partial h[t-1]}$ in AttentionRNN(2) along the arrow from
$h[t-1]$ to $h[t]$ alone; $x[t]$ and $h[t-2]$ are held fixed. Simplify until no sum is left. *By machine (3 points):*
`attention_jacobian`, the same for the state $j$ steps ago in AttentionRNN(k).

*By hand, all arrows (1 point):* AttentionRNN(k) has run for $L$ steps. The rows $r[t]$ are those of 2.2, and
$J[t,s]=\frac{\partial h[t]}{\partial h[s]}$ is the Jacobian along the arrow from $h[s]$ to $h[t]$. Express
$\frac{\partial\ell}{\partial h[T]}$ in terms of $r[T]$, Jacobians and the *upstream* gradients
$\frac{\partial\ell}{\partial h[t]}$, $t>T$. Which $t$ appear in it, and what changes when $T$ is near $L$? Why does no
product of two Jacobians appear? *By machine (1 point):* `attention_backward`, all gradients of a sequence.

<details><summary>Hint for one arrow</summary>

There are two paths: through $v_1$ with $a$ fixed, and through $w_1$ with the values fixed. In $q_1^\top k_1$ both
factors depend on the state. What is $\frac{\partial a_i}{\partial w_1}$, for $i=1$ and for the others? Put it into
$\sum_iv_i\frac{\partial a_i}{\partial w_1}$, and look for $h[t]$ there.

</details>

<details><summary>Hint for all arrows</summary>

Which arrows *leave* $h[2]$ in the figure of this part? In which order must you compute the gradients?

</details>
"""

# %% [markdown] nbgrader={"grade": true, "grade_id": "attention-jacobian-derivation", "locked": false, "points": 3, "schema_version": 3, "solution": true, "task": false}
r"""
*Your answer here: double-click this line and write.*
"""


# %% nbgrader={"grade": false, "grade_id": "attention-jacobian-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def attention_jacobian(x, history, Q, K, V, j):
    """∂h[t]/∂h[t−j] in AttentionRNN(k), 1 ≤ j ≤ k, the other states and x[t] held fixed.

    x (n, 1); history = [h[t−1], …, h[t−k]], each (m, 1); Q, K, V: lists of k + 1 matrices, as in attention_step

    Returns a matrix (m, m).
    """
    raise NotImplementedError


def attention_backward(r, J):
    """∂ℓ/∂h[t] for all t from 1 to L.

    r (L, m): row t is r[t]; J: a dictionary from (t, s) to ∂h[t]/∂h[s] (m, m), with an entry for each arrow, in any
    order; t and s count from 1, so r[t] is r[t - 1] in Python

    Returns a matrix (L, m) whose rows are ∂ℓ/∂h[1], …, ∂ℓ/∂h[L]; r stays as it is.
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


# %% nbgrader={"grade": true, "grade_id": "attention-backward", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
def _check_attention_backward():
    # States of one number each, where every arrow multiplies by a number: count the paths from h[1] to h[3] with a pencil
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

# %% [markdown] nbgrader={"grade": false, "grade_id": "reach-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
**Exercise 3.3 · which gradient reaches furthest?** · ½ point by machine, ½ by hand · ★☆☆ · 5 minutes

Three networks with states of 8 numbers and random weights run for 60 steps. The loss looks at $h[60]$ alone. Which one
has the longest gradient $\frac{\partial\ell}{\partial h[1]}$?

- **A** The gated network with gates near 0.5.
- **B** The gated network with gates near 0.7.
- **C** The tied AttentionRNN(∞).

**Prediction.** Set `reach_prediction` to one letter before you draw the figure. Any of the three earns the ½ point:
what counts is that you commit before you look.

*By hand, after the figure:* in one or two sentences, what does the figure show, and what causes it? The control is
AttentionRNN(2) with the same tied weights. A wrong prediction costs nothing.
"""

# %% nbgrader={"grade": false, "grade_id": "reach-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
# reach_prediction = "…"   # "A", "B" or "C"
raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "reach", "locked": true, "points": 0.5, "schema_version": 3, "solution": false, "task": false}
def _check_reach():
    assert reach_prediction in ("A", "B", "C"), 'reach_prediction should be one letter in quotes: "A", "B" or "C"'
    print("ok  your prediction is", reach_prediction)


_check_reach()


# %% nbgrader={"grade": false, "grade_id": "reach-figure", "locked": true, "schema_version": 3, "solution": false, "task": false} tags=["demo"]
def _figure():
    def reach(seed, T=60, m=8):
        """The lengths of ∂ℓ/∂h[1], …, ∂ℓ/∂h[T] in four networks with random weights; ℓ = r h[T], with ‖r‖ = 1."""
        generator = torch.Generator().manual_seed(seed)

        def random(*shape):
            return torch.randn(shape, generator=generator) / m**0.5

        x = torch.cat([m**0.5 * random(m, T), torch.ones(1, T)])  # the last input is the bias of the gate
        states = {}
        for name, gate in (("A: gates near 0.5", 0.5), ("B: gates near 0.7", 0.7)):
            W_c, W_h, W_x = random(m, m + 1) / 4, random(m, m), random(m, m + 1)
            W_c[:, m] = math.log(gate / (1 - gate))
            states[name] = gated_rnn(x, W_c, W_h, W_x, torch.zeros(m, 1, requires_grad=True))[1][1:]
        Q0, K0, V0, Q, K, V = (random(rows, n) for n in (m + 1, m) for rows in (4, 4, m))
        V0.requires_grad_()
        V = 0.7 * V  # otherwise the gradient of AttentionRNN(2) explodes in some draws
        for name, window in (("C: AttentionRNN(∞)", T), ("control: AttentionRNN(2)", 2)):
            hs = states[name] = []
            for now in x.T:
                past = torch.stack(hs[-window:], dim=1) if hs else torch.zeros(m, 0)  # (m, states in sight)
                w = torch.cat([((Q0 @ now) @ (K0 @ now))[None], ((Q @ past) * (K @ past)).sum(0)])
                hs.append(torch.cat([(V0 @ now)[:, None], V @ past], dim=1) @ torch.softmax(w, dim=0))
        row = functional.normalize(random(m), dim=0)
        gradients = {name: torch.autograd.grad(row @ hs[-1].reshape(m), hs) for name, hs in states.items()}
        return {name: [float(row.norm()) for row in rows] for name, rows in gradients.items()}


    figure, ax = plt.subplots(figsize=(7, 3))
    for (name, lengths), style, colour in zip(
        reach(0).items(), ("-", "--", "-.", ":"), (RED, ORANGE, BLUE, BLUE), strict=True
    ):
        ax.semilogy(range(1, 61), lengths, style, color=colour, label=name)
    ax.set(xlabel="step t", ylabel="length of ∂ℓ/∂h[t]", title="What a loss at step 60 tells each state")
    ax.legend(fontsize=8)
    ends = "; ".join("{}, {:.1g} and {:.1g}".format(line.get_label(), *line.get_ydata()[::59]) for line in ax.lines)
    show_figure(f"The length of ∂ℓ/∂h[t] at steps 1 and 60. {ends}.")


_figure()

# %% [markdown] nbgrader={"grade": true, "grade_id": "reach-words", "locked": false, "points": 0.5, "schema_version": 3, "solution": true, "task": false}
r"""
*Your answer here: double-click this line and write.*
"""

# %% [markdown] nbgrader={"grade": false, "grade_id": "debugging-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
*In the figure: the length of the gradient at each state, on a logarithmic axis. Towards early steps A (solid, red), B
(dashed) and the control (dotted) sink steadily, to below a millionth. C (dash-dotted, blue) never falls far below a
hundredth.*

## 4 · A loss that jumps

An LSTM (Hochreiter and Schmidhuber 1997, *Long short-term memory*) reads sequences of 12 symbols. Two of them, at step
3 or 4 and at one of steps 5 to 8, are X or Y; the others mean nothing. XX, XY, YX and YY are four equally frequent
classes. Training is plain gradient descent on the cross-entropy, with learning rate 0.5 and a fresh batch of 32
sequences for each step. The loss falls, but it jumps on the way. Why?

**Exercise 4.1 · two suspects, two measurements** · ½ point · ★★☆ · 12 minutes

*Explosion:* the gradient grows on its way back through time (Pascanu, Mikolov and Bengio 2013, *On the difficulty of
training recurrent neural networks*). *Overshooting:* the step is too long for the curvature of the loss, so it crosses
the valley and climbs the other side (Cohen et al. 2021, *Gradient descent on neural networks typically occurs at the
edge of stability*). Write one measurement for each. Both return a number.

1. `growth_through_time(early, late)`: the length of the gradient at step 2, divided by its length at step 12. `early`
(B, 2m) holds the gradients at $h[2]$ and at the cell state after step 2, one row per sequence. `late` (B, m) holds
those at $h[12]$. The length of a matrix is the square root of the sum of its squared entries.
2. `step_times_curvature(before, after, rate, length)`: you are given the loss of *one* batch before and after a step,
the learning rate $\eta$ and the length $L$ of the gradient. Describe the loss along the step, for $s$ from 0 to $\eta$,
by the parabola $\ell(s)=\ell(0)-sL^2+\frac{\kappa}{2}s^2L^2$ with curvature κ. Choose κ so that it runs from
`before` at $s=0$ to `after` at $s=\eta$. Return $\eta\kappa$.

<details><summary>Hint</summary>

Put $s=\eta$ into the parabola. For which $\eta\kappa$ does the step end at the lowest point? For which does it end as
high as it began?

</details>

*In the figure below: the loss of 500 steps. The dotted line marks its first value. For about 200 steps the loss
keeps jumping up within a step or two, often above that line. Then it settles near 0.*
"""


# %% nbgrader={"grade": false, "grade_id": "debugging-run", "locked": true, "schema_version": 3, "solution": false, "task": false} tags=["demo"]
def _figure():
    torch.set_num_threads(1)  # several threads slow down so small a network
    generator = torch.Generator()


    def draw_batch(size=32, length=12):
        """Sequences (size, length, 6), one-hot, and their classes (size,)."""
        symbols = torch.randint(0, 4, (size, length), generator=generator)  # the meaningless ones
        marks = torch.randint(0, 2, (size, 2), generator=generator)  # X or Y, twice
        early = torch.randint(2, length // 3, (size,), generator=generator)
        late = torch.randint(length // 3, 2 * length // 3, (size,), generator=generator)
        symbols[torch.arange(size), early], symbols[torch.arange(size), late] = 4 + marks[:, 0], 4 + marks[:, 1]
        return functional.one_hot(symbols, 6).float(), 2 * marks[:, 0] + marks[:, 1]


    def train_lstm(rate=0.5, tame=lambda parameters: None, steps=500, units=24, seed=0):
        """For every step: the loss before it and, on the same batch, after it; the length of the gradient; the gradients
    at the memory after step 2 and at the last state. `tame` may change the gradients before the step is taken."""
        torch.manual_seed(seed)
        generator.manual_seed(seed)
        lstm, head = torch.nn.LSTM(6, units, batch_first=True), torch.nn.Linear(units, 4)
        lstm.bias_ih_l0.data[units : 2 * units] += 2  # the forget gates begin open
        parameters = [*lstm.parameters(), *head.parameters()]
        optimizer = torch.optim.SGD(parameters, lr=rate)
        run = {"before": [], "after": [], "length": [], "early": [], "late": []}
        for _ in range(steps):
            sequences, classes = draw_batch()
            _, memory = lstm(sequences[:, :2])  # h[2] and the cell state, each (1, B, units)
            outputs, _ = lstm(sequences[:, 2:], memory)  # (B, 10, units)
            loss = functional.cross_entropy(head(outputs[:, -1]), classes)
            watched = [*memory, outputs]
            for values in watched:
                values.retain_grad()
            optimizer.zero_grad()
            loss.backward()
            run["before"].append(loss.item())
            run["length"].append(torch.cat([parameter.grad.flatten() for parameter in parameters]).norm().item())
            run["early"].append(torch.cat([values.grad[0] for values in memory], dim=1))  # (B, 2 units)
            run["late"].append(outputs.grad[:, -1])  # (B, units)
            tame(parameters)
            optimizer.step()
            with torch.no_grad():
                run["after"].append(functional.cross_entropy(head(lstm(sequences)[0][:, -1]), classes).item())
        return run


    lstm_run = train_lstm()
    figure, ax = plt.subplots(figsize=(8, 3))
    ax.plot(lstm_run["before"], color=BLUE, linewidth=1)
    ax.axhline(lstm_run["before"][0], color="black", linestyle=":", label="first value")
    ax.set(xlabel="step", ylabel="loss", title="What is wrong here?", ylim=(0, None))
    ax.legend()
    losses = torch.tensor(lstm_run["before"])
    jumps = int((losses.diff() > 0.5).sum())
    show_figure(
        f"In {len(losses)} steps the loss begins at {losses[0]:.2f}; its lowest value is {losses.min():.3f}, its highest "
    f"{losses.max():.2f}. It rises by more than ½ in {jumps} single steps."
    )
    return lstm_run, train_lstm


lstm_run, train_lstm = _figure()


# %% nbgrader={"grade": false, "grade_id": "evidence-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def growth_through_time(early, late):
    """The length of the gradient `early` (B, 2m), divided by that of `late` (B, m); a number."""
    raise NotImplementedError


def step_times_curvature(before, after, rate, length):
    """ηκ, for the parabola that starts at `before` with slope −length² and ends at `after`; a number."""
    raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "evidence", "locked": true, "points": 0.5, "schema_version": 3, "solution": false, "task": false}
def _check_evidence():
    compare("growth", growth_through_time(torch.tensor([[3.0, 4.0], [0.0, 0.0]]), torch.tensor([[0.0], [10.0]])), 0.5)
    compare("no curvature", step_times_curvature(before=2.0, after=1.0, rate=0.25, length=2.0), 0.0)
    compare("as high as before", step_times_curvature(before=2.0, after=2.0, rate=0.25, length=2.0), 2.0)


_check_evidence()


# %% nbgrader={"grade": false, "grade_id": "evidence-figure", "locked": true, "schema_version": 3, "solution": false, "task": false} tags=["demo"]
def _figure():
    before, after, length = (lstm_run[name][:250] for name in ("before", "after", "length"))
    growths = [
        float(growth_through_time(early, late)) for early, late in zip(lstm_run["early"], lstm_run["late"], strict=True)
    ]
    bends = [float(step_times_curvature(b, a, 0.5, g)) for b, a, g in zip(before, after, length, strict=True)]
    jumps = [step for step in range(250) if lstm_run["before"][step + 1] - before[step] > 0.5]
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 3.2))
    left.set(title="Your growth through time", yscale="log", ylim=(0.01, 1e4), xlabel="step")
    right.set(title="Your step times curvature", ylim=(-3, 6), xlabel="step")
    for ax, measured, line in ((left, growths, 1), (right, bends, 2)):
        ax.plot(measured[:250], color=BLUE, linewidth=1)
        ax.plot(jumps, [measured[step] for step in jumps], "o", color=RED, fillstyle="none", label="before a jump")
        ax.axhline(line, color="black", linestyle=":", label=str(line))
        ax.legend(fontsize=8)
    below, above = sum(bend < 2 for bend in bends), sum(bends[step] > 2 for step in jumps)
    show_figure(
        f"Left: values from {min(growths[:250]):.2g} to {max(growths[:250]):.2g}. Right: {below} of 250 lie below 2, "
    f"and {above} of the {len(jumps)} before a jump above it."
    )


_figure()

# %% [markdown] nbgrader={"grade": false, "grade_id": "kinks-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
*In the figure: your two measurements for 250 steps, the left on a logarithmic axis. Circles mark steps after which the
loss rises by more than ½.*

**Exercise 4.2 · four questions** · 2 points by machine, 2½ by hand · ★★☆ · 28 minutes

*By machine* (½ point each): set the names below. *By hand*: give the reason for each answer in one to three sentences
(1 point for the first question, ½ for each of the others).

**Why does the loss jump?** Set `kink_cause` to one letter. By hand: what do your two measurements say about D and about
E? Give numbers from the figure.

- **A** Some batches are harder than others.
- **B** The network overfits.
- **C** The gradients vanish on their way back through time.
- **D** The gradients explode on their way back through time.
- **E** Some updates are too long for the curvature of the loss.
- **F** Numbers in `float32` overflow and become infinite.

**Why can an early spike exceed the very first loss?** Set `spike_reason` to one letter.

- **A** The learning rate has grown since the beginning.
- **B** After some training the network is confident, and a step that throws it off makes it confidently wrong.
- **C** The first value is a lower limit of the cross-entropy.
- **D** At a spike every sequence is classified wrongly, and this costs twice the first value.

**How can you stop the jumps?** Model, data, loss and seed stay; only the training procedure may change. Set `fixes` to
the set of letters of all changes that remove the cause. By hand: what do these have in common?

- **A** Shrink the whole gradient to a fixed length whenever it is longer.
- **B** Replace the LSTM with a GRU (Cho et al. 2014, *Learning phrase representations using RNN encoder–decoder for
statistical machine translation*).
- **C** Shrink the update to a fixed length whenever it is longer.
- **D** Plot the mean of the last hundred losses.
- **E** Limit every entry of the gradient to a small interval around 0.
- **F** Try seeds until a run has no spike.
- **G** Use twice as many layers.

**Where should training begin?** Set `initial_accuracy` (between 0 and 1) and `initial_loss` (natural logarithm) to what
you expect of an untrained network that gives all classes the same probability. Use the task, not the figure. By hand:
why these values?

<details><summary>Hint</summary>

Both losses in `step_times_curvature` belong to one batch: what does this say about A? How does the cost of one example
depend on the probability of its right class?

</details>
"""

# %% nbgrader={"grade": false, "grade_id": "kinks-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
# kink_cause = "…"
# spike_reason = "…"
# fixes = {"…", …}
# initial_accuracy = …
# initial_loss = …
raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "kinks", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
def _check_kinks():
    assert kink_cause in list("ABCDEF"), "kink_cause should be one of the letters A to F"
    assert spike_reason in list("ABCD"), "spike_reason should be one of the letters A to D"
    assert set(fixes) <= set("ABCDEFG") and fixes, "fixes should be a set of letters from A to G"
    assert 0 <= initial_accuracy <= 1, "initial_accuracy should be a number between 0 and 1"
    assert initial_loss > 0, "initial_loss should be positive, as every cross-entropy is"
    print("ok  the form is right; the grader checks the answers")


_check_kinks()

# %% [markdown] nbgrader={"grade": true, "grade_id": "kinks-words", "locked": false, "points": 2.5, "schema_version": 3, "solution": true, "task": false}
r"""
*Your answer here: double-click this line and write.*
"""


# %% nbgrader={"grade": false, "grade_id": "cures-figure", "locked": true, "schema_version": 3, "solution": false, "task": false} tags=["demo"]
def _figure():
    changes = {
        "length at most 0.5": ({"tame": lambda p: torch.nn.utils.clip_grad_norm_(p, 0.5)}, GREEN, "-"),
        "entries at most 0.01": ({"tame": lambda p: torch.nn.utils.clip_grad_value_(p, 0.01)}, ORANGE, "--"),
        "learning rate 0.05": ({"rate": 0.05}, RED, ":"),
    }
    figure, ax = plt.subplots(figsize=(8, 3.2))
    ax.plot(lstm_run["before"], color=BLUE, linewidth=1, label="as it was")
    for label, (change, colour, style) in changes.items():
        print("training with", label, "…")
        ax.plot(train_lstm(**change)["before"], style, color=colour, linewidth=1, label=label)
    ax.set(xlabel="step", ylabel="loss", title="Three changes of the training procedure", ylim=(0, None))
    ax.legend(fontsize=8)
    curves = {line.get_label(): torch.tensor(line.get_ydata()) for line in ax.lines}
    told = "; ".join(f"{name}: {(y.diff() > 0.5).sum()} and {y[-50:].median():.3f}" for name, y in curves.items())
    show_figure(f"Rises by more than ½ in one step, and the median loss of the last 50 steps. {told}.")


_figure()

# %% [markdown] nbgrader={"grade": false, "grade_id": "closing", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
*In the figure: the loss again. With a limit on the length of the gradient (solid, green) or on its entries (dashed) the
jumps are gone, and the loss comes down to nearly 0. With only the learning rate changed, to a tenth (dotted), the loss
still jumps, but later.* There the curvature grows until even the shorter step is too long.

**What to remember**

- Shared weights have gradients that are summed: over windows in space, over steps in time.
- A product of many Jacobians fades or explodes, unless a gate is open or an arrow leads directly back.
- A jump has more than one possible cause. Measure before you name it.
- Know what value your loss should start from, and watch how large each update is.

More on strides, padding and dilation: Dumoulin and Visin 2016, *A guide to convolution arithmetic for deep
learning*.
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
        "1.1 conv-output-shape",
        "1.2 convolution",
        "1.3 jacobian-weights",
        "1.3 jacobian-input",
        "1.3 gradient-weights",
        "2.1 unrolled",
        "2.2 gated-jacobians",
        "2.2 gated-gradient",
        "2.3 extremes",
        "3.1 attention-step",
        "3.1 attention-all",
        "3.2 attention-jacobian",
        "3.2 attention-backward",
        "3.3 reach",
        "4.1 evidence",
        "4.2 kinks",
    ],
    {
        "1.2 convolution-formula": 0,
        "1.3 jacobians-derivation": 0,
        "2.2 gated-derivation": 0,
        "2.3 extremes-discussion": 0,
        "3.1 attention-equations": 0,
        "3.2 attention-jacobian-derivation": 0,
        "3.3 reach-words": 0,
        "4.2 kinks-words": 0,
    },
    {
        3961560418: "BLUE compare draw_graph GREEN measured_jacobian numbers ORANGE RED relative_error"
        " " "show_figure",
        1722442030: "gated_rnn gated_step size_of_the_past",
        2323934886: "lstm_run train_lstm",
        1741498066: "",
    },
    "*Your answer here: double-click this line and write.*",
)
