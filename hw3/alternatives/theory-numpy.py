# Numpy inside and numpy returned.

# %% nbgrader={"grade_id": "circle-code", "solution": true}
import numpy as np


def circle_energy(x, y):
    ### BEGIN SOLUTION
    x, y = x.numpy(), y.numpy()
    root = np.sqrt(np.maximum(1 - x**2, 0))
    return np.minimum((y - root) ** 2, (y + root) ** 2)  # the distance from the nearer answer
    ### END SOLUTION


# true_of_energies = {"…", …}
### BEGIN SOLUTION
true_of_energies = {"A", "C", "E"}
### END SOLUTION


# %% nbgrader={"grade_id": "gibbs-density-code", "solution": true}
def gibbs_density(F, dy, beta):
    ### BEGIN SOLUTION
    exponents = -beta * F.double().numpy()
    p = np.exp(exponents - exponents.max())
    return p / np.sum(p * dy)
    ### END SOLUTION


def gibbs_variance(a, beta):
    ### BEGIN SOLUTION
    return np.reciprocal(np.float64(a * beta))
    ### END SOLUTION


# %% nbgrader={"grade_id": "negatives-code", "solution": true}
def my_loss(F_pos, F_neg):
    ### BEGIN SOLUTION
    return np.logaddexp(0, F_pos.numpy() - F_neg.numpy())
    ### END SOLUTION


def infer(F):
    ### BEGIN SOLUTION
    return np.argmin(F.numpy(), axis=1)
    ### END SOLUTION


def infer_latent(E):
    ### BEGIN SOLUTION
    B, n, k = E.shape
    return np.unravel_index(E.numpy().reshape(B, n * k).argmin(axis=1), (n, k))
    ### END SOLUTION


# %% nbgrader={"grade_id": "gibbs-code", "solution": true}
def gibbs(F, beta):
    ### BEGIN SOLUTION
    exponents = -beta * F.double().numpy()
    return np.exp(exponents - np.logaddexp.reduce(exponents, axis=1, keepdims=True))
    ### END SOLUTION


### BEGIN SOLUTION
lowest = np.array([3, 1, 1, 6]) == 1
p_hot, p_cold = np.ones(4) / 4, lowest / lowest.sum()
### END SOLUTION


# %% nbgrader={"grade_id": "nll-code", "solution": true}
def free_energy(F, beta):
    ### BEGIN SOLUTION
    return -np.logaddexp.reduce(-beta * F.double().numpy(), axis=1) / beta
    ### END SOLUTION


def nll(F, y, beta):
    ### BEGIN SOLUTION
    right = np.take_along_axis(F.double().numpy(), y.numpy()[:, None], axis=1)[:, 0]
    return right - free_energy(F, beta)
    ### END SOLUTION


### BEGIN SOLUTION
nll_hot, nll_cold = np.inf, np.float64(2)
### END SOLUTION


# %% nbgrader={"grade_id": "nll-gradient-code", "solution": true}
def nll_gradient(F, y, beta):
    ### BEGIN SOLUTION
    return np.eye(F.shape[1])[y.numpy()] - gibbs(F, beta)
    ### END SOLUTION


def nll_weight_gradient(F, J, y, beta):
    ### BEGIN SOLUTION
    return np.einsum("bn,np->bp", nll_gradient(F, y, beta), J.double().numpy())
    ### END SOLUTION


# %% nbgrader={"grade_id": "sampling-code", "solution": true}
def sampled_gradient(J_right, J_drawn):
    ### BEGIN SOLUTION
    return np.mean(J_right.numpy() - J_drawn.numpy(), axis=0, keepdims=True)
    ### END SOLUTION


def langevin_step(y, slope, beta, eta, noise):
    ### BEGIN SOLUTION
    return y + np.sqrt(2 * eta / beta) * noise - eta * slope
    ### END SOLUTION


