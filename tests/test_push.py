"""Scores pushed into Canvas: nothing is lost, nothing else changes, and nobody gets another one's score."""

import json
import random
import shutil
import ssl
import subprocess
import sys
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest
from typer.testing import CliRunner

from autograder.cli import app
from autograder.course.course import CourseError, open_course
from autograder.course.roster import read_roster
from autograder.exporting import canvas
from autograder.exporting.connection import Connection, address_of, token_of
from autograder.results import record
from autograder.results.result import SCHEMA, CellResult, NotebookResult, Result

COURSE = open_course(Path(__file__).parents[1])
HOMEWORK = COURSE.homework("hw1")
TOKEN = "1234~secretSecret9876"
PLACE = "/api/v1/courses/7/assignments/8"
DROPPED, DONE_AND_DROPPED, TORN, SILENT = "dropped", "done and dropped", "torn", "silent"


def result(student, score, waiting=False):
    cells = [CellResult(grade_id="a", title="A", points=100.0, earned=score)]
    if waiting:
        cells.append(CellResult(grade_id="b", title="B", points=1, earned=None))
    book = NotebookResult(
        notebook="mlp", title="MLP", file="mlp.ipynb", score=score, max_score=100.0, cells=tuple(cells),
        tier="A", seed=0, cpu_seconds=0, wall_seconds=0, peak_memory_mb=0,
    )  # fmt: skip
    return Result(
        schema=SCHEMA, course="c", homework="hw1", title="T", student=student, score=score, max_score=100.0,
        notebooks=(book,), tier="A", versions={}, graded_at="2026-01-01T00:00:00+00:00", cpu_seconds=0, wall_seconds=0,
    )  # fmt: skip


