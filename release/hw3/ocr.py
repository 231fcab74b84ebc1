# %% [markdown] nbgrader={"grade": false, "grade_id": "header", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
# Reading words with energies

Cut a word into letters, and a small network reads each of them. But who cuts? To know where a letter ends one has to
know which letter it is, and to know which letter it is one has to know where it ends. Nobody will draw the cuts into
your training data either: an image comes with its word, and with nothing else.

The way out is to treat the cut as a *latent variable*, and to let energies decide. Every way to lay the word over the
image costs something; the cheapest way tells where the letters are. A network that is taught along its own cheapest
ways finds better ones next time, and after ten seconds it reads words that it has never seen.

**What you will build.** A network that slides over an image, the energy of a path through its output, the dynamic
programme that finds the best of all paths, a training loop around it, and a reader that finds the best of all *words*.

| exercise | you write | points | difficulty | minutes |
| --- | --- | --- | --- | --- |
| 1 | `SimpleNet` | 2 + 3 | ★★☆ | 40 |
| 2 | `train_letters` | 2 + 2 | ★☆☆ | 25 |
| 3 | `transform_word`, `build_path_matrix`, `build_ce_matrix` | 2 + 3 + 4 | ★★☆ | 35 |
| 4 | `path_energy` | 4 | ★☆☆ | 15 |
| 5 | `find_path` | 4 + 4 + 2 | ★★★ | 50 |
| 6 | `path_cross_entropy`, `train_ebm_model` | 3 + 4 | ★★☆ | 35 |
| 7 | `indices_to_str`, `decode`, and what your network reads | 2 + 4 + 5 | ★★★ | 40 |
| | **in all** | **50** | | **240** |

**You need** convolutions and receptive fields (Homework 2), energies, latent variables and the negative log-likelihood
(the theory notebook of this homework). Everything runs on a CPU; the longest cell takes ten seconds.

**How to work.** Replace each `raise NotImplementedError` by your code; all of `torch` is welcome. The cell below it
checks your work on small examples. Your functions must leave the tensors and lists that they are given as they are.
Cells that train for long or only draw are skipped while you are graded: the grader feeds your functions with energies
of its own, and trains a network of yours on words that it draws itself.
"""

# %% [markdown] nbgrader={"grade": false, "grade_id": "colab", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
[![Open this notebook in Google Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/your-organisation/deep-learning/blob/main/release/hw3/ocr.ipynb)
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

# The cells below use these names themselves: all_paths, ALPHABET, BETWEEN, BLUE, compare, energies_of, GREEN,
# INFINITE, ORANGE, RED, relative_error, SYMBOLS, draw_letters, FONTS, LETTERS, SimpleWordsDataset,
# letter_net, DOTS, draw_strips, examples, draw_paths, before, free_energies, word_losses, stack_targets,
# word_loader, best_words, share, tests. Give your own helpers other names.

# %% nbgrader={"grade": false, "grade_id": "helpers", "locked": true, "schema_version": 3, "solution": false, "task": false}
import copy
import itertools
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset, TensorDataset

BLUE, ORANGE, GREEN, RED = "#0072B2", "#E69F00", "#009E73", "#D55E00"  # safe for colour-blind readers


def relative_error(a, b):
    """The largest difference of two tensors, relative to their own size: 0 means equal, 1 means unrelated."""
    a, b = torch.as_tensor(a).detach().cpu().double(), torch.as_tensor(b).detach().cpu().double()
    return float((a - b).abs().max() / (a.abs().max() + b.abs().max()).clamp(min=1e-12))


def compare(name, yours, right, tolerance=1e-4):
    """Assert that `yours` equals `right`; when it does not, say in which way it differs."""
    assert yours is not None, f"{name} is None: is a return statement missing?"
    whole = not torch.as_tensor(right).is_floating_point()  # of labels and counts, factors mean nothing
    if not isinstance(yours, torch.Tensor):  # an array, a list or a number
        yours = torch.as_tensor(yours, dtype=torch.double)
    yours, right = yours.detach().cpu().double(), torch.as_tensor(right).detach().cpu().double()
    shape = f"{name}: the shape is {tuple(yours.shape)}, it should be {tuple(right.shape)}"
    assert yours.shape == right.shape, shape
    error = relative_error(yours, right)
    if not error < tolerance:
        factor = float((yours * right).sum() / (yours * yours).sum().clamp(min=1e-12))
        reason = "right shape, wrong values"
        if not torch.isfinite(yours).all():
            reason = "some values are infinite or not a number"
        elif whole:
            reason = f"{int((yours != right).sum())} of {right.numel()} values differ"
        elif relative_error(-yours, right) < tolerance:
            reason = "right size, wrong sign"
        elif yours.ndim == 2 and yours.shape == yours.T.shape and relative_error(yours.T, right) < tolerance:
            reason = "it is transposed"
        elif yours.numel() > 1 and abs(factor - 1) > 0.001 and relative_error(factor * yours, right) < tolerance:
            reason = f"right up to a factor: multiplied by {factor:.4g} it would be correct"
        raise AssertionError(f"{name}: {reason} (relative error {error:.1e})")
    print(f"ok  {name:24} relative error {error:.0e}")


torch.set_num_threads(1)  # for a network as small as ours, one thread is faster than many

ALPHABET = "abcdefghijklmnopqrstuvwxyz"
BETWEEN = 26  # the symbol for "no letter here", written _
SYMBOLS = ALPHABET + "_"  # SYMBOLS[k] is the symbol with number k; there are 27
INFINITE = 2.0**30  # the energy of what is not allowed


def energies_of(model, images):
    """The energies (B, L, 27) of images (B, 1, 32, W), in evaluation mode and without gradients."""
    training = model.training
    model.eval()
    with torch.no_grad():
        energies = model(images)
    model.train(training)
    return energies


def all_paths(L, T):
    """Every allowed path of L windows and T targets, one after the other."""
    for moves in itertools.combinations(range(1, L), T - 1):  # the windows at which a path moves on
        yield [sum(move <= i for move in moves) for i in range(L)]


# %% [markdown] nbgrader={"grade": false, "grade_id": "data-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
## Words on paper

Our words are drawn by the computer, with ten fonts that every matplotlib brings along. Each letter has 18 columns of
pixels to itself, the image is 32 pixels high, and ink is bright: 1, paper is 0. `jitter` is how many columns of extra
paper are spread at random before and between the letters, and `noise` adds up to 10 % of random brightness.

`SimpleWordsDataset(max_length, len, jitter, noise)` draws random words with 1 to `max_length` letters. (They are no
words of English. A language model would guess what it cannot see; we want to *see*.) All its images are equally wide,
$18 \cdot$ `max_length` + `jitter` columns, and half a letter of paper at the end if there may be several letters: a
short word is followed by blank paper. Item $i$ is a pair `(image, word)` of a tensor `(1, 32, W)` and a string. With
`max_length=1` and no jitter, each image holds one letter and is 18 columns wide.
"""

# %% nbgrader={"grade": false, "grade_id": "data", "locked": true, "schema_version": 3, "solution": false, "task": false}
FONTS = (
    *("DejaVuSans", "DejaVuSans-Bold", "DejaVuSans-Oblique", "DejaVuSansMono", "DejaVuSerif"),
    *("STIXGeneral", "STIXGeneralBol", "cmr10", "cmss10", "cmtt10"),
)


