# %% [markdown] nbgrader={"grade_id": "header", "locked": true}
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

# %% nbgrader={"grade_id": "helpers", "locked": true}
# @title Imports, and helpers for checks and figures. Run this cell; you need not read it.
import math

import matplotlib.pyplot as plt
import torch
from torch.nn import functional

from common import BLUE, GREEN, ORANGE, RED, compare, show_figure


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


# %% [markdown] nbgrader={"grade_id": "rules", "locked": true}
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

<!-- parameter: scale -->
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


# %% nbgrader={"grade_id": "sgd-steps-code", "solution": true}
def train(model, criterion, optimiser, batches, epochs):
    """Minibatch gradient descent: visits every pair (x, y) of the list `batches` in order, `epochs` times.

    Returns a list with the loss of every iteration, a float each.
    """
    losses = []
    for _ in range(epochs):
        for x, y in batches:
            ### BEGIN SOLUTION
            y_hat = model(x)
            loss, dl_dyhat = criterion(y_hat, y)
            optimiser.zero_grad()
            model.backward(dl_dyhat)
            optimiser.step()
            ### END SOLUTION
            losses.append(float(loss))
    return losses


# %% nbgrader={"grade_id": "sgd-steps", "grade": true, "points": 1, "locked": true}
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

# %% [markdown] nbgrader={"grade_id": "forward-text", "locked": true}
r"""
**Exercise 1.2 · forward** · 1 point by hand, 2 by machine · ★☆☆ · 10 minutes

*Write down what each box receives and returns.*

By hand: a table with one row for each of the four boxes: input, output as a formula, and dimensions of the output.
By machine: `forward_regression` returns the same four outputs.

<details><summary>Hint</summary>

<!-- parameter: scale -->
Does the 5 belong to $z_1$ or to $z_2$? Would it matter whether it stands inside or outside the ReLU?

</details>
"""

# %% [markdown] nbgrader={"grade_id": "layers-table", "grade": true, "solution": true, "points": 1}
r"""
### BEGIN SOLUTION
| box | input | output | dimensions of the output |
| --- | --- | --- | --- |
| Linear$(W_1, b_1)$ | $x$ | $z_1 = W_1 x + b_1$ | $d \times 1$, because $W_1$ is $d \times n$ and $x$ is $n \times 1$ |
<!-- parameter: scale -->
| $f$ | $z_1$ | $z_2 = 5 \cdot \text{ReLU}(z_1) = 5 \max(0, z_1)$, entry by entry | $d \times 1$ |
| Linear$(W_2, b_2)$ | $z_2$ | $z_3 = W_2 z_2 + b_2$ | $K \times 1$, because $W_2$ is $K \times d$ |
| $g$ | $z_3$ | $\hat y = z_3$ | $K \times 1$ |

**Mark scheme (1 point)**

<!-- parameter: scale -->
1. ½ point: the four formulas, with inputs, the 5 and both biases. ¼ if exactly three are right.
2. ½ point: the four dimensions. ¼ if exactly three are right.
### END SOLUTION
"""


# %% nbgrader={"grade_id": "forward-regression-code", "solution": true}
def forward_regression(x, W1, b1, W2, b2):
    """The forward variables of the regression network.

    x (n, 1), W1 (d, n), b1 (d, 1), W2 (K, d), b2 (K, 1); any size may be 1

    Returns a tuple of z1 (d, 1), z2 (d, 1), z3 (K, 1), y_hat (K, 1).
    """
    ### BEGIN SOLUTION
    z1 = W1 @ x + b1  # (d, 1)
    # parameter: scale
    z2 = 5 * torch.relu(z1)  # (d, 1)
    z3 = W2 @ z2 + b2  # (K, 1)
    return z1, z2, z3, z3
    ### END SOLUTION


# %% nbgrader={"grade_id": "forward-regression", "grade": true, "points": 2, "locked": true}
# A network that is small enough to compute in your head.
x, W1 = torch.tensor([[1.0], [-2.0]]), torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
b1, W2, b2 = torch.tensor([[0.0], [0.0], [3.0]]), torch.tensor([[1.0, 2.0, 3.0]]), torch.tensor([[10.0]])
yours = returned_by(forward_regression, x, W1, b1, W2, b2)
# parameter: scale; 10.0 = 2 * scale; 45.0 = 10 + 7 * scale
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

# %% [markdown] nbgrader={"grade_id": "chain-rule-text", "locked": true}
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

