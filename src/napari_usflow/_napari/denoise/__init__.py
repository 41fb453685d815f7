"""The widgets that denoise layers: *Denoise* and *Baselines*."""
