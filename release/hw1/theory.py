# %% [markdown] nbgrader={"grade": false, "grade_id": "header", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
# Backpropagation on paper

A derivation has a lovely property: it can be *tested*. In this notebook you take a small network apart with pencil
and paper, and right after each derivation you hand your formula to the machine, which compares it with an honest
measurement. No waiting for the marker to learn whether that transpose was right.

**What you will build.** All gradients of a two-layer network, first for regression, then for classification, twice;
and on the way a chain rule that you write *once* and use three times. Then a handful of pictures: a computational
graph, the slopes of four activations, and a plane that you turn, mirror, stretch and shear.

| part | you answer | points by machine | by hand | minutes |
| --- | --- | --- | --- | --- |
| 1 Regression | five steps, forward, chain rule, factors | 1 + 3 + 3 + 2 | 1 + 3 | 50 |
| 2 Classification | forward, factors, gradients | 4 + 2 + 4 | 2 | 35 |
| 3 Cross-entropy | loss, factors, gradients, deeper nets | 3 + 2 + 4 | 1 + 2 + 1 | 45 |
| 4 Ideas | softargmax, graph, slopes, ReLU, maps | 1 + 3 + 3 + 1 + 1 | 2 + 1 | 50 |
| **in all** | **50 points** | **37** | **13** | **180** |

**You need** matrix products, partial derivatives and the chain rule. Everything runs in a second on a CPU.

**How to work.** Think on paper. Cells that say *Your answer here* take a written derivation (LaTeX between dollar
signs, or plain words) and are marked by a person, one small step at a time. Cells with
`raise NotImplementedError` take the result as a tiny function. The cell below it checks an example; the grader asks
again with other numbers and other sizes, from 1 on.
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
# example, GREEN, measured_gradients, measured_jacobian, ORANGE, RED, relative_error, returned_by. Give your
# own helpers other names.

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
    """A network with n inputs, d hidden units and K outputs, and an input: x, W1, b1, W2, b2; vectors are columns."""
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, generator=generator) for shape in ((n, 1), (d, n), (d, 1), (K, d), (K, 1))]


def returned_by(function, *numbers):
    """What your function returns; it must leave the tensors that it is given as they are."""
    before = [number.clone() for number in numbers]
    returned = function(*numbers)
    assert all(map(torch.equal, before, numbers)), "your function changes a tensor that it is given"
    return returned


def compare_each(names, yours, right):
    """Compare the parts of your answer, one for each name."""
    names = names.split()
    assert yours is not None, "your function returns nothing (None): is a return statement missing?"
    assert len(yours) == len(names), (
        f"your function should return {', '.join(names)}; the number of values is {len(yours)}"
    )
    for name, part, expected in zip(names, yours, right, strict=True):
        compare(name, part, expected)


def compare_gradients(yours, f, g, loss, *numbers):
    """Compare your four gradients with the measured ones; f and g take examples as rows."""
    compare_each("∂ℓ/∂W1 ∂ℓ/∂b1 ∂ℓ/∂W2 ∂ℓ/∂b2", yours, measured_gradients(f, g, loss, *numbers))


def compare_factors(yours, loss, y_hat, g, z3, f, z1):
    """Compare your three factors with the measured derivatives of ℓ, g and f, each at the column that it is given."""
    measured = [measured_jacobian(loss, y_hat), measured_jacobian(g, z3), measured_jacobian(f, z1)]
    compare_each("∂ℓ/∂ŷ ∂ŷ/∂z3 ∂z2/∂z1", yours, measured)


# %% [markdown] nbgrader={"grade": false, "grade_id": "rules", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
## The network, and how we write

$$x \;\to\; \boxed{\text{Linear}(W_1, b_1)} \;\to\; z_1 \;\to\; \boxed{\;f\;} \;\to\; z_2
\;\to\; \boxed{\text{Linear}(W_2, b_2)} \;\to\; z_3 \;\to\; \boxed{\;g\;} \;\to\; \hat y, \qquad \ell(\hat y, y)$$

**Columns.** $x \in \mathbb{R}^n$, $z_1, z_2 \in \mathbb{R}^d$ and $z_3, \hat y, y \in \mathbb{R}^K$ are columns, and
on this sheet they are columns in code, too: `x` has shape `(n, 1)`. So a formula on paper *is* a line of Python, with
`@` for the matrix product and `.T` for the transpose.

