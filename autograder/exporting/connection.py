"""The connection to Canvas: an assignment's address, the token, and requests that are repeated when they fail.

Canvas REST API (canvas.instructure.com/doc/api): lists come in pages, and the header `Link` with rel="next" leads on
(file.pagination). Somebody who asks too much gets 429, or 403 with “Rate Limit Exceeded”; `X-Rate-Limit-Remaining` is
what is left (file.throttling). The bulk update answers with a Progress, which is queued, running, completed or failed
(progress). Lists are read page by page with canvasapi's requester, because its PaginatedList goes on behind a page that
it could not read.
"""

from __future__ import annotations

import ipaddress
import logging
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from autograder.course.course import CourseError, refused

_ID = r"\d+(?:~\d+)?"
_PATH = re.compile(rf"/courses/(?P<course>{_ID})/assignments/(?P<assignment>{_ID})(?:/.*)?")
_EXAMPLE = "https://canvas.example.edu/courses/123/assignments/456"
_TRIES, _FIRST_TRIES = 6, 3
"""how often one request is sent; fewer times while the server has never answered"""
_LONGEST = 60.0
"""seconds of the longest pause that we choose"""
_LONGEST_TOLD = 300.0
"""seconds of the longest pause that the server may ask for"""
_PATIENCE = 600.0
"""seconds that Canvas may take for one batch"""
_TIMEOUT = (10.0, 60.0)
"""seconds to connect, and between two pieces of an answer"""

Answer = TypeVar("Answer")


class Fault(CourseError):
    """What may go well another time: an error of the server, a broken connection, too many requests."""

    def __init__(self, why: str, refused: bool = False, wait: float = 0.0) -> None:
        super().__init__(why)
        self.refused = refused
        """whether the server certainly did nothing"""
        self.wait = wait
        """seconds that the server asks us to wait"""


@dataclass(frozen=True)
class Address:
    """Where an assignment is."""

    base: str
    course: str
    assignment: str

    def __str__(self) -> str:
        return f"{self.base}/courses/{self.course}/assignments/{self.assignment}"


def address_of(text: str) -> Address:
    """Read the assignment's address as the browser shows it. Raises CourseError."""
    shown = re.split(r"[?#]", text.strip())[0].rpartition("@")[2]
    wrong = CourseError(f"{shown}: this is no address of an assignment: copy it from the browser, like {_EXAMPLE}")
    try:
        parts = urlsplit(text.strip())
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise wrong from None
    told = _PATH.fullmatch(parts.path)
    if parts.scheme not in ("https", "http") or not host or not told or "@" in parts.netloc:
        raise wrong
    if parts.scheme == "http" and not _is_loopback(host):
        raise CourseError(f"{shown}: the token would travel for everybody to read: write https://")
    place = f"[{host}]" if ":" in host else host
    base = f"{parts.scheme}://{place}" + (f":{port}" if port else "")
    return Address(base, told["course"], told["assignment"])


def token_of(environment: Mapping[str, str]) -> str:
    """The token in CANVAS_TOKEN, or in the file that CANVAS_TOKEN_FILE names. Raises CourseError, without the token."""
    token, file = environment.get("CANVAS_TOKEN", "").strip(), environment.get("CANVAS_TOKEN_FILE", "")
    source = "CANVAS_TOKEN"
    if not token and file:
        source = file
        try:
            token = Path(file).read_text(encoding="ascii").strip()
        except OSError as error:
            raise refused(f"CANVAS_TOKEN_FILE {file}", "this file cannot be read", error) from None
        except ValueError:
            raise CourseError(
                f"{file}: this is no token, it has signs that no token has: copy it from Canvas again"
            ) from None
    if not token:
        raise CourseError(
            "CANVAS_TOKEN: there is no token: make one in Canvas (Account, Settings, “New Access Token”), and put it "
            "there, or into a file that CANVAS_TOKEN_FILE names"
        )
    if not re.fullmatch(r"[!-~]+", token):
        raise CourseError(
            f"{source}: this is no token, it has blanks, or signs that no token has: copy it from Canvas again"
        )
    return token


