"""Figures of the documentation that are no test of their own."""
