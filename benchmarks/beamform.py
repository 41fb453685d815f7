"""Time and memory of the beamformer against others, in one run.

``all pairs`` is what the equation says, written with whole arrays: for each plane wave
the delays of all pixels to all elements, one gather, one weighted sum. It reads the
same fine analytic signals as ours by the same linear interpolation, so that only the
order of the work differs. ``CUBDL`` does what the challenge's ``DAS_PW`` does: for each
pair of a plane wave and an element the delays of all pixels and ``grid_sample`` of the
analytic signal as it was recorded; no apodization, no filter, so that its image is
another one and only time and memory are compared.

``zea``, ``vbeam`` and ``ultraspy`` take part where they are installed (``pip install
zea vbeam jax ultraspy``); see :mod:`beamform_peers`. They are given records that are
demodulated and filtered already and get their compilation for nothing; ours is timed
from the RF on. Their images are compared with ours by the correlation of the decibels
(60 dB) where all waves pass: at the sides zea and ultraspy also have the edges' waves.

Each runs in a process of its own, on as many processors as it may have threads, in
turns, and the smallest time of each is taken; its line comes after its last turn.
Processor time stands beside it, which another program on the machine does not lengthen
as much. The roofline is how many samples a second ``index_select`` reads on one core
at scattered places of one trace, which is all that a beamformer that gathers could
reach; ours is given as gathered samples (two neighbours, real and imaginary part, of
each pixel, wave and element within the aperture) a second of processor time.

    python benchmarks/beamform.py [--angles 75] [--threads 2] [--repeats 1]
                                  [--methods ours CUBDL "all pairs" zea]
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import resource
import sys
import time
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection

import numpy as np
import numpy.typing as npt
from beamform_peers import PEERS

from napari_usflow.jobs import result_of
from napari_usflow.ultrasound.beamform import beamform_frame_events, default_grid
from napari_usflow.ultrasound.beamform.delay_and_sum import (
    DelayAndSum,
    receive_apodization,
)
from napari_usflow.ultrasound.data import ChannelData, PixelGrid
from napari_usflow.ultrasound.simulate.plane_waves import simulate_acquisition
from napari_usflow.ultrasound.simulate.scene import Scene

F_NUMBER = 1.75
Image = npt.NDArray[np.complex64]


def acquisition(n_angles: int) -> ChannelData:
    """A few hundred scatterers down to 50 mm: what is seen does not change the time."""
    rng = np.random.default_rng(0)
    z, x = rng.uniform(5e-3, 50e-3, 300), rng.uniform(-19e-3, 19e-3, 300)
    scene = Scene(np.stack([x, 0 * x, z], axis=1), rng.standard_normal(300))
    angles = np.radians(np.linspace(-16, 16, n_angles))
    return simulate_acquisition(scene, angles_rad=angles)


def ours(data: ChannelData, grid: PixelGrid) -> Image:
    return result_of(
        beamform_frame_events(data, grid=grid, f_number=F_NUMBER, device="cpu")
    )


def all_pairs(data: ChannelData, grid: PixelGrid) -> Image:
    import torch

    das = DelayAndSum.on_grid(data, grid, F_NUMBER, 1.0, torch.device("cpu"))
    z, x = (torch.from_numpy(a).float() for a in (das.z_m, das.x_m))
    pixel_z, pixel_x = torch.cartesian_prod(z, x).T.contiguous()
    elements = torch.from_numpy(data.element_positions_m).float()
    aside = pixel_x - elements[:, :1]
    echo = torch.hypot(pixel_z - elements[:, 2:], aside)
    weight = receive_apodization(aside.abs(), pixel_z / F_NUMBER)
    total = torch.zeros(pixel_z.numel(), dtype=torch.complex64)
    for number, transmit in enumerate(data.transmits):
        group = np.array([number])
        records = das.read(0, group)
        parts = [das.traces(records[:, c], group) for c in range(len(elements))]
        signal = torch.complex(
            torch.cat([real for real, _ in parts]),
            torch.cat([imaginary for _, imaginary in parts]),
        )
        angle = transmit.angle_rad
        out = pixel_z * np.cos(angle) + pixel_x * np.sin(angle)
        delay = (out + echo) / data.sound_speed_m_s - data.start_time_s[number]
        place = (delay * das.fine_hz + 1).clamp(0, signal.shape[1] - 2)
        index = place.long()
        early, late = signal.gather(1, index), signal.gather(1, index + 1)
        total += (weight * torch.lerp(early, late, (place - index).cfloat())).sum(0)
    return total.numpy().reshape(grid.shape)


def cubdl(data: ChannelData, grid: PixelGrid) -> Image:
    """As ``DAS_PW.forward`` of the challenge's ``das_torch.py``, on RF (fdemod 0)."""
    import torch
    from scipy.signal import hilbert
    from torch.nn.functional import grid_sample

    signal = hilbert(data.samples[0], axis=-1)
    real, imaginary = (
        torch.from_numpy(np.ascontiguousarray(part, np.float32))
        for part in (signal.real, signal.imag)
    )
    z_mm, x_mm = grid.axes_mm()
    z, x = (torch.from_numpy(1e-3 * a).float() for a in (z_mm, x_mm))
    pixel_z, pixel_x = torch.cartesian_prod(z, x).T.contiguous()
    elements = torch.from_numpy(data.element_positions_m).float()
    per_m = data.sampling_frequency_hz / data.sound_speed_m_s
    back = torch.hypot(pixel_z - elements[:, 2:], pixel_x - elements[:, :1]) * per_m
    total = torch.zeros((2, pixel_z.numel()))
    for number, transmit in enumerate(data.transmits):
        angle = transmit.angle_rad
        out = (pixel_x * np.sin(angle) + pixel_z * np.cos(angle)) * per_m
        out -= data.start_time_s[number] * data.sampling_frequency_hz
        for element in range(len(elements)):
            place = (out + back[element]).view(1, 1, -1, 1)
            place = (place * 2 + 1) / real.shape[-1] - 1
            place = torch.cat((place, 0 * place), axis=-1)
            for target, part in zip(total, (real, imaginary), strict=True):
                record = part[number, element].view(1, 1, 1, -1)
                target += grid_sample(record, place, align_corners=False).view(-1)
    return torch.complex(*total).numpy().reshape(grid.shape)


