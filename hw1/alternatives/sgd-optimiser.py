# An optimiser does the steps, the network is read through backward(inputs=…), and the dream rescales its gradients.
# ruff: noqa: F821 (the other names are those of the notebook)

# %% nbgrader={"grade_id": "input-gradient-code", "solution": true}
def input_gradient(image, model, loss):
    leaf = torch.nn.Parameter(image.detach().clone())
    loss(model(leaf)).backward(inputs=[leaf])
    return leaf.grad.detach()


# %% nbgrader={"grade_id": "gradient-descent-code", "solution": true}
def gradient_descent(image, model, loss, iterations=256, lr=0.05, jitter=1):
    modes = {part: part.training for part in model.modules()} if isinstance(model, nn.Module) else {}
    for part in modes:
        part.training = False
    pixels = image.detach().clone().requires_grad_(True)
    optimizer = torch.optim.SGD([pixels], lr=lr)
    for _ in range(iterations):
        optimizer.zero_grad()
        cost = -loss(model(normalize_and_jitter(pixels, jitter)))
        cost.backward(inputs=[pixels])
        optimizer.step()
    for part, mode in modes.items():
        part.training = mode
    return pixels.detach()


# %% nbgrader={"grade_id": "dream-code", "solution": true}
def dream(image, model, label, iterations=128, rate=0.03, shrink=0.01):
    def wish(scores):
        return scores.log_softmax(1)[0, label]

    for _ in range(iterations):
        ahead = gradient_descent(image, model, wish, iterations=1, lr=1.0)
        gradient = ahead - image
        image = image + rate * gradient / (gradient.std() + 1e-8)
        image = (0.5 + (1 - shrink) * (image - 0.5)).clamp(0, 1)
    return image
