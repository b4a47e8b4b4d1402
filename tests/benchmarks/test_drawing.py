"""Charts as SVG: what is drawn stands where it belongs."""

import re
from xml.etree import ElementTree

import numpy as np
import pytest

from benchmarks.drawing import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, Axis, Chart, write_svg

UNIT = Axis("", 0, 1)


def drawn(chart: Chart) -> list[ElementTree.Element]:
    return list(ElementTree.fromstring(f"<g>{chart.svg()}</g>"))


def path(chart: Chart, colour: str) -> str:
    return next(mark.get("d") for mark in drawn(chart) if colour in (mark.get("stroke"), mark.get("fill")))


def numbers(text: str) -> list[float]:
    return [float(number) for number in re.findall(r"-?[\d.]+", text)]


def test_corners_of_the_axes_are_corners_of_the_plot():
    assert numbers(path(Chart("", UNIT, UNIT).line([0, 1], [0, 1], "#123456"), "#123456")) == [
        LEFT,
        HEIGHT - BOTTOM,
        WIDTH - RIGHT,
        TOP,
    ]


def test_logarithmic_and_descending_axes():
    assert Axis("", 1, 100, logarithmic=True).shares([1, 10, 100]).tolist() == [0, 0.5, 1]
    assert Axis("", 100, 1, logarithmic=True).shares([1, 10, 100]).tolist() == [1, 0.5, 0]
    assert Axis("", 0, 2).shares([-1, 1, 3]).tolist() == [0, 0.5, 1]


def test_ticks_lie_on_the_axis_and_are_few():
    for low, high, logarithmic in ((-3.2, 7.7, False), (0, 1e-4, False), (1e-9, 1, True), (0.3, 40, True)):
        ticks = Axis("", low, high, logarithmic).ticks()
        assert 2 <= len(ticks) <= 7
        assert low <= ticks[0]
        assert ticks[-1] <= high


@pytest.mark.parametrize(("tick", "name"), [(0.0001, "10⁻⁴"), (10_000.0, "10⁴"), (0.1, "0.1")])
def test_powers_of_ten_are_written_as_such(tick, name):
    assert Axis("", 1e-6, 1e6, logarithmic=True).name(tick) == name


def test_a_missing_value_leaves_a_gap():
    assert path(Chart("", UNIT, UNIT).line([0, 0.2, 0.4, 1], [0, np.nan, 1, 1], "#123456"), "#123456").count("M") == 2


def test_a_histogram_is_as_high_as_its_counts():
    outline = path(Chart("", Axis("", 0, 2), Axis("", 0, 4)).bars([0, 1, 2], [4, 1], "#123456"), "#123456")
    bottom, height = HEIGHT - BOTTOM, HEIGHT - BOTTOM - TOP
    upper, lower = numbers(outline)[1:8:2], numbers(outline)[9:16:2]
    assert upper == [TOP, TOP, bottom - height / 4, bottom - height / 4]
    assert lower == [bottom] * 4


def test_a_long_key_goes_on_in_a_second_row():
    chart = Chart("", UNIT, UNIT)
    for number in range(5):
        chart.line([0, 1], [0, 1], "#123456", f"number {number} of five")
    keys = [mark for mark in drawn(chart) if mark.tag == "text" and "of five" in (mark.text or "")]
    assert len({float(key.get("y")) for key in keys}) > 1
    assert all(float(key.get("x")) + 5.6 * len(key.text) <= WIDTH for key in keys)


def test_the_file_is_xml_whatever_the_titles_say(tmp_path):
    write_svg(tmp_path / "picture.svg", [Chart("a < b & c", UNIT, UNIT)] * 3, columns=2)
    root = ElementTree.parse(tmp_path / "picture.svg").getroot()
    assert (root.get("width"), root.get("height")) == (str(2 * WIDTH), str(2 * HEIGHT))
    assert sum(text == "a < b & c" for text in root.itertext()) == 3
