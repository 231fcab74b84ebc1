# %% [markdown] nbgrader={"grade": false, "grade_id": "header", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
# Energies, probabilities and losses

A classifier says how *likely* an answer is. An energy says something humbler: how badly a question and an answer go
together. Low energy, good fit; high energy, bad fit; and no word about all the other answers. Giving up probabilities
for a while turns out to be a great freedom, and this sheet is about what one can do with it.

**What you will build.** A landscape with two right answers to the same question. Gibbs' formula, by which landscapes
become probabilities, in a version that no large number can break. The negative log-likelihood with its gradient, and
a swarm of noisy walkers for the case in which that gradient is out of reach. Four losses that dig valleys and raise
hills; with your gradients a small network learns two crescents, once for each loss, and you see what each loss sees.

| part | you answer | points by machine | by hand | minutes |
| --- | --- | --- | --- | --- |
| 1 Landscapes | many answers, Gibbs, roles, collapse, contrast, search | 2 + 2 + 1 + 3 + 1 + 2 | 1 + 1 + 1 + 1 | 80 |
| 2 Likelihood | n classes, the loss, its gradient, sampling, no end | 2 + 3 + 3 + 2 + 3 | 2 + 2 + 1 + 2 | 90 |
| 3 Contrast | corners, smooth ones, all or one, doubtful labels | 2 + 2 + 2 + 2 | 2 + 2 + 2 + 1 | 70 |
| **in all** | **50 points** | **32** | **18** | **240** |

**You need** homework 1, the logarithm, and an idea of what a probability density is. A full run takes less than half a
minute on a CPU.

**How to work.** Think on paper. Cells that say *Your answer here* take a written answer (LaTeX between dollar signs,
or plain words) and are marked by a person, one small step at a time. Cells with `raise NotImplementedError` take the
result as a tiny function or a value. The cell below it checks an example; the grader asks again with other sizes and
other numbers.
"""

# %% [markdown] nbgrader={"grade": false, "grade_id": "colab", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
[![Open this notebook in Google Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/your-organisation/deep-learning/blob/main/release/hw3/theory.ipynb)
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

# The cells below use these names themselves: BLUE, compare, GREEN, kept, letters, numbers, ORANGE, RED,
# relative_error, energy_network, measured, answers, draw_landscape, questions, train_on_moons, tables,
# check_pair_loss. Give your own helpers other names.

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


def letters(answer, allowed):
    """Assert that `answer` is a set of letters (or a dictionary with a key for each) out of `allowed`."""
    missing = set(allowed) - set(answer) if isinstance(answer, dict) else set()
    assert not missing, f"there is no answer yet for {', '.join(sorted(missing))}"
    assert answer and set(answer) <= set(allowed), f"only letters from {allowed[0]} to {allowed[-1]} can be chosen"
    print("ok  letters only; whether they are right, the grader will tell")


def kept(function, *given):
    """What the function returns; assert that it leaves the tensors that it is given as they are."""
    before = [torch.as_tensor(thing).clone() for thing in given]
    answer = function(*given)
    for old, new in zip(before, given, strict=True):
        assert torch.equal(old, torch.as_tensor(new)), "your function changes a tensor that it is given"
    return answer


# %% [markdown] nbgrader={"grade": false, "grade_id": "rules", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
## How we write

**Energies.** $F_w(x, y)$ is a number: low where the answer $y$ fits the question $x$. The network that computes it has
the weights $w$; we drop the $w$ where nothing is trained. To **infer** is to look for $\check y = \arg\min_y F(x, y)$.

**Tables.** With $n$ possible answers, all that matters about one $x$ is a row of $n$ energies. In code a batch stacks
such rows: `F` has shape `(B, n)`, and `F[b, i]` is the energy of example $b$ with answer $i$, counted from 0. Right
answers are whole numbers, `y` of shape `(B,)`.

**Gradients.** Numerator layout as always: the gradient of a scalar by a column is a row. So the gradient of one
example's loss by its $n$ energies is a row of $n$ numbers, and a batch of them has the shape of `F`: row $b$ is
$\frac{\partial \ell_b}{\partial F(x_b, \cdot)}$. All weights of a network stand in *one* column $w \in \mathbb{R}^P$,
so that $\frac{\partial F}{\partial w}$ is a row of $P$ numbers, too.

**Two more signs.** $[a]_+ = \max(a, 0)$ is the positive part. $\beta > 0$ is the inverse temperature, or **coldness**.

**Rule.** In the cells that you write, leave automatic differentiation alone; the checks and the grader use it as their
measuring device. You may call `softmax`, `logsumexp` and their kin; but they do half of part 2 for you, and you will
know more about them if you build them from `exp`, `log` and sums.

**Your functions** must leave the tensors that they are given as they are. They must work for every size, also for a
single example, answer, weight or latent.
"""

# %% [markdown] nbgrader={"grade": false, "grade_id": "circle-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
## 1 · Landscapes

**Exercise 1.1 · two right answers** · 2 points · ★☆☆ · 10 minutes

*What shall a machine say when two different answers are right?*

The pairs $(x, y)$ of our training set lie on the unit circle, evenly all around. For $x = 0.6$ both $y = 0.8$ and
$y = -0.8$ are right.

(a) Write an energy, continuous, *any* that you like, such that for each $x$ strictly between $-1$ and 1 both right
answers have the same energy, and every other $y$ has a higher one.

(b) Which of these statements are true? Give the set of their letters.

- **A** A network $\hat y = f(x)$, trained on these pairs with the squared error, answers (nearly) 0 to every $x$.
- **B** Such a network finds both answers as soon as it is large enough and is trained for long enough.
- **C** An energy can be lowest at several $y$ for the same $x$, and then every one of them is an answer.
- **D** To infer with an energy one must first make it sum to one over all $y$.
- **E** A density $p(y|x)$ can raise one answer only by lowering others, for it must integrate to 1. The energy of each
  pair can be chosen for itself.
- **F** Every continuous energy on $y \in \mathbb{R}$ belongs to some density $p(y|x) \propto e^{-F(x, y)}$.

<details><summary>Hint</summary>

How do you tell from $x$ and $y$ whether a point is on the circle? For (b): which single number has the least mean
squared distance from 0.8 and $-0.8$? And what is the area under $e^{-F}$ when $F$ is flat?

