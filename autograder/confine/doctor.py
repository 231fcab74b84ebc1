"""The doctor: what this machine can do to confine student code, proven by attacks, and what would make it stronger."""

from __future__ import annotations

from dataclasses import dataclass

from autograder.confine import canary, jail
from autograder.confine.attacks import ATTACKS
from autograder.confine.canary import Outcome
from autograder.confine.confinement import Confinement, Tier

_MEANING = {
    Tier.A: "namespaces, private root, Landlock, seccomp, and a control group that caps memory and processes",
    Tier.B: "as tier A, but memory is watched and not capped, as no control group can be made",
    Tier.C: "Landlock and seccomp, memory watched; no namespaces and no private root",
    Tier.NONE: "no confinement: student code runs with all the rights of whoever grades",
}


@dataclass(frozen=True)
class Report:
    """What was found, and how every attack ended."""

    confinement: Confinement
    outcomes: tuple[Outcome, ...]

    @property
    def open(self) -> tuple[Outcome, ...]:
        """The attacks that got through and are not known to in this tier."""
        return tuple(outcome for outcome in self.outcomes if not outcome.stopped and not outcome.expected)

    @property
    def healthy(self) -> bool:
        """Whether student code is confined, and every attack ended as it has to."""
        return self.confinement.tier is not Tier.NONE and not self.open


def examine(force: Tier | None = None) -> Report:
    """Find the tier and run every attack in it. Without confinement none is run: some would do harm."""
    confinement = jail.probe(force)
    if confinement.tier is Tier.NONE:
        return Report(confinement, ())
    with canary.exposed() as exposed:
        return Report(confinement, tuple(canary.run(confinement, attack, exposed) for attack in ATTACKS))


def render(report: Report) -> str:
    """The report as plain lines for a person."""
    confinement = report.confinement
    lines = [f"tier {confinement.tier.value}: {_MEANING[confinement.tier]}", ""]
    for finding in confinement.findings:
        lines.append(f"{'works ' if finding.works else 'absent'}  {finding.layer}: {finding.detail}")
        if finding.remedy:
            lines.append(f"        to change that: {finding.remedy}")
    if not report.outcomes:
        lines += ["", "no attack was run: nothing here would stop it"]
        return "\n".join(lines)
    stopped = sum(outcome.stopped for outcome in report.outcomes)
    lines += ["", f"{stopped} of {len(report.outcomes)} attacks stopped"]
    for outcome in report.outcomes:
        if outcome.stopped:
            continue
        known = f"known: {outcome.attack.because}" if outcome.expected else "NOT EXPECTED, please report it"
        lines.append(f"open    {outcome.attack.name} ({known})\n        {outcome.evidence}")
    return "\n".join(lines)
