"""Convert Keras models and SavedModels to ONNX; the only package that imports TensorFlow and tf2onnx.

Importing this package is cheap: the first conversion imports TensorFlow.
"""

from cnnlint.conversion.keras_model import Conversion, convert_keras, keras_to_onnx
from cnnlint.conversion.saved_model import savedmodel_to_onnx

__all__ = ["Conversion", "convert_keras", "keras_to_onnx", "savedmodel_to_onnx"]
