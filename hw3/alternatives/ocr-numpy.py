# Max pooling in place of strides and no batch norm, NumPy for what needs no gradient, advanced indexing for the rest.
# ruff: noqa: F821 (the other names are those of the notebook)

# %% nbgrader={"grade_id": "net-code", "solution": true}
class SimpleNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, 3, padding=(1, 0))
        self.conv2 = nn.Conv2d(16, 32, 3, padding=(1, 0))
        self.conv3 = nn.Conv2d(32, 64, (8, 3))
        self.norm = nn.BatchNorm2d(32)
        self.head = nn.Linear(64, 27)

    def forward(self, x):
        x = functional.max_pool2d(self.conv1(x).relu(), 2)
        x = functional.max_pool2d(self.norm(self.conv2(x)).relu(), 2)
        x = self.conv3(x)[:, :, 0].relu()  # (B, 64, L)
        return -self.head(x.movedim(1, 2))


# %% nbgrader={"grade_id": "letters-code", "solution": true}
def train_letters(model, loader, epochs, lr=0.005):
    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=0.0)
    losses = []
    for _ in range(epochs):
        for images, labels in loader:
            optimizer.zero_grad(set_to_none=True)
            energies = model(images).flatten(1)
            loss = (energies[torch.arange(len(labels)), labels] + torch.logsumexp(-energies, 1)).mean()
            loss.backward()
            optimizer.step()
            losses += [float(loss)]
    return losses


# %% nbgrader={"grade_id": "transform-code", "solution": true}
def transform_word(word):
    targets = torch.full((2 * len(word),), BETWEEN, dtype=torch.long)
    targets[::2] = torch.tensor([ord(letter) - ord("a") for letter in word])
    return targets


# %% nbgrader={"grade_id": "path-matrix-code", "solution": true}
def build_path_matrix(energies, targets):
    B, L, _ = energies.shape
    return energies[torch.arange(B)[:, None, None], torch.arange(L)[None, :, None], targets[:, None, :]]


# %% nbgrader={"grade_id": "ce-matrix-code", "solution": true}
def build_ce_matrix(energies, targets):
    return build_path_matrix(energies, targets) + torch.logsumexp(-energies, dim=2, keepdim=True)


# %% nbgrader={"grade_id": "path-energy-code", "solution": true}
def path_energy(pm, path):
    path = [int(j) for j in path]
    L, T = len(pm), len(pm[0])
    allowed = len(path) == L and path[0] == 0 and path[-1] == T - 1
    for now, then in itertools.pairwise(path):
        allowed = allowed and then - now in (0, 1)
    return sum(float(pm[i][j]) for i, j in enumerate(path)) if allowed else 2**30


# %% nbgrader={"grade_id": "find-path-code", "solution": true}
def find_path(pm):
    matrix = pm.detach().numpy().astype(np.float64)
    B, L, T = matrix.shape
    dp = np.full((B, L, T), INFINITE)
    dp[:, 0, 0] = matrix[:, 0, 0]
    for i in range(1, L):
        dp[:, i] = dp[:, i - 1]
        dp[:, i, 1:] = np.minimum(dp[:, i, 1:], dp[:, i - 1, :-1])
        dp[:, i] = np.where(np.arange(T) <= i, dp[:, i] + matrix[:, i], INFINITE)
    paths = np.empty((B, L), dtype=np.int64)
    paths[:, -1] = T - 1
    for i in range(L - 2, -1, -1):
        j = paths[:, i + 1]
        left = np.maximum(j - 1, 0)
        paths[:, i] = np.where(dp[np.arange(B), i, left] <= dp[np.arange(B), i, j], left, j)
    dp = torch.from_numpy(dp).to(pm.dtype)
    return dp[:, L - 1, T - 1].clone(), torch.from_numpy(paths), dp


# %% nbgrader={"grade_id": "path-ce-code", "solution": true}
def path_cross_entropy(ce, path):
    on_path = functional.one_hot(path, ce.shape[2]).to(ce.dtype)
    return torch.einsum("blt,blt->b", ce, on_path)


# %% nbgrader={"grade_id": "train-code", "solution": true}
def train_ebm_model(model, loader, epochs, lr=0.003):
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs * len(loader))
    losses, free_energies = [], []
    for _ in range(epochs):
        model.train()
        for images, targets in loader:
            energies = model(images)
            free, path, _ = find_path(build_path_matrix(energies, targets))
            labels = targets.gather(1, path)  # one for each window
            loss = functional.cross_entropy(-energies.flatten(0, 1), labels.flatten())
            model.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            losses.append(loss.item())
            free_energies.append(free.mean().item())
    return losses, free_energies


# %% nbgrader={"grade_id": "strings-code", "solution": true}
def indices_to_str(indices):
    word, last = "", None
    for symbol in map(int, indices):
        if symbol != last and symbol != BETWEEN:
            word += ALPHABET[symbol]
        last = symbol
    return word


# %% nbgrader={"grade_id": "decode-code", "solution": true}
def decode(model, image):
    mode = model.training
    model.eval()
    with torch.no_grad():
        energies = model(image.unsqueeze(0))[0].numpy()
    model.train(mode)
    letters, between = energies[0, :26].copy(), np.inf  # the least energies of ending in each letter, and in BETWEEN
    read, between_read = list(ALPHABET), ""  # and the words that have these energies
    for energy in energies[1:]:
        best = int(letters.argmin())
        longer = [between_read + letter for letter in ALPHABET]
        closed = read[best] if letters[best] < between else between_read
        read = [new if between < old else same for new, same, old in zip(longer, read, letters, strict=True)]
        letters, between = np.minimum(letters, between) + energy[:26], min(letters[best], between) + energy[26]
        between_read = closed
    return between_read


# %% nbgrader={"grade_id": "infonce-code", "solution": true}
def infonce(F_pos, F_neg, beta):
    pos, neg = F_pos.double().numpy()[:, None], F_neg.double().numpy()
    exponents = -beta * np.hstack([pos, neg])
    log_sum = np.logaddexp.reduce(exponents, axis=1)
    p = np.exp(exponents - log_sum[:, None])
    return pos[:, 0] + log_sum / beta, 1 - p[:, 0], -p[:, 1:]


# %% nbgrader={"grade_id": "variance-code", "solution": true}
def variance_term(z, gamma=1.0, eps=1e-4):
    centred = z - z.mean(dim=0)
    variances = torch.einsum("bd,bd->d", centred, centred) / (z.size(0) - 1)
    return torch.maximum(gamma - torch.sqrt(variances + eps), torch.zeros(z.size(1))).sum() / z.size(1)
