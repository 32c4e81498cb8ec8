"""What the journal's rows, visits, deals and costs add up to: reports, and the deals and costs that people tell of.

Knows the tables and SQL, no HTTP: the API and commands ask the same functions. A figure is the sum of the rows that the
reader sees at that moment, never of rows that a job counted last night.

- `figures`   what is counted, by what, and what follows from it: shares with their uncertainty, ROI (pure)
- `comparing` figures beside those before, and whether chance explains the difference (pure)
- `span`      a query string → filters with a period (pure)
- `facts`     rows → facts: SELECTs that give each row its dimensions and measures (pure)
- `sums`      days added up beforehand, marked when a row changes, and added up again
- `asking`    a question → one statement over sums and facts → the report
- `tables`    reports as columns and rows, for files (pure)
- `numbers`   what numbers and pools were used for
- `paths`     which channels help others to an appeal
- `money`     amounts, currencies and days as people write them (pure)
- `deals`     sales: told, changed with their history, tied to clients
- `costs`     what advertising cost, a day and source at a time
"""
