# %% [markdown] nbgrader={"grade_id": "header", "locked": true}
r"""
# What does a network dream of?

Training asks: *how should the weights change, so that the network likes this image?* Today you turn the question
round: *how should the image change, so that the network likes it?* The weights stand still, the pixels learn. It is
the same chain rule, the same small steps, and the result is a picture of what the network has in mind when it says
"seven".

**What you will build.** The gradient of a network with respect to its input, an ascent that follows it, and a dream: an
ascent that is kept on the ground, so that a person recognises what comes out. The network is a little classifier
of handwritten digits that this notebook trains in a few seconds.

| exercise | you write | points | difficulty | minutes |
| --- | --- | --- | --- | --- |
| 1 | `input_gradient` | 3 | ★☆☆ | 15 |
| 2 | `gradient_descent` | 3 + 2 + 2 | ★★☆ | 30 |
| 3 | `dream` | 3 + 2 | ★★☆ | 30 |
| | **in all** | **15** | | **75** |

**You need** gradients of scalar functions, and the idea of stochastic gradient descent. Everything runs on a CPU.

**How to work.** Replace each `raise NotImplementedError` by your code. The cells below it check your work on small
examples and say in which way you are off. Unlike in the notebook on the multilayer perceptron, autograd is your
friend here: use it freely. Cells that train the classifier or only draw are skipped while you are graded; what is
graded works with networks that you have not seen."""

# %% nbgrader={"grade_id": "helpers", "locked": true}
import matplotlib.pyplot as plt
import torch
from torch import nn
from torch.nn import functional

MEAN, STD = 0.2, 0.3  # of the pixels of our digits


def noise(*shape):
    """An image to start from: grey with a little snow, as if 8-bit pixels were 128 ± 8."""
    return (torch.randn(shape) * 8 + 128) / 255


def normalize_and_jitter(img, step):
    """A new image: normalised, and rolled by up to `step` pixels along both axes, another roll at each call."""
    down, right = torch.randint(-step, step + 1, (2,)).tolist()
    return ((img - MEAN) / STD).roll((down, right), dims=(-2, -1))


def show(images, titles, cmap="gray", span=(0, 1)):
    """Draw images (1, 1, H, W) side by side."""
    axes = plt.figure(figsize=(1.15 * len(images), 1.55)).subplots(1, len(images), squeeze=False)
    for ax, image, title in zip(axes[0], images, titles, strict=True):
        ax.imshow(image.detach()[0, 0], cmap=cmap, vmin=span[0], vmax=span[1])
        ax.set_title(title, fontsize=8)
        ax.axis("off")
    plt.show()


# %% [markdown] nbgrader={"grade_id": "notation", "locked": true}
r"""
**Notation.** A grey image is a tensor $x$ of shape `(1, 1, H, W)`, a batch of one with one channel, its pixels between
0 (black) and 1 (white). A network $m$ maps it to a row of scores, shape `(1, K)`; score $k$ is the *logit* of class
$k$. Networks are fed with normalised images, $(x - \text{mean}) / \text{std}$: `normalize_and_jitter` takes care of it,
and you will soon see why it also shakes the image a little.

## 1 · A network to look into

Here it is: two convolutions and a linear layer. It trains on digits of 8×8 pixels that are enlarged and framed to
20×20. We make its life hard on purpose. Each batch is jittered and sprinkled with strong noise, and whoever must read
through noise cannot rely on single pixels: its gradients, and so its dreams, become smoother."""


