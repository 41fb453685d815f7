from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from napari_usflow.denoising.array_types import Frame
from napari_usflow.denoising.contract import Denoiser
from napari_usflow.evaluate.tables import Scored
from napari_usflow.jobs import Progress
from napari_usflow.lab.figures import sector
from napari_usflow.lab.figures.sector_figures import write_sector
from napari_usflow.ultrasound.data import PolarGrid, UltrasoundImage
from napari_usflow.ultrasound.simulate.heart import heart_regions

GRID = PolarGrid((205, 96), (14.0, 0.5), (-0.66, 0.014))


class Halfway(Denoiser):
    """Brings every value half way to -30 dB."""

    name = "halfway"

    def __init__(self) -> None:
        self.params, self.weights, self.device = None, None, "cpu"

    def run(self, frame: Frame, run):
        yield Progress(1, 2)
        return np.asarray(0.5 * frame + 0.25, np.float32)


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """What the test yields, and then gives, for speckle of 4 dB on a brighter heart."""
    radius, angle = np.meshgrid(*GRID.axes(), indexing="ij")
    regions = heart_regions(radius * np.cos(angle), radius * np.sin(angle))
    level = np.where(regions["cavity"] | regions["muscle"], -20.0, -40.0)
    frame = level + np.random.default_rng(0).normal(0, 4, GRID.shape)
    image = UltrasoundImage(frame[None].astype(np.float32), "db", GRID)

    def giving(value):
        def events(*_, **__):
            yield Progress(1, 1)
            return value

        return events

    monkeypatch.setattr(sector, "simulate_heart_events", giving(None))
    monkeypatch.setattr(sector, "beamform_events", giving(image))
    monkeypatch.setattr(sector, "create", lambda *_, **__: Halfway())
    events, seen = sector.sector_events(), []
    while True:
        try:
            seen.append(next(events))
        except StopIteration as stop:
            return [*seen, stop.value]


def test_the_picture_is_scored_before_and_after_both_ways(made) -> None:
    test = made[-1]

    assert [score.image for score in test.scores] == ["input", "lines", "picture"]
    noisy, lines, _ = test.scores
    # Interpolating between pixels takes some of the spread away.
    assert 2.2 < noisy.near_db < 4 and 2.2 < noisy.far_db < 4
    assert lines.near_db == pytest.approx(noisy.near_db / 2, rel=0.02)
    assert lines.muscle_db == pytest.approx(noisy.muscle_db / 2, rel=0.02)
    # 20 dB apart with a spread of less than 4 dB: hardly any overlap.
    assert noisy.gcnr > 0.95
    assert isinstance(test.images["lines"].grid, PolarGrid)
    assert not isinstance(test.images["picture"].grid, PolarGrid)


def test_every_line_is_told_and_progress_grows(made) -> None:
    assert [e.score for e in made if isinstance(e, Scored)] == made[-1].scores
    shares = [e.done / e.total for e in made if isinstance(e, Progress)]
    assert shares == sorted(shares) and shares[0] > 0 and shares[-1] <= 1


def test_table_and_figure_are_written(made, tmp_path: Path) -> None:
    paths = write_sector(made[-1], tmp_path / "new")

    assert [path.name for path in paths] == ["sector.csv", "sector.png"]
    rows = list(csv.DictReader(paths[0].open()))
    assert [row["image"] for row in rows] == ["input", "lines", "picture"]
    assert paths[1].read_bytes().startswith(b"\x89PNG")


def test_regions_are_apart_and_where_the_heart_has_them() -> None:
    z, x = np.mgrid[10:120:0.5, -80:80:0.5]
    regions = heart_regions(z, x)

    assert all(region.any() for region in regions.values())
    assert not sum(region.astype(int) for region in regions.values()).max() > 1
    # The left chamber's middle; its wall, 8.5 mm thick, beside it.
    assert regions["cavity"][(z == 58) & (x == 13)].all()
    assert regions["muscle"][(z == 58) & (x == 13 + 14 + 4.5)].all()
    assert (np.hypot(z, x)[regions["near"]] < 50).all()
    assert (np.hypot(z, x)[regions["far"]] > 80).all()
