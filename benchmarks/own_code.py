"""What students' own code costs by itself: CPU seconds of running a notebook's cells and of answering its hidden tests.

    python benchmarks/own_code.py COURSE HOMEWORK NOTEBOOK

All in one warm process, with no sandbox and no fork, so that nothing of grading is in the figure. Prints a line of JSON
for each submission.
"""

from __future__ import annotations

import gc
import json
import sys
import time
from pathlib import Path

from autograder.constants import SEED
from autograder.course.course import open_course
from autograder.course.release import released
from autograder.examination.suite import Suite
from autograder.sandbox.inside import zygote
from autograder.sandbox.inside.object_server import ObjectServer
from autograder.sandbox.inside.shell import Shell
from autograder.sandbox.lines import InProcessLine
from autograder.sandbox.seeding import seed
from autograder.submission import choose, repaired


class Timed(ObjectServer):
    """An object server that adds up the time its answers take."""

    seconds = 0.0

    def answer(self, question):
        began = time.process_time()
        try:
            return super().answer(question)
        finally:
            Timed.seconds += time.process_time() - began


class Line(InProcessLine):
    """A line within this process to a timed object server."""

    def __init__(self, names, spec):
        super().__init__(names, spec)
        self._server = Timed(names, spec.forbidden)


def main(root: Path, homework: str, notebook: str) -> None:
    course = open_course(root)
    rooms = course.homework(homework)
    zygote.warm()
    suite, blank = Suite(course, rooms, notebook), released(rooms, notebook)
    suite.run(lambda _: InProcessLine(dict(vars(suite.reference)), suite.spec))
    shell = Shell.instance()
    for folder in sorted((root / "submitted").iterdir()):
        chosen = choose(folder, {notebook: blank}).notebooks[notebook]
        cells = repaired(chosen.raw, chosen.entry.name, blank).cells
        shell.reset(new_session=False)
        seed(SEED)
        gc.collect()
        gc.freeze()
        Timed.seconds, began = 0.0, time.process_time()
        for cell in cells:
            if not cell.skip:
                shell.run(cell.id, cell.source, lambda kind, text, png: None)
        cells_seconds = time.process_time() - began
        suite.run(lambda _: Line(dict(shell.user_ns), suite.spec))
        print(json.dumps({"student": folder.name, "seconds": cells_seconds + Timed.seconds}), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
