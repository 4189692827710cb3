"""Learning a model and judging it: candidates, export to ONNX, backtests, evaluation, gate.

All that judges does without scikit-learn, so that a Lambda function can; ``algorithms``, ``candidates``, ``check``,
``custom``, ``export`` and ``trees`` need it and run in the container.
"""
