#!/bin/sh
# Announce exports that were started already, as one group: one event comes when all of them are over.
#
#   sh with_aws_cli.sh run-42 < export-ids.txt
#
# Each line of the input is an export's id. The stack's bus is $EVENT_BUS, or the default one.
set -eu
group=${1:?the id of the group is missing: a new one for each run}
ids=$(grep . | sort -u) # a group waits for so many different exports
if strange=$(printf '%s\n' "$group" "$ids" | grep -Evx '[A-Za-z0-9_-]{1,128}'); then
  printf 'Nothing was announced: these are no ids: %s\n' "$strange" >&2
  exit 1
fi
size=$(printf '%s\n' "$ids" | grep -c .)

entries_of() { # of so many ids, as JSON
  printf '['
  comma=
  for id in "$@"; do
    printf '%s{"EventBusName": "%s", "Source": "cgc.exports", "DetailType": "Export Started", ' "$comma" "${EVENT_BUS:-default}"
    printf '"Detail": "{\\"export_id\\": \\"%s\\", \\"group\\": {\\"id\\": \\"%s\\", \\"size\\": %d}}"}' "$id" "$group" "$size"
    comma=', '
  done
  printf ']'
}

# Ten is the most that one call takes. It may refuse some entries without failing; to send all ten again does no harm.
printf '%s\n' "$ids" | xargs -n 10 | while read -r ten; do
  for pause in 1 2 4 0; do
    # shellcheck disable=SC2086 -- ten ids, ten arguments
    refused=$(aws events put-events --entries "$(entries_of $ten)" --query FailedEntryCount --output text)
    [ "$refused" -eq 0 ] && break
    sleep "$pause"
  done
  if [ "$refused" -ne 0 ]; then
    printf 'Not announced, run this again: %s\n' "$ten" >&2
    exit 1
  fi
done
printf 'Announced %d exports as the group %s.\n' "$size" "$group"
