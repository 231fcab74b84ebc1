"""The class page: its statistics on simulated classes, what it hides, and what it looks like."""

from __future__ import annotations

import itertools
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import msgspec
import numpy as np
import pytest
from typer.testing import CliRunner

from autograder.cli import app
from autograder.course.roster import open_roster
from autograder.insight import class_figures, class_page, class_table, homework_comparison, items, withholding
from autograder.insight.class_report import ClassReport, Flag, json_bytes
from autograder.results import record
from autograder.results.result import (
    SCHEMA,
    CellResult,
    Diagnosis,
    Incident,
    Mark,
    NotebookResult,
    Repair,
    Result,
    TestResult,
)

ROOT = Path(__file__).parents[1]
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
HOSTILE = "\"'><script>alert(1)</script>{{ 7*7 }}\x1b[31m\u202e"
SEEDS, STUDENTS, EXERCISES, PER = 200, 500, 12, 2
UNWRITTEN = "This is not written yet: your code still raises NotImplementedError."
HINT = "On which sides of x do you evaluate f?"


def simulated(seed, planted):
    """Tests of a class by the two-parameter logistic model (Birnbaum 1968), and the exercises that they make.

    With `planted`, test 0 is a coin, test 2 is passed by the weak, and the last exercise is far too hard.
    """
    random = np.random.default_rng(seed)
    ability = random.normal(size=(STUDENTS, 1))
    slope = random.uniform(1.0, 2.2, EXERCISES * PER)
    hardness = random.uniform(-1.2, 0.6, EXERCISES * PER)
    if planted:
        slope[0], hardness[0] = 0.0, 0.0
        slope[2] = -slope[2]
        hardness[-PER:] = 2.5
    passed = (random.random((STUDENTS, EXERCISES * PER)) < 1 / (1 + np.exp(-slope * (ability - hardness)))).astype(
        float
    )
    return passed, passed.reshape(STUDENTS, EXERCISES, PER).mean(axis=2)


def found_in(seed, planted):
    tests, exercises = simulated(seed, planted)
    points = np.full(EXERCISES, 2.0)
    return items.alarms(exercises, points, tests, np.ones(EXERCISES * PER), exercises @ points)


def test_planted_bad_items_are_found_in_95_of_100_classes():
    coin = turned = hard = 0
    for seed in range(SEEDS):
        _, too_hard, reversed_tests, blind = found_in(seed, planted=True)
        coin, turned, hard = coin + blind[0], turned + reversed_tests[2], hard + too_hard[-1]
    assert min(coin, turned, hard) >= 0.95 * SEEDS, (coin, turned, hard)


def test_a_sound_homework_raises_an_alarm_in_at_most_5_of_100_classes():
    false = sum(any(one.any() for one in found_in(seed, planted=False)) for seed in range(SEEDS))
    assert false <= 0.05 * SEEDS


def test_discrimination_is_the_correlation_with_the_rest_of_the_points():
    tests, exercises = simulated(1, planted=False)
    exercises[:40, 3] = np.nan  # wait for a mark
    points = np.arange(1.0, EXERCISES + 1)
    total = np.nansum(exercises * points, axis=1)
    there = ~np.isnan(exercises[:, 3])
    expected = np.corrcoef(exercises[there, 3], (total - points[3] * exercises[:, 3])[there])[0, 1]
    assert items.discrimination(exercises, points, total)[3] == pytest.approx(expected)
    assert items.phi(tests)[0][0, 1] == pytest.approx(np.corrcoef(tests[:, 0], tests[:, 1])[0, 1])


def test_two_tests_that_always_agree_are_named_and_two_that_often_do_are_not():
    tests, _ = simulated(2, planted=False)
    tests[:, 5] = tests[:, 4]
    assert [pair[:2] for pair in items.alike(tests)] == [(4, 5)]


def cell(number, passed, student, **changes):
    name = f"exercise-{number}"
    tests = tuple(
        TestResult(
            name=f"test_{number}_{at}", cell=name, weight=1.0, says="It is right.", passed=bool(one), seconds=0.01
        )
        for at, one in enumerate(passed)
    )
    wrong = (Diagnosis(mistake="one-sided", title="one side only", hint=HINT),) if number == 0 and not passed[0] else ()
    fields = {
        "grade_id": name, "title": name, "points": 2.0, "earned": 2.0 * float(np.mean(passed)), "tests": tests,
        "diagnoses": wrong, "answer": student,
    }  # fmt: skip
    return CellResult(**(fields | changes))