def draw_letters():
    """Every letter in every font: a tensor (fonts, 26, 32, 18) with values from 0 to 1."""
    letters = np.zeros((len(FONTS), 26, 32, 18), dtype=np.float32)
    for row, name in zip(letters, FONTS, strict=True):
        path = Path(matplotlib.get_data_path(), "fonts", "ttf", f"{name}.ttf")
        for size in range(22, 8, -1):  # the largest size whose widest letter leaves room on both sides
            font = ImageFont.truetype(str(path), size)
            boxes = [font.getbbox(letter, anchor="ms") for letter in ALPHABET]
            if max(right - left for left, _, right, _ in boxes) <= 17:
                break
        for cell, letter, (left, _, right, _) in zip(row, ALPHABET, boxes, strict=True):
            paper = Image.new("L", (18, 32))
            ImageDraw.Draw(paper).text((9 - (left + right) / 2, 22), letter, fill=255, font=font, anchor="ms")
            cell[:] = np.asarray(paper) / 255
    return torch.from_numpy(letters)


LETTERS = draw_letters()


class SimpleWordsDataset(Dataset):
    """Random words of min_length to max_length letters: item i is (image (1, 32, W), word)."""

    def __init__(self, max_length, len, jitter=0, noise=False, min_length=1):
        margin = 9 if max_length > 1 else 0
        self.images = torch.zeros(len, 1, 32, 18 * max_length + jitter + margin)
        self.words = []
        lengths = torch.randint(min_length, max_length + 1, (len,)).tolist()
        shifts = torch.randint(jitter + 1, (len, max_length)).sort(1).values.tolist()  # letters never overlap
        letters = torch.randint(26, (len, max_length)).tolist()
        fonts = torch.randint(LETTERS.shape[0], (len,)).tolist()
        for i, length in enumerate(lengths):
            for k in range(length):
                left = 18 * k + shifts[i][k]
                self.images[i, 0, :, left : left + 18] = LETTERS[fonts[i], letters[i][k]]
            self.words.append("".join(ALPHABET[letter] for letter in letters[i][:length]))
        if noise:
            self.images = (self.images + 0.1 * torch.rand_like(self.images)).clamp(max=1)

    def __len__(self):
        return len(self.words)

    def __getitem__(self, i):
        return self.images[i], self.words[i]


# %% nbgrader={"grade": false, "grade_id": "data-figure", "locked": true, "schema_version": 3, "solution": false, "task": false} tags=["demo"]
def _figure():
    torch.manual_seed(0)
    samples = SimpleWordsDataset(max_length=4, len=12, jitter=7, noise=True)
    figure, axes = plt.subplots(3, 4, figsize=(9, 3.3), layout="constrained")
    for ax, (image, word) in zip(axes.ravel(), samples, strict=True):
        ax.imshow(image[0], cmap="gray_r")
        ax.set_title(word, fontsize=9)
        ax.axis("off")
    plt.show()


_figure()

# %% [markdown] nbgrader={"grade": false, "grade_id": "net-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
*In the figure: twelve images of the data set, ink shown black, with their words above.* Widths of letters differ, and
so do the gaps: there is no column at which one could cut them all.

## 1 · A network that slides

Look at the image through a window of 18 columns, and move it from left to right by 4 columns at a time. What you see
through window number $l$, counted from 0, gets 27 energies $E[l, k]$, one for each symbol: **low if the
symbol fits**. An image of width $W$ has room for

$$L = \left\lfloor \frac{W - 18}{4} \right\rfloor + 1$$

windows. A single letter has $L = 1$, the images above have $L = 18$.

You could cut all windows out and run a network on each. A convolutional network does the same without repeating
work, if it is built for it: *no padding along the width*, and layers whose receptive field is 18 columns and whose
strides multiply to 4. Then output number $l$ depends on columns $4l$ to $4l + 17$ and on nothing else, and a wide image
gets just the energies that its windows would get alone. Along the height nothing has to slide. There pad as you
like, and leave nothing of the 32 rows in the end.

**Exercise 1 · `SimpleNet`** · 2 points for shapes, 3 for the window · ★★☆ · 40 minutes

*Find kernels and strides that turn 18 columns into one, and 22 into two.* At most 100,000 parameters. Batch norm
makes training fast and robust; in evaluation mode it treats every column alike, so it does not hinder the sliding.

<details><summary>Hint</summary>

Two layers with stride 2 give you the 4. For the window use the rule from Homework 2: with each layer the receptive
field grows by (kernel − 1) × the product of the strides *before* it. Start from 1, and find three kernels with which
you land on 18. The last kernel may be as high as what is left of the rows. Write the shape beside each layer, for
$W = 18$ and for $W = 22$. And which kernel mixes channels and looks at one place only?

</details>
"""


# %% nbgrader={"grade": false, "grade_id": "net-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
class SimpleNet(nn.Module):
    """Slides a window of 18 columns over an image in steps of 4 and says how badly each symbol fits."""

    def __init__(self):
        super().__init__()
        raise NotImplementedError

    def forward(self, x):
        """Takes images (B, 1, 32, W), returns energies (B, L, 27) with L = (W - 18) // 4 + 1."""
        raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "net-shapes", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
def _check_net_shapes():
    torch.manual_seed(1)
    net = SimpleNet()
    for B, width, L in (3, 18, 1), (3, 21, 1), (1, 22, 2), (2, 36, 5), (1, 88, 18), (2, 180, 41):
        energies = net(torch.rand(B, 1, 32, width))
        assert energies is not None, "forward returns None: is a return statement missing?"
        asked, shape, right = (B, 1, 32, width), tuple(energies.shape), (B, L, 27)
        assert shape == right, f"for images of shape {asked} the shape is {shape}, it should be {right}"
    parameters = sum(parameter.numel() for parameter in net.parameters())
    assert parameters <= 100_000, f"{parameters:,} parameters are too many: at most 100,000"
    print(f"ok  the shapes are right, and there are {parameters:,} parameters")


_check_net_shapes()


# %% nbgrader={"grade": true, "grade_id": "net-window", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def _check_net_window():
    torch.manual_seed(2)
    net, image = SimpleNet(), torch.rand(1, 1, 32, 60)
    for parameter in net.parameters():
        nn.init.normal_(parameter, std=0.1)  # a layer that begins with zeros would hide what it sees
    whole = energies_of(net, image)  # (1, 11, 27)
    for place in range(whole.shape[1]):
        alone = energies_of(net, image[..., 4 * place : 4 * place + 18])
        message = f"window {place} has other energies when its 18 columns are cut out"
        assert torch.allclose(alone[:, 0], whole[:, place], rtol=1e-3, atol=1e-4), message
    image.requires_grad_()
    net.eval()(image)[0, 5].square().sum().backward()
    seen = image.grad.abs().sum((0, 1, 2)).nonzero().flatten().tolist()
    assert seen == list(range(20, 38)), f"window 5 should see columns 20 to 37, but it sees {seen}"
    print("ok  each window sees its 18 columns and nothing else")


_check_net_window()

# %% [markdown] nbgrader={"grade": false, "grade_id": "letters-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
## 2 · First, letters

A network that knows letters will read words sooner. So warm it up on single letters: images of 18 columns, one window
each, and the letter is known. There is nothing to align.

Energies become probabilities by the Gibbs distribution, here at $\beta = 1$:

$$p(k \mid x) = \frac{e^{-E[0, k]}}{\sum_{k'} e^{-E[0, k']}} = \mathrm{softargmax}(-E[0])_k ,$$

