"""The statistics of drawn sectors."""

from __future__ import annotations

from pathlib import Path

from napari_usflow.jobs import result_of
from napari_usflow.lab.sectors.run import (
    drawn_sectors_events,
    summary_lines,
    write_sector_fits,
)


def test_a_line_a_screen_and_a_line_a_kind(tmp_path: Path) -> None:
    fits = result_of(drawn_sectors_events(2, first_seed=30))

    path = write_sector_fits(fits, tmp_path / "sectors.csv")

    assert len(path.read_text().splitlines()) == 3
    assert [fit.kind for fit in fits] == ["phased", "virtual apex"]
    assert summary_lines(fits)[-1].startswith("| all | 2 |")