**Numerator layout.** The derivative of a column of $m$ numbers by a column of $n$ numbers is an $m \times n$ matrix:
outputs count rows, inputs count columns. The gradient of the scalar $\ell$ by a column is therefore a *row*, and the
chain rule reads from left to right,
$\frac{\partial \ell}{\partial x} = \frac{\partial \ell}{\partial y}\,\frac{\partial y}{\partial x}$. For a matrix
$W \in \mathbb{R}^{m \times n}$ we set
$\left(\frac{\partial \ell}{\partial W}\right)_{ji} = \frac{\partial \ell}{\partial W_{ij}}$, an $n \times m$ matrix.
Vectors and matrices are all that we ever need: nothing has three indices.

**Batches.** Elsewhere in this course a batch is a matrix $X$ of shape $(B, n)$ whose *rows* are the examples
$x_i^\top$; the linear layer is then the same equation transposed, $Z = X W^\top + \mathbf{1} b^\top$, and the
examples' gradients add up. Here one example is enough.

**Rules.** In the cells that you write, leave automatic differentiation alone; the checks and the grader use it as their
measuring device. Activations such as `torch.relu` or `torch.tanh` are welcome. Your functions must not change the
tensors that they are given.
"""


# %% nbgrader={"grade": false, "grade_id": "network-figure", "locked": true, "schema_version": 3, "solution": false, "task": false} tags=["demo"]
def _figure():
    figure, ax = plt.subplots(figsize=(10, 2.2))
    boxes = {"Linear\nW₁, b₁": "x", "f": "z₁", "Linear\nW₂, b₂": "z₂", "g": "z₃", "ℓ": "ŷ"}  # each with what goes in
    for i, (box, entering) in enumerate(boxes.items()):
        left, right = 2 * i - 1.45, 2 * i - 0.55
        fill = {"f": "#FBEBC8", "g": "#FBEBC8", "ℓ": "#F8DCCB"}.get(box, "#D6E8F5")
        ax.text(2 * i, 0, box, ha="center", va="center", bbox={"boxstyle": "round,pad=0.5", "facecolor": fill})
        ax.annotate("", (right, 0.15), (left, 0.15), arrowprops={"arrowstyle": "->", "color": BLUE, "lw": 2})
        ax.annotate("", (left, -0.2), (right, -0.2), arrowprops={"arrowstyle": "->", "color": RED, "ls": "--"})
        ax.text(2 * i - 1, 0.3, entering, ha="center", color=BLUE, fontsize=13)
        ax.text(2 * i - 1, -0.62, f"∂ℓ/∂{entering}", ha="center", color=RED)
    ax.annotate("y", (8, 0.35), (8, 1.1), ha="center", fontsize=13, arrowprops={"arrowstyle": "->"})
    ax.set(xlim=(-1.7, 8.8), ylim=(-1, 1.4), title="Forward to the right, backward to the left")
    ax.axis("off")
    plt.show()


_figure()

# %% [markdown] nbgrader={"grade": false, "grade_id": "steps-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
*In the figure: five boxes in a row, Linear, f, Linear, g and the loss ℓ, into which the label y comes from above. Solid
arrows to the right carry $x, z_1, z_2, z_3, \hat y$; dashed arrows to the left carry the gradient of ℓ by each of
them.*

## 1 · Regression

Here $f(z) = 5 \cdot \text{ReLU}(z)$ entry by entry (mind the 5!), $g$ is the identity, and
$\ell = \lVert \hat y - y \rVert^2$.

**Exercise 1.1 · five steps** · 1 point · ★☆☆ · 3 minutes

*Before the mathematics, the machine room: what does one iteration of stochastic gradient descent do, in which order?*

- `"step"`: move every parameter a little against its gradient
- `"loss"`: ask ℓ how far ŷ is from the label
- `"zero_grad"`: forget the gradients of the iteration before
- `"backward"`: add the gradients of ℓ to what the parameters have collected
- `"forward"`: compute ŷ

Write a list of these five strings. One of them has more than one right place; any right order counts.

<details><summary>Hint</summary>

PyTorch *adds* gradients to those that are already there. When must the old ones be gone at the latest, and from when
until when must the fresh ones not be lost?

</details>
"""

