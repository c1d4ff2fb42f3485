"""Takes docs/web/compare.png, the picture in the README: needs Chromium (apt-get install chromium)."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

FILE = Path(__file__).with_name("web") / "compare.png"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]


def main() -> None:
    """Serve the page, open it, and keep what it shows first."""
    command = [sys.executable, "-m", "farthing", "web", "--port", "0", "--workers", "1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server, sync_playwright() as started:
        line = server.stdout.readline() if server.stdout else ""
        browser = started.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.goto(re.findall(r"http://\S+", line)[0])
        page.wait_for_selector(".later, [data-chart]:not([data-drawn])", state="detached")
        FILE.parent.mkdir(exist_ok=True)
        page.screenshot(path=str(FILE))
        browser.close()
        server.terminate()
    print(f"wrote {FILE}")


if __name__ == "__main__":
    main()
