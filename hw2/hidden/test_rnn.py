"""Hidden tests of hw2/rnn: echoes, what a network may depend on, the training loop, training runs, and scans."""

import contextlib

import torch
from torch.nn import functional

from autograder import Harness, StudentError, close, earns, shape_of, ten_times, transplanted, unlearned, untrained

HARNESS = Harness(__file__)
N = 26
ALPHABET = "abcdefghijklmnopqrstuvwxyz"
SEEN = HARNESS.ours.seen()
AS_QUANTITIES = "letters go in as quantities; they are names: use one-hot vectors or an embedding"
"""The way of the logits while the letter grows is straight then, from 0.26 on in 2400 fresh networks; with names it
came to 0.08 at most. For 6 delays or more: from 0.74 on, and 0.41 at most."""


def letters(draw, *shape):
    return draw.integers(1, N, *shape)


def targets(draw, *shape):
    """Letters and blanks, at least one of these."""
    y = draw.integers(0, N, *shape)
    y[0, 0] = 0
    return y


def echo(x, delays):
    """The echo of x (B, L); delays (B,)."""
    y = torch.zeros_like(x)
    for row, delay in enumerate(delays.tolist()):
        y[row, delay:] = x[row, : max(x.shape[1] - delay, 0)]
    return y


def kind_of(value):
    return "None" if value is None else f"a {type(value).__name__}"


# ---------------------------------------------------------------------------------------------- the data


@earns("echo-data")
def test_echoes_of_many_delays(student, draw):
    """For every delay, from 0 to beyond the length, y is x so many steps later, after blanks."""
    length, size = draw.size(5, 9), draw.size(5, 8)
    cases = [(delay, length, size) for delay in (0, 1, draw.size(2, length - 1), length, length + draw.size(1, 3))]
    for delay, L, count in [*cases, (0, 1, 1), (1, 1, 2)]:
        found, items = student.run(
            f"_data = EchoDataset({delay}, {L}, {count})\n[len(_data), [_data[i] for i in range({count})]]"
        )
        which = f"delay {delay}, seq_length {L}, size {count}"
        assert found == count, f"len() of the data set should be the size that was asked for ({which})"
        for item in items:
            two = isinstance(item, torch.Tensor | tuple | list) and len(item) == 2
            assert two, f"an item should be a pair (x, y), not {kind_of(item)} ({which})"
            x, y = item
            for name, z in (("x", x), ("y", y)):
                assert isinstance(z, torch.Tensor), f"{name} should be a tensor, not {kind_of(z)} ({which})"
                said = f"{name} should be int64 of shape (seq_length,), not {z.dtype} of {tuple(z.shape)} ({which})"
                assert z.dtype == torch.int64 and tuple(z.shape) == (L,), said
            right = echo(x[None], torch.tensor([delay]))[0]
            blanks = int((y[: min(delay, L)] != 0).sum())
            assert not blanks, f"{blanks} symbols before step {delay} are letters; all should be blank ({which})"
            assert torch.equal(y, right), f"after its blanks, y should be x from its beginning ({which})"


@earns("echo-data")
def test_all_letters_are_drawn(student):
    """All 26 letters are drawn, equally often and independently, and no blanks. Items differ."""
    code = "import torch\n_data = EchoDataset(1, 30, 1000)\ntorch.stack([_data[i][0] for i in range(1000)])"
    x = student.run(code)
    assert isinstance(x, torch.Tensor) and x.min() >= 1 and x.max() <= N, "x should hold numbers from 1 to 26 only"
    # each bound below fails independent draws less than once in 10¹⁰ data sets
    counts = torch.bincount(x.flatten(), minlength=N + 1)[1:]  # 30,000 letters, 1154 of each on average
    rare = "a letter is drawn much more rarely than the others" if counts.any() else ""
    assert counts.min() > 900, (
        f"{int((counts == 0).sum())} of the 26 letters are never drawn" if not counts.min() else rare
    )
    assert counts.max() < 1420, "some letters are drawn far more often than others"
    assert len(x.unique(dim=0)) > 990, "many items of the data set are the same"
    twins = int((x[:, 1:] == x[:, :-1]).sum())  # of 29,000 pairs of neighbours, 1115 on average
    assert 850 < twins < 1400, "neighbouring letters should be independent: they should be equal once in 26 times"
    told = "a letter says something about a later one of its sequence: all letters should be independent"
    for s in range(29):  # how far is it from the letter at step s to each later one, around the alphabet?
        steps = (x[:, s + 1 :] - x[:, s, None]).long() % N
        often = functional.one_hot(steps, N).sum(0)  # (29 − s, N), in 1000 items each 38 times on average
        assert often.max() < 100 and often.min() > 1, told
    again = max((x[1:, : 30 - k] == x[:-1, k:]).float().mean().item() for k in range(26))
    assert again < 0.2, "the letters of an item come again in the next one: all letters should be independent"


