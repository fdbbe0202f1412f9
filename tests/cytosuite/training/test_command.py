from pathlib import Path

import pytest

from cytosuite.errors import InputError
from cytosuite.training.command import by_role, main, training_of


def test_folders_get_their_roles():
    roles = ("simulated", "real")
    assert by_role(["a/b"], roles) == {"simulated": [Path("a/b")]}
    assert by_role(["real=x", "simulated=y=z", "real=w"], roles) == {
        "real": [Path("x"), Path("w")],
        "simulated": [Path("y=z")],
    }
    with pytest.raises(InputError, match="--data rael=x: expected a role among simulated, real"):
        by_role(["rael=x"], roles)


def test_trainings_are_found_by_the_name_of_the_algorithm():
    assert training_of("cellpose3d").algorithm == "cellpose3d"
    for name in ("watershed", "nothing"):
        with pytest.raises(InputError, match=f"algorithms/{name}: no algorithm that is trained"):
            training_of(name)


def test_the_command_needs_data_and_a_name(capsys):
    with pytest.raises(SystemExit):
        main(["cellpose3d", "--data", "x"])
    assert "--name" in capsys.readouterr().err
    assert main(["cellpose3d", "--name", "m"]) == 2
    assert "learns from images, found none; give each as role=folder" in capsys.readouterr().err
