"""One verifier for lint, fix, compare and convert: whether two models compute the same but for rounding.

Importing this package is cheap: numpy and onnx are imported by the first run.
"""
