"""Reading a master: what its cells are, and what an author is told about a mistake."""

from __future__ import annotations

from pathlib import Path

import pytest

from autograder.course.course import CourseError, Homework, open_course
from autograder.course.master import AuthorError, parted
from autograder.course.mistakes import mistakes
from autograder.course.parsing import read_master

MASTER = '''\
# %% [markdown]
r"""
# Squares

Every number $x \\in \\mathbb{R}$ has one.
"""

# %%
import math

# %% nbgrader={"grade_id": "square", "solution": true}
def square(x):
    """The square of x."""
    ### BEGIN SOLUTION
    return x * x
    ### END SOLUTION

# %% nbgrader={"grade_id": "square-small", "grade": true, "points": 2, "locked": true}
assert square(2) == 4

# %% nbgrader={"grade_id": "square-large", "grade": true, "points": 3.5, "locked": true}
assert square(100) == 10_000

# %% tags=["demo"]
print([square(x) for x in range(10)])

# %% [markdown] nbgrader={"grade_id": "why", "grade": true, "solution": true, "points": 1}
# Because $x$ occurs twice.

# %% nbgrader={"grade_id": "root", "solution": true}
def root(x):
    ### BEGIN SOLUTION
    return math.sqrt(x)
    ### END SOLUTION

# %% [markdown]
# And the same for cubes:

# %% nbgrader={"grade_id": "cube", "solution": true}
def cube(x):
    ### BEGIN SOLUTION
    return x * square(x)
    ### END SOLUTION

# %% nbgrader={"grade_id": "powers", "grade": true, "points": 4, "locked": true}
assert cube(root(4)) == 8
'''

HIDDEN = """\
from autograder import earns


@earns("square-small")
def test_small(student): ...


@earns("square-large", weight=2)
def test_large(student): ...


@earns("powers")
def test_powers(student): ...
"""

MISTAKES = """\
[[mistake]]
id = "twice"
title = "Doubles the number"
cell = "square"
replace = "x * x"
with = "x + x"
fails = ["square-large"]
hint = "A square is a product."

[[mistake]]
id = "no-root"
title = "Leaves the number as it is"
cell = "root"
replace = "math.sqrt(x)"
with = "x"
fails = ["powers"]
hint = "The root of 4 is 2."
"""


class Room:
    """A course with one homework of one notebook, sound until a test spoils a file of it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.write("course.toml", 'id = "c"\ntitle = "C"\nhomeworks = ["hw1"]\nrepository = "org/course"\n')
        self.write("hw1/homework.toml", 'title = "T"\n[[notebooks]]\nname = "powers"\ntitle = "P"\nminutes = 5\n')
        self.write("hw1/powers.py", MASTER)
        self.write("hw1/hidden/test_powers.py", HIDDEN)
        self.write("hw1/mistakes/powers.toml", MISTAKES)

    def write(self, name: str, text: str) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def edit(self, name: str, old: str, new: str) -> None:
        text = (self.root / name).read_text(encoding="utf-8")
        assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in {name}"
        self.write(name, text.replace(old, new))

    @property
    def homework(self) -> Homework:
        return open_course(self.root).homework("hw1")

    def findings(self) -> list[tuple[str, int, str]]:
        with pytest.raises(AuthorError) as caught:
            read_master(self.homework, "powers")
        return [(found.path.name, found.line, found.text) for found in caught.value.findings]


@pytest.fixture
def room(tmp_path: Path) -> Room:
    return Room(tmp_path)


def test_a_cell_is_called_by_its_grade_id_or_else_by_its_number(room: Room) -> None:
    assert [cell.id for cell in read_master(room.homework, "powers").cells[:4]] == [
        "powers-001", "powers-002", "square", "square-small",
    ]  # fmt: skip


def test_markdown_comes_out_of_its_raw_string_or_its_comments(room: Room) -> None:
    cells = read_master(room.homework, "powers").cells
    assert cells[0].source == "# Squares\n\nEvery number $x \\in \\mathbb{R}$ has one."
    assert cells[8].source == "And the same for cubes:"


def test_a_cell_knows_the_line_where_its_source_begins(room: Room) -> None:
    room.edit("hw1/powers.py", "import math\n", 'import math\n\ntext = """\n# %% not a cell\n"""\n')
    lines = (room.root / "hw1/powers.py").read_text(encoding="utf-8").splitlines()
    for cell in read_master(room.homework, "powers").cells:
        first = cell.source.split("\n")[1 if cell.autograded else 0].strip()  # a check stands in a function
        assert lines[cell.line - 1].removeprefix("# ") == first.removeprefix("# ")


