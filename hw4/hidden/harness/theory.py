"""Harness of hw4/theory: calls the student's functions, notes what they change, lends them right earlier parts."""

import copy
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor


def watched(function: Callable[..., Any], exact: bool = False) -> Callable[..., tuple[Any, list[int]]]:
    """The function; it returns its result and the positions of the arguments that it changed.

    The result is in its plain form, so that the same answer looks the same however it was computed; or `exact`ly as it
    was returned.
    """

    def call(*given: Any) -> tuple[Any, list[int]]:
        before = copy.deepcopy(given)
        result = function(*given)
        result = result if exact else plain(result)
        return result, [number for number, pair in enumerate(zip(before, given, strict=True)) if not _same(*pair)]

    return call


def plain(thing: Any) -> Any:
    """An answer in one form, however it was computed: Python's own numbers, tensors of float32, the rest in tuples."""
    if isinstance(thing, list) and thing and all(isinstance(row, list) for row in thing):
        try:
            thing = torch.tensor(thing)
        except (TypeError, ValueError, RuntimeError):
            return tuple(map(plain, thing))
    if isinstance(thing, np.ndarray | np.generic):
        try:
            thing = torch.as_tensor(thing)
        except (TypeError, ValueError, RuntimeError):
            return thing
    if isinstance(thing, Tensor):
        thing = thing.detach()
        if thing.ndim == 0:
            return thing.item()
        return thing if thing.dtype == torch.bool or thing.is_complex() else thing.float()
    if isinstance(thing, list | tuple):
        return tuple(map(plain, thing))
    if isinstance(thing, dict):
        return {name: plain(part) for name, part in thing.items()}
    return thing


def lent(function: Callable[..., Any], name: str, part: Callable[..., Any]) -> Callable[..., Any]:
    """The function; while it runs, `part` stands for the notebook's `name`."""
    scope = getattr(function, "__globals__", {})

    def call(*given: Any) -> Any:
        own = scope.get(name)
        scope[name] = part
        try:
            return function(*given)
        finally:
            scope[name] = own

    return call


def _right_attention(Q: Tensor, K: Tensor, V: Tensor, beta: float | None = None) -> tuple[Tensor, Tensor]:
    """H and A of exercise 1.1, by its formula."""
    A = torch.softmax((1 / math.sqrt(len(Q)) if beta is None else beta) * (K.T @ Q), dim=0)
    return V @ A, A


def attention_like(own: Callable[..., Any]) -> Callable[..., tuple[Any, ...]]:
    """The same; H and A have the types in which `own` returns them: later exercises may rely on these."""

    def call(Q: Any, K: Any, V: Any, beta: float | None = None) -> tuple[Any, ...]:
        queries, keys, values = (torch.as_tensor(part, dtype=torch.double) for part in (Q, K, V))
        right = _right_attention(queries, keys, values, beta)
        try:
            return tuple(_as(like, exact) for like, exact in zip(own(Q, K, V, beta), right, strict=True))
        except Exception:
            return tuple(part.float() for part in right)

    return call


def _as(like: Any, exact: Tensor) -> Any:
    """`exact` as an object of the same type as `like`."""
    if isinstance(like, np.ndarray):
        return exact.numpy().astype(like.dtype)
    if isinstance(like, list):
        return exact.tolist()
    return exact.to(like.dtype) if isinstance(like, Tensor) else exact.float()


def listed(
    own: Callable[..., Any], names: Sequence[str], answers: Sequence[tuple[Sequence[int], Any]]
) -> Callable[..., Any]:
    """A function of these arguments that answers from a list; what is not on it, `own` answers."""
    known = {tuple(given): answer for given, answer in answers}

    def call(*given: Any, **more: Any) -> Any:
        values = {**dict(zip(names, given, strict=False)), **more}
        key = tuple(values.get(name) for name in names)
        return known[key] if key in known else own(*given, **more)

    return call


