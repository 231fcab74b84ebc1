"""What hw3/theory tells about energies, losses and its figures, measured."""
# ruff: noqa: N806 (the symbols of the maths)

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import torch
from claim import solved
from sklearn.datasets import make_moons
from torch import Tensor

SEEDS = range(5)
STEPS = (100, 150, 400, 600, 1200)
"""the last of them for the likelihood only"""
MARGIN = 1.0
LOSSES = ("simple", "hinge", "log", "square-square")
ANSWERS, QUESTIONS = torch.linspace(-1.2, 1.7, 59), torch.linspace(-1.4, 2.4, 77)
MOONS = torch.tensor(make_moons(400, noise=0.04, random_state=0)[0]).float()
Push = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


@functools.cache
def notebook() -> dict[str, Any]:
    return solved("hw3/theory", until="score")


def push_of(name: str) -> Push:
    """The two derivatives of a loss, at a margin of 1."""
    function = notebook()[name.replace("-", "_") + "_loss"]
    margin = () if name == "log" else (MARGIN,)
    return lambda pos, neg: function(pos, neg, *margin)[1:]


def with_pull_back(pos: Tensor, neg: Tensor) -> tuple[Tensor, Tensor]:
    """Square-square, except that wrong answers above the margin are pulled back to it."""
    return 2 * pos.clamp(min=0), 2 * (neg - MARGIN)


@functools.cache
def trained(name: str, seed: int) -> dict[int, Tensor]:
    """The table of energies (77, 59) after each number of STEPS, trained as in the notebook from another seed."""
    torch.manual_seed(seed)
    layers = torch.nn.Linear(2, 48), torch.nn.SiLU(), torch.nn.Linear(48, 48), torch.nn.SiLU(), torch.nn.Linear(48, 1)
    net, tables = torch.nn.Sequential(*layers), {}
    net[0].weight.data *= 4
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
    for step in range((1200 if name == "likelihood" else 600) + 1):
        if step in STEPS:
            tables[step] = net(torch.cartesian_prod(QUESTIONS, ANSWERS)).reshape(77, 59).detach()
        pairs = MOONS[torch.randint(len(MOONS), (64,))]
        F = net(torch.cartesian_prod(pairs[:, 0], ANSWERS)).reshape(64, 59)
        rows, right = torch.arange(64), (pairs[:, 1:] - ANSWERS).abs().argmin(dim=1)
        optimizer.zero_grad()
        if name == "likelihood":
            gradient = notebook()["nll_gradient"](F.detach(), right, 1.0)
        else:
            wrong = (right + torch.randint(1, 59, (64,))) % 59
            push = with_pull_back if name == "pull back" else push_of(name)
            pos, neg = push(F.detach()[rows, right], F.detach()[rows, wrong])
            gradient = torch.zeros_like(F)
            gradient[rows, right], gradient[rows, wrong] = pos.float(), neg.float()
        F.backward(gradient / 64)
        optimizer.step()
    return tables


def highest(name: str, step: int) -> list[float]:
    """The highest energy of the landscape after some steps, for each seed; printed."""
    found = [float(trained(name, seed)[step].max()) for seed in SEEDS]
    print(f"{name}, {step} steps: highest energy", *(f"{value:.1f}" for value in found))
    return found


def test_highest_energies_pass_the_margin_and_keep_rising() -> None:
    """With margin 1 and random wrong answers, the highest energy of each loss passes 3, and it rises after step 150."""
    for name in LOSSES:
        early, late = (highest(name, step) for step in (150, 600))
        assert min(late) > 3 * MARGIN
        assert all(a < b for a, b in zip(early, late, strict=True))


def test_square_square_rises_least() -> None:
    """After 600 steps square-square has the lowest walls, then simple, then hinge and log."""
    for seed in SEEDS:
        walls = {name: float(trained(name, seed)[600].max()) for name in LOSSES}
        print(seed, {name: round(wall, 1) for name, wall in walls.items()})
        assert walls["square-square"] < min(walls["simple"], walls["hinge"], walls["log"])
        assert walls["log"] > max(walls["simple"], walls["hinge"])


def test_levels_rise_because_nothing_pulls_back() -> None:
    """Square-square with a pull back to the margin, and the same pushes else, stays below 3."""
    for step in (150, 600):
        assert max(highest("pull back", step)) < 3 * MARGIN


