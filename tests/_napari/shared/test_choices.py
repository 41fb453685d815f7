"""The layer, prior and device combos."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from napari.components import ViewerModel
from qtpy.QtWidgets import QFileDialog

from napari_usflow._napari.layers.results import add_result_layer
from napari_usflow._napari.shared.choices import DeviceCombo, NetworkCombo, WeightsCombo
from napari_usflow._napari.shared.layer_combo import LayerCombo

pytestmark = pytest.mark.gui


@pytest.fixture
def viewer() -> ViewerModel:
    model = ViewerModel()
    for name in ("a", "b"):
        model.add_image(np.zeros((4, 4)), name=name)
    model.add_labels(np.zeros((4, 4), int), name="rois")
    return model


def names(combo) -> list[str]:
    return [combo.itemText(i) for i in range(combo.count())]


def test_active_image_is_chosen_and_only_images_are_offered(qtbot, viewer):
    viewer.layers.selection.active = viewer.layers["b"]
    combo = LayerCombo(viewer)
    qtbot.addWidget(combo)
    assert names(combo) == ["a", "b"]
    assert combo.layer() is viewer.layers["b"]


def test_choice_survives_changes_of_the_layer_list(qtbot, viewer):
    combo = LayerCombo(viewer)
    qtbot.addWidget(combo)
    combo.choose(viewer.layers["b"])
    chosen = combo.layer()
    viewer.layers.move(1, 0)
    viewer.add_points(name="marks")
    assert combo.layer() is chosen
    chosen.name = "renamed"
    assert combo.currentText() == "renamed"


def test_choice_follows_the_active_image_and_takes_the_input_of_a_result(qtbot, viewer):
    combo = LayerCombo(viewer)
    qtbot.addWidget(combo)
    viewer.layers.selection.active = viewer.layers["b"]
    qtbot.waitUntil(lambda: combo.layer() is viewer.layers["b"])

    source = viewer.layers["a"]
    result = add_result_layer(viewer, source, source.data, name="clean", note={})
    assert viewer.layers.selection.active is result
    qtbot.waitUntil(lambda: combo.layer() is source)

    combo.choose(result)
    assert combo.layer() is result


def test_choice_stays_where_the_active_layer_changes_for_a_moment(qtbot, viewer):
    combo = LayerCombo(viewer)
    qtbot.addWidget(combo)
    active = viewer.layers.selection.active
    other = next(viewer.layers[name] for name in "ab" if viewer.layers[name] != active)
    combo.choose(other)

    viewer.add_image(np.zeros((4, 4)), name="preview")
    viewer.layers.selection.active = active
    qtbot.wait(100)

    assert combo.layer() is other


def test_choice_that_may_be_left_out_does_not_follow_the_active_image(qtbot, viewer):
    combo = LayerCombo(viewer, none="none")
    qtbot.addWidget(combo)

    viewer.layers.selection.active = viewer.layers["b"]

    assert combo.layer() is None


def test_removed_layer_is_no_longer_offered(qtbot, viewer):
    combo = LayerCombo(viewer)
    qtbot.addWidget(combo)
    with qtbot.waitSignal(combo.currentIndexChanged):
        viewer.layers.remove("a")
    assert combo.layer() is viewer.layers["b"]
    viewer.layers.clear()
    assert combo.layer() is None


def test_viewer_outlives_a_combo_that_was_deleted(qtbot, viewer):
    combo = LayerCombo(viewer)
    combo.let_go()
    combo.deleteLater()
    qtbot.wait(10)
    viewer.add_image(np.zeros((4, 4)))


def test_default_prior_is_the_empty_name(qtbot):
    combo = WeightsCombo()
    qtbot.addWidget(combo)
    assert combo.weights() == ""


def test_preferred_prior_is_offered_even_when_it_is_not_shipped(qtbot):
    combo = WeightsCombo("/data/knees.safetensors")
    qtbot.addWidget(combo)
    assert combo.weights() == "/data/knees.safetensors"
    assert combo.currentText() == "knees.safetensors"


def test_browsing_adds_a_file_and_cancelling_changes_nothing(qtbot, monkeypatch):
    answers = [("", ""), ("/data/spine.safetensors", "")]
    monkeypatch.setattr(
        QFileDialog, "getOpenFileName", lambda *_args, **_kw: answers.pop(0)
    )
    combo = WeightsCombo()
    qtbot.addWidget(combo)
    browse = combo.count() - 1
    combo.setCurrentIndex(browse)
    combo.activated.emit(browse)
    assert combo.weights() == ""
    combo.activated.emit(combo.count() - 1)
    assert combo.weights() == "/data/spine.safetensors"


def test_networks_and_priors_are_offered_apart(qtbot, tmp_path, network_file):
    from napari_usflow._napari.denoise.own_weights import own_weights_registry
    from napari_usflow.networks.store import available_networks

    prior = tmp_path / "knees.safetensors"
    prior.write_bytes(b"")
    own_weights_registry().choose(prior)
    open_before = [NetworkCombo(), WeightsCombo()]
    own_weights_registry().choose(network_file)
    later = [NetworkCombo(), WeightsCombo()]
    for combo in (*open_before, *later):
        qtbot.addWidget(combo)

    for networks, priors in (open_before, later):
        assert networks.weights() == str(network_file)
        assert priors.weights() == str(prior)
        assert prior.name not in names(networks)
        assert network_file.name not in names(priors)
        assert set(available_networks()) <= set(names(networks))


def test_combo_that_does_not_follow_keeps_its_choice(qtbot, network_file):
    from napari_usflow._napari.denoise.own_weights import own_weights_registry

    combo = NetworkCombo(default="Random weights", follow=False)
    qtbot.addWidget(combo)
    own_weights_registry().choose(network_file)
    later = NetworkCombo(default="Random weights", follow=False)
    qtbot.addWidget(later)
    assert combo.weights() == later.weights() == ""
    assert later.currentText() == "Random weights"
    assert network_file.name in names(later)
    assert network_file.name in names(combo)


def test_own_prior_is_chosen_at_once_and_in_the_next_combo(qtbot, tmp_path):
    from napari_usflow._napari.denoise.own_weights import own_weights_registry

    combo = WeightsCombo("/data/spine.safetensors")
    qtbot.addWidget(combo)
    path = tmp_path / "knees" / "kept" / "knees-step-300.safetensors"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"")
    own_weights_registry().choose(path)
    assert combo.weights() == str(path)
    assert combo.currentText() == "knees-step-300"
    assert names(combo)[-1] == "Browse …"
    later = WeightsCombo("/data/spine.safetensors")
    qtbot.addWidget(later)
    assert later.weights() == str(path)


def test_own_prior_is_taken_when_a_combo_is_gone(qtbot, tmp_path):
    from napari_usflow._napari.denoise.own_weights import own_weights_registry

    combo = WeightsCombo()
    own_weights_registry().choose(tmp_path / "before.safetensors")
    combo.deleteLater()
    qtbot.wait(10)
    own_weights_registry().choose(tmp_path / "after.safetensors")


def test_devices_are_asked_for_when_the_list_is_opened(qtbot, monkeypatch):
    import napari_usflow.device

    asked: list[int] = []

    def devices() -> list[str]:
        asked.append(1)
        return ["cuda:0", "cpu"]

    monkeypatch.setattr(napari_usflow.device, "available_devices", devices)
    combo = DeviceCombo("cpu")
    qtbot.addWidget(combo)
    assert not asked
    assert combo.currentText() == "cpu"
    combo.fill()
    combo.fill()
    assert names(combo) == ["auto", "cpu", "cuda:0"]
    assert combo.currentText() == "cpu"
    assert len(asked) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="torch is loaded first there")
def test_making_the_widget_does_not_load_torch():
    import subprocess

    code = (
        "import sys; import napari_usflow._napari.denoise.widget; "
        "print('torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"
