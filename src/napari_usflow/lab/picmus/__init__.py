"""The test on phantoms of the PICMUS challenge."""
