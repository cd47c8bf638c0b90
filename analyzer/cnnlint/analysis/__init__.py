"""Facts about a graph: cost, memory, receptive field, pattern."""