def test_a_zero_gradient_says_that_expected_slopes_match() -> None:
    """With F = wφ, φ = (0, 1, 2), q = (½, 0, ½) and w = 0 the mean gradient is 0, and p is (⅓, ⅓, ⅓)."""
    slopes, q = torch.tensor([[0.0], [1.0], [2.0]]), torch.tensor([0.5, 0.0, 0.5])
    F = torch.zeros(1, 3)
    gradients = [notebook()["nll_weight_gradient"](F, slopes, torch.tensor([y]), 1.0) for y in range(3)]
    mean, p = (
        sum(share * float(gradient) for share, gradient in zip(q, gradients, strict=True)),
        notebook()["gibbs"](F, 1.0),
    )
    print("mean gradient", float(mean), "probabilities", p.tolist())
    assert abs(mean) < 1e-6
    assert float((p - 1 / 3).abs().max()) < 1e-6


def test_simple_and_hinge_push_with_0_or_1() -> None:
    """Simple and hinge push with 0 or 1 whatever the violation, log between 0 and 1, square-square in proportion."""
    for seed in range(20):
        generator = torch.Generator().manual_seed(seed)
        pos, neg = 5 * torch.randn(2, 1000, generator=generator)
        for name in ("simple", "hinge"):
            for slope in push_of(name)(pos, neg):
                assert set(slope.abs().tolist()) == {0.0, 1.0}
        log, _ = push_of("log")(pos, neg)
        square, _ = push_of("square-square")(pos, neg)
        assert float(log.min()) >= 0
        assert float(log.max()) <= 1
        assert torch.allclose(square, 2 * pos.clamp(min=0))


def test_the_walls_of_the_likelihood_rise_at_every_mark() -> None:
    """With the likelihood, the highest wall along x = 0.5 rises from step 100 to 150, 400, 600 and 1200."""
    for seed in SEEDS:
        cuts = [trained("likelihood", seed)[step][38] for step in STEPS]
        walls = [float(cut.max() - cut.min()) for cut in cuts]
        print(seed, *(f"{wall:.1f}" for wall in walls))
        assert walls == sorted(walls)
        assert walls[-1] > 2 * walls[0]


def test_the_gap_grows_like_the_logarithm_of_time() -> None:
    """With free energies the gap grows by about log(10)/β when training takes ten times as long."""
    for beta in (0.5, 1.0, 3.0):
        for n in (2, 5, 20):
            F, gaps = torch.zeros(1, n, dtype=torch.double), {}
            for step in range(1, 100_001):
                F = F - 0.1 * notebook()["nll_gradient"](F, torch.tensor([0]), beta)
                if step in (10_000, 100_000):
                    gaps[step] = float(F[0, 1:].mean() - F[0, 0])
            growth = (gaps[100_000] - gaps[10_000]) * beta
            print(f"β = {beta}, n = {n}: the gap grows by {growth:.3f}/β, log 10 = {math.log(10):.3f}")
            assert abs(growth - math.log(10)) < 0.1


def test_walkers_find_both_valleys() -> None:
    """Walkers that all start on the right settle into Gibbs' density, in both valleys."""
    y = torch.linspace(-2, 2, 4001)
    right_share = float(notebook()["gibbs_density"](2 * (y**2 - 1) ** 2 + 0.3 * y, 0.001, 1.5)[y > 0].sum() * 0.001)
    for seed in range(20):
        torch.manual_seed(seed)
        walkers = 0.2 * torch.randn(4000) + 1.5
        for _ in range(3000):
            slope = 8 * walkers * (walkers**2 - 1) + 0.3
            walkers = notebook()["langevin_step"](walkers, slope, 1.5, 0.01, torch.randn(4000))
        share = float((walkers > 0).float().mean())
        print(f"seed {seed}: {share:.3f} of the walkers on the right, {right_share:.3f} by Gibbs")
        assert abs(share - right_share) < 0.05


