"""Training: the engine, the folder of a run, its data and events."""
