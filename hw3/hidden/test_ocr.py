"""Hidden tests of hw3/ocr: the sliding network, matrices, paths, the training loop, reading, one training run."""

import itertools

import pytest
import torch
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from autograder import Harness, StudentError, close, earns, ten_times

HARNESS = Harness(__file__)
ALPHABET, BETWEEN, INFINITE = "abcdefghijklmnopqrstuvwxyz", 26, 2.0**30


def tensor(value, name, shape):
    """`value`, once it is asserted to be a tensor of this shape."""
    assert isinstance(value, torch.Tensor), f"{name} should be a tensor"
    found = tuple(value.shape)
    assert found == tuple(shape), f"{name} has shape {found}; it should have {tuple(shape)}"
    return value.detach()


def spell(word, length):
    """The targets of a word, filled up with BETWEEN to a length."""
    symbols = [symbol for letter in word for symbol in (ALPHABET.index(letter), BETWEEN)]
    return torch.tensor(symbols + [BETWEEN] * (length - len(symbols)))


def stays_short(tools, function, small, large, name, but=None):
    """Assert that a function executes about as many lines for large arguments as for small ones."""
    few, many = tools.lines(function, small, but), tools.lines(function, large, but)
    grown = f"{name} executes {few} lines for a small batch and {many} for a large one: there is a loop too many"
    assert many < few + 12, grown  # a loop over images alone makes 28 more


# ---------------------------------------------------------------------------------------------- the network


@earns("net-shapes")
def test_shapes_of_the_energies(student, draw):
    """Images of any width from 18 to 180 get 27 energies for each of their windows."""
    tools = HARNESS.beside(student)
    net = student.SimpleNet()
    for width in 18, 21, 22, 180, *draw.integers(23, 179, 6).tolist():
        B, L = draw.size(1, 4), (width - 18) // 4 + 1
        energies = tools.energies(net, draw.uniform(B, 1, 32, width))
        energies = tensor(energies, f"width {width}: the result", (B, L, 27))
        assert energies.isfinite().all(), "some energies are infinite or not a number"
    size = tools.parameters(net)
    assert size <= 100_000, f"{size:,} parameters are too many: at most 100,000"


@earns("net-window", weight=2)
def test_windows_alone(student, draw):
    """A wide image gets the energies that each of its windows gets alone, whatever else is in the batch."""
    tools = HARNESS.beside(student)
    net = tools.settled(student.SimpleNet())
    for width in draw.size(23, 60), draw.size(61, 120):
        images = draw.uniform(3, 1, 32, width)
        whole, alone = tools.windows(net, images[:1])
        close(alone, tensor(whole, "the result", alone.shape), "the energies of windows cut out", rtol=1e-3, atol=1e-4)
        together = tools.energies(net, images)[:1]
        close(whole, together[0], "the energies of an image without its batch", rtol=1e-3, atol=1e-4)


@earns("net-window")
def test_what_a_window_sees(student, draw):
    """A window sees all of its 18 columns and no other one."""
    tools, L = HARNESS.beside(student), draw.size(6, 12)
    net = tools.settled(student.SimpleNet())
    for window in 0, draw.size(2, L - 2), L - 1:
        columns = tools.seen(net, draw.uniform(4, 1, 32, 18 + 4 * (L - 1)), window).nonzero().flatten().tolist()
        right = list(range(4 * window, 4 * window + 18))
        span = f"columns {columns[0]} to {columns[-1]}" if columns else "nothing"
        assert columns == right, f"window {window} should see columns {right[0]} to {right[-1]}; yours sees {span}"


# ---------------------------------------------------------------------------------------------- single letters


