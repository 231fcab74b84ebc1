# Classes with helpers, one forward hook in place of a wrapped model, and a dream by Adam with a smoothness penalty.
# ruff: noqa: F821 (the other names are those of the notebook)

# %% nbgrader={"grade_id": "input-gradient-code", "solution": true}
class Probe:
    """An image that asks for its gradient."""

    def __init__(self, image):
        self.pixels = torch.tensor(image.tolist(), dtype=image.dtype, requires_grad=True)

    def gradient(self, value):
        grads = torch.autograd.grad([value], [self.pixels], allow_unused=True)
        return torch.zeros_like(self.pixels) if grads[0] is None else grads[0]


def input_gradient(image, model, loss):
    probe = Probe(image)
    return probe.gradient(loss(model(probe.pixels)))


# %% nbgrader={"grade_id": "gradient-descent-code", "solution": true}
class Evaluating:
    """In this context every part of a network is in evaluation mode."""

    def __init__(self, model):
        parts = model.modules() if hasattr(model, "modules") else ()
        self.modes = [(part, part.training) for part in parts]

    def __enter__(self):
        for part, _ in self.modes:
            part.training = False
        return self

    def __exit__(self, *why):
        for part, mode in self.modes:
            part.training = mode


class Climber:
    def __init__(self, model, loss, lr, jitter):
        self.model, self.loss, self.lr, self.jitter = model, loss, lr, jitter

    def __call__(self, x):
        return self.model(normalize_and_jitter(x, self.jitter))

    def step(self, x):
        return torch.add(x, input_gradient(x, self, self.loss), alpha=self.lr)


def gradient_descent(image, model, loss, iterations=256, lr=0.05, jitter=1):
    x, climber = image.double().to(image.dtype, copy=True), Climber(model, loss, lr, jitter)
    with Evaluating(model):
        for _ in range(iterations):
            x = climber.step(x)
    return x


# %% nbgrader={"grade_id": "dream-code", "solution": true}
class Dreamer:
    def __init__(self, model, label, lr, rough):
        self.model, self.label, self.lr, self.rough = model, label, lr, rough

    def __call__(self, image, iterations):
        x = nn.Parameter(image.clone())
        adam = torch.optim.Adam([x], lr=self.lr)
        with Evaluating(self.model):
            for _ in range(iterations):
                scores = self.model(normalize_and_jitter(x, 2))
                steps = torch.diff(x, dim=-1).square().mean() + torch.diff(x, dim=-2).square().mean()
                cost = torch.nn.functional.cross_entropy(scores, torch.tensor([self.label]), reduction="sum")
                adam.zero_grad()
                (cost + self.rough * steps + 0.2 * x.square().mean()).backward(inputs=[x])
                adam.step()
                x.data.clamp_(0, 1)
        return x.data


def dream(image, model, label, iterations=128, lr=0.02, rough=2.0):
    return Dreamer(model, label, lr, rough)(image, iterations)
