"""Take the pictures of the site's front page: `make pictures`.

A class of 300 is made from hw1/mlp and graded; docs/figures/ keeps what Chromium then shows of a notebook, a student's
page and the class page.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from autograder.course.course import Course, open_course
from autograder.proving import demo
from autograder.proving.example_class import ExampleSubmission, SubmissionWriter, write

COURSE = Path(__file__).resolve().parents[1]
FOLDER = COURSE / "docs" / "figures"
_FIRST_NAMES = (
    *("ada", "amir", "anna", "ben", "carla", "chen", "clara", "daniel", "elena", "emil", "fatma", "hana", "hugo"),
    *("ines", "ivan", "jonas", "julia", "karim", "lea", "leo", "lin", "maria", "mira", "nils", "nora", "omar"),
    *("paul", "rosa", "sara", "tim"),
)
STUDENTS = tuple(f"{name}-{initial}" for initial in "abdfghklmr" for name in _FIRST_NAMES)
SHOWN = "anna-k"
"""whose page is shown: she has made one mistake, and reads its hint"""
MISTAKE = "bias-grad-averaged"
WIDTH, HEIGHT = 760, 570
"""CSS pixels of what is shown"""
_WAIT = 60
"""seconds for JupyterLab to start"""


def class_of_hw1(root: Path) -> Course:
    """A copy of the course with hw1/mlp alone, and a class that has handed it in: some right, some wrong."""
    demo.copy_course(open_course(COURSE), root)
    listed = root / "course.toml"
    text = re.sub(r"^homeworks = .*$", 'homeworks = ["hw1"]', listed.read_text(encoding="utf-8"), flags=re.MULTILINE)
    listed.write_text(text, encoding="utf-8")
    settings = root / "hw1" / "homework.toml"
    parts = re.split(r"^(?=\[)", settings.read_text(encoding="utf-8"), flags=re.MULTILINE)
    kept = [part for part in parts if not part.startswith("[[") or '"mlp"' in part]
    settings.write_text("".join(kept), encoding="utf-8")
    course = open_course(root)
    writer, chance = SubmissionWriter(course.homework("hw1"), "mlp"), random.Random(1)
    names = list(writer.mistakes)
    for student in STUDENTS:
        made = chance.sample(names, chance.choice((0, 0, 1, 1, 2))) if student != SHOWN else [MISTAKE]
        without = writer.later_half() if chance.random() < 0.15 and student != SHOWN else ()
        book = json.dumps(writer.solved(*made, without=without)).encode()
        write(ExampleSubmission(student, {writer.file: book}), root / "submitted" / student / "hw1")
    return course


def graded(course: Course) -> None:
    """Grade the class and write its page."""
    for command in (("grade", "hw1"), ("report", "hw1")):
        subprocess.run([Path(sys.executable).with_name("autograder"), *command], cwd=course.root, check=False)


@contextlib.contextmanager
def jupyterlab(folder: Path) -> Iterator[str]:
    """The address of a JupyterLab that shows `folder`, which is its user's home as well."""
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--IdentityProvider.token="]
    runtime = folder / ".runtime"
    settings = folder / ".jupyter/lab/user-settings/@jupyterlab/apputils-extension/notification.jupyterlab-settings"
    settings.parent.mkdir(parents=True)
    settings.write_text('{"fetchNews": "false", "checkForUpdates": false}')  # a question would cover the picture
    env = {**os.environ, "HOME": str(folder), "JUPYTER_RUNTIME_DIR": str(runtime)}
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, env=env, cwd=folder, **quiet) as server:  # type: ignore[call-overload]
        try:
            told, deadline = runtime / f"jpserver-{server.pid}.json", time.monotonic() + _WAIT
            while not told.exists() or not told.stat().st_size:
                if server.poll() is not None or time.monotonic() > deadline:
                    raise SystemExit(f"JupyterLab does not start: try `{' '.join(command)}`")
                time.sleep(0.2)
            yield json.loads(told.read_text())["url"]
        finally:
            server.terminate()


def main() -> None:
    from matplotlib import image
    from playwright.sync_api import Page, sync_playwright

    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None:
        raise SystemExit("there is no Chromium to take pictures with: apt-get install chromium")

    def keep(page: Page, name: str) -> None:
        pixels = image.imread(io.BytesIO(page.screenshot()))
        image.imsave(FOLDER / f"{name}.webp", pixels[..., :3].copy(), pil_kwargs={"quality": 70, "method": 6})
        print(f"wrote docs/figures/{name}.webp, {(FOLDER / f'{name}.webp').stat().st_size / 1000:.0f} kB")

    with tempfile.TemporaryDirectory() as temporary, sync_playwright() as playwright:
        folder = Path(temporary)
        course = class_of_hw1(folder / "course")
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        (folder / "lab").mkdir()
        shutil.copy(course.homework("hw1").release("mlp"), folder / "lab")
        with jupyterlab(folder / "lab") as address:
            page.goto(f"{address}doc/tree/mlp.ipynb")
            cell = page.locator(".jp-Notebook .jp-MarkdownCell h2", has_text="1 · A gradient checker")
            page.locator(".jp-Notebook .jp-Cell").first.wait_for()
            for _ in range(40):
                if cell.count():
                    break
                page.locator(".jp-WindowedPanel-outer").evaluate("panel => panel.scrollBy(0, 300)")
                page.wait_for_timeout(200)
            cell.first.evaluate("heading => heading.scrollIntoView({behavior: 'instant'})")
            page.locator(".jp-WindowedPanel-outer").evaluate("panel => panel.scrollBy(0, -40)")
            page.wait_for_timeout(3000)  # formulas are drawn
            keep(page, "notebook")
        graded(course)
        page.goto((course.root / "results" / SHOWN / "hw1.html").as_uri())
        keep(page, "feedback")
        page.goto((course.root / "results" / "hw1.html").as_uri())
        page.get_by_role("heading", name="Scores", exact=True).evaluate(
            "heading => heading.scrollIntoView({behavior: 'instant'})"
        )
        keep(page, "class")
        browser.close()


if __name__ == "__main__":
    main()
