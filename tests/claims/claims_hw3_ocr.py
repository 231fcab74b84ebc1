"""What hw3/ocr says about its figures, measured over several seeds. Run by `make claims`."""
# ruff: noqa: N806 (the names of the notebook)

from __future__ import annotations

import copy
import itertools
import math
import statistics
from collections.abc import Callable
from typing import Any

import pytest
import torch
from claim import solved
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

SEEDS, BETWEEN = range(5), 26


@pytest.fixture(scope="module")
def names() -> dict[str, Any]:
    return solved("hw3/ocr", until="variance")


def shown(name: str, values: list[float]) -> list[float]:
    print(f"{name}: {statistics.mean(values):.3f}, from {min(values):.3f} to {max(values):.3f} ({len(values)} seeds)")
    return values


def targets_of(names: dict[str, Any], words: list[str], letters: int) -> Tensor:
    targets = torch.full((len(words), 2 * letters), BETWEEN)
    for row, word in zip(targets, words, strict=True):
        row[: 2 * len(word)] = names["transform_word"](word)
    return targets


def trained(
    model: nn.Module, loader: DataLoader[Any], epochs: int, loss_of: Callable[[Tensor, Tensor], Tensor]
) -> nn.Module:
    """A copy of the model, trained as the master's train_ebm_model does it, but with another loss."""
    model = copy.deepcopy(model).train()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.003)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.003, total_steps=epochs * len(loader))
    for images, targets in itertools.chain(*[loader] * epochs):
        loss = loss_of(model(images), targets)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
    return model


def ctc(energies: Tensor, targets: Tensor) -> Tensor:
    log_p = (-energies).log_softmax(2).transpose(0, 1)
    written = targets != BETWEEN
    windows = torch.full((len(energies),), len(log_p))
    return functional.ctc_loss(log_p, targets[written], windows, written.sum(1), blank=BETWEEN)


def right(read: list[str], words: list[str]) -> float:
    return sum(one == other for one, other in zip(read, words, strict=True)) / len(words)


def by_favourites(names: dict[str, Any], model: nn.Module, images: Tensor) -> list[str]:
    return [names["indices_to_str"](symbols) for symbols in names["energies_of"](model, images).argmin(2)]


def by_best_word(names: dict[str, Any], model: nn.Module, images: Tensor) -> list[str]:
    return [names["decode"](model, image) for image in images]


@pytest.fixture(scope="module")
def runs(names: dict[str, Any]) -> list[dict[str, Any]]:
    """For each seed: the share of single letters that are read, six networks, and words that none of them has seen."""
    found = []
    for seed in SEEDS:
        torch.manual_seed(seed)
        Words = names["SimpleWordsDataset"]
        letters, unseen = (Words(max_length=1, len=n, noise=True) for n in (4800, 1000))
        labels, right_ones = (torch.tensor([ord(word) - 97 for word in d.words]) for d in (letters, unseen))
        before = names["SimpleNet"]()
        losses = names["train_letters"](before, DataLoader(TensorDataset(letters.images, labels), 64, True), epochs=2)
        guesses = names["energies_of"](before, unseen.images)[:, 0, :26].argmin(1)
        words = Words(max_length=3, len=4800, jitter=7, noise=True)
        loader = DataLoader(TensorDataset(words.images, targets_of(names, words.words, 3)), batch_size=32, shuffle=True)
        after = copy.deepcopy(before)
        names["train_ebm_model"](after, loader, epochs=3)
        cold = names["SimpleNet"]()
        names["train_ebm_model"](cold, loader, epochs=1)
        warm = copy.deepcopy(before)
        names["train_ebm_model"](warm, loader, epochs=1)

        def soft(energies: Tensor, targets: Tensor) -> Tensor:
            ce = names["build_ce_matrix"](energies, targets)
            return names["soft_free_energy"](ce, 1.0).mean() / energies.shape[1]

        def alone(energies: Tensor, targets: Tensor) -> Tensor:
            with torch.no_grad():
                path = names["find_path"](names["build_path_matrix"](energies, targets))[1]
            along = names["build_path_matrix"](energies, targets).gather(2, path[:, :, None])
            return along.sum((1, 2)).mean() / energies.shape[1]

        found.append(
            {
                "letters": (guesses == right_ones).float().mean().item(),
                "letter losses": losses,
                "before": before,
                "after": after,
                "ctc": trained(before, loader, 3, ctc),
                "soft": trained(before, loader, 3, soft),
                "without contrast": trained(before, loader, 1, alone),
                "cold": cold,
                "warm": warm,
                "tests": {n: Words(max_length=n, len=200, jitter=7, noise=True, min_length=n) for n in (2, 3, 4)},
            }
        )
    return found


