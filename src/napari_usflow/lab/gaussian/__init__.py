"""The test with white Gaussian noise on MRI."""