# %% nbgrader={"grade_id": "ends-code", "solution": true}
def best_energies(q, beta):
    ### BEGIN SOLUTION
    with np.errstate(divide="ignore"):
        energies = -np.log(q.numpy()) / beta
    return energies - energies.min()
    ### END SOLUTION


def gap_for_push(n, beta, g):
    ### BEGIN SOLUTION
    return (np.log(n - 1) + np.log1p(-g) - np.log(g)) / beta
    ### END SOLUTION


# bounded = {"…", …}
### BEGIN SOLUTION
bounded = {"A", "D", "F", "G"}
### END SOLUTION


# %% nbgrader={"grade_id": "corners-code", "solution": true}
def simple_loss(F_pos, F_neg, m):
    ### BEGIN SOLUTION
    a, b = F_pos.numpy(), F_neg.numpy()
    return np.maximum(a, 0) + np.maximum(m - b, 0), np.heaviside(a, 0), -np.heaviside(m - b, 0)
    ### END SOLUTION


def hinge_loss(F_pos, F_neg, m):
    ### BEGIN SOLUTION
    violation = np.maximum(m + F_pos.numpy() - F_neg.numpy(), 0)
    return violation, np.sign(violation), -np.sign(violation)
    ### END SOLUTION


def log_loss(F_pos, F_neg):
    ### BEGIN SOLUTION
    a = F_pos.numpy() - F_neg.numpy()
    push = (1 + np.tanh(a / 2)) / 2
    return np.logaddexp(0, a), push, -push
    ### END SOLUTION


def square_square_loss(F_pos, F_neg, m):
    ### BEGIN SOLUTION
    a, b = F_pos.numpy(), F_neg.numpy()
    loss = np.where(a > 0, a**2, 0) + np.where(b < m, (m - b) ** 2, 0)
    return loss, np.where(a > 0, 2 * a, 0), np.where(b < m, 2 * (b - m), 0)
    ### END SOLUTION


# %% nbgrader={"grade_id": "margins-code", "solution": true}
def table_hinge_gradient(F, y, m):
    ### BEGIN SOLUTION
    F, right = F.numpy(), np.eye(F.shape[1])[y.numpy()]  # (B, n), one-hot
    offender = np.eye(F.shape[1])[np.where(right == 1, np.inf, F).argmin(axis=1)]
    active = m + (F * right).sum(axis=1) - (F * offender).sum(axis=1) > 0
    return active[:, None] * (right - offender)
    ### END SOLUTION


def simple_rest(eps, m):
    ### BEGIN SOLUTION
    return np.median([0] * round(100 * (1 - eps)) + [m] * round(100 * eps))
    ### END SOLUTION


def square_square_rest(eps, m):
    ### BEGIN SOLUTION
    return np.average([0, m], weights=[1 - eps, eps])
    ### END SOLUTION


# true_of_log = {"…", …}
### BEGIN SOLUTION
true_of_log = {"A", "D", "E"}
### END SOLUTION


# %% nbgrader={"grade_id": "level-prediction-code", "solution": true}
### BEGIN SOLUTION
level_prediction = "B"
### END SOLUTION


# %% nbgrader={"grade_id": "score-code", "solution": true}
def add_noise(y, sigma, noise):
    ### BEGIN SOLUTION
    return y.numpy() + np.einsum("b,bd->bd", sigma.numpy(), noise.numpy())
    ### END SOLUTION


def denoising_loss(s, sigma, noise):
    ### BEGIN SOLUTION
    s, noise, level = s.double().numpy(), noise.double().numpy(), sigma.double().numpy().reshape(-1, 1)
    off = s + noise / level  # from the target
    return np.sum((level * off) ** 2, axis=1), 2 * level**2 * off
    ### END SOLUTION


def sampling_step(y, s, sigma, next_sigma, noise):
    ### BEGIN SOLUTION
    kept = np.square(next_sigma / sigma)
    drift = (1 - kept) * sigma**2 * s.numpy()
    return y.numpy() + drift + np.sqrt(next_sigma**2 - kept**2 * sigma**2) * noise.numpy()
    ### END SOLUTION