def on_bits(network: Callable[[], Any], bits: Tensor) -> tuple[Tensor | None, Any]:
    """The feed-forward network's output for columns of bits, and None; or None and its parts, if sizes do not fit."""
    parts = plain(network())
    try:
        W1, b1, W2, b2 = (torch.as_tensor(part, dtype=torch.double) for part in parts)
    except (TypeError, ValueError, RuntimeError):
        return None, parts
    w = len(W1) if W1.ndim else 0
    if [tuple(part.shape) for part in (W1, b1, W2, b2)] != [(w, 2), (w, 1), (1, w), (1, 1)]:
        return None, parts
    return (W2 @ torch.relu(W1 @ bits.double() + b1) + b2).float(), None


def preserved(function: Callable[..., Any], cases: Sequence[tuple[Tensor, int, float]]) -> list[float] | str | None:
    """For cases (K, j, β) the weights that the queries give to key j.

    Or what the queries have in common, in words, if a weight is too small; or None, if a query is no finite column.
    """
    found = []
    for K, j, beta in cases:
        q = _query(function, K, j, beta)
        if q is None:
            return None
        found.append(_right_attention(q, K.double(), torch.eye(K.shape[1]).double(), beta)[1][j].item())
    return found if min(found) >= 0.99899 else _preserving(function)


def _preserving(function: Callable[..., Any]) -> str:
    """What queries that should preserve a key depend on."""

    def query(angles: Sequence[float], beta: float = 1.0) -> Tensor:
        """For a key (1, 0, …) and others at these angles to it, each in a direction of its own."""
        m = len(angles) + 1
        K = torch.diag(torch.tensor([0.0, *angles]).sin())
        K[0] = torch.tensor([0.0, *angles]).cos()
        q = _query(function, K, 0, beta)
        return torch.full((m, 1), math.nan).double() if q is None else q

    queries = query([0.5]), query([0.5], 0.1), query([0.2]), query([0.5] * 9), query([0.2, 1.5])
    plain, soft, near, many, far = (float(q.norm()) for q in queries)
    share = float(queries[0][0]) / max(plain, 1e-9)
    way = "along its key" if share > 0.999 else "opposite to its key" if share < -0.999 else "not along its key"
    size = "1" if abs(plain - 1) < 1e-3 else _with_beta(plain, soft, 0.1)
    trends = f"{_trend(plain, near)} for near keys, {_trend(plain, many)} for many keys"
    return f"your q is {way}; its length is {size}, {trends}, {_trend(near, far, 0.8)} with a far key more"


def diffused(
    function: Callable[..., Any], cases: Sequence[tuple[Tensor, list[int], float]]
) -> list[Tensor] | str | None:
    """For cases (K, chosen, β) the weights of all keys.

    Or what the queries have in common, in words, if a weight is wrong; or None, if a query is no finite column.
    """
    found, right = [], True
    for K, chosen, beta in cases:
        q, m = _query(function, K, chosen, beta), K.shape[1]
        if q is None:
            return None
        weights = _right_attention(q, K.double(), torch.eye(m).double(), beta)[1][:, 0]
        wanted = torch.zeros(m).double()
        wanted[chosen] = 1 / len(chosen)
        right = right and float((weights - wanted).abs().max()) <= 1e-3
        found.append(weights.float())
    return found if right else _diffusing(function)


def _diffusing(function: Callable[..., Any]) -> str:
    """What the scores depend on, where some keys should share the weight."""

    def scores(chosen: list[int], beta: float = 1.0) -> Tensor:
        q = _query(function, torch.eye(8), chosen, beta)
        return torch.full((8,), math.nan).double() if q is None else q[:, 0]

    def lead(chosen: list[int], beta: float = 1.0) -> float:
        found = scores(chosen, beta)
        return float(found[chosen].min() - found[[i for i in range(8) if i not in chosen]].max())

    some = scores([4, 1])
    near = 1e-4 * float(some.abs().max())
    if float(some.max() - some.min()) <= near:
        return "all keys have the same score"
    if float((some[4] - some[1]).abs()) > near:
        return "the chosen keys differ: " + ("only one leads" if abs(lead([4, 1])) <= near else "otherwise")
    if lead([4, 1]) < 0:
        return "the chosen keys do not lead"
    with_beta = {_with_beta(lead([4, 1]), lead([4, 1], beta), beta) for beta in (0.1, 4.0)}
    size = with_beta.pop() if len(with_beta) == 1 else "otherwise with β"
    trends = (
        f"{_trend(lead([4, 1]), lead([4]))} for one of them, {_trend(lead([4, 1]), lead([5, 0, 3, 1, 6]))} for many"
    )
    return f"the chosen keys' scores lead; their lead is {size}, {trends}"


