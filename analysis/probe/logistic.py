"""Multinomial logistic regression, many problems at once, each solved until its error is proved small.

Shape legend: B problems solved together, N examples, D features, M = D + 1 parameters a class (the intercept last),
K classes, R directions of the metric, H remembered steps.

Minimised is C · Σ log-loss + ½‖W‖², the intercept free, as scikit-learn's `LogisticRegression` does. The method is
L-BFGS (Nocedal 1980) in a metric made for this loss: its Hessian C · Σ_n S_n ⊗ x_n x_nᵀ + I, with S_n = diag(p_n) −
p_n p_nᵀ, is approximated by C · mean(S) ⊗ XᵀX + I, which is exact at the start, where all p are equal, and costs two
small eigendecompositions to invert. Problems that stay open get a metric of their own (`Metric.sharpen`). Steps are
searched in the space of the logits, where a trial costs no product with X.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

MEMORY = 10
"""Remembered steps. More did worse: curvature from far away misleads once predictions have sharpened."""
METRIC_AT = frozenset({0, 1, 2, 4, 8, 16, 32, 64, 128, 256})
"""Iterations at which the mean of S is measured afresh; in between it drifts slowly."""
SHARPEN_AT = 64
"""Iteration at which problems that would go on for long get the metric of `Metric.sharpen`."""
SHARPEN_COST = 40
"""Iterations that must be ahead, at the rate since half of SHARPEN_AT, for that to pay: it costs some 25."""
SLOPE_LEFT = 0.3
"""A step is accepted when the slope along it has fallen to this share."""
TRIALS = 12


@dataclass(frozen=True)
class Solution:
    """Where a problem ended.

    Attributes:
        theta_KM: weights, the intercept in the last column.
        objective: value there, float64 reductions.
        gap: proved upper bound of objective − optimum: ½‖∇_W‖² at the best intercept, because the objective with the
            intercept minimised out is 1-strongly convex in W. It equals the duality gap.
        iterations: L-BFGS steps taken.
        converged: whether gap ≤ tolerance · objective.
    """

    theta_KM: Tensor
    objective: float
    gap: float
    iterations: int
    converged: bool


def solve(
    x_BDN: Tensor, label_BN: Tensor, classes: int, *, C: float, tolerance: float, max_iterations: int
) -> list[Solution]:
    """Solve B problems of one shape together; those that are done leave the batch.

    Args:
        x_BDN: features, examples last (products with 16 classes run faster so); their mean is 0.
        label_BN: int64 classes 0…K−1; every class must occur in every problem.
        classes: K.
        C: inverse strength of the penalty.
        tolerance: each problem stops when its objective is proved to be within this share of the optimum.
        max_iterations: where to give up.
    """
    state = _State(x_BDN, label_BN, classes, C, tolerance)
    found: dict[int, Solution] = {}
    while state.problems:
        last = state.iteration >= max_iterations
        candidates = (state.bound_B() <= tolerance * state.objective_B) | last
        done = torch.zeros_like(candidates)
        for slot in candidates.nonzero().flatten().tolist():
            solution = state.certify(slot)
            if solution.converged or last:
                found[state.problems[slot]] = solution
                done[slot] = True
        if done.any():
            state.keep((~done).nonzero().flatten())
        if state.problems:
            state.step()
    return [found[problem] for problem in range(len(found))]


class _State:
    """The problems still being solved: parameters, logits, gradients and remembered steps, batch first."""

    def __init__(self, x_BDN: Tensor, label_BN: Tensor, classes: int, C: float, tolerance: float) -> None:
        B, D, N = x_BDN.shape
        self.problems = list(range(B))
        self.C, self.tolerance, self.x_BDN, self.label_B1N = C, tolerance, x_BDN, label_BN[:, None]
        self.theta_BKM = x_BDN.new_zeros(B, classes, D + 1)
        self.z_BKN = x_BDN.new_zeros(B, classes, N)
        self.p_BKN = torch.full_like(self.z_BKN, 1 / classes)
        self.objective_B = torch.full((B,), C * N * math.log(classes), dtype=torch.float64, device=x_BDN.device)
        self.bound_before_B = self.objective_B
        self.metric = Metric(x_BDN, classes, C)
        self.iteration = 0
        self.steps_HBKM = x_BDN.new_zeros(MEMORY, *self.theta_BKM.shape)
        self.changes_HBKM = torch.zeros_like(self.steps_HBKM)
        self.rho_HB = x_BDN.new_zeros(MEMORY, B)
        self.gradient_BKM = self._gradient()

    def _gradient(self) -> Tensor:
        residual_BKN = self.p_BKN.clone()
        minus_one = residual_BKN.new_full((), -1.0).expand(self.label_B1N.shape)
        residual_BKN.scatter_add_(1, self.label_B1N, minus_one)
        weights_BKD = residual_BKN @ self.x_BDN.transpose(1, 2)
        gradient_BKM = self.C * torch.cat([weights_BKD, residual_BKN.sum(2, keepdim=True)], 2)
        gradient_BKM[..., :-1] += self.theta_BKM[..., :-1]
        return gradient_BKM

    def bound_B(self) -> Tensor:
        """½‖∇_W‖², an upper bound of the error once the intercepts are at their best."""
        return 0.5 * self.gradient_BKM[..., :-1].double().square().sum((1, 2))

    def certify(self, slot: int) -> Solution:
        """Judge one problem from fresh logits, with its intercepts at their best."""
        x_DN, label_N = self.x_BDN[slot], self.label_B1N[slot, 0]
        w_KD, b_K = self.theta_BKM[slot, :, :-1], self.theta_BKM[slot, :, -1].double()
        own_KN = w_KD @ x_DN
        # The logits carried from step to step have gathered rounding errors: put them right on the occasion.
        self.z_BKN[slot] = own_KN + self.theta_BKM[slot, :, -1:]
        z_KN, b_K = _best_intercepts(own_KN.double(), b_K, label_N)
        logp_KN = z_KN.log_softmax(0)
        loss = -float(logp_KN.gather(0, label_N[None]).sum())
        residual_KN = logp_KN.exp()
        residual_KN[label_N, torch.arange(len(label_N), device=label_N.device)] -= 1
        gradient_KD = self.C * (residual_KN.to(x_DN) @ x_DN.T) + w_KD
        objective = self.C * loss + 0.5 * float(w_KD.double().square().sum())
        gap = 0.5 * float(gradient_KD.double().square().sum())
        self.objective_B[slot] = objective
        theta_KM = torch.cat([w_KD, b_K[:, None].to(w_KD)], 1)
        return Solution(theta_KM, objective, gap, self.iteration, gap <= self.tolerance * objective)

    def _slow(self) -> list[int]:
        """Problems that, at the present rate, have long to go."""
        bound_B = self.bound_B()
        rate_B = (self.bound_before_B / bound_B).log() / (SHARPEN_AT - SHARPEN_AT // 2)
        missing_B = (bound_B / (self.tolerance * self.objective_B)).log()
        return (missing_B > SHARPEN_COST * rate_B.clamp(min=0)).nonzero().flatten().tolist()

    def step(self) -> None:
        """One step of L-BFGS for all problems."""
        if self.iteration in METRIC_AT:
            self.metric.renew(self.p_BKN)
        if self.iteration == SHARPEN_AT // 2:
            self.bound_before_B = self.bound_B()
        if self.iteration == SHARPEN_AT:
            self.metric.sharpen(self._slow(), self.x_BDN, self.p_BKN)
        direction_BKM = self._direction()
        length_B = self._search(direction_BKM)
        step_BKM = length_B[:, None, None] * direction_BKM
        self.theta_BKM = self.theta_BKM + step_BKM
        before_BKM, self.gradient_BKM = self.gradient_BKM, self._gradient()
        change_BKM = self.gradient_BKM - before_BKM
        slot = self.iteration % MEMORY
        curvature_B = _dot(step_BKM, change_BKM)
        self.steps_HBKM[slot], self.changes_HBKM[slot] = step_BKM, change_BKM
        # A pair without measurable curvature is remembered with weight 0.
        self.rho_HB[slot] = torch.where(curvature_B > 0, 1 / curvature_B, 0)
        self.iteration += 1

    def _direction(self) -> Tensor:
        """The two-loop recursion of L-BFGS around the metric."""
        order = [(self.iteration - back) % MEMORY for back in range(1, min(self.iteration, MEMORY) + 1)]
        q_BKM = self.gradient_BKM.clone()
        alpha: dict[int, Tensor] = {}
        for h in order:
            alpha[h] = self.rho_HB[h] * _dot(self.steps_HBKM[h], q_BKM)
            q_BKM -= alpha[h][:, None, None] * self.changes_HBKM[h]
        q_BKM = self.metric.solve(q_BKM)
        for h in reversed(order):
            beta = self.rho_HB[h] * _dot(self.changes_HBKM[h], q_BKM)
            q_BKM += (alpha[h] - beta)[:, None, None] * self.steps_HBKM[h]
        return -q_BKM

    def _search(self, direction_BKM: Tensor) -> Tensor:
        """Step lengths along a direction by safeguarded Newton steps; moves logits and predictions there."""
        w_BKD, d_BKD = self.theta_BKM[..., :-1], direction_BKM[..., :-1]
        along_BKN = torch.bmm(d_BKD.contiguous(), self.x_BDN).add_(direction_BKM[..., -1:])
        target_BN = along_BKN.gather(1, self.label_B1N)[:, 0]
        linear_B, square_B = _dot(w_BKD, d_BKD), _dot(d_BKD, d_BKD)
        enough_B = SLOPE_LEFT * _dot(self.gradient_BKM, direction_BKM).abs()
        length_B = torch.ones_like(enough_B)
        low_B, high_B = torch.zeros_like(enough_B), torch.full_like(enough_B, math.inf)
        for _ in range(TRIALS):
            taken_B = length_B
            z_BKN = torch.addcmul(self.z_BKN, along_BKN, taken_B[:, None, None])
            self.p_BKN = z_BKN.softmax(1)
            product_BKN = self.p_BKN * along_BKN
            mean_BN = product_BKN.sum(1)
            slope_B = self.C * (mean_BN - target_BN).sum(1) + linear_B + taken_B * square_B
            going_B = slope_B.abs() > enough_B
            if not going_B.any():
                break
            spread_B = product_BKN.mul_(along_BKN).sum((1, 2)) - mean_BN.square().sum(1)
            low_B = torch.where(slope_B < 0, taken_B, low_B)
            high_B = torch.where(slope_B > 0, taken_B, high_B)
            newton_B = taken_B - slope_B / (self.C * spread_B + square_B)
            newton_B = torch.where(high_B.isinf(), newton_B.clamp(max=4 * taken_B), newton_B)
            outside_B = (newton_B <= low_B) | (newton_B >= high_B)
            newton_B = torch.where(outside_B, (low_B + high_B) / 2, newton_B)
            length_B = torch.where(going_B, newton_B, taken_B)
        self.z_BKN = z_BKN
        return taken_B

    def keep(self, slots: Tensor) -> None:
        """Drop all problems but these."""
        self.problems = [self.problems[slot] for slot in slots.tolist()]
        if not self.problems:
            return
        for name in (
            "x_BDN",
            "label_B1N",
            "theta_BKM",
            "z_BKN",
            "p_BKN",
            "objective_B",
            "bound_before_B",
            "gradient_BKM",
        ):
            setattr(self, name, getattr(self, name)[slots])
        for name in ("steps_HBKM", "changes_HBKM", "rho_HB"):
            setattr(self, name, getattr(self, name)[:, slots])
        self.metric.keep(slots)


def _dot(a_BKM: Tensor, b_BKM: Tensor) -> Tensor:
    return (a_BKM * b_BKM).sum((1, 2))


def _best_intercepts(own_KN: Tensor, b_K: Tensor, label_N: Tensor) -> tuple[Tensor, Tensor]:
    """Logits with the intercepts that minimise the loss for given weights, by Newton's method; and the intercepts."""
    count_K = torch.bincount(label_N, minlength=len(own_KN)).double()
    for _ in range(TRIALS):
        p_KN = (own_KN + b_K[:, None]).softmax(0)
        missing_K = count_K - p_KN.sum(1)
        if missing_K.abs().max() <= 1e-9 * len(label_N):
            break
        # The matrix is singular along "the same for all classes", where `missing` has no part.
        hessian_KK = torch.diag(p_KN.sum(1)) - p_KN @ p_KN.T + count_K.mean() / len(count_K)
        b_K = b_K + torch.linalg.solve(hessian_KK, missing_K).clamp(-1, 1)
    return own_KN + b_K[:, None], b_K