# %% nbgrader={"grade": false, "grade_id": "sgd-steps-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
# sgd_steps = ["…", "…", "…", "…", "…"]
raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "sgd-steps", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
def _check_sgd_steps():
    assert sorted(sgd_steps) == ["backward", "forward", "loss", "step", "zero_grad"], "name each of the five steps once"


    def rehearse(steps, rounds=3):
        """Fits ŷ = 2w to the label 6 in your order of steps, and returns w: 2.4 after one round, then 2.88, 2.976, …"""
        w, made = torch.zeros((), requires_grad=True), {}
        w.grad = torch.zeros(())
        actions = {
            "forward": lambda: made.update(y_hat=2 * w),
            "loss": lambda: made.update(loss=(made["y_hat"] - 6) ** 2),
            "zero_grad": lambda: w.grad.zero_(),
            "backward": lambda: made["loss"].backward(),
            "step": lambda: w.data.sub_(0.1 * w.grad),
        }
        for _ in range(rounds):
            for step in steps:
                needed = {"loss": "y_hat", "backward": "loss"}.get(step)
                assert needed is None or needed in made, f"{step!r} comes too early: there is no {needed} yet"
                actions[step]()
        return w


    compare("w, 3 rounds", rehearse(sgd_steps), 2.976)


_check_sgd_steps()

# %% [markdown] nbgrader={"grade": false, "grade_id": "forward-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
**Exercise 1.2 · forward** · 1 point by hand, 3 by machine · ★☆☆ · 10 minutes

*Walk along the arrows once, and write down what you meet.*

By hand: a table with one row for each of the four boxes: its input, its output as a formula, and the output's
dimensions. By machine: the same as a function.

<details><summary>Hint</summary>

Is the 5 inside or outside of the ReLU? Would it matter? Does it belong to $z_1$ or to $z_2$?

</details>
"""

# %% [markdown] nbgrader={"grade": true, "grade_id": "layers-table", "locked": false, "points": 1, "schema_version": 3, "solution": true, "task": false}
r"""
*Your answer here: double-click this line and write.*
"""


# %% nbgrader={"grade": false, "grade_id": "forward-regression-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def forward_regression(x, W1, b1, W2, b2):
    """The forward variables of the regression network.

    x (n, 1), W1 (d, n), b1 (d, 1), W2 (K, d), b2 (K, 1); every size from 1 on

    Returns a tuple of z1 (d, 1), z2 (d, 1), z3 (K, 1), y_hat (K, 1).
    """
    raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "forward-regression", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def _check_forward_regression():
    # A network that is small enough to do in your head.
    x, W1 = torch.tensor([[1.0], [-2.0]]), torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    b1, W2, b2 = torch.tensor([[0.0], [0.0], [3.0]]), torch.tensor([[1.0, 2.0, 3.0]]), torch.tensor([[10.0]])
    right = [[1.0], [-2.0], [2.0]], [[5.0], [0.0], [10.0]], [[45.0]], [[45.0]]
    compare_each("z1 z2 z3 ŷ", returned_by(forward_regression, x, W1, b1, W2, b2), right)


_check_forward_regression()

# %% [markdown] nbgrader={"grade": false, "grade_id": "chain-rule-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
**Exercise 1.3 · the chain rule, once and for all** · 3 points by hand, 3 by machine · ★★☆ · 25 minutes

*Find the gradients without knowing what f, g and ℓ are.*

The three boxes that may change from task to task shall stay closed. Somebody hands you their derivatives, as
matrices:

$$\frac{\partial \ell}{\partial \hat y} \in \mathbb{R}^{1 \times K}, \qquad
\frac{\partial \hat y}{\partial z_3} \in \mathbb{R}^{K \times K}, \qquad
\frac{\partial z_2}{\partial z_1} \in \mathbb{R}^{d \times d}.$$

Derive $\frac{\partial \ell}{\partial W_1}, \frac{\partial \ell}{\partial b_1}, \frac{\partial \ell}{\partial W_2},
\frac{\partial \ell}{\partial b_2}$ from these three factors and from $x, y, W_1, b_1, W_2, b_2$ alone. (You may write
$z_2$ for $f(W_1 x + b_1)$.) Say where each step comes from, and note the dimensions. By machine: the function
`chain_rule`. Do not take the two square factors for diagonal: the grader's are not.

<details><summary>Hint for the two matrices</summary>

Avoid the derivative of a vector by a matrix. Ask instead: in which entries of $z_3$ does the single number
$(W_2)_{ij}$ appear, and times what? Then collect all answers in one matrix, row $j$, column $i$, and recognise a
product of a column and a row.

</details>

<details><summary>Hint for the way down</summary>

Start at ℓ, and multiply by one factor for each box that you pass on the way to $z_1$. Each new factor stands to the
*right*. The dimensions must chain like dominoes: $(1 \times K)(K \times K)(K \times d)(d \times d)$.

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
    # Let f, g and ℓ be linear for once: z2 = A z1, ŷ = G z3, ℓ = r ŷ. Then A, G and r are the factors themselves.
    x, W1, b1, W2, b2 = example(n=4, d=3, K=2, seed=1)
    r, G, A = torch.tensor([[1.0, -2.0]]), torch.tensor([[1.0, 3.0], [0.0, 2.0]]), torch.arange(9.0).reshape(3, 3)
    yours = returned_by(chain_rule, x, A @ (W1 @ x + b1), W2, r, G, A)
    compare_gradients(yours, lambda z: z @ A.T, lambda z: z @ G.T, lambda y_hat: (r @ y_hat).sum(), x, W1, b1, W2, b2)


_check_chain_rule()

# %% [markdown] nbgrader={"grade": false, "grade_id": "factors-regression-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
Four gradients, five matrix products, and nothing about the task in them. That function will serve you to the end of
Part 3.

**Exercise 1.4 · the three factors of regression** · 2 points · ★☆☆ · 10 minutes

*Now open the three boxes: what is in each of the matrices, entry by entry?*

Remember $f = 5 \cdot \text{ReLU}$, $g$ the identity, $\ell = \lVert \hat y - y \rVert^2$. (At exactly 0, where ReLU has
no slope, any choice counts.)

<details><summary>Hint</summary>

Entry $i$ of $f(z)$ looks at entry $i$ of $z$ and at nothing else. What does that say about the entries of
$\partial z_2 / \partial z_1$ with $i \neq j$? `torch.diagflat` puts the entries of a vector on a diagonal, and is not
confused by a vector of one entry.

</details>
"""


