"""Hidden tests of hw2/seq_classification: the prediction, the training loop, and training runs on hidden seeds.

All losses are recomputed here, from the weights that the model had. Of a long run we first get the weights of all steps
rounded: enough to see where the loss is high. Then we choose steps, those of the highest losses and some at random, and
get their exact weights. They must be those that were rounded before, and the reported losses must be theirs.
"""

import zlib

import torch
from torch.nn import functional

from autograder import Harness, close, earns, ten_times

HARNESS = Harness(__file__)
EPOCHS = 40
LOW, HIGH, IN_A_ROW = 0.1, 2.5, 10
AT_RANDOM, HIGHEST = 16, 8
"""how many steps of a long run are looked at closely"""
SCENERY = {}
NO_SEQUENCE = "train calls the model with a batch of no sequence"
NEVER_ASKED = "train never calls the model that it is given, as model(x), in a pass with gradients"
WRONGLY_SHOWN = {
    "nothing": NEVER_ASKED,
    "changed ones": "train changes the batches that it is given",
    "others": "train shows the model sequences that are not in the batches",
    "others beside": "another network of yours learns from sequences that are not in the batches",
    "too many": "in each epoch every sequence should be used once; train uses more sequences than that in all",
    "fewer in an epoch": "in each epoch every sequence should be used once; train leaves some of them out",
    "one epoch": "train ends after one epoch; it should run for as many as it is asked for",
    "all epochs but one": "train makes one epoch fewer than it is asked for",
    "some without a step": "train shows the model some sequences without learning from them: use each once",
    "fewer epochs, up to a high loss": "train ends when the loss is high; it should run until all epochs are over",
    "fewer epochs": "train ends before all epochs are over: each sequence should be used once in each of them",
    "some again, others not": "in each epoch every sequence should be used once; train uses some again, and others not",
}
TENSORS = "the losses are tensors: return loss.item()"
WRONGLY_MANY = {
    "one for each epoch": "train returned one loss for each epoch: return the loss of every step",
    "too few": "train returned fewer losses than it made steps: return the loss of every step",
    "tensors": TENSORS,
}
NEVER_MOVED = "after training, the weights of the given model have not changed"
CONTRADICTION = "what is noted of the training contradicts itself"


def watch(student, reference, seed, level, count, size, epochs, sample=None):
    """Run the student's train and assert that its report is true; returns recomputed losses and the trained model.

    Without `sample`, all steps are looked at closely; else `sample` is a number that decides on which ones.
    """
    x, y = reference.temporal_order(count * size, level, seed)
    symbols = torch.where(x.any(-1), x.argmax(-1), 8)
    tools = HARNESS.beside(student)
    trial, batches = reference.make_model(seed), reference.make_batches(count, level, seed, size)
    with student.within(ten_times(lambda: reference.train(trial, batches, 1), 1 / epochs)):
        found = tools.watched(student.make_model, student.train, seed, symbols, y, size, epochs)
    shapes, start, at, shown, sizes, losses, end, kept, rounded, exact = found
    own = reference.make_model(seed)
    ours = {name: list(p.shape) for name, p in own.named_parameters()}
    flat = torch.cat([p.detach().flatten() for p in own.parameters()])
    same = shapes == ours and start.shape == flat.shape and torch.equal(start, flat)
    assert same, "make_model(seed) gives other weights than the notebook's own: the model is not the given one"
    assert end.shape == flat.shape and end.isfinite().all(), "the weights of the trained model are not finite numbers"
    assert sizes, NEVER_ASKED
    assert not torch.equal(end, flat), NEVER_MOVED
    shown = check_what_was_shown(shown, kept, len(y), epochs)
    assert all(sizes), NO_SEQUENCE
    assert at.shape == (len(sizes),) and torch.equal(at, steps_of(at)), CONTRADICTION
    groups = shown.split(sizes)
    if sample is None:
        weights = exact(torch.arange(int(at[-1]) + 1))
        assert weights.shape == (int(at[-1]) + 1, len(start)), CONTRADICTION
        right, chosen = recomputed(own, weights[at], x, y, groups), None
    else:
        right, chosen = recomputed_in_part(own, start, at, rounded, exact, x, y, groups, sample)
    compare(losses, right, at, sizes, chosen)
    torch.nn.utils.vector_to_parameters(end, own.parameters())
    return right, own


def check_what_was_shown(shown, kept, N, epochs):
    """Assert that in each epoch every sequence was used once, and that batches have not changed; returns `shown`."""
    shown = shown.to(torch.int16).long()  # counting larger numbers would need much memory
    assert kept, "train changes the batches that it is given"
    assert (shown >= 0).all(), "train shows the model, or a copy of it, sequences that are not in the batches"
    often = torch.bincount(shown, minlength=N)
    which = "all" if often.min() == often.max() else "some"  # not how often: that could tell what is drawn here
    assert (often == epochs).all(), (
        f"in {epochs} epochs each sequence should be used {times(epochs)}; {which} are used more or less often"
    )
    epoch = shown.reshape(epochs, N).sort(dim=1).values
    whole = (epoch == torch.arange(N)).all()
    assert whole, "in each epoch every sequence should be used once; some epochs use one again and leave another out"
    return shown


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


