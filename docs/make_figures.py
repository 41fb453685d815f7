"""Make the figures and tables of the documentation from real data.

    python docs/make_figures.py DATA [--only picmus speckle gaussian density prior
                                             sector sector_found generalisation clinical
                                             detail fine]

``DATA`` holds ``ultrasound/picmus-das-images`` (1-4.hdf5: simulated and experimental
resolution and contrast images of the PICMUS challenge, and its carotid), ``ultrasound/
picmus-phantoms-scan`` (the challenge's phantom files), ``ultrasound/
clarius-carotid-doppler`` and ``ultrasound/dicom-us-pydicom`` (see
``napari_usflow.lab.figures.clinical``), ``mri/val``, ``mri/report`` (for fine speckle)
and ``mri/train`` (for the densities). Nothing of it is part of this repository. Writes
PNG and CSV files into ``docs/images``.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import matplotlib
import numpy as np

matplotlib.use("Agg")
import matplotlib.pyplot as plt

import napari_usflow as usf
from napari_usflow.jobs import result_of
from napari_usflow.lab.density.figures import write_density
from napari_usflow.lab.density.run import density_events
from napari_usflow.lab.detail.figures import write_detail
from napari_usflow.lab.detail.run import detail_events
from napari_usflow.lab.figures.clinical import clinical_events
from napari_usflow.lab.figures.clinical_figures import write_clinical
from napari_usflow.lab.figures.generalisation import generalisation_events
from napari_usflow.lab.figures.generalisation_figures import write_generalisation
from napari_usflow.lab.figures.sector import sector_events
from napari_usflow.lab.figures.sector_figures import write_sector, write_sector_found
from napari_usflow.lab.gaussian.figures import write_gaussian
from napari_usflow.lab.gaussian.run import gaussian_events
from napari_usflow.lab.picmus.figures import write_picmus
from napari_usflow.lab.picmus.run import picmus_events
from napari_usflow.lab.speckle.figures import write_speckle
from napari_usflow.lab.speckle.fine import fine_events, write_fine
from napari_usflow.lab.speckle.run import speckle_events
from napari_usflow.mri import find_files, read_stack
from napari_usflow.mri.patches import PatchConfig, PatchSampler
from napari_usflow.training.montage import montage

IMAGES = Path(__file__).parent / "images"


def picmus_figure(data: Path) -> None:
    """Table and figures of ``usflow evaluate picmus``."""
    folder = data / "ultrasound"
    test = picmus_events(
        folder / "picmus-das-images",
        phantoms=folder / "picmus-phantoms-scan",
        methods=["flow", "flow-speckle", "realtime", "best", "nlm", "obnlm"],
        blocks=[None],
    )
    write_picmus(result_of(test), IMAGES)


def speckle_figure(data: Path) -> None:
    """Table and figures of ``usflow evaluate speckle``."""
    write_speckle(result_of(speckle_events(data / "mri" / "val")), IMAGES)


def gaussian_figure(data: Path) -> None:
    """Table, curves and crops of ``usflow evaluate gaussian``."""
    with tempfile.TemporaryDirectory() as fits:
        test = gaussian_events(
            data / "mri" / "val",
            fits=Path(fits),
            methods=["flow", "realtime", "best", "nlm", "bm3d"],
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


def sector_figure(data: Path) -> None:
    """Table and figure of an in-silico heart; needs nothing of ``DATA``."""
    write_sector(result_of(sector_events()), IMAGES)


def sector_found_figure(data: Path) -> None:
    """Table of the same heart, its lines found in the picture; takes no ``DATA``."""
    test = result_of(sector_events(method="realtime", search=True))
    write_sector_found(test, IMAGES)


def generalisation_figure(data: Path) -> None:
    """Table and pictures where images are not what methods take them for."""
    test = generalisation_events(data / "mri" / "val")
    write_generalisation(result_of(test), IMAGES)


def clinical_figure(data: Path) -> None:
    """Pictures of scanners, which nothing was trained on."""
    write_clinical(result_of(clinical_events(data / "ultrasound")), IMAGES)


def save(figure, name: str) -> None:
    IMAGES.mkdir(exist_ok=True)
    figure.savefig(IMAGES / name, dpi=110)
    plt.close(figure)


DETAIL_CROPS = {
    "DAS75_carotid_cross.mat": (slice(60, 190), slice(60, 190)),
    "carotid_env.raw": (slice(130, 280), slice(80, 230)),
    "examples_ybr_color.dcm": (slice(20, 150), slice(40, 170)),
}
"""Vessel walls and a valve."""


def detail_figure(data: Path) -> None:
    """Table of ``usflow evaluate detail``; walls and edges at twice their size."""
    folder = data / "ultrasound"
    files = [next(folder.rglob(name)) for name in DETAIL_CROPS]
    test = detail_events(files=files, names=["best", "realtime", "flow", "nlm"])
    write_detail(result_of(test), IMAGES, DETAIL_CROPS)


def fine_figure(data: Path) -> None:
    """Tables of ``usflow evaluate fine``."""
    write_fine(result_of(fine_events(data / "mri" / "report")), IMAGES)


FIGURES = {
    "detail": detail_figure,
    "fine": fine_figure,
    "picmus": picmus_figure,
    "speckle": speckle_figure,
    "gaussian": gaussian_figure,
    "density": density_figure,
    "prior": prior_figure,
    "sector": sector_figure,
    "sector_found": sector_found_figure,
    "generalisation": generalisation_figure,
    "clinical": clinical_figure,
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
