# %% [markdown] nbgrader={"grade_id": "header", "locked": true}
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
other numbers."""

# %% nbgrader={"grade_id": "helpers", "locked": true}
import math

import matplotlib.pyplot as plt
import torch
from torch.nn import functional

from common import BLUE, GREEN, ORANGE, RED, compare, numbers


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


# %% [markdown] nbgrader={"grade_id": "rules", "locked": true}
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
single example, answer, weight or latent."""

# %% [markdown] nbgrader={"grade_id": "circle-text", "locked": true}
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


# %% nbgrader={"grade_id": "circle-code", "solution": true}
def circle_energy(x, y):
    """F(x, y) of tensors of one shape, entry by entry: lowest where the point (x, y) is on the unit circle."""
    ### BEGIN SOLUTION
    return (x**2 + y**2 - 1) ** 2
    ### END SOLUTION


# %% nbgrader={"grade_id": "freedom-code", "solution": true}
# true_of_energies = {"…", …}
### BEGIN SOLUTION
true_of_energies = {"A", "C", "E"}
### END SOLUTION

# %% nbgrader={"grade_id": "circle", "grade": true, "points": 2, "locked": true}
for x, y in ((0.6, 0.8), (-0.28, 0.96)):
    answers = torch.tensor([y, -y, 0.0, 0.5, 1.2, -2.0])
    energies = torch.as_tensor(kept(circle_energy, torch.full((6,), x), answers))
    assert energies.shape == (6,), "return one energy for each pair"
    assert torch.isclose(energies[0], energies[1], atol=1e-5), f"x = {x}: {y} and −{y} should have the same energy"
    assert (energies[2:] > energies[:2].max()).all(), f"x = {x}: a wrong answer has an energy as low as a right one"
letters(true_of_energies, "ABCDEF")

# %% nbgrader={"grade_id": "circle-figure", "locked": true} tags=["demo"]
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

# %% [markdown] nbgrader={"grade_id": "gibbs-density-text", "locked": true}
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

# %% [markdown] nbgrader={"grade_id": "gibbs-density-words", "grade": true, "solution": true, "points": 1}
r"""
### BEGIN SOLUTION
$$p(y|x) = \frac{e^{-\beta F(x, y)}}{\int e^{-\beta F(x, y')}\, dy'}$$

The minus sign makes low energies likely. The exponential makes every value positive, and turns a *difference* of
energies into a *ratio* of probabilities: $p(y_1|x) / p(y_2|x) = e^{-\beta (F(x, y_1) - F(x, y_2))}$. The denominator,
an integral over all answers to the same question, makes the whole integrate to 1. The formula makes sense if and only
if that integral is finite (and not 0); for an energy that is flat on all of $\mathbb{R}$ it is not.

If all energies of $x$ rise by $c(x)$, numerator and denominator are both multiplied by $e^{-\beta c(x)}$, which
cancels: $p$ stays as it is. Only differences of energies between answers to the same question count.

**Mark scheme (1 point, ½ for each step)**

1. The formula, with the integral over *y* in the denominator, and the condition that it is finite.
2. The roles (low is likely, positive, sums to one), and $p$ does not change under $c(x)$.
### END SOLUTION
"""


