"""Rules about whether Keras loads a file (KR)."""
