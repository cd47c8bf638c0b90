"""ONNX: file -> skeleton (everything except the weights) -> graph."""
