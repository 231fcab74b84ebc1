# %% [markdown] nbgrader={"grade_id": "header", "locked": true}
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
arrays, lists or numbers. The cell below checks an example; the grader uses other sizes and numbers."""

# %% nbgrader={"grade_id": "helpers", "locked": true}
# @title Imports, and helpers for checks and figures. Run this cell; you need not read it.
import math

import matplotlib.pyplot as plt
import torch
from torch.nn import functional

from common import BLUE, GREEN, ORANGE, RED, compare, numbers, show_figure


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


# %% [markdown] nbgrader={"grade_id": "conv-output-shape-text", "locked": true}
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

<!-- parameter: kernel_height; kernel_width; image_height; image_width -->
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


# %% nbgrader={"grade_id": "conv-output-shape-code", "solution": true}
# first_shape = (…, …)
### BEGIN SOLUTION
# parameter: 8 = (image_height - kernel_height) // 2 + 1; 4 = (image_width - kernel_width) // 2 + 1
# parameter: kernel_height; kernel_width; image_height; image_width
first_shape = (8, 4)  # (17 − 3) / 2 + 1 down, (11 − 5) / 2 + 1 across
### END SOLUTION


def conv_output_shape(C, H, W, HK, WK, P, S, D, F):
    """The shape of a convolution layer's output for one image: a tuple of channels, height, width (all int)."""
    ### BEGIN SOLUTION
    free_down = H + 2 * P - (D * (HK - 1) + 1)  # pixels below the kernel's first place
    free_across = W + 2 * P - (D * (WK - 1) + 1)
    return F, free_down // S + 1, free_across // S + 1
    ### END SOLUTION


# %% nbgrader={"grade_id": "conv-output-shape", "grade": true, "points": 3, "locked": true}
assert len(first_shape) == 2, "first_shape should be a pair: height, width"
# parameter: image_height
assert all(0 < size < 17 and size == int(size) for size in first_shape), "first_shape: two whole numbers below 17"
for C, H, W, HK, WK, P, S, D, F in ((3, 10, 7, 2, 4, 0, 1, 1, 8), (1, 9, 12, 3, 2, 1, 2, 2, 4)):
    made = functional.conv2d(torch.zeros(C, H, W), torch.zeros(F, C, HK, WK), stride=S, padding=P, dilation=D)
    yours = conv_output_shape(C, H, W, HK, WK, P, S, D, F)
    assert yours is not None, "conv_output_shape returns nothing: is a return statement missing?"
    assert tuple(yours) == tuple(made.shape), f"you say {tuple(yours)}, the layer made {tuple(made.shape)}"
print("ok  both shapes agree with the layer's; the grader checks first_shape")

# %% [markdown] nbgrader={"grade_id": "convolution-text", "locked": true}
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
outlined, one solid and one dashed. They share the column of step 3.*"""

# %% nbgrader={"grade_id": "windows-figure", "locked": true} tags=["demo"]
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

# %% [markdown] nbgrader={"grade_id": "convolution-formula", "grade": true, "solution": true, "points": 1}
r"""
### BEGIN SOLUTION
*Shape.* There are $\lfloor (11 - 3) / 2 \rfloor + 1 = 5$ windows and one filter: $f_W(x) \in \mathbb{R}^5$, a column.

*Formula.* Window $r$ begins at step $2(r-1) + 1$, so column $k$ of the filter meets step $2(r-1) + k$:

$$f_W(x)[r] = \sum_{c=1}^{7} \sum_{k=1}^{3} W_{1ck}\; x_c[\,2(r-1) + k\,], \qquad r = 1, \dots, 5 .$$

*Convolution.* Column $k$ meets the step that column $4 - k$ met before:

$$(W * x)[r] = \sum_{c=1}^{7} \sum_{k=1}^{3} W_{1ck}\; x_c[\,2(r-1) + 4 - k\,] .$$

The sign of $k$ in the index of $x$ flips: $+k$ in the cross-correlation, $-k$ in the convolution (up to a constant
shift). In other words, a convolution is a cross-correlation with the filter flipped in time, $\tilde W_{1ck} =
W_{1c(4-k)}$. For a learnt filter it does not matter: training finds the flipped weights instead.

**Mark scheme (1 point)**

1. ½: five entries, and the double sum over $c$ and $k$ with index $2(r-1) + k$ (or an equal one that counts from 0). ¼
   if only the number of entries or only the sum is right.
2. ½: the convolution with $-k$ where the cross-correlation has $+k$ (or a flipped filter), and that this makes no
   difference for a learnt filter. ¼ for one of the two.
### END SOLUTION
"""


# %% nbgrader={"grade_id": "convolution-code", "solution": true}
def cross_correlation(x, W, stride=2):
    """f_W(x) for a sequence x (C, N) and one filter W (1, C, k); no padding.

    Returns a column (R, 1), with one entry for each place where the filter fits.
    """
    ### BEGIN SOLUTION
    k = W.shape[2]
    starts = range(0, x.shape[1] - k + 1, stride)
    return torch.stack([(W[0] * x[:, n : n + k]).sum() for n in starts])[:, None]  # (R, 1)
    ### END SOLUTION


def convolution(x, W, stride=2):
    """The same windows with the filter read backwards in time; shapes as above."""
    ### BEGIN SOLUTION
    return cross_correlation(x, W.flip(2), stride)
    ### END SOLUTION


# %% nbgrader={"grade_id": "convolution", "grade": true, "points": 2, "locked": true}
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

# %% [markdown] nbgrader={"grade_id": "jacobians-text", "locked": true}
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

# %% [markdown] nbgrader={"grade_id": "jacobians-derivation", "grade": true, "solution": true, "points": 3}
r"""
### BEGIN SOLUTION
**1.** $f$ has 5 entries and $W$ has $1 \cdot 7 \cdot 3 = 21$, so $\frac{\partial f}{\partial W} \in \mathbb{R}^{5
\times 21}$. Before $W_{1ck}$ stand $c - 1$ full rows of 3 entries and $k - 1$ more, so its column is $3(c-1) + k$. In
the formula of $f_W(x)[r]$ it is multiplied by one number of the sequence:

$$\left(\frac{\partial f}{\partial W}\right)_{r,\; 3(c-1) + k} = \frac{\partial f_W(x)[r]}{\partial W_{1ck}}
= x_c[\,2(r-1) + k\,] .$$

Row $r$ is window $r$, flattened. No weight appears, because $f$ is linear in $W$. For the same reason
$f_W(x) = \frac{\partial f}{\partial W} W$ with $W$ flattened.

**2.** $x$ has $7 \cdot 11 = 77$ entries, so $\frac{\partial f}{\partial x} \in \mathbb{R}^{5 \times 77}$, and the
column of $x_c[n]$ is $11(c-1) + n$. In window $r$, step $n$ meets column $k = n - 2(r-1)$ of the filter, if there is
such a column:

$$\left(\frac{\partial f}{\partial x}\right)_{r,\; 11(c-1) + n} = \frac{\partial f_W(x)[r]}{\partial x_c[n]} =
\begin{cases} W_{1c\,(n - 2(r-1))} & \text{if } 1 \le n - 2(r-1) \le 3, \\ 0 & \text{otherwise.} \end{cases}$$

The matrix has 7 blocks of $5 \times 11$, one for each component. In block $c$ every row holds the three numbers
$W_{1c1}, W_{1c2}, W_{1c3}$ between zeros, each time two places further to the right.

**3.**
$$\frac{\partial \ell}{\partial W} = \frac{\partial \ell}{\partial f}\,\frac{\partial f}{\partial W}
\qquad (1 \times 5)(5 \times 21) = 1 \times 21, \qquad
\frac{\partial \ell}{\partial W_{1ck}} = \sum_{r=1}^{5} \left(\frac{\partial \ell}{\partial f}\right)_{\!r}
x_c[\,2(r-1) + k\,] .$$

*Alike:* both are cross-correlations of the same $x$. Forward, $W$ slides, and we sum over $c$ and $k$ for each $r$.
Here the five numbers of $\frac{\partial \ell}{\partial f}$ slide, and we sum over $r$ for each $k$ and each $c$.
*Different:* stride and dilation swap roles. As $k$ grows by 1 the window moves by 1 (stride 1), and neighbouring taps
are 2 steps apart (dilation 2). The forward pass has stride 2 and dilation 1. Also, there is no sum over components:
each $c$ has a result of its own.

**Mark scheme (3 points)**

1. ½: $\frac{\partial f}{\partial W}$ is $5 \times 21$ and the column of $W_{1ck}$ is $3(c-1) + k$. ¼ for one of the
   two.
2. ½: its entry $x_c[2(r-1) + k]$. Nothing for an entry with another index.
3. ½: $\frac{\partial f}{\partial x}$ is $5 \times 77$ and the column of $x_c[n]$ is $11(c-1) + n$. ¼ for one of the
   two.
4. ½: its entry $W_{1c(n-2(r-1))}$, and zero where the filter does not reach. ¼ without the zeros.
5. ½: $\frac{\partial \ell}{\partial W}$ is $1 \times 21$, with the sum over all five windows. ¼ for one of the two.
6. ½: it is a cross-correlation with $x$ again (¼); one difference is named: dilation in place of stride, or components
   not summed (¼).
