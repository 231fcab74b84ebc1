"""Harness of hw4/transformer: lends parts, sets weights, asks the student's modules, and trains their networks.

What it returns depends on as little as possible of what the notebook leaves open: names and order of layers,
optimisers, how many numbers are held. So two wrong answers that behave alike give the same replies.
"""

import contextlib
import gc
import inspect
import operator
import tracemalloc
import types
import weakref
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn import Dropout, LayerNorm, Linear, Module, functional
from torch.overrides import TorchFunctionMode

_DEVICE = "cuda" if torch.cuda.is_available() else "cpu"

_Sample = Callable[[], tuple[Tensor, Tensor]]
_Train = Callable[..., object]


class _Heads(Protocol):
    """A MultiHeadAttention of the student."""

    W_Q: Linear
    W_K: Linear
    W_V: Linear
    W_O: Linear

    def eval(self) -> object: ...


# ---------------------------------------------------------------------------------------------- parts to lend
# They take the places of earlier exercises while a later one is tested, so that an error counts once. They have the
# arguments, the parameters and the results of the right parts, and compute something else: no solution comes here.


def kernel(
    Q: Tensor, K: Tensor, V: Tensor, beta: float | None = None, mask: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """In place of attention: means of values, weighted by a sine of the scores."""
    beta = Q.shape[-1] ** -0.5 if beta is None else beta
    weights = 1.5 + torch.sin(beta * torch.einsum("...nd,...md->...nm", Q, K))
    if mask is not None:
        weights = weights * mask
    A = weights / weights.sum(-1, keepdim=True)
    return torch.einsum("...nm,...mt->...nt", A, V), A


class Heads(Module):
    """In place of MultiHeadAttention: one head of all features, by `kernel`."""

    def __init__(self, embed_dim: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.W_Q, self.W_K = Linear(embed_dim, embed_dim), Linear(embed_dim, embed_dim)
        self.W_V, self.W_O = Linear(embed_dim, embed_dim), Linear(embed_dim, embed_dim)

    def forward(
        self, queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        Q, K, V = self.W_Q(queries)[:, None], self.W_K(keys)[:, None], self.W_V(values)[:, None]
        H, A = kernel(Q, K, V, mask=mask)
        return self.W_O(H.mean(1)), A.expand(-1, self.num_heads, -1, -1)


class Block(Module):
    """In place of TransformerBlock: both corrections at once, and a sine in the MLP."""

    def __init__(self, embed_dim: int, num_heads: int, mlp_dim: int, dropout: float) -> None:
        super().__init__()
        self.norm_1, self.norm_2 = LayerNorm(embed_dim), LayerNorm(embed_dim)
        self.heads = Heads(embed_dim, num_heads)
        self.up, self.down = Linear(embed_dim, mlp_dim), Linear(mlp_dim, embed_dim)
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        y, z = self.norm_1(x), self.norm_2(x)
        result: Tensor = x + self.dropout(self.heads(y, y, y, mask)[0] + self.down(self.up(z).sin()))
        return result


class Patches(Module):
    """In place of PatchEmbedding: a token of a patch knows the mean of each channel."""

    def __init__(self, image_size: int, patch_size: int, in_channels: int, embed_dim: int) -> None:
        super().__init__()
        self.side = image_size // patch_size
        self.projection = Linear(in_channels * patch_size**2, embed_dim)

    def forward(self, images: Tensor) -> Tensor:
        means = functional.adaptive_avg_pool2d(images, self.side).flatten(2).transpose(1, 2)  # (B, n, C)
        tokens: Tensor = self.projection(means.repeat(1, 1, self.projection.in_features // means.shape[-1]))
        return tokens


def kernel_step(layer: Any, x: Tensor, cache: tuple[Tensor, Tensor] | None = None) -> tuple[Tensor, Any]:
    """In place of cached_attention: what `Heads` gives under a causal mask, for new tokens."""
    Q, K, V = layer.W_Q(x)[:, None], layer.W_K(x)[:, None], layer.W_V(x)[:, None]
    if cache is not None:
        K, V = torch.cat([cache[0], K], 2), torch.cat([cache[1], V], 2)
    H, _ = kernel(Q, K, V, mask=_tables["mask"][: K.shape[2], : K.shape[2]][-x.shape[1] :])
    return layer.W_O(H.mean(1)), (K, V)


_tables: dict[str, Tensor] = {}


def tables(P: Tensor, mask: Tensor) -> None:
    """What the lent sinusoidal_encoding and causal_mask are cut from: P (length, dim) and a mask (length, length)."""
    _tables.update(P=P, mask=mask)


def _encoding(length: int, dim: int) -> Tensor:
    """In place of sinusoidal_encoding: rows of a table."""
    return _tables["P"][:length, :dim].clone()


def _mask(n: int) -> Tensor:
    """In place of causal_mask: a corner of a table."""
    return _tables["mask"][:n, :n].clone()


_borrowed: list[str] = []


def _counted(name: str, part: Callable[..., Any]) -> Callable[..., Any]:
    def counting(*inputs: Any, **named: Any) -> Any:
        _borrowed.append(name)
        return part(*inputs, **named)

    return counting


_PARTS = {
    "attention": _counted("attention", kernel),
    "MultiHeadAttention": Heads,
    "TransformerBlock": Block,
    "PatchEmbedding": Patches,
    "cached_attention": kernel_step,
    "sinusoidal_encoding": _encoding,
    "causal_mask": _mask,
}
_lent: list[str] = []


def lend(*names: str) -> None:
    """From now on `made` and what asks a module let the student's code find our parts under these names."""
    _lent[:] = names


def borrowed() -> bool:
    """Whether our attention was called since this was last asked."""
    found = bool(_borrowed)
    _borrowed.clear()
    return found


def _names_of(thing: Any) -> dict[str, Any]:
    """The names that the code of a student's module, class or function finds."""
    kind = thing if isinstance(thing, type) else type(thing)
    methods = [vars(base).get(name) for base in kind.__mro__ for name in ("forward", "__init__")]
    functions = [thing] if isinstance(thing, types.FunctionType) else methods
    found = [inspect.unwrap(function) for function in functions if isinstance(function, types.FunctionType)]
    return next((f.__globals__ for f in found if all(name in f.__globals__ for name in _lent)), {})


@contextlib.contextmanager
def _lending(thing: Any, functions: bool = False) -> Iterator[None]:
    """While it lasts, the code of a student's module or class, or function, finds the parts that are lent."""
    names: dict[str, Any] = {}
    if _lent and (functions or not isinstance(thing, types.FunctionType)):
        names = _names_of(thing)
    own = {name: names[name] for name in _lent if name in names}
    names.update({name: _PARTS[name] for name in own})
    try:
        yield
    finally:
        names.update(own)


def made(kind: Callable[..., Module], *arguments: object, **named: object) -> Module:
    """A module of the student's, with the parts that are lent."""
    with _lending(kind):
        return kind(*arguments, **named)


# ---------------------------------------------------------------------------------------------- weights


def tuned(module: Module, seed: int) -> Module:
    """The module in evaluation mode with other weights, which depend on their shapes and on nothing drawn before."""
    with torch.no_grad():
        for name, parameter in module.eval().named_parameters():
            shape = [side for side in parameter.shape if side > 1]
            first, size = (shape or [1])[0], parameter.numel()
            heads = [part for part in name.split(".") if part.startswith("W_")]
            scale = name.endswith("weight") and len(shape) == 1  # of a norm
            key = f"{seed} {first} {size} {heads} {scale}".encode()
            dice = torch.Generator().manual_seed(zlib.crc32(key))
            values = torch.randn(size, generator=dice).view_as(parameter)
            spread = 1.5 * (first / size) ** 0.5 if size > first else 0.5
            parameter.copy_(1 + 0.3 * values if scale else spread * values)
    return module


def zeroed(module: Module) -> Module:
    """The module with all of its parameters set to zero."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.zero_()
    return module


def _layers(module: Module, kind: type[Module]) -> list[Any]:
    """The layers of attention in a module: of the student's class, or ours."""
    return [part for part in module.modules() if isinstance(part, Heads | kind)]


def silenced(module: Module, kind: type[Module], bias: Tensor | None = None) -> int:
    """How many layers of attention there are. From now on each token gets zero from them, or `bias`."""
    layers = _layers(module, kind)
    for layer in layers:
        zeroed(layer)
        if bias is not None:
            with torch.no_grad():
                layer.W_O.bias.copy_(bias)
    return len(layers)


def only_attention(module: Module, kind: type[Module], bias: Tensor) -> None:
    """From now on all parameters are zero, except that each token gets `bias` from a layer of attention."""
    zeroed(module)
    silenced(module, kind, bias)


def set_hidden(block: Module, e: int, mlp: int, weight: float, bias: float) -> bool:
    """Set all weights of the block's MLP to one number, the biases of its hidden units to another one, and other biases
    of a fresh block to 0: then nothing is left of what was drawn when it was made.

    False when there are not two tensors and one tensor of such sizes.
    """
    weights = [p for p in block.parameters() if p.numel() == e * mlp]
    biases = [p for p in block.parameters() if p.numel() == mlp]
    with torch.no_grad():
        for parameter in weights:
            parameter.fill_(weight)
        for parameter in biases:
            parameter.fill_(bias)
        for parameter in block.parameters():
            if parameter.numel() == e and not (parameter == 1).all():  # no weight of a norm
                parameter.zero_()
    return (len(weights), len(biases)) == (2, 1)


def set_heads(layer: _Heads, weights: Tensor, biases: Tensor) -> object:
    """The layer, with weights and biases (4, e, e) and (4, e) of W_Q, W_K, W_V and W_O."""
    with torch.no_grad():
        for part, weight, bias in zip((layer.W_Q, layer.W_K, layer.W_V, layer.W_O), weights, biases, strict=True):
            part.weight.copy_(weight)
            part.bias.copy_(bias)
    return layer.eval()


def _places_of(model: Module, n: int, e: int) -> list[Tensor]:
    return [p for p in model.parameters() if p.ndim >= 2 and tuple(p.shape[-2:]) == (n, e) and p.numel() == n * e]


def get_places(model: Module, n: int, e: int) -> Tensor | None:
    """The learned places (n, e) of a model; None when there is no such parameter."""
    found = _places_of(model, n, e)
    return found[0].detach().reshape(n, e) if found else None


def set_places(model: Module, values: Tensor) -> None:
    n, e = values.shape
    with torch.no_grad():
        place = _places_of(model, n, e)[0]
        place.copy_(values.view_as(place))


# ---------------------------------------------------------------------------------------------- questions


def answer(module: Module, *inputs: Tensor, training: bool = False, seed: int = 0) -> Any:
    torch.default_generator.manual_seed(seed)  # what is dropped depends on nothing drawn before
    with torch.no_grad(), _lending(module):
        return module.train(training)(*(x.clone() for x in inputs))


def answers(module: Module, times: int, training: bool, *inputs: Tensor) -> list[Any]:
    """The same question, several times."""
    return [answer(module, *inputs, training=training, seed=seed) for seed in range(times)]


def altered(function: Callable[..., object], *inputs: Any, **named: Any) -> list[str]:
    """Which inputs, tensors or lists of tensors, the function or module has changed: their numbers or names."""
    given = {**{str(number): value for number, value in enumerate(inputs)}, **named}
    given = {name: value for name, value in given.items() if not isinstance(value, int)}
    before = {name: [part.clone() for part in value] for name, value in given.items()}
    with torch.no_grad(), _lending(function):
        (function.eval() if isinstance(function, Module) else function)(*inputs, **named)
    pairs = {name: list(zip(before[name], value, strict=False)) for name, value in given.items()}
    same = {name: all(torch.equal(a, b) for a, b in pairs[name]) for name in given}
    return [name for name, value in given.items() if not same[name] or len(before[name]) != len(value)]


def pulled(attention: Callable[..., Any], Q: Tensor, K: Tensor, V: Tensor, upstream: Tensor) -> list[Tensor | None]:
    """The gradients that reach Q, K and V when the gradient of H is `upstream`."""
    inputs = [Q.requires_grad_(), K.requires_grad_(), V.requires_grad_()]
    H = attention(*inputs)[0]
    if H.requires_grad:
        H.backward(upstream)
    return [x.grad for x in inputs]


def called(function: Callable[..., Any], *inputs: Any) -> Any:
    """What a function of the student's returns, with the parts that are lent."""
    with torch.no_grad(), _lending(function, functions=True):
        return function(*inputs)


def cached(function: Callable[..., Any], layer: Any, x: Tensor, cache: Any) -> dict[str, Any]:
    """What a cached_attention does with new tokens.

    result:  what it returns
    tokens:  for W_Q, W_K, W_V and W_O the largest number of tokens that they were applied to at once
    changed: whether the tokens or the cache were changed
    """
    counts, before = dict[str, int](), [part.clone() for part in (x, *(cache or ()))]
    hooks = []
    for name in "W_Q", "W_K", "W_V", "W_O":

        def count(_: Module, inputs: tuple[Tensor, ...], result: Tensor, name: str = name) -> None:
            counts[name] = max(counts.get(name, 0), result[..., 0].numel())

        hooks.append(getattr(layer, name).register_forward_hook(count))
    try:
        result = called(function, layer, x, cache)
    finally:
        for hook in hooks:
            hook.remove()
    same = all(torch.equal(a, b) for a, b in zip(before, (x, *(cache or ())), strict=True))
    return {"result": result, "tokens": counts, "changed": not same}


def stepped(function: Callable[..., Any], model: Any, symbols: Tensor, caches: Any) -> tuple[Any, list[str]]:
    """What a step returns, and what it has changed in place: the symbols, the list of caches, or a cache."""
    listed, before = list(caches), symbols.clone()
    parts = [part for cache in listed for part in cache or ()]
    copies = [part.clone() for part in parts]
    result = called(function, model, symbols, caches)
    same = {
        "the symbols": torch.equal(symbols, before),
        "the list of caches": len(caches) == len(listed) and all(map(operator.is_, caches, listed)),
        "a cache": all(map(torch.equal, parts, copies)),
    }
    return result, [name for name, kept in same.items() if not kept]


class _Makes(TorchFunctionMode):
    """Notes the longest axis of the tensors that are made, and how many numbers of them are still held."""

    def __init__(self) -> None:
        super().__init__()
        self.longest = 0
        self.found: list[tuple[int, Any]] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for part in result if isinstance(result, tuple | list) else (result,):
            if isinstance(part, Tensor):
                self.longest = max(self.longest, *part.shape, 0)
                self.found.append((part.numel(), weakref.ref(part)))
        return result

    def held(self) -> int:
        return sum(size for size, part in self.found if part() is not None)


def streamed(function: Callable[..., Any], Q: Tensor, blocks: Sequence[Any], beta: float | None) -> dict[str, Any]:
    """Attention of an online_attention to blocks that come one after the other, and can be read once.

    H:       what it returns
    changed: what it has changed in place
    """
    found, *_ = _streamed(function, Q, blocks, beta)
    return found


def memory(function: Callable[..., Any], Q: Tensor, blocks: Sequence[Any]) -> dict[str, Any]:
    """The same, and what it keeps while it reads at least eight blocks.

    long:  whether a tensor that it makes has an axis as long as all keys together
    many:  whether it holds more than two of the blocks at the same time
    grows: whether it holds far more numbers when it asks for the last block than when it asks for the seventh
    """
    found, makes, held, kept = _streamed(function, Q, blocks, None)
    long = makes.longest >= sum(K.shape[-2] for K, _ in blocks)
    grows = len(held) == len(blocks) and held[-1] > 1.5 * held[6] + 60
    return found | {"long": long, "many": max(kept, default=0) > 2, "grows": grows}


def keeps_numbers(function: Callable[..., Any], Q: Tensor, K: Tensor, V: Tensor) -> list[bool]:
    """Whether a function that reads this block twelve times holds far more arrays and lists at the eighth and each
    later block than at the seventh: more than half of the keys between."""
    held = list[int]()

    def stream() -> Iterator[tuple[Tensor, Tensor]]:
        for _ in range(12):
            gc.collect(1)  # what was made here; all that the process has would take too long
            held.append(tracemalloc.get_traced_memory()[0])
            yield K.clone(), V.clone()

    tracemalloc.start()
    try:
        with torch.no_grad():
            function(Q, stream())
    finally:
        tracemalloc.stop()
    half = K.numel() * K.element_size() / 2
    return [now - held[6] > number * half for number, now in enumerate(held[7:], start=1)]


def _streamed(
    function: Callable[..., Any], Q: Tensor, blocks: Sequence[Any], beta: float | None
) -> tuple[dict[str, Any], _Makes, list[int], list[int]]:
    """What `streamed` says, and the tensors that were made; each time that a block was asked for, how many numbers of
    them were held, and how many of the earlier blocks."""
    # their numbers are those of arrays, which are free when no tensor, array or storage shows them
    makes, fresh = _Makes(), [(K.clone(), V.numpy().copy()) for K, V in blocks]
    given, held, kept, changed = list[Any](), list[int](), list[int](), dict[str, None]()
    before = Q.clone()

    def stream() -> Iterator[tuple[Tensor, Tensor]]:
        for block in blocks:
            held.append(makes.held())
            kept.append(sum(earlier() is not None for earlier in given))
            keys, numbers = fresh.pop(0)
            given.append(weakref.ref(numbers))
            pair = keys, torch.from_numpy(numbers)
            del keys, numbers
            yield pair
            if not all(map(torch.equal, pair, block)):
                changed["a block"] = None
            del pair

    with torch.no_grad(), makes:
        H = function(Q, stream()) if beta is None else function(Q, stream(), beta)
    if not torch.equal(Q, before):
        changed["Q"] = None
    return {"H": H, "changed": list(changed)}, makes, held, kept


def gradient(function: Callable[..., Any], x: Tensor, places: Tensor, upstream: Tensor) -> list[Tensor | None]:
    """The gradient that reaches x when that of the result is `upstream`, and the result."""
    x.requires_grad_()
    result = function(x, places)
    if result.requires_grad:
        result.backward(upstream)
    return [x.grad, result.detach()]


class Teller(Module):
    """Gives the last place the logits of a row of a table; which row, depends on all the symbols it sees.

    Other places get other logits. Notes the number of symbols of each question.
    """

    def __init__(self, table: Tensor, context: int) -> None:
        super().__init__()
        self.table, self.context = table, context
        self.asked: list[int] = []

    def forward(self, symbols: Tensor) -> Tensor:
        n = symbols.shape[1]
        self.asked.append(n)
        steps = torch.arange(n, 0, -1, device=symbols.device)
        rows = (symbols * steps).cumsum(1) % len(self.table)
        return self.table.to(symbols.device)[rows]


def shown(module: Module, kind: type[Module], training: bool, x: Tensor) -> list[Tensor]:
    """What the layers of attention get when a module is asked: queries, keys and values of each."""
    seen: list[Tensor] = []

    def note(layer: Module, inputs: tuple[Any, ...], named: dict[str, Any]) -> None:
        tensors = [value for value in (*inputs, *named.values()) if isinstance(value, Tensor)]
        seen.extend(value.clone() for value in tensors[:3])

    hooks = [layer.register_forward_pre_hook(note, with_kwargs=True) for layer in _layers(module, kind)]
    answer(module, x, training=training)
    for hook in hooks:
        hook.remove()
    return seen


def passed(model: Module, kind: type[Module], images: Tensor) -> tuple[list[int], list[int]]:
    """The number of heads of each layer of attention, and which layers are asked, one after the other."""
    layers, asked = _layers(model, kind), list[int]()
    hooks = [
        layer.register_forward_hook(lambda *_, number=number: asked.append(number))
        for number, layer in enumerate(layers)
    ]
    answer(model, images)
    for hook in hooks:
        hook.remove()
    return [layer.num_heads for layer in layers], asked


def rates(model: Module) -> list[float]:
    """The dropout of each of the blocks that are lent."""
    return [part.dropout.p for part in model.modules() if isinstance(part, Block)]


class _Drops(TorchFunctionMode):
    """Notes the tensors in which something is dropped, outside of blocks: see `dropped`."""

    def __init__(self) -> None:
        super().__init__()
        self.within, self.blocks = 0, 0
        self.found: list[tuple[int, tuple[int, ...], bool]] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if "dropout" in getattr(func, "__name__", "") and not self.within and isinstance(result, Tensor):
            given = args[0] if args else (kwargs or {}).get("input")
            if isinstance(given, Tensor) and not torch.equal(given, result):
                self.found.append((self.blocks, tuple(result.shape), bool(given.mean().abs() > 50)))
        return result

    def enter(self, *_: object) -> None:
        self.within, self.blocks = self.within + 1, self.blocks + 1

    def leave(self, *_: object) -> None:
        self.within -= 1


def dropped(model: Module, kind: type[Module], images: Tensor) -> list[tuple[int, tuple[int, ...], bool]]:
    """Where a model drops something in training mode, outside of its blocks.

    For each place after how many blocks it is, the shape, and whether the numbers that come there are large.
    """
    drops = _Drops()
    blocks = [part for part in model.modules() if isinstance(part, Block | kind)]
    hooks = [block.register_forward_pre_hook(drops.enter) for block in blocks]
    hooks += [block.register_forward_hook(drops.leave) for block in blocks]
    with drops:
        answer(model, images, training=True)
    for hook in hooks:
        hook.remove()
    return drops.found


def count(module: Module) -> int:
    return sum(parameter.numel() for parameter in Module.parameters(module))


def idle(module: Module, *inputs: Tensor) -> list[str]:
    """Parameters that get no gradient, by their names."""
    return [name for name, _ in _idle(module, *inputs)]


def idle_shapes(module: Module, *inputs: Tensor) -> list[list[int]]:
    """Parameters that get no gradient, by their shapes: their names are the student's choice."""
    return [list(parameter.shape) for _, parameter in _idle(module, *inputs)]


def _idle(module: Module, *inputs: Tensor) -> list[tuple[str, Tensor]]:
    with _lending(module):
        result = module.train()(*inputs)
    (result[0] if isinstance(result, tuple) else result).square().sum().backward()
    return [(name, parameter) for name, parameter in module.named_parameters() if parameter.grad is None]


# ---------------------------------------------------------------------------------------------- the loop


class Table(Module):
    """Looks logits up, by row: in step k (0, 1, …) its first logits times 1 + k / 20, whatever it has learned. So all
    optimisers see the same. Gradients go to the parameter `logits`. Notes each forward pass that can be learned from.

    modes: whether the model was in training mode, and whether its layer was
    rows:  the rows
    said:  the logits
    stood: the learned table at the last pass
    fresh: the gradient of this step's loss
    held:  what is in .grad once that gradient has been added
    """

    def __init__(self, logits: Tensor) -> None:
        super().__init__()
        self.start, self.stood = logits.clone(), logits.clone()
        self.logits, self.layer = torch.nn.Parameter(logits), torch.nn.Identity()
        self.modes: list[list[bool]] = []
        self.rows: list[Tensor] = []
        self.said: list[Tensor] = []
        self.fresh: list[Tensor] = []
        self.held: list[Tensor] = []
        self.logits.register_hook(lambda gradient: self.fresh.append(gradient.clone()))  # type: ignore[no-untyped-call]
        note = self.logits.register_post_accumulate_grad_hook
        note(lambda logits: self.held.append(logits.grad.clone()))  # type: ignore[no-untyped-call]

    def forward(self, rows: Tensor) -> Tensor:
        said = (1 + len(self.said) / 20) * self.start[rows.cpu()]
        if torch.is_grad_enabled():
            self.modes.append([self.training, self.layer.training])
            self.rows.append(rows.detach().cpu())
            self.stood = self.logits.detach().cpu().clone()
            self.said.append(said)
        learned = self.logits[rows]
        return said.to(learned.device) + (learned - learned.detach())


def watched(
    train: _Train, start: Tensor, labels: Tensor, axes: Sequence[int], steps: int, seed: int, **settings: float
) -> dict[str, object]:
    """A training run of a Table that starts with these logits, in evaluation mode.

    losses: what `train` returned
    drawn:  how many batches were drawn
    modes, rows, said: as the Table notes them
    pulls:  the number of backward passes
    stale:  whether an old gradient was left in .grad
    stood:  whether the learned table was still the first one at the last forward pass
    moved:  whether it is another one after the run
    falls:  whether its loss is smaller after the run than before
    """
    losses, drawn, table = _watched(train, start, labels, axes, steps, seed, **settings)
    pairs, end = zip(table.fresh, table.held, strict=False), table.logits.detach().cpu()
    before, after = (float(functional.cross_entropy(logits, labels)) for logits in (start, end))
    return {
        "losses": losses,
        "drawn": drawn,
        "modes": table.modes,
        "rows": table.rows,
        "said": table.said,
        "pulls": len(table.fresh),
        "stale": any(not torch.allclose(a, b, atol=1e-6) for a, b in pairs),
        "stood": torch.equal(table.stood, start),
        "moved": not torch.equal(end, start),
        "falls": after < before,
    }


def farther(
    train: _Train, start: Tensor, labels: Tensor, axes: Sequence[int], steps: int, seed: int, rates: Sequence[float]
) -> list[bool]:
    """Whether the table moves at all at the first of two learning rates, and more than 20 times as far at the other."""
    moved = []
    for lr in rates:
        *_, table = _watched(train, start, labels, axes, steps, seed, lr=lr)
        moved.append(float((table.logits.detach().cpu() - start).abs().max()))
    near, far = moved
    return [near > 0, far > 20 * near]


def _watched(
    train: _Train, start: Tensor, labels: Tensor, axes: Sequence[int], steps: int, seed: int, **settings: float
) -> tuple[object, int, Table]:
    """What `train` returns for a Table, how many batches were drawn, and the Table."""
    table, dice = Table(start.clone()), torch.Generator().manual_seed(seed)
    drawn: list[Tensor] = []

    def sample() -> tuple[Tensor, Tensor]:
        few = axes[0] - (2 if len(drawn) == steps - 1 else 0)  # the last batch is smaller than the others
        drawn.append(torch.randint(len(labels), (few, *axes[1:]), generator=dice))
        return drawn[-1], labels[drawn[-1]]

    losses = train(table.to(_DEVICE).eval(), sample, steps, **settings)
    return losses, len(drawn), table


def continued(generate: Callable[..., Any], teller: Teller, start: Tensor, *settings: Any) -> tuple[Any, bool]:
    """What a generate returns for a start, and whether the start is as it was."""
    before = start.clone()
    return generate(teller, start, *settings), torch.equal(start, before)


# ---------------------------------------------------------------------------------------------- training runs


def taught_text(train: _Train, model: Module, text: Tensor, size: int, length: int, steps: int, seed: int) -> Module:
    """The model after training on windows of a text, to predict what comes next."""
    windows = text.unfold(0, length + 1, 1)  # (N - length, length + 1)
    dice = torch.Generator().manual_seed(seed)

    def sample() -> tuple[Tensor, Tensor]:
        rows = windows[torch.randint(len(windows), (size,), generator=dice)]
        return rows[:, :-1].clone(), rows[:, 1:].clone()

    train(model.to(_DEVICE), sample, steps)
    return model


def taught_pictures(
    train: _Train, model: Module, pictures: Tensor, labels: Tensor, size: int, steps: int, seed: int
) -> Module:
    """The model after training on batches of a few pictures."""
    dice = torch.Generator().manual_seed(seed)

    def sample() -> tuple[Tensor, Tensor]:
        rows = torch.randperm(len(pictures), generator=dice)[:size]
        return pictures[rows], labels[rows]

    train(model.to(_DEVICE), sample, steps)
    return model


def taught_digits(
    train: _Train, model: Module, digits: Tensor, labels: Tensor, size: int, steps: int, seed: int
) -> Module:
    """The model after training on digits, bytes (N, 1, 14, 14), each time at other places of a canvas of 20 x 20."""
    windows = functional.pad(digits / 255, (6,) * 4).unfold(2, 20, 1).unfold(3, 20, 1)
    dice = torch.Generator().manual_seed(seed)

    def sample() -> tuple[Tensor, Tensor]:
        rows = torch.randint(len(digits), (size,), generator=dice)
        top, left = torch.randint(7, (2, size), generator=dice)
        return 2 * windows[rows, :, top, left] - 1, labels[rows]

    train(model.to(_DEVICE), sample, steps)
    return model


def logits(model: Module, inputs: Tensor) -> Tensor:
    """What a trained model says, in evaluation mode; bytes are brought to [-1, 1]."""
    inputs = inputs / 127.5 - 1 if inputs.dtype == torch.uint8 else inputs
    with torch.no_grad():
        return torch.cat([model.eval()(part.to(_DEVICE)).float().cpu() for part in torch.split(inputs, 500)])


def foretold(model: Module, windows: Tensor, step: int = 1) -> Tensor:
    """The logits (n / step, B, K) for what follows the first `step` symbols of windows (B, n), twice as many, …

    They are asked one by one: no answer can depend on what follows.
    """
    with torch.no_grad():
        ends = range(step, windows.shape[1] + 1, step)
        return torch.stack([model.eval()(windows[:, :end].to(_DEVICE))[:, -1].float().cpu() for end in ends])
