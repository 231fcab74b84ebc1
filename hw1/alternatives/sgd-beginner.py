# Step by step, everything spelt out, with an argument of its own that each function hands on.
# ruff: noqa: F821 (the other names are those of the notebook)

# %% nbgrader={"grade_id": "input-gradient-code", "solution": true}
def input_gradient(image, model, loss, verbose=False):
    my_image = image.clone()
    my_image = my_image.detach()
    my_image.requires_grad = True
    scores = model(my_image)
    value = loss(scores)
    value.backward(inputs=[my_image])
    result = my_image.grad.clone()

    if verbose:
        print("loss", value.item())
    return result


# %% nbgrader={"grade_id": "gradient-descent-code", "solution": true}
def gradient_descent(image, model, loss, iterations=256, lr=0.05, jitter=1, verbose=False):
    is_module = isinstance(model, torch.nn.Module)
    if is_module:
        was_training = model.training
        model.eval()
    x = image.clone().detach()
    for _ in range(iterations):

        def shaken_model(picture):
            shaken = normalize_and_jitter(picture, jitter)
            return model(shaken)

        g = input_gradient(x, shaken_model, loss, verbose=verbose)
        new_x = torch.zeros_like(x)
        new_x += x
        new_x += lr * g
        x = new_x
    if is_module:
        if was_training:
            model.train()
        else:
            model.eval()
    return x


# %% nbgrader={"grade_id": "dream-code", "solution": true}
def dream(image, model, label, iterations=128, step_size=0.25, fade=0.03, verbose=False):
    def score_of_label(scores):
        return scores[0][label]

    x = image.clone()
    for _ in range(iterations):
        x = gradient_descent(x, model, score_of_label, iterations=1, lr=step_size, jitter=1, verbose=verbose)
        x = x - fade * x
        x[x < 0] = 0
        x[x > 1] = 1
    return x
