"""Everybody can read what the package makes: axe-core, a keyboard, narrow windows, dark screens and paper."""

from __future__ import annotations

import ast
import functools
import itertools
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import nbformat
import pytest
from axe_playwright_python.sync_playwright import Axe
from nbconvert.exporters import HTMLExporter
from nbformat import v4
from nbgrader.converters import GenerateFeedback
from nbgrader.coursedir import CourseDirectory
from playwright.sync_api import Browser, Page, sync_playwright
from traitlets.config.loader import PyFileConfigLoader

from autograder.insight import alike_page, class_page, class_table, homework_comparison, withholding
from autograder.insight.own_work import Answer, OwnWork
from autograder.insight.similarity import Alike, Findings, Pair
from autograder.insight.viva import sheet
from autograder.insight.viva.asking import Asked
from autograder.insight.viva.questions import About, Question
from autograder.results import page as feedback
from autograder.results.result import Diagnosis, Incident, Late, Mark, Output, Repair
from tests import test_class_page as classes
from tests.test_jupyterlab import CHROMIUM, FLAGS, IDLE, PATIENCE, TOKEN, serving
from tests.test_report import HOSTILE, book, cell, check, graded, png, rich

ROOT = Path(__file__).parents[1]
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]
WIDTHS = (320, 1280)
WHITE = "rgb(255, 255, 255)"

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium to look with: apt-get install chromium"),
    pytest.mark.slow(seconds=120),
]


# ---- the pages


def half() -> str:
    """A feedback page on which some is right and some is not."""
    slip = Diagnosis(mistake="sign", title="the sign", hint="Which way is `uphill`?")
    return feedback.html(
        graded(
            book(
                cell(tests=(check(), check())),
                cell(1.5, grade_id="relu", tests=(check(), check(False, "weight_grad has the wrong shape."))),
                cell(0.0, grade_id="mse", tests=(check(False, "wrong"),), diagnoses=(slip,), causes=("A `cause`.",)),
                cell(0.0, grade_id="net", tests=(check(False, "wrong"),), diagnoses=(slip,), follows=("mse",)),
                cell(0.0, points=0.0, grade_id="extra", title="Optional", tests=(check(False, "no"),)),
                cell(None, grade_id="why", title="Why?"),
            ),
            book(cell(2.0), notebook="sgd", title="Stochastic gradient descent"),
        ),
        "Ada Lovelace",
    )


def hostile() -> str:
    """A feedback page of somebody whose name and texts are long, or code."""
    long = "an_identifier_without_any_space_" * 12
    name = HOSTILE + "n" * 200
    return feedback.html(
        graded(
            book(
                cell(0.0, grade_id=long, title=long, tests=(check(False, long, says=HOSTILE),), note=HOSTILE),
                cell(1.0, title=HOSTILE, tests=(check(False, HOSTILE),)),
                title=long,
                file=f"{long}.ipynb",
                incidents=(Incident(kind="timeout", cell=long, note=long),),
                repairs=(Repair(kind="restored", cell=HOSTILE, note=long),),
                outputs=(Output(cell=long, kind="error", text=long), Output(cell="b", kind="stdout", text=long * 9)),
            ),
            title=long,
            student=name,
            versions={long: long},
        ),
        name,
    )


def late() -> str:
    """A feedback page with a penalty, a rounded score and a bonus."""
    told = Late(due="2026-11-20", days=2, per_cent=10.0, penalty=0.5, says="Handed in 2 days late: 10 % are taken off.")
    cells = (cell(2.6), cell(0.5, points=0.5, grade_id="more", title="More", bonus=True))
    return feedback.html(graded(book(*cells, max_score=3.0), score=2.5, late=told, rounding=0.5))


def figures() -> str:
    """A feedback page with pictures, with text alternatives and without, and with outputs of every kind."""
    wide = "\n".join(f"{row}: " + " ".join(f"{row * column:6}" for column in range(80)) for row in range(60))
    outputs = (
        Output(cell="plot", kind="image/png", png=png(), alt="The loss falls from 2.3 to 0.1 in 40 steps."),
        Output(cell="plot", kind="image/png", png=png(1200, 400)),
        Output(cell="plot", kind="image/png", png=b"no picture"),
        Output(cell="table", kind="stdout", text=wide),
        Output(cell="table", kind="stderr", text="careful"),
        Output(cell="table", kind="text", text="tensor(1.)"),
        Output(cell="train", kind="error", text="ValueError: no\n  cell train, line 3: raise"),
    )
    return feedback.html(graded(book(cell(), outputs=outputs)))


