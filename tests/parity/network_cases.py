"""Convolution, pooling, norms, losses and linear algebra, in the form of structural_cases."""

import numpy as np
from structural_cases import LABELS, NUMBERS, Op

rng = np.random.default_rng(3)
PROBABILITIES = rng.uniform(0.1, 0.9, (4, 3))
TARGETS = rng.uniform(0.1, 0.9, (4, 3))


def f(name):
    """m.nn.functional.NAME, looked up when called."""
    return lambda m, *a, **k: getattr(m.nn.functional, name)(*a, **k)


NETWORKS = {
    "conv2d": Op(
        lambda m, x, w, b: m.nn.functional.conv2d(x, w, b),
        (2, 3, 6, 5),
        (4, 3, 3, 2),
        (4,),
        tol=10,
        dtypes=NUMBERS,
    ),
    "conv2d strided": Op(
        lambda m, x, w: m.nn.functional.conv2d(x, w, None, stride=(2, 1), padding=(1, 2), dilation=(1, 2)),
        (2, 2, 6, 7),
        (3, 2, 3, 2),
        tol=10,
    ),
    "conv2d groups": Op(
        lambda m, x, w: m.nn.functional.conv2d(x, w, groups=2), (1, 4, 5, 5), (6, 2, 3, 3), tol=10
    ),
    "conv2d unbatched": Op(
        lambda m, x, w: m.nn.functional.conv2d(x, w, padding="same"), (2, 5, 5), (3, 2, 3, 3), tol=10
    ),
    "max_pool2d": Op(lambda m, x: m.nn.functional.max_pool2d(x, 2), (2, 3, 6, 5)),
    "max_pool2d padded": Op(lambda m, x: m.nn.functional.max_pool2d(x, 3, stride=2, padding=1), (1, 2, 6, 7)),
    "max_pool2d ceil": Op(lambda m, x: m.nn.functional.max_pool2d(x, (2, 3), ceil_mode=True), (1, 1, 5, 7)),
    "max_pool2d indices": Op(
        lambda m, x: m.nn.functional.max_pool2d(x, 2, return_indices=True), (1, 2, 4, 4)
    ),
    "max_pool2d dilated": Op(
        lambda m, x: m.nn.functional.max_pool2d(x, 2, stride=1, dilation=2), (1, 2, 5, 5)
    ),
    "layer_norm": Op(
        lambda m, x, w, b: m.nn.functional.layer_norm(x, (4,), w, b), (2, 3, 4), (4,), (4,), tol=10
    ),
    "layer_norm of two dims": Op(lambda m, x: m.nn.functional.layer_norm(x, (3, 4)), (2, 3, 4), tol=10),
    "batch_norm": Op(
        lambda m, x, w, b: m.nn.functional.batch_norm(x, None, None, w, b, training=True),
        (5, 3),
        (3,),
        (3,),
        tol=10,
    ),
    "batch_norm of images": Op(
        lambda m, x: m.nn.functional.batch_norm(x, None, None, training=True), (2, 3, 4, 2), tol=10
    ),
    "dropout off": Op(lambda m, x: m.nn.functional.dropout(x, 0.5, training=False), (3,)),
    "cross_entropy": Op(lambda m, x, y: m.nn.functional.cross_entropy(x, y), (4, 5), LABELS),
    "cross_entropy sum": Op(
        lambda m, x, y: m.nn.functional.cross_entropy(x, y, reduction="sum"), (4, 5), LABELS
    ),
    "cross_entropy none": Op(
        lambda m, x, y: m.nn.functional.cross_entropy(x, y, reduction="none"), (4, 5), LABELS
    ),
    "cross_entropy ignoring": Op(
        lambda m, x, y: m.nn.functional.cross_entropy(x, y, ignore_index=4), (4, 5), LABELS
    ),
    "cross_entropy weighted": Op(
        lambda m, x, y, w: m.nn.functional.cross_entropy(x, y, w.detach().abs()), (4, 5), LABELS, (5,)
    ),
    "cross_entropy smoothed": Op(
        lambda m, x, y: m.nn.functional.cross_entropy(x, y, label_smoothing=0.1), (4, 5), LABELS
    ),
    "cross_entropy of probabilities": Op(
        lambda m, x, y: m.nn.functional.cross_entropy(x, y.softmax(1)), (4, 5), (4, 5)
    ),
    "cross_entropy of images": Op(
        lambda m, x, y: m.nn.functional.cross_entropy(x, y[:, None].expand(4, 3)), (4, 5, 3), LABELS
    ),
    "nll_loss": Op(lambda m, x, y: m.nn.functional.nll_loss(x.log_softmax(1), y), (4, 5), LABELS),
    "mse_loss": Op(lambda m, x, y: m.nn.functional.mse_loss(x, y), (4, 3), (4, 3)),
    "mse_loss none": Op(lambda m, x, y: m.nn.functional.mse_loss(x, y, reduction="none"), (4, 3), (4, 3)),
    "l1_loss": Op(lambda m, x, y: m.nn.functional.l1_loss(x, y), (4, 3), (4, 3)),
    "binary_cross_entropy": Op(
        lambda m, x: m.nn.functional.binary_cross_entropy(x.sigmoid(), m.tensor(TARGETS).to(x.dtype)), (4, 3)
    ),
    "binary_cross_entropy_with_logits": Op(
        lambda m, x: m.nn.functional.binary_cross_entropy_with_logits(x, m.tensor(TARGETS).to(x.dtype)),
        (4, 3),
    ),
    "gelu": Op(f("gelu"), (3, 4)),
    "relu": Op(f("relu"), (3, 4)),
    "softplus": Op(f("softplus"), (3, 4)),
}


