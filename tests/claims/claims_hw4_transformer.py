"""What hw4/transformer says about its figures, measured over several seeds. Run by `make claims`."""
# ruff: noqa: N803, N806 (the names of the notebook)

from __future__ import annotations

import itertools
import re
import statistics
import time
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


# ---------------------------------------------------------------------------------------------- attention and places


def test_beta_copies_or_averages(names: dict[str, Any]) -> None:
    """A large β copies the nearest value, a small one averages over many keys."""
    for seed in range(20):
        torch.manual_seed(seed)
        keys, values, queries = torch.randn(8).sort().values, torch.randn(8), torch.linspace(-2, 2, 50)
        Q, K = torch.stack([queries, torch.ones(50)], 1), torch.stack([keys, -(keys**2) / 2], 1)
        distances = (queries[:, None] - keys).square()
        two = distances.sort(1).values
        clear = two[:, 1] - two[:, 0] > 0.1  # one key is clearly the nearest
        sharp, _ = names["attention"](Q, K, values[:, None], beta=200)
        assert (sharp[clear, 0] - values[distances.argmin(1)][clear]).abs().max() < 1e-3
        _, A = names["attention"](Q, K, values[:, None], beta=0.3)
        assert (1 / A.square().sum(1)).min() > 2  # as many keys would have equal weights


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
        names["train"](model, lambda text=text: names["random_windows"](text, 24, 72), steps=300)
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
    """Four times as many symbols take 4 to 6 times as long with the cache, and far more without it."""
    ratios, growth = [], []
    for seed in range(5):
        torch.manual_seed(seed)
        model, seconds = names["CharModel"](29, 512).eval(), {}
        for count in 128, 512:
            start = torch.zeros(1, 1, dtype=torch.long)
            began = time.process_time()
            names["generate"](model, start, count)
            seconds["without", count] = time.process_time() - began
            began, symbol, caches = time.process_time(), start, [None, None]
            with torch.no_grad():
                for _ in range(count):
                    logits, caches = names["step"](model, symbol, caches)
                    symbol = torch.multinomial(names["next_probabilities"](logits[:, -1]), 1)
            seconds["with", count] = time.process_time() - began
        ratios.append(seconds["without", 512] / seconds["with", 512])
        growth.append(seconds["without", 512] / seconds["without", 128])
        growth.append(seconds["with", 512] / seconds["with", 128])
    shown("without / with, 512 symbols", ratios)
    shown("512 / 128 symbols, without", growth[::2])
    shown("512 / 128 symbols, with", growth[1::2])
    assert min(ratios) > 2
    assert min(growth[::2]) > 8 and max(growth[1::2]) < 7


# ---------------------------------------------------------------------------------------------- the vision transformer


@pytest.fixture(scope="module")
def digits() -> tuple[Tensor, Tensor]:
    data = load_digits()
    order = torch.randperm(len(data.target), generator=torch.Generator().manual_seed(0))
    return torch.tensor(data.images, dtype=torch.float32)[order, None] / 16, torch.tensor(data.target)[order]


def new_vit(names: dict[str, Any]) -> nn.Module:
    model: nn.Module = names["VisionTransformer"](*GRADED, dropout=0.0)
    return model


@pytest.fixture(scope="module")
def vits(names: dict[str, Any], digits: tuple[Tensor, Tensor]) -> list[nn.Module]:
    """Five vision transformers after 600 steps."""
    (x, y), found = digits, []
    for seed in range(5):
        torch.manual_seed(seed)

        def sample() -> tuple[Tensor, Tensor]:
            rows = torch.randint(1400, (64,))
            return names["place_digits"](x[rows]), y[rows]

        found.append(new_vit(names))
        names["train"](found[-1], sample, steps=600)
    return found


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
    """The CNN leads by more with 60 digits than with 1,400. On shuffled pixels it leads by less with 60 digits, and by
    as much with 1,400."""
    x, y = digits
    leads: dict[tuple[str, int], list[float]] = {}
    costs: dict[tuple[str, int], list[float]] = {}
    for seed in range(5):
        dice = torch.Generator().manual_seed(seed)
        pool, shuffle = torch.randperm(1400, generator=dice), torch.randperm(400, generator=dice)
        for count in 60, 1400:
            read = {}
            for kind, pixels in itertools.product(("CNN", "ViT"), ("in place", "shuffled")):
                order = shuffle if pixels == "shuffled" else torch.arange(400)

                def batch(rows: Tensor, order: Tensor = order) -> tuple[Tensor, Tensor]:
                    images = names["place_digits"](x[rows])
                    return images.flatten(1)[:, order].view_as(images), y[rows]

                torch.manual_seed(seed)
                model = new_vit(names) if kind == "ViT" else small_cnn()
                names["train"](model, lambda: batch(pool[torch.randint(count, (64,))]), steps=600)  # noqa: B023
                torch.manual_seed(1)
                images, labels = batch(torch.arange(1400, 1797).repeat(3))
                with torch.no_grad():
                    read[kind, pixels] = (model.eval()(images).argmax(1) == labels).float().mean().item()
            for pixels in "in place", "shuffled":
                leads.setdefault((pixels, count), []).append(read["CNN", pixels] - read["ViT", pixels])
            for kind in "CNN", "ViT":
                costs.setdefault((kind, count), []).append(read[kind, "in place"] - read[kind, "shuffled"])
    for (pixels, count), values in leads.items():
        shown(f"lead of the CNN over the ViT with {count} digits, pixels {pixels}", values)
    for (kind, count), values in costs.items():
        shown(f"what the shuffle costs the {kind} with {count} digits", values)
    assert all(a > b > 0.02 for a, b in zip(leads["in place", 60], leads["in place", 1400], strict=True))
    assert all(a > b > 0.02 for a, b in zip(leads["in place", 60], leads["shuffled", 60], strict=True))
    means = {pixels: statistics.mean(leads[pixels, 1400]) for pixels in ("in place", "shuffled")}
    assert min(leads["shuffled", 1400]) > 0.02 and abs(means["shuffled"] - means["in place"]) < 0.02
