"""Watches export jobs of a Seven Bridges platform, verifies their objects in S3 and publishes what became of them."""
