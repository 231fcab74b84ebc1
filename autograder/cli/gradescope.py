"""What Gradescope runs for each submission, with the archive of `autograder export --to gradescope-autograder`.

It is no command of `autograder`: python -m autograder.cli.gradescope HOMEWORK ROOT.
"""

from __future__ import annotations

import sys
import traceback
from pathlib import Path

from autograder import atomic_file
from autograder.course.course import CourseError, open_course
from autograder.exporting.gradescope_autograder import COURSE
from autograder.exporting.gradescope_results import results_json, submitters
from autograder.grading.server import GradingServer, Lost
from autograder.results.plain_text import points_text
from autograder.results.result import Result


def run(name: str, root: Path) -> None:
    """Grade what is in <root>/submission and write <root>/results/results.json.

    Raises CourseError or Lost after an infrastructure failure. Then there is no results.json.
    """
    target, submission = root / "results" / "results.json", root / "submission"
    target.unlink(missing_ok=True)
    if not submission.is_dir():
        raise CourseError(f"{submission}: this folder is missing, so nothing can be graded")
    course = open_course(root / "source" / COURSE)
    homework = course.homework(name)
    who = submitters(root / "submission_metadata.json")
    with GradingServer(homework, course.floor, submissions=1) as server:
        result = _graded(server, who, submission)
    target.parent.mkdir(exist_ok=True)
    atomic_file.replace(target, results_json(result, homework))
    earned = points_text(sum(book.score for book in result.notebooks))
    print(f"{name} of {who}: {earned} of {points_text(result.max_score)} points, confinement tier {result.tier}")
    for finding in result.findings:
        print(finding)


def _graded(server: GradingServer, who: str, submission: Path) -> Result:
    """After an infrastructure failure, retry once. Raises Lost."""
    try:
        return server.grade(who, submission)
    except Lost:
        return server.grade(who, submission)


def main(name: str, root: Path) -> int:
    """The exit code: 1, with the reason for the instructor, if the submission was not graded."""
    try:
        run(name, root)
    except Exception as error:
        if isinstance(error, CourseError | Lost):
            print(error)
        else:
            traceback.print_exc(file=sys.stdout)
        print("The submission was not graded, and has no score. When this is mended, use Regrade All Submissions.")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2])))