# %% nbgrader={"grade_id": "gibbs-density-code", "solution": true}
def gibbs_density(F, dy, beta):
    """Gibbs' density at the points of a grid.

    F: the energies (n,) at points of distance dy; beta > 0

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

# %% nbgrader={"grade_id": "gibbs-figure", "locked": true} tags=["demo"]
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

# %% [markdown] nbgrader={"grade_id": "role-text", "locked": true}
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

# %% nbgrader={"grade_id": "role-code", "solution": true}
# role = {"A": "…", "B": "…", …, "F": "…"}
### BEGIN SOLUTION
role = {"A": "loss", "B": "energy", "C": "energy", "D": "loss", "E": "energy", "F": "loss"}
### END SOLUTION

# %% nbgrader={"grade_id": "role", "grade": true, "points": 1, "locked": true}
letters(role, "ABCDEF")
assert set(role.values()) <= {"energy", "loss"}, 'the words are "energy" and "loss"'

# %% [markdown] nbgrader={"grade_id": "role-words", "grade": true, "solution": true, "points": 1}
r"""
### BEGIN SOLUTION
Take one $x$ whose right answer is the first of three, with the energies $F = (0, 0, 0)$. The friend's loss is 0, its
least value, but $\arg\min_y F(x, y)$ may be any answer: inference is a blind guess. (If wrong answers have energies
near 0, say $(0.001, 0, 0)$, it is even reliably wrong.) The energies of right answers alone say nothing about
inference, which *compares*. A loss has to look at the energies of wrong answers, too, and it must be small only if the
right answer's energy is below all of them, at best with some distance.

**Mark scheme (1 point, ½ for each step)**

1. A table in which the right answer has energy 0 (or nearly) and a wrong one is as low or lower.
2. Inference compares; so the loss must look at right *and* wrong energies of the same $x$.
### END SOLUTION
"""

# %% [markdown] nbgrader={"grade_id": "collapse-text", "locked": true}
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

# %% nbgrader={"grade_id": "collapse-code", "solution": true}
# collapsing = {"…", …}
# way = {"A": "…", "B": "…", …, "G": "…"}
### BEGIN SOLUTION
collapsing = {"B", "C", "F"}
way = {"A": "architecture", "B": "regulariser", "C": "contrast", "D": "architecture"}
way |= {"E": "contrast", "F": "contrast", "G": "regulariser"}
### END SOLUTION

# %% nbgrader={"grade_id": "collapse", "grade": true, "points": 3, "locked": true}
letters(collapsing, "ABCDEF")
letters(way, "ABCDEFG")
assert set(way.values()) <= {"contrast", "architecture", "regulariser"}, "one of the three words for each letter"

# %% [markdown] nbgrader={"grade_id": "collapse-words", "grade": true, "solution": true, "points": 1}
r"""
### BEGIN SOLUTION
The easiest way to make $h_w^2$ small at all right pairs is to make it small everywhere: zero weights in the last layer
will do. The landscape becomes flat and low; it **collapses**. All answers to a question have (nearly) the same energy,
so that $\arg\min$ picks an arbitrary one, whatever $x$ is. The loss curve gives no warning: it falls to 0, its lowest
value, and looks like a perfect training. Nothing in it ever asked for high energies anywhere.

**Mark scheme (1 point, ½ for each step)**

1. Collapse: energy low (zero) everywhere, flat landscape, because nothing pushes up.
2. Inference is arbitrary, and the loss looks perfect all the same.
### END SOLUTION
"""

# %% [markdown] nbgrader={"grade_id": "negatives-text", "locked": true}
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


# %% nbgrader={"grade_id": "negatives-code", "solution": true}
def my_loss(F_pos, F_neg):
    """Your loss for energies F_pos, F_neg (B,) of right and wrong answers, one value for each pair: (B,)."""
    ### BEGIN SOLUTION
    return F_pos + (2 - F_neg).clamp(min=0)
    ### END SOLUTION


# %% nbgrader={"grade_id": "negatives", "grade": true, "points": 1, "locked": true}
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

# %% [markdown] nbgrader={"grade_id": "negatives-words", "grade": true, "solution": true, "points": 1}
r"""
### BEGIN SOLUTION
*Which.* The **most offending** one, the wrong answer with the lowest energy, for it is the one that inference would
confuse with the right one: $\bar y = \arg\min_{y \ne y^+} F(x, y)$ out of a list. For a continuous $y$ there are wrong
answers as near to $y^+$ as you like, so one asks for a distance: $\bar y = \arg\min_{\lVert y - y^+ \rVert > \epsilon}
F(x, y)$, or one takes a sample from where energies are low.