def test_comments_that_read_like_magics_stay_comments(room: Room) -> None:
    room.edit("hw1/powers.py", "import math\n", "import math\n# %matplotlib inline\n# ls\n")
    assert read_master(room.homework, "powers").cells[1].source == "import math\n# %matplotlib inline\n# ls"


def test_comments_above_the_first_cell_are_the_authors_own(room: Room) -> None:
    room.write("hw1/powers.py", "# Written in spring.\n\n" + MASTER)
    first = read_master(room.homework, "powers").cells[0]
    assert (first.id, first.line) == ("powers-001", 5)


def test_points_are_summed_over_the_grade_cells(room: Room) -> None:
    assert read_master(room.homework, "powers").points == 10.5


def test_code_leaves_out_demo_cells_and_markdown(room: Room) -> None:
    assert [cell.id for cell in read_master(room.homework, "powers").code()] == [
        "powers-002", "square", "square-small", "square-large", "root", "cube", "powers",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("grade_id", "examined"),
    [
        ("square-small", ["square"]),
        ("square-large", ["square"]),
        ("powers", ["root", "cube"]),
        ("why", ["why"]),
    ],
)
def test_a_grade_cell_examines_the_run_of_solutions_above_it(room: Room, grade_id: str, examined: list[str]) -> None:
    assert [cell.id for cell in read_master(room.homework, "powers").examined(grade_id)] == examined


def test_asking_for_an_unknown_cell_names_it(room: Room) -> None:
    with pytest.raises(CourseError, match="no cell has the grade_id 'sqare'"):
        read_master(room.homework, "powers").cell("sqare")


def test_students_do_not_see_what_stands_between_the_markers(room: Room) -> None:
    seen, unseen = parted(read_master(room.homework, "powers").cell("square"))
    assert seen == ["def square(x):", '    """The square of x."""']
    assert unseen == ["    return x * x"]


def test_students_see_nothing_of_a_written_answer(room: Room) -> None:
    assert parted(read_master(room.homework, "powers").cell("why")) == ([], ["Because $x$ occurs twice."])


