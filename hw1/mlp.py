# %% [markdown] nbgrader={"grade_id": "header", "locked": true}
r"""
# A multilayer perceptron by hand

Backpropagation tells you, for every weight, whether the loss rises or falls when that weight grows. You write it
yourself, with plain tensor operations.

**What you will build.** A gradient checker, layers, losses, a network and its training step. At the end your network
separates three spiral arms. The same training without ReLU gets fewer than half right.

| exercise | you write | points | minutes |
| --- | --- | --- | --- |
| 1 | `numerical_gradient` | 3 | 15 |
| | a prediction, and its explanation | ½ + 1 (by hand) | 5 |
| 2 | `Linear` | 2 + 5 | 30 |
| 3 | `ReLU`, `Sigmoid` | 2 + 2 | 15 |
| 4 | `mse_loss` | 3 | 10 |
| 5 | `bce_loss` | 4 | 20 |
| 6 | `MLP` | 2 + 2 + 4 + 2 | 40 |
| 7 | `train_step` | 2½ | 15 |
| 8 | `Value` | optional | (40) |
| | **in all** | **35**: 34 by machine, 1 by hand | **150** |

**You need** matrix multiplication, the chain rule and Python classes. Everything runs in seconds on a CPU.

**How to work.** Replace each `raise NotImplementedError` with your code, then run the check below it. If it fails, its
message says what is wrong. The grader uses other numbers and sizes: your code must work for all."""

# %% nbgrader={"grade_id": "helpers", "locked": true}
import math

import matplotlib.pyplot as plt
import torch
from torch import nn

# %% nbgrader={"grade_id": "common", "locked": true}
# @title Helpers for checks and figures. Run this cell; you need not read it.
from common import BLUE, GREEN, ORANGE, RED, compare, relative_error, show_figure

# %% [markdown] nbgrader={"grade_id": "rules", "locked": true}
r"""
## Rules and notation

**No automatic differentiation.** You may use NumPy and all plain tensor functions, such as `@`, `.sum()`,
`torch.sigmoid` or `torch.where`. You must not use a tensor's `.backward()`, `torch.autograd`, `torch.func` or anything
from `torch.nn`: an answer that does so earns nothing. The checks use them, and cells that you add may, too. Numerical
gradients (Exercise 1) are allowed everywhere, but they are inexact and slow.

**Do not change what you are given.** Your functions and layers must not change the tensors that they receive. Only
gradients and, in `train_step`, parameters may change in place.

**Columns on paper, rows in code.** On paper an example is a column $x \in \mathbb{R}^n$, and derivatives are in
numerator layout. For a scalar loss $J$, $\frac{\partial J}{\partial x}$ is a *row*, and the chain rule
$\frac{\partial J}{\partial x} = \frac{\partial J}{\partial y}\frac{\partial y}{\partial x}$ reads from left to right.
In code each of the $B$ examples of a batch is a *row*: `x` has shape `(B, n)`, and the upstream gradient `dy` holds
$\frac{\partial J}{\partial y_i}$ in row $i$. The gradient of a parameter has the *parameter's own shape*. For a matrix
$W$ this is the transpose of numerator layout.

`dy` stands for $\partial J/\partial y$ and `dx` for $\partial J/\partial x$."""

# %% [markdown] nbgrader={"grade_id": "numerical-gradient-text", "locked": true}
r"""
## 1 · A gradient checker

To check your gradients you need a second way to compute them. The **central difference** moves one entry of $x$ at a
time, by a step $\varepsilon$ to either side:

$$\frac{\partial f}{\partial x_i}
= \frac{f(x + \varepsilon e_i) - f(x - \varepsilon e_i)}{2\varepsilon} + O(\varepsilon^2),$$

where $e_i$ is 1 at entry $i$ and 0 elsewhere. It evaluates $f$ twice per entry, which is too slow for training.

**Exercise 1 · gradient checker** · 3 points · ★☆☆ · 15 minutes

*Write `numerical_gradient`: the central difference for every entry of `x`, in the shape of `x`.*

<details><summary>Hint</summary>

Loop over the entries as if `x` were flat: `x.numel()` and `.reshape(x.shape)` help. Move one entry of a fresh copy each
time. What would the second estimate be if the first entry were still moved?

</details>"""


# %% nbgrader={"grade_id": "numerical-gradient-code", "solution": true}
def numerical_gradient(f, x, eps=1e-6):
    """The gradient of f at x by central differences.

    f:   a function that takes a tensor of the shape of x and returns a scalar tensor
    x:   a float64 tensor of any shape; it must not change
    eps: the step ε, to either side

    Returns a tensor of the shape of x that holds ∂f/∂x, entry by entry.
    """
    ### BEGIN SOLUTION
    gradient = torch.zeros(x.numel(), dtype=x.dtype)
    for i in range(x.numel()):
        wiggle = torch.zeros_like(gradient)
        wiggle[i] = eps
        wiggle = wiggle.reshape(x.shape)
        gradient[i] = (f(x + wiggle) - f(x - wiggle)) / (2 * eps)
    return gradient.reshape(x.shape)
    ### END SOLUTION


# %% nbgrader={"grade_id": "numerical-gradient", "grade": true, "points": 3, "locked": true}
x = torch.tensor([[1.0, -2.0, 0.5], [3.0, 0.0, -1.0]], dtype=torch.float64)
before = x.clone()
compare("∂ Σx³ / ∂x", numerical_gradient(lambda x: (x**3).sum(), x), 3 * x**2, 1e-8)
compare("∂ Πexp(x) / ∂x", numerical_gradient(lambda x: x.sum().exp(), x), torch.full_like(x, math.exp(1.5)), 1e-8)
compare("∂ Σx³ / ∂x, eps=0.1", numerical_gradient(lambda x: (x**3).sum(), x, eps=0.1), 3 * x**2 + 0.01, 1e-8)
assert torch.equal(x, before), "numerical_gradient has changed x: move a copy, or put every entry back"
# errors near 1e-10 are right; an error near 1e-6 means a difference to one side only

# %% [markdown] nbgrader={"grade_id": "step-prediction-text", "locked": true}
r"""
**Prediction** · ½ point · 1 minute

The next figure uses your checker on $f(x) = \sum_i \sin x_i$ in `float64`. The step $\varepsilon$ shrinks from
$10^{-1}$ to $10^{-12}$. What does the error do?

- **A** It falls all the way.
- **B** It falls, then stays level.
- **C** It falls, then rises again.

Set `step_prediction` to one letter. Any of the three earns the ½ point: what counts is that you commit before you
look."""

# %% nbgrader={"grade_id": "step-prediction-answer", "solution": true}
# step_prediction = "…"   # "A", "B" or "C"
### BEGIN SOLUTION
step_prediction = "C"
### END SOLUTION

# %% nbgrader={"grade_id": "step-prediction", "grade": true, "points": 0.5, "locked": true}
assert step_prediction in ("A", "B", "C"), 'step_prediction should be one letter in quotes: "A", "B" or "C"'
print("ok  your prediction is", step_prediction)

