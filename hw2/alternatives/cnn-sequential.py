# The block as a list of paths that are added up, the network as one nn.Sequential with average pooling; a copy that
# cannot learn is evaluated.
# ruff: noqa: F821 (the other names are those of the notebook)

# %% nbgrader={"grade_id": "block-code", "solution": true}
def normed(channels, kernels, size, stride=1):
    return [nn.Conv2d(channels, kernels, size, stride, padding=size // 2, bias=False), nn.BatchNorm2d(kernels)]


class ResidualBlock(nn.Module):
    def __init__(self, in_channels, out_channels, stride):
        super().__init__()
        first, second = normed(in_channels, out_channels, 3, stride), normed(out_channels, out_channels, 3)
        same = in_channels == out_channels and stride == 1
        short = [] if same else normed(in_channels, out_channels, 1, stride)
        self.paths = nn.ModuleList([nn.Sequential(*first, nn.ReLU(inplace=True), *second), nn.Sequential(*short)])

    def forward(self, x):
        return torch.stack([path(x) for path in self.paths]).sum(0).clamp(min=0)


# %% nbgrader={"grade_id": "convnet-code", "solution": true}
class ConvNet(nn.Sequential):
    def __init__(self, num_classes):
        super().__init__(
            nn.AvgPool2d(2),
            nn.Conv2d(1, 16, 3, padding=1),
            nn.BatchNorm2d(16),
            nn.LeakyReLU(0.1),
            ResidualBlock(16, 24, 2),
            ResidualBlock(24, 24, 1),
            nn.Conv2d(24, 32, 3),
            nn.BatchNorm2d(32),
            nn.ReLU(),
            nn.AdaptiveMaxPool2d(1),
            nn.Flatten(),
            nn.Dropout(0.1),
            nn.Linear(32, num_classes),
        )


# %% nbgrader={"grade_id": "evaluate-code", "solution": true}
def evaluate(model, loader):
    import copy

    frozen = copy.deepcopy(model).requires_grad_(False).eval()  # without parameters to learn there is no graph
    losses, hits = [], []
    for images, labels in loader:
        log_p = frozen(images.to(device)).double().log_softmax(1)
        losses += (-log_p.gather(1, labels.to(device)[:, None])).flatten().tolist()
        hits += (log_p.argmax(1).cpu() == labels.cpu()).tolist()
    return sum(losses) / len(losses), sum(hits) / len(hits)


# %% nbgrader={"grade_id": "train-code", "solution": true}
def train(model, loader, epochs, lr=0.004, after_epoch=None):
    optimizer = torch.optim.NAdam(model.parameters(), lr=lr)
    schedule = torch.optim.lr_scheduler.PolynomialLR(optimizer, epochs * len(loader), power=1.0)
    history = []
    while len(history) < epochs:
        model.train()
        losses = torch.zeros(0)
        for batch in loader:
            loss, _ = get_loss_and_correct(model, batch, nn.CrossEntropyLoss(label_smoothing=0.0), device)
            step(loss, optimizer)
            schedule.step()
            losses = torch.cat([losses, loss.detach().cpu()[None]])
        history.append(losses.mean().item())
        if after_epoch:
            after_epoch()
    return history


# %% nbgrader={"grade_id": "permuted-prediction-code", "solution": true}
permuted_prediction = "C"
