"""A paragraph of methods to paste into a paper."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from napari_usflow import __version__
from napari_usflow.denoising.algorithms import method_class
from napari_usflow.evaluate.measure import Measurement
from napari_usflow.evaluate.project.model import Project
from napari_usflow.evaluate.report.repeat import command_of, weights_of
from napari_usflow.io.project.images import StoredImage

__all__ = ["methods_paragraph"]

_DEFINITIONS = {
    "contrast_db": "contrast is 20 log10 of the absolute difference of the mean "
    "levels over their pooled standard deviation, as in the PICMUS challenge "
    "(Liebgott et al., IEEE IUS 2016)",
    "cnr": "CNR is the difference of the mean levels over the root of the summed "
    "variances",
    "gcnr": "gCNR is one minus the overlap of the two histograms (Rodriguez-Molares "
    "et al., IEEE Trans. Ultrason. Ferroelectr. Freq. Control 67(4), 2020)",
    "speckle_snr": "speckle SNR is the mean over the standard deviation of the "
    "envelope",
    "enl": "the equivalent number of looks is the squared mean over the variance of "
    "the intensity",
    "fwhm_axial_mm": "widths of points are full widths 6 dB below the peak",
    "edge_mm": "edge width is the distance from 10 to 90 % of a step",
}


def methods_paragraph(
    project: Project,
    made: Sequence[StoredImage],
    numbers: Sequence[Sequence[Measurement]],
) -> str:
    """Say how the results were made and measured.

    Parameters
    ----------
    project : Project
    made : sequence of StoredImage
        Results whose method is known.
    numbers : sequence of sequences of Measurement
        Of each compared image.
    """
    sentences = [_made(image) for image in made]
    known = {name for rows in numbers for row in rows for name in row.known()}
    if known:
        counted = len(numbers[0])
        plural = "s" if counted != 1 else ""
        sentences.append(
            f"Before and after were measured in the same {counted} region{plural}"
            + (f" of frame {project.frame + 1}" if _has_frames(project) else "")
            + f" with napari-usflow {__version__}, on decibels."
        )
        definitions = [text for name, text in _DEFINITIONS.items() if name in known]
        if definitions:
            text = "; ".join(definitions)
            sentences.append(f"{text[0].upper()}{text[1:]}.")
    if any(image.values == "display" for image in project.compared_images()):
        sentences.append(
            "Display grey was turned into decibels with a dynamic range of "
            f"{project.dynamic_range_db:g} dB."
        )
    return " ".join(sentences)


def _has_frames(project: Project) -> bool:
    return any(image.frames > 1 for image in project.compared_images())


def _made(image: StoredImage) -> str:
    note = image.provenance
    versions = note.get("versions")
    versions = versions if isinstance(versions, Mapping) else {}
    version = versions.get("napari-usflow", __version__)
    name = str(note["method"])
    try:
        title = method_class(name).title
    except ValueError:
        title = name
    text = f"{image.name!r} was despeckled with napari-usflow {version}, method {name}"
    if title != name:
        text += f" ({title})"
    if (weights := weights_of(note)) is not None:
        kind, model, digest = weights
        text += f", {kind} {model} (SHA-256 {digest[:12]}…)"
    options = command_of(note, "IN", "OUT").partition(f"--method {name}")[2].strip()
    text += f", options {options}" if options else ", default settings"
    return text + "."
