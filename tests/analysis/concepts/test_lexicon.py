"""The lexicon that ships passes its checker, the checker finds every kind of mistake, and words are found per script."""

import textwrap

import pytest
from babelscope.analysis.concepts.languages import LANGUAGES, REQUIRED
from babelscope.analysis.concepts.lexicon import Lexicon
from babelscope.analysis.concepts.lexicon_check import check_lexicon
from babelscope.analysis.concepts.word_forms import Matcher, concepts_of

SHIPPED = Lexicon.load()
IN_QUESTION = {
    *("dog", "horse", "book", "music", "hand", "eye", "house", "school", "joy", "love", "fear", "mother", "bread"),
    *("death", "water", "sun", "tree", "fire", "earthquake", "city", "king", "war", "night", "road"),
}
"""Concepts that the sentences below were written for; other concepts may show in them as well."""


def write(tmp_path, text, name="domain.yaml"):
    path = tmp_path / name
    path.write_text(textwrap.dedent(text), encoding="utf-8")
    return path


def shown(language, text, lexicon=SHIPPED):
    return set(concepts_of(Matcher(lexicon, language).find(text))[0])


def test_the_shipped_lexicon_has_no_problems():
    assert check_lexicon(further=60) == []


def test_the_shipped_lexicon_covers_what_it_promises():
    assert len(SHIPPED.concepts) >= 24
    assert {"earthquake", "joy", "house"} <= set(SHIPPED.concepts)
    assert len(REQUIRED) == 16
    assert set(SHIPPED.languages) == {*REQUIRED, "de", "tr", "fi", "he", "am", "kn", "mr"} == set(LANGUAGES)
    assert {concept.abstractness for concept in SHIPPED.concepts.values()} == {"concrete", "abstract"}
    assert len({concept.domain for concept in SHIPPED.concepts.values()}) >= 8


@pytest.mark.parametrize("language", SHIPPED.languages)
def test_every_form_is_found_in_its_own_right(language):
    matcher = Matcher(SHIPPED, language)
    for concept in SHIPPED.concepts.values():
        for written in concept.forms.get(language, ()):
            bare_is_unsure = f"={written}" in concept.unsure.get(language, ())
            found = concepts_of(matcher.find(written.strip("=*")))[0]
            assert (concept.name in found) is not bare_is_unsure, (concept.name, written)


