"""HTTP for downloads: one answer at a time, read in a thread of its own so that whoever waits can stop at any moment.

Only `download` imports this, and only when the user asks for a model: nothing else in Elenchus knows the network.
"""

import queue
import ssl
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from email.message import Message
from functools import cache
from http.client import HTTPException, HTTPResponse
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

import certifi

import core
from core.errors import Cancelled, UserError

TIMEOUT = 30  # seconds that a server may be silent
POLL = 0.1  # seconds between two looks at whether the user wants it to stop
CHUNK = 1 << 20
CHUNKS = 4  # that are read ahead

Cancel = Callable[[], bool]


class Dropped(Exception):
    """The connection failed or broke off; trying again may help. Its text says how."""


class Refused(Exception):
    """The server answered with an error: `status`, and its headers."""

    def __init__(self, status: int, headers: Message) -> None:
        super().__init__(f"the server answered {status}")
        self.status, self.headers = status, headers


class Answer:
    """What a server said; the body yields empty bytes each time that nothing has come for a moment."""

    def __init__(self, status: int, headers: Message) -> None:
        self.status, self.headers = status, headers
        self.body: Iterator[bytes] = iter(())


@contextmanager
def asked(url: str, headers: Mapping[str, str], token: str, cancelled: Cancel, method: str = "GET") -> Iterator[Answer]:
    """Asks a server. `token` is sent to the host of `url` alone, wherever it redirects to.

    Raises Dropped, Refused, UserError for what no retry can mend, and Cancelled when `cancelled` says so.
    """
    reading = _Reading(_request(url, headers, token, method))
    try:
        items = reading.items(cancelled)
        answer = next((item for item in items if isinstance(item, Answer)), None)
        if answer is None:
            raise Dropped("the server said nothing")
        answer.body = (item for item in items if isinstance(item, bytes))
        yield answer
    finally:
        reading.stop()


def _request(url: str, headers: Mapping[str, str], token: str, method: str) -> urllib.request.Request:
    agent = {"User-Agent": f"elenchus/{core.__version__}", "Accept-Encoding": "identity"}
    request = urllib.request.Request(url, headers=agent | dict(headers), method=method)
    if token:
        request.add_unredirected_header("Authorization", f"Bearer {token}")
    return request


class _Reading:
    """A thread that asks and reads; it may hang in the network, whoever listens does not."""

    def __init__(self, request: urllib.request.Request) -> None:
        self._request = request
        self._queue: queue.Queue[object] = queue.Queue(CHUNKS)
        self._stopped = threading.Event()
        threading.Thread(target=self._run, name="download", daemon=True).start()

    def stop(self) -> None:
        """The thread ends by itself, at the latest when the server has been silent for too long."""
        self._stopped.set()

    def items(self, cancelled: Cancel) -> Iterator[object]:
        """The Answer, then its bytes; empty bytes while nothing comes."""
        while True:
            if cancelled():
                raise Cancelled("The download was stopped.")
            try:
                item = self._queue.get(timeout=POLL)
            except queue.Empty:
                yield b""
                continue
            if item is None:
                return
            if isinstance(item, Exception):
                raise item
            yield item

    def _run(self) -> None:
        try:
            self._read()
            self._put(None)
        except urllib.error.HTTPError as error:
            with error:
                self._put(Refused(error.code, error.headers))
        except Exception as error:  # whatever it is, it must reach whoever waits
            self._put(_meant(error))

    def _read(self) -> None:
        opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=_certificates()), _Redirects())
        with opener.open(self._request, timeout=TIMEOUT) as response:
            assert isinstance(response, HTTPResponse)
            self._put(Answer(response.status, response.headers))
            while not self._stopped.is_set() and (chunk := response.read1(CHUNK)):
                self._put(chunk)

    def _put(self, item: object) -> None:
        while not self._stopped.is_set():
            try:
                self._queue.put(item, timeout=POLL)
                return
            except queue.Full:
                continue


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects: never out of HTTPS, and with the token only to the host that it was given for."""

    def redirect_request(
        self, req: urllib.request.Request, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        before, after = urlsplit(req.full_url), urlsplit(newurl)
        if after.scheme not in ("https", before.scheme):
            raise UserError(
                f"“{before.hostname}” sends the download on to an address that is not encrypted. Choose another source."
            )
        same = (before.scheme, before.netloc) == (after.scheme, after.netloc)
        if req.get_method() == "HEAD" and not same:
            return None  # all that was asked for stands in this answer
        request = super().redirect_request(req, fp, code, msg, headers, newurl)
        if request is None:
            return None
        request.method = req.get_method()  # which urllib forgets before Python 3.13
        if same and (token := req.unredirected_hdrs.get("Authorization")):
            request.add_unredirected_header("Authorization", token)
        return request


def is_safe(url: str) -> bool:
    """Whether nobody on the way can read what is sent there: HTTPS, or this computer itself."""
    parts = urlsplit(url)
    if parts.scheme == "https" or parts.hostname == "localhost":
        return True
    try:
        return ip_address(parts.hostname or "").is_loopback
    except ValueError:
        return False


@cache
def _certificates() -> ssl.SSLContext:
    """Those of the system, for networks with an authority of their own, and certifi's where the system has none."""
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    return context


def _meant(error: Exception) -> Exception:
    """What a failure means for whoever waits."""
    reason = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(reason, ssl.SSLCertVerificationError):
        return UserError(
            f"The server's certificate is not trusted: {reason.verify_message}. "
            "Check this computer's clock, or choose another source."
        )
    if isinstance(reason, (OSError, HTTPException, EOFError, UnicodeError)) or isinstance(error, urllib.error.URLError):
        return Dropped(str(getattr(reason, "strerror", None) or reason or type(reason).__name__))
    return error
