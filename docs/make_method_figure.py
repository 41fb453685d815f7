"""Draw ``docs/images/method.png``: speckle in decibels, and the posterior mean.

    python docs/make_method_figure.py

All by formula, nothing measured. Left the Fisher-Tippett density of log-compressed
speckle about its tissue; right, for tissue of two levels under white noise, the density
of what is seen, its most probable tissue, and the posterior mean.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib import pyplot as plt
from scipy.stats import norm

OUTPUT = Path(__file__).resolve().parent / "images" / "method.png"
RATE = np.log(10) / 10
SIGMA_DB = np.pi / np.sqrt(6) / RATE
BIAS_DB = np.euler_gamma / RATE
LEVELS, SHARES, SPREAD, NOISE = (0.3, 0.7), (0.6, 0.4), 0.03, 0.12


def speckle(axis: plt.Axes) -> None:
    """Draw the density of log-compressed speckle, and the Gaussian of its moments."""
    level_db = np.linspace(-28, 14, 600)
    exponent = RATE * level_db
    density = RATE * np.exp(exponent - np.exp(exponent))
    axis.plot(level_db, density, "C0", label="fully developed speckle")
    gaussian = norm.pdf(level_db, -BIAS_DB, SIGMA_DB)
    axis.plot(level_db, gaussian, "C1--", label=f"Gaussian of {SIGMA_DB:.2f} dB")
    axis.axvline(0, color="0.6", lw=0.8)
    axis.annotate(
        f"mean {-BIAS_DB:.2f} dB",
        (-BIAS_DB, 0.002),
        (-24, 0.03),
        arrowprops={"arrowstyle": "->", "color": "0.3"},
    )
    axis.set(xlabel="y − x, dB", ylabel="density", title="Speckle in decibels")
    axis.legend(frameon=False, loc="upper left", fontsize=8)


def posterior(axis: plt.Axes) -> None:
    """Draw the density of noisy tissue of two levels, and what is made of a value."""
    seen = np.linspace(0, 1, 800)
    noisy = np.hypot(SPREAD, NOISE)
    parts = [s * norm.pdf(seen, m, noisy) for m, s in zip(LEVELS, SHARES, strict=True)]
    density = sum(parts)
    score = np.gradient(np.log(density), seen)
    mean = seen + NOISE**2 * score
    gain = SPREAD**2 / noisy**2
    modes = [m + gain * (seen - m) for m in LEVELS]
    # Both parts are equally wide: the higher mode of the posterior is that of the
    # heavier part.
    mode = np.where(parts[0] > parts[1], *modes)
    axis.fill_between(seen, 0.3 * density / density.max(), color="C0", alpha=0.2)
    axis.text(0.03, 0.2, "p(y; σ)", color="C0")
    axis.plot(seen, seen, "0.6", lw=0.8, label="y")
    axis.plot(seen, mode, "C1--", label="most probable x")
    axis.plot(seen, mean, "C3", label="y + σ² ∇ log p(y; σ)")
    axis.set(
        xlabel="seen, y", ylabel="estimate", xlim=(0, 1), ylim=(0, 1), title="Estimates"
    )
    axis.legend(frameon=False, loc="upper left", fontsize=8)


def main() -> None:
    """Write the picture."""
    figure, axes = plt.subplots(1, 2, figsize=(8.6, 3.4))
    speckle(axes[0])
    posterior(axes[1])
    figure.tight_layout()
    figure.savefig(OUTPUT, dpi=130)


if __name__ == "__main__":
    main()