class Canvas:
    """A server that speaks the documented part of Canvas' API."""

    def __init__(self):
        self.assignment = {
            "id": 8, "name": "Homework 1", "points_possible": 100.0, "grading_type": "points", "published": True,
            "moderated_grading": False, "anonymize_students": False, "group_category_id": None,
        }  # fmt: skip
        self.users, self.submissions, self.progress = [], {}, {}
        self.requests, self.writes, self.sleeps = [], [], []
        self.unknown, self.needless = set(), []
        self.in_time = lambda: False  # whether jobs that nobody asks about are done before the scores are read
        self.fault = lambda method, path: None
        self.released = threading.Event()
        canvas = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize, disable_nagle_algorithm = -1, True

            def log_message(self, *_):
                pass

            def do_GET(self):
                canvas.answer(self, "GET", [])

            def do_POST(self):
                text = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
                canvas.answer(self, "POST", parse_qsl(text))

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.base = f"http://127.0.0.1:{self.server.server_port}"
        self.address = f"{self.base}/courses/7/assignments/8"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def add(self, id, name="", score=None, **about):
        self.users.append({"id": id, "name": name or f"User {id}", "sortable_name": name or f"User {id}", **about})
        self.submissions[id] = {
            "id": 1000000 + id, "user_id": id, "score": score, "grade": None if score is None else str(score),
            "excused": False, "workflow_state": "unsubmitted", "comments": ["keep"], "late_policy_status": None,
        }  # fmt: skip

    def scores(self):
        return {user: one["score"] for user, one in self.submissions.items() if one["score"] is not None}

    def answer(self, handler, method, form):
        path, query = urlsplit(handler.path).path, dict(parse_qsl(urlsplit(handler.path).query))
        self.requests.append((method, path))
        fault = self.fault(method, path)
        if fault == DROPPED:
            handler.close_connection = True
            return
        if fault == SILENT:
            self.released.wait(30)
            handler.close_connection = True
            return
        if isinstance(fault, tuple):
            return self.send(handler, *fault)
        if handler.headers.get("Authorization") != f"Bearer {TOKEN}":
            return self.send(handler, 401, {"errors": []}, {"WWW-Authenticate": 'Bearer realm="canvas-lms"'})
        status, body, headers = self.done(method, path, query, form)
        if fault == DONE_AND_DROPPED:
            handler.close_connection = True
            return
        self.send(handler, status, body, headers, torn=fault == TORN)

    def done(self, method, path, query, form):
        if method == "POST" and path == f"{PLACE}/submissions/update_grades":
            return 200, self.update(form), {}
        if path.startswith("/api/v1/progress/"):
            one = self.progress[int(path.rpartition("/")[2])]
            if one["workflow_state"] == "queued":
                self.run(one)
            return 200, {key: value for key, value in one.items() if key != "grades"}, {}
        if path == PLACE:
            return 200, self.assignment, {}
        if path == "/api/v1/courses/7/users":
            return self.page(path, query, self.users)
        if path == f"{PLACE}/submissions":
            if query.get("page", "1") == "1" and self.in_time():
                self.finish()
            return self.page(path, query, list(self.submissions.values()))
        return 404, {"errors": [{"message": "The specified resource does not exist."}]}, {}

    def page(self, path, query, items):
        size, at = min(int(query.get("per_page", 10)), 100), int(query.get("page", 1))
        links = [f'<{self.base}{path}?page={at}&per_page={size}>; rel="current"']
        if at * size < len(items):
            links.append(f'<{self.base}{path}?page={at + 1}&per_page={size}>; rel="next"')
        return 200, items[(at - 1) * size : at * size], {"link": ",".join(links)}

    def update(self, form):
        grades = {}
        for key, value in form:
            user, _, name = key.removeprefix("grade_data[").removesuffix("]").partition("][")
            assert name == "posted_grade" and key.startswith("grade_data["), key
            grades[int(user)] = value
            if self.submissions[int(user)]["score"] == float(value):
                self.needless.append(user)
        id = len(self.progress) + 1
        self.progress[id] = {"id": id, "workflow_state": "queued", "message": None, "grades": grades}
        return {"id": id, "workflow_state": "queued", "url": f"{self.base}/api/v1/progress/{id}"}

    def run(self, progress):
        """Sooner or later Canvas does what it has taken on."""
        if self.fault("RUN", "") == "failed":
            progress |= {"workflow_state": "failed", "message": "Job failed"}
            return
        for user, grade in progress["grades"].items():
            if user not in self.unknown:
                self.writes.append((user, grade, self.submissions[user]["score"]))
                self.submissions[user] |= {"score": float(grade), "grade": grade, "excused": False}
        unknown = self.unknown & set(progress["grades"])
        progress["workflow_state"] = "failed" if unknown else "completed"
        progress["message"] = f"Couldn't find User(s) with API ids {unknown}, {TOKEN}" if unknown else None

    def finish(self):
        """What is still queued is done, whoever waits."""
        for one in self.progress.values():
            if one["workflow_state"] == "queued":
                self.run(one)

    def send(self, handler, status, body, headers=None, torn=False):
        data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        handler.send_response(status)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", str(len(data)))
        for name, value in (headers or {}).items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(data[: len(data) // 2] if torn else data)
        handler.close_connection = torn

    def connection(self, **options):
        return Connection(address_of(self.address), TOKEN, self.sleeps.append, **options)


@pytest.fixture
def server():
    canvas = Canvas()
    yield canvas
    canvas.released.set()
    canvas.server.shutdown()
    canvas.server.server_close()


@pytest.fixture
def roster(tmp_path):
    def written(text):
        (tmp_path / "roster.csv").write_text(text)
        return read_roster(tmp_path / "roster.csv")

    return written


@pytest.fixture
def three(server, roster):
    """A course of three, each of whom is found another way."""
    server.add(11, "Doe, Jane")
    server.add(12, "Müller, Max", 5.0, sis_user_id="S2")
    server.add(13, "Ünlü, Zoë", login_id="zu3")
    return roster("id,name,canvas_id,sis_id,login\njane,,11,,\nmax,,,s2,\nzoe,,,,ZU3\n")


RESULTS = {"jane": result("jane", 34.25), "max": result("max", 50.0), "zoe": result("zoe", 0.0)}


def test_scores_are_set_and_nothing_else(server, three):
    before = {user: dict(one) for user, one in server.submissions.items()}
    found = canvas.push(server.connection(), HOMEWORK, RESULTS, three)
    assert server.scores() == {11: 34.25, 12: 50.0, 13: 0.0}
    assert found.complete and (found.filled, found.stood, found.column) == (3, 0, "Homework 1")
    assert found.changed == (("max", "5.0", "50"),)
    for user, one in server.submissions.items():
        assert {**one, "score": 0, "grade": 0} == {**before[user], "score": 0, "grade": 0}


def test_a_pseudonym_leads_back_to_the_student(server, roster):
    server.add(11, "Doe, Jane")
    people = roster("id,name,canvas_id,pseudonym\njane,,11,kt4xr7\n")
    found = canvas.push(server.connection(), HOMEWORK, {"kt4xr7": result("kt4xr7", 34.25)}, people)
    assert (server.scores(), found.complete, found.filled) == ({11: 34.25}, True, 1)


def test_what_stands_there_is_not_sent_again(server, three):
    canvas.push(server.connection(), HOMEWORK, RESULTS, three)
    server.submissions[13]["score"] = None
    found = canvas.push(server.connection(), HOMEWORK, RESULTS, three)
    assert (found.filled, found.stood, found.changed) == (3, 2, ())
    assert [user for user, *_ in server.writes] == [11, 12, 13, 13]
    posts = server.requests.count(("POST", f"{PLACE}/submissions/update_grades"))
    canvas.push(server.connection(), HOMEWORK, RESULTS, three)
    assert server.requests.count(("POST", f"{PLACE}/submissions/update_grades")) == posts


def test_a_dry_run_sends_nothing(server, three):
    found = canvas.push(server.connection(), HOMEWORK, RESULTS, three, dry_run=True)
    assert found.changed == (("max", "5.0", "50"),) and {method for method, _ in server.requests} == {"GET"}


def test_who_waits_for_a_mark_is_left_out(server, three):
    results = {**RESULTS, "max": result("max", 50.0, waiting=True)}
    found = canvas.push(server.connection(), HOMEWORK, results, three)
    assert found.waiting == ("max",) and server.scores()[12] == 5.0
    assert canvas.push(server.connection(), HOMEWORK, results, three, partial=True).filled == 3


def test_who_is_missing_on_either_side_is_named(server, three):
    server.add(19, "Strange, Eve")
    found = canvas.push(server.connection(), HOMEWORK, {**RESULTS, "ghost": result("ghost", 1.0)}, three)
    assert (found.missing, found.unknown) == (("Strange, Eve",), ("ghost",)) and 19 not in server.scores()


def test_an_excused_student_is_told_as_changed_and_a_late_policy_is_no_difference(server, three):
    server.submissions[11] |= {"score": None, "excused": True}
    server.submissions[12] |= {"score": 40.0, "entered_score": 50.0, "points_deducted": 10.0}
    found = canvas.push(server.connection(), HOMEWORK, RESULTS, three)
    assert found.changed == (("jane", "EX", "34.25"),) and server.scores()[12] == 40.0


def test_two_people_who_may_be_meant_get_nothing(server, roster):
    server.add(11, "Doe, Jane")
    server.add(12, "Doe, Jane")
    server.add(13, "Roe, Ann")
    server.add(14, "Poe, Bo")
    people = roster("id,name\njane,Jane Doe\nann,Ann Roe\nann2,Ann Roe\nbo,Bo Poe\n")
    found = canvas.push(server.connection(), HOMEWORK, {one.id: result(one.id, 3.0) for one in people.students}, people)
    assert server.scores() == {14: 3.0}
    assert any("(11) and Doe, Jane (12) are both jane: nothing is pushed" in note for note in found.notes)
    assert any("Roe, Ann may be ann or ann2" in note for note in found.notes)


def test_an_id_goes_before_a_name(server, roster):
    server.add(11, "Doe, Jane")
    server.add(12, "Doe, Jane", email="jane@uni.edu")
    found = canvas.push(
        server.connection(), HOMEWORK, {"jane": result("jane", 3.0)},
        roster("id,name,email,canvas_id\njane,Jane Doe,jane@uni.edu,11\n"),
    )  # fmt: skip
    assert server.scores() == {11: 3.0} and found.missing == ("Doe, Jane",)


def test_another_maximum_is_told(server, three):
    server.assignment["points_possible"] = 90.0
    found = canvas.push(server.connection(), HOMEWORK, RESULTS, three)
    assert found.notes == ("the platform's assignment is worth 90.0 points, the homework 100",) and found.filled == 3


@pytest.mark.parametrize(
    "about, why",
    [
        ({"grading_type": "pass_fail"}, r"no points \(pass fail\)"),
        ({"published": False}, "not published"),
        ({"moderated_grading": True}, "moderated"),
        ({"anonymize_students": True}, "anonymously"),
        ({"group_category_id": 4}, "the whole group"),
    ],
)
def test_an_assignment_that_takes_no_single_scores_is_refused(server, three, about, why):
    server.assignment |= about
    with pytest.raises(CourseError, match=why):
        canvas.push(server.connection(), HOMEWORK, RESULTS, three)
    assert {method for method, _ in server.requests} == {"GET"}


THROTTLED = (403, "403 Forbidden (Rate Limit Exceeded)", {"X-Rate-Limit-Remaining": "0.0"})
FAULTS = [
    (500, {"errors": []}), (502, "<html>"), (503, "", {"Retry-After": "7"}), THROTTLED,
    (429, "429 Too Many Requests", {"Retry-After": "3"}), DROPPED, DONE_AND_DROPPED, TORN, (200, "[{"), (200, '"?"'),
]  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS, ids=str)
@pytest.mark.parametrize("at", range(6))
def test_one_fault_anywhere_changes_nothing(server, three, fault, at):
    server.fault = lambda method, path: fault if len(server.requests) == at + 1 and method != "RUN" else None
    found = canvas.push(server.connection(), HOMEWORK, RESULTS, three)
    assert server.scores() == {11: 34.25, 12: 50.0, 13: 0.0} and found.complete
    assert server.sleeps


def test_the_pause_is_what_the_server_asks_for_or_grows(server, three):
    faults = iter([(429, "", {"Retry-After": "33"}), THROTTLED, (500, ""), (500, "")])
    server.fault = lambda method, path: next(faults, None)
    canvas.push(server.connection(), HOMEWORK, RESULTS, three, dry_run=True)
    assert server.sleeps == [33.0, 2.0, 4.0, 8.0]


@pytest.mark.parametrize("fault", [DONE_AND_DROPPED, TORN])
def test_an_answer_that_is_lost_is_followed_by_a_look_and_not_by_a_repeat(server, three, fault):
    server.fault = lambda method, path: fault if method == "POST" else None
    server.in_time = lambda: True
    assert canvas.push(server.connection(), HOMEWORK, RESULTS, three).complete
    assert sum(method == "POST" for method, _ in server.requests) == 1 and len(server.writes) == 3


def test_scores_that_were_refused_because_of_the_rate_are_sent_again_up_to_a_limit(server, three):
    server.fault = lambda method, path: THROTTLED if method == "POST" else None
    found = canvas.push(server.connection(), HOMEWORK, RESULTS, three)
    assert found.left == ("jane", "max", "zoe") and "ask so often" in found.notes[0]
    posts = [at for at, (method, _) in enumerate(server.requests) if method == "POST"]
    assert posts[:6] == list(range(3, 9)) and len(posts) == 18


def test_a_server_that_is_silent_is_asked_again(server, three):
    faults = iter([None, SILENT])
    server.fault = lambda method, path: next(faults, None)
    found = canvas.push(server.connection(timeout=(5, 0.2)), HOMEWORK, RESULTS, three)
    assert found.complete and len(server.scores()) == 3


def test_a_job_that_never_ends_is_given_up_and_named(server, three):
    server.run = lambda progress: None
    found = canvas.push(server.connection(), HOMEWORK, RESULTS, three)
    assert found.left == ("jane", "max", "zoe") and not found.complete and found.changed == ()
    assert any("within 10 minutes" in note for note in found.notes) and max(server.sleeps) <= 10


def test_whom_canvas_does_not_grade_is_named_and_a_second_call_finishes(server, three):
    server.unknown = {12}
    found = canvas.push(server.connection(), HOMEWORK, RESULTS, three)
    assert found.left == ("max",) and (found.filled, found.changed) == (2, ())
    assert "Couldn't find User" in found.notes[0] and TOKEN not in found.notes[0]
    server.unknown = set()
    again = canvas.push(server.connection(), HOMEWORK, RESULTS, three)
    assert again.complete and [user for user, *_ in server.writes] == [11, 13, 12]


def test_a_token_that_expires_on_the_way_leaves_the_rest_to_be_named(server, three):
    ended = (401, {"errors": []}, {"WWW-Authenticate": "Bearer"})
    server.fault = lambda method, path: ended if method == "POST" else None
    found = canvas.push(server.connection(), HOMEWORK, RESULTS, three)
    assert found.left == ("jane", "max", "zoe") and "make a new one" in found.notes[0]
    assert sum(method == "POST" for method, _ in server.requests) == 1


@pytest.mark.slow(seconds=10)
def test_ten_thousand_students_among_faults_each_get_their_score_and_nothing_twice(server, roster):
    draw = random.Random(11)
    count = 10_000
    users = draw.sample(range(10**6, 10**7), count)
    scores = {user: draw.randrange(401) / 4 for user in users}
    stood = {}
    for user in users:
        before = draw.choice([None, None, 7.0, scores[user]])
        server.add(user, f"Student {user}", before)
        if before is not None:
            stood[user] = before
    for user in range(1, 51):
        server.add(user, f"Stranger {user}", 1.5)
    before = {user: {**one, "score": 0, "grade": 0} for user, one in server.submissions.items()}
    people = roster("id,canvas_id\n" + "".join(f"s{user},{user}\n" for user in users))
    faults = Counter()

    def fault(method, path):
        if draw.random() >= 0.1:
            return None
        kind = "failed" if method == "RUN" else draw.choice(FAULTS)
        faults[str(kind), method] += 1
        return kind

    server.fault, server.in_time = fault, lambda: draw.random() < 0.5
    results = {f"s{user}": result(f"s{user}", scores[user]) for user in users}
    found = canvas.push(server.connection(), HOMEWORK, results, people)
    assert (found.filled, found.left, found.unknown, found.notes) == (count, (), (), ())
    assert found.stood == sum(stood.get(user) == scores[user] for user in users)
    assert len(found.missing) == 50
    server.fault = lambda method, path: None
    server.finish()
    assert server.scores() == {**scores, **dict.fromkeys(range(1, 51), 1.5)}
    assert {user: {**one, "score": 0, "grade": 0} for user, one in server.submissions.items()} == before
    assert all(float(grade) == scores[user] for user, grade, _ in server.writes)
    assert server.needless == []
    written = Counter(user for user, *_ in server.writes)
    lost = sum(faults[kind, "POST"] for kind in (DONE_AND_DROPPED, TORN))
    assert lost > 0 and written.total() - len(written) <= 100 * lost
    assert {kind for kind, _ in faults} == {*map(str, FAULTS), "failed"}


# ---- the way there


@pytest.mark.parametrize(
    "text, read",
    [
        ("https://canvas.uni.edu/courses/7/assignments/8", "https://canvas.uni.edu/courses/7/assignments/8"),
        (
            " https://canvas.uni.edu/courses/7/assignments/8/edit?x=1#y ",
            "https://canvas.uni.edu/courses/7/assignments/8",
        ),
        ("https://c.uni.edu:8443/courses/7/assignments/8?a=b", "https://c.uni.edu:8443/courses/7/assignments/8"),
        ("http://localhost:3000/courses/7/assignments/8", "http://localhost:3000/courses/7/assignments/8"),
        ("http://[::1]:3000/courses/7/assignments/8", "http://[::1]:3000/courses/7/assignments/8"),
        ("https://canvas.uni.edu/courses/1~7/assignments/1~8", "https://canvas.uni.edu/courses/1~7/assignments/1~8"),
    ],
)
def test_an_address_is_read_as_the_browser_shows_it(text, read):
    assert str(address_of(text)) == read


@pytest.mark.parametrize(
    "text, why",
    [
        ("http://canvas.uni.edu/courses/7/assignments/8", "write https://"),
        ("http://127.0.0.1.evil.edu/courses/7/assignments/8", "write https://"),
        ("https://canvas.uni.edu/courses/7", "copy it from the browser"),
        ("https://canvas.uni.edu/courses/7/assignments/8x", "copy it from the browser"),
        ("https://me:hunter2@canvas.uni.edu/courses/7/assignments/8", "copy it from the browser"),
        ("https://canvas.uni.edu:x/courses/7/assignments/8?access_token=hunter2", "copy it from the browser"),
        ("ftp://canvas.uni.edu/courses/7/assignments/8", "copy it from the browser"),
        ("canvas", "copy it from the browser"),
    ],
)
def test_another_address_is_refused(text, why):
    with pytest.raises(CourseError, match=why) as refused:
        address_of(text)
    assert "hunter2" not in str(refused.value)


def test_the_token_comes_from_the_environment_or_a_file(tmp_path):
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    assert token_of({"CANVAS_TOKEN": f" {TOKEN} "}) == TOKEN == token_of({"CANVAS_TOKEN_FILE": str(tmp_path / "token")})
    for wrong in ("", "two hunter2", "hunter2\nx", "hunter2ü"):
        with pytest.raises(CourseError, match="no token") as refused:
            token_of({"CANVAS_TOKEN": wrong})
        assert "hunter2" not in str(refused.value)
    with pytest.raises(CourseError, match="cannot be read"):
        token_of({"CANVAS_TOKEN_FILE": str(tmp_path / "none")})


@pytest.mark.parametrize(
    "answer, why",
    [
        ((401, {"errors": []}, {"WWW-Authenticate": "Bearer"}), "does not know the token"),
        ((401, "no json", {"WWW-Authenticate": "Bearer"}), "does not know the token"),
        ((401, {"errors": []}), "may not do this"),
        ((403, {"errors": []}), "may not do this"),
        ((404, "<html>"), "no such course or assignment"),
        ((302, "", {"Location": "http://127.0.0.1:9/api/v1/x"}), "leads to another address"),
        ((400, {"errors": []}), "HTTP 400"),
    ],
)
def test_what_will_not_go_well_another_time_is_one_sentence_at_once(server, three, answer, why):
    server.fault = lambda method, path: answer
    with pytest.raises(CourseError, match=why) as refused:
        canvas.push(server.connection(), HOMEWORK, RESULTS, three)
    assert len(server.requests) == 1 and server.sleeps == [] and TOKEN not in str(refused.value)


@pytest.mark.parametrize("answer, why", [((500, ""), "HTTP 500"), (DROPPED, "cannot be reached"), (TORN, "torn")])
def test_a_server_that_never_recovers_is_given_up(server, three, answer, why):
    server.fault = lambda method, path: answer
    with pytest.raises(CourseError, match=why):
        canvas.push(server.connection(), HOMEWORK, RESULTS, three)
    assert 1 < len(server.requests) < 10 and server.scores() == {12: 5.0}


def test_a_server_that_is_not_there_is_one_sentence(server, three):
    line = server.connection()
    server.server.shutdown()
    server.server.server_close()
    with pytest.raises(CourseError, match="cannot be reached"):
        canvas.push(line, HOMEWORK, RESULTS, three)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificate")
def test_a_wrong_certificate_is_one_sentence_and_gets_no_token(server, three, tmp_path, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "*")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost",
         "-keyout", tmp_path / "key", "-out", tmp_path / "cert"], check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert", tmp_path / "key")
    server.server.socket = context.wrap_socket(server.server.socket, server_side=True)
    server.server.handle_error = lambda *_: None
    server.address = server.address.replace("http://", "https://")
    with pytest.raises(CourseError, match="certificate is not valid"):
        canvas.push(server.connection(), HOMEWORK, RESULTS, three)
    assert server.requests == []


