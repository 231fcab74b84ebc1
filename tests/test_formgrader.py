"""A marker's view: formgrader in a real browser, without a network."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from nbgrader.api import Gradebook
from playwright.sync_api import Page, Route, expect, sync_playwright

from autograder.course import build, starting
from autograder.course.course import Course, open_course
from autograder.grading import class_run
from autograder.grading.submissions import survey
from tests.test_jupyterlab import CHROMIUM, FLAGS, PATIENCE, TOKEN, serving

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium to look with: apt-get install chromium"),
    pytest.mark.slow(seconds=45),
]
FORMULAS = ".MathJax_Display, .MathJax"
FAILURES = ".MathJax_Error, .merror, .MathJax_Preview:not(:empty)"


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory) -> Course:
    """A new course in which ada has submitted what was handed out."""
    root = tmp_path_factory.mktemp("marking") / "course"
    starting.new_course(root)
    course = open_course(root)
    build.build(course)
    homework = course.homework("hw1")
    target = root / "submitted/ada/hw1/kmeans.ipynb"
    target.parent.mkdir(parents=True)
    target.write_bytes(homework.release("kmeans").read_bytes())
    todo = survey(root / "submitted", "hw1").todo
    class_run.run(course, homework, todo, root / "results", workers=1, unconfined=True)
    return course


@pytest.fixture
def page(course: Course, tmp_path: Path) -> Iterator[Page]:
    """Ada's notebook in formgrader. What is elsewhere than on this machine is not there."""
    with Gradebook(f"sqlite:///{course.root}/gradebook.db") as book:
        [submission] = book.notebook_submissions("kmeans", "hw1")
        number = submission.id
    asked: list[str] = []

    def answer(route: Route) -> None:
        if route.request.url.startswith("http://localhost:"):
            route.continue_()
        else:
            asked.append(route.request.url)
            route.abort()

    with serving(course.root, tmp_path) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch_persistent_context(
            tmp_path / "profile", executable_path=CHROMIUM, args=FLAGS
        )
        browser.set_default_timeout(PATIENCE * 1000)
        browser.route("**/*", answer)
        page = browser.new_page()
        page.goto(f"{address}formgrader/submissions/{number}/?token={TOKEN}")
        yield page
        browser.close()
    assert asked == []


def test_formulas_are_set_without_a_network_and_with_their_fonts(page: Page) -> None:
    expect(page.locator(FORMULAS).first).to_be_visible()
    page.evaluate("() => new Promise(settled => MathJax.Hub.Queue(() => settled(true)))")
    assert page.locator(FORMULAS).count() > 3 and page.locator(FAILURES).count() == 0
    page.wait_for_function("[...document.fonts].some(font => /STIX/.test(font.family) && font.status == 'loaded')")
    assert "\\frac" not in page.locator("#notebook").first.inner_text()
