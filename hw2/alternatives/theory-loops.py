# Loops over single entries, numbers from math, formulas as sums with indices.
# ruff: noqa: F821 (the other names are those of the notebook)


# %% nbgrader={"grade_id": "conv-output-shape-code", "solution": true}
### BEGIN SOLUTION
# parameter: kernel_height; kernel_width; image_height; image_width
first_shape = [len(range(0, 17 - 3 + 1, 2)), len(range(0, 11 - 5 + 1, 2))]
### END SOLUTION


def conv_output_shape(C, H, W, HK, WK, P, S, D, F):
    ### BEGIN SOLUTION
    sizes = []
    for size, kernel in ((H, HK), (W, WK)):
        count, first = 0, -P
        while first + D * (kernel - 1) <= size + P - 1:  # its last tap is still on the padded image
            count, first = count + 1, first + S
        sizes.append(count)
    return [F, *sizes]
    ### END SOLUTION


# %% nbgrader={"grade_id": "convolution-code", "solution": true}
def window_sum(x, W, start, backwards):
    ### BEGIN SOLUTION
    _, C, k = W.shape
    total = 0.0
    for c in range(C):
        for j in range(k):
            total += float(W[0, c, j]) * float(x[c, start + (k - 1 - j if backwards else j)])
    return total
    ### END SOLUTION


def cross_correlation(x, W, stride=2):
    ### BEGIN SOLUTION
    R = (x.shape[1] - W.shape[2]) // stride + 1
    return torch.tensor([[window_sum(x, W, stride * r, False)] for r in range(R)])
    ### END SOLUTION


def convolution(x, W, stride=2):
    ### BEGIN SOLUTION
    R = (x.shape[1] - W.shape[2]) // stride + 1
    return torch.tensor([[window_sum(x, W, stride * r, True)] for r in range(R)])
    ### END SOLUTION


# %% nbgrader={"grade_id": "jacobians-code", "solution": true}
def jacobian_by_weights(x, k, stride=2):
    ### BEGIN SOLUTION
    C, N = x.shape
    R = (N - k) // stride + 1
    jacobian = torch.zeros(R, C * k)
    for r in range(R):
        for c in range(C):
            for j in range(k):
                jacobian[r, k * c + j] = x[c, stride * r + j]
    return jacobian
    ### END SOLUTION


def jacobian_by_input(W, N, stride=2):
    ### BEGIN SOLUTION
    _, C, k = W.shape
    R = (N - k) // stride + 1
    jacobian = torch.zeros(R, C * N)
    for r in range(R):
        for c in range(C):
            for n in range(N):
                if 0 <= n - stride * r < k:
                    jacobian[r, N * c + n] = W[0, c, n - stride * r]
    return jacobian
    ### END SOLUTION


def gradient_by_weights(x, dl_df, k, stride=2):
    ### BEGIN SOLUTION
    gradient = torch.zeros(1, len(x) * k)
    for c in range(len(x)):
        for j in range(k):
            for r in range(dl_df.shape[1]):
                gradient[0, k * c + j] += dl_df[0, r] * x[c, stride * r + j]
    return gradient
    ### END SOLUTION


# %% nbgrader={"grade_id": "unrolled-code", "solution": true}
def unrolled_edges(T):
    ### BEGIN SOLUTION
    edges = [[f"x{t}", f"h{t}"] for t in range(1, T + 1)]
    for name in "ch":
        edges += [[f"h{t - 1}", f"{name}{t}"] for t in range(1, T + 1)]
    for t in reversed(range(1, T + 1)):
        edges += [[f"c{t}", f"h{t}"], [f"x{t}", f"c{t}"]]
    return edges
    ### END SOLUTION


def unrolled_places(T):
    ### BEGIN SOLUTION
    found = {}
    for letter, across, up in (("x", 1, -3), ("c", 0, 0), ("h", 1, 1)):
        for t in range(T + 1):
            if t or letter == "h":
                found[f"{letter}{t}"] = (4 * t + across, up)
    return found
    ### END SOLUTION


def gated_dimensions(n, m):
    """Rows and columns for x[t] (n, 1) and h[t] (m, 1): a dictionary from "W_c", "W_h", "W_x", "c" to pairs of int."""
    ### BEGIN SOLUTION
    return {"W_c": (m, n), "W_h": (m, m), "W_x": (m, n), "c": (m, 1)}
    ### END SOLUTION


# %% nbgrader={"grade_id": "gated-code", "solution": true}
def gated_jacobians(x, h, W_c, W_h, W_x):
    ### BEGIN SOLUTION
    m = len(h)
    z, u = W_c @ x + W_h @ h, W_x @ x
    gate, state = torch.zeros(m, m), torch.zeros(m, m)
    for i in range(m):
        c = 1 / (1 + math.exp(-float(z[i, 0])))
        for j in range(m):
            gate[i, j] = c * (1 - c) * W_h[i, j]
            state[i, j] = gate[i, j] * (h[i, 0] - u[i, 0]) + (c if i == j else 0.0)
    return [gate, state]
    ### END SOLUTION


