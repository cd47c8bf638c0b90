"""Which lines of Python an ONNX file names, and which of them are told."""

import os
from collections.abc import Sequence
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

import cnnlint
from cnnlint.definitions.lines import WorkingTree

NET = """\
import torch.nn as nn


class Net(nn.Module):
    def forward(self, x):
        return self.act(self.conv(x))


def make():
    return Net()
"""


Lines = Sequence[tuple[int, str]]


def traced(path: str, *, line: int = 6, text: str = "return self.act(self.conv(x))") -> str:
    return f'File "{path}", line {line}, in forward\n    {text}'


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "project"
    (folder / "nets").mkdir(parents=True)
    (folder / ".git").mkdir()
    (folder / "nets" / "small.py").write_text(NET)
    monkeypatch.chdir(folder)
    return folder


def test_the_path_is_matched_by_its_longest_end_in_the_tree(tree):
    (tree / "old").mkdir()
    (tree / "old" / "small.py").write_text(NET)
    (frame,) = WorkingTree(tree).frames(traced("/home/somebody/project/nets/small.py"), "conv")
    assert (frame.file, frame.line, frame.function) == ("nets/small.py", 6, "Net.forward")
    assert frame.text[frame.begin : frame.end] == "self.conv(x)"


def test_what_two_files_fit_equally_is_not_told(tree):
    (tree / "old").mkdir()
    (tree / "old" / "small.py").write_text(NET)
    assert WorkingTree(tree).frames(traced("/elsewhere/small.py")) == ()


def test_a_line_that_has_changed_since_is_not_told(tree):
    assert WorkingTree(tree).frames(traced("/x/nets/small.py", line=5)) == ()
    assert WorkingTree(tree).frames(traced("/x/nets/small.py", text="return self.conv(x)")) == ()
    assert WorkingTree(tree).frames(traced("/x/nets/small.py", line=999)) == ()


def test_a_comment_is_no_change_of_a_line(tree):
    text = "return self.act(self.conv(x))"
    for there in (text, f"{text}  # as it was"):
        for here in (text, f"{text}  # as it is"):
            (tree / "nets" / "small.py").write_text(NET.replace(text, here))
            (frame,) = WorkingTree(tree).frames(traced("/x/nets/small.py", text=there), "conv")
            assert frame.text.strip() == here
    (tree / "nets" / "small.py").write_text(NET.replace(text, f"{text} + '# one'"))
    assert WorkingTree(tree).frames(traced("/x/nets/small.py")) == ()
    assert WorkingTree(tree).frames(traced("/x/nets/small.py", text=f"{text} + '# two'")) == ()


def test_frames_of_installed_packages_are_left_out_and_the_innermost_comes_first(tree):
    (tree / "train.py").write_text("import nets.small\nmodel = nets.small.Net()\nmodel(x)\n")
    trace = "\n  ".join(
        (
            'File "/w/train.py", line 3, in <module>\n    model(x)',
            traced("/env/lib/python3.11/site-packages/nets/small.py"),
            traced("/w/nets/small.py"),
        )
    )
    assert [frame.where for frame in WorkingTree(tree).frames(trace)] == ["nets/small.py:6", "train.py:3"]


def test_nothing_outside_of_the_tree_is_opened_and_no_link_is_followed(tree, tmp_path, monkeypatch):
    outside = tmp_path / "secret.py"
    outside.write_text(NET)
    (tree / "secret.py").symlink_to(outside)
    (tree / "linked").symlink_to(tmp_path, target_is_directory=True)
    opened = list[str]()
    real = Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda self: opened.append(os.path.realpath(self)) or real(self))
    tree_of_files = WorkingTree(tree)
    for path in (str(outside), "../secret.py", f"{tree}/../secret.py", "/linked/secret.py", "secret.py"):
        assert tree_of_files.frames(traced(path)) == ()
    assert opened == []
    assert tree_of_files.frames(traced("/x/nets/small.py")) != ()
    assert opened == [os.path.realpath(tree / "nets" / "small.py")]


def net(folder: Path, path: str, *, length: int = 0, side: int = 16, line: Lines = ()) -> str:
    """An ONNX file as PyTorch's exporter writes it: a kernel of a flatten and a dense layer, with their lines."""
    lines = [*line, *line[-1:]] or [(6, "return self.act(self.conv(x))")] * 3
    nodes = [
        helper.make_node("Conv", ["x", "conv.weight"], ["c"], name="node_conv", kernel_shape=[3, 3], pads=[1] * 4),
        helper.make_node("Flatten", ["c"], ["f"], name="node_flatten"),
        helper.make_node("Gemm", ["f", "fc.weight"], ["y"], name="node_fc", transB=1),
    ]
    for node, (number, text) in zip(nodes, lines, strict=True):
        for key, value in (
            ("pkg.torch.onnx.name_scopes", "['', 'conv', 'linear']"),
            ("pkg.torch.onnx.stack_trace", traced(path, line=number, text=text) + "\n" + "# " * length),
        ):
            node.metadata_props.add(key=key, value=value)
    weight = helper.make_tensor("fc.weight", TensorProto.FLOAT, (4000, 3 * side**2), bytes(48000 * side**2), True)
    graph = helper.make_graph(
        nodes,
        "main",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, (1, 3, side, side))],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, (1, 4000))],
        [weight, helper.make_tensor("conv.weight", TensorProto.FLOAT, (3, 3, 3, 3), [0.5] * 81)],
    )
    model = helper.make_model(graph, producer_name="pytorch", opset_imports=[helper.make_opsetid("", 20)])
    onnx.save(model, folder / "net.onnx")
    return str(folder / "net.onnx")


@pytest.mark.parametrize("length", [0, 1000], ids=["short", "longer than what is read at once"])
def test_a_finding_in_a_file_of_pytorchs_exporter_is_on_the_line_of_forward(tree, tmp_path, length):
    (report,) = cnnlint.lint(net(tmp_path, "/build/nets/small.py", length=length), isolated=True, static=True)
    places = [place for finding in report.findings for place in finding.places if place.layers]
    assert places
    assert {place.source for place in places} == {"nets/small.py:6"}


def test_a_file_whose_lines_are_nowhere_in_the_tree_is_linted_as_before(tree, tmp_path):
    (report,) = cnnlint.lint(net(tmp_path, "/build/other.py"), isolated=True, static=True)
    assert report.findings
    assert {place.source for finding in report.findings for place in finding.places} == {None}
