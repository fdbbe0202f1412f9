import hashlib

import cards
from mistakes import no_model

from cytosuite.contract.weights import find_folder, open_model, read_cards
from cytosuite.files import write_json


def _card(folder, name="nuclei", **changes):
    write_json(folder / f"{name}.json", {**cards.FACTS, "name": name, **changes})


def test_cards_come_sorted_and_another_algorithms_is_refused(tmp_path):
    _card(tmp_path, "b")
    _card(tmp_path, "a")
    assert [card.name for card in read_cards(tmp_path, "net")] == ["a", "b"]
    no_model("expected a model of watershed, found one of net", read_cards, tmp_path, "watershed")


def test_the_first_folder_with_a_card_is_taken(tmp_path):
    for name in ("empty", "mounted", "built-in"):
        (tmp_path / name).mkdir()
    _card(tmp_path / "mounted")
    _card(tmp_path / "built-in")
    folders = [tmp_path / name for name in ("absent", "empty", "mounted", "built-in")]
    assert find_folder(folders) == tmp_path / "mounted"
    no_model("no model card", find_folder, folders[:2])
    (tmp_path / "mounted").rename(tmp_path / "empty/mounted")
    no_model("in it, found mounted/.*; pack or mount", find_folder, folders)


def test_weights_are_those_of_the_card_and_neither_altered_nor_missing(tmp_path):
    path = tmp_path / "nuclei.safetensors"
    _card(tmp_path, weights=path.name, sha256=hashlib.sha256(b"weights").hexdigest())
    card = read_cards(tmp_path, "net")[0]
    no_model("the weights of model nuclei are missing", open_model, tmp_path, card)
    path.write_bytes(b"weights")
    assert open_model(tmp_path, card).weights == path
    path.write_bytes(b"other")
    no_model(f"expected SHA-256 {card.sha256}", open_model, tmp_path, card)
