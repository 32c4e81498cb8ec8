"""How fast a first hit is classified: a million of them, each another URL, as a shop's visitors come.

One process, in its own CPU time: a core's worth, whatever else the machine does.
"""

from __future__ import annotations

import random
import time

from bench.row import Row
from callrouter.sessions.source import classify_hit

HITS = 1_000_000
TARGET = 50_000
OWN = ("shop.example",)
REFERRERS = (
    "", "https://yandex.ru/", "https://www.google.com/", "https://www.google.de/", "https://go.mail.ru/search?q=1",
    "https://duckduckgo.com/", "https://vk.com/away.php", "https://t.me/", "https://chatgpt.com/",
    "https://www.avito.ru/moskva/1", "https://2gis.ru/", "https://e.mail.ru/", "https://shop.example/basket",
    "https://blog.example.org/{n}", "https://www.partner-{n}.example/", "android-app://com.google.android.gm/",
)  # fmt: skip
TAGS = (
    "", "", "utm_source=yandex&utm_medium=cpc&utm_campaign=c{n}&utm_term=окна&yclid={n}", "gclid=EAIaIQobChMI{n}",
    "utm_source=newsletter&utm_medium=email&utm_campaign=may{n}", "fbclid=IwAR{n}", "ysclid=l{n}",
    "utm_source=vk&utm_medium=cpc&utm_content={{ad_id}}&utm_term={n}", "page={n}&sort=price",
)  # fmt: skip


def run() -> list[Row]:
    chance = random.Random(1)
    hits = [
        (
            f"https://shop.example/windows/{n}?" + chance.choice(TAGS).replace("{n}", str(n)),
            chance.choice(REFERRERS).replace("{n}", str(n % 5000)),
        )
        for n in range(HITS)
    ]  # fmt: skip
    began = time.process_time()
    for url, referrer in hits:
        classify_hit(url, referrer, OWN, ())
    rate = HITS / (time.process_time() - began)
    return [
        Row(
            name="source: first hits classified per second of a core's time", ours=rate, peer=None, unit="hits/s",
            ratio=rate, target=TARGET,
        )
    ]  # fmt: skip