@earns("letters-loop")
def test_loop_over_letters(student, draw):
    """Each loss is the cross-entropy of the energies' softargmax, in training mode, and every step is its own."""
    tools, size, epochs = HARNESS.beside(student), draw.size(4, 6), draw.size(2, 3)
    labels, start = draw.integers(0, 25, 3 * size), 2 * draw.normal(3 * size, 1, 27)
    table = tools.Table(start)
    losses, modes, rows, said, fresh, stale = tools.watched(student.train_letters, table, labels, 18, size, epochs)
    steps = 3 * epochs
    assert len(said) == steps, f"{epochs} epochs of 3 batches asked the model {len(said)} times, not {steps} times"
    assert all(modes), "the model was not in training mode"
    assert len(losses) == steps, f"{len(losses)} losses come back, there should be one for each of {steps} steps"
    assert all(isinstance(loss, float) for loss in losses), "the losses should be plain numbers"
    right = [functional.cross_entropy(-e[:, 0], labels[r]) for e, r in zip(said, rows, strict=True)]
    close(torch.tensor(losses), torch.stack(right), "the list of losses", atol=1e-5)
    assert len(fresh) == steps and not stale, "a step does not follow the gradient of its own loss alone"
    rows = torch.arange(len(labels))
    assert (table.energies[rows, 0, labels] < start[rows, 0, labels]).all(), "a right letter's energy has not fallen"


@pytest.fixture(scope="module")
def once():
    """Room for what the training runs have shown, which several tests look at."""
    return {}


def remembered(once, name, find):
    """What `find()` returns or raises, found out only once."""
    if name not in once:
        try:
            once[name] = find()
        except (StudentError, AssertionError) as error:
            once[name] = error
    if isinstance(once[name], Exception):
        raise once[name]
    return once[name]


def words(reference, draw, *arguments, **more):
    """Images, as bytes (N, 1, 32, W), and words of a SimpleWordsDataset that nobody can guess."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(draw.size(0, 2**31))
        data = reference.SimpleWordsDataset(*arguments, **more)
    return as_bytes(data.images), data.words


def as_bytes(images):
    return (255 * images).round().to(torch.uint8)


def loader(images, labels, size):
    """Batches for the reference, of the images that a student's process gets as bytes."""
    return DataLoader(TensorDataset(images / 255, labels), batch_size=size)


def letters_by_heart(student, reference, draw):
    """Assert that the 26 letters of one font are learned by heart: whoever cannot do that need not run for long."""
    images, labels = reference.LETTERS[draw.size(0, len(reference.LETTERS) - 1), :, None], torch.arange(26)
    tools = HARNESS.beside(student)
    net = tools.taught(student.train_letters, student.SimpleNet(), as_bytes(images), labels, 13, 30)
    energies = tensor(tools.answers(net, as_bytes(images)), "the result", (26, 1, 27))
    known = int((energies[:, 0].argmin(1) == labels).sum())
    assert known >= 13, f"after 60 steps on the 26 letters of one font your network knows {known} of them"


def warm(once, student, reference, draw):
    """A SimpleNet that `train_letters` has taught 4,800 letters, and the share of 1,000 others that it reads."""

    def train():
        tools, (images, letters) = HARNESS.beside(student), words(reference, draw, 1, 4800, noise=True)
        labels = torch.tensor([ALPHABET.index(letter) for letter in letters])
        sample = loader(images[:640], labels[:640], 64)
        allowance = ten_times(lambda: reference.train_letters(reference.SimpleNet(), sample, 1), 640 / (2 * 4800))
        with student.within(allowance):
            net = tools.taught(student.train_letters, student.SimpleNet(), images, labels, 64, 2)
        images, letters = words(reference, draw, 1, 1000, noise=True)
        guesses = tensor(tools.answers(net, images), "the result", (1000, 1, 27))[:, 0, :26].argmin(1).tolist()
        return net, sum(ALPHABET[k] == letter for k, letter in zip(guesses, letters, strict=True)) / 1000

    return remembered(once, "letters", train)


@earns("letters-learn", trains=True)
def test_many_letters_are_read(student, shared_student, once, reference, draw):
    """After two epochs 90 % of other letters are read correctly."""
    letters_by_heart(student, reference, draw)
    _, share = warm(once, shared_student, reference, draw)
    assert share >= 0.9, f"your network reads {share:.1%} of the hidden letters, it should be 90 %"


