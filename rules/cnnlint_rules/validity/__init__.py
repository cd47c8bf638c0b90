"""Rules about whether a file is what the ONNX standard says (ON)."""
