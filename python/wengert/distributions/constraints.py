"""Sets of values: what parameters and samples of distributions must lie in."""

import wengert as wg


class Constraint:
    """A set; `check(value)` says elementwise (for each event of `event_dim` dims) whether values are in it."""

    is_discrete = False
    event_dim = 0

    def check(self, value):
        """A bool tensor."""
        raise NotImplementedError(f"{type(self).__name__} does not define check()")

    def __repr__(self):
        return type(self).__name__[1:] + "()"


class _Plain(Constraint):
    """A set given by a name and a test."""

    def __init__(self, name, test, event_dim=0, is_discrete=False):
        self._name = name
        self._test = test
        self.event_dim = event_dim
        self.is_discrete = is_discrete

    def check(self, value):
        return self._test(value)

    def __repr__(self):
        return self._name


class _Bounded(Constraint):
    """A set between bounds, which print."""

    def __init__(self, **bounds):
        self.__dict__.update(bounds)
        self._bounds = bounds

    def __repr__(self):
        inside = ", ".join(f"{name}={bound}" for name, bound in self._bounds.items())
        return f"{type(self).__name__.lstrip('_')}({inside})"


class interval(_Bounded):
    """[lower_bound, upper_bound].

    Example:
        >>> wg.distributions.constraints.interval(0, 1).check(wg.tensor([0.5, 2.0]))
        tensor([ True, False])
    """

    def __init__(self, lower_bound, upper_bound):
        super().__init__(lower_bound=lower_bound, upper_bound=upper_bound)

    def check(self, value):
        return (self.lower_bound <= value) & (value <= self.upper_bound)


class half_open_interval(interval):
    """[lower_bound, upper_bound)."""

    def check(self, value):
        return (self.lower_bound <= value) & (value < self.upper_bound)


class integer_interval(interval):
    """The whole numbers of [lower_bound, upper_bound]."""

    is_discrete = True

    def check(self, value):
        return (value % 1 == 0) & super().check(value)


class greater_than(_Bounded):
    """(lower_bound, ∞)."""

    def __init__(self, lower_bound):
        super().__init__(lower_bound=lower_bound)

    def check(self, value):
        return self.lower_bound < value


class greater_than_eq(greater_than):
    """[lower_bound, ∞)."""

    def check(self, value):
        return self.lower_bound <= value


class less_than(_Bounded):
    """(−∞, upper_bound)."""

    def __init__(self, upper_bound):
        super().__init__(upper_bound=upper_bound)

    def check(self, value):
        return value < self.upper_bound


class _IntegerGreaterThan(greater_than):
    is_discrete = True

    def check(self, value):
        return (value % 1 == 0) & (value >= self.lower_bound)


class multinomial(_Bounded):
    """Vectors of counts that sum to at most `upper_bound`."""

    is_discrete = True
    event_dim = 1

    def __init__(self, upper_bound):
        super().__init__(upper_bound=upper_bound)

    def check(self, value):
        return (value >= 0).all(-1) & (value.sum(-1) <= self.upper_bound)


class independent(Constraint):
    """`base_constraint` over the last `reinterpreted_batch_ndims` dims, taken together."""

    def __init__(self, base_constraint, reinterpreted_batch_ndims):
        self.base_constraint = base_constraint
        self.reinterpreted_batch_ndims = reinterpreted_batch_ndims

    @property
    def is_discrete(self):
        return self.base_constraint.is_discrete

    @property
    def event_dim(self):
        return self.base_constraint.event_dim + self.reinterpreted_batch_ndims

    def check(self, value):
        result = self.base_constraint.check(value)
        if result.ndim < self.reinterpreted_batch_ndims:
            raise ValueError(
                f"Expected value.dim() >= {self.event_dim} but got {value.ndim} in independent constraint"
            )
        kept = result.shape[: result.ndim - self.reinterpreted_batch_ndims]
        return result.reshape(*kept, -1).all(-1)

    def __repr__(self):
        return f"Independent({self.base_constraint!r}, {self.reinterpreted_batch_ndims})"


class _Parts(Constraint):
    """Constraints on the parts of one dim."""

    def __init__(self, cseq, dim):
        self.cseq = list(cseq)
        if not all(isinstance(c, Constraint) for c in self.cseq):
            raise AssertionError(f"{type(self).__name__}: every part must be a Constraint")
        self.dim = dim

    @property
    def is_discrete(self):
        return any(c.is_discrete for c in self.cseq)

    @property
    def event_dim(self):
        return max(c.event_dim for c in self.cseq)

    def __repr__(self):
        return type(self).__name__.capitalize() + "()"


class cat(_Parts):
    """Each constraint for its part of `dim`, parts of the given lengths (1 each by default).

    Example:
        >>> c = wg.distributions.constraints
        >>> c.cat([c.positive, c.real], lengths=[1, 2]).check(wg.tensor([-1.0, -1.0, 0.0]))
        tensor([False,  True,  True])
    """

    def __init__(self, cseq, dim=0, lengths=None):
        super().__init__(cseq, dim)
        self.lengths = [1] * len(self.cseq) if lengths is None else list(lengths)
        if len(self.lengths) != len(self.cseq):
            raise AssertionError("cat: one length for each constraint is wanted")

    def check(self, value):
        parts = value.split(self.lengths, self.dim)
        return wg.cat([c.check(part) for c, part in zip(self.cseq, parts, strict=True)], self.dim)


