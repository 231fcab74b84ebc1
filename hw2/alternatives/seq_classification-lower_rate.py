# Nothing but another optimiser, AMSGrad, and a lower rate.
# ruff: noqa: F821 (the other names are those of the notebook)

# %% nbgrader={"grade_id": "train-code", "solution": true}
def train(model, batches, epochs):
    optimizer = torch.optim.Adam(model.parameters(), lr=0.005, amsgrad=True)

    def step(x, y):
        optimizer.zero_grad()
        loss = functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss.item()

    return [step(x, y) for _ in range(epochs) for x, y in batches]
