"""The steering analysis on a model with planted units, and its parts: intervals, controls, identification, presence."""

import json
import math

import numpy as np
import pytest
import torch
from babelscope.analysis.concepts.lexicon import Concept, Lexicon
from babelscope.analysis.experts.activations import Units
from babelscope.analysis.findings import Findings, read_findings, write_findings
from babelscope.analysis.stats import wilson_interval
from babelscope.analysis.steering.analysis import SteeringAnalysis
from babelscope.analysis.steering.conditions import Experts, other_concepts, random_units, stream
from babelscope.analysis.steering.identification import (
    KnownWords,
    LexiconWords,
    LinguaIdentifier,
    WordIdentifier,
    said_once,
)
from babelscope.analysis.steering.rows import Text
from babelscope.model import build_model, preset
from babelscope.model.interventions import Forcing
from babelscope.model.sites import reading_of, unit_sites
from babelscope.training.toy.world import ToyWorld

from tests.places import CORPUS, needs_corpus

from ...tokenizers_for_tests import WORDS, word_tokenizer

LANGUAGES = ["ar", "bn", "ca", "en", "es", "eu", "fr", "hi", "id", "pt", "sw", "ta", "te", "ur", "vi", "zh"]
WIDTH, FFN = 32, 40
HALF = {"aa": WORDS[:30], "bb": WORDS[30:]}
TOPICS = {language: {"zero": words[:1], "one": words[1:2], "rest": words[2:]} for language, words in HALF.items()}
PLANTED = {("zero", "aa"): 0, ("one", "aa"): 1, ("zero", "bb"): 30, ("one", "bb"): 31}
TOKENIZER = word_tokenizer("<s> $A")


@pytest.fixture(scope="module")
def planted(tmp_path_factory) -> tuple[torch.nn.Module, Findings]:
    """A model that says word w when the unit at place w % 32 of its last layer is high, and experts that are those.

    The experts are as a run has them: written down and read again.
    """
    model = build_model(
        preset("toy", vocab_size=64, num_layers=2, d_model=WIDTH, ffn_dim=FFN, attention_heads=2), seed=0
    ).eval()
    sites = {(site.layer, site.site): site for site in unit_sites(model)}
    last = sites[1, "ffn_out"]
    indices = np.full((3, 2, 3), -1, np.int32)
    median = np.zeros((3, 2, 3), np.float32)
    with torch.no_grad():
        model.lm_head.weight.mul_(0.2)
        for place, ((concept, language), word) in enumerate(PLANTED.items()):
            model.lm_head.weight[4 + word, place] = 4.0
            at = ("one", "rest", "zero").index(concept), ("aa", "bb").index(language)
            indices[at] = last.start + place, last.start + 20 + place, sites[0, "q"].start + place
            median[at] = 50.0, 0.1, 0.1
    settings = {"concepts": ["one", "rest", "zero"], "languages": ["aa", "bb"], "units": last.stop, **reading_of(model)}
    arrays = {"indices": indices, "median": median}
    folder = tmp_path_factory.mktemp("experts")
    write_findings(Findings.from_rows("experts", 7, [], arrays=arrays, settings=settings), folder)
    return model, read_findings(folder, "experts", 7)


def analysis(experts: Findings, **changes) -> SteeringAnalysis:
    arguments = {"seeds": 30, "length": 8, "temperature": 3.0, **changes}
    return SteeringAnalysis(lambda step: experts, WordIdentifier(HALF), KnownWords(TOPICS), **arguments)


def rows_of(findings: Findings) -> dict[tuple, float]:
    names = ("metric", "concept", "language", "other_language")
    rows = {tuple(row[name] for name in names): row["value"] for row in findings.table.to_pylist()}
    assert len(rows) == findings.table.num_rows
    return rows


@pytest.fixture(scope="module")
def found(planted) -> Findings:
    model, experts = planted
    return analysis(experts, k_sweep=[0, 1])(model, TOKENIZER, 7)


@pytest.mark.parametrize(("concept", "language"), PLANTED)
def test_planted_experts_bring_their_word_and_its_language(found, concept, language):
    rows = rows_of(found)
    assert rows["share_steered", concept, language, language] == 1
    assert rows["presence_steered", concept, language, None] == 1
    assert rows["presence_steered", concept, language, language] == 1
    other = "aa" if language == "bb" else "bb"
    assert rows["presence_steered", concept, language, other] < 0.5
    # The controls do not: random units, no units, and the other concept's own word.
    assert rows["presence_random", concept, language, language] < 0.5
    assert rows["presence_unsteered", concept, None, language] < 0.5
    assert rows["presence_other_concept", concept, language, language] < 0.2
    assert rows["share_other_concept", concept, language, language] == 1
    assert rows["k", concept, language, None] == 3
    # One expert does it all; without any the model is itself.
    assert rows["presence_steered_k1", concept, language, None] == 1
    assert rows["presence_steered_k0", concept, language, None] == rows["presence_unsteered", concept, None, None]
    assert rows["repetitive_steered", concept, language, None] > 0.9
    assert rows["repetitive_unsteered", None, None, None] < 0.5
    assert rows["distinct2_steered", concept, language, None] < 0.2 < rows["distinct2_unsteered", None, None, None]


