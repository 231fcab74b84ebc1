# Further arguments with defaults, a narrow first convolution, every second place taken by a slice, a class that trains.
# ruff: noqa: F821 (the other names are those of the notebook)

# %% nbgrader={"grade_id": "block-code", "solution": true}
class EverySecond(nn.Module):
    def __init__(self, stride):
        super().__init__()
        self.stride = stride

    def forward(self, x):
        return x[..., :: self.stride, :: self.stride]


class ResidualBlock(nn.Module):
    def __init__(self, in_channels, out_channels, stride=1, width=None, last_scale=1.0):
        super().__init__()
        width = width or (in_channels + out_channels) // 2
        self.layers = nn.ModuleDict(
            {
                "a": nn.Conv2d(in_channels, width, kernel_size=3, stride=stride, padding=1),
                "norm a": nn.BatchNorm2d(width, momentum=0.2),
                "b": nn.Conv2d(width, out_channels, kernel_size=3, stride=1, padding=1, bias=False),
                "norm b": nn.BatchNorm2d(out_channels, momentum=0.2),
            }
        )
        nn.init.constant_(self.layers["norm b"].weight, last_scale)
        nn.init.kaiming_normal_(self.layers["a"].weight)
        self.bring = lambda x: x
        if (in_channels, stride) != (out_channels, 1):
            one = nn.Conv2d(in_channels, out_channels, kernel_size=1)
            self.bring = nn.Sequential(EverySecond(stride), one, nn.BatchNorm2d(out_channels))

    def forward(self, x):
        y = x
        for name, layer in self.layers.items():
            y = layer(y)
            if name == "norm a":
                y = y.clamp(min=0.0)
        return functional.threshold(self.bring(x) + y, 0.0, 0.0)


# %% nbgrader={"grade_id": "convnet-code", "solution": true}
class ConvNet(nn.Module):
    def __init__(self, num_classes, channels=(12, 24, 32)):
        super().__init__()
        a, b, c = channels
        stem = nn.Conv2d(1, a, 5, padding=2, stride=2), nn.BatchNorm2d(a), nn.ReLU(inplace=True)
        self.features = nn.Sequential(*stem, ResidualBlock(a, b, 2, last_scale=0.5), ResidualBlock(b, c, 2, width=c))
        self.weight = nn.Parameter(torch.randn(num_classes, c) / c**0.5)
        self.bias = nn.Parameter(torch.zeros(num_classes))

    def forward(self, x):
        pooled = functional.avg_pool2d(self.features(x), 4)[:, :, 0, 0]
        return functional.linear(pooled, self.weight, self.bias)


# %% nbgrader={"grade_id": "loss-code", "solution": true}
def get_loss_and_correct(model, batch, criterion, device):
    images, labels = (torch.Tensor.to(part, device) for part in batch)
    logits = model(images)
    loss = criterion(logits, labels)
    best = logits.detach().max(dim=1, keepdim=True).values
    return loss, (logits.detach().gather(1, labels[:, None]) >= best).sum().cpu().numpy()


# %% nbgrader={"grade_id": "evaluate-code", "solution": true}
def evaluate(model, loader):
    came_training = model.training
    model.train(mode=False)
    sums = torch.zeros(3, dtype=torch.float64)
    with torch.inference_mode():
        for batch in loader:
            loss, correct = get_loss_and_correct(model, batch, nn.CrossEntropyLoss(reduction="sum"), device)
            sums += torch.tensor([float(loss), float(correct), float(batch[1].shape[0])])
    model.train(mode=came_training)
    loss, correct, images = sums.numpy()
    return loss / images, correct / images


# %% nbgrader={"grade_id": "train-code", "solution": true}
class Trainer:
    def __init__(self, model, lr, steps):
        self.model, self.optimizer = model, torch.optim.Adam(model.parameters(), lr=lr)
        cycle = {"total_steps": steps, "pct_start": 0.2, "anneal_strategy": "linear"}
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(self.optimizer, max_lr=lr, **cycle)

    def epoch(self, loader):
        self.model.train()
        total = 0.0
        for batch in loader:
            loss, _ = get_loss_and_correct(self.model, batch, functional.cross_entropy, device)
            step(loss, self.optimizer)
            self.schedule.step()
            total += loss.item()
        return total / len(loader)


def train(model, loader, epochs, lr=0.01, after_epoch=None, *, trainer=Trainer):
    history, own = [], trainer(model, lr, epochs * len(loader))
    for _ in range(epochs):
        history.append(own.epoch(loader))
        _ = after_epoch() if after_epoch else None
    return history


# %% nbgrader={"grade_id": "permuted-prediction-code", "solution": true}
permuted_prediction = "D"
