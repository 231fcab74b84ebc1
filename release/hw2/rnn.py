# %% [markdown] nbgrader={"grade": false, "grade_id": "header", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
# Networks that remember

Say a word to a canyon, and the canyon says it back a little later. To do that it has to keep the sound for a while. A
network that sees one letter at a time faces the same problem: when the moment comes to repeat a letter, the letter is
long gone from its input. It has to have been *remembered*.

**What you will build.** A data set of echoes; a recurrent network that learns to repeat letters after a fixed delay; a
training loop that serves any model; and a second network that is told the delay and echoes accordingly.

| exercise | you write | points | difficulty | minutes |
| --- | --- | --- | --- | --- |
| 1 | `EchoDataset` | 2 | ★☆☆ | 15 |
| 2 | `GRUMemory` | 4 + 2 | ★★☆ | 35 |
| 3 | `train`, and what your network has learned by it | 2 + 3 | ★★☆ | 30 |
| 4 | `VariableDelayGRUMemory` | 3 + 1 + 3 | ★★★ | 40 |
| | **in all** | **20** | | **120** |

**You need** recurrent networks, cross-entropy, and PyTorch's modules and optimisers. Everything runs on a CPU; the two
training runs take about 5 and 8 seconds.

**How to work.** Replace each `raise NotImplementedError` by your code; all of `torch` is welcome. The cell below it
checks your work on an example. Cells that train for show or draw are skipped while you are graded: the grader trains
networks of its own with your classes and your `train`, on letters and delays that it draws.
"""

# %% [markdown] nbgrader={"grade": false, "grade_id": "colab", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
[![Open this notebook in Google Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/your-organisation/deep-learning/blob/main/release/hw2/rnn.ipynb)
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

# The cells below use these names themselves: accuracy, BLUE, GREEN, N, ORANGE, RED, SYMBOLS, check_memory,
# echo_history, echo_memory, echo_of_rows, variable_batches, canyon, canyon_history. Give your own helpers
# other names.

# %% nbgrader={"grade": false, "grade_id": "helpers", "locked": true, "schema_version": 3, "solution": false, "task": false}
import time

import matplotlib.pyplot as plt
import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset

BLUE, ORANGE, GREEN, RED = "#0072B2", "#E69F00", "#009E73", "#D55E00"  # safe for colour-blind readers
torch.set_num_threads(1)  # for networks as small as ours, one thread is faster than many
N = 26  # letters a to z, numbered from 1 to N; 0 is the blank
SYMBOLS = " abcdefghijklmnopqrstuvwxyz"  # SYMBOLS[k] is the symbol with number k


def accuracy(model, *batch):
    """The share of symbols that the model gets right; batch is (x, y), or (x, delays, y)."""
    *inputs, y = batch
    with torch.no_grad():
        return (model(*inputs).argmax(-1) == y).float().mean().item()


# %% [markdown] nbgrader={"grade": false, "grade_id": "echo-data-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
## 1 · The echo

A sequence of $L$ letters $x[0], \dots, x[L-1]$, each a number from 1 to $N = 26$, has the echo

$$y[t] = \begin{cases} x[t - d] & \text{if } t \ge d, \\ 0 \;(\text{blank}) & \text{if } t < d, \end{cases}
\qquad t = 0, \dots, L - 1 .$$

The delay $d$ says how long the canyon is. For $d = 2$, `hello` has the echo `␣␣hel`: two blanks, because nothing has
come back yet, and the last two letters are lost, because we stop listening.

The letters are drawn at random, each as likely as any other. That matters. In English a network could guess the next
letter from its neighbours; here nothing helps but memory.

**Exercise 1 · `EchoDataset`** · 2 points · ★☆☆ · 15 minutes

*Draw random letters, and shift them.*

<details><summary>Hint</summary>

Try your formula on the edges of what may be asked: what happens for a delay of 0, where the echo is the word itself?
And for a delay as long as the sequence, or longer? One more edge: the upper end of `torch.randint` is excluded.

</details>
"""


