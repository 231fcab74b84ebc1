# %% [markdown] nbgrader={"grade_id": "header", "locked": true}
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
networks of its own with your classes and your `train`, on letters and delays that it draws."""

# %% nbgrader={"grade_id": "helpers", "locked": true}
import time

import matplotlib.pyplot as plt
import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset

from common import BLUE, GREEN, ORANGE, RED

torch.set_num_threads(1)  # for networks as small as ours, one thread is faster than many
N = 26  # letters a to z, numbered from 1 to N; 0 is the blank
SYMBOLS = " abcdefghijklmnopqrstuvwxyz"  # SYMBOLS[k] is the symbol with number k


def accuracy(model, *batch):
    """The share of symbols that the model gets right; batch is (x, y), or (x, delays, y)."""
    *inputs, y = batch
    with torch.no_grad():
        return (model(*inputs).argmax(-1) == y).float().mean().item()


# %% [markdown] nbgrader={"grade_id": "echo-data-text", "locked": true}
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


# %% nbgrader={"grade_id": "echo-data-code", "solution": true}
class EchoDataset(Dataset):
    """Random letters and their echo: item i is the pair (x, y) of int64 tensors (seq_length,).

    x holds letters, numbers from 1 to N, all equally likely; y is x, `delay` steps late, after that many blanks (0).

    delay:      whole number ≥ 0; it may exceed seq_length, then y is all blank
    seq_length: L
    size:       the number of items, len() of the data set
    """

    def __init__(self, delay, seq_length, size):
        ### BEGIN SOLUTION
        blanks = min(delay, seq_length)
        self.x = torch.randint(1, N + 1, (size, seq_length))
        self.y = functional.pad(self.x, (blanks, 0))[:, :seq_length]
        ### END SOLUTION

    def __len__(self):
        ### BEGIN SOLUTION
        return len(self.x)
        ### END SOLUTION

    def __getitem__(self, i):
        ### BEGIN SOLUTION
        return self.x[i], self.y[i]  # (L,), (L,)
        ### END SOLUTION


# %% nbgrader={"grade_id": "echo-data", "grade": true, "points": 2, "locked": true}
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

# %% nbgrader={"grade_id": "echo-figure", "locked": true} tags=["demo"]
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

# %% [markdown] nbgrader={"grade_id": "memory-text", "locked": true}
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


# %% nbgrader={"grade_id": "memory-code", "solution": true}
class GRUMemory(nn.Module):
    """A recurrent network from letters to logits of the symbols that should be said."""

    def __init__(self, hidden_size):
        """hidden_size: the length H of the state."""
        super().__init__()
        ### BEGIN SOLUTION
        self.gru = nn.GRU(N + 1, hidden_size, batch_first=True)
        self.head = nn.Linear(hidden_size, N + 1)
        ### END SOLUTION

    def forward(self, x):
        """Takes symbols x (B, L), int64 from 0 to N; returns the logits of each step, (B, L, N + 1)."""
        ### BEGIN SOLUTION
        states, _ = self.gru(functional.one_hot(x, N + 1).float())  # (B, L, H)
        return self.head(states)  # (B, L, N + 1)
        ### END SOLUTION

    def test_run(self, s):
        """What the network says while it listens to the string s of letters a to z: a string of the same length.

        In each step it says the symbol with the largest logit; the blank is a space.
        """
        ### BEGIN SOLUTION
        x = torch.tensor([[SYMBOLS.index(letter) for letter in s]])  # (1, L)
        with torch.no_grad():
            said = self(x)[0].argmax(-1)  # (L,)
        return "".join(SYMBOLS[k] for k in said)
        ### END SOLUTION


# %% nbgrader={"grade_id": "memory-tools", "locked": true, "gives": ["check_memory"]}
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


# %% nbgrader={"grade_id": "memory-forward", "grade": true, "points": 4, "locked": true}
torch.manual_seed(3)
check_memory(GRUMemory(hidden_size=16))

# %% nbgrader={"grade_id": "memory-test-run", "grade": true, "points": 2, "locked": true}
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

# %% [markdown] nbgrader={"grade_id": "train-text", "locked": true}
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


# %% nbgrader={"grade_id": "train-code", "solution": true}
def train(model, batches, lr=0.01):
    """Train the model: one pass over the batches, one step of an optimiser for each.

    model:   an nn.Module; model(*inputs) are logits (B, L, N + 1)
    batches: a list of tuples (*inputs, y) with y (B, L), int64
    lr:      the learning rate

    Returns the list of the losses (floats), one for each batch, as they were before its step.
    """
    ### BEGIN SOLUTION
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    losses = []
    for *inputs, y in batches:
        logits = model(*inputs)  # (B, L, N + 1)
        loss = functional.cross_entropy(logits.flatten(0, 1), y.flatten())  # (BL, N + 1) and (BL,)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses
    ### END SOLUTION


# %% nbgrader={"grade_id": "train", "grade": true, "points": 2, "locked": true}
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

# %% nbgrader={"grade_id": "echo-training", "locked": true, "gives": ["echo_history", "echo_memory"]} tags=["demo"]
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

# %% nbgrader={"grade_id": "echo-training-figure", "locked": true} tags=["demo"]
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

# %% nbgrader={"grade_id": "echo-trained", "grade": true, "points": 3, "locked": true}
# The grader trains a GRUMemory(64) for 600 steps, with a delay that it draws. Here is a quick rehearsal at delay 1.
torch.manual_seed(7)
rehearsal = GRUMemory(hidden_size=32)
losses = train(rehearsal, list(DataLoader(EchoDataset(1, 6, 120 * 32), batch_size=32)))
print(f"rehearsal: from {losses[0]:.2f} to {losses[-1]:.2f}; 'canyon' → {rehearsal.test_run('canyon')!r}")
assert losses[-1] < 0.5 * losses[0], "with your network and your train the loss should be halved after 120 steps"

# %% [markdown] nbgrader={"grade_id": "variable-text", "locked": true}
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


# %% nbgrader={"grade_id": "variable-code", "solution": true}
class VariableDelayGRUMemory(nn.Module):
    """A recurrent network from letters and a delay to logits of the symbols that should be said."""

    def __init__(self, hidden_size, max_delay):
        """hidden_size: the length H of the state; max_delay: the largest delay that will be asked for."""
        super().__init__()
        ### BEGIN SOLUTION
        self.delays = max_delay + 1  # 0, 1, …, max_delay
        self.gru = nn.GRU(N + 1 + self.delays, hidden_size, batch_first=True)
        self.head = nn.Linear(hidden_size, N + 1)
        ### END SOLUTION

    def forward(self, x, delays):
        """Takes symbols x (B, L) and delays (B,), both int64; returns the logits of each step, (B, L, N + 1)."""
        ### BEGIN SOLUTION
        letters = functional.one_hot(x, N + 1)  # (B, L, N + 1)
        waits = functional.one_hot(delays, self.delays)[:, None].expand(-1, x.shape[1], -1)  # (B, L, max_delay + 1)
        states, _ = self.gru(torch.cat([letters, waits], dim=-1).float())  # (B, L, H)
        return self.head(states)  # (B, L, N + 1)
        ### END SOLUTION

    def test_run(self, s, delay):
        """What the network says while it listens to the string s, asked for this delay: a string as long as s."""
        ### BEGIN SOLUTION
        x = torch.tensor([[SYMBOLS.index(letter) for letter in s]])  # (1, L)
        with torch.no_grad():
            said = self(x, torch.tensor([delay]))[0].argmax(-1)  # (L,)
        return "".join(SYMBOLS[k] for k in said)
        ### END SOLUTION


# %% nbgrader={"grade_id": "variable-forward", "grade": true, "points": 3, "locked": true}
torch.manual_seed(8)
model = VariableDelayGRUMemory(hidden_size=16, max_delay=5)
check_memory(model, torch.tensor([5, 0, 3]))
x, delays = torch.randint(1, N + 1, (3, 7)), torch.tensor([0, 2, 5])
with torch.no_grad():
    moved = (model(x, torch.tensor([0, 4, 5])) - model(x, delays)).abs().amax((1, 2)) > 1e-6
assert moved[1], "another delay in row 1 makes no difference to row 1"
assert not moved[0] and not moved[2], "another delay in row 1 changes other rows: each row has a delay of its own"
print("ok  every row follows its own delay")

# %% nbgrader={"grade_id": "variable-test-run", "grade": true, "points": 1, "locked": true}
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


# %% nbgrader={"grade_id": "echo-many", "locked": true, "gives": ["echo_of_rows", "variable_batches"]}
def echo_of_rows(x, delays):
    """The echo of x (B, L), where each row has its own delay, (B,)."""
    source = torch.arange(x.shape[1]) - delays[:, None]  # (B, L): the step that is heard at t
    return torch.where(source >= 0, x.gather(1, source.clamp(min=0)), 0)


def variable_batches(count, length, max_delay):
    """A list of `count` batches (x, delays, y) of 32 sequences."""
    x, delays = torch.randint(1, N + 1, (count, 32, length)), torch.randint(0, max_delay + 1, (count, 32))
    return [(x[k], delays[k], echo_of_rows(x[k], delays[k])) for k in range(count)]


# %% nbgrader={"grade_id": "variable-training", "locked": true, "gives": ["canyon", "canyon_history"]} tags=["demo"]
torch.manual_seed(10)
began = time.perf_counter()
canyon = VariableDelayGRUMemory(hidden_size=96, max_delay=3)
canyon_history = train(canyon, variable_batches(1000, 10, 3))
x, delays = torch.randint(1, N + 1, (1000, 10)), torch.randint(0, 4, (1000,))
share = accuracy(canyon, x, delays, echo_of_rows(x, delays))
print(f"{share:.1%} of the symbols of 1000 new sequences, {time.perf_counter() - began:.1f} s")
for delay in range(4):
    print(f"delay {delay}: 'whoisthere' → {canyon.test_run('whoisthere', delay)!r}")

# %% nbgrader={"grade_id": "variable-figure", "locked": true} tags=["demo"]
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

# %% nbgrader={"grade_id": "variable-trained", "grade": true, "points": 3, "locked": true}
# The grader trains a VariableDelayGRUMemory(96, 3) for 1000 steps. Here is a quick rehearsal with delays 0 and 1.
torch.manual_seed(11)
rehearsal = VariableDelayGRUMemory(hidden_size=32, max_delay=1)
losses = train(rehearsal, variable_batches(160, 6, 1))
print(f"rehearsal: from {losses[0]:.2f} to {losses[-1]:.2f}; 'canyon' → {rehearsal.test_run('canyon', 1)!r}")
assert losses[-1] < 0.6 * losses[0], "with your network and your train the loss should have fallen by 40 %"

# %% [markdown] nbgrader={"grade_id": "farewell", "locked": true}
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
word, and see whether the echo still comes."""
