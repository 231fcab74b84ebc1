"""Measures what hw1/mlp tells about its figures and numbers."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import torch
from claim import solved
from sklearn.linear_model import LogisticRegression

SEEDS = range(20)
EXPONENTS = list(range(-12, 0))


@functools.cache
def names() -> dict[str, Any]:
    return solved("hw1/mlp", until="spiral-data")


def test_the_given_weights_shrink_by_the_root_of_three() -> None:
    """With the given initial weights, W x is about 1/√3 = 0.58 times as large as x, at any width."""
    for n in 2, 8, 64, 256:
        ratios = []
        for seed in SEEDS:
            torch.manual_seed(seed)
            layer, x = names()["Linear"](n, 400), torch.randn(400, n)
            ratios.append(float((layer.forward(x) - layer.bias).std() / x.std()))
        print(f"n = {n}: {min(ratios):.3f} to {max(ratios):.3f}, mean {np.mean(ratios):.3f}")
        assert abs(np.mean(ratios) - 3**-0.5) < 0.01 and abs(min(ratios) - 3**-0.5) < 0.06


def _points(seed: int) -> torch.Tensor:
    if not seed:
        return torch.linspace(0.1, 1.3, 5, dtype=torch.float64)  # those of the figure
    return 0.1 + 1.2 * torch.rand(5, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _errors(kind: str) -> np.ndarray:
    """The relative error of central differences of Σ sin x: one row for each seed, one column for each exponent."""
    rows = []
    for seed in SEEDS:
        points, error = _points(seed), names()["relative_error"]
        if kind == "float64":
            found = [names()["numerical_gradient"](lambda x: x.sin().sum(), points, 10.0**k) for k in EXPONENTS]
            rows.append([error(estimate, points.cos()) for estimate in found])
        elif kind == "float32":
            x = points.float()
            found = [((x + 10.0**k).sin() - (x - 10.0**k).sin()) / (2 * 10.0**k) for k in EXPONENTS]
            rows.append([error(estimate, points.cos()) for estimate in found])
        else:
            long, steps = points.numpy().astype(np.longdouble), [np.longdouble(10) ** k for k in EXPONENTS]
            right = np.cos(long)
            found = [(np.sin(long + h) - np.sin(long - h)) / (2 * h) for h in steps]
            rows.append([float(np.abs(one - right).max() / (2 * right.max())) for one in found])
    return np.array(rows)


def _slopes(errors: np.ndarray, low: int, high: int) -> np.ndarray:
    """For each seed, decades of error for each decade of step, between two exponents."""
    logs = np.log10(errors)
    return (logs[:, EXPONENTS.index(high)] - logs[:, EXPONENTS.index(low)]) / (high - low)


def test_the_error_falls_with_the_square_of_the_step_then_rises_with_its_inverse() -> None:
    """In float64 the error falls by two decades per decade of the step, to 1e-11 at 1e-5, then rises by one."""
    errors = _errors("float64")
    right, left = _slopes(errors, -3, -1), _slopes(errors, -12, -6)
    best = [EXPONENTS[k] for k in errors.argmin(axis=1)]
    print(f"slopes: right {right.min():.3f} to {right.max():.3f}, left {left.min():.2f} to {left.max():.2f}")
    print(f"lowest at 10^{sorted(set(best))}: {errors.min(axis=1).min():.1e} to {errors.min(axis=1).max():.1e}")
    assert abs(right - 2).max() < 0.01 and abs(left + 1).max() < 0.25 and set(best) == {-5}
    assert errors.min(axis=1).min() > 1e-12 and errors.min(axis=1).max() < 1e-10


def test_the_right_arm_is_what_the_formula_leaves_out() -> None:
    """The error that falls is the next term of the Taylor series, ε² f‴ / 6."""
    errors = _errors("float64")
    for k in -1, -2, -3:
        # f‴ = −cos x, and relative_error divides by the sum of both sizes
        predicted = 10.0 ** (2 * k) / 12
        found = errors[:, EXPONENTS.index(k)] / predicted
        print(f"ε = 1e{k}: error over ε²/12 from {found.min():.4f} to {found.max():.4f}")
        assert abs(found - 1).max() < 0.01


def test_the_left_arm_is_rounding() -> None:
    """The error that rises comes from rounding: with more digits it sinks, and the error that falls does not."""
    double, long = _errors("float64"), _errors("long double")
    for k in -12, -9, -7, -2, -1:
        ratio = np.median(double[:, EXPONENTS.index(k)] / long[:, EXPONENTS.index(k)])
        print(f"ε = 1e{k}: error in float64 over error in long double: {ratio:.4g}")
        assert ratio > 500 if k < -5 else abs(ratio - 1) < 0.01
    print("rounding unit of float64 over that of long double:", 2.0**-52 / float(np.finfo(np.longdouble).eps))


def test_float32_has_a_lowest_error_half_a_million_times_larger() -> None:
    """In float32 the lowest error is about half a million times larger than in float64."""
    ratios = _errors("float32").min(axis=1) / _errors("float64").min(axis=1)
    print(f"ratio of the lowest errors: {ratios.min():.3g} to {ratios.max():.3g}, median {np.median(ratios):.3g}")
    assert ratios.min() > 2e5 and ratios.max() < 2e6 and 4e5 < np.median(ratios) < 7e5


def test_a_sigmoid_shrinks_every_gradient_at_least_fourfold() -> None:
    """The slope of the sigmoid is at most ¼ and approaches 0 on both sides."""
    sigmoid, x = names()["Sigmoid"](), torch.linspace(-20, 20, 4001).reshape(1, -1)
    sigmoid.forward(x)
    slopes = sigmoid.backward(torch.ones_like(x))
    print(f"largest slope {slopes.max():.6f}, at ±20: {slopes[0, 0]:.1e} and {slopes[0, -1]:.1e}")
    assert slopes.max() <= 0.25 and max(slopes[0, 0], slopes[0, -1]) < 1e-8


def test_the_sigmoid_of_17_is_exactly_1() -> None:
    """In float32, σ(17) is exactly 1, and σ(16) is not."""
    found = {z: names()["Sigmoid"]().forward(torch.tensor([[float(z)]])).item() for z in (16, 17)}
    print(found)
    assert found[17] == 1 and found[16] < 1


def test_one_nan_reaches_every_weight_within_two_steps() -> None:
    """Gradients with one NaN turn every weight into NaN within two steps."""
    for functions in ("relu", "sigmoid"), ("sigmoid", "sigmoid"), ("relu", "identity"):
        for seed in SEEDS:
            torch.manual_seed(seed)
            mlp = names()["MLP"](2, 64, functions[0], 64, 3, functions[1])
            x, y, shares = torch.randn(30, 2), torch.rand(30, 3).round(), []

            def poisoned(y: torch.Tensor, y_hat: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
                loss, gradient = names()["mse_loss"](y, y_hat)
                gradient[0, 0] = torch.nan
                return loss, gradient

            for _ in range(2):
                names()["train_step"](mlp, poisoned, x, y, 0.1)
                shares.append(min(float(one.isnan().float().mean()) for one in mlp.parameters.values()))
            assert shares[-1] == 1, (functions, seed, shares)
        print(f"{'/'.join(functions)}: smallest share of NaN in a parameter after each step: {shares}")


def test_far_from_the_label_only_the_cross_entropy_pushes() -> None:
    """At the logit −8 the squared error's gradient is −0.0007 and the cross-entropy's −1, which is ŷ − y everywhere."""
    logits, sigmoid = torch.linspace(-8, 8, 161).reshape(-1, 1), names()["Sigmoid"]()
    y_hat = sigmoid.forward(logits)
    y = torch.ones_like(y_hat)
    found = {name: sigmoid.backward(len(y) * names()[name](y, y_hat)[1])[:, 0] for name in ("mse_loss", "bce_loss")}
    print({name: f"{float(push[0]):.5f}" for name, push in found.items()})
    assert abs(found["mse_loss"][0] + 0.0007) < 5e-5 and abs(found["bce_loss"][0] + 1) < 5e-3
    assert torch.allclose(found["bce_loss"], (y_hat - y)[:, 0], atol=1e-6)


def test_backpropagation_agrees_with_central_differences() -> None:
    """Backpropagation and central differences differ by less than 1e-6, and mostly by less than 1e-8."""
    torch.set_default_dtype(torch.float64)
    found = []
    try:
        for seed in SEEDS:
            torch.manual_seed(seed)
            mlp, x, y = names()["MLP"](3, 4, "sigmoid", 4, 2, "sigmoid"), torch.randn(5, 3), torch.rand(5, 2).round()
            mlp.backward(names()["bce_loss"](y, mlp.forward(x))[1])
            for name, parameter in mlp.parameters.items():
                start = parameter.clone()

                def loss(value: torch.Tensor, mlp=mlp, parameter=parameter, x=x, y=y) -> torch.Tensor:
                    parameter.copy_(value)
                    return names()["bce_loss"](y, mlp.forward(x))[0]

                numerical = names()["numerical_gradient"](loss, start)
                parameter.copy_(start)
                found.append(names()["relative_error"](mlp.grads[f"dJd{name}"], numerical))
    finally:
        torch.set_default_dtype(torch.float32)
    print(f"{len(found)} differences from {min(found):.1e} to {max(found):.1e}, median {np.median(found):.1e}")
    print(f"below 1e-8: {np.mean(np.array(found) < 1e-8):.0%}")
    assert max(found) < 1e-7 and np.mean(np.array(found) < 1e-8) > 0.8


@functools.cache
def _trained(f: str, seed: int) -> tuple[Any, np.ndarray, float]:
    """A network after the notebook's training: the network, its losses, its accuracy."""
    x, arm = names()["spiral"]()
    torch.manual_seed(seed)
    mlp = names()["MLP"](2, 64, f, 64, 3, "sigmoid")
    y = torch.eye(3)[arm]
    losses = [float(names()["train_step"](mlp, names()["bce_loss"], x, y, learning_rate=5.0)) for _ in range(2000)]
    return mlp, np.array(losses), float((mlp.forward(x).argmax(dim=1) == arm).float().mean())


