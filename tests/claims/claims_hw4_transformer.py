"""What hw4/transformer says about its figures, measured over several seeds. Run by `make claims`."""
# ruff: noqa: N803, N806 (the names of the notebook)

from __future__ import annotations

import itertools
import re
import statistics
import time
from collections.abc import Callable
from functools import partial
from timeit import repeat
from typing import Any

import pytest
import torch
from claim import solved
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional

GRADED = (20, 4, 1, 48, 4, 96, 2, 10)


@pytest.fixture(scope="module")
def names() -> dict[str, Any]:
    return solved("hw4/transformer", until="rollout-code")


def shown(name: str, values: list[float]) -> None:
    print(f"{name}: {statistics.mean(values):.3f}, from {min(values):.3f} to {max(values):.3f} ({len(values)} seeds)")


# ---------------------------------------------------------------------------------------------- places


def test_scores_depend_on_distance(names: dict[str, Any]) -> None:
    """Inner products of encodings, and scores of rotated copies of one token, depend on the distance alone."""
    P = names["sinusoidal_encoding"](60, 48)
    for seed in range(20):
        torch.manual_seed(seed)
        turned = names["rotate"](torch.randn(1, 48).expand(60, 48), torch.arange(60))
        for vectors in P, turned:
            scores = vectors @ vectors.T
            for distance in range(50):
                along = scores.diagonal(distance)
                assert (along - along[0]).abs().max() < 1e-2


# ---------------------------------------------------------------------------------------------- the language model


def texts(names: dict[str, Any], seed: int) -> tuple[Tensor, Tensor]:
    return names["encoded"](names["tales"](400, seed=seed)), names["encoded"](names["tales"](100, seed=seed + 500))


def loss_on(names: dict[str, Any], model: nn.Module, text: Tensor) -> float:
    torch.manual_seed(99)
    inputs, labels = names["random_windows"](text, 200, 72)
    with torch.no_grad():
        return functional.cross_entropy(model.eval()(inputs).flatten(0, 1), labels.flatten()).item()


@pytest.fixture(scope="module")
def writers(names: dict[str, Any]) -> list[tuple[nn.Module, Tensor]]:
    """Five trained language models, and tales that they have not seen."""
    found = []
    for seed in range(5):
        torch.manual_seed(seed)
        text, other = texts(names, seed)
        model = names["CharModel"](29, 72)
        began = time.process_time()
        names["train"](model, lambda text=text: names["random_windows"](text, 24, 72), steps=300)
        print(f"language model: {time.process_time() - began:.1f} s of processor time")
        found.append((model, other))
    return found


def test_tales_are_learned(names: dict[str, Any], writers: list[tuple[nn.Module, Tensor]]) -> None:
    """After 300 steps the loss on unseen tales is far below 0.5."""
    losses = [loss_on(names, model, other) for model, other in writers]
    shown("loss on unseen tales", losses)
    assert max(losses) < 0.35


def right(names: dict[str, Any], model: nn.Module, T: float) -> tuple[float, float]:
    """Of 100 written lines, the shares that have the form of a tale, and that name the right animals as well."""
    words = ["|".join(names[kind]) for kind in ("ANIMALS", "PLACES", "VERBS")]
    form = re.compile("the ({0}) met the ({0}) at the ({1})\\. the ({0}) ({2}) and the ({0}) ({2})\\.".format(*words))
    start = names["encoded"]("\n").expand(100, 1)
    rows = names["generate"](model.eval(), start, 71, T).tolist()
    found = [form.fullmatch("".join(names["CHARACTERS"][k] for k in row).split("\n")[1]) for row in rows]
    animals = sum(tale[4] == tale[2] and tale[6] == tale[1] for tale in found if tale)
    return 1 - found.count(None) / 100, animals / 100


def test_form_is_learned_and_animals_are_not(names: dict[str, Any], writers: list[tuple[nn.Module, Tensor]]) -> None:
    """At T = 0.25 nearly all lines have the form of a tale, at T = 1.5 almost none; few name the right animals."""
    form, animals = {}, {}
    for T in 0.25, 0.5, 1.0, 1.5:
        found = [right(names, model, T) for model, _ in writers]
        form[T], animals[T] = [share for share, _ in found], [share for _, share in found]
        shown(f"T = {T}: form", form[T])
        shown(f"T = {T}: animals", animals[T])
    assert min(form[0.25]) > 0.85
    assert max(form[1.5]) < 0.1
    assert max(max(values) for values in animals.values()) < 0.15


