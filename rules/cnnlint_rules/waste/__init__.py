"""Rules about work that changes nothing (WA)."""
