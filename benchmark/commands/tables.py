"""Command ``tables``: tables of scores and models in the documents, written or checked."""

from typing import Annotated

import typer


def tables_command(
    check: Annotated[
        bool, typer.Option("--check", help="Change nothing; exit code 1 if one is stale.")
    ] = False,
) -> None:
    """Write the tables of scores and models in the documents, from accepted scores and cards."""
    from cytosuite.benchmark.catalog import ROOT, need_checkout
    from cytosuite.benchmark.comparison.accepted import accepted
    from cytosuite.benchmark.comparison.documents import documents, outdated, written
    from cytosuite.files import atomic

    need_checkout("a change of the documents")
    known = accepted()
    if not check:
        for path in documents():
            text = written(path, known)
            if text != path.read_text(encoding="utf-8"):
                with atomic(path) as temporary:
                    temporary.write_text(text, encoding="utf-8")
                typer.echo(f"written: {path.relative_to(ROOT)}")
    lines = list(outdated(known))
    for line in lines:
        typer.echo(f"stale: {line}")
    raise typer.Exit(1 if lines else 0)
