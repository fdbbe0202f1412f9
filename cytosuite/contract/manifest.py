"""Manifests of algorithms and datasets, recipes and model cards, and their parser."""

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from cytosuite.contract.tasks import TASKS
from cytosuite.errors import InputError, plain
from cytosuite.files import Entries, FloatDict, FloatTuple, Json, Texts, read_json, read_toml

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
Version = Annotated[str, Field(pattern=r"^\d+\.\d+\.\d+$")]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(ge=0, le=1)]
OpenShare = Annotated[float, Field(ge=0, lt=1)]
Whole = Annotated[int, Field(ge=0)]
Count = Annotated[int, Field(ge=1)]
FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=200)]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]  # a SHA-256
Sentence = Annotated[str, AfterValidator(plain)]
Fact = str | float | FloatTuple  # about an image
FactDict = dict[str, Fact]
MOST_CASES = 100_000
MOST_BYTES = 255  # of a file's name


def file_name(text: str) -> str:
    """Return a text if it names one file of a folder that is not hidden, else ValueError."""
    printed = text.isprintable() and not text.startswith(".") and Path(text).name == text
    if printed and 0 < len(text.encode()) <= MOST_BYTES:
        return text
    raise ValueError("must be a name without folders")


PlainName = Annotated[str, AfterValidator(file_name)]  # of a user's, in any letters


def _known_task(name: str) -> str:
    if name not in TASKS:
        near = difflib.get_close_matches(name, TASKS, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"must be one of {', '.join(TASKS)}{hint}")
    return name


TaskName = Annotated[str, AfterValidator(_known_task)]


class Described(BaseModel):
    """Base of all models read from files: immutable, without unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Resources(Described):
    """Limits of the resources of one case."""

    memory_gib: float = Field(4.0, gt=0, le=2**20)  # memory limit in GiB
    gpu: bool = False  # whether a GPU is needed


class SelectPolicy(BaseModel):
    """Rules of the choice of a model: the cost of each key in which image and card differ."""

    model_config = ConfigDict(extra="allow", frozen=True, allow_inf_nan=False)
    __pydantic_extra__: dict[str, Literal["must"] | NotNegative]

    # cost of a key which the image does not give; or costs by key, others 0
    missing: NotNegative | dict[str, NotNegative] = 0.0
    # cost of a key which the image gives and the card does not, as of edges twice as long (3 ln 2);
    # or costs by key
    general: NotNegative | dict[str, NotNegative] = 2.0
    score: str = ""  # metric, higher is better, in which a card must be above its baselines
    # when no card passes every must: take the nearest, or fail. Other axes fail.
    fallback: Literal["relax", "fail"] = "relax"

    @property
    def keys(self) -> dict[str, float | Literal["must"]]:
        """The metadata keys that count, each with its cost or ``must``."""
        return dict(self.__pydantic_extra__)

    @staticmethod
    def cost(costs: float | FloatDict, key: str) -> float:
        """Return the cost of a key in `missing` or `general`."""
        return costs.get(key, 0.0) if isinstance(costs, dict) else costs


class AlgorithmManifest(Described):
    """``algorithms/<name>/algorithm.toml``."""

    name: Name  # the folder's name
    version: Version  # version of the algorithm
    title: str  # name for readers
    description: str  # its method, in one or two sentences
    task: TaskName  # one of the tasks in `cytosuite.contract.tasks`
    needs: Texts = ()  # optional inputs of the task without which it cannot run
    uses: tuple[Name, ...] = ()  # other algorithms that it runs inside
    authors: Texts  # who wrote it
    license: str  # SPDX identifier
    references: Texts = ()  # DOIs of the publications behind it
    resources: Resources = Resources()  # limits of one case
    select: SelectPolicy = SelectPolicy()  # how a model is chosen
    # place in the choice of an algorithm, 1 first; 0: only by name
    preference: int = Field(0, ge=0, le=1000)
    optional: bool = False  # whether it runs, and is built, only by its name or by ``all``


class DatasetSize(Described):
    """One size of a simulated dataset."""

    cases: int = Field(gt=0, le=MOST_CASES)  # how many cases
    parameters: Json = {}  # parameters that differ in this size


class DatasetManifest(Described):
    """``datasets/<name>/dataset.toml``."""

    name: Name  # the folder's name
    version: Version  # version of the dataset
    title: str  # name for readers
    description: str  # its content, in one or two sentences
    task: TaskName  # the task that runs where the user names none
    # slugs of the sockets in its cases; a folder offers its files
    offers: Texts = ()
    movies: Texts = ()  # the same of cases with several frames
    kind: Literal["simulated", "folder"]  # generated, or a user's own files
    uses: tuple[Name, ...] = ()  # other datasets with simulators that it uses
    references: Texts = ()  # DOIs of the publications behind it
    parameters: Json = {}  # parameters of every size
    sizes: dict[str, DatasetSize] = {}  # the sizes a user can ask for


class DatasetRecipe(Described):
    """``datasets/<name>/recipes/<recipe>.toml``, or a user's own: parameters with a purpose."""

    dataset: Name  # the simulated dataset it is for
    title: str  # name for readers
    description: str = ""  # its content, and the source of its numbers
    references: Texts = ()  # DOIs of the publications behind it
    cases: int = Field(8, gt=0, le=MOST_CASES)  # how many cases
    task: TaskName | None = None  # the task that runs where the user names none; else the dataset's
    through: tuple[Name, ...] = ()  # algorithms that each case passes, one after the other
    reference: str = ""  # folder of real images that unpaired outputs are compared with
    parameters: Json = {}  # parameters that differ from the dataset's


