# NumPy inside, NumPy arrays returned.

# %% nbgrader={"grade_id": "attention-code", "solution": true}
import numpy as np


def attention(Q, K, V, beta=None):
    ### BEGIN SOLUTION
    Q, K, V = (np.asarray(part) for part in (Q, K, V))
    scores = np.einsum("dm,dn->mn", K, Q) * (Q.shape[0] ** -0.5 if beta is None else beta)
    E = np.exp(scores - scores.max(axis=0))
    A = E / E.sum(axis=0)
    return V @ A, A
    ### END SOLUTION


def attention_shapes(d, t, n, m):
    ### BEGIN SOLUTION
    return {"A": np.array([m, n]), "H": np.array([t, n])}
    ### END SOLUTION


def beta_for_share(gap, m, share):
    ### BEGIN SOLUTION
    return (np.log(share) - np.log((1 - share) / (m - 1))) / gap
    ### END SOLUTION


# %% nbgrader={"grade_id": "queries-code", "solution": true}
def preserving_query(K, j, beta):
    ### BEGIN SOLUTION
    return 1e4 / beta * K.numpy()[:, [j]]
    ### END SOLUTION


def diffusing_query(K, chosen, beta):
    ### BEGIN SOLUTION
    scores = np.zeros((K.shape[1], 1), dtype=np.float32)
    scores[chosen] = 15 / beta
    return np.linalg.pinv(K.numpy().T) @ scores
    ### END SOLUTION


# %% nbgrader={"grade_id": "nudges-code", "solution": true}
def key_noise_bound(q, K, V, beta, r):
    ### BEGIN SOLUTION
    # exactly: the score that is hit moves by δ, up or down, and the mean of the others stays where it is
    q, K, V = (part.double().numpy() for part in (q, K, V))
    s = beta * (K.T @ q)[:, 0]
    delta, worst = beta * r * np.linalg.norm(q), 0.0
    for j in range(len(s)):
        others = np.delete(np.arange(len(s)), j)
        e = np.exp(s[others] - s[others].max())
        lead = s[j] - s[others].max() - np.log(e.sum())
        length = np.linalg.norm(V[:, j] - V[:, others] @ (e / e.sum()))
        for moved in (lead - delta, lead + delta):
            worst = max(worst, length * abs(1 / (1 + np.exp(-moved)) - 1 / (1 + np.exp(-lead))))
    return worst
    ### END SOLUTION


def query_noise_bound(q, K, V, beta, r):
    ### BEGIN SOLUTION
    # the weights differ by at most tanh(δ/4) in all, if two logits differ by at most δ more than before
    K, V = K.numpy(), V.numpy()
    keys, values = (np.linalg.norm(P[:, :, None] - P[:, None, :], axis=0).max() for P in (K, V))
    return values * np.tanh(beta * r * keys / 4)
    ### END SOLUTION


def scale_key(h, v, a, s, alpha):
    ### BEGIN SOLUTION
    h, v = h.numpy(), v.numpy()
    weight = 1 / (1 + (1 - a) / a * np.exp(-(alpha - 1) * s))
    return weight, h + (weight - a) / (1 - a) * (v - h)
    ### END SOLUTION


# %% nbgrader={"grade_id": "heads-code", "solution": true}
def multi_head(Q, K, V, heads, W_O):
    ### BEGIN SOLUTION
    H, column = 0, 0
    for W_Q, W_K, W_V in heads:
        share = W_O[:, column : column + len(W_V)].numpy()
        H = H + share @ attention(W_Q @ Q, W_K @ K, W_V @ V)[0]
        column += len(W_V)
    return H
    ### END SOLUTION


def kernel_of_heads(offsets, W_V, W_O, k):
    ### BEGIN SOLUTION
    taps = np.arange(k) - k // 2
    chosen = np.array([taps == offset for offset in offsets])  # (h, k)
    return np.einsum("hft,hte,hk->fek", np.stack(W_O), np.stack(W_V), chosen)
    ### END SOLUTION


def self_attention(C, W_Q, W_K, W_V, beta=None):
    ### BEGIN SOLUTION
    C, W_Q, W_K, W_V = (part.numpy() for part in (C, W_Q, W_K, W_V))
    return attention(W_Q @ C, W_K @ C, W_V @ C, beta)
    ### END SOLUTION


def self_attention_shapes(e, d, t, h, n):
    ### BEGIN SOLUTION
    narrow = np.array([[d, e], [d, e], [t, e]])
    found = dict(zip(("W_Q", "W_K", "W_V"), narrow, strict=True))
    found |= {name[2]: np.array([shape[0], n]) for name, shape in found.items()}
    return found | {"A": (n, n), "stack": np.array([h, 1]) * (t, n), "W_O": np.array([1, h]) * (e, t), "H": (e, n)}
    ### END SOLUTION


