"""Rules about convolutions (CV)."""
