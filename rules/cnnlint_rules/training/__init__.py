"""Rules about how a network is trained (TR)."""
