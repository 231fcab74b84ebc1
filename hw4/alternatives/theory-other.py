# Other constructions: everything that works is right.
# ruff: noqa: F821 (the other names are those of the notebook)


# %% nbgrader={"grade_id": "queries-code", "solution": true}
def preserving_query(K, j, beta):
    ### BEGIN SOLUTION
    q = torch.zeros(len(K), 1)
    while float(torch.softmax(beta * K.T @ q, dim=0)[j]) < 0.9995:
        q += 50 / beta * K[:, j : j + 1]
    return q
    ### END SOLUTION


def diffusing_query(K, chosen, beta):
    ### BEGIN SOLUTION
    # away from the others in place of towards the chosen; q stays 0 when all are chosen
    others = [j for j in range(K.shape[1]) if j not in chosen]
    q = torch.zeros(len(K), 1)
    for j in others:
        q -= 12 / beta * K[:, j : j + 1]
    return q
    ### END SOLUTION


# %% nbgrader={"grade_id": "nudges-code", "solution": true}
def key_noise_bound(q, K, V, beta, r):
    ### BEGIN SOLUTION
    farthest = max((V[:, i] - V[:, j]).norm() for i in range(V.shape[1]) for j in range(V.shape[1]))
    return farthest * math.tanh(beta * r * q.norm() / 4)
    ### END SOLUTION


def query_noise_bound(q, K, V, beta, r):
    ### BEGIN SOLUTION
    def diameter(P):
        return max((P[:, i] - P[:, j]).norm() for i in range(P.shape[1]) for j in range(P.shape[1]))

    return torch.minimum(diameter(V), beta * r * diameter(K) * diameter(V) / 4)
    ### END SOLUTION


def scale_key(h, v, a, s, alpha):
    ### BEGIN SOLUTION
    # as if the key's exponential were counted `more` times in addition
    more = math.exp((alpha - 1) * s) - 1
    total = 1 + more * a
    return torch.tensor(a * (1 + more) / total), (h + more * a * v) / total
    ### END SOLUTION


# %% nbgrader={"grade_id": "places-code", "solution": true}
def position_codes(n, e):
    ### BEGIN SOLUTION
    # a walk along a line with a constant entry that carries the step: R is a shear
    codes = torch.zeros(e, n)
    codes[0], codes[1] = torch.linspace(-1, -1 + (n - 1) * 2 / 39, n), 1.0
    return codes
    ### END SOLUTION


def step_matrix(e):
    ### BEGIN SOLUTION
    R = torch.eye(e)
    R[0, 1] = 2 / 39
    return R
    ### END SOLUTION


# %% nbgrader={"grade_id": "machines-code", "solution": true}
def permutation_projections(order, e):
    ### BEGIN SOLUTION
    # one product of any two orthonormal frames; here d is twice as large as it has to be
    n = len(order)
    frame, _ = torch.linalg.qr(torch.randn(2 * n, 2 * n, generator=torch.Generator().manual_seed(n)))
    frame = frame[:, :n]
    wires = torch.zeros(n, n)
    for i, source in enumerate(order):
        wires[source, i] = 1
    blind = torch.zeros(2 * n, e)
    return torch.cat([blind, 500 * frame @ wires], dim=1), torch.cat([blind, frame], dim=1), torch.eye(e, e + n)
    ### END SOLUTION


def identity_projections(e, n):
    ### BEGIN SOLUTION
    first = permutation_projections(list(range(n)), e)
    return [first[0], first[1], first[2]]
    ### END SOLUTION


def shift_projections(e, n):
    ### BEGIN SOLUTION
    return permutation_projections([n - 1, *range(n - 1)], e)
    ### END SOLUTION


