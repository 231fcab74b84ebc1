# %% [markdown] nbgrader={"grade": false, "grade_id": "header", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
# Networks that remember

An echo repeats a sound after a delay. In this notebook a network hears one letter at a time and repeats each letter a
few steps later. By then the letter has left its input: the network must have *remembered* it.

**What you will build.** A data set of echoes, a network that repeats letters after a fixed delay, a training loop for
any model, and a network that is told the delay. As an option, a parallel scan.

| exercise | you write | points by machine | by hand | minutes |
|---|---|---|---|---|
| 1 | `EchoDataset` | 2 | | 15 |
| 2 | `GRUMemory` | 4 + 1 | | 35 |
| 3 | `train`; your network learns | 2 + 2½ | | 30 |
| 4 | `VariableDelayGRUMemory`, a prediction | 3 + 1 + 3 + ½ | 1 | 50 |
| 5 | optional: a recurrence without a loop | – | – | (45) |
| | **total: 20 points** | **19** | **1** | **130** |

**You need** recurrent networks, cross-entropy, and PyTorch's modules and optimisers. Everything runs on a CPU. Training
takes about 15 seconds.

**How to work.** Replace each `raise NotImplementedError` with your code. You may use all of `torch`. The cell below
checks your code on an example. The grader uses other numbers and sizes, and trains its own networks with your classes
and your `train`. Cells that only train or draw for show are skipped during grading.
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

# The cells below use these names themselves: accuracy, N, SYMBOLS, BLUE, GREEN, ORANGE, RED, show_figure,
# check_memory, echo_history, echo_memory, echo_of_rows, variable_batches, canyon, canyon_history,
# count_operations, obeys_recurrence. Give your own helpers other names.

# %% nbgrader={"grade": false, "grade_id": "helpers", "locked": true, "schema_version": 3, "solution": false, "task": false}
import time

import matplotlib.pyplot as plt
import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset

torch.set_num_threads(1)  # for networks as small as ours, one thread is faster than many
N = 26  # letters a to z, numbered from 1 to N; 0 is the blank
SYMBOLS = " abcdefghijklmnopqrstuvwxyz"  # SYMBOLS[k] is the symbol with number k


def accuracy(model, *batch):
    """The share of symbols that the model gets right. The batch is (x, y) or (x, delays, y)."""
    *inputs, y = batch
    with torch.no_grad():
        return (model(*inputs).argmax(-1) == y).float().mean().item()


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


# %% [markdown] nbgrader={"grade": false, "grade_id": "echo-data-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
## 1 · The echo

A sequence holds $L$ letters $x[0], \dots, x[L-1]$, each a number from 1 to $N = 26$. Its echo with delay $d$ is

$$y[t] = \begin{cases} x[t - d] & \text{if } t \ge d, \\ 0 \;(\text{blank}) & \text{if } t < d, \end{cases}
\qquad t = 0, \dots, L - 1 .$$

With $d = 2$, `hello` has the echo `␣␣hel`. It begins with two blanks, because nothing has come back by then. The last
two letters are missing, because the sequence ends before they return.

**Exercise 1 · `EchoDataset`** · 2 points · ★☆☆ · 15 minutes

*Write a data set of `size` items. Item i is a pair `(x, y)` of random letters and their echo.*

- `x` and `y` are int64 tensors of shape `(seq_length,)`.
- Every letter is drawn from 1 to 26, all equally likely, independently of all others. No letter says anything about
  its neighbours, so only memory helps.
- `delay` is any whole number from 0 up. If it is at least `seq_length`, `y` is all blank.

<details><summary>Hint</summary>

Try extreme cases. With a delay of 0, the echo is `x` itself. What happens with a delay as long as the sequence, or
longer? And does `torch.randint` include its upper end?

</details>
"""


# %% nbgrader={"grade": false, "grade_id": "echo-data-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
class EchoDataset(Dataset):
    """Random letters and their echo. Item i is the pair (x, y), two int64 tensors of shape (seq_length,).

    x holds letters: numbers from 1 to N, independent and equally likely. y is x `delay` steps later, blanks (0) first.
    Item i may be the same pair each time, or a new one.

    delay:      whole number ≥ 0. If it is at least seq_length, y is all blank.
    seq_length: L ≥ 1
    size:       the number of items, which is len() of the data set
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
    assert len(data) == 200, f"len() of the data set is {len(data)}; it should be the size that was asked for"
    for i in range(200):
        x, y = data[i]
        assert x.shape == y.shape == (5,), "x and y should have shape (seq_length,)"
        assert x.dtype == y.dtype == torch.int64, "x and y should be int64: they are numbers of symbols"
        assert x.min() >= 1 and x.max() <= N, "x should hold numbers from 1 to 26 only; the blank (0) belongs in y only"
        assert y.tolist() == [0, 0, *x.tolist()[:3]], (
            "with a delay of 2, y should be two blanks and then x from its beginning"
        )
    drawn = {letter for x, _ in (data[i] for i in range(200)) for letter in x.tolist()}
    assert len(drawn) == N, f"only {len(drawn)} of the 26 letters appear among 1000"
    x, y = EchoDataset(delay=0, seq_length=5, size=1)[0]
    assert y.tolist() == x.tolist(), "with a delay of 0, y should equal x"
    assert EchoDataset(delay=7, seq_length=5, size=1)[0][1].tolist() == [0] * 5, (
        "with a delay longer than the sequence, y should be all blank"
    )
    x, y = data[0]
    print("ok  for example:", "".join(SYMBOLS[k] for k in x), "→", "".join(SYMBOLS[k] for k in y))


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
    above, below = (" ".join(SYMBOLS[k] for k in row if k) for row in (x, y))
    show_figure(f"x: {above}. y: {int((y == 0).sum())} blanks, then {below}. Each arrow is four steps long.")


