"""Commands made of dataclasses: an option per field, some of them typed as text and parsed."""

import inspect
from collections.abc import Callable
from dataclasses import MISSING, dataclass, fields
from functools import wraps
from typing import Annotated, Any, TypeVar, get_args, get_type_hints

import typer

Options = TypeVar("Options")


@dataclass(frozen=True, slots=True)
class Text:
    """Marks an option that is typed as one text, or as several, and parsed."""

    parse: Callable[[Any], Any]
    help: str
    name: str = ""
    repeatable: bool = False


def takes(options: type[Options]) -> Callable[[Callable[[Options], None]], Callable[..., None]]:
    """Return a decorator: a function of one dataclass becomes a command with an option per field.

    Parameters
    ----------
    options : type
        A dataclass with fields annotated by `typer.Option`, `typer.Argument` or `Text`.
    """
    hints = get_type_hints(options, include_extras=True)
    texts: dict[str, Text] = {}
    parameters = []
    for field in fields(options):  # type: ignore[arg-type]
        hint = hints[field.name]
        text = next((mark for mark in get_args(hint)[1:] if isinstance(mark, Text)), None)
        default: Any = None if field.default is MISSING else field.default
        if text is not None:
            texts[field.name], default = text, None
            kind = list[str] | None if text.repeatable else str | None
            flags = [text.name] if text.name else []
            hint = Annotated[kind, typer.Option(*flags, help=text.help)]
        elif field.default is MISSING and field.default_factory is MISSING:
            default = inspect.Parameter.empty
        parameters.append(
            inspect.Parameter(
                field.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=hint
            )
        )

    def decorate(function: Callable[[Options], None]) -> Callable[..., None]:
        """Return the command."""

        @wraps(function)
        def command(**given: Any) -> None:  # noqa: ANN401 - as the fields say
            """Parse the texts, and call the function."""
            parsed = {n: texts[n].parse(v) if n in texts else v for n, v in given.items()}
            function(options(**parsed))

        command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        command.__annotations__ = {p.name: p.annotation for p in parameters}
        return command

    return decorate
