"""Every command of the README and of `docs/` that can run on one machine does, and what is shown is what comes.

Commands for the shell are run by a shell, with moto in the place of AWS (`tests/shell.py`).
"""

import inspect
import json
import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import sevenbridges
from moto.events.models import EventPattern
from samtranslator.yaml_helper import yaml_parse

from export_monitor.domain.group_reports import csv_key, html_key
from export_monitor.domain.model import StartEvent
from export_monitor.domain.start_events import parse_start_event
from export_monitor.domain.status_requests import GroupStatusRequest, parse_status_request
from local.emulator import REGION
from local.template import template
from tests.contract.schema_files import example_files, validator
from tests.contract.test_consumers_without_code import on_the_bus
from tests.documented_commands import ROOT, Block, blocks, pages, targets
from tests.shell import SECRET, World, shell
from tools.translated_template import EVERY_PART_WITHOUT_CODE

THIS = "tests/contract/test_documented_commands.py"
# The blocks that a test below runs are named there by one of their commands.
RUN = {"make demo": "tests/integration/test_demo.py::test_demo_ends_by_itself_with_an_event_for_each_export"}
# Which cannot run in a test on one machine, and why.
NOT_RUN = {
    "git clone": "it needs the repository's address",
    "sam build": "it is what `make build` does, with the SAM CLI that the tests do not install",
    "sam deploy": "it asks, and needs an AWS account",
    "sam delete": "it needs an AWS account",
    "aws cloudformation package": "it uploads what `sam build` built; `make release` is tested",
    "aws cloudformation deploy": "it needs an AWS account, which translates the template",
    "aws s3 cp packaged": "it uploads what the command before it wrote",
}
# What is no command: by page and language, a test that holds it, or why none does.
OTHER = {
    ("README.md", "json"): f"{THIS}::test_what_goes_in_is_a_start_event",
    ("README.md", "python"): f"{THIS}::test_python_of_the_readme_announces",
    ("README.md", "mermaid"): f"{THIS}::test_diagram_names_what_the_template_has",
    ("docs/operations.md", "logs-insights"): "tests/integration/test_log_queries.py::test_every_query_is_read",
    (
        "docs/content-check.md",
        "logs-insights",
    ): "tests/integration/test_content_operation.py::test_queries_name_what_the_worker_logs",
    ("docs/airflow.md", "python"): f"{THIS}::test_python_for_airflow_is_python",
    ("docs/airflow.md", "nextflow"): f"{THIS}::test_process_of_nextflow_waits_for_the_report",
    ("docs/architecture.md", "mermaid"): "a picture, for people",
    ("docs/terraform-and-cdk.md", "hcl"): f"{THIS}::test_snippets_name_what_the_template_has",
    ("docs/terraform-and-cdk.md", "python"): f"{THIS}::test_snippets_name_what_the_template_has",
    ("docs/architecture.md", ""): "a picture, for people",
}

BLOCKS = [block for page in pages() for block in blocks(page)]


def is_of_a_shell(block: Block) -> bool:
    return block.language in ("sh", "console")


def lines_with(words: str) -> str:
    """The text of the one block with a command of these words."""
    return block_with(words).text


def block_with(words: str) -> Block:
    """The one block with a command of these words, which may go on with its first options, without quotes."""
    [block] = [
        block
        for block in BLOCKS
        if is_of_a_shell(block)
        and any(words == one or words.startswith(f"{one} -") for one in block.commands())
        and words in block.text.replace('"', "")
    ]
    return block


def of_readme(language: str) -> list[str]:
    return [block.text for block in BLOCKS if (block.page, block.language) == ("README.md", language)]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("shell")
    (folder / "token.txt").write_text("a-new-token")
    with pytest.MonkeyPatch.context() as patch, shell(folder) as world:
        # For boto3 in the README, and for the files that commands name.
        patch.setenv("AWS_DEFAULT_REGION", REGION)
        patch.chdir(folder)
        yield world


def test_every_command_is_run_by_a_test_or_says_why_not() -> None:
    documented = {words for block in BLOCKS if is_of_a_shell(block) for words in block.commands()}
    named = re.findall(r'lines_with\("(.+?)"\)', (ROOT / THIS).read_text("utf-8"))
    run = {words for name in named for words in block_with(name).commands()}
    assert len(run) > 10
    assert run & RUN.keys() == set()
    assert documented == run | RUN.keys() | NOT_RUN.keys()


