# %% [markdown] nbgrader={"grade": false, "grade_id": "header", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
# Backpropagation on paper

In this notebook you derive every gradient of a two-layer network by hand. After each derivation you write the result as
a short function, and a check compares it with PyTorch's own gradient. So you see at once whether a transpose is
missing.

**What you will build.** The gradients for regression, then for classification with two different losses. You write the
chain rule *once* and use it three times. You also draw a computational graph and the slopes of four activations.

| part | you answer | points by machine | by hand | minutes |
| --- | --- | --- | --- | --- |
| 1 Regression | training loop, forward, chain rule, factors | 1 + 2 + 3 + 2 | 1 + 3 | 50 |
| 2 Classification | forward, factors and gradients | 2 + 2 + 4 | 2 | 35 |
| 3 Cross-entropy | loss, factors and gradients, deeper nets | 3 + 2 + 4 + ½ | 1 + 2 + 1½ | 45 |
| 4 Concepts | softargmax, graph, slopes, ReLU, maps | 1 + 3 + 3 + 1 + 2 | 1 + 2 + 1 | 50 |
| **total** | **50 points** | **35½** | **14½** | **180** |

**You need** matrix products, partial derivatives and the chain rule. Everything runs in seconds on a CPU.

**How to work.** Derive on paper first. Cells that say *Your answer here* take the derivation, in LaTeX or in plain
words; a person marks them. Cells with `raise NotImplementedError` take the result as code. The cell below each of them
tries your code on one example. The grader uses other numbers and sizes; any size may be 1.
"""

# %% [markdown] nbgrader={"grade": false, "grade_id": "colab", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
[![Open this notebook in Google Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/your-organisation/deep-learning/blob/main/release/hw1/theory.ipynb)
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

# The cells below use these names themselves: BLUE, compare, compare_each, compare_factors, compare_gradients,
# example, GREEN, measured_gradients, measured_jacobian, ORANGE, RED, relative_error, returned_by,
# show_figure. Give your own helpers other names.

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
    """∂f/∂v at the column v by autograd, in numerator layout: (entries of f(v), entries of v)."""
    return torch.autograd.functional.jacobian(f, v).reshape(-1, v.numel())


def measured_gradients(f, g, loss, x, W1, b1, W2, b2):
    """∂ℓ/∂W1, ∂ℓ/∂b1, ∂ℓ/∂W2, ∂ℓ/∂b2 of ℓ = loss(ŷ) by autograd, in numerator layout."""
    leaves = [parameter.clone().requires_grad_() for parameter in (W1, b1, W2, b2)]
    hidden = functional.linear(x.T, leaves[0], leaves[1][:, 0])  # PyTorch wants examples as rows
    y_hat = g(functional.linear(f(hidden), leaves[2], leaves[3][:, 0])).T  # (K, 1), a column again
    return [gradient.T for gradient in torch.autograd.grad(loss(y_hat), leaves)]


def example(n, d, K, seed):
    """An input and the parameters of a network with n inputs, d hidden units, K outputs: x, W1, b1, W2, b2."""
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, generator=generator) for shape in ((n, 1), (d, n), (d, 1), (K, d), (K, 1))]


def returned_by(function, *numbers):
    """What your function returns. Fails if the function changes a tensor that it is given."""
    before = [number.clone() for number in numbers]
    returned = function(*numbers)
    assert all(map(torch.equal, before, numbers)), "your function changes a tensor that it is given"
    return returned


def compare_each(names, yours, right):
    """Compare the parts of your answer; `names` holds one name for each part."""
    names = names.split()
    assert yours is not None, "your function returns nothing (None): is a return statement missing?"
    assert len(yours) == len(names), (
        f"your function should return {', '.join(names)}; the number of values is {len(yours)}"
    )
    for name, part, expected in zip(names, yours, right, strict=True):
        compare(name, part, expected)


def compare_gradients(yours, f, g, loss, *numbers):
    """Compare your four gradients with the measured ones. f and g take examples as rows."""
    compare_each("∂ℓ/∂W1 ∂ℓ/∂b1 ∂ℓ/∂W2 ∂ℓ/∂b2", yours, measured_gradients(f, g, loss, *numbers))


def compare_factors(yours, loss, y_hat, g, z3, f, z1):
    """Compare your three factors with the measured derivatives of ℓ at ŷ, of g at z3 and of f at z1."""
    measured = [measured_jacobian(loss, y_hat), measured_jacobian(g, z3), measured_jacobian(f, z1)]
    compare_each("∂ℓ/∂ŷ ∂ŷ/∂z3 ∂z2/∂z1", yours, measured)


# %% [markdown] nbgrader={"grade": false, "grade_id": "rules", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
## The network and the notation

$$x \;\to\; \boxed{\text{Linear}(W_1, b_1)} \;\to\; z_1 \;\to\; \boxed{\;f\;} \;\to\; z_2
\;\to\; \boxed{\text{Linear}(W_2, b_2)} \;\to\; z_3 \;\to\; \boxed{\;g\;} \;\to\; \hat y, \qquad \ell(\hat y, y)$$

**Columns.** $x \in \mathbb{R}^n$, $z_1, z_2 \in \mathbb{R}^d$ and $z_3, \hat y, y \in \mathbb{R}^K$ are columns. In
code they are columns too: `x` has shape `(n, 1)`. So you can copy a formula from paper into Python, with `@` for the
matrix product and `.T` for the transpose.

**Numerator layout.** The derivative of $u \in \mathbb{R}^m$ with respect to $v \in \mathbb{R}^n$ is an $m \times n$
matrix: rows for the outputs, columns for the inputs. So the gradient of the scalar $\ell$ is a *row*, and the chain
rule reads from left to right,
$\frac{\partial \ell}{\partial z_1} = \frac{\partial \ell}{\partial z_2}\frac{\partial z_2}{\partial z_1}$. For a matrix
$W \in \mathbb{R}^{m \times n}$ we set
$\left(\frac{\partial \ell}{\partial W}\right)_{ji} = \frac{\partial \ell}{\partial W_{ij}}$, an $n \times m$ matrix.
You need vectors and matrices only, never an object with three indices.

**Batches.** Elsewhere in this course a batch is a matrix $X$ of shape $(B, n)$ whose *rows* are the examples
$x_i^\top$. The linear layer is then the same equation transposed, $Z = X W^\top + \mathbf{1} b^\top$, and the gradients
of the examples add up. In this notebook your derivations use one example at a time.

**Rules.** Your answers must not use automatic differentiation: no `torch.autograd`, no `torch.func`, no
`loss.backward()`; cells that you add may. You may use activations and losses such as `torch.relu`, `torch.tanh` or
`functional.softplus`. Differences of values (numerical gradients) are allowed, too. They help to find a slip, but they
are inexact, and they are no derivation. Your functions must not change the tensors that they are given. They may return
tensors, NumPy arrays or lists of rows.

## 1 · Regression

Here $f(z) = 5 \cdot \text{ReLU}(z)$ entry by entry (note the 5), $g$ is the identity, and
$\ell = \lVert \hat y - y \rVert^2$.

**Exercise 1.1 · the training loop** · 1 point · ★☆☆ · 8 minutes

*Write one iteration of stochastic gradient descent (Robbins and Monro, "A stochastic approximation method", 1951).*

Complete `train`. In every iteration make each of these five calls exactly once, in an order that trains the model:

- `optimiser.step()` moves every parameter a little against its gradient;
- `model.backward(dl_dyhat)` takes $\partial \ell / \partial \hat y$ and *adds* the gradients to those that the
  parameters already hold;
- `criterion(y_hat, y)` returns a tuple of the scalar $\ell$ and $\partial \ell / \partial \hat y$;
- `optimiser.zero_grad()` sets all gradients to zero;
- `model(x)` returns $\hat y$ and keeps what `backward` will need.

Keep ℓ in `loss`; the line below your code records it. When `train` starts, all gradients are zero. For one of the
calls, several places are right. In a loop with autograd, `loss.backward()` replaces `model.backward(dl_dyhat)`.

<details><summary>Hint</summary>

What does each call need, and which call provides it? When must an old gradient be gone, and how long must a new one
stay?

</details>
"""


