"""What hw2/theory says about its figures, over several seeds: how far gradients reach, why the loss jumps."""

from __future__ import annotations

import contextlib
import functools
import io
import math
import statistics
from typing import Any

import jupytext
import torch
from claim import COURSE, solved
from torch.nn import functional

SEEDS = range(6)
LIMITS = {
    "none": lambda parameters: None,
    "length": lambda parameters: torch.nn.utils.clip_grad_norm_(parameters, 0.5),
    "entries": lambda parameters: torch.nn.utils.clip_grad_value_(parameters, 0.01),
}


@functools.cache
def notebook() -> dict[str, Any]:
    """The notebook's names, with its two measurements, its LSTM and its reach."""
    import matplotlib.pyplot as plt

    names = solved("hw2/theory", until="evidence")
    cells = jupytext.read(COURSE / "hw2" / "theory.py").cells
    sources = {cell.metadata["nbgrader"]["grade_id"]: cell.source for cell in cells}
    for cell in ("reach-figure", "debugging-run"):
        source = sources[cell].partition("\nlstm_run = ")[0]
        with contextlib.redirect_stdout(io.StringIO()):
            exec(compile(source, cell, "exec"), names)
        plt.close("all")
    return names


@functools.cache
def run(seed: int, rate: float = 0.5, limit: str = "none", steps: int = 500) -> dict[str, list[Any]]:
    """A run of the notebook's LSTM, with its jumps and its two measurements.

    Beside it, from the same state and on the same batch: the loss after a tenth and after a half of the step, and how
    sure the network is of its answers.
    """
    names = notebook()
    batches: list[Any] = []
    draw = names["draw_batch"]

    def drawn() -> Any:
        batches[:] = [draw()]
        return batches[0]

    beside: dict[str, list[float]] = {"tenth": [], "half": [], "sure": []}

    def tame(parameters: list[torch.Tensor]) -> None:
        (sequences, classes) = batches[0]
        units = parameters[1].shape[1]
        lstm, head = torch.nn.LSTM(6, units, batch_first=True), torch.nn.Linear(units, 4)
        with torch.no_grad():
            for name, share in (("sure", 0.0), ("tenth", 0.1), ("half", 0.5)):
                for own, parameter in zip((*lstm.parameters(), *head.parameters()), parameters, strict=True):
                    own.copy_(parameter - share * rate * parameter.grad)
                scores = head(lstm(sequences)[0][:, -1])
                loss = functional.cross_entropy(scores, classes).item()
                beside[name].append(loss if share else scores.softmax(1).amax(1).mean().item())
        LIMITS[limit](parameters)

    names["draw_batch"] = drawn
    try:
        found = names["train_lstm"](rate=rate, tame=tame, steps=steps, seed=seed)
    finally:
        names["draw_batch"] = draw
    found |= beside
    before = found["before"]
    found["jumps"] = [step for step in range(steps - 1) if before[step + 1] - before[step] > 0.5]
    found["growth"] = [names["growth_through_time"](*pair) for pair in zip(found["early"], found["late"], strict=True)]
    triples = zip(before, found["after"], found["length"], strict=True)
    found["bend"] = [names["step_times_curvature"](b, a, rate, length) for b, a, length in triples]
    return found


def at_jumps(found: dict[str, list[Any]], name: str) -> list[float]:
    return [found[name][step] for step in found["jumps"]]


def shown(values: list[float]) -> str:
    return ", ".join(f"{value:.2f}" for value in values)


def test_gradients_through_time_do_not_explode() -> None:
    """Over ten steps back in time the gradient grows at most fivefold, before the jumps and at all other steps."""
    for seed in SEEDS:
        found = run(seed)
        growth = at_jumps(found, "growth")
        median = statistics.median(found["growth"][:250])
        largest = max(found["growth"][:250])
        print(
            f"seed {seed}: {len(growth)} jumps, growth before them {shown(growth)};"
            f" of 250 steps: median {median:.2f}, largest {largest:.2f}"
        )
        assert growth
        assert max(growth) < 5
        assert largest < 10


