"""Which pixel, and which noise level: contrast on simulated plane-wave acquisitions.

    python benchmarks/sampling.py [DATASET PHANTOM]

The sample acquisition at seeds that nothing else uses, and a PICMUS dataset with its
phantom where one is given, are beamformed at 0.141 mm and denoised as k x k interleaved
images with the flow told 1, 1.4 and 2 times the spread of speckle. Contrast as the
PICMUS challenge defines it, clipped to 60 dB. The constants in ``denoise/sampling.py``
were chosen by this table.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np

import napari_usflow as usf
from napari_usflow.denoise import Settings, create, denoise_events, pipeline
from napari_usflow.denoise.sampling import Sampling
from napari_usflow.evaluate.phantom_scores import picmus_contrast
from napari_usflow.io.picmus import read_phantom
from napari_usflow.jobs import FrameDone, result_of
from napari_usflow.ultrasound.beamform import default_grid
from napari_usflow.ultrasound.data import PixelGrid
from napari_usflow.ultrasound.phantom import sample_files
from napari_usflow.ultrasound.speckle_statistics import SPECKLE_DB

PIXEL_MM = 0.141


def scenes(arguments: list[str], folder: Path):
    """Yield name, image and phantom."""
    files = {
        f"sample {seed}": result_of(sample_files(seed=seed, folder=folder / str(seed)))
        for seed in (11, 12)
    }
    if arguments:
        files["dataset"] = (Path(arguments[0]), Path(arguments[1]))
    for name, (dataset, phantom) in files.items():
        data = usf.read_channel_data(dataset)
        grid = default_grid(data)
        shape = [
            int(n * s / PIXEL_MM)
            for n, s in zip(grid.shape, grid.spacing_mm, strict=True)
        ]
        square = PixelGrid((shape[0], shape[1]), (PIXEL_MM, PIXEL_MM), grid.origin_mm)
        yield name, usf.beamform(data, grid=square), read_phantom(phantom)


def contrast(image, phantom) -> float:
    scores = picmus_contrast(np.asarray(image.data[0]), image.grid, phantom, clip_db=60)
    return float(np.mean(scores.contrast_db))


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        cases = list(scenes(sys.argv[1:], Path(folder)))
    print("k  noise  " + "  ".join(name for name, _, _ in cases))
    inputs = "  ".join(f"{contrast(i, p):.1f}" for _, i, p in cases)
    print(f"input      {inputs}")
    for k in (2, 3):
        for excess in (1.0, 1.4, 2.0):
            row = []
            for _, image, phantom in cases:
                way = Sampling(
                    tuple(image.data.shape[1:]),
                    image.spacing_mm,
                    image.spacing_mm,
                    (k, k),
                )
                pipeline._sampling = lambda *_, way=way: way
                settings = Settings(
                    sigma_db=SPECKLE_DB * excess / way.speckle_excess, keep_points=False
                )
                events = denoise_events(image, create("flow"), settings)
                done = next(e for e in events if isinstance(e, FrameDone))
                row.append(contrast(image.with_data(done.data[None]), phantom))
            print(
                f"{k}  {excess:.1f}    " + "  ".join(f"{c:.1f}" for c in row),
                flush=True,
            )


if __name__ == "__main__":
    main()
