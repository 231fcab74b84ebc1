"""What the driver of a cluster decides – what is in flight, tried again, graded alone – with a crew made up here."""

from __future__ import annotations

import asyncio
import contextlib
import os
import queue
import stat
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from autograder.course.bundle import Bundle, bundle
from autograder.course.course import CourseError, open_course
from autograder.grading.cluster import dispatch
from autograder.grading.cluster import worker as station
from autograder.grading.cluster.address import Certificates, checked
from autograder.grading.cluster.dispatch import Dispatch, Landed, Prepared
from autograder.grading.cluster.driver import ClusterRun
from autograder.grading.cluster.messages import (
    Began,
    Done,
    Event,
    Failed,
    Graded,
    Joined,
    Killed,
    Left,
    Order,
    Ready,
    Refused,
    Restarted,
)
from autograder.grading.orders import UNKNOWN, About
from autograder.grading.origin import handed_in, software
from autograder.grading.server import Lost, NotStarted
from autograder.grading.submissions import Submission
from autograder.results import record
from autograder.results.result import Result
from autograder.submission import parcel
from autograder.submission.folder import contents
from autograder.submission.parcel import Parcel, TooMuch, packed, unpacked
from tests.conftest import write_files
from tests.test_recording import FILES

FINE = Graded(b"{}", b"", None, {})


class Crew:
    """Workers that do with each order what `does` says: by default, they grade it."""

    def __init__(self, slots: int = 2, does: Callable[[Crew, str, str], None] | None = None) -> None:
        self.told: list[Event] = [Joined("w1"), Ready("w1", slots)]
        self.does = does or (lambda crew, ticket, student: crew.grades(ticket))
        self.sent: list[tuple[str, str]] = []
        self.waiting: list[tuple[str, str]] = []
        self.cancelled: list[str] = []
        self.most = self.idle = 0

    def submit(self, ticket: str, data: bytes, avoid: str, urgent: bool) -> None:
        self.sent.append((data.decode(), avoid))
        self.waiting.append((ticket, data.decode()))
        self.most = max(self.most, len(self.waiting))

    def cancel(self, ticket: str) -> None:
        self.cancelled.append(ticket)

    def grades(self, ticket: str, outcome: Graded | Failed = FINE) -> None:
        self.told += [Began(ticket, "w1"), Done(ticket, outcome)]

    def events(self, seconds: float) -> Sequence[Event]:
        if not self.told and self.waiting:
            self.does(self, *self.waiting.pop(0))
        told, self.told = self.told, []
        self.idle = 0 if told else self.idle + 1
        assert self.idle < 100, "the driver waits for what never comes"
        return told


def students(*names: str) -> list[Submission]:
    return [Submission(name, Path("submitted") / name) for name in names]


def prepared(submission: Submission) -> Prepared:
    return Prepared(submission.student.encode(), f"key-{submission.student}")


def each(groups: Iterable[Sequence[Any]]) -> list[Any]:
    return list(chain.from_iterable(groups))


def landed(crew: Crew, *names: str, tell: Callable[[str], None] = print) -> dict[str, Landed]:
    found = each(Dispatch(crew, students(*names), prepared, tell))
    assert [one.submission.student for one in found if one.submission.student not in names] == []
    return {one.submission.student: one for one in found}


# The window


def test_everybody_lands_once_and_few_are_in_flight() -> None:
    crew = Crew(slots=3)
    names = [f"s{number}" for number in range(100)]
    found = landed(crew, *names)
    assert [found[name].graded for name in names] == [FINE] * 100
    assert len(crew.sent) == 100
    assert crew.most == 6, "twice as many as are graded at a time"


def test_nothing_is_packed_before_there_is_room_for_it() -> None:
    taken: list[str] = []
    crew = Crew(slots=1)

    def prepare(submission: Submission) -> Prepared:
        taken.append(submission.student)
        return prepared(submission)

    for number, _ in enumerate(chain.from_iterable(Dispatch(crew, students(*map(str, range(20))), prepare)), 1):
        assert len(taken) - number <= 2


