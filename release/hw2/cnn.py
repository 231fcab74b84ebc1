# %% [markdown] nbgrader={"grade": false, "grade_id": "header", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
# A small network that sees

Show a fully connected network a seven in the upper left corner, a thousand times, and it knows that seven. Show it the
same seven in the lower right corner, and it is lost: other pixels, other weights, nothing learned applies. A
convolutional network cannot make this mistake, because it looks at every place with the same eyes. Today you build
one, and train it with a loop that you have written yourself.

**What you will build.** A residual block, a network made of such blocks, and the four functions that stand behind every
training run: measure, step, evaluate, train. At the end your network reads digits wherever they stand, with fewer
parameters than a fully connected one that cannot.

| exercise | you write | points | difficulty | minutes |
| --- | --- | --- | --- | --- |
| 1 | `ResidualBlock` | 3 + 4 | ★★☆ | 40 |
| 2 | `ConvNet` | 5 | ★★☆ | 30 |
| 3 | `get_loss_and_correct`, `step` | 3 + 2 | ★☆☆ | 25 |
| 4 | `evaluate` | 3 | ★★☆ | 20 |
| 5 | `train` | 2 + 3 | ★★☆ | 35 |
| | **in all** | **25** | | **150** |

**You need** convolutions and their output shapes (the theory notebook of this homework), `nn.Module`, and stochastic
gradient descent. Everything runs on a CPU; the longest cell takes half a minute.

**How to work.** Replace each `raise NotImplementedError` by your code. The cells below it check your work on small
examples and say in which way you are off. Cells that train for long or only draw are skipped while you are graded: the
grader builds your network, trains it with your loop on images of its own, and looks at what it has learned.
"""

# %% [markdown] nbgrader={"grade": false, "grade_id": "colab", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
[![Open this notebook in Google Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/your-organisation/deep-learning/blob/main/release/hw2/cnn.ipynb)
"""

# %% nbgrader={"grade": false, "grade_id": "setup", "locked": true, "schema_version": 3, "solution": false, "task": false}
# Set-up, the same for everybody: run this cell first.
import random

import numpy as np
import torch

if torch.__version__ < (2, 9):
    print(f"This notebook needs PyTorch 2.9 or newer, and this is {torch.__version__}: please upgrade it.")

random.seed(0)
np.random.seed(0)
torch.manual_seed(0)
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

# The cells below use these names themselves: BLUE, count_parameters, device, GREEN, ORANGE, RED, show, place,
# dice, train_set, valid_loader, valid_set, curves, digit_net. Give your own helpers other names.

# %% nbgrader={"grade": false, "grade_id": "helpers", "locked": true, "schema_version": 3, "solution": false, "task": false}
import matplotlib.pyplot as plt
import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

BLUE, ORANGE, GREEN, RED = "#0072B2", "#E69F00", "#009E73", "#D55E00"  # safe for colour-blind readers
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")


