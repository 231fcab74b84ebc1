"""The confinement: every attack is stopped in every tier of this machine, and honest notebooks do not notice it."""

from __future__ import annotations

import os
import pickle
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from autograder.confine import canary, cgroup, doctor, jail, landlock
from autograder.confine.attacks import ATTACKS
from autograder.confine.canary import Canary
from autograder.confine.jail import Confinement, Finding, Tier
from autograder.course.course import Limits

pytestmark = [
    pytest.mark.slow(seconds=80, waits=True),
    pytest.mark.skipif(sys.platform != "linux", reason="confinement is for Linux"),
]

CONFINED = [Tier.A, Tier.B, Tier.C]
_probed: dict[Tier, Confinement] = {}


def _confinement(tier: Tier) -> Confinement:
    if tier not in _probed:
        _probed[tier] = jail.probe(tier)
    found = _probed[tier]
    if found.tier is not tier:
        pytest.skip(f"this machine has no tier {tier.value}: {[f.detail for f in found.findings if not f.works]}")
    return found


@pytest.fixture(params=CONFINED, ids=lambda tier: f"tier-{tier.value}")
def confinement(request: pytest.FixtureRequest) -> Confinement:
    return _confinement(request.param)


@pytest.fixture(params=[Tier.A, Tier.B], ids=lambda tier: f"tier-{tier.value}")
def private(request: pytest.FixtureRequest) -> Confinement:
    return _confinement(request.param)


@pytest.fixture
def exposed() -> Iterator[Canary]:
    with canary.exposed() as canaries:
        yield canaries


def _jailed(confinement: Confinement, body: Callable[[], None], limits: Limits | None = None) -> jail.Jailed:
    return jail.spawn(confinement, limits or Limits(), body, ())


def _wait(jailed: jail.Jailed, seconds: float = 20) -> int | None:
    """The wait status, or None when the job is still there after a generous time."""
    end = time.monotonic() + seconds
    while jailed.wait() is None and time.monotonic() < end:
        time.sleep(0.01)
    return jailed.wait()


def _tell(confinement: Confinement, question: Callable[[], object], limits: Limits | None = None) -> str:
    """What `question` gives inside a jail, as text."""
    reader, writer = os.pipe()

    def body() -> None:
        try:
            answer = str(question())
        except BaseException as error:
            answer = repr(error)
        os.write(writer, answer.encode())

    jailed = jail.spawn(confinement, limits or Limits(), body, (writer,))
    os.close(writer)
    with os.fdopen(reader) as stream:
        said = stream.read()
    jailed.close()
    return said


# ---- attacks --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
@pytest.mark.parametrize("tier", CONFINED, ids=lambda tier: f"tier-{tier.value}")
def test_an_attack_gets_nothing(tier: Tier, attack: canary.Attack, exposed: Canary) -> None:
    outcome = canary.run(_confinement(tier), attack, exposed)
    if outcome.expected:
        assert not outcome.stopped, f"no longer true: {attack.because}"
    else:
        assert outcome.stopped, outcome.evidence


HARMLESS_ALONE = {
    "find an inherited descriptor": "descriptors are closed without confinement too",
    "raise its limits": "limits are set without confinement too",
    "leave a core dump": "limits are set without confinement too",
    "make x32 system calls": "few kernels have them",
    "make 32-bit system calls": "some kernels lack them, and other processors",
}


@pytest.mark.parametrize(
    "attack", [a for a in ATTACKS if not a.greedy and a.name not in HARMLESS_ALONE], ids=lambda attack: attack.name
)
def test_an_attack_is_a_real_one(attack: canary.Attack, exposed: Canary) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root may do all of this when nothing stops it")
    outcome = canary.run(jail.probe(Tier.NONE), attack, exposed)
    assert not outcome.stopped, "it gets nothing even without confinement, so that stopping it proves nothing"


# ---- honest notebooks -----------------------------------------------------------------------------------------------

