"""The widget that trains priors and networks."""