def test_steps_before_a_jump_are_too_long() -> None:
    """Before every jump of the figure's run, and 19 of 20 of all, step times curvature is above 2; elsewhere rarely."""
    bends = []
    for seed in SEEDS:
        found = run(seed)
        bends.append(at_jumps(found, "bend"))
        others = [value for step, value in enumerate(found["bend"][:250]) if step not in found["jumps"]]
        share = sum(value > 2 for value in others) / len(others)
        print(f"seed {seed}: before jumps {shown(bends[-1])};")
        print(f"        others: median {statistics.median(others):.2f}, above 2: {share:.0%}")
        assert share < 0.3
    assert min(bends[0]) > 2
    together = [value > 2 for bend in bends for value in bend]
    print(f"above 2 before {sum(together)} of {len(together)} jumps")
    assert sum(together) >= 0.95 * len(together)


def test_direction_is_right_and_length_is_wrong() -> None:
    """From the same state and on the same batch, the whole step raises the loss and a tenth of it lowers the loss."""
    told = []
    for seed in SEEDS:
        found = run(seed)
        columns = [at_jumps(found, name) for name in ("before", "tenth", "half", "after")]
        for name, values in zip(("before", "tenth", "half", "whole"), columns, strict=True):
            print(f"seed {seed}: {name:6} {shown(values)}")
        told += [tenth < before < after for before, tenth, _, after in zip(*columns, strict=True)]
    print(f"true of {sum(told)} of {len(told)} jumps")
    assert sum(told) >= 0.95 * len(told)


def test_limits_end_the_jumps() -> None:
    """A limit for the length of the gradient, or for its entries, ends the jumps; the loss comes down to nearly 0."""
    counts = {limit: [len(run(seed, limit=limit)["jumps"]) for seed in SEEDS] for limit in LIMITS}
    ends = {limit: [statistics.mean(run(seed, limit=limit)["before"][-20:]) for seed in SEEDS] for limit in LIMITS}
    for limit, jumps in counts.items():
        print(f"limit {limit}: jumps {jumps}, loss at the end {shown(ends[limit])}")
    for limit in ("length", "entries"):
        assert counts[limit][0] == 0  # the run of the figure
        assert sum(counts[limit]) <= 0.05 * sum(counts["none"])
        assert max(ends[limit]) < 0.1


def test_lower_rate_does_not_end_the_jumps() -> None:
    """With a tenth of the learning rate the loss still jumps, only later: the curvature has grown with it."""
    for seed in SEEDS:
        fast, slow = run(seed), run(seed, rate=0.05)
        curvature = [statistics.median(at_jumps(found, "bend")) / rate for found, rate in ((fast, 0.5), (slow, 0.05))]
        print(
            f"seed {seed}: jumps {len(fast['jumps'])} and {len(slow['jumps'])}, first at {fast['jumps'][0]} and "
            f"{slow['jumps'][0]}, curvature before them {shown(curvature)}, growth {shown(at_jumps(slow, 'growth'))}"
        )
        assert slow["jumps"]
        assert slow["jumps"][0] > fast["jumps"][0]
        assert min(at_jumps(slow, "bend")) > 2
        assert curvature[1] > 3 * curvature[0]


def test_early_spikes_are_confident() -> None:
    """The first loss is about ln 4; at the spikes above it the network is surer of its answers than it was at first."""
    for seed in SEEDS:
        found = run(seed)
        first = found["before"][0]
        spikes = [step for step, loss in enumerate(found["before"][:250]) if loss > first + 0.1]
        sure = [found["sure"][step] for step in spikes]
        print(
            f"seed {seed}: first loss {first:.2f}, sure {found['sure'][0]:.2f}; "
            f"{len(spikes)} spikes, sure {shown(sure)}"
        )
        assert spikes
        assert abs(first - math.log(4)) < 0.1
        assert statistics.median(sure) > found["sure"][0] + 0.1


def test_direct_arrows_carry_the_gradient() -> None:
    """After 60 steps back, three gradients are below a thousandth; AttentionRNN(∞)'s is a hundred times as long."""
    for seed in range(20):
        lengths = {name: rows[0] for name, rows in notebook()["reach"](seed).items()}
        print(f"seed {seed:2}: " + ", ".join(f"{name} {value:.0e}" for name, value in lengths.items()))
        half, open_, far, control = lengths.values()
        assert far > 100 * max(half, open_, control)
        assert max(half, open_, control) < 1e-3
