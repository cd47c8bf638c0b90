"""Rules about the dense layers that end a network (FC)."""
