"""Tooltips of the Denoise widget's fields."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_usflow._napari.shared.parameter_form import field_tooltip
from napari_usflow.denoising.settings import Settings

if TYPE_CHECKING:
    from qtpy.QtWidgets import QWidget

__all__ = ["set_texts_of_many", "set_tooltips"]

_AT_ONCE = "A finished result follows at once."
_TEXTS = {
    "layer_combo": "Image layer to denoise. It is not changed.",
    "values_combo": "What the numbers of the layer are: decibels, grey as on a screen, "
    "or a linear envelope.",
    "pixel_axial": "Pixel size in depth. The layer states none.",
    "pixel_lateral": "Pixel size across. The layer states none.",
    "calibrate_button": "Draw a line of known length on the picture, such as along its "
    "ruler.\nThe layer gets the pixel size.",
    "dynamic_range": "Decibels from black to white of a grey picture, as set on the "
    "scanner.\nA smaller range makes the same grain fewer decibels.",
    "method_combo": "Method that removes the speckle.",
    "preset_combo": "Fill in a named setting of the parameters.",
    "strength": f"{field_tooltip(Settings, 'strength')}\n{_AT_ONCE}",
    "automatic_noise": "Estimate the noise level in the middle frame; of speckle it is "
    "at most 5.6 dB.\nThe box shows it after the run.",
    "noise": field_tooltip(Settings, "sigma_db"),
    "mix_back": f"{field_tooltip(Settings, 'mix_back')}\n{_AT_ONCE}",
    "prior_combo": "Weights of the flow: the anatomy it was trained on.",
    "network_combo": "Weights of the network; shipped ones go by the noise.",
    "device_combo": "Processor or graphics card that computes.",
    "link_contrast": "Change contrast limits and gamma of input and result together.",
    "uncertainty": "Standard deviation of the flow; of a network its spread when the "
    "image is mirrored and turned,\nand its difference from the flow. Takes several "
    "times as long.",
}


_OF_MANY = {
    "pixel_axial": "Pixel size in depth, for files and layers that state none.",
    "pixel_lateral": "Pixel size across, for files and layers that state none.",
}


def set_tooltips(form: QWidget) -> None:
    """Explain every field of the form."""
    for name, text in _TEXTS.items():
        getattr(form, name).setToolTip(text)


def set_texts_of_many(form: QWidget) -> None:
    """Explain the fields of a form that goes for many files and layers."""
    for name, text in _OF_MANY.items():
        box = getattr(form, name)
        box.setToolTip(text)
        box.setSpecialValueText("where none is stated")