# %% nbgrader={"grade": false, "grade_id": "factors-regression-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def factors_regression(z1, y_hat, y):
    """The three factors of regression, for z1 (d, 1), y_hat (K, 1), y (K, 1); every size from 1 on.

    Returns a tuple of ∂ℓ/∂ŷ (1, K), ∂ŷ/∂z3 (K, K), ∂z2/∂z1 (d, d).
    """
    raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "factors-regression", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
def _check_factors_regression():
    z1, y_hat, y = torch.tensor([[2.0], [-1.0], [0.5]]), torch.tensor([[3.0], [1.0]]), torch.tensor([[1.0], [2.0]])
    loss, f = (lambda y_hat: ((y_hat - y) ** 2).sum()), (lambda z1: 5 * torch.relu(z1))
    compare_factors(returned_by(factors_regression, z1, y_hat, y), loss, y_hat, lambda z3: 1 * z3, y_hat, f, z1)
    print("with chain_rule these are all the gradients of a regression network")


_check_factors_regression()

# %% [markdown] nbgrader={"grade": false, "grade_id": "classification-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
## 2 · Classification, with the squared error

Same drawing, other boxes: $f = \tanh$, $g = \sigma$ with $\sigma(z) = \frac{1}{1 + e^{-z}}$, both entry by entry, and
$\ell = \lVert \hat y - y \rVert^2$ stays for now. Each of the $K$ labels is 0 or 1.

**Exercise 2.1 · forward** · 4 points · ★☆☆ · 5 minutes

*The walk along the arrows again, with new scenery.*

<details><summary>Hint</summary>

Two boxes out of four are what they were. Which variable was equal to $\hat y$ before, and is not any more?

</details>
"""


# %% nbgrader={"grade": false, "grade_id": "forward-classification-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def forward_classification(x, W1, b1, W2, b2):
    """The forward variables of the classification network.

    x (n, 1), W1 (d, n), b1 (d, 1), W2 (K, d), b2 (K, 1); every size from 1 on

    Returns a tuple of z1 (d, 1), z2 (d, 1), z3 (K, 1), y_hat (K, 1).
    """
    raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "forward-classification", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def _check_forward_classification():
    # tanh(log 3) = 0.8, tanh(log 2) = 0.6 and σ(log 3) = 0.75: even this one can be done by hand.
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

# %% [markdown] nbgrader={"grade": false, "grade_id": "factors-classification-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
**Exercise 2.2 · the three factors** · 2 points · ★★☆ · 10 minutes

*Two classic derivatives, and a surprise: both can be read off the outputs.*

The function below is given $z_2 = \tanh(z_1)$ and $\hat y = \sigma(z_3)$, but neither $z_1$ nor $z_3$. That is enough.

<details><summary>Hint</summary>

$\sigma = (1 + e^{-z})^{-1}$: differentiate, then try to write what you get as $\sigma$ times something. For
$\tanh = \sinh / \cosh$ use the quotient rule and $\sinh' = \cosh$, $\cosh' = \sinh$, then cancel.

</details>
"""


