"""Controls that more than one widget has."""
