"""Whether two models compute the same, and where they begin not to."""
