"""Rules about what exporters leave behind (EX)."""
