"""The fault campaign: exports of every kind on the local stack, a seeded schedule of faults, and a judge.

    make chaos SEEDS="1 2 3"
    python -m chaos --seed 7 --exports 300 --workers 4

timing      all durations, and why no fault can change how an export must end
exports     the kinds of exports, and how each must end
schedule    the faults and their times
injector    decides for each call whether it fails
driver      announces the exports and runs their jobs
workers     the functions' processes, and a queue that delivers messages twice and with shifted times
campaign    runs all of this until the queue is empty
recorder    reads from AWS calls what was published and recorded
oracle      the expected content of each event
report      judges the run

A seed determines the exports and the schedule. When each call happens depends on the machine, so two campaigns with the
same seed are similar, not identical.

Clocks jump between SQS and the function: messages seem to have been sent earlier, later or in the future. The clocks of
two workers stay together: claims rely on that, and Amazon's time service ensures it.
"""
