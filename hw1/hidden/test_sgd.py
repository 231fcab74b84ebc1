"""Hidden tests of hw1/sgd: the gradient of the input, the ascent, the prediction, and dreams on an unseen network."""

import functools

import torch
from torch.nn import functional

from autograder import Harness, StudentError, close, earns, shape_told

HARNESS = Harness(__file__)
CLASSES, SIZE = 5, 20
RIGHT = {"input_gradient": "right_gradient", "gradient_descent": "right_ascent"}  # right parts of the harness
FINAL = {"ForbiddenTool", "TimeoutError", "Crash"}  # right parts elsewhere do not help against these


class Mended:
    """The student's notebook, in which earlier functions are right while a later one runs."""

    def __init__(self, student, *names):
        """`names` are the earlier functions: no right part of the function that the test asks for is sent."""
        self.run, self._student = student.run, student
        self._tools = HARNESS.lending(student, *(RIGHT[name] for name in names))
        self._parts = {name: getattr(self._tools, RIGHT[name]) for name in names}
        if "gradient_descent" in names:
            self._parts["gradient_descent"] = self._tools.right_ascent(student.normalize_and_jitter)

    def __getattr__(self, name):
        return self._tools.with_parts(getattr(self._student, name), self._parts)


def after(*names):
    """Mark a test that passes if it passes with the student's own functions of these names, or with right ones.

    A mistake in an earlier exercise does not cost points twice. The student's own functions come first, because they
    may take more arguments.
    """

    def mark(test):
        @functools.wraps(test)
        def either(student, **others):
            try:
                test(student, **others)
            except (AssertionError, StudentError) as first:
                if getattr(first, "type", "") in FINAL:
                    raise
                try:
                    test(Mended(student, *names), **others)
                except StudentError:
                    raise first from None

        return either

    return mark


