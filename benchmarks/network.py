"""What computes `realtime` fastest, and what that costs: torch, onnxruntime, 8 bits.

    python benchmarks/network.py [--data MRI] [--threads 2] [--sizes 96 384 768]
                                 [--compile] [--parts]

One pass on noise, by torch in float32 and bfloat16 and by onnxruntime in float32 and,
where a folder with MRI in ``train`` and ``val`` is given, in 8 bits: all convolutions
between the first and the last, or those of the two coarser scales only (static, a scale
a channel, ranges from training pairs, as far as 99.999 %). All take turns and the
smallest time of each counts, of the wall clock and of the processor, which other work
on the machine disturbs less. With the folder, also how many decibels of PSNR each lies
from torch in float32, on crops of ``val`` with white noise and with speckle.
``--compile`` adds torch.compile, which wants a compiler, and ``--parts`` shows which
operations of torch the time goes to.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import torch

import napari_usflow as usf
from napari_usflow.evaluate.metrics import psnr
from napari_usflow.evaluate.residuals import fitted_offset
from napari_usflow.jobs import CancelToken, result_of
from napari_usflow.lab.contest.mri_crops import draw_events, noisy, pick_crops
from napari_usflow.mri import find_files
from napari_usflow.networks import load_network
from napari_usflow.networks.onnx_export import export_onnx
from napari_usflow.training.network.pairs import MARGIN, gaussian_pairs, speckle_pairs
from napari_usflow.ultrasound.speckle_statistics import SPECKLE_DB

Pass = Callable[[np.ndarray, float], np.ndarray]
"""Frames (N, Z, X) and their noise level in, frames out."""

RANGE_DB = 60.0
SPECKLE = SPECKLE_DB / RANGE_DB
NETWORK = "realtime"
BASE = "torch float32"


def by_torch(unet) -> Pass:
    def run(frames: np.ndarray, sigma: float) -> np.ndarray:
        with torch.inference_mode():
            given = torch.from_numpy(frames)[:, None]
            return unet(given, torch.full((len(frames),), sigma))[:, 0].numpy()

    return run


def by_onnxruntime(path: Path, threads: int) -> Pass:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(
        path, options, providers=["CPUExecutionProvider"]
    )

    def run(frames: np.ndarray, sigma: float) -> np.ndarray:
        level = np.full(len(frames), sigma, np.float32)
        return session.run(None, {"noisy": frames[:, None], "sigma": level})[0][:, 0]

    return run


class Calibration:
    """Training pairs, one at a time, for the ranges of 8 bits."""

    def __init__(self, folder: Path, count: int = 48) -> None:
        drawn = draw_events(
            find_files([folder])[::6],
            count,
            64 + 2 * MARGIN,
            seed=3,
            token=CancelToken(),
        )
        patches = torch.from_numpy(result_of(drawn))
        inner = patches[: count // 2, MARGIN:-MARGIN, MARGIN:-MARGIN]
        generator = torch.Generator().manual_seed(0)
        self._pairs = [
            (image.numpy()[None], sigma.numpy()[None])
            for pairs in (
                gaussian_pairs(inner, generator),
                speckle_pairs(patches[count // 2 :], generator),
            )
            for image, sigma in zip(pairs.noisy, pairs.told, strict=True)
        ]
        self.rewind()

    def rewind(self) -> None:
        self._left = iter(self._pairs)

    def get_next(self) -> dict[str, np.ndarray] | None:
        image, sigma = next(self._left, (None, None))
        return None if image is None else {"noisy": image, "sigma": sigma}


def quantized(source: Path, target: Path, scales: tuple[str, ...], data) -> Path:
    """Write a network whose blocks of some scales compute in 8 bits."""
    import onnx
    from onnxruntime import quantization as q

    data.rewind()
    nodes = onnx.load(source).graph.node
    q.quantize_static(
        source,
        target,
        data,
        quant_format=q.QuantFormat.QDQ,
        per_channel=True,
        activation_type=q.QuantType.QUInt8,
        weight_type=q.QuantType.QInt8,
        calibrate_method=q.CalibrationMethod.Percentile,
        op_types_to_quantize=["Conv"],
        nodes_to_quantize=[
            node.name
            for node in nodes
            if node.op_type == "Conv" and node.name.startswith(scales)
        ],
        extra_options={"CalibPercentile": 99.999},
    )
    return target


def crops(folder: Path):
    """Yield name, frames, truth and noise level."""
    for anatomy in ("knee", "brain"):
        clean = pick_crops(folder, anatomy, count=8, size=64)
        for sigma in (0.1, 0.2, 0.3, 0.4):
            yield f"{anatomy} {sigma:g}", noisy(clean, sigma), clean, sigma
        clean = pick_crops(folder, anatomy, count=4, size=128)
        decibels = [usf.simulate_speckle(c, seed=i) for i, c in enumerate(clean)]
        speckled = 1 + np.stack(decibels) / np.float32(RANGE_DB)
        yield f"{anatomy} speckle", speckled, clean, SPECKLE


def quality(run: Pass, frames, clean, sigma: float) -> float:
    """Mean PSNR in dB; what speckle lies below its mean is fitted."""
    found = run(frames, sigma)
    if sigma == SPECKLE:
        pairs = zip(found, clean, strict=True)
        found = np.stack([f + fitted_offset(f, c) for f, c in pairs])
    pairs = zip(np.clip(found, 0, 1), clean, strict=True)
    return float(np.mean([psnr(f, c, data_range=1.0) for f, c in pairs]))


def best(runs: dict[str, Pass], frames, seconds: float) -> dict[str, tuple]:
    """Smallest wall-clock and processor time of each, in seconds, taking turns."""
    for run in runs.values():
        run(frames, 0.1)
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in runs}
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        for name, run in runs.items():
            wall, processor = time.perf_counter(), time.process_time()
            run(frames, 0.1)
            took = time.perf_counter() - wall, time.process_time() - processor
            times[name].append(took)
    return {name: tuple(np.min(each, axis=0)) for name, each in times.items()}


def show_parts(run: Pass, size: int) -> None:
    from torch.profiler import ProfilerActivity, profile

    frames = np.random.default_rng(0).random((1, size, size), dtype=np.float32)
    run(frames, 0.1)
    with profile(activities=[ProfilerActivity.CPU]) as profiled:
        for _ in range(10):
            run(frames, 0.1)
    print(
        profiled.key_averages().table(sort_by="self_cpu_time_total", row_limit=12),
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, help="folder with MRI: train and val")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--sizes", type=int, nargs="+", default=[96, 384, 768])
    parser.add_argument("--seconds", type=float, default=20.0, help="for each size")
    parser.add_argument("--compile", action="store_true", help="torch.compile as well")
    parser.add_argument("--parts", action="store_true", help="what the time goes to")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    network = load_network(NETWORK, device="cpu")
    half = network.unet.__class__(network.unet.config).bfloat16().eval()
    half.load_state_dict(network.unet.state_dict())
    runs = {BASE: by_torch(network.unet), "torch bfloat16": by_torch(half)}
    if args.compile:
        runs["torch.compile bfloat16"] = by_torch(torch.compile(half))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "float32.onnx"
        export_onnx(network, path)
        runs["onnxruntime float32"] = by_onnxruntime(path, args.threads)
        if args.data is not None:
            data = Calibration(args.data / "train")
            for name, scales in (
                ("8 bits, coarser scales", ("middle", "before.1", "after.1")),
                ("8 bits", ("middle", "before", "after")),
            ):
                small = quantized(path, Path(folder) / "int8.onnx", scales, data)
                runs[f"onnxruntime {name}"] = by_onnxruntime(small, args.threads)
    print(f"{args.threads} thread(s); ms of the clock / of the processor\n")
    for size in args.sizes:
        frames = np.random.default_rng(0).random((1, size, size), dtype=np.float32)
        times = best(runs, frames, args.seconds)
        for name, (wall, processor) in times.items():
            ratio = processor / times[BASE][1]
            print(
                f"{size:4} {name:36} {1e3 * wall:8.1f} / {1e3 * processor:7.1f}"
                f"   x {ratio:.2f}",
                flush=True,
            )
    if args.parts:
        show_parts(runs["torch bfloat16"], 384)
    if args.data is None:
        return
    print(f"\nPSNR in dB of {BASE}, and by how much the others differ")
    print("; ".join(list(runs)[1:]))
    for name, frames, clean, sigma in crops(args.data / "val"):
        base, *others = (quality(run, frames, clean, sigma) for run in runs.values())
        differences = "  ".join(f"{other - base:+.3f}" for other in others)
        print(f"{name:14} {base:6.2f}  {differences}", flush=True)


if __name__ == "__main__":
    main()
