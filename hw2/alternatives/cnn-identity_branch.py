# One forward for each kind of block, gradients by torch.autograd.grad, a mean that is carried along.
# ruff: noqa: F821 (the other names are those of the notebook)

# %% nbgrader={"grade_id": "block-code", "solution": true}
def conv_bn(i, o, k, s=1):
    return nn.Sequential(nn.Conv2d(i, o, k, s, k // 2, bias=False), nn.BatchNorm2d(o, eps=1e-4, affine=k == 3))


class ResidualBlock(nn.Module):
    def __init__(self, in_channels, out_channels, stride):
        super().__init__()
        self.a, self.b = conv_bn(in_channels, out_channels, 3, stride), conv_bn(out_channels, out_channels, 3)
        fits = stride == 1 and in_channels == out_channels
        self.c = None if fits else conv_bn(in_channels, out_channels, 1, stride)

    def forward(self, x):
        return (self.b(self.a(x).relu()) + (x if self.c is None else self.c(x))).relu_()


# %% nbgrader={"grade_id": "convnet-code", "solution": true}
class ConvNet(nn.Module):
    def __init__(self, num_classes):
        super().__init__()
        self.stem, self.blocks = (
            conv_bn(1, 12, 3, 2),
            nn.ModuleList([ResidualBlock(12, 24, 2), ResidualBlock(24, 36, 2)]),
        )
        self.head = nn.Linear(36, num_classes)

    def forward(self, x):
        x = functional.relu(self.stem(x))
        for block in self.blocks:
            x = block(x)
        return self.head(torch.amax(x, dim=(-2, -1)))


# %% nbgrader={"grade_id": "step-code", "solution": true}
def step(loss, optimizer):
    parameters = [p for group in optimizer.param_groups for p in group["params"] if p.requires_grad]
    slopes = torch.autograd.grad(loss, parameters, allow_unused=True)
    for p, slope in zip(parameters, slopes, strict=True):
        p.grad = slope
    return optimizer.step()


# %% nbgrader={"grade_id": "train-code", "solution": true}
def train(model, loader, epochs, lr=0.01, after_epoch=lambda: None):
    opt = torch.optim.Adam(model.parameters(), lr=lr)
    steps = epochs * len(loader)
    plan = torch.optim.lr_scheduler.LambdaLR(opt, lambda n: min(1.0, n / (0.2 * steps) + 0.1) * (1 - n / steps))
    history = []
    for _ in range(epochs):
        total = torch.zeros(())
        for k, batch in enumerate(loader):
            loss, _ = get_loss_and_correct(model.train(), batch, functional.cross_entropy, device)
            step(loss, opt), plan.step()
            total += (loss.detach() - total) / (k + 1)  # the mean so far
        history.append(float(total))
        if after_epoch is not None:
            after_epoch()
    return history