def test_large_submissions_are_sent_one_at_a_time() -> None:
    crew = Crew(slots=5)
    large = Prepared(bytes(300 * 2**20), "")

    def prepare(submission: Submission) -> Prepared:
        return Prepared(large.data, submission.student)

    crew.submit = lambda ticket, data, avoid, urgent: _count(crew, ticket)  # type: ignore[method-assign]
    assert len(each(Dispatch(crew, students("a", "b", "c", "d"), prepare))) == 4
    assert crew.most == 2, "two are 600 MB"


def _count(crew: Crew, ticket: str) -> None:
    crew.waiting.append((ticket, ""))
    crew.most = max(crew.most, len(crew.waiting))


def test_a_student_who_is_there_twice_is_graded_once_and_named() -> None:
    crew = Crew()
    found = each(Dispatch(crew, students("ada", "ben", "ada"), prepared))
    assert [one.graded for one in found].count(FINE) == 2
    assert [one.why for one in found if one.graded is None] == ["ada is there twice: only the first was graded"]


def test_what_cannot_be_sent_is_named_and_stops_nobody() -> None:
    def prepare(submission: Submission) -> Prepared:
        if submission.student == "ben":
            raise TooMuch("too much to send")
        return prepared(submission)

    found = {one.submission.student: one for one in each(Dispatch(Crew(), students("ada", "ben", "cleo"), prepare))}
    assert [found[name].why for name in ("ada", "ben", "cleo")] == ["", "too much to send", ""]


# What fails


def test_an_infrastructure_failure_is_tried_again_by_another_worker_three_times() -> None:
    def fails(crew: Crew, ticket: str, student: str) -> None:
        crew.grades(ticket, Failed("no space left", "w1") if student == "ben" else FINE)

    crew = Crew(does=fails)
    found = landed(crew, "ada", "ben", "cleo")
    assert [avoid for name, avoid in crew.sent if name == "ben"] == ["", "w1", "w1", "w1"]
    assert found["ben"].graded is None and "no space left" in found["ben"].why
    assert found["ada"].graded is FINE and found["cleo"].graded is FINE


def test_a_worker_that_was_not_ready_costs_no_attempt() -> None:
    times = iter(range(100))

    def fails(crew: Crew, ticket: str, student: str) -> None:
        if next(times) < 20:
            crew.told.append(Done(ticket, Failed("it is not ready", "w1", refused=True)))
        else:
            crew.grades(ticket)

    assert landed(Crew(does=fails), "ada")["ada"].graded is FINE


def test_a_submission_with_which_two_workers_end_is_graded_alone_after_the_others() -> None:
    def kills_in_company(crew: Crew, ticket: str, student: str) -> None:
        if student == "eve" and not crew.cancelled:
            crew.told += [Began(ticket, "w1"), Began(ticket, "w2"), Began(ticket, "w3")]
        else:
            crew.grades(ticket)

    crew = Crew(does=kills_in_company)
    found = landed(crew, "ada", "eve", *map(str, range(9)))
    assert [one.graded for one in found.values()] == [FINE] * 11
    assert [name for name, _ in crew.sent][-1] == "eve"
    assert len(crew.cancelled) == 1


@pytest.mark.parametrize("scheduler_sees_it_first", [False, True])
def test_one_that_ends_its_worker_alone_is_named_and_never_scored(scheduler_sees_it_first: bool) -> None:
    def kills(crew: Crew, ticket: str, student: str) -> None:
        if student != "eve":
            crew.grades(ticket)
        elif scheduler_sees_it_first:
            crew.told.append(Killed(ticket))
        else:
            crew.told += [Began(ticket, worker) for worker in ("w1", "w2", "w3", "w4")]

    told: list[str] = []
    found = landed(Crew(does=kills), "ada", "eve", "ben", tell=told.append)
    assert found["eve"].graded is None and found["eve"].why.startswith("eve: every worker that graded")
    assert found["ada"].graded is found["ben"].graded is FINE
    assert any(line.startswith("eve: workers ended") for line in told)


