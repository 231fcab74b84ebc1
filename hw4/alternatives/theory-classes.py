# Classes and module-level helpers with everyday names: weights, scores, H, q, heads, order, mask, kernel, X, diameter.
# ruff: noqa: F821 (the other names are those of the notebook)

# %% nbgrader={"grade_id": "attention-code", "solution": true}
### BEGIN SOLUTION
class Lookup:
    """Attention as an object that can be called."""

    def __call__(self, Q, K, V, beta=None, *, mask=None):
        A = weights(scores(Q, K), 1 / d_root(Q) if beta is None else beta)
        return H(V, A), A


def d_root(X):
    return X.shape[0] ** 0.5


def scores(Q, K):
    return K.transpose(0, 1).matmul(Q)


def weights(S, beta):
    S = beta * (S - S.max(dim=0, keepdim=True).values)
    return S.exp() / S.exp().sum(dim=0, keepdim=True)


def H(V, A):
    return V.matmul(A)


attention = Lookup()


def attention_shapes(d, t, n, m):
    rows = {"H": t, "A": m}
    return {name: [rows[name], n] for name in rows}


def q(odds):
    return math.log(odds)


def beta_for_share(gap, m, share):
    return (q(share) - q(1 - share) + q(m - 1)) / gap


### END SOLUTION


# %% nbgrader={"grade_id": "queries-code", "solution": true}
### BEGIN SOLUTION
def lead(K, j):
    """By how much key j beats its nearest rival, as a share of its own score."""
    products = K[:, j] @ K
    products[j] = -1.0
    return float(1 - products.max())


def preserving_query(K, j, beta):
    return K[:, [j]].mul(math.log(1e5 * K.shape[1]) / lead(K, j) / beta)


def diffusing_query(K, chosen, beta):
    party = torch.zeros(K.shape[1], 1)
    party[chosen] = math.log(1e5 * K.shape[1]) / beta
    return K @ party


### END SOLUTION


# %% nbgrader={"grade_id": "nudges-code", "solution": true}
### BEGIN SOLUTION
def diameter(columns):
    return max(float(torch.dist(a, b)) for a in columns.T for b in columns.T)


class Bound:
    """How far h moves at most, by the lever of the noise."""

    def __init__(self, lever):
        self.lever = lever

    def __call__(self, q, K, V, beta, r):
        return min(diameter(V), diameter(V) / 4 * beta * r * self.lever(q, K))


key_noise_bound = Bound(lambda q, K: float(q.norm()))
query_noise_bound = Bound(lambda q, K: diameter(K))


def scale_key(h, v, a, s, alpha):
    odds = a / (1 - a) * math.exp(alpha * s - s)
    weight = odds / (1 + odds)
    return [weight, v * weight + (h - v * a) * ((1 - weight) / (1 - a))]


### END SOLUTION


# %% nbgrader={"grade_id": "heads-code", "solution": true}
### BEGIN SOLUTION
def heads(Q, K, V, parts):
    for W_Q, W_K, W_V in parts:
        yield attention(W_Q @ Q, W_K @ K, W_V @ V)[0]


def multi_head(Q, K, V, parts, W_O):
    cuts = W_O.split([len(part[2]) for part in parts], dim=1)
    return sum(cut @ made for cut, made in zip(cuts, heads(Q, K, V, parts), strict=True))


