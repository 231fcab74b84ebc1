"""What the student's process is asked to run: the visible checks, with a record of what the student's functions do.

`SOURCE` defines one function there. It runs checks one after another, in the notebook's names, and writes down for the
first calls of each function of the student's cells which lines are run, and what the local names hold. It also runs
edited copies of cells first. What it returns is plain data, which nobody here trusts.
"""

SOURCE = """
def _viva(names, edited, checks, cells, most_calls, most_events, most_work):
    import sys
    torch, numpy = sys.modules.get("torch"), sys.modules.get("numpy")
    calls, counts, work = [], {}, [0]

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
            return ["tensor" if is_tensor else "array", list(map(int, thing.shape)), flat]
        if type(thing) in (list, tuple) and len(thing) <= 8 and depth < 2:
            return [type(thing).__name__, [len(thing)], [seen(item, depth + 1) for item in thing]]
        return ["object", [], [type(thing).__name__[:60]]]

    def state(frame):
        found = {}
        for name, thing in list(frame.f_locals.items())[:40]:
            found[name] = seen(thing)
        owner = frame.f_locals.get("self")
        for name, thing in list(getattr(owner, "__dict__", {}).items())[:24]:
            found["self." + str(name)] = seen(thing)
        return found

    def place(frame):
        while frame is not None and not frame.f_code.co_filename.startswith("<check "):
            frame = frame.f_back
        return frame.f_lineno if frame is not None else 0

    def tracer(frame, event, _):
        work[0] += 1
        if work[0] > most_work:
            raise Enough
        code = frame.f_code
        if event != "call" or code.co_filename not in cells or code.co_name.startswith("<") or code.co_flags & 0x2A0:
            return None
        key = (current[0], code.co_filename, code.co_firstlineno)
        counts[key] = counts.get(key, 0) + 1
        if counts[key] > most_calls:
            return None
        last = state(frame)
        record = [current[0], place(frame), code.co_filename, code.co_firstlineno, counts[key], last, [], None, "left"]
        calls.append(record)

        def local(frame, event, value):
            nonlocal last
            if event == "exception":
                if value[0] is not StopIteration:
                    record[8] = "raised"
                return local
            if len(record[6]) >= most_events:
                return None
            now = state(frame)
            changed = {name: thing for name, thing in now.items() if last.get(name) != thing}
            gone = [name for name in last if name not in now]
            last = now
            record[6].append([frame.f_lineno if event == "line" else 0, changed, gone])
            if event == "return" and record[8] == "left":
                record[7], record[8] = seen(value), "whole"
            return local

        return local

    def counter(frame, event, _):
        work[0] += 1
        if work[0] > most_work:
            raise Enough

    for filename, source in edited:
        exec(compile(source, filename, "exec", dont_inherit=True), names)
    current, ends = [""], []
    for name, source in checks:
        current[0], work[0] = name, 0
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
        ends.append([name, *end, work[0]])
        if edited and end[0] != "passed":
            break
    return [ends, calls]
"""
