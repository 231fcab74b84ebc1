# A learning rate that is low from the middle on.
# ruff: noqa: F821 (the other names are those of the notebook)

# %% nbgrader={"grade_id": "train-code", "solution": true}
def train(model, batches, epochs):
    adam = torch.optim.Adam(model.parameters(), lr=0.007)
    losses = []
    for epoch in range(epochs):
        for group in adam.param_groups:
            group["lr"] = 0.007 * min(1.0, 1.6 * (1.02 - epoch / epochs))
        for x, y in batches:
            loss = functional.cross_entropy(model(x), y)
            adam.zero_grad()
            loss.backward()
            adam.step()
            losses.append(loss.item())
    return losses
