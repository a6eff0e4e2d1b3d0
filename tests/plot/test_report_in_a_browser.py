"""The page in headless Chromium: it draws, its slider moves sphere and curves, it asks for nothing, it fits a phone."""

import json
import shutil

import numpy as np
import pytest

import fpsolve as fp

pytest.importorskip("plotly")
pytest.importorskip("jinja2")
webdriver = pytest.importorskip("selenium.webdriver")

CHROMIUM, DRIVER = (shutil.which(name) for name in ("chromium", "chromedriver"))
pytestmark = pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="chromium and chromedriver are not installed")

FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader", "--disable-background-networking", "--hide-scrollbars",
)  # fmt: skip
SLOW = 120
"""Seconds for a browser that draws in software on a busy machine."""


@pytest.fixture(scope="module")
def browser():
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in FLAGS:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    driver.set_page_load_timeout(SLOW)
    driver.set_script_timeout(SLOW)
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def result():
    return fp.solve(fp.models.Homogenized(2.0), fp.initial.von_mises_fisher([0.2, -0.5, 1], 2.0), t_end=0.03, dt=0.01,
                    lmax=7, save_density=True, seed=1)  # fmt: skip


def opened(browser, path, width, height):
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
        "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500})  # fmt: skip
    browser.get_log("browser"), browser.get_log("performance")
    browser.get(path.as_uri())
    wait(browser, "return document.querySelectorAll('.js-plotly-plot .main-svg').length >= 2 &&"
                  " !!document.querySelector('#scene canvas')")  # fmt: skip


def wait(browser, script):
    from selenium.webdriver.support.ui import WebDriverWait

    WebDriverWait(browser, SLOW).until(lambda one: one.execute_script(script))


def picture(browser, path):
    """A screenshot as an array of colours (height, width, 3)."""
    import matplotlib.image

    assert browser.save_screenshot(str(path))
    return matplotlib.image.imread(path)[:, :, :3]


def test_the_page_in_a_browser(browser, result, tmp_path):
    path = fp.plot.report(result, tmp_path / "run.html")
    opened(browser, path, 1000, 700)
    told = [one for one in browser.get_log("browser") if one["level"] == "SEVERE"]
    assert told == []
    before = picture(browser, tmp_path / "before.png")
    assert np.ptp(before.reshape(-1, 3), axis=0).min() > 0.3  # light and dark, of every colour
    assert (before[-5:] == 1).mean() > 0.5 and before.mean() > 0.6  # a light page

    colours = "return Array.from(document.querySelector('#scene')._fullData[0].surfacecolor, row => Math.max(...row))"
    first = max(browser.execute_script(colours))
    rail = browser.find_element("css selector", "#scene .slider-rail-touch-rect")
    from selenium.webdriver.common.action_chains import ActionChains

    width = rail.rect["width"]
    ActionChains(browser).move_to_element_with_offset(rail, int(width / 2) - 3, 0).click().perform()
    wait(browser, "return document.querySelector('#scene').layout.sliders[0].active == 3")
    wait(browser, "return document.querySelector('.curve .js-plotly-plot').layout.shapes[0].x0 == 0.03")
    last = max(browser.execute_script(colours))
    lines = browser.execute_script(
        "return Array.from(document.querySelectorAll('.curve .js-plotly-plot')).map(one => one.layout.shapes[0].x1)"
    )
    assert len(lines) >= 5 and set(lines) == {0.03}
    assert first == pytest.approx(float(result.density[0].max()), rel=0.02)
    assert last == pytest.approx(float(result.density[-1].max()), rel=0.02) and last != first
    assert "t = 0.03" in browser.find_element("css selector", "#scene .gtitle").text
    assert np.abs(picture(browser, tmp_path / "after.png") - before).max() > 0.2

    browser.execute_script("document.getElementById('copy').click()")
    assert "[model]" in browser.execute_script("return getSelection().toString()")
    asked = [json.loads(one["message"])["message"] for one in browser.get_log("performance")]
    urls = [one["params"]["request"]["url"] for one in asked if one["method"] == "Network.requestWillBeSent"]
    assert [url for url in urls if not url.startswith(("file:", "data:", "blob:"))] == []


def test_a_phone(browser, result, tmp_path):
    path = fp.plot.report(result, tmp_path / "run.html")
    opened(browser, path, 390, 844)
    assert browser.execute_script("return document.documentElement.scrollWidth") <= 390
    wide = "return Array.from(document.querySelectorAll('.js-plotly-plot')).map(p => p.getBoundingClientRect().right)"
    assert max(browser.execute_script(wide)) <= 390
    eye = browser.execute_script("return document.querySelector('#scene').layout.scene.camera.eye")
    assert np.linalg.norm(list(eye.values())) > 1.5  # from afar, where the sphere is not cut off at the sides
    box = browser.execute_script("const b = document.querySelector('#scene canvas').getBoundingClientRect();"
                                 " return [b.left, b.right, b.top, b.bottom]")  # fmt: skip
    wait(browser, "return !!document.querySelector('#scene')._fullLayout.scene._scene")
    left, right, top, bottom = (int(one) for one in box)
    edges = picture(browser, tmp_path / "phone.png")[top:bottom, [left + 2, right - 3]]
    assert (edges > 0.9).all()
    assert [one for one in browser.get_log("browser") if one["level"] == "SEVERE"] == []
