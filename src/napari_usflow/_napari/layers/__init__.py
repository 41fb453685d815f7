"""What a layer holds, and how a result becomes a layer."""
