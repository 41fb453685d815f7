from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from napari_usflow.errors import Cancelled
from napari_usflow.jobs import CancelToken, Progress, result_of
from napari_usflow.ultrasound.beamform import (
    beamform,
    beamform_events,
    beamform_frame_events,
    default_grid,
    plane_wave_subset,
)
from napari_usflow.ultrasound.bmode import SILENCE_DB
from napari_usflow.ultrasound.data import ChannelData, PixelGrid
from ultrasound.conftest import CARRIER_HZ, SPEED_M_S, PulseEcho

AROUND = PixelGrid((81, 61), (0.05, 0.08), (10.0, -1.3))


def pixel(z_mm: float, x_mm: float) -> PixelGrid:
    return PixelGrid((1, 1), (1.0, 1.0), (z_mm, x_mm))


def tukey(relative: np.ndarray) -> np.ndarray:
    """The window of the reference code, written by cases."""
    falling = 0.5 * (1 + np.cos(2 * np.pi / 0.25 * (relative - 0.25 / 2 - 0.5)))
    return np.where(relative < 0.375, 1, np.where(relative < 0.5, falling, 0))


class Records:
    """Samples that note what is read of them."""

    def __init__(self, samples: np.ndarray) -> None:
        self.samples = samples
        self.read: list[tuple[int, ...]] = []
        self.shape, self.dtype = samples.shape, samples.dtype

    def __getitem__(self, key: tuple[int, ...]) -> np.ndarray:
        self.read.append(key)
        return self.samples[key]


@pytest.mark.parametrize(
    ("n_total", "count", "expected"),
    [
        (75, 1, [38]),
        (75, 3, [1, 38, 75]),
        (75, 11, [1, 8, 16, 23, 31, 38, 45, 53, 60, 68, 75]),
        (75, 75, list(range(1, 76))),
        # MATLAB rounds 2.5 up, numpy to even.
        (4, 3, [1, 3, 4]),
        (1, 1, [1]),
    ],
)
def test_plane_waves_are_chosen_by_the_rule_of_the_challenge(
    n_total: int, count: int, expected: list[int]
) -> None:
    assert (plane_wave_subset(n_total, count) + 1).tolist() == expected


@pytest.mark.parametrize("count", [0, 12, -1])
def test_a_number_of_plane_waves_that_is_not_there_is_refused(count: int) -> None:
    with pytest.raises(ValueError, match="the acquisition holds 11"):
        plane_wave_subset(11, count)


def test_the_default_grid_of_a_picmus_probe_is_the_scan_of_picmus() -> None:
    positions = np.zeros((128, 3))
    positions[:, 0] = 0.3e-3 * (np.arange(128) - 63.5)
    data = replace(
        PulseEcho((12.0, 0.0)).rf(),
        samples=np.zeros((1, 3, 128, 3328), np.float32),
        element_positions_m=positions,
        sampling_frequency_hz=20.832e6,
        center_frequency_hz=5.208e6,
    )

    grid = default_grid(data)

    # x_axis and z_axis of contrast_speckle_expe_scan.hdf5 of the challenge.
    assert grid.shape == (609, 387)
    np.testing.assert_allclose(grid.spacing_mm, (0.073925, 0.098566), atol=1e-6)
    np.testing.assert_allclose(grid.origin_mm, (5.0, -19.05), atol=1e-6)


def test_the_default_grid_ends_with_the_record(one_point) -> None:
    z, _ = default_grid(one_point.rf()).axes_mm()

    # 639 sample intervals at 20 MHz and 1540 m/s, there and back.
    end_mm = 639 / 20e6 * 1540e3 / 2
    assert end_mm - 0.077 < z[-1] <= end_mm


def test_a_record_that_ends_above_the_default_grid_is_refused() -> None:
    with pytest.raises(ValueError, match=r"ends at a depth of \d\.\d+ mm"):
        default_grid(PulseEcho((4.0, 0.0), n_periods=20).rf())


@pytest.mark.parametrize("start_us", [(0.0, 0.0, 0.0), (2.0, -1.5, 0.37)])
@pytest.mark.parametrize("kind", ["rf", "iq"])
def test_a_point_adds_up_to_the_sum_of_the_weights(kind: str, start_us) -> None:
    echo = PulseEcho((12.0, 1.1), start_us=start_us)
    data = getattr(echo, kind)()

    found = result_of(
        beamform_frame_events(data, grid=pixel(12.0, 1.1), bandwidth=None)
    )[0, 0]

    distance_mm = np.abs(1e3 * echo.elements_m()[:, 0] - 1.1)
    weights = tukey(distance_mm / (12.0 / 1.75)).sum()
    phase = np.exp(-2j * np.pi * CARRIER_HZ * 2 * 12e-3 / SPEED_M_S)
    assert abs(found - 3 * weights * phase) < 0.01 * 3 * weights


