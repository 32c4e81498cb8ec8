"""Reports that are sent at their time: by e-mail to people of the account, or into a folder.

Knows the tables of schedules and sendings, and SMTP; what a report says is written by `sending.Writer`.

- `model`    a schedule: which report of which period, when, to whom (pure)
- `due`      when it is due on the account's clock (pure)
- `store`    schedules in Postgres: added, changed, removed; who may be sent to
- `letter`   what is written → an e-mail (pure)
- `post`     one mail to one mail server, step by step
- `sending`  the worker's part: each due time once for each recipient, however many workers there are
"""
