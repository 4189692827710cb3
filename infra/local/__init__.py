"""The local cloud: an emulator of AWS, the parts it lacks, and its lifecycle."""
