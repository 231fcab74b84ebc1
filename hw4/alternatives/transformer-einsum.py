# Attention by einsum and additive masks, fused reshapes, a convolution that cuts patches, Adam with a decay by hand.
# ruff: noqa: F821 (the other names are those of the notebook)


# %% nbgrader={"grade_id": "attention-code", "solution": true}
def attention(Q, K, V, beta=None, mask=None):
    beta = Q.size(-1) ** -0.5 if beta is None else beta
    scores = torch.einsum("...nd,...md->...nm", Q, K) * beta
    if mask is not None:
        scores = scores + torch.zeros(mask.shape, device=mask.device).masked_fill(mask.logical_not(), float("-inf"))
    A = torch.exp(scores - torch.logsumexp(scores, dim=-1, keepdim=True))
    return torch.einsum("...nm,...mt->...nt", A, V), A


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
        B, n, e = queries.shape
        d = e // self.num_heads
        Q = self.W_Q(queries).view(B, n, self.num_heads, d).permute(0, 2, 1, 3)
        K = self.W_K(keys).view(B, -1, self.num_heads, d).permute(0, 2, 1, 3)
        V = self.W_V(values).view(B, -1, self.num_heads, d).permute(0, 2, 1, 3)
        H, A = attention(Q, K, V, beta=d**-0.5, mask=mask)
        return self.W_O(H.permute(0, 2, 1, 3).contiguous().view(B, n, e)), A


# %% nbgrader={"grade_id": "encoding-code", "solution": true}
def sinusoidal_encoding(length, dim):
    speeds = torch.exp(torch.arange(dim // 2) * (-2 * math.log(10000) / dim))
    angles = torch.outer(torch.arange(length).float(), speeds)
    return torch.stack([angles.sin(), angles.cos()], dim=-1).reshape(length, dim)


def causal_mask(n):
    places = torch.arange(n)
    return places[:, None] >= places[None, :]


# %% nbgrader={"grade_id": "block-code", "solution": true}
class TransformerBlock(nn.Module):
    def __init__(self, embed_dim, num_heads, mlp_dim, dropout):
        super().__init__()
        self.attention = MultiHeadAttention(embed_dim, num_heads)
        self.ln_a, self.ln_b = nn.LayerNorm(embed_dim), nn.LayerNorm(embed_dim)
        self.up, self.down = nn.Linear(embed_dim, mlp_dim), nn.Linear(mlp_dim, embed_dim)
        self.p = dropout

    def forward(self, x, mask=None):
        normalised = self.ln_a(x)
        found, _ = self.attention(normalised, normalised, normalised, mask)
        x = x + functional.dropout(found, self.p, self.training)
        hidden = functional.gelu(self.up(self.ln_b(x)))
        return x + functional.dropout(self.down(hidden), self.p, self.training)


# %% nbgrader={"grade_id": "train-code", "solution": true}
def train(model, sample, steps, lr=0.004):
    optimizer = torch.optim.Adam(model.parameters(), lr=lr, betas=(0.9, 0.98))
    losses, warm = [], max(1, steps // 10)
    for step in range(steps):
        model.train()
        for group in optimizer.param_groups:
            group["lr"] = lr * min((step + 1) / warm, (steps - step) / (steps - warm + 1))
        x, y = (part.to(device) for part in sample())
        logits = model(x)
        if y.dim() > 1:
            logits = logits.movedim(-1, 1)  # (B, K, n)
        loss = functional.cross_entropy(logits, y)
        model.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


# %% nbgrader={"grade_id": "patches-code", "solution": true}
class PatchEmbedding(nn.Module):
    def __init__(self, image_size, patch_size, in_channels, embed_dim):
        super().__init__()
        self.cut = nn.Conv2d(in_channels, embed_dim, kernel_size=patch_size, stride=patch_size)

    def forward(self, images):
        return self.cut(images).flatten(2).mT


# %% nbgrader={"grade_id": "vit-code", "solution": true}
class VisionTransformer(nn.Module):
    def __init__(
        self, image_size, patch_size, in_channels, embed_dim, num_heads, mlp_dim, num_layers, num_classes, dropout=0.1
    ):
        super().__init__()
        self.patch_embedding = PatchEmbedding(image_size, patch_size, in_channels, embed_dim)
        count = (image_size // patch_size) ** 2
        self.cls = nn.Parameter(torch.zeros(embed_dim))
        self.pos_embedding = nn.Parameter(torch.empty(1 + count, embed_dim))
        nn.init.trunc_normal_(self.pos_embedding, std=0.02)
        stack = [TransformerBlock(embed_dim, num_heads, mlp_dim, dropout) for _ in range(num_layers)]
        self.encoder = nn.Sequential(*stack, nn.LayerNorm(embed_dim))
        self.classifier = nn.Linear(embed_dim, num_classes)

    def forward(self, images):
        tokens = self.patch_embedding(images)
        tokens = torch.cat([self.cls.repeat(tokens.shape[0], 1, 1), tokens], dim=1) + self.pos_embedding
        return self.classifier(self.encoder(tokens)[:, 0, :])


# %% nbgrader={"grade_id": "rollout-code", "solution": true}
def attention_rollout(maps):
    mixed = [0.5 * A.mean(dim=1) + 0.5 * torch.eye(A.size(-1), device=A.device) for A in maps]
    R = mixed[-1]
    for A in reversed(mixed[:-1]):
        R = torch.bmm(R, A)
    return R


# %% nbgrader={"grade_id": "modern-code", "solution": true}
class RMSNorm(nn.Module):
    def __init__(self, dim, eps=1e-6):
        super().__init__()
        self.gain, self.eps = nn.Parameter(torch.ones(dim)), eps

    def forward(self, x):
        return functional.rms_norm(x, self.gain.shape, self.gain, self.eps)


class SwiGLU(nn.Module):
    def __init__(self, dim, hidden):
        super().__init__()
        self.gate, self.up = (nn.Linear(dim, hidden, bias=False) for _ in range(2))
        self.down = nn.Linear(hidden, dim, bias=False)
        self.activation = nn.SiLU()

    def forward(self, x):
        return torch.einsum("...k,ik->...i", self.activation(self.gate(x)) * self.up(x), self.down.weight)


def grouped_attention(Q, K, V, mask=None):
    scores = torch.einsum("bgrnd,bgmd->bgrnm", Q.unflatten(1, (K.shape[1], -1)), K) / Q.shape[-1] ** 0.5
    if mask is not None:
        scores = torch.where(mask, scores, -math.inf)
    A = scores.softmax(-1)
    return torch.einsum("bgrnm,bgmt->bgrnt", A, V).flatten(1, 2), A.flatten(1, 2)