# %% nbgrader={"grade_id": "step-size-figure", "locked": true} tags=["demo"]
# The error for f(x) = Σ sin x: your checker in float64, and the same formula in float32.
points, exponents = torch.linspace(0.1, 1.3, 5, dtype=torch.float64), list(range(-12, 0))
double = [numerical_gradient(lambda x: x.sin().sum(), points, 10.0**k) for k in exponents]
single = points.float()
single = [((single + 10.0**k).sin() - (single - 10.0**k).sin()) / (2 * 10.0**k) for k in exponents]
figure, ax = plt.subplots(figsize=(4.2, 2.6))
says = []
for name, estimates, colour, marker in ("float64", double, BLUE, "o"), ("float32", single, RED, "s"):
    errors = [math.log10(relative_error(estimate, points.cos())) for estimate in estimates]
    ax.plot(exponents, errors, color=colour, marker=marker, label=name)
    lowest = exponents[errors.index(min(errors))]
    says.append(
        f"{name}: error {10 ** errors[-1]:.0e} at ε = 0.1, lowest, {10 ** min(errors):.0e}, at {10.0**lowest:.0e}"
    )
    says[-1] += f", and {10 ** errors[0]:.0e} at 1e-12."
ax.set(xlabel="log₁₀ of the step ε", ylabel="log₁₀ of the relative error", title="Error of your gradient checker")
ax.legend(fontsize=8)
show_figure(" ".join(says))

# %% [markdown] nbgrader={"grade_id": "step-reason-text", "locked": true}
r"""
*In the figure: two V-shaped curves on logarithmic axes.* With `float64` (circles) each tenfold smaller step divides the
error by a hundred, down to about $10^{-11}$ at $\varepsilon = 10^{-5}$. From there on, each multiplies it by about ten.
With `float32` (squares) the lowest error is about half a million times larger. So check gradients in `float64`; the
default $\varepsilon = 10^{-6}$ is close to the best.

**Explanation** · 1 point by hand · 4 minutes

In two or three sentences: which error falls as the step shrinks, which one rises, and what causes each? A wrong
prediction costs nothing."""

# %% [markdown] nbgrader={"grade_id": "step-reason", "grade": true, "solution": true, "points": 1}
r"""
### BEGIN SOLUTION
The error that falls is the truncation error of the formula: the terms of the Taylor series that the central difference
leaves out. It is about $\frac{\varepsilon^2}{6} |f^{(3)}|$, so it falls with the square of the step.

The error that rises comes from rounding. The computer rounds the two values of $f$, to about 16 digits in `float64`.
For a small step they agree in most of these digits. Their difference keeps the rounding error, and the division by
$2\varepsilon$ enlarges it, so it grows like $1/\varepsilon$.

**Mark scheme (1 point, ½ for each step)**

1. The error that falls is named as what the formula leaves out: the $O(\varepsilon^2)$ term or the higher derivatives
   of $f$. "$f$ is curved between the two points" is enough. "A large step is inaccurate", with no cause, gives nothing.
2. The error that rises is named as rounding of the values of $f$, with a reason why it grows: their difference loses
   digits, or is divided by $2\varepsilon$. "The step is too small for the computer", with no cause, gives
   nothing.
### END SOLUTION
"""

# %% [markdown] nbgrader={"grade_id": "layers-text", "locked": true}
r"""
## 2 · Layers that run backwards

Backpropagation (Rumelhart, Hinton & Williams 1986) asks two things of each layer:

- `forward(x)` computes the output, and remembers what `backward` needs;
- `backward(dy)` takes the gradient at the layer's output, and returns the gradient at its input.

A layer needs to know nothing about its neighbours. Here is the smallest layer."""


# %% nbgrader={"grade_id": "identity", "locked": true, "gives": ["Identity"]}
class Identity:
    """The layer that changes nothing: y = x."""

    def forward(self, x):
        return x

    def backward(self, dy):
        return dy


# %% [markdown] nbgrader={"grade_id": "linear-text", "locked": true}
r"""
The linear layer computes, for one example as a column,

$$y = Wx + b, \qquad W \in \mathbb{R}^{m \times n},\; b \in \mathbb{R}^m .$$

From the row $\frac{\partial J}{\partial y} \in \mathbb{R}^{1 \times m}$, the chain rule yields

$$\underbrace{\frac{\partial J}{\partial x}}_{1 \times n} = \frac{\partial J}{\partial y}\, W, \qquad
\underbrace{\frac{\partial J}{\partial b}}_{1 \times m} = \frac{\partial J}{\partial y}, \qquad
\underbrace{\frac{\partial J}{\partial W}}_{n \times m} = x\, \frac{\partial J}{\partial y} .$$

The last one is a column times a row: the gradient of a weight is its *input* times the *gradient at its output*. So
the layer has to remember its input.

All $B$ examples of a batch share $W$ and $b$, so their gradients are *added*. The mean over the batch is taken once, in
the loss. `backward` must **add** to `weight_grad` and `bias_grad`, not overwrite them: the gradients of two passes add
up. Each layer object keeps its own input and its own gradients.

**Exercise 2 · `Linear`** · 2 points forward, 5 points backward · ★★☆ · 30 minutes

*Write `forward` and `backward` for a batch. The initial weights are given.*

<details><summary>Hint</summary>

Write the shapes beside the names: `x (B, n)`, `dy (B, m)`, `weight (m, n)`. Which product, with what transposed, has
the shape `(B, n)`? Which has `(m, n)`? Which operation on `dy` alone removes the axis of length B?

</details>"""


# %% nbgrader={"grade_id": "linear", "solution": true}
class Linear:
    """y = W x + b for every row of a batch. The parameters' gradients accumulate over calls of backward.

    weight, weight_grad: tensors (out_features, in_features)
    bias, bias_grad:     tensors (out_features,)
    """

    def __init__(self, in_features, out_features):
        bound = 1 / math.sqrt(in_features)  # as in PyTorch: W x is about 1/√3 = 0.58 times as large as x
        self.weight = torch.empty(out_features, in_features).uniform_(-bound, bound)
        self.bias = torch.empty(out_features).uniform_(-bound, bound)
        self.weight_grad = torch.zeros_like(self.weight)
        self.bias_grad = torch.zeros_like(self.bias)

    def forward(self, x):
        """Takes x (B, in_features), returns y (B, out_features). Remembers what backward needs."""
        ### BEGIN SOLUTION
        self.x = x
        return x @ self.weight.T + self.bias  # (B, out)
        ### END SOLUTION

    def backward(self, dy):
        """Takes dy = ∂J/∂y (B, out_features), returns dx = ∂J/∂x (B, in_features).

        Adds ∂J/∂W to weight_grad and ∂J/∂b to bias_grad, for the x of the last forward.
        """
        ### BEGIN SOLUTION
        self.weight_grad += dy.T @ self.x  # (out, B) @ (B, in) = (out, in)
        self.bias_grad += dy.sum(0)  # (out,)
        return dy @ self.weight  # (B, out) @ (out, in) = (B, in)
        ### END SOLUTION


