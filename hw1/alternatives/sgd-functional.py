# torch.func in place of leaves and graphs, a hand-written roll, and a dream whose gradient is blurred.
# ruff: noqa: F821 (the other names are those of the notebook)

# %% nbgrader={"grade_id": "input-gradient-code", "solution": true}
def input_gradient(image, model, loss):
    def height(x):
        return loss(model(x))

    return torch.func.grad(height)(image.detach()).detach()


# %% nbgrader={"grade_id": "gradient-descent-code", "solution": true}
import contextlib


@contextlib.contextmanager
def quiet(model):
    before = getattr(model, "training", None)
    if before is not None:
        model.train(False)
    yield
    if before is not None:
        model.train(before)


def gradient_descent(image, model, loss, iterations=256, lr=0.05, jitter=1):
    image = image.clone()
    with quiet(model):
        for _ in range(iterations):
            rolls = torch.randint(-jitter, jitter + 1, (2,)).tolist()
            z = torch.roll((image - MEAN) / STD, rolls, (2, 3))
            gradient = input_gradient(z, model, loss)
            image = image + lr / STD * torch.roll(gradient, [-roll for roll in rolls], (2, 3))
    return image


# %% nbgrader={"grade_id": "dream-code", "solution": true}
def dream(image, model, label, iterations=128, lr=0.15):
    with quiet(model):
        for _ in range(iterations):

            def height(x):
                return model(normalize_and_jitter(x, 1))

            gradient = input_gradient(image, height, lambda scores: scores[0, label])
            image = torch.clip(image + lr * blur(blur(gradient)), 0, 1)
    return image
