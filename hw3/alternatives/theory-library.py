# As short as PyTorch's own functions allow.
# ruff: noqa: F821 (the other names are those of the notebook)

# %% nbgrader={"grade_id": "circle-code", "solution": true}
def circle_energy(x, y):
    ### BEGIN SOLUTION
    return 7 * (torch.hypot(x, y) - 1).abs() - 3  # an energy may be negative
    ### END SOLUTION


# true_of_energies = {"…", …}
### BEGIN SOLUTION
true_of_energies = {"A", "C", "E"}
### END SOLUTION


# %% nbgrader={"grade_id": "gibbs-density-code", "solution": true}
def gibbs_density(F, dy, beta):
    ### BEGIN SOLUTION
    return torch.softmax(-beta * F, dim=0) / dy
    ### END SOLUTION


def gibbs_variance(a, beta):
    ### BEGIN SOLUTION
    return torch.tensor(1.0 / (a * beta))
    ### END SOLUTION


# %% nbgrader={"grade_id": "negatives-code", "solution": true}
def my_loss(F_pos, F_neg):
    ### BEGIN SOLUTION
    return F_pos**2 + torch.exp(-F_neg)
    ### END SOLUTION


def infer(F):
    ### BEGIN SOLUTION
    return F.min(dim=1).indices
    ### END SOLUTION


def infer_latent(E):
    ### BEGIN SOLUTION
    best = E.flatten(1).argmin(dim=1)
    return best // E.shape[2], best % E.shape[2]
    ### END SOLUTION


# %% nbgrader={"grade_id": "gibbs-code", "solution": true}
def gibbs(F, beta):
    ### BEGIN SOLUTION
    return torch.softmax(-beta * F, dim=1)
    ### END SOLUTION


# p_hot = [… four numbers …]
# p_cold = [… four numbers …]
### BEGIN SOLUTION
p_hot = [1 / 4, 1 / 4, 1 / 4, 1 / 4]  # all ratios e^(−β(F_i − F_j)) go to 1
p_cold = [0, 1 / 2, 1 / 2, 0]  # all is shared by the lowest
### END SOLUTION


# %% nbgrader={"grade_id": "nll-code", "solution": true}
def free_energy(F, beta):
    ### BEGIN SOLUTION
    return -torch.logsumexp(-beta * F, dim=1) / beta
    ### END SOLUTION


def nll(F, y, beta):
    ### BEGIN SOLUTION
    return functional.cross_entropy(-beta * F, y, reduction="none") / beta
    ### END SOLUTION


# nll_hot = …
# nll_cold = …
### BEGIN SOLUTION
nll_hot = math.inf  # 1/β log 4 grows without end
nll_cold = 2  # 3 − min F
### END SOLUTION


# %% nbgrader={"grade_id": "nll-gradient-code", "solution": true}
def nll_gradient(F, y, beta):
    ### BEGIN SOLUTION
    return functional.one_hot(y, F.shape[1]) - gibbs(F, beta)
    ### END SOLUTION


def nll_weight_gradient(F, J, y, beta):
    ### BEGIN SOLUTION
    return J[y] - gibbs(F, beta) @ J
    ### END SOLUTION


# %% nbgrader={"grade_id": "sampling-code", "solution": true}
def sampled_gradient(J_right, J_drawn):
    ### BEGIN SOLUTION
    return (J_right - J_drawn).mean(0)[None]
    ### END SOLUTION


def langevin_step(y, slope, beta, eta, noise):
    ### BEGIN SOLUTION
    return torch.add(y - eta * slope, noise, alpha=(2 * eta / beta) ** 0.5)
    ### END SOLUTION


# %% nbgrader={"grade_id": "ends-code", "solution": true}
def best_energies(q, beta):
    ### BEGIN SOLUTION
    return (q.max().log() - q.log()) / beta
    ### END SOLUTION


def gap_for_push(n, beta, g):
    ### BEGIN SOLUTION
    return (math.log(n - 1) - torch.logit(torch.tensor(g, dtype=torch.double))) / beta
    ### END SOLUTION


# bounded = {"…", …}
### BEGIN SOLUTION
bounded = {"A", "D", "F", "G"}
### END SOLUTION


# %% nbgrader={"grade_id": "corners-code", "solution": true}
def simple_loss(F_pos, F_neg, m):
    ### BEGIN SOLUTION
    return functional.relu(F_pos) + functional.relu(m - F_neg), torch.where(F_pos > 0, 1.0, 0.0), -1.0 * (F_neg < m)
    ### END SOLUTION


def hinge_loss(F_pos, F_neg, m):
    ### BEGIN SOLUTION
    push = (F_neg < F_pos + m).double()
    return push * (m + F_pos - F_neg), push, -push
    ### END SOLUTION


def log_loss(F_pos, F_neg):
    ### BEGIN SOLUTION
    return functional.softplus(F_pos - F_neg), torch.sigmoid(F_pos - F_neg), -torch.sigmoid(F_pos - F_neg)
    ### END SOLUTION


def square_square_loss(F_pos, F_neg, m):
    ### BEGIN SOLUTION
    high, low = functional.relu(F_pos), functional.relu(m - F_neg)
    return torch.stack([high, low]).square().sum(dim=0), 2 * high, -2 * low
    ### END SOLUTION


# %% nbgrader={"grade_id": "margins-code", "solution": true}
def table_hinge_gradient(F, y, m):
    ### BEGIN SOLUTION
    right = functional.one_hot(y, F.shape[1]).bool()
    wrong = F.masked_fill(right, math.inf)
    offender = functional.one_hot(wrong.argmin(dim=1), F.shape[1])
    active = F[right] + m > wrong.amin(dim=1)
    return active[:, None] * (right.float() - offender)
    ### END SOLUTION


def simple_rest(eps, m):
    """The energy at which the mean simple loss is least, for a share eps ≠ ½ of “wrong”: a number."""
    ### BEGIN SOLUTION
    return 0.0 if eps < 0.5 else m  # slope 1 − 2ε between 0 and m
    ### END SOLUTION


def square_square_rest(eps, m):
    """The same for the mean square–square loss."""
    ### BEGIN SOLUTION
    return eps * m  # 2 (1 − ε) e = 2 ε (m − e)
    ### END SOLUTION


# true_of_log = {"…", …}
### BEGIN SOLUTION
true_of_log = {"A", "D", "E"}
### END SOLUTION
