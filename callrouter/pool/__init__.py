"""Numbers and leases: which visitor sees which number, and which visit placed this call (rules §2 and §3).

- `model`   numbers, leases, evidence and attribution, as data
"""
