"""Models behind URLs: servers on loopback, and networks to serve."""