class Metric:
    """The inverse of C · mean(S) ⊗ XᵀX + I for B problems, as eigenvectors; and of C · N · mean(S) for intercepts."""

    def __init__(self, x_BDN: Tensor, classes: int, C: float) -> None:
        self.C, self.examples = C, x_BDN.shape[2]
        vectors, values = zip(*(_principal(x_DN) for x_DN in x_BDN), strict=True)
        self.v_BDR, self.value_BR = torch.stack(vectors), torch.stack(values)
        B, R = self.value_BR.shape
        self.u_BKK = x_BDN.new_zeros(B, classes, classes)
        self.weight_BKR = x_BDN.new_zeros(B, classes, R)
        self.intercept_BK1 = x_BDN.new_zeros(B, classes, 1)
        self.sharp_BKDD: dict[int, Tensor] = {}

    def renew(self, p_BKN: Tensor) -> None:
        """Measure mean(S) at the present predictions."""
        mean_BKK = torch.diag_embed(p_BKN.mean(2)) - p_BKN @ p_BKN.transpose(1, 2) / p_BKN.shape[2]
        e_BK, u_BKK = torch.linalg.eigh(mean_BKK.double().cpu())
        # One eigenvalue is 0 (adding the same to all classes changes nothing); no gradient lies that way.
        e_BK1 = e_BK.clamp(min=1e-7).to(p_BKN)[..., None]
        u_BKK = u_BKK.to(p_BKN)
        for slot in self.sharp_BKDD:
            u_BKK[slot] = self.u_BKK[slot]
        self.u_BKK = u_BKK
        self.weight_BKR = 1 / (1 + self.C * e_BK1 * self.value_BR[:, None]) - 1
        self.intercept_BK1 = 1 / (self.C * self.examples * e_BK1)

    def sharpen(self, slots: list[int], x_BDN: Tensor, p_BKN: Tensor) -> None:
        """Give each eigenvector u of mean(S) a matrix of its own, C · Σ_n (uᵀ S_n u) x_n x_nᵀ + I.

        Where some examples have long been certain and others not, one XᵀX for all contrasts of classes misleads, most
        of all when features are strongly correlated. The sums run over some of the examples, drawn in proportion to
        their weight. Few or very wide examples keep the metric they have, which is cheaper there.
        """
        D, N = x_BDN.shape[1:]
        if not slots or N < 8 * D or D > 1024:
            return
        self.renew(p_BKN)
        eye_DD = torch.eye(D, dtype=x_BDN.dtype, device=x_BDN.device)
        for slot in slots:
            u_KK = self.u_BKK[slot]
            weight_KN = (u_KK.square().T @ p_BKN[slot] - (u_KK.T @ p_BKN[slot]).square()).clamp(min=0)
            inverse_KDD = eye_DD.repeat(len(u_KK), 1, 1)
            for contrast, weight_N in enumerate(weight_KN):
                if weight_N.sum() > 1e-6 * N:
                    chosen, scale = _drawn(weight_N, 3 * D)
                    x_Dn = x_BDN[slot][:, chosen]
                    matrix_DD = torch.addmm(eye_DD, x_Dn * (self.C * scale), x_Dn.T)
                    inverse_KDD[contrast] = torch.cholesky_inverse(torch.linalg.cholesky(matrix_DD))
            self.sharp_BKDD[slot] = inverse_KDD

    def solve(self, g_BKM: Tensor) -> Tensor:
        """The inverse times a gradient."""
        g_BKM = self.u_BKK.transpose(1, 2) @ g_BKM
        g_BKD, b_BK1 = g_BKM[..., :-1].contiguous(), g_BKM[..., -1:]
        w_BKD = g_BKD + (self.weight_BKR * (g_BKD @ self.v_BDR)) @ self.v_BDR.transpose(1, 2)
        for slot, inverse_KDD in self.sharp_BKDD.items():
            w_BKD[slot] = (g_BKD[slot, :, None] @ inverse_KDD)[:, 0]
        out_BKM = self.u_BKK @ torch.cat([w_BKD, self.intercept_BK1 * b_BK1], 2)
        return out_BKM - out_BKM.mean(1, keepdim=True)

    def keep(self, slots: Tensor) -> None:
        """Drop all problems but these."""
        self.sharp_BKDD = {
            new: self.sharp_BKDD[old] for new, old in enumerate(slots.tolist()) if old in self.sharp_BKDD
        }
        for name in ("v_BDR", "value_BR", "u_BKK", "weight_BKR", "intercept_BK1"):
            setattr(self, name, getattr(self, name)[slots])


def _drawn(weight_N: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """About `count` indices in proportion to weight, evenly spaced along the total, and what each stands for."""
    share_N = (weight_N.double() * (count / weight_N.double().sum())).clamp(max=1)
    places_N = share_N.cumsum(0).floor()
    chosen = (places_N.diff(prepend=places_N.new_zeros(1)) > 0).nonzero().flatten()
    return chosen, (weight_N[chosen] / share_N[chosen]).to(weight_N)


def _principal(x_DN: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvectors and eigenvalues of XᵀX; from evenly spaced rows where all would cost more than they bring."""
    D, N = x_DN.shape
    rows = min(N, 12 * D, 6144) if D <= 1024 else min(N, 2048)
    if rows < N:
        x_DN = x_DN[:, torch.arange(rows, device=x_DN.device) * N // rows]
    if rows >= D:
        values, vectors = torch.linalg.eigh(x_DN @ x_DN.T)
    else:
        values, left = torch.linalg.eigh(x_DN.T @ x_DN)
        values = values.clamp(min=1e-5 * float(values[-1]) + torch.finfo(x_DN.dtype).tiny)
        vectors = x_DN @ left / values.sqrt()
    return vectors, values.clamp(min=0) * (N / rows)