# %% nbgrader={"grade_id": "convolution-code", "solution": true}
def convolution_heads(W, n):
    ### BEGIN SOLUTION
    # two heads for each tap, which share its work; queries and keys are both turned by half of the angle
    f, e, k = W.shape
    heads = []
    for tap in range(k):
        half = math.pi / n * (tap - k // 2)
        c, s = math.cos(half), math.sin(half)
        W_Q, W_K, W_V = torch.zeros(2, e + 2), torch.zeros(2, e + 2), torch.zeros(f, e + 2)
        W_Q[:, e:] = 5.0 * n * n * torch.tensor([[c, -s], [s, c]])
        W_K[:, e:] = torch.tensor([[c, s], [-s, c]])
        W_V[:, :e] = W[:, :, tap] / 2
        heads += 2 * [(W_Q, W_K, W_V)]
    return tuple(heads)
    ### END SOLUTION


# %% nbgrader={"grade_id": "lookup-code", "solution": true}
def lookup_projections(e):
    ### BEGIN SOLUTION
    # any codes for letters whose products are small enough, doubled and made long on the keys' side
    zero, turn = torch.zeros(e, e), torch.ones(e, e) - 2 * torch.eye(e)
    W_Q = torch.cat([turn, zero], dim=1)
    W_K = torch.cat([zero, 50 * (torch.eye(e) - 1 / e) @ turn], dim=1)
    return W_Q, W_K, torch.cat([torch.eye(e), zero], dim=1)
    ### END SOLUTION


# %% nbgrader={"grade_id": "columns-code", "solution": true}
def xor_network():
    ### BEGIN SOLUTION
    # |x₁ − x₂|, and one unit that does nothing
    W1 = torch.tensor([[1.0, -1.0], [-1.0, 1.0], [0.0, 0.0]])
    return W1, torch.tensor([[0.0], [0.0], [-5.0]]), torch.tensor([[1.0, 1.0, 3.0]]), torch.tensor([[0.0]])
    ### END SOLUTION


def xor_head():
    ### BEGIN SOLUTION
    # for the sum s of the bits (s − 1)² is 0 where they differ: there the constant token wins, which carries the 1
    W_Q = 80.0 * torch.tensor([[1.0, 1.0, -1.0, 0.0], [0.0, 0.0, 1.0, 0.0]])
    W_K = torch.tensor([[1.0, 1.0, -1.0, 0.0], [0.0, 0.0, 0.0, 0.5]])
    return W_Q, W_K, torch.tensor([[0.0, 0.0, 0.0, 1.0]])
    ### END SOLUTION


# %% nbgrader={"grade_id": "roads-code", "solution": true}
def compare_layers(n, e, k):
    ### BEGIN SOLUTION
    recurrent, convolution = n * (e * e + e * e), n * e * (e * k)
    attention = sum([n * e * e] * 3) + n * e * n + e * n * n
    path = -(-2 * (n - 1) // (k - 1))
    return {"recurrent": (recurrent, n, n), "convolution": (convolution, 1, path), "attention": (attention, 1, 1)}
    ### END SOLUTION


def multi_head_counts(e, h, d, n):
    ### BEGIN SOLUTION
    linear = torch.nn.Linear(e, 3 * h * d), torch.nn.Linear(h * d, e)
    weights = sum(layer.weight.numel() for layer in linear)
    return weights + sum(layer.bias.numel() for layer in linear), weights * n + 2 * n * n * h * d
    ### END SOLUTION


def block_counts(e, h, w, n):
    ### BEGIN SOLUTION
    weights = 4 * e * e + 2 * e * w
    biases_and_norms = 4 * e + w + e + 4 * e
    return weights + biases_and_norms, n * weights + 2 * n * n * e
    ### END SOLUTION


# %% nbgrader={"grade_id": "token-code", "solution": true}
def pooling_projections(e):
    ### BEGIN SOLUTION
    # d is larger than needed, and the values subtract the mark of the class token
    W_Q, W_K = torch.zeros(3, e + 1), torch.zeros(3, e + 1)
    W_Q[0, -1] = W_Q[1, -1] = -50.0
    W_K[0, -1] = 2.0
    return W_Q, W_K, torch.cat([torch.eye(e), -torch.ones(e, 1)], dim=1)
    ### END SOLUTION


# data_regimes = {"…", …}
### BEGIN SOLUTION
data_regimes = ["E", "D", "C", "A"]
### END SOLUTION
