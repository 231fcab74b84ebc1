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


# %% nbgrader={"grade_id": "online-code", "solution": true}
def online_attention(Q, blocks, beta=None):
    beta = Q.shape[-1] ** -0.5 if beta is None else beta
    H = log_total = None
    for K, V in blocks:
        scores = beta * (Q[..., :, None, :] * K[..., None, :, :]).sum(-1)
        log_block = scores.logsumexp(-1, keepdim=True)
        mean = (scores - log_block).exp() @ V
        if H is None:
            H, log_total = mean, log_block
            continue
        both = torch.logaddexp(log_total, log_block)
        H = (log_total - both).exp() * H + (log_block - both).exp() * mean
        log_total = both
    return H


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


# %% nbgrader={"grade_id": "rotary-code", "solution": true}
def rotate(x, places):
    speeds = torch.tensor([10000 ** (-i / x.shape[-1]) for i in range(0, x.shape[-1], 2)], dtype=torch.float64)
    angles = places.double()[:, None] * speeds
    turns = torch.polar(torch.ones_like(angles), angles).to(torch.complex64)
    pairs = torch.view_as_complex(x.unflatten(-1, (-1, 2)).contiguous())
    return torch.view_as_real(pairs * turns).flatten(-2)


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


# %% nbgrader={"grade_id": "language-code", "solution": true}
def random_windows(text, size, length):
    windows = text.unfold(0, length + 1, 1)
    chosen = windows[torch.randint(0, len(windows), (size,))]
    return chosen[:, :length], chosen[:, 1:]


class CharModel(nn.Module):
    def __init__(self, num_symbols, context, embed_dim=64, num_heads=4, num_layers=2):
        super().__init__()
        self.context = context
        self.embedding = nn.Embedding(num_symbols, embed_dim)
        block = embed_dim, num_heads, 2 * embed_dim, 0.0
        self.blocks = nn.ModuleList(TransformerBlock(*block) for _ in range(num_layers))
        self.norm = nn.LayerNorm(embed_dim)
        self.head = nn.Linear(embed_dim, num_symbols)
        self.register_buffer("P", sinusoidal_encoding(context, embed_dim))
        self.register_buffer("mask", causal_mask(context))

    def forward(self, symbols):
        places = torch.arange(symbols.shape[1], device=symbols.device)
        x = self.embedding(symbols) + functional.embedding(places, self.P)
        for block in self.blocks:
            x = block(x, mask=places[:, None] >= places)
        return functional.linear(self.norm(x), self.head.weight, self.head.bias)


# %% nbgrader={"grade_id": "sampling-code", "solution": true}
def next_probabilities(logits, temperature=1.0, top_k=None):
    values, where = logits.sort(dim=-1, descending=True)
    values, where = values[..., :top_k], where[..., :top_k]
    shares = (values / max(temperature, 1e-30)).double()
    shares = (shares - shares[..., :1]).exp()
    shares = (shares / shares.sum(-1, keepdim=True)).to(logits.dtype)
    return torch.zeros_like(logits).scatter(-1, where, shares)


def generate(model, symbols, count, temperature=1.0, top_k=None):
    if count == 0:
        return symbols
    logits = model(symbols[:, max(symbols.shape[1] - model.context, 0) :]).detach()[:, -1]
    drawn = torch.distributions.Categorical(next_probabilities(logits, temperature, top_k)).sample()
    return generate(model, torch.hstack([symbols, drawn[:, None]]), count - 1, temperature, top_k)


# %% nbgrader={"grade_id": "cache-code", "solution": true}
def attend_to_cache(layer, x, cache):
    B, k, e = x.shape
    h = layer.num_heads
    Q, K, V = (W(x).view(B, k, h, e // h).permute(0, 2, 1, 3) for W in (layer.W_Q, layer.W_K, layer.W_V))
    if cache:
        K, V = (torch.cat([old, new], dim=-2) for old, new in zip(cache, (K, V), strict=True))
    places = torch.arange(K.shape[2], device=x.device)
    H, _ = attention(Q, K, V, mask=places[-k:, None] >= places)
    return layer.W_O(torch.cat(H.unbind(1), dim=-1)), [K, V]


def cached_attention(layer, x, cache=None):
    return attend_to_cache(layer, x, cache)


def further(block, x, cache):  # in place of block_step
    layer, kept = next(part for part in block.modules() if isinstance(part, MultiHeadAttention)), []

    def answer(queries, *others, **named):
        H, new = attend_to_cache(layer, queries, cache)
        kept.append(new)
        return H, None

    layer.forward = answer
    try:
        return block(x), kept[-1]
    finally:
        del layer.forward


def step(model, symbols, caches):
    before = len(caches[0][0][0][0]) if caches[0] else 0
    places = torch.arange(before, before + symbols.shape[1], device=symbols.device)
    x, caches = model.embedding(symbols) + model.P[places], list(caches)
    for k, block in enumerate(model.blocks):
        x, caches[k] = further(block, x, caches[k])
    return model.head(model.norm(x)), caches


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


# %% nbgrader={"grade_id": "amount-prediction-code", "solution": true}
amount_prediction = "C"


# %% nbgrader={"grade_id": "modern-code", "solution": true}
class RMSNorm(nn.Module):
    def __init__(self, dim, eps=1e-6):
        super().__init__()
        self.register_parameter("gain", nn.Parameter(torch.empty(dim)))
        nn.init.ones_(self.gain)
        self.eps = eps

    def forward(self, x):
        rows = [row / torch.sqrt(row.dot(row) / len(row) + self.eps) for row in x.reshape(-1, x.shape[-1])]
        return torch.stack(rows).reshape(x.shape) * self.gain


class SwiGLU(nn.Module):
    def __init__(self, dim, hidden):
        super().__init__()
        for name in "gate", "up":
            setattr(self, name, nn.Linear(dim, hidden, bias=False))
        self.down = nn.Linear(hidden, dim, bias=False)

    def forward(self, x):
        z = self.gate(x)
        return self.down(z / (1 + torch.exp(-z)) * self.up(x))


def grouped_attention(Q, K, V, mask=None):
    found = []
    for queries, keys, values in zip(Q, K, V, strict=True):  # one example at a time
        groups = queries.chunk(len(keys))
        parts = [
            attention(group, key.expand(len(group), *key.shape), value.expand(len(group), *value.shape), mask=mask)
            for group, key, value in zip(groups, keys, values, strict=True)
        ]
        found.append([torch.cat(part) for part in zip(*parts, strict=True)])
    return tuple(torch.stack(part) for part in zip(*found, strict=True))
