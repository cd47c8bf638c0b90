"""ONNX operators, one by one, as layers of the vocabulary; a module per family, each with its `HANDLERS`."""