def test_a_scheduler_that_comes_back_gets_everything_again_that_was_in_flight() -> None:
    lost: list[str] = []

    def goes(crew: Crew, ticket: str, student: str) -> None:
        if student == "s5" and not lost:
            lost.extend([student, *(name for _, name in crew.waiting)])
            crew.waiting.clear()
            crew.told += [Restarted(), Joined("w1"), Ready("w1", 2)]
        else:
            crew.grades(ticket)

    crew = Crew(does=goes)
    names = [f"s{number}" for number in range(20)]
    assert [one.graded for one in landed(crew, *names).values()] == [FINE] * 20
    assert lost and [name for name, _ in crew.sent].count("s5") == 2


def test_a_late_result_of_a_submission_that_was_given_up_counts_for_nothing() -> None:
    def late(crew: Crew, ticket: str, student: str) -> None:
        crew.told += [Began(ticket, worker) for worker in ("w1", "w2", "w3")] + [Done(ticket, FINE)]

    [one] = each(Dispatch(Crew(does=late), students("eve"), prepared))
    assert one.graded is None


# Workers


def test_where_no_worker_can_grade_it_says_why_of_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatch, "GRACE", 0.0)
    crew = Crew()
    crew.told = [Joined("w1"), Joined("w2"), Refused("w1", "torch 1 instead of 2"), Refused("w2", "tier none")]
    with pytest.raises(CourseError, match="w1: torch 1 instead of 2; w2: tier none"):
        landed(crew, "ada")


def test_one_that_can_grade_may_come_after_all_others_were_refused() -> None:
    crew = Crew()
    coming: list[list[Event]] = [[Joined("w1"), Refused("w1", "tier none")], [], [Joined("w2")], [Ready("w2", 1)]]
    usual = crew.events
    crew.events = lambda seconds: coming.pop(0) if coming else usual(seconds)  # type: ignore[method-assign]
    crew.told = []
    assert landed(crew, "ada")["ada"].graded is FINE


def test_a_worker_that_gets_no_work_does_not_keep_the_others_from_working() -> None:
    crew, told = Crew(), list[str]()
    crew.told = [Joined("w1"), Joined("w2"), Refused("w1", "tier none"), Ready("w2", 1)]
    assert landed(crew, "ada", tell=told.append)["ada"].graded is FINE
    assert told == ["w1 gets no work: tier none"]


def test_while_nobody_is_there_it_waits_and_says_so_once() -> None:
    crew, told = Crew(), list[str]()
    coming: list[list[Event]] = [[], [], [], [Joined("w1")], [Ready("w1", 1)]]
    usual = crew.events
    crew.events = lambda seconds: coming.pop(0) if coming else usual(seconds)  # type: ignore[method-assign]
    crew.told = []
    assert landed(crew, "ada", tell=told.append)["ada"].graded is FINE
    assert told == ["waiting for workers, none is there; 1 submissions are left"]


def test_workers_that_come_and_go_are_counted() -> None:
    crew, staff = Crew(slots=2), list[tuple[int, int]]()

    def comes(crew: Crew, ticket: str, student: str) -> None:
        crew.grades(ticket)
        more = {"s3": [Joined("w2"), Ready("w2", 4)], "s6": [Left("w1")]}
        crew.told += more.get(student, [])

    crew.does = comes
    each(Dispatch(crew, students(*(f"s{n}" for n in range(9))), prepared, staffed=lambda *now: staff.append(now)))
    assert staff == [(1, 2), (2, 6), (1, 4)]


