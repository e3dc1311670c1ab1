"""What is decided, and nothing that is done: no I/O, no clock, no AWS. Values in, values out."""