def test_every_other_block_is_held_by_a_test_or_says_why_not() -> None:
    others = {(block.page, block.language) for block in BLOCKS if not is_of_a_shell(block)}
    assert others - OTHER.keys() == set()


def test_tests_that_are_named_are_there() -> None:
    named = [name for name in (*RUN.values(), *OTHER.values()) if name.startswith("tests/")]
    for name in named:
        path, _, test = name.partition("::")
        assert f"def {test}" in (ROOT / path).read_text("utf-8")


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.name)
def test_targets_of_make_are_the_makefile_s(page: Path) -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    assert targets(page) <= set(re.findall(r"^([a-z0-9-]+):", makefile, re.MULTILINE))


def test_first_event_takes_two_commands_and_a_deployed_stack_three_more() -> None:
    to_event, to_stack = list(block_with("git clone").commands()), list(block_with("sam deploy").commands())
    assert to_event == ["git clone", "make demo"]
    assert to_stack == ["aws secretsmanager create-secret", "sam build", "sam deploy"]


def test_deploying_takes_a_secret_whose_arn_the_template_accepts(world: World) -> None:
    printed = json.loads(world.run(lines_with("sam deploy")))
    declaration = (ROOT / "template.yaml").read_text("utf-8").partition("TokenSecretArn:")[2]
    pattern = declaration.partition('AllowedPattern: "')[2].partition('"')[0]
    assert re.fullmatch(pattern, printed["ARN"])
    secret = world.client("secretsmanager").get_secret_value(SecretId="cgc-token")
    assert secret["SecretString"] == "a-new-token"


def test_event_put_on_the_bus_by_command_line_is_a_start_event_in_the_queue(world: World) -> None:
    assert json.loads(world.run(lines_with("aws events put-events")))["FailedEntryCount"] == 0
    [body] = world.take("ExportQueueUrl")
    assert parse_start_event(body, "cgc.exports").export_id == "5AfGvYSsAgQ9BxbBWUb2vLGeLLB56wL2"


def test_subscription_has_the_filter_policy_that_is_shown(world: World) -> None:
    queue_arn = f"arn:aws:sqs:{REGION}:123456789012:yours"
    world.client("sqs").create_queue(QueueName="yours")
    topic_arn = world.outputs["ExportEventsTopicArn"]
    answer = world.run(lines_with("aws sns subscribe"), EXPORT_EVENTS_TOPIC_ARN=topic_arn, YOUR_QUEUE_ARN=queue_arn)
    subscription = json.loads(answer)["SubscriptionArn"]
    attributes = world.client("sns").get_subscription_attributes(SubscriptionArn=subscription)["Attributes"]
    assert (attributes["TopicArn"], attributes["Endpoint"]) == (topic_arn, queue_arn)
    policy = {"type": ["cgc.export.failed.v1"], "project": ["rfranklin/my-project"]}
    assert json.loads(attributes["FilterPolicy"]) == policy


def test_python_of_the_readme_announces(world: World) -> None:
    with_boto3, with_client = of_readme("python")
    names: dict[str, Any] = {}
    exec(with_boto3, names)  # noqa: S102 -- the README's own lines
    [body] = world.take("ExportQueueUrl")
    announced = parse_start_event(body, "cgc.exports")
    assert announced.export_id == "5AfGvYSsAgQ9BxbBWUb2vLGeLLB56wL2"
    assert announced.context == {"sample": "S1"}

    def submit_export(**arguments: Any) -> Any:
        inspect.signature(sevenbridges.models.storage_export.Export.submit_export).bind(**arguments)
        return SimpleNamespace(id="started-by-the-client")

    api = SimpleNamespace(exports=SimpleNamespace(submit_export=submit_export))
    names |= {"api": api, "sqs": world.client("sqs"), "EXPORT_QUEUE_URL": world.outputs["ExportQueueUrl"]}
    exec(with_client, names | {"file": "a file", "volume": "a volume"})  # noqa: S102 -- likewise
    [body] = world.take("ExportQueueUrl")
    assert parse_start_event(body, "cgc.exports").export_id == "started-by-the-client"


def test_what_goes_in_is_a_start_event() -> None:
    goes_in, _ = of_readme("json")
    assert validator("start-event.detail").is_valid(json.loads(goes_in))


def test_what_comes_out_is_part_of_a_published_event() -> None:
    _, comes_out = of_readme("json")
    example = ROOT / "schemas/examples/valid/cgc.export.completed.v1/documented-job.json"
    assert is_part(json.loads(comes_out), json.loads(example.read_text("utf-8")))


