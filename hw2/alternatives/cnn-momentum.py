# Stochastic gradient descent with momentum and a cosine, a progress bar for each epoch, an evaluation that gathers
# everything before it measures.
# ruff: noqa: F821 (the other names are those of the notebook)

# %% nbgrader={"grade_id": "loss-code", "solution": true}
def get_loss_and_correct(model, batch, criterion, device):
    images, labels = batch
    labels = labels.to(device)
    scores = model(images.to(device))
    hits = torch.eq(scores.detach().topk(1, dim=1).indices.squeeze(1), labels)
    return criterion(scores, labels), int(torch.count_nonzero(hits))


# %% nbgrader={"grade_id": "step-code", "solution": true}
def step(loss, optimizer):
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            parameter.grad = None
    torch.autograd.backward(loss)
    optimizer.step()


# %% nbgrader={"grade_id": "evaluate-code", "solution": true}
def evaluate(model, loader):
    before = model.training
    model.train(False)
    with torch.no_grad():
        pairs = [(model(images.to(device)), labels.to(device)) for images, labels in loader]
    model.train(before)
    scores, labels = (torch.cat(parts) for parts in zip(*pairs, strict=True))
    accuracy = (scores.argmax(dim=1) == labels).double().mean()
    return functional.cross_entropy(scores, labels).item(), accuracy.item()


# %% nbgrader={"grade_id": "train-code", "solution": true}
from tqdm.auto import tqdm  # it asks a loader for two passes, and goes through one


def train(model, loader, epochs, lr=0.1, after_epoch=None):
    optimizer = torch.optim.SGD(model.parameters(), lr, momentum=0.9, nesterov=True, weight_decay=5e-4)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs * len(loader))
    history = []
    for epoch in range(epochs):
        model.train()
        history.append(0.0)
        for images, labels in tqdm(loader, desc=f"epoch {epoch}", disable=None):
            loss, _ = get_loss_and_correct(model, (images, labels), nn.CrossEntropyLoss(), device)
            step(loss, optimizer)
            schedule.step()
            history[epoch] += loss.item() / len(loader)
        (after_epoch or (lambda: None))()
    return history
