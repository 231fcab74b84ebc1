# Nested lists in, nested lists out: single numbers and Python's own types.
# ruff: noqa: F821 (the other names are those of the notebook)


# %% nbgrader={"grade_id": "attention-code", "solution": true}
def times(A, B):
    """The product of two matrices as lists of rows."""
    return [[sum(a * b for a, b in zip(row, column, strict=True)) for column in zip(*B, strict=True)] for row in A]


def flipped(A):
    return [list(column) for column in zip(*A, strict=True)]


def as_lists(A):
    return [[float(number) for number in row] for row in A]


def attention(Q, K, V, beta=None):
    ### BEGIN SOLUTION
    Q, K, V = as_lists(Q), as_lists(K), as_lists(V)
    if beta is None:
        beta = len(Q) ** -0.5
    columns = []
    for scores in flipped(times(flipped(K), Q)):
        powers = [math.exp(beta * (score - max(scores))) for score in scores]
        columns.append([power / sum(powers) for power in powers])
    A = flipped(columns)
    return [times(V, A), A]
    ### END SOLUTION


def attention_shapes(d, t, n, m):
    ### BEGIN SOLUTION
    return {"H": [t, n], "A": [m, n]}
    ### END SOLUTION


def beta_for_share(gap, m, share):
    ### BEGIN SOLUTION
    beta = 1.0  # Newton's method for the logarithm of the ratio of weights
    for _ in range(60):
        ratio = math.exp(-beta * gap) * share / (1 - share) * (m - 1)
        beta += (1 - 1 / ratio) / gap if ratio > 1 else (ratio - 1) / gap
    return beta
    ### END SOLUTION


# %% nbgrader={"grade_id": "queries-code", "solution": true}
def preserving_query(K, j, beta):
    ### BEGIN SOLUTION
    key, length = K[:, j].tolist(), 1.0
    others = [column for i, column in enumerate(K.T.tolist()) if i != j]
    gaps = [1 - sum(a * b for a, b in zip(key, other, strict=True)) for other in others]
    while sum(math.exp(-beta * length * gap) for gap in gaps) > 0.0005:
        length *= 1.5
    return [[length * entry] for entry in key]
    ### END SOLUTION


def diffusing_query(K, chosen, beta):
    ### BEGIN SOLUTION
    query = [0.0] * len(K)
    for j in chosen:
        for c in range(len(K)):
            query[c] += 40.0 / beta * float(K[c, j])
    return [[entry] for entry in query]
    ### END SOLUTION


# %% nbgrader={"grade_id": "nudges-code", "solution": true}
def widest(P):
    columns = P.T.tolist()
    return max(math.dist(a, b) for a in columns for b in columns)


def key_noise_bound(q, K, V, beta, r):
    ### BEGIN SOLUTION
    return 0.25 * beta * r * math.hypot(*q.flatten().tolist()) * widest(V)
    ### END SOLUTION


def query_noise_bound(q, K, V, beta, r):
    ### BEGIN SOLUTION
    return 0.25 * beta * r * widest(K) * widest(V)
    ### END SOLUTION


def scale_key(h, v, a, s, alpha):
    ### BEGIN SOLUTION
    factor = math.exp((alpha - 1) * s)
    weight = a * factor / (1 + a * (factor - 1))
    others = [(float(h_c) - a * float(v_c)) / (1 - a) for h_c, v_c in zip(h, v, strict=True)]
    return weight, [[weight * float(v_c) + (1 - weight) * other] for v_c, other in zip(v, others, strict=True)]
    ### END SOLUTION


# %% nbgrader={"grade_id": "heads-code", "solution": true}
def multi_head(Q, K, V, heads, W_O):
    ### BEGIN SOLUTION
    stack = []
    for W_Q, W_K, W_V in heads:
        stack.extend(attention(times(as_lists(W_Q), as_lists(Q)), times(as_lists(W_K), as_lists(K)), W_V @ V)[0])
    return times(as_lists(W_O), stack)
    ### END SOLUTION


def kernel_of_heads(offsets, W_V, W_O, k):
    ### BEGIN SOLUTION
    products = [times(as_lists(o), as_lists(v)) for o, v in zip(W_O, W_V, strict=True)]
    middle, (f, e) = k // 2, (len(W_O[0]), len(W_V[0][0]))
    return [
        [
            [sum(P[i][j] for P, o in zip(products, offsets, strict=True) if o == tap - middle) for tap in range(k)]
            for j in range(e)
        ]
        for i in range(f)
    ]
    ### END SOLUTION


def self_attention(C, W_Q, W_K, W_V, beta=None):
    ### BEGIN SOLUTION
    C = as_lists(C)
    return attention(times(as_lists(W_Q), C), times(as_lists(W_K), C), times(as_lists(W_V), C), beta)
    ### END SOLUTION


