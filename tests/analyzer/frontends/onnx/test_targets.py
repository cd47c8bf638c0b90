"""What runtimes support: the data against published pairs, against onnx, and against the onnxruntime installed."""

from __future__ import annotations

import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from cnnlint.errors import ConfigError
from cnnlint.frontends import load_onnx_bytes
from cnnlint.frontends.onnx.file import onnx_file
from cnnlint.frontends.onnx.records import ModelRecord
from cnnlint.frontends.onnx.targets import SINCE_IR, parse_target, runtime, runtimes

ORT = runtime("onnxruntime")
INSTALLED = ".".join(onnxruntime.__version__.split(".")[:2])


def network(ir: int, opset: int, *, ml: int = 0, dtype: int = TensorProto.FLOAT, domain: str = "") -> onnx.ModelProto:
    """Return Relu, or a node of `domain`, under the given versions."""
    imports = [helper.make_opsetid("", opset)]
    imports += [helper.make_opsetid("ai.onnx.ml", ml)] if ml else []
    imports += [helper.make_opsetid(domain, 1)] if domain else []
    ends = [helper.make_tensor_value_info(name, dtype, [1]) for name in "xy"]
    node = helper.make_node("Own" if domain else "Relu", ["x"], ["y"], domain=domain)
    graph = helper.make_graph([node], "net", ends[:1], ends[1:])
    return helper.make_model(graph, opset_imports=imports, ir_version=ir)


def record(model: onnx.ModelProto) -> ModelRecord:
    file = onnx_file(load_onnx_bytes(model.SerializeToString()))
    assert file is not None
    return file.record


def smallest(model: onnx.ModelProto) -> str | None:
    release = ORT.smallest_release(record(model))
    return None if release is None else release.release


@pytest.mark.parametrize(
    ("release", "ir", "opset", "ml"),
    [
        # https://onnxruntime.ai/docs/reference/compatibility.html: release, ONNX, opset, ML opset, IR version
        ("1.0", 6, 11, 2),  # ONNX 1.6
        ("1.3", 7, 12, 2),  # ONNX 1.7
        ("1.8", 7, 14, 2),  # ONNX 1.9
        ("1.12", 8, 17, 3),  # ONNX 1.12
        ("1.14", 8, 18, 3),  # ONNX 1.13
        ("1.16", 9, 19, 3),  # ONNX 1.14.1
        ("1.17", 9, 20, 4),  # ONNX 1.15
        ("1.20", 10, 21, 5),  # ONNX 1.16.1, whose ai.onnx.ml is 5 and not the page's 4
    ],
)
def test_published_pairs_stand_in_the_data(release: str, ir: int, opset: int, ml: int) -> None:
    found = parse_target(f"onnxruntime=={release}").release
    assert (found.ir, found.opsets) == (ir, {"ai.onnx": opset, "ai.onnx.ml": ml})


@pytest.mark.parametrize("name", runtimes())
def test_releases_stand_in_order_and_none_supports_less_than_the_one_before(name: str) -> None:
    known = runtime(name)
    assert known.name == name
    assert all(source.url.startswith("https://") and source.says for source in known.sources)
    numbers = [[int(part) for part in each.release.split(".")] for each in known.releases]
    assert numbers == sorted(numbers)
    for before, after in zip(known.releases, known.releases[1:], strict=False):
        assert before.ir <= after.ir
        assert all(version <= after.opsets[domain] for domain, version in before.opsets.items())


def test_the_versions_of_a_release_belong_to_releases_of_onnx_that_came_together() -> None:
    together = {tuple(row[1:4]) for row in helper.VERSION_TABLE}
    known = max(opset for _, opset, _ in together)  # to the installed onnx, which may be older than a release
    for each in ORT.releases:
        if each.opsets["ai.onnx"] > known:
            continue
        row = (each.ir, each.opsets["ai.onnx"], each.opsets["ai.onnx.ml"])
        assert row in together, each