ascent = after("input_gradient")
dreams = after("input_gradient", "gradient_descent")


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

    On a few networks, a picture whose pixels are all black or white is given another label than the one that was
    climbed. A dream of that label would fail without being worse than others, so such labels are not asked for.
    """
    model, labels = HARNESS.ours.Unseen(*network), torch.arange(CLASSES)
    x = image.expand(CLASSES, -1, -1, -1)  # one climb for each label, all in one batch
    for _ in range(64):
        z = ((x - reference.MEAN) / reference.STD).requires_grad_()
        (gradient,) = torch.autograd.grad(model(z)[labels, labels].sum(), z)
        x = (x + 0.2 / reference.STD * gradient).clamp(0, 1)
    with torch.no_grad():
        scores = model((x - reference.MEAN) / reference.STD)  # (label that was climbed, class)
    own = torch.eye(CLASSES, dtype=torch.bool)
    leads = scores[own] - scores.masked_fill(own, -torch.inf).amax(1)
    return leads.topk(2).indices.tolist()


def probability(reference, network, image, label):
    """The probability that our own copy of a network gives to the label."""
    with torch.no_grad():
        return HARNESS.ours.Unseen(*network)((image - reference.MEAN) / reference.STD).softmax(1)[0, label].item()


def picture(result, image, name):
    """The result, once it is asserted to be a finite tensor in the shape of the image."""
    assert result is not None, f"{name} returned None: is a return statement missing?"
    assert isinstance(result, torch.Tensor), f"{name} should return a tensor, not a {type(result).__name__}"
    found, right = tuple(result.shape), tuple(image.shape)
    assert found == right, f"the shape of {name} is {shape_told(found, right)}; it should be that of the image, {right}"
    assert result.isfinite().all(), f"{name} returned values that are infinite or not a number"
    return result.detach()


def fragile(tools, draw, moody=True):
    shapes = [(3, 1, 3, 3), (3,), (3,), (3,), (4, 3), (4,)]
    return tools.Fragile([draw.normal(*shape) for shape in shapes], moody)


def same(grad, left):
    """Whether a .grad is still what it was, which may be None."""
    return left is None if grad is None else left is not None and torch.equal(left, grad)


def no_traces(name, result, before, after):
    """Assert that a call has left network and image as they were, and that its result requires no gradient."""
    picture(result, before["image"], name)
    assert not result.requires_grad, "the result requires a gradient, and it should not"
    assert torch.equal(before["image"], after["image"]), "the values of the caller's image have changed"
    [had, grad], [has, left] = before["image's"], after["image's"]
    assert had == has, "requires_grad of the caller's image has changed"
    assert same(grad, left), "the .grad of the caller's image has changed"
    for name, value in before["values"].items():
        assert torch.equal(value, after["values"][name]), f"{name} of the network has changed"
        kept = after["requires_grad"].get(name) == before["requires_grad"].get(name)
        assert kept, f"requires_grad of {name} has changed"
    for name, grad in before["grads"].items():
        assert same(grad, after["grads"][name]), f"the .grad of {name} has changed"


def same_mode(before, after, training):
    """Assert that a network was given back in the mode in which it came."""
    mode = "training" if training else "evaluation"
    assert after["modes"] == before["modes"], f"a network that came in {mode} mode was given back in another"


# ---------------------------------------------------------------------------------------------- gradient of the input


@earns("input-gradient", weight=2)
def test_gradient_of_the_input(student, reference, draw):
    """The gradient agrees with autograd, for a random network and a random loss, in two calls."""
    tools, network, w = HARNESS.beside(student), unseen(reference, draw), draw.normal(1, CLASSES)
    model, loss = tools.Unseen(*network), tools.weighted(w)
    for call in "first", "second":
        image = draw.normal(1, 1, SIZE, SIZE)
        x = image.clone().requires_grad_()
        HARNESS.ours.weighted(w)(HARNESS.ours.Unseen(*network)(x)).backward()
        found = picture(student.input_gradient(image, model, loss), image, "input_gradient")
        close(found, x.grad, f"the gradient of the {call} call", rtol=1e-3, atol=1e-5)


@earns("input-gradient")
def test_gradient_for_any_shape(student, draw):
    """The image may have any shape, and the model may be a plain function."""
    tools = HARNESS.beside(student)
    for shape in (draw.size(5, 9),), (draw.size(2, 3), draw.size(4, 5)), (draw.size(2, 3), 3, 4, 5):
        image, w = draw.normal(*shape), draw.normal(*shape)
        found = picture(student.input_gradient(image, tools.identity, tools.cubes(w)), image, "input_gradient")
        close(found, 3 * w * image**2, f"the gradient for an image of shape {tuple(shape)}", rtol=1e-3, atol=1e-5)


@earns("input-gradient")
def test_measuring_leaves_no_traces(student, draw):
    """Image and network stay as they are, the .grad of every parameter included.

    This also holds when the model is a plain function that uses a network, and when the image has a .grad.
    """
    tools = HARNESS.beside(student)
    for training, plain, grad in (
        *((False, False, None), (True, False, None), (False, True, None)),
        *((False, plain, draw.normal(1, 1, 6, 7)) for plain in (False, True)),
    ):
        # in training mode a forward pass through batch norm changes its averages, so this network leaves batch norm out
        network, image = fragile(tools, draw, moody=not training), draw.normal(1, 1, 6, 7)
        work = tools.measuring(student.input_gradient)
        result, before, after, _ = tools.before_and_after(work, network, image, training, plain, grad)
        no_traces("input_gradient", result, before, after)
        same_mode(before, after, training)
    image = draw.normal(1, 1, 6, 7)
    requires = tools.flag_after(tools.measuring(student.input_gradient), fragile(tools, draw), image)
    assert requires == "a gradient", "an image that required a gradient requires none after the call"


# ---------------------------------------------------------------------------------------------- the ascent


def climb(student, reference, draw, rate, **settings):
    """Climb −a Σ(z − c)², where a step covers the share `rate` of the way: the place found, the start, the summit.

    Without a rate, a is chosen so that a step with the lr of the signature covers the share 0.1.
    """
    c, a = draw.normal(1).item(), draw.size(2, 9) / 10
    if rate is None:
        a = 0.1 * reference.STD**2 / (2 * 0.05)
    image = snow(draw, 1, draw.size(1, 3), draw.size(4, 6), draw.size(7, 9))
    tools = HARNESS.beside(student)
    lr = None if rate is None else rate * reference.STD**2 / (2 * a)
    settings = settings if lr is None else {"lr": lr, **settings}
    found = student.gradient_descent(image, tools.identity, tools.summit(c, a), **settings)
    return picture(found, image, "gradient_descent"), image, reference.MEAN + reference.STD * c


@earns("ascent-climbs", weight=2)
@ascent
def test_steps_towards_a_known_summit(student, reference, draw):
    """Each step adds lr times the gradient, and there are `iterations` steps."""
    # the last case jumps over the summit to a lower place in each step: such a step is taken as well
    for iterations, share in (0, 20), (1, draw.size(5, 30)), (draw.size(3, 8), draw.size(5, 30)), (2, 240):
        rate = share / 100
        found, image, top = climb(student, reference, draw, rate, iterations=iterations)
        expected = top + (image - top) * (1 - rate) ** iterations
        name = f"the way from the image to what gradient_descent returns for iterations={iterations}"
        close(found - image, expected - image, name, rtol=1e-3, atol=1e-5)


@earns("ascent-climbs")
@ascent
def test_the_rate_of_the_signature(student, reference, draw):
    """Without the argument `lr`, the step is that of the signature's `lr`."""
    found, image, top = climb(student, reference, draw, None, iterations=1)
    close(found - image, 0.1 * (top - image), "the first step without an argument lr", rtol=1e-3, atol=1e-5)


