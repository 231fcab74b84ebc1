# %% [markdown] nbgrader={"grade": false, "grade_id": "header", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
# Reading words with energies

To cut a word into letters, you must know the letters. To know the letters, you must cut it. So treat the cut
as a *latent variable*. Every way to lay the word over the image has an energy; the lowest one shows where the letters
are.

**You build** a network that slides over an image, dynamic programming for the cheapest path, training along it, and a
decoder.

| exercise | you write | points | minutes |
|---|---|---|---|
| 1 | `SimpleNet` | 7 | 35 |
| 2 | `train_letters` | 4 | 25 |
| 3 | `transform_word`, `build_path_matrix`, `build_ce_matrix` | 7 | 35 |
| 4 | `path_energy` | 3 | 15 |
| 5 | `find_path` | 10 | 50 |
| 6 | `path_cross_entropy`, `train_ebm_model` | 7 | 35 |
| 7 | `indices_to_str`, `decode`, and what your network reads | 11 | 40 |
| 8 | a prediction, and its explanation | ½ + ½ (by hand) | 5 |
| 9 | `soft_free_energy` | optional | (20) |
| 10 | `infonce`, `variance_term` | optional | (30) |
| | **in all** | **50**: 49½ by machine, ½ by hand | **240** |

**You need** receptive fields (Homework 2) and energies (the theory notebook).

**How to work.** Replace each `raise NotImplementedError` with your code, then run the check below it. You may use all
of `torch`. Your functions must not change the tensors and lists that they receive. The grader uses other numbers and
sizes, and trains your network itself.
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

# The cells below use these names themselves: all_paths, ALPHABET, BETWEEN, energies_of, INFINITE, SYMBOLS,
# BLUE, compare, GREEN, ORANGE, RED, relative_error, show_figure, draw_letters, FONTS, LETTERS,
# SimpleWordsDataset, letter_net, DOTS, draw_strips, examples, draw_paths, before, stack_targets, word_loader,
# tests. Give your own helpers other names.

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

torch.set_num_threads(1)  # enough for a network as small as this

ALPHABET = "abcdefghijklmnopqrstuvwxyz"
BETWEEN = 26  # the symbol for windows that show no letter, written _
SYMBOLS = ALPHABET + "_"  # SYMBOLS[k] is the symbol with number k, from 0 to 26
INFINITE = 2.0**30  # the energy of anything forbidden


def energies_of(model, images):
    """The energies (B, L, 27) of images (B, 1, 32, W), in evaluation mode and without gradients."""
    training = model.training
    model.eval()
    with torch.no_grad():
        energies = model(images)
    model.train(training)
    return energies


def all_paths(L, T):
    """Yield every allowed path of L windows and T targets."""
    for moves in itertools.combinations(range(1, L), T - 1):  # the windows in which a new target begins
        yield [sum(move <= i for move in moves) for i in range(L)]


# %% nbgrader={"grade": false, "grade_id": "common", "locked": true, "schema_version": 3, "solution": false, "task": false}
# @title Helpers for checks and figures. Run this cell; you need not read it.

BLUE, ORANGE, GREEN, RED = "#0072B2", "#C08000", "#009E73", "#B22222"  # for colour-blind readers, too; 3 : 1 on white


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


def show_figure(says):
    """Show the current figure. `says` tells readers who cannot see it what the data say: a sentence with numbers."""
    if "get_ipython" not in globals():  # a script: a window has no place for the text
        plt.show()
        return
    from html import escape

    from IPython.core.pylabtools import print_figure
    from IPython.display import display

    png = print_figure(plt.gcf(), base64=True)
    plt.close()
    image = f'<img alt="{escape(says)}" src="data:image/png;base64,{png}">'  # JupyterLab gives a PNG alone no text
    display({"image/png": png, "text/html": image}, metadata={"image/png": {"alt": says}}, raw=True)


# %% [markdown] nbgrader={"grade": false, "grade_id": "data-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
## Words on paper

The computer draws words with ten fonts. Images are 32 pixels high, ink is 1, paper is 0, and each letter has 18
columns. All images of a `SimpleWordsDataset` are equally wide, so blank paper follows a short word.
"""

# %% nbgrader={"grade": false, "grade_id": "data", "locked": true, "schema_version": 3, "solution": false, "task": false}
FONTS = (
    *("DejaVuSans", "DejaVuSans-Bold", "DejaVuSans-Oblique", "DejaVuSansMono", "DejaVuSerif"),
    *("STIXGeneral", "STIXGeneralBol", "cmr10", "cmss10", "cmtt10"),
)


def draw_letters():
    """Draw every letter in every font: a tensor (fonts, 26, 32, 18) of values from 0 to 1."""
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
    """`len` random words of min_length to max_length letters; item i is a pair (image, word).

    image: a tensor (1, 32, W)
    jitter: up to so many blank columns, in all, lie before and between the letters
    noise: whether random grey is added, up to 0.1
    """

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
    size = f"{samples.images.shape[2]} × {samples.images.shape[3]} pixels"
    show_figure(f"Twelve images of {size}, black letters on grainy paper: {', '.join(samples.words)}.")


_figure()

# %% [markdown] nbgrader={"grade": false, "grade_id": "net-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
*In the figure: twelve images with their words.* No fixed columns separate letters.

## 1 · A network that slides

A window of 18 columns moves over the image from left to right, in steps of 4. Window $l$, counted from 0, covers
columns $4l$ to $4l+17$. The network gives it 27 energies $E[l,k]$, one for each symbol: **the lower, the better the
symbol fits**. A width of $W$ columns has room for $L=\lfloor(W-18)/4\rfloor+1$ windows: one for a single letter, 18
for the images above.

A convolutional network computes all windows at once (LeCun et al. 1998). It needs *no padding along the width*, a
receptive field of 18 columns, and strides that multiply to 4. Along the height nothing slides: pad as you like, and
reduce the 32 rows to one.

**Exercise 1** · 3 + 4 points · ★★☆ · 35 minutes

*Write `SimpleNet`: from images `(B, 1, 32, W)` with $W\ge18$ to energies `(B, L, 27)`, with at most 100,000
parameters.* In evaluation mode, a window's energies must depend on all of its 18 columns and on nothing else, not
even on other images of the batch. Batch normalisation is allowed.

<details><summary>Hint</summary>

Two layers with stride 2 give you the 4. The receptive field starts at 1, and each layer adds (kernel − 1) × the
product of the strides *before* it. Which three kernels lead to 18?

</details>
"""


# %% nbgrader={"grade": false, "grade_id": "net-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
class SimpleNet(nn.Module):
    """Slides a window of 18 columns over an image in steps of 4; gives 27 energies for each window."""

    def __init__(self):
        super().__init__()
        raise NotImplementedError

    def forward(self, x):
        """Takes images (B, 1, 32, W), returns energies (B, L, 27) with L = (W - 18) // 4 + 1."""
        raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "net-shapes", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
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


