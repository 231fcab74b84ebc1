"""Runs notebooks in forks of one warm process, and tells what their cells complained about.

The Python of a student runs this, so it imports nothing of ours and nothing that a student lacks. A fork runs a
notebook as a kernel does, from top to bottom in an IPython shell, up to the first error. But torch is loaded once for
all of them.

Each line on stdin is the path of a notebook; the answer is a line of JSON on stdout.
"""

import gc
import importlib
import json
import os
import sys
import tempfile
import traceback
from pathlib import Path

from IPython.core.interactiveshell import InteractiveShell
from matplotlib_inline.backend_inline import configure_inline_support

LIBRARIES = ("matplotlib.pyplot", "numpy", "torch", "torch._dynamo", "torchvision", "sklearn.datasets")


def main():
    for library in LIBRARIES:
        importlib.import_module(library)
    shell = InteractiveShell.instance()
    configure_inline_support(shell, "module://matplotlib_inline.backend_inline")
    gc.collect()
    gc.freeze()
    for line in sys.stdin:
        print(in_a_fork(shell, line.strip()), flush=True)


def in_a_fork(shell, notebook):
    """What `run` says of the notebook, as JSON."""
    reader, writer = os.pipe()
    if os.fork() == 0:
        try:
            told = run(shell, notebook)
        except BaseException:
            told = {"complaints": [["", traceback.format_exc()]], "ran": []}
        with os.fdopen(writer, "w") as out:
            json.dump(told, out)
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as told:
        answer = told.read()
    os.wait()
    return answer or json.dumps({"complaints": [["", "the notebook ended its process"]], "ran": []})


def run(shell, notebook):
    """Runs the cells. Gives the ids of those that ran, and each complaint: a cell's id, its error or text on stderr."""
    cells = json.loads(Path(notebook).read_text(encoding="utf-8"))["cells"]
    os.chdir(Path(notebook).parent)
    complaints, ran = [], []
    for cell in cells:
        if cell["cell_type"] != "code" or not cell["source"]:
            continue
        with tempfile.TemporaryFile() as shown, tempfile.TemporaryFile() as complained:
            os.dup2(shown.fileno(), 1)
            os.dup2(complained.fileno(), 2)  # a kernel shows what C code writes to stderr, too
            result = shell.run_cell("".join(cell["source"]), store_history=True)
            sys.stdout.flush()
            sys.stderr.flush()
            complained.seek(0)
            text = complained.read().decode()
        ran.append(cell["id"])
        if text:
            complaints.append([cell["id"], text])
        error = result.error_before_exec or result.error_in_exec
        if error is not None:
            complaints.append([cell["id"], type(error).__name__])
            break
    return {"complaints": complaints, "ran": ran}


if __name__ == "__main__":
    main()
