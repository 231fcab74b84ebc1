# Numpy inside and numpy returned.
# ruff: noqa: F821 (the other names are those of the notebook)

# %% nbgrader={"grade_id": "first-shape-code", "solution": true}
import numpy as np

### BEGIN SOLUTION
first_shape = (math.floor((17 - 3) / 2 + 1), math.floor((11 - 5) / 2 + 1))
### END SOLUTION


# %% nbgrader={"grade_id": "conv-output-shape-code", "solution": true}
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


# %% nbgrader={"grade_id": "jacobian-weights-code", "solution": true}
def jacobian_by_weights(x, k, stride=2):
    ### BEGIN SOLUTION
    windows = np.lib.stride_tricks.sliding_window_view(x.numpy(), k, axis=1)[:, ::stride]  # (C, R, k)
    return windows.transpose(1, 0, 2).reshape(windows.shape[1], -1).copy()
    ### END SOLUTION


# %% nbgrader={"grade_id": "jacobian-input-code", "solution": true}
def jacobian_by_input(W, N, stride=2):
    ### BEGIN SOLUTION
    k = W.shape[2]
    R = (N - k) // stride + 1
    select = np.zeros((R, k, N))  # select[r, j, n] says whether tap j meets step n in window r
    r, j = np.meshgrid(np.arange(R), np.arange(k), indexing="ij")
    select[r, j, stride * r + j] = 1
    return np.einsum("cj,rjn->rcn", W[0].numpy(), select).reshape(R, -1)
    ### END SOLUTION


# %% nbgrader={"grade_id": "gradient-weights-code", "solution": true}
def gradient_by_weights(x, dl_df, k, stride=2):
    ### BEGIN SOLUTION
    x, upstream = x.double().numpy(), dl_df.double().numpy()[0]
    dilated = np.zeros(stride * (upstream.size - 1) + 1)
    dilated[::stride] = upstream
    return np.concatenate([np.correlate(row, dilated, mode="valid")[:k] for row in x])[None]
    ### END SOLUTION


# %% nbgrader={"grade_id": "dimensions-code", "solution": true}
def gated_dimensions(n, m):
    ### BEGIN SOLUTION
    return {name: [m, n] for name in ("W_c", "W_x")} | {"W_h": [m, m], "c": [m, 1]}
    ### END SOLUTION


# %% nbgrader={"grade_id": "gated-jacobians-code", "solution": true}
def gated_jacobians(x, h, W_c, W_h, W_x):
    ### BEGIN SOLUTION
    x, h, W_c, W_h, W_x = (part.numpy() for part in (x, h, W_c, W_h, W_x))
    c = 1 / (1 + np.exp(-(W_c @ x + W_h @ h)))
    gate = np.diagflat(c - c**2) @ W_h
    return gate, np.diagflat(c) + np.diagflat(h - W_x @ x) @ gate
    ### END SOLUTION


# %% nbgrader={"grade_id": "gated-gradient-code", "solution": true}
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


# %% nbgrader={"grade_id": "attention-step-code", "solution": true}
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


# %% nbgrader={"grade_id": "attention-all-code", "solution": true}
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


# %% nbgrader={"grade_id": "attention-backward-code", "solution": true}
def attention_backward(r, J):
    ### BEGIN SOLUTION
    rows = {t: r[t - 1].numpy() for t in range(1, len(r) + 1)}
    for t, s in sorted(J, reverse=True):
        rows[s] = rows[s] + rows[t] @ J[t, s].numpy()
    return np.stack([rows[t] for t in sorted(rows)])
    ### END SOLUTION


# %% nbgrader={"grade_id": "initial-code", "solution": true}
### BEGIN SOLUTION
initial_accuracy = np.full(4, 1 / 4).max()
initial_loss = -np.mean(np.log(np.full(4, 0.25)))
### END SOLUTION