def test_the_network_separates_the_arms() -> None:
    """The loss falls from 0.7 to 0.004 and rises in a few dozen of the 2000 steps; all arms are told apart."""
    runs = [_trained("relu", seed) for seed in SEEDS]
    first, last = [losses[0] for _, losses, _ in runs], [losses[-1] for _, losses, _ in runs]
    rises = [int((np.diff(losses) > 0).sum()) for _, losses, _ in runs]
    accuracies = [accuracy for *_, accuracy in runs]
    print(f"loss from {min(first):.2f}–{max(first):.2f} to {min(last):.4f}–{max(last):.4f}")
    print(f"steps in which it rises: {min(rises)}–{max(rises)}; accuracy at least {min(accuracies):.3f}")
    assert min(first) > 0.6 and max(first) < 0.8 and min(last) > 0.0035 and max(last) < 0.005
    assert min(rises) > 20 and max(rises) < 100 and min(accuracies) > 0.99


def test_a_linear_network_does_not() -> None:
    """Without the ReLU, the same training gets 47 % of the points right; a linear classifier, fewer than half."""
    accuracies = [_trained("identity", seed)[2] for seed in SEEDS[:5]]
    x, arm = names()["spiral"]()
    best = max(LogisticRegression(C=C).fit(x.numpy(), arm.numpy()).score(x.numpy(), arm.numpy()) for C in (0.1, 1, 100))
    print("accuracies:", accuracies, "logistic regression:", best)
    assert best < 0.5
    assert min(accuracies) > 0.46 and max(accuracies) < 0.48


