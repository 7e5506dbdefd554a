"""Newton's method: the gradient is itself taped, so its derivative, the Hessian, comes the same way."""

import wengert as torch


def rosenbrock(p):
    return (1.0 - p[0]) ** 2 + 100.0 * (p[1] - p[0] ** 2) ** 2


p = torch.tensor([-1.2, 1.0], dtype=torch.float64, requires_grad=True)
for step in range(20):
    value = rosenbrock(p)
    (gradient,) = torch.autograd.grad(value, p, create_graph=True)
    rows = [torch.autograd.grad(g, p, retain_graph=True)[0] for g in gradient]
    print(f"step {step}: f = {value.item():.3e}, |gradient| = {gradient.norm().item():.3e}")
    if gradient.norm().item() < 1e-10:
        break
    with torch.no_grad():
        p -= torch.linalg.solve(torch.stack(rows), gradient)

print("minimum at", [round(v, 6) for v in p.tolist()])