</details>
"""


# %% nbgrader={"grade": false, "grade_id": "circle-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def circle_energy(x, y):
    """F(x, y) of tensors of one shape, entry by entry: lowest where the point (x, y) is on the unit circle."""
    raise NotImplementedError


# %% nbgrader={"grade": false, "grade_id": "freedom-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
# true_of_energies = {"…", …}
raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "circle", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
def _check_circle():
    for x, y in ((0.6, 0.8), (-0.28, 0.96)):
        answers = torch.tensor([y, -y, 0.0, 0.5, 1.2, -2.0])
        energies = torch.as_tensor(kept(circle_energy, torch.full((6,), x), answers))
        assert energies.shape == (6,), "return one energy for each pair"
        assert torch.isclose(energies[0], energies[1], atol=1e-5), f"x = {x}: {y} and −{y} should have the same energy"
        assert (energies[2:] > energies[:2].max()).all(), f"x = {x}: a wrong answer has an energy as low as a right one"
    letters(true_of_energies, "ABCDEF")


_check_circle()


# %% nbgrader={"grade": false, "grade_id": "circle-figure", "locked": true, "schema_version": 3, "solution": false, "task": false} tags=["demo"]
def _figure():
    across, up = torch.meshgrid(torch.linspace(-1.5, 1.5, 121), torch.linspace(-1.5, 1.5, 121), indexing="xy")
    angles = 2 * math.pi * torch.rand(60, generator=torch.Generator().manual_seed(0))
    figure, ax = plt.subplots(figsize=(4.6, 3.8), layout="constrained")
    levels = ax.contourf(across, up, torch.as_tensor(circle_energy(across, up)).detach().clamp(max=1.5), 12, cmap="viridis")
    ax.plot(angles.cos(), angles.sin(), "o", color="white", markeredgecolor="black", markersize=4, label="training pairs")
    ax.plot([-1.5, 1.5], [0, 0], "--", color=ORANGE, linewidth=2, label="least squares")
    figure.colorbar(levels, label="energy (cut at 1.5)")
    ax.set(xlabel="x", ylabel="y", title="Your landscape", aspect="equal")
    ax.legend(loc="lower right", fontsize=8)
    plt.show()


_figure()

# %% [markdown] nbgrader={"grade": false, "grade_id": "gibbs-density-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
*In the figure: the plane of all pairs, dark where your energy is low. White points, the training pairs, lie in a dark
ring; a dashed level line, the answer by least squares, passes between the two right answers and is right for next to
no $x$.*

**Exercise 1.2 · from energies to probabilities** · 1 point by hand, 2 by machine · ★★☆ · 20 minutes

*Gibbs asked: which probabilities go with energies, if all I want is that low energy means likely?*

By hand: write Gibbs' formula for $p(y|x)$ with coldness $\beta$ and a continuous $y$. Say what the minus sign, the
exponential and the denominator are for, and when the formula makes sense at all. What happens to $p$ if one number
$c(x)$ is added to all energies of the same $x$?

By machine: (a) the density on a grid. The integral becomes a sum over grid points times their distance. Energies of
thousands must not break it. (b) For the parabola $F(x, y) = \frac{a}{2} (y - c)^2$ Gibbs' formula gives a density that
you know. What is its variance? Say to yourself: what does a large β do to the density, and what a small one?

<details><summary>Hint</summary>

Your answer about $c(x)$ tells how to tame large energies: which $c$ makes all exponentials at most 1, and one of them
exactly 1? For (b) compare exponents with those of $e^{-(y - c)^2 / (2 \sigma^2)}$.

</details>
"""

# %% [markdown] nbgrader={"grade": true, "grade_id": "gibbs-density-words", "locked": false, "points": 1, "schema_version": 3, "solution": true, "task": false}
r"""
*Your answer here: double-click this line and write.*
"""


# %% nbgrader={"grade": false, "grade_id": "gibbs-density-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def gibbs_density(F, dy, beta):
    """Gibbs' density at the points of a grid.

    F: the energies (n,) at points of distance dy; beta > 0

    Returns p (n,), with p.sum() · dy = 1.
    """
    raise NotImplementedError


def gibbs_variance(a, beta):
    """The variance of y under Gibbs' density for F = a/2 (y − c)², a > 0, beta > 0: a number."""
    raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "gibbs-density", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
def _check_gibbs_density():
    F, right = torch.tensor([math.log(4), math.log(2), math.log(8)]), [16 / 21, 64 / 21, 4 / 21]
    compare("densities, β = 2", kept(gibbs_density, F, 0.25, 2.0), right)
    compare("the same, 5000 higher", gibbs_density(F.double() + 5000, 0.25, 2.0), right)
    compare("β = 1, dy = ½", gibbs_density(F, 0.5, 1.0), [4 / 7, 8 / 7, 2 / 7])
    compare("one 5000 above the other", gibbs_density(torch.tensor([0.0, 5000.0]), 0.5, 1.0), [2.0, 0.0])
    y = torch.linspace(-30, 30, 6001)
    summed = (y**2 * torch.as_tensor(gibbs_density(1.5 * y**2, 0.01, 0.5))).sum() * 0.01
    compare("variance, a = 3, β = ½", gibbs_variance(3.0, 0.5), summed)


_check_gibbs_density()


# %% nbgrader={"grade": false, "grade_id": "gibbs-figure", "locked": true, "schema_version": 3, "solution": false, "task": false} tags=["demo"]
def _figure():
    y = torch.linspace(-2, 2, 401)
    wells = 2 * (y**2 - 1) ** 2 + 0.3 * y  # two valleys, the left one a little deeper
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 2.8), layout="constrained")
    left.plot(y, wells, color="black")
    left.set(xlabel="y", ylabel="F", title="Energies", ylim=(-0.6, 4))
    for beta, colour, style in ((0.2, GREEN, ":"), (1.0, BLUE, "-"), (5.0, ORANGE, "--"), (25.0, RED, "-.")):
        right.plot(y, gibbs_density(wells, 0.01, beta), style, color=colour, label=f"β = {beta:g}")
    right.set(xlabel="y", ylabel="p", title="Your densities")
    right.legend(fontsize=8)
    plt.show()


_figure()

# %% [markdown] nbgrader={"grade": false, "grade_id": "role-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
*In the figure: on the left an energy with two valleys, the left one slightly deeper. On the right its densities: dotted
(hot) it is broad and nearly flat, and as β grows, two peaks get narrow; dash-dotted (cold) nearly everything stands in
the deeper valley.* Large β: sharp and certain, small variance. Small β: smooth and undecided.

**Exercise 1.3 · who is who** · 1 point by hand, 1 by machine · ★☆☆ · 10 minutes

*Two functions, both wanted small. Do not mix them up.*

By machine: which of the two is meant, the `"energy"` or the `"loss"`? Give a dictionary from letters to these words.

- **A** It judges a whole landscape, together with the pairs that the landscape should respect.
- **B** It belongs to one pair $(x, y)$, whether that pair is in the training set or not.
- **C** One looks for the $y$ that makes it least, with $w$ held fixed.
- **D** One looks for the $w$ that makes it least, with the pairs held fixed.
- **E** Its gradient by $y$ says how an answer should change to fit better.
- **F** After training nobody computes it any more.

By hand: a friend reports, “the mean energy of my right answers has become 0, and it cannot be negative. So inference
will be right.” Refute this with a table of numbers for one $x$ and three answers, and say what a loss must look at.

<details><summary>Hint</summary>

One of the two is computed when the machine is used, the other when it is built. For your friend: he has looked at one
column of the table only.

</details>
"""

# %% nbgrader={"grade": false, "grade_id": "role-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
# role = {"A": "…", "B": "…", …, "F": "…"}
raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "role", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
def _check_role():
    letters(role, "ABCDEF")
    assert set(role.values()) <= {"energy", "loss"}, 'the words are "energy" and "loss"'


_check_role()

# %% [markdown] nbgrader={"grade": true, "grade_id": "role-words", "locked": false, "points": 1, "schema_version": 3, "solution": true, "task": false}
r"""
*Your answer here: double-click this line and write.*
"""

# %% [markdown] nbgrader={"grade": false, "grade_id": "collapse-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
**Exercise 1.4 · keeping the lowlands small** · 1 point by hand, 3 by machine · ★★☆ · 20 minutes

*Digging valleys is easy. The art is not to flood the whole country.*

(a) These energies are trained by making them small at right pairs, *and by nothing else*. Everything with an index $w$
is learnt, and the networks are as large as you wish. Which of them can become zero **everywhere**, for right and wrong
alike? Give the set of letters.

- **A** $F = (y - f_w(x))^2$, with a number $y$.
- **B** $F = \lVert g_w(y) - f_w(x) \rVert^2$, both of them networks.
- **C** $F = \min_z \lVert y - d_w(z) \rVert^2$, where $z$ has as many entries as $y$.
- **D** $F = \min_{k = 1, 2, 3} \lVert y - c_{w,k} \rVert^2$, with three points $c_{w,k}$.
- **E** $F = \lVert y - W_w^\top W_w\, y \rVert^2$, where $y$ has 10 entries and $W_w$ is $2 \times 10$.
- **F** $F = h_w(x, y)^2$, with a network $h_w$.

(b) There are three ways to keep the volume of low energy small: energies of wrong answers are pushed up
(`"contrast"`); the machine is built so that it *cannot* be low on a large volume (`"architecture"`); or a term is added
that makes a large low volume expensive (`"regulariser"`). Which of them is at work? A dictionary again.

- **A** K-means: the energy is the squared distance from the nearest of K points.
- **B** Sparse coding: $F(y) = \min_z \lVert y - Dz \rVert^2 + \lambda \lVert z \rVert_1$, with a wide $D$ whose columns
  have length 1.
- **C** A softargmax classifier that is trained by its log-likelihood.
- **D** Principal components: the energy is the squared distance from a plane.
- **E** A denoising autoencoder: points are moved off the data on purpose, and the network must lead them back; the
  energy of a point is the distance over which it is led.
- **F** Faces: photographs of two persons must lie farther apart than two photographs of one, by a margin.
- **G** A variational autoencoder: noise is added to the code $z$, and codes pay for being far from 0, so that few of
  them can be told apart.

By hand: what happens if the machine of (a)F is trained in this way? Describe the landscape, what inference does on it,
and what the loss curve shows meanwhile.

<details><summary>Hint</summary>

For (a) be lazy: try to choose constants, zeros or identities. How many $y$ of energy zero does a given $x$ have at
best? For (b) ask: does training ever look at a wrong answer? If not, would a larger model of the same kind collapse,
were it not for an extra term?

</details>
"""

