# A letter and its delay are one name in one table; test_run comes from a class that both networks share.
# ruff: noqa: F821 (the other names are those of the notebook)

# %% nbgrader={"grade_id": "echo-data-code", "solution": true}
class EchoDataset(Dataset):
    def __init__(self, delay, seq_length, size):
        x = (torch.rand(size, seq_length) * N).long().clamp(max=N - 1) + 1
        y = torch.zeros_like(x)
        if delay < seq_length:
            y[:, delay:] = x[:, : seq_length - delay]
        self.items = torch.stack([x, y], 1)

    def __len__(self):
        return self.items.size(0)

    def __getitem__(self, i):
        return self.items[i].unbind(0)


# %% nbgrader={"grade_id": "memory-code", "solution": true}
class Letters:
    @staticmethod
    def numbers(s):
        return torch.tensor([[" abcdefghijklmnopqrstuvwxyz".find(c) for c in s]])

    def test_run(self, s, *delay):
        with torch.no_grad():
            row = self(self.numbers(s), *(torch.tensor([d]) for d in delay)).squeeze(0)
        return "".join(chr(96 + k) if k else " " for k in row.max(-1)[1].tolist())


class GRUMemory(Letters, nn.Module):
    def __init__(self, hidden_size):
        nn.Module.__init__(self)
        self.table = nn.Parameter(torch.eye(N + 1))
        self.first = nn.GRU(N + 1, hidden_size, batch_first=True)
        self.last = nn.Sequential(nn.LayerNorm(hidden_size), nn.Linear(hidden_size, N + 1))

    def forward(self, x):
        return self.last(self.first(self.table[x])[0])


# %% nbgrader={"grade_id": "variable-code", "solution": true}
class VariableDelayGRUMemory(Letters, nn.Module):
    def __init__(self, hidden_size, max_delay):
        super().__init__()
        self.table = nn.Embedding((N + 1) * (max_delay + 1), 64)
        self.gru = nn.GRU(64, hidden_size, batch_first=True)
        self.out = nn.Linear(hidden_size, N + 1)

    def forward(self, x, delays):
        states, _ = self.gru(self.table(x + (N + 1) * delays.unsqueeze(-1)))
        return self.out(states)


# %% nbgrader={"grade_id": "recurrence-loop-code", "solution": true}
from itertools import accumulate


def linear_recurrence_loop(a, b):
    pairs = accumulate(zip(a.unbind(1), b.unbind(1), strict=True), lambda h, now: (None, now[0] * h[1] + now[1]))
    return torch.stack([h for _, h in pairs], 1)


# %% nbgrader={"grade_id": "recurrence-scan-code", "solution": true}
def linear_recurrence_scan(a, b):
    """Two neighbours become one step; the states of these are the odd ones, and the even ones follow from them."""
    T = a.shape[1]
    if T == 1:
        return b.clone()
    whole = T // 2 * 2
    a0, a1, b0, b1 = a[:, 0:whole:2], a[:, 1:whole:2], b[:, 0:whole:2], b[:, 1:whole:2]
    odd = linear_recurrence_scan(a1 * a0, a1 * b0 + b1)  # (B, T // 2, n)
    before = torch.cat([torch.zeros_like(b[:, :1]), odd], 1)[:, : (T + 1) // 2]
    even = a[:, ::2] * before + b[:, ::2]
    h = torch.stack([even[:, : T // 2], odd], 2).flatten(1, 2)
    return torch.cat([h, even[:, -1:]], 1) if T % 2 else h
