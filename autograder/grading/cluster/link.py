"""The link to a cluster: a client of Dask's distributed, by which orders go to the workers and events come back."""

from __future__ import annotations

import logging
import queue
import ssl
import time
import uuid
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

import dask
import msgspec
from distributed import Client, Future, as_completed
from distributed.comm.core import CommClosedError
from distributed.scheduler import KilledWorker
from distributed.security import Security

from autograder.course.bundle import Bundle
from autograder.course.course import CourseError, TierName
from autograder.grading.cluster.address import Certificates, checked, host_of, is_loopback
from autograder.grading.cluster.messages import (
    Began,
    Done,
    Event,
    Failed,
    Graded,
    Joined,
    Killed,
    Left,
    Ready,
    Refused,
    Restarted,
)
from autograder.grading.cluster.worker import TAKEN_OVER, Station, grade

_CONNECT = 10.0
"""seconds that a scheduler is waited for at first"""
_AGAIN = 300.0
"""seconds that a scheduler is waited for which was there"""
_PAUSE = 0.005
"""seconds between looks for events"""
_FROM_WORKERS = Began | Joined | Ready | Refused
_returned: msgspec.msgpack.Decoder[Graded | Failed] = msgspec.msgpack.Decoder(Graded | Failed)


class Link:
    """A connection to a scheduler whose workers get a station for a homework. It is a context manager, and a Crew."""

    def __init__(
        self,
        address: str,
        certificates: Certificates,
        course: str,
        bundle: Bundle,
        expected: Mapping[str, str],
        floor: TierName,
        tell: Callable[[str], None] = lambda text: None,
    ) -> None:
        """`course` is its id. Raises CourseError if hidden tests may not travel to this address."""
        self._address = checked(address)
        certificates.check()
        self._certificates, self._tell = certificates, tell
        self._bundle, self._expected, self._floor = msgspec.msgpack.encode(bundle), expected, floor
        self._name = f"autograder-{course}-{bundle.homework}"  # a new run takes over what an old one has left
        self._resource = f"{self._name}-{bundle.digest}"
        self._events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._futures: dict[str, Future[bytes]] = {}
        self._client: Client | None = None
        self._landing: as_completed
        self._offering: set[str] = set()
        self._lost = self._taken_over = False

    def __enter__(self) -> Link:
        """Connect, and send the bundle to all workers. Raises CourseError."""
        self._settings = dask.config.set({"distributed.admin.large-graph-warning-threshold": "1GiB"})
        logging.getLogger("distributed").setLevel(logging.CRITICAL)  # what matters is told in our own words
        self._connect(_CONNECT)
        return self

    def __exit__(self, *why: object) -> None:
        if self._client is not None and not self._taken_over:
            with suppress(Exception):  # the scheduler may be gone; then the workers are, too
                self._client.unregister_worker_plugin(self._name)
        self._close()

    # ---- what a Crew does

    def submit(self, ticket: str, data: bytes, avoid: str, urgent: bool) -> None:
        assert self._client is not None
        others = [worker for worker in self._offering if worker != avoid] if avoid else []
        future = self._client.submit(
            grade,
            self._name,
            ticket,
            data,
            key=ticket,
            pure=False,
            resources={self._resource: 1},
            workers=others or None,
            allow_other_workers=bool(others),
            priority=int(urgent),
        )
        self._futures[ticket] = future
        self._landing.add(future)

    def cancel(self, ticket: str) -> None:
        if (future := self._futures.pop(ticket, None)) is not None:
            future.cancel()

    def events(self, seconds: float) -> Sequence[Event]:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            found = [*self._heard(), *self._landed()]
            if self._lost or self._client is None or self._client.status != "running":
                return [*found, self._restart()]
            if found:
                return found
            time.sleep(_PAUSE)
        return ()

    def _heard(self) -> Iterator[Event]:
        """What workers and the scheduler have told."""
        with suppress(queue.Empty):
            while True:
                event = self._events.get_nowait()
                match event:
                    case Ready(worker):
                        self._offering.add(worker)
                    case Refused(worker, why):
                        self._offering.discard(worker)
                        self._taken_over = self._taken_over or why == TAKEN_OVER
                    case Joined(worker) | Left(worker):
                        self._offering.discard(worker)
                yield event

    def _landed(self) -> Iterator[Event]:
        """What has come back."""
        future: Future[bytes]
        for future, result in self._landing.next_batch(block=False):
            ticket = str(future.key)
            if self._futures.get(ticket) is not future:
                continue  # it was cancelled by us, or belongs to a scheduler that was lost
            if future.status == "finished":
                del self._futures[ticket]
                yield Done(ticket, _returned.decode(result))
            elif future.status == "error":
                del self._futures[ticket]
                error = result[1] if isinstance(result, tuple) else result
                if isinstance(error, KilledWorker):
                    yield Killed(ticket)
                else:
                    yield Done(ticket, Failed(f"{type(error).__name__}: {error}", "a worker"))
            else:  # cancelled or lost, with the scheduler
                self._lost = True
                return

    # ---- connecting

    def _connect(self, seconds: float) -> None:
        self._futures.clear()
        self._offering.clear()
        self._lost = False
        self._client = self._opened(seconds)
        self._landing = as_completed(loop=self._client.loop, with_results=True, raise_errors=False)
        try:
            self._begin(self._client)
        except CommClosedError:  # the scheduler ended meanwhile; `events` connects again
            self._lost = True

    def _begin(self, client: Client) -> None:
        """Listen to the workers and send them the bundle. Raises CourseError, and CommClosedError."""
        about = client.scheduler_info()
        if not self._address.startswith("tls://"):
            self._check_alone(about["address"])
        topic = f"{self._name}-{uuid.uuid4().hex}"
        client.subscribe_topic(topic, lambda event: self._events.put(msgspec.convert(event[1], _FROM_WORKERS)))
        client.subscribe_topic("all", self._on_scheduler_event)
        for worker in about["workers"]:
            self._events.put(Joined(worker))
        station = Station(self._name, self._resource, topic, self._bundle, self._expected, self._floor)
        try:
            client.register_plugin(station, name=self._name)
        except CommClosedError:
            raise
        except Exception as error:
            self._tell(
                f"a worker gets no work: it could not load the autograder ({type(error).__name__}: {error}); install "
                "there what is installed here (requirements.lock)"
            )

    def _opened(self, seconds: float) -> Client:
        """A client. Raises CourseError."""
        try:
            security = self._security()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # other versions of dask; what scores depend on is compared by us
                return Client(self._address, timeout=seconds, security=security, set_as_default=False)
        except (OSError, TypeError, ValueError, ssl.SSLError) as error:
            raise CourseError(self._why(error)) from None

    def _security(self) -> Security:
        given = {
            "tls_ca_file": self._certificates.ca,
            "tls_client_cert": self._certificates.cert,
            "tls_client_key": self._certificates.key,
        }
        files = {name: str(path) for name, path in given.items() if path is not None}
        return Security(require_encryption=self._address.startswith("tls://"), **files)

    def _check_alone(self, listening: str) -> None:
        """Raise CourseError if other machines can join without TLS."""
        if not is_loopback(host_of(listening)):
            self._close()
            raise CourseError(
                f"--scheduler {self._address}: this scheduler also listens at {listening} without TLS, and workers of "
                "other machines would get the hidden tests in clear: start it with --host 127.0.0.1, or with "
                "certificates and tls:// (docs/scale.md)"
            )

    def _why(self, error: BaseException) -> str:
        causes: list[BaseException] = []
        following: BaseException | None = error
        while following is not None and following not in causes:
            causes.append(following)
            following = following.__cause__ or following.__context__
        if isinstance(error, TypeError) and self._address.startswith("tls://"):
            return (
                f"{self._address}: TLS needs certificates: give --tls-ca, --tls-cert and --tls-key, or set "
                "distributed.comm.tls in Dask's configuration (docs/scale.md)"
            )
        text = " ".join(f"{type(one).__name__} {one}" for one in causes)
        if any(isinstance(one, ssl.SSLError) for one in causes) or "SSL" in text or "TLS certificate" in text:
            return (
                f"{self._address}: the connection is refused because of the certificates ({_shortest(causes)}): "
                "--tls-ca has to be the file that signed the scheduler's certificate, and the scheduler's that which "
                "signed --tls-cert"
            )
        return (
            f"{self._address}: no scheduler answers there ({_shortest(causes)}): start one with `dask scheduler`, or "
            "check address, firewall and whether it uses TLS"
        )

    def _on_scheduler_event(self, event: tuple[float, Any]) -> None:
        message = event[1]
        match message:
            case {"action": "add-worker", "worker": str(worker)}:
                self._events.put(Joined(worker))
            case {"action": "remove-worker", "worker": str(worker)}:
                self._events.put(Left(worker))

    def _restart(self) -> Restarted:
        """Wait for a scheduler at the address and begin anew. Raises CourseError if there is none for long."""
        self._tell(f"{self._address}: the scheduler is lost; waiting up to {_AGAIN:.0f} seconds for it to come back …")
        self._close()
        until = time.monotonic() + _AGAIN
        while True:
            try:
                self._connect(_CONNECT)
                return Restarted()
            except CourseError as error:
                if time.monotonic() > until:
                    raise CourseError(
                        f"{error}. It was lost during the run: results so far are kept, and the same command goes on "
                        "from there"
                    ) from None
                time.sleep(1.0)

    def _close(self) -> None:
        if self._client is not None:
            with suppress(Exception):
                self._client.close(timeout=5)
            self._client = None


def _shortest(causes: Sequence[BaseException]) -> str:
    """The cause at the root of an error, in a line."""
    texts = [line for one in reversed(causes) for line in str(one).splitlines()[:1] if line]
    return texts[0] if texts else type(causes[-1]).__name__
