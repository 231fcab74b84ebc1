# Loops over single entries, plain numbers and lists.
# ruff: noqa: F821 (the other names are those of the notebook)


# %% nbgrader={"grade_id": "attention-code", "solution": true}
def attention(Q, K, V, beta=None):
    ### BEGIN SOLUTION
    d, n = Q.shape
    m = K.shape[1]
    A, H = torch.zeros(m, n), torch.zeros(len(V), n)
    for i in range(n):
        scores = [sum(float(K[c, j]) * float(Q[c, i]) for c in range(d)) for j in range(m)]
        e = [math.exp((score - max(scores)) * (d**-0.5 if beta is None else beta)) for score in scores]
        for j in range(m):
            A[j, i] = e[j] / sum(e)
            H[:, i] += A[j, i] * V[:, j]
    return H, A
    ### END SOLUTION


def attention_shapes(d, t, n, m):
    ### BEGIN SOLUTION
    H, A = attention(torch.zeros(d, n), torch.zeros(d, m), torch.zeros(t, m))  # measured
    return {"A": A.shape, "H": H.shape}
    ### END SOLUTION


def beta_for_share(gap, m, share):
    ### BEGIN SOLUTION
    low, high = 0.0, 1e6  # by halving the interval
    for _ in range(200):
        beta = (low + high) / 2
        found = 1 / (1 + (m - 1) * math.exp(-beta * gap))
        low, high = (beta, high) if found < share else (low, beta)
    return beta
    ### END SOLUTION


# %% nbgrader={"grade_id": "heads-code", "solution": true}
def multi_head(Q, K, V, heads, W_O):
    ### BEGIN SOLUTION
    rows = []
    for W_Q, W_K, W_V in heads:
        rows += list(attention(W_Q @ Q, W_K @ K, W_V @ V)[0])
    return W_O @ torch.stack(rows)
    ### END SOLUTION


def kernel_of_heads(offsets, W_V, W_O, k):
    ### BEGIN SOLUTION
    f, e = W_O[0].shape[0], W_V[0].shape[1]
    kernel = torch.zeros(f, e, k)
    for tap in range(k):
        for r, offset in enumerate(offsets):
            if offset == tap - (k - 1) / 2:
                for i in range(f):
                    for j in range(e):
                        kernel[i, j, tap] += W_O[r][i] @ W_V[r][:, j]
    return kernel
    ### END SOLUTION


def self_attention(C, W_Q, W_K, W_V, beta=None):
    ### BEGIN SOLUTION
    Q, K, V = (torch.stack([W @ column for column in C.T], dim=1) for W in (W_Q, W_K, W_V))
    return attention(Q, K, V, beta)
    ### END SOLUTION


def self_attention_shapes(e, d, t, h, n):
    ### BEGIN SOLUTION
    C, W_Q, W_V, W_O = torch.zeros(e, n), torch.zeros(d, e), torch.zeros(t, e), torch.zeros(e, h * t)  # measured
    H, A = self_attention(C, W_Q, W_Q, W_V)
    stack = torch.cat([H] * h)
    made = {"W_Q": W_Q, "W_K": W_Q, "W_V": W_V, "Q": W_Q @ C, "K": W_Q @ C, "V": W_V @ C, "A": A}
    made |= {"stack": stack, "W_O": W_O, "H": W_O @ stack}
    return {name: tuple(matrix.shape) for name, matrix in made.items()}
    ### END SOLUTION


# %% nbgrader={"grade_id": "live-code", "solution": true}
def live_mask(n, back, ahead):
    ### BEGIN SOLUTION
    return torch.tensor([[i - back <= j <= i + ahead for i in range(n)] for j in range(n)])
    ### END SOLUTION


def live_reach(layers, back, ahead):
    ### BEGIN SOLUTION
    reach = (0, 0)
    for _ in range(layers):
        reach = (reach[0] + back, reach[1] + ahead)
    return reach
    ### END SOLUTION


# %% nbgrader={"grade_id": "roads-code", "solution": true}
def compare_layers(n, e, k):
    ### BEGIN SOLUTION
    layers, arrived = 0, 1
    while arrived < n:
        layers, arrived = layers + 1, arrived + k // 2
    recurrent = 0
    for _ in range(n):
        recurrent += e * e + e * e
    scores = sum(e for i in range(n) for j in range(n))
    return {
        "attention": [3 * e * e * n + scores + scores, 1, 1],
        "convolution": [k * e * e * n, 1, layers],
        "recurrent": [recurrent, n, n],
    }
    ### END SOLUTION


