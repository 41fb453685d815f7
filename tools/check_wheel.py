"""Build the wheel and look inside: all that must ship is there, and nothing else."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "src" / "napari_usflow"


def shipped_files() -> set[str]:
    """Give the names inside a freshly built wheel."""
    with tempfile.TemporaryDirectory() as folder:
        pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
        build = [*pip, "wheel", "--no-deps", "--wheel-dir", folder, str(ROOT)]
        subprocess.run(build, check=True)
        (wheel,) = Path(folder).glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            return set(archive.namelist())


def wanted_files() -> set[str]:
    """Give what the package has to hold: code, manifest, types, weights with cards."""
    weights = sorted(PACKAGE.glob("*/weights/*.safetensors"))
    files = [
        *PACKAGE.rglob("*.py"),
        PACKAGE / "__init__.pyi",
        PACKAGE / "napari.yaml",
        PACKAGE / "py.typed",
        *weights,
        *(path.with_suffix(".md") for path in weights),
    ]
    return {path.relative_to(PACKAGE.parent).as_posix() for path in files}


def main() -> int:
    """Say in a line what is wrong, or how many files ship."""
    shipped, wanted = shipped_files(), wanted_files()
    stray = {
        name
        for name in shipped - wanted
        if not name.split("/")[0].endswith(".dist-info")
    }
    for problem, names in (("missing", wanted - shipped), ("not expected", stray)):
        if names:
            print(f"wheel: {problem}: {', '.join(sorted(names))}", file=sys.stderr)
    if wanted - shipped or stray:
        return 1
    for room in ("prior", "networks"):
        folder = f"{PACKAGE.name}/{room}/weights/"
        if not any(
            n.startswith(folder) and n.endswith(".safetensors") for n in shipped
        ):
            print(f"wheel: there are no weights in {folder}", file=sys.stderr)
            return 1
    print(f"wheel: {len(shipped)} files, manifest, types and weights among them")
    return 0


if __name__ == "__main__":
    sys.exit(main())
