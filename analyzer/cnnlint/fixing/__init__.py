"""Applying the rewrites of rules to an ONNX model, with a proof that it computes what it did."""