# Each row: what an author writes in place of what, the line of the finding, and words that it must contain.
SPOILED = {
    "a grade_id is taken twice": ('"grade_id": "root"', '"grade_id": "square"', 31, "'square' is already used"),
    "a grade_id belongs to the build": ('"grade_id": "root"', '"grade_id": "setup"', 31, "choose another"),
    "a grade_id looks like a number": ('"grade_id": "root"', '"grade_id": "powers-001"', 31, "is already used"),
    "a grade_id has strange letters": ('"grade_id": "root"', '"grade_id": "the root"', 30, "letters, digits"),
    "a grade_id is missing": ('"grade_id": "root", ', "", 30, "a solution cell without a grade_id"),
    "points without grade": ('"root", "solution": true', '"root", "solution": true, "points": 1', 30, "points on a"),
    "grade without points": ('"grade": true, "points": 2, "locked"', '"grade": true, "locked"', 18, "without points"),
    "points on an unlocked test cell": ('"points": 2, "locked": true', '"points": 2', 19, "unlocked test cell"),
    "a misspelt key": ('"points": 2,', '"point": 2,', 18, "unknown field `point`"),
    "points in words": ('"points": 2,', '"points": "two",', 18, "Expected `float"),
    "negative points": ('"points": 2,', '"points": -2,', 18, ">= 0"),
    "a flag that is no flag": ('"points": 2, "locked": true', '"points": 2, "locked": 1', 18, "Expected `bool"),
    "metadata that says nothing": ('"root", "solution": true', '"root"', 30, "say which it is"),
    "broken metadata": ('nbgrader={"grade_id": "root"', 'nbgrader={"grade_id: "root"', 30, "cannot read"),
    "unknown cell metadata": ('tags=["demo"]', 'tag=["demo"]', 24, "unknown cell metadata tag"),
    "a forgotten equals sign": ('nbgrader={"grade_id": "root"', 'nbgrader{"grade_id": "root"', 30, "unknown cell"),
    "a graded demo cell": ('"points": 2, "locked": true}', '"points": 2, "locked": true} tags=["demo"]', 19, "demo"),
    "a raw cell": ("# %% [markdown]\n# And", "# %% [raw]\n# And", 36, "a raw cell"),
    "an autograded cell of text": (
        '# %% nbgrader={"grade_id": "square-small"',
        '# %% [markdown] nbgrader={"grade_id": "square-small"',
        19,
        "must be a code cell",
    ),
    "a written answer without points": ('"grade": true, "solution": true, "points": 1', '"solution": true', 28, "grad"),
    "a locked solution": ('"root", "solution": true', '"root", "solution": true, "locked": true', 31, "be locked"),
    "a task with code": ('"square-small", "grade": true', '"square-small", "task": true', 19, "a task must be"),
    "a solution that never ends": ("math.sqrt(x)\n    ### END SOLUTION", "math.sqrt(x)", 32, "without END"),
    "a solution that never begins": ("x):\n    ### BEGIN SOLUTION\n    return math", "x):\n    return math", 33, "END"),
    "a solution in a solution": ("return math", "### BEGIN SOLUTION\n    return math", 33, "begins at line 32"),
    "a misspelt marker": ("# And the same", "# ### BEGIN SOLUTOIN\n# And the same", 37, "write exactly that"),
    "a marker in a sentence": ("And the same", "Between BEGIN SOLUTION and the end", 37, "reword"),
    "a solution in a cell for all": ("import math", "### BEGIN SOLUTION\n### END SOLUTION", 9, "students would see"),
    "a mark scheme in a cell for all": ("# And", "# === BEGIN MARK SCHEME ===\n# And", 37, "this mark scheme"),
    "a hidden region by hand": ("assert square(2) == 4", "### BEGIN HIDDEN TESTS", 19, "hidden/ folder"),
    "a syntax error": ("import math", "import math\nimport", 10, "cell powers-002:"),
    "bare text for markdown": ("# And the same for", "And the same for", 37, "not a Python module"),
    "code above the first cell": ('# %% [markdown]\nr"""', 'import this\n# %% [markdown]\nr"""', 1, "before the"),
}  # fmt: skip


@pytest.mark.parametrize(("old", "new", "line", "words"), SPOILED.values(), ids=SPOILED.keys())
def test_an_author_is_told_of(room: Room, old: str, new: str, line: int, words: str) -> None:
    room.edit("hw1/powers.py", old, new)
    assert [found for found in room.findings() if found[:2] == ("powers.py", line) and words in found[2]]


def test_a_code_solution_needs_markers(room: Room) -> None:
    room.edit(
        "hw1/powers.py", "    ### BEGIN SOLUTION\n    return math.sqrt(x)\n    ### END SOLUTION", "    return x**0.5"
    )
    assert (
        "powers.py",
        31,
        "cell root: a solution cell needs the markers ### BEGIN SOLUTION and ### END SOLUTION",
    ) in room.findings()


def test_a_notebook_without_points_is_a_mistake(room: Room) -> None:
    room.write("hw1/powers.py", "# %%\nx = 1\n")
    room.write("hw1/hidden/test_powers.py", "")
    room.write("hw1/mistakes/powers.toml", "")
    assert [found[:2] for found in room.findings()] == [("powers.py", 1)]


def test_all_mistakes_are_told_at_once_in_the_order_of_their_lines(room: Room) -> None:
    room.edit("hw1/powers.py", '"points": 2, "locked": true', '"points": 2')
    room.edit("hw1/powers.py", "import math\n", "import math +\n")
    assert [found[:2] for found in room.findings()] == [("powers.py", 9), ("powers.py", 19)]


def test_the_text_of_the_error_is_a_line_for_each_finding(room: Room) -> None:
    room.edit("hw1/powers.py", '"points": 2, "locked": true', '"points": 2')
    with pytest.raises(AuthorError) as caught:
        read_master(room.homework, "powers")
    master = room.root.resolve() / "hw1/powers.py"
    said = f'{master}:19: cell square-small: points on an unlocked test cell: add "locked": true'
    assert str(caught.value) == said


