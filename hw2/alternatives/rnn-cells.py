# A GRU written out gate by gate, letters embedded, the delay as the initial state; losses by log-softmax and gather.
# ruff: noqa: F821 (the other names are those of the notebook)

# %% nbgrader={"grade_id": "echo-data-code", "solution": true}
class EchoDataset(torch.utils.data.TensorDataset):
    def __init__(self, delay, seq_length, size):
        source = torch.arange(seq_length) - delay
        x = 1 + torch.randperm(size * seq_length).reshape(size, seq_length) % N
        super().__init__(x, torch.where(source >= 0, x[:, source.clamp(min=0)], 0))


# %% nbgrader={"grade_id": "memory-code", "solution": true}
class Unit(nn.Module):
    def __init__(self, inputs, hidden_size):
        super().__init__()
        self.wide = nn.Linear(inputs + hidden_size, 2 * hidden_size)
        self.narrow = nn.Linear(inputs + hidden_size, hidden_size)

    def forward(self, x, h):
        r, z = self.wide(torch.cat([x, h], 1)).sigmoid().chunk(2, 1)
        return torch.lerp(self.narrow(torch.cat([x, r * h], 1)).tanh(), h, z)


def walk(unit, head, inputs, h):
    logits = []
    for x in inputs.unbind(1):
        h = unit(x, h)
        logits.append(head(h))
    return torch.stack(logits, 1)


class GRUMemory(nn.Module):
    def __init__(self, hidden_size):
        super().__init__()
        self.hidden_size = hidden_size
        self.embedding = nn.Embedding(N + 1, 32)
        self.unit = Unit(32, hidden_size)
        self.head = nn.Linear(hidden_size, N + 1)

    def forward(self, x):
        return walk(self.unit, self.head, self.embedding(x), torch.zeros(len(x), self.hidden_size))

    @torch.no_grad()
    def test_run(self, s):
        x = torch.tensor([[ord(letter) - ord("a") + 1 for letter in s]])
        return "".join(chr(ord("a") + int(k) - 1) if k > 0 else " " for k in self.forward(x).squeeze(0).max(1).indices)


# %% nbgrader={"grade_id": "train-code", "solution": true}
def train(model, batches, lr=0.01):
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=0.0)
    losses = []
    for batch in batches:
        model.zero_grad()
        loss = -model(*batch[:-1]).log_softmax(2).gather(2, batch[-1][..., None]).mean()
        loss.backward()
        optimizer.step()
        losses += [float(loss)]
    return losses


# %% nbgrader={"grade_id": "variable-code", "solution": true}
class VariableDelayGRUMemory(nn.Module):
    def __init__(self, hidden_size, max_delay):
        super().__init__()
        self.embedding = nn.Embedding(N + 1, 32)
        self.wait = nn.Embedding(max_delay + 1, 8)
        self.unit = Unit(40, hidden_size)
        self.head = nn.Linear(hidden_size, N + 1)
        self.start = nn.Embedding(max_delay + 1, hidden_size)

    def forward(self, x, delays):
        waits = self.wait(delays).unsqueeze(1).repeat(1, x.shape[1], 1)
        return walk(self.unit, self.head, torch.cat([self.embedding(x), waits], 2), self.start(delays).tanh())

    def test_run(self, s, delay):
        x = torch.tensor([[1 + "abcdefghijklmnopqrstuvwxyz".index(letter) for letter in s]])
        scores = self.forward(x, torch.full((1,), delay))
        return "".join(SYMBOLS[scores[0, t].argmax()] for t in range(len(s)))


# %% nbgrader={"grade_id": "recurrence-scan-code", "solution": true}
def linear_recurrence_scan(a, b):
    """Blocks of m steps become blocks of 2 m: the second half takes in the last pair of the first half."""
    B, T, n = a.shape
    rounds = (T - 1).bit_length()
    spare = 2**rounds - T
    a = torch.cat([a, torch.ones(B, spare, n)], 1)
    b = torch.cat([b, torch.zeros(B, spare, n)], 1)
    for k in range(rounds):
        a, b = (x.reshape(B, -1, 2, 2**k, n) for x in (a, b))
        last_a, last_b = a[:, :, 0, -1:], b[:, :, 0, -1:]
        b = torch.stack([b[:, :, 0], a[:, :, 1] * last_b + b[:, :, 1]], 2)
        a = torch.stack([a[:, :, 0], a[:, :, 1] * last_a], 2)
    return b.reshape(B, -1, n)[:, :T]
