"""The site is built without a network, gives nothing away, leads everywhere it says, and can be read by everybody."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from autograder.course import leaks, starting
from autograder.course.course import open_course
from autograder.course.parsing import read_master

ROOT = Path(__file__).parents[1]
COURSE = open_course(ROOT)
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
browser = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium to look with: apt-get install chromium")
pytestmark = pytest.mark.slow(seconds=60)

LOADED = {"script": "src", "img": "src", "link": "href", "source": "src", "iframe": "src", "video": "src"}
FRONT_PAGE = 300_000
"""bytes at most, with all that it loads"""
PAGES = {
    "front page": "index.html",
    "guide": "instructor.html",
    "homework": "homeworks/hw1/mlp.html",
    "reference": "reference/commands/grade.html",
    "search": "search.html?q=sandbox",
}


class Page(HTMLParser):
    """What a page loads, where it leads, what can be led to, and its pictures' texts."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.links: list[str] = []
        self.ids: set[str] = set()
        self.alts: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        fields = {name: value or "" for name, value in attrs}
        if "id" in fields:
            self.ids.add(fields["id"])
        if tag == "a" and fields.get("href"):
            self.links.append(fields["href"])
        if tag in LOADED and LOADED[tag] in fields and fields.get("rel") not in ("index", "search", "next", "prev"):
            self.loaded.append(fields[LOADED[tag]])
        if tag == "img":
            self.alts.append(fields.get("alt", ""))


def build(to: Path) -> None:
    """Build the site without running a master."""
    command = [sys.executable, "-m", "docs.website", "--no-execute", "--to", str(to)]
    made = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert made.returncode == 0, made.stdout + made.stderr  # Sphinx runs with -W: a warning is an error


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    build(folder)
    return folder / "html"


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Page]:
    return {path: Page(path) for path in site.rglob("*.html")}


def test_every_link_leads_to_a_page_and_to_a_place_on_it(site: Path, pages: dict[Path, Page]) -> None:
    broken = []
    for path, page in pages.items():
        for link in (*page.links, *page.loaded):
            parts = urlsplit(link)
            if parts.scheme in ("https", "http", "mailto", "data"):
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            place = not parts.fragment or target not in pages or parts.fragment in pages[target].ids
            if not target.is_file() or not place:
                broken.append((path.name, link))
    assert broken == []
    assert sum(len(page.links) for page in pages.values()) > 1000


def test_every_page_can_be_reached_from_the_front_page(site: Path, pages: dict[Path, Page]) -> None:
    seen, todo = set(), [site / "index.html"]
    while todo:
        path = todo.pop()
        if path in seen or path not in pages:
            continue
        seen.add(path)
        todo += [(path.parent / unquote(urlsplit(link).path)).resolve() for link in pages[path].links]
    assert {path.name for path in set(pages) - seen} <= {"genindex.html", "search.html"}


def test_nothing_is_loaded_from_elsewhere(site: Path, pages: dict[Path, Page]) -> None:
    loaded = {link for page in pages.values() for link in page.loaded}
    assert {link for link in loaded if urlsplit(link).netloc} == set()
    sheets = "\n".join(path.read_text(encoding="utf-8") for path in site.rglob("*.css"))
    assert re.findall(r"url\(['\"]?(?:https?:)?//[^)]*|@import[^;]*//[^;]*", sheets) == []


def test_the_front_page_is_light(site: Path, pages: dict[Path, Page]) -> None:
    front = site / "index.html"
    files = {front, *((site / unquote(urlsplit(link).path)) for link in pages[front].loaded)}
    assert sum(path.stat().st_size for path in files) <= FRONT_PAGE


def test_every_picture_says_what_it_shows(pages: dict[Path, Page]) -> None:
    assert [alt for page in pages.values() for alt in page.alts if len(alt) < 30] == []


