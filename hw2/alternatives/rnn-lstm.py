# The GRU in time-first order, an LSTM for the many delays, a learning rate that decays, one-hot vectors by indexing.
# ruff: noqa: F821 (the other names are those of the notebook)

# %% nbgrader={"grade_id": "echo-data-code", "solution": true}
import random


class EchoDataset(torch.utils.data.Dataset):
    def __init__(self, delay, seq_length, size):
        self.items = []
        for _ in range(size):
            word = random.choices(range(1, N + 1), k=seq_length)
            self.items.append((torch.tensor(word), torch.tensor(([0] * delay + word)[:seq_length])))

    def __len__(self):
        return len(self.items)

    def __getitem__(self, i):
        return self.items[i]


# %% nbgrader={"grade_id": "memory-code", "solution": true}
class GRUMemory(nn.Module):
    def __init__(self, hidden_size):
        super().__init__()
        self.rnn = nn.GRU(N + 1, hidden_size)
        self.out = nn.Linear(hidden_size, N + 1)

    def forward(self, x):
        states = self.rnn(torch.eye(N + 1)[x.T])[0]  # (L, B, H)
        return self.out(states).permute(1, 0, 2)

    def test_run(self, s):
        logits = self(torch.tensor([SYMBOLS.index(letter) for letter in s])[None])
        return "".join(SYMBOLS[k] for k in logits.argmax(2).flatten().tolist())


# %% nbgrader={"grade_id": "train-code", "solution": true}
def train(model, batches, lr=0.01):
    model.train()
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    steps = len(batches)
    decay = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1.0, 3.0 * (1.02 - step / steps)))
    losses = []
    for *inputs, y in batches:
        loss = criterion(model(*inputs).transpose(1, 2), y)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        decay.step()
        losses.append(loss.detach())
    return torch.stack(losses).tolist()


# %% nbgrader={"grade_id": "variable-code", "solution": true}
class VariableDelayGRUMemory(nn.Module):
    def __init__(self, hidden_size, max_delay):
        super().__init__()
        self.max_delay = max_delay
        self.rnn = nn.LSTM(N + 1 + max_delay + 1, hidden_size, batch_first=True)
        self.out = nn.Linear(hidden_size, N + 1)

    def forward(self, x, delays):
        one_hot = torch.zeros(*x.shape, N + 1 + self.max_delay + 1)
        one_hot.scatter_(2, x[:, :, None], 1.0)
        one_hot[torch.arange(len(x)), :, N + 1 + delays] = 1.0
        return self.out(self.rnn(one_hot)[0])

    def test_run(self, s, delay):
        with torch.no_grad():
            logits = self(torch.tensor([[SYMBOLS.index(letter) for letter in s]]), torch.tensor([delay]))
        return "".join(SYMBOLS[k] for k in logits[0].argmax(1))


# %% nbgrader={"grade_id": "recurrence-loop-code", "solution": true}
def linear_recurrence_loop(a, b):
    h, states = 0, []
    for gate, new in zip(a.transpose(0, 1), b.transpose(0, 1), strict=True):
        h = torch.addcmul(new, gate, torch.as_tensor(h).to(new))
        states += [h]
    return torch.stack(states).transpose(0, 1)


# %% nbgrader={"grade_id": "recurrence-scan-code", "solution": true}
def linear_recurrence_scan(a, b):
    """Each step as a matrix that acts on (h, 1); a scan over products of matrices."""
    rows = torch.stack([a, b], -1), torch.stack([torch.zeros_like(a), torch.ones_like(a)], -1)
    maps = torch.stack(rows, -2)  # (B, T, n, 2, 2)
    step = 1
    while step < maps.shape[1]:
        maps = torch.cat([maps[:, :step], maps[:, step:] @ maps[:, :-step]], 1)
        step += step
    return maps[..., 0, 1]
