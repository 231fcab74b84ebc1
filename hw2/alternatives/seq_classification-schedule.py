# A learning rate that is low from the middle on; loops over numbers, as a beginner writes them.
# ruff: noqa: F821 (the other names are those of the notebook)

# %% nbgrader={"grade_id": "train-code", "solution": true}
def train(model, batches, epochs, highest=0.007):
    model.train()
    losses = []
    criterion = nn.CrossEntropyLoss(reduction="none")
    optimizer = torch.optim.Adam(model.parameters(), lr=highest)
    epoch = 0
    while epoch < epochs:
        rate = highest
        if epoch > 0.4 * epochs:
            rate = highest * 1.6 * (1.02 - epoch / epochs)
        for group in optimizer.param_groups:
            group["lr"] = rate
        for i in range(len(batches)):
            sequences = batches[i][0]
            classes = batches[i][1]
            each = criterion(model(sequences), classes)
            optimizer.zero_grad()
            each.mean().backward()
            optimizer.step()
            losses.append(each.mean().item())
        epoch = epoch + 1
    model.eval()
    return losses