def spd(m, x):
    """A symmetric positive definite matrix made of x."""
    return x @ x.mT + 2 * m.eye(x.shape[-1], dtype=x.dtype)


def symmetric(x):
    return (x + x.mT) / 2


def apart(m, x):
    """x plus a diagonal that keeps its singular values apart."""
    n = min(x.shape[-2:])
    d = m.diag(m.arange(1, n + 1).to(x.dtype) * 3)
    return x + m.nn.functional.pad(d, (0, x.shape[-1] - n, 0, x.shape[-2] - n))


# Factors are unique only up to signs, so what is compared does not depend on them.
LINALG = {
    "cholesky": Op(lambda m, x: m.linalg.cholesky(spd(m, x)), (2, 3, 3), tol=100),
    "cholesky upper": Op(lambda m, x: m.linalg.cholesky(spd(m, x), upper=True), (3, 3), tol=100),
    "inv": Op(lambda m, x: m.linalg.inv(spd(m, x)), (2, 3, 3), tol=100),
    "inverse": Op(lambda m, x: m.inverse(spd(m, x)), (3, 3), tol=100),
    "det": Op(lambda m, x: m.linalg.det(x), (2, 3, 3), tol=100),
    "det method": Op(lambda m, x: apart(m, x).det(), (3, 3), tol=100),
    "slogdet": Op(lambda m, x: m.linalg.slogdet(apart(m, x)), (2, 3, 3), tol=100),
    "solve": Op(lambda m, x, b: m.linalg.solve(apart(m, x), b), (2, 3, 3), (2, 3, 4), tol=100),
    "solve a vector": Op(lambda m, x, b: m.linalg.solve(apart(m, x), b), (3, 3), (3,), tol=100),
    "solve_triangular": Op(
        lambda m, x, b: m.linalg.solve_triangular(apart(m, x).triu(), b, upper=True), (3, 3), (3, 2), tol=100
    ),
    "trace": Op(lambda m, x: m.trace(x), (3, 4)),
    "eigvalsh": Op(lambda m, x: m.linalg.eigvalsh(apart(m, symmetric(x))), (3, 3), tol=100),
    "eigh values": Op(lambda m, x: m.linalg.eigh(apart(m, symmetric(x))).eigenvalues, (2, 3, 3), tol=100),
    "eigh projectors": Op(
        lambda m, x: (lambda v: v[..., :, None, :] * v[..., None, :, :])(
            m.linalg.eigh(apart(m, symmetric(x)))[1]
        ),
        (2, 3, 3),
        tol=1000,
    ),
    "svdvals": Op(lambda m, x: m.linalg.svdvals(apart(m, x)), (2, 3, 4), tol=100),
    "svd values": Op(lambda m, x: m.linalg.svd(apart(m, x), full_matrices=False).S, (4, 3), tol=100),
    "svd products": Op(
        lambda m, x: (lambda r: r[0][..., :, None, :] * r[2].mT[..., None, :, :])(
            m.linalg.svd(apart(m, x), full_matrices=False)
        ),
        (4, 3),
        tol=1000,
    ),
    "svd whole": Op(
        lambda m, x: (lambda u, s, v: u @ m.diag(s) @ v.mT)(*m.svd(apart(m, x))), (3, 4), tol=100
    ),
    "qr": Op(
        lambda m, x: (lambda q, r: (q * r.diagonal().sign(), r * r.diagonal().sign()[:, None]))(
            *m.linalg.qr(apart(m, x))
        ),
        (4, 3),
        tol=100,
    ),
    "matrix norm": Op(lambda m, x: m.linalg.matrix_norm(x), (2, 3, 4)),
    "matrix_power": Op(lambda m, x: m.linalg.matrix_power(x, 3), (3, 3), tol=100),
}

GROUPS = {"nn": NETWORKS, "linalg": LINALG}
