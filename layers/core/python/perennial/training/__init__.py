"""Learning a model and judging it: candidates, export to ONNX, backtests, evaluation, gate.

``rows``, ``problem``, ``scoring``, ``evaluation``, ``backtests``, ``gate`` and ``report`` do without scikit-learn, so
that a Lambda function can judge; ``candidates`` and ``export`` need it and run in the container.
"""
