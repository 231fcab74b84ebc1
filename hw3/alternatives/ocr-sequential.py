# A plain nn.Sequential trained by SGD with momentum; the path as differences of boundaries; reading letter by letter.
# ruff: noqa: F821 (the other names are those of the notebook)

# %% nbgrader={"grade_id": "net-code", "solution": true}
class SimpleNet(nn.Sequential):
    def __init__(self):
        def block(*arguments, **more):
            return nn.Conv2d(*arguments, **more), nn.BatchNorm2d(arguments[1]), nn.LeakyReLU(0.1)

        super().__init__(
            *block(1, 16, (3, 3), padding=(1, 0)),  # 18 columns become 16
            *block(16, 16, (4, 2), stride=2, padding=(1, 0)),  # 8
            *block(16, 32, (4, 2), stride=2, padding=(1, 0)),  # 4
            *block(32, 48, (8, 4)),  # 1
            nn.Conv2d(48, 27, 1),
        )

    def forward(self, x):
        return super().forward(x).flatten(2).permute(0, 2, 1)


# %% nbgrader={"grade_id": "letters-code", "solution": true}
def train_letters(model, loader, epochs, lr=0.05):
    optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9, nesterov=True)
    history, criterion = [], nn.CrossEntropyLoss()
    for _ in range(epochs):
        model.train(True)
        for batch in loader:
            loss = criterion(model(batch[0]).squeeze(1).neg(), batch[1])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            history.append(loss.item())
    return history


# %% nbgrader={"grade_id": "transform-code", "solution": true}
def transform_word(word):
    letters = torch.tensor([SYMBOLS.find(letter) for letter in word])
    return torch.stack([letters, torch.full_like(letters, BETWEEN)], dim=1).flatten()


# %% nbgrader={"grade_id": "path-matrix-code", "solution": true}
def build_path_matrix(energies, targets):
    one_hot = functional.one_hot(targets, 27).to(energies.dtype)  # (B, T, 27)
    return energies @ one_hot.transpose(1, 2)


# %% nbgrader={"grade_id": "ce-matrix-code", "solution": true}
def build_ce_matrix(energies, targets):
    L, T = energies.shape[1], targets.shape[1]
    logits = -energies.transpose(1, 2).unsqueeze(3).expand(-1, -1, -1, T)  # (B, 27, L, T)
    return functional.cross_entropy(logits, targets.unsqueeze(1).expand(-1, L, -1), reduction="none")


# %% nbgrader={"grade_id": "path-energy-code", "solution": true}
def path_energy(pm, path):
    path = torch.as_tensor(path)
    if path.shape != pm.shape[:1]:
        return torch.tensor(INFINITE)
    ends = path[[0, -1]].tolist() == [0, pm.shape[1] - 1]
    if not ends or not set(path.diff().tolist()) <= {0, 1}:
        return torch.tensor(INFINITE)
    return pm.gather(1, path[:, None]).sum()


# %% nbgrader={"grade_id": "find-path-code", "solution": true}
@torch.no_grad()
def find_path(pm):
    B, L, T = pm.shape
    wall = pm.new_full((B, 1), INFINITE)
    rows = [torch.cat([pm[:, 0, :1], wall.expand(-1, T - 1)], 1)]
    choices = []
    for i in range(1, L):
        both = torch.stack([rows[-1], torch.cat([wall, rows[-1][:, :-1]], 1)])  # (2, B, T)
        best, choice = both.min(0)
        rows.append((best + pm[:, i]).where(best < INFINITE / 2, wall))
        choices.append(choice)
    column = torch.full((B, 1), T - 1)
    columns = [column]
    for choice in choices[::-1]:
        column = (column - choice.gather(1, column)).clamp(min=0)
        columns.insert(0, column)
    return rows[-1][:, -1].clone(), torch.cat(columns, 1), torch.stack(rows, 1)


# %% nbgrader={"grade_id": "path-ce-code", "solution": true}
def path_cross_entropy(ce, path):
    return torch.take_along_dim(ce, path.unsqueeze(-1), dim=-1).squeeze(-1).sum(-1)


# %% nbgrader={"grade_id": "train-code", "solution": true}
def train_ebm_model(model, loader, epochs, lr=0.02):
    optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, total_iters=epochs * len(loader))
    numbers = []
    for _ in range(epochs):
        model.train()
        for images, targets in loader:
            energies = model(images)
            free, path, _ = find_path(build_path_matrix(energies.detach(), targets))
            loss = (path_cross_entropy(build_ce_matrix(energies, targets), path) / energies.size(1)).mean()
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 5.0)
            optimizer.step()
            schedule.step()
            numbers.append((float(loss), float(free.mean())))
    losses, free_energies = map(list, zip(*numbers, strict=True))
    return losses, free_energies


# %% nbgrader={"grade_id": "strings-code", "solution": true}
def indices_to_str(indices):
    symbols = torch.as_tensor(indices)
    return "".join(SYMBOLS[k] for k in torch.unique_consecutive(symbols)).replace("_", "")


# %% nbgrader={"grade_id": "decode-code", "solution": true}
def decode(model, image):
    energies = energies_of(model, image.unsqueeze(0)).squeeze(0)
    # A hypothesis is (energy, symbols); of all that end in the same symbol only the best one can still win.
    best = {k: (energies[0, k].item(), (k,)) for k in range(26)}
    for energy in energies[1:].tolist():
        following = {}
        for last, (total, symbols) in best.items():
            for k in range(27) if last == BETWEEN else (last, BETWEEN):
                candidate = (total + energy[k], (*symbols, k))
                following[k] = min(following.get(k, candidate), candidate)
        best = following
    return indices_to_str(best[BETWEEN][1])
