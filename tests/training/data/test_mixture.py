"""The mixture: shares, epochs, purity of the function of (seed, position), messages."""

import numpy as np
import pytest
from babelscope.training.data.mixture import Mixture

BLOCKS = {"fr": 900, "te": 3, "eu": 250, "sw": 40}


def everything(mixture: Mixture, stop: int) -> list[tuple[int, int]]:
    return list(zip(*(drawn.tolist() for drawn in mixture.draw(np.arange(stop))), strict=True))


def slow_reference(mixture: Mixture, stop: int) -> list[int]:
    """How often each position's language was drawn before it, counted one by one."""
    seen, before = dict.fromkeys(range(len(mixture.languages)), 0), []
    for language in mixture.draw(np.arange(stop))[0].tolist():
        before.append(seen[language])
        seen[language] += 1
    return before


@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
def test_shares_follow_the_power_of_the_counts(alpha):
    mixture = Mixture(BLOCKS, alpha=alpha, cycle=4096)
    counts = np.array([BLOCKS[language] for language in mixture.languages], dtype=float)
    np.testing.assert_allclose(mixture.weights, counts**alpha / (counts**alpha).sum(), atol=1 / 4096)
    languages_N, _ = mixture.draw(np.arange(3 * 4096))
    np.testing.assert_array_equal(np.bincount(languages_N), 3 * np.round(mixture.weights * 4096))


def test_explicit_weights_zero_leaves_out_and_tiny_is_still_drawn():
    mixture = Mixture(BLOCKS, weights={"fr": 5, "te": 1e-9, "eu": 0, "sw": 5}, cycle=100)
    assert mixture.languages == ("eu", "fr", "sw", "te")
    np.testing.assert_allclose(mixture.weights, [0, 0.49, 0.5, 0.01])
    assert mixture.counts(100) == {"eu": 0, "fr": 49, "sw": 50, "te": 1}


@pytest.mark.parametrize("seed", range(5))
def test_quotas_add_up_for_many_skewed_weights(seed):
    random = np.random.default_rng(seed)
    blocks = {f"l{i}": int(n) for i, n in enumerate(random.lognormal(5, 4, size=40) + 1)}
    mixture = Mixture(blocks, alpha=1.0, cycle=512)
    assert mixture.quotas_L.sum() == 512
    assert mixture.quotas_L.min() == 1


