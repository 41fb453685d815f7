"""``usflow evaluate picmus``: the images of the PICMUS challenge; Fig. 6 and 7."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from napari_usflow.cli.evaluate.options import (
    add_common,
    add_methods,
    check_folders,
    priors_of,
    report,
    run_test,
    show_groups,
)
from napari_usflow.denoising.algorithms import methods
from napari_usflow.lab.picmus.figures import write_picmus
from napari_usflow.lab.picmus.points import LOST_DB, summarize
from napari_usflow.lab.picmus.run import picmus_events
from napari_usflow.lab.picmus.scores import PicmusPoint, PicmusScore
from napari_usflow.ultrasound.speckle_statistics import SPECKLE_DB

__all__ = ["configure", "run"]


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the test."""
    add_common(
        parser,
        results="picmus.csv, picmus_points.csv, picmus_*.png and carotid.png",
        data="folder of the challenge's images: contrast_speckle_expe_*.hdf5, "
        "contrast_speckle_simu_*.hdf5, resolution_distorsion_*.hdf5, or 1.hdf5 to "
        "4.hdf5; and of its carotid (*carotid_cross*.mat, beamformed RF)",
    )
    parser.add_argument(
        "--phantoms",
        type=Path,
        metavar="DIR",
        help="folder of the challenge's *_phantom.hdf5 files (default: DATA)",
    )
    add_methods(
        parser,
        methods(),
        note="classical filters get the strength that leaves as much speckle as the "
        "reference does (default: all but flow-map)",
    )
    parser.add_argument(
        "--blocks",
        nargs="+",
        type=_block,
        default=(None, 1),
        metavar="N",
        help="side in pixels of the blocks whose means a classical filter works on: "
        "auto (by the grain of the speckle) or a number, 1 for the image's own pixel; "
        "each gets its own rows (default auto 1)",
    )
    parser.add_argument(
        "--plane-waves",
        nargs="+",
        type=int,
        default=(75, 1),
        metavar="N",
        help="which images (default 75 1)",
    )
    parser.add_argument(
        "--reference",
        metavar="NAME",
        help="method whose smoothing the others get (default: the first with a prior)",
    )
    parser.add_argument(
        "--peers",
        type=Path,
        metavar="DIR",
        help="folder of other people's result images (.mat, .npy, HDF5), which get "
        "their own rows; its file peers.toml says what each holds (see the user guide)",
    )
    parser.add_argument(
        "--sigma-db",
        type=float,
        default=SPECKLE_DB,
        metavar="DB",
        help="noise standard deviation that methods are told, in dB (default 5.57, "
        "fully developed speckle)",
    )


def _block(text: str) -> int | None:
    if text == "auto":
        return None
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is neither auto nor a number")
    return int(text)


def run(args: argparse.Namespace) -> int:
    """Run the test."""
    check_folders(args, args.phantoms, args.peers)
    test = run_test(
        picmus_events(
            args.data,
            phantoms=args.phantoms,
            methods=args.methods,
            blocks=args.blocks,
            priors=priors_of(args),
            plane_waves=args.plane_waves,
            reference=args.reference,
            sigma_db=args.sigma_db,
            peers=args.peers,
            device=args.device,
        ),
        lambda s: (
            f"{s.scene}, {s.plane_waves} plane waves, {s.label}: "
            f"{s.contrast_db:.1f} dB, gCNR {s.gcnr:.3f}"
        ),
        table=args.out / "picmus.csv",
    )
    show = partial(_show, points=test.points)
    return report(args, write_picmus(test, args.out), test.scores, show)


def _show(scores: Sequence[PicmusScore], *, points: Sequence[PicmusPoint]) -> None:
    """Print one line a method, scene by scene; the same for its points."""
    show_groups(
        scores,
        lambda s: f"{s.scene}, {s.plane_waves} plane waves",
        "  contrast   gCNR     edge  speckle     level   FWHM ax/lat      peak",
        _cells,
    )
    if points:
        show_groups(
            summarize(points),
            lambda s: (
                f"{s.scene}, {s.plane_waves} plane waves: points (lost: less than "
                f"{LOST_DB:g} dB above their surroundings)"
            ),
            "   lost  most dimmed    at z, x           widest change ax/lat",
            lambda s: (
                f"  {s.lost:2}/{s.count:<2}  {s.worst.peak_db:+8.1f} dB"
                f"    {s.worst.z_mm:4.1f}, {s.worst.x_mm:+5.1f} mm"
                f"  x{s.axial_ratio:.2f}/x{s.lateral_ratio:.2f}"
            ),
        )


def _cells(score: PicmusScore) -> str:
    """Write a line; what published images do not tell is left empty."""
    cells = [
        f"{score.contrast_db:5.1f} dB",
        f"{score.gcnr:.3f}",
        f"{score.edge_mm:.2f} mm",
        f"{score.speckle_db:.2f} dB",
        f"{score.level_db:+5.2f} dB",
        f"{score.fwhm_axial_mm:.2f}/{score.fwhm_lateral_mm:.2f} mm",
        f"{score.peak_db:+5.1f} dB",
    ]
    return "".join(
        "  " + (" " * width if "nan" in cell else cell.rjust(width))
        for cell, width in zip(cells, (8, 5, 7, 7, 8, 12, 8), strict=True)
    )
