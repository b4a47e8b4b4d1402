"""A proxy between a client and an S3 server that disturbs some of the requests, chosen by a seed."""

import http.client
import random
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

STALL_S = 3.0  # of a time-out, at most; more than the client waits
LOST = "lost answer"  # to a request that was carried out
PASSING = ("500", "503", "reset", "timeout", LOST)  # what a client can survive by asking again
EXPIRED = "expired credentials"
_CODES = {"500": "InternalError", "503": "SlowDown"}
_WRITES = ("PUT", "POST", "DELETE")
_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "expect"}


class FaultyProxy:
    """What the proxy is to do, and what it has done.

    Attributes:
        upstream: address of the server, such as http://127.0.0.1:9000.
        rate: share of the requests that are disturbed.
        kinds: of faults.
        left: how many more are injected.
        injected: how many of each kind were.
        expires_at: number of the request from which on the credentials have expired; None for never.
        gone: whether nobody answers at all, as while a bucket is away.
        expired: whether the credentials are, until somebody renews them.
        requests: method and path of all requests.
    """

    def __init__(self, upstream: str, seed: int = 0, rate: float = 0.0, kinds: Sequence[str] = PASSING) -> None:
        self.upstream, self.rate, self.kinds = upstream, rate, tuple(kinds)
        self.left = 0
        self.expires_at: int | None = None
        self.injected = Counter[str]()
        self.gone = self.expired = False
        self.requests: list[tuple[str, str]] = []
        self.endpoint = ""
        self._random, self._lock = random.Random(seed), threading.Lock()
        self._next: list[str] = []

    def inject(self, *kinds: str) -> None:
        """Disturb the next requests that each of these can be done to."""
        with self._lock:
            self._next += kinds

    def fault(self, method: str, path: str) -> str:
        """What is to happen to a request; empty for nothing."""
        with self._lock:
            self.requests.append((method, path))
            if self.gone:
                return "reset"
            if self.expired:
                return EXPIRED
            if self.expires_at is not None and len(self.requests) > self.expires_at:
                self.expires_at = None
                self.left -= 1
                return self._count(EXPIRED)
            fits = [kind for kind in self._next if kind != LOST or method in _WRITES]
            if fits:
                self._next.remove(fits[0])
                return self._count(fits[0])
            if self.left <= 0 or self._random.random() >= self.rate:
                return ""
            writes = method in _WRITES  # few requests are, so half of their faults are lost answers
            kinds = [kind for kind in self.kinds if kind != LOST]
            kind = LOST if writes and LOST in self.kinds and self._random.random() < 0.5 else self._random.choice(kinds)
            self.left -= 1
            return self._count(kind)

    def _count(self, kind: str) -> str:
        self.injected[kind] += 1
        self.expired = kind == EXPIRED
        return kind


@contextmanager
def serving(proxy: FaultyProxy) -> Iterator[FaultyProxy]:
    """Serve on a free port of this machine, in threads, for as long as the block runs."""
    server = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"proxy": proxy}))
    proxy.endpoint = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that give up are what this is for."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    proxy: FaultyProxy

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def _handle(self) -> None:
        body = self._body()
        fault = self.proxy.fault(self.command, self.path)
        if fault == "reset":
            self._reset()
        elif fault == "timeout":
            ends = time.monotonic() + STALL_S
            self.connection.settimeout(0.05)
            while time.monotonic() < ends:
                with suppress(TimeoutError):
                    if not self.connection.recv(1):
                        break  # the client has given up
            self._reset()
        elif fault == EXPIRED:
            self._answer(400, {}, _error("ExpiredToken", "The provided token has expired."))
        elif fault in _CODES:
            self._answer(int(fault), {}, _error(_CODES[fault], "Please try again."))
        else:
            status, headers, answer = self._forward(body)
            if fault == LOST:
                self._reset()
            else:
                self._answer(status, headers, answer)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _handle  # noqa: N815

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _forward(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
        place = urlsplit(self.proxy.upstream)
        upstream = http.client.HTTPConnection(place.hostname or "", place.port, timeout=60)
        try:
            headers = {key: value for key, value in self.headers.items() if key.lower() not in _HOP}
            upstream.request(self.command, self.path, body, {**headers, "Content-Length": str(len(body))})
            response = upstream.getresponse()
            answer = response.read()
            kept = {key: value for key, value in response.getheaders() if key.lower() not in _HOP}
            if self.command == "HEAD":
                kept["Content-Length"] = response.getheader("Content-Length", "0")
            return response.status, kept, answer
        finally:
            upstream.close()

    def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response_only(status)
        for key, value in headers.items():
            self.send_header(key, value)
        if "Content-Length" not in headers:
            self.send_header("Content-Length", "0" if self.command == "HEAD" else str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _reset(self) -> None:
        """Close so that the other side reads "connection reset by peer"."""
        self.close_connection = True
        with suppress(OSError):
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
        self.rfile.close()


def _error(code: str, message: str) -> bytes:
    return f'<?xml version="1.0"?><Error><Code>{code}</Code><Message>{message}</Message></Error>'.encode()
