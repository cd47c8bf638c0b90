"""Rules about the values of weights (WT), which a static lint leaves out."""
