"""The ``usflow`` command.

A command is a module of this package with ``configure(parser, argv)``, which adds its
arguments, and ``run(args)``. Only the module that was asked for is loaded, so that
``usflow --help`` does not wait for torch.

Standard output carries results, standard error progress and errors. The exit code is
0 when the result is written and whole, 2 for a bad input, 130 when interrupted, 143
when terminated.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from importlib import import_module
from typing import NoReturn

from napari_usflow import __version__
from napari_usflow.cli.reporting import complain
from napari_usflow.cli.signals import Terminated, terminable
from napari_usflow.device import let_waiting_threads_sleep

__all__ = ["COMMANDS", "main"]

COMMANDS = {
    "demo": "show it all on simulated data: acquisition, image, denoised image",
    "gui": "open napari with the plugin loaded",
    "info": "say what is in a file",
    "convert": "turn any readable file into TIFF, PICMUS, zea, PNG, MP4 or NumPy",
    "simulate": "put speckle on a picture of tissue, to know the truth behind it",
    "denoise": "remove the speckle of an image or a stack",
    "measure": "contrast, noise and resolution in regions, before and after",
    "report": "one page on a project: pictures, numbers, marks, methods",
    "train": "train a prior, or a network, on MRI",
    "export": "write a network as an ONNX file, to be run without torch",
    "evaluate": "test methods and priors where the truth is known",
    "reproduce": "make the figures of the paper, with our methods beside its own",
    "doctor": "check what works here, and say how to mend the rest",
    "bench": "time, memory and quality of every method and peer, side by side",
}

_HELP = {"-h", "--help"}


class _Parser(argparse.ArgumentParser):
    """Says what is wrong with the arguments in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message} (see {self.prog} --help)\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and give its exit code.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments without the program's name; those of the process by default.
    """
    argv = list(sys.argv[1:] if argv is None else argv)
    let_waiting_threads_sleep()
    # A file name need not be text; it is shown all the same.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    # Under a window's event loop no handler of Python's would run in time.
    watched = nullcontext() if argv[:1] == ["gui"] else terminable()
    try:
        with watched:
            return _dispatch(argv)
    except SystemExit as stop:  # argparse: help, version, wrong arguments
        return stop.code if isinstance(stop.code, int) else 2
    except Terminated as stop:
        complain("terminated")
        return stop.exit_code
    except KeyboardInterrupt:
        complain("interrupted")
        return 130
    except BrokenPipeError:
        # Whoever read our output has gone; nothing may be written to it at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except MemoryError:
        complain("there is not enough memory for this")
        return 2
    except Exception as error:
        # A user is shown one line, never a traceback, unless asked for.
        if os.environ.get("USFLOW_TRACEBACK"):
            raise
        complain(str(error) or type(error).__name__)
        return 2


def _dispatch(argv: list[str]) -> int:
    if not argv or argv[0] in _HELP or argv[0] not in COMMANDS:
        _overview().parse_args(argv or ["--help"])
    name = argv[0]
    module = import_module(f"{__name__}.{name}")
    parser = _Parser(
        prog=f"usflow {name}",
        description=f"{COMMANDS[name][0].upper()}{COMMANDS[name][1:]}.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    module.configure(parser, argv[1:])
    code: int = module.run(parser.parse_args(argv[1:]))
    return code


def _overview() -> argparse.ArgumentParser:
    width = max(map(len, COMMANDS))
    commands = "\n".join(
        f"  {name:<{width}}  {text}" for name, text in COMMANDS.items()
    )
    parser = _Parser(
        prog="usflow",
        description="Ultrasound speckle suppression with a normalizing-flow prior.",
        epilog=f"commands:\n{commands}\n\n"
        "usflow COMMAND --help says more, with units.\n"
        "Set USFLOW_TRACEBACK=1 to see where an error came from.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"usflow {__version__}")
    parser.add_argument("command", choices=COMMANDS, metavar="COMMAND")
    return parser