### END SOLUTION
"""


# %% nbgrader={"grade_id": "jacobians-code", "solution": true}
def jacobian_by_weights(x, k, stride=2):
    """∂f/∂W for a sequence x (C, N) and one filter of width k.

    Returns a matrix (R, C·k); its columns are ordered like W.reshape(-1).
    """
    ### BEGIN SOLUTION
    starts = range(0, x.shape[1] - k + 1, stride)
    return torch.cat([x[:, n : n + k].reshape(1, -1) for n in starts])  # each row is a window
    ### END SOLUTION


def jacobian_by_input(W, N, stride=2):
    """∂f/∂x for one filter W (1, C, k) on a sequence of N steps.

    Returns a matrix (R, C·N); its columns are ordered like x.reshape(-1).
    """
    ### BEGIN SOLUTION
    _, C, k = W.shape
    starts = range(0, N - k + 1, stride)
    jacobian = torch.zeros(len(starts), C, N)  # the last two axes are flattened at the end
    for r, n in enumerate(starts):
        jacobian[r, :, n : n + k] = W[0]
    return jacobian.reshape(len(starts), C * N)
    ### END SOLUTION


def gradient_by_weights(x, dl_df, k, stride=2):
    """∂ℓ/∂W for a sequence x (C, N), the upstream gradient dl_df (1, R) and one filter of width k.

    Returns a row (1, C·k); its entries are ordered like W.reshape(-1).
    """
    ### BEGIN SOLUTION
    R = dl_df.shape[1]
    taps = [x[:, j : j + stride * (R - 1) + 1 : stride] for j in range(k)]  # k times (C, R): what met column j
    return torch.stack([(dl_df * tap).sum(1) for tap in taps], dim=1).reshape(1, -1)
    ### END SOLUTION


# %% nbgrader={"grade_id": "jacobian-weights", "grade": true, "points": 2, "locked": true}
x, W = numbers((7, 11), (1, 7, 3), seed=2)
compare("∂f/∂W", jacobian_by_weights(x, 3), measured_jacobian(lambda W: functional.conv1d(x, W, stride=2), W))
x, W = numbers((2, 9), (1, 2, 4), seed=3)
measured = measured_jacobian(lambda W: functional.conv1d(x, W, stride=3), W)
compare("∂f/∂W, stride 3", jacobian_by_weights(x, 4, 3), measured)

# %% nbgrader={"grade_id": "jacobian-input", "grade": true, "points": 2, "locked": true}
x, W = numbers((7, 11), (1, 7, 3), seed=4)
compare("∂f/∂x", jacobian_by_input(W, 11), measured_jacobian(lambda x: functional.conv1d(x, W, stride=2), x))
x, W = numbers((2, 9), (1, 2, 4), seed=5)
measured = measured_jacobian(lambda x: functional.conv1d(x, W, stride=3), x)
compare("∂f/∂x, stride 3", jacobian_by_input(W, 9, 3), measured)

# %% nbgrader={"grade_id": "gradient-weights", "grade": true, "points": 2, "locked": true}
# The loss here is linear in f, so dl_df is its gradient for every value of f
x, W, dl_df = numbers((7, 11), (1, 7, 3), (1, 5), seed=7)
measured = measured_jacobian(lambda W: (dl_df * functional.conv1d(x, W, stride=2)).sum(), W)
compare("∂ℓ/∂W", gradient_by_weights(x, dl_df, 3), measured)
x, W, dl_df = numbers((2, 9), (1, 2, 4), (1, 2), seed=8)
measured = measured_jacobian(lambda W: (dl_df * functional.conv1d(x, W, stride=3)).sum(), W)
compare("∂ℓ/∂W, stride 3", gradient_by_weights(x, dl_df, 4, 3), measured)

# %% nbgrader={"grade_id": "jacobians-figure", "locked": true} tags=["demo"]
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

# %% [markdown] nbgrader={"grade_id": "unrolled-text", "locked": true}
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


# %% nbgrader={"grade_id": "unrolled-code", "solution": true}
def unrolled_edges(T):
    """The arrows of the gated network unrolled for T steps: a list of pairs of names such as ("x1", "c1")."""
    ### BEGIN SOLUTION
    edges = []
    for t in range(1, T + 1):
        x, c, old, new = f"x{t}", f"c{t}", f"h{t - 1}", f"h{t}"
        edges += [(x, c), (old, c), (c, new), (old, new), (x, new)]
    return edges
    ### END SOLUTION


def unrolled_places(T):
    """Where the nodes stand: a dictionary from the 3 T + 1 names to pairs (x, y)."""
    ### BEGIN SOLUTION
    places = {"h0": (0, 2)}
    for t in range(1, 1 + T):
        places |= {f"x{t}": (2 * t, 0), f"c{t}": (2 * t - 0.8, 1), f"h{t}": (2 * t, 2)}
    return places
    ### END SOLUTION


def gated_dimensions(n, m):
    """Rows and columns for x[t] (n, 1) and h[t] (m, 1): a dictionary from "W_c", "W_h", "W_x", "c" to pairs of int."""
    ### BEGIN SOLUTION
    return {"W_c": (m, n), "W_h": (m, m), "W_x": (m, n), "c": (m, 1)}
    ### END SOLUTION


# %% nbgrader={"grade_id": "unrolled", "grade": true, "points": 3, "locked": true}
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


# %% nbgrader={"grade_id": "gated-network", "locked": true, "gives": ["gated_rnn", "gated_step", "size_of_the_past"]}
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


# %% [markdown] nbgrader={"grade_id": "gated-text", "locked": true}
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

# %% [markdown] nbgrader={"grade_id": "gated-derivation", "grade": true, "solution": true, "points": 4}
r"""
### BEGIN SOLUTION
*The gate.* Let $z = W_c x[t] + W_h h[t-1]$, so $\frac{\partial z}{\partial h[t-1]} = W_h$. Entry $i$ of $c[t] =
\sigma(z)$ depends on entry $i$ of $z$ alone, with slope $\sigma'(z_i) = c_i (1 - c_i)$. By the chain rule

$$\frac{\partial c[t]}{\partial h[t-1]} = \text{diag}\bigl(c[t] \odot (1 - c[t])\bigr)\, W_h
\qquad (m \times m)(m \times m) .$$

*The state.* Write $u = \overline{W}_x x[t]$, which does not depend on $h[t-1]$. The product rule gives

$$\frac{\partial \bigl(c[t] \odot h[t-1]\bigr)}{\partial h[t-1]} = \text{diag}(c[t]) +
\text{diag}(h[t-1])\, \frac{\partial c[t]}{\partial h[t-1]}, \qquad
\frac{\partial \bigl((1 - c[t]) \odot u\bigr)}{\partial h[t-1]} = -\,\text{diag}(u)\,
\frac{\partial c[t]}{\partial h[t-1]},$$

and the sum of the two is

$$J[t] = \frac{\partial h[t]}{\partial h[t-1]} = \text{diag}(c[t]) + \text{diag}\bigl(h[t-1] - \overline{W}_x
x[t]\bigr)\, \text{diag}\bigl(c[t] \odot (1 - c[t])\bigr)\, W_h \qquad m \times m .$$

