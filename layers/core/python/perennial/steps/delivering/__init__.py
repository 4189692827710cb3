"""The parts of the step ``advance``: what two versions did, how sure one may be of it, and what follows."""