# %% nbgrader={"grade_id": "linear-forward", "grade": true, "points": 2, "locked": true}
layer = Linear(2, 3)
layer.weight = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
layer.bias = torch.tensor([0.0, 0.0, 10.0])
x = torch.tensor([[1.0, 2.0], [3.0, 4.0], [0.0, -1.0], [5.0, 5.0]])
compare("y, simple numbers", layer.forward(x), [[1.0, 2.0, 13.0], [3.0, 4.0, 17.0], [0.0, -1.0, 9.0], [5.0, 5.0, 20.0]])
compare("y of a single row", layer.forward(x[:1]), [[1.0, 2.0, 13.0]])

torch.manual_seed(1)
layer, twin, x = Linear(4, 7), nn.Linear(4, 7), torch.randn(5, 4)
layer.weight, layer.bias = twin.weight.detach(), twin.bias.detach()
compare("y, random numbers", layer.forward(x), twin(x))  # errors near 1e-7: float32 carries seven digits

# %% nbgrader={"grade_id": "linear-backward", "grade": true, "points": 5, "locked": true}
torch.manual_seed(2)
layer, twin, x, dy = Linear(4, 7), nn.Linear(4, 7), torch.randn(5, 4, requires_grad=True), torch.randn(5, 7)
layer.weight, layer.bias = twin.weight.detach(), twin.bias.detach()
for call in ("", ", 2 calls"):  # gradients of parameters accumulate, as in nn.Linear
    layer.forward(x.detach())
    dx, x.grad = layer.backward(dy), None
    twin(x).backward(dy)
    compare(f"dx{call}", dx, x.grad)
    compare(f"weight_grad{call}", layer.weight_grad, twin.weight.grad)
    compare(f"bias_grad{call}", layer.bias_grad, twin.bias.grad)

# %% [markdown] nbgrader={"grade_id": "activations-text", "locked": true}
r"""
## 3 · Activations

A stack of linear layers is still one linear layer, so a network needs a nonlinear function between them. Here are two,
applied to each entry on its own:

$$\mathrm{ReLU}(x) = \max(x, 0), \qquad \sigma(x) = \frac{1}{1 + e^{-x}}, \qquad
\sigma'(x) = \sigma(x)\,\bigl(1 - \sigma(x)\bigr).$$

Entry $i$ of the output depends on entry $i$ of the input alone, so the Jacobian is diagonal. Multiplying a row by it
is an elementwise product: `dx = dy * slope`.

At 0 the ReLU has no derivative. You may take any value from 0 to 1; PyTorch takes 0.

**Exercise 3 · `ReLU` and `Sigmoid`** · 2 + 2 points · ★☆☆ · 15 minutes

*Write both classes. `backward` uses the input of the last `forward` of the same object.*

<details><summary>Hint</summary>

What must each object remember to know the slope at its last input? For the sigmoid, look at $\sigma'$ again:
does it need $x$? Try $x = \pm 200$ in every formula that you consider: $\infty / \infty$ is not a number.

</details>"""


# %% nbgrader={"grade_id": "activations", "solution": true}
class ReLU:
    """y = max(x, 0), entry by entry."""

    def forward(self, x):
        """Takes x (B, n), returns y (B, n); x stays as it is."""
        ### BEGIN SOLUTION
        self.x = x
        return x.clamp(min=0)
        ### END SOLUTION

    def backward(self, dy):
        """Takes dy (B, n), returns dx (B, n)."""
        ### BEGIN SOLUTION
        return dy * (self.x > 0)
        ### END SOLUTION


class Sigmoid:
    """y = 1 / (1 + exp(-x)), entry by entry; finite for every finite x."""

    def forward(self, x):
        """Takes x (B, n), returns y (B, n); x stays as it is."""
        ### BEGIN SOLUTION
        self.y = 1 / (1 + torch.exp(-x))
        return self.y
        ### END SOLUTION

    def backward(self, dy):
        """Takes dy (B, n), returns dx (B, n)."""
        ### BEGIN SOLUTION
        return dy * self.y * (1 - self.y)
        ### END SOLUTION


# %% nbgrader={"grade_id": "relu", "grade": true, "points": 2, "locked": true}
x = torch.tensor([[-2.0, -0.5, 3.0], [1.0, -1.0, 0.5]])
dy = torch.tensor([[1.0, -1.0, -5.0], [2.0, 3.0, 4.0]])
relu, before = ReLU(), (x.clone(), dy.clone())
relu.forward(torch.ones(3, 4))  # an earlier batch
compare("ReLU, y", relu.forward(x), [[0.0, 0.0, 3.0], [1.0, 0.0, 0.5]])
compare("ReLU, dx", relu.backward(dy), [[0.0, 0.0, -5.0], [2.0, 0.0, 4.0]])
assert torch.equal(x, before[0]), "forward of ReLU has changed x"
assert torch.equal(dy, before[1]), "backward of ReLU has changed dy"

# %% nbgrader={"grade_id": "sigmoid", "grade": true, "points": 2, "locked": true}
sigmoid, x = Sigmoid(), torch.tensor([[-3.0, -1.0, 0.0], [2.0, 0.5, 1.0]], requires_grad=True)
dy = torch.tensor([[1.0, -2.0, 4.0], [3.0, -1.0, 2.0]])
before = x.detach().clone(), dy.clone()
sigmoid.forward(torch.zeros(3, 4))  # an earlier batch
compare("σ, y", sigmoid.forward(x.detach()), torch.sigmoid(x))
torch.sigmoid(x).backward(dy)
compare("σ, dx", sigmoid.backward(dy), x.grad)
assert torch.equal(x, before[0]) and torch.equal(dy, before[1]), "forward or backward of Sigmoid has changed x or dy"
compare("σ, far out", sigmoid.forward(torch.tensor([[-200.0, 200.0]])), [[0.0, 1.0]])
compare("σ, 1 + dx far out", 1 + sigmoid.backward(torch.ones(1, 2)), [[1.0, 1.0]], 1e-6)

# %% nbgrader={"grade_id": "activations-figure", "locked": true} tags=["demo"]
x = torch.linspace(-4, 4, 161).reshape(1, -1)
figure, ax = plt.subplots(figsize=(4.2, 2.6))
says = "At x = −4, 0 and 4."
for function, colour, marker in (ReLU(), BLUE, "o"), (Sigmoid(), RED, "s"):
    name, look = type(function).__name__, {"color": colour, "marker": marker, "markevery": 20}
    y, slope = function.forward(x)[0], function.backward(torch.ones_like(x))[0]
    ax.plot(x[0], y, label=name, **look)
    ax.plot(x[0], slope, linestyle="--", label=f"{name}, slope", **look)
    says += " {}: {:.2f}, {:.2f} and {:.2f}; its slope: {:.2f}, {:.2f} and {:.2f}.".format(name, *y[::80], *slope[::80])
