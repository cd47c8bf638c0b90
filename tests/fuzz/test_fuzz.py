"""The fuzzer itself: its inputs can be drawn again, its trees keep every byte, its oracles see planted faults."""

from __future__ import annotations

import json
import time
from pathlib import Path
from random import Random

import onnx
import pytest
from fuzz.minimize import minimized

from fuzz import archives, configurations, onnx_models, oracles, wire, workers

MODELS = Path(__file__).parents[2] / "fixtures" / "models"
OPERATORS = {"Conv": {"strides": "INTS", "group": "INT"}, "Relu": {}, "Reshape": {"allowzero": "INT"}}


@pytest.mark.parametrize("path", sorted(MODELS.glob("*.onnx")), ids=lambda path: path.stem)
def test_a_tree_that_nothing_changed_is_the_file(path):
    assert wire.parse(path.read_bytes()).encode() == path.read_bytes()


def test_the_messages_are_those_of_onnx():
    descriptors = dict[str, object]()
    waiting = [onnx.ModelProto.DESCRIPTOR]
    while waiting:
        message = waiting.pop()
        if message.name not in descriptors:
            descriptors[message.name] = {
                field.number: field.message_type.name for field in message.fields if field.message_type is not None
            }
            waiting += [field.message_type for field in message.fields if field.message_type is not None]
    known = {name: fields for name, fields in wire.MESSAGES.items() if name in descriptors}
    assert {"GraphProto", "NodeProto", "FunctionProto", "TensorProto", "AttributeProto", "TypeProto"} <= set(known)
    for name, fields in known.items():
        assert fields.items() <= descriptors[name].items(), name


def test_a_padded_number_is_the_same_number_for_protobuf():
    model = wire.parse((MODELS / "torch_twin.onnx").read_bytes())
    for _, field in list(model.walk())[::7]:
        field.padding = 2
    assert onnx.ModelProto.FromString(model.encode()) == onnx.load(MODELS / "torch_twin.onnx")


def test_an_input_is_drawn_again_from_its_number():
    sound = (MODELS / "torch_twin.onnx").read_bytes()
    tree = wire.parse(sound)
    once = [onnx_models.mutate(Random(number), tree, tree, OPERATORS) for number in range(40)]
    assert once == [onnx_models.mutate(Random(number), tree, tree, OPERATORS) for number in range(40)]
    assert len(set(once)) > 35
    assert tree.encode() == sound
    packed = (MODELS / "torch_twin.keras").read_bytes()
    assert archives.mutate(Random(3), packed, packed) == archives.mutate(Random(3), packed, packed)
    assert configurations.draw(Random(5)) == configurations.draw(Random(5))


def test_sound_models_pass_every_oracle():
    for name in ("torch_twin.onnx", "torch_twin.keras", "seed_cnn.h5"):
        kind = "onnx" if name.endswith("onnx") else "archive"
        assert workers.fresh(kind, (MODELS / name).read_bytes()) == []
    assert workers.fresh("config", b'select = ["FC001"]\n') == []


def planted(monkeypatch, fault):
    def raising(*arguments, **options):
        fault()
        return original(*arguments, **options)

    original = oracles.import_module("cnnlint.frontends.onnx.skeleton").read
    with monkeypatch.context() as patch:  # one fault at a time
        patch.setattr("cnnlint.frontends.onnx.skeleton.read", raising)
        return {found.kind for found in workers.fresh("onnx", (MODELS / "torch_twin.onnx").read_bytes(), depth=0)}


def test_an_exception_a_stray_open_memory_and_time_are_seen(monkeypatch, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("x")

    def busy():
        ends = time.process_time() + 2.5
        while time.process_time() < ends:
            pass

    assert "internal" in planted(monkeypatch, lambda: int("x"))
    assert "opens" in planted(monkeypatch, secret.read_text)
    assert "memory" in planted(monkeypatch, lambda: bytearray(b"x" * 400_000_000))
    assert "time" in planted(monkeypatch, busy)
    assert "died" in planted(monkeypatch, lambda: workers.os._exit(3))


def test_a_report_that_is_not_valid_is_seen():
    with pytest.raises(ValueError, match="::e"):
        oracles.VALID.get("text", oracles._plain)("fine\n  ::error file=x::y\n")
    with pytest.raises(ValueError, match="NaN"):
        oracles._jsonl(json.dumps({"a": float("nan")}) + "\n")
    with pytest.raises(ValueError, match="an element"):
        oracles._html("<body><p>net</p><script>alert(1)</script></body>")


def test_a_minimized_model_keeps_what_matters_and_little_else():
    content = (MODELS / "vgg_style.onnx").read_bytes()

    def matters(candidate: bytes) -> bool:
        return any(node.op_type == "Softmax" for node in onnx.ModelProto.FromString(candidate).graph.node)

    found = minimized("onnx", content, matters, seconds=30)
    assert matters(found)
    assert len(found) < 20


def test_a_minimized_archive_and_a_minimized_configuration_keep_what_matters():
    packed = (MODELS / "torch_twin.keras").read_bytes()
    found = minimized("archive", packed, lambda each: b"Conv2D" in archives.members_of(each).get("config.json", b""))
    assert len(archives.members_of(found)["config.json"]) < 300
    assert set(archives.members_of(found)) == {"config.json"}
    assert minimized("config", b"a = 1\nb = 2\nc = 3\n", lambda each: b"b" in each) == b"b = 2"
