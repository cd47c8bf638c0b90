"""Apply the rewrites of rules to an ONNX model, and verify that it computes the same."""
