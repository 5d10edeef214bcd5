"""Who works on cubes: this process, processes of our own, an executor, a cluster."""
