"""An operation of one's own: its value and its gradient in Python, checked against finite differences.

logcosh(x) = log(cosh(x)) overflows if written like that, and so would its gradient. With
|x| + log1p(e^{-2|x|}) - log 2 it does not, and its derivative is simply tanh(x).
"""

import math

import wengert as torch


class LogCosh(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        size = x.abs()
        return size + torch.log1p(torch.exp(-2.0 * size)) - math.log(2.0)

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        return grad * torch.tanh(x)


logcosh = LogCosh.apply

x = torch.tensor([-1000.0, -1.0, 0.0, 2.0], dtype=torch.float64, requires_grad=True)
y = logcosh(x)
y.sum().backward()
print("log cosh x: ", y.tolist())
print("gradient:   ", x.grad.tolist())

near = torch.tensor([-1.5, -0.3, 0.7, 2.0], dtype=torch.float64, requires_grad=True)
print("first order agrees with finite differences: ", torch.autograd.gradcheck(logcosh, (near,)))
print("second order too:                           ", torch.autograd.gradgradcheck(logcosh, (near,)))
