"""Reading of images of any known format for the commands."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from napari_usflow.cli.options import (
    add_meaning,
    add_names,
    add_pixel_size,
    meaning_options,
)
from napari_usflow.cli.reporting import Reporter
from napari_usflow.denoising.arguments import with_pixel_size
from napari_usflow.errors import FileFormatError
from napari_usflow.io import image_events, open_file
from napari_usflow.ultrasound.beamform.params import BeamformParams
from napari_usflow.ultrasound.data import UltrasoundImage

__all__ = ["add_reading", "read_image", "read_input"]


def add_reading(parser: argparse.ArgumentParser) -> None:
    """Add what every command that reads an image takes."""
    add_pixel_size(parser)
    parser.add_argument(
        "--angles",
        type=int,
        metavar="N",
        help="raw data: number of plane waves to compound (default: all)",
    )
    parser.add_argument(
        "--bandwidth",
        type=float,
        default=1.0,
        metavar="X",
        help="raw data: width of the receive filter, zero to zero, in carrier "
        "frequencies; it takes out noise and lengthens echoes in depth, from 0.20 to "
        "0.35 mm on simulated points; 0 for none (default 1)",
    )
    parser.add_argument(
        "--frame",
        type=int,
        metavar="N",
        help="this frame only; 0 is the first, -1 the last (default: all)",
    )
    parser.add_argument(
        "--acquisition",
        metavar="NAME",
        help="CUBDL: institution and number, such as OSL011, of a file whose name does "
        "not say; zea: track and centre frequency, such as track_1/5.2MHz",
    )
    parser.add_argument(
        "--picture",
        type=int,
        metavar="N",
        help="DICOM: which of several pictures in a frame, from left to right (default "
        "1)",
    )
    add_names(parser)
    add_meaning(parser)


def read_input(path: Path, args: argparse.Namespace) -> UltrasoundImage:
    """Read an image with the options of :func:`add_reading`, and a ``--device``."""
    return read_image(
        path,
        angles=args.angles,
        bandwidth=args.bandwidth,
        pixel_size_mm=args.pixel_size_mm,
        frame=args.frame,
        device=getattr(args, "device", "auto"),
        acquisition=args.acquisition,
        names=args.names,
        picture=args.picture,
        **meaning_options(args),
    )


def read_image(
    path: Path,
    *,
    angles: int | None = None,
    bandwidth: float = 1.0,
    pixel_size_mm: tuple[float, float] | None = None,
    frame: int | None = None,
    device: str = "auto",
    acquisition: str | None = None,
    names: Sequence[tuple[str, str]] | None = None,
    picture: int | None = None,
    values: str | None = None,
    value_range: tuple[float, float] | None = None,
    as_grey: bool = False,
) -> UltrasoundImage:
    """Read the (first) image of a file, showing the progress of beamforming.

    Parameters
    ----------
    path : Path
        Anything :func:`napari_usflow.io.read` takes.
    angles : int, optional
        Plane waves to compound, for raw data.
    bandwidth : float
        Width of the receive filter in carrier frequencies, for raw data; 0 for none.
    pixel_size_mm : (float, float), optional
        Pixel size (axial, lateral): on which raw data are beamformed, over the
        extent of their usual grid; of an image whose file does not state it.
    frame : int, optional
        Keep this frame only; negative counts from the last. Its number is noted as
        ``metadata["first_frame"]``.
    device : str
        Where raw data are beamformed.
    acquisition : str, optional
        Of a CUBDL file, which it is.
    names : sequence of (str, str), optional
        Of a MATLAB file, which variable is what, as of ``--names``.
    picture : int, optional
        Which of several pictures of a file, from 1; the first by default, and a line
        then says that there are more.
    values, value_range, as_grey
        As for :func:`napari_usflow.io.read`.

    Raises
    ------
    FileFormatError
        When the file cannot be read, or has no such frame.
    ValueError
        When a pixel size is given for an image whose file states it, or names that
        do not fit the file.
    """
    if not 0 <= bandwidth <= 2:
        raise ValueError(f"--bandwidth must lie in 0..2 (0: none), got {bandwidth:g}")
    # Where a file holds both, only raw data can be compounded or laid on other pixels.
    raw = angles is not None or pixel_size_mm is not None
    opened = open_file(
        path,
        raw=raw,
        acquisition=acquisition,
        names=dict(names) if names else None,
        values=values,
        value_range=value_range,
        as_grey=as_grey,
    )
    axial, lateral = pixel_size_mm or (None, None)
    params = BeamformParams(
        bandwidth=bandwidth, pixel_axial_mm=axial, pixel_lateral_mm=lateral
    )
    events = image_events(opened, params, angles=angles, device=device)
    image = _picture(Reporter().finish(events), picture, path)
    if pixel_size_mm is not None and opened.channel_data is None:
        image = with_pixel_size(image, pixel_size_mm)
    return image if frame is None else _one_frame(image, frame, path)


def _picture(
    images: Sequence[UltrasoundImage], picture: int | None, path: Path
) -> UltrasoundImage:
    count = len(images)
    if picture is not None and not 1 <= picture <= count:
        raise FileFormatError(
            f"{path} has {count} picture{'s' * (count > 1)}; there is no --picture "
            f"{picture}"
        )
    if picture is None and count > 1:
        Reporter().line(
            f"{path} has {count} pictures in a frame: picture 1, the leftmost, is "
            "taken alone; choose another with --picture 2"
        )
    return images[(picture or 1) - 1]


def _one_frame(image: UltrasoundImage, frame: int, path: Path) -> UltrasoundImage:
    frames = image.data.shape[0]
    if not -frames <= frame < frames:
        raise FileFormatError(f"{path} has {frames} frames, but no frame {frame}")
    index = range(frames)[frame]
    metadata = {**image.metadata, "first_frame": index}
    if image.frame_axis == "plane_waves" and "plane_waves" in metadata:
        metadata["plane_waves"] = [metadata["plane_waves"][index]]
    return image.with_data(np.asarray(image.data[index])[None], metadata=metadata)