# %% nbgrader={"grade": false, "grade_id": "sgd-steps-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def train(model, criterion, optimiser, batches, epochs):
    """Minibatch gradient descent: visits every pair (x, y) of the list `batches` in order, `epochs` times.

    Returns a list with the loss of every iteration, a float each.
    """
    losses = []
    for _ in range(epochs):
        for x, y in batches:
            raise NotImplementedError
            losses.append(float(loss))
    return losses


# %% nbgrader={"grade": true, "grade_id": "sgd-steps", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
def _check_sgd_steps():
    class Toy:
        """The model ŷ = w x with its criterion and its optimiser, all in one; it records the calls."""

        def __init__(self):
            self.w, self.gradient, self.calls = 0.0, 0.0, []

        def __call__(self, x):
            self.calls, self.x = [*self.calls, "forward"], x
            return self.w * x

        def criterion(self, y_hat, y):
            self.calls.append("loss")
            return ((y_hat - y) ** 2).sum(), 2 * (y_hat - y)

        def zero_grad(self):
            self.calls, self.gradient = [*self.calls, "zero_grad"], 0.0

        def backward(self, dl_dyhat):
            self.calls.append("backward")
            self.gradient += float((dl_dyhat * self.x).sum())

        def step(self):
            self.calls, self.w = [*self.calls, "step"], self.w - 0.1 * self.gradient


    toy = Toy()
    losses = train(toy, toy.criterion, toy, [(torch.tensor([1.0]), torch.tensor([3.0])), (torch.ones(1), torch.ones(1))], 2)
    print("your calls:", ", ".join(toy.calls))
    assert sorted(toy.calls) == sorted(4 * ["backward", "forward", "loss", "step", "zero_grad"]), (
        "2 epochs of 2 batches should make each of the five calls 4 times"
    )
    compare("w after 4 iterations", toy.w, 1.1152)  # 0 → 0.6 → 0.68 → 1.144 → 1.1152
    compare("losses", losses, [9.0, 0.16, 5.3824, 0.020736])


_check_sgd_steps()

# %% [markdown] nbgrader={"grade": false, "grade_id": "forward-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
**Exercise 1.2 · forward** · 1 point by hand, 2 by machine · ★☆☆ · 10 minutes

*Write down what each box receives and returns.*

By hand: a table with one row for each of the four boxes: input, output as a formula, and dimensions of the output.
By machine: `forward_regression` returns the same four outputs.

<details><summary>Hint</summary>

Does the 5 belong to $z_1$ or to $z_2$? Would it matter whether it stands inside or outside the ReLU?

</details>
"""

# %% [markdown] nbgrader={"grade": true, "grade_id": "layers-table", "locked": false, "points": 1, "schema_version": 3, "solution": true, "task": false}
r"""
*Your answer here: double-click this line and write.*
"""


# %% nbgrader={"grade": false, "grade_id": "forward-regression-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def forward_regression(x, W1, b1, W2, b2):
    """The forward variables of the regression network.

    x (n, 1), W1 (d, n), b1 (d, 1), W2 (K, d), b2 (K, 1); any size may be 1

    Returns a tuple of z1 (d, 1), z2 (d, 1), z3 (K, 1), y_hat (K, 1).
    """
    raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "forward-regression", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
def _check_forward_regression():
    # A network that is small enough to compute in your head.
    x, W1 = torch.tensor([[1.0], [-2.0]]), torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    b1, W2, b2 = torch.tensor([[0.0], [0.0], [3.0]]), torch.tensor([[1.0, 2.0, 3.0]]), torch.tensor([[10.0]])
    yours = returned_by(forward_regression, x, W1, b1, W2, b2)
    compare_each("z1 z2 z3 ŷ", yours, ([[1.0], [-2.0], [2.0]], [[5.0], [0.0], [10.0]], [[45.0]], [[45.0]]))

    figure, ax = plt.subplots(figsize=(10, 2.4))
    boxes = {"Linear\nW₁, b₁": "x", "f": "z₁", "Linear\nW₂, b₂": "z₂", "g": "z₃", "ℓ": "ŷ"}  # each with what goes in
    for i, ((box, entering), column) in enumerate(zip(boxes.items(), (x, *yours), strict=True)):
        left, right, numbers = 2 * i - 1.45, 2 * i - 0.55, torch.as_tensor(column).flatten().tolist()
        fill = {"f": "#FBEBC8", "g": "#FBEBC8", "ℓ": "#F8DCCB"}.get(box, "#D6E8F5")
        ax.text(2 * i, 0, box, ha="center", va="center", bbox={"boxstyle": "round,pad=0.5", "facecolor": fill})
        ax.annotate("", (right, 0.15), (left, 0.15), arrowprops={"arrowstyle": "->", "color": BLUE, "lw": 2})
        ax.annotate("", (left, -0.2), (right, -0.2), arrowprops={"arrowstyle": "->", "color": RED, "ls": "--"})
        written = "\n".join(f"{number:g}" for number in numbers)
        ax.text(2 * i - 1, 0.3, f"{entering}\n{written}", ha="center", color=BLUE, linespacing=1.3)
        ax.text(2 * i - 1, -0.62, f"∂ℓ/∂{entering}", ha="center", color=RED)
    ax.annotate("y", (8, 0.35), (8, 1.1), ha="center", fontsize=13, arrowprops={"arrowstyle": "->"})
    ax.set(xlim=(-1.7, 8.8), ylim=(-1, 1.8), title="Your numbers go forward, the gradients come back")
    ax.axis("off")
    entries = [torch.as_tensor(column).flatten().tolist() for column in (x, *yours)]
    says = ", ".join(f"{entering} = {column}" for entering, column in zip(boxes.values(), entries, strict=True))
    show_figure(f"Into Linear, f, Linear, g and ℓ go {says}. Against each arrow comes the gradient with respect to it.")


_check_forward_regression()

# %% [markdown] nbgrader={"grade": false, "grade_id": "chain-rule-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
*In the figure: five boxes in a row, Linear, f, Linear, g and ℓ, which also receives y. Solid arrows to the right carry
$x, z_1, z_2, z_3, \hat y$ with your numbers. Dashed arrows to the left carry the gradients with respect to them.*

**Exercise 1.3 · one chain rule for all three tasks** · 3 points by hand, 3 by machine · ★★☆ · 25 minutes

*Find the four gradients for any f, g and ℓ.*

You are given the derivatives of the three boxes that change from task to task:

$$\frac{\partial \ell}{\partial \hat y} \in \mathbb{R}^{1 \times K}, \qquad
\frac{\partial \hat y}{\partial z_3} \in \mathbb{R}^{K \times K}, \qquad
\frac{\partial z_2}{\partial z_1} \in \mathbb{R}^{d \times d}.$$

By hand: derive $\frac{\partial \ell}{\partial W_1}, \frac{\partial \ell}{\partial b_1},
\frac{\partial \ell}{\partial W_2}, \frac{\partial \ell}{\partial b_2}$ from these three factors and from
$x, y, W_1, b_1, W_2, b_2$ alone. You may write $z_2$ for $f(W_1 x + b_1)$. Give a reason for each step, and use the
dimensions as a check. By machine: `chain_rule` returns the four gradients. It must not assume that the square factors
are diagonal: the grader's are not.

<details><summary>Hint for the two matrices</summary>

Avoid differentiating a vector with respect to a matrix. Ask instead: in which entries of $z_3$ does the single number
$(W_2)_{ij}$ appear, and what multiplies it there? Then put the answers into one matrix, at row $j$, column $i$.

</details>

<details><summary>Hint for the first layer</summary>

Start at ℓ and multiply by one factor for each box that you pass on the way to $z_1$. Each new factor stands on the
*right*. Neighbouring dimensions must agree.

</details>
"""

