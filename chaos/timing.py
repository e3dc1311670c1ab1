"""All durations of a campaign, in seconds, and why no fault can change how an export must end."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Times:
    """Durations, and times since the campaign began.

    These relations keep the outcomes certain:

    * a job that ends has ended `longest_job` after its start event, well before `timeout`, even with clock jumps;
    * faults end before the final deadline of the first watch (`timeout` + `refusal`), so an outage never ends a watch;
    * faults that look permanent (S3's 403, an unknown volume) happen only until `refusals_until`, which is less than
      their grace period;
    * late jobs and objects arrive within `late`, less than their grace period;
    * an export whose content is checked is announced late enough that, after the last fault, a failed check is retried
      twice, and verified, before its final deadline.
    """

    announcing: float
    faults: float
    timeout: float
    refusal: float
    object_grace: float
    unknown_grace: float
    longest_job: float
    late: float
    clock_jump: float
    function: float

    @property
    def refusals_until(self) -> float:
        return self.refusal - 2

    @property
    def content_from(self) -> float:
        """From when exports whose content is checked are announced; a failed check is retried after `function`."""
        return min(self.announcing, max(0.0, self.faults + 3 * self.function - self.timeout - self.refusal))

    @property
    def forgetting(self) -> float:
        """How long the API denies existing jobs: half of the grace period."""
        return self.unknown_grace / 2

    @property
    def limit(self) -> float:
        """When the campaign gives up: three invocations and two restarted grace periods after the last start event."""
        return self.announcing + 10 + self.timeout + 2 * self.refusal + 3 * self.function + 30


LONG = Times(
    announcing=60,
    faults=80,
    timeout=45,
    refusal=50,
    object_grace=12,
    unknown_grace=12,
    longest_job=18,
    late=5,
    clock_jump=8,
    function=20,
)
SHORT = Times(
    announcing=6,
    faults=17,
    timeout=14,
    refusal=14,
    object_grace=6,
    unknown_grace=6,
    longest_job=6,
    late=2,
    clock_jump=3,
    function=10,
)


def times_for(exports: int) -> Times:
    """Short times for a test with few exports."""
    return SHORT if exports <= 60 else LONG
