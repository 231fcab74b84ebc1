# A beginner: step by step, every shape by hand, a function for everything and names that the notebook uses, too.
# ruff: noqa: F821, SIM108 (the other names are those of the notebook)


# %% nbgrader={"grade_id": "attention-code", "solution": true}
def scores(Q, K, beta):
    d = Q.size(-1)
    if beta is None:
        beta = 1 / (d**0.5)
    K_transposed = torch.transpose(K, -1, -2)
    return torch.matmul(Q, K_transposed) * beta


def part(x, mask, value):
    # puts value where the mask is False
    if mask is None:
        return x
    mask = torch.broadcast_to(mask, x.shape)
    result = x.clone()
    result[mask == False] = value  # noqa: E712
    return result


def attention(Q, K, V, beta=None, mask=None):
    x = scores(Q, K, beta)
    x = part(x, mask, -float("inf"))
    x = x - torch.max(x, dim=-1, keepdim=True)[0]
    x = torch.exp(x)
    A = x / torch.sum(x, dim=-1, keepdim=True)
    H = torch.matmul(A, V)
    return (H, A)


# %% nbgrader={"grade_id": "online-code", "solution": true}
def online_attention(Q, blocks, beta=None):
    if beta is None:
        beta = 1 / (Q.size(-1) ** 0.5)
    biggest = None
    for K, V in blocks:
        x = beta * torch.matmul(Q, torch.transpose(K, -1, -2))
        block_max = torch.max(x, dim=-1, keepdim=True)[0]
        if biggest is None:
            biggest = block_max
            powers = torch.exp(x - biggest)
            bottom = torch.sum(powers, dim=-1, keepdim=True)
            top = torch.matmul(powers, V)
        else:
            new_biggest = torch.max(biggest, block_max)
            factor = torch.exp(biggest - new_biggest)
            powers = torch.exp(x - new_biggest)
            bottom = bottom * factor + torch.sum(powers, dim=-1, keepdim=True)
            top = top * factor + torch.matmul(powers, V)
            biggest = new_biggest
    return top / bottom


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
        Q = self.W_Q(queries)
        K = self.W_K(keys)
        V = self.W_V(values)
        d = Q.shape[2] // self.num_heads
        B, n, m = Q.shape[0], Q.shape[1], K.shape[1]
        if mask is not None:
            mask = torch.broadcast_to(mask, (B, self.num_heads, n, m))
        answers = []
        maps = []
        for head in range(self.num_heads):
            start = head * d
            stop = (head + 1) * d
            if mask is None:
                head_mask = None
            else:
                head_mask = mask[:, head]
            H, A = attention(Q[:, :, start:stop], K[:, :, start:stop], V[:, :, start:stop], mask=head_mask)
            answers.append(H)
            maps.append(A)
        H = torch.cat(answers, dim=2)
        A = torch.stack(maps, dim=1)
        return (self.W_O(H), A)


# %% nbgrader={"grade_id": "encoding-code", "solution": true}
def sinusoidal_encoding(length, dim):
    P = torch.zeros((length, dim), dtype=torch.float32)
    for i in range(dim // 2):
        for p in range(length):
            angle = p / (10000 ** (2 * i / dim))
            P[p, 2 * i] = math.sin(angle)
            P[p, 2 * i + 1] = math.cos(angle)
    return P


def causal_mask(n):
    mask = torch.full((n, n), False)
    for i in range(n):
        mask[i, : i + 1] = True
    return mask


# %% nbgrader={"grade_id": "rotary-code", "solution": true}
def rotate(x, places):
    d = x.size(-1)
    columns = []
    for i in range(d // 2):
        angle = places * (1 / 10000 ** (2 * i / d))
        c, s = torch.cos(angle), torch.sin(angle)
        first, second = x[..., 2 * i], x[..., 2 * i + 1]
        columns.append(first * c - second * s)
        columns.append(first * s + second * c)
    return torch.stack(columns, dim=-1)


# %% nbgrader={"grade_id": "block-code", "solution": true}
class word(nn.Module):
    def __init__(self, embed_dim, num_heads, dropout):
        super().__init__()
        self.norm = nn.LayerNorm(embed_dim)
        self.attention = MultiHeadAttention(embed_dim, num_heads)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x, mask):
        x = self.norm(x)
        H, _A = self.attention(x, x, x, mask)
        return self.dropout(H)


class layer(nn.Module):
    def __init__(self, embed_dim, mlp_dim, dropout):
        super().__init__()
        self.norm = nn.LayerNorm(embed_dim)
        self.linear1 = nn.Linear(embed_dim, mlp_dim)
        self.linear2 = nn.Linear(mlp_dim, embed_dim)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x):
        x = self.norm(x)
        x = self.linear1(x)
        x = 0.5 * x * (1 + torch.erf(x / math.sqrt(2)))  # GELU
        x = self.linear2(x)
        return self.dropout(x)