_figure()

# %% [markdown] nbgrader={"grade": false, "grade_id": "memory-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
*In the figure: letters above, their echo below (dots are blanks), and an arrow from each letter to its echo four steps
later.* Count the arrows that cross a vertical line between two steps. After steps 3 to 10 there are four. Further left,
fewer letters have been heard. Further right, the last four letters send no arrow, because the sequence ends before they
return. So a network has to carry the last four letters from step to step: a *queue*, which drops its oldest letter at
each step and takes in a new one.

## 2 · A network with a memory

A *gated recurrent unit*, GRU, carries a state $h[t] \in \mathbb{R}^H$ from step to step (Cho et al. 2014, *Learning
phrase representations using RNN encoder–decoder for statistical machine translation*). From the input $x[t]$ and the
previous state it computes two gates and a proposal. Here $\sigma$ is the sigmoid, and $\odot$ multiplies entry by
entry:

$$\begin{aligned}
r[t] &= \sigma(W_r\, x[t] + U_r\, h[t-1] + b_r) && \text{how much of the past enters the proposal,} \\
z[t] &= \sigma(W_z\, x[t] + U_z\, h[t-1] + b_z) && \text{how much of the old state is kept,} \\
n[t] &= \tanh\bigl(W_n\, x[t] + b_n + r[t] \odot (U_n\, h[t-1] + c_n)\bigr) && \text{the proposal,} \\
h[t] &= z[t] \odot h[t-1] + (1 - z[t]) \odot n[t], && h[-1] = 0 .
\end{aligned}$$

As $z[t]$ approaches 1, the old state passes through unchanged, and so does its gradient on the way back. `nn.GRU`
computes these equations. (Cho et al. multiply by $r[t]$ before $U_n$.)

**Exercise 2 · `GRUMemory`** · 4 points for the network, 1 for `test_run` · ★★☆ · 35 minutes

*Write an `nn.Module` that takes letters and returns, at every step, $N + 1$ logits: one for the blank and one for each
letter.* Use `nn.GRU` or another recurrence, and a linear layer.

- **Input.** The number of a letter is a name, not a quantity. Use one-hot vectors of length $N + 1$
  (`functional.one_hot`) or an `nn.Embedding`. `x` may contain the blank, 0.
- **Output.** Return logits, which may have any sign, not probabilities.
- **Causality.** The logits of step $t$ depend on $x[t]$ and on earlier letters, and must not depend on later ones.
- **A fresh start.** A row's logits must not depend on earlier calls or on other rows of the batch. In evaluation mode,
  the same input gives the same logits.
- **Axes.** By default, `nn.GRU` expects time in its first axis. Look up `batch_first`.

Then write `test_run(s)`. It takes a string and returns a string of the same length: at each step the symbol with the
largest logit, with a space for the blank.

<details><summary>Hint</summary>

`nn.GRU` returns two tensors. Which of them holds the states of *all* steps? A linear layer accepts any number of
leading axes. For `test_run`, the whole string is one sequence: a batch with one row.

