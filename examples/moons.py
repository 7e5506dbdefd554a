"""Two small networks learn to tell two half moons apart.

Written as a PyTorch program: `import torch` in place of the one import line below runs it with PyTorch,
and the same seed then gives the same losses.

    python examples/moons.py --epochs 20 --seed 3 --out moons.png
    python examples/moons.py --device gpu
"""

import argparse
from dataclasses import dataclass, field

import numpy as np
import wengert as torch
from sklearn.datasets import make_moons
from sklearn.model_selection import train_test_split
from tqdm import tqdm

nn, DataLoader = torch.nn, torch.utils.data.DataLoader


class Moons(torch.utils.data.Dataset):
    """Points of the plane with the number (0 or 1) of the moon that each lies on."""

    def __init__(self, points, labels):
        self.points = torch.tensor(points, dtype=torch.float32)
        self.labels = labels

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        return self.points[index], self.labels[index]


@dataclass
class Run:
    """One model's training."""

    name: str
    model: nn.Module
    epochs: int
    device: str = "cpu"
    losses: list[float] = field(default_factory=list)
    accuracy: float = 0.0


def models(epochs, device="cpu"):
    """The networks to train; `epochs` overrides how long. Making them draws their first weights."""
    relu = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 2), nn.ReLU(), nn.Linear(2, 2))
    yield Run("2-3-2-2, ReLU", relu.to(device), epochs or 20, device)
    sigmoid = nn.Sequential(nn.Linear(2, 10), nn.Sigmoid(), nn.Linear(10, 2))
    yield Run("2-10-2, sigmoid", sigmoid.to(device), epochs or 50, device)


def train(run, data):
    """Runs Adam on the cross-entropy and notes the loss of every step."""
    loader = DataLoader(data, batch_size=16, shuffle=True)
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(run.model.parameters(), lr=0.1)
    progress = tqdm(range(run.epochs), desc=run.name, unit="epoch")
    for _ in progress:
        for points, labels in loader:
            optimizer.zero_grad()
            loss = criterion(run.model(points.to(run.device)), labels.to(run.device))
            loss.backward()
            optimizer.step()
            run.losses.append(loss.item())
        progress.set_postfix(loss=f"{run.losses[-1]:.3f}")


def accuracy(run, data):
    """The share of points whose more probable class is the right one."""
    with torch.no_grad():
        guesses = run.model(data.points.to(run.device)).argmax(dim=1).cpu()
    return (guesses == torch.tensor(data.labels)).float().mean().item()


def draw(runs, train_data, test_data, path):
    """Saves, a row for each model: training and test points over the learned boundary, and the losses."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    from matplotlib.colors import ListedColormap

    classes = ListedColormap(["#c44e52", "#4c72b0"])
    everything = np.concatenate([train_data.points.numpy(), test_data.points.numpy()])
    (left, bottom), (right, top) = everything.min(axis=0) - 0.4, everything.max(axis=0) + 0.4
    xs, ys = np.meshgrid(np.linspace(left, right, 200), np.linspace(bottom, top, 200))
    grid = torch.tensor(np.stack([xs.ravel(), ys.ravel()], axis=1), dtype=torch.float32)

    figure, axes = plt.subplots(
        len(runs), 3, figsize=(13, 3.9 * len(runs)), layout="constrained", squeeze=False
    )
    for run, (seen, unseen, curve) in zip(runs, axes, strict=True):
        with torch.no_grad():
            probability = torch.softmax(run.model(grid.to(run.device)), dim=1)[:, 1]
            probability = probability.cpu().numpy().reshape(xs.shape)

        filled = seen.contourf(xs, ys, probability, levels=np.linspace(0, 1, 11), cmap="RdBu", alpha=0.55)
        figure.colorbar(filled, ax=seen, label="probability of class 1", ticks=[0, 0.5, 1])
        seen.set_title(f"{run.name}: training data, probability")
        unseen.contourf(xs, ys, probability > 0.5, levels=[-0.5, 0.5, 1.5], cmap=classes, alpha=0.3)
        unseen.set_title(f"test data, classes: {run.accuracy:.0%} right")
        for panel, data in ((seen, train_data), (unseen, test_data)):
            if probability.min() < 0.5 < probability.max():
                panel.contour(xs, ys, probability, levels=[0.5], colors="black", linewidths=1.2)
            panel.scatter(*data.points.numpy().T, c=data.labels, cmap=classes, edgecolors="white", s=36)
            panel.set(xlabel="$x_1$", ylabel="$x_2$")

        steps = np.arange(1, len(run.losses) + 1)
        per_epoch = len(run.losses) // run.epochs
        curve.plot(steps, run.losses, color="0.75", linewidth=1, label="each step")
        means = np.reshape(run.losses, (run.epochs, per_epoch)).mean(axis=1)
        curve.plot(steps[per_epoch - 1 :: per_epoch], means, color="#4c72b0", label="epoch's mean")
        curve.set(title="training loss", xlabel="step", ylabel="cross-entropy", ylim=(0, None))
        curve.legend()
    figure.savefig(path, dpi=110)
    plt.close(figure)


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, help="for both models (default: 20 and 50)")
    parser.add_argument("--seed", type=int, default=3)
    parser.add_argument("--out", default="moons.png", help="where the figure goes")
    parser.add_argument("--device", default="cpu", help='"gpu" is the GPU of any vendor')
    parser.add_argument("--no-figure", action="store_true")
    options = parser.parse_args(argv)
    if options.epochs is not None and options.epochs < 1:
        parser.error("--epochs must be at least 1")

    points, labels = make_moons(100, random_state=options.seed)
    parts = train_test_split(points, labels, test_size=33, random_state=options.seed)
    train_data, test_data = Moons(parts[0], parts[2]), Moons(parts[1], parts[3])

    torch.manual_seed(options.seed)
    runs = []
    for run in models(options.epochs, options.device):
        train(run, train_data)
        run.accuracy = accuracy(run, test_data)
        print(f"{run.name}: test accuracy {run.accuracy:.1%} after {run.epochs} epochs")
        runs.append(run)
    if not options.no_figure:
        draw(runs, train_data, test_data, options.out)
        print(f"figure written to {options.out}")
    return runs


if __name__ == "__main__":
    main()
