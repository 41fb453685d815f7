"""Table of denoising MRI crops with Gaussian noise: flow, flow-map, NLM, BM3D.

    python benchmarks/gaussian.py FOLDER_OF_MRI [--prior FILE] [--csv FILE]

BM3D (``pip install bm3d``) is compared when it is installed; its licence allows
non-commercial use only, so it is never a dependency.
"""

from __future__ import annotations

import argparse
import csv
from dataclasses import asdict
from pathlib import Path

import napari_usflow as usf
from napari_usflow.evaluate.gaussian import evaluate


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--prior", default=None)
    parser.add_argument("--methods", nargs="+", default=["flow", "flow-map"])
    parser.add_argument("--count", type=int, default=16, help="crops an anatomy")
    parser.add_argument("--anatomies", nargs="+", default=["knee", "brain"])
    parser.add_argument("--csv", type=Path)
    args = parser.parse_args()

    def runner(name):
        return lambda y, sigma: usf.denoise(
            y, method=name, sigma=sigma, value_range=(0.0, 1.0), prior=args.prior
        )

    methods = {name: runner(name) for name in args.methods}
    try:
        import bm3d
    except ImportError:
        print("bm3d is not installed: left out")
    else:
        methods["bm3d"] = lambda y, sigma: bm3d.bm3d(y, sigma)
    rows = []
    print(f"{'method':12} {'anatomy':7} sigma  PSNR dB   SSIM  s/crop")
    for row in evaluate(
        args.folder, methods, count=args.count, anatomies=args.anatomies
    ):
        rows.append(asdict(row))
        print(
            f"{row.method:12} {row.anatomy:7} {row.sigma:4.1f} {row.psnr_db:8.2f} "
            f"{row.ssim:6.3f} {row.seconds:7.3f}",
            flush=True,
        )
    if args.csv:
        with args.csv.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)


if __name__ == "__main__":
    main()
