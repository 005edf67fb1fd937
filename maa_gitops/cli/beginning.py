"""Commands to begin with: the demo, a new tenant repository, the schemas."""

import click

from maa_gitops.cli.invocation import Invocation
from maa_gitops.cli.main import common_options


@click.command(epilog="Example:  maa schema app > app.schema.json")
@click.argument("name", metavar="[NAME]", required=False)
@common_options
@click.pass_obj
def schema(invocation: Invocation, name: str | None) -> None:
    """Print a JSON Schema, for editors; without a name, list them."""
    import json

    from maa_gitops.documents import schema_names, shipped_schema
    from maa_gitops.render.plain import document

    if name is None:
        names = sorted(schema_names())
        invocation.emit(document(schemas=names), lambda: invocation.say("\n".join(names)))
        return
    if name not in schema_names():
        raise click.UsageError(f"there is no schema '{name}'; there are: {', '.join(sorted(schema_names()))}")
    click.echo(json.dumps(shipped_schema(name), indent=2, ensure_ascii=False))