def test_rows_are_those_of_the_kept_texts(found):
    rows = rows_of(found)
    texts = [text for text in found.texts if text["condition"] == "steered" and text["k"] == 3]
    for concept, language in PLANTED:
        own = [text for text in texts if (text["concept"], text["source_language"]) == (concept, language)]
        assert [text["seed"] for text in own] == list(range(30))
        for other in ("aa", "bb", "unclear"):
            count = sum(text["language"] == other for text in own)
            assert rows["share_steered", concept, language, other] == count / 30
            interval = (rows[f"share_steered_{end}", concept, language, other] for end in ("low", "high"))
            assert tuple(interval) == wilson_interval(count, 30)
        present = sum(any(pair[0] == concept for pair in text["shown"]) for text in own)
        assert rows["presence_steered", concept, language, None] == present / 30
        nats = sum(text["nats"] for text in own) / sum(text["tokens"] for text in own)
        assert rows["perplexity_steered", concept, language, None] == pytest.approx(math.exp(nats), rel=1e-3)
    mean = np.mean([rows["share_steered", concept, "aa", "aa"] for concept in ("zero", "one")])
    assert rows["share_steered_mean", None, "aa", "aa"] == mean
    assert {text["draw"] for text in found.texts if text["condition"] == "random"} == {0, 1, 2, 3}


def test_what_is_shared_is_generated_once(found):
    kinds = [(text["condition"], text["k"]) for text in found.texts]
    # k 0 is the unsteered model, and the other concept's texts are its own.
    assert {kind: kinds.count(kind) for kind in set(kinds)} == {
        ("unsteered", 0): 30, ("steered", 3): 4 * 30, ("steered", 1): 4 * 30, ("random", 3): 4 * 30,
    }  # fmt: skip


def test_concepts_without_experts_are_named(found):
    assert found.warnings == ("not steered, for want of experts: rest in aa, rest in bb",)
    assert found.settings["concepts"] == ["one", "zero"]
    assert found.settings["start"] == [0]


@pytest.mark.parametrize(
    "changes", [{"batch_size": 64}, {"concepts": ["zero"]}, {"source_languages": ["bb"]}, {"seeds": 12}]
)
def test_texts_do_not_depend_on_what_is_beside_them(planted, found, changes):
    model, experts = planted
    key = ("condition", "concept", "source_language", "k", "seed")
    known = {tuple(text[name] for name in key): text for text in found.texts}
    again = analysis(experts, **changes)(model, TOKENIZER, 7)
    assert len(again.texts) >= 12 * 6
    for text in again.texts:
        assert text["text"] == known[tuple(text[name] for name in key)]["text"]


def test_the_model_is_left_alone_and_the_same_call_gives_the_same_rows(planted, found):
    model, experts = planted
    state, weights = torch.get_rng_state(), [parameter.clone() for parameter in model.parameters()]
    again = analysis(experts, k_sweep=[0, 1])(model, TOKENIZER, 7)
    assert again.table.equals(found.table)
    assert again.texts == found.texts
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), weights, strict=True))
    assert not any(module._forward_hooks for module in model.modules())


def test_a_single_concept_takes_its_control_from_those_not_chosen(planted):
    model, experts = planted
    rows = rows_of(analysis(experts, concepts=["zero"], source_languages=["aa"])(model, TOKENIZER, 7))
    assert rows["presence_other_concept", "zero", "aa", "aa"] < 0.2
    alone = {"zero": 2}
    only = experts.arrays["indices"].copy()
    only[0] = -1
    lonely = Findings("experts", 7, experts.table, {**experts.arrays, "indices": only}, experts.settings)
    found = analysis(lonely, concepts=list(alone), source_languages=["aa"])(model, TOKENIZER, 7)
    assert not any(metric.endswith("other_concept") for metric, *_ in rows_of(found))
    assert "no control with another concept for zero in aa: no other concept has experts" in found.warnings