@pytest.mark.parametrize(
    ("language", "text", "concepts"),
    [
        ("en", "The DOG's bowl was empty.", {"dog"}),
        ("en", "Dogma and watershed are other words.", set()),
        ("en", "He ate a hot dog.", set()),
        ("en", "Give my love to your aunt.", {"love"}),
        ("en", "I'd love to come.", set()),
        ("en", "We roasted chestnuts over an open fire.", {"fire"}),
        ("en", "The soldiers opened fire.", set()),
        ("en", "She showed me her old school.", {"school"}),
        ("fr", "L’eau était froide.", {"water"}),
        ("fr", "Il ouvrit un œil.", {"eye"}),
        ("fr", "Un OEIL rouge.", {"eye"}),
        ("fr", "Il ne quitta pas sa grand-mère.", set()),
        ("fr", "Il lui légua dix mille livres de rente.", set()),
        ("fr", "Elle se livre à un travail pénible.", set()),
        ("fr", "L'auto-école est fermée.", set()),
        ("ca", "L'aigua i l'ull.", {"water", "eye"}),
        ("ca", "Quina por que fa!", {"fear"}),
        ("es", "El A\u0301RBOL cayó.", {"tree"}),
        ("pt", "Pão de Açúcar", set()),
        ("pt", "Abriu o guarda-sol na areia.", set()),
        ("ar", "وبالبيت الكبير", {"house"}),
        ("ar", "رأيتُ الشَّمْسَ", {"sun"}),
        ("ar", "مدينتهم جميلة", {"city"}),
        ("ar", "هذا كتــابها", {"book"}),
        ("ar", "دينار ذهبي", set()),
        ("ar", "رجل بخيل", set()),
        ("ar", "أغاني ليلى", set()),
        ("ar", "قابلت أمي", {"mother"}),
        ("ar", "أنت أم هو", set()),
        ("ar", "جلس بالأمان مع أمين", set()),
        ("ar", "آلام في الظهر", set()),
        ("ar", "ضربت الهزة الأرضية الساحل", {"earthquake"}),
        ("ar", "كفى كلاما", set()),
        ("ur", "وہ گھر گیا", {"house"}),
        ("ur", "وه گهر گيا", set()),
        ("ur", "كتاب پڑھو", {"book"}),
        ("ur", "آگے چلو", set()),
        ("ur", "ٹیم کو بھارت کے ہاتھوں شکست ہوئی", set()),
        ("ur", "بچے کے ہاتھوں میں", {"hand"}),
        ("eu", "Etxeetatik etorri dira.", {"house"}),
        ("eu", "Etxekoaren izena", {"house"}),
        ("eu", "Lurrikarak kalteak eragin zituen.", {"earthquake"}),
        ("eu", "Urte berri on, gaur eta urrun.", set()),
        ("eu", "Hari begira zegoen.", set()),
        ("eu", "Musikari ona da.", set()),
        ("eu", "Frankoren esku gelditu zen.", set()),
        ("eu", "Eskuak garbitu ditu.", {"hand"}),
        ("eu", "Esku batekin eutsi zion.", {"hand"}),
        ("eu", "Amak ekarri du.", {"mother"}),
        ("eu", "Hainbat gerratan ibili zen amodiozko poeta.", {"war", "love"}),
        ("eu", "Suezko kanala", set()),
        ("sw", "Alirudi nyumbani usiku.", {"house", "night"}),
        ("sw", "Watoto wanacheza.", set()),
        ("id", "Rumahnya dekat sungai.", {"house"}),
        ("id", "Ia dirawat di rumah sakit.", set()),
        ("id", "Kereta api itu terlambat.", set()),
        ("id", "Adikku bersekolah di kota.", {"school", "city"}),
        ("hi", "मां की किताबें", {"mother", "book"}),
        ("hi", "माँ को ख़ुशी हुई", {"mother", "joy"}),
        ("hi", "कुत्तों ने पीछा किया", {"dog"}),
        ("hi", "गृहयुद्ध छिड़ गया", {"war"}),
        ("hi", "राजा ने आदेश दिया", {"king"}),
        ("bn", "বইয়ের পাতা", {"book"}),
        ("bn", "মাটি ভেজা", set()),
        ("bn", "পাখির বাসা ভেঙে গেছে", set()),
        ("bn", "মায়েরা বইগুলোও আনলেন", {"mother", "book"}),
        ("bn", "বাড়িতে কেউ নেই", {"house"}),
        ("ta", "வீட்டிலிருந்து வந்தான்", {"house"}),
        ("ta", "நாயகன் வந்தான்", set()),
        ("ta", "போரினால் நாயுடன் கையோடு காதலிலே", {"war", "dog", "hand", "love"}),
        ("ta", "பேருந்து எப்படி நகரும்?", set()),
        ("ta", "இன்றைய வானிலை நன்று", set()),
        ("ta", "சூரியா நடித்தார்", set()),
        ("te", "ఇంట్లో ఎవరూ లేరు", {"house"}),
        ("te", "పుస్తకాలను చదివాడు", {"book"}),
        ("te", "రోడ్లపైన చెట్లమీద", {"road", "tree"}),
        ("te", "ఊరు నిండా కుక్కల్లోనూ గుర్రాల్లోనూ", {"dog", "horse"}),
        ("vi", "Đứa bé uống nước.", {"water"}),
        ("vi", "Chính sách của nhà nước", set()),
        ("vi", "Bà khóc, giọt nước mắt rơi.", set()),
        ("zh", "他们的房子很大。", {"house"}),
        ("zh", "他乘火车去了成都市。", set()),
        ("zh", "国家中最大的城市", {"city"}),
        ("zh", "使用水平仪", set()),
        ("zh", "他爱上海鲜", set()),
    ],
)
def test_words_are_found_where_they_mean_the_concept(language, text, concepts):
    assert shown(language, text) & IN_QUESTION == concepts


