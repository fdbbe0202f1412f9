import copy

import torch
from mistakes import refused

from cytosuite.networks.network import tensors_of
from cytosuite.training.checkpoint import origin, restore, save
from cytosuite.training.parts import Best, State

ORIGIN = {"data": {"images": ["a"]}, "settings": {"seed": 1}, "source": "b", "parameters": "c"}


def _state(seed=0):
    torch.manual_seed(seed)
    layers = {
        "flat": torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4)),
        "deep": torch.nn.Conv3d(3, 5, 3).to(memory_format=torch.channels_last_3d),
    }
    optimisers = {
        "adam": torch.optim.AdamW(layers["deep"].parameters(), fused=True),
        "sgd": torch.optim.SGD(layers["flat"].parameters(), lr=0.1),  # has no state of its own
    }
    return State(layers, optimisers, copy.deepcopy(layers["deep"]), "cpu", 1e9)


def _step(state):
    deep = state.modules["deep"]
    flat = state.modules["flat"]
    state.update("adam", deep(torch.ones(1, 3, 3, 3, 3) * torch.arange(3.0)).square().sum())
    state.update("sgd", flat(torch.arange(12.0).view(4, 3)).square().sum())
    state.step += 1


def _tensors(state):
    tensors = {f"average.{k}": v for k, v in tensors_of(state.average).items()}
    for name, module in state.modules.items():
        tensors |= {f"{name}.{k}": v for k, v in tensors_of(module).items()}
    return tensors


def test_a_restored_state_goes_on_bit_by_bit(tmp_path):
    best = Best(0.5, 7, {"weight": torch.arange(3.0)}, {"W1": 2.0})
    path, first, second = tmp_path / "new/c.pt", _state(0), _state(5)
    _step(first)
    first.best, first.seconds, first.stale = best, 2.5, 4
    save(first, path, ORIGIN)
    restore(second, path, ORIGIN)
    assert (second.step, second.seconds, second.stale) == (1, 2.5, 4)
    assert (second.best[:2], second.best.also) == ((0.5, 7), {"W1": 2.0})
    assert torch.equal(second.best.weights["weight"], torch.arange(3.0))
    _step(first)
    _step(second)
    for name, value in _tensors(first).items():
        assert torch.equal(_tensors(second)[name], value), name


def test_other_code_may_go_on_but_no_other_data_or_settings(tmp_path):
    save(_state(), tmp_path / "c.pt", ORIGIN)
    restore(_state(), tmp_path / "c.pt", {**ORIGIN, "source": "newer"})
    for key in ("data", "parts", "settings", "parent", "parameters"):
        refused(
            f"made with other {key}; give the same, or --rest",
            restore,
            _state(),
            tmp_path / "c.pt",
            {**ORIGIN, key: "other"},
        )


def test_each_parameter_and_fact_of_the_card_binds(settings):
    cards = {"parameters": {"radius_um": 8.0}}, {"parameters": {"radius_um": 3.0}}
    cards = *cards, {"describes": {"spacing": (1.0, 2.0)}}
    assert len({origin({}, settings().with_card(**c), [], None)["parameters"] for c in cards}) == 3


def test_a_checkpoint_with_other_groups_of_weights_is_refused(tmp_path):
    save(old := _state(), tmp_path / "c.pt", ORIGIN)
    weights = old.modules["deep"].parameters()
    old.optimisers["adam"] = torch.optim.AdamW([{"params": [weight]} for weight in weights])
    refused(
        r"c\.pt: .*other groups of weights .*or give --restart",
        restore,
        old,
        tmp_path / "c.pt",
        ORIGIN,
    )


def test_a_list_is_known_by_its_rows_and_their_files_alone(tmp_path, settings):
    for name in ("a", "b", "c"):
        (tmp_path / f"data/{name}.tif").parent.mkdir(exist_ok=True)
        (tmp_path / f"data/{name}.tif").write_text(name)
    path = tmp_path / "x_train.csv"
    seen = []
    for rows, third in (("a.tif;b.tif", "c"), ("a.tif;b.tif", "d"), ("a.tif\nb.tif", "d")):
        path.write_text(rows)
        (tmp_path / "data/c.tif").write_text(third)
        options = settings().with_files(root=tmp_path / "data")
        seen.append(origin({"images": [path]}, options, [], None))
    assert seen[0] == seen[1] != seen[2]
    assert str(tmp_path) not in str(seen)


def test_a_list_is_bound_to_the_rules_that_divide_it(tmp_path, settings):
    (tmp_path / "x_train.csv").write_text("a.tif\n")
    (tmp_path / "a.tif").write_text("a")

    def parts(**files):
        data = {"images": [tmp_path / "x_train.csv"]}
        return origin(data, settings().with_files(**files), [], None).get("parts")

    seen = [parts(), parts(recursive=True)]
    for name, text in (("splits.toml", "folds = 3"), ("conditions.csv", "a"), ("splits.toml", "")):
        (tmp_path / name).write_text(text)
        seen.append(parts())
    assert seen[0] is None
    assert len({*seen}) == 5


def test_a_folder_with_the_card_of_a_dataset_is_known_by_its_files(tmp_path, settings):
    seen = set()
    for name in ("dataset.json", "a.tif"):
        (tmp_path / name).write_text('{"fingerprint": "f"}')
        seen.add(str(origin({"images": [tmp_path]}, settings(), [], None)))
    assert len(seen) == 2
