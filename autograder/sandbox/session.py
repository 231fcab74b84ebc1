"""A session: runs one submission's notebook in the sandbox and makes forks of it for the hidden tests."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext, suppress
from typing import Protocol

import msgspec

from autograder.constants import SEED, UNHEARD, output_cost
from autograder.course.course import Limits
from autograder.results.result import Incident, Output
from autograder.sandbox.lines import WORTH, ForkLine, SharedForkLine, standing
from autograder.sandbox.patience import Patience, Waiting
from autograder.sandbox.process import Died, Process
from autograder.sandbox.sentences import how_it_ended
from autograder.sandbox.student_error import StudentError
from autograder.sandbox.wire.channel import Channel, pair
from autograder.sandbox.wire.messages import Execute, Finished, Forbid, Fork, Put, Ran, Shown, encode
from autograder.sandbox.wire.values import MAX_ANSWER
from autograder.sandbox.wire.wire_error import Late, WireError
from autograder.sandbox.zygote_client import SandboxLost, Zygote

_GRACE = 1.0
"""seconds that an interrupted cell has to end by itself"""
_MOMENT = 1.0
"""seconds that a cell of the student's own has, even if its share is used up"""
_PUT = 10.0
"""seconds for sending the student's own files"""
_STARTS = 10
"""how often a notebook is started at most if its cells end the process"""
_SLACK = 2**18
"""bytes of output beyond the limit at which a process that ignores the limit is ended"""
_NEARLY = 2**16
"""bytes of room that may be left where output was cut off: characters take a different number of bytes"""
_MOST_HEARD = 4 * 2**20
"""most bytes of texts that are kept of what runs and stands in no cell"""
_MOST_OUTPUTS = 20_000
"""most outputs that are kept; even empty outputs need memory"""


class RunCell(Protocol):
    """A cell to run, for example a submission.GradableCell."""

    @property
    def id(self) -> str: ...
    @property
    def source(self) -> str: ...
    @property
    def skip(self) -> bool: ...
    @property
    def tested(self) -> bool:
        """Whether hidden tests belong to this cell."""

    @property
    def own(self) -> bool:
        """Whether it is one of the student's own cells, beside those of the homework."""