def test_an_ambiguous_word_is_neither_for_nor_against():
    matcher = Matcher(SHIPPED, "vi")
    assert concepts_of(matcher.find("Đất nước ta")) == (set(), {"water"})
    assert concepts_of(Matcher(SHIPPED, "en").find("We drove down the street.")) == (set(), {"road"})


TINY = """
    domain: test
    concepts:
      cat:
        gloss: the animal
        abstractness: concrete
        forms: {en: [cat, cats, "=tom", kitten*], eu: [katu]}
        unsure: {en: [big cat, cattery], eu: [=katuari]}
        not: {en: [cat flap]}
"""


@pytest.mark.parametrize(
    ("language", "text", "result"),
    [
        ("en", "a cat sat", ({"cat"}, set())),
        ("en", "kittenish", ({"cat"}, set())),
        ("en", "bobcat", (set(), set())),
        ("en", "the cat flap", (set(), set())),
        ("en", "a big cat", (set(), {"cat"})),
        ("en", "a big cat and a cat", ({"cat"}, set())),
        ("eu", "katuaren", ({"cat"}, set())),
        ("eu", "katuari", (set(), {"cat"})),
        ("fr", "le cat", (set(), set())),
    ],
)
def test_markers_exclusions_and_exceptions(tmp_path, language, text, result):
    matcher = Matcher(Lexicon.load(write(tmp_path, TINY)), language)
    assert concepts_of(matcher.find(text)) == result


def test_scanning_many_lines_finds_what_each_line_shows():
    lines = ["nothing here", "a dog", "", "water and bread", "the hot dog", "İstanbul has a house"]
    matcher = Matcher(SHIPPED, "en")
    found = {index: concepts_of(hits)[0] for index, hits in matcher.scan(lines)}
    assert found == {index: shown("en", line) for index, line in enumerate(lines) if shown("en", line)}
    assert found == {1: {"dog"}, 3: {"water", "bread"}, 5: {"house"}}


def test_words_of_two_lines_never_make_one_form():
    found = dict(Matcher(SHIPPED, "fr").scan(["sous la", "mort"]))
    assert {index: concepts_of(hits) for index, hits in found.items()} == {1: (set(), {"death"})}


def test_domains_are_read_together_and_can_be_chosen_from(tmp_path):
    write(tmp_path, TINY, "a.yaml")
    write(tmp_path, TINY.replace("cat:", "moth:", 1).replace("kitten*", "moth"), "b.yaml")
    assert tuple(Lexicon.load(tmp_path).concepts) == ("cat", "moth")
    assert tuple(Lexicon.load(tmp_path, ["moth"]).concepts) == ("moth",)
    with pytest.raises(ValueError, match=r"concepts: dog not in .*; it has cat, moth\."):
        Lexicon.load(tmp_path, ["dog"])
    assert any("'cats' also stands under 'moth' ('cats')" in problem for problem in check_lexicon(tmp_path, ()))


ONE = """
    domain: test
    concepts:
      cat:
        gloss: the animal
        abstractness: concrete
        forms:
          {forms}
"""