# %% [markdown] nbgrader={"grade_id": "chain-rule-derivation", "grade": true, "solution": true, "points": 3}
r"""
### BEGIN SOLUTION
*At the output.* ℓ depends on $z_3$ through $\hat y$ alone, so

$$\frac{\partial \ell}{\partial z_3} = \frac{\partial \ell}{\partial \hat y}\frac{\partial \hat y}{\partial z_3}
\qquad (1 \times K)(K \times K) = 1 \times K .$$

*Bias.* $z_3 = W_2 z_2 + b_2$ gives $\frac{\partial z_3}{\partial b_2} = I_K$, hence

$$\frac{\partial \ell}{\partial b_2} = \frac{\partial \ell}{\partial z_3}
= \frac{\partial \ell}{\partial \hat y}\frac{\partial \hat y}{\partial z_3} \qquad 1 \times K .$$

*Weights.* Entry $i$ of $z_3$ is $\sum_j (W_2)_{ij} (z_2)_j + (b_2)_i$. The number $(W_2)_{ij}$ appears in this entry
alone, multiplied by $(z_2)_j$. So
$\frac{\partial \ell}{\partial (W_2)_{ij}} = \left(\frac{\partial \ell}{\partial z_3}\right)_i (z_2)_j$. In numerator
layout this number stands in row $j$ and column $i$, so the matrix is the column $z_2$ times the row
$\frac{\partial \ell}{\partial z_3}$:

$$\frac{\partial \ell}{\partial W_2} = z_2 \, \frac{\partial \ell}{\partial \hat y}\frac{\partial \hat y}{\partial z_3},
\qquad z_2 = f(W_1 x + b_1) \qquad (d \times 1)(1 \times K) = d \times K .$$

*Down to the first layer.* $z_3 = W_2 z_2 + b_2$ gives $\frac{\partial z_3}{\partial z_2} = W_2$. With one factor for
each box on the way:

$$\frac{\partial \ell}{\partial z_1} = \frac{\partial \ell}{\partial \hat y}\frac{\partial \hat y}{\partial z_3}
\, W_2 \, \frac{\partial z_2}{\partial z_1} \qquad (1 \times K)(K \times K)(K \times d)(d \times d) = 1 \times d .$$

*First layer.* $z_1 = W_1 x + b_1$ has the same form, with $x$ in the place of $z_2$:

$$\frac{\partial \ell}{\partial b_1} = \frac{\partial \ell}{\partial \hat y}\frac{\partial \hat y}{\partial z_3}
\, W_2 \, \frac{\partial z_2}{\partial z_1} \quad (1 \times d), \qquad
\frac{\partial \ell}{\partial W_1} = x \, \frac{\partial \ell}{\partial \hat y}\frac{\partial \hat y}{\partial z_3}
\, W_2 \, \frac{\partial z_2}{\partial z_1} \quad (n \times 1)(1 \times d) = n \times d .$$

The label $y$ and the bias $b_2$ appear only inside the factors.

**Mark scheme (3 points)**

1. ½ point: $\partial \ell / \partial z_3$ is the product of the two given factors, in this order. The wrong order gives
   nothing.
2. ½ point: $\partial \ell / \partial b_2$ with the reason $\partial z_3 / \partial b_2 = I$. ¼ without a reason.
3. ½ point: $\partial \ell / \partial W_2$ with an argument about single entries, or an equivalent one. ¼ if shapes are
   the only argument.
4. ½ point: $\partial \ell / \partial z_1$ with all four factors in the right order. ¼ if one is missing or misplaced.
5. ½ point: $\partial \ell / \partial b_1$ is $\partial \ell / \partial z_1$, with a reason. ¼ without a reason.
6. ½ point: $\partial \ell / \partial W_1$ is the column $x$ times the row $\partial \ell / \partial z_1$. ¼ if it is
   transposed or in the wrong order.
### END SOLUTION
"""


# %% nbgrader={"grade_id": "chain-rule-code", "solution": true}
def chain_rule(x, z2, W2, dl_dyhat, dyhat_dz3, dz2_dz1):
    """The gradients of the four parameters, for any f, g and ℓ.

    x (n, 1), z2 (d, 1), W2 (K, d)
    dl_dyhat = ∂ℓ/∂ŷ (1, K), dyhat_dz3 = ∂ŷ/∂z3 (K, K), dz2_dz1 = ∂z2/∂z1 (d, d)

    Returns a tuple of ∂ℓ/∂W1 (n, d), ∂ℓ/∂b1 (1, d), ∂ℓ/∂W2 (d, K), ∂ℓ/∂b2 (1, K).
    """
    ### BEGIN SOLUTION
    dl_dz3 = dl_dyhat @ dyhat_dz3  # (1, K)
    dl_dz1 = dl_dz3 @ W2 @ dz2_dz1  # (1, d)
    return x @ dl_dz1, dl_dz1, z2 @ dl_dz3, dl_dz3
    ### END SOLUTION


# %% nbgrader={"grade_id": "chain-rule", "grade": true, "points": 3, "locked": true}
# Here f, g and ℓ are linear: z2 = A z1, ŷ = G z3, ℓ = r ŷ. So the three factors are A, G and r.
x, W1, b1, W2, b2 = example(n=4, d=3, K=2, seed=1)
r, G, A = torch.tensor([[1.0, -2.0]]), torch.tensor([[1.0, 3.0], [0.0, 2.0]]), torch.arange(9.0).reshape(3, 3)
yours = returned_by(chain_rule, x, A @ (W1 @ x + b1), W2, r, G, A)
compare_gradients(yours, lambda z: z @ A.T, lambda z: z @ G.T, lambda y_hat: (r @ y_hat).sum(), x, W1, b1, W2, b2)

