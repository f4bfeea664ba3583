"""Endings that make forms of a word, look-alikes that do not, and spellings that count as one, per language."""

import pytest
from babelscope.analysis.concepts.languages import LANGUAGES


def carries(language, form, word):
    """Whether a word is the form with affixes that its language allows."""
    facts = LANGUAGES[language]
    word = facts.fold(word)
    return any(
        word[len(prefix) :].startswith(stem) and word[len(prefix) + len(stem) :] in endings
        for stem, endings in facts.stems(facts.fold(form))
        for prefix in facts.prefixes
        if word.startswith(prefix)
    )


@pytest.mark.parametrize(
    ("language", "form", "words", "others"),
    [
        ("de", "straße", "Straße STRASSE STRAẞE", "Straßen straßenbahn"),
        ("tr", "ev", "evlerimizdekiler evinde evindeki evime eviyle evin EVDE evdir", "evli evsiz evlik evet evda evı"),
        ("tr", "anne", "annesine annemle anneler annenin anneyi annelerimizden", "annei annelik anneanne"),
        ("tr", "kitap", "kitapta kitaplar kitaptan kitapla", "kitapda kitaplık kitapçı"),
        ("tr", "kitab", "kitabı kitabına kitabımızda", "kitabü kitabi"),
        ("tr", "göz", "gözümüzü gözlerinden gözüyle", "gözlük gözlüğü gozu gözu"),
        ("tr", "ışık", "IŞIK Işıkta ışıklar", "İŞİK işik isik"),
        ("tr", "il", "İL İller I\u0307lde", "IL ılı"),
        (
            "fi",
            "talo",
            "taloon talossammekin talonsa talolla taloaan taloksi talottakaan",
            "talous talolinen taloään talssa",
        ),
        ("fi", "käsi", "käsiin käsissään käsien käsittä", "käsite käsia käsissaan"),
        ("fi", "kuninkai", "kuninkaita kuninkaiden kuninkaisiin kuninkaillekaan", "kuninkaisto"),
        ("fi", "yö", "yötä yöhön yössäkin yönä", "yöllinen yöhan"),
        ("fi", "maantie", "maantiellä maantieltä maantien", "maantiede maantieteen"),
        ("he", "סוס", "סוסים סוסי והסוסים שבסוס וכשמהסוס לסוסיו סוּס", "סוסון הסוסנים יסוס סוסות"),
        ("he", "מלך", "מלכים המלך מלכנו ומלכי", "מלכה מלכות ממלכה"),
        ("he", "אהבה", "אהבת באהבתו אהבות האהבה", "אהבתם נאהבה"),
        ("am", "ቤት", "ቤቱ ቤቷ ቤታችንን ከቤቶቹም ስለቤታቸው ቤትና", "ቤተሰብ ቤታዊ እቤት"),
        ("am", "ከተማ", "ከተሞች ከተማው በከተማዋ የከተሞቹን", "ከተመ ከተማሪ"),
        ("am", "ፀሐይ", "ጸሀይ ፀሀዩን የፀሐይዋ", "ፀሐያማ"),
        ("kn", "ಮನೆ", "ಮನೆಯಲ್ಲಿ ಮನೆಗೆ ಮನೆಗಳನ್ನು ಮನೆಯೊಂದು", "ಮನೆತನ ಅರಮನೆ ಮನೆದ"),
        ("kn", "ಮರ", "ಮರದಲ್ಲಿ ಮರಕ್ಕೆ ಮರಗಳಿಂದ", "ಮರಣ ಮರಳು ಮರಿ"),
        ("kn", "ನೀರು", "ನೀರಿನಲ್ಲಿ ನೀರನ್ನು ನೀರಿಗೆ ನೀರೂ", "ನೀರಜ್ ನೀರ ನೀರಾವರಿ"),
        ("kn", "ಚರ್ಚ್", "ಚರ್ಚ್‌ನಲ್ಲಿ ಚರ್ಚ್ಗೆ ಚರ್ಚಿನ", "ಚರ್ಚೆ ಚರ್ಚಿಸಿ"),
        ("ta", "மரம்", "மரத்தில் மரங்களுக்குச் மரமும் மரத்திற்கு", "மரம்பு மரபு மரத்தான் மரணம்"),
        ("ta", "வீடு", "வீட்டிலிருந்து வீடுகளை வீடும் வீட்டைப்", "வீட்டும் வீடை வீடியோ"),
        ("ta", "கல்", "கல்லை கல்லால் கல்லும்", "கலை கல்வி கல்லூரி கலும்"),
        ("ta", "நாய்", "நாயை நாய்க்கு நாய்களோடு நாயுடன்", "நாயகன் நாயுடு நாய்மை"),
        ("ta", "பூ", "பூவில் பூக்களை பூவும்", "பூமி பூக்கும் பூனை"),
        ("te", "మంచం", "మంచాన్ని మంచానికి మంచంపైన మంచాల్లో మంచాలకు", "మంచి మంచాని మంచు"),
        ("te", "కుక్క", "కుక్కలను కుక్కల్లో కుక్కకూ కుక్కతోనే", "కుక్కర్ కుక్కు కుక్కలం"),
        ("bn", "চোখ", "চোখদুটো চোখের চোখেও চোখগুলোয় চোখজোড়া", "চোখা চোখাচোখি"),
        ("bn", "ছাত্রী", "ছাত্রীরাও ছাত্রীদেরকে ছাত্রীগণের", "ছাত্রীনিবাস"),
        ("eu", "ama", "amak amagandik amarekiko amari", "amatu amatasun amets"),
        ("eu", "maitasun", "maitasunagatik maitasunezko maitasunik", "maitasuntsu"),
        ("mr", "घर", "घरात घरांच्या घरालाही घरासमोर घरच", "घरटे घरा घराणे"),
        ("mr", "नदी", "नदीत नदीच्या नदीकडे", "नदीम नदीष"),
        ("mr", "चर्च", "चर्चमध्ये चर्चला", "चर्चा चर्चेत"),
    ],
)
def test_endings_make_forms_of_the_word_and_not_other_words(language, form, words, others):
    assert carries(language, form, form)
    assert [word for word in words.split() if not carries(language, form, word)] == []
    assert [word for word in others.split() if carries(language, form, word)] == []


@pytest.mark.parametrize(
    ("language", "one", "other", "same"),
    [
        ("de", "Haß", "Hass", True),
        ("de", "schon", "schön", False),
        ("tr", "SINIR", "sınır", True),
        ("tr", "SINIR", "sinir", False),
        ("tr", "İSTANBUL", "i̇stanbul", True),
        ("fi", "TYÖ", "tyo\u0308", True),
        ("fi", "näin", "nain", False),
        ("he", "שָׁלוֹם", "שלום", True),
        ("he", "בית־ספר", "בית ספר", True),
        ("he", "עט", "את", False),
        ("am", "ዓሣ", "አሳ", True),
        ("am", "መጽሐፍ", "መፅሀፍ", True),
        ("am", "በር", "ብር", False),
        ("kn", "ಕಂಪ್ಯೂಟರ್\u200cಗೆ", "ಕಂಪ್ಯೂಟರ್ಗೆ", True),
        ("kn", "ಕಲೆ", "ಕಳೆ", False),
        ("mr", "भाकर्\u200dया", "भाकऱ्या", True),
        ("mr", "दिन", "दीन", False),
    ],
)
def test_spellings_that_are_one_word(language, one, other, same):
    fold = LANGUAGES[language].fold
    assert (fold(one) == fold(other)) is same
