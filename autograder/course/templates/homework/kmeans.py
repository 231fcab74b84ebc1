# %% [markdown] nbgrader={"grade_id": "header", "locked": true}
r"""
# Groups without labels

Nobody has labelled these points, and yet you can see three groups. You write the algorithm that finds them.

**What you will build.** The squared distance of every point to every centre, and one step of $k$-means. At the end your
centres have walked into the middle of the groups.

| exercise | you write | points | minutes |
| --- | --- | --- | --- |
| 1 | `squared_distances` | 3 | 15 |
| 2 | `move_centres` | 4 | 15 |
| 3 | why a step never makes it worse | 2 (by hand) | 10 |
| | **in all** | **9**: 7 by machine, 2 by hand | **40** |

**You need** tensors, broadcasting, and a CPU for a few seconds.

**How to work.** Replace each `raise NotImplementedError` with your code, then run the check below it. If it fails, its
message says what is wrong. The grader uses other numbers and sizes: your code must work for all."""

# %% nbgrader={"grade_id": "helpers", "locked": true}
import matplotlib.pyplot as plt
import torch

# %% nbgrader={"grade_id": "common", "locked": true}
# @title Helpers for figures. Run this cell; you need not read it.
from common import show_figure

# %% [markdown] nbgrader={"grade_id": "distances-text", "locked": true}
r"""
## 1 · Distances

A point $x_b \in \mathbb{R}^D$ and a centre $c_k \in \mathbb{R}^D$ have the squared distance

$$d_{bk} = \sum_{i=1}^{D} (x_{bi} - c_{ki})^2.$$

**Exercise 1 · `squared_distances`** · 3 points · ★☆☆ · 15 minutes

*Write `squared_distances`: from $B$ points and $K$ centres, the table of all $d_{bk}$ in the shape $(B, K)$.*

<details><summary>Hint</summary>

Think of a tensor that holds all $D$ differences for every point and every centre. What is its shape? Give each of the
two tensors an axis of length 1, and broadcasting makes that shape.

</details>"""


# %% nbgrader={"grade_id": "distances-code", "solution": true}
def squared_distances(x, centres):
    """The squared distance of every point to every centre.

    x:       points, a tensor of shape (B, D)
    centres: a tensor of shape (K, D)

    Returns a tensor of shape (B, K).
    """
    ### BEGIN SOLUTION
    differences = x[:, None, :] - centres[None, :, :]  # (B, K, D)
    return (differences**2).sum(dim=2)
    ### END SOLUTION


# %% nbgrader={"grade_id": "distances", "grade": true, "points": 3, "locked": true}
x = torch.tensor([[0.0, 0.0], [3.0, 0.0], [3.0, 4.0]])
centres = torch.tensor([[0.0, 0.0], [0.0, 4.0]])
yours = squared_distances(x, centres)
assert yours is not None, "squared_distances returned None: is a return statement missing?"
yours = torch.as_tensor(yours).float()
assert yours.shape == (3, 2), f"3 points and 2 centres give the shape (3, 2), not {tuple(yours.shape)}"
right = torch.tensor([[0.0, 16.0], [9.0, 25.0], [25.0, 9.0]])
assert torch.allclose(yours, right), f"(3, 4) and (0, 0) have 3² + 4² = 25; you say {yours[2, 0].item():.4g}"
print("ok  squared_distances")

# %% [markdown] nbgrader={"grade_id": "step-text", "locked": true}
r"""
## 2 · One step

A step of $k$-means does two things. Each point chooses its nearest centre. Then each centre moves to the mean of the
points that chose it. A centre that no point chose stays where it is.

**Exercise 2 · `move_centres`** · 4 points · ★★☆ · 15 minutes

*Write `move_centres`: from the points and the centres, the centres after one step. The tensor that you receive must not
change.*

<details><summary>Hint</summary>

What does `x[chosen == k]` hold, where `chosen` has the number of the nearest centre for each point? What is its mean if
no point chose `k`?

</details>"""


