# Plain Python: loops, numbers and lists of lists, with helpers whose names the checks and figures use as well.
# ruff: noqa: F821 (the other names are those of the notebook)


# %% nbgrader={"grade_id": "conv-output-shape-code", "solution": true}
### BEGIN SOLUTION
height = 0
# parameter: kernel_height; image_height
while 2 * height + 3 <= 17:
    height += 1
width = 0
# parameter: kernel_width; image_width
while 2 * width + 5 <= 11:
    width += 1
first_shape = [float(height), float(width)]
### END SOLUTION


def places(size, kernel, stride):
    """At how many places does a kernel fit?"""
    ### BEGIN SOLUTION
    count = 0
    while count * stride + kernel <= size:
        count = count + 1
    return count
    ### END SOLUTION


def conv_output_shape(C, H, W, HK, WK, P, S, D, F):
    ### BEGIN SOLUTION
    answer = [F]
    for size, kernel in [(H, HK), (W, WK)]:
        answer.append(places(size + P + P, kernel + (kernel - 1) * (D - 1), S))
    return answer
    ### END SOLUTION


# %% nbgrader={"grade_id": "convolution-code", "solution": true}
def values(x, start, k):
    """The numbers under the filter, component by component."""
    ### BEGIN SOLUTION
    found = []
    for row in x.tolist():
        for n in range(start, start + k):
            found.append(row[n])
    return found
    ### END SOLUTION


def cross_correlation(x, W, stride=2):
    ### BEGIN SOLUTION
    C, k = W.shape[1], W.shape[2]
    result = []
    for r in range(places(x.shape[1], k, stride)):
        total = 0.0
        for number, weight in zip(values(x, r * stride, k), W.reshape(C * k).tolist(), strict=True):
            total += number * weight
        result.append([total])
    return result
    ### END SOLUTION


def convolution(x, W, stride=2):
    ### BEGIN SOLUTION
    flipped = torch.zeros(W.shape)
    k = W.shape[2]
    for c in range(W.shape[1]):
        for i in range(k):
            flipped[0, c, k - 1 - i] = W[0, c, i]
    return cross_correlation(x, flipped, stride)
    ### END SOLUTION


# %% nbgrader={"grade_id": "jacobians-code", "solution": true}
def jacobian_by_weights(x, k, stride=2):
    ### BEGIN SOLUTION
    return [values(x, r * stride, k) for r in range(places(x.shape[1], k, stride))]
    ### END SOLUTION


def jacobian_by_input(W, N, stride=2):
    ### BEGIN SOLUTION
    k = W.shape[2]
    matrix = []
    for r in range(places(N, k, stride)):
        row = []
        for weights in W[0].tolist():
            row += [0.0] * (r * stride) + weights + [0.0] * (N - k - r * stride)
        matrix.append(row)
    return matrix
    ### END SOLUTION


def gradient_by_weights(x, dl_df, k, stride=2):
    ### BEGIN SOLUTION
    matrix = jacobian_by_weights(x, k, stride)
    row = [0.0] * (len(x) * k)
    for r in range(len(matrix)):
        for i in range(len(row)):
            row[i] += dl_df[0, r].item() * matrix[r][i]
    return [row]
    ### END SOLUTION


# %% nbgrader={"grade_id": "unrolled-code", "solution": true}
def edges(t):
    """The arrows of one step."""
    ### BEGIN SOLUTION
    yield f"x{t}", f"c{t}"
    yield f"h{t - 1}", f"c{t}"
    for source in ("x" + str(t), "c" + str(t), "h" + str(t - 1)):
        yield source, f"h{t}"
    ### END SOLUTION


def unrolled_edges(T):
    ### BEGIN SOLUTION
    found = set()
    for t in range(1, T + 1):
        found.update(edges(t))
    return found
    ### END SOLUTION


def unrolled_places(T):
    ### BEGIN SOLUTION
    where = {}
    for t in range(T + 1):
        where["h" + str(t)] = [3.0 * t, 5.0]
        if t > 0:
            where["c" + str(t)] = [3.0 * t - 1.5, 3.0]
            where["x" + str(t)] = [3.0 * t, 1.0]
    return where
    ### END SOLUTION


