"""What a student's function can reach when a call of it begins, and a digest of each of these things.

`SOURCE` defines a function for the student's process, which the witness uses there.
"""

SOURCE = """
def _viva_reach(names, members, torch, numpy):
    import functools
    import random
    import zlib
    from collections import deque
    from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType

    def is_fixed(thing, depth=0):
        if type(thing) in (list, tuple, dict) and depth < 3:
            items = list(thing.values()) if type(thing) is dict else list(thing)
            return all(is_fixed(item, depth + 1) for item in items[:200])
        if type(thing) in (set, frozenset):
            return all(type(item) in (bool, int, float) for item in list(thing)[:200])
        if type(thing).__module__ == names.get("__name__") and depth < 3:
            return all(is_fixed(item, depth + 1) for item in list(members(thing).values())[:200])
        return True

    def reached(frame):
        found, known = dict(frame.f_locals), set()
        todo = [(frame.f_code, "")] + [(type(thing), "") for thing in found.values()]
        while todo and len(known) < 400:
            thing, name = todo.pop()
            if isinstance(thing, FunctionType):
                found[name + "()"] = thing
                thing = thing.__code__
            if id(thing) in known:
                continue
            known.add(id(thing))
            if hasattr(thing, "co_consts"):
                todo += [(one, "") for one in thing.co_consts if hasattr(one, "co_consts")]
                todo += [(frame.f_globals[one], one) for one in thing.co_names if one in frame.f_globals]
            elif isinstance(thing, type):
                own = vars(thing) if thing.__module__ == names.get("__name__") else {}
                for key, one in list(own.items()):
                    one = getattr(one, "__func__", one)
                    if not key.startswith("__") or isinstance(one, FunctionType):
                        todo.append((one, thing.__name__ + "." + key))
                todo += [(one, "") for one in thing.__bases__ if own]
            elif not isinstance(thing, ModuleType):
                found["global " + name] = thing
                todo.append((type(thing), ""))
        return found if not todo else None

    def of_slots(owner):
        slots, kind = vars(owner).get("__slots__", ()), "_" + owner.__name__.lstrip("_")
        names = [slots] if isinstance(slots, str) else list(slots)
        return [kind + one if one[:2] == "__" != one[-2:] else one for one in names if one != "__weakref__"]

    def digests(things, quick=False):
        left, known, value = 4 * 10**6, {}, 0

        def add(text):
            nonlocal left, value
            data = text if isinstance(text, bytes) else str(text).encode(errors="replace")
            left -= len(data) + 16
            if left < 0:
                raise ValueError
            value = zlib.crc32(data + b";", value)

        def take(thing, depth):
            if depth > 12:
                raise ValueError
            kind = type(thing)
            if thing is None or kind in (bool, int, float, complex, str, bytes):
                return add(repr(thing))
            add(kind.__name__)
            if id(thing) in known:
                return None
            known[id(thing)] = thing  # kept, so that nothing else gets its id
            if torch is not None and isinstance(thing, torch.Tensor):
                if quick and thing.numel() > 10_000:
                    return add((thing._version, thing.data_ptr(), tuple(thing.shape)))
                if thing.numel() > left:
                    raise ValueError
                add((str(thing.dtype), tuple(thing.shape), thing.requires_grad))
                take(thing.grad if thing.is_leaf else None, depth + 1)
                thing = thing.detach().resolve_conj().numpy()
            if numpy is not None and isinstance(thing, numpy.ndarray):
                add((thing.dtype, thing.shape))
                return add(thing.tobytes() if thing.dtype != object else repr(thing))
            if isinstance(thing, dict):
                for key, item in list(thing.items()):
                    take(key, depth + 1)
                    take(item, depth + 1)
            elif isinstance(thing, (list, tuple, deque)):
                for item in list(thing):
                    take(item, depth + 1)
            elif isinstance(thing, (set, frozenset)):
                add(sorted(map(repr, thing)))
            elif isinstance(thing, FunctionType):
                kept = [cell.cell_contents for cell in thing.__closure__ or ()]
                take([thing.__qualname__, thing.__defaults__, thing.__kwdefaults__, kept, vars(thing)], depth + 1)
            elif isinstance(thing, MethodType):
                take([thing.__self__, thing.__func__], depth + 1)
            elif isinstance(thing, BuiltinFunctionType):
                take([thing.__name__, thing.__self__], depth + 1)
            elif isinstance(thing, functools.partial):
                take([thing.func, thing.args, thing.keywords], depth + 1)
            elif isinstance(thing, random.Random):
                add(thing.getstate())
            elif torch is not None and isinstance(thing, torch.Generator):
                take(thing.get_state(), depth + 1)
            elif numpy is not None and isinstance(thing, (numpy.random.Generator, numpy.random.RandomState)):
                take((getattr(thing, "bit_generator", None) or thing._bit_generator).state, depth + 1)
            elif hasattr(kind, "__next__") or hasattr(kind, "cache_info"):
                raise ValueError  # how far it has come, or what it remembers, is not to be seen
            elif not isinstance(thing, (type, ModuleType)):
                slots = [one for owner in kind.__mro__ for one in of_slots(owner)]
                if hasattr(thing, "__dict__") or slots or kind.__module__ == names.get("__name__"):
                    take(getattr(thing, "__dict__", None), depth + 1)
                    for one in slots:
                        take(getattr(thing, one, None), depth + 1)
                elif " at 0x" in repr(thing):
                    raise ValueError  # what is in it is not to be seen
                else:
                    add(repr(thing))
            return None

        found = {}
        for name, thing in things.items():
            known, value = {}, 0
            try:
                take(thing, 0)
                found[name] = value
            except Exception:
                return {}
        return found

    def kept():
        found, ipythons = {}, ("In", "Out", "exit", "quit", "get_ipython")
        for name, thing in list(names.items()):
            if isinstance(thing, type) and thing.__module__ == names.get("__name__"):
                own = list(vars(thing).items())
                found[name] = [one for key, one in own if not key.startswith("__") and not callable(one)]
            elif not isinstance(thing, (type, ModuleType)) and not name.startswith("_") and name not in ipythons:
                found[name] = thing
        start = digests(found, quick=True)
        return lambda: bool(found) and (not start or digests(found, quick=True) != start)

    return is_fixed, reached, digests, kept
"""
