# %% [markdown] nbgrader={"grade_id": "header", "locked": true}
r"""
# Energies, probabilities and losses

A classifier says how *likely* each answer is. An energy says only how badly a question and an answer fit: low energy,
good fit (LeCun et al., "A tutorial on energy-based learning", 2006).

**What you will build.** Energies, Gibbs' formula, the negative log-likelihood with its gradient, random walkers, and
four losses that compare a right answer with a wrong one.

| part | you answer | points by machine | by hand | minutes |
| --- | --- | --- | --- | --- |
| 1 Landscapes | two answers, Gibbs, collapse, wrong answers | 2+2+4+3 | 2+1½+1½ | 85 |
| 2 Likelihood | probabilities, loss, gradient, sampling, no end | 5+5+3 | 2+3+1½ | 90 |
| 3 Contrast | four losses, tables, a prediction | 4+4+½ | 3+3 | 65 |
| 4 Noise to data | a diffusion model, optional | – | – | (30) |
| **total** | **50 points** | **32½** | **17½** | **240** |

**You need** homework 1 and probability densities. Everything runs in under a minute on a CPU.

**How to work.** Cells that say *Your answer here* take words or LaTeX; a person marks them. Cells with `raise
NotImplementedError` take code. A check below tries it on an example. The grader uses other numbers, and sizes from 1
up.
"""

# %% nbgrader={"grade_id": "helpers", "locked": true}
# @title Imports, and helpers for checks and figures. Run this cell; you need not read it.
import math

import matplotlib.pyplot as plt
import torch
from torch.nn import functional

from common import BLUE, GREEN, RED, compare, numbers, show_figure


def letters(answer, allowed):
    """Fails unless `answer` holds letters from `allowed` only; a dictionary needs a key for each of them."""
    missing = set(allowed) - set(answer) if isinstance(answer, dict) else set()
    assert not missing, f"there is no answer yet for {', '.join(sorted(missing))}"
    assert answer and set(answer) <= set(allowed), f"choose letters from {allowed[0]} to {allowed[-1]}"
    print("ok  letters only; the grader checks whether they are right")


def kept(function, *given):
    """What your function returns. Fails if the function changes a tensor that it is given."""
    before = [torch.as_tensor(thing).clone() for thing in given]
    answer = function(*given)
    for old, new in zip(before, given, strict=True):
        assert torch.equal(old, torch.as_tensor(new)), "your function changes a tensor that it is given"
    return answer


def check_pair_loss(name, yours, values):
    """Compare a loss of six pairs with its values, and its derivatives with slopes measured on your loss."""
    pos, neg = torch.tensor([[0.5, -0.4, -0.7, 3.0, 0.4, -2.0], [0.2, 0.3, 1.9, 0.1, 2.5, -2.5]], dtype=torch.double)

    def slope(a, b):
        above, below = (torch.as_tensor(yours(pos + h * a, neg + h * b)[0]).double() for h in (0.01, -0.01))
        return (above - below) / 0.02

    loss, d_pos, d_neg = kept(yours, pos, neg)
    compare(f"{name}: ℓ", loss, values)
    compare(f"{name}: ∂ℓ/∂F⁺", d_pos, slope(1, 0), tolerance=1e-3)
    compare(f"{name}: ∂ℓ/∂F⁻", d_neg, slope(0, 1), tolerance=1e-3)


# %% [markdown] nbgrader={"grade_id": "circle-text", "locked": true}
r"""
## Notation

**Energies.** $F_w(x,y)$ is a number, low where the answer $y$ fits the question $x$. $w$ is the column of all $P$
weights. To **infer** is to find the $y$ of lowest energy.

**Tables.** `F[b, i]` is the energy of example `b` with answer `i`, counted from 0; `F` has shape `(B, n)`. Right
answers are whole numbers `y` of shape `(B,)`.

**Gradients.** Numerator layout: $\frac{\partial{F}}{\partial{w}}$ is a row, $1\times{P}$. $\partial\ell/\partial{F}$
has the shape of `F`; its row `b` belongs to the loss of example `b`.

**Symbols.** $[a]_+=\max(a,0)$. $\beta>0$ is the inverse temperature: large β means cold.

**Rules.** Your answers must not use automatic differentiation; cells that you add may. All other functions of PyTorch
and NumPy are allowed, such as `softmax`, `logsumexp` and `cross_entropy`. Differences of values (numerical gradients)
are allowed, but they are inexact, and they are no derivation. Your functions must not change the tensors that they are
given. They may return tensors, NumPy arrays, lists or numbers.

## 1 · Landscapes

**Exercise 1.1 · two right answers** · 2 points by machine · ★☆☆ · 10 minutes

*Write an energy for a question with two right answers.*

The training pairs lie evenly around the unit circle. For $x=0.6$ both $y=0.8$ and $y=-0.8$ are right.

(a) `circle_energy`: any energy that is continuous where $|x|<1$. There, both right answers must have the same energy,
and every other $y$ a higher one.

(b) `true_of_energies`: the set of letters of the true statements.

- **A** For every $x$ with $|x|<1$, the single answer $\hat{y}=f(x)$ with the smallest mean squared error is 0.
- **B** A network $f$ that is trained with the squared error for long enough finds both answers.
- **C** An energy can be lowest at several $y$ for the same $x$.
- **D** Before you infer with an energy, you must normalise it to sum to 1 over all $y$.
- **E** A density $p(y|x)$ can rise at one answer only if it falls at others. An energy can change at one pair alone.
- **F** Every continuous energy on $y\in\mathbb{R}$ has a density $p(y|x)\propto{e}^{-F(x,y)}$.

<details><summary>Hint</summary>

For (b): which condition must the area under $e^{-F}$ meet?

</details>
"""


# %% nbgrader={"grade_id": "circle-code", "solution": true}
def circle_energy(x, y):
    """The energies F(x, y) of the pairs in two tensors of the same shape, entry by entry."""
    ### BEGIN SOLUTION
    return (x**2 + y**2 - 1) ** 2
    ### END SOLUTION


# true_of_energies = {"…", …}
### BEGIN SOLUTION
true_of_energies = {"A", "C", "E"}
### END SOLUTION

# %% nbgrader={"grade_id": "circle", "grade": true, "points": 2, "locked": true}
for x, y in ((0.6, 0.8), (-0.28, 0.96)):
    answers = torch.tensor([y, -y, 0.0, 0.5, 1.2, -2.0])
    energies = torch.as_tensor(kept(circle_energy, torch.full((6,), x), answers))
    assert energies.shape == (6,), "circle_energy should return one energy for each pair"
    assert torch.isclose(energies[0], energies[1], atol=1e-5), f"x = {x}: {y} and −{y} should have the same energy"
    assert (energies[2:] > energies[:2].max()).all(), f"x = {x}: a wrong answer has an energy as low as a right one"
letters(true_of_energies, "ABCDEF")

# %% [markdown] nbgrader={"grade_id": "gibbs-density-text", "locked": true}
r"""
**Exercise 1.2 · from energies to probabilities** · 2 points by machine, 2 by hand · ★★☆ · 25 minutes

*Turn energies into a density, and say what β does to it.*

Gibbs' distribution (Gibbs, "Elementary principles in statistical mechanics", 1902) makes $p(y|x)$
proportional to $e^{-\beta{F}(x,y)}$.

By machine: (a) `gibbs_density` on a grid: replace the integral by a sum times the spacing `dy`. It must also
work for energies of thousands. (b) `gibbs_variance`: the variance of $y$
under this density for $F(x,y)=\frac{a}{2}(y-c)^2$.

By hand:

1. Write Gibbs' formula for a continuous $y$. When is it defined? What happens to $p$ if a number $c(x)$ is added to all
   energies of one $x$?
2. Why can an energy give one $x$ several right answers, while $\hat{y}=f(x)$ with the squared error cannot?
3. How does an energy-based model differ from a probabilistic one, in training and in inference?
4. What does a larger β do to the smoothness of the density in the figure, and to the variance of the parabola's? Give
   two numbers from your function.

<details><summary>Hint</summary>

For large energies: which $c$ makes every exponential at most 1? For (b) compare exponents with those of a normal
density.

</details>
"""


# %% nbgrader={"grade_id": "gibbs-density-code", "solution": true}
def gibbs_density(F, dy, beta):
    """Gibbs' density at the points of a grid.

    F: the energies (n,) of grid points that lie dy apart; beta > 0

    Returns p (n,), with p.sum() · dy = 1.
    """
    ### BEGIN SOLUTION
    weights = torch.exp(-beta * (F - F.min()))  # at most 1, and 1 at the lowest point
    return weights / (weights.sum() * dy)
    ### END SOLUTION


def gibbs_variance(a, beta):
    """The variance of y under Gibbs' density for F = a/2 (y − c)², a > 0, beta > 0: a number."""
    ### BEGIN SOLUTION
    return 1 / (a * beta)  # β a/2 (y − c)² = (y − c)² / (2σ²)
    ### END SOLUTION


# %% nbgrader={"grade_id": "gibbs-density", "grade": true, "points": 2, "locked": true}
F, right = torch.tensor([math.log(4), math.log(2), math.log(8)]), [16 / 21, 64 / 21, 4 / 21]
compare("densities, β = 2", kept(gibbs_density, F, 0.25, 2.0), right)
compare("the same, 5000 higher", gibbs_density(F.double() + 5000, 0.25, 2.0), right)
compare("β = 1, dy = ½", gibbs_density(F, 0.5, 1.0), [4 / 7, 8 / 7, 2 / 7])
compare("one 5000 above the other", gibbs_density(torch.tensor([0.0, 5000.0]), 0.5, 1.0), [2.0, 0.0])
y = torch.linspace(-30, 30, 6001)
summed = (y**2 * torch.as_tensor(gibbs_density(1.5 * y**2, 0.01, 0.5))).sum() * 0.01
compare("variance, a = 3, β = ½", gibbs_variance(3.0, 0.5), summed)

