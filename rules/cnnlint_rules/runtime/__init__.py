"""Rules about what onnxruntime says when it runs the model."""