# %% nbgrader={"grade": true, "grade_id": "net-window", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def _check_net_window():
    torch.manual_seed(2)
    net, image = SimpleNet(), torch.rand(1, 1, 32, 60)
    for parameter in net.parameters():
        nn.init.normal_(parameter, std=0.1)  # zeros would hide what a layer depends on
    whole = energies_of(net, image)  # (1, 11, 27)
    for place in range(whole.shape[1]):
        alone = energies_of(net, image[..., 4 * place : 4 * place + 18])
        message = f"window {place} gets other energies when its 18 columns are cut out"
        assert torch.allclose(alone[:, 0], whole[:, place], rtol=1e-3, atol=1e-4), message
    image.requires_grad_()
    net.eval()(image)[0, 5].square().sum().backward()
    seen = image.grad.abs().sum((0, 1, 2)).nonzero().flatten().tolist()
    assert seen == list(range(20, 38)), f"the energies of window 5 depend on columns {seen}, not on its own 18"
    print("ok  each window depends on its own 18 columns")


_check_net_window()

# %% [markdown] nbgrader={"grade": false, "grade_id": "letters-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
## 2 · Single letters first

Start with images of single letters: one window each, and no path. The Gibbs distribution, here at $\beta=1$,
turns energies into probabilities:

$$p(k\mid{x})=\frac{e^{-E[0,k]}}{\sum_{k'}e^{-E[0,k']}}=\mathrm{softargmax}(-E[0])_k.$$

The loss is the cross-entropy, $-\log{p}(y\mid{x})$. `functional.cross_entropy` expects *logits*, which are high where
energies are low.

**Exercise 2** · 2 + 2 points · ★☆☆ · 25 minutes

*Write `train_letters`, which trains on batches of letters and returns the loss of every step.* Optimiser and schedule
are up to you. The grader calls `train_letters(model, loader, epochs=2)` for your `SimpleNet()`, on 4,800 letters in
batches of 64. Reading 90 % of 1,000 other letters earns one point, 98 % both. Before that, your network must learn
7 of the 26 letters of one font in 60 steps; otherwise both points are lost.

<details><summary>Hint</summary>

The energies of single letters have one axis more than the cross-entropy takes. Which one? With Adam, start at a
learning rate of 0.01 and let it fall to zero over `epochs * len(loader)` steps.

</details>
"""


# %% nbgrader={"grade": false, "grade_id": "letters-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def train_letters(model, loader, epochs, lr=0.01):
    """Train the model on images of single letters, in training mode.

    model:  maps images (B, 1, 32, 18) to energies (B, 1, 27); may arrive in evaluation mode and with old gradients
    loader: a DataLoader of batches (images, labels); labels (B,) from 0 to 25; the last batch may be smaller
    epochs: the number of passes over the loader; every batch is one step of an optimiser
    lr:     the largest learning rate

    Returns a list of plain numbers: for every step, the batch's mean cross-entropy before the step.
    """
    raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "letters-loop", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
def _check_letters_loop():
    torch.manual_seed(3)
    table = nn.Embedding(7, 27)  # stands for a network: its "images" are row numbers
    start, labels = table.weight.detach().clone(), torch.tensor([3, 1, 4, 1, 5, 9, 0])
    loader = DataLoader(TensorDataset(torch.arange(7)[:, None], labels), batch_size=3)  # the last batch is a single image
    others = {"old gradients": copy.deepcopy(table), "a learning rate of 0.000001": copy.deepcopy(table)}
    losses = train_letters(table.eval(), loader, epochs=20)
    assert losses is not None and len(losses) == 60, "there should be one loss for each step: 20 epochs of 3 batches"
    assert all(isinstance(loss, float) for loss in losses), "the losses should be plain numbers, not tensors"
    first, last = -start[:3].neg().log_softmax(1)[range(3), labels[:3]].mean().item(), losses[2]
    assert abs(losses[0] - first) < 1e-4, "the first loss is not the mean cross-entropy of -energies: is the sign right?"
    assert losses[-1] < last, "the loss of the last image does not fall"
    moved = (table.weight.detach() - start)[range(7), labels]
    assert (moved < 0).all(), "the energy of the right letter should fall"
    for name, other in others.items():
        other.weight.grad = torch.full((7, 27), 1e9) if name == "old gradients" else None
        train_letters(other, loader, epochs=1, lr=1e-6)
        assert (other.weight - start).abs().max() < 1e-3, f"with {name} the parameters should hardly move"
    print("ok  each step lowers the energies of the right letters")


_check_letters_loop()


# %% nbgrader={"grade": true, "grade_id": "letters-learn", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
def _check_letters_learn():
    # If this fails after 60 steps on the 26 letters of one font, stop and look for the bug.
    torch.manual_seed(4)
    net = SimpleNet()
    train_letters(net, DataLoader(TensorDataset(LETTERS[0][:, None], torch.arange(26)), batch_size=13), epochs=30)
    hits = int((energies_of(net, LETTERS[0][:, None])[:, 0].argmin(1) == torch.arange(26)).sum())
    print(f"after 60 steps {hits} of 26 letters are read correctly")
    assert hits >= 13, "too few letters are learned: do the energies of the right letters fall?"


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
    if hits < 980:
        print("98 % earn both points: does the learning rate fall to zero?")

    DOTS = {"color": RED, "markeredgecolor": "black", "markeredgewidth": 0.5, "markersize": 5}


    def draw_strip(ax_image, ax_energies, image, energies, title):
        """Draw an image (1, 32, W), and below it the energies (L, 27) of its windows, each at its centre."""
        W, L = image.shape[-1], len(energies)
        ax_image.imshow(image[0], cmap="gray_r", aspect="auto", extent=(0, W, 32, 0))
        ax_image.set_title(title, fontsize=9)
        ax_image.axis("off")
        relative = energies - energies.min(1, keepdim=True).values  # 0 for the favourite of each window
        ax_energies.imshow(relative.T, cmap="cividis_r", aspect="auto", extent=(7, 7 + 4 * L, 26.5, -0.5), vmax=15)
        ax_energies.plot(9 + 4 * torch.arange(L), energies.argmin(1), "o", **DOTS)
        ax_energies.set(xlim=(0, W), yticks=[0, 4, 8, 12, 16, 20, 26], xlabel="column")
        ax_energies.set_yticklabels(["a", "e", "i", "m", "q", "u", "_"], fontsize=7)


    def draw_strips(model, dataset):
        """Draw the first four items of a data set and their energies side by side."""
        figure, axes = plt.subplots(2, 4, figsize=(11, 3.6), height_ratios=[1, 2.2])
        said = []
        for column, (image, word) in zip(axes.T, dataset, strict=False):
            energies = energies_of(model, image[None])[0]
            guesses = "".join(SYMBOLS[k] for k in energies.argmin(1))
            draw_strip(*column, image, energies, f"{word}: {guesses}")
            said.append(f"{word} as {guesses}")
        axes[1, 0].set_ylabel("symbol")
        figure.tight_layout()
        show_figure(f"Each word, as the favourite symbols of its windows from left to right: {', '.join(said)}.")


    torch.manual_seed(5)
    examples = SimpleWordsDataset(max_length=3, len=4, jitter=7, noise=True, min_length=2)
    draw_strips(letter_net, examples)
    return letter_net, DOTS, draw_strips, examples


letter_net, DOTS, draw_strips, examples = _figure()

# %% [markdown] nbgrader={"grade": false, "grade_id": "matrices-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
*In the figure: four words, and the energies of their windows (columns) for all symbols (rows); bright is low. A dot
marks each window's favourite, the symbol with the lowest energy; the title spells the dots.* Where a window covers one
letter exactly, the favourite is nearly always this letter. Elsewhere it is some letter, too: the network has never
been trained to answer `_`.

## 3 · A word, laid over an image

A letter may fill several windows. After each letter comes the symbol BETWEEN, written `_`, for windows that show no
letter or parts of two:

$$\texttt{cat}\;\to\;\texttt{c\_a\_t\_}\;\to\;y=(2,26,0,26,19,26),\qquad{T}=2\cdot(\text{number of letters}).$$

`ll` becomes `l_l_`: BETWEEN separates two equal letters.

The **path matrix** $P$ holds the energies of the word's targets, in the order of its spelling; $C$ holds their
cross-entropies:

$$P[l,t]=E[l,y_t],\qquad{C}[l,t]=-\log\mathrm{softargmax}(-E[l])_{y_t}=E[l,y_t]+\log\sum_ke^{-E[l,k]}.$$

The sum runs over all 27 symbols. $e^{200}$ overflows in `float32`: use a function of PyTorch that avoids it.

**Exercise 3** · 1 + 3 + 3 points · ★★☆ · 35 minutes

*Write `transform_word`, which spells a word, and `build_path_matrix` and `build_ce_matrix` for batches.* Build the
matrices without loops: the lines and the PyTorch operations that run must not grow in number with the images, windows
or targets.

<details><summary>Hint</summary>

`torch.gather(input, dim, index)` looks up along one axis. Its index has as many axes as the input, and the result has
the shape of the index. Which axis do the targets lack? (`expand` repeats along a new axis.)

</details>
"""


