"""Grading on a cluster of Dask's distributed: `worker` runs on the workers, everything else where `autograder` runs.

No file system is shared: the course goes to each worker once, submissions and results travel as bytes, and the driver
alone writes. Only `worker` and `link` import distributed.
"""