and the loss is the cross-entropy, $-\log p(y \mid x)$. Mind the sign: `functional.cross_entropy` expects *logits*,
which are high where energies are low.

**Exercise 2 · `train_letters`** · 2 points for the loop, 2 for what is learned · ★☆☆ · 25 minutes

*The training loop once more, now for energies.* The grader trains your `SimpleNet()` with
`train_letters(model, loader, epochs=2)` on 4,800 letters in batches of 64, and shows it 1,000 others: one point if 90 %
of them are read correctly, both from 98 % on. Before that it must have learned half of the alphabet in a single font by
heart, as in the last check cell: without that there is no long run.

<details><summary>Hint</summary>

The energies of single letters have an axis too many for the cross-entropy. Which one, and how long is it? With Adam a
learning rate of 0.01 that falls towards zero is a good beginning; the number of steps is known beforehand,
`epochs * len(loader)`.

</details>
"""


# %% nbgrader={"grade": false, "grade_id": "letters-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def train_letters(model, loader, epochs, lr=0.01):
    """Train the model on images of single letters, in training mode.

    model:  maps images (B, 1, 32, 18) to energies (B, 1, 27); may arrive in evaluation mode and with old gradients
    loader: a DataLoader of batches (images, labels), labels (B,) whole numbers from 0 to 25; the last may be smaller
    epochs: the number of passes over the loader; every batch is one step of an optimiser
    lr:     the (largest) learning rate

    Returns a list with the loss of every step, plain numbers: the batch's mean cross-entropy.
    """
    raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "letters-loop", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
def _check_letters_loop():
    torch.manual_seed(3)
    table = nn.Embedding(7, 27)  # a "network" that looks energies up: its images are row numbers
    start, labels = table.weight.detach().clone(), torch.tensor([3, 1, 4, 1, 5, 9, 0])
    loader = DataLoader(TensorDataset(torch.arange(7)[:, None], labels), batch_size=3)  # the last batch is a single image
    others = {"old gradients": copy.deepcopy(table), "a learning rate of 0.000001": copy.deepcopy(table)}
    losses = train_letters(table.eval(), loader, epochs=20)
    assert losses is not None and len(losses) == 60, "there should be one loss for each of the 3 · 20 steps"
    assert all(isinstance(loss, float) for loss in losses), "plain numbers please: a tensor may keep its graph alive"
    first, last = -start[:3].neg().log_softmax(1)[range(3), labels[:3]].mean().item(), losses[2]
    assert abs(losses[0] - first) < 1e-4, f"the first loss is {losses[0]:.4f}, it should be {first:.4f}: is the sign right?"
    assert losses[-1] < last, "the loss of the last image does not fall"
    moved = (table.weight.detach() - start)[range(7), labels]
    assert (moved < 0).all(), "the energy of the right letter should fall"
    for name, other in others.items():
        other.weight.grad = torch.full((7, 27), 1e9) if name == "old gradients" else None
        train_letters(other, loader, epochs=1, lr=1e-6)
        assert (other.weight - start).abs().max() < 1e-3, f"with {name} the parameters should hardly move"
    print("ok  the loop turns, and the right letters' energies fall")


_check_letters_loop()


# %% nbgrader={"grade": true, "grade_id": "letters-learn", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
def _check_letters_learn():
    # The 26 letters of a single font, learned by heart: a network that cannot do that need not try the others.
    torch.manual_seed(4)
    net = SimpleNet()
    train_letters(net, DataLoader(TensorDataset(LETTERS[0][:, None], torch.arange(26)), batch_size=13), epochs=30)
    hits = int((energies_of(net, LETTERS[0][:, None])[:, 0].argmin(1) == torch.arange(26)).sum())
    print(f"after 60 steps {hits} of 26 letters are known")
    assert hits >= 24, "that is too few: do the energies of the right letters fall?"


_check_letters_learn()


# %% nbgrader={"grade": false, "grade_id": "letters-train", "locked": true, "schema_version": 3, "solution": false, "task": false} tags=["demo"]
def _figure():
    torch.manual_seed(0)
    letters = SimpleWordsDataset(max_length=1, len=4800, noise=True)
    labels = torch.tensor([ALPHABET.index(letter) for letter in letters.words])
    letter_net = SimpleNet()
    letter_loader = DataLoader(TensorDataset(letters.images, labels), batch_size=64, shuffle=True)
    losses = train_letters(letter_net, letter_loader, epochs=2)
    unseen = SimpleWordsDataset(max_length=1, len=1000, noise=True)
    guesses = "".join(ALPHABET[k] for k in energies_of(letter_net, unseen.images)[:, 0, :26].argmin(1))
    hits = sum(guess == letter for guess, letter in zip(guesses, unseen.words, strict=True))
    print(f"single letters: {hits / 1000:.1%} correct after {len(losses)} steps")
    assert hits >= 980, "not there yet: 98 % is the goal"
    return letter_net


letter_net = _figure()


# %% nbgrader={"grade": false, "grade_id": "strip-figure", "locked": true, "schema_version": 3, "solution": false, "task": false} tags=["demo"]
def _figure():
    DOTS = {"color": RED, "markeredgecolor": "black", "markeredgewidth": 0.5, "markersize": 5}


    def draw_strip(ax_image, ax_energies, image, energies, title):
        """Draw an image (1, 32, W), and below it the energies (L, 27) of its windows, each at its window's centre."""
        W, L = image.shape[-1], len(energies)
        ax_image.imshow(image[0], cmap="gray_r", aspect="auto", extent=(0, W, 32, 0))
        ax_image.set_title(title, fontsize=9)
        ax_image.axis("off")
        relative = energies - energies.min(1, keepdim=True).values  # what a window prefers is 0
        ax_energies.imshow(relative.T, cmap="cividis_r", aspect="auto", extent=(7, 7 + 4 * L, 26.5, -0.5), vmax=15)
        ax_energies.plot(9 + 4 * torch.arange(L), energies.argmin(1), "o", **DOTS)
        ax_energies.set(xlim=(0, W), yticks=[0, 4, 8, 12, 16, 20, 26], xlabel="column")
        ax_energies.set_yticklabels(["a", "e", "i", "m", "q", "u", "_"], fontsize=7)


    def draw_strips(model, dataset):
        """Draw the first four items of a data set and their energies side by side."""
        figure, axes = plt.subplots(2, 4, figsize=(11, 3.6), height_ratios=[1, 2.2])
        for column, (image, word) in zip(axes.T, dataset, strict=False):
            energies = energies_of(model, image[None])[0]
            guesses = "".join(SYMBOLS[k] for k in energies.argmin(1))
            draw_strip(*column, image, energies, f"{word}: {guesses}")
        axes[1, 0].set_ylabel("symbol")
        figure.tight_layout()
        plt.show()


    torch.manual_seed(5)
    examples = SimpleWordsDataset(max_length=3, len=4, jitter=7, noise=True, min_length=2)
    draw_strips(letter_net, examples)
    return DOTS, draw_strips, examples


DOTS, draw_strips, examples = _figure()

# %% [markdown] nbgrader={"grade": false, "grade_id": "matrices-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
*In the figure: four words, and below each the energies of its windows (columns) for all symbols (rows); bright is low,
a dot marks the lowest of each window, and the title repeats the dots as text.* Where a window covers a letter exactly,
the network often names it. Elsewhere it sees parts of one or two letters or blank paper, and talks nonsense: nobody
has told it about `_`.

## 3 · A word, laid over an image

