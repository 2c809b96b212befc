"""The archived page in a real browser: what it shows, where its links lead, no script error, no request, no overflow."""

from __future__ import annotations

import email.policy
import json
import os
import shutil
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from email.parser import BytesParser
from pathlib import Path

import pytest
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By

from reports.daily.build import ReportSettings, build_report
from reports.daily.html import render_page
from reports.daily.mail import render_mail
from reports.data.trading_calendar import trading_days
from reports.readiness.readiness import KnownEntry
from shadow.settlement.stored import FolderSource
from tests.factories.comparisons import story, write_store

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
DRIVER = os.environ.get("CHROMEDRIVER") or shutil.which("chromedriver")
pytestmark = [pytest.mark.browser, pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="needs chromium and chromedriver")]

DAYS = trading_days(date(2025, 11, 3), date(2025, 11, 20))
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
)
FIRST_WORDS = (
    "CRITICAL",
    "493.60 USD",
    "1 published = 0 matched + 1 diverged",
    "BLOCKED",
    "What changed since",
    "KD-001",
)
FIRST_600_PX = (
    "return [...document.querySelectorAll('.verdict p:not(.command), .command code, .box p')]"
    ".filter(e => e.getBoundingClientRect().bottom <= 600)"
    ".map(e => e.textContent.replace(/\\s+/g, ' ')).join(' ')"
)
COLOUR = "return getComputedStyle({of}).{what}.match(/\\d+/g).map(Number)"
SIZES = "return [...document.querySelectorAll('p, dd, td, li')].map(e => parseFloat(getComputedStyle(e).fontSize))"
TORN = """
const torn = [];
for (const cell of document.querySelectorAll('td, th')) {
  const walk = document.createTreeWalker(cell, NodeFilter.SHOW_TEXT);
  for (let text = walk.nextNode(); text; text = walk.nextNode())
    for (const word of text.data.matchAll(/[A-Za-z]+/g)) {
      const range = document.createRange();
      range.setStart(text, word.index);
      range.setEnd(text, word.index + word[0].length);
      if (new Set([...range.getClientRects()].map(each => Math.round(each.top))).size > 1) torn.push(word[0]);
    }
}
return torn
"""
"""The words of tables that stand on more than one line."""
DESKTOP, PHONE = (1100, 900), (375, 800)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_store(tmp_path_factory.mktemp("store"), story(DAYS))


@pytest.fixture(scope="module")
def page(folder: Path) -> str:
    register = KnownEntry(id="KD-001", owner="desk", reason="the first quote after the open", expires=date(2030, 1, 1))
    settings = ReportSettings(known=(register,), evidence_prefix="store/")
    report = build_report(FolderSource(folder), DAYS[7], settings=settings, now=datetime(2025, 11, 12, 22, tzinfo=UTC))
    path = folder / "report.html"
    path.write_text(render_page(report), encoding="utf-8")
    return path.as_uri()


@pytest.fixture(scope="module")
def mail(folder: Path) -> str:
    message = render_mail(build_report(FolderSource(folder), DAYS[7]), sender="a@example.com", recipients=["b@example.com"])
    body = message.get_body(("html",))
    assert body is not None
    html = body.get_content()
    for part in message.walk():
        if part.get_content_type() == "image/png":
            inside = b64encode(part.get_content()).decode()
            html = html.replace(f"cid:{str(part['Content-ID']).strip('<>')}", f"data:image/png;base64,{inside}")
    path = folder / "mail.html"
    path.write_text(html, encoding="utf-8")
    return path.as_uri()


