# Einsum for every product, the simplified gradient written out, maps by the exponential and by projection.
# ruff: noqa: F821 (the other names are those of the notebook)

# %% nbgrader={"grade_id": "sgd-steps-code", "solution": true}
def train(model, criterion, optimiser, batches, epochs):
    ### BEGIN SOLUTION
    def iteration(x, y):
        optimiser.zero_grad()
        loss, slope = criterion(model(x), y)
        model.backward(slope)
        optimiser.step()
        return loss

    return torch.stack([iteration(x, y) for _ in range(epochs) for x, y in batches])
    ### END SOLUTION


# %% nbgrader={"grade_id": "forward-regression-code", "solution": true}
def forward_regression(x, W1, b1, W2, b2):
    ### BEGIN SOLUTION
    z1 = torch.einsum("ij,jk->ik", W1, x) + b1
    # parameter: scale
    z2 = (5 * z1).clamp(min=0)  # the 5 is positive: inside or outside makes no difference
    z3 = torch.einsum("ij,jk->ik", W2, z2) + b2
    return [z1, z2, z3, z3.clone()]
    ### END SOLUTION


# %% nbgrader={"grade_id": "chain-rule-code", "solution": true}
def chain_rule(x, z2, W2, dl_dyhat, dyhat_dz3, dz2_dz1):
    ### BEGIN SOLUTION
    upper = torch.einsum("k,kl->l", dl_dyhat[0], dyhat_dz3)
    lower = torch.einsum("l,li,ij->j", upper, W2, dz2_dz1)
    return (
        torch.einsum("n,d->nd", x[:, 0], lower),
        lower[None],
        torch.einsum("d,k->dk", z2[:, 0], upper),
        upper[None],
    )
    ### END SOLUTION


# %% nbgrader={"grade_id": "factors-regression-code", "solution": true}
def factors_regression(z1, y_hat, y):
    ### BEGIN SOLUTION
    # parameter: scale
    slopes = 5 * torch.heaviside(z1, torch.tensor(0.5))
    return -2 * (y - y_hat).T, torch.diagflat(torch.ones_like(y)), slopes * torch.eye(len(z1))
    ### END SOLUTION


# %% nbgrader={"grade_id": "forward-classification-code", "solution": true}
def forward_classification(x, W1, b1, W2, b2):
    ### BEGIN SOLUTION
    z1 = torch.einsum("ij,jk->ik", W1, x) + b1
    z2 = 2 * torch.sigmoid(2 * z1) - 1  # another way to write tanh
    z3 = torch.einsum("ij,jk->ik", W2, z2) + b2
    return z1, z2, z3, (1 + torch.tanh(z3 / 2)) / 2
    ### END SOLUTION


# %% nbgrader={"grade_id": "gradients-bce-code", "solution": true}
def gradients_bce(x, y, W1, b1, W2, b2):
    ### BEGIN SOLUTION
    _, z2, _, y_hat = forward_classification(x, W1, b1, W2, b2)
    error = (y_hat - y)[:, 0] / y.numel()
    hidden = torch.einsum("k,kd,d->d", error, W2, 1 - z2[:, 0] ** 2)
    return torch.outer(x[:, 0], hidden), hidden[None], torch.outer(z2[:, 0], error), error[None]
    ### END SOLUTION


# %% nbgrader={"grade_id": "maps-code", "solution": true}
def rotation(theta):
    ### BEGIN SOLUTION
    return torch.matrix_exp(theta * torch.tensor([[0.0, -1.0], [1.0, 0.0]]))
    ### END SOLUTION


def reflection(theta):
    ### BEGIN SOLUTION
    direction = torch.tensor([math.cos(theta), math.sin(theta)])
    return 2 * torch.einsum("i,j->ij", direction, direction) - torch.eye(2)
    ### END SOLUTION


def scaling(s_x, s_y):
    ### BEGIN SOLUTION
    return torch.diag(torch.tensor([s_x, s_y], dtype=torch.float64))
    ### END SOLUTION


def shear(k):
    ### BEGIN SOLUTION
    matrix = torch.eye(2)
    matrix[0, 1] = k
    return matrix
    ### END SOLUTION


def collapse(W1, b1, W2, b2):
    ### BEGIN SOLUTION
    return torch.einsum("kd,dn->kn", W2, W1), torch.einsum("kd,do->ko", W2, b1) + b2
    ### END SOLUTION


# %% nbgrader={"grade_id": "depth-prediction-code", "solution": true}
### BEGIN SOLUTION
depth_prediction = "A"
### END SOLUTION
