# Classes and helpers of one's own, with names that locked cells use as well.
# ruff: noqa: F821 (the other names are those of the notebook)

# %% nbgrader={"grade_id": "sgd-steps-code", "solution": true}
class Toy:
    """One iteration of training."""

    def __init__(self, model, criterion, optimiser):
        self.model, self.criterion, self.optimiser = model, criterion, optimiser

    def rehearse(self, batch):
        loss, dl_dyhat = self.criterion(self.model(batch[0]), batch[1])
        self.model.backward(dl_dyhat)
        self.optimiser.step()
        self.optimiser.zero_grad()  # for the next iteration
        return float(loss)


def train(model, criterion, optimiser, batches, epochs):
    ### BEGIN SOLUTION
    losses, toy = [], Toy(model, criterion, optimiser)
    for _ in range(epochs):
        losses += [toy.rehearse(batch) for batch in batches]
    return tuple(losses)
    ### END SOLUTION


# %% nbgrader={"grade_id": "forward-regression-code", "solution": true}
def relu(z):
    return z.clamp(min=0)


class Linear:
    def __init__(self, W, b):
        self.W, self.b = W, b

    def __call__(self, v):
        return self.W @ v + self.b


# parameter: scale
def forward_regression(x, W1, b1, W2, b2, *, scale=5.0):
    ### BEGIN SOLUTION
    z1 = Linear(W1, b1)(x)
    z2 = scale * relu(z1)
    y_hat = Linear(W2, b2)(z2)
    return z1, z2, y_hat, y_hat
    ### END SOLUTION


# %% nbgrader={"grade_id": "chain-rule-code", "solution": true}
def r(gradient, *factors):
    for factor in factors:
        gradient = gradient.mm(factor)
    return gradient


def A(column, row):
    return torch.kron(column, row)


def chain_rule(x, z2, W2, dl_dyhat, dyhat_dz3, dz2_dz1):
    ### BEGIN SOLUTION
    upper, lower = r(dl_dyhat, dyhat_dz3), r(dl_dyhat, dyhat_dz3, W2, dz2_dz1)
    return A(x, lower), lower, A(z2, upper), upper
    ### END SOLUTION


# %% nbgrader={"grade_id": "factors-regression-code", "solution": true}
def z1(column):
    """A diagonal matrix of the entries of a column."""
    return torch.eye(len(column)) * column


def dl_dyhat(y_hat, y):
    return (y_hat - y).mul(2).transpose(0, 1)


def factors_regression(z1_, y_hat, y):
    ### BEGIN SOLUTION
    # parameter: scale
    return dl_dyhat(y_hat, y), z1(torch.ones(len(y), 1)), z1(5 * (z1_ > 0))
    ### END SOLUTION


# %% nbgrader={"grade_id": "forward-classification-code", "solution": true}
def sigmoid(z):
    return 1 / (1 + torch.exp(-z))


def y(z):
    return torch.sinh(z) / torch.cosh(z)


def forward_classification(x, W1, b1, W2, b2):
    ### BEGIN SOLUTION
    z1 = Linear(W1, b1)(x)
    z2 = y(z1)
    z3 = Linear(W2, b2)(z2)
    return z1, z2, z3, sigmoid(z3)
    ### END SOLUTION


# %% nbgrader={"grade_id": "factors-classification-code", "solution": true}
def slope(value, f):
    return {"tanh": lambda: (1 - value) * (1 + value), "sigmoid": lambda: value - value * value}[f]()


def factors_classification(z2, y_hat, y):
    ### BEGIN SOLUTION
    return dl_dyhat(y_hat, y), z1(slope(y_hat, "sigmoid")), z1(slope(z2, "tanh"))
    ### END SOLUTION


# %% nbgrader={"grade_id": "gradients-classification-code", "solution": true}
class gradients:
    def __init__(self, x, y, *parameters):
        self.x, self.y, self.W2 = x, y, parameters[2]
        _, self.z2, _, self.y_hat = forward_classification(x, *parameters)

    def of(self, factors):
        return chain_rule(self.x, self.z2, self.W2, *factors(self.z2, self.y_hat, self.y))


def gradients_classification(x, y, W1, b1, W2, b2):
    ### BEGIN SOLUTION
    return gradients(x, y, W1, b1, W2, b2).of(factors_classification)
    ### END SOLUTION


# %% nbgrader={"grade_id": "bce-code", "solution": true}
def loss(y, log_p, log_q):
    return torch.where(y > 0.5, -log_p, -log_q).mean(dim=0)


def bce(y, y_hat):
    ### BEGIN SOLUTION
    return loss(y, y_hat.log(), (1 - y_hat).log())
    ### END SOLUTION


def bce_from_logits(y, z3):
    ### BEGIN SOLUTION
    return loss(y, functional.logsigmoid(z3), functional.logsigmoid(-z3))
    ### END SOLUTION


# %% nbgrader={"grade_id": "factors-bce-code", "solution": true}
def right(y, y_hat):
    return torch.where(y > 0.5, -1 / y_hat, 1 / (1 - y_hat)).div(y.shape[0])


