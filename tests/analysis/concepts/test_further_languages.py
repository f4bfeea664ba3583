"""Words of German, Turkish, Finnish, Hebrew, Amharic, Kannada and Marathi: what must be found in a sentence, and what not."""

import pytest
from babelscope.analysis.concepts.lexicon import Lexicon
from babelscope.analysis.concepts.word_forms import Matcher, concepts_of

LEXICON = Lexicon.load()
# Per language: a sentence, then the concepts it shows (all of them, none where nothing follows the bar).
SENTENCES = {
    "de": """
        Die Hunde bellten die ganze Nacht. | dog night
        Hunderte von Menschen kamen. |
        Den Pferden gab er Wasser. | horse water
        In den Büchern steht nichts über Mathematik. | book mathematics
        Er buchte ein Zimmer und kochte. |
        Sie nahm das Kind an die Hände und schloss die Augen. | hand eye
        Im Augenblick hat er keine Handschuhe. |
        Das HAUS liegt an der Strasse nach Ulm. | house road
        Die Straßenbahn hielt vor dem Rathaus. |
        Vor den Häusern der Stadt standen Bäume. | house city tree
        Das Weiße Haus schwieg. |
        Die Liebe zur Musik verband sie. | love music
        Liebe Leser, vielen Dank! |
        Der liebe Gott weiß es. |
        Aus Angst vor dem Krieg flohen die Soldaten. | fear war soldier
        Wenn ich das kriege, bin ich froh. |
        Das Erdbeben zerstörte Krankenhäuser und Brücken. | earthquake hospital
        Des Königs Tod kam im Gefängnis. | king death prison
        Die Königin trug ein Kleid. |
        Sie wurde gebeten, im Regen zu warten. | rain
        Ihr Gebet galt den Kranken, nicht der Sünde. | prayer sin
        Haß und Freundschaft, Freiheit und Gerechtigkeit | hatred friendship freedom justice
        Die Flüsse und Wälder gehören der Regierung. | river forest government
        In der Moschee las der Lehrer die Zeitung. | mosque teacher newspaper
        Am Wochenende spielen die Schülerinnen Fußball. | student football
        Sonnenlicht fiel durch das Fenster auf das Brot. | sun window bread
        """,
    "tr": """
        Köpeğin adı Karabaş, kedimizin adı Pamuk. | dog cat
        Köpek balığı gördük. | fish
        Kitabı masaya koydu, kitaplarımızdan birini aldı. | book
        Atlarını ahıra götürdü. | horse
        Topu uzağa attı, sonra adam güldü. |
        Ata binmeyi çocukken öğrendi. | horse
        Evlerindeki pencereleri açtılar. | house window
        Evli misiniz, evet mi? |
        Gözlerimi kapattım, ellerini tuttum. | eye hand
        Gözlüğünü taktı ve gözlem yaptı. |
        Suyunu içti, ekmeğini yedi, sütü bıraktı. | water bread milk
        Suç işledi, susuz kaldı, sunumu bitti. |
        IRMAĞIN kıyısında balık tuttuk. | river fish
        İLAÇ gibi geldi bu söz. |
        Şehrimizdeki camilere gittik. | city mosque
        Camı sildi, camları taktı. |
        Depremde hastaneler yıkıldı. | earthquake hospital
        Kralın ölümünden sonra savaş başladı. | king death war
        Kraliçe sarayda oturur, yüzü aşkın kişi geldi. |
        Annesinin sevgisi ve neşesi | mother love joy
        Korkuyorum ama sevgilim yanımda. |
        Öğretmenlerle öğrenciler üniversitede buluştu. | teacher student university
        Geceleri yağmur yağar, güneş doğar. | night rain sun
        Ağacın altındaki çiçekler | tree
        Müziğe ve futbola bayılır, bisikletiyle gelir. | music football bicycle
        Paralel çizgiler paranoyak birini şaşırtmaz. |
        Otoyolda uçağın parçaları bulundu. | road aeroplane
        Hafta sonu okula gitmedi. | school
        Adaletin ve özgürlüğün olmadığı yerde dostluk olmaz. | justice freedom friendship
        """,
    "fi": """
        Koirani haukkui koko yön. | dog night
        Hevosten tallissa oli kissojakin. | horse cat
        Kirjoissa ei ollut kuvia, kirjastossa oli. | book
        Kirjoita nimesi ja kirjaimet. |
        Hän pesi kätensä vedellä. | hand water
        Käsite ja käsitys ovat vetäviä. |
        Vedessä ui kaloja, ja vesien yllä lensi lokki. | water fish
        Silmiini tuli roska. | eye
        Talojen ikkunat olivat auki, kotona oltiin. | house window
        Talous kasvaa, ja talvi tulee. |
        Valkoisessa talossa pidettiin kokous. |
        Kouluissamme opettajat opettavat matematiikkaa. | school teacher mathematics
        Rakkautta ja vapautta, ystävyyttä ja vihaa | love freedom friendship
        Sodan pelko kasvoi kaupungeissa. | war fear city
        Sotku siivottiin sodanjälkeisessä talkoissa. |
        Kuninkaan kuolemasta kerrottiin sanomalehdissä. | king death newspaper
        Kuningatar hymyili. |
        Maanjäristyksessä sairaala sortui. | earthquake hospital
        Joessa oli laivoja, joilla kuljettiin jokea pitkin. | river ship
        Jokin meni vikaan, ja hän tiesi sen. |
        Maantiellä ajettiin polkupyörillä. | road bicycle
        Tiedän, että tieto lisääntyy. |
        Metsissä satoi, sateen jälkeen aurinkokin näkyi. | forest rain sun
        Äidilleni ostin leipää ja maitoa. | mother bread milk
        Metsäpalon tulessa tuhoutui puita. | fire tree
        Musiikin ilo soi häissä. | music joy wedding
        Ilona tuli kotiin. | house
        Hallituksen rahoilla poliisit saivat tietokoneita. | government money police computer
        Viikossa ehtii paljon, viikonloppuna ei. | week
        Ei tiedetä, käsitä se, kouluta itsesi, rahoita yhtiö. |
        Sairauden hoito ja oikeudenmukaisuutta | disease justice
        """,
    "he": """
        הכלבים נבחו כל הלילה. | dog night
        חלה כלבת באזור. |
        קראתי את הספרים בבית הספר. | book school
        מספר האנשים גדל, ובא לספר לי. |
        במספרים לא נמצאה טעות. |
        הסוסים שתו מים מהנהר. | horse water river
        השמים כחולים והוא שמח. |
        השמש שקעה מאחורי העצים. | sun tree
        המילה משמשת לתיאור, ולא עצה. |
        ידיו רעדו ועיניו דמעו. | hand eye
        הוא גר ליד הים, ומיד חזר. |
        על ידי השלטון נכתב כך. |
        בביתנו אכלנו לחם וחלב. | house bread milk
        נולד בבית לחם ועבד בבית המשפט. |
        הרופאה עבדה בבית־החולים בחיפה. | doctor hospital
        אהבתו למוזיקה גדולה מפחד. | love music
        מלחמת העולם פרצה, והמלך מת. | war king
        המלכה שמעה על כך. |
        מותו של החייל הובא לידיעת אמו. | death soldier mother
        כמות גדולה של שמות על הבמות |
        רעידת האדמה הרסה ערים. | earthquake city
        מָלַךְ הַסּוּס | king horse
        כשהמורים והתלמידים באוניברסיטה | teacher student university
        מורת רוח הורגשה. |
        הוא מפיל כפול וכפילו נפל. |
        הפילים ביער ליד הכביש | elephant forest road
        הממשלה ומשטרת ישראל | government police
        שבעה אופניים ושני מטוסים | bicycle aeroplane
        תפילתם במסגד על החטא | mosque sin
        הגשם ירד על החלונות. | rain window
        הבחירות בשמורת הטבע נדחו בשלילה. |
        שיער ארוך, הקפת הבניין |
        """,
    "am": """
        ውሾቹ ሌሊቱን ሙሉ ጮኹ። | dog night
        ውሻዬንና ድመቷን አየሁ። | dog cat
        መጽሐፎቻችንን በትምህርት ቤታችን አነበብን። | book school
        መፅሃፉ ጠፋ። | book
        ቤቶቹ በከተማችን ናቸው። | house city
        ጉዳዩ በፍርድ ቤቱ ታየ። |
        ቤተሰቡ ደህና ነው፣ ቤተ መንግሥቱ ተዘጋ። |
        ዓይኖቿ ያምራሉ። | eye
        ምን አይነት ነገር ነው? |
        እጆቹን በውሃ ታጠበ። | hand water
        እጅግ በጣም ጥሩ ነው። |
        እናቴ ዳቦ ጋገረች። | mother bread
        የንጉሡ ሞት ጦርነቱን አስነሳ። | king death war
        ሞተር ገዛ። |
        ፀሀይዋ በዛፎች ላይ ወጣች። | sun tree
        በመሬት መንቀጥቀጡ ሆስፒታሎች ፈረሱ። | earthquake hospital
        ፈረሶቹ ወደ ወንዙ ሄዱ። | horse river
        መምህራን ለተማሪዎቻቸው ሙዚቃ አስተማሩ። | teacher student music
        የደስታና የፍቅር ቀን | joy love
        ዓሳ በላን፣ አሳማ አየን። | fish
        አሳሹን ክፈት፣ አቶ ንጉሤ መጣ። |
        በደን ውስጥ ዝናብ ዘነበ፤ በደንብ ታየ። | forest rain
        የቡና ዋጋና የወተቱ ዋጋ | coffee milk
        ኢትዮጵያ ቡና ተሸነፈ። |
        መንግሥትና ፖሊስ ስለ ነፃነት ተናገሩ። | government police freedom
        ኀጢአታችንን በጸሎት | sin prayer
        ለእግር ኳስ ገንዘብ ከፈለ። | football money
        ወታደሮቹ ጠላቶቻቸውን በእስር ቤት አገኙ። | soldier enemy prison
        በሚቀጥለው ሳምንት ሰርጋቸው ነው። | week wedding
        """,
    "kn": """
        ನಾಯಿಗಳು ರಾತ್ರಿಯೆಲ್ಲಾ ಬೊಗಳಿದವು. | dog
        ನಾಯಿಯನ್ನು ರಾತ್ರಿಯಲ್ಲಿ ಕಂಡೆ. | dog night
        ನಾಯಕರು ಬಂದರು. |
        ಕುದುರೆಗೆ ನೀರನ್ನು ಕೊಟ್ಟನು. | horse water
        ನೀರಾವರಿ ಯೋಜನೆ ಆರಂಭವಾಯಿತು. |
        ಪುಸ್ತಕಗಳನ್ನು ಶಾಲೆಯಲ್ಲಿ ಇಟ್ಟರು. | book school
        ಮನೆಯಿಂದ ಹೊರಟು ರಸ್ತೆಗೆ ಬಂದಳು. | house road
        ಮನೆತನದ ಹೆಸರು ಅರಮನೆಯಲ್ಲಿ ಇದೆ. |
        ಕಣ್ಣಿನಲ್ಲಿ ಕಣ್ಣೀರು | eye
        ಕೈಗಳಿಂದ ಮರವನ್ನು ಹಿಡಿದ. | hand tree
        ಮರಣದ ಭಯದಿಂದ ಓಡಿದ. | death fear
        ಸಾವಿರ ಜನರು ಸೇರಿದರು. |
        ಸಾವಿನ ಸುದ್ದಿ ನಗರದಲ್ಲಿ ಹರಡಿತು. | death city
        ತಾಯಿಯ ಪ್ರೀತಿಗೆ ಸಂತೋಷವಾಯಿತು. | mother love
        ಅಮ್ಮನಿಗೆ ಹಾಲಿನ ಕಾಫಿ | mother milk coffee
        ಹಾಲಿ ಚಾಂಪಿಯನ್ ಸೋತರು. |
        ರಾಜನನ್ನು ಯುದ್ಧದಲ್ಲಿ ಸೋಲಿಸಿದರು. | king war
        ರಾಜ್ಯದ ರಾಜಕೀಯ |
        ಭೂಕಂಪದಿಂದ ಆಸ್ಪತ್ರೆಗಳಿಗೆ ಹಾನಿ | earthquake hospital
        ಸೂರ್ಯನ ಬೆಳಕು ಕಿಟಕಿಯಿಂದ ಬಂತು. | sun window
        ಪೊಲೀಸರು ಕಂಪ್ಯೂಟರ್‌ಗಳನ್ನು ವಶಪಡಿಸಿಕೊಂಡರು. | police computer
        ಕಂಪ್ಯೂಟರಿನಲ್ಲಿ ಸಂಗೀತವನ್ನು ಕೇಳಿದರು. | computer music
        ವಿಜ್ಞಾನಿ ನ್ಯಾಯಾಲಯಕ್ಕೆ ಹೋದರು. |
        ಶಿಕ್ಷಕರಿಗೆ ವಿದ್ಯಾರ್ಥಿಗಳೊಂದಿಗೆ ಸ್ನೇಹವಿತ್ತು. | teacher student
        ಬೆಕ್ಕಿಗೆ ಮೀನಿನ ಆಸೆ | cat fish
        ನದಿಯಲ್ಲಿ ಹಡಗುಗಳು, ಕಾಡಿನಲ್ಲಿ ಆನೆಗಳು | river ship forest elephant
        ಆತ್ಮಹತ್ಯೆ ಮಹಾಪಾಪವೆಂದರು. |
        ವಿಮಾನ ನಿಲ್ದಾಣದಲ್ಲಿ ಸರ್ಕಾರದ ಹಣ | government money
        ಶತ್ರುವಿನ ಸೈನಿಕರನ್ನು ಜೈಲಿಗೆ ಹಾಕಿದರು. | enemy soldier prison
        ಮುಂದಿನ ವಾರದಲ್ಲಿ ಮದುವೆ, ಸೋಮವಾರವಲ್ಲ. | week wedding
        """,
    "mr": """
        कुत्र्यांनी रात्रभर भुंकून झोपू दिले नाही. | dog night
        घोड्याला पाणी पाजले. | horse water
        पुस्तकांमध्ये चित्रे आहेत, पुस्तकालयात नाहीत. | book
        त्याच्या हातात हातोडा होता. | hand
        हाताळणी सोपी आहे. |
        डोळ्यांत आनंदाश्रू, मनात आनंद | eye joy
        घराच्या खिडकीतून झाड दिसते. | house window tree
        घरटे झाडूजवळ पडले. |
        शाळेतील विद्यार्थ्यांना शिक्षकांनी गणित शिकवले. | school student teacher mathematics
        कार्यशाळेत वैज्ञानिक आले. |
        आईच्या प्रेमाला सीमा नसते. | mother love
        आईस्क्रीम खाल्ले. |
        युद्धात राजाचा मृत्यू झाला. | war king death
        राज्यातील राजकारण |
        भूकंपामुळे शहरातील रुग्णालये कोसळली. | earthquake city hospital
        सूर्याची किरणे नदीवर पडली. | sun river
        आगीत घरे जळाली, आगगाडी थांबली. | fire house
        रस्त्यावर सायकली व मोटारसायकल | road bicycle
        पोलिसांनी चोराला तुरुंगात टाकले. | police prison
        सरकारने पैसे दिले, सरकारी माणसे हसली. | government money
        आत्महत्या करू नका, हत्यार टाका. |
        हत्तींच्या भीतीने गावकरी जंगलात गेले नाहीत. | elephant fear forest
        मैत्रिणीने मैत्री जपली. | friendship
        पावसात भाकरी भिजली. | rain bread
        न्यायालयात न्याय मिळाला. | justice
        स्वातंत्र्याची क्रांती | freedom revolution
        सातार्‍याच्या भाकऱ्या, भाकर्‍या | bread
        आठवड्यातून एकदा दुधाचा चहा आणि कॉफी | week milk coffee
        मशिदीत प्रार्थनेला गेले. | mosque prayer
        """,
}
# Words that begin, end or sound like a form and are another word.
LOOKALIKES = {
    "de": """morgen weg reis mode brotlos hausen handeln händler schulter schulden statt stadion nähte lieber wasserstoff
        baumwolle baute feuerwehr straßburg vergelten weltweit einfluss überfluss kirche gebot abgebuchte nachteil""",
    "tr": """altında evrak evlenmek evlat sunmak suriye susmak süresi gecikme geçen elbise elçi ekim annelik okur kitle
        krallık savaşçı yoldaş parça parti filan filistin fikir balkon camia sütun kahverengi kahraman askerlik devlet
        düğme bilgi geminici yağ haftalık ölümcül korkulu şehircilik yangı atlas cansız güneybatı""",
    "fi": """joissa joista jokainen jokerit koskaan kuva kulta kirjasto kirjailija kirjoitus vesisto veto sillä talous
        koulutus ilma iltana rakas rakennus pelata pelin leipuri kuori puute puuttuu puhelin palasi punainen sotku
        yöllinen tieto tietysti teitä teille kauppa hallinto rahasto vihannes vihreä häiriö viikinki vapautettu
        metsästys satama laivasto syntyi rukka oppia kahvila lehmä valtio käsittely kätevä tiennyt koneisto""",
    "he": """ראש אשה אשם עצה עצמו יועץ צעיר ספרות ספרן כלכלה שימש ממלכה מלח ימין חלבון חלום חלק כספת דגש הדגש אפילו
        נהרג נהרס יערה כלאיים כלל רפואה מוריד מורכב מידע ממשל משטר שבעה שביעי צדיק תפילין הגשים מחשבה מהפך
        מותר מותג כבש כיבוש אישור בחירות שלילי עלילה""",
    "am": """አበባ አይነት በር ብር በርካታ ደንብ ቤተሰብ አሳማ አሳይ ሞተር ሙከራ ቡድን ቡናማ ንግሥት ንግድ ነጭ ፍቃድ ዳንስ ዳኛ ሌላ ሌባ
        ደሴት ደም ጫማ ጦር ጠላ ትምህርት ወንድ ወንበር ወንጀል ግድብ ፖሊሲ ድምፅ እግር እግዚአብሔር ገብረ ከተመ""",
    "kn": """ಸಾವಿರಾರು ಸಾಲ ಕೈಗೊಂಡ ಕೈಗಾರಿಕೆ ಮರಳಿ ಮರಿ ಮನಸ್ಸು ಕಾಡುವ ಕಾರು ಹಾವು ಹಣೆ ಹಣ್ಣು ರಾಜಧಾನಿ ರಾಜೀನಾಮೆ ವಾರ್ತೆ ನಗು
        ಭಯೋತ್ಪಾದಕ ಸಂಗತಿ ನೀಡಿದ ವಿಮಾ ಮಳಿಗೆ ಸಂಕ್ರಾಂತಿ ವೈದ್ಯಕೀಯ ಶಿಕ್ಷಣ ಶಿಕ್ಷೆ ಕಣಿವೆ ಕೊಲೆಗಾರ ಮೀನಾ ಆತ್ಮಹತ್ಯೆ""",
    "mr": """हातभार हातगाडी घराणे घरगुती आईना पाणीपुरी आगमन आगामी झाडी झाडला राज्य राजीनामा शाळकरी भयंकर मराठी रस्सा
        देश पावडर विमा विमानतळ पैज मासिक मसाला हत्यार खूप न्यायालय मैत्रीण प्रेमळ संगीतकार सरकारी शिक्षण आठवण पापड""",
}


@pytest.mark.parametrize("language", LOOKALIKES)
def test_look_alikes_show_nothing(language):
    matcher = Matcher(LEXICON, language)
    found = {word: concepts_of(matcher.find(word))[0] for word in LOOKALIKES[language].split()}
    assert {word: shown for word, shown in found.items() if shown} == {}


@pytest.mark.parametrize("language", SENTENCES)
def test_what_sentences_show(language):
    matcher = Matcher(LEXICON, language)
    wrong = {}
    for line in SENTENCES[language].strip().splitlines():
        text, _, concepts = line.strip().rpartition("|")
        found = set(concepts_of(matcher.find(text))[0])
        if found != set(concepts.split()):
            wrong[text] = (sorted(found - set(concepts.split())), sorted(set(concepts.split()) - found))
    assert wrong == {}, "found without being there, missed"
