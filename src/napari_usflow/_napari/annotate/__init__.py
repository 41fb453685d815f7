"""The Annotate widget: marks that readers put on a clip."""