def test_a_point_has_its_maximum_in_its_place(one_point) -> None:
    image = beamform(one_point.rf(), grid=AROUND)

    z, x = AROUND.axes_mm()
    row, column = np.unravel_index(image.data[0].argmax(), AROUND.shape)
    assert abs(z[row] - 12.0) <= 0.026
    assert abs(x[column] - 1.1) <= 0.041


def test_rf_and_iq_of_one_acquisition_give_one_image(one_point) -> None:
    rf = beamform(one_point.rf(), grid=AROUND).data[0]
    iq = beamform(one_point.iq(), grid=AROUND).data[0]

    heard = rf > -40
    assert heard.sum() > 300
    assert np.abs(rf - iq)[heard].max() < 0.1


def test_iq_may_be_demodulated_off_its_carrier(one_point) -> None:
    data = one_point.iq(rate_hz=10e6, demodulation_hz=4.3e6)

    other = beamform(data, grid=AROUND).data[0]

    rf = beamform(one_point.rf(), grid=AROUND).data[0]
    assert np.abs(rf - other)[rf > -40].max() < 0.1


def test_the_receive_filter_rejects_noise_outside_the_band(one_point) -> None:
    rate_hz = 4 * CARRIER_HZ
    hum = np.cos(2 * np.pi * 1.2e6 * np.arange(640) / rate_hz).astype(np.float32)
    clean = one_point.rf()
    humming = replace(clean, samples=clean.samples + hum)

    with_filter = beamform(humming, grid=AROUND).data[0]
    without = beamform(humming, grid=AROUND, bandwidth=None).data[0]

    expected = beamform(clean, grid=AROUND).data[0]
    heard = expected > -30
    assert np.abs(with_filter - expected)[heard].max() < 0.5
    assert np.abs(without - expected)[heard].max() > 3


@pytest.mark.parametrize("bandwidth", [None, 1.0])
def test_the_receive_filter_lengthens_echoes_by_its_own_length(
    one_point, bandwidth
) -> None:
    column = PixelGrid((401, 1), (0.005, 1.0), (11.0, 1.1))

    image = beamform(one_point.rf(), grid=column, angles=1, bandwidth=bandwidth)

    # The spectrum of the pulse, half as strong 1 MHz off the carrier, times the Hann
    # window that reaches 2.5 MHz to either side.
    off_mhz = np.linspace(-10, 10, 4001)
    spectrum = 0.5 ** (off_mhz**2)
    if bandwidth is not None:
        spectrum *= np.where(abs(off_mhz) < 2.5, np.cos(np.pi * off_mhz / 5) ** 2, 0)
    z_mm = column.axes_mm()[0]
    delay_us = 2 * (z_mm - one_point.point_mm[0]) / 1.54
    pulse = abs(np.exp(2j * np.pi * delay_us[:, None] * off_mhz) @ spectrum)
    expected = np.count_nonzero(pulse > pulse.max() / 2)
    found = np.count_nonzero(image.data[0] > -20 * np.log10(2))
    assert found == pytest.approx(expected, rel=0.06)
    assert expected * 0.005 == pytest.approx(0.34 if bandwidth is None else 0.44, 0.03)


def test_pixels_whose_echo_is_outside_the_record_are_silent(one_point) -> None:
    deep = PixelGrid((40, 9), (1.0, 1.0), (5.0, -4.0))

    image = beamform(one_point.rf(), grid=deep).data[0]

    # The record of 32 us ends at a depth of 24.6 mm.
    z, _ = deep.axes_mm()
    assert (image[z > 24.7] <= SILENCE_DB).all()
    assert image[z < 20].max() == 0


def test_pixels_outside_every_aperture_are_silent(one_point) -> None:
    # At 12 mm the aperture reaches 3.4 mm to each side, the array 4.8 mm.
    beside = PixelGrid((3, 2), (0.5, 11.0), (11.5, -1.0))

    image = beamform(one_point.rf(), grid=beside).data[0]

    assert (image[:, 1] <= SILENCE_DB).all()


def test_the_row_on_the_array_is_finite(one_point) -> None:
    grid = PixelGrid((5, 32), (0.5, 0.3), (-1.0, -4.8))

    assert np.isfinite(beamform(one_point.rf(), grid=grid).data).all()


def test_a_number_of_angles_takes_those_transmits_only(one_point) -> None:
    data = one_point.rf()
    records = Records(data.samples)

    image = beamform(replace(data, samples=records), grid=AROUND, angles=1)

    assert {key[:2] for key in records.read} == {(0, 1)}
    assert image.metadata["plane_waves"] == 1
    alone = replace(
        data,
        samples=data.samples[:, 1:2],
        start_time_s=data.start_time_s[1:2],
        transmits=data.transmits[1:2],
    )
    np.testing.assert_array_equal(image.data, beamform(alone, grid=AROUND).data)


