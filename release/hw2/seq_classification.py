# %% [markdown] nbgrader={"grade": false, "grade_id": "header", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
# A training run that spikes

A small recurrent network solves a task. Its loss is close to zero and every answer is right. Then, within a few steps,
the loss rises above that of guessing. You will look at such a run, find the cause of the spikes, and prevent them.

**What you will build.** A training procedure for a given network on given data. Its loss comes down and stays down.

| exercise | you write | points by machine | by hand | difficulty | minutes |
| --- | --- | --- | --- | --- | --- |
| 1 | a prediction, then its cause | ½ | ½ | ★★☆ | 10 |
| 2 | `train` | 1 + 3 | | ★★☆ | 35 |
| | **in all: 5 points** | **4½** | **½** | | **45** |

**You need** recurrent networks, the optimisers of PyTorch, and the section on debugging in this homework's theory
notebook. Everything runs on a CPU.

**The rules.** Data, model and seed are in locked cells. The grader uses its own copies of them and other seeds.
Everything inside `train` is up to you.
"""

# %% [markdown] nbgrader={"grade": false, "grade_id": "colab", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
[![Open this notebook in Google Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/your-organisation/deep-learning/blob/main/release/hw2/seq_classification.ipynb)
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

# The cells below use these names themselves: EPOCHS, SEED, BLUE, GREEN, ORANGE, RED, show_figure, CLASSES, k,
# LEVELS, make_batches, sequence, SYMBOLS, temporal_order, text, x, y, accuracy, Classifier, make_model,
# inherited_train, GUESSING, HIGH, IN_A_ROW, LOW, spikes, inherited_losses, trial. Give your own helpers other
# names.

# %% nbgrader={"grade": false, "grade_id": "helpers", "locked": true, "schema_version": 3, "solution": false, "task": false}
import math

import matplotlib.pyplot as plt
import torch
from torch import nn
from torch.nn import functional

torch.set_num_threads(1)  # for networks as small as ours, one thread is faster than many
SEED = 5
EPOCHS = 40

# %% nbgrader={"grade": false, "grade_id": "common", "locked": true, "schema_version": 3, "solution": false, "task": false}
# @title Helpers for checks and figures. Run this cell; you need not read it.

BLUE, ORANGE, GREEN, RED = "#0072B2", "#C08000", "#009E73", "#B22222"  # for colour-blind readers, too; 3 : 1 on white


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


# %% [markdown] nbgrader={"grade": false, "grade_id": "task-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
## 1 · Temporal order

The task is experiment 6a of the paper that introduced the LSTM (S. Hochreiter and J. Schmidhuber, *Long short-term
memory*, 1997). A sequence begins with `E` and ends with `B`. In between are random letters `a`, `b`, `c`, `d`, except
at two steps: one early and one near the middle. Each of these is an `X` or a `Y`. The class says which came first
and which second:

| first, then second | `X`, `X` | `X`, `Y` | `Y`, `X` | `Y`, `Y` |
| --- | --- | --- | --- | --- |
| class | `Q` | `R` | `S` | `U` |

The network answers after the last symbol, so it has to remember both marks until then. In the paper, sequences are 100
to 110 symbols long. That is our level `hard`; the other levels are shorter. This notebook uses `normal`.

A sequence is a tensor of one-hot rows, `(L, 8)`. Shorter sequences start with rows of zeros, so all have the same
length and end with `B`.
"""

# %% nbgrader={"grade": false, "grade_id": "data", "locked": true, "schema_version": 3, "solution": false, "task": false}
SYMBOLS, CLASSES = "abcdXYEB", "QRSU"
LEVELS = {  # from, to: length of a sequence; step of the first mark; step of the second mark (E is step 0)
    "easy": ((8, 10), (1, 3), (4, 6)),
    "normal": ((30, 40), (3, 7), (15, 22)),
    "moderate": ((60, 75), (6, 14), (30, 42)),
    "hard": ((100, 110), (10, 20), (50, 60)),
}


