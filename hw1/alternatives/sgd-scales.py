# Everything by plain backward() on copies, and a dream that begins small.
# ruff: noqa: F821 (the other names are those of the notebook)

# %% nbgrader={"grade_id": "gradient-descent-code", "solution": true}
import copy


def gradient_descent(image, model, loss, iterations=256, lr=0.05, jitter=1):
    twin = copy.deepcopy(model).eval() if isinstance(model, nn.Module) else model
    x = image.clone()
    step = 0
    while step < iterations:
        x.requires_grad_(True)
        loss(twin(normalize_and_jitter(x, jitter))).backward(inputs=[x])  # a function may have a network inside
        with torch.no_grad():
            x = x + lr * x.grad
        step += 1
    return x.detach()


# %% nbgrader={"grade_id": "dream-code", "solution": true}
def dream(image, model, label, iterations=128, lr=0.2, scales=(0.4, 0.7, 1.0)):
    size = image.shape[-2:]
    training = isinstance(model, nn.Module) and model.training
    if isinstance(model, nn.Module):
        model.eval()
    for scale in scales:
        small = [max(1, round(scale * n)) for n in size]
        x = functional.interpolate(image, size=small, mode="bilinear")
        for _ in range(iterations // len(scales)):

            def enlarged(x):
                return model(normalize_and_jitter(functional.interpolate(x, size=size, mode="bilinear"), 1))

            gradient = input_gradient(x, enlarged, lambda scores: scores[0, label])
            x = (x + lr * gradient * scale**2).clamp(0, 1)
        image = functional.interpolate(x, size=size, mode="bilinear")
    if training:
        model.train()
    return image
