"""A student's view: the mlp notebook, opened and run in a real JupyterLab, with clicks in a real browser."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import matplotlib
import pytest
from playwright.sync_api import Page, expect, sync_playwright

from autograder.course.course import open_course
from autograder.proving.example_class import SubmissionWriter

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
FLAGS += ["--disable-component-update", "--disable-sync"]
TOKEN = "let-me-in"
PATIENCE = 120
"""seconds for one thing to happen, on a machine that has a lot to do"""

IDLE = "Python 3 (ipykernel) | Idle"
PROMPTS = ".jp-Notebook .jp-CodeCell .jp-InputPrompt"
FIGURES = ".jp-Notebook .jp-OutputArea-output img"
COMPLAINTS = ".jp-OutputArea-output:is([data-mime-type$='jupyter.stderr'], [data-mime-type$='jupyter.error'])"

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium to look with: apt-get install chromium"),
    pytest.mark.slow(seconds=35),
]

Run = Callable[[str], Page]
expect.set_options(timeout=PATIENCE * 1000)


@pytest.fixture(scope="module")
def desk() -> SubmissionWriter:
    return SubmissionWriter(open_course(Path(__file__).parents[1]).homework("hw1"), "mlp")


@pytest.fixture(scope="module")
def lab(desk: SubmissionWriter, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a JupyterLab whose folder holds the mlp notebook as handed out, and filled in."""
    home = tmp_path_factory.mktemp("home")
    for name, book in (("release", desk.untouched()), ("filled-in", desk.solved())):
        (home / f"{name}.ipynb").write_text(json.dumps(book), encoding="utf-8")
    settings = home / ".jupyter/lab/user-settings/@jupyterlab/notebook-extension/tracker.jupyterlab-settings"
    settings.parent.mkdir(parents=True)
    settings.write_text('{"windowingMode": "none"}')  # every cell is on the page, those that are scrolled away too
    with serving(home, home) as address:
        yield address


@contextlib.contextmanager
def serving(root: Path, home: Path) -> Iterator[str]:
    """The address of a JupyterLab that shows the folder `root` to somebody whose home is `home`."""
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", f"--IdentityProvider.token={TOKEN}"]
    command += [f"--ServerApp.root_dir={root}", "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate"]
    env = {name: value for name, value in os.environ.items() if not name.startswith(("JUPYTER", "IPYTHON", "XDG"))}
    env |= {"HOME": str(home), "JUPYTER_RUNTIME_DIR": str(home / "runtime")}
    env |= {"MPLCONFIGDIR": matplotlib.get_cachedir()}  # making its list of fonts anew takes seconds
    env |= {"OMP_NUM_THREADS": "1"}  # more of them wait for each other where the machine is busy
    log = home / "jupyterlab.log"
    with log.open("w") as out, subprocess.Popen(command, env=env, cwd=root, stdout=out, stderr=out) as server:
        try:
            yield _address(server, home / "runtime" / f"jpserver-{server.pid}.json", log)
        finally:
            server.terminate()  # which ends its kernels
            with contextlib.suppress(subprocess.TimeoutExpired):
                server.wait(30)
            server.kill()


def _address(server: subprocess.Popen[bytes], told: Path, log: Path) -> str:
    """Where the server listens, as it tells in a file of its own."""
    deadline = time.monotonic() + PATIENCE
    while server.poll() is None and time.monotonic() < deadline:
        try:
            return str(json.loads(told.read_text())["url"])
        except (FileNotFoundError, json.JSONDecodeError):  # not there yet, or half written
            time.sleep(0.1)
    pytest.fail(f"JupyterLab does not start:\n{log.read_text()}")


@pytest.fixture
def run(lab: str, tmp_path: Path) -> Iterator[Run]:
    """Opens a notebook in JupyterLab, chooses Run › Run All Cells, and waits until nothing is left to run."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch_persistent_context(
            tmp_path / "profile", executable_path=CHROMIUM, args=FLAGS
        )
        browser.set_default_timeout(PATIENCE * 1000)

        def run(notebook: str) -> Page:
            page = browser.new_page()
            page.goto(f"{lab}lab/workspaces/{notebook}/tree/{notebook}.ipynb?token={TOKEN}")
            page.get_by_text(IDLE).wait_for()
            page.get_by_role("menuitem", name="Run", exact=True).click()
            page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
            page.locator(PROMPTS, has_text="[1]:").wait_for()
            expect(page.locator(PROMPTS, has_text="[*]")).to_have_count(0)
            page.get_by_text(IDLE).wait_for()
            return page

        yield run
        browser.close()


def test_the_release_stops_at_its_first_todo_and_at_nothing_else(run: Run) -> None:
    page = run("release")
    [complaint] = page.locator(COMPLAINTS).all_inner_texts()
    assert complaint.strip().endswith("raise NotImplementedError\n\nNotImplementedError:")
    assert page.locator(PROMPTS).nth(-2).inner_text() == "[ ]:", "the last cell is folded, and shows no prompt"


def test_the_filled_in_notebook_runs_to_its_end_and_shows_its_figures(run: Run, desk: SubmissionWriter) -> None:
    page = run("filled-in")
    assert page.locator(COMPLAINTS).all_inner_texts() == []
    assert re.fullmatch(r"\[\d+\]:", page.locator(PROMPTS).nth(-2).inner_text())
    drawn = sum(len(re.findall(r"(?<!def )show_figure\(", cell.source)) for cell in desk.master.cells)
    expect(page.locator(FIGURES)).to_have_count(drawn)
    page.wait_for_function(f"[...document.querySelectorAll('{FIGURES}')].every(image => image.naturalWidth > 100)")
    told = page.locator(FIGURES).evaluate_all("images => images.map(image => image.alt)")
    assert all(re.search(r"\d", alt) for alt in told) and len(set(told)) == drawn
    last = page.locator(".jp-Notebook .jp-CodeCell").last  # which runs the checks once more, and shows no figure again
    [said] = last.locator(".jp-OutputArea-output").all_inner_texts()
    assert said.count("passes its check") == sum(cell.autograded for cell in desk.master.cells)
    assert "fails" not in said and "Hand in the file mlp.ipynb" in said