# %% nbgrader={"grade": false, "grade_id": "transform-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def transform_word(word):
    """The targets of a word: the number of each letter (a is 0), followed by BETWEEN.

    word: a string of letters a to z

    Returns an int64 tensor (T,) with T = 2 · len(word); 'cat' becomes c_a_t_, that is 2, 26, 0, 26, 19, 26.
    """
    raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "transform", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
def _check_transform():
    for word, right in ("cat", "c_a_t_"), ("all", "a_l_l_"), ("z", "z_"):
        targets = transform_word(word)
        assert torch.is_tensor(targets) and targets.dtype == torch.int64, "the targets should be an int64 tensor"
        assert ((targets >= 0) & (targets < 27)).all(), "the targets should be symbols, numbers from 0 to 26"
        found = "".join(SYMBOLS[k] for k in targets)
        assert found == right, f"transform_word({word!r}) spells {found}: each letter once, each followed by BETWEEN"
    print("ok  every letter is followed by BETWEEN")


_check_transform()


# %% nbgrader={"grade": false, "grade_id": "path-matrix-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def build_path_matrix(energies, targets):
    """The path matrix: the energy of each target in each window, without loops.

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

    energies: (B, L, 27); large ones must not overflow
    targets:  (B, T), int64

    Returns C (B, L, T) with C[b, l, t] = -log softargmax(-energies[b, l])[targets[b, t]]; gradients reach energies.
    """
    raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "ce-matrix", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def _check_ce_matrix():
    torch.manual_seed(6)
    energies, targets = torch.randn(2, 7, 27), torch.tensor([[2, 26, 0, 26, 19, 26], [25, 26, 14, 26, 14, 26]])
    by_hand = [[[energies[b, i, targets[b, t]] for t in range(6)] for i in range(7)] for b in range(2)]
    C = build_ce_matrix(energies, targets)  # of "cat" and "zoo"
    Z = energies.neg().exp().sum(2, keepdim=True)  # (2, 7, 1)
    compare("the cross-entropies", C, torch.tensor(by_hand) + Z.log())
    large = build_ce_matrix(1000 * energies, targets)
    assert torch.isfinite(large).all(), "with large energies something overflows: avoid the exponentials"
    assert (C >= 0).all() and (large >= 0).all(), "a cross-entropy is never negative"
    print("ok  nothing overflows")


_check_ce_matrix()

# %% [markdown] nbgrader={"grade": false, "grade_id": "path-energy-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
## 4 · The energy of a path

A **path** $z$ says which target each window shows. It is allowed if it

- starts with the first letter, $z_0=0$;
- ends with the last BETWEEN, $z_{L-1}=T-1$;
- stays or moves on by one at each step, $z_{l+1}-z_l\in\{0,1\}$.

Its energy is the sum of the entries that it visits:

$$E(x,y,z)=\sum_{l=0}^{L-1}P[l,z_l].$$

The energy of a forbidden path is infinite: here $2^{30}$, the constant `INFINITE`.

**Exercise 4** · 3 points · ★☆☆ · 15 minutes

*Write `path_energy` for one matrix `(L, T)` and one path: return the sum, or `INFINITE` if the path is forbidden.* A
path with too few or too many entries, or none, is also forbidden.

<details><summary>Hint</summary>

Check the length first, then both ends, then the steps. `torch.as_tensor(path).diff()` gives you all steps at once.

</details>
"""


# %% nbgrader={"grade": false, "grade_id": "path-energy-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def path_energy(pm, path):
    """The energy of one path.

    pm:   a path matrix (L, T)
    path: a list or an int64 tensor of whole numbers, z[0], z[1], …

    Returns a number or a one-element tensor: the sum of pm[l, z[l]], or INFINITE (2³⁰) if the path is forbidden. A path
    is allowed if it has L entries, starts at 0, ends at T - 1, and has only steps of 0 and +1.
    """
    raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "path-energy", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def _check_path_energy():
    pm = torch.arange(20.0).reshape(5, 4)  # L = 5 windows, T = 4 targets
    for path, right in ([0, 1, 2, 2, 3], 0 + 5 + 10 + 14 + 19), ([0, 0, 1, 2, 3], 0 + 4 + 9 + 14 + 19):
        for name, z in (f"the energy of {path}", path), ("the same path as a tensor", torch.tensor(path)):
            energy = path_energy(pm, z)
            single = torch.is_tensor(energy) and energy.numel() == 1  # a number, in any shape
            compare(name, energy.reshape(()) if single else energy, float(right))
    for path, reason in {
        (1, 1, 2, 2, 3): "starts at 1",
        (0, 1, 1, 2, 2): "does not end at T - 1",
        (0, 0, 2, 2, 3): "skips target 1",
        (0, 1, 2, 1, 3): "goes back",
        (0, 1, 2, 3): "has an entry too few",
        (0, 1, 2, 3, 3, 3): "has an entry too many",
    }.items():
        assert float(path_energy(pm, list(path))) == 2**30, f"{list(path)} {reason}: its energy should be 2³⁰"
    print("ok  forbidden paths are refused")


_check_path_energy()

# %% [markdown] nbgrader={"grade": false, "grade_id": "find-path-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
## 5 · The cheapest path

The path is latent: the data do not contain it. Inference minimises over it, and the least energy is the **free
energy** (for $\beta\to\infty$):

$$F(x,y)=\min_zE(x,y,z).$$

The theory notebook's free energy $A(x)$ sums over all answers; $F(x,y)$ belongs to one word and minimises over its
paths.

A path moves on at $T-1$ of its $L-1$ steps, so there are $\binom{L-1}{T-1}$ paths: more than 200 million for five
letters in 40 windows. But many share their beginnings. Let $D[i,j]$ be the least energy of all paths from $(0,0)$ to
$(i,j)$. The last step came from one of two places, so

$$D[i,j]=\min\bigl(D[i-1,j],\;D[i-1,j-1]\bigr)+P[i,j].$$

Window 0 can only show target 0: $D[0,0]=P[0,0]$, and $D[0,j]=\infty$ for $j>0$; also $D[i,-1]=\infty$. The free energy
is $D[L-1,T-1]$. This is the **Viterbi algorithm** (Viterbi 1967). To find the path, walk back from there: in each row,
go to the place that the minimum came from.

**Exercise 5** · 4 + 4 + 2 points · ★★★ · 50 minutes

*Write `find_path`: free energies, paths and $D$ for a batch of path matrices.* Loop over windows only: the grader
counts the lines that run. If several paths are equally cheap, return any of them. If $L<T$, no path exists: then $F$
is infinite (about 2³⁰, or `inf`), and the path may be anything.

<details><summary>Hint</summary>

In row $i$ you need row $i-1$ twice: as it is, and moved by one column. For the way back, remember whether the minimum
came from column $j-1$. `back[torch.arange(B), i, column]` reads one entry for each image.

</details>
"""