def recomputed_in_part(model, start, at, rounded, exact, x, y, groups, sample):
    """The loss of each forward pass, from rounded weights, and from exact ones at some steps; and which ones."""
    ours, count = HARNESS.ours, int(at[-1]) + 1
    changes = rounded()
    assert changes.shape == (count, len(start)) and not changes.is_floating_point(), CONTRADICTION
    levels = ours.levels(start) + changes.cumsum(0)
    right = recomputed(model, ours.from_levels(levels)[at], x, y, groups)

    # nobody can know these steps before the weights are told
    generator = torch.Generator().manual_seed(sample + zlib.crc32(changes.numpy().tobytes()))
    some = torch.randperm(count, generator=generator)[:AT_RANDOM]
    late = torch.where(torch.arange(len(at)) < learned_at(right), 0, right)
    high = torch.zeros(count).scatter_reduce(0, at, late, "amax").topk(min(HIGHEST, count)).indices
    chosen = torch.cat([some, high]).unique()
    weights = exact(chosen)
    told = weights.shape == (len(chosen), len(start)) and torch.equal(ours.levels(weights).long(), levels[chosen])
    assert told, CONTRADICTION

    close_up = torch.isin(at, chosen)
    rows = torch.searchsorted(chosen, at[close_up])
    parts = [group for group, wanted in zip(groups, close_up.tolist(), strict=True) if wanted]
    right[close_up] = recomputed(model, weights[rows], x, y, parts)
    return right, chosen


def learned_at(losses):
    """The first of ten steps in a row with a low loss; the number of losses if there are none."""
    rows = (losses < LOW).unfold(0, IN_A_ROW, 1).all(1).nonzero().flatten() if len(losses) >= IN_A_ROW else []
    return int(rows[0]) if len(rows) else len(losses)


def steps_of(moves):
    """The step of each forward pass, from 0: a new one begins where `moves` changes."""
    return torch.cat([torch.zeros(1, dtype=torch.long), (moves[1:] != moves[:-1]).long()]).cumsum(0)


def compare(losses, right, step, sizes, chosen=None):
    """Assert that the reported losses are the recomputed ones, of each forward pass or averaged over each step.

    step:   the step of each forward pass
    chosen: the steps whose losses were recomputed from exact weights; None for all
    """
    kind = "None" if losses is None else f"a {type(losses).__name__}"
    assert isinstance(losses, list), f"train should return a list of losses, not {kind}"
    assert not any(isinstance(loss, torch.Tensor) for loss in losses), TENSORS
    size = torch.tensor(sizes, dtype=torch.float32)
    total = torch.zeros(int(step[-1]) + 1)
    averages = total.index_add(0, step, right * size) / total.index_add(0, step, size)
    many = "more" if len(losses) > len(averages) else "fewer"
    said = f"train returned {many} losses than it made steps: return the loss of every step"
    assert len(losses) in (len(right), len(averages)), said
    expected = right if len(losses) == len(right) else averages
    B = {"B": sizes[0]} if len(set(sizes)) == 1 else {}
    name = "the losses that train returned"
    if chosen is not None:
        close(losses, expected, name, atol=float("inf"))  # all of them are numbers
        places = torch.isin(step if len(losses) == len(right) else torch.arange(len(averages)), chosen)
        losses, expected = torch.as_tensor(losses)[places], expected[places]
    close(losses, expected, name, rtol=1e-3, atol=1e-4, sizes=B)


def follow(student, reference, draw):
    """Run the student's train while the weights follow a script, and assert that its report is true.

    Whatever the optimiser does, the loss falls, stays near 0 for a while, rises far, and falls again. So known mistakes
    give the same answers with every optimiser, and a train that ends at a certain loss is found without a long run.
    """
    count, size, epochs, seed = draw.size(5, 7), draw.size(6, 10), 8, draw.size(0, 3)
    x, y, places = scenery(reference, seed)
    x, y, script = x[: count * size], y[: count * size], story(count * size * epochs)
    symbols = torch.where(x.any(-1), x.argmax(-1), 8)
    tools, given = HARNESS.beside(student), (student.make_model, student.train, seed, symbols, y, size, epochs)
    trial, batches = reference.make_model(seed), reference.make_batches(count, "easy", seed, size)
    allowance = ten_times(lambda: reference.train(trial, batches, 1), 1 / epochs)

    with student.within(allowance):
        what_was_shown, how_many = tools.outline(*given, places, script)
    assert what_was_shown == "each once an epoch", WRONGLY_SHOWN.get(
        what_was_shown, "the model is not shown what it should"
    )
    kind = "None" if how_many == "NoneType" else f"a {how_many}"
    assert how_many == "enough", WRONGLY_MANY.get(how_many, f"train should return a list of losses, not {kind}")

    with student.within(allowance):
        shown, sizes, at, moves, moved, losses, kept = tools.scripted(*given, places, script)
    shown = check_what_was_shown(shown, kept, len(y), epochs)
    assert all(sizes), NO_SEQUENCE
    assert at.shape == moves.shape == (len(sizes),) and (at >= 0).all() and (at < len(script)).all(), NEVER_MOVED
    assert moved or moves.any(), NEVER_MOVED
    right = recomputed(reference.make_model(seed), script[at] @ places, x, y, shown.split(sizes))
    compare(losses, right, steps_of(moves), sizes)