class Scheduler(Crew):
    """As Dask's: an order that nobody can take when it comes is not offered to workers that get ready later."""

    def __init__(self, changes: dict[int, list[Event]]) -> None:
        """`changes` is what happens to workers after so many were graded."""
        super().__init__(slots=1)
        self.ready, self.changes, self.graded = {"w1"}, changes, 0
        self.lost: list[str] = []

    def submit(self, ticket: str, data: bytes, avoid: str, urgent: bool) -> None:
        super().submit(ticket, data, avoid, urgent)
        if not self.ready:
            self._lose()

    def _lose(self) -> None:
        self.lost += [ticket for ticket, _ in self.waiting]
        self.waiting.clear()

    def does_next(self, ticket: str) -> None:
        self.told += [Began(ticket, min(self.ready)), Done(ticket, FINE)]
        self.graded += 1

    def events(self, seconds: float) -> Sequence[Event]:
        for event in self.changes.pop(self.graded, []):
            match event:
                case Ready(worker):
                    self.ready.add(worker)
                case Left(worker) | Joined(worker) | Refused(worker):
                    self.ready.discard(worker)
            if not self.ready:
                self._lose()
            self.told.append(event)
        self.does = lambda crew, ticket, student: self.does_next(ticket)
        return super().events(seconds)


@pytest.mark.parametrize("last", [Left("w1"), Refused("w1", "its disk is full"), Joined("w1")])
def test_when_the_last_worker_is_gone_the_next_one_gets_what_was_on_its_way(last: Event) -> None:
    crew = Scheduler({3: [last, Joined("w2"), Ready("w2", 1)]})
    names = [f"s{number}" for number in range(9)]
    assert [one.graded for one in landed(crew, *names).values()] == [FINE] * 9
    assert set(crew.lost) <= set(crew.cancelled) and crew.lost


def test_what_was_sent_between_a_workers_end_and_the_news_of_it_is_not_forgotten() -> None:
    crew = Scheduler(
        {0: [Ready("w0", 1)], 3: [Left("w0"), Left("w1"), Ready("w2", 1), Ready("w3", 1)], 5: [Left("w2")]}
    )
    names = [f"s{number}" for number in range(9)]
    assert [one.graded for one in landed(crew, *names).values()] == [FINE] * 9


def test_one_that_ends_every_worker_is_found_out_though_it_is_sent_anew_each_time() -> None:
    workers = iter(range(2, 100))

    def kills(crew: Crew, ticket: str, student: str) -> None:
        if student == "eve":
            crew.waiting.clear()
            last, new = crew.last, f"w{next(workers)}"  # type: ignore[attr-defined]
            crew.told += [Began(ticket, last), Left(last), Joined(new), Ready(new, 1)]
            crew.last = new  # type: ignore[attr-defined]
        else:
            crew.grades(ticket)

    crew = Crew(slots=1, does=kills)
    crew.last = "w1"  # type: ignore[attr-defined]
    found = landed(crew, "ada", "eve", "ben")
    assert found["eve"].graded is None and found["eve"].why.startswith("eve: every worker that graded")
    assert found["ada"].graded is found["ben"].graded is FINE


# Addresses


@pytest.mark.parametrize(
    ("address", "written"),
    [
        ("tls://grading.example.edu:8786", "tls://grading.example.edu:8786"),
        ("tls://10.0.0.7", "tls://10.0.0.7:8786"),
        ("127.0.0.1:9000", "tcp://127.0.0.1:9000"),
        ("tcp://localhost:9000", "tcp://localhost:9000"),
        ("tcp://[::1]:9000", "tcp://[::1]:9000"),
        ("tls://[fe80::1]:9000", "tls://[fe80::1]:9000"),
    ],
)
def test_an_address_is_taken_as_people_write_it(address: str, written: str) -> None:
    assert checked(address) == written


@pytest.mark.parametrize(
    "address",
    ["10.0.0.7:8786", "tcp://grading.example.edu:8786", "tcp://127.0.0.1.example.com:8786", "tcp://0.0.0.0:8786"],
)
def test_without_tls_nothing_leaves_this_machine(address: str) -> None:
    with pytest.raises(CourseError, match="only TLS will do"):
        checked(address)