# %% nbgrader={"grade_id": "landscape-figure", "locked": true} tags=["demo"]
across, up = torch.meshgrid(torch.linspace(-1.5, 1.5, 121), torch.linspace(-1.5, 1.5, 121), indexing="xy")
angles, y = 2 * math.pi * (torch.arange(60) + 0.5) / 60, torch.linspace(-2, 2, 401)
wells = 2 * (y**2 - 1) ** 2 + 0.3 * y  # two valleys, the left one a little deeper
figure, (circle, left, right) = plt.subplots(1, 3, figsize=(13, 3.6), layout="constrained", gridspec_kw={"wspace": 0.1})
levels = torch.as_tensor(circle_energy(across, up)).detach().clamp(max=1.5)
figure.colorbar(circle.contourf(across, up, levels, 12, cmap="viridis"), label="energy (cut at 1.5)")
circle.plot(angles.cos(), angles.sin(), "o", color="white", markeredgecolor="black", markersize=4, label="pairs")
circle.plot([-1.5, 1.5], [0, 0], color="white", linewidth=4)
circle.plot([-1.5, 1.5], [0, 0], "--", color="black", linewidth=2, label="least squares")
circle.set(xlabel="x", ylabel="y", title="Your landscape", aspect="equal")
circle.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=2, fontsize=8)
left.plot(y, wells, color="black")
left.set(xlabel="y", ylabel="F", title="Energies", ylim=(-0.6, 4))
said = []
for beta, colour, style in ((0.2, GREEN, ":"), (1.0, BLUE, "-"), (5.0, "black", "--"), (25.0, RED, "-.")):
    p = torch.as_tensor(gibbs_density(wells, 0.01, beta))
    right.plot(y, p, style, color=colour, label=f"β = {beta:g}")
    said.append(f"{p.max():.2g} and {p[:200].sum() / 100:.0%} at β = {beta:g}")
right.set(xlabel="y", ylabel="p", title="Your densities")
right.legend(fontsize=8)
show_figure(
    f"Your energy at x = 0: {levels[100, 60]:.2f} at y = 1, {levels[20, 60]:.2f} at y = −1, {levels[60, 60]:.2f} at "
    f"least squares' y = 0. F has valleys of {wells[:200].min():.1f} near y = −1 and {wells[200:].min():.1f} near 1. "
    f"Highest p and share of y < 0: {', '.join(said)}."
)

# %% [markdown] nbgrader={"grade_id": "gibbs-density-words", "grade": true, "solution": true, "points": 2}
r"""
### BEGIN SOLUTION
1. $$p(y|x) = \frac{e^{-\beta F(x, y)}}{\int e^{-\beta F(x, y')}\, dy'}$$
   The integral runs over all answers to the same question. The formula is defined if the integral is finite
   and not 0. Adding $c(x)$ multiplies numerator and denominator by $e^{-\beta c(x)}$, so $p$ does not change: only
   differences between answers to the same $x$ count.
2. A function returns one number for each $x$. The squared error is smallest at the mean of the right answers, here 0,
   which is wrong. An energy is a number for each *pair*, so it can be lowest at several $y$ for the same $x$.
3. A probabilistic model must sum (or integrate) to 1 over all answers: training needs the denominator, and an answer
   can only gain what others lose. An energy-based model needs no normalisation. Training only has to give right answers
   lower energies than wrong ones, and inference compares energies. In return an energy says nothing about how likely an
   answer is, until Gibbs' formula turns it into a probability.
4. A larger β makes the density sharper: in the figure the peaks get narrower, the one over the deeper valley gets
   higher, and more of the probability goes to the lowest energy. A smaller β makes it smoother and flatter. For the
   parabola the variance is $1/(a\beta)$: with $a = 1$ it is 4 at β = ¼, 1 at β = 1, and ¼ at β = 4.

**Mark scheme (2 points)**

1. ½ point: the formula with the integral over *y* in the denominator, its condition, and that $c(x)$ cancels. ¼ if the
   formula is right and one of the other two is missing.
2. ½ point: one output for each $x$ against a minimum at several $y$. ¼ if only the mean of the answers is named.
3. ½ point: normalised against not normalised, with a consequence for training *and* one for inference. ¼ for one of
   the two consequences.
4. ½ point: a sharper density, and a variance of the parabola's that falls as $1/(a\beta)$, with two numbers. ¼ without
   numbers, or if only one of smoothness and variance is described. (In general the variance need not fall: with two
   equally deep valleys it does not.)
### END SOLUTION
"""

# %% [markdown] nbgrader={"grade_id": "role-text", "locked": true}
r"""
*In the figures: left, training pairs in a dark ring of low energy; dashed, the best single answer by least squares.
Middle: two valleys, the left a little deeper. Right: the densities, broad at β=0.2, and at β=25 nearly all in the
deeper valley.*

**Exercise 1.3 · roles, and what keeps energies up** · 4 points by machine, 1½ by hand · ★★☆ · 30 minutes

*Tell energy and loss apart, and find out what keeps energies from being low everywhere.*

(a) `role`: a dictionary from each letter to `"energy"` or `"loss"`.

- **A** It judges a whole landscape, together with the training pairs.
- **B** It belongs to one pair $(x,y)$, also outside the training set.
- **C** You look for the $y$ that makes it smallest, with $w$ fixed.
- **D** You look for the $w$ that makes it smallest, with the training pairs fixed.
- **E** Its slope along $y$ says how an answer should change to fit better.
- **F** After training you do not need to compute it any more.

(b) `collapsing`: each of these energies is trained only to be small at right pairs. All parts with a subscript $w$ are
learned. Which energies can become zero **everywhere**? Give the set of letters.

- **A** $F=(y-f_w(x))^2$, with a number $y$.
- **B** $F=\lVert{g}_w(y)-f_w(x)\rVert^2$, where $g_w$ and $f_w$ are networks.
- **C** $F=\min_z\lVert{y}-d_w(z)\rVert^2$, where $z$ has as many entries as $y$.
- **D** $F=\min_{k=1,2,3}\lVert{y}-c_{w,k}\rVert^2$, with three points $c_{w,k}$.
- **E** $F=\lVert{y}-W_w^\top{W}_w\,y\rVert^2$, where $y$ has 10 entries and $W_w$ is $2\times10$.
- **F** $F=h_w(x,y)^2$, with a network $h_w$.

(c) `way`: there are three ways to keep most answers from having low energy. Which one does each model use? Give a
dictionary from each letter to the way's name; you choose the three names.

- **A** K-means: the energy is the squared distance from the nearest of K points.
- **B** Sparse coding: $F(y)=\min_z\lVert{y}-Dz\rVert^2+\lambda\lVert{z}\rVert_1$, with columns of $D$ of length 1.
- **C** A softargmax classifier, trained by its log-likelihood.
- **D** Principal components: the energy is the squared distance from a plane.
- **E** A denoising autoencoder brings back points that were moved off the data. The energy is how far it moves a point.
- **F** Face verification: photographs of two people must lie farther apart than those of one, by a margin.
- **G** A variational autoencoder: noise is added to the code $z$, and a term keeps codes near 0.

By hand:

1. A friend says: "My right answers have energy 0, and no energy is negative. So inference is right." Refute this with
   the energies of three answers to one $x$. What must a loss look at?
2. Take one energy of your set `collapsing`. What happens in training to the landscape, to inference, and to the loss
   curve?
3. Name the three ways. For each, say what keeps energies up, with an example.

<details><summary>Hint</summary>

For (b) try constants, zeros and identities. For (c): imagine training with right answers only. What
still stops energies from being low everywhere?

</details>
"""

# %% nbgrader={"grade_id": "role-code", "solution": true}
# role = {"A": "…", "B": "…", …, "F": "…"}
# collapsing = {"…", …}
# way = {"A": "…", "B": "…", …, "G": "…"}
### BEGIN SOLUTION
role = {"A": "loss", "B": "energy", "C": "energy", "D": "loss", "E": "energy", "F": "loss"}
collapsing = {"B", "C", "F"}
way = {"A": "architecture", "B": "regulariser", "C": "contrast", "D": "architecture"}
way |= {"E": "contrast", "F": "contrast", "G": "regulariser"}
### END SOLUTION

# %% nbgrader={"grade_id": "role", "grade": true, "points": 1, "locked": true}
letters(role, "ABCDEF")
assert set(role.values()) <= {"energy", "loss"}, 'the words are "energy" and "loss"'

# %% nbgrader={"grade_id": "collapse", "grade": true, "points": 3, "locked": true}
letters(collapsing, "ABCDEF")
letters(way, "ABCDEFG")
assert len(set(way.values())) == 3, "`way` should use three different words in all"

# %% [markdown] nbgrader={"grade_id": "collapse-words", "grade": true, "solution": true, "points": 1.5}
r"""
### BEGIN SOLUTION
1. Take $F = (0, 0, 0)$, where the first answer is right. Its energy is 0, but $\arg\min_y F(x, y)$ can be any of the
   three. With $(0.001, 0, 0)$ inference is even reliably wrong. Inference *compares*, so a loss must also look at the
   energies of wrong answers to the same $x$.
2. For F: zero weights in the last layer make $h_w^2$ zero for all pairs. The landscape becomes flat (it **collapses**),
   inference picks an arbitrary answer, and the loss curve falls to 0 and looks perfect.
3. *Contrast*: training pushes up the energies of wrong answers (classifier, denoising autoencoder, faces).
   *Architecture*: the model is built so that only a small set can have low energy, whatever is learned (K points, a
   plane). *Regularisation*: a term in the energy or loss makes it costly to have low energy in many places (the
   $\ell_1$ norm of a sparse code, the noise and penalty on the codes of a variational autoencoder).

**Mark scheme (1½ points)**

1. ½ point: a row in which the right answer has energy 0 (or nearly) and a wrong one is as low or lower, and that a loss
   must look at wrong answers. ¼ for one of the two.
2. ¼ point: zero or equal energies everywhere. Nothing for "it overfits".
3. ¼ point: inference is arbitrary *and* the loss looks perfect. Nothing for one of the two.
4. ½ point: the three ways, each with what keeps energies up and an example. ¼ for two of them.
### END SOLUTION
"""

# %% [markdown] nbgrader={"grade_id": "negatives-text", "locked": true}
r"""
**Exercise 1.4 · wrong answers, and the search** · 3 points by machine, 1½ by hand · ★★☆ · 20 minutes

*Write a loss that uses wrong answers, and search for the best answer, also with a latent.*

$F^+$ is the energy of a right answer and $F^-$ that of a wrong one, both at least 0.

(a) `my_loss`: any loss $\ell(F^+,F^-)$ such that

1. it never grows if $F^+$ falls or $F^-$ rises;
2. for $0\le{F}^-<F^+\le1$ it falls strictly if $F^+$ falls, or if $F^-$ rises;
3. it is bounded from below, also as $F^-$ goes to infinity.

(b) `infer`: the best answer for each row of a table. Of several equally low ones, return any.

(c) `infer_latent`: some answers can be judged only together with a **latent** $z$, such as the slant of a letter. From
energies $E(x,y,z)$, find the pair of answer and latent with the lowest one. Of several, return any.

By hand:

1. Your loss looks at one wrong answer. Which one should it be, in a finite list and for a continuous $y$? What goes
   wrong if you draw it at random from very many?
2. Write inference as a formula, without a latent and with one. Which energy $F(x,y)$, made from $E(x,y,z)$, turns
   the second into the first?

<details><summary>Hint</summary>

For (a): a straight line falls without end. How do you cut it off? For (c) find the best latent *of each answer* first,
or search all pairs at once.

</details>
"""