@pytest.mark.parametrize("name", ["hw1/powers.py", "hw1/hidden/test_powers.py", "hw1/mistakes/powers.toml"])
def test_a_file_that_has_changed_is_read_again(room: Room, name: str) -> None:
    before = read_master(room.homework, "powers")
    text = (room.root / name).read_text(encoding="utf-8")
    room.write(name, text.replace("square", "sqare"))
    assert room.findings()
    room.write(name, text)
    assert read_master(room.homework, "powers") == before


def test_a_copy_of_a_course_has_its_own_paths(room: Room, tmp_path_factory: pytest.TempPathFactory) -> None:
    copy = Room(tmp_path_factory.mktemp("copy"))
    paths = [read_master(one.homework, "powers").path for one in (room, copy, room)]
    assert paths == [one.root.resolve() / "hw1/powers.py" for one in (room, copy, room)]


def test_a_missing_master_is_named(room: Room) -> None:
    (room.root / "hw1/powers.py").unlink()
    assert room.findings()[0][:2] == ("powers.py", 1)


def test_a_byte_order_mark_is_no_part_of_the_first_cell(room: Room) -> None:
    room.write("hw1/powers.py", "\ufeff" + MASTER)
    assert read_master(room.homework, "powers").cells[0].line == 3


def test_a_line_that_is_not_utf8_is_named(room: Room) -> None:
    (room.root / "hw1/powers.py").write_bytes(MASTER.replace("Every", "\xc9very").encode("latin-1"))
    assert [found[:2] for found in room.findings()] == [("powers.py", 5)]


def test_a_test_of_no_existing_cell_is_named(room: Room) -> None:
    room.edit("hw1/hidden/test_powers.py", '@earns("powers")', '@earns("powers")\n@earns("pwoers")')
    [(name, line, text)] = room.findings()
    assert (name, line) == ("test_powers.py", 13)
    assert "'pwoers'" in text


def test_a_cell_that_no_test_earns_is_named(room: Room) -> None:
    room.edit("hw1/hidden/test_powers.py", '@earns("square-large", weight=2)', '@earns("square-small")')
    assert room.findings() == [("powers.py", 22, "cell square-large: no test in test_powers.py earns its points")]


def test_a_test_earns_for_a_plain_string(room: Room) -> None:
    room.edit("hw1/hidden/test_powers.py", '@earns("powers")', '@earns("powers")\n@earns("pow" + "ers")')
    assert [found[:2] for found in room.findings()] == [("test_powers.py", 13)]


def test_hidden_tests_are_read_and_never_executed(room: Room) -> None:
    room.write("hw1/hidden/test_powers.py", HIDDEN + "\nraise SystemExit\n")
    assert read_master(room.homework, "powers").points == 10.5


def test_an_unreadable_cell_is_not_blamed_on_its_tests(room: Room) -> None:
    room.edit("hw1/powers.py", '"points": 2,', '"point": 2,')
    assert [found[:2] for found in room.findings()] == [("powers.py", 18)]


def test_missing_hidden_tests_are_named(room: Room) -> None:
    (room.root / "hw1/hidden/test_powers.py").unlink()
    [(name, _, text)] = room.findings()
    assert name == "test_powers.py"
    assert "square-small, square-large, powers" in text


def test_a_syntax_error_in_hidden_tests_is_named(room: Room) -> None:
    room.edit("hw1/hidden/test_powers.py", "def test_large(student): ...", "def test_large(student) ...")
    assert [found[:2] for found in room.findings()] == [("test_powers.py", 9)]


def test_mistakes_are_edits_of_the_master(room: Room) -> None:
    first = mistakes(room.homework, "powers")[0]
    assert "return x + x" in first.edit(read_master(room.homework, "powers").cell("square").source)


def test_a_homework_may_have_no_mistakes(room: Room) -> None:
    (room.root / "hw1/mistakes/powers.toml").unlink()
    assert read_master(room.homework, "powers").points == 10.5


