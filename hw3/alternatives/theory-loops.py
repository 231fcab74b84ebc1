# Loops over single entries, numbers from math, formulas as sums with indices.
# ruff: noqa: F821 (the other names are those of the notebook)

# %% nbgrader={"grade_id": "circle-code", "solution": true}
def circle_energy(x, y):
    ### BEGIN SOLUTION
    return torch.tensor([abs(math.hypot(a, b) - 1) for a, b in zip(x.flatten(), y.flatten(), strict=True)])
    ### END SOLUTION


### BEGIN SOLUTION
true_of_energies = ["A", "C", "E"]
### END SOLUTION


# %% nbgrader={"grade_id": "gibbs-density-code", "solution": true}
def gibbs_density(F, dy, beta):
    ### BEGIN SOLUTION
    lowest = float(min(F))
    weights = [math.exp(-beta * (energy - lowest)) for energy in F.tolist()]
    area = sum(weight * dy for weight in weights)
    return torch.tensor([weight / area for weight in weights])
    ### END SOLUTION


def gibbs_variance(a, beta):
    ### BEGIN SOLUTION
    return (a * beta) ** -1
    ### END SOLUTION


# %% nbgrader={"grade_id": "role-code", "solution": true}
### BEGIN SOLUTION
role = dict(zip("ABCDEF", ("loss", "energy", "energy", "loss", "energy", "loss"), strict=True))
### END SOLUTION


### BEGIN SOLUTION
collapsing = "BCF"
way = {}
for word, machines in (("shape", "AD"), ("cost", "BG"), ("wrong answers", "CEF")):
    for machine in machines:
        way[machine] = word
### END SOLUTION


# %% nbgrader={"grade_id": "negatives-code", "solution": true}
def my_loss(F_pos, F_neg):
    ### BEGIN SOLUTION
    return torch.tensor([max(0.0, 3 + float(a) - float(b)) ** 2 for a, b in zip(F_pos, F_neg, strict=True)])
    ### END SOLUTION


def infer(F):
    ### BEGIN SOLUTION
    best = []
    for row in F.tolist():
        best.append(row.index(min(row)))
    return torch.tensor(best)
    ### END SOLUTION


def infer_latent(E):
    ### BEGIN SOLUTION
    answers, latents = [], []
    for pairs in E.tolist():
        lowest = math.inf
        for y, row in enumerate(pairs):
            for z, energy in enumerate(row):
                if energy < lowest:
                    lowest, best = energy, (y, z)
        answers.append(best[0])
        latents.append(best[1])
    return torch.tensor(answers), torch.tensor(latents)
    ### END SOLUTION


# %% nbgrader={"grade_id": "gibbs-code", "solution": true}
def gibbs(F, beta):
    ### BEGIN SOLUTION
    rows = []
    for row in F.tolist():
        weights = [math.exp(beta * (min(row) - energy)) for energy in row]
        rows.append([weight / sum(weights) for weight in weights])
    return torch.tensor(rows)
    ### END SOLUTION


### BEGIN SOLUTION
p_hot, p_cold = torch.full((4,), 0.25), torch.tensor([0.0, 0.5, 0.5, 0.0])
### END SOLUTION


# %% nbgrader={"grade_id": "nll-code", "solution": true}
def free_energy(F, beta):
    ### BEGIN SOLUTION
    values = []
    for row in F.tolist():
        rest = sum(math.exp(-beta * (energy - min(row))) for energy in row)
        values.append(min(row) - math.log(rest) / beta)
    return torch.tensor(values, dtype=F.dtype)
    ### END SOLUTION


def nll(F, y, beta):
    ### BEGIN SOLUTION
    values = []
    for row, right in zip(F.tolist(), y.tolist(), strict=True):
        lowest = min(row)
        values.append(row[right] - lowest + math.log(sum(math.exp(beta * (lowest - f)) for f in row)) / beta)
    return torch.tensor(values)
    ### END SOLUTION


### BEGIN SOLUTION
nll_hot, nll_cold = float("inf"), 3 - min(3, 1, 1, 6)
### END SOLUTION


# %% nbgrader={"grade_id": "nll-gradient-code", "solution": true}
def nll_gradient(F, y, beta):
    ### BEGIN SOLUTION
    p = gibbs(F, beta).tolist()
    return torch.tensor([[(i == int(right)) - q for i, q in enumerate(row)] for row, right in zip(p, y, strict=True)])
    ### END SOLUTION


def nll_weight_gradient(F, J, y, beta):
    ### BEGIN SOLUTION
    gradient = J[int(y[0])].clone()
    for row, p in zip(J, gibbs(F, beta)[0], strict=True):
        gradient -= float(p) * row
    return gradient.reshape(1, -1)
    ### END SOLUTION


# %% nbgrader={"grade_id": "sampling-code", "solution": true}
def sampled_gradient(J_right, J_drawn):
    ### BEGIN SOLUTION
    estimate = J_right.clone()
    for row in J_drawn:
        estimate -= row / len(J_drawn)
    return estimate
    ### END SOLUTION


def langevin_step(y, slope, beta, eta, noise):
    ### BEGIN SOLUTION
    kick = (2 * eta) ** 0.5 / beta**0.5
    return y + (kick * noise - eta * slope)
    ### END SOLUTION