# %% nbgrader={"grade_id": "negatives-code", "solution": true}
def my_loss(F_pos, F_neg):
    """Your loss for energies F_pos, F_neg (B,) of right and wrong answers: one value for each pair, (B,)."""
    ### BEGIN SOLUTION
    return F_pos + (2 - F_neg).clamp(min=0)
    ### END SOLUTION


def infer(F):
    """The best answer (B,) for each row of a table of energies F (B, n); whole numbers from 0 on."""
    ### BEGIN SOLUTION
    return F.argmin(dim=1)
    ### END SOLUTION


def infer_latent(E):
    """The best pair for each example of a table E (B, n, k): E[b, y, z] is the energy of answer y with latent z.

    Returns a tuple of the answers (B,) and their latents (B,); whole numbers from 0 on.
    """
    ### BEGIN SOLUTION
    F, z = E.min(dim=2)  # (B, n) each: the best latent of each answer
    y = F.argmin(dim=1)
    return y, z[torch.arange(len(E)), y]
    ### END SOLUTION


# %% nbgrader={"grade_id": "negatives", "grade": true, "points": 1, "locked": true}
F_pos, F_neg = torch.tensor([0.98, 0.5, 0.8]), torch.tensor([0.9, 0.4, 0.02])
changes = ((0, 0), (-0.05, 0), (0, 0.05))  # of the two energies
value, lower_pos, higher_neg = (torch.as_tensor(kept(my_loss, F_pos + a, F_neg + b)) for a, b in changes)
assert value.shape == (3,), "my_loss should return one value for each pair of energies"
assert (lower_pos < value).all(), "if F⁺ falls, the loss should fall"
assert (higher_neg < value).all(), "if F⁻ rises, the loss should fall"
high, higher = (torch.as_tensor(my_loss(F_pos, torch.full((3,), level))) for level in (300.0, 600.0))
assert not (higher > high).any(), "if F⁻ rises from 300 to 600, the loss should not grow"
assert not (high - higher > 5).any(), "if F⁻ rises from 300 to 600, the loss still falls: is it bounded?"
print("ok  the loss pulls F⁺ down and pushes F⁻ up")


# %% nbgrader={"grade_id": "infer", "grade": true, "points": 2, "locked": true}
compare("y", kept(infer, torch.tensor([[2.0, -1.0, 3.0], [0.5, 0.7, 0.1]])), [1, 2])
# Three answers, four latents. In the first table answer 0 is best on average, answer 1 with the right latent
first = [[2.0, 2.0, 3.0, 4.0], [9.0, 9.0, 1.0, 8.0], [5.0, 6.0, 7.0, 5.0]]
second = [[5.0, 0.0, 7.0, 3.0], [6.0, 8.0, 4.0, 9.0], [1.0, 2.0, 9.0, 2.0]]
y, z = kept(infer_latent, torch.tensor([first, second]))
compare("y of the best pair", y, [1, 0])
compare("z of the best pair", z, [2, 1])

# %% [markdown] nbgrader={"grade_id": "infer-words", "grade": true, "solution": true, "points": 1.5}
r"""
### BEGIN SOLUTION
1. The wrong answer with the lowest energy, the **most offending** one, because inference would take it by mistake:
   $\bar y = \arg\min_{y \ne y^+} F(x, y)$ in a list. For a continuous $y$ there are wrong answers as close to $y^+$ as
   you like. So require a distance, $\bar y = \arg\min_{\lVert y - y^+ \rVert > \epsilon} F(x, y)$, or sample where
   energies are low. If there are very many answers, a random one is soon beyond the margin, where it teaches nothing.
   The dangerous ones, with low energies, are hardly ever drawn.
2. Without a latent: $\check y = \arg\min_y F(x, y)$. With one: $(\check y, \check z) = \arg\min_{y, z} E(x, y, z)$. It
   becomes the first with $F(x, y) = \min_z E(x, y, z)$.

**Mark scheme (1½ points)**

1. ½ point: lowest energy among wrong answers, and at a distance (or by sampling) for a continuous *y*. ¼ for one of
   the two.
2. ¼ point: random wrong answers soon have high energies and teach nothing.
3. ½ point: both formulas, the second over *y and z*. ¼ for one of them.
4. ¼ point: $F(x, y) = \min_z E(x, y, z)$.
### END SOLUTION
"""

# %% [markdown] nbgrader={"grade_id": "gibbs-text", "locked": true}
r"""
## 2 · Likelihood

Now $y$ is one of $n$ classes.

**Exercise 2.1 · probabilities and the loss** · 5 points by machine, 2 by hand · ★★☆ · 30 minutes

*Go from energies to probabilities, and on to a loss.*

(a) `gibbs`: the probabilities for each row of a table, for any $\beta>0$ and energies of any size.

(b) `p_hot` and `p_cold`: the four probabilities for the energies $(3,1,1,6)$ in the limits $\beta\to0$ and
$\beta\to\infty$, as numbers.

(c) By hand: the training pairs $(x_1,y_1),\dots,(x_N,y_N)$ are independent. You maximise the product
of all $p(y_b|x_b)$. Derive the loss of one pair step by step, scaled by $\frac{1}{\beta}$:

$$\ell(w)=-\frac{1}{\beta}\log{p}(y|x)=F_w(x,y)-A(x).$$

Find $A(x)$, the **free energy**. Why the factor $\frac{1}{\beta}$? Which term pulls energies down and which pushes them
up? What does ℓ become as $\beta\to\infty$, and why?

(d) `free_energy` and `nll`: $A$ and ℓ for a batch, with β and energies as in (a).

(e) `nll_hot` and `nll_cold`: the limits of ℓ as $\beta\to0$ and as $\beta\to\infty$ for the energies
$(3,1,1,6)$, where the *first* answer is right. Both may be any number from 0 to `math.inf`.

<details><summary>Hint</summary>

Each row needs its own shift. For (b) look at the *ratio* of two probabilities. For $A$, take the lowest energy out of
the sum and the logarithm.

</details>
"""


# %% nbgrader={"grade_id": "gibbs-code", "solution": true}
def gibbs(F, beta):
    """Probabilities (B, n) of all answers for energies F (B, n), beta > 0; each row sums to 1."""
    ### BEGIN SOLUTION
    weights = torch.exp(-beta * (F - F.min(dim=1, keepdim=True).values))
    return weights / weights.sum(dim=1, keepdim=True)
    ### END SOLUTION


# p_hot = [… four numbers …]
# p_cold = [… four numbers …]
### BEGIN SOLUTION
p_hot = [1 / 4, 1 / 4, 1 / 4, 1 / 4]  # all ratios e^(−β(F_i − F_j)) go to 1
p_cold = [0, 1 / 2, 1 / 2, 0]  # all is shared by the lowest
### END SOLUTION

# %% nbgrader={"grade_id": "gibbs", "grade": true, "points": 2, "locked": true}
F = torch.tensor([[0.0, math.log(3), math.log(3)], [math.log(2), 0.0, math.log(2)]])
compare("probabilities, β = 2", kept(gibbs, F, 2.0), [[9 / 11, 1 / 11, 1 / 11], [1 / 6, 4 / 6, 1 / 6]])
compare("β = 1", gibbs(F, 1.0), [[0.6, 0.2, 0.2], [0.25, 0.5, 0.25]])
compare("rows far apart", gibbs(F.double() + torch.tensor([[4000.0], [-4000.0]]), 1.0), gibbs(F, 1.0))
compare("one 5000 above the other", gibbs(torch.tensor([[5000.0, 0.0]]), 1.0), [[0.0, 1.0]])
assert len(p_hot) == len(p_cold) == 4, "four probabilities in each limit"
compare("sums of the limits", [float(sum(p_hot)), float(sum(p_cold))], [1.0, 1.0])

# %% [markdown] nbgrader={"grade_id": "nll-derivation", "grade": true, "solution": true, "points": 2}
r"""
### BEGIN SOLUTION
*Likelihood to loss.* The pairs are independent, so the probability of all answers is $\prod_b p(y_b|x_b)$. The
logarithm grows strictly, so its maximum is at the same $w$, and it turns the product into $\sum_b \log p(y_b|x_b)$. We
minimise the negative. A positive factor does not move the minimum: $\ell = -\frac{1}{\beta} \log p(y|x)$ for each pair.

*Gibbs.* With $p(y|x) = e^{-\beta F_w(x, y)} / \sum_{y'} e^{-\beta F_w(x, y')}$,

$$\ell = F_w(x, y) + \frac{1}{\beta} \log \sum_{y'} e^{-\beta F_w(x, y')}, \qquad
A(x) = -\frac{1}{\beta} \log \sum_{y'} e^{-\beta F_w(x, y')} .$$

*The factor* makes the loss an energy. The right answer's energy enters with factor 1, the gradient has no factor β, and
the cold limit is finite.

*The terms.* The first pulls the right answer's energy down. The second, $-A(x)$, falls if any energy rises. So it
pushes all of them up, the right one too, and the lowest most.

*Cold limit.* Let $m = \min_{y'} F_w(x, y')$. Then $A = m - \frac{1}{\beta} \log \sum_{y'} e^{-\beta (F_w(x, y') - m)}$.
The sum lies between 1 and $n$, so the second term is at most $\frac{1}{\beta} \log n$ and vanishes. Hence $A \to m$
and $\ell \to F_w(x, y) - \min_{y'} F_w(x, y')$, the loss of the perceptron.

**Mark scheme (2 points)**

1. ½ point: product, logarithm, negative, and why the best $w$ stays the same. ¼ without the reason.
2. ½ point: Gibbs inserted and simplified, and $A(x)$ with the sum over *all* answers. ¼ if the right one is left out.
3. ½ point: one purpose of $\frac{1}{\beta}$ (¼), and which term pulls and which pushes (¼).
4. ½ point: the cold limit, because the lowest energy dominates the sum. ¼ without the reason.
### END SOLUTION
"""