ax.set(xlabel="x", ylim=(-0.1, 2.2), title="Your activations and their slopes")
ax.legend(fontsize=8, loc="upper left", handlelength=4)
show_figure(says)

# %% [markdown] nbgrader={"grade_id": "mse-text", "locked": true}
r"""
*In the figure: two functions as solid lines, their slopes dashed; circles for ReLU, squares for the sigmoid.* The
slope of the ReLU is 0 or 1. The slope of the sigmoid is at most ¼ and approaches 0 on both sides. So every sigmoid
shrinks each gradient entry at least fourfold.

## 4 · Squared error

A loss takes the labels $y$ and the predictions $\hat y$, both of shape $(B, K)$. It returns a number $J$ and the first
gradient of the backward pass, $\partial J / \partial \hat y$. The **mean squared error** averages over *all*
$B \cdot K$ entries:

$$J = \frac{1}{BK} \sum_{i=1}^{B} \sum_{k=1}^{K} \bigl(\hat y_{ik} - y_{ik}\bigr)^2 .$$

**Exercise 4 · `mse_loss`** · 3 points · ★☆☆ · 10 minutes

*Write `mse_loss(y, y_hat)`, label first. It returns the tuple `(J, dJdy_hat)`; `J` may be a scalar tensor or a float.*

<details><summary>Hint</summary>

Differentiate one entry of the sum, with the factor in front, with respect to $\hat y_{ik}$. Then check the sign: if
$\hat y$ is too large and grows further, does the loss rise or fall?

</details>"""


# %% nbgrader={"grade_id": "mse", "solution": true}
def mse_loss(y, y_hat):
    """The squared error, averaged over all B·K entries.

    y:     labels (B, K)
    y_hat: predictions (B, K)

    Returns a tuple of
    J:       the loss, a scalar
    dJdy_hat: its gradient with respect to the predictions, (B, K)
    """
    ### BEGIN SOLUTION
    difference = y_hat - y
    J = (difference**2).mean()
    return J, 2 * difference / difference.numel()
    ### END SOLUTION


# %% nbgrader={"grade_id": "mse-loss", "grade": true, "points": 3, "locked": true}
y, y_hat = torch.tensor([[1.0, 2.0], [0.0, 4.0], [3.0, -1.0]]), torch.tensor([[2.0, 5.0], [0.0, 2.0], [3.0, 1.0]])
J, dJdy_hat = mse_loss(y, y_hat)
compare("MSE, simple numbers", J, 3.0)  # (1 + 9 + 0 + 4 + 0 + 4) / 6
compare("dJ, simple numbers", 3 * dJdy_hat, [[1.0, 3.0], [0.0, -2.0], [0.0, 2.0]])

torch.manual_seed(3)
y, y_hat = torch.randn(6, 4), torch.randn(6, 4, requires_grad=True)
right = nn.functional.mse_loss(y_hat, y)
right.backward()
J, dJdy_hat = mse_loss(y, y_hat.detach())
compare("MSE", J, right)
compare("MSE, dJdy_hat", dJdy_hat, y_hat.grad)

# %% [markdown] nbgrader={"grade_id": "bce-text", "locked": true}
r"""
## 5 · Cross-entropy

If the labels are 0 or 1 and $\hat y$ is a probability, the **binary cross-entropy** measures how surprising the labels
are, averaged over all entries:

$$J = \frac{1}{BK} \sum_{i,k} -\bigl[\, y_{ik} \log \hat y_{ik} + (1 - y_{ik}) \log(1 - \hat y_{ik}) \,\bigr].$$

Its derivative with respect to $\hat y$, as one fraction, has the denominator $\hat y\,(1 - \hat y)$.

In `float32`, $\sigma(17)$ is *exactly* 1. Then $\log 0 = -\infty$, and zero times infinity is not a number (NaN). A
single NaN in the gradients turns every weight into NaN within two steps. So do as PyTorch does: a logarithm below
$-100$ counts as $-100$, and a denominator $\hat y\,(1 - \hat y)$ below $10^{-12}$ counts as $10^{-12}$ (or add
$10^{-12}$ to each denominator). Cut off nothing else.

**Exercise 5 · `bce_loss`** · 4 points · ★★☆ · 20 minutes

*Write `bce_loss(y, y_hat)` with these two limits, label first. It returns `(J, dJdy_hat)`, like `mse_loss`.*

<details><summary>Hint</summary>

`tensor.clamp(min=…)` raises everything below a limit. Apply it to the logarithms: clamping $\hat y$ gives another loss.
What should the numerator of the gradient be if the prediction equals the label?

</details>"""


# %% nbgrader={"grade_id": "bce", "solution": true}
def bce_loss(y, y_hat):
    """The binary cross-entropy, averaged over all B·K entries; finite even for y_hat = 0 and y_hat = 1.

    y:     labels (B, K), 0 or 1
    y_hat: predictions (B, K), from 0 to 1, both included

    Returns a tuple of
    J:       the loss, a scalar; a logarithm below -100 counts as -100
    dJdy_hat: its gradient with respect to the predictions, (B, K); a denominator below 1e-12 counts as 1e-12,
              or 1e-12 is added to each denominator
    """
    ### BEGIN SOLUTION
    log_p = torch.log(y_hat).clamp(min=-100)
    log_q = torch.log(1 - y_hat).clamp(min=-100)
    J = -(y * log_p + (1 - y) * log_q).mean()
    slope = (y_hat - y) / (y_hat * (1 - y_hat)).clamp(min=1e-12)
    return J, slope / y.numel()
    ### END SOLUTION


# %% nbgrader={"grade_id": "bce-loss", "grade": true, "points": 4, "locked": true}
torch.manual_seed(4)
y, y_hat = torch.randint(0, 2, (6, 4)).float(), torch.rand(6, 4).requires_grad_()
right = nn.functional.binary_cross_entropy(y_hat, y)
right.backward()
J, dJdy_hat = bce_loss(y, y_hat.detach())
compare("BCE", J, right)
compare("BCE, dJdy_hat", dJdy_hat, y_hat.grad)

J, dJdy_hat = bce_loss(torch.tensor([[0.0, 1.0], [0.0, 1.0]]), torch.tensor([[0.0, 1.0], [1.0, 0.0]]))
compare("BCE, certain", J, 50.0)  # two entries certain and right (0), two certain and wrong (100)
assert torch.isfinite(dJdy_hat).all(), "dJdy_hat should be finite where y_hat is 0 or 1"
compare("dJ, certain", dJdy_hat, [[0.0, 0.0], [0.25e12, -0.25e12]])  # ±1 / 1e-12, and 4 entries