# %% nbgrader={"grade": false, "grade_id": "find-path-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def find_path(pm):
    """The cheapest allowed path through each matrix of a batch (Viterbi), with loops over windows only.

    pm: path matrices (B, L, T)

    Returns a tuple of
    - the free energies (B,): the energy of the cheapest path of each matrix;
    - the paths (B, L), int64: an allowed path with this energy, for each matrix;
    - dp (B, L, T): dp[b, i, j] is the least energy from (0, 0) to (i, j), infinite (about 2³⁰) where no path leads.
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
    assert (dp[:, 0, 1:] >= INFINITE / 2).all(), (
        "window 0 can only show target 0: the rest of its row in dp should be infinite"
    )
    assert (find_path(torch.randn(2, 3, 4))[0] >= INFINITE / 2).all(), "three windows cannot show four targets"
    print("ok  the free energies are the least ones")


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
        assert abs(sum(matrix[i, j].item() for i, j in enumerate(z)) - energy) < 1e-4, f"the path {z} is not the cheapest"
    for size in 1, 2, 5:
        assert find_path(torch.randn(1, size, size))[1].tolist() == [list(range(size))], "if L = T, one path is allowed"
    assert find_path(torch.zeros(1, 6, 3))[1][0].tolist() in all_paths(6, 3), "with equal energies the path is forbidden"
    print("ok  the paths are allowed, and cheapest; for example", path[0].tolist())


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
        """Draw a path matrix (L, T), and a path z (L,) on it; returns the symbols of the path."""
        ax.imshow(matrix.T, cmap="cividis_r", aspect="auto")
        ax.plot(z, color="black", linewidth=4)
        ax.plot(z, "o-", **DOTS)
        symbols = [SYMBOLS[k] for k in transform_word(word)]
        ax.set_yticks(range(matrix.shape[1]), symbols, fontsize=8)
        ax.set_xlabel("window")
        ax.set_title(title, fontsize=9)
        return "".join(symbols[t] for t in z)


    def draw_paths(models, dataset):
        """Draw the best path of each item's own word, in one row for each named model."""
        figure, axes = plt.subplots(len(models), 4, figsize=(11, 2.5 * len(models)), squeeze=False)
        said = ["The best paths from left to right, and their energies F."]
        for row, (name, model) in zip(axes, models.items(), strict=True):
            paths = []
            for ax, (image, word) in zip(row, dataset, strict=False):
                matrix = build_path_matrix(energies_of(model, image[None]), transform_word(word)[None])
                free, path, _ = find_path(matrix)
                spelt = draw_path(ax, matrix[0], path[0], word, f"{name}: F = {free.item():.0f}")
                paths.append(f"{spelt} {free.item():.0f}")
            said.append(f"{name.capitalize()}: {', '.join(paths)}.")
        figure.tight_layout()
        show_figure(" ".join(said))


    draw_paths({"letters only": letter_net}, examples)
    return draw_paths


draw_paths = _figure()

# %% [markdown] nbgrader={"grade": false, "grade_id": "train-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
*In the figure: path matrices of the four words; bright is cheap, the red line is the best path.* No window favours `_`
yet. So BETWEEN gets as little as it can: about one window before the next letter.

## 6 · Learning along the path

The true path is unknown, but the network's own best path gives every window a label. Treat it as true (*Viterbi
training*, LeCun et al. 1998):

1. **Find the path** $\check{z}=\arg\min_zE(x,y,z)$ with the network as it is now, on the matrix $P$.
2. **Learn along it**, with the loss $\frac1L\sum_lC[l,\check{z}_l]$. The gradient flows into the energies, not into
   the path.

Why not just lower the free energy? The loss has two parts:

$$\sum_lC[l,\check{z}_l]=\underbrace{\sum_lP[l,\check{z}_l]}_{F(x,y)}+\sum_l\log\sum_ke^{-E[l,k]}.$$

The first part lowers energies along the path. The second raises *all* energies of a window, the lowest most. Without
it, wrong words' $F$ falls far, too, and after one epoch 77 to 83 % of three-letter words are read, not 96 to 100 %
(five runs). It does not depend on the path, so $P$ and $C$ have the same best path.

In a batch, short words come filled up with BETWEEN: `ox` as `o_x___` beside `cat`.

**Exercise 6** · 3 + 4 points · ★★☆ · 35 minutes

*Write `path_cross_entropy`, the sum along each path, and the training loop `train_ebm_model`.* Optimiser and schedule
are up to you.

<details><summary>Hint</summary>

`gather` wants an index with three axes; how long is the last one here? For which part of the loop can you switch
gradients off? Start at a smaller learning rate than for letters, and let it fall to zero.

