#!/usr/bin/python3
"""Prints student_t.csv: quantiles of Student's t by scipy, and what they are compared with."""
import scipy
from scipy import stats

print("dof,probability,quantile,source")
source = f"scipy {scipy.__version__} stats.t.ppf; tests/data/statistics/student_t.py"
for dof in (0.5, 1, 1.5, 2, 2.7, 3, 4, 5, 7.25, 10, 19, 30, 100, 199, 1000, 1e6):
    for probability in (1e-6, 0.001, 0.025, 0.1, 0.3, 0.5, 0.55, 0.9, 0.95, 0.975, 0.995, 0.9999):
        # The upper tail by symmetry: ppf loses digits near 1.
        low = min(probability, 1 - probability) if probability > 0.5 else probability
        quantile = stats.t.ppf(low, dof) if probability <= 0.5 else -stats.t.ppf(1 - probability, dof)
        print(f"{dof!r},{probability!r},{quantile + 0.0:.15g},{source}")
