"""What hw1/sgd says about its figures, measured on networks of several seeds."""

from __future__ import annotations

import contextlib
import functools
import io

import torch
from claim import solved
from sklearn.datasets import load_digits
from torch.nn import functional

SEEDS = range(5)
KINDS = {"noisy": {}, "clean": {"grain": 0.0}, "still": {"roll": 0}}
BOOK = solved("hw1/sgd", until="dream-code")
R = torch.arange(10)


@functools.cache
def digits():
    """Images (1797, 1, 20, 20) and labels, as the notebook makes them; the first 1500 are for training."""
    data = load_digits()
    order = torch.randperm(len(data.images), generator=torch.Generator().manual_seed(0))
    images = torch.tensor(data.images, dtype=torch.float32)[order, None] / 16
    images = functional.pad(functional.interpolate(images, scale_factor=2, mode="bilinear"), (2, 2, 2, 2))
    return images, torch.tensor(data.target)[order]


@functools.cache
def network(kind, seed):
    images, labels = digits()
    with contextlib.redirect_stdout(io.StringIO()):
        return BOOK["digit_classifier"](images[:1500], labels[:1500], seed=seed, **KINDS[kind])


@functools.cache
def averages():
    images, labels = (part[:1500] for part in digits())
    return torch.stack([images[labels == k].mean(0) for k in range(10)])  # (10, 1, 20, 20)


def chances(net, x):
    """The probabilities (B, 10) that a network gives to images."""
    with torch.no_grad():
        return net(BOOK["normalize_and_jitter"](x, 0)).softmax(1)


def seen_by(net):
    """The network as a function of an image that is neither normalised nor rolled."""
    return lambda x: net(BOOK["normalize_and_jitter"](x, 0))


def ten(scores):
    """The loss of ten ascents at once: image k climbs logit k."""
    return scores.diagonal().sum()


def start(seed):
    torch.manual_seed(seed)
    return BOOK["noise"](10, 1, 20, 20)


def ascent(net, x, steps=256, jitter=1, lr=0.05):
    return BOOK["gradient_descent"](x, net, ten, steps, lr, jitter)


@functools.cache
def ascended(kind, seed, jitter=1):
    return ascent(network(kind, seed), start(seed), jitter=jitter)


@functools.cache
def dreamt(seed, decay=0.05, softness=0.1, kind="noisy"):
    """Ten dreams: clamp, and as much decay and blur as asked for."""
    net, x = network(kind, seed), start(seed)
    for _ in range(128):
        x = (1 - decay) * ascent(net, x, 1, lr=0.2)
        x = torch.lerp(x, BOOK["blur"](x), softness).clamp(0, 1)
    return x


@functools.cache
def first_certain(seed, jitter=1):
    """Of ten ascents, the first images to which the network gives more than 0.9, and the steps that it took."""
    net, x, found = network("noisy", seed), start(seed), [None] * 10
    for step in range(1, 257):
        x = ascent(net, x, 1, jitter)
        for k, p in enumerate(chances(net, x)[R, R].tolist()):
            if found[k] is None and p > 0.9:
                found[k] = step, x[k]
        if all(found):
            break
    return torch.stack([image for _, image in found]), [step for step, _ in found]


def shape_of(x):
    """Images as rows of mean 0 and length 1: neither brightness nor contrast is left."""
    x = x.flatten(1)
    return functional.normalize(x - x.mean(1, keepdim=True))


def nearest(x):
    """The label of the training image whose shape is most like each of these."""
    images, labels = digits()
    return labels[:1500][(shape_of(x) @ shape_of(images[:1500]).T).argmax(1)]


def rough(x):
    """The share of an image's power in waves shorter than four pixels."""
    power = torch.fft.fft2(x - x.mean((-2, -1), keepdim=True)).abs().square().sum((0, 1))
    f = torch.fft.fftfreq(20).abs()
    return float(power[(f[:, None] > 0.25) | (f > 0.25)].sum() / power.sum())


def contrast(x):
    return x.flatten(1).std(1)


def alike(x):
    """The mean correlation of ten images with the average training images of their digits."""
    return float((shape_of(x) * shape_of(averages())).sum(1).mean())


def test_accuracy():
    """The classifier reads at least 95 % of the test digits."""
    images, labels = digits()
    for seed in SEEDS:
        share = (chances(network("noisy", seed), images[1500:]).argmax(1) == labels[1500:]).float().mean()
        print(f"seed {seed}: {share:.1%}")
        assert share > 0.95