# %% [markdown] nbgrader={"grade_id": "factors-regression-text", "locked": true}
r"""
**Exercise 1.4 · the three factors of regression** · 2 points · ★☆☆ · 7 minutes

<!-- parameter: scale -->
*Write out the three matrices, for $f = 5 \cdot \text{ReLU}$, $g$ the identity and
$\ell = \lVert \hat y - y \rVert^2$.*

`factors_regression` returns matrices of the shapes in its docstring, even where a size is 1. At exactly 0,
<!-- parameter: scale -->
where ReLU has no slope, any value from 0 to 5 is right.

<details><summary>Hint</summary>

Which entries of $z_1$ does entry $i$ of $f(z_1)$ depend on? `torch.diagflat` puts the entries of a column on a
diagonal, even if there is only one.

</details>
"""


# %% nbgrader={"grade_id": "factors-regression-code", "solution": true}
def factors_regression(z1, y_hat, y):
    """The three factors of regression, for z1 (d, 1), y_hat (K, 1), y (K, 1); any size may be 1.

    Returns a tuple of ∂ℓ/∂ŷ (1, K), ∂ŷ/∂z3 (K, K), ∂z2/∂z1 (d, d).
    """
    ### BEGIN SOLUTION
    dl_dyhat = 2 * (y_hat - y).T  # ∂/∂ŷ_k of Σ (ŷ_k − y_k)²
    dyhat_dz3 = torch.eye(len(y_hat))
    # parameter: scale
    dz2_dz1 = torch.diagflat(5.0 * (z1 > 0))
    return dl_dyhat, dyhat_dz3, dz2_dz1
    ### END SOLUTION


# %% nbgrader={"grade_id": "factors-regression", "grade": true, "points": 2, "locked": true}
z1, y_hat, y = torch.tensor([[2.0], [-1.0], [0.5]]), torch.tensor([[3.0], [1.0]]), torch.tensor([[1.0], [2.0]])
# parameter: scale
loss, f = (lambda y_hat: ((y_hat - y) ** 2).sum()), (lambda z1: 5 * torch.relu(z1))
compare_factors(returned_by(factors_regression, z1, y_hat, y), loss, y_hat, lambda z3: 1 * z3, y_hat, f, z1)
print("ok  chain_rule turns these factors into the gradients of a regression network")

# %% [markdown] nbgrader={"grade_id": "classification-text", "locked": true}
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


# %% nbgrader={"grade_id": "forward-classification-code", "solution": true}
def forward_classification(x, W1, b1, W2, b2):
    """The forward variables of the classification network.

    x (n, 1), W1 (d, n), b1 (d, 1), W2 (K, d), b2 (K, 1); any size may be 1

    Returns a tuple of z1 (d, 1), z2 (d, 1), z3 (K, 1), y_hat (K, 1).
    """
    ### BEGIN SOLUTION
    z1 = W1 @ x + b1  # (d, 1)
    z2 = torch.tanh(z1)  # (d, 1)
    z3 = W2 @ z2 + b2  # (K, 1)
    return z1, z2, z3, torch.sigmoid(z3)
    ### END SOLUTION


# %% nbgrader={"grade_id": "forward-classification", "grade": true, "points": 2, "locked": true}
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

# %% [markdown] nbgrader={"grade_id": "gradients-classification-text", "locked": true}
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

# %% [markdown] nbgrader={"grade_id": "classification-derivation", "grade": true, "solution": true, "points": 2}
r"""
### BEGIN SOLUTION
*Sigmoid.* With $\sigma(z) = (1 + e^{-z})^{-1}$ we have $1 - \sigma(z) = \frac{e^{-z}}{1 + e^{-z}}$, and so

$$\sigma'(z) = -(1 + e^{-z})^{-2} \cdot (-e^{-z}) = \frac{1}{1 + e^{-z}} \cdot \frac{e^{-z}}{1 + e^{-z}}
= \sigma(z)\,(1 - \sigma(z)) .$$

*Hyperbolic tangent.* By the quotient rule

$$\tanh'(z) = \frac{\cosh z \cosh z - \sinh z \sinh z}{\cosh^2 z} = 1 - \tanh^2 z .$$

Entry $i$ of $\hat y$ depends on entry $i$ of $z_3$ alone, so
$\frac{\partial \hat y}{\partial z_3} = \text{diag}\bigl(\hat y \odot (1 - \hat y)\bigr)$, and in the same way
$\frac{\partial z_2}{\partial z_1} = \text{diag}(1 - z_2 \odot z_2)$. From $\ell = \sum_k (\hat y_k - y_k)^2$ we get
$\frac{\partial \ell}{\partial \hat y} = 2 (\hat y - y)^\top$.

*Put together* by the chain rule of Exercise 1.3:

$$\frac{\partial \ell}{\partial z_3} = 2\,\bigl[(\hat y - y) \odot \hat y \odot (1 - \hat y)\bigr]^\top
\quad (1 \times K), \qquad
\frac{\partial \ell}{\partial z_1} = \Bigl(\frac{\partial \ell}{\partial z_3} W_2\Bigr) \odot (1 - z_2 \odot z_2)^\top
\quad (1 \times d),$$

$$\frac{\partial \ell}{\partial W_1} = x \, \frac{\partial \ell}{\partial z_1}, \qquad
\frac{\partial \ell}{\partial b_1} = \frac{\partial \ell}{\partial z_1}, \qquad
\frac{\partial \ell}{\partial W_2} = z_2 \, \frac{\partial \ell}{\partial z_3}, \qquad
\frac{\partial \ell}{\partial b_2} = \frac{\partial \ell}{\partial z_3} .$$

**Mark scheme (2 points)**

1. ½ point: $\sigma' = \sigma (1 - \sigma)$, derived. ¼ if it is only stated.
2. ½ point: $\tanh' = 1 - \tanh^2$, derived. ¼ if it is only stated.
3. ½ point: $\partial \ell / \partial z_3$ as a row, with the 2, the error and the slope of σ. ¼ if one of them is
   missing.
4. ½ point: the four gradients, with $\partial \ell / \partial z_1$ written out. ¼ if exactly two or three are right.
### END SOLUTION
"""


