"""A user's program as a type checker sees it: `mypy --strict` must find nothing to say.

The `type: ignore`s are wrong on purpose. A stub that loses its types makes them unused, which is an error.
"""

from typing import assert_type

import wengert as wg
from wengert import Tensor, nn

x = wg.tensor([1.0, 2.0, 3.0], requires_grad=True)
assert_type(x, Tensor)
assert_type(x * 2 + 1, Tensor)
assert_type(2 / x, Tensor)
assert_type(x @ x, Tensor)
assert_type(x[1:], Tensor)
assert_type(-x, Tensor)
assert_type(x.sin(), Tensor)
assert_type(wg.exp(x), Tensor)
assert_type(wg.zeros(3).add_(1.0), Tensor)
assert_type(x.sum(), Tensor)
assert_type(x.mean(dim=0, keepdim=True), Tensor)
assert_type(x.reshape(3, 1), Tensor)
assert_type(x.requires_grad, bool)
assert_type(x.ndim, int)
assert_type(x.grad, Tensor | None)
assert_type(wg.zeros(2, 3, dtype=wg.float64), Tensor)

y = (x**2).sum()
y.backward()
if x.grad is not None:
    assert_type(x.grad[0], Tensor)

with wg.no_grad():
    x -= 0.1 * x


class Net(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Linear(2, width)
        self.second = nn.Linear(width, 2)

    def forward(self, points: Tensor) -> Tensor:
        hidden: Tensor = self.first(points).relu()
        out: Tensor = self.second(hidden)
        return out


net = Net(8)
optimizer = wg.optim.Adam(net.parameters(), lr=0.1)
optimizer.zero_grad()
optimizer.step()


def mistakes() -> None:
    """Never called."""
    x.sum(dim="rows")  # type: ignore[call-overload]
    x.requires_grad_(True, False)  # type: ignore[call-arg]
    x.no_such_method()  # type: ignore[attr-defined]
    wg.no_such_function(x)  # type: ignore[attr-defined]


assert_type(wg.config.gpu_fallback, bool)
wg.config.gpu_fallback = False
