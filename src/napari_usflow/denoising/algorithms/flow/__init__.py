"""Methods with the flow as prior, and their parts."""