# %% nbgrader={"grade_id": "factors-classification-code", "solution": true}
def factors_classification(z2, y_hat, y):
    """The three factors of classification by squared error, for z2 (d, 1), y_hat (K, 1), y (K, 1); sizes may be 1.

    Returns a tuple of ∂ℓ/∂ŷ (1, K), ∂ŷ/∂z3 (K, K), ∂z2/∂z1 (d, d).
    """
    ### BEGIN SOLUTION
    dl_dyhat = 2 * (y_hat - y).T
    dyhat_dz3 = torch.diagflat(y_hat * (1 - y_hat))
    dz2_dz1 = torch.diagflat(1 - z2**2)
    return dl_dyhat, dyhat_dz3, dz2_dz1
    ### END SOLUTION


# %% nbgrader={"grade_id": "factors-classification", "grade": true, "points": 2, "locked": true}
z1, z3, y = torch.tensor([[2.0], [-1.0], [0.5]]), torch.tensor([[3.0], [-1.0]]), torch.tensor([[1.0], [0.0]])
y_hat, loss = torch.sigmoid(z3), (lambda y_hat: ((y_hat - y) ** 2).sum())
yours = returned_by(factors_classification, torch.tanh(z1), y_hat, y)
compare_factors(yours, loss, y_hat, torch.sigmoid, z3, torch.tanh, z1)


# %% nbgrader={"grade_id": "gradients-classification-code", "solution": true}
def gradients_classification(x, y, W1, b1, W2, b2):
    """The gradients of ‖ŷ − y‖² for the classification network.

    x (n, 1), y (K, 1), W1 (d, n), b1 (d, 1), W2 (K, d), b2 (K, 1)

    Returns a tuple of ∂ℓ/∂W1 (n, d), ∂ℓ/∂b1 (1, d), ∂ℓ/∂W2 (d, K), ∂ℓ/∂b2 (1, K).
    """
    ### BEGIN SOLUTION
    _, z2, _, y_hat = forward_classification(x, W1, b1, W2, b2)
    return chain_rule(x, z2, W2, *factors_classification(z2, y_hat, y))
    ### END SOLUTION


# %% nbgrader={"grade_id": "gradients-classification", "grade": true, "points": 4, "locked": true}
x, W1, b1, W2, b2 = example(n=4, d=3, K=2, seed=2)
y, numbers = torch.tensor([[1.0], [0.0]]), (x, W1, b1, W2, b2)
yours = returned_by(gradients_classification, x, y, W1, b1, W2, b2)
compare_gradients(yours, torch.tanh, torch.sigmoid, lambda y_hat: ((y_hat - y) ** 2).sum(), *numbers)

# %% [markdown] nbgrader={"grade_id": "bce-text", "locked": true}
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

# %% [markdown] nbgrader={"grade_id": "bce-derivation", "grade": true, "solution": true, "points": 1}
r"""
### BEGIN SOLUTION
Write $z$ for one logit. First the two logarithms:

$$-\log\bigl(1 - \sigma(z)\bigr) = -\log \frac{e^{-z}}{1 + e^{-z}} = -\log \frac{1}{e^{z} + 1} = \log(1 + e^z)
= \text{softplus}(z),$$

$$-\log \sigma(z) = \log(1 + e^{-z}) = \log\bigl(e^{-z}(e^{z} + 1)\bigr) = -z + \log(1 + e^z)
= \text{softplus}(z) - z .$$

Insert both into one term of the sum:

$$-\bigl[ y \log \sigma(z) + (1 - y) \log(1 - \sigma(z)) \bigr]
= y\,\bigl(\text{softplus}(z) - z\bigr) + (1 - y)\,\text{softplus}(z) = \text{softplus}(z) - y z .$$

The mean over $k$ is the claim.

**Mark scheme (1 point)**

1. ½ point: both logarithms in terms of softplus. ¼ for one of them.
2. ½ point: both inserted and simplified to $\text{softplus}(z) - y z$. ¼ if they are inserted but not simplified.
### END SOLUTION
"""