# %% nbgrader={"grade_id": "nll-code", "solution": true}
def free_energy(F, beta):
    """A(x) for each row of a table of energies F (B, n), beta > 0: shape (B,)."""
    ### BEGIN SOLUTION
    lowest = F.min(dim=1, keepdim=True).values  # (B, 1)
    return lowest[:, 0] - torch.log(torch.exp(-beta * (F - lowest)).sum(dim=1)) / beta
    ### END SOLUTION


def nll(F, y, beta):
    """ℓ = −1/β log p(y|x) for energies F (B, n) and right answers y (B,), beta > 0: shape (B,)."""
    ### BEGIN SOLUTION
    return F[torch.arange(len(F)), y] - free_energy(F, beta)
    ### END SOLUTION


# nll_hot = …
# nll_cold = …
### BEGIN SOLUTION
nll_hot = math.inf  # 1/β log 4 grows without end
nll_cold = 2  # 3 − min F
### END SOLUTION

# %% nbgrader={"grade_id": "nll", "grade": true, "points": 3, "locked": true}
F, y = torch.tensor([[0.0, math.log(3), math.log(3)], [2.0, 2.0, 2.0]]), torch.tensor([1, 0])
compare("free energies, β = 2", kept(free_energy, F, 2.0), [-math.log(11 / 9) / 2, 2 - math.log(3) / 2])
compare("losses, β = 2", kept(nll, F, y, 2.0), [math.log(11) / 2, math.log(3) / 2])
compare("losses, β = 1", nll(F, y, 1.0), [math.log(5), math.log(3)])
compare("rows far apart", nll(F.double() + torch.tensor([[4000.0], [-4000.0]]), y, 1.0), nll(F, y, 1.0))
compare("one 5000 above the other", nll(torch.tensor([[5000.0, 0.0]]), torch.tensor([0]), 1.0), [5000.0])
assert nll_hot >= 0 and nll_cold >= 0, "a probability is at most 1, so no loss is negative, and no limit of it"

# %% [markdown] nbgrader={"grade_id": "nll-gradient-text", "locked": true}
r"""
**Exercise 2.2 · the gradient, and too many answers** · 5 points by machine, 3 by hand · ★★★ · 40 minutes

*Derive the gradient of the loss, and estimate it when it cannot be computed.*

By hand:

1. Derive $\frac{\partial\ell}{\partial{w}}$ from the rows $\frac{\partial{F}_w(x,y')}{\partial{w}}$, one for each
   answer $y'$, and from probabilities. Write it with an *expected value*. How does β enter?
2. A friend says: "My mean gradient is zero, so the model's probabilities are the observed frequencies." Test this on
   one $x$ with three answers, $F_w(y)=w\,\varphi_y$ with $\varphi=(0,1,2)$, at $w=0$ and $\beta=1$. The
   answers occur with the frequencies $q=(\frac12,0,\frac12)$. Compute the mean gradient and the model's
   probabilities. What does a zero gradient prove?
3. Why can this gradient not be computed if $y$ is a sentence or an image? Name two ways around this, each with its
   cost.

By machine:

(a) `nll_gradient`: $\frac{\partial\ell}{\partial{F}}$ for a batch.

(b) `nll_weight_gradient`: $\frac{\partial\ell}{\partial{w}}$ for one example, from the rows
$\frac{\partial{F}(x,i)}{\partial{w}}$.

(c) `sampled_gradient`: from $S$ answers drawn from $p(\cdot|x)$, an estimate of
$\frac{\partial\ell}{\partial{w}}$ that is right on average.

(d) `langevin_step`: draws from $p$ without its denominator, by Langevin's method (Parisi, "Correlation functions and
computer simulations", 1981). A walker steps down the slope and gets a random kick:

$$y\;\leftarrow\;y-\eta\,\frac{\partial{F}(x,y)}{\partial{y}}+s\cdot\text{noise},\qquad\text{noise standard normal.}$$

Find $s$, from η and β alone, for which many walkers settle into Gibbs' distribution if η is small.

<details><summary>Hint for the gradient</summary>

Differentiate $\log\sum_{y'}e^{-\beta{F}_{y'}}$ with respect to one energy. The right answer appears in both terms of ℓ.

</details>

<details><summary>Hint for the walkers</summary>

Try $F=\frac{a}{2}y^2$. If the walkers have variance $v$, what is it after a step? It should not change at the $v$ of
1.2. Drop terms in $\eta^2$.

</details>
"""

# %% [markdown] nbgrader={"grade_id": "nll-gradient-derivation", "grade": true, "solution": true, "points": 3}
r"""
### BEGIN SOLUTION
1. By the chain rule,

   $$\frac{\partial}{\partial w} \frac{1}{\beta} \log \sum_{y'} e^{-\beta F_w(x, y')} = \frac{1}{\beta} \cdot
   \frac{\sum_{y'} e^{-\beta F_w(x, y')} \cdot (-\beta)\, \frac{\partial F_w(x, y')}{\partial w}}
   {\sum_{y''} e^{-\beta F_w(x, y'')}} = -\sum_{y'} p(y'|x)\, \frac{\partial F_w(x, y')}{\partial w} .$$

   The factors $\frac{1}{\beta}$ and β cancel, and each quotient is Gibbs' probability of $y'$. With the first term,

   $$\frac{\partial \ell}{\partial w} = \frac{\partial F_w(x, y)}{\partial w}
   - \mathbb{E}_{y' \sim p(\cdot|x)} \Bigl[ \frac{\partial F_w(x, y')}{\partial w} \Bigr] \qquad (1 \times P) .$$

   With respect to the energies: $\frac{\partial \ell}{\partial F_i} = [i = y] - p(i|x)$. β enters only through the
   probabilities.
2. The slopes are $\varphi$. At $w = 0$ all probabilities are one third, so the mean gradient is $\sum_i q_i \varphi_i -
   \sum_i p_i \varphi_i = 1 - 1 = 0$. But $p = (\frac13, \frac13, \frac13)$ is not $q = (\frac12, 0, \frac12)$. A zero
   gradient says only that the *expected slopes* match: $\frac{\partial F}{\partial w}$ has the same mean under the data
   and under the model. This forces $p = q$ for every $q$ if each energy can move on its own.
   With fewer weights it need not, as here.
3. The expected value and the denominator of $p$ run over *all* answers. Their number grows exponentially with the
   length of $y$ ($26^{10}$ words of ten letters). For a continuous $y$ it is an integral in many dimensions, without a
   closed form for a network. Ways around, for example: Markov chains such as Langevin's (right in the limit, but slow,
   and rarely crossing from valley to valley); contrastive divergence, short chains that start at the data (cheap, but
   biased, and it misses valleys far from the data; Hinton, "Training products of experts by minimizing contrastive
   divergence", 2002); noise-contrastive estimation (needs a good noise distribution; Gutmann and Hyvärinen,
   "Noise-contrastive estimation: a new estimation principle for unnormalized statistical models", 2010); score matching
   (only for continuous $y$, and needs second derivatives; Hyvärinen, "Estimation of non-normalized statistical models
   by score matching", 2005); a variational bound (a second model, and a gap); energies whose sum is easy (less
   expressive); losses with one or a few wrong answers (no longer a likelihood).

**Mark scheme (3 points)**

1. ½ point: chain rule for logarithm and sum, with the inner derivative $-\beta\, \partial F / \partial w$ for every
   answer. ¼ without $-\beta$.
2. ½ point: the quotient is $p(y'|x)$, and the result is observed slope minus expected slope. ¼ if the sign is wrong or
   the right answer is missing from the sum.
3. ¼ point: β enters through $p$ only.
4. ½ point: zero gradient *and* $p = (\frac13, \frac13, \frac13) \ne q$. ¼ for one of the two.
5. ¼ point: a zero gradient says only that expected slopes match.
6. ½ point: exponentially many answers, or an integral in many dimensions, without a closed form. ¼ for "it is slow".
7. ½ point: two ways, each with its cost. ¼ for one of them.
### END SOLUTION
"""


# %% nbgrader={"grade_id": "nll-gradient-code", "solution": true}
def nll_gradient(F, y, beta):
    """∂ℓ/∂F for energies F (B, n) and right answers y (B,): shape (B, n), row b for the loss of example b."""
    ### BEGIN SOLUTION
    gradient = -gibbs(F, beta)
    gradient[torch.arange(len(F)), y] += 1
    return gradient
    ### END SOLUTION


def nll_weight_gradient(F, J, y, beta):
    """∂ℓ/∂w for one example: F (1, n), y (1,), and J (n, P), whose row i is ∂F(x, i)/∂w. Returns a row (1, P)."""
    ### BEGIN SOLUTION
    return nll_gradient(F, y, beta) @ J  # (1, n)(n, P)
    ### END SOLUTION


# %% nbgrader={"grade_id": "nll-gradient", "grade": true, "points": 3, "locked": true}
F, y = torch.tensor([[0.0, math.log(3), math.log(3)], [math.log(2), 0.0, math.log(2)]]), torch.tensor([1, 0])
right = [[-9 / 11, 10 / 11, -1 / 11], [5 / 6, -4 / 6, -1 / 6]]
compare("∂ℓ/∂F, β = 2", kept(nll_gradient, F, y, 2.0), right)
compare("∂ℓ/∂F, β = 1", nll_gradient(F, y, 1.0), [[-0.6, 0.8, -0.2], [0.75, -0.5, -0.25]])
J = torch.tensor([[1.0, 0.0], [0.0, 2.0], [4.0, 1.0]])  # three answers, two weights
compare("∂ℓ/∂w, β = 2", kept(nll_weight_gradient, F[:1], J, y[:1], 2.0), [[-13 / 11, 19 / 11]])


# %% nbgrader={"grade_id": "sampling-code", "solution": true}
def sampled_gradient(J_right, J_drawn):
    """An estimate of ∂ℓ/∂w, a row (1, P).

    J_right (1, P): ∂F/∂w at the right answer; J_drawn (S, P): row s is ∂F/∂w at the drawn answer y_s
    """
    ### BEGIN SOLUTION
    return J_right - J_drawn.mean(dim=0, keepdim=True)
    ### END SOLUTION


def langevin_step(y, slope, beta, eta, noise):
    """The walkers after one step: y, the slope ∂F/∂y and the noise (standard normal) are tensors of one shape."""
    ### BEGIN SOLUTION
    return y - eta * slope + math.sqrt(2 * eta / beta) * noise  # (1 − ηa)² v + s² = v at v = 1/(aβ)
    ### END SOLUTION