*At random.* Among very many answers (all images, say) nearly all are absurd; after little training their energy is
high, beyond the margin, and their push is weak or zero. The dangerous ones, low in energy and near the data, are
practically never drawn: training is slow, and valleys remain at wrong places.

**Mark scheme (1 point, ½ for each step)**

1. The wrong answer of lowest energy; for continuous *y* at some distance from the right one (or by sampling).
2. Random ones are soon high, hence teach nothing, and the dangerous ones are hardly ever met.
### END SOLUTION
"""

# %% [markdown] nbgrader={"grade_id": "infer-text", "locked": true}
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


# %% nbgrader={"grade_id": "infer-code", "solution": true}
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


# %% nbgrader={"grade_id": "infer", "grade": true, "points": 2, "locked": true}
compare("y", kept(infer, torch.tensor([[2.0, -1.0, 3.0], [0.5, 0.7, 0.1]])), [1, 2])
# Three answers, four latents. In the first table answer 0 is best on average, answer 1 with the right latent
first = [[2.0, 2.0, 3.0, 4.0], [9.0, 9.0, 1.0, 8.0], [5.0, 6.0, 7.0, 5.0]]
second = [[5.0, 0.0, 7.0, 3.0], [6.0, 8.0, 4.0, 9.0], [1.0, 2.0, 9.0, 2.0]]
y, z = kept(infer_latent, torch.tensor([first, second]))
compare("y of the best pair", y, [1, 0])
compare("z of the best pair", z, [2, 1])

# %% [markdown] nbgrader={"grade_id": "gibbs-text", "locked": true}
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


# %% nbgrader={"grade_id": "gibbs-code", "solution": true}
def gibbs(F, beta):
    """Probabilities (B, n) of all answers for energies F (B, n), beta > 0; each row sums to 1."""
    ### BEGIN SOLUTION
    weights = torch.exp(-beta * (F - F.min(dim=1, keepdim=True).values))
    return weights / weights.sum(dim=1, keepdim=True)
    ### END SOLUTION


# %% nbgrader={"grade_id": "limits-code", "solution": true}
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

# %% [markdown] nbgrader={"grade_id": "nll-text", "locked": true}
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

# %% [markdown] nbgrader={"grade_id": "nll-derivation", "grade": true, "solution": true, "points": 2}
r"""
### BEGIN SOLUTION
*Likelihood to loss.* The pairs are independent, so the probability of all answers is $\prod_b p(y_b|x_b)$. The
logarithm grows strictly, hence has its maximum at the same $w$, and turns the product into the sum $\sum_b \log
p(y_b|x_b)$. To maximise it is to minimise its negative, and a positive factor does not move the minimum: minimise
$\sum_b \ell_b$ with $\ell = -\frac{1}{\beta} \log p(y|x)$.

*Gibbs.* With $p(y|x) = e^{-\beta F_w(x, y)} / \sum_{y'} e^{-\beta F_w(x, y')}$,

$$\ell = -\frac{1}{\beta} \Bigl( -\beta F_w(x, y) - \log \sum_{y'} e^{-\beta F_w(x, y')} \Bigr)
= F_w(x, y) + \frac{1}{\beta} \log \sum_{y'} e^{-\beta F_w(x, y')}, \qquad
A(x) = -\frac{1}{\beta} \log \sum_{y'} e^{-\beta F_w(x, y')} .$$

*The factor* makes the loss an energy: the right answer's energy enters with factor 1, whatever β is, gradients do not
grow with β, and the cold limit is finite.

*The terms.* The first pulls the right answer's energy down. The second, $-A(x)$, falls when any energy rises: it pushes
up all of them, the right one included, and the low ones most.

*Cold limit.* Let $m = \min_{y'} F_w(x, y')$. Then $A = m - \frac{1}{\beta} \log \sum_{y'} e^{-\beta (F_w(x, y') - m)}$.
The sum lies between 1 and $n$, so the second term is at most $\frac{1}{\beta} \log n$ and vanishes. $A \to m$, and
$\ell \to F_w(x, y) - \min_{y'} F_w(x, y')$, the loss of the perceptron. (For $\beta \to 0$ the term
$\frac{1}{\beta} \log n$ drives $\ell$ to infinity.)

