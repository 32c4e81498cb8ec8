"""Visitors and visits: where a visit came from, what it saw, when it ended (rules §4). Pure.

- `model`      visit and traffic source, as data
- `source`     address of the first hit and referrer → traffic source
- `platforms`  search engines, AI assistants, social networks … by host and by name, from data/*.toml
- `device`     client hints, user agent → device, system, browser, bot or not
- `grouping`   a traffic source in Google's default channel grouping
- `explain`    which rule and which line of which data file decided
"""
