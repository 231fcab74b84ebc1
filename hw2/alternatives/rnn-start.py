# Items drawn as they are asked for, with a seed each; the delay as the initial state and beside the letters.
# ruff: noqa: F821 (the other names are those of the notebook)

# %% nbgrader={"grade_id": "echo-data-code", "solution": true}
class EchoDataset(Dataset):
    def __init__(self, delay, seq_length, size):
        self.delay, self.L = delay, seq_length
        self.seeds = torch.randint(2**40, (size,))

    def __len__(self):
        return self.seeds.numel()

    def __getitem__(self, i):
        dice = torch.Generator().manual_seed(self.seeds[i].item())
        both = torch.zeros(self.delay + self.L, dtype=torch.long)
        both[self.delay :] = torch.randint(N, (self.L,), generator=dice) + 1
        return both[self.delay :], both[: self.L]


# %% nbgrader={"grade_id": "memory-code", "solution": true}
def say(logits):
    return "".join(map(SYMBOLS.__getitem__, logits.argmax(-1).reshape(-1).tolist()))


class GRUMemory(nn.Module):
    def __init__(self, hidden_size):
        super().__init__()
        self.letters = nn.Embedding.from_pretrained(torch.eye(N + 1), freeze=True)
        self.units = nn.GRU(N + 1, hidden_size, batch_first=True)
        self.logits = nn.Linear(hidden_size, N + 1, bias=False)

    def forward(self, x):
        return torch.einsum("blh,kh->blk", self.units(self.letters(x))[0], self.logits.weight).double()

    @torch.inference_mode()
    def test_run(self, s):
        return say(self(torch.as_tensor([ord(c) - 96 for c in s]).unsqueeze(0)))


# %% nbgrader={"grade_id": "train-code", "solution": true}
def train(model, batches, lr=0.01, *, device="cpu"):
    opt = torch.optim.Adam(params=model.parameters(), lr=lr)

    def one(*inputs, y):
        opt.zero_grad(set_to_none=True)
        loss = functional.nll_loss(model(*inputs).log_softmax(-1).permute(0, 2, 1), y)
        loss.backward()
        opt.step()
        return loss.item()

    return [one(*batch[:-1], y=batch[-1]) for batch in batches]


# %% nbgrader={"grade_id": "variable-code", "solution": true}
class VariableDelayGRUMemory(nn.Module):
    def __init__(self, hidden_size, max_delay):
        super().__init__()
        self.start = nn.Parameter(torch.randn(max_delay + 1, hidden_size) / 3)
        self.beside = nn.Embedding(max_delay + 1, N + 1)
        self.units = nn.GRU(2 * (N + 1), hidden_size)
        self.logits = nn.Linear(hidden_size, N + 1)

    def forward(self, x, delays):
        wait = self.beside(delays).expand(x.shape[1], -1, -1)  # (L, B, N + 1)
        letters = functional.one_hot(x.t(), N + 1).to(wait)
        states, _ = self.units(torch.cat((letters, wait), dim=-1), self.start[delays].unsqueeze(0))
        return self.logits(states).transpose(0, 1)

    def test_run(self, s, delay):
        self.eval()
        return say(self(torch.as_tensor([[ord(c) - 96 for c in s]]), delays=torch.as_tensor([delay])))


# %% nbgrader={"grade_id": "longer-prediction-code", "solution": true}
longer_prediction = "A"


# %% nbgrader={"grade_id": "recurrence-scan-code", "solution": true}
def linear_recurrence_scan(a, b):
    """Up a tree of sums of two, and down again, as Blelloch does it."""
    B, T, n = b.shape
    if T == 1:
        return b

    def combine(first, second):
        return first[0] * second[0], second[0] * first[1] + second[1]

    size = 1 << (T - 1).bit_length()
    level = tuple(functional.pad(x, (0, 0, 0, size - T)) for x in (a, b))
    levels = [level]
    while level[0].shape[1] > 1:
        level = combine(*(tuple(x[:, k::2] for x in level) for k in (0, 1)))
        levels.append(level)
    before = torch.ones(B, 1, n), torch.zeros(B, 1, n)  # what comes before each node of a level
    for level in reversed(levels[:-1]):
        left = tuple(x[:, ::2] for x in level)
        right = combine(before, left)
        before = tuple(torch.stack(pair, 2).flatten(1, 2) for pair in zip(before, right, strict=True))
    return combine(before, levels[0])[1][:, :T]