</details>
"""


# %% nbgrader={"grade": false, "grade_id": "memory-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
class GRUMemory(nn.Module):
    """A recurrent network: letters in, logits of the echo out."""

    def __init__(self, hidden_size):
        """hidden_size: the length H of the state."""
        super().__init__()
        raise NotImplementedError

    def forward(self, x):
        """Takes symbols x (B, L), int64 from 0 to N. Returns the logits of every step, (B, L, N + 1)."""
        raise NotImplementedError

    def test_run(self, s):
        """Takes a string s of letters a to z. Returns the symbols that the network says, a string of the same length.

        At each step that is the symbol with the largest logit. The blank is a space.
        """
        raise NotImplementedError


# %% nbgrader={"grade": false, "grade_id": "memory-tools", "locked": true, "schema_version": 3, "solution": false, "task": false}
def check_memory(model, *delays):
    """Assert that an untrained network has the right shape, looks back only, and starts afresh."""
    x = torch.randint(1, N + 1, (3, 7))
    model.eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.1 * torch.randn_like(parameter)  # in case some of them begin as zeros
        logits = model(x, *delays)
        assert logits.shape == (3, 7, N + 1), f"the logits have shape {tuple(logits.shape)}, not (B, L, N + 1)"
        assert torch.allclose(model(x, *delays), logits), "the same input, given twice, should give the same logits"
        for row in range(3):
            alone = model(x[row : row + 1], *(d[row : row + 1] for d in delays))
            assert torch.allclose(alone[0], logits[row], atol=1e-5), (
                f"the logits of row {row} should not depend on the other rows"
            )
        for t in range(7):
            other = x.clone()
            other[:, t] = other[:, t] % N + 1  # another letter at step t
            changed = (model(other, *delays) - logits).abs().amax((0, 2)) > 1e-6  # (L,)
            assert not changed[:t].any(), f"logits before step {t} should not depend on the letter of step {t}"
            assert changed[t], f"the logits of step {t} should depend on the letter of step {t}"
            assert changed[t : t + 4].all(), f"logits soon after step {t} should depend on its letter"
    print("ok  shape, memory, causality and a fresh start")


# %% nbgrader={"grade": true, "grade_id": "memory-forward", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
def _check_memory_forward():
    torch.manual_seed(3)
    check_memory(GRUMemory(hidden_size=16))


_check_memory_forward()


# %% nbgrader={"grade": true, "grade_id": "memory-test-run", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
def _check_memory_test_run():
    torch.manual_seed(4)
    memory = GRUMemory(hidden_size=16).eval()
    with torch.no_grad():
        for parameter in memory.parameters():
            parameter *= 6  # an untrained network that says many different symbols
    for s in "echo", "a", "fjordbankglyphs":
        said = memory.test_run(s)
        assert isinstance(said, str), f"test_run should return a string, not a {type(said).__name__}"
        assert len(said) == len(s), f"for {len(s)} letters, test_run returns {len(said)} symbols"
        best = memory(torch.tensor([[SYMBOLS.index(letter) for letter in s]]))[0].argmax(-1).tolist()
        assert [SYMBOLS.index(symbol) for symbol in said] == best, "each symbol should be the one with the largest logit"
        print(f"ok  {s!r} → {said!r}")


_check_memory_test_run()

# %% [markdown] nbgrader={"grade": false, "grade_id": "train-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
## 3 · Training

Every step is a small classification with $N + 1$ classes. The right class is $y[t]$. The loss of a batch is the
cross-entropy, averaged over all $B \cdot L$ symbols, blanks included:

$$\mathcal{L} = -\frac{1}{BL} \sum_{b=1}^{B} \sum_{t=0}^{L-1} \log\,
\mathrm{softargmax}\bigl(\text{logits}_b[t]\bigr)_{y_b[t]} .$$

`functional.cross_entropy` expects the classes in axis 1, so merge the first two axes: logits `(M, N + 1)`, labels
`(M,)`. Take care with `reshape`: it accepts *any* shape with the right number of entries, even if logits and labels
then belong to different steps.

**Exercise 3 · `train`** · 2 points for the loop, 2½ for a network that has learned · ★★☆ · 30 minutes

*Write a training loop for any model.* A batch is a tuple. Its last entry is $y$, and everything before it goes into the
model. In section 4, batches are `(x, delays, y)`.

- Go through the batches once, in order. For each, make one forward pass and one step of any optimiser, with the
  gradient of this batch alone, unclipped.
- Train the model that you are given, at the learning rate `lr`. With `lr` near 0 its parameters must hardly move. With
  your default, 40 steps on one batch must lower its loss.
- Return the losses as a list of plain numbers, one for each batch, each computed before its step.
- Do not change the batches.

The grader trains your `GRUMemory(64)` with your `train` on 600 batches of 32 sequences of length 15, at delay 3 or 4.
At least one of two attempts must get 80 % of the symbols of new sequences right. Adam (Kingma & Ba
2015, *Adam: a method for stochastic optimization*) with a learning rate of 0.01 reached 95 % or more at delay 4, on six
seeds.

<details><summary>Hint</summary>

PyTorch adds new gradients to old ones, so what has to happen before the backward pass? And which *two* axes of
`(B, L, N + 1)` may be merged?

</details>
"""


# %% nbgrader={"grade": false, "grade_id": "train-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def train(model, batches, lr=0.01):
    """Train the model: one pass over the batches, one step of an optimiser for each.

    model:   an nn.Module; model(*inputs) returns logits (B, L, N + 1)
    batches: a list of tuples (*inputs, y); y is (B, L), int64
    lr:      the learning rate

    Returns the list of the losses, one float for each batch, computed before its step.
    """
    raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "train", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
