"""Hidden tests of hw1/sgd: gradients of the input, the ascent and its manners, dreams on a network nobody has seen."""

import torch
from torch.nn import functional

from autograder import Harness, close, earns

HARNESS = Harness(__file__)
CLASSES, SIZE = 5, 20


def smooth(images, times):
    for _ in range(times):
        for axis in (-2, -1):
            images = images / 2 + (images.roll(1, axis) + images.roll(-1, axis)) / 4
    return images


def snow(draw, *shape):
    """An image as the notebook's ascents start from."""
    return (draw.normal(*shape) * 8 + 128) / 255


def unseen(reference, draw, gain=12.0):
    """Filters and head of a classifier of five blotches, which are drawn; the head is fitted in closed form."""
    filters = smooth(draw.normal(12, 1, 5, 5), 1)
    filters = filters / filters.flatten(1).norm(dim=1)[:, None, None, None]
    blotches = smooth(draw.normal(CLASSES, 1, SIZE, SIZE), 4)
    blotches = smooth((blotches > 0.5 * blotches.std()).float(), 1)
    each = 40
    images = blotches.repeat_interleave(each, 0) * draw.uniform(CLASSES * each, 1, 1, 1)
    labels = torch.arange(CLASSES).repeat_interleave(each)
    rolls = draw.integers(-1, 1, len(images), 2).tolist()
    images = torch.stack([image.roll(roll, (-2, -1)) for image, roll in zip(images, rolls, strict=True)])
    z = (images + 0.2 * draw.normal(*images.shape) - reference.MEAN) / reference.STD
    features = HARNESS.ours.Unseen(filters, torch.zeros(1, CLASSES)).features(z).detach()
    features = torch.cat([features, torch.ones(len(features), 1)], 1)
    targets = gain * (functional.one_hot(labels, CLASSES) - 1 / CLASSES)
    # ridge regression: the penalty keeps the gradients as smooth as those of the notebook's digit classifier
    head = torch.linalg.solve(features.T @ features + 10 * torch.eye(features.shape[1]), features.T @ targets)
    return filters, head


def reachable(reference, network, image):
    """The two labels that a plain climb from an image comes to most clearly, by our own copy of a network.

    Where every pixel is black or white a few networks see another label than the one whose score was climbed: it would
    be bad luck to be asked for that one, for such a dream is no worse than others.
    """
    model, leads = HARNESS.ours.Unseen(*network), []
    for label in range(CLASSES):
        x = image
        for _ in range(64):
            z = (x - reference.MEAN) / reference.STD
            x = (x + 0.2 / reference.STD * reference.input_gradient(z, model, HARNESS.ours.logit(label))).clamp(0, 1)
        with torch.no_grad():
            scores = model((x - reference.MEAN) / reference.STD)[0]
        leads.append(scores[label] - scores[torch.arange(CLASSES) != label].max())
    return torch.stack(leads).topk(2).indices.tolist()


def probability(reference, network, image, label):
    """What our own copy of a network says to an image."""
    with torch.no_grad():
        return HARNESS.ours.Unseen(*network)((image - reference.MEAN) / reference.STD).softmax(1)[0, label].item()


def picture(result, image, name):
    """The result, once it is asserted to be a finite tensor in the shape of the image."""
    assert result is not None, f"{name} returned None: is a return statement missing?"
    assert isinstance(result, torch.Tensor), f"{name} should return a tensor, not a {type(result).__name__}"
    shape = f"{name} returned shape {tuple(result.shape)}; it should be that of the image, {tuple(image.shape)}"
    assert result.shape == image.shape, shape
    assert result.isfinite().all(), f"{name} returned values that are infinite or not a number"
    return result.detach()


def fragile(tools, draw):
    shapes = [(3, 1, 3, 3), (3,), (3,), (3,), (4, 3), (4,)]
    return tools.Fragile([draw.normal(*shape) for shape in shapes], draw.choice([True, False]))


