# %% [markdown] nbgrader={"grade": false, "grade_id": "header", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
# A multilayer perceptron by hand

Every deep learning library owes its magic to one short algorithm. It runs a network backwards, layer by layer, and
hands each weight an answer to the question *"if I grow a little, does the loss rise or fall?"* That algorithm is
backpropagation, and today you write it yourself.

**What you will build.** Seven small pieces that click together: a ruler that measures gradients, three kinds of
layers, two losses, and a network made of them. At the end your network, in which you know every multiplication,
untangles three spiral arms that no straight line can separate.

| exercise | you write | points | difficulty | minutes |
| --- | --- | --- | --- | --- |
| 1 | `numerical_gradient` | 3 | ★☆☆ | 15 |
| 2 | `Linear` | 2 + 5 | ★★☆ | 30 |
| 3 | `ReLU`, `Sigmoid` | 3 + 3 | ★☆☆ | 20 |
| 4 | `mse_loss` | 3 | ★☆☆ | 10 |
| 5 | `bce_loss` | 4 | ★★☆ | 20 |
| 6 | `MLP` | 2 + 2 + 4 + 2 | ★★★ | 40 |
| 7 | `train_step` | 2 | ★★☆ | 15 |
| | **in all** | **35** | | **150** |

**You need** matrix multiplication, the chain rule, and Python classes. Everything runs on a CPU within seconds.

**How to work.** Replace each `raise NotImplementedError` by your code. The cell below it checks your work on an
example; when it fails, its message says in which way you are off. The grader asks the same kind of questions with
other sizes and other numbers, so write for every size.
"""

# %% [markdown] nbgrader={"grade": false, "grade_id": "colab", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
[![Open this notebook in Google Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/your-organisation/deep-learning/blob/main/release/hw1/mlp.ipynb)
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

# The cells below use these names themselves: BLUE, compare, GREEN, ORANGE, RED, relative_error, Identity,
# MODULES, NETWORKS, pair, spiral, spiral_history, spiral_mlp. Give your own helpers other names.

# %% nbgrader={"grade": false, "grade_id": "helpers", "locked": true, "schema_version": 3, "solution": false, "task": false}
import math

import matplotlib.pyplot as plt
import torch
from torch import nn

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


# %% [markdown] nbgrader={"grade": false, "grade_id": "rules", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
## Rules and notation

**By hand means by hand.** In the cells that you write, please leave automatic differentiation alone: no `.backward()`
of a tensor, no `torch.autograd` or `torch.func`, nothing from `torch.nn`. Plain tensor functions such as `@`,
`.sum()`, `torch.exp` or `torch.where` are all welcome. The grader shuts the forbidden doors while it tests your code;
a cell that knocks on one earns nothing, and your report tells you so. The locked check cells do use autograd: it is
the answer sheet.

**Leave alone what you are given.** No function and no layer changes the tensors that it receives. Only the gradients
that a layer collects, and in `train_step` the parameters, may change in place.

**Columns on paper, rows in code.** On paper an example is a column $x \in \mathbb{R}^n$, and derivatives are in
numerator layout: for a scalar loss $J$, $\frac{\partial J}{\partial x}$ is a *row* of $n$ numbers, and
$\frac{\partial J}{\partial x} = \frac{\partial J}{\partial y}\frac{\partial y}{\partial x}$ reads from left to right.
In code we push $B$ examples through at once, and each is a *row*: `x` has shape `(B, n)`, and row $i$ is $x_i^\top$.
The upstream gradient `dy` keeps $\frac{\partial J}{\partial y_i}$ in row $i$, with no transpose needed, for it was a
row already. Only one thing has to be remembered: the gradient of a parameter is stored in the *parameter's own
shape*, so that the two can be subtracted. For a matrix $W$ that is the transpose of what numerator layout gives.

We write `dy` for $\partial J/\partial y$ and `dx` for $\partial J/\partial x$: "d" always means *derivative of the
loss with respect to*.
"""

# %% [markdown] nbgrader={"grade": false, "grade_id": "numerical-gradient-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
## 1 · A ruler for gradients

You are about to write half a dozen gradients. How will you know that they are right? Go back to what a derivative
*is*: wiggle one number, and watch the result move. Wiggle it both ways, and the error of the estimate shrinks with
the square of the step:

$$\frac{\partial f}{\partial x_i}
= \frac{f(x + \varepsilon e_i) - f(x - \varepsilon e_i)}{2\varepsilon} + O(\varepsilon^2),$$

where $e_i$ is 1 at entry $i$ and 0 elsewhere. It costs two evaluations for each number, hopeless for training but
perfect for checking.

**Exercise 1 · gradient checker** · 3 points · ★☆☆ · 15 minutes

*Build the ruler that you will hold against everything else.*

<details><summary>Hint</summary>