Lay the word over the windows. Each letter may fill several of them, and after each letter comes the symbol BETWEEN,
for windows that show no letter, or two halves:

$$\texttt{cat} \;\to\; \texttt{c\_a\_t\_} \;\to\; y = (2, 26, 0, 26, 19, 26), \qquad
T = 2 \cdot (\text{number of letters}) .$$

`ll` becomes `l_l_`: without BETWEEN nobody could tell one long letter from two.

Now keep from the energies what concerns this word, in the order in which it is spelt: the **path matrix**

$$P[l, t] = E[l, y_t], \qquad l = 0, \dots, L - 1, \quad t = 0, \dots, T - 1,$$

what it costs to see target $t$ in window $l$. The second matrix has the same shape and holds cross-entropies:

$$C[l, t] = -\log \mathrm{softargmax}(-E[l])_{y_t} = E[l, y_t] + \log \sum_{k} e^{-E[l, k]} .$$

The sum runs over all 27 symbols, also those that do not occur in the word. Energies of a trained network get large, and
$e^{200}$ is infinite in floating point; PyTorch has functions that take the logarithm without going through it.

In a batch $E$ is `(B, L, 27)`, the targets are `(B, T)`, and both matrices are `(B, L, T)`.

**Exercise 3 · `transform_word`, `build_path_matrix`, `build_ce_matrix`** · 2 + 3 + 4 points · ★★☆ · 35 minutes

*Spell, and look up without a single loop.* The grader counts the lines that your two matrices execute: the number must
not grow with the batch, the image or the word.

<details><summary>Hint</summary>

`torch.gather(input, dim, index)` looks up along one axis; the index has as many axes as the input, and the result has
the shape of the index. Which axis of `energies` is looked up in? Which new axis do the targets need, and how often
must they be repeated along it? (`expand` repeats without copying.) Once you have one matrix, ask yourself what the
other one looks up *in*.

</details>
"""


# %% nbgrader={"grade": false, "grade_id": "transform-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def transform_word(word):
    """The targets of a word: its letters as numbers, each followed by BETWEEN.

    word: a string of letters a to z

    Returns an int64 tensor (T,) with T = 2 · len(word); 'cat' becomes c_a_t_, that is 2, 26, 0, 26, 19, 26.
    """
    raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "transform", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
def _check_transform():
    for word, right in ("cat", "c_a_t_"), ("all", "a_l_l_"), ("z", "z_"):
        targets = transform_word(word)
        assert torch.is_tensor(targets) and targets.dtype == torch.int64, "the targets should be an int64 tensor"
        assert ((targets >= 0) & (targets < 27)).all(), "the targets should be symbols, numbers from 0 to 26"
        found = "".join(SYMBOLS[k] for k in targets)
        assert found == right, f"transform_word({word!r}) spells {found}, it should spell {right}"
    print("ok  every letter is followed by BETWEEN")


_check_transform()


# %% nbgrader={"grade": false, "grade_id": "path-matrix-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def build_path_matrix(energies, targets):
    """What it costs to see each target in each window, without loops.

    energies: (B, L, 27)
    targets:  (B, T), int64

    Returns P (B, L, T) with P[b, l, t] = energies[b, l, targets[b, t]].
    """
    raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "path-matrix", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def _check_path_matrix():
    torch.manual_seed(6)
    energies, targets = torch.randn(2, 7, 27), torch.tensor([[2, 26, 0, 26, 19, 26], [25, 26, 14, 26, 14, 26]])
    by_hand = [[[energies[b, i, targets[b, t]] for t in range(6)] for i in range(7)] for b in range(2)]
    P = build_path_matrix(energies, targets)  # of "cat" and "zoo"
    compare("the path matrix", P, torch.tensor(by_hand))


_check_path_matrix()


# %% nbgrader={"grade": false, "grade_id": "ce-matrix-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def build_ce_matrix(energies, targets):
    """The cross-entropy of each target in each window, without loops.

    energies: (B, L, 27), of any size: nothing may overflow
    targets:  (B, T), int64

    Returns C (B, L, T) with C[b, l, t] = -log softargmax(-energies[b, l])[targets[b, t]].
    """
    raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "ce-matrix", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def _check_ce_matrix():
    torch.manual_seed(6)
    energies, targets = torch.randn(2, 7, 27), torch.tensor([[2, 26, 0, 26, 19, 26], [25, 26, 14, 26, 14, 26]])
    by_hand = [[[energies[b, i, targets[b, t]] for t in range(6)] for i in range(7)] for b in range(2)]
    C = build_ce_matrix(energies, targets)  # of "cat" and "zoo"
    Z = energies.neg().exp().sum(2, keepdim=True)  # (2, 7, 1)
    compare("the cross-entropies", C, torch.tensor(by_hand) + Z.log())
    large = build_ce_matrix(1000 * energies, targets)
    assert torch.isfinite(large).all(), "with large energies something overflows: take the logarithm of no exponential"
    assert (C >= 0).all() and (large >= 0).all(), "a cross-entropy is never negative"
    print("ok  large energies do no harm")


_check_ce_matrix()

# %% [markdown] nbgrader={"grade": false, "grade_id": "path-energy-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
## 4 · The energy of a path

A **path** $z$ says which target each window shows: $z_l \in \{0, \dots, T - 1\}$. Not everything goes. The path

- starts with the first letter, $z_0 = 0$;
- ends with the BETWEEN behind the last one, $z_{L-1} = T - 1$;
- from window to window stays where it is or moves on by one, $z_{l+1} - z_l \in \{0, 1\}$: nothing is skipped, and
  nobody reads backwards.

On the path matrix it is a staircase from one corner to the opposite one. Its energy is the sum of what it steps on,

$$E(x, y, z) = \sum_{l=0}^{L-1} P[l, z_l] ,$$

and that of a forbidden path is infinite. For us $2^{30}$ is infinite enough: it survives sums and comparisons, and
unlike a true infinity it never turns into "not a number".

**Exercise 4 · `path_energy`** · 4 points · ★☆☆ · 15 minutes

*Refuse forbidden paths, add up for the others.* Here a single image is enough: no batch.

<details><summary>Hint</summary>

Three conditions, and a path that has one number for every window. `torch.as_tensor(path).diff()` knows all the steps at
once.

</details>
"""


# %% nbgrader={"grade": false, "grade_id": "path-energy-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def path_energy(pm, path):
    """The energy of a path.

    pm:   a path matrix (L, T)
    path: a list or an int64 tensor of whole numbers, z[0], z[1], …

    Returns the sum of pm[l, z[l]], or INFINITE (2³⁰) if the path is forbidden: if it has not exactly L entries, does
    not start at 0, does not end at T - 1, or has a step other than 0 and +1.
    """
    raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "path-energy", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def _check_path_energy():
    pm = torch.arange(20.0).reshape(5, 4)  # L = 5 windows, T = 4 targets
    for path, right in ([0, 1, 2, 2, 3], 0 + 5 + 10 + 14 + 19), ([0, 0, 1, 2, 3], 0 + 4 + 9 + 14 + 19):
        compare(f"the energy of {path}", path_energy(pm, path), float(right))
        compare("the same path as a tensor", path_energy(pm, torch.tensor(path)), float(right))
    for path, reason in {
        (1, 1, 2, 2, 3): "starts at 1",
        (0, 1, 1, 2, 2): "does not end at T - 1",
        (0, 0, 2, 2, 3): "skips target 1",
        (0, 1, 2, 1, 3): "goes back",
        (0, 1, 2, 3): "has an entry too few",
        (0, 1, 2, 3, 3, 3): "has an entry too many",
    }.items():
        assert float(path_energy(pm, list(path))) == 2**30, f"{list(path)} {reason}: it is forbidden, its energy is 2³⁰"
    print("ok  forbidden paths are refused")