# %% nbgrader={"grade_id": "losses-figure", "locked": true} tags=["demo"]
# Both losses on the output of a sigmoid, for the label 1: which gradient reaches the logit, the sigmoid's input?
logits, sigmoid = torch.linspace(-8, 8, 161).reshape(-1, 1), Sigmoid()
y_hat = sigmoid.forward(logits)  # (161, 1)
figure, ax = plt.subplots(figsize=(4.2, 2.6))
says = "∂J / ∂logit at the logits −8, 0 and 8."
for loss, colour, marker in (mse_loss, BLUE, "o"), (bce_loss, RED, "s"):
    push = sigmoid.backward(len(logits) * loss(torch.ones_like(y_hat), y_hat)[1])  # times B: undoes the mean
    ax.plot(logits[:, 0], push[:, 0], color=colour, marker=marker, markevery=20, label=loss.__name__)
    says += " {}: {:.2g}, {:.2g} and {:.2g}.".format(loss.__name__, *push[::80, 0])
ax.set(xlabel="logit (the label is 1)", ylabel="∂J / ∂logit", title="The gradient at the logit")
ax.legend(fontsize=8)
show_figure(says)

# %% [markdown] nbgrader={"grade_id": "mlp-text", "locked": true}
r"""
*In the figure: the gradient at the logit; circles for squared error, squares for cross-entropy.* At −8, certain and
wrong, the squared error's gradient is −0.0007, and the cross-entropy's is −1. Both contain the sigmoid's slope, which
is almost 0 there. The denominator of the cross-entropy cancels it: what is left is $\hat y - y$.

## 6 · The network

$$x \;\to\; \boxed{\text{Linear}_1} \;\to\; z_1 \;\to\; \boxed{\;f\;} \;\to\; z_2
\;\to\; \boxed{\text{Linear}_2} \;\to\; z_3 \;\to\; \boxed{\;g\;} \;\to\; \hat y$$

Forward, follow the arrows. Backward, give $\partial J/\partial \hat y$ to $g$, its result to $\text{Linear}_2$, and so
on.

**Exercise 6 · `MLP`** · 2 points construction, 2 forward, 4 backward, 2 memory · ★★★ · 40 minutes

*Build the network from your layers. Requirements:*

- `parameters` maps `W1`, `b1`, `W2`, `b2` to the very tensors that `forward` uses: changing one in place changes the
  network. Their initial values are those of your `Linear`.
- `grads` maps `dJdW1`, `dJdb1`, `dJdW2`, `dJdb2` to the gradients, each in the shape of its parameter. They are zero at
  first, and **accumulate** until they are cleared.
- `cache` is a dictionary, empty at first. After `forward` it holds tensors of that pass ($x$, $z_1$, $z_2$, $z_3$,
  $\hat y$): at least one, under keys of your choice.
- `backward` does not divide by the batch size.
- `clear_grad_and_cache` sets every gradient to zero, empties the cache, and leaves the parameters alone.
- Two networks must share nothing.

<details><summary>Hint</summary>

A dictionary from names to *classes* helps with `f_function` and `g_function`. What goes wrong if $f$ and $g$ are one
object? A dictionary entry and a layer's attribute can be two names of one tensor: `a += b` changes it for both,
`a = a + b` does not. If in doubt, refresh `grads` at the end of `backward`.

</details>"""


# %% nbgrader={"grade_id": "mlp", "solution": true}
class MLP:
    """Two linear layers with a function after each: ŷ = g(W2 f(W1 x + b1) + b2)."""

    def __init__(
        self,
        linear_1_in_features,
        linear_1_out_features,
        f_function,
        linear_2_in_features,
        linear_2_out_features,
        g_function,
    ):
        """The functions are 'relu', 'sigmoid' or 'identity'; any other name raises a ValueError.

        Sets parameters, grads and cache, as described above.
        """
        ### BEGIN SOLUTION
        functions = {"relu": ReLU, "sigmoid": Sigmoid, "identity": Identity}
        for name in (f_function, g_function):
            if name not in functions:
                raise ValueError(f"unknown function {name!r}: choose one of {', '.join(functions)}")
        self.linear_1 = Linear(linear_1_in_features, linear_1_out_features)
        self.f = functions[f_function]()
        self.linear_2 = Linear(linear_2_in_features, linear_2_out_features)
        self.g = functions[g_function]()
        self.parameters = {
            "W1": self.linear_1.weight,
            "b1": self.linear_1.bias,
            "W2": self.linear_2.weight,
            "b2": self.linear_2.bias,
        }
        self.grads = {}
        self.clear_grad_and_cache()
        ### END SOLUTION

    def forward(self, x):
        """Takes x (B, linear_1_in_features), returns ŷ (B, linear_2_out_features)."""
        ### BEGIN SOLUTION
        self.linear_1.weight, self.linear_1.bias = self.parameters["W1"], self.parameters["b1"]
        self.linear_2.weight, self.linear_2.bias = self.parameters["W2"], self.parameters["b2"]
        z1 = self.linear_1.forward(x)  # (B, hidden)
        z2 = self.f.forward(z1)
        z3 = self.linear_2.forward(z2)  # (B, out)
        y_hat = self.g.forward(z3)
        self.cache = {"x": x, "z1": z1, "z2": z2, "z3": z3, "y_hat": y_hat}
        return y_hat
        ### END SOLUTION

    def backward(self, dJdy_hat):
        """Takes ∂J/∂ŷ (B, linear_2_out_features) and adds the gradients of the four parameters to grads."""
        ### BEGIN SOLUTION
        dz3 = self.g.backward(dJdy_hat)  # (B, out)
        dz2 = self.linear_2.backward(dz3)  # (B, hidden)
        dz1 = self.f.backward(dz2)
        self.linear_1.backward(dz1)
        self.grads["dJdW1"], self.grads["dJdb1"] = self.linear_1.weight_grad, self.linear_1.bias_grad
        self.grads["dJdW2"], self.grads["dJdb2"] = self.linear_2.weight_grad, self.linear_2.bias_grad
        ### END SOLUTION

    def clear_grad_and_cache(self):
        """Sets every gradient to zero and empties the cache."""
        ### BEGIN SOLUTION
        for number, layer in (1, self.linear_1), (2, self.linear_2):
            layer.weight_grad = torch.zeros_like(layer.weight)
            layer.bias_grad = torch.zeros_like(layer.bias)
            self.grads[f"dJdW{number}"], self.grads[f"dJdb{number}"] = layer.weight_grad, layer.bias_grad
        self.cache = {}
        ### END SOLUTION


# %% nbgrader={"grade_id": "mlp-build", "grade": true, "points": 2, "locked": true}
mlp = MLP(2, 20, "relu", 20, 5, "identity")
shapes = {"W1": (20, 2), "b1": (20,), "W2": (5, 20), "b2": (5,)}
for name, shape in shapes.items():
    assert tuple(mlp.parameters[name].shape) == shape, f"the shape of parameters[{name!r}] should be {shape}"
    assert tuple(mlp.grads[f"dJd{name}"].shape) == shape, f"the shape of grads['dJd{name}'] should be {shape}"
    assert not mlp.grads[f"dJd{name}"].any(), f"grads['dJd{name}'] should be zero before the first backward"
