"""Rules about the shapes that a network is given and gives (SH)."""