# %% nbgrader={"grade": false, "grade_id": "echo-data-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
class EchoDataset(Dataset):
    """Random letters and their echo: item i is the pair (x, y) of int64 tensors (seq_length,).

    x holds letters, numbers from 1 to N, all equally likely; y is x, `delay` steps late, after that many blanks (0).

    delay:      whole number ≥ 0; it may exceed seq_length, then y is all blank
    seq_length: L
    size:       the number of items, len() of the data set
    """

    def __init__(self, delay, seq_length, size):
        raise NotImplementedError

    def __len__(self):
        raise NotImplementedError

    def __getitem__(self, i):
        raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "echo-data", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
def _check_echo_data():
    torch.manual_seed(1)
    data = EchoDataset(delay=2, seq_length=5, size=200)
    assert len(data) == 200, f"len() says {len(data)}, it should be the size, 200"
    for i in range(200):
        x, y = data[i]
        assert x.shape == y.shape == (5,), "x and y should have shape (seq_length,)"
        assert x.dtype == y.dtype == torch.int64, "x and y should be int64: they are numbers of symbols"
        assert x.min() >= 1 and x.max() <= N, "letters are numbers from 1 to 26; blanks stand in the echo alone"
        assert y.tolist() == [0, 0, *x.tolist()[:3]], "y should be two blanks, then the first three letters of x"
    drawn = {letter for x, _ in (data[i] for i in range(200)) for letter in x.tolist()}
    assert len(drawn) == N, f"in 1000 letters only {len(drawn)} of the 26 appear"
    x, y = EchoDataset(delay=0, seq_length=5, size=1)[0]
    assert y.tolist() == x.tolist(), "a delay of 0 repeats at once: y is x"
    assert EchoDataset(delay=7, seq_length=5, size=1)[0][1].tolist() == [0] * 5, "before step 7 there are only blanks"
    print("ok  for example:", "".join(SYMBOLS[k] for k in data[0][0]), "→", "".join(SYMBOLS[k] for k in data[0][1]))


_check_echo_data()


# %% nbgrader={"grade": false, "grade_id": "echo-figure", "locked": true, "schema_version": 3, "solution": false, "task": false} tags=["demo"]
def _figure():
    torch.manual_seed(2)
    x, y = EchoDataset(delay=4, seq_length=15, size=1)[0]
    figure, ax = plt.subplots(figsize=(7.5, 1.7))
    for t in range(15):
        ax.text(t, 1, SYMBOLS[x[t]], ha="center", va="center", fontsize=13, color=BLUE)
        ax.text(t, 0, SYMBOLS[y[t]].replace(" ", "·"), ha="center", va="center", fontsize=13, color=RED)
        if t >= 4:
            ax.annotate("", (t, 0.25), (t - 4, 0.78), arrowprops={"arrowstyle": "->", "color": "0.75"})
    ax.set(xlim=(-1, 15), ylim=(-0.4, 1.4), xticks=range(15), yticks=[0, 1], yticklabels=["y", "x"], xlabel="step t")
    plt.show()


_figure()

# %% [markdown] nbgrader={"grade": false, "grade_id": "memory-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
*In the figure: the letters above, their echo below, and an arrow from each letter to where it returns; dots are
blanks.* Count the arrows that cross any vertical line: four. A network that walks from left to right has to carry four
letters at any time, drop the oldest one in each step, and take in a new one. It is a queue, made of real numbers.

## 2 · A network with a memory

A *gated recurrent unit* (GRU) carries a state $h[t] \in \mathbb{R}^H$ from step to step. From the input $x[t]$ and the
state before, it computes two gates and a proposal ($\sigma$ is the sigmoid, $\odot$ multiplies entry by entry):

$$\begin{aligned}
r[t] &= \sigma(W_r\, x[t] + U_r\, h[t-1] + b_r) && \text{what of the past the proposal may see,} \\
z[t] &= \sigma(W_z\, x[t] + U_z\, h[t-1] + b_z) && \text{what is kept,} \\
n[t] &= \tanh\bigl(W_n\, x[t] + b_n + r[t] \odot (U_n\, h[t-1] + c_n)\bigr) && \text{the proposal,} \\
h[t] &= z[t] \odot h[t-1] + (1 - z[t]) \odot n[t], && h[-1] = 0 .
\end{aligned}$$

