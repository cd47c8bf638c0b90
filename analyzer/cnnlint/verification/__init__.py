"""The verifier of lint, fix, compare and convert: whether two models compute the same up to rounding.

Importing this package is cheap: the first run imports numpy and onnx.
"""
