"""Methods under test, those of other packages included."""
