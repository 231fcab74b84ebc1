# A doubter: no derivative is derived, all are differences of values in float64.
# ruff: noqa: F821 (the other names are those of the notebook)

# %% nbgrader={"grade_id": "gradients-classification-code", "solution": true}
def differences(f, values, step=1e-5):
    found = []
    for value in values:
        slope = torch.zeros_like(value)
        for place in range(value.numel()):
            entry = value.view(-1)[place].item()
            value.view(-1)[place] = entry + step
            above = f()
            value.view(-1)[place] = entry - step
            slope.view(-1)[place] = (above - f()) / (2 * step)
            value.view(-1)[place] = entry
        found.append(slope.T)
    return tuple(found)


def gradients_classification(x, y, W1, b1, W2, b2):
    ### BEGIN SOLUTION
    moving = [value.double().clone() for value in (W1, b1, W2, b2)]
    return differences(lambda: ((forward_classification(x.double(), *moving)[-1] - y.double()) ** 2).sum(), moving)
    ### END SOLUTION


# %% nbgrader={"grade_id": "gradients-bce-code", "solution": true}
def gradients_bce(x, y, W1, b1, W2, b2):
    ### BEGIN SOLUTION
    moving = [value.double().clone() for value in (W1, b1, W2, b2)]
    return differences(lambda: bce_from_logits(y.double(), forward_classification(x.double(), *moving)[2]), moving)
    ### END SOLUTION


# %% nbgrader={"grade_id": "graph-code", "solution": true}
graph_edges = [("x", "a"), ("y", "a"), ("z", "b"), ("o", "b"), ("a", "c"), ("b", "c"), ("c", "w"), ("z", "w")]
graph_places = {"x": (0, 3), "y": (0, 2), "z": (0, 1), "o": (0, 0)}
graph_places |= {"a": (1, 2.5), "b": (1, 0.5), "c": (2, 2), "w": (3, 1)}


def graph_gradient(x, y, z, o):
    ### BEGIN SOLUTION
    at = torch.tensor([x, y, z, o], dtype=torch.float64)
    (slopes,) = differences(lambda: (at[0] + at[1]) * at[2] * at[3] + at[2], [at])
    return slopes.tolist()
    ### END SOLUTION
