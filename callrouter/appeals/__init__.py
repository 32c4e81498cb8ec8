"""The appeal: a call record enriched with the visit behind it; journalled on disk, published to Postgres.

A finished call enters as a `CallAppeal` (`Journal.append`, durable when it returns) and leaves as a row of the journal
that people read (`Publisher`): once, in the account whose call it is, with its client and its uniqueness.

- `model`       the appeal as the local journal keeps it
- `journal`     the local journal: durable appending, reading in order, the cursor; `segments` are its files
- `row`         the appeal as a row of the table `appeals`
- `settings`    what sites have set that matters here; `directory` loads it
- `enrich`      call and visit → row: whose call, quality (pure)
- `uniqueness`  which calls are the first of their caller (pure)
- `store`       a batch of rows → Postgres in one transaction
- `publish`     journal → Postgres, whatever Postgres does
- `orders`      callback orders, and the calls that are written over their appeals
- `reconcile`   the PBX's own record against the appeals; `proofs` keeps what was found
- `steps`       the steps of one call, for people
- `late`        attribution from the lease history, for calls that nobody could resolve in time
"""
