"""The tests with simulated speckle."""