# %% nbgrader={"grade_id": "ends-code", "solution": true}
def best_energies(q, beta):
    ### BEGIN SOLUTION
    largest = max(q.tolist())
    return torch.tensor([math.log(largest / share) / beta if share > 0 else math.inf for share in q.tolist()])
    ### END SOLUTION


def gap_for_push(n, beta, g):
    ### BEGIN SOLUTION
    low, high = -100 / beta, 100 / beta
    for _ in range(200):  # the push falls as the gap grows
        middle = (low + high) / 2
        others = (n - 1) * math.exp(-beta * middle)
        low, high = (middle, high) if others / (1 + others) > g else (low, middle)
    return low
    ### END SOLUTION


### BEGIN SOLUTION
bounded = {"G", "F", "D", "A"}
### END SOLUTION


# %% nbgrader={"grade_id": "corners-code", "solution": true}
def simple_loss(F_pos, F_neg, m):
    ### BEGIN SOLUTION
    loss, d_pos, d_neg = [], [], []
    for a, b in zip(F_pos.tolist(), F_neg.tolist(), strict=True):
        loss.append(max(a, 0.0) + max(m - b, 0.0))
        d_pos.append(1.0 if a > 0 else 0.0)
        d_neg.append(-1.0 if b < m else 0.0)
    return torch.tensor(loss), torch.tensor(d_pos), torch.tensor(d_neg)
    ### END SOLUTION


def hinge_loss(F_pos, F_neg, m):
    ### BEGIN SOLUTION
    loss, d_pos = [], []
    for a, b in zip(F_pos.tolist(), F_neg.tolist(), strict=True):
        loss.append(max(0.0, m + a - b))
        d_pos.append(float(loss[-1] > 0))
    return torch.tensor(loss), torch.tensor(d_pos), -torch.tensor(d_pos)
    ### END SOLUTION


def log_loss(F_pos, F_neg):
    ### BEGIN SOLUTION
    loss, d_pos = [], []
    for a in (F_pos - F_neg).tolist():
        small = math.exp(-abs(a))
        loss.append(max(a, 0.0) + math.log1p(small))
        d_pos.append(1 / (1 + small) if a > 0 else small / (1 + small))
    return torch.tensor(loss), torch.tensor(d_pos), -torch.tensor(d_pos)
    ### END SOLUTION


def square_square_loss(F_pos, F_neg, m):
    ### BEGIN SOLUTION
    pairs = list(zip(F_pos.tolist(), F_neg.tolist(), strict=True))
    loss = [max(a, 0.0) ** 2 + max(m - b, 0.0) ** 2 for a, b in pairs]
    d_pos, d_neg = [2 * max(a, 0.0) for a, _ in pairs], [2 * min(b - m, 0.0) for _, b in pairs]
    return torch.tensor(loss), torch.tensor(d_pos), torch.tensor(d_neg)
    ### END SOLUTION


# %% nbgrader={"grade_id": "margins-code", "solution": true}
def table_hinge_gradient(F, y, m):
    ### BEGIN SOLUTION
    gradient = torch.zeros(F.shape)
    for b, right in enumerate(y.tolist()):
        wrong = [i for i in range(F.shape[1]) if i != right]
        offender = min(wrong, key=lambda i, b=b: float(F[b, i]))
        if F[b, offender] < F[b, right] + m:
            gradient[b, right] += 1
            gradient[b, offender] -= 1
    return gradient
    ### END SOLUTION


def simple_rest(eps, m):
    ### BEGIN SOLUTION
    return min((0.0, m), key=lambda e: (1 - eps) * e + eps * (m - e))
    ### END SOLUTION


def square_square_rest(eps, m):
    ### BEGIN SOLUTION
    return m - (1 - eps) * m
    ### END SOLUTION


### BEGIN SOLUTION
true_of_log = {"E", "A", "D"}
### END SOLUTION


# %% nbgrader={"grade_id": "score-code", "solution": true}
def add_noise(y, sigma, noise):
    ### BEGIN SOLUTION
    rows = []
    for point, level, kicks in zip(y.tolist(), sigma.tolist(), noise.tolist(), strict=True):
        rows.append([value + level * kick for value, kick in zip(point, kicks, strict=True)])
    return rows
    ### END SOLUTION


def denoising_loss(s, sigma, noise):
    ### BEGIN SOLUTION
    losses, gradients = [], []
    for scores, level, kicks in zip(s.tolist(), sigma.tolist(), noise.tolist(), strict=True):
        targets = [-kick / level for kick in kicks]
        misses = [score - target for score, target in zip(scores, targets, strict=True)]
        losses.append(level**2 * sum(miss**2 for miss in misses))
        gradients.append([2 * level**2 * miss for miss in misses])
    return losses, gradients
    ### END SOLUTION


def sampling_step(y, s, sigma, next_sigma, noise):
    ### BEGIN SOLUTION
    moved = torch.empty_like(y)
    for i in range(y.shape[0]):
        for j in range(y.shape[1]):
            clean = y[i, j] + sigma * sigma * s[i, j]
            old = (next_sigma / sigma) ** 2 * (y[i, j] - clean)
            fresh = (next_sigma**2 - next_sigma**4 / sigma**2) ** 0.5
            moved[i, j] = clean + old + fresh * noise[i, j]
    return moved
    ### END SOLUTION
