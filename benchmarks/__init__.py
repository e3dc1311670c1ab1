"""What the README's figures come from: the app beside other ways of doing the same work."""

TOKEN = "benchmark-token"  # noqa: S105 -- opens nothing
