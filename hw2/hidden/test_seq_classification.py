"""Hidden tests of hw2/seq_classification: an honest loop, then no spike and a learned task on seeds nobody knows."""

import torch
from torch.nn import functional

from autograder import Harness, close, earns, ten_times

HARNESS = Harness(__file__)
EPOCHS = 40


def watch(student, reference, seed, level, count, size, epochs):
    """Runs the student's train and asserts that it is honest; returns the recomputed losses and the trained model."""
    x, y = reference.temporal_order(count * size, level, seed)
    symbols = torch.where(x.any(-1), x.argmax(-1), 8)
    tools = HARNESS.beside(student)
    trial, batches = reference.make_model(seed), reference.make_batches(count, level, seed, size)
    with student.within(ten_times(lambda: reference.train(trial, batches, 1), 1 / epochs)):
        found = tools.watched(student.make_model, student.train, seed, symbols, y, size, epochs)
    shapes, start, weights, shown, sizes, losses, end, kept = found
    own = reference.make_model(seed)
    ours = {name: list(p.shape) for name, p in own.named_parameters()}
    flat = torch.cat([p.detach().flatten() for p in own.parameters()])
    same = shapes == ours and start.shape == flat.shape and torch.equal(start, flat)
    assert same, "the model is not the given one: make_model(seed) gives other weights than it should"
    assert end.shape == flat.shape and end.isfinite().all(), "the weights of the trained model are not finite numbers"
    assert sizes, "train never asks the model that it is given: call model(x)"
    assert not torch.equal(end, flat), "after training, the weights of the given model are what they were"
    assert kept, "train changes the batches that it is given"
    assert (shown >= 0).all(), "train shows the model sequences that are not in the batches"
    often = torch.bincount(shown, minlength=len(y))
    least, most = int(often.min()), int(often.max())
    uses = f"all are used {times(most)}" if least == most else f"some are used {times(least)}, some {times(most)}"
    assert (often == epochs).all(), f"in {epochs} epochs each sequence should be used {times(epochs)}; {uses}"
    right = recomputed(own, weights, x, y, shown.split(sizes))
    compare(losses, right, weights, sizes)
    torch.nn.utils.vector_to_parameters(end, own.parameters())
    return right, own


def times(number):
    return "once" if number == 1 else f"{number} times"


def recomputed(model, weights, x, y, groups):
    """The loss of each forward pass, from the weights that the model had then; model is used for it."""
    found = []
    with torch.no_grad():
        for vector, rows in zip(weights, groups, strict=True):
            torch.nn.utils.vector_to_parameters(vector, model.parameters())
            found.append(functional.cross_entropy(model(x[rows]), y[rows]))
    return torch.stack(found)


def compare(losses, right, weights, sizes):
    """Assert that the reported losses are the recomputed ones, of each forward pass or averaged over each step."""
    kind = "None" if losses is None else f"a {type(losses).__name__}"
    assert isinstance(losses, list), f"train should return a list of losses, not {kind}"
    moved = torch.tensor([1, *(weights[1:] != weights[:-1]).any(1).int().tolist()])
    step = moved.cumsum(0) - 1
    size = torch.tensor(sizes, dtype=torch.float32)
    total = torch.zeros(int(step[-1]) + 1)
    averages = total.index_add(0, step, right * size) / total.index_add(0, step, size)
    said = f"train returned {len(losses)} losses, but made {len(averages)} steps: return the loss of every step"
    assert len(losses) in (len(right), len(averages)), said
    expected = right if len(losses) == len(right) else averages
    B = {"B": sizes[0]} if len(set(sizes)) == 1 else {}
    close(losses, expected, "the losses that train returned", rtol=1e-3, atol=1e-4, sizes=B)


def glance(student, reference, draw):
    """A short run: whatever is not honest is told at once, and known mistakes are cheap to compare with."""
    count, size, epochs = draw.size(5, 7), draw.size(6, 10), draw.size(2, 4)
    return watch(student, reference, draw.size(0, 10**6), "normal", count, size, epochs)


@earns("procedure")
def test_an_honest_loop(student, reference, draw):
    """The given model is trained, on every sequence once an epoch, and the losses are those of every step."""
    glance(student, reference, draw)


@earns("no-spike", trains=True)
def test_no_spike_on_hidden_seeds(student, reference, draw):
    """On two of three seeds that you don't know: no spike in 40 epochs, and 98 % of new sequences right in the end."""
    glance(student, reference, draw)
    flaws = []
    for run in 1, 2, 3:
        flaw = flaw_of_a_run(student, reference, draw)
        flaws += [flaw] if flaw else []
        if len(flaws) == 2 or run - len(flaws) == 2:  # it is decided
            break
    assert len(flaws) < 2, f"two of {run} runs on hidden seeds fail; the last one: {flaws[-1]}"


def flaw_of_a_run(student, reference, draw):
    """What is wrong with the student's training run on a fresh seed; '' when all is well."""
    losses, model = watch(student, reference, draw.size(0, 10**6), "normal", 16, 32, EPOCHS)
    rows = (losses < 0.1).unfold(0, 10, 1).all(1).nonzero().flatten()
    x, y = reference.temporal_order(1000, "normal", draw.size(10**6, 2 * 10**6))
    with torch.no_grad():
        share = (model(x).argmax(-1) == y).float().mean().item()
    if not len(rows):
        return "there are no ten steps in a row with a loss below 0.1: the task is not learned"
    later = losses[rows[0] :]
    if high := int((later > 2.5).sum()):
        count = "one spike" if high == 1 else f"{high} spikes"
        return f"{count}; after the task was learned, the loss rises to {later.max():.1f}"
    return "" if share >= 0.98 else f"{share:.1%} of new sequences are right in the end; 98 % are expected"
