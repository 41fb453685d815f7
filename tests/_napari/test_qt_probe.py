"""What a window would get here, asked in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

pytestmark = pytest.mark.gui


def test_probe_says_what_qt_has_here() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "napari_usflow._napari.qt_probe"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["binding"].startswith("Py") and found["platform"]
    assert found["font"]
    assert found["opengl"].split(",")[0].replace(".", "").isdigit()
