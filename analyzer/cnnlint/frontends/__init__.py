"""Readers that raise a model file to the graph."""
