"""Small changes to a valid model, each of one kind; whether they leave it valid is for onnx's checker to say."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import prod

from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper

Mutation = Callable[[ModelProto], bool | None]
"""Changes a model in place; False if there is nothing in it to change so."""


BEYOND_THE_CHECKER = frozenset({"attribute_of_no_known_word", "no_outputs_at_all", "node_name_twice"})
"""Mutations that the checker passes and that leave nothing to run, or nothing that any runtime runs."""


def _node(model: ModelProto, *, inputs: bool = True) -> NodeProto:
    return next(node for node in model.graph.node if not inputs or any(node.input))


def _read(graph: GraphProto) -> NodeProto | None:
    """Return a node that another one reads."""
    made = {name: node for node in graph.node for name in node.output}
    return next((made[name] for node in graph.node for name in node.input if name in made), None)


def _standard(model: ModelProto) -> NodeProto | None:
    return next((node for node in model.graph.node if node.domain == "" and any(node.input)), None)


def no_graph_name(model: ModelProto) -> None:
    model.graph.ClearField("name")


def no_ir_version(model: ModelProto) -> None:
    model.ClearField("ir_version")


def future_ir_version(model: ModelProto) -> None:
    model.ir_version = 99


def old_ir_version(model: ModelProto) -> bool | None:
    if any(each.domain == "" and each.version < 9 for each in model.opset_import):
        return False
    model.ir_version = 3
    return None


def no_opset(model: ModelProto) -> None:
    model.ClearField("opset_import")


def opset_twice(model: ModelProto) -> None:
    model.opset_import.append(model.opset_import[0])


def other_opset_too(model: ModelProto) -> None:
    first = model.opset_import[0]
    model.opset_import.append(helper.make_opsetid(first.domain, first.version - 1))


def unused_opset(model: ModelProto) -> None:
    model.opset_import.append(helper.make_opsetid("com.example", 1))


def future_opset(model: ModelProto) -> None:
    model.opset_import[0].version = 99


def metadata_twice(model: ModelProto) -> None:
    for value in ("1", "2"):
        entry = model.metadata_props.add()
        entry.key, entry.value = "author", value


def unknown_operator(model: ModelProto) -> bool | None:
    if (node := _standard(model)) is None:
        return False
    node.op_type = "Convolve"
    return None


def removed_operator(model: ModelProto) -> bool | None:
    if (node := _standard(model)) is None:
        return False
    node.op_type = "Upsample"
    return None


def experimental_operator(model: ModelProto) -> bool | None:
    if (node := _standard(model)) is None:
        return False
    node.op_type = "Affine"
    return None


def no_operator(model: ModelProto) -> None:
    _node(model).ClearField("op_type")


def unknown_domain(model: ModelProto) -> None:
    _node(model).domain = "com.example"


def unknown_attribute(model: ModelProto) -> bool | None:
    if (node := _standard(model)) is None:
        return False
    node.attribute.append(helper.make_attribute("colour", 1))
    return None


def attribute_twice(model: ModelProto) -> bool | None:
    node = next((each for each in model.graph.node if each.attribute), None)
    if node is None:
        return False
    node.attribute.append(node.attribute[0])
    return None


def attribute_of_other_type(model: ModelProto) -> bool | None:
    node = next((each for each in model.graph.node if each.attribute), None)
    if node is None:
        return False
    name = node.attribute[0].name
    text = helper.make_attribute(name, 2.5 if node.attribute[0].type != 1 else "text")
    node.attribute[0].CopyFrom(text)
    return None


def attribute_without_type(model: ModelProto) -> bool | None:
    node = next((each for each in model.graph.node if each.attribute), None)
    if node is None:
        return False
    node.attribute[0].ClearField("type")
    return None


def attribute_type_contradicts(model: ModelProto) -> bool | None:
    node = next((each for each in model.graph.node if each.attribute), None)
    if node is None:
        return False
    node.attribute[0].type = 1 if node.attribute[0].type != 1 else 2
    return None


def attribute_of_two_values(model: ModelProto) -> bool | None:
    node = next((each for each in model.graph.node if each.attribute), None)
    if node is None:
        return False
    if node.attribute[0].type == 3:
        node.attribute[0].i = 7
    else:
        node.attribute[0].s = b"more"
    return None


def no_attributes(model: ModelProto) -> bool | None:
    node = next((each for each in model.graph.node if each.attribute), None)
    if node is None:
        return False
    node.ClearField("attribute")
    return None


def reference_outside_a_function(model: ModelProto) -> bool | None:
    node = next((each for each in model.graph.node if each.attribute), None)
    if node is None:
        return False
    kind = node.attribute[0].type
    name = node.attribute[0].name
    node.attribute[0].Clear()
    node.attribute[0].name, node.attribute[0].type, node.attribute[0].ref_attr_name = name, kind, "outer"
    return None


def input_too_many(model: ModelProto) -> bool | None:
    if (node := _standard(model)) is None:
        return False
    node.input.extend([next(filter(None, node.input))] * 7)
    return None


def no_inputs(model: ModelProto) -> None:
    _node(model).ClearField("input")


def blank_input(model: ModelProto) -> None:
    _node(model).input[0] = ""


def output_too_many(model: ModelProto) -> bool | None:
    if (node := _standard(model)) is None:
        return False
    node.output.extend(f"more{index}" for index in range(9))
    return None


def no_outputs(model: ModelProto) -> bool | None:
    results = {value.name for value in model.graph.output} | {name for node in model.graph.node for name in node.input}
    node = next((each for each in model.graph.node if not results.intersection(each.output)), None)
    if node is None:
        return False
    node.ClearField("output")
    return None


def nodes_in_reverse(model: ModelProto) -> bool | None:
    if _read(model.graph) is None:
        return False
    nodes = list(model.graph.node)[::-1]
    model.graph.ClearField("node")
    model.graph.node.extend(nodes)
    return None


def undefined_input(model: ModelProto) -> None:
    node = _node(model)
    node.input[next(index for index, name in enumerate(node.input) if name)] = "nowhere"


def made_twice(model: ModelProto) -> None:
    model.graph.node.append(model.graph.node[-1])


def cycle(model: ModelProto) -> bool | None:
    node = _read(model.graph)
    if node is None or not any(node.input):
        return False
    node.input[0] = model.graph.node[-1].output[0]
    return None


def input_twice(model: ModelProto) -> bool | None:
    if not model.graph.input:
        return False
    model.graph.input.append(model.graph.input[0])
    return None


def output_twice(model: ModelProto) -> None:
    model.graph.output.append(model.graph.output[0])


def output_that_nothing_makes(model: ModelProto) -> None:
    model.graph.output[0].name = "nowhere"


def no_outputs_at_all(model: ModelProto) -> None:
    model.graph.ClearField("output")


def initializer_twice(model: ModelProto) -> bool | None:
    if not model.graph.initializer:
        return False
    model.graph.initializer.append(model.graph.initializer[0])
    return None


def initializer_without_name(model: ModelProto) -> bool | None:
    model.graph.initializer.append(TensorProto(data_type=1, dims=[1], float_data=[1.0]))
    return None


def initializer_of_no_type(model: ModelProto) -> bool | None:
    model.graph.initializer.append(TensorProto(name="untyped", dims=[1], float_data=[1.0]))
    return None


def initializer_of_two_fields(model: ModelProto) -> bool | None:
    model.graph.initializer.append(
        TensorProto(name="twofold", data_type=1, dims=[1], float_data=[1.0], raw_data=b"1234")
    )
    return None


def initializer_in_other_field(model: ModelProto) -> bool | None:
    model.graph.initializer.append(TensorProto(name="misfiled", data_type=1, dims=[1], int64_data=[1]))
    return None


def initializer_of_no_data(model: ModelProto) -> bool | None:
    model.graph.initializer.append(TensorProto(name="hollow", data_type=1, dims=[2]))
    return None


def external_without_location(model: ModelProto) -> bool | None:
    model.graph.initializer.append(TensorProto(name="far", data_type=1, dims=[2], data_location=1))
    return None


def sparse_of_wrong_rank(model: ModelProto) -> None:
    values = helper.make_tensor("thin", 1, [1, 1], [1.0])
    indices = helper.make_tensor("where", 7, [1], [0])
    model.graph.sparse_initializer.append(helper.make_sparse_tensor(values, indices, [4]))


def sparse_out_of_range(model: ModelProto) -> None:
    values = helper.make_tensor("thin", 1, [1], [1.0])
    indices = helper.make_tensor("where", 7, [1], [9])
    model.graph.sparse_initializer.append(helper.make_sparse_tensor(values, indices, [4]))


def sparse_unsorted(model: ModelProto) -> None:
    values = helper.make_tensor("thin", 1, [2], [1.0, 1.0])
    indices = helper.make_tensor("where", 7, [2], [2, 1])
    model.graph.sparse_initializer.append(helper.make_sparse_tensor(values, indices, [4]))


def output_without_type(model: ModelProto) -> None:
    model.graph.output[0].ClearField("type")


def output_without_shape(model: ModelProto) -> bool | None:
    if not model.graph.output[0].type.HasField("tensor_type"):
        return False
    model.graph.output[0].type.tensor_type.ClearField("shape")
    return None


def output_without_element_type(model: ModelProto) -> bool | None:
    if not model.graph.output[0].type.HasField("tensor_type"):
        return False
    model.graph.output[0].type.tensor_type.ClearField("elem_type")
    return None


def input_without_type(model: ModelProto) -> bool | None:
    if not model.graph.input:
        return False
    model.graph.input[0].ClearField("type")
    return None


def input_without_shape(model: ModelProto) -> bool | None:
    if not model.graph.input or not model.graph.input[0].type.HasField("tensor_type"):
        return False
    model.graph.input[0].type.tensor_type.ClearField("shape")
    return None


def input_without_name(model: ModelProto) -> bool | None:
    if not model.graph.input:
        return False
    value = model.graph.input.add()
    value.CopyFrom(model.graph.input[0])
    value.name = ""
    return None


def output_of_other_type(model: ModelProto) -> bool | None:
    kind = model.graph.output[0].type.tensor_type
    if not kind.elem_type:
        return False
    kind.elem_type = 7 if kind.elem_type != 7 else 1
    return None


def output_of_other_rank(model: ModelProto) -> bool | None:
    if not model.graph.output[0].type.tensor_type.HasField("shape"):
        return False
    model.graph.output[0].type.tensor_type.shape.dim.add().dim_value = 3
    return None


def output_of_other_extent(model: ModelProto) -> bool | None:
    kind = model.graph.output[0].type.tensor_type
    dim = next((dim for dim in kind.shape.dim if dim.dim_value), None)
    if dim is None:
        return False
    dim.dim_value += 1
    return None


def inner_of_other_extent(model: ModelProto) -> bool | None:
    node = _read(model.graph)
    if node is None:
        return False
    model.graph.value_info.append(helper.make_tensor_value_info(node.output[0], 1, [7, 7, 7, 7, 7, 7]))
    return None


def inner_of_other_type(model: ModelProto) -> bool | None:
    node = _read(model.graph)
    if node is None or node.op_type not in {"Conv", "Relu", "Gemm", "MatMul", "MaxPool"}:
        return False
    model.graph.value_info.append(helper.make_tensor_value_info(node.output[0], 7, None))
    return None


def inner_twice(model: ModelProto) -> bool | None:
    node = _read(model.graph)
    if node is None:
        return False
    for _ in range(2):
        model.graph.value_info.append(helper.make_tensor_value_info(node.output[0], 1, None))
    return None


def inner_of_no_node(model: ModelProto) -> None:
    model.graph.value_info.append(helper.make_tensor_value_info("nowhere", 1, [1]))


def input_of_other_type(model: ModelProto) -> bool | None:
    kinds = [value.type.tensor_type for value in model.graph.input]
    kind = next((kind for kind in kinds if kind.elem_type == 1), None)
    if kind is None:
        return False
    kind.elem_type = 7
    return None


def bias_of_other_type(model: ModelProto) -> bool | None:
    node = next((node for node in model.graph.node if node.op_type == "Conv" and len(node.input) == 3), None)
    if node is None:
        return False
    bias = next((each for each in model.graph.initializer if each.name == node.input[2]), None)
    if bias is None:
        return False
    bias.CopyFrom(helper.make_tensor(bias.name, 7, bias.dims, [0] * bias.dims[0]))
    return None


def kernel_shape_that_contradicts(model: ModelProto) -> bool | None:
    node = next((node for node in model.graph.node if node.op_type == "Conv"), None)
    if node is None:
        return False
    kept = [each for each in node.attribute if each.name != "kernel_shape"]
    node.ClearField("attribute")
    node.attribute.extend([*kept, helper.make_attribute("kernel_shape", [11, 11])])
    return None


def attribute_of_no_known_word(model: ModelProto) -> bool | None:
    node = next((node for node in model.graph.node if node.op_type in {"Conv", "MaxPool", "AveragePool"}), None)
    if node is None:
        return False
    kept = [each for each in node.attribute if each.name not in {"auto_pad", "pads"}]
    node.ClearField("attribute")
    node.attribute.extend([*kept, helper.make_attribute("auto_pad", "SAME")])
    return None


def strides_of_other_rank(model: ModelProto) -> bool | None:
    node = next((node for node in model.graph.node if node.op_type in {"Conv", "MaxPool", "AveragePool"}), None)
    if node is None:
        return False
    kept = [each for each in node.attribute if each.name != "strides"]
    node.ClearField("attribute")
    node.attribute.extend([*kept, helper.make_attribute("strides", [1, 1, 1, 1, 1])])
    return None


def kernel_of_other_width(model: ModelProto) -> bool | None:
    node = next((node for node in model.graph.node if node.op_type == "Conv"), None)
    kernel = next((each for each in model.graph.initializer if node is not None and each.name == node.input[1]), None)
    if kernel is None:
        return False
    filters, channels, *taps = kernel.dims
    shape = [filters, channels + 1, *taps]
    kernel.CopyFrom(helper.make_tensor(kernel.name, 1, shape, [0.0] * prod(shape)))
    return None


def sum_that_does_not_broadcast(model: ModelProto) -> bool | None:
    node = next((node for node in model.graph.node if node.op_type == "Relu"), None)
    if node is None:
        return False
    model.graph.initializer.append(helper.make_tensor("odd", 1, [97], [0.0] * 97))
    node.op_type = "Add"
    node.input.append("odd")
    return None


def name_with_a_line_break(model: ModelProto) -> None:
    _node(model, inputs=False).name = "first\nsecond"


def external_with_values(model: ModelProto) -> bool | None:
    if not model.graph.initializer:
        return False
    model.graph.initializer[0].data_location = 1
    entry = model.graph.initializer[0].external_data.add()
    entry.key, entry.value = "location", "weights.bin"
    return None


def node_name_twice(model: ModelProto) -> bool | None:
    if len(model.graph.node) < 2:
        return False
    for node in model.graph.node:
        node.name = "same"
    return None


def _with_if(model: ModelProto, *nodes: NodeProto, name: str = "branch", output: str = "chosen_inside") -> None:
    """Add an If whose branches hold `nodes`."""
    model.graph.initializer.append(helper.make_tensor("flag", TensorProto.BOOL, [], [True]))
    value = helper.make_tensor_value_info(output, 1, [1])
    branch = helper.make_graph(nodes, name, [], [value])
    model.graph.node.append(helper.make_node("If", ["flag"], ["chosen"], then_branch=branch, else_branch=branch))


def _constant(name: str) -> NodeProto:
    return helper.make_node("Constant", [], [name], value=helper.make_tensor("", 1, [1], [1.0]))


def branches(model: ModelProto) -> None:
    _with_if(model, _constant("chosen_inside"))


def branch_without_name(model: ModelProto) -> None:
    _with_if(model, _constant("chosen_inside"), name="")


def branch_that_makes_nothing(model: ModelProto) -> None:
    _with_if(model, _constant("something"))


def branch_that_reads_nothing(model: ModelProto) -> None:
    _with_if(model, helper.make_node("Abs", ["nowhere"], ["chosen_inside"]))


def branch_in_reverse(model: ModelProto) -> None:
    _with_if(model, helper.make_node("Abs", ["inner"], ["chosen_inside"]), _constant("inner"))


def branch_that_hides(model: ModelProto) -> bool | None:
    node = _read(model.graph)
    if node is None:
        return False
    _with_if(model, _constant(node.output[0]), output=node.output[0])
    return None


def branch_of_unknown_operator(model: ModelProto) -> None:
    _with_if(model, helper.make_node("Convolve", [], ["chosen_inside"]))


def branch_of_other_type(model: ModelProto) -> None:
    _with_if(model, _constant("inner"), helper.make_node("Not", ["inner"], ["chosen_inside"]))


def _with_function(model: ModelProto, **changes: object) -> None:
    """Add a function that is called once."""
    opset = next(each for each in model.opset_import if each.domain == "")
    made: dict[str, object] = {
        "domain": "local",
        "fname": "Twice",
        "inputs": ["a"],
        "outputs": ["b"],
        "nodes": [helper.make_node("Add", ["a", "a"], ["b"])],
        "opset_imports": [opset],
        **changes,
    }
    model.opset_import.append(helper.make_opsetid("local", 1))
    model.ir_version = max(model.ir_version, 8)
    model.functions.append(helper.make_function(**made))  # type: ignore[arg-type]
    model.graph.node.extend([_constant("one"), helper.make_node("Twice", ["one"], ["two"], domain="local")])


def function(model: ModelProto) -> None:
    _with_function(model)


def function_twice(model: ModelProto) -> None:
    _with_function(model)
    model.functions.append(model.functions[0])


def function_without_opset(model: ModelProto) -> None:
    _with_function(model, opset_imports=[])


def function_that_reads_nothing(model: ModelProto) -> None:
    _with_function(model, nodes=[helper.make_node("Add", ["a", "nowhere"], ["b"])])


def function_in_reverse(model: ModelProto) -> None:
    nodes = [helper.make_node("Neg", ["c"], ["b"]), helper.make_node("Add", ["a", "a"], ["c"])]
    _with_function(model, nodes=nodes)


def function_that_makes_nothing(model: ModelProto) -> None:
    _with_function(model, nodes=[helper.make_node("Add", ["a", "a"], ["c"])])


def function_of_one_input_twice(model: ModelProto) -> None:
    _with_function(model, inputs=["a", "a"])


def function_of_one_output_twice(model: ModelProto) -> None:
    _with_function(model, outputs=["b", "b"])


def function_of_unknown_operator(model: ModelProto) -> None:
    _with_function(model, nodes=[helper.make_node("Convolve", ["a"], ["b"])])


def function_of_unknown_attribute(model: ModelProto) -> None:
    _with_function(model, nodes=[helper.make_node("Add", ["a", "a"], ["b"], colour=1)])


def function_without_name(model: ModelProto) -> None:
    _with_function(model)
    model.functions[0].ClearField("name")
    model.graph.node.pop()


def function_without_domain(model: ModelProto) -> None:
    _with_function(model)
    model.functions[0].ClearField("domain")
    model.graph.node.pop()


def function_of_one_attribute_twice(model: ModelProto) -> None:
    _with_function(model, attributes=["alpha", "alpha"])


def function_that_is_not_called(model: ModelProto) -> None:
    _with_function(model)
    model.graph.node.pop()


def function_that_calls_itself(model: ModelProto) -> None:
    opset = next(each for each in model.opset_import if each.domain == "")
    imports = [opset, helper.make_opsetid("local", 1)]
    nodes = [helper.make_node("Twice", ["a"], ["b"], domain="local")]
    _with_function(model, nodes=nodes, opset_imports=imports)


def function_of_another_opset(model: ModelProto) -> None:
    opset = next(each for each in model.opset_import if each.domain == "")
    _with_function(model, opset_imports=[helper.make_opsetid("", opset.version - 1)])


def function_given_too_much(model: ModelProto) -> None:
    _with_function(model)
    model.graph.node[-1].input.append("one")


def mutations() -> Iterator[tuple[str, Mutation]]:
    """Yield each kind of mutation by its name."""
    for name, value in list(globals().items()):
        is_own = callable(value) and getattr(value, "__module__", "") == __name__
        if is_own and not name.startswith("_") and name not in {"mutations", "Mutation"}:
            yield name, value
