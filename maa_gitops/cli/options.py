"""The options that every command has, and that may stand before or after it."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import click

from maa_gitops.cli.invocation import Invocation


def _set(name: str, ctx: click.Context, _parameter: click.Parameter, value: Any) -> None:  # noqa: ANN401 - Click's signature
    """Keep an option that may stand before or after the command."""
    if value is not None and value is not False:
        invocation = ctx.ensure_object(Invocation)
        setattr(invocation, name, value)


def common_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that may stand before or after the command."""
    options: Sequence[Callable[..., Any]] = (
        click.option(
            "--format",
            type=click.Choice(["text", "json"]),
            expose_value=False,
            callback=partial(_set, "format"),
            help="Text for people (the default), or one JSON document.",
        ),
        click.option(
            "--key",
            metavar="FILE",
            expose_value=False,
            callback=partial(_set, "key"),
            help="The SSH key to sign with; else MAA_SIGNING_KEY, git's user.signingkey, or the only one at hand.",
        ),
        click.option(
            "--no-fetch",
            is_flag=True,
            expose_value=False,
            callback=_no_fetch,
            help="Do not ask the remote what is new.",
        ),
        click.option(
            "-y",
            "--yes",
            is_flag=True,
            expose_value=False,
            callback=partial(_set, "yes"),
            help="Do not ask.",
        ),
    )
    for option in reversed(options):
        function = option(function)
    return function


def _no_fetch(ctx: click.Context, _parameter: click.Parameter, value: bool) -> None:
    if value:
        ctx.ensure_object(Invocation).fetch = False
