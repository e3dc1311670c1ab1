"""Measures the app and other ways of doing the same work: the source of the published figures."""

TOKEN = "benchmark-token"  # noqa: S105 -- opens nothing
