"""Work beside the window: workers, progress, cancelling."""