def test_about_sixty_folds_cross_the_picture() -> None:
    """About 60 of the 64 lines at which hidden units fold the plane cross the picture."""
    side = torch.linspace(-1.2, 1.2, 240)
    columns, rows = torch.meshgrid(side, side, indexing="xy")
    plane = torch.stack([columns.flatten(), rows.flatten()], dim=1)
    counts = []
    for seed in SEEDS:
        parameters = _trained("relu", seed)[0].parameters
        z = plane @ parameters["W1"].T + parameters["b1"]
        counts.append(int(((z > 0).any(dim=0) & (z < 0).any(dim=0)).sum()))
    print("lines that cross it:", counts)
    assert min(counts) >= 54 and 58 <= np.mean(counts) <= 63


def test_the_borders_are_straight_between_folds() -> None:
    """Between the folds every logit is linear in x, so borders between regions consist of straight pieces."""
    worst = 0.0
    for seed in SEEDS[:5]:
        mlp = _trained("relu", seed)[0]
        torch.manual_seed(seed)
        centre, step = 2.4 * torch.rand(4000, 2) - 1.2, 0.02 * torch.randn(4000, 2)
        logits, signs = [], []
        for x in (centre - step, centre, centre + step):
            mlp.forward(x)
            logits.append(mlp.linear_2.forward(mlp.f.forward(mlp.linear_1.forward(x))))
            signs.append(mlp.linear_1.forward(x) > 0)
        inside = ((signs[0] == signs[1]) & (signs[1] == signs[2])).all(dim=1)
        bend = (logits[0] - 2 * logits[1] + logits[2]).abs().amax(dim=1)
        print(f"seed {seed}: {int(inside.sum())} triples without a fold, bent up to {bend[inside].max():.1e},")
        print(f"        and {int((~inside).sum())} with one, up to {bend[~inside].max():.1e}")
        worst = max(worst, float(bend[inside].max()))
        assert bend[~inside].max() > 0.1
    assert worst < 1e-3


def test_the_gradient_of_w_on_the_tape_is_a_sum() -> None:
    """On the tape of (w x − 4)² + ½ w², the gradient 14 of w is 12 through the product and 2 through the square."""
    value = solved("hw1/mlp", until="value-code")["Value"]
    found = []
    for both, decay in (1, 1), (1, 0), (0, 1):
        w, x = value(2.0), value(3.0)
        (both * (w * x - 4) ** 2 + decay * 0.5 * w**2).backward()
        found.append(w.grad)
    print("both, product alone, square alone:", found)
    assert found == [14, 12, 2]
