"""Experiments of the authors: the tests of the paper, comparisons, benchmarks."""
