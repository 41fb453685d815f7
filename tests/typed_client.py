"""A script as users write it, checked by ``mypy --strict`` and never run.

``assert_type`` fails where a type is not the one that is named, as ``Any`` is not.
"""

from pathlib import Path
from typing import Any, assert_type

import numpy as np
import numpy.typing as npt

import napari_usflow as usf

Floats = npt.NDArray[np.float32]


def denoise_a_file(path: Path) -> None:
    images = usf.read(path, angles=11)
    assert_type(images, list[usf.UltrasoundImage])
    image = usf.denoise(images[0], method=usf.methods()[0], sigma=0.09, strength=0.8)
    assert_type(image, usf.UltrasoundImage)
    assert_type(usf.denoise(np.zeros((8, 8))), npt.NDArray[Any])
    assert_type(usf.uncertainty(image, method="realtime"), Floats)
    assert_type(usf.scan_convert(image), usf.UltrasoundImage)
    usf.write(path.with_suffix(".tif"), image, provenance={"method": "best"})


def measure(image: usf.UltrasoundImage) -> dict[str, float]:
    assert isinstance(image.grid, usf.PixelGrid)
    z_mm, x_mm = image.grid.axes_mm()
    distance = np.hypot(z_mm[:, None] - 30, x_mm)
    inside, outside = distance < 3, (distance > 5) & (distance < 7)
    return {
        "contrast": usf.contrast(image, inside, outside),
        "cnr": usf.cnr(image, inside, outside),
        "gcnr": usf.gcnr(image, inside, outside, frame=0),
        "snr": usf.speckle_snr(image, outside),
        "looks": usf.enl(image, outside),
    }


def beamform(path: str) -> usf.UltrasoundImage:
    data = usf.read_channel_data(path)
    assert_type(data, usf.ChannelData)
    grid = usf.PixelGrid((100, 100), (0.1, 0.1), (5.0, -5.0))
    return usf.beamform(data, grid=grid, on_event=print)


def compare(clean: npt.NDArray[Any]) -> None:
    noisy = usf.simulate_speckle(clean, seed=0)
    assert_type(noisy, Floats)
    result = usf.denoise(noisy)
    assert_type(usf.psnr(result, clean, data_range=60), float)
    assert_type(usf.ssim(result, clean, data_range=60), float)


def train(folder: Path) -> None:
    token = usf.CancelToken()

    def report(event: usf.Event) -> None:
        if isinstance(event, usf.TrainStep) and event.step == 100:
            token.cancel()
        if isinstance(event, usf.Validated):
            print(event.bits_per_dim, event.psnr_db)

    stack = usf.MriStack(np.zeros((2, 64, 64), np.float32), (0.5, 0.5), "stack")
    prior = usf.train_prior([stack], out=folder, on_event=report, token=token)
    assert_type(prior, Path)
    assert_type(usf.train_network("fastMRI", out="run", minutes=1.5), Path)
    assert_type(usf.load_prior(prior).sample(4), Floats)


try:
    denoise_a_file(Path("acquisition.hdf5"))
except (usf.FileFormatError, usf.PriorError, usf.Cancelled) as error:
    problem: usf.UsflowError = error
    print(problem, usf.__version__)
