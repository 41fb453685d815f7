"""How well the flow knows MRI: bits per dimension, against mixtures."""
