"""The command line: a module for each group of commands, or for one that is long. `--help` shows who needs which.

Heavy imports wait for the command, so that `autograder --help` answers at once.
"""

from __future__ import annotations

import typer

from autograder.cli import after, authors, classes, collecting, exporting, machine, report, similar, viva
from autograder.cli.options import answering

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="Build a course's notebooks, grade its classes, check its machines.",
)
GROUPS = {
    "First": (machine.demo, machine.doctor),
    "Write a course": (authors.new, authors.build, authors.audit, authors.publish),
    "Grade a class": (collecting.roster, collecting.collect, classes.grade, classes.watch, classes.record, after.marks),
    "Give scores and feedback back": (exporting.export, exporting.deliver),
    "After a complaint or a corrected test": (after.explain, after.regrade, after.clusters),
    "Look at the class": (report.report, similar.similar, viva.viva),
}
for group, commands in GROUPS.items():
    for command in commands:
        if isinstance(command, typer.Typer):
            app.add_typer(command, name="roster", rich_help_panel=group)
        else:
            app.command(rich_help_panel=group)(answering(command))
