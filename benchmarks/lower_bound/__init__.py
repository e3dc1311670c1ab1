"""The fewest calls that do the app's work, with nothing but the standard library."""