Where $z$ is 1 the old state passes unchanged, and so does its gradient on the way back: this is why gates remember
better than a plain $\tanh$ recurrence. `nn.GRU` is all of this. A linear layer turns $h[t]$ into
$N + 1$ scores, the logits of the blank and of each letter, at *every* step.

Three things are easily got wrong, and the checks look for them:

- **Causality.** The logits of step $t$ know $x[0], \dots, x[t]$ and nothing later. An echo from the future is no echo.
- **A fresh start.** Each sequence begins with $h = 0$. What the network heard in the last call must not leak into the
  next one, nor one row of a batch into another.
- **Axes.** Which one does `nn.GRU` take for time? Read what `batch_first` says.

Letters are names, not quantities: `c` is not three times `a`. Feed them as one-hot vectors of length $N + 1$
(`functional.one_hot`), or through an `nn.Embedding`.

For people there is `test_run`, from a string to a string.

**Exercise 2 · `GRUMemory`** · 4 points for the network, 2 for `test_run` · ★★☆ · 35 minutes

*Letters in, logits out, and a state that walks along.*

<details><summary>Hint</summary>

`nn.GRU` returns two things. One of them holds the state after *every* step; that is the one to put through the linear
layer, which is happy with any number of leading axes. For `test_run`: the whole string is one sequence, a batch
with one row; a network that is handed its letters one by one, call after call, begins anew at each.

</details>
"""


# %% nbgrader={"grade": false, "grade_id": "memory-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
class GRUMemory(nn.Module):
    """A recurrent network from letters to logits of the symbols that should be said."""

    def __init__(self, hidden_size):
        """hidden_size: the length H of the state."""
        super().__init__()
        raise NotImplementedError

    def forward(self, x):
        """Takes symbols x (B, L), int64 from 0 to N; returns the logits of each step, (B, L, N + 1)."""
        raise NotImplementedError

    def test_run(self, s):
        """What the network says while it listens to the string s of letters a to z: a string of the same length.

        In each step it says the symbol with the largest logit; the blank is a space.
        """
        raise NotImplementedError


# %% nbgrader={"grade": false, "grade_id": "memory-tools", "locked": true, "schema_version": 3, "solution": false, "task": false}
def check_memory(model, *delays):
    """Assert the shape, causality, memory and fresh start of a network that nobody has trained."""
    x = torch.randint(1, N + 1, (3, 7))
    model.eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.1 * torch.randn_like(parameter)  # in case some of them begin as zeros
        logits = model(x, *delays)
        assert logits.shape == (3, 7, N + 1), f"the logits have shape {tuple(logits.shape)}, not (B, L, N + 1)"
        assert torch.allclose(model(x, *delays), logits), "asked the same again, the network answers differently"
        for row in range(3):
            alone = model(x[row : row + 1], *(d[row : row + 1] for d in delays))
            assert torch.allclose(alone[0], logits[row], atol=1e-5), f"row {row} depends on the rest of the batch"
        for t in range(7):
            other = x.clone()
            other[:, t] = other[:, t] % N + 1  # another letter at step t
            changed = (model(other, *delays) - logits).abs().amax((0, 2)) > 1e-6  # (L,)
            assert not changed[:t].any(), f"the logits before step {t} change with the letter of step {t}"
            assert changed[t], f"the logits of step {t} ignore the letter of step {t}"
            assert changed[t : t + 4].all(), f"the letter of step {t} is forgotten at once"
    print("ok  shape, memory, causality and a fresh start")


# %% nbgrader={"grade": true, "grade_id": "memory-forward", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def _check_memory_forward():
    torch.manual_seed(3)
    check_memory(GRUMemory(hidden_size=16))


_check_memory_forward()


# %% nbgrader={"grade": true, "grade_id": "memory-test-run", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
def _check_memory_test_run():
    torch.manual_seed(4)
    memory = GRUMemory(hidden_size=16)
    with torch.no_grad():
        for parameter in memory.parameters():
            parameter *= 6  # untrained, but with strong opinions
    for s in "echo", "a", "fjordbankglyphs":
        said = memory.test_run(s)
        assert isinstance(said, str), f"test_run should return a string, not a {type(said).__name__}"
        assert len(said) == len(s), f"to {len(s)} letters it says {len(said)} symbols"
        best = memory(torch.tensor([[SYMBOLS.index(letter) for letter in s]]))[0].argmax(-1).tolist()
        assert [SYMBOLS.index(symbol) for symbol in said] == best, "what it says is not the symbol with the largest logit"
        print(f"ok  {s!r} → {said!r}")


_check_memory_test_run()

# %% [markdown] nbgrader={"grade": false, "grade_id": "train-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
## 3 · Train

Every step of every sequence is a small classification: $N + 1$ classes, and the right one is $y[t]$. The loss of a
batch is the cross-entropy, averaged over all $B \cdot L$ of them,

$$\mathcal{L} = -\frac{1}{BL} \sum_{b=1}^{B} \sum_{t=0}^{L-1} \log\,
\mathrm{softargmax}\bigl(\text{logits}_b[t]\bigr)_{y_b[t]} .$$

`functional.cross_entropy` wants its classes in axis 1, or flat: logits of shape `(M, N + 1)` beside labels of shape
`(M,)`. Little code, and a classical trap, for `reshape` will give you *any* shape with the right number of entries,
and not ask whether they are still in order.

Write the loop once, for all models. A batch is a tuple whose last entry is $y$; everything before it goes into the
model, so that the same function trains the network of section 4, whose batches are `(x, delays, y)`.

**Exercise 3 · `train`** · 2 points for the loop, 3 for a network that has learned · ★★☆ · 30 minutes

*One pass over the batches; one step of an optimiser of your choice for each.*

With 600 batches of 32 the grader expects your `GRUMemory(64)` to get at least 80 % of the symbols of fresh sequences
right, at a delay of 3 or 4; if the first attempt misses that, there is a second one. Adam with a learning rate of
0.01 comes to 99 %; you may well find something better.

<details><summary>Hint</summary>

Five lines in the loop: forward, loss, and three that involve gradients. Which of these three has to come before the
backward pass, since PyTorch adds up? And `(B, L, N + 1)` next to `(B, L)`: which *two* axes may be merged into one
without tearing logits apart?

</details>
"""


