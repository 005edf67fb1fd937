"""Microsoft's client for Graph as a process that tells stories: a line of JSON in, one out, until no more come.

What is asked names the ``story``, the ``url`` of the root of the API, and the ``identity`` to call by; the rest is the
story's. The answer has what came of it under ``told``, or what went wrong under ``trouble``.
"""

import asyncio
import json
import sys
import traceback
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from msgraph_beta import GraphServiceClient

from tests.oracles import approvals, apps, classes, directory, policies, scripts
from tests.oracles.connection import client

Json = Any

STORIES: Mapping[str, Callable[[GraphServiceClient, Mapping[str, Json]], Awaitable[Json]]] = {
    "classes": classes.tell,
    "make apps": apps.make,
    "read apps": apps.read_all,
    "change an app": apps.change,
    "assign apps": apps.assign,
    "delete an app": apps.delete,
    "refusals": apps.refusals,
    "batch": apps.batch,
    "scripts": scripts.tell,
    "policies": policies.tell,
    "directory": directory.tell,
    "protect": approvals.protect,
    "ask": approvals.ask,
    "decide": approvals.decide,
    "go on": approvals.go_on,
}


def main() -> None:
    """Tell one story for each line."""
    for line in sys.stdin:
        print(json.dumps(_told(json.loads(line))), flush=True)  # noqa: T201 - this is how it answers


def _told(given: Mapping[str, Json]) -> dict[str, Json]:
    try:
        graph = client(given["url"], given["identity"])
        return {"told": asyncio.run(STORIES[given["story"]](graph, given))}
    except Exception:  # noqa: BLE001 - whatever it is, the test shows it
        return {"trouble": traceback.format_exc()}


if __name__ == "__main__":
    main()
