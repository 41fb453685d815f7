"""Attack what reads, runs and writes, and see that it holds.

    python tools/attack.py                     # every part once, as CI runs it
    python tools/attack.py kills signals --times 10 --seed 3

bombs       files whose pieces unpack to far more than they declare
references  other files, links and named pipes that a file names
weights     weights and checkpoints that nobody vouches for
signals     SIGTERM while a file is written, and while a prior is trained
kills       SIGKILL at random moments; what was killed goes on to the same bits
disk        a full disk and one that is read-only, on a small tmpfs (Linux, root)

A line for each attack says what it met. The exit code is 1 when something did not
hold. Needs Linux; what a part cannot do here is skipped, and says so.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from attack_common import Part, end_server
from attack_reading import bombs, references, weights
from attack_running import disk, kills, signals

PARTS: dict[str, Part] = {
    part.__name__: part for part in (bombs, references, weights, signals, kills, disk)
}


def main() -> int:
    """Run the command line; 1 when something did not hold."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--times", type=int, default=1, help="of each run in training")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    unknown = set(args.parts) - set(PARTS)
    if unknown:
        parser.error(f"unknown: {', '.join(unknown)}; known: {', '.join(PARTS)}")
    failed, count, begun = 0, 0, time.perf_counter()
    for name in args.parts or PARTS:
        with tempfile.TemporaryDirectory(prefix="usflow-attack-") as scratch:
            rng = np.random.default_rng([args.seed, *name.encode()])
            for outcome in PARTS[name](Path(scratch), args.times, rng):
                count += 1
                failed += not outcome.holds
                verdict = "held" if outcome.holds else "DID NOT HOLD"
                print(f"{name}: {outcome.attack}: {verdict} ({outcome.detail})")
                sys.stdout.flush()
    end_server()
    used = [resource.getrusage(who) for who in
            (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]  # fmt: skip
    cpu_s = sum(usage.ru_utime + usage.ru_stime for usage in used)
    print(
        f"{count} attacks, {failed} did not hold; "
        f"{time.perf_counter() - begun:.0f} s, {cpu_s:.0f} s of one processor"
    )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
