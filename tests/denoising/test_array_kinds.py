"""Arrays of other kinds: masks are honoured, kinds given back, no digits lost."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import napari_usflow as usf
from napari_usflow.errors import PriorError
from napari_usflow.ultrasound.data import PixelGrid, UltrasoundImage

RNG = np.random.default_rng(0)
GREY = RNG.integers(40, 200, (48, 40)).astype(np.float32)
HOW = {"method": "tv", "sigma": 0.1}


@pytest.fixture
def mask() -> np.ndarray:
    hidden = np.zeros(GREY.shape, bool)
    hidden[:, 25:] = True
    hidden[5, 5] = True
    return hidden


@pytest.mark.parametrize("method", ["tv", "nlm", "srad", "realtime"])
def test_what_lies_under_a_mask_has_no_influence(mask, method: str) -> None:
    results = [
        usf.denoise(
            np.ma.MaskedArray(np.where(mask, under, GREY), mask=mask),
            method=method,
            sigma=0.1,
            device="cpu",
        )
        for under in (np.float32(-9000), np.float32(255), np.float32(np.nan))
    ]

    for result in results:
        assert isinstance(result, np.ma.MaskedArray) and result.dtype == np.float32
        np.testing.assert_array_equal(result.mask, mask)
        np.testing.assert_array_equal(result.compressed(), results[0].compressed())
    if method == "realtime":  # which sees the whole of a picture
        return
    # Within the image it is no other than the image alone, but at the border.
    alone = usf.denoise(GREY[:, :25], method=method, sigma=0.1, device="cpu")
    inner = np.s_[8:-8, 8:12]
    assert np.abs(results[0][inner].data - alone[inner]).max() < 12


def test_pixels_under_a_mask_are_given_back_as_they_were(mask) -> None:
    data = np.where(mask, 7, GREY).astype(np.uint8)

    result = usf.denoise(np.ma.MaskedArray(data, mask=mask), **HOW)

    assert result.dtype == np.uint8
    assert (result.data[mask] == 7).all()


@pytest.mark.parametrize("wrap", [np.asarray, None], ids=["array", "image"])
def test_a_stack_may_have_frames_that_are_masked_whole(mask, wrap) -> None:
    masks = np.stack([mask, np.ones_like(mask), np.zeros_like(mask)])
    stack = np.ma.MaskedArray(np.stack([GREY] * 3), mask=masks)
    grid = PixelGrid(GREY.shape, (0.2, 0.2), (0.0, 0.0))
    given = stack if wrap is not None else UltrasoundImage(stack, "display", grid)

    found = usf.denoise(given, **HOW)
    result = found if wrap is not None else found.data

    np.testing.assert_array_equal(result.mask, masks)
    np.testing.assert_array_equal(result.data[2], usf.denoise(GREY, **HOW))


def test_a_mask_over_everything_is_refused() -> None:
    with pytest.raises(ValueError, match="every pixel of the image is masked"):
        usf.denoise(np.ma.MaskedArray(GREY, mask=True), **HOW)


def test_a_masked_frame_of_a_lazy_stack_is_refused(mask) -> None:
    da = pytest.importorskip("dask.array")
    lazy = da.from_array(np.ma.MaskedArray(GREY[None], mask=mask[None]))

    with pytest.raises(ValueError, match="is masked; pass the masked array as a whole"):
        np.asarray(usf.denoise(lazy, **HOW))


@pytest.mark.parametrize(
    "dtype", [torch.float32, torch.float64, torch.bfloat16, torch.uint8, torch.int32]
)
def test_a_tensor_comes_back_as_one(dtype: torch.dtype) -> None:
    tensor = torch.from_numpy(GREY).to(dtype)
    limits = {} if dtype.is_floating_point else {"value_range": (0, 255)}

    result = usf.denoise(tensor, **HOW, **limits)

    assert isinstance(result, torch.Tensor) and result.dtype == dtype
    expected = usf.denoise(tensor.float().numpy(), **HOW, **limits)
    tolerance = 0.5 if dtype != torch.bfloat16 else 1.0
    np.testing.assert_allclose(result.float().numpy(), expected, atol=tolerance)


def test_a_tensor_with_a_gradient_is_taken_without_it() -> None:
    tensor = torch.from_numpy(GREY).requires_grad_()

    assert not usf.denoise(tensor, **HOW).requires_grad


def test_a_labelled_array_keeps_its_labels() -> None:
    xarray = pytest.importorskip("xarray")
    array = xarray.DataArray(
        GREY,
        dims=("z", "x"),
        coords={"z": 0.1 * np.arange(48), "x": np.arange(40)},
        attrs={"patient": "phantom"},
        name="bmode",
    )

    result = usf.denoise(array, **HOW)

    assert isinstance(result, xarray.DataArray)
    assert (result.dims, result.name, result.attrs) == (
        array.dims,
        array.name,
        array.attrs,
    )
    np.testing.assert_array_equal(result.z, array.z)
    np.testing.assert_array_equal(result.data, usf.denoise(GREY, **HOW))


def test_a_lazy_labelled_array_stays_lazy() -> None:
    xarray = pytest.importorskip("xarray")
    da = pytest.importorskip("dask.array")
    array = xarray.DataArray(da.from_array(GREY[None], chunks=-1), dims=("t", "z", "x"))

    result = usf.denoise(array, **HOW)

    assert hasattr(result.data, "__dask_graph__")
    np.testing.assert_array_equal(result.compute()[0], usf.denoise(GREY, **HOW))


def test_an_uncertainty_is_of_the_kind_of_the_image(mask) -> None:
    how = {"method": "realtime", "device": "cpu"}
    plain = usf.uncertainty(GREY, **how)

    of_tensor = usf.uncertainty(torch.from_numpy(GREY), **how)
    of_masked = usf.uncertainty(np.ma.MaskedArray(GREY, mask=mask), **how)

    np.testing.assert_array_equal(of_tensor.numpy(), plain)
    np.testing.assert_array_equal(of_masked.mask, mask)


@pytest.mark.parametrize("far", [-1e9, 1e6, 1e9, 1e12])
@pytest.mark.parametrize("dtype", [np.float64, np.int64, np.longdouble])
@pytest.mark.parametrize("kind", ["array", "image", "lazy"])
def test_values_far_from_zero_lose_no_digits(far: float, dtype, kind: str) -> None:
    near = usf.denoise(GREY.astype(np.float64), value_range=(0, 255), **HOW)
    values = (GREY.astype(np.float64) + far).astype(dtype)
    limits = (far, far + 255)
    if kind == "image":
        grid = PixelGrid(GREY.shape, (0.4375, 0.4375), (0.0, 0.0))
        noted = {"value_range": limits}
        image = UltrasoundImage(values[None], "display", grid, metadata=noted)
        result = usf.denoise(image, **HOW).data[0]
    elif kind == "lazy":
        da = pytest.importorskip("dask.array")
        lazy = da.from_array(values[None], chunks=-1)
        result = np.asarray(usf.denoise(lazy, value_range=limits, **HOW))[0]
    else:
        result = usf.denoise(values, value_range=limits, **HOW)

    # Half a step of the input's own type, and what float64 has at such numbers.
    allowed = 0.5 if np.issubdtype(result.dtype, np.integer) else 1e-3
    assert np.abs((result - far) - near).max() <= allowed + 4 * np.spacing(abs(far))


@pytest.mark.parametrize(
    "limits",
    [(-1e308, 1e308), (0, 1e-40), (1.0, 1.0 + 1e-14), (0, 1e35), (1e30, 1e30 + 1e15)],
)
@pytest.mark.parametrize("method", ["tv", "nlm", "realtime"])
def test_a_range_that_cannot_be_computed_with_is_refused(method, limits) -> None:
    with pytest.raises(ValueError, match=r"value_range \(.*\) spans"):
        usf.denoise(GREY, method=method, sigma=0.1, value_range=limits, device="cpu")


@pytest.mark.parametrize("size", [True, 1e9, 1e-9, "wide", np.inf, 0, -1])
def test_a_pixel_size_that_makes_no_sense_is_refused(size: object) -> None:
    with pytest.raises(ValueError, match="pixel_size_mm must be one positive size"):
        usf.denoise(GREY, pixel_size_mm=size, **HOW)


@pytest.mark.parametrize("method", ["flow", "realtime"])
@pytest.mark.parametrize("prior", [5, 2.5, ["mri"]])
def test_weights_that_are_no_name_are_refused(method: str, prior: object) -> None:
    with pytest.raises(PriorError, match="by a name or a path, not by"):
        usf.denoise(GREY, method=method, weights=prior, device="cpu", sigma=0.1)
