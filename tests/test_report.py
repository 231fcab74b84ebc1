"""Reports: what a student and an instructor read, and what a hostile submission cannot make of it."""

from __future__ import annotations

import csv
import io
import re
import struct
import zlib
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest

from autograder import atomic_file
from autograder.course.roster import open_roster
from autograder.results import page, plain_text, record, result, table
from autograder.results.result import (
    CellResult,
    Diagnosis,
    Incident,
    Late,
    Mark,
    NotebookResult,
    Output,
    Repair,
    Result,
    TestResult,
)

DOCS = Path(__file__).parents[1] / "docs" / "results.md"
STYLE = Path(page.__file__).parent / "templates" / "style.html"
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
VOID = {"meta", "img", "br"}
HOSTILE = "'\"><script>alert(1)</script><img src=x onerror=alert(1)><a href=javascript:alert(1)>{{ 7*7 }}\x1b[31m\u202e"


def png(width=2, height=2, padding=0):
    """A PNG whose header says width × height, and that is `padding` bytes longer than it needs to be."""

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = zlib.compress(b"\0\0\0" * 2)
    filler = chunk(b"teXt", b" " * padding) if padding else b""
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + filler + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def check(passed=True, message="", **changes):
    fields = {"name": "test_it", "cell": "linear", "weight": 1.0, "says": "The gradient agrees with autograd."}
    return TestResult(**(fields | {"passed": passed, "message": message} | changes))


def cell(earned=3.0, points=3.0, tests=(), **changes):
    fields = {"grade_id": "linear", "title": "Linear layer", "points": points, "earned": earned, "tests": tests}
    return CellResult(**(fields | changes))


def book(*cells, **changes):
    fields = {
        "notebook": "mlp",
        "title": "A network by hand",
        "file": "mlp.ipynb",
        "score": sum(one.earned or 0 for one in cells),
        "max_score": sum(one.points for one in cells),
        "cells": cells,
        "tier": "A",
        "seed": 7,
        "cpu_seconds": 1.25,
        "wall_seconds": 2.5,
        "peak_memory_mb": 300.0,
    }
    return NotebookResult(**(fields | changes))


def graded(*books, **changes):
    fields = {
        "schema": result.SCHEMA,
        "course": "deep-learning",
        "homework": "hw1",
        "title": "Backpropagation",
        "student": "ada",
        "score": sum(one.score for one in books),
        "max_score": sum(one.max_score for one in books),
        "notebooks": books,
        "tier": "A",
        "versions": {"torch": "2.14.1"},
        "graded_at": "2026-11-22T08:44:53+00:00",
        "cpu_seconds": 1.5,
        "wall_seconds": 3.0,
    }
    return Result(**(fields | changes))


def rich():
    """A result with one of everything."""
    return graded(
        book(
            cell(),
            cell(1.5, grade_id="relu", tests=(check(), check(False, "weight_grad has the wrong shape."))),
            cell(0.0, grade_id="mse", tests=(check(False, "shut", forbidden=True),), note="autograd is shut here."),
            cell(None, grade_id="why", title="Why?"),
            repairs=(Repair(kind="restored", cell="relu", note="A locked cell was put back."),),
            incidents=(Incident(kind="timeout", cell="train", note="This cell took too long."),),
            outputs=(
                Output(cell="plot", kind="stdout", text="hello"),
                Output(cell="plot", kind="image/png", png=png()),
                Output(cell="plot", kind="text", text="tensor(1.)"),
                Output(cell="train", kind="stderr", text="careful"),
                Output(cell="train", kind="error", text="ValueError: no\n  cell train, line 3: raise"),
            ),
        )
    )


