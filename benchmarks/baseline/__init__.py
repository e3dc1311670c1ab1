"""A plain function that watches exports."""