# %% nbgrader={"grade_id": "bce-code", "solution": true}
def bce(y, y_hat):
    """The binary cross-entropy of labels y (K, 1) and predictions y_hat (K, 1), 0 < y_hat < 1: a scalar."""
    ### BEGIN SOLUTION
    return -(y * torch.log(y_hat) + (1 - y) * torch.log(1 - y_hat)).mean()
    ### END SOLUTION


def bce_from_logits(y, z3):
    """The same scalar from the logits z3 (K, 1); finite and right for logits of any size."""
    ### BEGIN SOLUTION
    softplus = torch.logaddexp(torch.zeros_like(z3), z3)  # log(e⁰ + eᶻ), with the larger exponent pulled out
    return (softplus - y * z3).mean()
    ### END SOLUTION


# %% nbgrader={"grade_id": "bce", "grade": true, "points": 3, "locked": true}
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

# %% [markdown] nbgrader={"grade_id": "gradients-bce-text", "locked": true}
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

# %% [markdown] nbgrader={"grade_id": "bce-gradient-derivation", "grade": true, "solution": true, "points": 2}
r"""
### BEGIN SOLUTION
*The new factor.* $\hat y_k$ appears in one term of the sum only, so entry $k$ of the row
$\frac{\partial \ell}{\partial \hat y}$ is

$$\frac{\partial \ell}{\partial \hat y_k}
= \frac{1}{K} \Bigl[ -\frac{y_k}{\hat y_k} + \frac{1 - y_k}{1 - \hat y_k} \Bigr]
= \frac{1}{K} \cdot \frac{-y_k (1 - \hat y_k) + (1 - y_k)\, \hat y_k}{\hat y_k (1 - \hat y_k)}
= \frac{1}{K} \cdot \frac{\hat y_k - y_k}{\hat y_k (1 - \hat y_k)} .$$

*The product.* $\frac{\partial \hat y}{\partial z_3} = \text{diag}\bigl(\hat y \odot (1 - \hat y)\bigr)$ multiplies
entry $k$ by exactly the denominator:

$$\frac{\partial \ell}{\partial z_3} = \frac{\partial \ell}{\partial \hat y}\frac{\partial \hat y}{\partial z_3}
= \frac{1}{K} (\hat y - y)^\top \qquad (1 \times K) .$$

*All gradients,* with $\frac{\partial \ell}{\partial z_1} = \frac{1}{K} \bigl[(\hat y - y)^\top W_2\bigr] \odot
(1 - z_2 \odot z_2)^\top$:

$$\frac{\partial \ell}{\partial W_1} = x \, \frac{\partial \ell}{\partial z_1}, \qquad
\frac{\partial \ell}{\partial b_1} = \frac{\partial \ell}{\partial z_1}, \qquad
\frac{\partial \ell}{\partial W_2} = \frac{1}{K}\, z_2 \, (\hat y - y)^\top, \qquad
\frac{\partial \ell}{\partial b_2} = \frac{1}{K} (\hat y - y)^\top .$$

*Certain and wrong,* $y_k = 1$ and $\hat y_k \to 0$. With the squared error, entry $k$ is
$2 (\hat y_k - y_k)\, \hat y_k (1 - \hat y_k) \to 0$: the gradient vanishes although the answer is wrong. With the
cross-entropy it is $\frac{1}{K}(\hat y_k - y_k) \to -\frac{1}{K}$, its largest possible size.

**Mark scheme (2 points)**

1. ½ point: $\partial \ell / \partial \hat y$ over a common denominator, with the right sign and $\frac{1}{K}$. ¼ if the
   sign or $\frac{1}{K}$ is wrong.
2. ½ point: the product simplified to $\frac{1}{K} (\hat y - y)^\top$. ¼ if the slope of σ is multiplied but not
   cancelled.
3. ½ point: the four gradients. ¼ if exactly two or three are right.
4. ½ point: for the certain and wrong network one entry goes to 0 and the other to $-\frac{1}{K}$. ¼ for one of the two.
### END SOLUTION
"""


# %% nbgrader={"grade_id": "factors-bce-code", "solution": true}
def factors_bce(z2, y_hat, y):
    """The three factors of classification by cross-entropy, for z2 (d, 1), y_hat (K, 1), y (K, 1); 0 < y_hat < 1.

    Returns a tuple of ∂ℓ/∂ŷ (1, K), ∂ŷ/∂z3 (K, K), ∂z2/∂z1 (d, d).
    """
    ### BEGIN SOLUTION
    dl_dyhat = ((y_hat - y) / (y_hat * (1 - y_hat))).T / len(y)
    dyhat_dz3 = torch.diagflat(y_hat * (1 - y_hat))
    dz2_dz1 = torch.diagflat(1 - z2**2)
    return dl_dyhat, dyhat_dz3, dz2_dz1
    ### END SOLUTION


