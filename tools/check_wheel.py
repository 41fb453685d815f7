"""Build the files of a release into ``dist/`` and look inside.

The wheel holds all that must ship and nothing else, the source distribution builds the
very same wheel, and what PyPI will show has no link that leads nowhere.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from collections.abc import Iterator
from email import message_from_bytes
from hashlib import sha256
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DIST = ROOT / "dist"
PACKAGE = ROOT / "src" / "napari_usflow"
LARGEST_WHEEL = 60 * 10**6


def build(source: Path, folder: Path, *what: str) -> None:
    """Build distributions of a source tree into a folder."""
    command = [sys.executable, "-m", "build", *what, "--outdir", str(folder)]
    done = subprocess.run(
        [*command, str(source)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"wheel: build failed\n{done.stdout}{done.stderr}")


def build_all() -> tuple[Path, Path]:
    """Build sdist and wheel into ``dist/`` and return the wheel and its twin."""
    shutil.rmtree(DIST, ignore_errors=True)
    build(ROOT, DIST, "--sdist", "--wheel")
    (wheel,) = DIST.glob("*.whl")
    (sdist,) = DIST.glob("*.tar.gz")
    unpacked = Path(tempfile.mkdtemp())
    shutil.unpack_archive(sdist, unpacked, filter="data")
    (source,) = unpacked.iterdir()
    build(source, unpacked / "dist", "--wheel")
    (twin,) = (unpacked / "dist").glob("*.whl")
    return wheel, twin


def wanted_files() -> set[str]:
    """Give what the package holds: code, pages, manifest, types, weights with cards."""
    weights = sorted(PACKAGE.glob("*/weights/*.safetensors"))
    files = [
        *PACKAGE.rglob("*.py"),
        *PACKAGE.rglob("*.html"),
        PACKAGE / "__init__.pyi",
        PACKAGE / "napari.yaml",
        PACKAGE / "py.typed",
        *weights,
        *(path.with_suffix(".md") for path in weights),
    ]
    return {path.relative_to(PACKAGE.parent).as_posix() for path in files}


def problems_of_contents(shipped: set[str], wanted: set[str]) -> Iterator[str]:
    """Say which files are missing from the wheel, or have no place there."""
    code = {name for name in shipped if not name.split("/")[0].endswith(".dist-info")}
    for problem, names in (("missing", wanted - code), ("not expected", code - wanted)):
        if names:
            yield f"{problem}: {', '.join(sorted(names))}"
    for room in ("prior", "networks"):
        folder = f"{PACKAGE.name}/{room}/weights/"
        if not any(n.startswith(folder) and n.endswith(".safetensors") for n in code):
            yield f"there are no weights in {folder}"


def problems_of_links(description: str, version: str) -> Iterator[str]:
    """Say which links of the published description lead nowhere."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    source = project["urls"]["Source Code"]
    raw = source.replace("https://github.com", "https://raw.githubusercontent.com")
    places = (f"{raw}/v{version}/", f"{source}/blob/v{version}/")
    for mark, link in re.findall(r"(!?)\[[^\]]*\]\(([^)]+)\)", description):
        start = next((place for place in places if link.startswith(place)), None)
        if start and not (ROOT / link.removeprefix(start).partition("#")[0]).exists():
            yield f"the README links to a file that is not there: {link}"
        if not start and not link.startswith(("https://", "#")):
            yield f"the README has a relative link, which PyPI does not show: {link}"
        if mark and start == places[1]:
            yield f"the README shows a page in place of a picture: {link}"


def problems(wheel: Path, twin: Path) -> Iterator[str]:
    """Say what is wrong with what was built."""
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        (path,) = (n for n in names if n.endswith(".dist-info/METADATA"))
        metadata = message_from_bytes(archive.read(path))
    yield from problems_of_contents(names, wanted_files())
    yield from problems_of_links(str(metadata.get_payload()), metadata["Version"])
    if wheel.read_bytes() != twin.read_bytes():
        yield "the source distribution builds another wheel"
    if wheel.stat().st_size > LARGEST_WHEEL:
        yield f"{wheel.stat().st_size / 1e6:.0f} MB; PyPI takes 100 MB"


def main() -> int:
    """Say in lines what is wrong, or how many files ship."""
    wheel, twin = build_all()
    found = list(problems(wheel, twin))
    for problem in found:
        print(f"wheel: {problem}", file=sys.stderr)
    checks = [
        ["twine", "check", "--strict", *map(str, sorted(DIST.iterdir()))],
        ["check_wheel_contents", str(wheel)],
    ]
    failed = [
        subprocess.run([sys.executable, "-m", *command], check=False).returncode
        for command in checks
    ]
    if found or any(failed):
        return 1
    size = wheel.stat().st_size / 1e6
    (sdist,) = DIST.glob("*.tar.gz")
    print(f"wheel: SHA-256 of {sdist.name}: {sha256(sdist.read_bytes()).hexdigest()}")
    print(f"wheel: {wheel.name}, {size:.0f} MB, the same from the sdist")
    return 0


if __name__ == "__main__":
    sys.exit(main())
