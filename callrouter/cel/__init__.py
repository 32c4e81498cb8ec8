"""The PBX's own record of its calls: CEL, as the files of asterisk-conf/ have Asterisk write it.

There is one interpretation of a call, that of `callrouter.calls`: the rows of a call are told again as the events that
AMI would have sent, and the call tracker makes the record. What CEL cannot know is listed in docs/reference/cel.md.

- `rows`       a line of the file → a row; any other dialect is refused with the mend (pure)
- `gather`     rows → all rows of one call, over transfers; bounded (pure)
- `outlook`    what became of each channel, dial and queue of a call, known before it is told (pure)
- `translate`  the rows of one call → the events that AMI would have sent (pure)
- `records`    rows → call records (pure)
- `files`      the file and what rotation made of it
"""
