"""The vocabulary of convolutional networks: tensors, weights, layers, and the graph that they form."""