class ModelCard(Described):
    """``weights/<algorithm>/<model>.json``: identity, purpose and scores of a model."""

    # name of the model: the file's name without suffix
    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]*$")]
    version: Version  # version of the model
    algorithm: Name  # the algorithm it belongs to
    task: TaskName  # one of the tasks in `cytosuite.contract.tasks`
    description: str  # its purpose
    authors: str  # who made it
    license: str  # SPDX identifier
    # the images it was made for, compared with an image's metadata; of words each is one:
    # "cytoplasm or membrane"
    describes: FactDict
    # facts that an image must give with these values, while none of `describes` may differ: the
    # card is chosen for these images alone, before others of the same cost
    exact: FactDict = {}
    parameters: Json = {}  # tuned parameters of the algorithm
    weights: FileName | None = None  # name of the weights file in the folder of the card
    sha256: str | None = None  # SHA-256 of the weights file
    bytes: int | None = Field(None, ge=0)  # size of the weights file
    trained: Json = {}  # data, steps, seed, seconds, device
    # whether it takes part in the choice; a training says no unless it is above its parent by a
    # margin, on 6 held-out images or more
    adopted: bool = True
    # scores of images kept out of training, by data set; without any, a model is used only when it
    # is named
    scores: dict[str, FloatDict] = {}
    # scores of simpler methods on the same images, by method
    baselines: dict[str, FloatDict] = {}
    # of rules of `Uses`, read with the card: images by place
    used: dict[int, FactDict] = Field({}, exclude=True)

    @property
    def images(self) -> FactDict:
        """Facts of the images that it was made for."""
        return {**self.describes, **self.exact}

    @property
    def parent(self) -> str:
        """Name of another model that its training started from, empty without one."""
        parent = self.trained.get("parent")
        name = parent.get("name") if isinstance(parent, Mapping) else None
        return str(name) if name not in (None, self.name) else ""


class Use(Described):
    """A model that is taken before all others of its algorithm."""

    model: str  # its name
    images: FactDict = {}  # facts of its images; all images without


class Uses(Described):
    """``weights/<algorithm>/use.rules``, JSON by ``cytosuite model use``: the first rule wins."""

    use: tuple[Use, ...] = ()


Model = TypeVar("Model", bound=BaseModel)


def read_algorithm(path: Path) -> AlgorithmManifest:
    """Return the manifest of an algorithm."""
    return _named(path, parse(path, read_toml(path), AlgorithmManifest))


def read_dataset(path: Path) -> DatasetManifest:
    """Return the manifest of a dataset, ``dataset.toml``; see `read_algorithm`."""
    return _named(path, parse(path, read_toml(path), DatasetManifest))


def read_recipe(path: Path) -> DatasetRecipe:
    """Return a recipe for a simulated dataset; see `read_algorithm`. It may have any name."""
    return parse(path, read_toml(path), DatasetRecipe)


def read_card(path: Path) -> ModelCard:
    """Return a model card, a JSON file of the model's name; see `read_algorithm`."""
    return _named(path, parse(path, read_json(path), ModelCard))


def parameters_of(card: ModelCard, model: type[Model]) -> Model:
    """Return the parameters of a card."""
    return parse(f"card {card.name}: parameters", card.parameters, model)


def parse(
    where: Path | str, value: object, model: type[Model], folder: Path | None = None
) -> Model:
    """Return a validated model; `InputError` names the place and the nearest valid key."""
    try:
        return model.model_validate(value, context={"folder": folder})
    except ValidationError as error:
        # A misspelt key makes the right one missing: the cause is named before its effect.
        mistakes = sorted(
            error.errors(include_url=False),
            key=lambda mistake: mistake["type"] != "extra_forbidden",
        )
        more = f" (and {len(mistakes) - 1} more)" if len(mistakes) > 1 else ""
        raise InputError(f"{where}: {_explain(mistakes[0], model)}{more}") from None


def merged(base: Entries, over: Entries) -> Json:
    """Return nested mappings as one; where both have a value, `over` wins."""
    result = dict(base)
    for key, value in over.items():
        both = isinstance(value, Mapping) and isinstance(result.get(key), Mapping)
        result[key] = merged(result[key], value) if both else value
    return result


def _explain(mistake: Any, model: type[BaseModel]) -> str:  # noqa: ANN401 - pydantic's own dict
    """Return key, rule and value of a mistake, with the nearest valid key for a misspelt one."""
    parts = map(str, mistake["loc"])
    key = ".".join(part for part in parts if "[" not in part) or "the file"  # no name of a type
    if mistake["type"] == "missing":
        return f"{key} is missing"
    if mistake["type"] == "extra_forbidden":
        for part in mistake["loc"][:-1]:
            annotation = getattr(model.model_fields.get(str(part)), "annotation", None)
            kinds = (annotation, *getattr(annotation, "__args__", ()))
            model = next(
                (k for k in kinds if isinstance(k, type) and issubclass(k, BaseModel)), model
            )
        keys = list(model.model_fields)
        near = difflib.get_close_matches(str(mistake["loc"][-1]), keys, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known keys: {', '.join(keys)}"
        return f"{key} is not a known key; {hint}"
    rule = str(mistake["msg"]).removeprefix("Value error, ")
    value = "" if ", found " in rule else f", found {mistake['input']!r}"
    return f"{key}: {rule[0].lower()}{rule[1:]}{value}"


Named = TypeVar("Named", AlgorithmManifest, DatasetManifest, ModelCard)


def _named(path: Path, described: Named) -> Named:
    """Refuse a card with another name than its file, a manifest with another than its folder."""
    card = isinstance(described, ModelCard)
    kind, name = ("file", path.stem) if card else ("folder", path.parent.name)
    if described.name != name:
        raise InputError(f"{path}: name must be the {kind}'s, {name!r}, found {described.name!r}")
    return described