SPOILED_MISTAKES = {
    "an id taken twice": ('id = "no-root"', 'id = "twice"', 11, "already has this id"),
    "a missing key": ('hint = "The root of 4 is 2."\n', "", 10, "missing required field `hint`"),
    "an unknown key": ('title = "Leaves', 'titel = "Leaves', 10, "unknown field `titel`"),
    "an unknown cell": ('cell = "root"', 'cell = "rooot"', 11, "no cell 'rooot'"),
    "text that is not there": ('replace = "math.sqrt(x)"', 'replace = "math.sqrt(y)"', 11, "occurs 0 times"),
    "text that is there twice": ('replace = "math.sqrt(x)"', 'replace = "SOLUTION"', 11, "occurs 2 times"),
    "an edit that breaks the code": ('with = "x"', 'with = "x +"', 11, "not valid Python"),
    "nothing failed": ('fails = ["powers"]', "fails = []", 11, "`fails` is empty"),
    "an unknown cell failed": ('fails = ["powers"]', 'fails = ["power"]', 11, "no autograded cell"),
    "a manual cell failed": ('fails = ["powers"]', 'fails = ["why"]', 11, "no autograded cell"),
    "broken TOML": ('title = "Leaves the', 'title = Leaves "the', 12, "Invalid value"),
}


@pytest.mark.parametrize(("old", "new", "line", "words"), SPOILED_MISTAKES.values(), ids=SPOILED_MISTAKES.keys())
def test_an_author_is_told_of_a_mistake_with(room: Room, old: str, new: str, line: int, words: str) -> None:
    room.edit("hw1/mistakes/powers.toml", old, new)
    [(name, at, text)] = room.findings()
    assert (name, at) == ("powers.toml", line)
    assert words in text


COMMON = "import matplotlib.pyplot as plt\n\n\ndef show_figure(says):\n    plt.show()\n"
SETUP = """\
# %% nbgrader={"grade_id": "drawing", "locked": true}
import matplotlib.pyplot as plt

from common import show_figure


def finish(ax, says):
    ax.legend()
    show_figure(says)


def sketch():
    figure, ax = plt.subplots()
    ax.plot([1, 2])
    return ax


def picture(says):
    finish(sketch(), says)

"""


def draw(room: Room, code: str, setup: str = SETUP) -> int:
    """Let the master end with a figure of this code; returns the line that says `# here`, or 0."""
    room.write("common.py", COMMON)
    text = f'{setup}{MASTER}\n# %% nbgrader={{"grade_id": "figure", "locked": true}} tags=["demo"]\n{code}\n'
    room.write("hw1/powers.py", text)
    return next((number for number, line in enumerate(text.split("\n"), 1) if line.endswith("# here")), 0)


@pytest.mark.parametrize(
    "code",
    [
        "plt.plot([1, 2])\nplt.show()  # here",
        "if square(2) == 4:\n    plt.plot([1, 2])\n    plt.show()  # here",
        "figure, ax = plt.subplots()\nax.plot([1, 2])\nfigure.show()  # here",
        "def draw(x):\n    plt.plot(x)\n    plt.show()  # here\n\n\nshow_figure('twice')",
        "plt.plot([1, 2])  # here",
        "figure, ax = plt.subplots()  # here\nax.plot([1, 2])",
        "ax = sketch()  # here\nax.set_title('open')",
        "def draw():\n    sketch()\n\n\ndraw()  # here",
        "def later():\n    show_figure('never called')\n\n\nplt.imshow([[1]])  # here",
    ],
)
def test_an_author_is_told_of_a_figure_without_words(room: Room, code: str) -> None:
    line = draw(room, code)
    [(file, found, text)] = room.findings()
    assert (file, found) == ("powers.py", line) and line
    assert text.startswith("cell figure: ") and "show_figure(" in text


@pytest.mark.parametrize(
    "code",
    [
        "plt.plot([1, 2])\nshow_figure('It rises from 1 to 2.')",
        "for k in range(2):\n    plt.plot([k, 2])\n    show_figure(f'It rises from {k} to 2.')",
        "finish(sketch(), 'It rises from 1 to 2.')",
        "picture('It rises from 1 to 2.')",
        "def fresh():\n    return plt.figure()",
        "figure, ax = plt.subplots()\nplt.close(figure)",
        "import io\n\nio.BytesIO().close()\nprint(plt.rcParams['font.size'])",
    ],
)
def test_a_figure_with_words_or_none_at_all_is_fine(room: Room, code: str) -> None:
    draw(room, code)
    assert read_master(room.homework, "powers").cells[-1].grade_id == "figure"


def test_a_course_without_words_for_figures_may_show_them(room: Room) -> None:
    draw(room, "plt.plot([1, 2])\nplt.show()", "# %%\nimport matplotlib.pyplot as plt\n\n")
    (room.root / "common.py").unlink()
    assert read_master(room.homework, "powers").cells[-1].grade_id == "figure"
