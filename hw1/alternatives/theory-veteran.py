# A PyTorch veteran: library losses, views that are not contiguous, float64, in-place work on copies, broadcasting.
# ruff: noqa: F821 (the other names are those of the notebook)

# %% nbgrader={"grade_id": "forward-regression-code", "solution": true}
from collections import namedtuple

Forward = namedtuple("Forward", "z1 z2 z3 y_hat")


def forward_regression(x, W1, b1, W2, b2):
    ### BEGIN SOLUTION
    z1 = torch.addmm(b1, W1, x)
    # parameter: scale
    z2 = z1.clone().clamp_(min=0).mul_(5)
    z3 = torch.addmm(b2, W2, z2)
    return Forward(z1, z2, z3, z3.clone())
    ### END SOLUTION


# %% nbgrader={"grade_id": "chain-rule-code", "solution": true}
def chain_rule(x, z2, W2, dl_dyhat, dyhat_dz3, dz2_dz1):
    ### BEGIN SOLUTION
    delta2 = dyhat_dz3.T @ dl_dyhat.T  # columns on the way, rows at the end
    delta1 = dz2_dz1.T @ (W2.T @ delta2)
    return [(delta1 @ x.T).T, delta1.T, (delta2 @ z2.T).mT, delta2.mT]
    ### END SOLUTION


# %% nbgrader={"grade_id": "factors-regression-code", "solution": true}
def factors_regression(z1, y_hat, y):
    ### BEGIN SOLUTION
    error = (y_hat.double() - y.double()).mul_(2)
    slopes = torch.zeros(z1.numel(), z1.numel(), dtype=torch.double)
    # parameter: scale
    slopes.diagonal().copy_(z1.flatten().sign().clamp(min=0) * 5)
    return error.view(1, -1), torch.eye(y.numel(), dtype=torch.double), slopes
    ### END SOLUTION


# %% nbgrader={"grade_id": "forward-classification-code", "solution": true}
def forward_classification(x, W1, b1, W2, b2):
    ### BEGIN SOLUTION
    z1 = functional.linear(x.T, W1, b1.squeeze(1)).T
    z2 = z1.tanh()
    z3 = functional.linear(z2.T, W2, b2.squeeze(1)).T
    return Forward(z1, z2, z3, z3.sigmoid())
    ### END SOLUTION


# %% nbgrader={"grade_id": "factors-classification-code", "solution": true}
def factors_classification(z2, y_hat, y, scale=2):
    ### BEGIN SOLUTION
    return (
        scale * (y_hat - y).mT,
        torch.eye(len(y_hat)) * (y_hat - y_hat.square()),
        torch.diag_embed((1 - z2.square()).squeeze(1)),
    )
    ### END SOLUTION


# %% nbgrader={"grade_id": "gradients-classification-code", "solution": true}
def gradients_classification(x, y, W1, b1, W2, b2):
    ### BEGIN SOLUTION
    out = forward_classification(x, W1, b1, W2, b2)
    delta2 = 2 * (out.y_hat - y) * out.y_hat * (1 - out.y_hat)
    delta1 = W2.T @ delta2 * (1 - out.z2**2)
    return x * delta1.T, delta1.T, out.z2 * delta2.T, delta2.T
    ### END SOLUTION


# %% nbgrader={"grade_id": "bce-code", "solution": true}
def bce(y, y_hat):
    ### BEGIN SOLUTION
    return functional.binary_cross_entropy(y_hat.double(), y.double())
    ### END SOLUTION


def bce_from_logits(y, z3):
    ### BEGIN SOLUTION
    return (functional.softplus(z3) - y * z3).sum(keepdim=True, dim=0) / y.numel()
    ### END SOLUTION


# %% nbgrader={"grade_id": "factors-bce-code", "solution": true}
def factors_bce(z2, y_hat, y):
    ### BEGIN SOLUTION
    _, dyhat_dz3, dz2_dz1 = factors_classification(z2, y_hat, y)
    return ((1 - y) / (1 - y_hat) - y / y_hat).mT / y.numel(), dyhat_dz3, dz2_dz1
    ### END SOLUTION