</details>
"""


# %% nbgrader={"grade": false, "grade_id": "path-ce-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def path_cross_entropy(ce, path):
    """The sums of cross-entropies along paths.

    ce:   cross-entropies (B, L, T)
    path: (B, L), int64

    Returns a tensor (B,) with Σ_l ce[b, l, path[b, l]]; gradients reach ce.
    """
    raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "path-ce", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def _check_path_ce():
    torch.manual_seed(8)
    ce, path = torch.rand(2, 5, 4).requires_grad_(), torch.tensor([[0, 0, 1, 2, 3], [0, 1, 2, 3, 3]])
    sums = path_cross_entropy(ce, path)
    right = [sum(ce[b, i, path[b, i]].item() for i in range(5)) for b in range(2)]
    compare("the sums along two paths", sums, torch.tensor(right))
    assert sums.requires_grad, "the sums have lost their graph: no gradient reaches the matrix"
    sums.sum().backward()
    compare("the gradient: 1 on the path, 0 elsewhere", ce.grad, functional.one_hot(path, 4))


_check_path_ce()


# %% nbgrader={"grade": false, "grade_id": "train-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def train_ebm_model(model, loader, epochs, lr=0.003):
    """Train the model on words, in training mode, along its own best paths.

    model:  maps images (B, 1, 32, W) to energies (B, L, 27); may arrive in evaluation mode and with old gradients
    loader: a DataLoader of batches (images, targets); targets (B, T), int64, L ≥ T; the last batch may be smaller
    epochs: the number of passes over the loader; every batch is one step of an optimiser
    lr:     the largest learning rate

    The loss of a batch is the cross-entropy along its best paths, averaged over images and windows. Returns a tuple of
    two lists of plain numbers, one for each step: the losses, and the batch's mean free energies (on P), before it.
    """
    raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "train", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def _check_train():
    class Table(nn.Module):
        """Stands for a network with L windows: its "images" are row numbers."""

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
    assert isinstance(result, tuple | list) and len(result) == 2, "two lists should come back: losses, free energies"
    losses, free_energies = result
    assert len(losses) == len(free_energies) == 120, "there should be one number for each step: 40 epochs of 3 batches"
    plain = all(isinstance(number, float) for number in (*losses, *free_energies))
    assert plain, "both lists should hold plain numbers, not tensors"
    right = path_cross_entropy(start[0][:2], start[2][:2]).mean().item() / 9
    assert abs(losses[0] - right) < 1e-4, "the first loss is not the mean cross-entropy along the best paths"
    right, found = start[1][:2].mean().item(), free_energies[0]
    assert abs(found - right) < 1e-4, "the first mean free energy is not that of the best paths on the path matrix"
    falling = losses[-1] < losses[2] and free_energies[-1] < free_energies[2]
    assert falling, "the loss and the free energy of the last batch should fall"
    assert not torch.equal(table.energies, before), "the training has not changed the model that it was given"
    for name, other in others.items():
        other.energies.grad = torch.full_like(before, 1e9) if name == "old gradients" else None
        train_ebm_model(other, loader, epochs=1, lr=1e-6)
        assert (other.energies - before).abs().max() < 1e-3, f"with {name} the parameters should hardly move"
    print(f"ok  loss {losses[0]:.2f} → {losses[-1]:.2f}, free energy {free_energies[0]:.1f} → {free_energies[-1]:.1f}")


_check_train()


# %% nbgrader={"grade": false, "grade_id": "training-figure", "locked": true, "schema_version": 3, "solution": false, "task": false} tags=["demo"]
def _figure():
    def stack_targets(words, max_length):
        """The targets of several words, filled up with BETWEEN to 2 · max_length."""
        targets = torch.full((len(words), 2 * max_length), BETWEEN)
        for row, word in zip(targets, words, strict=True):
            row[: 2 * len(word)] = transform_word(word)
        return targets


    torch.manual_seed(0)
    words = SimpleWordsDataset(max_length=3, len=4800, jitter=7, noise=True)
    word_set = TensorDataset(words.images, stack_targets(words.words, 3))
    word_loader = DataLoader(word_set, batch_size=32, shuffle=True)
    before = copy.deepcopy(letter_net)  # it only knows letters
    print("training on words …")
    word_losses, free_energies = train_ebm_model(letter_net, word_loader, epochs=3)
    print(f"the loss fell from {word_losses[0]:.2f} to {word_losses[-1]:.3f}")

    torch.manual_seed(1)
    fresh = SimpleWordsDataset(max_length=3, len=300, jitter=7, noise=True, min_length=3)
    kinds = ("the right word", fresh.words, BLUE, ""), ("another word", fresh.words[1:] + fresh.words[:1], ORANGE, "//")
    figure, (ax_loss, ax_free, ax_gap) = plt.subplots(1, 3, figsize=(11, 2.9))
    ax_loss.semilogy(word_losses, color=BLUE)
    ax_loss.set(xlabel="step", title="loss: cross-entropy along the path")
    ax_free.plot(free_energies, color=BLUE)
    ax_free.set(xlabel="step", title="mean free energy of the right word")
    levels = []
    for place, model in enumerate((before, letter_net)):
        energies = energies_of(model, fresh.images)
        for shift, (label, spelt, color, hatch) in zip((-0.2, 0.2), kinds, strict=True):
            free = find_path(build_path_matrix(energies, stack_targets(spelt, 3)))[0]
            levels.append(f"{free.mean():.0f}")
            bars = ax_gap.bar(place + shift, free.mean(), width=0.36, color=color, hatch=hatch, edgecolor="black")
            ax_gap.bar_label(bars, levels[-1:], fontsize=8, padding=2)
            bars.set_label(label if place == 0 else None)
    ax_gap.set(xticks=[0, 1], xticklabels=["letters only", "trained on words"], title="mean free energy F(x, y)")
    ax_gap.axhline(0, color="black", linewidth=0.7)
    ax_gap.margins(y=0.15)
    ax_gap.legend(fontsize=8)
    figure.tight_layout()
    show_figure(
        f"In {len(word_losses)} steps the loss goes from {word_losses[0]:.2g} to {word_losses[-1]:.2g}, the free energy of "
    f"the right word from {free_energies[0]:.0f} to {free_energies[-1]:.0f}. On fresh images the right word and "
    f"another one have {' and '.join(levels[:2])} before training, {' and '.join(levels[2:])} after it."
    )
    draw_paths({"letters only": before, "trained on words": letter_net}, examples)
    return before, stack_targets, word_loader


before, stack_targets, word_loader = _figure()

# %% [markdown] nbgrader={"grade": false, "grade_id": "decode-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
*In the first figure: the loss and the mean free energy of every step. Right: the mean free energy of fresh images with
their own word (plain) and with another one (hatched). In the second figure: best paths before training (above) and
after (below).* In our five runs the free energy of the right word falls from 12 to −62, that of other words from
26 to 1. The path now gives BETWEEN about two windows before the next letter.

## 7 · Reading

Two rules turn one symbol for each window, say `cc__aa_tt_`, into a word. First, *equal neighbours become one*; then,
*BETWEEN is dropped*. So `l_l` is a double l, `ll` a single one.

The windows' favourites may break the rules of section 4: in `nn_mrr__` no BETWEEN separates m from r.
The best word has the lowest free energy:

$$\check{y}=\arg\min_yF(x,y)=\arg\min_y\min_zE(x,y,z).$$

This is a cheapest path again, now over symbols. Minimise $\sum_lE[l,s_l]$, where

- $s_0$ is a letter, and $s_{L-1}$ is BETWEEN;
- a letter may be followed by itself or by BETWEEN;
- BETWEEN may be followed by any symbol.

**Exercise 7** · 2 + 4 + 5 points · ★★★ · 40 minutes

*Write `indices_to_str`, the two rules, and `decode`, which returns the best of all words for one image.* If several
words are equally good, return any of them.

For the last five points, the grader trains on letters as in section 2, then with
`train_ebm_model(model, loader, epochs=3)` on 4,800 words of one to three letters in batches of 32. Your `decode`
reads 600 images with words of two to four letters. Reading 40 % of the words right earns half of the points, 75 % all.
Before that, your network must learn one of 16 words of two letters in 60 steps; otherwise all five are lost.

<details><summary>Hint</summary>

Write down which symbol may follow which, as a matrix `(27, 27)`. For each symbol, keep the least energy of all paths
that end in it. How do these 27 numbers change with the next window, and what must you remember?

</details>
"""