def marked() -> str:
    """A feedback page with a marker's comments."""
    comment = (
        f"# See\n\nGood, *but* **late**:\n\n- $\\delta_1$\n- `x < 0`\n\n```python\n{'wide ' * 60}\n```\n\n$$\\alpha$$"
    )
    cells = (
        cell(2.0, mark=Mark(points=2.0, comment=comment, tests=1.0, outdated=True)),
        cell(3.5, grade_id="b", mark=Mark(points=3.0, extra=0.5, comment="One\n\n1. two\n2. three")),
    )
    return feedback.html(graded(book(*cells)))


def shared() -> str:
    """The class page that may leave the teaching team."""
    report = withholding.shared(classes.report_of(60), 5)
    assert report is not None
    return class_page.html(report)


def compared() -> str:
    """The comparison of two homeworks, after the second of which some may need help."""
    first = list(classes.a_class(40))
    second = [
        msgspec.structs.replace(one, homework="hw2", score=one.score * (at % 3) / 2) for at, one in enumerate(first)
    ]
    tables = [class_table.of_results(first, "hw1"), class_table.of_results(second, "hw2")]
    return class_page.comparison_html(homework_comparison.comparison(tables))


ALIKE = Pair(
    one="ada" + HOSTILE,
    other="bob" * 60,
    score=30.0,
    expected=1e-7,
    exercises=(
        Alike(("mlp", "linear"), 0.9, 8.0, 1e-4, frozenset({1})),
        Alike(("mlp", ""), 0.1, 0.0, 0.5, frozenset()),
    ),
    notes=("Both are in section A.",),
)


def pairs() -> str:
    """The index of pairs whose work is alike."""
    found = Findings(pairs=(ALIKE,), students=30, threshold=0.1, spread=1.0)
    return alike_page.index_html("Backpropagation", found, {"zoe": ("mlp cannot be read.",)}, ["hw1.similar-001.html"])


def pair() -> str:
    """Two students' answers side by side."""
    source = "def f(x):\n    return x + 1\n" + "y" * 300
    works = [
        OwnWork(name, {one.exercise: Answer(source, ((1, 1, 2),)) for one in ALIKE.exercises})
        for name in (ALIKE.one, ALIKE.other)
    ]
    return alike_page.pair_html("Backpropagation", "hw1.similar.html", ALIKE, *works)


def viva() -> str:
    """The sheet for an oral check."""
    question = Question(
        kind="shape", cell="mse", function="mse_loss", first=1, last=2, text="Which shape has `x`?", right="(2, 3)",
        wrong=("(3, 2)", "(2,)", "(3,)", "()"), about=About(), at=2, setting=("mse_loss(y, y_hat)",),
    )  # fmt: skip
    source = f"def mse_loss(y, y_hat):\n    return {'y + ' * 90} y"
    books = (Asked("mlp", (question, question), {"mse": source}, why="only 2"), Asked("sgd", why="nothing is right"))
    return sheet.html("ada" + HOSTILE, "hw1", books)


PAGES: dict[str, Callable[[], str]] = {
    "all right": lambda: feedback.html(graded(book(cell(tests=(check(), check())), cell(grade_id="b")))),
    "one of everything": lambda: feedback.html(rich()),
    "half": half,
    "hostile": hostile,
    "late": late,
    "figures": figures,
    "marked": marked,
    "class": lambda: class_page.html(classes.report_of(60)),
    "small class": lambda: class_page.html(classes.report_of(2)),
    "class, hostile": lambda: class_page.html(classes.report_of(40, name="s{:04}" + HOSTILE)),
    "class, shared": shared,
    "homeworks": compared,
    "pairs": pairs,
    "pair": pair,
    "viva": viva,
}


@functools.cache
def html(name: str) -> str:
    return PAGES[name]()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module", params=["light", "dark"])
