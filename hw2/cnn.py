# %% [markdown] nbgrader={"grade_id": "header", "locked": true}
r"""
# A small network that sees

Train a fully connected network on digits in the upper left of an image, then show it digits in the lower right. Other
weights read these, and it does no better than guessing. A convolutional network (LeCun et al. 1998) uses the same
weights at every place, and reads most of them.

**What you will build.** A residual block, a network of such blocks, and the four functions of a training run: measure,
step, evaluate, train. Your network will read digits wherever they are. A fully connected network with 55,000
parameters misses about a third of them.

| exercise | you write | points by machine | by hand | difficulty | minutes |
| --- | --- | --- | --- | --- | --- |
| 1 | `ResidualBlock` | 3 + 4 | | ★★☆ | 40 |
| 2 | `ConvNet` | 5 | | ★★☆ | 30 |
| 3 | `get_loss_and_correct`, `step` | 3 + 1 | | ★☆☆ | 20 |
| 4 | `evaluate` | 3 | | ★★☆ | 20 |
| 5 | `train` | 2 + 3 | | ★★☆ | 35 |
| 6 | a prediction, and what causes the result | ½ | ½ | ★☆☆ | 5 |
| | **25 points in all** | **24½** | **½** | | **150** |

**You need** convolutions and their output shapes (the theory notebook of this homework), `nn.Module`, and stochastic
gradient descent. Everything runs on a CPU. The longest cell takes half a minute.

**How to work.** Replace each `raise NotImplementedError` with your code. You may use everything in PyTorch, and write
helper functions and classes of your own. The cell below your code checks it on small examples. Long training runs and
figures are skipped during grading: the grader trains your network with your loop on images of its own. A person marks
the one answer in words."""

# %% nbgrader={"grade_id": "helpers", "locked": true}
import matplotlib.pyplot as plt
import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

device = torch.device("cuda" if torch.cuda.is_available() else "cpu")


