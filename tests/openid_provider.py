"""A provider of OpenID Connect that takes nothing but what the specifications say, and can be told to lie.

It notes as a fault whatever a client does otherwise than OpenID Connect Core, RFC 6749 and RFC 7636 want it.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple
from urllib.parse import parse_qs, unquote_plus, urlencode, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

CLIENT, SECRET = "callrouter at work", "s€cret:/+&="
LEFT_OUT = object()
TOKEN_SECONDS = 300


class Answer(NamedTuple):
    status: int
    body: str = ""
    kind: str = "application/json"
    location: str = ""


class Grant(NamedTuple):
    """What a code stands for."""

    redirect_uri: str
    challenge: str
    nonce: str


class Provider:
    """`claims` are told of whoever signs in; `lies` replace what a token or the answers would truly say."""

    def __init__(self) -> None:
        self.faults: list[str] = []
        self.asked: list[str] = []
        self.registered: set[str] = set()
        self.asks_people = False
        """Shows a page with a button, rather than send everybody back at once."""
        self.url = ""
        self.new_key()
        self.honest()

    def honest(self) -> None:
        """From now on, and with Ann before it."""
        self.claims: dict[str, Any] = {
            "sub": "ann-at-the-provider", "email": "ann@windows.example", "email_verified": True, "name": "Ann",
        }  # fmt: skip
        self.lies: dict[str, Any] = {}
        self.described: dict[str, Any] = {}
        self.statuses: dict[str, int] = {}
        self.in_userinfo = False
        self.sign: Callable[[dict[str, Any]], str] = self._signed
        self._codes: dict[str, Grant] = {}
        self._used: set[str] = set()
        self._bearers: set[str] = set()

    def new_key(self) -> None:
        """The old one is shown no longer."""
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.kid = secrets.token_hex(4)

    def _signed(self, claims: dict[str, Any]) -> str:
        return jwt.encode(claims, self.key, algorithm="RS256", headers={"kid": self.kid})

    # --- what it answers ----------------------------------------------------------------------------------------------

    def answer(self, method: str, target: str, headers: Any, body: str) -> Answer:
        parts = urlsplit(target)
        self.asked.append(f"{method} {parts.path}")
        if status := self.statuses.get(parts.path):
            return Answer(status, '{"error": "temporarily_unavailable"}')
        routes: dict[tuple[str, str], Callable[[], Answer]] = {
            ("GET", "/.well-known/openid-configuration"): lambda: _told(self._description() | self.described),
            ("GET", "/jwks"): lambda: _told({"keys": [self._public_key()]}),
            ("GET", "/authorize"): lambda: self._authorize(_single(parts.query)),
            ("POST", "/token"): lambda: self._token(parts.query, headers, _single(body)),
            ("GET", "/userinfo"): lambda: self._userinfo(parts.query, headers),
        }
        return routes.get((method, parts.path), lambda: Answer(404))()

    def _description(self) -> dict[str, Any]:
        return {
            "issuer": self.url, "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token", "jwks_uri": f"{self.url}/jwks",
            "userinfo_endpoint": f"{self.url}/userinfo",
            "response_types_supported": ["code"], "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"], "code_challenge_methods_supported": ["S256"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic"],
            "authorization_response_iss_parameter_supported": True,
        }  # fmt: skip

    def _public_key(self) -> dict[str, Any]:
        told: dict[str, Any] = jwt.algorithms.RSAAlgorithm.to_jwk(self.key.public_key(), as_dict=True)
        return told | {"kid": self.kid, "use": "sig", "alg": "RS256"}

    def _authorize(self, query: dict[str, str]) -> Answer:
        wanted = {"response_type": "code", "client_id": CLIENT, "code_challenge_method": "S256"}
        for name, value in wanted.items():
            self._expect(query.get(name) == value, f"authorize: {name} is {query.get(name)!r}")
        self._expect("openid" in query.get("scope", "").split(), "authorize: no scope openid")
        self._expect(bool(re.fullmatch(r"[\w-]{43}", query.get("code_challenge", ""))), "authorize: odd challenge")
        for name in ("state", "nonce"):
            self._expect(len(query.get(name, "")) >= 22, f"authorize: {name} can be guessed")
        self._expect("client_secret" not in query, "authorize: the secret stands in a URL")
        self._expect("next" not in query, "authorize: our pages' addresses are nobody's business")
        redirect_uri = query.get("redirect_uri", "")
        if redirect_uri not in self.registered:
            self._expect(False, f"authorize: {redirect_uri} is not registered")
            return Answer(400, "unregistered redirect_uri", "text/plain")
        code = secrets.token_urlsafe(16)
        self._codes[code] = Grant(redirect_uri, query["code_challenge"], query["nonce"])
        came = {"code": code, "state": query["state"], "iss": self.url} | self.lies.get("answer", {})
        back = f"{redirect_uri}?{urlencode({name: value for name, value in came.items() if value is not LEFT_OUT})}"
        if self.asks_people:
            head = '<!doctype html><title>Provider</title><link rel="icon" href="data:,">'
            return Answer(200, f'{head}<a href="{escape(back)}">It is me</a>', "text/html")
        return Answer(302, location=back)

    def _token(self, query: str, headers: Any, form: dict[str, str]) -> Answer:
        self._expect(not query, "token: a query")
        self._expect(headers["content-type"] == "application/x-www-form-urlencoded", "token: not a form")
        self._expect(self._knows_secret(headers.get("authorization", "")), "token: the client is not known")
        self._expect(not {"client_secret", "client_id"} & set(form), "token: the client is told twice")
        self._expect(form.get("grant_type") == "authorization_code", "token: another grant")
        code = form.get("code", "")
        grant = self._codes.pop(code, None)
        if grant is None:
            self._expect(code not in self._used, "token: a code is used twice")
            return Answer(400, '{"error": "invalid_grant"}')
        self._used.add(code)
        verifier = form.get("code_verifier", "")
        self._expect(bool(re.fullmatch(r"[A-Za-z0-9._~-]{43,128}", verifier)), "token: odd verifier")
        digest = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        if grant.redirect_uri != form.get("redirect_uri") or digest != grant.challenge:
            self._expect(False, "token: redirect_uri or verifier is not that of the question")
            return Answer(400, '{"error": "invalid_grant"}')
        bearer = secrets.token_urlsafe(16)
        self._bearers.add(bearer)
        told = {"access_token": bearer, "token_type": "Bearer", "id_token": self.sign(self._id_claims(grant.nonce))}
        return _told(told | self.lies.get("tokens", {}))

    def _id_claims(self, nonce: str) -> dict[str, Any]:
        now = int(time.time())
        told = {"sub": self.claims["sub"]} if self.in_userinfo else self.claims
        claims = {"iss": self.url, "aud": CLIENT, "iat": now, "exp": now + TOKEN_SECONDS, "nonce": nonce} | told
        claims |= self.lies.get("claims", {})
        return {name: value for name, value in claims.items() if value is not LEFT_OUT}

    def _userinfo(self, query: str, headers: Any) -> Answer:
        self._expect(not query, "userinfo: a query")
        scheme, _, bearer = headers.get("authorization", "").partition(" ")
        self._expect(scheme == "Bearer" and bearer in self._bearers, "userinfo: no bearer of ours")
        return _told(self.claims | self.lies.get("userinfo", {}))

    @staticmethod
    def _knows_secret(header: str) -> bool:
        scheme, _, coded = header.partition(" ")
        if scheme != "Basic":
            return False
        client, _, secret = base64.b64decode(coded).decode("ascii").partition(":")
        return (unquote_plus(client), unquote_plus(secret)) == (CLIENT, SECRET)

    def _expect(self, holds: bool, fault: str) -> None:
        if not holds:
            self.faults.append(fault)


def _told(value: dict[str, Any]) -> Answer:
    return Answer(200, json.dumps(value))


def _single(encoded: str) -> dict[str, str]:
    """Each field once, as OAuth wants it."""
    fields = parse_qs(encoded, keep_blank_values=True)
    return {name: values[0] for name, values in fields.items() if len(values) == 1}


@contextmanager
def serving(provider: Provider) -> Iterator[Provider]:
    """On a free port of this machine."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer("")

        def do_POST(self) -> None:
            self._answer(self.rfile.read(int(self.headers.get("content-length", 0))).decode())

        def _answer(self, body: str) -> None:
            answer = provider.answer(self.command, self.path, self.headers, body)
            content = answer.body.encode()
            self.send_response(answer.status)
            self.send_header("Content-Type", answer.kind)
            self.send_header("Content-Length", str(len(content)))
            if answer.location:
                self.send_header("Location", answer.location)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    provider.url = f"http://localhost:{server.server_port}"  # another site than 127.0.0.1, where the web is
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)