def _query(function: Callable[..., Any], K: Tensor, which: Any, beta: float) -> Tensor | None:
    """A query of the student's, in float64; None if it is no column, or if the call changes what it is given."""
    q, changed = watched(function, exact=True)(K.clone(), copy.copy(which), beta)
    try:
        q = torch.as_tensor(q, dtype=torch.double).detach()
    except (TypeError, ValueError, RuntimeError):
        return None
    return None if changed or q.shape != (len(K), 1) or not q.isfinite().all() else q


def _with_beta(plain: float, other: float, beta: float) -> str:
    """How a size changes from β = 1 to this β."""
    if abs(other * beta - plain) <= 1e-3 * abs(plain):
        return "as 1/β"
    return "the same for every β" if abs(other - plain) <= 1e-3 * abs(plain) else "otherwise with β"


def _trend(before: float, after: float, share: float = 0.999) -> str:
    """Whether a size falls below this share of what it was, or grows as much."""
    if not math.isfinite(before) or not math.isfinite(after):
        return "unknown"
    return "smaller" if after < share * before else "larger" if after > before / share else "the same"


def at_work(
    projections: Callable[..., Any],
    cases: Sequence[tuple[Sequence[Any], Tensor, Tensor, Tensor | None, float]],
    probes: Sequence[tuple[Sequence[Any], Tensor]],
) -> list[Tensor] | str | None:
    """For cases (given, X, wanted, allowed, far) what the heads for `given` make of X.

    Or, in words, how long the queries are, if longer ones would be right; or None, if the sizes of a head do not fit.
    wanted: nan where an output may be anything: such an output comes back as 0; the others are right up to `far`
    probes: given and X for a small size and for one that is four times as large
    """
    found, right, soft = [], True, True
    for given, X, wanted, allowed, far in cases:
        heads = _heads(projections, given, len(X), len(wanted))
        if heads is None:
            return None
        made, sharp = (_outputs(heads, X, allowed, times) for times in (1.0, 1e3))
        if not _near(made, wanted, far):
            right, soft = False, soft and _near(sharp, wanted, far)
        found.append(made.masked_fill(wanted.isnan(), 0.0).float())
    if right or not soft:
        return found
    small, large = (_lead(_heads(projections, given, len(X), None), X) for given, X in probes)
    growth = large / max(small, 1e-9)
    words = "falls fast" if growth < 0.1 else "falls" if growth < 0.9 else "stays" if growth < 1.1 else "grows"
    size = "less" if small < 5 else "more"
    return f"others keep weight: β times the lead is {size} than 5, and {words} with the size"


def _lead(heads: list[tuple[Tensor, Tensor, Tensor]] | None, X: Tensor) -> float:
    """β times the lead of the first head's largest score over the next smaller one, where this is most."""
    if not heads:
        return math.nan
    W_Q, W_K, _ = heads[0]
    scores = (W_K @ X.double()).T @ (W_Q @ X.double()) / math.sqrt(len(W_Q))
    behind = scores.max(0).values - scores
    return float(behind.masked_fill(behind <= 1e-4 * behind.max(), math.inf).min(0).values.nan_to_num(posinf=0.0).max())


