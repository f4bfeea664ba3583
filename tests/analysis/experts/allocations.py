"""How many bytes a call holds at most, counted where they are asked for: what is resident differs from run to run."""

import tracemalloc
from collections.abc import Callable
from itertools import accumulate

from torch.profiler import ProfilerActivity, profile


def most_held(call: Callable[[], object]) -> int:
    """The most bytes of tensors plus the most bytes of anything else, numpy's arrays among it, during a call.

    The two need not come at the same moment: no more is held at any. What is held before the call does not count.
    """
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiled:
        tracemalloc.start()
        try:
            before, _ = tracemalloc.get_traced_memory()
            call()
            others = tracemalloc.get_traced_memory()[1] - before
        finally:
            tracemalloc.stop()
    assert profiled.profiler is not None
    events = [event for event in profiled.profiler.kineto_results.events() if event.name() == "[memory]"]
    assert events, "torch tells of its allocations"
    changes = [event.nbytes() for event in sorted(events, key=lambda event: event.start_ns())]
    return others + max(accumulate(changes))
