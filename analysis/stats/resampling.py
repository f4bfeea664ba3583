"""Groups drawn with replacement within the groups that hold them: seed of training ⊃ concept ⊃ pair of languages.

Shapes: D draws, G groups, K levels of labels.
"""

import numpy as np


def nested_labels(kept_G: np.ndarray, labels_GK: np.ndarray | None = None) -> list[np.ndarray]:
    """The number of each group's cluster at each level, outermost first; the last level is the groups themselves.

    Args:
        kept_G: which groups there are, True or False; the others are left out.
        labels_GK: (G,) or (G, K) labels of what holds each group, outermost first. A label means the same cluster only
            within the same outer one.

    Raises:
        ValueError: another number of labels than of groups.
    """
    groups = int(kept_G.sum())
    if labels_GK is None:
        return [np.arange(groups)]
    table = np.asarray(labels_GK)
    table = table[:, None] if table.ndim == 1 else table
    if table.ndim != 2 or len(table) != len(kept_G):
        raise ValueError(
            f"labels have the shape {np.shape(labels_GK)}: give one row of labels a group, {len(kept_G)} rows"
        )
    table = table[kept_G]
    numbers = np.array([np.unique(column, return_inverse=True)[1] for column in table.T]).T
    inner = [np.unique(numbers[:, : level + 1], axis=0, return_inverse=True)[1] for level in range(table.shape[1])]
    return [*(level.reshape(-1) for level in inner), np.arange(groups)]


def nested_weights(levels: list[np.ndarray], draws: int, random: np.random.Generator) -> np.ndarray:
    """How often each group is in each draw, (D, G), as a share of all.

    Clusters of the outermost level are drawn with replacement, then, within each as often as it was drawn, those of the
    next: the drawings of one cluster together are one multinomial drawing.
    """
    drawn_DN = np.ones((draws, 1), np.int64)
    outer_G = np.zeros(len(levels[-1]), np.int64)
    for level_G in levels:
        weight_DN = np.zeros((draws, int(level_G.max()) + 1), np.int64)
        for cluster in range(drawn_DN.shape[1]):
            inner = np.unique(level_G[outer_G == cluster])
            number_D = drawn_DN[:, cluster] * len(inner)
            weight_DN[:, inner] = random.multinomial(number_D, np.full(len(inner), 1 / len(inner)))
        drawn_DN, outer_G = weight_DN, level_G
    return drawn_DN / drawn_DN.sum(axis=1, keepdims=True)
