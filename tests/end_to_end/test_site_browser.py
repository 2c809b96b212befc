"""The pages to browse in a real browser: first screen, filter, sort, links, both colour schemes, phone and desktop, no script."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from selenium.webdriver.common.by import By

from reports.data.trading_calendar import trading_days
from reports.site import Folder, Options, write_site
from tests.end_to_end.test_report_browser import CHROMIUM, DRIVER, browser, first_screen, keep_picture, requests_of
from tests.factories.comparisons import story

pytestmark = [pytest.mark.browser, pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="needs chromium and chromedriver")]

AXE = os.environ.get("AXE_CORE", "")
DAYS = trading_days(date(2025, 11, 3), date(2025, 11, 20))
PHONE, DESKTOP = (375, 800), (1280, 900)
BRIGHTNESS = "return getComputedStyle(document.body).backgroundColor.match(/\\d+/g).slice(0, 3).map(Number)"
INNERMOST = (
    "const far = []; for (const e of document.querySelectorAll('main *')) { const r = e.getBoundingClientRect();"
    "if (r.width && r.right > innerWidth + 1 && !e.closest('.scroll')) far.push(e.outerHTML.slice(0, 80)); } return far"
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("site")
    comparisons = list(story(DAYS))
    write_site(lambda: comparisons, Folder(made), options=Options(readiness="NOT_YET", readiness_reason="needs 5 more days"))
    return made


def pages_of(site: Path) -> Iterator[tuple[str, str]]:
    yield "index", (site / "index.html").as_uri()
    yield "day", (site / "day" / f"{DAYS[7]}.html").as_uri()
    for kind in ("pair", "kind", "difference", "symbol"):
        yield kind, max((site / kind).glob("*.html"), key=lambda page: page.stat().st_size).as_uri()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_every_kind_of_page_fits_and_asks_nobody(site: Path, size: tuple[int, int], scheme: str, tmp_path: Path) -> None:
    with browser(tmp_path, size, scheme) as driver:
        requests_of(driver)  # those of the browser's own first page
        for name, page in pages_of(site):
            driver.get(page)
            assert driver.execute_script("return document.documentElement.scrollWidth") <= size[0], name
            assert not driver.execute_script(INNERMOST), name
            assert (sum(driver.execute_script(BRIGHTNESS)) < 150) is (scheme == "dark"), name
            assert driver.get_log("browser") == [], name
            keep_picture(driver, f"{name}-{size[0]}-{scheme}")
        assert all(url.startswith((site.as_uri(), "data:")) for url in requests_of(driver))


@pytest.mark.parametrize("size", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_the_first_screen_holds_sentence_lane_dollars_and_command(site: Path, size: tuple[int, int], tmp_path: Path) -> None:
    seen = first_screen((site / "day" / f"{DAYS[7]}.html").as_uri(), size, tmp_path, "story-day")
    for words in ("was bought", "departs", "USD", "shadow explain portfolio_v2_workflow-2025-11-12"):
        assert words in seen


def test_a_filter_and_an_order_stand_in_the_address_and_come_back_from_it(site: Path, tmp_path: Path) -> None:
    with browser(tmp_path, DESKTOP) as driver:
        driver.get((site / "index.html").as_uri())
        rows = driver.find_elements(By.CSS_SELECTOR, "table[data-filtered] tbody tr")
        word = rows[0].find_element(By.CSS_SELECTOR, "th").text
        driver.find_element(By.CSS_SELECTOR, "form.filters [name=q]").send_keys(word)
        shown = [row.text for row in rows if row.is_displayed()]
        assert 0 < len(shown) < len(rows)
        driver.find_elements(By.CSS_SELECTOR, "table[data-filtered] thead button")[-1].click()
        address = driver.current_url
        assert parse_qs(urlsplit(address).query)["q"] == [word]

        driver.get("about:blank")
        driver.get(address)
        again = driver.find_elements(By.CSS_SELECTOR, "table[data-filtered] tbody tr")
        assert [row.text for row in again if row.is_displayed()] == shown
        assert driver.find_elements(By.CSS_SELECTOR, "th[aria-sort]")


def test_without_scripts_everything_is_there(site: Path, tmp_path: Path) -> None:
    with browser(tmp_path, DESKTOP) as driver:
        driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
        for name, page in pages_of(site):
            driver.get(page)
            hidden = driver.find_elements(By.CSS_SELECTOR, "main tbody tr")
            assert all(row.is_displayed() for row in hidden[:20]), name
            assert not any(form.is_displayed() for form in driver.find_elements(By.CSS_SELECTOR, "form.filters")), name


@pytest.mark.skipif(not Path(AXE).is_file(), reason="needs axe-core: AXE_CORE names its axe.min.js (npm pack axe-core)")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(site: Path, scheme: str, tmp_path: Path) -> None:
    with browser(tmp_path, PHONE, scheme) as driver:
        for name, page in pages_of(site):
            driver.get(page)
            driver.execute_script(Path(AXE).read_text(encoding="utf-8"))
            found = driver.execute_async_script(
                "const done = arguments[arguments.length - 1]; axe.run().then(r => done(r.violations.map(v => "
                "v.id + ': ' + v.nodes.map(n => n.html).join(' | ').slice(0, 300))))"
            )
            assert found == [], name
