"""Locked cells leave no names behind that they do not declare; an author hears of a name that is missing."""

from __future__ import annotations

import pytest

from autograder.course.master import Cell
from autograder.course.scopes import check_scopes, closed, given, listed, opened


def cell(name, source, **more):
    return Cell(id=name, grade_id=name, kind="code", source=source, line=1, **more)


def book(*cells):
    helpers = cell("helpers", "import math\n\nTAU = math.tau", locked=True)
    exercise = cell("f-code", "def f(x):\n    return x", solution=True)
    return [helpers, exercise, *cells]


def ran(cells):
    names = {}
    for one in closed(cells):
        exec(one.source, names)
    return {name for name in names if not name.startswith("_")}


CHECK = cell("f", "x = 3\nfor k in range(x):\n    assert f(k) == k", locked=True, grade=True)


def test_a_check_leaves_no_name_behind():
    assert ran(book(CHECK)) == {"math", "TAU", "f"}


def test_a_cell_gives_the_names_that_it_declares_and_no_others():
    data = cell("data", "a, b = 1, 2\n\n\ndef g():\n    return a", locked=True, gives=("g", "b"))
    assert ran(book(data)) == {"math", "TAU", "f", "g", "b"}
    assert list(check_scopes(book(data))) == []


def test_a_cell_that_gives_all_its_names_stays_as_it_is():
    data = cell("data", "def g():\n    return 1", locked=True, gives=("g",))
    assert closed(book(data))[-1].source == data.source


def test_the_variable_of_a_comprehension_is_no_name_that_stays():
    """In the symbol tables of Python 3.12 and later it looks like one."""
    data = cell(
        "data", "def g():\n    return 1\n\n\nprint([k for k in {g(): g for _ in 'ab'}])", locked=True, gives=("g",)
    )
    assert closed(book(data))[-1].source == data.source
    [text] = said(CHECK, cell("figure", "print([x for _ in range(x)])", locked=True))
    assert "'x' of the cell f" in text


def test_the_students_own_cells_stay_as_they_are():
    assert closed(book(CHECK))[:2] == tuple(book())


def test_text_of_several_lines_keeps_its_lines():
    check = cell("f", 'text = """one\n  two\nthree"""\nassert text == "one\\n  two\\nthree"', locked=True, grade=True)
    assert "text" not in ran(book(check))


def test_a_cell_in_a_function_is_opened_again():
    data = cell("data", "a = 1\n\nb = a", locked=True, gives=("b",))
    for one in (CHECK, data):
        put = closed(book(one))[-1].source
        assert put != one.source and opened(put).strip().removesuffix("\nreturn b") == one.source
    assert opened(CHECK.source) == CHECK.source
    assert opened("def _check_f():\n    x = 1\n\n\n_check_f()\nmine = 2") == "x = 1\n\n\nmine = 2"


def said(*cells):
    return [text for _, text in check_scopes(book(*cells))]


def test_an_author_hears_of_a_name_that_does_not_reach_a_later_cell():
    [text] = said(CHECK, cell("figure", "print(x)", locked=True, tags=("demo",)))
    assert text.startswith("cell figure: it uses 'x' of the cell f, whose names do not leave it")


def test_a_name_inside_a_function_is_needed_as_well():
    [text] = said(CHECK, cell("figure", "def show():\n    return x\n\nshow()", locked=True))
    assert "'x' of the cell f" in text


@pytest.mark.parametrize("source", ["x = 5\nprint(x)", "print([x for x in range(3)])", "def show(x):\n    return x"])
def test_a_name_that_a_cell_defines_itself_is_not_missing(source):
    assert said(CHECK, cell("figure", source, locked=True)) == []


def test_an_author_hears_of_a_declared_name_that_is_not_there():
    [text] = said(cell("data", "b = 2", locked=True, gives=("a",)))
    assert text == "cell data: \"gives\" lists 'a', which the cell does not define"


def test_a_check_must_not_give_names_because_it_may_fail():
    [text] = said(cell("f", "x = 1", locked=True, grade=True, gives=("x",)))
    assert text == "cell f: a check that fails gives nothing: define 'x' in a cell above it"


def test_students_read_which_names_are_taken():
    data = cell("data", "a, b = 1, 2", locked=True, gives=("b",))
    assert given(book(data)) == ("TAU", "b")
    assert "these names themselves: TAU, b." in listed(given(book(data)))
