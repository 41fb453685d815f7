"""Numbers and figures: metrics, phantom scores, the demo, the Gaussian test."""
