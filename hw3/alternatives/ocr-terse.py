# As short as it can be: functional, in closed forms, with defaults of its own.
# ruff: noqa: F821 (the other names are those of the notebook)

# %% nbgrader={"grade_id": "letters-code", "solution": true}
def train_letters(model, loader, epochs, lr=0.01, verbose=False, progress=None):
    model.train()
    adam = torch.optim.NAdam(model.parameters(), lr=lr)
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(adam, T_max=epochs * len(loader))

    def step(x, y):
        adam.zero_grad()
        loss = functional.cross_entropy(model(x).neg().transpose(1, 2), y[:, None])
        loss.backward()
        adam.step()
        cosine.step()
        return loss.item()

    return [step(x, y) for _ in range(epochs) for x, y in loader]


# %% nbgrader={"grade_id": "transform-code", "solution": true}
def transform_word(word):
    return functional.pad(torch.tensor([[ALPHABET.find(c)] for c in word]), (0, 1), value=BETWEEN).view(-1)


# %% nbgrader={"grade_id": "path-matrix-code", "solution": true}
def build_path_matrix(energies, targets):
    return torch.einsum("blk,btk->blt", energies, torch.eye(27).to(energies)[targets])


# %% nbgrader={"grade_id": "ce-matrix-code", "solution": true}
def build_ce_matrix(energies, targets):
    return (-energies).log_softmax(-1).neg().gather(-1, targets.unsqueeze(1).expand(-1, energies.size(1), -1))


# %% nbgrader={"grade_id": "path-energy-code", "solution": true}
def path_energy(pm, path):
    z, (L, T) = np.asarray(path, dtype=int), pm.shape
    staircase = z.size == L and np.array_equal(np.unique(z), np.arange(T)) and (np.diff(z) >= 0).all()
    return pm[range(L), z].sum() if staircase else INFINITE


# %% nbgrader={"grade_id": "find-path-code", "solution": true}
def find_path(pm, infinity=1e30):
    B, L, T = pm.shape
    dp = [functional.pad(pm[:, 0, :1].detach(), (0, T - 1), value=infinity)]
    for i in range(1, L):
        dp.append(torch.minimum(dp[-1], functional.pad(dp[-1], (1, 0), value=infinity)[:, :T]) + pm[:, i].detach())
    z = [torch.full((B,), T - 1)]
    for i in range(L - 2, -1, -1):
        two = torch.stack([dp[i][range(B), (z[-1] - 1).clamp(0)], dp[i][range(B), z[-1]]])
        z.append((z[-1] - 1 + two.argmin(0)).clamp(0))
    return dp[-1][:, -1], torch.stack(z[::-1], 1), torch.stack(dp, 1)


# %% nbgrader={"grade_id": "path-ce-code", "solution": true}
def path_cross_entropy(ce, path):
    return (ce * (torch.arange(ce.size(2)) == path[:, :, None])).sum(dim=(1, 2))


# %% nbgrader={"grade_id": "strings-code", "solution": true}
def indices_to_str(indices):
    return "".join(ALPHABET[b] for a, b in itertools.pairwise([-1, *map(int, indices)]) if BETWEEN != b != a)


# %% nbgrader={"grade_id": "decode-code", "solution": true}
def decode(model, image, beam=10**9):
    best = {}
    for i, row in enumerate(energies_of(model, image[None])[0].tolist()):
        if i == 0:
            best = {k: (row[k], (k,)) for k in range(26)}
            continue
        any_end = min(best.values())
        free = best.get(BETWEEN, (float("inf"), ()))
        best = {k: (x[0] + row[k], (*x[1], k)) for k in range(26) for x in [min(best[k], free)]} | {
            BETWEEN: (any_end[0] + row[BETWEEN], (*any_end[1], BETWEEN))
        }
    return indices_to_str(best[BETWEEN][1])


# %% nbgrader={"grade_id": "infonce-code", "solution": true}
def infonce(F_pos, F_neg, beta):
    gaps = functional.pad(F_neg - F_pos[:, None], (1, 0))
    p = gaps.mul(-beta).softmax(-1)
    return gaps.mul(-beta).logsumexp(-1) / beta, p[:, 1:].sum(-1), p[:, 1:].neg()


# %% nbgrader={"grade_id": "variance-code", "solution": true}
def variance_term(z, gamma=1.0, eps=1e-4):
    return functional.relu(gamma - z.var(0).add(eps).pow(0.5)).mean()
