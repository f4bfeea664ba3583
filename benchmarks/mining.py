"""Mining against plain `grep -F -f` with the same words over the same text, in one run.

    python benchmarks/mining.py --corpus 'text/{language}.txt' [--concepts 200] [--repeats 3] [--num-proc 1]

The lexicon that ships is filled up to `--concepts` with as many forms per concept, drawn from the words of the text, so
that both search for the whole vocabulary of the later lexicon in one pass. grep finds lines and stops there; the miner
also weighs word boundaries, affixes and exclusions, and samples, removes near-duplicates and matches negatives in length.
The claim is a ratio of 3 or less.
"""

import argparse
import os
import random
import statistics
import subprocess
import tempfile
from pathlib import Path

from babelscope.analysis.languages import LANGUAGES
from babelscope.analysis.lexicon import Concept, Lexicon
from babelscope.analysis.mining import mine
from babelscope.analysis.word_forms import split_marker

COPIES = 4
"""The text is written so many times over, so that start-up and what is kept weigh as little as in a large corpus."""


def filled_up(lexicon: Lexicon, count: int, texts: dict[str, str]) -> Lexicon:
    """A lexicon of `count` concepts: the given one and others whose words come from the texts."""
    rng = random.Random(0)
    words = {
        code: sorted({word for word in LANGUAGES[code].fold(text).split() if len(word) > 2 and word.isalpha()})
        for code, text in texts.items()
    }
    size = {
        code: max(1, sum(len(c.forms.get(code, ())) for c in lexicon.concepts.values()) // len(lexicon.concepts))
        for code in texts
    }
    concepts = dict(lexicon.concepts)
    for number in range(len(concepts), count):
        forms = {code: tuple(rng.sample(words[code], min(size[code], len(words[code])))) for code in texts}
        concepts[f"filler_{number}"] = Concept(f"filler_{number}", "drawn words", "filler", "concrete", forms)
    return Lexicon(concepts)


def patterns(lexicon: Lexicon, language: str) -> list[str]:
    """Every string of the lexicon in a language, as grep can take it."""
    found = {
        split_marker(written)[0]
        for concept in lexicon.concepts.values()
        for _, lists in concept.lists()
        for written in lists.get(language, ())
    }
    return sorted(found)


def cpu_seconds() -> float:
    """Processor time of this process and of those it has waited for: what others do on the machine does not enter."""
    return sum(os.times()[:4])


def main() -> None:
    """Time both, alternating, and print the ratio."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--corpus", required=True, help="text files, with {language} in the path")
    parser.add_argument("--concepts", type=int, default=200)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--num-proc", type=int, default=1)
    options = parser.parse_args()

    sources = {code: Path(options.corpus.replace("{language}", code)) for code in LANGUAGES}
    texts = {code: path.read_text(encoding="utf-8") for code, path in sources.items() if path.is_file()}
    lexicon = filled_up(Lexicon.load(), options.concepts, texts)
    with tempfile.TemporaryDirectory() as folder:
        corpus = {code: Path(folder, f"{code}.txt") for code in texts}
        words = {code: Path(folder, f"{code}.words") for code in texts}
        for code, text in texts.items():
            corpus[code].write_text(text * COPIES, encoding="utf-8")
            words[code].write_text("\n".join(patterns(lexicon, code)) + "\n", encoding="utf-8")
        megabytes = sum(path.stat().st_size for path in corpus.values()) / 1e6
        ours: list[float] = []
        greps: list[float] = []
        for _ in range(options.repeats):
            start = cpu_seconds()
            for code in corpus:
                # Its output is taken: into /dev/null it would stop at the first line found.
                command = ["grep", "-F", "-f", str(words[code]), str(corpus[code])]
                subprocess.run(command, capture_output=True, check=False)
            greps.append(cpu_seconds() - start)
            start = cpu_seconds()
            mine(corpus, lexicon, num_proc=options.num_proc)
            ours.append(cpu_seconds() - start)

    count = sum(len(patterns(lexicon, code)) for code in texts)
    print(f"{megabytes:.0f} MB in {len(texts)} languages, {len(lexicon.concepts)} concepts, {count} strings")
    for name, seconds in (("grep -F -f", greps), (f"mine, {options.num_proc} processes", ours)):
        print(
            f"{name:20} {statistics.median(seconds):7.2f} s of processor time  (from {min(seconds):.2f} to {max(seconds):.2f})  "
            f"{megabytes / statistics.median(seconds):6.1f} MB/s"
        )
    print(f"ratio {statistics.median(ours) / statistics.median(greps):.2f} (the claim: 3 or less)")


if __name__ == "__main__":
    main()
