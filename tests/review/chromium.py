"""Chromium without a window, and `bincheck review` as a reviewer of a name starts it."""

import os
import re
import shutil
import subprocess
import sys
from contextlib import contextmanager

from playwright.sync_api import sync_playwright

EXECUTABLE = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
START_S = 30


@contextmanager
def chromium():
    """Chromium; root may start it without its sandbox only."""
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=EXECUTABLE, args=arguments)
        yield browser
        browser.close()


@contextmanager
def review_command(folder, reviewer):
    """The address that `bincheck review` prints, on the embedded cloud in a folder, by a user of that name."""
    command = [sys.executable, "-m", "local.cli.main", "review", "--no-browser"]
    environment = os.environ | {"BINCHECK_FOLDER": str(folder), "LOGNAME": reviewer, "NO_COLOR": "1", "COLUMNS": "200"}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            found = re.search(r"http://\S+", process.stdout.readline())
            assert found, "bincheck review printed no address"
            yield found[0]
        finally:
            process.terminate()
