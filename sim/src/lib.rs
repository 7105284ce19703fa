//! Whole clusters of nodes in one thread, under faults, reproducible by seed.
