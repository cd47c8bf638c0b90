"""Rules about what a network may cost (BG)."""
