"""A site of a test: pages served from memory on a port of their own, with the widget's script in them."""

from __future__ import annotations

import itertools
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

OWN = "8 (495) 222-22-22"
"""How the number of the test sites stands on most pages."""
POLICY = "default-src 'none'; script-src {web} 'nonce-t'; connect-src {web} 'self'; style-src 'nonce-t'"


@dataclass
class Shop:
    """`port`: of the pages; `web`: the address of callrouter's web."""

    web: str
    port: int = 0
    pages: dict[str, tuple[str, dict[str, str]]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    """Paths that browsers asked for, in order."""
    _serial: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    def script(self, site: int = 1) -> str:
        return f'<script async src="{self.web}/w/{site}.js"></script>'

    def page(
        self, body: str, *, site: int = 1, path: str = "", head: str = "", script: bool = True,
        headers: dict[str, str] | None = None,
    ) -> str:  # fmt: skip
        """Register a page; returns its URL."""
        path = path or f"/page{next(self._serial)}"
        widget = self.script(site) if script else ""
        html = f'<!doctype html><html lang="ru"><meta charset="utf-8"><title>Магазин</title>{head}{widget}<body>{body}'
        self.pages[path] = (html, headers or {})
        return f"{self.origin}{path}"

    @property
    def origin(self) -> str:
        return f"http://shop.localhost:{self.port}"

    @property
    def policy(self) -> str:
        """A strict Content-Security-Policy that lets callrouter's host in, and inline scripts with the nonce t."""
        return POLICY.format(web=self.web)


def serving(shop: Shop) -> ThreadingHTTPServer:
    class Pages(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            shop.asked.append(urlsplit(self.path).path)
            html, headers = shop.pages.get(urlsplit(self.path).path, ("", {}))
            content = html.encode()
            self.send_response(200 if html else 404)
            self.send_header("content-type", "text/html; charset=utf-8")
            self.send_header("content-length", str(len(content)))
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
            """Nothing: the test says what is wrong."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Pages)
    server.daemon_threads = True
    shop.port = server.server_address[1]
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    return server
