"""Grading on a Dask cluster: what it costs, what it survives and where it ends. Each part prints ratios of one run.

    python benchmarks/cluster.py throughput --count 500     local pool against a scheduler with 2 workers, same cores
    python benchmarks/cluster.py driver --count 100000      the driver alone, with stubs in place of grading
    python benchmarks/cluster.py chaos --count 300          something is killed every 5 s, the driver twice
    python benchmarks/cluster.py link --count 60            two hosts whose link is down for 30 s (as root)
    python benchmarks/cluster.py scaling --count 60         1 and 2 workers; 64 that only sleep

The exit code is 1 where scores differ or somebody was not graded. Figures of one run compare with each other alone.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec
from class_of_forty import ENVIRONMENT, HOMEWORK, make_class, make_course
from sleeping import PLACES, Sleeper

from autograder.course.course import Course, open_course
from autograder.examination.secret import course_secret
from autograder.grading import class_run
from autograder.grading.cluster import link
from autograder.grading.cluster.address import Certificates
from autograder.grading.cluster.driver import ClusterRun
from autograder.grading.cluster.messages import Done, Event, Graded, Joined, Order, Ready
from autograder.grading.origin import software
from autograder.grading.submissions import Submission
from autograder.proving.example_class import write
from autograder.results import record
from autograder.results.recording import Recording
from autograder.results.result import Output

HERE = Path(__file__).resolve().parent
OUTAGE = 30.0
STUB_BYTES = 100_000
TARGET_RATIO, TARGET_MS = 0.90, 4.0
Command = Sequence[str]


def main() -> int:
    parts: Mapping[str, Callable[[Path, argparse.Namespace], int]] = {
        "throughput": throughput, "driver": driver, "chaos": chaos, "link": outage, "scaling": scaling
    }  # fmt: skip
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=parts)
    parser.add_argument("--count", type=int, default=60, help="submissions (default: %(default)s)")
    parser.add_argument(
        "--every", type=float, default=5.0, help="chaos: seconds from kill to kill (default: %(default)s)"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="cluster-", ignore_cleanup_errors=True) as folder:
        return parts[options.part](Path(folder).resolve(), options)


# ---- a class, and what grades it -----------------------------------------------------------------------------------


def made_class(root: Path, count: int) -> Course:
    course = make_course(root)
    for pupil in make_class(course.homework(HOMEWORK), count):
        write(pupil, root / "submitted" / pupil.name / HOMEWORK)
    course_secret(course)
    return course


def copy(course: Course, root: Path) -> Course:
    return open_course(Path(shutil.copytree(course.root, root)))


class Cluster:
    """A scheduler and workers with one thread each; what ends is started again, as systemd would do."""

    def __init__(
        self, folder: Path, workers: int, threads: int = 1, host: str = "127.0.0.1", within: Sequence[Command] = ()
    ) -> None:
        """`within` are what to put before the scheduler's command and the workers'; with it, TLS is used."""
        self._folder, self._ending = folder, threading.Event()
        folder.mkdir(parents=True)
        self.tls = authority(folder) if within else None
        scheme = "tls" if within else "tcp"
        self.address = f"{scheme}://{host}:{8786 if within else free_port()}"
        inside = list(within) or [(), ()]
        where = ("--host", host, "--port", self.address.rpartition(":")[2], "--protocol", scheme)
        local = ("--local-directory", str(folder))
        commands = [(*inside[0], *self._dask("scheduler"), *where)]
        commands += [
            (*inside[1], *self._dask("worker"), self.address, "--nthreads", str(threads), "--no-nanny", *local)
        ] * workers
        self._commands = commands
        self.processes = [self._start(command) for command in commands]
        self._keeper = threading.Thread(target=self._keep)
        self._keeper.start()

    def _dask(self, what: str) -> Command:
        names = zip(("--tls-ca-file", "--tls-cert", "--tls-key"), map(str, self.tls or ()), strict=False)
        certificates = [part for pair in names for part in pair]
        return (sys.executable, "-m", f"distributed.cli.dask_{what}", "--no-dashboard", *certificates)

    def _start(self, command: Command) -> subprocess.Popen[bytes]:
        environment = {**ENVIRONMENT, "PYTHONPATH": str(HERE)}
        with (self._folder / "log").open("ab") as log:
            return subprocess.Popen(command, stdout=log, stderr=log, env=environment)

    def _keep(self) -> None:
        while not self._ending.wait(0.5):
            for number, process in enumerate(self.processes):
                if process.poll() is not None:
                    self.processes[number] = self._start(self._commands[number])

    def close(self) -> None:
        self._ending.set()
        self._keeper.join()
        for process in self.processes:
            process.kill()
            process.wait()

    @property
    def options(self) -> list[str]:
        names = zip(("--tls-ca", "--tls-cert", "--tls-key"), map(str, self.tls or ()), strict=False)
        return ["--scheduler", self.address, *(part for pair in names for part in pair)]


@contextmanager
def cluster(*arguments: Any, **more: Any) -> Iterator[Cluster]:
    found = Cluster(*arguments, **more)
    try:
        yield found
    finally:
        found.close()


def authority(folder: Path) -> tuple[Path, Path, Path]:
    """An authority of our own, and a certificate that it has signed with its key."""
    ca, ca_key, cert, key, request = (folder / f"{name}.pem" for name in ("ca", "ca-key", "cert", "key", "request"))
    new = ["-newkey", "rsa:2048", "-nodes"]
    for command in (
        ["req", "-x509", *new, "-keyout", ca_key, "-out", ca, "-days", "2", "-subj", "/CN=authority"],
        ["req", *new, "-keyout", key, "-out", request, "-subj", "/CN=grading"],
        ["x509", "-req", "-in", request, "-CA", ca, "-CAkey", ca_key, "-CAcreateserial", "-out", cert, "-days", "2"],
    ):
        subprocess.run(["openssl", *map(str, command)], check=True, capture_output=True)
    return ca, cert, key


def free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Grading:
    """`autograder grade` in a process of its own; the moments at which results came."""

    def __init__(self, course: Course, *options: str, within: Command = ()) -> None:
        command = [*within, str(Path(sys.executable).parent / "autograder"), "grade", HOMEWORK, "--json", *options]
        self.began = time.monotonic()
        self.moments: list[float] = []
        self.notes: list[str] = []
        self.process = subprocess.Popen(
            command, cwd=course.root, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with suppress(ValueError):  # cut off by a kill
                found = json.loads(line)
                self.moments += [time.monotonic()] if "score" in found else []
                self.notes += [found["note"]] if "note" in found else []

    def wait(self) -> float:
        """The seconds it took."""
        self.process.wait()
        self._reader.join()
        return time.monotonic() - self.began

    @property
    def rate(self) -> float:
        """Results a second between the first and the last, so without warming up."""
        return (len(self.moments) - 1) / (self.moments[-1] - self.moments[0])


def scores(course: Course) -> dict[str, float]:
    return {student: result.score for student, result in record.each(course.root / "results", HOMEWORK)}


def same(found: Mapping[str, float], quiet: Mapping[str, float], count: int) -> int:
    different = [student for student in quiet if found.get(student) != quiet[student]]
    print(f"{len(found)} of {count} graded; {len(different)} scores differ from a quiet run {different[:5]}")
    return 1 if different or len(found) != count else 0


# ---- the parts -----------------------------------------------------------------------------------------------------


def throughput(root: Path, options: argparse.Namespace) -> int:
    count = options.count
    course = made_class(root / "class", count)
    here, there = copy(course, root / "here"), copy(course, root / "there")
    local = Grading(here, "--workers", "2")
    seconds = local.wait()
    with cluster(root / "cluster", 2) as one:
        remote = Grading(there, *one.options)
        other = remote.wait()
    ratio = remote.rate / local.rate
    print(f"local pool, 2 at a time:      {60 * local.rate:.1f} submissions a minute, {seconds:.1f} s with warming up")
    print(f"scheduler, 2 workers, same cores: {60 * remote.rate:.1f} a minute, {other:.1f} s with warming up")
    print(f"ratio of throughput {ratio:.2f} (target {TARGET_RATIO}, {'' if ratio >= TARGET_RATIO else 'not '}reached)")
    return same(scores(there), scores(here), count)


class StubCrew:
    """Workers that hand back one result under each student's name, at once."""

    def __init__(self, graded: Graded) -> None:
        self._graded, self._result = graded, msgspec.json.decode(graded.record)
        self._told: list[Event] = [Joined("stub"), Ready("stub", 64)]

    def __enter__(self) -> StubCrew:
        return self

    def __exit__(self, *why: object) -> None:
        pass

    def submit(self, ticket: str, data: bytes, avoid: str, urgent: bool) -> None:
        order = msgspec.msgpack.decode(data, type=Order)
        found = msgspec.json.format(
            msgspec.json.encode(self._result | {"student": order.student, "key": order.key}), indent=2
        )
        self._told.append(Done(ticket, msgspec.structs.replace(self._graded, record=found)))

    def cancel(self, ticket: str) -> None:
        pass

    def events(self, seconds: float) -> Sequence[Event]:
        told, self._told = self._told, []
        return told


