"""``usflow evaluate``: tests with known truth, as tables and figures.

A test is a module of this package with ``configure(parser)`` and ``run(args)``.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from importlib import import_module

__all__ = ["TESTS", "configure", "run"]

TESTS = {
    "gaussian": "denoise MRI crops with white Gaussian noise, beside NLM and peers",
    "speckle": "denoise MRI crops under simulated speckle, beside tuned baselines",
    "picmus": "contrast and resolution on the images of the PICMUS challenge",
    "fine": "speckle at the image's own pixel, and simulated exports of scanners",
    "detail": "thin layers, stripes, walls, points, flat fields and lattices",
    "sectors": "find the sectors of drawn screens of scanners, and their errors",
    "density": "bits per dimension of held-out patches, beside Gaussian mixtures",
}


def configure(parser: argparse.ArgumentParser, argv: Sequence[str]) -> None:
    """Add a parser for each test; only that of the test in ``argv`` is filled."""
    tests = parser.add_subparsers(
        dest="test", required=True, metavar="TEST", title="tests"
    )
    for name, text in TESTS.items():
        test = tests.add_parser(
            name,
            help=text,
            description=f"{text[0].upper()}{text[1:]}.",
            allow_abbrev=False,
        )
        if argv[:1] == [name]:
            import_module(f"{__name__}.{name}").configure(test)


def run(args: argparse.Namespace) -> int:
    """Run the test."""
    code: int = import_module(f"{__name__}.{args.test}").run(args)
    return code