def _check_train():
    class Table(nn.Module):
        """A row of logits for each symbol, and no memory."""

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
    assert len(losses) == 40, f"there should be one loss for each of 40 batches; there are {len(losses)}"
    assert abs(losses[0] - right) < 1e-4, "the first loss should be the mean cross-entropy of all symbols, before any step"
    assert not torch.equal(before, table.logits), "the parameters have not moved"
    assert losses[-1] < losses[0] - 0.1, "40 steps on the same batch should lower the loss"
    still = Table()
    before = still.logits.detach().clone()
    train(still, [(x, y)] * 3, lr=1e-7)
    assert torch.allclose(still.logits, before, atol=1e-3), "with a learning rate near 0 the parameters should hardly move"
    print(f"ok  from {losses[0]:.3f} to {losses[-1]:.3f}")


_check_train()


# %% nbgrader={"grade": false, "grade_id": "echo-training", "locked": true, "schema_version": 3, "solution": false, "task": false} tags=["demo"]
def _figure():
    # 600 batches of 32 sequences, as in the grader's training.
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
    share, seconds = accuracy(echo_memory, x, y), time.perf_counter() - began
    print(f"\n{share:.1%} of the symbols of 1000 new sequences are right; {seconds:.1f} s")
    return echo_history, echo_memory


echo_history, echo_memory = _figure()


# %% nbgrader={"grade": false, "grade_id": "echo-training-figure", "locked": true, "schema_version": 3, "solution": false, "task": false} tags=["demo"]
def _figure():
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.5, 3.2))
    left.semilogy(echo_history, color=BLUE)
    left.axhline(torch.tensor(27.0).log(), color="0.6", linestyle="--")
    left.text(600, 3.1, "27 classes, equally likely: ln 27", ha="right", va="top", color="0.4", fontsize=8)
    left.set(xlabel="step", ylabel="cross-entropy", title="Learning curve")
    says = f"Left: the loss goes from {echo_history[0]:.2f} to {echo_history[-1]:.4f} in {len(echo_history)} steps."
    # Which inputs matter? The slope of the winning logit of step t with respect to the input of step s.
    x, _ = next(iter(DataLoader(EchoDataset(4, 15, 200), batch_size=200)))
    inputs = functional.one_hot(x, N + 1).float().requires_grad_()
    gru = getattr(echo_memory, "gru", None)
    if isinstance(gru, nn.GRU) and gru.input_size == N + 1 and gru.batch_first and hasattr(echo_memory, "head"):
        scores = echo_memory.head(gru(inputs)[0]).amax(-1)  # (200, 15)
        influence = [torch.autograd.grad(scores[:, t].sum(), inputs, retain_graph=True)[0] for t in range(15)]
        influence = torch.stack([slope.norm(dim=-1).mean(0) for slope in influence])  # (15, 15): t, s
        right.imshow(influence / influence.sum(1, keepdim=True), cmap="cividis", vmax=0.5)
        right.set(xlabel="step s of the input", ylabel="step t of the output", title="Influence of input s on output t")
        shares = (influence / influence.sum(1, keepdim=True)).diagonal(-4)  # of the input four steps before
        says += f" Right: of the influence on outputs 4 to 14, input t − 4 has {shares.min():.0%} to {shares.max():.0%}."
    show_figure(says)


_figure()


# %% nbgrader={"grade": true, "grade_id": "echo-trained", "locked": true, "points": 2.5, "schema_version": 3, "solution": false, "task": false}
def _check_echo_trained():
    # The grader trains a GRUMemory(64) for 600 steps at delay 3 or 4. This is a shorter run at delay 1.
    torch.manual_seed(7)
    rehearsal = GRUMemory(hidden_size=32)
    losses = train(rehearsal, list(DataLoader(EchoDataset(1, 6, 120 * 32), batch_size=32)))
    print(f"rehearsal: from {losses[0]:.2f} to {losses[-1]:.2f}; 'canyon' → {rehearsal.test_run('canyon')!r}")
    assert losses[-1] < 0.5 * losses[0], "after 120 steps your network and your train should have halved the loss"


_check_echo_trained()

# %% [markdown] nbgrader={"grade": false, "grade_id": "variable-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
*In the figures, left: training loss on a logarithmic axis. It starts near ln 27 ≈ 3.3 and falls towards 0. Right (drawn
if a layer `gru` takes one-hot letters and a layer `head` follows it): how strongly the largest logit of step t reacts
to the letter of step s. A bright diagonal lies four steps below the main one.* At a loss of about 2.4, the network gets
the blanks right and guesses the letters: 11 of 15 symbols cost ln 26 each. After training, every output letter depends
most on the letter that it repeats.

## 4 · A delay that you choose

Now each row of the batch comes with a delay, a number $d$ from 0 to `max_delay`. The network remembers the last letters
in any case; $d$ decides which of them it says.