def gated_dimensions(n, m):
    ### BEGIN SOLUTION
    shapes = {}
    shapes["x"] = shapes["h"] = None
    shapes["x"], shapes["h"] = [n, 1], [m, 1]
    for name, source in (("W_c", "x"), ("W_h", "h"), ("W_x", "x")):
        shapes[name] = [shapes["h"][0], shapes[source][0]]
    shapes["c"] = [m, 1]
    return shapes
    ### END SOLUTION


# %% nbgrader={"grade_id": "gated-code", "solution": true}
def times(matrix, column):
    ### BEGIN SOLUTION
    return [sum(a * b for a, b in zip(row, column, strict=True)) for row in matrix.tolist()]
    ### END SOLUTION


def gated_jacobians(x, h, W_c, W_h, W_x):
    ### BEGIN SOLUTION
    x, h = x[:, 0].tolist(), h[:, 0].tolist()
    inside = [a + b for a, b in zip(times(W_c, x), times(W_h, h), strict=True)]
    new = times(W_x, x)
    first, second = [], []
    for i, row in enumerate(W_h.tolist()):
        c = 1 / (1 + math.exp(-inside[i]))
        first.append([c * (1 - c) * weight for weight in row])
        second.append([(h[i] - new[i]) * slope for slope in first[i]])
        second[i][i] += c
    return first, second
    ### END SOLUTION


def gated_gradient(x, W_c, W_h, W_x, r):
    ### BEGIN SOLUTION
    n, m, K = len(x), len(W_h), x.shape[1]
    cs, hs = gated_rnn(x, W_c, W_h, W_x)
    gradient = [[0.0] * m for _ in range(n)]
    delta = [0.0] * m
    for t in range(K, 0, -1):
        delta = [delta[i] + r[t - 1, i].item() for i in range(m)]
        for i in range(n):
            for j in range(m):
                gradient[i][j] += x[i, t - 1].item() * delta[j] * (1 - cs[t - 1][j, 0].item())
        _, J = gated_jacobians(x[:, t - 1 : t], hs[t - 1], W_c, W_h, W_x)
        delta = [sum(delta[i] * J[i][j] for i in range(m)) for j in range(m)]
    return gradient
    ### END SOLUTION


# %% nbgrader={"grade_id": "extremes-code", "solution": true}
def fading(K):
    ### BEGIN SOLUTION
    return [[1] * K], [[-3]], [[0]], [[1]]
    ### END SOLUTION


def carrying(K):
    ### BEGIN SOLUTION
    return [[[30.0] * K], [[1.0]], [[0.0]], [[1.0]]]
    ### END SOLUTION


def exploding(K):
    ### BEGIN SOLUTION
    speak, candidates, h = [], [], 0.0
    for _ in range(K):
        speak.append(-100.0 * h)  # against what the state says to the gate; in float32, h would drift off this path
        candidates.append(h - 0.3)
        h = (h + candidates[-1]) / 2
    return [speak, candidates], [[1.0, 0.0]], [[100.0]], [[0.0, 1.0]]
    ### END SOLUTION


# %% nbgrader={"grade_id": "attention-code", "solution": true}
def attention_dimensions(n, m, d):
    ### BEGIN SOLUTION
    lengths = [n, m, m]  # of x[t], h[t−1], h[t−2]
    answer = {"a": [len(lengths), 1]}
    for i in range(3):
        answer[f"Q{i}"] = answer[f"K{i}"] = [d, lengths[i]]
        answer[f"V{i}"] = [m, lengths[i]]
    return answer
    ### END SOLUTION


def past(x, history):
    ### BEGIN SOLUTION
    return [[part[0] for part in state.tolist()] for state in [x, *history]]
    ### END SOLUTION