class stack(_Parts):
    """Each constraint for its slice of `dim`.

    Example:
        >>> c = wg.distributions.constraints
        >>> c.stack([c.positive, c.real]).check(wg.tensor([-1.0, -1.0]))
        tensor([False,  True])
    """

    def __init__(self, cseq, dim=0):
        super().__init__(cseq, dim)

    def check(self, value):
        pairs = zip(self.cseq, value.unbind(self.dim), strict=True)
        return wg.stack([c.check(part) for c, part in pairs], self.dim)


class _Dependent(Constraint):
    """A set that depends on other values, and so cannot be checked alone."""

    def __init__(self, *, is_discrete=False, event_dim=0):
        self.is_discrete = is_discrete
        self.event_dim = event_dim

    def __call__(self, *, is_discrete=None, event_dim=None):
        """The same with other properties, as in ``constraints.dependent(event_dim=1)``."""
        return _Dependent(
            is_discrete=self.is_discrete if is_discrete is None else is_discrete,
            event_dim=self.event_dim if event_dim is None else event_dim,
        )

    def check(self, x):
        raise ValueError("Cannot determine validity of dependent constraint")

    def __repr__(self):
        return "Dependent()"


def is_dependent(constraint):
    """Whether a constraint depends on other values.

    Example:
        >>> wg.distributions.constraints.is_dependent(wg.distributions.constraints.dependent)
        True
    """
    return isinstance(constraint, _Dependent)


class dependent_property(property, _Dependent):
    """A property that is a constraint: `support` of distributions whose parameters bound it; a decorator.

    Example:
        >>> class Below(wg.distributions.Distribution):
        ...     @wg.distributions.constraints.dependent_property(is_discrete=False, event_dim=0)
        ...     def support(self):
        ...         return wg.distributions.constraints.less_than(2.0)
        >>> Below(validate_args=False).support
        less_than(upper_bound=2.0)
    """

    def __init__(self, fn=None, *, is_discrete=False, event_dim=0):
        property.__init__(self, fn)
        _Dependent.__init__(self, is_discrete=is_discrete, event_dim=event_dim)

    def __call__(self, fn):
        return dependent_property(fn, is_discrete=self.is_discrete, event_dim=self.event_dim)


def _is_simplex(value):
    return (value >= 0).all(-1) & ((value.sum(-1) - 1).abs() < 1e-6)


def _is_lower_cholesky(value):
    lower = (value.tril() == value).reshape(*value.shape[:-2], -1).all(-1)
    return lower & (value.diagonal(dim1=-2, dim2=-1) > 0).all(-1)


def _is_positive_definite(value):
    symmetric = wg.isclose(value, value.mT, atol=1e-6).all(-2).all(-1)
    if not bool(symmetric.all()):
        return symmetric
    return wg.linalg.eigvalsh(value)[..., 0] > 0


def _is_square(value):
    fits = value.shape[-2] == value.shape[-1]
    return wg.full(value.shape[:-2], fits, dtype=wg.bool, device=value.device)


def _is_symmetric(value):
    if value.shape[-2] != value.shape[-1]:
        return _is_square(value)
    return wg.isclose(value, value.mT, atol=1e-6).all(-2).all(-1)


def _is_positive_semidefinite(value):
    symmetric = _is_symmetric(value)
    if not bool(symmetric.all()):
        return symmetric
    return (wg.linalg.eigvalsh(value) >= 0).all(-1)


def _is_lower_triangular(value):
    return (value.tril() == value).reshape(*value.shape[:-2], -1).all(-1)


def _is_corr_cholesky(value):
    tolerance = wg.finfo(value.dtype).eps * value.shape[-1] * 10
    unit = (wg.linalg.norm(value.detach(), dim=-1) - 1).abs().lt(tolerance).all(-1)
    return unit & _is_lower_cholesky(value)


def _is_one_hot(value):
    return ((value == 0) | (value == 1)).all(-1) & (value.sum(-1) == 1)


real = _Plain("Real()", lambda v: v == v)
real_vector = independent(real, 1)
positive = greater_than(0.0)
nonnegative = greater_than_eq(0.0)
unit_interval = interval(0.0, 1.0)
boolean = _Plain("Boolean()", lambda v: (v == 0) | (v == 1), is_discrete=True)
nonnegative_integer = _IntegerGreaterThan(0)
positive_integer = _IntegerGreaterThan(1)
simplex = _Plain("Simplex()", _is_simplex, 1)
one_hot = _Plain("OneHot()", _is_one_hot, 1, True)
lower_cholesky = _Plain("LowerCholesky()", _is_lower_cholesky, 2)
positive_definite = _Plain("PositiveDefinite()", _is_positive_definite, 2)
positive_semidefinite = _Plain("PositiveSemidefinite()", _is_positive_semidefinite, 2)
lower_triangular = _Plain("LowerTriangular()", _is_lower_triangular, 2)
corr_cholesky = _Plain("CorrCholesky()", _is_corr_cholesky, 2)
square = _Plain("Square()", _is_square, 2)
symmetric = _Plain("Symmetric()", _is_symmetric, 2)
dependent = _Dependent()
