"""Rules about how weights begin (IN)."""
