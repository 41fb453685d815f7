"""Reports of projects: one page for a browser, or a PDF."""
