"""A small shop to try the widget in: several pages, a single-page variant, a form, and links with every kind of utm.

`serving` is its server, on loopback; `pages/` are the pages. Knows callrouter's address and nothing else of it.
"""

from callrouter.lab.shop.server import DOMAIN, OWN_NUMBER, serving

__all__ = ["DOMAIN", "OWN_NUMBER", "serving"]
