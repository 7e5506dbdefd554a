"""A line through noisy points, the gradient steps written out by hand."""

import wengert as torch

torch.manual_seed(0)
x = torch.linspace(-1, 1, 50)
y = 3.0 * x - 0.5 + 0.1 * torch.randn(50)

slope = torch.tensor(0.0, requires_grad=True)
offset = torch.tensor(0.0, requires_grad=True)
for step in range(201):
    loss = ((slope * x + offset - y) ** 2).mean()
    loss.backward()
    with torch.no_grad():
        for parameter in (slope, offset):
            parameter -= 0.2 * parameter.grad
            parameter.grad = None
    if step % 50 == 0:
        print(f"step {step:3}: loss {loss.item():.4f}, y = {slope.item():.3f} x {offset.item():+.3f}")

assert abs(slope.item() - 3.0) < 0.1 and abs(offset.item() + 0.5) < 0.1