def window(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    """An empty window of somebody who likes light, or dark, screens."""
    context = browser.new_context(color_scheme=request.param, reduced_motion="reduce")
    yield context.new_page()
    context.close()


def violations(page: Page, context: dict[str, Any] | None = None, more: Sequence[str] = ()) -> list[str]:
    """What axe-core complains of, by WCAG and by `more` rules: the rule, the element, and why."""
    options = {"runOnly": RULES, "resultTypes": ["violations"], "rules": {rule: {"enabled": True} for rule in more}}
    found = Axe().run(page, context=context, options=options).response["violations"]
    return [
        f"{one['id']}: {node['target']}: {node['html'][:200]}\n{node['failureSummary']}"
        for one in found
        for node in one["nodes"]
    ]


@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_nothing_to_complain_of(window: Page, name: str) -> None:
    window.set_content(html(name))
    for width in WIDTHS:
        window.set_viewport_size({"width": width, "height": 900})
        assert violations(window) == [], f"{width} px wide"


# ---- narrow windows, large letters, paper

OPEN = "document.querySelectorAll('details').forEach(one => { one.open = true })"
LOST = """() => {
    const lost = [];
    const name = element => element.tagName + '.' + element.className + ': ' + element.textContent.trim().slice(0, 60);
    for (const element of document.querySelectorAll('body, body *:not(svg *)')) {
        const style = getComputedStyle(element);
        const shown = style.clipPath == 'none' && element.checkVisibility({contentVisibilityAuto: true});
        if (!shown || element.tagName == 'IMG' || element.closest('.unseen')) continue;
        const {scrollWidth, scrollHeight, clientWidth, clientHeight} = element;
        const wide = clientWidth && scrollWidth > clientWidth + 1 && style.overflowX != 'visible';
        const high = clientHeight && scrollHeight > clientHeight + 1 && style.overflowY != 'visible';
        const named = element.hasAttribute('role') && (element.ariaLabel || element.hasAttribute('aria-labelledby'));
        const scrolls = style.overflowX == 'auto' && element.tabIndex == 0 && named;
        if ((wide || high) && !scrolls) lost.push('clipped: ' + name(element));
    }
    const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    for (let text; (text = texts.nextNode()); ) {
        const range = document.createRange();
        range.selectNodeContents(text);
        const outside = [...range.getClientRects()].some(box => box.right > innerWidth + 1 || box.left < -1);
        const parent = text.parentElement;
        if (outside && !parent.closest('[tabindex], .unseen, style, svg')) lost.push('outside: ' + name(parent));
    }
    if (document.documentElement.scrollWidth > innerWidth + 1) lost.push('the page scrolls sideways');
    return lost;
}"""
"""What somebody with a narrow window cannot reach: text that is cut off, or that stands outside of the window."""


@pytest.fixture(scope="module")
def narrow(browser: Browser) -> Iterator[Page]:
    page = browser.new_page(viewport={"width": 320, "height": 640})
    yield page
    page.close()


@pytest.mark.parametrize(("width", "letters"), [(320, 100), (640, 100), (1280, 200)])
def test_nothing_is_lost_in_a_narrow_window_or_with_large_letters(narrow: Page, width: int, letters: int) -> None:
    """640 px are a window of 1280 px at 200 % zoom."""
    narrow.set_viewport_size({"width": width, "height": 640})
    lost = {}
    for name in PAGES:
        narrow.set_content(html(name))
        narrow.add_style_tag(content=f"html {{ font-size: {letters}% !important }}")
        narrow.evaluate(OPEN)
        lost[name] = narrow.evaluate(LOST)
    assert {name: found for name, found in lost.items() if found} == {}


FOLDED = """() => [...document.querySelectorAll('details > :not(summary)')]
    .filter(one => !one.getClientRects().length || !one.checkVisibility({contentVisibilityAuto: true}))
    .map(one => one.outerHTML)"""
PORTRAIT, LANDSCAPE = 718, 1031
"""pixels of A4 between its margins"""


@pytest.fixture
def paper(browser: Browser) -> Iterator[Page]:
    page = browser.new_page()
    page.emulate_media(media="print")
    yield page
    page.close()


def test_on_paper_nothing_is_folded_or_cut_off(paper: Page) -> None:
    lost = {}
    for name in PAGES:
        width = LANDSCAPE if "size: A4 landscape" in html(name) else PORTRAIT
        paper.set_viewport_size({"width": width, "height": 900})
        paper.set_content(html(name))
        lost[name] = paper.evaluate(FOLDED) + paper.evaluate(LOST.replace("style.overflowX == 'auto'", "false"))
    assert {name: found for name, found in lost.items() if found} == {}


# ---- a keyboard and nothing else

REACH = 'a[href], summary, [tabindex="0"]'
FOCUSED = """() => {
    const {outlineStyle, outlineWidth} = getComputedStyle(document.activeElement);
    return [[...document.querySelectorAll('%s')].indexOf(document.activeElement), outlineStyle, outlineWidth];
}"""


@pytest.fixture
def file(browser: Browser, tmp_path: Path) -> Iterator[Callable[[str], Page]]:
    """Opens a page as a file."""
    page = browser.new_page()

    def opened(name: str) -> Page:
        path = tmp_path / "page.html"
        path.write_text(html(name), encoding="utf-8", errors="replace")
        page.goto(path.as_uri())
        return page

    yield opened
    page.close()


@pytest.mark.parametrize("name", ["half", "figures", "hostile", "class", "pairs", "pair"])
def test_everything_that_can_be_used_is_reached_by_tab_and_shows_it(file: Callable[[str], Page], name: str) -> None:
    page = file(name)
    page.evaluate(OPEN)
    reached = []
    for _ in range(page.locator(REACH).count()):
        page.keyboard.press("Tab")
        reached.append(page.evaluate(FOCUSED % REACH))
    assert reached == [[at, "solid", "3px"] for at in range(len(reached))]


@pytest.mark.parametrize("key", ["Enter", "Space"])
def test_a_key_unfolds_what_is_folded(file: Callable[[str], Page], key: str) -> None:
    page = file("half")
    page.locator("summary").first.press(key)
    assert page.locator("details[open]").count() == 1


def test_enter_follows_a_link(file: Callable[[str], Page]) -> None:
    page = file("half")
    link = page.locator("main a").first
    link.press("Enter")
    assert page.evaluate("location.hash") == link.get_attribute("href")


# ---- charts

STROKES = """() => [...document.querySelectorAll('svg.chart :is(path, use)')]
    .filter(one => !one.closest('defs, clipPath'))
    .map(one => [getComputedStyle(one).fill, getComputedStyle(one).stroke])"""


def lightness(colour: str) -> float:
    """Relative luminance, as WCAG defines it, of `rgb(0, 114, 178)`."""
    parts = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    low, high = sorted((lightness(one), lightness(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("name", ["class", "homeworks"])
def test_marks_of_charts_stand_out_from_what_is_beside_them(narrow: Page, name: str) -> None:
    """A mark has an edge that stands out from it and from the paper, or stands out from the white around it."""
    narrow.set_content(html(name))
    marks = {(fill, stroke) for fill, stroke in narrow.evaluate(STROKES) if (fill, stroke) != ("none", "none")}
    assert len(marks) > 2
    for fill, stroke in marks:
        if not fill.startswith("rgb("):  # a line, or a hatch
            assert stroke == WHITE or contrast(stroke, WHITE) >= 3, stroke
        elif stroke.startswith("rgb(") and stroke != fill:
            assert contrast(fill, stroke) >= 3 and max(contrast(fill, WHITE), contrast(stroke, WHITE)) >= 3, (
                fill,
                stroke,
            )
        else:
            assert fill == WHITE or contrast(fill, WHITE) >= 3, fill


def test_the_median_is_cased_in_white_where_it_crosses_bars() -> None:
    drawn = html("class").partition('id="distribution-title"')[2].partition("</svg>")[0]
    assert re.search(r"stroke: #ffffff; stroke-width: 5.*stroke: #b34700", drawn, re.DOTALL)


# ---- notebooks, as others render them

NOTEBOOKS = sorted((ROOT / "release").glob("*/*.ipynb"))
FRAME = [
    [".jp-InputPrompt"],  # `In [ ]:` is grey on white: nbconvert's
    [".highlight"],  # nbconvert's colours of code
]
"""what is not ours in nbconvert's page of a notebook"""
ORDER = ["empty-heading", "heading-order", "empty-table-header", "image-redundant-alt", "scope-attr-valid"]
"""rules beyond WCAG that hold in what we write"""


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_axe_finds_nothing_to_complain_of_in_a_released_notebook(narrow: Page, path: Path) -> None:
    narrow.set_viewport_size({"width": 1280, "height": 900})
    body, _ = HTMLExporter(template_name="lab").from_filename(str(path))
    narrow.set_content(without_scripts(body))
    assert violations(narrow, {"include": [["main"]], "exclude": FRAME}, ORDER) == []
    headings = narrow.locator("main :is(h1, h2, h3, h4, h5, h6)").evaluate_all("all => all.map(one => +one.tagName[1])")
    assert headings[0] == 1 and headings.count(1) == 1
    assert all(below - above <= 1 for above, below in itertools.pairwise(headings))


def without_scripts(page: str) -> str:
    """A page that nbconvert made, without what it would load from elsewhere."""
    return re.sub(r"<script\b.*?</script>", "", page, flags=re.DOTALL)


LATEX = r"""# Title

Is $\frac{a}{b} < \operatorname{softmax}(x)_i$ right?

$$\begin{aligned} J &= \sum_{i=1}^n x_i^2 \\ &= 1 \end{aligned}$$

A price of \$5, `$code$`, $\unheard{of}$, $\text{<script>alert(1)</script>}$ and $\href{javascript:alert(1)}{x}$.
"""


@pytest.fixture(scope="module")
def by_nbgrader(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The page that `nbgrader generate_feedback` makes of a notebook with formulas, in a course with our settings."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", "/usr/bin")
        patch.setenv("JUPYTER_PATH", "")
        config = PyFileConfigLoader("nbgrader_config.py", str(ROOT)).load_config()
        config.CourseDirectory.root = str(tmp_path_factory.mktemp("course"))
        converter = GenerateFeedback(coursedir=CourseDirectory(config=config), config=config)
        exporter = converter.exporter_class(parent=converter, config=converter.config)
        about = {"grade_id": "a", "grade": True, "solution": True, "locked": False, "schema_version": 3}
        numbers = {"score": 1.0, "points": 2.0, "comment": r"See $\delta_1$."}
        cell = v4.new_markdown_cell(LATEX, metadata={"nbgrader": about | numbers})
        resources = {"nbgrader": {"notebook": "mlp", "score": 1.0, "max_score": 2.0, "late_penalty": 0.0}}
        page, _ = exporter.from_notebook_node(v4.new_notebook(cells=[cell]), resources)
    return str(page)


def test_formulas_in_nbgraders_feedback_are_mathml(narrow: Page, by_nbgrader: str) -> None:
    narrow.set_content(by_nbgrader)
    formulas = narrow.locator("math")
    assert formulas.evaluate_all("all => all.map(one => one.getAttribute('display'))") == [
        *("inline", "block", "inline", "inline", "inline"),
    ]
    heights = "one => [one, one.children[0]].map(part => part.getBoundingClientRect().height)"
    fraction, numerator = narrow.locator("mfrac").evaluate(heights)
    assert fraction > 1.5 * numerator > 0, "it is drawn as a fraction, in any font"
    assert narrow.locator("code").all_inner_texts() == ["$code$", r"\unheard{of}"]
    assert formulas.last.text_content() == "δ1"  # in the comment


def test_nothing_that_a_student_types_as_a_formula_runs(narrow: Page, by_nbgrader: str) -> None:
    narrow.set_content(by_nbgrader)
    assert narrow.locator("script", has_text="alert(1)").count() == 0
    assert narrow.locator("math [href], math [onclick]").count() == 0


def test_no_page_of_ours_loads_anything(browser: Browser, by_nbgrader: str) -> None:
    page = browser.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    for text in (*map(html, PAGES), by_nbgrader):
        page.set_content(text)
        assert not re.search(r"<(?:script|link|iframe|img)[^>]*\b(?:src|href)=[\"']?(?:https?:)?//", text)
    page.close()
    assert [url for url in asked if not url.startswith("data:")] == []


# ---- a notebook that was run, in JupyterLab

RUN = """\
plt.plot([2, 1])
show_figure("It falls from 2 to 1 & ends.")
print("a line", "another", sep="\\n")
"""


@pytest.fixture(scope="module")
def lab(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """JupyterLab with a notebook that has shown a figure and printed something."""
    home = tmp_path_factory.mktemp("home")
    common = ast.parse((ROOT / "common.py").read_text(encoding="utf-8"))
    [shows] = [
        ast.unparse(one) for one in common.body if isinstance(one, ast.FunctionDef) and one.name == "show_figure"
    ]
    cells = [v4.new_code_cell(text) for text in (f"import matplotlib.pyplot as plt\n\n{shows}", RUN)]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}}
    (home / "run.ipynb").write_text(nbformat.writes(v4.new_notebook(cells=cells, metadata=kernel)), encoding="utf-8")
    with serving(home, home) as address:
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.set_default_timeout(PATIENCE * 1000)
        page.goto(f"{address}lab/tree/run.ipynb?token={TOKEN}")
        page.get_by_text(IDLE).wait_for()
        page.get_by_role("menuitem", name="Run", exact=True).click()
        page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
        page.locator(OUTPUT, has_text="another").wait_for()
        yield page
        page.close()


OUTPUT = ".jp-Notebook .jp-OutputArea-output"


def test_axe_finds_nothing_to_complain_of_in_what_a_notebook_shows(lab: Page) -> None:
    assert lab.locator(f"{OUTPUT} img").evaluate_all("all => all.map(one => one.alt)") == [
        "It falls from 2 to 1 & ends."
    ]
    assert violations(lab, {"include": [[".jp-Notebook .jp-OutputArea"]]}) == []
