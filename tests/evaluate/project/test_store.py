"""Projects: written whole, read back the same, read in part when damaged."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import napari_usflow as usf
import project_files
from napari_usflow.errors import Cancelled, FileFormatError
from napari_usflow.evaluate.project.store import read_project, write_project_events
from napari_usflow.io.project.archive import DESCRIPTION, Archive
from napari_usflow.io.project.images import Link, file_sha256
from napari_usflow.jobs import CancelToken, result_of


@pytest.fixture
def path(tmp_path) -> Path:
    return project_files.write(tmp_path / "heart.usflow")


def test_what_was_written_is_read(path) -> None:
    stored, written = read_project(path), project_files.project()

    assert stored.problems == []
    for image, original in zip(stored.images, written.images, strict=True):
        np.testing.assert_array_equal(image.data, original.data)
        assert replace(image, data=None, provenance={}, look={}) == replace(
            original, data=None, provenance={}, look={}
        )
        assert dict(image.provenance) == dict(original.provenance)
    for region, original in zip(stored.regions, written.regions, strict=True):
        np.testing.assert_array_equal(region.points_mm, original.points_mm)
        assert (region.role, region.name) == (original.role, original.name)
    np.testing.assert_array_equal(stored.regions[2].mask, written.regions[2].mask)
    for mark, original in zip(stored.marks, written.marks, strict=True):
        np.testing.assert_array_equal(mark.points_mm, original.points_mm)
        assert (mark.text, mark.reader, mark.done, mark.frame) == (
            original.text,
            original.reader,
            original.done,
            original.frame,
        )
    np.testing.assert_equal(
        [[vars(row) for row in rows] for rows in stored.numbers],
        [[vars(row) for row in rows] for rows in written.numbers],
    )
    np.testing.assert_array_equal(stored.drawn[1].data, written.drawn[1].data)
    assert stored.view == {"zoom": 3.0}
    assert stored.frame == 1


def test_numbers_are_measured_again_the_same(path) -> None:
    stored = read_project(path)

    for again, kept in zip(stored.measured(), stored.numbers, strict=True):
        for row, original in zip(again, kept, strict=True):
            assert row.known() == original.known()


def test_any_command_reads_its_images(path) -> None:
    images = usf.read(path)

    assert [image.metadata["name"] for image in images][:2] == ["clip", "clip [best]"]
    assert images[0].grid == project_files.GRID
    assert images[0].values == "db"


def test_written_twice_the_second_replaces_the_first(path) -> None:
    changed = replace(project_files.project(), frame=2)
    project_files.write(path, changed)

    assert read_project(path).frame == 2
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_a_large_image_is_mapped_and_aligned(path, monkeypatch) -> None:
    monkeypatch.setattr("napari_usflow.io.project.archive._IN_MEMORY_BYTES", 10)

    image = read_project(path).images[0].data

    assert isinstance(image, np.memmap)
    assert image.flags.aligned
    np.testing.assert_array_equal(image, project_files.clip())


def test_cancelled_saving_leaves_the_old_project(path) -> None:
    before, token = path.read_bytes(), CancelToken()
    events = write_project_events(path, project_files.project(), token=token)
    next(events)
    token.cancel()

    with pytest.raises(Cancelled):
        next(events)
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == [path.name]


@pytest.mark.skipif(sys.platform == "win32", reason="has no SIGKILL")
def test_a_kill_while_saving_leaves_the_old_project(path) -> None:
    before = path.read_bytes()
    code = (
        "import sys, time, project_files\n"
        "from napari_usflow.evaluate.project.store import write_project_events\n"
        "from pathlib import Path\n"
        "events = write_project_events(Path(sys.argv[1]), project_files.project())\n"
        "next(events); next(events)\n"
        "print('half', flush=True)\n"
        "time.sleep(60)\n"
    )
    tests = str(Path(__file__).parents[2])
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([tests, os.environ.get("PYTHONPATH", "")]),
    }
    with subprocess.Popen(
        [sys.executable, "-c", code, str(path)],
        stdout=subprocess.PIPE,
        env=environment,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"half\n"
        parts = [p for p in path.parent.iterdir() if p != path]
        assert parts
        process.send_signal(signal.SIGKILL)
    assert path.read_bytes() == before
    assert read_project(path).problems == []
    # The next save clears the killed one's part away.
    old = time.time() - 3600
    for part in parts:
        os.utime(part, (old, old))
    project_files.write(path)
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_of_a_file_that_is_cut_off_the_whole_images_are_read(path) -> None:
    content = path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        cut = archive.getinfo("images/1.npy").header_offset + 500
    path.write_bytes(content[:cut])

    stored = read_project(path)

    np.testing.assert_array_equal(stored.images[0].data, project_files.clip())
    assert stored.images[1].data is None
    assert "cut off" in stored.problems[0]
    assert any("'clip [best]' is left out" in text for text in stored.problems)
    assert len(stored.marks) == 4
    assert [image.name for image in stored.compared_images()] == ["clip"]


def test_a_changed_byte_is_noticed(path) -> None:
    with zipfile.ZipFile(path) as archive:
        place = archive.getinfo("images/0.npy").header_offset + 1000
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)

    stored = read_project(path)

    assert stored.images[0].data is None
    assert "damaged" in stored.images[0].problem
    assert stored.images[1].data is not None


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"version": 99}, "version 99"),
        ({"images": 5}, "list of images"),
    ],
)
def test_what_is_no_project_of_ours_is_refused(path, change, says) -> None:
    _rewrite(path, change)

    with pytest.raises(FileFormatError, match=says):
        read_project(path)


def test_damaged_parts_are_left_out_and_named(path) -> None:
    record = Archive(path).description
    record["marks"][0]["points"] = "nonsense"
    record["regions"][1]["role"] = "king"
    record["images"][2]["grid"]["step"] = [-1, 1]
    _rewrite(path, record)

    stored = read_project(path)

    assert len(stored.marks) == 3
    assert len(stored.regions) == 2
    assert stored.images[2].data is None
    assert any("Number 1 of the marks" in text for text in stored.problems)
    assert any("Number 2 of the regions" in text for text in stored.problems)


def test_a_compressed_copy_is_refused(path, tmp_path) -> None:
    packed = tmp_path / "packed.usflow"
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(packed, "w", 8) as new:
        for info in old.infolist():
            new.writestr(info.filename, old.read(info))

    with pytest.raises(FileFormatError, match="compressed"):
        read_project(packed)


def test_an_image_may_stay_in_a_file_beside_the_project(tmp_path) -> None:
    np.save(tmp_path / "clip.npy", project_files.clip())
    link = Link("clip.npy", file_sha256(tmp_path / "clip.npy"))
    content = project_files.project()
    linked = replace(content.images[0], link=link, data=None)
    path = tmp_path / "linked.usflow"
    project_files.write(path, replace(content, images=[linked, *content.images[1:]]))

    stored = read_project(path)

    np.testing.assert_array_equal(stored.images[0].data, project_files.clip())
    assert stored.images[0].link == link
    np.save(tmp_path / "clip.npy", project_files.clip() + 1)
    assert "not the file that was linked" in read_project(path).problems[0]
    (tmp_path / "clip.npy").unlink()
    assert "cannot be opened" in read_project(path).problems[0]


@pytest.mark.parametrize("name", ["../clip.npy", "/etc/passwd", "sub/clip.npy"])
def test_a_link_to_another_folder_is_not_followed(tmp_path, name) -> None:
    content = project_files.project()
    linked = replace(content.images[0], link=Link(name, "0" * 64), data=None)
    path = tmp_path / "linked.usflow"
    project_files.write(path, replace(content, images=[linked]))

    assert "does not lie beside" in read_project(path).problems[0]


def test_nothing_of_a_lazy_stack_is_read_at_once(tmp_path) -> None:
    read: list[object] = []

    class Frames:
        shape, dtype = (3, *project_files.SHAPE), np.dtype(np.float32)

        def __getitem__(self, key: object) -> np.ndarray:
            read.append(key)
            return project_files.clip()[key]

    content = project_files.project()
    lazy = replace(content.images[0], data=Frames())
    events = write_project_events(
        tmp_path / "lazy.usflow", replace(content, images=[lazy])
    )
    next(events)
    assert read == [0]
    result_of(events)
    assert read == [0, 1, 2]


def _rewrite(path: Path, change: dict) -> None:
    """Change the description and leave the rest."""
    with zipfile.ZipFile(path) as archive:
        entries = {info.filename: archive.read(info) for info in archive.infolist()}
    description = {**json.loads(entries[DESCRIPTION]), **change}
    entries[DESCRIPTION] = json.dumps(description).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
