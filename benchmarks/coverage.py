"""How often intervals hold the truth and tests find what is not there, in simulations: a table for each.

Each number is a share of `--repeats` simulated data sets, exact to about 2 √(0.95 · 0.05 / repeats): 1.4 percentage points
for 1,000. Overlaps are simulated with effects of concepts, of languages (a pair has those of both), of pairs, of a concept
in a language, and noise, as shares around 0.3 (even) or as the exponential of such effects (skewed, around 0.1).

Shapes: C concepts, L languages, G groups, S steps.
"""

import argparse
import time
from collections.abc import Callable, Iterable

import numpy as np
from babelscope.analysis.stats import (
    cell_test,
    cluster_interval,
    cluster_mass_test,
    control_interval,
    false_discovery,
    lattice_test,
    mean_interval,
    onset,
    onset_difference,
    seeds_interval,
    wilson_interval,
)

SIZES = ((3, 4), (8, 4), (24, 4), (24, 16), (200, 16))
WORLDS = {
    "concepts and languages differ": (1, 0.7, 0.3, 0.3, 0.5),
    "concepts more than languages": (1, 0.2, 0.2, 0.2, 0.5),
    "languages more than concepts": (0.2, 1, 0.3, 0.3, 0.5),
    "nothing but noise": (0, 0, 0, 0, 1),
}
"""Deviations of concepts, languages, pairs of languages, concepts in a language, and noise."""
STEPS = np.array([0, *(2**power for power in range(15))])
RISES = {"at once": 1, "over 5 checkpoints": 5, "to the end": len(STEPS)}

Interval = Callable[[np.ndarray, int], tuple[float, float]]


def overlaps(
    random: np.random.Generator, concepts: int, languages: int, world: str, skewed: bool
) -> tuple[np.ndarray, float]:
    """Values (C, L, L) and their true mean."""
    deviations = np.array(WORLDS[world]) * (0.5 if skewed else 1)
    of_concept, of_language, of_pair, of_both, noise = deviations
    language_L, both_CL = random.normal(0, of_language, languages), random.normal(0, of_both, (concepts, languages))
    upper_LL = np.triu(random.normal(0, of_pair, (languages, languages)), 1)
    upper_CLL = np.triu(random.normal(0, noise, (concepts, languages, languages)), 1)
    values = random.normal(0, of_concept, (concepts, 1, 1)) + language_L[:, None] + language_L
    values = values + upper_LL + upper_LL.T + both_CL[:, :, None] + both_CL[:, None]
    values = values + upper_CLL + upper_CLL.transpose(0, 2, 1)
    if skewed:
        # A pair has the effects of two languages.
        return 0.1 * np.exp(values), 0.1 * float(np.exp((deviations**2 @ (1, 2, 1, 2, 1)) / 2))
    return 0.3 + 0.1 * values, 0.3


def controls(random: np.random.Generator, concepts: int, languages: int) -> np.ndarray:
    """Each concept's mean with all different ones, (C, L, L), around 0."""
    effect_CL = random.normal(0, 1, (concepts, 1)) + random.normal(0, 0.3, languages)
    effect_CL = effect_CL + random.normal(0, 0.3, (concepts, languages))
    value_CCLL = effect_CL[:, None, :, None] + effect_CL[None, :, None, :]
    value_CCLL = value_CCLL + random.normal(0, 0.5, value_CCLL.shape)
    value_CCLL = (value_CCLL + value_CCLL.transpose(1, 0, 3, 2)) / 2
    value_CCLL[range(concepts), range(concepts)] = 0
    mean_CLL = value_CCLL.sum(axis=1) / (concepts - 1)
    return (mean_CLL + mean_CLL.transpose(0, 2, 1)) / 2


def courses(random: np.random.Generator, groups: int, place: int, lasting: int, size: float, steps: int) -> np.ndarray:
    """Effects (G, S) that rise from a place on, unlike between groups, in noise of deviation 1 that neighbours share."""
    checkpoints = np.arange(steps)
    course_S = np.clip((checkpoints - place + 1) / min(lasting, steps - place), 0, 1)
    noise_GS = random.normal(0, 1, (groups, steps))
    for number in checkpoints[1:]:
        noise_GS[:, number] = 0.5 * noise_GS[:, number - 1] + np.sqrt(0.75) * noise_GS[:, number]
    return random.normal(size, 0.4 * size, (groups, 1)) * course_S + noise_GS


def plain_bootstrap(values_CLL: np.ndarray, seed: int) -> tuple[float, float]:
    """What is compared with: percentiles of means over concepts and languages drawn with replacement."""
    random = np.random.default_rng(seed)
    concepts, languages, _ = values_CLL.shape
    a, b = np.triu_indices(languages, 1)
    concept_DC = random.multinomial(concepts, np.full(concepts, 1 / concepts), 400)
    language_DL = random.multinomial(languages, np.full(languages, 1 / languages), 400)
    pair_DR = language_DL[:, a] * language_DL[:, b]
    total_D = np.einsum("dr,dr->d", concept_DC @ values_CLL[:, a, b], pair_DR)
    there_D = pair_DR.sum(axis=1) > 0
    low, high = np.quantile(total_D[there_D] / pair_DR.sum(axis=1)[there_D] / concepts, (0.025, 0.975))
    return float(low), float(high)


