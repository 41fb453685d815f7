"""Attacks on what is read: bombs, references and weights."""

from __future__ import annotations

import json
import os
import resource
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from attack_common import Outcome, Rng

import all_bombs
import example_files
import example_mri
import example_packed
from peak_memory import peaks_of

ALLOWED_BYTES = 300 * 10**6
# What lies behind the pixels of these, and long texts, is never looked at.
READ = {"nifti behind", "matlab-5 behind", "fastmri texts", "fastmri text", "tiff lzw"}


def bombs(folder: Path, times: int, rng: Rng) -> Iterator[Outcome]:
    """Read each bomb in a child; what it takes is at most 300 MB."""
    for makers in (all_bombs.IMAGES, all_bombs.MRI):
        paths = []
        for name, make in makers.items():
            place = folder / name.replace(" ", "-")
            place.mkdir()
            paths.append(make(place))
        is_mri = makers is all_bombs.MRI
        found = peaks_of(paths, warm=paths[:1], is_mri=is_mri)
        for name, peak in zip(makers, found, strict=True):
            refused = name in READ or bool(peak.lines[-1])
            yield Outcome(
                name,
                refused and peak.grown_bytes < ALLOWED_BYTES,
                f"{peak.grown_bytes / 1e6:.0f} MB",
            )


def references(folder: Path, times: int, rng: Rng) -> Iterator[Outcome]:
    """Name other files inside of one; none of them is opened."""
    import h5py
    import tifffile

    from napari_usflow import io

    def refused(path: Path) -> tuple[bool, str]:
        try:
            for image in io.read(path):
                np.asarray(image.data[0])
        except ValueError as error:
            return "\n" not in str(error), str(error).split("/")[-1][:90]
        return False, "was read"

    os.mkfifo(folder / "pipe.tif")
    tifffile.imwrite(folder / "secret.tif", np.full((12, 10), 77, np.uint8))
    for name in ("secret.tif", "../secret.tif", "pipe.tif"):
        path = folder / "multi.ome.tif"
        planes = "".join(
            f'<TiffData FirstT="{n}" IFD="0" PlaneCount="1"><UUID FileName="{file}">'
            f"urn:uuid:{n}</UUID></TiffData>"
            for n, file in enumerate(("multi.ome.tif", name))
        )
        text = (
            '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" '
            'UUID="urn:uuid:0"><Image ID="Image:0"><Pixels ID="Pixels:0" '
            'DimensionOrder="XYCZT" Type="uint8" SizeX="10" SizeY="12" SizeC="1" '
            f'SizeZ="1" SizeT="2">{planes}</Pixels></Image></OME>'
        )
        plane = np.zeros((12, 10), np.uint8)
        tifffile.imwrite(path, plane, description=text, metadata=None)
        yield Outcome(f"OME-TIFF naming {name}", *refused(path))
    for kind in example_files.HDF5:
        place = folder / kind
        place.mkdir()
        path = example_files.HDF5[kind](place)
        with h5py.File(path, "r+") as file:
            del file[example_files.DATA[kind]]
            link = h5py.ExternalLink(str(folder / "other.h5"), "/secret")
            file[example_files.DATA[kind]] = link
        yield Outcome(f"{kind} with an external link", *refused(path))
    for piece in ("0/c/0/0/0", "0", "zarr.json", "done/c/1"):
        place = Path(tempfile.mkdtemp(dir=folder))
        path = example_packed.zarr_stack(place)
        (path / piece).rename(place / "elsewhere")
        (path / piece).symlink_to(place / "elsewhere")
        yield Outcome(f"zarr with a link at {piece}", *refused(path))
    place = folder / "clarius"
    place.mkdir()
    path = example_files.clarius(place)
    path.with_suffix(".yml").rename(place / "elsewhere")
    path.with_suffix(".yml").symlink_to(place / "elsewhere")
    yield Outcome("Clarius with a link", *refused(path))


def weights(folder: Path, times: int, rng: Rng) -> Iterator[Outcome]:
    """Load weights that are not finite, nested or larger than their file."""
    from safetensors.torch import load_file, save_file

    from napari_usflow.errors import PriorError
    from napari_usflow.networks.store import FORMAT as NETWORK
    from napari_usflow.networks.store import load_network
    from napari_usflow.prior.flow_prior import load_prior
    from napari_usflow.prior.store import FORMAT as PRIOR
    from napari_usflow.training.checkpoint_file import read_state

    def refused(load: Callable[[], object]) -> tuple[bool, str]:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        try:
            load()
        except PriorError as error:
            grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
            one = "\n" not in str(error) and "weights_only" not in str(error)
            return one and grown < 2e5, str(error).partition(": ")[2][:90]
        return False, "was loaded"

    absurd = {
        PRIOR: {"patch_size": 8, "steps": [4096] * 3, "hidden": [4096] * 3},
        NETWORK: {"channels": [4096], "blocks": [200]},
    }
    for stated, make, load in (
        (PRIOR, example_mri.prior, load_prior),
        (NETWORK, example_mri.network, load_network),
    ):
        good = make(folder)
        kind, bad = good.stem, folder / f"bad-{good.name}"
        note = json.loads(_metadata(good)["usflow"])
        for what in ("not finite", "deeply nested", "absurd", "without a pixel"):
            tensors, text = load_file(good), json.dumps(note)
            if what == "not finite":
                next(iter(tensors.values())).view(-1)[0] = float(rng.choice([1, -1]))
                tensors = {k: v / 0 if v.is_floating_point() else v for k, v in
                           tensors.items()}  # fmt: skip
            elif what == "deeply nested":
                text = "[" * 10**5
            elif what == "absurd":
                text = json.dumps({**note, "architecture": absurd[stated]})
            else:
                text = json.dumps({**note, "pixel_mm": None})
            save_file(tensors, bad, {"format": stated, "usflow": text})
            yield Outcome(
                f"{kind} {what}", *refused(lambda f=bad, g=load: g(f, device="cpu"))
            )
    path = example_mri.checkpoint(folder)
    content = path.read_bytes()
    for what, damaged in (
        ("pickle", b"\x80\x04cbuiltins\nprint\n(S'x'\ntR."),
        ("cut", content[: len(content) // 2]),
        ("noise", content[:64] + rng.bytes(len(content) - 64)),
    ):
        path.write_bytes(damaged)
        yield Outcome(f"checkpoint: {what}", *refused(lambda: read_state(path, "flow")))


def _metadata(path: Path) -> dict[str, str]:
    from safetensors import safe_open

    with safe_open(path, framework="numpy") as file:
        return dict(file.metadata())
