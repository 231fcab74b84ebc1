"""Hidden tests of hw3/ocr: the sliding network, matrices, paths, both training loops, reading, the soft minimum."""

import contextlib
import itertools

import numpy as np
import pytest
import torch
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from autograder import (
    Harness,
    StudentError,
    close,
    earns,
    shape_of,
    shape_told,
    ten_times,
    transplanted,
    unlearned,
    untrained,
)

HARNESS = Harness(__file__)
ALPHABET, BETWEEN, INFINITE = "abcdefghijklmnopqrstuvwxyz", 26, 2.0**30


def kind(value):
    return "None: is a return statement missing?" if value is None else f"a {type(value).__name__}"


def tensor(value, name, shape):
    """`value`, once it is asserted to hold numbers in this shape."""
    if isinstance(value, np.ndarray):
        value = torch.as_tensor(value)
    assert isinstance(value, torch.Tensor), f"{name} should be a tensor; yours is {kind(value)}"
    found = tuple(value.shape)
    assert found == tuple(shape), f"{name}: the shape is {shape_told(found, shape)}; it should be {tuple(shape)}"
    return value.detach()


def answer(student, function, *arguments):
    """What a function of the student's answers, once it is asserted to leave its arguments as they are."""
    found, changed = HARNESS.beside(student).asked(getattr(student, function), list(arguments))
    assert not changed, f"{function} has changed an argument that it was given"
    return found


def spell(word, length=0):
    """The targets of a word, filled up with BETWEEN to a length."""
    symbols = [symbol for letter in word for symbol in (ALPHABET.index(letter), BETWEEN)]
    return torch.tensor(symbols + [BETWEEN] * (length - len(symbols)))


def stays_short(student, function, small, larger, but=None):
    """Assert that a function runs about as many lines, and operations, for large arguments as for small ones."""
    grows = HARNESS.beside(student).grows(getattr(student, function), small, list(larger.values()), but)
    for what, grown in zip(larger, grows, strict=True):
        many = "operations of PyTorch" if grown == "operations" else "lines of Python"
        assert not grown, f"{function} runs more {many} for more {what}: a loop goes over them"


# ---------------------------------------------------------------------------------------------- the network


