# numpy does the arithmetic in double precision; tensors at the edges only.
# ruff: noqa: F821 (the other names are those of the notebook)

# %% nbgrader={"grade_id": "numerical-gradient-code", "solution": true}
import numpy as np


def numerical_gradient(f, x, eps=1e-6):
    x = x.numpy()
    gradient = np.empty_like(x)
    for index in np.ndindex(*x.shape):
        steps = np.zeros_like(x)
        steps[index] = eps
        rise = f(torch.from_numpy(x + steps)) - f(torch.from_numpy(x - steps))
        gradient[index] = rise.item() / eps / 2
    return torch.from_numpy(gradient)


# %% nbgrader={"grade_id": "activations", "solution": true}
class ReLU:
    def forward(self, x):
        self.x = x.numpy()
        return torch.from_numpy(np.maximum(self.x, 0))

    def backward(self, dy):
        return torch.from_numpy(np.where(self.x > 0, dy.numpy(), np.zeros_like(dy.numpy())))


class Sigmoid:
    def forward(self, x):
        with np.errstate(over="ignore"):
            self.y = 1 / (1 + np.exp(-x.numpy().astype(np.float64)))
        return torch.from_numpy(self.y).to(x.dtype)

    def backward(self, dy):
        return torch.from_numpy(dy.numpy() * self.y * (1 - self.y)).to(dy.dtype)


# %% nbgrader={"grade_id": "mse", "solution": true}
def mse_loss(y, y_hat):
    difference = np.subtract(y_hat.numpy(), y.numpy(), dtype=np.float64)
    return np.mean(difference**2), torch.from_numpy(2 * difference / difference.size).to(y_hat.dtype)


# %% nbgrader={"grade_id": "bce", "solution": true}
def bce_loss(y, y_hat):
    p, t = y_hat.numpy().astype(np.float64), y.numpy().astype(np.float64)
    with np.errstate(divide="ignore"):
        log_p, log_q = np.maximum(np.log(p), -100), np.maximum(np.log1p(-p), -100)
    J = -np.average(np.where(t == 1, log_p, log_q))
    slope = (p - t) / np.maximum(p - p * p, 1e-12) / p.size
    return float(J), torch.tensor(slope, dtype=y_hat.dtype)


# %% nbgrader={"grade_id": "train-step-code", "solution": true}
def train_step(mlp, loss_function, x, y, learning_rate):
    mlp.clear_grad_and_cache()
    J, slope = loss_function(y, mlp.forward(x))
    mlp.backward(slope)
    for name, value in mlp.parameters.items():
        value.numpy()[...] -= learning_rate * mlp.grads[f"dJd{name}"].numpy()
    return J
