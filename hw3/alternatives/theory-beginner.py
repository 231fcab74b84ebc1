# A beginner: one loop inside another, plain numbers and lists returned, helpers with the names of everyday things.
# ruff: noqa: F821 (the other names are those of the notebook)


# %% nbgrader={"grade_id": "circle-code", "solution": true}
def right(x):
    return math.sqrt(1 - x * x)


def circle_energy(x, y):
    ### BEGIN SOLUTION
    distance = torch.zeros_like(y)
    for number in range(y.numel()):
        a, b = float(x.reshape(-1)[number]), float(y.reshape(-1)[number])
        distance.view(-1)[number] = abs(a * a + b * b - 1)
    return distance
    ### END SOLUTION


# true_of_energies = {"…", …}
### BEGIN SOLUTION
true_of_energies = {"A", "C", "E"}
### END SOLUTION


# %% nbgrader={"grade_id": "gibbs-density-code", "solution": true}
def gibbs_density(F, dy, beta):
    ### BEGIN SOLUTION
    low = float(F[0])
    for f in F:
        if f < low:
            low = float(f)
    area, answer = 0.0, []
    for f in F:
        area += math.exp(-beta * (float(f) - low)) * dy
    for f in F:
        answer.append(math.exp(-beta * (float(f) - low)) / area)
    return answer
    ### END SOLUTION


def gibbs_variance(a, beta):
    ### BEGIN SOLUTION
    width = (a * beta) ** -0.5
    return width**2
    ### END SOLUTION


# %% nbgrader={"grade_id": "negatives-code", "solution": true}
def my_loss(F_pos, F_neg):
    ### BEGIN SOLUTION
    answer = []
    for a, b in zip(F_pos, F_neg, strict=True):
        answer.append(1 / (1 + math.exp(b - a)) if b - a < 30 else 0.0)
    return answer
    ### END SOLUTION


def infer(F):
    ### BEGIN SOLUTION
    answer = []
    for row in F:
        best = 0
        for i in range(len(row)):
            if row[i] < row[best]:
                best = i
        answer.append(best)
    return answer
    ### END SOLUTION


def infer_latent(E):
    ### BEGIN SOLUTION
    y, z = [], []
    for table in E:
        best = (0, 0)
        for i in range(table.shape[0]):
            for j in range(table.shape[1]):
                if table[i][j] < table[best[0]][best[1]]:
                    best = (i, j)
        y.append(best[0])
        z.append(best[1])
    return y, z
    ### END SOLUTION


# %% nbgrader={"grade_id": "gibbs-code", "solution": true}
def gibbs(F, beta):
    ### BEGIN SOLUTION
    answer = []
    for row in F:
        answer.append(gibbs_density(row, 1.0, beta))  # on a grid of distance 1 a density is a probability
    return answer
    ### END SOLUTION


### BEGIN SOLUTION
p_hot, p_cold = (0.25, 0.25, 0.25, 0.25), (0.0, 0.5, 0.5, 0.0)
### END SOLUTION


# %% nbgrader={"grade_id": "nll-code", "solution": true}
def free_energy(F, beta):
    ### BEGIN SOLUTION
    answer = []
    for row in F.tolist():
        rest = 0
        for f in row:
            rest += math.exp(-beta * (f - min(row)))
        answer.append(min(row) - math.log(rest) / beta)
    return answer
    ### END SOLUTION


def nll(F, y, beta):
    ### BEGIN SOLUTION
    A = free_energy(F, beta)
    return [float(F[b, y[b]]) - A[b] for b in range(len(F))]
    ### END SOLUTION


# nll_hot = …
# nll_cold = …
### BEGIN SOLUTION
nll_hot = math.inf  # 1/β log 4 grows without end
nll_cold = 2  # 3 − min F
### END SOLUTION


# %% nbgrader={"grade_id": "nll-gradient-code", "solution": true}
def nll_gradient(F, y, beta):
    ### BEGIN SOLUTION
    p = gibbs(F, beta)
    return [[(1 - p[b][i]) if i == y[b] else -p[b][i] for i in range(len(p[b]))] for b in range(len(p))]
    ### END SOLUTION


def nll_weight_gradient(F, J, y, beta):
    ### BEGIN SOLUTION
    slope = nll_gradient(F, y, beta)[0]
    answer = []
    for k in range(J.shape[1]):
        answer.append(sum(slope[i] * float(J[i, k]) for i in range(J.shape[0])))
    return [answer]
    ### END SOLUTION


