"""The study link in a real browser: opened, scrolled, windowed; the screen shows what the server renders."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import numpy as np
import pytest

from core.imaging.image import ImageObject
from core.imaging.render import render
from core.imaging.voi import Voi
from core.media.samples import ct_slice, encapsulated_pdf, part10, pdf_report, ultrasound_cine
from tests.interop.browser import PROGRAM, Browser
from tests.server.conftest import NAMESPACE, PASSWORDS, STUDY, Served, serving

pytestmark = [
    pytest.mark.interop,
    pytest.mark.skipif(not PROGRAM, reason="chromium is not installed"),
]

SLICES = 6
LOGIN = "viewer"
Pixels = np.ndarray[Any, Any]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """An archive with a stack, a loop and a document that has no picture, and an attachment."""
    files = [ct_slice(STUDY, instance=n) for n in range(1, SLICES + 1)]
    files += [ultrasound_cine(STUDY), encapsulated_pdf(STUDY, pdf_report(["Report"]), series=9)]
    with serving(tmp_path_factory.mktemp("link") / "data", settle_after_s=0.2) as found:
        with found.client() as client:
            for ds in files:
                answer = client.post(f"/api/v3/storage/namespace/{NAMESPACE}/image", content=part10(ds))
                assert answer.status_code == 200
            study = f"/api/v3/storage/study/{NAMESPACE}/{STUDY.uid}"
            kept = client.post(
                f"{study}/attachment",
                files={"data": ("Findings.pdf", pdf_report(["Findings"]), "application/pdf")},
                data={"uploaded_by": "someone"},
            )
            assert kept.status_code == 200
        yield found


def link(served: Served) -> str:
    query = {"login": LOGIN, "password": PASSWORDS[LOGIN], "study": f"{NAMESPACE}/{STUDY.uid}"}
    return f"{served.url}/login.html?{urlencode(query)}"


def expected(instance: int, voi: Voi | None = None, *, invert: bool = False) -> Pixels:
    """What the imaging core makes of a slice."""
    image = ImageObject.open(io.BytesIO(part10(ct_slice(STUDY, instance=instance))))
    return render(image, 0, voi, invert=invert)


@contextmanager
def viewing(served: Served, profile: Path) -> Iterator[Browser]:
    """A browser that has opened the link and shows the first slice 1:1 without text on it."""
    with Browser(profile) as browser:
        browser.open(link(served))
        shown(browser, "/frame/0?format=png")
        browser.press("o")
        browser.press("t")
        yield browser


def shown(browser: Browser, *parts: str) -> str:
    """Wait until the picture on the stage is the one whose address has *parts*."""
    look = "document.getElementById('stage').dataset.shown || ''"
    address: str = browser.until(
        lambda: (now := browser.run(look)) and all(part in now for part in parts) and now, " ".join(parts)
    )
    browser.run("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    return address


def on_stage(browser: Browser, picture: Pixels, keep: Path | None = None) -> Pixels:
    """The pixels of the screen where *picture* must lie: in the middle of the stage, 1:1."""
    screen = browser.screen(keep)
    left, top, width, height = browser.box("stage")
    rows, columns = picture.shape[:2]
    x, y = round(left + (width - columns) / 2), round(top + (height - rows) / 2)
    return screen[y : y + rows, x : x + columns]


def assert_same(seen: Pixels, wanted: Pixels) -> None:
    grey = np.repeat(wanted[:, :, None], 3, axis=2) if wanted.ndim == 2 else wanted
    assert seen.shape == grey.shape
    assert int(np.abs(seen.astype(int) - grey.astype(int)).max()) == 0


def place(browser: Browser) -> str:
    return browser.text("position")


def test_the_screen_shows_what_the_server_renders(served: Served, tmp_path: Path) -> None:
    with viewing(served, tmp_path / "profile") as browser:
        assert place(browser) == f"1 / {SLICES}"
        assert_same(on_stage(browser, expected(1)), expected(1))
        first = shown(browser, "/frame/0")
        browser.press("ArrowDown")
        second = browser.until(
            lambda: (now := shown(browser, "/frame/0")) != first and now, "the second slice"
        )
        assert place(browser) == f"2 / {SLICES}"
        assert_same(on_stage(browser, expected(2)), expected(2))
        left, top, width, height = browser.box("stage")
        middle = (left + width / 2, top + height / 2)
        browser.wheel(middle, 1)
        browser.until(lambda: place(browser) == f"3 / {SLICES}", "the wheel")
        browser.until(lambda: shown(browser, "/frame/0") != second, "the third slice")
        assert_same(on_stage(browser, expected(3)), expected(3))
        assert not np.array_equal(expected(3), expected(1))


def test_window_by_drag_and_preset_and_invert(served: Served, tmp_path: Path) -> None:
    with viewing(served, tmp_path / "profile") as browser:
        left, top, width, height = browser.box("stage")
        browser.drag((left + width / 2, top + height / 2), (40, 10), (60, 15))
        address = shown(browser, "format=png", "window=")
        center, wide = (float(part) for part in address.split("window=")[1].split("&")[0].split("%2C"))
        assert center > 40 and wide > 400
        dragged = Voi(center, wide)
        assert_same(on_stage(browser, expected(1, dragged)), expected(1, dragged))
        browser.press("i")
        shown(browser, "invert=1")
        inverted = expected(1, dragged, invert=True)
        assert_same(on_stage(browser, inverted), inverted)
        browser.press("r")
        shown(browser, "?format=png")
        browser.run(
            "(s => { s.value = [...s.options].find(o => o.text.startsWith('Lung')).value;"
            " s.dispatchEvent(new Event('change')); })(document.getElementById('presets'))"
        )
        browser.press("o")
        shown(browser, "window=-500%2C1500")
        lung = Voi(-500, 1500)
        assert_same(on_stage(browser, expected(1, lung)), expected(1, lung))


def test_nothing_of_the_link_stays(served: Served, tmp_path: Path) -> None:
    with viewing(served, tmp_path / "profile") as browser:
        here = browser.run("location.href")
        assert urlsplit(here).path.startswith("/view/") and not urlsplit(here).query
        places = [*browser.history(), here, browser.run("document.referrer"), browser.run("document.cookie")]
        places += browser.run("performance.getEntries().map((entry) => entry.name)")
        places += [browser.run("document.documentElement.outerHTML"), browser.run("document.title")]
        for secret in (PASSWORDS[LOGIN], quote(PASSWORDS[LOGIN]), "password=", "?q="):
            assert not [text for text in places if secret in text]
        assert not [url for url in browser.history() if "login.html" in url or STUDY.uid in url]
        said = browser.complaints()  # the document has no thumbnail, and says so
        assert all("415" in line for line in said) and len(said) == 1
        browser.open(here)
        assert shown(browser, "/frame/0")  # the address alone opens it again, in this browser
        browser.run("document.querySelector('[data-do=end]').click()")
        browser.until(lambda: browser.run("location.pathname") == "/login.html", "the way out")
        browser.open(here)
        assert "This view has ended." in browser.run("document.body.textContent")


def test_patient_documents_cine_and_what_has_no_picture(served: Served, tmp_path: Path) -> None:
    with viewing(served, tmp_path / "profile") as browser:
        banner = browser.text("patient") + browser.text("facts")
        for word in ("Kanarienvogel", STUDY.patient.patient_id, "1911-09-11", "CT Thorax"):
            assert word in banner
        (document,) = browser.run(
            "Promise.all([...document.querySelectorAll('#attachments a')].map((a) => fetch(a.href)))"
            ".then((all) => all.map((r) => [r.status, r.headers.get('content-type')]))"
        )
        assert document == [200, "application/pdf"]
        browser.press("n")
        browser.until(lambda: place(browser) == "1 / 12", "the loop")
        shown(browser, "/frame/0")
        browser.press("p")
        browser.until(lambda: browser.text("rate").endswith("of 20/s"), "the rate")
        browser.until(lambda: int(place(browser).split()[0]) > 6, "the loop runs")
        browser.press("p")
        browser.press("n")
        reason = browser.until(lambda: browser.text("reason"), "the reason")
        assert "encapsulated PDF" in reason
        assert not browser.run("document.getElementById('problem').hidden")
        pdf = browser.run(
            "fetch(document.getElementById('document').href).then((r) => r.text()).then((t) => t.slice(0, 5))"
        )
        assert pdf == "%PDF-"
        left, top, width, height = browser.box("document")
        browser.drag((left + width / 2, top + height / 2))
        browser.until(lambda: len(browser.pages()) == 2, "a tab of its own")


def test_a_narrow_screen_has_room_for_all(served: Served, tmp_path: Path) -> None:
    with viewing(served, tmp_path / "profile") as browser:
        browser.call(
            "Emulation.setDeviceMetricsOverride", width=375, height=720, deviceScaleFactor=1, mobile=False
        )
        assert browser.run("document.documentElement.scrollWidth") <= 375
        _, _, width, height = browser.box("stage")
        assert width == 375 and height > 250
        left, top, _, _ = browser.box("patient")
        assert left >= 0 and top >= 0
        browser.press("?")
        assert browser.run("document.getElementById('help').open")
        browser.press("Escape")
        browser.until(lambda: not browser.run("document.getElementById('help').open"), "the help closes")