**Exercise 4 · `VariableDelayGRUMemory`** · 3 points for the network, 1 for `test_run`, 3 for learning · ★★★ · 40 min

*Write an `nn.Module` that takes letters `(B, L)` and delays `(B,)` and returns the logits of every step.* The rules of
exercise 2 apply. In addition:

- Every delay from 0 to `max_delay` is allowed, and different delays give different logits.
- The delay of one row must not affect other rows.
- The network has to *remember*. Your code must not look up $x[t - d]$ for it.

Treat a delay like a letter: use a one-hot vector or an embedding. Feed it in with every letter, or as the initial
state. `test_run(s, delay)` works as before.

The grader trains your `VariableDelayGRUMemory(96, 3)` with your `train` on 1000 batches of 32 sequences of length 10.
At least one of two attempts must get 85 % of the symbols of new sequences right.

<details><summary>Hint</summary>

To feed in the delay with every letter, repeat its vector along a time axis: look up `expand`. And how many different
delays are there from 0 to `max_delay`?

</details>
"""


# %% nbgrader={"grade": false, "grade_id": "variable-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
class VariableDelayGRUMemory(nn.Module):
    """A recurrent network: letters and a delay in, logits of the echo out."""

    def __init__(self, hidden_size, max_delay):
        """hidden_size: the length H of the state; max_delay: the largest delay."""
        super().__init__()
        raise NotImplementedError

    def forward(self, x, delays):
        """Takes symbols x (B, L) and delays (B,), both int64. Returns the logits of every step, (B, L, N + 1)."""
        raise NotImplementedError

    def test_run(self, s, delay):
        """Takes a string s and a delay (int). Returns the symbols that the network says, a string as long as s."""
        raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "variable-forward", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def _check_variable_forward():
    torch.manual_seed(8)
    model = VariableDelayGRUMemory(hidden_size=16, max_delay=5)
    check_memory(model, torch.tensor([5, 0, 3]))
    x, delays = torch.randint(1, N + 1, (3, 7)), torch.tensor([0, 2, 5])
    with torch.no_grad():
        moved = (model(x, torch.tensor([0, 4, 5])) - model(x, delays)).abs().amax((1, 2)) > 1e-6
    assert moved[1], "with another delay in row 1, the logits of row 1 should change"
    assert not moved[0] and not moved[2], "with another delay in row 1, the other rows should stay as they are"
    print("ok  every row depends on its own delay only")


_check_variable_forward()


# %% nbgrader={"grade": true, "grade_id": "variable-test-run", "locked": true, "points": 1, "schema_version": 3, "solution": false, "task": false}
def _check_variable_test_run():
    torch.manual_seed(9)
    model = VariableDelayGRUMemory(hidden_size=16, max_delay=4).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter *= 6
    for delay in range(5):
        s = "fjordbankglyphs"
        x = torch.tensor([[SYMBOLS.index(letter) for letter in s]])
        best = "".join(SYMBOLS[k] for k in model(x, torch.tensor([delay]))[0].argmax(-1))
        assert model.test_run(s, delay) == best, f"delay {delay}: each symbol should be the one with the largest logit"
    print("ok  test_run passes the delay on")


_check_variable_test_run()


# %% nbgrader={"grade": false, "grade_id": "echo-many", "locked": true, "schema_version": 3, "solution": false, "task": false}
def echo_of_rows(x, delays):
    """The echo of x (B, L). Each row has its own delay; delays is (B,)."""
    source = torch.arange(x.shape[1]) - delays[:, None]  # (B, L): the step whose letter returns at t
    return torch.where(source >= 0, x.gather(1, source.clamp(min=0)), 0)


def variable_batches(count, length, max_delay):
    """A list of `count` batches (x, delays, y), each of 32 sequences."""
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
    print(f"{share:.1%} of the symbols of 1000 new sequences are right; {time.perf_counter() - began:.1f} s")
    for delay in range(4):
        print(f"delay {delay}: 'whoisthere' → {canyon.test_run('whoisthere', delay)!r}")
    return canyon, canyon_history


canyon, canyon_history = _figure()

# %% [markdown] nbgrader={"grade": false, "grade_id": "longer-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
In training, every sequence had 10 letters. Now your trained network hears 40. The next figure shows, for each delay,
the share of correct symbols at every step.

**Prediction** · ½ point · 2 minutes. Compare step 39, the last, with step 9, the last in training. What happens?

- **A** · No curve falls by more than 10 percentage points.
- **B** · The curve of delay 3 falls by more than 10 points, but those of delays 0 and 1 do not.
- **C** · All four curves fall by more than 10 points.

*Set `longer_prediction` to one letter, as a string.* Any of the three earns the ½ point. What counts is that you commit
before you look.
"""

# %% nbgrader={"grade": false, "grade_id": "longer-prediction-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
# longer_prediction = "…"   # "A", "B" or "C"
raise NotImplementedError


