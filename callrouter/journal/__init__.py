"""The journal of appeals as people read it: rows by filters, notes, client cards and histories, exports, the live feed.

Knows the tables and SQL, no HTTP: the API and the pages ask the same functions. Reports filter by the same language, so
that each of their figures is a sum over the journal's rows.

- `filters`     what may be asked of an appeal, as data (pure)
- `query`       a URL's query string ↔ filters, refused with the mend (pure)
- `spelling`    telephone numbers as people search for them: any spelling, or a part (pure)
- `conditions`  filters → SQL conditions with parameters, on appeals or on visits (pure)
"""