def show(images, titles, rows=1):
    """Draw images (N, H, W), each with its title, in so many rows."""
    columns = -(-len(images) // rows)
    axes = plt.figure(figsize=(1.05 * columns, 1.35 * rows)).subplots(rows, columns, squeeze=False).ravel()
    for ax in axes:
        ax.axis("off")
    for ax, image, title in zip(axes, images, titles, strict=False):
        ax.imshow(image.detach().cpu(), cmap="gray")
        ax.set_title(title, fontsize=8)
    plt.show()


def count_parameters(model):
    """How many numbers a model can learn."""
    return sum(parameter.numel() for parameter in model.parameters())


# %% [markdown] nbgrader={"grade": false, "grade_id": "data-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
## Digits that stand anywhere

Our data are scikit-learn's handwritten digits. Each has 8×8 pixels; we enlarge it to 12×12, and put it down at a
random place of a dark canvas of 28×28. There are $17 \cdot 17 = 289$ places. The training set has 6,000 canvases,
drawn from 1,400 of the digits: every digit is seen in about four places, and never in the other 285. The validation
set uses the 397 remaining digits.

**Notation.** A batch of images is a tensor of shape `(B, C, H, W)`: examples, channels, rows, columns. Here $C = 1$,
the brightness, from 0 to 1. The network answers with *logits* `(B, K)`, one score for each class, of any size and
sign.
"""


# %% nbgrader={"grade": false, "grade_id": "place", "locked": true, "schema_version": 3, "solution": false, "task": false}
def place(digits, generator, side=12, canvas=28):
    """Puts digits (N, 1, 8, 8) down at random places of dark canvases (N, 1, 28, 28)."""
    large = functional.interpolate(digits, size=(side, side), mode="bilinear")  # (N, 1, 12, 12)
    images = torch.zeros(len(digits), 1, canvas, canvas)
    corners = torch.randint(canvas - side + 1, (len(digits), 2), generator=generator)
    for image, digit, (top, left) in zip(images, large, corners.tolist(), strict=True):
        image[:, top : top + side, left : left + side] = digit
    return images


# %% nbgrader={"grade": false, "grade_id": "data", "locked": true, "schema_version": 3, "solution": false, "task": false} tags=["demo"]
def _figure():
    from sklearn.datasets import load_digits

    dice = torch.Generator().manual_seed(0)
    digits = load_digits()
    order = torch.randperm(len(digits.target), generator=dice)
    digits_8 = torch.tensor(digits.images, dtype=torch.float32)[order, None] / 16  # (1797, 1, 8, 8)
    digits_y = torch.tensor(digits.target)[order]  # (1797,)


    def canvases(pool, number):
        """A data set of so many canvases with digits from `pool`."""
        rows = pool[torch.randint(len(pool), (number,), generator=dice)]
        return TensorDataset(place(digits_8[rows], dice), digits_y[rows])


    train_set, valid_set = canvases(torch.arange(1400), 6000), canvases(torch.arange(1400, 1797), 2000)
    train_loader = DataLoader(train_set, batch_size=64, shuffle=True)
    valid_loader = DataLoader(valid_set, batch_size=250)
    images, labels = next(iter(train_loader))
    show(images[:16, 0], [f"label {label}" for label in labels.tolist()], rows=2)
    return dice, train_set, valid_loader, valid_set


dice, train_set, valid_loader, valid_set = _figure()

# %% [markdown] nbgrader={"grade": false, "grade_id": "block-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
*In the figure: sixteen canvases of the training set with their labels.* Nothing in an image tells where to look.

## 1 · A block with a shortcut

Deep stacks of layers are hard to train: what the first layer says has to survive all the others, and so does
the gradient on its way back. A residual block makes it easy to do nothing. It computes a *correction* $F(x)$, and adds
it to what came in:

$$y = \mathrm{ReLU}\bigl(F(x) + S(x)\bigr), \qquad F = \mathrm{BN} \circ \mathrm{conv}_{3 \times 3} \circ
\mathrm{ReLU} \circ \mathrm{BN} \circ \mathrm{conv}_{3 \times 3} .$$

$S$ is the shortcut. Where input and output have the same shape it is the identity: no parameters, nothing to learn, and
$\partial y / \partial x$ contains an identity matrix that no depth wears away. Two things may spoil the match: another
number of channels, and a stride. Then something has to bring $x$ into shape, and the cheapest thing that can is
$S = \mathrm{BN} \circ \mathrm{conv}_{1 \times 1}$, with the block's stride. It mixes channels at each place and looks
at no neighbours.

The first of the two 3×3 convolutions takes the stride; the other one has stride 1. Padding 1 keeps the sides, so that
$H$ rows become $\lceil H / \text{stride} \rceil$. The batch norm that follows takes away each channel's mean,
hence a convolution before it needs no bias; one does no harm.

**Exercise 1 · `ResidualBlock`** · 3 points for shapes and layers, 4 for the shortcut · ★★☆ · 40 minutes

*Write the block with `nn.Conv2d` and `nn.BatchNorm2d`, and see to it that the shortcut fits in all cases.* The block
must not change the tensor $x$ that it is given.

<details><summary>Hint</summary>

When exactly is $S$ the identity? Two conditions, and both are needed. Make a table of the four combinations, then
write down the shape of $F(x)$ and of $S(x)$ in each. A batch norm keeps running averages of *its* channels, so it
cannot serve in two places. And look at the equation again: what does the outer ReLU act on?

</details>
"""


# %% nbgrader={"grade": false, "grade_id": "block-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
class ResidualBlock(nn.Module):
    """y = ReLU(F(x) + S(x)), with F two 3×3 convolutions and S the shortcut.

    Takes x (B, in_channels, H, W), returns y (B, out_channels, ⌈H/stride⌉, ⌈W/stride⌉). The stride is 1 or 2.
    """

    def __init__(self, in_channels, out_channels, stride):
        super().__init__()
        raise NotImplementedError

    def forward(self, x):
        raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "block-shapes", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def _check_block_shapes():
    torch.manual_seed(1)
    for in_channels, out_channels, stride in (4, 6, 2), (4, 6, 1), (4, 4, 2), (4, 4, 1):
        block = ResidualBlock(in_channels, out_channels, stride)
        y = block(torch.randn(2, in_channels, 9, 12))
        right = (2, out_channels, -(-9 // stride), -(-12 // stride))
        name = f"ResidualBlock({in_channels}, {out_channels}, {stride})"
        assert y is not None, f"{name} returns None: is a return statement missing?"
        assert y.shape == right, f"{name} turns (2, {in_channels}, 9, 12) into {tuple(y.shape)}; it should be {right}"
        convolutions = [layer for layer in block.modules() if isinstance(layer, nn.Conv2d)]
        kernels = [layer.kernel_size for layer in convolutions]
        assert kernels.count((3, 3)) == 2, f"{name} should have two 3×3 convolutions; its kernels are {kernels}"
        norms = sum(isinstance(layer, nn.BatchNorm2d) for layer in block.modules())
        assert norms == len(kernels), f"{name}: each of its {len(kernels)} convolutions needs a batch norm; it has {norms}"
        sides = []  # after each 3×3 convolution
        for layer in convolutions:
            if layer.kernel_size == (3, 3):
                layer.register_forward_hook(lambda _, inputs, output, to=sides: to.append(tuple(output.shape[2:])))
        block(torch.randn(2, in_channels, 9, 12))
        assert set(sides) == {right[2:]}, f"{name}: the first 3×3 convolution takes the stride; the sides become {sides}"
        print(f"ok  {name}: (9, 12) becomes {tuple(y.shape[2:])}, {count_parameters(block)} parameters")


_check_block_shapes()


# %% nbgrader={"grade": true, "grade_id": "block-shortcut", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def _check_block_shortcut():
    torch.manual_seed(2)
    x = torch.randn(2, 4, 5, 7)
    for out_channels, stride in (6, 2), (6, 1), (4, 2), (4, 1):
        block = ResidualBlock(4, out_channels, stride).eval()  # a fresh batch norm in evaluation mode is the identity
        for layer in block.modules():
            if isinstance(layer, nn.Conv2d) and layer.kernel_size == (3, 3):
                nn.init.zeros_(layer.weight)  # the correction is switched off: only the shortcut is left
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)
        before = x.clone()
        y = block(x)
        assert torch.equal(x, before), "the block changes the tensor x that it is given"
        assert y.min() >= 0, "the block's output should be that of a ReLU"
        assert y.any(), f"4 → {out_channels} channels, stride {stride}: without F the output is 0, there is no shortcut"
        if (out_channels, stride) == (4, 1):
            assert torch.allclose(y, x.relu(), atol=1e-5), "without F the block should give ReLU(x)"
    print("ok  what comes in can take the shortcut")


_check_block_shortcut()

# %% [markdown] nbgrader={"grade": false, "grade_id": "convnet-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
## 2 · A network of blocks

Now stack. A common plan has four parts:

1. a **stem**, one convolution that turns brightness into a handful of channels (edges, mostly), with batch norm and
   ReLU;
2. **residual blocks** in which the picture shrinks while the channels grow;
3. **pooling** over all places that are left, `(B, C, H, W)` → `(B, C)`: it forgets *where*, and keeps *whether*;
4. a **linear head**, `(B, C)` → `(B, K)`, whose output are the logits.

The third part is what a fully connected network lacks. Weights that are shared over places make the feature maps move
along with the digit (equivariance); averaging over places then makes the answer stay the same (invariance, up to
strides and edges).

There is no softargmax at the end. The loss, `nn.CrossEntropyLoss`, takes logits and does it inside, in a way that
doesn't overflow. Doing it twice is the most popular mistake of all: nothing crashes, the loss even falls, only
slowly, and never to zero.

**Exercise 2 · `ConvNet`** · 5 points · ★★☆ · 30 minutes

*Design a network that is small and fast.* The rules: at least two convolutions, batch norm, some pooling, at least one
residual connection, a linear layer at the very end; images `(B, 1, 28, 28)`, any number of classes, and **at most
100,000 parameters**. Half of them, even a quarter, is plenty. Every part of it is used: a parameter that never gets a
gradient is a parameter for nothing.

<details><summary>Hint</summary>

Write the shape beside each line before you write the line. Most of the *time* goes where the picture is large; most of
the *parameters* sit where the channels are many. So who should shrink early, and by what? You have built a block that
can do it. Eight to sixteen channels are a good start. At the end, decide what the head should see of each channel's
map: all its places, or one number?

</details>
"""


# %% nbgrader={"grade": false, "grade_id": "convnet-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
class ConvNet(nn.Module):
    """Takes images (B, 1, 28, 28), returns logits (B, num_classes); at most 100,000 parameters."""

    def __init__(self, num_classes):
        super().__init__()
        raise NotImplementedError

    def forward(self, x):
        raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "convnet", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
def _check_convnet():
    torch.manual_seed(3)
    for num_classes in 10, 3:
        net, x = ConvNet(num_classes), torch.randn(5, 1, 28, 28)
        logits = net(x)
        assert logits is not None, "ConvNet returns None: is a return statement missing?"
        assert logits.shape == (5, num_classes), f"the shape is {tuple(logits.shape)}, it should be (5, {num_classes})"
        assert not torch.allclose(logits.exp().sum(1), torch.ones(5)), "log-probabilities come out: leave that to the loss"
        assert not torch.allclose(logits.sum(1), torch.ones(5)), "probabilities come out: leave the softargmax to the loss"
        assert count_parameters(net) <= 100_000, f"{count_parameters(net):,} parameters are too many: at most 100,000"
        logits.square().sum().backward()
        for name, parameter in net.named_parameters():
            assert parameter.grad is not None, f"{name} gets no gradient: is its layer used in forward?"
        net.eval()
        assert torch.allclose(net(x)[:1], net(x[:1]), atol=1e-4), "an image's logits depend on its neighbours in the batch"
    for kind in nn.Conv2d, nn.BatchNorm2d, nn.Linear:
        print(f"ok  {sum(isinstance(layer, kind) for layer in net.modules())} × {kind.__name__}")
    print(f"ok  {count_parameters(ConvNet(10)):,} parameters")


_check_convnet()

# %% [markdown] nbgrader={"grade": false, "grade_id": "loss-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
## 3 · Measure and step

Training repeats two small things: *how wrong are we on this batch?* and *move a little*. Write them once, well, and
use them for every network that you will ever train.

The first takes a batch, a pair of images and labels, to the `device` on which the model lives, and asks the model. It
returns the loss, a scalar tensor with its graph still attached (somebody will want to call `.backward()`), and the
*number* of images, out of $B$, for which the largest logit is that of the label. Numbers can be added up over batches
of different sizes; percentages cannot. The `criterion` is the caller's choice: a function of `(logits, labels)`.

The second makes the optimiser take one step down the gradient of this loss, of this one alone. PyTorch *adds* to every
`.grad`, as your own layers did in the first homework.

**Exercise 3 · `get_loss_and_correct` and `step`** · 3 + 2 points · ★☆☆ · 25 minutes

*Three lines each.*

<details><summary>Hint</summary>

Along which axis do the classes lie, if logits are `(B, K)`? For the step: three calls, and two of the six orders in
which they could be made are right, if nobody else touches the gradients.

</details>
"""


# %% nbgrader={"grade": false, "grade_id": "loss-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def get_loss_and_correct(model, batch, criterion, device):
    """The loss of a batch, and how many of its images are classified correctly.

    model:     maps images (B, …) to logits (B, K); it lives on `device`
    batch:     a pair: images (B, …) and labels (B,), whole numbers from 0 to K - 1, wherever they live
    criterion: a function of logits (B, K) and labels (B,), in this order, which returns a scalar tensor
    device:    where to compute

    Returns a tuple of the loss, a scalar tensor that can be differentiated, and the number of correct ones (0 to B).
    """
    raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "loss", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def _check_loss():
    scores = torch.tensor([[3.0, 1.0, 0.0], [0.0, 2.0, 1.0], [1.0, 0.0, -1.0], [5.0, 0.0, 0.0]], requires_grad=True)
    batch = torch.arange(4), torch.tensor([0, 1, 2, 0])  # a "model" that looks its answer up: images are row numbers
    for criterion in nn.CrossEntropyLoss(), nn.CrossEntropyLoss(reduction="sum"), nn.MultiMarginLoss():
        loss, correct = get_loss_and_correct(lambda rows: scores[rows], batch, criterion, "cpu")
        assert torch.is_tensor(loss) and loss.shape == (), "the loss should be a scalar tensor"
        assert loss.requires_grad, "the loss has lost its graph: nobody can differentiate it any more"
        assert torch.allclose(loss, criterion(scores, batch[1])), f"this is not what {criterion} says about these logits"
        assert correct == 3, f"3 of these 4 are correct, you count {correct}"
    print("ok  loss and count are right")


_check_loss()


# %% nbgrader={"grade": false, "grade_id": "step-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def step(loss, optimizer):
    """One step of the optimizer down the gradient of the loss, and of nothing else. Returns nothing.

    loss:      a scalar tensor with its graph, as get_loss_and_correct returns it
    optimizer: a torch.optim.Optimizer of the model's parameters
    """
    raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "step", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
def _check_step():
    w = torch.tensor([3.0, -1.0], requires_grad=True)
    optimizer = torch.optim.SGD([w], lr=0.25)
    for number in 1, 2, 3:  # w² has the gradient 2w: every step halves w
        step((w**2).sum(), optimizer)
        right = torch.tensor([3.0, -1.0]) / 2**number
        assert torch.allclose(w, right), f"after step {number} w is {w.tolist()}, it should be {right.tolist()}"
    print("ok  three steps, each half as long as the one before")


_check_step()

# %% [markdown] nbgrader={"grade": false, "grade_id": "evaluate-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
## 4 · Evaluate

How good is the model on data that it has not seen? Asking sounds harmless, and three things can go wrong:

- Batch norm behaves differently. In training mode an image is normalised with the statistics of *the batch it happens
  to be in*, and the running averages move with whatever passes: the validation data leak into the model. Evaluation
  mode uses the averages, and leaves them alone. Dropout throws its dice in training mode only.
- Without need autograd keeps every feature map of every layer. `torch.no_grad()` saves memory and time.
- The last batch is often smaller. A mean of means gives its images more weight than others.

**Exercise 4 · `evaluate`** · 3 points · ★★☆ · 20 minutes

*Ask without leaving a trace.* A model that comes in training mode leaves in training mode, and one that comes in
evaluation mode leaves in evaluation mode. If you evaluate in the middle of training, training must go on in its mode.

<details><summary>Hint</summary>

Add up over the batches, divide once. What has to be added up for the loss, if the criterion returns a mean over the
batch? The mode that a module is in is written in its attribute `training`.

</details>
"""


# %% nbgrader={"grade": false, "grade_id": "evaluate-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def evaluate(model, loader):
    """How well the model does on all that the loader holds, in evaluation mode and without gradients.

    model:  maps images to logits; nothing in it changes, and it leaves in the mode, training or evaluation, it came in
    loader: an iterable of batches (images, labels), which need not be equally large; a plain list, for example

    Returns a tuple of two numbers: the mean cross-entropy of an image, and the accuracy from 0 to 1.
    """
    raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "evaluate", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def _check_evaluate():
    torch.manual_seed(4)
    model = nn.Sequential(nn.BatchNorm1d(6), nn.Linear(6, 4), nn.Dropout(0.5)).to(device)
    x, y = 2 * torch.randn(25, 6) + 1, torch.randint(4, (25,))
    state = {name: value.clone() for name, value in model.state_dict().items()}
    loss, accuracy = evaluate(model, DataLoader(TensorDataset(x, y), batch_size=8))  # batches of 8, 8, 8 and 1
    assert model.training, "the model came in training mode, and leaves in evaluation mode"
    for name, value in model.state_dict().items():
        assert torch.equal(value, state[name]), f"{name} has changed: was the model in evaluation mode?"
    evaluate(model.eval(), [(x, y)])  # a loader may be a list
    assert not model.training, "the model came in evaluation mode, and leaves in training mode"
    with torch.no_grad():
        logits = model(x.to(device)).cpu()
    assert abs(accuracy - (logits.argmax(1) == y).float().mean()) < 1e-6, f"the accuracy is not {accuracy}"
    assert abs(loss - functional.cross_entropy(logits, y)) < 1e-4, f"the mean loss is not {loss}"
    assert not getattr(loss, "requires_grad", False), "the loss still has a graph: evaluate without gradients"
    print("ok  loss and accuracy are right, and there are no traces")


_check_evaluate()

# %% [markdown] nbgrader={"grade": false, "grade_id": "train-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
## 5 · Train

Everything is there. An *epoch* is one pass over the loader; each batch of it is measured and stepped on.

You choose the optimiser and what happens to its learning rate. A short run like ours has two phases. At first large
steps pay: the loss is high and the way is far. At the end the noise of the batches keeps the parameters trembling
around the good place, and only smaller steps let them settle. So let the learning rate fall: a schedule from
`torch.optim.lr_scheduler`, asked after *every step*, towards (nearly) zero at the end of the last epoch. The number of
steps is known beforehand, `epochs * len(loader)`. In our trials a constant rate remained three points of accuracy
behind one that falls.

A network is easier to debug when it has to learn very little. Before any long run, let it learn a few dozen images by
heart. If it cannot do *that*, more data won't help. That is what the last check cell tries.

**Exercise 5 · `train`** · 2 points for the loop, 3 for what is learned · ★★☆ · 35 minutes

*Write the loop, and tune it until your network sees.* The grader trains a `ConvNet(10)` by
`train(model, loader, epochs=5)` on 6,000 canvases of its own in batches of 64, with your defaults, and shows it 2,000
canvases with digits that were not among them. From 85 % on you get one point, from **95 %** on all three. It
counts epochs, not seconds; only a run that takes more than ten times as long as ours is stopped.

<details><summary>Hint</summary>

With Adam and a schedule, the largest learning rate may be near 0.01. Who sees to it that the model is in training mode
in the *second* epoch as well, if somebody evaluates it after the first? And which numbers may you keep without keeping
all the graphs alive?

</details>
"""


# %% nbgrader={"grade": false, "grade_id": "train-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def train(model, loader, epochs, lr=0.01, after_epoch=None):
    """Train the model on all that the loader holds, so many times, in training mode.

    model:       maps images to logits; it is on `device` and its parameters are updated
    loader:      a DataLoader of batches (images, labels)
    epochs:      the number of passes over the loader
    lr:          the (largest) learning rate; choose the default, and add settings of your own if you like
    after_epoch: None, or a function to call without arguments at the end of every epoch; it may switch the model's mode

    Returns a list with one plain number for each epoch: the mean of its batches' training losses (cross-entropy).
    """
    raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "train-loop", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
def _check_train_loop():
    torch.manual_seed(5)
    x = torch.randn(60, 6)
    loader = DataLoader(TensorDataset(x, (x[:, 0] > 0).long()), batch_size=10, shuffle=True)
    model, modes, epochs_seen = nn.Sequential(nn.BatchNorm1d(6), nn.Linear(6, 2)).to(device), [], []
    model.register_forward_hook(lambda module, inputs, output: modes.append(module.training))


    def look():
        epochs_seen.append(len(modes))
        model.eval()


    history = train(model, loader, epochs=4, after_epoch=look)
    assert history is not None and len(history) == 4, "train should return a list with one loss for each of the 4 epochs"
    assert all(isinstance(loss, float) for loss in history), "plain numbers please: a tensor may keep its graph alive"
    assert all(modes), "the model was trained in evaluation mode: look at what happens after the first epoch"
    assert epochs_seen == [6, 12, 18, 24], f"after_epoch was called after {epochs_seen} batches, not after 6, 12, 18, 24"
    assert history[-1] < history[0], f"the loss does not fall: {history}"
    still = nn.Linear(6, 2).to(device)
    before = still.weight.detach().clone()
    train(still, loader, epochs=1, lr=1e-7)
    assert torch.allclose(still.weight, before, atol=1e-3), "a learning rate of nearly 0 should move (nearly) nothing"
    print("ok  the loop turns as it should; losses", [round(loss, 2) for loss in history])


_check_train_loop()


# %% nbgrader={"grade": true, "grade_id": "train-learns", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def _check_train_learns():
    # Forty random pictures with random labels: there is nothing to understand, but they can be learned by heart.
    torch.manual_seed(6)
    x, y = functional.avg_pool2d(torch.randn(40, 1, 30, 30), 3, stride=1) * 2, torch.arange(40) % 4
    net = ConvNet(4).to(device)
    history = train(net, DataLoader(TensorDataset(x, y), batch_size=20, shuffle=True), epochs=40)
    loss, accuracy = evaluate(net, DataLoader(TensorDataset(x, y), batch_size=40))
    print(f"after 80 steps on 40 images: loss {loss:.3f}, accuracy {accuracy:.0%}")
    assert accuracy > 0.9 and loss < 0.5, "forty images should be learned by heart, with a loss below 0.5"
    assert history[-1] < 0.5, f"train reports a loss of {history[-1]:.2f}: does the criterion get logits?"


_check_train_learns()

# %% [markdown] nbgrader={"grade": false, "grade_id": "contrast-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
## Who sees, and why?

Now the real thing, and two opponents. One is a **fully connected network** with 55,000 parameters, trained by your
own loop on the same images. The other is your own `ConvNet`, but **with permuted pixels**: one random
permutation, the same for all images, of training and validation set alike. No information is lost, since the
permutation could be undone. What is lost is neighbourhood. If your network is good because it is built for pictures,
it should now fall behind; if it is only good because it is a network, nothing should change. The fully connected one
gets the permuted pixels as well: do you expect a difference?
"""


# %% nbgrader={"grade": false, "grade_id": "contrast", "locked": true, "schema_version": 3, "solution": false, "task": false} tags=["demo"]
def _figure():
    shuffled = torch.randperm(28 * 28, generator=dice)


    def permuted(dataset):
        images, labels = dataset.tensors
        return TensorDataset(images.flatten(1)[:, shuffled].reshape(images.shape), labels)


    def mlp():
        widths = nn.Linear(784, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10)
        return nn.Sequential(nn.Flatten(), *widths)


    def run(name, model, change=lambda dataset: dataset, lr=None):
        """Train a model with your loop; its accuracy on the validation set after every epoch."""
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
    return curves, digit_net


curves, digit_net = _figure()


# %% nbgrader={"grade": false, "grade_id": "contrast-figure", "locked": true, "schema_version": 3, "solution": false, "task": false} tags=["demo"]
def _figure():
    figure, ax = plt.subplots(figsize=(6.4, 3.2))
    for (name, curve), look in zip(curves.items(), ("o-", "o--", "s-", "s--"), strict=True):
        ax.plot(range(1, 6), curve, look, color=ORANGE if "connected" in name else BLUE, label=f"{name}: {curve[-1]:.0%}")
    ax.axhline(0.95, color="black", linewidth=0.7, linestyle=":")
    ax.set(xticks=range(1, 6), ylim=(0, 1), xlabel="epoch", ylabel="validation accuracy", title="Who sees?")
    ax.legend(fontsize=8, loc="upper left", bbox_to_anchor=(1, 1))
    plt.show()
    assert curves["your network"][-1] > 0.95, "not there yet: does the rate fall to zero? Is the network too small?"


_figure()

# %% [markdown] nbgrader={"grade": false, "grade_id": "maps-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
*In the figure: accuracy on the validation set after each epoch; circles for your network, squares for the fully
connected one, dashed lines for permuted pixels, the goal of 95 % dotted.* With its neighbourhoods in place your
network leaves the others far behind. Without them it is the one that loses most, whereas the fully connected network
does not care: to it, pixels never had neighbours.

What do the channels see? We take the first convolution of your network and look at its output for one digit, and for
the same digit moved by eight pixels.
"""


# %% nbgrader={"grade": false, "grade_id": "maps-figure", "locked": true, "schema_version": 3, "solution": false, "task": false} tags=["demo"]
def _figure():
    example = next(image for image in valid_set.tensors[0] if not image[:, 16:].any() and not image[..., 16:].any())
    pair = torch.stack([example, example.roll((8, 8), dims=(1, 2))]).to(device)  # (2, 1, 28, 28)
    first = next(layer for layer in digit_net.modules() if isinstance(layer, nn.Conv2d))
    with torch.no_grad():
        maps = first(pair).relu()[:, :8]  # (2, up to 8, H, W)
    for image, features in zip(pair, maps, strict=True):
        show([image[0], *features], ["the image", *(f"channel {k}" for k in range(len(features)))])


_figure()

# %% [markdown] nbgrader={"grade": false, "grade_id": "mistakes-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
*In the figures: the image and the first channels of its feature map, above as it was, below moved.* Each channel
answers to another stroke: edges of one direction, or of one side. The lower maps are the upper ones, moved: that is
equivariance. No channel had to learn anything twice.

Accuracy is one number. Look at what it hides.
"""


# %% nbgrader={"grade": false, "grade_id": "right-and-wrong", "locked": true, "schema_version": 3, "solution": false, "task": false} tags=["demo"]
def _figure():
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
        show(images[rows, 0], titles, rows=height)


_figure()

# %% [markdown] nbgrader={"grade": false, "grade_id": "cifar-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
*In the figures: above, eight images that are read correctly; below, the mistakes of which the network is most certain,
each with its label and what the network says.* With some of them you will side with the network. Others are plainly
its fault, and it is certain nevertheless: a high probability says how the logits lie, not that the answer is right.

## Optional: photographs

With a connection to the internet, try your loop on CIFAR-10, 60,000 small colour photographs of ten kinds of things.
Set `CONNECTED = True`: torchvision downloads 170 MB. Without a GPU five epochs take some minutes. You need a network
for three channels; your blocks can be used as they are.
"""

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
    print("Skipped: set CONNECTED = True if you are online.")

# %% [markdown] nbgrader={"grade": false, "grade_id": "farewell", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
## What you have seen

- A convolution is a linear layer that was told about pictures: neighbours belong together, and what is true in one
  place is true in all. Told less, a network needs more data; told the wrong thing (permuted pixels), it does worse
  than one that was told nothing.
- A shortcut makes it easy to do nothing, and so makes depth affordable.
- Training is five lines that everybody knows and four modes of failure that everybody meets: stale gradients, the wrong
  mode, the wrong reduction, a softargmax too many.

**If you are still curious** (no points): drop the shortcuts from your network and compare the curves. Move one digit
over all 289 places and draw the probability of its label as a map: is your network as invariant as promised? Or train
on canvases where digits only stand in the left half, and test on the right.
"""


# %% nbgrader={"grade": false, "grade_id": "hand-in", "locked": true, "schema_version": 3, "solution": false, "task": false} tags=["demo"]
# Before you hand in: save the notebook, run it from top to bottom, then run this cell.
def _hand_in(file, exercises, answers, given, blank):
    """Print which exercises pass their checks now, which names are defined twice, and which file to hand in.

    file: the notebook's name; exercises and answers: "number grade_id" of each exercise, and of each written answer;
    given: the names that the notebook's own cells define, by the crc32 of the cell; blank: an answer that nobody wrote
    """
    import contextlib
    import json
    import symtable
    import zlib
    from pathlib import Path

    import matplotlib.pyplot as plt

    try:
        from IPython.utils.capture import capture_output as quiet
    except ImportError:
        quiet = contextlib.nullcontext

    print("Your exercises, as they are in memory now:")
    for label in exercises:
        check = globals().get("_check_" + label.split()[-1].replace("-", "_"))
        with quiet():
            try:
                said = "its check was not run yet" if check is None else check() or "passes its check"
            except NotImplementedError:
                said = "not written yet"
            except Exception as error:
                said = f"fails its check: {(str(error) or type(error).__name__).splitlines()[0]}"
                if type(error) is NameError:
                    said = f"not written, or its cell was not run: there is no {error.name}"
            plt.close("all")
        print(f"  {label}: {said}")

    taken = {name for names in given.values() for name in names.split()}
    order: dict[str, list[bool]] = {}
    for text in globals().get("In", ()):
        yours = zlib.crc32("".join(text.split()).encode()) not in given
        with contextlib.suppress(SyntaxError):
            for symbol in symtable.symtable(text, "cell", "exec").get_symbols():
                if symbol.get_name() in taken and (symbol.is_assigned() or symbol.is_imported()):
                    order.setdefault(symbol.get_name(), []).append(yours)
    for name, runs in order.items():
        if runs[-1]:
            print(f"  You have redefined {name}, which the notebook's own cells use: give yours another name.")
        elif any(runs):
            print(f"  A cell of the notebook has replaced your {name} by its own: give yours another name.")

    if answers:
        try:
            cells = json.loads(Path(file).read_text(encoding="utf-8"))["cells"]
            saved = {cell["metadata"].get("nbgrader", {}).get("grade_id"): "".join(cell["source"]) for cell in cells}
            empty = [label for label in answers if saved.get(label.split()[-1], "").strip() in ("", blank)]
            print(f"Written answers in {file}, as it was saved last: {len(answers) - len(empty)} of {len(answers)}.")
            print("".join(f"  {label}: still empty\n" for label in empty), end="")
        except (OSError, ValueError, LookupError, TypeError, AttributeError):
            print("This cell cannot see your written answers. Look through them yourself:", ", ".join(answers))
    print(f"Hand in the file {file} (in Colab: File, Download, Download .ipynb).")


_hand_in(
    "cnn.ipynb",
    [
        "1 block-shapes",
        "1 block-shortcut",
        "2 convnet",
        "3 loss",
        "3 step",
        "4 evaluate",
        "5 train-loop",
        "5 train-learns",
    ],
    [],
    {
        1697698499: "BLUE count_parameters device GREEN ORANGE RED show",
        624893910: "place",
        3452329505: "dice train_set valid_loader valid_set",
        1114782007: "curves digit_net",
    },
    "*Your answer here: double-click this line and write.*",
)