# %% nbgrader={"grade_id": "step-code", "solution": true}
def move_centres(x, centres):
    """The centres after one step of k-means.

    x:       points, a tensor of shape (B, D)
    centres: a tensor of shape (K, D); it must not change

    Returns a tensor of shape (K, D).
    """
    ### BEGIN SOLUTION
    chosen = squared_distances(x, centres).argmin(dim=1)  # (B,)
    moved = centres.clone()
    for k in range(len(centres)):
        members = x[chosen == k]
        if len(members) > 0:
            moved[k] = members.mean(dim=0)
    return moved
    ### END SOLUTION


# %% nbgrader={"grade_id": "step", "grade": true, "points": 4, "locked": true}
x = torch.tensor([[0.0, 0.0], [2.0, 0.0], [9.0, 3.0]])
centres = torch.tensor([[1.0, 1.0], [8.0, 3.0], [50.0, 50.0]])
before = centres.clone()
yours = move_centres(x, centres)
assert yours is not None, "move_centres returned None: is a return statement missing?"
yours = torch.as_tensor(yours).float()
assert yours.shape == (3, 2), f"3 centres in the plane have the shape (3, 2), not {tuple(yours.shape)}"
first, second, third = yours.tolist()
assert torch.allclose(yours[0], torch.tensor([1.0, 0.0])), f"(0, 0) and (2, 0) have the mean (1, 0), not {first}"
assert torch.allclose(yours[1], x[2]), f"one point is its own mean, (9, 3), not {second}"
assert torch.equal(yours[2], before[2]), f"no point chose the centre at (50, 50): it stays there, not at {third}"
assert torch.equal(centres, before), "move_centres has changed the tensor that it received"
print("ok  move_centres")

# %% nbgrader={"grade_id": "walk-figure", "locked": true} tags=["demo"]
# Three groups, and three centres that walk for six steps.
generator = torch.Generator().manual_seed(0)
middles = torch.tensor([[0.0, 0.0], [4.0, 0.0], [2.0, 3.5]])
x = middles.repeat_interleave(40, 0) + 0.7 * torch.randn(120, 2, generator=generator)
walk = [torch.tensor([[1.0, 3.0], [2.0, 2.5], [3.0, 3.0]])]
for _ in range(6):
    walk.append(move_centres(x, walk[-1]))
path = torch.stack(walk)  # (7, K, 2)
plt.figure(figsize=(4.5, 4))
plt.scatter(*x.T, s=10, color="#0072B2", label="points")
for k in range(3):
    plt.plot(*path[:, k].T, "o-", color="#D55E00", markersize=4, label="centres, step by step" if k == 0 else None)
plt.gca().set_aspect("equal")
plt.legend(fontsize=8)
ends = ", ".join(f"({a:.1f}, {b:.1f})" for a, b in walk[-1].tolist())
show_figure(
    "120 points in three groups, around (0, 0), (4, 0) and (2, 3.5). "
    f"Three centres start side by side near (2, 2.8). After {len(walk) - 1} steps they are at {ends}."
)

# %% [markdown] nbgrader={"grade_id": "why-text", "locked": true}
r"""
Each centre ends in the middle of one group.

## 3 · Why it works

Let $J$ be the sum, over all points, of the squared distance to the centre that the point chose.

**Exercise 3 · never worse** · 2 points by hand · ★★☆ · 10 minutes

*In two or three sentences: why does neither half of a step make $J$ larger?*"""

# %% [markdown] nbgrader={"grade_id": "why", "grade": true, "solution": true, "points": 2}
r"""
When points choose anew, each takes the nearest centre, so no term of $J$ grows. When centres move, each goes to the
mean of its points, and the mean is the place with the smallest sum of squared distances to them.

*Mark scheme:* 1 point: choosing the nearest centre makes no term larger. 1 point: the mean minimises the sum of squared
distances to the points of its group; ½ if it is only said that the centre comes closer."""