# %% [markdown] nbgrader={"grade": true, "grade_id": "chain-rule-derivation", "locked": false, "points": 3, "schema_version": 3, "solution": true, "task": false}
r"""
*Your answer here: double-click this line and write.*
"""


# %% nbgrader={"grade": false, "grade_id": "chain-rule-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def chain_rule(x, z2, W2, dl_dyhat, dyhat_dz3, dz2_dz1):
    """The gradients of the four parameters, for any f, g and ℓ.

    x (n, 1), z2 (d, 1), W2 (K, d)
    dl_dyhat = ∂ℓ/∂ŷ (1, K), dyhat_dz3 = ∂ŷ/∂z3 (K, K), dz2_dz1 = ∂z2/∂z1 (d, d)

    Returns a tuple of ∂ℓ/∂W1 (n, d), ∂ℓ/∂b1 (1, d), ∂ℓ/∂W2 (d, K), ∂ℓ/∂b2 (1, K).
    """
    raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "chain-rule", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def _check_chain_rule():
    # Here f, g and ℓ are linear: z2 = A z1, ŷ = G z3, ℓ = r ŷ. So the three factors are A, G and r.
    x, W1, b1, W2, b2 = example(n=4, d=3, K=2, seed=1)
    r, G, A = torch.tensor([[1.0, -2.0]]), torch.tensor([[1.0, 3.0], [0.0, 2.0]]), torch.arange(9.0).reshape(3, 3)
    yours = returned_by(chain_rule, x, A @ (W1 @ x + b1), W2, r, G, A)
    compare_gradients(yours, lambda z: z @ A.T, lambda z: z @ G.T, lambda y_hat: (r @ y_hat).sum(), x, W1, b1, W2, b2)


_check_chain_rule()

# %% [markdown] nbgrader={"grade": false, "grade_id": "factors-regression-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
**Exercise 1.4 · the three factors of regression** · 2 points · ★☆☆ · 7 minutes

*Write out the three matrices, for $f = 5 \cdot \text{ReLU}$, $g$ the identity and
$\ell = \lVert \hat y - y \rVert^2$.*

`factors_regression` returns matrices of the shapes in its docstring, even where a size is 1. At exactly 0,
where ReLU has no slope, any value from 0 to 5 is right.

<details><summary>Hint</summary>

Which entries of $z_1$ does entry $i$ of $f(z_1)$ depend on? `torch.diagflat` puts the entries of a column on a
diagonal, even if there is only one.

</details>
"""


# %% nbgrader={"grade": false, "grade_id": "factors-regression-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def factors_regression(z1, y_hat, y):
    """The three factors of regression, for z1 (d, 1), y_hat (K, 1), y (K, 1); any size may be 1.

    Returns a tuple of ∂ℓ/∂ŷ (1, K), ∂ŷ/∂z3 (K, K), ∂z2/∂z1 (d, d).
    """
    raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "factors-regression", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
def _check_factors_regression():
    z1, y_hat, y = torch.tensor([[2.0], [-1.0], [0.5]]), torch.tensor([[3.0], [1.0]]), torch.tensor([[1.0], [2.0]])
    loss, f = (lambda y_hat: ((y_hat - y) ** 2).sum()), (lambda z1: 5 * torch.relu(z1))
    compare_factors(returned_by(factors_regression, z1, y_hat, y), loss, y_hat, lambda z3: 1 * z3, y_hat, f, z1)
    print("ok  chain_rule turns these factors into the gradients of a regression network")


_check_factors_regression()

# %% [markdown] nbgrader={"grade": false, "grade_id": "classification-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
## 2 · Classification with the squared error

The boxes change: $f = \tanh$ and $g = \sigma$ with $\sigma(z) = \frac{1}{1 + e^{-z}}$, both entry by entry. The loss
is still $\ell = \lVert \hat y - y \rVert^2$. Each of the $K$ labels is 0 or 1.

**Exercise 2.1 · forward** · 2 points · ★☆☆ · 5 minutes

*Compute the four forward variables of the new network.*

Your σ must also be right for logits as large as ±200, where float32 rounds $\hat y$ to 0 or 1.
Part 3 will use it there.

<details><summary>Hint</summary>

Two of the four boxes are unchanged. Which variable was equal to $\hat y$ in Part 1 but is not here?

</details>
"""


# %% nbgrader={"grade": false, "grade_id": "forward-classification-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def forward_classification(x, W1, b1, W2, b2):
    """The forward variables of the classification network.

    x (n, 1), W1 (d, n), b1 (d, 1), W2 (K, d), b2 (K, 1); any size may be 1

    Returns a tuple of z1 (d, 1), z2 (d, 1), z3 (K, 1), y_hat (K, 1).
    """
    raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "forward-classification", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