# %% nbgrader={"grade": false, "grade_id": "strings-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def indices_to_str(indices):
    """The word that one symbol for each window spells.

    indices: a list or an int64 tensor of symbols, whole numbers from 0 to 26

    Returns a string: equal neighbours become one symbol, then every BETWEEN is dropped; cc__aa_tt_ becomes 'cat'.
    """
    raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "strings", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
def _check_strings():
    for seen, right in ("cc__aa_tt_", "cat"), ("l_l_", "ll"), ("lll_", "l"), ("__", ""), ("_zz", "z"), ("aa_ab", "aab"):
        for indices in [SYMBOLS.index(symbol) for symbol in seen], torch.tensor([SYMBOLS.index(s) for s in seen]):
            found = indices_to_str(indices)
            assert found == right, f"{seen} becomes {found!r}: merge equal neighbours first, then drop BETWEEN"
    print("ok  symbols become words")


_check_strings()


# %% nbgrader={"grade": false, "grade_id": "decode-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def decode(model, image):
    """The word with the lowest free energy, of all words with at least one letter.

    model: maps images (B, 1, 32, W) to energies (B, L, 27); call it in evaluation mode, leave it in the mode it came in
    image: (1, 32, W), wide enough for L ≥ 2

    Returns a string.
    """
    raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "decode", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def _check_decode():
    class Given(nn.Module):
        """Stands for a network: gives the same energies for every image."""

        def __init__(self, energies):
            super().__init__()
            self.energies = nn.Parameter(energies)

        def forward(self, images):
            assert not self.training, "call the model in evaluation mode"
            assert images.shape == (1, 1, 32, 60), f"the model gets {tuple(images.shape)}, not a batch (1, 1, 32, W)"
            return self.energies.expand(len(images), -1, -1).clone()


    def sure(seen):
        """Energies (1, L, 27) of windows that clearly show these symbols."""
        return 5 * (1 - functional.one_hot(torch.tensor([SYMBOLS.index(symbol) for symbol in seen]), 27)[None].float())


    paper = torch.zeros(1, 32, 60)
    for seen, right in ("cc__aa_tt_", "cat"), ("ll_l_ll__", "lll"), ("z_", "z"):
        model = Given(sure(seen))
        found = decode(model, paper)
        assert found == right, f"windows that clearly show {seen} are read as {found!r}"
        assert model.training, "leave the model in the mode it came in"
    doubtful = sure("nnn_mrr_")  # the favourites have an m without BETWEEN after it …
    doubtful[0, 4, SYMBOLS.index("r")] = 0.5  # … but r costs little more in this window
    found = decode(Given(doubtful), paper)
    assert found == "nr", f"{found!r} is not the best word: BETWEEN must come between two letters"
    print("ok  the best words are found")


_check_decode()


# %% nbgrader={"grade": true, "grade_id": "words-learn", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": false}
def _check_words_learn():
    # If this fails after 60 steps on 16 words of two letters, stop and look for the bug.
    torch.manual_seed(10)
    few = SimpleWordsDataset(max_length=2, len=16, jitter=3, min_length=2)
    few_targets = torch.stack([transform_word(word) for word in few.words])
    small = SimpleNet()
    train_ebm_model(small, DataLoader(TensorDataset(few.images, few_targets), batch_size=16), epochs=60, lr=0.01)
    read = [decode(small, image) for image in few.images]
    hits = sum(guess == word for guess, word in zip(read, few.words, strict=True))
    print(f"after 60 steps {hits} of 16 words are read correctly; {few.words[0]!r} is read as {read[0]!r}")
    assert hits >= 4, "at least 4 of them should be read correctly"


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

    figure, ax = plt.subplots(figsize=(9, 2.8))
    kinds = ("letters only, best word", unread, "0.8", ".."), ("trained on words, favourites", favourites, ORANGE, "//")
    said = []
    for place, (name, shares, color, hatch) in enumerate((*kinds, ("trained on words, best word", best_words, BLUE, ""))):
        bars = ax.bar(torch.arange(3) + 0.3 * (place - 1), shares, 0.28, color=color, hatch=hatch, edgecolor="black")
        said.append([f"{100 * value:.3g} %" for value in shares])
        ax.bar_label(bars, said[-1], fontsize=8)
        bars.set_label(name)
    ax.set(xticks=range(3), xticklabels=[f"{n} letters" for n in tests], ylim=(0, 1.12), ylabel="words read correctly")
    ax.axhline(0.75, color="black", linewidth=0.7, linestyle=":", label="earns all points")
    ax.legend(fontsize=8, loc="upper left", bbox_to_anchor=(1, 1))
    figure.tight_layout()
    listed = [", ".join(shares) for shares in said]
    show_figure(
        f"Words of 2, 3 and 4 letters read correctly: {listed[0]} by the best word of the network that knows letters only. "
    f"Trained on words: {listed[1]} by favourites, {listed[2]} by the best word."
    )
    draw_strips(letter_net, tests[4])
    if min(best_words) < 0.75:
        print("75 % earn all points: does the loss fall? Does the learning rate?")
    return tests


tests = _figure()

# %% [markdown] nbgrader={"grade": false, "grade_id": "ctc-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
*In the first figure: the share of words read correctly, by the network that only knows letters (dotted), and after
training by favourites (hatched) and by the best word (plain). In the second figure: words of four letters and their
energies.* Training showed no such word, yet over five runs the best word is right for at least 99 % of them,
favourites for 93 to 97 %.

## 8 · All paths at once

*Connectionist temporal classification* (CTC; Graves et al. 2006) chooses no path. It maximises the probability of the
word, summed over all its paths. Its rules are looser: `_` may come first, need not come last, and must separate
only equal letters. The next cell trains the network from section 2 with CTC, for as many steps as yours.

**Exercise 8** · ½ + ½ point · ★☆☆ · 5 minutes

On the same words, how many windows favour a letter rather than `_` after CTC?

- **A** Fewer: below 75 % of yours.
- **B** About as many as yours.
- **C** More: above 125 % of yours.