# ---------------------------------------------------------------------------------------------- the networks


def network(tools, kind, *sizes, draw):
    """A fresh network in evaluation mode, with noise on its weights: some of them may begin as zeros."""
    return tools.stirred(kind, list(sizes), draw.size(0, 10**6))


def check_shape(found, x):
    """Assert that what a network returns is a tensor of logits."""
    kind, shape, floating, finite = found
    assert kind == "Tensor", f"forward should return a tensor, not a {kind}"
    (B, L), right, shape = x.shape, (*x.shape, N + 1), shape_of(shape, "the logits")
    assert shape == right, f"for x of shape ({B}, {L}) the logits have shape {shape}, not {right}"
    assert floating and finite, "the logits should be finite floating-point numbers"


def check_causality(tools, model, draw, length, *delay):
    """Row t + 1 of a batch differs from row 0 in the letter of step t. Which logits change?"""
    base = letters(draw, length)
    other = (base + letters(draw, length) % (N - 1)) % N + 1
    x = torch.where(torch.eye(length, dtype=torch.bool), other, base)
    x = torch.cat([base[None], x])  # (L + 1, L)
    found, changed = tools.noticed(model, x, *(torch.full((length + 1,), d) for d in delay))
    check_shape(found, x)
    assert not changed.tril(-1).any(), "logits change with letters that come later: they should not depend on these"
    assert changed.diagonal().all(), "the logits of a step should depend on the letter of that step"
    near = torch.ones(length, length).triu().tril(3).bool()
    assert changed[near].all(), "some logits do not change with the letters just before: they should depend on these"
    before = torch.ones(length, length).triu().tril(6).bool()
    assert changed[before].all(), (
        "some logits do not change with letters a few steps before: a state should carry these on"
    )


def check_recurrent(tools, kind, sizes, draw, *delays):
    """Assert that not all of three fresh networks look at the last letters alone."""
    (letter,), B = draw.integers(1, N, 1).tolist(), len(delays[0]) if delays else 4
    for _ in range(3):
        others = (letters(draw, B, draw.size(28, 32)) % (N - 1) + letter) % N + 1  # without the letter
        if not tools.looks_through_a_window(network(tools, kind, *sizes, draw=draw), others, letter, *delays):
            return
    raise AssertionError("the logits depend on a fixed number of the last letters: a recurrence carries a state on")


def check_fresh_start(tools, model, draw, *delays):
    """The same sequences get the same logits: after another batch, in another order, and alone."""
    B = len(delays[0]) if delays else draw.size(3, 5)
    x, between = letters(draw, B, 8), letters(draw, B, 8)
    found, kept, again, turned, alone = tools.repeated(model, x, between, *delays)
    check_shape(found, x)
    assert kept, "forward changes the tensors that it is given"
    assert again, "the same batch, given again after another one, gets other logits"
    assert turned, "when the rows of a batch come in another order, the logits of some rows change"
    assert alone, "a row alone gets other logits than within its batch"
    again, beside = tools.in_training(model, x, between, *delays)
    assert again, "in training mode, the same batch gets other logits after another batch"
    assert beside, "in training mode, the logits of a row change with the other rows of its batch"


