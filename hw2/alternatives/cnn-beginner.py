# Biases everywhere, loops over examples, helpers whose names are those of locked cells, means kept as tensors.
# ruff: noqa: F821 (the other names are those of the notebook)

# %% nbgrader={"grade_id": "block-code", "solution": true}
class ResidualBlock(nn.Module):
    def __init__(self, in_channels, out_channels, stride):
        super().__init__()
        self.need_projection = stride == 2 or in_channels != out_channels
        if self.need_projection:
            self.conv0 = nn.Conv2d(in_channels, out_channels, (1, 1), (stride, stride))
            self.norm0 = nn.BatchNorm2d(out_channels)
        self.norm2 = nn.BatchNorm2d(out_channels)
        self.norm1 = nn.BatchNorm2d(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, (3, 3), padding=(1, 1))
        self.conv1 = nn.Conv2d(in_channels, out_channels, (3, 3), (stride, stride), (1, 1))
        nn.init.zeros_(self.norm2.weight)  # the block begins as its shortcut

    def forward(self, x):
        s = x.clone()
        if self.need_projection:
            s = self.norm0(self.conv0(x))
        h = self.conv1(x)
        h = self.norm1(h)
        h = nn.ReLU()(h)
        h = self.conv2(h)
        h = self.norm2(h)
        s += h
        return torch.maximum(s, torch.zeros_like(s))


# %% nbgrader={"grade_id": "convnet-code", "solution": true}
class ConvNet(nn.Module):
    def __init__(self, num_classes):
        super().__init__()
        self.conv = nn.Conv2d(1, 12, 5, stride=2, padding=2)
        self.bn = nn.BatchNorm2d(12)
        self.b1 = ResidualBlock(12, 24, 2)
        self.b2 = ResidualBlock(24, 32, 2)
        self.out = nn.Linear(32, num_classes)

    def forward(self, x):
        x = torch.relu(self.bn(self.conv(x)))
        x = self.b2(self.b1(x))
        B, C, H, W = x.shape
        x = x.reshape(B, C, H * W).sum(2) / (H * W)
        return self.out(x)


# %% nbgrader={"grade_id": "loss-code", "solution": true}
def accuracy(scores, y):
    n = 0
    for row, k in zip(scores.tolist(), y.tolist(), strict=True):
        if row.index(max(row)) == k:
            n = n + 1
    return n


def get_loss_and_correct(model, batch, criterion, device):
    x = batch[0].to(device=device)
    y = batch[1].to(device=device)
    scores = model(x)
    return [criterion(scores, y), float(accuracy(scores, y))]


# %% nbgrader={"grade_id": "evaluate-code", "solution": true}
def evaluate(model, loader):
    modes = [(module, module.training) for module in model.modules()]
    for module, _ in modes:
        module.training = False
    losses, hits = [], []
    for x, y in loader:
        with torch.no_grad():
            logp = model(x.to(device)).log_softmax(1).cpu()
        for i in range(len(y)):
            losses.append(-logp[i, y[i]])
            hits.append(logp[i].argmax() == y[i])
    for module, mode in modes:
        module.training = mode
    return torch.stack(losses).mean(), torch.stack(hits).double().mean()
