# Written step by step, with Python lists and loops wherever they are allowed, and keyword arguments.
# ruff: noqa: F821 (the other names are those of the notebook)

# %% nbgrader={"grade_id": "letters-code", "solution": true}
def train_letters(model, loader, epochs, lr=0.01):
    model.train()
    optimizer = torch.optim.Adam(params=model.parameters(), lr=lr)
    number_of_steps = epochs * len(loader)
    history = []
    step = 0
    for _epoch in range(epochs):
        for batch in loader:
            images = batch[0]
            labels = batch[1]
            for group in optimizer.param_groups:
                group["lr"] = lr * (1 - step / number_of_steps)
            for parameter in model.parameters():
                parameter.grad = None
            output = model(images)
            logits = -1 * output.reshape(len(images), 27)
            loss = nn.CrossEntropyLoss()(input=logits, target=labels)
            loss.backward()
            optimizer.step()
            history.append(float(loss.detach()))
            step = step + 1
    return history


# %% nbgrader={"grade_id": "transform-code", "solution": true}
def transform_word(word):
    numbers = []
    for letter in word:
        numbers.append(ALPHABET.index(letter))
        numbers.append(BETWEEN)
    return torch.LongTensor(numbers)


# %% nbgrader={"grade_id": "path-matrix-code", "solution": true}
def build_path_matrix(energies, targets):
    B, L, _ = energies.shape
    T = targets.shape[1]
    index = targets.reshape(B, 1, T).repeat(1, L, 1)
    result = torch.gather(input=energies, dim=2, index=index)
    return result


# %% nbgrader={"grade_id": "ce-matrix-code", "solution": true}
def build_ce_matrix(energies, targets):
    log_p = functional.log_softmax(-energies, dim=2)
    return -build_path_matrix(energies=log_p, targets=targets)


# %% nbgrader={"grade_id": "path-energy-code", "solution": true}
def path_energy(pm, path):
    L = pm.shape[0]
    T = pm.shape[1]
    if len(path) != L:
        return INFINITE
    if int(path[0]) != 0 or int(path[L - 1]) != T - 1:
        return INFINITE
    energy = 0.0
    for i in range(L):
        if i > 0:
            step = int(path[i]) - int(path[i - 1])
            if step != 0 and step != 1:
                return INFINITE
        energy += pm[i, int(path[i])].item()
    return energy


# %% nbgrader={"grade_id": "find-path-code", "solution": true}
def find_path(pm):
    B, L, T = pm.shape
    x = pm.detach().clone()
    wall = torch.full((B, 1), INFINITE)
    dp = torch.zeros(B, L, T)
    dp[:, 0, :] = INFINITE
    dp[:, 0, 0] = x[:, 0, 0]
    for i in range(1, L):
        above = dp[:, i - 1, :]
        diagonal = torch.cat((wall, above), dim=1)[:, :T]
        smaller = torch.where(diagonal < above, diagonal, above)
        dp[:, i, :] = smaller + x[:, i, :]
        dp[:, i, i + 1 :] = INFINITE
    path = torch.zeros(B, L).long()
    j = torch.zeros(B).long() + T - 1
    b = torch.arange(B)
    for i in range(L - 1, 0, -1):
        path[:, i] = j
        left = torch.clamp(j - 1, min=0)
        go = (dp[b, i - 1, left] < dp[b, i - 1, j]).long()
        j = torch.clamp(j - go, min=0)
    path[:, 0] = j
    return dp[:, L - 1, T - 1], path, dp


# %% nbgrader={"grade_id": "path-ce-code", "solution": true}
def path_cross_entropy(ce, path):
    B, L, _ = ce.shape
    total = torch.zeros(B)
    for i in range(L):
        total = total + ce[torch.arange(B), i, path[:, i]]
    return total


# %% nbgrader={"grade_id": "strings-code", "solution": true}
def indices_to_str(indices):
    if torch.is_tensor(indices):
        indices = indices.tolist()
    word = ""
    for position in range(len(indices)):
        symbol = indices[position]
        if position > 0 and indices[position - 1] == symbol:
            continue
        if symbol == BETWEEN:
            continue
        word = word + ALPHABET[symbol]
    return word


# %% nbgrader={"grade_id": "decode-code", "solution": true}
def decode(model, image):
    was_training = model.training
    model.eval()
    with torch.no_grad():
        E = model(image.unsqueeze(0))[0].tolist()
    if was_training:
        model.train()
    L = len(E)
    cost = [[INFINITE] * 27 for _ in range(L)]
    came_from = [[0] * 27 for _ in range(L)]
    for k in range(26):
        cost[0][k] = E[0][k]
    for i in range(1, L):
        cheapest_before = 0
        for k in range(27):
            if cost[i - 1][k] < cost[i - 1][cheapest_before]:
                cheapest_before = k
        for k in range(27):
            if k == BETWEEN:
                source = cheapest_before
            elif cost[i - 1][BETWEEN] < cost[i - 1][k]:
                source = BETWEEN
            else:
                source = k
            cost[i][k] = cost[i - 1][source] + E[i][k]
            came_from[i][k] = source
    symbols = [BETWEEN]
    for i in range(L - 1, 0, -1):
        symbols.insert(0, came_from[i][symbols[0]])
    return indices_to_str(symbols)


# %% nbgrader={"grade_id": "soft-code", "solution": true}
def soft_free_energy(pm, beta):
    B, L, T = pm.shape
    far = torch.full((B,), INFINITE)
    row = [pm[:, 0, 0]] + [far] * (T - 1)
    for i in range(1, L):
        new = []
        for j in range(T):
            left = row[j - 1] if j > 0 else far
            both = torch.stack([row[j], left])
            new.append(pm[:, i, j] - torch.logsumexp(-beta * both, 0) / beta)
        row = new
    return row[-1]


# %% nbgrader={"grade_id": "infonce-code", "solution": true}
def infonce(F_pos, F_neg, beta):
    losses, slopes_pos, slopes_neg = [], [], []
    for right, wrong in zip(F_pos.tolist(), F_neg.tolist(), strict=True):
        lowest = min(right, *wrong)
        weights = [2.718281828459045 ** (-beta * (energy - lowest)) for energy in [right, *wrong]]
        total = sum(weights)
        losses.append(right - lowest + float(np.log(total)) / beta)
        slopes_pos.append(1 - weights[0] / total)
        slopes_neg.append([-weight / total for weight in weights[1:]])
    return losses, slopes_pos, slopes_neg


# %% nbgrader={"grade_id": "variance-code", "solution": true}
def variance_term(z, gamma=1.0, eps=1e-4):
    total = 0
    for j in range(z.shape[1]):
        lacking = gamma - torch.sqrt(torch.var(z[:, j]) + eps)
        if lacking > 0:
            total = total + lacking
    return total / z.shape[1] + 0 * z.sum()
