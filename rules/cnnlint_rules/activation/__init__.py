"""Rules about activations (AC)."""