_HONEST = """
import os, sys
os.environ["OMP_NUM_THREADS"] = "1"
import torch
from autograder.confine import jail
from autograder.course.course import Limits
from autograder.confine.jail import Tier

confinement = jail.probe(Tier(sys.argv[1]))
if confinement.tier is not Tier(sys.argv[1]):
    sys.exit("no such tier here")
reader, writer = os.pipe()

def body():
    try:
        honest()
        os.write(writer, b"fine")
    except BaseException as error:
        import traceback
        os.write(writer, traceback.format_exc().encode())

def honest():
    import sklearn.datasets
    import torchvision
    assert sklearn.datasets.load_digits().data.shape == (1797, 64)
    torch.set_num_threads(2)
    torch.nn.functional.conv2d(torch.randn(8, 3, 64, 64), torch.randn(8, 3, 3, 3)).sum()
    import matplotlib
    matplotlib.use("agg")
    import matplotlib.pyplot as plt
    plt.plot([1, 2])
    plt.savefig("figure.png")
    torch.save({"w": torch.ones(3)}, "weights.pt")
    assert torch.load("weights.pt")["w"].sum() == 3
    import asyncio
    asyncio.run(asyncio.sleep(0))
    import concurrent.futures
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        assert list(pool.map(abs, [-1, -2])) == [1, 2]
    workers = 2 if confinement.private else 0
    data = torch.utils.data.TensorDataset(torch.arange(64.0))
    assert len(list(torch.utils.data.DataLoader(data, batch_size=8, num_workers=workers))) == 8

jailed = jail.spawn(confinement, Limits(), body, (writer,))
os.close(writer)
print(open(reader).read())
jailed.close()
"""


@pytest.mark.parametrize("tier", CONFINED, ids=lambda tier: f"tier-{tier.value}")
def test_an_honest_notebook_does_not_notice(tier: Tier) -> None:
    _confinement(tier)
    done = subprocess.run([sys.executable, "-c", _HONEST, tier.value], capture_output=True, text=True)
    assert done.stdout.strip() == "fine", done.stdout + done.stderr


def test_the_work_folder_is_home(confinement: Confinement) -> None:
    said = _tell(confinement, lambda: (str(Path.cwd()) == os.environ["HOME"], os.environ["USER"]))
    assert said == "(True, 'student')"


def test_the_environment_of_the_grader_stays_outside(confinement: Confinement, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COURSE_SECRET", "hunter2")
    assert _tell(confinement, lambda: os.environ.get("COURSE_SECRET")) == "None"


def test_the_machine_is_not_in_the_private_root(private: Confinement) -> None:
    here = Path(__file__).resolve()
    assert _tell(private, lambda: (here.exists(), Path("/home").exists(), Path("/var").exists())) == str((False,) * 3)


def test_the_private_root_is_read_only(private: Confinement) -> None:
    assert "Read-only file system" in _tell(private, lambda: Path("/new").mkdir())


def test_the_first_process_has_no_name_in_the_machine(private: Confinement) -> None:
    assert _tell(private, lambda: (os.getpid(), os.getuid() == 0, os.getgroups())) in (
        "(1, False, [])",
        "(1, False, [65534])",  # an ordinary user's groups cannot be dropped, but mean nothing inside
    )


def test_children_can_be_forked_killed_and_reaped(private: Confinement) -> None:
    def breed() -> int:
        child = os.fork()
        if child == 0:
            signal.pause()
        os.kill(child, signal.SIGKILL)
        return os.WTERMSIG(os.waitpid(child, 0)[1])

    assert _tell(private, breed) == str(int(signal.SIGKILL))


def test_unix_sockets_work_in_the_private_root(private: Confinement) -> None:
    def talk() -> bytes:
        with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
            server.bind("/tmp/here")
            server.listen()
            client.connect("/tmp/here")
            client.send(b"hello")
            return server.accept()[0].recv(9)

    assert _tell(private, talk) == "b'hello'"


# ---- the supervisor's side -------------------------------------------------------------------------------------------


def test_an_exit_code_arrives(confinement: Confinement) -> None:
    jailed = _jailed(confinement, lambda: os._exit(7))
    assert os.waitstatus_to_exitcode(_wait(jailed) or 0) == 7
    jailed.close()


def test_a_crash_arrives_as_its_signal(confinement: Confinement) -> None:
    import ctypes

    jailed = _jailed(confinement, lambda: print(ctypes.string_at(0)))
    assert os.WTERMSIG(_wait(jailed) or 0) == signal.SIGSEGV
    jailed.close()


def test_an_interrupt_is_a_keyboard_interrupt(confinement: Confinement) -> None:
    def body() -> None:
        try:
            os.write(writer, b".")
            time.sleep(60)
        except KeyboardInterrupt:
            os._exit(42)

    reader, writer = os.pipe()
    jailed = jail.spawn(confinement, Limits(), body, (writer,))
    os.close(writer)
    with os.fdopen(reader, "rb") as stream:
        stream.read(1)
        jailed.interrupt()
    assert os.waitstatus_to_exitcode(_wait(jailed) or 0) == 42
    jailed.close()


def test_kill_ends_a_job_that_ignores_every_signal(confinement: Confinement) -> None:
    def body() -> None:
        for number in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}:
            signal.signal(number, signal.SIG_IGN)
        children = [os.fork() for _ in range(3)]
        os.write(writer, b"." if all(children) else b"")
        time.sleep(60)

    reader, writer = os.pipe()
    jailed = jail.spawn(confinement, Limits(), body, (writer,))
    os.read(reader, 1)
    os.close(writer)
    jailed.kill()
    with os.fdopen(reader, "rb") as stream:
        assert stream.read() == b""  # nobody holds the other end any more
    assert os.WTERMSIG(jailed.wait() or 0) == signal.SIGKILL
    jailed.close()


