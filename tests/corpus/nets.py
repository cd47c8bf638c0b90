"""A detector in the manner of YOLOv8 and a U-Net, as ONNX models whose weights take no room.

Ultralytics, https://docs.ultralytics.com/models/yolov8 (its smallest size), and Ronneberger et al., "U-Net:
Convolutional Networks for Biomedical Image Segmentation", MICCAI 2015, with padding and normalization as nowadays.
"""

from __future__ import annotations

from pathlib import Path

import onnx
from onnx import TensorProto, helper


class Builder:
    """Nodes of a network, each layer's channels known by the tensor that it makes."""

    def __init__(self, channels: int, size: int) -> None:
        self.nodes = list[onnx.NodeProto]()
        self.channels = {"image": channels}
        self.size = size

    def node(self, op: str, inputs: list[str], channels: int, **attributes: object) -> str:
        made = f"{op.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, inputs, [made], name=made, **attributes))
        self.channels[made] = channels
        return made

    def weight(self, *shape: int, value: float = 0.01) -> str:
        extents = f"shape_{len(self.nodes)}"
        self.nodes.append(helper.make_node("Constant", [], [extents], value_ints=list(shape)))
        filled = helper.make_tensor("value", TensorProto.FLOAT, [1], [value])
        return self.node("ConstantOfShape", [extents], 0, value=filled)

    def conv(self, x: str, filters: int, kernel: int = 3, stride: int = 1, *, bias: bool = False) -> str:
        inputs = [x, self.weight(filters, self.channels[x], kernel, kernel)]
        inputs += [self.weight(filters)] if bias else []
        pad = [kernel // 2] * 4
        return self.node("Conv", inputs, filters, kernel_shape=[kernel] * 2, strides=[stride] * 2, pads=pad)

    def unit(self, x: str, filters: int, kernel: int = 3, stride: int = 1, activation: str = "SiLU") -> str:
        """Add a convolution, its folded normalization as a bias, and an activation."""
        made = self.conv(x, filters, kernel, stride, bias=True)
        if activation == "Relu":
            return self.node("Relu", [made], filters)
        return self.node("Mul", [made, self.node("Sigmoid", [made], filters)], filters)

    def concat(self, *parts: str) -> str:
        return self.node("Concat", list(parts), sum(self.channels[part] for part in parts), axis=1)

    def upsample(self, x: str) -> str:
        scales = f"scales_{len(self.nodes)}"
        self.nodes.append(helper.make_node("Constant", [], [scales], value_floats=[1.0, 1.0, 2.0, 2.0]))
        return self.node("Resize", [x, "", scales], self.channels[x], mode="nearest")

    def model(self, *outputs: str) -> onnx.ModelProto:
        image = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, self.size, self.size])
        ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs]
        graph = helper.make_graph(self.nodes, "net", [image], ends)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        return onnx.shape_inference.infer_shapes(model)


def yolo() -> onnx.ModelProto:
    """Return a detector: backbone of C2f stages, SPPF, a pyramid up and down, and two branches for each scale."""
    net = Builder(3, 640)

    def stage(x: str, width: int, depth: int, *, residual: bool) -> str:
        first = net.unit(x, width, 1)
        half = width // 2
        halves = [f"{first}_a", f"{first}_b"]
        net.nodes.append(helper.make_node("Split", [first], halves, axis=1, name=f"split_{len(net.nodes)}"))
        net.channels.update(dict.fromkeys(halves, half))
        parts = list(halves)
        for _ in range(depth):
            inner = net.unit(net.unit(parts[-1], half), half)
            parts.append(net.node("Add", [parts[-1], inner], half) if residual else inner)
        return net.unit(net.concat(*parts), width, 1)

    x = net.unit(net.unit("image", 16, 3, 2), 32, 3, 2)
    x = stage(x, 32, 1, residual=True)
    p3 = stage(net.unit(x, 64, 3, 2), 64, 2, residual=True)
    p4 = stage(net.unit(p3, 128, 3, 2), 128, 2, residual=True)
    x = stage(net.unit(p4, 256, 3, 2), 256, 1, residual=True)
    pools = [net.unit(x, 128, 1)]
    for _ in range(3):
        pools.append(net.node("MaxPool", [pools[-1]], 128, kernel_shape=[5, 5], pads=[2] * 4))
    p5 = net.unit(net.concat(*pools), 256, 1)
    n4 = stage(net.concat(net.upsample(p5), p4), 128, 1, residual=False)
    n3 = stage(net.concat(net.upsample(n4), p3), 64, 1, residual=False)
    m4 = stage(net.concat(net.unit(n3, 64, 3, 2), n4), 128, 1, residual=False)
    m5 = stage(net.concat(net.unit(m4, 128, 3, 2), p5), 256, 1, residual=False)
    outputs = list[str]()
    for scale in (n3, m4, m5):
        boxes = net.conv(net.unit(net.unit(scale, 64), 64), 64, 1, bias=True)
        classes = net.conv(net.unit(net.unit(scale, 80), 80), 80, 1, bias=True)
        outputs.append(net.concat(boxes, net.node("Sigmoid", [classes], 80)))
    return net.model(*outputs)


def u_net() -> onnx.ModelProto:
    """Return a network for masks: four stages down, four up, each joined with the one of its size."""
    net = Builder(3, 256)

    def double(x: str, filters: int) -> str:
        return net.unit(net.unit(x, filters, activation="Relu"), filters, activation="Relu")

    x, skips = double("image", 64), list[str]()
    for filters in (128, 256, 512, 1024):
        skips.append(x)
        x = double(net.node("MaxPool", [x], net.channels[x], kernel_shape=[2, 2], strides=[2, 2]), filters)
    for skip in reversed(skips):
        filters = net.channels[skip]
        kernel = net.weight(net.channels[x], filters, 2, 2)
        x = net.node("ConvTranspose", [x, kernel], filters, kernel_shape=[2, 2], strides=[2, 2])
        x = double(net.concat(skip, x), filters)
    return net.model(net.conv(x, 2, 1, bias=True))


NETS = {"yolo": yolo, "u_net": u_net}


def saved(name: str, folder: Path) -> Path:
    """Write one of NETS into `folder` and return its path."""
    path = folder / f"{name}.onnx"
    onnx.save(NETS[name](), path)
    return path