*Set `ctc_prediction` to one letter, as a string.* Any of the three earns ½ point: commit before you look.
"""

# %% nbgrader={"grade": false, "grade_id": "ctc-prediction-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
# ctc_prediction = "…"   # "A", "B" or "C"
raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "ctc-prediction", "locked": true, "points": 0.5, "schema_version": 3, "solution": false, "task": false}
def _check_ctc_prediction():
    letter = isinstance(ctc_prediction, str) and ctc_prediction in ("A", "B", "C")
    assert letter, "ctc_prediction should be one letter, A, B or C, as a string"
    print("ok  you have committed; now run the experiment")


_check_ctc_prediction()


# %% nbgrader={"grade": false, "grade_id": "ctc", "locked": true, "schema_version": 3, "solution": false, "task": false} tags=["demo"]
def _figure():
    print("training with CTC …")
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
    named = [(energies_of(net, tests[4].images).argmin(2) != BETWEEN).float().mean() for net in (ctc_net, letter_net)]
    print(f"windows that favour a letter: {named[0]:.0%} after CTC, {named[1]:.0%} with your network")
    draw_strips(ctc_net, tests[4])


_figure()

# %% [markdown] nbgrader={"grade": false, "grade_id": "ctc-words-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
*In the figure: the same words, after training with CTC.* A control, trained with the sum over all paths by *our*
rules, favours a letter in 41 to 53 % of its windows (five runs).

**Explanation** · ½ point by hand. *In one or two sentences: what does the figure show, and what causes it, judging by
the control?* A wrong prediction costs nothing.
"""

# %% [markdown] nbgrader={"grade": true, "grade_id": "ctc-words", "locked": false, "points": 0.5, "schema_version": 3, "solution": true, "task": false}
r"""
*Your answer here: double-click this line and write.*
"""

# %% [markdown] nbgrader={"grade": false, "grade_id": "optional-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
## 9 · Optional: the soft minimum

At finite temperature every path counts, the cheap ones most:

$$F_\beta(x,y)=-\frac1\beta\log\sum_ze^{-\beta{E}(x,y,z)}.$$

The sum runs over the allowed paths. The recursion computes this, too, with the *soft minimum*
$-\frac1\beta\log(e^{-\beta{a}}+e^{-\beta{b}})$ in place of the minimum.

**Exercise 9** · optional, no points · ★★☆ · 20 minutes

*Write `soft_free_energy`: $F_\beta$ for each matrix of a batch with $L\ge{T}$, differentiable.* It must not overflow
for large energies or a large $\beta$. With 40 windows you cannot try all paths.

<details><summary>Hint</summary>

`torch.logaddexp` avoids the overflow. Its gradient at two infinities is not a number: what else can stand for a place
that no path reaches?

</details>
"""


# %% nbgrader={"grade": false, "grade_id": "soft-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def soft_free_energy(pm, beta):
    """The free energies of path matrices at inverse temperature beta.

    pm:   path matrices (B, L, T) with L ≥ T
    beta: a positive number

    Returns a tensor (B,) that can be differentiated with respect to pm.
    """
    raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "soft-check", "locked": true, "points": 0, "schema_version": 3, "solution": false, "task": false}
def _check_soft_check():
    torch.manual_seed(11)
    pm = torch.randn(2, 7, 4)
    energies = torch.tensor([[sum(matrix[i, j] for i, j in enumerate(z)) for z in all_paths(7, 4)] for matrix in pm])
    for beta in 0.3, 1.0, 3.0, 30.0:
        right = -torch.logsumexp(-beta * energies, 1) / beta
        compare(f"free energies at β = {beta}", soft_free_energy(pm, beta), right)
    assert soft_free_energy(1000 * pm, 30.0).isfinite().all(), "with large energies something overflows"
    leaf = pm.clone().requires_grad_()
    soft_free_energy(leaf, 1.5).sum().backward()
    compare("gradients, summed over targets", leaf.grad.sum(2), torch.ones(2, 7))  # the targets of a window share 1


_check_soft_check()

# %% [markdown] nbgrader={"grade": false, "grade_id": "views-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
## 10 · Optional: letters without labels

A network $z=g_w(x)$ should give the same letter in two fonts nearly the same numbers. The energy of two images is
$\lVert{z}-z'\rVert^2$. If training only lowers it for right pairs, all $z$ shrink towards one point. Two losses prevent
this.

**InfoNCE** (van den Oord et al. 2018) compares a right pair's energy $F^+$ with the energies of $K$ wrong pairs:

$$\ell=-\frac1\beta\log\frac{e^{-\beta{F}^+}}{e^{-\beta{F}^+}+\sum_{k=1}^Ke^{-\beta{F}^-_k}}.$$

It has the form of the negative log-likelihood, as if the right pair and the $K$ wrong ones were all the answers.

The **variance term** (Bardes et al. 2022) needs no wrong pairs. Each of the $d$ features must spread over the batch:

$$v=\frac1d\sum_{j=1}^d\Bigl[\gamma-\sqrt{\mathrm{Var}(z_j)+\epsilon}\,\Bigr]_+,\qquad[a]_+=\max(a,0).$$

**Exercise 10** · optional, no points · ★★☆ · 30 minutes

*Write `infonce`, also for energies thousands apart, and `variance_term`.*

<details><summary>Hint</summary>

Which number can you subtract from all energies of a row? Where is $\sqrt{a}$ infinitely steep?

</details>
"""


# %% nbgrader={"grade": false, "grade_id": "infonce-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def infonce(F_pos, F_neg, beta):
    """InfoNCE for B right pairs, each with K wrong ones.

    F_pos: energies (B,) of right pairs
    F_neg: energies (B, K) of wrong pairs; all may lie thousands apart
    beta:  a positive number

    Returns a tuple of the losses (B,), their derivatives with respect to F_pos (B,), and to F_neg (B, K).
    """
    raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "infonce", "locked": true, "points": 0, "schema_version": 3, "solution": false, "task": false}
def _check_infonce():
    torch.manual_seed(12)
    pos, neg = torch.randn(3).requires_grad_(), torch.randn(3, 5).requires_grad_()
    for beta in 0.5, 2.0:
        loss, d_pos, d_neg = infonce(pos.detach().clone(), neg.detach().clone(), beta)
        share = (-beta * pos).exp() / ((-beta * pos).exp() + (-beta * neg).exp().sum(1))
        right = -share.log() / beta
        slopes = torch.autograd.grad(right.sum(), (pos, neg))
        compare(f"losses, β = {beta}", loss, right)
        compare("slopes by F_pos", d_pos, slopes[0])
        compare("slopes by F_neg", d_neg, slopes[1])
    loss, d_pos, d_neg = infonce(torch.tensor([5000.0, 0.0]), torch.tensor([[0.0, 7000.0], [5000.0, 7000.0]]), 1.0)
    compare("losses of energies far apart", loss, [5000.0, 0.0])
    compare("their slopes by F_pos", d_pos, [1.0, 0.0])


_check_infonce()


# %% nbgrader={"grade": false, "grade_id": "variance-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def variance_term(z, gamma=1.0, eps=1e-4):
    """The variance term v of a batch z (B, d) with B ≥ 2; gamma and eps are γ and ε. Var divides by B - 1.

    Returns a tensor with one entry, which can be differentiated with respect to z.
    """
    raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "variance", "locked": true, "points": 0, "schema_version": 3, "solution": false, "task": false}
