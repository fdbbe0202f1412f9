from cytosuite.manifest import Described
from cytosuite.training.network_format import NetworkFormat, side, tensor


class Arguments(Described):
    """Arguments of a network."""

    widths: tuple[int, ...] = (4, 8)


def _format(**changes):
    return NetworkFormat(Arguments(), (1, 4, 4), ("image", "noise"), ("answer",), **changes)


def test_a_side_is_any_or_a_multiple():
    assert [side(n) for n in (1, 2, 16)] == ["*", "2*n", "16*n"]


def test_channels_are_counted_and_named_by_texts():
    found = tensor(("a", "b", "c"), ("*",), (0, 1))
    assert found["num_channels"] == 3
    assert found["channel_def"] == {"0": "a", "1": "b", "2": "c"}
    assert found["value_range"] == [0, 1]
    assert tensor(("a",), ())["value_range"] == []


def test_a_format_names_image_and_answer_as_monai_expects():
    found = _format(output_range=(-1, 1), patches=False, others={"time": tensor(("t",), ())})
    inputs, outputs = found.data_format["inputs"], found.data_format["outputs"]
    assert list(inputs) == ["image", "time"]
    assert list(outputs) == ["pred"]
    assert inputs["image"]["spatial_shape"] == ["*", "4*n", "4*n"]
    assert (inputs["image"]["value_range"], outputs["pred"]["value_range"]) == ([], [-1, 1])
    assert not inputs["image"]["is_patch_data"]


def test_a_definition_holds_arguments_as_json_and_options():
    found = _format(options={"auxiliary": False}).definition("some.network")
    assert found["_target_"] == "some.network.build"
    assert found["arguments"] == {
        "_target_": f"{Arguments.__module__}.Arguments",
        "widths": [4, 8],
    }
    assert found["auxiliary"] is False