@earns("memory-forward")
def test_logits_of_every_step(student, draw):
    """There are N + 1 logits at every step, whatever the sizes of batch, sequence and state."""
    tools, counts = HARNESS.beside(student), []
    for B, L, H in ((1, 1, 5), (draw.size(2, 4), draw.size(5, 9), draw.size(6, 20)), (1, draw.size(30, 40), 8)):
        x = letters(draw, B, L)
        model = network(tools, student.GRUMemory, H, draw=draw)
        found, negative, sums, parameters = tools.looked_at(model, x)
        counts.append(parameters)
        check_shape(found, x)
        assert not sums, "what forward returns is positive and sums to one: it should return logits, not probabilities"
        assert negative, "none of the logits is negative: logits should be able to have any sign"
    assert counts[0] < counts[2], (
        "GRUMemory(5) has as many parameters as GRUMemory(8): hidden_size should be the length H"
    )
    assert tools.straightness(model) < 0.2, AS_QUANTITIES
    x[0, 0] = 0  # a blank
    found, *_ = tools.looked_at(model, x)
    check_shape(found, x)


@earns("memory-forward", weight=2)
def test_causality_and_memory(student, draw):
    """The logits of a step depend on its letter and on earlier ones, never on later ones."""
    tools = HARNESS.beside(student)
    for length in (draw.size(4, 6), draw.size(10, 14)):
        check_causality(tools, network(tools, student.GRUMemory, draw.size(12, 24), draw=draw), draw, length)
    check_recurrent(tools, student.GRUMemory, [draw.size(12, 24)], draw)


@earns("memory-forward")
def test_fresh_start(student, draw):
    """Every sequence starts afresh: earlier calls and other rows of the batch change nothing."""
    tools = HARNESS.beside(student)
    check_fresh_start(tools, network(tools, student.GRUMemory, draw.size(8, 16), draw=draw), draw)


@earns("variable-forward")
def test_variable_causality_and_memory(student, draw):
    """At every delay, the logits of a step depend on its letter and on earlier ones, never on later ones."""
    tools, largest = HARNESS.beside(student), draw.size(4, 6)
    model = network(tools, student.VariableDelayGRUMemory, draw.size(12, 24), largest, draw=draw)
    for delay in (0, draw.size(1, largest - 1), largest):
        check_causality(tools, model, draw, draw.size(5, 9), delay)
    sizes, delays = [draw.size(12, 24), largest], draw.integers(0, largest, 4)
    check_recurrent(tools, student.VariableDelayGRUMemory, sizes, draw, delays)
    assert tools.straightness(model, torch.zeros(1, dtype=torch.long)) < 0.2, AS_QUANTITIES


@earns("variable-forward")
def test_variable_fresh_start(student, draw):
    """With delays, too, every sequence starts afresh: earlier calls and other rows change nothing."""
    tools, largest = HARNESS.beside(student), draw.size(3, 6)
    delays = torch.tensor([largest, 0, draw.size(1, largest - 1), largest - 1])
    model = network(tools, student.VariableDelayGRUMemory, draw.size(8, 16), largest, draw=draw)
    check_fresh_start(tools, model, draw, delays)


@earns("variable-forward", weight=2)
def test_every_row_has_its_own_delay(student, draw):
    """Another delay in one row changes the logits of that row only. Different delays give different logits."""
    tools, largest = HARNESS.beside(student), draw.size(6, 8)
    model = network(tools, student.VariableDelayGRUMemory, draw.size(12, 24), largest, draw=draw)
    x, delays = letters(draw, 4, 8), draw.integers(0, largest, 4)
    others = (delays + draw.integers(1, largest, 4)) % (largest + 1)
    found, changed, apart, straight = tools.told_apart(model, x, delays, others, largest)
    check_shape(found, x)
    assert changed.diagonal().all(), "with another delay in a row, the logits of this row do not change"
    assert not (changed & ~torch.eye(4, dtype=torch.bool)).any(), (
        "with another delay in a row, the logits of other rows change"
    )
    assert (apart | torch.eye(largest + 1, dtype=torch.bool)).all(), "two different delays give the same logits"
    assert straight < 0.6, "the delay goes in as a quantity; it is a name: use a one-hot vector or an embedding"