def _check_forward_classification():
    # You can check this one by hand: tanh(log 3) = 0.8, tanh(log 2) = 0.6 and σ(log 3) = 0.75.
    log2, log3 = math.log(2), math.log(3)
    x, W1, b1 = (
        torch.tensor([[1.0], [-1.0], [0.5]]),
        torch.tensor([[log3, 0, 0], [1, 2, 2]]),
        torch.tensor([[0.0], [log2]]),
    )
    W2, b2 = torch.tensor([[5.0, -5.0]]), torch.tensor([[log3 - 1]])
    right = [[log3], [log2]], [[0.8], [0.6]], [[log3]], [[0.75]]
    compare_each("z1 z2 z3 ŷ", returned_by(forward_classification, x, W1, b1, W2, b2), right)


_check_forward_classification()

# %% [markdown] nbgrader={"grade": false, "grade_id": "gradients-classification-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
**Exercise 2.2 · factors and gradients** · 2 points by hand, 2 + 4 by machine · ★★☆ · 30 minutes

*Derive the three factors, then put them together with the chain rule.*

By hand:

1. Derive $\sigma'$ in terms of σ, and $\tanh'$ in terms of tanh.
2. Write $\frac{\partial \ell}{\partial z_3}$ and the four gradients of the parameters. A row times a diagonal matrix is
   an entry-by-entry product; use $\odot$ where that is shorter.

By machine, 2 points: `factors_classification` returns the three factors. It is given $z_2 = \tanh(z_1)$ and
$\hat y = \sigma(z_3)$, but neither $z_1$ nor $z_3$. By machine, 4 points: `gradients_classification` returns the four
gradients for an input, a label and the parameters. You may call any function that you have written so far.

<details><summary>Hint for the slopes</summary>

Differentiate $\sigma = (1 + e^{-z})^{-1}$, then write the result as σ times something. For $\tanh = \sinh / \cosh$ use
the quotient rule with $\sinh' = \cosh$ and $\cosh' = \sinh$, and cancel.

</details>

<details><summary>Hint for the gradients</summary>

For a row $r$ and a column $v$ of the same length, $r \, \text{diag}(v) = r \odot v^\top$. In code, one call gives the
forward variables, one the factors and one the gradients.

</details>
"""

# %% [markdown] nbgrader={"grade": true, "grade_id": "classification-derivation", "locked": false, "points": 2, "schema_version": 3, "solution": true, "task": false}
r"""
*Your answer here: double-click this line and write.*
"""


# %% nbgrader={"grade": false, "grade_id": "factors-classification-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def factors_classification(z2, y_hat, y):
    """The three factors of classification by squared error, for z2 (d, 1), y_hat (K, 1), y (K, 1); sizes may be 1.

    Returns a tuple of ∂ℓ/∂ŷ (1, K), ∂ŷ/∂z3 (K, K), ∂z2/∂z1 (d, d).
    """
    raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "factors-classification", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
def _check_factors_classification():
    z1, z3, y = torch.tensor([[2.0], [-1.0], [0.5]]), torch.tensor([[3.0], [-1.0]]), torch.tensor([[1.0], [0.0]])
    y_hat, loss = torch.sigmoid(z3), (lambda y_hat: ((y_hat - y) ** 2).sum())
    yours = returned_by(factors_classification, torch.tanh(z1), y_hat, y)
    compare_factors(yours, loss, y_hat, torch.sigmoid, z3, torch.tanh, z1)


_check_factors_classification()


# %% nbgrader={"grade": false, "grade_id": "gradients-classification-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def gradients_classification(x, y, W1, b1, W2, b2):
    """The gradients of ‖ŷ − y‖² for the classification network.

    x (n, 1), y (K, 1), W1 (d, n), b1 (d, 1), W2 (K, d), b2 (K, 1)

    Returns a tuple of ∂ℓ/∂W1 (n, d), ∂ℓ/∂b1 (1, d), ∂ℓ/∂W2 (d, K), ∂ℓ/∂b2 (1, K).
    """
    raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "gradients-classification", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def _check_gradients_classification():
    x, W1, b1, W2, b2 = example(n=4, d=3, K=2, seed=2)
    y, numbers = torch.tensor([[1.0], [0.0]]), (x, W1, b1, W2, b2)
    yours = returned_by(gradients_classification, x, y, W1, b1, W2, b2)
    compare_gradients(yours, torch.tanh, torch.sigmoid, lambda y_hat: ((y_hat - y) ** 2).sum(), *numbers)


_check_gradients_classification()

# %% [markdown] nbgrader={"grade": false, "grade_id": "bce-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
## 3 · Classification with the cross-entropy

Keep $f = \tanh$, $g = \sigma$ and all the forward variables. Only the last box changes, to the binary cross-entropy

$$\ell = \frac{1}{K} \sum_{k=1}^{K} -\bigl[\, y_k \log \hat y_k + (1 - y_k) \log(1 - \hat y_k) \,\bigr] .$$

**Exercise 3.1 · two forms of the loss** · 1 point by hand, 3 by machine · ★★☆ · 15 minutes

*Compute the same loss twice: from ŷ, and, without overflow, from the logits $z_3$.*

By hand: show for $\hat y = \sigma(z_3)$ that

$$\ell = \frac{1}{K} \sum_{k=1}^{K} \bigl[\, \text{softplus}\bigl((z_3)_k\bigr) - y_k \, (z_3)_k \,\bigr], \qquad
\text{softplus}(z) = \log(1 + e^z) .$$

By machine: `bce(y, y_hat)` may assume $0 < \hat y_k < 1$. `bce_from_logits(y, z3)` must be finite and right, up to
rounding, for logits of any size, for example ±1000, where $e^z$ leaves the range of `float32`. It must not round a loss
of 0.0025 to 0: $y = 1$, $z = 6$.

<details><summary>Hint</summary>

Write $1 - \sigma(z)$ in terms of σ, and $-\log \sigma(z)$ in terms of softplus. In code, take the large part out before
you exponentiate: $\log(1 + e^z) = z + \log(1 + e^{-z})$. PyTorch also has functions for such sums.

</details>
"""

# %% [markdown] nbgrader={"grade": true, "grade_id": "bce-derivation", "locked": false, "points": 1, "schema_version": 3, "solution": true, "task": false}
r"""
*Your answer here: double-click this line and write.*
"""


# %% nbgrader={"grade": false, "grade_id": "bce-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def bce(y, y_hat):
    """The binary cross-entropy of labels y (K, 1) and predictions y_hat (K, 1), 0 < y_hat < 1: a scalar."""
    raise NotImplementedError


