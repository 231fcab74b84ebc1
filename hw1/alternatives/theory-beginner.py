# A beginner: one entry at a time, Python numbers, lists of rows in place of tensors, much printing.
# ruff: noqa: F821 (the other names are those of the notebook)

# %% nbgrader={"grade_id": "sgd-steps-code", "solution": true}
def train(model, criterion, optimiser, batches, epochs):
    ### BEGIN SOLUTION
    losses = []
    for epoch in range(epochs):
        for i in range(len(batches)):
            optimiser.zero_grad()
            x = batches[i][0]
            y = batches[i][1]
            prediction = model(x)
            answer = criterion(prediction, y)
            loss = answer[0].item()
            print("epoch", epoch, "batch", i, "loss", loss)
            model.backward(answer[1])
            optimiser.step()
            losses.append(loss)
    return losses
    ### END SOLUTION


# %% nbgrader={"grade_id": "forward-regression-code", "solution": true}
def times(left, right):
    """The product of two matrices that are lists of rows."""
    answer = []
    for row in left:
        new = []
        for j in range(len(right[0])):
            total = 0
            for k in range(len(right)):
                total += row[k] * right[k][j]
            new.append(total)
        answer.append(new)
    return answer


def plus(left, right):
    return [[left[i][j] + right[i][j] for j in range(len(left[0]))] for i in range(len(left))]


def forward_regression(x, W1, b1, W2, b2):
    ### BEGIN SOLUTION
    x, W1, b1, W2, b2 = x.tolist(), W1.tolist(), b1.tolist(), W2.tolist(), b2.tolist()
    z1 = plus(times(W1, x), b1)
    print("z1", z1)
    z2 = []
    for row in z1:
        if row[0] > 0:
            # parameter: scale
            z2.append([5 * row[0]])
        else:
            z2.append([0])
    print("z2", z2)
    z3 = plus(times(W2, z2), b2)
    y_hat = z3
    return z1, z2, z3, y_hat
    ### END SOLUTION


# %% nbgrader={"grade_id": "chain-rule-code", "solution": true}
def chain_rule(x, z2, W2, dl_dyhat, dyhat_dz3, dz2_dz1):
    ### BEGIN SOLUTION
    x, z2, W2 = torch.tensor(x).tolist(), torch.tensor(z2).tolist(), W2.tolist()
    dl_dz3 = times(torch.tensor(dl_dyhat).tolist(), torch.tensor(dyhat_dz3).tolist())
    dl_dz2 = times(dl_dz3, W2)
    dl_dz1 = times(dl_dz2, torch.tensor(dz2_dz1).tolist())
    return times(x, dl_dz1), dl_dz1, times(z2, dl_dz3), dl_dz3
    ### END SOLUTION


# %% nbgrader={"grade_id": "factors-regression-code", "solution": true}
def on_the_diagonal(numbers):
    rows = []
    for i in range(len(numbers)):
        row = [0] * len(numbers)
        row[i] = numbers[i]
        rows.append(row)
    return rows


def factors_regression(z1, y_hat, y):
    ### BEGIN SOLUTION
    first = [[2 * (float(y_hat[k]) - float(y[k])) for k in range(len(y))]]
    third = []
    for number in z1:
        if number > 0:
            # parameter: scale
            third.append(5)
        else:
            third.append(0)
    return first, on_the_diagonal([1] * len(y)), on_the_diagonal(third)
    ### END SOLUTION


# %% nbgrader={"grade_id": "forward-classification-code", "solution": true}
def forward_classification(x, W1, b1, W2, b2):
    ### BEGIN SOLUTION
    x, W1, b1, W2, b2 = x.tolist(), W1.tolist(), b1.tolist(), W2.tolist(), b2.tolist()
    z1 = plus(times(W1, x), b1)
    z2 = [[math.tanh(row[0])] for row in z1]
    z3 = plus(times(W2, z2), b2)
    y_hat = []
    for row in z3:
        if row[0] > 0:
            y_hat.append([1 / (1 + math.exp(-row[0]))])
        else:
            y_hat.append([math.exp(row[0]) / (1 + math.exp(row[0]))])
    return z1, z2, z3, y_hat
    ### END SOLUTION


# %% nbgrader={"grade_id": "factors-classification-code", "solution": true}
def factors_classification(z2, y_hat, y):
    ### BEGIN SOLUTION
    z2, y_hat, y = [float(v[0]) for v in z2], [float(v[0]) for v in y_hat], [float(v[0]) for v in y]
    first = [[2 * (p - label) for p, label in zip(y_hat, y, strict=True)]]
    return first, on_the_diagonal([p * (1 - p) for p in y_hat]), on_the_diagonal([1 - t * t for t in z2])
    ### END SOLUTION


# %% nbgrader={"grade_id": "bce-code", "solution": true}
def bce(y, y_hat):
    ### BEGIN SOLUTION
    total = 0
    for k in range(y.shape[0]):
        p = y_hat[k].item()
        total = total + y[k] * math.log(p) + (1 - y[k]) * math.log(1 - p)
    return -total / y.shape[0]
    ### END SOLUTION


def bce_from_logits(y, z3):
    ### BEGIN SOLUTION
    total = 0
    for k in range(y.shape[0]):
        z = z3[k][0].item()
        softplus = 0
        if z < 30:
            softplus = math.log(1 + math.exp(z))
        if z >= 30:
            softplus = z
        total += softplus - y[k][0].item() * z
    return total / y.shape[0]
    ### END SOLUTION


