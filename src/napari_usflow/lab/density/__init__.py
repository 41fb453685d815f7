"""Density of MRI under the flow in bits per dimension, against Gaussian mixtures."""
