"""The AWS calls that ``predict`` makes, with the standard library alone: it is the function that people wait for."""
