from zoo_pipeline.training.layers import Scratch


def test_memory_is_kept_and_smaller_shapes_share_it():
    scratch = Scratch("cpu")
    whole = scratch.get("a", 4, 6)
    part = scratch.get("a", 2, 3)
    whole.fill_(7)
    assert part.tolist() == [[7] * 3] * 2
    assert scratch.get("a", 4, 6) is whole
    assert scratch.get("b", 4, 6).sum() == 0


def test_what_was_handed_out_stays_valid_when_a_buffer_grows():
    """A captured CUDA graph computes with the addresses that it has seen."""
    scratch = Scratch("cpu")
    small = scratch.get("a", 3).fill_(1)
    address = small.data_ptr()
    large = scratch.get("a", 1000).fill_(2)
    del small
    others = [Scratch("cpu").get("x", 3).fill_(5) for _ in range(50)]
    assert all(other.data_ptr() != address for other in others)
    assert scratch.get("a", 3).data_ptr() == large.data_ptr()