# %% nbgrader={"grade": true, "grade_id": "longer-prediction", "locked": true, "points": 0.5, "schema_version": 3, "solution": false, "task": false}
def _check_longer_prediction():
    letter = isinstance(longer_prediction, str) and longer_prediction in ("A", "B", "C")
    assert letter, "longer_prediction should be one letter, A, B or C, as a string"
    print("ok  you have committed; now look at the figure")


_check_longer_prediction()


# %% nbgrader={"grade": false, "grade_id": "variable-figure", "locked": true, "schema_version": 3, "solution": false, "task": false} tags=["demo"]
def _figure():
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.5, 3.2))
    left.semilogy(canyon_history, color=BLUE)
    says = f"Left: the loss goes from {canyon_history[0]:.2f} to {canyon_history[-1]:.4f} in {len(canyon_history)} steps. "
    says += "Right: correct symbols at steps 9, 10 and 39."
    left.set(xlabel="step", ylabel="cross-entropy", title="Learning curve")
    x = torch.randint(1, N + 1, (1000, 40))  # four times as long as anything it was trained on
    looks = [(BLUE, "o"), (ORANGE, "^"), (GREEN, "s"), (RED, "D")]  # each marks every fourth step: curves may coincide
    for delay, (colour, marker) in enumerate(looks):
        delays = torch.full((1000,), delay)
        with torch.no_grad():
            right_ones = canyon(x, delays).argmax(-1) == echo_of_rows(x, delays)  # (1000, 40)
        share = right_ones.float().mean(0)
        look = {"color": colour, "marker": marker, "markersize": 4, "markevery": (delay, 4), "linewidth": 1}
        right.plot(share, **look, label=f"delay {delay}")
        says += f" Delay {delay}: {share[9]:.0%}, {share[10]:.0%} and {share[39]:.0%}."
    right.axvline(9.5, color="0.6", linestyle="--")
    right.text(10, 0.05, "longer than in training", color="0.4", fontsize=8)
    right.set(xlabel="step t", ylabel="share of correct symbols", ylim=(0, 1.05), title="Four delays, 40 steps")
    right.legend(fontsize=8, loc="lower right")
    show_figure(says)


_figure()

# %% [markdown] nbgrader={"grade": false, "grade_id": "longer-cause-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
*In the figures, left: training loss on a logarithmic axis. Right: for each delay (circles, triangles, squares,
diamonds) the share of correct symbols at each of 40 steps. The dashed line marks the end of training sequences.*

We measured delay 3 on networks like ours, from several seeds:

- After 40 letters, about 50 to 70 % of the symbols are right. If the same networks start afresh and hear only the last
  10 of these letters, about 90 % are.
- Networks trained on 1000 batches of 40 letters are more than 99 % right at every step up to 200.
- Networks trained on 3000 batches of 10 letters still lose 12 points or more from steps 3–9 to steps 30–39.

**Your answer** · 1 point · 8 minutes. *In one or two sentences: what does your figure show, and what causes it?* A
wrong prediction costs nothing.
"""

# %% [markdown] nbgrader={"grade": true, "grade_id": "longer-cause", "locked": false, "points": 1, "schema_version": 3, "solution": true, "task": false}
r"""
*Your answer here: double-click this line and write.*
"""


# %% nbgrader={"grade": true, "grade_id": "variable-trained", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
def _check_variable_trained():
    # The grader trains a VariableDelayGRUMemory(96, 3) for 1000 steps. This is a shorter run with delays 0 and 1.
    torch.manual_seed(11)
    rehearsal = VariableDelayGRUMemory(hidden_size=32, max_delay=1)
    losses = train(rehearsal, variable_batches(160, 6, 1))
    print(f"rehearsal: from {losses[0]:.2f} to {losses[-1]:.2f}; 'canyon' → {rehearsal.test_run('canyon', 1)!r}")
    assert losses[-1] < 0.6 * losses[0], "after 160 steps your network and your train should have lowered the loss by 40 %"


_check_variable_trained()

# %% [markdown] nbgrader={"grade": false, "grade_id": "recurrence-text", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
## 5 · A recurrence without a loop (optional)

The gates of a GRU depend on $h[t-1]$, so each step has to wait for the one before. Now let gate and proposal depend on
the input alone. With $a = z$ and $b = (1 - z) \odot n$, the recurrence is *linear in the state*:

$$h[t] = a[t] \odot h[t-1] + b[t], \qquad t = 0, \dots, T - 1, \qquad h[-1] = 0 .$$

This is the core of minGRU (Feng et al. 2024, *Were RNNs all we needed?*). The state-space models S4 (Gu, Goel & Ré
2022, *Efficiently modeling long sequences with structured state spaces*) and Mamba (Gu & Dao 2023, *Mamba: linear-time
sequence modeling with selective state spaces*) are linear in the state, too.

Step $t$ applies the map $h \mapsto a[t] \odot h + b[t]$, given by the pair $(a[t], b[t])$. Two such maps in a row form
one map of the same kind, with a pair of its own. This combination is associative, so you may group the steps as you
like:

- In round 1, combine every pair with the one before it. In round 2, combine every result with the one two positions
  earlier, then four, and so on. Each round doubles the number of steps that a pair covers.
- After $\lceil \log_2 T \rceil$ rounds, the pair of position $t$ covers all steps from 0 to $t$.

This is a *parallel scan* (Hillis & Steele 1986, *Data parallel algorithms*; Blelloch 1990, *Prefix sums and their
applications*; for recurrent networks Martin & Cundy 2018, *Parallelizing linear recurrent neural nets over sequence
length*).

**Exercise 5 · `linear_recurrence_loop`, `linear_recurrence_scan`** · ★★★ · 45 minutes · optional, no points; the tests
tell you whether it is right

*Write two functions that take tensors `a` and `b` of shape `(B, T, n)` and return the tensor `h` of the same shape: one
with a loop over the steps, one with a parallel scan.*

- $T$ is any length from 1 up. The entries of `a` lie between −1 and 1, zero included: you cannot divide by
  their products or take their logarithms.
- Do not change `a` and `b`.
- The scan must not treat steps one by one. From $T = 256$ to $T = 4096$, the rounds increase from 8 to 12. So the
  number of tensor operations must not double. No tensor may have more than 16 times the entries of `b`.
- Gradients must flow through the scan to `a` and `b`. So build new tensors with PyTorch's operations: writing in place
  usually breaks the flow.

<details><summary>Hint</summary>

Apply the map $(a_1, b_1)$ to $h$, then $(a_2, b_2)$ to the result. What about positions with no pair early enough to
combine with? Which map leaves every $h$ as it is?

</details>
"""


