"""``usflow reproduce paper``: the figures of the paper, Fig. 2 to 8, in one command."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from napari_usflow.cli.reporting import Reporter, show_json
from napari_usflow.cli.train import report_training
from napari_usflow.io.outputs.writing import check_folder
from napari_usflow.jobs import result_of

__all__ = ["configure", "run"]

# By name, so that help does not wait for what they are made of.
_FIGURES = ("2", "3", "4", "5", "6", "7", "8", "anatomies")
_SIGMAS = (0.1, 0.2, 0.3, 0.4)


def configure(parser: argparse.ArgumentParser, argv: Sequence[str]) -> None:
    """Add the arguments of the command."""
    parser.description = (
        f"{parser.description}\n\n"
        "The paper is V. van de Schaft and R. J. G. van Sloun, Ultrasound speckle\n"
        "suppression and denoising using MRI-derived normalizing flow priors,\n"
        "arXiv:2112.13110; docs/paper.md says how its settings are read. A prior of\n"
        "its kind is trained first where none is given or shipped: a night."
    )
    parser.add_argument("what", choices=("paper",), help="what to reproduce")
    parser.add_argument(
        "--data",
        type=Path,
        required=True,
        metavar="DIR",
        help="folder with mri/train and mri/report (fastMRI layout), images of PICMUS "
        "and, for Fig. 8, CUBDL's OSL*.hdf5; without those a simulated heart is shown",
    )
    parser.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="DIR",
        help="folder for the figures, their tables and the training runs",
    )
    parser.add_argument(
        "--figures",
        nargs="+",
        choices=_FIGURES,
        default=list(_FIGURES),
        metavar="N",
        help="2 to 8, and anatomies: knees alone against all body parts, which trains "
        "a prior of all (default: all of them)",
    )
    parser.add_argument(
        "--weights",
        metavar="NAME",
        help="prior of the paper's kind, of knees (default: paper-small, trained where "
        "it is not shipped)",
    )
    parser.add_argument(
        "--weights-all",
        metavar="NAME",
        help="prior of the paper's kind, of all body parts (default: trained)",
    )
    parser.add_argument(
        "--train-data", type=Path, metavar="DIR", help="MRI (default: DATA/mri/train)"
    )
    parser.add_argument(
        "--test-data",
        type=Path,
        metavar="DIR",
        help="MRI of other subjects (default: DATA/mri/report, else DATA/mri/val)",
    )
    parser.add_argument(
        "--config",
        default="paper-small",
        metavar="NAME",
        help="configuration of what is trained: paper-small, or paper on a graphics "
        "card (default paper-small)",
    )
    parser.add_argument(
        "--set",
        dest="changes",
        action="append",
        default=[],
        metavar="FIELD=VALUE",
        help="set a field of that configuration; may be repeated",
    )
    parser.add_argument(
        "--count",
        type=int,
        default=8,
        metavar="N",
        help="crops an anatomy of Fig. 3 (default 8: 16 together, as in the paper)",
    )
    parser.add_argument(
        "--sigmas",
        nargs="+",
        type=float,
        default=_SIGMAS,
        metavar="X",
        help="noise levels of Fig. 3 and 4 as fractions of the value range (default "
        f"{' '.join(map(str, _SIGMAS))})",
    )
    parser.add_argument(
        "--device", default="auto", help="auto, cpu, cuda, cuda:1 or mps (default auto)"
    )
    parser.add_argument(
        "--json", action="store_true", help="write the list of files on standard output"
    )


def run(args: argparse.Namespace) -> int:
    """Run the command; exit code 2 where a figure had to be left out."""
    if not args.data.is_dir():
        raise ValueError(f"{args.data}: no such folder; choose a folder of data")
    check_folder(args.out)
    if args.count < 1:
        raise ValueError(f"--count must be at least 1, got {args.count}")
    from napari_usflow.lab.reproduce.folders import Folders
    from napari_usflow.lab.reproduce.run import Request, reproduce_events

    request = Request(
        Folders.below(args.data, args.train_data, args.test_data),
        args.out,
        figures=args.figures,
        prior=args.weights,
        prior_all=args.weights_all,
        config=args.config,
        changes=args.changes,
        count=args.count,
        sigmas=args.sigmas,
        device=args.device,
    )
    reporter = Reporter()
    made = result_of(
        reproduce_events(request), lambda event: report_training(reporter, event)
    )
    for path in made.files:
        reporter.line(f"{path} written")
    if args.json:
        files = [str(path) for path in made.files]
        show_json({"files": files, "left_out": made.left_out})
    if made.left_out:
        reporter.line(f"left out: {', '.join(made.left_out)}")
    return 2 if made.left_out else 0