# %% nbgrader={"grade_id": "places-code", "solution": true}
def position_codes(n, e):
    ### BEGIN SOLUTION
    pace = 0.5 ** np.arange(e // 2)  # the slower hands turn half as fast, a quarter, …
    angle = np.outer(pace, np.arange(n))
    return np.stack([np.sin(angle), np.cos(angle)], axis=1).reshape(e, n)
    ### END SOLUTION


def step_matrix(e):
    ### BEGIN SOLUTION
    R = np.zeros((e, e))
    for hand in range(e // 2):
        c, s = np.cos(0.5**hand), np.sin(0.5**hand)
        R[2 * hand : 2 * hand + 2, 2 * hand : 2 * hand + 2] = [[c, s], [-s, c]]
    return R
    ### END SOLUTION


# %% nbgrader={"grade_id": "machines-code", "solution": true}
def permutation_projections(order, e):
    ### BEGIN SOLUTION
    n = len(order)
    nothing, places = np.zeros((n, e)), np.eye(n)
    W_K = np.hstack([nothing, 1000 * np.eye(n)[order]])  # the keys are permuted instead, and long
    return np.hstack([nothing, places]), W_K, np.eye(e, e + n)
    ### END SOLUTION


def identity_projections(e, n):
    ### BEGIN SOLUTION
    W = 100 * np.eye(e + n)
    W[:e] = 0
    return W, W, np.hstack([np.eye(e), np.zeros((e, n))])
    ### END SOLUTION


def shift_projections(e, n):
    ### BEGIN SOLUTION
    W_Q = np.zeros((n, e + n))
    W_Q[:, e:] = 900 * np.roll(np.eye(n), -1, axis=0)  # on a ring: the first one copies the last
    W_K = np.zeros((n, e + n))
    W_K[:, e:] = np.eye(n)
    return W_Q, W_K, np.eye(e, e + n)
    ### END SOLUTION


# %% nbgrader={"grade_id": "convolution-code", "solution": true}
def convolution_heads(W, n):
    ### BEGIN SOLUTION
    heads = []
    for j, tap in enumerate(np.moveaxis(W.numpy(), 2, 0)):
        angle = 2 * np.pi * (j - W.shape[2] // 2) / n
        f, e = tap.shape
        W_Q, W_K = np.zeros((2, e + 2)), np.zeros((2, e + 2))
        W_Q[:, e:] = 100 * n * n * np.eye(2)
        W_K[:, e:] = [[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]  # the keys turn back instead
        heads.append([W_Q, W_K, np.hstack([tap, np.zeros((f, 2))])])
    return heads
    ### END SOLUTION


# %% nbgrader={"grade_id": "live-code", "solution": true}
def live_mask(n, back, ahead):
    ### BEGIN SOLUTION
    return np.tril(np.triu(np.ones((n, n), dtype=bool), -ahead), back).astype(bool)
    ### END SOLUTION


def live_reach(layers, back, ahead):
    ### BEGIN SOLUTION
    return [int(frames) for frames in layers * np.array([back, ahead])]
    ### END SOLUTION


# %% nbgrader={"grade_id": "norm-code", "solution": true}
def layer_norm(X, eps=1e-5):
    ### BEGIN SOLUTION
    X = X.numpy()
    return (X - X.mean(axis=0)) / np.sqrt(X.var(axis=0) + eps)
    ### END SOLUTION


def layer_norm_jacobian(x, eps=1e-5):
    ### BEGIN SOLUTION
    # x̂ = c / σ with c = P x and σ² = cᵀc / e + ε, by the rule for quotients
    x = x.double().numpy()
    e = len(x)
    P = np.eye(e) - np.ones((e, e)) / e
    c = P @ x
    sigma = np.sqrt((c.T @ c).item() / e + eps)
    return P / sigma - c @ (c.T @ P) / (e * sigma**3)
    ### END SOLUTION


# %% nbgrader={"grade_id": "patches-code", "solution": true}
def patch_kernel(E, channels, p):
    ### BEGIN SOLUTION
    return np.stack([row.reshape(channels, p, p) for row in E.numpy()])
    ### END SOLUTION


def receptive_field(layers):
    ### BEGIN SOLUTION
    width = 1
    for kernel, stride in layers[::-1]:  # so many units below are needed for one of these
        width = (width - 1) * stride + kernel
    return width
    ### END SOLUTION


def vit_parameters(image_size, p, channels, e, w, layers, classes):
    ### BEGIN SOLUTION
    places = 1 + (image_size // p) * (image_size // p)
    block = np.prod([4, e, e]) + 4 * e + 2 * e * w + w + e + 4 * e
    return {
        "head": (e + 1) * classes + 2 * e,
        "blocks": layers * block,
        "positions": places * e,
        "class token": e,
        "patches": (channels * p * p + 1) * e,
    }
    ### END SOLUTION


def vit_multiplications(image_size, p, channels, e, w, layers, classes):
    ### BEGIN SOLUTION
    n = np.int64(image_size // p) ** 2 + 1
    weights = 4 * e * e + 2 * e * w
    return (n - 1) * channels * p * p * e + layers * (weights * n + 2 * e * n**2) + e * classes
    ### END SOLUTION
