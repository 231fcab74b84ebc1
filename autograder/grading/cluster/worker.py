"""What runs on a worker: a plugin that keeps the course and a grading server for as long as the class run takes."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import msgspec
from distributed import Worker, WorkerPlugin, get_worker

from autograder.course.bundle import Bundle
from autograder.course.course import CourseError, TierName, open_course
from autograder.grading.cluster.messages import Began, Event, Failed, Graded, Joined, Order, Ready, Refused
from autograder.grading.origin import software
from autograder.grading.server import GradingServer, Lost, NotStarted
from autograder.results import transcript
from autograder.submission.parcel import unpacked

ROOM_BYTES = 256 * 2**20
"""free bytes on the disk without which a worker gets no work"""
_LOOK = 15.0
"""seconds between looks at a disk that was full"""
_IDLE = 3600.0
"""seconds without work after which the course is removed: the driver has ended without saying so"""
_OFFER = 30.0
"""seconds that the scheduler has to take note of an offer"""
_STARTS, _KILLED_STARTS = 3, 10
"""how often the grading server may end before it is ready, one time after another: on its own, and killed"""
CLOSING, TAKEN_OVER = "it is being closed", "another run of this homework has taken it over"
_LOSSES = 3
"""submissions that may be lost one after another before the grading server is started anew"""

_orders = msgspec.msgpack.Decoder(Order)
_bundles = msgspec.msgpack.Decoder(Bundle)


class Station(WorkerPlugin):
    """A worker's place for one class run: the unpacked course in a private folder, and a warm grading server.

    It offers Dask resources, one for each thread, and orders ask for them: so a worker that cannot grade gets no work.
    """

    def __init__(
        self, name: str, resource: str, topic: str, bundle: bytes, expected: Mapping[str, str], floor: TierName
    ) -> None:
        """`bundle` is an encoded Bundle; `expected` is the driver's software. Events go to Dask's `topic`."""
        self.name, self.resource, self._topic = name, resource, topic
        self._bundle, self._expected, self._floor = bundle, dict(expected), floor

    def setup(self, worker: Worker) -> None:
        """Begin in a thread of its own, as the worker has to answer the scheduler meanwhile."""
        self._worker = worker
        self._root: Path | None = None
        self._server: GradingServer | None = None
        self._losses, self._starts, self._used = 0, 0, time.monotonic()
        self._lock, self._ending, self._trouble = threading.Lock(), threading.Event(), threading.Event()
        # it lives as long as the server, which the kernel ends when the thread that started it does
        self._keeper = threading.Thread(target=self._keep, name=self.name, daemon=True)
        self._keeper.start()

    async def teardown(self, worker: Worker) -> None:
        """Close the grading server and remove the course from the disk."""
        self._refuse(CLOSING if worker.status.name.startswith("clos") else TAKEN_OVER)
        self._ending.set()
        self._trouble.set()
        await asyncio.to_thread(self._keeper.join)

    def grade(self, ticket: str, data: bytes) -> Graded | Failed:
        """Carry out an encoded Order, which the driver knows by its ticket."""
        order = _orders.decode(data)
        if self._root is None or self._server is None or self._trouble.is_set():
            return Failed("it is not ready", self._worker.address, refused=True)
        self._tell(Began(ticket, self._worker.address))
        try:
            with tempfile.TemporaryDirectory(dir=self._root, prefix="submission-", ignore_cleanup_errors=True) as work:
                found = self._graded(order, self._server, Path(work))
        except (Lost, OSError) as error:
            self._failed()
            return Failed(str(error), self._worker.address)
        self._losses, self._used = 0, time.monotonic()
        return found

    def _graded(self, order: Order, server: GradingServer, work: Path) -> Graded:
        for name in ("submitted", "results", "autograded"):
            (work / name).mkdir()
        folder = unpacked(order.parcel, work / "submitted")
        out, marked = work / "results", work / "autograded"
        server.grade(order.student, folder, out, marked if order.notebooks else None, order.about, order.key)
        result = out / order.student / server.homework.name
        kept = transcript.path_of(out, order.student, server.homework.name)
        return Graded(
            Path(f"{result}.json").read_bytes(),
            Path(f"{result}.html").read_bytes(),
            kept.read_bytes() if kept.is_file() else None,
            {path.stem: path.read_bytes() for path in marked.glob("*.ipynb")},
        )

    def _failed(self) -> None:
        """Look after an infrastructure failure whether this worker can go on."""
        with self._lock:
            self._losses += 1
            if self._losses >= _LOSSES or self._full():
                self._trouble.set()

    # ---- the keeper's thread

    def _keep(self) -> None:
        try:
            self._check_software()
            while not self._ending.is_set():
                self._serve()
        except CourseError as error:
            self._refuse(str(error))
        except Exception as error:
            self._refuse(f"it could not be made ready ({type(error).__name__}: {error})")
        finally:
            self._close()

    def _check_software(self) -> None:
        here = software(tuple(self._expected))
        other = [
            f"{name} {here.get(name) or 'is missing'} instead of {version or 'none'}"
            for name, version in self._expected.items()
            if here.get(name) != version
        ]
        if other:
            raise CourseError(
                f"it has other software, so scores could differ: {', '.join(other)}; install there what is installed "
                "where `autograder grade` runs (requirements.lock)"
            )

    def _serve(self) -> None:
        """Unpack, start the server, offer work, and wait for trouble or the end."""
        self._trouble.clear()
        if self._full():
            self._refuse(f"less than {ROOM_BYTES // 2**20} MB are free in {self._worker.local_directory}; make room")
            while self._full() and not self._ending.wait(_LOOK):
                pass
        if self._ending.is_set():
            return
        root = Path(tempfile.mkdtemp(dir=self._worker.local_directory, prefix="course-"))  # 0700
        self._root = root
        bundle = _bundles.decode(self._bundle)
        bundle.unpack(root)
        server = self._server = GradingServer(open_course(root).homework(bundle.homework), self._floor)
        try:
            server.wait()
        except NotStarted as error:
            self._starts += 1
            if self._starts >= (_KILLED_STARTS if error.killed else _STARTS):
                raise
            self._close()
            return
        self._starts = 0
        self._losses, self._used = 0, time.monotonic()
        slots = self._worker.state.nthreads
        self._offer(slots)
        self._tell(Ready(self._worker.address, slots))
        while not self._trouble.wait(_LOOK):
            if time.monotonic() > self._used + _IDLE:
                self._refuse("it had no work for an hour")
                self._ending.set()
                break
        if not self._ending.is_set():
            self._tell(Joined(self._worker.address))
        self._offer(0)
        self._close()

    def _refuse(self, why: str) -> None:
        self._tell(Refused(self._worker.address, why))

    def _close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        if self._root is not None:
            shutil.rmtree(self._root, ignore_errors=True)
            self._root = None

    def _offer(self, slots: int) -> None:
        """Tell the scheduler, and wait until it knows: an order that comes earlier would wait for another worker."""
        offering = self._worker.set_resources(**{self.resource: slots})
        with suppress(Exception):  # the worker is closing
            asyncio.run_coroutine_threadsafe(offering, self._worker.loop.asyncio_loop).result(_OFFER)  # type: ignore[attr-defined]

    def _tell(self, event: Event) -> None:
        with suppress(Exception):  # the worker is closing
            self._worker.log_event(self._topic, msgspec.to_builtins(event))

    def _full(self) -> bool:
        return shutil.disk_usage(self._worker.local_directory).free < ROOM_BYTES


def grade(name: str, ticket: str, order: bytes) -> bytes:
    """Carry out an encoded Order at this worker's station of this name: an encoded Graded or Failed."""
    worker = get_worker()
    station = worker.plugins.get(name)
    if not isinstance(station, Station):
        return msgspec.msgpack.encode(Failed("it is not ready", worker.address, refused=True))
    return msgspec.msgpack.encode(station.grade(ticket, order))
