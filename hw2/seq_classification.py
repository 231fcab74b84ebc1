# %% [markdown] nbgrader={"grade_id": "header", "locked": true}
r"""
# A training run that spikes

A small recurrent network solves a task. Its loss has reached zero, every answer is right, there is nothing left to
learn. And then, in a single step, it forgets everything. If you train networks for a living you will meet such a curve.
Today you meet it in two seconds of computing time, and you put an end to it.

**What you will build.** A training procedure for a given network on given data, in which the loss comes down and stays
down.

| exercise | you write | points | difficulty | minutes |
| --- | --- | --- | --- | --- |
| 1 | `train` | 2 + 3 | ★★☆ | 45 |
| | **in all** | **5** | | **45** |

**You need** recurrent networks, optimisers of PyTorch, and the section on debugging in this homework's theory notebook.
Everything runs on a CPU.

**The rules.** Data, model and seed are what they are, in cells that are locked. The grader builds them anew, draws
other seeds, and compares. Everything inside `train` is yours."""

# %% nbgrader={"grade_id": "helpers", "locked": true}
import math

import matplotlib.pyplot as plt
import torch
from torch import nn
from torch.nn import functional

from common import BLUE, RED

torch.set_num_threads(1)  # for networks as small as ours, one thread is faster than many
SEED = 7
EPOCHS = 40

# %% [markdown] nbgrader={"grade_id": "task-text", "locked": true}
r"""
## 1 · Temporal order

The task is an old acquaintance, experiment 6a of the paper that introduced the LSTM (S. Hochreiter and J. Schmidhuber,
*Long short-term memory*, Neural Computation 9(8), 1997). A sequence begins with `E`, ends with `B`, and in
between it is a random babble of `a`, `b`, `c`, `d`, except for two places: at some early step and at some step near
the middle there is an `X` or a `Y`. The class says in which order they came:

| first, then second | `X`, `X` | `X`, `Y` | `Y`, `X` | `Y`, `Y` |
| --- | --- | --- | --- | --- |
| class | `Q` | `R` | `S` | `U` |

The network answers at the end, so it has to carry both marks through all the babble that follows. In the paper
sequences are 100 to 110 symbols long; this is our level `hard`, and the other levels are shorter. We work on `normal`.

A sequence is a tensor of one-hot rows, `(L, 8)`. Shorter ones get rows of zeros *in front*, so that all have one
length and all end with `B`."""


# %% nbgrader={"grade_id": "data", "locked": true}
SYMBOLS, CLASSES = "abcdXYEB", "QRSU"
LEVELS = {  # length of a sequence; step of the first mark; step of the second mark (E is step 0): from, to
    "easy": ((8, 10), (1, 3), (4, 6)),
    "normal": ((30, 40), (3, 7), (15, 22)),
    "moderate": ((60, 75), (6, 14), (30, 42)),
    "hard": ((100, 110), (10, 20), (50, 60)),
}


def temporal_order(count, level, seed):
    """Sequences x (count, L, 8) and their classes y (count,), numbers into CLASSES; L is the level's largest length."""
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

# %% [markdown] nbgrader={"grade_id": "model-text", "locked": true}
r"""
## 2 · The network and the procedure

An LSTM with twelve units reads the sequence, and a linear layer turns its last state into four logits. The biases of
the forget gates are raised by one, an old trick: a gate that stands open in the beginning remembers by default."""


# %% nbgrader={"grade_id": "model", "locked": true}
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


# %% [markdown] nbgrader={"grade_id": "given-text", "locked": true}
r"""
And here is the procedure that we inherited from a colleague. It looks harmless: RMSprop with a learning rate of 0.01,
and an average over about ten steps ($\alpha = 0.9$, the default of some libraries). 16 batches of 32 sequences, 40
epochs, 640 steps. It also writes down, for you, how long the gradient is in each step."""


