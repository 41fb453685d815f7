"""The widgets: what the dock shows, and how its fields become parameters."""