@pytest.mark.parametrize("address", ["", "ws://127.0.0.1:8786", "inproc://127.0.0.1", "tls://a b:1", "tls://:8786"])
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(CourseError, match="--scheduler"):
        checked(address)


def test_certificates_have_to_be_there_and_complete(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").touch()
    with pytest.raises(CourseError, match="no such file"):
        Certificates(tmp_path / "ca.pem", tmp_path / "cert.pem").check()
    with pytest.raises(CourseError, match="belong together"):
        Certificates(tmp_path / "ca.pem").check()
    Certificates().check()


# What travels


def test_a_bundle_is_named_by_its_content(tmp_path: Path) -> None:
    write_files(tmp_path, FILES)
    course = open_course(tmp_path)
    first = bundle(course, course.homework("hw1"), b"secret")
    for path in tmp_path.rglob("*"):
        os.utime(path)
    assert bundle(course, course.homework("hw1"), b"secret").digest == first.digest
    assert bundle(course, course.homework("hw1"), b"other").digest != first.digest
    (tmp_path / "hw1/hidden/test_powers.py").write_text("")
    assert bundle(course, course.homework("hw1"), b"secret").digest != first.digest


def test_a_bundle_unpacks_for_its_owner_alone(tmp_path: Path) -> None:
    write_files(tmp_path / "course", FILES)
    course = open_course(tmp_path / "course")
    (tmp_path / "there").mkdir()
    bundle(course, course.homework("hw1"), b"secret").unpack(tmp_path / "there")
    there = open_course(tmp_path / "there")
    assert there.homework("hw1").hidden("powers").read_text() == FILES["hw1/hidden/test_powers.py"]
    assert (tmp_path / "there/.course-secret").read_bytes() == b"secret"
    modes = {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "there").rglob("*") if path.is_file()}
    assert modes == {0o600}


@pytest.mark.parametrize("path", ["../out", "/etc/out", "a/../../out"])
def test_a_bundle_writes_nothing_beside_its_folder(tmp_path: Path, path: str) -> None:
    (tmp_path / "in").mkdir()
    with pytest.raises(OSError, match="leads out"):
        Bundle("hw1", {path: b""}).unpack(tmp_path / "in")


def _plain(folder: Path) -> None:
    write_files(
        folder, {"hw1/mlp.ipynb": "{}", "hw1/helper.py": "x = 1", "hw2/mlp.ipynb": "{}", "hw1/deep/er/a.py": ""}
    )


def _odd(folder: Path) -> None:
    write_files(folder, {"hw1/mlp.ipynb": "{}"})
    (folder / os.fsdecode(b"n\xffame.ipynb")).write_bytes(b"\0\1")
    (folder / "hw1/link.ipynb").symlink_to("/etc/passwd")
    os.mkfifo(folder / "hw1/pipe.ipynb")


def _empty_folder(folder: Path) -> None:
    write_files(folder, {"mlp.ipynb": "{}"})
    (folder / "hw1").mkdir()


def _large(folder: Path) -> None:
    write_files(folder, {"hw1/mlp.ipynb": "{}", "hw1/numbers.csv": "", "hw1/torn.ipynb": '{"cells": []'})
    os.truncate(folder / "hw1/numbers.csv", 40 * 2**20)
    os.truncate(folder / "hw1/torn.ipynb", 200 * 2**20)


@pytest.mark.parametrize("make", [_plain, _odd, _empty_folder, _large, lambda folder: None])
def test_another_machine_finds_the_same_in_a_submission(tmp_path: Path, make: Callable[[Path], None]) -> None:
    folder = tmp_path / "ada"
    folder.mkdir()
    make(folder)
    _compare(folder, tmp_path)


