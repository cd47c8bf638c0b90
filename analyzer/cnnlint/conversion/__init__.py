"""Convert Keras models and SavedModels to ONNX; the only package that imports TensorFlow and tf2onnx.

Importing it is cheap: TensorFlow is imported by the first conversion.
"""

from cnnlint.conversion.keras_model import Conversion, convert_keras, keras_to_onnx
from cnnlint.conversion.saved_model import savedmodel_to_onnx

__all__ = ["Conversion", "convert_keras", "keras_to_onnx", "savedmodel_to_onnx"]
