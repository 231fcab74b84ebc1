# Numpy inside and numpy returned; the gradients of classification in one piece.
# ruff: noqa: F821 (the other names are those of the notebook)

# %% nbgrader={"grade_id": "forward-regression-code", "solution": true}
import numpy as np


def forward_regression(x, W1, b1, W2, b2):
    ### BEGIN SOLUTION
    x, W1, b1, W2, b2 = (tensor.numpy() for tensor in (x, W1, b1, W2, b2))
    z1 = W1.dot(x) + b1
    # parameter: scale
    z2 = np.where(z1 > 0, 5 * z1, 0)
    z3 = W2.dot(z2) + b2
    return z1, z2, z3, z3
    ### END SOLUTION


# %% nbgrader={"grade_id": "chain-rule-code", "solution": true}
def chain_rule(x, z2, W2, dl_dyhat, dyhat_dz3, dz2_dz1):
    ### BEGIN SOLUTION
    x, z2, W2, r, G, A = (np.asarray(part, dtype=np.float64) for part in (x, z2, W2, dl_dyhat, dyhat_dz3, dz2_dz1))
    db2 = np.linalg.multi_dot([r, G])
    db1 = np.linalg.multi_dot([r, G, W2, A])
    return np.outer(x, db1), db1, np.outer(z2, db2), db2
    ### END SOLUTION


# %% nbgrader={"grade_id": "factors-regression-code", "solution": true}
def factors_regression(z1, y_hat, y):
    ### BEGIN SOLUTION
    z1, y_hat, y = z1.numpy(), y_hat.numpy(), y.numpy()
    # parameter: scale
    return 2.0 * np.subtract(y_hat, y).T, np.identity(y.size), np.diag(np.where(z1 > 0, 5.0, 0.0).ravel())
    ### END SOLUTION


# %% nbgrader={"grade_id": "factors-classification-code", "solution": true}
def factors_classification(z2, y_hat, y):
    ### BEGIN SOLUTION
    z2, y_hat, y = (np.array(part).ravel() for part in (z2, y_hat, y))
    return 2 * (y_hat - y).reshape(1, -1), np.diag(y_hat - y_hat**2), np.diag(1 - np.square(z2))
    ### END SOLUTION


# %% nbgrader={"grade_id": "gradients-classification-code", "solution": true}
def gradients_classification(x, y, W1, b1, W2, b2):
    ### BEGIN SOLUTION
    x, y, W1, b1, W2, b2 = (part.double().numpy() for part in (x, y, W1, b1, W2, b2))
    hidden = np.tanh(W1 @ x + b1)
    p = 1 / (1 + np.exp(-(W2 @ hidden + b2)))
    delta = (2 * (p - y) * p * (1 - p)).T
    back = (delta @ W2) * (1 - hidden.T**2)
    return x * back, back, hidden * delta, delta
    ### END SOLUTION


# %% nbgrader={"grade_id": "bce-code", "solution": true}
def bce(y, y_hat):
    ### BEGIN SOLUTION
    y, y_hat = y.numpy(), y_hat.numpy()
    return -np.mean(np.log(np.where(y == 1, y_hat, 1 - y_hat)))
    ### END SOLUTION


def bce_from_logits(y, z3):
    ### BEGIN SOLUTION
    y, z3 = y.numpy(), z3.numpy()
    return np.mean(np.maximum(z3, 0) - y * z3 + np.log1p(np.exp(-np.abs(z3))))
    ### END SOLUTION


# %% nbgrader={"grade_id": "factors-bce-code", "solution": true}
def factors_bce(z2, y_hat, y):
    ### BEGIN SOLUTION
    z2, y_hat, y = z2.numpy()[:, 0], y_hat.numpy()[:, 0], y.numpy()[:, 0]
    dl_dyhat = (-y / y_hat + (1 - y) / (1 - y_hat))[None] / y.size
    return dl_dyhat, np.diag(y_hat * (1 - y_hat)), np.eye(z2.size) - np.diag(z2) @ np.diag(z2)
    ### END SOLUTION


# %% nbgrader={"grade_id": "graph-code", "solution": true}
### BEGIN SOLUTION
graph_edges = [*zip("xyzoabcz", "aabbccww", strict=True)]
graph_places = dict(zip("xyzoabcw", np.array([[0, 0, 0, 0, 1, 1, 2, 3], [3, 2, 1, 0, 3, 0, 2, 1]]).T / 3, strict=True))
### END SOLUTION


def graph_gradient(x, y, z, o):
    ### BEGIN SOLUTION
    a, b = x + y, z * o
    dw_dc_and_z = np.array([1.0, 1.0])
    local = np.array([[b, a * o], [0.0, 1.0]])  # rows c, z; columns x, z
    dw_dx, dw_dz = dw_dc_and_z @ local
    return dw_dx, np.array(dw_dx), np.float64(dw_dz), a * z
    ### END SOLUTION


# %% nbgrader={"grade_id": "slopes-code", "solution": true}
def relu_slope(x):
    ### BEGIN SOLUTION
    return np.heaviside(x.numpy(), 0.5)
    ### END SOLUTION


def leaky_relu_slope(x):
    ### BEGIN SOLUTION
    return 0.01 + 0.99 * np.heaviside(x.numpy(), 0.5)
    ### END SOLUTION


def softplus_slope(x):
    ### BEGIN SOLUTION
    return (1 + np.tanh(x.numpy() / 2)) / 2
    ### END SOLUTION


def gelu_slope(x):
    ### BEGIN SOLUTION
    z = x.numpy()
    return torch.special.ndtr(x).numpy() + z * np.exp(-0.5 * z * z) / np.sqrt(2 * np.pi)
    ### END SOLUTION


def draw_slopes(ax):
    ### BEGIN SOLUTION
    x = torch.from_numpy(np.linspace(4, -4, 50))  # from right to left
    lines = ax.plot(
        x, np.stack([slope(x) for slope in (relu_slope, leaky_relu_slope, softplus_slope, gelu_slope)], axis=1)
    )
    for line, name in zip(lines, ("ReLU", "LeakyReLU(0.01)", "Softplus(β=1)", "GELU"), strict=True):
        line.set_label(name)
    ax.set_xlabel("$x$")
    ax.axhline(0, color="grey")
    ### END SOLUTION


# %% nbgrader={"grade_id": "maps-code", "solution": true}
def rotation(theta):
    ### BEGIN SOLUTION
    turn = np.exp(1j * theta)
    return torch.tensor(np.array([[turn.real, -turn.imag], [turn.imag, turn.real]]))
    ### END SOLUTION


def reflection(theta):
    ### BEGIN SOLUTION
    return rotation(theta) @ scaling(1, -1) @ rotation(-theta)
    ### END SOLUTION


def scaling(s_x, s_y):
    ### BEGIN SOLUTION
    return torch.from_numpy(np.diag([s_x, s_y]).astype(float))
    ### END SOLUTION


def shear(k):
    ### BEGIN SOLUTION
    return torch.from_numpy(np.array([[1, k], [0, 1]], dtype=np.float64))
    ### END SOLUTION


def collapse(W1, b1, W2, b2):
    ### BEGIN SOLUTION
    return (W2 @ W1).numpy(), (W2 @ b1 + b2).numpy()
    ### END SOLUTION