def _heads(
    projections: Callable[..., Any], given: Sequence[Any], rows: int, out: int | None
) -> list[tuple[Tensor, Tensor, Tensor]] | None:
    """One or more heads in float64; None if sizes do not fit, or if the call changes what is given."""
    answer, changed = watched(projections)(*copy.deepcopy(list(given)))
    try:
        answer = list(answer)
        several = isinstance(answer[0], list | tuple) or answer[0].ndim == 3
        heads = [
            tuple(torch.as_tensor(part, dtype=torch.double) for part in head)
            for head in (answer if several else [answer])
        ]
        fit = all(
            len(W_Q) == len(W_K) > 0
            and W_Q.shape == W_K.shape == (len(W_Q), rows)
            and W_V.shape == (len(W_V) if out is None else out, rows)
            for W_Q, W_K, W_V in heads
        )
    except (TypeError, ValueError, RuntimeError, AttributeError, IndexError):
        return None
    finite = fit and all(bool(part.isfinite().all()) for head in heads for part in head)
    return None if changed or not finite else heads  # type: ignore[return-value]


def _outputs(heads: Sequence[tuple[Tensor, Tensor, Tensor]], X: Tensor, allowed: Tensor | None, times: float) -> Tensor:
    """The sum of what heads with queries so many times as long make of X."""
    X, total = X.double(), torch.zeros(()).double()
    for W_Q, W_K, W_V in heads:
        scores = times / math.sqrt(len(W_Q)) * (W_K @ X).T @ (W_Q @ X)
        if allowed is not None:
            scores = scores.masked_fill(~allowed, -math.inf)
        total = total + W_V @ X @ torch.softmax(scores, dim=0)
    return total


def _near(made: Tensor, wanted: Tensor, far: float) -> bool:
    """Whether all numbers are as wanted, up to `far`; nan is wanted where anything goes."""
    counts = ~wanted.isnan()
    return bool(((made - wanted.double()).abs()[counts] <= far).all())


def codes_seen(
    codes: Callable[..., Any], step: Callable[..., Any], cases: Sequence[tuple[int, int]]
) -> list[tuple[Tensor, Tensor]] | list[str] | None:
    """For cases (n, e) the codes and the step; or all that is wrong with them; or None, if sizes do not fit."""
    found, wrong, more = [], set(), set()
    steps = [_matrix(step(e), e, e) for _, e in cases]  # before any codes: they depend on e alone
    for (n, e), R in zip(cases, steps, strict=True):
        few = max(n // 2, 1)
        P, shorter = _matrix(codes(n, e), e, n), _matrix(codes(few, e), e, few)
        if P is None or R is None or shorter is None:
            return None
        found.append((P.float(), R.float()))
        apart, lengths = float((torch.cdist(P.T, P.T) + 9 * torch.eye(n)).min()), P.norm(dim=0)
        if not _near(R @ P[:, :-1], P[:, 1:], 1e-3):
            back = _near(R @ P[:, 1:], P[:, :-1], 1e-3)
            wrong.add("R times a code is the code before it" if back else "R times a code is not the next code")
        if float(P.abs().max()) > 1.001:
            wrong.add("an entry exceeds 1")
        if apart < 0.0499:
            wrong.add("two codes are the same" if apart < 1e-3 else "two codes are too near each other")
        if float(lengths.max() - lengths.min()) > 1e-3:
            more.add("some codes are longer than others")
        if not _near(shorter, P[:, :few], 1e-3):
            more.add("the code of a place depends on n")
    return [*sorted(wrong), *sorted(more)] if wrong else found


def _matrix(thing: Any, rows: int, columns: int) -> Tensor | None:
    """What was returned as a matrix of float64; None if it is none of these sizes."""
    try:
        made = torch.as_tensor(plain(thing)).double()
    except (TypeError, ValueError, RuntimeError):
        return None
    return made if made.shape == (rows, columns) and made.isfinite().all() else None


def _same(before: Any, after: Any) -> bool:
    if isinstance(before, Tensor):
        return before.shape == after.shape and torch.equal(before, after)
    if isinstance(before, list | tuple):
        return len(before) == len(after) and all(map(_same, before, after))
    return bool(before == after)