def show(images, titles, says, rows=1):
    """Draw images (N, H, W) with titles in `rows` rows; `says` tells what they show to readers who cannot see them."""
    columns = -(-len(images) // rows)
    axes = plt.figure(figsize=(1.05 * columns, 1.35 * rows)).subplots(rows, columns, squeeze=False).ravel()
    for ax in axes:
        ax.axis("off")
    for ax, image, title in zip(axes, images, titles, strict=False):
        ax.imshow(image.detach().cpu(), cmap="gray")
        ax.set_title(title, fontsize=8)
    show_figure(says)


def count_parameters(model):
    """The number of parameters of a model."""
    return sum(parameter.numel() for parameter in model.parameters())


# %% nbgrader={"grade_id": "common", "locked": true}
# @title Helpers for checks and figures. Run this cell; you need not read it.
from common import BLUE, ORANGE, show_figure

# %% [markdown] nbgrader={"grade_id": "data-text", "locked": true}
r"""
## Digits anywhere

The data are scikit-learn's handwritten digits (Alpaydin & Kaynak 1998). Each has 8×8 pixels. We enlarge it to 12×12,
and put it at a random place on a dark canvas of 28×28. There are $17 \cdot 17 = 289$ places. The training set has
6,000 canvases with 1,400 of the digits, each at about four places. The validation set has 2,000 canvases with the
other 397 digits.

**Notation.** A batch of images is a tensor of shape `(B, C, H, W)`: examples, channels, rows, columns. Here $C = 1$,
the brightness, from 0 to 1. The network returns *logits* `(B, K)`, one real number for each class."""


# %% nbgrader={"grade_id": "place", "locked": true}
def place(digits, generator, side=12, canvas=28):
    """Put digits (N, 1, 8, 8) at random places on dark canvases (N, 1, 28, 28)."""
    large = functional.interpolate(digits, size=(side, side), mode="bilinear")  # (N, 1, 12, 12)
    images = torch.zeros(len(digits), 1, canvas, canvas)
    corners = torch.randint(canvas - side + 1, (len(digits), 2), generator=generator)
    for image, digit, (top, left) in zip(images, large, corners.tolist(), strict=True):
        image[:, top : top + side, left : left + side] = digit
    return images


# %% nbgrader={"grade_id": "data", "locked": true, "gives": ["canvases", "dice", "digits", "digits_8", "digits_y", "images", "labels", "load_digits", "order", "train_loader", "train_set", "valid_loader", "valid_set"]} tags=["demo"]
from sklearn.datasets import load_digits

dice = torch.Generator().manual_seed(0)
digits = load_digits()
order = torch.randperm(len(digits.target), generator=dice)
digits_8 = torch.tensor(digits.images, dtype=torch.float32)[order, None] / 16  # (1797, 1, 8, 8)
digits_y = torch.tensor(digits.target)[order]  # (1797,)


def canvases(pool, number):
    """A data set of `number` canvases with digits from `pool`."""
    rows = pool[torch.randint(len(pool), (number,), generator=dice)]
    return TensorDataset(place(digits_8[rows], dice), digits_y[rows])


train_set, valid_set = canvases(torch.arange(1400), 6000), canvases(torch.arange(1400, 1797), 2000)
train_loader = DataLoader(train_set, batch_size=64, shuffle=True)
valid_loader = DataLoader(valid_set, batch_size=250)
images, labels = next(iter(train_loader))
brightest = [divmod(image.argmax().item(), 28) for image in images[:16]]
says = f"16 canvases, labels {labels[:16].tolist()}. Row and column of the brightest pixel, from (0, 0): {brightest}."
show(images[:16, 0], [f"label {label}" for label in labels.tolist()], says, rows=2)

# %% [markdown] nbgrader={"grade_id": "block-text", "locked": true}
r"""
*In the figure: sixteen training canvases with their labels. The digits are in different places.*

## 1 · A block with a shortcut

**Exercise 1 · `ResidualBlock`** · 3 points for shapes and layers, 4 for the shortcut · ★★☆ · 40 minutes

*Write a residual block (He et al. 2016a) with `nn.Conv2d` and `nn.BatchNorm2d` (Ioffe & Szegedy 2015).* It computes

$$y = \mathrm{ReLU}\bigl(F(x) + S(x)\bigr), \qquad F = \mathrm{BN} \circ \mathrm{conv}_{3 \times 3} \circ
\mathrm{ReLU} \circ \mathrm{BN} \circ \mathrm{conv}_{3 \times 3} .$$

- **$F$ is the correction.** Its first convolution takes the block's stride, the second has stride 1. Both have padding
  1, so that $H$ rows become $\lceil H / \text{stride} \rceil$.
- **$S$ is the shortcut.** Where input and output have the same shape, $S$ is the identity, without
  parameters. Otherwise $S = \mathrm{BN} \circ \mathrm{conv}_{1 \times 1}$, with the block's stride.
- Each convolution has a batch norm of its own. A convolution may have a bias, but it has no effect: batch norm
  subtracts each channel's mean.
- The block must not change its input $x$.

**Why a shortcut?** In 50 fresh blocks without shortcuts, the gradient grows more than 100,000-fold on its way back.
With shortcuts it grows about 50-fold. And doing nothing is easy: where $F = 0$ and $S(x) = x$,
blocks return $x \ge 0$ unchanged.

The outer ReLU has a price. It stops the gradient wherever $F(x) + x$ is negative. So the part of the gradient that
travels along the shortcuts alone shrinks: after ten fresh blocks, about a quarter of it is left. *Pre-activation*
blocks (He et al. 2016b) have norm and ReLU before each convolution, and nothing after the sum. There
$\partial y / \partial x = I + \partial F / \partial x$, and this part stays whole at any depth.

<details><summary>Hint</summary>

When is $S$ the identity? Two conditions are needed. Write down the shapes of $F(x)$ and $S(x)$ for their four
combinations. And what does the outer ReLU act on?

</details>
"""


# %% nbgrader={"grade_id": "block-code", "solution": true}
class ResidualBlock(nn.Module):
    """y = ReLU(F(x) + S(x)): the correction F has two 3×3 convolutions, S is the shortcut.

    Takes x (B, in_channels, H, W), returns y (B, out_channels, ⌈H/stride⌉, ⌈W/stride⌉). The stride is 1 or 2.
    """

    def __init__(self, in_channels, out_channels, stride):
        super().__init__()
        ### BEGIN SOLUTION
        self.correction = nn.Sequential(
            nn.Conv2d(in_channels, out_channels, 3, stride=stride, padding=1, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(),
            nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(out_channels),
        )
        if stride == 1 and in_channels == out_channels:
            self.shortcut = nn.Identity()
        else:
            self.shortcut = nn.Sequential(
                nn.Conv2d(in_channels, out_channels, 1, stride=stride, bias=False),
                nn.BatchNorm2d(out_channels),
            )
        ### END SOLUTION

    def forward(self, x):
        ### BEGIN SOLUTION
        return functional.relu(self.correction(x) + self.shortcut(x))
        ### END SOLUTION


# %% nbgrader={"grade_id": "block-shapes", "grade": true, "points": 3, "locked": true}
torch.manual_seed(1)
for in_channels, out_channels, stride in (4, 6, 2), (4, 6, 1), (4, 4, 2), (4, 4, 1):
    block = ResidualBlock(in_channels, out_channels, stride)
    y = block(torch.randn(2, in_channels, 9, 12))
    sides = -(-9 // stride), -(-12 // stride)
    name = f"ResidualBlock({in_channels}, {out_channels}, {stride})"
    assert y is not None, f"{name} returns None: is a return statement missing?"
    shape = f"{name}: (2, {in_channels}, 9, 12) becomes {tuple(y.shape)}, not (B, out_channels, ⌈H/stride⌉, ⌈W/stride⌉)"
    assert y.shape == (2, out_channels, *sides), shape
    convolutions = [layer for layer in block.modules() if isinstance(layer, nn.Conv2d)]
    kernels = [layer.kernel_size for layer in convolutions]
    assert kernels.count((3, 3)) == 2, f"{name} should have two 3×3 convolutions; its kernels are {kernels}"
    norms = sum(isinstance(layer, nn.BatchNorm2d) for layer in block.modules())
    assert norms == len(kernels), f"{name}: each of its {len(kernels)} convolutions needs a batch norm; it has {norms}"
    found = []  # the sides after each 3×3 convolution
    for layer in convolutions:
        if layer.kernel_size == (3, 3):
            layer.register_forward_hook(lambda _, inputs, output, to=found: to.append(tuple(output.shape[2:])))
    block(torch.randn(2, in_channels, 9, 12))
    assert set(found) == {sides}, f"{name}: the first 3×3 convolution should take the stride; the sides become {found}"
    print(f"ok  {name}: (9, 12) becomes {tuple(y.shape[2:])}, {count_parameters(block)} parameters")

# %% nbgrader={"grade_id": "block-shortcut", "grade": true, "points": 4, "locked": true}
torch.manual_seed(2)
x = torch.randn(2, 4, 5, 7)
for out_channels, stride in (6, 2), (6, 1), (4, 2), (4, 1):
    block = ResidualBlock(4, out_channels, stride).eval()  # a fresh batch norm in evaluation mode is the identity
    for layer in block.modules():
        if isinstance(layer, nn.Conv2d) and layer.kernel_size == (3, 3):
            nn.init.zeros_(layer.weight)  # F is 0 now: only the shortcut is left
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        elif isinstance(layer, nn.BatchNorm2d) and layer.affine:
            nn.init.ones_(layer.weight)  # whatever you start with
    before = x.clone()
    y = block(x)
    assert torch.equal(x, before), "the block changes the tensor x that it is given"
    assert y.min() >= 0, "the output of the block has negative numbers; a ReLU returns none"
    assert y.any(), f"4 → {out_channels} channels, stride {stride}: where F is 0, so is the output. Is S(x) added?"
    if (out_channels, stride) == (4, 1):
        assert torch.allclose(y, x.relu(), atol=1e-5), "where F is 0, the block should return ReLU(x)"
print("ok  where F is 0, the shortcut is left")

# %% [markdown] nbgrader={"grade_id": "convnet-text", "locked": true}
r"""
## 2 · A network of blocks

**Exercise 2 · `ConvNet`** · 5 points · ★★☆ · 30 minutes

*Design a small, fast network that turns images `(B, 1, 28, 28)` into logits `(B, num_classes)`, for any number of
classes.* The rules:

- It has at least two convolutions, batch norm, pooling and at least one residual connection.
- A linear layer comes last. Nothing follows it, no softargmax either.
- It has **at most 100,000 parameters**; a quarter of that is plenty. Every parameter gets a gradient.
- In evaluation mode, an image's logits must not depend on the other images in the batch.
- It must not change the images that it is given.

Everything else is your choice. A common plan has four parts:

1. a **stem**: one convolution from brightness to a few channels, with batch norm and ReLU;
2. **residual blocks**, in which the sides shrink and the channels grow;
3. **pooling** over all places that are left, `(B, C, H, W)` → `(B, C)` (Lin et al. 2014);
4. a **linear head**, `(B, C)` → `(B, K)`.

Shared weights make the feature maps move with the digit (*equivariance*). Pooling over all places then makes the
logits nearly independent of the place (*invariance*, except for strides and edges).

The loss, `nn.CrossEntropyLoss`, takes logits and applies softargmax itself. A second softargmax is easily overlooked:
the loss falls, and the accuracy may even be good. But for ten classes the loss cannot fall below 1.46.

<details><summary>Hint</summary>

Write the shape beside each line. Long sides cost *time*; many channels cost *parameters*. Your block can shrink the
sides early. Eight to sixteen channels are a good start. What should the head see of each channel's map: all places, or
one number?

</details>
"""


# %% nbgrader={"grade_id": "convnet-code", "solution": true}
class ConvNet(nn.Module):
    """Takes images (B, 1, 28, 28), returns logits (B, num_classes); at most 100,000 parameters."""

    def __init__(self, num_classes):
        super().__init__()
        ### BEGIN SOLUTION
        self.stem = nn.Sequential(
            nn.Conv2d(1, 12, 5, stride=2, padding=2, bias=False),  # (B, 12, 14, 14)
            nn.BatchNorm2d(12),
            nn.ReLU(),
        )
        self.block_1 = ResidualBlock(12, 24, stride=2)  # (B, 24, 7, 7)
        self.block_2 = ResidualBlock(24, 32, stride=2)  # (B, 32, 4, 4)
        self.pool = nn.AdaptiveAvgPool2d(1)  # (B, 32, 1, 1)
        self.head = nn.Linear(32, num_classes)
        ### END SOLUTION

    def forward(self, x):
        ### BEGIN SOLUTION
        x = self.stem(x)
        x = self.block_1(x)
        x = self.block_2(x)
        x = self.pool(x).flatten(1)  # (B, 32)
        return self.head(x)  # (B, num_classes)
        ### END SOLUTION


# %% nbgrader={"grade_id": "convnet", "grade": true, "points": 5, "locked": true}
torch.manual_seed(3)
for num_classes in 10, 3:
    net, x = ConvNet(num_classes), torch.randn(5, 1, 28, 28)
    logits = net(x)
    assert logits is not None, "ConvNet returns None: is a return statement missing?"
    assert logits.shape == (5, num_classes), f"ConvNet({num_classes}) turns 5 images into {tuple(logits.shape)}"
    assert not torch.allclose(logits.exp().sum(1), torch.ones(5)), "the outputs are log-probabilities, not logits"
    assert not torch.allclose(logits.sum(1), torch.ones(5)), "the outputs are probabilities, not logits"
    assert count_parameters(net) <= 100_000, f"{count_parameters(net):,} parameters are too many: at most 100,000"
    logits.square().sum().backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None, f"{name} gets no gradient: is its layer used in forward?"
    net.eval()
    assert torch.allclose(net(x)[:1], net(x[:1]), atol=1e-4), "an image's logits depend on the rest of its batch"
for kind in nn.Conv2d, nn.BatchNorm2d, nn.Linear:
    print(f"ok  {sum(isinstance(layer, kind) for layer in net.modules())} × {kind.__name__}")
print(f"ok  {count_parameters(ConvNet(10)):,} parameters")

# %% [markdown] nbgrader={"grade_id": "loss-text", "locked": true}
r"""
## 3 · Measure and step

**Exercise 3 · `get_loss_and_correct` and `step`** · 3 + 1 points · ★☆☆ · 20 minutes

*`get_loss_and_correct(model, batch, criterion, device)` returns the loss of a batch, and how many of its images are
classified correctly.* Send images and labels to `device`. The loss is `criterion(logits, labels)` for whatever
criterion the caller gives: a scalar tensor, with its graph, so that the caller can call `.backward()`. An image counts
as correct if the largest logit is that of its label. Return the count, not a percentage: only counts can be added up
over batches of different sizes. The function runs the model once. It must not change the batch, the model's mode or
its gradients.

*`step(loss, optimizer)` makes the optimiser take one step along the gradient of this loss.* PyTorch *adds* to
`.grad`, as your own layers did in Homework 1. Gradients of earlier steps must not count.

<details><summary>Hint</summary>

Along which axis of `(B, K)` do the classes lie? `step` needs three calls. For each order of the three, ask: what is in
`.grad` when the optimiser takes its step?

</details>
"""


# %% nbgrader={"grade_id": "loss-code", "solution": true}
def get_loss_and_correct(model, batch, criterion, device):
    """The loss of a batch, and the number of its images that are classified correctly.

    model:     maps images (B, …) to logits (B, K); it lives on `device`
    batch:     a pair: images (B, …) and labels (B,), whole numbers from 0 to K - 1, on any device
    criterion: a function of logits (B, K) and labels (B,), in this order; returns a scalar tensor
    device:    where to compute

    Returns a tuple: the loss, a scalar tensor with its graph, and the number of correct images (0 to B).
    """
    ### BEGIN SOLUTION
    images, labels = batch
    images, labels = images.to(device), labels.to(device)
    logits = model(images)  # (B, K)
    loss = criterion(logits, labels)
    correct = (logits.argmax(1) == labels).sum().item()
    return loss, correct
    ### END SOLUTION


# %% nbgrader={"grade_id": "loss", "grade": true, "points": 3, "locked": true}
scores = torch.tensor([[3.0, 1.0, 0.0], [0.0, 2.0, 1.0], [1.0, 0.0, -1.0], [5.0, 0.0, 0.0]], requires_grad=True)
batch = torch.arange(4), torch.tensor([0, 1, 2, 0])  # the "images" are row numbers, the "model" looks them up
for criterion in nn.CrossEntropyLoss(), nn.CrossEntropyLoss(reduction="sum"), nn.MultiMarginLoss():
    loss, correct = get_loss_and_correct(lambda rows: scores[rows], batch, criterion, "cpu")
    assert torch.is_tensor(loss) and loss.shape == (), "the loss should be a scalar tensor"
    assert loss.requires_grad, "the loss has no graph: backward() would fail"
    assert torch.allclose(loss, criterion(scores, batch[1])), f"the loss differs from {criterion} of these logits"
    assert correct == 3, f"{correct} is not the number of images whose largest logit is that of the label"
print("ok  loss and count are right")


# %% nbgrader={"grade_id": "step-code", "solution": true}
def step(loss, optimizer):
    """One step of the optimiser along the gradient of this loss. What it returns is not used.

    loss:      a scalar tensor with its graph, as get_loss_and_correct returns it
    optimizer: a torch.optim.Optimizer of the model's parameters
    """
    ### BEGIN SOLUTION
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    ### END SOLUTION


# %% nbgrader={"grade_id": "step", "grade": true, "points": 1, "locked": true}
w = torch.tensor([3.0, -1.0], requires_grad=True)
optimizer = torch.optim.SGD([w], lr=0.25)
for number in 1, 2, 3:  # w² has the gradient 2w: every step halves w
    step((w**2).sum(), optimizer)
    right = torch.tensor([3.0, -1.0]) / 2**number
    assert torch.allclose(w, right), f"step {number} should halve w, which is now {w.tolist()}"
print("ok  three steps, each half as long as the one before")

# %% [markdown] nbgrader={"grade_id": "evaluate-text", "locked": true}
r"""
## 4 · Evaluate

**Exercise 4 · `evaluate`** · 3 points · ★★☆ · 20 minutes

*Return the mean cross-entropy per image and the accuracy, over all images that the loader yields.* The loader is any
iterable of batches, such as a list or a generator, and batches may differ in size. Compute on `device`. Run the model
in evaluation mode and record no gradients. Change nothing: parameters, running averages and gradients stay as they are,
and the model returns to the mode it was in.

Three common mistakes:

- **The mode.** In training mode, batch norm uses the statistics of the current batch, and updates its running
  averages: the validation data leak into the model. In evaluation mode it uses the averages and leaves them alone.
  Dropout (Srivastava et al. 2014) zeroes random values in training mode only.
- **The graph.** Outside `torch.no_grad()`, autograd keeps the feature maps of every layer for a backward pass.
- **The mean.** The last batch is often smaller. A mean of the batches' means gives its images too much weight.

<details><summary>Hint</summary>

Add up over the batches, and divide once at the end. What must you add up if the criterion returns a mean over the
batch? Every module has an attribute `training`, which says in which mode it is.

</details>
"""


# %% nbgrader={"grade_id": "evaluate-code", "solution": true}
def evaluate(model, loader):
    """Mean loss and accuracy over all images that the loader yields, in evaluation mode and without gradients.

    model:  maps images to logits; it is on `device`; `model.training` and all numbers in it must end unchanged
    loader: an iterable of batches (images, labels) of any sizes, for example a list or a generator

    Returns a tuple of two numbers: the mean cross-entropy of an image, and the accuracy from 0 to 1.
    """
    ### BEGIN SOLUTION
    training = model.training
    model.eval()
    criterion = nn.CrossEntropyLoss()
    total_loss, total_correct, total = 0.0, 0, 0
    with torch.no_grad():
        for batch in loader:
            loss, correct = get_loss_and_correct(model, batch, criterion, device)
            size = len(batch[1])
            total_loss += loss.item() * size
            total_correct += correct
            total += size
    model.train(training)
    return total_loss / total, total_correct / total
    ### END SOLUTION


# %% nbgrader={"grade_id": "evaluate", "grade": true, "points": 3, "locked": true}
torch.manual_seed(4)
model = nn.Sequential(nn.BatchNorm1d(6), nn.Linear(6, 4), nn.Dropout(0.5)).to(device)
x, y = 2 * torch.randn(25, 6) + 1, torch.randint(4, (25,))
state = {name: value.clone() for name, value in model.state_dict().items()}
loss, accuracy = evaluate(model, DataLoader(TensorDataset(x, y), batch_size=8))  # batches of 8, 8, 8 and 1
assert model.training, "the model was in training mode, and ends in evaluation mode"
for name, value in model.state_dict().items():
    assert torch.equal(value, state[name]), f"{name} has changed: was the model in evaluation mode?"
evaluate(model.eval(), iter([(x, y)]))  # a loader need not be a DataLoader
assert not model.training, "the model was in evaluation mode, and ends in training mode"
with torch.no_grad():
    logits = model(x.to(device)).cpu()
assert abs(accuracy - (logits.argmax(1) == y).float().mean()) < 1e-6, (
    f"the accuracy {accuracy} is not a mean over all 25 images"
)
assert abs(loss - functional.cross_entropy(logits, y)) < 1e-4, f"the loss {loss} is not the mean over all 25 images"
assert not getattr(loss, "requires_grad", False), "the loss still has a graph: evaluate without gradients"
print("ok  loss and accuracy are right, and nothing has changed")

# %% [markdown] nbgrader={"grade_id": "train-text", "locked": true}
r"""
## 5 · Train

**Exercise 5 · `train`** · 2 points for the loop, 3 for what is learned · ★★☆ · 35 minutes

*Write the loop, and tune it until your network reads the digits.* An *epoch* is one pass over the loader: measure
every batch once, in training mode, and take a step on it. After each epoch, call `after_epoch()` if it is given. This
call may switch the model to evaluation mode; the next epoch must train in training mode again. Return a list with the
mean loss of each epoch, over its batches or over its images, as floats.

You choose the optimiser (Adam is a good one: Kingma & Ba 2015), the default of `lr`, and a schedule. It pays to let the
learning rate fall to nearly 0 by the end of the last epoch. The schedules of `torch.optim.lr_scheduler` can change it
after every *step*, `epochs * len(loader)` times. Over our five runs, Adam with each of three constant rates stayed 4 to
8 percentage points behind a falling one, on average.

**What is graded.** The grader trains a `ConvNet(10)` by `train(model, loader, epochs=5)` on 6,000 canvases of its own,
in batches of 64, with your defaults. Then it tests the network on 2,000 canvases with other digits. Reading
85 % earns one point, **95 %** all three. Before that, your network must learn forty images by heart, as in the second
check below: over 36 right, a loss below 0.5, and the last loss of your list below 0.5. A run is stopped if it takes
more than ten times as long as ours.

<details><summary>Hint</summary>

With Adam and a schedule, the largest learning rate may be near 0.01. Which line makes sure that the *second* epoch is
in training mode, too? Which numbers may you keep without keeping every batch's graph?

</details>
"""


# %% nbgrader={"grade_id": "train-code", "solution": true}
def train(model, loader, epochs, lr=0.01, after_epoch=None):
    """Train the model in training mode, one step on each batch of each epoch.

    model:       maps images to logits; it is on `device`, and its parameters are updated
    loader:      a DataLoader of batches (images, labels)
    epochs:      the number of passes over the loader
    lr:          the (largest) learning rate; the default is your choice, and you may add arguments with defaults
    after_epoch: None, or a function to call without arguments after every epoch; it may switch the model's mode

    Returns a list with one plain number for each epoch: the mean cross-entropy of its batches or images.
    """
    ### BEGIN SOLUTION
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, lr, total_steps=epochs * len(loader))
    history = []
    for _ in range(epochs):
        model.train()
        losses = []
        for batch in loader:
            loss, _ = get_loss_and_correct(model, batch, criterion, device)
            step(loss, optimizer)
            schedule.step()
            losses.append(loss.item())
        history.append(sum(losses) / len(losses))
        if after_epoch:
            after_epoch()
    return history
    ### END SOLUTION


# %% nbgrader={"grade_id": "train-loop", "grade": true, "points": 2, "locked": true}
torch.manual_seed(5)
x = torch.randn(60, 6)
loader = DataLoader(TensorDataset(x, (x[:, 0] > 0).long()), batch_size=10, shuffle=True)
model, modes, epochs_seen = nn.Sequential(nn.BatchNorm1d(6), nn.Linear(6, 2)).to(device), [], []
model.register_forward_hook(lambda module, inputs, output: modes.append(module.training))


def look():
    epochs_seen.append(len(modes))
    model.eval()


history = train(model, loader, epochs=4, after_epoch=look)
assert history is not None and len(history) == 4, "train should return a list with one loss for each epoch"
assert all(isinstance(loss, float) for loss in history), "losses should be plain numbers: a tensor can keep its graph"
assert all(modes), "a batch was measured in evaluation mode; every epoch should use training mode"
assert epochs_seen == [6, 12, 18, 24], f"after_epoch was called after {epochs_seen} batches; an epoch has 6"
assert history[-1] < history[0], f"the losses do not fall: {history}"
still = nn.Linear(6, 2).to(device)
before = still.weight.detach().clone()
train(still, loader, epochs=1, lr=1e-7)
assert torch.allclose(still.weight, before, atol=1e-3), "lr=1e-7 moves the weights: is lr the learning rate?"
print("ok  the loop is right; losses", [round(loss, 2) for loss in history])

# %% nbgrader={"grade_id": "train-learns", "grade": true, "points": 3, "locked": true}
# Forty random pictures with arbitrary labels: there is no rule, but a network can learn them by heart.
torch.manual_seed(6)
x, y = functional.avg_pool2d(torch.randn(40, 1, 30, 30), 3, stride=1) * 2, torch.arange(40) % 4
net = ConvNet(4).to(device)
history = train(net, DataLoader(TensorDataset(x, y), batch_size=20, shuffle=True), epochs=40)
loss, accuracy = evaluate(net, DataLoader(TensorDataset(x, y), batch_size=40))
print(f"after 80 steps on 40 images: loss {loss:.3f}, accuracy {accuracy:.0%}")
assert accuracy > 0.9 and loss < 0.5, "more than 36 of 40 images should be right, with a loss below 0.5"
assert history[-1] < 0.5, f"train reports a loss of {history[-1]:.2f}: does the criterion get logits?"

# %% [markdown] nbgrader={"grade_id": "contrast-text", "locked": true}
r"""
## 6 · Who sees, and why?

Two networks, two data sets, four runs from fresh parameters:

- Networks: yours and a **fully connected** one with 55,000 parameters, both trained by your `train`.
- Data: the canvases, and the same with **permuted pixels** (Zhang et al. 2017): one random permutation for all images,
  in training and in validation. It can be undone, so no information is lost.

**Exercise 6 · a prediction** · ½ point · 2 minutes. What does the permutation do to the validation accuracy after five
epochs? Choose the line that you expect to come closest.

- **A** · Neither network loses more than 5 percentage points.
- **B** · Your network loses more than 10 points, the fully connected one less than 5.
- **C** · The fully connected network loses more than 10 points, yours less than 5.
- **D** · Both lose more than 10 points.

*Set `permuted_prediction` to one letter, as a string.* Each of the four earns the ½ point. What counts is that you
commit before you look.
"""

# %% nbgrader={"grade_id": "permuted-prediction-code", "solution": true}
# permuted_prediction = "…"   # "A", "B", "C" or "D"
### BEGIN SOLUTION
permuted_prediction = "B"
### END SOLUTION

# %% nbgrader={"grade_id": "permuted-prediction", "grade": true, "points": 0.5, "locked": true}
letter = isinstance(permuted_prediction, str) and permuted_prediction in ("A", "B", "C", "D")
assert letter, "permuted_prediction should be one letter, A, B, C or D, as a string"
print("ok  you have committed; now run the experiment")

# %% nbgrader={"grade_id": "contrast", "locked": true, "gives": ["curves", "digit_net"]} tags=["demo"]
shuffled = torch.randperm(28 * 28, generator=dice)


def permuted(dataset):
    images, labels = dataset.tensors
    return TensorDataset(images.flatten(1)[:, shuffled].reshape(images.shape), labels)


def mlp():
    widths = nn.Linear(784, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10)
    return nn.Sequential(nn.Flatten(), *widths)


def run(name, model, change=lambda dataset: dataset, lr=None):
    """Train a model with your loop. Returns its validation accuracy after every epoch."""
    training = DataLoader(change(train_set), batch_size=64, shuffle=True)
    validation = DataLoader(change(valid_set), batch_size=250)
    curve = []

    def look():
        curve.append(evaluate(model, validation)[1])
        print(f"\r{name}: epoch {len(curve)} of 5, {curve[-1]:.1%} correct", end="")

    train(model, training, epochs=5, after_epoch=look, **({"lr": lr} if lr else {}))
    print(f" ({count_parameters(model):,} parameters)")
    return curve


torch.manual_seed(0)
digit_net = ConvNet(10).to(device)
curves = {
    "your network": run("your network", digit_net),
    "your network, permuted pixels": run("your network, permuted pixels", ConvNet(10).to(device), permuted),
    "fully connected": run("fully connected", mlp().to(device), lr=0.01),
    "fully connected, permuted pixels": run("fully connected, permuted pixels", mlp().to(device), permuted, lr=0.01),
}

# %% nbgrader={"grade_id": "contrast-figure", "locked": true} tags=["demo"]
figure, ax = plt.subplots(figsize=(6.4, 3.2))
for (name, curve), look in zip(curves.items(), ("o-", "o--", "s-", "s--"), strict=True):
    ax.plot(range(1, 6), curve, look, color=ORANGE if "connected" in name else BLUE, label=f"{name}: {curve[-1]:.0%}")
ax.axhline(0.95, color="black", linewidth=0.7, linestyle=":")
ax.set(xticks=range(1, 6), ylim=(0, 1), xlabel="epoch", ylabel="validation accuracy", title="Who sees?")
ax.legend(fontsize=8, loc="upper left", bbox_to_anchor=(1, 1))
grown = "; ".join(f"{name}: {curve[0]:.0%} and {curve[-1]:.0%}" for name, curve in curves.items())
show_figure(f"Validation accuracy after the first and the last epoch. {grown}. A line marks the goal, 95%.")
assert curves["your network"][-1] > 0.95, "your network stays below 95 %: does the rate fall? Is the network too small?"

# %% [markdown] nbgrader={"grade_id": "contrast-answer-text", "locked": true}
r"""
*In the figure: validation accuracy after each epoch; circles for your network, squares for the fully connected one,
dashed lines for permuted pixels, the goal of 95 % dotted.* We trained our own solution on five seeds:

| accuracy after five epochs | pixels in place | permuted pixels | mirrored images |
| --- | --- | --- | --- |
| our convolutional network | 97 to 99 % | 62 to 69 % | 97 to 99 % |
| fully connected network | 64 to 71 % | 65 to 71 % | – |

Mirroring an image left to right is a permutation of its pixels, too.

**Your answer** · ½ point · 3 minutes. *In one or two sentences: what does the permutation do to each network, and why?*
A wrong prediction costs nothing."""

# %% [markdown] nbgrader={"grade_id": "permuted-cause", "grade": true, "solution": true, "points": 0.5}
r"""
### BEGIN SOLUTION
The convolutional network loses some thirty points when the pixels are permuted; the fully connected one loses nothing.
A convolution computes its features from neighbouring pixels, with the same weights at every place. After the
permutation, neighbours in the tensor are no longer neighbours in the picture, so one stroke looks different at each
place. The fully connected network has a weight of its own for each pixel, so their order means nothing to it. The
permutation as such is not the cause: mirrored images keep their neighbours, and cost nothing.

**Mark scheme (½ point)**

1. ¼: says what the student's own figure shows for both networks: the convolutional one loses much, the fully connected
   one next to nothing. A statement about one network only: nothing.
2. ¼: names what mirroring keeps and the permutation destroys: neighbouring pixels, or one pattern that looks alike at
   every place. "Information is lost" or "the images look different", without either: nothing.
### END SOLUTION
"""

# %% [markdown] nbgrader={"grade_id": "maps-text", "locked": true}
r"""
## What it sees

The next figures show the first convolution of your network, after ReLU: its output for one digit, and for the same
digit moved by eight pixels."""

# %% nbgrader={"grade_id": "maps-figure", "locked": true} tags=["demo"]
example = next(image for image in valid_set.tensors[0] if not image[:, 16:].any() and not image[..., 16:].any())
pair = torch.stack([example, example.roll((8, 8), dims=(1, 2))]).to(device)  # (2, 1, 28, 28)
first = next(layer for layer in digit_net.modules() if isinstance(layer, nn.Conv2d))
outputs = []
hook = first.register_forward_hook(lambda layer, inputs, output: outputs.append(output.relu()))
with torch.no_grad():
    digit_net.eval()(pair)
hook.remove()
maps = outputs[0][:, :8]  # (2, up to 8, H, W)
for image, features, place in zip(pair, maps, ("as it was", "moved by 8 rows and 8 columns"), strict=True):
    peaks = [divmod(channel.argmax().item(), channel.shape[1]) for channel in features]
    says = f"The digit {place}, and {len(peaks)} channels. Row and column of each channel's largest response: {peaks}."
    show([image[0], *features], ["the image", *(f"channel {k}" for k in range(len(features)))], says)

# %% [markdown] nbgrader={"grade_id": "mistakes-text", "locked": true}
r"""
*In the figures: the image and the first channels of its feature map; above, as it was; below, moved.* The lower maps
are the upper ones, moved (exactly so away from the edges, if the first stride divides 8): that is equivariance. In our
five runs, at least 10 of 12 channels answered more than twice as strongly to stripes of one direction as to those of
another. Training is not the cause: fresh channels do so, too.

Which digits does your network get wrong, and how certain is it?"""

# %% nbgrader={"grade_id": "right-and-wrong", "locked": true} tags=["demo"]
digit_net.eval()
with torch.no_grad():
    scores = torch.cat([digit_net(images.to(device)).cpu() for images, _ in valid_loader])
    probabilities = scores.softmax(1)  # (2000, 10)
images, labels = valid_set.tensors
sure, guesses = probabilities.max(1)
wrong = (guesses != labels).nonzero().flatten()
wrong = wrong[sure[wrong].argsort(descending=True)][:16]
right = (guesses == labels).nonzero().flatten()[:8]
for rows, height in (right, 1), (wrong, 2):
    titles = [f"{labels[k]}, says {guesses[k]}\np = {sure[k]:.2f}" for k in rows]
    says = ", ".join(f"{labels[k]} as {guesses[k]} ({sure[k]:.2f})" for k in rows)
    show(images[rows, 0], titles, f"Digits and how the network reads them, with its probability: {says}.", rows=height)

# %% [markdown] nbgrader={"grade_id": "cifar-text", "locked": true}
r"""
*In the figures: above, eight images that are read correctly; below, up to sixteen mistakes, the most certain first,
each with its label and the network's answer.* Decide for each whether you would read it correctly. In each of our five
runs, the most certain mistake had a probability above 0.94. A high probability does not mean that the answer is right.

## Optional: photographs

With a connection to the internet, try your loop on CIFAR-10 (Krizhevsky 2009): 60,000 small colour photographs of ten
classes. Set `CONNECTED = True`, and torchvision downloads 170 MB. Without a GPU, expect a much longer wait. The network
below takes three channels and is made of your blocks."""

# %% tags=["demo"]
CONNECTED = False
if CONNECTED:
    from torchvision import datasets, transforms

    normal = transforms.Compose([transforms.ToTensor(), transforms.Normalize((0.5,) * 3, (0.25,) * 3)])
    photographs = [datasets.CIFAR10("data", train=part, download=True, transform=normal) for part in (True, False)]
    training, validation = (DataLoader(part, batch_size=128, shuffle=True) for part in photographs)
    stages = [ResidualBlock(32, 32, 1), ResidualBlock(32, 64, 2), ResidualBlock(64, 128, 2)]
    stem = [nn.Conv2d(3, 32, 3, padding=1, bias=False), nn.BatchNorm2d(32), nn.ReLU()]
    larger = nn.Sequential(*stem, *stages, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(128, 10)).to(device)
    train(larger, training, epochs=5, after_epoch=lambda: print(f"{evaluate(larger, validation)[1]:.1%}"))
else:
    print("Skipped: set CONNECTED = True to download the photographs.")

# %% [markdown] nbgrader={"grade_id": "farewell", "locked": true}
r"""
## What you have seen

- A convolution is a linear layer with two assumptions built in: neighbours belong together, and the same weights fit
  every place.
- A shortcut makes it easy for a block to do nothing. A ReLU after the sum still gets in its way.
- Training is five lines and four common mistakes: stale gradients, the wrong mode, the wrong mean, a second
  softargmax.

**To go on** (no points): Leave the shortcuts out of your network and compare the curves. Move one digit over all 289
places, and draw the probability of its label as a map: how invariant is your network? Train on digits in the left half
only, and test on the right.

**Sources.** Digits: Alpaydin & Kaynak 1998, *Optical recognition of handwritten digits*. Convolutional networks:
LeCun, Bottou, Bengio & Haffner 1998, *Gradient-based learning applied to document recognition*. Residual blocks: He,
Zhang, Ren & Sun 2016a, *Deep residual learning for image recognition*. Pre-activation: the same authors 2016b,
*Identity mappings in deep residual networks*. Batch norm: Ioffe & Szegedy 2015, *Batch normalization: accelerating
deep network training by reducing internal covariate shift*. Global pooling: Lin, Chen & Yan 2014, *Network in
network*. Dropout: Srivastava et al. 2014, *Dropout: a simple way to prevent neural networks from overfitting*. Adam:
Kingma & Ba 2015, *Adam: a method for stochastic optimization*. Permuted pixels: Zhang et al. 2017, *Understanding deep
learning requires rethinking generalization*. CIFAR-10: Krizhevsky 2009, *Learning multiple layers of features from
tiny images*."""