# %% nbgrader={"grade_id": "sampling", "grade": true, "points": 2, "locked": true}
J_drawn = torch.tensor([[1.0, 0.0], [0.0, 4.0], [1.0, 0.0], [0.0, 0.0]])
compare("estimate", kept(sampled_gradient, torch.tensor([[2.0, 3.0]]), J_drawn), [[1.5, 2.0]])
kept(langevin_step, *torch.ones(2, 3), 0.4, 0.01, torch.ones(3))
torch.manual_seed(0)
walkers = torch.randn(20_000)
for _ in range(300):  # with a = 4 and β = 0.4
    noise = torch.randn(20_000)
    walkers = torch.as_tensor(langevin_step(walkers, 4 * walkers, beta=0.4, eta=0.01, noise=noise)).float()
compare("variance of the walkers", walkers.var(), 0.625, tolerance=0.04)


# %% nbgrader={"grade_id": "sampling-figure", "locked": true} tags=["demo"]
def draw_walkers(ax):
    torch.manual_seed(1)
    walkers, y = 0.2 * torch.randn(4000) + 1.5, torch.linspace(-2, 2, 401)  # all of them start on the right
    for _ in range(3000):
        slope, noise = 8 * walkers * (walkers**2 - 1) + 0.3, torch.randn(4000)
        walkers = torch.as_tensor(langevin_step(walkers, slope, 1.5, 0.01, noise)).float()
    density = torch.as_tensor(gibbs_density(2 * (y**2 - 1) ** 2 + 0.3 * y, 0.01, 1.5))
    ax.hist(walkers, 60, density=True, color=BLUE, alpha=0.7, label="4000 walkers")
    ax.plot(y, density, color="black", label="Gibbs")
    ax.set(xlabel="y", ylabel="p", title="Your walkers in two valleys, β = 1.5")
    ax.legend(fontsize=8)
    shares = (walkers < 0).float().mean(), density[:200].sum() / 100
    return "All walkers start near y = 1.5. {:.0%} end at y < 0, where Gibbs' density has {:.0%}.".format(*shares)


def draw_misses(ax):
    F, J = numbers((1, 50), (50, 20), seed=2)
    exact = torch.as_tensor(nll_weight_gradient(F, J, torch.tensor([7]), 1.0))
    amounts, misses = [1, 4, 16, 64, 256, 1024, 4096], []
    for S in amounts:
        drawn = torch.multinomial(torch.as_tensor(gibbs(F, 1.0))[0].float(), 20 * S, replacement=True).reshape(20, S)
        estimates = (torch.as_tensor(sampled_gradient(J[7:8], J[row])) for row in drawn)
        misses.append(sum(float((estimate - exact).norm()) for estimate in estimates) / 20)
    ax.loglog(amounts, misses, "o-", color=GREEN)
    ax.set(xlabel="drawn answers S", ylabel="distance", title="From the exact to the sampled gradient")
    listed = ", ".join(f"{miss:.2g} with {S}" for S, miss in zip(amounts, misses, strict=True))
    return f"Mean distance of the sampled gradient from the exact one: {listed} drawn answers."


figure, axes = plt.subplots(1, 2, figsize=(9, 2.8), layout="constrained")
show_figure(f"{draw_walkers(axes[0])} {draw_misses(axes[1])}")

# %% [markdown] nbgrader={"grade_id": "ends-text", "locked": true}
r"""
*In the figures: left, walkers that all started on the right agree with Gibbs' density in both valleys. Right: with a
hundred times as many drawn answers, the sampled gradient is ten times closer to the exact one.*

**Exercise 2.3 · no end** · 3 points by machine, 1½ by hand · ★★★ · 20 minutes

*Find out when the likelihood stops pushing.*

(a) `best_energies`: the $n$ answers to one $x$ occur with the frequencies $q_1,\dots,q_n$. Which energies make the mean
loss $\sum_iq_i\,\ell_i$ smallest? The lowest energy must be 0. If $q_i=0$, give the limit of its energy
as $q_i\to0$.

(b) `gap_for_push`: all $n-1$ wrong answers have the same energy, higher than the right one's by a gap Δ. For which gap
is the push $\left|\frac{\partial\ell}{\partial{F}(x,y)}\right|$ on the right answer equal to a given $g$, $0<g<1$? The
gap may be negative.

(c) `bounded`: each $x$ has one right answer, and the network is large. Which changes keep the gap to the lowest wrong
answer bounded, *however long you train*? Give the set of letters.

- **A** A penalty $\lambda\lVert{w}\rVert^2$ with a fixed $\lambda>0$ is added to the loss.
- **B** The learning rate is smaller.
- **C** β is larger.
- **D** The network ends in a σ: every energy is between 0 and 1.
- **E** The mean energy of each $x$ is subtracted from its $n$ energies.
- **F** Label smoothing: the right answer counts 0.9, and the others share 0.1.
- **G** Another loss: how far the gap to the lowest wrong answer falls short of $m>0$, and 0 if it does not.

By hand: why does the likelihood push the right answer's energy towards $-\infty$ and all others towards $+\infty$? What
does this mean for a *continuous* $y$ whose data lie on a thin curve? Why is such a landscape hard to work with? Why
does one letter of your set help, and one outside it not?

<details><summary>Hint</summary>

For (a) average your $\partial\ell/\partial{F}$ over answers. For (b) the push is one minus a probability. For (c): what
ends the growth of a gap?

</details>
"""


# %% nbgrader={"grade_id": "ends-code", "solution": true}
def best_energies(q, beta):
    """Energies (n,) with the smallest mean loss for frequencies q (n,) that sum to 1; the lowest energy is 0."""
    ### BEGIN SOLUTION
    return torch.log(q.max() / q) / beta  # p = q at the minimum; log(…/0) = ∞
    ### END SOLUTION


def gap_for_push(n, beta, g):
    """The gap Δ at which the push on the right answer among n is g, 0 < g < 1: a number."""
    ### BEGIN SOLUTION
    return math.log((n - 1) * (1 - g) / g) / beta  # (n − 1) e^(−βΔ) = g / (1 − g)
    ### END SOLUTION


# bounded = {"…", …}
### BEGIN SOLUTION
bounded = {"A", "D", "F", "G"}
### END SOLUTION

# %% nbgrader={"grade_id": "ends", "grade": true, "points": 3, "locked": true}
right = [math.log(5 / 3) / 2, 0.0, math.log(5 / 2) / 2]
compare("3 : 5 : 2, β = 2", kept(best_energies, torch.tensor([0.3, 0.5, 0.2]), 2.0), right)
often, never = best_energies(torch.tensor([1.0, 0.0]), 1.0)
assert often == 0 and never == math.inf, (
    "frequencies 1 and 0: one energy should be the lowest, the other the limit for a frequency that goes to 0"
)
compare("gap for 1/11", gap_for_push(6, 2.0, 1 / 11), math.log(50) / 2)
compare("gap for a quarter", gap_for_push(2, 1.0, 1 / 4), math.log(3))
letters(bounded, "ABCDEFG")

# %% [markdown] nbgrader={"grade_id": "ends-words", "grade": true, "solution": true, "points": 1.5}
r"""
### BEGIN SOLUTION
*No end.* A step against the gradient moves the right answer's energy down with the force $1 - p(y|x)$, and each wrong
one up with $p(y'|x)$. For finite energies every $p(y'|x)$ is positive, so no force is ever zero. The smallest loss, 0,
needs $p(y|x) = 1$ and so an infinite gap. It is never reached. The gap keeps growing, ever more slowly (with
independent energies, like the logarithm of time over β). Only differences count, so "$-\infty$ and $+\infty$" means:
relative to each other.

*Continuous $y$.* The density of data on a thin curve is infinite on the curve and zero beside it. The likelihood makes
the model imitate this: $F \to -\infty$ on the curve and $F \to +\infty$ beside it, a canyon that is infinitely deep
and narrow.

*Hard to work with.* The walls are so steep that gradient steps must be tiny, or they jump across the canyon. A near
miss gets as little probability as an absurd answer. Weights grow and the model is over-confident. What helps,
for example: label smoothing, since forces balance at a finite gap (at frequencies of 0.9 and 0.1 the best gap is
finite, by (a)); a penalty on the weights, since a larger gap costs more than it saves; bounded energies; a margin. What
does not: a smaller learning rate or a larger β, which change only how fast the gap grows; or subtracting the mean, as
only differences count.

**Mark scheme (1½ points)**

1. ½ point: forces $1 - p(y|x)$ and $p(y'|x)$ that are positive at every finite gap. ¼ for "the loss is never zero"
   without the forces.
2. ¼ point: only differences of energies count.
3. ½ point: infinite density on a thin set (¼), hence an infinitely deep and narrow canyon (¼).
4. ¼ point: one consequence, *and* one letter that helps and one that does not, each with its reason. Nothing for less.
### END SOLUTION
"""

# %% nbgrader={"grade_id": "moons-likelihood", "locked": true, "gives": ["draw_landscape", "train_on_moons"]} tags=["demo"]
from sklearn.datasets import make_moons

torch.set_num_threads(1)  # more threads make a small network slower
moons = torch.tensor(make_moons(400, noise=0.04, random_state=0)[0]).float()  # (400, 2): x across, y up
answers, questions = torch.linspace(-1.2, 1.7, 59), torch.linspace(-1.4, 2.4, 77)


def train_on_moons(push, keep):
    """Train a small energy network; returns a table (77, 59) of all energies at each step in `keep`.

    push: maps energies (B, 59) and right answers (B,), as indices on the grid, to ∂ℓ/∂F
    """
    torch.manual_seed(0)
    layers = torch.nn.Linear(2, 48), torch.nn.SiLU(), torch.nn.Linear(48, 48), torch.nn.SiLU(), torch.nn.Linear(48, 1)
    net, tables = torch.nn.Sequential(*layers), []
    net[0].weight.data *= 4  # so that it can represent fine detail from the start
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
    for step in range(keep[-1] + 1):
        if step in keep:
            tables.append(net(torch.cartesian_prod(questions, answers)).reshape(77, 59).detach())
        pairs = moons[torch.randint(len(moons), (64,))]
        F = net(torch.cartesian_prod(pairs[:, 0], answers)).reshape(64, 59)
        right = (pairs[:, 1:] - answers).abs().argmin(dim=1)
        optimizer.zero_grad()
        gradient = torch.as_tensor(push(F.detach(), right)).to(F.dtype)  # your gradient
        F.backward(gradient / len(F))
        optimizer.step()
    return tables