# %% nbgrader={"grade": false, "grade_id": "collapse-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
# collapsing = {"…", …}
# way = {"A": "…", "B": "…", …, "G": "…"}
raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "collapse", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def _check_collapse():
    letters(collapsing, "ABCDEF")
    letters(way, "ABCDEFG")
    assert set(way.values()) <= {"contrast", "architecture", "regulariser"}, "one of the three words for each letter"


_check_collapse()

# %% [markdown] nbgrader={"grade": true, "grade_id": "collapse-words", "locked": false, "points": 1, "schema_version": 3, "solution": true, "task": false}
r"""
*Your answer here: double-click this line and write.*
"""

# %% [markdown] nbgrader={"grade": false, "grade_id": "negatives-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
**Exercise 1.5 · the other side** · 1 point by hand, 1 by machine · ★★☆ · 10 minutes

*Now push up as well. Invent a loss of your own.*

$F^+$ is the energy of a right answer, $F^-$ that of a wrong one, both at least 0. By machine: write *any* loss
$\ell(F^+, F^-)$ such that

1. it never grows when $F^+$ falls, and never grows when $F^-$ rises;
2. as long as $0 \le F^- < F^+ \le 1$, it becomes truly smaller by either;
3. it is bounded from below: driving $F^-$ to infinity is not rewarded without end.

By hand: there are many wrong answers, and your loss looks at one. Which one should it be, for a $y$ out of a finite
list, and for a continuous $y$? What goes wrong if it is picked at random among very many?

<details><summary>Hint</summary>

A straight line pushes with constant force but knows no end. How do you cut it off? By hand: after some training, where
is the energy of a random wrong answer, and how strong is its push?

</details>
"""


# %% nbgrader={"grade": false, "grade_id": "negatives-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def my_loss(F_pos, F_neg):
    """Your loss for energies F_pos, F_neg (B,) of right and wrong answers, one value for each pair: (B,)."""
    raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "negatives", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
def _check_negatives():
    F_pos, F_neg = torch.tensor([0.98, 0.5, 0.8]), torch.tensor([0.9, 0.4, 0.02])
    changes = ((0, 0), (-0.05, 0), (0, 0.05))  # of the two energies
    value, lower_pos, higher_neg = (torch.as_tensor(kept(my_loss, F_pos + a, F_neg + b)) for a, b in changes)
    assert value.shape == (3,), "return one value for each pair of energies"
    assert (lower_pos < value).all(), "when F⁺ falls, the loss should fall"
    assert (higher_neg < value).all(), "when F⁻ rises, the loss should fall"
    high, higher = (torch.as_tensor(my_loss(F_pos, torch.full((3,), level))) for level in (300.0, 600.0))
    assert not (higher > high).any(), "when F⁻ rises from 300 to 600, the loss should not grow"
    assert not (high - higher > 5).any(), "when F⁻ rises from 300 to 600, the loss still falls: is there an end?"
    print("ok  it pulls down and pushes up")


_check_negatives()

# %% [markdown] nbgrader={"grade": true, "grade_id": "negatives-words", "locked": false, "points": 1, "schema_version": 3, "solution": true, "task": false}
r"""
*Your answer here: double-click this line and write.*
"""

# %% [markdown] nbgrader={"grade": false, "grade_id": "infer-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
**Exercise 1.6 · asking the landscape** · 2 points · ★★☆ · 10 minutes

*Inference is a search. Sometimes one also searches for something that nobody asked for.*

(a) The best answer for each row of a table: $\check y = \arg\min_y F(x, y)$. Of several equally low ones, any will do.

(b) Often an answer can be judged only together with a **latent** $z$: which letter this is depends on how it is
slanted, which sentence this is depends on where its words begin. The machine computes $E(x, y, z)$, and inference looks
for the best pair, $(\check y, \check z) = \arg\min_{y, z} E(x, y, z)$. This is the same as
$\check y = \arg\min_y F(x, y)$ with $F(x, y) = \min_z E(x, y, z)$. Of several equally low pairs, any will do.

<details><summary>Hint</summary>

For (b) there are two ways: first the best latent *of each answer*, then the best answer; or one search over all pairs
at once. `argmin` of a flattened table gives one number. How do you get two indices back from it?

</details>
"""


# %% nbgrader={"grade": false, "grade_id": "infer-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def infer(F):
    """The best answer (B,) for each row of a table of energies F (B, n); whole numbers from 0 on."""
    raise NotImplementedError


def infer_latent(E):
    """The best pair for each example of a table E (B, n, k): E[b, y, z] is the energy of answer y with latent z.

    Returns a tuple of the answers (B,) and their latents (B,); whole numbers from 0 on.
    """
    raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "infer", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
def _check_infer():
    compare("y", kept(infer, torch.tensor([[2.0, -1.0, 3.0], [0.5, 0.7, 0.1]])), [1, 2])
    # Three answers, four latents. In the first table answer 0 is best on average, answer 1 with the right latent
    first = [[2.0, 2.0, 3.0, 4.0], [9.0, 9.0, 1.0, 8.0], [5.0, 6.0, 7.0, 5.0]]
    second = [[5.0, 0.0, 7.0, 3.0], [6.0, 8.0, 4.0, 9.0], [1.0, 2.0, 9.0, 2.0]]
    y, z = kept(infer_latent, torch.tensor([first, second]))
    compare("y of the best pair", y, [1, 0])
    compare("z of the best pair", z, [2, 1])


_check_infer()

# %% [markdown] nbgrader={"grade": false, "grade_id": "gibbs-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
## 2 · Likelihood

Now let $y$ be one of $n$ classes, and return to probabilities: the sum over all answers is short, so we can afford it.

**Exercise 2.1 · Gibbs, n classes** · 2 points · ★☆☆ · 10 minutes

*The formula of 1.2, row by row, and what becomes of it when it freezes or boils.*

(a) The probabilities for a batch, for any $\beta > 0$ and for energies of any size.

(b) One $x$ has the energies $F = (3, 1, 1, 6)$. What are the four probabilities in the limit $\beta \to 0$ (hot), and
what in the limit $\beta \to \infty$ (cold)? Numbers, please.

<details><summary>Hint</summary>

Each row needs a shift of its own. For the limits look at the *ratio* of two probabilities, and mind answers that are
equally good.