def attention_step(x, history, Q, K, V):
    ### BEGIN SOLUTION
    sources = past(x, history)
    scores = []
    for i in range(len(sources)):
        q, k = times(Q[i], sources[i]), times(K[i], sources[i])
        scores.append(sum(q[e] * k[e] for e in range(len(q))))
    parts = [math.exp(score - max(scores)) for score in scores]
    new = [0.0] * len(V[0])
    for i in range(len(sources)):
        v = times(V[i], sources[i])
        for e in range(len(new)):
            new[e] += parts[i] / sum(parts) * v[e]
    return [[number] for number in new]
    ### END SOLUTION


def attention_parameters(n, m, d, k, tied=False):
    ### BEGIN SOLUTION
    total = 0
    for length in [n] + [m] * (1 if tied else k):
        total += d * length  # queries
        total += d * length  # keys
        total += m * length  # values
    return float(total)
    ### END SOLUTION


def tied_attention_step(x, history, Q0, K0, V0, Q, K, V):
    ### BEGIN SOLUTION
    Qs, Ks, Vs = [Q0], [K0], [V0]
    for _ in range(len(history)):
        Qs.append(Q)
        Ks.append(K)
        Vs.append(V)
    return attention_step(x, history, Qs, Ks, Vs)
    ### END SOLUTION


# %% nbgrader={"grade_id": "attention-jacobian-code", "solution": true}
def attention_jacobian(x, history, Q, K, V, j):
    ### BEGIN SOLUTION
    sources = past(x, history)
    keys = [times(K[i], sources[i]) for i in range(len(sources))]
    queries = [times(Q[i], sources[i]) for i in range(len(sources))]
    w = [sum(a * b for a, b in zip(queries[i], keys[i], strict=True)) for i in range(len(sources))]
    a = [math.exp(w[i]) / sum(math.exp(one) for one in w) for i in range(len(sources))]
    v, h = times(V[j], sources[j]), attention_step(x, history, Q, K, V)
    m, d = len(v), len(Q[0])
    slope = [
        sum(keys[j][e] * Q[j][e, c].item() + queries[j][e] * K[j][e, c].item() for e in range(d)) for c in range(m)
    ]
    return [[a[j] * (V[j][b, c].item() + (v[b] - h[b][0]) * slope[c]) for c in range(m)] for b in range(m)]
    ### END SOLUTION


def attention_backward(r, J):
    ### BEGIN SOLUTION
    rows = r.tolist()
    for t in range(len(rows), 0, -1):
        for (later, earlier), jacobian in J.items():
            if later == t:
                for b in range(len(rows[0])):
                    for c in range(len(rows[0])):
                        rows[earlier - 1][c] += rows[t - 1][b] * jacobian[b, c].item()
    return rows
    ### END SOLUTION


# %% nbgrader={"grade_id": "kinks-code", "solution": true}
### BEGIN SOLUTION
losses = ["A", "B", "C", "D", "E", "F"]
kink_cause = losses[4]
### END SOLUTION


# spike_reason = "…"
### BEGIN SOLUTION
spike_reason = "B"
### END SOLUTION


### BEGIN SOLUTION
fixes = ("C", "A", "E")
### END SOLUTION


### BEGIN SOLUTION
classes = [0.25, 0.25, 0.25, 0.25]
initial_accuracy = classes[0]
initial_loss = round(-sum(p * math.log(p) for p in classes), 2)
### END SOLUTION


# %% nbgrader={"grade_id": "evidence-code", "solution": true}
def length_of(rows):
    ### BEGIN SOLUTION
    total = 0.0
    for row in rows.tolist():
        for entry in row:
            total += entry**2
    return total**0.5
    ### END SOLUTION


def growth_through_time(early, late):
    ### BEGIN SOLUTION
    return length_of(early) / length_of(late)
    ### END SOLUTION


def step_times_curvature(before, after, rate, length):
    ### BEGIN SOLUTION
    curvature = (after - before + rate * length**2) / (0.5 * rate**2 * length**2)
    return rate * curvature
    ### END SOLUTION


# %% nbgrader={"grade_id": "reach-code", "solution": true}
### BEGIN SOLUTION
reach_prediction = "A"
### END SOLUTION
