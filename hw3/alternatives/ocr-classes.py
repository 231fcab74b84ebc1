# Classes and helpers, some of them with names that the notebook's own cells use as well.
# ruff: noqa: F821 (the other names are those of the notebook)

# %% nbgrader={"grade_id": "net-code", "solution": true}
def block(*arguments, **more):
    return nn.Sequential(nn.Conv2d(*arguments, **more), nn.BatchNorm2d(arguments[1]), nn.SiLU())


class SimpleNet(nn.Module):
    """Columns first: the rows are folded into channels by one high kernel."""

    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([block(1, 32, (32, 4), stride=(1, 2)), block(32, 48, (1, 4), stride=(1, 2))])
        self.last = block(48, 64, (1, 3))
        self.energy = nn.Conv2d(64, 27, 1, bias=False)

    def forward(self, x):
        for layer in self.layers:
            x = layer(x)
        return torch.einsum("bkhl->blk", self.energy(self.last(x)))


# %% nbgrader={"grade_id": "letters-code", "solution": true}
class Table:
    """A loop of training: one step for each batch, and a list of what each step says."""

    def __init__(self, model, loader, epochs, lr):
        self.model, self.batches = model.train(), [loader] * epochs
        self.optimizer = torch.optim.AdamW(model.parameters(), lr=lr)
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(self.optimizer, lr, total_steps=epochs * len(loader))

    def run(self, loss_of):
        said = []
        for loader in self.batches:
            for images, labels in loader:
                self.optimizer.zero_grad()
                loss, *more = loss_of(self.model(images), labels)
                loss.backward()
                self.optimizer.step()
                self.schedule.step()
                said.append([float(value.detach()) for value in (loss, *more)])
        return [list(values) for values in zip(*said, strict=True)]


def right(energies, labels):
    return (functional.nll_loss((-energies).log_softmax(-1).flatten(0, 1), labels),)


def train_letters(model, loader, epochs, lr=0.01):
    (losses,) = Table(model, loader, epochs, lr).run(right)
    return losses


letters_table = Table  # the name is used again below


# %% nbgrader={"grade_id": "transform-code", "solution": true}
def word(letter):
    return [SYMBOLS.index(letter), SYMBOLS.index("_")]


def transform_word(text):
    return torch.tensor(list(map(word, text))).reshape(-1)


# %% nbgrader={"grade_id": "path-matrix-code", "solution": true}
def found(values, targets):
    return torch.take_along_dim(values, targets.unsqueeze(1), dim=2)


def build_path_matrix(energies, targets):
    return found(energies, targets)


# %% nbgrader={"grade_id": "ce-matrix-code", "solution": true}
def large(energies):
    return energies.neg().logsumexp(dim=-1, keepdim=True)


def build_ce_matrix(energies, targets):
    return found(energies + large(energies), targets)


# %% nbgrader={"grade_id": "path-energy-code", "solution": true}
def reason(path, L, T):
    yield len(path) == L
    yield path[0] == 0 and path[-1] == T - 1
    yield from (step in (0, 1) for step in np.diff(path))


def path_energy(pm, path):
    path = np.array([int(j) for j in path])
    return (
        sum(row[j] for row, j in zip(pm, path, strict=True))
        if all(reason(path, *pm.shape))
        else torch.tensor([INFINITE])
    )


# %% nbgrader={"grade_id": "find-path-code", "solution": true}
class best:
    """The rows of the programme, and the choices that led to them."""

    def __init__(self, pm):
        self.rows, self.choices = [torch.full_like(pm[:, 0], INFINITE)], []
        self.rows[0][:, 0] = pm[:, 0, 0]
        for energy in pm.unbind(1)[1:]:
            self.step(energy)

    def step(self, energy):
        stay = self.rows[-1]
        move = functional.pad(stay, (1, -1), value=INFINITE)
        self.choices.append(move.le(stay) & move.lt(INFINITE / 2))
        self.rows.append(torch.min(stay, move).add(energy))

    def path(self):
        z = [torch.full_like(self.rows[0][:, 0], self.rows[0].shape[1] - 1).long()]
        for choice in self.choices[::-1]:
            z.append((z[-1] - choice.gather(1, z[-1][:, None])[:, 0].long()).clamp_min(0))
        return torch.stack(z[::-1], dim=-1)


def find_path(pm):
    with torch.no_grad():
        programme = best(pm)
        return [programme.rows[-1][:, -1], programme.path(), torch.stack(programme.rows, dim=1)]


# %% nbgrader={"grade_id": "path-ce-code", "solution": true}
class sums(nn.Module):
    def forward(self, ce, path):
        return ce.gather(-1, path[..., None])[..., 0].sum(-1)


path_cross_entropy = sums()


# %% nbgrader={"grade_id": "train-code", "solution": true}
def start(energies, targets):
    free, path, _ = find_path(build_path_matrix(energies, targets))
    return path_cross_entropy(build_ce_matrix(energies, targets), path).div(energies.shape[1]).mean(), free.mean()


def train_ebm_model(model, loader, epochs, lr=0.003):
    return letters_table(model, loader, epochs, lr).run(start)


# %% nbgrader={"grade_id": "decode-code", "solution": true}
def seen(energies):
    """Goes over pairs: the best word that ends in a letter, and the best one that ends in BETWEEN."""
    letters, closed = {k: (energies[0][k], ALPHABET[k]) for k in range(26)}, (np.inf, "")
    for row in energies[1:]:
        ended = min(closed, *letters.values())
        opened = {k: (closed[0], closed[1] + ALPHABET[k]) for k in range(26)}
        letters = {k: min(letters[k], opened[k]) for k in range(26)}
        letters = {k: (cost + row[k], text) for k, (cost, text) in letters.items()}
        closed = ended[0] + row[BETWEEN], ended[1]
    return closed[1]


def decode(model, image):
    return seen(energies_of(model, image[np.newaxis])[0].double().numpy())


# %% nbgrader={"grade_id": "ctc-prediction-code", "solution": true}
ctc_prediction = "C"


# %% nbgrader={"grade_id": "infonce-code", "solution": true}
class InfoNCE:
    """Leaves the derivatives to autograd."""

    def __call__(self, F_pos, F_neg, beta):
        energies = torch.cat([F_pos.unsqueeze(1), F_neg], dim=1).detach().requires_grad_()
        right = torch.zeros(len(energies), dtype=torch.int64)
        losses = functional.cross_entropy(-beta * energies, right, reduction="none") / beta
        (slopes,) = torch.autograd.grad(losses.sum(), energies)
        return losses.detach(), slopes[:, 0], slopes[:, 1:]


infonce = InfoNCE()


# %% nbgrader={"grade_id": "variance-code", "solution": true}
class VarianceTerm(nn.Module):
    def forward(self, z, gamma=1.0, eps=1e-4):
        variances = torch.cov(z.T).reshape(z.shape[1], z.shape[1]).diagonal()
        return torch.relu(gamma - (variances + eps).sqrt()).mean(dim=0, keepdim=True)


variance_term = VarianceTerm()