**Mark scheme (2 points, ½ for each step)**

1. Product, logarithm, negative and factor, with the reason why the best $w$ stays the same.
2. Gibbs inserted and simplified; $A(x)$ with the sum over all answers.
3. The purpose of $\frac{1}{\beta}$ (one is enough), and which term pulls, which pushes.
4. Cold limit with a reason: the lowest energy dominates the sum.
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


# %% nbgrader={"grade_id": "nll-limits-code", "solution": true}
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
assert 0 <= nll_cold < nll_hot, "a probability is at most 1, so no loss is negative; and here heat makes it larger"


# %% nbgrader={"grade_id": "energy-network", "locked": true, "gives": ["energy_network", "measured"]}
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


# %% [markdown] nbgrader={"grade_id": "nll-gradient-text", "locked": true}
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

# %% [markdown] nbgrader={"grade_id": "nll-gradient-derivation", "grade": true, "solution": true, "points": 2}
r"""
### BEGIN SOLUTION
*Second term.* By the chain rule, logarithm outside, then the sum of exponentials,

$$\frac{\partial}{\partial w} \frac{1}{\beta} \log \sum_{y'} e^{-\beta F_w(x, y')} = \frac{1}{\beta} \cdot
\frac{\sum_{y'} e^{-\beta F_w(x, y')} \cdot (-\beta)\, \frac{\partial F_w(x, y')}{\partial w}}
{\sum_{y''} e^{-\beta F_w(x, y'')}} = -\sum_{y'} p(y'|x)\, \frac{\partial F_w(x, y')}{\partial w} .$$

The factors $\frac{1}{\beta}$ and $\beta$ cancel, and each quotient is Gibbs' probability of the answer $y'$.

*Together* with the first term,

$$\frac{\partial \ell}{\partial w} = \frac{\partial F_w(x, y)}{\partial w}
- \sum_{y'} p(y'|x)\, \frac{\partial F_w(x, y')}{\partial w}
= \frac{\partial F_w(x, y)}{\partial w} - \mathbb{E}_{y' \sim p(\cdot|x)} \Bigl[ \frac{\partial F_w(x, y')}{\partial w}
\Bigr] \qquad (1 \times P) .$$

By the energies alone: $\frac{\partial \ell}{\partial F_i} = [i = y] - p(i|x)$, which is 1 minus its own probability at
the right answer (down), and minus its probability at each wrong one (up).

*Zero* it is (on average over the data) when the slope at the observed answers equals the slope expected under the
machine's own distribution: the model cannot be told from the data any more. For a single pair and free energies this
means $p(y|x) = 1$.

*β* does not appear as a factor, thanks to the scaling. It enters through the probabilities alone: cold, the expected
value sees the lowest answers only.

**Mark scheme (2 points, ½ for each step)**

1. Chain rule for logarithm and sum, inner derivative $-\beta\, \partial F / \partial w$ for every answer.
2. The quotient recognised as $p(y'|x)$; β cancels.
3. Both terms together: observed minus expected (all answers in the sum, the right one too).
4. When it is zero, and β enters through $p$ only.
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
(x, w), y = numbers((3,), (5 * (3 + 4 + 2), 1), seed=1), torch.tensor([1])
F, J = energy_network(w, x, 4), measured(lambda w: energy_network(w, x, 4), w)
right = measured(lambda w: functional.cross_entropy(-0.7 * energy_network(w, x, 4), y) / 0.7, w)
compare("∂ℓ/∂w of a network", kept(nll_weight_gradient, F, J, y, 0.7), right)

# %% [markdown] nbgrader={"grade_id": "sampling-text", "locked": true}
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

# %% [markdown] nbgrader={"grade_id": "sampling-words", "grade": true, "solution": true, "points": 1}
r"""
### BEGIN SOLUTION
*Intractable.* The expected value runs over *all* answers, and so does the denominator of $p$. Their number grows
exponentially with the number of entries of $y$: $26^{10}$ words of ten letters; and for a continuous $y$ it is an
integral over a space of many dimensions, without a closed form when $F$ is a network. And it is needed anew for each
$x$ and each step of training.