def test_a_next_page_elsewhere_gets_no_token(server, three):
    server.base = "http://127.0.0.1:9"
    for user in range(20, 200):
        server.add(user)
    canvas.push(server.connection(), HOMEWORK, RESULTS, three)
    assert server.scores() == {11: 34.25, 12: 50.0, 13: 0.0}


# ---- the command


@pytest.fixture
def root(tmp_path, three, server, monkeypatch):
    """The folder of a course with three results."""
    root = tmp_path / "course"
    (root / "hw1").mkdir(parents=True)
    for name in ("course.toml", "hw1/homework.toml"):
        (root / name).write_bytes((COURSE.root / name).read_bytes())
    shutil.copy(tmp_path / "roster.csv", root)
    for one in RESULTS.values():
        record.write(one, root / "results")
    monkeypatch.setenv("CANVAS_TOKEN", TOKEN)
    return root


def exported(root, *options):
    return CliRunner().invoke(app, ["export", "hw1", *options, "--course", str(root)])


def test_the_command_pushes_and_tells(root, server, caplog):
    caplog.set_level("DEBUG")
    files = {path: path.read_bytes() for path in root.rglob("*.*")}
    dry = exported(root, "--to", "canvas", "--push", server.address, "--dry-run")
    assert dry.exit_code == 0 and server.writes == []
    assert dry.output.endswith("3 of 3 scores in the column Homework 1: nothing was written, 0 stood there already\n")
    done = exported(root, "--to", "canvas", "--push", server.address)
    assert done.exit_code == 0, done.output
    assert done.output == (
        "max: 5.0 stood there; now 50\n3 of 3 scores in the column Homework 1: pushed, 0 stood there already\n"
    )
    assert {path: path.read_bytes() for path in root.rglob("*.*")} == files
    assert TOKEN[-4:] not in done.output + dry.output + caplog.text


