"""The pictures of the test of details."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from napari_usflow.lab.detail.figures import write_detail
from napari_usflow.lab.detail.run import DetailScore, DetailTest


def test_crops_of_every_method_are_drawn_beside_the_table(tmp_path: Path):
    frame = np.full((40, 50), -30, np.float32)
    line = DetailScore("tv", "file", "lattice, axial", "", float("nan"), 2.0, 1.5)
    test = DetailTest([line], {"file": {"input": frame, "tv": frame}})
    crops = {"file": (slice(5, 30), slice(5, 30))}

    table, picture = write_detail(test, tmp_path, crops)

    assert table.read_text().splitlines()[1] == 'tv,file,"lattice, axial",,,2,1.5'
    with Image.open(picture) as drawn:
        assert drawn.width > 1.5 * drawn.height
    assert write_detail(test, tmp_path) == [table]
