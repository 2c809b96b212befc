"""Business Unit: benchmarks | Status: current.

The pages to browse of 60 days with 10,000 differences: their sizes, and how long a browser takes to open them from disk. Run it
with `python -m benchmarks.browsing [FOLDER]`; it needs Chromium and its driver.

Wanted: index, day and kind open in less than a second, no page over 2 MB, the script at most 8 KB, every row there without it.
Measured on 2026-11-28 with Chromium on two cores that others worked on as well: index 148 ms, the largest day 322 ms, kind
277 ms and pair 183 ms until loaded; the largest of 290 pages 0.22 MB, the script 3,167 bytes, no row hidden without it.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from datetime import date, timedelta
from pathlib import Path

from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By

from benchmarks.evidence_documents import documents_of
from benchmarks.judging import verdict_of
from reports.site import Folder, write_site
from shadow.contracts.comparison import Comparison

DAYS, A_DAY = 60, 167
_LOADED = "const t = performance.getEntriesByType('navigation')[0]; return Math.round(t.loadEventEnd)"
_FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-dev-shm-usage")


def comparisons() -> list[Comparison]:
    """Make a pair a day: one that was judged, under other ids and days, with one of its differences many times over."""
    made = verdict_of(documents_of(20)).comparison
    worst = made.differences[0]
    found = []
    for number in range(DAYS):
        many = tuple(worst.model_copy(update={"field": f"{worst.field}{each}", "caused_by": None}) for each in range(A_DAY))
        day, run = date(2025, 1, 1) + timedelta(days=number), f"{made.run_id[:-6]}{number:06d}"
        names = {"trading_day": day, "run_id": run, "plan_id": f"{made.plan_id}{number}"}
        found.append(made.model_copy(update={**names, "differences": many}))
    return found


def main(folder: Path) -> None:
    """Write the pages into `folder`, and say what they weigh and how long they take to open."""
    stored = comparisons()
    write_site(lambda: stored, Folder(folder))
    pages = sorted(folder.rglob("*.html"), key=lambda page: page.stat().st_size)
    script = folder / "script.js"
    differences = sum(len(each.differences) for each in stored)
    print(f"{len(pages)} pages of {differences:,} differences, script {script.stat().st_size:,} B")
    print(f"largest page {pages[-1].stat().st_size / 1e6:.2f} MB: {pages[-1].relative_to(folder)}")
    options = ChromeOptions()
    for flag in _FLAGS:
        options.add_argument(flag)
    driver = Chrome(options=options, service=Service(executable_path=shutil.which("chromedriver")))
    try:
        for place in ("index.html", "day/*.html", "kind/*.html", "pair/*.html"):
            page = max(folder.glob(place), key=lambda each: each.stat().st_size)
            driver.get(page.as_uri())
            loaded = driver.execute_script(_LOADED)
            driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
            driver.refresh()
            rows = driver.find_elements(By.CSS_SELECTOR, "main tbody tr")
            hidden = sum(not row.is_displayed() for row in rows[:50])
            driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
            size = page.stat().st_size / 1e6
            print(f"{place}: {loaded} ms, {size:.2f} MB; without scripts {len(rows)} rows, {hidden} of the first 50 hidden")
    finally:
        driver.quit()


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory(prefix="shadow-bench-") as name:
            main(Path(name))
