"""Measure the memory that reading the worst file of each format takes.

    python tools/measure_peaks.py docs/images/peak_memory.csv
    python tools/measure_peaks.py docs/images/peak_memory.csv gif jpeg

Each file that ``tests/all_bombs.py`` and ``tests/largest_files.py`` make is described
and read in a child process (Linux). A line of the CSV is the file of a format that took
the most beyond what it declares: its pixels as float32, nothing for a file that is
refused. Lines of formats that are not named are kept. The exit code is 1 when one took
300 MB more than that.
"""

from __future__ import annotations

import argparse
import csv
import sys
import tempfile
from pathlib import Path
from typing import Any

from attack_common import ROOT  # it makes what follows importable

import all_bombs
from largest_files import LARGEST
from peak_memory import peaks_of

SPARE_BYTES = 300 * 10**6


def main() -> int:
    """Run the command line; 1 when a file took more than is allowed."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("csv", type=Path, help="where the table is written")
    parser.add_argument("formats", nargs="*", metavar="FORMAT", help="only these")
    args = parser.parse_args()
    worst = _kept(ROOT / args.csv, set(args.formats)) if args.formats else {}
    count = failed = 0
    for makers, is_mri in (
        ({name: (make, 0) for name, make in all_bombs.IMAGES.items()}, False),
        ({name: (make, 0) for name, make in all_bombs.MRI.items()}, True),
        (LARGEST, False),
    ):
        for name, (make, declared) in makers.items():
            if args.formats and name.partition(" ")[0] not in args.formats:
                continue
            with tempfile.TemporaryDirectory(prefix="usflow-peak-") as folder:
                path = make(Path(folder))
                stored = sum(
                    p.stat().st_size
                    for p in (path.rglob("*") if path.is_dir() else [path])
                )
                (peak,) = peaks_of([path], warm=[], is_mri=is_mri)
            spare = peak.grown_bytes - declared
            count, failed = count + 1, failed + (spare > SPARE_BYTES)
            kind, what = name.split(" ", 1)
            sizes = [stored, declared, peak.grown_bytes]
            row = [kind, what, *(round(size / 1e6, 1) for size in sizes)]
            print(*row, flush=True)
            if kind not in worst or spare > worst[kind][-1]:
                worst[kind] = [*row, spare]
    with (ROOT / args.csv).open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["format", "file", "stored_mb", "declared_mb", "peak_mb"])
        table.writerows(row[:-1] for _, row in sorted(worst.items()))
    print(f"{count} files, {failed} took more than is allowed")
    return 1 if failed else 0


def _kept(path: Path, measured: set[str]) -> dict[str, list[Any]]:
    """Read the lines of formats that are not measured again."""
    with path.open(encoding="utf-8") as file:
        _, *rows = csv.reader(file)
    return {row[0]: [*row, 0] for row in rows if row[0] not in measured}


if __name__ == "__main__":
    sys.exit(main())