def test_texts_are_kept_beside_the_rows(tmp_path, found):
    write_findings(found, tmp_path)
    lines = (tmp_path / "steering" / "step_00000007.texts.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["text"] for line in lines] == [text["text"] for text in found.texts]
    back = read_findings(tmp_path, "steering", 7)
    assert back.texts == tuple(json.loads(json.dumps(text)) for text in found.texts)
    assert back.table.equals(found.table)
    write_findings(Findings.from_rows("steering", 7, []), tmp_path)
    assert not (tmp_path / "steering" / "step_00000007.texts.jsonl").exists()
    assert [path.name for path in (tmp_path / "steering").iterdir()] == ["step_00000007.parquet"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"mode": "clamp"}, "mode='clamp': choose one of set, add, multiply"),
        ({"seeds": 0}, "seeds=0: give at least 1"),
        ({"mode": "multiply"}, "mode=multiply with strength=1 changes nothing"),
        ({"top_p": 1.5}, "top_p=1.5"),
        ({"k": 4}, r"4 experts are to be forced, and 3 of each concept were found: lower k .* ExpertNeurons"),
        ({"k_sweep": [5]}, "5 experts are to be forced"),
        ({"concepts": ["zero", "ten"]}, "concepts: ten has no experts; choose from one, rest, zero"),
        ({"source_languages": ["cc"]}, "source_languages: cc has no experts; choose from aa, bb"),
        ({"concepts": ["rest"]}, "no experts to steer with: rest in aa, rest in bb had too few sentences"),
    ],
)
def test_wrong_use_says_what_to_do(planted, changes, message):
    model, experts = planted
    with pytest.raises(ValueError, match=message):
        analysis(experts, **changes)(model, TOKENIZER, 7)


def test_experts_of_another_model_are_refused(planted):
    _, experts = planted
    other = build_model(preset("toy", vocab_size=64, num_layers=1, d_model=16, ffn_dim=8, attention_heads=2), seed=0)
    with pytest.raises(ValueError, match="a model with 400 units, and this one has 88"):
        analysis(experts)(other, TOKENIZER, 7)


def test_random_units_have_the_same_layers_and_sites(planted):
    model, _ = planted
    units = Units.of(model)
    chosen = np.random.default_rng(0).choice(units.n, 60, replace=False)
    forcing = Forcing(tuple(chosen.tolist()), tuple(np.linspace(-1, 1, 60).tolist()))
    draws = [random_units(forcing, units, stream(3, draw, "zero", "aa")) for draw in range(3)]
    for drawn in draws:
        assert np.array_equal(units.site_number(drawn.units), units.site_number(forcing.units))
        assert drawn.values == forcing.values
        assert not set(drawn.units) & set(forcing.units)
    assert draws[0] != draws[1] != draws[2]
    assert draws[0] == random_units(forcing, units, stream(3, 0, "zero", "aa"))
    assert draws[0] != random_units(forcing, units, stream(3, 0, "zero", "bb"))
    # A layer with hardly any other units gives all of those first.
    nearly = Forcing(tuple(range(1, WIDTH)), (1.0,) * (WIDTH - 1))
    assert 0 in random_units(nearly, units, stream(0, 0, "", "")).units


def test_other_concepts_are_the_next_ones(planted):
    experts = Experts.of(planted[1])
    assert other_concepts(experts, ["one", "zero"], "aa") == {"one": "zero", "zero": "one"}
    assert other_concepts(experts, ["zero"], "aa") == {"zero": "one"}


@needs_corpus
def test_real_sentences_are_identified():
    identifier = LinguaIdentifier(LANGUAGES)
    right = wrong = total = 0
    for language in LANGUAGES:
        lines = [line.strip() for line in (CORPUS / f"{language}.txt").read_text(encoding="utf-8").splitlines()]
        lines = [line[:25] if language == "zh" else line[:60] for line in lines if len(line) > 60][:40]
        found = identifier.identify(lines)
        right += found.count(language)
        wrong += len(lines) - found.count(language) - found.count("unclear")
        total += len(lines)
    assert total > 500
    assert right / total > 0.95
    assert wrong / total < 0.01


def test_short_degenerate_and_undecided_texts_are_unclear():
    identifier = LinguaIdentifier(["en", "es", "pt", "zh"])
    texts = [
        "",
        "  ",
        "123 456 789 000",
        "the",
        "agua agua agua agua agua agua agua",
        "hahahahahahahahaha",
        "的的的的的的的的的的",
    ]
    assert identifier.identify(texts) == ["unclear"] * len(texts)
    clear = ["where is the nearest railway station", "mañana iremos todos juntos a la playa", "我们明天去火车站"]
    assert identifier.identify(clear) == ["en", "es", "zh"]
    assert LinguaIdentifier(["es", "pt"], margin=1.0).identify(["casa mesa banana camisa"]) == ["unclear"]
    assert said_once("la casa y la casa, y el mar mar mar mar") == "la casa y casa, el mar"


