"""The pages of reports: what the account's rows add up to, by the functions that the API's reports ask.

- `asked`     what a page was asked for, and the links that ask for something else
- `opened`    who looks at whose figures, on one snapshot; what all these pages show alike
- `told`      figures as a reader sees them: with the change, the uncertainty, and the journal's rows behind them
- `columns`   which figures a table has, and its rows
- `overview`, `sources`, `hours`, `people`, `numbers`, `quality`, `multichannel`   the pages
- `terms`     the words that they have in common
"""
