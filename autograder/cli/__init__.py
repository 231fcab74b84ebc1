"""The command line, one file for each group: `authors`, `collecting`, `classes`, `after`, `exporting`, `machine`.

Heavy imports wait for the command, so that `autograder --help` answers at once.
"""

from __future__ import annotations

import typer

from autograder.cli import after, authors, classes, collecting, exporting, machine

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="Build a course's notebooks, grade its classes, check its machines.",
)
for command in (
    authors.build,
    classes.grade,
    classes.watch,
    classes.record,
    after.marks,
    after.regrade,
    after.explain,
    after.clusters,
    authors.audit,
    machine.doctor,
    machine.demo,
):
    app.command()(command)
app.command()(collecting.collect)
app.command()(exporting.export)
app.command()(exporting.deliver)
app.add_typer(collecting.roster, name="roster")
app.command()(authors.new)
app.command()(authors.publish)