# ---------------------------------------------------------------------------------------------- letters and paths


def test_letters_are_read(runs: list[dict[str, Any]]) -> None:
    """After two epochs more than 98 % of other letters are read correctly."""
    assert min(shown("letters", [run["letters"] for run in runs])) > 0.98


def test_favourites_of_letters_only(names: dict[str, Any], runs: list[dict[str, Any]]) -> None:
    """Before training on words a window that covers one letter usually favours it, and no window favours `_`."""
    exact, blank = [], []
    for run in runs:
        data = names["SimpleWordsDataset"](max_length=3, len=200, noise=True, min_length=3)  # letters at 0, 18, 36
        favourites = names["energies_of"](run["before"], data.images).argmin(2)
        letters = targets_of(names, data.words, 3)[:, [0, 4]]
        exact.append((favourites[:, [0, 9]] == letters).float().mean().item())
        loose = names["energies_of"](run["before"], run["tests"][4].images).argmin(2)
        blank.append((loose == BETWEEN).float().mean().item())
    assert min(shown("windows that cover one letter and favour it", exact)) > 0.8
    assert max(shown("windows that favour `_`", blank)) < 0.01


def test_number_of_paths() -> None:
    """For a word of five letters in 40 windows there are more than 200 million paths."""
    print(math.comb(39, 9))
    assert math.comb(39, 9) > 200_000_000


def test_best_path_of_both_matrices(names: dict[str, Any]) -> None:
    """The best path on C is the best path on P, and the energies differ."""
    for seed in range(20):
        torch.manual_seed(seed)
        energies, targets = 3 * torch.randn(8, 18, 27), targets_of(names, ["cat", "all"] * 4, 3)
        free, path, _ = names["find_path"](names["build_path_matrix"](energies, targets))
        surprise, same, _ = names["find_path"](names["build_ce_matrix"](energies, targets))
        assert torch.equal(path, same)
        assert (free - surprise).abs().min() > 1


def rests(names: dict[str, Any], model: nn.Module, images: Tensor, words: list[str]) -> tuple[float, float]:
    """How many windows the best path gives to a letter, and to a BETWEEN that another letter follows."""
    targets = targets_of(names, words, len(words[0]))
    path = names["find_path"](names["build_path_matrix"](names["energies_of"](model, images), targets))[1]
    counts = functional.one_hot(path, targets.shape[1]).sum(1).float().mean(0)  # (T,)
    return counts[::2].mean().item(), counts[1:-1:2].mean().item()


def test_path_leaves_between(names: dict[str, Any], runs: list[dict[str, Any]]) -> None:
    """Before training on words the path gives a BETWEEN hardly more than one window, after it clearly more."""
    for when in "before", "after":
        pairs = [rests(names, run[when], run["tests"][3].images, run["tests"][3].words) for run in runs]
        shown(f"windows of a letter, {when}", [letter for letter, _ in pairs])
        shown(f"windows of a BETWEEN between letters, {when}", [between for _, between in pairs])
        for _, between in pairs:
            assert between < 1.2 if when == "before" else between > 1.2


def gap(names: dict[str, Any], model: nn.Module, data: Any) -> tuple[float, float]:
    """The mean free energies of images with their own words, and with the word of another image."""
    energies = names["energies_of"](model, data.images)
    free = []
    for words in data.words, data.words[1:] + data.words[:1]:
        matrix = names["build_path_matrix"](energies, targets_of(names, words, 3))
        free.append(names["find_path"](matrix)[0].mean().item())
    return free[0], free[1]