def written(student, at):
    mark = Mark(points=float(at % 3)) if at % 7 else None
    return CellResult(
        grade_id="reason", title="Why?", points=2.0, earned=None if mark is None else mark.points, mark=mark,
        answer="alike" if at % 7 in (1, 2) else student,
    )  # fmt: skip


def a_class(size, homework="hw1", seed=0, name="s{:04}"):
    passed, _ = simulated(seed, planted=True)
    passed = np.resize(passed, (size, EXERCISES * PER))
    for at, row in enumerate(passed):
        student = name.format(at)
        cells = [cell(number, row[number * PER : (number + 1) * PER], student) for number in range(EXERCISES)]
        if at % 11 == 0:
            bare = tuple(msgspec.structs.replace(one, passed=False, message=UNWRITTEN) for one in cells[5].tests)
            cells[5] = msgspec.structs.replace(cells[5], earned=0.0, tests=bare)
        cells.append(written(student, at))
        score = sum(one.earned or 0.0 for one in cells)
        book = NotebookResult(
            notebook="mlp", title="MLP", file="mlp.ipynb", score=score, max_score=2.0 * len(cells), cells=tuple(cells),
            incidents=(Incident(kind="attempt", cell="", note=f"It says {HOSTILE}"),) if at == 3 else (),
            repairs=(Repair(kind="restored", cell="x", note="put back"),) if at % 5 == 0 else (),
            tier="A", seed=0, cpu_seconds=float(at), wall_seconds=1.0, peak_memory_mb=100.0 + at,
        )  # fmt: skip
        yield Result(
            schema=SCHEMA, course="c", homework=homework, title="The first", student=student, score=score,
            max_score=book.max_score, notebooks=(book,), tier="A", versions={}, graded_at="2026-01-01T00:00:00+00:00",
            cpu_seconds=float(at), wall_seconds=1.0,
        )  # fmt: skip


def with_written(result, **changes):
    """The result with another answer to the written exercise."""
    [book] = result.notebooks
    cells = (*book.cells[:-1], msgspec.structs.replace(book.cells[-1], **changes))
    return msgspec.structs.replace(result, notebooks=(msgspec.structs.replace(book, cells=cells),))


def report_of(size, **changes):
    return class_figures.report(class_table.of_results(a_class(size, **changes), "hw1"), {})


def test_each_number_of_an_exercise_counts_what_it_says():
    results = list(a_class(110))
    one = class_figures.report(class_table.of_results(results, "hw1"), {}).exercises[5]
    earned = [result.notebooks[0].cells[5].earned for result in results]
    assert one.not_tried == 10
    assert one.full == earned.count(2.0)
    assert one.partly == earned.count(1.0)
    assert one.none == earned.count(0.0) - 10
    assert one.facility == pytest.approx(np.mean(earned) / 2, abs=1e-4)


def test_a_mistake_is_counted_elsewhere_where_the_same_student_made_it():
    table = class_table.of_results(a_class(50), "hw1")
    made = table.mistakes["mlp", "one-sided"]
    other = {"hw2": {"one-sided": {min(made), "stranger"}, "another": made}}
    [mistake] = class_figures.report(table, other).mistakes
    assert (mistake.students, mistake.elsewhere, mistake.hint) == (len(made), 1, HINT)


def test_mistakes_of_one_id_in_two_notebooks_are_two_rows():
    results = []
    for at, result in enumerate(a_class(40)):
        [book] = result.notebooks
        cells = tuple(
            msgspec.structs.replace(
                one,
                diagnoses=(Diagnosis(mistake="one-sided", title="another", hint="Look at y."),) if at < 3 else (),
            )
            for one in book.cells
        )
        other = msgspec.structs.replace(book, notebook="theory", cells=cells)
        results.append(msgspec.structs.replace(result, notebooks=(book, other)))
    report = class_figures.report(class_table.of_results(results, "hw1"), {})
    first, second = report.mistakes
    assert (first.notebook, first.hint) == ("mlp", HINT) and first.students > 3
    assert (second.notebook, second.title, second.hint, second.students) == ("theory", "another", "Look at y.", 3)
    assert "theory/<code>one-sided</code>" in class_page.html(report)


