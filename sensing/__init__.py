"""IQ samples to occupancy with uncertainty: spectra, noise floor, detectors, envelopes.

Each process uses one thread of linear algebra, whether numpy is imported before or after this package: the matrices are
small and the callers many, so that more threads would only wait for each other.
"""

import os

import numpy as np
from threadpoolctl import threadpool_limits

for _variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")
np.dot(np.ones(1), np.ones(1))
BLAS_LIMIT = threadpool_limits(limits=1, user_api="blas")
