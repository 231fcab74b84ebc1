# %% [markdown] nbgrader={"grade_id": "header", "locked": true}
r"""
# What does a network dream of?

In training you ask: *how should the weights change so that the network does better on this image?* Today you ask:
*how should the image change so that the network gives a high score to the class you choose?* The weights stay fixed
and the pixels change. The chain rule and the small steps are the same as in training.

**What you will build.** Three functions. `input_gradient` differentiates the output of a network with respect to its
input. `gradient_descent` follows that gradient uphill. `dream` does the same and keeps the picture close to an image
that could exist. The network is a small classifier of handwritten digits. This notebook trains it in a few seconds.

| exercise | you write | points by machine | by hand | difficulty | minutes |
| --- | --- | --- | --- | --- | --- |
| 1 | `input_gradient` | 3 | | ★☆☆ | 15 |
| 2 | `gradient_descent` | 2 + 2 + 2 | | ★★☆ | 25 |
| 3 | a prediction, then its cause | ½ | ½ | ★☆☆ | 10 |
| 4 | `dream` | 3 + 2 | | ★★☆ | 25 |
| | **in all: 15 points** | **14½** | **½** | | **75** |

**You need** gradients of scalar functions, and the idea of stochastic gradient descent. Everything runs on a CPU.

**How to work.** Replace each `raise NotImplementedError` with your code. The cell below it checks your work on small
examples and says which property fails. You may use autograd everywhere in this notebook. Cells that load data, train
or draw are skipped during grading. The hidden tests use networks that you have not seen."""

# %% nbgrader={"grade_id": "helpers", "locked": true}
import matplotlib.pyplot as plt
import torch
from torch import nn
from torch.nn import functional

MEAN, STD = 0.2, 0.3  # of the pixels of the digits below, roughly


def noise(*shape):
    """An image to start from: mid-grey with a little noise, 8-bit pixels of 128 ± 8."""
    return (torch.randn(shape) * 8 + 128) / 255


def normalize_and_jitter(img, step):
    """A new image: img normalised, and rolled by up to `step` pixels along both axes, at random in each call."""
    down, right = torch.randint(-step, step + 1, (2,)).tolist()
    return ((img - MEAN) / STD).roll((down, right), dims=(-2, -1))


def show(images, titles, says, cmap="gray", span=(0, 1)):
    """Draw images (1, 1, H, W) side by side; `says` tells what they show to readers who cannot see them."""
    axes = plt.figure(figsize=(1.15 * len(images), 1.55)).subplots(1, len(images), squeeze=False)
    for ax, image, title in zip(axes[0], images, titles, strict=True):
        ax.imshow(image.detach()[0, 0], cmap=cmap, vmin=span[0], vmax=span[1])
        ax.set_title(title, fontsize=8)
        ax.axis("off")
    show_figure(says)


# %% nbgrader={"grade_id": "common", "locked": true}
# @title Helpers for checks and figures. Run this cell; you need not read it.
from common import show_figure

# %% [markdown] nbgrader={"grade_id": "notation", "locked": true}
r"""
**Notation.** A grey image is a tensor $x$ of shape `(1, 1, H, W)`: a batch of one image with one channel. Its pixels
lie between 0 (black) and 1 (white). A network $m$ turns it into a row of scores of shape `(1, K)`. Score $k$ is the
*logit* of class $k$. Networks are shown normalised images, $(x - \text{mean}) / \text{std}$. The given function
`normalize_and_jitter` returns the normalised image, rolled by a few pixels. Section 3 says why.

## 1 · A network to look into

The network has two convolutions and a linear layer. It trains on scikit-learn's 8×8-pixel digits, enlarged and padded
to 20×20. Each training batch is rolled by up to one pixel and covered with strong noise. Weak noise in training acts
like a penalty on large gradients (C. M. Bishop, *Training with noise is equivalent to Tikhonov regularization*, 1995).
Ours cuts the fine detail in the gradients to about a quarter, which makes your figures smoother. By *fine detail* we
mean the share of an image's power in waves shorter than four pixels."""