def test_languages_that_cannot_be_identified():
    with pytest.raises(
        ValueError, match=r"two or more, and of these lingua can identify es; .* It knows af, ar, .*, zh, zu"
    ):
        LinguaIdentifier(["es", "xx", "alvo"])
    with pytest.raises(ValueError, match=r"languages=\['es'\]: telling languages apart needs two or more"):
        LinguaIdentifier(["es"])
    with pytest.raises(ValueError, match="of these lingua can identify none"):
        LinguaIdentifier(["pt", "pt-br"])
    with pytest.raises(ValueError, match="'w0' belongs to aa and to bb"):
        WordIdentifier({"aa": ["w0"], "bb": ["w0"]})


def test_languages_by_the_tags_that_corpora_use():
    """What is found has the run's own name; what lingua does not know is told, and stops nothing."""
    identifier = LinguaIdentifier(["pt-br", "zho_Hans", "arb_Arab", "no", "swh", "iw", "kn", "am"])
    assert identifier.languages == ("arb_Arab", "iw", "no", "pt-br", "swh", "zho_Hans")
    assert "am, kn can't be identified" in identifier.warnings[0]
    texts = [
        "vamos todos juntos à praia amanhã de manhã",
        "我们明天去火车站",
        "سنذهب غدا إلى محطة القطار القريبة",
        "jeg vet ikke hva han heter, men han bor i huset ved fjorden",
        "eg veit ikkje kva han heiter, men han bur i huset ved fjorden",
        "watoto wanacheza mpira nje ya nyumba yao",
        "אנחנו הולכים מחר לתחנת הרכבת",
        "ನಾವು ನಾಳೆ ರೈಲು ನಿಲ್ದಾಣಕ್ಕೆ ಹೋಗುತ್ತೇವೆ",
    ]
    assert identifier.identify(texts) == ["pt-br", "zho_Hans", "arb_Arab", "no", "no", "swh", "iw", "unclear"]


def test_two_names_of_one_language_are_not_told_apart():
    identifier = LinguaIdentifier(["pt", "pt-br", "en", "fi"])
    assert identifier.languages == ("en", "fi")
    assert "pt, pt-br can't be identified" in identifier.warnings[0]
    assert identifier.identify(["vamos todos juntos à praia amanhã de manhã", "we all go to the beach"]) == [
        "unclear",
        "en",
    ]


def test_words_of_concepts_are_found_under_the_runs_names(tmp_path):
    path = tmp_path / "words.yaml"
    path.write_text(
        "domain: nature\nconcepts:\n  river: {gloss: flowing water, abstractness: concrete, forms: {pt: [rio]}}\n",
        encoding="utf-8",
    )
    words = LexiconWords(Lexicon.load(path), ["pt-br", "zz"])
    assert words.shown(["um rio largo"]) == [{("river", "pt-br")}]
    assert "not looked for in zz" in words.warnings[0]


def test_toy_languages_are_identified_as_the_world_does():
    world = ToyWorld(languages=3, topics=3, words=3000)
    lexicon = world.lexicon()
    identifier = WordIdentifier({language: sum(concepts.values(), ()) for language, concepts in lexicon.items()})
    words = [word for concepts in lexicon.values() for forms in concepts.values() for word in forms]
    random = np.random.default_rng(0)
    texts = [text for _, text in world.documents()] + [" ".join(random.choice(words, 5)) + "." for _ in range(300)]
    found = identifier.identify([*texts, "", "Anna 7."])
    assert found == [world.identify(text) for text in [*texts, "", "Anna 7."]]
    assert set(found) == {*world.language_names, "unclear"}


def test_words_of_a_lexicon_show_their_concept_in_their_language():
    forms = {"en": ("water", "waters"), "es": ("agua",), "zh": ("水",)}
    water = Concept(
        "water", "the clear liquid", "nature", "concrete", forms, {"en": ("pool",)}, {"en": ("water polo",)}
    )
    words = LexiconWords(Lexicon({"water": water}), ["en", "es", "zh", "xx"])
    assert words.warnings == ("words of concepts are not looked for in xx: how they inflect is not known",)
    assert words.concepts == {"water"}
    texts = [
        "they drank cold water\nand slept",
        "bebieron agua fría",
        "a pool for water polo",
        "他们喝水",
        "water y agua",
    ]
    shown = [{"en"}, {"es"}, set(), {"zh"}, {"en", "es"}]
    assert words.shown(texts) == [{("water", language) for language in languages} for languages in shown]


def test_empty_and_repetitive_texts():
    def text(ids, written="w0"):
        return Text(0, tuple(ids), written, "aa", frozenset(), 1.0)

    assert text([2], " \n").empty
    assert not text([5], "w1").empty
    assert text([5] * 8).repetitive
    assert not text(range(8)).repetitive
    assert not text([5, 5, 5]).repetitive
