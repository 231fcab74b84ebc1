# A landscape as a class, used by every answer; torch.nn.functional under the name F; results that remember a gradient.
# ruff: noqa: F821 (the other names are those of the notebook)


# %% nbgrader={"grade_id": "circle-code", "solution": true}
import torch.nn.functional as F
from torch import nn


class Positive(nn.Module):
    def forward(self, a):
        return F.relu(a)


class Landscape:
    """Energies whose last axis runs over the answers."""

    def __init__(self, energies, beta=1.0):
        self.energies, self.beta = energies, beta
        self.lowest = energies.amin(-1, keepdim=True)

    @property
    def weights(self):
        return (self.beta * (self.lowest - self.energies)).exp()

    def free(self):
        return self.lowest.squeeze(-1) - self.weights.sum(-1).log() / self.beta

    def p(self):
        return self.weights / self.weights.sum(-1, keepdim=True)


def circle_energy(x, y):
    ### BEGIN SOLUTION
    return torch.stack([x, y]).norm(dim=0).sub(1).square().requires_grad_()
    ### END SOLUTION


### BEGIN SOLUTION
true_of_energies = frozenset("ACE")
### END SOLUTION


# %% nbgrader={"grade_id": "gibbs-density-code", "solution": true}
def gibbs_density(F, dy, beta):
    ### BEGIN SOLUTION
    return Landscape(F, beta).p().div(dy)
    ### END SOLUTION


def gibbs_variance(a, beta):
    ### BEGIN SOLUTION
    precision = torch.tensor([[a * beta]])
    return torch.linalg.inv(precision)[0, 0]
    ### END SOLUTION


# %% nbgrader={"grade_id": "role-code", "solution": true}
# role = {"A": "…", "B": "…", …, "F": "…"}
### BEGIN SOLUTION
role = {"A": "loss", "B": "energy", "C": "energy", "D": "loss", "E": "energy", "F": "loss"}
### END SOLUTION


### BEGIN SOLUTION
collapsing = ("F", "B", "C")
way = {
    letter: ("Pushed up", "built so", "price")[kind]
    for letter, kind in zip("GFEDCBA", (2, 0, 0, 1, 0, 2, 1), strict=True)
}
### END SOLUTION


# %% nbgrader={"grade_id": "negatives-code", "solution": true}
def my_loss(F_pos, F_neg):
    ### BEGIN SOLUTION
    positive = Positive()
    return 100 * positive(F_pos - F_neg + 0.2) ** 2 + 50 / (1 + F_neg)
    ### END SOLUTION


def infer(F):
    ### BEGIN SOLUTION
    return F.sort(dim=1).indices[:, 0]
    ### END SOLUTION


def infer_latent(E):
    ### BEGIN SOLUTION
    B, n, k = E.shape
    best = torch.topk(-E.reshape(B, n * k), 1).indices.squeeze(1)
    return torch.div(best, k, rounding_mode="floor"), torch.remainder(best, k)
    ### END SOLUTION


# %% nbgrader={"grade_id": "gibbs-code", "solution": true}
def gibbs(F, beta):
    ### BEGIN SOLUTION
    return Landscape(F, beta).p().requires_grad_()
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
    return Landscape(F, beta).free()
    ### END SOLUTION


def nll(F, y, beta):
    ### BEGIN SOLUTION
    mine = Landscape(F, beta)
    return mine.energies.take_along_dim(y.unsqueeze(1), 1).squeeze(1) - mine.free()
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
    p = Landscape(F, beta).p()
    return torch.zeros_like(p).scatter_(1, y[:, None], 1.0) - p
    ### END SOLUTION


def nll_weight_gradient(F, J, y, beta):
    ### BEGIN SOLUTION
    observed, expected = J.index_select(0, y), torch.mm(Landscape(F, beta).p(), J)
    return observed - expected
    ### END SOLUTION


# %% nbgrader={"grade_id": "corners-code", "solution": true}
def simple_loss(F_pos, F_neg, m):
    ### BEGIN SOLUTION
    right, wrong = torch.gt(F_pos, 0).type_as(F_pos), torch.lt(F_neg, m).type_as(F_neg)
    return right * F_pos + wrong * (m - F_neg), right, -wrong
    ### END SOLUTION


def hinge_loss(F_pos, F_neg, m):
    ### BEGIN SOLUTION
    loss = Positive()(F_pos - F_neg + m)
    return torch.stack([loss, loss.sign(), -loss.sign()])
    ### END SOLUTION


def log_loss(F_pos, F_neg):
    ### BEGIN SOLUTION
    gap = F_pos - F_neg
    return -F.logsigmoid(-gap), F.sigmoid(gap), -F.sigmoid(gap)
    ### END SOLUTION


def square_square_loss(F_pos, F_neg, m):
    ### BEGIN SOLUTION
    loss = F.mse_loss(Positive()(F_pos), torch.zeros_like(F_pos), reduction="none")
    loss = loss + F.mse_loss(F_neg.clamp(max=m), torch.full_like(F_neg, m), reduction="none")
    return loss, 2 * Positive()(F_pos), 2 * (F_neg - m).clamp(max=0)
    ### END SOLUTION


# %% nbgrader={"grade_id": "margins-code", "solution": true}
def table_hinge_gradient(F, y, m):
    ### BEGIN SOLUTION
    order = F.argsort(dim=1)
    offender = torch.where(order[:, 0] == y, order[:, 1], order[:, 0])
    wrong, right = (F.gather(1, which[:, None]) for which in (offender, y))
    push = (right - wrong > -m).type_as(F)
    return torch.zeros_like(F).scatter_add_(1, y[:, None], push).scatter_add_(1, offender[:, None], -push)
    ### END SOLUTION


class Rest:
    def __init__(self, power):
        self.power = power

    def __call__(self, eps, m):
        if self.power == 1:
            return torch.tensor(m) * (eps > 1 - eps)
        return torch.tensor([eps * m])


simple_rest, square_square_rest = Rest(1), Rest(2)


# true_of_log = {"…", …}
### BEGIN SOLUTION
true_of_log = {"A", "D", "E"}
### END SOLUTION
