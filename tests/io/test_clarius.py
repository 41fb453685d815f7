"""Raw exports of Clarius scanners, made up and real."""

from __future__ import annotations

import struct
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from napari_usflow import io
from napari_usflow.errors import FileFormatError

STEP_MM = 1e3 * 1540 / (2 * 15e6)


def write(
    folder: Path,
    frames: np.ndarray,
    *,
    elements=None,
    angle: float = 0.0,
    delay: int = 16,
    more: str = "",
    interval_s: float = 0.05,
) -> Path:
    """Write (frames, lines, samples) of uint8, int16, or complex for IQ."""
    count, lines, samples = frames.shape
    if np.iscomplexobj(frames):
        pairs = np.stack([frames.real, frames.imag], axis=-1)
        blocks, size = pairs.astype("<i2"), 4
    else:
        blocks, size = frames, frames.dtype.itemsize
    raw = struct.pack("<5I", 1, count, lines, samples, size)
    for number, block in enumerate(blocks):
        raw += struct.pack("<Q", 10**12 + round(1e9 * interval_s * number))
        raw += block.tobytes()
    path = folder / "x.raw"
    path.write_bytes(raw)
    elements = np.arange(lines) if elements is None else elements
    listed = "\n".join(
        f"  - {{rx element: {e:.10g}, tx element: 1, angle: {angle:g} °}}"
        for e in elements
    )
    path.with_suffix(".yml").write_text(
        "# raw data parameters\n\nframes: 1\nsampling rate: 15 MHz\n"
        f"delay samples: {delay}\n{more}lines:\n{listed}\n",
        "utf-8",
    )
    return path


def test_grey_lines_stand_where_their_elements_are(tmp_path: Path) -> None:
    grey = np.random.default_rng(0).integers(0, 255, (3, 8, 20)).astype(np.uint8)
    path = write(tmp_path, grey, elements=90 + 0.5 * np.arange(8))

    (image,) = io.read(path)

    np.testing.assert_array_equal(np.asarray(image.data), grey.transpose(0, 2, 1))
    assert image.values == "display"
    assert image.spacing_mm == pytest.approx((STEP_MM, 0.5 * 0.2))
    assert image.origin_mm == pytest.approx((0.0, (90 - 95.5) * 0.2))
    assert image.frame_interval_s == pytest.approx(0.05)
    assert image.data.chunks[0] == (1, 1, 1)


@pytest.mark.parametrize("line", ["pitch: 130 um\n", "probe: {pitch: 0.13 mm}\n"])
def test_the_pitch_of_the_probe_is_used_where_it_is_stated(tmp_path, line) -> None:
    path = write(tmp_path, np.ones((1, 8, 20), np.uint8), more=line)

    (image,) = io.read(path)

    assert image.spacing_mm[1] == pytest.approx(0.13)
    assert not any("assumed; set" in note for note in image.metadata["notes"])


def test_iq_is_an_envelope_in_decibels_of_the_first_frame(tmp_path: Path) -> None:
    iq = np.full((2, 8, 20), 30 + 40j)
    iq[0, 2, 5] = 300 - 400j
    iq[1, 2, 5] = 3000 + 4000j
    path = write(tmp_path, iq)

    (image,) = io.read(path)

    assert image.values == "db"
    assert float(np.asarray(image.data[0]).max()) == 0
    np.testing.assert_allclose(np.asarray(image.data[0])[0, 0], -20, atol=1e-4)
    np.testing.assert_allclose(np.asarray(image.data[1])[5, 2], 20, atol=1e-4)


def test_rf_gives_the_amplitude_of_its_oscillation(tmp_path: Path) -> None:
    samples = np.arange(400)
    rf = 1000 * np.cos(2 * np.pi * samples / 5) * np.hanning(400)
    path = write(tmp_path, np.tile(rf, (1, 8, 1)).astype("<i2"))

    (image,) = io.read(path)

    half = int(np.argmin(np.abs(np.hanning(400)[:200] - 0.5)))
    np.testing.assert_allclose(image.data[0][half], -6.02, atol=0.1)


def test_the_delay_moves_the_picture_down(tmp_path: Path) -> None:
    path = write(tmp_path, np.ones((1, 8, 20), np.uint8), delay=116)

    (image,) = io.read(path)

    assert image.origin_mm[0] == pytest.approx(100 * STEP_MM)


def test_a_point_on_steered_lines_comes_out_where_it_is(tmp_path: Path) -> None:
    """At r on the line of element e: x = x_e + r sin a, z = r cos a."""
    iq = np.zeros((1, 60, 200), complex)
    iq[0, 30, 150] = 1000
    path = write(tmp_path, iq + 1, elements=60.0 + np.arange(60), angle=15.0)

    (image,) = io.read(path)

    z_mm, x_mm = image.grid.axes_mm()
    row, column = np.unravel_index(np.argmax(image.data[0]), image.data[0].shape)
    r_mm, x_e = 150 * STEP_MM, (90 - 95.5) * 0.2
    angle = np.deg2rad(15)
    assert z_mm[row] == pytest.approx(r_mm * np.cos(angle), abs=0.01)
    assert x_mm[column] == pytest.approx(x_e + r_mm * np.sin(angle), abs=0.11)


