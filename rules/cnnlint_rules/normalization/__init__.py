"""Rules about normalization (BN)."""