# %% nbgrader={"grade_id": "given", "locked": true}
def inherited_train(model, batches, epochs):
    """The procedure that spikes. Returns the losses and the norms of the gradient, one for each step."""
    optimizer = torch.optim.RMSprop(model.parameters(), lr=0.01, alpha=0.9)
    losses, norms = [], []
    for _ in range(epochs):
        for x, y in batches:
            loss = functional.cross_entropy(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
            norms.append(math.sqrt(sum(p.grad.square().sum().item() for p in model.parameters())))
    return losses, norms


# %% [markdown] nbgrader={"grade_id": "spike-text", "locked": true}
r"""
What is a spike? No loss falls smoothly: one difficult batch, and a step is a little worse than the one before. We mean
something else, a network that *had* learned the task and then does worse than one that guesses. Guessing among four
classes costs $\ln 4 \approx 1.39$; a loss above 2.5 is no bad luck any more, but conviction in what is wrong. So:

> The task is **learned** when ten steps in a row have a loss below 0.1. A **spike** is any later step whose loss is
> above 2.5."""


# %% nbgrader={"grade_id": "spikes", "locked": true}
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


# %% nbgrader={"grade_id": "given-run", "locked": true, "gives": ["inherited_losses"]} tags=["demo"]
batches = make_batches(16, "normal", SEED)
model = make_model(SEED)
inherited_losses, norms = inherited_train(model, batches, EPOCHS)
found = spikes(inherited_losses)
print(f"spikes: {len(found)}; the highest reaches {max([inherited_losses[step] for step in found], default=0):.1f}")
share = accuracy(model, *temporal_order(1000, "normal", SEED + 1))
print(f"accuracy on new sequences, after the last step: {share:.1%}")

figure, axes = plt.subplots(2, 1, figsize=(9, 4.6), sharex=True)
axes[0].semilogy(inherited_losses, color=BLUE, linewidth=0.8)
axes[0].plot(found, [inherited_losses[step] for step in found], "v", color=RED, label="spikes")
axes[0].axhline(GUESSING, color="0.5", linestyle="--")
axes[0].text(0, 1.8, "guessing", color="0.4", fontsize=8)
axes[0].set(ylabel="loss", title="The inherited procedure")
axes[0].legend(loc="lower left")
axes[1].semilogy(norms, color=BLUE, linewidth=0.8)
axes[1].set(xlabel="step", ylabel="norm of the gradient")
plt.show()

# %% [markdown] nbgrader={"grade_id": "train-text", "locked": true}
r"""
*In the figure, above: the loss of each step on a logarithmic axis; a dashed line at the loss of guessing, and a red
triangle at each spike. Below: the norm of the gradient, also logarithmic.* Go to a spike and look at the steps just
before it, in both curves. How small have gradients been for a while? What does RMSprop divide by, and what has become
of that? What does one unusual batch do then?

## 3 · Your procedure

Write your own `train`. You may change whatever is procedure: the optimiser and its settings, the learning rate and
how it changes, what happens between backward pass and step, how batches are composed. There are many good answers,
and the grader doesn't care which one you choose. What it demands:

- It is the given model that is trained, in place; it gets its answers from `model(x)`.
- In each epoch every sequence of `batches` is used once, in an order and in batches of your choice.
- The tensors in `batches` stay as they are.
- You return the loss of every step: the cross-entropy of the examples of this step, before the weights move. The grader
  writes along, computes all losses again from the weights of each step, and compares.
- Whatever the seed: **no spike**, and at least **98 %** of new sequences right after 40 epochs. Two of three hidden
  seeds have to say so, since bad luck exists.

**Exercise 1 · `train`** · 2 points for an honest loop, 3 for no spike and 98 % on hidden seeds · ★★☆ · 45 minutes

*Keep what has been learned.*

<details><summary>Hint</summary>

A cure that only makes spikes rare will fail on one seed or another, so try yours on many. If the task isn't learned
any more, you have been too careful; if it is learned late, there is less time left to spike, and the cure may be none.
Each optimiser of PyTorch has a documented formula: which number in it decides how long the longest possible step is?

</details>
"""


# %% nbgrader={"grade_id": "train-code", "solution": true}
def train(model, batches, epochs):
    """Train the model in place, without spikes.

    model:   a Classifier
    batches: a list of (x, y), x (B, L, 8) and y (B,); all x have the same shape
    epochs:  how often every sequence is used

    Returns the list of the losses (floats) of all steps, each as it was before its step.
    """
    ### BEGIN SOLUTION
    optimizer = torch.optim.Adam(model.parameters(), lr=0.008)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.1, total_iters=epochs * len(batches))
    losses = []
    for _ in range(epochs):
        for x, y in batches:
            loss = functional.cross_entropy(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 0.5)
            optimizer.step()
            schedule.step()
            losses.append(loss.item())
    return losses
    ### END SOLUTION