*Backward in time.* Let $\delta[t] \in \mathbb{R}^{1 \times m}$ be the gradient of ℓ with respect to $h[t]$, all later
effects included. $h[K]$ acts on the loss only directly; an earlier $h[t]$ acts directly, and through $h[t+1]$:

$$\delta[K] = r[K], \qquad \delta[t] = r[t] + \delta[t+1]\, J[t+1]
\qquad (1 \times m) + (1 \times m)(m \times m), \quad t = K - 1, \dots, 1 .$$

*At one time.* Let $u[t] = \overline{W}_x x[t]$. With $h[t-1]$ held fixed, $c[t]$ does not depend on $\overline{W}_x$,
so $\frac{\partial h[t]}{\partial u[t]} = \text{diag}(1 - c[t])$ and $\frac{\partial \ell}{\partial u[t]}$ is the row
$\delta[t] \odot (1 - c[t])^\top$. For a linear layer the gradient of the weights is the input, a column, times this
row.

*All times.* The same matrix is used at each of them, so the contributions add up:

$$\frac{\partial \ell}{\partial \overline{W}_x} = \sum_{t=1}^{K} x[t]\, \bigl(\delta[t] \odot (1 - c[t])^\top\bigr)
\qquad (n \times 1)(1 \times m) = n \times m .$$

*In common:* both passes are recursions with one step for each time. Something new comes in at each step ($x[t]$
forward, $r[t]$ backward). Both use the same weights and gates, and both carry $m$ numbers. *Different:* the backward
pass runs from $K$ to 1, is linear in what it carries, and needs the values $h[t-1]$ and $c[t]$ that the forward pass
has stored.

**Mark scheme (4 points)**

1. ½: $\sigma' = \sigma (1 - \sigma)$ on a diagonal. The same entry by entry also counts; otherwise nothing.
2. ½: $W_h$ as the inner derivative, on the right. ¼ if it is on the left or transposed.
3. ½: the direct path, $\text{diag}(c[t])$. ¼ for $c[t]$ without the diagonal.
4. ½: the path through the gate, with $h[t-1] - \overline{W}_x x[t]$. ¼ if one of the two terms is missing.
5. ½: $\delta[K] = r[K]$ and $\delta[t] = r[t] + \delta[t+1] J[t+1]$, or the same as a sum of products. ¼ if the order
   of the factors is wrong.
6. ½: the contribution of one time, with the factor $1 - c[t]$ (¼) and $x[t]$ as a column on the left (¼).
7. ½: the sum over $1 \dots K$ (¼), because one matrix is used at every time (¼).
8. ½: two things in common (¼) and one difference (¼).
### END SOLUTION
"""


# %% nbgrader={"grade_id": "gated-code", "solution": true}
def gated_jacobians(x, h, W_c, W_h, W_x):
    """The Jacobians of one step, for x[t] (n, 1) and h[t−1] (m, 1); W_c (m, n), W_h (m, m), W_x (m, n).

    Returns a tuple of ∂c[t]/∂h[t−1] (m, m), ∂h[t]/∂h[t−1] (m, m).
    """
    ### BEGIN SOLUTION
    c, _ = gated_step(x, h, W_c, W_h, W_x)
    dc_dh = c * (1 - c) * W_h  # a column times a matrix scales its rows, as diag(…) from the left does
    dh_dh = torch.diagflat(c) + (h - W_x @ x) * dc_dh
    return dc_dh, dh_dh
    ### END SOLUTION


def gated_gradient(x, W_c, W_h, W_x, r):
    """∂ℓ/∂W_x (the one with a bar) over the steps 1…K.

    x (n, K): column t is x[t]; W_c (m, n), W_h (m, m), W_x (m, n); r (K, m): row t is r[t]; h[0] = 0

    Returns a matrix (n, m).
    """
    ### BEGIN SOLUTION
    K = x.shape[1]
    cs, hs = gated_rnn(x, W_c, W_h, W_x)  # cs[t] is c[t + 1], and hs[t] is h[t]
    gradient, delta = torch.zeros_like(W_x.T), r[K - 1 : K]  # (n, m), (1, m)
    for t in range(K - 1, -1, -1):
        now = x[:, t : t + 1]
        gradient += now @ (delta * (1 - cs[t]).T)
        if t > 0:
            delta = r[t - 1 : t] + delta @ gated_jacobians(now, hs[t], W_c, W_h, W_x)[1]
    return gradient
    ### END SOLUTION


# %% nbgrader={"grade_id": "gated-jacobians", "grade": true, "points": 2, "locked": true}
x, h, W_c, W_h, W_x = numbers((2, 1), (3, 1), (3, 2), (3, 3), (3, 2), seed=8)
dc_dh, dh_dh = gated_jacobians(x, h, W_c, W_h, W_x)
compare("∂c[t]/∂h[t−1]", dc_dh, measured_jacobian(lambda h: gated_step(x, h, W_c, W_h, W_x)[0], h))
compare("∂h[t]/∂h[t−1]", dh_dh, measured_jacobian(lambda h: gated_step(x, h, W_c, W_h, W_x)[1], h))


# %% nbgrader={"grade_id": "gated-gradient", "grade": true, "points": 3, "locked": true}
def seen_by_the_loss(W_x, x, W_c, W_h, r):
    """A loss that is linear in the states: the sum of r[t] h[t]."""
    _, hs = gated_rnn(x, W_c, W_h, W_x)
    return (r * torch.stack(hs[1:])[:, :, 0]).sum()


for K in (1, 2, 6):
    x, W_c, W_h, W_x, r = numbers((2, K), (3, 2), (3, 3), (3, 2), (K, 3), seed=9)
    leaf = W_x.clone().requires_grad_()
    (measured,) = torch.autograd.grad(seen_by_the_loss(leaf, x, W_c, W_h, r), leaf)
    compare(f"∂ℓ/∂W_x, K = {K}", gated_gradient(x, W_c, W_h, W_x, r), measured.T)

# %% [markdown] nbgrader={"grade_id": "extremes-text", "locked": true}
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

# %% [markdown] nbgrader={"grade_id": "extremes-discussion", "grade": true, "solution": true, "points": 1}
r"""
### BEGIN SOLUTION
$J[t] = \text{diag}(c[t]) + \text{diag}\bigl((h[t-1] - \overline{W}_x x[t]) \odot c[t] \odot (1 - c[t])\bigr) W_h$.