def draw_landscape(ax, table, title):
    """Each energy above the lowest for the same x, cut at 3; returns the picture, and the share of energies below 1."""
    above = (table - table.min(dim=1, keepdim=True).values).clamp(max=3)
    picture = ax.imshow(above.T, origin="lower", extent=(-1.4, 2.4, -1.2, 1.7), aspect="auto", cmap="viridis", vmax=3)
    ax.plot(*moons[::3].T, "o", color="white", markeredgecolor="black", markeredgewidth=0.4, markersize=2.5)
    ax.set(title=title, xlabel="x", ylabel="y")
    return picture, float((above < 1).float().mean())


print("training with the likelihood, for about five seconds …")
marks = (0, 100, 400, 1200)
tables = train_on_moons(lambda F, right: nll_gradient(F, right, 1.0), marks)
figure, axes = plt.subplots(1, 4, figsize=(14, 3.2), layout="constrained", gridspec_kw={"wspace": 0.1})
low, walls = [], []
for ax, mark, table in zip(axes, (0, 100, 1200), (tables[0], tables[1], tables[3]), strict=False):
    picture, share = draw_landscape(ax, table, f"{mark} steps")
    low.append(f"{share:.0%} after {mark}")
figure.colorbar(picture, ax=axes[2], label="energy above the lowest")
for mark, table, style in zip(marks, tables, (":", "-.", "--", "-"), strict=True):
    axes[3].plot(answers, table[38] - table[38].min(), style, color=BLUE, label=f"{mark} steps")
    walls.append(f"{table[38].max() - table[38].min():.3g} after {mark}")
axes[3].set(xlabel="y", ylabel="energy", title=f"Along x = {questions[38]:.1f}")
axes[3].legend(fontsize=8)
show_figure(
    f"Share of answers less than 1 above the lowest energy for their x: {', '.join(low)} steps. "
    f"Highest above lowest energy along x = {questions[38]:.1f}: {', '.join(walls)} steps."
)

# %% [markdown] nbgrader={"grade_id": "corners-text", "locked": true}
r"""
*In the figures: a network learns two crescents (white points) with your gradient; dark is low. Nearly flat at first, a
broad basin after 100 steps, two sharp canyons after 1200. Right, along one x: the walls rise from mark to mark.*

## 3 · Contrast

These losses look at the energies $F^+$ of a right answer $y^+$ and $F^-$ of one wrong answer $\bar{y}$ to the same $x$.
$m>0$ is a margin. (Hinge, log, square–square: LeCun et al. 2006.) InfoNCE, which takes many wrong answers, is
Exercise 10 of ocr.

**Exercise 3.1 · four losses** · 4 points by machine, 3 by hand · ★★☆ · 35 minutes

*Write four losses from their descriptions, then their gradients.*

- **simple**: $F^+$ costs its excess over 0, and $F^-$ its shortfall from $m$; otherwise nothing. The two costs add up.
- **hinge**: a pair costs the amount by which the gap $F^--F^+$ falls short of $m$; otherwise nothing.
- **log**, or soft hinge: the loss ℓ of 2.1 for β = 1, if these two are the only answers. Write it in terms of
  $F^+-F^-$ alone.
- **square–square**: like simple, but each of the two costs is squared.

By hand, for each loss: its formula; $\frac{\partial\ell}{\partial{w}}$ from the rows
$\frac{\partial{F}^+}{\partial{w}}$ and $\frac{\partial{F}^-}{\partial{w}}$; the energies at which both derivatives are
0; and whether the *levels* of the energies count, or only their difference.

By machine: return a tuple of ℓ, $\partial\ell/\partial{F}^+$ and $\partial\ell/\partial{F}^-$ for a batch of pairs.
At a corner you may return the slope of either side. The log loss must also work for differences of thousands.

<details><summary>Hint</summary>

What is the slope of $[a]_+$ on either side of 0? For the log loss, take the larger of the difference and 0 out of the
logarithm.

</details>
"""

# %% [markdown] nbgrader={"grade_id": "corners-derivation", "grade": true, "solution": true, "points": 3}
r"""
### BEGIN SOLUTION
The loss depends on $w$ through two numbers, so $\frac{\partial \ell}{\partial w} =
\frac{\partial \ell}{\partial F^+} \frac{\partial F^+}{\partial w} +
\frac{\partial \ell}{\partial F^-} \frac{\partial F^-}{\partial w}$. The slope of $[a]_+$ is 1 for $a > 0$ and 0 for
$a < 0$, written $[a > 0]$.

*Simple.* $\ell = [F^+]_+ + [m - F^-]_+$ and $\frac{\partial \ell}{\partial w} =
[F^+ > 0]\, \frac{\partial F^+}{\partial w} - [F^- < m]\, \frac{\partial F^-}{\partial w}$. Nothing moves if
$F^+ \le 0$ and $F^- \ge m$. Levels count.

*Hinge.* $\ell = [m + F^+ - F^-]_+$ and $\frac{\partial \ell}{\partial w} = [F^- < F^+ + m]\,
\bigl( \frac{\partial F^+}{\partial w} - \frac{\partial F^-}{\partial w} \bigr)$. Nothing moves if
$F^- \ge F^+ + m$. Only the difference counts.

*Log.* $\ell = F^+ + \log(e^{-F^+} + e^{-F^-}) = \log\bigl(1 + e^{F^+ - F^-}\bigr)$ and
$\frac{\partial \ell}{\partial w} = \sigma(F^+ - F^-)\, \bigl( \frac{\partial F^+}{\partial w} -
\frac{\partial F^-}{\partial w} \bigr)$. σ is positive everywhere, so it never rests, though the push fades
exponentially as the gap grows. Only the difference counts.

*Square–square.* $\ell = [F^+]_+^2 + [m - F^-]_+^2$ and $\frac{\partial \ell}{\partial w} =
2 [F^+]_+\, \frac{\partial F^+}{\partial w} - 2 [m - F^-]_+\, \frac{\partial F^-}{\partial w}$. Nothing moves if
$F^+ \le 0$ and $F^- \ge m$. Levels count.

**Mark scheme (3 points)**

1. 1 point: the four definitions, ¼ each.
2. 1 point: the four gradients, with signs and conditions, ¼ each. Nothing for a gradient without its rows.
3. ½ point: where nothing moves, for all four (the log loss: nowhere). ¼ if two or three are right.
4. ½ point: levels for simple and square–square, differences for hinge and log. ¼ if two or three are right.
### END SOLUTION
"""


# %% nbgrader={"grade_id": "corners-code", "solution": true}
def simple_loss(F_pos, F_neg, m):
    """The simple loss for energies F_pos, F_neg (B,): a tuple of ℓ (B,), ∂ℓ/∂F⁺ (B,), ∂ℓ/∂F⁻ (B,)."""
    ### BEGIN SOLUTION
    loss = F_pos.clamp(min=0) + (m - F_neg).clamp(min=0)
    return loss, (F_pos > 0).to(loss.dtype), -(F_neg < m).to(loss.dtype)
    ### END SOLUTION


def hinge_loss(F_pos, F_neg, m):
    """The hinge loss; arguments and results as above."""
    ### BEGIN SOLUTION
    violation = m + F_pos - F_neg
    active = (violation > 0).to(violation.dtype)
    return violation.clamp(min=0), active, -active
    ### END SOLUTION


def log_loss(F_pos, F_neg):
    """The log loss for energies F_pos, F_neg (B,): a tuple of ℓ (B,), ∂ℓ/∂F⁺ (B,), ∂ℓ/∂F⁻ (B,)."""
    ### BEGIN SOLUTION
    a = F_pos - F_neg
    loss = a.clamp(min=0) + torch.log1p(torch.exp(-a.abs()))
    return loss, torch.sigmoid(a), -torch.sigmoid(a)
    ### END SOLUTION


def square_square_loss(F_pos, F_neg, m):
    """The square–square loss; arguments and results as above."""
    ### BEGIN SOLUTION
    too_high, too_low = F_pos.clamp(min=0), (m - F_neg).clamp(min=0)
    return too_high**2 + too_low**2, 2 * too_high, -2 * too_low
    ### END SOLUTION


# %% nbgrader={"grade_id": "corners", "grade": true, "points": 2, "locked": true}
values = [1.8, 1.2, 0, 4.4, 0.4, 4]
check_pair_loss("simple", lambda a, b: simple_loss(a, b, 1.5), values)
values = [1.8, 0.8, 0, 4.4, 0, 2]
check_pair_loss("hinge", lambda a, b: hinge_loss(a, b, 1.5), values)


# %% nbgrader={"grade_id": "smooth", "grade": true, "points": 2, "locked": true}
check_pair_loss("log", log_loss, [0.854355, 0.403186, 0.071645, 2.953563, 0.115520, 0.974077])
loss, d_pos, d_neg = log_loss(torch.tensor([1000.0, 0.0, 100.0]), torch.tensor([0.0, 1000.0, 0.0]))
compare("ℓ, differences up to ±1000", loss, [1000.0, 0.0, 100.0])
compare("its ∂ℓ/∂F⁺", d_pos, [1.0, 0.0, 1.0])
compare("its ∂ℓ/∂F⁻", d_neg, [-1.0, 0.0, -1.0])
check_pair_loss("sq–sq", lambda a, b: square_square_loss(a, b, 1.5), [1.94, 1.44, 0, 10.96, 0.16, 16])


# %% nbgrader={"grade_id": "losses-figure", "locked": true} tags=["demo"]
def draw_loss(ax, name, loss):
    pos, neg = torch.meshgrid(torch.linspace(-1, 3, 81), torch.linspace(-1, 3, 81), indexing="xy")  # F⁺ across, F⁻ up
    value, d_pos, d_neg = (torch.as_tensor(part).reshape(81, 81) for part in loss(pos.flatten(), neg.flatten()))
    ax.contourf(pos, neg, value, 14, cmap="viridis")
    here = (slice(4, None, 12), slice(4, None, 12))
    ax.plot([-1, 3], [-1, 3], color="white", linewidth=2, zorder=1)
    ax.plot([-1, 3], [-1, 3], ":", color="black", zorder=1)
    looks = {"color": "white", "edgecolor": "black", "linewidth": 0.5, "width": 0.014}
    ax.quiver(pos[here], neg[here], -d_pos[here], -d_neg[here], **looks)
    ax.set(title=name, xlabel="F⁺", ylabel="F⁻", aspect="equal")
    still = (d_pos.abs() + d_neg.abs() < 0.01).float().mean()
    return f"{name} {value[80, 80]:.2g}, ({0 - d_pos[80, 80]:.2g}, {0 - d_neg[80, 80]:.2g}), {still:.0%}"