def bce_from_logits(y, z3):
    """The same scalar from the logits z3 (K, 1); finite and right for logits of any size."""
    raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "bce", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def _check_bce():
    log3, y = math.log(3), torch.tensor([[1.0], [0.0], [1.0]])
    z3, right = torch.tensor([[0.0], [log3], [-log3]]), (math.log(2) + 2 * math.log(4)) / 3  # ŷ = ½, ¾ and ¼
    for name, loss, given, expected in (
        ("ℓ from ŷ", bce, torch.sigmoid(z3), right),
        ("ℓ from z3", bce_from_logits, z3, right),
        ("large z3, all wrong", bce_from_logits, torch.tensor([[-200.0], [200.0], [-200.0]]), 200.0),
        ("large z3, all right", bce_from_logits, torch.tensor([[200.0], [-200.0], [200.0]]), 0.0),
        ("z3 = 6, right", bce_from_logits, torch.tensor([[6.0]]), math.log1p(math.exp(-6))),
    ):
        yours = returned_by(loss, y[: len(given)], given)
        compare(name, yours if yours is None else torch.as_tensor(yours).squeeze(), expected, tolerance=1e-3)


_check_bce()

# %% [markdown] nbgrader={"grade": false, "grade_id": "gradients-bce-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
**Exercise 3.2 · factors and gradients again** · 2 points by hand, 2 + 4 by machine · ★★★ · 20 minutes

*Derive the new factor, and simplify its product with the slope of σ.*

By hand:

1. Derive $\frac{\partial \ell}{\partial \hat y}$. Multiply it by $\frac{\partial \hat y}{\partial z_3}$ and simplify.
2. Write the four gradients.
3. Compare $\frac{\partial \ell}{\partial z_3}$ with that of Part 2. How large is entry $k$ of each if $y_k = 1$ and
   $\hat y_k$ is close to 0, so that the network is certain and *wrong*?

By machine, 2 points: `factors_bce` returns the three factors before they are multiplied. By machine, 4 points:
`gradients_bce` returns the four gradients. These must also be right where a logit is so large that ŷ is rounded to
exactly 0 or 1. There `factors_bce` would divide by zero.

<details><summary>Hint</summary>

Differentiate one term of the sum, bring both fractions to a common denominator, and keep the $\frac{1}{K}$. For
`gradients_bce`: `chain_rule` uses the first two factors only in their *product*. So any two factors with the right
product will do.

</details>
"""

# %% [markdown] nbgrader={"grade": true, "grade_id": "bce-gradient-derivation", "locked": false, "points": 2, "schema_version": 3, "solution": true, "task": false}
r"""
*Your answer here: double-click this line and write.*
"""


# %% nbgrader={"grade": false, "grade_id": "factors-bce-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def factors_bce(z2, y_hat, y):
    """The three factors of classification by cross-entropy, for z2 (d, 1), y_hat (K, 1), y (K, 1); 0 < y_hat < 1.

    Returns a tuple of ∂ℓ/∂ŷ (1, K), ∂ŷ/∂z3 (K, K), ∂z2/∂z1 (d, d).
    """
    raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "factors-bce", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
def _check_factors_bce():
    z1, z3, y = torch.tensor([[2.0], [-1.0]]), torch.tensor([[1.5], [-1.0], [0.5]]), torch.tensor([[1.0], [0.0], [0.0]])
    y_hat, loss = torch.sigmoid(z3), (lambda y_hat: functional.binary_cross_entropy(y_hat, y))
    compare_factors(returned_by(factors_bce, torch.tanh(z1), y_hat, y), loss, y_hat, torch.sigmoid, z3, torch.tanh, z1)


_check_factors_bce()


# %% nbgrader={"grade": false, "grade_id": "gradients-bce-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def gradients_bce(x, y, W1, b1, W2, b2):
    """The gradients of the binary cross-entropy for the classification network; right for logits of any size.

    x (n, 1), y (K, 1), W1 (d, n), b1 (d, 1), W2 (K, d), b2 (K, 1)

    Returns a tuple of ∂ℓ/∂W1 (n, d), ∂ℓ/∂b1 (1, d), ∂ℓ/∂W2 (d, K), ∂ℓ/∂b2 (1, K).
    """
    raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "gradients-bce", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def _check_gradients_bce():
    y = torch.tensor([[1.0], [0.0], [1.0]])


    def loss(z3):
        return functional.binary_cross_entropy_with_logits(z3, y)


    for offset, which in ((0.0, "ordinary logits"), (200.0, "ŷ rounded to 1"), (-200.0, "ŷ rounded to 0")):
        x, W1, b1, W2, b2 = example(n=4, d=2, K=3, seed=3)
        b2 += offset
        print(which)
        yours = returned_by(gradients_bce, x, y, W1, b1, W2, b2)
        compare_gradients(yours, torch.tanh, torch.clone, loss, x, W1, b1, W2, b2)


_check_gradients_bce()

# %% [markdown] nbgrader={"grade": false, "grade_id": "deeper-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
**Exercise 3.3 · deeper networks** · ½ point by machine, 1½ by hand · ★★☆ · 10 minutes

*Predict what happens to a gradient on its way back through 20 hidden layers.*

Every layer has 200 units, zero biases, and normal weights with standard deviation gain$/\sqrt{200}$. A random gradient
goes in at layer 20 and comes out at layer 1. We try three gains: 1, as in Glorot and Bengio, "Understanding the
difficulty of training deep feedforward neural networks" (2010); $\sqrt 2$, for ReLU, from He et al., "Delving deep into
rectifiers" (2015); and $5/3$, which `torch.nn.init.calculate_gain` recommends for tanh.

**Prediction.** How large is the gradient at layer 1, compared with the one that was sent in?

- **A** At all three gains, the gradient stays within a factor of 10 with ReLU, and falls to less than 1 % with tanh.
- **B** At gain 1, it falls to less than 1 % with ReLU, but not with tanh. At $\sqrt 2$ with ReLU and $5/3$ with tanh,
  it stays above 10 %.
- **C** At all three gains, it falls to less than 1 % with both, further with tanh than with ReLU.

Any of the three earns the ½ point: what counts is that you commit before you look. The check draws the figure.
"""

# %% nbgrader={"grade": false, "grade_id": "depth-prediction-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
# depth_prediction = "…"   # "A", "B" or "C"
raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "depth-prediction", "locked": true, "points": 0.5, "schema_version": 3, "solution": false, "task": false}
def _check_depth_prediction():
    assert depth_prediction in ("A", "B", "C"), 'depth_prediction should be one of the letters "A", "B" and "C"'

    activations = {
        "ReLU": (torch.relu, lambda z: (z > 0).float(), BLUE, "o"),
        "tanh": (torch.tanh, lambda z: 1 - torch.tanh(z) ** 2, ORANGE, "s"),
    }
    figure, axes = plt.subplots(1, 3, figsize=(10, 3), sharey=True)
    says = []
    for ax, (title, gain) in zip(axes, {"1": 1.0, "√2": math.sqrt(2), "5/3": 5 / 3}.items(), strict=True):
        for name, (f, slope, colour, marker) in activations.items():
            generator = torch.Generator().manual_seed(4)
            signal, layers = torch.randn(200, 1, generator=generator), []
            for _ in range(20):
                W = torch.randn(200, 200, generator=generator) * gain / math.sqrt(200)
                z = W @ signal
                layers.append((W, slope(z)))
                signal = f(z)
            gradient, sizes = torch.randn(1, 200, generator=generator), []
            start = gradient.norm()
            for W, slopes in reversed(layers):
                gradient = (gradient * slopes.T) @ W  # one layer down: ∂ℓ/∂z_out · diag(slopes) · W
                sizes.append(float(gradient.norm() / start))
            ax.semilogy(range(20, 0, -1), sizes, color=colour, marker=marker, markersize=4, label=name)
            says.append(f"gain {title}, {name}: {sizes[-1]:.2g}")
        ax.axhline(1, color="black", linestyle=":", linewidth=1)
        ax.set(xlim=(21, 0), xticks=[20, 15, 10, 5, 1], xlabel="layer", title=f"gain {title}")
    axes[0].set_ylabel("size of the gradient")
    axes[0].legend(fontsize=8)
    show_figure(f"The gradient at layer 1, as a share of what was sent into layer 20. {'; '.join(says)}.")