def test_gap_opens(names: dict[str, Any], runs: list[dict[str, Any]]) -> None:
    """Training on words lowers the free energies of right words, much more than those of wrong words: the gap grows."""
    both = {when: [gap(names, run[when], run["tests"][3]) for run in runs] for when in ("before", "after")}
    for when, pairs in both.items():
        shown(f"F of right words, {when}", [right for right, _ in pairs])
        shown(f"F of wrong words, {when}", [wrong for _, wrong in pairs])
    for (right_0, wrong_0), (right_1, wrong_1) in zip(both["before"], both["after"], strict=True):
        assert right_1 < right_0
        assert wrong_1 < wrong_0
        assert wrong_1 - right_1 > 2 * (wrong_0 - right_0)


def test_without_contrast(names: dict[str, Any], runs: list[dict[str, Any]]) -> None:
    """Without the second part of the loss the free energies of wrong words fall far, and fewer words are read."""
    pairs = [gap(names, run["without contrast"], run["tests"][3]) for run in runs]
    shown("F of right words, without contrast", [right for right, _ in pairs])
    shown("F of wrong words, without contrast", [wrong for _, wrong in pairs])
    read = [by_best_word(names, run["without contrast"], run["tests"][3].images) for run in runs]
    shares = shown("words read", [right(r, run["tests"][3].words) for r, run in zip(read, runs, strict=True)])
    assert max(shares) < 0.9
    for (_, wrong), run in zip(pairs, runs, strict=True):
        assert wrong < gap(names, run["warm"], run["tests"][3])[1] - 20  # as many steps, with the second part


def test_warm_start_helps(names: dict[str, Any], runs: list[dict[str, Any]]) -> None:
    """After one epoch on words a network that knew letters reads more words than one that did not."""
    shares = {}
    for start in "cold", "warm":
        data = [(run[start], run["tests"][3]) for run in runs]
        shares[start] = shown(start, [right(by_best_word(names, net, d.images), d.words) for net, d in data])
    assert all(cold < warm for cold, warm in zip(shares["cold"], shares["warm"], strict=True))


# ---------------------------------------------------------------------------------------------- reading


def test_words_are_read(names: dict[str, Any], runs: list[dict[str, Any]]) -> None:
    """After training the best word is right for more than 98 % of images, with four letters, too; before it, rarely.
    The best word mends most of what favourites get wrong."""
    for n in 2, 3, 4:
        shares: dict[str, list[float]] = {"before": [], "favourites": [], "best": []}
        for run in runs:
            data = run["tests"][n]
            shares["before"].append(right(by_best_word(names, run["before"], data.images), data.words))
            shares["favourites"].append(right(by_favourites(names, run["after"], data.images), data.words))
            shares["best"].append(right(by_best_word(names, run["after"], data.images), data.words))
        for name, values in shares.items():
            shown(f"{n} letters, {name}", values)
        assert max(shares["before"]) < 0.15
        assert statistics.mean(shares["best"]) > 0.98
        for favourites, best in zip(shares["favourites"], shares["best"], strict=True):
            assert best >= favourites
        assert 1 - statistics.mean(shares["best"]) < 0.5 * (1 - statistics.mean(shares["favourites"]))


def named_windows(names: dict[str, Any], model: nn.Module, data: Any) -> float:
    """In how many windows a letter is the favourite, for each letter of the words."""
    favourites = names["energies_of"](model, data.images).argmin(2)
    return (favourites != BETWEEN).sum().item() / (len(data) * len(data.words[0]))