figure, axes = plt.subplots(1, 4, figsize=(14, 3.4), layout="constrained")
said = [
    draw_loss(axes[0], "simple", lambda a, b: simple_loss(a, b, 1.0)),
    draw_loss(axes[1], "hinge", lambda a, b: hinge_loss(a, b, 1.0)),
    draw_loss(axes[2], "log", log_loss),
    draw_loss(axes[3], "square–square", lambda a, b: square_square_loss(a, b, 1.0)),
]
show_figure(
    "The loss and the arrow at the top right, F⁺ = F⁻ = 3, and the share of the square without a push: "
    f"{'; '.join(said)}."
)

# %% [markdown] nbgrader={"grade_id": "margins-text", "locked": true}
r"""
*In the figures: the four losses, dark where low. Arrows show how they move a pair of energies. For simple and
square–square they vanish at the upper left. For hinge and log they are parallel: the hinge's vanish from one margin
above the dotted diagonal on, those of log only shrink.*

**Exercise 3.2 · tables and doubtful labels** · 4 points by machine · ★★☆ · 15 minutes

*Apply the hinge to a row of answers, and find where contradictory labels leave an energy.*

(a) `table_hinge_gradient`: $\partial\ell/\partial{F}$ for each row of a table, for the hinge with the *most offending*
(lowest) wrong answer as $\bar{y}$. Wrong answers never tie for lowest.

(b) `simple_rest` and `square_square_rest`: a share $1-\epsilon$ of people call one pair right, the share ε calls it
wrong. So its energy $e$ costs, with the simple loss, $(1-\epsilon)[e]_++\epsilon[m-e]_+$ on average; with
square–square, both brackets are squared. Return the $e$ that costs least, for $0<\epsilon<1$, $\epsilon\ne\frac12$.

(c) `true_of_log`: the set of letters of the true statements about the log loss.

- **A** Its $\partial\ell/\partial{F}^+$ changes continuously from 0 to 1, while that of the hinge jumps.
- **B** It is exactly zero if the gap $F^--F^+$ is large enough.
- **C** It pushes a pair with $F^+-F^-=100$ ten times as hard as one with 10.
- **D** It needs no margin: its push fades as the gap grows.
- **E** It pushes a pair with $F^+-F^-=10$ nearly as hard as the hinge does.
- **F** It keeps the energies of right answers near 0.
- **G** It is bounded: no pair costs more than a fixed amount.

<details><summary>Hint</summary>

For (a): the lowest energy of a row may be the right answer's. For (b) draw both means for $\epsilon=0.1$ and $m=1$.

</details>
"""


# %% nbgrader={"grade_id": "margins-code", "solution": true}
def table_hinge_gradient(F, y, m):
    """∂ℓ/∂F of the hinge with the most offending wrong answer: F (B, n), n ≥ 2, y (B,), m > 0. Shape (B, n)."""
    ### BEGIN SOLUTION
    rows = torch.arange(len(F))
    others = F.clone()
    others[rows, y] = math.inf
    lowest, offender = others.min(dim=1)
    active = (m + F[rows, y] - lowest > 0).to(F.dtype)
    gradient = torch.zeros_like(F)
    gradient[rows, y], gradient[rows, offender] = active, -active
    return gradient
    ### END SOLUTION


def simple_rest(eps, m):
    """The energy at which the mean simple loss is smallest, if a share eps ≠ ½ says “wrong”: a number."""
    ### BEGIN SOLUTION
    return 0.0 if eps < 0.5 else m  # slope 1 − 2ε between 0 and m
    ### END SOLUTION


def square_square_rest(eps, m):
    """The same for the mean square–square loss."""
    ### BEGIN SOLUTION
    return eps * m  # 2 (1 − ε) e = 2 ε (m − e)
    ### END SOLUTION


# true_of_log = {"…", …}
### BEGIN SOLUTION
true_of_log = {"A", "D", "E"}
### END SOLUTION

# %% nbgrader={"grade_id": "margins", "grade": true, "points": 2, "locked": true}
F = torch.tensor([[0.0, 0.5, 2.0], [3.0, 1.0, 0.0], [0.0, 4.0, 5.0], [2.0, 9.0, 2.0]])
y, right = torch.tensor([0, 1, 0, 0]), [[1.0, -1.0, 0.0], [0.0, 1.0, -1.0], [0.0, 0.0, 0.0], [1.0, 0.0, -1.0]]
compare("∂ℓ/∂F, m = 0.8", kept(table_hinge_gradient, F, y, 0.8), right)
compare("energies near 3000", table_hinge_gradient(F + 3000, y, 0.8), right)
letters(true_of_log, "ABCDEFG")
print("for comparison, the likelihood's:", nll_gradient(F, y, 1.0), sep="\n")


# %% nbgrader={"grade_id": "doubt", "grade": true, "points": 2, "locked": true}
def check_rest(name, rest, power):
    for eps, m in ((0.01, 3.0), (0.25, 2.0), (0.7, 1.5)):
        e = torch.as_tensor(float(rest(eps, m)), dtype=torch.double) + torch.tensor([0.0, -0.01, 0.01])
        mean = (1 - eps) * e.clamp(min=0) ** power + eps * (m - e).clamp(min=0) ** power
        assert (mean[1:] > mean[0]).all(), f"{name}, ε = {eps}: the mean is less beside e = {float(e[0]):.3f}"
        print(f"ok  {name}, ε = {eps}: at rest")


check_rest("simple", simple_rest, 1)
check_rest("square–square", square_square_rest, 2)

# %% [markdown] nbgrader={"grade_id": "level-prediction-text", "locked": true}
r"""
**Exercise 3.3 · a prediction, and a comparison** · ½ point by machine, 3 by hand · ★★☆ · 15 minutes

*Predict how far each of four losses lets energies rise.*

The network of 2.3 learns the crescents with each of your four losses, at $m=1$. For each training pair a wrong answer
is drawn at random. **Prediction.** What happens to the *highest* energy of the landscape?

- **A** With simple and square–square it stays below 3. With hinge and log it rises above 3.
- **B** Only with log does it rise above 3.
- **C** With all four it rises above 3, and is higher after 600 steps than after 150.

Set `level_prediction` to one letter. Any of the three earns the ½ point: commit before you look.
"""

# %% nbgrader={"grade_id": "level-prediction-code", "solution": true}
# level_prediction = "…"   # "A", "B" or "C"
### BEGIN SOLUTION
level_prediction = "C"
### END SOLUTION

# %% nbgrader={"grade_id": "level-prediction", "grade": true, "points": 0.5, "locked": true}
assert level_prediction in ("A", "B", "C"), 'level_prediction should be one letter in quotes: "A", "B" or "C"'
print("ok  your prediction is", level_prediction)


# %% nbgrader={"grade_id": "moons-contrast", "locked": true} tags=["demo"]
def with_random_wrong_answers(loss):
    """∂ℓ/∂F for each row, if one wrong answer is drawn at random."""

    def push(F, right):
        wrong = (right + torch.randint(1, F.shape[1], (len(F),))) % F.shape[1]
        places = [functional.one_hot(which, F.shape[1]) for which in (right, wrong)]
        _, *slopes = loss(*(F[place == 1] for place in places))
        return sum(torch.as_tensor(slope)[:, None] * place for slope, place in zip(slopes, places, strict=True))

    return push


losses = {
    "simple": lambda a, b: simple_loss(a, b, 1.0),
    "hinge": lambda a, b: hinge_loss(a, b, 1.0),
    "log": log_loss,
    "square–square": lambda a, b: square_square_loss(a, b, 1.0),
}
print("training with four losses, for about eight seconds …")
figure, axes = plt.subplots(2, 3, figsize=(11, 6), layout="constrained")
before, *landscapes, highest = axes.flat
marks, styles = (0, 37, 75, 150, 300, 600), (("o-", GREEN), ("s--", RED), ("^:", BLUE), ("D-.", "black"))
said = []
for ax, (name, loss), (style, colour) in zip(landscapes, losses.items(), styles, strict=True):
    tables = train_on_moons(with_random_wrong_answers(loss), marks)
    picture, share = draw_landscape(ax, tables[-1], name)
    tops = [float(table.max()) for table in tables]
    highest.semilogy(marks, tops, style, color=colour, markersize=4, label=name)
    said.append(f"{name} {tops[3]:.3g}, {tops[-1]:.3g}, {share:.0%}")
_, flat = draw_landscape(before, tables[0], "before training")
figure.colorbar(picture, ax=landscapes[1], label="energy above the lowest")
highest.axhline(1, color="gray", linestyle=(0, (1, 3)), label="margin")
highest.set(xlabel="steps", ylabel="highest energy", title="Highest energy")
highest.legend(fontsize=7)
show_figure(
    f"Share of answers less than 1 above the lowest energy for their x: {flat:.0%} before training. With a margin of "
    f"1, the highest energy after 150 and 600 steps, and that share after 600: {'; '.join(said)}."
)