# %% nbgrader={"grade_id": "train-digits", "locked": true, "gives": ["digit_classifier"]} tags=["demo"]
def digit_classifier(images, labels, epochs=8):
    """A small convolutional network, trained on images (N, 1, 20, 20)."""
    torch.manual_seed(0)
    net = nn.Sequential(
        *(nn.Conv2d(1, 16, 5, padding=2), nn.BatchNorm2d(16), nn.ReLU(), nn.AvgPool2d(2)),  # (B, 16, 10, 10)
        *(nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.AvgPool2d(2)),  # (B, 32, 5, 5)
        *(nn.Flatten(), nn.Dropout(0.2), nn.Linear(32 * 5 * 5, 10)),  # (B, 10)
    )
    batches = -(-len(images) // 32)
    optimizer = torch.optim.Adam(net.parameters())
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 8e-3, total_steps=epochs * batches)
    for epoch in range(epochs):
        for rows in torch.randperm(len(images)).split(32):
            noisy = images[rows] + 0.4 * torch.randn(len(rows), 1, 20, 20)
            loss = functional.cross_entropy(net(normalize_and_jitter(noisy, 1)), labels[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        print(f"\repoch {epoch + 1} of {epochs}, loss {loss.item():.2f}", end="")
    return net.eval()


# %% nbgrader={"grade_id": "digits", "locked": true, "gives": ["digit_net", "guesses", "images", "labels"]} tags=["demo"]
from sklearn.datasets import load_digits

digits = load_digits()
order = torch.randperm(len(digits.images), generator=torch.Generator().manual_seed(0))
images = torch.tensor(digits.images, dtype=torch.float32)[order, None] / 16  # (1797, 1, 8, 8)
images = functional.pad(functional.interpolate(images, scale_factor=2, mode="bilinear"), (2, 2, 2, 2))  # … 20, 20
labels = torch.tensor(digits.target)[order]
digit_net = digit_classifier(images[:1500], labels[:1500])

with torch.no_grad():
    guesses = digit_net(normalize_and_jitter(images[1500:], 0)).argmax(1)  # step 0: no jitter
print(f"\n{(guesses == labels[1500:]).float().mean():.1%} of 297 digits that it has never seen are read correctly")
show(images[1500:1510].split(1), [f"says {guess}" for guess in guesses[:10].tolist()])

# %% [markdown] nbgrader={"grade_id": "input-gradient-text", "locked": true}
r"""
*In the figure: ten digits of the test set and what the network says.* About 96 % are right, good enough to be asked
about its dreams.

## 2 · The gradient that is usually thrown away

When you train, backpropagation computes $\partial \ell / \partial W$ for every weight. One more link of the chain, and
it arrives at the pixels:

$$g = \frac{\partial\, \ell(m(x))}{\partial x},$$

one number for each pixel. If this pixel gets brighter, does $\ell$ rise or fall? Here $\ell$ is any function that turns
the scores into one number, for instance "the logit of 3": `lambda scores: scores[0, 3]`.

Good manners matter as soon as others use the same network. Whoever measures must leave no traces: the image of the
caller stays as it is, and so does everything in the network. That includes something that is easily overlooked. Each
parameter has a `.grad`, in which an optimiser may be collecting right now, and `.backward()` adds to *all* of them.
Look up `torch.autograd.grad`: it hands you the gradient with respect to what you name, and touches nothing else.

**Exercise 1 · `input_gradient`** · 3 points · ★☆☆ · 15 minutes

*Differentiate with respect to the image, and leave no traces.*

<details><summary>Hint</summary>

Autograd follows only tensors that ask for it. The caller's image doesn't, and it should not begin to: what could you
give to the network in its place? At the end, print `requires_grad` of the image and of your result; both should say
False.

</details>
"""


# %% nbgrader={"grade_id": "input-gradient-code", "solution": true}
def input_gradient(image, model, loss):
    """The gradient of loss(model(image)) with respect to the image.

    image: tensor of any shape that the model takes; it stays as it is
    model: an nn.Module or any function of the image; nothing in it changes, neither its mode (training or evaluation)
           nor the .grad of its parameters
    loss:  a function from the model's output to a scalar tensor

    Returns a tensor of the shape of image, a plain one that doesn't require a gradient.
    """
    ### BEGIN SOLUTION
    x = image.detach().clone().requires_grad_()
    (gradient,) = torch.autograd.grad(loss(model(x)), x)
    return gradient
    ### END SOLUTION


# %% nbgrader={"grade_id": "input-gradient", "grade": true, "points": 3, "locked": true}
image = torch.tensor([[[[1.0, -2.0, 0.25], [0.5, 3.0, -1.5]]]])
before = image.clone()
found = input_gradient(image, nn.Identity(), lambda scores: (scores**3).sum())
assert found is not None, "input_gradient returns None: is a return statement missing?"
assert found.shape == image.shape, f"the gradient should have the shape of the image, {tuple(image.shape)}"
assert torch.allclose(found, 3 * image**2), "the gradient of Σx³ should be 3x²"
assert torch.equal(image, before), "the image has changed"
assert not image.requires_grad and image.grad is None, "the caller's image now requires a gradient: use a copy"
assert not found.requires_grad, "the result still hangs on a graph: it should not require a gradient"

tiny = nn.Sequential(nn.Flatten(), nn.Linear(6, 3))
tiny[1].weight.grad = torch.ones(3, 6)  # an optimiser is collecting here
for mode in True, False:
    tiny.train(mode)
    found = input_gradient(image, tiny, lambda scores: 2 * scores[0, 1])
    assert torch.allclose(found.flatten(), 2 * tiny[1].weight[1]), "not twice the row of weights of score 1"
    assert tiny.training == mode, f"the network came with training={mode}, and left differently"
    untouched = tiny[1].bias.grad is None and torch.equal(tiny[1].weight.grad, torch.ones(3, 6))
    assert untouched, "the .grad of the network's parameters has changed"
    assert all(p.requires_grad for p in tiny.parameters()), "the network's parameters have been frozen"
print("ok  your gradient is right, and there are no traces")

# %% nbgrader={"grade_id": "gradient-figure", "locked": true} tags=["demo"]
# An example of the test set: which pixels speak for each of the ten classes?
example = images[1500 + guesses.tolist().index(7)][None]  # (1, 1, 20, 20)
maps = [
    input_gradient(example, lambda x: digit_net(normalize_and_jitter(x, 0)), lambda scores, k=k: scores[0, k])
    for k in range(10)
]
largest = max(float(gradient.abs().max()) for gradient in maps)
show([example], ["the image"])
show(maps, [f"more {k}" for k in range(10)], "PuOr", (-largest, largest))  # orange: darker, purple: lighter

# %% [markdown] nbgrader={"grade_id": "gradient-descent-text", "locked": true}
r"""
*In the figure: for every class the gradient of its logit, purple where more light helps it, orange where more darkness
does.* Look for the strokes that the image would need to become another digit.

## 3 · Climb

Follow the gradient, one small step after another:

$$x \;\leftarrow\; x + \eta\, \frac{\partial}{\partial x}\, \ell\bigl(m(J(x))\bigr).$$

Mind the plus. Descent would make the loss small; we want the score large, so we climb. (The function is called
`gradient_descent` nevertheless: it descends on $-\ell$.)

$J$ is `normalize_and_jitter(x, jitter)`. Networks have favourite spots: a pixel that falls on just the right place of
the pooling grid counts more than its neighbours, and plain ascent writes exactly that grid into the image. If the
image is rolled by a few pixels, *differently in every step*, no spot stays the favourite, and only what is good
everywhere survives. $J$ belongs to the question, not to the image: the gradient flows back through it to $x$, and $x$
itself is neither shifted nor normalised.

A network may come to you in training mode, where dropout throws dice and batch norm adjusts its running averages to
whatever passes, so that merely *looking* changes it. Measure in evaluation mode, then give the network back in the
mode in which it came. (A plain function has no mode; `getattr(model, "training", False)` asks without
stumbling.)

**Exercise 2 · `gradient_descent`** · 3 points climbing, 2 jitter, 2 leaving no traces · ★★☆ · 30 minutes

*Write the loop, and let the image be the only thing that moves.*

<details><summary>Hint</summary>

What has to be inside the loop, what outside? Keep two images apart in your head and by name: the one that you
improve, and the one that the network sees in this step. `input_gradient` takes any function as its model, so you can
hand it one that shakes the image first. If you write the gradient anew instead, ask which of the two images it
should be taken with respect to.

</details>
"""


# %% nbgrader={"grade_id": "gradient-descent-code", "solution": true}
def gradient_descent(image, model, loss, iterations=256, lr=0.05, jitter=1):
    """Climb loss(model(x)), starting at the image.

    image:      (1, C, H, W); it stays as it is
    model:      an nn.Module or a function, called with normalize_and_jitter(x, jitter), a fresh one in each step. A
                module is run in evaluation mode; afterwards it is in its old mode and nothing in it has changed
    loss:       a function from the model's output to a scalar tensor, which should become large
    iterations: the number of steps; 0 leaves the image where it was
    lr:         η, the factor of the gradient in each step
    jitter:     the largest roll, in pixels

    Returns the last x, a new tensor (1, C, H, W) that doesn't require a gradient.
    """
    ### BEGIN SOLUTION
    training = getattr(model, "training", False)
    if training:
        model.eval()
    x = image.clone()
    for _ in range(iterations):
        gradient = input_gradient(x, lambda x: model(normalize_and_jitter(x, jitter)), loss)  # (1, C, H, W)
        x = x + lr * gradient
    if training:
        model.train()
    return x
    ### END SOLUTION


# %% nbgrader={"grade_id": "ascent-climbs", "grade": true, "points": 3, "locked": true}
# The highest point of −Σ(z − 1)² is z = 1 everywhere, in normalised pixels: rolling cannot disturb that.
image = torch.full((1, 1, 4, 5), 0.8)
summit = MEAN + STD * 1.0
found = gradient_descent(image, nn.Identity(), lambda z: -((z - 1) ** 2).sum(), iterations=1, lr=0.009)
assert found is not None, "gradient_descent returns None: is a return statement missing?"
assert not torch.allclose(found, image), "after one iteration the image is still where it was"
assert found.mean() < 0.8, "the image moves away from the summit: we want the loss to rise"
# one step covers the share 2·lr/STD² = 0.2 of the way
assert torch.allclose(found, image + 0.2 * (summit - image)), "right direction, wrong length of the first step"
found = gradient_descent(image, nn.Identity(), lambda z: -((z - 1) ** 2).sum(), iterations=10, lr=0.009)
assert torch.allclose(found, image + (1 - 0.8**10) * (summit - image)), "not where ten steps should lead"
found = gradient_descent(image, nn.Identity(), lambda z: z.sum(), iterations=0)
assert torch.equal(found, image) and found is not image, "0 iterations should return a copy of the image"
print("ok  the first step and the tenth arrive where they should")


# %% nbgrader={"grade_id": "diary", "locked": true, "gives": ["Diary"]}
class Diary(nn.Module):
    """A network without an opinion (its gradient is zero) that writes down what it is shown."""

    def forward(self, z):
        self.pages.append(torch.tensor(z.tolist()))
        return 0 * z.sum((2, 3))


Diary.pages = []  # of the class, so that a copy of the network writes into the same diary


# %% nbgrader={"grade_id": "ascent-jitter", "grade": true, "points": 2, "locked": true}
torch.manual_seed(1)
image, diary = noise(1, 1, 7, 8), Diary()
found = gradient_descent(image, diary, lambda scores: scores.sum(), iterations=12, jitter=2)
assert torch.allclose(found, image), "without a gradient the image should stay: it was rolled, normalised or shaken"
assert len(diary.pages) >= 12, "12 iterations should show the network 12 images"
sought = ((image - MEAN) / STD).flatten().sort().values
for page in diary.pages:
    assert torch.allclose(page.flatten().sort().values, sought, atol=1e-5), "the network was shown something else"
different = len({page[0, 0, 0, 0].item() for page in diary.pages})
assert different > 4, f"12 iterations used {different} different rolls: draw a new one in each step"
print(f"ok  12 iterations, {different} different rolls")

# %% nbgrader={"grade_id": "ascent-untouched", "grade": true, "points": 2, "locked": true}
torch.manual_seed(2)
model = nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.Dropout(0.5), nn.Flatten(), nn.Linear(48, 4))
model[0].bias.requires_grad_(False)  # a frozen parameter …
model[4].bias.grad = torch.ones(4)  # … and one whose gradient an optimiser is collecting
image, state = noise(1, 1, 6, 6), {name: value.clone() for name, value in model.state_dict().items()}
start = image.clone()
for training in True, False:
    model.train(training)
    found = gradient_descent(image, model, lambda scores: scores[0, 2], iterations=3)
    assert torch.equal(image, start), "the caller's image has changed"
    assert not found.requires_grad, "the result still hangs on a graph: it should not require a gradient"
    assert model.training == training, f"the network came with training={training}, and left differently"
    for name, value in model.state_dict().items():
        assert torch.equal(value, state[name]), f"{name} of the network has changed: is it in evaluation mode?"
    for name, p in model.named_parameters():
        assert p.requires_grad == (name != "0.bias"), f"requires_grad of {name} has been switched"
        left = p.grad is None if name != "4.bias" else torch.equal(p.grad, torch.ones(4))
        assert left, f"the .grad of {name} has changed"
print("ok  the image and the network are as they were")


# %% nbgrader={"grade_id": "ascent-figure", "locked": true, "gives": ["FRAMES", "film"]} tags=["demo"]
def film(climb, label, frames):
    """Draw what `climb(image, iterations)` makes of noise, with the probability of the label at each frame."""
    torch.manual_seed(label)
    x, past, pictures, titles = noise(1, 1, 20, 20), 0, [], []
    for now in frames:
        x, past = climb(x, now - past), now
        with torch.no_grad():
            probability = digit_net(normalize_and_jitter(x, 0)).softmax(1)[0, label]
        pictures.append(x)
        titles.append(f"step {now}\np = {probability:.2f}")
    show(pictures, titles)


FRAMES = [0, 4, 8, 16, 32, 64, 128, 256]
film(lambda x, steps: gradient_descent(x, digit_net, lambda scores: scores[0, 5], steps), 5, FRAMES)

# %% [markdown] nbgrader={"grade_id": "ascent-figure-text", "locked": true}
r"""
*In the figure: the way from noise towards "5", with the network's probability above each frame.* Stop at the frame in
which the probability passes 0.9 for the first time. Would *you* have called that a five? The network is certain long
before there is anything to recognise: it was only ever asked about digits, so nobody has told it what a digit is
*not*. And it never has enough. Pixels run far out of the range that an image can have, until the
picture is clipped to black and white (it is only *shown* clipped).

## 4 · Dream

An ascent needs something that speaks for the image while the network speaks for the label. Call it a prior, a
taste in pictures. Each of these costs a line or two, right after the gradient's step:

- **clamp** the image to $[0, 1]$: pixels stay pixels;
- **weight decay**, $x \leftarrow (1 - \lambda)\,x$: what the network does not insist on fades to black;
- **blur**, $x \leftarrow (1 - \beta)\, x + \beta\, \mathrm{blur}(x)$, or blur the gradient before you follow it: fine
  patterns have to be earned again in each step, strokes survive;
- **several scales**: dream a small image first, enlarge it, go on; the network always sees the full size.

You know the second from training: weight decay is the same line, applied to weights. A bell for blurring is given."""


# %% nbgrader={"grade_id": "blur", "locked": true, "gives": ["blur"]}
def blur(img):
    """Each pixel of img (1, C, H, W) averaged with its neighbours, 1:2:1 along both axes; edges meet as in a roll."""
    for axis in -2, -1:
        img = img / 2 + (img.roll(1, axis) + img.roll(-1, axis)) / 4
    return img


# %% [markdown] nbgrader={"grade_id": "dream-text", "locked": true}
r"""
**Exercise 3 · `dream`** · 3 points for certain dreams within $[0, 1]$, 2 for the second prior · ★★☆ · 30 minutes

*Give your ascent taste: the clamp, and at least one more prior of your choice.*

The rules of the game:

- With the default settings, an image of noise ends with a probability above 0.9 for the label.
- Nothing outside of $[0, 1]$ is ever shown to the network (before normalisation), and nothing outside is returned.
- Network and image are left without traces, as before.
- The signature begins with `image, model, label, iterations=128`. Settings of your own, such as `lr`, may follow as
  long as they have defaults.

How does the grader see your second prior? It watches two experiments, and one of them should show it. A network without
an opinion looks at snow: decay, blur or a change of scale make the snow fade. And a network likes a coarse and a fine
wave equally: blur or scales let the coarse one grow more. If you rescale gradients, remember that a gradient may be
zero.

<details><summary>Hint</summary>

One iteration of your ascent, a touch of the prior, one iteration, a touch … Do you need to write the ascent again?
Balance decides: if the image stays dark or flat, the prior pulls harder than the gradient; if it turns into hard black
and white, the gradient wins everywhere. Start with a decay or blur of a few per cent and steps of 0.1 to 0.5.

</details>
"""


# %% nbgrader={"grade_id": "dream-code", "solution": true}
def dream(image, model, label, iterations=128, lr=0.2, decay=0.05, softness=0.1):
    """Change the image until the model sees `label` in it, and a person does, too.

    image:      (1, C, H, W) with pixels in [0, 1]; it stays as it is
    model:      an nn.Module or a function from normalised images to scores (1, K); nothing in it changes
    label:      the class to dream of, from 0 to K - 1
    iterations: the number of gradient steps in all, whatever the scale

    Returns a new image (1, C, H, W) with pixels in [0, 1] that doesn't require a gradient.
    """
    ### BEGIN SOLUTION
    x = image.clone()
    for _ in range(iterations):
        x = gradient_descent(x, model, lambda scores: scores[0, label], iterations=1, lr=lr)
        x = (1 - decay) * x
        x = torch.lerp(x, blur(x), softness)
        x = x.clamp(0, 1)
    return x
    ### END SOLUTION


# %% nbgrader={"grade_id": "dream-certain", "grade": true, "points": 3, "locked": true}
class Stripes(nn.Module):
    """Two classes, made by hand: lying stripes (0) and standing stripes (1). Remembers the range of what it saw."""

    low, high = 0.0, 1.0

    def forward(self, z):  # (1, 1, H, W)
        self.low = min(self.low, z.min().item() * STD + MEAN)
        self.high = max(self.high, z.max().item() * STD + MEAN)
        steps = z - z.roll(2, -2), z - z.roll(2, -1)
        return torch.stack([step.abs().mean((1, 2, 3)) for step in steps], 1) * 20  # (1, 2)


for label in range(2):
    torch.manual_seed(label)
    image, stripes = noise(1, 1, 16, 18), Stripes()
    start = image.clone()
    found = dream(image, stripes, label)
    assert torch.equal(image, start) and stripes.training, "the image or the mode of the network has changed"
    assert found is not None and found.shape == image.shape, "dream should return an image of the same shape"
    p = stripes(normalize_and_jitter(found, 0)).softmax(1)[0, label].item()
    assert p > 0.9, f"label {label}: its probability is {p:.2f} at the end, it should be above 0.9"
    assert found.min() >= 0 and found.max() <= 1, "the dream has left [0, 1]"
    assert stripes.low > -1e-4 and stripes.high < 1 + 1e-4, "on the way the network saw pixels outside of [0, 1]"
    print(f"ok  label {label}: from grey to p = {p:.3f}")


# %% nbgrader={"grade_id": "dream-prior", "grade": true, "points": 2, "locked": true}
def coarse_and_fine(z):
    """The strengths of a wave of 10 pixels to the right and of one of 2.5 pixels downwards, in an image of 20×20."""
    waves = torch.fft.fft2(z)[:, 0] / z[0].numel()
    return waves[:, 0, 2].abs(), waves[:, 8, 0].abs()


class Waves(nn.Module):
    """Likes two waves equally: score 0 is the sum of their strengths."""

    def forward(self, z):
        likes = sum(coarse_and_fine(z)) * 20 - 10
        return torch.stack([likes, 0 * likes], 1)  # (1, 2)


torch.manual_seed(3)
snow = torch.rand(1, 1, 20, 20)
left = float((dream(snow, Diary(), 0) ** 2).sum() / (snow**2).sum().clamp(min=1e-9))
spread = float(dream(snow, Diary(), 0).var() / snow.var())
angles = torch.arange(20) * torch.pi / 10
start = 0.5 + 0.05 * (torch.cos(2 * angles) + torch.cos(8 * angles)[:, None])[None, None]  # (1, 1, 20, 20)
coarse, fine = coarse_and_fine(dream(start, Waves(), 0))
print(f"snow that nobody likes keeps {left:.0%} of its light and {spread:.0%} of its contrast: a prior lets it fade")
print(f"waves that are liked equally: the fine one becomes {float(fine / coarse):.0%} as strong as the coarse one")
assert min(left, spread) < 0.8 or fine < 0.7 * coarse, "no trace of a second prior: add one beside the clamp"

# %% nbgrader={"grade_id": "dream-film", "locked": true} tags=["demo"]
film(lambda x, steps: dream(x, digit_net, 5, steps), 5, FRAMES)

# %% [markdown] nbgrader={"grade_id": "dream-film-text", "locked": true}
r"""
*In the figure: the same start and the same wish as before, now as a dream.* Compare the two films frame by frame. The
network ends as certain as before, but background and strokes have come apart, and there is a five that you
could have written.

And now all ten."""

# %% nbgrader={"grade_id": "ten-digits", "locked": true} tags=["demo"]
torch.manual_seed(0)
dreams = [dream(noise(1, 1, 20, 20), digit_net, label) for label in range(10)]
with torch.no_grad():
    sure = [digit_net(normalize_and_jitter(x, 0)).softmax(1)[0, k].item() for k, x in enumerate(dreams)]
show(dreams, [f"{k}\np = {p:.2f}" for k, p in enumerate(sure)])
show([images[labels == k].mean(0, keepdim=True) for k in range(10)], ["average"] * 10)

# %% [markdown] nbgrader={"grade_id": "ten-digits-text", "locked": true}
r"""
*In the figure: above, the dream of each digit; below, for comparison, the average of all its training images.* A dream
is not an average. It exaggerates what *distinguishes* a digit from the nine others: the hole of the 0, the hook of
the 5. What all digits share, or what the network never needed, is missing. Where a dream looks odd to you, you have
learned something about this network: it gets by without what you miss.

## 5 · Optional: a network that knows a thousand things

With a connection to the internet you can look into a network that was trained on ImageNet, a million photographs of a
thousand classes. Set `CONNECTED = True`: torchvision then downloads 45 MB, and the dream takes a minute or so. Choose
your own label from `weights.meta["categories"]`. If the picture stays flat, raise `GAIN`, since among 150,000 pixels
each one's gradient is faint."""

# %% tags=["demo"]
CONNECTED, WISH, GAIN = False, "goldfish", 10
if CONNECTED:
    from torchvision.models import ResNet18_Weights, resnet18

    weights = ResNet18_Weights.DEFAULT
    resnet = resnet18(weights=weights).eval()
    mean, std = (torch.tensor(numbers)[:, None, None] for numbers in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))

    def photographs(z):  # from our normalisation back to pixels, then to the one that this network knows
        return GAIN * resnet((z * STD + MEAN - mean) / std)

    torch.manual_seed(0)
    picture = dream(noise(1, 3, 224, 224), photographs, weights.meta["categories"].index(WISH))
    plt.imshow(picture[0].permute(1, 2, 0))  # (224, 224, 3)
    plt.title(f"a dream of: {WISH}")
    plt.axis("off")
    plt.show()
else:
    print("Skipped: set CONNECTED = True if you are online.")

# %% [markdown] nbgrader={"grade_id": "farewell", "locked": true}
r"""
## What you have seen

Backpropagation does not care what it differentiates with respect to. Hold the data and move the weights: that is
training. Hold the weights and move the data: that is dreaming, and with a different wish also explaining a decision
(your first figure), or fooling a classifier (your second). And in both, the loss alone is rarely what we want. It takes
a prior, weight decay for example, to come back with something sensible."""
