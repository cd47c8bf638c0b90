"""Rules about where a model is meant to run (DP)."""