def test_an_archive_in_place_of_a_folder_travels_as_it_is(tmp_path: Path) -> None:
    import zipfile

    with zipfile.ZipFile(tmp_path / "ada.zip", "w") as archive:
        archive.writestr("hw1/mlp.ipynb", "{}")
    _compare(tmp_path / "ada.zip", tmp_path)


def test_a_link_to_a_folder_travels_as_the_folder(tmp_path: Path) -> None:
    _plain(tmp_path / "elsewhere")
    (tmp_path / "ada").symlink_to(tmp_path / "elsewhere")
    _compare(tmp_path / "ada", tmp_path)


def _compare(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    sent = msgspec.msgpack.encode(packed(folder, "hw1", ("hw1", "hw2")))
    there = unpacked(msgspec.msgpack.decode(sent, type=Parcel), tmp_path / "there")
    assert _seen(there) == _seen(folder)
    homework: Any = type("Named", (), {"name": "hw1"})
    assert handed_in(there, homework, ("hw1", "hw2")) == handed_in(folder, homework, ("hw1", "hw2"))


def _seen(folder: Path) -> object:
    found = contents(folder, "hw1", ("hw1", "hw2"))
    return sorted((one.path, one.place, one.modified, one.size) for one in found.files), sorted(found.passed_over)


def test_a_submission_of_too_many_bytes_is_not_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parcel, "MOST_BYTES", 100)
    write_files(tmp_path / "ada", {"hw1/a.py": "x" * 60, "hw1/b.py": "x" * 60})
    with pytest.raises(TooMuch, match="without --scheduler: `autograder grade hw1 --student ada`"):
        packed(tmp_path / "ada", "hw1")


@pytest.mark.parametrize("name", [b"../out", b"/out", b"a/../../out", b""])
def test_a_parcel_writes_nothing_beside_its_folder(tmp_path: Path, name: bytes) -> None:
    (tmp_path / "in").mkdir()
    with pytest.raises(OSError, match="leads out"):
        unpacked(Parcel(name, ()), tmp_path / "in")


# A worker's station


class Worker:
    """As much of a worker of Dask's as a station needs; it keeps what it was told."""

    def __init__(self, folder: Path) -> None:
        self.local_directory, self.address = str(folder), "tcp://127.0.0.1:1"
        self.state, self.status = SimpleNamespace(nthreads=3), SimpleNamespace(name="running")
        self.offers: list[int] = []
        self.told: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()

        loop = asyncio.new_event_loop()
        threading.Thread(target=loop.run_forever, daemon=True).start()
        self.loop = SimpleNamespace(asyncio_loop=loop)

    async def set_resources(self, **resources: int) -> None:
        self.offers += resources.values()

    def log_event(self, topic: str, message: dict[str, Any]) -> None:
        self.told.put(message)


class Server:
    """A grading server that confines as it is told, and grades as it is told."""

    error: Exception | None = None
    losses = ends = closed = 0
    killed = False

    def __init__(self, homework: Any, floor: str) -> None:
        self.homework = homework

    def wait(self) -> None:
        if Server.ends:
            Server.ends -= 1
            raise NotStarted("the grading server did not start", Server.killed)
        if self.error is not None:
            raise self.error

    def grade(self, student: str, folder: Path, out: Path, marked: Path | None, about: About, key: str) -> None:
        if Server.losses:
            Server.losses -= 1
            raise Lost("the process that grades it ended early")
        assert (folder / "hw1/powers.ipynb").read_text() == "{}"
        write_files(out, {f"{student}/hw1.json": "{}", f"{student}/hw1.html": "page"})

    def close(self) -> None:
        Server.closed += 1


@pytest.fixture
def worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Worker]:
    monkeypatch.setattr(station, "GradingServer", Server)
    monkeypatch.setattr(station, "_LOOK", 0.01)
    monkeypatch.setattr(Server, "error", None)
    monkeypatch.setattr(Server, "losses", 0)
    monkeypatch.setattr(Server, "ends", 0)
    (tmp_path / "scratch").mkdir()
    yield Worker(tmp_path / "scratch")


