"""What the agent costs in time and money, measured: run by hand, never by the tests.

One core alone is measured, and the libraries below numpy read how many they may use when they are first imported.
"""

import os

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[variable] = "1"