def test_a_hundred_times_as_many_answers_are_ten_times_as_good() -> None:
    """The distance of the sampled gradient from the exact one falls like one over the root of the drawn answers."""
    for seed in range(20):
        generator = torch.Generator().manual_seed(seed)
        F, J = torch.randn(1, 50, generator=generator), torch.randn(50, 20, generator=generator)
        exact = notebook()["nll_weight_gradient"](F, J, torch.tensor([7]), 1.0)
        misses = []
        for S in (16, 1600):
            drawn = torch.multinomial(notebook()["gibbs"](F, 1.0)[0], 100 * S, replacement=True, generator=generator)
            estimates = [notebook()["sampled_gradient"](J[7:8], J[row]) for row in drawn.reshape(100, S)]
            misses.append(sum(float((estimate - exact).norm()) for estimate in estimates))
        print(f"seed {seed}: {misses[0] / misses[1]:.2f} times closer")
        assert 8.5 < misses[0] / misses[1] < 11.5


def test_least_squares_answers_nearly_zero() -> None:
    """A network trained with the squared error on pairs all around the circle answers nearly 0 to every x."""
    for seed in SEEDS:
        torch.manual_seed(seed)
        net = torch.nn.Sequential(torch.nn.Linear(1, 64), torch.nn.Tanh(), torch.nn.Linear(64, 1))
        optimizer = torch.optim.Adam(net.parameters(), lr=0.005)
        angles = torch.linspace(0, 2 * math.pi, 201)[:-1, None]
        for _ in range(1500):
            optimizer.zero_grad()
            ((net(angles.cos()) - angles.sin()) ** 2).mean().backward()
            optimizer.step()
        largest = float(net(torch.linspace(-0.95, 0.95, 99)[:, None]).detach().abs().max())
        print(f"seed {seed}: the largest answer is {largest:.4f}")
        assert largest < 0.1


LEVELS = [2.0 * 0.015 ** (step / 60) for step in range(61)]


def diffused(seed: int) -> list[Tensor]:
    """The walkers (1000, 2) at every level, trained and moved as in the notebook."""
    torch.manual_seed(seed)
    layers = torch.nn.Linear(3, 96), torch.nn.SiLU(), torch.nn.Linear(96, 96), torch.nn.SiLU(), torch.nn.Linear(96, 2)
    net = torch.nn.Sequential(*layers)
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.01, total_steps=4000)

    def score(y: Tensor, sigma: Tensor) -> Tensor:
        width = (sigma[:, None] ** 2 + 0.5).sqrt()
        found: Tensor = net(torch.cat([y / width, sigma.log()[:, None]], dim=1)) / sigma[:, None]
        return found

    for _ in range(4000):
        y, noise = MOONS[torch.randint(len(MOONS), (256,))], torch.randn(256, 2)
        sigma = 2.0 * 0.015 ** torch.rand(256)
        s = score(notebook()["add_noise"](y, sigma, noise), sigma)
        _, gradient = notebook()["denoising_loss"](s.detach(), sigma, noise)
        optimizer.zero_grad()
        s.backward(gradient / 256)  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
    walkers = [LEVELS[0] * torch.randn(1000, 2)]
    for sigma, lower in zip(LEVELS, [*LEVELS[1:], 0.0], strict=True):
        s = score(walkers[-1], torch.full((1000,), sigma)).detach()
        walkers.append(notebook()["sampling_step"](walkers[-1], s, sigma, lower, torch.randn(1000, 2)))
    return walkers


def test_walkers_end_close_to_the_data() -> None:
    """Nine of ten walkers end within 0.15 of the crescents, at the start hardly one; both crescents get their share."""
    turn = torch.linspace(0, math.pi, 400)
    crescents = torch.stack([turn.cos(), turn.sin()], 1), torch.stack([1 - turn.cos(), 0.5 - turn.sin()], 1)
    for seed in SEEDS:
        walkers = diffused(seed)
        first, last = (
            torch.stack([torch.cdist(w, c).min(1).values for c in crescents]) for w in walkers[:: len(LEVELS)]
        )
        near = [float((distances.min(0).values < 0.15).float().mean()) for distances in (first, last)]
        upper = float((last[0] < last[1]).float().mean())
        print(f"seed {seed}: {near[0]:.3f}, then {near[1]:.3f} near the crescents, {upper:.3f} near the upper one")
        assert near[1] > 0.9
        assert near[0] < 0.2
        assert 0.4 < upper < 0.6
