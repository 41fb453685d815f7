"""Description and expected time of a method."""

from __future__ import annotations

from napari_usflow._napari.jobs.progress import duration_text

__all__ = ["expected_text", "method_note", "remember_speed"]

_SENTENCES = {
    "best": "A network, averaged over shifted and mirrored copies of the image "
    "(self-ensemble). The best quality.",
    "realtime": "One pass of a network. For clips, and for Live.",
    "flow": "Posterior mean under a flow prior of MRI. Slow; tells its uncertainty.",
    "flow-map": "The paper's latent MAP estimate under a flow prior. Very slow.",
    "flow-speckle": "A flow prior under the likelihood of speckle: restores contrast. "
    "Very slow.",
    "nlm": "Averages similar patches. Keeps edges; a classical reference.",
    "obnlm": "Averages similar blocks, with a distance made for ultrasound.",
    "srad": "Diffusion that stops at edges; a classical reference for speckle.",
    "tv": "Keeps edges and flattens what lies between them.",
}

_SECONDS = {
    "best": 1.7,
    "realtime": 0.43,
    "flow": 86.0,
    "flow-map": 2400.0,
    "flow-speckle": 1200.0,
    "nlm": 0.85,
    "obnlm": 1.0,
    "srad": 0.5,
    "tv": 0.2,
}
"""Of a million pixels on a processor, as `docs/images/bench.csv` has them; replaced by
what is measured here."""

_MILLION = 1e6
_FEWEST_PIXELS = 64 * 64


def method_note(method: str) -> str:
    """Return what a method does; empty for one of somebody else."""
    return _SENTENCES.get(method, "")


def expected_text(method: str, shape: tuple[int, int, int]) -> str:
    """Return about how long a stack takes; empty where nothing is known.

    Parameters
    ----------
    method : str
        Name of a method.
    shape : (int, int, int)
        Frames, axial, lateral.
    """
    each = _SECONDS.get(method)
    if each is None:
        return ""
    frames, axial, lateral = shape
    seconds = each * frames * max(axial * lateral, _FEWEST_PIXELS) / _MILLION
    whole = "1 frame" if frames == 1 else f"{frames} frames"
    length = "less than a second" if seconds < 1 else f"about {duration_text(seconds)}"
    return f"{whole}: {length}."


def remember_speed(method: str, seconds: float, pixels: int) -> None:
    """Take the time of one frame for what the method takes on this machine."""
    if pixels >= _FEWEST_PIXELS:
        _SECONDS[method] = seconds * _MILLION / pixels