def test_the_pidfd_tells_of_the_end(confinement: Confinement) -> None:
    import select

    jailed = _jailed(confinement, lambda: None)
    assert select.select([jailed.pidfd], [], [], 20)[0]
    jailed.close()


def test_a_job_dies_with_its_supervisor(
    confinement: Confinement, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))  # nobody is left to remove the work folder
    reader, writer = os.pipe()
    supervisor = os.fork()
    if supervisor == 0:
        os.close(reader)
        jail.spawn(confinement, Limits(), lambda: time.sleep(60), (writer,))
        os._exit(0)
    os.close(writer)
    os.waitpid(supervisor, 0)
    with os.fdopen(reader, "rb") as stream:
        assert stream.read() == b""  # comes back only when the job is dead: it held the other end
    if confinement.groups:
        cgroup.sweep(confinement.groups)


def test_memory_over_the_limit_is_seen_and_told(confinement: Confinement) -> None:
    def body() -> None:
        held = []
        while True:
            held.append(b"x" * 2**20)
            time.sleep(0.0005)

    jailed = _jailed(confinement, body, Limits(memory_mb=700))
    end = time.monotonic() + 30
    while not jailed.over_memory() and time.monotonic() < end:
        time.sleep(0.05)
    jailed.kill()
    assert jailed.over_memory()
    assert jailed.usage().peak_memory_mb > 500
    jailed.close()


def test_a_job_within_its_memory_is_not_accused(confinement: Confinement) -> None:
    jailed = _jailed(confinement, lambda: time.sleep(0.2))
    _wait(jailed)
    assert not jailed.over_memory()
    jailed.close()


def test_cpu_time_counts_children(confinement: Confinement) -> None:
    def body() -> None:
        child = os.fork()
        end = time.process_time() + 0.3
        while time.process_time() < end:
            pass
        if child == 0:
            os._exit(0)
        os.waitpid(child, 0)

    jailed = _jailed(confinement, body)
    _wait(jailed)
    jailed.kill()
    assert jailed.usage().cpu_seconds >= 0.55
    jailed.close()


