"""Learning a model and judging it: candidates, export to ONNX, evaluation, gate.

``rows``, ``scoring``, ``evaluation``, ``gate`` and ``report`` do without scikit-learn, so that a Lambda function
can judge; ``candidates`` and ``export`` need it and run in the container.
"""
