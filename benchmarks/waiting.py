"""How long somebody waits for `autograder watch`: from a file that arrives until its page is there.

    python benchmarks/waiting.py --count 50      some alone, then so many at once; on all cores

Each submission gets its name in one step, as a course that copies files in should do. The exit code is 1 where somebody
was not graded. Seconds of an idle machine.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from class_of_forty import ENVIRONMENT, HOMEWORK, make_class, make_course

from autograder.course.course import Course
from autograder.examination.secret import course_secret
from autograder.proving.example_class import ExampleSubmission, write

ALONE = 8
TARGET_ALONE, TARGET_AT_ONCE = 0.5, 10.0
PATIENCE = 300.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=50, help="submissions that arrive at once (default: %(default)s)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="waiting-") as folder:
        course = make_course(Path(folder).resolve() / "class")
        course_secret(course)
        pupils = make_class(course.homework(HOMEWORK), 1 + ALONE + options.count)
        (course.root / "submitted").mkdir(exist_ok=True)
        process = subprocess.Popen(
            ["autograder", "watch", HOMEWORK], cwd=course.root, env=ENVIRONMENT, stdout=subprocess.DEVNULL
        )
        try:
            first, *alone = (until_pages(course, [pupil]) for pupil in pupils[: 1 + ALONE])
            at_once = until_pages(course, pupils[1 + ALONE :])
        finally:
            process.terminate()
            process.wait()
    median = statistics.median(one for each in alone for one in each)
    print(f"the first one, with the start of the grading server: {first[0]:.1f} s")
    print(f"one alone: {median:.2f} s, median of {ALONE} (target {TARGET_ALONE})")
    if len(at_once) > 1:
        late = statistics.quantiles(at_once, n=20)[-1]
        print(
            f"{options.count} at once: median {statistics.median(at_once):.1f} s, 95th percentile {late:.1f} s (target "
            f"{TARGET_AT_ONCE:g}), last {max(at_once):.1f} s"
        )
    return 0


def until_pages(course: Course, pupils: Sequence[ExampleSubmission]) -> list[float]:
    """Seconds from the arrival of these submissions until each one's page is there. SystemExit if one never comes."""
    folders = [course.root / "arriving" / pupil.name for pupil in pupils]
    for folder, pupil in zip(folders, pupils, strict=True):
        write(pupil, folder / HOMEWORK)
    began, found = time.monotonic(), dict[str, float]()
    for folder in folders:
        folder.rename(course.root / "submitted" / folder.name)
    while len(found) < len(pupils):
        now = time.monotonic() - began
        if now > PATIENCE:
            raise SystemExit(f"{len(pupils) - len(found)} of {len(pupils)} have no page after {PATIENCE:.0f} s")
        for pupil in pupils:
            if pupil.name not in found and (course.root / "results" / pupil.name / f"{HOMEWORK}.html").exists():
                found[pupil.name] = now
        time.sleep(0.01)
    return list(found.values())


if __name__ == "__main__":
    sys.exit(main())