def test_close_leaves_nothing_behind(confinement: Confinement, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    tmp_path.chmod(0o755)
    before = len(list(Path("/proc/self/fd").iterdir()))
    jailed = _jailed(confinement, lambda: time.sleep(60))
    groups = jailed._group.folders if jailed._group else ()
    jailed.close()
    jailed.close()
    assert list(tmp_path.iterdir()) == []
    assert [folder for folder in groups if folder.exists()] == []
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_files_of_a_job_over_its_disk_are_seen_without_a_private_root() -> None:
    def writing(files: int) -> Callable[[], None]:
        def body() -> None:
            for number in range(files):
                Path(f"part{number}").write_bytes(b"x" * 3 * 2**20)

        return body

    seen = []
    for files in (1, 2):
        jailed = _jailed(_confinement(Tier.C), writing(files), Limits(disk_mb=4))
        _wait(jailed)
        seen.append(jailed.over_disk())
        jailed.close()
    assert seen == [False, True]


def test_a_layer_that_fails_is_named(confinement: Confinement) -> None:
    from dataclasses import replace

    broken = replace(confinement, filters=(b"\xff" * 8,))
    with pytest.raises(jail.JailError, match="prctl 22"):
        jail.spawn(broken, Limits(), lambda: None, ())


# ---- finding out ----------------------------------------------------------------------------------------------------


def test_tiers_are_ordered() -> None:
    assert Tier.A.at_least(Tier.C)
    assert not Tier.C.at_least(Tier.B)


def test_a_confinement_can_be_sent_to_another_process(confinement: Confinement) -> None:
    assert pickle.loads(pickle.dumps(confinement)) == confinement


def test_the_virtual_environment_is_known_to_be_readable(confinement: Confinement) -> None:
    assert confinement.exposes(Path(sys.prefix) / "secret")
    assert not confinement.exposes(Path("/home/teacher/course/hidden"))


def test_a_kernel_without_landlock_is_no_confinement(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(landlock, "abi", lambda: 0)
    found = jail.probe()
    assert found.tier is Tier.NONE
    assert "Linux 5.13" in next(f.remedy for f in found.findings if f.layer == "Landlock")


def test_a_machine_without_control_groups_is_tier_b(monkeypatch: pytest.MonkeyPatch) -> None:
    def none() -> cgroup.Parents:
        raise cgroup.CgroupError("none is mounted")

    _confinement(Tier.B)
    monkeypatch.setattr(cgroup, "find_parents", none)
    found = jail.probe()
    assert (found.tier, found.findings[-1].detail) == (Tier.B, "none is mounted")


def test_a_machine_without_namespaces_is_tier_c(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused() -> None:
        raise PermissionError(1, "unshare: Operation not permitted")

    monkeypatch.setattr("autograder.confine.confined_child.leave_namespaces", refused)
    found = jail.probe()
    assert found.tier is Tier.C
    assert Finding("namespaces", False, "[Errno 1] unshare: Operation not permitted", found.findings[2].remedy) in (
        found.findings
    )


def test_version_2_groups_tell_a_memory_kill(tmp_path: Path) -> None:
    group = cgroup.Group(cgroup.Parents(2, str(tmp_path), str(tmp_path), str(tmp_path)), "job")
    (tmp_path / "job").mkdir()
    (tmp_path / "job" / "memory.events").write_text("low 0\nhigh 0\nmax 12\noom 1\noom_kill 1\n")
    (tmp_path / "job" / "cpu.stat").write_text("usage_usec 2500000\nuser_usec 1\n")
    (tmp_path / "job" / "memory.peak").write_text(f"{3 * 2**20}\n")
    assert (group.out_of_memory(), group.cpu_seconds(), group.peak_memory_mb()) == (True, 2.5, 3.0)


def test_the_report_names_the_tier_and_the_way_up() -> None:
    finding = Finding("cgroup", False, "none is mounted", "run as root")
    text = doctor.render(doctor.Report(Confinement(Tier.B, (finding,), _confinement(Tier.B).view), ()))
    assert text.startswith("tier B: ")
    assert "to change that: run as root" in text


def test_an_unexpected_hole_makes_the_machine_unhealthy() -> None:
    outcome = canary.Outcome(ATTACKS[0], "root:x:0:0", expected=False)
    report = doctor.Report(_confinement(Tier.B), (outcome,))
    assert not report.healthy
    assert "NOT EXPECTED" in doctor.render(report)
