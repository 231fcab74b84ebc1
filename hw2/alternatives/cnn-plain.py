# Everything spelt out: layers by name, functions in place of modules, a linear decay of Adam's rate by hand.
# ruff: noqa: F821 (the other names are those of the notebook)

# %% nbgrader={"grade_id": "block-code", "solution": true}
class ResidualBlock(nn.Module):
    def __init__(self, in_channels, out_channels, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, out_channels, kernel_size=3, stride=stride, padding=1)
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, kernel_size=3, padding="same")
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.downsample = None
        if stride != 1 or in_channels != out_channels:
            self.downsample = nn.Conv2d(in_channels, out_channels, kernel_size=1, stride=stride, bias=False)
            self.bn3 = nn.BatchNorm2d(out_channels)

    def forward(self, x):
        residual = x
        out = torch.relu_(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        if self.downsample is not None:
            residual = self.bn3(self.downsample(x))
        out += residual
        return torch.relu(out)


# %% nbgrader={"grade_id": "convnet-code", "solution": true}
class ConvNet(nn.Module):
    def __init__(self, num_classes):
        super().__init__()
        self.conv = nn.Conv2d(1, 8, 3, padding=1)
        self.bn = nn.BatchNorm2d(8)
        self.block1 = ResidualBlock(8, 16, 2)
        self.block2 = ResidualBlock(16, 32, 2)
        self.fc = nn.Linear(32, num_classes)

    def forward(self, x):
        x = functional.max_pool2d(torch.relu(self.bn(self.conv(x))), 2)
        x = self.block2(self.block1(x))
        return self.fc(x.mean(dim=(2, 3)))


# %% nbgrader={"grade_id": "loss-code", "solution": true}
def get_loss_and_correct(model, batch, criterion, device):
    x, y = [part.to(device, non_blocking=True) for part in batch]
    output = model(x)
    _, guess = torch.max(output.data, dim=-1)
    return criterion(output, y), torch.sum(guess == y)


# %% nbgrader={"grade_id": "step-code", "solution": true}
def step(loss, optimizer):
    loss.backward()
    optimizer.step()
    optimizer.zero_grad(set_to_none=False)


# %% nbgrader={"grade_id": "evaluate-code", "solution": true}
@torch.inference_mode()
def evaluate(model, loader):
    was_training = model.training
    model.eval()
    total = {"loss": 0.0, "correct": 0, "images": 0}
    criterion = nn.CrossEntropyLoss(reduction="sum")
    for batch in loader:
        loss, correct = get_loss_and_correct(model, batch, criterion, device)
        total["loss"] += float(loss)
        total["correct"] += int(correct)
        total["images"] += batch[1].numel()
    if was_training:
        model.train()
    return total["loss"] / total["images"], total["correct"] / total["images"]


# %% nbgrader={"grade_id": "train-code", "solution": true}
def train(model, loader, epochs, lr=0.01, after_epoch=None):
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=0.01)
    done, steps, history = 0, epochs * len(loader), []
    for _ in range(epochs):
        model.train()
        total = images = 0
        for batch in loader:
            for group in optimizer.param_groups:
                group["lr"] = lr * (1 - done / steps)
            loss, _ = get_loss_and_correct(model, batch, functional.cross_entropy, device)
            step(loss, optimizer)
            total, images, done = total + loss.item() * len(batch[0]), images + len(batch[0]), done + 1
        history.append(total / images)
        if after_epoch is not None:
            after_epoch()
    return history


# %% nbgrader={"grade_id": "permuted-prediction-code", "solution": true}
permuted_prediction = "A"
