"""The AWS services, through boto3."""