@earns("letters-learn", trains=True)
def test_nearly_all_letters_are_read(student, shared_student, once, reference, draw):
    """After two epochs 98 % of other letters are read correctly."""
    letters_by_heart(student, reference, draw)
    _, share = warm(once, shared_student, reference, draw)
    assert share >= 0.98, f"your network reads {share:.1%} of the hidden letters, it should be 98 %"


# ---------------------------------------------------------------------------------------------- matrices


@earns("transform")
def test_spelling(student, draw):
    """Every letter is followed by BETWEEN, double letters too."""
    for letters in draw.integers(0, 25, 1), draw.integers(0, 25, 7), draw.integers(0, 25, 1).repeat(3):
        word = "".join(ALPHABET[k] for k in letters)
        targets = tensor(student.transform_word(word), f"transform_word({word!r})", (2 * len(word),))
        assert targets.dtype == torch.int64, f"the targets are {targets.dtype}, they should be int64"
        assert torch.equal(targets, spell(word, 0)), f"transform_word({word!r}) is misspelt"


def batch(draw):
    """Energies (B, L, 27) and targets (B, T), with symbols that come back."""
    B, L, T = draw.size(2, 4), draw.size(8, 11), 2 * draw.size(2, 3)
    targets = draw.integers(0, 25, B, T)
    targets[:, 1::2] = BETWEEN
    return 3 * draw.normal(B, L, 27), targets


@earns("path-matrix", weight=2)
def test_path_matrix(student, draw):
    """P[b, l, t] is the energy of target t in window l."""
    energies, targets = batch(draw)
    shape = *energies.shape[:2], targets.shape[1]
    P = tensor(student.build_path_matrix(energies, targets), "the path matrix", shape)
    right = torch.empty_like(P)
    for b, i, t in itertools.product(*map(range, P.shape)):
        right[b, i, t] = energies[b, i, targets[b, t]]
    close(P, right, "the path matrix")


@earns("ce-matrix", weight=3)
def test_ce_matrix(student, draw):
    """C[b, l, t] is the cross-entropy of target t in window l, with its gradient, and with large energies, too."""
    tools = HARNESS.beside(student)
    for scale in 1.0, 300.0:
        energies, targets = batch(draw)
        energies = scale * energies
        weights = draw.uniform(*energies.shape[:2], targets.shape[1])
        C, gradient = tools.slope(student.build_ce_matrix, energies, targets, weights)
        C, right = tensor(C, "the matrix", weights.shape), torch.empty_like(weights)
        leaf = energies.clone().requires_grad_()
        surprise = leaf + torch.logsumexp(-leaf, 2, keepdim=True)  # (B, L, 27)
        for b, t in itertools.product(range(len(targets)), range(targets.shape[1])):
            right[b, :, t] = surprise[b, :, targets[b, t]]
        name = "the matrix of cross-entropies" if scale == 1 else "the matrix of cross-entropies of large energies"
        close(C, right, name, atol=1e-4 * scale)
        (right * weights).sum().backward()
        assert gradient is not None, "the matrix has lost its graph: nobody can learn from it"
        close(gradient, leaf.grad, "the gradient with respect to energies", rtol=1e-3, atol=1e-4)


@earns("path-matrix")
def test_path_matrix_without_loops(student, draw):
    """The number of lines does not grow with the batch, the image or the word."""
    small = draw.normal(2, 5, 27), draw.integers(0, 26, 2, 4)
    large = draw.normal(30, 30, 27), draw.integers(0, 26, 30, 12)
    stays_short(HARNESS.beside(student), student.build_path_matrix, small, large, "build_path_matrix")


@earns("ce-matrix")
def test_ce_matrix_without_loops(student, draw):
    """The number of lines does not grow with the batch, the image or the word."""
    small = draw.normal(2, 5, 27), draw.integers(0, 26, 2, 4)
    large = draw.normal(30, 30, 27), draw.integers(0, 26, 30, 12)
    lookup = student.run("globals().get('build_path_matrix')")  # its own test counts its lines
    stays_short(HARNESS.beside(student), student.build_ce_matrix, small, large, "build_ce_matrix", but=lookup)


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


