# One dream whose priors are part of the loss: a penalty on rough images, and the clamp by torch.where.
# ruff: noqa: F821 (the other names are those of the notebook)

# %% nbgrader={"grade_id": "dream-code", "solution": true}
def dream(image, model, label, iterations=128, lr=0.1, roughness=0.5):
    def neat(x):
        return (x - x.roll(1, -1)).pow(2).sum() + (x - x.roll(1, -2)).pow(2).sum() + 0.2 * x.pow(2).sum()

    x = image.clone()
    for _ in range(iterations):
        x = gradient_descent(x, model, lambda scores: scores[0, label], 1, lr)
        x = x - lr * roughness * input_gradient(x, neat, lambda value: value)
        x = torch.where(x < 0, 0.0, torch.where(x > 1, 1.0, x))
    return x