@pytest.mark.parametrize(
    ("forms", "problem"),
    [
        ("en: [cat]", "cat: no form in eu; add at least one each."),
        ("{en: [cat], eu: [katu], xx: [kat]}", "cat: xx has no entry in analysis/languages.py; add its script there."),
        ("{en: [cat, cat], eu: [katu]}", "cat: form.en: 'cat' stands twice; keep one."),
        ("{en: [cat*, cats], eu: [katu]}", "cat: form.en: 'cats' is found by form.en: 'cat*' already; keep one."),
        ("{en: [cat], eu: [katu, katuaren]}", "'katuaren' is found by form.eu: 'katu' already"),
        ("{en: [Cat], eu: [katu]}", "'Cat' has capitals; write 'cat'"),
        ("{en: [кот], eu: [katu]}", "'кот' has к о т, which is not Latin script."),
        ("{en: ['cha\u0302t'], eu: [katu]}", "is not in NFC; write 'chât'."),
        ("{en: ['cat '], eu: [katu]}", "'cat ' is empty or has stray spaces."),
        ("{en: ['*cat'], eu: [katu]}", "'*cat' has a marker in the wrong place"),
        ("{en: [cat], eu: [katu], zh: [猫*]}", "'猫*' has the marker '*', but words are not separated"),
        ("{en: [no], eu: [katu]}", "forms.en: False is not text; put it in quotes."),
        ("{en: [cat], en: [dog], eu: [katu]}", "'en' stands twice"),
        ("{en: [], eu: [katu]}", "forms.en is []; give a list of words."),
    ],
)
def test_the_checker_names_place_word_and_remedy(tmp_path, forms, problem):
    path = write(tmp_path, ONE.format(forms=forms))
    problems = check_lexicon(path, ("en", "eu"))
    assert any(problem in found for found in problems), problems


def test_further_languages_cover_enough_concepts_and_the_same_ones(tmp_path):
    blocks = "".join(
        f"      {name}: {{gloss: a, abstractness: concrete, forms: {{{forms}}}}}\n"
        for name, forms in {
            "cat": "en: [cat], de: [katze], fi: [kissa]",
            "dog": "en: [dog], de: [hund], fi: [koira]",
            "moth": "en: [moth], de: [motte]",
        }.items()
    )
    path = write(tmp_path, "    domain: test\n    concepts:\n" + blocks)
    assert check_lexicon(path, ("en",)) == []
    missing = "fi: no form of moth, which other further languages have; cover the same concepts."
    assert check_lexicon(path, ("en",), further=2) == [missing]
    assert check_lexicon(path, ("en",), further=3) == [
        "fi: forms of 2 concepts, fewer than 3; add more or take the language out.",
        missing,
    ]


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("gloss: the animal", "glos: the animal", "domain.yaml: cat: unknown field 'glos'; known: gloss, abstractness"),
        ("gloss: the animal", "gloss: ''", "cat: gloss is missing"),
        ("concrete", "solid", "abstractness is 'solid'; choose one of concrete, abstract."),
        ("domain: test", "topic: test", "unknown field 'topic'; known: domain, concepts."),
        ("domain: test", "", "domain is None; name the field"),
        ("cat flap", "dog flap", "not.en: 'dog flap' excludes nothing"),
        ("cat flap", "cats", "'cats' is excluded by not.en: 'cats'"),
        ("cat:", "Big Cat:", "a concept's name is lower-case"),
    ],
)
def test_the_checker_reads_the_structure(tmp_path, old, new, problem):
    problems = check_lexicon(write(tmp_path, TINY.replace(old, new, 1)), ("en", "eu"))
    assert any(problem in found for found in problems), problems


def test_all_structural_problems_are_raised_at_once(tmp_path):
    path = write(tmp_path, TINY.replace("concrete", "solid").replace("gloss", "glos"))
    with pytest.raises(ValueError, match=r"(?s)unknown field 'glos'.*abstractness is 'solid'"):
        Lexicon.load(path)
    with pytest.raises(ValueError, match="does not exist; give a YAML file or a folder"):
        Lexicon.load(tmp_path / "nowhere")


def test_an_unknown_language_is_answered_with_the_known_ones():
    with pytest.raises(ValueError, match=r"language 'xx' has no entry .* known are ar, bn, ca"):
        Matcher(SHIPPED, "xx")


@pytest.mark.parametrize(
    ("code", "text", "own"),
    [
        ("ar", "مرحبا hi", True),
        ("hi", "नमस्ते", True),
        ("en", "привет", False),
        ("zh", "abc 中", False),
        ("vi", "ngựa đẹp", True),
        ("ta", "123", False),
    ],
)
def test_script_of_a_text(code, text, own):
    assert LANGUAGES[code].writes(text) is own
