"""Grading on a cluster: the same results as on this machine, whatever happens to workers, and TLS or nothing."""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.testing import CliRunner

from autograder.cli import app
from autograder.course import build
from autograder.course.bundle import Bundle
from autograder.course.course import Course, CourseError, open_course
from autograder.grading import class_run
from autograder.grading.class_run import Outcome
from autograder.grading.cluster import dispatch, link
from autograder.grading.cluster.address import Certificates
from autograder.grading.cluster.driver import ClusterRun
from autograder.grading.cluster.link import Link
from autograder.grading.origin import software
from autograder.grading.submissions import survey
from autograder.results.gradebook import opened
from tests.conftest import write_files
from tests.test_recording import FILES

pytestmark = [
    pytest.mark.slow(seconds=50),
    pytest.mark.filterwarnings("ignore:Object of type <Submitted:sqlalchemy.exc.SAWarning"),
]
ANSWERS = {"ada": "x * x", "ben": "x", "cleo": "x * x", "dan": "abs(x) ** 2", "eve": "x / 0"}
ANSWERS |= {f"student-{number}": "x * x" for number in range(7)}
SCORES = {student: 0 if student in ("ben", "eve") else 3 for student in ANSWERS}
PATIENCE = 60.0
"""seconds after which a test gives up; none takes as long"""