_check_depth_prediction()

# %% [markdown] nbgrader={"grade": false, "grade_id": "depth-seen", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
*In the figure: the size of the gradient as a share of what was sent in, from layer 20 on the left to layer 1 on the
right, on a logarithmic axis. Gain 1: ReLU (circles) falls to about a thousandth, tanh (squares) to between a tenth and
a third. Gain √2: both stay within a factor of 3.5 of the start. Gain 5/3: both rise, ReLU to between 10 and 70 times,
tanh to between 2.5 and 13 times the start. The ranges are those of 40 draws of the weights.*

**Explain it** · 1½ points by hand. A wrong prediction costs nothing.

1. In one or two sentences: what does the figure show for ReLU at gain 1, and what causes it? How does gain √2 make up
   for it?
2. Suppose that large biases make pre-activations large. Why does $f$ = ReLU then help a deeper network, compared with
   $f = \tanh$? Use your factor $\frac{\partial z_2}{\partial z_1}$.
3. Why do we keep σ as $g$, at the output?
"""

# %% [markdown] nbgrader={"grade": true, "grade_id": "deeper", "locked": false, "points": 1.5, "schema_version": 3, "solution": true, "task": false}
r"""
*Your answer here: double-click this line and write.*
"""

# %% [markdown] nbgrader={"grade": false, "grade_id": "softargmax-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
## 4 · Concepts and pictures

$$\text{softargmax}(z)_i = \frac{e^{z_i}}{\sum_{j=1}^{n} e^{z_j}}, \qquad z \in \mathbb{R}^n,\; n \ge 2$$

Libraries call it softmax, as did Bridle in "Probabilistic interpretation of feedforward classification
network outputs" (1990). It is a soft version of the arg max, not of the max.

**Exercise 4.1 · exactly 0, exactly 1?** · 1 point by machine, 1 by hand · ★☆☆ · 6 minutes

*Can an output of softargmax be exactly 0, or exactly 1, if all logits are finite?*

By machine: in `softargmax_exact`, answer for real numbers and for `float32`; `True` means that an output can be exactly
0 or exactly 1. Also set `exact_logits` to a list of two or more finite numbers for which `torch.softmax` in `float32`
returns an exact 0 *and* an exact 1, or to `None` if there is no such list. By hand, below the check: give a reason for
each of your two answers.

<details><summary>Hint</summary>

Can $e^z$ be zero for a real $z$? What is the smallest positive number that `float32` can hold, and what becomes of a
smaller one?

</details>
"""

# %% nbgrader={"grade": false, "grade_id": "softargmax-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
# softargmax_exact = {"real": …, "float32": …}
# exact_logits = …
raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "softargmax", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
def _check_softargmax():
    assert set(softargmax_exact) == {"real", "float32"}, "softargmax_exact takes the keys 'real' and 'float32'"
    assert all(isinstance(answer, bool) for answer in softargmax_exact.values()), "answer with True or False"
    if exact_logits is not None:
        print("softargmax of your logits:", torch.softmax(torch.tensor(exact_logits, dtype=torch.float32), dim=0).tolist())


_check_softargmax()

# %% [markdown] nbgrader={"grade": true, "grade_id": "softargmax-reason", "locked": false, "points": 1, "schema_version": 3, "solution": true, "task": false}
r"""
*Your answer here: double-click this line and write.*
"""

# %% [markdown] nbgrader={"grade": false, "grade_id": "graph-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
**Exercise 4.2 · a computational graph** · 3 points · ★★☆ · 12 minutes

