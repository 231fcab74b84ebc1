# Adam, and gradients whose entries are clipped one by one; a class in place of a loop.
# ruff: noqa: F821 (the other names are those of the notebook)

# %% nbgrader={"grade_id": "train-code", "solution": true}
def shorten(model):
    """Shortens what is too long, in place."""
    for weight in model.parameters():
        weight.grad = weight.grad.clip(-0.1, 0.1)


class spike:
    def __init__(self, model, lr=0.006):
        self.model, self.adam = model, torch.optim.Adam(model.parameters(), lr=lr)

    def __call__(self, batch):
        x, y = batch
        logits = self.model(x)
        loss = -logits.log_softmax(dim=1)[torch.arange(len(y)), y].mean()
        self.model.zero_grad()
        loss.backward()
        shorten(self.model)
        self.adam.step()
        return loss.detach()


def train(model, batches, epochs):
    one = spike(model)
    losses = []
    for _ in range(epochs):
        losses.extend(map(one, batches))
    return torch.stack(losses).tolist()