# %% [markdown] nbgrader={"grade_id": "margins-words", "grade": true, "solution": true, "points": 3}
r"""
*In the figure: landscapes before training and after 600 steps; the highest energy by step, with the margin dotted.*
A control, in five runs: if square–square also pulls wrong answers *down* to the margin, the highest
energy stays below 3.

**Explain and compare**, by hand. A wrong prediction costs nothing.

1. In one or two sentences: what does the figure show, and what causes it?
2. Compare the likelihood with losses that have a margin: which answers they look at, when they stop, what you must
   compute.
3. Name two advantages of the log loss over the hinge, with reasons.
4. Compare simple with square–square: the push on an energy far from its goal and on one close to it, and what 3.2(b)
   says. When would you prefer each?

### BEGIN SOLUTION
1. With all four losses the highest energy rises far past the margin. None of them pulls back a wrong answer whose
   energy is already high enough. For square–square the control shows that this is the cause: with a pull back to the
   margin, and all else alike, the highest energy stays low. The other three have no such pull either.
2. *The likelihood* looks at all answers. It pushes wrong ones up in proportion to their probability and the right one
   down with $1 - p(y|x)$. It never stops, and needs the sum or integral over all answers (or samples).
   *Losses with a margin* look at the right answer and one wrong answer, best the most offending. Simple and hinge push
   with 0 or 1, however far off an energy is; square–square in proportion. They stop at the margin, where the gradient
   is exactly zero. That does not bound the levels. They need a search for a wrong answer, and give no probabilities.
3. The gradient of the log loss is continuous, while that of the hinge jumps at the margin. The log loss grades the push
   between 0 and 1, so pairs that are far off count more than pairs that are nearly right. You need not choose a margin:
   the push fades smoothly as the gap grows, and does not stop at $m$. It can be read as a probability. (Two are
   enough.)
4. *Simple* pushes with 1 however far off an energy is. A few contradictory labels cannot win: $e$ rests at 0 or at $m$,
   a vote. It is robust to wrong labels, but it pushes at full strength to the very end and treats bad cases like mild
   ones. *Square–square* pushes in proportion: the worst pairs first, gently near the goal. $e$ rests at $\epsilon m$, a
   mean, which shows how doubtful the answer is. But one gross outlier pushes harder than many good pairs. Prefer simple
   if labels are noisy, and square–square if they are clean or their doubt should be visible.

**Mark scheme (3 points)**

1. ½ point: all four rise past the margin (¼), because nothing pulls energies above it back (¼). The prediction does not
   count.
2. ½ point: all answers by probability against one wrong answer. ¼ for one of the two.
3. ½ point: never stops against stops at the margin (¼), and sum or integral against search (¼).
4. ½ point: two advantages of the log loss, each with its reason. ¼ for one of them.
5. ½ point: a push of 0 or 1 against one in proportion to the distance from the goal. ¼ for one of the two.
6. ½ point: vote against mean (or robust against graded), ¼, and a case in which each is preferred, ¼.
### END SOLUTION
"""

# %% [markdown] nbgrader={"grade_id": "score-text", "locked": true}
r"""
## 4 · Optional: from noise to data

**Exercise 4 · a diffusion model** · optional, no points; the tests tell you whether it is right · ★★★ · 30 minutes

*Write the three steps that turn noise into data.*

Walkers need only the slope of $\log{p}$, the **score** $s=-\frac{\partial{F}}{\partial{y}}$ (β = 1). It has no
denominator and can be learned: *score matching* (Hyvärinen 2005). With noisy data this is least squares (Vincent
2011). One network learns it for many noise levels σ (Song and Ermon 2019).

(a) `add_noise`: $\tilde{y}=y+\sigma\cdot\text{noise}$, with standard normal noise and a σ for each point.

(b) `denoising_loss`: $\ell=\sigma^2\lVert{s}-t\rVert^2$ for each point, and $\frac{\partial\ell}{\partial{s}}$. The
target $t$ is the slope of $\log{p}(\tilde{y}|y)$ along $\tilde{y}$. Find it from σ and the noise.

(c) `sampling_step`: from level σ to a lower one, $\sigma'$ (Song et al. 2021). Its estimate of the clean point is
$\hat{y}=\tilde{y}+\sigma^2s$:

$$\tilde{y}\;\leftarrow\;\hat{y}+\Bigl(\frac{\sigma'}{\sigma}\Bigr)^2(\tilde{y}-\hat{y})+f\cdot\text{noise}.$$

Find $f$: if $\tilde{y}-\hat{y}$ has standard deviation σ before the step, it should have $\sigma'$ afterwards.

<details><summary>Hint</summary>

For (b): $p(\tilde{y}|y)$ is a normal density around $y$. For (c): variances of independent noises add up.

</details>
"""


# %% nbgrader={"grade_id": "score-code", "solution": true}
def add_noise(y, sigma, noise):
    """Noisy points (B, d) from points y (B, d), a noise level for each point, sigma (B,), and noise (B, d)."""
    ### BEGIN SOLUTION
    return y + sigma[:, None] * noise
    ### END SOLUTION


def denoising_loss(s, sigma, noise):
    """The loss of scores s (B, d) at noisy points: a tuple of ℓ (B,) and ∂ℓ/∂s (B, d); sigma, noise as above."""
    ### BEGIN SOLUTION
    miss = sigma[:, None] * s + noise  # σ (s − t) with t = −noise / σ
    return (miss**2).sum(dim=1), 2 * sigma[:, None] * miss
    ### END SOLUTION


def sampling_step(y, s, sigma, next_sigma, noise):
    """The walkers y (B, d) after a step from level sigma to next_sigma, sigma > next_sigma ≥ 0; s, noise (B, d)."""
    ### BEGIN SOLUTION
    share = (next_sigma / sigma) ** 2
    clean = y + sigma**2 * s
    return clean + share * (y - clean) + next_sigma * math.sqrt(1 - share) * noise
    ### END SOLUTION


# %% nbgrader={"grade_id": "score", "grade": true, "points": 0, "locked": true}
y, s, noise = torch.tensor(
    [[[1.0, 2.0], [0.0, -1.0], [3.0, 3.0]], [[2.0, 0.0], [1.0, 1.0], [0.0, -0.25]], [[1.0, -1.0]] * 3]
)
sigma = torch.tensor([0.5, 2.0, 4.0])
compare("noisy points", kept(add_noise, y, sigma, noise), [[1.5, 1.5], [2.0, -3.0], [7.0, -1.0]])
loss, d_s = kept(denoising_loss, s, sigma, noise)
compare("ℓ", loss, [5.0, 10.0, 5.0])
compare("∂ℓ/∂s", d_s, [[2.0, -1.0], [12.0, 4.0], [8.0, -16.0]])
compare("the last step, to σ' = 0", kept(sampling_step, y, s, 2.0, 0.0, noise), y + 4 * s)
torch.manual_seed(0)
walkers = 2 * torch.randn(20_000, 1)  # all data are 0: then the score at σ = 2 is −y / 4
walkers = torch.as_tensor(sampling_step(walkers, -walkers / 4, 2.0, 1.5, torch.randn(20_000, 1)))
compare("deviation after a step from σ = 2 to 1.5", walkers.std(), 1.5, tolerance=0.02)

# %% nbgrader={"grade_id": "score-figure", "locked": true} tags=["demo"]
from sklearn.datasets import make_moons

moons = torch.tensor(make_moons(400, noise=0.04, random_state=0)[0]).float()
levels = [2.0 * 0.015 ** (step / 60) for step in range(61)]  # from 2 down to 0.03


def learned_score(steps=4000, B=256):
    """Train a small network with your noise and your gradient; it maps points (B, 2) and levels (B,) to scores."""
    layers = torch.nn.Linear(3, 96), torch.nn.SiLU(), torch.nn.Linear(96, 96), torch.nn.SiLU(), torch.nn.Linear(96, 2)
    net = torch.nn.Sequential(*layers)
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.01, total_steps=steps)

    def score(y, sigma):
        width = (sigma[:, None] ** 2 + 0.5).sqrt()  # that of noisy data, about
        return net(torch.cat([y / width, sigma.log()[:, None]], dim=1)) / sigma[:, None]

    for _ in range(steps):
        y, noise = moons[torch.randint(len(moons), (B,))], torch.randn(B, 2)
        sigma = 2.0 * 0.015 ** torch.rand(B)
        s = score(torch.as_tensor(add_noise(y, sigma, noise)).float(), sigma)
        gradient = torch.as_tensor(denoising_loss(s.detach(), sigma, noise)[1]).float()
        optimizer.zero_grad()
        s.backward(gradient / B)
        optimizer.step()
        schedule.step()
    return score


print("training a score, for about five seconds …")
torch.set_num_threads(1)
torch.manual_seed(0)
score, walkers = learned_score(), [levels[0] * torch.randn(1000, 2)]
for sigma, next_sigma in zip(levels, [*levels[1:], 0.0], strict=True):
    s = score(walkers[-1], torch.full((1000,), sigma)).detach()
    step = sampling_step(walkers[-1], s, sigma, next_sigma, torch.randn(1000, 2))
    walkers.append(torch.as_tensor(step).float())
figure, axes = plt.subplots(1, 4, figsize=(14, 3.2), layout="constrained")
away = [torch.cdist(at, moons).min(dim=1).values.mean() for at in walkers]
for ax, at in zip(axes, (0, 20, 40), strict=False):
    ax.plot(*walkers[at].T, ".", color=BLUE, markersize=2)
    ax.set(title=f"Walkers at σ = {levels[at]:.2g}", xlim=(-5, 5), ylim=(-5, 5))
axes[3].plot(*walkers[-1].T, ".", color=BLUE, markersize=2, label="walkers at the end")
axes[3].plot(*moons[::4].T, "x", color="black", markersize=4, label="data")
axes[3].set(title="Samples beside data", xlim=(-1.6, 2.6), ylim=(-1.1, 1.9))
axes[3].legend(fontsize=8)
listed = ", ".join(f"{away[at]:.2g} at σ = {levels[at]:.2g}" for at in (0, 20, 40))
show_figure(f"A walker's mean distance from the nearest data point: {listed}, {away[-1]:.2g} at the end.")

# %% [markdown] nbgrader={"grade_id": "closing", "locked": true}
r"""
*In the figure: walkers at three noise levels, from a cloud to two crescents. Right: they end close to the data.*

**What to remember**

- Pulling right answers down is not enough: something must keep other energies high.
- A margin ends the push on a pair; the hinge's, once its gap reaches $m$. It does not bound the levels of energies.

**Sources.** K-means: MacQueen, "Some methods for classification and analysis of multivariate observations" (1967).
Principal components: Pearson, "On lines and planes of closest fit to systems of points in space" (1901). Sparse
coding: Olshausen and Field, "Emergence of simple-cell receptive field properties by learning a sparse code for
natural images" (1996). Denoising autoencoders: Vincent et al., "Extracting and composing robust features with
denoising autoencoders" (2008). Variational autoencoders: Kingma and Welling, "Auto-encoding variational Bayes"
(2013). Label smoothing: Szegedy et al., "Rethinking the Inception architecture for computer vision" (2016). Pairs:
Chopra et al., "Learning a similarity metric discriminatively, with application to face verification" (2005); Hadsell
et al., "Dimensionality reduction by learning an invariant mapping" (2006). Scores: Hyvärinen, "Estimation of
non-normalized statistical models by score matching" (2005); Vincent, "A connection between score matching and
denoising autoencoders" (2011); Song and Ermon, "Generative modeling by estimating gradients of the data distribution"
(2019); Song et al., "Score-based generative modeling
through stochastic differential equations" (2021).
"""
