# Arguments by name and settings of its own, parts that know more about themselves than the text asks for; the loop of
# the notebook.
# ruff: noqa: F821 (the other names are those of the notebook)


# %% nbgrader={"grade_id": "attention-code", "solution": true}
def softargmax(scores, *, dim=-1):
    shifted = scores - scores.max(dim=dim, keepdim=True).values.detach()
    return shifted.exp() / shifted.exp().sum(dim=dim, keepdim=True)


def attention(Q, K, V, beta=None, mask=None, *, return_scores=False):
    *_, d = Q.shape
    scores = torch.matmul(input=Q * (d**-0.5 if beta is None else beta), other=K.swapaxes(-1, -2))
    if mask is not None:
        scores = torch.where(mask.bool(), scores, float("-inf"))
    weights = softargmax(scores)
    result = torch.matmul(input=weights, other=V), weights
    return (*result, scores) if return_scores else result


# %% nbgrader={"grade_id": "heads-code", "solution": true}
class MultiHeadAttention(nn.Module):
    def __init__(self, embed_dim, num_heads):
        super().__init__()
        self.num_heads = num_heads
        self.W_Q = nn.Linear(embed_dim, embed_dim)
        self.W_K = nn.Linear(embed_dim, embed_dim)
        self.W_V = nn.Linear(embed_dim, embed_dim)
        self.W_O = nn.Linear(embed_dim, embed_dim)

    def project(self, layer, tokens):
        batch, length, _ = tokens.shape
        return layer(tokens).reshape(batch, length, self.num_heads, -1).movedim(2, 1)

    def forward(self, queries, keys, values, mask=None):
        H, A, self.scores = attention(
            Q=self.project(self.W_Q, queries),
            K=self.project(self.W_K, keys),
            V=self.project(self.W_V, values),
            mask=mask,
            return_scores=True,
        )
        return self.W_O(H.movedim(1, 2).reshape(queries.shape)), A

    def to_itself(self, x, mask=None):
        return self(queries=x, keys=x, values=x, mask=mask)[0]


# %% nbgrader={"grade_id": "block-code", "solution": true}
class TransformerBlock(nn.Module):
    def __init__(self, embed_dim, num_heads, mlp_dim, dropout, *, norm=nn.LayerNorm, activation="none"):
        super().__init__()
        self.attend = MultiHeadAttention(embed_dim=embed_dim, num_heads=num_heads)
        self.mlp = nn.ModuleDict(
            {
                "down": nn.Linear(in_features=mlp_dim, out_features=embed_dim),
                "up": nn.Linear(in_features=embed_dim, out_features=mlp_dim),
                "gelu": nn.GELU(approximate=activation),
            }
        )
        self.norms = nn.ModuleDict({"mlp": norm(embed_dim), "attend": norm(embed_dim)})
        self.drop = nn.Dropout(p=dropout)

    def think(self, x):
        for name in "up", "gelu", "down":
            x = self.mlp[name](x)
        return x

    def forward(self, x, mask=None):
        x = x + self.drop(self.attend.to_itself(self.norms["attend"](x), mask=mask))
        return x + self.drop(self.think(self.norms["mlp"](x)))


# %% nbgrader={"grade_id": "patches-code", "solution": true}
class PatchEmbedding(nn.Module):
    def __init__(self, image_size, patch_size, in_channels, embed_dim, *, bias=True):
        super().__init__()
        self.per_side = image_size // patch_size
        self.count = self.per_side * self.per_side
        self.linear = nn.Linear(in_features=in_channels * patch_size**2, out_features=embed_dim, bias=bias)

    def forward(self, images):
        B, C, H, W = images.shape
        p = H // self.per_side
        grid = images.reshape(B, C, H // p, p, W // p, p)
        return self.linear(torch.einsum("bcrpsq->brspqc", grid).reshape(B, self.count, -1))


# %% nbgrader={"grade_id": "vit-code", "solution": true}
class VisionTransformer(nn.Module):
    def __init__(
        self,
        image_size,
        patch_size,
        in_channels,
        embed_dim,
        num_heads,
        mlp_dim,
        num_layers,
        num_classes,
        dropout=0.1,
        *,
        std=0.02,
    ):
        super().__init__()
        self.head = nn.Linear(in_features=embed_dim, out_features=num_classes)
        self.norm = nn.LayerNorm(normalized_shape=embed_dim)
        self.blocks = nn.ModuleDict()
        for layer in range(num_layers):
            self.blocks[f"layer {layer}"] = TransformerBlock(
                embed_dim=embed_dim, num_heads=num_heads, mlp_dim=mlp_dim, dropout=dropout, activation="tanh"
            )
        self.embed = PatchEmbedding(
            image_size=image_size, patch_size=patch_size, in_channels=in_channels, embed_dim=embed_dim, bias=True
        )
        self.places = nn.Parameter(data=torch.normal(mean=0.0, std=std, size=(1 + self.embed.count, embed_dim)))
        self.class_token = nn.Parameter(data=torch.normal(mean=0.0, std=std, size=(embed_dim,)))

    def forward(self, images):
        tokens = self.embed(images) + self.places[1:]
        first = (self.class_token + self.places[0]).expand(len(images), 1, -1)
        x = torch.cat(tensors=(first, tokens), dim=1)
        for block in self.blocks.values():
            x = block(x)
        return self.head(self.norm(x)[:, 0])
