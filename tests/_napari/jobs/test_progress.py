"""What the window says of a job's progress, speed and time."""

import pytest

from napari_usflow._napari.jobs.progress import elapsed_text, figure_text, progress_text


@pytest.mark.parametrize(
    ("done", "fraction", "total", "elapsed", "text"),
    [
        (0, 0.0, 40, 0.1, "0/40 frames"),
        (10, 0.0, 40, 32.0, "10/40 frames · 3.2 s/frame · 1 min 36 s left"),
        (0, 0.5, 1, 2.0, "0/1 frame · 4 s/frame · 2 s left"),
        (1, 0.0, 1000, 10.0, "1/1000 frames · 10 s/frame · 2 h 46 min left"),
        (1, 0.0, 3, 163.0, "1/3 frames · 160 s/frame · 5 min 26 s left"),
        (1, 0.0, 2, 86_400.0, "1/2 frames · 86000 s/frame · 1 d 00 h left"),
        (100, 0.0, 200, 0.0042, "100/200 frames · 0.000042 s/frame · 0 s left"),
    ],
)
def test_progress_says_speed_and_time_left(done, fraction, total, elapsed, text):
    assert progress_text(done, fraction, total, elapsed) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (1.234e-7, "0.000000123"),
        (0.9996, "1"),
        (99.96, "100"),
        (999.9, "1000"),
        (12_345.6, "12300"),
        (1.5e9, "1500000000"),
    ],
)
def test_a_figure_is_never_a_power_of_ten(value, text):
    assert figure_text(value) == text


@pytest.mark.parametrize("exponent", range(-9, 13))
def test_a_figure_keeps_its_digits_whatever_its_magnitude(exponent):
    text = figure_text(1.6 * 10.0**exponent, 2)

    assert set(text) <= set("0123456789.")
    assert float(text) == pytest.approx(1.6 * 10.0**exponent)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0123, "0.0123 s"),
        (59.9, "59.9 s"),
        (59.96, "1 min 00 s"),
        (5000, "1 h 23 min"),
    ],
)
def test_what_a_run_took_has_no_more_units_than_one_reads(seconds, text):
    assert elapsed_text(seconds) == text