@earns("variable-forward")
def test_letters_are_remembered_and_not_looked_up(student, draw):
    """The network remembers letters: an untrained one has no direct access to the letter of d steps before."""
    tools, largest = HARNESS.beside(student), draw.size(5, 7)
    weights = []
    for _ in range(4):
        model = network(tools, student.VariableDelayGRUMemory, draw.size(24, 32), largest, draw=draw)
        x, other = letters(draw, 24, largest + 1), letters(draw, 24)
        weights.append(tools.weights_of_the_past(model, x, other, largest))
    weight, factors = torch.stack(weights).log().mean(0), []  # (delay, steps later)
    assert weight.unique().numel() > 1, "the effect of a letter on the logits should vary with time and delay"
    for d in range(largest - 2, largest + 1):
        others = [k for k in range(largest + 1) if k != d]
        factors.append((weight[d, d] - weight[others, d].median()).exp())
    # networks that remember come to factors between 0.9 and 1.2; where a letter is looked up, most are 3 to 8
    mean = torch.stack(factors).mean()
    assert mean < 1.5, "untrained, at delay d, a letter has far more effect d steps later than at other delays"


# ---------------------------------------------------------------------------------------------- test_run


def check_talk(student, draw, kind, sizes, questions):
    best, said = HARNESS.beside(student).talk(kind, sizes, questions, draw.size(0, 10**6))
    for (s, *_), numbers, answer in zip(questions, best, said, strict=True):
        assert len(numbers) == len(s), f"forward should give N + 1 logits for each of {len(s)} steps"
        assert isinstance(answer, str), f"test_run should return a string, not {kind_of(answer)}"
        right = "".join(chr(96 + k) if k else " " for k in numbers)
        assert len(answer) == len(s), f"for a string of length {len(s)}, test_run returns one of length {len(answer)}"
        wrong = sum(a != b for a, b in zip(answer, right, strict=True))
        said = f"{wrong} of {len(s)} symbols that test_run returns are not those with the largest logits"
        blanks = all(a == b or (b == " " and a.lower() not in ALPHABET) for a, b in zip(answer, right, strict=True))
        assert answer == right, "test_run should write blanks as spaces" if blanks else said


def word(draw, length):
    return "".join(chr(96 + k) for k in letters(draw, length).tolist())


@earns("memory-test-run")
def test_run_says_the_largest_logits(student, draw):
    """For a string of any length, test_run returns the symbols with the largest logits."""
    questions = [(word(draw, length),) for length in (1, 2, 5, draw.size(6, 12), draw.size(20, 30), N + 1)]
    check_talk(student, draw, student.GRUMemory, (draw.size(8, 16),), questions)


@earns("variable-test-run")
def test_run_with_a_delay_says_the_largest_logits(student, draw):
    """For every delay, test_run returns the symbols with the largest logits."""
    largest = draw.size(4, 6)
    questions = [(word(draw, draw.size(1, 30)), delay) for delay in range(largest + 1)]
    check_talk(student, draw, student.VariableDelayGRUMemory, (draw.size(8, 16), largest), questions)


# ---------------------------------------------------------------------------------------------- the training loop


def watched_run(student, table, batches, steep=False):
    """Losses, how many passes there were forward and backward, logits, the new gradients, what is in .grad then and at
    each step, the table at the end, and the numbers of the batches in the order in which they were shown."""
    *found, changed = HARNESS.beside(student).watched(student.train, table, batches, steep)
    assert not changed, "train changes the batches that it is given"
    return found


def loss_of(logits, y):
    return functional.cross_entropy(logits.flatten(0, 1), y.flatten())


