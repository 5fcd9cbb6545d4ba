"""The library behind the dashboard: poisoning, attacks, training and evaluation of image classifiers.

Weng, Lee, Wu: On the Trade-off between Adversarial and Backdoor Robustness, NeurIPS 2020.
"""