# %% nbgrader={"grade_id": "factors-bce", "grade": true, "points": 2, "locked": true}
z1, z3, y = torch.tensor([[2.0], [-1.0]]), torch.tensor([[1.5], [-1.0], [0.5]]), torch.tensor([[1.0], [0.0], [0.0]])
y_hat, loss = torch.sigmoid(z3), (lambda y_hat: functional.binary_cross_entropy(y_hat, y))
compare_factors(returned_by(factors_bce, torch.tanh(z1), y_hat, y), loss, y_hat, torch.sigmoid, z3, torch.tanh, z1)


# %% nbgrader={"grade_id": "gradients-bce-code", "solution": true}
def gradients_bce(x, y, W1, b1, W2, b2):
    """The gradients of the binary cross-entropy for the classification network; right for logits of any size.

    x (n, 1), y (K, 1), W1 (d, n), b1 (d, 1), W2 (K, d), b2 (K, 1)

    Returns a tuple of ∂ℓ/∂W1 (n, d), ∂ℓ/∂b1 (1, d), ∂ℓ/∂W2 (d, K), ∂ℓ/∂b2 (1, K).
    """
    ### BEGIN SOLUTION
    _, z2, _, y_hat = forward_classification(x, W1, b1, W2, b2)
    dl_dz3 = (y_hat - y).T / len(y)  # (1, K), simplified: nothing is divided by ŷ
    return chain_rule(x, z2, W2, dl_dz3, torch.eye(len(y)), torch.diagflat(1 - z2**2))
    ### END SOLUTION


# %% nbgrader={"grade_id": "gradients-bce", "grade": true, "points": 4, "locked": true}
y = torch.tensor([[1.0], [0.0], [1.0]])


def loss(z3):
    return functional.binary_cross_entropy_with_logits(z3, y)


for offset, which in ((0.0, "ordinary logits"), (200.0, "ŷ rounded to 1"), (-200.0, "ŷ rounded to 0")):
    x, W1, b1, W2, b2 = example(n=4, d=2, K=3, seed=3)
    b2 += offset
    print(which)
    yours = returned_by(gradients_bce, x, y, W1, b1, W2, b2)
    compare_gradients(yours, torch.tanh, torch.clone, loss, x, W1, b1, W2, b2)

# %% [markdown] nbgrader={"grade_id": "deeper-text", "locked": true}
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

# %% nbgrader={"grade_id": "depth-prediction-code", "solution": true}
# depth_prediction = "…"   # "A", "B" or "C"
### BEGIN SOLUTION
depth_prediction = "B"
### END SOLUTION

# %% nbgrader={"grade_id": "depth-prediction", "grade": true, "points": 0.5, "locked": true}
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

# %% [markdown] nbgrader={"grade_id": "depth-seen", "locked": true}
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

# %% [markdown] nbgrader={"grade_id": "deeper", "grade": true, "solution": true, "points": 1.5}
r"""
### BEGIN SOLUTION
1. At gain 1 the gradient through ReLU shrinks by about $\sqrt 2$ in every layer, to about $2^{-10}$ of its size after
   20 layers. ReLU is off for about half of the units. Its slope is 0 there, so half of the second moment (the mean
   square) of the gradient is lost in each layer. Gain √2 doubles the second moment in each layer, which offsets this
   loss.
2. The entries of $\partial z_2 / \partial z_1$ for tanh are $1 - \tanh^2 z$. They are close to 0 where $|z|$ is large.
   If biases cause this, the product over many layers vanishes. The right gain depends on the size of $z$. For
   ReLU the entries are 1 for every active unit, however large $z$ is, so one gain, √2, suits all sizes of $z$.
3. ŷ has to be a probability between 0 and 1. σ provides one and ReLU does not: the logarithms of the cross-entropy
   would be undefined. σ stands at the output only, so its slope enters the product once, and with the cross-entropy it
   cancels.

**Mark scheme (1½ points)**

1. ½ point: at gain 1 ReLU's gradient shrinks because it loses half of its second moment in each layer, and √2 makes up
   for it. ¼ if the units that are off are named as the cause but not what √2 offsets.
2. ½ point: tanh's slope falls as $|z|$ grows, while ReLU's is 1 on active units whatever their size. ¼ for one of the
   two. "The gradient always shrinks with tanh and never with ReLU" gives nothing: the figure shows otherwise.
3. ½ point: the output must be a probability in (0, 1). ¼ if only the cancelling slope is named.
### END SOLUTION
"""

# %% [markdown] nbgrader={"grade_id": "softargmax-text", "locked": true}
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

# %% nbgrader={"grade_id": "softargmax-code", "solution": true}
# softargmax_exact = {"real": …, "float32": …}
# exact_logits = …
### BEGIN SOLUTION
# e^z > 0 for every real z, so each output is positive, and with two or more of them each is below 1.
# In float32 e^-200 is less than the smallest positive number, 1.4e-45: it becomes 0, and the sum rounds to 1.
softargmax_exact = {"real": False, "float32": True}
exact_logits = [200.0, 0.0]
### END SOLUTION

