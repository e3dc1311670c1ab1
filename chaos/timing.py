"""How long everything in a campaign takes, in seconds, and why no fault can change what an export's end must be."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Times:
    """The campaign's clock; all but the last counts from its begin or is a length.

    The sums that keep outcomes certain:

    * a job that ends at all has ended `longest_job` after its start event, well before `timeout`, clock jumps included;
    * faults end before the first watch's last moment (`timeout` + `refusal`), so an outage never ends a watch;
    * what is refused by a fault (S3's 403, an unknown volume or job) is refused only within `refusals_until` of the
      campaign's begin, which is less than the patience with it;
    * what arrives late arrives within `late`, less than the grace for it.
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
    def forgetting(self) -> float:
        """For how long the API may deny jobs that it has: half of the grace for that."""
        return self.unknown_grace / 2

    @property
    def limit(self) -> float:
        """When the campaign gives up: three invocations, and two patiences begun anew, after the last start event."""
        return self.announcing + 10 + self.timeout + 2 * self.refusal + 3 * self.function + 30


LONG = Times(
    announcing=60,
    faults=80,
    timeout=45,
    refusal=45,
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
    """A few exports are for a test, which may not take long."""
    return SHORT if exports <= 60 else LONG