def test_a_page_for_each_notebook_command_and_guide(site: Path) -> None:
    from docs.website.pages import GUIDES

    notebooks = {
        f"homeworks/{name}/{spec.name}.html" for name in COURSE.homeworks for spec in COURSE.homework(name).notebooks
    }
    guides = {f"{page}.html" for page in GUIDES.values()}
    documents = {path.relative_to(ROOT).as_posix() for path in (*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"))}
    assert documents - {"README.md"} == set(GUIDES)  # its text is on the front page
    assert all((site / page).is_file() for page in notebooks | guides)


def test_no_button_leads_to_a_repository_that_nobody_has_named(site: Path) -> None:
    text = (site / "homeworks" / "hw1" / "mlp.html").read_text(encoding="utf-8")
    assert "mlp.ipynb" in text  # to download
    assert ("colab.research.google.com" in text) == COURSE.has_repository == ("mybinder.org" in text)


# ---- nothing is given away


def secrets() -> Iterator[tuple[str, str]]:
    """Every line of every solution and mark scheme that no released notebook shows, and where it stands."""
    books = [
        (COURSE.homework(name), spec.name) for name in COURSE.homeworks for spec in COURSE.homework(name).notebooks
    ]
    released = packed(
        "\n".join(homework.release(name).with_suffix(".py").read_text("utf-8") for homework, name in books)
    )
    for homework, name in books:
        for line in leaks._secrets(read_master(homework, name)):
            if packed(line) not in released:
                yield line, f"{homework.name}/{name}"


def packed(text: str) -> str:
    """The text without white space, so that no line break hides it."""
    return re.sub(r"\s+", "", text)


def leaked(site: Path, hidden: Iterable[tuple[str, str]]) -> list[tuple[str, str, str]]:
    """The pages, downloads and indices that hold a hidden line, however its words are marked up."""
    found = []
    hidden = [(packed(line), where) for line, where in hidden]
    for path in site.rglob("*"):
        if path.suffix not in (".html", ".js", ".ipynb", ".py", ".txt", ".md") or "_static" in path.parts:
            continue
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".html":
            text = html.unescape(re.sub(r"<[^>]*>", "", text))
        elif path.suffix == ".ipynb":
            text = "\n".join("".join(cell["source"]) for cell in json.loads(text)["cells"])
        text = packed(text)
        found += [(path.relative_to(site).as_posix(), where, line) for line, where in hidden if line in text]
    return found


def test_no_line_of_a_solution_is_in_the_site(site: Path) -> None:
    hidden = list(secrets())
    assert len(hidden) > 1000
    assert leaked(site, hidden) == []


def test_a_solution_on_a_page_would_be_found(site: Path, tmp_path: Path) -> None:
    line, where = next(pair for pair in secrets() if "<" not in pair[0] and "self" in pair[0])
    first, _, rest = line.partition(" ")
    marked = f"<pre><span>{html.escape(first)}</span> <span>{html.escape(rest)}</span></pre>"
    (tmp_path / "page.html").write_text(marked, encoding="utf-8")
    assert leaked(tmp_path, [(line, where)]) == [("page.html", where, packed(line))]


def test_of_a_master_that_was_run_only_pictures_are_kept(tmp_path: Path) -> None:
    from docs.website.executed import figures

    starting.new_course(tmp_path / "course")
    course = open_course(tmp_path / "course")
    assert figures(course, "hw1", "kmeans", tmp_path / "kept", execute=False) == {}
    shown = figures(course, "hw1", "kmeans", tmp_path / "kept", execute=True)
    assert list(shown) == ["walk-figure"]
    [(picture, _)] = shown["walk-figure"]
    assert picture.startswith(b"\x89PNG")
    [kept] = (tmp_path / "kept").iterdir()
    assert "ok  move_centres" not in kept.read_text(encoding="utf-8")  # what a check prints
    assert figures(course, "hw1", "kmeans", tmp_path / "kept", execute=False) == shown


def test_the_figure_that_answers_a_prediction_is_folded_away(tmp_path: Path) -> None:
    from docs.website import homeworks

    homework = COURSE.homework("hw1")
    shown = {name: [(b"", "A sentence that says what the data say.")] for name in ("step-size-figure", "spiral-figure")}
    page = homeworks._page(COURSE, homework, homework.notebook("mlp"), shown, tmp_path)
    folded = r"<details><summary>Your prediction first[^<]*</summary>\s*```\{image\} mlp-%s-1.png"
    assert re.search(folded % "step-size-figure", page)
    assert "mlp-spiral-figure-1.png" in page and not re.search(folded % "spiral-figure", page)


def test_a_command_of_latex_that_has_no_mathml_is_refused() -> None:
    from docs.website.formulas import markup

    assert "<msup>" in markup("x^2", display=False)
    assert "arg" in markup(r"\arg\min_y E", display=True)
    assert "<mo>&#x0003C;</mo>" in markup("a < b", display=False)
    with pytest.raises(ValueError, match=r"nosuchcommand"):
        markup(r"\nosuchcommand x", display=False)


# ---- everybody can read it


@browser
@pytest.mark.parametrize("kind", PAGES)
def test_axe_finds_nothing_that_keeps_somebody_out(site: Path, kind: str) -> None:
    from axe_playwright_python.sync_playwright import Axe
    from playwright.sync_api import sync_playwright

    rules = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"], "resultTypes": ["violations"]}
    found = []
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        for scheme in ("light", "dark"):
            for width in (320, 1280):
                page = chromium.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
                page.goto(f"{site.as_uri()}/{PAGES[kind]}")
                for wrong in Axe().run(page, options=rules).response["violations"]:
                    found.append((scheme, width, wrong["id"], wrong["nodes"][0]["html"][:200]))
                assert page.evaluate("document.documentElement.scrollWidth") <= width
                page.close()
        chromium.close()
    assert found == []


@browser
def test_without_scripts_everything_can_be_read_in_the_colours_that_the_reader_likes(site: Path) -> None:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        shades = {}
        for scheme in ("light", "dark"):
            page = chromium.new_page(java_script_enabled=False, color_scheme=scheme)
            page.goto(f"{site.as_uri()}/homeworks/hw1/mlp.html")
            assert page.get_by_role("heading", name="1 · A gradient checker").is_visible()
            assert page.locator("math").first.is_visible()
            assert page.get_by_role("link", name="Next").is_visible()
            pixel = page.screenshot(clip={"x": 2, "y": 2, "width": 1, "height": 1})
            shades[scheme] = pixel
        chromium.close()
    assert shades["light"] != shades["dark"]


@browser
def test_the_search_finds_a_page(site: Path) -> None:
    from playwright.sync_api import expect, sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = chromium.new_page()
        page.goto(f"{site.as_uri()}/search.html?q=pseudonyms")
        expect(page.locator("#search-results")).to_contain_text("For instructors", timeout=60_000)
        chromium.close()
