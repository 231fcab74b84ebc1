# Patches by unfold, heads by a batch of matrices, dropout also on the tokens, positions of shape (1, n, e).
# ruff: noqa: F821 (the other names are those of the notebook)


# %% nbgrader={"grade_id": "attention-code", "solution": true}
def attention(Q, K, V, beta=None, mask=None):
    scores = torch.matmul(Q, K.mT).mul(Q.shape[-1] ** -0.5 if beta is None else beta)
    if mask is not None:
        scores[(~mask).expand_as(scores)] = torch.finfo(scores.dtype).min
    A = functional.softmax(scores, -1)
    return A.matmul(V), A


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
        Q, K, V = (
            torch.stack(layer(x).split(x.shape[-1] // self.num_heads, dim=-1), dim=1)
            for layer, x in ((self.W_Q, queries), (self.W_K, keys), (self.W_V, values))
        )
        H, A = attention(Q, K, V, None, mask)
        return self.W_O(torch.cat(H.unbind(1), dim=-1)), A


# %% nbgrader={"grade_id": "encoding-code", "solution": true}
def sinusoidal_encoding(length, dim):
    turns = torch.view_as_real(torch.polar(torch.ones(length, dim // 2), angles(length, dim)))  # cosine, sine
    return turns.flip(-1).flatten(1)


def angles(length, dim):
    return torch.arange(length).unsqueeze(1) / torch.logspace(0, 4, dim // 2 + 1)[:-1]


def causal_mask(n):
    return ~torch.triu(torch.ones(n, n), diagonal=1).bool()


# %% nbgrader={"grade_id": "block-code", "solution": true}
class TransformerBlock(nn.Module):
    def __init__(self, embed_dim, num_heads, mlp_dim, dropout):
        super().__init__()
        self.mha = MultiHeadAttention(embed_dim, num_heads)
        self.before_mha = nn.LayerNorm(embed_dim)
        self.after_mha = nn.Dropout(dropout)
        self.mlp = nn.Sequential(
            nn.LayerNorm(embed_dim),
            nn.Linear(embed_dim, mlp_dim),
            nn.GELU(),
            nn.Linear(mlp_dim, embed_dim),
            nn.Dropout(dropout),
        )

    def forward(self, x, mask=None):
        z = self.before_mha(x)
        z, _ = self.mha(z, z, z, mask=mask)
        x = torch.add(x, self.after_mha(z))
        return torch.add(x, self.mlp(x))


# %% nbgrader={"grade_id": "patches-code", "solution": true}
class PatchEmbedding(nn.Module):
    def __init__(self, image_size, patch_size, in_channels, embed_dim):
        super().__init__()
        self.unfold = nn.Unfold(patch_size, stride=patch_size)
        self.project = nn.Linear(in_channels * patch_size**2, embed_dim)

    def forward(self, images):
        return self.project(self.unfold(images).transpose(1, 2))


# %% nbgrader={"grade_id": "train-code", "solution": true}
def train(model, sample, steps, lr=0.004):
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=0.05)
    rising = torch.optim.lr_scheduler.LinearLR(optimizer, 0.01, total_iters=max(1, steps // 20))
    falling = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    schedule = torch.optim.lr_scheduler.ChainedScheduler([rising, falling])
    model = model.train()
    losses = []
    while len(losses) < steps:
        inputs, labels = sample()
        log_p = model(inputs.to(device)).log_softmax(-1)
        loss = -log_p.gather(-1, labels.to(device)[..., None]).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
    return losses


# %% nbgrader={"grade_id": "vit-code", "solution": true}
class VisionTransformer(nn.Module):
    def __init__(
        self, image_size, patch_size, in_channels, embed_dim, num_heads, mlp_dim, num_layers, num_classes, dropout=0.1
    ):
        super().__init__()
        self.embedding = PatchEmbedding(image_size, patch_size, in_channels, embed_dim)
        self.token = nn.Parameter(torch.empty(1, 1, embed_dim).normal_(std=0.02))
        self.positions = nn.Parameter(torch.empty(1, (image_size // patch_size) ** 2 + 1, embed_dim).normal_(std=0.02))
        self.drop = nn.Dropout(dropout)
        self.blocks = nn.Sequential(
            *(TransformerBlock(embed_dim, num_heads, mlp_dim, dropout) for _ in range(num_layers))
        )
        self.out = nn.Sequential(nn.LayerNorm(embed_dim), nn.Linear(embed_dim, num_classes))

    def forward(self, images):
        x = functional.pad(self.embedding(images), (0, 0, 1, 0))
        x = x + self.positions + functional.pad(self.token, (0, 0, 0, x.shape[1] - 1))
        return self.out(self.blocks(self.drop(x))[:, 0])