def number(value, name):
    """A plain number, or a tensor or an array that holds exactly one."""
    plain = isinstance(value, int | float) or all(side == 1 for side in getattr(value, "shape", (0,)))
    assert plain, f"{name} should be one number"
    return float(value)


@earns("path-energy")
def test_energy_of_a_path(student, draw):
    """The energy of an allowed path, as a list or as a tensor, is the sum of what it steps on."""
    for T in 2, draw.size(3, 5), draw.size(6, 8):
        L = T + draw.size(0, 5)
        pm, z = draw.normal(L, T), some_path(draw, L, T)
        right = sum(pm[i, j].item() for i, j in enumerate(z))
        for path in z, torch.tensor(z):
            energy = number(student.path_energy(pm, path), "the energy of a path")
            close(energy, right, "the energy of an allowed path", atol=1e-5)


@earns("path-energy")
def test_forbidden_paths(student, draw):
    """A path that starts late, ends early, skips, goes back or has a wrong length costs 2³⁰."""
    T = draw.size(4, 6)
    L = T + draw.size(3, 5)
    pm, z = draw.normal(L, T), torch.tensor(some_path(draw, L, T))
    skipping = torch.tensor(some_path(draw, L, T - 1))
    skipping[skipping >= draw.size(1, T - 2)] += 1
    back = some_path(draw, L - 2, T)
    place = next(i for i, j in enumerate(back) if j == 2)
    back[place:place] = [2, 1]
    forbidden = {
        "starts at 1": z.clamp(min=1),
        "starts at -1": torch.cat([torch.tensor([-1]), torch.tensor(some_path(draw, L - 1, T))]),
        "ends at T - 2": z.clamp(max=T - 2),
        "skips a target": skipping,
        "goes back by one": torch.tensor(back),
        "has an entry too few": torch.tensor(some_path(draw, L - 1, T)),
        "has an entry too many": torch.tensor(some_path(draw, L + 1, T)),
    }
    for reason, path in forbidden.items():
        energy = number(student.path_energy(pm, path.tolist()), "the energy of a forbidden path")
        assert energy == INFINITE, f"a path that {reason} is forbidden: its energy is 2³⁰"


def matrices(draw):
    """Path matrices (B, L, T), each with a name that says which forbidden shortcut would pay."""
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
    }


def cheapest(pm):
    """The least energy of all allowed paths through a matrix (L, T), by trying them all."""
    L, T = pm.shape
    rows, values = range(L), pm.tolist()
    return min((sum(values[i][z[i]] for i in rows) for z in all_paths(L, T)), default=INFINITE)


def found(tools, student, pm, name):
    """What find_path answers, once it is asserted to be a tuple of three tensors of the right shapes."""
    (answer, same), (B, L, T) = tools.untouched(student.find_path, pm), pm.shape
    assert isinstance(answer, tuple | list) and len(answer) == 3, "find_path should return (free energies, paths, dp)"
    shapes = {"the free energies": (B,), "the paths": (B, L), "dp": (B, L, T)}
    free, path, dp = (tensor(value, part, shapes[part]) for part, value in zip(shapes, answer, strict=True))
    assert same, f"{name}: find_path has changed the matrix that it was given"
    return free, path, dp


@earns("find-path-energy", weight=2)
def test_free_energies(student, draw):
    """The free energy is the least energy of all allowed paths, wherever forbidden ones would be cheaper."""
    tools = HARNESS.beside(student)
    for name, pm in matrices(draw).items():
        free, _, _ = found(tools, student, pm, name)
        close(free, torch.tensor([cheapest(matrix) for matrix in pm]), f"{name}: the free energies", atol=1e-4)


@earns("find-path-energy")
def test_dp(student, draw):
    """dp[i, j] is the least energy from (0, 0) to (i, j), and infinite where no path leads."""
    tools = HARNESS.beside(student)
    pm = draw.normal(2, draw.size(5, 6), draw.size(3, 4))
    _, _, dp = found(tools, student, pm, "random energies")
    for b, i, j in itertools.product(*map(range, pm.shape)):
        if j > i:
            assert dp[b, i, j] >= INFINITE / 2, f"dp[:, {i}, {j}] should be infinite: no path leads there"
        else:
            close(dp[b, i, j].item(), cheapest(pm[b, : i + 1, : j + 1]), f"dp[:, {i}, {j}]", atol=1e-4)


