"""The Project widget: save what was compared, measured and marked, and report on it."""