# %% nbgrader={"grade_id": "train-digits", "locked": true}
def digit_classifier(images, labels, epochs=8, seed=0, grain=0.4, roll=1):
    """A small convolutional network, trained on images (N, 1, 20, 20) with noise of strength `grain`."""
    torch.manual_seed(seed)
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
            noisy = images[rows] + grain * torch.randn(len(rows), 1, 20, 20)
            loss = functional.cross_entropy(net(normalize_and_jitter(noisy, roll)), labels[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        print(f"\repoch {epoch + 1} of {epochs}, loss {loss.item():.2f}", end="")
    return net.eval()


# %% nbgrader={"grade_id": "digits", "locked": true, "gives": ["digit_net", "digits", "guesses", "images", "labels", "load_digits", "order"]} tags=["demo"]
from sklearn.datasets import load_digits

digits = load_digits()
order = torch.randperm(len(digits.images), generator=torch.Generator().manual_seed(0))
images = torch.tensor(digits.images, dtype=torch.float32)[order, None] / 16  # (1797, 1, 8, 8)
images = functional.pad(functional.interpolate(images, scale_factor=2, mode="bilinear"), (2, 2, 2, 2))  # … 20, 20
labels = torch.tensor(digits.target)[order]
digit_net = digit_classifier(images[:1500], labels[:1500])

with torch.no_grad():
    guesses = digit_net(normalize_and_jitter(images[1500:], 0)).argmax(1)  # step 0: no jitter
print(f"\n{(guesses == labels[1500:]).float().mean():.1%} of 297 test digits are read correctly")
show(
    images[1500:1510].split(1),
    [f"says {guess}" for guess in guesses[:10].tolist()],
    f"Ten test digits, {labels[1500:1510].tolist()}, which the network reads as {guesses[:10].tolist()}.",
)

# %% [markdown] nbgrader={"grade_id": "input-gradient-text", "locked": true}
r"""
*In the figure: ten digits of the test set and what the network says.* It reads about 97 % of the test digits
correctly.

## 2 · The gradient with respect to the image

**Exercise 1 · `input_gradient`** · 3 points · ★☆☆ · 15 minutes

Write `input_gradient(image, model, loss)`. It returns the gradient of `loss(model(image))` with respect to the image.

- `image` may have any shape that the model takes. The result has the same shape and does not require a gradient.
- `model` is an `nn.Module` or a plain function. A plain function may use a network inside.
- `loss` turns the model's output into a scalar tensor. Example: `lambda scores: scores[0, 3]` is the logit of 3.
- The image stays as it is: its values, its `requires_grad` and its `.grad`.
- The network stays as it is: its mode (training or evaluation), its parameters, their `requires_grad` and their
  `.grad`. This also holds for a network inside a plain function.

**The idea.** In training, backpropagation computes $\partial \ell / \partial W$ for every weight. One more link of the
chain leads to the pixels:

$$g = \frac{\partial\, \ell(m(x))}{\partial x}.$$

There is one number for each pixel. It is positive if $\ell$ rises when the pixel gets brighter. Simonyan, Vedaldi and
Zisserman used it to see which pixels matter for a class (*Deep inside convolutional networks*, 2013).

A plain `.backward()` also adds to the `.grad` of every parameter on the way, where an optimiser may be collecting
gradients. `torch.autograd.grad` returns the gradient with respect to the tensors you name and changes no `.grad`.

<details><summary>Hint</summary>

Autograd only follows tensors that require a gradient. The caller's image does not, and you must not change that. What
could you give to the network in its place? At the end, print `requires_grad` of the image and of your result. Both
should be False.

</details>
"""


# %% nbgrader={"grade_id": "input-gradient-code", "solution": true}
def input_gradient(image, model, loss):
    """The gradient of loss(model(image)) with respect to the image.

    image: a tensor of any shape that the model takes; it stays as it is
    model: an nn.Module or a plain function; it stays as it is: mode, parameters, their requires_grad and .grad
    loss:  a function from the model's output to a scalar tensor

    Returns a tensor of the shape of image that does not require a gradient.
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
assert not image.requires_grad and image.grad is None, "the caller's image now requires a gradient, or has a .grad"
assert not found.requires_grad, "the result requires a gradient, and it should not"

tiny = nn.Sequential(nn.Flatten(), nn.Linear(6, 3))
tiny[1].weight.grad = torch.ones(3, 6)  # as if an optimiser were collecting gradients here
for mode in True, False:
    tiny.train(mode)
    found = input_gradient(image, tiny, lambda scores: 2 * scores[0, 1])
    assert torch.allclose(found.flatten(), 2 * tiny[1].weight[1]), "expected: twice the weights of score 1"
    assert tiny.training == mode, f"the network came with training={mode} and was given back in the other mode"
    untouched = tiny[1].bias.grad is None and torch.equal(tiny[1].weight.grad, torch.ones(3, 6))
    assert untouched, "the .grad of the network's parameters has changed"
    assert all(p.requires_grad for p in tiny.parameters()), "requires_grad of the network's parameters has changed"
print("ok  the gradient is right, and nothing else has changed")

# %% nbgrader={"grade_id": "gradient-figure", "locked": true} tags=["demo"]
# One test image: which pixels raise the logit of each of the ten classes?
example = images[1500 + guesses.tolist().index(7)][None]  # (1, 1, 20, 20)
maps = [
    input_gradient(example, lambda x: digit_net(normalize_and_jitter(x, 0)), lambda scores, k=k: scores[0, k])
    for k in range(10)
]
largest = max(float(gradient.abs().max()) for gradient in maps)
show([example], ["the image"], "A test digit, 20×20 pixels, that the network reads as 7.")
sums = ", ".join(f"{k}: {gradient[example > 0.5].sum():+.2f}" for k, gradient in enumerate(maps))
says = f"Gradients within ±{largest:.2f}. Their sums over the bright pixels of the digit, for each class: {sums}."
show(maps, [f"more {k}" for k in range(10)], says, "PuOr", (-largest, largest))  # orange: darker, purple: lighter

# %% [markdown] nbgrader={"grade_id": "gradient-descent-text", "locked": true}
r"""
*In the figure: the image, and for each class the gradient of its logit. Purple pixels raise the logit when they get
brighter, orange ones when they get darker.* Each map is a direction in which to change the image. After one step along
it, half as long as the image's norm, the network names the class of that map in about nine cases out of ten.

## 3 · Climb

**Exercise 2 · `gradient_descent`** · 2 points for steps, 2 for jitter, 2 for leaving no trace · ★★☆ · 25 minutes

Write `gradient_descent(image, model, loss, iterations=256, lr=0.05, jitter=1)`. It starts at the image, takes
`iterations` steps and returns the last $x$. Each step is

$$x \;\leftarrow\; x + \eta\, \frac{\partial}{\partial x}\, \ell\bigl(m(J(x))\bigr).$$

- The sign is plus: $\ell$ should become large. (The usual name fits if you think of $-\ell$.)
- $\eta$ is `lr`, the same in every step. Take every step, even if $\ell$ falls. Use no momentum, rescale nothing and
  clamp nothing.
- $J$ is `normalize_and_jitter(x, jitter)`, drawn anew in every step. Differentiate through it, with respect to $x$.
  What you return is neither normalised nor rolled.
- `model` is an `nn.Module` or a plain function. Run a module in evaluation mode, and restore its mode
  afterwards. `getattr(model, "training", False)` reads the mode and also works for a plain function.
- Image and network, also one inside a plain function, stay as they are: values, buffers, `requires_grad` and `.grad`.
- The result is a new tensor that does not require a gradient. This also holds for `iterations=0`.

**Why evaluation mode?** In training mode, dropout removes random units, and batch norm updates its running averages
from whatever it is shown. The network would change although you only look at it.

**Why jitter?** A network can respond to fine detail at one exact place. With jitter, detail survives only if it helps
at the neighbouring places, too. Here jitter cuts the fine detail of the climbed images to about a quarter. Averaging
the gradients of all nine rolls by up to one pixel does the same. So it is the averaging that smooths, not the
randomness. Mordvintsev, Olah and Tyka used jitter in DeepDream (*Inceptionism: Going deeper into neural networks*,
2015). The climb itself is older: D. Erhan, Y. Bengio, A. Courville and P. Vincent, *Visualizing higher-layer features
of a deep network*, 2009.

<details><summary>Hint</summary>

Keep two images apart: the one that you improve, and the one that the network sees in this step. `input_gradient` takes
any function as its model, so you can give it one that normalises and rolls before it asks the network. If you compute
the gradient without it, ask yourself: with respect to which image?

</details>
"""


# %% nbgrader={"grade_id": "gradient-descent-code", "solution": true}
def gradient_descent(image, model, loss, iterations=256, lr=0.05, jitter=1):
    """Climb loss(model(x)), starting at the image.

    image:      (1, C, H, W); it stays as it is
    model:      an nn.Module or a plain function. In each step it is given a new normalize_and_jitter(x, jitter). A
                module runs in evaluation mode, and is given back in the mode in which it came, as it was
    loss:       a function from the model's output to a scalar tensor that should become large
    iterations: the number of steps; after 0 steps the result is a copy of the image
    lr:         η, the factor of the gradient in each step
    jitter:     the largest roll, in pixels

    Returns the last x, a new tensor (1, C, H, W) that does not require a gradient.
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


# %% nbgrader={"grade_id": "ascent-climbs", "grade": true, "points": 2, "locked": true}
# −Σ(z − 1)² is highest where every normalised pixel z is 1. A roll does not change that.
image = torch.full((1, 1, 4, 5), 0.8)
summit = MEAN + STD * 1.0
found = gradient_descent(image, nn.Identity(), lambda z: -((z - 1) ** 2).sum(), iterations=1, lr=0.009)
assert found is not None, "gradient_descent returns None: is a return statement missing?"
assert not torch.allclose(found, image), "after one iteration the image has not changed"
assert found.mean() < 0.8, "the image moves away from the summit: the loss should rise"
# one step should cover 2·lr/STD² = 0.2 of the way to the summit
assert torch.allclose(found, image + 0.2 * (summit - image)), "the first step has the wrong length"
found = gradient_descent(image, nn.Identity(), lambda z: -((z - 1) ** 2).sum(), iterations=10, lr=0.009)
assert torch.allclose(found, image + (1 - 0.8**10) * (summit - image)), "one step is right, ten are not"
found = gradient_descent(image, nn.Identity(), lambda z: z.sum(), iterations=0)
assert torch.equal(found, image) and found is not image, "0 iterations should return a copy of the image"
print("ok  the image is right after one step, after ten, and after none")


# %% nbgrader={"grade_id": "diary", "locked": true, "gives": ["Diary"]}
class Diary(nn.Module):
    """A network whose scores are always 0, and so is its gradient. It records what it is shown."""

    def forward(self, z):
        self.pages.append(torch.tensor(z.tolist()))
        return 0 * z.sum((2, 3))


Diary.pages = []  # an attribute of the class, so that a copy of the network writes into the same diary


# %% nbgrader={"grade_id": "ascent-jitter", "grade": true, "points": 2, "locked": true}
torch.manual_seed(1)
image, diary = noise(1, 1, 7, 8), Diary()
Diary.pages.clear()
found = gradient_descent(image, diary, lambda scores: scores.sum(), iterations=12, jitter=2)
assert torch.allclose(found, image), "the gradient is 0, so the image should stay as it is; yours has changed"
assert len(diary.pages) >= 12, "the network was shown fewer than 12 images in 12 iterations"
sought = ((image - MEAN) / STD).flatten().sort().values
for page in diary.pages:
    assert torch.allclose(page.flatten().sort().values, sought, atol=1e-5), (
        "the network was not shown x, normalised and rolled"
    )
different = len({page[0, 0, 0, 0].item() for page in diary.pages})
assert different > 4, f"there were {different} different rolls in 12 steps: draw a new one in each"
print(f"ok  {different} different rolls in 12 steps")

# %% nbgrader={"grade_id": "ascent-untouched", "grade": true, "points": 2, "locked": true}
torch.manual_seed(2)
model = nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.Dropout(0.5), nn.Flatten(), nn.Linear(48, 4))
model[0].bias.requires_grad_(False)  # a frozen parameter …
model[4].bias.grad = torch.ones(4)  # … and one with a .grad
image, state = noise(1, 1, 6, 6), {name: value.clone() for name, value in model.state_dict().items()}
start = image.clone()
for training in True, False:
    model.train(training)
    found = gradient_descent(image, model, lambda scores: scores[0, 2], iterations=3)
    assert torch.equal(image, start), "the caller's image has changed"
    assert not found.requires_grad, "the result requires a gradient, and it should not"
    assert model.training == training, f"the network came with training={training} and was given back in the other mode"
    for name, value in model.state_dict().items():
        assert torch.equal(value, state[name]), f"{name} of the network has changed: did it run in evaluation mode?"
    for name, p in model.named_parameters():
        assert p.requires_grad == (name != "0.bias"), f"requires_grad of {name} has changed"
        left = p.grad is None if name != "4.bias" else torch.equal(p.grad, torch.ones(4))
        assert left, f"the .grad of {name} has changed"
print("ok  image and network are as they were")

# %% [markdown] nbgrader={"grade_id": "certain-prediction-text", "locked": true}
r"""
**Exercise 3 · predict, then look** · ½ point by machine, ½ by hand · ★☆☆ · 10 minutes

The next figure is a film. It starts from grey noise and climbs the logit of 5 with your `gradient_descent`. Above each
frame stand the network's probability $p$ for 5 and the contrast, which is the standard deviation of the pixels. Below,
each frame is stretched to full contrast, with the label of the training image whose shape is nearest.

**Prediction.** Take the first frame with $p > 0.9$. What does it look like?

- **A** A clear 5, with at least half the contrast of a real digit.
- **B** A faint 5: less than half the contrast of a real digit, but the nearest shape is a 5.
- **C** No 5: even in full contrast, the nearest shape is not a 5.

Set `certain_prediction` to one letter. Any of the three earns the half point. What counts is that you commit before
you look."""

# %% nbgrader={"grade_id": "certain-prediction-code", "solution": true}
# certain_prediction = "…"   # "A", "B" or "C"
### BEGIN SOLUTION
certain_prediction = "B"
### END SOLUTION

# %% nbgrader={"grade_id": "certain-prediction", "grade": true, "points": 0.5, "locked": true}
assert certain_prediction in ("A", "B", "C"), 'certain_prediction should be one letter: "A", "B" or "C"'
print("ok  the prediction stands: now run the film")


# %% nbgrader={"grade_id": "ascent-figure", "locked": true, "gives": ["FRAMES", "film"]} tags=["demo"]
def shape_of(x):
    """Images as rows of mean 0 and length 1: brightness and contrast are gone, the shape is left."""
    return functional.normalize(x.flatten(1) - x.flatten(1).mean(1, keepdim=True))  # (B, H·W)


def nearest(x):
    """The labels of the training images whose shapes are most like those of the images x."""
    return labels[(shape_of(x) @ shape_of(images[:1500]).T).argmax(1)]


def film(climb, label, frames):
    """Draw what `climb(image, iterations)` makes of noise at each frame; below, the same in full contrast."""
    torch.manual_seed(label)
    x, past, pictures, titles = noise(1, 1, 20, 20), 0, [], []
    for now in frames:
        x, past = climb(x, now - past), now
        with torch.no_grad():
            probability = digit_net(normalize_and_jitter(x, 0)).softmax(1)[0, label]
        pictures.append(x)
        titles.append(f"step {now}\np = {probability:.2f}\ncontrast {x.std():.2f}")
    show(pictures, titles, "; ".join(titles).replace("\n", ", ") + ".")
    full = [(x - x.min()) / (x.max() - x.min()) for x in pictures]
    shapes = [nearest(x).item() for x in pictures]
    says = f"The same frames in full contrast. The training images of the nearest shapes are {shapes}."
    show(full, [f"nearest: {shape}" for shape in shapes], says)


FRAMES = [0, 4, 8, 16, 32, 64, 128, 256]
print(f"contrast of a real digit: {images.flatten(1).std(1).mean():.2f} on average")
film(lambda x, steps: gradient_descent(x, digit_net, lambda scores: scores[0, 5], steps), 5, FRAMES)

# %% [markdown] nbgrader={"grade_id": "certain-words-text", "locked": true}
r"""
*In the figure: above, eight frames on the way from noise towards 5, with probability and contrast. Below, the same
frames in full contrast.* The climb does not stop at $p = 1$. After 256 steps, more than half of the pixels are outside
$[0, 1]$, and the upper row draws them as black or white.

**In one or two sentences:** what does the first frame with $p > 0.9$ show, and what causes it? A wrong prediction costs
nothing. Two measurements help. A *random* change of the noise, as large as the climb's up to that frame, leaves $p$
near 0.1. A real digit, faded to the contrast of that frame, gets about 0.3."""

# %% [markdown] nbgrader={"grade_id": "certain-words", "grade": true, "solution": true, "points": 0.5}
r"""
### BEGIN SOLUTION
The network is certain while the 5 is still faint: the contrast is less than half that of a real digit, but the nearest
shape is a 5. The climb moves every pixel in the direction in which the logit rises fastest, so many small changes add
up to a large logit. The direction matters: a random change of the same length, or a real digit as faint,
leaves the network unsure.

**Mark scheme (½ point)**

1. ¼ point: the frame is faint and has the shape of a 5. Only one of the two gives nothing.
2. ¼ point: each step follows the gradient, so small changes of many pixels add up. "It is fooled" gives nothing.
### END SOLUTION
"""

# %% [markdown] nbgrader={"grade_id": "ascent-figure-text", "locked": true}
r"""
## 4 · Dream

**Exercise 4 · `dream`** · 3 points for convincing dreams within $[0, 1]$, 2 for the second prior · ★★☆ · 25 minutes

Write `dream(image, model, label, iterations=128, …)`. It starts at the image, climbs the logit of `label` (or
its log-probability), and returns the last picture. It uses the clamp and at least one more prior of your choice. A
*prior* pulls the picture towards images that could exist. Each of these takes a line or two after the gradient's step:

- **clamp** the image to $[0, 1]$;
- **weight decay**, $x \leftarrow (1 - \lambda)\,x$, the line that also shrinks weights in training (as a penalty on
  $\lVert x \rVert^2$ in Simonyan, Vedaldi and Zisserman, 2013);
- **blur**, $x \leftarrow (1 - \beta)\, x + \beta\, \mathrm{blur}(x)$ (J. Yosinski, J. Clune, A. Nguyen, T. Fuchs and H.
  Lipson, *Understanding neural networks through deep visualization*, 2015), or blur the gradient before you follow it;
- **several scales**: dream on a small image first, then enlarge it and continue. The network always sees the full size
  (the octaves of DeepDream).

The next cell gives you a function for blurring."""


# %% nbgrader={"grade_id": "blur", "locked": true, "gives": ["blur"]}
def blur(img):
    """img (1, C, H, W) with each pixel averaged with its neighbours, 1:2:1 along both axes; edges wrap around."""
    for axis in -2, -1:
        img = img / 2 + (img.roll(1, axis) + img.roll(-1, axis)) / 4
    return img


# %% [markdown] nbgrader={"grade_id": "dream-text", "locked": true}
r"""
What `dream` must do:

- Its signature begins with `image, model, label, iterations=128`. Settings of your own may follow, with defaults.
- With the default settings, an image from `noise` ends with a probability above 0.9 for the label, judged without
  jitter. The grader asks this of small networks like ours, on images of about 20×20 pixels.
- The network is never shown a pixel outside $[0, 1]$ (before normalisation), and none is returned. You may assume
  that the given image lies in $[0, 1]$.
- It takes `iterations` gradient steps in all. If you use several scales, divide the steps among them; you may leave out
  a remainder of a few.
- The image may have several channels and need not be square. The model may be a plain function.
- As in Exercise 2: evaluation mode, no trace left, and a new tensor that does not require a gradient.

The grader looks for your second prior in two experiments with the default settings. At least one must show it:

1. **Snow.** The image is random pixels, and the scores are the same for every image. Your dream must keep less than 80
   % of $\sum x^2$, or of the variance of the pixels.
2. **Waves.** The network likes a coarse and a fine wave equally. In your dream, the fine wave must be less than 70 % as
   strong as the coarse one.

Whichever experiment shows your prior, the coarse wave must grow in the second. The prior must act during the climb: a
change of the finished picture alone does not count. If you rescale gradients, remember that a gradient can be zero.

<details><summary>Hint</summary>

Do you need to write the ascent again, or can you call it one step at a time? If the picture stays dark or flat,
the prior pulls harder than the gradient. If it turns hard black and white, the gradient wins everywhere.
Start with a decay or blur of a few per cent and steps of 0.1 to 0.5.

</details>
"""


# %% nbgrader={"grade_id": "dream-code", "solution": true}
def dream(image, model, label, iterations=128, lr=0.2, decay=0.05, softness=0.1):
    """Climb the logit of `label`, starting at the image, with the clamp and at least one more prior.

    image:      (1, C, H, W) with pixels in [0, 1]; it stays as it is
    model:      an nn.Module or a plain function from normalised images to scores (1, K); it stays as it is
    label:      the class to dream of, from 0 to K - 1
    iterations: the number of gradient steps in all, over all scales

    Returns a new image (1, C, H, W) with pixels in [0, 1] that does not require a gradient.
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
    """Two classes: horizontal stripes (0) and vertical stripes (1). Notes the range of the pixels that it is shown."""

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
    assert torch.equal(image, start) and stripes.training, "the caller's image or the mode of the network has changed"
    assert found is not None and found.shape == image.shape, "dream should return an image of the same shape"
    p = stripes(normalize_and_jitter(found, 0)).softmax(1)[0, label].item()
    assert p > 0.9, f"label {label}: its probability is {p:.2f} at the end; it should be above 0.9"
    assert found.min() >= 0 and found.max() <= 1, "the dream has pixels outside [0, 1]"
    assert stripes.low > -1e-4 and stripes.high < 1 + 1e-4, "on the way the network was shown pixels outside [0, 1]"
    print(f"ok  label {label}: p = {p:.3f} at the end")


# %% nbgrader={"grade_id": "dream-prior", "grade": true, "points": 2, "locked": true}
def coarse_and_fine(z):
    """In an image of 20×20: the strengths of a wave of 10 pixels along a row and of one of 2.5 pixels down a column."""
    waves = torch.fft.fft2(z)[:, 0] / z[0].numel()
    return waves[:, 0, 2].abs(), waves[:, 8, 0].abs()


class Waves(nn.Module):
    """Likes both waves equally: score 0 grows with the sum of their strengths."""

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
print(f"snow, constant scores: {left:.0%} of the sum of squares and {spread:.0%} of the variance are left")
print(f"waves, liked equally: the fine one ends {float(fine / coarse):.0%} as strong as the coarse one")
assert coarse > 0.03, "the coarse wave, which the network likes, does not grow: it began at 0.025"
assert min(left, spread) < 0.8 or fine < 0.7 * coarse, "neither snow nor waves show a second prior"

# %% nbgrader={"grade_id": "dream-film", "locked": true} tags=["demo"]
film(lambda x, steps: dream(x, digit_net, 5, steps), 5, FRAMES)

# %% [markdown] nbgrader={"grade_id": "dream-film-text", "locked": true}
r"""
*In the figure: the same start and the same label, now with your dream.* The contrast stops growing, because no pixel
leaves $[0, 1]$. The rest depends on your priors. The table shows means over five networks and all ten digits:

| priors | black pixels (below 0.1) | white (above 0.9) | correlation with the average digit | fine detail |
| --- | --- | --- | --- | --- |
| clamp alone | 39 % | 40 % | 0.38 | 7.9 % |
| clamp and blur | 27 % | 33 % | 0.40 | 1.8 % |
| clamp and weight decay | 57 % | 11 % | 0.55 | 2.3 % |
| all three | 53 % | 8 % | 0.56 | 0.8 % |
| *real digits* | *63 %* | *2 %* | *0.91* | *3.3 %* |

Both priors remove fine detail. Only weight decay raises the share of black pixels, and only weight decay brings the
dream clearly closer to the digit."""

# %% nbgrader={"grade_id": "ten-digits", "locked": true} tags=["demo"]
torch.manual_seed(0)
dreams = [dream(noise(1, 1, 20, 20), digit_net, label) for label in range(10)]
with torch.no_grad():
    sure = [digit_net(normalize_and_jitter(x, 0)).softmax(1)[0, k].item() for k, x in enumerate(dreams)]
chances = ", ".join(f"{p:.2f}" for p in sure)
show(dreams, [f"{k}\np = {p:.2f}" for k, p in enumerate(sure)], f"Dreams of 0 to 9. Their probabilities: {chances}.")
averages = [images[labels == k].mean(0, keepdim=True) for k in range(10)]
alike = [torch.corrcoef(torch.cat(pair).flatten(1))[0, 1].item() for pair in zip(dreams, averages, strict=True)]
alike = ", ".join(f"{share:.2f}" for share in alike)
show(averages, ["average"] * 10, f"The average digits 0 to 9. Their correlations with the dreams: {alike}.")

# %% [markdown] nbgrader={"grade_id": "ten-digits-text", "locked": true}
r"""
*In the figure: above, the dream of each digit with the network's probability. Below, the average of its training
images.* Do some dreams look odd to you? With our priors, a second network, trained from another seed, reads all
ten correctly. So they are not specific to one network.

A dream is not an average. Fit it as a weighted sum of the average of its own digit and the average of all digits. The
second weight comes out negative, for every digit and for all five networks that we tried. The dream takes away what
digits share and exaggerates what sets its own digit apart.

## 5 · Optional: a network that knows a thousand classes

With a connection to the internet, you can look into a network that was trained on ImageNet, a million photographs of a
thousand classes. Set `CONNECTED = True`: torchvision then downloads 45 MB, and the dream takes a minute or so. Choose
your own label from `weights.meta["categories"]`. If the picture stays flat, raise `GAIN`. It multiplies the scores,
and so the gradient."""

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
    with torch.no_grad():
        chance = photographs(normalize_and_jitter(picture, 0)).softmax(1)[0, weights.meta["categories"].index(WISH)]
    show_figure(f"224×224 pixels: a dream of {WISH}, with a probability of {chance:.2f}.")
else:
    print("Skipped: set CONNECTED = True if you are online.")

# %% [markdown] nbgrader={"grade_id": "farewell", "locked": true}
r"""
## What you have seen

- Backpropagation differentiates with respect to anything that the loss depends on. In training you hold the data and
  move the weights. Today you held the weights and moved the data.
- A network can be certain of a faint picture, because many small changes in the right direction add up. Steps that
  start at a photograph instead of noise give adversarial examples (C. Szegedy et al., *Intriguing properties of neural
  networks*, 2013).
- The score alone does not make a picture. The priors decide what it looks like.

**Further reading.** C. Olah, A. Mordvintsev and L. Schubert, *Feature visualization*, 2017, compares priors on a large
network. A. Nguyen, J. Yosinski and J. Clune, *Deep neural networks are easily fooled*, 2015, finds pictures that
networks are certain of and people cannot read."""