class Session:
    """One submission in the sandbox.

    `run` runs the cells. If a cell ends the process (a crash, `os._exit`, too much memory), the notebook is started
    again without that cell, so that the other cells keep their points. Then `fork` returns a line to a new fork of the
    finished notebook, and `turn` returns a line to a fork that tests share. Leaving the context raises SandboxLost if
    the sandbox has failed, because the result is then invalid.
    """

    def __init__(
        self,
        zygote: Zygote,
        limits: Limits,
        cells: Sequence[RunCell],
        shut: Sequence[str] = (),
        files: Mapping[str, bytes] | None = None,
    ) -> None:
        """`files` are put into the work folder: relative path and content. `shut` are the forbidden tools."""
        self.incidents: list[Incident] = []
        self.outputs: list[Output] = []
        self.ran: dict[Ran, None] = {}
        """what ran and stands in no cell, each once"""
        self._room_heard = _MOST_HEARD
        self.cpu_seconds = 0.0
        self.peak_memory_mb = 0.0
        self._zygote, self._limits, self._shut = zygote, limits, list(shut)
        self._files = dict(files or {})
        self._cells = [cell for cell in cells if not cell.skip]
        self._left_out: set[str] = set()
        self._last_ended = ""
        self._starts = 0
        self._forks = 0
        self._seconds = 0.0
        self._process: Process | None = None
        self._shared: ForkLine | None = None
        self._waiting = Waiting(limits.total_seconds, self._waited)
        self._begin_cells(limits.total_seconds)
        self._tests: Patience | None = None
        self._lost = ""

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *why: object) -> None:
        lost = self._lost or (self._process.lost if self._process is not None else "")
        self._end()
        if lost:
            raise SandboxLost(lost)

    def _waited(self) -> float:
        return self._process.waited() if self._process is not None else 0.0

    def _hear(self, ran: Ran) -> None:
        if ran in self.ran or self._room_heard < 0:
            return
        self._room_heard -= len(ran.text) + 200
        if ran.line not in standing(next((cell.source for cell in self._cells if cell.id == ran.cell), "")):
            ran = msgspec.structs.replace(ran, cell="", line=0)  # a place could hand on what was asked
        self.ran[ran if self._room_heard >= 0 else Ran("use", UNHEARD.encode())] = None

    # ---- running the notebook

    def _begin_cells(self, seconds: float) -> None:
        """Give the cells a budget. The student's own cells have at most half of it: exercises come first."""
        self._patience, self._experiments = Patience(seconds), Patience(seconds / 2)
        self._moments = Patience(seconds / 4)

    def run(self) -> None:
        """Run all cells. If a cell ends the process, start again without that cell."""
        while self._starts < _STARTS and self._process is None:
            self._starts += 1
            self._process = Process(self._zygote, self._limits, self._hear)
            self.outputs.clear()
            self._prepare(self._process)
            for cell in self._cells:
                if self._starts == _STARTS and cell.id == self._last_ended:
                    text = f"Your Python process ended {_STARTS - 1} times, so no cell from ‘{cell.id}’ on was run."
                    self._add_incident("crash", "", text)
                    break  # the cells above it have run before without ending the process
                if cell.id not in self._left_out and not self._run_cell(cell):
                    break

    def _prepare(self, process: Process) -> None:
        needed = (Forbid(self._shut), self._shut), (Put(self._files), self._files)
        for order in (order for order, given in needed if given):
            with suppress(Died, WireError):  # the first cell finds that out
                process.send(encode(order), time.monotonic() + _PUT)

    def _run_cell(self, cell: RunCell) -> bool:
        """Run one cell. Returns False if its process ended or had to be ended; the cell is then left out."""
        assert self._process is not None
        try:
            self._execute(self._process, cell)
            return True
        except Died as died:
            self._add_incident(*how_it_ended(died.ended, cell.id, self._limits))
        except Late:
            self._budget(cell).hang()
            self._add_incident("timeout", cell.id, self._too_long(cell) + "could not be stopped, so it was left out.")
        except WireError as error:
            text = f"Cell ‘{cell.id}’ disturbed the connection to the grader ({error}), so it was left out."
            self._add_incident("protocol", cell.id, text)
        self._left_out.add(cell.id)
        self._last_ended = cell.id
        self._end()
        return False

    def _execute(self, process: Process, cell: RunCell) -> None:
        """Run one cell and collect its outputs. Raises Late if it cannot be stopped, Died if it ends the process."""
        seconds = self._patience.seconds(self._limits.cell_seconds)
        self._seconds = seconds
        if cell.own:  # one that only defines a helper always runs
            moment = self._moments.seconds(_MOMENT)
            self._seconds = min(seconds, max(moment, self._experiments.seconds(seconds)))
        if self._seconds <= 0:
            self._out_of_time(cell)
            return
        own = self._experiments if not self._experiments.used_up else self._moments
        with self._patience.spending(), own.spending() if cell.own else nullcontext():
            self._carry_out(process, cell)

    def _budget(self, cell: RunCell) -> Patience:
        return self._experiments if cell.own else self._patience

    def _carry_out(self, process: Process, cell: RunCell) -> None:
        room = self._limits.output_mb * 2**20 - sum(map(_cost, self.outputs))
        nonce, stop = os.urandom(16), time.monotonic() + self._seconds
        process.send(encode(Execute(nonce, cell.id, cell.source, max(room, 0), cell.tested)), stop)
        interrupts = 0
        while True:
            try:
                report = process.receive(stop)
            except Late:
                if not interrupts and (more := self._waiting.more()) > WORTH:
                    stop += more
                    self._patience.left += more
                    if cell.own:
                        self._experiments.left += more
                    continue
                interrupts += 1
                if interrupts > 2:
                    raise
                process.tell(b"interrupt")
                stop = time.monotonic() + _GRACE
                continue
            match report:
                case Shown(nonce=echo) if echo == nonce:
                    room -= _cost(report)
                    if room < -_SLACK:
                        raise WireError("it printed far more than the grader keeps")
                    if len(self.outputs) < _MOST_OUTPUTS:
                        shown = Output(cell=cell.id, kind=report.kind, text=report.text, png=report.png, alt=report.alt)
                        self.outputs.append(shown)
                case Finished(nonce=echo) if echo == nonce:
                    break
                case _:
                    continue
        if interrupts:
            self._budget(cell).hang()
            self._add_incident("timeout", cell.id, self._too_long(cell) + "was stopped.")
        full = room <= _NEARLY or len(self.outputs) >= _MOST_OUTPUTS
        if full and not any(incident.kind == "output" for incident in self.incidents):
            most = f"{self._limits.output_mb} MB or {_MOST_OUTPUTS} outputs"
            self._add_incident("output", cell.id, f"Cell ‘{cell.id}’ printed more than {most}; the rest was not kept.")

    def _too_long(self, cell: RunCell) -> str:
        if cell.own and self._experiments.used_up and not self._patience.used_up:
            most = f"{self._limits.total_seconds / 2:g} seconds"
            had = f"cell ‘{cell.id}’ had {self._seconds:.3g} seconds and "
            return f"The cells that you added used up their {most}; so {had}"
        return f"Cell ‘{cell.id}’ ran for more than {self._seconds:.3g} seconds (an endless loop?) and "

    def _out_of_time(self, cell: RunCell) -> None:
        if not self._patience.used_up:  # one of the student's own cells, when their share is gone
            half = f"{self._limits.total_seconds / 2:g} seconds"
            text = f"The cells that you added used up their {half}, so your cell ‘{cell.id}’ was not run."
            if not any("was not run" in incident.note for incident in self.incidents):
                self._add_incident("timeout", cell.id, text)
            return
        most = f"{self._limits.total_seconds:g} seconds"
        text = f"Your notebook used up its {most}, so no cell from ‘{cell.id}’ on was run."
        if not any(incident.cell == "" and incident.kind == "timeout" for incident in self.incidents):
            self._add_incident("timeout", "", text)

    def _add_incident(self, kind: str, cell: str, note: str) -> None:
        incident = Incident(kind=kind, cell=cell, note=note)  # type: ignore[arg-type]
        if incident not in self.incidents:
            self.incidents.append(incident)

    # ---- forks for the hidden tests

    def turn(self, cell: str = "", seed: int = SEED) -> SharedForkLine:
        """A line for one test of a grade cell to the fork that tests share. A new fork is made if that one has ended.

        Raises the same errors as `fork`.
        """
        shared = self._shared
        if shared is None or not shared.begin(seed, cell):
            shared = self._shared = self.fork(cell, seed)
        return SharedForkLine(shared)

    def fork(self, cell: str = "", seed: int = SEED) -> ForkLine:
        """A line to a new fork of the finished notebook. If a test has ended the process, the notebook runs again.

        With a grade cell whose visible check has passed, the notebook's names are those after that check: a later cell
        may have given them to something else. Otherwise they are those at the end.

        Raises StudentError if no fork can be made, SandboxLost on an infrastructure failure.
        """
        self._close_shared()  # processes that it left running would disturb the new fork
        if self._tests is None:  # whatever the cells used up, half of the time is left for the tests
            self._tests = Patience(max(self._patience.left, self._limits.total_seconds / 2))
        try:
            self._ensure_running()
        except SandboxLost as lost:
            self._lost = str(lost)  # for __exit__: pytest records this exception only as a failed test
            raise
        if self._process is None:
            raise StudentError("Crash", "your notebook's process ended too often to be started again")
        if self._tests is None or self._tests.used_up:
            raise StudentError("TimeoutError", "the tests of your notebook had used up their time before this test")
        self._forks += 1
        self._process.forks.add(self._forks)
        near, far = pair()
        order = Fork(os.urandom(16), self._forks)
        try:
            self._process.send(encode(order), time.monotonic() + self._tests.left, (far.fileno(),))
        except (WireError, Died) as error:
            raise StudentError("Crash", f"your notebook's process does not answer ({error})") from None
        finally:
            far.close()
        channel, sources = Channel(near, MAX_ANSWER), {cell.id: cell.source for cell in self._cells}
        line = ForkLine(self._tests, self._waiting, self._process, self._forks, channel, self._limits, sources)
        line.begin(seed, cell)  # if that fails, the first question tells why
        return line

    def _ensure_running(self) -> None:
        if self._process is not None:
            try:
                self._process.check()
            except Died as died:
                self._add_incident(*how_it_ended(died.ended, "", self._limits))
                self._end()
                if self._tests is not None:  # the cells run again, at the cost of the tests
                    self._begin_cells(self._tests.left)
                    with self._tests.spending():
                        self.run()

    def _close_shared(self) -> None:
        if self._shared is not None:
            self._shared.close()
            self._shared = None

    def _end(self) -> None:
        self._close_shared()
        if self._process is not None:
            ended = self._process.close()
            self.cpu_seconds += ended.cpu_seconds
            self.peak_memory_mb = max(self.peak_memory_mb, ended.peak_memory_mb)
            self._process = None


def _cost(shown: Output | Shown) -> int:
    return output_cost(shown.text + shown.alt, shown.png)