*Ways around* (two are enough). Sampling by Markov chains such as Langevin's: correct in the limit, but walks are long,
they hardly cross from valley to valley, and gradients are noisy. Contrastive divergence: short walks that begin at the
data; cheap but biased, valleys far from the data stay unseen. A list of drawn answers with importance weights, or
noise-contrastive estimation: needs a good distribution to draw from. A variational bound: one more model, and a gap
between bound and loss. Energies for which the sum is easy (chains, trees, Gaussians): less expressive. Losses that
look at one or a few wrong answers (part 3): no longer a likelihood.

**Mark scheme (1 point, ½ for each step)**

1. Sum or integral over exponentially many (continuous) answers, no closed form.
2. Two ways, each with its price.
### END SOLUTION
"""


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
compare("variance of the crowd", walkers.var(), 0.625, tolerance=0.04)


# %% nbgrader={"grade_id": "sampling-figure", "locked": true} tags=["demo"]
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

# %% [markdown] nbgrader={"grade_id": "ends-text", "locked": true}
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


# %% nbgrader={"grade_id": "ends-code", "solution": true}
def best_energies(q, beta):
    """Energies (n,) with the least mean loss for frequencies q (n,) that sum to 1; the lowest energy is 0."""
    ### BEGIN SOLUTION
    return torch.log(q.max() / q) / beta  # p = q at the minimum; log(…/0) = ∞
    ### END SOLUTION


def gap_for_push(n, beta, g):
    """The gap Δ at which the push on the right answer among n is g, 0 < g < 1: a number."""
    ### BEGIN SOLUTION
    return math.log((n - 1) * (1 - g) / g) / beta  # (n − 1) e^(−βΔ) = g / (1 − g)
    ### END SOLUTION


# %% nbgrader={"grade_id": "bounded-code", "solution": true}
# bounded = {"…", …}
### BEGIN SOLUTION
bounded = {"A", "D", "F", "G"}
### END SOLUTION

# %% nbgrader={"grade_id": "ends", "grade": true, "points": 3, "locked": true}
right = [math.log(5 / 3) / 2, 0.0, math.log(5 / 2) / 2]
compare("3 : 5 : 2, β = 2", kept(best_energies, torch.tensor([0.3, 0.5, 0.2]), 2.0), right)
often, never = best_energies(torch.tensor([1.0, 0.0]), 1.0)
assert often == 0 and never == math.inf, "an answer that never comes can never be too high"
compare("gap for 1/11", gap_for_push(6, 2.0, 1 / 11), math.log(50) / 2)
compare("gap for a quarter", gap_for_push(2, 1.0, 1 / 4), math.log(3))
letters(bounded, "ABCDEFG")

# %% [markdown] nbgrader={"grade_id": "ends-words", "grade": true, "solution": true, "points": 2}
r"""
### BEGIN SOLUTION
*Never satisfied.* A step against the gradient moves the right answer's energy down with the force $1 - p(y|x)$, and
each wrong one up with the force $p(y'|x)$. All $p(y'|x)$ are positive for finite energies, so no force is ever zero.
The least value of the loss, 0, requires $p(y|x) = 1$, thus an infinite gap, and is not attained. The gap grows on and
on, ever more slowly (like the logarithm of time over β). Only differences count, so “$-\infty$ and $+\infty$” means:
relative to each other.

*Continuous $y$.* The density of data on a thin curve is infinite on the curve and zero beside it. The likelihood makes
the machine imitate this: $F \to -\infty$ on the curve, $F \to +\infty$ right beside it. The landscape becomes a canyon,
infinitely deep and narrow, with vertical walls.

