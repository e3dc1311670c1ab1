"""The use cases: what is done with messages, in terms of ports that adapters implement."""
