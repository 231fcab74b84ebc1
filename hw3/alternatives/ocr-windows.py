# Every window cut out and read alone, with padding; a last layer that begins with zeros; float64 inside.
# ruff: noqa: F821 (the other names are those of the notebook)

# %% nbgrader={"grade_id": "net-code", "solution": true}
class SimpleNet(nn.Module):
    def __init__(self, hidden=96, step=4, width=18):
        super().__init__()
        self.window = width, step
        self.first = nn.Sequential(nn.Conv2d(1, 8, 5, stride=2, padding=2), nn.BatchNorm2d(8), nn.ReLU())
        self.second = nn.Sequential(nn.Conv2d(8, 16, 3, stride=2, padding=1), nn.BatchNorm2d(16), nn.ReLU())
        self.inner = nn.Linear(16 * 8 * 5, hidden)
        self.outer = nn.Linear(hidden, 27)
        nn.init.zeros_(self.outer.weight)

    def forward(self, x):
        patches = x.squeeze(1).unfold(2, *self.window).transpose(1, 2)  # (B, L, 32, 18)
        alone = self.second(self.first(patches.flatten(0, 1).unsqueeze(1)))
        return self.outer(self.inner(alone.flatten(1)).relu()).mul(-1.0).unflatten(0, patches.shape[:2])


# %% nbgrader={"grade_id": "letters-code", "solution": true}
def train_letters(model, loader, epochs, lr=0.01):
    optimizer, losses = torch.optim.Adam(model.parameters(), lr), []
    decay = torch.optim.lr_scheduler.PolynomialLR(optimizer, epochs * len(loader))
    for images, labels in itertools.chain.from_iterable(itertools.repeat(loader, epochs)):
        model.train().zero_grad()
        p = (-model(images)).squeeze(1).softmax(1).gather(1, labels[:, None])
        loss = -p.clamp(min=1e-30).log().mean()
        loss.backward()
        losses.append(loss.item())
        optimizer.step()
        decay.step()
    return losses


# %% nbgrader={"grade_id": "transform-code", "solution": true}
def transform_word(word):
    return torch.tensor([BETWEEN if letter == " " else ord(letter) - 97 for letter in " ".join(word) + " "])


# %% nbgrader={"grade_id": "path-matrix-code", "solution": true}
def build_path_matrix(energies, targets):
    return torch.vmap(lambda e, t: e[:, t])(energies, targets)


# %% nbgrader={"grade_id": "ce-matrix-code", "solution": true}
def build_ce_matrix(energies, targets):
    e = energies.double()
    shifted = e - e.amin(2, keepdim=True)
    return torch.vmap(lambda e, t: e[:, t])(shifted + (-shifted).exp().sum(2, keepdim=True).log(), targets).float()


# %% nbgrader={"grade_id": "path-energy-code", "solution": true}
def path_energy(pm, path):
    L, T = pm.size()
    z = list(map(int, path))
    steps = {b - a for a, b in itertools.pairwise(z)}
    fine = len(z) == L and z[0] == 0 and z[-1] == T - 1 and steps <= {0, 1}
    return np.float64(np.asarray(pm)[range(L), z].sum()) if fine else np.float64(INFINITE)


# %% nbgrader={"grade_id": "find-path-code", "solution": true}
def find_path(pm):
    B, L, T = pm.shape
    P = pm.detach().double()
    allowed = torch.arange(L)[:, None] >= torch.arange(T)
    rows = [torch.where(allowed[0], P[:, 0], torch.inf)]
    for i in range(1, L):
        pair = torch.stack((rows[-1], rows[-1].roll(1, 1)))
        pair[1, :, 0] = torch.inf
        rows.append(pair.amin(0) + P[:, i])
    dp = torch.stack(rows, 1)
    z = [torch.full((B, 1), T - 1)]
    for row in rows[-2::-1]:
        here = row.gather(1, z[0])
        there = row.gather(1, (z[0] - 1).clamp(min=0))
        z.insert(0, torch.where((there <= here) & (z[0] > 0), z[0] - 1, z[0]))
    return dp[:, -1, -1].float(), torch.hstack(z), dp.float()


# %% nbgrader={"grade_id": "path-ce-code", "solution": true}
def path_cross_entropy(ce, path):
    B, L = path.shape
    return ce[torch.arange(B).unsqueeze(1), torch.arange(L), path].sum(dim=-1)


# %% nbgrader={"grade_id": "strings-code", "solution": true}
def indices_to_str(indices):
    text = "".join(SYMBOLS[int(k)] for k in indices)
    for symbol in SYMBOLS:
        while symbol * 2 in text:
            text = text.replace(symbol * 2, symbol)
    return text.replace("_", "")


# %% nbgrader={"grade_id": "decode-code", "solution": true}
def decode(model, image):
    E = energies_of(model, image.reshape(1, *image.shape)).squeeze(0).double()
    follow = torch.eye(27, dtype=torch.bool)
    follow[BETWEEN] = follow[:, BETWEEN] = True
    wall = torch.where(follow, 0.0, torch.inf).double()
    ahead = torch.full((27,), torch.inf).double()  # what the rest will cost, from the last window to the first one
    ahead[BETWEEN] = 0.0
    plans = []
    for energy in E[1:].flip(0):
        ahead, plan = (wall + energy + ahead).min(1) if plans else (wall + (energy + ahead)).min(1)
        plans.append(plan)
    symbol = int((E[0] + ahead)[:26].argmin())
    said = [symbol]
    for plan in reversed(plans):
        symbol = int(plan[symbol])
        said.append(symbol)
    return indices_to_str(said)


# %% nbgrader={"grade_id": "ctc-prediction-code", "solution": true}
ctc_prediction = "B"


# %% nbgrader={"grade_id": "soft-code", "solution": true}
def soft_free_energy(pm, beta):
    B, _, T = pm.shape
    logits = -beta * pm.double()
    wall = torch.full((B, T), -1e30).double()
    log_sum = torch.cat([logits[:, 0, :1], wall[:, 1:]], 1)
    for row in logits.unbind(1)[1:]:
        log_sum = torch.logaddexp(log_sum, torch.cat([wall[:, :1], log_sum[:, :-1]], 1)) + row
    return (-log_sum[:, -1] / beta).float()