class Connection:
    """Requests to one assignment, one at a time."""

    def __init__(
        self,
        address: Address,
        token: str,
        sleep: Callable[[float], None] = time.sleep,
        timeout: tuple[float, float] = _TIMEOUT,
    ) -> None:
        """Raises CourseError if canvasapi is missing; the network is not asked yet."""
        try:
            import requests
            from canvasapi.assignment import Assignment
            from canvasapi.exceptions import CanvasException
            from canvasapi.requester import Requester
        except ImportError:
            raise CourseError(
                "--push: the library for Canvas is not installed here: run `pip install canvasapi`"
            ) from None
        logging.getLogger("canvasapi.requester").disabled = True  # it would show the end of the token

        class Session(requests.Session):
            """Requests with a time limit, which never follow to another address."""

            def request(self, *args: Any, **options: Any) -> Any:
                return super().request(*args, **{"timeout": timeout, **options})

        session = Session()
        session.max_redirects = 0
        session.auth = lambda request: request  # else a password in ~/.netrc takes the token's place
        session.trust_env = address.base.startswith("https")  # no proxy gets what is not encrypted
        session.hooks["response"] = [self._seen]
        requester = Requester(address.base, token)
        requester._session = session
        self.address = address
        self._token, self._sleep, self._requester = token, sleep, requester
        self._assignment = Assignment(requester, {"id": address.assignment, "course_id": address.course})
        # canvasapi trips over answers that are not what it expects
        self._failures = (CanvasException, requests.RequestException, ValueError, TypeError, AttributeError, KeyError)
        self._broken, self._odd = requests.RequestException, requests.exceptions.InvalidJSONError
        self._redirected, self._insecure = requests.TooManyRedirects, requests.exceptions.SSLError
        self._answer: Any = None
        self._answered = False

    def rest(self, times: int) -> None:
        """Pause, the longer the more often something has failed: 1 s, 2 s, 4 s …"""
        self._sleep(min(2.0 ** (times - 1), _LONGEST))

    def assignment(self) -> dict[str, Any]:
        """What Canvas says about the assignment. Raises CourseError."""
        answer, _ = self._get(f"courses/{self.address.course}/assignments/{self.address.assignment}", [], dict)
        return answer

    def submissions(self) -> Iterator[dict[str, Any]]:
        """All submissions of the assignment, with their scores. Raises CourseError."""
        return self._list(f"courses/{self.address.course}/assignments/{self.address.assignment}/submissions", [])

    def students(self) -> Iterator[dict[str, Any]]:
        """The students of the course. Raises CourseError."""
        wanted = [("enrollment_type[]", "student"), ("include[]", "email")]
        return self._list(f"courses/{self.address.course}/users", wanted)

    def grade(self, scores: Mapping[int, str]) -> str:
        """Set the scores of these users, and nothing else; wait until Canvas has done it.

        Returns what Canvas says if it has failed, else ''. Raises Fault if nobody knows whether it was done.
        """
        data = {str(user): {"posted_grade": score} for user, score in scores.items()}
        progress = self._ask(lambda: self._assignment.submissions_bulk_update(grade_data=data), repeated=False)
        waited, pause = 0.0, 0.5
        while (state := getattr(progress, "workflow_state", "")) not in ("completed", "failed"):
            if waited >= _PATIENCE:
                raise Fault(f"{self._host}: the scores were not set within {_PATIENCE / 60:g} minutes: try again later")
            self._sleep(pause)
            waited, pause = waited + pause, min(2 * pause, 10.0)
            progress = self._ask(progress.query)
        said = str(getattr(progress, "message", None) or "it does not say why").replace(self._token, "…")[:300]
        return f"{self._host} could not set scores: {said}" if state == "failed" else ""

    @property
    def _host(self) -> str:
        return self.address.base.partition("://")[2]

    def _list(self, endpoint: str, wanted: list[tuple[str, str]]) -> Iterator[dict[str, Any]]:
        parameters = [*wanted, ("per_page", "100")]
        while endpoint:
            items, endpoint = self._get(endpoint, parameters, list)
            yield from items
            parameters = []

    def _get(self, endpoint: str, parameters: list[tuple[str, str]], kind: type[Answer]) -> tuple[Answer, str]:
        """The answer, and the address of the page behind it. Only what is below /api/v1/ counts in that."""

        def got() -> tuple[Answer, str]:
            response = self._requester.request("GET", endpoint, _kwargs=list(parameters))
            data, following = response.json(), str(response.links.get("next", {}).get("url", ""))
            if not isinstance(data, kind) or (
                isinstance(data, list) and not all(isinstance(one, dict) for one in data)
            ):
                raise ValueError(f"no {kind.__name__}")
            if following and not following.partition("/api/v1/")[2]:
                raise ValueError("a next page elsewhere")
            return data, following.partition("/api/v1/")[2]

        return self._ask(got)

    def _ask(self, call: Callable[[], Answer], repeated: bool = True) -> Answer:
        """Send a request; again after a fault if it is `repeated`, or if the server did nothing. Raises CourseError."""
        times = 0
        while True:
            self._answer = None
            try:
                return call()
            except self._failures as error:
                fault = self._fault(error)
            times += 1
            if times >= (_TRIES if self._answered else _FIRST_TRIES) or not (repeated or fault.refused):
                raise fault
            if fault.wait:
                self._sleep(min(fault.wait, _LONGEST_TOLD))
            else:
                self.rest(times)

    def _seen(self, response: Any, **_: Any) -> None:
        self._answer, self._answered = response, True

    def _fault(self, error: Exception) -> Fault:
        """What went wrong. Raises CourseError if it will go wrong again."""
        if isinstance(error, self._insecure) and "CERTIFICATE_VERIFY_FAILED" in str(error):
            raise CourseError(
                f"{self._host}: its certificate is not valid, so nothing was sent: check the address; if it is "
                "the university's own, REQUESTS_CA_BUNDLE names the file with the issuer's certificate"
            ) from None
        if isinstance(error, self._redirected):
            raise CourseError(
                f"{self._host}: it leads to another address, and the token is not sent there: copy the assignment's "
                "address from the browser, and try the one under which Canvas opens"
            ) from None
        if self._answer is None:
            return Fault(f"{self._host}: it cannot be reached: check the address and the network, and try again")
        status, headers = self._answer.status_code, self._answer.headers
        if status < 300 or (isinstance(error, self._broken) and not isinstance(error, self._odd)):
            return Fault(f"{self._host}: it gives answers that are torn or cannot be read: try again later")
        wait = _seconds(headers.get("Retry-After", ""))
        if status == 429 or (status == 403 and self._throttled()):
            return Fault(f"{self._host}: it lets nobody ask so often: try again later", refused=True, wait=wait)
        if status >= 500 or status == 408:
            return Fault(f"{self._host}: it answers with an error (HTTP {status}): try again later", wait=wait)
        if status == 401 and "WWW-Authenticate" in headers:
            raise CourseError(
                f"{self._host}: it does not know the token, or it has expired: make a new one in Canvas (Account, "
                "Settings, “New Access Token”)"
            ) from None
        if status in (401, 403):
            raise CourseError(
                f"{self.address}: the token's owner may not do this: take the token of somebody who may edit grades "
                "in this course"
            ) from None
        if status == 404:
            raise CourseError(
                f"{self.address}: there is no such course or assignment, or the token's owner is not in the course: "
                "copy the assignment's address from the browser"
            ) from None
        raise CourseError(
            f"{self.address}: Canvas refuses this (HTTP {status}): fill the gradebook that it exports with --into"
        ) from None

    def _throttled(self) -> bool:
        left = self._answer.headers.get("X-Rate-Limit-Remaining", "")
        try:
            return "rate limit" in self._answer.text.casefold() or float(left) <= 0
        except ValueError:
            return False


def opened(address: str, environment: Mapping[str, str]) -> Connection:
    """A connection to the assignment with this address, and with the environment's token. Raises CourseError."""
    return Connection(address_of(address), token_of(environment))


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _seconds(text: str) -> float:
    """The seconds of Retry-After; 0 if there are none. The other form, a date, is not used by Canvas."""
    return float(text) if re.fullmatch(r"\d{1,9}(?:\.\d+)?", text.strip()) else 0.0