def test_ctc_names_letters_briefly(names: dict[str, Any], runs: list[dict[str, Any]]) -> None:
    """After CTC fewer windows favour a letter than after Viterbi training. The sum over all paths of our own rules is
    between the two: both the sum and the rules matter."""
    found = {}
    for kind in "after", "soft", "ctc":
        found[kind] = shown(
            f"windows named a letter, {kind}", [named_windows(names, r[kind], r["tests"][4]) for r in runs]
        )
    for kind in "soft", "ctc":
        data = [(run[kind], run["tests"][4]) for run in runs]
        shown(f"favourites, {kind}", [right(by_favourites(names, net, d.images), d.words) for net, d in data])
    for after, soft, summed in zip(found["after"], found["soft"], found["ctc"], strict=True):
        assert summed < 0.75 * after
        assert summed < soft < after


def test_paths_of_ctc(names: dict[str, Any]) -> None:
    """CTC allows all of our paths and more: its loss is never above the soft minimum of C at β = 1."""
    for seed in range(20):
        torch.manual_seed(seed)
        energies, targets = 2 * torch.randn(4, 18, 27), targets_of(names, ["cat", "all", "xyz", "eee"], 3)
        ours = names["soft_free_energy"](names["build_ce_matrix"](energies, targets), 1.0)
        for b in range(4):
            theirs = functional.ctc_loss(
                (-energies[b]).log_softmax(1), targets[b, ::2], torch.tensor(18), torch.tensor(3), BETWEEN, "sum"
            )
            assert theirs < ours[b] + 1e-4


def test_soft_minimum_becomes_the_minimum(names: dict[str, Any]) -> None:
    """The soft minimum is below the minimum, and comes near it as β grows."""
    for seed in range(20):
        torch.manual_seed(seed)
        pm = torch.randn(5, 9, 4)
        least = names["find_path"](pm)[0]
        distances = [(least - names["soft_free_energy"](pm, beta)).max().item() for beta in (1.0, 10.0, 100.0)]
        assert min(distances) > -1e-4
        assert distances[0] > distances[1] > distances[2] - 1e-4
        assert distances[2] < 0.05


# ---------------------------------------------------------------------------------------------- letters without labels


def embedded(names: dict[str, Any], kind: str, seed: int) -> tuple[list[float], float]:
    """The mean deviation of the embeddings at each step, and the share of letters of two new fonts that are found."""
    torch.manual_seed(seed)
    net = nn.Sequential(nn.Flatten(), nn.Linear(576, 64), nn.ReLU(), nn.Linear(64, 16))
    optimizer, letters, spread = torch.optim.Adam(net.parameters(), lr=0.003), names["LETTERS"], []
    for _ in range(300):
        z, other = (net(letters[font] + 0.1 * torch.rand(26, 32, 18)) for font in torch.randperm(8)[:2])
        F = (z[:, None] - other).square().sum(2)
        wrong = F[~torch.eye(26, dtype=torch.bool)].reshape(26, 25)
        loss = names["infonce"](F.diagonal(), wrong, 1.0)[0].mean() if kind == "contrast" else F.diagonal().mean()
        if kind == "spread":
            loss = loss + names["variance_term"](z) + names["variance_term"](other)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        spread.append(z.std(0).mean().item())
    with torch.no_grad():
        known, unseen = net(letters[:8].flatten(0, 1)), net(letters[8:].flatten(0, 1))
    nearest = torch.cdist(unseen, known).argmin(1) % 26
    return spread, (nearest == torch.arange(26).repeat(2)).float().mean().item()


def test_embeddings_shrink_to_a_point(names: dict[str, Any]) -> None:
    """If training only pulls right pairs together, the spread falls below a hundredth of what it was. With the
    variance term, as with InfoNCE, it grows, and far more letters of new fonts are found than by chance."""
    found = {kind: [embedded(names, kind, seed) for seed in range(10)] for kind in ("pull", "spread", "contrast")}
    for kind, runs in found.items():
        ratios = shown(f"{kind}: spread, from 1 at the start", [spread[-1] / spread[0] for spread, _ in runs])
        shares = shown(f"{kind}: letters found", [share for _, share in runs])
        if kind == "pull":
            assert max(ratios) < 1e-2
        else:
            assert min(ratios) > 10
            assert min(shares) > 5 / 26