METHODS = {"ours": ours, "CUBDL": cubdl, "all pairs": all_pairs}
NAMES = [*METHODS, *PEERS]


def gathered_samples(data: ChannelData, grid: PixelGrid) -> float:
    """Samples that ours reads: four for each pixel, wave and element it serves."""
    z_mm, x_mm = grid.axes_mm()
    elements = 1e3 * data.element_positions_m[:, 0]
    served = sum(
        int((np.abs(x_mm - e) < z_mm[:, None] / F_NUMBER / 2).sum()) for e in elements
    )
    return 4.0 * served * len(data.transmits)


def roofline() -> float:
    """Samples a second that one core reads at scattered places of one trace."""
    import torch

    torch.set_num_threads(1)
    trace = torch.randn(30_000)
    # Neighbours lie near each other, as those of pixels do.
    places = torch.cumsum(torch.rand(2**17) * 2, 0).remainder(30_000).int()
    best = np.inf
    for _ in range(200):
        start = time.perf_counter()
        trace.index_select(0, places)
        best = min(best, time.perf_counter() - start)
    return places.numel() / best


def measure(name: str, n_angles: int, threads: int, to: Connection) -> None:
    # jax has no other way to say how many threads.
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    import torch

    torch.set_num_threads(threads)
    data = acquisition(n_angles)
    grid = default_grid(data)
    if name in PEERS:
        run = PEERS[name](data, grid, F_NUMBER)
    else:
        run = partial(METHODS[name], data, grid)
    start, used = time.perf_counter(), time.process_time()
    envelope = np.abs(run())
    seconds, used = time.perf_counter() - start, time.process_time() - used
    # Linux counts in KiB, macOS in bytes.
    unit = 1 if sys.platform == "darwin" else 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20
    to.send((seconds, used, peak, envelope, gathered_samples(data, grid)))
    to.close()


