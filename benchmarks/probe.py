"""The language probe: all probes together against a loop over scikit-learn, on the same features.

Without a checkpoint, features are made like hidden states: token types with Zipf frequencies, some shared by languages,
in an anisotropic space with outlier dimensions; deeper layers mix in more of the token's neighbours, so that the first
layer tells languages apart badly and the last one well. Both sides standardise, fit and test. Scikit-learn runs with its default
tolerance and as many iterations as that takes. With --oracle it also runs at a tight tolerance, to show how far above
the optimum either side stops. Ratios are of wall time, side by side. On a
busy machine OMP_NUM_THREADS=1 is the fair setting: BLAS threads that wait for one another slow scikit-learn down many times over.
"""

import argparse
import time

import numpy as np
import torch
from babelscope.analysis.concepts.text import load_text
from babelscope.analysis.hidden import hidden_states
from babelscope.analysis.probe.fit import ProbeFit, fit_probes
from babelscope.analysis.token_batches import tokenise
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from transformers import AutoModelForCausalLM, AutoTokenizer


def token_states(layers: int, languages: int, tokens: int, width: int, seed: int, decay: float) -> torch.Tensor:
    """States (layers, languages x tokens, width), language by language; direction i has deviation i^-decay."""
    generator = torch.Generator().manual_seed(seed)
    types, neighbours = 4000, 12
    spread = torch.arange(1, width + 1).float() ** -decay
    # Rotated: otherwise standardising the features would undo the anisotropy.
    rotation = torch.linalg.qr(torch.randn(width, width, generator=generator)).Q * spread[:, None]
    embedding = torch.randn(types, width, generator=generator) @ rotation
    own_LN, near_LN = [], []
    for _ in range(languages):
        rank = torch.arange(1, types + 1)[torch.randperm(types, generator=generator)].float()
        # The most frequent types (marks, digits, syllables) are everybody's.
        rank[:100] = torch.arange(1, 101).float() * 2
        drawn = torch.multinomial(1 / rank, tokens * (neighbours + 1), replacement=True, generator=generator)
        drawn = drawn.view(tokens, neighbours + 1)
        own_LN.append(embedding[drawn[:, 0]])
        near_LN.append(torch.stack([embedding[row].mean(0) for row in drawn[:, 1:]]))
    own, near = torch.cat(own_LN), torch.cat(near_LN)
    outlier = torch.ones(width)
    outlier[torch.randperm(width, generator=generator)[:3]] = torch.tensor([300.0, 100.0, 30.0])
    states = []
    for layer in range(layers):
        mixed = own + near * (4 * layer / max(layers - 1, 1))
        noise = 0.1 * torch.randn(mixed.shape, generator=generator) @ rotation
        states.append((mixed + noise) * outlier + 3 * outlier)
    return torch.stack(states)


