"""The build: what stands in source/ and release/, and what must never stand there."""

from __future__ import annotations

import ast
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import jupytext
import nbformat
import pytest
from nbgrader.nbgraderformat import MetadataValidator

from autograder.course import build
from autograder.course.course import Course, open_course
from autograder.course.master import PERCENT, AuthorError
from autograder.course.stripping import TEXT_STUB, BuildError

COURSE = """\
id = "c"
title = "C"
homeworks = ["hw1"]
repository = "org/course"
branch = "spring"
"""

HOMEWORK = """\
title = "Powers"

[[notebooks]]
name = "powers"
title = "Powers"
minutes = 5

[[notebooks]]
name = "theory"
title = "Theory"
minutes = 5
"""

POWERS = '''\
# %% [markdown]
r"""
# Squares

Every number $x \\in \\mathbb{R}$ has one – even \\"π\\".
"""

# %%
import math

# %% nbgrader={"grade_id": "square", "solution": true}
def square(x):
    """The square of x."""
    ### BEGIN SOLUTION
    product_of_both = x * x
    return product_of_both
    ### END SOLUTION

# %% nbgrader={"grade_id": "square-small", "grade": true, "points": 2, "locked": true}
assert square(2) == 4, f"square(2) is 4, yours gave {square(2)}"

# %% tags=["demo"]
# ls of squares
print([square(x) for x in range(10)])
'''

POWERS_TESTS = """\
from autograder import earns


@earns("square-small")
def test_small(student): ...
"""

THEORY = '''\
# %% [markdown]
# # Theory

# %% [markdown] nbgrader={"grade_id": "why", "grade": true, "solution": true, "points": 1.5}
# A square grows because its sides grow.

# %% [markdown] nbgrader={"grade_id": "essay", "task": true, "locked": true, "points": 3}
r"""
Draw a square.

=== BEGIN MARK SCHEME ===
Two points for four sides of equal length.
=== END MARK SCHEME ===
"""
'''


