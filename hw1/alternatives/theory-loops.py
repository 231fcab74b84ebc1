# Loops over entries, numbers from math, lists and tuples exchanged.
# ruff: noqa: F821 (the other names are those of the notebook)

# %% nbgrader={"grade_id": "sgd-steps-code", "solution": true}
def train(model, criterion, optimiser, batches, epochs):
    ### BEGIN SOLUTION
    losses, step = [], 0
    while step < epochs * len(batches):
        x, y = batches[step % len(batches)]
        y_hat = model(x)
        optimiser.zero_grad()
        loss, dl_dyhat = criterion(y_hat, y)
        model.backward(dl_dyhat=dl_dyhat)
        optimiser.step()
        losses.append(loss)
        step += 1
    return losses
    ### END SOLUTION


# %% nbgrader={"grade_id": "forward-regression-code", "solution": true}
def forward_regression(x, W1, b1, W2, b2):
    ### BEGIN SOLUTION
    def linear(W, b, v):
        out = b.clone()
        for i in range(W.shape[0]):
            for j in range(W.shape[1]):
                out[i, 0] += W[i, j] * v[j, 0]
        return out

    z1 = linear(W1, b1, x)
    z2 = torch.zeros_like(z1)
    for i in range(len(z1)):
        if z1[i, 0] > 0:
            # parameter: scale
            z2[i, 0] = 5 * z1[i, 0]
    y_hat = linear(W2, b2, z2)
    return z1, z2, y_hat, y_hat
    ### END SOLUTION


# %% nbgrader={"grade_id": "chain-rule-code", "solution": true}
def chain_rule(x, z2, W2, dl_dyhat, dyhat_dz3, dz2_dz1):
    ### BEGIN SOLUTION
    K, d = W2.shape
    right = torch.zeros(1, K)
    for k in range(K):
        for i in range(K):
            right[0, k] += dl_dyhat[0, i] * dyhat_dz3[i, k]
    gradient = torch.zeros(1, d)
    for j in range(d):
        for i in range(d):
            for k in range(K):
                gradient[0, j] += right[0, k] * W2[k, i] * dz2_dz1[i, j]
    W1_part = torch.stack([number * gradient[0] for number in x[:, 0]])
    W2_part = torch.stack([number * right[0] for number in z2[:, 0]])
    return W1_part, gradient, W2_part, right
    ### END SOLUTION


# %% nbgrader={"grade_id": "factors-regression-code", "solution": true}
def factors_regression(z1, y_hat, y):
    ### BEGIN SOLUTION
    measured = torch.zeros(1, len(y))
    for k in range(len(y)):
        measured[0, k] = 2 * y_hat[k, 0] - 2 * y[k, 0]
    dz2_dz1 = torch.zeros(len(z1), len(z1))
    for i in range(len(z1)):
        # parameter: scale
        dz2_dz1[i, i] = 5 if z1[i, 0] >= 0 else 0
    return measured, torch.eye(len(y)), dz2_dz1
    ### END SOLUTION


# %% nbgrader={"grade_id": "factors-classification-code", "solution": true}
def factors_classification(z2, y_hat, y):
    ### BEGIN SOLUTION
    def diagonal(slope, values):
        matrix = torch.zeros(len(values), len(values))
        for i, value in enumerate(values[:, 0].tolist()):
            matrix[i, i] = slope(value)
        return matrix

    error = torch.tensor([[2 * (p - t) for p, t in zip(y_hat[:, 0].tolist(), y[:, 0].tolist(), strict=True)]])
    return error, diagonal(lambda s: s - s * s, y_hat), diagonal(lambda t: (1 - t) * (1 + t), z2)
    ### END SOLUTION


# %% nbgrader={"grade_id": "bce-code", "solution": true}
def bce(y, y_hat):
    ### BEGIN SOLUTION
    loss = 0.0
    for k in range(len(y)):
        loss -= math.log(y_hat[k, 0]) if y[k, 0] == 1 else math.log(1 - y_hat[k, 0])
    return loss / len(y)
    ### END SOLUTION


def bce_from_logits(y, z3):
    ### BEGIN SOLUTION
    loss = 0.0
    for t, z in zip(y.flatten().tolist(), z3.flatten().tolist(), strict=True):
        softplus = z + math.log1p(math.exp(-z)) if z > 0 else math.log1p(math.exp(z))
        loss += softplus - t * z
    return loss / len(y)
    ### END SOLUTION


# %% nbgrader={"grade_id": "softargmax-code", "solution": true}
### BEGIN SOLUTION
softargmax_exact = {"float32": True, "real": False}
exact_logits = (0, -3, 1000)
### END SOLUTION


# %% nbgrader={"grade_id": "graph-code", "solution": true}
### BEGIN SOLUTION
graph_edges = []
for child, parents in {"w": "cz", "c": "ab", "b": "oz", "a": "yx"}.items():
    for parent in parents:
        graph_edges.append([parent, child])
graph_places = {"w": (9.0, 0.0), "z": (-1, -1)}
for name, place in zip("xyoabc", [(0, 9), (0, 8), (0, -3), (1, 8), (1.5, -2), (2, 3)], strict=True):
    graph_places[name] = torch.tensor(place)
### END SOLUTION


def graph_gradient(x, y, z, o):
    ### BEGIN SOLUTION
    return [z * o, z * o, (x + y) * o + 1, (x + y) * z]
    ### END SOLUTION


# %% nbgrader={"grade_id": "slopes-code", "solution": true}
def relu_slope(x):
    ### BEGIN SOLUTION
    return torch.tensor([1.0 if value > 0 else 0.0 for value in x.flatten()]).reshape(x.shape)
    ### END SOLUTION


def leaky_relu_slope(x):
    ### BEGIN SOLUTION
    return torch.tensor([1.0 if value > 0 else 0.01 for value in x.flatten()]).reshape(x.shape)
    ### END SOLUTION


def softplus_slope(x):
    ### BEGIN SOLUTION
    return torch.tensor([1 / (1 + math.exp(-value)) for value in x.flatten()]).reshape(x.shape)
    ### END SOLUTION


def gelu_slope(x):
    ### BEGIN SOLUTION
    slopes = []
    for value in x.flatten().tolist():
        bell = math.exp(-value * value / 2) / math.sqrt(2 * math.pi)
        slopes.append(0.5 * math.erfc(-value / math.sqrt(2)) + value * bell)
    return torch.tensor(slopes).reshape(x.shape)
    ### END SOLUTION


def draw_slopes(ax):
    ### BEGIN SOLUTION
    x = torch.arange(-40, 41) / 10
    for name, slope in zip(
        ["GELU", "Softplus(β=1)", "LeakyReLU(0.01)", "ReLU"],
        [gelu_slope, softplus_slope, leaky_relu_slope, relu_slope],
        strict=True,
    ):
        heights = [float(slope(x[i : i + 1])) for i in range(len(x))]
        ax.plot(x, heights, marker=".", label=name)
    ax.set(xlabel="x", xlim=(-5, 5))
    ### END SOLUTION
