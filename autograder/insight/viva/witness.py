"""What the student's process is asked to run: the visible checks, with a record of what the student's functions do.

`SOURCE` defines one function there. It runs checks one after another, in the notebook's names, and writes down for the
first calls of each function of the student's cells which lines are run, and what the local names hold. Edited copies of
cells are run before them. A check that calls too many functions, or runs too many lines of the student's, is left
before its end, and so is one that has made all calls that are wanted of it: the work is bounded without a clock. What
comes back is plain data, which nobody here trusts.
"""

from __future__ import annotations

from autograder.insight.viva import reach

SOURCE = (
    reach.SOURCE
    + """
def _viva(names, edited, checks, cells, most_calls, most_events, most_work, wanted):
    import opcode
    import random
    import sys
    import zlib
    torch, numpy = sys.modules.get("torch"), sys.modules.get("numpy")
    calls, counts, work, active, fresh = [], {}, [0], [], {}
    most_dice = 40  # events of a call at which it is looked whether something was drawn before
    loop_end = opcode.opmap["FOR_ITER"]

    missing = {tuple(one) for one in wanted}

    class Enough(BaseException):
        pass

    def seen(thing, depth=0):
        if thing is None or type(thing) in (bool, int, float):
            return ["value", [], [thing]] if type(thing) is not int or abs(thing) < 2**53 else ["object", [], ["int"]]
        if type(thing) is str:
            return ["value", [], [thing]] if len(thing) <= 40 else ["object", [], ["str"]]
        is_tensor = torch is not None and isinstance(thing, torch.Tensor)
        if is_tensor or (numpy is not None and isinstance(thing, numpy.ndarray)):
            size = thing.numel() if is_tensor else thing.size
            short = size <= 12 and (not is_tensor or not thing.is_complex())
            flat = (thing.detach() if is_tensor else thing).reshape(-1).tolist() if short else None
            kind = str(thing.dtype).replace("torch.", "")
            return ["tensor" if is_tensor else "array", list(map(int, thing.shape)), flat, kind]
        if type(thing) in (list, tuple):
            short, kind = len(thing) <= 8 and depth < 2, type(thing).__name__
            if short:
                return [kind, [len(thing)], [seen(item, depth + 1) for item in thing]]
            return [kind, [len(thing)], None, seen(thing[0], depth + 1) if depth < 2 else None]
        return ["object", [], [type(thing).__name__[:60]]]

    def cut(text, most):
        text = " ".join(text.split())
        return text if len(text) <= most else text[: most - 1] + "…"

    def is_library(thing):
        return isinstance(thing, torch.nn.Module) and type(thing).__module__.startswith("torch.nn.modules")

    def part(thing):
        found = seen(thing)
        if torch is not None and is_library(thing):
            return cut(repr(thing), 60)
        if found[0] in ("tensor", "array"):
            return str(tuple(found[1])) + ("" if "float" in found[3] else " " + found[3])
        if found[0] == "value":
            return repr(found[2][0]) if type(thing) in (bool, int, str) else ""
        return f"{len(thing)} items" if type(thing) in (list, tuple, dict) else type(thing).__name__

    def members(thing):
        own = dict(getattr(thing, "__dict__", {}))
        if torch is not None and isinstance(thing, torch.nn.Module):
            kinds = ("_parameters", "_buffers", "_modules")
            own = {name: item for kind in kinds for name, item in own.get(kind, {}).items()} | own
        return {name: item for name, item in own.items() if not str(name).startswith("_")}

    def described(thing):
        found = seen(thing)
        if found[0] != "object":
            return found
        name, parts = type(thing).__name__, {}
        if str(type(thing).__module__).startswith("torch."):
            name += f" ({'.'.join(type(thing).__module__.split('.')[:2])})"
        if torch is not None and isinstance(thing, torch.nn.Module):
            if is_library(thing):
                mode = " in training mode" if getattr(thing, "training", True) else " in evaluation mode"
                return ["object", [], [cut(repr(thing), 140) + mode]]
            parts = {"training": getattr(thing, "training", True), **members(thing)}
        elif type(thing) is dict:
            parts = thing
        elif not callable(getattr(thing, "__get__", None)) and not isinstance(thing, type):
            parts = members(thing)
        texts = [f"{name}: {text}" for name, item in list(parts.items())[:8] if (text := part(item))]
        return ["object", [], [cut(name + " with " + ", ".join(texts), 160) if texts else name[:80]]]

    def sums(thing, depth=0):
        if type(thing) in (list, tuple) and len(thing) <= 200 and depth < 2:
            parts = [sums(item, depth + 1) for item in thing]
            return None if None in parts else [number for part in parts for number in part]
        if type(thing) in (bool, int, float):
            return [float(thing)]
        try:
            thing = thing.detach().numpy() if torch is not None and isinstance(thing, torch.Tensor) else thing
            if numpy is None or not isinstance(thing, numpy.ndarray) or thing.size > 10**6:
                return None
            flat = numpy.asarray(thing, dtype=float).reshape(-1)
            found = [flat.sum(), abs(flat).sum(), flat @ numpy.arange(1, flat.size + 1)]
            return list(map(float, found)) if numpy.isfinite(found).all() else None
        except Exception:
            return None

    def digest(thing, depth=0):
        if type(thing) in (list, tuple) and len(thing) <= 200 and depth < 2:
            return ",".join(digest(item, depth + 1) for item in thing)
        try:
            asks = str(getattr(thing, "requires_grad", ""))
            thing = thing.detach().numpy() if torch is not None and isinstance(thing, torch.Tensor) else thing
            if numpy is not None and isinstance(thing, numpy.ndarray):
                return f"{thing.dtype}{asks}{zlib.crc32(numpy.ascontiguousarray(thing).tobytes())}"
        except Exception:
            return ""
        return repr(thing)[:60] if type(thing) in (bool, int, float, str) else type(thing).__name__[:60]

    is_fixed, reached, digests, kept = _viva_reach(names, members, torch, numpy)
    is_changed = kept()

    def dice():
        found = [random.getstate()]
        if torch is not None:
            found.append(torch.get_rng_state().numpy().tobytes())
        if numpy is not None:
            found.append([part.tobytes() if hasattr(part, "tobytes") else part for part in numpy.random.get_state()])
        return found

    def state(frame, look=seen):
        found = {name: look(thing) for name, thing in list(frame.f_locals.items())[:40]}
        for name, thing in list(members(frame.f_locals.get("self")).items())[:24]:
            found["self." + str(name)] = look(thing)
        return found

    def place(frame):
        while frame is not None and not frame.f_code.co_filename.startswith("<check "):
            frame = frame.f_back
        return frame.f_lineno if frame is not None else 0

    def call_of(record):
        return record["check"], record["file"], record["first"], record["number"]

    def spend():
        work[0] += 1
        if work[0] > most_work:
            raise Enough

    def is_old(code):
        return code.co_filename in fresh and code not in fresh[code.co_filename]

    def codes_in(code):
        inner = [one for one in code.co_consts if hasattr(one, "co_consts")]
        return {code}.union(*map(codes_in, inner))

    def lines(frame, event, _):
        if event == "line":
            spend()
        return lines

    def tracer(frame, event, _):
        spend()
        code = frame.f_code
        if is_old(code):  # an edit has not reached it: what was made before keeps it
            raise Enough
        if code.co_filename not in cells:
            return None
        if code.co_name.startswith("<") or code.co_flags & 0x2A0:
            return lines
        key = (current[0], code.co_filename, code.co_firstlineno)
        counts[key] = counts.get(key, 0) + 1
        for other, _ in active:
            other["within"] = other["within"] or call_of(other)[:3] == key
        if counts[key] > most_calls:
            return lines
        last = {name: repr(thing) for name, thing in state(frame).items()}  # by repr, because 1 == True
        raising, thrown, at, given, things = False, dice(), 0, state(frame, described), reached(frame)
        start = digests(things or {}) if counts[key] == 1 else {}
        fixed = things is not None and all(map(is_fixed, things.values()))
        record = {"check": current[0], "place": place(frame), "file": key[1], "first": key[2], "number": counts[key]}
        record |= {"given": given, "events": [], "returned": None, "how": "left", "sums": None, "digest": ""}
        record |= {"draws": False, "undrawn": 0, "within": False, "before": start, "fixed": fixed}
        calls.append(record)
        active.append((record, thrown))

        def local(frame, event, value):
            nonlocal last, raising, at
            if event == "exception":
                raising = value[0] is not StopIteration or frame.f_code.co_code[frame.f_lasti] != loop_end
                if value[0] is Enough:
                    record["how"] = "cut"
                return local
            if event == "line":
                spend()
                if frame.f_lineno == at:  # since Python 3.12, comprehensions come back to their line
                    return local
                at = frame.f_lineno
                if raising:
                    raising, record["how"] = False, "caught"
            if len(record["events"]) < most_events:
                now = state(frame)
                texts = {name: repr(thing) for name, thing in now.items()}
                changed = {name: now[name] for name, text in texts.items() if last.get(name) != text}
                gone = [name for name in last if name not in now]
                last = texts
                if record["undrawn"] == len(record["events"]) < most_dice and dice() == thrown:
                    record["undrawn"] += 1
                record["events"].append([frame.f_lineno if event == "line" else 0, changed, gone])
            elif record is active[0][0]:  # the check will not come to other calls soon
                raise Enough
            if event == "return" and record["how"] == "left":
                record["how"] = "raised" if raising else "whole"
                record.update(returned=seen(value), sums=sums(value), digest=digest(value))
            if event == "return":
                record["draws"] = dice() != thrown
                active[:] = [other for other in active if other[0] is not record]
                this = call_of(record)
                if this in missing:
                    missing.remove(this)
                    if not any(one[0] == this[0] for one in missing):
                        raise Enough
            return local

        return local

    def counter(frame, event, _):
        spend()
        if is_old(frame.f_code):
            raise Enough
        return lines if frame.f_code.co_filename.startswith(("<check ", "<cell ")) else None

    for filename, source in edited:
        code = compile(source, filename, "exec", dont_inherit=True)
        fresh[filename] = codes_in(code)
        exec(code, names)
    current, ends = [""], []
    for name, source in checks:
        current[0], work[0] = name, 0
        active.clear()
        code = compile(source, "<check " + name + ">", "exec", dont_inherit=True)
        end = ["passed", 0, ""]
        sys.settrace(tracer if cells else counter)
        try:
            exec(code, names)
        except Enough:
            end = ["enough", 0, ""]
        except BaseException as error:
            trace, line = error.__traceback__, 0
            while trace is not None:
                if trace.tb_frame.f_code.co_filename == code.co_filename:
                    line = trace.tb_lineno
                trace = trace.tb_next
            end = ["failed", line, type(error).__name__[:60]]
        finally:
            sys.settrace(None)
            for record, thrown in active:  # left before they ended
                record["draws"] = dice() != thrown
        ends.append([name, *end, work[0]])
        if edited and end[0] != "passed":
            break
    return [ends, calls, is_changed()]
"""
)