def temporal_order(count, level, seed):
    """Sequences x (count, L, 8) and their classes y (count,), indices into CLASSES; L is the level's largest length."""
    generator = torch.Generator().manual_seed(seed)

    def between(low, high, *shape):
        return torch.randint(low, high + 1, (count, *shape), generator=generator)

    lengths, firsts, seconds = (between(*span) for span in LEVELS[level])
    L, rows, marks = LEVELS[level][0][1], torch.arange(count), between(0, 1, 2)  # marks: 0 is X, 1 is Y
    begin = L - lengths
    symbols = between(0, 3, L)
    symbols[rows, begin + firsts] = 4 + marks[:, 0]
    symbols[rows, begin + seconds] = 4 + marks[:, 1]
    symbols[rows, begin], symbols[:, -1] = 6, 7
    heard = torch.arange(L) >= begin[:, None]  # (count, L)
    return functional.one_hot(symbols, 8).float() * heard[..., None], 2 * marks[:, 0] + marks[:, 1]


def make_batches(count, level, seed, size=32):
    """A list of `count` batches (x, y) of `size` sequences each."""
    x, y = temporal_order(count * size, level, seed)
    return list(zip(x.split(size), y.split(size), strict=True))


x, y = temporal_order(6, "normal", SEED)
for sequence, k in zip(x, y, strict=True):
    text = "".join(SYMBOLS[row.argmax()] if row.any() else "·" for row in sequence)
    print(text, "→", CLASSES[k])

# %% [markdown] nbgrader={"grade": false, "grade_id": "model-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
## 2 · The network and a procedure that spikes

An LSTM with twelve units reads the sequence. A linear layer turns its last state into four logits. The biases of the
forget gates are raised by one, so that these gates start mostly open (F. Gers, J. Schmidhuber and F. Cummins,
*Learning to forget*, 2000).
"""


# %% nbgrader={"grade": false, "grade_id": "model", "locked": true, "schema_version": 3, "solution": false, "task": false}
class Classifier(nn.Module):
    """An LSTM of 12 units and a linear layer: sequences (B, L, 8) to logits (B, 4)."""

    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(8, 12, batch_first=True)
        self.head = nn.Linear(12, 4)
        with torch.no_grad():
            self.lstm.bias_ih_l0[12:24] += 1  # the forget gates

    def forward(self, x):
        states, _ = self.lstm(x)  # (B, L, 12)
        return self.head(states[:, -1])  # (B, 4)


def make_model(seed):
    """A fresh Classifier whose weights are those of this seed."""
    torch.manual_seed(seed)
    return Classifier()


def accuracy(model, x, y):
    with torch.no_grad():
        return (model(x).argmax(-1) == y).float().mean().item()


# %% [markdown] nbgrader={"grade": false, "grade_id": "given-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
The next cell holds the procedure that spikes. It uses RMSprop (T. Tieleman and G. Hinton, lecture 6.5 of *Neural
networks for machine learning*, 2012) with a learning rate $\eta$ of 0.01 and $\alpha = 0.9$, the default of some
libraries. For each weight with gradient $g$, RMSprop computes

$$v \leftarrow \alpha\, v + (1 - \alpha)\, g^2, \qquad w \leftarrow w - \eta\, \frac{g}{\sqrt{v} + \epsilon}.$$

There are 40 epochs of 16 batches of 32 sequences: 640 steps. With the argument `longest`, it also clips the gradient of
all weights together: if its norm exceeds `longest`, it is scaled down to that norm (R. Pascanu, T. Mikolov and Y.
Bengio, *On the difficulty of training recurrent neural networks*, 2013).
"""