Write a loop over the entries, counted as if `x` were flat, and make the wiggle a fresh tensor each time. What would
happen to the second entry's estimate if the first one were still wiggled? `x.numel()` and `.reshape(x.shape)` carry
you between flat and shaped.

</details>
"""


# %% nbgrader={"grade": false, "grade_id": "numerical-gradient-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def numerical_gradient(f, x, eps=1e-6):
    """The gradient of f at x by central differences.

    f:   a function that takes a tensor of the shape of x and returns a scalar tensor
    x:   tensor of any shape and of dtype float64; it must be the same after the call as before
    eps: the step

    Returns a tensor of the shape of x that holds ∂f/∂x, entry by entry.
    """
    raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "numerical-gradient", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def _check_numerical_gradient():
    x = torch.tensor([[1.0, -2.0, 0.5], [3.0, 0.0, -1.0]], dtype=torch.float64)
    before = x.clone()
    compare("∂ Σx³ / ∂x", numerical_gradient(lambda x: (x**3).sum(), x), 3 * x**2, 1e-8)
    compare("∂ Πexp(x) / ∂x", numerical_gradient(lambda x: x.sum().exp(), x), torch.full_like(x, math.exp(1.5)), 1e-8)
    compare("∂ Σx³ / ∂x, eps=0.1", numerical_gradient(lambda x: (x**3).sum(), x, eps=0.1), 3 * x**2 + 0.01, 1e-8)
    assert torch.equal(x, before), "x has changed: wiggle a copy, or put every entry back"
    # errors near 1e-10 are right; 1e-6 means a difference taken to one side only


_check_numerical_gradient()


# %% nbgrader={"grade": false, "grade_id": "step-size-figure", "locked": true, "schema_version": 3, "solution": false, "task": false} tags=["demo"]
def _figure():
    # How small should the step ε be? We ask your own ruler, for f(x) = Σ sin x.
    points, exponents = torch.linspace(0.1, 1.3, 5, dtype=torch.float64), list(range(-12, 0))
    estimates = [numerical_gradient(lambda x: x.sin().sum(), points, 10.0**k) for k in exponents]
    figure, ax = plt.subplots(figsize=(4.2, 2.6))
    ax.plot(exponents, [math.log10(relative_error(estimate, points.cos())) for estimate in estimates], "o-", color=BLUE)
    ax.set(xlabel="log₁₀ of the step ε", ylabel="log₁₀ of the relative error", title="Error of your gradient checker")
    plt.show()


_figure()

# %% [markdown] nbgrader={"grade": false, "grade_id": "layers-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
*In the figure: a V on logarithmic axes.* From the right the error falls with $\varepsilon^2$, two decades for every
decade of step, until about $10^{-5}$; further left the two function values agree in so many digits that rounding eats
their difference. Hence the default $10^{-6}$, close to the valley, and hence `float64`: with `float32` the floor
of the valley would lie a million times higher.

## 2 · Layers that can run backwards

A network is a chain, and backpropagation asks just two things of each link:

- `forward(x)` computes the output, and *remembers* whatever the way back will need;
- `backward(dy)` receives the gradient at its output, and returns the gradient at its input.

A layer never has to know what comes before or after it. That is the whole secret: the chain rule is local. Here is
the smallest link there is; it has nothing to remember.
"""


# %% nbgrader={"grade": false, "grade_id": "identity", "locked": true, "schema_version": 3, "solution": false, "task": false}
class Identity:
    """The layer that changes nothing: y = x."""

    def forward(self, x):
        return x

    def backward(self, dy):
        return dy


# %% [markdown] nbgrader={"grade": false, "grade_id": "linear-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
The workhorse is the linear layer (affine, strictly speaking). For one example, as a column,

$$y = Wx + b, \qquad W \in \mathbb{R}^{m \times n},\; b \in \mathbb{R}^m .$$

Suppose that we are handed the row $\frac{\partial J}{\partial y} \in \mathbb{R}^{1 \times m}$. The chain rule then
gives

$$\underbrace{\frac{\partial J}{\partial x}}_{1 \times n} = \frac{\partial J}{\partial y}\, W, \qquad
\underbrace{\frac{\partial J}{\partial b}}_{1 \times m} = \frac{\partial J}{\partial y}, \qquad
\underbrace{\frac{\partial J}{\partial W}}_{n \times m} = x\, \frac{\partial J}{\partial y} .$$

Look at the last one: a column times a row. Each weight's gradient is *what came in* times *the complaint about what
went out*. That is why the layer has to remember its input.

A batch adds one thought. All $B$ examples share the same $W$ and $b$, so each of them leaves its own complaint, and
the complaints add up. They are *added*, not averaged: whoever defines the loss decides about averaging, and does it
once.

For the same reason `backward` **adds** to `weight_grad` and `bias_grad` and does not overwrite them. A layer that is
used twice collects both contributions, until somebody clears them.

**Exercise 2 · `Linear`** · 2 points forward, 5 points backward · ★★☆ · 30 minutes