class Cluster:
    """A scheduler and workers on this machine that speak TLS."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.certificates = authority(folder, "own")
        self.address = f"tls://127.0.0.1:{free_port()}"
        place = self.address.rpartition("/")[2].split(":")
        self.scheduler = self._start("scheduler", "--host", place[0], "--port", place[1], "--protocol", "tls")
        self.workers = [self.worker(), self.worker()]

    def worker(self) -> subprocess.Popen[bytes]:
        options = ("--nthreads", "1", "--no-nanny", "--local-directory", str(self.folder))
        return self._start("worker", self.address, "--host", "127.0.0.1", *options)

    def _start(self, what: str, *arguments: str) -> subprocess.Popen[bytes]:
        files = zip(("--tls-ca-file", "--tls-cert", "--tls-key"), self.certificates, strict=True)
        options = [str(part) for pair in files for part in pair]
        command = [sys.executable, "-m", f"distributed.cli.dask_{what}", "--no-dashboard", *options, *arguments]
        with (self.folder / f"{what}.log").open("ab") as log:
            return subprocess.Popen(command, stdout=log, stderr=log)

    def replace_workers(self) -> None:
        """Kill all: whichever has been graded with is one of them."""
        for worker in self.workers:
            worker.kill()
        for worker in self.workers:
            worker.wait()
        self.workers = [self.worker(), self.worker()]

    def close(self) -> None:
        for process in (*self.workers, self.scheduler):
            process.kill()
            process.wait()

    @property
    def options(self) -> list[str]:
        ca, cert, key = map(str, self.certificates)
        return ["--scheduler", self.address, "--tls-ca", ca, "--tls-cert", cert, "--tls-key", key]


def authority(folder: Path, name: str) -> tuple[Path, Path, Path]:
    """A new authority's certificate, and a certificate that it has signed with its key."""
    ca, ca_key, cert, key, request = (
        folder / f"{name}-{part}.pem" for part in ("ca", "ca-key", "cert", "key", "request")
    )
    new = ["-newkey", "rsa:2048", "-nodes"]
    openssl("req", "-x509", *new, "-keyout", ca_key, "-out", ca, "-days", "2", "-subj", f"/CN={name}")
    openssl("req", *new, "-keyout", key, "-out", request, "-subj", "/CN=grading")
    openssl("x509", "-req", "-in", request, "-CA", ca, "-CAkey", ca_key, "-CAcreateserial", "-out", cert, "-days", "2")
    return ca, cert, key


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def openssl(*arguments: object) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    found = Cluster(tmp_path_factory.mktemp("cluster"))
    yield found
    found.close()


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A course in which five students have handed in a homework."""
    root = tmp_path_factory.mktemp("built")
    write_files(root, FILES)
    build.build(open_course(root))
    for student, answer in ANSWERS.items():
        hand_in(root, student, answer)
    return root


def hand_in(root: Path, student: str, answer: str) -> None:
    text = (root / "release/hw1/powers.ipynb").read_text(encoding="utf-8")
    write_files(
        root, {f"submitted/{student}/hw1/powers.ipynb": text.replace("raise NotImplementedError", f"return {answer}")}
    )


@pytest.fixture
def course(built: Path, tmp_path: Path) -> Course:
    return open_course(Path(shutil.copytree(built, tmp_path / "course")))


def grade(course: Course, *arguments: str) -> tuple[int, str]:
    said = CliRunner().invoke(app, ["grade", "hw1", "--course", str(course.root), *arguments])
    return said.exit_code, said.output


def run(
    course: Course,
    cluster: Cluster,
    told: list[str],
    staffed: Callable[[int, int], None] = lambda workers, slots: None,
    seen: Callable[[Outcome], None] = lambda outcome: None,
    more: Mapping[str, str] | None = None,
) -> Sequence[Outcome]:
    """Grade everybody; `more` is software that the workers should have."""
    homework = course.homework("hw1")

    def connect(bundle: Bundle) -> Link:
        expected = {**software(homework.packages), **(more or {})}
        certificates = Certificates(*cluster.certificates)
        return Link(cluster.address, certificates, course.id, bundle, expected, "none", told.append)

    elsewhere = ClusterRun(course, homework, connect, told.append, staffed)
    todo = survey(course.root / "submitted", "hw1").todo
    return class_run.run(course, homework, todo, course.root / "results", 1, seen=seen, elsewhere=elsewhere)


@dataclass
class Eventful:
    """A run during which all workers are killed, others join, and the course is edited."""

    course: Course
    outcomes: Sequence[Outcome]
    done: list[str]
    told: list[str]
    staff: list[int]


@pytest.fixture(scope="module")
def eventful(cluster: Cluster, built: Path, tmp_path_factory: pytest.TempPathFactory) -> Eventful:
    course = open_course(Path(shutil.copytree(built, tmp_path_factory.mktemp("eventful") / "course")))
    path = course.root / "hw1/hidden/test_powers.py"
    tests = path.read_text()
    done: list[str] = []
    told: list[str] = []
    staff: list[int] = []

    def seen(outcome: Outcome) -> None:
        done.append(outcome.submission.student)
        if len(done) == 2:
            cluster.replace_workers()
            path.write_text(tests.replace("== 4", "== 5"))

    outcomes = run(course, cluster, told, lambda workers, _: staff.append(workers), seen)
    path.write_text(tests)
    return Eventful(course, outcomes, done, told, staff)


def comparable(path: Path) -> object:
    """A result without its times."""
    times = {"graded_at", "cpu_seconds", "wall_seconds", "seconds", "peak_memory_mb", "transcript"}
    return _without(json.loads(path.read_text()), times)


def _without(value: object, names: set[str]) -> object:
    match value:
        case dict():
            return {name: _without(item, names) for name, item in value.items() if name not in names}
        case list():
            return [_without(item, names) for item in value]
    return value


def test_workers_that_are_killed_lose_nothing(eventful: Eventful) -> None:
    assert {one.submission.student: one.result.score for one in eventful.outcomes if one.result} == SCORES
    assert sorted(eventful.done) == sorted(SCORES)
    assert any("has gone" in line for line in eventful.told)


def test_the_run_keeps_the_course_that_it_began_with_and_says_so(eventful: Eventful) -> None:
    assert any("have changed during the run" in line for line in eventful.told)


def test_the_driver_writes_everything(eventful: Eventful) -> None:
    root = eventful.course.root
    for student in SCORES:
        one = root / "results" / student / "hw1.json"
        assert stat.S_IMODE(one.with_suffix(".transcript").stat().st_mode) == 0o600
        assert one.with_suffix(".html").is_file()
        assert (root / "autograded" / student / "hw1" / "powers.ipynb").is_file()
    with contextlib.closing(opened(eventful.course)) as book:
        assert {one.student.id: one.score for one in book.assignment_submissions("hw1")} == SCORES
    assert len((root / "results/hw1.csv").read_text().splitlines()) == 1 + len(SCORES)


def test_nothing_of_the_course_stays_on_the_workers(eventful: Eventful, cluster: Cluster) -> None:
    until = time.monotonic() + PATIENCE
    for worker in cluster.workers:
        while children(worker.pid) and time.monotonic() < until:
            time.sleep(0.1)
        assert children(worker.pid) == [], "the grading server was closed"


def children(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def test_this_machine_grades_alike_and_knows_what_the_cluster_graded(
    eventful: Eventful, built: Path, tmp_path: Path
) -> None:
    here = open_course(Path(shutil.copytree(built, tmp_path / "here")))
    shutil.copy2(eventful.course.root / ".course-secret", here.root)
    assert grade(here)[0] == 0
    for student in SCORES:
        path = Path("results", student, "hw1.json")
        assert comparable(eventful.course.root / path) == comparable(here.root / path)
    assert f"{len(SCORES)} of them had a result that still stands" in grade(eventful.course)[1]


def test_a_scheduler_that_ends_while_workers_prepare_is_waited_for(
    cluster: Cluster, course: Course, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, tries = link.Client.register_plugin, []

    def register(client: link.Client, *plugin: object, **named: object) -> object:
        tries.append(plugin)
        if len(tries) == 1:
            raise link.CommClosedError("in <TLS (closed)>: Stream is closed")
        return real(client, *plugin, **named)

    monkeypatch.setattr(link.Client, "register_plugin", register)
    told: list[str] = []
    outcomes = run(course, cluster, told)
    assert {one.submission.student: one.result.score for one in outcomes if one.result} == SCORES
    assert any("the scheduler is lost" in line for line in told)
    assert not any("install" in line for line in told), "nothing is missing on the workers"


def test_a_worker_with_other_software_gets_no_work_and_is_named(
    cluster: Cluster, course: Course, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatch, "GRACE", 1.0)
    with pytest.raises(CourseError, match=r"tls://127.*other software.*torch [\d.+a-z]+ instead of 1\.0\.0"):
        run(course, cluster, [], more={"torch": "1.0.0"})


def test_without_a_scheduler_or_with_a_wrong_certificate_it_says_so(
    cluster: Cluster, course: Course, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link, "_CONNECT", 3.0)
    code, said = grade(course, "--scheduler", f"127.0.0.1:{free_port()}")
    assert code == 2 and "no scheduler answers there" in said
    foreign, own = authority(tmp_path, "foreign"), cluster.certificates
    for ca, cert, key in (foreign, (own[0], *foreign[1:]), (foreign[0], *own[1:])):
        tls = ["--tls-ca", str(ca), "--tls-cert", str(cert), "--tls-key", str(key)]
        code, said = grade(course, "--scheduler", cluster.address, *tls)
        assert code == 2 and "because of the certificates" in said
    code, said = grade(course, "--scheduler", cluster.address)
    assert code == 2 and "TLS needs certificates" in said
    assert not (course.root / "results/ada").exists()
