"""Result images of other people: a copy of the input scores as the input does."""

from __future__ import annotations

import os
from pathlib import Path

import h5py
import numpy as np
import pytest
from scipy.io import savemat

from lab.challenge_files import write_challenge
from napari_usflow.errors import FileFormatError
from napari_usflow.evaluate.tables import Scored
from napari_usflow.jobs import Note
from napari_usflow.lab.picmus.figures import write_picmus
from napari_usflow.lab.picmus.peer_files import read_entries, read_entry
from napari_usflow.lab.picmus.peer_scores import peer_lines, read_peers
from napari_usflow.lab.picmus.run import _at, picmus_events
from napari_usflow.lab.picmus.scenes import Scene, find_scenes, grid_of

CYSTS = "contrast_speckle_expe"
POINTS = "resolution_distorsion_expe"
SCENE_GRID = 'grid = "scene"\n'
Z_M = 10e-3 + 0.3e-3 * np.arange(64)
X_M = 0.3e-3 * (np.arange(64) - 31.5)
AXES_M = f"z_axis_m = [{Z_M[0]}, {Z_M[-1]}]\nx_axis_m = [{X_M[0]}, {X_M[-1]}]\n"


@pytest.fixture(scope="module")
def challenge(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_challenge(tmp_path_factory.mktemp("challenge"))


@pytest.fixture(scope="module")
def scene(challenge: Path) -> Scene:
    return _at(find_scenes(challenge)[0], 75)


def image_of(scene: Scene, shows: str) -> np.ndarray:
    """The input in decibels."""
    target = scene.cysts if shows == CYSTS else scene.points
    return np.asarray(target.image.data[0])


def listed(folder: Path, file: str, more: str, *, shows: str = CYSTS) -> None:
    """Add an image to the folder's list."""
    text = f'[[image]]\nfile = "{file}"\nmethod = "theirs"\nshows = "{shows}"\n'
    with (folder / "peers.toml").open("a") as file_:
        file_.write(f"{text}plane_waves = 75\n{more}\n")


def scored(folder: Path, scene: Scene):
    peers, left_out = read_peers(folder, [scene], [75])
    assert not left_out
    ((line, points),) = peer_lines(peers, scene, 75)
    return line, points


def write_npy_db(folder: Path, scene: Scene, shows: str) -> None:
    # Only ratios count: the brightest pixel may lie anywhere.
    np.save(folder / f"{shows}.npy", image_of(scene, shows) + 7)
    said = f'values = "db"\naxes = "zx"\n{SCENE_GRID}'
    listed(folder, f"{shows}.npy", said, shows=shows)


def write_mat_5(folder: Path, scene: Scene, shows: str) -> None:
    envelope = 3 * 10 ** (image_of(scene, shows) / 20)
    savemat(folder / f"{shows}.mat", {"r": {"image": envelope.T}, "z": 1e3 * Z_M})
    said = 'values = "envelope"\narray = "r.image"\naxes = "xz"\n'
    said += f'z_axis_m = "z / 1e3"\nx_axis_m = [{X_M[0]}, {X_M[-1]}]\n'
    listed(folder, f"{shows}.mat", said, shows=shows)


def write_mat_73(folder: Path, scene: Scene, shows: str) -> None:
    """Three signed copies whose noise averages out, as MATLAB stores (3, Z, X)."""
    rng = np.random.default_rng(0)
    signed = 10 ** (image_of(scene, shows) / 20) * rng.choice([-1, 1], (64, 64))
    noise = rng.normal(size=(64, 64))
    copies = np.stack([signed + noise, signed - noise, signed])
    path = folder / f"{shows}.mat"
    with h5py.File(path, "w", userblock_size=512) as file:
        file["x"] = copies.T
        file["x"].attrs["MATLAB_class"] = np.bytes_("double")
    with path.open("r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file".ljust(512))
    said = f'values = "signed"\narray = "x"\naxes = "czx"\n{AXES_M}'
    listed(folder, path.name, said, shows=shows)


def write_hdf5(folder: Path, scene: Scene, shows: str) -> None:
    with h5py.File(folder / f"{shows}.h5", "w") as file:
        file["result/db"] = image_of(scene, shows).T
        file["scan/z"], file["scan/x"] = Z_M, X_M
    said = 'values = "db"\narray = "result/db"\naxes = "xz"\n'
    said += 'z_axis_m = "scan.z"\nx_axis_m = "scan.x"\n'
    listed(folder, f"{shows}.h5", said, shows=shows)


def write_own_format(folder: Path, scene: Scene, shows: str) -> None:
    target = scene.cysts if shows == CYSTS else scene.points
    source = Path(target.image.metadata["source"])
    (folder / source.name).write_bytes(source.read_bytes())
    listed(folder, source.name, "", shows=shows)


@pytest.mark.parametrize(
    "write", [write_npy_db, write_mat_5, write_mat_73, write_hdf5, write_own_format]
)
def test_a_copy_of_the_input_scores_as_the_input(
    write, challenge: Path, scene: Scene, tmp_path: Path
) -> None:
    run = picmus_events(challenge, methods=["tv"], plane_waves=[75], blocks=[1])
    own = next(event.score for event in run if isinstance(event, Scored))
    for shows in (CYSTS, POINTS):
        write(tmp_path, scene, shows)

    line, (point,) = scored(tmp_path, scene)

    assert line.label == "theirs (published)"
    assert (line.scene, line.plane_waves) == ("experiment", 75)
    for name in ("contrast_db", "gcnr", "edge_mm", "speckle_db"):
        assert getattr(line, name) == pytest.approx(getattr(own, name), rel=1e-3)
    for name in ("fwhm_axial_mm", "fwhm_lateral_mm"):
        assert getattr(line, name) == pytest.approx(getattr(own, name), abs=0.01)
    assert line.peak_db == pytest.approx(0, abs=1e-3)
    assert np.isnan([line.level_db, line.seconds]).all()
    assert point.peak_db == pytest.approx(0, abs=1e-3)
    assert point.lateral_mm == pytest.approx(point.input_lateral_mm, abs=0.01)
    assert not point.lost


def test_pixels_of_its_own_lie_where_the_list_says(
    scene: Scene, tmp_path: Path
) -> None:
    coarse = image_of(scene, CYSTS)[4:-3:3, 1::2]
    np.save(tmp_path / "a.npy", coarse)
    said = f"z_axis_m = [{Z_M[4]}, {Z_M[-6]}]\nx_axis_m = [{X_M[1]}, {X_M[-1]}]\n"
    listed(tmp_path, "a.npy", f'values = "db"\naxes = "zx"\n{said}')
    (entry,) = read_entries(tmp_path)

    frame, grid = read_entry(entry, grid_of(scene.cysts.image))

    assert grid.shape == coarse.shape == (19, 32)
    assert grid.spacing_mm == pytest.approx((0.9, 0.6), abs=1e-6)
    assert grid.origin_mm == pytest.approx((11.2, -9.15), abs=1e-6)
    np.testing.assert_allclose(frame, coarse - coarse.max(), atol=1e-5)


def test_a_method_may_have_one_of_the_two_images(scene: Scene, tmp_path: Path) -> None:
    write_npy_db(tmp_path, scene, POINTS)

    line, points = scored(tmp_path, scene)

    assert np.isnan(line.contrast_db) and line.fwhm_axial_mm > 0
    assert len(points) == 1
    assert line.setting == f"{POINTS}.npy"


def test_images_of_other_scenes_are_named_and_left_out(
    scene: Scene, tmp_path: Path
) -> None:
    for shows, waves in (("contrast_speckle_simu", 75), (CYSTS, 11)):
        listed(tmp_path, f"{waves}.npy", "", shows=shows)
    text = (tmp_path / "peers.toml").read_text().replace("waves = 75", "waves = 11", 2)
    (tmp_path / "peers.toml").write_text(text.replace("waves = 11", "waves = 75", 1))

    peers, left_out = read_peers(tmp_path, [scene], [75])

    assert peers == []
    assert "no image of contrast_speckle_simu" in left_out[0]
    assert "11 plane waves" in left_out[1]


def test_peers_stand_in_the_table_after_the_methods(
    challenge: Path, scene: Scene, tmp_path: Path
) -> None:
    for shows in (CYSTS, POINTS):
        write_npy_db(tmp_path, scene, shows)
    listed(tmp_path, "none.npy", "", shows="contrast_speckle_simu")
    run = picmus_events(
        challenge, methods=["tv"], blocks=[1], plane_waves=[75], peers=tmp_path
    )
    events = []
    while True:
        try:
            events.append(next(run))
        except StopIteration as stop:
            test = stop.value
            break

    labels = ["input", "tv, own pixel", "theirs (published)"]
    assert [s.label for s in test.scores] == labels
    assert [e.score.label for e in events if isinstance(e, Scored)] == labels
    assert [p.label for p in test.points] == labels[1:]
    notes = [event.text for event in events if isinstance(event, Note)]
    assert any("contrast_speckle_simu" in text for text in notes)
    assert len(write_picmus(test, tmp_path / "out")) == 5


def entry_text(**changes: str | None) -> str:
    said: dict[str, str | None] = {
        "file": '"a.npy"',
        "method": '"theirs"',
        "shows": f'"{CYSTS}"',
        "plane_waves": "75",
        "values": '"db"',
        "axes": '"zx"',
        "grid": '"scene"',
        **changes,
    }
    lines = [f"{name} = {value}" for name, value in said.items() if value is not None]
    return "\n".join(["[[image]]", *lines])


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"shows": None}, r"image 1 has no shows; it needs .*plane_waves"),
        ({"values": None}, r"no values: expected is one of db, envelope, signed"),
        ({"axes": None}, r"no axes: .*nothing is guessed"),
        ({"grid": None}, r"must say where the pixels are.*grid = \"scene\""),
        ({"z_axis_m": "[0.01, 0.02]"}, r"must say where the pixels are"),
        ({"grid": None, "z_axis_m": "[0.01, 0.02]"}, r"both z_axis_m and x_axis_m"),
        ({"grid": '"mine"'}, r"grid is 'mine'; expected is \"scene\""),
        ({"values": '"grey"'}, r"values is 'grey'"),
        ({"values": '"envelope"'}, r"values from -.* no envelope; say values"),
        ({"axes": '"zz"'}, r"axes is 'zz'"),
        ({"axes": '"czx"'}, r"array of shape \(64, 64\), but its axes are 'czx'"),
        ({"plane_waves": "true"}, r"plane_waves is True; a positive whole"),
        ({"method": '"input"'}, r"method is 'input'"),
        ({"method": '"a\\nb"'}, r"without line breaks"),
        ({"shows": '"cysts"'}, r"expected is one of contrast_speckle_expe"),
        ({"colour": "1"}, r"unknown key 'colour'; known are file, method"),
        ({"array": '"x"'}, r"\.npy file has one array"),
        ({"file": '"../a.npy"'}, r"\.\./a\.npy is not below"),
        ({"file": '"none.npy"'}, r"none\.npy cannot be opened"),
        ({"file": '"peers.toml"', "array": '"x"'}, r"neither a MATLAB, an HDF5 nor"),
        ({"file": '"peers.toml"'}, r"has no array; the name of a variable"),
        (
            {"grid": None, "z_axis_m": '"z"', "x_axis_m": "[0, 1]"},
            r"an axis is 'z'; give the first and the last pixel",
        ),
        ({"grid": None, "z_axis_m": "[2, 1]"}, r"z_axis_m is \[2, 1\]; two numbers"),
    ],
)
def test_what_is_not_said_or_does_not_fit_is_refused_in_one_line(
    changes: dict, said: str, scene: Scene, tmp_path: Path
) -> None:
    np.save(tmp_path / "a.npy", image_of(scene, CYSTS))
    (tmp_path / "peers.toml").write_text(entry_text(**changes))

    with pytest.raises(FileFormatError, match=said) as caught:
        scored(tmp_path, scene)

    assert "\n" not in str(caught.value)