# %% nbgrader={"grade_id": "sampling-code", "solution": true}
def sampled_gradient(J_right, J_drawn):
    ### BEGIN SOLUTION
    S = len(J_drawn)
    return [[float(J_right[0, k]) - sum(float(row[k]) for row in J_drawn) / S for k in range(J_right.shape[1])]]
    ### END SOLUTION


def langevin_step(y, slope, beta, eta, noise):
    ### BEGIN SOLUTION
    down = y - eta * slope
    variance = 2 * eta / beta
    return down + noise * variance**0.5
    ### END SOLUTION


# %% nbgrader={"grade_id": "ends-code", "solution": true}
def best_energies(q, beta):
    ### BEGIN SOLUTION
    answer = []
    for share in q:
        answer.append(math.inf if share == 0 else -math.log(share) / beta)
    lowest = min(answer)
    return [energy - lowest for energy in answer]
    ### END SOLUTION


def gap_for_push(n, beta, g):
    ### BEGIN SOLUTION
    p = 1 - g  # the right answer's probability
    each = g / (n - 1)
    ratio = p / each
    return math.log(ratio) / beta
    ### END SOLUTION


# bounded = {"…", …}
### BEGIN SOLUTION
bounded = {"A", "D", "F", "G"}
### END SOLUTION


# %% nbgrader={"grade_id": "corners-code", "solution": true}
def relu(a):
    if a > 0:
        return a, 1.0  # the value and the slope
    return 0.0, 0.0


def simple_loss(F_pos, F_neg, m):
    ### BEGIN SOLUTION
    loss, d_pos, d_neg = [], [], []
    for a, b in zip(F_pos, F_neg, strict=True):
        high, slope_high = relu(float(a))
        low, slope_low = relu(m - float(b))
        loss.append(high + low)
        d_pos.append(slope_high)
        d_neg.append(-slope_low)
    return loss, d_pos, d_neg
    ### END SOLUTION


def hinge_loss(F_pos, F_neg, m):
    ### BEGIN SOLUTION
    both = [relu(m + float(a) - float(b)) for a, b in zip(F_pos, F_neg, strict=True)]
    return [value for value, _ in both], [slope for _, slope in both], [-slope for _, slope in both]
    ### END SOLUTION


def log_loss(F_pos, F_neg):
    ### BEGIN SOLUTION
    loss, push = [], []
    for a in (F_pos - F_neg).tolist():
        if a > 0:
            loss.append(a + math.log(1 + math.exp(-a)))
            push.append(1 / (1 + math.exp(-a)))
        else:
            loss.append(math.log(1 + math.exp(a)))
            push.append(math.exp(a) / (1 + math.exp(a)))
    return [loss, push, [-p for p in push]]
    ### END SOLUTION


def square_square_loss(F_pos, F_neg, m):
    ### BEGIN SOLUTION
    loss, d_pos, d_neg = [], [], []
    for a, b in zip(F_pos, F_neg, strict=True):
        high, low = relu(float(a))[0], relu(m - float(b))[0]
        loss.append(high**2 + low**2)
        d_pos.append(2 * high)
        d_neg.append(-2 * low)
    return loss, d_pos, d_neg
    ### END SOLUTION


# %% nbgrader={"grade_id": "margins-code", "solution": true}
def table_hinge_gradient(F, y, m):
    ### BEGIN SOLUTION
    answer = [[0] * F.shape[1] for _ in F]
    for b in range(F.shape[0]):
        offender = None
        for i in range(F.shape[1]):
            if i != y[b] and (offender is None or F[b][i] < F[b][offender]):
                offender = i
        slope = relu(m + F[b][y[b]] - F[b][offender])[1]
        if slope > 0:
            answer[b][y[b]] = 1
            answer[b][offender] = -1
    return answer
    ### END SOLUTION


def simple_rest(eps, m):
    """The energy at which the mean simple loss is least, for a share eps ≠ ½ of “wrong”: a number."""
    ### BEGIN SOLUTION
    return 0.0 if eps < 0.5 else m  # slope 1 − 2ε between 0 and m
    ### END SOLUTION


def square_square_rest(eps, m):
    """The same for the mean square–square loss."""
    ### BEGIN SOLUTION
    return eps * m  # 2 (1 − ε) e = 2 ε (m − e)
    ### END SOLUTION


# true_of_log = {"…", …}
### BEGIN SOLUTION
true_of_log = {"A", "D", "E"}
### END SOLUTION


# %% nbgrader={"grade_id": "level-prediction-code", "solution": true}
### BEGIN SOLUTION
level_prediction = "A"
### END SOLUTION