def kernel(tap, k):
    one_hot = torch.zeros(k)
    one_hot[tap + k // 2] = 1.0
    return one_hot


def kernel_of_heads(offsets, W_V, W_O, k):
    return sum((o @ v)[:, :, None] * kernel(tap, k) for tap, v, o in zip(offsets, W_V, W_O, strict=True))


def self_attention(C, W_Q, W_K, W_V, beta=None):
    return attention(Q=W_Q @ C, K=W_K @ C, V=W_V @ C, beta=beta)


def self_attention_shapes(e, d, t, h, n):
    shapes = {f"W_{name}": [size, e] for name, size in zip("QKV", (d, d, t), strict=True)}
    shapes.update({name: [size, n] for name, size in zip("QKVAH", (d, d, t, n, e), strict=True)})
    shapes.update(stack=[t * h, n], W_O=[e, t * h])
    return shapes


### END SOLUTION


# %% nbgrader={"grade_id": "places-code", "solution": true}
### BEGIN SOLUTION
def hands(e):
    return [1.0 / (1 + hand) for hand in range(e // 2)]


def position_codes(n, e):
    rows = []
    for speed in hands(e):
        rows += [[math.sin(speed * i) for i in range(n)], [math.cos(speed * i) for i in range(n)]]
    return rows


def step_matrix(e):
    turns = [torch.tensor([[math.cos(w), math.sin(w)], [-math.sin(w), math.cos(w)]]) for w in hands(e)]
    return torch.block_diag(*turns).double()


### END SOLUTION


# %% nbgrader={"grade_id": "machines-code", "solution": true}
### BEGIN SOLUTION
class Wires:
    """A head whose query i looks at place order[i]."""

    def __init__(self, order, e):
        self.order, self.e, self.n = order, e, len(order)

    def projections(self):
        places = torch.cat([torch.zeros(self.n, self.e), torch.eye(self.n)], dim=1)
        W_V = torch.cat([torch.eye(self.e), torch.zeros(self.e, self.n)], dim=1)
        plugs = torch.zeros(self.n, self.n)
        for i, source in enumerate(self.order):
            plugs[source, i] = 30.0 * self.n
        return plugs @ places, places, W_V


def order(n, step):
    return [max(i - step, 0) for i in range(n)]


def permutation_projections(order, e):
    return Wires(order, e).projections()


def identity_projections(e, n):
    return Wires(order(n, 0), e).projections()


def shift_projections(e, n):
    return Wires(order(n, 1), e).projections()


### END SOLUTION


# %% nbgrader={"grade_id": "convolution-code", "solution": true}
### BEGIN SOLUTION
def ring_turn(angle):
    turn = torch.polar(torch.ones(1), torch.tensor([angle])).item()
    return torch.tensor([[turn.real, -turn.imag], [turn.imag, turn.real]])


def convolution_heads(W, n):
    f, e, k = W.shape
    made, X = [], torch.zeros(2, e)
    for delta in range(-(k // 2), k // 2 + 1):
        W_Q = torch.cat([X, 10.0 * n**2 * ring_turn(2 * math.pi * delta / n)], dim=1)
        W_V = torch.cat([W[..., delta + k // 2], torch.zeros(f, 2)], dim=1)
        made.append((W_Q, torch.cat([X, torch.eye(2)], dim=1), W_V))
    return made


### END SOLUTION


# %% nbgrader={"grade_id": "live-code", "solution": true}
### BEGIN SOLUTION
def mask(key, query, back, ahead):
    return -back <= key - query <= ahead


def live_mask(n, back, ahead):
    return [[mask(key, query, back, ahead) for query in range(n)] for key in range(n)]


def live_reach(layers, back, ahead):
    return torch.tensor([back, ahead]) * layers


### END SOLUTION


# %% nbgrader={"grade_id": "norm-code", "solution": true}
### BEGIN SOLUTION
class Norm:
    """Layer norm by a matrix that centres."""

    def __init__(self, e, eps):
        self.centre, self.eps, self.e = torch.eye(e).double() - 1 / e, eps, e

    def sigma(self, X):
        return ((self.centre @ X.double()).norm(dim=0) ** 2 / self.e + self.eps) ** 0.5

    def __call__(self, X):
        return self.centre @ X.double() / self.sigma(X)


def layer_norm(X, eps=1e-5):
    return Norm(len(X), eps)(X)


def layer_norm_jacobian(x, eps=1e-5):
    norm = Norm(len(x), eps)
    output = norm(x)
    return (norm.centre - output @ output.T / len(x)) / norm.sigma(x)


### END SOLUTION


# %% nbgrader={"grade_id": "token-code", "solution": true}
### BEGIN SOLUTION
def pooling_projections(e):
    W_K = torch.zeros(1, e + 1)
    W_K[:, -1] = -1e3
    return W_K / -1e3, W_K, torch.eye(e + 1)[:-1]


data_regimes = "ACDE"
### END SOLUTION
