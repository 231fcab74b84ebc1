"""Sentences that tell a student how their process, or a fork of it, ended."""

from __future__ import annotations

import os
import signal

from autograder.constants import MOST_THREADS, THREADS_LEFT, TRAPPED
from autograder.course.course import Limits
from autograder.sandbox.spawning import Ended


def how_a_fork_ended(status: int, limits: Limits) -> str:
    """The sentence about a fork that ended with this wait status, without its full stop.

    A number that the code chooses itself is not told: it may have been asked something that nobody should learn.
    """
    if os.WIFSIGNALED(status):
        return _signal_sentence(os.WTERMSIG(status), limits)
    return _exit_sentence(os.WEXITSTATUS(status))


def _exit_sentence(number: int) -> str:
    if number == TRAPPED:
        return "your code used a tool that this notebook forbids"
    return "your code ended the Python process"


def _signal_sentence(number: int, limits: Limits) -> str:
    match number:
        case signal.SIGSEGV | signal.SIGBUS | signal.SIGILL | signal.SIGFPE | signal.SIGABRT:
            return f"your code crashed the Python process ({signal.Signals(number).name})"
        case signal.SIGKILL:
            return f"your process was killed, most likely because it used more than {limits.memory_mb} MB of memory"
        case signal.SIGXCPU:
            return f"your code used more than {limits.total_seconds:g} seconds of processor time"
        case signal.SIGXFSZ:
            return f"your code wrote more than {limits.disk_mb} MB to a file"
        case _:
            return "your code ended the Python process with a signal"


def how_it_ended(ended: Ended, cell: str, limits: Limits) -> tuple[str, str, str]:
    """The incident kind, the cell and the sentence about a submission's process that ended."""
    place = f"In cell ‘{cell}’, " if cell else "During a test, "
    match ended.reason:
        case "exit" if ended.number == THREADS_LEFT:
            return "exit", cell, f"{place}your code left more than {MOST_THREADS} threads running."
        case "exit" if cell:  # no trap is set while cells run
            return "exit", cell, f"{place}your code ended the Python process (exit code {ended.number})."
        case "exit":
            return "exit", cell, f"{place}{_exit_sentence(ended.number)}."
        case "signal":
            return "crash", cell, f"{place}{_signal_sentence(ended.number, limits)}."
        case "memory":
            return "memory", cell, f"{place}your code used more than {limits.memory_mb} MB of memory."
        case "disk":
            return "disk", cell, f"{place}your code wrote more than {limits.disk_mb} MB to its folder."
        case "time":
            return "timeout", cell, f"{place}your code used more than {limits.total_seconds:g} seconds."
        case _:
            return "internal", cell, f"The sandbox failed ({ended.note or ended.reason}). Please tell your instructor."