def test_who_could_not_be_pushed_is_exit_code_1(root, server, monkeypatch):
    monkeypatch.setattr("autograder.exporting.connection.Connection.rest", lambda self, times: None)
    monkeypatch.setattr("autograder.exporting.connection.Connection.grade", lambda self, scores: "no")
    done = exported(root, "--to", "canvas", "--push", server.address)
    assert done.exit_code == 1 and "zoe: not pushed; the same command pushes what is missing" in done.output


@pytest.mark.parametrize(
    "options", [("--to", "moodle"), ("--to", "canvas", "--into", "x.csv"), ("--to", "canvas", "--out-file", "x.csv")]
)
def test_a_push_with_a_file_is_a_wrong_call(root, server, options):
    assert exported(root, *options, "--push", server.address).exit_code == 2 and server.requests == []


def test_without_the_library_one_sentence_says_what_to_install(root, server, monkeypatch):
    monkeypatch.setitem(sys.modules, "canvasapi.requester", None)
    done = exported(root, "--to", "canvas", "--push", server.address)
    assert done.exit_code == 2 and "pip install canvasapi" in done.output


def test_without_a_token_nothing_is_asked(root, server, monkeypatch):
    monkeypatch.delenv("CANVAS_TOKEN")
    done = exported(root, "--to", "canvas", "--push", server.address)
    assert done.exit_code == 2 and "CANVAS_TOKEN" in done.output and server.requests == []