@contextmanager
def browser(profile: Path, size: tuple[int, int], scheme: str = "light") -> Iterator[Chrome]:
    options = ChromeOptions()
    options.binary_location = str(CHROMIUM)
    for flag in (*FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = Chrome(options=options, service=Service(executable_path=DRIVER))
    try:
        metrics = {"width": size[0], "height": size[1], "deviceScaleFactor": 1, "mobile": size[0] < 500}
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        yield driver
    finally:
        driver.quit()


def keep_picture(driver: Chrome, name: str) -> None:
    """Keep a picture for a person, where SCREENSHOTS names a folder."""
    folder = os.environ.get("SCREENSHOTS")
    if folder:
        driver.save_screenshot(str(Path(folder) / f"{name}.png"))


def first_screen(address: str, size: tuple[int, int], profile: Path, name: str) -> str:
    """Give what the box with the verdict says within the first 600 px of a page or mail."""
    with browser(profile, size) as driver:
        driver.get(address)
        keep_picture(driver, f"first-{name}-{size[0]}")
        found: str = driver.execute_script(FIRST_600_PX)
    return found


def holds_first_screens_of_demo(demo: Path, folder: Path) -> None:
    """Hold the demo's day 10, as page, report and mail, on a phone and on a desktop, against what its own report says of it."""
    message = BytesParser(policy=email.policy.default).parsebytes((demo / "report.eml").read_bytes())
    text, body = (message.get_body((kind,)) for kind in ("plain", "html"))
    assert text is not None
    assert body is not None
    sentence, who, _, _, command, *_ = (line.strip() for line in text.get_content().splitlines())
    (folder / "mail.html").write_text(body.get_content(), encoding="utf-8")
    day = max((demo / "site" / "day").glob("????-??-??.html"))
    for name, path in (("day", day), ("report", demo / "report.html"), ("mail", folder / "mail.html")):
        for size in (PHONE, (1280, 900)):
            seen = first_screen(path.absolute().as_uri(), size, folder / f"{name}-{size[0]}", name)
            for words in (sentence.partition(": ")[2], *who.split(" Worth "), command):
                assert words in seen, f"{name} at {size[0]}: {words!r} is not in its first 600 px"


def requests_of(driver: Chrome) -> list[str]:
    messages = [json.loads(entry["message"])["message"] for entry in driver.get_log("performance")]
    return [entry["params"]["request"]["url"] for entry in messages if entry["method"] == "Network.requestWillBeSent"]


def test_it_shows_the_first_screen_without_errors_or_requests(page: str, tmp_path: Path) -> None:
    with browser(tmp_path, DESKTOP) as driver:
        requests_of(driver)  # those of the browser's own first page
        driver.get(page)
        assert driver.title.startswith("[dev] 2025-11-12 CRITICAL")
        first_screen = driver.find_elements(By.CSS_SELECTOR, ".verdict, section:first-of-type .fact")
        assert len(first_screen) == 4
        assert all(element.is_displayed() and element.location["y"] < DESKTOP[1] for element in first_screen)
        text = driver.find_element(By.TAG_NAME, "main").text
        for words in FIRST_WORDS:
            assert words in text
        assert "<b>1,200</b> was bought" in text
        assert driver.get_log("browser") == []
        assert [url for url in requests_of(driver) if not url.startswith("data:")] == [page]


@pytest.mark.parametrize("size", [PHONE, (1280, 900)], ids=["phone", "desktop"])
@pytest.mark.parametrize("kind", ["page", "mail"])
def test_the_first_screen_holds_sentence_lane_dollars_and_command(
    page: str, mail: str, kind: str, size: tuple[int, int], tmp_path: Path
) -> None:
    seen = first_screen({"page": page, "mail": mail}[kind], size, tmp_path, f"story-{kind}")
    for words in (
        "</b> was bought",
        "the candidate (workflow) departs.",
        "493.60 USD",
        "shadow explain portfolio_v2_workflow-2025-11-12",
    ):
        assert words in seen


DEMO = Path(os.environ.get("SHADOW_DEMO", "build/demo"))


@pytest.mark.long
@pytest.mark.skipif(not (DEMO / "report.eml").is_file(), reason="needs what make demo leaves in build/demo")
def test_so_do_those_of_the_demos_last_day(tmp_path: Path) -> None:
    holds_first_screens_of_demo(DEMO, tmp_path)


def test_its_links_lead_to_what_they_name(page: str, tmp_path: Path) -> None:
    with browser(tmp_path, DESKTOP) as driver:
        driver.get(page)
        targets = [str(link.get_dom_attribute("href")) for link in driver.find_elements(By.TAG_NAME, "a")]
        inner = [target[1:] for target in targets if target.startswith("#")]
        assert len(inner) >= 9
        assert all(driver.find_elements(By.ID, target) for target in inner)
        outer = [target for target in targets if not target.startswith("#")]
        assert outer
        assert all(target.startswith("store/comparisons/day%3D2025-11-12/") or "comparisons/" in target for target in outer)
        driver.find_element(By.LINK_TEXT, "Readiness").click()
        assert driver.current_url.endswith("#readiness")
        assert abs(driver.find_element(By.ID, "readiness").rect["y"] - driver.execute_script("return scrollY")) < 5


@pytest.mark.parametrize("size", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_nothing_sticks_out_sideways(page: str, size: tuple[int, int], tmp_path: Path) -> None:
    with browser(tmp_path, size) as driver:
        driver.get(page)
        widest = driver.execute_script("return document.documentElement.scrollWidth")
        assert widest <= size[0]
        assert min(driver.execute_script(SIZES)) >= 12


def test_pictures_are_drawn_and_named(page: str, tmp_path: Path) -> None:
    with browser(tmp_path, PHONE) as driver:
        driver.get(page)
        figures = driver.find_elements(By.TAG_NAME, "figure")
        assert len(figures) == 5
        assert all(figure.find_element(By.TAG_NAME, "svg").size["height"] > 100 for figure in figures)
        assert all(figure.aria_role in {"image", "img"} and len(figure.accessible_name) > 40 for figure in figures)


@pytest.mark.parametrize(("scheme", "dark"), [("light", False), ("dark", True)])
def test_it_follows_the_readers_colour_scheme(page: str, scheme: str, *, dark: bool, tmp_path: Path) -> None:
    with browser(tmp_path, DESKTOP, scheme) as driver:
        driver.get(page)
        ground = driver.execute_script(COLOUR.format(of="document.body", what="backgroundColor"))
        ink = driver.execute_script(COLOUR.format(of="document.querySelector('figure svg text')", what="fill"))
        assert (sum(ground) < 150) is dark
        assert (sum(ink) > 600) is dark


def test_examples_open_by_keyboard(page: str, tmp_path: Path) -> None:
    with browser(tmp_path, DESKTOP) as driver:
        driver.get(page)
        closed = driver.find_element(By.CSS_SELECTOR, "details:not([open])")
        closed.find_element(By.TAG_NAME, "summary").send_keys(" ")
        assert closed.get_dom_attribute("open") is not None


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_mail_fits_a_phone_and_shows_its_pictures(mail: str, tmp_path: Path, scheme: str) -> None:
    with browser(tmp_path, PHONE, scheme) as driver:
        driver.get(mail)
        assert driver.execute_script("return document.documentElement.scrollWidth") <= PHONE[0]
        assert driver.execute_script(TORN) == []
        pictures = driver.find_elements(By.TAG_NAME, "img")
        assert [picture.get_property("naturalWidth") for picture in pictures] == [832] * 5
        ground = driver.execute_script(COLOUR.format(of="document.body", what="backgroundColor"))
        assert (sum(ground) < 150) is (scheme == "dark")
