import json

import numpy as np
import pytest

from napari_usflow.errors import FileFormatError, UsflowError
from napari_usflow.io import describe, detect, read
from napari_usflow.io.zarr_stack import ZarrStack
from napari_usflow.ultrasound.data import PixelGrid, PolarGrid, UltrasoundImage

zarr = pytest.importorskip("zarr")

MADE = {"method": "tv", "sigma": 0.1}


@pytest.fixture
def image():
    frames = np.random.default_rng(0).normal(-30, 5, (3, 6, 4)).astype(np.float32)
    grid = PixelGrid((6, 4), (0.2, 0.3), (5.0, -0.45))
    return UltrasoundImage(
        frames, "db", grid, frame_interval_s=0.02, metadata={"name": "clip"}
    )


@pytest.fixture
def written(image, tmp_path):
    path = tmp_path / "clip.zarr"
    store = ZarrStack(path, image, MADE)
    for index, frame in enumerate(image.data):
        store.write(index, frame)
    return path


def test_what_was_written_is_read_back(written, image):
    found = read(written)[0]

    assert (found.grid, found.values) == (image.grid, "db")
    assert found.frame_interval_s == 0.02
    assert "unfinished_frames" not in found.metadata
    np.testing.assert_array_equal(found.data[:], image.data)


def test_black_and_white_and_provenance_come_back(image, tmp_path):
    noted = {"name": "clip", "value_range": (-50.0, -5.0)}
    ZarrStack(tmp_path / "clip.zarr", image.with_data(image.data, metadata=noted), MADE)

    (found,) = read(tmp_path / "clip.zarr")

    assert found.metadata["value_range"] == (-50.0, -5.0)
    assert found.metadata["provenance"] == MADE


def test_a_sector_keeps_its_rays(image, tmp_path):
    grid = PolarGrid((6, 4), (10.0, 0.2), (-0.3, 0.2), (-8.0, 1.0))
    sector = UltrasoundImage(image.data, "db", grid)
    ZarrStack(tmp_path / "clip.zarr", sector, MADE)

    assert read(tmp_path / "clip.zarr")[0].grid == grid
    assert describe(tmp_path / "clip.zarr")["radius_mm"] == [10.0, 0.2]


def test_an_unknown_pixel_size_stays_unknown(image, tmp_path):
    noted = {**image.metadata, "pixel_size_known": False}
    ZarrStack(tmp_path / "clip.zarr", image.with_data(image.data, metadata=noted), MADE)

    (found,) = read(tmp_path / "clip.zarr")

    assert found.metadata["pixel_size_known"] is False
    assert describe(tmp_path / "clip.zarr")["pixel_mm"] is None


def test_frames_are_read_when_they_are_looked_at(written, image):
    (found,) = read(written)
    damaged = next(path for path in (written / "0" / "c" / "1").rglob("*/0"))
    damaged.write_bytes(b"\0" * 9)

    np.testing.assert_array_equal(found.data[2].compute(), image.data[2])
    with pytest.raises(FileFormatError, match="frame 1 is damaged"):
        found.data[1].compute()


def test_axes_and_scale_are_those_of_ngff(written):
    # https://ngff.openmicroscopy.org/0.5: multiscales, axes and transformations.
    (multiscale,) = zarr.open_group(written).attrs["ome"]["multiscales"]

    assert [axis["name"] for axis in multiscale["axes"]] == ["t", "y", "x"]
    assert [axis["unit"] for axis in multiscale["axes"]] == [
        "second",
        "millimeter",
        "millimeter",
    ]
    (dataset,) = multiscale["datasets"]
    scale, translation = dataset["coordinateTransformations"]
    assert scale == {"type": "scale", "scale": [0.02, 0.2, 0.3]}
    assert translation["translation"] == [0.0, 5.0, -0.45]


def test_ome_zarr_reads_the_same_frames_and_millimetres(written, image):
    reader = pytest.importorskip("ome_zarr.reader")
    ome_io = pytest.importorskip("ome_zarr.io")

    (node,) = reader.Reader(ome_io.parse_url(written))()

    np.testing.assert_array_equal(np.asarray(node.data[0]), image.data)
    assert [axis["name"] for axis in node.metadata["axes"]] == ["t", "y", "x"]
    (transforms,) = node.metadata["coordinateTransformations"]
    assert transforms[0]["scale"] == [0.02, 0.2, 0.3]
    assert transforms[1]["translation"] == [0.0, 5.0, -0.45]


def test_a_frame_counts_once_it_is_whole(image, tmp_path):
    store = ZarrStack(tmp_path / "clip.zarr", image, MADE)

    store.write(1, image.data[1])

    assert store.missing == [0, 2]
    (found,) = read(tmp_path / "clip.zarr")
    assert found.metadata["unfinished_frames"] == 2
    np.testing.assert_array_equal(found.data[1].compute(), image.data[1])
    # The fill value, 0 dB, would be white.
    np.testing.assert_array_equal(found.data[2].compute(), np.full((6, 4), -120))


def test_an_earlier_run_is_not_written_over(written, image):
    with pytest.raises(UsflowError, match="holds an earlier run"):
        ZarrStack(written, image, MADE)


def test_a_run_made_in_another_way_is_not_gone_on_with(written, image):
    with pytest.raises(UsflowError, match=r"another way \(sigma\)"):
        ZarrStack(written, image, {**MADE, "sigma": 0.2}, resume=True)


def test_a_stack_of_another_shape_is_not_gone_on_with(written, image):
    shorter = image.with_data(image.data[:2])

    with pytest.raises(UsflowError, match=r"\(3, 6, 4\) and this one is \(2, 6, 4\)"):
        ZarrStack(written, shorter, MADE, resume=True)


def test_another_folder_is_refused_and_left_as_it_is(image, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("text")

    with pytest.raises(UsflowError, match="something else already"):
        ZarrStack(tmp_path / "mine", image, MADE, resume=True)
    assert detect(tmp_path / "mine") is None
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "text"


@pytest.mark.parametrize(
    "damage",
    [
        lambda root: (root / "zarr.json").write_text("{"),
        lambda root: (root / "done" / "zarr.json").unlink(),
        lambda root: _claim(root / "0" / "zarr.json", [10**12, 6, 4]),
        lambda root: _claim(root / "done" / "zarr.json", [10**12]),
        lambda root: _claim(root / "0" / "zarr.json", [3, 10**7, 10**7]),
    ],
    ids=["note", "missing array", "absurd frames", "absurd count", "absurd pixels"],
)
def test_a_damaged_stack_is_one_clear_error(written, damage):
    damage(written)

    with pytest.raises(FileFormatError, match="clip"):
        read(written)[0]


def _claim(path, shape):
    note = json.loads(path.read_text())
    note["shape"] = shape
    path.write_text(json.dumps(note))
