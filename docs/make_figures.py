"""Make the figures and tables of the documentation from real data.

    python docs/make_figures.py DATA [--only picmus gaussian density prior]

``DATA`` holds ``ultrasound/picmus-das-images`` (1-4.hdf5: simulated and experimental
resolution and contrast images of the PICMUS challenge), ``ultrasound/
picmus-phantoms-scan`` (the challenge's phantom files), ``mri/val`` and (for the
densities) ``mri/train``. Nothing of it is part of this repository. Writes PNG and CSV
files into ``docs/images``.
"""

from __future__ import annotations

import argparse
import csv
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import matplotlib
import numpy as np

matplotlib.use("Agg")
import matplotlib.pyplot as plt

import napari_usflow as usf
from napari_usflow.denoise.noise import SPECKLE_DB
from napari_usflow.evaluate.density import density_events
from napari_usflow.evaluate.density_figures import write_density
from napari_usflow.evaluate.gaussian import gaussian_events
from napari_usflow.evaluate.gaussian_figures import write_gaussian
from napari_usflow.evaluate.phantom_scores import picmus_contrast, picmus_fwhm
from napari_usflow.io import picmus
from napari_usflow.io.mri import find_files, read_stack
from napari_usflow.jobs import result_of
from napari_usflow.prior.montage import montage
from napari_usflow.prior.patches import PatchConfig, PatchSampler
from napari_usflow.ultrasound.resample import resample_from, resample_to

IMAGES = Path(__file__).parent / "images"
CYSTS = {
    "experiment": ("4.hdf5", "contrast_speckle_expe_phantom.hdf5"),
    "simulation": ("2.hdf5", "contrast_speckle_simu_phantom.hdf5"),
}
POINTS = {
    "experiment": ("3.hdf5", "resolution_distorsion_expe_phantom.hdf5"),
    "simulation": ("1.hdf5", "resolution_distorsion_simu_phantom.hdf5"),
}
SIGMA = SPECKLE_DB / 60.0


def resampled_only(image):
    """What going to the prior's pixel and back costs without any denoising."""
    frame = image.data[0]
    coarse = resample_to(frame, image.spacing_mm, (0.4375, 0.4375))
    back = resample_from(coarse, frame.shape, image.spacing_mm, (0.4375, 0.4375))
    return image.with_data(back[None])


WAYS = {
    "input": lambda image: image,
    "resampled only": resampled_only,
    "flow": lambda image: usf.denoise(image, sigma=SIGMA),
    "flow, resampled": lambda image: usf.denoise(
        image, sigma=SIGMA, sampling="resample"
    ),
    "flow-map, resampled": lambda image: usf.denoise(
        image, method="flow-map", sigma=SIGMA, sampling="resample"
    ),
    "nlm, fine grid": lambda image: usf.denoise(
        image, method="nlm", sigma=SIGMA, sampling="none", h=0.7
    ),
    "nlm": lambda image: usf.denoise(image, method="nlm", sigma=SIGMA),
}


def last_frame(path: Path):
    """The image of the most plane waves."""
    image = usf.read(path)[0]
    return replace(image, data=np.asarray(image.data[-1:], dtype=np.float32))