# %% nbgrader={"grade": false, "grade_id": "given", "locked": true, "schema_version": 3, "solution": false, "task": false}
def inherited_train(model, batches, epochs, longest=math.inf):
    """The procedure that spikes. Returns the loss, the norm of the gradient and the length of the step, for each step.

    longest: gradients of a larger norm are clipped to it
    """
    optimizer = torch.optim.RMSprop(model.parameters(), lr=0.01, alpha=0.9)
    losses, norms, lengths = [], [], []
    for _ in range(epochs):
        for x, y in batches:
            loss = functional.cross_entropy(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            norms.append(nn.utils.clip_grad_norm_(model.parameters(), longest).item())  # the norm before clipping
            before = nn.utils.parameters_to_vector(model.parameters()).detach()
            optimizer.step()
            lengths.append((nn.utils.parameters_to_vector(model.parameters()) - before).norm().item())
            losses.append(loss.item())
    return losses, norms, lengths


# %% [markdown] nbgrader={"grade": false, "grade_id": "spike-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
**What counts as a spike?** In any run, the loss rises a little at some steps. A spike is more than that: the network
had learned the task, and now does worse than guessing. Guessing among four classes costs $\ln 4 \approx 1.39$. We set
the limit well above this:

> The task is **learned** after ten steps in a row with a loss below 0.1. A **spike** is any later step with a loss
> above 2.5.
"""

# %% nbgrader={"grade": false, "grade_id": "spikes", "locked": true, "schema_version": 3, "solution": false, "task": false}
LOW, HIGH, IN_A_ROW, GUESSING = 0.1, 2.5, 10, math.log(4)


def spikes(losses):
    """The steps that are spikes: a loss above 2.5, after ten steps in a row with a loss below 0.1."""
    found, row, learned = [], 0, False
    for step, loss in enumerate(losses):
        row = row + 1 if loss < LOW else 0
        learned = learned or row == IN_A_ROW
        if learned and loss > HIGH:
            found.append(step)
    return found


# %% [markdown] nbgrader={"grade": false, "grade_id": "prediction-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
**Exercise 1 · predict, then look** · ½ point by machine, ½ by hand · ★★☆ · 10 minutes

The next figure shows two runs from the same weights on the same batches: the procedure as it is, and the procedure
with gradients clipped to norm 0.5. The cell also counts the spikes of both on four seeds.

**Prediction.** What does clipping do to the spikes?

- **A** It removes them on all four seeds.
- **B** It leaves spikes on most of the four seeds.
- **C** It stops the learning: on most of the four seeds, the task is no longer learned.

Set `clipping_prediction` to one letter. Any of the three earns the half point. What counts is that you commit before
you look.
"""

# %% nbgrader={"grade": false, "grade_id": "clipping-prediction-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
# clipping_prediction = "…"   # "A", "B" or "C"
raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "clipping-prediction", "locked": true, "points": 0.5, "schema_version": 3, "solution": false, "task": false}
def _check_clipping_prediction():
    assert clipping_prediction in ("A", "B", "C"), 'clipping_prediction should be one letter: "A", "B" or "C"'
    print("ok  the prediction stands: now run the next cell")


_check_clipping_prediction()


# %% nbgrader={"grade": false, "grade_id": "given-run", "locked": true, "schema_version": 3, "solution": false, "task": false} tags=["demo"]
def _figure():
    runs = {}
    for seed in range(SEED, SEED + 4):
        for longest in math.inf, 0.5:
            runs[seed, longest] = inherited_train(make_model(seed), make_batches(16, "normal", seed), EPOCHS, longest)
        plain, clipped = (len(spikes(runs[seed, longest][0])) for longest in (math.inf, 0.5))
        print(f"spikes on seed {seed}: {plain} as it is, {clipped} with clipping")
    inherited_losses, norms, lengths = runs[SEED, math.inf]

    figure, axes = plt.subplots(3, 1, figsize=(9, 6.4), sharex=True)
    for longest, colour, style, name in (math.inf, BLUE, "-", "as it is"), (0.5, RED, ":", "clipped"):
        losses = runs[SEED, longest][0]
        axes[0].semilogy(losses, style, color=colour, linewidth=0.8, label=name)
        axes[0].plot(spikes(losses), [losses[step] for step in spikes(losses)], "v", color=colour)
    axes[0].axhline(GUESSING, color="0.5", linestyle="--")
    axes[0].set(ylabel="loss", title="The inherited procedure: spikes are marked with triangles")
    axes[0].legend(loc="lower left")
    axes[1].semilogy(norms, color=BLUE, linewidth=0.8)
    axes[1].set(ylabel="norm of gradient")
    axes[2].semilogy(lengths, color=BLUE, linewidth=0.8)
    axes[2].set(xlabel="step", ylabel="length of step")
    ends = [
        f"{losses[-1]:.2g} after {len(spikes(losses))} spikes" for losses in (runs[SEED, math.inf][0], runs[SEED, 0.5][0])
    ]
    usual = [float(torch.tensor(values).median()) for values in (norms[:100], norms[-100:], lengths[:100], lengths[-100:])]
    says = f"Above: the loss ends at {ends[0]}, with clipping at {ends[1]}. "
    says += "Medians of the first and last 100 steps: gradient {:.2g} and {:.2g}, step {:.2f} and {:.2f}.".format(*usual)
    show_figure(says)
    return inherited_losses


