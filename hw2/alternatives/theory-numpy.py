# Numpy inside and numpy returned.
# ruff: noqa: F821 (the other names are those of the notebook)


# %% nbgrader={"grade_id": "conv-output-shape-code", "solution": true}
import numpy as np

### BEGIN SOLUTION
# parameter: kernel_height; kernel_width; image_height; image_width
first_shape = (math.floor((17 - 3) / 2 + 1), math.floor((11 - 5) / 2 + 1))
### END SOLUTION


def conv_output_shape(C, H, W, HK, WK, P, S, D, F):
    ### BEGIN SOLUTION
    return (F, *(math.floor((n + 2 * P - D * (k - 1) - 1) / S + 1) for n, k in ((H, HK), (W, WK))))
    ### END SOLUTION


# %% nbgrader={"grade_id": "convolution-code", "solution": true}
def cross_correlation(x, W, stride=2):
    ### BEGIN SOLUTION
    rows = [np.correlate(row, taps, mode="valid")[::stride] for row, taps in zip(x.numpy(), W[0].numpy(), strict=True)]
    return np.sum(rows, axis=0)[:, None]
    ### END SOLUTION


def convolution(x, W, stride=2):
    ### BEGIN SOLUTION
    rows = [np.convolve(row, taps, mode="valid")[::stride] for row, taps in zip(x.numpy(), W[0].numpy(), strict=True)]
    return np.sum(rows, axis=0)[:, None]
    ### END SOLUTION


# %% nbgrader={"grade_id": "jacobians-code", "solution": true}
def jacobian_by_weights(x, k, stride=2):
    ### BEGIN SOLUTION
    windows = np.lib.stride_tricks.sliding_window_view(x.numpy(), k, axis=1)[:, ::stride]  # (C, R, k)
    return windows.transpose(1, 0, 2).reshape(windows.shape[1], -1).copy()
    ### END SOLUTION


def jacobian_by_input(W, N, stride=2):
    ### BEGIN SOLUTION
    k = W.shape[2]
    R = (N - k) // stride + 1
    select = np.zeros((R, k, N))  # select[r, j, n] says whether tap j meets step n in window r
    r, j = np.meshgrid(np.arange(R), np.arange(k), indexing="ij")
    select[r, j, stride * r + j] = 1
    return np.einsum("cj,rjn->rcn", W[0].numpy(), select).reshape(R, -1)
    ### END SOLUTION


def gradient_by_weights(x, dl_df, k, stride=2):
    ### BEGIN SOLUTION
    x, upstream = x.double().numpy(), dl_df.double().numpy()[0]
    dilated = np.zeros(stride * (upstream.size - 1) + 1)
    dilated[::stride] = upstream
    return np.concatenate([np.correlate(row, dilated, mode="valid")[:k] for row in x])[None]
    ### END SOLUTION


# %% nbgrader={"grade_id": "unrolled-code", "solution": true}
def unrolled_edges(T):
    """The arrows of the gated network unrolled for T steps: a list of pairs of names such as ("x1", "c1")."""
    ### BEGIN SOLUTION
    edges = []
    for t in range(1, T + 1):
        x, c, old, new = f"x{t}", f"c{t}", f"h{t - 1}", f"h{t}"
        edges += [(x, c), (old, c), (c, new), (old, new), (x, new)]
    return edges
    ### END SOLUTION


def unrolled_places(T):
    ### BEGIN SOLUTION
    steps = np.arange(T + 1)[:, None] * 2.5
    rows = {"x": np.hstack([steps, 0 * steps]), "c": np.hstack([steps - 1, 0 * steps + 1.2])}
    rows["h"] = np.hstack([steps, 0 * steps + 2.4])
    return {f"{letter}{t}": row[t] for letter, row in rows.items() for t in range(letter != "h", T + 1)}
    ### END SOLUTION


def gated_dimensions(n, m):
    ### BEGIN SOLUTION
    return {name: [m, n] for name in ("W_c", "W_x")} | {"W_h": [m, m], "c": [m, 1]}
    ### END SOLUTION


# %% nbgrader={"grade_id": "gated-code", "solution": true}
def gated_jacobians(x, h, W_c, W_h, W_x):
    ### BEGIN SOLUTION
    x, h, W_c, W_h, W_x = (part.numpy() for part in (x, h, W_c, W_h, W_x))
    c = 1 / (1 + np.exp(-(W_c @ x + W_h @ h)))
    gate = np.diagflat(c - c**2) @ W_h
    return gate, np.diagflat(c) + np.diagflat(h - W_x @ x) @ gate
    ### END SOLUTION


def gated_gradient(x, W_c, W_h, W_x, r):
    ### BEGIN SOLUTION
    cs, hs = gated_rnn(x, W_c, W_h, W_x)
    delta, deltas = np.zeros((1, len(W_h))), []
    for t in reversed(range(x.shape[1])):
        delta = delta + r[t : t + 1].numpy()
        deltas.insert(0, delta * (1 - cs[t].numpy().T))
        delta = delta @ gated_jacobians(x[:, t : t + 1], hs[t], W_c, W_h, W_x)[1]
    return x.numpy() @ np.concatenate(deltas)
    ### END SOLUTION


