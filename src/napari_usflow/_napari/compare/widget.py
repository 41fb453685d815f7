"""The Compare widget: before and after in one picture, or beside each other."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QEvent, QTimer
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_usflow._napari.compare.comparison import Comparison
from napari_usflow._napari.compare.form import CompareForm
from napari_usflow._napari.compare.pair import is_comparable
from napari_usflow._napari.compare.picture import Divider, Mode
from napari_usflow._napari.compare.residual_line import residual_line
from napari_usflow._napari.compare.second_canvas import SecondCanvas
from napari_usflow._napari.jobs.worker import HeldRun
from napari_usflow._napari.layers.content import LayerError
from napari_usflow._napari.layers.meaning import input_of
from napari_usflow._napari.layers.views import is_view
from napari_usflow._napari.settings import PLUGIN
from napari_usflow._napari.shared.playback import playback_of

if TYPE_CHECKING:
    import napari
    from napari.layers import Image

__all__ = ["KEYS", "CompareWidget", "suggested_pair"]

KEYS = {"swap": "K", "previous": "PageUp", "next": "PageDown"}
"""Keys of the viewer while a comparison is on; napari has none of them."""

_RESIDUAL_MS = 250
_MODES: dict[str, Mode] = {
    "curtain": "curtain",
    "flicker": "before",
    "difference": "difference",
    "ratio": "ratio",
    "side": "before",
}


class CompareWidget(QWidget):
    """Shows a layer before and one after at once.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        Its layers are offered, and it shows the comparison.
    """

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        super().__init__()
        self._viewer = viewer
        self._held = HeldRun[Comparison]()
        self._second = HeldRun[SecondCanvas]()
        self._line: tuple[weakref.ref[Image], Divider] | None = None
        self.form = CompareForm(viewer)
        layout = QVBoxLayout(self)
        layout.addWidget(self.form)
        layout.addStretch(1)
        self._flicker = QTimer(self)
        self._flicker.timeout.connect(self.swap)
        self._residual = QTimer(self)
        self._residual.setSingleShot(True)
        self._residual.setInterval(_RESIDUAL_MS)
        self._residual.timeout.connect(self._describe_residual)
        form = self.form
        form.pair_changed.connect(self._on_pair)
        form.mode_changed.connect(self._on_mode)
        form.divider_changed.connect(self._on_divider)
        form.period_changed.connect(self._on_period)
        form.link.toggled.connect(self._on_link)
        form.dynamic_range.valueChanged.connect(self._on_dynamic_range)
        form.previous_button.clicked.connect(lambda: self.step(-1))
        form.next_button.clicked.connect(lambda: self.step(1))
        form.suggest.clicked.connect(self._suggest)
        self._playback = playback_of(viewer)
        form.play.toggled.connect(self._playback.set_playing)
        form.time.toggled.connect(self._playback.show_time)
        self._playback.changed.connect(self._show_playback)
        # Bound methods of this widget would be gone when the signal comes; and the
        # menu bar goes with the window, whoever holds on to this widget.
        for gone in (self.destroyed, viewer.window.main_menu.destroyed):
            for let_go in (
                self._held.abandon,
                self._second.abandon,
                form.before.let_go,
                form.after.let_go,
            ):
                gone.connect(let_go)
        self.compare_selected()

    @property
    def comparison(self) -> Comparison | None:
        """The comparison on the canvas."""
        return self._held.now

    @property
    def second(self) -> SecondCanvas | None:
        """The canvas beside that of the viewer."""
        return self._second.now

    def compare(self, before: Image | None, after: Image | None) -> None:
        """Compare these two layers from now on, by the curtain unless a view is on."""
        form = self.form
        form.choose(before, after)
        self._show_offers()
        if before is None or after is None:
            form.say("Open or make two image layers, and choose them here.")
        elif form.mode() == "off":
            form.set_mode("curtain")
        else:
            self._begin()

    def compare_selected(self) -> None:
        """Compare the selected two layers, a result and its input, or the top two."""
        self.compare(*suggested_pair(self._viewer))

    def results(self) -> list[Image]:
        """Return the layers that the one before can be compared with, in their order.

        Its own results where it has some, else all images over it.
        """
        before = self.form.before.layer()
        others = [
            layer
            for layer in self._viewer.layers
            if before is not None and is_comparable(before, layer)
        ]
        own = [layer for layer in others if input_of(self._viewer, layer) is before]
        return own or others

    def step(self, by: int) -> None:
        """Compare with the next result, or with the one before."""
        results, now = self.results(), self.form.after.layer()
        if results:
            place = results.index(now) + by if now in results else 0
            self.form.choose(self.form.before.layer(), results[place % len(results)])
            self._on_pair()

    def swap(self) -> None:
        """Show the other side; with another view on, begin to flicker."""
        if self.comparison is None:
            return
        if self.form.mode() != "flicker":
            self.form.set_mode("flicker")
            return
        shown = self.comparison.picture.mode
        self.comparison.set_mode("after" if shown == "before" else "before")

    def stop(self) -> None:
        """End the comparison and leave nothing of it in the viewer."""
        self._flicker.stop()
        self._residual.stop()
        second, self._second.now = self._second.now, None
        if second is not None:
            second.stop()
        comparison, self._held.now = self._held.now, None
        if comparison is not None:
            line = comparison.picture.divider
            self._line = weakref.ref(comparison.pair.before), line
            comparison.stop()

    def changeEvent(self, event: QEvent | None) -> None:
        """End when the dock is closed: napari then takes the widget out of it."""
        moved = event is not None and event.type() == QEvent.Type.ParentChange
        if moved and self.parent() is None:
            self.form.set_mode("off")
            self._playback.set_playing(False)
            self._playback.show_time(False)
        super().changeEvent(event)

    def _suggest(self) -> None:
        """Open Measure, and draw regions that need no drawing."""
        # Tabs: a small screen has no room for both forms at once.
        dock, measure = self._viewer.window.add_plugin_dock_widget(
            PLUGIN, "Measure", tabify=True
        )
        dock.setVisible(True)
        dock.raise_()
        measure.take_pair(self.form.before.layer(), self.form.after.layer())
        measure.suggest()

    def _show_playback(self) -> None:
        states = (self._playback.playing, self._playback.shows_time)
        for box, on in zip((self.form.play, self.form.time), states, strict=True):
            box.blockSignals(True)
            box.setChecked(on)
            box.blockSignals(False)
        self.form.play.setText("■ Stop" if states[0] else "▶ Real time")

    def _show_offers(self) -> None:
        """Offer what there are layers for."""
        self.form.clip_row.setVisible(self._playback.clip() is not None)
        self.form.suggest.setEnabled(self.form.before.layer() is not None)

    def _on_pair(self) -> None:
        self._show_offers()
        # A comparison ends by itself, and says why, when a layer of it is removed.
        removed = self.comparison is not None and not self.comparison.pair_is_there()
        if self.form.mode() != "off" and not removed:
            self._begin()

    def _on_mode(self, mode: str) -> None:
        if mode == "off":
            self.stop()
            self.form.say("")
        elif self.comparison is None or self.second is not None or mode == "side":
            self._begin()
        else:
            self.comparison.set_mode(_MODES[mode])
            self._settle()

    def _begin(self) -> None:
        """Start the comparison of what is chosen, in the view that is on."""
        form = self.form
        self.stop()
        before, after = form.before.layer(), form.after.layer()
        if before is None or after is None:
            self._give_up("Choose two image layers, one before and one after.")
            return
        if self._viewer.dims.ndisplay == 3:
            self._give_up("The comparison is for 2-D display; switch 3-D off first.")
            return
        line = self._line if self._line and self._line[0]() is before else None
        try:
            comparison = Comparison(
                self._viewer,
                before,
                after,
                mode=_MODES[form.mode()],
                link=form.link.isChecked(),
                divider=line and line[1],
                keys={
                    KEYS["swap"]: self.swap,
                    KEYS["previous"]: lambda: self.step(-1),
                    KEYS["next"]: lambda: self.step(1),
                },
                on_moved=form.show_divider,
                on_frame=self._on_frame,
                on_gone=self._give_up,
            )
        except LayerError as error:
            self._give_up(str(error))
            return
        self._held.now = comparison
        comparison.picture.decibels_of_range = form.dynamic_range.value()
        form.show_pair(comparison.pair, comparison.picture.divider)
        self._show_offers()
        if form.mode() == "side":
            self._second.now = SecondCanvas(
                self._viewer,
                comparison,
                beside=self,
                on_closed=lambda: form.set_mode("curtain"),
            )
        self._settle()

    def _settle(self) -> None:
        """Start or end what belongs to the view that is on."""
        self._flicker.stop()
        self.form.say("")
        self._on_period()
        self._on_frame()

    def _give_up(self, sentence: str) -> None:
        self.stop()
        self.form.set_mode("off")
        self.form.say(sentence, bad=bool(sentence))

    def _on_divider(self, divider: Divider) -> None:
        if self.comparison is not None:
            self.comparison.move(divider)

    def _on_period(self) -> None:
        seconds = self.form.period_s()
        self._flicker.stop()
        if seconds and self.form.mode() == "flicker" and self.comparison is not None:
            self._flicker.start(round(1000 * seconds))

    def _on_link(self, link: bool) -> None:
        if self.comparison is not None:
            self.comparison.set_link(link)
            if self.second is not None:
                self.second.refresh()

    def _on_dynamic_range(self, decibels: float) -> None:
        if self.comparison is not None:
            self.comparison.picture.decibels_of_range = decibels
            self.comparison.set_mode(self.comparison.picture.mode)
            self._on_frame()

    def _on_frame(self) -> None:
        # Not while a clip plays: it takes longer than a frame.
        if self.form.mode() in ("difference", "ratio"):
            self._residual.start()

    def _describe_residual(self) -> None:
        if self.comparison is not None and self.form.mode() in ("difference", "ratio"):
            self.form.say(residual_line(self.comparison))


def suggested_pair(viewer: Any) -> tuple[Image | None, Image | None]:
    """Choose a pair: the selected two, a result and its input, or the topmost two."""
    images = [
        layer
        for layer in viewer.layers
        if type(layer).__name__ == "Image" and not is_view(layer)
    ]
    selected = [layer for layer in images if layer in viewer.layers.selection]
    if len(selected) == 2:
        return selected[0], selected[1]
    for layer in [*selected, *reversed(images)]:
        before = input_of(viewer, layer)
        if before is not None:
            return before, layer
    if len(images) < 2:
        return (images[0] if images else None), None
    return images[-2], images[-1]