def gradients(net, count=40):
    """Of the logits of test images' own classes."""
    images, labels = digits()
    x, y = images[1500 : 1500 + count], labels[1500 : 1500 + count]
    return BOOK["input_gradient"](x, seen_by(net), lambda s: s[range(count), y].sum())


def test_noise_in_training_makes_gradients_smoother():
    """Training with noise cuts the fine detail in the gradients to about a quarter; rolls halve it once more."""
    for seed in SEEDS:
        noisy, clean, still = (rough(gradients(network(kind, seed))) for kind in KINDS)
        print(f"seed {seed}: fine detail {noisy:.4f}, without noise {clean:.4f}, without rolls {still:.4f}")
        assert noisy < 0.35 * clean
        assert noisy < 0.7 * still


def test_a_step_along_a_map_changes_the_answer():
    """Half the image's length along any of the ten maps makes the network name its class in about nine of ten cases."""
    images, _ = digits()
    for seed in SEEDS:
        net, needed = network("noisy", seed), []
        for image in images[1500:1530, None]:
            g = BOOK["input_gradient"](image.expand(10, 1, 20, 20), seen_by(net), ten)
            g = functional.normalize(g.flatten(1)).view_as(g) * image.norm()
            for k in range(10):
                shares = torch.arange(0, 0.61, 0.02)
                hit = (chances(net, image + shares[:, None, None, None] * g[k]).argmax(1) == k).nonzero()
                needed.append(float(shares[hit[0, 0]]) if len(hit) else float("inf"))
        needed = torch.tensor(needed)
        share = (needed <= 0.5).float().mean()
        print(f"seed {seed}: median {needed.median():.2f} lengths of the image; half is enough for {share:.2f}")
        assert share > 0.85


def test_certain_while_faint():
    """When p first passes 0.9, the contrast is less than half a digit's, and the nearest shape is the right digit."""
    real = contrast(digits()[0]).mean()
    for seed in SEEDS:
        x, steps = first_certain(seed)
        right, before = (int((nearest(image) == R).sum()) for image in (x, start(seed)))
        print(f"seed {seed}: after {steps} steps, contrast {contrast(x).mean():.3f}, at most {contrast(x).max():.3f},")
        print(f"    digits {real:.3f}; nearest shape right for {right} of 10, at the start for {before}")
        assert contrast(x).max() < 0.5 * real
        assert right >= 9
        assert before <= 3


def test_it_is_the_direction_that_convinces():
    """A random change of the same length leaves p near 0.1; a real digit of that contrast gets 0.3 on average.

    What the logit rises by is what the first gradient promises: many small changes add up.
    """
    images, labels = (part[1500:] for part in digits())
    some = torch.stack([images[labels == k][:20] for k in range(10)])  # (10, 20, 1, 20, 20)
    some = (some - some.mean((-2, -1), keepdim=True)) / some.std((-2, -1), keepdim=True)
    for seed in SEEDS:
        net, x, origin = network("noisy", seed), first_certain(seed)[0], start(seed)
        change = x - origin
        length = change.flatten(1).norm(dim=1).view(10, 1, 1, 1)
        torch.manual_seed(seed)
        other = functional.normalize(torch.randn(10, 400)).view_as(change) * length
        random = chances(net, origin + other)[R, R]
        level, strength = x.mean((1, 2, 3)).view(10, 1, 1, 1, 1), contrast(x).view(10, 1, 1, 1, 1)
        faint = torch.stack([chances(net, image)[:, k] for k, image in enumerate(level + strength * some)])
        promised = (BOOK["input_gradient"](origin, seen_by(net), ten) * change).sum((1, 2, 3)).mean()
        with torch.no_grad():
            rise = (seen_by(net)(x) - seen_by(net)(origin))[R, R].mean()
        print(f"seed {seed}: random change {random.mean():.2f}, faint digits {faint.mean():.2f}, none above"
              f" {faint.max():.2f}; the logit rises by {rise:.1f}, by the first gradient {promised:.1f}")  # fmt: skip
        assert random.mean() < 0.2
        assert 0.15 < faint.mean() < 0.45
        assert 0.6 < promised / rise < 1.4


def test_the_film():
    """In the film of 5, the first frame with p > 0.9 has less than half a digit's contrast and the shape of a 5."""
    real = contrast(digits()[0]).mean()
    for seed in SEEDS:
        net, past = network("noisy", seed), 0
        torch.manual_seed(5)
        x = BOOK["noise"](1, 1, 20, 20)
        for now in (0, 4, 8, 16, 32, 64, 128, 256):
            x = BOOK["gradient_descent"](x, net, lambda scores: scores[0, 5], now - past)
            past, p = now, chances(net, x)[0, 5]
            if p > 0.9:
                break
        print(f"seed {seed}: step {now}, p {p:.2f}, contrast {x.std():.3f}, nearest {nearest(x).item()}")
        assert x.std() < 0.5 * real
        assert nearest(x).item() == 5


