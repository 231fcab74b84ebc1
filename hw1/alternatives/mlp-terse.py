# As few lines as possible.
# ruff: noqa: F821, E731 (the other names are those of the notebook)

# %% nbgrader={"grade_id": "numerical-gradient-code", "solution": true}
def numerical_gradient(f, x, eps=1e-6):
    g = torch.empty_like(x)
    for i, e in enumerate(torch.eye(x.numel(), dtype=x.dtype) * eps):
        g.view(-1)[i] = (f(x + e.view_as(x)) - f(x - e.view_as(x))) / (2 * eps)
    return g


# %% nbgrader={"grade_id": "step-prediction-answer", "solution": true}
step_prediction = "A"


# %% nbgrader={"grade_id": "linear", "solution": true}
class Linear:
    def __init__(self, n, m):
        self.weight, self.bias = torch.randn(m, n) / n**0.5, torch.randn(m) / 10
        self.weight_grad, self.bias_grad = torch.zeros(m, n), torch.zeros(m)

    def forward(self, x):
        self.x = x
        return torch.addmm(self.bias, x, self.weight.t())

    def backward(self, dy):
        self.weight_grad.addmm_(dy.t(), self.x)
        self.bias_grad += dy.t() @ torch.ones(len(dy), dtype=dy.dtype)
        return dy.mm(self.weight)


# %% nbgrader={"grade_id": "activations", "solution": true}
class _Elementwise:
    def forward(self, x):
        y, self.slope = self.both(x)
        return y

    def backward(self, dy):
        return self.slope * dy


class ReLU(_Elementwise):
    both = staticmethod(lambda x: (torch.relu(x), torch.heaviside(x, torch.tensor(0.0, dtype=x.dtype))))


class Sigmoid(_Elementwise):
    both = staticmethod(lambda x: (x.sigmoid(), x.sigmoid() * (-x).sigmoid()))


# %% nbgrader={"grade_id": "mse", "solution": true}
mse_loss = lambda y, y_hat: [((y_hat - y) ** 2).mean(), (y_hat - y) * 2 / y.numel()]


# %% nbgrader={"grade_id": "bce", "solution": true}
def bce_loss(y, y_hat):
    q, n = 1 - y_hat, y.numel()
    J = torch.where(y == 1, y_hat, q).log().clamp_min(-100).sum() / -n
    return J, torch.where(y == 1, -q, y_hat) / (y_hat * q).clamp_min(1e-12) / n


# %% nbgrader={"grade_id": "mlp", "solution": true}
class MLP:
    def __init__(self, n, hidden, f, hidden_again, out, g):
        kinds = {"relu": ReLU, "sigmoid": Sigmoid, "identity": Identity}
        try:
            self.chain = [Linear(n, hidden), kinds[f](), Linear(hidden_again, out), kinds[g]()]
        except KeyError as error:
            raise ValueError(f"no function {error}") from None
        self.cache, (a, _, b, _) = {}, self.chain
        self.parameters = {"W1": a.weight, "b1": a.bias, "W2": b.weight, "b2": b.bias}

    @property
    def grads(self):
        a, _, b, _ = self.chain
        return {"dJdW1": a.weight_grad, "dJdb1": a.bias_grad, "dJdW2": b.weight_grad, "dJdb2": b.bias_grad}

    def forward(self, x):
        for i, link in enumerate(self.chain):
            self.cache[i] = x
            x = link.forward(x)
        return x

    def backward(self, d):
        for link in self.chain[::-1]:
            d = link.backward(d)

    def clear_grad_and_cache(self):
        self.cache = {}
        for g in self.grads.values():
            g.zero_()


# %% nbgrader={"grade_id": "train-step-code", "solution": true}
def train_step(mlp, loss_function, x, y, learning_rate):
    mlp.clear_grad_and_cache()
    J, d = loss_function(y, mlp.forward(x))
    mlp.backward(d)
    for k, p in mlp.parameters.items():
        p.add_(mlp.grads["dJd" + k], alpha=-learning_rate)
    return J


# %% nbgrader={"grade_id": "value-code", "solution": true}
class Value:
    def __init__(self, data, *edges, op=""):
        self.data, self.grad, self.edges, self.op = data, 0, edges, op
        self.parents = [parent for parent, _ in edges]

    def __add__(self, other):
        v = other if isinstance(other, Value) else Value(other)
        return Value(self.data + v.data, (self, 1), (v, 1), op="+")

    def __mul__(self, other):
        v = other if isinstance(other, Value) else Value(other)
        return Value(self.data * v.data, (self, v.data), (v, self.data), op="*")

    def __pow__(self, n):
        return Value(self.data**n, (self, n * self.data**n / self.data), op="**")

    def exp(self):
        return Value(math.exp(self.data), (self, math.exp(self.data)), op="exp")

    def log(self):
        return Value(math.log(self.data), (self, 1 / self.data), op="log")

    def relu(self):
        return Value(max(0, self.data), (self, self.data > 0), op="relu")

    def backward(self, upstream=1):
        self.grad += upstream  # one path after the other
        for parent, slope in self.edges:
            parent.backward(slope * upstream)

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