def test_the_firings_of_an_ensemble_are_frames_and_not_for_denoising(tmp_path) -> None:
    iq = np.zeros((2, 12, 20), complex)
    iq[:] = 1 + (np.arange(12) % 3)[:, None]
    path = write(tmp_path, iq, elements=np.repeat(np.arange(4), 3))

    (image,) = io.read(path)

    assert image.data.shape == (6, 20, 4)
    expected = 20 * np.log10([1, 2, 3, 1, 2, 3])
    np.testing.assert_allclose(np.asarray(image.data)[:, 3, 1], expected, atol=1e-4)
    assert "Doppler" in image.metadata["not_for_denoising"]


def test_the_yml_file_leads_to_the_raw_file(tmp_path: Path) -> None:
    path = write(tmp_path, np.ones((1, 8, 20), np.uint8))

    assert io.detect(path.with_suffix(".yml")) == "clarius"
    (image,) = io.read(path.with_suffix(".yml"))
    assert image.data.shape == (1, 20, 8)


def test_other_raw_and_yml_files_are_not_claimed(tmp_path: Path) -> None:
    camera, settings = tmp_path / "a.raw", tmp_path / "a.yml"
    camera.write_bytes(bytes(range(256)) * 40)
    settings.write_text("name: something else\n")

    assert io.detect(camera) is None
    assert io.detect(settings) is None


def test_a_packed_file_says_how_to_unpack_it(tmp_path: Path) -> None:
    path = tmp_path / "x_env.raw.lzo"
    path.write_bytes(b"\x89LZO\0\r\n\x1a\n" + bytes(50))

    assert io.detect(path) == "clarius"
    with pytest.raises(FileFormatError, match="lzop -d"):
        io.read(path)


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("no yml", "needs x.yml"),
        ("cut", "cut short"),
        ("fewer lines", "lists 7 lines"),
        ("fan", "parallel lines"),
        ("curved", "curved array"),
        ("no rate", "sampling rate"),
        ("uneven", "evenly spaced"),
    ],
)
def test_files_that_do_not_fit_are_refused(tmp_path, what, message) -> None:
    elements = np.arange(8.0)
    if what == "uneven":
        elements[3] = 3.5
    more = "probe: {radius: 45 mm}\n" if what == "curved" else ""
    path = write(tmp_path, np.ones((1, 8, 20), np.uint8), elements=elements, more=more)
    yml = path.with_suffix(".yml")
    text = yml.read_text("utf-8")
    if what == "no yml":
        yml.unlink()
    elif what == "cut":
        path.write_bytes(path.read_bytes()[:-3])
    elif what == "fewer lines":
        yml.write_text(text[: text.rindex("  - {")], "utf-8")
    elif what == "fan":
        yml.write_text(text.replace("angle: 0", "angle: 5", 1), "utf-8")
    elif what == "no rate":
        yml.write_text(text.replace("sampling rate", "rate"), "utf-8")

    with pytest.raises(FileFormatError, match=message):
        io.read(path)


@pytest.mark.real_data
def test_the_real_carotid_has_the_scanners_depth_and_width(real_data: Path) -> None:
    """The scanner's picture of it is 30 mm deep and 38.2 mm wide."""
    folder = real_data / "ultrasound/clarius-carotid-doppler"

    (grey,) = io.read(folder / "carotid_env.raw")
    (flow,) = io.read(folder / "carotid_iq.raw")

    z_mm, x_mm = grey.grid.axes_mm()
    assert z_mm[584] == pytest.approx(30.0, abs=0.05)
    assert x_mm[-1] - x_mm[0] == pytest.approx(38.2, abs=0.01)
    # The colour box of that picture: 251 to 498 px down, 14.22 px a millimetre,
    # the skin at 186.5 px.
    z_mm, _ = flow.grid.axes_mm()
    assert z_mm[0] == pytest.approx((251 - 186.5) / 14.22, abs=0.15)
    assert z_mm[-1] == pytest.approx((498 - 186.5) / 14.22, abs=0.15)


@pytest.mark.parametrize(
    "more",
    [
        "rx element: 1 " * 30_000,
        "rx element: 1 angle: " * 30_000,
        "\n" * 300_000,
        " " * 300_000,
        "pitch: " + "1" * 300_000,
        "radius: " + "0" * 300_000,
    ],
    ids=["lines", "angles", "empty lines", "blanks", "pitch", "radius"],
)
def test_the_time_to_read_parameters_grows_with_their_length(tmp_path, more) -> None:
    grey = np.zeros((1, 8, 20), np.uint8)
    path = write(tmp_path, grey, more=f"{more}\n")

    start = time.process_time()
    with suppress(FileFormatError):
        io.read(path)

    assert time.process_time() - start < 2


@pytest.mark.parametrize(
    ("more", "said"), [("pitch: 1..2 mm\n", "pitch that is no number")]
)
def test_what_is_no_number_is_named_with_its_file(tmp_path, more, said) -> None:
    path = write(tmp_path, np.zeros((1, 8, 20), np.uint8), more=more)

    with pytest.raises(FileFormatError, match=rf"x\.yml has a {said}"):
        io.read(path)
