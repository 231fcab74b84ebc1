"""The doctor: reports how well this machine confines student code, as tested by attacks, and how to improve it."""

from __future__ import annotations

from dataclasses import dataclass

from autograder.confine import canary, jail
from autograder.confine.attacks import ATTACKS
from autograder.confine.canary import Outcome
from autograder.confine.confinement import Confinement, Tier

_MEANING = {
    Tier.A: "namespaces, private root, Landlock, seccomp, and a control group that limits memory and processes",
    Tier.B: "like tier A, but without a control group: memory use is checked at intervals, not limited by the kernel",
    Tier.C: "Landlock and seccomp, without namespaces or a private root; memory use is checked at intervals",
    Tier.NONE: "no confinement: student code runs with all the rights of the user who runs the grader",
}


@dataclass(frozen=True)
class Report:
    """What was found on this machine, and the outcome of every attack."""

    confinement: Confinement
    outcomes: tuple[Outcome, ...]

    @property
    def open(self) -> tuple[Outcome, ...]:
        """The attacks that succeeded although this tier should stop them."""
        return tuple(outcome for outcome in self.outcomes if not outcome.stopped and not outcome.expected)

    @property
    def healthy(self) -> bool:
        """Whether student code is confined, and the tier stopped every attack that it should stop."""
        return self.confinement.tier is not Tier.NONE and not self.open


def examine(force: Tier | None = None) -> Report:
    """Find the tier and run every attack in it. Without confinement no attack runs, as some would do damage."""
    confinement = jail.probe(force)
    if confinement.tier is Tier.NONE:
        return Report(confinement, ())
    with canary.exposed() as exposed:
        return Report(confinement, tuple(canary.run(confinement, attack, exposed) for attack in ATTACKS))


def render(report: Report) -> str:
    """The report as lines of text for a person."""
    confinement = report.confinement
    lines = [f"tier {confinement.tier.value}: {_MEANING[confinement.tier]}", ""]
    for finding in confinement.findings:
        lines.append(f"{'works  ' if finding.works else 'missing'}  {finding.layer}: {finding.detail}")
        if finding.remedy:
            lines.append(f"         how to change that: {finding.remedy}")
    if not report.outcomes:
        lines += ["", "no attacks were run: nothing on this machine would stop them"]
        return "\n".join(lines)
    stopped = sum(outcome.stopped for outcome in report.outcomes)
    lines += ["", f"{stopped} of {len(report.outcomes)} attacks were stopped"]
    for outcome in report.outcomes:
        if outcome.stopped:
            continue
        known = f"known: {outcome.attack.because}" if outcome.expected else "NOT EXPECTED: please report this"
        lines.append(f"not stopped: {outcome.attack.name} ({known})\n             evidence: {outcome.evidence}")
    return "\n".join(lines)