</details>
"""


# %% nbgrader={"grade": false, "grade_id": "gibbs-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def gibbs(F, beta):
    """Probabilities (B, n) of all answers for energies F (B, n), beta > 0; each row sums to 1."""
    raise NotImplementedError


# %% nbgrader={"grade": false, "grade_id": "limits-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
# p_hot = [… four numbers …]
# p_cold = [… four numbers …]
raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "gibbs", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
def _check_gibbs():
    F = torch.tensor([[0.0, math.log(3), math.log(3)], [math.log(2), 0.0, math.log(2)]])
    compare("probabilities, β = 2", kept(gibbs, F, 2.0), [[9 / 11, 1 / 11, 1 / 11], [1 / 6, 4 / 6, 1 / 6]])
    compare("β = 1", gibbs(F, 1.0), [[0.6, 0.2, 0.2], [0.25, 0.5, 0.25]])
    compare("rows far apart", gibbs(F.double() + torch.tensor([[4000.0], [-4000.0]]), 1.0), gibbs(F, 1.0))
    compare("one 5000 above the other", gibbs(torch.tensor([[5000.0, 0.0]]), 1.0), [[0.0, 1.0]])
    assert len(p_hot) == len(p_cold) == 4, "four probabilities in each limit"
    compare("sums of the limits", [float(sum(p_hot)), float(sum(p_cold))], [1.0, 1.0])


_check_gibbs()

# %% [markdown] nbgrader={"grade": false, "grade_id": "nll-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
**Exercise 2.2 · the loss** · 2 points by hand, 3 by machine · ★★☆ · 20 minutes

*From “make the right answers likely” to a formula with energies alone.*

Given independent training pairs $(x_1, y_1), \dots, (x_N, y_N)$ we want the $w$ under which the observed answers are
most probable. By hand: go from the product of the $p(y_b | x_b)$, in steps that you can name, to the loss of one pair,
scaled by $\frac{1}{\beta}$,

$$\ell(w) = -\frac{1}{\beta} \log p(y|x) = F_w(x, y) - A(x), \qquad A(x) = \;?$$

and find $A(x)$, the **free energy** of all $n$ answers together. What is the factor $\frac{1}{\beta}$ good for? Which
of the two terms pulls down, which pushes up? What does $\ell$ become as $\beta \to \infty$, and why?

By machine: (a) the free energy, for any β and energies of any size; (b) the loss; (c) for $F = (3, 1, 1, 6)$, where the
*first* answer is the right one, the limits of $\ell$ as $\beta \to 0$ and as $\beta \to \infty$ (`math.inf` is a
number, too).

<details><summary>Hint</summary>

The logarithm turns a product into a sum, and a quotient into a difference. To tame $A$, write every energy as the
lowest plus a rest, pull the lowest out of the sum and out of the logarithm. What is the rest worth as β grows?

</details>
"""

# %% [markdown] nbgrader={"grade": true, "grade_id": "nll-derivation", "locked": false, "points": 2, "schema_version": 3, "solution": true, "task": false}
r"""
*Your answer here: double-click this line and write.*
"""


# %% nbgrader={"grade": false, "grade_id": "nll-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def free_energy(F, beta):
    """A(x) for each row of a table of energies F (B, n), beta > 0: shape (B,)."""
    raise NotImplementedError


def nll(F, y, beta):
    """ℓ = −1/β log p(y|x) for energies F (B, n) and right answers y (B,), beta > 0: shape (B,)."""
    raise NotImplementedError


# %% nbgrader={"grade": false, "grade_id": "nll-limits-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
# nll_hot = …
# nll_cold = …
raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "nll", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def _check_nll():
    F, y = torch.tensor([[0.0, math.log(3), math.log(3)], [2.0, 2.0, 2.0]]), torch.tensor([1, 0])
    compare("free energies, β = 2", kept(free_energy, F, 2.0), [-math.log(11 / 9) / 2, 2 - math.log(3) / 2])
    compare("losses, β = 2", kept(nll, F, y, 2.0), [math.log(11) / 2, math.log(3) / 2])
    compare("losses, β = 1", nll(F, y, 1.0), [math.log(5), math.log(3)])
    compare("rows far apart", nll(F.double() + torch.tensor([[4000.0], [-4000.0]]), y, 1.0), nll(F, y, 1.0))
    compare("one 5000 above the other", nll(torch.tensor([[5000.0, 0.0]]), torch.tensor([0]), 1.0), [5000.0])
    assert 0 <= nll_cold < nll_hot, "a probability is at most 1, so no loss is negative; and here heat makes it larger"


_check_nll()


# %% nbgrader={"grade": false, "grade_id": "energy-network", "locked": true, "schema_version": 3, "solution": false, "task": false}
def energy_network(w, x, n):
    """F_w(x, y) for the answers y = 0, …, n − 1, as a row (1, n), by a network with one hidden layer of 5 units.

    w: all its weights, 5 · (len(x) + n + 2) numbers in a column; x: a vector. An answer goes in as a one-hot vector.
    """
    pairs = torch.cat([x.expand(n, -1), torch.eye(n, dtype=x.dtype)], dim=1)  # (n, len(x) + n)
    W, b, v = w[:, 0].split([5 * pairs.shape[1], 5, 5])
    return (torch.tanh(pairs @ W.reshape(5, -1).T + b) @ v)[None]


def measured(f, w):
    """∂f/∂w by autograd: a row for each entry of f(w), a column for each weight."""
    return torch.autograd.functional.jacobian(f, w).reshape(-1, w.numel())


# %% [markdown] nbgrader={"grade": false, "grade_id": "nll-gradient-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
**Exercise 2.3 · the gradient** · 2 points by hand, 3 by machine · ★★☆ · 20 minutes

*The most beautiful line of this sheet: what is, minus what the machine believes.*

