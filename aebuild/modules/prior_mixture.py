"""Mixtures of Gaussians: learned with the model, fitted to its codes, or made of posteriors."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from math import prod

import torch
from torch import Tensor, nn

from aebuild.modules.codebook_updates import kmeans
from aebuild.modules.posteriors import DiagonalGaussian, Distribution
from aebuild.modules.priors import Prior

ROUNDS = 200                # of expectation and maximisation at most
ENOUGH = 1e-5               # nats a code that a round gains at least
SAME = 1e-6                 # of their length, that two codes of one sample are apart at most
FLOOR = 1e-6                # of a variance, as a share of the codes' mean variance


def mixed(z: Tensor, means: Tensor, log_std: Tensor, log_shares: Tensor) -> Tensor:
    """Log-density [N] of z [N, D] under Gaussians of diagonal covariance: means and log_std [K, D], logarithms of shares [K]."""
    apart = (z.unsqueeze(1) - means) * (-log_std).exp()                                  # (N, K, D)
    each = -0.5 * apart.square().sum(2) - log_std.sum(1) - 0.5 * math.log(2 * math.pi) * z.shape[1]
    found: Tensor = (each + log_shares).logsumexp(1)
    return found


class MixturePrior(Prior):
    """K Gaussians whose shares, means and covariances are learned with the model.

    `shares` are logits [K], `means` [K, D]. `spread` holds logarithms of standard deviations [K, D], or with `full` the lower
    factors F of covariances F·Fᵀ, [K, D, D], of whose diagonals it has the logarithms.
    """

    shares: Tensor
    means: Tensor
    spread: Tensor
    learned = True

    def __init__(self, shape: Sequence[int], components: int, *, full: bool) -> None:
        super().__init__(shape)
        size = prod(self.shape)
        self.full = full
        for name, value in (("shares", torch.zeros(components)), ("means", torch.randn(components, size)),
                            ("spread", torch.zeros(components, size, size) if full else torch.zeros(components, size))):
            if self.learned:
                self.register_parameter(name, nn.Parameter(value))
            else:
                self.register_buffer(name, value)

    def factors(self) -> Tensor:
        """F, [K, D, D], of `full` covariances; no property, for those are read whole where a module is traced."""
        return self.spread.tril(-1) + torch.diag_embed(self.spread.diagonal(dim1=1, dim2=2).exp())

    def log_prob(self, codes: Tensor) -> Tensor:
        """[N]."""
        z, log_shares = codes.flatten(1), self.shares.log_softmax(0)
        if not self.full:
            return mixed(z, self.means, self.spread, log_shares)
        apart = (z.unsqueeze(1) - self.means).permute(1, 2, 0)                           # (K, D, N)
        apart = torch.linalg.solve_triangular(self.factors(), apart, upper=False)
        narrow = self.spread.diagonal(dim1=1, dim2=2).sum(1)
        each = -0.5 * (apart.square().sum(1).t() + math.log(2 * math.pi) * z.shape[1]) - narrow
        found: Tensor = (each + log_shares).logsumexp(1)
        return found

    def draw(self, n: int, device: torch.device) -> Tensor:
        """[n, *shape]."""
        chosen = chosen_of(self.shares.softmax(0), self.uniform(n, 1, device))
        noise = self.normal(n, self.means.shape[1], device=device)
        apart = torch.einsum("nij,nj->ni", self.factors()[chosen], noise) if self.full else self.spread[chosen].exp() * noise
        return (self.means[chosen] + apart).view(n, *self.shape)


class FittedMixture(MixturePrior):
    """K Gaussians fitted to the codes of the training data by expectation and maximisation, from the centres of k-means."""

    learned = False

    @torch.no_grad()
    def fit(self, codes: Iterable[Tensor]) -> None:
        """In float64, until a round gains next to nothing."""
        z = torch.cat([block.flatten(1).double() for block in codes])
        components = len(self.shares)
        centres = kmeans(z[None], components, self.rng(z.device))[0]
        member = torch.nn.functional.one_hot(torch.cdist(z, centres).argmin(1), components).double()
        before = -math.inf
        for _ in range(ROUNDS):
            self._maximise(z, member)
            joint = self._joint(z)
            now = float(joint.logsumexp(1).mean())
            if now - before < ENOUGH:
                return
            before, member = now, joint.softmax(1)

    def _joint(self, z: Tensor) -> Tensor:
        """Log-density of each code and component together, [N, K], in float64; one component at a time, of memory as much as the codes."""
        found, factors = [], self.factors().double() if self.full else self.spread.double().exp()
        for share, mean, factor in zip(self.shares.double().log_softmax(0), self.means.double(), factors, strict=True):
            apart = z - mean                                                             # (N, D)
            apart = torch.linalg.solve_triangular(factor.t(), apart, upper=True, left=False) if self.full else apart / factor
            narrow = (factor.diagonal() if self.full else factor).log().sum()
            found.append(share - narrow - 0.5 * (apart.square().sum(1) + math.log(2 * math.pi) * z.shape[1]))
        return torch.stack(found, 1)

    def _maximise(self, z: Tensor, member: Tensor) -> None:
        """The Gaussians of codes that belong to them by these shares, [N, K]."""
        counts = member.sum(0).clamp(min=1e-10)
        means = member.t() @ z / counts.unsqueeze(1)                                     # (K, D)
        least = FLOOR * z.var(0, correction=0).mean().clamp(min=1e-12)
        self.shares.copy_((counts / counts.sum()).log())
        self.means.copy_(means)
        for number, (share, mean, count) in enumerate(zip(member.t(), means, counts, strict=True)):
            centred = z - mean
            if not self.full:
                self.spread[number].copy_(0.5 * (share @ centred.square() / count + least).log())
                continue
            covariance = (share.unsqueeze(1) * centred).t() @ centred / count
            factor = torch.linalg.cholesky(covariance + least * torch.eye(len(mean), dtype=z.dtype, device=z.device))
            self.spread[number].copy_(factor.tril(-1) + torch.diag(factor.diagonal().log()))


class VampPrior(Prior):
    """The mixture of the posteriors of pseudo-inputs, which are learned with the model (Tomczak and Welling, 2018).

    `inputs` are [K, *the encoder's input]; they begin as samples of the training data. All components weigh alike.
    """

    def __init__(self, shape: Sequence[int], taken: Sequence[int], components: int) -> None:
        super().__init__(shape)
        self.held = components
        self.inputs = nn.Parameter(0.1 * torch.randn(components, *taken))
        self._posterior_of: Callable[[Tensor], Distribution] | None = None

    def meet(self, posterior_of: Callable[[Tensor], Distribution]) -> None:
        """The encoder, of which the prior is made."""
        self._posterior_of = posterior_of

    @torch.no_grad()
    def begin(self, samples: Tensor) -> None:
        """Where there are fewer samples than pseudo-inputs they are repeated."""
        self.inputs.copy_(samples[torch.arange(self.held, device=samples.device) % len(samples)])

    def _components(self) -> tuple[Tensor, Tensor]:
        assert self._posterior_of is not None, "it stands in a model"
        posterior = self._posterior_of(self.inputs)
        assert isinstance(posterior, DiagonalGaussian)
        return posterior.mean.flatten(1), 0.5 * posterior.log_variance.flatten(1)

    def log_prob(self, codes: Tensor) -> Tensor:
        """[N]."""
        means, log_std = self._components()
        return mixed(codes.flatten(1), means, log_std, torch.full((self.held,), -math.log(self.held), device=means.device))

    def draw(self, n: int, device: torch.device) -> Tensor:
        """[n, *shape]."""
        means, log_std = self._components()
        chosen = self.choice(n, self.held, device)
        return (means[chosen] + log_std[chosen].exp() * self.normal(n, means.shape[1], device=device)).view(n, *self.shape)


class ExemplarPrior(Prior):
    """The mixture of Gaussians around the posterior means of training samples, of one learned width (Norouzi et al., 2020).

    `exemplars`, [K, *the encoder's input], are samples of the training data. In training the mixture is of `subset` of them, drawn
    anew each time and none the sample itself; in evaluation of all.
    """

    exemplars: Tensor

    def __init__(self, shape: Sequence[int], taken: Sequence[int], exemplars: int, subset: int) -> None:
        super().__init__(shape)
        self.held, self.subset = exemplars, min(subset, exemplars)
        self.register_buffer("exemplars", torch.zeros(exemplars, *taken))
        self.log_std = nn.Parameter(torch.zeros(()))
        self._posterior_of: Callable[[Tensor], Distribution] | None = None

    def meet(self, posterior_of: Callable[[Tensor], Distribution]) -> None:
        """The encoder, of which the prior is made."""
        self._posterior_of = posterior_of

    def begin(self, samples: Tensor) -> None:
        """Where there are fewer samples than exemplars they are repeated."""
        self.exemplars.copy_(samples[torch.arange(self.held, device=samples.device) % len(samples)])

    def _means(self, chosen: Tensor) -> Tensor:
        assert self._posterior_of is not None, "it stands in a model"
        return self._posterior_of(self.exemplars[chosen]).mean.flatten(1)

    def divergence(self, posterior: Distribution, value: Tensor, *, closed: bool = True) -> Tensor:
        """Of the codes drawn, [N]; in training without the exemplar that is the sample itself, whose posterior is the same."""
        log_q = posterior.log_q().flatten(1).sum(1)
        if not self.training:
            return log_q - self.log_prob(value)
        chosen = torch.randperm(self.held, generator=self.rng(value.device), device=value.device)[:self.subset]
        means, own = self._means(chosen), posterior.mean.detach().flatten(1)
        draws = len(value) // len(own)
        apart = torch.cdist(own, means.detach(), compute_mode="donot_use_mm_for_euclid_dist")
        itself = apart <= SAME * (1 + own.norm(dim=1, keepdim=True))
        return log_q - self._mixed(value.flatten(1), means, itself.repeat_interleave(draws, 0))

    def log_prob(self, codes: Tensor) -> Tensor:
        """[N], among all exemplars."""
        means = self._means(torch.arange(self.held, device=codes.device))
        z = codes.flatten(1)
        return self._mixed(z, means, torch.zeros(len(z), len(means), dtype=torch.bool, device=z.device))

    def _mixed(self, z: Tensor, means: Tensor, hidden: Tensor) -> Tensor:
        """Log-density [N] of z [N, D], for each row without the components that are `hidden` [N, K] from it."""
        square = (z.unsqueeze(1) - means).square().sum(2) * (-2 * self.log_std).exp()
        each = -0.5 * square - z.shape[1] * (self.log_std + 0.5 * math.log(2 * math.pi))
        hidden = hidden & ~hidden.all(1, keepdim=True)
        found: Tensor = each.masked_fill(hidden, -math.inf).logsumexp(1) - (~hidden).sum(1).log()
        return found

    def draw(self, n: int, device: torch.device) -> Tensor:
        """[n, *shape]."""
        chosen = self.choice(n, self.held, device)
        means = self._means(chosen)
        return (means + self.log_std.exp() * self.normal(n, means.shape[1], device=device)).view(n, *self.shape)


def chosen_of(shares: Tensor, chance: Tensor) -> Tensor:
    """Which of K, by their shares [K] or [n, K], for numbers in [0, 1), [n, 1]; [n]. One without a share is never chosen."""
    below = shares.cumsum(-1)
    return torch.searchsorted((below / below[..., -1:]).contiguous(), chance.contiguous(), right=True).squeeze(1)
