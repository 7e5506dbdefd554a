"""The limited-memory BFGS method."""

from wengert import _core
from wengert._core import _set_grad_enabled

from .optimizer import Optimizer


class LBFGS(Optimizer):
    """Steps along −H g, with H built of the last `history_size` changes of parameters and gradients.

    `step(closure)` evaluates the closure several times: it clears the gradients, computes the loss, calls
    backward and returns the loss. All parameters are one group.

    Args:
        lr: the step's length along each direction (of the first guess, with a line search).
        max_iter: directions in one step.
        max_eval: evaluations in one step, max_iter · 5 / 4 if left out.
        tolerance_grad: stops where no gradient is larger.
        tolerance_change: stops where neither loss nor parameters change more.
        history_size: how many changes are remembered.
        line_search_fn: None, or 'strong_wolfe'.
        maximize: ascends instead.

    Example:
        >>> import wengert as wg
        >>> w = wg.tensor([3.0, 1.0], requires_grad=True)
        >>> optimizer = wg.optim.LBFGS([w], line_search_fn="strong_wolfe")
        >>> def closure():
        ...     optimizer.zero_grad()
        ...     loss = (w[0] - 1) ** 2 + 10 * (w[1] + 2) ** 2
        ...     loss.backward()
        ...     return loss
        >>> _ = optimizer.step(closure)
        >>> w.allclose(wg.tensor([1.0, -2.0]), atol=1e-4)
        True
    """

    def __init__(
        self,
        params,
        lr=1,
        max_iter=20,
        max_eval=None,
        tolerance_grad=1e-7,
        tolerance_change=1e-9,
        history_size=100,
        line_search_fn=None,
        *,
        maximize=False,
    ):
        if isinstance(lr, _core.Tensor) and lr.numel() != 1:
            raise ValueError("Tensor lr must be 1-element")
        if not lr >= 0.0:
            raise ValueError(f"Invalid learning rate: {lr}")
        options = {
            "lr": lr,
            "max_iter": max_iter,
            "max_eval": max_iter * 5 // 4 if max_eval is None else max_eval,
            "tolerance_grad": tolerance_grad,
            "tolerance_change": tolerance_change,
            "history_size": history_size,
            "line_search_fn": line_search_fn,
            "maximize": maximize,
        }
        super().__init__(params, options)
        if len(self.param_groups) != 1:
            raise ValueError("LBFGS doesn't support per-parameter options (parameter groups)")
        self._params = self.param_groups[0]["params"]

    def _flat_grad(self):
        parts = [
            (_core.zeros_like(p.detach()) if p.grad is None else p.grad.detach()).reshape(-1)
            for p in self._params
        ]
        flat = _core.cat(parts, 0)
        return -flat if self.param_groups[0]["maximize"] else flat

    def _add(self, direction, length):
        at = 0
        for p in self._params:
            p.add_(direction[at : at + p.numel()].reshape(p.shape), alpha=length)
            at += p.numel()

    def _put(self, values):
        for p, value in zip(self._params, values, strict=True):
            p.copy_(value)

    def step(self, closure):
        """Search along up to `max_iter` directions; returns the loss before the first."""
        before = _set_grad_enabled(False)
        try:
            return self._search(closure)
        finally:
            _set_grad_enabled(before)

    def _evaluate(self, closure):
        _set_grad_enabled(True)
        try:
            loss = closure()
        finally:
            _set_grad_enabled(False)
        value = float(loss)
        return loss, (-value if self.param_groups[0]["maximize"] else value), self._flat_grad()

    def _search(self, closure):
        group = self.param_groups[0]
        lr, search = float(group["lr"]), group["line_search_fn"]
        if search not in (None, "strong_wolfe"):
            raise RuntimeError(f"only 'strong_wolfe' is supported as line_search_fn, but got {search!r}")
        state = self.state[self._params[0]]
        state.setdefault("func_evals", 0)
        state.setdefault("n_iter", 0)
        original, loss, gradient = self._evaluate(closure)
        state["func_evals"] += 1
        evaluations = 1
        if float(gradient.abs().max()) <= group["tolerance_grad"]:
            return original
        for round_ in range(1, group["max_iter"] + 1):
            state["n_iter"] += 1
            direction = self._direction(state, gradient, group["history_size"])
            first = state["n_iter"] == 1
            length = min(1.0, 1.0 / float(gradient.abs().sum())) * lr if first else lr
            slope = float(gradient.dot(direction))
            state["d"], state["prev_flat_grad"], state["prev_loss"] = direction, gradient, loss
            if slope > -group["tolerance_change"]:
                state["t"] = length
                break
            state["t"], spent, before = length, 0, loss
            if search is not None:
                length, loss, gradient, spent = self._line_search(
                    closure, direction, length, loss, gradient, slope
                )
                state["t"] = length
            self._add(direction, length)
            if round_ == group["max_iter"]:
                state["func_evals"] += spent
                break
            if search is None:
                _, loss, gradient = self._evaluate(closure)
                spent = 1
            evaluations += spent
            state["func_evals"] += spent
            if evaluations >= group["max_eval"]:
                break
            if float(gradient.abs().max()) <= group["tolerance_grad"]:
                break
            change = group["tolerance_change"]
            if float((direction * length).abs().max()) <= change or abs(loss - before) < change:
                break
        return original

    @staticmethod
    def _direction(state, gradient, size):
        """−H g by the two loops over the remembered changes."""
        if state["n_iter"] == 1:
            state["old_dirs"], state["old_stps"], state["ro"] = [], [], []
            state["H_diag"] = 1.0
            return -gradient
        y = gradient - state["prev_flat_grad"]
        s = state["d"] * state["t"]
        curvature = float(y.dot(s))
        dirs, steps, inverse = state["old_dirs"], state["old_stps"], state["ro"]
        if curvature > 1e-10:
            if len(dirs) == size:
                for memory in (dirs, steps, inverse):
                    memory.pop(0)
            dirs.append(y)
            steps.append(s)
            inverse.append(1.0 / curvature)
            state["H_diag"] = curvature / float(y.dot(y))
        q, shares = -gradient, []
        for y, s, r in zip(reversed(dirs), reversed(steps), reversed(inverse), strict=True):
            shares.append(float(s.dot(q)) * r)
            q = q.add(y, alpha=-shares[-1])
        q = q * state["H_diag"]
        for y, s, r, share in zip(dirs, steps, inverse, reversed(shares), strict=True):
            q = q.add(s, alpha=share - float(y.dot(q)) * r)
        return q

    def _line_search(self, closure, direction, length, loss, gradient, slope):
        """(length, loss, gradient, evaluations) that fulfil the strong Wolfe conditions, if 25 tries find them."""
        start = [p.detach().clone() for p in self._params]

        def at(t):
            self._add(direction, t)
            _, value, g = self._evaluate(closure)
            self._put(start)
            return t, value, float(g.dot(direction)), g

        change = self.param_groups[0]["tolerance_change"] / max(float(direction.abs().max()), 1e-300)
        origin = (0.0, loss, slope, gradient)
        low = previous = origin
        high, spent = None, 0
        while spent < 25 and high is None:
            point = at(length)
            spent += 1
            t, value, steep, _ = point
            if value > loss + 1e-4 * t * slope or (spent > 1 and value >= previous[1]) or value != value:
                low, high = previous, point
            elif abs(steep) <= -0.9 * slope:
                return t, value, point[3], spent
            elif steep >= 0:
                low, high = point, previous
            else:
                length = _cubic_minimum(previous, point, t + 0.01 * (t - previous[0]), t * 10)
                previous = low = point
        while spent < 25 and high is not None and abs(high[0] - low[0]) > change:
            lower, upper = sorted((low[0], high[0]))
            margin = 0.1 * (upper - lower)
            t = _cubic_minimum(low, high, lower, upper)
            # Near an end the interval would hardly shrink.
            point = at(min(max(t, lower + margin), upper - margin))
            spent += 1
            t, value, steep, _ = point
            if value > loss + 1e-4 * t * slope or value >= low[1]:
                high = point
            else:
                if abs(steep) <= -0.9 * slope:
                    return t, value, point[3], spent
                if steep * (high[0] - low[0]) >= 0:
                    high = low
                low = point
        return low[0], low[1], low[3], spent


def _cubic_minimum(a, b, least, most):
    """Where the cubic through two points (t, value, slope, …) is least within [least, most], else its middle."""
    if a[0] > b[0]:
        a, b = b, a
    d1 = a[2] + b[2] - 3 * (a[1] - b[1]) / (a[0] - b[0])
    square = d1 * d1 - a[2] * b[2]
    if square < 0:
        return (least + most) / 2
    d2 = square**0.5
    bottom = b[2] - a[2] + 2 * d2
    if bottom == 0:
        return (least + most) / 2
    return min(max(b[0] - (b[0] - a[0]) * ((b[2] + d2 - d1) / bottom), least), most)