# %% nbgrader={"grade_id": "procedure", "grade": true, "points": 2, "locked": true}
model, batches = make_model(SEED), make_batches(4, "easy", SEED, size=8)
start = [parameter.detach().clone() for parameter in model.parameters()]
losses = train(model, batches, 3)
assert losses is not None, "train returns None: is a return statement missing?"
assert all(isinstance(loss, float) for loss in losses), "the losses should be floats: loss.item()"
assert 0 < len(losses) <= 3 * 32, f"3 epochs of 32 sequences are 96 steps or fewer, not {len(losses)}"
first = math.exp(-losses[0])  # how likely the model found the right classes, before it had learned anything
assert 0.15 < first < 0.4, f"an untrained model guesses among 4 classes, but your first loss is {losses[0]:.3f}"
moved = any(not torch.equal(a, b) for a, b in zip(start, model.parameters(), strict=True))
assert moved, "the weights of the model are what they were: nothing has been learned"
print("ok  losses:", " ".join(f"{loss:.3f}" for loss in losses))


# %% nbgrader={"grade_id": "trial", "locked": true, "gives": ["trial"]}
def trial(seed):
    """Train on this seed; returns the losses, and whether all is well."""
    model = make_model(seed)
    losses = train(model, make_batches(16, "normal", seed), EPOCHS)
    share, found = accuracy(model, *temporal_order(1000, "normal", seed + 1000)), spikes(losses)
    print(f"seed {seed}: {share:.1%} right, {len(found)} spikes, first at {found[:1]}, at the end {losses[-1]:.4f}")
    return losses, share >= 0.98 and not found


# %% nbgrader={"grade_id": "no-spike", "grade": true, "points": 3, "locked": true}
_, well = trial(SEED)
verdicts = [well, trial(SEED + 1)[1]]
if verdicts[0] != verdicts[1]:
    verdicts.append(trial(SEED + 2)[1])
assert sum(verdicts) >= 2, "two runs have a spike, or end with less than 98 % of new sequences right"
print("ok  at these seeds: now try others")

# %% nbgrader={"grade_id": "both-figure", "locked": true} tags=["demo"]
steady_losses, _ = trial(SEED)
figure, ax = plt.subplots(figsize=(9, 3))
for curve, style, colour in (inherited_losses, ":", RED), (steady_losses, "-", BLUE):
    ax.semilogy([k / len(curve) * EPOCHS for k in range(len(curve))], curve, style, color=colour)
ax.axhline(GUESSING, color="0.5", linestyle="--")
ax.set(xlabel="epoch", ylabel="loss", title="Inherited (dotted) and yours (solid)")
plt.show()

# %% nbgrader={"grade_id": "many-seeds", "locked": true} tags=["demo"]
# The same on eight other seeds: this is what the grader does, with seeds of its own.
print(f"{sum(trial(seed)[1] for seed in range(100, 108))} of 8 runs end well")

# %% [markdown] nbgrader={"grade_id": "farewell", "locked": true}
r"""
*In the figure: both curves on a logarithmic axis, the inherited one dotted, yours solid, a dashed line at guessing.*
Yours may be slower at first. It gets there, and it stays.

**What you take along**

- A loss curve is evidence. Look at it on a logarithmic axis, next to the gradient's norm, before you change anything.
- An optimiser with memory behaves differently when there is nothing left to learn.
- One seed proves nothing: the cure that you saw work once is a candidate.

**If you are still curious** (no points): does your procedure hold on `moderate`, and on `hard`, with more epochs? Which
of its parts could you leave out? Does the inherited procedure spike with plain stochastic gradient descent in it?"""
