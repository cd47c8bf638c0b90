"""Rules about receptive fields and the size of the image (RF)."""
