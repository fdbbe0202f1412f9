"""`docker/install.py` sets up `.venv`: where pip would look, with the torch of the containers."""

import subprocess
import sys
from types import SimpleNamespace

import pytest


@pytest.fixture
def install(script):
    """Return the script as a module."""
    return script("install")


@pytest.fixture
def ran(install, monkeypatch):
    """Replace programs by those of `ends`, and return the commands that ran."""
    commands = []

    def run(command, **_):
        commands.append(command)
        return subprocess.CompletedProcess(
            command, 0 if ran.ends(command) else 1, stdout="", stderr="no such version\n"
        )

    ran = SimpleNamespace(commands=commands, ends=lambda _: True, run=run)
    monkeypatch.setattr(install.subprocess, "run", run)
    monkeypatch.setattr(install, "uv", lambda: "uv")
    monkeypatch.setattr(install.sys, "platform", "linux")
    return ran


def test_uv_looks_where_pip_looks_and_variables_win(install, monkeypatch):
    said = (
        "global.extra-index-url='https://a/simple https://b/simple'\n:env:.index-url='https://c'\n"
        "global.find-links='/x /y'\nglobal.index-url='https://d'\nglobal.default-timeout='9'\n"
        "install.user='1'\n"
    )
    done = subprocess.CompletedProcess([], 0, stdout=said)
    monkeypatch.setattr(install.subprocess, "run", lambda *_, **__: done)
    monkeypatch.setattr(install.os, "environ", {"UV_HTTP_TIMEOUT": "5", "HOME": "/h"})
    assert install.environment() == {
        "HOME": "/h",
        "UV_DEFAULT_INDEX": "https://c",
        "UV_FIND_LINKS": "/x,/y",
        "UV_HTTP_TIMEOUT": "5",
        "UV_INDEX": "https://a/simple https://b/simple",
        "UV_INDEX_STRATEGY": "unsafe-best-match",
    }


def test_the_checkout_is_built_once(install, ran):
    assert install.main([]) == install.main(["docs"]) == 0
    base, docs = (command for command in ran.commands if command[0] == "uv")
    assert "--editable=." in base
    assert {"--requirements=pyproject.toml", "--extra=docs"} <= set(docs)
    assert not any(word.startswith(("torch", "--torch", "--editable")) for word in docs)


@pytest.mark.parametrize("offered", ["as configured", "PyTorch's index", "nowhere", "no uv at all"])
def test_the_torch_of_the_containers_is_installed_wherever_it_is_offered(
    install, ran, monkeypatch, capsys, offered
):
    pin = install.torch("cpu")[0]
    assert pin.startswith("torch===")
    assert pin.endswith("+cpu")
    if offered == "no uv at all":
        monkeypatch.setattr(install, "uv", lambda: None)
    elif offered == "PyTorch's index":
        ran.ends = lambda command: any(word.startswith("--torch-backend") for word in command)
    elif offered == "nowhere":
        ran.ends = lambda command: pin not in command
    assert install.main(["networks"]) == 0
    last = ran.commands[-1]
    said = capsys.readouterr().err
    assert (pin in last) == (offered != "nowhere")
    assert ("2.8 GB" in said) == (offered == "nowhere")
    assert ("--torch-backend=cpu" in last) == (offered == "PyTorch's index")
    assert ("pip" in last[:3] and "-m" in last) == (offered == "no uv at all")


def test_what_neither_can_install_is_an_error_with_its_reason(install, ran, capsys):
    ran.ends = lambda _: False
    assert install.main(["dev"]) == 1
    programs = [command[0] for command in ran.commands if "config" not in command]
    assert programs == ["uv"] * 3 + [sys.executable] * 3
    assert capsys.readouterr().err.splitlines() == [
        "no such version",
        "uv failed: pip installs, which takes minutes",
        "no such version",
    ]


def test_a_checkout_without_links_gets_a_line(install, ran, monkeypatch, tmp_path, capsys):
    (tmp_path / "cytosuite").mkdir()
    (tmp_path / "cytosuite/benchmark").write_text("../benchmark")
    monkeypatch.setattr(install, "HERE", tmp_path / "docker")
    assert install.main([]) == 1
    assert ran.commands == []
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("cytosuite/benchmark: expected a link")