# %% nbgrader={"grade": false, "grade_id": "recurrence-loop-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def linear_recurrence_loop(a, b):
    """Takes a and b (B, T, n). Returns h (B, T, n) with h[t] = a[t] ⊙ h[t-1] + b[t] and h[-1] = 0, step by step."""
    raise NotImplementedError


# %% nbgrader={"grade": false, "grade_id": "recurrence-scan-code", "locked": false, "schema_version": 3, "solution": true, "task": false}
def linear_recurrence_scan(a, b):
    """Takes a and b (B, T, n). Returns the same h as linear_recurrence_loop, in about log₂ T rounds."""
    raise NotImplementedError


# %% nbgrader={"grade": false, "grade_id": "recurrence-tools", "locked": true, "schema_version": 3, "solution": false, "task": false}
def _figure():
    from torch.utils._python_dispatch import TorchDispatchMode


    class Counter(TorchDispatchMode):
        """Counts the tensor operations that run inside it."""

        operations = 0

        def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
            self.operations += 1
            return operation(*args, **(kwargs or {}))


    def count_operations(function, T):
        """How many tensor operations the function makes for T steps."""
        with Counter() as counter:
            function(torch.full((1, T, 2), 0.5), torch.ones(1, T, 2))
        return counter.operations


    def obeys_recurrence(function, T):
        """Assert that what the function returns for T steps obeys the recurrence."""
        a, b = 2 * torch.rand(2, T, 3) - 1, torch.randn(2, T, 3)
        a[torch.rand(2, T, 3) < 0.2] = 0
        before = a.clone(), b.clone()
        h = function(a, b)
        assert torch.equal(a, before[0]) and torch.equal(b, before[1]), "the function should not change a and b"
        assert h is not None and h.shape == b.shape, f"T = {T}: h should have the shape of b"
        h, a, b = h.double(), a.double(), b.double()
        assert torch.allclose(h[:, 0], b[:, 0], atol=1e-5), f"T = {T}: the first state should follow from h[-1] = 0"
        rest = a[:, 1:] * h[:, :-1] + b[:, 1:]
        assert torch.allclose(h[:, 1:], rest, atol=1e-5), f"T = {T}: h[t] should be a[t] ⊙ h[t-1] + b[t] at every step"
    return count_operations, obeys_recurrence


count_operations, obeys_recurrence = _figure()


# %% nbgrader={"grade": true, "grade_id": "recurrence-loop", "locked": true, "points": 0, "schema_version": 3, "solution": false, "task": false}
def _check_recurrence_loop():
    torch.manual_seed(12)
    for T in 1, 2, 7, 16:
        obeys_recurrence(linear_recurrence_loop, T)
    print("ok  the loop obeys the recurrence")


_check_recurrence_loop()