def scenery(reference, seed):
    """70 sequences, their classes, and three sets of weights: untrained, trained, and trained with the opposite sign in
    the last layer. They depend on the seed alone, so they are made once."""
    if seed in SCENERY:
        return SCENERY[seed]
    model, places = reference.make_model(seed), []
    x, y = reference.temporal_order(70, "easy", seed)
    for steps, sign in (0, 1), (100, 1), (0, -1):
        adam = torch.optim.Adam(model.parameters(), lr=0.03)
        for _ in range(steps):
            adam.zero_grad()
            functional.cross_entropy(model(x), y).backward()
            adam.step()
        with torch.no_grad():
            model.head.weight *= sign
            model.head.bias *= sign
        places.append(torch.cat([parameter.detach().flatten() for parameter in model.parameters()]))
    SCENERY[seed] = x, y, torch.stack(places)
    return SCENERY[seed]


def story(length):
    """The mixture of the three sets of weights, by the number of sequences shown."""
    part = torch.arange(length + 1) / length
    learned = (5 * part).clamp(max=1)
    wrong = ((part > 0.65) & (part < 0.75)).float()
    return torch.stack([1 - learned, learned - wrong, wrong], dim=1)


def glance(student, reference, draw):
    """Two short runs: a report that is not true is found at once, and known mistakes are cheap to compare with."""
    follow(student, reference, draw)
    watch(student, reference, draw.size(0, 10**6), "easy", 6, 1, 2)  # one sequence in each batch
    # for 2, 4, 5, 10 or 20 steps in all, OneCycleLR divides by 0 at the usual pct_start
    count, size, epochs = draw.size(6, 7), draw.size(6, 10), draw.size(2, 4)
    return watch(student, reference, draw.size(0, 10**6), "normal", count, size, epochs)


@earns("clipping-prediction")
def test_a_prediction_is_one_letter(student):
    """The prediction is one of the letters A, B and C; each of them earns the points."""
    letter = student.clipping_prediction
    right = isinstance(letter, str) and letter in {"A", "B", "C"}
    assert right, "clipping_prediction should be one of the letters A, B and C, as a string"


@earns("procedure")
def test_an_honest_loop(student, reference, draw):
    """The given model is trained on every sequence once in each epoch, and the losses are those of every step."""
    glance(student, reference, draw)


@earns("no-spike", trains=True, rehearsed=True)
def test_no_spike_on_hidden_seeds(student, reference, draw):
    """Two runs on hidden seeds are good: task learned, no spike in 40 epochs, 98 % of new sequences right."""
    glance(student, reference, draw)
    # right answers fail on up to one seed in fifteen, and in three of four runs about once in a thousand submissions
    flaws, good = [], 0
    while good < 2 and len(flaws) < 3:
        flaw = flaw_of_a_run(student, reference, draw)
        good, flaws = (good, [*flaws, flaw]) if flaw else (good + 1, flaws)
    assert good == 2, f"three of {good + 3} runs on hidden seeds are not good; the last one: {flaws[-1]}"


def flaw_of_a_run(student, reference, draw):
    """What is wrong with the student's training run on a new seed; '' if the run is good."""
    seed, sample = draw.size(0, 10**6), draw.size(0, 2**31)
    losses, model = watch(student, reference, seed, "normal", 16, 32, EPOCHS, sample)
    x, y = reference.temporal_order(1000, "normal", draw.size(10**6, 2 * 10**6))
    with torch.no_grad():
        share = (model(x).argmax(-1) == y).float().mean().item()
    later = losses[learned_at(losses) :]
    if not len(later):
        return "there are no ten steps in a row with a loss below 0.1: the task is not learned"
    if high := int((later > HIGH).sum()):
        count = "one spike" if high == 1 else f"{high} spikes"
        return f"{count}; after the task was learned, the loss rises to {later.max():.1f}"
    return "" if share >= 0.98 else f"{share:.1%} of new sequences are right at the end; 98 % are needed"