*Turn three formulas for one example into three lines for a batch.*

<details><summary>Hint</summary>

Let the shapes lead you. Write each of them beside its name: `x (B, n)`, `dy (B, m)`, `weight (m, n)`. Which product,
and with what transposed, yields `(B, n)`? Which yields `(m, n)`, so that the dimension B disappears? And if B has to
vanish from `dy` alone, what is the operation that adds along it?

</details>
"""


# %% nbgrader={"grade": false, "grade_id": "linear", "locked": false, "schema_version": 3, "solution": true, "task": false}
class Linear:
    """y = W x + b for every row of a batch. The parameters' gradients accumulate over calls of backward.

    weight, weight_grad: tensors (out_features, in_features)
    bias, bias_grad:     tensors (out_features,)
    """

    def __init__(self, in_features, out_features):
        bound = 1 / math.sqrt(in_features)  # keeps outputs about as large as inputs
        self.weight = torch.empty(out_features, in_features).uniform_(-bound, bound)
        self.bias = torch.empty(out_features).uniform_(-bound, bound)
        self.weight_grad = torch.zeros_like(self.weight)
        self.bias_grad = torch.zeros_like(self.bias)

    def forward(self, x):
        """Takes x (B, in_features), returns y (B, out_features). Remembers what backward needs."""
        raise NotImplementedError

    def backward(self, dy):
        """Takes dy = ∂J/∂y (B, out_features), returns dx = ∂J/∂x (B, in_features).

        Adds ∂J/∂W to weight_grad and ∂J/∂b to bias_grad, for the x of the last forward.
        """
        raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "linear-forward", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
def _check_linear_forward():
    layer = Linear(2, 3)
    layer.weight = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    layer.bias = torch.tensor([0.0, 0.0, 10.0])
    x = torch.tensor([[1.0, 2.0], [3.0, 4.0], [0.0, -1.0], [5.0, 5.0]])
    compare("y, by hand", layer.forward(x), [[1.0, 2.0, 13.0], [3.0, 4.0, 17.0], [0.0, -1.0, 9.0], [5.0, 5.0, 20.0]])
    compare("y of a single row", layer.forward(x[:1]), [[1.0, 2.0, 13.0]])

    torch.manual_seed(1)
    layer, twin, x = Linear(4, 7), nn.Linear(4, 7), torch.randn(5, 4)
    layer.weight, layer.bias = twin.weight.detach(), twin.bias.detach()
    compare("y, by torch", layer.forward(x), twin(x))  # errors near 1e-7: float32 carries seven digits


_check_linear_forward()


# %% nbgrader={"grade": true, "grade_id": "linear-backward", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
def _check_linear_backward():
    torch.manual_seed(2)
    layer, twin, x, dy = Linear(4, 7), nn.Linear(4, 7), torch.randn(5, 4, requires_grad=True), torch.randn(5, 7)
    layer.weight, layer.bias = twin.weight.detach(), twin.bias.detach()
    for call in ("", ", 2 calls"):  # the gradients of the parameters accumulate, in torch's layer and in yours
        layer.forward(x.detach())
        dx, x.grad = layer.backward(dy), None
        twin(x).backward(dy)
        compare(f"dx{call}", dx, x.grad)
        compare(f"weight_grad{call}", layer.weight_grad, twin.weight.grad)
        compare(f"bias_grad{call}", layer.bias_grad, twin.bias.grad)


_check_linear_backward()

# %% [markdown] nbgrader={"grade": false, "grade_id": "activations-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
## 3 · A bend and a squeeze

Stack linear layers as high as you like, and the result is still one linear layer. A network needs something that
bends. Two classics, each applied to every entry on its own:

$$\mathrm{ReLU}(x) = \max(x, 0), \qquad \sigma(x) = \frac{1}{1 + e^{-x}}, \qquad
\sigma'(x) = \sigma(x)\,\bigl(1 - \sigma(x)\bigr).$$

Since entry $i$ of the output depends on entry $i$ of the input alone, the Jacobian is diagonal, and multiplying a row
by a diagonal matrix is an elementwise product: `dx = dy * slope`. Nobody ever builds that matrix.

At 0 the ReLU has no derivative. PyTorch takes 0 there; any value between 0 and 1 would do.

**Exercise 3 · `ReLU` and `Sigmoid`** · 3 + 3 points · ★☆☆ · 20 minutes

*Decide what each of them should remember.*

<details><summary>Hint</summary>

The slope belongs to the place where the *forward* pass was, whatever arrives from above; so ask yourself which
tensor tells you that place. For the sigmoid, look once more at $\sigma'$: does it need $x$ at all? Leave the input as
it was, since the layer before may have remembered the very same tensor. And try $x = \pm 200$ in
every formula that you consider: $\infty / \infty$ is not a number.

</details>
"""