class Page(HTMLParser):
    """The elements of a page, and whether they are closed in order."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.open, self.words, self.crossed = [], [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.crossed.append(tag)

    def handle_data(self, data):
        if self.open[-1:] != ["style"]:
            self.words.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())

    def all(self, tag):
        return [attrs for name, attrs in self.elements if name == tag]


def page_of(*books, **changes):
    return Page(page.html(graded(*books, **changes)))


def shown(*outputs):
    return page_of(book(cell(), outputs=outputs))


def hostile(value, key=""):
    """The builtins of a result with every free text replaced by a hostile one."""
    if isinstance(value, dict):
        return {name: hostile(item, name) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [hostile(item, key) for item in value]
    return HOSTILE if isinstance(value, str) and key not in ("kind", "png") else value


@pytest.fixture
def attacked():
    everything = msgspec.convert(hostile(msgspec.to_builtins(rich())), Result)
    assert everything.notebooks[0].cells[0].title == HOSTILE
    return page.html(everything)


# The page


def test_every_element_is_closed_in_order():
    found = Page(page.html(rich()))
    assert (found.open, found.crossed) == ([], [])


def test_policy_allows_nothing_but_inline_style_and_data_pictures():
    policies = [meta["content"] for meta in page_of(book(cell())).all("meta") if "http-equiv" in meta]
    assert policies == [POLICY]


def test_headings_never_skip_a_level():
    levels = [int(tag[1]) for tag, _ in Page(page.html(rich())).elements if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_every_table_has_a_caption():
    found = Page(page.html(rich()))
    assert len(found.all("table")) == len(found.all("caption")) == 2


def test_every_link_leads_to_a_place_on_the_page():
    found = Page(page.html(rich()))
    places = {attrs["id"] for _, attrs in found.elements if "id" in attrs}
    links = [link["href"] for link in found.all("a")]
    assert links and all(link.removeprefix("#") in places for link in links)


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_text_stands_out_from_its_background(scheme):
    block = re.findall(r":root \{(.*?)\}", STYLE.read_text(), re.S)[scheme]
    colours = dict(re.findall(r"--([\w-]+): (#\w{6});", block))

    def light(name):
        parts = [int(colours[name][i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    pairs = [(ink, ground) for ink in ("ink", "soft", "link", "nothing") for ground in ("paper", "card", "well")]
    pairs += [(state, f"{state}-bg") for state in ("full", "partly", "nothing", "waits")]
    pairs += [("ink", "nothing-bg"), ("soft", "nothing-bg"), ("full", "card"), ("partly", "card"), ("waits", "card")]
    ratios = {pair: (max(map(light, pair)) + 0.05) / (min(map(light, pair)) + 0.05) for pair in pairs}
    assert {pair: ratio for pair, ratio in ratios.items() if ratio < 4.5} == {}


def test_states_are_said_in_words():
    text = page_of(book(cell(3.0), cell(1.0), cell(0.0), cell(None))).text
    assert [word in text for word in ("✓ full", "◐ partly", "✗ none", "… not marked yet")] == [True] * 4


def test_an_optional_exercise_shows_its_tests_and_costs_nothing():
    passed, failed, undone = (
        cell(0.0, points=0.0, tests=tests) for tests in ((check(),), (check(), check(False, "wrong sign")), ())
    )
    text = page_of(book(cell(), passed, failed, undone)).text
    assert [word in text for word in ("✓ all passed", "◐ partly", "– not done", "wrong sign")] == [True] * 4
    assert text.count("optional") == 3 and "Well done!" in text


def test_failed_test_shows_its_message():
    assert "wrong shape" in page_of(book(cell(0.0, tests=(check(False, "wrong shape"),)))).text


@pytest.mark.parametrize(
    ("points", "extra", "words"),
    [(0.75, 0.5, "◐ partly + 0.5 extra"), (1.0, 0.5, "✓ full + 0.5 extra"), (0.0, 1.0, "✗ none + 1 extra")],
)
def test_extra_credit_does_not_make_a_mark_full(points, extra, words):
    marked = cell(points + extra, points=1.0, mark=Mark(points=points, extra=extra))
    assert words in page_of(book(marked)).text


def remarked(comment, **changes):
    """The HTML below an answer with this comment of a marker."""
    html = page.html(graded(book(cell(3.0, mark=Mark(points=3.0, comment=comment), **changes))))
    return html.partition('<div class="mark">')[2].partition("</div>")[0].partition("</p>")[2].strip()


@pytest.mark.parametrize(
    ("comment", "shown"),
    [
        ("Good, *but* **late**.", "<p>Good, <em>but</em> <strong>late</strong>.</p>"),
        ("`x < 0` & y", "<p><code>x &lt; 0</code> &amp; y</p>"),
        ("- one\n- two", "<ul>\n<li>one</li>\n<li>two</li>\n</ul>"),
        ("It is $\\delta_1*a*\\foo$.", "<p>It is <code>δ_1*a*\\foo</code>.</p>"),
        ("$$\\alpha$$", "<p><code>α</code></p>"),
        ("one\ntwo", "<p>one<br>\ntwo</p>"),
        ("# See\n\n[this](http://a.example/b)", "<p><strong>See</strong></p>\n<p>this (http://a.example/b)</p>"),
        ("a <b>tag</b>", "<p>a &lt;b&gt;tag&lt;/b&gt;</p>"),
    ],
)
def test_a_markers_comment_is_read_as_markdown(comment, shown):
    assert remarked(comment) == shown


@pytest.mark.parametrize(
    "comment",
    [
        HOSTILE,
        "[x](javascript:alert(1)) ![x](http://evil.example/x.png) <http://evil.example>",
        "```mermaid\n<img src=x>\n```\n\n```html\n<script>\n```",
        "$\\href{javascript:alert(1)}{x}$\n\n<script>alert(1)</script>\n\n|a|\n|-|\n|<i onclick=x>|",
        "[a]: javascript:x\n\n[a]\n\n![x](attachment:y)",
    ],
)
def test_nothing_in_a_markers_comment_runs_loads_or_leads_elsewhere(comment):
    found = Page(remarked(comment))
    assert {tag for tag, _ in found.elements} <= {"p", "em", "strong", "code", "pre", "ul", "li", "br"}
    assert all(attrs == {} for _, attrs in found.elements) and not found.crossed


def test_what_to_look_at_first_quotes_a_marker_without_marks_of_emphasis():
    lost = cell(1.0, mark=Mark(points=1.0, comment="Good, *but* `late`."))
    assert "Good, but late." in page_of(book(lost)).text.partition("look at first")[2].partition("Exercises")[0]


def test_unmarked_answer_says_that_a_person_marks_it():
    text = page_of(book(cell(None, points=4.0))).text
    assert "A person will mark this answer" in text and "4 more points are not marked yet" in text


@pytest.mark.parametrize(
    ("points", "says"),
    [(1.0, "1 more point is not marked yet"), (0.5, "0.5 more points are not"), (2.0, "2 more points are not")],
)
def test_what_waits_is_counted_as_people_count(points, says):
    assert says in " ".join(page_of(book(cell(None, points=points))).text.split())


def test_one_point_is_no_points():
    marked = cell(0.5, points=1.0, mark=Mark(points=0.5))
    for one in (page_of(book(cell(0.0, points=1.0))), page_of(book(marked)), page_of(book(cell(None, points=1.0)))):
        text = " ".join(one.text.split())
        assert " 1 point" in text and not re.search(r"\b1 (more )?(points|characters|outputs)\b", text)
    assert "– 1 of 1 point lost" in page_of(book(cell(0.0, points=1.0))).text


def test_first_to_look_at_is_the_cell_that_cost_most():
    found = page_of(
        book(cell(2.0, title="Small loss"), cell(0.0, points=9.0, title="Great loss"), cell(title="No loss"))
    )
    titles = found.text.partition("What to look at first")[2].partition("A network by hand")[0]
    assert titles.index("Great loss") < titles.index("Small loss") and "No loss" not in titles


def test_what_was_written_is_looked_at_before_what_is_not_written_yet():
    unwritten = (check(False, "This is not written yet: your code still raises NotImplementedError."),)
    cells = [cell(0.0, points=9.0, title=f"Blank {n}", tests=unwritten) for n in range(4)]
    found = page_of(book(*cells, cell(1.0, title="Wrong", tests=(check(False, "wrong values"),))))
    titles = found.text.partition("What to look at first")[2].partition("A network by hand")[0]
    assert titles.index("Wrong") < titles.index("Blank 0") and "Blank 3" not in titles


def test_a_known_mistake_is_hinted_at_where_to_look_first_and_once():
    known = (Diagnosis(mistake="sign", title="the sign is flipped", hint="Which way is downhill?"),)
    tests = (check(False, "wrong values"),)
    cells = [cell(0.0, title=title, tests=tests, diagnoses=known) for title in ("One", "Two")]
    first = page_of(book(*cells)).text.partition("What to look at first")[2].partition("Exercises and")[0]
    assert first.count("Which way is downhill?") == 1 and first.count("wrong values") == 1


def test_missing_notebook_is_one_thing_to_look_at_and_not_one_for_each_cell():
    gone = Incident(kind="missing", cell="", note="There is no mlp.ipynb.")
    text = page_of(book(cell(0.0, title="Softmax"), file="", incidents=(gone,))).text
    first = text.partition("What to look at first")[2].partition("Exercises and")[0]
    assert "There is no mlp.ipynb." in first and "Softmax" not in first


def test_full_score_is_praised():
    assert "Well done!" in page_of(book(cell())).text


def test_homework_without_points_has_a_page():
    assert "0 of 0 points" in page_of(book()).text


@pytest.mark.parametrize(("tier", "words"), [("A", "limited by the kernel"), ("none", "without a sandbox")])
def test_tier_is_said_in_words(tier, words):
    assert words in page_of(book(cell(), tier=tier), tier=tier).text


def test_repairs_are_counted():
    mended = Repair(kind="renamed", cell="x", note="Two cells had the same id.")
    assert "made ready for grading: 2 notes" in page_of(book(cell(), repairs=(mended, mended))).text


def test_names_in_backquotes_are_set_as_code():
    assert "<code>dJdy_hat</code>" in page.html(graded(book(cell(tests=(check(says="`dJdy_hat` is finite."),)))))


# What a hostile submission puts into it


def test_no_element_of_a_hostile_text_survives(attacked):
    ours = {name for name, _ in Page(page.html(rich())).elements}
    found = Page(attacked)
    assert {name for name, _ in found.elements} == ours
    assert "script" not in ours and len(found.all("img")) == 1


def test_no_attribute_of_a_hostile_text_survives(attacked):
    names = {name for _, attrs in Page(attacked).elements for name in attrs}
    assert names == {name for _, attrs in Page(page.html(rich())).elements for name in attrs}
    assert not any(name.startswith("on") for name in names)


def test_no_address_of_a_hostile_text_survives(attacked):
    found = Page(attacked)
    addresses = [attrs[name] for _, attrs in found.elements for name in ("href", "src") if name in attrs]
    assert all(address.startswith(("#", "data:image/png;base64,")) for address in addresses)


def test_no_control_or_reversing_character_survives(attacked):
    assert re.findall("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", attacked) == []


def test_template_signs_of_a_text_are_only_text(attacked):
    assert "{{ 7*7 }}" in attacked


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("\x1b[1;31mred\x1b[0m", "red"),
        ("\x1b]8;;http://evil.example\x07link\x1b]8;;\x07", "link"),
        ("\x1b]0;title\x1b\\text", "text"),
        ("\x9b2Jgone", "gone"),
        ("\x1b\x1b[31m[31mtwice", "[31mtwice"),
        ("10%\r55%\r100%\nnext", "100%\nnext"),
        ("windows\r\nlines\r\n", "windows\nlines"),
    ],
)
def test_terminal_codes_are_removed(text, left):
    assert f'<pre class="stdout">{left}</pre>' in page.html(
        graded(book(cell(), outputs=(Output(cell="a", kind="stdout", text=text),)))
    )


def test_stream_pieces_are_put_together():
    pieces = [Output(cell="a", kind="stdout", text=text) for text in ("one ", "text")]
    assert "one text" in shown(*pieces).text


def test_long_text_is_cut_and_says_so():
    text = shown(Output(cell="a", kind="stdout", text="x" * 5000)).text
    assert "x" * 4000 in text and "x" * 4001 not in text and "1000 more characters" in text


def test_flood_of_outputs_is_cut_and_says_so():
    found = shown(*[Output(cell="a", kind="text", text="1")] * 5000)
    assert len(found.all("pre")) == 300 and "4700 more outputs" in found.text


def test_figure_has_its_alternative_text():
    images = shown(*[Output(cell="plot", kind="image/png", png=png())] * 2).all("img")
    assert [image["alt"] for image in images] == ["figure 1 of cell ‘plot’", "figure 2 of cell ‘plot’"]


@pytest.mark.parametrize(
    ("alt", "read"),
    [
        ("It falls from 2 to 1.", "It falls from 2 to 1."),
        (HOSTILE, "'\"><script>alert(1)</script><img src=x onerror=alert(1)><a href=javascript:alert(1)>{{ 7*7 }}"),
        ("a\n\tb\x00\x1b[31m\u202e\ud800", "a b"),
        ("x" * 500, "x" * 500),
        (" \n\x07", "figure 1 of cell ‘plot’"),
    ],
    ids=["a sentence", "hostile", "control characters", "long", "blank"],
)
def test_a_figure_is_read_out_in_the_words_that_came_with_it(alt, read):
    [image] = shown(Output(cell="plot", kind="image/png", png=png(), alt=alt)).all("img")
    assert image["alt"] == read and image.keys() == {"src", "width", "height", "alt"}


@pytest.mark.parametrize(
    "fake",
    [
        b"",
        b"<svg onload=alert(1)></svg>" * 9,
        b"\x89PNG\r\n\x1a\n" + b"<script>alert(1)</script>" * 9,
        b"GIF89a" + png()[6:],
        png()[:40],
        png(width=0),
        png(width=10_001),
        png(height=2**31),
        png(width=9_000, height=9_000),
        png(padding=4 << 20),
    ],
    ids=["empty", "svg", "signature", "gif", "short", "flat", "wide", "high", "vast", "heavy"],
)
def test_what_is_no_sane_png_is_replaced_by_a_sentence(fake):
    found = shown(Output(cell="plot", kind="image/png", png=fake))
    assert found.all("img") == [] and "it is not valid" in found.text


def test_pictures_together_stay_below_a_limit():
    found = shown(*[Output(cell="plot", kind="image/png", png=png(padding=3 << 20))] * 3)
    assert len(found.all("img")) == 2 and "too big for this page" in found.text


def test_what_a_later_template_shows_is_cleaned_too():
    assert page._templates().from_string("<p>{{ text }}</p>").render(text="\x1b[31m<b>") == "<p>&lt;b&gt;</p>"


# Files


def test_result_comes_back_from_its_file(tmp_path):
    record.write(rich(), tmp_path)
    assert record.read(tmp_path / "ada" / "hw1.json") == rich()


def test_page_lies_beside_the_results_file(tmp_path):
    record.write(rich(), tmp_path)
    assert (tmp_path / "ada" / "hw1.html").read_text(encoding="utf-8") == page.html(rich())


def test_name_that_is_not_utf8_does_not_lose_the_result(tmp_path):
    record.write(graded(book(cell(), file="mlp\udcff.ipynb")), tmp_path)
    assert record.read(tmp_path / "ada" / "hw1.json").notebooks[0].file == "mlp?.ipynb"


def test_writing_leaves_no_temporary_file(tmp_path):
    record.write(rich(), tmp_path)
    record.write(rich(), tmp_path)
    assert sorted(path.name for path in (tmp_path / "ada").iterdir()) == ["hw1.html", "hw1.json"]


@pytest.mark.parametrize("broken", ["fsync", "replace"])
def test_failed_writing_keeps_the_older_files(tmp_path, monkeypatch, broken):
    def full(*args):
        raise OSError(28, "No space left on device")

    record.write(rich(), tmp_path)
    before = {path.name: path.read_bytes() for path in (tmp_path / "ada").iterdir()}
    monkeypatch.setattr(*((atomic_file.os, "fsync") if broken == "fsync" else (Path, "replace")), full)
    with pytest.raises(OSError, match="No space"):
        record.write(graded(book(cell(0.0))), tmp_path)
    assert {path.name: path.read_bytes() for path in (tmp_path / "ada").iterdir()} == before


@pytest.mark.parametrize("name", ["..", "", "a/b", "../../etc", "a\\b"])
def test_student_cannot_be_named_out_of_the_folder(tmp_path, name):
    with pytest.raises(ValueError, match="rename"):
        record.write(graded(book(cell()), student=name), tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "data", [b"", b"{}", b"\xff\xfe", b"[" * 100_000, b'{"schema": 1}', b'{"schema": 99, "score": 3}']
)
def test_other_file_is_refused_by_name(tmp_path, data):
    path = tmp_path / "other.json"
    path.write_bytes(data)
    with pytest.raises(ValueError, match=r"other\.json"):
        record.read(path)


def test_a_hint_is_given_once_and_referred_to_where_the_same_mistake_shows_again():
    slip = Diagnosis(mistake="sign", title="the sign", hint="Which way is uphill?")
    cells = [cell(grade_id=name, earned=0.0, diagnoses=(slip,)) for name in ("layer", "network")]
    exercises = page.html(graded(book(*cells))).partition("Exercises and")[2]
    assert exercises.count("Which way is uphill?") == 1
    assert "The hint for ‘layer’ applies here, too." in exercises


@pytest.mark.parametrize(
    "struct_type", [Result, NotebookResult, CellResult, Diagnosis, TestResult, Repair, Incident, Output, Late]
)
def test_documentation_describes_every_field(struct_type):
    section = DOCS.read_text(encoding="utf-8").partition(f"### {struct_type.__name__}\n")[2].partition("\n##")[0]
    described = {name for line in section.splitlines() for name in re.findall(r"`(\w+)`", line[: line.find("|", 1)])}
    assert described >= set(struct_type.__struct_fields__)


def test_documentation_is_of_this_schema():
    assert f"## Schema {result.SCHEMA}\n" in DOCS.read_text(encoding="utf-8")


# The class table


def rows(*results):
    return list(csv.reader(io.StringIO(table.csv_text(results), newline="")))


def test_class_table_has_columns_in_the_order_of_the_homework():
    header = rows(graded(book(cell(grade_id="b"), cell(grade_id="a")), book(cell(), notebook="sgd")))[0]
    assert header == ["student", "score", "max", "mlp", "mlp/b", "mlp/a", "sgd", "sgd/linear", "tier", "findings"]


def test_class_table_has_the_points_of_each_student():
    assert rows(rich())[1] == ["ada", "4.5", "12", "4.5", "3", "1.5", "0", "", "A", "timeout; restored relu"]


def test_cell_that_waits_for_marking_is_empty_in_the_class_table():
    header, line = rows(graded(book(cell(None))))
    assert line[header.index("mlp/linear")] == ""


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", " =1", "＝1", "\x1b[0m=1", '=1,"x"'])
def test_name_like_a_formula_is_guarded(name):
    assert rows(graded(book(cell()), student=name))[1][0].startswith("'")


@pytest.mark.parametrize("label", ["x;=1+41;y", "a; @SUM(A1:A9)", "a;\t-2", "a\n=1", "a\u2028;＝1", 'a";=1;"'])
def test_no_cell_of_the_class_table_is_a_formula_where_semicolons_divide(label):
    sly = Repair(kind="renamed", cell=label, note="")
    text = table.csv_text([graded(book(cell(), repairs=(sly,)))])
    assert text.count("\n") == 2
    assert not any(part.lstrip(' "').startswith(tuple("=+-@＝")) for part in re.split(r"[;\n]", text))
    assert len(rows(graded(book(cell(), repairs=(sly,))))[1]) == len(rows(graded(book(cell())))[0])


def test_points_below_zero_stay_numbers_in_a_table():
    assert table.written([["-1", -1.5, None]]) == "'-1,-1.5,\r\n".replace("'-1", '"\'-1"')


def test_a_separator_within_a_field_stands_between_quotes():
    assert table.written([["a;b", "a\tb", "a,b", 'a"b', "a b"]]) == '"a;b",a b,"a,b","a""b",a b\r\n'


@pytest.mark.parametrize(
    "sign", ["\u061c", "\u2028", "\u2029", "\U000e0041", "\ufff9", "\x0b", "\x0c", "\x1c", "\x1e", "\x85"]
)
def test_no_sign_that_begins_a_line_or_hides_survives_in_plain_text(sign):
    assert plain_text.plain(f"a{sign}b") in ("ab", "a b")
    assert plain_text.one_line(f"a{sign} \r\n b") == plain_text.one_line(f"a b{sign}") == "a b"


def test_one_line_is_cut_where_it_is_too_long():
    assert plain_text.one_line("word " * 9, 7) == "word w…"
    assert plain_text.flat("  x\n\ty") == "  x \ty"


def test_finding_like_a_formula_is_guarded():
    sly = Repair(kind="=cmd()", cell="x", note="")
    assert rows(graded(book(cell(), repairs=(sly,))))[1][-1] == "'=cmd() x"


def test_name_with_commas_quotes_and_lines_stays_one_cell_of_one_line():
    assert rows(graded(book(cell()), student='a,"b"\nc'))[1][0] == 'a,"b" c'


def test_the_columns_of_the_class_table_are_those_that_the_page_about_it_says(tmp_path):
    (tmp_path / "roster.csv").write_text("id,name,section\nada,Ada,A\n")
    late = Late(due="2026-11-20", submitted="2026-11-21", days=1, free_days=0, per_cent=10.0, penalty=0.3, says="late")
    text = table.csv_text([msgspec.structs.replace(rich(), late=late)], roster=open_roster(tmp_path))
    _, _, about = DOCS.read_text(encoding="utf-8").partition("## The class table")
    said = re.findall(r"`([\w/-]+)`", about.partition("A text that a spreadsheet")[0])
    order = [said.index(name) for name in text.splitlines()[0].split(",") if "mlp" not in name]
    assert order == sorted(order) and len(order) == 10
    assert "known mistakes" in about
