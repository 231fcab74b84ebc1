# Loops, Python lists and numpy; helpers with names of locked cells; a head that begins with zeros; some dropout.
# ruff: noqa: F821 (the other names are those of the notebook)

# %% nbgrader={"grade_id": "echo-data-code", "solution": true}
import numpy as np


def echo(letters, delay):
    y = []
    for t in range(len(letters)):
        if t < delay:
            y.append(0)
        else:
            y.append(int(letters[t - delay]))
    return y


class EchoDataset(Dataset):
    def __init__(self, delay, seq_length, size):
        rng = np.random.default_rng()
        self.words = [rng.integers(1, N + 1, seq_length) for _ in range(size)]
        self.delay = delay

    def __len__(self):
        n = 0
        for _ in self.words:
            n += 1
        return n

    def __getitem__(self, i):
        return [torch.tensor(self.words[i].tolist()), torch.tensor(echo(self.words[i], self.delay))]


# %% nbgrader={"grade_id": "memory-code", "solution": true}
def one_hot(x, size):
    return functional.one_hot(x, size).to(torch.float32)


class GRUMemory(nn.Module):
    def __init__(self, hidden_size, dropout=0.02):
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(hidden_size, N + 1)
        nn.init.zeros_(self.fc.weight)
        self.rnn = nn.GRU(input_size=N + 1, hidden_size=hidden_size, num_layers=1, batch_first=True)

    def forward(self, x):
        h0 = torch.zeros(1, x.shape[0], self.rnn.hidden_size)
        output, _ = self.rnn(one_hot(x, N + 1), h0)
        return self.fc(self.dropout(output))

    def test_run(self, s):
        was = self.training
        self.eval()
        numbers = []
        for letter in s:
            numbers.append(SYMBOLS.index(letter))
        logits = self.forward(torch.tensor(numbers).reshape(1, len(s))).detach().numpy()
        answer = ""
        for t in range(len(s)):
            answer = answer + SYMBOLS[int(np.argmax(logits[0, t]))]
        self.train(was)
        return answer


# %% nbgrader={"grade_id": "train-code", "solution": true}
def train(model, batches, lr=0.01, betas=(0.9, 0.99)):
    loss_function = nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=lr, betas=betas)
    losses = []
    for batch in batches:
        y = batch[-1]
        logits = model(*batch[:-1])
        B, L, K = logits.shape
        loss = loss_function(logits.reshape(B * L, K), y.reshape(B * L))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss))
    return losses


# %% nbgrader={"grade_id": "recurrence-loop-code", "solution": true}
def linear_recurrence_loop(a, b):
    h = torch.zeros_like(b)
    previous = torch.zeros(b.shape[0], b.shape[2])
    for t in range(b.shape[1]):
        previous = a[:, t, :] * previous + b[:, t, :]
        h[:, t, :] = previous
    return h


# %% nbgrader={"grade_id": "recurrence-scan-code", "solution": true}
def linear_recurrence_scan(a, b):
    T = a.shape[1]
    step = 1
    while step < T:
        a_new = a[:, step:] * a[:, : T - step]
        b_new = a[:, step:] * b[:, : T - step] + b[:, step:]
        a = torch.cat([a[:, :step], a_new], dim=1)
        b = torch.cat([b[:, :step], b_new], dim=1)
        step = step * 2
    return b
