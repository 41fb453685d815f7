"""What makes the posterior mean of the same flow better: a table of short trainings.

    python benchmarks/objectives.py TRAIN VAL --out DIR [--steps 400] [--only NAME ...]

Every row changes one thing of the first. All start from the same prior (``--start``)
and take as many steps of as many patches, with the learning rate falling to its end;
the table gives PSNR of the posterior mean and bits per pixel on held-out patches. Rows
that are done are kept in DIR and not done again.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path

from napari_usflow.training.flow.configs import CONFIGS, TrainConfig


def variants(steps: int) -> dict[str, TrainConfig]:
    base = replace(
        CONFIGS["cpu"],
        likelihood_steps=0,
        denoising_steps=steps,
        batch_size=48,
        noise_groups=3,
        learning_rate=5e-4,
        warmup_steps=20,
        decay_fraction=0.8,
        average=0.98,
        validate_every=10 * steps,
        checkpoint_minutes=1e6,
    )
    patches = base.patches
    return {
        "posterior mean and likelihood": base,
        "likelihood alone": replace(base, likelihood_steps=steps, denoising_steps=0),
        "no likelihood": replace(base, likelihood_weight=0.0, small_noise_weight=0.0),
        "likelihood weight x 5": replace(base, likelihood_weight=0.1),
        "no share for small noise": replace(base, denoising_sigma=0.0),
        "twice the noise levels": replace(base, noise_groups=6),
        "noisy volumes dropped": replace(
            base, patches=replace(patches, own_noise="drop")
        ),
        "volumes cleaned": replace(base, patches=replace(patches, own_noise="clean")),
        "knees only": replace(base, patches=replace(patches, only="knee")),
        "no varied contrast": replace(
            base, patches=replace(patches, contrast_fraction=0.0)
        ),
        "no native scans": replace(base, patches=replace(patches, native_fraction=0.0)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("train", type=Path)
    parser.add_argument("val", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--start", default="mri", help="prior to start from")
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--only", nargs="+", metavar="NAME")
    args = parser.parse_args()

    import torch

    from napari_usflow.training.flow.train import train_prior
    from napari_usflow.training.run_folder import RunFolder

    torch.set_num_threads(1)
    for name, config in variants(args.steps).items():
        if args.only and name not in args.only:
            continue
        out = args.out / name.replace(" ", "-")
        result = out / "result.json"
        if not result.is_file():
            begin = time.process_time()
            train_prior(
                args.train,
                out=out,
                config=config,
                start=args.start,
                resume=True,
                validation=args.val,
                device="cpu",
            )
            # From the log: a run that was finished before has no events left.
            log = RunFolder(out).records()
            found = [record for record in log if "bits_per_dim" in record][-1]
            row = {
                "bits": found["bits_per_dim"],
                **found["psnr_db"],
                "cpu_s": time.process_time() - begin,
            }
            result.write_text(json.dumps(row))
        row = json.loads(result.read_text())
        figures = "  ".join(f"{key} {value:7.3f}" for key, value in row.items())
        print(f"{name:32s} {figures}", flush=True)


if __name__ == "__main__":
    main()
