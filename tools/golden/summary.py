"""An array in a few numbers: its norm, and projections onto seeded signs (twin: packages/testing/src/summary.ts)."""
import numpy as np

from seeded import uniform

PROJECTIONS = 16


def rounded(a):
    return [float(f"{v:.7g}") for v in np.asarray(a, dtype=np.float64).ravel()]


def summary(name, a):
    """Norm and projections onto seeded signs of an array of our layout."""
    flat = np.asarray(a, dtype=np.float64).ravel()
    signs = np.where(uniform(f"signs {name}", (PROJECTIONS, flat.size)) < 0.5, -1.0, 1.0)
    return dict(shape=list(np.shape(a)), norm=float(np.linalg.norm(flat)), projections=rounded(signs @ flat))