_check_path_energy()

# %% [markdown] nbgrader={"grade": false, "grade_id": "find-path-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
## 5 · The best of all paths

Nobody tells us the path: it is latent. Inference chooses the cheapest one, and what that costs is the **free energy**
of the word (in the limit of zero temperature, $\beta \to \infty$):

$$F(x, y) = \min_z E(x, y, z) .$$

How many paths are there? A path moves on at $T - 1$ of its $L - 1$ steps, so there are $\binom{L-1}{T-1}$: for a word
of five letters in 40 windows more than 200 million. But they share their beginnings. Let $D[i, j]$ be the least energy
of all paths from $(0, 0)$ to $(i, j)$. The last step into $(i, j)$ was one of two, so

$$D[i, j] = \min\bigl(D[i-1, j],\; D[i-1, j-1]\bigr) + P[i, j],$$

and whoever knows one row knows the next. At the start only one place can be reached: $D[0, 0] = P[0, 0]$, and
$D[0, j] = \infty$ for $j > 0$. The free energy stands in the last corner, $F = D[L-1, T-1]$. This is the **Viterbi
algorithm**, with $L \cdot T$ steps. The path is found on the way back: start in the last corner, and ask at each row
which of the two it was.

**Exercise 5 · `find_path`** · 4 points for energies, 4 for the path, 2 for the batch · ★★★ · 50 minutes

*One loop forward, one loop back, both over the windows alone.* All $j$ and all images of the batch are computed at
once; again the grader counts lines. If there are fewer windows than targets, no path exists: then $F$ is infinite (2³⁰
or more, or `inf`), and the path may be anything.

<details><summary>Hint</summary>

In row $i$ you need row $i - 1$ twice, once as it is and once moved by one column. What enters at the left when it is
moved? For the way back, keep for each $(i, j)$ whether the path came diagonally: a tensor of 0s and 1s. The current
column is a tensor `(B,)`, one number for each image, and `back[rows, i, column]` with `rows = torch.arange(B)` reads
all of them.

</details>
"""


# %% nbgrader={"grade": false, "grade_id": "find-path-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def find_path(pm):
    """The cheapest allowed path through each matrix of a batch (Viterbi), looping over windows only.

    pm: path matrices (B, L, T)

    Returns a tuple of
    - the free energies (B,): the energy of the cheapest path;
    - the paths (B, L), int64: one that has this energy, for each matrix;
    - dp (B, L, T): dp[b, i, j] is the least energy from (0, 0) to (i, j), infinite (2³⁰ or more) where no path leads.
    """
    raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "find-path-energy", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def _check_find_path_energy():
    torch.manual_seed(7)
    pm = torch.randn(3, 7, 4)
    copied = pm.clone()
    free, path, dp = find_path(pm)
    assert torch.equal(pm, copied), "find_path has changed the matrix that it was given"
    best = [min(sum(matrix[i, j].item() for i, j in enumerate(z)) for z in all_paths(7, 4)) for matrix in pm]
    compare("the free energies", free, torch.tensor(best))
    assert dp.shape == (3, 7, 4), f"dp has shape {tuple(dp.shape)}, it should be (3, 7, 4)"
    compare("the first column of dp", dp[:, :, 0], pm[:, :, 0].cumsum(1))
    assert (dp[:, 0, 1:] >= INFINITE).all(), "in window 0 only target 0 can be seen: the rest of dp's row is infinite"
    assert (find_path(torch.randn(2, 3, 4))[0] >= INFINITE).all(), "three windows cannot show four targets"
    print("ok  no path is cheaper")


_check_find_path_energy()


# %% nbgrader={"grade": true, "grade_id": "find-path-path", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def _check_find_path_path():
    torch.manual_seed(7)
    pm = torch.randn(3, 7, 4)
    _, path, _ = find_path(pm)
    best = [min(sum(matrix[i, j].item() for i, j in enumerate(z)) for z in all_paths(7, 4)) for matrix in pm]
    assert path.shape == (3, 7) and path.dtype == torch.int64, "the paths should be int64 and of shape (B, L)"
    for matrix, z, energy in zip(pm, path.tolist(), best, strict=True):
        assert z in all_paths(7, 4), f"the path {z} is forbidden"
        assert abs(sum(matrix[i, j].item() for i, j in enumerate(z)) - energy) < 1e-4, f"{z} is not the cheapest path"
    for size in 1, 2, 5:
        assert find_path(torch.randn(1, size, size))[1].tolist() == [list(range(size))], "if L = T, there is a single path"
    assert find_path(torch.zeros(1, 6, 3))[1][0].tolist() in all_paths(6, 3), "with equal energies the path is forbidden"
    print("ok  the paths are the best ones; for example", path[0].tolist())


_check_find_path_path()


# %% nbgrader={"grade": true, "grade_id": "find-path-batch", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
def _check_find_path_batch():
    pm = torch.randn(40, 12, 6)
    free, path, dp = find_path(pm)
    for b in 0, 17, 39:
        alone_free, alone_path, alone_dp = find_path(pm[b : b + 1])
        compare(f"matrix {b} alone and in its batch", alone_free[0], free[b])
        assert torch.equal(alone_path[0], path[b]), f"matrix {b} has another path when it is alone"


_check_find_path_batch()


# %% nbgrader={"grade": false, "grade_id": "path-figure", "locked": true, "schema_version": 3, "solution": false, "task": false} tags=["demo"]
def _figure():


    def draw_path(ax, matrix, z, word, title):
        """Draw a path matrix (L, T) with the path z (L,) on it."""
        ax.imshow(matrix.T, cmap="cividis_r", aspect="auto")
        ax.plot(z, "o-", **DOTS)
        ax.set_yticks(range(matrix.shape[1]), [SYMBOLS[k] for k in transform_word(word)], fontsize=8)
        ax.set_xlabel("window")
        ax.set_title(title, fontsize=9)


    def draw_paths(models, dataset):
        """Draw the best path of each item's own word: one row for each of the named models."""
        figure, axes = plt.subplots(len(models), 4, figsize=(11, 2.5 * len(models)), squeeze=False)
        for row, (name, model) in zip(axes, models.items(), strict=True):
            for ax, (image, word) in zip(row, dataset, strict=False):
                matrix = build_path_matrix(energies_of(model, image[None]), transform_word(word)[None])
                free, path, _ = find_path(matrix)
                draw_path(ax, matrix[0], path[0], word, f"{name}: F = {free.item():.0f}")
        figure.tight_layout()
        plt.show()


    draw_paths({"letters only": letter_net}, examples)
    return draw_paths


draw_paths = _figure()

# %% [markdown] nbgrader={"grade": false, "grade_id": "train-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
*In the figure: path matrices of the four words from before, bright is cheap, with the best path in red, and its free
energy.* The network that only knows letters finds some of them. But each BETWEEN is dark: the path hurries through
these rows and gives them one window each.

## 6 · Learning along the path

Now the idea of the whole notebook. We do not know the true path, but we have a *best guess*, and along this path every
window has a label. So treat it as if it were true:

1. **Find the path** with the network as it is now, $\check z = \arg\min_z E(x, y, z)$, from the path matrix.
2. **Learn along it**: the loss is the cross-entropy of what the path says, $\frac1L \sum_l C[l, \check z_l]$, from the
   other matrix. Its gradient goes into the energies; the path itself is whole numbers, and has no gradient.

A better network finds better paths, and better paths make a better network.

Why not simply push the free energy of the right word down? Look at what the loss is made of:

$$\sum_l C[l, \check z_l] = \underbrace{\sum_l P[l, \check z_l]}_{F(x, y)}
+ \sum_l \log \sum_k e^{-E[l, k]} .$$

The first part pulls the right word down. The second is contrast: its gradient pushes *every* symbol of every window up,
most of all those that are lowest. Without it nothing would keep the energies of wrong words from falling along. It
depends on no path, by the way: the best path on $C$ is the best path on $P$. Their *values* differ, though, and only
one of them is the free energy.

In a batch words have different lengths. We fill up short ones with BETWEEN, `ox` to `o_x___` beside `cat`: after the
word comes blank paper, which is just what BETWEEN stands for.

**Exercise 6 · `path_cross_entropy`, `train_ebm_model`** · 3 + 4 points · ★★☆ · 35 minutes

*Sum up along a path; then close the circle.* For the picture below, keep two numbers of each step: the loss and the
batch's mean free energy.

<details><summary>Hint</summary>

Along the path you look up again, one number for each window: `gather` wants an index with three axes, whose last one
is short. Where in the loop may gradients be switched off? For the learning rate: gentler than for single letters, as
the network knows something already. Does your optimiser slow down towards the end?

</details>
"""


# %% nbgrader={"grade": false, "grade_id": "path-ce-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def path_cross_entropy(ce, path):
    """The cross-entropies along paths, summed over windows.

    ce:   cross-entropies (B, L, T)
    path: (B, L), int64

    Returns a tensor (B,) with Σ_l ce[b, l, path[b, l]], which can be differentiated with respect to ce.
    """
    raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "path-ce", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def _check_path_ce():
    torch.manual_seed(8)
    ce, path = torch.rand(2, 5, 4).requires_grad_(), torch.tensor([[0, 0, 1, 2, 3], [0, 1, 2, 3, 3]])
    sums = path_cross_entropy(ce, path)
    right = [sum(ce[b, i, path[b, i]].item() for i in range(5)) for b in range(2)]
    compare("the sums along two paths", sums, torch.tensor(right))
    assert sums.requires_grad, "the sums have lost their graph: nobody can learn from them"
    sums.sum().backward()
    compare("the gradient: 1 on the path, 0 elsewhere", ce.grad, functional.one_hot(path, 4))


_check_path_ce()


# %% nbgrader={"grade": false, "grade_id": "train-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def train_ebm_model(model, loader, epochs, lr=0.003):
    """Train the model on words, in training mode, along the best paths that it finds itself.

    model:  maps images (B, 1, 32, W) to energies (B, L, 27); may arrive in evaluation mode and with old gradients
    loader: a DataLoader of batches (images, targets), targets (B, T), int64, L ≥ T; the last may be smaller
    epochs: the number of passes over the loader; every batch is one step of an optimiser
    lr:     the (largest) learning rate

    The loss of a batch is the cross-entropy along its best paths, averaged over images and windows. Returns a tuple of
    two lists of plain numbers, one for each step: the losses, and the batches' mean free energies.
    """
    raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "train", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def _check_train():
    class Table(nn.Module):
        """A "network" that looks the energies of L windows up: its images are row numbers."""

        def __init__(self, rows, L):
            super().__init__()
            self.energies = nn.Parameter(torch.randn(rows, L, 27))

        def forward(self, images):
            return self.energies[images]


    torch.manual_seed(9)
    table, targets = Table(5, 9), torch.stack([transform_word(word) for word in ("ox", "it", "we", "go", "be")])
    loader = DataLoader(TensorDataset(torch.arange(5), targets), batch_size=2)  # the last batch is a single image
    with torch.no_grad():
        start = build_ce_matrix(table.energies, targets), *find_path(build_path_matrix(table.energies, targets))
    others = {"old gradients": copy.deepcopy(table), "a learning rate of 0.000001": copy.deepcopy(table)}
    before = table.energies.detach().clone()
    result = train_ebm_model(table.eval(), loader, epochs=40)
    assert isinstance(result, tuple | list) and len(result) == 2, "two lists should come back: losses and free energies"
    losses, free_energies = result
    assert len(losses) == len(free_energies) == 120, "there should be one number for each of the 3 · 40 steps"
    plain = all(isinstance(number, float) for number in (*losses, *free_energies))
    assert plain, "both lists should hold plain numbers, no tensors"
    right = path_cross_entropy(start[0][:2], start[2][:2]).mean().item() / 9
    assert abs(losses[0] - right) < 1e-4, f"the first loss is {losses[0]:.4f}, it should be {right:.4f}"
    right, found = start[1][:2].mean().item(), free_energies[0]
    assert abs(found - right) < 1e-4, f"the first mean free energy is {found:.4f}, it should be {right:.4f}"
    falling = losses[-1] < losses[2] and free_energies[-1] < free_energies[2]
    assert falling, "the loss and the free energy of the last image should fall"
    assert not torch.equal(table.energies, before), "the model itself has not changed"
    for name, other in others.items():
        other.energies.grad = torch.full_like(before, 1e9) if name == "old gradients" else None
        train_ebm_model(other, loader, epochs=1, lr=1e-6)
        assert (other.energies - before).abs().max() < 1e-3, f"with {name} the parameters should hardly move"
    print(f"ok  loss {losses[0]:.2f} → {losses[-1]:.2f}, free energy {free_energies[0]:.1f} → {free_energies[-1]:.1f}")


_check_train()


# %% nbgrader={"grade": false, "grade_id": "words-train", "locked": true, "schema_version": 3, "solution": false, "task": false} tags=["demo"]
def _figure():
    def stack_targets(words, max_length):
        """The targets of several words, filled up with BETWEEN to the length of the longest one possible."""
        targets = torch.full((len(words), 2 * max_length), BETWEEN)
        for row, word in zip(targets, words, strict=True):
            row[: 2 * len(word)] = transform_word(word)
        return targets


    torch.manual_seed(0)
    words = SimpleWordsDataset(max_length=3, len=4800, jitter=7, noise=True)
    word_set = TensorDataset(words.images, stack_targets(words.words, 3))
    word_loader = DataLoader(word_set, batch_size=32, shuffle=True)
    before = copy.deepcopy(letter_net)  # it knows letters only
    print("training on words, for some five seconds …")
    word_losses, free_energies = train_ebm_model(letter_net, word_loader, epochs=3)
    print(f"the loss fell from {word_losses[0]:.2f} to {word_losses[-1]:.3f}")
    return before, free_energies, word_losses, stack_targets, word_loader


before, free_energies, word_losses, stack_targets, word_loader = _figure()


# %% nbgrader={"grade": false, "grade_id": "training-figure", "locked": true, "schema_version": 3, "solution": false, "task": false} tags=["demo"]
def _figure():
    torch.manual_seed(1)
    fresh = SimpleWordsDataset(max_length=3, len=300, jitter=7, noise=True, min_length=3)
    kinds = ("the right word", fresh.words, BLUE, ""), ("another word", fresh.words[1:] + fresh.words[:1], ORANGE, "//")
    figure, (ax_loss, ax_free, ax_gap) = plt.subplots(1, 3, figsize=(11, 2.9))
    ax_loss.semilogy(word_losses, color=BLUE)
    ax_loss.set(xlabel="step", title="loss: cross-entropy along the path")
    ax_free.plot(free_energies, color=BLUE)
    ax_free.set(xlabel="step", title="mean free energy of the right word")
    for place, model in enumerate((before, letter_net)):
        energies = energies_of(model, fresh.images)
        for shift, (label, spelt, color, hatch) in zip((-0.2, 0.2), kinds, strict=True):
            free = find_path(build_path_matrix(energies, stack_targets(spelt, 3)))[0]
            bars = ax_gap.bar(place + shift, free.mean(), width=0.36, color=color, hatch=hatch, edgecolor="white")
            bars.set_label(label if place == 0 else None)
    ax_gap.set(xticks=[0, 1], xticklabels=["letters only", "trained on words"], title="mean free energy F(x, y)")
    ax_gap.axhline(0, color="black", linewidth=0.7)
    ax_gap.legend(fontsize=8)
    figure.tight_layout()
    plt.show()
    draw_paths({"letters only": before, "trained on words": letter_net}, examples)


_figure()

# %% [markdown] nbgrader={"grade": false, "grade_id": "decode-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
*In the first figure: loss and free energy of every step; on the right the mean free energy of 300 fresh images with
their own word (plain) and with another image's word (hatched), before and after training. In the second one: best
paths before (above) and after training (below).* The right word's free energy falls, and the gap to wrong words
opens: it is what reading lives on. The paths now rest on each letter while it is in sight, and on BETWEEN while it
changes.

## 7 · Reading

The network is trained; what does it read? One symbol for each window, say `cc__aa_tt_`, is turned into a word by
two rules: *equal neighbours are one*, and *BETWEEN is silent*. In this order: `l_l` is a double l, and `ll` is one.

Which symbols? Each window's favourite would be a guess. But favourites ignore each other, and beside a wide letter a
window may briefly see another one: `nn_mrr__`. By the rules of section 4, BETWEEN has to follow a letter before another
one begins. Energies tell us what to do, the word is the one with the lowest:

$$\check y = \arg\min_y F(x, y) = \arg\min_y \min_z E(x, y, z) .$$

There are infinitely many words, but this is a cheapest path again, now over symbols $s_0, \dots, s_{L-1}$: minimise
$\sum_l E[l, s_l]$, where $s_0$ is a letter, $s_{L-1}$ is BETWEEN, and a symbol may be followed by itself, or by
BETWEEN, or, if it *is* BETWEEN, by anything.

**Exercise 7 · `indices_to_str`, `decode`** · 2 points, 4 for decoding, 5 for what is read · ★★★ · 40 minutes

*Find the best of all words.* One point of `decode` is for images where the favourites would do. The grader then warms
a `SimpleNet()` up with `train_letters`, as in section 2, trains it by `train_ebm_model(model, loader, epochs=3)` on
4,800 words of one to three letters in batches of 32, and lets your `decode` read 600 images with words of two to four
letters: half of the five points if 40 % of the words are right to the last letter, all from **75 %** on. (Ours reads
more than 98 %.) Before that a few words must have been learned by heart, as in the last check cell. The grader counts
epochs, not seconds; only a run that takes more than ten times as long as ours is stopped.

<details><summary>Hint</summary>

Write down who may follow whom as a matrix (27, 27) of zeros and infinities. If `cost` holds the least energy of ending
in each symbol so far, then `cost[:, None]` plus this matrix is the price of every next step. Minimise over where one
comes from, and remember it. What does it cost to start with BETWEEN? And from which symbol do you walk back?

</details>
"""


