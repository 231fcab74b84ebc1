"""What hw1/theory tells about its figures, measured."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from claim import solved
from torch import Tensor

SEEDS = range(40)
WIDTH, DEPTH = 200, 20
Slopes = tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]
RELU: Slopes = (torch.relu, lambda z: (z > 0).float())
TANH: Slopes = (torch.tanh, lambda z: 1 - torch.tanh(z) ** 2)


def backward(activation: Slopes, gain: float, seed: int, bias: float = 0.0) -> list[float]:
    """The size of the gradient at layers 20 down to 1, as a share of what is sent in, for one draw of weights."""
    f, slope = activation
    generator = torch.Generator().manual_seed(seed)
    signal, layers = torch.randn(WIDTH, 1, generator=generator), []
    for _ in range(DEPTH):
        weight = torch.randn(WIDTH, WIDTH, generator=generator) * gain / math.sqrt(WIDTH)
        z = weight @ signal + bias * torch.randn(WIDTH, 1, generator=generator)
        layers.append((weight, slope(z)))
        signal = f(z)
    gradient, sizes = torch.randn(1, WIDTH, generator=generator), []
    start = gradient.norm()
    for weight, slopes in reversed(layers):
        gradient = (gradient * slopes.T) @ weight
        sizes.append(float(gradient.norm() / start))
    return sizes


def arrived(name: str, activation: Slopes, gain: float, bias: float = 0.0) -> list[float]:
    """The sizes at layer 1 over all seeds, from the smallest to the largest; printed."""
    sizes = sorted(backward(activation, gain, seed, bias)[-1] for seed in SEEDS)
    middle = sizes[len(sizes) // 2]
    print(f"{name}, gain {gain:.3f}, biases {bias}: {sizes[0]:.2e} to {sizes[-1]:.2e}, median {middle:.2e}")
    return sizes


def test_gain_1_sinks_relu_and_not_tanh() -> None:
    """At gain 1 ReLU's gradient falls to about a thousandth, and tanh's to between a tenth and a third."""
    relu, tanh = arrived("ReLU", RELU, 1.0), arrived("tanh", TANH, 1.0)
    assert relu[0] > 3e-4
    assert relu[-1] < 3e-3
    assert tanh[0] > 0.1
    assert tanh[-1] < 1 / 3


def test_gain_root_2_keeps_both() -> None:
    """At gain √2 both gradients stay within a factor of 3.5 of what was sent in."""
    for name, activation in (("ReLU", RELU), ("tanh", TANH)):
        sizes = arrived(name, activation, math.sqrt(2))
        assert sizes[0] > 1 / 3.5
        assert sizes[-1] < 3.5


def test_gain_five_thirds_lifts_both() -> None:
    """At gain 5/3 ReLU's gradient rises to between 10 and 70 times, tanh's to between 2.5 and 13 times its start."""
    relu, tanh = arrived("ReLU", RELU, 5 / 3), arrived("tanh", TANH, 5 / 3)
    assert relu[0] > 10
    assert relu[-1] < 70
    assert tanh[0] > 2.5
    assert tanh[-1] < 13


def test_relu_loses_half_of_the_second_moment() -> None:
    """The cause at gain 1: ReLU's slopes take half of the second moment of the gradient in each layer, W takes none."""
    for seed in SEEDS:
        generator = torch.Generator().manual_seed(seed)
        gradient, z = torch.randn(1, WIDTH, generator=generator), torch.randn(WIDTH, 1, generator=generator)
        weight = torch.randn(WIDTH, WIDTH, generator=generator) / math.sqrt(WIDTH)
        slopes = float(((gradient * RELU[1](z).T) ** 2).sum() / (gradient**2).sum())
        weights = float(((gradient @ weight) ** 2).sum() / (gradient**2).sum())
        assert 0.3 < slopes < 0.7
        assert 0.6 < weights < 1.4
    squares = [size**2 for seed in SEEDS for size in (backward(RELU, 1.0, seed)[9],)]
    per_layer = (sum(squares) / len(squares)) ** 0.1
    print(f"share of the second moment that is left after a layer: {per_layer:.3f}")
    assert 0.45 < per_layer < 0.55


def test_large_pre_activations_hurt_tanh_and_not_relu() -> None:
    """Biases with a standard deviation of 2 take tanh's gradient below 1 % at gain 5/3, and leave ReLU's at √2."""
    with_biases, without = (arrived("tanh", TANH, 5 / 3, bias)[len(SEEDS) // 2] for bias in (2.0, 0.0))
    relu_with, relu_without = (arrived("ReLU", RELU, math.sqrt(2), bias)[len(SEEDS) // 2] for bias in (2.0, 0.0))
    assert with_biases < 0.01 * without
    assert with_biases < 0.01
    assert 0.5 < relu_with / relu_without < 2


def test_no_fixed_gain_suits_tanh() -> None:
    """The right gain for tanh depends on the size of z: gain 3 lifts a gradient, and sinks it with large biases."""
    medians = {bias: arrived("tanh", TANH, 3.0, bias)[len(SEEDS) // 2] for bias in (0.0, 2.0, 8.0)}
    assert medians[0.0] > 10
    assert medians[8.0] < 0.1


def test_extremes_of_the_slope_of_gelu() -> None:
    """The slope of GELU is lowest, about −0.13, near −1.4 and highest, about 1.13, near 1.4."""
    names = solved("hw1/theory", until="slopes-code")
    x = torch.linspace(-4, 4, 8001, dtype=torch.float64)
    slope = names["gelu_slope"](x)
    print(f"{slope.min():.4f} at {x[slope.argmin()]:.3f}, {slope.max():.4f} at {x[slope.argmax()]:.3f}")
    assert abs(float(slope.min()) + 0.129) < 0.001
    assert abs(float(slope.max()) - 1.129) < 0.001
    assert abs(float(x[slope.argmin()]) + math.sqrt(2)) < 0.002
    assert abs(float(x[slope.argmax()]) - math.sqrt(2)) < 0.002


def test_certain_and_wrong() -> None:
    """Where y = 1 and ŷ goes to 0, ∂ℓ/∂z3 of the squared error vanishes, and that of the cross-entropy goes to −1/K."""
    names = solved("hw1/theory", until="gradients-bce-code")
    for seed in SEEDS:
        x, *parameters = names["example"](n=4, d=3, K=2, seed=seed)
        y = torch.tensor([[1.0], [0.0]])
        parameters[-1][0] -= 40.0
        squared = names["gradients_classification"](x, y, *parameters)[3]
        entropy = names["gradients_bce"](x, y, *parameters)[3]
        assert abs(float(squared[0, 0])) < 1e-12
        assert abs(float(entropy[0, 0]) + 0.5) < 1e-6


def test_distances_for_an_exact_0_and_an_exact_1() -> None:
    """In float32 an exact 1 needs logits about 17 apart, and an exact 0 about 104."""
    first: dict[float, float] = {}
    for tenths in range(1500):
        p = torch.softmax(torch.tensor([tenths / 10, 0.0]), dim=0)
        for exact, there in ((1.0, bool(p[0] == 1)), (0.0, bool(p[1] == 0))):
            if there:
                first.setdefault(exact, tenths / 10)
    print(f"an exact 1 from {first[1.0]} on, an exact 0 from {first[0.0]} on")
    assert 16 < first[1.0] < 18
    assert 86 < first[0.0] < 105
