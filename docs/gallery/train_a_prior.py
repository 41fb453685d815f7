"""Train a prior of your own.

A prior is a density of small patches of tissue without speckle. It is trained on MRI:
files, a folder, or arrays. Here the "MRI" is drawn and the flow is tiny, so that this
takes a minute and not a night; what it denoises is accordingly rough.
"""

# %%
# ## Data
#
# Three volumes of smooth blobs, written as NIfTI. Yours are magnitudes of several
# subjects.

import tempfile
from pathlib import Path

import nibabel
import numpy as np
from scipy.ndimage import gaussian_filter

folder = Path(tempfile.mkdtemp())
rng = np.random.default_rng(0)
for subject in range(3):
    noise = gaussian_filter(rng.normal(size=(4, 256, 256)), (0, 5, 5))
    volume = 0.2 + 0.5 * (noise > 0) + 0.2 * (noise > 0.03)
    tissue = gaussian_filter(volume, (0, 0.7, 0.7)).astype(np.float32)
    affine = np.diag([3.0, 0.4375, 0.4375, 1.0])
    nibabel.save(nibabel.Nifti1Image(tissue, affine), folder / f"subject{subject}.nii")

# %%
# ## Configuration
#
# `cpu` is meant for some hours of a processor. Its parts can be replaced: here two
# steps of the flow a scale, and a few dozen steps of training.

from dataclasses import replace

from napari_usflow.prior.architecture import GlowConfig
from napari_usflow.training.flow.configs import CONFIGS

config = replace(
    CONFIGS["cpu"],
    flow=GlowConfig(patch_size=16, steps=(2, 2, 2), hidden=(24, 24, 24)),
    likelihood_steps=60,
    denoising_steps=60,
    batch_size=48,
    learning_rate=3e-3,
)

# %%
# ## Train
#
# `on_event` is called with what happens: steps, validations, checkpoints. The run
# folder holds the log, figures, checkpoints and the prior; a stopped run goes on.

import napari_usflow as usf

run = folder / "run"
events = []
prior = usf.train_prior(folder, out=run, config=config, on_event=events.append)
print(sorted(p.name for p in run.iterdir()))

# %%
# ## The curve

import matplotlib.pyplot as plt

steps = [event for event in events if isinstance(event, usf.TrainStep)]
figure, axis = plt.subplots(figsize=(6, 2.8))
axis.plot([event.step for event in steps], [event.loss for event in steps])
axis.set(xlabel="step", ylabel="training loss")
figure.tight_layout()

# %%
# ## Use
#
# A prior is a file; give its path to any method that takes one. In napari it is offered
# by *Use in Denoise*.

truth = gaussian_filter(0.3 + 0.4 * (np.indices((96, 96)).sum(0) // 24 % 2), 1)
noisy = (truth + rng.normal(scale=0.1, size=truth.shape)).astype(np.float32)
own = usf.denoise(noisy, method="flow", weights=prior, sigma=0.1, value_range=(0, 1))


def error(image: np.ndarray) -> float:
    return float(np.sqrt(np.mean((image - truth) ** 2)))


print(f"error {error(noisy):.3f} before, {error(own):.3f} after")
