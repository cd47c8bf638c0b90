"""Run models under onnxruntime; the only package that imports it.

Importing this package is cheap: the first session imports onnxruntime.
"""
