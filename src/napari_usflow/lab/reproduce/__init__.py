"""The figures of the paper, with its settings and with the methods of this package."""
