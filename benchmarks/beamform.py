"""Time and memory of the beamformer against a plain delay-and-sum, in one run.

The plain one is what the equation says, written with whole arrays: for each plane wave
the delays of all pixels to all elements, one gather, one weighted sum. Both read the
same fine analytic signals by the same linear interpolation, so that only the order of
the work differs. Each runs in a process of its own, in turns, and the smallest time of
each is taken.

    python benchmarks/beamform.py [--angles 11] [--threads 1] [--repeats 3]
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import sys
import time
from multiprocessing.connection import Connection

import numpy as np
import numpy.typing as npt

from napari_usflow.jobs import result_of
from napari_usflow.ultrasound.acquisition import simulate_acquisition
from napari_usflow.ultrasound.beamform import beamform_frame_events, default_grid
from napari_usflow.ultrasound.data import ChannelData, PixelGrid
from napari_usflow.ultrasound.delay_and_sum import DelayAndSum, receive_apodization
from napari_usflow.ultrasound.scene import Scene

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


METHODS = {"ours": ours, "all pairs": all_pairs}


def measure(name: str, n_angles: int, threads: int, to: Connection) -> None:
    import torch

    torch.set_num_threads(threads)
    data = acquisition(n_angles)
    grid = default_grid(data)
    start = time.perf_counter()
    envelope = np.abs(METHODS[name](data, grid))
    seconds = time.perf_counter() - start
    # Linux counts in KiB, macOS in bytes.
    unit = 1 if sys.platform == "darwin" else 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20
    to.send((seconds, peak, envelope))
    to.close()


def in_its_own_process(
    name: str, n_angles: int, threads: int
) -> tuple[float, float, npt.NDArray[np.float32]]:
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=measure, args=(name, n_angles, threads, there))
    process.start()
    there.close()
    seconds, peak, envelope = here.recv()
    process.join()
    return seconds, peak, envelope


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--angles", type=int, default=11, help="plane waves")
    parser.add_argument("--threads", type=int, default=1, help="threads of torch")
    parser.add_argument("--repeats", type=int, default=3, help="runs of each")
    args = parser.parse_args()
    runs = {name: [] for name in METHODS}
    for _ in range(args.repeats):
        for name in METHODS:
            runs[name].append(in_its_own_process(name, args.angles, args.threads))
    shape = runs["ours"][0][2].shape
    print(
        f"{args.angles} plane waves, {shape[0]} x {shape[1]} pixels, "
        f"{args.threads} thread(s), best of {args.repeats}"
    )
    best = {name: min(run[0] for run in runs[name]) for name in METHODS}
    for name in METHODS:
        peak = max(run[1] for run in runs[name])
        print(f"{name:>10}: {best[name]:7.2f} s, process peak {peak:6.0f} MiB")
    a, b = (runs[name][0][2] / runs[name][0][2].max() for name in METHODS)
    print(
        f"{'ratio':>10}: {best['all pairs'] / best['ours']:7.1f} times as fast; "
        f"largest difference {np.abs(a - b).max():.1e} of the maximum"
    )


if __name__ == "__main__":
    main()