The cell above is a small energy network, with which the checks measure. By hand: derive
$\frac{\partial \ell}{\partial w}$ of the loss of 2.2 from the rows $\frac{\partial F_w(x, y')}{\partial w}$, one for
each answer $y'$, and from probabilities. Read it as an *expected value*, and explain in a sentence when the gradient
is zero. How does β enter?

By machine: (a) the gradient by the energies; (b) with the rows $\frac{\partial F}{\partial w}$ at hand, the gradient by
the weights.

<details><summary>Hint</summary>

What is the derivative of $\log \sum_{y'} e^{-\beta F_{y'}}$ by one of the energies, $F_i$? You have seen that quotient.
The right answer appears in both terms of ℓ. For (b): the loss depends on $w$ through $n$ energies, and the chain rule
reads from left to right.

</details>
"""

# %% [markdown] nbgrader={"grade": true, "grade_id": "nll-gradient-derivation", "locked": false, "points": 2, "schema_version": 3, "solution": true, "task": false}
r"""
*Your answer here: double-click this line and write.*
"""


# %% nbgrader={"grade": false, "grade_id": "nll-gradient-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def nll_gradient(F, y, beta):
    """∂ℓ/∂F for energies F (B, n) and right answers y (B,): shape (B, n), row b for the loss of example b."""
    raise NotImplementedError


def nll_weight_gradient(F, J, y, beta):
    """∂ℓ/∂w for one example: F (1, n), y (1,), and J (n, P), whose row i is ∂F(x, i)/∂w. Returns a row (1, P)."""
    raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "nll-gradient", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def _check_nll_gradient():
    F, y = torch.tensor([[0.0, math.log(3), math.log(3)], [math.log(2), 0.0, math.log(2)]]), torch.tensor([1, 0])
    right = [[-9 / 11, 10 / 11, -1 / 11], [5 / 6, -4 / 6, -1 / 6]]
    compare("∂ℓ/∂F, β = 2", kept(nll_gradient, F, y, 2.0), right)
    compare("∂ℓ/∂F, β = 1", nll_gradient(F, y, 1.0), [[-0.6, 0.8, -0.2], [0.75, -0.5, -0.25]])
    (x, w), y = numbers((3,), (5 * (3 + 4 + 2), 1), seed=1), torch.tensor([1])
    F, J = energy_network(w, x, 4), measured(lambda w: energy_network(w, x, 4), w)
    right = measured(lambda w: functional.cross_entropy(-0.7 * energy_network(w, x, 4), y) / 0.7, w)
    compare("∂ℓ/∂w of a network", kept(nll_weight_gradient, F, J, y, 0.7), right)


_check_nll_gradient()

# %% [markdown] nbgrader={"grade": false, "grade_id": "sampling-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
**Exercise 2.4 · too many answers** · 1 point by hand, 2 by machine · ★★★ · 20 minutes

*An expected value over all pictures, all sentences, all of $\mathbb{R}^{1000}$. Who is going to compute that?*

(a) If you cannot sum over all answers, draw some: $S$ answers $y_1, \dots, y_S$ from $p(\cdot|x)$. Write an estimate of
$\frac{\partial \ell}{\partial w}$ that is right on average.

(b) But how do you draw from $p$ without its denominator? Let walkers loose on the landscape. At each step a walker at
$y$ goes down the slope, and is kicked at random:

$$y \;\leftarrow\; y - \eta\, \frac{\partial F(x, y)}{\partial y} + s \cdot \text{noise},$$

with standard normal noise. Find the strength $s$ of the kicks, depending on η and β alone, with which the crowd, for
small $\eta$, comes to rest in Gibbs' distribution. This is **Langevin's** way of sampling.

By hand: why is the gradient of 2.3 intractable, in general? Name two ways around it, and for each the price.

<details><summary>Hint</summary>

Test (b) on $F = \frac{a}{2} y^2$, where $y - \eta a y = (1 - \eta a)\, y$. If the crowd has the variance $v$ before the
step, which variance has it afterwards? It should be unchanged at the $v$ that you found in 1.2. Drop what is quadratic
in $\eta$.

</details>
"""

# %% [markdown] nbgrader={"grade": true, "grade_id": "sampling-words", "locked": false, "points": 1, "schema_version": 3, "solution": true, "task": false}
r"""
*Your answer here: double-click this line and write.*
"""


# %% nbgrader={"grade": false, "grade_id": "sampling-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def sampled_gradient(J_right, J_drawn):
    """An estimate of ∂ℓ/∂w, a row (1, P).

    J_right (1, P): ∂F/∂w at the right answer; J_drawn (S, P): row s is ∂F/∂w at the drawn answer y_s
    """
    raise NotImplementedError


def langevin_step(y, slope, beta, eta, noise):
    """The walkers after one step: y, the slope ∂F/∂y and the noise (standard normal) are tensors of one shape."""
    raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "sampling", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
def _check_sampling():
    J_drawn = torch.tensor([[1.0, 0.0], [0.0, 4.0], [1.0, 0.0], [0.0, 0.0]])
    compare("estimate", kept(sampled_gradient, torch.tensor([[2.0, 3.0]]), J_drawn), [[1.5, 2.0]])
    kept(langevin_step, *torch.ones(2, 3), 0.4, 0.01, torch.ones(3))
    torch.manual_seed(0)
    walkers = torch.randn(20_000)
    for _ in range(300):  # with a = 4 and β = 0.4
        noise = torch.randn(20_000)
        walkers = torch.as_tensor(langevin_step(walkers, 4 * walkers, beta=0.4, eta=0.01, noise=noise)).float()
    compare("variance of the crowd", walkers.var(), 0.625, tolerance=0.04)


_check_sampling()


# %% nbgrader={"grade": false, "grade_id": "sampling-figure", "locked": true, "schema_version": 3, "solution": false, "task": false} tags=["demo"]
def _figure():
    def draw_walkers(ax):
        torch.manual_seed(1)
        walkers, y = 0.2 * torch.randn(4000) + 1.5, torch.linspace(-2, 2, 401)  # all of them start on the right
        for _ in range(3000):
            slope, noise = 8 * walkers * (walkers**2 - 1) + 0.3, torch.randn(4000)
            walkers = torch.as_tensor(langevin_step(walkers, slope, 1.5, 0.01, noise)).float()
        ax.hist(walkers, 60, density=True, color=BLUE, alpha=0.5, label="4000 walkers")
        ax.plot(y, gibbs_density(2 * (y**2 - 1) ** 2 + 0.3 * y, 0.01, 1.5), color=RED, label="Gibbs")
        ax.set(xlabel="y", ylabel="p", title="Your walkers in two valleys, β = 1.5")
        ax.legend(fontsize=8)


    def draw_misses(ax):
        x, w = numbers((3,), (5 * (3 + 50 + 2), 1), seed=2)
        F, J = energy_network(w, x, 50), measured(lambda w: energy_network(w, x, 50), w)
        exact = torch.as_tensor(nll_weight_gradient(F, J, torch.tensor([7]), 1.0))
        amounts, misses = [1, 4, 16, 64, 256, 1024, 4096], []
        for S in amounts:
            drawn = torch.multinomial(torch.as_tensor(gibbs(F, 1.0))[0], 20 * S, replacement=True).reshape(20, S)
            estimates = (torch.as_tensor(sampled_gradient(J[7:8], J[row])) for row in drawn)
            misses.append(sum(float((estimate - exact).norm()) for estimate in estimates) / 20)
        ax.loglog(amounts, misses, "o-", color=GREEN)
        ax.set(xlabel="drawn answers S", ylabel="distance", title="Sampled from the exact gradient")


    figure, axes = plt.subplots(1, 2, figsize=(9, 2.8), layout="constrained")
    draw_walkers(axes[0])
    draw_misses(axes[1])
    plt.show()


_figure()

# %% [markdown] nbgrader={"grade": false, "grade_id": "ends-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
*In the figure: on the left a histogram of walkers, who all began on the right, and a line, Gibbs' density; they agree,
in both valleys. On the right, both axes logarithmic, the distance of the sampled from the exact gradient falls along a
straight line: a hundred times as many answers make it ten times as good.*

**Exercise 2.5 · to the ends of the world** · 2 points by hand, 3 by machine · ★★★ · 20 minutes

*When is the likelihood satisfied?*

(a) The same $x$ was seen often, and its $n$ answers came with the frequencies $q_1, \dots, q_n$. Which energies make
the mean loss $\sum_i q_i\, \ell_i$ least? Fix the free constant so that the lowest energy is 0. (A frequency may be 0.)

(b) Let all $n - 1$ wrong answers have one energy, higher by a gap $\Delta$ than the right one's. At which gap has the
push $\left|\frac{\partial \ell}{\partial F(x, y)}\right|$ on the right answer fallen to a given $g$, $0 < g < 1$?

(c) With these changes, does the gap stay below some bound *however long one trains*, on a training set where each $x$
has one right answer? The network is large. Give the set of letters for which it does.

- **A** A penalty $\lambda \lVert w \rVert^2$ with a fixed $\lambda > 0$ is added to the loss.
- **B** A smaller learning rate.
- **C** A larger β.
- **D** The network ends in a σ, so that every energy is between 0 and 1.
- **E** The mean of the $n$ energies of an $x$ is subtracted from each of them.
- **F** Label smoothing: the right answer counts 0.9, and the others share 0.1.
- **G** In place of the likelihood, the loss $[m + F(x, y) - F(x, \bar y)]_+$ with the lowest wrong answer $\bar y$.

By hand: explain why the likelihood pushes the energy of the right answer towards $-\infty$ and those of all others
towards $+\infty$ (relative to each other). What does this mean for a *continuous* $y$ whose data lie on a thin curve,
such as all good photographs among all pictures? Why is such a landscape bad to work with?

<details><summary>Hint</summary>

At the least mean loss the gradient by each energy is zero; average your result of 2.3 over the answers. For (b) the
push is one minus a probability. For (c): is the smallest loss attained anywhere, and does its gradient ever vanish?

</details>
"""


# %% nbgrader={"grade": false, "grade_id": "ends-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def best_energies(q, beta):
    """Energies (n,) with the least mean loss for frequencies q (n,) that sum to 1; the lowest energy is 0."""
    raise NotImplementedError


def gap_for_push(n, beta, g):
    """The gap Δ at which the push on the right answer among n is g, 0 < g < 1: a number."""
    raise NotImplementedError


# %% nbgrader={"grade": false, "grade_id": "bounded-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
# bounded = {"…", …}
raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "ends", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def _check_ends():
    right = [math.log(5 / 3) / 2, 0.0, math.log(5 / 2) / 2]
    compare("3 : 5 : 2, β = 2", kept(best_energies, torch.tensor([0.3, 0.5, 0.2]), 2.0), right)
    often, never = best_energies(torch.tensor([1.0, 0.0]), 1.0)
    assert often == 0 and never == math.inf, "an answer that never comes can never be too high"
    compare("gap for 1/11", gap_for_push(6, 2.0, 1 / 11), math.log(50) / 2)
    compare("gap for a quarter", gap_for_push(2, 1.0, 1 / 4), math.log(3))
    letters(bounded, "ABCDEFG")


_check_ends()

# %% [markdown] nbgrader={"grade": true, "grade_id": "ends-words", "locked": false, "points": 2, "schema_version": 3, "solution": true, "task": false}
r"""
*Your answer here: double-click this line and write.*
"""


# %% nbgrader={"grade": false, "grade_id": "moons-tools", "locked": true, "schema_version": 3, "solution": false, "task": false} tags=["demo"]
def _figure():
    from sklearn.datasets import make_moons

    torch.set_num_threads(1)  # several threads on so small a network get in each other's way
    moons = torch.tensor(make_moons(400, noise=0.04, random_state=0)[0]).float()  # (400, 2): x across, y up
    answers, questions = torch.linspace(-1.2, 1.7, 59), torch.linspace(-1.4, 2.4, 77)


    def moon_energies(net, xs):
        """The table of energies (len(xs), 59) of every x with every answer of the grid."""
        return net(torch.cartesian_prod(xs, answers)).reshape(len(xs), 59)


    def train_on_moons(push, steps, keep):
        """Train a small energy network on the two moons; the table for all questions after each number of steps in keep.

    push: from energies (B, 59) and right answers (B,), as indices on the grid, to the gradient by the energies
    """
        torch.manual_seed(0)
        layers = torch.nn.Linear(2, 48), torch.nn.SiLU(), torch.nn.Linear(48, 48), torch.nn.SiLU(), torch.nn.Linear(48, 1)
        net, tables = torch.nn.Sequential(*layers), []
        net[0].weight.data *= 4  # so that it can see fine detail from the beginning
        optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
        for step in range(steps + 1):
            if step in keep:
                tables.append(moon_energies(net, questions).detach())
            pairs = moons[torch.randint(len(moons), (64,))]
            F = moon_energies(net, pairs[:, 0])
            right = (pairs[:, 1:] - answers).abs().argmin(dim=1)
            optimizer.zero_grad()
            gradient = torch.as_tensor(push(F.detach(), right)).to(F.dtype)  # here your gradient takes over
            F.backward(gradient / len(F))
            optimizer.step()
        return tables


    def draw_landscape(ax, table, title):
        """What inference sees: each energy above the lowest for the same x, cut at 3."""
        above = (table - table.min(dim=1, keepdim=True).values).clamp(max=3)
        picture = ax.imshow(above.T, origin="lower", extent=(-1.4, 2.4, -1.2, 1.7), aspect="auto", cmap="viridis", vmax=3)
        ax.plot(*moons[::3].T, ".", color="white", markersize=2)
        ax.set(title=title, xlabel="x", ylabel="y")
        return picture
    return answers, draw_landscape, questions, train_on_moons


answers, draw_landscape, questions, train_on_moons = _figure()


# %% nbgrader={"grade": false, "grade_id": "moons-likelihood", "locked": true, "schema_version": 3, "solution": false, "task": false} tags=["demo"]
def _figure():
    print("training with the likelihood, for some five seconds …")
    marks = (0, 100, 400, 1200)
    tables = train_on_moons(lambda F, right: nll_gradient(F, right, 1.0), 1200, marks)
    figure, axes = plt.subplots(1, 4, figsize=(14, 3.2), layout="constrained")
    for ax, mark, table in zip(axes, (0, 100, 1200), (tables[0], tables[1], tables[3]), strict=False):
        picture = draw_landscape(ax, table, f"{mark} steps")
    figure.colorbar(picture, ax=axes[2], label="energy above the lowest")
    for mark, table, style in zip(marks, tables, (":", "-.", "--", "-"), strict=True):
        axes[3].plot(answers, table[38] - table[38].min(), style, color=BLUE, label=f"{mark} steps")
    axes[3].set(xlabel="y", ylabel="energy", title=f"Along x = {questions[38]:.1f}")
    axes[3].legend(fontsize=8)
    plt.show()
    return tables


tables = _figure()

# %% [markdown] nbgrader={"grade": false, "grade_id": "corners-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
*In the figure: the landscape of a network that learns two crescents with your gradient; white points are the data, dark
is low. Before training it is nearly flat; after 100 steps there is a broad basin, after 1200 two sharp canyons, one for
each crescent. On the right a cut along one x: with every hundred steps the walls are higher; look at the numbers on the
axis.* There was room for two answers, and the walls keep growing.

## 3 · Contrast

The likelihood looks at *all* answers. The losses of this part look at two: $F^+ = F_w(x, y^+)$, the energy of a right
answer, and $F^- = F_w(x, \bar y)$, the energy of a wrong one. With a margin $m > 0$,

| | |
| --- | --- |
| simple | $[F^+]_+ + [m - F^-]_+$ |
| hinge | $[m + F^+ - F^-]_+$ |
| log, or soft hinge | $\log\bigl(1 + e^{F^+ - F^-}\bigr)$ |
| square–square | $[F^+]_+^2 + [m - F^-]_+^2$ |

**Exercise 3.1 · two with corners** · 2 points by hand, 2 by machine · ★★☆ · 20 minutes

*Push, until it is good enough. Then stop.*

By hand, for the simple and the hinge loss: derive $\frac{\partial \ell}{\partial w}$ from the rows
$\frac{\partial F^+}{\partial w}$ and $\frac{\partial F^-}{\partial w}$, say for which energies nothing moves any more,
and whether the loss knows about the *level* of the energies or about their difference only. By machine: for a batch of
pairs the loss, and its derivatives by the two energies.

<details><summary>Hint</summary>

What is the slope of $[a]_+$ on either side of 0? (What you choose at the corner itself does not matter here.) How many
corners has each of the two losses, and does a corner of the one depend on the other energy?

</details>
"""

# %% [markdown] nbgrader={"grade": true, "grade_id": "corners-derivation", "locked": false, "points": 2, "schema_version": 3, "solution": true, "task": false}
r"""
*Your answer here: double-click this line and write.*
"""


# %% nbgrader={"grade": false, "grade_id": "corners-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def simple_loss(F_pos, F_neg, m):
    """The simple loss for energies F_pos, F_neg (B,): a tuple of ℓ (B,), ∂ℓ/∂F⁺ (B,), ∂ℓ/∂F⁻ (B,)."""
    raise NotImplementedError


def hinge_loss(F_pos, F_neg, m):
    """The hinge loss; shapes as above."""
    raise NotImplementedError


# %% nbgrader={"grade": false, "grade_id": "corners-tools", "locked": true, "schema_version": 3, "solution": false, "task": false}
def check_pair_loss(name, yours, right):
    """Hold a loss and its derivatives against autograd, for six pairs and through the small energy network."""
    pairs = torch.tensor([[0.5, 0.2], [-0.4, 0.3], [-0.7, 1.9], [3.0, 0.1], [0.4, 2.5], [-2.0, -2.5]])
    leaves = [column.clone().requires_grad_() for column in pairs.T]
    loss, d_pos, d_neg = kept(yours, *pairs.T)
    compare(f"{name}: ℓ", loss, right(*leaves))
    right_pos, right_neg = torch.autograd.grad(right(*leaves).sum(), leaves)
    compare(f"{name}: ∂ℓ/∂F⁺", d_pos, right_pos)
    compare(f"{name}: ∂ℓ/∂F⁻", d_neg, right_neg)
    x, w = numbers((3,), (5 * (3 + 4 + 2), 1), seed=3)
    F, J = energy_network(w, x, 4), measured(lambda w: energy_network(w, x, 4), w)
    _, d_pos, d_neg = map(torch.as_tensor, yours(F[:, 2], F[:, 0]))  # answer 2 is right, answer 0 is wrong
    through = measured(lambda w: right(*energy_network(w, x, 4)[0, [2, 0]]), w)
    compare(f"{name}: ∂ℓ/∂w", d_pos * J[2] + d_neg * J[0], through[0])


# %% nbgrader={"grade": true, "grade_id": "corners", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
def _check_corners():
    relu = functional.relu
    check_pair_loss("simple", lambda a, b: simple_loss(a, b, 1.5), lambda a, b: relu(a) + relu(1.5 - b))
    check_pair_loss("hinge", lambda a, b: hinge_loss(a, b, 1.5), lambda a, b: relu(1.5 + a - b))


_check_corners()

# %% [markdown] nbgrader={"grade": false, "grade_id": "smooth-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
**Exercise 3.2 · two smooth ones** · 2 points by hand, 2 by machine · ★★☆ · 20 minutes

*The same ideas without corners.*

By hand: the same questions for the log loss and for square–square. By machine: the same, too. Differences $F^+ - F^-$
of a thousand, up or down, must not break your log loss.

<details><summary>Hint</summary>

The derivative of $\log(1 + e^a)$ is an old acquaintance. For large $a$ the loss is nearly $a$: pull the larger of $a$
and 0 out of the logarithm, as you did with the lowest energy in 2.2. (PyTorch has functions that know this.)

</details>
"""

# %% [markdown] nbgrader={"grade": true, "grade_id": "smooth-derivation", "locked": false, "points": 2, "schema_version": 3, "solution": true, "task": false}
r"""
*Your answer here: double-click this line and write.*
"""


# %% nbgrader={"grade": false, "grade_id": "smooth-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def log_loss(F_pos, F_neg):
    """The log loss for energies F_pos, F_neg (B,): a tuple of ℓ (B,), ∂ℓ/∂F⁺ (B,), ∂ℓ/∂F⁻ (B,)."""
    raise NotImplementedError


def square_square_loss(F_pos, F_neg, m):
    """The square–square loss; shapes as above."""
    raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "smooth", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
def _check_smooth():
    check_pair_loss("log", log_loss, lambda a, b: functional.softplus(a - b))
    loss, d_pos, d_neg = log_loss(torch.tensor([1000.0, 0.0, 100.0]), torch.tensor([0.0, 1000.0, 0.0]))
    compare("ℓ, differences up to ±1000", loss, [1000.0, 0.0, 100.0])
    compare("its ∂ℓ/∂F⁺", d_pos, [1.0, 0.0, 1.0])
    compare("its ∂ℓ/∂F⁻", d_neg, [-1.0, 0.0, -1.0])
    relu = functional.relu
    check_pair_loss("sq–sq", lambda a, b: square_square_loss(a, b, 1.5), lambda a, b: relu(a) ** 2 + relu(1.5 - b) ** 2)


_check_smooth()


# %% nbgrader={"grade": false, "grade_id": "losses-figure", "locked": true, "schema_version": 3, "solution": false, "task": false} tags=["demo"]
def _figure():
    def draw_loss(ax, name, loss):
        pos, neg = torch.meshgrid(torch.linspace(-1, 3, 81), torch.linspace(-1, 3, 81), indexing="xy")  # F⁺ across, F⁻ up
        value, d_pos, d_neg = (torch.as_tensor(part).reshape(81, 81) for part in loss(pos.flatten(), neg.flatten()))
        ax.contourf(pos, neg, value, 14, cmap="viridis")
        here = (slice(4, None, 12), slice(4, None, 12))
        ax.quiver(pos[here], neg[here], -d_pos[here], -d_neg[here], color="white", width=0.012)
        ax.plot([-1, 3], [-1, 3], ":", color=ORANGE)
        ax.set(title=name, xlabel="F⁺", ylabel="F⁻", aspect="equal")


    figure, axes = plt.subplots(1, 4, figsize=(14, 3.4), layout="constrained")
    draw_loss(axes[0], "simple", lambda a, b: simple_loss(a, b, 1.0))
    draw_loss(axes[1], "hinge", lambda a, b: hinge_loss(a, b, 1.0))
    draw_loss(axes[2], "log", log_loss)
    draw_loss(axes[3], "square–square", lambda a, b: square_square_loss(a, b, 1.0))
    plt.show()


_figure()

# %% [markdown] nbgrader={"grade": false, "grade_id": "margins-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
*In the figure: the four losses over the plane of $F^+$ (across) and $F^-$ (up), dark where they are low; white arrows
show how they move a pair of energies, against the gradient. On the dotted diagonal right and wrong are equal; above it
inference is right. For simple and square–square the arrows lead to the upper left corner and end there, with equal
lengths in the one and ever shorter in the other. For hinge and log all arrows are parallel; those of the hinge end at a
line above the diagonal, those of log fade.*

**Exercise 3.3 · all of them or one** · 2 points by hand, 2 by machine · ★★☆ · 15 minutes

*How much does a loss have to see, and how much does it want?*

(a) The hinge for a table: with right answer $y$, take the *most offending* wrong answer as $\bar y$. Write the gradient
of this loss by all energies of the row, as you did for the likelihood in 2.3.

(b) Which statements about the log loss are true? Give the set of letters.

- **A** Its derivative by $F^+$ changes continuously from 0 to 1, while that of the hinge jumps.
- **B** It is exactly zero as soon as the gap $F^- - F^+$ is large enough.
- **C** It pushes a pair that is violated by 100 ten times as hard as one that is violated by 10.
- **D** A pair that is right by a hair is still pushed on, and no margin has to be chosen for this.
- **E** It is the likelihood of 2.2 for $n = 2$ answers, with $\beta = 1$.
- **F** It keeps the energies of right answers near 0.
- **G** It is bounded: no pair, however wrong, costs more than a fixed amount.

By hand: (i) compare the likelihood with margin losses: which answers do they look at, with what strength, when are they
content, and what must be computed? (ii) Name two advantages that the log loss has over the hinge, with reasons.

<details><summary>Hint</summary>

For (a): the lowest of a row may be the right answer; that one must not be taken. Nothing happens where the margin is
kept. For (b) and (ii) look at the two middle pictures above.

</details>
"""


# %% nbgrader={"grade": false, "grade_id": "margins-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def table_hinge_gradient(F, y, m):
    """∂ℓ/∂F of the hinge with the most offending wrong answer: F (B, n), n ≥ 2, y (B,), m > 0. Shape (B, n)."""
    raise NotImplementedError


# %% nbgrader={"grade": false, "grade_id": "log-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
# true_of_log = {"…", …}
raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "margins", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
def _check_margins():
    F = torch.tensor([[0.0, 0.5, 2.0], [3.0, 1.0, 0.0], [0.0, 4.0, 5.0], [2.0, 9.0, 2.0]])
    y, right = torch.tensor([0, 1, 0, 0]), [[1.0, -1.0, 0.0], [0.0, 1.0, -1.0], [0.0, 0.0, 0.0], [1.0, 0.0, -1.0]]
    compare("∂ℓ/∂F, m = 0.8", kept(table_hinge_gradient, F, y, 0.8), right)
    compare("energies near 3000", table_hinge_gradient(F + 3000, y, 0.8), right)
    letters(true_of_log, "ABCDEFG")
    print("for comparison, the likelihood's:", nll_gradient(F, y, 1.0), sep="\n")


_check_margins()

# %% [markdown] nbgrader={"grade": true, "grade_id": "margins-words", "locked": false, "points": 2, "schema_version": 3, "solution": true, "task": false}
r"""
*Your answer here: double-click this line and write.*
"""

# %% [markdown] nbgrader={"grade": false, "grade_id": "doubt-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
**Exercise 3.4 · doubtful labels** · 1 point by hand, 2 by machine · ★★★ · 15 minutes

*The same answer, called right by some and wrong by others. Where does its energy come to rest?*

A share $1 - \epsilon$ of all people calls a pair $(x, y)$ right, so that its energy $e$ appears as an $F^+$; the others
call it wrong, so that it appears as an $F^-$. Keep only the terms with $e$: the simple loss is, on average,
$(1 - \epsilon)\, [e]_+ + \epsilon\, [m - e]_+$, and square–square is the same with squares. By machine: the $e$ that
makes it least, for $0 < \epsilon < 1$, $\epsilon \ne \frac12$.

By hand: compare simple and square–square: the push on a large violation, the push on a small one, and what your two
results say. When would you prefer the one, and when the other?

<details><summary>Hint</summary>

Draw both averages over $e$, for $\epsilon = 0.1$ and $m = 1$. One consists of straight lines, and those have their
minimum at a corner. Where is the slope of the other zero?

</details>
"""


# %% nbgrader={"grade": false, "grade_id": "doubt-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def simple_rest(eps, m):
    """The energy at which the mean simple loss is least, for a share eps ≠ ½ of “wrong”: a number."""
    raise NotImplementedError


def square_square_rest(eps, m):
    """The same for the mean square–square loss."""
    raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "doubt", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
def _check_doubt():
    def check_rest(name, rest, power):
        for eps, m in ((0.01, 3.0), (0.25, 2.0), (0.7, 1.5)):
            e = torch.as_tensor(float(rest(eps, m)), dtype=torch.double) + torch.tensor([0.0, -0.01, 0.01])
            mean = (1 - eps) * e.clamp(min=0) ** power + eps * (m - e).clamp(min=0) ** power
            assert (mean[1:] > mean[0]).all(), f"{name}, ε = {eps}: the mean is less beside e = {float(e[0]):.3f}"
            print(f"ok  {name}, ε = {eps}: at rest")


    check_rest("simple", simple_rest, 1)
    check_rest("square–square", square_square_rest, 2)


_check_doubt()

# %% [markdown] nbgrader={"grade": true, "grade_id": "doubt-words", "locked": false, "points": 1, "schema_version": 3, "solution": true, "task": false}
r"""
*Your answer here: double-click this line and write.*
"""


# %% nbgrader={"grade": false, "grade_id": "moons-contrast", "locked": true, "schema_version": 3, "solution": false, "task": false} tags=["demo"]
def _figure():
    def with_random_wrong_answers(loss):
        """The gradient by all energies of a row when one wrong answer is drawn at random."""

        def push(F, right):
            rows = torch.arange(len(F))
            wrong = (right + torch.randint(1, F.shape[1], (len(F),))) % F.shape[1]
            gradient = torch.zeros_like(F)
            _, d_pos, d_neg = loss(F[rows, right], F[rows, wrong])
            gradient[rows, right], gradient[rows, wrong] = (torch.as_tensor(d).to(F.dtype) for d in (d_pos, d_neg))
            return gradient

        return push


    pushes = {
        "simple": with_random_wrong_answers(lambda a, b: simple_loss(a, b, 1.0)),
        "hinge": with_random_wrong_answers(lambda a, b: hinge_loss(a, b, 1.0)),
        "log": with_random_wrong_answers(log_loss),
        "square–square": with_random_wrong_answers(lambda a, b: square_square_loss(a, b, 1.0)),
    }
    print("training with four losses, for some eight seconds …")
    figure, axes = plt.subplots(2, 3, figsize=(12, 6.2), layout="constrained")
    draw_landscape(axes[0, 0], tables[0], "before training")
    styles = ("-", GREEN), ("--", RED), (":", ORANGE), ("-.", "black")
    for ax, (name, push), (style, colour) in zip(axes.flat[1:], pushes.items(), styles, strict=False):
        (table,) = train_on_moons(push, 600, (600,))
        picture = draw_landscape(ax, table, f"{name}, highest {float((table.T - table.min(dim=1).values).max()):.0f}")
        axes[1, 2].plot(answers, table[38] - table[38].min(), style, color=colour, label=name)
    figure.colorbar(picture, ax=axes[0, 2], label="energy above the lowest")
    axes[1, 2].plot(answers, tables[2][38] - tables[2][38].min(), color=BLUE, linewidth=2.5, label="likelihood")
    axes[1, 2].set(xlabel="y", ylabel="energy above the lowest", title=f"Along x = {questions[38]:.1f}", ylim=(0, 17))
    axes[1, 2].legend(fontsize=8, loc="upper center", ncols=2, framealpha=1)
    plt.show()


_figure()

# %% [markdown] nbgrader={"grade": false, "grade_id": "closing", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
*In the figure: first the flat landscape of the untrained network, then what becomes of it on the same crescents after
600 steps with each of your losses and wrong answers drawn at random; over each stands its highest energy. Square–square
digs the broadest valleys with the gentlest sides; simple, hinge and log, in this order, dig narrower ones with higher
walls. In the last picture all of them along one x, and the likelihood after 400 steps (thick), steepest of all.*

**What you take along**

- An energy judges a pair. It may be low at many answers, and it owes nothing to a denominator.
- Only pulling down floods the country: every loss needs something that pushes up, be it wrong answers, a
  construction that cannot collapse, or a price on lowlands.
- The likelihood's gradient is what was observed minus what the machine expects. It needs all answers or a crowd of
  walkers, and it is never satisfied.
- Margins are content. Some losses know levels, others only differences; some vote, others take means.
- Subtract the lowest energy before you exponentiate.

In the next notebook answers are words, latents are ways to cut them into letters, and the search for the best way is an
algorithm that you write yourself.
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
        "1.1 circle",
        "1.2 gibbs-density",
        "1.3 role",
        "1.4 collapse",
        "1.5 negatives",
        "1.6 infer",
        "2.1 gibbs",
        "2.2 nll",
        "2.3 nll-gradient",
        "2.4 sampling",
        "2.5 ends",
        "3.1 corners",
        "3.2 smooth",
        "3.3 margins",
        "3.4 doubt",
    ],
    [
        "1.2 gibbs-density-words",
        "1.3 role-words",
        "1.4 collapse-words",
        "1.5 negatives-words",
        "2.2 nll-derivation",
        "2.3 nll-gradient-derivation",
        "2.4 sampling-words",
        "2.5 ends-words",
        "3.1 corners-derivation",
        "3.2 smooth-derivation",
        "3.3 margins-words",
        "3.4 doubt-words",
    ],
    {
        4281989: "BLUE compare GREEN kept letters numbers ORANGE RED relative_error",
        1628162333: "energy_network measured",
        2458322721: "answers draw_landscape questions train_on_moons",
        781335846: "tables",
        2299077513: "check_pair_loss",
    },
    "*Your answer here: double-click this line and write.*",
)