@earns("train")
def test_losses_of_every_step(student, draw):
    """Each loss is the mean cross-entropy of all symbols of its batch, before its step, with and without delays."""
    for variable in (False, True):
        B, L = draw.size(2, 4), draw.size(5, 7)
        batches = [
            (letters(draw, b, n), *([draw.integers(0, 3, b)] if variable else []), targets(draw, b, n))
            for b, n in [(B, L)] * draw.size(4, 6) + [(1, L), (B, 1)]
        ]
        table = draw.normal(N + 1, N + 1)
        losses, passes, _, said, *_, order = watched_run(student, table, batches)
        assert isinstance(losses, list), f"train should return a list of losses, not {kind_of(losses)}"
        assert losses != ["graphs"], "the losses carry their computation graphs: return plain numbers"
        assert losses != ["tensors"], "the losses are tensors: return plain numbers, loss.item()"
        asked = f"there should be one forward pass for each of {len(batches)} batches; there are {passes}"
        assert passes == len(said) == len(batches), asked
        if -1 not in order:
            again = "some batches are used again, and others never: go through all of them once"
            assert len(set(order)) == len(batches), again
            assert order == sorted(order), "the batches are used in another order than the one in which they are given"
        x, *delays, _ = batches[0]
        first = table[x] + (delays[0][:, None, None] * table[0] if variable else 0)
        whole = said[0].shape == first.shape and torch.allclose(said[0].double(), first.double(), atol=1e-4)
        assert whole, "the model should be given everything before y in a batch, and nothing else"
        assert len(losses) == len(batches), (
            f"there should be {len(batches)} losses, one for each batch; there are {len(losses)}"
        )
        right = torch.stack([loss_of(logits, batch[-1]) for logits, batch in zip(said, batches, strict=True)])
        sizes = {"B": B, "L": L, "B·L": B * L}
        close(losses[:-2], right[:-2], "the losses", rtol=1e-3, atol=1e-4, sizes=sizes)
        close(losses[-2:], right[-2:], "the losses of batches with one row or one step", rtol=1e-3, atol=1e-4)


@earns("train")
def test_every_step_follows_its_own_gradient(student, draw):
    """Each step uses the gradient of its own batch alone and moves the parameters, and the loss falls."""
    table, x, y = draw.normal(N + 1, N + 1), letters(draw, 4, 8), targets(draw, 4, 8)
    _, _, backward, _, fresh, held, _, after, _ = watched_run(student, table, [(x, y)] * 40)
    assert not torch.equal(after, table), "the parameters have not moved"
    once = f"there should be one backward pass for each of 40 batches; there are {backward}"
    assert backward == len(fresh) == 40, once
    for own, found in zip(fresh, held, strict=False):
        close(found, own, "what is in .grad when a step is made", rtol=1e-3, atol=1e-5)
    fallen = loss_of(after[x], y) / loss_of(table[x], y)
    assert fallen < 0.97, "40 steps on one batch should lower the loss; it has hardly fallen, or has risen"
    *_, fresh, _, used, _, _ = watched_run(student, table, [(x, y)] * 3, steep=True)
    if len(used) == len(fresh):  # by an optimiser of PyTorch's
        for own, found in zip(fresh, used, strict=True):
            close(found, own, "the gradient with which the optimiser takes its step, not clipped", rtol=1e-3, atol=1e-3)


@earns("train")
def test_the_learning_rate_counts(student, draw):
    """With a learning rate near 0, the parameters move much less than with the usual one."""
    batches = [(letters(draw, 3, 6), targets(draw, 3, 6)) for _ in range(6)]
    small, large = HARNESS.beside(student).ways(student.train, draw.normal(N + 1, N + 1), batches, [1e-6, 1e-2])
    assert large > 3 * small >= 0, "lr=1e-6 moves the parameters about as far as lr=1e-2"


# ---------------------------------------------------------------------------------------------- learning


