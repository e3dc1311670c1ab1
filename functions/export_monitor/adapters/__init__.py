"""What the domain must not know: the API over HTTP, and AWS's services. Each one's port stands beside its consumer."""