def self_attention_shapes(e, d, t, h, n):
    ### BEGIN SOLUTION
    each = dict(W_Q=(d, e), W_K=(d, e), W_V=(t, e), Q=(d, n), K=(d, n), V=(t, n), A=(n, n))  # noqa: C408
    rows = sum(t for _ in range(h))
    return {**each, "stack": (rows, n), "W_O": (e, rows), "H": (e, n)}
    ### END SOLUTION


# %% nbgrader={"grade_id": "machines-code", "solution": true}
def permutation_projections(order, e):
    ### BEGIN SOLUTION
    n = len(order)
    W_Q = [[0] * e + [60 * n if order[i] == place else 0 for i in range(n)] for place in range(n)]
    W_K = [[0] * e + [1 if i == place else 0 for i in range(n)] for place in range(n)]
    W_V = [[1 if i == c else 0 for i in range(e + n)] for c in range(e)]
    return W_Q, W_K, W_V
    ### END SOLUTION


def identity_projections(e, n):
    ### BEGIN SOLUTION
    return permutation_projections(range(n), e)
    ### END SOLUTION


def shift_projections(e, n):
    ### BEGIN SOLUTION
    return permutation_projections([-1, *range(n - 1)], e)  # the first column looks at all places alike
    ### END SOLUTION


# %% nbgrader={"grade_id": "convolution-code", "solution": true}
def convolution_heads(W, n):
    ### BEGIN SOLUTION
    kernel, heads = W.tolist(), []
    f, e, k = len(kernel), len(kernel[0]), len(kernel[0][0])
    for tap in range(k):
        angle, length = math.tau * (tap - k // 2) / n, 30.0 * n * n
        c, s = length * math.cos(angle), length * math.sin(angle)
        W_V = [[kernel[i][j][tap] for j in range(e)] + [0.0, 0.0] for i in range(f)]
        zeros = [0.0] * e
        heads.append(([[*zeros, c, -s], [*zeros, s, c]], [[*zeros, 1.0, 0.0], [*zeros, 0.0, 1.0]], W_V))
    return heads
    ### END SOLUTION


# %% nbgrader={"grade_id": "norm-code", "solution": true}
def layer_norm(X, eps=1e-5):
    ### BEGIN SOLUTION
    columns = []
    for x in X.T.tolist():
        mean = sum(x) / len(x)
        sigma = math.sqrt(sum((entry - mean) ** 2 for entry in x) / len(x) + eps)
        columns.append([(entry - mean) / sigma for entry in x])
    return [list(row) for row in zip(*columns, strict=True)]
    ### END SOLUTION


def layer_norm_jacobian(x, eps=1e-5):
    ### BEGIN SOLUTION
    # by differences on both sides, in Python's own float64
    e, step = len(x), 1e-4 * float(x.std() + 1e-3)
    columns = []
    for c in range(e):
        ends = []
        for sign in (1, -1):
            moved = x.double().clone()
            moved[c] += sign * step
            ends.append(layer_norm(moved, eps))
        columns.append([(a[0] - b[0]) / (2 * step) for a, b in zip(*ends, strict=True)])
    return [list(row) for row in zip(*columns, strict=True)]
    ### END SOLUTION


# %% nbgrader={"grade_id": "patches-code", "solution": true}
def patch_kernel(E, channels, p):
    ### BEGIN SOLUTION
    return [
        [[row[(c * p + y) * p : (c * p + y + 1) * p] for y in range(p)] for c in range(channels)] for row in E.tolist()
    ]
    ### END SOLUTION


def receptive_field(layers):
    ### BEGIN SOLUTION
    if not layers:
        return 1
    (kernel, stride), *rest = layers
    return (receptive_field(rest) - 1) * stride + kernel
    ### END SOLUTION


def vit_parameters(image_size, p, channels, e, w, layers, classes):
    ### BEGIN SOLUTION
    parts = {"class token": e, "blocks": 0, "patches": e * channels * p * p + e, "head": 2 * e + (e + 1) * classes}
    for _ in range(layers):
        parts["blocks"] += block_counts(e=e, h=1, w=w, n=1)[0]
    parts["positions"] = e * (1 + round(image_size / p) ** 2)
    return parts
    ### END SOLUTION


def vit_multiplications(image_size, p, channels, e, w, layers, classes):
    ### BEGIN SOLUTION
    n = int((image_size / p) ** 2)
    return float(n * (e * channels * p * p) + layers * block_counts(e=e, h=1, w=w, n=n + 1)[1] + e * classes)
    ### END SOLUTION


# %% nbgrader={"grade_id": "token-code", "solution": true}
def pooling_projections(e):
    ### BEGIN SOLUTION
    W_Q = [[0] * e + [7], [0] * e + [7]]
    W_K = [[0] * e + [-7], [0] * e + [-7]]
    return [W_Q, W_K, [[int(i == j) for j in range(e + 1)] for i in range(e)]]
    ### END SOLUTION


# data_regimes = {"…", …}
### BEGIN SOLUTION
data_regimes = ("a", "c", "d", "e")
### END SOLUTION
