"""``usflow export``."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_usflow.cli import main


def test_shipped_network_is_written_and_runs_without_torch(
    tmp_path: Path, capsys
) -> None:
    pytest.importorskip("onnx")
    ort = pytest.importorskip("onnxruntime")
    path = tmp_path / "white.onnx"

    assert main(["export", "realtime-white", str(path)]) == 0

    assert "white.onnx written" in capsys.readouterr().err
    clean = 0.5 + np.zeros((1, 1, 48, 40), np.float32)
    clean[..., 20:] = 0.2
    noise = np.random.default_rng(0).standard_normal(clean.shape, dtype=np.float32)
    session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    (found,) = session.run(
        None, {"noisy": clean + 0.1 * noise, "sigma": np.array([0.1], np.float32)}
    )
    assert np.sqrt(np.mean((found - clean) ** 2)) < 0.03


def test_what_cannot_be_written_is_told_in_a_line(tmp_path: Path, capsys) -> None:
    assert main(["export", "realtime", str(tmp_path / "realtime.pt")]) == 2
    assert "ends in .onnx" in capsys.readouterr().err
