"""The command `report`: the class page for the instructor."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from autograder.cli.options import FINDINGS, CourseOption, OutOption, fail, opened_course
from autograder.course.course import CourseError

if TYPE_CHECKING:
    from autograder.course.course import Course
    from autograder.insight.class_report import ClassReport, ClusterFigures
    from autograder.insight.class_table import ClassTable
    from autograder.insight.homework_comparison import Comparison


def report(
    homework: Annotated[list[str], typer.Argument(help="The homework's name, such as hw1. Several make a page each.")],
    homeworks: Annotated[
        bool, typer.Option("--homeworks", help="Compare these homeworks, on one page: homeworks.html.")
    ] = False,
    share: Annotated[
        bool,
        typer.Option("--share", help="Write a second page, …-shared.html, without names and small numbers."),
    ] = False,
    least: Annotated[int, typer.Option(min=2, help="With --share, the least count that is shown.")] = 5,
    clusters: Annotated[
        bool, typer.Option("--clusters", help="Group unknown mistakes, too; this takes longer.")
    ] = False,
    json: Annotated[
        bool, typer.Option("--json", help="Print all figures as JSON; with --share, those of the shared page.")
    ] = False,
    out: OutOption = None,
    course: CourseOption = None,
) -> None:
    """Write the class page: scores, exercises, hidden tests to look at, mistakes, marks, and cases for a person.

    It goes to results/hw1.html, is for the teaching team, and names students. Exit code 1 if results are damaged.
    """
    from autograder.course.roster import open_roster
    from autograder.insight import class_table

    opened = opened_course(course)
    out = out or opened.root / "results"
    try:
        for name in homework:
            if homework.count(name) > 1:
                raise CourseError(f"{name}: it is named twice: name each homework once")
        if homeworks and clusters:
            raise CourseError("--clusters: the page of several homeworks groups no mistakes: leave out --homeworks")
        roster = open_roster(opened.root)
        tables = []
        for name in homework:
            tables.append(class_table.read(out, opened.homework(name).name, roster))
            if not tables[-1].students:
                damaged = "".join(f"\n{why}" for why in tables[-1].damaged.values())
                raise CourseError(
                    f"{out}: no results of {name} that can be read: run `autograder grade {name}` first{damaged}"
                )
        if homeworks:
            _compare(tables, out, share, least, json)
        else:
            for table in tables:
                _report(opened, table, out, share, least, json, clusters)
    except CourseError as error:
        fail(error)
    for table in tables:
        for why in table.damaged.values():
            typer.echo(why, err=True)
    if any(table.damaged for table in tables):
        raise typer.Exit(FINDINGS)


def _report(course: Course, table: ClassTable, out: Path, share: bool, least: int, json: bool, clusters: bool) -> None:
    from autograder.insight import class_figures, class_page, class_table, withholding

    others = {
        name: made
        for name in course.homeworks
        if name != table.homework and any(out.glob(f"*/{name}.json"))
        for made in [class_table.mistakes_of(out, name)]
    }
    groups, lost = _clusters(course, table, out) if clusters else (None, 0)
    found = class_figures.report(table, others, groups, lost)
    _write(out / f"{table.homework}.html", class_page.html(found), json)
    if share:
        hidden = withholding.shared(found, least)
        if hidden is None:
            raise CourseError(
                f"{out}: fewer than {least} students handed in {table.homework}: leave out --share, or lower --least"
            )
        found = hidden
        _write(out / f"{table.homework}-shared.html", class_page.html(found), json)
    if json:
        _print(found)


def _compare(tables: list[ClassTable], out: Path, share: bool, least: int, json: bool) -> None:
    from autograder.insight import class_page, homework_comparison

    if len(tables) < 2:
        raise CourseError("--homeworks: one homework is compared with nothing: name two or more, hw1 hw2")
    found = homework_comparison.comparison(tables)
    _write(out / "homeworks.html", class_page.comparison_html(found), json)
    if share:
        hidden = homework_comparison.shared_comparison(found, tables, least)
        if hidden is None:
            raise CourseError(
                f"{out}: fewer than {least} students handed in one of these: leave out --share, or lower --least"
            )
        found = hidden
        _write(out / "homeworks-shared.html", class_page.comparison_html(found), json)
    if json:
        _print(found)


def _clusters(course: Course, table: ClassTable, out: Path) -> tuple[tuple[ClusterFigures, ...], int]:
    from autograder.insight import clusters
    from autograder.insight.class_report import ClusterFigures as Figures
    from autograder.insight.class_report import Person

    lost: list[str] = []
    names = dict(zip(table.students, table.names, strict=True))
    groups = clusters.of_class(course, course.homework(table.homework), out, "", lambda name, why: lost.append(name))
    return tuple(
        Figures(
            notebook=one.notebook,
            cell=one.cell,
            students=len(one.members),
            does=one.common,
            people=tuple(Person(id=member.student, name=names.get(member.student, "")) for member in one.members),
        )
        for one in groups
    ), len(lost)


def _write(path: Path, page: str, quiet: bool) -> None:
    from autograder import atomic_file

    atomic_file.replace(path, page.encode(errors="replace"))
    typer.echo(f"wrote {path}", err=quiet)


def _print(found: ClassReport | Comparison) -> None:
    from autograder.insight.class_report import json_bytes

    typer.echo(json_bytes(found).decode(), nl=False)
