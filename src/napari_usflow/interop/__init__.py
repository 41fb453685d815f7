"""The methods in the terms of other packages."""
