#!/bin/sh
# Announce exports that were already started, as one group: one event is published when all of them have ended.
#
#   sh with_aws_cli.sh run-42 < export-ids.txt
#
# Each line of the input is an export's id. The events are put on the bus $EVENT_BUS, or on the default bus.
set -eu
group=${1:?missing the id of the group, a new one for each run}
ids=$(grep . | sort -u) # the size of a group is its number of different exports
if strange=$(printf '%s\n' "$group" "$ids" | grep -Evx '[A-Za-z0-9_-]{1,128}'); then
  printf 'Nothing was announced: these are not valid ids: %s\n' "$strange" >&2
  exit 1
fi
size=$(printf '%s\n' "$ids" | grep -c .)

entries_of() { # the entries for these ids, as JSON
  printf '['
  comma=
  for id in "$@"; do
    printf '%s{"EventBusName": "%s", "Source": "cgc.exports", "DetailType": "Export Started", ' "$comma" "${EVENT_BUS:-default}"
    printf '"Detail": "{\\"export_id\\": \\"%s\\", \\"group\\": {\\"id\\": \\"%s\\", \\"size\\": %d}}"}' "$id" "$group" "$size"
    comma=', '
  done
  printf ']'
}

# One request takes at most ten entries. It can reject some without failing; sending all ten again does no harm.
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
