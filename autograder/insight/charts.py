"""Charts for pages: drawn by matplotlib as SVG that stands in the page, with a text that states the data."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from markupsafe import Markup, escape

from autograder.insight.class_report import Bin, Count, ExerciseFigures, Scores
from autograder.insight.withholding import HIDDEN
from autograder.results.plain_text import counted, plain, points_text

_INK, _BLUE, _ORANGE = "#1e2329", "#0072b2", "#b34700"
_PARTS = (
    ("full", "full points", "#0072b2", ""),
    ("partly", "part of the points", "#8fc5e6", "//"),
    ("none", "none", "#e69f00", ".."),
    ("not_tried", "not tried", "#ffffff", ""),
)
"""of the colour-blind-safe palette of Okabe and Ito, each with a hatch of its own"""
_WIDTH = 4.2
"""inches; so narrow that its letters can be read on a phone"""


def distribution(bins: Sequence[Bin], scores: Scores, maximum: float) -> Markup:
    """A histogram of the scores, with a line at the median."""
    counts = [one.students if isinstance(one.students, int) else 0 for one in bins]
    with _figure(2.4) as (figure, axes):
        width = bins[0].high - bins[0].low
        axes.bar([one.low for one in bins], counts, width=width, align="edge", color=_BLUE, edgecolor="white")
        for one in bins:
            if not isinstance(one.students, int):
                axes.text(one.low + width / 2, 0, "?", ha="center", va="bottom")
        if scores.median is not None:
            axes.axvline(scores.median, color="white", linewidth=5)  # orange cannot be told from blue by lightness
            axes.axvline(scores.median, color=_ORANGE, linestyle="--", linewidth=2)
            axes.annotate(
                "median", (scores.median, 1), xycoords=("data", "axes fraction"), xytext=(-3, 3),
                textcoords="offset points", color=_ORANGE, ha="center",
            )  # fmt: skip
        axes.set(xlabel="points", ylabel="students", xlim=(0, bins[-1].high))
        return _svg(figure, "distribution", "Distribution of scores", distribution_text(scores, maximum, bins))


def distribution_text(scores: Scores, maximum: float, bins: Sequence[Bin] = ()) -> str:
    """The distribution in a sentence: ‘median 31 of 40; a quarter below 24; 12 students have full marks’."""
    if scores.median is None:
        return "The scores of so few students are not shown."
    parts = [f"median {points_text(scores.median)} of {points_text(maximum)}"]
    if scores.quarter is not None and scores.three_quarters is not None:
        parts += [
            f"a quarter below {points_text(scores.quarter)}",
            f"a quarter above {points_text(scores.three_quarters)}",
        ]
    if scores.lowest is not None and scores.highest is not None:
        parts.append(f"from {points_text(scores.lowest)} to {points_text(scores.highest)}")
    parts.append(f"{people(scores.full)} {'has' if scores.full == 1 else 'have'} full marks")
    if any(not isinstance(one.students, int) for one in bins):
        parts.append("bars with a question mark are hidden, since small numbers are or could be told from them")
    return "; ".join(parts)


def people(count: Count) -> str:
    """‘1 student’, ‘12 students’, ‘< 5 students’, ‘a hidden number of students’."""
    if count == HIDDEN:
        return "a hidden number of students"
    return f"{count} student{'' if count == 1 else 's'}"


def outcomes(exercises: Sequence[ExerciseFigures]) -> Markup:
    """A bar for each exercise: shares with full, part, none of the points, and not tried."""
    shown = [(one, parts) for one in exercises if (parts := _parts(one))]
    if not shown:
        return Markup("")
    with _figure(0.9 + 0.19 * len(shown), hatch=True) as (figure, axes):
        left = [0.0] * len(shown)
        for at, (_, label, colour, hatch) in enumerate(_PARTS):
            sizes = [parts[at] for _, parts in shown]
            axes.barh(
                range(len(shown)),
                sizes,
                left=left,
                color=colour,
                hatch=hatch,
                edgecolor=_INK,
                linewidth=0.5,
                label=label,
            )
            left = [a + b for a, b in zip(left, sizes, strict=True)]
        axes.set(xlabel="percent of the students", xlim=(0, 100), ylim=(len(shown) - 0.4, -0.6))
        axes.set_yticks(range(len(shown)), [_short(one.cell) for one, _ in shown], fontsize=7.5)
        axes.tick_params(axis="y", length=0)
        figure.legend(*axes.get_legend_handles_labels(), ncols=2, frameon=False, loc="outside upper center")
        return _svg(figure, "outcomes", "Outcome of each exercise", _outcomes_text([one for one, _ in shown]))


def map_of_exercises(exercises: Sequence[ExerciseFigures]) -> Markup:
    """Each exercise as a point: how hard it is, and how well it tells strong students from weak ones."""
    shown = [
        (one.facility, one.discrimination, one)
        for one in exercises
        if one.facility is not None and one.discrimination is not None
    ]
    if not shown:
        return Markup("")
    with _figure(2.6) as (figure, axes):
        axes.axhline(0, color=_INK, linewidth=0.8)
        for by_hand, marker, colour, label in ((False, "o", _BLUE, "by tests"), (True, "^", _ORANGE, "by hand")):
            own = [(100 * x, y) for x, y, one in shown if one.by_hand == by_hand]
            if own:
                axes.scatter(*zip(*own, strict=True), marker=marker, color=colour, s=18, label=label)
        axes.set(xlabel="facility (percent of the points)", ylabel="discrimination", xlim=(0, 102))
        axes.legend(frameon=False, fontsize=8)
        low = min(shown, key=lambda entry: entry[1])
        hard = min(shown, key=lambda entry: entry[0])
        says = (
            f"{counted(len(shown), 'exercise')}; the hardest is {hard[2].cell} with a facility of "
            f"{100 * hard[0]:.0f} percent; "
            f"the lowest discrimination is {low[1]:.2f}, of {low[2].cell}"
        )
        return _svg(figure, "map", "Facility and discrimination of the exercises", says)


def boxes(homeworks: Sequence[tuple[str, float, Scores]]) -> Markup:
    """A box for each homework, in percent of its points: name, most points and scores."""
    stats, says = [], []
    for name, maximum, one in homeworks:
        if one.median is None or one.quarter is None or one.three_quarters is None or not maximum:
            continue
        low, high = one.lowest, one.highest
        five = (one.quarter if low is None else low, one.quarter, one.median, one.three_quarters)
        top = one.three_quarters if high is None else high
        values = [100 * value / maximum for value in (*five, top)]
        keys = ("whislo", "q1", "med", "q3", "whishi")
        stats.append({"label": _short(name), **dict(zip(keys, values, strict=True))})
        says.append(f"{name}: median {values[2]:.0f} percent, half between {values[1]:.0f} and {values[3]:.0f}")
    if not stats:
        return Markup("")
    with _figure(2.6) as (figure, axes):
        axes.bxp(stats, showfliers=False, medianprops={"color": _ORANGE, "linewidth": 2})
        axes.set(ylabel="percent of the points", ylim=(-3, 103))
        return _svg(figure, "boxes", "Scores of each homework", "; ".join(says))


def _parts(one: ExerciseFigures) -> tuple[float, ...]:
    """Percent of each outcome; () where one is hidden or nobody is there."""
    counts: list[int] = [count for name, *_ in _PARTS if isinstance(count := getattr(one, name), int)]
    everybody = sum(counts)
    if len(counts) < len(_PARTS) or not everybody:
        return ()
    return tuple(100 * count / everybody for count in counts)


def _outcomes_text(exercises: Sequence[ExerciseFigures]) -> str:
    return "; ".join(
        f"{one.cell}: full {one.full}, part {one.partly}, none {one.none}, not tried {one.not_tried}"
        for one in exercises
    )


def _short(name: str) -> str:
    name = plain(name)
    return name if len(name) <= 26 else f"{name[:25]}…"


@contextmanager
def _figure(height: float, hatch: bool = False) -> Iterator[tuple[Any, Any]]:
    """A figure with its axes, in inches; without pyplot, so that nothing is left of it."""
    import matplotlib
    from matplotlib.figure import Figure

    settings: Any = {
        "svg.fonttype": "none", "svg.hashsalt": "chart", "font.family": "sans-serif", "font.size": 9,
        "text.parse_math": False, "axes.spines.top": False, "axes.spines.right": False, "hatch.linewidth": 0.6,
    }  # fmt: skip
    with matplotlib.rc_context(settings):
        figure = Figure(figsize=(_WIDTH, height), layout="constrained")
        yield figure, figure.subplots()


def _svg(figure: Any, id: str, title: str, says: str) -> Markup:
    """The figure as an SVG element, with names of its own for what it refers to."""
    file = io.StringIO()
    figure.savefig(
        file, format="svg", transparent=True, metadata={"Date": None, "Creator": None, "Format": None, "Type": None}
    )
    svg = file.getvalue()
    svg = svg[svg.index("<svg") :].strip()
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"<style[^>]*>.*?</style>", "", svg, flags=re.DOTALL)  # it would hold for the whole page
    svg = re.sub(r'\bid="', f'id="{id}-', svg)
    svg = re.sub(r"url\(#", f"url(#{id}-", svg)
    svg = re.sub(r'href="#', f'href="#{id}-', svg)
    svg = re.sub(r"font: ([^;\"]*?)'[^\";]*", r"font: \1sans-serif", svg)
    head = f'<svg class="chart" role="img" aria-labelledby="{id}-title {id}-desc"'
    told = f'<title id="{id}-title">{escape(title)}</title><desc id="{id}-desc">{escape(plain(says))}.</desc>'
    size = re.search(r'viewBox="[^"]*"', svg)
    body = svg[svg.index(">") + 1 :]
    return Markup(
        f'{head} {size[0] if size else ""} xmlns="http://www.w3.org/2000/svg" '
        f'xmlns:xlink="http://www.w3.org/1999/xlink">{told}{body}'
    )
