"""The library behind the dashboard: poisoning, attacks, training and evaluation of image classifiers.

Weng, Lee, Wu: On the Trade-off between Adversarial and Backdoor Robustness, NeurIPS 2020.
"""

import os

# before torch is loaded: its threads else spin while they wait, and beside one other busy process take ten times as long
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
