# Gradients averaged over two batches, squared ones over a long time (AMSGrad), and in the end the weights, too.
# ruff: noqa: F821 (the other names are those of the notebook)

# %% nbgrader={"grade_id": "train-code", "solution": true}
def train(model, batches, epochs):
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01, amsgrad=True)
    mean = [parameter.detach().clone() for parameter in model.parameters()]
    losses = []
    for _ in range(epochs):
        for k in range(0, len(batches), 2):
            pair, total = batches[k : k + 2], 0.0
            for x, y in pair:
                loss = functional.cross_entropy(model(x), y) / len(pair)
                loss.backward()
                total += loss.item()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()
            losses.append(total)
            for average, parameter in zip(mean, model.parameters(), strict=True):
                average.lerp_(parameter.detach(), 0.05)
    with torch.no_grad():
        for average, parameter in zip(mean, model.parameters(), strict=True):
            parameter.copy_(average)
    return losses
