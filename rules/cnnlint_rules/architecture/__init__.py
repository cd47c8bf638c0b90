"""Rules about the network's overall structure (AR)."""
