"""The fault campaign: exports of every kind on the local stack under a seeded schedule of faults, and a judge.

    make chaos SEEDS="1 2 3"
    python -m chaos --seed 7 --exports 300 --workers 4

times       how long everything takes, and why no fault can change what an export's end must be
exports     the kinds of exports, and how each must end
schedule    what goes wrong, and when
dice        decides at every call whether it goes wrong
stage       announces the exports, and lets their jobs go their way
workers     the function's processes, and a queue that gives messages twice and with shifted times
campaign    runs all of this until no message is left
witness     reads from the calls that reach AWS what was published and recorded
oracle      what each event must say
report      judges what was seen

A seed fixes the exports and the schedule. When a call comes is the machine's affair, so two campaigns of one seed are
alike and not the same.

Clocks jump between SQS and the function: messages seem to have been sent earlier or later than they were, or to be
sent in the future. The clocks of two workers do not jump apart, which claims rely on, and which Amazon's time service
sees to.
"""