def _check_variance():
    z = torch.tensor([[1.0, 4.0, 0.1], [1.0, 8.0, 0.3], [1.0, 0.0, 0.2]])  # deviations 0, 4 and 0.1
    plain, changed = (torch.as_tensor(v).reshape(()) for v in (variance_term(z), variance_term(z, gamma=5.0, eps=9.0)))
    compare("v, γ = 1", plain, (0.99 + 0 + 1 - 0.0101**0.5) / 3)
    compare("v, γ = 5 and ε = 9", changed, (2 + 0 + 5 - 9.01**0.5) / 3)
    leaf = torch.zeros(4, 2).requires_grad_()
    variance_term(leaf).backward()
    assert leaf.grad.isfinite().all(), "if all embeddings are equal, the gradient is not a number"


_check_variance()


# %% nbgrader={"grade": false, "grade_id": "views-figure", "locked": true, "schema_version": 3, "solution": false, "task": false} tags=["demo"]
def _figure():
    def embed_letters(push, steps=300):
        """Train on two of eight fonts at each step; returns the spread at each step, and a share of letters found."""
        torch.manual_seed(0)
        net, spread = nn.Sequential(nn.Flatten(), nn.Linear(576, 64), nn.ReLU(), nn.Linear(64, 16)), []
        optimizer = torch.optim.Adam(net.parameters(), lr=0.003)
        for _ in range(steps):
            z, other = (net(LETTERS[font] + 0.1 * torch.rand(26, 32, 18)) for font in torch.randperm(8)[:2])
            F = (z[:, None] - other).square().sum(2)  # (26, 26), right pairs on the diagonal
            optimizer.zero_grad()
            push(F, z, other)
            optimizer.step()
            spread.append(z.std(0).mean().item())
        with torch.no_grad():
            known, unseen = net(LETTERS[:8].flatten(0, 1)), net(LETTERS[8:].flatten(0, 1))
        nearest = torch.cdist(unseen, known).argmin(1) % 26
        return spread, (nearest == torch.arange(26).repeat(2)).float().mean().item()


    def pull(F, z, other):
        F.diagonal().mean().backward()


    def pull_and_spread(F, z, other):
        (F.diagonal().mean() + variance_term(z) + variance_term(other)).backward()


    def contrast(F, z, other):
        wrong = ~torch.eye(26, dtype=torch.bool)
        _, d_pos, d_neg = infonce(F.diagonal().detach(), F.detach()[wrong].reshape(26, 25), 1.0)
        gradient = torch.diag(torch.as_tensor(d_pos).float())
        gradient[wrong] = torch.as_tensor(d_neg).float().flatten()
        F.backward(gradient / 26)


    figure, ax = plt.subplots(figsize=(7.5, 2.8))
    runs = ("right pairs only", pull, "0.4", ":"), ("with variance term", pull_and_spread, RED, "--")
    said = []
    for name, push, color, style in (*runs, ("InfoNCE", contrast, BLUE, "-")):
        spread, found = embed_letters(push)
        ax.semilogy(spread, style, color=color, label=f"{name}: {found:.0%} of new letters found")
        said.append(f"{name} {spread[0]:.2g}, {spread[-1]:.2g}, {found:.0%}")
    ax.set(xlabel="step", ylabel="deviation of z", ylim=(1e-6, 10))
    ax.legend(fontsize=8, loc="upper left", bbox_to_anchor=(1, 1))
    figure.tight_layout()
    show_figure(f"Deviation of z at the first and the last step, and new letters found: {'; '.join(said)}.")


_figure()

# %% [markdown] nbgrader={"grade": false, "grade_id": "farewell", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
*In the figure: the spread of $z$ during training. It falls below a hundredth if only right pairs are pulled; both
losses keep it up.*

## What you have seen

- The energy of a path is a sum of small parts. Dynamic programming finds the cheapest path without trying them all.
- The path needs no labels: the word is enough, with the best path under the current energies.

**Sources.** LeCun et al. 1998, *Gradient-based learning applied to document recognition*. Viterbi 1967, *Error bounds
for convolutional codes and an asymptotically optimum decoding algorithm*. Graves et al. 2006, *Connectionist temporal
classification*. van den Oord, Li & Vinyals 2018, *Representation learning with contrastive predictive coding*. Bardes,
Ponce & LeCun 2022, *VICReg*.
"""


# %% nbgrader={"grade": false, "grade_id": "hand-in", "locked": true, "schema_version": 3, "solution": false, "task": false} tags=["demo"]
# @title Before you hand in: save the notebook, run it from top to bottom, then run this cell.
def _hand_in(file, exercises, answers, given, blank):
    """Print which exercises pass their checks now, which names are defined twice, and which file to hand in.

    file: the notebook's name; exercises: "number grade_id" of each; answers: the same for the written ones, each with
    the crc32 of what stands around the answer; given: the names that the notebook's own cells define, by the crc32 of
    the cell; blank: what stands where nobody wrote an answer
    """
    import contextlib
    import dis
    import json
    import warnings
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
            except Exception as error:
                said = f"fails its check: {(str(error) or type(error).__name__).splitlines()[0]}"
                if type(error) is NotImplementedError and not str(error):  # PyTorch raises it, too, and says why
                    said = "not written yet"
                if type(error) is NameError:
                    said = f"not written, or its cell was not run: there is no {error.name}"
            plt.close("all")
        print(f"  {label}: {said}")

    taken = {name for names in given.values() for name in names.split()}
    order: dict[str, list[bool]] = {}
    for text in globals().get("In", ()):
        yours = zlib.crc32("".join(text.split()).encode()) not in given
        with contextlib.suppress(SyntaxError), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            steps = list(dis.get_instructions(compile(text, "cell", "exec")))
            for name in sorted(taken & {one.argval for one in steps if one.opname in ("STORE_NAME", "STORE_GLOBAL")}):
                order.setdefault(name, []).append(yours)
    for name, runs in order.items():
        if runs[-1]:
            print(f"  You have redefined {name}, which the notebook's own cells use: give yours another name.")
        elif any(runs):
            print(f"  A cell of the notebook has replaced your {name} by its own: give yours another name.")

    if answers:
        try:
            cells = json.loads(Path(file).read_text(encoding="utf-8"))["cells"]
            saved = {cell["metadata"].get("nbgrader", {}).get("grade_id"): "".join(cell["source"]) for cell in cells}
            texts = {label: saved.get(label.split()[-1], "").replace(blank, "") for label in answers}
            kept = {label: zlib.crc32("".join(text.split()).encode()) for label, text in texts.items()}
            empty = [label for label, around in answers.items() if kept[label] in (0, around)]
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
        "8 ctc-prediction",
        "9 soft-check",
        "10 infonce",
        "10 variance",
    ],
    {
        "8 ctc-words": 0,
    },
    {
        1649963568: "all_paths ALPHABET BETWEEN energies_of INFINITE SYMBOLS",
        568253320: "BLUE compare GREEN ORANGE RED relative_error show_figure",
        2812312936: "draw_letters FONTS LETTERS SimpleWordsDataset",
        405224558: "letter_net DOTS draw_strips examples",
        832579667: "draw_paths",
        77072441: "before stack_targets word_loader",
        1320965972: "tests",
        2352540100: "",
    },
    "*Your answer here: double-click this line and write.*",
)