def multi_head_counts(e, h, d, n):
    ### BEGIN SOLUTION
    parameters = multiplications = 0
    for _ in range(h):
        for _ in "QKV":
            parameters += d * (e + 1)
            multiplications += d * e * n
        multiplications += n * d * n + d * n * n
    return parameters + e * (h * d + 1), multiplications + e * (h * d) * n
    ### END SOLUTION


def block_counts(e, h, w, n):
    ### BEGIN SOLUTION
    parameters, multiplications = multi_head_counts(e, h, e // h, n)
    parameters += w * (e + 1) + e * (w + 1)
    for _ in range(2):
        parameters += e + e
    for _ in range(n):
        multiplications += w * e + e * w
    return parameters, multiplications
    ### END SOLUTION


# %% nbgrader={"grade_id": "lookup-code", "solution": true}
def lookup_projections(e):
    ### BEGIN SOLUTION
    W_Q, W_K, W_V = ([[0.0] * (2 * e) for _ in range(e)] for _ in "QKV")
    for letter in range(e):
        W_Q[letter][letter] = W_K[letter][e + letter] = 20.0
        W_V[letter][letter] = 1.0
    return W_Q, W_K, W_V
    ### END SOLUTION


# %% nbgrader={"grade_id": "columns-code", "solution": true}
def xor_network():
    ### BEGIN SOLUTION
    return [[1.0, 1.0], [-1.0, -1.0]], [[-1.0], [1.0]], [[-1.0, -1.0]], [[1.0]]  # 1 − |s − 1|
    ### END SOLUTION


def xor_head():
    ### BEGIN SOLUTION
    # the bits' score is 90 (x₁ + x₂ − 2 x₁ x₂), the constant token's is 45
    W_Q = [[-90.0, 0.0, 0.0, 0.0], [0.0, -90.0, 0.0, 0.0], [0.0, 0.0, 90.0, 0.0]]
    W_K = [[0.0, 2.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0], [1.0, 1.0, 0.0, 0.5]]
    return W_Q, W_K, [[0.0, 0.0, 1.0, 0.0]]
    ### END SOLUTION


# %% nbgrader={"grade_id": "norm-code", "solution": true}
def layer_norm(X, eps=1e-5):
    ### BEGIN SOLUTION
    columns = []
    for column in X.T:
        mean = sum(column) / len(column)
        variance = sum((entry - mean) ** 2 for entry in column) / len(column)
        columns.append((column - mean) / (variance + eps) ** 0.5)
    return torch.stack(columns, dim=1)
    ### END SOLUTION


def layer_norm_jacobian(x, eps=1e-5):
    ### BEGIN SOLUTION
    e = len(x)
    x_hat = layer_norm(x, eps)[:, 0]
    sigma = float(x.var(unbiased=False) + eps) ** 0.5
    jacobian = torch.zeros(e, e)
    for i in range(e):
        for j in range(e):
            jacobian[i, j] = ((1.0 if i == j else 0.0) - 1 / e - x_hat[i] * x_hat[j] / e) / sigma
    return jacobian
    ### END SOLUTION


# %% nbgrader={"grade_id": "patches-code", "solution": true}
def patch_kernel(E, channels, p):
    ### BEGIN SOLUTION
    kernel = torch.zeros(len(E), channels, p, p)
    for c in range(channels):
        for y in range(p):
            for x in range(p):
                kernel[:, c, y, x] = E[:, p * p * c + p * y + x]
    return kernel
    ### END SOLUTION


def receptive_field(layers):
    ### BEGIN SOLUTION
    pixels = {0}
    for kernel, stride in reversed(layers):
        pixels = {unit * stride + tap for unit in pixels for tap in range(kernel)}
    return max(pixels) - min(pixels) + 1
    ### END SOLUTION


def vit_parameters(image_size, p, channels, e, w, layers, classes):
    ### BEGIN SOLUTION
    places = 1
    for _ in range(0, image_size, p):
        for _ in range(0, image_size, p):
            places += 1
    blocks = sum(block_counts(e, 1, w, 1)[0] for _ in range(layers))
    parts = {"patches": e * (channels * p * p + 1), "class token": e, "positions": places * e}
    return parts | {"blocks": blocks, "head": e + e + classes * (e + 1)}
    ### END SOLUTION


def vit_multiplications(image_size, p, channels, e, w, layers, classes):
    ### BEGIN SOLUTION
    products, columns = 0, 1
    for _ in range(0, image_size, p):
        for _ in range(0, image_size, p):
            products += e * (channels * p * p)
            columns += 1
    for _ in range(layers):
        products += block_counts(e, 1, w, columns)[1]
    for _ in range(classes):
        products += e
    return products
    ### END SOLUTION
