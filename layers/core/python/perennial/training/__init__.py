"""Learning a model and judging it: candidates, export to ONNX, evaluation, gate.

All that judges does without scikit-learn, so that a Lambda function can; ``candidates``, ``check``, ``export`` and
``trees`` need it and run in the container.
"""
