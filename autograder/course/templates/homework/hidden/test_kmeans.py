"""Hidden tests of the notebook kmeans: distances and one step, on drawn sizes and numbers."""

import torch

from autograder import Harness, close, earns

HARNESS = Harness(__file__)


def points(draw):
    """Points, and fewer centres, in a space whose dimension is another number: swapped axes then show."""
    count, groups, dimension = draw.size(9, 12), draw.size(4, 5), draw.size(2, 3)
    return draw.normal(count, dimension), draw.normal(groups, dimension)


def moved(x, centres):
    """The centres after a step, by one-hot rows and matrix products."""
    nearest = torch.cdist(x, centres).argmin(dim=1)
    members = torch.nn.functional.one_hot(nearest, len(centres)).to(x.dtype)  # (B, K)
    counts = members.sum(dim=0)[:, None]
    return torch.where(counts > 0, members.T @ x / counts.clamp(min=1), centres)


@earns("distances")
def test_squared_distances(student, draw):
    """Every entry is the squared distance of one point to one centre."""
    x, centres = points(draw)
    close(student.squared_distances(x, centres), torch.cdist(x, centres) ** 2, "squared_distances")


@earns("step", weight=3)
def test_centres_move_to_means(student, draw):
    """Every centre moves to the mean of the points that are nearest to it."""
    x, centres = points(draw)
    centres = x[: len(centres)] + 0.01 * draw.normal(*centres.shape)  # each has a point
    close(student.move_centres(x, centres), moved(x, centres), "move_centres")


@earns("step")
def test_a_centre_without_points_stays(student, draw):
    """A centre that no point chose stays where it is, and one that a single point chose moves there."""
    x, centres = points(draw)
    x = torch.cat([x, torch.full_like(x[:1], -90)])  # far from the others, and alone with its centre
    centres = torch.cat([x[:3] + 0.01, 100 + centres[:1], x[-1:] + 1])
    close(student.move_centres(x, centres), moved(x, centres), "move_centres")


@earns("step")
def test_the_given_centres_do_not_change(student, draw):
    """The tensor that the function receives is the same after the call."""
    x, centres = points(draw)
    result, after = HARNESS.beside(student).called(student.move_centres, x, centres)
    close(result, moved(x, centres), "move_centres")
    assert torch.equal(after, centres), "the centres that your function received have changed"
