"""The class page: the class report, and the comparison of homeworks, as HTML files without scripts."""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Iterable, Sequence

import jinja2

from autograder.insight import charts, homework_comparison, items
from autograder.insight.class_report import Case, ClassReport, Flag, Person
from autograder.insight.homework_comparison import Comparison
from autograder.results import templating
from autograder.results.plain_text import points_text
from autograder.results.templating import short

_NAMED = 12
"""how many students a list on the page names; the JSON has all"""
_MISTAKES, _CASES, _CLUSTERS = 60, 100, 20
"""how many rows of these tables are shown"""
_KINDS = {
    "reversed": "strong students fail, weak ones pass",
    "hard": "too hard",
    "blind": "says nothing about a student",
    "nobody-passes": "nobody passes",
    "everybody-passes": "nobody fails",
    "same": "says the same as another",
}
_SPARED = "everybody-passes"
"""the kind of remark that most tests get in a class that did well: one entry of the page has all of a notebook"""


def html(report: ClassReport) -> str:
    """The page of one homework; it names students, unless small numbers are hidden in the report."""
    return _template("class.html").render(
        report=report,
        absent=_absent(report.least),
        distribution=charts.distribution(report.bins, report.scores, report.maximum),
        distribution_text=charts.distribution_text(report.scores, report.maximum, report.bins),
        outcomes=charts.outcomes(report.exercises),
        map_of_exercises=charts.map_of_exercises(report.exercises),
        alarms=[one for one in report.flags if one.alarm],
        remarks=[one for one in report.flags if not one.alarm and one.kind != _SPARED],
        spared=_by_notebook(one for one in report.flags if one.kind == _SPARED),
        mistakes=report.mistakes[:_MISTAKES],
        clusters=(report.clusters or ())[:_CLUSTERS],
        waiting=_by_exercise(report.waiting),
        attempts=report.attempts[:_CASES],
        damaged=list(report.damaged.items())[:_CASES],
        hard=items.HARD,
        alpha=items.ALPHA,
        useful=items.USEFUL,
        few=items.FEW,
    )


def comparison_html(found: Comparison) -> str:
    """The page of several homeworks."""
    return _template("homeworks.html").render(
        found=found,
        absent=_absent(found.least),
        boxes=charts.boxes([(one.homework, one.maximum, one.scores) for one in found.homeworks]),
        title=" and ".join(filter(None, [", ".join(one.homework for one in found.homeworks[:-1]), _last(found)])),
        needs=found.needs[: 3 * _CASES],
        fall=homework_comparison.FALL,
        low=homework_comparison.LOW,
        several=homework_comparison.SEVERAL,
        few=items.FEW,
    )


def _last(found: Comparison) -> str:
    return found.homeworks[-1].homework if found.homeworks else ""


def _by_exercise(cases: Iterable[Case]) -> list[tuple[tuple[str, str], list[Person]]]:
    """Who waits: by the exercise and by what for."""
    found: defaultdict[tuple[str, str], list[Person]] = defaultdict(list)
    for one in cases:
        found[f"{one.notebook}/{one.cell}", one.why].append(one.person)
    return sorted(found.items(), key=lambda entry: (-len(entry[1]), entry[0]))


def _by_notebook(flags: Iterable[Flag]) -> dict[str, dict[str, list[Flag]]]:
    """Flags of tests by notebook and exercise, in the order in which they come."""
    found: dict[str, dict[str, list[Flag]]] = {}
    for one in flags:
        found.setdefault(one.notebook, {}).setdefault(one.cell, []).append(one)
    return found


def _template(name: str) -> jinja2.Template:
    return _templates().get_template(name)


@functools.cache
def _templates() -> jinja2.Environment:
    environment = templating.environment("autograder.insight", "autograder.results")
    environment.filters |= {
        "points": _points,
        "per_cent": _per_cent,
        "correlation": _correlation,
        "called": _called,
        "some": _some,
        "people": charts.people,
        "kind": lambda kind: _KINDS.get(kind, kind),
    }
    return environment


def _absent(least: int) -> str:
    """What stands in place of a number that is not there."""
    return "not shown" if least else "cannot be told"


@jinja2.pass_context
def _points(context: jinja2.runtime.Context, value: float | None) -> str:
    return str(context["absent"]) if value is None else points_text(value)


@jinja2.pass_context
def _per_cent(context: jinja2.runtime.Context, share: float | None) -> str:
    return str(context["absent"]) if share is None else f"{100 * share:.0f} %"


@jinja2.pass_context
def _correlation(context: jinja2.runtime.Context, value: float | None) -> str:
    return str(context["absent"]) if value is None else f"{value:.2f}".replace("-", "−")


def _called(person: Person) -> str:
    return f"{short(person.name, 80)} ({short(person.id, 80)})" if person.name else short(person.id, 80)


def _some(people: Sequence[Person]) -> str:
    """The first of these people, and how many more there are."""
    named = ", ".join(map(_called, people[:_NAMED]))
    return named + (f" and {len(people) - _NAMED} more" if len(people) > _NAMED else "")
