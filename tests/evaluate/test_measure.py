"""Numbers in regions: against theory, the metrics and the challenge's own table."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import napari_usflow as usf
from napari_usflow.evaluate import metrics
from napari_usflow.evaluate.measure import decibels, measure, measure_frame
from napari_usflow.evaluate.measure_table import (
    comparison_lines,
    comparison_table,
    number_text,
)
from napari_usflow.evaluate.phantom_scores import (
    cyst_masks,
    picmus_contrast,
    picmus_fwhm,
)
from napari_usflow.evaluate.quantities import quantities
from napari_usflow.evaluate.regions import Region, phantom_regions
from napari_usflow.io.picmus import read_phantom
from napari_usflow.ultrasound.data import PixelGrid, PolarGrid, UltrasoundImage

GRID = PixelGrid((301, 301), (0.1, 0.1), (10.0, -15.0))
Z_MM, X_MM = GRID.axes_mm()


def box(z: float, x: float, dz: float, dx: float) -> list[list[float]]:
    return [[z - dz, x - dx], [z - dz, x + dx], [z + dz, x + dx], [z + dz, x - dx]]


TARGET = Region("target", "ellipse", box(25.0, 2.0, 3.5, 3.5), "cyst")
BACKGROUND = Region("background", "polygon", box(25.0, -8.0, 5.0, 4.0), "tissue")


def speckle(depth_db: float = 20.0, seed: int = 0) -> np.ndarray:
    """Fully developed speckle at 0 dB mean intensity, with a cyst."""
    rng = np.random.default_rng(seed)
    frame = 10 * np.log10(rng.exponential(size=GRID.shape))
    inside = np.hypot(Z_MM[:, None] - 25, X_MM[None] - 2) <= 4
    return frame - depth_db * inside


def image(frame: np.ndarray, values: str = "db") -> UltrasoundImage:
    stack = frame if frame.ndim == 3 else frame[None]
    return UltrasoundImage(stack, values, GRID)


def test_speckle_has_the_numbers_of_theory() -> None:
    target, background = measure(image(speckle()), [TARGET, BACKGROUND])

    # The mean of the logarithm lies 2.507 dB below that of the intensity.
    assert background.mean_db == pytest.approx(-2.507, abs=0.15)
    assert target.mean_db == pytest.approx(-22.507, abs=0.3)
    assert background.speckle_snr == pytest.approx(1.913, rel=0.03)
    assert background.enl == pytest.approx(1.0, rel=0.06)
    assert target.against == "tissue"
    assert target.cnr == pytest.approx(20 / 7.877, rel=0.03)
    assert target.contrast_db == pytest.approx(20 * np.log10(20 / 5.570), abs=0.3)
    r = 100.0
    expected = r ** (-1 / (r - 1)) - r ** (-r / (r - 1))
    assert target.gcnr == pytest.approx(expected, abs=0.03)
    assert target.area_mm2 == pytest.approx(np.pi * 3.5**2, rel=0.01)
    assert background.area_mm2 == pytest.approx(80, rel=0.03)


def test_numbers_are_those_of_the_metrics_on_the_same_pixels() -> None:
    frame = speckle()
    target, background = measure(image(frame), [TARGET, BACKGROUND])

    inside = frame[np.hypot(Z_MM[:, None] - 25, X_MM[None] - 2) <= 3.5 + 1e-9]
    pixels = BACKGROUND.pixels(GRID)
    outside = frame[pixels.window][pixels.mask]
    assert target.contrast_db == metrics.contrast_db(inside, outside)
    assert target.cnr == metrics.cnr(inside, outside)
    assert target.gcnr == metrics.gcnr(inside, outside)
    assert background.speckle_snr == pytest.approx(
        metrics.speckle_snr(10 ** (outside / 20))
    )
    assert background.enl == pytest.approx(metrics.enl(10 ** (outside / 10)))


def test_a_grid_twice_as_fine_gives_the_same_area_and_mean() -> None:
    frame = speckle()
    fine = PixelGrid((602, 602), (0.05, 0.05), (9.975, -15.025))
    doubled = np.kron(frame, np.ones((2, 2)))

    (coarse,) = measure_frame(frame, GRID, [BACKGROUND])
    (same,) = measure_frame(doubled, fine, [BACKGROUND])

    assert same.area_mm2 == pytest.approx(coarse.area_mm2, rel=0.03)
    assert same.mean_db == pytest.approx(coarse.mean_db, abs=0.05)


def test_points_are_measured_as_the_challenge_does() -> None:
    amplitude = 1e-4 + 2.0 ** -(
        (2 * (Z_MM[:, None] - 20) / 0.5) ** 2 + (2 * (X_MM[None] + 3) / 0.8) ** 2
    )
    frame = 20 * np.log10(amplitude)
    # Half a millimetre off: still in the challenge's window.
    bead = Region("point", "point", [[20.3, -3.4]], "bead")

    (row,) = measure(image(frame), [bead])

    assert row.fwhm_axial_mm == pytest.approx(0.5, abs=0.04)
    assert row.fwhm_lateral_mm == pytest.approx(0.8, abs=0.04)
    assert np.isnan(row.mean_db)


@pytest.mark.parametrize("tilt", [0.0, 25.0])
def test_edge_width_is_that_of_the_ramp(tilt: float) -> None:
    turn = np.deg2rad(tilt)
    across = np.array([np.cos(turn), np.sin(turn)])
    place = (Z_MM[:, None] - 25) * across[0] + X_MM[None] * across[1]
    frame = np.clip(place / 1.5 + 0.5, 0, 1) * 40 - 40
    along = np.array([-across[1], across[0]])
    middle = np.array([25.0, 0.0])
    line = Region("wall", "line", [middle - 4 * across, middle + 4 * across])
    corners = [
        middle + a * across + b * along for a, b in ((-4, -2), (-4, 2), (4, 2), (4, -2))
    ]
    band = Region("wall", "polygon", corners)

    # 10 to 90 % of a linear ramp.
    for row in measure(image(frame), [line, band]):
        assert row.edge_mm == pytest.approx(0.8 * 1.5, rel=0.04)


def test_a_wall_of_another_shape_is_not_measured() -> None:
    wall = Region("wall", "polygon", [[20, 0], [22, 0], [21, 3]])

    (row,) = measure(image(speckle()), [wall])

    assert row.known() == {}


def test_the_nearest_background_counts_and_speckle_stands_in() -> None:
    far = Region("background", "polygon", box(15.0, -13.0, 1.0, 1.0), "far")
    only = Region("speckle", "polygon", box(25.0, -8.0, 5.0, 4.0), "grains")

    assert measure(image(speckle()), [TARGET, far, BACKGROUND])[0].against == "tissue"
    assert measure(image(speckle()), [TARGET, only])[0].against == "grains"
    alone = measure(image(speckle()), [TARGET])[0]
    assert alone.against == "" and np.isnan(alone.cnr)


def test_region_outside_has_no_numbers_and_no_say() -> None:
    gone = Region("background", "polygon", box(500.0, 0.0, 2.0, 2.0), "gone")
    bead = Region("point", "point", [[500.0, 0.0]], "bead")
    wall = Region("wall", "line", [[500.0, 0.0], [510.0, 0.0]], "wall")

    target, outside, *others = measure(image(speckle()), [TARGET, gone, bead, wall])

    assert outside.area_mm2 == 0 and np.isnan(outside.mean_db)
    assert target.against == "" and np.isfinite(target.mean_db)
    assert all(row.known() == {} for row in others)


def test_regions_of_another_frame_are_left_out() -> None:
    clip = np.stack([speckle(20, seed) for seed in range(3)])
    late = Region("target", "ellipse", TARGET.points_mm, "late", frame=2)

    rows = measure(image(clip), [late, BACKGROUND], frame=None)

    assert [(row.frame, row.region) for row in rows] == [
        (0, "tissue"),
        (1, "tissue"),
        (2, "late"),
        (2, "tissue"),
    ]
    assert measure(image(clip), [BACKGROUND], frame=-1)[0] == rows[3]


def test_grey_and_envelope_are_turned_into_decibels() -> None:
    frame = np.clip(speckle() - 20, -60, 0)
    grey = image((frame / 60 + 1) * 255, "display")
    envelope = image(10 ** (frame / 20), "envelope")
    wanted = measure(image(frame), [TARGET, BACKGROUND])
    for other in (
        measure(grey, [TARGET, BACKGROUND]),
        measure(envelope, [TARGET, BACKGROUND]),
    ):
        for row, same in zip(wanted, other, strict=True):
            for name, value in row.known().items():
                assert getattr(same, name) == pytest.approx(value, rel=0.02, abs=1e-3)


def test_zero_amplitude_has_a_level() -> None:
    found = decibels(np.array([[0.0, 10.0]]), "envelope")

    np.testing.assert_allclose(found, [[-100.0, 20.0]])


def test_plain_array_wants_its_pixel_size() -> None:
    frame = speckle().astype(np.float32)
    here = Region("background", "polygon", box(10.0, 5.0, 5.0, 4.0))

    with pytest.raises(ValueError, match="pixel_size_mm"):
        measure(frame, [here], values="db")
    (row,) = usf.measure(frame, [here], pixel_size_mm=0.1, values="db")
    assert row.area_mm2 == pytest.approx(80, rel=0.03)


def test_what_cannot_be_measured_is_said() -> None:
    polar = UltrasoundImage(
        np.zeros((1, 4, 4)), "db", PolarGrid((4, 4), (0, 1), (0, 0.1))
    )
    with pytest.raises(ValueError, match="scan-convert"):
        measure(polar, [TARGET])
    with pytest.raises(ValueError, match="no frame 7"):
        measure(image(speckle()), [TARGET], frame=7)
    unknown = UltrasoundImage(
        np.zeros((1, 4, 4)),
        "db",
        PixelGrid((4, 4), (1, 1), (0, 0)),
        metadata={"pixel_size_known": False},
    )
    with pytest.raises(ValueError, match="pixel size"):
        measure(unknown, [TARGET])


def test_change_is_after_minus_before() -> None:
    frame = speckle()
    before = measure(image(frame), [TARGET, BACKGROUND])
    after = measure(image(frame / 2 - 3), [TARGET, BACKGROUND])

    lines = comparison_lines([before, after])

    mean = next(
        line
        for line in lines
        if line.region == "tissue" and line.quantity.name == "mean_db"
    )
    assert mean.changes[0] == pytest.approx(mean.values[1] - mean.values[0])
    assert mean.values[1] == pytest.approx(mean.values[0] / 2 - 3, abs=1e-6)
    assert {line.quantity.name for line in lines if line.region == "cyst"} == {
        *("area_mm2", "mean_db", "contrast_db", "cnr", "gcnr"),
    }


def test_table_is_markdown_or_csv() -> None:
    before = measure(image(speckle()), [TARGET, BACKGROUND])
    after = measure(image(speckle() / 2 - 3), [TARGET, BACKGROUND])

    text = comparison_table(["a|b", "c"], [before, after])
    header, rule, first, *_ = text.splitlines()
    assert header == "| region | role | number | against | a\\|b | c | change |"
    assert rule == "| --- | --- | --- | --- | ---: | ---: | ---: |"
    assert first.startswith("| cyst | target | Area (mm²) |")
    assert "| cyst | target | gCNR | tissue |" in text

    lines = comparison_table(["a", "c"], [before, after], markdown=False).splitlines()
    assert lines[0] == "region,role,number,against,a,c,change"
    clip = measure(image(np.stack([speckle()] * 2)), [BACKGROUND], frame=None)
    framed = comparison_table(["a"], [clip], markdown=False).splitlines()
    assert framed[0] == "frame,region,role,number,against,a"
    assert framed[-1].startswith("1,tissue,background,ENL,")


def test_infinite_and_missing_numbers_can_be_written() -> None:
    quantity = quantities()[2]
    assert number_text(float("inf"), quantity) == "∞"
    assert number_text(float("-inf"), quantity) == "−∞"
    assert number_text(float("nan"), quantity) == ""
    assert number_text(-1.234, quantity, sign=True) == "−1.23"
    assert number_text(1.234, quantity, sign=True) == "+1.23"


def test_every_number_says_what_it_is_bad_for() -> None:
    names = [quantity.name for quantity in quantities()]
    row = measure(image(speckle()), [TARGET])[0]
    assert all(isinstance(getattr(row, name), float) for name in names)
    assert set(row.known()) < set(names)
    for quantity in quantities():
        assert len(quantity.help) > 60
    rising = {q.name for q in quantities() if "rises with any smoothing" in q.help}
    assert rising == {"contrast_db", "cnr", "gcnr", "speckle_snr", "enl"}


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("file", "phantom", "rows"),
    [
        (
            "2.hdf5",
            "contrast_speckle_simu",
            [(10.37, 0.907), (8.54, 0.845), (12.69, 0.972), (15.92, 0.996)],
        ),
        (
            "4.hdf5",
            "contrast_speckle_expe",
            [(8.45, 0.869), (7.35, 0.815), (11.60, 0.943), (12.50, 0.961)],
        ),
    ],
)
def test_official_cysts_have_the_contrast_of_the_challenge(
    real_data: Path, file: str, phantom: str, rows: list[tuple[float, float]]
) -> None:
    folder = real_data / "ultrasound"
    (read,) = usf.read(folder / "picmus-das-images" / file)
    targets = read_phantom(folder / f"picmus-phantoms-scan/{phantom}_phantom.hdf5")
    regions = [r for r in phantom_regions(targets) if r.role != "speckle"]
    for number, (contrast, overlap_free) in enumerate(rows):
        found = [
            row
            for row in measure(read, regions, frame=number)
            if row.role == "target" and row.area_mm2
        ]
        means = np.mean([(row.contrast_db, row.gcnr) for row in found], axis=0)
        assert means[0] == pytest.approx(contrast, rel=0.02)
        # The challenge's gCNR has 256 bins, which overestimate it by chance.
        assert overlap_free - 0.025 < means[1] < overlap_free + 0.003
        scores = picmus_contrast(read.data[number], read.grid, targets)
        known = ~np.isnan(scores.contrast_db)
        np.testing.assert_allclose(
            [row.contrast_db for row in found], scores.contrast_db[known], rtol=1e-9
        )
        inside, _ = cyst_masks(
            read.grid, targets.cysts[0], targets.lateral_resolution_mm
        )
        assert regions[0].pixels(read.grid).count == inside.sum()


@pytest.mark.real_data
def test_official_points_have_the_widths_of_the_challenge(real_data: Path) -> None:
    folder = real_data / "ultrasound"
    (read,) = usf.read(folder / "picmus-das-images" / "3.hdf5")
    path = folder / "picmus-phantoms-scan/resolution_distorsion_expe_phantom.hdf5"
    targets = read_phantom(path)
    rows = measure(read, phantom_regions(targets), frame=3)
    scores = picmus_fwhm(read.data[3], read.grid, targets)
    np.testing.assert_allclose(
        [row.fwhm_lateral_mm for row in rows], scores.lateral_mm, rtol=1e-9
    )
    np.testing.assert_allclose(
        [row.fwhm_axial_mm for row in rows], scores.axial_mm, rtol=1e-9
    )
