from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from napari_usflow.io import detect, read_channel_data
from napari_usflow.io.picmus import read_phantom
from napari_usflow.ultrasound.data import ChannelData
from napari_usflow.ultrasound.simulate.picmus_files import (
    is_whole,
    write_dataset,
    write_phantom,
)
from napari_usflow.ultrasound.simulate.scene import Scene

SCENE = Scene(
    1e-3 * np.array([[1.0, 0.0, 12.0], [-2.0, 0.0, 17.0]]),
    np.array([1.0, -0.5]),
    points_mm=np.array([[12.0, 1.0]]),
    cysts_mm=np.array([[15.0, -3.0, 4.0], [25.0, 3.0, 6.0]]),
    speckle_regions_mm=np.array([[30.0, 1.0, 2.0, 4.0]]),
    name="two scatterers",
)


@pytest.mark.parametrize("kind", ["rf", "iq"])
def test_a_written_dataset_is_read_as_what_it_was(
    one_point, tmp_path: Path, kind: str
) -> None:
    data: ChannelData = getattr(replace(one_point, start_us=(1.5,) * 3), kind)()
    path = tmp_path / "some_dataset.hdf5"

    write_dataset(path, data)

    found = read_channel_data(path)
    assert detect(path) == "picmus-dataset"
    assert found.is_iq == (kind == "iq")
    np.testing.assert_array_equal(found.samples[0, 2], data.samples[0, 2])
    np.testing.assert_allclose(found.element_positions_m, data.element_positions_m)
    np.testing.assert_allclose(found.start_time_s, 1.5e-6)
    np.testing.assert_allclose(
        [t.angle_rad for t in found.transmits], [t.angle_rad for t in data.transmits]
    )
    assert found.sampling_frequency_hz == data.sampling_frequency_hz
    assert found.demodulation_frequency_hz == data.demodulation_frequency_hz
    assert found.sound_speed_m_s == data.sound_speed_m_s
    assert found.metadata["notes"] == []


def test_a_dataset_has_the_layout_of_the_challenge(one_point, tmp_path: Path) -> None:
    path = tmp_path / "some_dataset.hdf5"

    write_dataset(path, one_point.rf())

    with h5py.File(path) as file:
        assert file.attrs["version"].tolist() == [b"v.0.0.40"]
        group = file["US/US_DATASET0000"]
        for name, value, member in (
            ("type", 0, "US"),
            ("subtype", 1, "CPW"),
            ("signal_format", 0, "RF"),
        ):
            kind = group.attrs.get_id(name).dtype
            assert h5py.check_enum_dtype(kind)[member] == value
            assert group.attrs[name].dtype == np.int32
            assert group.attrs[name].tolist() == [value]
        shapes = {
            "data/real": (3, 32, 640),
            "data/imag": (3, 32, 640),
            "angles": (3,),
            "probe_geometry": (3, 32),
            "initial_time": (1,),
            "sampling_frequency": (1,),
            "modulation_frequency": (1,),
            "sound_speed": (1,),
            "PRF": (1,),
        }
        for name, shape in shapes.items():
            assert group[name].shape == shape
            assert group[name].dtype == np.float32
        assert not group["data/imag"][()].any()


def test_a_written_phantom_is_read_as_the_scene(tmp_path: Path) -> None:
    path = tmp_path / "some_phantom.hdf5"

    write_phantom(path, SCENE, axial_resolution_mm=0.4, lateral_resolution_mm=0.5)

    found = read_phantom(path)
    np.testing.assert_allclose(found.points_mm, SCENE.points_mm, rtol=1e-6)
    cysts = [(*cyst.center_mm, cyst.diameter_mm) for cyst in found.cysts]
    np.testing.assert_allclose(cysts, SCENE.cysts_mm, rtol=1e-6)
    (region,) = found.speckle_regions
    np.testing.assert_allclose(
        (*region.center_mm, *region.half_size_mm),
        SCENE.speckle_regions_mm[0],
        rtol=1e-6,
    )
    assert found.axial_resolution_mm == pytest.approx(0.4)
    assert found.lateral_resolution_mm == pytest.approx(0.5)
    assert found.name == "two scatterers"
    positions, amplitudes = found.scatterers()
    np.testing.assert_allclose(positions, SCENE.positions_m, rtol=1e-6)
    np.testing.assert_allclose(amplitudes, SCENE.amplitudes)


def test_targets_that_a_scene_lacks_are_written_as_a_single_zero(
    tmp_path: Path,
) -> None:
    path = tmp_path / "some_phantom.hdf5"
    bare = Scene(SCENE.positions_m, SCENE.amplitudes)

    write_phantom(path, bare, axial_resolution_mm=0.4, lateral_resolution_mm=0.5)

    with h5py.File(path) as file:
        group = file["US/US_DATASET0000"]
        assert group["phantom_occlusionDiameter"][()].tolist() == [0.0]
        assert group["phantom_RoiPsfTimeX"][()].tolist() == [0.0]
    assert read_phantom(path).cysts == ()


def test_a_write_that_fails_leaves_the_old_file_and_nothing_beside_it(
    one_point, tmp_path: Path
) -> None:
    path = tmp_path / "some_dataset.hdf5"
    path.write_bytes(b"old")

    class Unreadable:
        shape, dtype = (1, 3, 32, 640), np.dtype(np.float32)

        def __getitem__(self, key: object) -> None:
            raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        write_dataset(path, replace(one_point.rf(), samples=Unreadable()))
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_several_frames_have_no_place_in_a_dataset(one_point, tmp_path: Path) -> None:
    data = one_point.rf()
    stack = replace(data, samples=np.concatenate([data.samples] * 2))

    with pytest.raises(ValueError, match="got 2 frames and 1 start times"):
        write_dataset(tmp_path / "some.hdf5", stack)


def test_damage_is_noticed(one_point, tmp_path: Path) -> None:
    path = tmp_path / "some_dataset.hdf5"
    write_dataset(path, one_point.rf())
    whole = path.read_bytes()
    assert is_whole(path)

    with h5py.File(path) as file:
        chunk = file["US/US_DATASET0000/data/real"].id.get_chunk_info(1)
    place = chunk.byte_offset + chunk.size // 2
    flipped = bytes([whole[place] ^ 0xFF])
    for damaged in (
        b"",
        b"not HDF5",
        whole[: len(whole) // 2],
        whole[:place] + flipped + whole[place + 1 :],
    ):
        path.write_bytes(damaged)
        assert not is_whole(path)
    path.unlink()
    assert not is_whole(path)