@dataclass(frozen=True)
class Run:
    """What one run of one method took, and gave."""

    seconds: float
    processor_s: float
    peak_mib: float
    envelope: npt.NDArray[np.float32]
    gathered: float


def agreement(ours: Run, other: Run, n_angles: int) -> float:
    """Correlate the decibels of two images where all waves pass."""
    data = acquisition(n_angles)
    z_mm, x_mm = default_grid(data).axes_mm()
    steepest = max(abs(wave.angle_rad) for wave in data.transmits)
    half_mm = 1e3 * data.element_positions_m[:, 0].max()
    lit = np.abs(x_mm) + z_mm[:, None] * np.tan(steepest) <= half_mm
    decibels = [
        20 * np.log10(np.maximum(run.envelope / run.envelope.max(), 1e-3))[lit]
        for run in (ours, other)
    ]
    return float(np.corrcoef(*decibels)[0, 1])


def in_its_own_process(name: str, n_angles: int, threads: int) -> Run:
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=measure, args=(name, n_angles, threads, there))
    process.start()
    there.close()
    run = Run(*here.recv())
    process.join()
    return run


def line_of(name: str, made: list[Run]) -> str:
    """Say what the best of a method's runs took, and the most memory of any."""
    seconds, used = min(r.seconds for r in made), min(r.processor_s for r in made)
    return (
        f"{name:>10}: {seconds:7.2f} s, processor {used:7.2f} s, "
        f"process peak {max(r.peak_mib for r in made):6.0f} MiB"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--angles", type=int, default=11, help="plane waves")
    parser.add_argument("--threads", type=int, default=1, help="threads of torch")
    parser.add_argument("--repeats", type=int, default=3, help="runs of each")
    parser.add_argument("--methods", nargs="+", choices=NAMES, default=NAMES)
    args = parser.parse_args()
    runs: dict[str, list[Run]] = {name: [] for name in dict.fromkeys(args.methods)}
    first = next(iter(runs))
    for turn in range(1, args.repeats + 1):
        for name, made in runs.items():
            made.append(in_its_own_process(name, args.angles, args.threads))
            if turn == 1 and name == first:
                rows, columns = made[0].envelope.shape
                print(
                    f"{args.angles} plane waves, {rows} x {columns} pixels, "
                    f"{args.threads} thread(s), best of {args.repeats}",
                    flush=True,
                )
            if turn == args.repeats:
                print(line_of(name, made), flush=True)
            else:
                done = f"turn {turn} of {args.repeats}: {name} {made[-1].seconds:.2f} s"
                print(done, file=sys.stderr)
    best = {name: min(run.seconds for run in made) for name, made in runs.items()}
    if "ours" not in runs:
        return
    for name in [name for name in runs if name != "ours"]:
        processor = [min(r.processor_s for r in runs[n]) for n in (name, "ours")]
        print(
            f"{'ratio':>10}: {best[name] / best['ours']:7.1f} times as fast as {name} "
            f"({processor[0] / processor[1]:.1f} by processor time)"
        )
    for name in [name for name in runs if name in PEERS]:
        alike = agreement(runs["ours"][0], runs[name][0], args.angles)
        print(f"{'image':>10}: correlation {alike:.4f} of ours and {name}")
    limit, used = roofline(), min(r.processor_s for r in runs["ours"])
    rate = runs["ours"][0].gathered / used
    print(
        f"{'roofline':>10}: {rate / 1e6:.0f} of {limit / 1e6:.0f} million samples a "
        f"second and core gathered ({rate / limit:.0%})"
    )
    if "all pairs" in runs:
        a, b = (
            runs[name][0].envelope / runs[name][0].envelope.max()
            for name in ("ours", "all pairs")
        )
        print(
            f"largest difference to all pairs {np.abs(a - b).max():.1e} of the maximum"
        )


if __name__ == "__main__":
    main()
