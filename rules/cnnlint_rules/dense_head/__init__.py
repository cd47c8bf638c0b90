"""Rules about the dense layers that end a network, and its outputs (FC)."""
