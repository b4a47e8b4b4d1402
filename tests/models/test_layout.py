import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from zoo_pipeline.architecture import Architecture
from zoo_pipeline.errors import StoreError
from zoo_pipeline.models import Layout, build

SHAPES = st.dictionaries(
    st.text("abc.", min_size=1, max_size=5), st.lists(st.integers(1, 4), max_size=4).map(tuple), min_size=1, max_size=5
)


@given(shapes=SHAPES, lead=st.lists(st.integers(1, 3), max_size=2).map(tuple))
def test_flatten_and_unflatten_are_inverse(shapes, lead):
    layout = Layout.of(shapes)
    weights = np.random.default_rng(0).normal(size=(*lead, layout.dimension)).astype(np.float32)
    state = layout.unflatten(weights)
    assert {name: values.shape for name, values in state.items()} == {n: (*lead, *shape) for n, shape in shapes.items()}
    assert np.array_equal(layout.flatten(state, out=np.empty_like(weights)), weights)
    tensors = layout.unflatten(torch.from_numpy(weights))
    assert torch.equal(layout.flatten(tensors, out=torch.empty(*lead, layout.dimension)), torch.from_numpy(weights))


@given(shapes=SHAPES)
def test_json_brings_the_layout_back(shapes):
    layout = Layout.of(shapes)
    assert Layout.from_json(layout.to_json()) == layout


def test_the_flat_vector_is_torchs_parameter_vector():
    architecture = Architecture("cnn-s", (1, 28, 28), 10)
    module = build(architecture)
    layout = Layout.of(architecture.tensors)
    flat = layout.flatten(
        {name: p.detach() for name, p in module.named_parameters()}, out=torch.empty(layout.dimension)
    )
    assert torch.equal(flat, torch.nn.utils.parameters_to_vector(module.parameters()))


def test_wrong_shapes_are_refused():
    layout = Layout.of({"w": (2, 3), "b": (3,)})
    with pytest.raises(ValueError, match=r"w: has shape \(3, 2\), expected \(2, 3\)"):
        layout.flatten({"w": np.zeros((3, 2)), "b": np.zeros(3)}, out=np.empty(9))
    with pytest.raises(ValueError, match="have length 8, the layout describes 9"):
        layout.unflatten(np.zeros(8))
    with pytest.raises(KeyError, match="b"):
        layout.flatten({"w": np.zeros((2, 3))}, out=np.empty(9))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda content: content["tensors"][1].update(offset=7), "without gaps, got"),
        (lambda content: content.update(version=2), "expected version 1 in order C, got version 2, order 'C'"),
        (lambda content: content.update(order="F"), "got version 1, order 'F'"),
        (lambda content: content.pop("tensors"), "has no 'tensors'"),
        (lambda content: content.update(tensors=[]), "at least one tensor, got none"),
        (lambda content: content.update(tensors=[3]), "not readable"),
        (lambda content: content["tensors"][0].update(shape=[1e400]), "not readable"),
        (lambda content: content["tensors"][0].update(shape=[-3, -2]), r"tensor w: .* positive sizes, got \[-3, -2\]"),
        (lambda content: content["tensors"][0].update(shape=[3, 0]), r"tensor w: .* positive sizes, got \[3, 0\]"),
    ],
)
def test_json_that_is_no_layout_is_refused(change, message):
    content = json.loads(Layout.of({"w": (2, 3), "b": (3,)}).to_json())
    change(content)
    with pytest.raises(StoreError, match=f"^layout: .*{message}"):
        Layout.from_json(json.dumps(content))


@pytest.mark.parametrize("text", ["null", "[1]", "3", '"layout"'])
def test_json_that_is_no_object_is_refused(text):
    with pytest.raises(StoreError, match="expected an object with version, order and tensors, got"):
        Layout.from_json(text)
