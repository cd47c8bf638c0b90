"""Applying the rewrites of rules to an ONNX model, verified to compute what it did."""
