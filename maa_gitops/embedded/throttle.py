"""How often one identity may call: Graph's limits for Intune, counted over the last 20 seconds."""

import math
from collections import deque
from datetime import datetime, timedelta

from maa_gitops.embedded.messages import RefusedError
from maa_gitops.embedded.options import Options

SPAN = timedelta(seconds=20)


class Throttle:
    """Counts the calls of each identity."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._calls: dict[tuple[str, bool], deque[datetime]] = {}

    def count(self, identity: str, method: str, now: datetime) -> None:
        """Count a call; one that is refused does not count.

        Raises:
            RefusedError: 429, with the seconds until there is room again.
        """
        is_write = method != "GET"
        limits = [(False, self._options.calls), *([(True, self._options.writes)] if is_write else [])]
        lanes = [(self._recent((identity, written), now), most) for written, most in limits]
        for lane, most in lanes:
            if len(lane) >= most:
                wait = (lane[0] + SPAN - now) if lane else SPAN
                raise _too_many(max(1, math.ceil(wait.total_seconds())))
        for lane, _ in lanes:
            lane.append(now)

    def _recent(self, key: tuple[str, bool], now: datetime) -> deque[datetime]:
        lane = self._calls.setdefault(key, deque())
        while lane and lane[0] + SPAN <= now:
            lane.popleft()
        return lane


def _too_many(seconds: int) -> RefusedError:
    text = f"Too Many Requests. Try again in {seconds} seconds."
    return RefusedError(429, "TooManyRequests", text, {"Retry-After": str(seconds)})