# %% nbgrader={"grade": false, "grade_id": "activations", "locked": false, "schema_version": 3, "solution": true, "task": false}
class ReLU:
    """y = max(x, 0), entry by entry."""

    def forward(self, x):
        """Takes x (B, n), returns y (B, n); x stays as it is."""
        raise NotImplementedError

    def backward(self, dy):
        """Takes dy (B, n), returns dx (B, n)."""
        raise NotImplementedError


class Sigmoid:
    """y = 1 / (1 + exp(-x)), entry by entry; finite for every finite x."""

    def forward(self, x):
        """Takes x (B, n), returns y (B, n); x stays as it is."""
        raise NotImplementedError

    def backward(self, dy):
        """Takes dy (B, n), returns dx (B, n)."""
        raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "relu", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def _check_relu():
    x = torch.tensor([[-2.0, -0.5, 3.0], [1.0, -1.0, 0.5]])
    dy = torch.tensor([[1.0, -1.0, -5.0], [2.0, 3.0, 4.0]])
    relu, before = ReLU(), (x.clone(), dy.clone())
    relu.forward(torch.ones(3, 4))  # an earlier batch
    compare("ReLU, y", relu.forward(x), [[0.0, 0.0, 3.0], [1.0, 0.0, 0.5]])
    compare("ReLU, dx", relu.backward(dy), [[0.0, 0.0, -5.0], [2.0, 0.0, 4.0]])
    assert torch.equal(x, before[0]), "forward has changed its input: build a new tensor"
    assert torch.equal(dy, before[1]), "backward has changed dy: build a new tensor"


_check_relu()


# %% nbgrader={"grade": true, "grade_id": "sigmoid", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def _check_sigmoid():
    sigmoid, x = Sigmoid(), torch.tensor([[-3.0, -1.0, 0.0], [2.0, 0.5, 1.0]], requires_grad=True)
    dy = torch.tensor([[1.0, -2.0, 4.0], [3.0, -1.0, 2.0]])
    before = x.detach().clone(), dy.clone()
    sigmoid.forward(torch.zeros(3, 4))  # an earlier batch
    compare("σ, y", sigmoid.forward(x.detach()), torch.sigmoid(x))
    torch.sigmoid(x).backward(dy)
    compare("σ, dx", sigmoid.backward(dy), x.grad)
    assert torch.equal(x, before[0]) and torch.equal(dy, before[1]), "Sigmoid has changed x or dy: build a new tensor"
    compare("σ, far out", sigmoid.forward(torch.tensor([[-200.0, 200.0]])), [[0.0, 1.0]])
    compare("σ, 1 + dx far out", 1 + sigmoid.backward(torch.ones(1, 2)), [[1.0, 1.0]], 1e-6)


_check_sigmoid()


# %% nbgrader={"grade": false, "grade_id": "activations-figure", "locked": true, "schema_version": 3, "solution": false, "task": false} tags=["demo"]
def _figure():
    x = torch.linspace(-4, 4, 161).reshape(1, -1)
    figure, ax = plt.subplots(figsize=(4.2, 2.6))
    for function, colour, marker in (ReLU(), BLUE, "o"), (Sigmoid(), RED, "s"):
        name, look = type(function).__name__, {"color": colour, "marker": marker, "markevery": 20}
        ax.plot(x[0], function.forward(x)[0], label=name, **look)
        ax.plot(x[0], function.backward(torch.ones_like(x))[0], linestyle="--", label=f"{name}, slope", **look)
    ax.set(xlabel="x", ylim=(-0.1, 2.2), title="Your activations and their slopes")
    ax.legend(fontsize=8, loc="upper left", handlelength=4)
    plt.show()


_figure()

# %% [markdown] nbgrader={"grade": false, "grade_id": "mse-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
*In the figure: two functions as solid lines, their slopes dashed; circles for ReLU, squares for the sigmoid.*
Compare the slopes. ReLU's is a clean switch, 0 or 1. The sigmoid's never exceeds ¼ and dies away on both sides: a
gradient that passes through several of them comes out faint.

## 4 · How wrong are we?

The chain must end in one number. A loss takes the labels $y$ and the predictions $\hat y$, both of shape $(B, K)$,
and returns two things: the number $J$, and the first gradient of the way back, $\partial J / \partial \hat y$.

The **mean squared error** averages over *all* $B \cdot K$ entries:

$$J = \frac{1}{BK} \sum_{i=1}^{B} \sum_{k=1}^{K} \bigl(\hat y_{ik} - y_{ik}\bigr)^2 .$$

Here, and only here, the average is taken. Everything further down the chain inherits the factor $\frac{1}{BK}$
through the gradient and just adds up.

**Exercise 4 · `mse_loss`** · 3 points · ★☆☆ · 10 minutes

*Differentiate a square. Mind who comes first: the label.*

<details><summary>Hint</summary>

