"""Signing in by OpenID Connect: authorization code flow with PKCE, against the one provider that is configured.

- `settings`  which provider it is, and whom it may bring
- `attempts`  state, nonce and PKCE verifier of an attempt, bound to the browser that began it (pure)
- `token`     whether an ID token may be believed, and what it says (pure)
- `provider`  the provider by HTTP: its description and keys, kept a while; a code turned into an identity

A browser is sent to the provider with `attempts`' marks, comes back with a code, `provider` turns that into an identity
that `token` believes, and `people.openid` says whose it is. Knows no pages: those are `pages.openid`.
"""