# %% nbgrader={"grade": false, "grade_id": "train-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def train(model, batches, lr=0.01):
    """Train the model: one pass over the batches, one step of an optimiser for each.

    model:   an nn.Module; model(*inputs) are logits (B, L, N + 1)
    batches: a list of tuples (*inputs, y) with y (B, L), int64
    lr:      the learning rate

    Returns the list of the losses (floats), one for each batch, as they were before its step.
    """
    raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "train", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
def _check_train():
    class Table(nn.Module):
        """The simplest model of all: a row of logits for each symbol, and no memory."""

        def __init__(self):
            super().__init__()
            self.logits = nn.Parameter(torch.randn(N + 1, N + 1))

        def forward(self, x):
            return self.logits[x]


    torch.manual_seed(5)
    table = Table()
    before = table.logits.detach().clone()
    x, y = torch.randint(1, N + 1, (4, 9)), torch.randint(0, N + 1, (4, 9))
    right = -before.log_softmax(-1)[x, y].mean().item()
    losses = train(table, [(x, y)] * 40)
    assert losses is not None, "train returns None: is a return statement missing?"
    assert len(losses) == 40, f"40 batches should give 40 losses, not {len(losses)}"
    assert abs(losses[0] - right) < 1e-4, f"the first loss should be {right:.4f}, the average over all symbols"
    assert not torch.equal(before, table.logits), "the parameters have not moved"
    assert losses[-1] < losses[0] - 0.1, "after 40 steps on the same batch the loss should have fallen"
    still = Table()
    before = still.logits.detach().clone()
    train(still, [(x, y)] * 3, lr=1e-7)
    assert torch.allclose(still.logits, before, atol=1e-3), "a learning rate of nearly 0 should move (nearly) nothing"
    print(f"ok  from {losses[0]:.3f} to {losses[-1]:.3f}")


_check_train()