@earns("net-shapes")
def test_shapes_of_the_energies(student, draw):
    """Images of any width from 18 to 180 get 27 energies for each of their windows."""
    tools = HARNESS.beside(student)
    net = student.SimpleNet()
    widths = draw.integers(23, 179, 4).tolist()
    sizes = [(1, 18), (3, 18), (2, 21), (1, 22), (1, 180), (4, 19), *((draw.size(2, 4), width) for width in widths)]
    said = [tools.described(net, draw.uniform(B, 1, 32, width)) for B, width in sizes]
    large, _ = tools.too_many(net, [100_000, 1_000_000])
    for (B, width), (shape, finite, same) in zip(sizes, said, strict=True):
        asked, right = f"images of shape ({B}, 1, 32, {width})", (B, (width - 18) // 4 + 1, 27)
        if shape is None:
            tools.energies(net, torch.zeros(B, 1, 32, width))  # raises the network's error
        assert isinstance(shape, tuple), f"{asked}: forward should return a tensor"
        shape = shape_of(shape, f"{asked}: the energies")
        assert shape == right, f"{asked}: the shape of the energies is {shape_told(shape, right)}; it should be {right}"
        assert finite, f"{asked}: some energies are infinite or not a number"
        assert same, "the network has changed the images that it was given"
    assert not large, "the network has more than 100,000 parameters"


@earns("net-window", weight=2)
def test_windows_alone(student, draw):
    """A wide image gets the energies that each of its windows gets alone, whatever else is in the batch."""
    tools = HARNESS.beside(student)
    net = tools.settled(student.SimpleNet())
    widths, said = (draw.size(23, 60), draw.size(61, 120)), []
    for width in widths:
        bright = draw.uniform(3, 1, 1, width) * torch.tensor([0.5, 0.2, 1.0])[:, None, None, None]
        said.append(tools.windows(net, bright * draw.uniform(3, 1, 32, width)))
    for width, (shape, cut, alone, there) in zip(widths, said, strict=True):
        right, shape = (3, (width - 18) // 4 + 1, 27), shape_of(shape, f"width {width}: the energies")
        assert shape == right, (
            f"width {width}: the shape of the energies is {shape_told(shape, right)}; it should be {right}"
        )
        assert all(cut) or not there, "the windows have the right energies, but in the wrong places"
        assert all(cut), f"window {cut.index(False)} gets other energies when its 18 columns are cut out"
        assert all(alone), "an image gets other energies when there are other images in its batch"


@earns("net-window")
def test_what_a_window_sees(student, draw):
    """The energies of a window depend on all of its 18 columns, and on no other column."""
    tools, L = HARNESS.beside(student), draw.size(6, 12)
    net = tools.settled(student.SimpleNet())
    windows, images = (0, draw.size(2, L - 2), L - 1), draw.uniform(4, 1, 32, 18 + 4 * (L - 1))
    for window, columns in zip(windows, [tools.seen(net, images, window) for window in windows], strict=True):
        right = list(range(4 * window, 4 * window + 18))
        span = f"columns {columns[0]} to {columns[-1]}" if columns else "nothing"
        span += ", and not all of them" if columns and len(columns) <= columns[-1] - columns[0] else ""
        assert columns == right, (
            f"window {window} should depend on columns {right[0]} to {right[-1]}; yours depends on {span}"
        )


# ---------------------------------------------------------------------------------------------- single letters


def plain_numbers(values, name, steps):
    """The numbers of a list, once it is asserted to hold a plain one for each step."""
    assert isinstance(values, list | tuple | np.ndarray), f"{name} should be a list; yours is {kind(values)}"
    more = "more" if len(values) > steps else "fewer"  # the student chooses how many, so it could tell anything
    assert len(values) == steps, f"{name} should have one number for each of {steps} steps; yours has {more}"
    assert all(isinstance(value, float) for value in values), f"{name} should hold plain numbers"
    return torch.tensor([float(value) for value in values])


def right_steps(modes, rows, gradients, stale, expected, epochs):
    """Assert that each step of a training run follows the gradient of its own loss, in training mode."""
    steps = 3 * epochs
    assert rows, "the model that should be trained is never called"
    times = f"{len(rows)} times" if len(rows) < 4 * steps else "far too often"
    assert len(rows) == steps, f"{epochs} epochs of 3 batches call the model {times}, not {steps} times"
    outside, inside = map(all, zip(*modes, strict=True))
    assert outside or inside, "the model is not in training mode"
    assert inside, "the model is in training mode, but its layers are not"
    assert outside, "the layers of the model are in training mode, but the model itself is not"
    assert len(gradients) == steps, f"there are {len(gradients)} backward passes in {steps} steps"
    assert 0 not in stale, "the first step follows a gradient that was there before the training"
    assert not stale, "a step follows more than its own gradient: earlier gradients are left over"
    for gradient, right in zip(gradients, expected, strict=True):
        sizes = {"B": len(right), "L": right.shape[1]}
        close(gradient, right, "the gradient of a step's loss", rtol=1e-3, atol=1e-6, sizes=sizes)


def three_batches(draw):
    """A batch size, a number of epochs, and how many images make three batches: the last batch has one image."""
    size, epochs = draw.size(4, 6), draw.size(2, 3)
    return size, epochs, 2 * size + 1


def letters_run(student, draw):
    """A training run on letters: what it returns and notes, and the loss and the gradient of each step."""
    size, epochs, N = three_batches(draw)
    labels, script = draw.integers(0, 25, N), 2 * draw.normal(epochs, N, 1, 27)
    tools, how = HARNESS.beside(student), (student.train_letters, script, labels, 18, size, epochs)
    broken, result, *notes = tools.watched(*how)
    if broken:
        tools.run(*how)  # raises the error
    right = []
    for step, rows in enumerate(notes[1][: 3 * epochs]):
        said = script[step // 3, rows].requires_grad_()  # each image comes once in an epoch
        loss = functional.cross_entropy(-said[:, 0], labels[rows])
        right.append((loss.item(), torch.autograd.grad(loss, said)[0]))
    return result, notes, right, epochs


@earns("letters-loop")
def test_losses_of_letters(student, draw):
    """For each step there is one loss, a plain number: the batch's mean cross-entropy."""
    losses, _, right, epochs = letters_run(student, draw)
    losses = plain_numbers(losses, "the list of losses", 3 * epochs)
    assert len(right) == len(losses), f"the model is called {len(right)} times in {len(losses)} steps"
    close(losses, torch.tensor([loss for loss, _ in right]), "the list of losses", atol=1e-5)


@earns("letters-loop")
def test_steps_on_letters(student, draw):
    """Each step follows the gradient of its own loss, in training mode."""
    _, (modes, rows, gradients, stale), right, epochs = letters_run(student, draw)
    right_steps(modes, rows, gradients, stale, [gradient for _, gradient in right], epochs)


@earns("letters-loop")
def test_letters_are_learned(student, draw):
    """The training changes the model that it is given: its loss falls, and faster with a larger learning rate."""
    size, epochs, N = three_batches(draw)
    labels, start = draw.integers(0, 25, N), 2 * draw.normal(N, 1, 27)
    leaf = start.clone().requires_grad_()
    functional.cross_entropy(-leaf[:, 0], labels).backward()
    went = HARNESS.beside(student).learned(student.train_letters, start, labels, 18, size, epochs, leaf.grad)
    downhill(*went)


def downhill(way, slower):
    """Assert that a training run has lowered the loss, and moved farther with a larger learning rate."""
    assert way != 0, "after the training the model's parameters are what they were before"
    assert -1e6 < way < 0, "the steps make the loss larger"
    assert slower, "a learning rate of 0.000001 moves the parameters nearly as far as one of 0.1"


@pytest.fixture(scope="module")
def once():
    """What the training runs have shown: several tests look at it."""
    return {}


def remembered(once, name, find):
    """What `find()` returns or raises; it is called only once."""
    if name not in once:
        try:
            once[name] = find()
        except (StudentError, AssertionError) as error:
            once[name] = error
    if isinstance(once[name], Exception):
        raise once[name]
    return once[name]


def words(reference, draw, *arguments, **more):
    """Images, as bytes (N, 1, 32, W), and words of a SimpleWordsDataset with a drawn seed."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(draw.size(0, 2**31))
        data = reference.SimpleWordsDataset(*arguments, **more)
    return as_bytes(data.images), data.words


def as_bytes(images):
    return (255 * images).round().to(torch.uint8)


def loader(images, labels, size):
    """Batches for the reference, of images in bytes."""
    return DataLoader(TensorDataset(images / 255, labels), batch_size=size)


def unshaped(energies, shape):
    """The energies of hidden letters. A wrong shape is not told: it could say which letters these are."""
    assert not isinstance(energies, torch.Tensor) or tuple(energies.shape) == shape, (
        f"the energies of {shape[0]} letters have another shape than {shape}"
    )
    return energies


def letters_by_heart(student, reference, draw):
    """Assert that a quarter of the letters of one font are learned in 60 steps, before a long run begins."""
    images, labels = reference.LETTERS[draw.size(0, len(reference.LETTERS) - 1), :, None], torch.arange(26)
    tools = HARNESS.beside(student)
    net = tools.taught(student.train_letters, student.SimpleNet(), as_bytes(images), labels, 13, 30)
    energies = tensor(tools.answers(net, as_bytes(images)), "the result", (26, 1, 27))
    known = int((energies[:, 0].argmin(1) == labels).sum())
    assert known >= 7, (
        f"after 60 steps on the 26 letters of one font your network reads {known} of them; it should read 7"
    )


def warm(once, student, trained, reference, draw, epochs):
    """A SimpleNet that `train_letters` has taught 4,800 letters, and the share of 1,000 others that are read.

    The network is in the process of `trained`. What reads is a new one, with its weights, in that of `student`.
    """

    def train():
        tools = HARNESS.beside(student)
        images, letters = remembered(once, "letters", lambda: words(reference, draw, 1, 4800, noise=True))
        labels = torch.tensor([ALPHABET.index(letter) for letter in letters])
        sample = loader(images[:640], labels[:640], 64)
        allowance = ten_times(lambda: reference.train_letters(reference.SimpleNet(), sample, 1), 640 / (2 * 4800))
        with trained.within(allowance):
            net = HARNESS.beside(trained).taught(trained.train_letters, trained.SimpleNet(), images, labels, 64, epochs)
        images, letters = remembered(once, "other letters", lambda: words(reference, draw, 1, 1000, noise=True))

        def read(net, count):
            answer = tensor(unshaped(tools.answers(net, images[:count]), (count, 1, 27)), "the result", (count, 1, 27))
            guesses = answer[:, 0, :26].argmin(1).tolist()
            return sum(ALPHABET[k] == letter for k, letter in zip(guesses, letters, strict=False)) / count

        fresh = unlearned(trained, net, student, untrained(student, student.SimpleNet), images[:2] / 255)
        assert read(fresh, 100) < 0.5, "your network reads letters without what it learns by gradients"
        fresh = untrained(student, student.SimpleNet)
        return net, read(transplanted(trained, net, student, fresh, images[:2] / 255), 1000)

    return remembered(once, f"taught for {epochs}", train)


def letters_right(once, student, trained, reference, draw):
    """The share of hidden letters that are read. The second epoch is left out if the first one earns all points."""
    try:
        _, share = warm(once, student, trained, reference, draw, 1)
    except (StudentError, AssertionError):
        share = 0.0  # two epochs are promised
    return share if share >= 0.98 else warm(once, student, trained, reference, draw, 2)[1]


def earned(once, name, enough):
    """Whether a training run has already earned all points: then nothing has to be tried out before it."""
    share = once.get(name)
    return isinstance(share, float) and share >= enough


def hidden_letters(once, student, shared_student, reference, draw):
    """The share of hidden letters that are read, once a short run has shown that anything is learned."""
    if not earned(once, "letters right", 0.98):
        letters_by_heart(student, reference, draw)
    return remembered(once, "letters right", lambda: letters_right(once, student, shared_student, reference, draw))


@earns("letters-learn", trains=True)
def test_many_letters_are_read(student, shared_student, once, reference, draw):
    """After two epochs, 90 % of other letters are read correctly."""
    share = hidden_letters(once, student, shared_student, reference, draw)
    assert share >= 0.9, f"your network reads {share:.1%} of the hidden letters; it should read 90 %"


@earns("letters-learn", trains=True)
def test_nearly_all_letters_are_read(student, shared_student, once, reference, draw):
    """After two epochs, 98 % of other letters are read correctly."""
    share = hidden_letters(once, student, shared_student, reference, draw)
    assert share >= 0.98, f"your network reads {share:.1%} of the hidden letters; it should read 98 %"


# ---------------------------------------------------------------------------------------------- matrices


@earns("transform")
def test_spelling(student, draw):
    """Every letter is followed by BETWEEN, also between double letters."""
    some = draw.integers(0, 25, 1), draw.integers(0, 25, 7), draw.integers(0, 25, 1).repeat(3), draw.integers(0, 25, 40)
    words = ["".join(ALPHABET[k] for k in letters) for letters in (torch.tensor([0, 25]), *some)]
    for word, targets in zip(words, [student.transform_word(word) for word in words], strict=True):
        targets = tensor(targets, f"transform_word({word!r})", (2 * len(word),))
        assert targets.dtype == torch.int64, f"the targets are {targets.dtype}; they should be int64"
        assert torch.equal(targets, spell(word)), (
            f"transform_word({word!r}): each letter's number should come once, followed by BETWEEN"
        )


def batch(draw, B, L, T):
    """Energies (B, L, 27) and targets (B, T)."""
    targets = draw.integers(0, 25, B, T)
    targets[:, 1::2] = BETWEEN
    return 3 * draw.normal(B, L, 27), targets


def batches(draw):
    """Energies and targets of usual sizes, the smallest, more targets than windows, more targets than symbols."""
    yield batch(draw, draw.size(2, 4), draw.size(8, 11), 2 * draw.size(2, 3))
    yield batch(draw, 1, 1, 2)
    yield batch(draw, 3, 1, 4)
    yield batch(draw, 1, 5, 30)


def larger_batches(draw):
    """Small arguments for a function that looks up, and larger ones along each axis."""
    small = draw.normal(2, 5, 27), draw.integers(0, 26, 2, 4)
    many = {
        "images": (draw.normal(40, 5, 27), draw.integers(0, 26, 40, 4)),
        "windows": (draw.normal(2, 40, 27), draw.integers(0, 26, 2, 4)),
        "targets": (draw.normal(2, 5, 27), draw.integers(0, 26, 2, 40)),
    }
    return small, many


def looked_up(values, targets):
    """values[b, l, targets[b, t]], one after the other."""
    (B, L, _), T = values.shape, targets.shape[1]
    where = itertools.product(range(B), range(L), range(T))
    return torch.stack([values[b, i, targets[b, t]] for b, i, t in where]).reshape(B, L, T)


def named(values, targets):
    return {"B": len(values), "L": values.shape[1], "T": targets.shape[1]}


@earns("path-matrix", weight=2)
def test_path_matrix(student, draw):
    """P[b, l, t] is the energy of target t in window l."""
    given = list(batches(draw))
    given += [(surprises(energies), targets) for energies, targets in given]  # as `build_ce_matrix` looks up
    for energies, targets in given:
        right = looked_up(energies, targets)
        P = tensor(answer(student, "build_path_matrix", energies, targets), "the path matrix", right.shape)
        close(P, right, "the path matrix", sizes=named(energies, targets))


@earns("path-matrix")
def test_path_matrix_without_loops(student, draw):
    """The values are right, and batch, image and word do not decide how many lines and operations run."""
    small, larger = larger_batches(draw)
    close(answer(student, "build_path_matrix", *small), looked_up(*small), "the path matrix")
    stays_short(student, "build_path_matrix", small, larger)


def surprises(energies):
    """The cross-entropy of each symbol in each window."""
    return energies + torch.logsumexp(-energies, 2, keepdim=True)


@earns("ce-matrix", weight=3)
def test_ce_matrix(student, draw):
    """C[b, l, t] is the cross-entropy of target t in window l, and gradients reach the energies, also large ones."""
    tools = HARNESS.beside(student)
    for scale in 1.0, 300.0:
        what = "" if scale == 1 else " of large energies"
        for energies, targets in batches(draw):
            energies = scale * energies
            leaf = energies.clone().requires_grad_()
            right = looked_up(surprises(leaf), targets)
            weights = draw.uniform(*right.shape)
            C, gradient, changed = tools.slope(student.build_ce_matrix, energies, targets, weights)
            assert not changed, "build_ce_matrix has changed an argument that it was given"
            if isinstance(C, torch.Tensor) and not near(C, right, scale):
                right = as_the_student_looks_up(tools, student, leaf, targets, weights, C, scale, right)
            (right.flatten() * weights.flatten()).sum().backward()
            C = tensor(C, f"the matrix of cross-entropies{what}", right.shape)
            close(C, right, f"the matrix of cross-entropies{what}", atol=1e-4 * scale, sizes=named(energies, targets))
            assert gradient is not None, "the matrix has lost its graph: no gradient reaches the energies"
            close(gradient, leaf.grad, f"the gradient with respect to energies{what}", rtol=1e-3, atol=1e-4)


def near(one, other, scale):
    one, other = one.detach().double(), other.detach().double()
    return one.shape == other.shape and torch.allclose(one, other, rtol=1e-4, atol=1e-4 * scale)


def as_the_student_looks_up(tools, student, leaf, targets, weights, C, scale, right):
    """The cross-entropies as the student's build_path_matrix looks them up, if C is that: an error is counted once."""
    surprise = surprises(leaf)
    try:
        lookup = student.build_path_matrix
        own, upstream, _ = tools.slope(lookup, surprise.detach(), targets, weights)
        plain = lookup(surprise.detach(), targets)
    except StudentError:
        return right
    if not isinstance(own, torch.Tensor) or not isinstance(plain, torch.Tensor) or not near(own, plain, scale):
        return right  # its own tests have seen another function
    if upstream is None or not upstream.any() or not near(C, own, scale):
        return right
    again = (surprise * upstream).sum() / weights.sum()  # whose gradient is that of the weighted sum
    return own + (again - again.detach()).expand(own.shape)


@earns("ce-matrix")
def test_ce_matrix_without_loops(student, draw):
    """The values are right, and batch, image and word do not decide how many lines and operations run."""
    small, larger = larger_batches(draw)
    C, right = answer(student, "build_ce_matrix", *small), looked_up(surprises(small[0]), small[1])
    if isinstance(C, torch.Tensor) and not near(C, right, 1.0):
        tools, leaf = HARNESS.beside(student), small[0].clone().requires_grad_()
        right = as_the_student_looks_up(tools, student, leaf, small[1], torch.ones(right.shape), C, 1.0, right)
    close(C, right, "the matrix of cross-entropies")
    lookup = student.run("globals().get('build_path_matrix')")  # its own test counts its lines
    stays_short(student, "build_ce_matrix", small, larger, but=lookup)


# ---------------------------------------------------------------------------------------------- paths


def all_paths(L, T):
    """Every allowed path of L windows and T targets."""
    moves = itertools.combinations(range(1, L), T - 1)
    return [[sum(move <= i for move in chosen) for i in range(L)] for chosen in moves]


def some_path(draw, L, T):
    """A random allowed path."""
    moves = torch.zeros(L - 1, dtype=torch.int64)
    moves[torch.randperm(L - 1, generator=draw.generator)[: T - 1]] = 1
    return [0, *moves.cumsum(0).tolist()]


def energies_of(student, pm, paths):
    """What path_energy says of paths, once these are asserted to be numbers, and the arguments to be as they were."""
    energies, _, same = HARNESS.beside(student).energies_of_paths(student.path_energy, pm, paths)
    for path, energy in zip(paths, energies, strict=True):
        if isinstance(energy, str):
            student.path_energy(pm, path)  # raises the error
        assert isinstance(energy, float), f"the energy of a path should be one number; yours is {kind(energy)}"
    assert same, "path_energy has changed an argument that it was given"
    return energies


@earns("path-energy")
def test_energy_of_a_path(student, draw):
    """The energy of an allowed path, a list or a tensor, is the sum of the entries that it visits."""
    sizes = [(T + draw.size(0, 5), T) for T in (2, draw.size(3, 5), draw.size(6, 8))]
    for L, T in *sizes, (1, 1), (draw.size(2, 4), 1), (40, 31):
        pm, z = draw.normal(L, T), some_path(draw, L, T)
        right = sum(pm[i, j].item() for i, j in enumerate(z))
        for energy in energies_of(student, pm, [z, torch.tensor(z)]):
            close(energy, right, "the energy of an allowed path", atol=1e-5)


@earns("path-energy")
def test_forbidden_paths(student, draw):
    """A path that starts late, ends early, skips a target, goes back or has a wrong length has the energy 2³⁰."""
    T = draw.size(4, 6)
    L = T + draw.size(3, 5)
    pm, z = draw.normal(L, T), torch.tensor(some_path(draw, L, T))
    skipping = torch.tensor(some_path(draw, L, T - 1))
    skipping[skipping >= draw.size(1, T - 2)] += 1
    back = some_path(draw, L - 2, T)
    place = next(i for i, j in enumerate(back) if j == 2)
    back[place:place] = [2, 1]
    twice = [*some_path(draw, L - 3, T), 0, 1, T - 1]
    forbidden = {
        "starts at 1": z.clamp(min=1).tolist(),
        "starts at -1": [-1, *some_path(draw, L - 1, T)],
        "ends at T - 2": z.clamp(max=T - 2).tolist(),
        "goes on to T": [*some_path(draw, L - 1, T), T],
        "skips a target": skipping.tolist(),
        "goes back by one": back,
        "goes back to the start": twice,
        "has an entry too few": some_path(draw, L - 1, T),
        "has an entry too many": some_path(draw, L + 1, T),
        "has an entry too many at the end": [*z.tolist(), T - 1],
        "has a single entry": [0],
        "is empty": [],
    }
    for reason, energy in zip(forbidden, energies_of(student, pm, list(forbidden.values())), strict=True):
        assert energy == INFINITE, f"a path that {reason} is forbidden: its energy should be 2³⁰"


def matrices(draw):
    """Path matrices (B, L, T); the names say which forbidden path would be cheaper."""
    L, T = draw.size(6, 7), 3
    late, early, skip, back, twice = (draw.normal(3, L, T) for _ in range(5))
    late[:, 0, 1:] -= 50  # a start at any other target
    early[:, -1, :-1] -= 50  # an end at any other target
    skip[:, :, 1] += 50  # the second target left out
    back[:, 1:3, 1] -= 50  # on to the second target, then back to the first one
    back[:, 3:5, 0] -= 50
    twice[:, torch.arange(L), torch.arange(L) % T] -= 50  # after the last target the first one again
    return {
        "random energies": 2 * draw.normal(3, L, draw.size(3, 5)),
        "a batch of one": 2 * draw.normal(1, L, draw.size(3, 5)),
        "large energies": 1000 * draw.normal(3, L, T),
        "positive energies": draw.uniform(3, L, T, low=1, high=2),
        "a cheap wrong start": late,
        "a cheap wrong end": early,
        "an expensive target": skip,
        "a cheap way back": back,
        "a cheap second round": twice,
        "two windows and two targets": draw.normal(2, 2, 2),
        "as many windows as targets": draw.normal(2, 5, 5),
        "a single target": draw.normal(2, 4, 1),
        "a single window": draw.normal(3, 1, 1),
    }


def cheapest(pm):
    """The least energy of all allowed paths through a matrix (L, T), by trying them all."""
    L, T = pm.shape
    rows, values = range(L), pm.tolist()
    return min((sum(values[i][z[i]] for i in rows) for z in all_paths(L, T)), default=INFINITE)


SHAPES = {
    "free": ("the list of free energies", lambda B, L, T: (B,)),
    "path": ("the list of paths", lambda B, L, T: (B, L)),
    "dp": ("dp", lambda B, L, T: (B, L, T)),
}


def of_the_right_shapes(shapes, pm, wanted):
    """Assert that find_path has returned three things, and that the wanted ones are tensors of the right shapes."""
    assert shapes is not None, "find_path should return a tuple of three: free energies, paths, dp"
    for part in wanted.split():
        name, right = SHAPES[part]
        assert part in shapes, f"{name} should be a tensor"
        found = shape_of(shapes[part], name)
        due = right(*pm.shape)
        assert found == due, f"{name}: the shape is {shape_told(found, due)}; it should be {due}"


def found(student, pm, name, wanted):
    """The wanted parts of what find_path answers, once they are asserted to be tensors of the right shapes."""
    shapes, parts, same = HARNESS.beside(student).paths(student.find_path, pm, wanted)
    of_the_right_shapes(shapes, pm, wanted)
    assert same, f"{name}: find_path has changed the matrix that it was given"
    return parts if len(parts) > 1 else parts[0]


@earns("find-path-energy", weight=2)
def test_free_energies(student, reference, draw):
    """The free energy is the least energy of all allowed paths, also where forbidden paths would be cheaper."""
    for name, pm in matrices(draw).items():
        free = found(student, pm, name, "free")
        close(free, torch.tensor([cheapest(matrix) for matrix in pm]), f"{name}: the list of free energies", atol=1e-4)
    pm = 2 * draw.normal(3, 70, 24)
    right = reference.find_path(pm.double())[0]
    close(found(student, pm, "wide images", "free"), right, "wide images: the list of free energies", atol=1e-3)


@earns("find-path-energy")
def test_dp(student, draw):
    """dp[i, j] is the least energy from (0, 0) to (i, j), and infinite where no path leads."""
    pm = draw.normal(2, draw.size(5, 6), draw.size(3, 4))
    dp = found(student, pm, "random energies", "dp")
    for b, i, j in itertools.product(*map(range, pm.shape)):
        if j > i:
            assert dp[b, i, j] >= INFINITE / 2, f"dp[:, {i}, {j}] should be infinite: no path leads there"
        else:
            close(dp[b, i, j].item(), cheapest(pm[b, : i + 1, : j + 1]), f"dp[:, {i}, {j}]", atol=1e-4)
    with contextlib.suppress(StudentError):  # nobody promises float64
        *_, same = HARNESS.beside(student).paths(student.find_path, pm.double(), "")
        assert same, "find_path has changed the matrix that it was given, which was in float64"


@earns("find-path-energy")
def test_more_targets_than_windows(student, draw):
    """If there are more targets than windows, the free energy is infinite."""
    for L, T in (1, 2), (draw.size(2, 4), draw.size(5, 8)):
        free = found(student, draw.normal(3, L, T), f"{L} windows and {T} targets", "free")
        number = "a single window" if L == 1 else f"{L} windows"
        assert (free >= INFINITE / 2).all(), f"{number} cannot show {T} targets: the free energy should be infinite"


@earns("find-path-path", weight=3)
def test_paths(student, reference, draw):
    """The path is allowed, and no other path is cheaper."""
    wide, small = 2 * draw.normal(3, 70, 24), matrices(draw)
    asked = {name: found(student, pm, name, "path") for name, pm in (small | {"wide images": wide}).items()}
    for name, pm in small.items():  # all were asked: a wrong dtype ends the test
        path = asked[name]
        assert path.dtype == torch.int64, f"the paths are {path.dtype}; they should be int64"
        for matrix, z in zip(pm, path.tolist(), strict=True):
            assert z in all_paths(*matrix.shape), f"{name}: the path is forbidden"
            energy = sum(matrix[i, j].item() for i, j in enumerate(z))
            close(energy, cheapest(matrix), f"{name}: the energy of the path", atol=1e-4)
    of_paths(reference.find_path(wide)[0], wide, asked["wide images"])


def of_paths(free, pm, path):
    """Assert that paths through large matrices are allowed and have these energies."""
    steps = path.diff(dim=1)
    ends = (path[:, 0] == 0).all() and (path[:, -1] == pm.shape[2] - 1).all()
    assert ends and ((steps == 0) | (steps == 1)).all(), "wide images: the path is forbidden"
    close(pm.gather(2, path[:, :, None]).sum((1, 2)), free, "wide images: the energy of the path", atol=1e-3)


@earns("find-path-path")
def test_paths_that_tie(student, draw):
    """If several paths are equally cheap, find_path returns one of them."""
    tools = HARNESS.beside(student)
    for pm in torch.zeros(2, 6, 3), draw.integers(0, 1, 12, 6, 4).float(), torch.zeros(2, 4, 4):
        shapes, walks = tools.walks(student.find_path, pm)
        of_the_right_shapes(shapes, pm, "path")
        for matrix, (first, last, least, most, energy) in zip(pm, walks, strict=True):
            allowed = (first, last) == (0, pm.shape[2] - 1) and least >= 0 and most <= 1
            assert allowed, "several paths are equally cheap, and yours is forbidden"
            assert energy == cheapest(matrix), "several paths are equally cheap, and yours is not one of them"


@earns("find-path-batch")
def test_matrices_of_a_batch(student, draw):
    """Each matrix of a batch gets its own free energy and its own path, whatever else is in the batch."""
    pm = 3 * draw.normal(draw.size(9, 12), draw.size(8, 10), draw.size(4, 5))
    free, path = found(student, pm, "a batch", "free path")
    assert len({tuple(z) for z in path.tolist()}) > 1, "all matrices of a batch get the same path"
    turned_free, turned_path = found(student, pm.flip(0), "a batch turned round", "free path")
    close(turned_free.flip(0), free, "the list of free energies of a batch turned round", atol=1e-4)
    assert torch.equal(turned_path.flip(0), path), "a matrix's path depends on its place in the batch"
    few_free, few_path = found(student, pm[1:3], "a batch of two", "free path")
    close(few_free, free[1:3], "the list of free energies of two matrices without the others", atol=1e-4)
    assert torch.equal(few_path, path[1:3]), "a matrix's path depends on the rest of its batch"
    first = HARNESS.beside(student).later(student.find_path, pm, pm.flip(0))
    assert first == "kept", "find_path changes what it returned for an earlier batch"


@earns("find-path-batch")
def test_loop_over_windows_only(student, draw):
    """The free energies are right, and batch and word do not decide how many lines and operations run."""
    L = draw.size(14, 16)
    pm = draw.normal(2, L, 4)
    pm[:, 1:-1, -1], pm[:, -1, :-1], pm[:, 0, 0] = 50, 50, 0  # whatever may be wrong elsewhere, this is easy
    pm[:, 1:-1, 0] = -1
    pm[:, 0, 1:] = 50
    small, many = (pm,), {"images": (draw.normal(40, L, 4),), "targets": (draw.normal(2, L, 12),)}
    free = found(student, small[0], "a batch of two", "free")
    close(free, torch.tensor([cheapest(matrix) for matrix in small[0]]), "the list of free energies", atol=1e-4)
    stays_short(student, "find_path", small, many)


# ---------------------------------------------------------------------------------------------- training


@earns("path-ce")
def test_cross_entropy_along_a_path(student, draw):
    """Each image gets the sum of its entries along its path, and gradients reach these entries."""
    tools = HARNESS.beside(student)
    for B, L, T in (draw.size(3, 5), draw.size(7, 9), draw.size(3, 6)), (1, 6, 2), (2, 1, 1), (4, 4, 4):
        ce, path = draw.uniform(B, L, T, high=5), torch.tensor([some_path(draw, L, T) for _ in range(B)])
        weights = 1 + draw.uniform(B)
        sums, gradient, changed = tools.slope(student.path_cross_entropy, ce, path, weights)
        assert not changed, "path_cross_entropy has changed an argument that it was given"
        right = torch.stack([sum(ce[b, i, path[b, i]] for i in range(L)) for b in range(B)])
        sizes = {"B": B, "L": L, "T": T}
        close(tensor(sums, "the list of sums", (B,)), right, "the list of sums along the paths", sizes=sizes)
        assert gradient is not None, "the sums have lost their graph: no gradient reaches the matrix"
        close(gradient, functional.one_hot(path, T) * weights[:, None, None], "the gradient", sizes=sizes)


def words_run(student, draw):
    """A training run on words: what it returns and notes, and what each step should have said by the student's own
    functions, so that an error in these is not counted again."""
    tools, (size, epochs, N) = HARNESS.beside(student), three_batches(draw)
    targets, L = some_targets(draw, N)
    script = 2 * draw.normal(epochs, N, L, 27)
    how = student.train_ebm_model, script, targets, 18 + 4 * (L - 1), size, epochs
    broken, result, *notes = tools.watched(*how)
    pieces, steps = own_pieces(student), enumerate(notes[1][: 3 * epochs])
    own = [tools.along_the_path(pieces, script[step // 3, rows], targets[rows]) for step, rows in steps]
    if broken:
        tools.run(*how)  # raises the error
    assert isinstance(result, tuple | list) and len(result) == 2, (
        "train_ebm_model should return two lists: losses and free energies"
    )
    assert not any(wrong for wrong, *_ in own), "find_path does not find paths (B, L) of whole numbers"
    return result, notes, [right for _, *right in own], epochs


def own_pieces(student):
    return student.build_path_matrix, student.build_ce_matrix, student.find_path, student.path_cross_entropy


def some_targets(draw, N):
    """The targets (N, T) of N words of different lengths, and a number of windows that shows all of them."""
    longest = draw.size(2, 4)
    spelt = ["".join(ALPHABET[k] for k in draw.integers(0, 25, draw.size(1, longest))) for _ in range(N)]
    return torch.stack([spell(word, 2 * longest) for word in spelt]), 2 * longest + draw.size(2, 4)


@earns("train")
def test_history_of_training(student, draw):
    """Each step has a loss and a mean free energy: those that your own functions give for its energies."""
    (losses, free), _, right, epochs = words_run(student, draw)
    losses = plain_numbers(losses, "the list of losses", 3 * epochs)
    free = plain_numbers(free, "the list of mean free energies", 3 * epochs)
    assert len(right) == len(losses), f"the model is called {len(right)} times in {len(losses)} steps"
    expected_losses, expected_free, _ = map(list, zip(*right, strict=True))
    sizes = {"L": right[0][2].shape[1]} if right[0][2] is not None else {}
    close(losses, torch.tensor(expected_losses), "the list of losses", atol=1e-5, sizes=sizes)
    close(free, torch.tensor(expected_free), "the list of mean free energies", atol=1e-4)


@earns("train")
def test_steps_of_training(student, draw):
    """Each step follows the gradient of its own loss, in training mode."""
    _, (modes, rows, gradients, stale), right, epochs = words_run(student, draw)
    expected = [gradient for _, _, gradient in right]
    assert None not in expected, "no gradient reaches the energies from the loss that your own functions give"
    right_steps(modes, rows, gradients, stale, expected, epochs)


@earns("train")
def test_words_are_learned(student, draw):
    """The training changes the model that it is given: its loss falls, and faster with a larger learning rate."""
    size, epochs, N = three_batches(draw)
    targets, L = some_targets(draw, N)
    start = 2 * draw.normal(N, L, 27)
    tools = HARNESS.beside(student)
    wrong, *_, uphill = tools.along_the_path(own_pieces(student), start, targets)
    assert not wrong, "find_path does not find paths (B, L) of whole numbers"
    assert uphill is not None, "no gradient reaches the energies from the loss that your own functions give"
    width = 18 + 4 * (L - 1)
    downhill(*tools.learned(student.train_ebm_model, start, targets, width, size, epochs, uphill))


# ---------------------------------------------------------------------------------------------- reading


@earns("strings")
def test_words_from_windows(student, draw):
    """Equal neighbours become one symbol, then BETWEEN is dropped."""
    given = [[0, 0, BETWEEN, 0, 25], [BETWEEN, BETWEEN], [BETWEEN, 0], [25, 0, 0]]
    for length in 1, draw.size(4, 8), draw.size(20, 30):
        few = [*draw.integers(0, 25, 2).tolist(), BETWEEN]
        given.append([few[k] for k in draw.integers(0, 2, length).tolist()])
    given.append(draw.integers(0, 26, 60).tolist())
    both = [
        [answer(student, "indices_to_str", indices) for indices in (symbols, torch.tensor(symbols))]
        for symbols in given
    ]
    for symbols, words in zip(given, both, strict=True):
        right, last = "", BETWEEN
        for symbol in symbols:
            right += ALPHABET[symbol] if symbol not in (last, BETWEEN) else ""
            last = symbol
        seen = "".join((ALPHABET + "_")[k] for k in symbols)
        for word in words:
            assert isinstance(word, str), f"indices_to_str should return a string; yours is {kind(word)}"
            assert word == right, f"{seen} is read as another word than it spells"


@earns("decode")
def test_clear_windows(student, draw):
    """If the favourites of all windows are clear and obey the rules, decode reads the word that they spell."""
    tools = HARNESS.beside(student)
    for training in False, True:
        n = draw.size(2, 5)
        letters = draw.integers(0, 25, n)
        letters[1] = letters[0]  # a double letter
        word = "".join(ALPHABET[k] for k in letters)
        symbols = spell(word).repeat_interleave(draw.integers(1, 3, 2 * n))
        energies = draw.uniform(len(symbols), 27) + 9 * (1 - functional.one_hot(symbols, 27)) - draw.size(0, 20)
        found = tools.decoded(student.decode, energies, training, False)
        found = written(found, word.__eq__, again(tools, student, energies))
        assert found == word, f"windows that clearly show {word!r} are read as another word"
        modes, left, shown, same = tools.reading(student.decode, energies, training)
        assert modes and not all(map(any, modes)), "the model should be called in evaluation mode"
        assert not any(map(any, modes)), "the model is called in evaluation mode, but not all of it: look at its layers"
        assert left == [training] * 2, "the model was left in another mode than it came in"
        assert shown, "the model should be shown the image as a batch, of shape (1, 1, 32, W)"
        assert same, "decode has changed the image that it was given"


@earns("decode", weight=2)
def test_best_of_all_words(student, draw):
    """If favourites break the rules, no word has a lower free energy than the one that decode reads."""
    letters = torch.randperm(26, generator=draw.generator)[:3]  # only these can be cheap
    for energies in *temptations(draw, letters), *close_calls(draw, letters), *contradictions(draw, letters):
        words = words_of(letters, len(energies) // 2)
        best_word(student, energies, min(cheapest(energies[:, spell(word)]) for word in words))


@earns("decode")
def test_best_of_all_letters(student, reference, draw):
    """decode finds the best word in wide images, among all letters, with large energies, and where words tie."""
    ties = [torch.zeros(L, 27) for L in (2, 5)] + [draw.integers(0, 1, L, 27).float() for L in (3, 6, 12)]
    for energies in 2 * draw.normal(40, 27), 2000 * draw.normal(15, 27), 5 + draw.uniform(9, 27), *ties:
        word = reference.decode(HARNESS.ours.Given(energies), torch.zeros(1, 32, 18 + 4 * (len(energies) - 1)))
        best_word(student, energies, free_energy(reference, energies, word))


def free_energy(reference, energies, word):
    return reference.find_path(energies[None, :, spell(word)].double())[0].item()


def best_word(student, energies, least):
    """Assert that decode reads a word whose free energy is the least one."""
    tools, L = HARNESS.beside(student), len(energies)

    def excess(word):
        return cheapest_of_many(energies[:, spell(word)]) - least

    def best(word):
        return is_word(word) and excess(word) <= enough

    enough = 1e-3 + 1e-5 * abs(least)
    word = written(tools.decoded(student.decode, energies, False, False), best, again(tools, student, energies))
    assert isinstance(word, str), f"decode should return a string; yours is {kind(word)}"
    assert is_word(word), f"{word!r} is not a word"
    assert 2 * len(word) <= L, f"{L} windows cannot show {word!r} with BETWEEN after every letter"
    assert excess(word) <= enough, "another word has a lower free energy"


def cheapest_of_many(pm):
    """The least energy of all allowed paths through a matrix (L, T), row by row."""
    T = pm.shape[1]
    best = [pm[0, 0].item()] + [INFINITE] * (T - 1)
    for row in pm[1:].tolist():
        best = [min(stay, move) + cost for stay, move, cost in zip(best, [INFINITE, *best], row, strict=False)]
    return best[-1]


def temptations(draw, letters):
    """Energies (6, 27) for which it would pay to start with BETWEEN, to end with a letter, to have two in a row."""
    (a, b, c), start, end, row = letters.tolist(), *(60 + draw.uniform(6, 27) for _ in range(3))
    for energies in start, end, row:
        energies[:, [a, b, c, BETWEEN]] = draw.uniform(6, 4)
    start[0, BETWEEN], start[0, [b, c]], start[1, b] = -50, 30, -10  # not _b____ but a_____
    start[2:, BETWEEN] -= 5
    end[:-1, c], end[-1, c] = 30, -50  # not a____c but a_____
    end[1:, BETWEEN] -= 5
    row[:2, a], row[2, b], row[3, c] = -10, -6, -10  # not aabc__ but aa_c__
    row[4:, BETWEEN] -= 5
    return start, end, row


def close_calls(draw, letters):
    """Energies (4, 27) for which a_b_ is a little better than aa__, or a little worse: nothing else may count."""
    a, b, _ = letters.tolist()
    for lead in 0.05, -0.05:
        energies = 60 + draw.uniform(4, 27)
        energies[:, BETWEEN] = 0
        energies[0, a], energies[1, a], energies[2, b] = 0, 0, -lead
        yield energies + draw.normal(4, 1)


def contradictions(draw, letters):
    """Energies (L, 27) of windows that contradict each other."""
    for L in 2, 3, 4, 5, 6, 6, 6, 6, 6:
        energies = 60 + draw.uniform(L, 27)
        energies[:, [*letters, BETWEEN]] = 2 * draw.normal(L, 4)
        yield energies


def is_word(word):
    return isinstance(word, str) and word != "" and set(word) <= set(ALPHABET)


def written(word, right, again):
    """What decode reads; if that is not right, what it would read if indices_to_str wrote down its symbols well."""
    if right(word):
        return word
    other = respelt(again())
    return other if right(other) else word


def again(tools, student, energies):
    return lambda: tools.decoded(student.decode, energies, False, True)


def respelt(answer):
    """The word for an answer in numbers; another answer as it is."""
    if not isinstance(answer, str) or not all(part.isdecimal() and int(part) <= BETWEEN for part in answer.split()):
        return answer
    runs = [int(symbol) for symbol, _ in itertools.groupby(answer.split())]
    return "".join(ALPHABET[symbol] for symbol in runs if symbol != BETWEEN)


def words_of(letters, longest):
    """Every word of these letters, up to a length."""
    letters = [ALPHABET[k] for k in letters]
    return ("".join(word) for n in range(1, longest + 1) for word in itertools.product(letters, repeat=n))


def words_by_heart(student, reference, draw):
    """Assert that a short word is learned in 60 steps, before a long run begins: without learning, it is none."""
    images, spelt = words(reference, draw, 2, 16, jitter=3, min_length=2)
    targets, tools = torch.stack([spell(word, 4) for word in spelt]), HARNESS.beside(student)
    told_apart(student, draw, targets[:2])
    net = tools.taught(student.train_ebm_model, student.SimpleNet(), images, targets, 16, 60, lr=0.01)
    known = right_words(tools, student, net, images, spelt, 4)
    assert known, "after 60 steps on 16 words of two letters none of them is read correctly"


def told_apart(student, draw, targets):
    """Ask the pieces of the training and the decoder, whatever they answer: mistakes differ here, and a diagnosis need
    not replay their training runs."""
    tools, energies = HARNESS.beside(student), 2 * draw.normal(2, 9, 27)
    with contextlib.suppress(StudentError):
        tools.along_the_path(own_pieces(student), energies, targets)
        tools.decoded(student.decode, energies[0], False, True)


def right_words(tools, student, net, images, spelt, enough):
    """How many images are read correctly; if these are not enough, with words spelt for the student, too."""
    most = 0
    for by_number in False, True:
        answers = tools.read(student.decode, net, images, by_number)
        answers = [respelt(answer) if by_number else answer for answer in answers]
        most = max(most, sum(answer == word for answer, word in zip(answers, spelt, strict=True)))
        if most >= enough:
            break
    return most


def words_share(once, student, trained, reference, draw, letter_epochs, word_epochs):
    """The share of 600 hidden words that are read after training on letters, then on words; see `warm`."""
    try:
        net, _ = warm(once, student, trained, reference, draw, letter_epochs)
    except (StudentError, AssertionError):
        net = trained.SimpleNet()  # then from the cold
    images, spelt = remembered(once, "words", lambda: words(reference, draw, 3, 4800, jitter=7, noise=True))
    targets = torch.stack([spell(word, 6) for word in spelt])
    sample = loader(images[:320], targets[:320], 32)
    allowance = ten_times(lambda: reference.train_ebm_model(reference.SimpleNet(), sample, 1), 320 / (3 * 4800))
    with trained.within(allowance):
        net = HARNESS.beside(trained).taught(trained.train_ebm_model, net, images, targets, 32, word_epochs)
    long = {"jitter": 7, "noise": True, "min_length": 2}
    images, spelt = remembered(once, "other words", lambda: words(reference, draw, 4, 600, **long))
    tools, fresh = HARNESS.beside(student), untrained(student, student.SimpleNet)
    share = right_words(tools, student, fresh, images[:20], spelt[:20], 10) / 20
    assert share < 0.5, "decode reads words with a model that has learned nothing: does it ask another one?"
    fresh = transplanted(trained, net, student, fresh, images[:2] / 255)
    return right_words(tools, student, fresh, images, spelt, 450) / len(spelt)


def words_right(once, student, trained, reference, draw):
    """The share of hidden words that are read. A third of the training is enough if it earns all points."""
    try:
        share = words_share(once, student, trained, reference, draw, 1, 1)
    except (StudentError, AssertionError):
        share = 0.0  # two epochs on letters and three on words are promised
    return share if share >= 0.75 else words_share(once, student, trained, reference, draw, 2, 3)


def hidden_words(once, student, shared_student, reference, draw):
    """The share of hidden words that are read, once a short run has shown that anything is learned."""
    if not earned(once, "words right", 0.75):
        words_by_heart(student, reference, draw)
    return remembered(once, "words right", lambda: words_right(once, student, shared_student, reference, draw))


@earns("words-learn", trains=True)
def test_many_words_are_read(student, shared_student, once, reference, draw):
    """After training, 40 % of hidden words of two to four letters are read correctly."""
    share = hidden_words(once, student, shared_student, reference, draw)
    assert share >= 0.4, f"{share:.1%} of the hidden words are read correctly; it should be 40 %"


@earns("words-learn", trains=True)
def test_most_words_are_read(student, shared_student, once, reference, draw):
    """After training, 75 % of hidden words of two to four letters are read correctly."""
    share = hidden_words(once, student, shared_student, reference, draw)
    assert share >= 0.75, f"{share:.1%} of the hidden words are read correctly; it should be 75 %"


# ---------------------------------------------------------------------------------------------- all paths at once


@earns("ctc-prediction")
def test_prediction_is_a_letter(student):
    """The prediction is one of the three letters; each of them earns the point."""
    value = student.ctc_prediction
    assert isinstance(value, str), "ctc_prediction should be a string"
    assert value in ("A", "B", "C"), "ctc_prediction should be one of the letters that the text offers"


def soft_minimum(pm, beta):
    """The free energies of path matrices (B, L, T) at β, by a sum over all allowed paths."""
    paths = torch.tensor(all_paths(*pm.shape[1:]))  # (paths, L)
    energies = pm[:, torch.arange(pm.shape[1]), paths].sum(2)  # (B, paths)
    return -torch.logsumexp(-beta * energies, 1) / beta


def soft_cases(draw):
    """Path matrices and β: usual ones, small and large β, as many windows as targets, a single target or window."""
    L, T = draw.size(7, 8), draw.size(3, 4)
    for beta in 0.3 + 0.4 * draw.uniform(1).item(), 1.0, float(draw.size(20, 40)):
        yield draw.normal(3, L, T), beta
    yield draw.normal(2, 4, 4), 1.5
    yield draw.normal(2, 5, 1), 2.0
    yield draw.normal(3, 1, 1), 2.0


@earns("soft-check")
def test_soft_free_energies(student, draw):
    """The free energy at β is the soft minimum over all allowed paths, also with large energies."""
    for scale, tolerance in (1.0, 1e-3), (1000.0, 0.1):
        for pm, beta in soft_cases(draw):
            pm = scale * pm
            free = tensor(answer(student, "soft_free_energy", pm, beta), "the list of free energies", (len(pm),))
            right = soft_minimum(pm.double(), beta)
            close(free, right, f"the list of free energies at β = {beta:.3g}", atol=tolerance, sizes=named_sizes(pm))


def named_sizes(pm):
    return dict(zip("BLT", pm.shape, strict=True))


@earns("soft-check")
def test_soft_gradients(student, draw):
    """Gradients reach the path matrices: they agree with those of the sum over all paths."""
    tools = HARNESS.beside(student)
    for pm, beta in soft_cases(draw):
        weights, leaf = 1 + draw.uniform(len(pm)), pm.double().requires_grad_()
        (soft_minimum(leaf, beta) * weights).sum().backward()
        _, gradient, changed = tools.softened(student.soft_free_energy, pm, beta, weights)
        assert not changed, "soft_free_energy has changed the matrices that it was given"
        assert gradient is not None, "the free energies have lost their graph: no gradient reaches the matrices"
        close(gradient, leaf.grad, "the gradient of the free energies", rtol=1e-3, atol=1e-4)


@earns("soft-check")
def test_soft_minimum_of_many_paths(student, reference, draw):
    """Wide images with long words get their free energies, too."""
    pm, beta = draw.normal(2, 40, draw.size(10, 14)), 0.5 + draw.uniform(1).item()
    free = tensor(answer(student, "soft_free_energy", pm, beta), "the list of free energies", (2,))
    close(free, reference.soft_free_energy(pm.double(), beta), "the list of free energies", atol=1e-2)


# ---------------------------------------------------------------------------------------------- without labels


def right_infonce(pos, neg, beta):
    """InfoNCE by its definition, with all energies beside the smallest one of their row."""
    everything = torch.cat([pos[:, None], neg], 1)
    return pos + torch.logsumexp(-beta * everything, 1) / beta


def pairs(draw):
    """Energies of right and of wrong pairs, β, and a name: few and many wrong pairs, a single one; thousands apart."""
    for B, K, beta in (draw.size(4, 6), draw.size(7, 9), 2.5), (4, 4, 0.4), (1, draw.size(3, 5), 1.0), (5, 1, 1.7):
        yield 2 * draw.normal(B).double(), 2 * draw.normal(B, K).double(), beta, f"{B} right pairs, {K} wrong ones each"
    yield 2000 * draw.normal(6).double(), 2000 * draw.normal(6, 3).double(), 1.0, "energies thousands apart"
    base = torch.tensor([4000.0, -4000.0]).double()
    yield base + draw.normal(2), base[:, None] + draw.normal(2, 3), 1.5, "energies near 4000 and −4000"


@earns("infonce")
def test_infonce(student, draw):
    """The losses are those of the right pairs among the samples, and their derivatives agree with autograd."""
    tools, cases = HARNESS.beside(student), list(pairs(draw))
    said = [tools.compared(student.infonce, pos, neg, beta) for pos, neg, beta, _ in cases]
    for (pos, neg, beta, case), (parts, changed) in zip(cases, said, strict=True):
        assert not changed, "infonce has changed the energies that it was given"
        assert isinstance(parts, tuple) and len(parts) == 3, "infonce should return a tuple of three"
        leaves = pos.clone().requires_grad_(), neg.clone().requires_grad_()
        losses = right_infonce(*leaves, beta)
        slopes = torch.autograd.grad(losses.sum(), leaves)
        sizes = {"B": len(pos), "K": neg.shape[1], "β": beta}
        kinds = ("the list of losses", "the derivatives by F_pos", "the derivatives by F_neg")
        for what, mine, right in zip(kinds, parts, (losses, *slopes), strict=True):
            found = tensor(mine, f"{what} for {case}", right.shape)
            close(found, right.detach(), f"{what} for {case}", rtol=1e-4, atol=1e-5 * scale_of(pos, neg), sizes=sizes)


def scale_of(*energies):
    return max(1.0, *(float(part.abs().max()) for part in energies))


def right_spread(z, gamma, eps):
    """The variance term by its definition."""
    terms = []
    for feature in z.T:
        variance = ((feature - feature.sum() / len(feature)) ** 2).sum() / (len(feature) - 1)
        terms.append(functional.relu(gamma - torch.sqrt(variance + eps)))
    return sum(terms) / len(terms)


def embeddings(draw):
    """Batches (B, d) of which some features spread widely and others do not, γ and ε: no kink is near."""
    size = draw.size(5, 8)
    for B, d, gamma, eps in (size, 4, 1.0, 1e-4), (4, 4, 2.5, 1.0), (2, 3, 0.5, 0.01), (size + 1, 1, 1.0, 0.1):
        z = draw.normal(B, d).double()
        z = (z - z.mean(0)) / z.std(0)
        yield z * gamma * torch.tensor([0.5, 3.0, 0.1, 0.8])[:d].double() + draw.normal(d), gamma, eps


@earns("variance")
def test_variance_term(student, draw):
    """Each feature adds what its standard deviation lacks, and gradients reach the embeddings."""
    tools = HARNESS.beside(student)
    said = []
    for z, gamma, eps in embeddings(draw):
        said.append((z.float(), gamma, eps, tools.spread(student.variance_term, z.float(), gamma, eps, 3.0)))
    for z, gamma, eps, (value, gradient, changed) in said:
        assert not changed, "variance_term has changed the embeddings that it was given"
        leaf, sizes = z.double().requires_grad_(), {"B": len(z), "d": z.shape[1]}
        right = right_spread(leaf, gamma, eps)
        (3 * right).backward()
        case = f"for {len(z)} embeddings of {z.shape[1]} features, γ = {gamma} and ε = {eps}"
        assert isinstance(value, torch.Tensor) and value.numel() == 1, (
            "variance_term should return a tensor of one number"
        )
        close(value.flatten()[0].item(), right.item(), f"the variance term {case}", rtol=1e-3, atol=1e-4, sizes=sizes)
        assert gradient is not None, "the variance term has lost its graph: no gradient reaches the embeddings"
        close(gradient, leaf.grad, f"its gradient {case}", rtol=1e-3, atol=1e-4, sizes=sizes)


@earns("variance")
def test_variance_term_of_a_point(student, draw):
    """If all embeddings are equal, the term is γ − √ε, and its gradient is finite."""
    tools, z = HARNESS.beside(student), draw.normal(1, 3).expand(5, 3).clone()
    value, gradient, _ = tools.spread(student.variance_term, z, 2.0, 0.25, 1.0)
    assert isinstance(value, torch.Tensor) and value.numel() == 1, "variance_term should return a tensor of one number"
    close(value.flatten()[0].item(), 1.5, "the variance term of equal embeddings", atol=1e-4)
    assert gradient is not None, "the variance term has lost its graph: no gradient reaches the embeddings"
    assert gradient.isfinite().all(), "if all embeddings are equal, the gradient is not finite"
    own = tools.defaults(student.variance_term, z)
    assert isinstance(own, torch.Tensor) and own.numel() == 1, "variance_term should return a tensor of one number"
    close(own.flatten()[0].item(), 0.99, "the variance term of equal embeddings, without γ and ε", atol=1e-3)