def begun(worker: Worker, tmp_path: Path, **more: str) -> station.Station:
    write_files(tmp_path / "course", FILES)
    course = open_course(tmp_path / "course")
    data = msgspec.msgpack.encode(bundle(course, course.homework("hw1"), b"secret"))
    found = station.Station("name", "slots", "topic", data, {**software(()), **more}, "C")
    found.setup(worker)  # type: ignore[arg-type]
    return found


def order(tmp_path: Path) -> bytes:
    write_files(tmp_path / "ada", {"hw1/powers.ipynb": "{}"})
    return msgspec.msgpack.encode(Order("ada", "key", UNKNOWN, packed(tmp_path / "ada", "hw1"), False))


def ended(found: station.Station, worker: Worker) -> None:
    asyncio.run(found.teardown(worker))  # type: ignore[arg-type]


def test_a_station_grades_and_leaves_nothing_behind(worker: Worker, tmp_path: Path) -> None:
    found = begun(worker, tmp_path)
    assert worker.told.get(timeout=20) == {"type": "ready", "worker": worker.address, "slots": 3}
    [course] = Path(worker.local_directory).iterdir()
    assert stat.S_IMODE(course.stat().st_mode) == 0o700
    graded = found.grade("ticket", order(tmp_path))
    assert graded == Graded(b"{}", b"page", None, {})
    assert worker.told.get(timeout=20) == {"type": "began", "ticket": "ticket", "worker": worker.address}
    assert [path.name for path in course.iterdir() if path.name.startswith("submission")] == []
    ended(found, worker)
    assert list(Path(worker.local_directory).iterdir()) == []
    assert worker.offers == [3, 0]
    assert isinstance(found.grade("late", order(tmp_path)), Failed)


def test_a_station_with_other_software_offers_nothing_and_says_what_differs(worker: Worker, tmp_path: Path) -> None:
    found = begun(worker, tmp_path, torch="1.0.0", python="2.7")
    told = worker.told.get(timeout=20)
    assert told["type"] == "refused" and "instead of 1.0.0" in told["why"] and "instead of 2.7" in told["why"]
    assert worker.offers == [] and list(Path(worker.local_directory).iterdir()) == [], "hidden tests were not unpacked"
    ended(found, worker)


