"""One class graded three ways in one run: by this autograder, by plain nbgrader and by otter. Prints what each costs.

    python benchmarks/class_of_forty.py [--count 40] [--only ours,nbgrader,otter]

Every way grades the same files on the same hidden tests and draws, so the scores have to agree; the exit code is 1
when they do not. Figures of one run compare with each other, and not with those of another machine or hour.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from autograder.confine import cgroup
from autograder.course.course import Course, Homework, find_course, open_course
from autograder.examination.secret import course_secret
from autograder.examination.suite import Suite
from autograder.proving.demo import copy_course
from autograder.proving.example_class import ExampleSubmission, SubmissionWriter, write
from autograder.results.gradebook import Recorder
from autograder.sandbox.lines import InProcessLine

HERE = Path(__file__).resolve().parent
HOMEWORK, NOTEBOOK = "hw1", "mlp"
WAYS = ("ours", "nbgrader", "otter")
WORKERS = 2
FEWEST = 8 * WORKERS  # submissions, for the share of each to mean something
TARGET_SECONDS, TARGET_THROUGHPUT = 0.25, 30
Scores = dict[str, float]

_CASE = """\
>>> import otter_case
>>> otter_case.passed(globals(), {cell!r}, {test!r})
True"""

# As a grader's shell would have it. nbgrader calls `alembic` by name.
ENVIRONMENT = {
    **os.environ,
    "PATH": os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath))),
}


@dataclass(frozen=True)
class Cost:
    """What one way of grading took, its children and theirs included."""

    seconds: float
    cpu: float
    peak_mb: float | None
    """None where no control group could be made to measure it"""


@dataclass(frozen=True)
class Graded:
    """One way of grading: its cost and its scores."""

    name: str
    cost: Cost
    scores: Scores


@dataclass(frozen=True)
class Line:
    """A line of JSON that a command printed, and the CPU seconds that had been spent when it came."""

    cpu: float
    content: dict[str, float | str]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=40, help="submissions (default: %(default)s)")
    parser.add_argument("--only", default="ours,nbgrader,otter", help="ways to grade (default: %(default)s)")
    options = parser.parse_args()
    chosen = options.only.split(",")
    if unknown := set(chosen) - set(WAYS):
        parser.error(f"--only: {', '.join(sorted(unknown))}: the ways are ours, nbgrader and otter")
    ways = [way for way in WAYS if way in chosen]  # ratios are to the first

    if "otter" in ways and not shutil.which("otter", path=ENVIRONMENT["PATH"]):
        print("otter is not installed here, so it is left out (`pip install otter-grader` adds it)")
        ways.remove("otter")
    if not ways:
        return 0

    console, graded = Console(width=None if Console().is_terminal else 110), []
    with tempfile.TemporaryDirectory(prefix="class-of-forty-") as folder:
        root = Path(folder).resolve()
        course = make_course(root / "class")
        pupils = make_class(course.homework(HOMEWORK), options.count)
        course_secret(course)  # copied too, so that all draw the same numbers
        console.print(f"{len(pupils)} submissions of {HOMEWORK}/{NOTEBOOK}")
        for way in ways:
            # once with one submission, unmeasured: then what a way reads from the disk is in memory
            grade(way, copy(course, root / f"{way}-first", pupils[:1]), pupils[:1])
            own = copy(course, root / way, pupils)
            found, split = grade(way, own, pupils)
            graded.append(found)
            if split is not None:
                show_split(console, *split, own_code(own))
            elif way == "ours":
                console.print(f"fewer than {FEWEST} submissions do not tell warming up and grading apart")
    show_table(console, graded, len(pupils))
    return show_differences(console, graded)


def copy(course: Course, root: Path, pupils: Sequence[ExampleSubmission]) -> Course:
    """The course once more, at `root`, with the submissions of `pupils`.

    A folder for each way: nbgrader leaves out what it finds graded already, and its gradebook would hold our scores.
    """
    shutil.copytree(course.root, root)
    for pupil in pupils:
        write(pupil, root / "submitted" / pupil.name / HOMEWORK)
    return open_course(root)


def grade(way: str, course: Course, pupils: Sequence[ExampleSubmission]) -> tuple[Graded, tuple[float, float] | None]:
    """Grade by this way. For ours, where there are enough submissions, also what a run and what each of them costs."""
    match way:
        case "ours":
            return grade_ours(course)
        case "nbgrader":
            return grade_nbgrader(course), None
        case _:
            return grade_otter(course, pupils), None


def make_course(root: Path) -> Course:
    """The course at `root`, a copy whose homework has no notebook but the one that is handed in."""
    copy_course(find_course(HERE), root)
    settings = root / HOMEWORK / "homework.toml"
    first, *notebooks = settings.read_text(encoding="utf-8").split("[[notebooks]]\n")
    kept = [text for text in notebooks if text.startswith(f'name = "{NOTEBOOK}"\n')]
    settings.write_text("[[notebooks]]\n".join([first, *kept]), encoding="utf-8")
    for notebook in (root / "source" / HOMEWORK).glob("*.ipynb"):
        if notebook.stem != NOTEBOOK:
            notebook.unlink()
    (root / "nbgrader_config.py").unlink(missing_ok=True)  # nbgrader is measured with its stock settings
    return open_course(root)


def make_class(homework: Homework, count: int) -> list[ExampleSubmission]:
    """A class as they are: of eight, two have solved it all, five made a mistake of the bank, one is half done."""
    desk = SubmissionWriter(homework, NOTEBOOK)
    mistakes = list(desk.mistakes)
    solutions = [cell.id for cell in desk.master.cells if cell.solution and cell.kind == "code"]
    pupils = []
    for number in range(count):
        if number % 8 in (0, 4):
            kind, book = "solved", desk.solved()
        elif number % 8 == 7:
            kind, book = "half-done", desk.solved(without=tuple(solutions[1 + number // 8 % (len(solutions) - 1) :]))
        else:
            mistake = mistakes[number * len(mistakes) // count]
            kind, book = mistake, desk.solved(mistake)
        data = json.dumps(book, ensure_ascii=False, indent=1).encode()
        pupils.append(ExampleSubmission(f"{number:02}-{kind}", {f"{NOTEBOOK}.ipynb": data}))
    return pupils


# ---- the three ways ----------------------------------------------------------------------------------------------


def grade_ours(course: Course) -> tuple[Graded, tuple[float, float] | None]:
    """By `autograder grade`; also the CPU seconds that a run costs once, and those of each submission.

    They are told apart by what was spent between the first result and the last that came with all workers busy: as
    much is in the making at one end as at the other. None when there are too few to tell.
    """
    with Recorder(course, course.homework(HOMEWORK)):
        pass  # the gradebook knows the homework, as it does when nbgrader's turn comes
    command = ["autograder", "grade", HOMEWORK, "--workers", str(WORKERS), "--json"]
    cost, lines = run(command, course.root)
    if lost := [line.content for line in lines if "score" not in line.content]:
        raise SystemExit(f"autograder grade lost {lost}")
    scores = {str(line.content["student"]): float(line.content["score"]) for line in lines}
    if len(lines) < FEWEST:
        return Graded("autograder grade", cost, scores), None
    each = (lines[-WORKERS].cpu - lines[0].cpu) / (len(lines) - WORKERS)
    return Graded("autograder grade", cost, scores), (cost.cpu - each * len(lines), each)


def own_code(course: Course) -> float:
    """CPU seconds of the students' own code, a submission."""
    environment = {"OMP_NUM_THREADS": "1", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    _, lines = run([sys.executable, str(HERE / "own_code.py"), str(course.root), HOMEWORK, NOTEBOOK], HERE, environment)
    return sum(float(line.content["seconds"]) for line in lines) / len(lines)


def grade_nbgrader(course: Course) -> Graded:
    """By nbgrader with stock settings, whose hidden regions run the hidden tests in the notebook's own kernel."""
    run(["nbgrader", "generate_assignment", HOMEWORK, "--force"], course.root)
    cost, _ = run(["nbgrader", "autograde", HOMEWORK], course.root)
    for folder in (course.root / "submitted").iterdir():
        graded = course.root / "autograded" / folder.name / HOMEWORK / f"{NOTEBOOK}.ipynb"
        if not graded.is_file() or not _executed(graded):
            raise SystemExit(f"nbgrader autograde did not run {folder.name}'s notebook, so its figures mean nothing")
    from nbgrader.api import Gradebook

    with Gradebook(f"sqlite:///{course.root / 'gradebook.db'}") as book:
        scores = {submission.student.id: submission.score for submission in book.assignment_submissions(HOMEWORK)}
    return Graded("nbgrader autograde", cost, scores)


def _executed(notebook: Path) -> bool:
    """Whether a kernel ran this notebook: it numbers the cells that it runs, the sandbox does not."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    return any(cell.get("execution_count") for cell in cells)


def grade_otter(course: Course, pupils: Sequence[ExampleSubmission]) -> Graded:
    """By otter, with a test file a grade cell and in it a case a hidden test, which the notebook's own kernel runs."""
    folder = course.root / "otter"
    (folder / "tests").mkdir(parents=True)
    suite = Suite(course, course.homework(HOMEWORK), NOTEBOOK)
    tests = suite.run(lambda _: InProcessLine(dict(vars(suite.reference)), suite.spec))
    for cell in suite.master.grade_cells():
        mine = [test for test in tests if test.cell == cell.grade_id]
        share = cell.points / (sum(test.weight for test in mine) or 1)
        cases = [
            {"code": _CASE.format(cell=cell.grade_id, test=test.name), "points": share * test.weight, "hidden": True}
            for test in mine
        ]
        content = {"name": cell.grade_id, "suites": [{"cases": cases, "scored": True, "type": "doctest"}]}
        file = folder / "tests" / f"{cell.grade_id.replace('-', '_')}.py"
        file.write_text(f"OK_FORMAT = True\n\ntest = {content!r}\n")
    run(["otter", "generate", "-t", "tests", "-o", "autograder.zip", "--no-environment"], folder)
    environment = {"PYTHONPATH": str(HERE), "COURSE": str(course.root), "NOTEBOOK": f"{HOMEWORK}/{NOTEBOOK}"}
    costs, scores = [], {}
    for pupil in pupils:
        submitted = course.root / "submitted" / pupil.name / HOMEWORK / f"{NOTEBOOK}.ipynb"
        out = folder / pupil.name
        out.mkdir()
        command = ["otter", "run", "-a", "autograder.zip", "-o", str(out), "--no-logo", str(submitted)]
        cost, _ = run(command, folder, environment)
        costs.append(cost)
        found = json.loads((out / "results.json").read_text())
        scores[pupil.name] = sum(test["score"] for test in found["tests"] if test.get("score"))
    peaks = [cost.peak_mb for cost in costs if cost.peak_mb is not None]
    total = Cost(sum(c.seconds for c in costs), sum(c.cpu for c in costs), max(peaks, default=None))
    return Graded("otter run", total, scores)


# ---- measuring ---------------------------------------------------------------------------------------------------


def run(command: Sequence[str], cwd: Path, more: Mapping[str, str] | None = None) -> tuple[Cost, list[Line]]:
    """Run a command; what it cost and the lines of JSON it printed. SystemExit with its error when it fails.

    A control group of its own counts all of it: the sandbox's processes are reaped by the kernel, and so missing from
    what `wait4` says. Where no group can be made, wait4 has to do, and our own results add what the sandbox used.
    """
    group = _group()
    began = time.monotonic()
    with tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(
            command,
            cwd=cwd,
            env={**ENVIRONMENT, **(more or {})},
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            preexec_fn=(lambda: _join(group)) if group is not None else None,
        )
        used: Callable[[], float] = (lambda: group.cpu_seconds() or 0.0) if group is not None else lambda: 0.0
        assert process.stdout is not None
        printed = [(used(), line) for line in process.stdout]
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.monotonic() - began
        errors.seek(0)
        if process.returncode:
            raise SystemExit(f"{' '.join(command)} failed:\n{errors.read()}")
    lines = [Line(cpu, json.loads(line)) for cpu, line in printed if line.startswith("{")]
    if group is None:
        cpu = usage.ru_utime + usage.ru_stime
        lines = [
            Line(sum(float(one.content.get("cpu_seconds", 0)) for one in lines[: n + 1]), line.content)
            for n, line in enumerate(lines)
        ]
        return Cost(seconds, cpu + (lines[-1].cpu if lines else 0.0), None), lines
    cost = Cost(seconds, group.cpu_seconds() or 0.0, group.peak_memory_mb())
    _remove(group)
    return cost, lines


def _group() -> cgroup.Group | None:
    with suppress(cgroup.CgroupError, OSError):
        parents = cgroup.find_parents()
        if parents.cpu:
            return cgroup.create(parents, memory_mb=2**20, processes=2**15)
    return None


def _join(group: cgroup.Group) -> None:
    """Into a group below `group`: in version 2, one that holds processes cannot have the sandbox's groups below it."""
    for folder in group.folders:
        leaf = folder / "command"
        leaf.mkdir()
        (leaf / "cgroup.procs").write_text("0")


def _remove(group: cgroup.Group) -> None:
    for folder in group.folders:
        for inner in sorted(folder.glob("**/"), reverse=True):
            with suppress(OSError):  # a process that is only just dying; an empty group does no harm
                inner.rmdir()


# ---- telling -----------------------------------------------------------------------------------------------------


def show_split(console: Console, once: float, each: float, own: float) -> None:
    verdict = "reached" if each - own <= TARGET_SECONDS else "not reached"
    console.print(
        f"autograder grade: {once:.1f} CPU seconds once, to warm up; then {each:.3f} a submission: {own:.3f} of the "
        f"student's own code and {each - own:.3f} of grading (target: {TARGET_SECONDS}, {verdict})"
    )


def show_table(console: Console, graded: Sequence[Graded], count: int) -> None:
    table = Table()
    table.add_column("")
    for heading in ("seconds", "submissions a minute", "CPU seconds a submission", "peak memory", "throughput"):
        table.add_column(heading, justify="right")
    for way in graded:
        cost, ratio = way.cost, way.cost.seconds / graded[0].cost.seconds
        memory = f"{cost.peak_mb:.0f} MB" if cost.peak_mb is not None else "–"
        times = "1" if way is graded[0] else f"1/{ratio:.1f}"
        figures = (f"{cost.seconds:.1f}", f"{60 * count / cost.seconds:.1f}", f"{cost.cpu / count:.2f}", memory, times)
        table.add_row(way.name, *figures)
    console.print(table)
    by_name = {way.name: way.cost.seconds for way in graded}
    if len(graded) > 1:
        console.print(
            "The seconds include warming up. nbgrader and otter also run the cells for show, on as many threads as "
            "torch likes, and load the hidden tests anew for each notebook: part of the ratio is that, not the sandbox."
        )
    if {"autograder grade", "nbgrader autograde"} <= set(by_name):
        ratio = by_name["nbgrader autograde"] / by_name["autograder grade"]
        verdict = "reached" if ratio >= TARGET_THROUGHPUT else "not reached"
        target = f"{TARGET_THROUGHPUT}, {verdict}" if count >= 40 else f"{TARGET_THROUGHPUT} with 40 submissions"
        console.print(f"{ratio:.1f} × nbgrader's throughput (target: {target})")


def show_differences(console: Console, graded: Sequence[Graded]) -> int:
    """Print every score that differs between two ways; the exit code."""
    first, *others = graded
    different = 0
    for other in others:
        for student in sorted({*first.scores, *other.scores}):
            here, there = first.scores.get(student), other.scores.get(student)
            if here is None or there is None or abs(here - there) > 1e-3:
                console.print(f"{student}: {first.name} says {here}, {other.name} says {there}")
                different += 1
    if others and not different:
        console.print(f"all {len(first.scores)} scores agree")
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
