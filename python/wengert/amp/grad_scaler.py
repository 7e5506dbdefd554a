"""GradScaler: a loss times a scale, so that small gradients do not vanish in half precision."""

import warnings

from wengert._core import Tensor
from wengert.autograd.grad_mode import no_grad

__all__ = ["GradScaler"]


class GradScaler:
    """Scales losses, divides gradients by the scale again, and skips steps whose gradients are not finite.

    The scale shrinks by `backoff_factor` after such a step and grows by `growth_factor` after
    `growth_interval` good ones. On a device that is not there it warns and is disabled: then `scale` gives
    its argument back and `step` is the optimizer's.

    Example:
        >>> p = wg.nn.Parameter(wg.ones(1))
        >>> optimizer, scaler = wg.optim.SGD([p], lr=1.0), wg.amp.GradScaler("cpu", init_scale=4.0)
        >>> scaler.scale(p.sum()).backward()
        >>> p.grad
        tensor([4.])
        >>> scaler.step(optimizer); scaler.update()
        >>> p.data
        tensor([0.])
    """

    def __init__(
        self,
        device="cuda",
        init_scale=2.0**16,
        growth_factor=2.0,
        backoff_factor=0.5,
        growth_interval=2000,
        enabled=True,
    ):
        if enabled and device not in ("cpu", "gpu"):
            warnings.warn(f"GradScaler: device '{device}' is not there; disabling GradScaler", stacklevel=2)
            enabled = False
        if enabled and growth_factor <= 1.0:
            raise AssertionError("The growth factor must be > 1.0.")
        if enabled and backoff_factor >= 1.0:
            raise AssertionError("The backoff factor must be < 1.0.")
        self._enabled = bool(enabled)
        self._scale = float(init_scale)
        self._growth_factor = growth_factor
        self._backoff_factor = backoff_factor
        self._growth_interval = growth_interval
        self._growth_tracker = 0
        # Of each optimizer since the last update: whether all its gradients were finite.
        self._unscaled = {}
        self._stepped = set()

    def scale(self, outputs):
        """A tensor, or lists and tuples of tensors, times the scale."""
        if not self._enabled:
            return outputs
        if isinstance(outputs, Tensor):
            return outputs * self._scale
        if isinstance(outputs, (list, tuple)) or hasattr(outputs, "__iter__"):
            scaled = [self.scale(output) for output in outputs]
            return tuple(scaled) if isinstance(outputs, tuple) else scaled
        raise ValueError("outputs must be a Tensor or an iterable of Tensors")

    @no_grad()
    def unscale_(self, optimizer):
        """Divides the gradients of the optimizer's parameters by the scale, as for clipping them before `step`."""
        if not self._enabled:
            return
        key = id(optimizer)
        if key in self._stepped:
            raise RuntimeError("unscale_() is being called after step().")
        if key in self._unscaled:
            raise RuntimeError(
                "unscale_() has already been called on this optimizer since the last update()."
            )
        finite = True
        for group in optimizer.param_groups:
            for param in group["params"]:
                if param.grad is not None:
                    param.grad.mul_(1.0 / self._scale)
                    finite = finite and bool(param.grad.isfinite().all())
        self._unscaled[key] = finite

    def step(self, optimizer, *args, **kwargs):
        """The optimizer's step, left out (None) if a gradient is infinite or NaN."""
        if not self._enabled:
            return optimizer.step(*args, **kwargs)
        if "closure" in kwargs:
            raise RuntimeError("Closure use is not currently supported if GradScaler is enabled.")
        key = id(optimizer)
        if key in self._stepped:
            raise RuntimeError("step() has already been called since the last update().")
        if key not in self._unscaled:
            self.unscale_(optimizer)
        self._stepped.add(key)
        return optimizer.step(*args, **kwargs) if self._unscaled[key] else None

    def update(self, new_scale=None):
        """Adapts the scale to the steps since the last update, or sets it to `new_scale`."""
        if not self._enabled:
            return
        if new_scale is not None:
            self._scale = float(new_scale)
        elif not self._unscaled:
            raise AssertionError("No inf checks were recorded prior to update.")
        elif not all(self._unscaled.values()):
            self._scale *= self._backoff_factor
            self._growth_tracker = 0
        else:
            self._growth_tracker += 1
            if self._growth_tracker == self._growth_interval:
                self._scale *= self._growth_factor
                self._growth_tracker = 0
        self._unscaled, self._stepped = {}, set()

    def get_scale(self):
        """The scale, 1.0 if disabled."""
        return self._scale if self._enabled else 1.0

    def is_enabled(self):
        """Whether losses are scaled."""
        return self._enabled

    def get_growth_factor(self):
        """What the scale grows by."""
        return self._growth_factor

    def set_growth_factor(self, new_factor):
        """Sets what the scale grows by."""
        self._growth_factor = new_factor

    def get_backoff_factor(self):
        """What the scale shrinks by."""
        return self._backoff_factor

    def set_backoff_factor(self, new_factor):
        """Sets what the scale shrinks by."""
        self._backoff_factor = new_factor

    def get_growth_interval(self):
        """After how many good steps the scale grows."""
        return self._growth_interval

    def set_growth_interval(self, new_interval):
        """Sets after how many good steps the scale grows."""
        self._growth_interval = new_interval

    def state_dict(self):
        """Scale, factors and counts; empty if disabled."""
        if not self._enabled:
            return {}
        return {
            "scale": self.get_scale(),
            "growth_factor": self._growth_factor,
            "backoff_factor": self._backoff_factor,
            "growth_interval": self._growth_interval,
            "_growth_tracker": self._growth_tracker,
        }

    def load_state_dict(self, state_dict):
        """Goes on from a saved state."""
        if not self._enabled:
            return
        if not state_dict:
            raise RuntimeError(
                "The source state dict is empty, possibly because it was saved from a disabled GradScaler."
            )
        self._scale = state_dict["scale"]
        self._growth_factor = state_dict["growth_factor"]
        self._backoff_factor = state_dict["backoff_factor"]
        self._growth_interval = state_dict["growth_interval"]
        self._growth_tracker = state_dict["_growth_tracker"]