def test_cache_is_faster(names: dict[str, Any]) -> None:
    """The next symbol takes longer the more there are, with the cache a little and without it far more."""
    ratios: dict[int, list[float]] = {64: [], 1024: []}
    growth = []
    for seed in range(5):
        torch.manual_seed(seed)
        model, symbols = names["CharModel"](29, 1024).eval(), torch.randint(29, (1, 1024))
        with_cache = {}
        with torch.no_grad():
            for n, found in ratios.items():
                _, caches = names["step"](model, symbols[:, : n - 1], [None, None])
                with_cache[n] = fastest(partial(names["step"], model, symbols[:, n - 1 : n], caches))
                found.append(fastest(partial(model, symbols[:, :n])) / with_cache[n])
        growth.append(with_cache[1024] / with_cache[64])
    for n, found in ratios.items():
        shown(f"without / with, after {n} symbols", found)
    shown("after 1024 / after 64 symbols, with", growth)
    assert min(ratios[1024]) > 10 and max(ratios[64]) < 3 and max(growth) < 8


def fastest(ask: Callable[[], object]) -> float:
    return min(repeat(ask, number=1, repeat=10))


# ---------------------------------------------------------------------------------------------- the vision transformer


@pytest.fixture(scope="module")
def digits() -> tuple[Tensor, Tensor]:
    data = load_digits()
    order = torch.randperm(len(data.target), generator=torch.Generator().manual_seed(0))
    return torch.tensor(data.images, dtype=torch.float32)[order, None] / 16, torch.tensor(data.target)[order]


def new_vit(names: dict[str, Any]) -> nn.Module:
    model: nn.Module = names["VisionTransformer"](*GRADED, dropout=0.0)
    return model


def placed(
    names: dict[str, Any], digits: tuple[Tensor, Tensor], rows: Tensor, order: Tensor | slice = slice(None)
) -> tuple[Tensor, Tensor]:
    """Digits at random places, and their labels; `order` rearranges the pixels."""
    images = names["place_digits"](digits[0][rows])
    return images.flatten(1)[:, order].view_as(images), digits[1][rows]


def read_by(
    names: dict[str, Any], digits: tuple[Tensor, Tensor], model: nn.Module, order: Tensor | slice = slice(None)
) -> float:
    """The share of the unseen digits that a model reads."""
    torch.manual_seed(1)
    images, labels = placed(names, digits, torch.arange(1400, 1797).repeat(3), order)
    with torch.no_grad():
        return (model.eval()(images).argmax(1) == labels).float().mean().item()


@pytest.fixture(scope="module")
def vits(names: dict[str, Any], digits: tuple[Tensor, Tensor]) -> list[nn.Module]:
    """Five vision transformers after 600 steps."""
    found = []
    for seed in range(5):
        torch.manual_seed(seed)
        found.append(new_vit(names))
        names["train"](found[-1], lambda: placed(names, digits, torch.randint(1400, (64,))), steps=600)
    return found