def factors_bce(z2, y_hat, y):
    ### BEGIN SOLUTION
    return right(y, y_hat).T, z1(slope(y_hat, "sigmoid")), z1(slope(z2, "tanh"))
    ### END SOLUTION


# %% nbgrader={"grade_id": "gradients-bce-code", "solution": true}
def loss_of_logits(z2, y_hat, y):
    return (y_hat - y).T / y.shape[0], z1(torch.ones_like(y)), z1(slope(z2, "tanh"))


def gradients_bce(x, y, W1, b1, W2, b2):
    ### BEGIN SOLUTION
    return gradients(x, y, W1, b1, W2, b2).of(loss_of_logits)
    ### END SOLUTION


# %% nbgrader={"grade_id": "softargmax-code", "solution": true}
### BEGIN SOLUTION
signal, W = True, False
softargmax_exact = dict(real=W, float32=signal)  # noqa: C408
exact_logits = [1e4, -1e4, 0.0]
### END SOLUTION


# %% nbgrader={"grade_id": "graph-code", "solution": true}
### BEGIN SOLUTION
places = {"a": "x y", "b": "z o", "c": "a b", "w": "c z"}
graph_edges = {(start, end) for end, starts in places.items() for start in starts.split()}
levels = {"w": 3, "c": 2, "b": 1, "a": 1}
graph_places = {node: (levels.get(node, 0), 0.5 * i) for i, node in enumerate("xyzobacw")}
### END SOLUTION


class name:
    """A number that knows its slopes by the four inputs."""

    def __init__(self, value, slopes):
        self.value, self.slopes = value, slopes

    def __add__(self, other):
        return name(self.value + other.value, [p + q for p, q in zip(self.slopes, other.slopes, strict=True)])

    def __mul__(self, other):
        pairs = zip(self.slopes, other.slopes, strict=True)
        return name(self.value * other.value, [p * other.value + self.value * q for p, q in pairs])


def graph_gradient(x, y, z, o):
    ### BEGIN SOLUTION
    x, y, z, o = (name(value, [float(i == k) for k in range(4)]) for i, value in enumerate((x, y, z, o)))
    return tuple(((x + y) * (z * o) + z).slopes)
    ### END SOLUTION


# %% nbgrader={"grade_id": "slopes-code", "solution": true}
def curve(x, left, right):
    slopes = torch.full_like(x, left)
    slopes[x > 0] = right
    return slopes


def relu_slope(x):
    ### BEGIN SOLUTION
    return curve(x, 0, 1)
    ### END SOLUTION


def leaky_relu_slope(x, negative_slope=0.01):
    ### BEGIN SOLUTION
    return curve(x, negative_slope, 1)
    ### END SOLUTION


def softplus_slope(x):
    ### BEGIN SOLUTION
    return sigmoid(x)
    ### END SOLUTION


def label(x):
    """The standard normal: its distribution function and its density."""
    normal = torch.distributions.Normal(0.0, 1.0)
    return normal.cdf(x), normal.log_prob(x).exp()


def gelu_slope(x):
    ### BEGIN SOLUTION
    below, density = label(x)
    return below + density * x
    ### END SOLUTION


def draw_slopes(ax):
    ### BEGIN SOLUTION
    slopes = {
        "ReLU": relu_slope,
        "LeakyReLU(0.01)": leaky_relu_slope,
        "Softplus(β=1)": softplus_slope,
        "GELU": gelu_slope,
    }
    left, right = torch.linspace(-4, -1e-4, 60), torch.linspace(1e-4, 4, 60)
    for name, of in slopes.items():
        gap = torch.tensor([float("nan")])  # no line from one side of a jump to the other
        ax.plot(torch.cat([left, gap, right]), torch.cat([of(left), gap, of(right)]), label=name)
    ax.set_xlabel("pre-activation")
    ### END SOLUTION


# %% nbgrader={"grade_id": "relu-statements-code", "solution": true}
### BEGIN SOLUTION
relu_statements = {letter: letter in "ACE" for letter in "FEDCBA"}
### END SOLUTION


# %% nbgrader={"grade_id": "maps-code", "solution": true}
def moved(e1, e2):
    """The matrix whose columns are the places of the two unit vectors."""
    return torch.stack([torch.tensor([float(v) for v in e1]), torch.tensor([float(v) for v in e2])], dim=1)


def letter(angle):
    return math.cos(angle), math.sin(angle)


def rotation(theta):
    ### BEGIN SOLUTION
    return moved(letter(theta), letter(theta + math.pi / 2))
    ### END SOLUTION


def reflection(theta):
    ### BEGIN SOLUTION
    return moved(letter(2 * theta), letter(2 * theta - math.pi / 2))
    ### END SOLUTION


def scaling(s_x, s_y):
    ### BEGIN SOLUTION
    return moved((s_x, 0), (0, s_y))
    ### END SOLUTION


def shear(k):
    ### BEGIN SOLUTION
    return moved((1, 0), (k, 1))
    ### END SOLUTION


def collapse(W1, b1, W2, b2):
    ### BEGIN SOLUTION
    second = Linear(W2, b2)
    b = second(b1)
    return torch.cat([second(column[:, None]) - b2 for column in W1.T], dim=1), b
    ### END SOLUTION
