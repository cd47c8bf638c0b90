"""Edits of an ONNX model that keep its function; each is verified on the model.

Importing this package is cheap: onnx is imported by the first edit.
"""