*Draw the graph of w, then run backpropagation through it (Rumelhart, Hinton and Williams, "Learning representations by
back-propagating errors", 1986).*

$$a = x + y, \qquad b = z \cdot o, \qquad c = a \cdot b, \qquad w = c + z$$

All eight variables are numbers; $x, y, z, o$ are the inputs. Every variable is a node.

1. `graph_edges`: a list of pairs of names. An arrow `("u", "v")` says that $v$ is computed *directly* from $u$.
2. `graph_places`: a dictionary from each node's name to its place, a pair of numbers: how far right, how far up. No two
   nodes may share a place, and every arrow must run to the right.
3. `graph_gradient`: the four derivatives of $w$ as numbers, for any four inputs.

The check draws your graph.

<details><summary>Hint</summary>

How many arrows does each of the four equations need? For the derivatives, follow every path from an input to $w$. How
does the chain rule treat an input with two paths?

</details>
"""

# %% nbgrader={"grade": false, "grade_id": "graph-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
# graph_edges = [("…", "…"), …]
# graph_places = {"x": (…, …), …}
raise NotImplementedError


def graph_gradient(x, y, z, o):
    """A tuple of ∂w/∂x, ∂w/∂y, ∂w/∂z, ∂w/∂o at the given four numbers."""
    raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "graph", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def _check_graph():
    assert set(graph_places) == set("xyzoabcw"), "graph_places should place x, y, z, o, a, b, c and w"
    places = {node: tuple(map(float, place)) for node, place in graph_places.items()}
    assert len(set(places.values())) == 8, "graph_places: two nodes stand in the same place"
    assert {node for edge in graph_edges for node in edge} <= set(places), "the nodes are x, y, z, o, a, b, c and w"
    figure, ax = plt.subplots(figsize=(5, 2.8))
    for start, end in graph_edges:
        assert places[start][0] < places[end][0], f"the arrow from {start} to {end} does not run to the right"
        bend = {"arrowstyle": "->", "shrinkA": 12, "shrinkB": 12, "connectionstyle": "arc3,rad=0.08"}
        ax.annotate("", places[end], places[start], arrowprops=bend)
    for node, place in places.items():
        look = {"boxstyle": "circle", "facecolor": "#FBEBC8" if node in "xyzo" else "#D6E8F5"}
        ax.text(*place, node, ha="center", va="center", bbox=look)
    ax.scatter(*zip(*places.values(), strict=True), alpha=0)  # so that the axes reach all nodes
    ax.set_title("Your computational graph")
    ax.margins(0.15)
    ax.axis("off")
    show_figure(f"Your arrows: {', '.join(f'{start} to {end}' for start, end in graph_edges)}.")


    # Your derivatives against differences of w; here a = 3, b = 12, c = 36, w = 39.
    here, slopes = {"x": 1.0, "y": 2.0, "z": 3.0, "o": 4.0}, []
    for name in here:
        up, down = ({**here, name: here[name] + h} for h in (1e-3, -1e-3))
        w_up, w_down = ((at["x"] + at["y"]) * at["z"] * at["o"] + at["z"] for at in (up, down))
        slopes.append((w_up - w_down) / 2e-3)
    compare_each("∂w/∂x ∂w/∂y ∂w/∂z ∂w/∂o", graph_gradient(**here), slopes)


_check_graph()

# %% [markdown] nbgrader={"grade": false, "grade_id": "slopes-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
*In the figure: the eight nodes where you placed them, with your arrows, all running to the right.*

**Exercise 4.3 · four slopes** · 3 points · ★★☆ · 12 minutes

*Differentiate four activations, and plot the derivatives.*

| activation | definition |
| --- | --- |
| ReLU | $\max(0, x)$ |
| LeakyReLU(0.01) | $x$ for $x > 0$, and $0.01\,x$ otherwise |
| Softplus(β=1) | $\log(1 + e^x)$ |
| GELU | $x \, \Phi(x)$, with $\Phi(x) = \frac12 \bigl[ 1 + \text{erf}(x / \sqrt 2) \bigr]$ |

$\Phi$ is the distribution function of the standard normal. Its derivative is the bell curve
$\varphi(x) = e^{-x^2/2} / \sqrt{2\pi}$. At $x = 0$ the first two may return any value between their two slopes.

The first four functions take a tensor of any shape and return the slopes at its entries, however large these are.
`draw_slopes(ax)` plots the four slopes on the Matplotlib axes `ax`: one line for each, from −4 to 4, at 50 or more
evenly spaced points. Set each line's `label` to its name in the table, with or without the part in brackets, and label
the $x$-axis. Colours and styles are up to you. The check adds the legend and shows your figure.

<details><summary>Hint</summary>

GELU is a product of two functions of $x$. The slope of softplus is a function that you have used since Part 2.

</details>
"""


# %% nbgrader={"grade": false, "grade_id": "slopes-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def relu_slope(x):
    """The derivative of ReLU at every entry of the tensor x; the result has the shape of x, as below."""
    raise NotImplementedError


def leaky_relu_slope(x):
    """The derivative of LeakyReLU(0.01)."""
    raise NotImplementedError


def softplus_slope(x):
    """The derivative of Softplus(β = 1)."""
    raise NotImplementedError


def gelu_slope(x):
    """The derivative of GELU in its exact form, with erf."""
    raise NotImplementedError


def draw_slopes(ax):
    """Plots the four slopes on the axes ax, from −4 to 4, each as one line with its name as the label."""
    raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "slopes", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def _check_slopes():
    x = torch.tensor([[-1.5, -0.5, 0.3], [0.5, 1.0, 2.5]])
    for name, function, yours in (
        ("slope of ReLU", functional.relu, relu_slope),
        ("slope of LeakyReLU", functional.leaky_relu, leaky_relu_slope),
        ("slope of Softplus", functional.softplus, softplus_slope),
        ("slope of GELU", functional.gelu, gelu_slope),
    ):
        compare(name, returned_by(yours, x), measured_jacobian(function, x).diagonal().reshape(2, 3))

    figure, (ax, other_axes) = plt.subplots(1, 2, figsize=(5, 3), width_ratios=(99, 1))
    draw_slopes(ax)
    other_axes.remove()
    labels = [str(line.get_label()).lower() for line in ax.get_lines()]
    for name, other in ("ReLU", "leaky"), ("Leaky", "!"), ("Softplus", "!"), ("GELU", "!"):
        found = [label for label in labels if name.lower() in label and other not in label]
        assert found, f"no line on the given axes carries the label {name}"
    assert ax.get_xlabel(), "the x-axis carries no label"
    ax.set_title("Your four slopes")
    ax.legend(fontsize=8)
    ranges = [f"{line.get_label()} {min(line.get_ydata()):.2f} and {max(line.get_ydata()):.2f}" for line in ax.get_lines()]
    show_figure(f"Lowest and highest slope: {', '.join(ranges)}.")


_check_slopes()

# %% [markdown] nbgrader={"grade": false, "grade_id": "relu-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
*In the figure: your slopes from −4 to 4. GELU's is lowest, at about −0.13, near −1.4 and highest, at about 1.13, near
1.4.*

**Exercise 4.4 · weaknesses of ReLU** · 2 points by hand, 1 by machine · ★★☆ · 8 minutes

*Name two weaknesses of ReLU, and what two of its relatives improve.*

By hand: give two weaknesses of ReLU, each with a reason. Then name one thing that LeakyReLU fixes and one that it does
not; do the same for Softplus. By machine: are these statements true or false?

- **A** A ReLU unit whose pre-activation is negative for every training example receives no gradient for its weights.
- **B** Like tanh, ReLU has slopes that go to 0 for large positive pre-activations.
- **C** The slope of LeakyReLU(0.01) is nowhere zero.
- **D** LeakyReLU(0.01) is differentiable at 0.
- **E** The slope of Softplus at any real number lies strictly between 0 and 1.
- **F** Softplus, unlike ReLU, also has negative outputs.

<details><summary>Hint</summary>

Every answer follows from your figure or from the definitions above it.

</details>
"""

# %% [markdown] nbgrader={"grade": true, "grade_id": "relu-limits", "locked": false, "points": 2, "schema_version": 3, "solution": true, "task": false}
r"""
*Your answer here: double-click this line and write.*
"""

# %% nbgrader={"grade": false, "grade_id": "relu-statements-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
# relu_statements = {"A": …, "B": …, "C": …, "D": …, "E": …, "F": …}
raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "relu-statements", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
def _check_relu_statements():
    assert sorted(relu_statements) == list("ABCDEF"), "answer each of A to F"
    assert all(isinstance(answer, bool) for answer in relu_statements.values()), "answer with True or False"
    print("ok  six answers; the grader tells you whether they are right")


_check_relu_statements()

# %% [markdown] nbgrader={"grade": false, "grade_id": "maps-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
**Exercise 4.5 · maps of the plane** · 2 points by machine, 1 by hand · ★★☆ · 12 minutes

*Write four matrices that move the plane, and merge two linear layers.*

Return the $2 \times 2$ matrices that, applied to a column $(x, y)^\top$,

- **rotate** it about the origin by θ, counter-clockwise;
- **reflect** it in the line through the origin at the angle θ to the $x$-axis;
- **scale** it by $s_x$ along $x$ and by $s_y$ along $y$;
- **shear** it: $y$ stays, and $x$ grows by $k$ times $y$.

Angles are in radians. Then take two linear layers *without* a function between them, $W_2 (W_1 x + b_1) + b_2$.
`collapse` returns the $W$ and $b$ of a single layer with the same output for every $x$.

By hand: why can a stack of linear layers do no more than a single one? What do nonlinear functions between the layers
add? Answer in terms of algebra, or of a picture of the plane.

<details><summary>Hint</summary>

The columns of a matrix are the places where $(1, 0)^\top$ and $(0, 1)^\top$ end up. For the reflection, rotate the
mirror line onto the $x$-axis, flip, and rotate back.

</details>
"""

# %% [markdown] nbgrader={"grade": true, "grade_id": "bending", "locked": false, "points": 1, "schema_version": 3, "solution": true, "task": false}
r"""
*Your answer here: double-click this line and write.*
"""


# %% nbgrader={"grade": false, "grade_id": "maps-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def rotation(theta):
    """The matrix (2, 2) that rotates by theta (a number, in radians) counter-clockwise."""
    raise NotImplementedError


def reflection(theta):
    """The matrix (2, 2) that reflects in the line at angle theta to the x-axis."""
    raise NotImplementedError


def scaling(s_x, s_y):
    """The matrix (2, 2) that scales x by s_x and y by s_y."""
    raise NotImplementedError


def shear(k):
    """The matrix (2, 2) that adds k times y to x."""
    raise NotImplementedError


def collapse(W1, b1, W2, b2):
    """A tuple W (K, n), b (K, 1) with W x + b = W2 (W1 x + b1) + b2 for every x (n, 1)."""
    raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "maps", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
def _check_maps():
    point, W1, b1 = torch.tensor([[2.0], [1.0]]), torch.tensor([[1.0, 2.0], [0.0, 1.0], [1.0, 0.0]]), torch.ones(3, 1)
    for name, matrix, right in (
        ("rotated, 90°", rotation(math.pi / 2), [[-1.0], [2.0]]),
        ("reflected, 45°", reflection(math.pi / 4), [[1.0], [2.0]]),
        ("scaled", scaling(3.0, -1.0), [[6.0], [-1.0]]),
        ("sheared", shear(0.5), [[2.5], [1.0]]),
    ):
        compare(name, torch.as_tensor(matrix).float() @ point, right)
    W, b = returned_by(collapse, W1, b1, torch.tensor([[1.0, 0.0, -2.0]]), torch.tensor([[4.0]]))
    compare("collapsed, W", W, [[-1.0, 2.0]])
    compare("collapsed, b", b, [[3.0]])

    corners = [[0, 0], [0, 15], [9, 15], [9, 12], [3, 12], [3, 9], [7, 9], [7, 6], [3, 6], [3, 0], [0, 0]]
    letter = torch.tensor(corners).T / 10
    t, levels = torch.linspace(-2, 2, 41), torch.linspace(-2, 2, 5).expand(41, 5)
    horizontal = torch.stack([t.reshape(41, 1).expand(41, 5), levels])  # (2, 41, 5): five lines of 41 points
    grid = torch.cat([horizontal, horizontal.flip(0)], dim=2)  # (2, 41, 10), with the five vertical ones
    maps = {
        "rotation, 40°": rotation(math.radians(40)),
        "reflection, 100°": reflection(math.radians(100)),
        "scaling, 1.5 and 0.6": scaling(1.5, 0.6),
        "shear, 0.7": shear(0.7),
        "rotation, then tanh": rotation(math.radians(40)),
    }
    figure, axes = plt.subplots(1, 5, figsize=(11, 2.6))
    says = "Where the corner (0.9, 1.5) of a letter F goes."
    for ax, (title, matrix) in zip(axes, maps.items(), strict=True):
        M = torch.as_tensor(matrix).float()
        bend = torch.tanh if "tanh" in title else torch.clone
        ax.plot(*bend(torch.einsum("ij,jkl->ikl", M, grid)), color="#BBBBBB", linewidth=0.7)
        ax.plot(*letter, color="black", linestyle=":")
        ax.fill(*bend(M @ letter), color=BLUE, alpha=0.6)
        ax.plot(0, 0, "o", color="black", markersize=3)
        reach = 1.6 if "tanh" in title else 2.2
        ax.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal", xticks=[], yticks=[])
        ax.set_title(title, fontsize=9)
        says += " {}: ({:.2f}, {:.2f}).".format(title[0].upper() + title[1:], *bend(M @ letter)[:, 2])
    show_figure(says)


_check_maps()

# %% [markdown] nbgrader={"grade": false, "grade_id": "closing", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
*In the figure: a letter F on a grid, dotted before and filled after each map, with a dot at the origin. In the first
four pictures the grid lines stay straight. In the fifth, tanh has bent them and squeezed everything into a square.*

**What to remember**

- One chain rule serves every network of this shape. Only the three factors change.
- In numerator layout the chain reads from left to right. The gradient of a weight matrix is its layer's *input* (a
  column) times the gradient of its layer's *output* (a row).