# %% nbgrader={"grade_id": "gradients-bce-code", "solution": true}
def gradients_bce(x, y, W1, b1, W2, b2):
    ### BEGIN SOLUTION
    _, z2, z3, _ = forward_classification(x, W1, b1, W2, b2)
    delta2 = (z3.sigmoid() - y).div_(y.numel())
    delta1 = (W2.T @ delta2).mul_(1 - z2.square())
    return torch.outer(x.flatten(), delta1.flatten()), delta1.T, torch.outer(z2.flatten(), delta2.flatten()), delta2.T
    ### END SOLUTION


# %% nbgrader={"grade_id": "softargmax-code", "solution": true}
### BEGIN SOLUTION
softargmax_exact = {"real": False, "float32": True}
exact_logits = torch.tensor([[0.0], [-1e30]])
### END SOLUTION


# %% nbgrader={"grade_id": "graph-code", "solution": true}
### BEGIN SOLUTION
graph_edges = ("xa", "ya", "zb", "ob", "ac", "bc", "cw", "zw")
graph_places = {node: (i, -i % 3) for i, node in enumerate("xyzoabcw")}
### END SOLUTION


def graph_gradient(x, y, z, o):
    ### BEGIN SOLUTION
    return torch.tensor([z * o, z * o, (x + y) * o + 1, (x + y) * z], dtype=torch.double)
    ### END SOLUTION


# %% nbgrader={"grade_id": "slopes-code", "solution": true}
def relu_slope(x):
    ### BEGIN SOLUTION
    return x.gt(0).to(torch.int8)
    ### END SOLUTION


def leaky_relu_slope(x):
    ### BEGIN SOLUTION
    return torch.empty_like(x).fill_(0.01).masked_fill_(x > 0, 1.0)
    ### END SOLUTION


def softplus_slope(x):
    ### BEGIN SOLUTION
    return 0.5 + 0.5 * torch.tanh(x / 2)
    ### END SOLUTION


def gelu_slope(x):
    ### BEGIN SOLUTION
    x = x.double()
    return torch.special.ndtr(x).addcmul(x, torch.exp(x.square() / -2), value=(2 * math.pi) ** -0.5)
    ### END SOLUTION


def draw_slopes(ax):
    ### BEGIN SOLUTION
    x = torch.cat([torch.linspace(-4, 0, 400), torch.linspace(0, 4, 400)]).double()
    named = {
        "GELU": gelu_slope,
        "ReLU": relu_slope,
        "Softplus(β=1)": softplus_slope,
        "LeakyReLU(0.01)": leaky_relu_slope,
    }
    for name, slope in named.items():
        ax.plot(x, slope(x), label=name, lw=1)
    ax.set(xlabel="$x$", ylabel="$f'(x)$", xlim=(-4, 4))
    ax.legend()
    ### END SOLUTION


# %% nbgrader={"grade_id": "maps-code", "solution": true}
rotation = lambda theta: torch.view_as_real(torch.polar(torch.ones(2), torch.tensor([theta, theta + math.pi / 2]))).T  # noqa: E731
reflection = lambda theta: rotation(2 * theta) * torch.tensor([1, -1])  # noqa: E731
scaling = lambda s_x, s_y: torch.diag_embed(torch.tensor((s_x, s_y)))  # noqa: E731
shear = lambda k: torch.eye(2).index_put((torch.tensor(0), torch.tensor(1)), torch.tensor(k))  # noqa: E731


def collapse(W1, b1, W2, b2):
    ### BEGIN SOLUTION
    both = torch.addmm(functional.pad(b2, (W1.shape[1], 0)), W2, torch.hstack([W1, b1]))
    return both.split([W1.shape[1], 1], dim=1)
    ### END SOLUTION