def test_the_same_answer_with_different_marks_is_reported():
    [marking] = report_of(28).marking
    assert (marking.same_answers, marking.different, marking.apart) == (1, 1, 2.0)
    assert "Who gave a mark is not recorded" in class_page.html(report_of(28))


def in_teams_of_two(size, tmp_path):
    """A class whose written answers are those of teams of two; each team's members have the same mark."""
    roster = "id,group\n" + "".join(f"s{at:04},team {at // 2}\n" for at in range(size))
    (tmp_path / "roster.csv").write_text(roster)
    results = []
    for at, result in enumerate(a_class(size)):
        points = float(at // 2 % 3)
        one = {"mark": Mark(points=points), "earned": points, "answer": f"of team {at // 2}"}
        results.append(with_written(result, **one))
    return results, open_roster(tmp_path)


def test_a_mark_that_was_copied_within_a_team_agrees_with_nothing(tmp_path):
    results, roster = in_teams_of_two(20, tmp_path)
    [marking] = class_figures.report(class_table.of_results(results, "hw1", roster), {}).marking
    assert (marking.marked, marking.copied, marking.same_answers) == (10, 10, 0)
    [alone] = class_figures.report(class_table.of_results(results, "hw1"), {}).marking
    assert (alone.marked, alone.copied, alone.same_answers) == (20, 0, 10)


def test_different_marks_for_one_answer_of_a_team_are_reported(tmp_path):
    results, roster = in_teams_of_two(20, tmp_path)
    results[0] = with_written(results[0], mark=Mark(points=2.0))
    [marking] = class_figures.report(class_table.of_results(results, "hw1", roster), {}).marking
    assert (marking.marked, marking.same_answers, marking.different, marking.apart) == (11, 1, 1, 2.0)
    assert [one.id for one in marking.people] == ["s0000", "s0001"]


@pytest.mark.parametrize("size", [1, 2, 9])
def test_what_cannot_be_told_is_said_so(size):
    alike = [msgspec.structs.replace(one, student=f"s{at}") for at, one in enumerate(list(a_class(1)) * size)]
    report = class_figures.report(class_table.of_results(alike, "hw1"), {})
    page = class_page.html(report)
    assert all(one.discrimination is None for one in report.exercises)
    assert not report.flags
    assert "cannot be told" in page
    assert not re.search(r"\bnan\b", page, re.IGNORECASE)


def test_names_are_escaped_wherever_they_stand():
    page = class_page.html(report_of(40, name="s{:04}" + HOSTILE + "\ud800\n"))
    assert "<script" not in page
    assert "\x1b" not in page and "\u202e" not in page and "\ud800" not in page
    assert "&lt;script&gt;" in page


def test_json_holds_the_whole_report():
    report = report_of(40)
    assert msgspec.json.decode(json_bytes(report), type=ClassReport) == report


def test_a_page_for_a_thousand_students_is_small():
    assert len(class_page.html(report_of(1000)).encode()) <= 3_000_000


def test_the_tests_that_nobody_fails_are_one_entry_for_each_notebook():
    """Their figures, and the entries of other tests, stay."""
    tests = {f"cell-{number}": [f"test_{number}_{at}" for at in range(4)] for number in range(10)}
    easy = [
        Flag(
            kind="everybody-passes", notebook=notebook, cell=cell, test=test, students=40, facility=1.0,
            correlation=None, alarm=False, advice="It tells nothing.",
        )
        for notebook in ("mlp", "sgd") for cell, names in tests.items() for test in names
    ]  # fmt: skip
    report = report_of(40)
    others = tuple(one for one in report.flags if one.kind != "everybody-passes")
    report = msgspec.structs.replace(report, flags=(*easy, *others))
    page = re.sub(r"\s+", " ", class_page.html(report))
    assert page.count("nobody fails") == 2 and page.count("It tells nothing.") == 2
    assert "<strong>nobody fails</strong>: 40 tests of mlp" in page and "40 tests of sgd" in page
    assert (
        "<li>cell-3: <code>test_3_0</code>, <code>test_3_1</code>, <code>test_3_2</code>, <code>test_3_3</code>" in page
    )
    assert page.count('<li><span class="') == 2 + len(others)
    one = class_page.html(msgspec.structs.replace(report, flags=(easy[0],)))
    assert "1 test of mlp" in one and one.count("nobody fails") == 1


def test_the_shared_page_has_no_name_and_no_small_count():
    report = report_of(60, name="student-{:04}")
    hidden = withholding.shared(report, 5)
    assert hidden is not None
    page = class_page.html(hidden)
    assert "student-0" not in page and "student-0" in class_page.html(report)
    counts = [
        count for one in hidden.exercises for count in (one.students, one.full, one.partly, one.none, one.not_tried)
    ] + [one.students for one in (*hidden.bins, *hidden.mistakes, *hidden.incidents, *hidden.repairs)]
    assert "< 5" in counts
    assert all(count in ("< 5", "hidden") or count >= 5 for count in counts)
    assert withholding.shared(report_of(4), 5) is None


def test_no_hidden_count_can_be_computed_back():
    """By brute force: with all that is shown, each small count may still be each number below the least one."""
    least = 3
    for counts in itertools.product(range(7), repeat=3):
        gone = withholding.withheld(counts, least)
        assert all(hide for count, hide in zip(counts, gone, strict=True) if count < least)
        if all(gone) or not any(gone):
            continue
        fits = [
            other
            for other in itertools.product(range(19), repeat=3)
            if sum(other) == sum(counts)
            and all(
                (a < least) == (b < least) if hide else a == b for a, b, hide in zip(other, counts, gone, strict=True)
            )
        ]
        for at, count in enumerate(counts):
            if count < least:
                assert {other[at] for other in fits} == set(range(least)), (counts, gone)


def marked(shares):
    """A class in which the written answer got these shares: None is blank, and -1 waits for its mark."""
    for result, share in zip(a_class(len(shares), name="n{:03}"), shares, strict=True):
        answer = {"earned": None if share == -1 else 2.0 * (share or 0.0), "mark": None, "answer": result.student}
        answer |= {"note": "Nothing was written here"} if share is None else {}
        answer |= {"mark": Mark(points=2.0 * share)} if share is not None and share >= 0 else {}
        yield with_written(result, **answer)


def marked_report(shares):
    return class_figures.report(class_table.of_results(marked(shares), "hw1"), {})


def test_while_answers_wait_for_marks_the_blanks_alone_make_no_exercise_too_hard():
    before = marked_report([None] * 20 + [-1] * 20)
    assert before.exercises[-1].facility is before.exercises[-1].discrimination is None
    assert not [one for one in before.flags if one.cell == "reason"]
    after = marked_report([None] * 20 + [1] * 19 + [-1])
    assert after.exercises[-1].facility == pytest.approx(19 / 39, abs=1e-4)
    assert [one.kind for one in marked_report([None] * 30 + [0] * 10).flags if one.cell == "reason"] == ["hard"]


def test_while_answers_wait_for_marks_their_exercise_is_in_no_total():
    """Whether a tenth or a half of the answers to the written exercise has points: the others' figures are the same."""
    half = marked_report([1.0, -1] * 30)
    none = marked_report([-1] * 60)
    assert half.exercises[-1].discrimination is none.exercises[-1].discrimination is None
    for one, other in zip(half.exercises[:-1], none.exercises[:-1], strict=True):
        assert one.discrimination == other.discrimination
    assert "an answer that has no points yet counts 0" in class_page.html(half)
    assert "has no points yet" not in class_page.html(marked_report([1.0] * 12))


def test_who_waits_for_a_mark_is_left_out_of_the_other_exercises_discrimination():
    shares = [1.0] * 30 + [0.0] * 27 + [-1] * 3
    found = marked_report(shares).exercises
    results = [one for one, share in zip(marked(shares), shares, strict=True) if share != -1]
    others = class_figures.report(class_table.of_results(results, "hw1"), {}).exercises
    assert [one.students for one in found] == [60] * EXERCISES + [57]
    assert [one.discrimination for one in found] == [one.discrimination for one in others]
    assert None not in [one.discrimination for one in found]


def test_a_test_of_an_exercise_that_is_in_no_total_is_compared_with_the_whole_of_it():
    """Exercise 1 has tests and waits for marks: its points are in no total, and are not taken off one."""
    results = list(a_class(60))
    waiting = []
    for result in results:
        [book] = result.notebooks
        cells = (book.cells[0], msgspec.structs.replace(book.cells[1], earned=None), *book.cells[2:-1])
        waiting.append(msgspec.structs.replace(result, notebooks=(msgspec.structs.replace(book, cells=cells),)))
    table = class_table.of_results(waiting, "hw1")
    worth = class_figures._worth_of_tests(table, class_figures._judged(table))
    assert not worth[:, 2:4].any() and (worth[:, :2] == 1).all() and (worth[:, 4:] == 1).all()


def test_the_outcomes_of_an_exercise_do_not_tell_how_many_wait_for_a_mark():
    """By brute force, as above: outcomes and those who wait add up to those who handed in."""
    least, everybody = 3, 9
    plain = marked_report([1.0] * everybody).exercises[-1]
    rows = [one for one in itertools.product(range(everybody + 1), repeat=4) if sum(one) <= everybody]
    for counts in rows[::7]:
        one = msgspec.structs.replace(
            plain, students=sum(counts), full=counts[0], partly=counts[1], none=counts[2], not_tried=counts[3]
        )
        hidden = withholding._Hiding(least, everybody, everybody).exercise(one)
        shown = hidden.full, hidden.partly, hidden.none, hidden.not_tried
        fits = [
            other
            for other in rows
            if all(
                count < least if text == "< 3" else count >= least if text == "hidden" else count == text
                for count, text in zip(other, shown, strict=True)
            )
            and (sum(other) < everybody if hidden.students == "hidden" else sum(other) == hidden.students)
        ]
        everything = hidden.students == "hidden" and not any(isinstance(text, int) for text in shown)
        for at, text in enumerate(shown):
            if text == "< 3" and not everything:
                assert {other[at] for other in fits} == set(range(least)), (counts, shown)
        waits = {everybody - sum(other) for other in fits}
        assert hidden.students != "hidden" or everything or waits >= {1, 2, 3}, (counts, shown, waits)


def test_the_shared_page_counts_waiting_answers_only_where_the_exercises_do():
    report = marked_report([1.0] * 30 + [-1] * 2)
    several = msgspec.structs.replace(report, waiting_marks=2 + 20)
    assert withholding.shared(several, 5).waiting_marks == "hidden"
    assert "A hidden number of answers wait" in class_page.html(withholding.shared(several, 5))
    assert withholding.shared(marked_report([1.0, 0.5, 0.0, None, -1, -1] * 10), 5).waiting_marks == 20


def test_no_mean_on_the_shared_page_tells_how_many_are_behind_it():
    """Whatever number of marks is hidden, the same share reads the same."""
    seen = {}
    for waiting in range(5):
        hidden = withholding.shared(marked_report([1.0, 0.5] * 20 + [0.5] * (4 - waiting) + [-1] * waiting), 5)
        one = hidden.exercises[-1]
        seen.setdefault(one.students, set()).add(one.facility)
    assert seen.keys() == {44, "hidden"} and len(seen["hidden"]) == 1 and None not in seen["hidden"]


def test_on_the_shared_page_no_table_gives_a_count_that_another_hides():
    hidden = withholding.shared(marked_report([1.0] * 40 + [None] * 2), 5)
    [marking] = hidden.marking
    assert hidden.exercises[-1].students == hidden.handed_in == 42 and marking.marked == "hidden"

    report = marked_report([1.0] * 40)
    bins = [*(msgspec.structs.replace(one, students=0) for one in report.bins)]
    bins[0], bins[-1] = (msgspec.structs.replace(bins[at], students=many) for at, many in ((0, 31), (-1, 9)))
    full = msgspec.structs.replace(report.scores, full=7)
    edited = msgspec.structs.replace(report, bins=tuple(bins), scores=full)
    assert withholding.shared(edited, 5).scores.full == "hidden"

    many = msgspec.structs.replace(report.mistakes[0], students=38, elsewhere=0)
    told = [
        msgspec.structs.replace(report, mistakes=(msgspec.structs.replace(many, students=size),)) for size in (38, 30)
    ]
    assert [withholding.shared(one, 5).mistakes[0].students for one in told] == ["hidden", 30]
    assert "a hidden number of students" in class_page.html(withholding.shared(edited, 5))


def of_one_exercise(earned):
    """A homework whose only exercise earned these points of ten."""
    for result, points in zip(a_class(len(earned)), earned, strict=True):
        [book] = result.notebooks
        only = msgspec.structs.replace(book.cells[0], points=10.0, earned=points)
        book = msgspec.structs.replace(book, cells=(only,), score=points, max_score=10.0)
        yield msgspec.structs.replace(result, notebooks=(book,), score=points, max_score=10.0)


@pytest.mark.parametrize(
    ("earned", "told"),
    [
        ([10.0] * 50 + [9.5] * 2 + [5.5] * 20 + [0.5] * 20 + [0.0] * 10, False),
        ([10.0] * 50 + [9.5] * 20 + [5.5] * 20 + [0.5] * 3 + [0.0] * 10, False),
        ([10.0] * 50 + [9.5] * 20 + [5.5] * 20 + [0.5] * 20 + [0.0] * 10, True),
    ],
)
def test_bars_are_shown_only_if_they_tell_no_small_count_together_with_the_only_exercise(earned, told):
    results = list(of_one_exercise(earned))
    hidden = withholding.shared(class_figures.report(class_table.of_results(results, "hw1"), {}), 5)
    assert hidden.exercises[0].full == 50
    assert [one.students for one in hidden.bins][-1] == (70 if told else "hidden")
    assert any(isinstance(one.students, int) for one in hidden.bins) == told


def test_full_marks_are_hidden_if_few_more_have_all_points_of_one_exercise():
    report = marked_report([1.0] * 40)
    scores = msgspec.structs.replace(report.scores, full=20)
    bins = tuple(msgspec.structs.replace(one, students=0) for one in report.bins[1:])
    bins = (msgspec.structs.replace(report.bins[0], students=10), *bins[:-1])
    bins = (*bins, msgspec.structs.replace(report.bins[-1], students=30))
    for full, told in ((25, 20), (22, "hidden")):
        exercises = tuple(msgspec.structs.replace(one, full=full) for one in report.exercises)
        edited = msgspec.structs.replace(report, scores=scores, bins=bins, exercises=exercises)
        assert withholding.shared(edited, 5).scores.full == told


def test_who_falls_and_who_is_low_twice_is_named():
    first = list(a_class(40))
    second = [msgspec.structs.replace(one, homework="hw2") for one in first]
    best = max(range(40), key=lambda at: first[at].score)
    second[best] = msgspec.structs.replace(second[best], score=0.0)
    tables = [class_table.of_results(first, "hw1"), class_table.of_results(second, "hw2")]
    found = homework_comparison.comparison(tables)
    why = {one.person.id: one.why for one in found.needs}
    worst = min(first, key=lambda one: one.score).student
    assert why[first[best].student].startswith("fell by")
    assert why[worst] == "in the lowest quarter in hw1, hw2"
    assert found.together[0].correlation == pytest.approx(
        np.corrcoef([one.score for one in first], [one.score for one in second])[0, 1], abs=1e-3
    )
    assert first[best].student in class_page.comparison_html(found)


def compared(first, second, roster=None):
    tables = class_table.of_results(first, "hw1", roster), class_table.of_results(second, "hw2", roster)
    return homework_comparison.comparison(tables)


def with_pseudonyms(size, tmp_path):
    """A homework of a class with ids, one with pseudonyms, and the roster."""
    lines = (f"s{at:04},Ada Number {at},kt{at:04}\n" for at in range(size))
    (tmp_path / "roster.csv").write_text("id,name,pseudonym\n" + "".join(lines))
    return list(a_class(size)), list(a_class(size, "hw2", name="kt{:04}")), open_roster(tmp_path)


def test_a_student_with_a_pseudonym_in_one_homework_is_the_same_in_another(tmp_path):
    first, second, roster = with_pseudonyms(20, tmp_path)
    for one, other in ((first, second), (second, first)):
        found = compared(one, other, roster)
        assert found.together[0].students == 20 and not found.strangers
        assert found.needs and all(need.person.name.startswith("Ada Number") for need in found.needs)
        assert not [need for need in found.needs if "handed in nothing" in need.why]


def test_a_mistake_is_found_elsewhere_under_the_students_pseudonym(tmp_path):
    first, second, roster = with_pseudonyms(20, tmp_path)
    tables = [class_table.of_results(one, "hw", roster) for one in (first, second)]
    other = {"hw2": {"one-sided": tables[1].mistakes["mlp", "one-sided"]}}
    [mistake] = class_figures.report(tables[0], other).mistakes
    assert mistake.elsewhere == mistake.students > 0


def test_homeworks_without_a_student_in_common_tell_nobody_who_needs_help(tmp_path):
    first, second, _ = with_pseudonyms(20, tmp_path)
    found = compared(first, second)
    assert found.strangers == (("hw1", "hw2"),) and not found.needs
    page = class_page.comparison_html(found)
    assert "Nobody has a result in both hw1 and hw2" in page and "0 students." not in page
    tables = [class_table.of_results(one, name) for one, name in ((first, "hw1"), (second, "hw2"))]
    hidden = homework_comparison.shared_comparison(found, tables, 5)
    assert (hidden.strangers, hidden.needs_students) == ((), "hidden")


def test_a_name_is_the_same_in_two_homeworks_however_it_is_encoded():
    first, second = list(a_class(9)), list(a_class(9, "hw2"))
    first[0] = msgspec.structs.replace(first[0], student="Jos\u00e9")
    second[0] = msgspec.structs.replace(second[0], student="Jose\u0301")
    assert compared(first, second).together[0].students == 9 and not compared(first, second).needs


def test_who_has_a_damaged_result_is_not_said_to_have_handed_in_nothing():
    first, second = list(a_class(9)), list(a_class(9, "hw2"))
    tables = class_table.of_results(first, "hw1"), class_table.of_results(second[2:], "hw2")
    tables[1].damaged["s0000"] = "results/s0000/hw2.json: it is cut off"
    found = homework_comparison.comparison(tables)
    assert {need.person.id: need.why for need in found.needs} == {"s0001": "handed in nothing for hw2"}
    assert "handed in is not known: 1 student)" in class_page.comparison_html(found)


@pytest.mark.parametrize(("many", "low"), [(45, 5), (20, 25)])
def test_of_those_who_share_the_lower_quarters_score_all_or_none_are_low(many, low):
    """Five have least, then come `many` with one score, and the rest of a hundred has all points."""
    scores = [1.0] * 5 + [13.0] * many + [26.0] * (95 - many)
    first = [msgspec.structs.replace(one, score=score) for one, score in zip(a_class(100), scores, strict=True)]
    assert len(compared(first, first).needs) == low


@pytest.fixture
def results(tmp_path):
    for homework in ("hw1", "hw2"):
        for result in a_class(30, homework):
            record.write(result, tmp_path)
    return tmp_path


def test_the_command_writes_pages_and_names_damaged_results(results):
    (results / "s0001" / "hw1.json").write_text("{")
    said = CliRunner().invoke(app, ["report", "hw1", "--share", "--out", str(results), "--course", str(ROOT)])
    assert said.exit_code == 1, said.output
    assert "s0001" in said.output
    assert "s0001" in (results / "hw1.html").read_text()
    assert "s0002" not in (results / "hw1-shared.html").read_text()
    said = CliRunner().invoke(
        app, ["report", "--homeworks", "hw1", "hw2", "--out", str(results), "--course", str(ROOT)]
    )
    assert (results / "homeworks.html").exists(), said.output


def test_a_result_in_another_students_folder_counts_nobody_twice(results):
    (results / "s0001" / "hw1.json").write_bytes((results / "s0002" / "hw1.json").read_bytes())
    table = class_table.read(results, "hw1")
    assert len(table.students) == 29 and "s0001" not in table.students
    assert table.damaged["s0001"].endswith("hw1.json: this is s0002's result: grade s0001's submission again")


def test_the_mistakes_of_another_homework_are_those_in_its_results(results):
    (results / "s0001" / "hw2.json").write_text("{")
    made = class_table.mistakes_of(results, "hw2")
    assert made == {id: who for (_, id), who in class_table.read(results, "hw2").mistakes.items()}
    assert made["one-sided"]


def test_a_mistake_is_found_elsewhere_however_the_folders_name_is_encoded(results):
    made = min(class_table.mistakes_of(results, "hw2")["one-sided"])
    for homework in ("hw1", "hw2"):
        result = record.read(results / made / f"{homework}.json")
        (results / made / f"{homework}.json").unlink()
        (results / "Jose\u0301").mkdir(exist_ok=True)
        named = msgspec.structs.replace(result, student="Jos\u00e9" if homework == "hw1" else "Jose\u0301")
        (results / "Jose\u0301" / f"{homework}.json").write_bytes(record.json_bytes(named))
    (results / "s0001" / "hw2.json").write_bytes((results / "Jose\u0301" / "hw2.json").read_bytes())
    other = class_table.mistakes_of(results, "hw2")
    assert "s0001" not in other["one-sided"] or made == "s0001"
    table = class_table.read(results, "hw1")
    [mistake] = class_figures.report(table, {"hw2": {"one-sided": other["one-sided"] & {"Jos\u00e9"}}}).mistakes
    assert mistake.elsewhere == 1


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--homeworks", "hw1", "hw1"), "hw1: it is named twice: name each homework once"),
        (("--homeworks", "hw1", "hw2", "--clusters"), "--clusters: the page of several homeworks groups no mistakes"),
    ],
)
def test_a_call_that_means_nothing_is_refused(tmp_path, arguments, says):
    said = CliRunner().invoke(app, ["report", *arguments, "--out", str(tmp_path), "--course", str(ROOT)])
    assert said.exit_code == 2 and says in said.output and not list(tmp_path.iterdir())


