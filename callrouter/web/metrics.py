"""What the web tells Prometheus. Labels are named reasons and outcomes, never what a visitor sent."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

REFUSED = Counter("callrouter_web_refused_total", "Requests refused, by reason.", ["reason"])
FAILED = Counter("callrouter_web_failed_total", "Requests that failed by a fault of ours (logged as WEB-FAILED).")
VISITS = Counter(
    "callrouter_web_visits_total",
    "Hits by outcome: leased, kept, overflow, none, spared (no human sign yet), limited (the line or site took its "
    "share), bot, channel (no consent), away (lease store), foreign.",
    ["outcome"],
)
ALIVE = Counter(
    "callrouter_web_alive_total",
    "Signs of life by outcome: live, bare, lost, over, away (lease store).",
    ["outcome"],
)
SCRIPTS = Counter(
    "callrouter_web_scripts_total", "Requests for a site's script, by outcome: sent, not_modified.", ["outcome"]
)
SECONDS = Histogram(
    "callrouter_web_visitor_seconds",
    "Time to answer a page's call, by call.",
    ["call"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0),
)
API_SECONDS = Histogram(
    "callrouter_web_api_seconds",
    "Time to answer a question of the API, by call.",
    ["call"],
    buckets=(0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0),
)
WATCHERS = Gauge("callrouter_web_watchers", "Browsers and programs that watch the journal live.")
SIGN_INS = Counter(
    "callrouter_web_sign_ins_total",
    "Sign-ins by outcome: right, wrong, slowed (too many wrong ones before), busy (too many at once).",
    ["outcome"],
)
OPENID_SIGN_INS = Counter(
    "callrouter_web_openid_sign_ins_total",
    "Sign-ins by OpenID Connect, by outcome: right, away (the provider), untrusted (its answer), cancelled (there), "
    "cookie (not begun in this browser, or long ago), unknown (no such user), unverified (e-mail), disabled, other "
    "(another identity is bound), elsewhere (another account added him), slowed (too many before).",
    ["outcome"],
)
