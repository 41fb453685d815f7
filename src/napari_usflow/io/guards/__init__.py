"""Checks before a file is trusted: kind, sizes, links, packages."""
