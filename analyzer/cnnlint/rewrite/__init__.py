"""Edits of an ONNX model that keep its function, and their proof.

Importing this package is cheap: onnx is imported by the first edit.
"""
