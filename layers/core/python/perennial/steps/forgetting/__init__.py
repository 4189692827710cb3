"""The parts of the step ``forget``: rows, and reports that show some."""
