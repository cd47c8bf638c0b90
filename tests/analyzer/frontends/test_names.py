"""Names that a file repeats are told apart in time linear in how often."""

from time import process_time

from cnnlint.frontends.raising.builder import GraphBuilder


def test_a_name_that_many_tensors_share_is_numbered_in_linear_time():
    draft = GraphBuilder()
    started = process_time()
    names = [draft._unique_tensor_name("x") for _ in range(20_000)]
    assert process_time() - started < 2
    assert len(set(names)) == 20_000
    assert names[:3] == ["x", "x~1", "x~2"]