def percentiles(values: np.ndarray, seed: int) -> tuple[float, float]:
    """What is compared with: percentiles of means of values drawn with replacement."""
    drawn = np.random.default_rng(seed).integers(len(values), size=(400, len(values)))
    low, high = np.quantile(values[drawn].mean(axis=1), (0.025, 0.975))
    return float(low), float(high)


def covered(
    simulate: Callable[[np.random.Generator], tuple[np.ndarray, float]], interval: Interval, repeats: int
) -> float:
    """Share of simulated data whose interval holds the truth."""
    held = 0
    for seed in range(repeats):
        values, truth = simulate(np.random.default_rng(seed))
        low, high = interval(values, seed)
        held += low <= truth <= high
    return held / repeats


def overlap_coverage(repeats: int, sizes: Iterable[tuple[int, int]] = SIZES) -> list[list[str]]:
    """Rows: world and kind of values. Cells: of our interval, and of a plain bootstrap."""
    rows = []
    for world in WORLDS:
        for skewed in (False, True):
            cells = []
            for concepts, languages in sizes:
                # The large ones take long, and the bootstrap is known well enough with fewer.
                count = repeats if concepts < 200 else max(1, repeats // 2)

                def simulate(random: np.random.Generator) -> tuple[np.ndarray, float]:
                    return overlaps(random, concepts, languages, world, skewed)  # noqa: B023

                ours = covered(simulate, cluster_interval, count)
                cells.append(f"{ours:.1%} ({covered(simulate, plain_bootstrap, max(1, count // 4)):.0%})")
            rows.append([f"{world}, {'skewed' if skewed else 'even'}", *cells])
    return rows


def control_coverage(repeats: int) -> list[list[str]]:
    """Cells: of our interval, and of taking concepts for independent."""
    cells = []
    for concepts, languages in SIZES[:-1]:

        def simulate(random: np.random.Generator) -> tuple[np.ndarray, float]:
            return controls(random, concepts, languages), 0.0  # noqa: B023

        count = repeats if languages < 16 else max(1, repeats // 4)
        pair = (covered(simulate, interval, count) for interval in (control_interval, cluster_interval))
        cells.append("{:.1%} ({:.0%})".format(*pair))
    return [["control", *cells]]


def mean_coverage(repeats: int) -> list[list[str]]:
    """Means over concepts, as in steering. Cells: of our interval, and of percentiles."""
    rows = []
    for skewed in (False, True):
        cells = []
        for count in (3, 8, 24, 200):

            def simulate(random: np.random.Generator) -> tuple[np.ndarray, float]:
                if skewed:  # noqa: B023
                    return 0.1 * random.lognormal(0, 0.5, count), 0.1 * float(np.exp(0.125))  # noqa: B023
                return random.normal(0.5, 0.1, count), 0.5  # noqa: B023

            ours = covered(simulate, lambda values, _: mean_interval(values), repeats)
            cells.append(f"{ours:.1%} ({covered(simulate, percentiles, max(1, repeats // 2)):.0%})")
        rows.append(["skewed" if skewed else "even", *cells])
    return rows


def share_coverage(repeats: int) -> list[list[str]]:
    """Shares of texts. Exact enough: the binomial is drawn."""
    rows = []
    for texts in (10, 25, 100):
        cells = []
        for share in (0.02, 0.1, 0.3, 0.5):
            counts = np.random.default_rng(texts).binomial(texts, share, 20 * repeats)
            ends = np.array([wilson_interval(count, texts) for count in range(texts + 1)])
            cells.append(f"{((ends[counts, 0] <= share) & (share <= ends[counts, 1])).mean():.1%}")
        rows.append([f"{texts} texts", *cells])
    return rows


def seeds_coverage(repeats: int) -> list[list[str]]:
    """Means over seeds and examples. Cells: of our interval."""
    rows = []
    for of_seed in (1.0, 0.2):
        cells = []
        for seeds, examples in ((2, 24), (3, 24), (5, 8), (5, 24), (10, 24)):

            def simulate(random: np.random.Generator) -> tuple[np.ndarray, float]:
                values = random.normal(0, of_seed, (seeds, 1)) + random.normal(0, 1, examples)  # noqa: B023
                return values + random.normal(0, 1, (seeds, examples)), 0.0  # noqa: B023

            cells.append(f"{covered(simulate, lambda values, seed: seeds_interval(values, seed)[1:], repeats):.1%}")
        rows.append(["seeds differ as examples do" if of_seed == 1 else "seeds differ little", *cells])
    return rows


def lattice_errors(repeats: int) -> list[list[str]]:
    """Groups × 12 steps × 6 layers. Cells: lattices with a false cell, by test; and planted cells that are found."""
    rows = []
    for groups in (6, 8, 12):
        false = np.zeros(3)
        found = np.zeros(3)
        for seed in range(repeats):
            random = np.random.default_rng((groups, seed))
            noise = random.normal(0, 1, (groups, 12, 6)) + random.normal(0, 1, (groups, 1, 6))
            planted = np.zeros((12, 6), bool)
            planted[6:, 2:4] = True
            for which, effect in ((0, noise), (1, noise + 2.0 * planted)):
                clusters = cluster_mass_test(effect, seed)
                marked = (
                    lattice_test(effect, seed) <= 0.05,
                    np.isin(clusters.label_SL, 1 + np.flatnonzero(clusters.p_K <= 0.05)),
                    false_discovery(cell_test(effect, seed)) <= 0.05,
                )
                if which == 0:
                    false += [cells.any() for cells in marked]
                else:
                    found += [cells[planted].mean() for cells in marked]
        rows.append(
            [f"{groups} groups", *(f"{a:.1%} / {b:.0%}" for a, b in zip(false / repeats, found / repeats, strict=True))]
        )
    return rows


def onset_table(repeats: int) -> list[list[str]]:
    """Cells: seen, before, not seen; lateness of those seen in checkpoints, mean; share of their intervals that hold."""
    rows = []
    for name, lasting in [*RISES.items(), ("no rise", 0)]:
        for groups in (8, 24):
            for size in (1.0, 2.0, 4.0) if lasting else (0.0, 2.0):
                words = {"seen": 0, "before": 0, "not seen": 0}
                late, held = [], 0
                for seed in range(repeats):
                    random = np.random.default_rng(seed)
                    place = int(random.integers(2, len(STEPS) - 3))
                    if lasting:
                        effect = courses(random, groups, place, lasting, size, len(STEPS))
                    else:
                        effect = courses(random, groups, place, 1, 0, len(STEPS)) + size
                    answer = onset(effect, STEPS, seed, draws=400)
                    words[answer.found] += 1
                    if answer.step is not None and answer.low is not None and answer.high is not None:
                        late.append(int(np.searchsorted(STEPS, answer.step)) - place)
                        held += answer.low <= STEPS[place] <= answer.high
                shares = [f"{count / repeats:.0%}" for count in words.values()]
                said = [f"{np.mean(late):+.1f}", f"{held / len(late):.0%}"] if lasting and late else ["", ""]
                rows.append([name, str(groups), f"{size:g}", *shares, *said])
    return rows


def difference_table(repeats: int) -> list[list[str]]:
    """Cells: share of pairs of effects with a p of at most 0.05, by how many checkpoints the second is later."""
    rows = []
    for groups in (8, 24):
        for size in (2.0, 4.0):
            cells = []
            for later in (0, 2, 4):
                wrong = named = 0
                for seed in range(repeats):
                    random = np.random.default_rng(seed)
                    place = int(random.integers(3, 7))
                    first = courses(random, groups, place, 5, size, len(STEPS))
                    second = courses(random, groups, place + later, 5, size / 2, len(STEPS))
                    p = onset_difference(first, second, STEPS, seed, draws=400).p
                    named += not np.isnan(p)
                    wrong += p <= 0.05
                cells.append(f"{wrong / max(1, named):.0%} of {named / repeats:.0%}")
            rows.append([str(groups), f"{size:g} and {size / 2:g}", *cells])
    return rows


def show(title: str, head: list[str], rows: list[list[str]]) -> None:
    """A table in Markdown."""
    print(f"\n{title}\n")
    for row in (head, ["---"] * len(head), *rows):
        print(f"| {' | '.join(row)} |", flush=True)


def main() -> None:
    """All tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--repeats", type=int, default=1000)
    repeats = parser.parse_args().repeats
    began = time.perf_counter()
    sizes = [f"{concepts} × {languages}" for concepts, languages in SIZES]
    show("Overlap, concepts × languages (a plain bootstrap)", ["", *sizes], overlap_coverage(repeats))
    show("Its control (concepts taken for independent)", ["", *sizes[:-1]], control_coverage(repeats))
    show("Mean over concepts (percentile bootstrap)", ["", "3", "8", "24", "200"], mean_coverage(repeats))
    show("Share of texts", ["", "2 %", "10 %", "30 %", "50 %"], share_coverage(repeats))
    show("Seeds × examples", ["", "2 × 24", "3 × 24", "5 × 8", "5 × 24", "10 × 24"], seeds_coverage(repeats))
    head = ["", "largest statistic", "cluster mass", "Benjamini-Hochberg"]
    show("Lattices with a false cell / planted cells found, at 0.05", head, lattice_errors(repeats))
    head = ["rise", "groups", "size", "seen", "before", "not seen", "late", "interval holds"]
    show("Onset among 16 checkpoints, size in deviations of the noise", head, onset_table(max(1, repeats // 4)))
    head = ["groups", "sizes", "0 later", "2 later", "4 later"]
    show("Difference of two onsets: p ≤ 0.05, of pairs with two onsets", head, difference_table(max(1, repeats // 4)))
    print(f"\n{repeats} repeats, {time.perf_counter() - began:.0f} s")


if __name__ == "__main__":
    main()