*Neither.* As $c[t] \to 1$, so that the old state stays, the factor $c(1-c)$ in the second term goes to 0 and $J[t] \to
I$. Over $K$ steps the product stays near $I$ while $K(1 - c)$ is small.

*Vanishing.* With $c[t] \to 0$ both terms go to 0, and one step erases the past. More generally the product shrinks
exponentially whenever $\lVert J[t] \rVert \le \rho < 1$ at all times, for example with $W_h = 0$ and gates below ρ.

*Exploding.* The first term never exceeds 1. The second grows with $W_h$ and with $h[t-1] - \overline{W}_x x[t]$, unless
the gate is close to 0 or 1: its factor $c(1-c)$ is largest, $\frac14$, at $c = \frac12$. For $m = 1$ the product grows
exponentially when $\lvert J[t] \rvert \ge \rho > 1$ time after time, as in the network below, where every $J[t] = 4.5$.
For $m > 1$ it can grow along some directions and shrink along others. The gate offers a safe path, but it does not rule
out an explosion.

**Mark scheme (1 point)**

1. ½: vanishing with a condition ($c \to 0$, or all norms below some number $< 1$), and neither when $c \to 1$, $J \to
   I$. ¼ for one of the two.
2. ½: exploding is possible through the second term: $W_h$ or the difference of state and candidate is large (¼), and
   the gate is not close to 0 or 1 (¼).
### END SOLUTION
"""


# %% nbgrader={"grade_id": "extremes-code", "solution": true}
def fading(K):
    """Inputs x (n, K) and weights W_c (m, n), W_h (m, m), W_x (m, n), as a tuple, with s ≤ 0.9^K."""
    ### BEGIN SOLUTION
    return torch.zeros(1, K), torch.zeros(1, 1), torch.zeros(1, 1), torch.zeros(1, 1)  # c = ½ = J[t]
    ### END SOLUTION


def carrying(K):
    """The same with 0.9 ≤ s ≤ 1.1."""
    ### BEGIN SOLUTION
    return torch.ones(1, K), torch.full((1, 1), 40.0), torch.zeros(1, 1), torch.ones(1, 1)  # c = σ(40)
    ### END SOLUTION


def exploding(K):
    """The same with s ≥ 2^K."""
    ### BEGIN SOLUTION
    # With h[t−1] = −(t−1): the first component of x[t] cancels W_h h[t−1], so that c = ½; the second is h[t−1] − 2.
    # Then h[t] = h[t−1] − 1, and J[t] = ½ + 2 · ¼ · 8 = 4.5
    past = torch.arange(K)  # −h[t−1]
    x = torch.stack([8.0 * past, -past - 2.0])  # (2, K)
    return x, torch.tensor([[1.0, 0.0]]), torch.tensor([[8.0]]), torch.tensor([[0.0, 1.0]])
    ### END SOLUTION


# %% nbgrader={"grade_id": "extremes", "grade": true, "points": 2, "locked": true}
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

# %% [markdown] nbgrader={"grade_id": "attention-text", "locked": true}
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
arrows from the one or two states before it.*"""

# %% nbgrader={"grade_id": "attention-figure", "locked": true} tags=["demo"]
figure, ax = plt.subplots(figsize=(7, 2.6))
places = {f"x{t}": (2 * t, 0) for t in (1, 2, 3, 4)} | {f"h{t}": (2 * t, 1.5) for t in (1, 2, 3, 4)}
edges = [(f"x{t}", f"h{t}") for t in (1, 2, 3, 4)]
edges += [(f"h{t - i}", f"h{t}") for t in (2, 3, 4) for i in (1, 2) if t > i]
draw_graph(ax, edges, places, "AttentionRNN(2), unrolled", far=3)
show_figure(f"Arrows: {', '.join(f'{start} to {end}' for start, end in edges)}.")