def learned(student, other, draw, goal, enough, name, sizes, steps, length, low, high, variable, allowance):
    """The share of symbols right after training the student's network, of the class `name`, with the student's loop.

    It is trained in the process of `student`; what is asked is a new one, with its weights, in that of `other`.
    Training ends early if the network gets the share `enough` of other sequences right, and then reaches the goal.
    """
    tools, lesson = HARNESS.beside(student), (length, low, high, variable, draw.size(0, 10**6))
    kind = getattr(student, name)
    # First three steps only. Hopeless cases are told at once, and in the search for known mistakes, only networks that
    # begin alike are trained.
    model, *_ = tools.glance(student.train, kind, sizes, lesson)
    # Sequences for training are made in the student's process, from a hidden seed; those that decide are sent without
    # their echoes.
    x = letters(draw, 500, length)
    delays = draw.integers(low, high, 500)
    if variable:
        sequence = HARNESS.ours.lessons(3, lesson)[0][0][:1]
        ends = model(sequence.expand(2, -1), torch.tensor([low, high]))
        assert (ends[0] - ends[1]).abs().max() > SEEN, (
            "the smallest and the largest delay give the same logits: training is useless"
        )

    inputs = (x, delays) if variable else (x,)

    def right(model, count):
        said = HARNESS.beside(other).answer(model, *(part[:count] for part in inputs))
        assert said.shape == x[:count].shape, "the trained network should return logits for every symbol"
        return (said == echo(x[:count], delays[:count])).float().mean().item()

    def after(ending):
        with student.within(allowance):
            model, early = tools.taught(student.train, kind, sizes, lesson, steps, ending)
        few = tuple(part[:2] for part in inputs)
        new = unlearned(student, model, other, untrained(other, getattr(other, name), *sizes), *few)
        assert right(new, 50) < 0.6, "your network gives echoes without what it learns by gradients"
        new = untrained(other, getattr(other, name), *sizes)
        return right(transplanted(student, model, other, new, *few), len(x)), early

    share, early = 0.0, True
    with contextlib.suppress(StudentError):
        share, early = after(enough)
    return after(None)[0] if early and share < goal else share  # all steps are promised


def better_of_two(goal, attempt):
    """The share of right symbols in one attempt, or in a second one if the first misses the goal."""
    first = attempt()
    return first if first >= goal else max(first, attempt())


@earns("echo-trained", trains=True)
def test_learns_a_fixed_delay(student, shared_student, reference, draw):
    """After 600 steps, a GRUMemory(64) gets at least 80 % of the symbols of new sequences right."""
    # right answers come to 91 % and more. A delay of 2 is learned even by some wrong ones, a delay of 3 to 65 % at most
    delay, sample = draw.choice([3, 4]), [(x, y) for x, _, y in reference.variable_batches(12, 15, 3)]
    allowance = ten_times(lambda: reference.train(reference.GRUMemory(64), sample), 12 / 600)
    arguments = "GRUMemory", (64,), 600, 15, delay, delay, False, allowance
    # at rates from a tenth to 30 times ours, no network that came to 97 % on the way ended below 95 %
    share = better_of_two(0.80, lambda: learned(student, shared_student, draw, 0.80, 0.97, *arguments))
    assert share >= 0.80, f"{share:.1%} of the symbols are right after 600 steps at delay {delay}; 80 % are needed"


@earns("variable-trained", trains=True)
def test_learns_many_delays(student, shared_student, reference, draw):
    """After 1000 steps, a VariableDelayGRUMemory(96, 3) gets at least 85 % of the symbols of new sequences right."""
    sample = reference.variable_batches(20, 10, 3)
    allowance = ten_times(lambda: reference.train(reference.VariableDelayGRUMemory(96, 3), sample), 20 / 1000)
    arguments = "VariableDelayGRUMemory", (96, 3), 1000, 10, 0, 3, True, allowance
    # right answers come to 93 % and more; a network that takes the delay 3 for 2 cannot come beyond 81 %. At rates that
    # are too high for the goal, networks come to nearly 93 % on the way and lose it again.
    share = better_of_two(0.85, lambda: learned(student, shared_student, draw, 0.85, 0.93, *arguments))
    assert share >= 0.85, f"{share:.1%} of the symbols are right after 1000 steps; 85 % are needed"


