"""Makes plain `nbgrader` commands, and formgrader, use this course's settings, sandbox and hidden tests."""

import os
import sys
from pathlib import Path

from autograder.course.course import open_course
from autograder.course.stripping import TEMPLATES, strip_config

course = open_course(Path(__file__).resolve().parent)

c = get_config()  # noqa: F821 – nbgrader provides it
c.merge(strip_config())
c.CourseDirectory.root = str(course.root)
c.CourseDirectory.course_id = course.id

# A release comes with its script, as `autograder build` makes it.
c.GenerateAssignment.pre_convert_hook = "autograder.nbgrading.build_first"

# `nbgrader validate` runs every cell in a kernel, those that train for show as well: seconds for each.
c.Execute.timeout = 300

# Submissions are repaired when they are read, and examined in the sandbox instead of executed in a kernel.
c.Autograde.pre_convert_hook = "autograder.nbgrading.name_all"
c.Autograde.exporter_class = "autograder.nbgrading.SubmissionExporter"
c.Autograde.autograde_preprocessors = [
    "autograder.nbgrading.Examine",
    "nbgrader.preprocessors.IgnorePattern",
    "nbconvert.preprocessors.ClearMetadataPreprocessor",
    "nbgrader.preprocessors.LimitOutput",
    "autograder.nbgrading.SaveGrades",
    "nbgrader.preprocessors.AssignLatePenalties",
    "nbgrader.preprocessors.CheckCellMetadata",
]

# What lateness costs stands in course.toml and homework.toml.
c.AssignLatePenalties.plugin_class = "autograder.nbgrading.LatePenalty"

# Feedback pages are read anywhere: their formulas are MathML, and no script is loaded from elsewhere.
c.GenerateFeedback.exporter_class = "autograder.nbgrading.FeedbackExporter"
c.FeedbackExporter.filters = {"strip_files_prefix": "autograder.nbgrading.readable_anywhere"}

# What the marker sees below a written answer, its model answer and mark scheme, stays out of feedback.
c.GenerateFeedback.preprocessors = [
    "autograder.nbgrading.HideSchemes",
    "nbgrader.preprocessors.GetGrades",
    "nbconvert.preprocessors.CSSHTMLHeaderPreprocessor",
]

# Feedback pages and formgrader show what students wrote: no script of theirs runs there.
c.HTMLExporter.sanitize_html = True
c.HTMLExporter.filters = {"strip_files_prefix": "autograder.nbgrading.harmless"}

# nbgrader calls `alembic` by name when it makes a gradebook. Formgrader shows formulas without a network.
for variable, folder in (("PATH", Path(sys.executable).parent), ("JUPYTER_PATH", TEMPLATES)):
    others = os.environ.get(variable, os.defpath if variable == "PATH" else "").split(os.pathsep)
    os.environ[variable] = os.pathsep.join([str(folder), *(one for one in others if one not in ("", str(folder)))])
