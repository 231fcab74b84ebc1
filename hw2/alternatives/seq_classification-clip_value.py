# Adam, and gradients whose entries are clipped one by one.
# ruff: noqa: F821 (the other names are those of the notebook)

# %% nbgrader={"grade_id": "train-code", "solution": true}
def train(model, batches, epochs):
    adam = torch.optim.Adam(model.parameters(), lr=0.006)
    losses = []
    for _ in range(epochs):
        for x, y in batches:
            loss = functional.cross_entropy(model(x), y)
            adam.zero_grad()
            loss.backward()
            for parameter in model.parameters():
                parameter.grad.clamp_(-0.1, 0.1)
            adam.step()
            losses.append(loss.item())
    return losses