# %% [markdown] nbgrader={"grade_id": "attention-equations", "grade": true, "solution": true, "points": 2}
r"""
### BEGIN SOLUTION
*k states.* With matrices $Q_0, K_0 \in \mathbb{R}^{d \times n}$, $V_0 \in \mathbb{R}^{m \times n}$ for the input, and
$Q_i, K_i \in \mathbb{R}^{d \times m}$, $V_i \in \mathbb{R}^{m \times m}$ for the state $i$ steps ago:

$$q_0 = Q_0 x[t], \quad k_0 = K_0 x[t], \quad v_0 = V_0 x[t], \qquad
q_i = Q_i h[t-i], \quad k_i = K_i h[t-i], \quad v_i = V_i h[t-i] \quad (i = 1, \dots, k),$$

$$w_i = q_i^\top k_i \quad (i = 0, \dots, k), \qquad a = \text{softargmax}(w) \in \mathbb{R}^{k+1}, \qquad
h[t] = \sum_{i=0}^{k} a_i\, v_i, \qquad h[t] = 0 \text{ for } t \le 0 .$$

*All states.*
$$h[t] = \sum_{i=0}^{t-1} a_i\, v_i, \qquad a = \text{softargmax}(w) \in \mathbb{R}^{t}, \qquad w_i = q_i^\top k_i,
\qquad i = 0 \text{ for } x[t], \quad i = 1, \dots, t-1 \text{ for } h[t-i] .$$

*Growth.* The input needs $2dn + mn$ numbers and every distance $2dm + m^2$ more, in all $2dn + mn + (t-1)(2dm + m^2)$
at step $t$, which grows without bound. Memory grows with the sequence. Matrices for long distances see few examples.
Distances beyond the longest training sequence have no trained matrices at all.

*Tying.* With $Q_i = Q$, $K_i = K$, $V_i = V$ for $i \ge 1$ the number is $2dn + mn + 2dm + m^2$, whatever $t$ is, and
each matrix learns from all distances. The order is lost: the sum does not change when states of the past swap places.
“How long ago” must come from elsewhere, for example from a code for the position that is added to the states.

**Mark scheme (2 points)**

1. ½: queries, keys and values for $i = 0$ from $x[t]$, and for $i = 1 \dots k$ from $h[t-i]$. ¼ if an index range is
   missing or wrong.
2. ½: weights and sum over $i = 0 \dots k$ (¼), with $a \in \mathbb{R}^{k+1}$ (¼).
3. ½: the sum up to $t - 1$ (¼); parameters grow linearly with $t$, with one consequence: memory, few examples or unseen
   lengths (¼).
4. ½: tying makes the number constant (¼); the order of the past is lost, or all distances are treated alike (¼).
### END SOLUTION
"""


# %% nbgrader={"grade_id": "attention-code", "solution": true}
def attention_dimensions(n, m, d):
    """Rows and columns in AttentionRNN(2): a dictionary from "a", "Q0", "Q1", "V0", "V1" to pairs of int."""
    ### BEGIN SOLUTION
    return {"a": (3, 1), "Q0": (d, n), "Q1": (d, m), "V0": (m, n), "V1": (m, m)}
    ### END SOLUTION


def attention_step(x, history, Q, K, V):
    """One step of AttentionRNN(k), for any k from 1 on.

    x = x[t] (n, 1); history = [h[t−1], …, h[t−k]], each (m, 1)
    Q = [Q0, …, Qk], K = [K0, …, Kk], V = [V0, …, Vk]: lists of k + 1 matrices

    Returns h[t] (m, 1).
    """
    ### BEGIN SOLUTION
    sources = [x, *history]
    w = torch.cat([(Q[i] @ s).T @ (K[i] @ s) for i, s in enumerate(sources)])  # (k + 1, 1)
    v = torch.cat([V[i] @ s for i, s in enumerate(sources)], dim=1)  # (m, k + 1)
    return v @ torch.softmax(w, dim=0)
    ### END SOLUTION


def attention_parameters(n, m, d, k, tied=False):
    """How many numbers are in all the matrices of an AttentionRNN that looks at x[t] and k ≥ 1 states; an int."""
    ### BEGIN SOLUTION
    own = 2 * d * n + m * n
    distance = 2 * d * m + m * m
    return own + (1 if tied else k) * distance
    ### END SOLUTION


def tied_attention_step(x, history, Q0, K0, V0, Q, K, V):
    """One step of the tied AttentionRNN(∞).

    x = x[t] (n, 1); history = [h[t−1], …, h[1]], each (m, 1), a list of any length, empty at the first step
    Q0, K0 (d, n), V0 (m, n) for the input; Q, K (d, m), V (m, m) for all states

    Returns h[t] (m, 1).
    """
    ### BEGIN SOLUTION
    past = len(history)
    return attention_step(x, history, [Q0, *[Q] * past], [K0, *[K] * past], [V0, *[V] * past])
    ### END SOLUTION


# %% nbgrader={"grade_id": "attention-step", "grade": true, "points": 3, "locked": true}
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

# %% nbgrader={"grade_id": "attention-all", "grade": true, "points": 2, "locked": true}
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

# %% [markdown] nbgrader={"grade_id": "attention-jacobian-text", "locked": true}
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