Write out one single entry of the sum, with the factor in front, and differentiate it with respect to $\hat y_{ik}$.
If every $\hat y$ is too large, should the gradient be positive or negative? Remember what it tells: the way in which
the loss grows.

</details>
"""


# %% nbgrader={"grade": false, "grade_id": "mse", "locked": false, "schema_version": 3, "solution": true, "task": false}
def mse_loss(y, y_hat):
    """The squared error, averaged over all B·K entries.

    y:     labels (B, K)
    y_hat: predictions (B, K)

    Returns a tuple of
    J:       the loss, a scalar
    dJdy_hat: its gradient with respect to the predictions, (B, K)
    """
    raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "mse-loss", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def _check_mse_loss():
    y, y_hat = torch.tensor([[1.0, 2.0], [0.0, 4.0], [3.0, -1.0]]), torch.tensor([[2.0, 5.0], [0.0, 2.0], [3.0, 1.0]])
    J, dJdy_hat = mse_loss(y, y_hat)
    compare("MSE, by hand", J, 3.0)  # (1 + 9 + 0 + 4 + 0 + 4) / 6
    compare("dJ, by hand", 3 * dJdy_hat, [[1.0, 3.0], [0.0, -2.0], [0.0, 2.0]])

    torch.manual_seed(3)
    y, y_hat = torch.randn(6, 4), torch.randn(6, 4, requires_grad=True)
    right = nn.functional.mse_loss(y_hat, y)
    right.backward()
    J, dJdy_hat = mse_loss(y, y_hat.detach())
    compare("MSE", J, right)
    compare("MSE, dJdy_hat", dJdy_hat, y_hat.grad)


_check_mse_loss()

# %% [markdown] nbgrader={"grade": false, "grade_id": "bce-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
## 5 · How surprised are we?

When the labels are 0 or 1 and $\hat y$ is a probability, the natural question is how *surprised* the network is by
the truth. That is the **binary cross-entropy**, once more a mean over all entries:

$$J = \frac{1}{BK} \sum_{i,k} -\bigl[\, y_{ik} \log \hat y_{ik} + (1 - y_{ik}) \log(1 - \hat y_{ik}) \,\bigr].$$

Take its derivative with respect to $\hat y$ and bring the two terms together: a fraction appears with
$\hat y\,(1 - \hat y)$ underneath.

On paper $0 < \hat y < 1$. In `float32`, however, $\sigma(17)$ is *exactly* 1, and then $\log 0 = -\infty$, and zero
times infinity is not a number, and one such entry poisons every weight of the network. We do as PyTorch does: a
logarithm is never allowed below $-100$, and the denominator $\hat y\,(1 - \hat y)$ never below $10^{-12}$.

**Exercise 5 · `bce_loss`** · 4 points · ★★☆ · 20 minutes

*Write a loss that stays calm when the network is completely certain and completely wrong.*

<details><summary>Hint</summary>

`tensor.clamp(min=…)` raises everything that is too low. Apply it to the logarithms themselves: changing
$\hat y$ beforehand would change the answer. As for the numerator of the gradient: what should it be when the
prediction equals the label?

</details>
"""


# %% nbgrader={"grade": false, "grade_id": "bce", "locked": false, "schema_version": 3, "solution": true, "task": false}
def bce_loss(y, y_hat):
    """The binary cross-entropy, averaged over all B·K entries; finite even for y_hat = 0 and y_hat = 1.

    y:     labels (B, K), 0 or 1
    y_hat: predictions (B, K), from 0 to 1, both included

    Returns a tuple of
    J:       the loss, a scalar; logarithms are cut off at -100
    dJdy_hat: its gradient with respect to the predictions, (B, K); it divides by at least 1e-12
    """
    raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "bce-loss", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def _check_bce_loss():
    torch.manual_seed(4)
    y, y_hat = torch.randint(0, 2, (6, 4)).float(), torch.rand(6, 4).requires_grad_()
    right = nn.functional.binary_cross_entropy(y_hat, y)
    right.backward()
    J, dJdy_hat = bce_loss(y, y_hat.detach())
    compare("BCE", J, right)
    compare("BCE, dJdy_hat", dJdy_hat, y_hat.grad)

    J, dJdy_hat = bce_loss(torch.tensor([[0.0, 1.0], [0.0, 1.0]]), torch.tensor([[0.0, 1.0], [1.0, 0.0]]))
    compare("BCE, certain", J, 50.0)  # two entries certain and right (0), two certain and wrong (100)
    assert torch.isfinite(dJdy_hat).all(), "dJdy_hat is infinite or not a number where y_hat is 0 or 1"
    compare("dJ, certain", dJdy_hat, [[0.0, 0.0], [0.25e12, -0.25e12]])  # ±1 / 1e-12, and 4 entries


_check_bce_loss()


