# Linearity in place of indices: the Jacobian of a linear map is what it makes of unit vectors; chain rule for the rest.
# ruff: noqa: F821 (the other names are those of the notebook)


# %% nbgrader={"grade_id": "convolution-code", "solution": true}
def cross_correlation(x, W, stride=2):
    ### BEGIN SOLUTION
    windows = x.unfold(1, W.shape[2], stride)  # (C, R, k)
    return torch.einsum("crk,fck->rf", windows, W)
    ### END SOLUTION


def convolution(x, W, stride=2):
    ### BEGIN SOLUTION
    windows = x.unfold(1, W.shape[2], stride).flip(2)
    return torch.einsum("crk,fck->rf", windows, W)
    ### END SOLUTION


# %% nbgrader={"grade_id": "jacobians-code", "solution": true}
def jacobian_by_weights(x, k, stride=2):
    ### BEGIN SOLUTION
    units = torch.eye(len(x) * k).reshape(-1, 1, len(x), k)
    return torch.cat([cross_correlation(x, unit, stride) for unit in units], dim=1)
    ### END SOLUTION


def jacobian_by_input(W, N, stride=2):
    ### BEGIN SOLUTION
    units = torch.eye(W.shape[1] * N).reshape(-1, W.shape[1], N)
    return torch.cat([cross_correlation(unit, W, stride) for unit in units], dim=1)
    ### END SOLUTION


def gradient_by_weights(x, dl_df, k, stride=2):
    ### BEGIN SOLUTION
    return dl_df @ jacobian_by_weights(x, k, stride)
    ### END SOLUTION


# %% nbgrader={"grade_id": "gated-code", "solution": true}
def gated_jacobians(x, h, W_c, W_h, W_x):
    ### BEGIN SOLUTION
    c = torch.sigmoid(torch.addmm(W_c @ x, W_h, h)).flatten()
    gate = torch.diag(c) @ torch.diag(1 - c) @ W_h
    return gate, torch.diag(c) + torch.diag(h.flatten()) @ gate - torch.diag((W_x @ x).flatten()) @ gate
    ### END SOLUTION


def gated_gradient(x, W_c, W_h, W_x, r):
    ### BEGIN SOLUTION
    # forward in time: carry ∂h[t]/∂W_x along, flattened as W_x.reshape(-1), and collect what the loss sees of it
    m, n = W_x.shape
    h, sensitivity, gradient = torch.zeros(m, 1), torch.zeros(m, m * n), torch.zeros(m * n)
    for t in range(x.shape[1]):
        now = x[:, t : t + 1]
        c, new = gated_step(now, h, W_c, W_h, W_x)
        by_weights = torch.kron(torch.eye(m), now.T)  # ∂(W_x x)/∂W_x
        sensitivity = gated_jacobians(now, h, W_c, W_h, W_x)[1] @ sensitivity + (1 - c) * by_weights
        gradient += r[t] @ sensitivity
        h = new
    return gradient.reshape(m, n).T
    ### END SOLUTION


# %% nbgrader={"grade_id": "extremes-code", "solution": true}
def fading(K):
    ### BEGIN SOLUTION
    return torch.zeros(2, K), torch.zeros(3, 2), 0.1 * torch.eye(3), torch.ones(3, 2)
    ### END SOLUTION


def carrying(K):
    ### BEGIN SOLUTION
    return torch.ones(1, K), 20.0 * torch.ones(4, 1), torch.eye(4) / 10, torch.ones(4, 1)
    ### END SOLUTION


def exploding(K):
    ### BEGIN SOLUTION
    # the first step does it all: J[1] = ½ + ¼ · 8^K · 8, and from then on the gate is open
    x = torch.zeros(2, K)
    x[0, 0], x[1, 1:] = -1.0, 1.0
    W_h, W_x = torch.tensor([[8.0]]), torch.tensor([[8.0**K, 0.0]])
    return x, torch.tensor([[0.0, 40.0 + 8.0 ** (K + 1)]]), W_h, W_x
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
    w = torch.stack([(s.T @ Qi.T @ Ki @ s).squeeze() for Qi, Ki, s in zip(Q, K, sources, strict=True)])
    weights = torch.exp(w - torch.logsumexp(w, dim=0))
    return sum(a * (Vi @ s) for a, Vi, s in zip(weights, V, sources, strict=True))
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
    ### BEGIN SOLUTION
    # with the full Jacobian of softargmax, diag(a) − a aᵀ, and a matrix ∂w/∂h of which one row is not zero
    sources = [x, *history]
    w = torch.stack([((Q[i] @ s) * (K[i] @ s)).sum() for i, s in enumerate(sources)])
    values = torch.stack([(V[i] @ s)[:, 0] for i, s in enumerate(sources)], dim=1)
    a = torch.softmax(w, dim=0)
    da_dw = torch.diag(a) - torch.outer(a, a)
    dw_dh = torch.zeros(len(sources), len(history[0]))
    dw_dh[j] = (sources[j].T @ (Q[j].T @ K[j] + K[j].T @ Q[j]))[0]
    return a[j] * V[j] + values @ da_dw @ dw_dh
    ### END SOLUTION


def attention_backward(r, J):
    ### BEGIN SOLUTION
    # all the arrows as one block matrix A: the gradients g, side by side, satisfy g = r + g A
    L, m = r.shape
    A = torch.zeros(L * m, L * m)
    for (t, s), jacobian in J.items():
        A[(t - 1) * m : t * m, (s - 1) * m : s * m] = jacobian
    total, term = r.reshape(1, -1).clone(), r.reshape(1, -1)
    for _ in range(L):
        term = term @ A
        total += term
    return total.reshape(L, m)
    ### END SOLUTION
