# Matrix products in place of loops and of the (B, K, D) differences.
# ruff: noqa: F821 (the other names are those of the notebook)

# %% nbgrader={"grade_id": "distances-code", "solution": true}
def squared_distances(x, centres):
    squares = (x * x).sum(1, keepdim=True) + (centres * centres).sum(1)
    return (squares - 2 * x @ centres.T).clamp(min=0)


# %% nbgrader={"grade_id": "step-code", "solution": true}
def move_centres(x, centres):
    nearest = squared_distances(x, centres).min(dim=1).indices
    members = (nearest[:, None] == torch.arange(len(centres))).to(x.dtype)  # (B, K)
    counts = members.sum(0).unsqueeze(1)
    return torch.where(counts > 0, (members.T @ x) / counts.clamp(min=1), centres)