assert mlp.cache == {}, "the cache should be empty before the first forward"
assert len(mlp.parameters["W1"].unique(dim=0)) == 20, "the rows of W1 should differ: units that start equal stay equal"
try:
    MLP(2, 20, "relu", 20, 5, "swoosh")
except ValueError as error:
    print("ok  an unknown function raises a ValueError:", error)
else:
    raise AssertionError("MLP(…, 'swoosh') should raise a ValueError")

# %% nbgrader={"grade_id": "mlp-tools", "locked": true, "gives": ["MODULES", "NETWORKS", "pair"]}
MODULES = {"relu": nn.ReLU, "sigmoid": nn.Sigmoid, "identity": nn.Identity}


def pair(n, hidden, f, out, g):
    """Your MLP, and an nn.Sequential with the same parameters."""
    mlp = MLP(n, hidden, f, hidden, out, g)
    twin = nn.Sequential(nn.Linear(n, hidden), MODULES[f](), nn.Linear(hidden, out), MODULES[g]())
    for theirs, yours in zip(twin.parameters(), ("W1", "b1", "W2", "b2"), strict=True):
        theirs.data.copy_(mlp.parameters[yours])
    return mlp, twin


NETWORKS = [(2, 20, "relu", 5, "identity"), (2, 20, "sigmoid", 5, "sigmoid"), (2, 20, "relu", 22, "relu")]


# %% nbgrader={"grade_id": "mlp-forward", "grade": true, "points": 2, "locked": true}
torch.manual_seed(5)
x = torch.randn(10, 2)
for network in NETWORKS:
    mlp, twin = pair(*network)
    compare(f"ŷ, {network[2]}/{network[4]}", mlp.forward(x), twin(x))
mlp.parameters["W1"] += 1  # as an optimiser does
assert not torch.allclose(mlp.forward(x), twin(x)), (
    "parameters['W1'] has changed in place, and forward returns the same as before"
)

# %% nbgrader={"grade_id": "mlp-backward", "grade": true, "points": 4, "locked": true}
torch.manual_seed(6)
losses = {"mse": (mse_loss, nn.functional.mse_loss), "bce": (bce_loss, nn.functional.binary_cross_entropy)}
for network, loss in zip(NETWORKS, ("mse", "bce", "mse"), strict=True):
    mlp, twin = pair(*network)
    x, y = torch.randn(10, 2), torch.rand(10, network[3]).round()
    your_loss, their_loss = losses[loss]
    J, dJdy_hat = your_loss(y, mlp.forward(x))
    mlp.backward(dJdy_hat)
    their_loss(twin(x), y).backward()
    print(f"2 → 20 → {network[3]}, {network[2]}/{network[4]}, {loss}")
    for name, right in zip(("dJdW1", "dJdb1", "dJdW2", "dJdb2"), twin.parameters(), strict=True):
        compare(name, mlp.grads[name], right.grad)  # errors from 1e-8 to 1e-6 are right

# %% nbgrader={"grade_id": "mlp-memory", "grade": true, "points": 2, "locked": true}
torch.manual_seed(7)
mlp, x, dJdy_hat = MLP(3, 8, "relu", 8, 2, "sigmoid"), torch.randn(4, 3), torch.randn(4, 2)
mlp.forward(x)
assert mlp.cache, "the cache should not be empty after forward"
mlp.backward(dJdy_hat)
once = {name: grad.clone() for name, grad in mlp.grads.items()}
mlp.forward(x)
mlp.backward(dJdy_hat)
for name, grad in mlp.grads.items():
    compare(f"{name}, twice", grad, 2 * once[name])

mlp.clear_grad_and_cache()
assert mlp.cache == {}, "the cache should be empty after clear_grad_and_cache"
assert not any(grad.any() for grad in mlp.grads.values()), "every gradient should be zero after clear_grad_and_cache"
mlp.forward(x)
mlp.backward(dJdy_hat)
for name, grad in mlp.grads.items():
    compare(f"{name}, after clearing", grad, once[name])


# %% nbgrader={"grade_id": "network-figure", "locked": true}
# Your gradient checker, which knows nothing of the chain rule, against your whole network, in float64.
def loss_with(name, value):
    mlp.parameters[name].copy_(value)
    return torch.as_tensor(bce_loss(y, mlp.forward(x))[0])


torch.manual_seed(8)
torch.set_default_dtype(torch.float64)
try:
    mlp, x, y = MLP(3, 4, "sigmoid", 4, 2, "sigmoid"), torch.randn(5, 3), torch.rand(5, 2).round()
    mlp.backward(bce_loss(y, mlp.forward(x))[1])
    errors = {}
    for name in ("W1", "b1", "W2", "b2"):
        start = mlp.parameters[name].clone()
        numerical = numerical_gradient(lambda value, name=name: loss_with(name, value), start)
        mlp.parameters[name].copy_(start)
        errors[name] = math.log10(relative_error(mlp.grads[f"dJd{name}"], numerical) + 1e-16)
finally:
    torch.set_default_dtype(torch.float32)
figure, ax = plt.subplots(figsize=(4.2, 2))
ax.plot(list(errors.values()), list(errors), "o", color=BLUE)
ax.axvline(-6, color=RED, linestyle="--")
ax.text(-5.7, 1.3, "look for a slip\nbeyond this line", color=RED)
ax.set(xlim=(-13, 0), xlabel="log₁₀ of the relative difference", title="Backpropagation and central differences")
ax.margins(y=0.25)
differences = ", ".join(f"{name} {10**error:.0e}" for name, error in errors.items())
show_figure(f"Relative difference of backpropagation and central differences: {differences}. A line marks 1e-6.")

# %% [markdown] nbgrader={"grade_id": "train-step-text", "locked": true}
r"""
*In the figure: for each parameter, the relative difference between backpropagation and your gradient checker; a dashed
line at $10^{-6}$.* All four are below $10^{-8}$.

## 7 · Gradient descent

The gradient points uphill, so take a small step against it (Cauchy 1847), with the learning rate $\eta$:

$$\theta \;\leftarrow\; \theta - \eta\, \frac{\partial J}{\partial \theta} \qquad
\text{for each } \theta \in \{W_1, b_1, W_2, b_2\}.$$

**Exercise 7 · `train_step`** · 2½ points · ★★☆ · 15 minutes

*Write one step of gradient descent. Of the network, use only `forward`, `backward`, `clear_grad_and_cache`,
`parameters` and `grads`.* Change the parameters in place. Gradients from before the call must not count.

<details><summary>Hint</summary>

Which gradients can be left from an earlier step, and when must they be cleared? Do you still need what you are about to
clear? Does your update change the tensor that the network computes with?

</details>"""