def test_a_folder_without_a_list_says_what_to_write(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match=r"no peers\.toml, .*\[\[image\]\].*grid"):
        read_entries(tmp_path)


@pytest.mark.parametrize(
    "text",
    ["image = 3", "image = [3]", "a = 1", "[[image", "a = " + "[" * 5000, "\udcff"],
)
def test_a_list_that_is_none_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "peers.toml").write_text(text, errors="surrogateescape")
    with pytest.raises(FileFormatError, match=r"peers\.toml"):
        read_entries(tmp_path)


def test_an_image_is_listed_once(scene: Scene, tmp_path: Path) -> None:
    (tmp_path / "peers.toml").write_text(f"{entry_text()}\n{entry_text()}")
    with pytest.raises(FileFormatError, match="image 2: theirs has another image of"):
        read_entries(tmp_path)


def test_other_shapes_than_the_scene_need_axes(scene: Scene, tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", image_of(scene, CYSTS)[1:])
    (tmp_path / "peers.toml").write_text(entry_text())
    with pytest.raises(FileFormatError, match=r"63 x 64 pixels .* 64 x 64; give z_axi"):
        scored(tmp_path, scene)


def test_uneven_axes_are_refused(scene: Scene, tmp_path: Path) -> None:
    write_hdf5(tmp_path, scene, CYSTS)
    with h5py.File(tmp_path / f"{CYSTS}.h5", "r+") as file:
        file["scan/z"][5] += 0.1e-3
    with pytest.raises(FileFormatError, match=r"z has 64 values; 64 that rise in even"):
        scored(tmp_path, scene)


@pytest.mark.parametrize("value", [np.nan, -np.inf])
def test_values_that_are_not_finite_are_refused(
    value: float, scene: Scene, tmp_path: Path
) -> None:
    frame = image_of(scene, CYSTS).copy()
    frame[0, 0] = value
    np.save(tmp_path / "a.npy", frame)
    (tmp_path / "peers.toml").write_text(entry_text())
    with pytest.raises(FileFormatError, match="not finite"):
        scored(tmp_path, scene)


class Trap:
    """Leaves a trace when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_objects_are_never_unpickled(scene: Scene, tmp_path: Path) -> None:
    trapped = np.array([[Trap(tmp_path / "sprung")]], dtype=object)
    np.save(tmp_path / "a.npy", trapped, allow_pickle=True)
    (tmp_path / "peers.toml").write_text(entry_text())
    with pytest.raises(FileFormatError, match="damaged or unsafe NumPy file"):
        scored(tmp_path, scene)
    assert not (tmp_path / "sprung").exists()


def test_links_out_of_the_folder_are_not_followed(scene: Scene, tmp_path: Path) -> None:
    folder = tmp_path / "theirs"
    folder.mkdir()
    np.save(tmp_path / "outside.npy", image_of(scene, CYSTS))
    (folder / "a.npy").symlink_to(tmp_path / "outside.npy")
    (folder / "peers.toml").write_text(entry_text())
    with pytest.raises(FileFormatError, match=r"a\.npy is not below"):
        read_entries(folder)


def test_the_challenges_own_format_needs_no_words(scene: Scene, tmp_path: Path) -> None:
    write_own_format(tmp_path, scene, CYSTS)
    text = (tmp_path / "peers.toml").read_text()
    (tmp_path / "peers.toml").write_text(f'{text}values = "db"\n')
    with pytest.raises(FileFormatError, match=r"says itself .* leave out values"):
        scored(tmp_path, scene)
    (tmp_path / "peers.toml").write_text(text.replace("= 75", "= 3"))
    (entry,) = read_entries(tmp_path)
    with pytest.raises(FileFormatError, match="1, 75 plane waves, but none of 3"):
        read_entry(entry, grid_of(scene.cysts.image))
