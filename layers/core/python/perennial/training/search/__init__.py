"""Choosing the parameters of candidates that have a space: rounds of trials, each judged before the next is planned.

``folds`` needs scikit-learn and runs in the container; ``sampler`` needs Optuna and runs where rounds are planned;
``ladder``, ``rounds`` and ``budget`` need neither.
"""
