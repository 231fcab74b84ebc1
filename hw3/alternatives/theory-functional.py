# Functions made of functions: lambda, partial, einsum, where; float32 whatever comes in; options with defaults.
# ruff: noqa: F821, E731 (the other names are those of the notebook)


# %% nbgrader={"grade_id": "circle-code", "solution": true}
### BEGIN SOLUTION
circle_energy = lambda x, y: torch.log(1 + (1 - x.square() - y.square()).abs())
### END SOLUTION


# true_of_energies = {"…", …}
### BEGIN SOLUTION
true_of_energies = {"A", "C", "E"}
### END SOLUTION


# %% nbgrader={"grade_id": "gibbs-density-code", "solution": true}
from functools import partial


def compose(*functions):
    def composed(x):
        for function in functions:
            x = function(x)
        return x

    return composed


### BEGIN SOLUTION
def gibbs_density(F, dy, beta, points=None):
    normalised = compose(lambda e: e - e.min(), lambda e: torch.exp(-beta * e), lambda e: e / e.sum())
    return normalised(F).float() / dy


gibbs_variance = lambda a, beta=1.0: pow(a, -1) * pow(beta, -1)
### END SOLUTION

# %% nbgrader={"grade_id": "negatives-code", "solution": true}
### BEGIN SOLUTION
my_loss = lambda F_pos, F_neg, m=3: torch.relu(m + F_pos - F_neg).float()
### END SOLUTION


### BEGIN SOLUTION
infer = partial(torch.argmin, dim=-1)


def infer_latent(E):
    return torch.unravel_index(torch.vmap(torch.argmin)(E), E.shape[1:])


### END SOLUTION


# %% nbgrader={"grade_id": "gibbs-code", "solution": true}
### BEGIN SOLUTION
def gibbs(F, beta, log=False):
    shifted = -beta * (F - F.amin(dim=-1, keepdim=True))
    log_p = shifted - shifted.exp().sum(dim=-1, keepdim=True).log()
    return log_p if log else log_p.exp()


### END SOLUTION


# p_hot = [… four numbers …]
# p_cold = [… four numbers …]
### BEGIN SOLUTION
p_hot = [1 / 4, 1 / 4, 1 / 4, 1 / 4]  # all ratios e^(−β(F_i − F_j)) go to 1
p_cold = [0, 1 / 2, 1 / 2, 0]  # all is shared by the lowest
### END SOLUTION


# %% nbgrader={"grade_id": "nll-code", "solution": true}
### BEGIN SOLUTION
def free_energy(F, beta):
    return F[:, 0] + gibbs(F, beta, log=True)[:, 0] / beta


nll = lambda F, y, beta: (
    torch.einsum("bn,bn->b", gibbs(F, beta, log=True), functional.one_hot(y, F.shape[1]).to(F)) / -beta
)
### END SOLUTION


### BEGIN SOLUTION
nll_hot, nll_cold = torch.tensor(torch.inf), torch.tensor([2.0])
### END SOLUTION


# %% nbgrader={"grade_id": "nll-gradient-code", "solution": true}
### BEGIN SOLUTION
nll_gradient = lambda F, y, beta: (
    torch.where(torch.arange(F.shape[1]) == y[:, None], 1.0, 0.0) - gibbs(F, beta, log=True).exp()
)
nll_weight_gradient = lambda F, J, y, beta: torch.einsum("bn,np->bp", nll_gradient(F, y, beta), J).float()
### END SOLUTION

# %% nbgrader={"grade_id": "sampling-code", "solution": true}
### BEGIN SOLUTION
sampled_gradient = lambda J_right, J_drawn: J_right + torch.einsum("sp->p", J_drawn) / -J_drawn.shape[0]
langevin_step = lambda y, slope, beta, eta, noise: y.add(slope, alpha=-eta).add(
    noise * math.sqrt(2) * (eta / beta) ** 0.5
)
### END SOLUTION

# %% nbgrader={"grade_id": "ends-code", "solution": true}
### BEGIN SOLUTION
best_energies = lambda q, beta: torch.where(q > 0, (q.max().log() - q.log()) / beta, math.inf).float()
gap_for_push = lambda n, beta, g: (math.log(n - 1) + math.log(1 / g - 1)) / beta
### END SOLUTION


### BEGIN SOLUTION
bounded = set("ABCDEFG") - set("BCE")
### END SOLUTION


# %% nbgrader={"grade_id": "corners-code", "solution": true}
### BEGIN SOLUTION
def margin_loss(pieces, F_pos, F_neg, m=0.0):
    """The sum of pieces [s⁺ F⁺ + s⁻ F⁻ + k m]₊ with its derivatives."""
    values = [
        (sign_pos * F_pos + sign_neg * F_neg + share * m, sign_pos, sign_neg) for sign_pos, sign_neg, share in pieces
    ]
    loss = sum(a.clamp(min=0) for a, _, _ in values)
    return loss, sum((a >= 0) * s for a, s, _ in values), sum((a >= 0) * s for a, _, s in values)


simple_loss = partial(margin_loss, ((1, 0, 0), (0, -1, 1)))
hinge_loss = partial(margin_loss, ((1, -1, 1),))
### END SOLUTION


### BEGIN SOLUTION
log_loss = lambda F_pos, F_neg: tuple(
    part(F_pos - F_neg)
    for part in (lambda a: torch.logaddexp(a, torch.zeros(())), torch.sigmoid, lambda a: torch.sigmoid(-a) - 1)
)


def square_square_loss(F_pos, F_neg, m):
    stacked = torch.stack((F_pos, m - F_neg)).float().clamp(min=0)
    return stacked.square().sum(0), *(2 * stacked * torch.tensor([[1], [-1]])).unbind()


### END SOLUTION


# %% nbgrader={"grade_id": "margins-code", "solution": true}
### BEGIN SOLUTION
def table_hinge_gradient(F, y, m):
    def one(row, right):
        offender = min((i for i in range(len(row)) if i != right), key=lambda i: row[i])
        active = float(row[right] + m > row[offender])
        return torch.eye(len(row))[right] * active - torch.eye(len(row))[offender] * active

    return torch.stack([one(row, right) for row, right in zip(F.tolist(), y.tolist(), strict=True)])


### END SOLUTION


### BEGIN SOLUTION
simple_rest = lambda eps, m: m if eps > 0.5 else 0
square_square_rest = lambda eps, m: eps * m / (eps + (1 - eps))
### END SOLUTION


# true_of_log = {"…", …}
### BEGIN SOLUTION
true_of_log = {"A", "D", "E"}
### END SOLUTION

# %% nbgrader={"grade_id": "score-code", "solution": true}
### BEGIN SOLUTION
add_noise = lambda y, sigma, noise: torch.addcmul(y, sigma.unsqueeze(1).expand_as(noise), noise)

denoising_loss = lambda s, sigma, noise: (
    (s * sigma[:, None]).add(noise).norm(dim=1).square(),
    torch.diag(2 * sigma) @ (torch.diag(sigma) @ s + noise),
)

sampling_step = lambda y, s, sigma, next_sigma, noise: sum(
    (y, (sigma**2 - next_sigma**2) * s, next_sigma / sigma * math.sqrt(sigma**2 - next_sigma**2) * noise)
)
### END SOLUTION
