"""One use case per module: ``run(request, ports) -> result``."""