inherited_losses = _figure()

# %% [markdown] nbgrader={"grade": false, "grade_id": "clipping-words-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
*In the figure, on logarithmic axes: above, the loss of the procedure as it is (solid) and with clipping (dotted); the
dashed line is the loss of guessing. In the middle, the norm of the gradient, and below, the length of the step $\lVert
\Delta w \rVert$, both without clipping.* Once the task is learned, the gradient shrinks with the loss: in eleven of our
twelve runs to less than a quarter, in some to less than a hundredth. The usual length of a step does not shrink: in the
same runs it stays between 0.03 and 0.07.

**In one or two sentences:** what does clipping do to the spikes, and what causes them? Find the last steps before the
first spike of the solid curve in all three panels, and look at RMSprop's formula. A wrong prediction costs nothing.
"""

# %% [markdown] nbgrader={"grade": true, "grade_id": "clipping-words", "locked": false, "points": 0.5, "schema_version": 3, "solution": true, "task": false}
r"""
*Your answer here: double-click this line and write.*
"""

# %% [markdown] nbgrader={"grade": false, "grade_id": "train-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
## 3 · Your procedure

**Exercise 2 · `train`** · 1 point for the loop, 3 for no spike and 98 % on hidden seeds · ★★☆ · 35 minutes

Write `train(model, batches, epochs)`. It trains the given model in place and returns a list with the loss of every
step. You may change the whole procedure: the optimiser and its settings, the learning rate and how it changes, what
happens between the backward pass and the step, the order of the sequences, and the size of the batches. Any optimiser
is allowed, PyTorch's or your own.

What `train` must do:

- It trains the given model, and computes its losses from `model(x)`, where `x` holds unchanged sequences of `batches`.
- In each epoch it uses every sequence exactly once; passes without gradients do not count. It runs for all `epochs`,
  whatever the loss is.
- The tensors in `batches` stay as they are.
- It returns a list of floats, one for each step: the mean cross-entropy of the step's examples, before the weights
  move. Nothing is smoothed, clipped or left out, and no penalty is added. If a step uses several forward passes, the
  list may hold one loss for each pass instead.

What is graded:

- **Loop (1 point).** On short runs, the grader recomputes all losses from the weights that the model had at each step,
  and compares them with yours.
- **No spike (3 points).** The grader trains with your function on up to four hidden seeds: level `normal`, 16 batches
  of 32 sequences, 40 epochs. A run is good if, by the definitions above, it learns the task and has no spike, and if at
  the end the model classifies at least **98 %** of 1000 new sequences correctly. Two good runs earn all 3 points. Three
  runs that are not good earn none. Everything that `train` must do is checked here, too.

Spikes are counted in the recomputed losses. A run may take ten times as long as ours, which takes one or two seconds.

<details><summary>Hint</summary>

A remedy that only makes spikes rare fails on one seed or another, so try yours on many. If the task is no longer
learned, your steps may be too short. If it is learned late, there is little time left to spike, so a run without a
spike proves little. What bounds the length of a step in your optimiser's formula, and when should this bound be small?

</details>
"""


# %% nbgrader={"grade": false, "grade_id": "train-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def train(model, batches, epochs):
    """Train the model in place, without spikes.

    model:   a Classifier
    batches: a list of (x, y), x (B, L, 8) and y (B,); all x have the same shape; they stay as they are
    epochs:  how often every sequence is used

    Returns the list of the losses of all steps, floats; each is the mean cross-entropy before its step.
    """

    raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "procedure", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
def _check_procedure():
    model, batches = make_model(SEED), make_batches(4, "easy", SEED, size=8)
    start = [parameter.detach().clone() for parameter in model.parameters()]
    losses = train(model, batches, 3)
    assert losses is not None, "train returns None: is a return statement missing?"
    assert all(isinstance(loss, float) for loss in losses), "the losses should be floats: loss.item()"
    assert 0 < len(losses) <= 3 * 32, f"{len(losses)} losses: 3 epochs of 32 sequences have 96 steps at most"
    first = math.exp(-losses[0])  # the probability of the right classes before learning, in the geometric mean
    assert 0.15 < first < 0.4, f"your first loss, {losses[0]:.3f}, is not near that of guessing"
    moved = any(not torch.equal(a, b) for a, b in zip(start, model.parameters(), strict=True))
    assert moved, "the weights of the model have not changed"
    print("ok  losses:", " ".join(f"{loss:.3f}" for loss in losses))


