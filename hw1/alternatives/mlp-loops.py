# A beginner's answers: loops over rows and entries, lists and plain floats, helper functions beside the classes.
# ruff: noqa: F821 (the other names are those of the notebook)

# %% nbgrader={"grade_id": "numerical-gradient-code", "solution": true}
def numerical_gradient(f, x, eps=1e-6):
    flat = x.clone().reshape(-1)
    values = []
    for i in range(len(flat)):
        up = flat.clone()
        down = flat.clone()
        up[i] = up[i] + eps
        down[i] = down[i] - eps
        difference = float(f(up.reshape(x.shape))) - float(f(down.reshape(x.shape)))
        values.append(difference / (2 * eps))
    return torch.tensor(values, dtype=torch.float64).reshape(x.shape)


# %% nbgrader={"grade_id": "step-prediction-answer", "solution": true}
step_prediction = "B"


# %% nbgrader={"grade_id": "linear", "solution": true}
class Linear:
    def __init__(self, in_features, out_features, bias=True):
        self.in_features = in_features
        self.out_features = out_features
        self.weight = torch.randn(out_features, in_features) * 0.5
        self.bias = torch.zeros(out_features)
        self.weight_grad = torch.zeros(out_features, in_features)
        self.bias_grad = torch.zeros(out_features)

    def forward(self, x):
        self.last_x = x
        y = torch.zeros(x.shape[0], self.out_features, dtype=x.dtype)
        for i in range(x.shape[0]):
            for k in range(self.out_features):
                y[i, k] = (self.weight[k] * x[i]).sum() + self.bias[k]
        return y

    def backward(self, dy):
        dx = torch.zeros_like(self.last_x)
        for i in range(dy.shape[0]):
            for k in range(dy.shape[1]):
                self.weight_grad[k] += dy[i, k] * self.last_x[i]
                self.bias_grad[k] += dy[i, k]
                dx[i] += dy[i, k] * self.weight[k]
        return dx


# %% nbgrader={"grade_id": "activations", "solution": true}
def step(x):
    result = torch.zeros_like(x)
    result[x > 0] = 1
    return result


def squash(x):
    return 0.5 * (1 + torch.tanh(x / 2))


class ReLU:
    def forward(self, x):
        self.slope = step(x)
        return self.slope * x

    def backward(self, dy):
        dx = dy.clone()
        dx[self.slope == 0] = 0
        return dx


class Sigmoid:
    def forward(self, x):
        self.x = x.clone()
        return squash(x)

    def backward(self, dy):
        s = squash(self.x)
        return dy * (s - s * s)


# %% nbgrader={"grade_id": "mse", "solution": true}
def mse_loss(y, y_hat):
    B, K = y.shape
    J = 0.0
    dJdy_hat = torch.zeros(B, K)
    for i in range(B):
        for k in range(K):
            d = float(y_hat[i, k]) - float(y[i, k])
            J += d**2 / (B * K)
            dJdy_hat[i, k] = 2 * d / (B * K)
    return J, dJdy_hat


# %% nbgrader={"grade_id": "bce", "solution": true}
def careful_log(p):
    if p == 0:
        return -100.0
    return max(math.log(p), -100.0)


def bce_loss(y, y_hat):
    B, K = y.shape
    J = 0.0
    dJdy_hat = torch.zeros(B, K)
    for i in range(B):
        for k in range(K):
            label, p = float(y[i, k]), float(y_hat[i, k])
            J -= label * careful_log(p) + (1 - label) * careful_log(1 - p)
            dJdy_hat[i, k] = (p - label) / max(p * (1 - p), 1e-12) / (B * K)
    return J / (B * K), dJdy_hat


# %% nbgrader={"grade_id": "mlp", "solution": true}
def make_function(name):
    if name == "relu":
        return ReLU()
    elif name == "sigmoid":
        return Sigmoid()
    elif name == "identity":
        return Identity()
    else:
        raise ValueError("unknown function: " + str(name))