def refusal(model: onnx.ModelProto) -> str:
    """Return why the onnxruntime that is installed does not load a model; "" if it does."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    try:
        onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    except Exception as error:
        return str(error)
    return ""


@pytest.mark.skipif(
    INSTALLED not in {each.release for each in ORT.releases}, reason="the installed onnxruntime is newer than the data"
)
def test_the_installed_onnxruntime_loads_what_its_row_says_and_refuses_one_more() -> None:
    row = parse_target(f"onnxruntime=={INSTALLED}").release
    opset, ml = row.opsets["ai.onnx"], row.opsets["ai.onnx.ml"]
    assert not refusal(network(row.ir, opset, ml=ml))
    assert f"max supported IR version: {row.ir}" in refusal(network(row.ir + 1, opset))
    assert f"support for domain ai.onnx is till opset {opset}" in refusal(network(row.ir, opset + 1))
    assert f"support for domain ai.onnx.ml is till opset {ml}" in refusal(network(row.ir, opset, ml=ml + 1))
    assert not refusal(network(3, ORT.oldest["ai.onnx"], ml=ORT.oldest["ai.onnx.ml"]))


def test_the_smallest_release_is_the_first_that_supports_all_versions_of_a_file() -> None:
    assert smallest(network(8, 15)) == "1.9"
    assert smallest(network(7, 15)) == "1.9"
    assert smallest(network(9, 15)) == "1.15"
    assert smallest(network(8, 20)) == "1.17"
    assert smallest(network(8, 17, ml=4)) == "1.17"
    assert smallest(network(3, 7)) == "1.0"
    assert smallest(network(3, 6)) is None
    assert smallest(network(8, 999)) is None


def test_a_type_is_supported_from_the_release_whose_ir_version_brought_it_whatever_the_file_claims() -> None:
    assert smallest(network(8, 19, dtype=TensorProto.FLOAT8E5M2)) == "1.15"
    assert smallest(network(8, 19, dtype=TensorProto.INT4)) == "1.18"
    assert smallest(network(8, 19, dtype=TensorProto.FLOAT4E2M1)) == "1.23"


def test_the_ir_version_of_each_type_is_the_one_that_onnx_proto_says() -> None:
    said = (onnx.__file__.rpartition("/")[0]) + "/onnx.proto"
    with open(said, encoding="utf-8") as file:
        words = file.read()
    for name, ir in ((name, ir) for name, ir in SINCE_IR.items() if ir <= onnx.IR_VERSION):
        _, _, after = words.partition(f"// IR VERSION {ir} published")
        brought = after.partition("IR_VERSION")[0].replace("_", "").lower()
        assert name.removesuffix("fnu").removesuffix("fn").replace("_", "") in brought.replace("fn,", ","), name


def test_an_opset_that_only_a_function_imports_counts() -> None:
    body = helper.make_function("own", "F", ["a"], ["b"], [helper.make_node("Relu", ["a"], ["b"])], [
        helper.make_opsetid("", 20)
    ])  # fmt: skip
    model = network(8, 15, domain="own")
    model.functions.append(body)
    model.graph.node[0].op_type = "F"
    assert smallest(model) == "1.17"
    assert ORT.undocumented(record(model)) == ()


def test_domains_that_are_not_in_the_documentation_are_named() -> None:
    assert ORT.undocumented(record(network(8, 15, domain="com.example"))) == ("com.example",)
    assert ORT.undocumented(record(network(8, 15, ml=3))) == ()


@pytest.mark.parametrize("written", ["onnxruntime==1.17", " OnnxRuntime == 1.17.3 ", "onnxruntime==v1.17.0"])
def test_a_patch_is_its_release(written: str) -> None:
    assert parse_target(written).title == "onnxruntime 1.17"


@pytest.mark.parametrize(
    ("written", "cause", "remedy"),
    [
        ("onnxruntime", "names no release", "write onnxruntime==1.17"),
        ("onnxruntime>=1.17", "names no release", "write onnxruntime==1.17"),
        ("onnxruntme==1.17", "nothing is known of", "did you mean onnxruntime?"),
        ("onnxruntime==9.9", "documented releases, 1.0 to", "newer releases support"),
        ("onnxruntime==0.5", "documented releases, 1.0 to", ""),
    ],
)
def test_a_target_that_nothing_is_known_of_is_refused_with_a_remedy(written: str, cause: str, remedy: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_target(written)
    assert cause in caught.value.cause
    assert remedy in (caught.value.remedy or "")