# %% nbgrader={"grade_id": "softargmax", "grade": true, "points": 1, "locked": true}
assert set(softargmax_exact) == {"real", "float32"}, "softargmax_exact takes the keys 'real' and 'float32'"
assert all(isinstance(answer, bool) for answer in softargmax_exact.values()), "answer with True or False"
if exact_logits is not None:
    print("softargmax of your logits:", torch.softmax(torch.tensor(exact_logits, dtype=torch.float32), dim=0).tolist())

# %% [markdown] nbgrader={"grade_id": "softargmax-reason", "grade": true, "solution": true, "points": 1}
r"""
### BEGIN SOLUTION
*Real numbers: no.* $e^{z} > 0$ for every real $z$. The numerator is positive, so no output is 0. With $n \ge 2$ the
denominator contains at least one more positive term and is larger than the numerator, so no output is 1.

*float32: yes.* `float32` has a smallest positive number, about $1.4 \cdot 10^{-45}$. If a logit lies more than about
104 below the largest one, $e^{z_i - z_{\max}}$ is smaller than half of that number and is rounded to 0. An exact 1
needs only a difference of about 17: then the other terms vanish beside 1 in the sum.

**Mark scheme (1 point)**

1. ½ point, real numbers: all exponentials are positive, so the numerator is not 0 and the denominator is larger than
   the numerator. ¼ if only the 0 or only the 1 is explained.
2. ½ point, `float32`: a number below the smallest positive one is rounded to 0 (underflow), and a sum of 1 and a tiny
   number is rounded to 1. ¼ if only the 0 or only the 1 is explained.
### END SOLUTION
"""

# %% [markdown] nbgrader={"grade_id": "graph-text", "locked": true}
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

# %% nbgrader={"grade_id": "graph-code", "solution": true}
# graph_edges = [("…", "…"), …]
# graph_places = {"x": (…, …), …}
### BEGIN SOLUTION
graph_edges = [("x", "a"), ("y", "a"), ("z", "b"), ("o", "b"), ("a", "c"), ("b", "c"), ("c", "w"), ("z", "w")]
graph_places = {"x": (0, 3), "y": (0, 2), "z": (0, 1), "o": (0, 0)}
graph_places |= {"a": (1, 2.5), "b": (1, 0.5), "c": (2, 2), "w": (3, 1)}
### END SOLUTION


def graph_gradient(x, y, z, o):
    """A tuple of ∂w/∂x, ∂w/∂y, ∂w/∂z, ∂w/∂o at the given four numbers."""
    ### BEGIN SOLUTION
    a, b = x + y, z * o
    dw_dc = 1.0
    dw_da, dw_db = dw_dc * b, dw_dc * a
    return dw_da, dw_da, dw_db * o + 1.0, dw_db * z  # z reaches w by two paths: through b, and directly
    ### END SOLUTION


# %% nbgrader={"grade_id": "graph", "grade": true, "points": 3, "locked": true}
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

# %% [markdown] nbgrader={"grade_id": "slopes-text", "locked": true}
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


# %% nbgrader={"grade_id": "slopes-code", "solution": true}
def relu_slope(x):
    """The derivative of ReLU at every entry of the tensor x; the result has the shape of x, as below."""
    ### BEGIN SOLUTION
    return (x > 0).float()
    ### END SOLUTION


def leaky_relu_slope(x):
    """The derivative of LeakyReLU(0.01)."""
    ### BEGIN SOLUTION
    return torch.where(x > 0, 1.0, 0.01)
    ### END SOLUTION


def softplus_slope(x):
    """The derivative of Softplus(β = 1)."""
    ### BEGIN SOLUTION
    return torch.sigmoid(x)  # eˣ / (1 + eˣ)
    ### END SOLUTION


def gelu_slope(x):
    """The derivative of GELU in its exact form, with erf."""
    ### BEGIN SOLUTION
    Phi = (1 + torch.erf(x / math.sqrt(2))) / 2
    phi = torch.exp(-(x**2) / 2) / math.sqrt(2 * math.pi)
    return Phi + x * phi  # the product rule
    ### END SOLUTION


def draw_slopes(ax):
    """Plots the four slopes on the axes ax, from −4 to 4, each as one line with its name as the label."""
    ### BEGIN SOLUTION
    x = torch.linspace(-4, 4, 161)
    ax.plot(x, relu_slope(x), color=BLUE, label="ReLU")
    ax.plot(x, leaky_relu_slope(x), color=GREEN, linestyle="--", label="LeakyReLU(0.01)")
    ax.plot(x, softplus_slope(x), color=ORANGE, linestyle="-.", label="Softplus(β=1)")
    ax.plot(x, gelu_slope(x), color=RED, linestyle=":", label="GELU")
    ax.set(xlabel="x", ylabel="slope")
    ### END SOLUTION


# %% nbgrader={"grade_id": "slopes", "grade": true, "points": 3, "locked": true}
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

