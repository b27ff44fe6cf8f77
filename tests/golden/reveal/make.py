"""Writes sobol.json: the first points of Sobol's sequence by scipy (unscrambled, the direction numbers of Joe and Kuo), and vendi.json:
Vendi scores straight from the formula with numpy's eigenvalues. Run: python make.py"""
import json
import pathlib

import numpy as np
from scipy.stats import qmc

here = pathlib.Path(__file__).parent
points = qmc.Sobol(21, scramble=False).random(64)
(here / "sobol.json").write_text(json.dumps({"n": 64, "dims": 21, "points": points.ravel().tolist()}) + "\n")

rng = np.random.default_rng(5)
cases = []
for n, d in ((1, 4), (2, 3), (7, 5), (16, 48), (40, 6)):
    x = rng.standard_normal((n, d)) + (0.7 if n == 16 else 0)
    u = x / np.linalg.norm(x, axis=1, keepdims=True)
    lam = np.linalg.eigvalsh(u @ u.T / n)
    lam = lam[lam > 1e-15]
    cases.append({"n": n, "d": d, "x": x.ravel().tolist(), "vendi": float(np.exp(-np.sum(lam * np.log(lam))))})
(here / "vendi.json").write_text(json.dumps(cases) + "\n")
