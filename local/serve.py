"""`make local`: the whole stack, running for manual calls until interrupted."""

import signal
import threading
from types import FrameType

from local.emulator import REGION
from local.simulated_platform import Platform
from local.stack import TOKEN, Stack, deliver_to

VOLUME = "rfranklin/output"
FILE = "576159f7f53e9e1de6ae7b5f0"

HOW_TO = """\
The stack is running. In another shell:

  export AWS_ENDPOINT_URL={endpoint} AWS_DEFAULT_REGION={region} AWS_ACCESS_KEY_ID=x AWS_SECRET_ACCESS_KEY=x
  export API={api} TOKEN={token}
  export EXPORT_QUEUE_URL={queue}
  export EXPORT_EVENTS_TOPIC_ARN={topic}
  export DEAD_LETTER_QUEUE_URL={dead_letters}

Start an export on the simulated platform (it takes a few seconds), and announce it by its response:

  curl -s -H "X-SBG-Auth-Token: $TOKEN" -H 'Content-Type: application/json' $API/storage/exports -d '{{
    "source": {{"file": "{file}"}}, "overwrite": true,
    "destination": {{"volume": "{volume}", "location": "output.vcf"}}}}' |
    aws --endpoint-url $AWS_ENDPOINT_URL sqs send-message --queue-url $EXPORT_QUEUE_URL --message-body file:///dev/stdin

Published events are shown here as a subscriber's queue receives them. Press Ctrl-C to stop.
"""


def main() -> None:
    """Run until SIGINT or SIGTERM."""
    ended = threading.Event()

    def end(_signal: int, _frame: FrameType | None) -> None:
        ended.set()

    signal.signal(signal.SIGINT, end)
    signal.signal(signal.SIGTERM, end)
    platform = Platform(TOKEN)
    platform.add_volume(VOLUME, bucket="bucket")
    platform.add_file(FILE, name="output.vcf", size=1234, project="rfranklin/my-project")
    with Stack(platform, parameters={"MinPollSeconds": "1"}, log=lambda line: print(line, flush=True)) as stack:
        platform.deliver = deliver_to(stack)
        outputs = stack.deployment.outputs
        print(
            HOW_TO.format(
                endpoint=stack.emulator.endpoint_url,
                region=REGION,
                api=stack.api_url,
                token=TOKEN,
                queue=outputs["ExportQueueUrl"],
                topic=outputs["ExportEventsTopicArn"],
                dead_letters=outputs["DeadLetterQueueUrl"],
                file=FILE,
                volume=VOLUME,
            ),
            flush=True,
        )
        while not ended.is_set():
            for one in stack.receive(timeout_seconds=0.5):
                print(f"Published: {one.subject}\n{dict(one.event)}", flush=True)


if __name__ == "__main__":
    main()
