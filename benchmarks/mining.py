"""Mining against `grep -F -f` with the same words over the same text, turn by turn.

    python benchmarks/mining.py --corpus 'text/{language}.txt' [--copies 4] [--repeats 3] [--num-proc 1]

All concepts of the lexicon that ships, all of their forms, one pass. grep finds lines and stops there, at the first word
of a line and without regard to where words begin and end. The miner folds case, weighs word boundaries, affixes and
exclusions, cuts sentences, samples, removes near-duplicates and matches negatives in length. The like of it is
`grep -i` in a UTF-8 locale, which folds case as well; plain grep, in that locale and in C, is shown beside it. The claim
is a ratio of 3 or less.
"""

import argparse
import os
import statistics
import subprocess
import tempfile
from collections import defaultdict
from pathlib import Path

from babelscope.analysis.concepts.languages import LANGUAGES
from babelscope.analysis.concepts.lexicon import Lexicon
from babelscope.analysis.concepts.word_forms import split_marker
from babelscope.analysis.mining.corpus import mine
from babelscope.training.data.sources import Source, resolve

GREPS = {
    "grep -i, UTF-8": ("C.UTF-8", ["-i"]),
    "grep, UTF-8": ("C.UTF-8", []),
    "grep, C": ("C", []),
}
OURS = "mine"


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


def grep(locale: str, options: list[str], folder: Path, languages: list[str]) -> float:
    """Processor time of one grep per language."""
    start = cpu_seconds()
    for code in languages:
        # Its output is taken: into /dev/null it would stop at the first line found.
        command = ["grep", *options, "-F", "-f", str(folder / f"{code}.words"), str(folder / f"{code}.txt")]
        subprocess.run(command, capture_output=True, check=False, env=os.environ | {"LC_ALL": locale})
    return cpu_seconds() - start


def main() -> None:
    """Time all, alternating, and print the ratios."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--corpus", required=True, help="text files, with {language} in the path")
    parser.add_argument(
        "--copies", type=int, default=4, help="the text so many times over, against the weight of the end"
    )
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--num-proc", type=int, default=1)
    parser.add_argument("--languages", nargs="*", help="only these")
    options = parser.parse_args()

    paths = {code: Path(options.corpus.replace("{language}", code)) for code in options.languages or LANGUAGES}
    texts = {code: path.read_bytes() for code, path in paths.items() if path.is_file()}
    lexicon = Lexicon.load()
    with tempfile.TemporaryDirectory() as name:
        many, one = Path(name, "many"), Path(name, "one")
        for folder, copies in ((many, options.copies), (one, 1)):
            folder.mkdir()
            for code, text in texts.items():
                (folder / f"{code}.txt").write_bytes(text * copies)
                (folder / f"{code}.words").write_text("\n".join(patterns(lexicon, code)) + "\n", encoding="utf-8")
        sources, problems = resolve([Source(str(many / "{language}.txt"), languages=sorted(texts))])
        assert not problems
        megabytes = sum(map(len, texts.values())) / 1e6
        speeds: dict[str, list[float]] = defaultdict(list)
        for _ in range(options.repeats):
            for label, (locale, words) in GREPS.items():
                # Folding case makes grep so slow that one copy has to do.
                folder, copies = (one, 1) if words else (many, options.copies)
                speeds[label].append(copies * megabytes / grep(locale, words, folder, sorted(texts)))
            start = cpu_seconds()
            mine({source.language: source for source in sources}, lexicon, num_proc=options.num_proc)
            speeds[OURS].append(options.copies * megabytes / (cpu_seconds() - start))

    count = sum(len(patterns(lexicon, code)) for code in texts)
    print(
        f"{options.copies} x {megabytes:.1f} MB in {len(texts)} languages, {len(lexicon.concepts)} concepts, {count} strings"
    )
    ours = statistics.median(speeds[OURS])
    for label, rates in speeds.items():
        median = statistics.median(rates)
        ratio = "" if label == OURS else f"  mine takes {median / ours:5.2f} x its time"
        print(f"{label:16} {median:7.1f} MB a second of processor time ({min(rates):.1f} to {max(rates):.1f}){ratio}")


if __name__ == "__main__":
    main()