# %% nbgrader={"grade_id": "extremes-code", "solution": true}
def fading(K):
    ### BEGIN SOLUTION
    return np.ones((1, K)), np.array([[-9.0]]), np.zeros((1, 1)), np.zeros((1, 1))
    ### END SOLUTION


def carrying(K):
    ### BEGIN SOLUTION
    return np.ones((1, K)), np.array([[99.0]]), np.zeros((1, 1)), np.zeros((1, 1))
    ### END SOLUTION


def exploding(K):
    ### BEGIN SOLUTION
    # the candidate goes to and fro between −2 and 2, so that the second term of J[t] keeps its size
    h, columns, w_h = 0.0, [], -40.0
    for t in range(K):
        u = 2.0 if t % 2 else -2.0
        columns.append([-w_h * h, u])
        h = (h + u) / 2
    return np.array(columns).T, np.array([[1.0, 0.0]]), np.array([[w_h]]), np.array([[0.0, 1.0]])
    ### END SOLUTION


# %% nbgrader={"grade_id": "attention-code", "solution": true}
def attention_dimensions(n, m, d):
    """Rows and columns in AttentionRNN(2): a dictionary from "a", "Q0", "Q1", "V0", "V1" to pairs of int."""
    ### BEGIN SOLUTION
    return {"a": (3, 1), "Q0": (d, n), "Q1": (d, m), "V0": (m, n), "V1": (m, m)}
    ### END SOLUTION


def attention_step(x, history, Q, K, V):
    ### BEGIN SOLUTION
    sources = [source.numpy() for source in (x, *history)]
    q, k, v = (
        np.hstack([matrix.numpy() @ source for matrix, source in zip(matrices, sources, strict=True)])
        for matrices in (Q, K, V)
    )
    e = np.exp(np.sum(q * k, axis=0))
    return v @ (e / e.sum())[:, None]
    ### END SOLUTION


def attention_parameters(n, m, d, k, tied=False):
    ### BEGIN SOLUTION
    shapes = [(d, n), (d, n), (m, n)]
    for _ in range(1 if tied else k):
        shapes += [(d, m), (d, m), (m, m)]
    return int(np.sum([np.prod(shape) for shape in shapes]))
    ### END SOLUTION


def tied_attention_step(x, history, Q0, K0, V0, Q, K, V):
    ### BEGIN SOLUTION
    if not history:
        return V0 @ x
    past = torch.cat(history, dim=1).numpy()  # (m, t − 1): all the past in one product
    w = np.append(((Q.numpy() @ past) * (K.numpy() @ past)).sum(0), ((Q0 @ x) * (K0 @ x)).sum().item())
    v = np.hstack([V.numpy() @ past, (V0 @ x).numpy()])
    e = np.exp(w - w.max())
    return v @ (e / e.sum())[:, None]
    ### END SOLUTION


# %% nbgrader={"grade_id": "attention-jacobian-code", "solution": true}
def attention_jacobian(x, history, Q, K, V, j):
    ### BEGIN SOLUTION
    sources = [source.double().numpy() for source in (x, *history)]
    Q, K, V = ([matrix.double().numpy() for matrix in matrices] for matrices in (Q, K, V))
    w = np.array([(s.T @ A.T @ B @ s).item() for A, B, s in zip(Q, K, sources, strict=True)])
    e = np.exp(w)
    a = e / e.sum()
    jacobian = a[j] * V[j]
    for i in range(len(sources)):  # the road through each a_i
        slope = a[i] * ((1.0 if i == j else 0.0) - a[j])
        jacobian = jacobian + slope * V[i] @ sources[i] @ sources[j].T @ (Q[j].T @ K[j] + K[j].T @ Q[j])
    return jacobian
    ### END SOLUTION


def attention_backward(r, J):
    ### BEGIN SOLUTION
    rows = {t: r[t - 1].numpy() for t in range(1, len(r) + 1)}
    for t, s in sorted(J, reverse=True):
        rows[s] = rows[s] + rows[t] @ J[t, s].numpy()
    return np.stack([rows[t] for t in sorted(rows)])
    ### END SOLUTION


# %% nbgrader={"grade_id": "kinks-code", "solution": true}
# kink_cause = "…"
### BEGIN SOLUTION
kink_cause = "E"
### END SOLUTION


# spike_reason = "…"
### BEGIN SOLUTION
spike_reason = "B"
### END SOLUTION


# fixes = {"…", …}
### BEGIN SOLUTION
fixes = {"A", "C", "E"}
### END SOLUTION


### BEGIN SOLUTION
initial_accuracy = np.full(4, 1 / 4).max()
initial_loss = -np.mean(np.log(np.full(4, 0.25)))
### END SOLUTION


# %% nbgrader={"grade_id": "evidence-code", "solution": true}
def growth_through_time(early, late):
    ### BEGIN SOLUTION
    return np.linalg.norm(early.numpy()) / np.linalg.norm(late.numpy())
    ### END SOLUTION


def step_times_curvature(before, after, rate, length):
    ### BEGIN SOLUTION
    kappa = np.roots([rate**2 * length**2 / 2, before - after - rate * length**2])[0]  # a line has one root
    return rate * kappa
    ### END SOLUTION
