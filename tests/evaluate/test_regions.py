"""Which pixels belong to a region, and files of regions."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from napari_usflow.errors import FileFormatError
from napari_usflow.evaluate.phantom_scores import cyst_masks
from napari_usflow.evaluate.region_files import read_regions, write_regions
from napari_usflow.evaluate.regions import Region, phantom_regions
from napari_usflow.io.picmus import Cyst, Phantom, SpeckleRegion
from napari_usflow.ultrasound.data import PixelGrid

GRID = PixelGrid((300, 240), (0.1, 0.15), (10.0, -18.0))
AREA = 0.1 * 0.15


def whole(region: Region, grid: PixelGrid = GRID) -> np.ndarray:
    mask = np.zeros(grid.shape, bool)
    pixels = region.pixels(grid)
    mask[pixels.window] = pixels.mask
    assert pixels.count == mask.sum()
    return mask


def box(z: float, x: float, dz: float, dx: float) -> list[list[float]]:
    return [[z - dz, x - dx], [z - dz, x + dx], [z + dz, x + dx], [z + dz, x - dx]]


def test_box_has_the_pixels_between_its_sides() -> None:
    mask = whole(Region("target", "polygon", box(20.0, 0.0, 2.04, 3.01)))

    z, x = GRID.axes_mm()
    expected = np.outer(np.abs(z - 20) < 2.04, np.abs(x) < 3.01)
    np.testing.assert_array_equal(mask, expected)


def test_triangle_and_ellipse_have_their_area() -> None:
    triangle = Region("target", "polygon", [[15, -6], [25, -6], [25, 6]])
    ellipse = Region("target", "ellipse", box(22.0, 1.0, 4.0, 6.0))

    assert whole(triangle).sum() * AREA == pytest.approx(10 * 12 / 2, rel=0.01)
    assert whole(ellipse).sum() * AREA == pytest.approx(np.pi * 4 * 6, rel=0.005)


def test_turned_ellipse_is_turned() -> None:
    turn = np.deg2rad(30)
    matrix = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    corners = np.array(box(0, 0, 2.0, 6.0)) @ matrix.T + [22.0, 1.0]

    mask = whole(Region("target", "ellipse", corners))

    z, x = GRID.axes_mm()
    own = np.stack(np.meshgrid(z - 22, x - 1, indexing="ij"), -1) @ matrix
    expected = (own[..., 0] / 2) ** 2 + (own[..., 1] / 6) ** 2 <= 1
    np.testing.assert_array_equal(mask, expected)


def test_concave_polygon_leaves_its_bay_out() -> None:
    points = [[15, -6], [25, -6], [25, 6], [20, 0], [15, 6]]
    mask = whole(Region("target", "polygon", points))

    assert mask.sum() * AREA == pytest.approx(120 - 10 * 6 / 2, rel=0.01)


def test_regions_of_a_phantom_are_the_masks_of_the_challenge() -> None:
    # No pixel lies on a limit.
    cyst = Cyst((25.013, 2.017), 8.0)
    roi = SpeckleRegion((33.0, -8.0), (2.0, 4.0))
    phantom = Phantom(
        points_mm=np.array([[20.0, 3.0]]),
        cysts=(cyst,),
        speckle_regions=(roi,),
        lateral_resolution_mm=0.5,
    )
    target, ring, speckle, point = phantom_regions(phantom)

    inside, around = cyst_masks(GRID, cyst, 0.5)
    np.testing.assert_array_equal(whole(target), inside)
    np.testing.assert_array_equal(whole(ring), around)
    assert [r.role for r in (target, ring, speckle, point)] == [
        "target",
        "background",
        "speckle",
        "point",
    ]
    assert whole(speckle).sum() * AREA == pytest.approx(4 * 8, rel=0.03)
    np.testing.assert_array_equal(point.center_mm, [20.0, 3.0])


def test_region_outside_or_without_extent_has_no_pixels() -> None:
    for region in (
        Region("target", "polygon", box(500.0, 0.0, 2.0, 3.0)),
        Region("target", "ellipse", box(20.0, 0.0, 0.0, 0.0)),
        Region("target", "polygon", [[20, 0], [20, 0], [20, 0]]),
        Region("wall", "line", [[20, 0], [25, 0]]),
    ):
        assert region.pixels(GRID).count == 0


def test_region_half_outside_keeps_the_part_inside() -> None:
    mask = whole(Region("target", "polygon", box(10.0, 0.0, 2.04, 3.01)))

    assert mask.sum() == 21 * 41
    assert mask[:21].any(axis=1).all()


def test_mask_is_looked_up_on_another_grid() -> None:
    coarse = PixelGrid((30, 36), (1.0, 1.0), (10.0, -18.0))
    painted = np.zeros(coarse.shape, bool)
    painted[5:10, 20:22] = True
    corners = box(17.0, 2.5, 2.5, 1.0)
    region = Region("speckle", "mask", corners, mask=painted, grid=coarse)

    mask = whole(region)

    assert mask.sum() * AREA == pytest.approx(5 * 2, rel=0.1)
    z, x = GRID.axes_mm()
    assert mask[np.argmin(abs(z - 17)), np.argmin(abs(x - 2.4))]


def test_values_that_are_not_finite_do_not_count() -> None:
    frame = np.zeros(GRID.shape)
    frame[100, 100] = np.nan
    region = Region("target", "polygon", box(20.0, -3.0, 2.0, 3.0))
    pixels = region.pixels(GRID)

    assert pixels.of(frame).size == pixels.count - 1


def test_regions_come_back_from_their_file(tmp_path: Path) -> None:
    path = tmp_path / "regions.geojson"
    ring = Region(
        "background",
        "ellipse",
        box(22.0, 1.0, 6.0, 6.0),
        "ring",
        np.array(box(22.0, 1.0, 4.0, 4.0)),
    )
    regions = [
        Region("target", "polygon", box(20.0, 0.0, 2.0, 3.0), "lumen", frame=3),
        ring,
        Region("wall", "line", [[20.0, 1.0], [25.0, 2.0]], "wall"),
        Region("point", "point", [[20.0, 1.0]], "bead"),
    ]

    write_regions(path, regions)
    again = read_regions(path)

    for region, read in zip(regions, again, strict=True):
        assert (read.role, read.name, read.frame) == (
            region.role,
            region.name,
            region.frame,
        )
    np.testing.assert_allclose(again[0].points_mm, regions[0].points_mm)
    np.testing.assert_allclose(again[2].points_mm, regions[2].points_mm)
    # 64 corners of a circle have 0.16 % less area.
    wanted = np.pi * (36 - 16)
    assert whole(again[1]).sum() * AREA == pytest.approx(wanted, rel=0.01)
    first = json.loads(path.read_text())["features"][3]
    assert first["geometry"] == {"type": "Point", "coordinates": [1.0, 20.0]}


def feature(kind: str, coordinates: list, properties: dict) -> str:
    geometry = {"type": kind, "coordinates": coordinates}
    return json.dumps({"features": [{"geometry": geometry, "properties": properties}]})


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("not json", "is no GeoJSON"),
        ("{}", "is no GeoJSON"),
        ('{"features": [{"geometry": null}]}', "feature 1 is no region"),
        (feature("Point", [1, 2], {}), "role"),
        (feature("Point", [1, 2], {"role": "lesion"}), "lesion"),
        (feature("MultiPoint", [], {"role": "point"}), "MultiPoint"),
    ],
)
def test_what_is_no_file_of_regions_is_named(
    tmp_path: Path, content: str, said: str
) -> None:
    path = tmp_path / "regions.json"
    path.write_text(content)

    with pytest.raises(FileFormatError, match=said) as error:
        read_regions(path)
    assert "regions.json" in str(error.value)


def test_painted_regions_are_not_written(tmp_path: Path) -> None:
    grid = PixelGrid((3, 3), (1, 1), (0, 0))
    painted = Region("target", "mask", [], "p", mask=np.ones((3, 3), bool), grid=grid)

    with pytest.raises(ValueError, match="painted"):
        write_regions(tmp_path / "x.json", [painted])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("lesion", "polygon", [[0, 0]] * 3), "lesion"),
        (("target", "polygon", [[0, 0]] * 2), "at least 3 points"),
        (("target", "star", [[0, 0]]), "star"),
        (("target", "line", [[0, 0], [np.nan, 1]]), "finite"),
    ],
)
def test_nonsense_is_no_region(arguments, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Region(*arguments)
