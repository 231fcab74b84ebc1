# No layers but the four that are given: parameters and functions, places in an embedding; the loop of the notebook.
# ruff: noqa: F821, UP008 (the other names are those of the notebook)


# %% nbgrader={"grade_id": "attention-code", "solution": true}
def attention(Q, K, V, beta=None, mask=None):
    if beta is None:
        beta = 1.0 / math.sqrt(K.size(-1))
    scores = (K @ (beta * Q).mT).mT
    if mask is not None:
        scores = scores + torch.zeros_like(scores).masked_fill_(torch.logical_not(mask), -torch.inf)
    log_weights = torch.log_softmax(scores, dim=-1)
    A = log_weights.exp()
    return torch.einsum("...ij,...jk->...ik", A, V), A


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
        h, scale = self.num_heads, (self.W_Q.out_features / self.num_heads) ** -0.5
        Q, K, V = (
            layer(x).tensor_split(h, dim=2)
            for layer, x in zip((self.W_Q, self.W_K, self.W_V), (queries, keys, values), strict=True)
        )
        scores = scale * torch.einsum("hbnd,hbmd->bhnm", torch.stack(Q), torch.stack(K))
        if mask is not None:
            scores = scores.masked_fill(~mask, -math.inf)
        A = scores.softmax(3)
        return self.W_O(torch.einsum("bhnm,hbmd->bnhd", A, torch.stack(V)).flatten(2)), A


# %% nbgrader={"grade_id": "encoding-code", "solution": true}
def sinusoidal_encoding(length, dim):
    k = torch.arange(dim)
    angles = torch.arange(length).unsqueeze(1) * torch.pow(10000.0, -(k - k % 2) / dim)
    return torch.where(k % 2 == 0, angles.sin(), angles.cos())


def causal_mask(n):
    return torch.ones(n, n).cumsum(0).ge(torch.arange(1, n + 1))


# %% nbgrader={"grade_id": "block-code", "solution": true}
def weight(rows, columns):
    return nn.Parameter(torch.randn(rows, columns) / math.sqrt(rows))


class TransformerBlock(nn.Module):
    def __init__(self, embed_dim, num_heads, mlp_dim, dropout):
        super(TransformerBlock, self).__init__()
        self.rate = dropout
        self.W_1, self.b_1 = weight(embed_dim, mlp_dim), nn.Parameter(torch.zeros(mlp_dim))
        self.W_2, self.b_2 = weight(mlp_dim, embed_dim), nn.Parameter(torch.zeros(1, embed_dim))
        self.gains = nn.ParameterList([torch.ones(embed_dim), torch.ones(embed_dim)])
        self.shifts = nn.ParameterList([torch.zeros(embed_dim), torch.zeros(embed_dim)])
        self.self_attention = MultiHeadAttention(embed_dim, num_heads)

    def forward(self, x, mask=None):
        def norm(k, x):
            return functional.layer_norm(x, x.shape[-1:], self.gains[k], self.shifts[k])

        def dropped(x):
            if not self.training or not self.rate:
                return x
            return x * (torch.rand_like(x) >= self.rate) / (1 - self.rate)

        y = norm(0, x)
        x = dropped(self.self_attention(y, y, y, mask)[0]) + x
        return dropped(functional.gelu(norm(1, x) @ self.W_1 + self.b_1) @ self.W_2 + self.b_2) + x


# %% nbgrader={"grade_id": "patches-code", "solution": true}
class PatchEmbedding(nn.Module):
    def __init__(self, image_size, patch_size, in_channels, embed_dim):
        super(PatchEmbedding, self).__init__()
        self.p = patch_size
        self.kernel = nn.Parameter(torch.randn(embed_dim, in_channels, patch_size, patch_size) / patch_size)
        self.shift = nn.Parameter(torch.zeros(embed_dim))

    def forward(self, images):
        return functional.conv2d(images, self.kernel, self.shift, stride=self.p).flatten(start_dim=2).permute(0, 2, 1)


# %% nbgrader={"grade_id": "vit-code", "solution": true}
class VisionTransformer(nn.Module):
    def __init__(
        self, image_size, patch_size, in_channels, embed_dim, num_heads, mlp_dim, num_layers, num_classes, dropout=0.1
    ):
        super(VisionTransformer, self).__init__()
        self.patches = PatchEmbedding(image_size, patch_size, in_channels, embed_dim)
        self.where = nn.Embedding(1 + (image_size // patch_size) ** 2, embed_dim)
        nn.init.normal_(self.where.weight, 0, 0.02)
        self.cls = nn.Parameter(torch.zeros(1, embed_dim))
        layers = [TransformerBlock(embed_dim, num_heads, mlp_dim, dropout) for _ in range(num_layers)]
        self.blocks = nn.Sequential(*layers)
        self.gain, self.offset = nn.Parameter(torch.ones(embed_dim)), nn.Parameter(torch.zeros(embed_dim))
        self.W, self.b = weight(embed_dim, num_classes), nn.Parameter(torch.zeros(num_classes))

    def forward(self, images):
        patches = self.patches(images)
        x = patches.new_empty(patches.shape[0], patches.shape[1] + 1, patches.shape[2])
        x[:, :1], x[:, 1:] = self.cls, patches
        answer = self.blocks(x + self.where.weight)[:, 0]
        return functional.layer_norm(answer, answer.shape[-1:], self.gain, self.offset) @ self.W + self.b


# %% nbgrader={"grade_id": "rollout-code", "solution": true}
def attention_rollout(maps):
    means = torch.stack([A.mean(1) for A in maps])  # (L, B, n, n)
    mixed = torch.lerp(torch.eye(means.size(-1), device=means.device), means, 0.5)
    return product(mixed)


def product(mixed):
    return mixed[0] if len(mixed) == 1 else product(mixed[1:]) @ mixed[0]
