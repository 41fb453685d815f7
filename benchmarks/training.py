"""Patches a second of training: one process against several, each on one thread.

    python benchmarks/training.py DATA [--processes 1 2] [--steps 12] [--device cpu]

DATA is a folder of MRI. Each count of processes trains the ``cpu`` configuration for a
few steps, half of them on the likelihood alone and half on the posterior mean too; the
first steps of each half, which are slower, are left out. Ratios are to the first count.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

WARM_UP = 2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="folder of MRI")
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--batch-size", type=int, default=192, help="patches a step")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--worker", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker is not None:
        train(args)
        return
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive"}
    first: dict[str, float] = {}
    print("processes  likelihood          posterior mean      (patches/s, ratio)")
    with tempfile.TemporaryDirectory() as folder:
        for count in args.processes:
            command = [
                *(sys.executable, __file__, str(args.data), "--processes", str(count)),
                *("--steps", str(args.steps), "--batch-size", str(args.batch_size)),
                *("--device", args.device, "--worker", folder),
            ]
            subprocess.run(command, env=environment, check=True)
            rates = json.loads((Path(folder) / f"rates{count}.json").read_text())
            first = first or rates
            cells = [f"{r:7.1f} {r / first[key]:8.2f}" for key, r in rates.items()]
            print(f"{count:9d}  {'    '.join(cells)}", flush=True)


def train(args: argparse.Namespace) -> None:
    import torch

    from napari_usflow.training.events import TrainStep
    from napari_usflow.training.flow.configs import CONFIGS
    from napari_usflow.training.flow.train import train_prior_events

    torch.set_num_threads(1)
    (count,), half = args.processes, args.steps // 2
    config = replace(
        CONFIGS["cpu"],
        likelihood_steps=half,
        denoising_steps=args.steps - half,
        batch_size=args.batch_size,
        noise_groups=2,
        denoising_sigma=0.0,
        validate_every=10 * args.steps,
        validation_patches=1,
    )
    out = args.worker / f"run{count}"
    rates = [
        event.patches_per_second
        for event in train_prior_events(
            args.data, out=out, config=config, device=args.device, processes=count
        )
        if isinstance(event, TrainStep)
    ]
    if os.environ.get("LOCAL_RANK", "0") == "0":
        found = {
            "likelihood": statistics.median(rates[WARM_UP:half]),
            "posterior mean": statistics.median(rates[half + WARM_UP :]),
        }
        (args.worker / f"rates{count}.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main()