def gated_gradient(x, W_c, W_h, W_x, r):
    ### BEGIN SOLUTION
    # the double sum over pairs s ≥ t, with the product of the Jacobians between them
    K = x.shape[1]
    cs, hs = gated_rnn(x, W_c, W_h, W_x)
    J = [gated_jacobians(x[:, t : t + 1], hs[t], W_c, W_h, W_x)[1] for t in range(K)]
    gradient = torch.zeros(x.shape[0], len(W_h))
    for t in range(K):
        for s in range(t, K):
            row = r[s]
            for between in range(s, t, -1):
                row = row @ J[between]
            for i in range(x.shape[0]):
                for j in range(len(W_h)):
                    gradient[i, j] += x[i, t] * row[j] * (1 - cs[t][j, 0])
    return gradient
    ### END SOLUTION


# %% nbgrader={"grade_id": "attention-code", "solution": true}
def attention_dimensions(n, m, d):
    """Rows and columns in AttentionRNN(2): a dictionary from "a", "Q0", "Q1", "V0", "V1" to pairs of int."""
    ### BEGIN SOLUTION
    return {"a": (3, 1), "Q0": (d, n), "Q1": (d, m), "V0": (m, n), "V1": (m, m)}
    ### END SOLUTION


def attention_step(x, history, Q, K, V):
    ### BEGIN SOLUTION
    sources = [x, *history]
    scores = [math.exp(float(((Q[i] @ s) * (K[i] @ s)).sum())) for i, s in enumerate(sources)]
    h = torch.zeros(len(V[0]), 1)
    for i, s in enumerate(sources):
        h += scores[i] / sum(scores) * (V[i] @ s)
    return h
    ### END SOLUTION


def attention_parameters(n, m, d, k, tied=False):
    """How many numbers are in all the matrices of an AttentionRNN that looks at x[t] and k ≥ 1 states; an int."""
    ### BEGIN SOLUTION
    own = 2 * d * n + m * n
    distance = 2 * d * m + m * m
    return own + (1 if tied else k) * distance
    ### END SOLUTION


def tied_attention_step(x, history, Q0, K0, V0, Q, K, V):
    """One step of the tied AttentionRNN(∞).

    x = x[t] (n, 1); history = [h[t−1], …, h[1]], each (m, 1), a list of any length, empty at the first step
    Q0, K0 (d, n), V0 (m, n) for the input; Q, K (d, m), V (m, m) for all states

    Returns h[t] (m, 1).
    """
    ### BEGIN SOLUTION
    past = len(history)
    return attention_step(x, history, [Q0, *[Q] * past], [K0, *[K] * past], [V0, *[V] * past])
    ### END SOLUTION


# %% nbgrader={"grade_id": "attention-jacobian-code", "solution": true}
def attention_jacobian(x, history, Q, K, V, j):
    """∂h[t]/∂h[t−j] in AttentionRNN(k), 1 ≤ j ≤ k, the other states and x[t] held fixed.

    x (n, 1); history = [h[t−1], …, h[t−k]], each (m, 1); Q, K, V: lists of k + 1 matrices, as in 3.2

    Returns a matrix (m, m).
    """
    ### BEGIN SOLUTION
    sources = [x, *history]
    w = torch.cat([(Q[i] @ s).T @ (K[i] @ s) for i, s in enumerate(sources)])  # (k + 1, 1)
    v = torch.cat([V[i] @ s for i, s in enumerate(sources)], dim=1)  # (m, k + 1)
    a = torch.softmax(w, dim=0)  # (k + 1, 1)
    q, k = Q[j] @ sources[j], K[j] @ sources[j]  # (d, 1)
    dw_dh = k.T @ Q[j] + q.T @ K[j]  # (1, m)
    return a[j] * (V[j] + (v[:, j : j + 1] - v @ a) @ dw_dh)
    ### END SOLUTION


def attention_backward(r, J):
    ### BEGIN SOLUTION
    found = {}

    def gradient(s):
        if s not in found:
            found[s] = r[s - 1].clone()
            for (t, source), jacobian in J.items():
                if source == s:
                    found[s] = found[s] + gradient(t) @ jacobian
        return found[s]

    return torch.stack([gradient(s) for s in range(1, len(r) + 1)])
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


### BEGIN SOLUTION
fixes = ["E", "C", "A"]
### END SOLUTION


### BEGIN SOLUTION
initial_accuracy = 0.25
initial_loss = 1.386
### END SOLUTION
