"""Reports on standard output."""

from __future__ import annotations

import json
import math
from pathlib import Path

from napari_usflow.cli.reporting import show_json


def test_a_report_is_json_where_values_are_missing(capsys) -> None:
    show_json({"scores": [{"psnr_db": math.nan}, {"psnr_db": 1.5}], "file": Path("a")})

    said = capsys.readouterr().out
    report = json.loads(said, parse_constant=lambda text: f"no JSON: {text}")
    assert report == {"scores": [{"psnr_db": None}, {"psnr_db": 1.5}], "file": "a"}