# %% nbgrader={"grade_id": "train-step-code", "solution": true}
def train_step(mlp, loss_function, x, y, learning_rate):
    """One step of gradient descent on the batch x (B, n) with labels y (B, K).

    mlp:           an MLP; its parameters are updated in place
    loss_function: takes (y, y_hat) and returns (J, dJdy_hat), as mse_loss and bce_loss do
    learning_rate: η

    Returns J of this batch, as it was before the update.
    """
    ### BEGIN SOLUTION
    mlp.clear_grad_and_cache()
    y_hat = mlp.forward(x)  # (B, K)
    J, dJdy_hat = loss_function(y, y_hat)
    mlp.backward(dJdy_hat)
    for name in mlp.parameters:
        mlp.parameters[name] -= learning_rate * mlp.grads[f"dJd{name}"]
    return J
    ### END SOLUTION


# %% nbgrader={"grade_id": "train-step", "grade": true, "points": 2.5, "locked": true}
torch.manual_seed(9)
mlp, twin = pair(3, 16, "sigmoid", 2, "identity")
x, y = torch.randn(8, 3), torch.randn(8, 2)
W1 = mlp.parameters["W1"]
mlp.forward(x)
mlp.backward(torch.ones(8, 2))  # leaves gradients in grads
for step in range(1, 4):
    twin.zero_grad()
    right = nn.functional.mse_loss(twin(x), y)
    right.backward()
    for parameter in twin.parameters():
        parameter.data -= 0.3 * parameter.grad
    compare(f"J of step {step}", train_step(mlp, mse_loss, x, y, 0.3), right)
for name, right in zip(("W1", "b1", "W2", "b2"), twin.parameters(), strict=True):
    compare(f"{name} afterwards", mlp.parameters[name], right)
assert mlp.parameters["W1"] is W1, "parameters['W1'] is a new tensor: change the old one in place"

# %% [markdown] nbgrader={"grade_id": "spiral-text", "locked": true}
r"""
## Three spiral arms

Your network sees the two coordinates of a point and has to name its arm. It has 64 hidden units with ReLU, a sigmoid
output for each arm, and your cross-entropy as its loss. Nothing here is graded."""


# %% nbgrader={"grade_id": "spiral-data", "locked": true, "gives": ["spiral"]}
def spiral(per_arm=150, arms=3, turns=0.75, noise=0.1, seed=0):
    """Points x (N, 2) on spiral arms, and the number of each point's arm, (N,)."""
    generator = torch.Generator().manual_seed(seed)
    radius = torch.linspace(0.05, 1, per_arm).repeat(arms)
    arm = torch.arange(arms).repeat_interleave(per_arm)
    angle = 2 * math.pi * (arm / arms + turns * radius) + noise * torch.randn(arms * per_arm, generator=generator)
    return torch.stack([radius * angle.cos(), radius * angle.sin()], dim=1), arm


# %% nbgrader={"grade_id": "spiral-train", "locked": true, "gives": ["spiral_history", "spiral_mlp"]} tags=["demo"]
x, arm = spiral()
y = torch.eye(3)[arm]  # (450, 3), one-hot
torch.manual_seed(10)
spiral_mlp = MLP(2, 64, "relu", 64, 3, "sigmoid")
spiral_history = []
for step in range(1, 2001):
    spiral_history.append(float(train_step(spiral_mlp, bce_loss, x, y, learning_rate=5.0)))
    if step in (1, 10, 100, 500, 1000, 2000):
        print(f"step {step:4}   loss {spiral_history[-1]:.4f}")
accuracy = (spiral_mlp.forward(x).argmax(dim=1) == arm).float().mean().item()
print(f"accuracy {accuracy:.1%}")
assert accuracy > 0.97, f"the accuracy is {accuracy:.1%}, and should be above 97 %: does a check cell above fail?"

# %% nbgrader={"grade_id": "spiral-figure", "locked": true} tags=["demo"]
x, arm = spiral()
accuracy = (spiral_mlp.forward(x).argmax(dim=1) == arm).float().mean().item()
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.8))
left.semilogy(spiral_history, color=BLUE)
left.set(xlabel="step", ylabel="loss J", title="Learning curve")
side = torch.linspace(-1.2, 1.2, 240)
columns, rows = torch.meshgrid(side, side, indexing="xy")
plane = torch.stack([columns.flatten(), rows.flatten()], dim=1)  # (57600, 2)
region = spiral_mlp.forward(plane).argmax(dim=1).reshape(columns.shape)
right.contourf(columns, rows, region, levels=[-0.5, 0.5, 1.5, 2.5], colors=[BLUE, ORANGE, GREEN], alpha=0.25)
right.contour(columns, rows, region, levels=[0.5, 1.5], colors="black", linewidths=0.7)
for k, colour, marker in (0, BLUE, "o"), (1, ORANGE, "^"), (2, GREEN, "s"):
    look = {"color": colour, "marker": marker, "edgecolors": "black", "linewidths": 0.3, "s": 12}
    right.scatter(*x[arm == k].T, label=f"arm {k}", **look)
right.set(xlabel="x₁", ylabel="x₂", title=f"Predicted arm ({accuracy:.0%} right)", aspect="equal")
right.legend(fontsize=8, loc="upper right")
show_figure(
    f"Left: the loss goes from {spiral_history[0]:.2f} to {spiral_history[-1]:.4f} in {len(spiral_history)} steps. "
    f"Right: {accuracy:.1%} of the {len(x)} points lie in the region of their own spiral arm."
)

# %% [markdown] nbgrader={"grade_id": "value-text", "locked": true}
r"""
*In the figure, left: the loss falls from 0.7 to 0.004 in 2000 steps, though it rises in a few dozen of them. Right:
three arms (circles, triangles, squares) on three tinted regions that wind along with them.* The borders consist of
straight pieces. Each hidden unit folds the plane along one line, and about 60 of the 64 lines cross this picture.
Without the ReLU, the same training gets 47 % of the points right.

## 8 · Optional: automatic differentiation

A program can find the order of the backward calls by itself: it records every operation on a *tape* (Wengert 1964),
then applies the chain rule from the end of the tape to its start (Linnainmaa 1976).

**Exercise 8 · `Value`** · optional, no points; the tests tell you whether it is right · ★★★ · 40 minutes

*Write the missing methods of `Value`, a number that remembers how it was computed.*

- `a + b` and `a * b`, where `b` is a `Value` or a number; `a**n` for a number $n$; `a.exp()`, `a.log()`, `a.relu()`.
  Each returns a new `Value`. Its `parents` are the Values that it was computed from; a plain number may appear there as
  a Value. Its `op` is any nonempty text.
- `result.backward()` adds $\partial\,\text{result} / \partial v$ to `v.grad`, for `result` and for every `v` that it
  was computed from. It changes no `data`. The tests call it once per result; two results share only inputs.

Differences, quotients and numbers on the left are given. Use `math`, not tensors.

<details><summary>Hint</summary>

If `a` is used twice, its gradient arrives along two paths. When may `a` pass it on to its own parents? List the Values
so that parents come before children, and go through the list backwards.

</details>"""