# %% nbgrader={"grade": false, "grade_id": "losses-figure", "locked": true, "schema_version": 3, "solution": false, "task": false} tags=["demo"]
def _figure():
    # Why another loss? Let a sigmoid's output meet both, for the label 1, and see what gradient reaches the logit,
    # the number that goes into the sigmoid.
    logits, sigmoid = torch.linspace(-8, 8, 161).reshape(-1, 1), Sigmoid()
    y_hat = sigmoid.forward(logits)  # (161, 1)
    figure, ax = plt.subplots(figsize=(4.2, 2.6))
    for loss, colour, marker in (mse_loss, BLUE, "o"), (bce_loss, RED, "s"):
        push = sigmoid.backward(len(logits) * loss(torch.ones_like(y_hat), y_hat)[1])  # times B: each example on its own
        ax.plot(logits[:, 0], push[:, 0], color=colour, marker=marker, markevery=20, label=loss.__name__)
    ax.set(xlabel="logit (the label is 1)", ylabel="∂J / ∂logit", title="Who still pushes when all is wrong?")
    ax.legend(fontsize=8)
    plt.show()


_figure()

# %% [markdown] nbgrader={"grade": false, "grade_id": "mlp-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
*In the figure: gradients at the logit, from −8 (certain and wrong) to 8 (certain and right); circles for squared
error, squares for cross-entropy.* On the far left the squared error has given up, for the sigmoid's dead slope
silences it. The cross-entropy pushes there with full force: its denominator cancels just that slope.

## 6 · Click the pieces together

$$x \;\to\; \boxed{\text{Linear}_1} \;\to\; z_1 \;\to\; \boxed{\;f\;} \;\to\; z_2
\;\to\; \boxed{\text{Linear}_2} \;\to\; z_3 \;\to\; \boxed{\;g\;} \;\to\; \hat y$$

Forward, follow the arrows. Backward, hand $\partial J/\partial \hat y$ to $g$, what it returns to $\text{Linear}_2$,
and so on until you reach the start. All the calculus is done: your layers know it already.

**Exercise 6 · `MLP`** · 2 points construction, 2 forward, 4 backward, 2 memory · ★★★ · 40 minutes

*Not a single new derivative, but some honest bookkeeping.*

What the outside world relies on:

- `parameters` maps `W1`, `b1`, `W2`, `b2` to the very tensors that `forward` uses: whoever changes one in place (an
  optimiser, say) changes the network.
- `grads` maps `dJdW1`, `dJdb1`, `dJdW2`, `dJdb2` to the gradients, each in the shape of its parameter; zeros at
  first. They **accumulate** until cleared.
- `cache` is a dictionary of what you keep from the last forward pass ($x$, $z_1$, $z_2$, $z_3$, $\hat y$); empty at
  first.
- `backward` does not divide by the size of the batch: the loss has done so.
- `clear_grad_and_cache` sets every gradient to zero, and empties the cache.

<details><summary>Hint</summary>

A dictionary from names to *classes* makes short work of `f_function` and `g_function`; and think about what goes
wrong when $f$ and $g$ are one and the same object. A dictionary entry and a layer's attribute may be two names of a
single tensor: `a += b` changes that tensor, whereas `a = a + b` makes a new one and leaves the other name behind. If
in doubt, refresh `grads` at the end of `backward`.

