from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_usflow.ultrasound.beamform.analytic_records import (
    SAMPLES_PER_PERIOD,
    check_budget,
)
from napari_usflow.ultrasound.beamform.delay_and_sum import (
    DelayAndSum,
    receive_apodization,
)
from napari_usflow.ultrasound.data import PixelGrid

GRID = PixelGrid((4, 5), (1.0, 0.5), (10.0, -1.0))


def das_of(data, grid=GRID, bandwidth=None) -> DelayAndSum:
    return DelayAndSum.on_grid(data, grid, 1.75, bandwidth, torch.device("cpu"))


def test_the_window_is_a_tukey_window_over_a_quarter_of_the_aperture() -> None:
    distance = torch.tensor([0.0, 0.74, 0.875, 1.0, 1.5])

    weight = receive_apodization(distance, torch.tensor(2.0))

    # Flat to 3/8 of the aperture, half way down at 7/16, zero from 1/2 on.
    np.testing.assert_allclose(weight, [1, 1, 0.5, 0, 0], atol=1e-6)


@pytest.mark.parametrize("aperture", [0.0, -1.0])
def test_an_aperture_without_width_sees_nothing_beside_its_element(
    aperture: float,
) -> None:
    weight = receive_apodization(torch.tensor([1e-4, 1.0]), torch.tensor(aperture))

    assert weight.tolist() == [0, 0]


@pytest.mark.parametrize("kind", ["rf", "iq"])
def test_traces_are_the_analytic_signal_on_the_fine_time_axis(one_point, kind) -> None:
    data = getattr(one_point, kind)()
    das = das_of(data)

    real, imaginary = das.traces(data.samples[0, :, 7], np.arange(3))

    expected = one_point.analytic(das.fine_hz)[0, :, 7]
    n_fine = (data.samples.shape[-1] - 1) * das.factor + 1
    found = (real + 1j * imaginary).numpy()
    assert das.fine_hz >= SAMPLES_PER_PERIOD * 5e6
    assert found.shape == (3, n_fine + 3)
    # The pulse is at 1.3 % at the edge of the band that IQ at this rate can hold.
    np.testing.assert_allclose(found[:, 1:-2], expected[:, :n_fine], atol=0.013)
    assert not found[:, [0, -2, -1]].any()


def test_the_receive_filter_is_a_hann_window_over_the_spectrum(one_point) -> None:
    # An impulse has a flat spectrum, so its trace has the filter's.
    data = one_point.rf()
    data.samples[...] = 0
    data.samples[..., 300] = 1
    das = das_of(data, bandwidth=1.0)

    real, imaginary = das.traces(data.samples[0, :, 0], np.arange(3))

    trace = (real + 1j * imaginary).numpy()[0, 1:-2]
    spectrum = np.abs(np.fft.fft(trace, 16 * trace.size))
    hz = np.fft.fftfreq(spectrum.size, 1 / das.fine_hz)
    level = np.interp(
        [5e6, 5e6 + 1.25e6, 5e6 - 1.25e6, 7.6e6, 2.4e6], hz[hz >= 0], spectrum[hz >= 0]
    )
    np.testing.assert_allclose(level / level[0], [1, 0.5, 0.5, 0, 0], atol=2e-3)


def test_transmits_are_taken_in_groups_when_the_budget_is_small(one_point) -> None:
    das = das_of(one_point.rf())

    assert das.transmits_at_once(3, 2**30) == 3
    assert das.transmits_at_once(3, 7 * 2**20) == 1


def test_a_budget_for_less_than_one_transmit_is_refused(one_point) -> None:
    with pytest.raises(ValueError, match=r"needs \d+ MiB, the budget is 1 MiB"):
        das_of(one_point.rf()).transmits_at_once(3, 2**20)


def test_check_budget_names_the_job() -> None:
    check_budget("the image", 10, 10)
    with pytest.raises(ValueError, match="the image needs 2 MiB, the budget is 1 MiB"):
        check_budget("the image", 2**21, 2**20)
