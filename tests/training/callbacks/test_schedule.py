"""The step schedule, without a trainer."""

import pytest
from babelscope.training.callbacks.schedule import StepSchedule

STUDY = StepSchedule(powers_of=2, every=5000, start=0)


def test_the_study_has_44_checkpoints_and_the_random_model():
    steps = STUDY.steps(131_072)
    assert len(steps) == 45
    assert steps[:6] == [0, 1, 2, 4, 8, 16]
    assert {2**n for n in range(18)} | {5000 * n for n in range(1, 27)} | {0} == set(steps)


@pytest.mark.parametrize("schedule", [STUDY, StepSchedule(powers_of=3), StepSchedule(every=7, final=False)])
def test_steps_are_those_that_are_due(schedule):
    assert schedule.steps(1000) == [s for s in range(1001) if schedule.due(s, 1000)]


@pytest.mark.parametrize(
    ("schedule", "last", "steps"),
    [
        (StepSchedule(), 9, [9]),
        (StepSchedule(final=False), 9, []),
        (StepSchedule(start=0, final=False), 9, [0]),
        (StepSchedule(every=4, final=False), 9, [4, 8]),
        (StepSchedule(powers_of=10), 120, [1, 10, 100, 120]),
        (StepSchedule(at=[7, 3, 7, 50], final=False), 9, [3, 7]),
        (StepSchedule(every=2, start=5, final=False), 9, [5, 6, 8]),
        (StepSchedule(every=3, at=[3]), 3, [3]),
    ],
)
def test_unions(schedule, last, steps):
    assert schedule.steps(last) == steps


def test_the_last_step_is_due_only_where_it_is_known():
    assert not StepSchedule(every=4).due(9)
    assert StepSchedule(every=4).due(9, last=9)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"powers_of": 1}, "powers_of=1: give a base of at least 2"),
        ({"every": 0}, "every=0: give a positive number"),
        ({"at": [-4]}, "at contains -4: steps count from 0"),
        ({"start": -1}, "start=-1"),
    ],
)
def test_mistakes_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        StepSchedule(**arguments)