</details>
"""


# %% nbgrader={"grade": false, "grade_id": "mlp", "locked": false, "schema_version": 3, "solution": true, "task": false}
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
        raise NotImplementedError

    def forward(self, x):
        """Takes x (B, linear_1_in_features), returns ŷ (B, linear_2_out_features)."""
        raise NotImplementedError

    def backward(self, dJdy_hat):
        """Takes ∂J/∂ŷ (B, linear_2_out_features) and adds the gradients of the four parameters to grads."""
        raise NotImplementedError

    def clear_grad_and_cache(self):
        """Sets every gradient to zero and empties the cache."""
        raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "mlp-build", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
def _check_mlp_build():
    mlp = MLP(2, 20, "relu", 20, 5, "identity")
    shapes = {"W1": (20, 2), "b1": (20,), "W2": (5, 20), "b2": (5,)}
    for name, shape in shapes.items():
        assert tuple(mlp.parameters[name].shape) == shape, f"parameters[{name!r}] should have shape {shape}"
        assert tuple(mlp.grads[f"dJd{name}"].shape) == shape, f"grads['dJd{name}'] should have the shape of {name}, {shape}"
        assert not mlp.grads[f"dJd{name}"].any(), f"grads['dJd{name}'] should be zero before the first backward"
    assert mlp.cache == {}, "the cache should be empty before the first forward"
    assert len(mlp.parameters["W1"].unique(dim=0)) == 20, "hidden units that start with equal weights stay equal for ever"
    try:
        MLP(2, 20, "relu", 20, 5, "swoosh")
    except ValueError as error:
        print("ok  an unknown function is refused:", error)
    else:
        raise AssertionError("MLP(…, 'swoosh') should raise a ValueError")


_check_mlp_build()

# %% nbgrader={"grade": false, "grade_id": "mlp-tools", "locked": true, "schema_version": 3, "solution": false, "task": false}
MODULES = {"relu": nn.ReLU, "sigmoid": nn.Sigmoid, "identity": nn.Identity}


def pair(n, hidden, f, out, g):
    """Your MLP and an nn.Sequential with the same numbers in it."""
    mlp = MLP(n, hidden, f, hidden, out, g)
    twin = nn.Sequential(nn.Linear(n, hidden), MODULES[f](), nn.Linear(hidden, out), MODULES[g]())
    for theirs, yours in zip(twin.parameters(), ("W1", "b1", "W2", "b2"), strict=True):
        theirs.data.copy_(mlp.parameters[yours])
    return mlp, twin


NETWORKS = [(2, 20, "relu", 5, "identity"), (2, 20, "sigmoid", 5, "sigmoid"), (2, 20, "relu", 22, "relu")]


# %% nbgrader={"grade": true, "grade_id": "mlp-forward", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
def _check_mlp_forward():
    torch.manual_seed(5)
    x = torch.randn(10, 2)
    for network in NETWORKS:
        mlp, twin = pair(*network)
        compare(f"ŷ, {network[2]}/{network[4]}", mlp.forward(x), twin(x))
    mlp.parameters["W1"] += 1  # what an optimiser would do
    assert not torch.allclose(mlp.forward(x), twin(x)), "parameters['W1'] was changed, but forward has not noticed"


_check_mlp_forward()


# %% nbgrader={"grade": true, "grade_id": "mlp-backward", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def _check_mlp_backward():
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


_check_mlp_backward()


# %% nbgrader={"grade": true, "grade_id": "mlp-memory", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
def _check_mlp_memory():
    torch.manual_seed(7)
    mlp, x, dJdy_hat = MLP(3, 8, "relu", 8, 2, "sigmoid"), torch.randn(4, 3), torch.randn(4, 2)
    mlp.forward(x)
    assert mlp.cache, "after forward the cache should not be empty"
    mlp.backward(dJdy_hat)
    once = {name: grad.clone() for name, grad in mlp.grads.items()}
    mlp.forward(x)
    mlp.backward(dJdy_hat)
    for name, grad in mlp.grads.items():
        compare(f"{name}, twice", grad, 2 * once[name])

    mlp.clear_grad_and_cache()
    assert mlp.cache == {}, "clear_grad_and_cache has left something in the cache"
    assert not any(grad.any() for grad in mlp.grads.values()), "clear_grad_and_cache should set every gradient to zero"
    mlp.forward(x)
    mlp.backward(dJdy_hat)
    for name, grad in mlp.grads.items():
        compare(f"{name}, anew", grad, once[name])


_check_mlp_memory()


# %% nbgrader={"grade": false, "grade_id": "network-figure", "locked": true, "schema_version": 3, "solution": false, "task": false}
def _figure():
    # Autograd agrees with you, but does the mathematics? We hold the ruler of section 1, which knows nothing of the
    # chain rule, against your whole network, in double precision.
    def loss_with(name, value):
        mlp.parameters[name].copy_(value)
        return bce_loss(y, mlp.forward(x))[0]


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
    ax.text(-5.7, 1.3, "worry beyond\nthis line", color=RED)
    ax.set(xlim=(-13, 0), xlabel="log₁₀ of the relative error against wiggling", title="Backpropagation against the ruler")
    ax.margins(y=0.25)
    plt.show()


_figure()

# %% [markdown] nbgrader={"grade": false, "grade_id": "train-step-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
*In the figure: one dot for each parameter, its relative error on a logarithmic axis, with a dashed line at
$10^{-6}$.* All four dots lie far to the left, where only rounding is left: two ways of computing, with not a line in
common, agree in eight digits.

## 7 · Let it learn

Gradients point uphill, so take a small step against them:

$$\theta \;\leftarrow\; \theta - \eta\, \frac{\partial J}{\partial \theta} \qquad
\text{for each } \theta \in \{W_1, b_1, W_2, b_2\},$$

with the learning rate $\eta$. Do this again and again, and the network descends.

**Exercise 7 · `train_step`** · 2 points · ★★☆ · 15 minutes

*Put everything that you have written into one step of gradient descent.*

<details><summary>Hint</summary>

Three questions decide about right and wrong here. Which gradients would still be lying around from the step before,
and when must they go? Is what you clear still needed afterwards? And does your update change the network's own
tensor, or a new one of which the network has never heard?

</details>
"""


# %% nbgrader={"grade": false, "grade_id": "train-step-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def train_step(mlp, loss_function, x, y, learning_rate):
    """One step of gradient descent on the batch x (B, n) with labels y (B, K).

    mlp:           an MLP; its parameters are updated in place. Gradients that lie around from before take no part
    loss_function: mse_loss or bce_loss
    learning_rate: η

    Returns the loss J on this batch, as it was before the update.
    """
    raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "train-step", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
