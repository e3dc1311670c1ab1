"""The Seven Bridges API v2 over HTTP."""
