"""The page, driven in a real browser."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.server.running import Running, running

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here")

HOSTILE = "<img src=x onerror=\"document.title='taken'\"><script>document.title='taken'</script>"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("page")
    (folder / "p.yaml").write_text(
        "monitors: [{name: alarm, what: angry, threshold: -1000, action: {do: flag}}]\n"
    )
    with running(folder, policy=folder / "p.yaml") as here:
        yield here


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as player:
        yield player.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])


@pytest.fixture
def page(guarded: Running, browser: Browser) -> Iterator[Page]:
    page = browser.new_page(viewport={"width": 1300, "height": 900})
    wrong: list[str] = []
    elsewhere: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    # A 503 that a test makes on purpose is in the console too.
    page.on(
        "console",
        lambda line: wrong.append(line.text) if line.type == "error" and "503" not in line.text else None,
    )
    page.on("request", lambda asked: elsewhere.append(asked.url))
    page.goto(guarded.url)
    expect(page.locator("#model")).to_contain_text("tiny-llama", timeout=30_000)
    page.fill("#tokens", "12")
    yield page
    page.close()
    assert wrong == []
    assert [url for url in elsewhere if not url.startswith((guarded.url, "data:", "blob:"))] == []


def said(page: Page, replies: int = 1) -> None:
    expect(page.locator(".column .sum:first-of-type")).to_have_count(replies, timeout=30_000)
    for at in range(replies):
        expect(page.locator(".column").nth(at).locator(".sum").first).to_contain_text(
            "tokens", timeout=30_000
        )
    expect(page.locator("#send")).to_be_enabled(timeout=30_000)


def test_tokens_are_coloured_and_told_by_numbers(page: Page) -> None:
    page.fill("#concept", "calm")
    page.fill("#prompt", "Hello")
    page.press("#prompt", "Enter")
    said(page)
    tokens = page.locator(".token")
    assert tokens.count() >= 1
    assert re.search(r"calm [+−]\d", tokens.first.get_attribute("title") or "")
    assert "color-mix" in (tokens.first.get_attribute("style") or "")
    before = tokens.first.get_attribute("title")
    page.fill("#concept", "angry")
    page.locator("#concept").dispatch_event("change")
    assert re.match(r"angry [+−]\d", tokens.first.get_attribute("title") or "") and before
    assert page.locator("#trace .scatterlayer .trace").count() >= 1


def test_the_keyboard_is_enough(page: Page) -> None:
    page.locator("#prompt").focus()
    page.keyboard.type("Hello")
    page.keyboard.press("Enter")
    said(page)
    page.locator(".token").first.focus()
    page.keyboard.press("ArrowRight")
    assert page.locator(".token").nth(1).evaluate("node => node === document.activeElement")
    page.locator("#dial-calm").focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator(".dial output").first).to_have_text("+0.05")


def test_with_and_without_bias_side_by_side(page: Page, guarded: Running) -> None:
    page.locator("#dial-calm").fill("1")
    page.check("#compare")
    page.fill("#temperature", "0")
    page.fill("#prompt", "Go on")
    page.press("#prompt", "Enter")
    said(page, 2)
    heads = page.locator(".column h3").all_inner_texts()
    assert heads == ["without bias", "calm +1.00"]
    words = page.locator(".column .words").all_inner_texts()
    kept = guarded.service.trail.replies(limit=2)
    assert sorted(len(row["bias"]) for row in kept) == [0, 1] and words[0] != words[1]


def test_events_come_in_and_lead_to_their_token(page: Page) -> None:
    page.fill("#prompt", "Hello")
    page.press("#prompt", "Enter")
    said(page)
    expect(page.locator(".column .alarm")).to_contain_text("alarm")
    event = page.locator("#events li").first
    expect(event).to_contain_text("alarm")
    page.fill("#concept", "calm")
    event.locator("button").click()
    expect(page.locator("#concept")).to_have_value("angry")
    expect(page.locator("#monitors")).to_contain_text("flag")


def test_what_is_said_stays_text(page: Page) -> None:
    page.fill("#prompt", HOSTILE)
    page.press("#prompt", "Enter")
    said(page)
    assert page.title() == "Affekt"
    assert page.locator(".user .words").inner_text() == HOSTILE
    assert page.locator("#log img, #log script").count() == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone(page: Page, scheme: str) -> None:
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": 390, "height": 844})
    page.fill("#prompt", "Hello " + "long" * 40)
    page.press("#prompt", "Enter")
    said(page)
    width = page.evaluate("() => document.documentElement.scrollWidth")
    assert width <= 390
    ground = page.evaluate("() => getComputedStyle(document.body).backgroundColor")
    assert ground == ("rgb(255, 255, 255)" if scheme == "light" else "rgb(27, 28, 32)")


def test_a_failure_is_told(page: Page, guarded: Running) -> None:
    page.fill("#tokens", "100000")
    page.fill("#prompt", "Hello")
    page.route(
        "**/v1/chat/completions", lambda route: route.fulfill(status=503, json={"error": {"message": "no"}})
    )
    page.press("#prompt", "Enter")
    expect(page.locator(".column .error")).to_have_text("no")


def test_files_of_the_page(guarded: Running, tmp_path: Path) -> None:
    assert "script" in guarded.http.get("/").text
    assert guarded.http.get("/dashboard/main.js").headers["content-type"].startswith("text/javascript")
    assert len(guarded.http.get("/dashboard/plotly.js").content) > 1_000_000
    for name in ("..%2fapp.py", "nothing.js", "%2e%2e/%2e%2e/app.py"):
        assert guarded.http.get(f"/dashboard/{name}").status_code == 404
    assert "frame-ancestors 'none'" in guarded.http.get("/").headers["content-security-policy"]
