"""Serves the shop's pages from files, each in the frame that all share, with the script's tag. Knows no visitors."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

PAGES = Path(__file__).parent / "pages"
FRAME = Path(__file__).parent / "frame.html"
DOMAIN = "localhost"
OWN_NUMBER = "+7 495 222-09-99"
"""The shop's own number, as its pages write it in several ways."""
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
}


@contextlib.contextmanager
def serving(web: str, site: str, port: int = 0) -> Iterator[str]:
    """The shop for the time of the block; yields its address. `web`, `site`: callrouter's address and the site's id."""
    tag = f'<script async src="{web}/w/{site}.js"></script>'
    server = ThreadingHTTPServer(("127.0.0.1", port), _handler(tag))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.1,), name="shop", daemon=True)
    thread.start()
    try:
        yield f"http://{DOMAIN}:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _handler(tag: str) -> type[BaseHTTPRequestHandler]:
    class Pages(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            found = _file(urlsplit(self.path).path)
            content = _content(found, tag).encode() if found else b""
            self.send_response(200 if found else 404)
            self.send_header("content-type", TYPES[found.suffix] if found else "text/plain")
            self.send_header("content-length", str(len(content)))
            self.send_header("cache-control", "no-cache")
            self.end_headers()
            self.wfile.write(content)

        def do_POST(self) -> None:
            """A form: the page that thanks. What stood in it is the widget's business."""
            self.rfile.read(int(self.headers.get("content-length", 0)))
            self.do_GET()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
            """Nothing: the demo's terminal is for its calls."""

    return Pages


def _content(file: Path, tag: str) -> str:
    """A page's first line is its title."""
    text = file.read_text("utf-8")
    if file.suffix != ".html":
        return text
    title, _, page = text.partition("\n")
    framed = FRAME.read_text("utf-8").replace("<!-- callrouter -->", tag).replace("<!-- page -->\n", page)
    return framed.replace("<!-- title -->", title.removeprefix("<!-- ").removesuffix(" -->"))


def _file(path: str) -> Path | None:
    """The page of a path; every path under /app/ is the single page's."""
    name = "app.html" if path.startswith("/app") else path.strip("/") or "index"
    known = {file.name: file for file in PAGES.iterdir()}
    return known.get(name) or known.get(f"{name}.html")
