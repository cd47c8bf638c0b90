"""What onnxruntime says of a model; the only package that imports it.

Importing this package is cheap: onnxruntime is imported by the first session.
"""