@earns("ascent-climbs")
@ascent
def test_no_step_is_cut_off(student, reference, draw):
    """The ascent adds lr times the gradient even where pixels leave [0, 1]."""
    tools, image = HARNESS.beside(student), snow(draw, 1, 1, 5, 8)
    w = torch.full((1, 1, 5, 8), draw.choice([-1, 1]) * draw.size(20, 30) / 10)  # the same wherever it is rolled
    found = student.gradient_descent(image, tools.WeightedSum(w), tools.identity, 2, 0.3, 1)
    expected = 2 * 0.3 * w / reference.STD
    close(picture(found, image, "gradient_descent") - image, expected, "the way covered in 2 iterations", rtol=1e-3)


@earns("ascent-climbs")
@ascent
def test_as_many_iterations_as_the_signature_says(student, reference, draw):
    """Without the argument `iterations`, there are as many steps as the signature says."""
    # 0.99²⁵⁶ = 0.076 of the way is left; one iteration more or less changes that by 1 %
    found, image, top = climb(student, reference, draw, 0.01)
    close(found - top, (image - top) * 0.99**256, "what is left of the way after 256 steps", rtol=3e-3, atol=1e-5)


@earns("ascent-climbs", weight=2)
@ascent
def test_ascent_convinces_an_unseen_network(student, reference, draw):
    """The probability of the label rises above 0.9 on a network that was made for this test."""
    tools, network, image = HARNESS.beside(student), unseen(reference, draw), snow(draw, 1, 1, SIZE, SIZE)
    label = draw.size(0, CLASSES - 1)
    arguments = image, tools.Unseen(*network), tools.logit(label)
    found = student.gradient_descent(*arguments, iterations=128, lr=0.05)
    p = probability(reference, network, picture(found, image, "gradient_descent"), label)
    assert p > 0.9, f"the probability of the label is {p:.2f} after 128 iterations; it should be above 0.9"


class Rolled:
    """An image under all rolls by up to `jitter` pixels."""

    def __init__(self, image, jitter):
        span = range(-jitter, jitter + 1)
        self._rolls = [(down, right) for down in span for right in span]
        self._images = torch.stack([image.roll(roll, (-2, -1)) for roll in self._rolls])

    def roll_of(self, shown):
        """The roll that turns the image into `shown`, None when there is none."""
        errors = (self._images - shown).abs().flatten(1).amax(1)
        return self._rolls[int(errors.argmin())] if errors.min() < 1e-4 else None


def rolls_shown(tools, reference, image, iterations, jitter):
    """The rolls of the images that a WeightedSum was shown, once it is asserted that they are such images."""
    shown = [torch.tensor(page) for page in tools.shown()]
    assert len(shown) >= iterations, f"the network was asked {len(shown)} times in {iterations} iterations"
    normal, rolls = (image - reference.MEAN) / reference.STD, []
    near = Rolled(normal, jitter)
    for step, page in enumerate(shown, 1):
        assert page.shape == image.shape, f"in step {step} the network was shown another shape"
        roll = near.roll_of(page)
        if roll is None and Rolled(image, jitter).roll_of(page):
            raise AssertionError(f"in step {step} the network was shown an image that is not normalised")
        if roll is None and (roll := Rolled(normal, 4).roll_of(page)):
            raise AssertionError(f"in step {step} the roll was {max(map(abs, roll))} pixels, with jitter={jitter}")
        assert roll, f"in step {step} the network was not shown the image, normalised once and rolled"
        rolls.append(roll)
    return rolls