# %% [markdown] nbgrader={"grade_id": "relu-text", "locked": true}
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

# %% [markdown] nbgrader={"grade_id": "relu-limits", "grade": true, "solution": true, "points": 2}
r"""
### BEGIN SOLUTION
*Weaknesses of ReLU* (any two). (1) For $x < 0$ the slope is exactly 0. A unit that is negative for all examples gets no
gradient for its weights, and unless its inputs change it stays inactive ("dead"). (2) The slope jumps at 0, where ReLU
is not differentiable: the gradient changes abruptly. (3) Outputs are never negative, so their mean is positive, and the
next layer receives inputs that are not centred.

*LeakyReLU* has a slope of 0.01 on the negative side, so no unit is cut off from its gradient. It still has the kink at
0, and its slope is another number to choose.

*Softplus* is smooth everywhere, and its slope $\sigma(x)$ is never exactly 0. The mean of its outputs is still
positive. Its slope is still tiny for very negative $x$, and it costs an exponential and a logarithm.

**Mark scheme (2 points)**

1. ½ point: a first weakness with a reason. ¼ without a reason.
2. ½ point: a second weakness with a reason. ¼ without a reason.
3. ½ point: LeakyReLU fixes the zero gradient on the negative side, and one thing that it leaves (the kink, or a slope
   to choose). ¼ for one of the two.
4. ½ point: Softplus fixes the kink or the exactly zero slope, and one thing that it leaves (positive mean, tiny slopes,
   cost). ¼ for one of the two.
### END SOLUTION
"""

# %% nbgrader={"grade_id": "relu-statements-code", "solution": true}
# relu_statements = {"A": …, "B": …, "C": …, "D": …, "E": …, "F": …}
### BEGIN SOLUTION
relu_statements = {"A": True, "B": False, "C": True, "D": False, "E": True, "F": False}
### END SOLUTION

# %% nbgrader={"grade_id": "relu-statements", "grade": true, "points": 1, "locked": true}
assert sorted(relu_statements) == list("ABCDEF"), "answer each of A to F"
assert all(isinstance(answer, bool) for answer in relu_statements.values()), "answer with True or False"
print("ok  six answers; the grader tells you whether they are right")

# %% [markdown] nbgrader={"grade_id": "maps-text", "locked": true}
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

# %% [markdown] nbgrader={"grade_id": "bending", "grade": true, "solution": true, "points": 1}
r"""
### BEGIN SOLUTION
*In algebra.* Without a function between them two linear layers are one,
$W_2 (W_1 x + b_1) + b_2 = (W_2 W_1)\, x + (W_2 b_1 + b_2)$, and by repetition so is any number of them. With a
nonlinear $f$ between them no such $W$ and $b$ exist in general, and the network can represent functions that are not
affine.

*In a picture.* A linear layer rotates, reflects, scales, shears and shifts the plane: straight lines stay straight
and parallel lines stay parallel. Two classes that no straight line separates cannot be separated by one afterwards. A
nonlinear function bends, folds or squeezes the plane. A straight cut in the new space is then a curved cut in the old
one.

**Mark scheme (1 point)**

1. ½ point: linear layers compose to one linear layer, with $W_2 W_1$ or in words. ¼ if it is stated without a reason.
2. ½ point: nonlinear functions make curved boundaries, or functions that are not affine, possible. ¼ for "more power"
   or the like, without saying what it is.
### END SOLUTION
"""


# %% nbgrader={"grade_id": "maps-code", "solution": true}
def rotation(theta):
    """The matrix (2, 2) that rotates by theta (a number, in radians) counter-clockwise."""
    ### BEGIN SOLUTION
    c, s = math.cos(theta), math.sin(theta)
    return torch.tensor([[c, -s], [s, c]])
    ### END SOLUTION


def reflection(theta):
    """The matrix (2, 2) that reflects in the line at angle theta to the x-axis."""
    ### BEGIN SOLUTION
    c, s = math.cos(2 * theta), math.sin(2 * theta)
    return torch.tensor([[c, s], [s, -c]])
    ### END SOLUTION


def scaling(s_x, s_y):
    """The matrix (2, 2) that scales x by s_x and y by s_y."""
    ### BEGIN SOLUTION
    return torch.tensor([[s_x, 0.0], [0.0, s_y]])
    ### END SOLUTION


def shear(k):
    """The matrix (2, 2) that adds k times y to x."""
    ### BEGIN SOLUTION
    return torch.tensor([[1.0, k], [0.0, 1.0]])
    ### END SOLUTION


def collapse(W1, b1, W2, b2):
    """A tuple W (K, n), b (K, 1) with W x + b = W2 (W1 x + b1) + b2 for every x (n, 1)."""
    ### BEGIN SOLUTION
    return W2 @ W1, W2 @ b1 + b2
    ### END SOLUTION


# %% nbgrader={"grade_id": "maps", "grade": true, "points": 2, "locked": true}
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

# %% [markdown] nbgrader={"grade_id": "closing", "locked": true}
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