def without_warm_up(model: nn.Module, sample: Callable[[], tuple[Tensor, Tensor]], steps: int) -> None:
    """As the model answer of `train`, but the rate begins at its largest value."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.005)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    model.train()
    for _ in range(steps):
        inputs, labels = sample()
        loss = functional.cross_entropy(model(inputs).flatten(0, -2), labels.flatten())
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()


def test_warm_up_helps_the_vit_alone(
    names: dict[str, Any],
    digits: tuple[Tensor, Tensor],
    vits: list[nn.Module],
    writers: list[tuple[nn.Module, Tensor]],
) -> None:
    """Without it, the ViT reads fewer new digits, in some runs too few. The language model learns as much."""
    read = {"with": [read_by(names, digits, vit) for vit in vits], "without": []}
    losses = {"with": [loss_on(names, model, other) for model, other in writers], "without": []}
    for seed in range(10):
        torch.manual_seed(seed)
        vit = new_vit(names)
        without_warm_up(vit, lambda: placed(names, digits, torch.randint(1400, (64,))), 600)
        read["without"].append(read_by(names, digits, vit))
    for seed, (_, other) in enumerate(writers):
        torch.manual_seed(seed)
        text, _ = texts(names, seed)
        model = names["CharModel"](29, 72)
        without_warm_up(model, lambda text=text: names["random_windows"](text, 24, 72), 300)
        losses["without"].append(loss_on(names, model, other))
    for kind in "with", "without":
        shown(f"digits read, {kind} warm-up", read[kind])
        shown(f"loss on unseen tales, {kind} warm-up", losses[kind])
    assert min(read["with"]) > max(read["without"]) + 0.02
    assert min(read["without"]) > 0.83 and max(read["without"]) < 0.88
    assert 3 <= sum(share < 0.85 for share in read["without"]) <= 7
    assert abs(statistics.mean(losses["with"]) - statistics.mean(losses["without"])) < 0.02


def followed(names: dict[str, Any], vit: nn.Module, canvases: Tensor) -> Tensor:
    """How much of each patch arrives at the class token, (B, 25), by rollout."""
    maps: list[Tensor] = []
    kinds = [part for part in vit.modules() if isinstance(part, names["MultiHeadAttention"])]
    hooks = [part.register_forward_hook(lambda _part, _given, result: maps.append(result[1])) for part in kinds]
    with torch.no_grad():
        vit.eval()(canvases)
    for hook in hooks:
        hook.remove()
    found: Tensor = names["attention_rollout"](maps)[:, 0, 1:]
    return found


def test_rollout_follows_the_digit(names: dict[str, Any], digits: tuple[Tensor, Tensor], vits: list[nn.Module]) -> None:
    """More arrives from patches with ink than from empty ones, and before training there is no such difference."""
    torch.manual_seed(5)
    canvases = names["place_digits"](digits[0][1400:])
    ink = functional.avg_pool2d((canvases + 1) / 2, 4).flatten(1)  # (B, 25)
    full, empty = ink > 0.2, ink < 0.01
    for name, models in ("trained", vits), ("untrained", [new_vit(names) for _ in vits]):
        ratios, links = [], []
        for model in models:
            arrived = followed(names, model, canvases)
            ratios.append((arrived[full].mean() / arrived[empty].mean()).item())
            pairs = zip(arrived, ink, strict=True)
            links.append(statistics.mean(torch.corrcoef(torch.stack(pair))[0, 1].item() for pair in pairs))
        shown(f"{name}: arrived from a patch with ink / from an empty one", ratios)
        shown(f"{name}: correlation of what arrives with ink", links)
        assert min(ratios) > 4 if name == "trained" else max(ratios) < 1.4


# ---------------------------------------------------------------------------------------------- how many images


def small_cnn() -> nn.Module:
    layers: list[nn.Module] = []
    for before, after in (1, 16), (16, 32), (32, 48):
        layers += [nn.Conv2d(before, after, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(48, 10))


def test_cnn_against_vit(names: dict[str, Any], digits: tuple[Tensor, Tensor]) -> None:
    """The CNN leads by more with 60 digits than with 1,400. On shuffled pixels it leads on average by less with 60
    digits, and by as much with 1,400."""
    leads: dict[tuple[str, int], list[float]] = {}
    costs: dict[tuple[str, int], list[float]] = {}
    for seed in range(10):
        dice = torch.Generator().manual_seed(seed)
        pool, shuffle = torch.randperm(1400, generator=dice), torch.randperm(400, generator=dice)
        for count in (60, 1400) if seed < 5 else (60,):
            read = {}
            for kind, pixels in itertools.product(("CNN", "ViT"), ("in place", "shuffled")):
                order = shuffle if pixels == "shuffled" else slice(None)
                torch.manual_seed(seed)
                model = new_vit(names) if kind == "ViT" else small_cnn()
                batch = lambda: placed(names, digits, pool[torch.randint(count, (64,))], order)  # noqa: B023, E731
                names["train"](model, batch, steps=600)
                read[kind, pixels] = read_by(names, digits, model, order)
            for pixels in "in place", "shuffled":
                leads.setdefault((pixels, count), []).append(read["CNN", pixels] - read["ViT", pixels])
            for kind in "CNN", "ViT":
                costs.setdefault((kind, count), []).append(read[kind, "in place"] - read[kind, "shuffled"])
    for (pixels, count), values in leads.items():
        shown(f"lead of the CNN over the ViT with {count} digits, pixels {pixels}", values)
    for (kind, count), values in costs.items():
        shown(f"what the shuffle costs the {kind} with {count} digits", values)
    assert all(a > b > 0.02 for a, b in zip(leads["in place", 60], leads["in place", 1400], strict=False))
    means = {case: statistics.mean(values) for case, values in leads.items()}
    assert min(leads["shuffled", 60]) > 0.02 and means["shuffled", 60] < means["in place", 60] - 0.03
    assert min(leads["shuffled", 1400]) > 0.02
    assert abs(means["shuffled", 1400] - means["in place", 1400]) < 0.02