def test_compounding_is_coherent(one_point) -> None:
    data = one_point.rf()
    frames = [
        result_of(beamform_frame_events(data, grid=AROUND, transmits=[t]))
        for t in range(3)
    ]

    together = result_of(beamform_frame_events(data, grid=AROUND))

    np.testing.assert_allclose(together, sum(frames), atol=1e-3)


def test_a_small_budget_gives_the_same_image(one_point) -> None:
    data = one_point.rf()

    events = beamform_events(data, grid=AROUND, memory_budget_bytes=7 * 2**20)
    total = next(events).total

    # Every transmit alone.
    assert total == 3 * data.samples.shape[2]
    found, expected = (
        10 ** (image.data / 20)
        for image in (result_of(events), beamform(data, grid=AROUND))
    )
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_job_larger_than_the_budget_is_refused_before_anything_is_read(
    one_point,
) -> None:
    data = one_point.rf()
    records = Records(data.samples)
    huge = PixelGrid((100_000, 100_000), (1e-3, 1e-3), (5.0, 0.0))

    with pytest.raises(ValueError, match=r"the image needs .* smaller grid"):
        beamform(replace(data, samples=records), grid=huge)
    assert not records.read


def test_frames_of_a_stack_keep_their_relative_brightness(one_point) -> None:
    data = one_point.rf()
    stack = np.concatenate([data.samples, data.samples / 2])

    image = beamform(replace(data, samples=stack, frame_interval_s=0.02), grid=AROUND)

    np.testing.assert_allclose(image.data.max(axis=(1, 2)), [0, -6.0206], atol=1e-3)
    assert image.frame_interval_s == 0.02
    assert (image.values, image.frame_axis, image.grid) == ("db", "t", AROUND)


def test_provenance_is_kept(one_point) -> None:
    image = beamform(one_point.rf(), grid=AROUND, f_number=2.0)

    assert image.metadata["name"] == "one point"
    assert image.metadata["f_number"] == 2.0
    assert image.metadata["plane_waves"] == 3


def test_progress_counts_to_the_end_of_the_stack(one_point) -> None:
    data = one_point.rf()
    stack = replace(data, samples=np.concatenate([data.samples] * 2))

    progress = [
        e for e in beamform_events(stack, grid=AROUND) if isinstance(e, Progress)
    ]

    total = 2 * data.samples.shape[2]
    assert [e.done for e in progress] == list(range(1, total + 1))
    assert {e.total for e in progress} == {total}


def test_cancelling_stops_between_elements(one_point) -> None:
    token = CancelToken()
    events = beamform_events(one_point.rf(), grid=AROUND, token=token)
    next(events)

    token.cancel()

    with pytest.raises(Cancelled):
        next(events)


def test_a_record_with_nan_is_refused_by_its_number(one_point) -> None:
    data = one_point.rf()
    data.samples[0, 2, 5, 17] = np.nan

    with pytest.raises(ValueError, match="frame 0, transmit 2 holds NaN"):
        beamform(data, grid=AROUND)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"f_number": 0.0}, "f_number must be positive"),
        ({"f_number": np.nan}, "f_number must be positive"),
        ({"bandwidth": -1.0}, "bandwidth must be positive"),
        ({"angles": 4}, "the acquisition holds 3"),
        ({"device": "abacus"}, "device 'abacus' is not on this machine"),
    ],
)
def test_options_that_make_no_sense_are_refused(one_point, options, message) -> None:
    with pytest.raises(ValueError, match=message):
        beamform(one_point.rf(), grid=AROUND, **options)


def test_no_transmit_is_refused(one_point) -> None:
    with pytest.raises(ValueError, match="at least one"):
        result_of(beamform_frame_events(one_point.rf(), grid=AROUND, transmits=[]))


def test_bandpass_sampled_rf_is_refused(one_point) -> None:
    data: ChannelData = replace(one_point.rf(), sampling_frequency_hz=4 / 3 * 5e6)

    with pytest.raises(ValueError, match="demodulate bandpass-sampled RF"):
        beamform(data, grid=AROUND)


def test_an_unknown_carrier_is_refused(one_point) -> None:
    with pytest.raises(ValueError, match="set center_frequency_hz"):
        beamform(replace(one_point.rf(), center_frequency_hz=0.0))


def test_plain_call_reports_progress_and_stops(one_point) -> None:
    token, events = CancelToken(), []
    grid = PixelGrid((20, 10), (0.1, 0.3), (11.0, 0.0))

    image = beamform(one_point.rf(), grid=grid, device="cpu", on_event=events.append)

    last = [event for event in events if isinstance(event, Progress)][-1]
    assert last.done == last.total
    assert image.data.shape == (1, 20, 10)
    token.cancel()
    with pytest.raises(Cancelled):
        beamform(one_point.rf(), grid=grid, device="cpu", token=token)
