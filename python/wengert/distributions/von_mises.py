"""The von Mises distribution."""

import math

import wengert as wg
from wengert._functions._dims import wide_float

from . import constraints
from .distribution import Distribution
from .utils import broadcast_all

_NEARLY_UNIFORM = 1e-5


def _log_i0(x):
    """log I₀(x) of the modified Bessel function."""
    return wg.special.i0e(x).log() + x


class VonMises(Distribution):
    """Angles about `loc`: density ∝ e^(concentration · cos(x − loc)) on (−π, π].

    Samples come by Best and Fisher's rejection from a wrapped Cauchy distribution ("Efficient simulation of the
    von Mises distribution", 1979), in float64.

    Example:
        >>> wg.distributions.VonMises(0.0, 1.0).log_prob(wg.tensor(0.0))
        tensor(-1.0738)
    """

    arg_constraints = {"loc": constraints.real, "concentration": constraints.positive}
    support = constraints.real

    def __init__(self, loc, concentration, validate_args=None):
        self.loc, self.concentration = broadcast_all(loc, concentration)
        super().__init__(self.loc.shape, validate_args=validate_args)

    def _proposal(self):
        """The wrapped Cauchy distribution's parameter r."""
        k = self.concentration.to(wide_float(self.concentration))
        tau = 1 + (1 + 4 * k**2).sqrt()
        rho = (tau - (2 * tau).sqrt()) / (2 * k)
        return wg.where(k < _NEARLY_UNIFORM, 1 / k + k, (1 + rho**2) / (2 * rho))

    def sample(self, sample_shape=()):
        shape = self._extended_shape(sample_shape)
        with wg.no_grad():
            r = self._proposal()
            loc, k = self.loc.to(r.dtype), self.concentration.to(r.dtype)
            angle, done = r.new_zeros(shape), wg.zeros(shape, dtype=wg.bool, device=r.device)
            while not bool(done.all()):
                u1, u2, u3 = wg.rand((3, *shape), dtype=r.dtype, device=r.device).unbind()
                z = (math.pi * u1).cos()
                f = (1 + r * z) / (r + z)
                c = k * (r - f)
                accepted = (c * (2 - c) - u2 > 0) | ((c / u2).log() + 1 - c >= 0)
                # A later proposal takes the place of an earlier one, as in PyTorch, so that the numbers agree.
                angle = wg.where(accepted, (u3 - 0.5).sign() * f.acos(), angle)
                done = done | accepted
            return ((angle + math.pi + loc) % (2 * math.pi) - math.pi).to(self.loc.dtype)

    def log_prob(self, value):
        self._validate_sample(value)
        return (
            self.concentration * (value - self.loc).cos()
            - math.log(2 * math.pi)
            - _log_i0(self.concentration)
        )

    @property
    def mean(self):
        """The circular mean."""
        return self.loc

    mode = mean

    @property
    def variance(self):
        """The circular variance, 1 − I₁ / I₀."""
        return 1 - wg.special.i1e(self.concentration) / wg.special.i0e(self.concentration)
