# Sums spelt out by einsum, losses by torch's own logarithms, the network as a list of layers.
# ruff: noqa: F821 (the other names are those of the notebook)

# %% nbgrader={"grade_id": "numerical-gradient-code", "solution": true}
def numerical_gradient(f, x, eps=1e-6):
    steps = eps * torch.eye(x.numel(), dtype=x.dtype).reshape(-1, *x.shape)
    rise = torch.stack([torch.as_tensor(f(x + step)) - torch.as_tensor(f(x - step)) for step in steps])
    return rise.reshape(x.shape) / (2 * eps)


# %% nbgrader={"grade_id": "linear", "solution": true}
class Linear:
    def __init__(self, in_features, out_features):
        bound = in_features**-0.5
        self.weight = bound * (2 * torch.rand(out_features, in_features) - 1)
        self.bias = bound * (2 * torch.rand(out_features) - 1)
        self.weight_grad = torch.zeros(out_features, in_features)
        self.bias_grad = torch.zeros(out_features)

    def forward(self, x):
        self.input = x.clone()
        return torch.einsum("oi,bi->bo", self.weight, x) + self.bias

    def backward(self, dy):
        self.weight_grad = self.weight_grad + torch.einsum("bo,bi->oi", dy, self.input)
        self.bias_grad = self.bias_grad + torch.einsum("bo->o", dy)
        return torch.einsum("bo,oi->bi", dy, self.weight)


# %% nbgrader={"grade_id": "activations", "solution": true}
class ReLU:
    def forward(self, x):
        self.on = x > 0
        return torch.where(self.on, x, torch.zeros_like(x))

    def backward(self, dy):
        return torch.where(self.on, dy, torch.zeros_like(dy))


class Sigmoid:
    def forward(self, x):
        self.slope = torch.sigmoid(x) * torch.sigmoid(-x)
        return torch.sigmoid(x)

    def backward(self, dy):
        return dy * self.slope


# %% nbgrader={"grade_id": "mse", "solution": true}
def mse_loss(y, y_hat):
    B, K = y.shape
    return ((y - y_hat) ** 2).sum() / (B * K), (y_hat - y) * (2 / (B * K))


# %% nbgrader={"grade_id": "bce", "solution": true}
def bce_loss(y, y_hat):
    right = torch.where(y > 0.5, y_hat, 1 - y_hat)  # the probability of what is true
    J = -right.log().clamp(min=-100).mean()
    slope = (y_hat - y) / torch.maximum(y_hat * (1 - y_hat), torch.tensor(1e-12))
    return J, slope / y_hat.numel()


# %% nbgrader={"grade_id": "mlp", "solution": true}
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
        def function(name):
            if name == "relu":
                return ReLU()
            if name == "sigmoid":
                return Sigmoid()
            if name == "identity":
                return Identity()
            raise ValueError(f"there is no function {name!r}")

        first = Linear(linear_1_in_features, linear_1_out_features)
        second = Linear(linear_2_in_features, linear_2_out_features)
        self.layers = [first, function(f_function), second, function(g_function)]
        self.parameters = {"W1": first.weight, "b1": first.bias, "W2": second.weight, "b2": second.bias}
        self.clear_grad_and_cache()

    def forward(self, x):
        first, _, second, _ = self.layers
        first.weight, first.bias, second.weight, second.bias = (self.parameters[k] for k in ("W1", "b1", "W2", "b2"))
        self.cache = {"x": x}
        for layer in self.layers:
            x = self.cache[layer] = layer.forward(x)
        return x

    def backward(self, dJdy_hat):
        slope = dJdy_hat
        for layer in reversed(self.layers):
            slope = layer.backward(slope)
        self._note()

    def clear_grad_and_cache(self):
        for layer in self.layers[::2]:
            layer.weight_grad, layer.bias_grad = 0 * layer.weight, 0 * layer.bias
        self.cache = {}
        self._note()

    def _note(self):
        first, _, second, _ = self.layers
        self.grads = {
            "dJdW1": first.weight_grad,
            "dJdb1": first.bias_grad,
            "dJdW2": second.weight_grad,
            "dJdb2": second.bias_grad,
        }


# %% nbgrader={"grade_id": "train-step-code", "solution": true}
def train_step(mlp, loss_function, x, y, learning_rate):
    mlp.clear_grad_and_cache()
    J, slope = loss_function(y, mlp.forward(x))
    mlp.backward(slope)
    for name, parameter in mlp.parameters.items():
        parameter.sub_(mlp.grads["dJd" + name], alpha=learning_rate)
    return J