@earns("find-path-energy")
def test_more_targets_than_windows(student, draw):
    """Where no path exists the free energy is infinite, and nothing breaks."""
    tools = HARNESS.beside(student)
    for L, T in (1, 2), (draw.size(2, 4), draw.size(5, 8)):
        free, _, _ = found(tools, student, draw.normal(3, L, T), f"{L} windows and {T} targets")
        assert (free >= INFINITE / 2).all(), f"{L} windows cannot show {T} targets: the free energy is infinite"


@earns("find-path-path", weight=3)
def test_paths(student, draw):
    """The path is allowed, and its energy is the least one."""
    tools = HARNESS.beside(student)
    for name, pm in matrices(draw).items():
        _, path, _ = found(tools, student, pm, name)
        for matrix, z in zip(pm, path.tolist(), strict=True):
            assert z in all_paths(*matrix.shape), f"{name}: the path is forbidden"
            energy = sum(matrix[i, j].item() for i, j in enumerate(z))
            close(energy, cheapest(matrix), f"{name}: the energy of the path", atol=1e-4)


@earns("find-path-path")
def test_paths_that_tie(student, draw):
    """Where several paths are equally cheap, one of them comes back."""
    tools = HARNESS.beside(student)
    for pm in torch.zeros(2, 6, 3), draw.integers(0, 1, 12, 6, 4).float(), torch.zeros(2, 4, 4):
        _, path, _ = found(tools, student, pm, "energies with ties")
        for matrix, z in zip(pm, path.tolist(), strict=True):
            assert z in all_paths(*matrix.shape), "where paths tie, the path is forbidden"
            energy = sum(matrix[i, j].item() for i, j in enumerate(z))
            assert energy == cheapest(matrix), "where paths tie, the path is not the cheapest"


@earns("find-path-batch")
def test_matrices_of_a_batch(student, draw):
    """Each matrix of a batch gets its own free energy and its own path, whatever its neighbours."""
    tools = HARNESS.beside(student)
    pm = 3 * draw.normal(draw.size(9, 12), draw.size(8, 10), draw.size(4, 5))
    free, path, _ = found(tools, student, pm, "a batch")
    assert len({tuple(z) for z in path.tolist()}) > 1, "all matrices of a batch get the same path"
    turned_free, turned_path, _ = found(tools, student, pm.flip(0), "a batch turned round")
    close(turned_free.flip(0), free, "the free energies of a batch turned round", atol=1e-4)
    assert torch.equal(turned_path.flip(0), path), "a matrix's path depends on its place in the batch"
    few_free, few_path, _ = found(tools, student, pm[1:3], "a batch of two")
    close(few_free, free[1:3], "the free energies of two matrices without the others", atol=1e-4)
    assert torch.equal(few_path, path[1:3]), "a matrix's path depends on the rest of its batch"


@earns("find-path-batch")
def test_loop_over_windows_only(student, draw):
    """The number of lines does not grow with the batch or the word."""
    L = draw.size(14, 16)
    small, large = (draw.normal(2, L, 4),), (draw.normal(40, L, 12),)
    stays_short(HARNESS.beside(student), student.find_path, small, large, "find_path")


# ---------------------------------------------------------------------------------------------- training


@earns("path-ce")
def test_cross_entropy_along_a_path(student, draw):
    """Along each path the entries of its matrix are summed, and each of them gets its gradient."""
    B, L, T = draw.size(3, 5), draw.size(7, 9), draw.size(3, 6)
    ce, path = draw.uniform(B, L, T, high=5), torch.tensor([some_path(draw, L, T) for _ in range(B)])
    weights = draw.uniform(B)
    sums, gradient = HARNESS.beside(student).slope(student.path_cross_entropy, ce, path, weights)
    right = torch.stack([sum(ce[b, i, path[b, i]] for i in range(L)) for b in range(B)])
    close(sums, right, "the sums along the paths")
    assert gradient is not None, "the sums have lost their graph: nobody can learn from them"
    close(gradient, functional.one_hot(path, T) * weights[:, None, None], "the gradient")


