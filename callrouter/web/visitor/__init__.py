"""The page's calls. In: what a page says of itself; out: the number to show.

- `messages`  what is said, with the limits of each field
- `tokens`    the signed visit token
- `desk`      answers a hit or a sign of life; knows no HTTP
- `description` tells of these calls in the OpenAPI description
- `forms`     what a visitor sends: an appeal, in the journal before it is confirmed; `sifting` says what is kept of it
- `callbacks` orders to be called back, with the limits that keep strangers from dialling at the site's cost
- `visits`    whose visit an appeal from a page belongs to
- `entrance`  HTTP around it: bodies, origins, refusals
"""