def test_without_results_the_command_says_what_to_do(tmp_path):
    said = CliRunner().invoke(app, ["report", "hw1", "--out", str(tmp_path), "--course", str(ROOT)])
    assert said.exit_code == 2
    assert "autograder grade hw1" in said.output


class Outline(HTMLParser):
    """Levels of headings, tables without caption or scopes, ids, and what could run or load something."""

    def __init__(self) -> None:
        super().__init__()
        self.levels: list[int] = []
        self.ids: list[str] = []
        self.tags: list[str] = []
        self.labels: list[str] = []
        self.bare = 0

    def handle_starttag(self, tag, attributes):
        fields = dict(attributes)
        self.tags.append(tag)
        self.ids += [fields["id"]] if "id" in fields else []
        self.levels += [int(tag[1])] if re.fullmatch(r"h\d", tag) else []
        self.labels += fields.get("aria-labelledby", "").split()
        self.bare += tag == "th" and "scope" not in fields


def test_headings_tables_and_pictures_can_be_read_without_seeing_them():
    page = class_page.html(report_of(60))
    outline = Outline()
    outline.feed(page)
    assert outline.levels[0] == 1 and outline.levels.count(1) == 1
    assert all(below - above <= 1 for above, below in itertools.pairwise(outline.levels))
    assert outline.tags.count("table") == outline.tags.count("caption")
    assert not outline.bare
    assert len(outline.ids) == len(set(outline.ids))
    assert set(outline.labels) <= set(outline.ids)
    assert not {"script", "img", "link", "iframe"} & set(outline.tags)
    assert outline.tags.count("svg") == outline.tags.count("desc") == 3
    assert re.search(r"median [\d.]+ of 26; a quarter below [\d.]+", page)


@pytest.mark.slow(seconds=4)
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium to look with: apt-get install chromium")
@pytest.mark.parametrize("width", [320, 1280])
def test_nothing_sticks_out_of_the_window(tmp_path, width):
    from playwright.sync_api import sync_playwright

    path = tmp_path / "page.html"
    path.write_text(class_page.html(report_of(60)), encoding="utf-8")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": width, "height": 800})
        page.goto(path.as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        browser.close()