# %% nbgrader={"grade": false, "grade_id": "factors-classification-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def factors_classification(z2, y_hat, y):
    """The three factors of classification by squared error, for z2 (d, 1), y_hat (K, 1), y (K, 1); sizes from 1 on.

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

# %% [markdown] nbgrader={"grade": false, "grade_id": "gradients-classification-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
**Exercise 2.3 · all the gradients** · 2 points by hand, 4 by machine · ★★☆ · 20 minutes

*Put factors and chain rule together, and let the diagonal matrices melt away.*

By hand: derive $\sigma'$ and $\tanh'$ in terms of σ and tanh. Then write
$\frac{\partial \ell}{\partial z_3}$, $\frac{\partial \ell}{\partial z_1}$ and the four gradients; multiplying by a
diagonal matrix is the same as multiplying entry by entry, so use $\odot$ where that is shorter. By machine: the four
gradients from scratch, for an input, a label and the parameters. You may call whatever you have written so far.

<details><summary>Hint</summary>

For any row $r$ and column $v$ of the same length, $r \, \text{diag}(v) = r \odot v^\top$. In code everything exists
already: one call gives the forward variables, one the factors, one the gradients.

</details>
"""

# %% [markdown] nbgrader={"grade": true, "grade_id": "classification-derivation", "locked": false, "points": 2, "schema_version": 3, "solution": true, "task": false}
r"""
*Your answer here: double-click this line and write.*
"""


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
## 3 · Classification, with the cross-entropy

Keep tanh, keep σ, keep all the forward variables. Only the last box changes, to the binary cross-entropy

$$\ell = \frac{1}{K} \sum_{k=1}^{K} -\bigl[\, y_k \log \hat y_k + (1 - y_k) \log(1 - \hat y_k) \,\bigr] .$$

**Exercise 3.1 · forward, and a better way to write the loss** · 1 point by hand, 3 by machine · ★★☆ · 15 minutes

*The same number twice: once from ŷ, once from the logits, where it can never overflow.*

With $\hat y = \sigma(z_3)$, show by hand that

$$\ell = \frac{1}{K} \sum_{k=1}^{K} \bigl[\, \text{softplus}\bigl((z_3)_k\bigr) - y_k \, (z_3)_k \,\bigr], \qquad
\text{softplus}(z) = \log(1 + e^z) .$$

By machine: both forms. The second must stay finite and right for logits as large as ±200, where $e^z$ leaves the
range of `float32`.

<details><summary>Hint</summary>

What is $1 - \sigma(z)$ in terms of σ? And $-\log \sigma(z)$ in terms of softplus? For the machine, pull the large part
out before you exponentiate: $\log(1 + e^z) = z + \log(1 + e^{-z})$ tells how. PyTorch has functions for such sums, too.

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

# %% [markdown] nbgrader={"grade": false, "grade_id": "factors-bce-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
**Exercise 3.2 · the three factors** · 2 points · ★☆☆ · 5 minutes

*Two of the three you have already. Which one is new?*

<details><summary>Hint</summary>

Differentiate one term of the sum, bring both fractions to a common denominator, and keep the $\frac{1}{K}$.

</details>
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

# %% [markdown] nbgrader={"grade": false, "grade_id": "gradients-bce-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
**Exercise 3.3 · all the gradients, and a small miracle** · 2 points by hand, 4 by machine · ★★★ · 15 minutes

*Two ugly factors meet, and what remains is the simplest thing you could have wished for.*

By hand: derive $\frac{\partial \ell}{\partial \hat y}$, multiply by $\frac{\partial \hat y}{\partial z_3}$ and
simplify. Write the four gradients. Then compare $\frac{\partial \ell}{\partial z_3}$ with that of Part 2: what does
each loss tell a network that is certain and *wrong*?

By machine: the four gradients. They must be right also where a logit is so large that ŷ has been rounded to exactly 0
or 1 and `factors_bce` would divide by zero.

<details><summary>Hint</summary>

`chain_rule` only ever uses the *product* of its two factors at the output. If you know the product in simplified form,
you may choose the factors as you like.