def test_every_epoch_of_a_language_reads_each_block_once_in_a_new_order():
    mixture = Mixture({"a": 7, "b": 50}, alpha=0.5, cycle=64)
    languages_N, blocks_N = mixture.draw(np.arange(2000))
    for language, size in enumerate((7, 50)):
        blocks = blocks_N[languages_N == language]
        epochs = blocks[: len(blocks) // size * size].reshape(-1, size)
        np.testing.assert_array_equal(np.sort(epochs, axis=1), np.broadcast_to(np.arange(size), epochs.shape))
        assert len({tuple(epoch) for epoch in epochs.tolist()}) > 0.9 * len(epochs)


def test_first_blocks_of_an_epoch_are_uniform():
    """A permutation drawn unfairly would favour some block: chi-squared over 5,000 epochs of four blocks."""
    mixture = Mixture({"a": 4}, cycle=64)
    _, blocks_N = mixture.draw(np.arange(4 * 5000))
    counts = np.bincount(blocks_N.reshape(-1, 4)[:, 0], minlength=4)
    assert ((counts - 1250) ** 2 / 1250).sum() < 16.3  # the 0.1 % point with 3 degrees of freedom


def test_draws_count_without_replay_as_with_it():
    mixture = Mixture(BLOCKS, cycle=128, seed=3)
    stop = 1000
    languages_N, blocks_N = mixture.draw(np.arange(stop))
    for position, before in enumerate(slow_reference(mixture, stop)):
        language = int(languages_N[position])
        assert mixture.counts(position)[mixture.languages[language]] == before
        epoch, entry = divmod(before, int(mixture.blocks_L[language]))
        assert blocks_N[position] == mixture._epoch(language, epoch)[entry]


def test_any_position_any_order_any_batching_same_answer():
    mixture = Mixture(BLOCKS, seed=11, cycle=256)
    stream = everything(mixture, 3000)
    shuffled = np.random.default_rng(0).permutation(3000)
    languages_N, blocks_N = mixture.draw(shuffled)
    assert [stream[p] for p in shuffled] == list(zip(languages_N.tolist(), blocks_N.tolist(), strict=True))
    fresh = Mixture(BLOCKS, seed=11, cycle=256)
    assert [fresh.draw(np.array([p])) for p in (2999, 0, 1500)] == [
        (np.array([stream[p][0]]), np.array([stream[p][1]])) for p in (2999, 0, 1500)
    ]


def test_order_of_the_mapping_does_not_matter_but_the_seed_does():
    backwards = dict(reversed(BLOCKS.items()))
    assert everything(Mixture(BLOCKS, seed=5), 500) == everything(Mixture(backwards, seed=5), 500)
    assert everything(Mixture(BLOCKS, seed=5), 500) != everything(Mixture(BLOCKS, seed=6), 500)


def test_a_new_language_does_not_reorder_the_blocks_of_the_others():
    def blocks_of_fr(mixture):
        languages_N, blocks_N = mixture.draw(np.arange(2000))
        return blocks_N[languages_N == mixture.languages.index("fr")][:300].tolist()

    assert blocks_of_fr(Mixture(BLOCKS)) == blocks_of_fr(Mixture({**BLOCKS, "zh": 500}))


def test_the_stream_is_pinned():
    """A change here is a change of every run's data order: it breaks resuming runs of earlier versions."""
    languages_N, blocks_N = Mixture(BLOCKS, seed=0).draw(np.array([0, 1, 7, 8, 16384, 10_000_000]))
    assert (languages_N.tolist(), blocks_N.tolist()) == ([1, 1, 0, 2, 0, 1], [827, 271, 170, 25, 248, 230])


def test_far_positions_cost_no_replay_and_caches_stay_small():
    mixture = Mixture(BLOCKS, cycle=256)
    for position in np.random.default_rng(1).integers(0, 10**12, size=200):
        mixture.draw(np.array([position]))
    assert len(mixture._cycles) <= 4
    assert all(len(kept) <= 2 for kept in mixture._epochs)
    assert sum(mixture.counts(10**12).values()) == 10**12


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"alpha": 1.5}, r"alpha is 1\.5; give a number from 0"),
        ({"alpha": -0.1}, r"alpha is -0\.1"),
        ({"alpha": float("nan")}, "alpha is nan"),
        ({"weights": {"fr": 1}}, "weights lack eu, sw, te; give every language one, 0 to leave it out"),
        (
            {"weights": {**BLOCKS, "xx": 1}},
            "weights name xx, which is not among the languages: eu, fr, sw, te",
        ),
        ({"weights": {**BLOCKS, "fr": -1.0}}, r"the weight of fr is -1\.0; give a finite number >= 0"),
        ({"weights": {**BLOCKS, "fr": float("nan")}}, "the weight of fr is nan"),
        ({"weights": {**BLOCKS, "fr": float("inf")}}, "the weight of fr is inf"),
        ({"weights": dict.fromkeys(BLOCKS, 0)}, "all weights are 0; give at least one of eu, fr, sw, te"),
        ({"cycle": 3}, "cycle is 3, fewer than the 4 languages drawn"),
        ({"seed": -1}, "seed is -1; give an integer from 0"),
    ],
)
def test_wrong_arguments_name_field_value_and_remedy(arguments, message):
    with pytest.raises(ValueError, match=message):
        Mixture(BLOCKS, **arguments)


def test_a_language_without_blocks_is_refused_unless_it_is_left_out():
    with pytest.raises(ValueError, match="no training block for te; give them more text, shorten the blocks"):
        Mixture({**BLOCKS, "te": 0})
    mixture = Mixture({**BLOCKS, "te": 0}, weights={"fr": 1, "te": 0, "eu": 1, "sw": 1})
    assert mixture.counts(1000)["te"] == 0
    with pytest.raises(ValueError, match="no language to draw from"):
        Mixture({})


def test_negative_positions_are_refused():
    with pytest.raises(ValueError, match="position -3 is negative"):
        Mixture(BLOCKS).draw(np.array([4, -3]))
    with pytest.raises(ValueError, match="position -1 is negative"):
        Mixture(BLOCKS).counts(-1)
