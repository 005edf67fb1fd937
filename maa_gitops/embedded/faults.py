"""What can go wrong on the way, on purpose: failing answers, connections that end too early, answers in drops."""

import asyncio
import json
import socket
import struct
from asyncio import Transport
from collections.abc import MutableMapping
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from maa_gitops.embedded.options import FaultPlan

DROP = 0.02
"""Seconds between two bytes of a slow answer."""


class Transports:
    """The open connections, by the caller's address."""

    def __init__(self) -> None:
        self.open: dict[tuple[str, int], Transport] = {}

    def protocol(self) -> type[H11Protocol]:
        """A protocol whose connections are known here."""
        known = self.open

        class Known(H11Protocol):
            """Uvicorn's own, which tells of its connections."""

            def connection_made(self, transport: Transport) -> None:  # type: ignore[override] # Uvicorn's own narrows it so
                super().connection_made(transport)
                if self.client is not None:
                    known[self.client] = transport

            def connection_lost(self, exc: Exception | None) -> None:
                if self.client is not None:
                    known.pop(self.client, None)
                super().connection_lost(exc)

        return Known


class Faults:
    """Wraps an application and lets go wrong what a plan says."""

    def __init__(self, app: ASGIApp, plan: FaultPlan, transports: Transports) -> None:
        self._app = app
        self._plan = plan
        self._transports = transports
        self._number = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or fail to."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        self._number += 1
        fault = self._plan(self._number, scope["method"], scope["path"])
        if fault is None:
            await self._app(scope, receive, send)
        elif isinstance(fault, int):
            await _failing(fault, send)
        elif fault == "reset":
            self._reset(scope)
        else:
            await self._spoiled(fault, scope, receive, send)

    async def _spoiled(self, fault: str, scope: Scope, receive: Receive, send: Send) -> None:
        """Do what is asked, and spoil the answer."""
        start, body = await self._answer(scope, receive)
        if fault == "reset-after":
            self._reset(scope)
        elif fault == "half":
            await _begun(start, body, send)
            await send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})
            self._transport(scope).close()
        elif fault == "slow":
            await _begun(start, body, send)
            await _dripped(body, receive, send)
        else:
            raise ValueError(f"there is no fault '{fault}'")

    async def _answer(self, scope: Scope, receive: Receive) -> tuple[Message, bytes]:
        """The whole answer of the application."""
        parts: list[Message] = []

        async def kept(message: Message) -> None:
            parts.append(message)

        await self._app(scope, receive, kept)
        return parts[0], b"".join(part.get("body", b"") for part in parts[1:])

    def _transport(self, scope: MutableMapping[str, Any]) -> Transport:
        host, port = scope["client"]
        return self._transports.open[host, port]

    def _reset(self, scope: MutableMapping[str, Any]) -> None:
        """End the connection at once, so that the caller sees a reset and no end."""
        transport = self._transport(scope)
        found = transport.get_extra_info("socket")
        if found is not None:
            found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()


async def _failing(status: int, send: Send) -> None:
    headers = [(b"content-type", b"application/json"), *([(b"retry-after", b"1")] if status in (429, 503) else [])]
    body = json.dumps({"error": {"code": "UnknownError", "message": "", "innerError": {}}}).encode()
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _begun(start: Message, body: bytes, send: Send) -> None:
    """Send the head of an answer with its real length."""
    others = [(name, value) for name, value in start["headers"] if name.lower() != b"content-length"]
    await send({**start, "headers": [*others, (b"content-length", str(len(body)).encode())]})


async def _dripped(body: bytes, receive: Receive, send: Send) -> None:
    """Send an answer byte by byte, until it is all there or nobody listens any more."""
    gone = asyncio.ensure_future(receive())
    for at in range(len(body)):
        await send({"type": "http.response.body", "body": body[at : at + 1], "more_body": True})
        if (await asyncio.wait([gone], timeout=DROP))[0]:
            return
    gone.cancel()
    await send({"type": "http.response.body", "body": b""})