def no_traces(result, before, after):
    """Assert that a call has left network and image as they were, and that no graph hangs on what it returned."""
    picture(result, before["image"], "your function")
    assert not result.requires_grad, "what is returned still requires a gradient: it hangs on a graph"
    assert torch.equal(before["image"], after["image"]), "the caller's image was changed in place"
    assert not after["image in a graph"], "the caller's image now requires a gradient, or holds one: work on a copy"
    for name, value in before["values"].items():
        assert torch.equal(value, after["values"][name]), f"{name} of the network has changed"
        assert after["requires_grad"].get(name) == before["requires_grad"].get(name), (
            f"requires_grad of {name} was switched for good"
        )
    for name, grad in before["grads"].items():
        left = after["grads"][name]
        same = left is None if grad is None else left is not None and torch.equal(left, grad)
        assert same, f"the .grad of {name} is not what it was: an optimiser may be collecting there"


# ---------------------------------------------------------------------------------------------- gradient of the input


@earns("input-gradient", weight=2)
def test_gradient_of_the_input(student, reference, draw):
    """The gradient agrees with autograd, for a network and a loss that were drawn, again and again."""
    tools, network, w = HARNESS.beside(student), unseen(reference, draw), draw.normal(1, CLASSES)
    model, loss = tools.Unseen(*network), tools.weighted(w)
    for call in "first", "second":
        image = draw.normal(1, 1, SIZE, SIZE)
        x = image.clone().requires_grad_()
        HARNESS.ours.weighted(w)(HARNESS.ours.Unseen(*network)(x)).backward()
        found = picture(student.input_gradient(image, model, loss), image, "input_gradient")
        close(found, x.grad, f"the gradient of the {call} call", rtol=1e-3, atol=1e-5)


@earns("input-gradient")
def test_measuring_leaves_no_traces(student, draw):
    """Neither the image nor anything in the network is changed, gradients that others collect included."""
    tools = HARNESS.beside(student)
    work = student.run("lambda model, image: input_gradient(image, model, lambda scores: scores[0, 1])")
    result, before, after, _ = tools.before_and_after(work, fragile(tools, draw), draw.normal(1, 1, 6, 7), False)
    no_traces(result, before, after)


# ---------------------------------------------------------------------------------------------- the ascent


def climb(student, reference, draw, rate, **settings):
    """Climb −a Σ(z − c)², where a step covers the share `rate` of the way: the place found, the start, the summit."""
    c, a = draw.normal(1).item(), draw.size(2, 9) / 10
    image = snow(draw, 1, draw.size(1, 3), draw.size(4, 6), draw.size(7, 9))
    tools = HARNESS.beside(student)
    lr = rate * reference.STD**2 / (2 * a)
    found = student.gradient_descent(image, tools.identity, tools.summit(c, a), lr=lr, **settings)
    return picture(found, image, "gradient_descent"), image, reference.MEAN + reference.STD * c


@earns("ascent-climbs", weight=2)
def test_steps_towards_a_known_summit(student, reference, draw):
    """Each step goes uphill by lr times the gradient, and there are as many as `iterations` says."""
    for iterations in 0, 1, draw.size(3, 8):
        rate = draw.size(5, 30) / 100
        found, image, top = climb(student, reference, draw, rate, iterations=iterations)
        expected = top + (image - top) * (1 - rate) ** iterations
        close(found - image, expected - image, f"the way covered in {iterations} iterations", rtol=1e-3, atol=1e-5)


@earns("ascent-climbs")
def test_as_many_iterations_as_the_signature_says(student, reference, draw):
    """Without `iterations` there are 256 steps."""
    # 0.99²⁵⁶ = 0.076 of the way is left; one iteration more or less changes that by 1 %
    found, image, top = climb(student, reference, draw, 0.01)
    close(found - top, (image - top) * 0.99**256, "what is left of the way after 256 steps", rtol=3e-3, atol=1e-5)