# %% nbgrader={"grade": false, "grade_id": "strings-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def indices_to_str(indices):
    """The word that is written by one symbol for each window.

    indices: a list or an int64 tensor of symbols, whole numbers from 0 to 26

    Returns a string: runs of equal symbols count once, then every BETWEEN is dropped; cc__aa_tt_ reads 'cat'.
    """
    raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "strings", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
def _check_strings():
    for seen, right in ("cc__aa_tt_", "cat"), ("l_l_", "ll"), ("lll_", "l"), ("__", ""), ("_zz", "z"), ("aa_ab", "aab"):
        for indices in [SYMBOLS.index(symbol) for symbol in seen], torch.tensor([SYMBOLS.index(s) for s in seen]):
            found = indices_to_str(indices)
            assert found == right, f"{seen} reads {found!r}, it should read {right!r}"
    print("ok  words are read off their windows")


_check_strings()


# %% nbgrader={"grade": false, "grade_id": "decode-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def decode(model, image):
    """The word with the lowest free energy of all words with at least one letter.

    model: maps images (B, 1, 32, W) to energies (B, L, 27); asked in evaluation mode, left in the mode it came in
    image: (1, 32, W), wide enough for L ≥ 2

    Returns a string.
    """
    raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "decode", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def _check_decode():
    class Given(nn.Module):
        """A "network" that has made up its mind: the same energies for every image."""

        def __init__(self, energies):
            super().__init__()
            self.energies = nn.Parameter(energies)

        def forward(self, images):
            assert not self.training, "ask the model in evaluation mode"
            assert images.shape == (1, 1, 32, 60), f"the model is shown {tuple(images.shape)}, not a batch (1, 1, 32, W)"
            return self.energies.expand(len(images), -1, -1).clone()


    def sure(seen):
        """Energies (1, L, 27) of windows that clearly show these symbols."""
        return 5 * (1 - functional.one_hot(torch.tensor([SYMBOLS.index(symbol) for symbol in seen]), 27)[None].float())


    paper = torch.zeros(1, 32, 60)
    for seen, right in ("cc__aa_tt_", "cat"), ("ll_l_ll__", "lll"), ("z_", "z"):
        model = Given(sure(seen))
        found = decode(model, paper)
        assert found == right, f"windows that clearly show {seen} are read as {found!r}, not as {right!r}"
        assert model.training, "leave the model in the mode it came in"
    doubtful = sure("nnn_mrr_")  # an m without BETWEEN behind it …
    doubtful[0, 4, SYMBOLS.index("r")] = 0.5  # … in a window that is nearly as much of an r
    found = decode(Given(doubtful), paper)
    assert found == "nr", f"{found!r} is not the best word: between two letters there must be BETWEEN, and `nr` is cheap"
    print("ok  the best word is found")


_check_decode()


# %% nbgrader={"grade": true, "grade_id": "words-learn", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
def _check_words_learn():
    # Sixteen words of two letters, learned by heart without any warming up.
    torch.manual_seed(10)
    few = SimpleWordsDataset(max_length=2, len=16, jitter=3, min_length=2)
    few_targets = torch.stack([transform_word(word) for word in few.words])
    small = SimpleNet()
    train_ebm_model(small, DataLoader(TensorDataset(few.images, few_targets), batch_size=16), epochs=60, lr=0.01)
    read = [decode(small, image) for image in few.images]
    hits = sum(guess == word for guess, word in zip(read, few.words, strict=True))
    print(f"after 60 steps {hits} of 16 words are known; for example {few.words[0]!r} is read as {read[0]!r}")
    assert hits >= 8, "at least half of them should be known"


_check_words_learn()