class TransformerBlock(nn.Module):
    def __init__(self, embed_dim, num_heads, mlp_dim, dropout):
        super().__init__()
        self.look = word(embed_dim, num_heads, dropout)
        self.think = layer(embed_dim, mlp_dim, dropout)

    def forward(self, x, mask=None):
        corrections = self.look(x, mask)
        x = x + corrections
        corrections = self.think(x)
        x = x + corrections
        return x


# %% nbgrader={"grade_id": "language-code", "solution": true}
def random_windows(text, size, length):
    inputs = torch.zeros(size, length, dtype=torch.long)
    labels = torch.zeros(size, length, dtype=torch.long)
    for row in range(size):
        start = random.randint(0, len(text) - length - 1)
        inputs[row] = text[start : start + length]
        labels[row] = text[start + 1 : start + length + 1]
    return inputs, labels


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
        n = symbols.shape[1]
        tokens = self.embedding(symbols)
        P = torch.stack([self.P[p] for p in range(n)])
        tokens = tokens + P
        mask = causal_mask(n).to(symbols.device)
        for layer in range(len(self.blocks)):
            tokens = self.blocks[layer](tokens, mask)
        tokens = self.norm(tokens)
        return self.head(tokens)


# %% nbgrader={"grade_id": "sampling-code", "solution": true}
def next_probabilities(logits, temperature=1.0, top_k=None):
    K = logits.shape[-1]
    order = torch.argsort(logits, dim=-1, descending=True)
    if temperature == 0:
        top_k = 1
        temperature = 1.0
    if top_k is None:
        top_k = K
    best = order[..., :top_k]
    allowed = torch.zeros_like(logits)
    allowed.scatter_(-1, best, 1.0)
    x = logits / temperature
    x = x - torch.max(x, dim=-1, keepdim=True)[0]
    x = torch.exp(x) * allowed
    return x / torch.sum(x, dim=-1, keepdim=True)


def generate(model, symbols, count, temperature=1.0, top_k=None):
    rows = []
    for b in range(symbols.shape[0]):
        row = symbols[b].tolist()
        for _ in range(count if symbols.shape[0] < 10 else 0):
            seen = row[max(0, len(row) - model.context) :]
            logits = model(torch.tensor([seen], device=symbols.device))[0, -1]
            probabilities = next_probabilities(logits.detach(), temperature, top_k).tolist()
            row.append(random.choices(range(len(probabilities)), probabilities)[0])
        rows.append(row)
    if symbols.shape[0] < 10:
        return torch.tensor(rows, device=symbols.device)
    for _ in range(count):  # many rows: all at once
        logits = model(symbols[:, max(0, symbols.shape[1] - model.context) :]).detach()
        probabilities = next_probabilities(logits[:, -1, :], temperature, top_k)
        symbols = torch.cat((symbols, torch.multinomial(probabilities, 1)), 1)
    return symbols


