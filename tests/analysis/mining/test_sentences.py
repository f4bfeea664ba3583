"""Sentences end where each script says, and a full stop that belongs to a word ends none."""

import pytest
from babelscope.analysis.concepts.languages import LANGUAGES
from babelscope.analysis.mining.sentences import split


@pytest.mark.parametrize(
    ("language", "text", "cuts"),
    [
        ("en", "He came. | She left! | Why? | Nobody knows", 3),
        ("en", '"Why?" he asked. | "Go away!" | (She did.) | Then', 3),
        ("en", "Dr. Smith met J. R. Jones, cf. Brown, e.g. at No. 9, for 3.5 dollars.", 0),
        ("en", "In 1990. | Then... perhaps. | Or... | No", 3),
        ("en", "one line\n|two\r\n|three\u2028|four", 3),
        ("de", "Am 3. Oktober kam er. | Er ging z.B. nach Ulm.", 1),
        ("es", "¿Vino? | ¡Sí! | «No lo sé.» | El Sr. Ruiz calló.", 3),
        ("fr", "Il vint. | « Pourquoi ? » dit-elle. | Mme. Roux rit.", 2),
        ("ar", "جاء الرجل إلى البيت. | لماذا؟ | لا أعرف", 2),
        ("ur", "وہ گھر آیا۔ | کیوں؟ | پتا نہیں", 2),
        ("hi", "वह आया।|वह गया। | क्यों? | पता नहीं॥", 3),
        ("bn", "সে এল। | কেন? | জানি না।", 2),
        ("ta", "எம். ஜி. ஆர். நடித்தார். | அவர் வந்தார்.", 1),
        ("te", "అతను వచ్చాడు. | ఎందుకు? | తెలియదు", 2),
        ("am", "እሱ መጣ።|ሄደ። | ለምን?", 2),
        ("zh", "他来了。|“为什么？”她问。|走吧！|好……吧？|“走。”|他走了。", 5),
        ("vi", "Anh ấy đến. | TP. Huế đẹp. | Vì sao?", 2),
    ],
)
def test_sentences_end_where_the_script_says(language, text, cuts):
    wanted = [part.strip() for part in text.split("|")]
    assert len(wanted) == cuts + 1
    sentences, owners = split([text.replace("|", ""), "x"], LANGUAGES[language])
    assert sentences == [*wanted, "x"]
    assert owners == ([0] * len(wanted) + [1] if cuts else None)


def test_documents_of_one_sentence_stay_apart_and_white_space_evens_out():
    documents = [" A\u00a0 tree.\t", "Two  trees", "third\x1e one\x1f"]
    assert split(documents, LANGUAGES["en"]) == (["A tree.", "Two trees", "third one"], None)


def test_empty_lines_give_no_sentence():
    assert split(["\n\nA.\n\n\nB.\n", "C."], LANGUAGES["en"]) == (["A.", "B.", "C."], [0, 0, 1])


@pytest.mark.parametrize("language", ["en", "hi", "zh"])
def test_documents_together_are_cut_as_they_are_alone(language):
    documents = ["Come. Go! 来。走！ वह। गया।", "No. 5", "a", "Why? So. 好？好。", "x. Y", "... And."]
    sentences, owners = split(documents, LANGUAGES[language])
    assert owners is not None
    for number, document in enumerate(documents):
        assert [s for s, owner in zip(sentences, owners, strict=True) if owner == number] == split(
            [document], LANGUAGES[language]
        )[0]
