"""The two DynamoDB tables: exports and groups."""
