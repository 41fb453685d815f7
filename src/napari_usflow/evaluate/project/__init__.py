"""Projects: what was compared, measured and marked, kept in one file."""