# %% nbgrader={"grade_id": "factors-bce-code", "solution": true}
def factors_bce(z2, y_hat, y):
    ### BEGIN SOLUTION
    z2, y_hat, y = [float(v[0]) for v in z2], [float(v[0]) for v in y_hat], [float(v[0]) for v in y]
    K = len(y)
    first = []
    for k in range(K):
        if y[k] == 1:
            first.append(-1 / (K * y_hat[k]))
        else:
            first.append(1 / (K * (1 - y_hat[k])))
    return [first], on_the_diagonal([p * (1 - p) for p in y_hat]), on_the_diagonal([1 - t * t for t in z2])
    ### END SOLUTION


# %% nbgrader={"grade_id": "gradients-bce-code", "solution": true}
def gradients_bce(x, y, W1, b1, W2, b2):
    ### BEGIN SOLUTION
    answers = forward_classification(x, W1, b1, W2, b2)
    z2, y_hat, K = answers[1], answers[3], len(y)
    db2 = [(y_hat[k][0] - float(y[k])) / K for k in range(K)]
    db1 = []
    for i in range(len(z2)):
        total = 0
        for k in range(K):
            total += db2[k] * float(W2[k, i])
        db1.append(total * (1 - z2[i][0] ** 2))
    dW1 = [[float(x[j]) * g for g in db1] for j in range(len(x))]
    dW2 = [[z2[i][0] * g for g in db2] for i in range(len(z2))]
    return torch.tensor(dW1), torch.tensor([db1]), torch.tensor(dW2), torch.tensor([db2])
    ### END SOLUTION


# %% nbgrader={"grade_id": "softargmax-code", "solution": true}
### BEGIN SOLUTION
softargmax_exact = {"real": False, "float32": True}
exact_logits = [5, 10, 500]
### END SOLUTION


# %% nbgrader={"grade_id": "graph-code", "solution": true}
### BEGIN SOLUTION
graph_edges = [("z", "w"), ("c", "w"), ("b", "c"), ("a", "c"), ("o", "b"), ("z", "b"), ("y", "a"), ("x", "a")]
graph_places = {}
for name in ["x", "y", "z", "o"]:
    graph_places[name] = [0, "xyzo".index(name)]
graph_places["a"] = [1, 0]
graph_places["b"] = [1, 3]
graph_places["c"] = [2, 1]
graph_places["w"] = [3, 2]
### END SOLUTION


def graph_gradient(x, y, z, o):
    ### BEGIN SOLUTION
    dw_dx = z * o
    dw_dy = z * o
    dw_dz = x * o + y * o + 1
    dw_do = x * z + y * z
    return dw_dx, dw_dy, dw_dz, dw_do
    ### END SOLUTION


# %% nbgrader={"grade_id": "slopes-code", "solution": true}
def at_every_entry(rule, x):
    answer = torch.zeros(x.shape)
    flat, new = x.reshape(-1), answer.view(-1)
    for i in range(len(flat)):
        new[i] = rule(float(flat[i]))
    return answer


def relu_slope(x):
    ### BEGIN SOLUTION
    return x >= 0
    ### END SOLUTION


def leaky_relu_slope(x):
    ### BEGIN SOLUTION
    def rule(number):
        if number >= 0:
            return 1
        return 0.01

    return at_every_entry(rule, x)
    ### END SOLUTION


def softplus_slope(x):
    ### BEGIN SOLUTION
    return at_every_entry(lambda number: math.exp(number) / (1 + math.exp(number)), x)
    ### END SOLUTION


def gelu_slope(x):
    ### BEGIN SOLUTION
    def rule(number):
        bell = math.exp(-number * number / 2) / (2 * math.pi) ** 0.5
        return 0.5 + 0.5 * math.erf(number / 2**0.5) + number * bell

    return at_every_entry(rule, x)
    ### END SOLUTION


def draw_slopes(ax):
    ### BEGIN SOLUTION
    numbers = []
    number = -4.0
    while number < 4.001:
        numbers.append(number)
        number = number + 0.125
    x = torch.tensor(numbers)
    ax.plot(numbers, relu_slope(x).float().tolist(), "k", label="ReLU")
    ax.plot(numbers, leaky_relu_slope(x).tolist(), "b--", label="LeakyReLU(0.01)")
    ax.plot(numbers, softplus_slope(x).tolist(), "r-.", label="Softplus")
    ax.plot(numbers, gelu_slope(x).tolist(), "g:", label="GELU")
    ax.set_xlabel("number x")
    ax.set_ylabel("slope")
    ax.grid()
    ### END SOLUTION


# %% nbgrader={"grade_id": "maps-code", "solution": true}
def rotation(theta):
    ### BEGIN SOLUTION
    return [[math.cos(theta), -math.sin(theta)], [math.sin(theta), math.cos(theta)]]
    ### END SOLUTION


def reflection(theta):
    ### BEGIN SOLUTION
    flip = [[1, 0], [0, -1]]
    return times(times(rotation(theta), flip), rotation(-theta))
    ### END SOLUTION


def scaling(s_x, s_y):
    ### BEGIN SOLUTION
    return [[s_x, 0], [0, s_y]]
    ### END SOLUTION


def shear(k):
    ### BEGIN SOLUTION
    return ((1, k), (0, 1))
    ### END SOLUTION


def collapse(W1, b1, W2, b2):
    ### BEGIN SOLUTION
    return times(W2.tolist(), W1.tolist()), plus(times(W2.tolist(), b1.tolist()), b2.tolist())
    ### END SOLUTION
