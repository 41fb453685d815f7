"""What the numbers of files mean: the rule for arrays, whichever file they are in."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from scipy.io import savemat

import napari_usflow as usf
from matlab_files import save_v73
from napari_usflow import io
from napari_usflow.errors import FileFormatError
from napari_usflow.ultrasound.value_rule import UnknownValuesError, value_meaning
from speckle_pictures import DB, ENVELOPE, GREY, RF

ARRAYS = {
    "uint8": GREY,
    "12 bits": GREY.astype(np.uint16) * 16,
    "int16 grey": GREY.astype(np.int16),
    "RF": (RF * 1e4).astype(np.float32),
    "int16 RF": (RF * 1e6).astype(np.int16),
    "envelope": (ENVELOPE * 2e4).astype(np.float32),
    "unit envelope": (ENVELOPE / ENVELOPE.max()).astype(np.float32),
    "dB": DB,
    "dB above 0": (DB + 100).astype(np.float32),
    "power": ENVELOPE**2,
    "unit grey": GREY / 255,
}
WRITERS = {
    ".npy": np.save,
    ".tif": lambda path, array: tifffile.imwrite(path, array, photometric="minisblack"),
    ".5.mat": lambda path, array: savemat(path, {"img": array}),
    ".73.mat": lambda path, array: save_v73(path, {"img": array}),
}


def _asked(call) -> str:
    """Return the question without the name of the image; empty for an answer."""
    try:
        call()
    except (FileFormatError, UnknownValuesError) as question:
        return str(question).partition(": ")[2]
    return ""


@pytest.mark.parametrize("suffix", WRITERS)
@pytest.mark.parametrize("kind", ARRAYS)
def test_a_file_and_an_array_are_the_same_image_or_question(
    tmp_path: Path, kind: str, suffix: str
) -> None:
    array, path = ARRAYS[kind], tmp_path / f"a{suffix}"
    WRITERS[suffix](path, array)

    question = _asked(lambda: io.read(path))

    assert question == _asked(lambda: value_meaning(array))
    if question:
        return
    (image,) = io.read(path)
    meaning = value_meaning(array)
    assert image.values == meaning.values
    assert image.metadata.get("value_range") == meaning.value_range
    clean = usf.denoise(image, method="tv", sigma=0.1).data
    other = usf.denoise(array, method="tv", sigma=0.1)
    rounded = 0.51 if other.dtype.kind == "u" else 1e-3
    np.testing.assert_allclose(np.asarray(clean)[0], other, atol=rounded)


@pytest.mark.parametrize(
    ("said", "values", "value_range"),
    [
        ({"values": "display"}, "display", (0, 4095)),
        ({"values": "envelope"}, "envelope", None),
        ({"value_range": (0, 4080)}, "display", (0, 4080)),
        ({"values": "display", "value_range": (16, 3000)}, "display", (16, 3000)),
    ],
)
def test_the_answer_is_given_in_read(tmp_path, said, values, value_range) -> None:
    tifffile.imwrite(tmp_path / "a.tif", ARRAYS["12 bits"])

    (image,) = usf.read(tmp_path / "a.tif", **said)

    assert image.values == values
    assert image.metadata.get("value_range") == value_range
    np.testing.assert_array_equal(image.data[0], ARRAYS["12 bits"])


def test_a_description_shows_the_question(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", ARRAYS["envelope"])

    content = io.describe(tmp_path / "a.npy")

    assert content["values"] == "unknown" and "--values" in content["question"]
    assert io.describe(tmp_path / "a.npy", values="envelope")["values"] == "envelope"


def test_what_a_file_states_is_not_replaced(tmp_path: Path) -> None:
    grid = usf.PixelGrid(DB.shape, (0.1, 0.2), (0.0, 0.0))
    usf.write(tmp_path / "a.ome.tif", usf.UltrasoundImage(DB[None], "db", grid))

    with pytest.raises(ValueError, match="states that its values are db; leave"):
        usf.read(tmp_path / "a.ome.tif", values="display")
    (image,) = usf.read(tmp_path / "a.ome.tif", value_range=(-40, 0))
    assert image.metadata["value_range"] == (-40, 0)


@pytest.mark.parametrize("suffix", WRITERS)
def test_log_of_zero_is_the_floor_and_nan_is_outside(tmp_path, suffix) -> None:
    array = DB.astype(np.float32)
    array[5, 50], array[:, :10] = -np.inf, np.nan
    WRITERS[suffix](tmp_path / f"a{suffix}", array)

    (image,) = usf.read(tmp_path / f"a{suffix}")
    clean = usf.denoise(image, method="tv", sigma=0.1)

    data, result = np.asarray(image.data)[0], np.asarray(clean.data)[0]
    assert data[5, 50] == np.nanmin(array[np.isfinite(array)])
    np.testing.assert_array_equal(np.isnan(data), np.isnan(array))
    np.testing.assert_array_equal(np.isnan(result), np.isnan(array))


def test_plus_infinity_is_refused(tmp_path: Path) -> None:
    array = DB.copy()
    array[3, 3] = np.inf
    np.save(tmp_path / "a.npy", array)

    with pytest.raises(FileFormatError, match="1 infinite pixels of 9216"):
        usf.read(tmp_path / "a.npy")


def test_mask_of_an_array_comes_back_and_has_no_influence() -> None:
    outside = np.abs(np.arange(96) - 48)[None] > np.arange(96)[:, None]
    sector = np.where(outside, np.nan, DB)

    clean = usf.denoise(sector, method="tv", sigma=0.1)

    np.testing.assert_array_equal(np.isnan(clean), outside)
    noted = usf.denoise(np.ma.MaskedArray(DB, outside), method="tv", sigma=0.1)
    np.testing.assert_array_equal(clean[~outside], noted.compressed())
