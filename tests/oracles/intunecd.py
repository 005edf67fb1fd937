"""IntuneCD's backup as it is, but for where Graph is: ``python -m tests.oracles.intunecd ADDRESS ARGUMENT…``.

``ADDRESS`` is what stands in the place of Microsoft's; the arguments are those of ``IntuneCD-startbackup``.
"""

import sys

from IntuneCD import run_backup
from requests import Response, sessions

GRAPH = "https://graph.microsoft.com"


def led_to(address: str) -> type[sessions.Session]:
    """The library's session, which asks an address for what is asked of Graph, and nobody for anything else."""

    class Led(sessions.Session):
        def request(self, method: str, url: str, *more: object, **named: object) -> Response:
            asked = url.replace(GRAPH, address, 1) if url.startswith(f"{GRAPH}/") else url
            if not asked.startswith(f"{address}/"):
                raise ValueError(f"{url} is not Graph's")
            return super().request(method, asked, *more, **named)

    return Led


def main() -> None:
    """Make a backup."""
    sessions.Session = led_to(sys.argv[1])
    run_backup.start(run_backup.get_parser().parse_args(sys.argv[2:]))


if __name__ == "__main__":
    main()
