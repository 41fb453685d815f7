"""Where the data of the figures are, below one folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from napari_usflow.io import detect

__all__ = ["Folders", "find_hearts"]


@dataclass(frozen=True)
class Folders:
    """Folders of data; a figure that needs one that is missing is left out.

    Attributes
    ----------
    data : Path
        Searched for images of PICMUS and acquisitions of CUBDL, at any depth.
    train : Path
        MRI to train on, and to show patches of.
    test : Path
        MRI of other subjects, to score on.
    """

    data: Path
    train: Path
    test: Path

    @classmethod
    def below(
        cls, data: Path, train: Path | None = None, test: Path | None = None
    ) -> Folders:
        """Take ``mri/train`` and ``mri/report`` (or ``mri/val``), or what is named."""
        report, val = data / "mri" / "report", data / "mri" / "val"
        usual = report if report.is_dir() else val
        return cls(data, train or data / "mri" / "train", test or usual)

    def need(self, folder: Path, what: str) -> Path:
        """Return a folder; ValueError where it is missing."""
        if not folder.is_dir():
            raise ValueError(f"{folder} is missing; it is to hold {what}")
        return folder


def find_hearts(data: Path) -> list[Path]:
    """List the hearts of CUBDL: OSL011 to OSL014, of Oslo's phased array."""
    paths = sorted(data.rglob("OSL01[1-4]*.h*5"))
    return [path for path in paths if detect(path) == "cubdl"]