def watched_run(student, draw):
    """A training run of a Table: what it returns and notes, what each step should have said, and if anything moved."""
    tools, size, epochs, L = HARNESS.beside(student), draw.size(3, 5), draw.size(2, 3), draw.size(9, 11)
    spelt = ["".join(ALPHABET[k] for k in draw.integers(0, 25, draw.size(1, 3))) for _ in range(3 * size)]
    targets, start = torch.stack([spell(word, 6) for word in spelt]), 2 * draw.normal(3 * size, L, 27)
    table, width = tools.Table(start), 18 + 4 * (L - 1)
    result, *notes = tools.watched(student.train_ebm_model, table, targets, width, size, epochs)
    assert isinstance(result, tuple | list) and len(result) == 2, "two lists should come back: losses and free energies"
    _, rows, said, _, _ = notes
    assert len(said) == 3 * epochs, f"{epochs} epochs of 3 batches asked the model {len(said)} times"
    pieces = (student.build_path_matrix, student.build_ce_matrix, student.find_path, student.path_cross_entropy)
    right = [tools.along_the_path(pieces, e, targets[r]) for e, r in zip(said, rows, strict=True)]
    return result, notes, right, not torch.equal(table.energies, start)


@earns("train")
def test_history_of_training(student, draw):
    """One loss and one mean free energy for each step, those that your own functions give for the step's energies."""
    (losses, free), _, right, _ = watched_run(student, draw)
    assert len(losses) == len(free) == len(right), f"both lists should have one number for each of {len(right)} steps"
    assert all(isinstance(value, float) for value in (*losses, *free)), "both lists should hold plain numbers"
    expected_losses, expected_free, _ = zip(*right, strict=True)
    close(torch.tensor(losses), torch.stack(expected_losses), "the list of losses", atol=1e-5)
    close(torch.tensor(free), torch.stack(expected_free), "the list of mean free energies", atol=1e-4)


@earns("train")
def test_steps_of_training(student, draw):
    """Each step follows the gradient of its own loss, in training mode."""
    _, (modes, rows, _, fresh, stale), right, moved = watched_run(student, draw)
    assert all(modes), "the model was not in training mode"
    assert len(fresh) == len(right), f"there were {len(fresh)} backward passes in {len(right)} steps"
    assert not stale, "a gradient has something left over from the step before"
    for batch_rows, gradient, (_, _, expected) in zip(rows, fresh, right, strict=True):
        close(gradient[batch_rows], expected, "the gradient of a step's loss", rtol=1e-3, atol=1e-6)
    assert moved, "the parameters are what they were before"


# ---------------------------------------------------------------------------------------------- reading


@earns("strings")
def test_words_from_windows(student, draw):
    """Runs of equal symbols count once, and then BETWEEN is dropped."""
    for length in 1, draw.size(4, 8), draw.size(20, 30):
        few = [*draw.integers(0, 25, 2).tolist(), BETWEEN]
        symbols = [few[k] for k in draw.integers(0, 2, length).tolist()]
        right, last = "", BETWEEN
        for symbol in symbols:
            right += ALPHABET[symbol] if symbol not in (last, BETWEEN) else ""
            last = symbol
        for indices in symbols, torch.tensor(symbols):
            word = student.indices_to_str(indices)
            seen = "".join((ALPHABET + "_")[k] for k in symbols)
            assert isinstance(word, str), "indices_to_str should return a string"
            assert word == right, f"{seen} is read as {word!r}"


