"""``usflow demo``: show it all on simulated data."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from napari_usflow.cli.gui import has_screen, load_napari
from napari_usflow.cli.reporting import Reporter, show_json
from napari_usflow.errors import UsflowError
from napari_usflow.evaluate.demo import Demo, demo_events, write_demo
from napari_usflow.io.outputs.writing import check_folder

__all__ = ["configure", "run"]


def configure(parser: argparse.ArgumentParser, argv: Sequence[str]) -> None:
    """Add the arguments of the command."""
    parser.add_argument(
        "--no-gui",
        action="store_true",
        help="write the files only; without it napari opens where there is a screen",
    )
    parser.add_argument(
        "--output",
        type=Path,
        default=Path("demo"),
        metavar="DIR",
        help="folder for comparison.png and metrics.csv (default demo)",
    )
    parser.add_argument(
        "--angles",
        type=int,
        metavar="N",
        help="number of plane waves to compound (default: all that are simulated)",
    )
    parser.add_argument(
        "--device", default="auto", help="auto, cpu, cuda, cuda:1 or mps (default auto)"
    )
    parser.add_argument(
        "--json", action="store_true", help="write the scores on standard output"
    )


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    check_folder(args.output)
    opens_window = not args.no_gui and has_screen()
    napari = load_napari() if opens_window else None
    reporter = Reporter()
    demo = reporter.finish(demo_events(angles=args.angles, device=args.device))
    try:
        files = write_demo(demo, args.output)
    except OSError as error:
        raise UsflowError(
            f"{args.output} cannot be written to: {error.strerror or error}"
        ) from error
    for path in files:
        reporter.line(f"{path} written")
    if args.json:
        show_json([asdict(line) for line in demo.scores])
    else:
        print(f"{'':10} contrast/dB   gCNR  speckle SNR  FWHM/mm  seconds")
        for line in demo.scores:
            print(
                f"{line.method:10} {line.contrast_db:11.2f} {line.gcnr:6.3f} "
                f"{line.speckle_snr:12.2f} {line.fwhm_mm:8.2f} {line.seconds:8.2f}"
            )
    if napari is not None:
        _open_layers(demo)
        napari.run()
    return 0


def _open_layers(demo: Demo) -> None:
    """Open napari with the image and the results in their places."""
    from napari_usflow._napari.layers.content import layer_data, open_demo

    layers = [layer_data(demo.image, name="B-mode")]
    for name, result in demo.results.items():
        data, keywords, kind = layer_data(result, name=f"B-mode [{name}]")
        keywords["metadata"]["usflow"].update(demo.provenance[name])
        layers.append((data, keywords, kind))
    open_demo(layers)
