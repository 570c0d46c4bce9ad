"""The Django project that the benchmarks put under load."""