# %% [markdown] nbgrader={"grade_id": "attention-jacobian-derivation", "grade": true, "solution": true, "points": 3}
r"""
### BEGIN SOLUTION
**One arrow.** Write $h = h[t-1]$. It enters $v_1 = V_1 h$ and, in $a$, the weight $w_1$ only; so

$$\frac{\partial h[t]}{\partial h} = a_1 \frac{\partial v_1}{\partial h} + \Bigl(\sum_{i=0}^{2} v_i\,
\frac{\partial a_i}{\partial w_1}\Bigr) \frac{\partial w_1}{\partial h}
\qquad (m \times m) + (m \times 1)(1 \times m) .$$

*Value.* $\frac{\partial v_1}{\partial h} = V_1$.

*Weight.* $w_1 = (Q_1 h)^\top (K_1 h) = h^\top Q_1^\top K_1 h$. The product rule gives
$\frac{\partial w_1}{\partial h} = k_1^\top Q_1 + q_1^\top K_1 = h^\top \bigl(K_1^\top Q_1 + Q_1^\top K_1\bigr)$, a row.

*Softargmax.* From $a_i = e^{w_i} / \sum_j e^{w_j}$: $\frac{\partial a_1}{\partial w_1} = a_1 (1 - a_1)$, and
$\frac{\partial a_i}{\partial w_1} = -a_i a_1$ for $i \ne 1$. Hence

$$\sum_{i=0}^{2} v_i\, \frac{\partial a_i}{\partial w_1} = a_1 v_1 - a_1 \sum_{i=0}^{2} a_i v_i
= a_1 \bigl(v_1 - h[t]\bigr) .$$

*Together:*

$$\frac{\partial h[t]}{\partial h[t-1]}
= a_1 \Bigl[\, V_1 + \bigl(v_1 - h[t]\bigr)\, \bigl(k_1^\top Q_1 + q_1^\top K_1\bigr) \Bigr] .$$

For the state $j$ steps ago replace every index 1 by $j$. A source with $a_j \to 0$ passes nothing back.

**All arrows.** $h[T]$ acts on the loss directly, and through every state that looks back at it: $h[T+1], \dots,
h[T+k]$, as far as they exist. Each of these contributes the gradient at the end of the arrow times the Jacobian of the
arrow:

$$\frac{\partial \ell}{\partial h[T]} = r[T] + \sum_{i=1}^{\min(k,\, L-T)}
\frac{\partial \ell}{\partial h[T+i]}\; J[T+i, T] \qquad (1 \times m) + (1 \times m)(m \times m) .$$

For $T = L$ the sum is empty. Longer paths, such as from $h[T]$ through $h[T+1]$ to $h[T+2]$, are already contained in
$\frac{\partial \ell}{\partial h[T+1]}$, which counts everything that follows from $h[T+1]$. So each arrow is used
once, with the other states held fixed, and the gradients are computed from $L$ down to 1.

**Mark scheme (3 points)**

1. ½: two paths, value and weight, are added (¼); the path of the value gives $a_1 V_1$ (¼).
2. ½: $\frac{\partial w_1}{\partial h}$ as a row with both terms. ¼ for one term.
3. ½: the derivatives of softargmax, for $i = 1$ (¼) and for $i \neq 1$ (¼), or both as $\text{diag}(a) - a a^\top$.
4. ½: everything together without a sum, with $h[t]$. ¼ if the sum is still there.
5. ½: $r[T]$ plus the sum of gradient times Jacobian, in this order, over the $k$ following states. ¼ if it is not cut
   off at $L$.
6. ½: longer paths are contained in the upstream gradients. Nothing for “computed from the end” alone.
### END SOLUTION
"""


# %% nbgrader={"grade_id": "attention-jacobian-code", "solution": true}
def attention_jacobian(x, history, Q, K, V, j):
    """∂h[t]/∂h[t−j] in AttentionRNN(k), 1 ≤ j ≤ k, the other states and x[t] held fixed.

    x (n, 1); history = [h[t−1], …, h[t−k]], each (m, 1); Q, K, V: lists of k + 1 matrices, as in attention_step

    Returns a matrix (m, m).
    """
    ### BEGIN SOLUTION
    sources = [x, *history]
    w = torch.cat([(Q[i] @ s).T @ (K[i] @ s) for i, s in enumerate(sources)])  # (k + 1, 1)
    v = torch.cat([V[i] @ s for i, s in enumerate(sources)], dim=1)  # (m, k + 1)
    a = torch.softmax(w, dim=0)  # (k + 1, 1)
    q, k = Q[j] @ sources[j], K[j] @ sources[j]  # (d, 1)
    dw_dh = k.T @ Q[j] + q.T @ K[j]  # (1, m)
    return a[j] * (V[j] + (v[:, j : j + 1] - v @ a) @ dw_dh)
    ### END SOLUTION


def attention_backward(r, J):
    """∂ℓ/∂h[t] for all t from 1 to L.

    r (L, m): row t is r[t]; J: a dictionary from (t, s) to ∂h[t]/∂h[s] (m, m), with an entry for each arrow, in any
    order; t and s count from 1, so r[t] is r[t - 1] in Python

    Returns a matrix (L, m) whose rows are ∂ℓ/∂h[1], …, ∂ℓ/∂h[L]; r stays as it is.
    """
    ### BEGIN SOLUTION
    gradients = r.clone()
    for t in range(len(r), 1, -1):  # complete by now: all that look back at h[t] have paid in
        for s in range(1, t):
            if (t, s) in J:
                gradients[s - 1] += gradients[t - 1] @ J[t, s]
    return gradients
    ### END SOLUTION


# %% nbgrader={"grade_id": "attention-jacobian", "grade": true, "points": 3, "locked": true}
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

# %% nbgrader={"grade_id": "attention-backward", "grade": true, "points": 1, "locked": true}
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

# %% [markdown] nbgrader={"grade_id": "reach-text", "locked": true}
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
AttentionRNN(2) with the same tied weights. A wrong prediction costs nothing."""

# %% nbgrader={"grade_id": "reach-code", "solution": true}
# reach_prediction = "…"   # "A", "B" or "C"
### BEGIN SOLUTION
reach_prediction = "C"
### END SOLUTION

# %% nbgrader={"grade_id": "reach", "grade": true, "points": 0.5, "locked": true}
assert reach_prediction in ("A", "B", "C"), 'reach_prediction should be one letter in quotes: "A", "B" or "C"'
print("ok  your prediction is", reach_prediction)


# %% nbgrader={"grade_id": "reach-figure", "locked": true} tags=["demo"]
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

# %% [markdown] nbgrader={"grade_id": "reach-words", "grade": true, "solution": true, "points": 0.5}
r"""
### BEGIN SOLUTION
The gradients of both gated networks and of the control shrink exponentially with the distance, by more than a million
over 60 steps. That of AttentionRNN(∞) hardly shrinks further after the first step back. AttentionRNN(2) has the same
weights and lacks only the far arrows, so the direct arrows are the cause: one arrow replaces a product of many
Jacobians.

