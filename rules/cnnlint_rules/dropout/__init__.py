"""Rules about dropout (DO)."""
