"""The page of a report in a real browser, without a network."""

from __future__ import annotations

import io
import os

import numpy as np
import pytest

import project_files
from browser import chromium
from napari_usflow.evaluate.report.content import report_of
from napari_usflow.evaluate.report.html import write_html

X = 700


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "report.html"
    write_html(path, report_of(project_files.project(), title="Heart <i>"))
    with chromium() as session:
        session.get(path.as_uri())
        yield session


def shot(browser) -> np.ndarray:
    from PIL import Image

    content = io.BytesIO(browser.find_element("id", "compare").screenshot_as_png)
    return np.asarray(Image.open(content).convert("L"), float)


def spread(picture: np.ndarray, first: float, last: float) -> float:
    """Standard deviation of part of the picture, clear of regions and names."""
    rows, columns = picture.shape
    part = picture[
        int(0.72 * rows) : int(0.86 * rows), int(first * columns) : int(last * columns)
    ]
    return float(part.std())


def test_the_slider_moves_the_line_between_before_and_after(browser) -> None:
    slider = browser.find_element("id", "slider")

    def place(percent: float) -> np.ndarray:
        browser.execute_script(
            "arguments[0].value = arguments[1];"
            "arguments[0].dispatchEvent(new Event('input'))",
            slider,
            percent,
        )
        return shot(browser)

    before, after, half = place(100), place(0), place(50)
    # The result has half the speckle of its input.
    assert spread(after, 0.1, 0.7) < 0.7 * spread(before, 0.1, 0.7)
    assert spread(half, 0.1, 0.4) == pytest.approx(spread(before, 0.1, 0.4), rel=0.1)
    assert spread(half, 0.55, 0.7) == pytest.approx(spread(after, 0.55, 0.7), rel=0.1)


def test_keys_move_the_line(browser) -> None:
    from selenium.webdriver.common.keys import Keys

    slider = browser.find_element("id", "slider")
    slider.send_keys(Keys.HOME)
    assert "0%" in browser.find_element("id", "compare").get_attribute("style")
    slider.send_keys(Keys.END)
    assert "100%" in browser.find_element("id", "compare").get_attribute("style")


def test_the_line_is_dragged_on_the_picture(browser) -> None:
    from selenium.webdriver import ActionChains

    picture = browser.find_element("id", "compare")
    width = picture.size["width"]
    actions = ActionChains(browser).move_to_element(picture).click_and_hold()
    actions.move_by_offset(width // 4, 0).release().perform()

    slider = browser.find_element("id", "slider")
    assert float(slider.get_property("value")) == pytest.approx(75, abs=1)


def test_another_result_can_be_chosen(browser) -> None:
    from selenium.webdriver.support.ui import Select

    Select(browser.find_element("id", "result")).select_by_visible_text("clip [nlm]")

    assert browser.find_element("id", "side").text == "clip [nlm]"
    shown = browser.find_elements("css selector", "img.after:not(.hidden)")
    assert [image.get_attribute("alt") for image in shown] == ["clip [nlm]"]


def test_regions_can_be_hidden(browser) -> None:
    box = browser.find_element("id", "drawn")
    assert browser.find_elements("css selector", "svg.shapes:not(.hidden) path")
    box.click()
    assert not browser.find_elements("css selector", "svg.shapes:not(.hidden) path")
    box.click()


def test_nothing_is_asked_of_a_network_and_no_error_is_logged(browser) -> None:
    assert browser.get_log("browser") == []
    assert not browser.execute_script(
        "return performance.getEntriesByType('resource')"
        ".filter(entry => !entry.name.startsWith('data:')).length"
    )


def test_what_was_typed_is_shown_as_text(browser) -> None:
    assert browser.find_element("tag name", "h1").text == "Heart <i>"
    assert "echo <b>" in browser.find_element("id", "marks").text


def test_the_page_is_no_wider_than_a_small_screen(browser) -> None:
    assert browser.execute_script(
        "return document.documentElement.scrollWidth <= window.innerWidth"
    )
    if folder := os.environ.get("USFLOW_SHOTS"):
        for number, top in enumerate((0, 700, 1400)):
            browser.execute_script(f"window.scrollTo(0, {top})")
            browser.save_screenshot(f"{folder}/report_{number}.png")
