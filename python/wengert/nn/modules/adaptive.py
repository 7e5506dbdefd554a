"""Softmax over many classes, the rare ones in clusters."""

from collections import namedtuple
from itertools import pairwise

from wengert import _core

from .. import functional as F
from .container import ModuleList, Sequential
from .linear import Linear
from .module import Module

_ASMoutput = namedtuple("_ASMoutput", ["output", "loss"])


class AdaptiveLogSoftmaxWithLoss(Module):
    """Log-softmax of (N, in_features) or (in_features) over classes ordered by frequency, and its mean loss.

    A head tells the classes below cutoffs[0] and the clusters between the further cutoffs apart; a cluster's classes
    are told apart only where they are asked for, from in_features / div_value^i features.

    Args:
        cutoffs: increasing, between 1 and n_classes − 1.
        div_value: by what each next cluster's features are fewer.
        head_bias: whether the head has a bias.

    Raises:
        ValueError: for other cutoffs.
        RuntimeError: for targets that are no classes, or whose shape does not fit the input's.

    Grave et al., "Efficient softmax approximation for GPUs" (2017), https://arxiv.org/abs/1609.04309.

    Example:
        >>> import wengert as wg
        >>> softmax = wg.nn.AdaptiveLogSoftmaxWithLoss(16, 10, cutoffs=[3, 6])
        >>> output, loss = softmax(wg.randn(4, 16), wg.tensor([0, 2, 5, 9]))
        >>> output.shape, loss.shape, softmax.log_prob(wg.randn(4, 16)).shape
        (torch.Size([4]), torch.Size([]), torch.Size([4, 10]))
    """

    def __init__(
        self, in_features, n_classes, cutoffs, div_value=4.0, head_bias=False, device=None, dtype=None
    ):
        super().__init__()
        cutoffs = list(cutoffs)
        if not cutoffs:
            raise ValueError("cutoffs should be a sequence of length larger than 0")
        whole = all(int(c) == c for c in cutoffs)
        if not whole or sorted(set(cutoffs)) != cutoffs or cutoffs[0] <= 0 or cutoffs[-1] > n_classes - 1:
            raise ValueError(
                "cutoffs should be a sequence of unique, positive integers sorted in an increasing order, where each "
                f"value is between 1 and n_classes-1, but got {cutoffs} and n_classes={n_classes}"
            )
        self.in_features = in_features
        self.n_classes = n_classes
        self.cutoffs = [*cutoffs, n_classes]
        self.div_value = div_value
        self.head_bias = head_bias
        self.shortlist_size = cutoffs[0]
        self.n_clusters = len(cutoffs)
        self.head_size = self.shortlist_size + self.n_clusters
        place = {"device": device, "dtype": dtype}
        self.head = Linear(in_features, self.head_size, bias=head_bias, **place)
        self.tail = ModuleList()
        for i, (low, high) in enumerate(pairwise(self.cutoffs), 1):
            features = int(in_features // div_value**i)
            self.tail.append(
                Sequential(
                    Linear(in_features, features, bias=False, **place),
                    Linear(features, high - low, bias=False, **place),
                )
            )

    def reset_parameters(self):
        """Draw all weights anew."""
        for layer in (self.head, *(layer for cluster in self.tail for layer in cluster)):
            layer.reset_parameters()

    def forward(self, input_, target_):
        """The targets' log-probabilities (N), or (), and minus their mean, as a tuple (output, loss)."""
        if target_.ndim > 1:
            raise RuntimeError(
                f"0D or 1D target tensor expected, multi-target not supported: got {tuple(target_.shape)}"
            )
        if input_.ndim != target_.ndim + 1 or input_.shape[:-1] != target_.shape:
            raise RuntimeError(
                f"Input (N, {self.in_features}) and target (N), or ({self.in_features}) and (), should have the same "
                f"size in the batch dimension, but got {tuple(input_.shape)} and {tuple(target_.shape)}"
            )
        single = target_.ndim == 0
        input, target = (input_.unsqueeze(0), target_.unsqueeze(0)) if single else (input_, target_)
        if target.numel() and not bool(((target >= 0) & (target < self.n_classes)).all()):
            raise RuntimeError(
                f"Target values should be in [0, {self.n_classes - 1}], but values in range "
                f"[{target.min().item()}, {target.max().item()}] were found. "
            )
        # A target is in the shortlist, or in the cluster of the last cutoff that it reaches.
        reached = sum((target >= c).to(target.dtype) for c in self.cutoffs[:-1])
        place = _core.where(reached > 0, self.shortlist_size - 1 + reached, target)
        output = F.log_softmax(self.head(input), 1).gather(1, place.unsqueeze(1)).squeeze(1)
        for i, low in enumerate(self.cutoffs[:-1]):
            rows = (reached == i + 1).nonzero().squeeze(1)
            if rows.numel():
                inside = F.log_softmax(self.tail[i](input.index_select(0, rows)), 1)
                chosen = (target.index_select(0, rows) - low).unsqueeze(1)
                output = output.index_add(0, rows, inside.gather(1, chosen).squeeze(1))
        loss = -output.mean()
        return _ASMoutput(output.squeeze(0) if single else output, loss)

    def _full(self, input, head_output):
        """Log-probabilities of all classes, (N, n_classes), from the head's output for the rows of `input`."""
        head = F.log_softmax(head_output, 1)
        shortlist = head[:, : self.shortlist_size]
        clusters = [
            F.log_softmax(cluster(input), 1) + head[:, self.shortlist_size + i, None]
            for i, cluster in enumerate(self.tail)
        ]
        return _core.cat([shortlist, *clusters], 1)

    def log_prob(self, input):
        """Log-probabilities of all classes: (N, in_features) → (N, n_classes)."""
        return self._full(input, self.head(input))

    def predict(self, input):
        """The likeliest classes, (N): clusters are computed only for rows whose head prefers one."""
        head = self.head(input)
        best = head.argmax(1)
        rows = (best >= self.shortlist_size).nonzero().squeeze(1)
        if rows.numel():
            full = self._full(input.index_select(0, rows), head.index_select(0, rows))
            best = best.index_copy(0, rows, full.argmax(1))
        return best