@earns("ascent-climbs", weight=2)
def test_ascent_convinces_an_unseen_network(student, reference, draw):
    """The probability of the target rises above 0.9 on a network that was made for this test."""
    tools, network, image = HARNESS.beside(student), unseen(reference, draw), snow(draw, 1, 1, SIZE, SIZE)
    label = draw.size(0, CLASSES - 1)
    arguments = image, tools.Unseen(*network), tools.logit(label)
    found = student.gradient_descent(*arguments, iterations=128, lr=0.05)
    p = probability(reference, network, picture(found, image, "gradient_descent"), label)
    assert p > 0.9, f"the probability of the target is {p:.2f} after 128 iterations, it should be above 0.9"


def roll_of(image, shown, jitter):
    """The roll that turns `image` into `shown`, None when there is none within `jitter`."""
    for down in range(-jitter, jitter + 1):
        for right in range(-jitter, jitter + 1):
            if torch.allclose(image.roll((down, right), (-2, -1)), shown, atol=1e-4):
                return down, right
    return None


@earns("ascent-jitter", weight=2)
def test_a_fresh_roll_in_every_step(student, reference, draw):
    """In every step the network sees the image normalised once and rolled anew; the image itself stays in place."""
    image, iterations, jitter = snow(draw, 1, 1, 9, 11), draw.size(12, 16), draw.size(2, 3)
    tools = HARNESS.beside(student)
    witness = tools.WeightedSum(torch.zeros(1, 1, 9, 11))  # no slope: the image has no reason to move
    found = student.gradient_descent(image, witness, tools.identity, iterations=iterations, jitter=jitter)
    shown = [torch.tensor(page) for page in tools.shown()]
    assert len(shown) >= iterations, f"the network was asked {len(shown)} times in {iterations} iterations"
    normal, rolls = (image - reference.MEAN) / reference.STD, set()
    for step, page in enumerate(shown, 1):
        assert page.shape == image.shape, f"in step {step} the network was shown another shape"
        roll = roll_of(normal, page, jitter)
        if roll is None and roll_of(image, page, jitter):
            raise AssertionError(f"in step {step} the network was shown an image that is not normalised")
        assert roll, f"in step {step} the network was shown something else than the image, normalised once and rolled"
        rolls.add(roll)
    assert len(rolls) > 3, f"{iterations} iterations used {len(rolls)} different rolls: draw a new one in each"
    # if all is well, not to reach further than one pixel has a probability of 0.36¹² at most
    assert max(abs(d) for roll in rolls for d in roll) > 1, f"jitter={jitter} rolls by up to one pixel only"
    close(picture(found, image, "gradient_descent"), image, "an image that nothing pulls at", atol=1e-5)


@earns("ascent-jitter")
def test_the_gradient_returns_to_its_place(student, reference, draw):
    """A step adds the gradient where the pixels were before they were rolled, and in the scale that they had."""
    tools, w = HARNESS.beside(student), draw.normal(1, 1, 9, 11)
    for _ in range(3):  # a roll by (0, 0) alone would show nothing
        image, witness = snow(draw, 1, 1, 9, 11), tools.WeightedSum(w)
        found = student.gradient_descent(image, witness, tools.identity, iterations=1, lr=0.1, jitter=2)
        normal, shown = (image - reference.MEAN) / reference.STD, tools.shown()
        roll = roll_of(normal, torch.tensor(shown[-1]), 2) if shown else None
        assert roll, "the network was shown something else than the image, normalised once and rolled"
        expected = 0.1 * w.roll((-roll[0], -roll[1]), (-2, -1)) / reference.STD
        close(picture(found, image, "gradient_descent") - image, expected, "the step", rtol=1e-3, atol=1e-5)


@earns("ascent-untouched")
def test_ascent_leaves_no_traces(student, draw):
    """The image and the network are as they were: parameters, buffers, gradients, requires_grad."""
    tools = HARNESS.beside(student)
    work = student.run("lambda model, image: gradient_descent(image, model, lambda scores: scores[0, 2], 3)")
    result, before, after, _ = tools.before_and_after(work, fragile(tools, draw), draw.normal(1, 1, 6, 7), False)
    no_traces(result, before, after)