class MLP:
    def __init__(
        self,
        linear_1_in_features,
        linear_1_out_features,
        f_function,
        linear_2_in_features,
        linear_2_out_features,
        g_function,
    ):
        self.linear1 = Linear(linear_1_in_features, linear_1_out_features, bias=True)
        self.f = make_function(f_function)
        self.linear2 = Linear(linear_2_in_features, linear_2_out_features, bias=True)
        self.g = make_function(g_function)
        self.parameters = {}
        self.parameters["b2"] = self.linear2.bias
        self.parameters["W2"] = self.linear2.weight
        self.parameters["b1"] = self.linear1.bias
        self.parameters["W1"] = self.linear1.weight
        self.grads = {}
        self.grads["dJdb2"] = self.linear2.bias_grad
        self.grads["dJdW2"] = self.linear2.weight_grad
        self.grads["dJdb1"] = self.linear1.bias_grad
        self.grads["dJdW1"] = self.linear1.weight_grad
        self.cache = {}

    def forward(self, x):
        self.cache["x"] = x
        self.cache["z1"] = self.linear1.forward(self.cache["x"])
        self.cache["z2"] = self.f.forward(self.cache["z1"])
        self.cache["z3"] = self.linear2.forward(self.cache["z2"])
        self.cache["y_hat"] = self.g.forward(self.cache["z3"])
        return self.cache["y_hat"]

    def backward(self, dJdy_hat):
        d = self.g.backward(dJdy_hat)
        d = self.linear2.backward(d)
        d = self.f.backward(d)
        d = self.linear1.backward(d)
        return d

    def clear_grad_and_cache(self):
        for name in self.grads:
            self.grads[name][...] = 0
        for name in list(self.cache):
            del self.cache[name]


# %% nbgrader={"grade_id": "train-step-code", "solution": true}
def train_step(mlp, loss_function, x, y, learning_rate):
    mlp.clear_grad_and_cache()
    prediction = mlp.forward(x)
    loss, slope = loss_function(y, prediction)
    loss = float(loss)
    mlp.backward(slope)
    mlp.parameters["W1"] -= learning_rate * mlp.grads["dJdW1"]
    mlp.parameters["b1"] -= learning_rate * mlp.grads["dJdb1"]
    mlp.parameters["W2"] -= learning_rate * mlp.grads["dJdW2"]
    mlp.parameters["b2"] -= learning_rate * mlp.grads["dJdb2"]
    mlp.clear_grad_and_cache()
    return loss


# %% nbgrader={"grade_id": "value-code", "solution": true}
def as_value(number):
    if isinstance(number, Value):
        return number
    return Value(number)


class Value:
    """Each result keeps a function that hands its gradient on to its parents."""

    def __init__(self, data, parents=(), op=""):
        self.data = data
        self.grad = 0
        self.parents = parents
        self.op = op
        self.hand_on = None

    def __add__(self, other):
        other = as_value(other)
        result = Value(self.data + other.data, (self, other), "plus")

        def hand_on():
            self.grad += result.grad
            other.grad += result.grad

        result.hand_on = hand_on
        return result

    def __mul__(self, other):
        other = as_value(other)
        result = Value(self.data * other.data, (self, other), "times")

        def hand_on():
            self.grad += other.data * result.grad
            other.grad += self.data * result.grad

        result.hand_on = hand_on
        return result

    def __pow__(self, n):
        result = Value(self.data**n, (self,), "to the power")

        def hand_on():
            self.grad += n * self.data ** (n - 1) * result.grad

        result.hand_on = hand_on
        return result

    def exp(self):
        result = Value(math.exp(self.data), (self,), "e to the power")

        def hand_on():
            self.grad += result.data * result.grad

        result.hand_on = hand_on
        return result

    def log(self):
        result = Value(math.log(self.data), (self,), "ln")

        def hand_on():
            self.grad += result.grad / self.data

        result.hand_on = hand_on
        return result

    def relu(self):
        result = Value(self.data if self.data > 0 else 0, (self,), "max(0, ·)")

        def hand_on():
            if self.data > 0:
                self.grad += result.grad

        result.hand_on = hand_on
        return result

    def backward(self):
        found = []

        def look(value):
            for parent in value.parents:
                if parent not in found:
                    look(parent)
            if value not in found:
                found.append(value)

        look(self)
        self.grad = 1
        for value in reversed(found):
            if value.hand_on is not None:
                value.hand_on()

    def __neg__(self):
        return self * -1

    def __sub__(self, other):
        return self + -other

    def __rsub__(self, other):
        return -self + other

    def __truediv__(self, other):
        return self * other**-1

    def __rtruediv__(self, other):
        return self**-1 * other

    __radd__, __rmul__ = __add__, __mul__
