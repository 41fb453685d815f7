"""Training a flow as a prior."""