@earns("ascent-jitter", weight=2)
@ascent
def test_a_fresh_roll_in_every_step(student, reference, draw):
    """In every step the network sees the image, normalised once and rolled anew; the image itself is not rolled."""
    # no slope: the image has no reason to move
    tools, wide = HARNESS.beside(student), draw.size(2, 3)
    for settings, jitter, iterations in ({}, 1, 40), ({"jitter": wide}, wide, 100):
        image = snow(draw, 1, 1, 9, 11)
        witness = tools.WeightedSum(torch.zeros(1, 1, 9, 11))
        found = student.gradient_descent(image, witness, tools.identity, iterations=iterations, **settings)
        rolls = rolls_shown(tools, reference, image, iterations, jitter)
        different, name = len(set(rolls)), f"jitter={jitter}" if settings else "the jitter of the signature"
        assert different > 3, f"{different} different rolls in {iterations} steps: each step should draw its own"
        assert any(down != right for down, right in rolls), "in every step both axes were rolled alike"
        # a right answer never rolls along both with a probability below (5/9)⁴⁰ = 7·10⁻¹¹
        assert any(down and right for down, right in rolls), "no step rolled the image along both axes"
        # a right answer misses one of the ends with a probability below (6/7)¹⁰⁰ = 2·10⁻⁷
        for axis, where in enumerate(("down or up", "to the right or left")):
            reached = {roll[axis] for roll in rolls}
            message = f"{name} should roll by 0 to {jitter} pixels {where}"
            assert {-jitter, 0, jitter} <= reached, f"{message}; yours rolls by {', '.join(map(str, sorted(reached)))}"
        close(picture(found, image, "gradient_descent"), image, "an image whose gradient is zero", atol=1e-5)


@earns("ascent-jitter")
@ascent
def test_no_roll_without_jitter(student, reference, draw):
    """With jitter=0 the network sees the normalised image without a roll."""
    tools, image = HARNESS.beside(student), snow(draw, 1, 1, 9, 11)
    witness = tools.WeightedSum(torch.zeros(1, 1, 9, 11))
    found = student.gradient_descent(image, witness, tools.identity, iterations=4, jitter=0)
    rolls_shown(tools, reference, image, 4, 0)
    close(picture(found, image, "gradient_descent"), image, "an image whose gradient is zero", atol=1e-5)


@earns("ascent-jitter")
@ascent
def test_the_gradient_returns_to_its_place(student, reference, draw):
    """The gradient is taken through roll and normalisation, with respect to the image before them."""
    # all positive: a step along any roll of w then is a step uphill
    tools, w = HARNESS.beside(student), draw.uniform(1, 1, 9, 11, low=0.5, high=3.0)
    for _ in range(3):  # a roll by (0, 0) alone would show nothing
        image, witness = snow(draw, 1, 1, 9, 11), tools.WeightedSum(w)
        found = student.gradient_descent(image, witness, tools.identity, iterations=1, lr=0.1, jitter=2)
        normal, shown = (image - reference.MEAN) / reference.STD, tools.shown()
        assert shown, "the network was not asked in the only iteration"
        page = torch.tensor(shown[-1])
        roll = Rolled(normal, 2).roll_of(page) if page.shape == image.shape else None
        assert roll, "the network was not shown the image, normalised once and rolled"
        expected = 0.1 * w.roll((-roll[0], -roll[1]), (-2, -1)) / reference.STD
        close(picture(found, image, "gradient_descent") - image, expected, "the step", rtol=1e-3, atol=1e-5)


@earns("ascent-untouched")
@ascent
def test_ascent_leaves_no_traces(student, draw):
    """Image and network, one inside a plain function too, stay as they are: values, buffers, .grad, requires_grad."""
    tools = HARNESS.beside(student)
    for plain, iterations, remembers in (False, 3, False), (True, 3, True), (False, 0, True), (True, 2, False):
        image, grad = draw.normal(1, 1, 6, 7), draw.normal(1, 1, 6, 7) if remembers else None
        work = tools.ascending(student.gradient_descent, iterations)
        result, before, after, _ = tools.before_and_after(work, fragile(tools, draw), image, False, plain, grad)
        no_traces("gradient_descent", result, before, after)