def picmus_table(data: Path) -> None:
    """Contrast, gCNR and level on cysts; FWHM and peak on points; seconds."""
    images = data / "ultrasound" / "picmus-das-images"
    phantoms = data / "ultrasound" / "picmus-phantoms-scan"
    rows, shown = [], {}
    for name, run in WAYS.items():
        for scene in CYSTS:
            cysts, points = (
                (last_frame(images / file), picmus.read_phantom(phantoms / phantom))
                for file, phantom in (CYSTS[scene], POINTS[scene])
            )
            start = time.perf_counter()
            result = run(cysts[0])
            seconds = time.perf_counter() - start
            c0, c1 = (
                picmus_contrast(np.asarray(i.data[0]), i.grid, cysts[1], clip_db=60)
                for i in (cysts[0], result)
            )
            f0, f1 = (
                picmus_fwhm(np.asarray(i.data[0]), i.grid, points[1])
                for i in (points[0], run(points[0]))
            )
            shown[name, scene] = np.asarray(result.data[0])
            rows.append(
                {
                    "method": name,
                    "scene": scene,
                    "contrast_db": f"{np.mean(c1.contrast_db):.1f}",
                    "gcnr": f"{np.mean(c1.gcnr):.3f}",
                    "level_db": f"{np.mean(c1.around_db) - np.mean(c0.around_db):+.2f}",
                    "fwhm_axial_mm": f"{np.mean(f1.axial_mm):.2f}",
                    "fwhm_lateral_mm": f"{np.mean(f1.lateral_mm):.2f}",
                    "peak_db": f"{np.mean(f1.peak_db) - np.mean(f0.peak_db):+.1f}",
                    "seconds": f"{seconds:.1f}",
                }
            )
            print(*rows[-1].values(), sep="\t", flush=True)
    write_csv(IMAGES / "picmus.csv", rows)
    columns = ["input", "nlm, fine grid", "nlm", "flow"]
    figure, axes = plt.subplots(2, 5, figsize=(16, 7), layout="constrained")
    for row, scene in zip(axes, CYSTS, strict=True):
        extent = image_extent(last_frame(images / CYSTS[scene][0]))
        for axis, name in zip(row, columns, strict=False):
            shown_image = axis.imshow(
                shown[name, scene], cmap="gray", vmin=-60, vmax=0, extent=extent
            )
            axis.set_title(f"{name} ({scene})")
        difference = shown["input", scene] - shown["flow", scene]
        shown_difference = row[4].imshow(
            difference, cmap="gray", vmin=-20, vmax=20, extent=extent
        )
        row[4].set_title("input - flow")
        row[0].set_ylabel("depth (mm)")
    for axis in axes[1]:
        axis.set_xlabel("lateral (mm)")
    figure.colorbar(shown_image, ax=axes[:, 3], label="dB", shrink=0.6)
    figure.colorbar(shown_difference, ax=axes[:, 4], label="dB", shrink=0.6)
    save(figure, "picmus.png")


def image_extent(image) -> tuple[float, float, float, float]:
    """Edges of an image for imshow: left, right, bottom, top in mm."""
    z, x = image.grid.axes_mm()
    dz, dx = image.spacing_mm
    return x[0] - dx / 2, x[-1] + dx / 2, z[-1] + dz / 2, z[0] - dz / 2


def gaussian_figure(data: Path) -> None:
    """Table, curves and crops of ``usflow evaluate gaussian``."""
    with tempfile.TemporaryDirectory() as fits:
        test = gaussian_events(
            data / "mri" / "val",
            fits=Path(fits),
            methods=["flow", "nlm", "bm3d"],
        )
        write_gaussian(result_of(test), IMAGES)


def density_figure(data: Path) -> None:
    """Table and samples of ``usflow evaluate density``."""
    test = density_events(data / "mri" / "val", train_data=data / "mri" / "train")
    write_density(result_of(test), IMAGES)


def prior_figure(data: Path) -> None:
    """Held-out patches beside samples of the prior."""
    stacks = [read_stack(path) for path in find_files([data / "mri" / "val"])]
    config = PatchConfig(contrast_fraction=0.0, uniform_fraction=0.0)
    real = PatchSampler(stacks, config, 32).draw(64, np.random.default_rng(0))[:, 0]
    drawn = usf.load_prior().sample(64)
    figure, axes = plt.subplots(1, 2, figsize=(9, 4.8), layout="constrained")
    for axis, patches, title in zip(
        axes, (real, drawn), ("MRI patches", "samples of the prior"), strict=True
    ):
        axis.imshow(montage(patches), cmap="gray", vmin=0, vmax=1)
        axis.set_title(title)
        axis.set_axis_off()
    save(figure, "prior.png")


def save(figure, name: str) -> None:
    IMAGES.mkdir(exist_ok=True)
    figure.savefig(IMAGES / name, dpi=110)
    plt.close(figure)


def write_csv(path: Path, rows: list[dict[str, str]]) -> None:
    path.parent.mkdir(exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


FIGURES = {
    "picmus": picmus_table,
    "gaussian": gaussian_figure,
    "density": density_figure,
    "prior": prior_figure,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--only", nargs="+", choices=FIGURES, default=list(FIGURES))
    args = parser.parse_args()
    for name in args.only:
        FIGURES[name](args.data)


if __name__ == "__main__":
    main()