# %% nbgrader={"grade": false, "grade_id": "echo-training", "locked": true, "schema_version": 3, "solution": false, "task": false} tags=["demo"]
def _figure():
    # The real thing: 600 batches of 32 sequences.
    torch.manual_seed(6)
    began = time.perf_counter()
    echo_memory = GRUMemory(hidden_size=64)
    loader = DataLoader(EchoDataset(delay=4, seq_length=15, size=600 * 32), batch_size=32)
    echo_history = []
    print("600 steps in 6 parts: ", end="")
    batches = list(loader)
    for part in range(6):
        echo_history += train(echo_memory, batches[part * 100 : part * 100 + 100])
        print(f"{echo_history[-1]:.3f}", end="  ")
    x, y = next(iter(DataLoader(EchoDataset(4, 15, 1000), batch_size=1000)))
    print(f"\n{accuracy(echo_memory, x, y):.1%} of the symbols of 1000 new sequences, {time.perf_counter() - began:.1f} s")
    return echo_history, echo_memory


echo_history, echo_memory = _figure()


# %% nbgrader={"grade": false, "grade_id": "echo-training-figure", "locked": true, "schema_version": 3, "solution": false, "task": false} tags=["demo"]
def _figure():
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.5, 3.2))
    left.semilogy(echo_history, color=BLUE)
    left.axhline(torch.tensor(27.0).log(), color="0.6", linestyle="--")
    left.text(600, 3.1, "guessing among 27", ha="right", va="top", color="0.4", fontsize=8)
    left.set(xlabel="step", ylabel="cross-entropy", title="Learning curve")
    # Whom does the network listen to? The slope of the score that wins at step t, along the input of step s.
    x, _ = next(iter(DataLoader(EchoDataset(4, 15, 200), batch_size=200)))
    inputs = functional.one_hot(x, N + 1).float().requires_grad_()
    if hasattr(echo_memory, "gru") and hasattr(echo_memory, "head"):
        scores = echo_memory.head(echo_memory.gru(inputs)[0]).amax(-1)  # (200, 15)
        influence = [torch.autograd.grad(scores[:, t].sum(), inputs, retain_graph=True)[0] for t in range(15)]
        influence = torch.stack([slope.norm(dim=-1).mean(0) for slope in influence])  # (15, 15): t, s
        right.imshow(influence / influence.sum(1, keepdim=True), cmap="cividis")
        right.set(xlabel="step s of the input", ylabel="step t of the output", title="Who is listened to")
    plt.show()


_figure()


# %% nbgrader={"grade": true, "grade_id": "echo-trained", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def _check_echo_trained():
    # The grader trains a GRUMemory(64) for 600 steps, with a delay that it draws. Here is a quick rehearsal at delay 1.
    torch.manual_seed(7)
    rehearsal = GRUMemory(hidden_size=32)
    losses = train(rehearsal, list(DataLoader(EchoDataset(1, 6, 120 * 32), batch_size=32)))
    print(f"rehearsal: from {losses[0]:.2f} to {losses[-1]:.2f}; 'canyon' → {rehearsal.test_run('canyon')!r}")
    assert losses[-1] < 0.5 * losses[0], "with your network and your train the loss should be halved after 120 steps"


_check_echo_trained()

# %% [markdown] nbgrader={"grade": false, "grade_id": "variable-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
*In the figures of the training, left: the loss on a logarithmic axis; it rests on a plateau while the network says
blanks and guesses letters, then the queue takes shape, and it falls. Right (drawn when your GRU and your linear layer
are called `gru` and `head`): a bright diagonal, four steps below the main one.* The network listens to the letter that
it has to repeat, and much less to its neighbours. Nobody told it that the delay was 4.

## 4 · A canyon whose length you choose

Now the delay is part of the question: a network gets letters *and* a number $d$ between 0 and `max_delay`, a different
one in each row of the batch. It has to keep the last letters in any case, and $d$ decides which of them it says.

How do you tell a recurrent network a number? Think about *where* and *in which form*. A number from a short list is a
name, like a letter: one-hot, or an embedding. And it must be known whenever it is needed, so give it along with
every letter; or give it once, as the initial state, and leave it to the network to keep it.

