"""Write the templates as plain CloudFormation, with every optional part, for a scanner that does not know SAM.

`python -m tools.translated_template FOLDER` (from the folder of the repository).
"""

import argparse
import json
import logging
from collections.abc import Mapping
from pathlib import Path

from local.artifact import ROOT
from local.translation import translate

# A value for each parameter without a default, and for each that enables a part of the template.
EVERY_PART: Mapping[str, str] = {
    "TokenSecretArn": "arn:aws:secretsmanager:us-east-1:123456789012:secret:cgc-token-AbCdEf",
    "ExportBuckets": "first-bucket,second.bucket",
    "StartEventTopicArns": "arn:aws:sns:us-east-1:123456789012:starts,arn:aws:sns:eu-west-1:210987654321:others",
    "KmsKeyArns": "arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab",
    "NotificationEmail": "someone@example.org",
    "SubscriberAccountIds": "210987654321,111122223333",
    "DiscoveryMinutes": "10",
    "ContentCheckMaxGiB": "100",
}
EVERY_PART_OF_CONSUMER: Mapping[str, str] = {
    "ExportEventsTopicArn": "arn:aws:sns:us-east-1:123456789012:events",
    "AlarmsTopicArn": "arn:aws:sns:us-east-1:123456789012:alarms",
}
# The consumers without code, by the names of their folders.
EVERY_PART_WITHOUT_CODE: Mapping[str, Mapping[str, str]] = {
    "to-event-bus": EVERY_PART_OF_CONSUMER,
    "to-chat": EVERY_PART_OF_CONSUMER,
    "to-step-functions": EVERY_PART_OF_CONSUMER,
}
CODE_URI = "s3://deployment/function.zip"


def main() -> None:
    """Read the command line, translate, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="where to write a file for each template")
    options = parser.parse_args()
    # SAM's translator warns that it cannot report its usage statistics.
    logging.getLogger("samtranslator").setLevel(logging.ERROR)
    options.folder.mkdir(parents=True, exist_ok=True)
    examples = {"consumer": EVERY_PART_OF_CONSUMER, **EVERY_PART_WITHOUT_CODE}
    for name, folder, parameters in (
        ("monitor", ROOT, EVERY_PART),
        *((name, ROOT / "examples" / name, parameters) for name, parameters in examples.items()),
    ):
        written = json.dumps(translate(folder / "template.yaml", parameters, CODE_URI), indent=2)
        (options.folder / f"{name}.json").write_text(written)


if __name__ == "__main__":
    main()
