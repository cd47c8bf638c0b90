"""Separate processes for work that a model can crash: onnxruntime sessions, loading and converting in TensorFlow.

A worker gets whole jobs and answers with plain records, never with tensors, and nothing is unpickled. Importing this
package is cheap, and a worker is started only by the first job.
"""