def _check_train_step():
    torch.manual_seed(9)
    mlp, twin = pair(3, 16, "sigmoid", 2, "identity")
    x, y = torch.randn(8, 3), torch.randn(8, 2)
    W1 = mlp.parameters["W1"]
    mlp.forward(x)
    mlp.backward(torch.ones(8, 2))  # gradients from somewhere else are lying around
    for step in range(1, 4):
        twin.zero_grad()
        right = nn.functional.mse_loss(twin(x), y)
        right.backward()
        for parameter in twin.parameters():
            parameter.data -= 0.3 * parameter.grad
        compare(f"J of step {step}", train_step(mlp, mse_loss, x, y, 0.3), right)
    for name, right in zip(("W1", "b1", "W2", "b2"), twin.parameters(), strict=True):
        compare(f"{name} afterwards", mlp.parameters[name], right)
    assert mlp.parameters["W1"] is W1, "parameters['W1'] is another tensor now: change the network's own, in place"


_check_train_step()

# %% [markdown] nbgrader={"grade": false, "grade_id": "spiral-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
## Three spiral arms

Now the reward. Three arms wind around each other, 150 points each; the network sees two coordinates and must name the
arm. No straight line can do it. We give it 64 hidden units, three sigmoid outputs (one a yes-or-no question for each
arm), and your cross-entropy. Nothing in the next cells is graded, and nothing in them computes a gradient except for
your own code.
"""


# %% nbgrader={"grade": false, "grade_id": "spiral-data", "locked": true, "schema_version": 3, "solution": false, "task": false}
def spiral(per_arm=150, arms=3, turns=0.75, noise=0.1, seed=0):
    """Points x (N, 2) on winding arms, and the arm of each, (N,)."""
    generator = torch.Generator().manual_seed(seed)
    radius = torch.linspace(0.05, 1, per_arm).repeat(arms)
    arm = torch.arange(arms).repeat_interleave(per_arm)
    angle = 2 * math.pi * (arm / arms + turns * radius) + noise * torch.randn(arms * per_arm, generator=generator)
    return torch.stack([radius * angle.cos(), radius * angle.sin()], dim=1), arm


# %% nbgrader={"grade": false, "grade_id": "spiral-train", "locked": true, "schema_version": 3, "solution": false, "task": false} tags=["demo"]
def _figure():
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
    assert accuracy > 0.97, f"the arms are still tangled ({accuracy:.1%}): go back to the first check cell that fails"
    return spiral_history, spiral_mlp


spiral_history, spiral_mlp = _figure()


# %% nbgrader={"grade": false, "grade_id": "spiral-figure", "locked": true, "schema_version": 3, "solution": false, "task": false} tags=["demo"]
def _figure():
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
    right.set(xlabel="x₁", ylabel="x₂", title=f"What your network believes ({accuracy:.0%} right)", aspect="equal")
    right.legend(fontsize=8, loc="upper right")
    plt.show()


_figure()

# %% [markdown] nbgrader={"grade": false, "grade_id": "closing", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
*In the figure, left: the loss on a logarithmic axis, falling by two orders of magnitude, not without a stumble.
Right: three arms (circles, triangles, squares) on three tinted regions that wind along with them, thin black lines
between.* Look closely at the borders: they are made of straight pieces. Every ReLU contributes one fold, and 64 folds
are enough to bend a plane around a spiral.

**What you take along**

- Backpropagation is the chain rule with a memory: forward leaves notes, backward reads them in reverse order.
- Layers only need to know themselves. From here on, every new layer of this course is a new `forward` and a new
  `backward`.
- A gradient is a claim, and claims can be checked by wiggling.

**If you are still curious** (no points): draw the hidden units' folds as lines on top of the last figure. Replace
`relu` by `sigmoid` and watch the learning curve. Swap in `mse_loss`, and recall the figure of section 5. Or print
what your first layer's `backward` returns: the gradient with respect to the *input*. In the next notebook the input
is an image, we climb along that gradient, and the network begins to dream.
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
    "mlp.ipynb",
    [
        "1 numerical-gradient",
        "2 linear-forward",
        "2 linear-backward",
        "3 relu",
        "3 sigmoid",
        "4 mse-loss",
        "5 bce-loss",
        "6 mlp-build",
        "6 mlp-forward",
        "6 mlp-backward",
        "6 mlp-memory",
        "7 train-step",
    ],
    [],
    {
        4045588841: "BLUE compare GREEN ORANGE RED relative_error",
        516375556: "Identity",
        2345422488: "MODULES NETWORKS pair",
        31793431: "spiral",
        2550324731: "spiral_history spiral_mlp",
    },
    "*Your answer here: double-click this line and write.*",
)
