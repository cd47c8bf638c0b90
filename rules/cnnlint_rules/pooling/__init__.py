"""Rules about pooling and the size of feature maps (PL)."""