def test_a_station_that_confines_too_little_offers_nothing_and_says_so(
    worker: Worker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    why = "this machine confines submissions with tier none, but course.toml requires at least C"
    monkeypatch.setattr(Server, "error", CourseError(why))
    found = begun(worker, tmp_path)
    assert worker.told.get(timeout=20) == {"type": "refused", "worker": worker.address, "why": why}
    ended(found, worker)
    assert worker.offers == [] and list(Path(worker.local_directory).iterdir()) == []


def test_a_station_whose_disk_is_full_offers_nothing_until_there_is_room(
    worker: Worker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(station, "ROOM_BYTES", 2**70)
    found = begun(worker, tmp_path)
    told = worker.told.get(timeout=20)
    assert told["type"] == "refused" and "are free in" in told["why"]
    monkeypatch.setattr(station, "ROOM_BYTES", 0)
    assert worker.told.get(timeout=20)["type"] == "ready"
    monkeypatch.setattr(station, "ROOM_BYTES", 2**70)
    monkeypatch.setattr(Server, "losses", 1)
    failed = found.grade("ticket", order(tmp_path))
    assert isinstance(failed, Failed) and not failed.refused
    assert worker.told.get(timeout=20)["type"] == "began"
    assert worker.told.get(timeout=20)["type"] == "joined"
    assert worker.told.get(timeout=20)["type"] == "refused", "it filled up on the way"
    ended(found, worker)
    assert worker.offers == [3, 0]


@pytest.mark.parametrize(
    ("ends", "killed", "then"), [(2, False, "ready"), (3, False, "refused"), (9, True, "ready"), (10, True, "refused")]
)
def test_a_server_that_ends_while_it_starts_is_started_again(
    worker: Worker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ends: int, killed: bool, then: str
) -> None:
    monkeypatch.setattr(Server, "ends", ends)
    monkeypatch.setattr(Server, "killed", killed)
    found = begun(worker, tmp_path)
    assert worker.told.get(timeout=20)["type"] == then
    ended(found, worker)
    assert list(Path(worker.local_directory).iterdir()) == []


def test_a_station_that_loses_three_in_a_row_starts_its_server_anew(worker: Worker, tmp_path: Path) -> None:
    found = begun(worker, tmp_path)
    assert worker.told.get(timeout=20)["type"] == "ready"
    Server.losses, closed = 3, Server.closed
    for number in range(3):
        assert isinstance(found.grade(str(number), order(tmp_path)), Failed)
        assert worker.told.get(timeout=20)["type"] == "began"
    assert worker.told.get(timeout=20)["type"] == "joined"
    assert worker.told.get(timeout=20)["type"] == "ready"
    assert worker.offers == [3, 0, 3]
    assert Server.closed == closed + 1
    assert isinstance(found.grade("again", order(tmp_path)), Graded)
    ended(found, worker)


# What the driver writes


def driven(tmp_path: Path, *landing: Graded | Failed) -> tuple[list[Any], list[str], Path]:
    """A run of one student on a crew whose worker sends this."""
    write_files(tmp_path / "course", FILES | {"submitted/ada/hw1/powers.ipynb": "{}"})
    course = open_course(tmp_path / "course")
    told, sent = list[str](), iter(landing)
    crew = Crew(does=lambda crew, ticket, student: crew.grades(ticket, next(sent)))
    crew.submit = lambda ticket, data, avoid, urgent: _count(crew, ticket)  # type: ignore[method-assign]
    run = ClusterRun(course, course.homework("hw1"), lambda bundle: contextlib.nullcontext(crew), told.append)
    todo = [Submission("ada", tmp_path / "course/submitted/ada")]
    out = tmp_path / "results"
    return each(run.grade_all(todo, out, tmp_path / "autograded", lambda student: UNKNOWN)), told, out


def result_of(student: str) -> bytes:
    spent = {"cpu_seconds": 0.0, "wall_seconds": 0.0}
    return record.json_bytes(
        Result(
            schema=record.SCHEMA, course="small", homework="hw1", title="", student=student, score=1.0, max_score=1.0,
            notebooks=(), tier="C", versions={}, graded_at="", **spent,
        )
    )  # fmt: skip


def test_the_driver_alone_decides_what_is_written_and_where(tmp_path: Path) -> None:
    books = {"powers": b"{}", "../../escaped": b"{}", "other": b"{}"}
    [outcome], _, out = driven(tmp_path, Graded(result_of("ada"), b"page", b"secret", books))
    assert outcome.result is not None and outcome.result.score == 1.0
    written = {str(path.relative_to(tmp_path)) for top in (out, tmp_path / "autograded") for path in top.rglob("*.*")}
    assert written == {
        *(f"results/ada/hw1.{kind}" for kind in ("json", "html", "transcript")),
        "autograded/ada/hw1/powers.ipynb",
    }


@pytest.mark.parametrize("sent", [b"", b"{}", result_of("ben")])
def test_what_is_not_this_students_result_is_not_written(tmp_path: Path, sent: bytes) -> None:
    [outcome], _, out = driven(tmp_path, Graded(sent, b"page", None, {}))
    assert outcome.result is None and outcome.lost.startswith("ada: ")
    assert not out.exists()


def test_a_disk_that_is_full_here_loses_one_result_and_not_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(record.atomic_file, "replace", full)
    [outcome], _, _ = driven(tmp_path, Graded(result_of("ada"), b"page", None, {}))
    assert outcome.result is None and "No space left on device" in outcome.lost
