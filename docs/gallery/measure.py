"""Measure before and after.

Contrast and gCNR rise with *any* smoothing, so a result is judged by several figures at
once: what is left of the speckle, whether levels are kept, how steep an edge is, and
what became of a point. Where the truth is known, by the distance to it.
"""

# %%
# ## An image whose truth is known
#
# Tissue with a dark cyst and a bright point, under simulated speckle. B-mode decibels
# count from the maximum of the image, so that an offset to the truth is fitted further
# down.

import numpy as np

import napari_usflow as usf

size, pixel_mm = 160, 0.2
z, x = np.mgrid[:size, :size] * pixel_mm
distance = np.hypot(z - 16, x - 16)
tissue = np.where(distance < 6, 0.4, 0.7)
tissue[130, 130] = 1.0
noisy = usf.simulate_speckle(tissue, pixel_size_mm=pixel_mm, seed=1)
grid = usf.PixelGrid(noisy.shape, (pixel_mm, pixel_mm), (0.0, 0.0))
image = usf.UltrasoundImage(noisy[np.newaxis], "db", grid)
truth_db = 60 * (tissue - 1)

# %%
# ## Denoise with several methods
#
# `uniform` is a plain mean over 7 × 7 pixels: it has no idea what an edge is.

from scipy.ndimage import uniform_filter

results = {"input": noisy, "uniform": uniform_filter(noisy, 7)}
for method in ("nlm", "srad", "realtime", "best"):
    results[method] = usf.denoise(image, method=method).data[0]

# %%
# ## Measure
#
# On the same regions of all: the inside of the cyst, a ring around it, the mean profile
# through its wall, and how far the point stands above the tissue around it.

from napari_usflow.evaluate.metrics import contrast_db, edge_width, gcnr, psnr

inside, around = distance < 5, (distance > 7) & (distance < 10)
rings_mm = np.arange(3.0, 9.0, pixel_mm)
rings = [np.abs(distance - radius) < pixel_mm / 2 for radius in rings_mm]
block = np.s_[126:135, 126:135]

print(f"{'':8} contrast   gCNR  speckle    level     edge    point     PSNR")
for name, result in results.items():
    wall = np.array([result[ring].mean() for ring in rings])
    offset = (result - truth_db).mean()
    print(
        f"{name:8}"
        f"{contrast_db(result[inside], result[around]):6.1f} dB"
        f"{gcnr(result[inside], result[around]):7.3f}"
        f"{result[around].std():6.1f} dB"
        f"{result[around].mean() - noisy[around].mean():+6.1f} dB"
        f"{edge_width(wall, rings_mm):6.2f} mm"
        f"{result[block].max() - np.median(result[block]):6.1f} dB"
        f"{psnr(result - offset, truth_db, data_range=60):6.1f} dB"
    )

# %%
# The plain mean keeps the level and has a fine contrast. The wall and the point tell
# what it cost. No single column would have shown both.

# %%
# ## Look at the difference
#
# What was taken away should be grain, without anatomy.

import matplotlib.pyplot as plt

figure, axes = plt.subplots(2, 4, figsize=(9, 4.8))
for column, name in enumerate(("input", "uniform", "nlm", "best")):
    axes[0, column].imshow(results[name], "gray", vmin=-60, vmax=0)
    axes[0, column].set_title(name)
    axes[1, column].imshow(noisy - results[name], "gray", vmin=-15, vmax=15)
    for axis in axes[:, column]:
        axis.set_axis_off()
figure.tight_layout()