@earns("ascent-untouched")
@ascent
def test_ascent_runs_in_evaluation_mode(student, draw):
    """The network runs in evaluation mode and is given back in the mode in which it came."""
    tools = HARNESS.beside(student)
    work = tools.ascending(student.gradient_descent, 3)
    for training, mode in (True, "training"), (False, "evaluation"):
        image = draw.normal(1, 1, 6, 7)
        result, before, after, modes = tools.before_and_after(work, fragile(tools, draw), image, training)
        assert modes, "the network was never asked"
        assert not any(modes), f"a network that came in {mode} mode was run in training mode"
        same_mode(before, after, training)
        no_traces("gradient_descent", result, before, after)


@earns("ascent-untouched")
@ascent
def test_ascent_returns_a_new_image(student, draw):
    """The result is a new tensor, also after 0 iterations: changing it in place does not change the image."""
    tools = HARNESS.beside(student)
    for iterations in draw.size(1, 3), 0:
        work = tools.climbed(student.gradient_descent, iterations)
        found, before, after = tools.written_into(work, snow(draw, 1, 1, 4, 6))
        picture(found, before, "gradient_descent")
        assert torch.equal(before, after), (
            f"after {iterations} iterations the result shares its memory with the caller's image: return a new tensor"
        )


# ---------------------------------------------------------------------------------------------- the prediction


@earns("certain-prediction")
def test_a_prediction_is_one_letter(student):
    """The prediction is one of the letters A, B and C; each of them earns the points."""
    letter = student.certain_prediction
    assert isinstance(letter, str) and letter in {"A", "B", "C"}, (
        "certain_prediction should be one of the three letters"
    )


# ---------------------------------------------------------------------------------------------- the dream


@earns("dream-certain", weight=3)
@dreams
def test_dreams_convince_an_unseen_network(student, reference, draw):
    """With the default settings, noise becomes an image to whose label the network gives more than 0.9."""
    tools, network = HARNESS.beside(student), unseen(reference, draw)
    for label in reachable(reference, network, snow(draw, 1, 1, SIZE, SIZE)):
        image = snow(draw, 1, 1, SIZE, SIZE)
        found = picture(student.dream(image, tools.Unseen(*network), label), image, "dream")
        p = probability(reference, network, found, label)
        assert p > 0.9, f"the probability of the label is {p:.2f} at the end; it should be above 0.9"


@earns("dream-certain", weight=2)
@dreams
def test_dreams_stay_within_range(student, reference, draw):
    """No pixel leaves [0, 1], neither at the end nor in what the network is shown, however large the gradient."""
    # three channels, no square, and a model that is a plain function
    tools, image = HARNESS.beside(student), draw.uniform(1, 3, 17, 22)
    network = draw.normal(6, 3, 5, 5) / 8, 40 * draw.normal(6 * 4 * 5 + 1, CLASSES)
    model = tools.plainly(tools.Unseen(*network))
    with torch.no_grad():  # the label that is least likely: there the log-probability has a slope, too
        label = HARNESS.ours.Unseen(*network)((image - reference.MEAN) / reference.STD)[0].argmin().item()
    found = picture(student.dream(image, model, label, iterations=12), image, "dream")
    assert found.min() >= 0 and found.max() <= 1, "the dream has pixels outside of [0, 1]"
    extremes = tools.extremes()
    assert extremes, "the network was never asked"
    low, high = (edge * reference.STD + reference.MEAN for edge in extremes)
    assert low > -1e-3 and high < 1 + 1e-3, "on the way the network was shown pixels outside of [0, 1]"
    # pixels in [0, 1] that are not normalised look like pixels in [0.2, 0.5] that are
    assert high > 0.6, "the network was shown images that are not normalised"


@earns("dream-certain")
@dreams
def test_dreams_leave_no_traces(student, draw):
    """The network runs in evaluation mode; afterwards image and network are as they were, the mode included."""
    tools = HARNESS.beside(student)
    for training, plain, remembers in (True, False, False), (False, False, True), (False, True, False):
        work = tools.dreaming(student.dream, 2)
        image = draw.uniform(1, 1, SIZE, SIZE + 3)
        grad = draw.normal(1, 1, SIZE, SIZE + 3) if remembers else None
        result, before, after, modes = tools.before_and_after(work, fragile(tools, draw), image, training, plain, grad)
        assert not any(modes), "the network was run in training mode"
        same_mode(before, after, training)
        no_traces("dream", result, before, after)