**Mark scheme (½ point)**

1. ¼: AttentionRNN(∞) keeps a much longer gradient at early steps than the others.
2. ¼: the cause is the direct arrow, supported by the control or by the product of many Jacobians. Nothing for
   “attention is better”.
### END SOLUTION
"""

# %% [markdown] nbgrader={"grade_id": "debugging-text", "locked": true}
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
keeps jumping up within a step or two, often above that line. Then it settles near 0.*"""

# %% nbgrader={"grade_id": "debugging-run", "locked": true, "gives": ["lstm_run", "train_lstm"]} tags=["demo"]
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


# %% nbgrader={"grade_id": "evidence-code", "solution": true}
def growth_through_time(early, late):
    """The length of the gradient `early` (B, 2m), divided by that of `late` (B, m); a number."""
    ### BEGIN SOLUTION
    return float(early.norm() / late.norm())
    ### END SOLUTION


def step_times_curvature(before, after, rate, length):
    """ηκ, for the parabola that starts at `before` with slope −length² and ends at `after`; a number."""
    ### BEGIN SOLUTION
    promised = rate * length**2  # the fall along the tangent
    return 2 * (after - before + promised) / promised
    ### END SOLUTION


# %% nbgrader={"grade_id": "evidence", "grade": true, "points": 0.5, "locked": true}
compare("growth", growth_through_time(torch.tensor([[3.0, 4.0], [0.0, 0.0]]), torch.tensor([[0.0], [10.0]])), 0.5)
compare("no curvature", step_times_curvature(before=2.0, after=1.0, rate=0.25, length=2.0), 0.0)
compare("as high as before", step_times_curvature(before=2.0, after=2.0, rate=0.25, length=2.0), 2.0)

# %% nbgrader={"grade_id": "evidence-figure", "locked": true} tags=["demo"]
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

# %% [markdown] nbgrader={"grade_id": "kinks-text", "locked": true}
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

# %% nbgrader={"grade_id": "kinks-code", "solution": true}
# kink_cause = "…"
# spike_reason = "…"
# fixes = {"…", …}
# initial_accuracy = …
# initial_loss = …
### BEGIN SOLUTION
kink_cause = "E"
spike_reason = "B"
fixes = {"A", "C", "E"}
initial_accuracy = 1 / 4  # a blind guess is right in one case of four
initial_loss = math.log(4)  # −log(1/4), for each example and so on average
### END SOLUTION

# %% nbgrader={"grade_id": "kinks", "grade": true, "points": 2, "locked": true}
assert kink_cause in list("ABCDEF"), "kink_cause should be one of the letters A to F"
assert spike_reason in list("ABCD"), "spike_reason should be one of the letters A to D"
assert set(fixes) <= set("ABCDEFG") and fixes, "fixes should be a set of letters from A to G"
assert 0 <= initial_accuracy <= 1, "initial_accuracy should be a number between 0 and 1"
assert initial_loss > 0, "initial_loss should be positive, as every cross-entropy is"
print("ok  the form is right; the grader checks the answers")

# %% [markdown] nbgrader={"grade_id": "kinks-words", "grade": true, "solution": true, "points": 2.5}
r"""
### BEGIN SOLUTION
*Cause.* The gradient does not explode: over ten steps back in time its length changes by a factor between about 0.5 and
2.3 before a jump, hardly more than at other steps. But before every jump $\eta\kappa$ is above 2, and there the step
ends higher than it began, on the very same batch. The step crosses the valley and climbs the other side. Since both
losses belong to one batch, a harder batch cannot be the reason.

*Early spikes.* The untrained network gives each class about ¼, and each example costs about $\ln 4$. A network that has
learnt something gives high probabilities. When a step throws it off, it gives high probability to wrong classes. The
right class may then have a probability $p$ far below ¼, and $-\log p$ exceeds $\ln 4$, without limit.

*Fixes.* A, C and E limit how far one update can move the parameters, so no overshoot carries them far. (B and G
change the model, F the seed, and D only the picture.)

*First values.* There are four equally frequent classes. A network that knows nothing is right in one case of four, so
the accuracy is 25 %. It gives the right class the probability ¼, so the loss is $-\ln \frac14 = \ln 4 \approx 1.39$.

**Mark scheme (2½ points)**

1. ½: the growth through time stays near 1 before the jumps, so gradients do not explode. ¼ without a number from the
   figure.
2. ½: step times curvature is above 2 before every jump, so the step ends higher than it began. ¼ without a number from
   the figure.
3. ½: after some training the network is confident (¼); $-\log p$ of a right class with small $p$ exceeds $\ln 4$ (¼).
4. ½: the right fixes limit the length of a single update. ¼ for a true reason that fits only one of them.
5. ½: accuracy ¼ because there are four equally frequent classes (¼); loss $-\ln \frac14$ (¼).
### END SOLUTION
"""

# %% nbgrader={"grade_id": "cures-figure", "locked": true} tags=["demo"]
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

# %% [markdown] nbgrader={"grade_id": "closing", "locked": true}
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
learning*."""