@earns("decode")
def test_clear_windows(student, draw):
    """Where each window's favourite is clear and allowed, the word is what the favourites say."""
    tools = HARNESS.beside(student)
    for training in False, True:
        n = draw.size(2, 5)
        letters = draw.integers(0, 25, n)
        letters[1] = letters[0]  # a double letter
        word = "".join(ALPHABET[k] for k in letters)
        symbols = spell(word, 0).repeat_interleave(draw.integers(1, 3, 2 * n))
        energies = draw.uniform(len(symbols), 27) + 9 * (1 - functional.one_hot(symbols, 27)) - draw.size(0, 20)
        answer, modes, left = tools.decoded(student.decode, energies, training, False)
        answer = written(answer, word.__eq__, again(tools, student, energies))
        assert answer == word, f"windows that clearly show {word!r} are read as {answer!r}"
        assert modes and not any(modes), "the model should be asked in evaluation mode"
        assert left == training, "the model was left in another mode than it came in"


@earns("decode", weight=3)
def test_best_of_all_words(student, draw):
    """No word has a lower free energy than the one that is read, where windows contradict each other."""
    tools = HARNESS.beside(student)
    letters = torch.randperm(26, generator=draw.generator)[:3]  # only these can be cheap
    cases = [*temptations(draw, letters), *contradictions(draw, letters)]
    said = [tools.decoded(student.decode, energies, False, False)[0] for energies in cases]
    for energies, word in zip(cases, said, strict=True):
        L = len(energies)
        least = min(cheapest(energies[:, spell(other, 0)]) for other in words_of(letters, L // 2))

        def excess(word, energies=energies, least=least):
            return cheapest(energies[:, spell(word, 0)]) - least

        def best(word, excess=excess):
            return is_word(word) and excess(word) <= 1e-3

        word = written(word, best, again(tools, student, energies))
        assert is_word(word), f"{word!r} is not a word"
        assert 2 * len(word) <= L, f"{L} windows cannot show {word!r} with BETWEEN after every letter"
        assert excess(word) <= 1e-3, f"another word's free energy is lower by {excess(word):.3g}"


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


def contradictions(draw, letters):
    """Energies (L, 27) for windows that say now this, now that."""
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
    return lambda: tools.decoded(student.decode, energies, False, True)[0]


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
    """Assert that a few short words are learned by heart: whoever cannot do that need not run for long."""
    images, spelt = words(reference, draw, 2, 16, jitter=3, min_length=2)
    targets, tools = torch.stack([spell(word, 4) for word in spelt]), HARNESS.beside(student)
    net = tools.taught(student.train_ebm_model, student.SimpleNet(), images, targets, 16, 60, lr=0.01)
    known = right_words(tools, student, net, images, spelt, 4)
    assert known >= 4, f"after 60 steps on 16 words of two letters {known} of them are read correctly"


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


def words_right(once, student, reference, draw):
    """The share of 600 hidden words that are read after the whole training."""

    def train():
        tools = HARNESS.beside(student)
        try:
            net, _ = warm(once, student, reference, draw)
        except (StudentError, AssertionError):
            net = student.SimpleNet()  # then from the cold
        images, spelt = words(reference, draw, 3, 4800, jitter=7, noise=True)
        targets = torch.stack([spell(word, 6) for word in spelt])
        sample = loader(images[:320], targets[:320], 32)
        allowance = ten_times(lambda: reference.train_ebm_model(reference.SimpleNet(), sample, 1), 320 / (3 * 4800))
        with student.within(allowance):
            net = tools.taught(student.train_ebm_model, net, images, targets, 32, 3)
        images, spelt = words(reference, draw, 4, 600, jitter=7, noise=True, min_length=2)
        return right_words(tools, student, net, images, spelt, 450) / len(spelt)

    return remembered(once, "words", train)


@earns("words-learn", trains=True)
def test_many_words_are_read(student, shared_student, once, reference, draw):
    """After training 40 % of hidden words of two to four letters are read correctly."""
    words_by_heart(student, reference, draw)
    share = words_right(once, shared_student, reference, draw)
    assert share >= 0.4, f"{share:.1%} of the hidden words are read correctly, it should be 40 %"


@earns("words-learn", trains=True)
def test_most_words_are_read(student, shared_student, once, reference, draw):
    """After training 75 % of hidden words of two to four letters are read correctly."""
    words_by_heart(student, reference, draw)
    share = words_right(once, shared_student, reference, draw)
    assert share >= 0.75, f"{share:.1%} of the hidden words are read correctly, it should be 75 %"