def write_course(root: Path) -> Course:
    for name, text in {
        "course.toml": COURSE,
        "hw1/homework.toml": HOMEWORK,
        "hw1/powers.py": POWERS,
        "hw1/hidden/test_powers.py": POWERS_TESTS,
        "hw1/theory.py": THEORY,
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    return open_course(root)


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in {path}"
    path.write_text(text.replace(old, new), encoding="utf-8")


def files_below(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def cells_of(notebook: nbformat.NotebookNode) -> dict[str, nbformat.NotebookNode]:
    return {cell.id: cell for cell in notebook.cells}


@pytest.fixture
def course(tmp_path: Path) -> Course:
    return write_course(tmp_path)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Course:
    """A course after its first build; for tests that only look."""
    course = write_course(tmp_path_factory.mktemp("course"))
    build.build(course)
    return course


@pytest.fixture(scope="module")
def source(built: Course) -> dict[str, nbformat.NotebookNode]:
    return cells_of(nbformat.read(built.root / "source/hw1/powers.ipynb", as_version=4))


@pytest.fixture(scope="module")
def release(built: Course) -> dict[str, nbformat.NotebookNode]:
    return cells_of(nbformat.read(built.homework("hw1").release("powers"), as_version=4))


def test_each_notebook_becomes_a_source_a_release_and_a_script(built: Course) -> None:
    made = [name for name in files_below(built.root) if name.startswith(("source", "release"))]
    assert made == [
        "release/hw1/powers.ipynb",
        "release/hw1/powers.py",
        "release/hw1/theory.ipynb",
        "release/hw1/theory.py",
        "source/hw1/powers.ipynb",
        "source/hw1/theory.ipynb",
    ]


def test_a_second_build_changes_nothing(course: Course) -> None:
    build.build(course)
    assert build.build(course) == ()


def test_two_machines_build_the_same_bytes(built: Course, tmp_path: Path) -> None:
    build.build(built, to=tmp_path / "elsewhere")
    for name, content in files_below(tmp_path / "elsewhere").items():
        assert content == (built.root / name).read_bytes(), name


def test_build_returns_the_files_that_changed(course: Course) -> None:
    build.build(course)
    edit(course.root / "hw1/powers.py", "product_of_both = x * x", "product_of_both = x**2")
    assert build.build(course) == (course.root / "source/hw1/powers.ipynb",)


def test_the_badge_and_the_set_up_follow_the_first_cell_and_a_last_cell_is_added(
    release: dict[str, nbformat.NotebookNode],
) -> None:
    assert list(release) == [
        "powers-001", "colab", "setup", "powers-002", "square", "square-small", "powers-005", "hand-in",
    ]  # fmt: skip


def test_the_badge_opens_this_release_in_colab(release: dict[str, nbformat.NotebookNode]) -> None:
    address = "https://colab.research.google.com/github/org/course/blob/spring/release/hw1/powers.ipynb"
    assert release["colab"].source.endswith(f"]({address})")
    assert release["colab"].source.startswith("[![Open this notebook in Google Colab](")


@pytest.mark.parametrize("added", ["colab", "setup", "hand-in"])
def test_students_can_neither_edit_nor_delete_the_added_cells(
    release: dict[str, nbformat.NotebookNode], added: str
) -> None:
    metadata = release[added].metadata
    assert (metadata.nbgrader.locked, metadata.editable, metadata.deletable) == (True, False, False)


@pytest.mark.slow(seconds=3)
def test_the_set_up_cell_runs_and_says_nothing(release: dict[str, nbformat.NotebookNode]) -> None:
    code = release["setup"].source + "\nassert device.type in ('cpu', 'cuda')"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")


def test_nbgrader_metadata_is_complete(source: dict[str, nbformat.NotebookNode]) -> None:
    assert source["square-small"].metadata.nbgrader == {
        "cell_type": "code",
        "grade": True,
        "grade_id": "square-small",
        "locked": True,
        "points": 2,
        "schema_version": 3,
        "solution": False,
        "task": False,
    }


def test_points_stand_on_graded_cells_alone(source: dict[str, nbformat.NotebookNode]) -> None:
    marked = [name for name, cell in source.items() if "points" in cell.metadata.get("nbgrader", {})]
    assert marked == ["square-small"]


@pytest.mark.parametrize("name", ["source/hw1/powers", "release/hw1/powers", "source/hw1/theory", "release/hw1/theory"])
def test_nbgrader_finds_every_notebook_valid(built: Course, name: str) -> None:
    notebook = nbformat.read(built.root / f"{name}.ipynb", as_version=4)
    MetadataValidator().validate_nb(notebook)
    nbformat.validate(notebook)


def test_the_hidden_region_comes_first_so_that_a_failing_check_keeps_partial_credit(
    source: dict[str, nbformat.NotebookNode],
) -> None:
    lines = source["square-small"].source.split("\n")
    assert lines[:4] == [
        "### BEGIN HIDDEN TESTS",
        "import autograder",
        'autograder.hidden_tests("hw1/powers", "square-small")',
        "### END HIDDEN TESTS",
    ]


def test_a_released_solution_cell_keeps_its_signature_and_gets_the_stub(
    release: dict[str, nbformat.NotebookNode],
) -> None:
    assert release["square"].source == 'def square(x):\n    """The square of x."""\n    raise NotImplementedError'


def test_a_released_test_cell_is_the_authors_without_the_hidden_region(
    release: dict[str, nbformat.NotebookNode],
) -> None:
    asked = 'assert square(2) == 4, f"square(2) is 4, yours gave {square(2)}"'
    inside = f"def _check_square_small():\n    {asked}"
    assert release["square-small"].source == f"{inside}\n\n\n_check_square_small()"


def test_a_written_answer_is_released_as_an_invitation(built: Course) -> None:
    assert cells_of(nbformat.read(built.homework("hw1").release("theory"), as_version=4))["why"].source == TEXT_STUB


@pytest.mark.parametrize(
    "secret",
    [
        "product_of_both",
        "sides grow",
        "four sides",
        "SOLUTION",
        "HIDDEN TESTS",
        "MARK SCHEME",
        "hidden_tests",
        "jupytext",
    ],
)
def test_no_release_holds(built: Course, secret: str) -> None:
    assert [
        name for name, content in files_below(built.root / "release").items() if secret.encode() in content
    ] == []  # fmt: skip


def test_notebooks_hold_no_outputs_and_no_versions(built: Course) -> None:
    for path in built.root.glob("*/hw1/*.ipynb"):
        notebook = json.loads(path.read_text(encoding="utf-8"))
        assert notebook["metadata"] == {
            "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        }
        code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
        assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)


def test_the_script_is_the_released_notebook(built: Course, release: dict[str, nbformat.NotebookNode]) -> None:
    script = jupytext.reads((built.root / "release/hw1/powers.py").read_text(encoding="utf-8"), fmt=PERCENT)
    assert [
        (cell.cell_type, cell.source, cell.metadata.get("nbgrader", {}).get("grade_id")) for cell in script.cells
    ] == [(cell.cell_type, cell.source, cell.metadata.get("nbgrader", {}).get("grade_id")) for cell in release.values()]


def test_the_script_is_a_python_module_with_markdown_in_raw_strings(built: Course) -> None:
    text = (built.root / "release/hw1/powers.py").read_text(encoding="utf-8")
    assert ast.parse(text).body[0].value.value.startswith("\n# Squares\n\nEvery number $x \\in")  # type: ignore[attr-defined]


def test_the_script_carries_no_checksums(built: Course) -> None:
    assert "checksum" not in (built.root / "release/hw1/powers.py").read_text(encoding="utf-8")


def test_markdown_with_three_quotes_survives_the_script(course: Course) -> None:
    edit(course.root / "hw1/theory.py", "# # Theory", '# # Theory\n#\n# A docstring opens with """ on its line.')
    build.build(course)
    script = jupytext.reads((course.root / "release/hw1/theory.py").read_text(encoding="utf-8"), fmt=PERCENT)
    assert script.cells[0].source == '# Theory\n\nA docstring opens with """ on its line.'


def test_a_fresh_course_is_not_stale(built: Course) -> None:
    assert build.stale(built) == ()


def test_a_changed_master_makes_its_notebooks_stale_and_shows_the_difference(course: Course) -> None:
    build.build(course)
    edit(course.root / "hw1/powers.py", "import math", "import cmath")
    differences = build.stale(course)
    assert [found.path.name for found in differences] == ["powers.ipynb", "powers.ipynb", "powers.py"]
    assert "-import math\n+import cmath\n" in differences[2].text


def test_an_edited_release_is_stale(course: Course) -> None:
    build.build(course)
    edit(course.root / "release/hw1/powers.py", "raise NotImplementedError", "return x * x")
    assert [found.path for found in build.stale(course)] == [course.root / "release/hw1/powers.py"]


def test_a_course_that_was_never_built_is_stale(course: Course) -> None:
    assert len(build.stale(course)) == 6


@pytest.mark.parametrize("stray", ["source/hw1/notes.txt", "release/hw1/old.ipynb", "release/hw0/old.ipynb"])
def test_a_file_that_no_master_makes_is_reported(course: Course, stray: str) -> None:
    build.build(course)
    path = course.root / stray
    path.parent.mkdir(exist_ok=True)
    path.write_text("x")
    assert [found.path for found in build.stale(course)] == [path]


def test_the_mistakes_of_all_masters_are_told_at_once(course: Course) -> None:
    edit(course.root / "hw1/powers.py", '"points": 2, "locked": true', '"points": 2')
    edit(course.root / "hw1/theory.py", '"task": true, "locked": true', '"task": true')
    with pytest.raises(AuthorError) as caught:
        build.build(course)
    assert [found.path.name for found in caught.value.findings] == ["powers.py", "theory.py"]


def test_nothing_is_written_when_one_master_is_wrong(course: Course) -> None:
    edit(course.root / "hw1/powers.py", '"points": 2, "locked": true', '"points": 2')
    with pytest.raises(AuthorError):
        build.build(course)
    assert not (course.root / "release").exists()


def test_a_solution_that_leaves_broken_python_behind_is_refused(course: Course) -> None:
    edit(
        course.root / "hw1/powers.py",
        "    product_of_both",
        "    if x:\n        ### END SOLUTION\n        pass\n    product",
    )
    edit(course.root / "hw1/powers.py", "    return product_of_both\n    ### END SOLUTION\n", "")
    with pytest.raises(BuildError, match=r"release/hw1/powers\.ipynb, cell square: without its solution it is not"):
        build.build(course)


# What nbgrader should have stripped, left in by a strip that lets it pass.
LEAKS = {
    "a solution line": ("square", "product_of_both = x * x"),
    "a marker": ("square", "### END SOLUTION"),
    "a hidden test": ("square-small", 'autograder.hidden_tests("hw1/powers", "square-small")'),
    "a hidden region": ("square-small", "### BEGIN HIDDEN TESTS"),
    "a mark scheme": ("powers-002", "# === BEGIN MARK SCHEME ==="),
}


@pytest.mark.parametrize(("cell", "leak"), LEAKS.values(), ids=LEAKS.keys())
def test_a_release_is_refused_with(course: Course, monkeypatch: pytest.MonkeyPatch, cell: str, leak: str) -> None:
    strip = build.strip

    def leaky(homework: str, sources: dict[str, str]) -> dict[str, nbformat.NotebookNode]:
        releases = strip(homework, sources)
        cells_of(releases["powers"])[cell].source += f"\n{leak}"
        return releases

    monkeypatch.setattr(build, "strip", leaky)
    with pytest.raises(BuildError, match=rf"release/hw1/powers\.ipynb, cell {cell}: .* is left in it"):
        build.build(course)
    assert not (course.root / "release").exists()


def spoil_metadata(notebook: nbformat.NotebookNode) -> None:
    notebook.metadata["jupytext"] = {"formats": "ipynb,py:percent"}


def spoil_cell_metadata(notebook: nbformat.NotebookNode) -> None:
    notebook.cells[0].metadata["lines_to_next_cell"] = 2


def spoil_outputs(notebook: nbformat.NotebookNode) -> None:
    notebook.cells[2].outputs = [nbformat.v4.new_output("stream", text="4")]


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (spoil_metadata, "jupytext metadata is left"),
        (spoil_cell_metadata, "cell powers-001: metadata that does not belong in a release: lines_to_next_cell"),
        (spoil_outputs, "cell setup: outputs are left"),
    ],
)
def test_a_release_is_refused_with_more_than_its_cells(
    course: Course, monkeypatch: pytest.MonkeyPatch, spoil: Callable[[nbformat.NotebookNode], None], said: str
) -> None:
    strip = build.strip

    def leaky(homework: str, sources: dict[str, str]) -> dict[str, nbformat.NotebookNode]:
        releases = strip(homework, sources)
        spoil(releases["powers"])
        return releases

    monkeypatch.setattr(build, "strip", leaky)
    with pytest.raises(BuildError, match=said):
        build.build(course)


