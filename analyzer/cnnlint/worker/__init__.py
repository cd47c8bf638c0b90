"""Processes of their own for what a model can take down: onnxruntime's sessions, TensorFlow's loading and converting.

A worker is given whole jobs and answers with statistics: plain records, never tensors, and nothing that is unpickled.
Importing this package is cheap, and so is a worker that is not needed: it is started by the first job.
"""