</details>
"""

# %% [markdown] nbgrader={"grade": true, "grade_id": "bce-gradient-derivation", "locked": false, "points": 2, "schema_version": 3, "solution": true, "task": false}
r"""
*Your answer here: double-click this line and write.*
"""


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
**Exercise 3.4 · deeper** · 1 point by hand · ★☆☆ · 10 minutes

*What would change with twenty hidden layers in place of one?*

Suppose that the network gets deeper, each hidden layer with its own $f$. Why do practitioners then choose $f$ = ReLU
over $f = \tanh$, and why does $g$ stay σ all the same? Two or three sentences; your factor
$\frac{\partial z_2}{\partial z_1}$ is the key.

The figure below sends a gradient back through such networks. *It shows the size of the gradient at layers 20 down to
1, on a logarithmic axis: circles (ReLU) stay level, squares (tanh) sink, triangles (σ) plunge by a dozen decades.*
"""


# %% nbgrader={"grade": false, "grade_id": "deeper-figure", "locked": true, "schema_version": 3, "solution": false, "task": false} tags=["demo"]
def _figure():
    # 20 hidden layers, 200 wide, with weights of the size that is recommended for each f, and some bias.
    # How large is the gradient when it arrives at each layer?
    figure, ax = plt.subplots(figsize=(5, 3))
    generator = torch.Generator().manual_seed(4)
    for name, f, slope, gain, colour, marker in (
        ("ReLU", torch.relu, lambda z: (z > 0).float(), 2.0, BLUE, "o"),
        ("tanh", torch.tanh, lambda z: 1 - torch.tanh(z) ** 2, 1.0, ORANGE, "s"),
        ("σ", torch.sigmoid, lambda z: torch.sigmoid(z) * torch.sigmoid(-z), 1.0, RED, "^"),
    ):
        signal, layers = torch.randn(200, 1, generator=generator), []
        for _ in range(20):
            W = torch.randn(200, 200, generator=generator) * (gain / 200) ** 0.5
            z = W @ signal + 0.5 * torch.randn(200, 1, generator=generator)
            layers.append((W, slope(z)))
            signal = f(z)
        gradient, sizes = torch.randn(1, 200, generator=generator), []
        for W, slopes in reversed(layers):
            gradient = (gradient * slopes.T) @ W  # one layer down: ∂ℓ/∂z_out · diag(slopes) · W
            sizes.append(float(gradient.norm()))
        ax.semilogy(range(20, 0, -1), sizes, color=colour, marker=marker, markersize=4, label=f"f = {name}")
    ax.invert_xaxis()
    ax.set(
        xticks=[20, 15, 10, 5, 1],
        xlabel="layer (the gradient arrives from the left)",
        ylabel="size of the gradient",
        title="Through 20 layers",
    )
    ax.legend(fontsize=8)
    plt.show()


_figure()

# %% [markdown] nbgrader={"grade": true, "grade_id": "deeper", "locked": false, "points": 1, "schema_version": 3, "solution": true, "task": false}
r"""
*Your answer here: double-click this line and write.*
"""

# %% [markdown] nbgrader={"grade": false, "grade_id": "softargmax-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
## 4 · Ideas, with pictures

$$\text{softargmax}(z)_i = \frac{e^{z_i}}{\sum_{j=1}^{n} e^{z_j}}, \qquad z \in \mathbb{R}^n,\; n \ge 2,$$

is what libraries call softmax, although it is soft about the arg max, not about the max.

**Exercise 4.1 · never say never** · 1 point · ★☆☆ · 5 minutes

*Can an output of softargmax be exactly 0, or exactly 1?*

Answer twice: for real numbers, and for `float32` on a computer; `True` means that it can. Then show it: find finite
`exact_logits`, a list of two or more numbers, for which `torch.softmax` in `float32` gives an exact 0 *and* an exact 1,
or set it to `None` if there are none.

<details><summary>Hint</summary>

Can $e^z$ be zero for a real $z$? What is the smallest positive number that 32 bits can hold, and what becomes of
something smaller?

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

# %% [markdown] nbgrader={"grade": false, "grade_id": "graph-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
**Exercise 4.2 · a computational graph** · 3 points · ★★☆ · 10 minutes

*Draw the graph by listing its arrows, then run backpropagation through it.*

$$a = x + y, \qquad b = z \cdot o, \qquad c = a \cdot b, \qquad w = c + z,$$

all of them numbers, with $x, y, z, o$ as inputs. Every variable is a node. An arrow `("u", "v")` says that $v$ is
computed *directly* from $u$. The check draws your arrows. Then write the four derivatives of $w$; for this you need
numbers, not matrices.

<details><summary>Hint</summary>

Count how many arrows each of the four equations needs. One input sends out two arrows; how does the chain rule treat
someone who reaches $w$ by two roads?