def test_a_solution_line_that_students_see_elsewhere_is_no_leak(course: Course) -> None:
    edit(course.root / "hw1/powers.py", "import math", "import math\n\nproduct_of_both = 3 * 3")
    edit(course.root / "hw1/powers.py", "    product_of_both = x * x", "    product_of_both = 3 * 3")
    build.build(course)
    assert "product_of_both = 3 * 3" in (course.root / "release/hw1/powers.py").read_text(encoding="utf-8")


@pytest.mark.slow(seconds=5)
def test_plain_nbgrader_strips_the_source_to_the_same_release(course: Course) -> None:
    build.build(course)
    released = (course.root / "release/hw1/powers.ipynb").read_bytes()
    shutil.rmtree(course.root / "release")
    (course.root / "nbgrader_config.py").write_text(
        "from autograder.course.stripping import strip_config\nc = get_config()\nc.merge(strip_config())\n"
    )
    command = [sys.executable, "-m", "nbgrader", "generate_assignment", "hw1", "--no-db"]
    run = subprocess.run(command, cwd=course.root, capture_output=True, text=True, check=False)
    assert (course.root / "release/hw1/powers.ipynb").is_file(), run.stderr
    assert (course.root / "release/hw1/powers.ipynb").read_bytes().rstrip() == released.rstrip()
