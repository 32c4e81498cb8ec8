"""The script that a site's pages load: `GET /w/{site}.js`. Knows the site's settings; leases nothing.

- `widget.js`  what runs in the page, as people read it
- `shorten`    the same, small
- `script`     with a site's settings in it, ready to be sent
- `routes`     HTTP around it: caching, compression, refusals
"""
