"""Rules about normalisation (BN)."""