@earns("ascent-untouched")
def test_ascent_runs_in_evaluation_mode(student, draw):
    """The network is asked in evaluation mode, and given back in the mode in which it came, be it the one or other."""
    tools = HARNESS.beside(student)
    work = student.run("lambda model, image: gradient_descent(image, model, lambda scores: scores[0, 2], 3)")
    for training, mode in (True, "training"), (False, "evaluation"):
        _, before, after, modes = tools.before_and_after(work, fragile(tools, draw), draw.normal(1, 1, 6, 7), training)
        assert modes and not any(modes), f"a network that came in {mode} mode was asked in training mode"
        assert after["modes"] == before["modes"], f"a network that came in {mode} mode was given back in another"


# ---------------------------------------------------------------------------------------------- the dream


@earns("dream-certain", weight=3)
def test_dreams_convince_an_unseen_network(student, reference, draw):
    """With the default settings noise becomes an image whose label has a probability above 0.9."""
    tools, network = HARNESS.beside(student), unseen(reference, draw)
    for label in reachable(reference, network, snow(draw, 1, 1, SIZE, SIZE)):
        image = snow(draw, 1, 1, SIZE, SIZE)
        found = picture(student.dream(image, tools.Unseen(*network), label), image, "dream")
        p = probability(reference, network, found, label)
        assert p > 0.9, f"the probability of the label is {p:.2f} at the end, it should be above 0.9"


@earns("dream-certain", weight=2)
def test_dreams_stay_within_range(student, reference, draw):
    """No pixel leaves [0, 1], neither at the end nor on the way, however strongly the network pulls."""
    tools, image = HARNESS.beside(student), draw.uniform(1, 1, SIZE, SIZE)
    model = tools.Unseen(*unseen(reference, draw, gain=100.0))
    found = picture(student.dream(image, model, draw.size(0, CLASSES - 1), iterations=12), image, "dream")
    assert found.min() >= 0 and found.max() <= 1, "the dream has pixels outside of [0, 1]"
    low, high = (edge * reference.STD + reference.MEAN for edge in tools.extremes())
    assert low > -1e-3 and high < 1 + 1e-3, "on the way the network was shown pixels outside of [0, 1]"


@earns("dream-certain")
def test_dreams_leave_no_traces(student, draw):
    """The image and the network are as they were, and in their old mode."""
    tools = HARNESS.beside(student)
    work = student.run("lambda model, image: dream(image, model, 1, iterations=2)")
    for training in True, False:
        image = draw.uniform(1, 1, SIZE, SIZE)
        result, before, after, modes = tools.before_and_after(work, fragile(tools, draw), image, training)
        assert not any(modes), "the network was asked in training mode"
        assert after["modes"] == before["modes"], "the network was given back in another mode"
        no_traces(result, before, after)


@earns("dream-prior")
def test_dreams_have_a_second_prior(student, draw):
    """Beside the clamp, something makes snow fade that nobody likes, or lets coarse waves grow more than fine ones."""
    # one wave runs down and one to the right: then they are equals in whatever a clamp does to their sum
    tools, coarse, fine = HARNESS.beside(student), draw.size(1, 2), draw.size(7, 8)
    waves = draw.choice([[(0, coarse), (fine, 0)], [(coarse, 0), (0, fine)]])
    flat = draw.uniform(1, 1, SIZE, SIZE)
    found = picture(student.dream(flat, tools.Waves(waves, 0.0), 0), flat, "dream")
    fades = min((found**2).sum() / (flat**2).sum(), found.var() / flat.var()) < 0.8

    down, right = torch.meshgrid(torch.arange(SIZE), torch.arange(SIZE), indexing="ij")
    image = 0.5 + 0.05 * sum(torch.cos(2 * torch.pi * (m * down + n * right) / SIZE) for m, n in waves)[None, None]
    found = picture(student.dream(image, tools.Waves(waves, 20.0), 0), image, "dream")
    coarse, fine = HARNESS.ours.Waves(waves, 1.0).strengths(found)
    assert coarse > 0.03, "a wave that the network likes does not grow in your dream"  # at the start it is 0.025
    assert fades or fine < 0.7 * coarse, "beside the clamp there is no trace of a second prior"
