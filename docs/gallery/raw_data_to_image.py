"""From raw data to a despeckled image.

Channel data of an acquisition are beamformed into a B-mode image, and the speckle is
removed. The acquisition is simulated, so that this runs anywhere; with a file of your
own start at *Read and beamform*.
"""

# %%
# ## Acquire
#
# A PICMUS data set of eleven plane waves on a linear array of 128 elements: tissue with
# cysts, bright and dark, and points. It is kept in a folder and made only once.

import tempfile
from pathlib import Path

from napari_usflow.jobs import result_of
from napari_usflow.ultrasound.simulate.phantom import sample_files

folder = Path(tempfile.mkdtemp())
path, _ = result_of(sample_files(folder=folder))
print(path.name, f"{path.stat().st_size / 1e6:.0f} MB")

# %%
# ## Read and beamform
#
# `usf.read` tells the format by content. Raw data are beamformed by delay-and-sum and
# the plane waves compounded; the result is in decibels below its maximum, with the
# place of each pixel in millimetres.

import napari_usflow as usf

image = usf.read(path, angles=5)[0]
print(image.values, image.data.shape, image.spacing_mm)

# %%
# ## Despeckle
#
# The default method is `best`, a network. The result has the same grid and the same
# decibels. NLM, a classical filter, is there to compare with.

clean = usf.denoise(image)
classical = usf.denoise(image, method="nlm")

# %%
# ## Look
#
# The mean of the tissue stays where it was; only its spread is gone.

import matplotlib.pyplot as plt

(rows, columns), (axial_mm, lateral_mm) = image.data.shape[1:], image.spacing_mm
extent_mm = (0, columns * lateral_mm, rows * axial_mm, 0)
figure, axes = plt.subplots(1, 3, figsize=(9, 4.2), sharey=True)
titles = ("B-mode, 5 plane waves", "best", "NLM")
for axis, shown, title in zip(axes, (image, clean, classical), titles, strict=True):
    axis.imshow(shown.data[0], "gray", vmin=-60, vmax=0, extent=extent_mm, aspect=1)
    axis.set(title=title, xlabel="mm")
axes[0].set_ylabel("depth, mm")
figure.tight_layout()

# %%
# In napari the same is *File > Open Sample > In-silico plane-wave acquisition* and
# *Layers > Filter > Ultrasound > Despeckle*; on the command line
# `usflow denoise acquisition.hdf5 clean.tif`.
