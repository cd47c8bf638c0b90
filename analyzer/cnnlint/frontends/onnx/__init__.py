"""ONNX: file -> skeleton (everything but the weights) -> graph."""