def is_part(shown: Any, whole: Any) -> bool:
    """Whether all that is shown is in the whole; `…` stands for more of it."""
    if isinstance(shown, dict):
        return all(name == "…" or (name in whole and is_part(part, whole[name])) for name, part in shown.items())
    if isinstance(shown, list):
        more = shown[-1:] == ["…"]
        parts = shown[:-1] if more else shown
        return (len(parts) < len(whole) if more else len(parts) == len(whole)) and all(map(is_part, parts, whole))
    return bool(shown == whole)


def test_diagram_names_what_the_template_has() -> None:
    [diagram] = of_readme("mermaid")
    kinds = {"EventBridge": "AWS::Events::Rule", "SQS": "AWS::SQS::Queue", "Lambda": "AWS::Serverless::Function",
             "SNS": "AWS::SNS::Topic", "DynamoDB": "AWS::DynamoDB::Table"}  # fmt: skip
    text = (ROOT / "template.yaml").read_text("utf-8")
    for name, kind in kinds.items():
        assert name in diagram
        assert f"Type: {kind}\n" in text


@pytest.mark.parametrize("language", ["hcl", "python"])
def test_snippets_name_what_the_template_has(language: str) -> None:
    [snippet] = [
        block.text for block in BLOCKS if (block.page, block.language) == ("docs/terraform-and-cdk.md", language)
    ]
    if language == "python":
        compile(snippet, "snippet", "exec")
    declared = template()
    required = {name for name, parameter in declared["Parameters"].items() if "Default" not in parameter}
    assert {name for name in declared["Parameters"] if re.search(rf"\b{name}\b", snippet)} == required
    outputs = re.findall(r"utputs[.\[\"]+(\w+)", snippet)
    assert outputs
    assert set(outputs) <= declared["Outputs"].keys()


READ_OUTPUTS = lines_with("output")


def test_outputs_of_the_stack_are_read_by_name(world: World) -> None:
    names = {"DEAD_LETTER_QUEUE_URL": "DeadLetterQueueUrl", "EXPORT_QUEUE_ARN": "ExportQueueArn",
             "EXPORT_QUEUE_URL": "ExportQueueUrl"}  # fmt: skip
    shown = world.run(READ_OUTPUTS, *(f'echo "${name}"' for name in names))
    assert shown.split() == [world.outputs[output] for output in names.values()]


def test_removing_asks_first_how_many_exports_are_watched(world: World) -> None:
    url = world.outputs["ExportQueueUrl"]
    world.client("sqs").send_message(QueueUrl=url, MessageBody="a watch")
    shown = json.loads(world.run(lines_with("sam delete"), EXPORT_QUEUE_URL=url))
    assert shown["Attributes"] == {"ApproximateNumberOfMessages": "1", "ApproximateNumberOfMessagesNotVisible": "0"}
    assert world.take("ExportQueueUrl") == ["a watch"]


def test_query_of_a_file_is_started_on_the_function_s_log_group(world: World) -> None:
    (world.folder / "query.txt").write_text("fields @message | limit 1")
    answer = json.loads(world.run("STACK=cgc-export-monitor", lines_with("aws logs start-query")))
    assert answer["status"] == "Complete"


def test_detection_lag_is_asked_for_the_stack_s_own_metric(world: World) -> None:
    shown = world.run("STACK=cgc-export-monitor", lines_with("aws cloudwatch get-metric-statistics"))
    assert json.loads(shown)["Label"] == "DetectionLagSeconds"


def test_dead_letters_are_shown_with_their_errors(world: World) -> None:
    url = world.outputs["DeadLetterQueueUrl"]
    error = {"error": {"DataType": "String", "StringValue": "body: must be JSON"}}
    world.client("sqs").send_message(QueueUrl=url, MessageBody="rubbish", MessageAttributes=error)
    shown = json.loads(world.run(lines_with("aws sqs receive-message --queue-url"), DEAD_LETTER_QUEUE_URL=url))
    [message] = shown["Messages"]
    assert message["Body"] == "rubbish"
    assert message["MessageAttributes"]["error"]["StringValue"] == "body: must be JSON"
    assert message["Attributes"]["ApproximateReceiveCount"] == "1"


