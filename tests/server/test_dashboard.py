"""The page, driven in a real browser."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from affekt.server.store import Database, Keys, Limits
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
    page.set_default_timeout(120_000)  # a busy machine is slow to begin
    page.goto(guarded.url)
    expect(page.locator("#model")).to_contain_text("tiny-llama", timeout=120_000)
    page.fill("#tokens", "12")
    yield page
    page.close()
    assert wrong == []
    assert [url for url in elsewhere if not url.startswith((guarded.url, "data:", "blob:"))] == []


def said(page: Page, replies: int = 1) -> None:
    expect(page.locator(".column .sum:first-of-type")).to_have_count(replies, timeout=120_000)
    for at in range(replies):
        expect(page.locator(".column").nth(at).locator(".sum").first).to_contain_text(
            "tokens", timeout=120_000
        )
    expect(page.locator("#send")).to_be_enabled(timeout=120_000)


def test_tokens_are_coloured_and_told_by_numbers(page: Page) -> None:
    page.fill("#concept", "calm")
    page.fill("#prompt", "Hello")
    page.press("#prompt", "Enter")
    said(page)
    tokens = page.locator(".token")
    assert tokens.count() >= 1
    assert re.search(r"calm [+−]\d", tokens.first.get_attribute("aria-label") or "")
    assert "color-mix" in (tokens.first.get_attribute("style") or "")
    page.fill("#concept", "angry")
    page.locator("#concept").dispatch_event("change")
    assert re.search(r": angry [+−]\d", tokens.first.get_attribute("aria-label") or "")
    assert page.locator("#trace .scatterlayer .trace").count() >= 1
    tip = page.locator("#tip")
    expect(tip).to_be_hidden()
    tokens.first.hover()
    expect(tip).to_contain_text("token 0")
    expect(tip.locator(".chosen")).to_have_text(re.compile(r"angry[+−]\d+\.\d\d"))
    page.mouse.move(2, 2)
    expect(tip).to_be_hidden()
    page.check("#numbers")
    shown = tokens.first.evaluate("node => getComputedStyle(node, '::after').content")
    assert re.search(r"[+−]\d+\.\d\d", shown)


def test_the_keyboard_is_enough(page: Page) -> None:
    page.locator("#prompt").focus()
    page.keyboard.type("Hello")
    page.keyboard.press("Enter")
    said(page)
    page.locator(".token").first.focus()
    page.keyboard.press("ArrowRight")
    assert page.locator(".token").nth(1).evaluate("node => node === document.activeElement")
    expect(page.locator("#tip")).to_contain_text("token 1")
    page.keyboard.press("Escape")
    expect(page.locator("#tip")).to_be_hidden()
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
    changed = page.locator(".difference tr")
    assert changed.count() >= 1
    assert re.search(r"[+−]\d+\.\d\d → [+−]\d+\.\d\d", changed.first.inner_text())
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
    expect(event.locator(".heat")).to_be_hidden()
    page.fill("#concept", "calm")
    event.locator("button").click()
    expect(page.locator("#concept")).to_have_value("angry")
    expect(page.locator("#monitors")).to_contain_text("flag")
    expect(event.locator(".heat")).to_be_visible()
    assert re.search(r"alarm [+−]\d", event.locator(".heat .tripped").get_attribute("aria-label") or "")


def test_events_of_others_have_their_heat_map_and_no_words(page: Page, guarded: Running) -> None:
    got = guarded.chat("Hello", max_tokens=6).json()
    [event] = guarded.http.get("/v1/events", params={"request_id": got["id"]}).json()["data"]
    assert len(event["heat"]["z"]) >= 1 and event["heat"]["text"] is None
    line = page.locator("#events li").first
    expect(line).to_contain_text("alarm")
    line.locator("button").click()
    expect(line.locator(".heat.wordless")).to_be_visible()
    line.locator(".token").first.focus()
    expect(page.locator("#tip")).to_contain_text("alarm")


def test_an_example_begins_a_comparison(page: Page) -> None:
    examples = page.locator("#examples button")
    if examples.count():
        examples.first.click()
        said(page, 2)
        expect(page.locator("#empty")).to_be_hidden()
    page.click("#reset")
    expect(page.locator("#empty")).to_be_visible()
    assert page.locator(".turn").count() == 0


def test_a_key_that_may_not_steer(browser: Browser, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 't.sqlite'}"
    opened = Database(url)
    opened.migrate()
    secret = Keys(opened).add("reader", Limits(max_dial=0))
    opened.close()
    with running(tmp_path, database=url) as here:
        page = browser.new_page()
        page.set_default_timeout(120_000)
        page.goto(here.url)
        expect(page.locator("#model")).to_contain_text("needs a key", timeout=120_000)
        page.fill("#key", secret)
        page.locator("#key").dispatch_event("change")
        expect(page.locator("#model")).to_contain_text("tiny-llama", timeout=120_000)
        expect(page.locator("#dials")).to_contain_text("may not steer")
        expect(page.locator("#add-dial")).to_be_disabled()
        page.close()


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
    assert ground == ("rgb(255, 255, 255)" if scheme == "light" else "rgb(21, 22, 26)")


def test_numbers_stand_apart_and_a_long_name_is_cut_on_a_phone(page: Page) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    page.fill("#prompt", "Hello")
    page.check("#numbers")
    page.press("#prompt", "Enter")
    said(page)
    wide = """() => [...document.querySelectorAll(".token:not(.breaks)")]
      .filter((token) => token.scrollWidth > Math.ceil(token.getBoundingClientRect().width)).length"""
    assert page.locator(".token:not(.breaks)").count() > 0 and page.evaluate(wide) == 0
    page.evaluate(
        '() => { document.querySelector("#model").textContent = "owner/a-model-of-a-long-name ".repeat(9); }'
    )
    assert page.locator("#model").bounding_box()["height"] <= 2 * 1.5 * 0.92 * 16 + 1
    assert page.evaluate("() => document.documentElement.scrollWidth") <= 390


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
