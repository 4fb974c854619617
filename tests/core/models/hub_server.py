"""A hub on loopback that sends what it is told to send, as badly as it is told to."""

import hashlib
import re
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class Hub:
    """What the server has, how it behaves, and what it was asked. Everything can be changed while it runs."""

    files: dict[str, bytes] = field(default_factory=dict)  # by path
    etag: str = '"one"'
    checksums: bool = True  # as the hub has them for large files; else a plain server
    ranges: bool = True
    drop_after: list[int] = field(default_factory=list)  # bytes of each answer to a GET before it breaks off
    announce: int = 0  # added to the length that is announced
    statuses: list[tuple[int, dict[str, str]]] = field(default_factory=list)  # of the answers to come
    redirect: str = ""  # where the files lie: another host
    renamed: dict[str, str] = field(default_factory=dict)  # repositories: what they were called, what they are
    head: bool = True
    pause: threading.Event | None = None  # waits for this after half of a file
    asked: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    url: str = ""

    def gets(self) -> list[dict[str, str]]:
        """The headers of each GET."""
        return [headers for method, _, headers in self.asked if method == "GET"]


@contextmanager
def serving(hub: Hub, certificate: Path | None = None) -> Iterator[Hub]:
    """Serves on a free port of loopback; encrypted where there is a certificate."""
    server = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": hub}))
    server.daemon_threads = False  # they are joined below, so that none outlives its test
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    hub.url = f"http{'s' if certificate else ''}://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield hub
    finally:
        if hub.pause is not None:
            hub.pause.set()
        server.shutdown()
        server.server_close()
        thread.join()


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is what is tested."""


class _Handler(BaseHTTPRequestHandler):
    hub: Hub

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def _answer(self, body: bool) -> None:
        hub = self.hub
        hub.asked.append((self.command, self.path, {name.lower(): text for name, text in self.headers.items()}))
        data = hub.files.get(re.sub(r"/resolve/[^/]+/", "/", self.path).strip("/"))
        if hub.statuses and body:
            status, headers = hub.statuses.pop(0)
            return self._head(status, headers)
        for old, new in hub.renamed.items():
            if self.path.startswith(f"/{old}/"):
                return self._head(307, {"Location": self.path.replace(old, new, 1)})
        if data is None:
            return self._head(404, {})
        if not body and not hub.head:
            return self._head(405, {})
        facts = {}
        if hub.checksums:
            digest = hashlib.sha256(data).hexdigest()
            facts = {"X-Repo-Commit": COMMIT, "X-Linked-Etag": f'"{digest}"', "X-Linked-Size": str(len(data))}
        if hub.redirect:
            length = "0" if body else "7"  # of the redirect itself
            return self._head(302, facts | {"Location": hub.redirect + self.path, "Content-Length": length})
        return self._send(data, facts, body)

    def _send(self, data: bytes, facts: dict[str, str], body: bool) -> None:
        hub = self.hub
        start = 0
        wanted = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if wanted and hub.ranges and self.headers.get("If-Range", hub.etag) == hub.etag:
            start = int(wanted[1])
            if start >= len(data):
                return self._head(416, {})
            facts = facts | {"Content-Range": f"bytes {start}-{len(data) - 1}/{len(data)}"}
        piece = data[start:]
        if hub.etag:
            facts = facts | {"ETag": hub.etag}
        self._head(206 if start else 200, facts | {"Content-Length": str(len(piece) + hub.announce)})
        if not body:
            return None
        most = hub.drop_after.pop(0) if hub.drop_after else len(piece)
        half = len(piece) // 2 if hub.pause else 0
        self.wfile.write(piece[: min(half, most)])
        if hub.pause is not None:
            self.wfile.flush()
            hub.pause.wait(30)
        with suppress(OSError):  # it may have hung up
            self.wfile.write(piece[half:most])
        return None

    def _head(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, text in headers.items():
            self.send_header(name, text)
        if "Content-Length" not in headers:
            self.send_header("Content-Length", "0")
        self.send_header("Connection", "close")
        self.end_headers()
