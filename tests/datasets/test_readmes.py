from importlib import import_module
from pathlib import Path

import pytest


@pytest.mark.parametrize("name", ["membrane", "views"])
def test_the_readme_explains_every_parameter_with_its_default(name):
    module = import_module(f"cytosuite.datasets.{name}.generate")
    text = (Path(module.__file__).parent / "README.md").read_text(encoding="utf-8")
    for field, known in module.Parameters.model_fields.items():
        shown = list(known.default) if isinstance(known.default, tuple) else known.default
        description = " ".join(known.description.split())
        assert f"| `{field}` | `{shown}` | {description} |" in text