# ---------------------------------------------------------------------------------------------- the prediction


@earns("longer-prediction")
def test_prediction_is_a_letter(student):
    """The prediction is one of the three letters. Each of them earns the points."""
    value = student.longer_prediction
    assert isinstance(value, str), f"longer_prediction should be a string, not {kind_of(value)}"
    assert value in ("A", "B", "C"), "longer_prediction should be one of the letters that the text offers"


# ---------------------------------------------------------------------------------------------- the linear recurrence


def gates(draw, B, T, n):
    """Gates between -1 and 1, about a fifth of them zero, and inputs."""
    return draw.uniform(B, T, n, low=-1.0, high=1.0) * (draw.uniform(B, T, n) > 0.2), draw.normal(B, T, n)


def states(a, b):
    """The states of the recurrence, step by step."""
    h = [b[:, 0]]
    for t in range(1, b.shape[1]):
        h.append(a[:, t] * h[-1] + b[:, t])
    return torch.stack(h, 1)


def check_recurrence(student, draw, name, lengths):
    for T in lengths:
        a, b = gates(draw, draw.size(1, 3), T, draw.size(1, 4))
        for which, gate in (("", a), (" with all gates 0", 0 * a), (" with all gates 1", torch.ones_like(a))):
            h, kept = HARNESS.beside(student).answered(getattr(student, name), gate, b)
            assert kept, f"{name} should not change a and b"
            assert h is not None, f"{name} returns None: is a return statement missing?"
            close(h, states(gate, b), f"h for T = {T}{which}", rtol=1e-3, atol=1e-4)


@earns("recurrence-loop")
def test_loop_obeys_the_recurrence(student, draw):
    """For every length, and for gates of any sign, the loop returns the states of all steps."""
    check_recurrence(student, draw, "linear_recurrence_loop", (1, 2, draw.size(3, 9), draw.size(10, 30)))


@earns("recurrence-scan", weight=2)
def test_scan_obeys_the_recurrence(student, draw):
    """For every length, power of two or not, and for gates of any sign, the scan returns the states of all steps."""
    lengths = (1, 2, 3, 4, draw.size(5, 7), 8, draw.size(9, 15), draw.size(17, 31), 32, draw.size(33, 63))
    check_recurrence(student, draw, "linear_recurrence_scan", lengths)


@earns("recurrence-scan")
def test_operations_of_the_scan(student, draw):
    """From 256 to 4096 steps, the scan's number of operations does not double; its tensors stay small."""
    counts = []
    for T in 256, 4096:
        a, b = gates(draw, 1, T, 2)
        a[..., 1] = torch.where(a[..., 1] > 0, 1.0, -1.0)  # so the last state depends on the first input
        h, operations, largest = HARNESS.beside(student).counted(student.linear_recurrence_scan, a, b)
        right = states(a, b)
        close(h, right, f"h for T = {T}", rtol=1e-3, atol=1e-2)  # sums of 4096 numbers
        close(h[..., :1], right[..., :1], f"h for T = {T}, where gates are small", rtol=1e-3, atol=1e-4)
        assert largest <= 16 * b.numel(), "a tensor has more than 16 times the entries of b"
        counts.append(operations)
    assert counts[1] < 2 * counts[0], "from 256 to 4096 steps, the number of tensor operations at least doubles"


@earns("recurrence-scan")
def test_gradients_of_the_scan(student, draw):
    """Gradients flow through the scan to a and b, and agree with those of a loop."""
    a, b = gates(draw, 2, draw.size(5, 20), 3)
    weights = draw.normal(*b.shape)
    found = HARNESS.beside(student).slopes(student.linear_recurrence_scan, a, b, weights)
    a, b = a.clone().requires_grad_(), b.clone().requires_grad_()
    right = torch.autograd.grad((states(a, b) * weights).sum(), (a, b))
    for name, slope, other in zip("ab", found, right, strict=True):
        assert slope is not None, f"no gradient reaches {name}"
        close(slope, other, f"the gradient by {name}", rtol=1e-3, atol=1e-4)