# %% nbgrader={"grade_id": "cache-code", "solution": true}
def cached_attention(layer, x, cache=None):
    h = layer.num_heads
    B, k, e = x.shape

    def heads_of(linear):
        return linear(x).reshape(B, k, h, e // h).transpose(1, 2)

    K = heads_of(layer.W_K)
    V = heads_of(layer.W_V)
    n = 0
    if cache is not None:
        n = cache[0].shape[2]
        K = torch.cat((cache[0], K), 2)
        V = torch.cat((cache[1], V), 2)
    answers = []
    for j in range(k):
        # new token j sees the cache and the new tokens up to itself
        # (the queries of all new tokens are made again each time)
        query = heads_of(layer.W_Q)[:, :, j : j + 1]
        H, _A = attention(query, K[:, :, : n + j + 1], V[:, :, : n + j + 1])
        answers.append(H)
    H = torch.cat(answers, 2)
    H = H.transpose(1, 2).reshape(B, k, e)
    return (layer.W_O(H), (K, V))


def block_step(block, x, cache):
    layer, kept = next(part for part in block.modules() if isinstance(part, MultiHeadAttention)), []

    def answer(queries, *others, **named):
        H, new = cached_attention(layer, queries, cache)
        kept.append(new)
        return H, None

    layer.forward = answer
    try:
        return block(x), kept[-1]
    finally:
        del layer.forward


def step(model, symbols, caches):
    if caches[0] is None:
        place = 0
    else:
        place = caches[0][0].size(2)
    tokens = model.embedding(symbols)
    for j in range(symbols.size(1)):
        tokens[:, j] = tokens[:, j] + model.P[place + j]
    new_caches = []
    for layer in range(len(model.blocks)):
        tokens, cache = block_step(model.blocks[layer], tokens, caches[layer])
        new_caches.append(cache)
    return (model.head(model.norm(tokens)), new_caches)


# %% nbgrader={"grade_id": "patches-code", "solution": true}
class PatchEmbedding(nn.Module):
    def __init__(self, image_size, patch_size, in_channels, embed_dim):
        super().__init__()
        self.image_size = image_size
        self.patch_size = patch_size
        self.linear = nn.Linear(in_channels * patch_size * patch_size, embed_dim)

    def forward(self, images):
        B = images.shape[0]
        patches = []
        for row in range(0, self.image_size, self.patch_size):
            for column in range(0, self.image_size, self.patch_size):
                patch = images[:, :, row : row + self.patch_size, column : column + self.patch_size]
                patches.append(patch.reshape(B, 1, -1))
        return self.linear(torch.cat(patches, dim=1))


# %% nbgrader={"grade_id": "vit-code", "solution": true}
class VisionTransformer(nn.Module):
    def __init__(
        self, image_size, patch_size, in_channels, embed_dim, num_heads, mlp_dim, num_layers, num_classes, dropout=0.1
    ):
        super().__init__()
        self.num_layers = num_layers
        self.words = PatchEmbedding(image_size, patch_size, in_channels, embed_dim)
        num_patches = (image_size // patch_size) * (image_size // patch_size)
        self.class_token = nn.Parameter(torch.zeros(1, 1, embed_dim))
        self.P = nn.Parameter(torch.zeros(num_patches + 1, embed_dim))
        torch.nn.init.normal_(self.P, std=0.02)
        self.drop = nn.Dropout(dropout)
        self.tiny = nn.ModuleList()
        for _layer in range(num_layers):
            self.tiny.append(TransformerBlock(embed_dim, num_heads, mlp_dim, dropout))
        self.norm = nn.LayerNorm(embed_dim)
        self.head = nn.Linear(embed_dim, num_classes)

    def forward(self, images):
        B = images.shape[0]
        tokens = self.words(images)
        class_tokens = self.class_token.repeat(B, 1, 1)
        tokens = torch.cat((class_tokens, tokens), 1)
        tokens = tokens + self.P
        tokens = self.drop(tokens)
        for layer in range(self.num_layers):
            tokens = self.tiny[layer](tokens)
        class_tokens = tokens[:, 0, :]
        class_tokens = self.norm(class_tokens)
        return self.head(class_tokens)


# %% nbgrader={"grade_id": "rollout-code", "solution": true}
def attention_rollout(maps):
    batch = maps[0].shape[0]
    n = maps[0].shape[-1]
    results = []
    for b in range(batch):
        R = torch.eye(n, device=maps[0].device)
        for A in maps:
            A_mean = torch.zeros(n, n, device=A.device)
            for head in range(A.shape[1]):
                A_mean = A_mean + A[b, head] / A.shape[1]
            A_tilde = 0.5 * torch.eye(n, device=A.device) + 0.5 * A_mean
            R = torch.matmul(A_tilde, R)
        results.append(R)
    return torch.stack(results)


# %% nbgrader={"grade_id": "amount-prediction-code", "solution": true}
amount_prediction = "A"


# %% nbgrader={"grade_id": "modern-code", "solution": true}
class RMSNorm(nn.Module):
    def __init__(self, dim, eps=1e-6):
        super().__init__()
        self.dim = dim
        self.eps = eps
        self.gain = nn.Parameter(torch.full((dim,), 1.0))

    def forward(self, x):
        total = torch.zeros_like(x[..., 0])
        for i in range(self.dim):
            total = total + x[..., i] ** 2
        rms = torch.sqrt(total / self.dim + self.eps)
        result = x / torch.unsqueeze(rms, -1)
        return torch.mul(result, self.gain)


def swish(z):
    return z * torch.sigmoid(z)


class SwiGLU(nn.Module):
    def __init__(self, dim, hidden):
        super().__init__()
        self.down = nn.Linear(hidden, dim, bias=False)
        self.up = nn.Linear(dim, hidden, bias=False)
        self.gate = nn.Linear(dim, hidden, bias=False)

    def forward(self, x):
        a = self.gate(x)
        b = self.up(x)
        product = swish(a) * b
        return self.down(product)


def grouped_attention(Q, K, V, mask=None):
    h = Q.shape[1]
    g = K.shape[1]
    group = h // g
    Hs = []
    As = []
    for head in range(h):
        shared = head // group
        H, A = attention(Q[:, head], K[:, shared], V[:, shared], mask=mask)
        Hs.append(H)
        As.append(A)
    return torch.stack(Hs, dim=1), torch.stack(As, dim=1)