The network has to *remember*: no line of your code may look up $x[t - d]$ for it.

**Exercise 4 · `VariableDelayGRUMemory`** · 3 points for the network, 1 for `test_run`, 3 for learning · ★★★ · 40 min

*Tell the network how long to wait.*

The grader trains your `VariableDelayGRUMemory(96, 3)` with your `train` on 1000 batches of 32 sequences of length 10
and expects 85 % of the symbols right, in one of two attempts.

<details><summary>Hint</summary>

Shapes again: the delays are `(B,)`, the letters in one-hot form `(B, L, N + 1)`. To stand beside every letter, the
delay's vector needs a time axis, along which it is repeated: look up `expand`. How many different delays are there
from 0 to `max_delay`?

</details>
"""


# %% nbgrader={"grade": false, "grade_id": "variable-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
class VariableDelayGRUMemory(nn.Module):
    """A recurrent network from letters and a delay to logits of the symbols that should be said."""

    def __init__(self, hidden_size, max_delay):
        """hidden_size: the length H of the state; max_delay: the largest delay that will be asked for."""
        super().__init__()
        raise NotImplementedError

    def forward(self, x, delays):
        """Takes symbols x (B, L) and delays (B,), both int64; returns the logits of each step, (B, L, N + 1)."""
        raise NotImplementedError

    def test_run(self, s, delay):
        """What the network says while it listens to the string s, asked for this delay: a string as long as s."""
        raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "variable-forward", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def _check_variable_forward():
    torch.manual_seed(8)
    model = VariableDelayGRUMemory(hidden_size=16, max_delay=5)
    check_memory(model, torch.tensor([5, 0, 3]))
    x, delays = torch.randint(1, N + 1, (3, 7)), torch.tensor([0, 2, 5])
    with torch.no_grad():
        moved = (model(x, torch.tensor([0, 4, 5])) - model(x, delays)).abs().amax((1, 2)) > 1e-6
    assert moved[1], "another delay in row 1 makes no difference to row 1"
    assert not moved[0] and not moved[2], "another delay in row 1 changes other rows: each row has a delay of its own"
    print("ok  every row follows its own delay")


_check_variable_forward()


# %% nbgrader={"grade": true, "grade_id": "variable-test-run", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
def _check_variable_test_run():
    torch.manual_seed(9)
    model = VariableDelayGRUMemory(hidden_size=16, max_delay=4)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter *= 6
    for delay in range(5):
        s = "fjordbankglyphs"
        x = torch.tensor([[SYMBOLS.index(letter) for letter in s]])
        best = "".join(SYMBOLS[k] for k in model(x, torch.tensor([delay]))[0].argmax(-1))
        assert model.test_run(s, delay) == best, f"delay {delay}: not the symbols with the largest logits"
    print("ok  test_run passes the delay on")


_check_variable_test_run()


# %% nbgrader={"grade": false, "grade_id": "echo-many", "locked": true, "schema_version": 3, "solution": false, "task": false}
def echo_of_rows(x, delays):
    """The echo of x (B, L), where each row has its own delay, (B,)."""
    source = torch.arange(x.shape[1]) - delays[:, None]  # (B, L): the step that is heard at t
    return torch.where(source >= 0, x.gather(1, source.clamp(min=0)), 0)


def variable_batches(count, length, max_delay):
    """A list of `count` batches (x, delays, y) of 32 sequences."""
    x, delays = torch.randint(1, N + 1, (count, 32, length)), torch.randint(0, max_delay + 1, (count, 32))
    return [(x[k], delays[k], echo_of_rows(x[k], delays[k])) for k in range(count)]


# %% nbgrader={"grade": false, "grade_id": "variable-training", "locked": true, "schema_version": 3, "solution": false, "task": false} tags=["demo"]
def _figure():
    torch.manual_seed(10)
    began = time.perf_counter()
    canyon = VariableDelayGRUMemory(hidden_size=96, max_delay=3)
    canyon_history = train(canyon, variable_batches(1000, 10, 3))
    x, delays = torch.randint(1, N + 1, (1000, 10)), torch.randint(0, 4, (1000,))
    share = accuracy(canyon, x, delays, echo_of_rows(x, delays))
    print(f"{share:.1%} of the symbols of 1000 new sequences, {time.perf_counter() - began:.1f} s")
    for delay in range(4):
        print(f"delay {delay}: 'whoisthere' → {canyon.test_run('whoisthere', delay)!r}")
    return canyon, canyon_history


canyon, canyon_history = _figure()


# %% nbgrader={"grade": false, "grade_id": "variable-figure", "locked": true, "schema_version": 3, "solution": false, "task": false} tags=["demo"]
def _figure():
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.5, 3.2))
    left.semilogy(canyon_history, color=BLUE)
    left.set(xlabel="step", ylabel="cross-entropy", title="Learning curve")
    x = torch.randint(1, N + 1, (1000, 40))  # four times as long as anything it was trained on
    looks = [(BLUE, "o"), (ORANGE, "^"), (GREEN, "s"), (RED, "D")]
    for delay, (colour, marker) in enumerate(looks):
        delays = torch.full((1000,), delay)
        with torch.no_grad():
            right_ones = canyon(x, delays).argmax(-1) == echo_of_rows(x, delays)  # (1000, 40)
        share = right_ones.float().mean(0)
        right.plot(share, color=colour, marker=marker, markersize=3, linewidth=1, label=f"delay {delay}")
    right.axvline(9.5, color="0.6", linestyle="--")
    right.text(10, 0.05, "longer than in training", color="0.4", fontsize=8)
    right.set(xlabel="step t", ylabel="share that is right", ylim=(0, 1.03), title="Four canyons, 40 steps")
    right.legend(fontsize=8)
    plt.show()


_figure()


# %% nbgrader={"grade": true, "grade_id": "variable-trained", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def _check_variable_trained():
    # The grader trains a VariableDelayGRUMemory(96, 3) for 1000 steps. Here is a quick rehearsal with delays 0 and 1.
    torch.manual_seed(11)
    rehearsal = VariableDelayGRUMemory(hidden_size=32, max_delay=1)
    losses = train(rehearsal, variable_batches(160, 6, 1))
    print(f"rehearsal: from {losses[0]:.2f} to {losses[-1]:.2f}; 'canyon' → {rehearsal.test_run('canyon', 1)!r}")
    assert losses[-1] < 0.6 * losses[0], "with your network and your train the loss should have fallen by 40 %"


_check_variable_trained()

# %% [markdown] nbgrader={"grade": false, "grade_id": "farewell", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
*In the figures of the training, left: the loss on a logarithmic axis. Right: for each delay (circles, triangles,
squares, diamonds) the share of right symbols at each of 40 steps, with a dashed line where training sequences ended.*
For short delays the queue works far beyond the place where training sequences ended: what was learned is a rule for
*one step*, and steps don't know how many have gone before. Long delays are harder, for a letter loses a little in each
step that it is kept; small errors, too, are kept, and they add up.

**What you take along**

- A recurrent network is one function, applied again and again; its state is all that it knows of the past.
- What a network must not know (the future, other rows, the last batch) is worth a test of its own: such a leak improves
  the training loss, and nothing else.
- A number that selects is a name: feed it as one.

**If you are still curious** (no points): how does the accuracy fall when `hidden_size` shrinks, and at which size does
a delay of 4 no longer fit? Replace the GRU by `nn.RNN`, at the same number of steps. Or put blanks in the middle of a
word, and see whether the echo still comes.
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
    "rnn.ipynb",
    [
        "1 echo-data",
        "2 memory-forward",
        "2 memory-test-run",
        "3 train",
        "3 echo-trained",
        "4 variable-forward",
        "4 variable-test-run",
        "4 variable-trained",
    ],
    [],
    {
        2281801469: "accuracy BLUE GREEN N ORANGE RED SYMBOLS",
        2966141663: "check_memory",
        1660664878: "echo_history echo_memory",
        874279109: "echo_of_rows variable_batches",
        2126241842: "canyon canyon_history",
    },
    "*Your answer here: double-click this line and write.*",
)
