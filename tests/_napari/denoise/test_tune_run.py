"""A grid search on a layer, on a viewer without a window."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_usflow._napari.denoise.run import Request
from napari_usflow._napari.denoise.tune_run import TuneRun, tuned_setting
from napari_usflow._napari.layers.content import LayerError
from napari_usflow.denoising.algorithms import method_class
from napari_usflow.denoising.settings import Settings
from napari_usflow.evaluate.tune import Tuning

AS_IT_IS = Settings(sigma_db=6.0)
PLACE: dict[str, Any] = {"scale": (1.0, 0.4, 0.4), "units": ("s", "mm", "mm")}
SLOW = tuple(0.1 + 0.001 * i for i in range(30))


class Seen:
    """Collects what a run reports."""

    def __init__(self) -> None:
        self.tunings: list[tuple[Tuning, str]] = []
        self.progress: list[tuple[float, str]] = []
        self.notes: list[str] = []
        self.ends: list[tuple[str, Exception | None]] = []

    def callbacks(self) -> dict[str, Any]:
        return {
            "on_tuning": lambda *tuning: self.tunings.append(tuning),
            "on_progress": lambda *progress: self.progress.append(progress),
            "on_note": self.notes.append,
            "on_end": lambda *end: self.ends.append(end),
        }


@pytest.fixture
def clean() -> np.ndarray:
    """A disc in [0, 1] for each of three frames, in another place each."""
    z, x = np.mgrid[:48, :40]
    places = ((16, 14), (24, 20), (30, 26))
    discs = [np.where(np.hypot(z - r, x - c) < 9, 0.8, 0.4) for r, c in places]
    return np.stack(discs).astype(np.float32)


@pytest.fixture
def viewer(clean: np.ndarray) -> ViewerModel:
    model = ViewerModel()
    noise = np.random.default_rng(0).normal(0, 0.1, clean.shape)
    model.add_image(
        60 * (clean + noise - 1),
        name="noisy",
        metadata={"usflow": {"values": "db", "probe": "L11"}},
        **PLACE,
    )
    model.dims.set_current_step(0, 2)
    return model


@pytest.fixture
def two_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(method_class("tv"), "grid", {"weight": (0.02, 1.0)})


def begin(
    viewer: ViewerModel, method: str = "tv", reference: Any = None
) -> tuple[TuneRun, Seen]:
    seen = Seen()
    request = Request(method, settings=AS_IT_IS)
    run = TuneRun(
        viewer, viewer.layers["noisy"], request, reference=reference, **seen.callbacks()
    )
    run.start()
    return run, seen


@pytest.mark.gui
@pytest.mark.usefixtures("two_weights")
@pytest.mark.parametrize("frames", [slice(None), slice(2, 3)])
def test_best_by_the_reference_is_kept_with_the_layer(qtbot, viewer, clean, frames):
    """A stack has a reference for each frame; a single one is that of what is seen."""
    place = {name: values[-2:] for name, values in PLACE.items()}
    data = clean[frames]
    reference = viewer.add_image(
        data if len(data) > 1 else data[0],
        name="clean",
        **(PLACE if len(data) > 1 else place),
    )

    run, seen = begin(viewer, reference=reference)
    qtbot.waitUntil(lambda: bool(seen.ends), timeout=20_000)

    sentence, error = seen.ends[0]
    best = seen.tunings[-1][0].best
    assert error is None and not run.running
    assert sentence == f"Best of 2 settings: weight 1 (PSNR {best.score:.3g} dB)."
    assert best.score > 27  # of the frame that is seen; others have other discs
    assert viewer.layers["noisy"].metadata["usflow"] == {
        "values": "db",
        "probe": "L11",
        "tuned": {
            "tv": {
                "setting": {"weight": 1.0},
                "score": best.score,
                "criterion": "PSNR (dB)",
                "reference": "clean",
                "frame": 2,
                "tried": 2,
                "settings": 2,
            }
        },
    }
    assert tuned_setting(viewer.layers["noisy"], "tv") == {"weight": 1.0}
    assert tuned_setting(viewer.layers["noisy"], "nlm") is None
    assert [text for _, text in seen.progress] == ["1/2 settings", "2/2 settings"]


@pytest.mark.gui
@pytest.mark.usefixtures("two_weights")
def test_without_a_reference_the_residual_decides(qtbot, viewer):
    _, seen = begin(viewer)
    qtbot.waitUntil(lambda: bool(seen.ends), timeout=20_000)

    assert seen.ends[0][0].startswith("Best of 2 settings: weight 1 (residual score -")
    assert seen.tunings[-1][1] == "residual score"
    assert tuned_setting(viewer.layers["noisy"], "tv") == {"weight": 1.0}


@pytest.mark.gui
@pytest.mark.usefixtures("halving")
def test_cancel_keeps_the_settings_that_were_tried(qtbot, viewer, monkeypatch):
    monkeypatch.setattr(method_class("halving"), "grid", {"seconds": SLOW})
    run, seen = begin(viewer, "halving")
    qtbot.waitUntil(lambda: len(seen.tunings) >= 2, timeout=20_000)

    run.cancel()
    qtbot.waitUntil(lambda: bool(seen.ends), timeout=1000)

    tried = len(seen.tunings[-1][0].cells)
    sentence, error = seen.ends[0]
    assert error is None
    assert 2 <= tried < 30
    assert sentence.startswith(f"Cancelled after {tried} of 30 settings; the best of")
    note = viewer.layers["noisy"].metadata["usflow"]["tuned"]["halving"]
    assert note["tried"] == tried
    assert note["setting"]["seconds"] in SLOW[:tried]


@pytest.mark.gui
@pytest.mark.usefixtures("halving")
def test_cancel_before_the_first_setting_leaves_the_layer_alone(
    qtbot, viewer, monkeypatch
):
    monkeypatch.setattr(method_class("halving"), "grid", {"seconds": (20.0, 21.0)})
    run, seen = begin(viewer, "halving")
    qtbot.wait(200)

    run.cancel()
    qtbot.waitUntil(lambda: bool(seen.ends), timeout=1000)

    assert seen.ends == [("Cancelled before the first setting had been tried.", None)]
    assert "tuned" not in viewer.layers["noisy"].metadata["usflow"]


@pytest.mark.gui
@pytest.mark.usefixtures("halving")
def test_failure_is_told(qtbot, viewer, monkeypatch):
    brightest = float(viewer.layers["noisy"].data[2].max() / 60 + 1)
    monkeypatch.setattr(method_class("halving"), "grid", {"fail_at": (-1.0, brightest)})

    _, seen = begin(viewer, "halving")
    qtbot.waitUntil(lambda: bool(seen.ends), timeout=20_000)

    sentence, error = seen.ends[0]
    assert sentence.startswith("Failed after 1 of 2 settings")
    assert "CUDA out of memory" in sentence and error is not None


def test_reference_of_another_size_is_refused(viewer):
    other = viewer.add_image(np.zeros((48, 30), np.float32), name="other")

    with pytest.raises(LayerError, match=r"'other' has 1 frame.* 48 × 30 px.*'noisy'"):
        begin(viewer, reference=other)


def test_layer_of_other_people_has_no_setting():
    model = ViewerModel()

    assert tuned_setting(model.add_image(np.zeros((4, 4))), "tv") is None