</details>
"""

# %% nbgrader={"grade": false, "grade_id": "graph-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
# graph_edges = [("…", "…"), …]
raise NotImplementedError


def graph_gradient(x, y, z, o):
    """A tuple of ∂w/∂x, ∂w/∂y, ∂w/∂z, ∂w/∂o at the given four numbers."""
    raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "graph", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def _check_graph():
    places = {"x": (0, 3), "y": (0, 2), "z": (0, 1), "o": (0, 0)}
    places |= {"a": (1, 2.5), "b": (1, 0.5), "c": (2, 2), "w": (3, 1.5)}
    assert {node for edge in graph_edges for node in edge} <= set(places), "the nodes are x, y, z, o, a, b, c and w"
    figure, ax = plt.subplots(figsize=(5, 2.8))
    for start, end in graph_edges:
        bend = {"arrowstyle": "->", "shrinkA": 12, "shrinkB": 12, "connectionstyle": "arc3,rad=0.08"}
        ax.annotate("", places[end], places[start], arrowprops=bend)
    for node, place in places.items():
        look = {"boxstyle": "circle", "facecolor": "#FBEBC8" if node in "xyzo" else "#D6E8F5"}
        ax.text(*place, node, ha="center", va="center", bbox=look)
    ax.set(xlim=(-0.4, 3.4), ylim=(-0.5, 3.5), title="Your computational graph")
    ax.axis("off")
    plt.show()


    # Your derivatives, held against a nudge to either side; here a = 3, b = 12, c = 36, w = 39.
    here, slopes = {"x": 1.0, "y": 2.0, "z": 3.0, "o": 4.0}, []
    for name in here:
        up, down = ({**here, name: here[name] + h} for h in (1e-3, -1e-3))
        w_up, w_down = ((at["x"] + at["y"]) * at["z"] * at["o"] + at["z"] for at in (up, down))
        slopes.append((w_up - w_down) / 2e-3)
    compare_each("∂w/∂x ∂w/∂y ∂w/∂z ∂w/∂o", graph_gradient(**here), slopes)


_check_graph()

# %% [markdown] nbgrader={"grade": false, "grade_id": "slopes-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
*In the figure: the inputs x, y, z, o on the left, then a and b, then c, then w, with the arrows that you gave.* Check
that somebody could compute $w$ from your picture alone.

**Exercise 4.3 · four slopes** · 3 points · ★★☆ · 10 minutes

*Differentiate four activations, and draw the result.*

| activation | definition |
| --- | --- |
| ReLU | $\max(0, x)$ |
| LeakyReLU(0.01) | $x$ for $x > 0$, and $0.01\,x$ otherwise |
| Softplus(β = 1) | $\log(1 + e^x)$ |
| GELU | $x \, \Phi(x)$, with $\Phi(x) = \frac12 \bigl[ 1 + \text{erf}(x / \sqrt 2) \bigr]$ |

$\Phi$ is the distribution function of the standard normal, so its derivative is the bell curve
$\varphi(x) = e^{-x^2/2} / \sqrt{2\pi}$. At $x = 0$ any slope between the two sides counts for the first two.

<details><summary>Hint</summary>

GELU is a product of two functions of $x$. And the slope of softplus is an old acquaintance.

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


_check_slopes()


# %% nbgrader={"grade": false, "grade_id": "slopes-figure", "locked": true, "schema_version": 3, "solution": false, "task": false}
def _figure():
    x = torch.linspace(-4, 4, 161)
    figure, ax = plt.subplots(figsize=(5, 3))
    for label, curve, colour, marker in (
        ("ReLU", relu_slope, BLUE, "o"),
        ("LeakyReLU(0.01)", leaky_relu_slope, GREEN, "s"),
        ("Softplus(β=1)", softplus_slope, ORANGE, "^"),
        ("GELU", gelu_slope, RED, "v"),
    ):
        marked = (5 * len(label) % 16, 20)
        ax.plot(x, curve(x), color=colour, marker=marker, markevery=marked, markersize=5, label=label)
    ax.set(xlabel="x", ylabel="slope", title="Your four slopes")
    ax.legend(fontsize=8)
    plt.show()


_figure()

# %% [markdown] nbgrader={"grade": false, "grade_id": "relu-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
*In the figure: slopes from −4 to 4. ReLU (circles) and LeakyReLU (squares) jump at 0, from 0 and from 0.01 to 1;
Softplus (triangles up) climbs smoothly; GELU (triangles down) dips below 0 near −1.4 and rises above 1 near 1.4.*

**Exercise 4.4 · what is wrong with ReLU?** · 2 points by hand, 1 by machine · ★★☆ · 10 minutes

*It is everyone's favourite, and it has its limits.*

By hand: name two limits of ReLU, and for each of LeakyReLU and Softplus say what it mends and what it does not. By
machine: true or false?

- **A** A ReLU unit whose pre-activation is negative for every training example receives no gradient for its weights.
- **B** Like tanh, ReLU has slopes that fade away for large positive pre-activations.
- **C** The slope of LeakyReLU(0.01) is nowhere zero.
- **D** LeakyReLU(0.01) is differentiable at 0.
- **E** The slope of Softplus at any real number lies strictly between 0 and 1.
- **F** Softplus, unlike ReLU, has negative outputs, too.

<details><summary>Hint</summary>

Every answer can be read from your last figure, or from the definitions above it.

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
    print("ok  six answers; whether they are right, the grader will tell")


_check_relu_statements()

# %% [markdown] nbgrader={"grade": false, "grade_id": "maps-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
**Exercise 4.5 · moving the plane** · 1 point by machine, 1 by hand · ★★☆ · 15 minutes

*Four matrices that every linear layer is made of; and what they can never do.*

Write the $2 \times 2$ matrices that, applied to a column $(x, y)^\top$,

- **rotate** it about the origin by θ, counter-clockwise;
- **reflect** it in the line through the origin that makes the angle θ with the $x$-axis;
- **scale** it by $s_x$ along $x$, and by $s_y$ along $y$;
- **shear** it: $y$ stays, $x$ grows by $k$ times $y$.

Then two linear layers in a row *without* a nonlinear function between them, $W_2 (W_1 x + b_1) + b_2$: `collapse`
returns the $W$ and $b$ of the one layer that does the same.

By hand: what does a nonlinear function between the layers add, in algebra and in pictures?

<details><summary>Hint</summary>

The columns of a matrix are the places where $(1, 0)^\top$ and $(0, 1)^\top$ end up. For the reflection, think of
turning the mirror line onto the $x$-axis, flipping, and turning back; or try where $(1, 0)^\top$ goes for θ = 45°.

</details>
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


# %% nbgrader={"grade": true, "grade_id": "maps", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
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


_check_maps()


# %% nbgrader={"grade": false, "grade_id": "maps-figure", "locked": true, "schema_version": 3, "solution": false, "task": false}
def _figure():
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
    plt.show()


_figure()

# %% [markdown] nbgrader={"grade": false, "grade_id": "maps-seen", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
*In the figure: a letter F on a grid, dotted before and filled after each map, with a dot at the origin. Four grids stay
straight; in the fifth tanh has bent the lines and squeezed everything into a square.*

**And now in words** · 1 point by hand: why do stacked linear layers without a function between them gain nothing, and
what do nonlinear ones add?
"""

