# Loops over heads, over places and over patches; a norm of one's own; plain stochastic steps by NAdam.
# ruff: noqa: F821 (the other names are those of the notebook)


# %% nbgrader={"grade_id": "attention-code", "solution": true}
def attention(Q, K, V, beta=None, mask=None):
    if beta is None:
        beta = 1 / Q.shape[-1] ** 0.5
    scores = beta * (Q[..., :, None, :] * K[..., None, :, :]).sum(-1)
    if mask is None:
        mask = torch.ones_like(scores, dtype=torch.bool)
    scores = torch.where(mask, scores, torch.tensor(-1e30, device=scores.device))
    powers = torch.exp(scores - scores.amax(-1, keepdim=True)) * mask
    A = powers / powers.sum(-1, keepdim=True)
    return torch.matmul(A, V), A


# %% nbgrader={"grade_id": "heads-code", "solution": true}
class MultiHeadAttention(nn.Module):
    def __init__(self, embed_dim, num_heads):
        super().__init__()
        self.num_heads = num_heads
        self.W_Q = nn.Linear(embed_dim, embed_dim)
        self.W_K = nn.Linear(embed_dim, embed_dim)
        self.W_V = nn.Linear(embed_dim, embed_dim)
        self.W_O = nn.Linear(embed_dim, embed_dim)

    def forward(self, queries, keys, values, mask=None):
        if mask is not None:
            mask = mask.expand(len(queries), self.num_heads, queries.shape[1], keys.shape[1])
        Q, K, V = self.W_Q(queries), self.W_K(keys), self.W_V(values)
        parts = zip(*(x.chunk(self.num_heads, dim=-1) for x in (Q, K, V)), strict=True)
        found = [attention(*part, mask=None if mask is None else mask[:, k]) for k, part in enumerate(parts)]
        return self.W_O(torch.cat([H for H, _ in found], dim=-1)), torch.stack([A for _, A in found], dim=1)


# %% nbgrader={"grade_id": "encoding-code", "solution": true}
def sinusoidal_encoding(length, dim):
    rows = []
    for p in range(length):
        angles = [p / 10000 ** (2 * i / dim) for i in range(dim // 2)]
        rows.append([f(angle) for angle in angles for f in (math.sin, math.cos)])
    return torch.tensor(rows)


def causal_mask(n):
    return torch.tensor([[j <= i for j in range(n)] for i in range(n)])


# %% nbgrader={"grade_id": "block-code", "solution": true}
class Norm(nn.Module):
    def __init__(self, size):
        super().__init__()
        self.gain, self.offset = nn.Parameter(torch.ones(size)), nn.Parameter(torch.zeros(size))

    def forward(self, x):
        centred = x - x.mean(-1, keepdim=True)
        return self.gain * centred / torch.sqrt(centred.pow(2).mean(-1, keepdim=True) + 1e-5) + self.offset


class TransformerBlock(nn.Module):
    def __init__(self, embed_dim, num_heads, mlp_dim, dropout):
        super().__init__()
        self.look, self.think = MultiHeadAttention(embed_dim, num_heads), nn.Linear(embed_dim, mlp_dim)
        self.say = nn.Linear(mlp_dim, embed_dim)
        self.norms = nn.ModuleList([Norm(embed_dim), Norm(embed_dim)])
        self.drops = nn.ModuleList([nn.Dropout(dropout), nn.Dropout(dropout)])

    def forward(self, x, mask=None):
        seen = self.norms[0](x)
        seen = self.look(queries=seen, keys=seen, values=seen, mask=mask)
        x = self.drops[0](seen[0]) + x
        return self.drops[1](self.say(functional.gelu(self.think(self.norms[1](x)), approximate="tanh"))) + x


# %% nbgrader={"grade_id": "train-code", "solution": true}
def train(model, sample, steps, lr=0.003):
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.NAdam(model.parameters(), lr=lr)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    model.train()
    history = torch.zeros(steps)
    for step in range(steps):
        x, y = sample()
        scores = model(x.to(device))
        loss = criterion(scores.reshape(-1, scores.shape[-1]), y.to(device).reshape(-1))
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        schedule.step()
        history[step] = loss.detach()
    return history.tolist()


# %% nbgrader={"grade_id": "patches-code", "solution": true}
class PatchEmbedding(nn.Module):
    def __init__(self, image_size, patch_size, in_channels, embed_dim):
        super().__init__()
        self.corners = [(r, c) for r in range(0, image_size, patch_size) for c in range(0, image_size, patch_size)]
        self.p = patch_size
        self.linear = nn.Linear(patch_size * patch_size * in_channels, embed_dim)

    def forward(self, images):
        pixels = images.movedim(1, -1)  # (B, H, W, C)
        patches = [pixels[:, r : r + self.p, c : c + self.p].flatten(1) for r, c in self.corners]
        return torch.stack([self.linear(patch) for patch in patches], dim=1)


# %% nbgrader={"grade_id": "vit-code", "solution": true}
class VisionTransformer(nn.Module):
    def __init__(
        self, image_size, patch_size, in_channels, embed_dim, num_heads, mlp_dim, num_layers, num_classes, dropout=0.1
    ):
        super().__init__()
        side = image_size // patch_size
        self.embed = PatchEmbedding(image_size, patch_size, in_channels, embed_dim)
        self.first = nn.Parameter(torch.randn(embed_dim) / 50)
        self.where = nn.Parameter(torch.randn(side * side + 1, embed_dim) / 50)
        for k in range(num_layers):
            self.add_module(f"block{k}", TransformerBlock(embed_dim, num_heads, mlp_dim, dropout))
        self.layers = num_layers
        self.head = nn.Sequential(Norm(embed_dim), nn.Linear(embed_dim, num_classes))

    def forward(self, images):
        tokens = self.embed(images)
        x = torch.stack([torch.vstack([self.first, example]) + self.where for example in tokens])
        for k in range(self.layers):
            x = getattr(self, f"block{k}")(x)
        return self.head(x)[:, 0]


# %% nbgrader={"grade_id": "rollout-code", "solution": true}
def attention_rollout(maps):
    B, _, n, _ = maps[0].shape
    R = torch.eye(n, device=maps[0].device).repeat(B, 1, 1)
    for A in maps:
        R = 0.5 * R + 0.5 * torch.einsum("bhij,bjk->bik", A, R) / A.shape[1]
    return R
