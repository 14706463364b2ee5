"""Set before torch is imported, here and in the processes that tests start."""

import os

# the tests run side by side already: threads of each would only wait for each other
os.environ.setdefault("OMP_NUM_THREADS", "1")
