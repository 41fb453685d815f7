"""A scanner's clip on a cluster.

A clip is read frame by frame, each frame is denoised by whichever worker is free, and
nothing but the frames at work is in memory. The workers are threads here; on a cluster
only the line with `Client` changes.
"""

# %%
# ## A clip
#
# Eight frames of a cyst that moves, as MP4: what a scanner exports. It holds grey, no
# decibels and no pixel size.

import tempfile
from pathlib import Path

import imageio_ffmpeg
import numpy as np

import napari_usflow as usf

size, frames = 128, 8
z, x = np.mgrid[:size, :size]
path = Path(tempfile.mkdtemp()) / "clip.mp4"
writer = imageio_ffmpeg.write_frames(
    str(path), (size, size), fps=10, pix_fmt_in="gray", quality=9
)
writer.send(None)
for frame in range(frames):
    cyst = (z - 64) ** 2 + (x - 40 - 6 * frame) ** 2 < 20**2
    speckled_db = usf.simulate_speckle(np.where(cyst, 0.35, 0.75), seed=frame)
    grey = np.clip(255 * (1 + speckled_db / 60), 0, 255)
    writer.send(np.ascontiguousarray(grey.astype(np.uint8)))
writer.close()

# %%
# ## Read it lazily
#
# No frame is decoded yet.

clip = usf.read(path)[0]
print(type(clip.data).__name__, clip.data.shape, clip.values)

# %%
# ## Share out the frames
#
# What is lazy stays so: `usf.denoise` gives one task a frame, which an active client
# computes. On a cluster: `Client("tcp://host:8786")`. The noise is measured once, in
# the middle frame, so that the result does not depend on who did what.

from distributed import Client

with Client(processes=False, n_workers=1, threads_per_worker=2) as client:
    clean = usf.denoise(clip, method="realtime")
    print(type(clean.data).__name__, "with", len(clean.data), "frames to compute")
    result = np.stack([np.asarray(frame) for frame in clean.data])
print(result.shape, result.dtype)

# %%
# ## Look

import matplotlib.pyplot as plt

figure, axes = plt.subplots(2, 3, figsize=(8, 5.4))
for column, index in enumerate((0, frames // 2, frames - 1)):
    for row, shown in enumerate((clip.data, result)):
        axes[row, column].imshow(np.asarray(shown[index]), "gray", vmin=0, vmax=255)
        axes[row, column].set_axis_off()
    axes[0, column].set_title(f"frame {index}")
figure.tight_layout()

# %%
# The command line does the same and writes OME-Zarr as the frames come, which can be
# resumed after a crash and opened in napari meanwhile:
#
# ```sh
# usflow denoise clip.mp4 out.zarr --method realtime --workers 8
# usflow denoise clip.mp4 out.zarr --method realtime --scheduler tcp://host:8786
# ```