def checkpoint_states(checkpoint: str, text: str, tokens: int) -> tuple[torch.Tensor, int]:
    """States (layers, languages x tokens, width) of a checkpoint on real text, and how many languages have enough."""
    model = AutoModelForCausalLM.from_pretrained(checkpoint).eval()
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    found = []
    for sentences in load_text(text).values():
        encoded = tokenise(model, tokenizer, sentences[: tokens // 2], special_tokens=False)
        places = [(row, place) for row, (first, stop) in enumerate(encoded.counted) for place in range(first, stop)]
        if len(places) >= tokens:
            chosen = [places[index * len(places) // tokens] for index in range(tokens)]
            found.append(hidden_states(model, encoded, chosen))
    return torch.cat(found, 1), len(found)


def scikit_learn(features_PND: np.ndarray, labels_N: np.ndarray, train_N: np.ndarray, **settings: float) -> list:
    """The loop that is compared with: (objective, accuracy, iterations) of each problem."""
    found = []
    for features_ND in features_PND:
        scaler = StandardScaler().fit(features_ND[train_N])
        z_ND = scaler.transform(features_ND)
        fitted = LogisticRegression(max_iter=100_000, **settings).fit(z_ND[train_N], labels_N[train_N])
        found.append((z_ND, fitted, fitted.score(z_ND[~train_N], labels_N[~train_N])))
    return found


def objective(z_ND: np.ndarray, fitted: LogisticRegression, labels_N: np.ndarray, train_N: np.ndarray) -> float:
    """What is minimised, in float64."""
    weight_KD, intercept_K = (torch.tensor(part, dtype=torch.float64) for part in (fitted.coef_, fitted.intercept_))
    logits_NK = torch.tensor(z_ND[train_N], dtype=torch.float64) @ weight_KD.T + intercept_K
    loss = torch.nn.functional.cross_entropy(logits_NK, torch.tensor(labels_N[train_N]), reduction="sum")
    return float(loss + 0.5 * weight_KD.square().sum())


def timed_ours(features_PND: torch.Tensor, labels_N: torch.Tensor, train_N: torch.Tensor) -> tuple[float, ProbeFit]:
    """Seconds and the result."""
    began = time.perf_counter()
    fit = fit_probes(features_PND, labels_N, train_N)
    return time.perf_counter() - began, fit


def compare(name: str, features_PND: torch.Tensor, languages: int, turns: int, oracle: bool) -> None:
    """Print one setting."""
    problems, examples, width = features_PND.shape
    tokens = examples // languages
    labels_N = torch.arange(languages).repeat_interleave(tokens)
    train_N = torch.arange(languages * tokens) % tokens < 0.75 * tokens
    arrays = features_PND.numpy(), labels_N.numpy(), train_N.numpy()
    ratios, theirs_s, ours_s = [], [], []
    for _ in range(turns):
        began = time.perf_counter()
        theirs = scikit_learn(*arrays)
        theirs_s.append(time.perf_counter() - began)
        seconds, fit = timed_ours(features_PND, labels_N, train_N)
        ours_s.append(seconds)
        ratios.append(theirs_s[-1] / seconds)
    gaps = np.abs(fit.accuracy_P.numpy() - [accuracy for _, _, accuracy in theirs])
    print(
        f"{name}: {problems} problems, {languages} languages x {tokens} tokens, width {width}: "
        f"scikit-learn {np.median(theirs_s):.2f} s, ours {np.median(ours_s):.2f} s: "
        f"{np.median(ratios):.1f} x ({min(ratios):.1f} to {max(ratios):.1f}); "
        f"iterations {np.mean([f.n_iter_[0] for _, f, _ in theirs]):.0f} and {fit.iterations_P.double().mean():.0f}; "
        f"accuracy {fit.accuracy_P.min():.3f} to {fit.accuracy_P.max():.3f}, at most {100 * gaps.max():.2f} points from "
        f"scikit-learn's; converged {int(fit.converged_P.sum())} of {len(gaps)}",
        flush=True,
    )
    if oracle:
        best = scikit_learn(arrays[0].astype(np.float64), *arrays[1:], tol=1e-10)
        optimum = np.array([objective(z, f, *arrays[1:]) for z, f, _ in best])
        default = np.array([objective(z, f, *arrays[1:]) for z, f, _ in theirs])
        gaps = np.abs(fit.accuracy_P.numpy() - [accuracy for _, _, accuracy in best])
        print(
            f"    above the optimum: scikit-learn's default {np.max(default / optimum - 1):.1e} at most, "
            f"ours {np.max(fit.objective_P.numpy() / optimum - 1):.1e} (proved {(fit.gap_P / fit.objective_P).max():.1e}); "
            f"accuracy at most {100 * gaps.max():.2f} points from the optimum's",
            flush=True,
        )


def main() -> None:
    """Compare at the study's shape, with few tokens, and at the toy world's shape."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--layers", type=int, default=5, help="layers of the large settings; the study has 25")
    parser.add_argument("--oracle", action="store_true", help="solve to a tight tolerance as well")
    parser.add_argument("--checkpoint", help="folder or name of a model: compare on its own hidden states instead")
    parser.add_argument("--text", help="text by language for --checkpoint (a store, a folder of .txt, a table)")
    given = parser.parse_args()
    if bool(given.checkpoint) != bool(given.text):
        parser.error("--checkpoint and --text go together")
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads")
    if given.checkpoint:
        for tokens in (1000, 20):
            states, languages = checkpoint_states(given.checkpoint, given.text, tokens)
            compare(given.checkpoint, states, languages, given.turns, given.oracle)
        return
    for name, languages, tokens, width, layers, seeds, decay in (
        ("made, strongly correlated", 16, 1000, 512, given.layers, 1, 1.0),
        ("made, weakly correlated", 16, 1000, 512, given.layers, 1, 0.3),
        ("made, few tokens", 16, 20, 512, given.layers, 3, 1.0),
        ("made, as wide as the toy model", 4, 500, 96, 7, 3, 1.0),
    ):
        states = [token_states(layers, languages, tokens, width, seed, decay) for seed in range(seeds)]
        compare(name, torch.cat(states), languages, given.turns, given.oracle)


if __name__ == "__main__":
    main()
