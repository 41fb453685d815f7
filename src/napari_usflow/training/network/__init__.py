"""Training a network: scenes, pairs, and the loss."""
