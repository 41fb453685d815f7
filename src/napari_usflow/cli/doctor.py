"""``usflow doctor``: check what works on this machine, and say how to mend the rest.

Nothing is sent anywhere, and the report holds no path, file or user name, so that it
can be pasted into a bug report as it is.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import re
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib import import_module, metadata, resources
from typing import Literal

from napari_usflow import __version__
from napari_usflow.cli.gui import has_screen
from napari_usflow.cli.reporting import Reporter, show_json
from napari_usflow.errors import UsflowError
from napari_usflow.io.guards.optional_packages import LIBRARY_ERRORS

__all__ = ["CHECKS", "Check", "configure", "run", "shipped_weights"]

DISTRIBUTION = "napari-usflow"
REINSTALL = "pip install --force-reinstall --no-deps napari-usflow"
EVERYTHING = 'pip install "napari-usflow[all]"'

# Import names of packages that are installed under another one.
_IMPORT_NAMES = {"python-gdcm": "gdcm"}
_AUTHORS_EXTRAS = {"all", "bench"}
# Whatever a broken package raises when it is loaded or used.
_FAILURES: tuple[type[Exception], ...] = (
    *LIBRARY_ERRORS,
    ImportError,
    UsflowError,
    subprocess.SubprocessError,
)
_COLUMNS = 80
_PROBE_LIMIT_S = 60.0
_LEAST_MEMORY = 2 * 2**30


@dataclass(frozen=True)
class Check:
    """The outcome of one check.

    Attributes
    ----------
    name : str
        What was checked.
    state : str
        ``ok``, ``absent`` (optional and not there) or ``broken``.
    text : str
        What was found.
    advice : str
        What to do; empty when nothing is.
    """

    name: str
    state: Literal["ok", "absent", "broken"]
    text: str
    advice: str = ""


def configure(parser: argparse.ArgumentParser, argv: Sequence[str]) -> None:
    """Add the arguments of the command."""
    parser.add_argument("--json", action="store_true", help="write JSON, for a report")
    parser.epilog = "The exit code is 1 when something is broken."


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    checks = []
    reporter = Reporter()
    for name, check in CHECKS.items():
        reporter.status(f"checking {name}")
        checks.append(_outcome(name, check))
    reporter.status("")
    broken = any(check.state == "broken" for check in checks)
    if args.json:
        show_json(
            {
                "ok": not broken,
                **_machine(),
                "checks": [asdict(check) for check in checks],
                "packages": _package_versions(),
            }
        )
    else:
        for line in _lines(checks):
            print(line)
    return int(broken)


def _outcome(name: str, check: Callable[[], Check]) -> Check:
    """Run a check; whatever it raises is a finding, not the end of the report."""
    try:
        return check()
    except _FAILURES as error:
        text = " ".join(f"{type(error).__name__}: {error}".split())
        return Check(name, "broken", text[:200], f"reinstall: {EVERYTHING}")


def _lines(checks: Sequence[Check]) -> Iterator[str]:
    machine = _machine()
    yield f"usflow {machine['usflow']}, Python {machine['python']}, {machine['system']}"
    yield ""
    marks = {"ok": "ok", "absent": "--", "broken": "BROKEN"}
    width = max(len(check.name) for check in checks)
    for check in checks:
        start = f"{marks[check.state]:>6}  {check.name:<{width}}  "
        yield from _wrapped(start, check.text, len(start))
    advised = [check for check in checks if check.advice]
    if advised:
        yield ""
        yield "What to do (what is marked -- is optional):"
        for check in advised:
            yield from _wrapped(f"  {check.name}: ", check.advice, 4)
    yield ""
    if any(check.state == "broken" for check in checks):
        yield "Something is broken. For a bug report: usflow doctor --json"
    else:
        yield "Everything that is installed works."


def _wrapped(start: str, text: str, indent: int) -> list[str]:
    """Lines of a text on a terminal of the usual width; commands stay whole."""
    return textwrap.wrap(
        text,
        _COLUMNS,
        initial_indent=start,
        subsequent_indent=" " * indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _machine() -> dict[str, str]:
    return {
        "usflow": __version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
    }


def _requirements() -> Iterator[tuple[str, str]]:
    """Pairs of a required package and the extra that wants it, empty for none."""
    for line in metadata.requires(DISTRIBUTION) or []:
        requirement, _, marker = line.partition(";")
        name = re.match(r"[\w.-]+", requirement)
        extra = re.search(r"""extra\s*==\s*['"]([\w-]+)""", marker)
        if name:
            yield name[0], extra[1] if extra else ""


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _package_versions() -> dict[str, str | None]:
    try:
        names = {name for name, _ in _requirements()}
    except metadata.PackageNotFoundError:
        return {}
    return {name: _version(name) for name in sorted(names)}


def _packages() -> Check:
    needed = sorted(name for name, extra in _requirements() if not extra)
    missing = [name for name in needed if _version(name) is None]
    if missing:
        advice = f"pip install {' '.join(missing)}"
        return Check("packages", "broken", f"missing: {', '.join(missing)}", advice)
    return Check("packages", "ok", f"all {len(needed)} that are always needed")


def _torch() -> Check:
    import torch

    from napari_usflow.device import available_devices, choose_device, computes_bfloat16

    device = choose_device()
    facts = [torch.__version__, f"computes on {device}"]
    if device.type == "cuda":
        facts.append(torch.cuda.get_device_name(device))
    facts.append(f"{torch.get_num_threads()} of {os.cpu_count()} cores")
    facts.append("bfloat16" if computes_bfloat16(device) else "float32")
    advice = ""
    if torch.version.cuda and available_devices() == ["cpu"]:
        advice = (
            "no NVIDIA card is usable; the CPU build is several GB smaller: "
            "pip install torch --index-url https://download.pytorch.org/whl/cpu"
        )
    return Check("torch", "ok", ", ".join(facts), advice)


def _memory() -> Check:
    import psutil

    memory = psutil.virtual_memory()
    text = f"{memory.available / 2**30:.1f} of {memory.total / 2**30:.1f} GiB free"
    if memory.available < _LEAST_MEMORY:
        return Check("memory", "broken", text, "close other programs: 2 GiB are needed")
    return Check("memory", "ok", text)


def _napari() -> Check:
    version = _version("napari")
    if version is None:
        return Check("napari", "absent", "not installed: no windows", EVERYTHING)
    from npe2 import PluginManager

    manager = PluginManager.instance()
    manager.discover()
    if DISTRIBUTION not in manager:
        return Check("napari", "broken", f"{version} has no such plugin", REINSTALL)
    if manager.is_disabled(DISTRIBUTION):
        return Check(
            "napari",
            "broken",
            f"{version}, the plugin is switched off",
            "switch it on under Plugins > Install/Uninstall Plugins",
        )
    return Check("napari", "ok", f"{version}, the plugin is registered")


def _window() -> Check:
    if _version("napari") is None:
        return Check("window", "absent", "not checked without napari")
    if not (has_screen() or os.environ.get("QT_QPA_PLATFORM")):
        return Check(
            "window",
            "absent",
            "no screen: napari cannot be opened here",
            "the command line works without one; usflow gui wants a desktop",
        )
    done = subprocess.run(
        [sys.executable, "-m", "napari_usflow._napari.qt_probe"],
        capture_output=True,
        text=True,
        timeout=_PROBE_LIMIT_S,
        check=False,
    )
    return _window_outcome(done.returncode, done.stdout, done.stderr)


def _window_outcome(code: int, output: str, errors: str) -> Check:
    """Judge what :mod:`napari_usflow._napari.qt_probe` wrote."""
    if code:
        said = [line for line in errors.splitlines() if line.strip()]
        advice = "Qt cannot start; pip install --force-reinstall pyqt6"
        if sys.platform == "linux":
            advice = "on Debian: apt-get install libegl1 libgl1 libxcb-cursor0 and, if "
            advice += "QT_DEBUG_PLUGINS=1 usflow gui names others, those"
        return Check("window", "broken", f"Qt: {(said or ['no word'])[-1]}", advice)
    window = json.loads(output.splitlines()[-1])
    text = f"{window['binding']} {window['qt']} on {window['platform']}"
    if not window["opengl"]:
        advice = "install the driver of the graphics card, or Mesa (libgl1-mesa-dri)"
        return Check("window", "broken", f"{text}, no OpenGL", advice)
    if not window["font"]:
        advice = "install a font, such as Debian's fonts-dejavu-core"
        return Check("window", "broken", f"{text}, no fonts", advice)
    text += f", OpenGL {window['opengl']}, font {window['font']}"
    return Check("window", "ok", text)


def _extras() -> Check:
    wanted: dict[str, list[str]] = {}
    for name, extra in _requirements():
        if extra and extra not in _AUTHORS_EXTRAS and name != DISTRIBUTION:
            wanted.setdefault(extra, []).append(name)
    absent = [extra for extra, names in wanted.items() if None in map(_version, names)]
    present = [extra for extra in wanted if extra not in absent]
    for extra in present:
        for name in wanted[extra]:
            try:
                import_module(_IMPORT_NAMES.get(name, name.replace("-", "_")))
            except _FAILURES as error:
                return Check(
                    "extras",
                    "broken",
                    f"{extra}: {name} cannot be loaded ({error})",
                    f"pip install --force-reinstall {name}",
                )
    text = ", ".join(sorted(present)) or "none"
    if absent:
        names = ",".join(sorted(absent))
        advice = f'pip install "napari-usflow[{names}]"'
        return Check("extras", "absent", f"{text}; not {names}", advice)
    return Check("extras", "ok", text)


def _ffmpeg() -> Check:
    if _version("imageio-ffmpeg") is None:
        text = "not installed: no MP4, no AVI"
        return Check("ffmpeg", "absent", text, 'pip install "napari-usflow[video]"')
    import imageio_ffmpeg

    return Check("ffmpeg", "ok", str(imageio_ffmpeg.get_ffmpeg_version()))


def shipped_weights() -> dict[str, tuple[str, str]]:
    """Hash the shipped weights.

    Returns
    -------
    dict
        By name, the SHA-256 of the file and that in its model card.
    """
    hashes = {}
    for room in ("prior", "networks"):
        folder = resources.files(f"napari_usflow.{room}") / "weights"
        for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
            name, dot, ending = entry.name.partition(".")
            if dot + ending == ".safetensors":
                card = (folder / f"{name}.md").read_text(encoding="utf-8")
                stated = re.search(r"\| SHA-256 \| `([0-9a-f]{64})`", card)
                digest = hashlib.sha256(entry.read_bytes()).hexdigest()
                hashes[name] = digest, stated[1] if stated else ""
    return hashes


def _weights() -> Check:
    hashes = shipped_weights()
    wrong = [name for name, (digest, stated) in hashes.items() if digest != stated]
    if wrong or not hashes:
        text = f"damaged: {', '.join(wrong)}" if wrong else "there are none"
        return Check("weights", "broken", text, REINSTALL)
    return Check("weights", "ok", f"{', '.join(hashes)} as released")


def _self_test() -> Check:
    """Denoise two grey areas 20 dB apart under simulated speckle."""
    import numpy as np

    import napari_usflow as usf

    start = time.perf_counter()
    size, step_db = 64, 20.0
    tissue = np.full((size, size), 0.5, np.float32)
    tissue[:, size // 2 :] -= step_db / 60
    noisy = usf.simulate_speckle(tissue, seed=0)
    grid = usf.PixelGrid(noisy.shape, (0.4375, 0.4375), (0.0, 0.0))
    image = usf.UltrasoundImage(noisy[np.newaxis], "db", grid)
    clean = np.asarray(usf.denoise(image).data[0])
    seconds = time.perf_counter() - start
    left, right = clean[:, 6 : size // 2 - 6], clean[:, size // 2 + 6 : -6]
    before = noisy[:, 6 : size // 2 - 6].std()
    after = max(left.std(), right.std())
    apart = left.mean() - right.mean()
    text = f"speckle {before:.1f} to {after:.1f} dB, "
    text += f"step {apart:.1f} of {step_db:.0f} dB, {seconds:.1f} s"
    if after > 2.0 or abs(apart - step_db) > 2.0:
        return Check("self-test", "broken", text, "please report this")
    return Check("self-test", "ok", text)


CHECKS: dict[str, Callable[[], Check]] = {
    "packages": _packages,
    "torch": _torch,
    "memory": _memory,
    "napari": _napari,
    "window": _window,
    "extras": _extras,
    "ffmpeg": _ffmpeg,
    "weights": _weights,
    "self-test": _self_test,
}
"""Checks in the order of the report."""