_check_procedure()


# %% nbgrader={"grade": false, "grade_id": "trial", "locked": true, "schema_version": 3, "solution": false, "task": false}
def trial(seed):
    """Train on this seed. Returns the losses, and whether the run is good."""
    model = make_model(seed)
    losses = train(model, make_batches(16, "normal", seed), EPOCHS)
    share, found = accuracy(model, *temporal_order(1000, "normal", seed + 1000)), spikes(losses)
    learned = any(max(losses[k : k + IN_A_ROW]) < LOW for k in range(len(losses) - IN_A_ROW + 1))
    said = "learned" if learned else "not learned"
    print(f"seed {seed}: {said}, spikes: {len(found)}, {share:.1%} of new sequences right at the end")
    return losses, learned and share >= 0.98 and not found


# %% nbgrader={"grade": true, "grade_id": "no-spike", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def _check_no_spike():
    verdicts = []  # up to four seeds: two good runs or three others decide
    while verdicts.count(True) < 2 and verdicts.count(False) < 3:
        verdicts.append(trial(SEED + len(verdicts))[1])
    assert verdicts.count(True) == 2, "three runs are not good: not learned, a spike, or less than 98 % right"
    print("ok  on these seeds: now try others")


_check_no_spike()


# %% nbgrader={"grade": false, "grade_id": "both-figure", "locked": true, "schema_version": 3, "solution": false, "task": false} tags=["demo"]
def _figure():
    steady_losses, _ = trial(SEED)
    figure, ax = plt.subplots(figsize=(9, 3))
    for curve, style, colour in (inherited_losses, ":", RED), (steady_losses, "-", BLUE):
        ax.semilogy([k / len(curve) * EPOCHS for k in range(len(curve))], curve, style, color=colour)
    ax.axhline(GUESSING, color="0.5", linestyle="--")
    ax.set(xlabel="epoch", ylabel="loss", title="Inherited (dotted) and yours (solid)")
    both = zip(("inherited", "yours"), (inherited_losses, steady_losses), strict=True)
    said = [f"{name} ends at {curve[-1]:.2g} with {len(spikes(curve))} spikes" for name, curve in both]
    show_figure(f"The loss in {EPOCHS} epochs: {said[0]}, {said[1]}. A line marks guessing, {GUESSING:.2f}.")


_figure()

# %% nbgrader={"grade": false, "grade_id": "many-seeds", "locked": true, "schema_version": 3, "solution": false, "task": false} tags=["demo"]
# Eight other seeds. The grader uses seeds of its own.
print(f"{sum(trial(seed)[1] for seed in range(100, 108))} of 8 runs are good")

# %% [markdown] nbgrader={"grade": false, "grade_id": "farewell", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
*In the figure: both loss curves on a logarithmic axis, the inherited one dotted, yours solid, with a dashed line at the
loss of guessing.* Compare when each curve first stays below 0.1, and what it does afterwards.

**What you have seen**

- Look at a loss curve on a logarithmic axis, next to the quantities that make up a step.
- The gradient is not the step. Clipping bounds the gradient; what reaches the weights also depends on what the
  optimiser divides by.
- One seed proves little. Try a remedy on many.

**Optional, no points.** Does your procedure still work on `moderate` and `hard`, with more epochs? Which of its parts
can you leave out?
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
    "seq_classification.ipynb",
    [
        "1 clipping-prediction",
        "2 procedure",
        "2 no-spike",
    ],
    {
        "1 clipping-words": 0,
    },
    {
        3626310912: "EPOCHS SEED",
        116943302: "BLUE GREEN ORANGE RED show_figure",
        3472048433: "CLASSES k LEVELS make_batches sequence SYMBOLS temporal_order text x y",
        3708545349: "accuracy Classifier make_model",
        787113049: "inherited_train",
        3360903023: "GUESSING HIGH IN_A_ROW LOW spikes",
        496612251: "inherited_losses",
        1719798329: "trial",
        104420165: "",
    },
    "*Your answer here: double-click this line and write.*",
)