def test_redriving_moves_dead_letters_to_the_export_queue(world: World) -> None:
    world.moves.clear()
    world.run(READ_OUTPUTS, lines_with("aws sqs start-message-move-task"))
    attributes = world.client("sqs").get_queue_attributes(
        QueueUrl=world.outputs["DeadLetterQueueUrl"], AttributeNames=["QueueArn"]
    )["Attributes"]
    started, listed = world.moves
    assert started["SourceArn"] == listed["SourceArn"] == attributes["QueueArn"]
    assert started["DestinationArn"] == world.outputs["ExportQueueArn"]


def test_status_is_asked_of_the_function(world: World) -> None:
    world.invocations.clear()
    shown = world.run(READ_OUTPUTS, lines_with("aws lambda invoke"))
    [(arn, event)] = world.invocations
    assert arn == world.outputs["ExportMonitorFunctionArn"]
    assert parse_status_request(event) == GroupStatusRequest("run-42")
    # What the CLI prints, then the answer in its file.
    assert shown == '{\n    "StatusCode": 200\n}\n{}'


def subscribed_queue(world: World, name: str) -> tuple[str, str]:
    """The URL of a queue of that name, and the ARN of its subscription to the events."""
    url = world.client("sqs").create_queue(QueueName=name)["QueueUrl"]
    subscription = world.client("sns").subscribe(
        TopicArn=world.outputs["ExportEventsTopicArn"],
        Protocol="sqs",
        Endpoint=f"arn:aws:sqs:{REGION}:123456789012:{name}",
        ReturnSubscriptionArn=True,
    )
    return url, subscription["SubscriptionArn"]


def test_subscriptions_are_listed_with_what_leads_to_the_one_that_failed(world: World) -> None:
    _, subscription = subscribed_queue(world, "failed")
    listed = json.loads(world.run(READ_OUTPUTS, lines_with("aws sns list-subscriptions-by-topic")))
    assert ["123456789012", "sqs", f"arn:aws:sqs:{REGION}:123456789012:failed", subscription] in listed


def test_queue_of_a_subscriber_is_shown_with_its_policy_or_is_gone(world: World) -> None:
    url, _ = subscribed_queue(world, "checked")
    deny = {"Effect": "Deny", "Principal": "*", "Action": "sqs:SendMessage", "Resource": "*"}
    policy = {"Version": "2012-10-17", "Statement": [deny]}
    world.client("sqs").set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps(policy)})
    command = lines_with("aws sqs get-queue-attributes --queue-url $SUBSCRIBER_QUEUE_URL")
    shown = json.loads(world.run(command, SUBSCRIBER_QUEUE_URL=url))["Attributes"]
    assert shown["QueueArn"].endswith(":checked")
    assert json.loads(shown["Policy"]) == policy
    world.client("sqs").delete_queue(QueueUrl=url)
    with pytest.raises(AssertionError, match=r"NonExistentQueue|QueueDoesNotExist"):
        world.run(command, SUBSCRIBER_QUEUE_URL=url)


def test_subscription_that_nobody_needs_is_removed(world: World) -> None:
    _, subscription = subscribed_queue(world, "unneeded")
    world.run(lines_with("aws sns unsubscribe"), SUBSCRIPTION_ARN=subscription)
    left = world.client("sns").list_subscriptions()["Subscriptions"]
    assert subscription not in [one["SubscriptionArn"] for one in left]


def test_each_missed_event_is_asked_for_again(world: World) -> None:
    ids = ["5AfGvYSsAgQ9BxbBWUb2vLGeLLB56wL2", "another-1"]
    (world.folder / "missed.txt").write_text("\n".join(ids) + "\n")
    world.run(READ_OUTPUTS, lines_with("aws sqs send-message"))
    asked = [parse_start_event(body, "cgc.exports") for body in world.take("ExportQueueUrl")]
    assert asked == [StartEvent(one, republish=True) for one in ids]


def test_undelivered_e_mail_is_read_with_its_error_then_deleted(world: World) -> None:
    url = world.outputs["UndeliveredEventsQueueUrl"]
    error = {"ErrorMessage": {"DataType": "String", "StringValue": "the mailbox is full"}}
    world.client("sqs").send_message(QueueUrl=url, MessageBody="an e-mail", MessageAttributes=error)
    # What the first command prints, then the second's nothing.
    shown, _ = json.JSONDecoder().raw_decode(world.run(READ_OUTPUTS, lines_with("aws sqs purge-queue")))
    [message] = shown["Messages"]
    assert message["MessageAttributes"]["ErrorMessage"]["StringValue"] == "the mailbox is full"
    left = world.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    assert left["ApproximateNumberOfMessages"] == left["ApproximateNumberOfMessagesNotVisible"] == "0"