@earns("dream-certain", weight=0.5)
@dreams
def test_dreams_return_a_new_image(student, draw):
    """The result is a new tensor: changing it in place does not change the image."""
    work = HARNESS.beside(student).dreamt(student.dream, draw.normal(1, 1, 10, 12), 2)
    found, before, after = HARNESS.beside(student).written_into(work, draw.uniform(1, 1, 10, 12))
    picture(found, before, "dream")
    assert torch.equal(before, after), "the dream shares its memory with the caller's image: return a new tensor"


@earns("dream-certain")
@dreams
def test_dreams_take_the_steps_that_were_asked_for(student, draw):
    """A dream takes `iterations` gradient steps in all, and without the argument as many as the signature says."""
    tools, image, w = HARNESS.beside(student), draw.uniform(1, 1, 12, 15), draw.normal(1, 1, 12, 15)
    # 120 can be divided evenly among a few scales; a step may ask for several gradients of one image
    calls, images = tools.steps(student.dream, tools.Counting(w), image, 120)
    assert calls >= 120, f"with iterations=120 the network was asked for {calls} gradients with respect to the image"
    assert images <= 120, f"with iterations=120 the network was asked for the gradients of {images} different images"
    one, other = (tools.steps(student.dream, tools.Counting(w), image, *given) for given in ((), (128,)))
    assert one == other, "dream takes another number of steps without `iterations` than with iterations=128"


@earns("dream-certain")
@dreams
def test_dreams_begin_with_the_image(student, draw):
    """A dream starts at the image: after four iterations with constant scores it still resembles it."""
    tools, n = HARNESS.beside(student), draw.size(14, 17)
    image = (smooth(draw.normal(1, 1, n, n + 4), 6) > 0).float() * 0.8 + 0.1
    model = tools.Waves([(0, 1), (1, 0)], 0.0)
    found = picture(student.dream(image, model, draw.size(0, 1), iterations=4), image, "dream")
    alike = torch.corrcoef(torch.stack([image.flatten(), found.flatten()]))[0, 1]
    assert alike > 0.5, "after four iterations with constant scores, the dream does not resemble the image"


def asked_last(tools, reference, image):
    """The images (B, C, H, W) for which a Waves network was asked for its last gradient, with pixels in [0, 1]."""
    last = tools.last_differentiated()
    assert last, "the network was never asked for a gradient with respect to the image"
    pages = torch.tensor(last[0])
    assert pages.shape[1:] == image.shape[1:], "the network was shown an image of another size"
    return pages * reference.STD + reference.MEAN


def left_of(images, start):
    """Which shares of the mean of x² and of the variance of an image are left."""
    return torch.stack([(images**2).mean() / (start**2).mean(), images.flatten(1).var(1).mean() / start.var()])


@earns("dream-prior")
@dreams
def test_dreams_have_a_second_prior(student, reference, draw):
    """A second prior makes snow fade when scores are constant, or lets a coarse wave grow more than a fine one.

    It acts during the climb: to a lesser degree, it also shows in what the network is shown in the last step.
    """
    # one wave runs down and one to the right, so that the clamp treats both alike
    tools, coarse, fine = HARNESS.beside(student), draw.size(1, 2), draw.size(7, 8)
    waves = draw.choice([[(0, coarse), (fine, 0)], [(coarse, 0), (0, fine)]])
    flat = draw.uniform(1, 1, SIZE, SIZE)
    found = picture(student.dream(flat, tools.Waves(waves, 0.0), 0), flat, "dream")
    faded = left_of(found, flat) < 0.8
    fading = faded & (left_of(asked_last(tools, reference, flat), flat) < 0.9)

    down, right = torch.meshgrid(torch.arange(SIZE), torch.arange(SIZE), indexing="ij")
    image = 0.5 + 0.05 * sum(torch.cos(2 * torch.pi * (m * down + n * right) / SIZE) for m, n in waves)[None, None]
    found = picture(student.dream(image, tools.Waves(waves, 20.0), 0), image, "dream")
    last = asked_last(tools, reference, image)
    (coarse, fine), (before, fine_before) = (HARNESS.ours.Waves(waves, 1.0).strengths(page) for page in (found, last))
    assert coarse > 0.03, (
        "the coarse wave, which the network likes, does not grow in your dream"
    )  # at the start it is 0.025
    smooth = bool(fine < 0.7 * coarse)
    assert faded.any() or smooth, "neither the snow nor the waves show a second prior beside the clamp"
    acts = fading.any() or (smooth and fine_before.mean() < 0.9 * before.mean())
    assert acts, "your second prior changes the finished picture alone: it should act during the climb"