# %% [markdown] nbgrader={"grade": true, "grade_id": "bending", "locked": false, "points": 1, "schema_version": 3, "solution": true, "task": false}
r"""
*Your answer here: double-click this line and write.*
"""

# %% [markdown] nbgrader={"grade": false, "grade_id": "closing", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
**What you take along**

- One chain rule serves every network of this shape: only the three factors change.
- In numerator layout the chain reads from left to right, and the gradient of a weight matrix is *what came in* (a
  column) times *the complaint about what went out* (a row).
- Cross-entropy and sigmoid belong together: their slopes cancel, and what is left is the plain error.
- A formula is a claim. Test it.

In the next notebook the rows of a batch take the place of the column, and the formulas that you have just proved
become a working multilayer perceptron.
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
        "1.1 sgd-steps",
        "1.2 forward-regression",
        "1.3 chain-rule",
        "1.4 factors-regression",
        "2.1 forward-classification",
        "2.2 factors-classification",
        "2.3 gradients-classification",
        "3.1 bce",
        "3.2 factors-bce",
        "3.3 gradients-bce",
        "4.1 softargmax",
        "4.2 graph",
        "4.3 slopes",
        "4.4 relu-statements",
        "4.5 maps",
    ],
    [
        "1.2 layers-table",
        "1.3 chain-rule-derivation",
        "2.3 classification-derivation",
        "3.1 bce-derivation",
        "3.3 bce-gradient-derivation",
        "3.4 deeper",
        "4.4 relu-limits",
        "4.5 bending",
    ],
    {
        3718406582: "BLUE compare compare_each compare_factors compare_gradients example GREEN"
        " " "measured_gradients measured_jacobian ORANGE RED relative_error returned_by",
    },
    "*Your answer here: double-click this line and write.*",
)