- With the cross-entropy, the slope of σ cancels, and the error $\hat y - y$, divided by $K$, is left.
- Whether a deep network's gradient sinks depends on the activation *and* on the gain of its weights.

**Sources of the four activations.** ReLU: Nair and Hinton, "Rectified linear units improve restricted Boltzmann
machines" (2010). LeakyReLU: Maas, Hannun and Ng, "Rectifier nonlinearities improve neural network acoustic models"
(2013). Softplus: Dugas et al., "Incorporating second-order functional knowledge for better option pricing" (2000).
GELU: Hendrycks and Gimpel, "Gaussian error linear units (GELUs)" (2016).

In the next notebook a batch of rows takes the place of the column, and the formulas that you have derived become a
working multilayer perceptron.
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
        "1.1 sgd-steps",
        "1.2 forward-regression",
        "1.3 chain-rule",
        "1.4 factors-regression",
        "2.1 forward-classification",
        "2.2 factors-classification",
        "2.2 gradients-classification",
        "3.1 bce",
        "3.2 factors-bce",
        "3.2 gradients-bce",
        "3.3 depth-prediction",
        "4.1 softargmax",
        "4.2 graph",
        "4.3 slopes",
        "4.4 relu-statements",
        "4.5 maps",
    ],
    {
        "1.2 layers-table": 0,
        "1.3 chain-rule-derivation": 0,
        "2.2 classification-derivation": 0,
        "3.1 bce-derivation": 0,
        "3.2 bce-gradient-derivation": 0,
        "3.3 deeper": 0,
        "4.1 softargmax-reason": 0,
        "4.4 relu-limits": 0,
        "4.5 bending": 0,
    },
    {
        1337075063: "BLUE compare compare_each compare_factors compare_gradients example GREEN"
        " " "measured_gradients measured_jacobian ORANGE RED relative_error returned_by show_figure",
        3332609502: "",
    },
    "*Your answer here: double-click this line and write.*",
)