# %% nbgrader={"grade": false, "grade_id": "reading", "locked": true, "schema_version": 3, "solution": false, "task": false} tags=["demo"]
def _figure():
    torch.manual_seed(3)
    tests = {n: SimpleWordsDataset(max_length=n, len=200, jitter=7, noise=True, min_length=n) for n in (2, 3, 4)}


    def share(read, words):
        return sum(guess == word for guess, word in zip(read, words, strict=True)) / len(words)


    favourites = [share(map(indices_to_str, energies_of(letter_net, d.images).argmin(2)), d.words) for d in tests.values()]
    unread = [share([decode(before, image) for image in d.images], d.words) for d in tests.values()]
    best_words = [share([decode(letter_net, image) for image in d.images], d.words) for d in tests.values()]

    figure, ax = plt.subplots(figsize=(7.5, 2.8))
    kinds = ("letters only, best word", unread, "0.6", ".."), ("trained on words, favourites", favourites, ORANGE, "//")
    for place, (name, shares, color, hatch) in enumerate((*kinds, ("trained on words, best word", best_words, BLUE, ""))):
        bars = ax.bar(torch.arange(3) + 0.3 * (place - 1), shares, 0.28, color=color, hatch=hatch, edgecolor="white")
        ax.bar_label(bars, [f"{100 * value:.3g} %" for value in shares], fontsize=7)
        bars.set_label(name)
    ax.set(xticks=range(3), xticklabels=[f"{n} letters" for n in tests], ylim=(0, 1.12), ylabel="words read correctly")
    ax.axhline(0.75, color="black", linewidth=0.7, linestyle=":")
    ax.legend(fontsize=8, loc="upper left", bbox_to_anchor=(1, 1))
    figure.tight_layout()
    plt.show()
    draw_strips(letter_net, tests[4])
    assert min(best_words) > 0.75, "not there yet: does the loss fall? Does the learning rate?"
    return best_words, share, tests


best_words, share, tests = _figure()

# %% [markdown] nbgrader={"grade": false, "grade_id": "optional-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
*In the first figure: the share of words read correctly by their number of letters, for the network that only knows
letters (dotted bars), and after training by each window's favourite (hatched) and by the best word (plain); a dotted
line marks the goal. In the second one: words of four letters and their energies, as in section 2.* The network has
never seen a word of four letters. It does not have to: it slides, and what it knows about two neighbours holds in any
word. Deciding about the word as a whole mends most of what single windows get wrong.

## Optional: all paths at once

The minimum listens to a single path. At finite temperature every path has a say, the cheap ones a louder one:

$$F_\beta(x, y) = -\frac{1}{\beta} \log \sum_z e^{-\beta E(x, y, z)} .$$

It is computed by the same recursion, with a *soft minimum* of two numbers,
$-\frac1\beta \log(e^{-\beta a} + e^{-\beta b})$, in place of the minimum. And it can be differentiated: no path has to
be chosen, so none can be chosen wrongly. With it on the matrix $C$, at $\beta = 1$, one has nearly *connectionist
temporal classification* (CTC), the loss behind many speech recognisers. There BETWEEN is called blank; it may also come
first, and two different letters need none in between.

*No points:* write the soft minimum. The cell below compares it with the sum over all paths; then we train with
PyTorch's `ctc_loss` from the same start.
"""


# %% nbgrader={"grade": false, "grade_id": "soft-code", "locked": false, "schema_version": 3, "solution": true, "task": false} tags=["demo"]
def soft_free_energy(pm, beta):
    """The free energies (B,) at inverse temperature beta of path matrices (B, L, T), differentiable."""
    raise NotImplementedError


# %% nbgrader={"grade": false, "grade_id": "soft-check", "locked": true, "schema_version": 3, "solution": false, "task": false} tags=["demo"]
def _figure():
    torch.manual_seed(11)
    pm = torch.randn(1, 7, 4)
    energies = torch.tensor([sum(pm[0, i, j] for i, j in enumerate(z)) for z in all_paths(7, 4)])
    try:
        for beta in 0.3, 1.0, 3.0, 30.0:
            right = -torch.logsumexp(-beta * energies, 0) / beta
            compare(f"the free energy at β = {beta:4}: {right:6.3f}", soft_free_energy(pm, beta)[0], right, 1e-4)
        two = torch.stack([pm[0], 2 * pm[0]]).requires_grad_()  # a batch of two, and its gradient
        soft_free_energy(two, 1.5).sum().backward()
        steps = two.grad.sum((1, 2))  # in each window the shares of all targets add up to 1
        compare("what the gradients add up to", steps, torch.tensor([7.0, 7.0]))
        print(f"    and the minimum itself:       {energies.min():6.3f}")
    except NotImplementedError:
        print("Not written: it carries no points.")


_figure()


# %% nbgrader={"grade": false, "grade_id": "ctc", "locked": true, "schema_version": 3, "solution": false, "task": false} tags=["demo"]
def _figure():
    print("training with CTC, for some five seconds …")
    ctc_net = copy.deepcopy(before).train()
    optimizer = torch.optim.Adam(ctc_net.parameters(), lr=0.003)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.003, total_steps=3 * len(word_loader))
    for images, targets in itertools.chain(*[word_loader] * 3):
        log_p = (-ctc_net(images)).log_softmax(2).transpose(0, 1)  # (L, B, 27)
        written = targets != BETWEEN
        windows = torch.full((len(images),), len(log_p))
        loss = functional.ctc_loss(log_p, targets[written], windows, written.sum(1), blank=BETWEEN)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    for n, d in tests.items():
        favourite = share(map(indices_to_str, energies_of(ctc_net, d.images).argmin(2)), d.words)
        print(f"{n} letters: CTC reads {favourite:.1%} by favourites, you read {best_words[n - 2]:.1%} by the best word")
    draw_strips(ctc_net, tests[4])


_figure()

# %% [markdown] nbgrader={"grade": false, "grade_id": "farewell", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
*In the figure: the same words and their energies after training with CTC.* Compare the dots: CTC names a letter in one
or two windows, and says BETWEEN everywhere else. Where every path counts, nobody has to hold on to a letter.

## What you have seen

- The energy of a structured answer, a word, is a sum of small parts. Dynamic programming minimises such sums over
  millions of paths, or over all words there are, in a few steps.
- A latent variable needs no labels: the best path under the present energies is label enough to learn from.
- Pushing the right answer down is half of learning. The other half, here the partition function of every window, pushes
  the rest up.

**If you are still curious** (no points): leave out the warm start and compare the losses of the first hundred steps.
Draw letters closer together; when does BETWEEN lose its meaning? Or give `decode` a prior: add the energy of a bigram
model for English to every letter, and read real words through heavy noise.
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
    "ocr.ipynb",
    [
        "1 net-shapes",
        "1 net-window",
        "2 letters-loop",
        "2 letters-learn",
        "3 transform",
        "3 path-matrix",
        "3 ce-matrix",
        "4 path-energy",
        "5 find-path-energy",
        "5 find-path-path",
        "5 find-path-batch",
        "6 path-ce",
        "6 train",
        "7 strings",
        "7 decode",
        "7 words-learn",
    ],
    [],
    {
        1298035859: "all_paths ALPHABET BETWEEN BLUE compare energies_of GREEN INFINITE ORANGE RED"
        " " "relative_error SYMBOLS",
        3671835724: "draw_letters FONTS LETTERS SimpleWordsDataset",
        2793422708: "letter_net",
        2269613481: "DOTS draw_strips examples",
        27389620: "draw_paths",
        4145270504: "before free_energies word_losses stack_targets word_loader",
        2561789293: "best_words share tests",
    },
    "*Your answer here: double-click this line and write.*",
)