*Bad to work with.* Inference or sampling by gradients fails: the slope is huge at the walls and says nothing far away;
steps that are small enough for the walls go nowhere on the plain. Answers that are nearly right are judged like
absurd ones, so energies say nothing about how good an answer is, and the landscape between training points is
arbitrary: it is over-confident, weights become huge. What helps is a bound or a price: regularisation, energies that
are bounded, noise on the data, or a loss with a margin, which is content at some distance.

**Mark scheme (2 points, ½ for each step)**

1. Forces $1 - p(y|x)$ and $p(y'|x)$ are positive at every finite gap.
2. The least loss is not attained; only differences of energies count.
3. Continuous: infinite density on a thin set, hence a canyon with vertical walls.
4. A consequence (gradients useless, no graded judgement, over-confidence), and one remedy.
### END SOLUTION
"""

# %% nbgrader={"grade_id": "moons-tools", "locked": true, "gives": ["answers", "draw_landscape", "questions", "train_on_moons"]} tags=["demo"]
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


# %% nbgrader={"grade_id": "moons-likelihood", "locked": true, "gives": ["tables"]} tags=["demo"]
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

# %% [markdown] nbgrader={"grade_id": "corners-text", "locked": true}
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

# %% [markdown] nbgrader={"grade_id": "corners-derivation", "grade": true, "solution": true, "points": 2}
r"""
### BEGIN SOLUTION
The slope of $[a]_+$ is $[a > 0]$, which is 1 if $a > 0$ and 0 if $a < 0$. The loss depends on $w$ through two numbers,
so $\frac{\partial \ell}{\partial w} = \frac{\partial \ell}{\partial F^+} \frac{\partial F^+}{\partial w} +
\frac{\partial \ell}{\partial F^-} \frac{\partial F^-}{\partial w}$.

*Simple.* Each energy has a term for itself:

$$\frac{\partial \ell}{\partial w} = [F^+ > 0]\, \frac{\partial F^+}{\partial w} - [F^- < m]\,
\frac{\partial F^-}{\partial w} .$$

Nothing moves when $F^+ \le 0$ and $F^- \ge m$. The loss knows levels: right answers belong below 0, wrong ones above
$m$, each with no regard to the other.

*Hinge.* One corner for both together:

$$\frac{\partial \ell}{\partial w} = [F^- < F^+ + m]\, \Bigl( \frac{\partial F^+}{\partial w} -
\frac{\partial F^-}{\partial w} \Bigr) .$$

Nothing moves when $F^- \ge F^+ + m$. The loss knows the difference only: both energies may rise or fall together, at
any level, and as far as they like.

**Mark scheme (2 points, ½ for each step)**

1. Simple: both terms, with minus for the wrong answer and both conditions.
2. Simple: at rest for $F^+ \le 0$ and $F^- \ge m$; levels count.
3. Hinge: one common condition with the margin in it, plus and minus.
4. Hinge: at rest for $F^- - F^+ \ge m$; only the difference counts.
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
    """The hinge loss; shapes as above."""
    ### BEGIN SOLUTION
    violation = m + F_pos - F_neg
    active = (violation > 0).to(violation.dtype)
    return violation.clamp(min=0), active, -active
    ### END SOLUTION


# %% nbgrader={"grade_id": "corners-tools", "locked": true, "gives": ["check_pair_loss"]}
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


# %% nbgrader={"grade_id": "corners", "grade": true, "points": 2, "locked": true}
relu = functional.relu
check_pair_loss("simple", lambda a, b: simple_loss(a, b, 1.5), lambda a, b: relu(a) + relu(1.5 - b))
check_pair_loss("hinge", lambda a, b: hinge_loss(a, b, 1.5), lambda a, b: relu(1.5 + a - b))

# %% [markdown] nbgrader={"grade_id": "smooth-text", "locked": true}
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

# %% [markdown] nbgrader={"grade_id": "smooth-derivation", "grade": true, "solution": true, "points": 2}
r"""
### BEGIN SOLUTION
*Log.* With $a = F^+ - F^-$, $\frac{d}{da} \log(1 + e^a) = \frac{e^a}{1 + e^a} = \sigma(a)$, and so

$$\frac{\partial \ell}{\partial w} = \sigma(F^+ - F^-)\, \Bigl( \frac{\partial F^+}{\partial w} -
\frac{\partial F^-}{\partial w} \Bigr) .$$

$\sigma > 0$ everywhere: it never rests, though the push fades exponentially as $F^- - F^+$ grows. Only the difference
counts. For a large violation the push approaches 1, as that of the hinge.

*Square–square.* The slope of $[a]_+^2$ is $2 [a]_+$, continuous at 0, and so

$$\frac{\partial \ell}{\partial w} = 2 [F^+]_+\, \frac{\partial F^+}{\partial w} - 2 [m - F^-]_+\,
\frac{\partial F^-}{\partial w} .$$

At rest for $F^+ \le 0$ and $F^- \ge m$, exactly as the simple loss; levels count. But the push is proportional to the
violation: the worst pairs are moved most, and near the goal it fades.

**Mark scheme (2 points, ½ for each step)**

1. Log: the factor $\sigma(F^+ - F^-)$, common to both rows, plus and minus.
2. Log: never at rest (fading exponentially); only the difference counts.
3. Square–square: $2 [F^+]_+$ and $-2 [m - F^-]_+$ with their rows.
4. Square–square: at rest for $F^+ \le 0$ and $F^- \ge m$; push proportional to the violation.
### END SOLUTION
"""


# %% nbgrader={"grade_id": "smooth-code", "solution": true}
def log_loss(F_pos, F_neg):
    """The log loss for energies F_pos, F_neg (B,): a tuple of ℓ (B,), ∂ℓ/∂F⁺ (B,), ∂ℓ/∂F⁻ (B,)."""
    ### BEGIN SOLUTION
    a = F_pos - F_neg
    loss = a.clamp(min=0) + torch.log1p(torch.exp(-a.abs()))
    return loss, torch.sigmoid(a), -torch.sigmoid(a)
    ### END SOLUTION


def square_square_loss(F_pos, F_neg, m):
    """The square–square loss; shapes as above."""
    ### BEGIN SOLUTION
    too_high, too_low = F_pos.clamp(min=0), (m - F_neg).clamp(min=0)
    return too_high**2 + too_low**2, 2 * too_high, -2 * too_low
    ### END SOLUTION


# %% nbgrader={"grade_id": "smooth", "grade": true, "points": 2, "locked": true}
check_pair_loss("log", log_loss, lambda a, b: functional.softplus(a - b))
loss, d_pos, d_neg = log_loss(torch.tensor([1000.0, 0.0, 100.0]), torch.tensor([0.0, 1000.0, 0.0]))
compare("ℓ, differences up to ±1000", loss, [1000.0, 0.0, 100.0])
compare("its ∂ℓ/∂F⁺", d_pos, [1.0, 0.0, 1.0])
compare("its ∂ℓ/∂F⁻", d_neg, [-1.0, 0.0, -1.0])
relu = functional.relu
check_pair_loss("sq–sq", lambda a, b: square_square_loss(a, b, 1.5), lambda a, b: relu(a) ** 2 + relu(1.5 - b) ** 2)


# %% nbgrader={"grade_id": "losses-figure", "locked": true} tags=["demo"]
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

# %% [markdown] nbgrader={"grade_id": "margins-text", "locked": true}
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


# %% nbgrader={"grade_id": "log-code", "solution": true}
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

# %% [markdown] nbgrader={"grade_id": "margins-words", "grade": true, "solution": true, "points": 2}
r"""
### BEGIN SOLUTION
(i) *The likelihood* looks at all answers. It pushes every wrong one up in proportion to its probability, and pulls the
right one down with $1 - p(y|x)$. It is never content; the gap grows for ever. And it needs the sum or integral over all
answers (or samples in its place).

*Margin losses* look at two energies: the right one's and that of one wrong answer, preferably the most offending. They
push it with a strength that depends on the violation and leave all others alone. They are content when the gap (or
the levels) reach the margin; then the gradient is exactly zero, and energies stay finite and the landscape smooth.
They need a search for a good wrong answer, a minimisation in place of an integral; they yield no probabilities.

(ii) *Log over hinge.* Its gradient is continuous, without a corner at the margin, where the hinge jumps between pushing
fully and not at all: easier for gradient methods. It grades the push between 0 and 1 by how badly the pair is off, so
that difficult pairs count more than nearly good ones. It does not stop at an arbitrary place: pairs inside and beyond
any margin are still improved a little, and there is no $m$ to be chosen. Its push stays bounded, as the hinge's. And it
can be read as a probability, being the likelihood for two answers. (Two are enough. The price: it is never content.)

**Mark scheme (2 points, ½ for each step)**

1. (i) All answers by their probability, against one (the most offending).
2. (i) Never content, against a gap that is enough; or integral against search.
3. (ii) First advantage with its reason.
4. (ii) Second advantage with its reason.
### END SOLUTION
"""

# %% [markdown] nbgrader={"grade_id": "doubt-text", "locked": true}
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


# %% nbgrader={"grade_id": "doubt-code", "solution": true}
def simple_rest(eps, m):
    """The energy at which the mean simple loss is least, for a share eps ≠ ½ of “wrong”: a number."""
    ### BEGIN SOLUTION
    return 0.0 if eps < 0.5 else m  # slope 1 − 2ε between 0 and m
    ### END SOLUTION


def square_square_rest(eps, m):
    """The same for the mean square–square loss."""
    ### BEGIN SOLUTION
    return eps * m  # 2 (1 − ε) e = 2 ε (m − e)
    ### END SOLUTION


# %% nbgrader={"grade_id": "doubt", "grade": true, "points": 2, "locked": true}
def check_rest(name, rest, power):
    for eps, m in ((0.01, 3.0), (0.25, 2.0), (0.7, 1.5)):
        e = torch.as_tensor(float(rest(eps, m)), dtype=torch.double) + torch.tensor([0.0, -0.01, 0.01])
        mean = (1 - eps) * e.clamp(min=0) ** power + eps * (m - e).clamp(min=0) ** power
        assert (mean[1:] > mean[0]).all(), f"{name}, ε = {eps}: the mean is less beside e = {float(e[0]):.3f}"
        print(f"ok  {name}, ε = {eps}: at rest")


check_rest("simple", simple_rest, 1)
check_rest("square–square", square_square_rest, 2)

# %% [markdown] nbgrader={"grade_id": "doubt-words", "grade": true, "solution": true, "points": 1}
r"""
### BEGIN SOLUTION
*Simple* pushes with constant force 1, however large or small the violation. A few contradicting labels cannot win
against the majority: $e$ rests at 0 or at $m$, a vote (like a median). It is robust against wrong labels and outliers,
and drives energies into the corners; but it pushes with full force until the last moment, jumps at the corner, and
takes no special care of the worst cases. *Square–square* pushes in proportion to the violation: the worst pairs first,
gently near the goal. $e$ rests at $\epsilon m$, a mean: a graded energy that tells how doubtful the answer is. But one
gross outlier pushes harder than many good pairs, and large violations make huge gradients.

Prefer the simple loss when labels are noisy or energies may be far off; prefer square–square when labels are clean (or
when their doubt shall be visible) and smooth energies and a quick repair of the worst pairs are wanted.

**Mark scheme (1 point, ½ for each step)**

1. Constant push against one proportional to the violation, with a consequence for large or small violations.
2. Vote against mean (or robust against graded), and a case in which each is preferred.
### END SOLUTION
"""


# %% nbgrader={"grade_id": "moons-contrast", "locked": true} tags=["demo"]
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

# %% [markdown] nbgrader={"grade_id": "closing", "locked": true}
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
algorithm that you write yourself."""