def driver(root: Path, options: argparse.Namespace) -> int:
    """Everything that the driver does, the gradebook included, and making the stub's bytes."""
    count = options.count
    course = made_class(root / "class", 1)
    Grading(course, "--workers", "1").wait()
    [folder] = (course.root / "submitted").iterdir()
    one = course.root / "results" / folder.name / HOMEWORK
    result = record.read(one.with_suffix(".json"))
    books = list(result.notebooks)
    short = STUB_BYTES - len(record.json_bytes(result))
    more = Output(cell=books[0].cells[0].grade_id, kind="stdout", text="a line of text.\n" * max(0, short // 17))
    books[0] = msgspec.structs.replace(books[0], outputs=(*books[0].outputs, more))
    graded = Graded(
        record.json_bytes(msgspec.structs.replace(result, notebooks=tuple(books))),
        one.with_suffix(".html").read_bytes(),
        one.with_suffix(".transcript").read_bytes(),
        {path.stem: path.read_bytes() for path in (course.root / "autograded" / folder.name / HOMEWORK).iterdir()},
    )
    sizes = [len(graded.record), len(graded.page), len(graded.transcript or b""), *map(len, graded.notebooks.values())]
    print(f"bytes of a result: {sizes}; {len(books[0].cells)} grade cells")
    shutil.rmtree(course.root / "results")
    (course.root / "gradebook.db").unlink()
    todo = [Submission(f"s{number:06}", folder) for number in range(count)]
    moments: list[float] = []
    shown = max(1, count // 10)

    def seen(outcome: class_run.Outcome) -> None:
        moments.append(time.monotonic())
        if len(moments) % shown == 0:
            each = 1000 * (moments[-1] - moments[-shown]) / (shown - 1 or 1)
            print(f"{len(moments):7} results: {each:.2f} ms each, memory {memory():.0f} MB", flush=True)

    recording = timed(Recording, "record_all", "marked")
    elsewhere = ClusterRun(course, course.homework(HOMEWORK), lambda bundle: StubCrew(graded))
    began = time.monotonic()
    class_run.run(
        course, course.homework(HOMEWORK), todo, course.root / "results", 1, seen=seen, elsewhere=elsewhere, keep=False
    )
    each = 1000 * (moments[-1] - moments[0]) / (count - 1)
    end = time.monotonic() - moments[-1]
    print(f"{each:.2f} ms each (target {TARGET_MS}, {'' if each <= TARGET_MS else 'not '}reached), stubs included")
    print(f"of these, the gradebook takes {1000 * sum(recording) / count:.2f} ms")
    print(f"marks and table at the end: {end:.1f} s, {1000 * end / count:.2f} ms each, memory then {memory():.0f} MB")
    print(f"before the first: {moments[0] - began:.1f} s")
    found = sum(1 for _ in (course.root / "results").glob(f"*/{HOMEWORK}.json"))
    print(f"{found} of {count} results are there")
    return 0 if found == count else 1


def timed(owner: type, *names: str) -> list[float]:
    """The seconds of each call of these methods, from now on."""
    spent: list[float] = []

    def watched(usual: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            began = time.perf_counter()
            try:
                return usual(*arguments)
            finally:
                spent.append(time.perf_counter() - began)

        return call

    for name in names:
        setattr(owner, name, watched(getattr(owner, name)))
    return spent


def memory() -> float:
    """Resident MB of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def chaos(root: Path, options: argparse.Namespace) -> int:
    count = options.count
    course = made_class(root / "class", count)
    here, there = copy(course, root / "here"), copy(course, root / "there")
    Grading(here, "--workers", "2").wait()
    killed: dict[str, int] = {}
    chance = random.Random(1)
    drivers = 0
    began = time.monotonic()
    with cluster(root / "cluster", 2) as one:
        grading = Grading(there, *one.options)
        following = time.monotonic() + options.every
        while grading.process.poll() is None:
            time.sleep(0.2)
            done = len(scores_there(there))
            if drivers < 2 and done >= count * (drivers + 1) // 3:
                grading.process.kill()
                grading.wait()
                drivers += 1
                grading = Grading(there, *one.options)
            elif time.monotonic() > following:
                what, pid = chance.choice(victims(one))
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                    killed[what] = killed.get(what, 0) + 1
                following = time.monotonic() + options.every
        grading.wait()
    print(f"killed in {time.monotonic() - began:.0f} s: {killed}, the driver {drivers} times")
    print("\n".join(grading.notes))
    return same(scores(there), scores(here), count) or grading.process.returncode


def scores_there(course: Course) -> list[Path]:
    return list((course.root / "results").glob(f"*/{HOMEWORK}.json"))


def victims(one: Cluster) -> list[tuple[str, int]]:
    """Our own processes: the scheduler, the workers, and their grading servers and zygotes."""
    found = [("scheduler", one.processes[0].pid)]
    for worker in one.processes[1:]:
        found.append(("worker", worker.pid))
        for server in children(worker.pid):
            found.append(("examiner", server))
            found += [("zygote", zygote) for zygote in children(server) if b"zygote" in command_of(zygote)]
    kinds = sorted({kind for kind, _ in found})
    kind = random.choice(kinds)
    return [one for one in found if one[0] == kind]


def children(pid: int) -> list[int]:
    with suppress(OSError):
        listed = Path(f"/proc/{pid}/task").glob("*/children")
        return [int(child) for path in listed for child in path.read_text().split()]
    return []


def command_of(pid: int) -> bytes:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""


def outage(root: Path, options: argparse.Namespace) -> int:
    """The driver and the scheduler on one host, two workers on another: network namespaces with one link."""
    count = options.count
    course = made_class(root / "class", count)
    here, there = copy(course, root / "here"), copy(course, root / "there")
    Grading(here, "--workers", "2").wait()
    with hosts() as (first, second, cut):  # noqa: SIM117, the cluster needs the hosts
        with cluster(root / "cluster", 2, host="10.77.0.1", within=(first, second)) as one:
            grading = Grading(there, *one.options, within=first)
            while len(grading.moments) < count // 3 and grading.process.poll() is None:
                time.sleep(0.1)
            cut(True)
            before = len(grading.moments)
            time.sleep(OUTAGE)
            during = len(grading.moments) - before
            cut(False)
            again = time.monotonic()
            while len(grading.moments) <= before + during and grading.process.poll() is None:
                time.sleep(0.1)
            first_again = time.monotonic() - again
            seconds = grading.wait()
    print(f"{seconds:.0f} s altogether; {during} results came while the link was down for {OUTAGE:.0f} s")
    print(f"the first one after it was up again came after {first_again:.1f} s")
    print("\n".join(grading.notes))
    return same(scores(there), scores(here), count) or grading.process.returncode


@contextmanager
def hosts() -> Iterator[tuple[Command, Command, Callable[[bool], None]]]:
    names = (f"bench{os.getpid()}a", f"bench{os.getpid()}b")

    def ip(*arguments: str) -> None:
        subprocess.run(["ip", *arguments], check=True)

    try:
        for name in names:
            ip("netns", "add", name)
        ip("-n", names[0], "link", "add", "near", "type", "veth", "peer", "name", "far", "netns", names[1])
        for name, end, address in zip(names, ("near", "far"), ("10.77.0.1/24", "10.77.0.2/24"), strict=True):
            ip("-n", name, "address", "add", address, "dev", end)
            ip("-n", name, "link", "set", end, "up")
            ip("-n", name, "link", "set", "lo", "up")

        def cut(down: bool) -> None:
            ip("-n", names[0], "link", "set", "near", "down" if down else "up")

        yield ("ip", "netns", "exec", names[0]), ("ip", "netns", "exec", names[1]), cut
    finally:
        for name in names:
            with suppress(subprocess.CalledProcessError):
                ip("netns", "delete", name)


def scaling(root: Path, options: argparse.Namespace) -> int:
    course = made_class(root / "class", options.count)
    rates = {}
    for workers in (1, 2):
        one = copy(course, root / f"{workers}")
        with cluster(root / f"cluster-{workers}", workers) as found:
            grading = Grading(one, *found.options)
            grading.wait()
        rates[workers] = grading.rate
        efficiency = rates[workers] / (workers * rates[1])
        print(
            f"{workers} workers: {60 * grading.rate:.1f} submissions a minute, efficiency {efficiency:.2f}", flush=True
        )
    with cluster(root / "cluster-64", 64 // PLACES, PLACES) as found:
        for seconds in (4.0, 2.0, 1.0, 0.5, 0.25):
            rate = sleeping_rate(copy(course, root / f"sleeping-{seconds}"), found.address, seconds)
            print(
                f"64 that sleep {seconds:g} s each: {rate:.0f} submissions a second of {64 / seconds:.0f}, efficiency "
                f"{rate * seconds / 64:.2f}",
                flush=True,
            )
    return 0


def sleeping_rate(course: Course, address: str, seconds: float) -> float:
    """Results a second, each of STUB_BYTES, that come back from 64 places which sleep so long."""
    link.Station = Sleeper  # type: ignore[misc]
    Sleeper.seconds_now, Sleeper.bytes_now = seconds, STUB_BYTES
    homework = course.homework(HOMEWORK)
    [folder, *_] = (course.root / "submitted").iterdir()
    todo = [Submission(f"s{number:06}", folder) for number in range(int(64 * max(10.0, 20 / seconds)))]
    moments: list[float] = []

    def connect(bundle: Any) -> link.Link:
        return link.Link(address, Certificates(), course.id, bundle, software(()), "none", print)

    elsewhere = ClusterRun(course, homework, connect)
    elsewhere._outcome = lambda landed, out, marked: moments.append(time.monotonic())  # type: ignore[assignment]
    for _ in elsewhere.grade_all(todo, course.root / "results", None, lambda student: class_run.UNKNOWN):
        pass
    middle = moments[len(moments) // 4 : 3 * len(moments) // 4]
    return (len(middle) - 1) / (middle[-1] - middle[0])


if __name__ == "__main__":
    sys.exit(main())
