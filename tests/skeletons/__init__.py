"""What tests of the ONNX skeleton share."""