# %% nbgrader={"grade_id": "value-code", "solution": true}
class Value:
    """A number that remembers how it was computed.

    data:    the number
    grad:    ∂result/∂self, summed over the results whose backward() was called; 0 at first
    parents: the Values that it was computed from; () for an input
    op:      the operation, as a short text; "" for an input
    slopes:  ∂self/∂parent for each parent, if you want to keep them here
    """

    def __init__(self, data, parents=(), op="", slopes=()):
        self.data, self.grad = data, 0.0
        self.parents, self.op, self.slopes = parents, op, slopes

    def __add__(self, other):
        """self + other, where other is a Value or a number."""
        ### BEGIN SOLUTION
        other = other if isinstance(other, Value) else Value(other)
        return Value(self.data + other.data, (self, other), "+", (1.0, 1.0))
        ### END SOLUTION

    def __mul__(self, other):
        """self * other, where other is a Value or a number."""
        ### BEGIN SOLUTION
        other = other if isinstance(other, Value) else Value(other)
        return Value(self.data * other.data, (self, other), "×", (other.data, self.data))
        ### END SOLUTION

    def __pow__(self, n):
        """self**n, where n is a number."""
        ### BEGIN SOLUTION
        return Value(self.data**n, (self,), f"^{n}", (n * self.data ** (n - 1),))
        ### END SOLUTION

    def exp(self):
        ### BEGIN SOLUTION
        y = math.exp(self.data)
        return Value(y, (self,), "exp", (y,))
        ### END SOLUTION

    def log(self):
        ### BEGIN SOLUTION
        return Value(math.log(self.data), (self,), "log", (1 / self.data,))
        ### END SOLUTION

    def relu(self):
        ### BEGIN SOLUTION
        return Value(max(self.data, 0.0), (self,), "relu", (float(self.data > 0),))
        ### END SOLUTION

    def backward(self):
        """Adds ∂self/∂v to v.grad for every Value v that self was computed from, and for self."""
        ### BEGIN SOLUTION
        order, seen = [], set()

        def visit(value):
            if value not in seen:
                seen.add(value)
                for parent in value.parents:
                    visit(parent)
                order.append(value)

        visit(self)
        upstream = dict.fromkeys(order, 0.0)
        upstream[self] = 1.0
        for value in reversed(order):
            value.grad += upstream[value]
            for parent, slope in zip(value.parents, value.slopes, strict=True):
                upstream[parent] += slope * upstream[value]
        ### END SOLUTION

    def __neg__(self):
        return self * -1

    def __sub__(self, other):
        return self + -other

    def __rsub__(self, other):
        return -self + other

    def __truediv__(self, other):
        return self * other**-1

    def __rtruediv__(self, other):
        return self**-1 * other

    __radd__, __rmul__ = __add__, __mul__


# %% nbgrader={"grade_id": "value", "grade": true, "points": 0, "locked": true}
def expression(a, b, c):
    d = a * b + c  # d is used three times
    return (d - 2) / c + (3 * a).exp() - 1 / d + a.log() * b.relu() + (d**3).relu()


numbers = 0.5, 2.0, -1.5
values = [Value(number) for number in numbers]
twins = [torch.tensor(number, dtype=torch.float64, requires_grad=True) for number in numbers]
result, right = expression(*values), expression(*twins)
result.backward()
right.backward()
compare("data of the result", result.data, right)
for name, value, twin in zip("abc", values, twins, strict=True):
    compare(f"grad of {name}", value.grad, twin.grad)
compare("grad of the result", result.grad, 1.0)
assert any(parent is values[0] for parent in (values[0] * values[1]).parents), "a should be among the parents of a * b"

# %% nbgrader={"grade_id": "tape-figure", "locked": true} tags=["demo"]
# The tape of a squared error with weight decay, (w x - 4)² + ½ w², as your Values recorded it.
w, x = Value(2.0), Value(3.0)
loss = (w * x - 4) ** 2 + 0.5 * w**2
loss.backward()
column, names = {}, {w: "w", x: "x", loss: "loss: "}


def place(value, steps):
    """The column of a node is its longest way to the loss."""
    column[value] = max(steps, column.get(value, 0))
    for parent in value.parents:
        place(parent, steps + 1)


place(loss, 0)
figure, ax = plt.subplots(figsize=(9, 4))
called, says = {value: names.get(value, "") + value.op or "number" for value in column}, []
rows = [[value for value in column if column[value] == steps] for steps in range(max(column.values()) + 1)]
at = {v: (-steps, 1.5 * ((len(row) - 1) / 2 - k)) for steps, row in enumerate(rows) for k, v in enumerate(row)}
for value, (left, height) in at.items():
    text = f"{called[value]}\ndata {value.data:g}\ngrad {value.grad:g}"
    sources = " of " * bool(value.parents) + " and ".join(called[parent] for parent in value.parents)
    says.insert(0, f"{called[value]}{sources} = {value.data:g}, gradient {value.grad:g}")
    box = {"boxstyle": "round", "facecolor": "white", "edgecolor": BLUE}
    ax.text(left, height, text, ha="center", va="center", fontsize=8, bbox=box)
    for parent in value.parents:
        look = {"arrowstyle": "->", "color": "gray", "shrinkA": 24, "shrinkB": 24}
        ax.annotate("", (left, height), at[parent], arrowprops=look)
ax.set(xlim=(-len(rows) + 0.4, 0.6), ylim=(-2.1, 2.1), title="The tape of (w x − 4)² + ½ w²")
ax.axis("off")
show_figure(f"The tape, from the inputs to the loss: {'; '.join(says)}.")

# %% [markdown] nbgrader={"grade_id": "closing", "locked": true}
r"""
*In the figure: the tape, from the inputs (left) to the loss (right); operation, data and gradient at each node.* Two
arrows leave `w`. Its gradient, 14, is a sum over two paths: 12 through the product, 2 through the square.

**What to remember**

- Backpropagation is the chain rule with a memory: forward keeps what backward needs.
- A new layer is a new `forward` and a new `backward`.

**If you are curious** (no points): replace `relu` by `sigmoid`, or swap in `mse_loss`, and compare the learning curves.
Or print what the first layer's `backward` returns: the gradient with respect to the *input*. In the next notebook you
climb along that gradient.

**Sources**

- Rumelhart, Hinton & Williams 1986, *Learning representations by back-propagating errors*.
- ReLU: Nair & Hinton 2010, *Rectified linear units improve restricted Boltzmann machines*.
- Cross-entropy: Solla, Levin & Fleisher 1988, *Accelerated learning in layered neural
  networks*.
- Cauchy 1847, *Méthode générale pour la résolution des systèmes d'équations simultanées*.
- Wengert 1964, *A simple automatic derivative evaluation program*; Linnainmaa 1976, *Taylor expansion of the
  accumulated rounding error*; Baydin et al. 2018, *Automatic differentiation in machine learning: a survey*. `Value`
  follows Karpathy's micrograd (2020)."""