def test_rotating_puts_the_new_token_into_the_secret(world: World) -> None:
    world.run(lines_with("aws secretsmanager put-secret-value"), TOKEN_SECRET_ARN=SECRET)
    secret = world.client("secretsmanager").get_secret_value(SecretId=SECRET)
    assert secret["SecretString"] == "a-new-token"


def of_airflow(language: str) -> list[str]:
    return [block.text for block in BLOCKS if (block.page, block.language) == ("docs/airflow.md", language)]


@pytest.mark.parametrize("text", of_airflow("python"))
def test_python_for_airflow_is_python(text: str) -> None:
    compile(text, "docs/airflow.md", "exec")


def put_report(world: World, key: str, content: bytes) -> None:
    world.client("s3").put_object(Bucket=world.outputs["ReportBucketName"], Key=key, Body=content)


def test_report_of_a_group_is_waited_for_and_fetched(world: World) -> None:
    put_report(world, csv_key("run-42"), b"rows")
    put_report(world, html_key("run-42"), b"a page")
    world.run(READ_OUTPUTS, lines_with("until aws s3api wait object-exists"))
    fetched = [(world.folder / name).read_bytes() for name in ("report.csv", "report.html")]
    assert fetched == [b"rows", b"a page"]


def test_waiting_for_a_report_that_is_not_there_yet_goes_on(world: World) -> None:
    # In place of a pause, it arrives.
    key = csv_key("run-43")
    (world.folder / "sleep").write_text(
        f'#!/bin/sh\necho "$1"; aws s3api put-object --bucket "$REPORT_BUCKET" --key {key} >put.json\n'
    )
    (world.folder / "sleep").chmod(0o755)
    loop, *_ = lines_with("until aws s3api wait object-exists").replace(html_key("run-42"), key).splitlines()
    shown = world.run(f"{loop.replace('; do', ' 2>>waiting.log; do')}", REPORT_BUCKET=world.outputs["ReportBucketName"])
    assert shown.strip() == "60"
    assert "ObjectExists" in (world.folder / "waiting.log").read_text()


def test_process_of_nextflow_waits_for_the_report(world: World) -> None:
    [process] = of_airflow("nextflow")
    put_report(world, csv_key("run-44"), b"rows of it")
    (world.folder / "report.csv").unlink(missing_ok=True)
    script = process.split('"""')[1]
    values = {"params.report_bucket": world.outputs["ReportBucketName"], "group_id": "run-44"}
    for name, value in values.items():
        script = script.replace(f"${{{name}}}", value)
    world.run(script)
    assert (world.folder / "report.csv").read_bytes() == b"rows of it"


@pytest.mark.parametrize("name", EVERY_PART_WITHOUT_CODE)
def test_commands_of_a_consumer_without_code_ask_for_what_its_template_needs(world: World, name: str) -> None:
    folder = world.folder / "examples" / name
    folder.mkdir(parents=True)
    deploying, asking, *others = [one for one in blocks(ROOT / "examples" / name / "README.md") if is_of_a_shell(one)]
    assert list(deploying.commands()) == ["cd examples", "sam deploy"]
    world.run(deploying.text)
    template = yaml_parse((ROOT / "examples" / name / "template.yaml").read_text("utf-8"))
    needed = [parameter for parameter, declared in template["Parameters"].items() if "Default" not in declared]
    assert world.run(asking.text).split() == [world.outputs[output] for output in needed if output in world.outputs]
    assert all(f"OutputKey=='{output}'" in asking.text for output in needed)
    for other in others:
        world.run(other.text)


def test_rule_that_the_page_makes_matches_only_failures_of_its_project(world: World) -> None:
    [_, _, rule] = [block for block in blocks(ROOT / "examples/to-event-bus/README.md") if is_of_a_shell(block)]
    world.run(rule.text)
    described = world.client("events").describe_rule(Name="failed-exports-of-my-project")
    pattern = EventPattern.load(described["EventPattern"])
    events = [json.loads(path.read_text("utf-8")) for path in example_files() if path.parent.name.startswith("cgc.")]
    matched = [one for one in events if pattern.matches_event(on_the_bus(json.dumps(one)))]
    wanted = [one for one in events if "failed.v1" in one["type"] and one["data"]["file"]]
    assert matched == wanted != []