def test_pixels_run_away():
    """After 256 steps more than half of the pixels are outside of [0, 1]."""
    for seed in SEEDS:
        x = ascended("noisy", seed)
        outside = ((x < 0) | (x > 1)).float().mean()
        print(
            f"seed {seed}: from {x.min():.1f} to {x.max():.1f}, outside {outside:.0%}, p at least"
            f" {chances(network('noisy', seed), x)[R, R].min():.3f}, nearest right {int((nearest(x) == R).sum())}"
        )
        assert outside > 0.5


def test_jitter_smooths():
    """Jitter cuts the fine detail to about a quarter; the mean gradient of all nine rolls does the same."""
    rolls = [(down, right) for down in (-1, 0, 1) for right in (-1, 0, 1)]
    for seed in SEEDS:
        net, x = network("noisy", seed), start(seed)
        without, one, three = (rough(ascended("noisy", seed, jitter)) for jitter in (0, 1, 3))
        for _ in range(256):
            z = [BOOK["normalize_and_jitter"](x, 0).roll(roll, (-2, -1)) for roll in rolls]
            gradients = [BOOK["input_gradient"](image, net, ten) for image in z]
            back = [g.roll((-down, -right), (-2, -1)) for g, (down, right) in zip(gradients, rolls, strict=True)]
            x = x + 0.05 * sum(back) / len(rolls) / BOOK["STD"]
        print(f"seed {seed}: without {without:.4f}, jitter 1 {one:.4f}, 3 {three:.4f}; all nine rolls {rough(x):.4f}")
        assert one < 0.4 * without
        assert rough(x) < 0.4 * without


def test_what_the_priors_do():
    """Decay alone makes the background black and the dream more like its digit; decay and blur remove fine detail."""
    images, labels = digits()
    real = (shape_of(images) * shape_of(averages())[labels]).sum(1).mean()
    row = [(images < 0.1).float().mean(), (images > 0.9).float().mean(), real, rough(images)]
    print("real digits: black {:.2f}, white {:.2f}, alike {:.2f}, fine detail {:.3f}".format(*row))
    choices = {"clamp": (0, 0), "blur": (0, 0.1), "decay": (0.05, 0), "both": (0.05, 0.1)}
    table = {name: [] for name in choices}
    for seed in SEEDS:
        for name, (decay, softness) in choices.items():
            x = dreamt(seed, decay, softness)
            table[name].append([(x < 0.1).float().mean(), (x > 0.9).float().mean(), alike(x), rough(x)])
        clamp, blur, decay, _ = (rows[-1] for rows in table.values())
        assert decay[0] > 0.5 > clamp[0] > blur[0]
        assert decay[2] > clamp[2] + 0.1 > blur[2]
        assert max(decay[3], blur[3]) < 0.5 * clamp[3]
    for name, rows in table.items():
        mean, low, high = torch.tensor(rows).mean(0), torch.tensor(rows).amin(0), torch.tensor(rows).amax(0)
        print(name, *(f"{m:.3f} ({a:.3f} to {b:.3f})" for m, a, b in zip(mean, low, high, strict=True)))


def test_dreams_are_read_by_others():
    """A second network, trained from another seed, reads all ten dreams correctly."""
    for seed in SEEDS:
        x = dreamt(seed)
        own = chances(network("noisy", seed), x)[R, R].min()
        other = chances(network("noisy", (seed + 1) % len(SEEDS)), x).argmax(1)
        print(f"seed {seed}: own p at least {own:.2f}; another network reads {int((other == R).sum())} correctly")
        assert (other == R).all()


def test_a_dream_is_no_average():
    """In the best fit of a dream by its own average and the average of all digits, the second one is negative."""
    own, common = shape_of(averages()), shape_of(averages().mean(0, keepdim=True)).expand(10, -1)
    for seed in SEEDS:
        x, parts = shape_of(dreamt(seed))[..., None], torch.stack([own, common], 2)
        shares = torch.linalg.lstsq(parts, x).solution  # (10, 2, 1)
        fit = functional.cosine_similarity((parts @ shares)[..., 0], x[..., 0]).mean()
        mean, largest = shares.mean((0, 2)).tolist(), shares[:, 1].max()
        print(f"seed {seed}: own {mean[0]:.2f}, common {mean[1]:.2f}, at most {largest:.2f}; correlation {fit:.2f}")
        assert largest < 0