# %% nbgrader={"grade": true, "grade_id": "recurrence-scan", "locked": true, "points": 0, "schema_version": 3, "solution": false, "task": false}
def _check_recurrence_scan():
    torch.manual_seed(13)
    for T in 1, 2, 3, 7, 16, 37:
        obeys_recurrence(linear_recurrence_scan, T)
    few, many = count_operations(linear_recurrence_scan, 256), count_operations(linear_recurrence_scan, 4096)
    assert many < 2 * few, f"{few} tensor operations for 256 steps and {many} for 4096: they should not double"
    a = torch.rand(1, 5, 2, requires_grad=True)
    h = linear_recurrence_scan(a, torch.ones(1, 5, 2))
    assert h.requires_grad, "no gradient flows through the scan"
    assert torch.autograd.grad(h.sum(), a)[0][:, 1:].abs().min() > 0, "gradients should reach each a[t] with t > 0"
    print(f"ok  the scan obeys the recurrence; {many} tensor operations for 4096 steps")


_check_recurrence_scan()


# %% nbgrader={"grade": false, "grade_id": "recurrence-figure", "locked": true, "schema_version": 3, "solution": false, "task": false} tags=["demo"]
def _figure():
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.5, 3.2))
    lengths = [2**k for k in range(1, 13)]
    for name, function, look in ("loop", linear_recurrence_loop, "s--"), ("scan", linear_recurrence_scan, "o-"):
        counts = [count_operations(function, T) for T in lengths]
        left.loglog(lengths, counts, look, color=ORANGE if name == "loop" else BLUE, markersize=4, label=name)
    left.set(xlabel="steps T", ylabel="tensor operations", title="Loop against scan")
    left.legend()
    pulse = torch.zeros(1, 2048, 1)
    pulse[:, 0] = 1.0
    for gate, colour, look in (0.9, RED, ":"), (0.99, ORANGE, "--"), (0.999, BLUE, "-"):
        h = linear_recurrence_scan(torch.full_like(pulse, gate), pulse).flatten()
        right.semilogx(range(1, 2049), h, look, color=colour, label=f"{gate}: {int((h > 0.5).sum())}")
    right.set(xlabel="steps since the input, plus 1", ylabel="what is left of it", title="What a gate remembers")
    small = {"handlelength": 1.5, "borderaxespad": 0.2}  # so that the legend hides no curve
    right.legend(fontsize=8, title="gate: steps\nto a half", title_fontsize=8, loc="lower left", **small)
    counts = ", ".join(f"{line.get_label()} {line.get_ydata()[0]} and {line.get_ydata()[-1]}" for line in left.lines)
    halves = "; ".join(line.get_label() for line in right.lines)
    show_figure(f"Left: operations at T = 2 and 4096: {counts}. Right: gates, and the steps to a half: {halves}.")


_figure()

# %% [markdown] nbgrader={"grade": false, "grade_id": "farewell", "locked": true, "schema_version": 3, "solution": false, "task": false}
r"""
*In the figures of exercise 5, left: tensor operations against T, both axes logarithmic. The loop's grow in proportion
to T, the scan's by the same amount each time T doubles. Right: what is left of an input of 1 under a constant gate.
Half is left after about 7, 69 and 693 steps with gates of 0.9, 0.99 and 0.999.* Fewer operations do not mean less work:
in $\log_2 T$ rounds this scan makes about $2\, T \log_2 T$ multiplications, the loop $T$. It pays on hardware that does
many of them at once.

**What to remember**

- A recurrent network is one function, applied again and again. Its state is all it knows of the past.
- A network trained on short sequences has learned to work with the states that short sequences reach.
- A leak from the future or from other rows can lower the training loss. Test for it separately.
- Treat letters and delays as names: use one-hot vectors or embeddings.

**If you are curious:** replace the GRU of exercise 2 with `nn.RNN`, and train. Over six seeds, its accuracy ranged from
below 70 % to nearly 100 %. Then let both networks hear 200 letters: which loses more?

**More sources.** An older gated network is the LSTM (Hochreiter & Schmidhuber 1997, *Long short-term memory*). A
related test of memory is the copying problem (Arjovsky, Shah & Bengio 2016, *Unitary evolution recurrent neural
networks*).
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
    "rnn.ipynb",
    [
        "1 echo-data",
        "2 memory-forward",
        "2 memory-test-run",
        "3 train",
        "3 echo-trained",
        "4 variable-forward",
        "4 variable-test-run",
        "4 longer-prediction",
        "4 variable-trained",
        "5 recurrence-loop",
        "5 recurrence-scan",
    ],
    {
        "4 longer-cause": 0,
    },
    {
        1105976400: "accuracy N SYMBOLS",
        116943302: "BLUE GREEN ORANGE RED show_figure",
        1673432477: "check_memory",
        3823776735: "echo_history echo_memory",
        1294526258: "echo_of_rows variable_batches",
        4113683950: "canyon canyon_history",
        4025634075: "count_operations obeys_recurrence",
        1809085622: "",
    },
    "*Your answer here: double-click this line and write.*",
)
